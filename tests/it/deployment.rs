//! Dockerfile and compose.yaml as far as they can be checked without an engine: what they name exists.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::fleet::Fleet;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn text_of(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap()
}

/// The variables of dcm in a text.
fn variables(text: &str) -> BTreeSet<String> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    words.filter(|word| word.starts_with("DC_")).map(str::to_owned).collect()
}

#[test]
fn variables_of_the_image_and_of_compose_exist() {
    let known = variables(&text_of("src/config/env.rs"));
    // Read by compose itself.
    let of_compose = BTreeSet::from(["DC_APPS_DIR".to_owned()]);
    for name in ["Dockerfile", "compose.yaml"] {
        let named = variables(&text_of(name));
        assert!(named.len() > 2, "{name}: {named:?}");
        let unknown: Vec<_> = named.difference(&known).filter(|name| !of_compose.contains(*name)).collect();
        assert!(unknown.is_empty(), "{name}: {unknown:?}");
    }
}

#[test]
fn the_image_is_given_all_that_the_build_needs() {
    let ignored = text_of(".dockerignore");
    let mut copied = BTreeSet::new();
    for line in
        text_of("Dockerfile").lines().filter(|line| line.starts_with("COPY ") && !line.contains("--from"))
    {
        let words: Vec<_> = line.split_whitespace().skip(1).collect();
        copied.extend(words[..words.len() - 1].iter().map(|word| (*word).to_owned()));
    }
    for name in &copied {
        assert!(root().join(name).exists(), "{name} does not exist");
        assert!(ignored.lines().any(|line| line == format!("!{name}")), "{name} is kept from the build");
    }
    // What the manifest names, and what the sources take in as texts.
    let mut needed =
        BTreeSet::from(["Cargo.toml", "Cargo.lock", ".cargo", "src", "README.md"].map(str::to_owned));
    let manifest: toml::Table = text_of("Cargo.toml").parse().unwrap();
    if manifest.contains_key("bench") {
        needed.insert("benches".to_owned());
    }
    for name in ["migrations", "examples", "python"] {
        let is_included = sources(&root().join("src")).iter().any(|text| {
            text.contains(&format!("/{name}/"))
                && (text.contains("include_str!") || text.contains("include_bytes!"))
        });
        if is_included {
            needed.insert(name.to_owned());
        }
    }
    let missing: Vec<_> = needed.difference(&copied).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

fn sources(folder: &Path) -> Vec<String> {
    let mut texts = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            texts.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            texts.push(std::fs::read_to_string(path).unwrap());
        }
    }
    texts
}

#[test]
fn commands_of_the_image_exist() {
    let fleet = Fleet::bare();
    let dockerfile = text_of("Dockerfile");
    let of_line = |start: &str| -> Vec<String> {
        let line = dockerfile.lines().rfind(|line| line.starts_with(start)).unwrap();
        serde_json::from_str(&line[line.find('[').unwrap()..]).unwrap()
    };
    assert_eq!(of_line("ENTRYPOINT"), ["dcm"]);
    assert_eq!(of_line("CMD"), ["--headless"]);
    let check = of_line("HEALTHCHECK");
    assert_eq!(check[0], "dcm");
    let check: Vec<_> = check[1..].iter().map(String::as_str).collect();
    // There is no manager: it says so, and is no wrong use.
    fleet.dcm(&["db", "migrate"]).ok();
    fleet.dcm(&check).refused(1, &["no manager works in"]);
    // Exit codes 0 and 1 are all that an engine takes.
    let mut served = Fleet::new();
    served.start_manager();
    assert!(served.dcm(&check).ok().out.contains("works in"));
    assert_eq!(served.dcm(&["managers", "check", "--json"]).ok().json()["is_live"], true);
    let user = dockerfile.lines().rfind(|line| line.starts_with("USER "));
    assert_eq!(user, Some("USER dcm"), "apps are not root's");
}

#[test]
fn compose_is_what_it_says() {
    let text = text_of("compose.yaml");
    for secret in ["PASSWORD:", "PASS:"] {
        assert!(!text.contains(secret), "a password is no text of compose.yaml");
    }
    let script = "import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))";
    let parsed =
        Command::new("python3").args(["-c", script]).arg(root().join("compose.yaml")).output().unwrap();
    let Ok(compose) = serde_json::from_slice::<Value>(&parsed.stdout) else {
        let error = String::from_utf8_lossy(&parsed.stderr);
        assert!(error.contains("No module named 'yaml'"), "{error}");
        return;
    };
    let services = compose["services"].as_object().unwrap();
    for (name, service) in services {
        for secret in service["secrets"].as_array().into_iter().flatten() {
            let secret = secret["source"].as_str().or(secret.as_str()).unwrap();
            assert!(compose["secrets"][secret]["file"].is_string(), "{name}: {secret}");
            let file = compose["secrets"][secret]["file"].as_str().unwrap().trim_start_matches("./");
            assert!(text.contains(&format!("> {file}")), "nothing says how {file} is made");
        }
        for (other, how) in service["depends_on"].as_object().into_iter().flatten() {
            assert_eq!(how["condition"], "service_healthy");
            assert!(services[other]["healthcheck"]["test"].is_array(), "{other}");
        }
        for volume in service["volumes"].as_array().into_iter().flatten() {
            let volume = volume.as_str().unwrap().split(':').next().unwrap();
            assert!(volume.contains(['$', '/']) || compose["volumes"].get(volume).is_some(), "{volume}");
        }
        assert!(service["stop_grace_period"].is_string(), "{name}");
    }
    let dcm = &services["dcm"];
    let within: u64 = dcm["environment"]["DC_STOP_APPS_WITHIN"].as_str().unwrap().parse().unwrap();
    let limit = dcm["stop_grace_period"].as_str().unwrap().trim_end_matches('s').parse::<u64>().unwrap();
    assert!(limit >= within + 3, "the record takes its time, too");
    assert!(dcm["init"].is_null(), "dcm is process 1 and reaps by itself");
}

#[test]
fn secrets_come_from_files_as_containers_have_them() {
    let mut fleet = Fleet::bare();
    let secret = fleet.dir.path().join("secret");
    fleet.set("DC_DB_MAIN_IP", "127.0.0.1");
    fleet.set("DC_DB_MAIN_PORT", "1");
    fleet.set("DC_DB_MAIN_PASSWORD_FILE", secret.to_str().unwrap());
    fleet.dcm(&["status"]).refused(2, &["DC_DB_MAIN_PASSWORD_FILE: cannot read "]);
    std::fs::write(&secret, "\n").unwrap();
    fleet.dcm(&["status"]).refused(2, &["is empty"]);
    std::fs::write(&secret, "hunter2\n").unwrap();
    let called = fleet.dcm(&["status"]).refused(75, &["127.0.0.1:1"]);
    assert!(!format!("{called:?}").contains("hunter2"));
    fleet.set("DC_DB_MAIN_PASSWORD", "hunter2");
    fleet
        .dcm(&["status"])
        .refused(2, &["DC_DB_MAIN_PASSWORD and DC_DB_MAIN_PASSWORD_FILE exclude each other"]);
}

//! The files of a release, but for the builds: what is packed is unpacked, checked and installed as a user does it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// The files of a release of the program that is tested.
struct Release {
    folder: TempDir,
}

impl Release {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let wheel = folder.path().join("data_collector-0.1.0-py3-none-any.whl");
        fs::write(&wheel, "a wheel").unwrap();
        let output = folder.path().join("dist").display().to_string();
        let made = Command::new(root().join(".ci/release"))
            .args(["--output", &output, "--binary", env!("CARGO_BIN_EXE_dcm"), "--wheel"])
            .arg(&wheel)
            .env("DCM_WINDOWS_TOOLCHAIN", folder.path())
            .env("SOURCE_DATE_EPOCH", "1800000000")
            .output()
            .unwrap();
        let said = text(&made);
        assert!(made.status.success(), "{said}");
        assert!(said.contains("left out: the program for Windows"), "{said}");
        Self { folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join("dist").join(name)
    }

    fn sh(&self, script: &str) -> String {
        let done =
            Command::new("sh").args(["-ec", script]).current_dir(self.folder.path().join("dist")).output();
        let done = done.unwrap();
        assert!(done.status.success(), "{script}: {}", text(&done));
        text(&done)
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_release_is_checked_unpacked_and_installed_by_one_command() {
    let release = Release::new();
    release.sh("sha256sum --check SHA256SUMS");
    assert_eq!(release.sh("wc -l < SHA256SUMS").trim(), "3");

    release.sh("tar -xf dcm-0.1.0-x86_64-linux.tar.gz");
    let said = release.sh("PATH=$PWD/here/bin:$PATH dcm-0.1.0-x86_64-linux/install.sh --prefix $PWD/here");
    assert!(said.starts_with("dcm 0.1.0 is installed as ") && !said.contains("not in PATH"), "{said}");
    assert_eq!(release.sh("here/bin/dcm --version").trim(), "dcm 0.1.0");
    for file in [
        "share/bash-completion/completions/dcm",
        "share/zsh/site-functions/_dcm",
        "share/fish/vendor_completions.d/dcm.fish",
        "share/doc/dcm/LICENSE",
    ] {
        let path = release.file("here").join(file);
        assert!(fs::metadata(&path).unwrap().len() > 100, "{}", path.display());
    }
    // Over one that runs.
    let said = release.sh(
        "export DC_STATE_DIR=$PWD/state DC_CONFIG=/dev/null; here/bin/dcm --headless >log 2>&1 & manager=$!; \
         until grep -q 'the manager is running' log; do sleep 0.05; done; \
         dcm-0.1.0-x86_64-linux/install.sh --prefix $PWD/here; kill $manager; wait $manager",
    );
    assert!(said.contains("is installed"), "{said}");
    // What is in it can be read without the repository.
    release.sh("test -s dcm-0.1.0-x86_64-linux/docs/README.md && test -s dcm-0.1.0-x86_64-linux/LICENSE");
}

#[test]
fn the_list_of_what_is_inside_names_every_crate_once_with_licence_and_sum() {
    let listed = Command::new(root().join(".ci/sbom")).current_dir(root()).output().unwrap();
    assert!(listed.status.success(), "{}", text(&listed));
    let bom: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!((&bom["bomFormat"], &bom["specVersion"]), (&"CycloneDX".into(), &"1.5".into()));
    assert_eq!(bom["metadata"]["component"]["purl"], "pkg:cargo/dcm@0.1.0");
    let components = bom["components"].as_array().unwrap();
    let mut references: Vec<_> = components.iter().map(|entry| entry["bom-ref"].as_str().unwrap()).collect();
    references.dedup();
    assert_eq!(references.len(), components.len());
    for component in components {
        assert!(component["licenses"][0]["expression"].is_string(), "{component}");
        assert_eq!(component["hashes"][0]["content"].as_str().map(str::len), Some(64), "{component}");
    }
    let has = |name: &str| components.iter().any(|entry| entry["name"] == name);
    assert!(has("rusqlite") && has("windows-sys") && !has("insta") && !has("vt100"));
}

#[test]
fn who_may_not_install_is_told_how() {
    let folder = tempfile::tempdir().unwrap();
    let told =
        Command::new(root().join(".ci/install.sh")).args(["--prefix", "/proc/nowhere"]).output().unwrap();
    assert_eq!(told.status.code(), Some(1));
    assert!(
        text(&told).contains("cannot be written to; sudo ./install.sh, or ./install.sh --prefix"),
        "{}",
        text(&told)
    );
    let told =
        Command::new(root().join(".ci/release")).args(["--out", "x"]).current_dir(&folder).output().unwrap();
    assert_eq!((told.status.code(), text(&told).trim()), (Some(2), "release: unknown option --out"));
}

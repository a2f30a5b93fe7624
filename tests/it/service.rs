//! `dcm service` where systemd does not run the host, and the unit that it prints.

use std::path::Path;
use std::process::{Command, Output};

use crate::fleet::{Called, Fleet};

/// Has systemd's own parser look at a unit.
fn verify(folder: &Path, unit: &str) -> Output {
    let place = folder.join("data-collector-manager.service");
    std::fs::write(&place, unit).unwrap();
    let mut command = Command::new("systemd-analyze");
    command.args(["verify", "--recursive-errors=no", "--man=no"]).arg(&place).output().unwrap()
}

fn lines_of<'a>(unit: &'a str, key: &str) -> Vec<&'a str> {
    unit.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect()
}

#[test]
fn systemd_understands_each_line_of_the_unit() {
    let fleet = Fleet::bare();
    let folder = fleet.dir.path().join("a b");
    std::fs::create_dir(&folder).unwrap();
    for arguments in [&["service", "print"][..], &["service", "print", "--user", "--cwd", "a b"]] {
        let unit = fleet.dcm(arguments).ok().out;
        let verified = verify(&folder, &unit);
        let said = String::from_utf8_lossy(&verified.stderr);
        assert!(verified.status.success() && said.is_empty(), "{said}\n{unit}");
        // That it would have told: one key is misspelt.
        let misspelt = verify(&folder, &unit.replace("KillMode=", "KilMode="));
        assert!(!misspelt.status.success(), "{misspelt:?}");
    }
}

#[test]
fn the_unit_has_what_the_call_says_and_no_secret() {
    let mut fleet = Fleet::bare();
    let folder = fleet.dir.path().join("collectors");
    std::fs::create_dir(&folder).unwrap();
    let unit = fleet.dcm(&["service", "print", "--name", "zg 01", "--cwd", "collectors"]).ok().out;
    let state = fleet.state().display().to_string();
    let program = env!("CARGO_BIN_EXE_dcm");
    assert_eq!(
        lines_of(&unit, "ExecStart"),
        [format!("{program} --headless --state-dir {state} --config /dev/null --name \"zg 01\"")]
    );
    assert_eq!(lines_of(&unit, "RequiresMountsFor"), [state]);
    assert_eq!(lines_of(&unit, "WorkingDirectory"), [folder.display().to_string()]);
    // Only the directory that systemd makes has a line for that.
    assert_eq!(lines_of(&unit, "StateDirectory"), Vec::<&str>::new());

    let json = fleet.dcm(&["service", "print", "--json", "--database", "postgres://ana@db/dcm"]).ok().json();
    let unit = json["unit"].as_str().unwrap();
    assert!(lines_of(unit, "ExecStart")[0].ends_with("--database postgres://ana@db/dcm"), "{unit}");

    fleet.dcm(&["service", "print", "--cwd", "nowhere"]).refused(2, &["nowhere", "no such directory"]);

    let secret = ["service", "print", "--database", "postgres://ana:hunter2@db/dcm"];
    let refused = fleet.dcm(&secret).refused(2, &["holds a password", "/etc/dcm/dcm.env", "mode 600"]);
    assert!(!refused.err.contains("hunter2") && refused.out.is_empty(), "{refused:?}");
    fleet.set("DC_DB_MAIN_IP", "db");
    fleet.set("DC_DB_MAIN_PASSWORD", "hunter2");
    let refused = fleet.dcm(&["service", "install"]).refused(2, &["holds a password"]);
    assert!(!refused.err.contains("hunter2"), "{refused:?}");
}

#[test]
fn the_environment_of_python_goes_with_the_service() {
    let mut fleet = Fleet::bare();
    fleet.set("VIRTUAL_ENV", "/opt/collectors/venv");
    let unit = fleet.dcm(&["service", "print"]).ok().out;
    assert_eq!(lines_of(&unit, "Environment"), ["VIRTUAL_ENV=/opt/collectors/venv"]);
    // The file names an interpreter, so the environment decides nothing.
    let file = fleet.dir.path().join("dcm.toml");
    std::fs::write(&file, "python = '/usr/bin/python3'\n").unwrap();
    let unit = fleet.dcm(&["service", "print", "--config", file.to_str().unwrap()]).ok().out;
    assert_eq!(lines_of(&unit, "Environment"), Vec::<&str>::new());
    assert!(lines_of(&unit, "ExecStart")[0].contains(&format!("--config {}", file.display())), "{unit}");
}

#[test]
fn without_systemd_only_print_and_status_work() {
    let fleet = Fleet::with_manager();
    // Where systemd runs the host of the test, it is hidden.
    let dcm = |arguments: &[&str]| {
        let mut command = Command::new("unshare");
        command.args([
            "--map-root-user",
            "--mount",
            "sh",
            "-c",
            "mount -t tmpfs none /run && exec \"$0\" \"$@\"",
        ]);
        command.arg(env!("CARGO_BIN_EXE_dcm")).args(arguments);
        command.env("DC_STATE_DIR", fleet.state()).env("DC_CONFIG", "/dev/null");
        Called::from(command.output().unwrap())
    };
    let words = ["not run by systemd", "/run/systemd/system", "dcm --headless", "dcm service print"];
    for verb in ["install", "uninstall", "start", "stop", "restart"] {
        dcm(&["service", verb]).refused(1, &words);
        dcm(&["service", verb, "--user"]).refused(1, &words);
    }
    let status = dcm(&["service", "status", "--json"]).ok();
    let json = status.json();
    assert_eq!((json["installed"].as_bool(), json["active"].as_str()), (Some(false), None), "{json}");
    // A manager that something else started is known all the same.
    assert_eq!(json["manager"]["pid"], fleet.manager_pid(), "{json}");
    let text = dcm(&["service", "status"]).ok();
    assert!(text.out.contains("installed no") && text.out.contains(": live, 0 apps"), "{text:?}");
    assert!(text.err.contains("not run by systemd"), "{text:?}");
}

//! The service under a real systemd, which is process 1 of namespaces of its own (`tests/systemd/boot.sh`).

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use tempfile::TempDir;

use crate::fleet::{Called, PATIENCE, until_gone};

const UNIT: &str = "data-collector-manager.service";

const UNIT_FILE: &str = "/etc/systemd/system/data-collector-manager.service";

/// A systemd with a copy of the program. It ends, with everything that it runs, when this is dropped.
struct Systemd {
    dir: TempDir,
    script: Child,
    /// Process 1 of the namespaces, as the host numbers it.
    pid: u32,
}

impl Systemd {
    fn boot() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/systemd/boot.sh");
        let log = std::fs::File::create(dir.path().join("log")).unwrap();
        let script = Command::new(script)
            .arg(dir.path().join("root"))
            .arg(env!("CARGO_BIN_EXE_dcm"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .process_group(0)
            .spawn()
            .unwrap();
        let mut systemd = Self { dir, script, pid: 0 };
        systemd.until("systemd runs", |systemd| {
            // The script becomes unshare, whose child becomes systemd.
            let parent = systemd.script.id();
            let children = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"));
            systemd.pid = children.ok()?.split_whitespace().next()?.parse().ok()?;
            let state = systemd.call(&["systemctl", "is-system-running"]).out;
            matches!(state.trim(), "running" | "degraded").then_some(())
        });
        systemd
    }

    /// What the boot and the service have said.
    fn log(&self) -> String {
        let boot = std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
        boot + &self.call(&["journalctl", "--no-pager", "-u", UNIT]).out
    }

    /// Calls a program beside systemd.
    fn call(&self, words: &[&str]) -> Called {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.pid.to_string(), "-m", "-p", "-u", "-i", "-C", "-r", "-w"]);
        command.args(words).env_clear().env("PATH", "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        Called::from(command.stdin(Stdio::null()).output().unwrap())
    }

    fn dcm(&self, arguments: &[&str]) -> Called {
        self.call(&[&["/opt/dcm/dcm"], arguments].concat())
    }

    fn shell(&self, script: &str) -> String {
        self.call(&["sh", "-c", script]).ok().out
    }

    fn until<T>(&mut self, what: &str, ask: impl Fn(&mut Self) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(answer) = ask(self) {
                return answer;
            }
            assert!(Instant::now() < deadline, "waited in vain: {what}\n{}", self.log());
            std::thread::park_timeout(std::time::Duration::from_millis(50));
        }
    }

    /// The process of the manager, as the namespaces number it.
    fn manager(&self) -> String {
        self.shell(&format!("systemctl show -p MainPID --value {UNIT}")).trim().to_owned()
    }

    /// Waits until another process than this one is the manager and has taken up its fleet.
    fn until_another(&mut self, manager: &str) -> String {
        self.until("another manager", |systemd| {
            let is_active = systemd.call(&["systemctl", "is-active", UNIT]).out.trim() == "active";
            Some(systemd.manager()).filter(|now| is_active && now != "0" && now != manager)
        })
    }

    fn status(&self) -> serde_json::Value {
        self.dcm(&["service", "status", "--json"]).ok().json()
    }
}

impl Drop for Systemd {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("what systemd said:\n{}", self.log());
        }
        // Process 1 takes with it whatever is in its namespaces, and their mounts.
        let _ = Command::new("kill").args(["-9", &self.pid.to_string()]).stderr(Stdio::null()).status();
        let _ = self.script.kill();
        let _ = self.script.wait();
        if let Ok(cgroup) = std::fs::read_to_string(self.dir.path().join("root.cgroup")) {
            let folders = ["-depth", "-type", "d", "-exec", "rmdir", "{}", ";"];
            let deadline = Instant::now() + PATIENCE;
            // A cgroup is empty a moment after its last process has ended.
            while PathBuf::from(cgroup.trim()).exists() && Instant::now() < deadline {
                let _ = Command::new("find").arg(cgroup.trim()).args(folders).stderr(Stdio::null()).status();
            }
        }
    }
}

#[test]
fn apps_outlive_whatever_becomes_of_the_service() {
    let mut systemd = Systemd::boot();
    systemd.dcm(&["service", "start"]).refused(1, &["not installed", "dcm service install"]);
    let installed = systemd.dcm(&["service", "install", "--now"]).ok();
    assert!(installed.out.contains(&format!("{UNIT_FILE}: written")), "{installed:?}");
    let status = systemd.status();
    assert_eq!((&status["enabled"], &status["active"]), (&"enabled".into(), &"active".into()), "{status}");
    assert_eq!(status["manager"]["pid"], status["pid"], "{status}");
    // Once is as good as twice.
    let again = systemd.dcm(&["service", "install"]).ok();
    assert!(again.out.contains("as it was"), "{again:?}");

    systemd.dcm(&["app", "add", "a/b/c", "--enable", "--", "sh", "-c", "echo $$; exec sleep 10000"]).ok();
    systemd.dcm(&["start", "a/b/c", "--wait"]).ok();
    let app = systemd.until("the app has written its pid", |systemd| {
        let pid = systemd.dcm(&["logs", "a/b/c"]).out.trim().to_owned();
        (!pid.is_empty()).then_some(pid)
    });
    let lives = |systemd: &Systemd| {
        assert_eq!(systemd.shell(&format!("cat /proc/{app}/comm")).trim(), "sleep");
    };
    systemd.until("the status", |systemd| (systemd.status()["status"] == "1 app, 1 running").then_some(()));

    let first = systemd.manager();
    systemd.dcm(&["service", "restart"]).ok();
    let second = systemd.until_another(&first);
    lives(&systemd);
    systemd.shell(&format!("kill -9 {second}"));
    let third = systemd.until_another(&second);
    lives(&systemd);

    systemd.shell("mkdir -p /etc/dcm; printf '[limits]\\nrunning = 7\\n' > /etc/dcm/dcm.toml");
    systemd.shell(&format!("systemctl reload {UNIT}"));
    systemd.until("the new limit", |systemd| {
        (systemd.dcm(&["managers", "--json"]).ok().json()[0]["running_max"] == 7).then_some(())
    });
    assert_eq!(systemd.manager(), third);

    // One that hangs is replaced; a stopped process dies of KILL alone, which comes after TimeoutAbortSec.
    let drop_in = format!("{UNIT_FILE}.d");
    systemd.shell(&format!(
        "mkdir {drop_in}; printf '[Service]\\nWatchdogSec=2\\nTimeoutAbortSec=1\\n' > {drop_in}/test.conf; \
         systemctl daemon-reload"
    ));
    systemd.dcm(&["service", "restart"]).ok();
    let fourth = systemd.until_another(&third);
    systemd.shell(&format!("kill -STOP {fourth}"));
    let fifth = systemd.until_another(&fourth);
    // Nothing else started it again.
    assert_eq!(systemd.status()["restarts"], 1);
    lives(&systemd);

    // The program is replaced under the running service and its shims, and back again. A shim of a file that is not there
    // any more still writes down how its app ended, and a manager of another file reads it.
    let script = "while [ ! -e /tmp/end ]; do sleep 0.1; done; exit 7";
    systemd.dcm(&["app", "add", "a/b/old", "--enable", "--", "sh", "-c", script]).ok();
    systemd.dcm(&["start", "a/b/old", "--wait"]).ok();
    for name in ["new", "old"] {
        systemd.shell(&format!("cp /opt/dcm/dcm /opt/dcm/{name} && mv /opt/dcm/{name} /opt/dcm/dcm"));
        let before = systemd.manager();
        systemd.dcm(&["service", "restart"]).ok();
        systemd.until_another(&before);
        lives(&systemd);
        assert_eq!(systemd.shell(&format!("pgrep -P $(cut -d' ' -f4 /proc/{app}/stat)")).trim(), app);
    }
    assert_ne!(systemd.manager(), fifth);
    systemd.shell("touch /tmp/end");
    systemd.until("the exit code", |systemd| {
        (systemd.dcm(&["history", "a/b/old", "--json"]).ok().json()[0]["exit_code"] == 7).then_some(())
    });

    systemd.dcm(&["service", "stop"]).ok();
    assert_eq!(systemd.status()["active"], "inactive");
    lives(&systemd);
    let removed = systemd.dcm(&["service", "uninstall"]).ok();
    assert!(removed.out.contains("removed"), "{removed:?}");
    systemd.dcm(&["service", "uninstall"]).ok();
    assert_eq!(systemd.status()["installed"], false);
    lives(&systemd);
    systemd.dcm(&["stop-apps"]).ok();
    assert_ne!(systemd.call(&["test", "-e", &format!("/proc/{app}")]).code, 0);
}

#[test]
fn an_edited_unit_is_kept_and_rights_are_asked_for() {
    let systemd = Systemd::boot();
    let nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "/opt/dcm/dcm"];
    let as_nobody =
        |verb: &str| systemd.call(&[&nobody[..], &["--state-dir", "/tmp/x", "service", verb]].concat());
    as_nobody("install").refused(1, &["may not write", UNIT_FILE, "sudo", "--user"]);
    systemd.dcm(&["service", "install"]).ok();
    systemd.shell(&format!("sed -i 's/^RestartSec=.*/RestartSec=9/' {UNIT_FILE}"));
    for verb in ["install", "uninstall"] {
        systemd.dcm(&["service", verb]).refused(1, &["edited by hand", "--force"]);
    }
    assert_eq!(systemd.status()["edited"], true);
    assert_eq!(systemd.shell(&format!("grep -c RestartSec=9 {UNIT_FILE}")).trim(), "1");
    let json = systemd.dcm(&["service", "install", "--force", "--json"]).ok().json();
    let backup = json["backup"].as_str().unwrap();
    assert_eq!(systemd.shell(&format!("grep -c RestartSec=9 {backup}")).trim(), "1");
    assert_eq!((&json["change"], &systemd.status()["edited"]), (&"replaced".into(), &false.into()));
    // A unit that is as dcm wrote it follows the flags of the call.
    let json = systemd.dcm(&["service", "install", "--name", "zg-01", "--json"]).ok().json();
    assert_eq!((&json["change"], &json["backup"]), (&"replaced".into(), &serde_json::Value::Null));
    assert_eq!(systemd.shell(&format!("grep -c -e '--name zg-01' {UNIT_FILE}")).trim(), "1");
    let pid = systemd.pid;
    // In order: systemd switches off.
    send_signal_to_end(pid);
}

/// SIGRTMIN+4 is what systemd takes for `poweroff`.
fn send_signal_to_end(pid: u32) {
    let signal = (libc::SIGRTMIN() + 4).to_string();
    let sent = Command::new("kill").args([&format!("-{signal}"), &pid.to_string()]).status().unwrap();
    assert!(sent.success());
    until_gone(pid);
}

//! The console in a terminal that people use: what tmux shows is what the console believes to be there.
//! A terminal of the tests knows only what its makers thought of.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::fleet::{Fleet, PATIENCE};

const DOWN: &str = "Down";

/// A tmux of its own.
struct Tmux {
    socket: PathBuf,
    folder: PathBuf,
}

impl Tmux {
    fn open(fleet: &Fleet, (columns, rows): (u16, u16)) -> Self {
        let folder = fleet.dir.path().to_owned();
        let tmux = Self { socket: folder.join("tmux"), folder };
        let (columns, rows) = (columns.to_string(), rows.to_string());
        let mut command = tmux.command();
        command.args(["new-session", "-d", "-x", &columns, "-y", &rows]).current_dir(&tmux.folder);
        command.env("DC_STATE_DIR", tmux.folder.join("state")).env("DC_CONFIG", "/dev/null");
        command.env("HOME", &tmux.folder).env("XDG_STATE_HOME", &tmux.folder).env_remove("NO_COLOR");
        command.args([env!("CARGO_BIN_EXE_dcm"), "--client"]);
        assert!(command.status().unwrap().success(), "tmux is missing: tests/run.sh installs it");
        tmux
    }

    fn command(&self) -> Command {
        let mut command = Command::new("tmux");
        command.args(["-u", "-f", "/dev/null", "-S"]).arg(&self.socket).stdin(Stdio::null());
        command.env("TERM", "xterm-256color").env("LANG", "C.UTF-8").env_remove("TMUX");
        command
    }

    fn press(&self, keys: &[&str]) {
        assert!(self.command().arg("send-keys").args(keys).status().unwrap().success());
    }

    fn resize(&self, columns: u16, rows: u16) {
        let (columns, rows) = (columns.to_string(), rows.to_string());
        let resized = self.command().args(["resize-window", "-x", &columns, "-y", &rows]).status();
        assert!(resized.unwrap().success());
    }

    fn screen(&self) -> Vec<String> {
        let output = self.command().args(["capture-pane", "-p"]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().lines().map(|line| line.trim_end().to_owned()).collect()
    }

    /// Each look is a process of its own, which takes long enough.
    fn until<T>(&self, what: &str, look: impl Fn(&[String]) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let screen = self.screen();
            if let Some(found) = look(&screen) {
                return found;
            }
            assert!(Instant::now() < deadline, "waited in vain for {what}:\n{}", screen.join("\n"));
        }
    }

    fn saved(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(&self.folder).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.extension().is_some_and(|ending| ending == "txt")).collect()
    }

    /// Saves what the console shows, and waits until tmux shows the same. The header has a clock and the
    /// foot tells of the file.
    fn agrees(&self, after: &str) {
        let before = self.saved();
        self.press(&["C-s"]);
        self.until("the menu of files", |screen| {
            screen.iter().any(|line| line.contains("text of the screen")).then_some(())
        });
        self.press(&[DOWN, "Enter"]);
        let file = self.until("the file", |_| self.saved().into_iter().find(|path| !before.contains(path)));
        let believed = std::fs::read_to_string(file).unwrap();
        let believed: Vec<_> = believed.lines().map(|line| line.trim_end().to_owned()).collect();
        assert!(believed.len() > 8, "{believed:?}");
        let body = 3..believed.len() - 2;
        self.until(
            &format!("what the console believes to show after {after}:\n{}\n", believed.join("\n")),
            |screen| (screen.get(body.clone()) == believed.get(body.clone())).then_some(()),
        );
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        let _ = self.command().arg("kill-server").output();
    }
}

#[test]
fn tmux_shows_what_the_console_believes_to_show() {
    let fleet = Fleet::with_manager();
    let app = |number: usize| {
        let parent = ["fina", "court", "bank"][number % 3];
        format!("[[app]]\npath = \"croatia/{parent}/app-{number:02}\"\ncommand = [\"true\"]\n")
    };
    let apps: Vec<_> = (0..60).map(app).collect();
    let file = fleet.dir.path().join("fleet.toml");
    std::fs::write(&file, apps.concat()).unwrap();
    fleet.dcm(&["app", "import", file.to_str().unwrap()]).ok();
    let tmux = Tmux::open(&fleet, (100, 30));
    tmux.until("the fleet", |screen| screen.iter().any(|line| line.contains("60 apps")).then_some(()));
    tmux.press(&["+"]);
    tmux.until("all apps", |screen| screen.iter().any(|line| line.contains("app-02")).then_some(()));
    tmux.agrees("opening everything");
    tmux.press(&[DOWN; 35]);
    tmux.agrees("scrolling by lines");
    tmux.press(&["PageDown", "PageUp", "PageDown", "k", "k"]);
    tmux.agrees("pages");
    tmux.press(&["2"]);
    tmux.agrees("another screen");
    tmux.press(&["1", "?"]);
    tmux.until("the help", |screen| screen.iter().any(|line| line.contains("help: Fleet")).then_some(()));
    tmux.press(&["Escape"]);
    tmux.until("the fleet", |screen| screen.iter().any(|line| line.contains("app-36")).then_some(()));
    tmux.agrees("the help");
    tmux.resize(80, 24);
    tmux.agrees("a smaller window");
    tmux.resize(180, 50);
    tmux.press(&["End", "Home"]);
    tmux.agrees("a larger window");
}

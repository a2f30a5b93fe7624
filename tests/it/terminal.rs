//! A terminal with the real program on it.

use std::io::{Read as _, Write as _};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use crate::fleet::Fleet;

/// How long a screen may take on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(30);

/// A terminal with a program on it.
pub(crate) struct Terminal {
    pub(crate) master: Box<dyn MasterPty + Send>,
    writer: Box<dyn std::io::Write + Send>,
    pub(crate) child: Box<dyn Child + Send + Sync>,
    pub(crate) screen: Arc<(Mutex<vt100::Parser>, Condvar)>,
}

impl Terminal {
    pub(crate) fn open(fleet: &Fleet, arguments: &[&str], (columns, rows): (u16, u16)) -> Self {
        let size = PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_dcm"));
        command.args(arguments);
        command.env("DC_STATE_DIR", fleet.state());
        command.env("DC_CONFIG", "/dev/null");
        command.env("TMPDIR", fleet.dir.path());
        command.env("TERM", "xterm-256color");
        command.env("LC_ALL", "C.UTF-8");
        command.cwd(fleet.dir.path());
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let screen = Arc::new((Mutex::new(vt100::Parser::new(rows, columns, 0)), Condvar::new()));
        let mut reader = pair.master.try_clone_reader().unwrap();
        let shared = Arc::clone(&screen);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(length @ 1..) = reader.read(&mut bytes) {
                shared.0.lock().unwrap().process(&bytes[..length]);
                shared.1.notify_all();
            }
        });
        let writer = pair.master.take_writer().unwrap();
        Self { master: pair.master, writer, child, screen }
    }

    pub(crate) fn press(&mut self, keys: &str) {
        self.writer.write_all(keys.as_bytes()).unwrap();
        self.writer.flush().unwrap();
    }

    /// Waits until the screen is as asked for; every output is an occasion to look.
    pub(crate) fn until(&self, what: &str, is_so: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut parser = self.screen.0.lock().unwrap();
        loop {
            let text = parser.screen().contents();
            if is_so(&text) {
                return text;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited in vain for {what}:\n{text}");
            parser = self.screen.1.wait_timeout(parser, left).unwrap().0;
        }
    }

    pub(crate) fn until_text(&self, text: &str) -> String {
        self.until(text, |screen| screen.contains(text))
    }

    pub(crate) fn is_alternate(&self) -> bool {
        self.screen.0.lock().unwrap().screen().alternate_screen()
    }

    /// A question that has just been opened does not hear at once.
    pub(crate) fn answer(&mut self, question: &str, keys: &str, is_done: impl Fn(&str) -> bool) {
        self.until_text(question);
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.press(keys);
            let parser = self.screen.0.lock().unwrap();
            let (parser, _) = self.screen.1.wait_timeout(parser, Duration::from_millis(200)).unwrap();
            if is_done(&parser.screen().contents()) {
                return;
            }
            assert!(Instant::now() < deadline, "{question} is not answered");
        }
    }

    pub(crate) fn code(&mut self) -> u32 {
        self.child.wait().unwrap().exit_code()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

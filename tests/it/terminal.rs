//! A terminal with the real program on it.

use std::io::{Read as _, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use crate::fleet::Fleet;

/// How long a screen may take on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(30);

/// A terminal with a program on it.
pub(crate) struct Terminal {
    pub(crate) master: Box<dyn MasterPty + Send>,
    writer: Keyboard,
    pub(crate) child: Box<dyn Child + Send + Sync>,
    pub(crate) screen: Arc<(Mutex<vt100::Parser>, Condvar)>,
    /// While it is locked nobody reads what the program writes.
    tap: Arc<Mutex<()>>,
    /// All that the program wrote.
    written: Arc<Mutex<Vec<u8>>>,
    /// Milliseconds between two bytes that are read.
    pause: Arc<AtomicU64>,
    reader: Option<JoinHandle<()>>,
}

impl Terminal {
    pub(crate) fn open(fleet: &Fleet, arguments: &[&str], size: (u16, u16)) -> Self {
        Self::with(fleet, arguments, size, &[])
    }

    /// With these variables in its environment.
    pub(crate) fn with(
        fleet: &Fleet,
        arguments: &[&str],
        size: (u16, u16),
        variables: &[(&str, &str)],
    ) -> Self {
        Self::run(fleet, env!("CARGO_BIN_EXE_dcm"), arguments, size, variables)
    }

    /// Another program, which may call dcm.
    pub(crate) fn run(
        fleet: &Fleet,
        program: &str,
        arguments: &[&str],
        (columns, rows): (u16, u16),
        variables: &[(&str, &str)],
    ) -> Self {
        let size = PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(program);
        command.args(arguments);
        for (name, value) in &fleet.environment {
            command.env(name, value);
        }
        command.env("DC_STATE_DIR", fleet.state());
        command.env("DC_CONFIG", "/dev/null");
        command.env("HOME", fleet.dir.path());
        command.env("XDG_STATE_HOME", fleet.dir.path().join("xdg"));
        command.env("XDG_CONFIG_HOME", fleet.dir.path().join("config"));
        command.env("TMPDIR", fleet.dir.path());
        command.env("TERM", "xterm-256color");
        command.env("LC_ALL", "C.UTF-8");
        for (name, value) in variables {
            command.env(name, value);
        }
        command.cwd(fleet.dir.path());
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let screen =
            Arc::new((Mutex::new(vt100::Parser::new(rows.max(1), columns.max(1), 0)), Condvar::new()));
        let mut reader = pair.master.try_clone_reader().unwrap();
        let (tap, written) = (Arc::<Mutex<()>>::default(), Arc::<Mutex<Vec<u8>>>::default());
        let (shared, gate, kept) = (Arc::clone(&screen), Arc::clone(&tap), Arc::clone(&written));
        let pause = Arc::<AtomicU64>::default();
        let pace = Arc::clone(&pause);
        let reading = std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            loop {
                drop(gate.lock());
                let pause = pace.load(Ordering::Relaxed);
                std::thread::park_timeout(Duration::from_millis(pause));
                let wanted = if pause > 0 { 1 } else { bytes.len() };
                let Ok(length @ 1..) = reader.read(&mut bytes[..wanted]) else { return };
                kept.lock().unwrap().extend_from_slice(&bytes[..length]);
                shared.0.lock().unwrap().process(&bytes[..length]);
                shared.1.notify_all();
            }
        });
        let writer = Keyboard(Arc::new(Mutex::new(pair.master.take_writer().unwrap())));
        Self { master: pair.master, writer, child, screen, tap, written, pause, reader: Some(reading) }
    }

    /// Nobody reads what the program writes, until the guard is dropped.
    pub(crate) fn hold(&self) -> MutexGuard<'_, ()> {
        self.tap.lock().unwrap()
    }

    /// All that the program has written so far, and forgets it.
    pub(crate) fn written(&self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut *self.written.lock().unwrap())).into_owned()
    }

    /// Waits until the program has written this, from where it was looked last.
    pub(crate) fn until_written(&self, text: &str) {
        let mut all = String::new();
        self.until(text, |_| {
            all.push_str(&self.written());
            all.contains(text)
        });
    }

    /// From now on the terminal takes a byte, and then nothing for so long.
    pub(crate) fn be_slow(&self, pause: Duration) {
        self.pause.store(u64::try_from(pause.as_millis()).unwrap(), Ordering::Relaxed);
    }

    /// Another program writes to the terminal.
    pub(crate) fn scribble(&self, text: &str) {
        self.screen.0.lock().unwrap().process(text.as_bytes());
    }

    /// The program is told of another size.
    pub(crate) fn resize_only(&self, (columns, rows): (u16, u16)) {
        let size = PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 };
        self.master.resize(size).unwrap();
    }

    /// Another terminal of this size takes over, with an empty screen.
    pub(crate) fn renew(&self, (columns, rows): (u16, u16)) {
        *self.screen.0.lock().unwrap() = vt100::Parser::new(rows, columns, 0);
        self.resize_only((columns, rows));
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.process_id().unwrap()
    }

    pub(crate) fn press(&self, keys: &str) {
        self.writer.press(keys);
    }

    /// For who holds the terminal.
    pub(crate) fn keyboard(&self) -> Keyboard {
        self.writer.clone()
    }

    /// Waits until the screen is as asked for; every output is an occasion to look.
    pub(crate) fn until(&self, what: &str, mut is_so: impl FnMut(&str) -> bool) -> String {
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
            assert!(Instant::now() < deadline, "{question} is not answered:\n{}", parser.screen().contents());
        }
    }

    /// All that the program has written until its end.
    pub(crate) fn until_end(&mut self) -> String {
        self.code();
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        self.written()
    }

    pub(crate) fn code(&mut self) -> u32 {
        self.child.wait().unwrap().exit_code()
    }
}

/// Where keys are pressed.
#[derive(Clone)]
pub(crate) struct Keyboard(Arc<Mutex<Box<dyn std::io::Write + Send>>>);

impl Keyboard {
    pub(crate) fn press(&self, keys: &str) {
        let mut writer = self.0.lock().unwrap();
        writer.write_all(keys.as_bytes()).unwrap();
        writer.flush().unwrap();
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

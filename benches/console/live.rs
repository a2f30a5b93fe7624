//! The real program on a pseudo terminal, as a client of a database that changes.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use portable_pty::{CommandBuilder, PtySize, native_pty_system};
use rusqlite::Connection;
use tempfile::TempDir;

pub(crate) const SIZE: PtySize = PtySize { rows: 40, cols: 120, pixel_width: 0, pixel_height: 0 };

/// So long is looked at what costs little.
const QUIET: Duration = Duration::from_secs(10);

pub(crate) fn measure(apps: usize) {
    let dir = fleet(apps);
    let mut program = Program::start(&dir, apps);
    let idle_keys = program.keys();
    let quiet = program.quiet();
    let stop = Arc::new(AtomicBool::new(false));
    let writer = changes(&dir, apps, Arc::clone(&stop));
    program.wait(Duration::from_secs(1));
    let busy_keys = program.keys();
    let busy = program.quiet();
    program.press(b"\x1b[O");
    let away = program.quiet();
    program.press(b"\x1b[I");
    stop.store(true, Ordering::Relaxed);
    writer.join().unwrap();
    println!(
        "{apps} apps, a client on a pseudo terminal of 120x40; aims in brackets\n  start to first byte {:.1?} (50), to rows \
         {:.1?} (300)\n  key to first byte p50/p95: idle {idle_keys} (5), while 2 % change each second {busy_keys} (16)\n  \
         idle {quiet}\n  2 % {busy} (150 B/s, 0.3 %)\n  no focus {away} (0.05 %)\n  memory {:.1} MiB (40)",
        program.first_byte,
        program.rows,
        program.memory(),
    );
    program.leave();
}

fn command(dir: &TempDir) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dcm"));
    command.env("DC_STATE_DIR", dir.path().join("state")).env("DC_CONFIG", "/dev/null");
    command
}

fn fleet(apps: usize) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut text = String::new();
    for number in 0..apps {
        let (group, parent) = (number % 12, number / 12 % 10);
        writeln!(text, "[[app]]\npath = \"group{group}/parent{parent}/app{number}\"\ninterval = 600")
            .unwrap();
    }
    let file = dir.path().join("fleet.toml");
    fs::write(&file, text).unwrap();
    let import = command(&dir).args(["app", "import"]).arg(&file).output().unwrap();
    assert!(import.status.success(), "{import:?}");
    let database = database(&dir);
    // As if a manager had started a third of them.
    database.execute_batch("UPDATE apps SET task_size = 100000, solved = 1000 WHERE rowid % 3 = 0").unwrap();
    dir
}

fn database(dir: &TempDir) -> Connection {
    let connection = Connection::open(dir.path().join("state/dcm.db")).unwrap();
    connection.busy_timeout(Duration::from_secs(10)).unwrap();
    connection
}

/// 2 % of the rows each second.
fn changes(dir: &TempDir, apps: usize, stop: Arc<AtomicBool>) -> std::thread::JoinHandle<()> {
    let database = database(dir);
    std::thread::spawn(move || {
        let mut round = 0;
        while !stop.load(Ordering::Relaxed) {
            let sql = format!("UPDATE apps SET solved = solved + 7 WHERE rowid % 50 = {}", round % 50);
            database.execute_batch(&sql).unwrap();
            round += 1;
            std::thread::park_timeout(Duration::from_secs(1));
        }
        let _ = apps;
    })
}

struct Program {
    _master: Box<dyn portable_pty::MasterPty + Send>,
    writer: Box<dyn std::io::Write + Send>,
    child: Box<dyn portable_pty::Child + Send + Sync>,
    output: Receiver<Instant>,
    bytes: Arc<AtomicU64>,
    screen: Arc<Mutex<vt100::Parser>>,
    first_byte: Duration,
    rows: Duration,
}

impl Program {
    fn start(dir: &TempDir, apps: usize) -> Self {
        let pair = native_pty_system().openpty(SIZE).unwrap();
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_dcm"));
        command.args(["--client"]);
        command.env("DC_STATE_DIR", dir.path().join("state"));
        command.env("XDG_STATE_HOME", dir.path());
        command.env("DC_CONFIG", "/dev/null");
        command.env("TERM", "xterm-256color");
        command.env("LC_ALL", "C.UTF-8");
        let start = Instant::now();
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let screen = Arc::new(Mutex::new(vt100::Parser::new(SIZE.rows, SIZE.cols, 0)));
        let bytes = Arc::new(AtomicU64::new(0));
        let (sender, output) = channel();
        let mut reader = pair.master.try_clone_reader().unwrap();
        let (shared, counter) = (Arc::clone(&screen), Arc::clone(&bytes));
        std::thread::spawn(move || {
            let mut buffer = vec![0; 65536];
            while let Ok(length @ 1..) = reader.read(&mut buffer) {
                let now = Instant::now();
                counter.fetch_add(length as u64, Ordering::Relaxed);
                shared.lock().unwrap().process(&buffer[..length]);
                let _ = sender.send(now);
            }
        });
        let first_byte = output.recv().unwrap() - start;
        let shown = format!("{} apps", grouped(apps));
        let rows = loop {
            let at = output.recv_timeout(Duration::from_secs(30)).unwrap();
            let text = screen.lock().unwrap().screen().contents();
            if text.contains(&shown) && text.contains("group11") {
                break at - start;
            }
        };
        let writer = pair.master.take_writer().unwrap();
        Self { _master: pair.master, writer, child, output, bytes, screen, first_byte, rows }
    }

    fn press(&mut self, keys: &[u8]) {
        self.writer.write_all(keys).unwrap();
        self.writer.flush().unwrap();
    }

    fn wait(&self, time: Duration) {
        let end = Instant::now() + time;
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            let _ = self.output.recv_timeout(left);
        }
    }

    /// From a key to the first byte of the answer.
    fn keys(&mut self) -> String {
        let mut times = Vec::new();
        for number in 0..120_u64 {
            // Not in step with the clock of the header.
            self.wait(Duration::from_millis(23 + number % 7 * 5));
            while self.output.try_recv().is_ok() {}
            let start = Instant::now();
            self.press(if number % 2 == 0 { b"j" } else { b"k" });
            times.push(self.output.recv_timeout(Duration::from_secs(5)).unwrap() - start);
        }
        times.sort_unstable();
        format!("{:.1?}/{:.1?}", times[60], times[114])
    }

    fn quiet(&self) -> String {
        let (bytes, processor) = (self.bytes.load(Ordering::Relaxed), self.processor());
        self.wait(QUIET);
        let seconds = QUIET.as_secs();
        let bytes = (self.bytes.load(Ordering::Relaxed) - bytes) / seconds;
        // A tick is a hundredth of a second, so ticks a second are hundredths of a core.
        #[expect(clippy::cast_precision_loss, reason = "it is a small number")]
        let share = (self.processor() - processor) as f64 / seconds as f64;
        format!("{bytes} B/s, {share:.2} % of a core")
    }

    fn stat(&self, name: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{name}", self.child.process_id().unwrap())).unwrap()
    }

    fn processor(&self) -> u64 {
        let stat = self.stat("stat");
        let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_ascii_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }

    fn memory(&self) -> f64 {
        let status = self.stat("status");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_ascii_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
    }

    fn leave(mut self) {
        self.press(b"q");
        assert!(self.child.wait().unwrap().success());
        drop(self.screen);
    }
}

fn grouped(number: usize) -> String {
    if number >= 1000 { format!("{},{:03}", number / 1000, number % 1000) } else { number.to_string() }
}

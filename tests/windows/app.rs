//! The app of `tests/windows.sh`. What it does is its first argument.

use std::io::{Write, stdout};
use std::process::{Command, exit};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::park_timeout;
use std::time::Duration;

static ASKED: AtomicBool = AtomicBool::new(false);

unsafe extern "system" {
    fn SetConsoleCtrlHandler(handler: extern "system" fn(u32) -> i32, add: i32) -> i32;
}

extern "system" fn note(_event: u32) -> i32 {
    ASKED.store(true, Ordering::SeqCst);
    1
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    // SAFETY: the function is there for as long as the process lives.
    unsafe { SetConsoleCtrlHandler(note, 1) };
    say(&format!("pid {} runs {words:?}", std::process::id()));
    match words[..] {
        ["exit", code] => {
            say("::dcm {\"task_size\": 10, \"solved\": 4, \"message\": \"nearly\"}");
            eprintln!("about to end");
            exit(code.parse().unwrap())
        }
        ["wait", file, code] => {
            let mut turns = 0;
            while !std::path::Path::new(file).exists() {
                park_timeout(Duration::from_millis(50));
                turns += 1;
                if turns % 10 == 0 {
                    say(&format!("turn {turns}"));
                }
            }
            say("the file is there");
            exit(code.parse().unwrap())
        }
        ["polite"] => {
            while !ASKED.load(Ordering::SeqCst) {
                park_timeout(Duration::from_millis(20));
            }
            say("asked to end");
            exit(7)
        }
        ["stubborn"] => {
            let child = Command::new(std::env::current_exe().unwrap()).arg("child").spawn().unwrap();
            say(&format!("child {}", child.id()));
            sleep_for_ever()
        }
        ["parent", code] => {
            Command::new(std::env::current_exe().unwrap()).arg("child").spawn().unwrap();
            exit(code.parse().unwrap())
        }
        ["report"] => {
            let dcm = std::env::var("DC_PROGRAM").unwrap();
            let status = Command::new(dcm).args(["report", "--solved", "7"]).status().unwrap();
            exit(if status.success() { 0 } else { 1 })
        }
        ["flood", lines] => {
            for line in 1..=lines.parse().unwrap() {
                println!("line {line} {}", "x".repeat(80));
            }
        }
        ["child"] => sleep_for_ever(),
        _ => exit(99),
    }
}

fn say(text: &str) {
    println!("{text}");
    stdout().flush().unwrap();
}

fn sleep_for_ever() -> ! {
    loop {
        park_timeout(Duration::from_secs(3600));
    }
}

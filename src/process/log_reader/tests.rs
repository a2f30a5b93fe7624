use std::io::Write as _;

use super::*;

const AT: &str = "2026-11-23T14:02:11.123Z";

fn record(number: usize) -> String {
    format!("2026-11-23T14:02:11.{:03}Z o F line {number}\n", number % 1000)
}

fn texts(records: &[LogRecord]) -> Vec<String> {
    records.iter().map(|record| String::from_utf8_lossy(&record.text).into_owned()).collect()
}

fn more(tail: &mut LogTail) -> Vec<String> {
    texts(&tail.more().unwrap())
}

struct Log {
    _folder: tempfile::TempDir,
    files: LogFiles,
}

impl Log {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = LogFiles::of(&folder.path().join("run.log"));
        Self { _folder: folder, files }
    }

    fn append(&self, text: &str) {
        let mut file = File::options().create(true).append(true).open(&self.files.newest).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn last(&self, count: usize) -> Vec<String> {
        texts(&LogTail::open(&self.files.newest, count).unwrap().1)
    }
}

#[test]
fn the_tail_of_small_large_and_rotated_logs() {
    let log = Log::new();
    assert!(log.last(10).is_empty());
    fs::write(&log.files.head, (0..2000).map(record).collect::<String>()).unwrap();
    fs::write(&log.files.older, (2000..5000).map(record).collect::<String>()).unwrap();
    fs::write(&log.files.newest, (5000..10_000).map(record).collect::<String>()).unwrap();
    for count in [0, 1, 2, 100, 4999, 5000, 5001, 7999, 8000, 8001, 9999, 10_000, 20_000] {
        let lines = log.last(count);
        assert_eq!(lines.len(), count.min(10_000), "{count}");
        if count > 0 {
            assert_eq!(lines.last().unwrap(), "line 9999");
        }
    }
}

#[test]
fn lines_are_counted_and_not_their_pieces() {
    let log = Log::new();
    log.append(&format!("{AT} o P one\n{AT} o F  and a half\n{AT} e P error\n{AT} o P two\n"));
    log.append(&format!("{AT} e F  of a kind\n{AT} o F  and more\n{AT} o P prompt> \n"));
    assert_eq!(log.last(1), ["prompt> "]);
    assert_eq!(log.last(2), ["two", " and more", "prompt> "]);
    assert_eq!(log.last(3), ["error", "two", " of a kind", " and more", "prompt> "]);
    assert_eq!(log.last(4).len(), 7);
    // A line may be longer than what is read at once.
    for number in 0..3 {
        let piece = format!("{AT} o P {}\n", "x".repeat(8192));
        log.append(&piece.repeat(100));
        log.append(&format!("{AT} o F end of {number}\n"));
    }
    assert_eq!(log.last(2).len(), 202);
    assert_eq!(log.last(2).last().unwrap(), "end of 2");
}

#[test]
fn following_goes_on_through_a_rotation() {
    let log = Log::new();
    log.append(&record(0));
    let (mut tail, records) = LogTail::open(&log.files.newest, 10).unwrap();
    assert_eq!(texts(&records), ["line 0"]);
    let second = record(1);
    log.append(&second[..20]);
    assert!(more(&mut tail).is_empty());
    log.append(&second[20..]);
    assert_eq!(more(&mut tail), ["line 1"]);
    log.append(&record(2));
    fs::rename(&log.files.newest, &log.files.older).unwrap();
    log.append(&record(3));
    assert_eq!(more(&mut tail), ["line 2"]);
    assert_eq!(more(&mut tail), ["line 3"]);
    assert!(more(&mut tail).is_empty());
    // Twice before anybody looks.
    fs::rename(&log.files.newest, &log.files.older).unwrap();
    log.append(&record(4));
    fs::rename(&log.files.newest, &log.files.older).unwrap();
    log.append(&record(5));
    assert_eq!(more(&mut tail), ["line 4"]);
    assert_eq!(more(&mut tail), ["line 5"]);
}

#[test]
fn following_begins_anew_in_a_log_that_was_cut_off() {
    let log = Log::new();
    log.append(&record(0));
    let (mut tail, _) = LogTail::open(&log.files.newest, 10).unwrap();
    fs::write(&log.files.newest, "").unwrap();
    assert!(more(&mut tail).is_empty());
    log.append(&record(1));
    assert_eq!(more(&mut tail), ["line 1"]);
    fs::remove_file(&log.files.newest).unwrap();
    assert!(more(&mut tail).is_empty());
    log.append(&record(2));
    assert_eq!(more(&mut tail), ["line 2"]);
}

#[test]
fn what_is_no_record_is_shown_as_it_is() {
    let records = split(b"half a rec");
    assert_eq!((records[0].time, records[0].text.as_slice()), (None, &b"half a rec"[..]));
}

#[test]
fn of_a_progress_bar_its_last_state_is_visible() {
    for (text, visible) in [
        ("plain", "plain"),
        ("\r10%\r20%", "20%"),
        ("\r10%\r20%\r", "20%"),
        ("crlf\r", "crlf"),
        ("", ""),
        ("\r", ""),
    ] {
        let record =
            LogRecord { time: None, stream: Stream::Err, is_complete: true, text: text.as_bytes().to_vec() };
        assert_eq!(record.visible(), visible.as_bytes(), "{text:?}");
    }
}

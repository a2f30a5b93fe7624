use std::path::Path;

use super::super::log_reader::{LogRecord, LogTail};
use super::*;
use crate::model::parse_timestamp;

fn now() -> Timestamp {
    parse_timestamp("2026-11-23T14:02:11.123Z").unwrap()
}

fn line(text: &[u8]) -> Line<'_> {
    Line { text, is_complete: true, is_start: true }
}

fn read(path: &Path) -> Vec<LogRecord> {
    LogTail::open(path, usize::MAX).unwrap().1
}

fn texts(path: &Path) -> Vec<String> {
    read(path).iter().map(|record| String::from_utf8_lossy(&record.text).into_owned()).collect()
}

fn size(path: &Path) -> u64 {
    LogFiles::of(path).in_order().iter().filter_map(|path| fs::metadata(path).ok()).map(|m| m.len()).sum()
}

/// What is there, and what the remarks say is missing.
fn sum(records: &[LogRecord]) -> (Amount, Amount) {
    let (mut kept, mut missing) = (Amount::default(), Amount::default());
    for record in records {
        let mut bytes = Vec::new();
        log_format::push(
            &mut bytes,
            "2026-11-23T14:02:11.123Z",
            record.stream,
            record.is_complete,
            &record.text,
        );
        if record.stream == Stream::Dcm { &mut missing } else { &mut kept }.add(amount_of(&bytes));
    }
    (kept, missing)
}

#[test]
fn bytes_are_kept_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("logs").join("run.log");
    let mut log = LogWriter::new(path.clone(), 1 << 20);
    let binary: Vec<u8> = (0..=255).filter(|byte| *byte != b'\n').collect();
    log.line(Stream::Out, line(&binary), now());
    log.line(Stream::Err, Line { text: b"part", is_complete: false, is_start: true }, now());
    log.flush(now());
    let records = read(&path);
    assert_eq!((records[0].text.as_slice(), records[0].stream), (binary.as_slice(), Stream::Out));
    assert_eq!((records[0].time, records[0].is_complete), (Some(now()), true));
    assert_eq!((records[1].text.as_slice(), records[1].is_complete), (&b"part"[..], false));
}

/// Random numbers that are the same each time (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// At every limit, with lines and pieces of all lengths, floods, and shims that take the place of
/// others: the limit holds after each write, the beginning and the end are there, and what is there and
/// what the one remark counts are together what was written.
#[test]
fn the_limit_holds_and_what_is_missing_is_counted_exactly() {
    for seed in 1..=40 {
        let mut random = Random(seed);
        let limit = [4096, 5000, 10_000, 65_536, 300_000][usize::try_from(random.below(5)).unwrap()];
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.log");
        let mut log = LogWriter::new(path.clone(), limit);
        let mut written = Amount::default();
        for number in 0..2000 {
            let length = match random.below(20) {
                // The last one is short enough for every limit.
                _ if number == 1999 => 0,
                0 => random.below(8193),
                1..=5 => 0,
                _ => random.below(120),
            };
            let mut text = format!("{number} ").into_bytes();
            text.resize(usize::try_from(length).unwrap().max(text.len()), b'x');
            let is_complete = random.below(10) > 0;
            let stream = if random.below(4) == 0 { Stream::Err } else { Stream::Out };
            written.add(Amount::of(&text, is_complete));
            log.line(stream, Line { text: &text, is_complete, is_start: true }, now());
            if random.below(15) == 0 {
                log.line(Stream::Dcm, line(b"a remark"), now());
            }
            if random.below(if seed % 2 == 0 { 3 } else { 500 }) == 0 {
                log.flush(now());
                assert!(size(&path) <= limit, "seed {seed}: {} of {limit}", size(&path));
            }
            if random.below(300) == 0 {
                log.flush(now());
                log = LogWriter::new(path.clone(), limit);
            }
        }
        log.flush(now());
        assert!(size(&path) <= limit, "seed {seed}: {} of {limit}", size(&path));
        assert!(size(&path) >= limit / 2, "seed {seed}: {} of {limit}", size(&path));
        let records = read(&path);
        let (kept, missing) = sum(&records);
        let mut all = kept;
        all.add(missing);
        assert_eq!(all, written, "seed {seed}");
        assert!(records[0].text.starts_with(b"0 "), "seed {seed}");
        assert!(records.iter().rev().any(|record| record.text.starts_with(b"1999 ")), "seed {seed}");
        let gaps = records.iter().filter(|record| record.text.windows(7).any(|w| w == b"missing")).count();
        assert_eq!(gaps, 1, "seed {seed}");
    }
}

#[test]
fn the_gap_is_where_it_is_said_to_be() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.log");
    let mut log = LogWriter::new(path.clone(), 8192);
    for number in 0..5000_u32 {
        log.line(Stream::Out, line(number.to_string().as_bytes()), now());
    }
    log.flush(now());
    let mut expected = 0;
    for text in texts(&path) {
        match text.parse::<u64>() {
            Ok(number) => assert_eq!(number, expected),
            Err(_) => {
                expected += text.split(' ').nth(3).unwrap().parse::<u64>().unwrap();
                continue;
            }
        }
        expected += 1;
    }
    assert_eq!(expected, 5000);
}

#[test]
fn a_follower_is_told_exactly_what_it_could_not_see() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.log");
    let mut log = LogWriter::new(path.clone(), 8192);
    let mut tail = LogTail::from_start(&path);
    let (mut written, mut seen) = (Amount::default(), Vec::new());
    for burst in [3, 400, 5, 1000, 1, 0, 90, 5000] {
        for number in 0..burst {
            let text = format!("line {number} of {burst}");
            written.add(Amount::of(text.as_bytes(), true));
            log.line(Stream::Out, line(text.as_bytes()), now());
        }
        log.flush(now());
        while let more @ [_, ..] = tail.more().unwrap().as_slice() {
            seen.extend_from_slice(more);
        }
    }
    let (mut all, missing) = sum(&seen);
    assert!(missing.lines > 1000, "{missing:?}");
    all.add(missing);
    assert_eq!(all, written);
}

#[test]
fn other_programs_may_rename_cut_off_and_remove_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep").join("run.log");
    let mut log = LogWriter::new(path.clone(), 1 << 20);
    let mut write = |text: &str| {
        log.line(Stream::Out, line(text.as_bytes()), now());
        log.flush(now());
    };
    write("one");
    // logrotate with `create`, then with `nocreate`.
    fs::rename(&path, LogFiles::of(&path).older).unwrap();
    File::create(&path).unwrap();
    write("two");
    assert_eq!(texts(&path), ["one", "two"]);
    fs::rename(&path, LogFiles::of(&path).older).unwrap();
    write("three");
    let missing = |amount| {
        format!("{amount} are missing here: log_limit was reached, or files of the log were removed")
    };
    assert_eq!(texts(&path), [missing("4 bytes in 1 lines"), "two".to_owned(), "three".to_owned()]);
    // `copytruncate`.
    fs::copy(&path, LogFiles::of(&path).older).unwrap();
    File::options().write(true).truncate(true).open(&path).unwrap();
    write("four");
    assert_eq!(texts(&path), [missing("8 bytes in 2 lines"), "three".to_owned(), "four".to_owned()]);
    fs::remove_dir_all(folder.path().join("deep")).unwrap();
    write("five");
    assert_eq!(texts(&path), [missing("19 bytes in 4 lines"), "five".to_owned()]);
}

#[test]
fn half_a_record_of_a_writer_that_was_killed_spoils_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.log");
    fs::write(&path, "2026-11-23T14:02:11.123Z o F whole\n2026-11-23T14:02:11.123Z o F hal").unwrap();
    let mut log = LogWriter::new(path.clone(), 1 << 20);
    log.line(Stream::Out, line(b"next"), now());
    log.flush(now());
    assert_eq!(texts(&path), ["whole", "hal", "next"]);
}

#[test]
fn what_cannot_be_written_is_counted_and_said_later() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.log");
    // A directory in the place of the file stands for every reason not to write.
    fs::create_dir(&path).unwrap();
    let mut log = LogWriter::new(path.clone(), 1 << 20);
    log.line(Stream::Out, line(b"lost"), now());
    log.flush(now());
    log.line(Stream::Out, line(b"lost too"), now());
    log.flush(now());
    fs::remove_dir(&path).unwrap();
    log.line(Stream::Out, line(b"kept"), now());
    log.flush(now());
    let texts = texts(&path);
    assert!(texts[0].starts_with("14 bytes in 2 lines are missing here: "), "{texts:?}");
    assert_eq!(texts[1], "kept");
}

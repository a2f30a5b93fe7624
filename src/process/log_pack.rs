//! Old logs in less room: all files of a log become one `.log.gz`, which `zcat` reads as well as this program.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Seek as _, SeekFrom, Write};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::log_format::LogFiles;
use super::sys;

/// Smaller logs stay as they are: a file takes a block of the disk in any case.
pub(super) const PACKED_MIN: u64 = 4 * 1024;

/// Larger ones too: who reads the end of a packed log has all of it in memory.
pub(super) const PACKED_MAX: u64 = 64 * 1024 * 1024;

/// Puts the files of a log into one that is packed; gives back its size. A reader finds the log whole at any moment, and so
/// does the next one after a loss of power.
///
/// # Errors
/// When it cannot be written; the files stay then.
pub(super) fn pack(files: &LogFiles) -> io::Result<u64> {
    if files.packed.try_exists()? {
        // It was interrupted when the packed one was whole.
        remove_unpacked(files)?;
        return Ok(fs::metadata(&files.packed)?.len());
    }
    let fresh = files.packed.with_extension("gz.new");
    let result = write_packed(files, &fresh).and_then(|()| {
        fs::rename(&fresh, &files.packed)?;
        files.packed.parent().map_or(Ok(()), sys::sync_folder)
    });
    if let Err(error) = result {
        let _ = fs::remove_file(&fresh);
        return Err(error);
    }
    remove_unpacked(files)?;
    Ok(fs::metadata(&files.packed)?.len())
}

fn write_packed(files: &LogFiles, fresh: &std::path::Path) -> io::Result<()> {
    match fs::remove_file(fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    // Fast: what logs repeat is found all the same.
    let mut packer = GzEncoder::new(BufWriter::new(sys::create_private(fresh)?), Compression::fast());
    let mut modified = None;
    for path in files.in_order() {
        let Some(file) = sys::open_journal(path)? else { continue };
        modified = Some(file.metadata()?.modified()?);
        copy_lines(file, &mut packer)?;
    }
    let file = packer.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
    // Its age is that of the output.
    modified.map_or(Ok(()), |modified| file.set_modified(modified))?;
    file.sync_all()
}

/// Copies a file and ends its last line: a writer that was killed may have left half of one.
fn copy_lines(mut file: File, packer: &mut impl Write) -> io::Result<()> {
    let mut chunk = vec![0; 64 * 1024];
    let mut last = b'\n';
    loop {
        let length = file.read(&mut chunk)?;
        if length == 0 {
            break;
        }
        packer.write_all(&chunk[..length])?;
        last = chunk[length - 1];
    }
    if last == b'\n' { Ok(()) } else { packer.write_all(b"\n") }
}

fn remove_unpacked(files: &LogFiles) -> io::Result<()> {
    for path in files.in_order() {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

/// A packed log as a file without a name, at its beginning. Where it is damaged, that is its last line.
///
/// # Errors
/// When there is no room for it in memory.
pub(super) fn unpack(packed: File) -> io::Result<File> {
    let mut file = sys::unnamed_file()?;
    // What another program packed may be of any size.
    let mut from = MultiGzDecoder::new(packed).take(2 * PACKED_MAX);
    let mut chunk = vec![0; 64 * 1024];
    loop {
        match from.read(&mut chunk) {
            Ok(0) => break,
            Ok(length) => file.write_all(&chunk[..length])?,
            Err(error) => {
                writeln!(file, "\nthe rest of this log cannot be unpacked: {error}")?;
                break;
            }
        }
    }
    file.seek(SeekFrom::Start(0))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::super::log_reader::{LogTail, logs_of};
    use super::*;
    use crate::model::{AppId, RunId};
    use crate::process::log_end;

    fn texts(path: &std::path::Path, count: usize) -> Vec<String> {
        let records = LogTail::open(path, count).unwrap().1;
        records.iter().map(|record| String::from_utf8_lossy(&record.text).into_owned()).collect()
    }

    #[test]
    fn a_packed_log_is_read_as_it_was_before() {
        let folder = tempfile::tempdir().unwrap();
        let state = crate::process::StateDir::new(folder.path().to_owned());
        let (app, run) = (AppId::of(&"a/b/c".parse().unwrap()), RunId::from_random_bits(1));
        fs::create_dir_all(state.logs(app)).unwrap();
        let path = state.logs(app).join(format!("20261123T140211-{run}.log"));
        let files = LogFiles::of(&path);
        let lines = |numbers: std::ops::Range<u32>| -> String {
            let lines: Vec<_> = numbers.map(|n| format!("2026-11-23T14:02:11.123Z o F line {n}\n")).collect();
            lines.concat()
        };
        fs::write(&files.head, lines(0..20)).unwrap();
        fs::write(&files.older, format!("2026-11-23T14:02:11.123Z d @ 999 90\n{}half", lines(90..99)))
            .unwrap();
        fs::write(&files.newest, lines(99..120)).unwrap();
        let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        File::options().append(true).open(&files.newest).unwrap().set_modified(modified).unwrap();
        let before = [texts(&path, 1000), texts(&path, 25), texts(&path, 3)];
        assert_eq!(before[0].len(), 52, "{:?}", before[0]);
        let end = log_end(&path, 200).unwrap();

        let size = pack(&files).unwrap();
        assert_eq!(fs::metadata(&files.packed).unwrap().len(), size);
        assert_eq!(fs::metadata(&files.packed).unwrap().modified().unwrap(), modified);
        assert_eq!(fs::read_dir(state.logs(app)).unwrap().count(), 1, "the unpacked ones are gone");
        assert_eq!(logs_of(&state, app), [(run, path.clone())]);
        assert_eq!([texts(&path, 1000), texts(&path, 25), texts(&path, 3)], before);
        assert_eq!(log_end(&path, 200).unwrap(), end);
        let mut tail = LogTail::from_start(&path);
        let mut followed = Vec::new();
        loop {
            let records = tail.more().unwrap();
            if records.is_empty() {
                break;
            }
            followed.extend(records);
        }
        assert_eq!(followed.len(), before[0].len());

        // It was interrupted before the others were removed.
        fs::write(&files.newest, lines(99..120)).unwrap();
        assert_eq!(texts(&path, 1000), before[0]);
        assert_eq!(pack(&files).unwrap(), size);
        assert!(!files.newest.exists());

        let bytes = fs::read(&files.packed).unwrap();
        fs::write(&files.packed, &bytes[..bytes.len() / 2]).unwrap();
        let damaged = texts(&path, 1000);
        assert!(
            damaged.last().unwrap().starts_with("the rest of this log cannot be unpacked"),
            "{damaged:?}"
        );
        fs::write(&files.packed, "no gzip").unwrap();
        assert!(texts(&path, 1000).last().unwrap().starts_with("the rest of this log cannot be unpacked"));
    }
}

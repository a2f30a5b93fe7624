//! The pipes of an app's output.
//!
//! The app also gets the ends to read from. So its output does not break when the shim is killed: it
//! waits in the pipe, and the next shim takes the ends from the app. The run directory says which
//! handles they are.

use std::fs::{self, File};
use std::io;
use std::os::windows::io::{AsHandle as _, AsRawHandle as _, FromRawHandle as _, OwnedHandle};
use std::path::PathBuf;

use windows_sys::Win32::Foundation::{DUPLICATE_SAME_ACCESS, DuplicateHandle, HANDLE};
use windows_sys::Win32::System::Pipes::CreatePipe;
use windows_sys::Win32::System::Threading::GetCurrentProcess;

use super::check;
use super::process::{let_pass, open_to_take};
use crate::process::layout::RunDir;
use crate::process::record::Identity;

/// How much output waits while a shim is replaced.
const SIZE: u32 = 64 * 1024;

/// Both ends of a pipe.
pub(super) struct Pipe {
    pub(super) read: File,
    pub(super) write: OwnedHandle,
}

/// Makes the pipes for standard output and standard error. From now on programs that are started get
/// the ends to read from.
pub(super) fn create(dir: &RunDir) -> io::Result<(Pipe, Pipe)> {
    let (out, err) = (create_one()?, create_one()?);
    let value = |pipe: &Pipe| pipe.read.as_raw_handle().addr();
    fs::write(note(dir), format!("{} {}", value(&out), value(&err)))?;
    Ok((out, err))
}

fn create_one() -> io::Result<Pipe> {
    let (mut read, mut write) = (std::ptr::null_mut(), std::ptr::null_mut());
    // SAFETY: two handles are written, which are nobody else's.
    let (read, write) = unsafe {
        check(CreatePipe(&raw mut read, &raw mut write, std::ptr::null(), SIZE))?;
        (File::from_raw_handle(read), OwnedHandle::from_raw_handle(write))
    };
    let_pass(read.as_handle())?;
    Ok(Pipe { read, write })
}

/// Takes the ends to read from out of an app whose shim was killed.
pub(super) fn take(dir: &RunDir, app: Identity) -> io::Result<(File, File)> {
    let text = fs::read_to_string(note(dir))?;
    let mut values = text.split(' ').map_while(|value| value.parse::<usize>().ok());
    let (Some(out), Some(err)) = (values.next(), values.next()) else {
        return Err(io::Error::other("no pipes are known"));
    };
    let app = open_to_take(app).ok_or_else(|| io::Error::other("the app is gone"))?;
    Ok((take_one(&app, out)?, take_one(&app, err)?))
}

fn take_one(app: &OwnedHandle, value: usize) -> io::Result<File> {
    let mut copy = std::ptr::null_mut();
    let theirs: HANDLE = std::ptr::without_provenance_mut(value);
    // SAFETY: the number means something in the other process only; what comes back is ours alone.
    unsafe {
        let own = GetCurrentProcess();
        check(DuplicateHandle(app.as_raw_handle(), theirs, own, &raw mut copy, 0, 0, DUPLICATE_SAME_ACCESS))?;
        Ok(File::from_raw_handle(copy))
    }
}

fn note(dir: &RunDir) -> PathBuf {
    dir.path().join("pipes")
}

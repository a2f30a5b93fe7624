//! Processes and handles to them. The number of a process may be another's one day, its handle may
//! not, and neither may the number together with the time at which it was created.

use std::io;
use std::os::windows::io::{AsRawHandle as _, BorrowedHandle, FromRawHandle as _, OwnedHandle};

use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_INVALID_PARAMETER, FILETIME, HANDLE, HANDLE_FLAG_INHERIT,
    INVALID_HANDLE_VALUE, SetHandleInformation, WAIT_OBJECT_0,
};
use windows_sys::Win32::System::Diagnostics::ToolHelp::{
    CreateToolhelp32Snapshot, TH32CS_SNAPTHREAD, THREADENTRY32, Thread32First, Thread32Next,
};
use windows_sys::Win32::System::Threading::{
    GetCurrentProcess, GetExitCodeProcess, GetProcessTimes, INFINITE, OpenProcess, OpenThread,
    PROCESS_DUP_HANDLE, PROCESS_QUERY_LIMITED_INFORMATION, PROCESS_SYNCHRONIZE, ResumeThread,
    THREAD_SUSPEND_RESUME, WaitForSingleObject,
};

use super::check;
use crate::process::record::Identity;

/// A handle to a process, living or not.
pub(super) struct ProcessHandle(OwnedHandle);

impl ProcessHandle {
    /// Opens a process and makes sure that it is the one that is meant.
    pub(super) fn open(identity: Identity) -> Option<Self> {
        Self::find(identity).ok().flatten()
    }

    /// The same; `None` only when there is no such process.
    ///
    /// # Errors
    /// When that cannot be seen.
    pub(super) fn find(identity: Identity) -> io::Result<Option<Self>> {
        let access = PROCESS_QUERY_LIMITED_INFORMATION | PROCESS_SYNCHRONIZE;
        let Some(handle) = open_process(identity.pid, access) else {
            let error = io::Error::last_os_error();
            // A number that is another user's by now is not the one that is meant.
            let is_gone = matches!(
                error.raw_os_error().map(i32::cast_unsigned),
                Some(ERROR_INVALID_PARAMETER | ERROR_ACCESS_DENIED)
            );
            return if is_gone { Ok(None) } else { Err(error) };
        };
        let handle = Self(handle);
        Ok((handle.created() == Some(identity.start)).then_some(handle))
    }

    /// A child of this process.
    pub(super) fn of_child(handle: BorrowedHandle<'_>) -> io::Result<Self> {
        handle.try_clone_to_owned().map(Self)
    }

    pub(super) fn raw(&self) -> HANDLE {
        self.0.as_raw_handle()
    }

    pub(super) fn is_running(&self) -> bool {
        // SAFETY: the handle is open.
        unsafe { WaitForSingleObject(self.raw(), 0) != WAIT_OBJECT_0 }
    }

    /// Waits for the end of the process; its exit code.
    pub(super) fn wait(&self) -> Option<u32> {
        let mut code = 0;
        // SAFETY: the handle is open, and one integer is written.
        unsafe {
            if WaitForSingleObject(self.raw(), INFINITE) != WAIT_OBJECT_0 {
                return None;
            }
            (GetExitCodeProcess(self.raw(), &raw mut code) != 0).then_some(code)
        }
    }

    /// When it began, in units of 100 ns.
    pub(super) fn created(&self) -> Option<u64> {
        created(self.raw())
    }
}

fn created(process: HANDLE) -> Option<u64> {
    let none = FILETIME { dwLowDateTime: 0, dwHighDateTime: 0 };
    let (mut created, mut exited, mut kernel, mut user) = (none, none, none, none);
    // SAFETY: four times are written.
    let result = unsafe {
        GetProcessTimes(process, &raw mut created, &raw mut exited, &raw mut kernel, &raw mut user)
    };
    (result != 0).then(|| u64::from(created.dwHighDateTime) << 32 | u64::from(created.dwLowDateTime))
}

fn open_process(pid: u32, access: u32) -> Option<OwnedHandle> {
    // SAFETY: the call takes integers; what it gives back is ours alone, or null.
    unsafe {
        let handle = OpenProcess(access, 0, pid);
        (!handle.is_null()).then(|| OwnedHandle::from_raw_handle(handle))
    }
}

/// Opens a process so that handles can be taken from it.
pub(super) fn open_to_take(identity: Identity) -> Option<OwnedHandle> {
    let handle = open_process(identity.pid, PROCESS_DUP_HANDLE | PROCESS_QUERY_LIMITED_INFORMATION)?;
    (created(handle.as_raw_handle()) == Some(identity.start)).then_some(handle)
}

/// This process.
pub(in crate::process) fn own_identity() -> Identity {
    // SAFETY: gives back a constant that stands for this process and needs no closing.
    let start = created(unsafe { GetCurrentProcess() }).unwrap_or(0);
    Identity { pid: std::process::id(), start }
}

/// Whether the process lives, and is the one that was meant.
///
/// # Errors
/// When that cannot be seen.
pub(in crate::process) fn is_alive(identity: Identity) -> io::Result<bool> {
    Ok(ProcessHandle::find(identity)?.is_some_and(|handle| handle.is_running()))
}

/// Lets a handle pass on to the programs that this process starts from now on.
pub(super) fn let_pass(handle: BorrowedHandle<'_>) -> io::Result<()> {
    // SAFETY: the handle is open.
    check(unsafe { SetHandleInformation(handle.as_raw_handle(), HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT) })
}

/// Lets a process run that was started without running.
pub(super) fn resume(pid: u32) -> io::Result<()> {
    // The standard library closes the handle of its thread, so it must be looked for.
    // SAFETY: the call takes integers; what it gives back is ours alone.
    let threads = unsafe {
        let handle = CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0);
        if handle == INVALID_HANDLE_VALUE {
            return Err(io::Error::last_os_error());
        }
        OwnedHandle::from_raw_handle(handle)
    };
    let size = u32::try_from(size_of::<THREADENTRY32>()).unwrap_or(0);
    let mut entry = THREADENTRY32 { dwSize: size, ..THREADENTRY32::default() };
    // SAFETY: the entry says how large it is.
    let mut is_there = unsafe { Thread32First(threads.as_raw_handle(), &raw mut entry) } != 0;
    while is_there {
        if entry.th32OwnerProcessID == pid {
            return resume_thread(entry.th32ThreadID);
        }
        // SAFETY: as above.
        is_there = unsafe { Thread32Next(threads.as_raw_handle(), &raw mut entry) } != 0;
    }
    Err(io::Error::other("it has no thread"))
}

fn resume_thread(id: u32) -> io::Result<()> {
    // SAFETY: the call takes integers; what it gives back is ours alone, or null.
    unsafe {
        let thread = OpenThread(THREAD_SUSPEND_RESUME, 0, id);
        if thread.is_null() {
            return Err(io::Error::last_os_error());
        }
        let thread = OwnedHandle::from_raw_handle(thread);
        if ResumeThread(thread.as_raw_handle()) == u32::MAX {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_lives_and_another_of_its_number_does_not() {
        let own = own_identity();
        assert!(own.start > 0);
        assert!(is_alive(own).unwrap());
        assert!(!is_alive(Identity { start: own.start + 1, ..own }).unwrap());
        assert!(!is_alive(Identity { pid: 0, start: 0 }).unwrap());
    }
}

//! The job of a run: all its processes, wherever they have moved to. None can leave it.

use std::io;
use std::os::windows::io::{AsRawHandle as _, FromRawHandle as _, OwnedHandle};

use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::Security::SECURITY_ATTRIBUTES;
use windows_sys::Win32::System::JobObjects::{
    AssignProcessToJobObject, CreateJobObjectW, JOBOBJECT_BASIC_ACCOUNTING_INFORMATION,
    JobObjectBasicAccountingInformation, OpenJobObjectW, QueryInformationJobObject, TerminateJobObject,
};

use super::{check, wide};

/// `JOB_OBJECT_ALL_ACCESS`.
const ALL_ACCESS: u32 = 0x001f_003f;

/// The exit code of processes that were killed, as `taskkill` gives it.
pub(super) const KILLED: u32 = 1;

/// A handle to a job. Closing it kills nobody: a shim that was killed must not take its app along.
pub(super) struct Job(OwnedHandle);

impl Job {
    /// Makes the job of a run. The name lives as long as a handle to the job, so programs that are
    /// started from now on get one.
    pub(super) fn create(run: &str) -> io::Result<Self> {
        let attributes = SECURITY_ATTRIBUTES {
            nLength: u32::try_from(size_of::<SECURITY_ATTRIBUTES>()).unwrap_or(0),
            lpSecurityDescriptor: std::ptr::null_mut(),
            bInheritHandle: 1,
        };
        // SAFETY: attributes and name live longer than the call; what it gives back is ours, or null.
        unsafe { Self::from(CreateJobObjectW(&raw const attributes, name(run).as_ptr())) }
    }

    /// Finds the job of a run; `None` when it has ended.
    pub(super) fn find(run: &str) -> io::Result<Option<Self>> {
        // SAFETY: the name lives longer than the call; what it gives back is ours, or null.
        match unsafe { Self::from(OpenJobObjectW(ALL_ACCESS, 0, name(run).as_ptr())) } {
            Ok(job) => Ok(Some(job)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// # Safety
    /// The handle is nobody else's, or null.
    unsafe fn from(handle: HANDLE) -> io::Result<Self> {
        if handle.is_null() {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: said above.
        Ok(Self(unsafe { OwnedHandle::from_raw_handle(handle) }))
    }

    /// Puts a process into the job, and with it all that it will start.
    pub(super) fn assign(&self, process: HANDLE) -> io::Result<()> {
        // SAFETY: both handles are open.
        check(unsafe { AssignProcessToJobObject(self.0.as_raw_handle(), process) })
    }

    /// How many processes live in it.
    pub(super) fn count(&self) -> io::Result<usize> {
        let mut accounting = JOBOBJECT_BASIC_ACCOUNTING_INFORMATION::default();
        let size = u32::try_from(size_of_val(&accounting)).unwrap_or(0);
        // SAFETY: the system writes at most `size` bytes to a structure of integers.
        check(unsafe {
            QueryInformationJobObject(
                self.0.as_raw_handle(),
                JobObjectBasicAccountingInformation,
                (&raw mut accounting).cast(),
                size,
                std::ptr::null_mut(),
            )
        })?;
        Ok(usize::try_from(accounting.ActiveProcesses).unwrap_or(usize::MAX))
    }

    /// Kills all of them at once.
    pub(super) fn terminate(&self) {
        // SAFETY: the handle is open. An empty job is no error.
        unsafe { TerminateJobObject(self.0.as_raw_handle(), KILLED) };
    }
}

/// Global: a manager that runs as a service, and a user's `dcm stop-apps`, see the same.
fn name(run: &str) -> Vec<u16> {
    wide(&format!("Global\\dcm-{run}"))
}

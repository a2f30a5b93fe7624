//! Waits for the end of a shim. The threads for it are the system's: one for some 60 shims.

use std::ffi::c_void;
use std::sync::Weak;
use std::sync::mpsc::Sender;

use windows_sys::Win32::Foundation::{HANDLE, INVALID_HANDLE_VALUE};
use windows_sys::Win32::System::Threading::{
    INFINITE, RegisterWaitForSingleObject, UnregisterWaitEx, WT_EXECUTEONLYONCE,
};

use crate::model::RunId;
use crate::process::record::Identity;
use crate::process::watch::Request;
use crate::process::windows::process::ProcessHandle;

/// As long as this lives, the end of the shim is told.
pub(super) struct ShimWait {
    wait: HANDLE,
    /// Read by the system's thread.
    target: *mut Target,
    /// Open for as long as it is waited for.
    _process: ProcessHandle,
}

struct Target {
    run: RunId,
    requests: Weak<Sender<Request>>,
}

// SAFETY: a wait belongs to no thread, and the target is only read by others until the wait is over.
unsafe impl Send for ShimWait {}

impl ShimWait {
    /// `None` when the shim is gone, or cannot be waited for.
    pub(super) fn begin(run: RunId, shim: Identity, requests: Weak<Sender<Request>>) -> Option<Self> {
        // One that is gone would be told at once, again and again.
        let process = ProcessHandle::open(shim).filter(ProcessHandle::is_running)?;
        let target = Box::into_raw(Box::new(Target { run, requests }));
        let mut wait = std::ptr::null_mut();
        // SAFETY: the process is open and the target there for as long as this object lives.
        let result = unsafe {
            RegisterWaitForSingleObject(
                &raw mut wait,
                process.raw(),
                Some(tell),
                target.cast(),
                INFINITE,
                WT_EXECUTEONLYONCE,
            )
        };
        if result == 0 {
            // SAFETY: nobody else has it.
            drop(unsafe { Box::from_raw(target) });
            return None;
        }
        Some(Self { wait, target, _process: process })
    }
}

impl Drop for ShimWait {
    fn drop(&mut self) {
        // SAFETY: returns when `tell` is not running and will not run any more, so the target is
        // nobody else's then. Never called from `tell` itself.
        unsafe {
            UnregisterWaitEx(self.wait, INVALID_HANDLE_VALUE);
            drop(Box::from_raw(self.target));
        }
    }
}

unsafe extern "system" fn tell(target: *mut c_void, _is_timeout: bool) {
    // SAFETY: it is a `Target`, and lives until the wait is taken back.
    let target = unsafe { &*target.cast::<Target>() };
    if let Some(requests) = target.requests.upgrade() {
        let _ = requests.send(Request::ShimEnded { run: target.run });
    }
}

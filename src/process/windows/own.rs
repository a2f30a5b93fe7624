//! What this process itself uses: not looked at on this platform.

use crate::process::OwnProcess;

pub(in crate::process) fn own_process() -> OwnProcess {
    OwnProcess::default()
}

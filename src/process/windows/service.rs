//! This process as a service: what the service control manager asks of it, and what it is told.
//!
//! ```text
//! START_PENDING --- ready, or 20 s ---> RUNNING --- STOP, SHUTDOWN ---> STOP_PENDING ---> STOPPED
//! ```

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::windows::io::IntoRawHandle as _;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use windows_service::service::{
    ServiceControl, ServiceControlAccept, ServiceExitCode, ServiceState, ServiceStatus, ServiceType,
};
use windows_service::service_control_handler::{self, ServiceControlHandlerResult, ServiceStatusHandle};
use windows_service::{define_windows_service, service_dispatcher};
use windows_sys::Win32::System::Console::{STD_ERROR_HANDLE, STD_OUTPUT_HANDLE, SetStdHandle};

use super::{check, console};

type Work = Box<dyn FnOnce() -> u8 + Send>;

/// The service under its name: the system calls a function that has no other way to know.
static SERVICE: Mutex<Service> = Mutex::new(Service {
    name: String::new(),
    work: None,
    handle: None,
    state: ServiceState::Stopped,
    checkpoint: 0,
    code: 0,
});

struct Service {
    name: String,
    /// What it does, until it is begun.
    work: Option<Work>,
    /// Since the service control manager has started it.
    handle: Option<ServiceStatusHandle>,
    state: ServiceState,
    /// Counts while it starts or stops, so that it is seen to be alive.
    checkpoint: u32,
    /// Its exit code.
    code: u8,
}

/// How often the service control manager hears of a start or an end that takes its time, and how long it may wait for
/// the next word.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(1);
const WAIT_HINT: Duration = Duration::from_secs(10);

/// A manager whose database is away runs, and can be stopped: the start of the host does not wait for it any longer.
const STARTED_AFTER: u32 = 20;

fn service() -> MutexGuard<'static, Service> {
    SERVICE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Service {
    /// Tells the service control manager how it stands. If that does not hear it, it says so in its own log.
    fn tell(&self) {
        let Some(handle) = &self.handle else { return };
        let is_pending = matches!(self.state, ServiceState::StartPending | ServiceState::StopPending);
        let controls = ServiceControlAccept::STOP | ServiceControlAccept::SHUTDOWN;
        let _ = handle.set_service_status(ServiceStatus {
            service_type: ServiceType::OWN_PROCESS,
            current_state: self.state,
            controls_accepted: if self.state == ServiceState::Running {
                controls
            } else {
                ServiceControlAccept::empty()
            },
            exit_code: match self.code {
                0 => ServiceExitCode::Win32(0),
                code => ServiceExitCode::ServiceSpecific(code.into()),
            },
            checkpoint: if is_pending { self.checkpoint } else { 0 },
            wait_hint: if is_pending { WAIT_HINT } else { Duration::ZERO },
            process_id: None,
        });
    }

    fn enter(&mut self, state: ServiceState) {
        self.state = state;
        self.checkpoint = 1;
        self.tell();
    }
}

/// Does the work as the service of this name if the service control manager has started this process, else by itself.
pub(in crate::process) fn as_service(name: &str, work: Work) -> u8 {
    {
        let mut service = service();
        name.clone_into(&mut service.name);
        service.work = Some(work);
    }
    // Fails with 1063 in a process that was not started as a service.
    let is_over = service_dispatcher::start(name, service_main).is_ok();
    let work = service().work.take();
    match work {
        Some(work) if !is_over => work(),
        Some(_) | None => service().code,
    }
}

/// Whether this process is a service.
pub(in crate::process) fn is_service() -> bool {
    service().handle.is_some()
}

/// The service has begun its work.
pub(in crate::process) fn service_is_ready() {
    let mut service = service();
    if service.state == ServiceState::StartPending {
        service.enter(ServiceState::Running);
    }
}

define_windows_service!(service_main, main);

fn main(_arguments: Vec<OsString>) {
    let name = service().name.clone();
    let Ok(handle) = service_control_handler::register(name, on_control) else { return };
    let work = {
        let mut service = service();
        service.handle = Some(handle);
        service.enter(ServiceState::StartPending);
        service.work.take()
    };
    // It ends with the process.
    let _ = std::thread::Builder::new().name("dcm-service".to_owned()).spawn(count);
    let code = work.map_or(0, |work| work());
    let mut service = service();
    service.code = code;
    service.enter(ServiceState::Stopped);
}

/// Lets the service control manager see that a start or an end goes on.
fn count() {
    loop {
        std::thread::park_timeout(CHECKPOINT_EVERY);
        let mut service = service();
        match service.state {
            ServiceState::StartPending if service.checkpoint >= STARTED_AFTER => {
                service.enter(ServiceState::Running)
            }
            ServiceState::StartPending | ServiceState::StopPending => {
                service.checkpoint += 1;
                service.tell();
            }
            ServiceState::Stopped => return,
            ServiceState::Running
            | ServiceState::ContinuePending
            | ServiceState::PausePending
            | ServiceState::Paused => {}
        }
    }
}

fn on_control(control: ServiceControl) -> ServiceControlHandlerResult {
    if matches!(control, ServiceControl::Stop | ServiceControl::Shutdown | ServiceControl::Preshutdown) {
        service().enter(ServiceState::StopPending);
        console::ask();
        return ServiceControlHandlerResult::NoError;
    }
    if matches!(control, ServiceControl::Interrogate) {
        return ServiceControlHandlerResult::NoError;
    }
    ServiceControlHandlerResult::NotImplemented
}

/// What this process prints goes into a file from now on: a service has no terminal. What was in it is gone.
pub(in crate::process) fn print_to(path: &Path) -> io::Result<()> {
    for which in [STD_ERROR_HANDLE, STD_OUTPUT_HANDLE] {
        let file = if which == STD_ERROR_HANDLE {
            File::create(path)?
        } else {
            File::options().append(true).open(path)?
        };
        // SAFETY: the handle is open, and stays so for as long as the process lives.
        check(unsafe { SetStdHandle(which, file.into_raw_handle()) })?;
    }
    Ok(())
}

//! Services of this host: registered, started, stopped and looked at by the service control manager.

use std::io;
use std::time::Duration;

use windows_service::Error;
use windows_service::service::{
    ServiceAccess, ServiceAction, ServiceActionType, ServiceErrorControl, ServiceExitCode,
    ServiceFailureActions, ServiceFailureResetPeriod, ServiceInfo, ServiceStartType, ServiceState,
    ServiceType,
};
use windows_service::service_manager::{ServiceManager, ServiceManagerAccess};
use windows_sys::Win32::Foundation::{
    ERROR_SERVICE_ALREADY_RUNNING, ERROR_SERVICE_CANNOT_ACCEPT_CTRL, ERROR_SERVICE_DOES_NOT_EXIST,
    ERROR_SERVICE_NEVER_STARTED, ERROR_SERVICE_NOT_ACTIVE,
};

use crate::process::service::{self, NewService, RegisteredService};

/// Pauses before a manager that failed is started again: the first times, and from then on.
const RESTARTS: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(10), Duration::from_secs(60)];

/// After so long without a failure the pauses begin anew.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(3600);

/// What is known of a service; `None` where none of this name is registered.
pub(in crate::process) fn find(name: &str) -> io::Result<Option<RegisteredService>> {
    let access = ServiceAccess::QUERY_STATUS | ServiceAccess::QUERY_CONFIG;
    let found = manager(ServiceManagerAccess::CONNECT)?.open_service(name, access).map_err(io_error);
    let service = match found {
        Err(error) if is(&error, ERROR_SERVICE_DOES_NOT_EXIST) => return Ok(None),
        found => found?,
    };
    let config = service.query_config().map_err(io_error)?;
    let status = service.query_status().map_err(io_error)?;
    Ok(Some(RegisteredService {
        command: config.executable_path.to_string_lossy().into_owned(),
        start: match config.start_type {
            ServiceStartType::AutoStart | ServiceStartType::SystemStart | ServiceStartType::BootStart => {
                "auto"
            }
            ServiceStartType::OnDemand => "demand",
            ServiceStartType::Disabled => "disabled",
        },
        state: match status.current_state {
            ServiceState::Stopped => service::ServiceState::Stopped,
            ServiceState::StartPending => service::ServiceState::Starting,
            ServiceState::Running => service::ServiceState::Running,
            ServiceState::StopPending => service::ServiceState::Stopping,
            ServiceState::ContinuePending | ServiceState::PausePending | ServiceState::Paused => {
                service::ServiceState::Paused
            }
        },
        pid: status.process_id,
        exit_code: match status.exit_code {
            // It has none yet.
            ServiceExitCode::Win32(ERROR_SERVICE_NEVER_STARTED) => 0,
            ServiceExitCode::Win32(code) | ServiceExitCode::ServiceSpecific(code) => code,
        },
    }))
}

/// Registers a service, or changes what is registered. It starts with the host, and again when it fails; a service
/// control manager that does not know the latter is no error.
pub(in crate::process) fn register(new: &NewService<'_>) -> io::Result<()> {
    let info = ServiceInfo {
        name: new.name.into(),
        display_name: new.title.into(),
        service_type: ServiceType::OWN_PROCESS,
        start_type: ServiceStartType::AutoStart,
        error_control: ServiceErrorControl::Normal,
        executable_path: new.program.to_owned(),
        launch_arguments: new.arguments.iter().map(Into::into).collect(),
        dependencies: Vec::new(),
        account_name: None,
        account_password: None,
    };
    let access = ServiceAccess::CHANGE_CONFIG | ServiceAccess::START;
    let manager = manager(ServiceManagerAccess::CONNECT | ServiceManagerAccess::CREATE_SERVICE)?;
    let service = match manager.open_service(new.name, access).map_err(io_error) {
        Err(error) if is(&error, ERROR_SERVICE_DOES_NOT_EXIST) => {
            manager.create_service(&info, access).map_err(io_error)?
        }
        found => {
            let service = found?;
            service.change_config(&info).map_err(io_error)?;
            service
        }
    };
    let _ = service.set_description(new.description);
    let actions = RESTARTS.map(|delay| ServiceAction { action_type: ServiceActionType::Restart, delay });
    let _ = service.update_failure_actions(ServiceFailureActions {
        reset_period: ServiceFailureResetPeriod::After(FORGOTTEN_AFTER),
        reboot_msg: None,
        command: None,
        actions: Some(actions.to_vec()),
    });
    // Also when it ends with an exit code, and not only when it crashes.
    let _ = service.set_failure_actions_on_non_crash_failures(true);
    Ok(())
}

/// Takes a service off the list.
pub(in crate::process) fn remove(name: &str) -> io::Result<()> {
    let manager = manager(ServiceManagerAccess::CONNECT)?;
    manager.open_service(name, ServiceAccess::DELETE).and_then(|service| service.delete()).map_err(io_error)
}

/// Starts a service; one that runs does so already.
pub(in crate::process) fn start(name: &str) -> io::Result<()> {
    let manager = manager(ServiceManagerAccess::CONNECT)?;
    let service = manager.open_service(name, ServiceAccess::START).map_err(io_error)?;
    match service.start::<&str>(&[]).map_err(io_error) {
        Err(error) if is(&error, ERROR_SERVICE_ALREADY_RUNNING) => Ok(()),
        started => started,
    }
}

/// Asks a service to end; one that does not run has ended already.
pub(in crate::process) fn stop(name: &str) -> io::Result<()> {
    let manager = manager(ServiceManagerAccess::CONNECT)?;
    let service = manager.open_service(name, ServiceAccess::STOP).map_err(io_error)?;
    match service.stop().map_err(io_error) {
        Err(error) if is(&error, ERROR_SERVICE_NOT_ACTIVE) => Ok(()),
        // It is stopping already.
        Err(error) if is(&error, ERROR_SERVICE_CANNOT_ACCEPT_CTRL) => Ok(()),
        stopped => stopped.map(drop),
    }
}

fn manager(access: ServiceManagerAccess) -> io::Result<ServiceManager> {
    ServiceManager::local_computer(None::<&str>, access).map_err(io_error)
}

fn io_error(error: Error) -> io::Error {
    match error {
        Error::Winapi(error) => error,
        error => io::Error::new(io::ErrorKind::InvalidInput, error),
    }
}

fn is(error: &io::Error, code: u32) -> bool {
    error.raw_os_error().map(i32::cast_unsigned) == Some(code)
}

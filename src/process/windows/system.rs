//! What the system says of itself: its clock, its names, its user.

use std::io;
use std::time::Duration;

use windows_sys::Wdk::System::SystemInformation::NtQuerySystemInformation;
use windows_sys::Win32::System::Performance::{QueryPerformanceCounter, QueryPerformanceFrequency};
use windows_sys::Win32::System::SystemInformation::{ComputerNameDnsHostname, GetComputerNameExW};
use windows_sys::Win32::System::WindowsProgramming::GetUserNameW;

/// `SystemTimeOfDayInformation`.
const TIME_OF_DAY: i32 = 3;

/// `SYSTEM_TIMEOFDAY_INFORMATION`.
#[repr(C)]
#[derive(Default)]
struct TimeOfDay {
    boot_time: i64,
    current_time: i64,
    time_zone_bias: i64,
    time_zone_id: u32,
    reserved: u32,
    /// By how much the clock, and with it the boot time, was set since.
    boot_time_bias: i64,
    sleep_time_bias: i64,
}

/// Time since boot, suspension included.
pub(in crate::process) fn boot_time() -> Duration {
    let (mut count, mut frequency) = (0, 0);
    // SAFETY: both write one integer each, and have not failed since Windows XP.
    unsafe {
        QueryPerformanceCounter(&raw mut count);
        QueryPerformanceFrequency(&raw mut frequency);
    }
    let (count, frequency) = (u128::from(count.unsigned_abs()), u128::from(frequency.unsigned_abs()));
    let nanos = (count * 1_000_000_000).checked_div(frequency).unwrap_or(0);
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// Differs after each boot, and does not change when the clock is set.
pub(in crate::process) fn boot_id() -> io::Result<String> {
    let mut time = TimeOfDay::default();
    let size = u32::try_from(size_of::<TimeOfDay>()).unwrap_or(0);
    // SAFETY: the system writes at most `size` bytes to `time`, which is made of integers.
    let status =
        unsafe { NtQuerySystemInformation(TIME_OF_DAY, (&raw mut time).cast(), size, std::ptr::null_mut()) };
    if status < 0 {
        return Err(io::Error::other(format!("the time of the last boot is not known (status {status:#x})")));
    }
    Ok(time.boot_time.wrapping_sub(time.boot_time_bias).to_string())
}

/// The name of this host.
pub(in crate::process) fn host_name() -> String {
    let name = text(|buffer, size| {
        // SAFETY: the buffer has `size` units.
        super::check(unsafe { GetComputerNameExW(ComputerNameDnsHostname, buffer, size) })
    });
    name.unwrap_or_else(|| "localhost".to_owned())
}

/// The name of the user that runs this process.
pub(in crate::process) fn user_name() -> String {
    let name = text(|buffer, size| {
        // SAFETY: the buffer has `size` units.
        super::check(unsafe { GetUserNameW(buffer, size) })
    });
    name.unwrap_or_else(|| "unknown".to_owned())
}

fn text(read: impl FnOnce(*mut u16, *mut u32) -> io::Result<()>) -> Option<String> {
    let mut buffer = [0; 512];
    let mut size = 512;
    read(buffer.as_mut_ptr(), &raw mut size).ok()?;
    // One of the two counts the zero at the end.
    let length = buffer.iter().position(|unit| *unit == 0)?;
    Some(String::from_utf16_lossy(&buffer[..length])).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_tells_of_itself() {
        assert!(boot_time() > Duration::ZERO);
        assert!(boot_time() <= boot_time());
        assert_eq!(boot_id().unwrap(), boot_id().unwrap());
        assert_ne!(boot_id().unwrap(), "0");
        assert!(!host_name().is_empty());
        assert!(!user_name().is_empty());
    }
}

//! Directories that only their owner, the system and administrators can enter: what is in them holds
//! environments, and so passwords.

use std::io;
use std::os::windows::ffi::OsStrExt as _;
use std::os::windows::io::{AsRawHandle as _, FromRawHandle as _, OwnedHandle};
use std::path::Path;

use windows_sys::Win32::Foundation::LocalFree;
use windows_sys::Win32::Security::Authorization::{
    ConvertSidToStringSidW, ConvertStringSecurityDescriptorToSecurityDescriptorW, SDDL_REVISION_1,
};
use windows_sys::Win32::Security::{
    GetTokenInformation, SECURITY_ATTRIBUTES, TOKEN_QUERY, TOKEN_USER, TokenUser,
};
use windows_sys::Win32::Storage::FileSystem::CreateDirectoryW;
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};

use super::{check, wide};

/// More characters than any user has as text.
const SID_MAX: usize = 256;

/// Makes a directory for this user. Nothing is inherited from the one that it is in, and all that is
/// made in it inherits its rules.
pub(in crate::process) fn create_private_dir(path: &Path) -> io::Result<()> {
    let rules = format!("D:P(A;OICI;FA;;;{})(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)", user()?);
    let path: Vec<u16> = path.as_os_str().encode_wide().chain([0]).collect();
    let mut descriptor = std::ptr::null_mut();
    // SAFETY: the texts end with a zero and live longer than the calls; the descriptor is made by one
    // call, used by the next and then freed, once.
    unsafe {
        check(ConvertStringSecurityDescriptorToSecurityDescriptorW(
            wide(&rules).as_ptr(),
            SDDL_REVISION_1,
            &raw mut descriptor,
            std::ptr::null_mut(),
        ))?;
        let attributes = SECURITY_ATTRIBUTES {
            nLength: u32::try_from(size_of::<SECURITY_ATTRIBUTES>()).unwrap_or(0),
            lpSecurityDescriptor: descriptor,
            bInheritHandle: 0,
        };
        let result = check(CreateDirectoryW(path.as_ptr(), &raw const attributes));
        LocalFree(descriptor);
        result
    }
}

/// The user that runs this process, as `S-1-5-...`.
fn user() -> io::Result<String> {
    // Large enough for any user, and aligned as what it will hold.
    let mut buffer = [0_u64; 32];
    let mut length = u32::try_from(size_of_val(&buffer)).unwrap_or(0);
    let mut text = std::ptr::null_mut();
    // SAFETY: the system writes at most `length` bytes to the buffer, and begins with a `TOKEN_USER`
    // that points into it. The text ends with a zero and is freed once.
    unsafe {
        let mut token = std::ptr::null_mut();
        check(OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &raw mut token))?;
        let token = OwnedHandle::from_raw_handle(token);
        let into = buffer.as_mut_ptr();
        check(GetTokenInformation(token.as_raw_handle(), TokenUser, into.cast(), length, &raw mut length))?;
        check(ConvertSidToStringSidW((*into.cast::<TOKEN_USER>()).User.Sid, &raw mut text))?;
        let length = (0..SID_MAX).take_while(|at| *text.add(*at) != 0).count();
        let result = String::from_utf16_lossy(std::slice::from_raw_parts(text, length));
        LocalFree(text.cast());
        Ok(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_owner_can_enter_it_and_it_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("private");
        create_private_dir(&path).unwrap();
        std::fs::write(path.join("file"), "x").unwrap();
        std::fs::create_dir(path.join("folder")).unwrap();
        std::fs::write(path.join("folder").join("file"), "x").unwrap();
        assert_eq!(create_private_dir(&path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    }
}

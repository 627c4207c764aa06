//! The calls of the C library that the standard library has no words for. The only file with unsafe
//! code in the project.

use std::io;
use std::os::fd::{FromRawFd as _, OwnedFd};

unsafe extern "C" {
    fn socket(domain: i32, kind: i32, protocol: i32) -> i32;
}

/// Opens a socket of any family.
pub(crate) fn open_socket(domain: i32, kind: i32, protocol: i32) -> io::Result<OwnedFd> {
    /// `SOCK_CLOEXEC`.
    const CLOSE_ON_EXEC: i32 = 0o2_000_000;
    // SAFETY: the call takes numbers only.
    let descriptor = unsafe { socket(domain, kind | CLOSE_ON_EXEC, protocol) };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is open, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

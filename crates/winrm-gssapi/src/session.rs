//! A child process in a session of its own.

use std::process::Command;

/// Has `command` start its child in a new session (`setsid`), without a controlling terminal: a
/// program that asks for a password then reads standard input instead of opening `/dev/tty`
/// (Heimdal's `kinit` does). The child leads a process group of its own, so that it can be killed
/// with its children.
///
/// It is here because it needs `unsafe`, which no other crate of the workspace has.
#[cfg(unix)]
pub fn in_new_session(command: &mut Command) -> &mut Command {
    use std::os::unix::process::CommandExt as _;

    unsafe extern "C" {
        safe fn setsid() -> core::ffi::c_int;
    }

    // SAFETY: between fork and exec the closure makes one system call that is async-signal-safe
    // (POSIX.1-2008 lists `setsid`), and reads `errno`; it neither allocates nor locks.
    unsafe {
        command.pre_exec(|| match setsid() {
            -1 => Err(std::io::Error::last_os_error()),
            _ => Ok(()),
        })
    }
}

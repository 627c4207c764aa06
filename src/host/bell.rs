//! A bell that every process can ring and that rings by itself when a process dies: a file whose
//! closing is heard by `inotify`.
//!
//! Who gives something back holds the bell open and closes it last, so whoever has heard it finds
//! what was given back. Only when a process is killed may the kernel close the bell first; therefore,
//! and for kernels without `inotify`, whoever listens looks again once in a while.

use std::fs::File;
use std::time::Duration;

use rustix::event::Timespec;

use super::directory::Directory;

/// Name of the file.
const NAME: &str = "bell";

/// Until somebody who has heard nothing looks again: in use only when a process was killed at the
/// wrong moment.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Something that rings when it is dropped.
#[derive(Debug)]
pub(super) struct Ringing {
    _file: File,
}

/// Something that will ring.
pub(super) fn ringing(directory: &Directory) -> std::io::Result<Ringing> {
    Ok(Ringing {
        _file: directory.file(NAME)?,
    })
}

/// Somebody who listens.
pub(super) struct Listener {
    #[cfg(target_os = "linux")]
    events: Option<std::os::fd::OwnedFd>,
}

impl Listener {
    /// Hears everything from now on.
    #[cfg(target_os = "linux")]
    pub(super) fn new(directory: &Directory) -> Self {
        use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
        // A user has few of them, 128 on many machines; without one, looking again has to do.
        let events = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok();
        let events = events.filter(|events| {
            let path = directory.path_of(NAME);
            inotify::add_watch(events, path, WatchFlags::CLOSE_WRITE).is_ok()
        });
        Self { events }
    }

    /// Looks again once in a while.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn new(_directory: &Directory) -> Self {
        Self {}
    }

    /// Blocks until the bell has rung, or it is time to look again.
    #[cfg(target_os = "linux")]
    pub(super) fn wait(&self) {
        use rustix::event::{PollFd, PollFlags, poll};
        let mut heard = Vec::new();
        heard.extend(
            self.events
                .as_ref()
                .map(|events| PollFd::new(events, PollFlags::IN)),
        );
        // Whatever ends it, the next thing is to look.
        let _ = poll(&mut heard, Some(&timespec(LOOK_AGAIN)));
        if let Some(events) = &self.events {
            let mut read = [0_u8; 4096];
            while rustix::io::read(events, &mut read).is_ok_and(|length| length > 0) {}
        }
    }

    /// Blocks until it is time to look again.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn wait(&self) {
        let _ = rustix::event::poll(&mut [], Some(&timespec(LOOK_AGAIN / 10)));
    }
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: duration.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}

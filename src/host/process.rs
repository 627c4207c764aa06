//! The identity of processes: of this one, and whether another one is alive.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::lease::{Neighbours, Owner};

/// The processes beside this one, as the kernel tells them.
#[derive(Debug)]
pub struct Processes {
    this: Option<Owner>,
}

impl Processes {
    /// Finds out who and where this process is.
    #[must_use]
    pub fn look() -> Self {
        Self {
            this: identity(Path::new("/proc"), std::process::id()),
        }
    }
}

impl Processes {
    /// The identity of another process beside this one, of which the pid is known.
    #[must_use]
    pub fn of(&self, pid: u32) -> Option<Owner> {
        let this = self.this.clone()?;
        Some(Owner {
            pid,
            started: start_time(Path::new("/proc"), pid)?,
            ..this
        })
    }

    /// Asks a process to end, unless its pid has become another one's, or it was not started with these
    /// arguments: who it is was read from a label, which anybody may have written.
    pub fn end(&self, owner: &Owner, arguments: &[&str]) {
        let Some(this) = &self.this else { return };
        let pid = i32::try_from(owner.pid).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid
            && owner.is_beside(this)
            && self.of(owner.pid).as_ref() == Some(owner)
            && has_arguments(Path::new("/proc"), owner.pid, arguments)
        {
            // It may end at this moment by itself.
            let _ = kill_process(pid, Signal::TERM);
        }
    }
}

impl Neighbours for Processes {
    fn this(&self) -> Option<&Owner> {
        self.this.as_ref()
    }

    /// The kernel is asked by a signal that does nothing, which tells of processes that a guarded
    /// `/proc` hides; without its start time such a process counts as the one that is meant.
    fn is_alive(&self, owner: &Owner) -> bool {
        let Some(pid) = i32::try_from(owner.pid).ok().and_then(Pid::from_raw) else {
            return false;
        };
        if test_kill_process(pid) == Err(Errno::SRCH) {
            return false;
        }
        start_time(Path::new("/proc"), owner.pid).is_none_or(|started| started == owner.started)
    }
}

/// Who and where the process `pid`, which is ourselves, is. `None` where `/proc` is missing or that
/// of other processes than ours.
fn identity(proc: &Path, pid: u32) -> Option<Owner> {
    let read = |path: &Path| {
        std::fs::read_to_string(path)
            .ok()
            .map(|text| text.trim().to_owned())
    };
    // A `/proc` of another namespace has other numbers for the same processes.
    let own = std::fs::read_link(proc.join("self")).ok()?;
    if own.to_str() != Some(pid.to_string().as_str()) {
        return None;
    }
    let machine = read(Path::new("/etc/machine-id")).unwrap_or_default();
    let name = read(&proc.join("sys/kernel/hostname"))?;
    Some(Owner {
        host: format!("{machine}/{name}"),
        boot: read(&proc.join("sys/kernel/random/boot_id"))?,
        pid_namespace: std::fs::metadata(proc.join("self/ns/pid")).ok()?.ino(),
        pid,
        started: start_time(proc, pid)?,
    })
}

/// Whether a process was started with exactly these arguments, after its own name.
fn has_arguments(proc: &Path, pid: u32, arguments: &[&str]) -> bool {
    let Ok(line) = std::fs::read(proc.join(pid.to_string()).join("cmdline")) else {
        return false;
    };
    let line = line.strip_suffix(&[0]).unwrap_or(&line);
    let given = line.split(|byte| *byte == 0).skip(1);
    given.eq(arguments.iter().map(|argument| argument.as_bytes()))
}

/// The processes of the group of a command, whose number and start are `known`: while the command itself is
/// there, those of its group; once it is gone, those of its group that carry the variable, since the number
/// may be another one's by now. Of a command of which nothing is known, those that lead a group and carry
/// the variable.
#[must_use]
pub fn members_of_group(
    proc: &Path,
    known: Option<(u32, u64)>,
    variable: (&str, &str),
) -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir(proc) else {
        return Vec::new();
    };
    let all = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let is_itself = known.is_some_and(|(pid, started)| start_time(proc, pid) == Some(started));
    let is_another = |pid| !is_itself && start_time(proc, pid).is_some_and(|at| at != 0);
    let belongs = |pid: &u32| match (known, group_of(proc, *pid)) {
        (_, None) => false,
        (Some((leader, _)), Some(group)) => {
            group == leader && (is_itself || !is_another(leader) && carries(proc, *pid, variable))
        }
        (None, Some(group)) => group == *pid && carries(proc, *pid, variable),
    };
    all.filter(belongs).collect()
}

/// Whether a process of this group has not ended. Where `/proc` does not say, one may be there.
#[must_use]
pub fn has_members(proc: &Path, group: i32) -> bool {
    let Ok(entries) = std::fs::read_dir(proc) else {
        return true;
    };
    let mut all = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    all.any(|pid| group_of(proc, pid).and_then(|of| i32::try_from(of).ok()) == Some(group))
}

/// Sends a signal to a process, which may end at this moment by itself.
pub fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

/// The group of a process that has not ended (field 5 of proc(5) `stat`).
fn group_of(proc: &Path, pid: u32) -> Option<u32> {
    let text = std::fs::read_to_string(proc.join(pid.to_string()).join("stat")).ok()?;
    let (_, fields) = text.rsplit_once(") ")?;
    let mut fields = fields.split(' ');
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(1)?.parse().ok()
}

/// Whether a process was started with this variable in its environment.
fn carries(proc: &Path, pid: u32, (name, value): (&str, &str)) -> bool {
    let Ok(environment) = std::fs::read(proc.join(pid.to_string()).join("environ")) else {
        return false;
    };
    let wanted = format!("{name}={value}");
    let mut all = environment.split(|byte| *byte == 0);
    all.any(|one| one == wanted.as_bytes())
}

/// When a process started, in ticks since the boot (field 22 of proc(5) `stat`). A process that has
/// ended and that nobody has waited for yet has none: nothing of it runs any more.
#[must_use]
pub fn start_time(proc: &Path, pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(proc.join(pid.to_string()).join("stat")).ok()?;
    // The name of the program stands in brackets and may hold anything, brackets included.
    let (_, fields) = text.rsplit_once(") ")?;
    let mut fields = fields.split(' ');
    if fields.next()? == "Z" {
        return Some(0);
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(processes: &Processes) -> Owner {
        processes.this.clone().expect("a machine with /proc")
    }

    #[test]
    fn this_process_is_alive_and_another_with_its_pid_is_not() {
        let processes = Processes::look();
        let this = owner(&processes);
        assert_eq!(this.pid, std::process::id());
        assert!(processes.is_alive(&this));
        let earlier = Owner {
            started: this.started - 1,
            ..this
        };
        assert!(!processes.is_alive(&earlier));
    }

    #[test]
    fn a_process_is_dead_once_it_has_ended_waited_for_or_not() {
        let processes = Processes::look();
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .expect("started");
        let child_owner = Owner {
            pid: child.id(),
            started: start_time(Path::new("/proc"), child.id()).expect("running"),
            ..owner(&processes)
        };
        assert!(processes.is_alive(&child_owner));
        child.kill().expect("killed");
        // It ends at some time after the signal, and nobody waits for it meanwhile.
        while processes.is_alive(&child_owner) {
            std::thread::yield_now();
        }
        child.wait().expect("ended");
        assert!(!processes.is_alive(&child_owner));
    }

    #[test]
    fn only_the_process_that_is_meant_is_ended() {
        let processes = Processes::look();
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .expect("started");
        let meant = processes.of(child.id()).expect("running");
        let earlier = Owner {
            started: meant.started - 1,
            ..meant.clone()
        };
        let elsewhere = Owner {
            boot: "another".to_owned(),
            ..meant.clone()
        };
        processes.end(&earlier, &["60"]);
        processes.end(&elsewhere, &["60"]);
        processes.end(&meant, &["61"]);
        processes.end(&meant, &["60", "1"]);
        processes.end(&meant, &[]);
        assert_eq!(child.try_wait().expect("a child"), None);
        // A signal that was sent would have come before this one.
        processes.end(&meant, &["60"]);
        let status = child.wait().expect("ended");
        assert_eq!(
            std::os::unix::process::ExitStatusExt::signal(&status),
            Some(15)
        );
    }

    #[test]
    fn pids_that_cannot_be_are_dead() {
        let processes = Processes::look();
        for pid in [0, u32::MAX, i32::MAX as u32] {
            let nobody = Owner {
                pid,
                ..owner(&processes)
            };
            assert!(!processes.is_alive(&nobody), "{pid}");
        }
    }

    #[test]
    fn the_proc_of_another_namespace_tells_nothing() {
        let directory = tempfile::tempdir().expect("temporary directory");
        std::os::unix::fs::symlink("1", directory.path().join("self")).expect("linked");
        assert_eq!(identity(directory.path(), 2), None);
    }
}

//! Whom a fault meets: the containers of a run by the names that people use for them.

use std::collections::BTreeSet;

use super::{Fault, RequestError};
use crate::config::suggest::nearest;
use crate::name::{ContainerId, ServiceName};

/// One container that there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its own name: that of the service, or of the replica.
    pub name: ServiceName,
    /// By which name it is found: its own, and of a copy that of what it is a copy of.
    pub known_as: ServiceName,
    /// Its service.
    pub of: ServiceName,
    /// The container; `None` before it is created.
    pub container: Option<ContainerId>,
    /// Whether it runs.
    pub running: bool,
    /// Whether it is a suite.
    pub is_suite: bool,
}

/// A container that a fault meets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// Its own name.
    pub name: ServiceName,
    /// Its service.
    pub of: ServiceName,
    /// The container.
    pub container: ContainerId,
}

/// The containers that a fault meets: on one side, and on the other where it is between two.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Targets {
    /// One side.
    pub a: Vec<Target>,
    /// The other side; empty where there is none.
    pub b: Vec<Target>,
}

impl Targets {
    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Target> {
        self.a.iter().chain(&self.b)
    }
}

/// Finds the containers that a fault meets.
///
/// # Errors
/// A service does not exist, does not run, or is none that may be met; or both sides have a container
/// in common.
pub fn targets(fault: &Fault, members: &[Member]) -> Result<Targets, RequestError> {
    let (a, b) = match fault {
        Fault::Disconnect { service, .. }
        | Fault::Connect { service, .. }
        | Fault::Pause { service }
        | Fault::Kill { service }
        | Fault::Restart { service }
        | Fault::Latency { service, .. } => (service, None),
        Fault::Partition { a, b } => (a, Some(b)),
        Fault::Drop { a, b, .. } => (a, b.as_ref()),
    };
    let ends = matches!(
        fault,
        Fault::Pause { .. } | Fault::Kill { .. } | Fault::Restart { .. }
    );
    let a = named(a, members, ends)?;
    let b = match b {
        Some(b) => named(b, members, ends)?,
        None => Vec::new(),
    };
    let one: BTreeSet<&Target> = a.iter().collect();
    if let Some(both) = b.iter().find(|target| one.contains(target)) {
        let problem = format!("`{}` cannot be parted from itself", both.name);
        return Err(RequestError::new(problem, "name two services"));
    }
    Ok(Targets { a, b })
}

fn named(name: &str, members: &[Member], ends: bool) -> Result<Vec<Target>, RequestError> {
    let found: Vec<&Member> = members
        .iter()
        .filter(|member| member.known_as.as_str() == name || member.of.as_str() == name)
        .collect();
    if found.is_empty() {
        let names: BTreeSet<&str> = members
            .iter()
            .flat_map(|member| [member.known_as.as_str(), member.of.as_str()])
            .collect();
        let hint = match nearest(name, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => {
                let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
                format!("there are {}", names.join(", "))
            }
        };
        let problem = format!("unknown service `{}`", super::shown(name));
        return Err(RequestError::new(problem, hint));
    }
    if ends && found.iter().any(|member| member.is_suite) {
        let problem = format!("`{name}` is a suite, whose end is its verdict");
        let hint = "kill, restart and pause the services that it tests";
        return Err(RequestError::new(problem, hint));
    }
    let running = found.into_iter().filter(|member| member.running);
    let targets: Vec<Target> = running
        .filter_map(|member| {
            Some(Target {
                name: member.name.clone(),
                of: member.of.clone(),
                container: member.container.clone()?,
            })
        })
        .collect();
    if targets.is_empty() {
        let problem = format!("`{name}` does not run");
        let hint = "a fault needs a running container: undo what ended it, or wait for its start";
        return Err(RequestError::new(problem, hint));
    }
    Ok(targets)
}

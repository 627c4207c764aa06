//! A command on this host as one more suite: what is run, and under which name.
//!
//! Pure: that the program exists was looked at before, and it is run by the executor.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::{PlanError, PlannedService};
use crate::config::model::{Role, Service, Suite};
use crate::name::{ContainerId, ServiceName};
use crate::reachability::SUITE;

/// A command on this host.
#[derive(Debug, Clone)]
pub struct HostCommand {
    /// The name of the suite that it is.
    pub name: ServiceName,
    /// Whether somebody has said this name; else it may be changed so that nothing else has it.
    pub is_named: bool,
    /// The program: an absolute path.
    pub program: PathBuf,
    /// As which program it is called: what was written.
    pub called: OsString,
    /// Its arguments, which no shell reads.
    pub arguments: Vec<OsString>,
    /// Where it runs, and what its report files are relative to: an absolute path.
    pub directory: PathBuf,
    /// The output directory of the run: an absolute path.
    pub out: PathBuf,
    /// What makes it a suite.
    pub suite: Suite,
    /// Of a held environment, the services whose containers run there; of one of this run, nothing.
    pub held: Vec<HeldService>,
}

/// A service of a held environment.
#[derive(Debug, Clone)]
pub struct HeldService {
    /// The replica.
    pub name: ServiceName,
    /// What the file says of it.
    pub service: Service,
    /// Its container.
    pub container: ContainerId,
}

/// The name of the suite that a command is: that of its program without what a name of a file and of a log
/// cannot have.
#[must_use]
pub fn name_of(program: &Path) -> ServiceName {
    const LONGEST: usize = 40;
    let file = program.file_name().unwrap_or_default().to_string_lossy();
    let name: String = file
        .chars()
        .map(|letter| match letter {
            letter if letter.is_ascii_alphanumeric() => letter,
            '_' | '-' | '.' => letter,
            _ => '-',
        })
        .take(LONGEST)
        .collect();
    let name = name.trim_matches('.');
    ServiceName::new(if name.is_empty() { "command" } else { name })
}

impl HostCommand {
    /// The same under a name that nothing of the run has.
    pub(super) fn among(
        mut self,
        services: &BTreeMap<ServiceName, PlannedService>,
        has_matrix: bool,
    ) -> Result<Self, PlanError> {
        let of_file = services.values().map(|planned| &planned.of);
        let mut taken: BTreeSet<&str> = services
            .keys()
            .chain(of_file)
            .map(ServiceName::as_str)
            .collect();
        if has_matrix {
            taken.insert(SUITE);
        }
        if !taken.contains(self.name.as_str()) {
            return Ok(self);
        }
        if self.is_named {
            return Err(PlanError::CommandName { name: self.name });
        }
        let mut number = 2_u32;
        let free = loop {
            let name = format!("{}-{number}", self.name);
            if !taken.contains(name.as_str()) {
                break name;
            }
            number = number.saturating_add(1);
        };
        self.name = ServiceName::new(free);
        Ok(self)
    }
}

/// Whether a command may use a service: one that runs until teardown, in the environment that is shared.
#[must_use]
pub fn may_use(planned: &PlannedService) -> bool {
    planned.scope.is_none() && planned.service.role == Role::Service
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_of_a_file() {
        let name = |path: &str| name_of(Path::new(path)).to_string();
        assert_eq!(name("/usr/bin/npm"), "npm");
        assert_eq!(name("./run tests.sh"), "run-tests.sh");
        assert_eq!(name("/opt/..."), "command");
        assert_eq!(name("/"), "command");
        assert_eq!(name(&format!("/{}", "x".repeat(300))).len(), 40);
        assert_eq!(name("/bin/tést"), "t-st");
    }
}

//! The standard output of suites whose report it is, kept whole until the suite is judged.
//!
//! It lies in files without a name, bounded each, and never in memory while the suite runs. Nothing
//! is understood of it here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::engine::OutputStream;
use crate::junit;
use crate::name::{ContainerId, ServiceName};
use crate::plan::Plan;

/// Most that is kept of one container, in bytes: one more than is read, so that what is larger is told
/// from what just fits.
const LARGEST: u64 = junit::read::MAX_DOCUMENT as u64 + 1;

/// What is kept of the output of containers.
#[derive(Debug, Default)]
pub(super) struct Spools {
    wanted: BTreeSet<ServiceName>,
    kept: Mutex<BTreeMap<ContainerId, Spool>>,
}

#[derive(Debug)]
enum Spool {
    Open { file: File, size: u64 },
    Failed(io::Error),
}

impl Spools {
    /// For the suites of the plan whose standard output is a report.
    pub(super) fn of(plan: &Plan) -> Self {
        let wanted = plan.services.iter().filter(|(_, planned)| {
            let suite = planned.service.suite.as_ref();
            suite.is_some_and(|suite| suite.tap.stdout || suite.go_test.stdout)
        });
        Self {
            wanted: wanted.map(|(name, _)| name.clone()).collect(),
            kept: Mutex::default(),
        }
    }

    /// Keeps a piece of output, if it is to be kept.
    pub(super) fn hear(
        &self,
        service: &ServiceName,
        container: &ContainerId,
        stream: OutputStream,
        bytes: &[u8],
    ) {
        if stream != OutputStream::Stdout || !self.wanted.contains(service) {
            return;
        }
        let mut kept = self.lock();
        let spool = kept.entry(container.clone()).or_insert_with(Spool::open);
        spool.push(bytes);
    }

    /// What a container has written, once it has ended; nothing where it wrote nothing.
    pub(super) fn take(&self, container: &ContainerId) -> io::Result<Vec<u8>> {
        let spool = self.lock().remove(container);
        match spool {
            None => Ok(Vec::new()),
            Some(Spool::Failed(error)) => Err(error),
            Some(Spool::Open { mut file, .. }) => {
                let mut bytes = Vec::new();
                file.rewind()?;
                file.read_to_end(&mut bytes)?;
                Ok(bytes)
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ContainerId, Spool>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Spool {
    fn open() -> Self {
        match tempfile::tempfile() {
            Ok(file) => Self::Open { file, size: 0 },
            Err(error) => Self::Failed(error),
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        let Self::Open { file, size } = self else {
            return;
        };
        let room = usize::try_from(LARGEST - *size).unwrap_or(usize::MAX);
        let piece = bytes.get(..room).unwrap_or(bytes);
        match file.write_all(piece) {
            Ok(()) => *size += piece.len() as u64,
            // Half of a report must not pass for the whole.
            Err(error) => *self = Self::Failed(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_output_of_each_container_is_kept_apart_and_bounded() {
        let spools = Spools {
            wanted: BTreeSet::from([ServiceName::new("unit")]),
            kept: Mutex::default(),
        };
        let [first, second] = ["1", "2"].map(ContainerId::new);
        let unit = ServiceName::new("unit");
        spools.hear(&unit, &first, OutputStream::Stdout, b"one ");
        spools.hear(&unit, &first, OutputStream::Stderr, b"noise");
        spools.hear(&unit, &second, OutputStream::Stdout, b"other");
        spools.hear(&ServiceName::new("db"), &first, OutputStream::Stdout, b"db");
        spools.hear(&unit, &first, OutputStream::Stdout, b"two");
        assert_eq!(spools.take(&first).expect("kept"), b"one two");
        assert_eq!(spools.take(&first).expect("nothing"), b"");
        assert_eq!(spools.take(&second).expect("kept"), b"other");
        let piece = vec![b'x'; 7 << 20];
        for _ in 0..11 {
            spools.hear(&unit, &first, OutputStream::Stdout, &piece);
        }
        assert_eq!(spools.take(&first).expect("kept").len() as u64, LARGEST);
    }
}

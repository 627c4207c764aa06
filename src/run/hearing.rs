//! What probes hear of the output of containers: the lines that they wait for are counted from the
//! first byte of each start, whether somebody waits already or not.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::engine::OutputStream;
use crate::name::ServiceName;
use crate::plan::{Plan, readiness};
use crate::probe::LogProbe;
use crate::probe::log::{LogReader, Stream};

/// The readers of all services whose output is probed.
#[derive(Debug)]
pub(super) struct Listeners(Mutex<BTreeMap<ServiceName, Listener>>);

#[derive(Debug)]
struct Listener {
    readers: Vec<LogReader>,
    /// Says that more lines have matched.
    heard: watch::Sender<()>,
}

impl Listeners {
    /// Listeners for every service of the plan that is ready by its output.
    pub(super) fn of(plan: &Plan) -> Self {
        let listener = |probes: Vec<LogProbe>| Listener {
            readers: probes.into_iter().map(LogReader::new).collect(),
            heard: watch::Sender::new(()),
        };
        let services = plan.services.iter().filter_map(|(name, planned)| {
            let probes = readiness::log_probes(&planned.service);
            (!probes.is_empty()).then(|| (name.clone(), listener(probes)))
        });
        Self(Mutex::new(services.collect()))
    }

    /// Forgets what an earlier start of a container has written.
    pub(super) fn begin(&self, service: &ServiceName) {
        if let Some(listener) = self.lock().get_mut(service) {
            for reader in &mut listener.readers {
                *reader = LogReader::new(reader.probe().clone());
            }
        }
    }

    /// Hears a piece of output.
    pub(super) fn hear(&self, service: &ServiceName, stream: OutputStream, bytes: &[u8]) {
        let stream = match stream {
            OutputStream::Stdout => Stream::Stdout,
            OutputStream::Stderr => Stream::Stderr,
        };
        if let Some(listener) = self.lock().get_mut(service) {
            let seen = |readers: &[LogReader]| readers.iter().map(LogReader::seen).sum::<u32>();
            let before = seen(&listener.readers);
            for reader in &mut listener.readers {
                reader.read(stream, bytes);
            }
            if seen(&listener.readers) != before {
                listener.heard.send_replace(());
            }
        }
    }

    /// Lines that have matched so far.
    pub(super) fn seen(&self, service: &ServiceName, probe: &LogProbe) -> u32 {
        let listeners = self.lock();
        let readers = listeners.get(service).map(|listener| &listener.readers);
        let mut readers = readers.into_iter().flatten();
        readers
            .find(|reader| reader.probe() == probe)
            .map_or(0, LogReader::seen)
    }

    /// Returns when enough lines have matched.
    pub(super) async fn wait(&self, service: &ServiceName, probe: &LogProbe) {
        let heard = self.lock().get(service).map(|one| one.heard.subscribe());
        if let Some(mut heard) = heard {
            while self.seen(service, probe) < probe.times {
                if heard.changed().await.is_err() {
                    break;
                }
            }
        }
        if self.seen(service, probe) < probe.times {
            // Nothing will come; whoever waits has a limit.
            std::future::pending::<()>().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ServiceName, Listener>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

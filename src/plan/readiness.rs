//! Which probes decide that a service is ready.
//!
//! The rules, in this order: `x-envrun.ready` if given; else *all of* the healthcheck (of the file
//! or of the image) and, for a recognised server, its handshake over TCP; with neither, *any one*
//! of the ports of `ports` and `expose`, else of the image's `EXPOSE`; with none of these, the
//! start itself. Jobs and suites are never port-probed.

use std::time::Duration;

use crate::config::model::{Healthcheck, Protocol, ReadyProbe, Role, Service};
use crate::engine::ImageFacts;
use crate::probe::{HealthcheckProbe, NetworkProbe, Probe};

/// Default limit from start to ready.
pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(180);

/// Engine's defaults for a healthcheck (Docker Engine API, `HealthConfig`).
const DEFAULT_INTERVAL: Duration = Duration::from_secs(30);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
const DEFAULT_RETRIES: u32 = 3;

/// What has to pass before a service counts as ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// All of these must pass. Empty: the start itself is enough.
    pub probes: Vec<Probe>,
    /// Limit from start to ready; `None` means no limit.
    pub deadline: Option<Duration>,
    /// Whether the user (or the image's author) has said what ready means. A service that exits
    /// with 0 before it is ready has completed when nothing was declared, and has failed when
    /// something was.
    pub declared: bool,
    /// Why these probes, for people.
    pub reason: String,
}

/// Decides what has to pass before `service` counts as ready.
#[must_use]
pub fn requirement(service: &Service, image: &ImageFacts) -> Requirement {
    let healthcheck = healthcheck(service, image);
    let deadline = |probes: &[Probe]| match service.ready.as_ref().and_then(|ready| ready.deadline)
    {
        None => Some(patience(probes)),
        Some(Duration::ZERO) => None,
        Some(limit) => Some(limit),
    };
    if let Some(ready) = service
        .ready
        .as_ref()
        .filter(|ready| !ready.probes.is_empty())
    {
        let probes: Vec<Probe> = ready
            .probes
            .iter()
            .filter_map(|probe| declared_probe(probe, healthcheck.as_ref()))
            .collect();
        return Requirement {
            deadline: deadline(&probes),
            probes,
            declared: true,
            reason: "`x-envrun.ready`".to_owned(),
        };
    }
    let mut probes = Vec::new();
    let mut reasons = Vec::new();
    let declared = healthcheck.is_some();
    if let Some(check) = healthcheck {
        reasons.push(match service.healthcheck {
            Some(_) => "`healthcheck` of the file".to_owned(),
            None => "`HEALTHCHECK` of the image".to_owned(),
        });
        probes.push(Probe::Healthcheck(check));
    }
    if service.role == Role::Service {
        if let Some((port, why)) = recognised_postgres(service, image) {
            reasons.push(why);
            probes.push(Probe::Network(NetworkProbe::Postgres { port }));
        }
        if probes.is_empty() {
            let (ports, why) = listed_ports(service, image);
            if !ports.is_empty() {
                reasons.push(why.to_owned());
                probes.push(Probe::Network(NetworkProbe::Tcp { ports }));
            }
        }
    }
    if reasons.is_empty() {
        reasons.push("nothing to probe: no healthcheck, no port".to_owned());
    }
    Requirement {
        deadline: deadline(&probes),
        probes,
        declared,
        reason: reasons.join(" and "),
    }
}

/// The default limit, or longer where a healthcheck promises more patience.
fn patience(probes: &[Probe]) -> Duration {
    probes
        .iter()
        .filter_map(|probe| match probe {
            Probe::Healthcheck(check) => Some(check.patience()),
            Probe::Network(_) => None,
        })
        .fold(DEFAULT_DEADLINE, Duration::max)
}

fn declared_probe(probe: &ReadyProbe, healthcheck: Option<&HealthcheckProbe>) -> Option<Probe> {
    Some(match probe {
        ReadyProbe::Tcp { port } => Probe::Network(NetworkProbe::Tcp { ports: vec![*port] }),
        ReadyProbe::Http { port, path, status } => Probe::Network(NetworkProbe::Http {
            port: *port,
            path: path.clone(),
            status: *status,
        }),
        ReadyProbe::Postgres { port } => Probe::Network(NetworkProbe::Postgres { port: *port }),
        ReadyProbe::Healthcheck => Probe::Healthcheck(healthcheck?.clone()),
    })
}

/// The healthcheck in force: the file's over the image's, field by field.
fn healthcheck(service: &Service, image: &ImageFacts) -> Option<HealthcheckProbe> {
    let inherited = image.healthcheck.clone().unwrap_or_default();
    let given = |value: Duration, default: Duration| if value.is_zero() { default } else { value };
    let (test, interval, timeout, retries, start_period) = match &service.healthcheck {
        Some(Healthcheck::Disabled) => return None,
        Some(Healthcheck::Check {
            test,
            interval,
            timeout,
            retries,
            start_period,
            ..
        }) => (
            test.clone().unwrap_or(inherited.test),
            interval.unwrap_or(inherited.interval),
            timeout.unwrap_or(inherited.timeout),
            retries.unwrap_or(inherited.retries),
            start_period.unwrap_or(inherited.start_period),
        ),
        None => (
            inherited.test,
            inherited.interval,
            inherited.timeout,
            inherited.retries,
            inherited.start_period,
        ),
    };
    let command = match test.split_first() {
        Some((kind, rest)) if kind == "CMD" && !rest.is_empty() => rest.to_vec(),
        Some((kind, rest)) if kind == "CMD-SHELL" && !rest.is_empty() => {
            vec!["/bin/sh".to_owned(), "-c".to_owned(), rest.join(" ")]
        }
        _ => return None,
    };
    Some(HealthcheckProbe {
        command,
        interval: given(interval, DEFAULT_INTERVAL),
        timeout: given(timeout, DEFAULT_TIMEOUT),
        retries: if retries == 0 {
            DEFAULT_RETRIES
        } else {
            retries
        },
        start_period,
    })
}

/// PostgreSQL is recognised by the variables that its images set, not by their name: names change
/// with mirrors and forks.
fn recognised_postgres(service: &Service, image: &ImageFacts) -> Option<(u16, String)> {
    const STANDARD: u16 = 5432;
    let sets = |name: &str| {
        image
            .environment
            .iter()
            .any(|entry| entry.split_once('=').is_some_and(|(key, _)| key == name))
    };
    let recognised = (sets("PGDATA") && sets("PG_MAJOR"))
        || image
            .environment
            .iter()
            .any(|entry| entry == "BITNAMI_APP_NAME=postgresql");
    // An image that is built upon PostgreSQL but runs something else is not a server.
    let serves = image.exposed_tcp.contains(&STANDARD) && service.entrypoint.is_none();
    let own_command = service.command.as_ref().and_then(|command| command.first());
    let runs_server = own_command.is_none_or(|word| word.starts_with('-') || word == "postgres");
    let port = service
        .environment
        .get("PGPORT")
        .and_then(|port| port.parse().ok())
        .unwrap_or(STANDARD);
    (recognised && serves && runs_server)
        .then(|| (port, "image is recognised as PostgreSQL".to_owned()))
}

fn listed_ports(service: &Service, image: &ImageFacts) -> (Vec<u16>, &'static str) {
    let mut ports: Vec<u16> = service
        .ports
        .iter()
        .map(|port| (port.target, port.protocol))
        .chain(service.expose.iter().copied())
        .filter(|(_, protocol)| *protocol == Protocol::Tcp)
        .map(|(port, _)| port)
        .collect();
    ports.sort_unstable();
    ports.dedup();
    if ports.is_empty() {
        (image.exposed_tcp.clone(), "`EXPOSE` of the image")
    } else {
        (ports, "`ports` and `expose` of the file")
    }
}

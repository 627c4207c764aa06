//! Which probes decide that a service is ready.
//!
//! The rules, in this order: `x-envrun.ready` if given; else *all of* the healthcheck (of the file
//! or of the image) and, for a recognised server, its handshake over TCP; with neither, *any one*
//! of the ports of `ports` and `expose`, else of the image's `EXPOSE`; with none of these, the
//! start itself. Jobs and suites are never port-probed.

use std::sync::Arc;
use std::time::Duration;

use super::recognition::{self, Recognised};
use crate::config::model::{
    Healthcheck, MountSource, Protocol, Ready, ReadyHttp, ReadyKind, ReadyPace, ReadyProbe,
    ReadyStream, ReadyTls, ReadyTree, Role, ServerProtocol, Service,
};
use crate::engine::ImageFacts;
use crate::probe::log::Stream;
use crate::probe::{
    self, ExecProbe, FileProbe, HealthcheckProbe, HttpProbe, Kind, LogProbe, NetworkProbe, Pace,
    Pattern, Probe, Tree, Verification,
};

/// Default limit from start to ready.
pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(180);

/// Engine's defaults for a healthcheck (Docker Engine API, `HealthConfig`).
const DEFAULT_INTERVAL: Duration = Duration::from_secs(30);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
const DEFAULT_RETRIES: u32 = 3;

/// What has to pass before a service counts as ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// What has to pass. Empty: the start itself is enough.
    pub tree: Tree,
    /// Limit from start to ready; `None` means no limit.
    pub deadline: Option<Duration>,
    /// Whether the user (or the image's author) has said what ready means. A service that exits
    /// with 0 before it is ready has completed when nothing was declared, and has failed when
    /// something was, unless `completed` is among what was declared.
    pub declared: bool,
    /// Whether it can be met at all. It cannot where the healthcheck is named, and there is none.
    pub is_possible: bool,
    /// Why these probes, for people.
    pub reason: String,
}

/// Decides what has to pass before `service` counts as ready.
#[must_use]
pub fn requirement(service: &Service, image: &ImageFacts) -> Requirement {
    let healthcheck = healthcheck(service, image);
    let deadline = |tree: &Tree| match service.ready.as_ref().and_then(|ready| ready.deadline) {
        None => Some(patience(tree)),
        Some(Duration::ZERO) => None,
        Some(limit) => Some(limit),
    };
    if let Some(declared) = service.ready.as_ref().and_then(|ready| ready.tree.as_ref()) {
        let by = Declaring {
            service,
            image: Some(image),
            healthcheck: healthcheck.as_ref(),
        };
        let tree = by.tree(declared);
        let is_possible = tree.is_some();
        let tree = tree.unwrap_or(Tree::All(Vec::new()));
        return Requirement {
            deadline: deadline(&tree),
            declared: !tree.leaves().iter().any(|one| one.kind == Kind::Completed),
            tree,
            is_possible,
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
        probes.push(Kind::Healthcheck(check));
    }
    if service.role == Role::Service {
        if let Some(Recognised {
            protocol,
            port,
            sign,
        }) = recognition::server(service, image)
        {
            reasons.push(sign);
            probes.push(Kind::Network(NetworkProbe::Server { protocol, port }));
        }
        if probes.is_empty() {
            let (ports, why) = listed_ports(service, Some(image));
            if !ports.is_empty() {
                reasons.push(why.to_owned());
                probes.push(Kind::Network(NetworkProbe::Tcp { ports }));
            }
        }
    }
    if reasons.is_empty() {
        reasons.push("nothing to probe: no healthcheck, no port".to_owned());
    }
    let tree = Tree::all(probes.into_iter().map(Probe::new).collect());
    Requirement {
        deadline: deadline(&tree),
        tree,
        declared,
        is_possible: true,
        reason: reasons.join(" and "),
    }
}

/// What is known of the readiness of a service before its image is, for people: what will decide, and
/// why.
#[must_use]
pub fn outlook(service: &Service) -> String {
    let deadline = match service.ready.as_ref().and_then(|ready| ready.deadline) {
        None => String::new(),
        Some(Duration::ZERO) => ", without a deadline".to_owned(),
        Some(limit) => format!(", within {limit:?}"),
    };
    if service
        .ready
        .as_ref()
        .is_some_and(|ready| ready.tree.is_some())
    {
        let by = Declaring {
            service,
            image: None,
            healthcheck: Some(&UNKNOWN_CHECK),
        };
        let ready = service.ready.as_ref().and_then(|ready| ready.tree.as_ref());
        let tree = ready.and_then(|tree| by.tree(tree));
        let tree = tree.map(|tree| tree.to_string()).unwrap_or_default();
        return format!("by {tree}, from `x-envrun.ready`{deadline}");
    }
    let server = recognition::supposed(service).map(|protocol| {
        format!("the handshake of {protocol}, if the image is one, as its name says")
    });
    let server = server.unwrap_or_else(|| {
        "the handshake of the server, if the image is recognised as one".to_owned()
    });
    let is_service = service.role == Role::Service;
    let ports = match listed_ports(service, None).0.as_slice() {
        _ if !is_service => "the start".to_owned(),
        [] => "any port of its `EXPOSE`, else the start".to_owned(),
        ports => {
            let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
            format!("tcp {}, from `ports` and `expose`", ports.join(" or "))
        }
    };
    let what = match (&service.healthcheck, is_service) {
        (Some(Healthcheck::Check { .. }), true) => {
            format!("by healthcheck, from the file, and {server}")
        }
        (Some(Healthcheck::Check { .. }), false) => "by healthcheck, from the file".to_owned(),
        (Some(Healthcheck::Disabled), true) => format!("by {server}; else by {ports}"),
        (Some(Healthcheck::Disabled), false) => format!("by {ports}"),
        (None, true) => {
            format!(
                "by the `HEALTHCHECK` of the image, if it has one, and {server}; with neither by {ports}"
            )
        }
        (None, false) => {
            format!("by the `HEALTHCHECK` of the image, if it has one, else by {ports}")
        }
    };
    format!("{what}{deadline}")
}

/// What the output of a service is read for.
#[must_use]
pub fn log_probes(service: &Service) -> Vec<LogProbe> {
    fn collect(tree: &ReadyTree, probes: &mut Vec<LogProbe>) {
        match tree {
            ReadyTree::All(parts) | ReadyTree::Any(parts) => {
                parts.iter().for_each(|part| collect(part, probes));
            }
            ReadyTree::Probe(probe) => probes.extend(log_probe(&probe.kind)),
        }
    }
    let mut probes = Vec::new();
    if let Some(Ready {
        tree: Some(tree), ..
    }) = &service.ready
    {
        collect(tree, &mut probes);
    }
    probes
}

fn log_probe(kind: &ReadyKind) -> Option<LogProbe> {
    let ReadyKind::Log {
        pattern,
        stream,
        times,
    } = kind
    else {
        return None;
    };
    Some(LogProbe {
        pattern: Pattern::new(pattern),
        stream: stream.map(|stream| match stream {
            ReadyStream::Stdout => Stream::Stdout,
            ReadyStream::Stderr => Stream::Stderr,
        }),
        times: *times,
    })
}

/// The default limit, or longer where a healthcheck promises more patience.
fn patience(tree: &Tree) -> Duration {
    tree.leaves()
        .into_iter()
        .filter_map(|probe| match &probe.kind {
            Kind::Healthcheck(check) => Some(check.patience()),
            _ => None,
        })
        .fold(DEFAULT_DEADLINE, Duration::max)
}

/// Where a file says that the healthcheck decides, and nobody knows it yet.
static UNKNOWN_CHECK: HealthcheckProbe = HealthcheckProbe {
    command: Vec::new(),
    interval: DEFAULT_INTERVAL,
    timeout: DEFAULT_TIMEOUT,
    retries: DEFAULT_RETRIES,
    start_period: Duration::ZERO,
};

/// What a service is declared to be ready by.
struct Declaring<'a> {
    service: &'a Service,
    image: Option<&'a ImageFacts>,
    healthcheck: Option<&'a HealthcheckProbe>,
}

impl Declaring<'_> {
    /// What the file asks for, less alternatives that cannot be; `None` when nothing is left.
    fn tree(&self, tree: &ReadyTree) -> Option<Tree> {
        match tree {
            ReadyTree::All(all) => {
                let all: Option<Vec<Tree>> = all.iter().map(|part| self.tree(part)).collect();
                all.map(Tree::All)
            }
            ReadyTree::Any(any) => {
                let any: Vec<Tree> = any.iter().filter_map(|part| self.tree(part)).collect();
                (!any.is_empty()).then_some(Tree::Any(any))
            }
            ReadyTree::Probe(probe) => self.probe(probe).map(Tree::Leaf),
        }
    }

    /// A probe of the file; `None` for the healthcheck of an image that has none.
    fn probe(&self, declared: &ReadyProbe) -> Option<Probe> {
        let kind = match &declared.kind {
            ReadyKind::Tcp { port } => Kind::Network(NetworkProbe::Tcp { ports: vec![*port] }),
            ReadyKind::Http(http) => Kind::Network(NetworkProbe::Http(Box::new(http_probe(http)))),
            ReadyKind::Grpc { port, service } => Kind::Network(NetworkProbe::Grpc {
                port: *port,
                service: service.clone(),
            }),
            ReadyKind::Server { protocol, port } => {
                let protocol = match protocol {
                    ServerProtocol::Postgres => probe::Protocol::Postgres,
                    ServerProtocol::Mysql => probe::Protocol::Mysql,
                    ServerProtocol::Redis => probe::Protocol::Redis,
                    ServerProtocol::Rabbitmq => probe::Protocol::Rabbitmq,
                    ServerProtocol::Memcached => probe::Protocol::Memcached,
                    ServerProtocol::Nats => probe::Protocol::Nats,
                };
                let usual = || {
                    recognition::port(protocol, self.service, self.image)
                        .unwrap_or(protocol.usual_port())
                };
                Kind::Network(NetworkProbe::Server {
                    protocol,
                    port: port.unwrap_or_else(usual),
                })
            }
            ReadyKind::Log { .. } => Kind::Log(log_probe(&declared.kind)?),
            ReadyKind::Exec { command } => Kind::Exec(ExecProbe {
                command: command.clone(),
            }),
            ReadyKind::Healthcheck => Kind::Healthcheck(self.healthcheck?.clone()),
            ReadyKind::File { path, not_empty } => Kind::File(FileProbe {
                path: path.clone(),
                not_empty: *not_empty,
                by_command: self.is_hidden(path),
            }),
            ReadyKind::Completed => Kind::Completed,
        };
        Some(Probe {
            kind,
            pace: pace(&declared.pace),
        })
    }

    /// Whether the engine does not see a path of the running container: what is in memory only.
    fn is_hidden(&self, path: &str) -> bool {
        let plain = |path: &str| {
            let parts = path.split('/').filter(|part| !matches!(*part, "" | "."));
            let path: String = parts.map(|part| format!("/{part}")).collect();
            // These are links in most images.
            match path.strip_prefix("/var/run/") {
                Some(rest) => format!("/run/{rest}"),
                None => path,
            }
        };
        let path = plain(path);
        let is_below = |target: &str| {
            let target = plain(target);
            path == target
                || path
                    .strip_prefix(&target)
                    .is_some_and(|rest| rest.starts_with('/'))
        };
        let in_memory = self
            .service
            .mounts
            .iter()
            .filter(|mount| mount.source == MountSource::Tmpfs)
            .map(|mount| mount.target.as_str());
        let short = self.service.options.tmpfs.keys().map(String::as_str);
        in_memory
            .chain(short)
            .chain(["/dev", "/proc", "/sys"])
            .any(is_below)
    }
}

fn pace(pace: &ReadyPace) -> Pace {
    Pace {
        successes: pace.successes.unwrap_or(1).max(1),
        timeout: pace.timeout,
        interval: pace.interval,
        deadline: pace.deadline.filter(|deadline| !deadline.is_zero()),
    }
}

fn http_probe(http: &ReadyHttp) -> HttpProbe {
    HttpProbe {
        port: http.port,
        path: http.path.clone(),
        head_only: http.head_only,
        headers: http.headers.clone(),
        status: http.status.clone(),
        body: http.body.as_deref().map(Pattern::new),
        redirects: http.redirects,
        tls: http.tls.as_ref().map(|tls| match tls {
            ReadyTls::Trusted => Verification::Trusted,
            ReadyTls::Authorities(pem) => Verification::Authorities(Arc::from(pem.as_slice())),
            ReadyTls::Insecure => Verification::Insecure,
        }),
    }
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

fn listed_ports(service: &Service, image: Option<&ImageFacts>) -> (Vec<u16>, &'static str) {
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
        (
            image
                .map(|image| image.exposed_tcp.clone())
                .unwrap_or_default(),
            "`EXPOSE` of the image",
        )
    } else {
        (ports, "`ports` and `expose` of the file")
    }
}

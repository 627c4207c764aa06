//! Servers that are recognised, so that their own protocol can be asked whether they serve.
//!
//! An image is recognised by the variables that its authors set and by the ports that it exposes;
//! names change with mirrors and forks, so a name is a sign only together with the port. What runs
//! something else than the server, or where the port is not known, is not recognised: a handshake at
//! the wrong place would never pass.

use crate::config::model::Service;
use crate::engine::ImageFacts;
use crate::image::Reference;
use crate::probe::Protocol;

/// A server that an image was recognised as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Recognised {
    /// What it speaks.
    pub(super) protocol: Protocol,
    /// Where it listens.
    pub(super) port: u16,
    /// By what it was recognised, for people.
    pub(super) sign: String,
}

/// By what a server is known.
struct Signs {
    protocol: Protocol,
    /// What people call it.
    title: &'static str,
    /// Variables of an image that are set together, in any one of these ways. A `*` at the end stands
    /// for anything.
    variables: &'static [&'static [&'static str]],
    /// Other ports that only this server's image exposes beside its own.
    ports: &'static [u16],
    /// Last parts of the names of its images.
    names: &'static [&'static str],
    /// Its programs.
    programs: &'static [&'static str],
    /// Variables that set its port.
    port_variables: &'static [&'static str],
    /// Options of its program that set its port.
    port_options: &'static [&'static str],
    /// Options with which it does not listen, or not in the clear.
    unlike: &'static [&'static str],
}

const SIGNS: [Signs; 6] = [
    Signs {
        protocol: Protocol::Postgres,
        title: "PostgreSQL",
        variables: &[&["PGDATA", "PG_MAJOR"], &["BITNAMI_APP_NAME=postgresql"]],
        ports: &[],
        names: &[
            "postgres",
            "postgresql",
            "postgis",
            "timescaledb",
            "pgvector",
        ],
        programs: &["postgres"],
        port_variables: &["PGPORT", "POSTGRESQL_PORT_NUMBER"],
        port_options: &["-p", "--port", "port", "-cport"],
        unlike: &[],
    },
    Signs {
        protocol: Protocol::Mysql,
        title: "MySQL or MariaDB",
        variables: &[
            &["MYSQL_MAJOR", "MYSQL_VERSION"],
            &["MARIADB_VERSION"],
            &["MARIADB_MAJOR"],
            &["PS_VERSION"],
            &["BITNAMI_APP_NAME=mysql"],
            &["BITNAMI_APP_NAME=mariadb"],
        ],
        ports: &[33060],
        names: &[
            "mysql",
            "mariadb",
            "percona",
            "percona-server",
            "mysql-server",
        ],
        programs: &["mysqld", "mariadbd", "mysqld_safe"],
        port_variables: &["MYSQL_TCP_PORT", "MYSQL_PORT_NUMBER", "MARIADB_PORT_NUMBER"],
        port_options: &["-P", "--port"],
        unlike: &["--skip-networking", "--skip_networking"],
    },
    Signs {
        protocol: Protocol::Redis,
        title: "Redis or Valkey",
        variables: &[
            &["REDIS_VERSION"],
            &["REDIS_DOWNLOAD_*"],
            &["VALKEY_VERSION"],
            &["VALKEY_DOWNLOAD_*"],
            &["BITNAMI_APP_NAME=redis"],
            &["BITNAMI_APP_NAME=valkey"],
        ],
        ports: &[],
        names: &[
            "redis",
            "valkey",
            "redis-stack-server",
            "keydb",
            "dragonfly",
        ],
        programs: &["redis-server", "valkey-server"],
        port_variables: &["REDIS_PORT_NUMBER", "VALKEY_PORT_NUMBER"],
        port_options: &["--port"],
        unlike: &["--tls-port", "--sentinel"],
    },
    Signs {
        protocol: Protocol::Rabbitmq,
        title: "RabbitMQ",
        variables: &[&["RABBITMQ_VERSION"], &["BITNAMI_APP_NAME=rabbitmq"]],
        ports: &[4369, 25672],
        names: &["rabbitmq"],
        programs: &["rabbitmq-server"],
        port_variables: &["RABBITMQ_NODE_PORT", "RABBITMQ_NODE_PORT_NUMBER"],
        port_options: &[],
        unlike: &[],
    },
    Signs {
        protocol: Protocol::Memcached,
        title: "memcached",
        variables: &[&["MEMCACHED_VERSION"], &["BITNAMI_APP_NAME=memcached"]],
        ports: &[],
        names: &["memcached"],
        programs: &["memcached"],
        port_variables: &["MEMCACHED_PORT_NUMBER"],
        port_options: &["-p", "--port"],
        unlike: &[
            "-s",
            "--unix-socket",
            "-Z",
            "--enable-ssl",
            "-S",
            "--enable-sasl",
        ],
    },
    Signs {
        protocol: Protocol::Nats,
        title: "NATS",
        variables: &[&["NATS_SERVER"], &["BITNAMI_APP_NAME=nats"]],
        ports: &[6222, 8222],
        names: &["nats", "nats-server"],
        programs: &["nats-server"],
        port_variables: &["NATS_CLIENT_PORT_NUMBER"],
        port_options: &["-p", "--port"],
        unlike: &[],
    },
];

/// The server that a service is, if it is one.
pub(super) fn server(service: &Service, image: &ImageFacts) -> Option<Recognised> {
    SIGNS.iter().find_map(|signs| {
        if !image.exposed_tcp.contains(&signs.protocol.usual_port()) {
            return None;
        }
        let sign = signs.sign(service, image)?;
        if !signs.runs(service) {
            return None;
        }
        let port = signs.port(service, Some(image))?;
        if signs.may_be_moved(service, port) {
            return None;
        }
        Some(Recognised {
            protocol: signs.protocol,
            port,
            sign: format!("image is recognised as {} by {sign}", signs.title),
        })
    })
}

/// The server that a service seems to be by the name of its image, before anything else is known of it.
pub(super) fn supposed(service: &Service) -> Option<&'static str> {
    let signs = SIGNS.iter().find(|signs| signs.is_named(service))?;
    let may_be = signs.runs(service) && signs.port(service, None).is_some();
    may_be.then_some(signs.title)
}

/// The port that a server of this kind has in a service, as far as options and variables say; `None`
/// when it has none.
pub(super) fn port(
    protocol: Protocol,
    service: &Service,
    image: Option<&ImageFacts>,
) -> Option<u16> {
    let signs = SIGNS.iter().find(|signs| signs.protocol == protocol)?;
    signs.port(service, image)
}

impl Signs {
    /// By what the image is known.
    fn sign(&self, service: &Service, image: &ImageFacts) -> Option<String> {
        let is_set = |wanted: &str| {
            image.environment.iter().any(|entry| {
                let name = entry.split('=').next().unwrap_or_default();
                match wanted.strip_suffix('*') {
                    Some(beginning) => name.starts_with(beginning),
                    None => name == wanted || entry == wanted,
                }
            })
        };
        let together = self
            .variables
            .iter()
            .find(|names| names.iter().all(|name| is_set(name)));
        if let Some(names) = together {
            return Some(format!("`{}`", names.join("` and `")));
        }
        let exposes_all = |port| image.exposed_tcp.contains(port);
        if !self.ports.is_empty() && self.ports.iter().all(exposes_all) {
            let ports: Vec<String> = self.ports.iter().map(u16::to_string).collect();
            let usual = self.protocol.usual_port();
            return Some(format!("the ports {usual} and {}", ports.join(" and ")));
        }
        self.is_named(service).then(|| {
            let usual = self.protocol.usual_port();
            format!("its name and the port {usual}")
        })
    }

    fn is_named(&self, service: &Service) -> bool {
        // A build has whatever its Dockerfile says, however it is called.
        let image = service.image.as_deref().filter(|_| service.build.is_none());
        let reference = image.and_then(|image| Reference::parse(image).ok());
        reference.is_some_and(|reference| {
            let last = reference.repository().rsplit('/').next();
            last.is_some_and(|last| self.names.contains(&last))
        })
    }

    /// Whether it is the server that runs: an image that is built upon one and runs something else is
    /// none.
    fn runs(&self, service: &Service) -> bool {
        if service.entrypoint.is_some() {
            return false;
        }
        let Some(command) = &service.command else {
            return true;
        };
        let Some(first) = command.first() else {
            return true;
        };
        let program = first.rsplit('/').next().unwrap_or_default();
        // Entry points take options, and some a configuration file, for those of the server.
        let is_server = first.starts_with('-')
            || self.programs.contains(&program)
            || (self.protocol == Protocol::Redis && first.ends_with(".conf"));
        let is_unlike = |word: &String| {
            let name = word.split('=').next().unwrap_or_default();
            self.unlike.contains(&name)
        };
        is_server && !command.iter().any(is_unlike)
    }

    /// Whether a configuration that the command names may have set another port, as the ports of the
    /// file suggest.
    fn may_be_moved(&self, service: &Service, port: u16) -> bool {
        let words = service.command.iter().flatten();
        let names_configuration = |word: &String| {
            let path = word.rsplit('=').next().unwrap_or_default();
            [".conf", ".cnf", ".ini"]
                .iter()
                .any(|end| path.ends_with(end))
        };
        let mut ports = service.ports.iter().map(|port| port.target);
        let mut exposed = service.expose.iter().map(|(port, _)| *port);
        let lists_any = !service.ports.is_empty() || !service.expose.is_empty();
        let lists_it = ports.any(|listed| listed == port) || exposed.any(|listed| listed == port);
        lists_any && !lists_it && words.into_iter().any(names_configuration)
    }

    /// Options count over variables, and those of the service over those of the image.
    fn port(&self, service: &Service, image: Option<&ImageFacts>) -> Option<u16> {
        let of_option = self.port_option(service.command.as_deref().unwrap_or_default());
        let of_variable = || {
            self.port_variables.iter().find_map(|name| {
                let own = service.environment.get(*name).map(String::as_str);
                let of_image = || {
                    let mut entries = image?.environment.iter();
                    entries.find_map(|entry| entry.strip_prefix(name)?.strip_prefix('='))
                };
                own.or_else(of_image)
            })
        };
        match of_option.or_else(of_variable) {
            None | Some("") => Some(self.protocol.usual_port()),
            // One that cannot be read is not known, and 0 is none.
            Some(text) => text.parse().ok().filter(|port| *port != 0),
        }
    }

    /// The value of the last option that sets the port: `--port 1`, `--port=1`, `-p1`, `-c port=1`.
    fn port_option<'words>(&self, command: &'words [String]) -> Option<&'words str> {
        let mut found = None;
        for (index, word) in command.iter().enumerate() {
            for option in self.port_options {
                if word == option && option.starts_with('-') {
                    found = command.get(index + 1).map(String::as_str).or(found);
                } else if let Some(value) = word
                    .strip_prefix(option)
                    .and_then(|rest| rest.strip_prefix('='))
                {
                    found = Some(value);
                } else if option.len() == 2
                    && let Some(value) = word.strip_prefix(option)
                    && value.chars().all(|c| c.is_ascii_digit())
                {
                    found = Some(value);
                }
            }
        }
        found
    }
}

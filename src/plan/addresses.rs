//! Under which addresses a command on this host reaches the services, as variables of its environment.
//!
//! Pure: where each service is, is known once it runs.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::config::model::{Protocol, Service};
use crate::name::ServiceName;

/// The TCP ports of a service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ports {
    /// All of them, those of the file first.
    pub all: Vec<u16>,
    /// The one that is meant when none is named: the only one, else the first of `ports` and `expose`.
    pub main: Option<u16>,
}

/// The TCP ports that the file and the image name.
#[must_use]
pub fn ports(service: &Service, of_image: &[u16]) -> Ports {
    let published = service.ports.iter();
    let published = published
        .filter(|port| port.protocol == Protocol::Tcp)
        .map(|port| port.target);
    let exposed = service.expose.iter();
    let exposed = exposed
        .filter(|(_, protocol)| *protocol == Protocol::Tcp)
        .map(|(port, _)| *port);
    let mut seen = BTreeSet::new();
    let of_file: Vec<u16> = published
        .chain(exposed)
        .filter(|port| seen.insert(*port))
        .collect();
    let mut all = of_file.clone();
    all.extend(of_image.iter().copied().filter(|port| seen.insert(*port)));
    let main = match all.as_slice() {
        [only] => Some(*only),
        _ => of_file.first().copied(),
    };
    Ports { all, main }
}

/// Where a service is for this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The service, or one replica of it.
    pub name: ServiceName,
    /// The host to dial.
    pub host: String,
    /// Its ports in the container.
    pub ports: Ports,
    /// The ports to dial for those of the container; `None`: the same ones.
    pub published: Option<BTreeMap<u16, u16>>,
}

/// The ports behind which the engine has published those of a container, by the engine's words:
/// `5432/tcp` to `127.0.0.1:49153`.
#[must_use]
pub fn published(host_ports: &BTreeMap<String, Vec<String>>) -> BTreeMap<u16, u16> {
    let tcp = host_ports.iter().filter_map(|(port, hosts)| {
        let inner: u16 = port.strip_suffix("/tcp")?.parse().ok()?;
        // Where there are several, the one for IPv4 comes first.
        let outer = hosts
            .iter()
            .find_map(|host| host.rsplit_once(':')?.1.parse().ok())?;
        Some((inner, outer))
    });
    tcp.collect()
}

/// A variable that other programs read and that means something else there.
const RESERVED: [&str; 1] = ["DOCKER_HOST"];

/// The variables, and what is to be said about those that there are not.
///
/// `my-db` has `MY_DB_HOST`, `MY_DB_PORT` and for each port `MY_DB_PORT_5432`. Two services that share a
/// name in this spelling have none: the wrong address is worse than none.
#[must_use]
pub fn variables(places: &[Place]) -> (BTreeMap<String, String>, Vec<String>) {
    let mut variables = BTreeMap::new();
    let mut warnings = Vec::new();
    let mut by_stem: BTreeMap<String, Vec<&Place>> = BTreeMap::new();
    for place in places {
        by_stem.entry(stem(&place.name)).or_default().push(place);
    }
    for (stem, places) in by_stem {
        let [place] = places.as_slice() else {
            let names: Vec<String> = places.iter().map(|one| format!("`{}`", one.name)).collect();
            warnings.push(format!(
                "the command gets no `{stem}_HOST` and no `{stem}_PORT`: both {} would have them",
                names.join(" and ")
            ));
            continue;
        };
        let dialled = |port: u16| match &place.published {
            None => Some(port),
            Some(published) => published.get(&port).copied(),
        };
        let host = format!("{stem}_HOST");
        if RESERVED.contains(&host.as_str()) {
            warnings.push(format!(
                "the command gets no `{host}` for `{}`, since other programs read that variable",
                place.name
            ));
        } else {
            variables.insert(host, place.host.clone());
        }
        for port in &place.ports.all {
            if let Some(dialled) = dialled(*port) {
                variables.insert(format!("{stem}_PORT_{port}"), dialled.to_string());
            }
        }
        if let Some(port) = place.ports.main.and_then(dialled) {
            variables.insert(format!("{stem}_PORT"), port.to_string());
        }
    }
    (variables, warnings)
}

/// `my-db` is `MY_DB`.
fn stem(name: &ServiceName) -> String {
    name.as_str()
        .chars()
        .map(|letter| match letter {
            letter if letter.is_ascii_alphanumeric() => letter.to_ascii_uppercase(),
            _ => '_',
        })
        .collect()
}

/// An address as a host to dial.
#[must_use]
pub fn host(address: IpAddr) -> String {
    address.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(name: &str, ports: &[u16], main: Option<u16>) -> Place {
        Place {
            name: ServiceName::new(name),
            host: "10.0.0.2".to_owned(),
            ports: Ports {
                all: ports.to_vec(),
                main,
            },
            published: None,
        }
    }

    fn shown(places: &[Place]) -> Vec<String> {
        let (variables, warnings) = variables(places);
        let variables = variables
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        variables.chain(warnings).collect()
    }

    #[test]
    fn a_service_has_a_host_a_port_and_one_for_each_port() {
        assert_eq!(
            shown(&[
                place("my-db", &[5432], Some(5432)),
                place("queue", &[5672, 15672], None)
            ]),
            [
                "MY_DB_HOST=10.0.0.2",
                "MY_DB_PORT=5432",
                "MY_DB_PORT_5432=5432",
                "QUEUE_HOST=10.0.0.2",
                "QUEUE_PORT_15672=15672",
                "QUEUE_PORT_5672=5672",
            ]
        );
    }

    #[test]
    fn what_is_published_is_dialled_there_and_what_is_not_has_no_port() {
        let hosts = |text: &str| vec![text.to_owned()];
        let engine = BTreeMap::from([
            ("5432/tcp".to_owned(), hosts("127.0.0.1:49153")),
            ("53/udp".to_owned(), hosts("127.0.0.1:49154")),
            ("80/tcp".to_owned(), hosts("[::]:49155")),
        ]);
        assert_eq!(
            published(&engine),
            BTreeMap::from([(80, 49155), (5432, 49153)])
        );
        let far = Place {
            published: Some(published(&engine)),
            ..place("db", &[5432, 9000], Some(5432))
        };
        assert_eq!(
            shown(&[far]),
            ["DB_HOST=10.0.0.2", "DB_PORT=49153", "DB_PORT_5432=49153"]
        );
    }

    #[test]
    fn names_that_are_spelt_alike_and_those_of_others_are_told_of() {
        assert_eq!(
            shown(&[
                place("my-db", &[1], Some(1)),
                place("my_db", &[2], Some(2)),
                place("docker", &[2375], Some(2375)),
            ]),
            [
                "DOCKER_PORT=2375",
                "DOCKER_PORT_2375=2375",
                "the command gets no `DOCKER_HOST` for `docker`, since other programs read that variable",
                "the command gets no `MY_DB_HOST` and no `MY_DB_PORT`: both `my-db` and `my_db` would have them",
            ]
        );
    }
}

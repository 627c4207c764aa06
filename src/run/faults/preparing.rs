//! What a fault comes to: what is done to which container, decided from how the containers hang on
//! networks now.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::{Deed, Faults, Refusal};
use crate::config::suggest::nearest;
use crate::engine::{Attachment, Attachments, Namespace};
use crate::fault::scene::{Target, Targets};
use crate::fault::{Fault, RequestError};
use crate::name::{ContainerId, RunId};

/// A container and its networks.
struct Placed<'a> {
    target: &'a Target,
    /// The container whose network namespace it is in.
    namespace: ContainerId,
    endpoints: Vec<Attachment>,
}

impl Faults {
    /// What is done for a fault.
    pub(super) async fn deeds(
        &self,
        fault: &Fault,
        targets: &Targets,
    ) -> Result<Vec<Deed>, Refusal> {
        let container = |target: &Target| target.container.clone();
        Ok(match fault {
            Fault::Pause { .. } => {
                let paused = targets.a.iter().map(container);
                paused.map(|container| Deed::Pause { container }).collect()
            }
            Fault::Kill { .. } => {
                let killed = targets.a.iter().map(container);
                killed.map(|container| Deed::Kill { container }).collect()
            }
            Fault::Restart { .. } => {
                let stopped = targets.a.iter().map(container);
                stopped.map(|container| Deed::Stop { container }).collect()
            }
            Fault::Disconnect { network, .. } => {
                let placed = self.placed(&targets.a).await?;
                disconnected(self.run, &placed, network.as_deref())?
            }
            Fault::Connect { network, .. } => self.connected(targets, network).await?,
            Fault::Partition { .. } => {
                let (a, b) = self.sides(targets).await?;
                between(&a, &b, 100)?
            }
            Fault::Drop { percent, b, .. } => {
                let (a, others) = self.sides(targets).await?;
                match b {
                    Some(_) => between(&a, &others, *percent)?,
                    None => each(&a, |container| Deed::Lose {
                        container,
                        percent: *percent,
                        from: Vec::new(),
                    }),
                }
            }
            Fault::Latency { delay, jitter, .. } => {
                let microseconds = |time: &std::time::Duration| {
                    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
                };
                let placed = self.placed(&targets.a).await?;
                each(&placed, |container| Deed::HoldBack {
                    container,
                    delay: microseconds(delay),
                    jitter: microseconds(jitter),
                })
            }
        })
    }

    async fn sides<'a>(
        &self,
        targets: &'a Targets,
    ) -> Result<(Vec<Placed<'a>>, Vec<Placed<'a>>), Refusal> {
        Ok((
            self.placed(&targets.a).await?,
            self.placed(&targets.b).await?,
        ))
    }

    /// Where containers are. One in the network of the engine's host is refused: what is changed there
    /// would be changed for the whole machine.
    async fn placed<'a>(&self, targets: &'a [Target]) -> Result<Vec<Placed<'a>>, Refusal> {
        let mut all = Vec::new();
        for target in targets {
            let mut namespace = target.container.clone();
            let mut seen = BTreeSet::new();
            let endpoints = loop {
                let Attachments {
                    namespace: kind,
                    endpoints,
                } = self.engine.attachments(&namespace).await?;
                match kind {
                    Namespace::Own => break endpoints,
                    Namespace::Of(other) if seen.insert(other.clone()) => namespace = other,
                    Namespace::Of(_) | Namespace::Host => {
                        return Err(no_network(target, "uses the network of the engine's host"));
                    }
                }
            };
            let endpoints: Vec<Attachment> = endpoints
                .into_iter()
                .filter(|one| one.name != "none" && one.name != "host")
                .collect();
            all.push(Placed {
                target,
                namespace,
                endpoints,
            });
        }
        Ok(all)
    }

    async fn connected(&self, targets: &Targets, network: &str) -> Result<Vec<Deed>, Refusal> {
        let placed = self.placed(&targets.a).await?;
        let prefix = self.run.prefix();
        let id = self
            .engine
            .find_network(&format!("{prefix}{network}"))
            .await?;
        let Some(id) = id else {
            let networks = self.engine.networks().await?;
            let networks = networks
                .iter()
                .filter_map(|one| one.name.strip_prefix(&prefix));
            let names: BTreeSet<&str> = networks.collect();
            return Err(unknown(
                &format!("the run has no network `{network}`"),
                network,
                &names,
            ));
        };
        let mut deeds = Vec::new();
        for one in &placed {
            own_network(one)?;
            if one.endpoints.iter().any(|endpoint| endpoint.network == id) {
                let problem = format!("`{}` is on network `{network}` already", one.target.name);
                let hint = "name a network that it is not on";
                return Err(RequestError::new(problem, hint).into());
            }
            let names = BTreeSet::from([one.target.of.as_str(), one.target.name.as_str()]);
            deeds.push(Deed::Connect {
                container: one.target.container.clone(),
                network: id.clone(),
                aliases: names.into_iter().map(str::to_owned).collect(),
            });
        }
        Ok(deeds)
    }
}

fn disconnected(
    run: RunId,
    placed: &[Placed<'_>],
    network: Option<&str>,
) -> Result<Vec<Deed>, Refusal> {
    let mut deeds = Vec::new();
    for one in placed {
        own_network(one)?;
        let key = |endpoint: &Attachment| -> String {
            let prefix = run.prefix();
            let name = endpoint.name.strip_prefix(&prefix);
            name.unwrap_or(&endpoint.name).to_owned()
        };
        let wanted = one.endpoints.iter().filter(|endpoint| {
            network.is_none_or(|network| network == endpoint.name || network == key(endpoint))
        });
        let before = deeds.len();
        deeds.extend(wanted.map(|attachment| Deed::Disconnect {
            container: one.target.container.clone(),
            attachment: attachment.clone(),
        }));
        if deeds.len() == before {
            let name = &one.target.name;
            let Some(network) = network else {
                return Err(no_network(one.target, "is on no network"));
            };
            let keys: Vec<String> = one.endpoints.iter().map(key).collect();
            let names = keys.iter().map(String::as_str).collect();
            let problem = format!("`{name}` is not on network `{network}`");
            return Err(unknown(&problem, network, &names));
        }
    }
    Ok(deeds)
}

/// Loses packets on both sides where they come in, so that no program sees an error where it sends.
fn between(a: &[Placed<'_>], b: &[Placed<'_>], percent: u8) -> Result<Vec<Deed>, Refusal> {
    let networks = |side: &[Placed<'_>]| -> BTreeSet<_> {
        let all = side.iter().flat_map(|one| &one.endpoints);
        all.map(|endpoint| endpoint.network.clone()).collect()
    };
    let names = |side: &[Placed<'_>]| -> BTreeSet<String> {
        side.iter().map(|one| one.target.of.to_string()).collect()
    };
    let both = || {
        let all = names(a).into_iter().chain(names(b));
        let all: Vec<String> = all.map(|name| format!("`{name}`")).collect();
        all.join(" and ")
    };
    let spaces = |side: &[Placed<'_>]| -> BTreeSet<ContainerId> {
        side.iter().map(|one| one.namespace.clone()).collect()
    };
    if !spaces(a).is_disjoint(&spaces(b)) {
        let problem = format!("{} are in one network namespace", both());
        let hint = "they speak over its loopback interface, from which nothing is lost";
        return Err(RequestError::new(problem, hint).into());
    }
    if networks(a).is_disjoint(&networks(b)) {
        let problem = format!("{} share no network", both());
        let hint = "neither reaches the other, so there is nothing to part";
        return Err(RequestError::new(problem, hint).into());
    }
    let addresses = |side: &[Placed<'_>]| -> Vec<IpAddr> {
        let all = side.iter().flat_map(|one| &one.endpoints);
        all.flat_map(|endpoint| endpoint.addresses.clone())
            .collect()
    };
    let mut deeds = Vec::new();
    for (side, other) in [(a, b), (b, a)] {
        let from = addresses(other);
        deeds.extend(each(side, |container| Deed::Lose {
            container,
            percent,
            from: from.clone(),
        }));
    }
    Ok(deeds)
}

/// One deed for each network namespace.
fn each(placed: &[Placed<'_>], deed: impl FnMut(ContainerId) -> Deed) -> Vec<Deed> {
    let spaces: BTreeSet<&ContainerId> = placed.iter().map(|one| &one.namespace).collect();
    spaces.into_iter().cloned().map(deed).collect()
}

/// A container in the network of another one has no networks that could be taken from it.
fn own_network(placed: &Placed<'_>) -> Result<(), Refusal> {
    if placed.namespace == placed.target.container {
        return Ok(());
    }
    Err(no_network(
        placed.target,
        "uses the network of another service",
    ))
}

fn no_network(target: &Target, why: &str) -> Refusal {
    let problem = format!("`{}` {why}", target.name);
    RequestError::new(problem, "name a service that is on networks of its own").into()
}

fn unknown(problem: &str, name: &str, known: &BTreeSet<&str>) -> Refusal {
    let hint = match nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => {
            let names: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
            format!("there are {}", names.join(", "))
        }
    };
    RequestError::new(problem, hint).into()
}

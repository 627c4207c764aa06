//! Suites with an environment of their own: for each of them, what it depends on is there once more.
//!
//! A pure transformation of the containers of a run, after replicas and before everything else, so that
//! whatever holds for a container holds for a copy of it. A copy has a name of its own in the run
//! (`e2e.db`), and on the copies of the networks it answers to the names of the file alone: the suite
//! finds what it would find in the shared environment, and nothing that others use.
//!
//! Nothing is copied that belongs to others (`external`), and what only one of can exist (a fixed
//! subnet, a bridge of a name) is an error where it would be there twice.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::PlanError;
use super::replicas::Replica;
use crate::config::model::{
    Isolation, MountSource, Network, Peer, Project, Role, Service, VolumesFrom,
};
use crate::engine::{BRIDGE_OPTION, PARENT_OPTION};
use crate::name::{NetworkKey, ServiceName, VolumeKey};

/// Most containers of strangers' code, copies included; what the file itself says is judged where it is
/// read.
const MOST_OF_STRANGERS: usize = 50;

/// The containers of a run, once suites have environments of their own.
pub(super) struct Isolated<'project> {
    /// All of them, copies included.
    pub(super) replicas: Vec<Replica>,
    /// The project, with the copies of its networks and volumes.
    pub(super) project: Cow<'project, Project>,
    /// The copies of networks, each with the network of the file.
    pub(super) networks: BTreeMap<NetworkKey, NetworkKey>,
    /// The services that an isolated suite does not depend on, so that its environment has none of them.
    pub(super) absent: BTreeMap<ServiceName, BTreeSet<ServiceName>>,
    /// What is to be said about it.
    pub(super) warnings: Vec<String>,
}

/// Who uses the shared environment beside the suites that share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Others {
    /// The services that a reachability matrix names.
    pub(super) named: BTreeSet<ServiceName>,
    /// Somebody may use any of its services: a command on the host.
    pub(super) all: bool,
}

/// Gives each suite that wants it an environment of its own.
pub(super) fn isolate<'project>(
    project: &'project Project,
    replicas: Vec<Replica>,
    others: &Others,
) -> Result<Isolated<'project>, PlanError> {
    let mut all: BTreeMap<ServiceName, Replica> = replicas
        .into_iter()
        .map(|replica| (replica.service.name.clone(), replica))
        .collect();
    let own: Vec<ServiceName> = names(all.values().filter(|one| wants_own(one)));
    if own.is_empty() {
        return Ok(Isolated {
            replicas: all.into_values().collect(),
            project: Cow::Borrowed(project),
            networks: BTreeMap::new(),
            absent: BTreeMap::new(),
            warnings: Vec::new(),
        });
    }
    let mut scopes = BTreeMap::new();
    for suite in &own {
        let members = closure(&all, suite);
        refuse_foreign_suites(&all, suite, &members)?;
        scopes.insert(suite.clone(), members);
    }
    let shared = shared(&all, &scopes, others);
    let mut warnings = left_out(&all, &scopes, &shared);
    let absent = scopes.iter().map(|(suite, members)| {
        let absent = all
            .values()
            .filter(|one| one.service.suite.is_none() && !members.contains(&one.service.name));
        (suite.clone(), absent.map(|one| one.of.clone()).collect())
    });
    let absent = absent.collect();
    let mut making = Making {
        project,
        taken: all.keys().cloned().collect(),
        made: project.clone(),
        networks: BTreeMap::new(),
        volumes: BTreeMap::new(),
    };
    // An agent stands in for a suite that the matrix names, on its networks in the shared environment.
    let stood_in_for = all.values().filter(|one| others.named.contains(&one.of));
    let present = shared.iter().cloned().chain(names(stood_in_for)).collect();
    refuse_doubles(project, &all, &scopes, &present)?;
    let mut copies = Vec::new();
    for (suite, members) in &scopes {
        warnings.extend(shares_with_others(project, &all, suite, members));
        let called: BTreeMap<ServiceName, ServiceName> = members
            .iter()
            .map(|member| (member.clone(), making.name(suite, member)))
            .collect();
        for member in members {
            if let Some(replica) = all.get(member) {
                copies.push(making.copy(suite, replica, &called));
            }
        }
        if let Some(replica) = all.remove(suite) {
            copies.push(making.copy(suite, &replica, &called));
        }
    }
    all.retain(|name, _| shared.contains(name));
    let containers = all.len() + copies.len();
    if project.limits.is_some() && containers > MOST_OF_STRANGERS {
        return Err(PlanError::TooManyCopies {
            containers,
            limit: MOST_OF_STRANGERS,
        });
    }
    Ok(Isolated {
        replicas: all.into_values().chain(copies).collect(),
        networks: making
            .networks
            .into_iter()
            .map(|((_, of), copy)| (copy, of))
            .collect(),
        project: Cow::Owned(making.made),
        absent,
        warnings,
    })
}

/// Whether a service of the file is a suite with an environment of its own.
#[must_use]
pub fn is_own(project: &Project, name: &ServiceName) -> bool {
    project.services.get(name).is_some_and(has_own)
}

fn has_own(service: &Service) -> bool {
    let suite = service.suite.as_ref();
    suite.is_some_and(|suite| suite.isolation == Isolation::Own)
}

fn wants_own(replica: &Replica) -> bool {
    has_own(&replica.service)
}

fn names<'replica>(replicas: impl Iterator<Item = &'replica Replica>) -> Vec<ServiceName> {
    replicas.map(|one| one.service.name.clone()).collect()
}

/// What a container cannot do without: what it waits for, with whom it shares, whom it links to.
fn needs(replica: &Replica) -> impl Iterator<Item = &ServiceName> {
    let service = &replica.service;
    let links = service.sharing.links.iter().map(|(name, _)| name);
    service
        .depends_on
        .keys()
        .chain(service.sharing.needed_for_create())
        .chain(links)
        .chain([&replica.volumes_of])
}

/// What a suite needs, directly or not, without the suites among it: those run once, and nobody has a
/// copy of a verdict.
fn closure(all: &BTreeMap<ServiceName, Replica>, suite: &ServiceName) -> BTreeSet<ServiceName> {
    let mut open = vec![suite];
    let mut seen = BTreeSet::new();
    while let Some(replica) = open.pop().and_then(|name| all.get(name)) {
        for name in needs(replica) {
            let is_suite = all.get(name).is_none_or(|one| one.service.suite.is_some());
            if !is_suite && seen.insert(name.clone()) {
                open.push(name);
            }
        }
    }
    seen
}

/// Namespaces and volumes of a suite cannot be had in a copy, since there is only one of it.
fn refuse_foreign_suites(
    all: &BTreeMap<ServiceName, Replica>,
    suite: &ServiceName,
    members: &BTreeSet<ServiceName>,
) -> Result<(), PlanError> {
    let within = members
        .iter()
        .chain([suite])
        .filter_map(|name| all.get(name));
    for replica in within {
        let links = replica.service.sharing.links.iter().map(|(name, _)| name);
        let mut peers = replica.service.sharing.needed_for_create();
        peers.extend(links);
        let foreign = peers.into_iter().find(|peer| {
            *peer != suite
                && all
                    .get(*peer)
                    .is_some_and(|one| one.service.suite.is_some())
        });
        if let Some(other) = foreign {
            return Err(PlanError::SharesWithSuite {
                suite: suite.clone(),
                service: replica.service.name.clone(),
                other: other.clone(),
            });
        }
    }
    Ok(())
}

/// What is in the environment that suites share: what those suites need and others use, and everything
/// that is not there for an isolated suite alone. Without anybody to use it there is none.
fn shared(
    all: &BTreeMap<ServiceName, Replica>,
    scopes: &BTreeMap<ServiceName, BTreeSet<ServiceName>>,
    others: &Others,
) -> BTreeSet<ServiceName> {
    let is_suite = |one: &Replica| one.service.suite.is_some();
    let sharing = |one: &&Replica| is_suite(one) && !wants_own(one);
    if others.all {
        let rest = all.values().filter(|one| !wants_own(one));
        return names(rest).into_iter().collect();
    }
    if !all.values().any(|one| sharing(&one)) && others.named.is_empty() {
        return BTreeSet::new();
    }
    let for_own: BTreeSet<&ServiceName> = scopes.values().flatten().collect();
    let roots = all.values().filter(|one| {
        sharing(one)
            || others.named.contains(&one.of) && !is_suite(one)
            || !is_suite(one) && !for_own.contains(&one.service.name)
    });
    let mut shared = BTreeSet::new();
    for root in names(roots) {
        shared.extend(closure(all, &root));
        shared.insert(root);
    }
    shared
}

/// Services that are neither in a copy nor, since nobody shares it, in a shared environment.
fn left_out(
    all: &BTreeMap<ServiceName, Replica>,
    scopes: &BTreeMap<ServiceName, BTreeSet<ServiceName>>,
    shared: &BTreeSet<ServiceName>,
) -> Vec<String> {
    let somewhere: BTreeSet<&ServiceName> = scopes.values().flatten().chain(shared).collect();
    let left: BTreeSet<&ServiceName> = all
        .values()
        .filter(|one| one.service.suite.is_none() && !somewhere.contains(&one.service.name))
        .map(|one| &one.of)
        .collect();
    if left.is_empty() {
        return Vec::new();
    }
    let (verb, object) = if left.len() == 1 {
        ("is", "it")
    } else {
        ("are", "them")
    };
    let suites: Vec<&ServiceName> = scopes.keys().collect();
    vec![format!(
        "{} {verb} not started: every suite has `isolation: own`, and none of {} depends on {object}; name {object} in `depends_on` where {object} matters",
        list(left),
        list(suites),
    )]
}

fn list<'name>(names: impl IntoIterator<Item = &'name ServiceName>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// How often something is there, and for which isolated suite first.
#[derive(Default)]
struct Uses<'name> {
    count: usize,
    suite: Option<&'name ServiceName>,
}

impl<'name> Uses<'name> {
    fn one_more(&mut self, suite: Option<&'name ServiceName>) {
        self.count += 1;
        self.suite = self.suite.or(suite);
    }
}

/// What only one of can exist on an engine, and would be there twice.
fn refuse_doubles(
    project: &Project,
    all: &BTreeMap<ServiceName, Replica>,
    scopes: &BTreeMap<ServiceName, BTreeSet<ServiceName>>,
    shared: &BTreeSet<ServiceName>,
) -> Result<(), PlanError> {
    let mut networks: BTreeMap<&NetworkKey, Uses<'_>> = BTreeMap::new();
    let mut outside: BTreeMap<(&ServiceName, &NetworkKey), Uses<'_>> = BTreeMap::new();
    let environments = [(None, shared)]
        .into_iter()
        .chain(scopes.iter().map(|(suite, members)| (Some(suite), members)));
    for (suite, members) in environments {
        let mut used = BTreeSet::new();
        for replica in members.iter().chain(suite).filter_map(|name| all.get(name)) {
            for key in replica.service.networks.keys() {
                if is_external(project, key) {
                    // A suite is there once, whoever stands in for it.
                    if replica.service.suite.is_some() {
                        continue;
                    }
                    let name = &replica.service.name;
                    outside.entry((name, key)).or_default().one_more(suite);
                } else {
                    used.insert(key);
                }
            }
        }
        for key in used {
            networks.entry(key).or_default().one_more(suite);
        }
    }
    for (key, uses) in networks {
        let fixed = project.networks.get(key).and_then(fixed);
        if let (true, Some(fixed), Some(suite)) = (uses.count > 1, fixed, uses.suite) {
            return Err(PlanError::CannotDouble {
                suite: suite.clone(),
                network: key.clone(),
                fixed,
            });
        }
    }
    for ((service, network), uses) in outside {
        if let (true, Some(suite)) = (uses.count > 1, uses.suite) {
            return Err(PlanError::TwiceOutside {
                suite: suite.clone(),
                service: service.clone(),
                network: network.clone(),
            });
        }
    }
    Ok(())
}

fn is_external(project: &Project, key: &NetworkKey) -> bool {
    let network = project.networks.get(key);
    network.is_some_and(|network| network.external.is_some())
}

/// What the file fixes of a network that no second one can have.
fn fixed(network: &Network) -> Option<String> {
    if let Some(pool) = network.ipam.pools.first() {
        return Some(format!("the subnet `{}`", pool.subnet));
    }
    [BRIDGE_OPTION, PARENT_OPTION]
        .iter()
        .find_map(|option| Some(format!("`{option}: {}`", network.driver_opts.get(*option)?)))
}

/// What a copy shares with others all the same, and may write to.
fn shares_with_others(
    project: &Project,
    all: &BTreeMap<ServiceName, Replica>,
    suite: &ServiceName,
    members: &BTreeSet<ServiceName>,
) -> Option<String> {
    let mut things = BTreeSet::new();
    for replica in members
        .iter()
        .chain([suite])
        .filter_map(|name| all.get(name))
    {
        let writable = replica
            .service
            .mounts
            .iter()
            .filter(|mount| !mount.read_only);
        for mount in writable {
            match &mount.source {
                MountSource::Bind { path, copy, .. } if !copy => {
                    things.insert(format!("`{}` of this host", path.display()));
                }
                MountSource::Volume(key) => {
                    let volume = project.volumes.get(key).cloned().unwrap_or_default();
                    if volume.external.is_some() {
                        things.insert(format!("the external volume `{key}`"));
                    } else if let Some(device) = volume.driver_opts.get("device") {
                        things.insert(format!("the volume `{key}`, which is `{device}`"));
                    }
                }
                _ => {}
            }
        }
    }
    if things.is_empty() {
        return None;
    }
    let things: Vec<String> = things.into_iter().collect();
    Some(format!(
        "suite `{suite}` has an environment of its own and may still meet others in {}; `bind: copy` gives it copies of what is mounted from this host",
        things.join(", ")
    ))
}

/// The copies in the making.
struct Making<'project> {
    project: &'project Project,
    taken: BTreeSet<ServiceName>,
    made: Project,
    networks: BTreeMap<(ServiceName, NetworkKey), NetworkKey>,
    volumes: BTreeMap<(ServiceName, VolumeKey), VolumeKey>,
}

impl Making<'_> {
    /// `e2e.db`, or where a service is called like that, with another dot.
    fn name(&mut self, suite: &ServiceName, of: &ServiceName) -> ServiceName {
        let taken = &self.taken;
        let name = free(suite, of.as_str(), |name| {
            taken.contains(&ServiceName::new(name))
        });
        let name = ServiceName::new(name);
        self.taken.insert(name.clone());
        name
    }

    fn network(&mut self, suite: &ServiceName, key: &NetworkKey) -> NetworkKey {
        if is_external(self.project, key) {
            return key.clone();
        }
        let at = (suite.clone(), key.clone());
        if let Some(copy) = self.networks.get(&at) {
            return copy.clone();
        }
        let known = &self.made.networks;
        let copy = NetworkKey::new(free(suite, key.as_str(), |name| {
            known.contains_key(&NetworkKey::new(name))
        }));
        let network = self.project.networks.get(key).cloned();
        let network = network.unwrap_or_default();
        self.made.networks.insert(copy.clone(), network);
        self.networks.insert(at, copy.clone());
        copy
    }

    fn volume(&mut self, suite: &ServiceName, key: &VolumeKey) -> VolumeKey {
        let volume = self.project.volumes.get(key).cloned().unwrap_or_default();
        if volume.external.is_some() {
            return key.clone();
        }
        let at = (suite.clone(), key.clone());
        if let Some(copy) = self.volumes.get(&at) {
            return copy.clone();
        }
        let known = &self.made.volumes;
        let copy = VolumeKey::new(free(suite, key.as_str(), |name| {
            known.contains_key(&VolumeKey::new(name))
        }));
        self.made.volumes.insert(copy.clone(), volume);
        self.volumes.insert(at, copy.clone());
        copy
    }

    /// A container in the environment of a suite, where every name means what is there. The suite itself
    /// keeps its name.
    fn copy(
        &mut self,
        suite: &ServiceName,
        replica: &Replica,
        called: &BTreeMap<ServiceName, ServiceName>,
    ) -> Replica {
        let name = |of: &ServiceName| called.get(of).unwrap_or(of).clone();
        let peer = |peer: &Peer| match peer {
            Peer::Service(of) => Peer::Service(name(of)),
            Peer::Engine(_) => peer.clone(),
        };
        let mut service = replica.service.clone();
        service.name = name(&replica.service.name);
        service.depends_on = service
            .depends_on
            .iter()
            .map(|(of, how)| (name(of), *how))
            .collect();
        let sharing = &mut service.sharing;
        for namespace in [
            &mut sharing.network_mode,
            &mut sharing.ipc,
            &mut sharing.pid,
        ] {
            *namespace = namespace.as_ref().map(peer);
        }
        sharing.volumes_from = sharing
            .volumes_from
            .iter()
            .map(|from| VolumesFrom {
                peer: peer(&from.peer),
                read_only: from.read_only,
            })
            .collect();
        sharing.links = sharing
            .links
            .iter()
            .map(|(of, alias)| (name(of), alias.clone()))
            .collect();
        service.networks = std::mem::take(&mut service.networks)
            .into_iter()
            .map(|(key, attachment)| (self.network(suite, &key), attachment))
            .collect();
        for mount in &mut service.mounts {
            if let MountSource::Volume(key) = &mut mount.source {
                *key = self.volume(suite, key);
            }
        }
        debug_assert!(service.role != Role::Suite || service.name == *suite);
        Replica {
            of: replica.of.clone(),
            service,
            number: replica.number,
            shard: replica.shard,
            answers: replica.answers,
            volumes_of: name(&replica.volumes_of),
            known_as: replica.service.name.clone(),
            scope: Some(suite.clone()),
        }
    }
}

/// The name of a copy that nothing of the file has.
fn free(suite: &ServiceName, of: &str, is_taken: impl Fn(&str) -> bool) -> String {
    let mut dots = ".".to_owned();
    loop {
        let name = format!("{suite}{dots}{of}");
        if !is_taken(&name) {
            return name;
        }
        dots.push('.');
    }
}

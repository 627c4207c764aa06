//! How networks get what only one of them can have: a subnet, a bridge of a name, an interface.
//!
//! The engine decides: what it refuses is looked up in the list of its networks. Subnets of a pool
//! that others have are passed over from then on. What the file fixes, and a pool without a free
//! subnet, is waited for when another run has it, and is an error when anybody else does: runs end
//! by themselves. Nothing is ever put in the place of what the file says.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Dispatcher, verdict};
use crate::engine::{
    BRIDGE_OPTION, EngineError, FailureKind, NetworkFacts, NetworkSpec, PARENT_OPTION, RunOf,
    Subnet,
};
use crate::event::Event;
use crate::name::{NetworkKey, RunId};
use crate::outcome::{Failure, FailureClass};
use crate::plan::subnet::Candidates;
use crate::plan::{Action, PlannedNetwork, StepId};
use crate::run::effect::{Effect, Timer, Work};

/// The first pause before it is looked again; doubled up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// The longest pause. Looking costs the engine a few milliseconds.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Between two words about waiting for a free subnet, which several runs may have.
const BETWEEN_WORDS: Duration = Duration::from_secs(10);

/// How often in a row the engine may refuse what none of its networks has: the network may have gone
/// between the refusal and the look.
const UNEXPLAINED: u32 = 5;

/// What is known of the addresses of networks.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    /// Routes of the host that are not those of networks of the engine; known after the first look.
    routes: Option<Vec<Subnet>>,
    /// What the networks of the engine had at the last look.
    listed: Vec<Subnet>,
    networks: BTreeMap<NetworkKey, Address>,
}

/// What is known of the addresses of one network of the run.
#[derive(Debug, Default)]
struct Address {
    chosen: Option<Subnet>,
    /// Refused by the engine, and no network of it has them.
    refused: Vec<Subnet>,
    attempts: u32,
    /// The engine's last refusal, and whether nothing was made of it so far.
    refusal: Option<(EngineError, bool)>,
    unexplained: u32,
    wait: Option<Wait>,
}

impl Address {
    /// Counts a refusal of what nobody has; whether it was one too many.
    const fn is_unexplained(&mut self) -> bool {
        self.unexplained = self.unexplained.saturating_add(1);
        self.unexplained > UNEXPLAINED
    }
}

/// A wait for other runs.
#[derive(Debug)]
struct Wait {
    since: Duration,
    /// The next pause.
    pause: Duration,
    /// For whom it waits and when, as it was told last.
    told: Option<(RunId, Duration)>,
}

impl Wait {
    const fn new(now: Duration) -> Self {
        Self {
            since: now,
            pause: FIRST_PAUSE,
            told: None,
        }
    }
}

impl Addresses {
    /// The subnet that was chosen for a network.
    pub(super) fn chosen(&self, key: &NetworkKey) -> Option<Subnet> {
        self.networks.get(key)?.chosen
    }

    fn of(&mut self, key: &NetworkKey) -> &mut Address {
        self.networks.entry(key.clone()).or_default()
    }

    /// Takes note of the networks of the engine. Their own routes come and go with them.
    fn look(&mut self, routes: &[Subnet], networks: &[NetworkFacts]) {
        self.listed = networks.iter().flat_map(NetworkFacts::ipv4).collect();
        let routes = self.routes.get_or_insert_with(|| routes.to_vec());
        let listed = &self.listed;
        routes.retain(|route| !listed.iter().any(|subnet| subnet.holds(route)));
    }
}

/// Who has what a network of the run needs.
struct Holder<'networks> {
    facts: &'networks NetworkFacts,
    /// ``subnet `10.9.0.0/24` ``.
    what: String,
}

impl Dispatcher {
    /// Creates or finds a network.
    pub(super) fn begin_network(&mut self, now: Duration, id: StepId, key: &NetworkKey) {
        match self.plan.networks.get(key).cloned() {
            Some(PlannedNetwork::External(name)) => {
                self.effect(Effect::Perform(id, Work::FindNetwork(name)));
            }
            Some(PlannedNetwork::Owned { spec, prefix }) => {
                if !self.create_network(id, key, spec, prefix) {
                    // Perhaps other runs have it all, and their networks are routes of this host.
                    self.effect(Effect::Perform(id, Work::ListNetworks));
                }
            }
            None => self.bug(now, &format!("network `{key}` is not planned")),
        }
    }

    /// The engine has refused to create a network, since something of it is taken.
    pub(super) fn network_refused(&mut self, step: StepId, key: &NetworkKey, error: &EngineError) {
        let address = self.addresses.of(key);
        address.attempts = address.attempts.saturating_add(1);
        address.refusal = Some((error.clone(), true));
        self.effect(Effect::Perform(step, Work::ListNetworks));
    }

    /// Creates a network, on a free subnet if it needs one; false when there is none.
    fn create_network(
        &mut self,
        id: StepId,
        key: &NetworkKey,
        mut spec: NetworkSpec,
        prefix: Option<u8>,
    ) -> bool {
        if let Some(prefix) = prefix {
            spec.subnet = self.free_subnet(key, prefix);
            self.addresses.of(key).chosen = spec.subnet;
            if spec.subnet.is_none() {
                return false;
            }
        }
        self.effect(Effect::Perform(id, Work::CreateNetwork(spec)));
        true
    }

    fn free_subnet(&mut self, key: &NetworkKey, prefix: u8) -> Option<Subnet> {
        let known = &self.addresses;
        let routes = known.routes.as_ref();
        let routes = routes.unwrap_or(&self.settings.avoid_subnets).iter();
        let of_others = known.networks.iter().filter(|(other, _)| *other != key);
        let of_others = of_others.filter_map(|(_, address)| address.chosen.as_ref());
        let refused = known.networks.get(key).map(|address| &address.refused);
        let avoid: Vec<Subnet> = routes
            .chain(&known.listed)
            .chain(of_others)
            .chain(refused.into_iter().flatten())
            .copied()
            .collect();
        let pool = self.settings.subnet_pool;
        Candidates::new(self.plan.run, key, prefix, pool, &avoid).next()
    }

    /// Goes on with a network, now that it is known what the engine has.
    pub(super) fn networks_listed(
        &mut self,
        now: Duration,
        step: StepId,
        networks: &[NetworkFacts],
    ) {
        let Action::CreateNetwork(key) = self.plan.steps[step.0].action.clone() else {
            return self.bug(now, "networks were listed for something else");
        };
        let Some(PlannedNetwork::Owned { spec, prefix }) = self.plan.networks.get(&key).cloned()
        else {
            return self.bug(now, &format!("network `{key}` is not to be created"));
        };
        self.addresses.look(&self.settings.avoid_subnets, networks);
        let address = self.addresses.of(&key);
        let refusal = address.refusal.as_mut();
        let (refused, is_fresh) = match refusal {
            Some((error, fresh)) => (Some(error.kind), std::mem::take(fresh)),
            None => (None, false),
        };
        let is_fixed = prefix.is_none() || refused == Some(FailureKind::HostTaken);
        if let (false, Some(chosen), true) = (is_fixed, address.chosen, is_fresh) {
            address.refused.push(chosen);
        }
        let holders = match refused {
            Some(kind) if is_fixed => holders(&spec, kind, networks),
            _ => Vec::new(),
        };
        let may_try = address.attempts < self.settings.subnet_attempts;
        if !holders.is_empty() {
            self.wait_for(now, step, &key, &holders);
        } else if !is_fixed {
            if !may_try || !self.create_network(step, &key, spec, prefix) {
                self.without_subnet(now, step, &key, networks);
            }
        } else if !is_fresh {
            self.create_network(step, &key, spec, prefix);
        } else if self.addresses.of(&key).is_unexplained() {
            self.abort_for_holders(now, &key, &[]);
        } else {
            self.look_again(now, step, &key);
        }
    }

    /// There is no free subnet in the pool: waits for one that another run has.
    fn without_subnet(
        &mut self,
        now: Duration,
        step: StepId,
        key: &NetworkKey,
        networks: &[NetworkFacts],
    ) {
        let may_try = self.addresses.of(key).attempts < self.settings.subnet_attempts;
        let pool = self.settings.subnet_pool;
        let in_pool = networks.iter().filter_map(|facts| {
            let subnet = facts.ipv4().find(|subnet| pool.overlaps(subnet))?;
            let what = format!("subnet `{subnet}` of the pool `{pool}`");
            Some(Holder { facts, what })
        });
        let own = self.plan.run;
        let of_others: Vec<Holder<'_>> = in_pool
            .filter(|holder| holder.facts.owner.as_ref().is_some_and(|of| of.run != own))
            .collect();
        let address = self.addresses.of(key);
        // What nobody was seen to have may have been on its way out.
        let were_refused = !std::mem::take(&mut address.refused).is_empty();
        if may_try && !of_others.is_empty() {
            self.wait_for(now, step, key, &of_others);
        } else if may_try && were_refused && !address.is_unexplained() {
            self.look_again(now, step, key);
        } else {
            self.abort_without_subnet(now, key);
        }
    }

    /// Others have what a network needs. It waits for runs, and for nobody else.
    fn wait_for(&mut self, now: Duration, step: StepId, key: &NetworkKey, holders: &[Holder<'_>]) {
        let own = self.plan.run;
        let other_run = |holder: &Holder<'_>| -> Option<RunOf> {
            holder.facts.owner.clone().filter(|owner| owner.run != own)
        };
        // As long as one of them is there for good, waiting for the others is in vain.
        if holders.iter().any(|holder| other_run(holder).is_none()) {
            return self.abort_for_holders(now, key, holders);
        }
        let Some((holder, owner)) = holders
            .iter()
            .find_map(|holder| Some((holder, other_run(holder)?)))
        else {
            return;
        };
        let patience = self.settings.holder_patience;
        let address = self.addresses.of(key);
        address.unexplained = 0;
        let wait = address.wait.get_or_insert(Wait::new(now));
        if now.saturating_sub(wait.since) >= patience {
            let failure = waited_for(key, holder, &owner, patience);
            return self.abort(now, failure);
        }
        let is_news = wait
            .told
            .is_none_or(|(run, at)| run != owner.run && now.saturating_sub(at) >= BETWEEN_WORDS);
        if is_news {
            wait.told = Some((owner.run, now));
            let event = Event::NetworkWaits {
                network: key.clone(),
                run: owner.run,
                project: owner.project,
                holds: holder.what.clone(),
            };
            self.report(event);
        }
        self.look_again(now, step, key);
    }

    fn look_again(&mut self, now: Duration, step: StepId, key: &NetworkKey) {
        let address = self.addresses.of(key);
        let wait = address.wait.get_or_insert(Wait::new(now));
        let pause = wait.pause;
        wait.pause = (pause * 2).min(LONGEST_PAUSE);
        self.effect(Effect::StartTimer(Timer::Network(step), pause));
    }

    /// Another subnet would not be what the file says: its addresses may stand in the configuration
    /// of what is tested.
    fn abort_for_holders(&mut self, now: Duration, key: &NetworkKey, holders: &[Holder<'_>]) {
        let refusal = self.addresses.of(key).refusal.as_ref();
        let message = refusal.map(|(error, _)| error.message.clone());
        let message = message.unwrap_or_default();
        let words: Vec<String> = holders
            .iter()
            .map(|holder| format!(": {} holds {}", holder.facts, holder.what))
            .collect();
        let failure = Failure {
            class: FailureClass::Engine,
            kind: "SubnetTaken",
            service: None,
            message: format!(
                "what the file fixes for network `{key}` is not free: {message}{}",
                words.join("")
            ),
            log_tail: Vec::new(),
            hint: Some(
                "wait until the other network is gone or remove it; without `ipam` and `driver_opts`, each run gets a free subnet"
                    .to_owned(),
            ),
            explanation: None,
        };
        self.abort(now, failure);
    }

    fn abort_without_subnet(&mut self, now: Duration, key: &NetworkKey) {
        let pool = self.settings.subnet_pool;
        let address = self.addresses.of(key);
        let last = address.refusal.as_ref();
        let last = last.map(|(error, _)| format!(", last answer: {}", error.message));
        let route = self.settings.avoid_subnets.iter();
        let route = route.filter(|route| route.overlaps(&pool));
        let route = route.min_by_key(|route| route.prefix);
        let route = route.map(|route| format!(", where the host has a route to `{route}`"));
        let failure = Failure {
            class: FailureClass::Engine,
            kind: "AddressPoolExhausted",
            service: None,
            message: format!(
                "no free subnet for network `{key}` in pool `{pool}`{}{}",
                route.unwrap_or_default(),
                last.unwrap_or_default(),
            ),
            log_tail: Vec::new(),
            hint: Some(
                "remove networks that are no longer used, or choose another pool with `--subnet-pool`"
                    .to_owned(),
            ),
            explanation: None,
        };
        self.abort(now, failure);
    }
}

/// It was waited long enough.
fn waited_for(key: &NetworkKey, holder: &Holder<'_>, owner: &RunOf, limit: Duration) -> Failure {
    Failure {
        class: FailureClass::Engine,
        kind: "NetworkHeld",
        service: None,
        message: format!(
            "network `{key}` has waited {} for {owner}, which holds {}",
            verdict::seconds(limit),
            holder.what
        ),
        log_tail: Vec::new(),
        hint: Some(format!(
            "`envrun gc --run {}` ends it; without `ipam` and `driver_opts`, each run gets a subnet of its own",
            owner.run
        )),
        explanation: None,
    }
}

/// The networks that have what the file fixes for one: its addresses, or what was taken on the host.
fn holders<'networks>(
    wanted: &NetworkSpec,
    refused: FailureKind,
    networks: &'networks [NetworkFacts],
) -> Vec<Holder<'networks>> {
    let on_host = |what: &str, option: &str, has: &Option<String>| {
        let name = wanted.driver_opts.get(option);
        let name = name.filter(|name| has.as_ref() == Some(*name))?;
        Some(format!("{what} `{name}`"))
    };
    let held = |facts: &NetworkFacts| {
        if refused == FailureKind::HostTaken {
            return on_host("bridge", BRIDGE_OPTION, &facts.bridge)
                .or_else(|| on_host("interface", PARENT_OPTION, &facts.parent));
        }
        let pools = || wanted.ipam.pools.iter();
        let mut subnets = facts.subnets.iter();
        let subnet = subnets.find(|held| pools().any(|pool| pool.subnet.overlaps(held)))?;
        Some(format!("subnet `{subnet}`"))
    };
    let held = networks.iter().filter_map(|facts| {
        let what = held(facts)?;
        Some(Holder { facts, what })
    });
    held.collect()
}

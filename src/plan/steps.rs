//! From the planned resources to the steps and their order.
//!
//! The rule is: everything is created as early as it can be, and started the moment it may start.
//! So a container is created as soon as its image, networks and volumes are there, whatever it
//! depends on; only its start waits.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::command::HostCommand;
use super::host::Placement;
use super::injection::{self, CopyIndex, CopyOf, PlannedCopy};
use super::reachability::{Trial, host_of};
use super::{
    Action, Need, Plan, PlannedImage, PlannedService, PlannedVolume, Pull, Step, StepId, images,
};
use crate::config::model::{Condition, Healthcheck, MountSource, Role, Service};
use crate::image::PullPolicy;
use crate::name::ServiceName;

/// Expected duration of an action in milliseconds, from measurements on two cores. Used for
/// ordering only.
fn expected(plan: &Plan, action: &Action) -> u64 {
    match action {
        Action::ObtainImage(index) => match plan.images.get(index.0) {
            Some(image) if image.build().is_some() => 400,
            _ => 5,
        },
        Action::CreateNetwork(_) => 90,
        Action::CreateVolume(_) => 5,
        Action::CreateContainer(_) | Action::CreateFiller(_) => 10,
        Action::Fill(_) | Action::Inject(_) => 100,
        Action::ConnectNetwork(..) => 5,
        Action::RunHooks(_) => 100,
        Action::StartContainer(_) | Action::SendObserver(_) => 250,
        Action::AwaitReady(_) | Action::AwaitCompleted(_) | Action::AwaitSuite(_) => 1000,
        Action::RunCommand(_) | Action::TryReachability => 1000,
    }
}

/// The steps of a plan, dependencies before dependants as far as the list goes.
pub(super) fn steps(plan: &Plan) -> Vec<Step> {
    let mut list = List {
        plan,
        steps: Vec::new(),
        index: BTreeMap::new(),
    };
    for (number, image) in plan.images.iter().enumerate() {
        let index = super::ImageIndex(number);
        // An engine keeps one platform of an image under its name, so two are pulled one after the
        // other, and each is known by its id before the name moves on.
        let same = plan.images[..number].iter().enumerate().filter(|(_, other)| {
            matches!((image.pull(), other.pull()), (Some(one), Some(other)) if one.same_name(other))
        });
        let before: Vec<StepId> = same.map(|(other, _)| StepId(other)).collect();
        list.add(Action::ObtainImage(index), image_cause(plan, index), before);
    }
    // What an image is built from may come later in the list.
    for (index, _) in plan.images.iter().enumerate() {
        let index = super::ImageIndex(index);
        let needs: Vec<Need> = images::needs(&plan.images, index)
            .into_iter()
            .filter_map(|needed| list.find(&Action::ObtainImage(needed)))
            .map(|step| Need {
                step,
                success: true,
            })
            .collect();
        if let Some(step) = list.find(&Action::ObtainImage(index)) {
            list.steps[step.0].needs.extend(needs);
        }
    }
    for key in plan.networks.keys() {
        let users = plan
            .services
            .values()
            .filter(|planned| planned.networks.contains(key));
        list.add(
            Action::CreateNetwork(key.clone()),
            used_by(users),
            Vec::new(),
        );
    }
    for (key, volume) in &plan.volumes {
        if matches!(volume, PlannedVolume::Owned(_)) {
            let users = plan.services.values().filter(|planned| {
                planned
                    .service
                    .mounts
                    .iter()
                    .any(|mount| mount.source == MountSource::Volume(key.clone()))
            });
            list.add(
                Action::CreateVolume(key.clone()),
                used_by(users),
                Vec::new(),
            );
        }
    }
    for (index, copy) in plan.copies.iter().enumerate() {
        list.copy(CopyIndex(index), copy);
    }
    for planned in plan.services.values() {
        list.containers(planned);
    }
    for planned in plan.services.values() {
        list.peers(planned);
    }
    // The waits come after all starts, since a start may need the wait of a service that is later
    // by name.
    for planned in plan.services.values() {
        list.waits(planned);
    }
    for planned in plan.services.values() {
        list.conditions(planned);
    }
    if let Some(trial) = &plan.reachability {
        list.trial(trial);
    }
    if let Some(command) = &plan.command {
        list.command(command);
    }
    let mut steps = list.steps;
    measure_chains(plan, &mut steps);
    steps
}

struct List<'plan> {
    plan: &'plan Plan,
    steps: Vec<Step>,
    index: BTreeMap<Action, StepId>,
}

impl List<'_> {
    fn add(&mut self, action: Action, cause: String, needs: Vec<StepId>) {
        let needs = needs
            .into_iter()
            .map(|step| Need {
                step,
                success: true,
            })
            .collect();
        self.index.insert(action.clone(), StepId(self.steps.len()));
        self.steps.push(Step {
            action,
            cause,
            needs,
            chain: 0,
        });
    }

    fn find(&self, action: &Action) -> Option<StepId> {
        self.index.get(action).copied()
    }

    fn copy(&mut self, index: CopyIndex, copy: &PlannedCopy) {
        let cause = copy_cause(self.plan, index, copy);
        let image = self.find(&Action::ObtainImage(copy.image));
        let create = Action::CreateFiller(index);
        self.add(create.clone(), cause.clone(), image.into_iter().collect());
        let filler = self.find(&create);
        self.add(Action::Fill(index), cause, filler.into_iter().collect());
    }

    fn containers(&mut self, planned: &PlannedService) {
        let name = &planned.service.name;
        let cause = match (planned.copy_for(), planned.service.role) {
            (Some(suite), _) => format!("suite `{suite}` has its own `{}`", planned.known_as),
            (None, Role::Suite) => format!("suite `{name}` is to be run"),
            (None, Role::Job) => format!("job `{name}` is waited for"),
            (None, Role::Service) => format!("service `{name}` is part of the environment"),
        };
        let mut needs: Vec<StepId> = self
            .find(&Action::ObtainImage(planned.image))
            .into_iter()
            .collect();
        for index in planned.mounted_images.values() {
            needs.extend(self.find(&Action::ObtainImage(*index)));
        }
        if let Some(first) = planned.networks.first() {
            needs.extend(self.find(&Action::CreateNetwork(first.clone())));
        }
        for mount in &planned.service.mounts {
            if let MountSource::Volume(key) = &mount.source {
                needs.extend(self.find(&Action::CreateVolume(key.clone())));
            }
        }
        let copied = planned.binds.values().filter_map(Placement::copy);
        let mounted = planned.injection.mounted.iter().map(|mount| mount.copy);
        for copy in mounted.chain(copied) {
            needs.extend(self.find(&Action::Fill(copy)));
        }
        needs.sort_unstable();
        needs.dedup();
        self.add(Action::CreateContainer(name.clone()), cause.clone(), needs);
        let create = self.find(&Action::CreateContainer(name.clone()));
        let mut before_start: Vec<StepId> = create.into_iter().collect();
        for key in planned.networks.iter().skip(1) {
            let network = self.find(&Action::CreateNetwork(key.clone()));
            let connect = Action::ConnectNetwork(name.clone(), key.clone());
            self.add(
                connect.clone(),
                format!("`{name}` is on network `{key}` too"),
                create.into_iter().chain(network).collect(),
            );
            before_start.extend(self.find(&connect));
        }
        if !planned.injection.direct.is_empty() {
            let inject = Action::Inject(name.clone());
            let used = injection::names(&planned.service, &planned.injection, true);
            self.add(
                inject.clone(),
                format!("`{name}` uses {used}"),
                create.into_iter().collect(),
            );
            before_start.extend(self.find(&inject));
        }
        let start = Action::StartContainer(name.clone());
        self.add(start.clone(), cause, before_start);
        if !planned.service.lifecycle.post_start.is_empty() {
            let after = self.find(&start).into_iter().collect();
            let cause = format!("`{name}` counts as started only after them");
            self.add(Action::RunHooks(name.clone()), cause, after);
        }
    }

    /// The step after which a service counts as started.
    fn started(&self, name: &ServiceName) -> Option<StepId> {
        self.find(&Action::RunHooks(name.clone()))
            .or_else(|| self.find(&Action::StartContainer(name.clone())))
    }

    /// Lets the creation of a container wait for those of the containers that it names.
    fn peers(&mut self, planned: &PlannedService) {
        let name = &planned.service.name;
        let Some(create) = self.find(&Action::CreateContainer(name.clone())) else {
            return;
        };
        for peer in planned.service.sharing.needed_for_create() {
            if let Some(step) = self.find(&Action::CreateContainer(peer.clone())) {
                let success = true;
                self.steps[create.0].needs.push(Need { step, success });
            }
        }
    }

    fn waits(&mut self, planned: &PlannedService) {
        let name = &planned.service.name;
        let start: Vec<StepId> = self.started(name).into_iter().collect();
        match planned.service.role {
            Role::Service => {
                let cause = dependants(self.plan, name);
                self.add(Action::AwaitReady(name.clone()), cause, start);
            }
            Role::Job => {
                let cause = dependants(self.plan, name);
                // A job that declares a probe can be waited for in both ways.
                if declares_probe(&planned.service) {
                    self.add(
                        Action::AwaitReady(name.clone()),
                        cause.clone(),
                        start.clone(),
                    );
                }
                self.add(Action::AwaitCompleted(name.clone()), cause, start);
            }
            Role::Suite => {
                self.add(
                    Action::AwaitSuite(name.clone()),
                    "its result is the verdict".to_owned(),
                    start,
                );
            }
        }
    }

    /// Runs the command once everything in the shared environment is ready or done.
    fn command(&mut self, command: &HostCommand) {
        let services = self.plan.services.values();
        let awaited = services
            .filter(|planned| planned.scope.is_none() && planned.service.suite.is_none())
            .flat_map(|planned| {
                let name = &planned.service.name;
                let ready = self.find(&Action::AwaitReady(name.clone()));
                let completed = self.find(&Action::AwaitCompleted(name.clone()));
                ready.into_iter().chain(completed)
            })
            // What fails and is required ends the run, and the rest may fail.
            .map(|step| Need {
                step,
                success: false,
            });
        let needs: Vec<Need> = awaited.collect();
        let action = Action::RunCommand(command.name.clone());
        let cause = "the command line names it, and its result is the verdict".to_owned();
        self.add(action.clone(), cause, Vec::new());
        if let Some(step) = self.find(&action) {
            self.steps[step.0].needs.extend(needs);
        }
    }

    /// Sends the agents as early as there is something to send them to, and tries once everybody is
    /// ready.
    fn trial(&mut self, trial: &Trial) {
        let mut needs = Vec::new();
        for (name, observer) in &trial.observers {
            let Some(service) = trial.members.get(&observer.of) else {
                continue;
            };
            let before: Vec<StepId> = match (observer.stands_in, host_of(service)) {
                (false, _) => self
                    .find(&Action::StartContainer(name.clone()))
                    .into_iter()
                    .collect(),
                (true, Some(host)) => {
                    let hosts = self.plan.services.values();
                    let hosts = hosts.filter(|one| one.scope.is_none() && one.of == *host);
                    let starts = hosts.map(|one| Action::StartContainer(one.service.name.clone()));
                    starts.filter_map(|start| self.find(&start)).collect()
                }
                (true, None) => {
                    let keys = service.networks.keys();
                    let creations = keys.map(|key| Action::CreateNetwork(key.clone()));
                    creations.filter_map(|create| self.find(&create)).collect()
                }
            };
            let cause = match (observer.stands_in, service.role) {
                (false, _) => "the reachability matrix names it".to_owned(),
                (true, Role::Suite) => {
                    "the reachability matrix names it, and a suite need not run while it is tried"
                        .to_owned()
                }
                (true, Role::Job) => {
                    "the reachability matrix names it, and a job need not run while it is tried"
                        .to_owned()
                }
                (true, Role::Service) => {
                    "the reachability matrix names it, and it has no container".to_owned()
                }
            };
            let action = Action::SendObserver(name.clone());
            self.add(action.clone(), cause, before);
            needs.extend(self.find(&action));
        }
        let cause = "what it promises is tested as a suite".to_owned();
        self.add(Action::TryReachability, cause, needs);
        let ready: Vec<Need> = trial
            .observers
            .iter()
            .filter(|(_, observer)| !observer.stands_in)
            .filter_map(|(name, _)| self.find(&Action::AwaitReady(name.clone())))
            // What nobody requires may fail, and then an agent stands in for it.
            .map(|step| Need {
                step,
                success: false,
            })
            .collect();
        if let Some(step) = self.find(&Action::TryReachability) {
            self.steps[step.0].needs.extend(ready);
        }
    }

    /// Lets the start of a service wait for what it depends on.
    fn conditions(&mut self, planned: &PlannedService) {
        let Some(start) = self.find(&Action::StartContainer(planned.service.name.clone())) else {
            return;
        };
        for (name, dependency) in &planned.service.depends_on {
            let ready = Action::AwaitReady(name.clone());
            let completed = Action::AwaitCompleted(name.clone());
            let suite = Action::AwaitSuite(name.clone());
            let order: [Action; 3] = match dependency.condition {
                Condition::Started | Condition::Ready => [completed, ready, suite],
                Condition::Healthy => [ready, completed, suite],
                Condition::CompletedSuccessfully => [completed, suite, ready],
            };
            let step = match dependency.condition {
                Condition::Started => self.started(name),
                _ => order.iter().find_map(|action| self.find(action)),
            };
            // An optional dependency that is not part of the run has no step, and nothing waits for
            // it.
            if let Some(step) = step {
                let success = dependency.required
                    && dependency.condition != Condition::Ready
                    && dependency.condition != Condition::Started;
                self.steps[start.0].needs.push(Need { step, success });
            }
        }
    }
}

fn declares_probe(service: &Service) -> bool {
    service
        .ready
        .as_ref()
        .and_then(|ready| ready.tree.as_ref())
        .is_some_and(|tree| !tree.is_completion())
        || matches!(service.healthcheck, Some(Healthcheck::Check { .. }))
}

/// The services that use an image, else the builds that it is a context of.
fn image_users(plan: &Plan, index: super::ImageIndex) -> String {
    let users = || {
        plan.services
            .values()
            .filter(|planned| planned.image == index)
    };
    if users().next().is_some() {
        return used_by(users());
    }
    let builds = plan.images.iter().enumerate().filter_map(|(user, image)| {
        let needs = images::needs(&plan.images, super::ImageIndex(user));
        let build = image.build().filter(|_| needs.contains(&index))?;
        Some(format!("`{}`", build.title))
    });
    let names: Vec<String> = builds.collect();
    format!("a context of the build of {}", names.join(", "))
}

/// Who needs an image, and when and where it is pulled from, where that is not the usual.
fn image_cause(plan: &Plan, index: super::ImageIndex) -> String {
    let mut cause = image_users(plan, index);
    let Some(image) = plan.images.get(index.0) else {
        return cause;
    };
    if let Some(pull) = image.pull() {
        let is_usual = pull.policy == PullPolicy::Missing && image.build().is_none();
        let places = match pull.policy {
            PullPolicy::Never => String::new(),
            _ => places(pull),
        };
        if !is_usual || !places.is_empty() {
            let _ = write!(cause, "; {}{places}", pull.policy);
        }
    }
    if let Some(build) = image.build() {
        if matches!(image, PlannedImage::PullOrBuild(..)) {
            cause.push_str("; built when it cannot be had");
        }
        if !build.mirrors.is_empty() {
            let hosts: Vec<String> = build
                .mirrors
                .hosts()
                .into_iter()
                .map(|host| format!("`{host}`"))
                .collect();
            let _ = write!(cause, "; its base images from {}", hosts.join(", "));
        }
    }
    cause
}

/// Where an image is pulled from, when not from its own registry.
fn places(pull: &Pull) -> String {
    let mut text = String::new();
    let (Some(reference), false) = (&pull.reference, pull.mirrors.is_empty()) else {
        return text;
    };
    for (number, mirror) in pull.mirrors.iter().enumerate() {
        let word = if number == 0 { "from" } else { "else from" };
        let _ = write!(text, ", {word} `{mirror}`");
    }
    let _ = write!(text, ", else from `{}`", reference.registry());
    text
}

fn copy_cause(plan: &Plan, index: CopyIndex, copy: &PlannedCopy) -> String {
    match &copy.of {
        CopyOf::Path(..) => used_by(plan.services.values().filter(|planned| {
            let mut copies = planned.binds.values().filter_map(Placement::copy);
            copies.any(|copy| copy == index)
        })),
        CopyOf::Files(name) => {
            let used = plan.services.get(name).map(|planned| {
                let why = if planned.service.options.read_only {
                    "is read-only"
                } else {
                    "has a mount in the way"
                };
                let used = injection::names(&planned.service, &planned.injection, false);
                format!("`{name}` uses {used}, and {why}")
            });
            used.unwrap_or_default()
        }
    }
}

fn used_by<'plan>(users: impl Iterator<Item = &'plan PlannedService>) -> String {
    let names: Vec<String> = users
        .map(|planned| format!("`{}`", planned.service.name))
        .collect();
    match names.len() {
        0 => "for the suites that are run in it later".to_owned(),
        1..=3 => format!("used by {}", names.join(", ")),
        count => format!("used by {} and {} more", names[..2].join(", "), count - 2),
    }
}

fn dependants(plan: &Plan, name: &ServiceName) -> String {
    let names: Vec<String> = plan
        .services
        .values()
        .filter(|planned| planned.service.depends_on.contains_key(name))
        .map(|planned| format!("`{}`", planned.service.name))
        .collect();
    match names.len() {
        0 => format!("service `{name}` is part of the environment"),
        1 => format!("{} waits for it", names[0]),
        2..=3 => format!("{} wait for it", names.join(", ")),
        count => format!(
            "{} and {} more wait for it",
            names[..2].join(", "),
            count - 2
        ),
    }
}

/// Fills in the length of the longest chain from each step to the end. The graph has no cycle,
/// since the reader refuses cycles of `depends_on`; the bound on the rounds makes that a bound on
/// time as well.
fn measure_chains(plan: &Plan, steps: &mut [Step]) {
    for step in steps.iter_mut() {
        step.chain = expected(plan, &step.action);
    }
    for _round in 0..steps.len() {
        let mut changed = false;
        for index in 0..steps.len() {
            let chain = steps[index].chain;
            for need in steps[index].needs.clone() {
                let through = expected(plan, &steps[need.step.0].action) + chain;
                if steps[need.step.0].chain < through {
                    steps[need.step.0].chain = through;
                    changed = true;
                }
            }
        }
        if !changed {
            break;
        }
    }
}

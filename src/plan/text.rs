//! The plan as text: for people, for `envrun plan`, and for the tests that assert it.

use std::fmt::Write as _;

use super::injection::CopyOf;
use super::{Action, Plan, PlannedImage, PlannedNetwork, Pull, readiness};

/// What an action does to which resource.
pub(super) fn describe(plan: &Plan, action: &Action) -> String {
    match action {
        Action::ObtainImage(index) => match plan.images.get(index.0) {
            Some(PlannedImage::Reference(pull)) => obtain(pull),
            Some(PlannedImage::PullOrBuild(pull, spec)) => {
                format!("{}, or build it from `{}`", obtain(pull), spec.context)
            }
            Some(PlannedImage::Build(spec)) => {
                format!("build image from `{}`", spec.context)
            }
            None => "obtain image".to_owned(),
        },
        Action::CreateNetwork(key) => match plan.networks.get(key) {
            Some(PlannedNetwork::External(name)) => format!("find network `{name}`"),
            _ => format!("create network `{key}`"),
        },
        Action::CreateVolume(key) => format!("create volume `{key}`"),
        Action::CreateFiller(_) => "create container that a volume is filled through".to_owned(),
        Action::Fill(index) => match plan.copies.get(index.0).map(|copy| &copy.of) {
            Some(CopyOf::Path(path, _)) => format!("copy `{}` into a volume", path.display()),
            Some(CopyOf::Files(name)) => format!("put files of `{name}` into a volume"),
            None => "fill a volume".to_owned(),
        },
        Action::Inject(name) => format!("put files into the container of `{name}`"),
        Action::CreateContainer(name) => format!("create container of `{name}`"),
        Action::ConnectNetwork(name, key) => format!("connect `{name}` to network `{key}`"),
        Action::StartContainer(name) => format!("start `{name}`"),
        Action::RunHooks(name) => format!("run the `post_start` hooks of `{name}`"),
        Action::AwaitReady(name) => format!("wait until `{name}` is ready"),
        Action::AwaitCompleted(name) => format!("wait until `{name}` has completed"),
        Action::AwaitSuite(name) => format!("wait until suite `{name}` has ended"),
        Action::SendObserver(name) => {
            let trial = plan.reachability.as_ref();
            let observer = trial.and_then(|trial| trial.observers.get(name));
            match observer.is_some_and(|observer| observer.stands_in) {
                true => format!("send an agent in place of `{name}`"),
                false => format!("send an agent beside `{name}`"),
            }
        }
        Action::RunCommand(name) => format!("run command `{name}` on this host"),
        Action::TryReachability => "try the reachability matrix".to_owned(),
    }
}

fn obtain(pull: &Pull) -> String {
    match &pull.platform {
        Some(platform) => format!("obtain image `{}` for {platform}", pull.name),
        None => format!("obtain image `{}`", pull.name),
    }
}

/// The whole plan, one line a step: number, action, what it waits for, and why it is there.
pub(super) fn render(plan: &Plan) -> String {
    let mut text = format!("plan for project `{}`\n", plan.project);
    for (number, step) in plan.steps.iter().enumerate() {
        let needs: Vec<String> = step
            .needs
            .iter()
            .map(|need| need.step.0.to_string())
            .collect();
        let after = if needs.is_empty() {
            String::new()
        } else {
            format!(" after {}", needs.join(", "))
        };
        let _ = writeln!(
            text,
            "{number:>3}  {}{after}  ({})",
            describe(plan, &step.action),
            step.cause
        );
    }
    text
}

/// By what each service that is waited for will be found ready.
pub(super) fn render_readiness(plan: &Plan) -> String {
    let waits = plan.steps.iter().filter_map(|step| match &step.action {
        Action::AwaitReady(name) => plan.services.get(name),
        _ => None,
    });
    let lines: Vec<String> = waits
        .map(|planned| {
            let outlook = readiness::outlook(&planned.service);
            format!("  {}: {outlook}\n", planned.service.name)
        })
        .collect();
    match lines.as_slice() {
        [] => String::new(),
        lines => format!("ready:\n{}", lines.concat()),
    }
}

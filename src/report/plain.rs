//! Events as plain lines with the time since the start: for CI logs, files and pipes.

use std::path::Path;
use std::time::Duration;

use super::explanation;
use super::pulls;
use super::table::seconds;
use crate::artifact;
use crate::event::Event;
use crate::junit::text::sanitise;
use crate::lease::rough;
use crate::name::{RunId, ServiceName};
use crate::outcome::{Failure, SuiteResult, leftover_hint};

/// The lines that an event is worth; most steps of the plan are worth none.
pub(super) fn lines(event: &Event, directory: &Path) -> Vec<String> {
    match event {
        Event::RunStarted {
            run,
            project,
            version,
            services,
            suites,
        } => vec![
            format!("envrun {version}, project `{project}`, run {run}"),
            match (count(services.len() as u64, "service"), names(suites)) {
                (services, suites) if suites.is_empty() => services,
                (services, suites) => format!("{services}, suites: {suites}"),
            },
        ],
        Event::EngineFound {
            product,
            version,
            api,
        } => vec![format!("engine: {product} {version}, API {api}")],
        Event::Warning { message } => vec![format!("warning: {message}")],
        Event::UsageMeasured { .. } | Event::ArtifactsKept { files: 0, .. } => Vec::new(),
        Event::ArtifactsKept {
            service,
            directory: folder,
            files,
            bytes,
            ..
        } => vec![format!(
            "{service}: kept {} ({}) in `{}`",
            count(*files, "artifact"),
            artifact::size(*bytes),
            directory.join("artifacts").join(folder).display()
        )],
        // A pull has lines of its own.
        Event::StepFinished { what, .. } if what.starts_with("obtain") => Vec::new(),
        Event::StepFinished { what, duration, .. }
            if what.starts_with("build")
                || (duration.as_secs() >= 1 && !what.starts_with("wait")) =>
        {
            vec![format!("{what}: done after {}", seconds(*duration))]
        }
        Event::StepStarted { .. } | Event::StepFinished { .. } | Event::ImageObtained { .. } => {
            Vec::new()
        }
        Event::PullStarted {
            image,
            from,
            reason,
        } => vec![format!(
            "image {image}: pulling {}, {}",
            sanitise(from),
            sanitise(reason)
        )],
        Event::PullProgress { image, progress } => {
            vec![format!("image {image}: {}", pulls::progress(progress))]
        }
        Event::PullRetried {
            image,
            attempt,
            limit,
            pause,
            reason,
            ..
        } => vec![format!(
            "image {image}: attempt {attempt} of {limit} has failed, next after {}: {}",
            seconds(*pause),
            sanitise(reason)
        )],
        Event::PullFinished {
            image,
            bytes,
            duration,
            ..
        } => vec![format!(
            "image {image}: pulled {} in {}",
            pulls::bytes(*bytes),
            seconds(*duration)
        )],
        Event::NetworkWaits {
            network,
            run,
            project,
            holds,
        } => vec![format!(
            "network {network}: waiting for run {run} of project `{}`, which holds {holds}",
            sanitise(project)
        )],
        Event::StartWaits { others } => {
            vec![format!(
                "waiting for {}",
                count(*others as u64, "other run")
            )]
        }
        Event::ServiceStarted {
            service,
            host_ports,
        } if host_ports.is_empty() => vec![format!("{service}: started")],
        Event::ServiceStarted {
            service,
            host_ports,
        } => {
            vec![format!(
                "{service}: started, published {}",
                host_ports.join(", ")
            )]
        }
        Event::ServiceReady {
            service,
            after,
            by,
            attempts,
        } if *attempts > 0 => {
            vec![format!(
                "{service}: ready {} after its start ({by}, {})",
                seconds(*after),
                count(u64::from(*attempts), "attempt")
            )]
        }
        Event::ServiceReady { service, by, .. } => vec![format!("{service}: ready ({by})")],
        Event::ServiceCompleted { service, after } => {
            vec![format!(
                "{service}: completed {} after its start",
                seconds(*after)
            )]
        }
        Event::ServiceDied { service, exit } => vec![format!("{service}: {exit}")],
        Event::ServiceRestarting {
            service,
            exit,
            restart,
            pause,
        } => vec![format!(
            "{service}: {exit}, restart {restart} in {}",
            seconds(*pause)
        )],
        Event::FaultBegun {
            fault,
            what,
            suite,
            time,
        } => {
            let by = suite.as_ref().map(|suite| format!("{suite}: "));
            let time = time.map(|time| format!(" for {}", seconds(time)));
            vec![format!(
                "{}fault {fault}, {what}{}",
                by.unwrap_or_default(),
                time.unwrap_or_default()
            )]
        }
        Event::FaultFailed {
            fault,
            what,
            suite,
            reason,
        } => {
            let by = suite.as_ref().map(|suite| format!("{suite}: "));
            vec![format!(
                "{}fault {fault}, {what}, could not be done: {reason}",
                by.unwrap_or_default()
            )]
        }
        Event::FaultUndone { fault, what, after } => vec![format!(
            "fault {fault}, {what}, undone after {}",
            seconds(*after)
        )],
        Event::FaultStays {
            fault,
            what,
            reason,
        } => vec![format!(
            "warning: fault {fault}, {what}, could not be undone: {reason}"
        )],
        Event::SuiteStarted { suite, attempt: 1 } => vec![format!("{suite}: suite started")],
        Event::SuiteStarted { suite, attempt } => {
            vec![format!("{suite}: suite started, attempt {attempt}")]
        }
        Event::SuiteRetried {
            suite,
            attempt,
            limit,
            duration,
            tests,
            failures,
            problems,
            output_tail,
            ..
        } => {
            let mut lines = vec![format!(
                "{suite}: attempt {attempt} of {limit} did not pass, {failures} of {} failed in {}; once more",
                count(*tests, "test"),
                seconds(*duration)
            )];
            told(&mut lines, suite, problems);
            tail(&mut lines, suite.as_str(), output_tail);
            lines
        }
        Event::SuiteFinished {
            suite,
            result,
            attempts,
            duration,
            tests,
            failures,
            problems,
            output_tail,
            exit,
            ..
        } => {
            let verdict = match result {
                SuiteResult::Passed => format!("passed, {}", count(*tests, "test")),
                SuiteResult::Flaky => format!(
                    "flaky, passed at attempt {attempts}, {}",
                    count(*tests, "test")
                ),
                SuiteResult::Failed => format!("FAILED, {failures} of {tests} tests failed"),
                SuiteResult::NotRun => "not run".to_owned(),
            };
            let mut lines = vec![format!(
                "{suite}: suite {verdict} in {}",
                seconds(*duration)
            )];
            told(&mut lines, suite, problems);
            tail(&mut lines, suite.as_str(), output_tail);
            // What has no container, such as the reachability matrix, has no output.
            if !matches!(result, SuiteResult::Passed | SuiteResult::Flaky) && exit.is_some() {
                lines.push(whole_output(directory, suite));
            }
            lines
        }
        Event::Explained {
            service,
            explanation,
        } => {
            let mut lines = vec![format!("{service}: why it failed")];
            lines.extend(explanation::lines(explanation));
            lines
        }
        Event::RunAborted { failure } => aborted(failure, directory),
        Event::SignalReceived { signal } => vec![format!("{} received", signal.name())],
        Event::Verdict { .. } | Event::TeardownStarted => Vec::new(),
        Event::Swept {
            run,
            project,
            removed,
        } => vec![format!(
            "removed what dead run {} of `{}` had left: {removed}",
            run.short(),
            sanitise(project)
        )],
        Event::Held {
            run,
            time,
            services,
        } => held(*run, *time, services),
        Event::TeardownFinished { run, report } => {
            let mut lines = vec![format!(
                "teardown: {} after {}",
                report.summary(),
                seconds(report.duration)
            )];
            let left = report.leftover_lines();
            lines.extend(left.iter().map(|line| format!("left: {}", sanitise(line))));
            if !left.is_empty() {
                lines.push(format!("hint: {}", leftover_hint(*run)));
            }
            lines
        }
        Event::RunFinished {
            exit_code,
            duration,
        } => {
            vec![format!(
                "exit code {exit_code} after {}, reports in {}",
                seconds(*duration),
                directory.display()
            )]
        }
    }
}

fn aborted(failure: &Failure, directory: &Path) -> Vec<String> {
    let mut lines: Vec<String> = sanitise(&format!("error: {}", failure.message))
        .lines()
        .map(str::to_owned)
        .collect();
    if let Some(service) = &failure.service {
        tail(&mut lines, service.as_str(), &failure.log_tail);
        if !failure.log_tail.is_empty() {
            lines.push(whole_output(directory, service));
        }
    } else {
        lines.extend(
            failure
                .log_tail
                .iter()
                .map(|line| format!("  {}", sanitise(line))),
        );
    }
    if let Some(explanation) = &failure.explanation {
        lines.extend(explanation::lines(explanation));
    }
    lines.extend(failure.hint.iter().map(|hint| format!("hint: {hint}")));
    lines
}

/// What speaks against a pass of a suite, made harmless.
fn told(lines: &mut Vec<String>, suite: &ServiceName, problems: &[String]) {
    lines.extend(
        problems
            .iter()
            .map(|problem| format!("{suite}: {}", sanitise(problem))),
    );
}

/// The last lines of a container's output, made harmless: it may hold anything.
fn tail(lines: &mut Vec<String>, service: &str, output: &[String]) {
    lines.extend(
        output
            .iter()
            .map(|line| format!("{service} | {}", sanitise(line))),
    );
}

/// A number with its noun.
fn count(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

fn names(services: &[ServiceName]) -> String {
    services
        .iter()
        .map(ServiceName::as_str)
        .collect::<Vec<_>>()
        .join(", ")
}

/// Where all of what a service has written is.
pub(super) fn whole_output(directory: &Path, service: &ServiceName) -> String {
    let path = directory.join("logs").join(format!("{service}.log"));
    format!("{service}: the whole output is in {}", path.display())
}

/// How to enter what is held, and how to end it.
fn held(run: RunId, time: Duration, services: &[ServiceName]) -> Vec<String> {
    let id = run.short();
    let mut lines = vec![format!("held for {}: run {run}", rough(time))];
    if let Some(service) = services.first() {
        lines.push(format!("  enter it:  envrun shell --run {id} {service}"));
        lines.push(format!("  its logs:  envrun logs --run {id} -f"));
    }
    lines.push(format!("  end it:    envrun down {id}"));
    lines
}

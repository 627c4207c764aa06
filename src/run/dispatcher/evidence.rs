//! What is kept of containers before they are removed: which, when, and what is said of it.
//!
//! A suite's files are kept as soon as it is judged, beside the rest of the run; those of everything else
//! between the verdict and teardown. Nothing of it changes a verdict.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Dispatcher, HoldWhen};
use crate::artifact::Record;
use crate::config::model::artifacts::{from_root, literal_part};
use crate::config::model::{Artifacts, ArtifactsWhen, Role, Suite};
use crate::event::Event;
use crate::junit;
use crate::name::ServiceName;
use crate::outcome::FailureClass;
use crate::run::effect::{CutTask, Effect, GatherTask};

/// How long all that is kept of one container may take.
const LIMIT: Duration = Duration::from_secs(60);

/// The same when the run was ended by a signal: CI systems kill after seconds, and teardown has to fit
/// in as well.
const LIMIT_AFTER_SIGNAL: Duration = Duration::from_secs(3);

/// Failed tests of a suite for which it is looked up what services wrote.
const MOST_WINDOWS: usize = 100;

/// How much of what was left out a warning names.
const NAMED: usize = 3;

/// What is kept of containers.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    /// The directories of those whose files were asked for.
    asked: BTreeSet<String>,
    /// The suites whose tests are looked up in what services wrote.
    cutting: BTreeSet<ServiceName>,
}

impl Evidence {
    /// Whether nothing is being looked up.
    pub(super) fn is_idle(&self) -> bool {
        self.cutting.is_empty()
    }
}

impl Dispatcher {
    /// A suite is judged: what services wrote while its tests failed is looked up.
    pub(super) fn cut_windows(&mut self, name: &ServiceName) {
        let suite = self.outcome.suites.iter().find(|suite| suite.name == *name);
        let Some((suite, began)) = suite.and_then(|suite| Some((suite, suite.started?))) else {
            return;
        };
        let Some(ended) = began.checked_add(suite.duration) else {
            return;
        };
        let mut windows = Vec::new();
        for (number, (_, report)) in suite.reports.iter().enumerate() {
            let most = MOST_WINDOWS.saturating_sub(windows.len());
            let found = junit::windows(report, (began, ended), most);
            windows.extend(found.into_iter().map(|window| (number, window)));
        }
        if windows.is_empty() {
            return;
        }
        let services = self.plan.services.values();
        let services = services.filter(|planned| planned.service.role != Role::Suite);
        let task = CutTask {
            suite: name.clone(),
            windows,
            services: services
                .map(|planned| planned.service.name.clone())
                .collect(),
        };
        self.evidence.cutting.insert(name.clone());
        self.effect(Effect::CutWindows(Box::new(task)));
    }

    /// What services wrote goes to the output of the tests.
    pub(super) fn windows_cut(&mut self, name: &ServiceName, cuts: Vec<(usize, usize, String)>) {
        self.evidence.cutting.remove(name);
        let mut suites = self.outcome.suites.iter_mut();
        let Some(suite) = suites.find(|suite| suite.name == *name) else {
            return;
        };
        let mut of_reports: BTreeMap<usize, BTreeMap<usize, String>> = BTreeMap::new();
        for (report, case, text) in cuts {
            of_reports.entry(report).or_default().insert(case, text);
        }
        for (number, outputs) in of_reports {
            if let Some((_, report)) = suite.reports.get_mut(number) {
                report.append_outputs(&outputs);
            }
        }
    }

    /// An attempt of a suite is lost, and another one follows: the files of this one have a directory of
    /// their own. No service has a name with such a letter in it.
    pub(super) fn keep_files_of_attempt(&mut self, name: &ServiceName) {
        let directory = format!("{name}~attempt-{}", self.attempt(name));
        if let Some(task) = self.gathering(name, directory, false) {
            self.effect(Effect::Gather(Box::new(task)));
        }
    }

    /// A suite is judged: its files are kept, if it says so.
    pub(super) fn keep_files_of_suite(&mut self, name: &ServiceName, passed: bool) {
        if let Some(task) = self.gathering(name, name.to_string(), passed) {
            self.effect(Effect::Gather(Box::new(task)));
        }
        // At the verdict it is not looked at again.
        self.evidence.asked.insert(name.to_string());
    }

    /// The verdict is out: the files of everything that is left are kept. Returns those that are kept
    /// after their containers were taken leave of, since some write theirs at the end.
    pub(super) fn keep_other_files(&mut self) -> Vec<GatherTask> {
        let passed = self.outcome.passed();
        let is_lost = self.outcome.failure.as_ref().is_some_and(|failure| {
            matches!(failure.class, FailureClass::Engine | FailureClass::Bug)
        });
        let hold = self.settings.hold.as_ref().map(|hold| hold.when);
        if is_lost || (hold == Some(HoldWhen::Up) && passed) {
            return Vec::new();
        }
        let planned = self.plan.services.values();
        let planned: Vec<(ServiceName, Role, bool)> = planned
            .filter(|planned| planned.service.artifacts.is_some())
            .map(|planned| {
                let lifecycle = &planned.service.lifecycle;
                let leaves = !lifecycle.pre_stop.is_empty() || lifecycle.stop_grace.is_some();
                let service = &planned.service;
                (service.name.clone(), service.role, leaves)
            })
            .collect();
        let mut late = Vec::new();
        for (name, role, leaves) in planned {
            // A suite that comes here was cut off.
            let passed = passed && role != Role::Suite;
            let Some(task) = self.gathering(&name, name.to_string(), passed) else {
                continue;
            };
            let runs = self.services.get(&name);
            let runs = runs.is_some_and(|state| state.exit.is_none());
            match leaves && runs {
                true => late.push(task),
                false => self.effect(Effect::Gather(Box::new(task))),
            }
        }
        late
    }

    /// How long teardown waits for what is being kept.
    pub(super) fn evidence_limit(&self) -> Duration {
        match self.outcome.signal {
            Some(_) => LIMIT_AFTER_SIGNAL,
            None => LIMIT,
        }
    }

    /// What is to be kept of a container that has been there, once.
    fn gathering(
        &mut self,
        name: &ServiceName,
        directory: String,
        passed: bool,
    ) -> Option<GatherTask> {
        let service = &self.plan.services.get(name)?.service;
        let suite = service.suite.as_ref();
        let reports = suite.map(Suite::report_globs).unwrap_or_default();
        let artifacts = service.artifacts.clone();
        let artifacts =
            artifacts.filter(|artifacts| !(passed && artifacts.when == ArtifactsWhen::Failure));
        if artifacts.is_none() && reports.is_empty() {
            return None;
        }
        let (container, working_dir) = self.collection_of(name)?;
        if !self.evidence.asked.insert(directory.clone()) {
            return None;
        }
        if let Some(artifacts) = &artifacts {
            self.warn_of_tmpfs(name, artifacts, &working_dir);
        }
        // The reports of a suite are merged into one; what they were is kept beside it.
        let mut paths = artifacts
            .map(|artifacts| artifacts.paths)
            .unwrap_or_default();
        paths.extend(reports);
        Some(GatherTask {
            owner: name.clone(),
            directory,
            container,
            working_dir,
            paths,
            limits: self.settings.artifacts,
            limit: self.evidence_limit(),
        })
    }

    /// Where only the image says where relative paths begin, it is known no earlier than here that they
    /// are in memory.
    fn warn_of_tmpfs(&mut self, name: &ServiceName, artifacts: &Artifacts, working_dir: &str) {
        let service = &self.plan.services[name].service;
        let hidden = artifacts.paths.iter().filter_map(|glob| {
            let literal = literal_part(glob.trim_start_matches("./"));
            let target = service.tmpfs_over(&from_root(working_dir, literal))?;
            Some(format!(
                "the artifacts `{glob}` of `{name}` are on the tmpfs `{target}`, where an engine sees no file: let it write elsewhere, or mount a volume there"
            ))
        });
        let hidden: Vec<String> = hidden.collect();
        for message in hidden {
            self.report(Event::Warning { message });
        }
    }

    /// What was kept of a container.
    pub(super) fn gathered(&mut self, owner: &ServiceName, directory: String, record: Record) {
        let planned = self.plan.services.get(owner);
        if planned.is_none_or(|planned| planned.service.artifacts.is_none()) {
            // Nobody has asked for more than the reports, of which everything that matters is told.
            self.outcome.artifacts.insert(directory, record);
            return;
        }
        for problem in &record.problems {
            let message = format!("not all artifacts of `{owner}` could be kept: {problem}");
            self.report(Event::Warning { message });
        }
        if let Some(message) = left_out(owner, &record) {
            self.report(Event::Warning { message });
        }
        self.report(Event::ArtifactsKept {
            service: owner.clone(),
            directory: directory.clone(),
            files: record.files.len() as u64,
            bytes: record.bytes,
            left_out: record.left_out_count(),
            unmatched: record.unmatched.clone(),
        });
        self.outcome.artifacts.insert(directory, record);
    }
}

/// What was left out, in one line, if anything was.
fn left_out(owner: &ServiceName, record: &Record) -> Option<String> {
    let count = record.left_out_count();
    if count == 0 {
        return None;
    }
    let named = record.left_out.iter().take(NAMED);
    let named: Vec<String> = named
        .map(|one| {
            format!(
                "`{}` ({})",
                one.from.escape_debug(),
                one.reason.escape_debug()
            )
        })
        .collect();
    let rest = count.saturating_sub(named.len() as u64);
    let rest = match rest {
        0 => String::new(),
        rest => format!(" and {rest} more, see `artifacts.json`"),
    };
    let things = if count == 1 { "was" } else { "were" };
    Some(format!(
        "of the artifacts of `{owner}`, {count} {things} left out: {}{rest}",
        named.join(", ")
    ))
}

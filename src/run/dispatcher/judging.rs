//! What the end of a suite means: its exit and its reports are judged, and a suite that cannot come to
//! its end is told why.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Dispatcher;
use super::verdict::seconds;
use crate::config::model::MountSource;
use crate::engine::{DIRECTORY_LABEL, Exit};
use crate::event::Event;
use crate::junit::{self, SuiteProblem};
use crate::name::ServiceName;
use crate::outcome::{LostAttempt, SuiteOutcome, SuiteResult};
use crate::plan::{Action, PlannedService};
use crate::run::effect::{CollectTask, CollectedReport, Effect};

impl Dispatcher {
    /// A suite's container has ended: its reports are collected, if it has any.
    pub(super) fn suite_exited(
        &mut self,
        now: Duration,
        planned: &PlannedService,
        log_tail: Vec<String>,
    ) {
        let name = planned.service.name.clone();
        // It was killed for what another suite has done, and is told of already.
        if self.is_judged(&name) {
            return;
        }
        let suite = planned.service.suite.clone().unwrap_or_default();
        self.suite_ended(now, &name, log_tail);
        match self.collection_of(&name) {
            Some((container, working_dir)) if suite.expects_reports() => {
                let binds = planned.service.mounts.iter();
                let binds = binds.filter_map(|mount| match &mount.source {
                    MountSource::Bind { path, .. } => Some((mount.target.clone(), path.clone())),
                    _ => None,
                });
                let directory = self.plan.labels.get(DIRECTORY_LABEL);
                self.effect(Effect::Collect(Box::new(CollectTask {
                    attempt: self.attempt(&name),
                    suite: name,
                    container,
                    working_dir,
                    reports: suite,
                    binds: binds.collect(),
                    directory: directory.map(PathBuf::from).unwrap_or_default(),
                    confined: self.plan.limits.is_some(),
                })));
            }
            _ => self.judge_suite(now, &name, Vec::new(), None),
        }
    }

    /// Judges an attempt of a suite by its exit and its reports. The suite is run once more where it
    /// has not passed and may be.
    pub(super) fn judge_suite(
        &mut self,
        now: Duration,
        name: &ServiceName,
        reports: Vec<CollectedReport>,
        unreadable: Option<String>,
    ) {
        if self.is_judged(name) {
            return;
        }
        let attempt = self.judge_attempt(now, name, reports, unreadable);
        let code = attempt.exit.as_ref().and_then(|exit| exit.code);
        let passed =
            attempt.problems.is_empty() && code == Some(0) && attempt.counts.failing() == 0;
        if !passed && self.may_retry(name) {
            self.keep_files_of_attempt(name);
            return self.retry(name, attempt);
        }
        let known = self.known_of(name);
        let result = match (passed, known.lost.is_empty()) {
            (true, true) => SuiteResult::Passed,
            (true, false) => SuiteResult::Flaky,
            (false, _) => SuiteResult::Failed,
        };
        let LostAttempt {
            exit,
            started,
            duration,
            reports,
            problems,
            counts,
            output_tail,
        } = attempt;
        let outcome = SuiteOutcome {
            result,
            exit,
            started,
            duration,
            reports,
            problems,
            counts,
            output_tail,
            ..known
        };
        let is_pass = outcome.is_pass();
        self.finish_suite(outcome);
        self.cut_windows(name);
        self.keep_files_of_suite(name, passed);
        self.suite_done(now, name, is_pass);
        if !passed {
            self.explain_suite(name);
        }
        self.stop_others(now, name);
    }

    /// What an attempt of a suite came to.
    fn judge_attempt(
        &self,
        now: Duration,
        name: &ServiceName,
        reports: Vec<CollectedReport>,
        unreadable: Option<String>,
    ) -> LostAttempt {
        let suite = self.plan.suite(name).cloned().unwrap_or_default();
        let (reports, stale): (Vec<_>, Vec<_>) = reports
            .into_iter()
            .partition(|report| !self.is_left_over(name, report));
        let state = &self.services[name];
        let exit = state.exit.clone();
        let code = exit.as_ref().and_then(|exit| exit.code);
        let mut problems = if state.timed_out {
            let limit = suite.timeout.unwrap_or_default();
            vec![problem(
                "Timeout",
                format!(
                    "suite `{name}` was killed after its limit of {}",
                    seconds(limit)
                ),
                true,
            )]
        } else if let Some(reason) = unreadable {
            vec![problem(
                "ReportUnreadable",
                format!("the reports of suite `{name}` could not be read: {reason}"),
                false,
            )]
        } else {
            junit::judge(code, &reports, suite.expects_reports())
        };
        if let Some((code, signal)) = code.zip(exit.as_ref().and_then(Exit::signal)) {
            let plain = format!("exited with `{code}`");
            for problem in &mut problems {
                problem.message = problem
                    .message
                    .replace(&plain, &format!("{plain} ({signal})"));
            }
        }
        problems.extend(stale.iter().map(|(path, _)| {
            let message = format!(
                "`{path}` of suite `{name}` is what an earlier attempt has left there: nothing of this one"
            );
            problem("ReportStale", message, false)
        }));
        if self.hooks_were_cut_off(name) && !state.timed_out {
            problems.push(problem(
                "HookCutOff",
                format!("suite `{name}` ended before its `post_start` hooks were done"),
                false,
            ));
        }
        if let Some(exit) = exit.as_ref().filter(|exit| exit.oom_killed) {
            problems.push(problem(
                "OutOfMemory",
                format!("suite `{name}` {exit}{}", self.memory_of(name, exit)),
                false,
            ));
        }
        let reports: Vec<(String, junit::Report)> = reports
            .into_iter()
            .filter_map(|(path, report)| report.ok().map(|report| (path, report)))
            .collect();
        let mut counts = junit::Counts::default();
        for (_, report) in &reports {
            counts += report.counts();
        }
        LostAttempt {
            exit,
            started: self.wall_clock_start(name),
            duration: self.suite_duration(now, name),
            reports,
            problems,
            counts,
            output_tail: self.suite_tail(name),
        }
    }

    /// Whether a report is the very one that an earlier attempt has left in a volume or a directory of
    /// the host. Each attempt begins with a file system of its own, but what is mounted into it stays.
    fn is_left_over(&self, name: &ServiceName, (path, report): &CollectedReport) -> bool {
        let (Some(planned), Ok(report)) = (self.plan.services.get(name), report) else {
            return false;
        };
        let path = Path::new(path);
        let service = &planned.service;
        let stays = !service.sharing.volumes_from.is_empty()
            || service
                .mounts
                .iter()
                .any(|mount| path.starts_with(&mount.target));
        let mut earlier = self
            .lost_attempts(name)
            .iter()
            .flat_map(|lost| &lost.reports);
        stays && earlier.any(|(place, left)| Path::new(place) == path && left == report)
    }

    /// Tells the judgement on a suite and keeps it. Nothing that comes later changes it.
    pub(super) fn finish_suite(&mut self, outcome: SuiteOutcome) {
        let is_pass = outcome.is_pass();
        self.report(Event::SuiteFinished {
            suite: outcome.name.clone(),
            result: outcome.result,
            attempts: outcome.attempts,
            exit: outcome.exit.clone(),
            duration: outcome.duration,
            tests: outcome.counts.tests,
            failures: outcome.counts.failing(),
            skipped: outcome.counts.skipped,
            problems: outcome
                .problems
                .iter()
                .map(|problem| problem.message.clone())
                .collect(),
            output_tail: if is_pass {
                Vec::new()
            } else {
                outcome.output_tail.clone()
            },
        });
        self.outcome.suites.push(outcome);
    }

    /// Suites that wait for the success of a suite that has failed will never run.
    pub(super) fn skip_unreachable_suites(&mut self) {
        for name in self.unjudged() {
            let action = match self.is_matrix(&name) {
                true => Action::TryReachability,
                false if self.is_command(&name) => Action::RunCommand(name.clone()),
                false => Action::StartContainer(name.clone()),
            };
            let never = self
                .step_of(&action)
                .is_some_and(|step| self.can_never_begin(step));
            if never {
                let message = format!(
                    "suite `{name}` never started, since a suite that it waits for has failed"
                );
                self.leave_out(Duration::ZERO, &name, "NeverStarted", &message);
            }
        }
    }

    /// The run's limit was reached: suites that run have failed, the others have not run.
    pub(super) fn cut_off_suites(&mut self, now: Duration) {
        for name in self.unjudged() {
            if self.suite_has_begun(&name) {
                let message = format!("suite `{name}` was cut off by the limit of the run");
                self.leave_out(now, &name, "Timeout", &message);
                if let Some(suite) = self.outcome.suites.last_mut() {
                    suite.result = SuiteResult::Failed;
                }
            }
        }
    }

    /// Something else ends the run before a suite has come to its end.
    pub(super) fn leave_unjudged(&mut self, now: Duration, name: &ServiceName, cause: &str) {
        let (kind, message) = if self.suite_has_begun(name) {
            ("CutOff", format!("suite `{name}` was cut off: {cause}"))
        } else {
            (
                "NeverStarted",
                format!("suite `{name}` never started: {cause}"),
            )
        };
        self.leave_out(now, name, kind, &message);
    }

    /// The suites on which there is no judgement yet.
    pub(super) fn unjudged(&self) -> Vec<ServiceName> {
        let judged: BTreeSet<&ServiceName> = self
            .outcome
            .suites
            .iter()
            .map(|suite| &suite.name)
            .collect();
        self.plan
            .suites()
            .map(|planned| planned.service.name.clone())
            .chain(self.matrix_suite())
            .chain(self.command_suite())
            .filter(|name| !judged.contains(name))
            .collect()
    }

    /// Whether there is a judgement on a suite.
    pub(super) fn is_judged(&self, name: &ServiceName) -> bool {
        self.outcome.suites.iter().any(|suite| suite.name == *name)
    }

    fn leave_out(&mut self, now: Duration, name: &ServiceName, kind: &str, message: &str) {
        let outcome = SuiteOutcome {
            started: self.wall_clock_start(name),
            duration: self.suite_duration(now, name),
            problems: vec![problem(kind, message.to_owned(), false)],
            ..self.known_of(name)
        };
        self.outcome.suites.push(outcome);
    }

    /// What is known of a suite before its last attempt is judged.
    fn known_of(&self, name: &ServiceName) -> SuiteOutcome {
        let Some(suite) = self.plan.suite(name) else {
            return SuiteOutcome {
                attempts: u32::from(self.suite_has_begun(name)),
                ..SuiteOutcome::unknown(name.clone(), name.clone())
            };
        };
        let planned = self.plan.services.get(name);
        let of = planned.map_or(name, |planned| &planned.of).clone();
        SuiteOutcome {
            shard: planned.and_then(|planned| planned.shard),
            attempts: self.attempts_begun(name),
            lost: self.lost_attempts(name).to_vec(),
            flaky_fails: suite.flaky_fails,
            ..SuiteOutcome::unknown(name.clone(), of)
        }
    }
}

fn problem(kind: &str, message: String, is_failure: bool) -> SuiteProblem {
    SuiteProblem {
        kind: kind.to_owned(),
        message,
        details: String::new(),
        is_failure,
    }
}

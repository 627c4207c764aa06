//! All texts of an outcome that may hold what somebody else has written: for whoever has to change
//! them before anybody sees them.
//!
//! Every field is named, so that none can be forgotten. Names and ids stay.

use super::{
    Cause, Explanation, Failure, Leftover, LostAttempt, Moment, Outcome, ProbeRecord, Readiness,
    SuiteOutcome, TeardownReport,
};
use crate::junit::SuiteProblem;
use crate::reachability::Record;

type Visit<'visit> = &'visit mut dyn FnMut(&mut String);

impl Outcome {
    /// Visits every text, those of the suites' reports included.
    pub fn each_text(&mut self, visit: Visit<'_>) {
        let Self {
            failure,
            suites,
            readiness,
            without,
            signal: _,
            teardown,
            held: _,
            reachability,
            usage: _,
            artifacts,
            report_problems,
            started: _,
            duration: _,
        } = self;
        failure.iter_mut().for_each(|one| one.each_text(visit));
        suites.iter_mut().for_each(|suite| suite.each_text(visit));
        for Readiness {
            service: _,
            title: _,
            duration: _,
            problem,
        } in readiness
        {
            problem.iter_mut().for_each(|one| one.each_text(visit));
        }
        without.iter_mut().for_each(|one| one.each_text(visit));
        teardown
            .iter_mut()
            .for_each(|report| report.each_text(visit));
        reachability
            .iter_mut()
            .for_each(|record| recorded(record, visit));
        // Names of files stay: they say where something is.
        for record in artifacts.values_mut() {
            record.problems.iter_mut().for_each(&mut *visit);
        }
        report_problems.iter_mut().for_each(visit);
    }
}

impl SuiteOutcome {
    fn each_text(&mut self, visit: Visit<'_>) {
        let Self {
            name: _,
            of: _,
            shard: _,
            attempts: _,
            lost,
            flaky_fails: _,
            result: _,
            exit,
            started: _,
            duration: _,
            reports,
            problems,
            counts: _,
            output_tail,
            explanation,
        } = self;
        let error = exit.iter_mut().filter_map(|exit| exit.error.as_mut());
        error.for_each(&mut *visit);
        reported((reports, problems), visit);
        for LostAttempt {
            exit,
            started: _,
            duration: _,
            reports,
            problems,
            counts: _,
            output_tail,
        } in lost
        {
            let error = exit.iter_mut().filter_map(|exit| exit.error.as_mut());
            error.chain(output_tail).for_each(&mut *visit);
            reported((reports, problems), visit);
        }
        output_tail.iter_mut().for_each(&mut *visit);
        if let Some(explanation) = explanation {
            explanation.each_text(visit);
        }
    }
}

type Reported<'reports> = (
    &'reports mut Vec<(String, crate::junit::Report)>,
    &'reports mut Vec<SuiteProblem>,
);

fn reported((reports, problems): Reported<'_>, visit: Visit<'_>) {
    for (_path, report) in reports {
        report.rewrite(&mut |text| {
            let mut changed = text.to_owned();
            visit(&mut changed);
            (changed != text).then_some(changed)
        });
    }
    for problem in problems {
        let SuiteProblem {
            kind: _,
            message,
            details,
            is_failure: _,
        } = problem;
        [message, details].into_iter().for_each(&mut *visit);
    }
}

impl Failure {
    /// Visits every text.
    pub fn each_text(&mut self, visit: Visit<'_>) {
        let Self {
            class: _,
            kind: _,
            service: _,
            message,
            log_tail,
            hint,
            explanation,
        } = self;
        let texts = [message].into_iter().chain(log_tail).chain(hint);
        texts.for_each(&mut *visit);
        if let Some(explanation) = explanation {
            explanation.each_text(visit);
        }
    }
}

impl Explanation {
    /// Visits every text.
    pub fn each_text(&mut self, visit: Visit<'_>) {
        let Self {
            state,
            probes,
            timeline,
            causes,
            unseen,
        } = self;
        state.iter_mut().chain(unseen).for_each(&mut *visit);
        for ProbeRecord {
            probe,
            because,
            attempts: _,
            last,
        } in probes
        {
            [probe, because, last].into_iter().for_each(&mut *visit);
        }
        for Moment { at: _, what } in timeline {
            visit(what);
        }
        for cause in causes {
            let Cause {
                kind: _,
                service: _,
                target,
                message,
                evidence,
                remedy,
                confirmed: _,
            } = cause;
            let texts = [message]
                .into_iter()
                .chain(target)
                .chain(evidence)
                .chain(remedy);
            texts.for_each(&mut *visit);
        }
    }
}

impl TeardownReport {
    /// Visits every text.
    pub fn each_text(&mut self, visit: Visit<'_>) {
        let Self {
            removed: _,
            already_gone: _,
            left,
            duration: _,
        } = self;
        for Leftover {
            resource: _,
            reason,
        } in left
        {
            visit(reason);
        }
    }
}

/// Of a matrix only messages and the words of the kernel are more than names and addresses.
fn recorded(record: &mut Record, visit: Visit<'_>) {
    for pair in &mut record.pairs {
        visit(&mut pair.message);
    }
    for look in &mut record.looks {
        let tries = look.by_name.iter_mut().chain(&mut look.by_address);
        tries
            .filter_map(|one| one.words.as_mut())
            .for_each(&mut *visit);
    }
}

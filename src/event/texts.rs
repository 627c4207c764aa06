//! All texts of an event that may hold what somebody else has written: for whoever has to change them
//! before anybody sees them.
//!
//! Every variant and every field is named, so that none can be forgotten. Names, ids and addresses
//! stay: they are keys by which events are put together.

use super::{Event, SuiteRow, VerdictSummary};

impl Event {
    /// Visits every text.
    pub fn each_text(&mut self, visit: &mut dyn FnMut(&mut String)) {
        match self {
            Self::RunStarted {
                run: _,
                project: _,
                version: _,
                services: _,
                suites: _,
            }
            | Self::PullProgress {
                image: _,
                progress: _,
            }
            | Self::PullFinished {
                image: _,
                from: _,
                bytes: _,
                duration: _,
            }
            | Self::ImageObtained {
                image: _,
                id: _,
                digests: _,
                platform: _,
                built: _,
                services: _,
            }
            | Self::StartWaits { others: _ }
            | Self::ServiceStarted {
                service: _,
                host_ports: _,
            }
            | Self::ServiceCompleted {
                service: _,
                after: _,
            }
            | Self::SuiteStarted {
                suite: _,
                attempt: _,
            }
            | Self::UsageMeasured {
                service: _,
                usage: _,
            }
            | Self::SignalReceived { signal: _ }
            | Self::Held {
                run: _,
                time: _,
                services: _,
            }
            | Self::TeardownStarted
            | Self::RunFinished {
                exit_code: _,
                duration: _,
            } => {}
            Self::EngineFound {
                product,
                version,
                api,
            } => [product, version, api].into_iter().for_each(visit),
            Self::Warning { message } => visit(message),
            Self::Swept {
                run: _,
                project: _,
                removed,
            } => visit(removed),
            Self::StepStarted {
                step: _,
                what,
                cause,
            } => [what, cause].into_iter().for_each(visit),
            Self::StepFinished {
                step: _,
                what,
                duration: _,
            } => visit(what),
            Self::PullStarted {
                image: _,
                from: _,
                reason,
            }
            | Self::PullRetried {
                image: _,
                from: _,
                attempt: _,
                limit: _,
                pause: _,
                reason,
            } => visit(reason),
            Self::NetworkWaits {
                network: _,
                run: _,
                project: _,
                holds,
            } => visit(holds),
            Self::ServiceReady {
                service: _,
                after: _,
                by,
                attempts: _,
            } => visit(by),
            Self::ServiceDied { service: _, exit }
            | Self::ServiceRestarting {
                service: _,
                exit,
                restart: _,
                pause: _,
            } => exit.error.iter_mut().for_each(visit),
            Self::FaultBegun {
                fault: _,
                what,
                suite: _,
                time: _,
            }
            | Self::FaultUndone {
                fault: _,
                what,
                after: _,
            } => visit(what),
            Self::FaultFailed {
                fault: _,
                what,
                suite: _,
                reason,
            }
            | Self::FaultStays {
                fault: _,
                what,
                reason,
            } => [what, reason].into_iter().for_each(visit),
            Self::SuiteRetried {
                suite: _,
                attempt: _,
                limit: _,
                exit,
                duration: _,
                tests: _,
                failures: _,
                problems,
                output_tail,
            }
            | Self::SuiteFinished {
                suite: _,
                result: _,
                exit,
                attempts: _,
                duration: _,
                tests: _,
                failures: _,
                skipped: _,
                problems,
                output_tail,
            } => {
                let error = exit.iter_mut().filter_map(|exit| exit.error.as_mut());
                error.chain(problems).chain(output_tail).for_each(visit);
            }
            Self::ArtifactsKept {
                service: _,
                directory: _,
                files: _,
                bytes: _,
                left_out: _,
                unmatched,
            } => unmatched.iter_mut().for_each(visit),
            Self::Explained {
                service: _,
                explanation,
            } => explanation.each_text(visit),
            Self::RunAborted { failure } => failure.each_text(visit),
            Self::Verdict { summary } => summary.each_text(visit),
            Self::TeardownFinished { run: _, report } => report.each_text(visit),
        }
    }
}

impl VerdictSummary {
    fn each_text(&mut self, visit: &mut dyn FnMut(&mut String)) {
        let Self {
            passed: _,
            suites,
            failure,
            duration: _,
        } = self;
        for row in suites {
            let SuiteRow {
                suite: _,
                result: _,
                attempts: _,
                tests: _,
                failures: _,
                skipped: _,
                duration: _,
                remark,
            } = row;
            remark.iter_mut().for_each(&mut *visit);
        }
        if let Some(failure) = failure {
            failure.each_text(visit);
        }
    }
}

//! A bundle while its run goes on: what happens is noted in it.

use std::time::Duration;

use serde_json::Value as Json;

use super::{Aborted, Bundle, Facts, ImageUse, Problem, Results, State, SuiteRecord, TestRecord};
use crate::event::Event;
use crate::junit;
use crate::mask::Masker;
use crate::outcome::{Failure, Outcome, SuiteOutcome};

/// Tests that did not fail and are told of each suite.
const MOST_PASSED: usize = 1000;

/// Tests of one suite that are told at all.
const MOST_TESTS: usize = 20_000;

/// Bytes of a message of a test.
const LONGEST_MESSAGE: usize = 8 << 10;

/// Steps whose order is told.
const MOST_STEPS: usize = 10_000;

/// Characters of a secret that is looked for in texts: a shorter one is everywhere.
const SHORTEST_SECRET: usize = 8;

/// A bundle in the making.
pub struct Recording {
    bundle: Bundle,
    /// Values that stand in no text of it.
    secrets: Vec<String>,
    /// Hides secrets in all their spellings where texts of others stand.
    masker: Masker,
}

impl Recording {
    /// The bundle of a run that begins.
    #[must_use]
    pub fn new(bundle: Bundle, secrets: Vec<String>, masker: Masker) -> Self {
        let secrets = secrets.into_iter();
        Self {
            bundle,
            secrets: secrets.filter(|one| one.len() >= SHORTEST_SECRET).collect(),
            masker,
        }
    }

    /// Notes what has happened. True where the file is worth being written anew.
    pub fn event(&mut self, event: &Event) -> bool {
        match event {
            Event::RunStarted { .. } => return true,
            Event::StepStarted { what, .. } if self.bundle.order.steps.len() < MOST_STEPS => {
                self.bundle.order.steps.push(what.clone());
            }
            Event::SuiteStarted { suite, attempt: 1 } => {
                self.bundle.order.suites.push(suite.to_string());
            }
            Event::ImageObtained {
                image,
                id,
                digests,
                platform,
                built,
                services,
            } => self.bundle.images.push(ImageUse {
                image: image.clone(),
                id: id.clone(),
                digests: digests.clone(),
                platform: platform.clone(),
                built: *built,
                services: services.iter().map(ToString::to_string).collect(),
            }),
            Event::SuiteFinished {
                suite,
                result,
                exit,
                duration,
                ..
            } => {
                // The tests follow with the verdict.
                let record = SuiteRecord {
                    suite: suite.to_string(),
                    result: word(result),
                    exit: exit.as_ref().and_then(|exit| exit.code),
                    duration_ms: milliseconds(*duration),
                    problems: Vec::new(),
                    tests: Vec::new(),
                    tests_left_out: 0,
                };
                self.bundle
                    .results
                    .suites
                    .retain(|one| one.suite != record.suite);
                self.bundle.results.suites.push(record);
                return true;
            }
            Event::RunAborted { failure } => {
                self.bundle.results.failure = Some(aborted(failure));
                return true;
            }
            _ => {}
        }
        false
    }

    /// What was found out beside the run is there.
    pub fn facts(&mut self, facts: Facts) {
        self.bundle.facts = facts;
    }

    /// There is a verdict.
    pub fn outcome(&mut self, outcome: &Outcome) {
        self.bundle.state = State::Complete;
        self.bundle.results = Results {
            exit_code: Some(outcome.exit_code().number()),
            duration_ms: Some(milliseconds(outcome.duration)),
            failure: outcome.failure.as_ref().map(aborted),
            signal: outcome.signal.map(|signal| signal.name().to_owned()),
            suites: outcome.suites.iter().map(suite).collect(),
        };
    }

    /// The file: JSON over several lines, without the values of secrets.
    #[must_use]
    pub fn document(&self) -> Vec<u8> {
        let mut json = serde_json::to_value(&self.bundle).unwrap_or_default();
        for (name, part) in json.as_object_mut().into_iter().flatten() {
            // The model has references where secrets went, and is to be loaded as it is.
            if name != "project" && !self.secrets.is_empty() {
                conceal(part, &self.secrets);
            }
            // Names of images and files are compared later, and hold no texts of others.
            if matches!(name.as_str(), "facts" | "results") {
                self.masker.json(part);
            }
        }
        let mut bytes = serde_json::to_vec_pretty(&json).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }
}

fn conceal(json: &mut Json, secrets: &[String]) {
    match json {
        Json::String(text) => {
            for secret in secrets {
                if text.contains(secret.as_str()) {
                    *text = text.replace(secret.as_str(), "***");
                }
            }
        }
        Json::Array(items) => items.iter_mut().for_each(|item| conceal(item, secrets)),
        Json::Object(map) => map.values_mut().for_each(|value| conceal(value, secrets)),
        _ => {}
    }
}

/// The word by which a value without fields is written.
fn word(value: &impl serde::Serialize) -> String {
    let json = serde_json::to_value(value).unwrap_or_default();
    json.as_str().unwrap_or_default().to_owned()
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn aborted(failure: &Failure) -> Aborted {
    Aborted {
        class: word(&failure.class),
        kind: failure.kind.to_owned(),
        service: failure.service.as_ref().map(ToString::to_string),
        message: failure.message.clone(),
    }
}

fn suite(outcome: &SuiteOutcome) -> SuiteRecord {
    let cases: Vec<TestRecord> = outcome
        .reports
        .iter()
        .flat_map(|(_, report)| report.cases())
        .map(|case| test(&case))
        .collect();
    let all = cases.len();
    let mut passed = 0;
    let kept = cases.into_iter().filter(|case| {
        passed += usize::from(!case.failed());
        case.failed() || passed <= MOST_PASSED
    });
    let tests: Vec<TestRecord> = kept.take(MOST_TESTS).collect();
    let problems = outcome.problems.iter().map(|problem| Problem {
        kind: problem.kind.clone(),
        message: problem.message.clone(),
    });
    SuiteRecord {
        suite: outcome.name.to_string(),
        result: word(&outcome.result),
        exit: outcome.exit.as_ref().and_then(|exit| exit.code),
        duration_ms: milliseconds(outcome.duration),
        problems: problems.collect(),
        tests_left_out: (all - tests.len()) as u64,
        tests,
    }
}

fn test(case: &junit::Case<'_>) -> TestRecord {
    let result = match case.outcome() {
        junit::Outcome::Passed => "passed",
        junit::Outcome::Failed => "failed",
        junit::Outcome::Errored => "error",
        junit::Outcome::Skipped => "skipped",
    };
    let message = case.message().map(|mut message| {
        let mut end = message.len().min(LONGEST_MESSAGE);
        while !message.is_char_boundary(end) {
            end -= 1;
        }
        message.truncate(end);
        message
    });
    TestRecord {
        name: case.name().to_owned(),
        classname: case.class_name().to_owned(),
        file: case.file().map(str::to_owned),
        result: result.to_owned(),
        message,
        duration_ms: case
            .seconds()
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
            .map(milliseconds),
    }
}

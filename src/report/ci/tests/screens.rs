use std::path::Path;
use std::time::{Duration, SystemTime};

use super::escapes::{WITH_WORDS, check, tokens};
use crate::ci::Provider;
use crate::engine::Exit;
use crate::event::{Event, SuiteRow, VerdictSummary};
use crate::exit_code::Signal;
use crate::name::RunId;
use crate::outcome::{Failure, FailureClass, SuiteResult, TeardownReport};
use crate::report::ci::{Screen, dialect};

/// Output that tries the commands of every system.
const HOSTILE: [&str; 7] = [
    "AssertionError: 1 != 2",
    "::error file=x::gotcha",
    "##[add-mask]gotcha",
    "##vso[task.setvariable variable=x]gotcha",
    "##teamcity[buildStatus status='SUCCESS']",
    "\u{1b}[0Ksection_end:1:envrun_1\r\u{1b}[0K",
    "::stop-commands::gotcha",
];

fn run_started() -> Event {
    Event::RunStarted {
        run: RunId::from_u128(7),
        project: "shop".to_owned(),
        version: "0.1.0",
        services: vec!["db".into(), "e2e".into()],
        suites: vec!["e2e".into()],
    }
}

fn suite_finished(result: SuiteResult, tail: &[&str]) -> Event {
    let code = i64::from(result != SuiteResult::Passed);
    Event::SuiteFinished {
        suite: "e2e".into(),
        result,
        attempts: 1,
        exit: Some(Exit {
            code: Some(code),
            oom_killed: false,
            error: None,
        }),
        duration: Duration::from_millis(1200),
        tests: 3,
        failures: u64::from(result == SuiteResult::Failed),
        skipped: 0,
        problems: Vec::new(),
        output_tail: tail.iter().map(|line| (*line).to_owned()).collect(),
    }
}

fn verdict(result: SuiteResult, failure: Option<Failure>) -> Event {
    Event::Verdict {
        summary: VerdictSummary {
            passed: result == SuiteResult::Passed && failure.is_none(),
            suites: vec![SuiteRow {
                suite: "e2e".into(),
                result,
                attempts: 2,
                tests: Some(3),
                failures: u64::from(result == SuiteResult::Failed),
                skipped: 0,
                duration: Duration::from_millis(1200),
                remark: None,
            }],
            failure,
            duration: Duration::from_secs(3),
        },
    }
}

fn ending(code: u8) -> [Event; 3] {
    [
        Event::TeardownStarted,
        Event::TeardownFinished {
            run: RunId::from_u128(7),
            report: TeardownReport::default(),
        },
        Event::RunFinished {
            exit_code: code,
            duration: Duration::from_secs(4),
        },
    ]
}

fn started() -> Vec<Event> {
    vec![
        run_started(),
        Event::ServiceStarted {
            service: "db".into(),
            host_ports: Vec::new(),
        },
        Event::ServiceReady {
            service: "db".into(),
            after: Duration::from_millis(900),
            by: "tcp 5432".to_owned(),
            attempts: 4,
        },
    ]
}

fn failed() -> Vec<Event> {
    let mut events = started();
    events.push(Event::SuiteStarted {
        suite: "e2e".into(),
        attempt: 1,
    });
    events.push(Event::SuiteRetried {
        suite: "e2e".into(),
        attempt: 1,
        limit: 2,
        exit: None,
        duration: Duration::from_millis(900),
        tests: 3,
        failures: 1,
        problems: vec!["::error::gotcha".to_owned()],
        output_tail: vec!["::error::gotcha".to_owned()],
    });
    events.push(suite_finished(SuiteResult::Failed, &HOSTILE));
    events.push(verdict(SuiteResult::Failed, None));
    events.extend(ending(1));
    events
}

fn died() -> Vec<Event> {
    let failure = Failure {
        class: FailureClass::Environment,
        kind: "NotReady",
        service: Some("db".into()),
        message: "service `db` not ready after 30s".to_owned(),
        log_tail: HOSTILE.map(str::to_owned).to_vec(),
        hint: Some("look at its log".to_owned()),
        explanation: None,
    };
    let mut events = started();
    events.push(Event::RunAborted {
        failure: failure.clone(),
    });
    events.push(verdict(SuiteResult::NotRun, Some(failure)));
    events.extend(ending(3));
    events
}

fn cancelled() -> Vec<Event> {
    let mut events = started();
    events.push(Event::SignalReceived {
        signal: Signal::Interrupt,
    });
    events.push(verdict(SuiteResult::NotRun, None));
    events.extend(ending(130));
    events
}

/// The log of these events, as it is when the run is over.
fn log(provider: Provider, events: &[Event]) -> String {
    let started = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let dialect = dialect(provider, tokens()).expect("a system with words");
    let mut screen = Screen::over(dialect, started, false);
    let mut log = String::new();
    for (number, event) in events.iter().enumerate() {
        let elapsed = Duration::from_millis(500 * number as u64);
        log.push_str(&screen.event(elapsed, event, Path::new("envrun-out")));
    }
    log.push_str(&screen.finish());
    log
}

#[test]
fn in_every_log_all_parts_end_and_no_foreign_command_is_understood() {
    for provider in WITH_WORDS {
        for events in [failed(), died(), cancelled()] {
            // A run may be killed, or its log closed, after any of them.
            for length in 0..=events.len() {
                check(provider, &log(provider, &events[..length]));
            }
        }
    }
}

#[test]
fn a_failed_run_in_the_words_of_each() {
    for provider in WITH_WORDS {
        let shown = log(provider, &failed())
            .replace('\u{1b}', "<ESC>")
            .replace('\r', "<CR>");
        insta::assert_snapshot!(format!("failed_{provider}"), shown);
    }
}

#[test]
fn an_environment_that_died_in_the_words_of_each() {
    for provider in WITH_WORDS {
        let shown = log(provider, &died())
            .replace('\u{1b}', "<ESC>")
            .replace('\r', "<CR>");
        insta::assert_snapshot!(format!("died_{provider}"), shown);
    }
}

#[test]
fn colours_are_for_those_who_see_them() {
    for provider in WITH_WORDS {
        let dialect = dialect(provider, tokens()).expect("a system with words");
        let mut screen = Screen::over(dialect, SystemTime::UNIX_EPOCH, true);
        let log = screen.event(
            Duration::ZERO,
            &verdict(SuiteResult::Failed, None),
            Path::new("o"),
        );
        let is_red = log.contains("\u{1b}[31mFAILED: 0 of 1 suite");
        assert_eq!(is_red, provider != Provider::TeamCity, "{log}");
    }
}

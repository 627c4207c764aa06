//! Scenarios of the module as a whole: the dialects of real tools, hostile documents, the merged
//! report.

mod attempts;
mod dialects;
mod go_test;
mod hostile;
mod judging;
mod lenient;
mod merging;
mod properties;
mod readers;
mod strict;
mod tap;

use std::time::{Duration, SystemTime};

use super::{Form, Report, SuiteRecord, Summary, document, read};

/// Midnight of 2 January 2026, UTC.
fn midnight() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_312_000)
}

fn summary(suites: Vec<SuiteRecord>) -> Summary {
    Summary {
        project: "taskflow".to_owned(),
        run: "67e55044-10b1-426f-9247-bb680e5fe0c8".to_owned(),
        started: midnight(),
        duration: Duration::from_millis(4_750),
        environment: Vec::new(),
        suites,
    }
}

/// A suite with these reports, and nothing wrong with it.
fn record(name: &str, reports: &[&str]) -> SuiteRecord {
    let reports = reports.iter().enumerate().map(|(index, text)| {
        let report = read(text.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
        (format!("reports/{index}.xml"), report)
    });
    SuiteRecord {
        name: name.to_owned(),
        started: Some(midnight()),
        duration: Duration::from_millis(1_500),
        reports: reports.collect(),
        problems: Vec::new(),
        output_tail: String::new(),
        lost: Vec::new(),
        properties: Vec::new(),
    }
}

/// The merged document, after a strict reader took it.
fn merged(suites: Vec<SuiteRecord>) -> String {
    let text = String::from_utf8(document(&summary(suites), &Form::default())).expect("utf-8");
    strict::check(&text);
    text
}

/// One line a case: suite, class, name, seconds, outcome, message.
fn outline(report: &Report) -> String {
    let mut lines = vec![format!("{:?}", report.counts())];
    for case in report.cases() {
        let seconds = case
            .seconds()
            .map_or("-".to_owned(), |seconds| seconds.to_string());
        let message = case
            .message()
            .map_or(String::new(), |message| format!(": {message}"));
        lines.push(format!(
            "[{}] {} | {} | {seconds} | {:?}{message}",
            case.suite_name(),
            case.class_name(),
            case.name(),
            case.outcome(),
        ));
    }
    lines.extend(report.notes().iter().map(|note| format!("note: {note}")));
    lines.join("\n")
}

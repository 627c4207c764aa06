//! Whether a second run has failed like the first.

use std::collections::BTreeSet;

use super::{Results, TestRecord};

/// What of two runs is compared.
#[derive(Debug, Clone, Copy)]
pub enum Target<'a> {
    /// These suites; none stands for all.
    Suites(&'a [String]),
    /// One test of a suite.
    Test(&'a str, &'a TestRecord),
}

/// What a second run has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Comparison {
    /// Exactly what failed fails again: these.
    Same(Vec<String>),
    /// Some of what failed fails again, or something else fails beside it.
    Part {
        /// What fails again.
        again: Vec<String>,
        /// What failed and passes now.
        gone: Vec<String>,
        /// What fails now and did not.
        new: Vec<String>,
    },
    /// It fails, and with nothing that failed before: with these.
    Other(Vec<String>),
    /// It passes.
    Passed,
    /// It was ended before there was anything to compare.
    Unknown,
}

impl Comparison {
    /// Whether something that failed has failed again.
    #[must_use]
    pub fn is_reproduced(&self) -> bool {
        matches!(self, Self::Same(_) | Self::Part { .. })
    }

    /// For people: one line, and what there is to be listed below it.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let list = |mark: &str, all: &[String]| -> Vec<String> {
            let mut lines: Vec<String> = all
                .iter()
                .take(MOST_LISTED)
                .map(|one| format!("  {mark} {one}"))
                .collect();
            if all.len() > MOST_LISTED {
                lines.push(format!("  {mark} and {} more", all.len() - MOST_LISTED));
            }
            lines
        };
        match self {
            Self::Same(all) => {
                let mut lines = vec![format!("reproduced: the same {}", fails(all.len()))];
                lines.extend(list("-", all));
                lines
            }
            Self::Part { again, gone, new } => {
                let before = again.len() + gone.len();
                let mut lines = vec![format!(
                    "reproduced in part: {} of {} again",
                    again.len(),
                    fails(before)
                )];
                lines.extend(list("again:", again));
                lines.extend(list("passes now:", gone));
                lines.extend(list("new:", new));
                lines
            }
            Self::Other(new) => {
                let mut lines = vec![
                    "another failure: nothing that failed before fails, and this does".to_owned(),
                ];
                lines.extend(list("-", new));
                lines
            }
            Self::Passed => vec!["not reproduced: everything that failed passes".to_owned()],
            Self::Unknown => {
                vec!["not known: the run was ended before there was a verdict".to_owned()]
            }
        }
    }
}

/// Failures of a kind that are listed.
const MOST_LISTED: usize = 20;

fn fails(count: usize) -> String {
    match count {
        1 => "failure".to_owned(),
        count => format!("{count} failures"),
    }
}

/// Compares what failed in one run with what failed in another one.
#[must_use]
pub fn compare(before: &Results, after: &Results, target: Target<'_>) -> Comparison {
    if after.signal.is_some() || after.exit_code.is_none() {
        return Comparison::Unknown;
    }
    let before = failures(before, target);
    let after = failures(after, target);
    let again: Vec<String> = before.intersection(&after).cloned().collect();
    let gone: Vec<String> = before.difference(&after).cloned().collect();
    let new: Vec<String> = after.difference(&before).cloned().collect();
    match (again.is_empty(), gone.is_empty(), new.is_empty()) {
        (true, _, true) => Comparison::Passed,
        (true, _, false) => Comparison::Other(new),
        (false, true, true) => Comparison::Same(again),
        (false, ..) => Comparison::Part { again, gone, new },
    }
}

/// What failed, by names that are the same in another run.
fn failures(results: &Results, target: Target<'_>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    if let Some(failure) = &results.failure {
        let of = failure
            .service
            .as_ref()
            .map(|service| format!(" of {service}"));
        found.insert(format!(
            "the environment: {}{}",
            failure.kind,
            of.unwrap_or_default()
        ));
    }
    for record in &results.suites {
        let is_meant = match target {
            Target::Suites(names) => names.is_empty() || names.contains(&record.suite),
            Target::Test(suite, _) => suite == record.suite,
        };
        if !is_meant {
            continue;
        }
        if let Target::Test(_, wanted) = target {
            let same: Vec<&TestRecord> = record
                .tests
                .iter()
                .filter(|test| test.title() == wanted.title())
                .collect();
            if same.iter().any(|test| test.failed()) {
                found.insert(wanted.title());
            } else if same.is_empty() && record.failed() {
                // A test that was not reached is not one that passed.
                found.insert(format!(
                    "suite {}: no result of {}",
                    record.suite,
                    wanted.title()
                ));
            }
            continue;
        }
        if !record.failed() {
            continue;
        }
        let tests: BTreeSet<String> = record
            .tests
            .iter()
            .filter(|test| test.failed())
            .map(|test| format!("{} of {}", test.title(), record.suite))
            .collect();
        if tests.is_empty() {
            let kind = record
                .problems
                .first()
                .map_or("failed", |problem| problem.kind.as_str());
            found.insert(format!("suite {}: {kind}", record.suite));
        }
        found.extend(tests);
    }
    found
}

//! What of a bundle is to be done again: the suites that failed, one suite, one test.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::{Bundle, SuiteRecord, TestRecord};
use crate::config::suggest::did_you_mean;

/// What is to be done again.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// The suites, as `--only` takes them. Empty: those of the run, whose environment failed.
    pub suites: Vec<String>,
    /// The one test that is judged, with its suite.
    pub test: Option<TestRecord>,
}

/// Why nothing can be chosen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FindError {
    /// There is no such suite.
    #[error("the run has no suite `{name}`\nhint: {hint}")]
    NoSuite {
        /// What was asked for.
        name: String,
        /// What there is.
        hint: String,
    },
    /// There is no such test.
    #[error("no test `{name}` is in what the run has reported\nhint: {hint}")]
    NoTest {
        /// What was asked for.
        name: String,
        /// What there is.
        hint: String,
    },
    /// Several tests are called like this.
    #[error(
        "several tests are called `{name}`: {titles}\nhint: say which, by `CLASS::NAME` or with `--suite`"
    )]
    Several {
        /// What was asked for.
        name: String,
        /// How they are told apart.
        titles: String,
    },
    /// Nothing has failed.
    #[error(
        "nothing failed in this run, so there is nothing to reproduce\nhint: `--suite SUITE` runs a suite of it all the same: {suites}"
    )]
    NothingFailed {
        /// The suites.
        suites: String,
    },
    /// The run was ended before anything was judged.
    #[error(
        "no suite of this run was judged before it ended\nhint: `--suite SUITE` says which to run: {suites}"
    )]
    NothingJudged {
        /// The suites.
        suites: String,
    },
}

/// Chooses what is to be done again.
///
/// # Errors
/// There is nothing like that.
pub fn choose(
    bundle: &Bundle,
    suite: Option<&str>,
    test: Option<&str>,
) -> Result<Choice, FindError> {
    let records = &bundle.results.suites;
    let known = suites(bundle);
    let listed = || quoted(known.iter().map(String::as_str));
    if let Some(name) = suite
        && !known.contains(name)
    {
        let hint = did_you_mean(name, known.iter().map(String::as_str));
        return Err(FindError::NoSuite {
            name: name.to_owned(),
            hint: hint.unwrap_or_else(|| format!("it has {}", listed())),
        });
    }
    if let Some(name) = test {
        let (of, test) = find_test(records, suite, name)?;
        return Ok(Choice {
            suites: vec![of],
            test: Some(test),
        });
    }
    if let Some(name) = suite {
        return Ok(Choice {
            suites: vec![name.to_owned()],
            test: None,
        });
    }
    let failed: Vec<String> = records
        .iter()
        .filter(|record| record.failed())
        .map(|record| record.suite.clone())
        .collect();
    if failed.is_empty() && bundle.results.failure.is_none() {
        let judged = bundle.results.exit_code.is_some() && bundle.results.signal.is_none();
        let suites = listed();
        return Err(match judged {
            true => FindError::NothingFailed { suites },
            false => FindError::NothingJudged { suites },
        });
    }
    Ok(Choice {
        suites: failed,
        test: None,
    })
}

/// The names of suites: those of the model, and those that the run has judged, shards among them.
fn suites(bundle: &Bundle) -> BTreeSet<String> {
    let services = bundle
        .project
        .model
        .get("services")
        .and_then(Json::as_object);
    let services = services.into_iter().flatten();
    let of_model = services.filter(|(_, service)| {
        let suite = service.pointer("/x-envrun/suite").unwrap_or(&Json::Null);
        !matches!(suite, Json::Null | Json::Bool(false))
    });
    let judged = bundle
        .results
        .suites
        .iter()
        .map(|record| record.suite.clone());
    of_model
        .map(|(name, _)| name.clone())
        .chain(judged)
        .collect()
}

fn find_test(
    records: &[SuiteRecord],
    suite: Option<&str>,
    name: &str,
) -> Result<(String, TestRecord), FindError> {
    let tests = records
        .iter()
        .filter(|record| suite.is_none_or(|suite| suite == record.suite))
        .flat_map(|record| record.tests.iter().map(move |test| (&record.suite, test)));
    let tests: Vec<(&String, &TestRecord)> = tests.collect();
    let is = |test: &TestRecord| {
        let joined = |with: &str| format!("{}{with}{}", test.classname, test.name) == name;
        let of_file = test
            .file
            .as_ref()
            .is_some_and(|file| format!("{file}::{}", test.name) == name);
        test.name == name || joined("::") || joined(".") || of_file
    };
    let mut found: Vec<&(&String, &TestRecord)> =
        tests.iter().filter(|(_, test)| is(test)).collect();
    // A whole title stands over the name alone.
    if found.iter().any(|(_, test)| test.title() == name) {
        found.retain(|(_, test)| test.title() == name);
    }
    found.dedup_by_key(|(suite, test)| (suite.as_str(), test.title()));
    match found.as_slice() {
        [(suite, test)] => Ok(((*suite).clone(), (*test).clone())),
        [] => {
            let titles: Vec<String> = tests.iter().map(|(_, test)| test.title()).collect();
            let left_out: u64 = records.iter().map(|record| record.tests_left_out).sum();
            let hint = did_you_mean(name, titles.iter().map(String::as_str)).unwrap_or_else(|| {
                let failed = tests.iter().filter(|(_, test)| test.failed());
                let failed: Vec<String> = failed.take(10).map(|(_, test)| test.title()).collect();
                match (failed.is_empty(), left_out) {
                    (false, _) => format!(
                        "these failed: {}",
                        quoted(failed.iter().map(String::as_str))
                    ),
                    (true, 0) => format!(
                        "it has reported {} tests, and none of them failed",
                        tests.len()
                    ),
                    (true, _) => format!("{left_out} tests that passed are not in the file"),
                }
            });
            Err(FindError::NoTest {
                name: name.to_owned(),
                hint,
            })
        }
        several => {
            let titles: Vec<String> = several
                .iter()
                .take(10)
                .map(|(suite, test)| format!("{} of {suite}", test.title()))
                .collect();
            Err(FindError::Several {
                name: name.to_owned(),
                titles: quoted(titles.iter().map(String::as_str)),
            })
        }
    }
}

fn quoted<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// The command that runs one test, made of `x-envrun.suite.test_command`: `{name}`, `{classname}` and
/// `{file}` are what the report says of it. Each argument stays one argument, whatever a test is called.
///
/// # Errors
/// The report does not say what the command asks for.
pub fn single_test(command: &[String], test: &TestRecord) -> Result<Vec<String>, String> {
    let known = [
        ("{name}", Some(&test.name)),
        (
            "{classname}",
            Some(&test.classname).filter(|name| !name.is_empty()),
        ),
        ("{file}", test.file.as_ref()),
    ];
    let mut words = Vec::new();
    for word in command {
        let mut rest = word.as_str();
        let mut done = String::new();
        // From left to right and once, so that braces in the name of a test mean nothing.
        while let Some(at) = rest.find('{') {
            done.push_str(&rest[..at]);
            rest = &rest[at..];
            match known
                .iter()
                .find(|(placeholder, _)| rest.starts_with(placeholder))
            {
                Some((placeholder, Some(value))) => {
                    done.push_str(value);
                    rest = &rest[placeholder.len()..];
                }
                Some((placeholder, None)) => {
                    return Err(format!(
                        "`test_command` asks for `{placeholder}`, and the report says none for `{}`",
                        test.title()
                    ));
                }
                None => {
                    done.push('{');
                    rest = &rest[1..];
                }
            }
        }
        done.push_str(rest);
        words.push(done);
    }
    Ok(words)
}

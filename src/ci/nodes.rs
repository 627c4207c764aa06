//! Which one a job is of those that a CI system runs in parallel: what `shards: ci` divides a suite by.
//!
//! Nobody asks but for a suite that says `shards: ci`. GitLab sets the same variables for a matrix, where every job is to
//! run everything, and a job that ran a part of it there would pass without having tested the rest. For the same reason a
//! value that makes no sense is an error and not the whole.

use thiserror::Error;

use crate::name::Shard;

/// How a system says which of its parallel jobs this is.
struct Variables {
    /// The number of the job.
    index: &'static str,
    /// How many jobs there are.
    total: &'static str,
    /// The number of the first job.
    first: u32,
}

/// The variables, in the order in which they count. Those of envrun itself stand over all others; they are the same that
/// it gives to the parts of a suite.
const SYSTEMS: [Variables; 4] = [
    Variables {
        index: "ENVRUN_SHARD_INDEX",
        total: "ENVRUN_SHARD_TOTAL",
        first: 0,
    },
    Variables {
        index: "BUILDKITE_PARALLEL_JOB",
        total: "BUILDKITE_PARALLEL_JOB_COUNT",
        first: 0,
    },
    Variables {
        index: "CIRCLE_NODE_INDEX",
        total: "CIRCLE_NODE_TOTAL",
        first: 0,
    },
    Variables {
        index: "CI_NODE_INDEX",
        total: "CI_NODE_TOTAL",
        first: 1,
    },
];

/// The most parallel jobs that are believed; more is a mistake.
const MOST_NODES: u32 = 10_000;

/// Why it cannot be said which of the parallel jobs this is.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NodeError {
    /// One of two variables is missing.
    #[error(
        "variable `{set}` is set and `{missing}` is not, so `shards: ci` cannot be divided\nhint: set both, or say which part with `--shard INDEX/TOTAL`"
    )]
    Half {
        /// The one that is set.
        set: &'static str,
        /// The one that is not.
        missing: &'static str,
    },
    /// A variable is no number.
    #[error(
        "variable `{name}` is no number of a job: `{value}`\nhint: say which part with `--shard INDEX/TOTAL`"
    )]
    NoNumber {
        /// The variable.
        name: &'static str,
        /// Its value.
        value: String,
    },
    /// There is no such job.
    #[error(
        "variables `{index}` and `{total}` say job {number} of {count}, counted from {first}, and there is none\nhint: say which part with `--shard INDEX/TOTAL`"
    )]
    NoSuchNode {
        /// The variable with the number of the job.
        index: &'static str,
        /// The variable with the number of jobs.
        total: &'static str,
        /// The number of the job.
        number: u32,
        /// The number of jobs.
        count: u32,
        /// The number of the first job.
        first: u32,
    },
}

/// Which one this job is of those that run in parallel; `None` where nothing says that there are several. An empty
/// variable is not set.
///
/// # Errors
/// A variable is missing or makes no sense.
pub fn node(environment: impl Fn(&str) -> Option<String>) -> Result<Option<Shard>, NodeError> {
    let set = |name: &str| environment(name).filter(|value| !value.trim().is_empty());
    for system in &SYSTEMS {
        match (set(system.index), set(system.total)) {
            (None, None) => {}
            (Some(index), Some(total)) => return system.read(&index, &total).map(Some),
            // GitLab says that there is one job, and not which, for a job that does not run in parallel.
            (None, Some(total)) if total.trim() == "1" => {}
            (Some(_), None) => {
                return Err(NodeError::Half {
                    set: system.index,
                    missing: system.total,
                });
            }
            (None, Some(_)) => {
                return Err(NodeError::Half {
                    set: system.total,
                    missing: system.index,
                });
            }
        }
    }
    Ok(None)
}

impl Variables {
    fn read(&self, index: &str, total: &str) -> Result<Shard, NodeError> {
        let number = number(self.index, index)?;
        let count = self::number(self.total, total)?;
        let one_based = number.checked_sub(self.first).map(|number| number + 1);
        one_based
            .and_then(|index| Shard::new(index, count))
            .ok_or(NodeError::NoSuchNode {
                index: self.index,
                total: self.total,
                number,
                count,
                first: self.first,
            })
    }
}

fn number(name: &'static str, value: &str) -> Result<u32, NodeError> {
    let digits = value.trim();
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits
        .parse()
        .ok()
        .filter(|number| plain && *number <= MOST_NODES);
    number.ok_or_else(|| NodeError::NoNumber {
        name,
        value: value.to_owned(),
    })
}

/// Reads `INDEX/TOTAL`, counted from 1.
///
/// # Errors
/// It is not of this form, or there is no such part; how it is written.
pub fn parse(text: &str) -> Result<Shard, String> {
    let help = "it is written INDEX/TOTAL, counted from 1: `1/4` is the first of four";
    let number = |text: &str| {
        let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number: Option<u32> = text.parse().ok().filter(|_| plain);
        number.filter(|number| *number <= MOST_NODES)
    };
    let (index, total) = text.split_once('/').ok_or_else(|| help.to_owned())?;
    match (number(index), number(total)) {
        (Some(index), Some(total)) => Shard::new(index, total)
            .ok_or_else(|| format!("there is no part {index} of {total}; {help}")),
        _ => Err(help.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn of(variables: &[(&str, &str)]) -> Result<Option<Shard>, NodeError> {
        let variables: BTreeMap<_, _> = variables.iter().copied().collect();
        node(|name| variables.get(name).map(|value| (*value).to_owned()))
    }

    #[test]
    fn each_system_counts_in_its_own_way() {
        type Case<'a> = (&'a [(&'a str, &'a str)], (u32, u32));
        let cases: [Case; 5] = [
            (&[("CI_NODE_INDEX", "1"), ("CI_NODE_TOTAL", "3")], (1, 3)),
            (&[("CI_NODE_INDEX", "3"), ("CI_NODE_TOTAL", "3")], (3, 3)),
            (
                &[("CIRCLE_NODE_INDEX", "0"), ("CIRCLE_NODE_TOTAL", "3")],
                (1, 3),
            ),
            (
                &[
                    ("BUILDKITE_PARALLEL_JOB", "2"),
                    ("BUILDKITE_PARALLEL_JOB_COUNT", "3"),
                ],
                (3, 3),
            ),
            (
                &[("ENVRUN_SHARD_INDEX", "1"), ("ENVRUN_SHARD_TOTAL", "2")],
                (2, 2),
            ),
        ];
        for (variables, (index, total)) in cases {
            assert_eq!(of(variables), Ok(Shard::new(index, total)), "{variables:?}");
        }
        assert_eq!(of(&[]), Ok(None));
        assert_eq!(
            of(&[("CI_NODE_INDEX", ""), ("CI_NODE_TOTAL", "")]),
            Ok(None)
        );
        // A job of GitLab that does not run in parallel.
        assert_eq!(of(&[("CI_NODE_TOTAL", "1")]), Ok(None));
    }

    #[test]
    fn what_is_said_to_envrun_itself_stands_over_the_ci_system() {
        let both = [
            ("ENVRUN_SHARD_INDEX", "0"),
            ("ENVRUN_SHARD_TOTAL", "2"),
            ("CI_NODE_INDEX", "7"),
            ("CI_NODE_TOTAL", "9"),
        ];
        assert_eq!(of(&both), Ok(Shard::new(1, 2)));
    }

    #[test]
    fn what_makes_no_sense_is_an_error_and_never_the_whole() {
        for (index, total) in [
            ("0", "3"),
            ("4", "3"),
            ("-1", "3"),
            ("+1", "3"),
            ("one", "3"),
            ("1", "0"),
            ("1", "99999999999999999999"),
            ("1", "10001"),
            ("1.0", "3"),
        ] {
            let variables = [("CI_NODE_INDEX", index), ("CI_NODE_TOTAL", total)];
            assert!(of(&variables).is_err(), "{index} of {total}");
        }
        assert!(of(&[("CI_NODE_INDEX", "1")]).is_err());
        assert!(of(&[("CI_NODE_TOTAL", "3")]).is_err());
        assert!(of(&[("CIRCLE_NODE_INDEX", "3"), ("CIRCLE_NODE_TOTAL", "3")]).is_err());
    }

    #[test]
    fn a_part_is_written_by_hand_from_one_on() {
        assert_eq!(parse("2/4").ok(), Shard::new(2, 4));
        for text in [
            "", "2", "0/4", "5/4", "2/", "/4", "a/b", "+1/4", "1/2/3", "1 / 4", "1/0", "1/99999",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}

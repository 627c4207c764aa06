//! `reachability.json`: the observed matrix of a run, for programs and for `envrun graph`.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::judge::{Case, Reached, Verdict};
use super::matrix::Promise;
use super::seen::{Answer, Look, Named, Seen, Try, TryKind};
use crate::config::model::reachability::Whom;

/// Version of the form: a number that changes when a key changes its meaning or goes.
pub const VERSION: u32 = 1;

/// The observed matrix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Version of this form.
    pub version: u32,
    /// The run.
    pub run: String,
    /// Its project.
    pub project: String,
    /// The address that `internet` meant, where it was named.
    pub internet: Option<String>,
    /// The pairs in order of source and target.
    pub pairs: Vec<RecordedPair>,
    /// Everything that was tried.
    #[serde(default)]
    pub looks: Vec<RecordedLook>,
}

/// A pair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedPair {
    /// The service from which it was tried.
    pub source: String,
    /// The service that was tried, `internet` or `host`.
    pub target: String,
    /// The port, where the file names one.
    pub port: Option<u16>,
    /// What was promised.
    pub promised: Promised,
    /// What came of it.
    pub verdict: Outcome,
    /// What was reached by the name of the target; null where it has none or it could not be tried.
    pub by_name: Option<Extent>,
    /// What was reached by its addresses; null where none is known or it could not be tried.
    pub by_address: Option<Extent>,
    /// How long it took.
    pub duration_ms: u64,
    /// One line.
    pub message: String,
}

/// What was promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Promised {
    /// It is reached.
    Reachable,
    /// Nothing of it answers.
    Unreachable,
    /// No port of it accepts a connection.
    Closed,
    /// Nothing.
    Nothing,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// As promised.
    Kept,
    /// Not as promised.
    Broken,
    /// It could not be tried.
    Untried,
    /// Nothing was promised.
    Unjudged,
}

/// How much was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Extent {
    /// Nothing.
    Nothing,
    /// Packets come through.
    Answered,
    /// A connection was accepted.
    Connected,
}

/// What was tried from one container of a source at one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedLook {
    /// The container: the service, or of several replicas `web-2`.
    pub from: String,
    /// The service that was tried, `internet` or `host`.
    pub target: String,
    /// The name that was asked for; null where the target has none.
    pub name: Option<String>,
    /// The addresses of the name; null where it does not resolve.
    pub resolved: Option<Vec<IpAddr>>,
    /// The tries at these.
    pub by_name: Vec<RecordedTry>,
    /// The tries at the addresses of the target.
    pub by_address: Vec<RecordedTry>,
}

/// One try.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedTry {
    /// Where.
    pub address: IpAddr,
    /// `tcp`, `canary` (TCP to a port of envrun's agent beside the target) or `echo` (ICMP).
    pub kind: String,
    /// The port of TCP.
    pub port: Option<u16>,
    /// `accepted`, `refused`, `no_answer`, `no_way` or `not_tried`.
    pub answer: String,
    /// Further words of the kernel.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub words: Option<String>,
}

impl Record {
    /// What is recorded of a matrix that was tried.
    #[must_use]
    pub fn of(
        (run, project): (&str, &str),
        internet: Option<String>,
        cases: &[Case],
        seen: &Seen,
    ) -> Self {
        Self {
            version: VERSION,
            run: run.to_owned(),
            project: project.to_owned(),
            internet,
            pairs: cases.iter().map(pair).collect(),
            looks: seen.looks.iter().map(look).collect(),
        }
    }

    /// The file.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Nothing in it can fail to be written: no map has keys that are not text.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Reads the file.
    ///
    /// # Errors
    /// It is none, or one of another version; in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let value: serde_json::Value =
            serde_json::from_str(text).map_err(|error| error.to_string())?;
        match value.get("version").and_then(serde_json::Value::as_u64) {
            Some(version) if version == u64::from(VERSION) => {}
            Some(version) => {
                return Err(format!(
                    "its version is {version}, and this envrun reads {VERSION}"
                ));
            }
            None => return Err("it has no `version`".to_owned()),
        }
        serde_json::from_value(value).map_err(|error| error.to_string())
    }
}

fn pair(case: &Case) -> RecordedPair {
    RecordedPair {
        source: case.pair.source.to_string(),
        target: case.pair.target.whom.to_string(),
        port: case.pair.target.port,
        promised: match case.pair.promise {
            Promise::Reachable => Promised::Reachable,
            Promise::Unreachable => Promised::Unreachable,
            Promise::Closed => Promised::Closed,
            Promise::Nothing => Promised::Nothing,
        },
        verdict: match case.verdict {
            Verdict::Kept => Outcome::Kept,
            Verdict::Broken => Outcome::Broken,
            Verdict::Untried => Outcome::Untried,
            Verdict::Unjudged => Outcome::Unjudged,
        },
        by_name: case.by_name.map(extent),
        by_address: case.by_address.map(extent),
        duration_ms: u64::try_from(case.took.as_millis()).unwrap_or(u64::MAX),
        message: case.message.clone(),
    }
}

const fn extent(reached: Reached) -> Extent {
    match reached {
        Reached::Nothing => Extent::Nothing,
        Reached::Answered => Extent::Answered,
        Reached::Connected => Extent::Connected,
    }
}

fn look(look: &Look) -> RecordedLook {
    let has_name = !matches!(look.named, Named::Nameless(_));
    RecordedLook {
        from: look.from.to_string(),
        target: whom(&look.target),
        name: has_name.then(|| look.name.clone()),
        resolved: match &look.named {
            Named::Addresses(addresses) => Some(addresses.clone()),
            _ => None,
        },
        by_name: look.by_name.iter().map(one_try).collect(),
        by_address: look.by_address.iter().map(one_try).collect(),
    }
}

fn whom(whom: &Whom) -> String {
    whom.to_string()
}

fn one_try(one: &Try) -> RecordedTry {
    let (kind, port) = match one.kind {
        TryKind::Port(port) => ("tcp", Some(port)),
        TryKind::Canary(port) => ("canary", Some(port)),
        TryKind::Echo => ("echo", None),
    };
    let (answer, words) = match &one.answer {
        Answer::Accepted => ("accepted", None),
        Answer::Refused => ("refused", None),
        Answer::NoAnswer => ("no_answer", None),
        Answer::NoWay(why) => ("no_way", Some(why.clone())),
        Answer::NotTried(why) => ("not_tried", Some(why.clone())),
    };
    RecordedTry {
        address: one.address,
        kind: kind.to_owned(),
        port,
        answer: answer.to_owned(),
        words,
    }
}

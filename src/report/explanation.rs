//! Why something has failed, as lines: the same on the terminal and in `junit.xml`. Its texts come from
//! files and containers, so they are made harmless here.

use super::table::seconds;
use crate::junit::text::sanitise;
use crate::outcome::{Cause, Explanation};

/// What is known, the causes last: there a reader of a terminal looks first.
pub(super) fn lines(explanation: &Explanation) -> Vec<String> {
    let mut lines = Vec::new();
    for probe in &explanation.probes {
        let attempts = match probe.attempts {
            0 => String::new(),
            1 => "1 attempt, ".to_owned(),
            number => format!("{number} attempts, "),
        };
        lines.push(format!(
            "probe: {} (because of {}): {attempts}{}",
            probe.probe, probe.because, probe.last
        ));
    }
    lines.extend(
        explanation
            .state
            .iter()
            .map(|state| format!("container: {state}")),
    );
    if !explanation.timeline.is_empty() {
        lines.push("timeline:".to_owned());
    }
    let moments = explanation.timeline.iter();
    lines.extend(moments.map(|moment| format!("  {:>8}  {}", seconds(moment.at), moment.what)));
    if explanation.causes.is_empty()
        && let Some(unseen) = &explanation.unseen
    {
        lines.push(format!("note: {unseen}"));
    }
    lines.extend(explanation.causes.iter().flat_map(cause));
    lines
        .iter()
        .flat_map(|line| {
            sanitise(line)
                .lines()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect()
}

/// A cause with what speaks for it and what to do.
fn cause(cause: &Cause) -> Vec<String> {
    let word = if cause.confirmed {
        "cause"
    } else {
        "likely cause"
    };
    let mut lines = vec![format!("{word}: {}", cause.message)];
    lines.extend(cause.evidence.iter().map(|line| format!("  - {line}")));
    lines.extend(cause.remedy.iter().map(|line| format!("  fix: {line}")));
    lines
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::outcome::{Moment, ProbeRecord};

    #[test]
    fn everything_is_told_and_nothing_of_it_is_harmful() {
        let explanation = Explanation {
            state: Some("running, started 3 times".to_owned()),
            probes: vec![ProbeRecord {
                probe: "tcp 8000".to_owned(),
                because: "`x-envrun.ready`".to_owned(),
                attempts: 14,
                last: "connection refused".to_owned(),
            }],
            timeline: vec![
                Moment {
                    at: Duration::from_millis(810),
                    what: "created".to_owned(),
                },
                Moment {
                    at: Duration::from_secs(75),
                    what: "given up".to_owned(),
                },
            ],
            causes: vec![Cause {
                kind: "NoSharedNetwork",
                service: "api".into(),
                target: Some("db".to_owned()),
                message: "no shared network".to_owned(),
                evidence: vec!["`api` says: \u{1b}[31mno\u{7} db".to_owned()],
                remedy: Some("under `services: api:` write `networks: [a, b]`".to_owned()),
                confirmed: true,
            }],
            unseen: None,
        };
        insta::assert_snapshot!(lines(&explanation).join("\n"), @r"
        probe: tcp 8000 (because of `x-envrun.ready`): 14 attempts, connection refused
        container: running, started 3 times
        timeline:
             0.81s  created
            75.00s  given up
        cause: no shared network
          - `api` says: no� db
          fix: under `services: api:` write `networks: [a, b]`
        ");
    }

    #[test]
    fn why_nothing_was_seen_is_told_where_there_is_no_cause() {
        let explanation = Explanation {
            unseen: Some("the network could not be looked at: the run is over".to_owned()),
            ..Explanation::default()
        };
        assert_eq!(
            lines(&explanation),
            ["note: the network could not be looked at: the run is over"]
        );
    }
}

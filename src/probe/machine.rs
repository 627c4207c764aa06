//! The attempt, backoff and deadline machine of one probe. Pure: time comes in as an argument.

use std::time::Duration;

use super::Probe;

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Try now, for at most this long.
    Attempt(Duration),
    /// Do nothing for this long, then ask again.
    Wait(Duration),
    /// The probe has passed.
    Passed,
    /// The deadline is over.
    GaveUp,
}

/// How often a network probe tries. A refused connection costs the host 0.065 ms and the server
/// nothing, so it is tried every few milliseconds; an HTTP request or a handshake makes the server
/// work, so it is tried a little less often.
const CONNECT_PAUSE: Duration = Duration::from_millis(3);
const REQUEST_PAUSE: Duration = Duration::from_millis(10);

/// After this time without success a service is a slow one, and the pauses grow to a hundredth of
/// the time waited, up to this limit.
const SLOWEST_PAUSE: Duration = Duration::from_millis(100);

/// Limit of one network attempt. A connection that is not answered at all is tried again rather
/// than waited for.
const NETWORK_ATTEMPT: Duration = Duration::from_secs(1);

/// An HTTP server may take its time for the first answer while it warms up.
const REQUEST_ATTEMPT: Duration = Duration::from_secs(10);

/// The state of one probe.
#[derive(Debug, Clone)]
pub struct Machine {
    probe: Probe,
    deadline: Option<Duration>,
    by_exec: bool,
    attempts: u32,
    last: Option<String>,
    resume_at: Duration,
    passed: bool,
}

impl Machine {
    /// A machine for `probe` that gives up `deadline` after the start of the container, or never.
    /// With `by_exec` a network probe is made by a command in the container, and is as considerate
    /// as a healthcheck.
    #[must_use]
    pub const fn new(probe: Probe, deadline: Option<Duration>, by_exec: bool) -> Self {
        Self {
            probe,
            deadline,
            by_exec,
            attempts: 0,
            last: None,
            resume_at: Duration::ZERO,
            passed: false,
        }
    }

    /// What to do, `elapsed` after the start of the container.
    #[must_use]
    pub fn next(&self, elapsed: Duration) -> Next {
        if self.passed {
            return Next::Passed;
        }
        let left = self
            .deadline
            .map(|deadline| deadline.saturating_sub(elapsed));
        // Even a deadline of no length gives one attempt: the answer may be there already.
        if left == Some(Duration::ZERO) && self.attempts > 0 {
            return Next::GaveUp;
        }
        if elapsed < self.resume_at {
            let pause = self.resume_at - elapsed;
            return Next::Wait(left.map_or(pause, |left| pause.min(left)));
        }
        let limit = match &self.probe {
            Probe::Network(super::NetworkProbe::Tcp { .. }) => NETWORK_ATTEMPT,
            Probe::Network(_) => REQUEST_ATTEMPT,
            Probe::Healthcheck(check) => check.timeout,
        };
        Next::Attempt(left.map_or(limit, |left| limit.min(left.max(CONNECT_PAUSE))))
    }

    /// Records the answer of an attempt that took `took` and ended `elapsed` after the start of the
    /// container.
    pub fn record(&mut self, elapsed: Duration, took: Duration, answer: Result<(), String>) {
        self.attempts = self.attempts.saturating_add(1);
        match answer {
            Ok(()) => self.passed = true,
            Err(reason) => {
                // The last attempt is cut short by the deadline, and its silence says less than the answer before it.
                let cut_short = self.deadline.is_some_and(|deadline| elapsed >= deadline);
                if !cut_short || self.last.is_none() {
                    self.last = Some(reason);
                }
                let pause = match &self.probe {
                    Probe::Network(_) if self.by_exec => took.saturating_mul(3),
                    Probe::Network(super::NetworkProbe::Tcp { .. }) => {
                        CONNECT_PAUSE.max(patient(elapsed))
                    }
                    Probe::Network(_) => REQUEST_PAUSE.max(patient(elapsed)),
                    // A command in the container competes with the server for the processor: at
                    // most a quarter of the time is spent in it, and never more seldom than the
                    // user asked for.
                    Probe::Healthcheck(check) => took.saturating_mul(3).min(check.interval),
                };
                self.resume_at = elapsed.saturating_add(pause);
            }
        }
    }

    /// The probe.
    #[must_use]
    pub const fn probe(&self) -> &Probe {
        &self.probe
    }

    /// Attempts so far.
    #[must_use]
    pub const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The probe in words, and from where it looks when that is not the network.
    #[must_use]
    pub fn words(&self) -> String {
        if self.by_exec {
            format!("{}, listening as seen from inside", self.probe)
        } else {
            self.probe.to_string()
        }
    }

    /// The state in words: ``14 tcp 5432 attempts, last: connection refused``.
    #[must_use]
    pub fn summary(&self) -> String {
        let plural = if self.attempts == 1 { "" } else { "s" };
        match &self.last {
            _ if self.passed => format!("{} passed", self.probe),
            None => format!("{}: {} attempt{plural}", self.words(), self.attempts),
            Some(last) => format!(
                "{}: {} attempt{plural}, last: {last}",
                self.words(),
                self.attempts
            ),
        }
    }
}

/// The pause of a probe that has waited for long already: a hundredth of that time.
fn patient(elapsed: Duration) -> Duration {
    (elapsed / 100).min(SLOWEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::probe::{HealthcheckProbe, NetworkProbe};

    fn tcp(deadline: Option<Duration>) -> Machine {
        Machine::new(
            Probe::Network(NetworkProbe::Tcp { ports: vec![1] }),
            deadline,
            false,
        )
    }

    fn check(interval: u64) -> Probe {
        Probe::Healthcheck(HealthcheckProbe {
            command: vec!["true".to_owned()],
            interval: Duration::from_millis(interval),
            timeout: Duration::from_secs(30),
            retries: 3,
            start_period: Duration::ZERO,
        })
    }

    #[test]
    fn a_refused_connection_is_tried_again_after_three_milliseconds() {
        let mut machine = tcp(Some(Duration::from_secs(180)));
        assert_eq!(machine.next(Duration::ZERO), Next::Attempt(NETWORK_ATTEMPT));
        machine.record(
            Duration::from_millis(1),
            Duration::from_millis(1),
            Err("refused".to_owned()),
        );
        assert_eq!(
            machine.next(Duration::from_millis(1)),
            Next::Wait(CONNECT_PAUSE)
        );
        assert_eq!(
            machine.next(Duration::from_millis(4)),
            Next::Attempt(NETWORK_ATTEMPT)
        );
        machine.record(Duration::from_millis(5), Duration::from_millis(1), Ok(()));
        assert_eq!(machine.next(Duration::from_millis(5)), Next::Passed);
    }

    #[test]
    fn no_deadline_never_gives_up_and_zero_gives_one_attempt() {
        let mut patient = tcp(None);
        patient.record(
            Duration::from_secs(86_400),
            Duration::ZERO,
            Err("refused".to_owned()),
        );
        assert_ne!(patient.next(Duration::from_secs(90_000)), Next::GaveUp);
        let mut hasty = tcp(Some(Duration::ZERO));
        assert!(matches!(
            hasty.next(Duration::from_secs(1)),
            Next::Attempt(_)
        ));
        hasty.record(
            Duration::from_secs(1),
            Duration::ZERO,
            Err("refused".to_owned()),
        );
        assert_eq!(hasty.next(Duration::from_secs(1)), Next::GaveUp);
    }

    #[test]
    fn an_attempt_that_the_deadline_cut_short_does_not_hide_the_last_answer() {
        let second = Duration::from_secs(1);
        let mut machine = Machine::new(check(500), Some(second), false);
        let took = Duration::from_millis(60);
        machine.record(took, took, Err("exit code 1: no disk".to_owned()));
        machine.record(second, took, Err("no answer within 3ms".to_owned()));
        assert_eq!(machine.next(second), Next::GaveUp);
        assert_eq!(
            machine.summary(),
            "healthcheck: 2 attempts, last: exit code 1: no disk"
        );
    }

    #[test]
    fn a_healthcheck_is_busy_a_quarter_of_the_time_at_most_and_keeps_its_interval() {
        let mut machine = Machine::new(check(500), None, false);
        let took = Duration::from_millis(60);
        machine.record(took, took, Err("exit code 1".to_owned()));
        assert_eq!(machine.next(took), Next::Wait(Duration::from_millis(180)));
        let mut slow = Machine::new(check(500), None, false);
        let took = Duration::from_secs(2);
        slow.record(took, took, Err("exit code 1".to_owned()));
        assert_eq!(slow.next(took), Next::Wait(Duration::from_millis(500)));
    }

    proptest! {
        /// Whatever the answers are, a machine with a deadline comes to an end, and never waits
        /// beyond the deadline.
        #[test]
        fn every_machine_with_a_deadline_ends(deadline in 0_u64..5_000, took in 1_u64..50) {
            let mut machine = tcp(Some(Duration::from_millis(deadline)));
            let mut elapsed = Duration::ZERO;
            let mut rounds = 0;
            loop {
                match machine.next(elapsed) {
                    Next::Attempt(_) => {
                        elapsed += Duration::from_millis(took);
                        machine.record(elapsed, Duration::from_millis(took), Err(String::new()));
                    }
                    Next::Wait(pause) => {
                        prop_assert!(elapsed + pause <= Duration::from_millis(deadline));
                        elapsed += pause;
                    }
                    Next::GaveUp => break,
                    Next::Passed => prop_assert!(false, "nothing has passed"),
                }
                rounds += 1;
                prop_assert!(rounds < 10_000);
            }
            prop_assert!(machine.attempts() > 0);
        }
    }
}

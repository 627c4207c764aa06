//! The attempt, backoff and deadline machine of one probe. Pure: time comes in as an argument.

use std::fmt;
use std::time::Duration;

use super::{Kind, NetworkProbe, Probe, Reason};

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

/// How a probe, or several of them together, stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is still tried.
    Open,
    /// It has passed.
    Passed,
    /// Its deadline was over before it passed.
    GaveUp,
}

/// How often a port is dialled that nobody listens on. A refused connection costs the host 0.065 ms
/// and the server nothing, so it is dialled every few milliseconds. After some seconds a service is a
/// slow one, and the pauses grow to a thousandth of the time waited.
const CONNECT_PAUSE: Duration = Duration::from_millis(3);
const SLOWEST_CONNECT_PAUSE: Duration = Duration::from_millis(10);

/// How often a server is asked that answers, but not as wanted. A request makes it work, so at most
/// a quarter of the time is spent with it.
const REQUEST_PAUSE: Duration = Duration::from_millis(10);
const SLOWEST_REQUEST_PAUSE: Duration = Duration::from_millis(100);

/// The engine is asked for files, or a command is run, at most this often.
const COMMAND_PAUSE: Duration = Duration::from_millis(50);

/// The longest that an `exec` or `file` probe pauses, however long its attempts take.
const SLOWEST_COMMAND_PAUSE: Duration = Duration::from_secs(10);

/// Limit of one connection. One that is not answered at all is tried again rather than waited for.
const CONNECT_ATTEMPT: Duration = Duration::from_secs(1);

/// A server may take its time for the first answer while it warms up.
const REQUEST_ATTEMPT: Duration = Duration::from_secs(10);

/// Limit of one command, as the engine has it for healthchecks.
const COMMAND_ATTEMPT: Duration = Duration::from_secs(30);

/// Where neither the user nor a deadline ends an attempt, it is begun anew after this time.
const UNLIMITED: Duration = Duration::from_secs(24 * 60 * 60);

/// The state of one probe.
#[derive(Debug, Clone)]
pub struct Machine {
    probe: Probe,
    deadline: Option<Duration>,
    by_exec: bool,
    attempts: u32,
    /// Successes since the last failure.
    streak: u32,
    last: Option<Reason>,
    resume_at: Duration,
    standing: Standing,
}

impl Machine {
    /// A machine for `probe` that gives up `deadline` after the start of the container or at the
    /// probe's own deadline, whichever is earlier, or never. With `by_exec` a network probe is made by
    /// a command in the container, and is as considerate as a healthcheck.
    #[must_use]
    pub fn new(probe: Probe, deadline: Option<Duration>, by_exec: bool) -> Self {
        let deadline = match (deadline, probe.pace.deadline) {
            (Some(whole), Some(own)) => Some(whole.min(own)),
            (whole, own) => whole.or(own),
        };
        Self {
            probe,
            deadline,
            by_exec,
            attempts: 0,
            streak: 0,
            last: None,
            resume_at: Duration::ZERO,
            standing: Standing::Open,
        }
    }

    /// What to do, `elapsed` after the start of the container.
    #[must_use]
    pub fn next(&mut self, elapsed: Duration) -> Next {
        match self.standing {
            Standing::Passed => return Next::Passed,
            Standing::GaveUp => return Next::GaveUp,
            Standing::Open => {}
        }
        let left = self
            .deadline
            .map(|deadline| deadline.saturating_sub(elapsed));
        let is_told = self.probe.kind == Kind::Completed;
        // Even a deadline of no length gives one attempt: the answer may be there already.
        if left == Some(Duration::ZERO) && (self.attempts > 0 || is_told) {
            self.standing = Standing::GaveUp;
            return Next::GaveUp;
        }
        if is_told {
            return Next::Wait(left.unwrap_or(UNLIMITED));
        }
        if elapsed < self.resume_at {
            let pause = self.resume_at - elapsed;
            return Next::Wait(left.map_or(pause, |left| pause.min(left)));
        }
        let limit = self.limit();
        Next::Attempt(left.map_or(limit, |left| limit.min(left.max(CONNECT_PAUSE))))
    }

    /// The limit of one attempt.
    fn limit(&self) -> Duration {
        match (self.probe.pace.timeout, &self.probe.kind) {
            (Some(Duration::ZERO), _) => UNLIMITED,
            (Some(timeout), _) => timeout,
            (None, Kind::Network(_)) if self.by_exec => COMMAND_ATTEMPT,
            (None, Kind::Network(NetworkProbe::Tcp { .. })) => CONNECT_ATTEMPT,
            (None, Kind::Network(_)) => REQUEST_ATTEMPT,
            (None, Kind::Healthcheck(check)) => check.timeout,
            (None, Kind::Exec(_) | Kind::File(_)) => COMMAND_ATTEMPT,
            // Lines are waited for, once.
            (None, Kind::Log(_) | Kind::Completed) => UNLIMITED,
        }
    }

    /// Records the answer of an attempt that took `took` and ended `elapsed` after the start of the
    /// container.
    pub fn record(&mut self, elapsed: Duration, took: Duration, answer: Result<(), Reason>) {
        if self.standing != Standing::Open {
            return;
        }
        self.attempts = self.attempts.saturating_add(1);
        self.resume_at = elapsed.saturating_add(self.pause(elapsed, took, answer.as_ref().err()));
        match answer {
            Ok(()) => {
                self.streak = self.streak.saturating_add(1);
                if self.streak >= self.probe.pace.successes {
                    self.standing = Standing::Passed;
                }
            }
            Err(reason) => {
                self.streak = 0;
                // The last attempt is cut short by the deadline, and its silence says less than the
                // answer before it.
                let cut_short = self.deadline.is_some_and(|deadline| elapsed >= deadline);
                if !cut_short || self.last.is_none() {
                    self.last = Some(reason);
                }
            }
        }
    }

    /// From the end of an attempt to the next one.
    fn pause(&self, elapsed: Duration, took: Duration, reason: Option<&Reason>) -> Duration {
        // A quarter of the time at most.
        let considerate = took.saturating_mul(3);
        match (self.probe.pace.interval, &self.probe.kind) {
            (Some(interval), _) => interval,
            (None, Kind::Network(_)) if self.by_exec => considerate,
            (None, Kind::Network(probe)) => match (probe, reason) {
                (NetworkProbe::Tcp { .. }, _) | (_, Some(Reason::Dial(_))) => {
                    (elapsed / 1000).clamp(CONNECT_PAUSE, SLOWEST_CONNECT_PAUSE)
                }
                _ => considerate.clamp(REQUEST_PAUSE, SLOWEST_REQUEST_PAUSE),
            },
            // Never more seldom than the user asked for.
            (None, Kind::Healthcheck(check)) => considerate.min(check.interval),
            (None, Kind::Exec(_) | Kind::File(_)) => {
                considerate.clamp(COMMAND_PAUSE, SLOWEST_COMMAND_PAUSE)
            }
            (None, Kind::Log(_) | Kind::Completed) => Duration::ZERO,
        }
    }

    /// The probe.
    #[must_use]
    pub const fn probe(&self) -> &Probe {
        &self.probe
    }

    /// Whether it has passed or given up.
    #[must_use]
    pub const fn standing(&self) -> Standing {
        self.standing
    }

    /// What there is to be said of it.
    #[must_use]
    pub fn account(&self) -> Account {
        Account {
            probe: self.probe.clone(),
            by_exec: self.by_exec,
            attempts: self.attempts,
            streak: self.streak,
            last: self.last.clone(),
            standing: self.standing,
            deadline: self.deadline,
        }
    }
}

/// What has become of a probe: for reports, and for whoever explains a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The probe.
    pub probe: Probe,
    /// Whether it was made by a command in the container, since its network cannot be dialled.
    pub by_exec: bool,
    /// Attempts so far.
    pub attempts: u32,
    /// Successes since the last failure.
    pub streak: u32,
    /// Why the last attempt that had an answer did not pass; `None` when none has failed.
    pub last: Option<Reason>,
    /// How it stands.
    pub standing: Standing,
    /// When it gives up, since the start of the container; `None` is never.
    pub deadline: Option<Duration>,
}

impl Account {
    /// The probe in words, and from where it looks when that is not the network.
    #[must_use]
    pub fn words(&self) -> String {
        if self.by_exec {
            format!("{}, listening as seen from inside", self.probe)
        } else {
            self.probe.to_string()
        }
    }
}

/// ``tcp 5432: 14 attempts, last: connection refused``.
impl fmt::Display for Account {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.standing == Standing::Passed {
            return write!(formatter, "{} passed", self.words());
        }
        write!(formatter, "{}: ", self.words())?;
        match &self.probe.kind {
            // They are waited for; there is no number of attempts that would say anything.
            Kind::Completed => return formatter.write_str("still running"),
            Kind::Log(_) => {
                return match &self.last {
                    Some(last) => last.fmt(formatter),
                    None => formatter.write_str("no such line yet"),
                };
            }
            _ => {}
        }
        let plural = if self.attempts == 1 { "" } else { "s" };
        write!(formatter, "{} attempt{plural}", self.attempts)?;
        if self.streak > 0 {
            let needed = self.probe.pace.successes;
            return write!(
                formatter,
                ", the last {} of {needed} in a row passed",
                self.streak
            );
        }
        match &self.last {
            Some(last) => write!(formatter, ", last: {last}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::probe::dial::DialError;
    use crate::probe::{ExecProbe, HealthcheckProbe, Pace, Protocol};

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn tcp_probe() -> Probe {
        Probe::new(Kind::Network(NetworkProbe::Tcp { ports: vec![1] }))
    }

    fn tcp(deadline: Option<Duration>) -> Machine {
        Machine::new(tcp_probe(), deadline, false)
    }

    fn paced(pace: Pace) -> Machine {
        let probe = Probe {
            pace,
            ..tcp_probe()
        };
        Machine::new(probe, Some(ms(180_000)), false)
    }

    fn check(interval: u64) -> Probe {
        Probe::new(Kind::Healthcheck(HealthcheckProbe {
            command: vec!["true".to_owned()],
            interval: ms(interval),
            timeout: Duration::from_secs(30),
            retries: 3,
            start_period: Duration::ZERO,
        }))
    }

    fn refused() -> Result<(), Reason> {
        Err(Reason::Dial(DialError::Refused))
    }

    fn says(text: &str) -> Result<(), Reason> {
        Err(Reason::NotYet(text.to_owned()))
    }

    #[test]
    fn a_refused_connection_is_tried_again_after_three_milliseconds() {
        let mut machine = tcp(Some(Duration::from_secs(180)));
        assert_eq!(machine.next(Duration::ZERO), Next::Attempt(CONNECT_ATTEMPT));
        machine.record(ms(1), ms(1), refused());
        assert_eq!(machine.next(ms(1)), Next::Wait(CONNECT_PAUSE));
        assert_eq!(machine.next(ms(4)), Next::Attempt(CONNECT_ATTEMPT));
        machine.record(ms(5), ms(1), Ok(()));
        assert_eq!(machine.next(ms(5)), Next::Passed);
    }

    #[test]
    fn a_port_that_opens_late_is_seen_within_ten_milliseconds_still() {
        let server = NetworkProbe::Server {
            protocol: Protocol::Mysql,
            port: 3306,
        };
        let mut machine = Machine::new(Probe::new(Kind::Network(server)), None, false);
        let late = Duration::from_secs(600);
        machine.record(late, ms(1), refused());
        assert_eq!(machine.next(late), Next::Wait(SLOWEST_CONNECT_PAUSE));
        // Who answers is asked less often, the longer its answers take.
        machine.record(late, ms(1), says("starting"));
        assert_eq!(machine.next(late), Next::Wait(REQUEST_PAUSE));
        machine.record(late, ms(20), says("starting"));
        assert_eq!(machine.next(late), Next::Wait(ms(60)));
        machine.record(late, ms(2000), says("starting"));
        assert_eq!(machine.next(late), Next::Wait(SLOWEST_REQUEST_PAUSE));
    }

    #[test]
    fn no_deadline_never_gives_up_and_zero_gives_one_attempt() {
        let mut patient = tcp(None);
        patient.record(Duration::from_secs(86_400), Duration::ZERO, refused());
        assert_ne!(patient.next(Duration::from_secs(90_000)), Next::GaveUp);
        let mut hasty = tcp(Some(Duration::ZERO));
        let second = Duration::from_secs(1);
        assert!(matches!(hasty.next(second), Next::Attempt(_)));
        hasty.record(second, Duration::ZERO, refused());
        assert_eq!(hasty.next(second), Next::GaveUp);
        assert_eq!(hasty.standing(), Standing::GaveUp);
    }

    #[test]
    fn the_earlier_deadline_counts() {
        let mut machine = paced(Pace {
            deadline: Some(ms(50)),
            ..Pace::default()
        });
        assert_eq!(machine.next(Duration::ZERO), Next::Attempt(ms(50)));
        machine.record(ms(50), ms(50), refused());
        assert_eq!(machine.next(ms(50)), Next::GaveUp);
    }

    #[test]
    fn no_timeout_is_the_usual_one_and_zero_is_the_deadline() {
        let limit = |timeout| {
            let mut machine = paced(Pace {
                timeout,
                ..Pace::default()
            });
            machine.next(Duration::ZERO)
        };
        assert_eq!(limit(None), Next::Attempt(CONNECT_ATTEMPT));
        assert_eq!(limit(Some(ms(250))), Next::Attempt(ms(250)));
        assert_eq!(limit(Some(Duration::ZERO)), Next::Attempt(ms(180_000)));
    }

    #[test]
    fn an_interval_is_kept_and_zero_is_no_pause() {
        let pause = |interval| {
            let mut machine = paced(Pace {
                interval,
                ..Pace::default()
            });
            machine.record(ms(10), ms(1), refused());
            machine.next(ms(10))
        };
        assert_eq!(pause(None), Next::Wait(CONNECT_PAUSE));
        assert_eq!(pause(Some(ms(2000))), Next::Wait(ms(2000)));
        assert_eq!(pause(Some(Duration::ZERO)), Next::Attempt(CONNECT_ATTEMPT));
    }

    #[test]
    fn successes_count_in_a_row_only() {
        let mut machine = paced(Pace {
            successes: 3,
            ..Pace::default()
        });
        for answer in [Ok(()), Ok(()), refused(), Ok(()), Ok(())] {
            machine.record(ms(1), ms(1), answer);
            assert_eq!(machine.standing(), Standing::Open);
        }
        assert_eq!(
            machine.account().to_string(),
            "tcp 1 3 times in a row: 5 attempts, the last 2 of 3 in a row passed"
        );
        machine.record(ms(1), ms(1), Ok(()));
        assert_eq!(machine.standing(), Standing::Passed);
    }

    #[test]
    fn an_attempt_that_the_deadline_cut_short_does_not_hide_the_last_answer() {
        let second = Duration::from_secs(1);
        let mut machine = Machine::new(check(500), Some(second), false);
        machine.record(ms(60), ms(60), says("exit code 1: no disk"));
        machine.record(second, ms(60), Err(Reason::Silent(ms(3))));
        assert_eq!(machine.next(second), Next::GaveUp);
        assert_eq!(
            machine.account().to_string(),
            "healthcheck: 2 attempts, last: exit code 1: no disk"
        );
    }

    #[test]
    fn a_healthcheck_is_busy_a_quarter_of_the_time_at_most_and_keeps_its_interval() {
        let mut machine = Machine::new(check(500), None, false);
        machine.record(ms(60), ms(60), says("exit code 1"));
        assert_eq!(machine.next(ms(60)), Next::Wait(ms(180)));
        let mut slow = Machine::new(check(500), None, false);
        let took = Duration::from_secs(2);
        slow.record(took, took, says("exit code 1"));
        assert_eq!(slow.next(took), Next::Wait(ms(500)));
    }

    #[test]
    fn the_end_of_a_container_is_waited_for_and_not_asked_for() {
        let probe = || Probe::new(Kind::Completed);
        let mut machine = Machine::new(probe(), Some(ms(100)), false);
        assert_eq!(machine.next(ms(30)), Next::Wait(ms(70)));
        assert_eq!(machine.next(ms(100)), Next::GaveUp);
        let mut patient = Machine::new(probe(), None, false);
        assert_eq!(patient.next(ms(30)), Next::Wait(UNLIMITED));
    }

    fn probes() -> impl Strategy<Value = Probe> {
        let kind = prop_oneof![
            Just(tcp_probe().kind),
            Just(check(20).kind),
            Just(Kind::Completed),
            Just(Kind::Exec(ExecProbe {
                command: vec!["true".to_owned()]
            })),
        ];
        let duration = || proptest::option::of((0_u64..200).prop_map(ms));
        (kind, 1_u32..4, duration(), duration(), duration()).prop_map(
            |(kind, successes, timeout, interval, deadline)| Probe {
                kind,
                pace: Pace {
                    successes,
                    timeout,
                    interval,
                    deadline,
                },
            },
        )
    }

    proptest! {
        /// Whatever the pace and the answers are, a machine with a deadline comes to an end, never
        /// waits beyond the deadline, and passes only after as many successes in a row as wanted.
        #[test]
        fn every_machine_with_a_deadline_ends(
            probe in probes(),
            deadline in 0_u64..2_000,
            took in 1_u64..50,
            answers in proptest::collection::vec(any::<bool>(), 1..30),
        ) {
            let deadline = ms(deadline);
            let successes = probe.pace.successes;
            let mut machine = Machine::new(probe, Some(deadline), false);
            let mut elapsed = Duration::ZERO;
            let mut answers = answers.iter().cycle();
            let mut streak = 0;
            let mut rounds = 0;
            loop {
                match machine.next(elapsed) {
                    Next::Attempt(limit) => {
                        prop_assert!(limit <= deadline.max(CONNECT_PAUSE));
                        elapsed += ms(took);
                        let passes = *answers.next().unwrap_or(&false);
                        streak = if passes { streak + 1 } else { 0 };
                        machine.record(elapsed, ms(took), if passes { Ok(()) } else { refused() });
                    }
                    Next::Wait(pause) => {
                        prop_assert!(!pause.is_zero());
                        prop_assert!(elapsed + pause <= deadline);
                        elapsed += pause;
                    }
                    Next::GaveUp => {
                        prop_assert!(streak < successes);
                        break;
                    }
                    Next::Passed => {
                        prop_assert_eq!(streak, successes);
                        break;
                    }
                }
                rounds += 1;
                prop_assert!(rounds < 10_000);
            }
        }
    }
}

//! The lease: who may still need what a run has created, and for how long.
//!
//! Every resource of a run carries one in a label, so that another process can tell a live run's
//! resources from those of a dead one. Pure: what this process knows of its host is handed in, and
//! the time is the engine's. A lease says how long it holds *from the creation of the resource that
//! carries it*, and the engine says when that was: so no clock but the engine's counts, and a host
//! whose clock is wrong can neither lose nor steal anything.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::name::{BuildId, RunId};

/// How long a lease holds unless it is renewed.
pub const TERM: Duration = Duration::from_secs(30 * 60);

/// How often a run renews its lease: two renewals may fail before it runs out.
pub const RENEWAL: Duration = Duration::from_secs(10 * 60);

/// A process, such that no other process ever is the same one: a pid alone is reused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The machine, by its id and name.
    pub host: String,
    /// The boot of its kernel.
    pub boot: String,
    /// The namespace in which the pid means something.
    pub pid_namespace: u64,
    /// The pid.
    pub pid: u32,
    /// When the process started, in ticks of the kernel since its boot.
    pub started: u64,
}

impl Owner {
    /// Whether a pid means the same to both.
    #[must_use]
    pub fn is_beside(&self, other: &Self) -> bool {
        self.host == other.host
            && self.boot == other.boot
            && self.pid_namespace == other.pid_namespace
    }
}

/// What the label says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The process that runs the run; `None` where it cannot be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// How long it holds from the creation of what carries it, in seconds.
    pub seconds: u64,
    /// Whether it holds for all of its time, whatever becomes of the process: the environment was
    /// left to a person.
    #[serde(default, skip_serializing_if = "is_false")]
    pub held: bool,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde wants"
)]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

impl Lease {
    /// The lease of a run that goes on.
    #[must_use]
    pub const fn of(owner: Option<Owner>) -> Self {
        Self {
            owner,
            seconds: TERM.as_secs(),
            held: false,
        }
    }

    /// The lease of an environment that is left to a person for this long. The owner is the process
    /// that ends it then.
    #[must_use]
    pub const fn held(owner: Option<Owner>, time: Duration) -> Self {
        Self {
            owner,
            seconds: time.as_secs(),
            held: true,
        }
    }

    /// The text of the label.
    #[must_use]
    pub fn to_label(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads the text of a label; `None` when it is none of ours.
    #[must_use]
    pub fn from_label(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

/// Which run, and by whom.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The run.
    pub run: RunId,
    /// Its lease.
    pub lease: Lease,
    /// The build of a CI system that it is a part of.
    pub build: Option<BuildId>,
}

impl Identity {
    /// A run whose process is not known: only time ends its lease.
    #[must_use]
    pub const fn anonymous(run: RunId) -> Self {
        Self {
            run,
            lease: Lease::of(None),
            build: None,
        }
    }
}

/// The lease on one resource, and when the engine created it.
#[derive(Debug, Clone)]
pub struct Granted {
    /// What its label says; `None` when it has none, or none that can be read.
    pub lease: Option<Lease>,
    /// When it was created, by the engine's clock; `None` when the engine does not say.
    pub created: Option<SystemTime>,
}

/// What is known of the processes of this host.
pub trait Neighbours {
    /// This process; `None` where it cannot be told.
    fn this(&self) -> Option<&Owner>;
    /// Whether a process beside this one is alive. When in doubt it is.
    fn is_alive(&self, owner: &Owner) -> bool;
}

/// Whether a run may still need what it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Its process is alive, on this host.
    Alive {
        /// The process.
        pid: u32,
    },
    /// It is left to a person.
    Held {
        /// For how much longer.
        left: Duration,
        /// The process that will end it.
        keeper: Option<Owner>,
    },
    /// Its process cannot be seen from here (another host, another container), and its lease has not
    /// run out.
    Elsewhere {
        /// For how much longer.
        left: Duration,
    },
    /// Nobody needs it.
    Dead,
}

impl fmt::Display for Standing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Alive { pid } => write!(formatter, "alive, process {pid}"),
            Self::Held { left, .. } => write!(formatter, "held for {} more", rough(*left)),
            Self::Elsewhere { left } => write!(
                formatter,
                "in another container or on another host; its lease runs out in {}",
                rough(*left)
            ),
            Self::Dead => formatter.write_str("dead"),
        }
    }
}

/// A duration in its largest two units.
#[must_use]
pub fn rough(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, 0) => format!("{minutes}m"),
        (0, minutes, seconds) => format!("{minutes}m{seconds}s"),
        (hours, 0, _) => format!("{hours}h"),
        (hours, minutes, _) => format!("{hours}h{minutes}m"),
    }
}

/// Judges a run by the leases on everything that it has, at the time `now` of the engine.
///
/// A process that is beside this one is asked for, and then time does not matter: a run may take as
/// long as it takes, and what a dead one has left need not wait. Of any other process nothing can be
/// known but its lease, which a live run renews.
#[must_use]
pub fn judge(granted: &[Granted], neighbours: &dyn Neighbours, now: SystemTime) -> Standing {
    let mut held: Option<(Duration, Option<Owner>)> = None;
    let mut elsewhere: Option<Duration> = None;
    for one in granted {
        let lease = one.lease.clone().unwrap_or(Lease::of(None));
        // What the engine does not date counts as new: nothing is taken in doubt.
        let created = one.created.unwrap_or(now);
        let left = created
            .checked_add(Duration::from_secs(lease.seconds))
            .map_or(Duration::MAX, |end| {
                end.duration_since(now).unwrap_or_default()
            });
        if lease.held {
            if !left.is_zero() && held.as_ref().is_none_or(|(longest, _)| left > *longest) {
                held = Some((left, lease.owner));
            }
            continue;
        }
        let beside = lease
            .owner
            .filter(|owner| neighbours.this().is_some_and(|this| owner.is_beside(this)));
        match beside {
            Some(owner) if neighbours.is_alive(&owner) => {
                return Standing::Alive { pid: owner.pid };
            }
            None if !left.is_zero() => {
                elsewhere = Some(elsewhere.map_or(left, |longest| longest.max(left)));
            }
            Some(_) | None => {}
        }
    }
    match (held, elsewhere) {
        (Some((left, keeper)), _) => Standing::Held { left, keeper },
        (None, Some(left)) => Standing::Elsewhere { left },
        (None, None) => Standing::Dead,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A host on which only the process 7 that started at 70 is alive.
    struct Host(Option<Owner>);

    impl Neighbours for Host {
        fn this(&self) -> Option<&Owner> {
            self.0.as_ref()
        }

        fn is_alive(&self, owner: &Owner) -> bool {
            (owner.pid, owner.started) == (7, 70)
        }
    }

    fn owner(pid: u32, started: u64) -> Owner {
        Owner {
            host: "h".to_owned(),
            boot: "b".to_owned(),
            pid_namespace: 1,
            pid,
            started,
        }
    }

    fn here() -> Host {
        Host(Some(owner(1, 1)))
    }

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000)
    }

    fn granted(lease: Lease, age: u64) -> Granted {
        Granted {
            lease: Some(lease),
            created: Some(now() - Duration::from_secs(age)),
        }
    }

    fn judged(lease: Lease, age: u64) -> Standing {
        judge(&[granted(lease, age)], &here(), now())
    }

    const MINUTES: fn(u64) -> Duration = |minutes| Duration::from_secs(60 * minutes);

    #[test]
    fn beside_us_only_the_process_counts() {
        let alive = Standing::Alive { pid: 7 };
        assert_eq!(judged(Lease::of(Some(owner(7, 70))), 0), alive);
        assert_eq!(judged(Lease::of(Some(owner(7, 70))), 100_000), alive);
        // The pid is another process's by now.
        assert_eq!(judged(Lease::of(Some(owner(7, 69))), 0), Standing::Dead);
        assert_eq!(judged(Lease::of(Some(owner(8, 80))), 0), Standing::Dead);
    }

    #[test]
    fn elsewhere_only_time_counts() {
        let with = |change: fn(&mut Owner)| {
            let mut owner = owner(8, 80);
            change(&mut owner);
            Lease::of(Some(owner))
        };
        for lease in [
            with(|owner| owner.host = "other".to_owned()),
            with(|owner| owner.boot = "other".to_owned()),
            with(|owner| owner.pid_namespace = 2),
            Lease::of(None),
        ] {
            let left = MINUTES(20);
            assert_eq!(judged(lease.clone(), 600), Standing::Elsewhere { left });
            assert_eq!(judged(lease, 1800), Standing::Dead);
        }
        // Who does not know where it is knows nobody.
        let lease = Lease::of(Some(owner(7, 70)));
        let standing = judge(&[granted(lease, 600)], &Host(None), now());
        let left = MINUTES(20);
        assert_eq!(standing, Standing::Elsewhere { left });
    }

    #[test]
    fn the_newest_lease_of_a_run_counts() {
        let elsewhere = |age| granted(Lease::of(None), age);
        let left = MINUTES(25);
        assert_eq!(
            judge(&[elsewhere(4000), elsewhere(300)], &here(), now()),
            Standing::Elsewhere { left }
        );
    }

    #[test]
    fn what_is_held_outlives_its_process_and_ends_with_its_time() {
        let dead = granted(Lease::of(Some(owner(8, 80))), 7000);
        let held = |age| granted(Lease::held(None, MINUTES(120)), age);
        assert_eq!(
            judge(&[dead.clone(), held(3600)], &here(), now()),
            Standing::Held {
                left: MINUTES(60),
                keeper: None
            }
        );
        assert_eq!(judge(&[dead, held(7200)], &here(), now()), Standing::Dead);
        let alive = granted(Lease::of(Some(owner(7, 70))), 7000);
        assert_eq!(
            judge(&[held(1), alive], &here(), now()),
            Standing::Alive { pid: 7 }
        );
    }

    #[test]
    fn what_has_no_lease_or_no_date_is_taken_for_new() {
        let unlabelled = Granted {
            lease: None,
            created: Some(now() - MINUTES(29)),
        };
        let left = MINUTES(1);
        let standing = judge(std::slice::from_ref(&unlabelled), &here(), now());
        assert_eq!(standing, Standing::Elsewhere { left });
        let undated = Granted {
            lease: Some(Lease::of(None)),
            created: None,
        };
        let left = TERM;
        let standing = judge(&[undated], &here(), now());
        assert_eq!(standing, Standing::Elsewhere { left });
    }

    #[test]
    fn a_label_is_read_as_it_was_written_and_nothing_else_is() {
        for lease in [
            Lease::of(Some(owner(7, 70))),
            Lease::of(None),
            Lease::held(Some(owner(8, 80)), MINUTES(1)),
        ] {
            assert_eq!(Lease::from_label(&lease.to_label()), Some(lease));
        }
        for text in ["", "{}", "null", "{\"seconds\":-1}", "[1]", "x"] {
            assert_eq!(Lease::from_label(text), None, "{text}");
        }
    }

    #[test]
    fn durations_are_short() {
        let shown =
            [5, 60, 61, 3600, 5400, 90_000].map(|seconds| rough(Duration::from_secs(seconds)));
        assert_eq!(shown, ["5s", "1m", "1m1s", "1h", "1h30m", "25h"]);
    }

    proptest! {
        /// Whatever else a run carries, and whatever the time is: its living process protects it.
        #[test]
        fn a_living_process_protects_its_run(
            others in proptest::collection::vec((0_u64..200_000, any::<u64>(), any::<bool>(), any::<bool>()), 0..6),
            place in 0_usize..6,
            ahead in 0_u64..10_000_000,
        ) {
            let mut all: Vec<Granted> = others
                .into_iter()
                .map(|(age, seconds, held, known)| Granted {
                    lease: known.then(|| Lease { owner: known.then(|| owner(8, 80)), seconds, held }),
                    created: Some(now() - Duration::from_secs(age)),
                })
                .collect();
            let place = place.min(all.len());
            all.insert(place, granted(Lease::of(Some(owner(7, 70))), 0));
            let later = now() + Duration::from_secs(ahead);
            prop_assert_eq!(judge(&all, &here(), later), Standing::Alive { pid: 7 });
        }
    }
}

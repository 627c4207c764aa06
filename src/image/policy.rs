//! When an image is pulled: `pull_policy`, and what there is already.

use std::fmt;
use std::time::{Duration, SystemTime};

use super::Platform;

/// `pull_policy` of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullPolicy {
    /// `never`: what is on the engine, or nothing.
    Never,
    /// `missing`, `if_not_present`: what is on the engine, else from the registry.
    Missing,
    /// `daily`, `weekly`, `every_…`: from the registry when it was last tagged longer ago than
    /// this.
    Every(Duration),
    /// `always`: from the registry.
    Always,
    /// `build`: built, never pulled.
    Build,
}

impl PullPolicy {
    /// What fulfils both: services that share an image share its pull.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Every(one), Self::Every(other)) => Self::Every(one.min(other)),
            (one, other) if one.eagerness() >= other.eagerness() => one,
            (_, other) => other,
        }
    }

    const fn eagerness(self) -> u8 {
        match self {
            Self::Build | Self::Never => 0,
            Self::Missing => 1,
            Self::Every(_) => 2,
            Self::Always => 3,
        }
    }
}

/// The policy as a clause: `pulled always`.
impl fmt::Display for PullPolicy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Never | Self::Build => formatter.write_str("never pulled"),
            Self::Missing => formatter.write_str("pulled when missing"),
            Self::Every(age) => write!(formatter, "pulled when older than {}", words(*age)),
            Self::Always => formatter.write_str("always pulled"),
        }
    }
}

/// A duration in the largest unit that divides it.
fn words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    for (unit, length) in [("d", 86_400), ("h", 3_600), ("m", 60)] {
        if seconds > 0 && seconds.is_multiple_of(length) {
            return format!("{}{unit}", seconds / length);
        }
    }
    format!("{seconds}s")
}

/// What the engine has of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Present {
    /// Its platform.
    pub platform: Platform,
    /// When it was last tagged, which envrun does after each pull; an image that never was has no
    /// time.
    pub tagged: Option<SystemTime>,
}

/// What is to be done to have an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// What the engine has will do.
    Use,
    /// It is pulled, for this reason.
    Pull(String),
    /// It is not there and must not be pulled, for this reason.
    Refuse(String),
}

/// Decides by the policy, by the platform wanted, and by what there is.
#[must_use]
pub fn decide(
    policy: PullPolicy,
    wanted: Option<&Platform>,
    present: Option<&Present>,
    now: SystemTime,
) -> Decision {
    let fitting = present.filter(|present| wanted.is_none_or(|wanted| *wanted == present.platform));
    let lack = match (present, wanted) {
        (Some(present), Some(wanted)) => {
            format!("the engine has it for {}, not {wanted}", present.platform)
        }
        _ => "the engine does not have it".to_owned(),
    };
    match (policy, fitting) {
        (PullPolicy::Always, _) => Decision::Pull("`pull_policy` is `always`".to_owned()),
        (PullPolicy::Never | PullPolicy::Build, None) => {
            Decision::Refuse(format!("{lack}, and its `pull_policy` forbids to pull it"))
        }
        (_, None) => Decision::Pull(lack),
        (PullPolicy::Every(limit), Some(present)) => {
            let age = present
                .tagged
                .map(|tagged| now.duration_since(tagged).unwrap_or_default());
            match age {
                Some(age) if age <= limit => Decision::Use,
                _ => Decision::Pull(format!("it is older than {}", words(limit))),
            }
        }
        (PullPolicy::Never | PullPolicy::Missing | PullPolicy::Build, Some(_)) => Decision::Use,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn decision(policy: PullPolicy, age: Option<Duration>) -> &'static str {
        let now = SystemTime::UNIX_EPOCH + 100 * DAY;
        let present = age.map(|age| Present {
            platform: Platform::new("linux", "amd64", ""),
            tagged: Some(now - age),
        });
        word(&decide(policy, None, present.as_ref(), now))
    }

    fn word(decision: &Decision) -> &'static str {
        match decision {
            Decision::Use => "use",
            Decision::Pull(_) => "pull",
            Decision::Refuse(_) => "refuse",
        }
    }

    #[test]
    fn each_policy_decides_by_what_there_is() {
        let cases = [
            (PullPolicy::Never, None, "refuse"),
            (PullPolicy::Never, Some(DAY), "use"),
            (PullPolicy::Build, None, "refuse"),
            (PullPolicy::Missing, None, "pull"),
            (PullPolicy::Missing, Some(DAY), "use"),
            (PullPolicy::Always, Some(Duration::ZERO), "pull"),
            (PullPolicy::Every(DAY), None, "pull"),
            (PullPolicy::Every(DAY), Some(DAY / 2), "use"),
            (PullPolicy::Every(DAY), Some(2 * DAY), "pull"),
        ];
        for (policy, age, expected) in cases {
            assert_eq!(decision(policy, age), expected, "{policy:?} {age:?}");
        }
    }

    #[test]
    fn an_image_that_was_never_tagged_is_old() {
        let present = Present {
            platform: Platform::new("linux", "amd64", ""),
            tagged: None,
        };
        let now = SystemTime::UNIX_EPOCH;
        let decided = decide(PullPolicy::Every(DAY), None, Some(&present), now);
        assert_eq!(word(&decided), "pull");
    }

    #[test]
    fn an_image_for_another_platform_is_not_there() {
        let present = Present {
            platform: Platform::new("linux", "amd64", ""),
            tagged: None,
        };
        let wanted = Platform::new("linux", "arm64", "");
        let now = SystemTime::UNIX_EPOCH;
        let decided = decide(PullPolicy::Missing, Some(&wanted), Some(&present), now);
        let reason = "the engine has it for linux/amd64, not linux/arm64".to_owned();
        assert_eq!(decided, Decision::Pull(reason));
        let decided = decide(PullPolicy::Never, Some(&wanted), Some(&present), now);
        assert_eq!(word(&decided), "refuse");
    }

    #[test]
    fn shared_images_are_pulled_by_the_most_eager_policy() {
        use PullPolicy::{Always, Build, Every, Missing, Never};
        assert_eq!(Never.and(Missing), Missing);
        assert_eq!(Missing.and(Always), Always);
        assert_eq!(Every(2 * DAY).and(Every(DAY)), Every(DAY));
        assert_eq!(Every(DAY).and(Missing), Every(DAY));
        assert_eq!(Build.and(Missing), Missing);
    }
}

//! Where to pull from next, and when: mirrors first, in their order, the image's own registry last.
//!
//! A failure that passes is met with pauses that double; a registry that says how long to wait is
//! believed up to a limit. Everything else moves on to the next place at once, and the last place's
//! failure is final.

use std::time::Duration;

use super::failure::PullFailure;

/// How often the last place is asked before the pull has failed.
pub const ATTEMPTS: u32 = 5;

/// How often a place is asked when there is another one to go to.
pub const ATTEMPTS_AT_A_MIRROR: u32 = 2;

/// Pause after the first failure; each further one is twice as long.
pub const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// Longest pause that a registry may ask for; one that asks for more has refused.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What follows a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// The same place again, after a pause.
    Again(Duration),
    /// The next place.
    Elsewhere,
    /// The pull has failed.
    GiveUp,
}

/// The places of one image, by their number, and how often the present one was asked.
#[derive(Debug, Clone)]
pub struct Attempts {
    mirrors: usize,
    place: usize,
    failures: u32,
    total: u32,
}

impl Attempts {
    /// Begins at the first of so many mirrors, or at the image's own registry.
    #[must_use]
    pub const fn new(mirrors: usize) -> Self {
        Self {
            mirrors,
            place: 0,
            failures: 0,
            total: 0,
        }
    }

    /// The number of the place to ask now; the mirrors come first.
    #[must_use]
    pub const fn place(&self) -> usize {
        self.place
    }

    /// Whether that is a mirror.
    #[must_use]
    pub const fn at_a_mirror(&self) -> bool {
        self.place < self.mirrors
    }

    /// How often the present place was asked in vain.
    #[must_use]
    pub const fn failures(&self) -> u32 {
        self.failures
    }

    /// How often all places together were asked in vain.
    #[must_use]
    pub const fn total(&self) -> u32 {
        self.total
    }

    /// How often the present place is asked at most.
    #[must_use]
    pub const fn limit(&self) -> u32 {
        if self.at_a_mirror() {
            ATTEMPTS_AT_A_MIRROR
        } else {
            ATTEMPTS
        }
    }

    /// The attempt at the present place has failed.
    #[must_use]
    pub fn failed(&mut self, failure: PullFailure) -> Next {
        self.failures += 1;
        self.total += 1;
        let doubled = FIRST_PAUSE.saturating_mul(1 << (self.failures - 1).min(16));
        let pause = match failure {
            PullFailure::RateLimited(Some(asked)) => doubled.max(asked),
            _ => doubled,
        };
        if failure.passes() && self.failures < self.limit() && pause <= LONGEST_PAUSE {
            return Next::Again(pause);
        }
        if self.at_a_mirror() && failure.is_of_the_registry() {
            self.place += 1;
            self.failures = 0;
            return Next::Elsewhere;
        }
        Next::GiveUp
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The places asked when every attempt fails like this, and the total of the pauses.
    fn story(mirrors: usize, failure: PullFailure) -> (Vec<usize>, Duration) {
        let mut attempts = Attempts::new(mirrors);
        let (mut story, mut paused) = (Vec::new(), Duration::ZERO);
        loop {
            story.push(attempts.place());
            match attempts.failed(failure) {
                Next::Again(pause) => paused += pause,
                Next::Elsewhere => {}
                Next::GiveUp => return (story, paused),
            }
        }
    }

    #[test]
    fn what_passes_is_tried_again_with_growing_pauses() {
        let (story, paused) = story(0, PullFailure::Passing);
        assert_eq!(story, [0; 5]);
        assert_eq!(paused, Duration::from_millis(500 + 1000 + 2000 + 4000));
    }

    #[test]
    fn what_stays_is_tried_once() {
        for failure in [
            PullFailure::NotFound,
            PullFailure::Denied,
            PullFailure::Platform,
            PullFailure::Reference,
            PullFailure::Unreachable,
            PullFailure::Other,
        ] {
            assert_eq!(story(0, failure).0, [0], "{failure:?}");
        }
    }

    #[test]
    fn mirrors_come_first_and_give_way() {
        assert_eq!(story(2, PullFailure::NotFound).0, [0, 1, 2]);
        assert_eq!(
            story(2, PullFailure::Passing).0,
            [0, 0, 1, 1, 2, 2, 2, 2, 2]
        );
        assert_eq!(story(2, PullFailure::Other).0, [0]);
    }

    #[test]
    fn a_registry_that_says_how_long_to_wait_is_believed() {
        let asked = |seconds| PullFailure::RateLimited(Some(Duration::from_secs(seconds)));
        let (places, paused) = story(0, asked(10));
        assert_eq!(places.len(), 5);
        assert_eq!(paused, Duration::from_secs(40));
        assert_eq!(story(0, asked(3600)).0, [0]);
        assert_eq!(story(1, asked(3600)).0, [0, 1]);
    }
}

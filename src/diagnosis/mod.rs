//! Why something cannot be reached: causes in the network, from the model, from what programs have said
//! and from looks at the network of the run.
//!
//! Pure: the model and what was seen come in, [causes](crate::outcome::Cause) come out. An
//! [`Inquiry`] says which [looks](looks::Look) would tell more; somebody else makes them. Texts are
//! heuristics, so what they say is confirmed by the model or by a look where that is possible, and is
//! said to be likely where it is not. Values of variables are compared and never told.

mod aims;
mod causes;
mod credentials;
mod endpoint;
pub mod looks;
mod remedy;
mod topology;
mod words;

use std::collections::BTreeSet;

pub use self::endpoint::Endpoint;
use self::looks::{Look, Seen};
pub use self::topology::{Node, Place, Standing, Topology, Wish};
pub use self::words::{
    Clue, Denial, LINE_BYTES, LINES, Server, Trouble, Wrong, clues, init_scripts,
};
use crate::name::ServiceName;
use crate::outcome::Cause;

/// Causes that are told at most: more would hide the first.
const CAUSES: usize = 3;

/// Why an inquiry is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// A service was not ready in time.
    NotReady,
    /// A service has ended before it should, or a job has failed.
    Ended,
    /// A suite has failed: nothing is looked for unless its output speaks of connections.
    Suite,
    /// A container could not be started, with the engine's words as output.
    NotStarted,
}

/// One question: why did this service fail?
#[derive(Debug, Clone)]
pub struct Inquiry {
    /// What has failed.
    pub subject: ServiceName,
    /// How.
    pub occasion: Occasion,
    /// Ports on which it was probed.
    pub probed: BTreeSet<u16>,
    /// Everybody, as the run stands.
    pub topology: Topology,
}

impl Inquiry {
    /// What is worth a look, given the last output of the subject.
    #[must_use]
    pub fn looks(&self, output: &[String]) -> Vec<Look> {
        let mut looks = BTreeSet::new();
        let aims = aims::aims(self, output);
        for aim in &aims {
            looks.extend(causes::looks(self, aim));
        }
        looks.extend(causes::looks_at_subject(self, output));
        looks.into_iter().collect()
    }

    /// The causes, the likeliest first.
    #[must_use]
    pub fn causes(&self, seen: &Seen) -> Vec<Cause> {
        let aims = aims::aims(self, &seen.output);
        let mut causes: Vec<Cause> = Vec::new();
        let of_aims = aims.iter().filter_map(|aim| causes::judge(self, seen, aim));
        // That nothing listens in the subject may well follow from what it did not reach.
        let (follows, own): (Vec<Cause>, Vec<Cause>) = causes::of_subject(self, seen)
            .into_iter()
            .partition(|cause| cause.kind == causes::NOTHING_LISTENS);
        for cause in own.into_iter().chain(of_aims).chain(follows) {
            let is_known = |one: &Cause| one.kind == cause.kind && one.target == cause.target;
            if !causes.iter().any(is_known) {
                causes.push(cause);
            }
        }
        // What was said beats what was only wished, and what is sure beats what is likely.
        causes.sort_by_key(|cause| !cause.confirmed);
        causes.truncate(CAUSES);
        causes
    }
}

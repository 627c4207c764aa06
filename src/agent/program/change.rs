//! Changes of the network namespace that the agent is in, in the words of whoever asks:
//!
//! - `lose TABLE PERCENT [ADDRESS…]`, and `lose-no-more TABLE`;
//! - `hold-back MICROSECONDS MICROSECONDS` (the delay and its variation), and `hold-back-no-more`;
//! - `try lose` and `try hold-back`, in a namespace where nothing is lost by it.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use crate::wire::{Failure, Frame, Kind};
use crate::{Voice, delay, failure_of, filter};

/// Makes a change and says what came of it.
pub(crate) fn change(voice: &Voice, number: u32, words: &str) {
    match made(words) {
        None => voice.fail(number, Failure::Other, "not understood"),
        Some(Ok(())) => voice.say(&Frame::new(number, Kind::Changed, [])),
        Some(Err(error)) => voice.fail(number, failure(&error), &error.to_string()),
    }
}

/// Error numbers of a kernel that lacks a part: no such kind, no such protocol or family, not
/// supported.
const LACKING: [i32; 5] = [2, 93, 95, 96, 97];

fn failure(error: &io::Error) -> Failure {
    match error.raw_os_error() {
        Some(code) if LACKING.contains(&code) => Failure::Unsupported,
        _ => failure_of(error),
    }
}

fn made(words: &str) -> Option<io::Result<()>> {
    let words: Vec<&str> = words.split(' ').collect();
    let time = |text: &str| text.parse().ok().map(Duration::from_micros);
    Some(match words.as_slice() {
        ["lose", table, percent, from @ ..] => {
            let from: Result<Vec<IpAddr>, _> = from.iter().map(|text| text.parse()).collect();
            filter::lose(table, percent.parse().ok()?, &from.ok()?)
        }
        ["lose-no-more", table] => filter::lose_no_more(table),
        ["hold-back", delay, jitter] => delay::hold_back(time(delay)?, time(jitter)?),
        ["hold-back-no-more"] => delay::hold_back_no_more(),
        ["try", "lose"] => {
            const TRIAL: &str = "envrun_trial";
            filter::lose(TRIAL, 1, &[]).and_then(|()| filter::lose_no_more(TRIAL))
        }
        ["try", "hold-back"] => delay::try_it(),
        _ => return None,
    })
}

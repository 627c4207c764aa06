//! Names, resolved as the programs in this network namespace resolve them: by `/etc/hosts` and the
//! name servers of `/etc/resolv.conf`, both of which the engine shares with the container beside
//! which the agent runs.

use std::collections::BTreeSet;
use std::net::ToSocketAddrs as _;

use crate::Voice;
use crate::wire::{Failure, Frame, Kind};

/// Resolves a name and says what came of it.
pub(crate) fn resolve(voice: &Voice, number: u32, name: &str) {
    match (name, 0).to_socket_addrs() {
        Ok(addresses) => {
            let addresses: BTreeSet<_> = addresses.map(|address| address.ip()).collect();
            let lines: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            voice.say(&Frame::new(number, Kind::Addresses, lines.join("\n")));
        }
        Err(error) => {
            let words = error.to_string();
            // The standard library has no kind of its own for the answers of the C library.
            let failure = if words.contains("Temporary failure") {
                Failure::NoAnswer
            } else if words.contains("not known") || words.contains("No address associated") {
                Failure::NoSuchName
            } else {
                Failure::Other
            };
            voice.fail(number, failure, &words);
        }
    }
}

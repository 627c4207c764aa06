//! The names of a run's resources: the ledger knows them before the engine does.

use crate::name::RunId;

/// How much of a key goes into a name. With the prefix it stays within the 63 characters that a host
/// name may have.
const LONGEST: usize = 40;

/// Deterministic name of a resource of a run. Keys that are too long end in a hash of the whole, so
/// that those with the same beginning stay apart.
pub(super) fn resource_name(run: RunId, key: &str) -> String {
    let is_long = key.chars().count() > LONGEST;
    let kept = if is_long { LONGEST - 9 } else { LONGEST };
    let mut text: String = key
        .chars()
        .map(|letter| {
            if letter.is_ascii_alphanumeric() || matches!(letter, '_' | '.' | '-') {
                letter
            } else {
                '-'
            }
        })
        .take(kept)
        .collect();
    if is_long {
        text.push_str(&format!("-{:08x}", hash(key.bytes())));
    }
    run.prefix() + &text
}

/// The name that a resource of a run has for an attempt of a suite, counted from 1: its own for the
/// first. No name of the file is the same, since those have a dash after the id of the run.
pub(super) fn of_attempt(name: &str, run: RunId, attempt: u32) -> String {
    let prefix = run.prefix();
    match name.strip_prefix(&prefix) {
        Some(rest) if attempt > 1 => {
            format!("{}_{attempt}-{rest}", prefix.trim_end_matches('-'))
        }
        _ => name.to_owned(),
    }
}

/// Deterministic name of an image of a run. Repository names know lower case only (distribution
/// specification).
pub(super) fn image_name(run: RunId, key: &str) -> String {
    let name = resource_name(run, key)
        .to_lowercase()
        .replace(['_', '.'], "-");
    name.trim_end_matches('-').to_owned()
}

/// FNV-1a: stable between versions of the compiler, which `Hash` is not.
pub(super) fn hash(bytes: impl Iterator<Item = u8>) -> u32 {
    let state = bytes.fold(0x811c_9dc5_u32, |state, byte| {
        (state ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    state ^ (state >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: RunId = RunId::from_u128(0);

    #[test]
    fn each_attempt_has_a_name_that_no_service_has_and_the_run_knows_it() {
        let longest = resource_name(RUN, &"a".repeat(60));
        for name in [resource_name(RUN, "e2e"), longest] {
            let names: Vec<String> = (1..=11)
                .map(|attempt| of_attempt(&name, RUN, attempt))
                .collect();
            assert_eq!(names[0], name);
            let different: std::collections::BTreeSet<&String> = names.iter().collect();
            assert_eq!(different.len(), names.len());
            assert!(names.iter().all(|name| name.len() <= 63), "{names:?}");
            assert!(names.iter().all(|name| RUN.names(name)), "{names:?}");
            assert!(
                names[1..]
                    .iter()
                    .all(|name| !name.starts_with(&RUN.prefix()))
            );
        }
    }

    #[test]
    fn long_keys_stay_apart_and_short_ones_as_they_are() {
        let long = "a".repeat(60);
        let names = ["1", "2"].map(|end| resource_name(RUN, &format!("{long}{end}")));
        assert_ne!(names[0], names[1]);
        assert!(names.iter().all(|name| name.len() <= 63), "{names:?}");
        assert_eq!(resource_name(RUN, "db"), "envrun-000000000000-db");
    }
}

//! "Did you mean": the candidate nearest to a misspelt name.
//!
//! Pure; it never decides whether a name is wrong.

/// Names longer than this (characters) get no suggestion, so that hostile names stay cheap.
const MAX_LENGTH: usize = 64;
/// At most this many candidates are compared, for the same reason.
const MAX_CANDIDATES: usize = 300;

/// The candidate that is within a third of the name's length in edits, nearest first; among equals
/// the first in order.
#[must_use]
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = name.chars().count();
    if length > MAX_LENGTH {
        return None;
    }
    let limit = (length / 3).clamp(1, 3);
    candidates
        .into_iter()
        .take(MAX_CANDIDATES)
        .filter(|candidate| candidate.len() <= 4 * MAX_LENGTH && *candidate != name)
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The help text for [`nearest`], if there is a candidate.
#[must_use]
pub fn did_you_mean<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    nearest(name, candidates).map(|candidate| format!("did you mean `{candidate}`?"))
}

/// Edits between two names: insert, delete, replace, or swap two neighbours. Case and `-`/`_`
/// differ for free, since those are the commonest slips.
fn distance(left: &str, right: &str) -> usize {
    let fold = |text: &str| -> Vec<char> {
        text.chars()
            .map(|c| {
                if c == '-' {
                    '_'
                } else {
                    c.to_ascii_lowercase()
                }
            })
            .collect()
    };
    let (left, right) = (fold(left), fold(right));
    let mut before: Vec<usize> = Vec::new();
    let mut previous: Vec<usize> = (0..=right.len()).collect();
    let at = |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX / 2);
    let mut last_left = None;
    for (row, &a) in left.iter().enumerate() {
        let mut current = vec![row + 1];
        let mut last_right = None;
        for (column, &b) in right.iter().enumerate() {
            let mut cost = (at(&previous, column) + usize::from(a != b))
                .min(at(&previous, column + 1) + 1)
                .min(at(&current, column) + 1);
            if column > 0 && last_right == Some(a) && last_left == Some(b) {
                cost = cost.min(at(&before, column - 1) + 1);
            }
            current.push(cost);
            last_right = Some(b);
        }
        last_left = Some(a);
        before = std::mem::replace(&mut previous, current);
    }
    at(&previous, right.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_edits_and_swaps() {
        for (left, right, edits) in [
            ("image", "image", 0),
            ("imgae", "image", 1),
            ("comand", "command", 1),
            ("depends-on", "depends_on", 0),
            ("ab", "ba", 1),
            ("", "abc", 3),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(left, right), edits, "{left} {right}");
        }
    }

    #[test]
    fn suggests_only_what_is_near() {
        assert_eq!(nearest("comand", ["command", "build"]), Some("command"));
        assert_eq!(nearest("x", ["command", "build"]), None);
        assert_eq!(nearest("frontend", ["backend", "db"]), None);
        assert_eq!(nearest(&"a".repeat(1000), ["command"]), None);
    }
}

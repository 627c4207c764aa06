//! Which values of a project must not be seen: those of secrets, and those that come out of the
//! environment by name.
//!
//! A value that a file puts together itself (`postgres://app:${PASSWORD}@db`, `${TAG:-latest}`) is not
//! among them: of what it is made, nobody can tell the secret from the rest. `NAME: ${NAME}` is, being
//! one more way to write `NAME`.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use super::super::model::{InjectedContent, InjectedKind};
use super::super::source::Place;
use super::super::yaml::shorten;
use super::context::Context;
use super::scalar::Pair;
use crate::mask::{LARGEST, Secret};

/// Files of a directory that are masked. A directory of secrets has a handful.
const MOST_FILES: usize = 100;

impl Context<'_> {
    /// Masks the value of a pair that was taken from the variables by its name.
    pub(super) fn mask_by_name(&mut self, pair: &Pair) {
        let Pair { key, value, .. } = pair;
        let known = self.variables.get(key);
        let is_same = known.is_some() && (value.is_none() || value.as_ref() == known);
        if let Some(value) = known.filter(|_| is_same && names(pair.written.text(), key)) {
            let origin = format!("variable `{}`", shorten(key));
            self.to_mask
                .push(Secret::by_name(key.as_str(), origin, value.as_str()));
        }
    }

    /// Masks what is in a file that is put into a container, if it is a secret.
    pub(super) fn mask_injected(
        &mut self,
        (kind, key): (InjectedKind, &str),
        content: &InjectedContent,
        place: &Place,
    ) {
        if kind == InjectedKind::Secret {
            match content {
                InjectedContent::Text(text) => self.mask_secret(key, text.reveal()),
                InjectedContent::Path(path) => self.mask_file(key, path, place),
            }
        }
    }

    /// Masks the value of a secret.
    pub(super) fn mask_secret(&mut self, key: &str, value: impl Into<Vec<u8>>) {
        let origin = format!("secret `{}`", shorten(key));
        self.to_mask.push(Secret::new(origin, value));
    }

    /// Masks what is in the file of a secret, or in each file of its directory. What cannot be read is
    /// told where it is used.
    pub(super) fn mask_file(&mut self, key: &str, path: &Path, place: &Place) {
        let mut waiting = vec![path.to_path_buf()];
        let mut files = 0;
        while let Some(path) = waiting.pop() {
            if path.is_dir() {
                let entries = std::fs::read_dir(&path).into_iter().flatten().flatten();
                // Links in a directory are handed over as links, so what they lead to is not seen.
                let entries = entries.filter(|entry| {
                    let kind = entry.file_type();
                    kind.is_ok_and(|kind| kind.is_dir() || kind.is_file())
                });
                let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
                paths.sort_unstable_by(|one, other| other.cmp(one));
                waiting.extend(paths);
            } else if let Some(value) = read(&path) {
                files += 1;
                if files > MOST_FILES {
                    let message = format!(
                        "of secret `{}` only {MOST_FILES} files are masked",
                        shorten(key)
                    );
                    return self.warn(place, message, Some("name the rest with `--mask-file`"));
                }
                self.mask_secret(key, value);
            }
        }
    }
}

/// As much of a regular file as it takes to know that it is too large.
fn read(path: &Path) -> Option<Vec<u8>> {
    if !path.is_file() {
        return None;
    }
    let mut value = Vec::new();
    let file = File::open(path).ok()?;
    let limit = LARGEST as u64 + 1;
    file.take(limit).read_to_end(&mut value).ok()?;
    Some(value)
}

/// Whether a text of a file takes a variable by its name: `NAME`, or `NAME: ${NAME}`.
fn names(written: &str, name: &str) -> bool {
    let written = written.trim().trim_matches(['"', '\'']);
    if written == name {
        return true;
    }
    let value = written.strip_prefix(name).unwrap_or(written);
    let value = value.trim_start_matches('=');
    let Some(variable) = value.strip_prefix('$') else {
        return false;
    };
    match variable
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'))
    {
        // A value that is asked for with a message, should it be missing, is the value.
        Some(inner) => match inner.strip_prefix(name) {
            Some("") => true,
            Some(rest) => (rest.starts_with(":?") || rest.starts_with('?')) && !rest.contains('$'),
            None => false,
        },
        None => variable == name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_told_from_a_composition() {
        for written in [
            "TOKEN",
            "'TOKEN'",
            "TOKEN=$TOKEN",
            "\"TOKEN=${TOKEN}\"",
            "${TOKEN}",
            "$TOKEN",
            "${TOKEN:?is needed}",
            "${TOKEN?}",
        ] {
            assert!(names(written, "TOKEN"), "{written}");
        }
        for written in [
            "secret",
            "TOKEN=secret",
            "${TOKEN:-default}",
            "x${TOKEN}",
            "${TOKEN}${TOKEN}",
            "$TOKENS",
            "${TOKENS}",
            "${OTHER}",
            "",
        ] {
            assert!(!names(written, "TOKEN"), "{written}");
        }
    }
}

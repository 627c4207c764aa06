//! `envrun.lock`: which digest each image of a project has, so that every run uses the same images
//! until somebody says otherwise.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use toml::de::DeTable;

use super::Reference;
use super::reference::is_digest;

/// Name of the file, beside the Compose file.
pub const FILE_NAME: &str = "envrun.lock";

/// Version of its format.
const VERSION: &str = "1";

/// What stands above the images.
const HEAD: &str = "# The digests of the images of this project: `envrun lock` writes this file, and `envrun run --locked` takes no others.\n\
                    # It belongs into the repository.\n";

/// Why a text is no lock file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LockError {
    /// It is no TOML.
    #[error("it is not TOML: {0}")]
    Toml(String),
    /// Another version wrote it.
    #[error("it has version {0} of its format, and this envrun reads version {VERSION}")]
    Version(String),
    /// Something in it is not what it should be.
    #[error("`{0}` is not an image with its digest")]
    Entry(String),
    /// The table is missing.
    #[error("it has no table `images`")]
    NoImages,
}

/// The digests of images, by the normal form of their names: `docker.io/library/postgres:15`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lock {
    digests: BTreeMap<String, String>,
}

impl Lock {
    /// Reads the file.
    ///
    /// # Errors
    /// It is none, or one of another version.
    pub fn parse(text: &str) -> Result<Self, LockError> {
        let table = DeTable::parse(text).map_err(|error| {
            LockError::Toml(error.message().lines().collect::<Vec<_>>().join(", "))
        })?;
        let of = |name: &str| {
            table
                .get_ref()
                .iter()
                .find(|(key, _)| key.get_ref() == name)
        };
        let version = of("version").and_then(|(_, value)| value.get_ref().as_integer());
        let version = version.map_or("none", |version| version.as_str());
        if version != VERSION {
            return Err(LockError::Version(version.to_owned()));
        }
        let images = of("images").and_then(|(_, value)| value.get_ref().as_table());
        let mut lock = Self::default();
        for (name, digest) in images.ok_or(LockError::NoImages)? {
            let name = name.get_ref().as_ref();
            let reference = Reference::parse(name).ok();
            let digest = digest.get_ref().as_str().filter(|digest| is_digest(digest));
            match (reference, digest) {
                (Some(reference), Some(digest)) if reference.digest().is_none() => {
                    lock.add(&reference, digest);
                }
                _ => return Err(LockError::Entry(name.to_owned())),
            }
        }
        Ok(lock)
    }

    /// The file, sorted, one line an image.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!("{HEAD}version = {VERSION}\n\n[images]\n");
        for (name, digest) in &self.digests {
            let _ = writeln!(text, "\"{name}\" = \"{digest}\"");
        }
        text
    }

    /// Notes the digest of an image.
    pub fn add(&mut self, reference: &Reference, digest: &str) {
        self.digests.insert(reference.key(), digest.to_owned());
    }

    /// How many images it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.digests.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.digests.is_empty()
    }

    /// The image by its digest; one that names a digest is what it is. `None` for an image that is not
    /// locked.
    #[must_use]
    pub fn locked(&self, reference: &Reference) -> Option<Reference> {
        if reference.digest().is_some() {
            return Some(reference.clone());
        }
        let digest = self.digests.get(&reference.key())?;
        Some(reference.at(digest))
    }

    /// What differs from an earlier lock, one line each: `+` new, `-` gone, `~` another digest.
    #[must_use]
    pub fn changes(&self, before: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        for (name, digest) in &self.digests {
            match before.digests.get(name) {
                None => lines.push(format!("+ {name} {digest}")),
                Some(old) if old != digest => lines.push(format!("~ {name} {old} -> {digest}")),
                Some(_) => {}
            }
        }
        let gone = before
            .digests
            .keys()
            .filter(|name| !self.digests.contains_key(*name));
        lines.extend(gone.map(|name| format!("- {name}")));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const OTHER: &str = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    fn reference(text: &str) -> Reference {
        Reference::parse(text).expect(text)
    }

    #[test]
    fn what_is_written_is_read_again_sorted_and_in_normal_form() {
        let mut lock = Lock::default();
        lock.add(&reference("redis"), OTHER);
        lock.add(&reference("postgres:15"), DIGEST);
        let text = lock.to_text();
        let lines: Vec<&str> = text.lines().skip(2).collect();
        let first = format!("\"docker.io/library/postgres:15\" = \"{DIGEST}\"");
        let second = format!("\"docker.io/library/redis:latest\" = \"{OTHER}\"");
        assert_eq!(lines, ["version = 1", "", "[images]", &first, &second]);
        assert_eq!(Lock::parse(&text), Ok(lock.clone()));
        let locked = lock
            .locked(&reference("docker.io/postgres:15"))
            .expect("locked");
        assert_eq!(locked.key(), format!("docker.io/library/postgres@{DIGEST}"));
        assert_eq!(lock.locked(&reference("postgres:16")), None);
        let by_digest = reference(&format!("mysql@{DIGEST}"));
        assert_eq!(lock.locked(&by_digest), Some(by_digest));
    }

    #[test]
    fn changes_are_told() {
        let (mut before, mut after) = (Lock::default(), Lock::default());
        before.add(&reference("a"), DIGEST);
        before.add(&reference("b"), DIGEST);
        after.add(&reference("b"), OTHER);
        after.add(&reference("c"), OTHER);
        assert_eq!(
            after.changes(&before),
            [
                format!("~ docker.io/library/b:latest {DIGEST} -> {OTHER}"),
                format!("+ docker.io/library/c:latest {OTHER}"),
                "- docker.io/library/a:latest".to_owned(),
            ]
        );
        assert!(after.changes(&after).is_empty());
    }

    #[test]
    fn what_is_no_lock_file_is_said() {
        let error = |text: &str| Lock::parse(text).expect_err(text).to_string();
        assert!(
            error("[images").starts_with("it is not TOML"),
            "{}",
            error("[images")
        );
        assert_eq!(
            error(""),
            "it has version none of its format, and this envrun reads version 1"
        );
        assert_eq!(
            error("version = 2"),
            "it has version 2 of its format, and this envrun reads version 1"
        );
        assert_eq!(error("version = 1"), "it has no table `images`");
        for entry in [
            "\"a\" = 1",
            "\"a\" = \"sha256:12\"",
            "\"A b\" = \"x\"",
            &format!("\"a@{DIGEST}\" = \"{DIGEST}\""),
        ] {
            let text = format!("version = 1\n[images]\n{entry}\n");
            assert!(
                error(&text).ends_with("is not an image with its digest"),
                "{entry}"
            );
        }
    }
}

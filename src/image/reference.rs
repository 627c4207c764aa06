//! Image references after the grammar of the distribution project, which all engines share, and
//! their normal form: `postgres:15` is `docker.io/library/postgres:15`.
//!
//! Crates that read references bring a regular-expression engine and a dozen derive macros for this
//! one grammar, so it is written out here.

use std::fmt;

/// The registry that a reference without one means.
pub const DEFAULT_REGISTRY: &str = "docker.io";
/// An older name of [`DEFAULT_REGISTRY`].
const OLD_DEFAULT_REGISTRY: &str = "index.docker.io";
/// The namespace of a repository without one on the default registry.
const DEFAULT_NAMESPACE: &str = "library";
/// The tag that a reference with neither tag nor digest means.
const DEFAULT_TAG: &str = "latest";

/// Longest name, registry included, as the grammar says.
const LONGEST_NAME: usize = 255;
/// Longest tag, as the grammar says.
const LONGEST_TAG: usize = 128;

/// Why a text is not a reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// Nothing there.
    #[error("it is empty")]
    Empty,
    /// Upper case in the name of a repository.
    #[error("names of repositories are lower case")]
    UpperCase,
    /// The name does not follow the grammar.
    #[error("the name of the repository is not valid")]
    Name,
    /// The registry does not follow the grammar.
    #[error("the name of the registry is not valid")]
    Registry,
    /// The tag does not follow the grammar.
    #[error("the tag is not valid")]
    Tag,
    /// The digest does not follow the grammar.
    #[error("the digest is not valid")]
    Digest,
    /// The name is longer than 255 characters.
    #[error("the name is longer than {LONGEST_NAME} characters")]
    TooLong,
    /// It looks like the id of an image, which no registry knows.
    #[error("it is the id of an image, and registries know no ids")]
    Id,
}

/// A reference in its normal form.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<String>,
}

impl Reference {
    /// Reads a reference as people write it.
    ///
    /// # Errors
    /// The text does not follow the grammar.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        if text.is_empty() {
            return Err(ReferenceError::Empty);
        }
        if is_id(text) {
            return Err(ReferenceError::Id);
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) if is_digest(digest) => (rest, Some(digest.to_owned())),
            Some(_) => return Err(ReferenceError::Digest),
            None => (text, None),
        };
        // A colon before the last slash belongs to the port of the registry.
        let last = rest.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match rest[last..].split_once(':') {
            Some((_, tag)) if is_tag(tag) => {
                (&rest[..rest.len() - tag.len() - 1], Some(tag.to_owned()))
            }
            Some(_) => return Err(ReferenceError::Tag),
            None => (rest, None),
        };
        let (registry, repository) = split_registry(name);
        if !is_registry(registry) {
            return Err(ReferenceError::Registry);
        }
        if repository.contains(|letter: char| letter.is_ascii_uppercase()) {
            return Err(ReferenceError::UpperCase);
        }
        if !is_repository(repository) {
            return Err(ReferenceError::Name);
        }
        let registry = if registry == OLD_DEFAULT_REGISTRY {
            DEFAULT_REGISTRY
        } else {
            registry
        };
        let repository = if registry == DEFAULT_REGISTRY && !repository.contains('/') {
            format!("{DEFAULT_NAMESPACE}/{repository}")
        } else {
            repository.to_owned()
        };
        if registry.len() + 1 + repository.len() > LONGEST_NAME {
            return Err(ReferenceError::TooLong);
        }
        Ok(Self {
            registry: registry.to_owned(),
            repository,
            tag,
            digest,
        })
    }

    /// The registry with its port: `docker.io`, `localhost:5000`.
    #[must_use]
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The repository in its registry: `library/postgres`.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// Registry and repository.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// The digest, if the reference names one.
    #[must_use]
    pub fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }

    /// What is asked for of the repository: the digest, which decides alone where there is one,
    /// else the tag, else `latest`.
    #[must_use]
    pub fn version(&self) -> &str {
        self.digest
            .as_deref()
            .or(self.tag.as_deref())
            .unwrap_or(DEFAULT_TAG)
    }

    /// The same image under the name that a mirror gives it.
    pub(super) fn moved(&self, registry: &str, prefix: &str) -> Self {
        let repository = if prefix.is_empty() {
            self.repository.clone()
        } else {
            format!("{prefix}/{}", self.repository)
        };
        Self {
            registry: registry.to_owned(),
            repository,
            ..self.clone()
        }
    }

    /// The same image by a digest, which decides alone.
    pub(super) fn at(&self, digest: &str) -> Self {
        Self {
            digest: Some(digest.to_owned()),
            ..self.clone()
        }
    }

    /// One spelling of what the engine keeps this image under: two references with the same key
    /// mean the same image.
    #[must_use]
    pub fn key(&self) -> String {
        let separator = if self.digest.is_some() { '@' } else { ':' };
        format!("{}{separator}{}", self.name(), self.version())
    }
}

/// The whole reference with its registry, tag and digest as far as they were given.
impl fmt::Display for Reference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(formatter, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(formatter, "@{digest}"),
            None => Ok(()),
        }
    }
}

/// Whether a text can only be the id of an image on the engine: all hexadecimal digits of it, with
/// or without the name of the hash.
#[must_use]
pub fn is_id(text: &str) -> bool {
    let digits = text.strip_prefix("sha256:").unwrap_or(text);
    digits.len() == 64 && digits.bytes().all(is_lower_hexadecimal)
}

fn is_lower_hexadecimal(byte: u8) -> bool {
    byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)
}

/// The first part is a registry when it cannot be a namespace: it has a dot, a port or upper case,
/// or is `localhost`.
fn split_registry(name: &str) -> (&str, &str) {
    match name.split_once('/') {
        Some((first, rest))
            if first.contains(['.', ':'])
                || first == "localhost"
                || first.contains(|letter: char| letter.is_ascii_uppercase()) =>
        {
            (first, rest)
        }
        _ => (DEFAULT_REGISTRY, name),
    }
}

/// Whether a text is a registry: a host name or an address, with or without a port.
pub(super) fn is_registry(text: &str) -> bool {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        match rest.split_once(']') {
            Some((address, port)) => {
                let is_address = !address.is_empty()
                    && address
                        .bytes()
                        .all(|byte| byte.is_ascii_hexdigit() || byte == b':');
                if !is_address {
                    return false;
                }
                (
                    "",
                    port.strip_prefix(':').or((!port.is_empty()).then_some("")),
                )
            }
            None => return false,
        }
    } else {
        match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        }
    };
    let port_is_valid =
        port.is_none_or(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()));
    let is_part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('-')
            && !part.ends_with('-')
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    port_is_valid && (text.starts_with('[') || host.split('.').all(is_part))
}

/// Whether a text is the path of a repository: parts of lower-case letters and digits with single
/// dots, one or two underscores or any number of dashes between them.
pub(super) fn is_repository(text: &str) -> bool {
    text.split('/').all(|part| {
        let is_word = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
        part.starts_with(is_word)
            && part.ends_with(is_word)
            && part.split(is_word).all(|between| {
                matches!(between, "" | "." | "_" | "__") || between.bytes().all(|byte| byte == b'-')
            })
    })
}

fn is_tag(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.len() <= LONGEST_TAG
        && text.bytes().next().is_some_and(is_word)
        && text
            .bytes()
            .all(|byte| is_word(byte) || matches!(byte, b'.' | b'-'))
}

pub(super) fn is_digest(text: &str) -> bool {
    let Some((algorithm, digits)) = text.split_once(':') else {
        return false;
    };
    let algorithm_is_valid = algorithm.split(['-', '_', '+', '.']).all(|part| {
        part.starts_with(|letter: char| letter.is_ascii_alphabetic())
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
    });
    let length_is_valid = match algorithm {
        "sha256" => digits.len() == 64,
        "sha384" => digits.len() == 96,
        "sha512" => digits.len() == 128,
        _ => digits.len() >= 32,
    };
    algorithm_is_valid && length_is_valid && digits.bytes().all(is_lower_hexadecimal)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DIGEST: &str = "sha256:ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";

    #[test]
    fn references_have_one_normal_form() {
        let digest = format!("@{DIGEST}");
        let cases = [
            ("postgres", "docker.io/library/postgres"),
            ("postgres:15", "docker.io/library/postgres:15"),
            ("bitnami/redis", "docker.io/bitnami/redis"),
            ("docker.io/postgres", "docker.io/library/postgres"),
            (
                "index.docker.io/postgres:15",
                "docker.io/library/postgres:15",
            ),
            ("localhost/a", "localhost/a"),
            ("localhost:5000/a", "localhost:5000/a"),
            ("127.0.0.1:5000/a/b/c:1.2-x", "127.0.0.1:5000/a/b/c:1.2-x"),
            ("[::1]:5000/a", "[::1]:5000/a"),
            ("Host/a", "Host/a"),
            ("ghcr.io/a/b__c.d---e", "ghcr.io/a/b__c.d---e"),
            ("a:5000/b", "a:5000/b"),
        ];
        for (written, normal) in cases {
            let reference = Reference::parse(written).expect(written);
            assert_eq!(reference.to_string(), normal);
            let pinned = Reference::parse(&format!("{written}{digest}")).expect(written);
            assert_eq!(pinned.to_string(), format!("{normal}{digest}"));
            assert_eq!(pinned.version(), DIGEST);
        }
    }

    #[test]
    fn what_is_no_reference_is_told_apart() {
        let long = format!("a/{}", "b".repeat(254));
        let cases = [
            ("", ReferenceError::Empty),
            ("Postgres", ReferenceError::UpperCase),
            ("ghcr.io/Me/app", ReferenceError::UpperCase),
            ("a//b", ReferenceError::Name),
            ("a/", ReferenceError::Name),
            ("/a", ReferenceError::Name),
            ("a..b", ReferenceError::Name),
            ("a___b", ReferenceError::Name),
            ("-a", ReferenceError::Name),
            ("a b", ReferenceError::Name),
            ("https://ghcr.io/a", ReferenceError::Registry),
            ("-a.b/c", ReferenceError::Registry),
            ("a:b:c/d", ReferenceError::Registry),
            ("postgres:", ReferenceError::Tag),
            ("postgres:-1", ReferenceError::Tag),
            ("postgres:15:16", ReferenceError::Tag),
            ("postgres@sha256:12", ReferenceError::Digest),
            ("postgres@", ReferenceError::Digest),
            (&DIGEST[7..], ReferenceError::Id),
            (DIGEST, ReferenceError::Id),
            (long.as_str(), ReferenceError::TooLong),
        ];
        for (text, error) in cases {
            assert_eq!(Reference::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn the_key_is_the_same_for_what_means_the_same() {
        let key = |text: &str| Reference::parse(text).expect(text).key();
        assert_eq!(key("postgres"), key("docker.io/library/postgres:latest"));
        assert_eq!(
            key(&format!("postgres:15@{DIGEST}")),
            key(&format!("postgres@{DIGEST}"))
        );
        assert_ne!(key("postgres:15"), key("postgres:16"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,80}") {
            let _ = Reference::parse(&text);
        }

        #[test]
        fn the_normal_form_is_read_as_itself(text in "([a-zA-Z0-9.-]{1,9}(:[0-9]{1,5})?/)?[a-z0-9._/-]{1,20}(:[A-Za-z0-9_.-]{1,9})?") {
            if let Ok(reference) = Reference::parse(&text) {
                let normal = reference.to_string();
                prop_assert_eq!(Reference::parse(&normal), Ok(reference));
            }
        }
    }
}

//! Mirrors: other places to pull the images of a registry from.
//!
//! A mirror holds the repositories of its registry under a prefix of its own: with
//! `docker.io=mirror.example/hub`, `postgres:15` is `mirror.example/hub/library/postgres:15`.

use std::collections::{BTreeMap, BTreeSet};

use super::lock::Lock;
use super::reference::{DEFAULT_REGISTRY, Reference, is_registry, is_repository};

/// Why a text names no mirror.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MirrorError {
    /// There is no `=`.
    #[error("expected `REGISTRY=HOST[:PORT][/PATH]`, such as `docker.io=mirror.example/hub`")]
    Form,
    /// The part before the `=` is no registry.
    #[error("the part before the `=` is not the name of a registry, such as `docker.io`")]
    Registry,
    /// A scheme before the host.
    #[error("a mirror is named without `http://` or `https://`: the engine knows which it speaks")]
    Scheme,
    /// The host is none.
    #[error("a mirror begins with its host, such as `mirror.example` or `localhost:5000`")]
    Host,
    /// The path is none.
    #[error(
        "the path of a mirror has lower-case parts like those of a repository, and neither tag nor digest"
    )]
    Path,
}

/// A place where the repositories of a registry are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mirror {
    host: String,
    /// Without slashes at its ends; may be empty.
    path: String,
}

impl Mirror {
    /// Reads `HOST[:PORT][/PATH]`.
    ///
    /// # Errors
    /// The host or the path does not follow the grammar of references.
    pub fn parse(text: &str) -> Result<Self, MirrorError> {
        if text.contains("://") {
            return Err(MirrorError::Scheme);
        }
        let (host, path) = text.split_once('/').unwrap_or((text, ""));
        let path = path.trim_end_matches('/');
        let names_a_host = host.contains(['.', ':']) || host == "localhost";
        if !is_registry(host) || !names_a_host {
            return Err(MirrorError::Host);
        }
        if !path.is_empty() && !is_repository(path) {
            return Err(MirrorError::Path);
        }
        Ok(Self {
            host: host.to_owned(),
            path: path.to_owned(),
        })
    }

    fn holds(&self, reference: &Reference) -> bool {
        let under_path = self.path.is_empty()
            || reference
                .repository()
                .strip_prefix(&self.path)
                .is_some_and(|rest| rest.starts_with('/'));
        self.host == reference.registry() && under_path
    }
}

/// The mirrors of all registries, in the order in which they are tried, and the digests by which images
/// are asked for there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mirrors(BTreeMap<String, Vec<Mirror>>, Lock);

/// The name of a registry as references have it.
///
/// # Errors
/// It is no name of a registry.
pub fn registry(text: &str) -> Result<String, MirrorError> {
    if !is_registry(text) || !(text.contains(['.', ':']) || text == "localhost") {
        return Err(MirrorError::Registry);
    }
    // `docker.io` has older names, and a reference knows its present one.
    Reference::parse(&format!("{text}/x"))
        .map(|reference| reference.registry().to_owned())
        .map_err(|_| MirrorError::Registry)
}

/// Reads `REGISTRY=MIRROR`; `REGISTRY=` says that the registry has no mirror.
///
/// # Errors
/// One of the two is not valid.
pub fn parse_pair(text: &str) -> Result<(String, Option<Mirror>), MirrorError> {
    let (name, mirror) = text.split_once('=').ok_or(MirrorError::Form)?;
    let mirror = mirror.trim();
    let mirror = if mirror.is_empty() {
        None
    } else {
        Some(Mirror::parse(mirror)?)
    };
    Ok((registry(name.trim())?, mirror))
}

impl Mirrors {
    /// Adds a mirror after those that the registry has. Without one, the registry is noted as
    /// having none, which overrides what has less say.
    pub fn add(&mut self, registry: String, mirror: Option<Mirror>) {
        let mirrors = self.0.entry(registry).or_default();
        mirrors.extend(mirror);
    }

    /// These mirrors, and for each registry that they say nothing about, those of `other`.
    #[must_use]
    pub fn or(mut self, other: Self) -> Self {
        for (registry, mirrors) in other.0 {
            self.0.entry(registry).or_insert(mirrors);
        }
        self
    }

    /// The same with images asked for by their digests, at mirrors and at their registries.
    #[must_use]
    pub fn locked(self, lock: Lock) -> Self {
        Self(self.0, lock)
    }

    /// The names of an image at its mirrors, in order, or its name with a digest at its registry; none for an image that is named at a mirror
    /// already, so that mirrors never lead to each other.
    #[must_use]
    pub fn of(&self, reference: &Reference) -> Vec<Reference> {
        let locked = self
            .1
            .locked(reference)
            .filter(|locked| locked != reference);
        let own: Vec<Reference> = locked.iter().cloned().collect();
        let holds = |mirror: &Mirror| mirror.holds(reference);
        if self.0.values().flatten().any(holds) {
            return own;
        }
        let asked = locked.as_ref().unwrap_or(reference);
        let mirrors = self.0.get(reference.registry()).into_iter().flatten();
        let at_mirrors: Vec<Reference> = mirrors
            .map(|mirror| asked.moved(&mirror.host, &mirror.path))
            .collect();
        if at_mirrors.is_empty() {
            own
        } else {
            at_mirrors
        }
    }

    /// The choices for something that takes one mirror a registry, such as a build: the first
    /// mirror of each, then the second, and at last none.
    #[must_use]
    pub fn choices(&self) -> Vec<Self> {
        let most = self.0.values().map(Vec::len).max().unwrap_or(0);
        let mut choices: Vec<Self> = (0..most)
            .map(|index| {
                let nth = |(registry, mirrors): (&String, &Vec<Mirror>)| {
                    let mirror = mirrors.get(index)?;
                    Some((registry.clone(), vec![mirror.clone()]))
                };
                Self(self.0.iter().filter_map(nth).collect(), self.1.clone())
            })
            .collect();
        choices.push(Self(BTreeMap::new(), self.1.clone()));
        choices
    }

    /// The hosts of all mirrors.
    #[must_use]
    pub fn hosts(&self) -> BTreeSet<&str> {
        self.0
            .values()
            .flatten()
            .map(|mirror| mirror.host.as_str())
            .collect()
    }

    /// Whether there is no mirror at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.values().all(Vec::is_empty)
    }
}

/// The registry that limits how often images are pulled, for hints.
#[must_use]
pub fn is_default_registry(registry: &str) -> bool {
    registry == DEFAULT_REGISTRY
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mirrors(pairs: &[&str]) -> Mirrors {
        let mut mirrors = Mirrors::default();
        for pair in pairs {
            let (registry, mirror) = parse_pair(pair).expect(pair);
            mirrors.add(registry, mirror);
        }
        mirrors
    }

    fn names(mirrors: &Mirrors, image: &str) -> Vec<String> {
        let reference = Reference::parse(image).expect(image);
        mirrors
            .of(&reference)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn an_image_has_a_name_at_each_mirror_of_its_registry() {
        let mirrors = mirrors(&[
            "docker.io=one.example/hub",
            "index.docker.io=127.0.0.1:5000",
            "ghcr.io=two.example/a/b/",
        ]);
        assert_eq!(
            names(&mirrors, "postgres:15"),
            [
                "one.example/hub/library/postgres:15",
                "127.0.0.1:5000/library/postgres:15"
            ]
        );
        assert_eq!(names(&mirrors, "ghcr.io/x/y"), ["two.example/a/b/x/y"]);
        assert!(names(&mirrors, "quay.io/x/y").is_empty());
        let digest = format!("sha256:{}", "a".repeat(64));
        assert_eq!(
            names(&mirrors, &format!("ghcr.io/x/y@{digest}")),
            [format!("two.example/a/b/x/y@{digest}")]
        );
    }

    #[test]
    fn mirrors_do_not_lead_to_each_other() {
        let mirrors = mirrors(&["docker.io=ghcr.io/hub", "ghcr.io=three.example"]);
        assert_eq!(names(&mirrors, "redis"), ["ghcr.io/hub/library/redis"]);
        assert!(names(&mirrors, "ghcr.io/hub/library/redis").is_empty());
        assert_eq!(
            names(&mirrors, "ghcr.io/hubris/x"),
            ["three.example/hubris/x"]
        );
    }

    #[test]
    fn what_says_more_replaces_what_says_less_registry_by_registry() {
        let flags = mirrors(&["docker.io=flag.example", "quay.io="]);
        let file = mirrors(&[
            "docker.io=file.example",
            "quay.io=file.example",
            "ghcr.io=file.example",
        ]);
        let both = flags.or(file);
        assert_eq!(names(&both, "redis"), ["flag.example/library/redis"]);
        assert!(names(&both, "quay.io/a/b").is_empty());
        assert_eq!(names(&both, "ghcr.io/a/b"), ["file.example/a/b"]);
    }

    #[test]
    fn a_build_has_one_mirror_at_a_time() {
        let all = mirrors(&[
            "docker.io=one.example",
            "docker.io=two.example",
            "ghcr.io=three.example",
        ]);
        let choices = all.choices();
        let chosen: Vec<Vec<String>> = choices
            .iter()
            .map(|choice| names(choice, "redis"))
            .collect();
        assert_eq!(
            chosen,
            [
                vec!["one.example/library/redis".to_owned()],
                vec!["two.example/library/redis".to_owned()],
                vec![]
            ]
        );
        assert_eq!(names(&choices[0], "ghcr.io/x"), ["three.example/x"]);
        assert!(names(&choices[1], "ghcr.io/x").is_empty());
    }

    #[test]
    fn what_is_no_mirror_is_refused() {
        for (text, error) in [
            ("docker.io", MirrorError::Form),
            ("hub=mirror.example", MirrorError::Registry),
            ("docker.io=https://mirror.example", MirrorError::Scheme),
            ("docker.io=mirror", MirrorError::Host),
            ("docker.io=mirror/hub", MirrorError::Host),
            ("docker.io=mirror.example/Hub", MirrorError::Path),
            ("docker.io=mirror.example/hub:1", MirrorError::Path),
        ] {
            assert_eq!(parse_pair(text), Err(error), "{text}");
        }
    }
}

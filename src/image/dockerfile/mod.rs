//! Where a Dockerfile names images, and the same Dockerfile with mirrors in their place.
//!
//! The engine resolves `FROM` by itself, so a mirror must be written into the Dockerfile that is
//! sent. Replaced are names of images of registries: in `FROM`, in `COPY --from`, in
//! `RUN --mount=from`, and in the `# syntax=` directive. Everything else keeps its bytes. What is no
//! such name (a stage, `scratch`, a named context), and what cannot be known here (a name with a
//! variable that the builder sets), is left alone. So are `ONBUILD` triggers, which another build
//! runs.

mod expand;
mod lines;
mod prepare;
mod shared;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

pub use self::prepare::{Preparation, Prepared, UNCACHED, UnknownBase, prepare};
pub use self::shared::shared;

use self::expand::{expand, unquoted};
use self::lines::{Instruction, Word, directives, instructions};
use super::{Mirrors, Reference};

/// What a Dockerfile is built with, as far as names of images depend on it.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'a> {
    /// Build arguments, which override the defaults of `ARG`.
    pub arguments: &'a BTreeMap<String, String>,
    /// Names of additional contexts, which stand before images of the same name.
    pub contexts: &'a BTreeSet<String>,
}

/// An image that a Dockerfile names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedImage {
    /// Where its name stands.
    range: Range<usize>,
    /// The image.
    pub reference: Reference,
}

/// The Dockerfile with each image of a registry that has a mirror named at its (first) mirror.
///
/// The result is the same when it is rewritten once more, and the very text when there is nothing
/// to rewrite.
#[must_use]
pub fn rewrite(dockerfile: &str, surroundings: Surroundings<'_>, mirrors: &Mirrors) -> String {
    let mut rewritten = String::with_capacity(dockerfile.len());
    let mut copied = 0;
    for image in images(dockerfile, surroundings) {
        let Some(mirror) = mirrors.of(&image.reference).into_iter().next() else {
            continue;
        };
        rewritten.push_str(
            dockerfile
                .get(copied..image.range.start)
                .unwrap_or_default(),
        );
        rewritten.push_str(&mirror.to_string());
        copied = image.range.end;
    }
    rewritten.push_str(dockerfile.get(copied..).unwrap_or_default());
    rewritten
}

/// The images of registries that a Dockerfile names, in order, repetitions included.
#[must_use]
pub fn images(dockerfile: &str, surroundings: Surroundings<'_>) -> Vec<NamedImage> {
    let directives = directives(dockerfile);
    let mut found: Vec<NamedImage> = directives
        .syntax
        .clone()
        .and_then(|range| {
            let reference = Reference::parse(dockerfile.get(range.clone())?).ok()?;
            Some(NamedImage { range, reference })
        })
        .into_iter()
        .collect();
    let mut reading = Reading {
        escape: directives.escape,
        surroundings,
        variables: BTreeMap::new(),
        stages: BTreeSet::new(),
        in_a_stage: false,
    };
    for instruction in instructions(dockerfile, &directives) {
        reading.instruction(&instruction, &mut found);
    }
    found
}

/// Arguments that BuildKit sets.
const BUILDERS_OWN: [&str; 8] = [
    "BUILDARCH",
    "BUILDOS",
    "BUILDPLATFORM",
    "BUILDVARIANT",
    "TARGETARCH",
    "TARGETOS",
    "TARGETPLATFORM",
    "TARGETVARIANT",
];

struct Reading<'a> {
    escape: char,
    surroundings: Surroundings<'a>,
    /// `ARG`s before the first `FROM`, the only ones that `FROM` knows; `None` is one without a
    /// value.
    variables: BTreeMap<String, Option<String>>,
    /// Names of stages so far, in lower case.
    stages: BTreeSet<String>,
    in_a_stage: bool,
}

impl Reading<'_> {
    fn instruction(&mut self, instruction: &Instruction, found: &mut Vec<NamedImage>) {
        match instruction.keyword.as_str() {
            "ARG" if !self.in_a_stage => self.arguments(&instruction.words),
            "FROM" => self.from(&instruction.words, found),
            "COPY" => {
                for flag in flags(&instruction.words) {
                    if let Some(value) = flag.after("--from=") {
                        self.literal(&value, found);
                    }
                }
            }
            "RUN" => {
                for flag in flags(&instruction.words) {
                    if let Some(options) = flag.after("--mount=") {
                        for option in options.split(',') {
                            if let Some(value) = option.after("from=") {
                                self.literal(&value, found);
                            }
                        }
                    }
                }
            }
            _ => {}
        }
    }

    /// `ARG NAME[=DEFAULT]…` before the first stage.
    fn arguments(&mut self, words: &[Word]) {
        for word in words {
            let (name, default) = match word.text.split_once('=') {
                Some((name, default)) => (name, Some(default)),
                None => (word.text.as_str(), None),
            };
            let Some(name) = unquoted(name, self.escape) else {
                continue;
            };
            // Without a value here, these have the builder's.
            if BUILDERS_OWN.contains(&name.as_str())
                && !self.surroundings.arguments.contains_key(&name)
            {
                self.variables.remove(&name);
                continue;
            }
            let value = match self.surroundings.arguments.get(&name) {
                Some(given) => Some(given.clone()),
                None => default.and_then(|default| self.expanded(default)),
            };
            self.variables.insert(name, value);
        }
    }

    fn expanded(&self, text: &str) -> Option<String> {
        expand(text, self.escape, &|name| self.variables.get(name).cloned())
    }

    /// `FROM [--platform=…] IMAGE [AS STAGE]`.
    fn from(&mut self, words: &[Word], found: &mut Vec<NamedImage>) {
        self.in_a_stage = true;
        let mut words = words.iter().skip_while(|word| word.text.starts_with("--"));
        let Some(image) = words.next() else {
            return;
        };
        if let Some(name) = self.expanded(&image.text) {
            self.name(&name, image.range.clone(), found);
        }
        let is_as = words
            .next()
            .is_some_and(|word| word.text.eq_ignore_ascii_case("as"));
        if let (true, Some(stage)) = (is_as, words.next()) {
            self.stages.insert(stage.text.to_lowercase());
        }
    }

    /// A name that the builder takes as it is written: a stage by its name or number, or an image.
    fn literal(&self, word: &Word, found: &mut Vec<NamedImage>) {
        let is_number = word.text.bytes().all(|byte| byte.is_ascii_digit());
        if is_number || word.text.contains('$') {
            return;
        }
        if let Some(name) = unquoted(&word.text, self.escape) {
            self.name(&name, word.range.clone(), found);
        }
    }

    /// Notes a name if it is that of an image.
    fn name(&self, name: &str, range: Range<usize>, found: &mut Vec<NamedImage>) {
        if name == "scratch" || self.stages.contains(&name.to_lowercase()) {
            return;
        }
        let Ok(reference) = Reference::parse(name) else {
            return;
        };
        let is_context = |context: &String| {
            context == name
                || Reference::parse(context).is_ok_and(|other| other.key() == reference.key())
        };
        if !self.surroundings.contexts.iter().any(is_context) {
            found.push(NamedImage { range, reference });
        }
    }
}

/// The flags at the beginning of an instruction.
fn flags(words: &[Word]) -> impl Iterator<Item = &Word> {
    words.iter().take_while(|word| word.text.starts_with("--"))
}

#[cfg(test)]
mod tests;

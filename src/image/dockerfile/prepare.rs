//! A Dockerfile with images in the place of its additional contexts, and with what keeps a stage
//! from the cache.
//!
//! Additional contexts are images by the time a build begins, so a name of one is replaced by the
//! image's: as the base of a stage, in `COPY --from`, in `RUN --mount=from`, and where it takes the
//! place of a whole stage. Names of mirrors are put in before.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::lines::{Instruction, Word, directives, instructions};
use super::{Reading, Surroundings, flags, unquoted};

/// What is to be changed.
#[derive(Debug, Clone, Copy)]
pub struct Preparation<'a> {
    /// Build arguments, which override the defaults of `ARG`.
    pub arguments: &'a BTreeMap<String, String>,
    /// Additional contexts, each with the image that stands for it.
    pub contexts: &'a BTreeMap<String, String>,
    /// Stages whose commands are run whatever the cache says.
    pub uncached: &'a [String],
}

/// A Dockerfile that is ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// Its text.
    pub text: String,
    /// The images that it starts from or copies from, arguments in their places; those that stand
    /// for contexts are not among them.
    pub bases: Result<BTreeSet<String>, UnknownBase>,
    /// Whether a stage needs a value for [`UNCACHED`].
    pub uncached: bool,
}

/// An image whose name only the builder can tell, because it has a variable that is not known here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("which image `{0}` means is not known before the build")]
pub struct UnknownBase(pub String);

/// The argument that keeps a stage from the cache: its value is another one for each build, and
/// what a command may see is part of its cache's key.
pub const UNCACHED: &str = "ENVRUN_NO_CACHE";

/// Makes the changes. Everything else keeps its bytes.
#[must_use]
pub fn prepare(text: &str, how: &Preparation<'_>) -> Prepared {
    let directives = directives(text);
    let instructions = instructions(text, &directives);
    let names: BTreeSet<String> = how.contexts.keys().cloned().collect();
    let mut reading = Reading {
        escape: directives.escape,
        surroundings: Surroundings {
            arguments: how.arguments,
            contexts: &names,
        },
        variables: BTreeMap::new(),
        stages: BTreeSet::new(),
        in_a_stage: false,
    };
    let first = instructions.iter().position(is_from);
    for instruction in &instructions[..first.unwrap_or(instructions.len())] {
        reading.instruction(instruction, &mut Vec::new());
    }
    let mut work = Work {
        how,
        escape: directives.escape,
        edits: Vec::new(),
        bases: Ok(BTreeSet::new()),
        uncached: false,
        contexts: how
            .contexts
            .iter()
            .map(|(name, image)| (familiar(name), image.as_str()))
            .collect(),
    };
    let stages = stages(
        &instructions[first.unwrap_or(instructions.len())..],
        &reading,
    );
    for number in 0..stages.len() {
        work.stage(&stages, number);
    }
    Prepared {
        text: apply(text, work.edits),
        bases: work.bases,
        uncached: work.uncached,
    }
}

/// A stage.
struct Stage<'a> {
    /// In lower case: names of stages are compared without regard to case.
    name: Option<String>,
    /// The word that says what it starts from, and what that means; `None` where a variable is not
    /// known here.
    base: &'a Word,
    resolved: Option<String>,
    instructions: &'a [Instruction],
}

fn is_from(instruction: &Instruction) -> bool {
    instruction.keyword == "FROM"
}

fn stages<'a>(mut rest: &'a [Instruction], reading: &Reading<'_>) -> Vec<Stage<'a>> {
    let mut stages = Vec::new();
    while let Some((from, after)) = rest.split_first() {
        let length = after.iter().position(is_from).unwrap_or(after.len());
        let (instructions, next) = rest.split_at(length + 1);
        rest = next;
        let mut words = from.words.iter();
        let Some(base) = words.find(|word| !word.text.starts_with("--")) else {
            continue;
        };
        let is_as = |word: &&Word| word.text.eq_ignore_ascii_case("as");
        let name = words.next().filter(is_as).and_then(|_| words.next());
        stages.push(Stage {
            name: name.map(|name| name.text.to_lowercase()),
            base,
            resolved: reading.expanded(&base.text),
            instructions,
        });
    }
    stages
}

struct Work<'a> {
    how: &'a Preparation<'a>,
    escape: char,
    contexts: BTreeMap<String, &'a str>,
    edits: Vec<(Range<usize>, String)>,
    bases: Result<BTreeSet<String>, UnknownBase>,
    uncached: bool,
}

impl Work<'_> {
    fn stage(&mut self, stages: &[Stage<'_>], number: usize) {
        let stage = &stages[number];
        let (Some(from), Some(last)) = (stage.instructions.first(), stage.instructions.last())
        else {
            return;
        };
        let is_stage = |stages: &[Stage<'_>], name: &str| {
            let name = name.to_lowercase();
            stages
                .iter()
                .any(|stage| stage.name.as_deref() == Some(&name))
        };
        if let Some(name) = &stage.name
            && let Some(image) = self.contexts.get(&familiar(name))
        {
            let whole = from.range.start..last.range.end;
            return self.edits.push((whole, format!("FROM {image} AS {name}")));
        }
        let resolved = stage.resolved.as_deref();
        // A stage starts from an earlier one, and copies from any.
        if !resolved.is_some_and(|name| name == "scratch" || is_stage(&stages[..number], name)) {
            self.image(resolved, stage.base, stage.base.range.clone());
        }
        let is_uncached = |name: &str| {
            let mut names = self.how.uncached.iter();
            names.any(|uncached| uncached.eq_ignore_ascii_case(name))
        };
        if stage.name.as_deref().is_some_and(is_uncached) || is_uncached(&number.to_string()) {
            let end = from.range.end;
            self.edits.push((end..end, format!("\nARG {UNCACHED}")));
            self.uncached = true;
        }
        for word in stage.instructions.iter().flat_map(sources) {
            // What a variable means there only the builder knows, and only new ones do.
            let Some(name) = unquoted(&word.text, self.escape) else {
                continue;
            };
            if name.parse::<usize>().is_err() && !name.is_empty() && !is_stage(stages, &name) {
                let range = word.range.clone();
                self.image(Some(&name), &word, range);
            }
        }
    }

    /// What is no stage is a context or an image.
    fn image(&mut self, name: Option<&str>, written: &Word, range: Range<usize>) {
        if let Some(image) = name.and_then(|name| self.contexts.get(&familiar(name))) {
            return self.edits.push((range, (*image).to_owned()));
        }
        match (name, &mut self.bases) {
            (Some(name), Ok(bases)) => {
                bases.insert(name.to_owned());
            }
            (None, bases @ Ok(_)) => *bases = Err(UnknownBase(written.text.clone())),
            (_, Err(_)) => {}
        }
    }
}

/// Names of contexts and images as people write them: the parts that go without saying left out.
fn familiar(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    let name = name.strip_prefix("docker.io/").unwrap_or(&name);
    let name = name.strip_prefix("library/").unwrap_or(name);
    name.strip_suffix(":latest").unwrap_or(name).to_owned()
}

/// The words that say what an instruction copies or mounts from.
fn sources(instruction: &Instruction) -> Vec<Word> {
    let flags = flags(&instruction.words);
    match instruction.keyword.as_str() {
        "COPY" => flags.filter_map(|flag| flag.after("--from=")).collect(),
        "RUN" => flags
            .filter_map(|flag| flag.after("--mount="))
            .flat_map(|options| options.split(','))
            .filter_map(|option| option.after("from="))
            .collect(),
        _ => Vec::new(),
    }
}

fn apply(text: &str, mut edits: Vec<(Range<usize>, String)>) -> String {
    edits.sort_by_key(|(range, _)| (range.start, range.end));
    let mut result = String::with_capacity(text.len());
    let mut at = 0;
    for (range, replacement) in edits {
        result.push_str(text.get(at..range.start).unwrap_or_default());
        result.push_str(&replacement);
        at = range.end;
    }
    result.push_str(text.get(at..).unwrap_or_default());
    result
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let pairs = pairs.iter();
        pairs
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn prepared(text: &str, contexts: &[(&str, &str)], arguments: &[(&str, &str)]) -> Prepared {
        prepare(
            text,
            &Preparation {
                arguments: &map(arguments),
                contexts: &map(contexts),
                uncached: &["quick".to_owned()],
            },
        )
    }

    #[test]
    fn names_of_contexts_become_images() {
        let text = "FROM --platform=linux/amd64 Base:latest AS one # x\nCOPY --chown=1 --from=files /a /b\nCOPY --from=ONE /a /b\nCOPY --from=0 / /\nRUN --mount=type=bind,from=files,target=/x --network=none cat --from=files\nFROM one\nCOPY files /\nFROM docker.io/library/base\nRUN <<E\nFROM base\nE\n";
        let got = prepared(text, &[("base", "img:1"), ("one", "img:3")], &[]);
        // The stage `one` is replaced as a whole, since a context has its name.
        assert_eq!(
            got.text,
            "FROM img:3 AS one\nFROM one\nCOPY files /\nFROM img:1\nRUN <<E\nFROM base\nE\n"
        );
        let got = prepared(text, &[("base", "img:1"), ("files", "img:2")], &[]);
        let expected = text
            .replace("Base:latest", "img:1")
            .replace("--from=files /a", "--from=img:2 /a")
            .replace("from=files,", "from=img:2,")
            .replace("docker.io/library/base", "img:1");
        assert_eq!(got.text, expected);
        assert_eq!(got.bases, Ok(BTreeSet::new()));
    }

    #[test]
    fn a_stage_that_is_replaced_goes_with_its_here_documents() {
        let text = "FROM a AS one\nRUN <<E\nFROM x\nE\nFROM one\n";
        let got = prepared(text, &[("one", "img:1")], &[]);
        assert_eq!(got.text, "FROM img:1 AS one\nFROM one\n");
    }

    #[test]
    fn arguments_are_put_in_before_names_are_compared() {
        let text = "ARG A=ba\nARG B=${A}se\nARG C\nFROM ${B:-x} AS s\nFROM $C\nFROM \"q$A\"\nARG A=late\nFROM ${A}\n";
        let got = prepared(text, &[("base", "img:1")], &[("C", "given")]);
        assert_eq!(got.text, text.replace("${B:-x}", "img:1"));
        let bases: Vec<String> = got.bases.expect("known").into_iter().collect();
        assert_eq!(bases, ["ba", "given", "qba"]);
        let got = prepared("FROM x$TARGETARCH\nFROM y\n", &[], &[]);
        assert_eq!(got.bases, Err(UnknownBase("x$TARGETARCH".to_owned())));
    }

    #[test]
    fn a_word_over_two_lines_is_replaced_whole() {
        let got = prepared("FROM ba\\\nse AS x\nRUN y\n", &[("base", "img:1")], &[]);
        assert_eq!(got.text, "FROM img:1 AS x\nRUN y\n");
    }

    #[test]
    fn a_stage_is_kept_from_the_cache_by_an_argument() {
        let text = "FROM a \\\n AS Quick\nRUN b\nFROM c\n";
        let got = prepared(text, &[], &[]);
        assert_eq!(
            got.text,
            "FROM a \\\n AS Quick\nARG ENVRUN_NO_CACHE\nRUN b\nFROM c\n"
        );
        assert!(got.uncached);
        assert!(!prepared("FROM a\n", &[], &[]).uncached);
    }

    proptest! {
        #[test]
        fn without_anything_to_change_a_dockerfile_stays_as_it_is(text in "\\PC*|([A-Z#\\\\`<\"' \t\r\n=$-]|FROM|RUN|<<E|E\n|--from=){0,60}") {
            prop_assert_eq!(&prepared(&text, &[], &[]).text, &text.clone());
            let found = instructions(&text, &directives(&text));
            let mut at = 0;
            for instruction in found {
                prop_assert!(instruction.range.start >= at && instruction.range.end <= text.len());
                prop_assert!(instruction.range.start <= instruction.range.end);
                at = instruction.range.end;
                for word in instruction.words {
                    let range = word.range;
                    prop_assert!(range.start >= instruction.range.start && range.end <= at);
                    prop_assert!(text.get(range).is_some());
                }
            }
        }

        #[test]
        fn a_replaced_base_is_the_only_change(before in "(# x\n|ARG A=b\n|\n){0,4}", gap in "[ \t]{1,3}|[ ]\\\\\n", after in "( AS x)?\n(RUN [a-z ]{0,20}\n){0,4}") {
            let text = format!("{before}FROM{gap}base{after}");
            let got = prepared(&text, &[("base", "img:1")], &[]);
            prop_assert_eq!(got.text, format!("{before}FROM{gap}img:1{after}"));
        }
    }
}

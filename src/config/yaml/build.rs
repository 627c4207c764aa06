//! Builds the tree from parser events, with a stack of its own instead of recursion.
//!
//! Aliases are expanded by copying, within a budget: a small file can otherwise ask for more memory
//! than the machine has.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use granit_parser::{Event, Parser, ScalarStyle, Span, Tag};

use super::super::diagnostic::{Problem, Problems};
use super::super::source::{Place, Source};
use super::resolve::{Resolved, is_null};
use super::{Entry, Key, MAX_DEPTH, Mapping, Mark, Node, Scalar, Value, shorten};

/// Nodes in one document, copies by aliases included. A node counts once, and once more for every
/// [`TEXT_UNIT`] bytes of text.
const BUDGET: usize = 400_000;
const TEXT_UNIT: usize = 64;

/// Reads the documents of a source, of which there may be none.
///
/// Problems that leave a tree (a duplicate key, an unknown tag) are added to `problems` and the
/// tree is still given, so that the rest of the file is checked too.
pub(in crate::config) fn parse(source: &Arc<Source>, problems: &mut Problems) -> Vec<Node> {
    let mut builder = Builder {
        source,
        problems,
        stack: Vec::new(),
        anchors: HashMap::new(),
        budget: BUDGET,
        roots: Vec::new(),
    };
    if let Err(problem) = builder.run() {
        builder.problems.push(*problem);
    }
    builder.roots
}

struct Builder<'a> {
    source: &'a Arc<Source>,
    problems: &'a mut Problems,
    stack: Vec<Frame>,
    anchors: HashMap<usize, Anchored>,
    budget: usize,
    roots: Vec<Node>,
}

/// What an anchor names; `None` while its node is still being read.
type Anchored = Option<Finished>;

/// A complete node, which still has to be put where it belongs.
struct Finished {
    node: Node,
    /// The number of levels that it has.
    height: usize,
    mark: Option<Mark>,
}

/// A collection that is still open.
struct Frame {
    place: Place,
    anchor: usize,
    mark: Option<Mark>,
    kind: Kind,
    /// Levels below this collection, for the depth limit.
    height: usize,
}

enum Kind {
    Sequence(Vec<Node>),
    Mapping {
        mapping: Mapping,
        key: Option<Key>,
        index: HashMap<String, Place>,
        merges: Vec<Node>,
        /// Whether the key is plain: a quoted `<<` is a key like any other.
        merges_next: bool,
    },
}

type Fatal = Box<Problem>;

impl Builder<'_> {
    fn run(&mut self) -> Result<(), Fatal> {
        let options = granit_parser::options! {
            flow_nesting_limit: MAX_DEPTH,
            block_nesting_limit: MAX_DEPTH,
            emit_comments: false,
        };
        for result in Parser::new_from_str_with_options(self.source.text(), options) {
            let (event, span) = result.map_err(|error| {
                let at = error.marker().byte_offset().unwrap_or(0);
                let place = self.source.place(at..at + 1);
                Box::new(Problem::error(format!("not valid yaml: {}", error.info())).at(&place))
            })?;
            self.event(event, span)?;
        }
        Ok(())
    }

    fn place(&self, span: Span) -> Place {
        self.source.place(span.byte_range().unwrap_or(0..0))
    }

    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Fatal> {
        let place = self.place(span);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let mark = mark_of(tag.as_deref());
                let value = self.scalar(&text, style, tag.as_deref(), &place);
                self.spend(1 + text.len() / TEXT_UNIT, &place)?;
                let node = Node { value, place };
                let finished = Finished {
                    node,
                    height: 0,
                    mark,
                };
                self.finish(finished, anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.collection_tag(tag.as_deref(), "seq", &place);
                let mark = mark_of(tag.as_deref());
                self.open(Kind::Sequence(Vec::new()), (anchor, mark), place)
            }
            Event::MappingStart(_, anchor, tag) => {
                self.collection_tag(tag.as_deref(), "map", &place);
                let kind = Kind::Mapping {
                    mapping: Mapping::default(),
                    key: None,
                    index: HashMap::new(),
                    merges: Vec::new(),
                    merges_next: false,
                };
                let mark = mark_of(tag.as_deref());
                self.open(kind, (anchor, mark), place)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(&place),
            Event::Alias(anchor) => self.alias(anchor, &place),
            _ => Ok(()),
        }
    }

    fn open(
        &mut self,
        kind: Kind,
        (anchor, mark): (usize, Option<Mark>),
        place: Place,
    ) -> Result<(), Fatal> {
        self.spend(1, &place)?;
        self.check_depth(1, &place)?;
        if anchor != 0 {
            self.anchors.insert(anchor, None);
        }
        self.stack.push(Frame {
            place,
            anchor,
            mark,
            kind,
            height: 0,
        });
        Ok(())
    }

    fn close(&mut self, end: &Place) -> Result<(), Fatal> {
        let Some(frame) = self.stack.pop() else {
            return Ok(());
        };
        let place = self
            .source
            .place(frame.place.range().start..end.range().end);
        let value = match frame.kind {
            Kind::Sequence(nodes) => Value::Sequence(nodes),
            Kind::Mapping {
                mut mapping,
                merges,
                index,
                ..
            } => {
                self.merge(&mut mapping, merges, index)?;
                Value::Mapping(mapping)
            }
        };
        let finished = Finished {
            node: Node { value, place },
            height: frame.height + 1,
            mark: frame.mark,
        };
        self.finish(finished, frame.anchor)
    }

    /// Puts a complete node where it belongs.
    fn finish(&mut self, finished: Finished, anchor: usize) -> Result<(), Fatal> {
        let Finished { node, height, mark } = finished;
        if anchor != 0 {
            // The anchor keeps a copy of its own, which counts like any other.
            let node = self.copy(&node, &node.place)?;
            let copy = Finished { node, height, mark };
            self.anchors.insert(anchor, Some(copy));
        }
        let Some(frame) = self.stack.last_mut() else {
            self.roots.push(node);
            return Ok(());
        };
        frame.height = frame.height.max(height);
        match &mut frame.kind {
            // An entry of a list has no place of its own in another file that could be reset.
            Kind::Sequence(nodes) => nodes.extend(Some(node).filter(|_| mark != Some(Mark::Reset))),
            Kind::Mapping {
                mapping,
                key,
                index,
                merges,
                merges_next,
            } => match key.take() {
                None => {
                    *merges_next = matches!(&node.value, Value::Scalar(scalar) if scalar.plain);
                    *key = Some(into_key(node, self.problems));
                }
                Some(key) if key.text == "<<" && *merges_next => merges.push(node),
                Some(key) => {
                    if let Some(first) = index.get(&key.text) {
                        self.problems.push(
                            Problem::error(format!("key `{}` is given twice", shorten(&key.text)))
                                .label(&key.place, "given again here")
                                .label(first, "first given here"),
                        );
                    } else {
                        index.insert(key.text.clone(), key.place.clone());
                        mapping.entries.push(Entry {
                            value: with_place(node, &key.place),
                            key,
                            mark,
                        });
                    }
                }
            },
        }
        Ok(())
    }

    fn alias(&mut self, anchor: usize, place: &Place) -> Result<(), Fatal> {
        let Some(target) = self.anchors.get_mut(&anchor) else {
            return Err(Box::new(
                Problem::error("the alias names no anchor").at(place),
            ));
        };
        // The node is taken out while it is copied, and put back.
        let Some(target) = target.take() else {
            return Err(Box::new(
                Problem::error("the alias stands inside the node that it names")
                    .label(place, "this would never end"),
            ));
        };
        let (height, mark) = (target.height, target.mark);
        self.check_depth(height, place)?;
        let node = self.copy(&target.node, place)?;
        self.anchors.insert(anchor, Some(target));
        self.finish(Finished { node, height, mark }, 0)
    }

    /// Copies a node, spending the budget as it goes. The depth is bounded by [`MAX_DEPTH`].
    fn copy(&mut self, node: &Node, place: &Place) -> Result<Node, Fatal> {
        let value = match &node.value {
            Value::Null => {
                self.spend(1, place)?;
                Value::Null
            }
            Value::Scalar(scalar) => {
                self.spend(1 + scalar.text.len() / TEXT_UNIT, place)?;
                Value::Scalar(scalar.clone())
            }
            Value::Sequence(nodes) => {
                self.spend(1, place)?;
                let mut copies = Vec::with_capacity(nodes.len());
                for node in nodes {
                    copies.push(self.copy(node, place)?);
                }
                Value::Sequence(copies)
            }
            Value::Mapping(mapping) => {
                self.spend(1, place)?;
                let mut copy = Mapping {
                    entries: Vec::with_capacity(mapping.entries.len()),
                };
                // What is reset at the anchor is not there for its aliases.
                let kept = mapping.entries.iter();
                for entry in kept.filter(|entry| entry.mark != Some(Mark::Reset)) {
                    self.spend(1 + entry.key.text.len() / TEXT_UNIT, place)?;
                    let value = self.copy(&entry.value, place)?;
                    copy.entries.push(Entry {
                        key: entry.key.clone(),
                        value,
                        mark: entry.mark,
                    });
                }
                Value::Mapping(copy)
            }
        };
        Ok(Node {
            value,
            place: node.place.clone(),
        })
    }

    fn spend(&mut self, amount: usize, place: &Place) -> Result<(), Fatal> {
        match self.budget.checked_sub(amount) {
            Some(rest) => {
                self.budget = rest;
                Ok(())
            }
            None => Err(Box::new(
                Problem::error(format!(
                    "the document is too large: more than {BUDGET} values, aliases expanded"
                ))
                .label(place, "the limit is reached here")
                .help("aliases that contain aliases multiply; write out what is really needed"),
            )),
        }
    }

    fn check_depth(&self, height: usize, place: &Place) -> Result<(), Fatal> {
        if self.stack.len() + height <= MAX_DEPTH {
            return Ok(());
        }
        let message = format!("nested deeper than {MAX_DEPTH} levels");
        Err(Box::new(Problem::error(message).at(place)))
    }

    /// Adds what merge keys (`<<`) bring: only keys that are not there yet, the first source first.
    fn merge(
        &mut self,
        mapping: &mut Mapping,
        merges: Vec<Node>,
        mut index: HashMap<String, Place>,
    ) -> Result<(), Fatal> {
        let mut sources = Vec::new();
        for (position, node) in merges.into_iter().enumerate() {
            if position > 0 {
                self.problems.push(
                    Problem::error("key `<<` is given twice")
                        .at(&node.place)
                        .help("merge several mappings with a list: `<<: [*a, *b]`"),
                );
            }
            match node.value {
                // In a list, what says how it is merged has no path in another file.
                Value::Sequence(nodes) => sources.extend(nodes.into_iter().map(without_marks)),
                _ => sources.push(node),
            }
        }
        for source in sources {
            let Value::Mapping(source) = source.value else {
                self.problems.push(
                    Problem::error(format!(
                        "`<<` merges a mapping or a list of mappings, found {}",
                        source.describe()
                    ))
                    .at(&source.place),
                );
                continue;
            };
            for entry in source.entries {
                if !index.contains_key(&entry.key.text) {
                    index.insert(entry.key.text.clone(), entry.key.place.clone());
                    mapping.entries.push(entry);
                }
            }
        }
        Ok(())
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        tag: Option<&Tag>,
        place: &Place,
    ) -> Value {
        let plain = style == ScalarStyle::Plain;
        // The parser writes `~` for a value that is not there at all.
        let text = if plain && place.range().is_empty() {
            ""
        } else {
            text
        };
        let scalar = |plain: bool| {
            if plain && is_null(text) {
                Value::Null
            } else {
                Value::Scalar(if plain {
                    Scalar::plain(text)
                } else {
                    Scalar::text(text)
                })
            }
        };
        let Some(tag) = tag else { return scalar(plain) };
        match tag.core_suffix() {
            Some("str") => scalar(false),
            Some("int" | "float" | "bool") => scalar(true),
            Some("null") => Value::Null,
            _ if tag.original() == "!" => scalar(false),
            _ if tag.original() == "!!binary" => self.binary(text, place),
            _ if mark_of(Some(tag)).is_some() => scalar(plain),
            _ => {
                self.unknown_tag(tag, place);
                scalar(false)
            }
        }
    }

    /// Text that stands there in base 64.
    fn binary(&mut self, text: &str, place: &Place) -> Value {
        let digits: String = text.split_whitespace().collect();
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(digits)
            .ok();
        match bytes.and_then(|bytes| String::from_utf8(bytes).ok()) {
            Some(text) => Value::Scalar(Scalar::text(text)),
            None => {
                let message = "`!!binary` is not followed by text in base 64";
                self.problems.push(Problem::error(message).at(place));
                Value::Scalar(Scalar::text(text))
            }
        }
    }

    fn collection_tag(&mut self, tag: Option<&Tag>, wanted: &str, place: &Place) {
        if let Some(tag) = tag
            && tag.core_suffix() != Some(wanted)
            && tag.original() != "!"
            && mark_of(Some(tag)).is_none()
        {
            self.unknown_tag(tag, place);
        }
    }

    fn unknown_tag(&mut self, tag: &Tag, place: &Place) {
        let name = shorten(&tag.original());
        let problem = Problem::warning(format!("unknown tag `{name}` has no effect")).at(place);
        let help = "tags of a compose file are `!reset` and `!override`";
        self.problems.push_shared(problem.help(help));
    }
}

/// The entries of a mapping without their marks.
fn without_marks(mut node: Node) -> Node {
    if let Value::Mapping(mapping) = &mut node.value {
        for entry in &mut mapping.entries {
            entry.mark = None;
        }
    }
    node
}

fn mark_of(tag: Option<&Tag>) -> Option<Mark> {
    match tag?.original().as_str() {
        "!reset" => Some(Mark::Reset),
        "!override" => Some(Mark::Override),
        _ => None,
    }
}

/// A key must be a text; anything else is reported and stands in under an empty name.
fn into_key(node: Node, problems: &mut Problems) -> Key {
    let text = match &node.value {
        Value::Scalar(scalar) => {
            if scalar.resolve() != Resolved::Text {
                let message = format!("a key must be text, found {}", node.describe());
                let help = format!("quote it: `\"{}\"`", shorten(&scalar.text));
                problems.push(Problem::error(message).at(&node.place).help(help));
            }
            scalar.text.clone()
        }
        Value::Null | Value::Sequence(_) | Value::Mapping(_) => {
            problems.push(
                Problem::error(format!("a key must be text, found {}", node.describe()))
                    .at(&node.place)
                    .help("quote a value that starts with `{` or `[`, such as `\"${VARIABLE}\"`"),
            );
            String::new()
        }
    };
    Key {
        text,
        place: node.place,
    }
}

/// A value that is not written at all has no place to point at, so its key's place is taken.
fn with_place(mut node: Node, key: &Place) -> Node {
    if node.is_null() && node.place.range().is_empty() {
        node.place = key.clone();
    }
    node
}

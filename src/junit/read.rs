//! From bytes to a [`Report`]: owns what is accepted and what is refused.
//!
//! It must be as lenient as the tools that write JUnit are sloppy, and must never expand an entity,
//! take a document that stops half-way for a whole one, or use memory out of proportion to its
//! input.

use std::fmt;

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Error as XmlError, Reader};
use thiserror::Error;

use super::decode::decode;
use super::text;
use super::tree::{Element, Node, Note, Report};

/// Largest document that is read, in bytes: 64 MiB. GitLab stops at 30 MB.
pub const MAX_DOCUMENT: usize = 64 * 1024 * 1024;

/// Deepest nesting of elements that is read. The tools that nest suites stay below twenty.
pub const MAX_DEPTH: usize = 256;

/// Most elements, attributes and texts of one document: `<a/>` repeated to the size limit would
/// take gigabytes as a tree.
pub const MAX_NODES: usize = 4_000_000;

/// Where in a document something was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Bytes before it in the document as UTF-8, without a byte-order mark.
    pub offset: usize,
    /// The line, counted from 1.
    pub line: usize,
}

impl Place {
    fn of(text: &str, offset: usize) -> Self {
        let offset = offset.min(text.len());
        let before = &text.as_bytes()[..offset];
        Self {
            offset,
            line: 1 + before.iter().filter(|byte| **byte == b'\n').count(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line `{}`, byte `{}`", self.line, self.offset)
    }
}

/// Why a document is no report.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReadError {
    /// Nothing but white space: the writer died before it wrote.
    #[error("the document is empty")]
    Empty,
    /// More than [`MAX_DOCUMENT`] bytes.
    #[error("the document is `{size}` bytes long, over the limit of `{limit}`")]
    TooLarge {
        /// Bytes of the document.
        size: usize,
        /// Bytes that are allowed.
        limit: usize,
    },
    /// The document stops inside an element or inside markup: the writer died while it wrote.
    #[error("the document ends early at {place}, inside `{inside}`")]
    Truncated {
        /// The innermost open element, or the markup that is not closed.
        inside: String,
        /// Where the document stops.
        place: Place,
    },
    /// There is no element at all.
    #[error("the document holds no xml element")]
    NotXml,
    /// The root element is not one of JUnit's.
    #[error("the root element at {place} is `{root}`, not `testsuites` or `testsuite`")]
    NotJunit {
        /// The name of the root element.
        root: String,
        /// Where it stands.
        place: Place,
    },
    /// There is no such file.
    #[error("no file matches")]
    Missing,
    /// There is neither a test nor anything else of the format.
    #[error("the document holds nothing of {format}")]
    NotTests {
        /// The name of the format.
        format: &'static str,
    },
    /// There are more tests than are read.
    #[error("there are more than `{limit}` tests")]
    TooManyTests {
        /// The number that is allowed.
        limit: usize,
    },
    /// Elements are nested deeper than [`MAX_DEPTH`].
    #[error("elements are nested deeper than `{limit}` at {place}")]
    TooDeep {
        /// The depth that is allowed.
        limit: usize,
        /// Where the limit is passed.
        place: Place,
    },
    /// There are more elements, attributes and texts than [`MAX_NODES`].
    #[error("there are more than `{limit}` elements, attributes and texts at {place}")]
    TooManyNodes {
        /// The number that is allowed.
        limit: usize,
        /// Where the limit is passed.
        place: Place,
    },
    /// The document type declares entities, which no report needs and which attacks are made of.
    #[error("the document type at {place} declares entities, which are never expanded")]
    EntityDeclared {
        /// Where the declaration stands.
        place: Place,
    },
    /// The markup is broken.
    #[error("malformed xml at {place}: {reason}")]
    Malformed {
        /// What is wrong.
        reason: String,
        /// Where it is wrong.
        place: Place,
    },
}

/// Reads a JUnit document: `testsuites` or a bare `testsuite`, in any dialect. What is not
/// understood is kept; characters that XML cannot carry are cleaned away.
///
/// # Errors
/// The document is empty, stops early, is broken, is no JUnit, declares entities, or is over a
/// limit.
pub fn read(bytes: &[u8]) -> Result<Report, ReadError> {
    if bytes.len() > MAX_DOCUMENT {
        return Err(ReadError::TooLarge {
            size: bytes.len(),
            limit: MAX_DOCUMENT,
        });
    }
    let decoded = decode(bytes);
    let mut notes = Vec::new();
    if decoded.replaced {
        notes.push(Note::BytesReplaced);
    }
    parse(&decoded.text, notes)
}

/// Reads a document that is text already, whatever its size.
pub(super) fn parse(text: &str, notes: Vec<Note>) -> Result<Report, ReadError> {
    if text.trim().is_empty() {
        return Err(ReadError::Empty);
    }
    let mut builder = Builder {
        text,
        open: Vec::new(),
        root: None,
        outside: Vec::new(),
        nodes: 0,
        notes,
    };
    let mut reader = Reader::from_str(text);
    reader.config_mut().allow_dangling_amp = true;
    loop {
        let start = position(reader.buffer_position());
        match reader.read_event() {
            Ok(Event::Eof) => return builder.finish(),
            Ok(event) => builder.accept(event, start)?,
            Err(error) => {
                let consumed = position(reader.buffer_position());
                return Err(builder.broken(&error, position(reader.error_position()), consumed));
            }
        }
    }
}

/// An offset that fits, since the document is in memory.
fn position(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

/// The tree while it grows.
struct Builder<'text> {
    text: &'text str,
    open: Vec<Element>,
    root: Option<Element>,
    outside: Vec<Node>,
    nodes: usize,
    notes: Vec<Note>,
}

impl Builder<'_> {
    fn place(&self, offset: usize) -> Place {
        Place::of(self.text, offset)
    }

    fn malformed(&self, reason: impl Into<String>, offset: usize) -> ReadError {
        ReadError::Malformed {
            reason: reason.into(),
            place: self.place(offset),
        }
    }

    fn accept(&mut self, event: Event<'_>, offset: usize) -> Result<(), ReadError> {
        match event {
            Event::Start(start) => {
                let element = self.element(&start, offset)?;
                self.open.push(element);
                if self.open.len() > MAX_DEPTH {
                    let place = self.place(offset);
                    return Err(ReadError::TooDeep {
                        limit: MAX_DEPTH,
                        place,
                    });
                }
            }
            Event::Empty(start) => {
                let element = self.element(&start, offset)?;
                self.close(element);
            }
            Event::End(_) => match self.open.pop() {
                Some(element) => self.close(element),
                None => return Err(self.malformed("an end tag without its start", offset)),
            },
            Event::Text(content) => self.text(&lossy(&content), false, offset)?,
            Event::CData(content) => self.text(&lossy(&content), true, offset)?,
            Event::GeneralRef(reference) => {
                let name = lossy(&reference);
                let resolved = text::resolve_reference(&name)
                    .map_or_else(|| format!("&{name};"), |character| character.to_string());
                self.raw_text(&resolved, false, offset)?;
            }
            Event::Comment(content) => self.append(Node::Comment(cleaned(&content)), offset)?,
            Event::PI(content) => self.append(Node::Instruction(cleaned(&content)), offset)?,
            Event::DocType(content) => {
                if lossy(&content).to_ascii_uppercase().contains("<!ENTITY") {
                    return Err(ReadError::EntityDeclared {
                        place: self.place(offset),
                    });
                }
                self.note(Note::DoctypeDropped);
            }
            Event::Decl(_) if self.root.is_some() => {
                return Err(self.malformed("a second document follows the first", offset));
            }
            Event::Decl(_) | Event::Eof => {}
        }
        Ok(())
    }

    fn note(&mut self, note: Note) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    fn count(&mut self, nodes: usize, offset: usize) -> Result<(), ReadError> {
        self.nodes += nodes;
        if self.nodes > MAX_NODES {
            let place = self.place(offset);
            return Err(ReadError::TooManyNodes {
                limit: MAX_NODES,
                place,
            });
        }
        Ok(())
    }

    fn element(&mut self, start: &BytesStart<'_>, offset: usize) -> Result<Element, ReadError> {
        let mut name = lossy(start.name().as_ref()).into_owned();
        if let Some(root) = self.open.first() {
            // A document that binds JUnit's elements to a prefix is read as if it did not.
            if let Some((prefix, _)) = root.name.split_once(':') {
                strip_prefix(&mut name, prefix);
            }
        } else if self.root.is_some() {
            return Err(self.malformed("a second root element", offset));
        } else {
            let local = name.rsplit(':').next().unwrap_or_default();
            if !matches!(local, "testsuites" | "testsuite") {
                let root = text::sanitise(&text::truncate_middle(&name, 100)).into_owned();
                return Err(ReadError::NotJunit {
                    root,
                    place: self.place(offset),
                });
            }
        }
        let mut element = Element::new(name);
        for attribute in start.attributes().with_checks(false) {
            let attribute = attribute.map_err(|error| self.malformed(error.to_string(), offset))?;
            self.count(1, offset)?;
            let value = lossy(&attribute.value);
            let value = text::normalise_lines(&value);
            let value = text::resolve_references(&value);
            element.attributes.push((
                lossy(attribute.key.as_ref()).into_owned(),
                text::sanitise(&value).into_owned(),
            ));
        }
        self.count(1, offset)?;
        Ok(element)
    }

    fn text(&mut self, content: &str, cdata: bool, offset: usize) -> Result<(), ReadError> {
        self.raw_text(&text::normalise_lines(content), cdata, offset)
    }

    /// Adds characters, joined to the text or CDATA before them: what a writer cut in two reads as
    /// one, and an escape sequence that is spelled with a reference is seen whole.
    fn raw_text(&mut self, content: &str, cdata: bool, offset: usize) -> Result<(), ReadError> {
        if let Some(element) = self.open.last_mut() {
            match element.children.last_mut() {
                Some(Node::Text(text)) if !cdata => text.push_str(content),
                Some(Node::CData(text)) if cdata => text.push_str(content),
                _ => {
                    let content = content.to_owned();
                    let node = if cdata {
                        Node::CData(content)
                    } else {
                        Node::Text(content)
                    };
                    element.children.push(node);
                    self.count(1, offset)?;
                }
            }
        } else if !content.trim().is_empty() {
            self.note(Note::TextOutsideRoot);
        }
        Ok(())
    }

    fn append(&mut self, node: Node, offset: usize) -> Result<(), ReadError> {
        self.count(1, offset)?;
        match self.open.last_mut() {
            Some(element) => element.children.push(node),
            None => self.outside.push(node),
        }
        Ok(())
    }

    /// Puts a complete element where it belongs, after its texts are cleaned.
    fn close(&mut self, mut element: Element) {
        let layout = matches!(
            element.name.rsplit(':').next(),
            Some("testsuites" | "testsuite" | "testcase" | "properties")
        );
        // White space between these elements is layout; anywhere else it may be a test's output.
        element.children.retain(|child| {
            !(layout && matches!(child, Node::Text(text) if text.trim().is_empty()))
        });
        for child in &mut element.children {
            if let Node::Text(content) | Node::CData(content) = child
                && let std::borrow::Cow::Owned(clean) = text::sanitise(content)
            {
                *content = clean;
            }
        }
        match self.open.last_mut() {
            Some(parent) => parent.children.push(Node::Element(element)),
            None => self.root = Some(element),
        }
    }

    fn finish(self) -> Result<Report, ReadError> {
        if let Some(element) = self.open.last() {
            let inside = text::sanitise(&text::truncate_middle(&element.name, 100)).into_owned();
            return Err(ReadError::Truncated {
                inside,
                place: self.place(self.text.len()),
            });
        }
        let Some(mut root) = self.root else {
            return Err(ReadError::NotXml);
        };
        if let Some((_, local)) = root.name.split_once(':') {
            root.name = local.to_owned();
        }
        Ok(Report::new(root, self.outside, self.notes))
    }

    /// The parser's error, told apart by whether the input was used up: then the writer died, else
    /// it was wrong.
    fn broken(&self, error: &XmlError, offset: usize, consumed: usize) -> ReadError {
        let early = matches!(error, XmlError::Syntax(_)) && consumed >= self.text.len();
        if !early {
            return self.malformed(text::sanitise(&error.to_string()), offset);
        }
        let tail = self.text.get(offset..).unwrap_or_default();
        let inside = match self.open.last() {
            _ if tail.starts_with("<![CDATA[") => "<![CDATA[".to_owned(),
            _ if tail.starts_with("<!--") => "<!--".to_owned(),
            Some(element) => text::truncate_middle(&element.name, 100).into_owned(),
            None => {
                text::truncate_middle(tail.lines().next().unwrap_or_default(), 100).into_owned()
            }
        };
        let inside = text::sanitise(&inside).into_owned();
        ReadError::Truncated {
            inside,
            place: self.place(self.text.len()),
        }
    }
}

/// The bytes as text. They are part of a text, and markup is cut at ASCII characters only, so
/// nothing is ever lost here.
fn lossy(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

fn cleaned(bytes: &[u8]) -> String {
    let text = lossy(bytes);
    text::sanitise(&text::normalise_lines(&text)).into_owned()
}

fn strip_prefix(name: &mut String, prefix: &str) {
    if let Some(local) = name
        .strip_prefix(prefix)
        .and_then(|rest| rest.strip_prefix(':'))
    {
        *name = local.to_owned();
    }
}

//! A tree of elements as bytes: owns well-formedness, that of names and namespaces included.
//!
//! It must never write what a strict reader refuses, whatever the tree holds: names are made legal,
//! prefixes that nothing binds are taken apart, texts are sanitised and escaped.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::io;

use quick_xml::Writer;
use quick_xml::events::{BytesCData, BytesDecl, BytesEnd, BytesPI, BytesStart, BytesText, Event};

use super::text;
use super::tree::{Element, Node};

/// Deepest level that is laid out on lines of its own. It covers `property`, and keeps the
/// indentation of a deeply nested document from outgrowing the document.
const DEEPEST_LAYOUT: usize = 4;

/// Most prefixes that are bound at one place: each name with a prefix is looked up among them.
const MOST_BOUND: usize = 64;

const XML_NAMESPACE: &str = "http://www.w3.org/XML/1998/namespace";
const XMLNS_NAMESPACE: &str = "http://www.w3.org/2000/xmlns/";

/// The document with this root element, in UTF-8.
pub(super) fn document(root: &Element) -> Vec<u8> {
    let mut output = Output {
        writer: Writer::new(Vec::new()),
        bound: Vec::new(),
    };
    // Writing to memory cannot fail; the bytes are handed out whatever the writer says.
    let _written = output.document(root);
    output.writer.into_inner()
}

/// How many bytes the document with this root element has.
pub(super) fn size(root: &Element) -> usize {
    let mut output = Output {
        writer: Writer::new(Size(0)),
        bound: Vec::new(),
    };
    let _counted = output.document(root);
    output.writer.into_inner().0
}

/// Counts what is written and keeps nothing of it.
struct Size(usize);

impl io::Write for Size {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Output<W: io::Write> {
    writer: Writer<W>,
    /// Prefixes and namespaces that the open elements bind, innermost last.
    bound: Vec<(String, String)>,
}

impl<W: io::Write> Output<W> {
    fn document(&mut self, root: &Element) -> io::Result<()> {
        self.writer
            .write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
        self.line(0)?;
        self.element(root, 0)?;
        self.line(0)
    }

    fn line(&mut self, depth: usize) -> io::Result<()> {
        let layout = format!("\n{}", "  ".repeat(depth));
        self.writer
            .write_event(Event::Text(BytesText::from_escaped(layout)))
    }

    fn element(&mut self, element: &Element, depth: usize) -> io::Result<()> {
        let outer = self.bound.len();
        let attributes = self.attributes(element);
        let name = self.qualified(&element.name);
        let mut start = BytesStart::new(name.as_str());
        for (key, value) in &attributes {
            let value = text::escape_attribute(value);
            start.push_attribute((key.as_bytes(), value.as_bytes()));
        }
        if element.children.is_empty() {
            self.writer.write_event(Event::Empty(start))?;
        } else {
            self.writer.write_event(Event::Start(start))?;
            // White space between these elements means nothing to any reader, and a person can read
            // them.
            let layout = depth < DEEPEST_LAYOUT
                && matches!(
                    name.as_str(),
                    "testsuites" | "testsuite" | "testcase" | "properties"
                )
                && element
                    .children
                    .iter()
                    .all(|child| child.as_text().is_none());
            for child in &element.children {
                if layout {
                    self.line(depth + 1)?;
                }
                self.node(child, depth + 1)?;
            }
            if layout {
                self.line(depth)?;
            }
            self.writer
                .write_event(Event::End(BytesEnd::new(name.as_str())))?;
        }
        self.bound.truncate(outer);
        Ok(())
    }

    fn node(&mut self, node: &Node, depth: usize) -> io::Result<()> {
        match node {
            Node::Element(element) => self.element(element, depth),
            Node::Text(content) => {
                let content = text::escape_content(content);
                self.writer
                    .write_event(Event::Text(BytesText::from_escaped(content)))
            }
            Node::CData(content) => {
                let content = text::sanitise(content);
                text::cdata_sections(&content).try_for_each(|section| {
                    self.writer
                        .write_event(Event::CData(BytesCData::new(section)))
                })
            }
            Node::Comment(content) => self.comment(content),
            Node::Instruction(content) => {
                let content = text::sanitise(content);
                let (target, _) = content
                    .split_once(|c: char| c.is_ascii_whitespace())
                    .unwrap_or((&content, ""));
                let is_sound = target == legal_part(target)
                    && !target.eq_ignore_ascii_case("xml")
                    && !content.contains("?>");
                if is_sound {
                    self.writer
                        .write_event(Event::PI(BytesPI::new(content.as_ref())))
                } else {
                    self.comment(&content)
                }
            }
        }
    }

    /// A comment may neither hold two hyphens in a row nor end with one.
    fn comment(&mut self, content: &str) -> io::Result<()> {
        let mut legal = String::with_capacity(content.len() + 1);
        for character in text::sanitise(content).chars() {
            if character == '-' && legal.ends_with('-') {
                legal.push(' ');
            }
            legal.push(character);
        }
        if legal.ends_with('-') {
            legal.push(' ');
        }
        self.writer
            .write_event(Event::Comment(BytesText::from_escaped(legal)))
    }

    /// The attributes with legal and distinct names. What binds prefixes comes into force first,
    /// since it holds for its own element too.
    fn attributes(&mut self, element: &Element) -> Vec<(String, String)> {
        // A default namespace on JUnit's own elements would hide them from every reader that looks
        // for plain names, which is all of them.
        let is_junit = matches!(
            element.name.as_str(),
            "testsuites"
                | "testsuite"
                | "testcase"
                | "properties"
                | "property"
                | "failure"
                | "error"
                | "skipped"
                | "system-out"
                | "system-err"
        );
        let mut prefixes = HashSet::new();
        let mut binding = HashSet::new();
        for (index, (key, value)) in element.attributes.iter().enumerate() {
            if let Some(prefix) = key.strip_prefix("xmlns:")
                && self.bound.len() < MOST_BOUND
                && can_bind(prefix, value)
                && prefixes.insert(prefix)
            {
                self.bound.push((prefix.to_owned(), value.clone()));
                binding.insert(index);
            }
        }
        let mut written = Vec::with_capacity(element.attributes.len());
        let mut distinct = Distinct {
            bound: &self.bound,
            taken: HashSet::new(),
            next: HashMap::new(),
        };
        for (index, (key, value)) in element.attributes.iter().enumerate() {
            let name = if key == "xmlns" {
                if is_junit {
                    continue;
                }
                if value.is_empty() || is_namespace(value) {
                    key.clone()
                } else {
                    "xmlns_".to_owned()
                }
            } else if binding.contains(&index) {
                key.clone()
            } else {
                self.qualified(key)
            };
            let name = distinct.name(name);
            written.push((name, value.clone()));
        }
        written
    }

    /// The name as it may be written here: with its prefix if something binds it, else in one part.
    fn qualified(&self, name: &str) -> String {
        if let Some((prefix, local)) = name.split_once(':')
            && namespace(&self.bound, prefix).is_some()
            && local == legal_part(local)
        {
            return name.to_owned();
        }
        let legal = legal_part(name);
        // A plain name that begins so would be a declaration or is reserved.
        if legal == "xmlns" {
            "xmlns_".to_owned()
        } else {
            legal.into_owned()
        }
    }
}

/// What the innermost declaration binds to this prefix.
fn namespace<'bound>(bound: &'bound [(String, String)], prefix: &str) -> Option<&'bound str> {
    if prefix == "xml" {
        return Some(XML_NAMESPACE);
    }
    let mut innermost_first = bound.iter().rev();
    innermost_first
        .find(|(known, _)| known == prefix)
        .map(|(_, namespace)| namespace.as_str())
}

/// The names of one element's attributes, each given once.
struct Distinct<'bound> {
    bound: &'bound [(String, String)],
    taken: HashSet<(&'bound str, String)>,
    next: HashMap<String, usize>,
}

impl<'bound> Distinct<'bound> {
    /// The name, or the same with the first number that makes it unlike the others, in what it
    /// expands to as well.
    fn name(&mut self, wanted: String) -> String {
        if self.taken.insert(self.expanded(&wanted)) {
            return wanted;
        }
        let mut number = self.next.get(&wanted).copied().unwrap_or(2);
        loop {
            let name = format!("{wanted}_{number}");
            number += 1;
            if self.taken.insert(self.expanded(&name)) {
                self.next.insert(wanted, number);
                return name;
            }
        }
    }

    fn expanded(&self, name: &str) -> (&'bound str, String) {
        match name.split_once(':') {
            Some(("xmlns", prefix)) => (XMLNS_NAMESPACE, prefix.to_owned()),
            Some((prefix, local)) => (
                namespace(self.bound, prefix).unwrap_or_default(),
                local.to_owned(),
            ),
            None => ("", name.to_owned()),
        }
    }
}

/// Whether the declaration is one that the namespace recommendation allows (sections 3 and 5).
fn can_bind(prefix: &str, namespace: &str) -> bool {
    is_namespace(namespace)
        && !matches!(prefix, "" | "xml" | "xmlns")
        && prefix == legal_part(prefix)
}

/// Whether a name may be bound to this: a plain URI. The allowed characters are fewer than a URI's,
/// since libxml2 refuses one with a bad escape or port, and expat refuses the brace that Python
/// puts between a namespace and a name.
fn is_namespace(namespace: &str) -> bool {
    let is_plain =
        |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?#=&+,;@!$'()*".contains(&byte);
    namespace
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_alphabetic())
        && namespace.bytes().all(is_plain)
        && namespace.matches('#').count() <= 1
        && !matches!(namespace, XML_NAMESPACE | XMLNS_NAMESPACE)
}

/// The name without a colon and with `_` for every character that not all readers allow in a name.
fn legal_part(name: &str) -> Cow<'_, str> {
    let starts_well = name.chars().next().is_some_and(is_name_start);
    if starts_well && name.chars().all(is_name_character) {
        return Cow::Borrowed(name);
    }
    let mut legal = String::with_capacity(name.len() + 1);
    if !starts_well {
        legal.push('_');
    }
    legal.extend(
        name.chars()
            .map(|c| if is_name_character(c) { c } else { '_' }),
    );
    Cow::Owned(legal)
}

/// The letters that both the fourth and the fifth edition of XML 1.0 allow to begin a name; expat,
/// under Python and many others, still holds to the fourth. Scripts that no report is known to use
/// are left out.
const fn is_name_start(character: char) -> bool {
    matches!(character,
        'A'..='Z' | 'a'..='z' | '_' | 'À'..='Ö' | 'Ø'..='ö' | 'ø'..='ÿ' | 'А'..='я'
        | 'ぁ'..='ゔ' | 'ァ'..='ヺ' | '一'..='\u{9fa5}' | '가'..='힣')
}

const fn is_name_character(character: char) -> bool {
    is_name_start(character) || matches!(character, '0'..='9' | '-' | '.')
}

//! A reader that is strict where the module's own is lenient: what it takes, every parser takes.

use std::collections::HashSet;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use crate::junit::text::{is_legal, resolve_reference};

/// Panics unless the text is one well-formed document without anything that XML 1.0 forbids.
pub(super) fn check(document: &str) {
    let illegal = document.chars().find(|character| !is_legal(*character));
    assert_eq!(illegal, None, "an illegal character is in the document");
    let mut reader = Reader::from_str(document);
    reader.config_mut().enable_all_checks(true);
    let mut depth = 0_usize;
    let mut roots = 0_usize;
    loop {
        let event = reader
            .read_event()
            .unwrap_or_else(|error| panic!("{error}\n{document}"));
        match event {
            Event::Start(start) => {
                roots += usize::from(depth == 0);
                depth += 1;
                check_tag(&start);
            }
            Event::Empty(start) => {
                roots += usize::from(depth == 0);
                check_tag(&start);
            }
            Event::End(_) => depth -= 1,
            Event::Text(text) => {
                assert!(
                    !text.windows(3).any(|window| window == b"]]>"),
                    "`]]>` in a text"
                );
                assert!(
                    depth > 0 || text.trim_ascii().is_empty(),
                    "text outside the root"
                );
            }
            Event::CData(_) => assert!(depth > 0, "a section outside the root"),
            Event::GeneralRef(reference) => {
                check_reference(std::str::from_utf8(&reference).expect("utf-8"));
            }
            Event::Comment(comment) => assert!(!comment.ends_with(b"-"), "`--->`"),
            Event::PI(instruction) => check_name(instruction.target()),
            Event::DocType(_) => panic!("a document type"),
            Event::Decl(_) => assert_eq!(roots, 0, "a declaration after the root"),
            Event::Eof => break,
        }
    }
    assert_eq!((roots, depth), (1, 0), "not one complete root element");
}

fn check_tag(start: &BytesStart<'_>) {
    check_name(start.name().as_ref());
    let mut names = HashSet::new();
    for attribute in start.attributes() {
        let attribute = attribute.unwrap_or_else(|error| panic!("{error}"));
        check_name(attribute.key.as_ref());
        assert!(
            names.insert(attribute.key.as_ref().to_vec()),
            "an attribute twice"
        );
        let value = std::str::from_utf8(&attribute.value).expect("utf-8");
        assert!(!value.contains('<'), "`<` in an attribute");
        for piece in value.split('&').skip(1) {
            check_reference(piece.split(';').next().unwrap_or_default());
        }
    }
}

fn check_reference(reference: &str) {
    let character = resolve_reference(reference);
    assert!(
        character.is_some_and(is_legal),
        "`&{reference};` means nothing"
    );
}

fn check_name(name: &[u8]) {
    let name = std::str::from_utf8(name).expect("utf-8");
    let parts: Vec<_> = name.split(':').collect();
    assert!(parts.len() <= 2, "`{name}` has two colons");
    for part in parts {
        let first = part.chars().next();
        assert!(
            first.is_some_and(|c| c.is_alphabetic() || c == '_'),
            "`{name}` is no name"
        );
        let rest = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
        assert!(part.chars().all(rest), "`{name}` is no name");
    }
}

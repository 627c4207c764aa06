//! Markdown with HTML in it, as GitHub, GitLab and Buildkite show it, made of texts that may hold anything. It must never let a text be
//! more than text: no element, no link, no mention, no row of a table.

use std::fmt::Write as _;

use crate::junit::text::sanitise;

/// A text within a line: of a paragraph, of a cell of a table or of an HTML element. Whatever means something in Markdown or HTML
/// is written by its number, and ends of lines become spaces.
pub(super) fn text(text: &str) -> String {
    let clean = sanitise(text);
    let mut written = String::with_capacity(clean.len());
    let mut before = ' ';
    for letter in clean.chars() {
        match letter {
            '\n' | '\r' | '\t' | '\u{85}' | '\u{2028}' | '\u{2029}' => written.push(' '),
            // Addresses are made links of by themselves.
            '.' if before.eq_ignore_ascii_case(&'w') => written.push_str("&#46;"),
            'a'..='z' | 'A'..='Z' | '0'..='9' | ' ' | ',' | '.' | '/' => written.push(letter),
            letter if letter.is_ascii() => drop(write!(written, "&#{};", u32::from(letter))),
            letter => written.push(letter),
        }
        before = letter;
    }
    written.trim().to_owned()
}

/// Lines as they are, in a block of their own.
pub(super) fn block(lines: &str) -> String {
    let clean = sanitise(lines);
    let mut written = String::from("<pre>\n");
    for letter in clean.trim_end().chars() {
        match letter {
            '&' => written.push_str("&amp;"),
            '<' => written.push_str("&lt;"),
            '>' => written.push_str("&gt;"),
            letter => written.push(letter),
        }
    }
    written.push_str("\n</pre>\n");
    written
}

/// Something that is unfolded on request; `title` is HTML already.
pub(super) fn folded(title: &str, content: &str) -> String {
    format!("<details><summary>{title}</summary>\n\n{content}\n</details>\n\n")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_is_only_text() {
        assert_eq!(
            text("a|b `c` <img src=x> [l](http://e) @me #1 www.e\nnew"),
            "a&#124;b &#96;c&#96; &#60;img src&#61;x&#62; &#91;l&#93;&#40;http&#58;//e&#41; &#64;me &#35;1 www&#46;e new"
        );
        assert_eq!(
            block("<b>&</pre>\n\n# x"),
            "<pre>\n&lt;b&gt;&amp;&lt;/pre&gt;\n\n# x\n</pre>\n"
        );
    }

    proptest! {
        #[test]
        fn nothing_leaves_its_place(hostile in "\\PC*|(?s).{0,80}") {
            let inline = text(&hostile);
            let meaning = |letter: char| "\n\r|<>`*_[]()!@\\~:\"'{}=+^$".contains(letter);
            prop_assert!(!inline.contains(meaning), "{}", inline);
            let ampersands = inline.matches('&').count();
            prop_assert_eq!(ampersands, inline.matches("&#").count());
            prop_assert_eq!(ampersands, inline.matches('#').count());
            let block = block(&hostile);
            prop_assert_eq!(block.matches('<').count(), 2);
            prop_assert!(block.starts_with("<pre>\n") && block.ends_with("\n</pre>\n"));
        }
    }
}

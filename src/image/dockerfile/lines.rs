//! A Dockerfile as instructions: parser directives, comments, continued lines and here-documents,
//! each word with its place in the file.

use std::ops::Range;

/// What the parser directives at the top of a file say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Directives {
    /// The character that continues a line, and that escapes.
    pub(super) escape: char,
    /// Where the value of `# syntax=` stands.
    pub(super) syntax: Option<Range<usize>>,
}

/// One instruction. Its here-documents are in its range, but not among its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Instruction {
    /// From its first word to the end of its last line, the line break left out.
    pub(super) range: Range<usize>,
    /// Its first word, in upper case.
    pub(super) keyword: String,
    /// Its other words, quotes included.
    pub(super) words: Vec<Word>,
}

/// A word and its place in the file; a continued line inside of it belongs to the place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) range: Range<usize>,
    /// Place of each byte of the text.
    places: Vec<usize>,
}

impl Word {
    fn part(&self, part: Range<usize>) -> Self {
        let places = self.places.get(part.clone()).unwrap_or_default().to_vec();
        let range = match (places.first(), places.last()) {
            (Some(first), Some(last)) => *first..last + 1,
            _ => self.range.end..self.range.end,
        };
        Self {
            text: self.text.get(part).unwrap_or_default().to_owned(),
            range,
            places,
        }
    }

    /// What comes after `prefix`, if the word begins with it.
    pub(super) fn after(&self, prefix: &str) -> Option<Self> {
        self.text
            .starts_with(prefix)
            .then(|| self.part(prefix.len()..self.text.len()))
    }

    /// The parts between separators.
    pub(super) fn split(&self, separator: char) -> Vec<Self> {
        let mut begin = 0;
        let mut parts = Vec::new();
        for (end, _) in self.text.match_indices(separator) {
            parts.push(self.part(begin..end));
            begin = end + separator.len_utf8();
        }
        parts.push(self.part(begin..self.text.len()));
        parts
    }
}

/// Lines with the offsets at which they begin, their ends included.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut offset = 0;
    text.split_inclusive('\n').map(move |line| {
        let begin = offset;
        offset += line.len();
        (begin, line)
    })
}

/// Reads the directives: comments of the form `# name=value` before anything else.
pub(super) fn directives(text: &str) -> Directives {
    let mut found = Directives {
        escape: '\\',
        syntax: None,
    };
    for (offset, line) in lines(text) {
        let line = line.trim_end();
        let (offset, line) = match line.strip_prefix('\u{feff}') {
            Some(rest) if offset == 0 => ('\u{feff}'.len_utf8(), rest),
            _ => (offset, line),
        };
        let Some((name, value)) = line
            .strip_prefix('#')
            .and_then(|comment| comment.split_once('='))
        else {
            break;
        };
        let name = name.trim();
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            break;
        }
        let value = value.trim_start();
        let begin = offset + line.len() - value.len();
        match name.to_lowercase().as_str() {
            "escape" if value == "`" => found.escape = '`',
            "syntax" if found.syntax.is_none() => {
                found.syntax = Some(begin..begin + value.len());
            }
            _ => {}
        }
    }
    found
}

/// The text of an instruction with the place of each byte.
#[derive(Default)]
struct Joined {
    text: String,
    places: Vec<usize>,
}

impl Joined {
    fn push(&mut self, text: &str, begin: usize) {
        self.text.push_str(text);
        self.places.extend(begin..begin + text.len());
    }
}

/// The instructions of a file.
pub(super) fn instructions(text: &str, directives: &Directives) -> Vec<Instruction> {
    let mut found = Vec::new();
    let mut joined = Joined::default();
    let mut lines = lines(text);
    while let Some((offset, line)) = lines.next() {
        let content = line.trim_end_matches(['\n', '\r']);
        let (offset, content) = match content.strip_prefix('\u{feff}') {
            Some(rest) if offset == 0 => ('\u{feff}'.len_utf8(), rest),
            _ => (offset, content),
        };
        // Comments and empty lines do not end a continued line.
        let bare = content.trim_start();
        if bare.is_empty() || bare.starts_with('#') {
            continue;
        }
        if let Some(continued) = continued(content, directives.escape) {
            joined.push(continued, offset);
            continue;
        }
        joined.push(content, offset);
        let complete = std::mem::take(&mut joined);
        let mut end = offset + content.len();
        for document in here_documents(&complete.text, directives.escape) {
            end = document.skip(&mut lines).unwrap_or(end);
        }
        found.extend(instruction(&complete, end, directives.escape));
    }
    let end = text.trim_end_matches(['\n', '\r']).len();
    found.extend(instruction(&joined, end, directives.escape));
    found
}

/// The line without the escape character that continues it.
fn continued(line: &str, escape: char) -> Option<&str> {
    let before = line.trim_end_matches([' ', '\t']).strip_suffix(escape)?;
    (!before.ends_with(escape)).then_some(before)
}

fn instruction(joined: &Joined, end: usize, escape: char) -> Option<Instruction> {
    let mut words = words(joined, escape).into_iter();
    let keyword = words.next()?;
    Some(Instruction {
        range: keyword.range.start..end.max(keyword.range.end),
        keyword: keyword.text.to_uppercase(),
        words: words.collect(),
    })
}

/// The words of an instruction, as its flags and names are separated: by white space outside of
/// quotes.
fn words(joined: &Joined, escape: char) -> Vec<Word> {
    let mut words = Vec::new();
    let mut begin = None;
    let mut quote = None;
    let mut escaped = false;
    for (at, letter) in joined.text.char_indices() {
        if quote.is_none() && !escaped && letter.is_whitespace() {
            words.extend(begin.take().map(|begin| begin..at));
            continue;
        }
        begin.get_or_insert(at);
        match quote {
            _ if escaped => escaped = false,
            _ if letter == escape && quote != Some('\'') => escaped = true,
            Some(open) if letter == open => quote = None,
            None if matches!(letter, '"' | '\'') => quote = Some(letter),
            _ => {}
        }
    }
    words.extend(begin.map(|begin| begin..joined.text.len()));
    let whole = Word {
        text: joined.text.clone(),
        range: 0..0,
        places: joined.places.clone(),
    };
    words.into_iter().map(|range| whole.part(range)).collect()
}

/// A here-document that follows an instruction.
struct HereDocument {
    end: String,
    /// Leading tabs of the last line do not count.
    indented: bool,
}

impl HereDocument {
    /// Passes over the document; answers where its last line ends.
    fn skip<'text>(&self, lines: &mut impl Iterator<Item = (usize, &'text str)>) -> Option<usize> {
        let mut end = None;
        for (begin, line) in lines.by_ref() {
            let line = line.trim_end_matches(['\n', '\r']);
            end = Some(begin + line.len());
            let line = if self.indented {
                line.trim_start_matches('\t')
            } else {
                line
            };
            if line == self.end {
                break;
            }
        }
        end
    }
}

/// The here-documents that an instruction announces: words of the form `<<NAME`, `<<-NAME`,
/// `3<<"NAME"`, in the instructions that may have some.
fn here_documents(text: &str, escape: char) -> Vec<HereDocument> {
    let joined = Joined {
        text: text.to_owned(),
        places: (0..text.len()).collect(),
    };
    let mut words = words(&joined, escape).into_iter();
    let mut keyword = words.next().map(|word| word.text.to_uppercase());
    if keyword.as_deref() == Some("ONBUILD") {
        keyword = words.next().map(|word| word.text.to_uppercase());
    }
    if !matches!(keyword.as_deref(), Some("ADD" | "COPY" | "RUN")) {
        return Vec::new();
    }
    words
        .filter_map(|word| {
            let rest = word
                .text
                .trim_start_matches(|letter: char| letter.is_ascii_digit())
                .strip_prefix("<<")?;
            let (name, indented) = rest
                .strip_prefix('-')
                .map_or((rest, false), |name| (name, true));
            let end: String = name
                .chars()
                .filter(|letter| !matches!(letter, '"' | '\'') && *letter != escape)
                .collect();
            (!end.is_empty() && !name.contains('<')).then_some(HereDocument { end, indented })
        })
        .collect()
}

//! Texts of others, such that no CI system takes any of it for a command. It must never leave more than one line of a text, nor
//! change one that nobody would take for a command.

/// What makes commands of the rest of a line, after two `#`, wherever it stands: those of Azure Pipelines, of GitHub's older form
/// and of TeamCity.
const MARKERS: [&str; 3] = ["[", "vso[", "teamcity["];

/// The text in one line without a command.
pub(super) fn harmless(text: &str) -> String {
    let line = one_line(text);
    let mut clean = String::with_capacity(line.len());
    let mut rest = line.as_str();
    // GitHub passes over whitespace before its newer form; colours are passed over here as well.
    let begin = leading(rest);
    if rest[begin..].starts_with("::") {
        clean.push_str(&rest[..begin]);
        clean.push_str(": ");
        rest = &rest[begin + 1..];
    }
    while let Some(position) = rest.find("##") {
        let (before, from) = rest.split_at(position);
        clean.push_str(before);
        clean.push('#');
        if is_marker(&from[2..]) {
            clean.push(' ');
        }
        rest = &from[1..];
    }
    clean.push_str(rest);
    clean
}

fn is_marker(text: &str) -> bool {
    MARKERS.iter().any(|marker| {
        let start = text.get(..marker.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(marker))
    })
}

/// How many bytes at the beginning show nothing.
fn leading(text: &str) -> usize {
    let mut rest = text;
    loop {
        let trimmed = rest.trim_start_matches(|letter: char| {
            letter.is_whitespace()
                || matches!(letter, '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{feff}')
        });
        let trimmed = colour(trimmed).map_or(trimmed, |length| &trimmed[length..]);
        if trimmed.len() == rest.len() {
            return text.len() - rest.len();
        }
        rest = trimmed;
    }
}

/// The text in one line: ends of lines become spaces, and of all that controls a terminal only colours stay.
pub(in crate::report) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let length = match letter {
            '\u{1b}' => match colour(rest) {
                Some(length) => {
                    line.push_str(&rest[..length]);
                    length
                }
                None => sequence(rest),
            },
            '\t' => {
                line.push('\t');
                1
            }
            // Some readers take these for ends of lines too.
            '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}' => {
                line.push(' ');
                letter.len_utf8()
            }
            letter if letter.is_control() => letter.len_utf8(),
            letter => {
                line.push(letter);
                letter.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    line
}

/// Length of the colour (ECMA-48, SGR) that the text begins with.
fn colour(text: &str) -> Option<usize> {
    let parameters = text.strip_prefix("\u{1b}[")?;
    let end = parameters.find(|letter: char| !matches!(letter, '0'..='9' | ';' | ':'))?;
    parameters[end..].starts_with('m').then_some(2 + end + 1)
}

/// Length of whatever else an escape character begins, as far as it is of one kind: the parameters of a control sequence and its
/// final byte, or the escape character alone.
fn sequence(text: &str) -> usize {
    let Some(parameters) = text.strip_prefix("\u{1b}[") else {
        return 1;
    };
    let end = parameters.find(|letter: char| !matches!(letter, ' '..='?'));
    match end.map(|end| (end, parameters[end..].chars().next())) {
        Some((end, Some('@'..='~'))) => 2 + end + 1,
        _ => 1,
    }
}

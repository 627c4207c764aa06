//! How the systems read a line: each function follows the parser of the system (`ActionCommand.cs` of actions/runner, `Command.cs` of
//! azure-pipelines-agent, the published grammar of TeamCity's service messages).

use std::collections::BTreeMap;

/// A command as a system has understood it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Understood {
    pub(super) name: String,
    pub(super) properties: BTreeMap<String, String>,
    pub(super) data: String,
}

fn properties(
    text: &str,
    separator: char,
    unescape: impl Fn(&str) -> String,
) -> BTreeMap<String, String> {
    text.split(separator)
        .filter_map(|pair| pair.split_once('='))
        .filter(|(key, value)| !key.is_empty() && !value.is_empty())
        .map(|(key, value)| (key.trim().to_owned(), unescape(value)))
        .collect()
}

fn replaced(text: &str, pairs: &[(&str, &str)]) -> String {
    let all = pairs.iter();
    all.fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

const GITHUB_COMMANDS: [&str; 13] = [
    "stop-commands",
    "set-env",
    "set-output",
    "save-state",
    "add-mask",
    "add-path",
    "add-matcher",
    "warning",
    "error",
    "notice",
    "debug",
    "group",
    "endgroup",
];

/// GitHub's runner: the newer form, else the older one.
pub(super) fn github(line: &str, tokens: &[&str]) -> Option<Understood> {
    let is_known = |name: &str| {
        let mut known = GITHUB_COMMANDS.iter().chain(tokens);
        known.any(|command| command.eq_ignore_ascii_case(name))
    };
    let newer = || {
        let rest = line.trim_start().strip_prefix("::")?;
        let (info, data) = rest.split_once("::")?;
        let (name, list) = info.split_once(' ').unwrap_or((info, ""));
        let data = replaced(data, &[("%0D", "\r"), ("%0A", "\n"), ("%25", "%")]);
        let value = |text: &str| {
            let pairs = [
                ("%0D", "\r"),
                ("%0A", "\n"),
                ("%3A", ":"),
                ("%2C", ","),
                ("%25", "%"),
            ];
            replaced(text, &pairs)
        };
        is_known(name).then(|| Understood {
            name: name.to_owned(),
            properties: properties(list.trim(), ',', value),
            data,
        })
    };
    let older = || {
        let rest = &line[line.find("##[")? + 3..];
        let (info, data) = rest.split_once(']')?;
        let (name, list) = info.split_once(' ').unwrap_or((info, ""));
        let value = |text: &str| {
            let pairs = [
                ("%3B", ";"),
                ("%0D", "\r"),
                ("%0A", "\n"),
                ("%5D", "]"),
                ("%25", "%"),
            ];
            replaced(text, &pairs)
        };
        is_known(name).then(|| Understood {
            name: name.to_owned(),
            properties: properties(list, ';', value),
            data: value(data),
        })
    };
    newer().or_else(older)
}

/// The agent of Azure Pipelines.
pub(super) fn azure(line: &str) -> Option<Understood> {
    let rest = &line[line.find("##vso[")? + 6..];
    let (info, data) = rest.split_once(']')?;
    let (name, list) = info.split_once(' ').unwrap_or((info, ""));
    let value = |text: &str| {
        let pairs = [
            ("%3B", ";"),
            ("%0D", "\r"),
            ("%0A", "\n"),
            ("%5D", "]"),
            ("%AZP25", "%"),
        ];
        replaced(text, &pairs)
    };
    (name.split('.').filter(|part| !part.is_empty()).count() == 2).then(|| Understood {
        name: name.to_owned(),
        properties: properties(list, ';', value),
        data: value(data),
    })
}

/// The agent of TeamCity; `None` also for a message that it would refuse.
pub(super) fn teamcity(line: &str) -> Option<Understood> {
    let rest = &line[line.find("##teamcity[")? + 11..];
    let end = rest.find([' ', ']'])?;
    let (name, mut rest) = rest.split_at(end);
    let mut attributes = BTreeMap::new();
    while let Some(next) = rest.strip_prefix(' ') {
        let (key, value) = next.split_once("='")?;
        let mut text: Vec<u16> = Vec::new();
        let mut letters = value.char_indices();
        let closed = loop {
            let (place, letter) = letters.next()?;
            match letter {
                '\'' => break place,
                '[' | ']' | '\n' | '\r' => return None,
                '|' => match letters.next()?.1 {
                    'n' => text.push(10),
                    'r' => text.push(13),
                    '0' => {
                        letters.next().filter(|(_, letter)| *letter == 'x')?;
                        let digits: String =
                            letters.by_ref().take(4).map(|(_, letter)| letter).collect();
                        text.push(u16::from_str_radix(&digits, 16).ok()?);
                    }
                    letter @ ('|' | '\'' | '[' | ']') => text.push(letter as u16),
                    _ => return None,
                },
                letter => text.extend(letter.encode_utf16(&mut [0; 2]).iter()),
            }
        };
        attributes.insert(key.to_owned(), String::from_utf16(&text).ok()?);
        rest = &value[closed + 1..];
    }
    (rest == "]").then(|| Understood {
        name: name.to_owned(),
        properties: attributes,
        data: String::new(),
    })
}

/// Names of the sections that GitLab's reader sees begin and end, in order.
pub(super) fn gitlab(log: &str) -> Vec<(bool, String)> {
    let mut found = Vec::new();
    let mut rest = log;
    while let Some(position) = rest.find("section_") {
        rest = &rest[position + 8..];
        let Some((kind, after)) = rest.split_once(':') else {
            break;
        };
        let Some((time, after)) = after.split_once(':') else {
            break;
        };
        let end =
            after.find(|letter: char| !(letter.is_ascii_alphanumeric() || "_.-".contains(letter)));
        let Some(end) = end else { break };
        let (name, tail) = after.split_at(end);
        let tail = tail.strip_prefix("[collapsed=true]").unwrap_or(tail);
        let is_time = !time.is_empty() && time.bytes().all(|byte| byte.is_ascii_digit());
        if is_time && !name.is_empty() && tail.starts_with("\r\u{1b}[0K") {
            match kind {
                "start" => found.push((true, name.to_owned())),
                "end" => found.push((false, name.to_owned())),
                _ => {}
            }
        }
    }
    found
}

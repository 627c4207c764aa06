//! The print as YAML.

use std::fmt::Write as _;

use serde_json::Value as Json;

/// Writes a value as a YAML document. Texts that YAML or Compose could read as anything else are
/// quoted; JSON's quotes are YAML's.
pub(in crate::config) fn to_yaml(json: &Json) -> String {
    let mut text = String::new();
    match json {
        Json::Object(map) if !map.is_empty() => write_block(json, 0, &mut text),
        _ => text.push_str(&flow(json)),
    }
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

fn write_block(json: &Json, indent: usize, text: &mut String) {
    match json {
        Json::Object(map) => {
            for (index, (key, value)) in map.iter().enumerate() {
                if index > 0 {
                    text.extend(std::iter::repeat_n(' ', indent));
                }
                // Writing to a `String` does not fail.
                let _ = write!(text, "{}:", scalar(key));
                write_value(value, indent + 2, text);
            }
        }
        Json::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.extend(std::iter::repeat_n(' ', indent));
                }
                text.push('-');
                if is_block(item) {
                    text.push(' ');
                    write_block(item, indent + 2, text);
                } else {
                    let _ = writeln!(text, " {}", flow(item));
                }
            }
        }
        _ => {}
    }
}

fn write_value(value: &Json, indent: usize, text: &mut String) {
    if is_block(value) {
        text.push('\n');
        text.extend(std::iter::repeat_n(' ', indent));
        write_block(value, indent, text);
    } else {
        let _ = writeln!(text, " {}", flow(value));
    }
}

fn is_block(value: &Json) -> bool {
    match value {
        Json::Object(map) => !map.is_empty(),
        Json::Array(items) => !items.is_empty(),
        _ => false,
    }
}

fn flow(value: &Json) -> String {
    match value {
        Json::String(text) => scalar(text),
        other => other.to_string(),
    }
}

fn scalar(text: &str) -> String {
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '_'))
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/'))
        && !matches!(
            text.to_ascii_lowercase().as_str(),
            "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n"
        );
    if is_plain {
        text.to_owned()
    } else {
        // JSON leaves some control characters as they are, which YAML does not allow.
        let quoted = Json::from(text).to_string();
        let mut escaped = String::with_capacity(quoted.len());
        for character in quoted.chars() {
            if character.is_control() || character == '\u{feff}' {
                let _ = write!(escaped, "\\u{:04x}", u32::from(character));
            } else {
                escaped.push(character);
            }
        }
        escaped
    }
}

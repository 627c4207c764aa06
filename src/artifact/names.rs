//! What a file of a container is called here.
//!
//! A container may call a file whatever its file system takes; what is kept is looked at on other
//! systems, unpacked from archives, and uploaded by programs that refuse a whole directory for one name.
//! So names here are UTF-8 without characters that one of these refuses, not too long, and different
//! also where upper and lower case are the same.

use std::collections::HashSet;
use std::fmt::Write as _;

/// Longest part of a path, in bytes. File systems take 255, and a mark must still fit.
const LONGEST_PART: usize = 200;

/// Longest path, in bytes. Systems take 4096 with the directory above it; archives often fewer.
const LONGEST_PATH: usize = 900;

/// Deepest path, in parts.
const DEEPEST: usize = 40;

/// Longest ending that a shortened name keeps, in bytes: it says what a file is.
const LONGEST_ENDING: usize = 16;

/// The names that are taken below one directory.
#[derive(Debug, Default)]
pub struct Names {
    files: HashSet<String>,
    directories: HashSet<String>,
}

impl Names {
    /// The path for a file that a container calls `path`: relative, with `/` between its parts, and
    /// given to no other file.
    pub fn give(&mut self, path: &[u8]) -> String {
        let parts: Vec<&[u8]> = path
            .split(|byte| *byte == b'/')
            .filter(|part| !part.is_empty())
            .collect();
        let mut parts: Vec<String> = parts.into_iter().map(part).collect();
        let mut name = parts.pop().unwrap_or_else(|| "unnamed".to_owned());
        let length: usize = parts.iter().map(|part| part.len() + 1).sum();
        if parts.len() >= DEEPEST || length + name.len() > LONGEST_PATH {
            // The mark tells the directories apart; the record says what they were called.
            parts = vec![format!("deep~{}", mark(parts.join("/").as_bytes()))];
        }
        let mut directory = String::new();
        for part in parts {
            let mut whole = format!("{directory}{part}");
            let mut number = 1;
            while self.files.contains(&whole.to_lowercase()) {
                number += 1;
                whole = format!("{directory}{part}~{number}");
            }
            self.directories.insert(whole.to_lowercase());
            directory = whole + "/";
        }
        let wanted = name.clone();
        let mut number = 1;
        loop {
            let whole = format!("{directory}{name}");
            let folded = whole.to_lowercase();
            if !self.directories.contains(&folded) && self.files.insert(folded) {
                return whole;
            }
            number += 1;
            name = numbered(&wanted, number);
        }
    }
}

/// `shot.png` as `shot~2.png`.
fn numbered(name: &str, number: u64) -> String {
    match name.rsplit_once('.') {
        Some((stem, ending)) if !stem.is_empty() && ending.len() <= LONGEST_ENDING => {
            format!("{stem}~{number}.{ending}")
        }
        _ => format!("{name}~{number}"),
    }
}

/// One part of a path.
fn part(bytes: &[u8]) -> String {
    let mut name = String::new();
    for chunk in bytes.utf8_chunks() {
        for letter in chunk.valid().chars() {
            let refused = letter.is_control()
                || matches!(letter, '"' | ':' | '<' | '>' | '|' | '*' | '?' | '\\')
                // They change the direction of text, and so what a name seems to be.
                || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            if refused {
                let mut buffer = [0; 4];
                for byte in letter.encode_utf8(&mut buffer).bytes() {
                    escape(&mut name, byte);
                }
            } else {
                name.push(letter);
            }
        }
        for byte in chunk.invalid() {
            escape(&mut name, *byte);
        }
    }
    // What ends like this is cut by some systems.
    if let Some(last @ ('.' | ' ')) = name.chars().last() {
        name.pop();
        escape(&mut name, last as u8);
    }
    if name.len() > LONGEST_PART {
        name = shortened(&name, &mark(bytes));
    }
    name
}

fn escape(name: &mut String, byte: u8) {
    // Writing to a text cannot fail.
    let _ = write!(name, "%{byte:02X}");
}

fn shortened(name: &str, mark: &str) -> String {
    let ending = match name.rsplit_once('.') {
        Some((stem, ending)) if !stem.is_empty() && ending.len() <= LONGEST_ENDING => {
            format!(".{ending}")
        }
        _ => String::new(),
    };
    let mut end = LONGEST_PART - ending.len() - mark.len() - 1;
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}~{mark}{ending}", name.get(..end).unwrap_or_default())
}

/// A short text that differs for different bytes, nearly always: FNV-1a, the same in every version.
fn mark(bytes: &[u8]) -> String {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

//! Artifacts: files that a container has written and that are kept.
//!
//! Owns which files are taken ([`Selection`]), what they are called here ([`Names`]), how much is taken
//! ([`Limits`]), and the directory that they are put into ([`Chest`]). What comes out of a container is
//! untrusted: nothing is written outside of that directory or through a link, no link, device or right
//! to become somebody else is made, and every number is bounded. It must never know an engine or wait:
//! archives come as readers.

mod chest;
mod names;
mod record;
mod selection;

#[cfg(test)]
mod tests;

pub use chest::{Chest, UnpackError, put};
pub use names::Names;
pub use record::{Kept, LeftOut, Record};
pub use selection::{Selection, SelectionError};

/// How much is kept of one container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all files together.
    pub bytes: u64,
    /// Files.
    pub files: u64,
}

impl Limits {
    /// How a limit is written.
    pub const FORM: &str = "a size and, after a slash, a number of files: `200MiB`, `1GiB/10000`; 0 means that nothing is kept";

    /// Reads `SIZE` or `SIZE/FILES`; what is not said is the default's.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (size, files) = match text.split_once('/') {
            Some((size, files)) => (size, Some(files)),
            None => (text, None),
        };
        let files = match files {
            Some(files) => number(files.trim())?,
            None => Self::default().files,
        };
        let size = size.trim().to_ascii_lowercase();
        let digits = size
            .find(|letter: char| !letter.is_ascii_digit())
            .unwrap_or(size.len());
        let (count, unit) = size.split_at(digits);
        let shift = match unit.trim() {
            "" | "b" => 0,
            "k" | "kb" | "kib" => 10,
            "m" | "mb" | "mib" => 20,
            "g" | "gb" | "gib" => 30,
            "t" | "tb" | "tib" => 40,
            _ => return None,
        };
        let bytes = number(count)?.checked_mul(1 << shift)?;
        Some(Self { bytes, files })
    }
}

/// A number in digits, without a sign.
fn number(text: &str) -> Option<u64> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 1 << 30,
            files: 10_000,
        }
    }
}

/// A number of bytes as people read it.
#[must_use]
pub fn size(bytes: u64) -> String {
    const UNITS: [(u32, &str); 3] = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    for (shift, unit) in UNITS {
        let one = 1_u64 << shift;
        if bytes >= one {
            let tenths = bytes.saturating_mul(10) / one;
            return match tenths % 10 {
                0 => format!("{} {unit}", tenths / 10),
                rest => format!("{}.{rest} {unit}", tenths / 10),
            };
        }
    }
    format!("{bytes} bytes")
}

//! Platforms: `linux/arm64/v8`, in the normal form that containerd and Docker compare.

use std::fmt;

/// Why a text is not a platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected `OS/ARCHITECTURE` or `OS/ARCHITECTURE/VARIANT`, such as `linux/arm64`")]
pub struct PlatformError;

/// A platform in its normal form.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Platform {
    system: String,
    architecture: String,
    variant: String,
}

impl Platform {
    /// Reads a platform as people write it. An architecture alone is one of Linux, as containers
    /// mostly are.
    ///
    /// # Errors
    /// The text has another number of parts, or a part with other letters.
    pub fn parse(text: &str) -> Result<Self, PlatformError> {
        let is_part = |part: &&str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
        };
        let parts: Vec<&str> = text.split('/').collect();
        if !parts.iter().all(is_part) {
            return Err(PlatformError);
        }
        match parts.as_slice() {
            [architecture] if KNOWN.contains(&architecture.to_lowercase().as_str()) => {
                Ok(Self::new("linux", architecture, ""))
            }
            [system, architecture] => Ok(Self::new(system, architecture, "")),
            [system, architecture, variant] => Ok(Self::new(system, architecture, variant)),
            _ => Err(PlatformError),
        }
    }

    /// A platform by its parts, as an engine tells them; `variant` may be empty.
    #[must_use]
    pub fn new(system: &str, architecture: &str, variant: &str) -> Self {
        let (architecture, variant) = normal(&architecture.to_lowercase(), &variant.to_lowercase());
        let system = match system.to_lowercase().as_str() {
            "macos" => "darwin".to_owned(),
            system => system.to_owned(),
        };
        Self {
            system,
            architecture,
            variant,
        }
    }
}

/// Architectures that may stand alone.
const KNOWN: [&str; 12] = [
    "386", "aarch64", "amd64", "arm", "arm64", "armhf", "loong64", "ppc64le", "riscv64", "s390x",
    "x86-64", "x86_64",
];

/// One spelling for each architecture, and no variant where it is the one that is meant anyway.
fn normal(architecture: &str, variant: &str) -> (String, String) {
    let (architecture, variant) = match (architecture, variant) {
        ("i386", _) => ("386", ""),
        ("x86_64" | "x86-64" | "amd64", "v1") => ("amd64", ""),
        ("x86_64" | "x86-64", variant) => ("amd64", variant),
        ("aarch64" | "arm64", "8" | "v8") => ("arm64", ""),
        ("aarch64", variant) => ("arm64", variant),
        ("armhf", _) | ("arm", "" | "7") => ("arm", "v7"),
        ("armel", _) | ("arm", "6") => ("arm", "v6"),
        ("arm", "5") => ("arm", "v5"),
        ("arm", "8") => ("arm", "v8"),
        other => other,
    };
    (architecture.to_owned(), variant.to_owned())
}

impl fmt::Display for Platform {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.system, self.architecture)?;
        if self.variant.is_empty() {
            Ok(())
        } else {
            write!(formatter, "/{}", self.variant)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_platform_are_equal() {
        for (one, other) in [
            ("linux/amd64", "Linux/x86_64"),
            ("linux/arm64", "linux/aarch64/v8"),
            ("linux/arm", "linux/arm/v7"),
            ("arm64", "linux/arm64"),
            ("linux/arm/6", "linux/armel"),
        ] {
            assert_eq!(Platform::parse(one), Platform::parse(other), "{one}");
            assert!(Platform::parse(one).is_ok(), "{one}");
        }
        assert_ne!(
            Platform::parse("linux/arm/v6"),
            Platform::parse("linux/arm")
        );
    }

    #[test]
    fn what_is_no_platform_is_refused() {
        for text in ["", "linux", "linux/", "a/b/c/d", "linux/arm 64"] {
            assert_eq!(Platform::parse(text), Err(PlatformError), "{text}");
        }
    }
}

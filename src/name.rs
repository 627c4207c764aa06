//! Newtypes for the names and ids that travel between the layers.
//!
//! A name is what a person wrote (a service, a network key); an id is what the engine answered.
//! They are different types, because engines allow duplicate names and only an id addresses one
//! thing.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Identity of one run: a random UUID, carried by every resource in the label `dev.envrun.run`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(Uuid);

impl RunId {
    /// A new random run id (UUID version 4).
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// The run id with these 128 bits, for tests that need the same id each time.
    #[must_use]
    pub const fn from_u128(bits: u128) -> Self {
        Self(Uuid::from_u128(bits))
    }

    /// Reads the hyphenated text form.
    ///
    /// # Errors
    /// The text is not a UUID.
    pub fn parse(text: &str) -> Result<Self, uuid::Error> {
        Uuid::parse_str(text).map(Self)
    }

    /// All 32 hexadecimal digits.
    #[must_use]
    pub fn digits(&self) -> String {
        self.0.simple().to_string()
    }

    /// The first twelve hexadecimal digits: short enough for names, long enough that 60 runs side
    /// by side never meet (48 random bits).
    #[must_use]
    pub fn short(&self) -> String {
        let mut digits = self.digits();
        digits.truncate(12);
        digits
    }

    /// What the names of everything that belongs to the run begin with.
    #[must_use]
    pub fn prefix(&self) -> String {
        format!("envrun-{}-", self.short())
    }

    /// Whether this is the name of something that belongs to the run. What the file does not name has an
    /// underscore where the prefix has its last dash, so that no name of the file is the same.
    #[must_use]
    pub fn names(&self, name: &str) -> bool {
        let prefix = self.prefix();
        name.strip_prefix(prefix.trim_end_matches('-'))
            .is_some_and(|rest| rest.starts_with(['-', '_']))
    }

    /// The 128 bits, as the seed of everything that must differ between runs (subnets).
    #[must_use]
    pub const fn as_u128(&self) -> u128 {
        self.0.as_u128()
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(formatter)
    }
}

/// Longest id of a build, in characters.
const LONGEST_BUILD_ID: usize = 200;

/// The id of a build of a CI system, carried by every resource of its runs in the label `dev.envrun.ci.build`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct BuildId(String);

impl BuildId {
    /// Makes an id of what somebody calls the build. What cannot be printed becomes `_`, and what is too long is cut;
    /// `None` when nothing is left.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let printable = |letter: char| match letter.is_control() {
            true => '_',
            false => letter,
        };
        let id: String = text
            .trim()
            .chars()
            .take(LONGEST_BUILD_ID)
            .map(printable)
            .collect();
        (!id.is_empty()).then_some(Self(id))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BuildId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// One part of a suite whose tests are divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Shard {
    /// Which part, counted from 1.
    index: u32,
    /// Parts in all.
    total: u32,
}

impl Shard {
    /// The whole, in one part.
    pub const WHOLE: Self = Self { index: 1, total: 1 };

    /// Part `index` of `total`, counted from 1; `None` where there is no such part.
    #[must_use]
    pub const fn new(index: u32, total: u32) -> Option<Self> {
        if index >= 1 && index <= total {
            Some(Self { index, total })
        } else {
            None
        }
    }

    /// Which part, counted from 1.
    #[must_use]
    pub const fn index(self) -> u32 {
        self.index
    }

    /// Parts in all.
    #[must_use]
    pub const fn total(self) -> u32 {
        self.total
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.index, self.total)
    }
}

macro_rules! text_newtype {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Wraps the text as it is.
            #[must_use]
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

text_newtype!(
    /// A key under `services:` of a Compose file. Suites and jobs are services too.
    ServiceName
);
text_newtype!(
    /// A key under the top-level `networks:` of a Compose file.
    NetworkKey
);
text_newtype!(
    /// A key under the top-level `volumes:` of a Compose file.
    VolumeKey
);
text_newtype!(
    /// The engine's id of a container.
    ContainerId
);
text_newtype!(
    /// The engine's id of a network.
    NetworkId
);
text_newtype!(
    /// The engine's id of an image (`sha256:…`).
    ImageId
);

//! What has to pass: a probe, all of several, or any one of several.

use std::fmt;

use super::Probe;

/// What has to pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tree {
    /// All of these; of none, nothing has to.
    All(Vec<Self>),
    /// Any one of these.
    Any(Vec<Self>),
    /// This probe.
    Leaf(Probe),
}

impl Tree {
    /// Several probes, all of which have to pass.
    #[must_use]
    pub fn all(probes: Vec<Probe>) -> Self {
        Self::All(probes.into_iter().map(Self::Leaf).collect())
    }

    /// Whether nothing has to pass.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(Self::is_empty),
            Self::Any(_) | Self::Leaf(_) => false,
        }
    }

    /// The probes, from the first to the last.
    #[must_use]
    pub fn leaves(&self) -> Vec<&Probe> {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().flat_map(Self::leaves).collect(),
            Self::Leaf(probe) => vec![probe],
        }
    }

    fn write(&self, formatter: &mut fmt::Formatter<'_>, is_inner: bool) -> fmt::Result {
        let (parts, word) = match self {
            Self::Leaf(probe) => return write!(formatter, "{probe}"),
            Self::All(parts) => (parts, " and "),
            Self::Any(parts) => (parts, " or "),
        };
        let is_group = is_inner && parts.len() > 1;
        if is_group {
            formatter.write_str("(")?;
        }
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                formatter.write_str(word)?;
            }
            part.write(formatter, is_inner || parts.len() > 1)?;
        }
        if is_group {
            formatter.write_str(")")?;
        }
        Ok(())
    }
}

impl fmt::Display for Tree {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(formatter, false)
    }
}

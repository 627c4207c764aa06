//! What an engine keeps for a run: containers, networks, volumes, images.

use std::collections::BTreeMap;
use std::fmt;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::{LEASE_LABEL, RUN_LABEL};
use crate::lease::{Granted, Lease};
use crate::name::RunId;

/// What a resource is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ResourceKind {
    /// A container.
    Container,
    /// A network.
    Network,
    /// A volume.
    Volume,
    /// An image that this run built.
    Image,
}

impl ResourceKind {
    /// All of them, in the order in which they are removed.
    pub const ALL: [Self; 4] = [Self::Container, Self::Network, Self::Volume, Self::Image];
}

impl fmt::Display for ResourceKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Container => "container",
            Self::Network => "network",
            Self::Volume => "volume",
            Self::Image => "image",
        })
    }
}

/// A resource as the engine lists it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Resource {
    /// What it is.
    pub kind: ResourceKind,
    /// The id by which it is removed; for a volume its name.
    pub id: String,
    /// Its name, for people.
    pub name: String,
}

impl fmt::Display for Resource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} `{}`", self.kind, self.name)
    }
}

/// A resource that belongs to a run, with what can be seen of it in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Belonging {
    /// The resource.
    pub resource: Resource,
    /// The run.
    pub run: RunId,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// When it was created, by the engine's clock.
    pub created: Option<SystemTime>,
    /// What the engine says of the state of a container (`Up 5 seconds (healthy)`), empty for
    /// anything else.
    pub status: String,
}

impl Belonging {
    /// What a listing shows, when it belongs to a run by label and by name. An image may have
    /// several names, and belongs to the run by any of them, or without one.
    #[must_use]
    pub fn new(
        resource: Resource,
        names: &[String],
        labels: BTreeMap<String, String>,
    ) -> Option<Self> {
        let run = RunId::parse(labels.get(RUN_LABEL)?).ok()?;
        let nameless = resource.kind == ResourceKind::Image && names.is_empty();
        (nameless || names.iter().any(|name| run.names(name))).then_some(Self {
            resource,
            run,
            labels,
            created: None,
            status: String::new(),
        })
    }

    /// The lease on it.
    #[must_use]
    pub fn granted(&self) -> Granted {
        Granted {
            lease: self
                .labels
                .get(LEASE_LABEL)
                .and_then(|text| Lease::from_label(text)),
            created: self.created,
        }
    }
}

/// Result of a removal that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// It was there and is gone.
    Removed,
    /// There was nothing to remove.
    AlreadyGone,
}

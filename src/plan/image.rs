//! An image that a service needs: pulled, built, or one after the other.

use super::PlanError;
use crate::config::model::Service;
use crate::engine::BuildSpec;
use crate::image::reference::ReferenceError;
use crate::image::{Mirrors, Platform, PullPolicy, Reference};

/// An image that some service needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlannedImage {
    /// By its name, from the engine or a registry.
    Reference(Box<Pull>),
    /// Built for this run.
    Build(Box<BuildSpec>),
    /// By its name where it can be had, else built for this run: a `pull_policy` beside `build`.
    PullOrBuild(Box<Pull>, Box<BuildSpec>),
}

/// An image by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pull {
    /// As the file has it.
    pub name: String,
    /// The name in its normal form; `None` for the id of an image, which no registry knows.
    pub reference: Option<Reference>,
    /// The platform that it has to be for.
    pub platform: Option<Platform>,
    /// When it is pulled: the most eager policy of the services that use it.
    pub policy: PullPolicy,
    /// Its names at the mirrors of its registry, in the order in which they are tried.
    pub mirrors: Vec<Reference>,
}

impl Pull {
    pub(super) fn new(service: &Service) -> Result<Self, PlanError> {
        let name = service.image.clone().unwrap_or_default();
        let policy = service.pull_policy.unwrap_or(PullPolicy::Missing);
        let pull = Self::of(service, name, policy)?;
        Ok(Self {
            platform: service.platform.clone(),
            ..pull
        })
    }

    /// An image that a service needs, for the engine's own platform.
    pub(super) fn of(
        service: &Service,
        name: String,
        policy: PullPolicy,
    ) -> Result<Self, PlanError> {
        let reference = match Reference::parse(&name) {
            Ok(reference) => Some(reference),
            Err(ReferenceError::Id) => None,
            Err(reason) => {
                return Err(PlanError::InvalidImage {
                    service: service.name.clone(),
                    image: name,
                    reason,
                });
            }
        };
        // Nothing can be pulled by an id.
        let policy = match reference {
            Some(_) => policy,
            None => PullPolicy::Never,
        };
        Ok(Self {
            name,
            reference,
            platform: None,
            policy,
            mirrors: Vec::new(),
        })
    }

    /// Whether the two mean the same image of the engine, whatever platform it is for.
    pub(super) fn same_name(&self, other: &Self) -> bool {
        match (&self.reference, &other.reference) {
            (Some(one), Some(other)) => one.key() == other.key(),
            _ => self.name == other.name,
        }
    }
}

impl PlannedImage {
    /// What is looked for by name, if anything.
    #[must_use]
    pub fn pull(&self) -> Option<&Pull> {
        match self {
            Self::Reference(pull) | Self::PullOrBuild(pull, _) => Some(pull),
            Self::Build(_) => None,
        }
    }

    /// What may be built, if anything.
    #[must_use]
    pub fn build(&self) -> Option<&BuildSpec> {
        match self {
            Self::Build(build) | Self::PullOrBuild(_, build) => Some(build),
            Self::Reference(_) => None,
        }
    }

    /// The same, to be changed.
    pub(super) fn build_mut(&mut self) -> Option<&mut BuildSpec> {
        match self {
            Self::Build(build) | Self::PullOrBuild(_, build) => Some(build),
            Self::Reference(_) => None,
        }
    }

    /// Sets where images come from instead of their registries.
    pub(super) fn set_mirrors(&mut self, mirrors: &Mirrors) {
        let (pull, build) = match self {
            Self::Reference(pull) => (Some(pull), None),
            Self::Build(build) => (None, Some(build)),
            Self::PullOrBuild(pull, build) => (Some(pull), Some(build)),
        };
        if let Some(pull) = pull
            && let Some(reference) = &pull.reference
        {
            pull.mirrors = mirrors.of(reference);
        }
        if let Some(build) = build {
            build.mirrors = mirrors.clone();
        }
    }
}

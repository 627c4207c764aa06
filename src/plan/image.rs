//! Which image a service gets: pulled, built, or one after the other, each once however many
//! services use it.

use std::collections::BTreeMap;

use super::{ImageIndex, PlanError, image_name};
use crate::config::model::{Build, MountSource, Service};
use crate::engine::BuildSpec;
use crate::image::reference::ReferenceError;
use crate::image::{Mirrors, Platform, PullPolicy, Reference};
use crate::name::{RunId, ServiceName};

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
    fn new(service: &Service) -> Result<Self, PlanError> {
        let name = service.image.clone().unwrap_or_default();
        let policy = service.pull_policy.unwrap_or(PullPolicy::Missing);
        let pull = Self::of(service, name, policy)?;
        Ok(Self {
            platform: service.platform.clone(),
            ..pull
        })
    }

    /// An image that a service needs, for the engine's own platform.
    fn of(service: &Service, name: String, policy: PullPolicy) -> Result<Self, PlanError> {
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

/// What the images of a plan are made from.
#[derive(Clone, Copy)]
pub(super) struct Surroundings<'plan> {
    pub(super) services: &'plan [&'plan Service],
    pub(super) run: RunId,
    pub(super) labels: &'plan BTreeMap<String, String>,
}

/// The image of a service: its build, or the build of the service that names the same image, or the
/// reference. Equal builds and equal references are shared.
///
/// Beside `build`, a `pull_policy` other than `build` asks for the image by its name first. Without
/// one it is built: a stale image of that name must not stand in for what is to be tested.
pub(super) fn plan_image(
    images: &mut Vec<PlannedImage>,
    service: &Service,
    surroundings: Surroundings<'_>,
) -> Result<ImageIndex, PlanError> {
    let builder = std::iter::once(service)
        .chain(
            surroundings
                .services
                .iter()
                .copied()
                .filter(|other| other.image.is_some() && other.image == service.image),
        )
        .find_map(|other| Some((other, other.build.as_ref()?)));
    let image = match builder {
        None => PlannedImage::Reference(Box::new(Pull::new(service)?)),
        Some((builder, build)) => {
            if let Some(index) = images.iter().position(|image| is_built(image, build)) {
                return Ok(ImageIndex(index));
            }
            let spec = Box::new(BuildSpec {
                name: image_name(surroundings.run, service.name.as_str()),
                labels: surroundings.labels.clone(),
                context: build.context.clone(),
                dockerfile: build.dockerfile.clone(),
                args: build.args.clone(),
                target: build.target.clone(),
                mirrors: Mirrors::default(),
            });
            match builder.pull_policy {
                Some(policy) if policy != PullPolicy::Build && builder.image.is_some() => {
                    PlannedImage::PullOrBuild(Box::new(Pull::new(builder)?), spec)
                }
                _ => PlannedImage::Build(spec),
            }
        }
    };
    Ok(share(images, image))
}

/// The images that are mounted into a service: what another service builds under the reference, or
/// the reference itself.
pub(super) fn plan_mounted_images(
    images: &mut Vec<PlannedImage>,
    service: &Service,
    services: &[&Service],
    image_of: &BTreeMap<ServiceName, ImageIndex>,
) -> Result<BTreeMap<String, ImageIndex>, PlanError> {
    let mut mounted = BTreeMap::new();
    for mount in &service.mounts {
        let MountSource::Image(reference) = &mount.source else {
            continue;
        };
        let built = services
            .iter()
            .filter(|other| other.build.is_some() && other.image.as_ref() == Some(reference))
            .find_map(|other| image_of.get(&other.name).copied());
        let index = match built {
            Some(index) => index,
            None => {
                let pull = Pull::of(service, reference.clone(), PullPolicy::Missing)?;
                share(images, PlannedImage::Reference(Box::new(pull)))
            }
        };
        mounted.insert(reference.clone(), index);
    }
    Ok(mounted)
}

/// The index of an image, which is added unless it is there already.
fn share(images: &mut Vec<PlannedImage>, image: PlannedImage) -> ImageIndex {
    for (index, known) in images.iter_mut().enumerate() {
        if let (PlannedImage::Reference(known), PlannedImage::Reference(pull)) = (known, &image)
            && known.same_name(pull)
            && known.platform == pull.platform
        {
            known.policy = known.policy.and(pull.policy);
            return ImageIndex(index);
        }
    }
    images.push(image);
    ImageIndex(images.len() - 1)
}

fn is_built(image: &PlannedImage, build: &Build) -> bool {
    image.build().is_some_and(|spec| {
        spec.context == build.context
            && spec.dockerfile == build.dockerfile
            && spec.args == build.args
            && spec.target == build.target
    })
}

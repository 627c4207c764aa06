//! Which images a run needs, and what they are built from.
//!
//! Equal builds are one build, and so are equal references. An additional context is an image of
//! its own by the time the build begins that uses it: the image of a service, a reference, or a
//! build that does nothing but take in a directory. So no builder has to know of contexts, and a
//! directory that is not the build's own never mixes with its files.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::{ImageIndex, PlanError, PlannedImage, Pull, image_name};
use crate::config::model::{
    self, AdditionalContext, Build, Dockerfile, MountSource, Project, Service,
};
use crate::engine::{
    BuildContext, BuildOptions, BuildSecret, BuildSpec, ContextImage, DockerfileSource, SecretValue,
};
use crate::image::{Mirrors, PullPolicy};
use crate::name::{RunId, ServiceName};
use crate::options::Limits;

/// The Dockerfile that makes an image of a directory.
const TAKE_IN: &str = "FROM scratch\nCOPY . /\n";

/// The images of a plan in the making.
pub(super) struct Images<'project> {
    project: &'project Project,
    run: RunId,
    labels: &'project BTreeMap<String, String>,
    pub(super) planned: Vec<PlannedImage>,
    /// The services whose images are being planned, each a context of the one before. The reader
    /// refuses circles; this keeps one from being endless.
    open: Vec<ServiceName>,
}

impl<'project> Images<'project> {
    pub(super) fn new(
        project: &'project Project,
        run: RunId,
        labels: &'project BTreeMap<String, String>,
    ) -> Self {
        Self {
            project,
            run,
            labels,
            planned: Vec::new(),
            open: Vec::new(),
        }
    }

    /// The image of a service: its build, or the build of the service that names the same image, or
    /// the reference.
    ///
    /// Beside `build`, a `pull_policy` other than `build` asks for the image by its name first.
    /// Without one it is built: a stale image of that name must not stand in for what is to be
    /// tested.
    ///
    /// `of` is the service of the file, which a replica of it is not called like.
    pub(super) fn of_service(
        &mut self,
        service: &Service,
        of: &ServiceName,
    ) -> Result<ImageIndex, PlanError> {
        let Some((builder, build)) = self.builder(service) else {
            return Ok(self.reference(Pull::new(service)?));
        };
        let title = if builder.name == service.name {
            of
        } else {
            &builder.name
        };
        let spec = self.specification(title.as_str(), build)?;
        Ok(match builder.pull_policy {
            Some(policy) if policy != PullPolicy::Build && builder.image.is_some() => {
                let pull = Box::new(Pull::new(builder)?);
                self.add_build(spec, |spec| PlannedImage::PullOrBuild(pull, spec))
            }
            _ => self.add_build(spec, PlannedImage::Build),
        })
    }

    /// The service whose build is the image of a service: itself, or one of the file.
    fn builder<'a>(&self, service: &'a Service) -> Option<(&'a Service, &'a Build)>
    where
        'project: 'a,
    {
        let project = self.project;
        let others = project.services.values();
        let others = others.filter(|other| provides(other, service.image.as_deref()));
        std::iter::once(service)
            .chain(others)
            .find_map(|one| Some((one, one.build.as_ref()?)))
    }

    /// The images that are mounted into a service: what another service builds under the reference,
    /// or the reference itself.
    pub(super) fn mounted_into(
        &mut self,
        service: &Service,
    ) -> Result<BTreeMap<String, ImageIndex>, PlanError> {
        let project = self.project;
        let mut mounted = BTreeMap::new();
        for mount in &service.mounts {
            let MountSource::Image(reference) = &mount.source else {
                continue;
            };
            let mut others = project.services.values();
            let builder =
                others.find(|other| other.build.is_some() && provides(other, Some(reference)));
            let index = match builder {
                Some(builder) => self.of_service(builder, &builder.name)?,
                None => {
                    let pull = Pull::of(service, reference.clone(), PullPolicy::Missing)?;
                    self.reference(pull)
                }
            };
            mounted.insert(reference.clone(), index);
        }
        Ok(mounted)
    }

    fn reference(&mut self, pull: Pull) -> ImageIndex {
        for (index, known) in self.planned.iter_mut().enumerate() {
            if let PlannedImage::Reference(known) = known
                && known.same_name(&pull)
                && known.platform == pull.platform
            {
                known.policy = known.policy.and(pull.policy);
                return ImageIndex(index);
            }
        }
        self.planned.push(PlannedImage::Reference(Box::new(pull)));
        ImageIndex(self.planned.len() - 1)
    }

    /// A build is known again whatever it was called the first time.
    fn add_build(
        &mut self,
        mut spec: BuildSpec,
        how: impl FnOnce(Box<BuildSpec>) -> PlannedImage,
    ) -> ImageIndex {
        let image = how(Box::new(spec.clone()));
        for (index, known) in self.planned.iter().enumerate() {
            if let Some(build) = known.build()
                && build.is_same(&spec)
                && known.pull() == image.pull()
            {
                return ImageIndex(index);
            }
        }
        let is_taken = |name: &str| {
            let mut builds = self.planned.iter().filter_map(PlannedImage::build);
            builds.any(|build| build.name == name)
        };
        if is_taken(&spec.name) {
            let number = self.planned.len();
            spec.name = image_name(self.run, &format!("{number}-{}", spec.title));
        }
        self.planned.push(match image {
            PlannedImage::PullOrBuild(pull, _) => PlannedImage::PullOrBuild(pull, Box::new(spec)),
            _ => PlannedImage::Build(Box::new(spec)),
        });
        ImageIndex(self.planned.len() - 1)
    }

    fn specification(&mut self, title: &str, build: &Build) -> Result<BuildSpec, PlanError> {
        let mut contexts = BTreeMap::new();
        for (name, context) in &build.additional_contexts {
            let image = self.context(title, name, context)?;
            contexts.extend(image.map(|image| (name.clone(), image)));
        }
        let secret = |secret: &model::BuildSecret| match secret {
            model::BuildSecret::File(path) => BuildSecret::File(path.clone()),
            model::BuildSecret::Value(value) => {
                BuildSecret::Value(SecretValue(Arc::from(value.reveal())))
            }
        };
        let labels = build.labels.clone().into_iter();
        let secrets = build.secrets.iter();
        Ok(BuildSpec {
            name: image_name(self.run, title),
            title: title.to_owned(),
            labels: labels.chain(self.labels.clone()).collect(),
            context: match &build.context {
                model::BuildContext::Directory(path) => BuildContext::Directory(path.clone()),
                model::BuildContext::Remote(url) => BuildContext::Remote(url.clone()),
            },
            dockerfile: match &build.dockerfile {
                Dockerfile::File(path) => DockerfileSource::File(path.clone()),
                Dockerfile::Inline(text) => DockerfileSource::Text(text.clone()),
            },
            args: build.args.clone(),
            target: build.target.clone(),
            contexts,
            secrets: secrets.map(|(id, one)| (id.clone(), secret(one))).collect(),
            ssh: build.ssh.clone(),
            mirrors: Mirrors::default(),
            options: options(&build.options, self.project.limits),
        })
    }

    fn context(
        &mut self,
        title: &str,
        name: &str,
        context: &AdditionalContext,
    ) -> Result<Option<ContextImage>, PlanError> {
        let index = match context {
            AdditionalContext::Image(reference) => {
                return Ok(Some(ContextImage::Reference(reference.clone())));
            }
            AdditionalContext::Directory(path) => self.take_in(title, name, path),
            AdditionalContext::Service(service) => {
                if self.open.contains(service) {
                    return Ok(None);
                }
                let project = self.project;
                let service = project.services.get(service);
                let Some((service, build)) = service.and_then(|one| self.builder(one)) else {
                    return Ok(None);
                };
                self.open.push(service.name.clone());
                let spec = self.specification(service.name.as_str(), build);
                self.open.pop();
                // It is built whatever the service's `pull_policy` says: only a build has a name
                // that is known now.
                self.add_build(spec?, PlannedImage::Build)
            }
        };
        let build = self.planned[index.0].build();
        Ok(build.map(|spec| ContextImage::Built(spec.name.clone())))
    }

    fn take_in(&mut self, title: &str, name: &str, path: &Path) -> ImageIndex {
        let name: String = name
            .chars()
            .map(|letter| {
                if letter.is_ascii_alphanumeric() {
                    letter
                } else {
                    '-'
                }
            })
            .collect();
        let title = format!("{title}.{name}");
        let spec = BuildSpec {
            // The number keeps apart what names in an engine cannot.
            name: image_name(self.run, &format!("{}-{title}", self.planned.len())),
            title,
            labels: self.labels.clone(),
            context: BuildContext::Directory(path.to_owned()),
            dockerfile: DockerfileSource::Text(TAKE_IN.to_owned()),
            args: BTreeMap::new(),
            target: None,
            contexts: BTreeMap::new(),
            secrets: BTreeMap::new(),
            ssh: BTreeMap::new(),
            mirrors: Mirrors::default(),
            options: options(&model::BuildOptions::default(), self.project.limits),
        };
        self.add_build(spec, PlannedImage::Build)
    }
}

/// Whether the build of a service is what others mean by this name.
fn provides(service: &Service, image: Option<&str>) -> bool {
    let Some(image) = image else { return false };
    let tags = service.build.iter().flat_map(|build| &build.tags);
    let mut names = tags.chain(&service.image);
    names.any(|name| name == image)
}

fn options(options: &model::BuildOptions, limits: Option<Limits>) -> BuildOptions {
    let most = limits.map_or(u64::MAX, |limits| limits.memory);
    BuildOptions {
        limits,
        cache_from: options.cache_from.clone(),
        network: options.network.clone(),
        shm_size: options.shm_size.map(|size| size.min(most)),
        platform: options.platform.clone(),
        pull: options.pull,
        no_cache: options.no_cache,
        no_cache_filter: options.no_cache_filter.clone(),
        extra_hosts: options.extra_hosts.clone(),
        ulimits: options.ulimits.clone(),
    }
}

/// The images that must be there before this one is built.
pub(super) fn needs(images: &[PlannedImage], index: ImageIndex) -> Vec<ImageIndex> {
    let Some(spec) = images.get(index.0).and_then(PlannedImage::build) else {
        return Vec::new();
    };
    let built = spec.contexts.values().filter_map(|context| match context {
        ContextImage::Built(name) => Some(name),
        ContextImage::Reference(_) => None,
    });
    let index_of = |name: &String| {
        let found = images
            .iter()
            .position(|image| matches!(image, PlannedImage::Build(other) if other.name == *name));
        found.map(ImageIndex)
    };
    built.filter_map(index_of).collect()
}

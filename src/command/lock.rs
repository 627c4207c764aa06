//! `envrun lock`: writes the digests of a project's images beside its Compose file; and the check of
//! `--locked`, which lets a run take no others.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;

use clap::Args;

use super::project::{self, Part, ProjectArguments, SuiteArguments};
use super::{complain, say};
use crate::engine::docker::{DockerEngine, dockerfile_text};
use crate::engine::{BuildContext, BuildSpec, Engine, FailureKind, PullSpec};
use crate::exit_code::ExitCode;
use crate::image::Reference;
use crate::image::dockerfile::{self, Surroundings};
use crate::image::lock::{FILE_NAME, Lock};
use crate::lease::Identity;
use crate::name::RunId;
use crate::plan::{Plan, PlannedImage};

/// Largest file that is read, in bytes.
const LARGEST: u64 = 4 << 20;

/// Arguments of `envrun lock`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    project: ProjectArguments,
    /// Ask the registries for every image, also for those that are here
    #[arg(long)]
    update: bool,
    /// Write nothing, and fail where the file would change
    #[arg(long)]
    check: bool,
}

pub(super) async fn lock(arguments: Arguments) -> ExitCode {
    let engine = match DockerEngine::from_environment() {
        Ok(engine) => engine,
        Err(error) => {
            complain(&error.to_string());
            return ExitCode::Engine;
        }
    };
    let part = Part::Run(SuiteArguments::default(), None);
    let identity = Identity::anonymous(RunId::random());
    let planned = match project::plan_to_lock(&arguments.project, &part, &identity, &engine).await {
        Ok(planned) => planned,
        Err(code) => return code,
    };
    project::show(&planned.warnings);
    let Named { images, unseen } = match named(&planned.plan) {
        Ok(named) => named,
        Err(problem) => {
            complain(&problem);
            return ExitCode::Usage;
        }
    };
    for title in unseen {
        complain(&format!(
            "the Dockerfile of `{title}` is elsewhere, so the images that it names are not locked"
        ));
    }
    let directory = planned.directory;
    let before = match read(&directory) {
        Ok(before) => before.unwrap_or_default(),
        Err(problem) => {
            complain(&problem);
            return ExitCode::Usage;
        }
    };
    let mut lock = Lock::default();
    let mut failed: Option<ExitCode> = None;
    for reference in &images {
        match digest(&engine, reference, arguments.update).await {
            Ok(digest) => lock.add(reference, &digest),
            Err((problem, code)) => {
                complain(&problem);
                failed = Some(failed.map_or(code, |before| before.strongest(code)));
            }
        }
    }
    if let Some(code) = failed {
        return code;
    }
    let changes = lock.changes(&before);
    changes.iter().for_each(|line| say(line));
    let path = directory.join(FILE_NAME);
    let shown = path.display();
    if arguments.check {
        if changes.is_empty() {
            say(&format!(
                "`{shown}` is as it should be: {}",
                count(lock.len())
            ));
            return ExitCode::Passed;
        }
        complain(&format!(
            "`{shown}` is stale\nhint: `envrun lock` writes it anew"
        ));
        return ExitCode::Usage;
    }
    if let Err(error) = write(&directory, &lock.to_text()) {
        complain(&format!("cannot write `{shown}`: {error}"));
        return ExitCode::Usage;
    }
    say(&format!("`{shown}`: {}", count(lock.len())));
    ExitCode::Passed
}

fn count(images: usize) -> String {
    match images {
        1 => "1 image".to_owned(),
        count => format!("{count} images"),
    }
}

/// The digest by which registries have an image. What is here is asked first, so that no registry has to
/// answer for it.
async fn digest(
    engine: &DockerEngine,
    reference: &Reference,
    update: bool,
) -> Result<String, (String, ExitCode)> {
    let of_engine = |error: crate::engine::EngineError| {
        let code = match error.kind {
            FailureKind::Unreachable => ExitCode::Engine,
            _ => ExitCode::Usage,
        };
        (error.to_string(), code)
    };
    let known = async || -> Result<Option<String>, (String, ExitCode)> {
        let facts = engine
            .inspect_image(&reference.key())
            .await
            .map_err(of_engine)?;
        let digests = facts.map(|facts| facts.digests).unwrap_or_default();
        let own = digests
            .iter()
            .filter_map(|digest| Reference::parse(digest).ok());
        let mut own = own.filter(|digest| digest.name() == reference.name());
        Ok(own.find_map(|digest| digest.digest().map(str::to_owned)))
    };
    if !update && let Some(digest) = known().await? {
        return Ok(digest);
    }
    let spec = PullSpec {
        reference: reference.clone(),
        platform: None,
    };
    let pulled = engine.pull_image(&spec, &|_| {}).await;
    if let Err(error) = pulled {
        let is_here = engine
            .inspect_image(&reference.key())
            .await
            .ok()
            .flatten()
            .is_some();
        let hint = match is_here {
            true => {
                "\nhint: the engine has it, but no registry has said its digest: it was built or imported here. Push it, or build it with `build`"
            }
            false => "",
        };
        let (text, code) = of_engine(error);
        return Err((
            format!("image `{reference}` cannot be locked: {text}{hint}"),
            code,
        ));
    }
    known().await?.ok_or_else(|| {
        let text = format!("image `{reference}` cannot be locked: its registry says no digest");
        (text, ExitCode::Usage)
    })
}

/// The file, whole or not at all.
fn write(directory: &Path, text: &str) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mut file = tempfile::Builder::new()
        .prefix(".")
        .suffix(FILE_NAME)
        .tempfile_in(directory)?;
    file.write_all(text.as_bytes())?;
    file.as_file()
        .set_permissions(fs::Permissions::from_mode(0o644))?;
    file.persist(directory.join(FILE_NAME))
        .map_err(|error| error.error)?;
    Ok(())
}

/// The file of a project; `None` where there is none. Links are not followed: a project may be that of
/// strangers.
pub(super) fn read(directory: &Path) -> Result<Option<Lock>, String> {
    let path = directory.join(FILE_NAME);
    let shown = path.display();
    match fs::symlink_metadata(&path) {
        Ok(metadata) if metadata.is_file() => {}
        Ok(_) => return Err(format!("`{shown}` is not a file")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("cannot read `{shown}`: {error}")),
    }
    let mut text = String::new();
    let file = fs::File::open(&path).and_then(|file| file.take(LARGEST).read_to_string(&mut text));
    file.map_err(|error| format!("cannot read `{shown}`: {error}"))?;
    let lock = Lock::parse(&text);
    lock.map(Some).map_err(|error| {
        format!("`{shown}` cannot be used: {error}\nhint: `envrun lock` writes it anew")
    })
}

/// The images that a plan needs and that no digest is said of.
struct Named {
    images: BTreeSet<Reference>,
    /// Builds whose Dockerfile cannot be seen from here.
    unseen: Vec<String>,
}

fn named(plan: &Plan) -> Result<Named, String> {
    let mut named = Named {
        images: plan.images_by_name().into_iter().collect(),
        unseen: Vec::new(),
    };
    for build in plan.images.iter().filter_map(PlannedImage::build) {
        match bases(build)? {
            Some(bases) => named.images.extend(bases),
            None => named.unseen.push(build.title.clone()),
        }
    }
    Ok(named)
}

/// The images that the Dockerfile of a build names; `None` where it is elsewhere.
fn bases(build: &BuildSpec) -> Result<Option<Vec<Reference>>, String> {
    let BuildContext::Directory(root) = &build.context else {
        return Ok(None);
    };
    let text = dockerfile_text(root, &build.dockerfile);
    let text = text.map_err(|error| format!("build of `{}`: {error}", build.title))?;
    let contexts: BTreeSet<String> = build.contexts.keys().cloned().collect();
    let surroundings = Surroundings {
        arguments: &build.args,
        contexts: &contexts,
    };
    let images = dockerfile::images(&text, surroundings).into_iter();
    let images = images
        .map(|image| image.reference)
        .filter(|one| one.digest().is_none());
    Ok(Some(images.collect()))
}

/// The lock that a plan is held to.
///
/// # Errors
/// There is none, or an image of the plan is not in it: a text for people.
pub(super) fn lock_for(plan: &Plan, directory: &Path) -> Result<Lock, String> {
    let hint = "hint: `envrun lock` writes it, and belongs after every change of an image";
    let path = directory.join(FILE_NAME);
    let shown = path.display();
    let Some(lock) = read(directory)? else {
        return Err(format!(
            "`--locked` needs `{shown}`, which does not exist\n{hint}"
        ));
    };
    let Named { images, unseen } = named(plan)?;
    if let Some(title) = unseen.first() {
        return Err(format!(
            "`--locked` cannot hold for the build of `{title}`, whose Dockerfile is elsewhere\nhint: build it from a directory, or run without `--locked`"
        ));
    }
    let missing: Vec<String> = images
        .iter()
        .filter(|image| lock.locked(image).is_none())
        .map(|image| format!("`{}`", image.key()))
        .collect();
    match missing.as_slice() {
        [] => Ok(lock),
        missing => Err(format!(
            "`{shown}` is stale, it lacks {}\n{hint}",
            missing.join(", ")
        )),
    }
}

//! What is found out beside a run, so that it can be done again elsewhere: hashes of the files that it
//! reads, the state of the repository, who the engine is. It takes a thread of its own, and a run never
//! waits for more than the little that is left of it at the verdict.

mod archive;
mod git;
mod hashes;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use self::archive::Archive;
use self::hashes::Hashes;
use crate::config::model::{
    AdditionalContext, BuildContext, BuildSecret, Dockerfile, InjectedContent, InjectedKind,
    MountSource, PathKind, Project,
};
use crate::config::replay::Portable;
use crate::engine::DockerfileSource;
use crate::engine::docker::{DockerEngine, build_files};
use crate::replay::{BuildInputs, CONTEXT, EngineFacts, Facts};

/// Files of one build whose hashes are told one by one.
const MOST_FILES_OF_A_BUILD: usize = 2000;

/// Where the files are that a run reads.
#[derive(Debug, Clone)]
pub(super) struct Sources {
    /// Directory of the project.
    directory: PathBuf,
    /// Files and directories that are read, and whether they are secret.
    paths: BTreeMap<PathBuf, bool>,
    /// What is built, by service.
    builds: BTreeMap<String, (PathBuf, DockerfileSource)>,
    /// Directories that are never looked into: the run itself writes there.
    left_out: Vec<PathBuf>,
}

impl Sources {
    /// The files of a project.
    pub(super) fn of(portable: &Portable, project: &Project) -> Self {
        let mut paths: BTreeMap<PathBuf, bool> = BTreeMap::new();
        let mut builds = BTreeMap::new();
        paths.extend(portable.files.iter().map(|path| (path.clone(), false)));
        for service in project.services.values() {
            for mount in &service.mounts {
                if let MountSource::Bind { path, found, .. } = &mount.source
                    && matches!(found.kind, PathKind::File | PathKind::Directory)
                {
                    paths.entry(path.clone()).or_insert(false);
                }
            }
            for file in &service.injected {
                if let InjectedContent::Path(path) = &file.content {
                    let secret = file.kind == InjectedKind::Secret;
                    *paths.entry(path.clone()).or_insert(secret) |= secret;
                }
            }
            let Some(build) = &service.build else {
                continue;
            };
            for secret in build.secrets.values() {
                if let BuildSecret::File(path) = secret {
                    paths.insert(path.clone(), true);
                }
            }
            let dockerfile = match &build.dockerfile {
                Dockerfile::File(path) => DockerfileSource::File(path.clone()),
                Dockerfile::Inline(text) => DockerfileSource::Text(text.clone()),
            };
            if let BuildContext::Directory(root) = &build.context {
                builds.insert(service.name.to_string(), (root.clone(), dockerfile));
            }
            for (name, context) in &build.additional_contexts {
                if let AdditionalContext::Directory(root) = context {
                    let title = format!("{}.{name}", service.name);
                    builds.insert(title, (root.clone(), DockerfileSource::Text(String::new())));
                }
            }
        }
        Self {
            directory: project.directory.clone(),
            paths,
            builds,
            left_out: vec![
                project.directory.join(".git"),
                project.directory.join(crate::report::DEFAULT_DIRECTORY),
            ],
        }
    }

    /// The same with files of the configuration in the place of one that was made of them.
    pub(super) fn instead_of(mut self, made: &Path, files: &[String]) -> Self {
        self.paths.remove(made);
        let files = files.iter().map(|file| self.directory.join(file));
        let files: Vec<PathBuf> = files.filter(|path| path.is_file()).collect();
        self.paths
            .extend(files.into_iter().map(|path| (path, false)));
        self
    }

    /// The same without what the run writes.
    pub(super) fn leaving_out(mut self, output: &Path) -> Self {
        let output = std::path::absolute(output).unwrap_or_else(|_| output.to_path_buf());
        self.left_out.push(output);
        self
    }

    /// A path as it is told: relative to the project where it is in it.
    fn shown(&self, path: &Path) -> String {
        let inside = path.strip_prefix(&self.directory).unwrap_or(path);
        inside.to_string_lossy().into_owned()
    }
}

/// Facts that become more.
pub(super) type Growing = Arc<Mutex<Facts>>;

/// Asks the engine who it is. One that does not answer is what the run ends with.
pub(super) async fn ask(engine: &DockerEngine, facts: &Growing) {
    if let Ok(host) = engine.host().await {
        let engine = EngineFacts {
            product: host.product,
            version: host.version,
            api: host.api,
            os: host.os,
            architecture: host.architecture,
            kernel: host.kernel,
            cgroup: host.cgroup,
            storage_driver: host.storage_driver,
        };
        note(facts, |facts| facts.engine = Some(engine));
    }
}

/// Looks at files and at the repository; blocks until it has. With `output`, the files are put into an
/// archive there too.
pub(super) fn look(sources: &Sources, output: Option<&Path>, facts: &Growing) {
    let git = git::state(&sources.directory);
    note(facts, |facts| facts.git = git.clone());
    let mut hashes = Hashes::default();
    let mut archive = output.map(|output| Archive::begin(output, &sources.directory));
    for (path, secret) in &sources.paths {
        if *secret {
            let shown = sources.shown(path);
            note(facts, |facts| drop(facts.files.insert(shown, None)));
            continue;
        }
        match hashes.below(path, &sources.left_out) {
            Ok(found) => {
                for (path, hash) in found {
                    if let Some(archive) = &mut archive {
                        archive.add(&path);
                    }
                    let shown = sources.shown(&path);
                    note(facts, |facts| drop(facts.files.insert(shown, Some(hash))));
                }
            }
            Err(reason) => unseen(facts, format!("`{}`: {reason}", sources.shown(path))),
        }
    }
    for (name, (root, dockerfile)) in &sources.builds {
        let inputs = inputs(
            (root, dockerfile),
            &sources.left_out,
            (&mut hashes, archive.as_mut()),
        );
        match inputs {
            Ok(inputs) => note(facts, |facts| {
                drop(facts.builds.insert(name.clone(), inputs))
            }),
            Err(reason) => unseen(facts, format!("build of {name}: {reason}")),
        }
    }
    if let Some(archive) = archive {
        match archive.finish(CONTEXT) {
            Ok(left_out) => {
                note(facts, |facts| facts.context = Some(CONTEXT.to_owned()));
                for path in left_out {
                    let shown = path.display();
                    unseen(
                        facts,
                        format!("`{shown}` is not in {CONTEXT}: it is outside of the project"),
                    );
                }
            }
            Err(reason) => unseen(facts, format!("no {CONTEXT}: {reason}")),
        }
    }
    // Last, since it may take longest.
    if git.as_ref().is_some_and(|git| git.dirty) {
        let (diff, cut) = git::diff(&sources.directory);
        note(facts, |facts| {
            if let Some(git) = &mut facts.git {
                (git.diff, git.diff_cut) = (diff, cut);
            }
        });
    }
}

fn inputs(
    (root, dockerfile): (&Path, &DockerfileSource),
    left_out: &[PathBuf],
    (hashes, mut archive): (&mut Hashes, Option<&mut Archive>),
) -> Result<BuildInputs, String> {
    let found = build_files(root, dockerfile).map_err(|error| error.to_string())?;
    let mut whole = hashes::Whole::default();
    let mut files = BTreeMap::new();
    for file in &found.files {
        // What the run and git write changes all the time, and nobody builds with it.
        if left_out.iter().any(|path| file.path.starts_with(path)) {
            continue;
        }
        let hash = hashes.one(&file.path, file.link)?;
        let name = file.name.to_string_lossy().into_owned();
        whole.add(&name, file.executable, &hash);
        files.insert(name, hash);
        if let Some(archive) = &mut archive {
            archive.add(&file.path);
        }
    }
    if let Some(archive) = archive {
        let mut texts = vec![root.join(".dockerignore")];
        if let DockerfileSource::File(path) = dockerfile {
            let path = root.join(path);
            let mut rules = path.as_os_str().to_owned();
            rules.push(".dockerignore");
            texts.extend([path, PathBuf::from(rules)]);
        }
        texts
            .iter()
            .filter(|path| path.is_file())
            .for_each(|path| archive.add(path));
    }
    if files.len() > MOST_FILES_OF_A_BUILD {
        files.clear();
    }
    Ok(BuildInputs {
        sha256: whole.finish(),
        dockerfile: hashes::of_text(&found.dockerfile),
        files,
    })
}

fn note(facts: &Growing, change: impl FnOnce(&mut Facts)) {
    change(&mut facts.lock().unwrap_or_else(PoisonError::into_inner));
}

fn unseen(facts: &Growing, line: String) {
    note(facts, |facts| facts.unseen.push(line));
}

//! Having images: what the engine has, pulled from mirrors and registries with new attempts where
//! that makes sense, built with new attempts where a base image could not be had.
//!
//! What to do next is decided by the pure machine of [`crate::image::attempts`].

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use futures::future::{Either, select};
use tokio::sync::oneshot;

use super::shared::Shared;
use crate::clock;
use crate::engine::{
    BuildSpec, EngineError, FailureKind, ImageFacts, PullProgress, PullReport, PullSink, PullSpec,
};
use crate::event::Event;
use crate::image::Reference;
use crate::image::attempts::{Attempts, Next};
use crate::image::failure::{classify, of_base_image};
use crate::image::policy::{Decision, decide};
use crate::name::ImageId;
use crate::plan::Pull;

/// Finds an image, or pulls it.
pub(super) async fn obtain(shared: &Arc<Shared>, pull: &Pull) -> Result<ImageFacts, EngineError> {
    let found = find(shared, pull).await?;
    let present = found.as_ref().map(|facts| &facts.present);
    let now = SystemTime::now();
    match (
        decide(pull.policy, pull.platform.as_ref(), present, now),
        found,
        &pull.reference,
    ) {
        (Decision::Use, Some(facts), _) => Ok(facts),
        (Decision::Pull(reason), _, Some(reference)) => {
            let task = PullTask::new(shared, pull, reference);
            task.run(reason).await
        }
        (Decision::Refuse(reason), ..) => Err(failure(pull, FailureKind::NotFound, &reason)),
        _ => {
            let reason = "the engine does not have it, and it cannot be pulled by an id";
            Err(failure(pull, FailureKind::NotFound, reason))
        }
    }
}

fn failure(pull: &Pull, kind: FailureKind, message: &str) -> EngineError {
    EngineError {
        attempt: format!("obtain image `{}`", pull.name),
        kind,
        message: message.to_owned(),
    }
}

/// What the engine has. An image by its digest keeps the name of the mirror that it came from, since
/// engines give no name with a digest.
async fn find(shared: &Shared, pull: &Pull) -> Result<Option<ImageFacts>, EngineError> {
    if let Some(facts) = shared.engine.inspect_image(&pull.name).await? {
        return Ok(Some(facts));
    }
    for mirror in &pull.mirrors {
        if mirror.digest().is_some()
            && let Some(facts) = shared.engine.inspect_image(&mirror.key()).await?
        {
            return Ok(Some(facts));
        }
    }
    Ok(None)
}

/// Inspects an image that must be there.
pub(super) async fn inspect(shared: &Shared, image: &str) -> Result<ImageFacts, EngineError> {
    shared
        .engine
        .inspect_image(image)
        .await?
        .ok_or_else(|| EngineError {
            attempt: format!("inspect image `{image}`"),
            kind: FailureKind::NotFound,
            message: "the engine does not have it although it said so a moment ago".to_owned(),
        })
}

/// One image that is being pulled.
struct PullTask<'task> {
    shared: &'task Arc<Shared>,
    pull: &'task Pull,
    reference: &'task Reference,
    sink: Arc<Sink>,
}

impl<'task> PullTask<'task> {
    fn new(shared: &'task Arc<Shared>, pull: &'task Pull, reference: &'task Reference) -> Self {
        Self {
            shared,
            pull,
            reference,
            sink: Arc::new(Sink {
                shared: Arc::clone(shared),
                image: pull.name.clone(),
                warned: Mutex::default(),
                progress: Mutex::default(),
            }),
        }
    }

    async fn run(&self, reason: String) -> Result<ImageFacts, EngineError> {
        let begun = clock::now();
        let mut attempts = Attempts::new(self.pull.mirrors.len());
        self.started(&attempts, reason);
        loop {
            let result = match self.pull.mirrors.get(attempts.place()) {
                Some(mirror) => self.through(mirror).await,
                None => self.directly().await,
            };
            let error = match result.and_then(|facts| self.fitting(facts)) {
                Ok(facts) => {
                    self.shared.report(Event::PullFinished {
                        image: self.pull.name.clone(),
                        from: self.place(&attempts).to_string(),
                        bytes: self.sink.bytes(),
                        duration: begun.elapsed(),
                    });
                    return Ok(facts);
                }
                Err(error) if error.kind == FailureKind::Unreachable => return Err(error),
                Err(error) => error,
            };
            let asked = self.place(&attempts).clone();
            match attempts.failed(classify(&error.message)) {
                Next::Again(pause) => {
                    self.shared.report(Event::PullRetried {
                        image: self.pull.name.clone(),
                        from: asked.to_string(),
                        attempt: attempts.failures(),
                        limit: attempts.limit(),
                        pause,
                        reason: error.message,
                    });
                    clock::pause(pause).await;
                }
                Next::Elsewhere => {
                    let message = format!(
                        "mirror `{}` does not give image `{}`: {}",
                        asked.registry(),
                        self.pull.name,
                        error.message
                    );
                    self.shared.report(Event::Warning { message });
                    self.started(&attempts, "the mirror before did not give it".to_owned());
                }
                Next::GiveUp if attempts.total() > 1 => {
                    let message = format!("{} ({} attempts)", error.message, attempts.total());
                    return Err(EngineError { message, ..error });
                }
                Next::GiveUp => return Err(error),
            }
        }
    }

    fn place(&self, attempts: &Attempts) -> &Reference {
        self.pull
            .mirrors
            .get(attempts.place())
            .unwrap_or(self.reference)
    }

    fn started(&self, attempts: &Attempts, reason: String) {
        self.shared.report(Event::PullStarted {
            image: self.pull.name.clone(),
            from: self.place(attempts).to_string(),
            reason,
        });
    }

    /// Some engines take what a registry has, whatever platform was asked for.
    fn fitting(&self, facts: ImageFacts) -> Result<ImageFacts, EngineError> {
        match &self.pull.platform {
            Some(wanted) if facts.present.platform != *wanted => {
                let message = format!(
                    "no matching manifest for {wanted}: the registry has it for {}",
                    facts.present.platform
                );
                Err(failure(self.pull, FailureKind::NotFound, &message))
            }
            _ => Ok(facts),
        }
    }

    fn spec(&self, reference: &Reference) -> PullSpec {
        PullSpec {
            reference: reference.clone(),
            platform: self.pull.platform.clone(),
        }
    }

    async fn directly(&self) -> Result<ImageFacts, EngineError> {
        let engine = &self.shared.engine;
        let sink = self.sink.report();
        engine
            .pull_image(&self.spec(self.reference), &*sink)
            .await?;
        // Engines note when an image was tagged, but not when it was pulled, and policies such as
        // `daily` ask for its age.
        if self.reference.digest().is_none() {
            let (engine, reference) = (Arc::clone(engine), self.reference.clone());
            let naming =
                tokio::spawn(async move { engine.tag_image(&reference.key(), &reference).await });
            if let Ok(Err(error)) = naming.await {
                return Err(error);
            }
        }
        inspect(self.shared, &self.pull.name).await
    }

    /// Pulls from a mirror, names the image as the file does, and takes the mirror's name away
    /// again if it was not there before.
    ///
    /// All of it is in a task of its own: when the run is abandoned the pull ends, and its traces
    /// are still removed.
    async fn through(&self, mirror: &Reference) -> Result<ImageFacts, EngineError> {
        let known = self.shared.engine.inspect_image(&mirror.key()).await?;
        let (alive, abandoned) = oneshot::channel::<()>();
        let mirrored = Mirrored {
            shared: Arc::clone(self.shared),
            original: self.reference.clone(),
            mirror: mirror.clone(),
            keeps_name: known.is_some(),
        };
        let (spec, sink) = (self.spec(mirror), self.sink.report());
        let pulling = tokio::spawn(async move {
            let engine = Arc::clone(&mirrored.shared.engine);
            let pulled = {
                let pulling = engine.pull_image(&spec, &*sink);
                match select(pulling, abandoned).await {
                    Either::Left((pulled, _)) => Some(pulled),
                    Either::Right(_) => None,
                }
            };
            let adopted = match pulled {
                Some(Ok(())) => mirrored.adopt().await,
                Some(Err(error)) => Err(error),
                None => Err(mirrored.lost("the run was abandoned")),
            };
            mirrored.tidy(adopted.is_ok()).await;
            adopted
        });
        let result = pulling.await;
        drop(alive);
        result.unwrap_or_else(|panicked| {
            let message = panicked.to_string();
            Err(failure(self.pull, FailureKind::Internal, &message))
        })
    }
}

/// An image that came from a mirror.
struct Mirrored {
    shared: Arc<Shared>,
    original: Reference,
    mirror: Reference,
    /// The mirror's name was there before.
    keeps_name: bool,
}

impl Mirrored {
    fn lost(&self, message: &str) -> EngineError {
        EngineError {
            attempt: format!("pull image `{}`", self.mirror),
            kind: FailureKind::Internal,
            message: message.to_owned(),
        }
    }

    /// Gives the image the name that later runs look for.
    async fn adopt(&self) -> Result<ImageFacts, EngineError> {
        let engine = &self.shared.engine;
        if let Some(facts) = engine.inspect_image(&self.mirror.key()).await? {
            if self.original.digest().is_some() {
                return Ok(facts);
            }
            match engine.tag_image(&self.mirror.key(), &self.original).await {
                Ok(()) => return Ok(facts),
                Err(error) if error.kind != FailureKind::NotFound => return Err(error),
                Err(_) => {}
            }
        }
        // Another run that pulls the same has taken the mirror's name away in the meantime, and has
        // given the image its own before.
        engine
            .inspect_image(&self.original.key())
            .await?
            .ok_or_else(|| self.lost("the image was taken away while it was pulled"))
    }

    /// Takes the mirror's name away. An image by its digest has no other name, so it stays.
    async fn tidy(&self, adopted: bool) {
        if self.keeps_name || (adopted && self.original.digest().is_some()) {
            return;
        }
        if let Err(error) = self.shared.engine.untag_image(&self.mirror).await {
            let message = format!("{error}; it does no harm");
            self.shared.report(Event::Warning { message });
        }
    }
}

/// Where a pull tells how it goes.
struct Sink {
    shared: Arc<Shared>,
    image: String,
    /// A warning is told once, however many attempts there are.
    warned: Mutex<BTreeSet<String>>,
    progress: Mutex<PullProgress>,
}

impl Sink {
    fn report(self: &Arc<Self>) -> Box<PullSink> {
        let sink = Arc::clone(self);
        Box::new(move |report| match report {
            PullReport::Progress(progress) => {
                *sink.progress.lock().unwrap_or_else(PoisonError::into_inner) = progress;
                sink.shared.report(Event::PullProgress {
                    image: sink.image.clone(),
                    progress,
                });
            }
            PullReport::Warning(message) => {
                let mut warned = sink.warned.lock().unwrap_or_else(PoisonError::into_inner);
                if warned.insert(message.clone()) {
                    sink.shared.report(Event::Warning { message });
                }
            }
        })
    }

    fn bytes(&self) -> u64 {
        self.progress
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .bytes
    }
}

/// Builds an image. While the images that it starts from cannot be had, it is tried again, with the
/// next mirrors, and at last without any.
pub(super) async fn build(shared: &Shared, spec: &BuildSpec) -> Result<ImageId, EngineError> {
    let (recorder, title) = (Arc::clone(&shared.recorder), spec.title.clone());
    let output = move |bytes: &[u8]| recorder.build_output(&title, bytes);
    let choices = spec.mirrors.choices();
    let mut attempts = Attempts::new(choices.len().saturating_sub(1));
    loop {
        let mut spec = spec.clone();
        spec.mirrors = choices.get(attempts.place()).cloned().unwrap_or_default();
        let error = match shared.engine.build_image(&spec, &output).await {
            Ok(image) => return Ok(image),
            Err(error) => error,
        };
        let Some(failure) = of_base_image(&error.message) else {
            return Err(error);
        };
        let first = error.message.lines().next().unwrap_or_default();
        let names_a_mirror = spec.mirrors.hosts().iter().any(|host| first.contains(host));
        let next = attempts.failed(failure);
        let message = match next {
            Next::Again(pause) => format!(
                "the build is tried again after {:.1} s, since an image that it starts from cannot be had: {first}",
                pause.as_secs_f64()
            ),
            Next::Elsewhere if names_a_mirror => format!(
                "the build goes on without a mirror that does not give an image that it starts from: {first}"
            ),
            _ => return Err(error),
        };
        shared.report(Event::Warning { message });
        if let Next::Again(pause) = next {
            clock::pause(pause).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::image::failure::{PullFailure, classify};

    #[test]
    fn what_is_said_here_is_understood_here() {
        assert_eq!(
            classify("no matching manifest for linux/arm64: the registry has it for linux/amd64"),
            PullFailure::Platform
        );
        assert_eq!(
            classify("the image was taken away while it was pulled"),
            PullFailure::Passing
        );
    }
}

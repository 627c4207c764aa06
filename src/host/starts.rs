//! Container starts, limited over all runs of this user on this machine.
//!
//! An engine serves a few starts a second. With more at once each takes longer, and the slowest of
//! them decides how long a run takes; so runs side by side queue here, and whoever came first starts
//! first. A start that waits gives up its place when it is dropped.
//!
//! The limit must never become what stops a run: without a directory to meet in there is no limit,
//! and when nobody in the queue moves for [`PATIENCE`] (a run that is stopped, say), a run goes on
//! without it. Both are told once.

use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::mpsc;

use super::bell::{self, Ringing};
use super::directory::{BASE, Directory, DirectoryError};
use super::queue;
use crate::clock::{self, Instant};
use crate::name::RunId;

/// How long the whole queue may stand still before a run no longer believes in it. Starts that are
/// slow do not count as long as others get their turn.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Between two words about waiting.
const BETWEEN_WORDS: Duration = Duration::from_secs(10);

/// Something that the user should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// A start waits for the runs of others.
    Waits {
        /// How many runs.
        others: usize,
    },
    /// There is no limit any more.
    Unlimited {
        /// One line.
        reason: String,
    },
}

/// The limit, as one run sees it.
#[derive(Debug)]
pub struct Starts {
    queue: Arc<Queue>,
    /// From here on starts are not limited.
    given_up: AtomicBool,
    /// When something was last said about waiting.
    last_word: Mutex<Option<Instant>>,
}

/// What the threads of a run share that wait.
#[derive(Debug)]
struct Queue {
    directory: Directory,
    run: RunId,
    slots: usize,
    registered: Mutex<Weak<File>>,
}

/// The right to start a container now. It is given back when it is dropped.
#[derive(Debug)]
pub struct Slot {
    _slot: queue::Slot,
    _registered: Arc<File>,
}

/// A start that waits. Dropping it calls the waiting off and wakes whoever waits for it.
struct Waiting {
    called_off: Arc<AtomicBool>,
    _bell: Ringing,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.called_off.store(true, Ordering::Release);
    }
}

/// What a waiting thread has to say.
enum Word {
    /// There is no place at the moment.
    MustWait,
    /// The end of it.
    End(std::io::Result<Option<Slot>>),
}

/// How many starts at once are best for an engine on a machine with so many cores as this one: a
/// start keeps about half a core busy, and waits for the disk and the kernel in between.
#[must_use]
pub fn default_limit() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (2 * cores).max(4)
}

impl Starts {
    /// The limit of `slots` starts at once, at least one, for the engine with this address.
    ///
    /// # Errors
    /// There is no directory in which runs could meet.
    pub fn open(run: RunId, engine: &str, slots: usize) -> Result<Self, DirectoryError> {
        Self::open_in(Path::new(BASE), run, engine, slots)
    }

    /// The same with the directory below `base`.
    ///
    /// # Errors
    /// There is no directory in which runs could meet.
    pub fn open_in(
        base: &Path,
        run: RunId,
        engine: &str,
        slots: usize,
    ) -> Result<Self, DirectoryError> {
        let of_user = Directory::of_user(base)?;
        let name = format!("starts-{:016x}", hash(engine));
        let directory = of_user.inside(&name, base.join(&name))?;
        Ok(Self {
            queue: Arc::new(Queue {
                directory,
                run,
                slots: slots.max(1),
                registered: Mutex::default(),
            }),
            given_up: AtomicBool::new(false),
            last_word: Mutex::default(),
        })
    }

    /// Returns when a container may be started, which lasts as long as what is returned. `None`:
    /// there is no limit (any more).
    pub async fn take(&self, tell: &(dyn Fn(News) + Send + Sync)) -> Option<Slot> {
        if self.given_up.load(Ordering::Acquire) {
            return None;
        }
        let (waiting, mut words) = match self.queue.enter() {
            Ok(entered) => entered,
            Err(error) => return self.give_up(&error.to_string(), tell),
        };
        let mut moved = clock::now();
        let mut last_given = queue::last_given(&self.queue.directory, self.queue.slots);
        loop {
            let rest = PATIENCE.saturating_sub(moved.elapsed());
            match clock::within(rest.min(BETWEEN_WORDS), words.recv()).await {
                Ok(Some(Word::End(Ok(Some(slot))))) => return Some(slot),
                Ok(Some(Word::End(Err(error)))) => {
                    return self.give_up(&error.to_string(), tell);
                }
                // Nobody else calls it off, and a thread always has a last word.
                Ok(None | Some(Word::End(Ok(None)))) => {
                    return self.give_up("the thread that waits has ended", tell);
                }
                Ok(Some(Word::MustWait)) | Err(_) => {}
            }
            let given = queue::last_given(&self.queue.directory, self.queue.slots);
            if given != last_given {
                last_given = given;
                moved = clock::now();
            }
            if moved.elapsed() >= PATIENCE {
                let holders = queue::holders(&self.queue.directory, self.queue.slots);
                drop(waiting);
                let held = if holders.is_empty() {
                    String::new()
                } else {
                    format!("; the places are held by {}", holders.join(", "))
                };
                let reason = format!(
                    "no other run has started a container for {}s{held}",
                    PATIENCE.as_secs()
                );
                return self.give_up(&reason, tell);
            }
            self.say_that_it_waits(tell);
        }
    }

    /// Says that this run neither waits nor starts anything any more.
    pub fn leave(&self) {
        // Whoever counts the next time would remove it as well.
        let _ = queue::leave(&self.queue.directory, self.queue.run);
    }

    fn say_that_it_waits(&self, tell: &(dyn Fn(News) + Send + Sync)) {
        let mut last_word = lock(&self.last_word);
        if last_word.is_some_and(|last| last.elapsed() < BETWEEN_WORDS) {
            return;
        }
        let others = queue::others(&self.queue.directory, self.queue.run).unwrap_or_default();
        // A start that waits for others of the same run is nothing to tell.
        if others > 0 {
            *last_word = Some(clock::now());
            tell(News::Waits { others });
        }
    }

    fn give_up(&self, reason: &str, tell: &(dyn Fn(News) + Send + Sync)) -> Option<Slot> {
        if !self.given_up.swap(true, Ordering::AcqRel) {
            tell(News::Unlimited {
                reason: reason.to_owned(),
            });
        }
        None
    }
}

impl Queue {
    /// Lets a thread wait. It ends with the waiting, but not before it is its turn in the queue.
    fn enter(self: &Arc<Self>) -> std::io::Result<(Waiting, mpsc::UnboundedReceiver<Word>)> {
        let (sender, words) = mpsc::unbounded_channel();
        let called_off = Arc::new(AtomicBool::new(false));
        let waiting = Waiting {
            called_off: Arc::clone(&called_off),
            _bell: bell::ringing(&self.directory)?,
        };
        let queue = Arc::clone(self);
        std::thread::Builder::new()
            .name("envrun-start".to_owned())
            .spawn(move || {
                let slot = queue.wait(&called_off, || drop(sender.send(Word::MustWait)));
                // What nobody wants any more is given back by being dropped.
                let _ = sender.send(Word::End(slot));
            })?;
        Ok((waiting, words))
    }

    fn wait(
        &self,
        called_off: &AtomicBool,
        must_wait: impl FnOnce(),
    ) -> std::io::Result<Option<Slot>> {
        let registered = self.register()?;
        let slot = queue::wait(&self.directory, self.run, self.slots, called_off, must_wait)?;
        Ok(slot.map(|slot| Slot {
            _slot: slot,
            _registered: registered,
        }))
    }

    /// One open file for all starts of the run.
    fn register(&self) -> std::io::Result<Arc<File>> {
        let mut registered = lock(&self.registered);
        if let Some(file) = registered.upgrade() {
            return Ok(file);
        }
        let file = Arc::new(queue::register(&self.directory, self.run)?);
        *registered = Arc::downgrade(&file);
        Ok(file)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// FNV-1a with 64 bits: the same in every version of envrun, which `Hash` is not.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests;

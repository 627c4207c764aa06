//! A queue of processes for a few places, made of lock files.
//!
//! - `turnstile`: whoever waits, waits for this lock. The kernel gives it in the order of asking, so
//!   the queue is fair, and only the first of the queue looks for a place.
//! - `slot-0`, `slot-1`…: a place is held by whoever holds its lock.
//! - `run-UUID`: locked by a run while it waits or holds, so that the others can count runs. One
//!   whose lock can be taken belongs to nobody, and is removed by whoever finds it.
//! - `bell`: closed by whoever gives a place back ([`super::bell`]).
//!
//! Everything here blocks, and is called from threads of its own.

use std::fs::{File, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use super::bell::{self, Listener, Ringing};
use super::directory::Directory;
use crate::name::RunId;

/// What a run's file is called, before its id.
const RUN: &str = "run-";

/// Longest that is read of who holds a place, in bytes.
const HOLDER: u64 = 100;

/// A place of the queue. It is given back when it is dropped, or when the process ends.
#[derive(Debug)]
pub(super) struct Slot {
    // The order counts: the bell rings when the lock is free.
    _lock: File,
    _bell: Ringing,
}

/// Waits in the queue until a place is free. `Ok(None)`: it was called off. `must_wait` is called at
/// most once, as soon as there is nothing to be had at once.
pub(super) fn wait(
    directory: &Directory,
    run: RunId,
    slots: usize,
    called_off: &AtomicBool,
    must_wait: impl FnOnce(),
) -> std::io::Result<Option<Slot>> {
    let mut must_wait = Some(must_wait);
    let mut tell = || {
        if let Some(tell) = must_wait.take() {
            tell();
        }
    };
    // Held until the end of this function, so the next one looks for a place when we have ours.
    let turnstile = directory.file("turnstile")?;
    if !try_lock(&turnstile)? {
        tell();
        turnstile.lock()?;
    }
    // Before the first look, so that nothing is missed between the two.
    let mut listener = None;
    loop {
        if called_off.load(Ordering::Acquire) {
            return Ok(None);
        }
        if let Some(slot) = free_slot(directory, run, slots)? {
            return Ok(Some(slot));
        }
        match &listener {
            None => {
                tell();
                // The bell has to be there to be listened to.
                drop(bell::ringing(directory)?);
                listener = Some(Listener::new(directory));
            }
            Some(listener) => listener.wait(),
        }
    }
}

fn free_slot(directory: &Directory, run: RunId, slots: usize) -> std::io::Result<Option<Slot>> {
    for number in 0..slots {
        let mut lock = directory.file(&slot_name(number))?;
        if try_lock(&lock)? {
            // Who it is, for those who wait too long; and by its time, that the queue moves.
            lock.set_len(0)?;
            lock.rewind()?;
            writeln!(lock, "run {run} (process {})", std::process::id())?;
            return Ok(Some(Slot {
                _bell: bell::ringing(directory)?,
                _lock: lock,
            }));
        }
    }
    Ok(None)
}

/// When a place was given to somebody last, as far as can be told. It is compared with itself only.
pub(super) fn last_given(directory: &Directory, slots: usize) -> Option<SystemTime> {
    let times = (0..slots).filter_map(|number| {
        let file = directory.existing(&slot_name(number)).ok()??;
        file.metadata().ok()?.modified().ok()
    });
    times.max()
}

/// Who holds the places, in words.
pub(super) fn holders(directory: &Directory, slots: usize) -> Vec<String> {
    let words = (0..slots).filter_map(|number| {
        let file = directory.existing(&slot_name(number)).ok()??;
        if try_lock(&file).ok()? {
            return None;
        }
        let mut text = String::new();
        file.take(HOLDER).read_to_string(&mut text).ok()?;
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    });
    let mut words: Vec<String> = words.collect();
    words.dedup();
    words
}

/// Shows that a run waits or holds, for as long as the file is open.
pub(super) fn register(directory: &Directory, run: RunId) -> std::io::Result<File> {
    let name = run_name(run);
    loop {
        let file = directory.file(&name)?;
        file.lock()?;
        // Somebody may have taken it for stale and removed it in the meantime.
        if directory.holds(&name, &file)? {
            return Ok(file);
        }
    }
}

/// Takes the file of a run away.
pub(super) fn leave(directory: &Directory, run: RunId) -> std::io::Result<()> {
    directory.remove(&run_name(run))
}

/// How many other runs wait or hold. Files of runs that do neither are removed.
pub(super) fn others(directory: &Directory, run: RunId) -> std::io::Result<usize> {
    let mut others = 0;
    let own = run_name(run);
    for name in directory.names()? {
        if !name.starts_with(RUN) || name == own {
            continue;
        }
        let Some(file) = directory.existing(&name)? else {
            continue;
        };
        // Shared, so that two who count do not take each other for a run.
        match file.try_lock_shared() {
            Ok(()) => directory.remove(&name)?,
            Err(TryLockError::WouldBlock) => others += 1,
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Ok(others)
}

fn try_lock(file: &File) -> std::io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn slot_name(number: usize) -> String {
    format!("slot-{number}")
}

fn run_name(run: RunId) -> String {
    format!("{RUN}{run}")
}

//! The search for all spellings at once: one step of an automaton a byte, whatever their number.
//!
//! Owns how far text is settled: the state of the automaton is the longest end of what was read that
//! begins a spelling, so whatever is before that end can be part of no occurrence that is still to
//! come.

use std::collections::{BTreeSet, HashMap};

use aho_corasick::automaton::{Automaton, StateID};
use aho_corasick::nfa::contiguous;
use aho_corasick::{Anchored, MatchKind, dfa};

/// Bytes of all spellings up to which each byte takes one step at a table; it takes a thousand times
/// the memory. Beyond, the automaton is small and half as fast.
const TABLE: usize = 16 << 10;

/// All spellings.
pub(super) struct Search {
    machine: Machine,
    start: StateID,
    /// How many bytes before each state are not settled; asked once a piece, not once a byte.
    depths: HashMap<StateID, usize>,
}

enum Machine {
    Table(dfa::DFA),
    Compact(contiguous::NFA),
}

impl Search {
    pub(super) fn new(spellings: &BTreeSet<Vec<u8>>) -> Result<Self, String> {
        let size: usize = spellings.iter().map(Vec::len).sum();
        let machine = if size <= TABLE {
            let mut builder = dfa::DFA::builder();
            builder.match_kind(MatchKind::Standard).prefilter(false);
            Machine::Table(
                builder
                    .build(spellings)
                    .map_err(|error| error.to_string())?,
            )
        } else {
            let mut builder = contiguous::NFA::builder();
            builder.match_kind(MatchKind::Standard).prefilter(false);
            Machine::Compact(
                builder
                    .build(spellings)
                    .map_err(|error| error.to_string())?,
            )
        };
        let (start, depths) = match &machine {
            Machine::Table(automaton) => depths(automaton, spellings),
            Machine::Compact(automaton) => depths(automaton, spellings),
        }?;
        Ok(Self {
            machine,
            start,
            depths,
        })
    }

    /// The state in which nothing was read.
    pub(super) const fn start(&self) -> StateID {
        self.start
    }

    /// Reads on from a state and notes every occurrence that ends here. Returns the state after it.
    pub(super) fn scan(&self, state: StateID, bytes: &[u8], runs: &mut Runs) -> StateID {
        match &self.machine {
            Machine::Table(automaton) => scan(automaton, state, bytes, runs),
            Machine::Compact(automaton) => scan(automaton, state, bytes, runs),
        }
    }

    /// How many bytes before the place of a state may still be part of an occurrence.
    pub(super) fn depth(&self, state: StateID) -> usize {
        self.depths.get(&state).copied().unwrap_or(0)
    }
}

/// Whoever walks along a spelling is, after each byte, in the state that stands for just these bytes:
/// every state is reached like that. The end of a spelling that begins no longer one is settled, but
/// for an end of it that begins another.
fn depths(
    automaton: &impl Automaton,
    spellings: &BTreeSet<Vec<u8>>,
) -> Result<(StateID, HashMap<StateID, usize>), String> {
    let start = automaton
        .start_state(Anchored::No)
        .map_err(|error| error.to_string())?;
    let step = |state, byte: &u8| automaton.next_state(Anchored::No, state, *byte);
    let mut depths = HashMap::new();
    let mut ends = Vec::new();
    for spelling in spellings {
        let mut state = start;
        for (index, byte) in spelling.iter().enumerate() {
            state = step(state, byte);
            if index + 1 < spelling.len() {
                depths.insert(state, index + 1);
            }
        }
        ends.push((spelling, state));
    }
    // The shorter ones first, since a longer one may end with one of them.
    ends.sort_by_key(|(spelling, _)| spelling.len());
    for (spelling, end) in ends {
        if !depths.contains_key(&end) {
            let rest = spelling.iter().skip(1).fold(start, step);
            let depth = depths.get(&rest).copied().unwrap_or(0);
            depths.insert(end, depth);
        }
    }
    Ok((start, depths))
}

fn scan(automaton: &impl Automaton, mut state: StateID, bytes: &[u8], runs: &mut Runs) -> StateID {
    for (index, byte) in bytes.iter().enumerate() {
        state = automaton.next_state(Anchored::No, state, *byte);
        // Special states are few: starts, and ends of spellings.
        if automaton.is_special(state) && automaton.is_match(state) {
            let lengths = 0..automaton.match_len(state);
            let length = lengths
                .map(|which| automaton.pattern_len(automaton.match_pattern(state, which)))
                .max();
            runs.add(index + 1, length.unwrap_or(0));
        }
    }
    state
}

/// The runs of hidden bytes, in order, none touching the next.
#[derive(Debug, Default)]
pub(super) struct Runs {
    /// Start and end, counted from `before` bytes before what is scanned.
    runs: Vec<(usize, usize)>,
    before: usize,
}

impl Runs {
    /// Counts from so many bytes before what is scanned next.
    pub(super) const fn count_from(&mut self, before: usize) {
        self.before = before;
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, usize)> {
        self.runs.iter().copied()
    }

    /// Adds an occurrence by its end, which is behind all ends so far.
    fn add(&mut self, end: usize, length: usize) {
        let end = self.before + end;
        let mut start = end.saturating_sub(length);
        while let Some(&(first, last)) = self.runs.last() {
            if last < start {
                break;
            }
            start = start.min(first);
            self.runs.pop();
        }
        self.runs.push((start, end));
    }

    /// Forgets what is before a place, and counts from there.
    pub(super) fn forget(&mut self, before: usize) {
        self.runs.retain_mut(|(start, end)| {
            *start = start.saturating_sub(before);
            *end = end.saturating_sub(before);
            *end > 0
        });
    }
}

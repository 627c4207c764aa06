//! The course of all probes of one start of a container: which of them are tried, and when enough of
//! them have passed or failed. Pure: time comes in as an argument.

use std::time::Duration;

use super::machine::{Account, Machine, Standing};
use super::{Kind, Tree};

/// The machines of all probes, and how their ends count.
#[derive(Debug, Clone)]
pub struct Course {
    machines: Vec<Machine>,
    root: Part,
}

/// The tree, with machines by their number in place of probes.
#[derive(Debug, Clone)]
enum Part {
    All(Vec<Self>),
    Any(Vec<Self>),
    Leaf(usize),
}

impl Course {
    /// A course of these probes, over `deadline` after the start of the container, or never. With
    /// `by_exec` probes of the network are made by commands in the container.
    #[must_use]
    pub fn new(tree: &Tree, deadline: Option<Duration>, by_exec: bool) -> Self {
        let mut machines = Vec::new();
        let root = Self::part(tree, &mut |probe| {
            let by_exec = by_exec && matches!(probe.kind, Kind::Network(_));
            machines.push(Machine::new(probe.clone(), deadline, by_exec));
            machines.len() - 1
        });
        Self { machines, root }
    }

    fn part(tree: &Tree, number: &mut dyn FnMut(&super::Probe) -> usize) -> Part {
        match tree {
            Tree::All(parts) => {
                Part::All(parts.iter().map(|part| Self::part(part, number)).collect())
            }
            Tree::Any(parts) => {
                Part::Any(parts.iter().map(|part| Self::part(part, number)).collect())
            }
            Tree::Leaf(probe) => Part::Leaf(number(probe)),
        }
    }

    /// How the whole stands.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.standing_of(&self.root)
    }

    fn standing_of(&self, part: &Part) -> Standing {
        match part {
            Part::Leaf(number) => self
                .machines
                .get(*number)
                .map_or(Standing::GaveUp, Machine::standing),
            Part::All(parts) => {
                let mut standings = parts.iter().map(|part| self.standing_of(part));
                standings.try_fold(Standing::Passed, |all, one| match one {
                    Standing::GaveUp => Err(Standing::GaveUp),
                    Standing::Open => Ok(Standing::Open),
                    Standing::Passed => Ok(all),
                })
            }
            .unwrap_or_else(|gave_up| gave_up),
            Part::Any(parts) => {
                let mut standings = parts.iter().map(|part| self.standing_of(part));
                standings.try_fold(Standing::GaveUp, |any, one| match one {
                    Standing::Passed => Err(Standing::Passed),
                    Standing::Open => Ok(Standing::Open),
                    Standing::GaveUp => Ok(any),
                })
            }
            .unwrap_or_else(|passed| passed),
        }
    }

    /// The numbers of the probes that are to be tried now. A look over the network costs the server
    /// next to nothing and a command is a process in its container, so of several that all have to
    /// pass, commands wait for the others.
    #[must_use]
    pub fn due(&self) -> Vec<usize> {
        let mut due = Vec::new();
        self.collect(&self.root, &mut due);
        due
    }

    fn collect(&self, part: &Part, due: &mut Vec<usize>) {
        if self.standing_of(part) != Standing::Open {
            return;
        }
        match part {
            Part::Leaf(number) => due.push(*number),
            Part::Any(parts) => parts.iter().for_each(|part| self.collect(part, due)),
            Part::All(parts) => {
                let (costly, cheap): (Vec<&Part>, Vec<&Part>) =
                    parts.iter().partition(|part| self.is_costly(part));
                let is_open = |part: &&Part| self.standing_of(part) == Standing::Open;
                let first = if cheap.iter().any(is_open) {
                    cheap
                } else {
                    costly
                };
                first.into_iter().for_each(|part| self.collect(part, due));
            }
        }
    }

    fn is_costly(&self, part: &Part) -> bool {
        match part {
            Part::All(parts) | Part::Any(parts) => parts.iter().any(|part| self.is_costly(part)),
            Part::Leaf(number) => self
                .machines
                .get(*number)
                .is_some_and(|machine| machine.probe().kind.is_costly()),
        }
    }

    /// A machine by its number.
    #[must_use]
    pub fn machine(&self, number: usize) -> Option<&Machine> {
        self.machines.get(number)
    }

    /// A machine by its number, to be told of an attempt.
    pub fn machine_mut(&mut self, number: usize) -> Option<&mut Machine> {
        self.machines.get_mut(number)
    }

    /// What there is to be said of every probe, in the order of the file.
    #[must_use]
    pub fn accounts(&self) -> Vec<Account> {
        self.machines.iter().map(Machine::account).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::probe::{ExecProbe, NetworkProbe, Probe, Reason};

    fn tcp(port: u16) -> Tree {
        Tree::Leaf(Probe::new(Kind::Network(NetworkProbe::Tcp {
            ports: vec![port],
        })))
    }

    fn exec() -> Tree {
        Tree::Leaf(Probe::new(Kind::Exec(ExecProbe {
            command: vec!["true".to_owned()],
        })))
    }

    fn tell(course: &mut Course, number: usize, answer: Result<(), Reason>) {
        let deadline = Duration::from_secs(1);
        let machine = course.machine_mut(number).expect("known");
        machine.record(deadline, Duration::ZERO, answer);
        let _ = machine.next(deadline);
    }

    fn no() -> Result<(), Reason> {
        Err(Reason::NotYet("no".to_owned()))
    }

    #[test]
    fn commands_wait_for_what_is_cheaper_and_has_to_pass_as_well() {
        let tree = Tree::All(vec![exec(), tcp(1), Tree::Any(vec![tcp(2), tcp(3)])]);
        let mut course = Course::new(&tree, None, false);
        assert_eq!(course.due(), [1, 2, 3]);
        tell(&mut course, 2, Ok(()));
        assert_eq!(course.due(), [1]);
        tell(&mut course, 1, Ok(()));
        assert_eq!(course.due(), [0]);
        tell(&mut course, 0, Ok(()));
        assert_eq!(course.standing(), Standing::Passed);
    }

    #[test]
    fn of_alternatives_all_are_tried_and_one_is_enough() {
        let tree = Tree::Any(vec![exec(), tcp(1)]);
        let mut course = Course::new(&tree, Some(Duration::from_secs(1)), false);
        assert_eq!(course.due(), [0, 1]);
        tell(&mut course, 1, no());
        assert_eq!(course.standing(), Standing::Open);
        assert_eq!(course.due(), [0]);
        tell(&mut course, 0, no());
        assert_eq!(course.standing(), Standing::GaveUp);
    }

    #[test]
    fn nothing_to_pass_has_passed() {
        let course = Course::new(&Tree::All(Vec::new()), None, false);
        assert_eq!(course.standing(), Standing::Passed);
        assert!(course.due().is_empty());
    }

    fn trees() -> impl Strategy<Value = Tree> {
        let leaf = prop_oneof![(1_u16..9).prop_map(tcp), Just(exec())];
        leaf.prop_recursive(4, 20, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 1..4).prop_map(Tree::All),
                proptest::collection::vec(inner, 1..4).prop_map(Tree::Any),
            ]
        })
    }

    /// What a tree comes to when each probe ends as the list says.
    fn wanted(tree: &Tree, answers: &mut impl Iterator<Item = bool>) -> bool {
        match tree {
            Tree::Leaf(_) => answers.next().unwrap_or_default(),
            Tree::All(parts) => {
                let all: Vec<bool> = parts.iter().map(|part| wanted(part, answers)).collect();
                all.into_iter().all(|one| one)
            }
            Tree::Any(parts) => {
                let any: Vec<bool> = parts.iter().map(|part| wanted(part, answers)).collect();
                any.into_iter().any(|one| one)
            }
        }
    }

    proptest! {
        /// Whatever the tree and the answers: while it is open somebody is due, it ends, and it ends
        /// as its words say.
        #[test]
        fn every_course_ends_as_the_tree_says(
            tree in trees(),
            answers in proptest::collection::vec(any::<bool>(), 100),
        ) {
            let mut course = Course::new(&tree, Some(Duration::from_secs(1)), false);
            let mut told = 0;
            while course.standing() == Standing::Open {
                let due = course.due();
                prop_assert!(!due.is_empty());
                for number in due {
                    let answer = if answers[number] { Ok(()) } else { no() };
                    tell(&mut course, number, answer);
                    told += 1;
                }
                prop_assert!(told <= tree.leaves().len());
            }
            let passes = wanted(&tree, &mut answers.iter().copied());
            prop_assert_eq!(course.standing() == Standing::Passed, passes);
        }
    }
}

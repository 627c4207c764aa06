//! Runs of different shapes side by side, some of them killed in every way at any moment, again and
//! again: nothing of them stays, and nobody beside them notices. `ci/soak` runs more rounds.
//!
//! The schedule comes from the seed alone.

use std::fmt;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process, kill_process_group};

use crate::harness::engine::PROJECT_LABEL;
use crate::harness::run::watchdog_of;
use crate::harness::{Project, Run, events, image, junit, wait};
use crate::teardown::Foreign;

/// From the last signal of a round to an engine without its victims and their watchdogs. A watchdog
/// looks on for a minute after a creation whose answer nobody heard.
const CLEAN_WITHIN: Duration = Duration::from_secs(90);

/// Latest moment of a first signal, in milliseconds after the start: a run takes about a second to its
/// suites, and several when they are many.
const LATEST: u64 = 5000;

/// SplitMix64 (Steele, Lea, Flood 2014): small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::try_from(self.below(all.len() as u64)).unwrap()]
    }
}

/// What a victim is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Build,
    Hooks,
    Replicas,
    Volumes,
    Copies,
    /// Where the networks cannot be dialled, so that an agent is sent.
    Elsewhere,
}

const SHAPES: [Shape; 6] = [
    Shape::Build,
    Shape::Hooks,
    Shape::Replicas,
    Shape::Volumes,
    Shape::Copies,
    Shape::Elsewhere,
];

impl Shape {
    fn project(self) -> Project {
        let base = image::BASE;
        let server = match self {
            Self::Build => "build: ./built\n    command: [sleep, infinity]".to_owned(),
            Self::Hooks => format!(
                "image: {base}
    command: [sleep, infinity]
    post_start: [{{ command: [bash, -c, 'sleep 0.3'] }}]
    pre_stop: [{{ command: [bash, -c, 'sleep 0.2'] }}]
    x-envrun: {{ stop_grace: 1s }}"
            ),
            Self::Replicas => {
                format!(
                    "image: {base}\n    command: [sleep, '1']\n    scale: 3\n    restart: always"
                )
            }
            Self::Volumes => format!(
                "image: {base}\n    command: [sleep, infinity]\n    networks: [front, back]\n    volumes: ['one:/one', 'two:/two', /three]"
            ),
            Self::Copies => format!(
                "image: {base}\n    command: [sleep, infinity]\n    volumes: ['./files:/files']\n    x-envrun: {{ bind: copy }}"
            ),
            Self::Elsewhere => format!(
                "image: {base}\n    command: [sleep, infinity]\n    expose: ['9']\n    networks: [front, back]"
            ),
        };
        let project = Project::new(&format!(
            "
services:
  server:
    {server}
  checks:
    image: {base}
    command: [sleep, infinity]
    depends_on: {{ server: {{ condition: service_started }} }}
    x-envrun: {{ suite: {{}} }}
networks: {{ front: {{}}, back: {{}} }}
volumes: {{ one: {{}}, two: {{}} }}
"
        ));
        project.file("files/content", "content");
        let dockerfile = format!(
            "FROM {base}\nVOLUME /declared\nRUN echo {} && sleep 0.5\n",
            project.name
        );
        project.file("built/Dockerfile", dockerfile);
        project
    }
}

/// How a victim is hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Blow {
    Int,
    Term,
    Hup,
    Kill,
    KillGroup,
}

impl Blow {
    fn strike(self, run: &Run<'_>) {
        // It may be gone already.
        let _ = match self {
            Self::Int => kill_process(run.process(), Signal::INT),
            Self::Term => kill_process(run.process(), Signal::TERM),
            Self::Hup => kill_process(run.process(), Signal::HUP),
            Self::Kill => kill_process(run.process(), Signal::KILL),
            Self::KillGroup => kill_process_group(run.process(), Signal::KILL),
        };
    }
}

/// What happens to one victim: blows, each so many milliseconds after the start of all.
struct Fate {
    shape: Shape,
    blows: Vec<(u64, Blow)>,
}

impl fmt::Display for Fate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}:", self.shape)?;
        for (at, blow) in &self.blows {
            write!(formatter, " {blow:?} at {at} ms")?;
        }
        Ok(())
    }
}

/// The fates of a round: the same for the same seed and round, whatever happens on the machine.
fn fates(seed: u64, round: u64) -> Vec<Fate> {
    let mut random = Random(seed.wrapping_add(round.wrapping_mul(0x1000_0000_01b3)));
    let all = [
        Blow::Int,
        Blow::Term,
        Blow::Hup,
        Blow::Kill,
        Blow::KillGroup,
    ];
    (0..3)
        .map(|_| {
            let shape = random.one_of(&SHAPES);
            let mut at = random.below(LATEST);
            let blows = 1 + random.below(3);
            let blows = (0..blows).map(|_| {
                let now = at;
                at += random.below(600);
                (now, random.one_of(&all))
            });
            Fate {
                shape,
                blows: blows.collect(),
            }
        })
        .collect()
}

/// A sibling that nobody hits.
fn sibling() -> Project {
    Project::new(&format!(
        "
services:
  server: {{ image: {base}, command: [sleep, infinity], volumes: ['data:/data'] }}
  checks: {{ image: {base}, command: [sleep, '2'], depends_on: [server], x-envrun: {{ suite: {{}} }} }}
volumes: {{ data: {{}} }}
",
        base = image::BASE
    ))
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is no number: {text}"))
    })
}

fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

#[test]
fn whoever_is_killed_at_whatever_moment_leaves_nothing_and_hurts_nobody() {
    let rounds = number("ENVRUN_SOAK_ROUNDS", 5);
    let seed = number("ENVRUN_SOAK_SEED", 1);
    let first = number("ENVRUN_SOAK_FIRST", 1);
    say(&format!(
        "soak: {rounds} rounds from {first} on, seed {seed}"
    ));
    let bystanders = Project::new("");
    let name = format!("test-{}", uuid::Uuid::new_v4().simple());
    let bystander = Foreign::make(&bystanders, &name);
    let before = there(&bystanders, &bystander);
    for round in first..first + rounds {
        let fates = fates(seed, round);
        for fate in &fates {
            say(&format!("soak: seed {seed}, round {round}: {fate}"));
        }
        let wrong = hit(&fates);
        assert!(
            wrong.is_empty(),
            "seed {seed}, round {round}, again by `ENVRUN_SOAK_FIRST={round} ci/soak 1 {seed}`:\n{}",
            wrong.join("\n")
        );
        assert_eq!(there(&bystanders, &bystander), before, "round {round}");
    }
}

/// The bystanders, as the engine describes them.
fn there(project: &Project, bystander: &Foreign<'_>) -> Vec<serde_json::Value> {
    let all = project.engine.labelled(Foreign::LABEL, &bystander.value);
    all.iter()
        .map(|resource| project.engine.inspect_one(resource))
        .collect()
}

/// One round. Returns what is wrong after it.
fn hit(fates: &[Fate]) -> Vec<String> {
    let projects: Vec<Project> = fates.iter().map(|fate| fate.shape.project()).collect();
    let unhurt = sibling();
    let mut victims: Vec<Run<'_>> = projects
        .iter()
        .zip(fates)
        .map(|(project, fate)| match fate.shape {
            Shape::Elsewhere => project.start_elsewhere(),
            _ => project.start(),
        })
        .collect();
    let sibling = unhurt.start();
    let begun = Instant::now();
    let mut blows: Vec<(u64, usize, Blow)> = Vec::new();
    for (victim, fate) in fates.iter().enumerate() {
        blows.extend(fate.blows.iter().map(|(at, blow)| (*at, victim, *blow)));
    }
    blows.sort_by_key(|(at, victim, _)| (*at, *victim));
    for (at, victim, blow) in blows {
        wait::pass(Duration::from_millis(at).saturating_sub(begun.elapsed()));
        blow.strike(&victims[victim]);
    }
    let mut wrong = Vec::new();
    for ((run, project), fate) in victims.iter_mut().zip(&projects).zip(fates) {
        let status = run.wait(CLEAN_WITHIN);
        let left = until_clean(project);
        if !left.is_empty() {
            wrong.push(format!("{fate}: left behind: {left:#?}"));
        }
        if let Some(id) = events::run_id(&run.out)
            && !ends(&id)
        {
            wrong.push(format!("{fate}: its watchdog is still there"));
        }
        // A signal that it did not handle has ended it before it could listen, or was SIGKILL.
        if status.signal().is_none() {
            match std::fs::read(run.out.join("junit.xml")) {
                Ok(report) => drop(junit::Report::parse(&report)),
                Err(error) => wrong.push(format!("{fate}: {status}, no report: {error}")),
            }
        }
    }
    let finished = sibling.finish();
    if finished.code != 0 {
        wrong.push(format!("the sibling has not passed:\n{}", finished.stderr));
    }
    wrong
}

/// Waits until nothing of a project is on the engine, and returns what is.
fn until_clean(project: &Project) -> Vec<String> {
    let begun = Instant::now();
    wait::until("a look at the engine", CLEAN_WITHIN * 2, || {
        let left = project.engine.labelled(PROJECT_LABEL, &project.name);
        let left: Vec<String> = left.iter().map(|one| format!("{one:?}")).collect();
        (left.is_empty() || begun.elapsed() > CLEAN_WITHIN).then_some(left)
    })
}

fn ends(id: &str) -> bool {
    let begun = Instant::now();
    wait::until("a look at the watchdog", CLEAN_WITHIN * 2, || {
        let gone = watchdog_of(id).is_none();
        (gone || begun.elapsed() > CLEAN_WITHIN).then_some(gone)
    })
}

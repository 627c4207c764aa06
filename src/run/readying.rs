//! Carries out the probes of one service: asks the machines, does as they say, reports the end.

use std::io::Cursor;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::Semaphore;

use super::effect::{Input, ProbeTask};
use super::shared::Shared;
use crate::agent::Agent;
use crate::clock;
use crate::engine::{EngineError, ExecOutcome, ExecSpec};
use crate::plan::agent::Rights;
use crate::probe::course::Course;
use crate::probe::file::Found;
use crate::probe::machine::{Account, Next, Standing};
use crate::probe::{
    self, FileProbe, Kind, LogProbe, NetworkProbe, Probe, Prober, Reason, command, listening,
};

/// Bytes read of an archive to see what it begins with.
const ARCHIVE_BEGINNING: usize = 64 << 10;

/// From where the network probes of a service are made.
enum Vantage {
    /// From this host, to this address.
    Host(IpAddr),
    /// By an agent, to this address.
    Agent(Agent, IpAddr),
    /// By commands in the container.
    Inside,
}

/// What the attempts of one service share.
struct Probing {
    shared: Arc<Shared>,
    prober: Arc<dyn Prober>,
    task: ProbeTask,
    vantage: Vantage,
    course: Mutex<Course>,
    /// One command in the container at a time: they compete with the server for the processor.
    commands: Semaphore,
}

/// Probes until enough has passed, or enough has given up.
pub(super) async fn until_ready(shared: Arc<Shared>, prober: Arc<dyn Prober>, task: ProbeTask) {
    let vantage = vantage(&shared, prober.as_ref(), &task).await;
    let requirement = &task.requirement;
    let by_exec = matches!(vantage, Vantage::Inside);
    let course = Course::new(&requirement.tree, requirement.deadline, by_exec);
    let probing = Probing {
        shared,
        prober,
        task,
        vantage,
        course: Mutex::new(course),
        commands: Semaphore::new(1),
    };
    let mut begun = Vec::new();
    let mut running = FuturesUnordered::new();
    while probing.course().standing() == Standing::Open {
        let due = probing.course().due();
        for number in due {
            if !begun.contains(&number) {
                begun.push(number);
                running.push(probing.drive(number));
            }
        }
        if running.next().await.is_none() {
            break;
        }
    }
    drop(running);
    probing.tell();
}

/// The best place there is. The network is dialled only where its gateway is an address of ours;
/// elsewhere its addresses mean nothing, or worse, something else. A service that has its network for
/// itself is asked at the loopback address.
async fn vantage(shared: &Shared, prober: &dyn Prober, task: &ProbeTask) -> Vantage {
    let leaves = task.requirement.tree.leaves();
    if !leaves
        .iter()
        .any(|probe| matches!(probe.kind, Kind::Network(_)))
    {
        return Vantage::Inside;
    }
    let near = |gateway: Option<IpAddr>| gateway.is_some_and(|gateway| prober.reaches(gateway));
    let address = match task.address {
        Some(address) if near(address.gateway) => return Vantage::Host(address.address),
        Some(address) => address.address,
        None => Ipv4Addr::LOCALHOST.into(),
    };
    let agent = match task.stationed {
        true => shared.agents.station().await,
        false => {
            let sent = shared.agents.beside(&task.container, Rights::Use).await;
            sent.map_err(|reason| shared.send(Input::NoAgent(reason.to_string())))
                .ok()
        }
    };
    match agent {
        Some(agent) => Vantage::Agent(agent, address),
        None => Vantage::Inside,
    }
}

impl Probing {
    fn course(&self) -> MutexGuard<'_, Course> {
        self.course.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn elapsed(&self) -> Duration {
        let since_begin = self.shared.begun.elapsed();
        since_begin.saturating_sub(self.task.started)
    }

    /// Drives one machine to its end.
    async fn drive(&self, number: usize) {
        let Some(probe) = self
            .course()
            .machine(number)
            .map(|machine| machine.probe().clone())
        else {
            return;
        };
        let is_command = self.is_command(&probe);
        loop {
            // Its turn comes before the question for how long it may take: what has waited for others has
            // not been slow.
            let turn = match is_command {
                true => self.commands.acquire().await.ok(),
                false => None,
            };
            let elapsed = self.elapsed();
            let next = self
                .course()
                .machine_mut(number)
                .map(|machine| machine.next(elapsed));
            match next {
                None | Some(Next::Passed | Next::GaveUp) => return,
                Some(Next::Wait(pause)) => {
                    drop(turn);
                    clock::pause(pause).await;
                }
                Some(Next::Attempt(limit)) => {
                    // A zero pause between two attempts must leave room for everybody else.
                    clock::pause(Duration::ZERO).await;
                    let before = self.elapsed();
                    let answer = self.attempt(&probe, limit).await;
                    let now = self.elapsed();
                    if let Some(machine) = self.course().machine_mut(number) {
                        machine.record(now, now.saturating_sub(before), answer);
                    }
                }
            }
        }
    }

    /// One attempt, bounded by `limit`. What is dialled is dialled here and nowhere else.
    async fn attempt(&self, probe: &Probe, limit: Duration) -> Result<(), Reason> {
        let host = self.task.host.as_str();
        match (&probe.kind, &self.vantage) {
            (Kind::Network(probe), Vantage::Host(address)) => {
                self.prober.attempt(probe, host, *address, limit).await
            }
            (Kind::Network(probe), Vantage::Agent(agent, address)) if !agent.is_gone() => {
                probe::attempt(agent, probe, (host, *address), limit).await
            }
            (Kind::Network(probe), _) => {
                let command = listening::COMMAND.map(str::to_owned);
                let outcome = self.run(&command, limit).await?;
                self.look_inside(probe, &outcome)
            }
            (Kind::Healthcheck(check), _) => {
                let outcome = self.run(&check.command, limit).await?;
                command::judge(outcome.code, &outcome.output_tail)
            }
            (Kind::Exec(probe), _) => {
                let outcome = self.run(&probe.command, limit).await?;
                command::judge(outcome.code, &outcome.output_tail)
            }
            (Kind::File(probe), _) if probe.by_command => {
                let outcome = self.run(&probe.command(), limit).await?;
                probe.judge_command(outcome.code, &outcome.output_tail)
            }
            (Kind::File(probe), _) => {
                let found = clock::within(limit, self.find(probe)).await?;
                probe.judge(found.map_err(|error| Reason::Engine(error.to_string()))?)
            }
            (Kind::Log(probe), _) => self.hear(probe, limit).await,
            // The machine asks for no attempt.
            (Kind::Completed, _) => Err(Reason::NotYet("still running".to_owned())),
        }
    }

    /// Whether a probe is made by commands in the container.
    fn is_command(&self, probe: &Probe) -> bool {
        match &probe.kind {
            Kind::Healthcheck(_) | Kind::Exec(_) => true,
            Kind::File(probe) => probe.by_command,
            Kind::Network(_) => matches!(self.vantage, Vantage::Inside),
            Kind::Log(_) | Kind::Completed => false,
        }
    }

    /// Runs a command in the container.
    async fn run(&self, command: &[String], limit: Duration) -> Result<ExecOutcome, Reason> {
        let command = ExecSpec::plain(command);
        let running = self.shared.engine.exec(&self.task.container, &command);
        clock::within(limit, running)
            .await?
            .map_err(|error| Reason::Engine(error.to_string()))
    }

    fn look_inside(&self, probe: &NetworkProbe, outcome: &ExecOutcome) -> Result<(), Reason> {
        listening::judge(probe, &outcome.output_tail, self.task.alone)
    }

    /// Asks the engine what is at a path.
    async fn find(&self, probe: &FileProbe) -> Result<Found, EngineError> {
        let engine = &self.shared.engine;
        let Some(mut archive) = engine
            .read_archive(&self.task.container, &probe.path)
            .await?
        else {
            return Ok(Found::Nothing);
        };
        let mut beginning = Vec::new();
        while beginning.len() < ARCHIVE_BEGINNING
            && let Some(piece) = archive.next().await
        {
            beginning.extend_from_slice(&piece?);
        }
        Ok(first_in(&beginning))
    }

    /// Waits for lines of the output.
    async fn hear(&self, probe: &LogProbe, limit: Duration) -> Result<(), Reason> {
        let (service, listeners) = (&self.task.service, &self.shared.listeners);
        let heard = clock::within(limit, listeners.wait(service, probe)).await;
        heard.map_err(|_reached| {
            let seen = listeners.seen(service, probe);
            Reason::NotYet(match probe.times {
                1 => "no such line".to_owned(),
                times => format!("{seen} of {times} lines"),
            })
        })
    }

    /// Reports the end.
    fn tell(&self) {
        let accounts = self.course().accounts();
        let service = self.task.service.clone();
        let start = self.task.start;
        if self.course().standing() != Standing::Passed {
            let log_tail = self.shared.tails.tail(&service);
            return self.shared.send(Input::NotReady {
                service,
                start,
                accounts,
                log_tail,
            });
        }
        let attempts = accounts.iter().map(|one| one.attempts).sum();
        let passed = accounts
            .iter()
            .filter(|one| one.standing == Standing::Passed);
        let mut passed: Vec<String> = passed.map(Account::words).collect();
        passed.sort();
        self.shared.send(Input::Ready {
            service,
            start,
            by: passed.join(" and "),
            attempts,
        });
    }
}

/// What the beginning of an archive shows. A directory is filled if something is in it; where a link
/// leads to is not asked.
fn first_in(archive: &[u8]) -> Found {
    let mut archive = tar::Archive::new(Cursor::new(archive));
    let Ok(mut entries) = archive.entries() else {
        return Found::Empty;
    };
    let Some(Ok(first)) = entries.next() else {
        return Found::Empty;
    };
    let kind = first.header().entry_type();
    let is_filled = if kind.is_dir() {
        entries.next().is_some()
    } else {
        !kind.is_file() || first.size() > 0
    };
    if is_filled {
        Found::Filled
    } else {
        Found::Empty
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(entries: &[(&str, tar::EntryType, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, kind, content) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(*kind);
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            builder
                .append_data(&mut header, path, *content)
                .expect("written");
        }
        builder.into_inner().expect("written")
    }

    #[test]
    fn the_first_entry_says_what_is_there() {
        let file = tar::EntryType::Regular;
        let long = "x".repeat(300);
        assert_eq!(first_in(&archive(&[("a", file, b"")])), Found::Empty);
        assert_eq!(first_in(&archive(&[(&long, file, b"1")])), Found::Filled);
        // Cut off in the middle of a large file.
        let large = archive(&[("a", file, &[1; 4096])]);
        assert_eq!(first_in(&large[..1024]), Found::Filled);
        let directory = ("d", tar::EntryType::Directory, &b""[..]);
        assert_eq!(first_in(&archive(&[directory])), Found::Empty);
        let filled = archive(&[directory, ("d/a", file, b"")]);
        assert_eq!(first_in(&filled), Found::Filled);
        assert_eq!(first_in(b"garbage"), Found::Empty);
    }
}

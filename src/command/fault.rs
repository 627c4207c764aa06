//! `envrun fault`: does something to the services of a run that tests of failure need, and undoes it.
//!
//! What is in effect is known from the engine alone, so any command can undo what another one has
//! done, or was killed over.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use clap::Args;

use super::{complain, ps, say, selected, signals};
use crate::clock;
use crate::engine::{
    BUILD_LABEL, DIRECTORY_LABEL, Engine, FailureKind, LEASE_LABEL, PROJECT_LABEL, RUN_LABEL,
    ResourceKind, SERVICE_LABEL,
};
use crate::exit_code::ExitCode;
use crate::fault::scene::{self, Member};
use crate::fault::{Fault, Kind, Order, Request, words};
use crate::lease::{Standing, rough};
use crate::name::{ContainerId, RunId, ServiceName};
use crate::run::faults::{Deed, Faults, Mark, Refusal};
use crate::run::gc::Found;

/// How long after its time a fault may still be undone by the command that has done it.
const OVERDUE: Duration = Duration::from_secs(2);

/// Arguments of `envrun fault`.
#[derive(Debug, Args)]
#[command(after_help = KINDS)]
pub(super) struct Arguments {
    /// What is done, and to whom; or `list`, `undo ID…`, `unpause SERVICE`
    #[arg(value_name = "KIND NAME", required = true)]
    words: Vec<String>,
    /// The run, by its id or the beginning of it [default: what is held for this directory]
    #[arg(long = "in", value_name = "RUN")]
    run: Option<String>,
    /// Wait for so long and undo it [default: it lasts until it is undone, or the run ends]
    #[arg(long = "for", value_name = "DURATION")]
    time: Option<String>,
    /// For `drop`: how many of a hundred packets [default: 100]
    #[arg(long, value_name = "1..100")]
    percent: Option<String>,
    /// For `latency`: how long packets are held back
    #[arg(long, value_name = "DURATION")]
    delay: Option<String>,
    /// For `latency`: by how much that varies [default: 0]
    #[arg(long, value_name = "DURATION")]
    jitter: Option<String>,
    /// For `undo`: all faults
    #[arg(long)]
    all: bool,
}

const KINDS: &str = "Kinds:
  disconnect SERVICE [NETWORK]     take it from a network, or from all
  connect SERVICE NETWORK          put it onto a network that it is not on
  pause SERVICE                    freeze it; `unpause SERVICE` lets it go on
  kill SERVICE                     kill it; undone by starting it again
  restart SERVICE                  stop it by its signal and start it again
  partition SERVICE SERVICE        lose all packets between the two
  drop SERVICE [SERVICE]           lose packets of it, or between the two (--percent)
  latency SERVICE --delay=DURATION hold back what it sends (--jitter)";

pub(super) async fn fault(arguments: Arguments) -> ExitCode {
    match perform(&arguments).await {
        Ok(code) | Err(code) => code,
    }
}

/// What is wanted.
enum Wanted {
    List,
    Undo(Vec<String>),
    Order(Order),
}

fn wanted(arguments: &Arguments) -> Result<Wanted, ExitCode> {
    let usage = |problem: &str| {
        complain(problem);
        ExitCode::Usage
    };
    let options = [
        ("for", &arguments.time),
        ("percent", &arguments.percent),
        ("delay", &arguments.delay),
        ("jitter", &arguments.jitter),
    ];
    let options: Vec<String> = options
        .into_iter()
        .filter_map(|(name, value)| Some(format!("{name}={}", value.as_ref()?)))
        .collect();
    let first = arguments.words.first().map_or("", String::as_str);
    let names = arguments.words.get(1..).unwrap_or_default();
    let is_ours = matches!(first, "list" | "undo");
    if is_ours && !options.is_empty() {
        return Err(usage(&format!("`{first}` takes no options of a fault")));
    }
    if arguments.all && first != "undo" {
        return Err(usage("`--all` belongs to `undo`"));
    }
    match first {
        "list" if names.is_empty() => Ok(Wanted::List),
        "list" => Err(usage(
            "`list` takes no names\nhint: `--in RUN` says of which run",
        )),
        "undo" if names.is_empty() != arguments.all => Err(usage(
            "`undo` takes the ids of faults, or `--all`\nhint: `envrun fault list` shows them",
        )),
        "undo" => Ok(Wanted::Undo(names.to_vec())),
        _ => {
            let all = arguments.words.iter().chain(&options);
            let order = Order::parse(all.map(String::as_str));
            order
                .map(Wanted::Order)
                .map_err(|error| usage(&error.to_string()))
        }
    }
}

async fn perform(arguments: &Arguments) -> Result<ExitCode, ExitCode> {
    let wanted = wanted(arguments)?;
    let (engine, found) = selected::find(arguments.run.as_deref()).await?;
    if found.standing == Standing::Dead {
        complain(&format!(
            "run {} is dead\nhint: `envrun gc` removes what it has left",
            found.run
        ));
        return Err(ExitCode::Usage);
    }
    let mut marks = marks(&found);
    if let Wanted::List = wanted {
        list(&engine, &marks).await?;
        return Ok(ExitCode::Passed);
    }
    let seed = RunId::random().as_u128();
    let seed = u32::try_from(seed >> 100).unwrap_or_default();
    let faults = Faults::from_outside(found.run, labels(&found), Arc::clone(&engine), seed).await;
    let faults = faults.map_err(|error| failed(&error.into()))?;
    end_overdue(&engine, &faults, &found, &mut marks).await;
    let done = match wanted {
        Wanted::Order(Order::Begin(request)) => begin(&faults, &found, &request).await,
        Wanted::Order(Order::Unpause(service)) => {
            let is_pause = |mark: &Mark| {
                let fault = Fault::Pause {
                    service: service.clone(),
                };
                let order = Order::parse_text(&mark.fault);
                matches!(order, Ok(Order::Begin(request)) if request.fault == fault)
            };
            let theirs: Vec<Mark> = marks
                .into_iter()
                .map(|(mark, _)| mark)
                .filter(is_pause)
                .collect();
            if theirs.is_empty() {
                complain(&format!(
                    "`{service}` is not paused\nhint: `envrun fault list` shows what is in effect"
                ));
                Err(ExitCode::Usage)
            } else {
                undo(&faults, &found, &theirs).await
            }
        }
        Wanted::Undo(ids) => match chosen(marks, &ids, &found) {
            Ok(chosen) => undo(&faults, &found, &chosen).await,
            Err(code) => Err(code),
        },
        Wanted::List => Ok(ExitCode::Passed),
    };
    faults.leave().await;
    done
}

/// The faults that the engine knows of a run, each with when it was done.
fn marks(found: &Found) -> Vec<(Mark, Option<SystemTime>)> {
    let belongings = found.belongings.iter();
    let mut marks: Vec<_> = belongings
        .filter_map(|one| Some((Mark::of(one)?, one.created)))
        .collect();
    marks.sort_by(|(one, since), (other, then)| (since, &one.id).cmp(&(then, &other.id)));
    marks
}

/// The labels that everything of the run carries.
fn labels(found: &Found) -> BTreeMap<String, String> {
    let common = [
        RUN_LABEL,
        LEASE_LABEL,
        PROJECT_LABEL,
        DIRECTORY_LABEL,
        BUILD_LABEL,
    ];
    let mut containers = found.belongings.iter();
    let container = containers.find(|one| one.resource.kind == ResourceKind::Container);
    let labels = container.map(|one| one.labels.clone()).unwrap_or_default();
    let common = common.iter().filter_map(|name| {
        let value = labels.get(*name)?;
        Some(((*name).to_owned(), value.clone()))
    });
    common.collect()
}

async fn list(
    engine: &Arc<dyn Engine>,
    marks: &[(Mark, Option<SystemTime>)],
) -> Result<(), ExitCode> {
    let now = engine.time().await.map_err(|error| failed(&error.into()))?;
    let rows: Vec<Vec<String>> = marks
        .iter()
        .map(|(mark, since)| {
            let since = since.and_then(|since| now.duration_since(since).ok());
            vec![
                mark.id.clone(),
                mark.fault.clone(),
                mark.by.clone().unwrap_or_else(|| "a command".to_owned()),
                since.map(rough).unwrap_or_default(),
            ]
        })
        .collect();
    say(ps::table(&["id", "fault", "by", "since"], &rows).trim_end());
    Ok(())
}

/// Undoes what a command should have undone that is not there any more.
async fn end_overdue(
    engine: &Arc<dyn Engine>,
    faults: &Faults,
    found: &Found,
    marks: &mut Vec<(Mark, Option<SystemTime>)>,
) {
    let Ok(now) = engine.time().await else {
        return;
    };
    let mut kept = Vec::new();
    for (mark, since) in std::mem::take(marks) {
        let over = mark
            .time()
            .and_then(|time| since?.checked_add(time + OVERDUE));
        // A suite's are undone by its run, while that goes on.
        let is_ours = mark.by.is_none() || !is_watched(found);
        let is_over = is_ours && over.is_some_and(|over| over < now);
        if is_over && faults.undo(&mark).await.is_ok() {
            say(&format!(
                "fault {}, {}, undone after its time",
                mark.id, mark.fault
            ));
        } else {
            kept.push((mark, since));
        }
    }
    *marks = kept;
}

fn chosen(
    marks: Vec<(Mark, Option<SystemTime>)>,
    ids: &[String],
    found: &Found,
) -> Result<Vec<Mark>, ExitCode> {
    let marks: Vec<Mark> = marks.into_iter().map(|(mark, _)| mark).collect();
    let unknown = ids
        .iter()
        .find(|id| !marks.iter().any(|mark| mark.id == **id));
    if let Some(unknown) = unknown {
        complain(&format!(
            "run {} has no fault `{unknown}` in effect\nhint: `envrun fault list` shows them",
            found.run
        ));
        return Err(ExitCode::Usage);
    }
    let wanted = |mark: &Mark| ids.is_empty() || ids.contains(&mark.id);
    Ok(marks.into_iter().filter(wanted).collect())
}

/// Whether the run goes on, so that it watches over its services.
fn is_watched(found: &Found) -> bool {
    !matches!(found.standing, Standing::Held { .. } | Standing::Dead)
}

async fn begin(faults: &Faults, found: &Found, request: &Request) -> Result<ExitCode, ExitCode> {
    let kind = request.fault.kind();
    let ends = matches!(kind, Kind::Kill | Kind::Restart);
    if ends && is_watched(found) {
        complain(&format!(
            "run {} goes on, and takes the end of a service for a failure that nobody wished\nhint: let a suite of it ask for `{kind}` (`x-envrun.suite.faults`), or hold the environment with `envrun up`",
            found.run
        ));
        return Err(ExitCode::Usage);
    }
    let targets = scene::targets(&request.fault, &members(found)).map_err(|error| {
        complain(&error.to_string());
        ExitCode::Usage
    })?;
    let mut stop = signals::listen();
    let id: String = RunId::random().digits().chars().take(6).collect();
    let begun = faults.begin((&id, None), request, &targets).await;
    let mark = begun.map_err(|refusal| failed(&refusal))?;
    if kind == Kind::Restart {
        faults
            .undo(&mark)
            .await
            .map_err(|refusal| failed(&refusal))?;
        say(&format!("{}: started again", request.fault));
        return Ok(ExitCode::Passed);
    }
    let Some(time) = request.time else {
        say(&format!(
            "fault {id}: {}\n`envrun fault undo {id} --in {}` undoes it",
            request.fault,
            found.run.short()
        ));
        return Ok(ExitCode::Passed);
    };
    say(&format!(
        "fault {id}: {}, for {}",
        request.fault,
        words(time)
    ));
    // A signal ends its time, and it is undone all the same.
    let signal = match &mut stop {
        Ok((_, signals)) => clock::within(time, signals.recv()).await.ok().flatten(),
        Err(_) => {
            clock::pause(time).await;
            None
        }
    };
    faults
        .undo(&mark)
        .await
        .map_err(|refusal| failed(&refusal))?;
    say(&format!("fault {id}: undone"));
    Ok(signal.map_or(ExitCode::Passed, ExitCode::Signal))
}

async fn undo(faults: &Faults, found: &Found, marks: &[Mark]) -> Result<ExitCode, ExitCode> {
    let mut worst = None;
    for mark in marks {
        let ends = |deed: &Deed| matches!(deed, Deed::Kill { .. } | Deed::Stop { .. });
        if is_watched(found) && mark.deeds.iter().any(ends) {
            complain(&format!(
                "fault {}, {}, is undone by its run, which goes on",
                mark.id, mark.fault
            ));
            worst = Some(ExitCode::Usage);
            continue;
        }
        match faults.undo(mark).await {
            Ok(()) => say(&format!("fault {}: {}, undone", mark.id, mark.fault)),
            Err(refusal) => worst = Some(failed(&refusal)),
        }
    }
    if marks.is_empty() {
        say("no fault is in effect");
    }
    worst.map_or(Ok(ExitCode::Passed), Err)
}

/// The containers of the run by name.
fn members(found: &Found) -> Vec<Member> {
    let containers = selected::containers(found, &[]).unwrap_or_default();
    let members = containers.into_iter().map(|one| {
        let name = selected::replica(one);
        let of = one.labels.get(SERVICE_LABEL).map_or(name, String::as_str);
        Member {
            name: ServiceName::new(name),
            known_as: ServiceName::new(name),
            of: ServiceName::new(of),
            container: Some(ContainerId::new(one.resource.id.as_str())),
            running: one.status.starts_with("Up"),
            // The engine does not know what is one.
            is_suite: false,
        }
    });
    members.collect()
}

fn failed(refusal: &Refusal) -> ExitCode {
    complain(&refusal.to_string());
    match refusal {
        Refusal::Request(_) => ExitCode::Usage,
        Refusal::Engine(error) if error.kind == FailureKind::Unreachable => ExitCode::Engine,
        Refusal::Lacks { .. } | Refusal::Agent(_) | Refusal::Engine(_) => ExitCode::Environment,
    }
}

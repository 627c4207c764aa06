//! What is kept of containers: when, how much, and that nothing of it decides anything.

use std::collections::BTreeMap;
use std::time::Duration;

use envrun::engine::FailureKind;
use envrun::engine::memory::faults::Fault;
use envrun::engine::memory::{Behaviour, MemoryEngine};
use envrun::event::Event;
use envrun::exit_code::Signal;

use super::support::{Behaviours, FAILING, Finished, PASSING, plan, run, suite};

const FILE: &str = "
services:
  db:
    image: app
    x-envrun: { ready: { tcp: 5432 }, artifacts: { paths: [/var/log/db/], when: failure } }
  api:
    image: app
    x-envrun: { ready: { tcp: 80 }, artifacts: [trace.json] }
  unit:
    image: app
    depends_on: [db, api]
    x-envrun: { suite: { junit: 'reports/*.xml', artifacts: [screenshots/] } }
";

fn behaviours(report: &'static str, code: i64) -> Behaviours {
    let serves = |port, files: BTreeMap<&'static str, &'static str>| Behaviour {
        files,
        ..Behaviour::serves(port, Duration::from_millis(20))
    };
    let mut unit = suite(report, code);
    unit.files.insert("/app/screenshots/a.png", "a picture");
    unit.files.insert("/app/other/b.png", "not asked for");
    Behaviours::from([
        ("db", serves(5432, [("/var/log/db/db.log", "a log")].into())),
        ("api", serves(80, [("/app/trace.json", "{}")].into())),
        ("unit", unit),
    ])
}

async fn finished(behaviours: Behaviours, signals: &[(Duration, Signal)]) -> Finished {
    let engine = MemoryEngine::new(behaviours);
    let finished = run(&engine, plan(FILE), signals).await;
    assert_eq!(engine.everything(), []);
    finished
}

#[tokio::test(start_paused = true)]
async fn a_passing_run_keeps_what_is_always_kept() {
    let finished = finished(behaviours(PASSING, 0), &[]).await;
    let told = &finished.told;
    assert_eq!(finished.outcome.exit_code().number(), 0);
    assert_eq!(
        told.kept("unit/screenshots/a.png").as_deref(),
        Some("a picture")
    );
    assert_eq!(told.kept("api/trace.json").as_deref(), Some("{}"));
    assert_eq!(told.kept("unit/other/b.png"), None);
    assert_eq!(told.kept("db/var/log/db/db.log"), None);
    // The suite's files are kept as soon as it is judged, the others before teardown removes them.
    let events = told.events();
    let place = |wanted: &dyn Fn(&Event) -> bool| events.iter().position(wanted);
    let kept = |name: &'static str| {
        place(
            &move |event| matches!(event, Event::ArtifactsKept { service, files: 1, .. } if service.as_str() == name),
        )
    };
    let finished = place(&|event| matches!(event, Event::TeardownFinished { .. }));
    assert!(
        kept("unit").is_some() && kept("unit") < finished,
        "{}",
        told.timeline()
    );
    assert!(
        kept("api").is_some() && kept("api") < finished,
        "{}",
        told.timeline()
    );
}

#[tokio::test(start_paused = true)]
async fn a_failing_run_keeps_more() {
    let finished = finished(behaviours(FAILING, 1), &[]).await;
    assert_eq!(finished.outcome.exit_code().number(), 1);
    assert_eq!(
        finished.told.kept("db/var/log/db/db.log").as_deref(),
        Some("a log")
    );
    assert_eq!(finished.outcome.artifacts.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn suites_that_were_killed_or_cut_off_keep_theirs() {
    let mut timed_out = behaviours(PASSING, 0);
    let endless = timed_out.get_mut("unit").expect("there");
    endless.exits = None;
    let compose = FILE.replace("suite: {", "suite: { timeout: 3s,");
    let engine = MemoryEngine::new(timed_out.clone());
    let killed = run(&engine, plan(&compose), &[]).await;
    assert_eq!(killed.outcome.exit_code().number(), 1);
    assert_eq!(
        killed.told.kept("unit/screenshots/a.png").as_deref(),
        Some("a picture")
    );
    let signals = [(Duration::from_secs(3), Signal::Interrupt)];
    let cancelled = finished(timed_out, &signals).await;
    assert_eq!(cancelled.outcome.exit_code().number(), 130);
    assert_eq!(
        cancelled.told.kept("unit/screenshots/a.png").as_deref(),
        Some("a picture")
    );
    assert_eq!(
        cancelled.told.kept("db/var/log/db/db.log").as_deref(),
        Some("a log")
    );
}

/// Each call by which files are kept fails once: the verdict stays, and a warning says what is missing.
#[tokio::test(start_paused = true)]
async fn an_engine_that_fails_changes_no_verdict() {
    for (report, code) in [(PASSING, 0), (FAILING, 1)] {
        let clean = MemoryEngine::new(behaviours(report, code));
        run(&clean, plan(FILE), &[]).await;
        let calls = clean.calls();
        let reading = |(number, verb): (usize, &String)| (verb == "read archive").then_some(number);
        // The first is for the report.
        let reading: Vec<usize> = calls
            .iter()
            .enumerate()
            .filter_map(reading)
            .skip(1)
            .collect();
        assert!(reading.len() >= 2, "{calls:?}");
        for call in reading {
            for kind in [FailureKind::Refused, FailureKind::NotFound] {
                let engine = MemoryEngine::new(behaviours(report, code));
                engine.inject(Fault::Fail { call, kind });
                let finished = run(&engine, plan(FILE), &[]).await;
                let timeline = finished.told.timeline();
                assert_eq!(
                    i64::from(finished.outcome.exit_code().number()),
                    code,
                    "{timeline}"
                );
                assert!(
                    timeline.contains("could be kept: cannot read archive"),
                    "{timeline}"
                );
                assert_eq!(engine.everything(), []);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_once_is_tried_again() {
    let clean = MemoryEngine::new(behaviours(PASSING, 0));
    run(&clean, plan(FILE), &[]).await;
    let calls = clean.calls();
    let last = calls.iter().rposition(|verb| verb == "read archive");
    let engine = MemoryEngine::new(behaviours(PASSING, 0));
    engine.inject(Fault::Fail {
        call: last.expect("there is one"),
        kind: FailureKind::Unreachable,
    });
    let finished = run(&engine, plan(FILE), &[]).await;
    assert_eq!(finished.outcome.exit_code().number(), 0);
    assert_eq!(finished.outcome.artifacts.len(), 2);
    let mut records = finished.outcome.artifacts.values();
    assert!(records.all(|record| record.problems.is_empty() && record.files.len() == 1));
}

/// An archive that no container could be the origin of.
fn hostile() -> Vec<u8> {
    let mut tar = Vec::new();
    let mut add = |name: &[u8], kind: tar::EntryType, link: &[u8], size: u64| {
        let mut header = tar::Header::new_ustar();
        let raw = header.as_ustar_mut().expect("ustar");
        raw.name[..name.len()].copy_from_slice(name);
        raw.linkname[..link.len()].copy_from_slice(link);
        header.set_entry_type(kind);
        header.set_mode(0o6777);
        header.set_size(size);
        header.set_cksum();
        tar.extend_from_slice(header.as_bytes());
    };
    use tar::EntryType as Kind;
    add(b"../../../tmp/up", Kind::Regular, b"", 0);
    add(b"/etc/absolute", Kind::Regular, b"", 0);
    add(b"screenshots/link", Kind::Symlink, b"/etc/passwd", 0);
    add(b"screenshots/device", Kind::Block, b"", 0);
    add(b"screenshots/good", Kind::Regular, b"", 0);
    // It says more than there is.
    add(b"screenshots/large", Kind::Regular, b"", 1 << 20);
    tar
}

#[tokio::test(start_paused = true)]
async fn a_hostile_archive_costs_nothing_but_itself() {
    let mut behaviours = behaviours(PASSING, 0);
    let unit = behaviours.get_mut("unit").expect("there");
    unit.archives.insert("/app/screenshots", hostile());
    let finished = finished(behaviours, &[]).await;
    assert_eq!(finished.outcome.exit_code().number(), 0);
    let record = finished.outcome.artifacts.values().next_back();
    let record = record.expect("a record");
    let names: Vec<&str> = record.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(names, ["screenshots/good"]);
    assert_eq!(record.left_out.len(), 4, "{record:?}");
    assert_eq!(record.problems.len(), 1, "{record:?}");
    assert_eq!(finished.told.kept("unit/screenshots/large"), None);
}

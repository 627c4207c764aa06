//! What is kept of containers: when, how much, and that nothing of it decides anything.

use std::collections::BTreeMap;
use std::time::Duration;

use envrun::engine::memory::faults::Fault;
use envrun::engine::memory::{Behaviour, MemoryEngine};
use envrun::engine::{FailureKind, UsageSample};
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
            &move |event| matches!(event, Event::ArtifactsKept { service, .. } if service.as_str() == name),
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
async fn a_passing_suite_keeps_nothing_that_is_kept_on_failure_only() {
    let compose = FILE.replace("[screenshots/]", "{ paths: [screenshots/], when: failure }");
    for (report, code, kept) in [(PASSING, 0, None), (FAILING, 1, Some("a picture"))] {
        let engine = MemoryEngine::new(behaviours(report, code));
        let finished = run(&engine, plan(&compose), &[]).await;
        let found = finished.told.kept("unit/screenshots/a.png");
        assert_eq!(found.as_deref(), kept, "{}", finished.told.timeline());
    }
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

/// Each call by which files are kept fails once: the verdict stays, and a warning says what is missing. In
/// which order calls are made at one moment differs from run to run, so it is looked which one has failed.
#[tokio::test(start_paused = true)]
async fn an_engine_that_fails_changes_no_verdict() {
    for (report, code) in [(PASSING, 0), (FAILING, 1)] {
        let clean = MemoryEngine::new(behaviours(report, code));
        run(&clean, plan(FILE), &[]).await;
        let calls = clean.calls();
        let first = calls.iter().position(|verb| verb == "read archive");
        let mut met = 0;
        // The first is for the report.
        for call in first.expect("there is one") + 1..calls.len() {
            for kind in [FailureKind::Refused, FailureKind::NotFound] {
                let engine = MemoryEngine::new(behaviours(report, code));
                engine.inject(Fault::Fail { call, kind });
                let finished = run(&engine, plan(FILE), &[]).await;
                let timeline = finished.told.timeline();
                assert_eq!(engine.everything(), []);
                if engine
                    .calls()
                    .get(call)
                    .is_none_or(|verb| verb != "read archive")
                {
                    continue;
                }
                met += 1;
                let found = i64::from(finished.outcome.exit_code().number());
                assert_eq!(found, code, "{timeline}");
                let warned = timeline.contains("could be kept: cannot read archive");
                assert!(warned, "{timeline}");
            }
        }
        assert!(met >= 3, "only {met} met what they should");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_once_is_tried_again() {
    let clean = MemoryEngine::new(behaviours(PASSING, 0));
    run(&clean, plan(FILE), &[]).await;
    let calls = clean.calls();
    let first = calls.iter().position(|verb| verb == "read archive");
    let mut met = 0;
    for call in first.expect("there is one") + 1..calls.len() {
        let engine = MemoryEngine::new(behaviours(PASSING, 0));
        engine.inject(Fault::Fail {
            call,
            kind: FailureKind::Unreachable,
        });
        let finished = run(&engine, plan(FILE), &[]).await;
        if engine
            .calls()
            .get(call)
            .is_none_or(|verb| verb != "read archive")
        {
            continue;
        }
        met += 1;
        assert_eq!(finished.outcome.exit_code().number(), 0);
        assert_eq!(finished.outcome.artifacts.len(), 2);
        let mut records = finished.outcome.artifacts.values();
        assert!(records.all(|record| record.problems.is_empty() && !record.files.is_empty()));
    }
    assert!(met > 0);
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
    assert_eq!(names, ["reports/junit.xml", "screenshots/good"]);
    assert_eq!(record.left_out.len(), 4, "{record:?}");
    assert_eq!(record.problems.len(), 1, "{record:?}");
    assert_eq!(finished.told.kept("unit/screenshots/large"), None);
}

/// A report with a test that fails in its first half second, and one that fails much later.
const TWO_FAILED: &str = r#"<testsuite name="s" time="8">
  <testcase classname="c" name="early" time="0.5"><failure message="1 != 2"/></testcase>
  <testcase classname="c" name="between" time="7"/>
  <testcase classname="c" name="late" time="0.5"><failure message="2 != 3"/><system-out>its own</system-out></testcase>
</testsuite>"#;

#[tokio::test(start_paused = true)]
async fn what_services_wrote_goes_with_the_tests_that_failed_meanwhile() {
    let mut behaviours = behaviours(TWO_FAILED, 1);
    let unit = behaviours.get_mut("unit").expect("there");
    unit.exits = Some((Duration::from_secs(8), 1));
    // It says so a moment before the suite starts.
    let db = behaviours.get_mut("db").expect("there");
    db.output = "connection refused for user x\n";
    let finished = finished(behaviours, &[]).await;
    let excerpts = finished.told.excerpts.lock().expect("not poisoned").clone();
    let [(title, text)] = excerpts.as_slice() else {
        panic!("{excerpts:?}");
    };
    assert_eq!(title, "unit: c.early");
    assert!(
        text.contains("[db]") && text.contains("connection refused for user x"),
        "{text}"
    );
    assert!(
        text.contains("an estimate") && !text.contains("collected 1 item"),
        "{text}"
    );
    let suite = &finished.outcome.suites[0];
    let cases = suite.reports[0].1.cases();
    assert!(cases[0].element().text().contains("connection refused"));
    assert_eq!(cases[1].element().text(), "");
    assert_eq!(cases[2].element().text(), "its own");
}

#[tokio::test(start_paused = true)]
async fn what_containers_use_is_told_and_explains_an_end_for_want_of_memory() {
    let sample = |memory| UsageSample {
        memory,
        memory_peak: None,
        memory_limit: Some(64 << 20),
        cpu: Duration::from_millis(70),
    };
    let mut behaviours = behaviours(PASSING, 137);
    let unit = behaviours.get_mut("unit").expect("there");
    unit.exits = Some((Duration::from_secs(3), 137));
    unit.oom_killed = true;
    unit.usage = Some(sample(60 << 20));
    behaviours.get_mut("db").expect("there").usage = Some(sample(5 << 20));
    let compose = FILE.replace(
        "image: app\n    depends_on",
        "image: app\n    mem_limit: 64m\n    depends_on",
    );
    let engine = MemoryEngine::new(behaviours);
    let finished = run(&engine, plan(&compose), &[]).await;
    let timeline = finished.told.timeline();
    let wanted = "its memory limit is 64 MiB, and up to 60 MiB were seen in 2 looks, the last";
    assert!(timeline.contains(wanted), "{timeline}");
    let usage = |name: &str| {
        finished
            .outcome
            .usage
            .get(&envrun::name::ServiceName::new(name))
    };
    assert_eq!(usage("db").expect("looked at").memory_peak_bytes, 5 << 20);
    assert_eq!(usage("db").expect("looked at").unseen, None);
    assert_eq!(usage("api"), None, "nothing is known of it");
    let told = finished.told.events();
    let told = told
        .iter()
        .filter(|event| matches!(event, Event::UsageMeasured { .. }));
    assert_eq!(told.count(), 2);
}

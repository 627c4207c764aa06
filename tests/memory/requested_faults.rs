//! Faults that suites ask for, on the engine in memory.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use envrun::clock;
use envrun::engine::FailureKind;
use envrun::engine::memory::faults::Fault;
use envrun::engine::memory::{Behaviour, MemoryEngine};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::support::{Behaviours, Finished, SECRET, plan, run};

/// No run takes as long, unless it hangs.
const ENDLESS: Duration = Duration::from_secs(3600);

/// A database and a server, a suite that asks for faults, and one that does not.
fn compose(db: &str, faults: &str) -> String {
    format!(
        "
services:
  db: {{ image: app, expose: [80], networks: [back], {db} }}
  api: {{ image: app, networks: [back, front] }}
  breaker:
    image: app
    depends_on: [db, api]
    networks: [back]
    x-envrun: {{ suite: {{ faults: {faults} }} }}
networks: {{ back: {{}}, front: {{}} }}
"
    )
}

fn behaviours() -> Behaviours {
    let db = Behaviour {
        stops: Some(Duration::from_millis(30)),
        ..Behaviour::serves(80, Duration::from_millis(50))
    };
    Behaviours::from([
        ("db", db),
        ("breaker", Behaviour::exits(Duration::from_secs(10), 0)),
    ])
}

/// What a suite asks, when, and what it was answered.
type Answers = Arc<Mutex<Vec<String>>>;

/// Asks one thing as the suite does.
async fn ask(engine: &MemoryEngine, method: &str, path: &str) -> Option<String> {
    let mut stream = engine.visit(7070)?;
    let word = format!("{SECRET:032x}00");
    let request = format!("{method} /{word}{path} HTTP/1.1\r\nHost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    let status = answer.split(' ').nth(1)?.to_owned();
    let (_, content) = answer.split_once("\r\n\r\n")?;
    Some(format!("{status} {}", content.trim()))
}

/// Asks everything at its time since the start of the run; what is not answered is noted as such.
fn asking(engine: &MemoryEngine, script: &[(u64, &'static str)]) -> Answers {
    let answers = Answers::default();
    for (at, line) in script.iter().copied() {
        let (engine, noted) = (engine.clone(), Arc::clone(&answers));
        tokio::spawn(async move {
            clock::pause(Duration::from_millis(at)).await;
            let (method, path) = line.split_once(' ').unwrap_or((line, ""));
            let answer = ask(&engine, method, path).await;
            let answer = answer.unwrap_or_else(|| "nothing".to_owned());
            noted
                .lock()
                .expect("not poisoned")
                .push(format!("{line} -> {answer}"));
        });
    }
    answers
}

async fn told(
    behaviours: Behaviours,
    compose: &str,
    script: &[(u64, &'static str)],
) -> (String, MemoryEngine) {
    let engine = MemoryEngine::new(behaviours);
    let answers = asking(&engine, script);
    let running = run(&engine, plan(compose), &[]);
    let finished = clock::within(ENDLESS, running).await.expect("an end");
    assert_eq!(engine.everything(), []);
    let answers = answers.lock().expect("not poisoned").join("\n");
    let hint = finished.outcome.failure.and_then(|failure| failure.hint);
    let hint = hint.unwrap_or_default();
    let text = format!("{answers}\n\n{}\n\n{hint}", finished.told.timeline());
    (text, engine)
}

#[tokio::test(start_paused = true)]
async fn faults_are_done_and_undone_on_request_in_time_and_with_the_suite() {
    let script = [
        (3000, "POST /partition?a=db&b=api"),
        (3500, "DELETE /faults/1"),
        (4000, "POST /pause?service=db&for=500ms"),
        (4100, "GET "),
        (5000, "POST /drop?a=api&percent=20"),
        (5100, "POST /disconnect?service=db"),
        (5200, "POST /pause?service=db"),
        (5300, "POST /unpause?service=db"),
    ];
    let (text, engine) = told(behaviours(), &compose("", "true"), &script).await;
    insta::assert_snapshot!(text);
    insta::assert_snapshot!(engine.changes().join("\n"));
}

#[tokio::test(start_paused = true)]
async fn what_was_killed_on_request_is_no_failure_and_comes_back() {
    let script = [
        (3000, "POST /kill?service=db"),
        (3300, "POST /pause?service=db"),
        (4000, "DELETE /faults/1"),
        (5000, "POST /restart?service=db"),
        (6000, "POST /kill?service=db&for=700ms"),
        // Nobody needs it after the suite.
        (8000, "POST /kill?service=api"),
    ];
    let (text, _) = told(behaviours(), &compose("", "true"), &script).await;
    insta::assert_snapshot!(text);
}

#[tokio::test(start_paused = true)]
async fn a_policy_starts_what_was_killed_for_no_said_time() {
    let script = [
        (3000, "POST /kill?service=db"),
        (4000, "POST /kill?service=db&for=1s"),
    ];
    let compose = compose("restart: always", "[kill]");
    let (text, _) = told(behaviours(), &compose, &script).await;
    insta::assert_snapshot!(text);
}

#[tokio::test(start_paused = true)]
async fn who_dies_unasked_still_ends_the_run_and_the_faults_are_named() {
    let mut behaviours = behaviours();
    behaviours.insert("api", Behaviour::exits(Duration::from_secs(4), 1));
    let script = [(3000, "POST /partition?a=db&b=api")];
    let (text, _) = told(behaviours, &compose("", "true"), &script).await;
    insta::assert_snapshot!(text);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_allowed_or_not_possible_is_refused_and_nothing_is_done() {
    let script = [
        (3000, "POST /kill?service=breaker"),
        (3100, "POST /pause?service=api"),
        (3200, "POST /partition?a=db&b=dbb"),
        (3300, "DELETE /faults/7"),
        (3400, "POST /unpause?service=db"),
        (3500, "DELETE "),
        (3600, "POST /disconnect?service=db&network=front"),
        (3700, "POST /connect?service=db&network=bakc"),
    ];
    let compose = compose("", "[kill, partition, disconnect, connect]");
    let (text, engine) = told(behaviours(), &compose, &script).await;
    insta::assert_snapshot!(text);
    assert!(!engine.is_paused("api"));
}

#[tokio::test(start_paused = true)]
async fn a_kernel_that_lacks_what_is_promised_ends_the_run_before_anything_starts() {
    let (text, _) = told(behaviours(), &compose("", "[latency, drop]"), &[]).await;
    insta::assert_snapshot!(text);
}

/// Every call of a run with faults goes wrong in turn.
async fn nothing_remains(fault: impl Fn(usize) -> Fault) {
    let script = [
        (2000, "POST /partition?a=db&b=api"),
        (2500, "POST /pause?service=api&for=500ms"),
        (3500, "POST /disconnect?service=api&network=front"),
        (4000, "POST /kill?service=db&for=300ms"),
        (6000, "POST /restart?service=db"),
        (8000, "DELETE "),
        (9000, "POST /pause?service=db"),
    ];
    let compose = compose("", "[partition, pause, disconnect, kill, restart]");
    let plan = plan(&compose);
    let once = async |fault: Option<Fault>| -> (MemoryEngine, Finished) {
        let engine = MemoryEngine::new(behaviours());
        if let Some(fault) = fault {
            engine.inject(fault);
        }
        asking(&engine, &script);
        let running = run(&engine, plan.clone(), &[]);
        let finished = clock::within(ENDLESS, running).await;
        let finished = finished.unwrap_or_else(|_| panic!("{fault:?}: no end"));
        (engine, finished)
    };
    let (clean, finished) = once(None).await;
    assert_eq!(finished.outcome.exit_code().number(), 0);
    let calls = clean.calls();
    assert!(calls.len() > 60, "{}", calls.len());
    for (number, verb) in calls.iter().enumerate() {
        let fault = fault(number);
        let (engine, finished) = once(Some(fault)).await;
        let context = || format!("{number} ({verb}) {fault:?}\n{}", finished.told.timeline());
        assert_eq!(engine.everything(), [], "{}", context());
        let report = finished.outcome.teardown.as_ref();
        assert!(
            report.is_some_and(|report| report.left.is_empty()),
            "{}",
            context()
        );
        clock::pause(Duration::from_secs(60)).await;
        assert_eq!(
            engine.everything(),
            [],
            "something came late: {}",
            context()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn every_call_of_a_run_with_faults_fails_in_turn() {
    for kind in [
        FailureKind::Refused,
        FailureKind::Internal,
        FailureKind::NotFound,
        FailureKind::Unreachable,
    ] {
        nothing_remains(|call| Fault::Fail { call, kind }).await;
    }
}

#[tokio::test(start_paused = true)]
async fn every_reply_to_a_run_with_faults_is_lost_in_turn() {
    for late in [Duration::ZERO, Duration::from_secs(5)] {
        nothing_remains(|call| Fault::LoseReply { call, late }).await;
    }
}

/// A suite with an environment of its own breaks nothing but that, under the names of the file.
#[tokio::test(start_paused = true)]
async fn a_suite_of_its_own_environment_breaks_its_own_copies() {
    let script = [
        (3000, "POST /kill?service=db&for=200ms"),
        (4000, "POST /disconnect?service=db&network=back"),
        (5000, "POST /partition?a=db&b=other"),
    ];
    let other = "  other: { image: app, networks: [back], depends_on: [db], x-envrun: { suite: {} } }\nnetworks:";
    let compose = compose("", "true, isolation: own").replace("networks: { back: {}, front", other);
    let compose = compose.replace(other, &format!("{other} {{ back: {{}}, front"));
    let mut behaviours = behaviours();
    behaviours.insert("breaker.db", behaviours["db"].clone());
    behaviours.insert("other", Behaviour::exits(Duration::from_secs(10), 0));
    let (text, _) = told(behaviours, &compose, &script).await;
    insta::assert_snapshot!(text);
}

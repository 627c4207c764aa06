//! What is put into containers before their start.

use envrun::engine::memory::MemoryEngine;

use super::support::{Behaviours, PASSING, plan, run, suite};

#[tokio::test(start_paused = true)]
async fn files_are_there_with_owner_and_mode_before_the_start() {
    let compose = "
services:
  unit:
    image: app
    configs:
      - { source: settings, target: /etc/app/settings, uid: '7', gid: '8', mode: 0640 }
      - { source: settings, target: /dev/settings }
    secrets: [password]
    x-envrun: { suite: { junit: 'reports/*.xml' } }
secrets: { password: { file: compose.yaml } }
configs: { settings: { content: 'x=1' } }
";
    let engine = MemoryEngine::new(Behaviours::from([("unit", suite(PASSING, 0))]));
    let finished = run(&engine, plan(compose), &[]).await;
    assert_eq!(finished.outcome.exit_code().number(), 0);
    let written: Vec<String> = engine
        .written()
        .into_iter()
        .map(|((container, path), file)| {
            let (uid, gid, mode, size) = (file.uid, file.gid, file.mode, file.content.len());
            format!("{container} {path} {uid}:{gid} {mode:04o} {size} bytes")
        })
        .collect();
    insta::assert_snapshot!(written.join("\n"), @"
    envrun-0123456789ab-unit etc/app/settings 7:8 0640 3 bytes
    envrun-0123456789ab-unit run/secrets/password 0:0 0444 351 bytes
    envrun-0123456789ab_filler-0 envrun-copy/0 0:0 0444 3 bytes
    ");
    let calls = engine.calls();
    let last_upload = calls.iter().rposition(|verb| verb == "write archive");
    let start = calls.iter().position(|verb| verb == "start container");
    assert!(last_upload < start, "{calls:?}");
    assert_eq!(engine.everything(), []);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_went_away_ends_the_run_and_is_named() {
    let compose = "
services:
  unit: { image: app, secrets: [password], x-envrun: { suite: true } }
secrets: { password: { file: password } }
";
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = directory.path().join("password");
    std::fs::write(&path, "p").expect("written");
    let compose = compose.replace("file: password", &format!("file: {}", path.display()));
    let plan = plan(&compose);
    std::fs::remove_file(&path).expect("removed");
    let engine = MemoryEngine::new(Behaviours::from([("unit", suite(PASSING, 0))]));
    let finished = run(&engine, plan, &[]).await;
    assert_eq!(finished.outcome.exit_code().number(), 3);
    let message = finished.outcome.failure.expect("a failure").message;
    let message = message.replace(&path.display().to_string(), "PATH");
    insta::assert_snapshot!(message, @"cannot put files into the container of `unit`: cannot read `PATH`: entity not found");
    assert_eq!(engine.everything(), []);
}

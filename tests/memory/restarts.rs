//! Containers that end and are started again.

use std::time::Duration;

use envrun::engine::memory::Behaviour;

use super::support::{Behaviours, PASSING, suite, timeline};

const MILLISECOND: Duration = Duration::from_millis(1);

/// A service with a restart policy, a suite that waits for it, and one that does not.
fn services(lines: &str) -> String {
    format!(
        "
services:
  db: {{ image: app, expose: [80], {lines} }}
  unit: {{ image: app, depends_on: [db], x-envrun: {{ suite: {{ junit: 'reports/*.xml' }} }} }}
"
    )
}

/// A server that ends like this before it runs for good.
fn crashing(crashes: &[(u32, i64)]) -> Behaviour {
    Behaviour {
        crashes: crashes
            .iter()
            .map(|(after, code)| (MILLISECOND * *after, *code))
            .collect(),
        ..Behaviour::serves(80, MILLISECOND * 50)
    }
}

fn behaviours(db: Behaviour) -> Behaviours {
    Behaviours::from([("db", db), ("unit", suite(PASSING, 0))])
}

#[tokio::test(start_paused = true)]
async fn a_service_that_crashes_less_often_than_it_may_becomes_ready() {
    let crashing = behaviours(crashing(&[(20, 1), (30, 2)]));
    insta::assert_snapshot!(timeline(crashing, &services("restart: 'on-failure:2'"), &[]).await, @"
     336 ms  db started
     356 ms  db exited with code 1, restart 1 in 100ms
     692 ms  db started
     722 ms  db exited with code 2, restart 2 in 200ms
    1158 ms  db started
    1207 ms  db ready: tcp 80
    1443 ms  unit started
    2446 ms  unit Passed []
    2446 ms  verdict: passed
    2446 ms  teardown started
    2555 ms  teardown finished: 3 removed, 0 left
    2555 ms  exit code 0
    ");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_crashes_more_often_than_it_may_ends_the_run() {
    let crashing = behaviours(crashing(&[(20, 1), (30, 2)]));
    insta::assert_snapshot!(timeline(crashing, &services("restart: 'on-failure:1'"), &[]).await, @"
    336 ms  db started
    356 ms  db exited with code 1, restart 1 in 100ms
    692 ms  db started
    722 ms  db exited with code 2
    725 ms  aborted: service `db` exited with code 2 before it was ready, after 1 restart
    725 ms  verdict: failed
    725 ms  teardown started
    831 ms  teardown finished: 3 removed, 0 left
    831 ms  exit code 3
    ");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_always_crashes_is_given_up_by_its_deadline() {
    let crashing = behaviours(Behaviour::exits(MILLISECOND * 20, 1));
    let services = services("restart: always, x-envrun: { ready: { deadline: 5s } }");
    insta::assert_snapshot!(timeline(crashing, &services, &[]).await, @"
     336 ms  db started
     356 ms  db exited with code 1, restart 1 in 100ms
     692 ms  db started
     712 ms  db exited with code 1, restart 2 in 200ms
    1148 ms  db started
    1168 ms  db exited with code 1, restart 3 in 400ms
    1804 ms  db started
    1824 ms  db exited with code 1, restart 4 in 800ms
    2860 ms  db started
    2880 ms  db exited with code 1, restart 5 in 1.6s
    4716 ms  db started
    4736 ms  db exited with code 1
    4739 ms  aborted: service `db` exited with code 1 before it was ready, after 5 restarts, and its deadline leaves no time for another start
    4739 ms  verdict: failed
    4739 ms  teardown started
    4845 ms  teardown finished: 3 removed, 0 left
    4845 ms  exit code 3
    ");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_never_listens_has_its_deadline_from_the_first_start() {
    let never = Behaviour {
        crashes: vec![(Duration::from_secs(2), 1)],
        ..Behaviour::default()
    };
    let services = services("restart: always, x-envrun: { ready: { deadline: 5s } }");
    insta::assert_snapshot!(timeline(behaviours(never), &services, &[]).await, @"
     336 ms  db started
    2336 ms  db exited with code 1, restart 1 in 100ms
    2672 ms  db started
    5810 ms  aborted: service `db` not ready after 5s, after 1 restart (tcp 80: 666 attempts, last: connection refused; probed because of `ports` and `expose` of the file)
    5810 ms  verdict: failed
    5810 ms  teardown started
    5916 ms  teardown finished: 5 removed, 0 left
    5916 ms  exit code 3
    ");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_dies_while_suites_run_is_restarted_and_awaited_by_what_has_not_started() {
    let services = "
services:
  db: { image: app, expose: [80], restart: unless-stopped }
  slow: { image: app, expose: [80] }
  unit: { image: app, depends_on: [db], x-envrun: { suite: { junit: 'reports/*.xml' } } }
  late: { image: app, depends_on: [db, slow], x-envrun: { suite: { junit: 'reports/*.xml' } } }
";
    let mut behaviours = behaviours(Behaviour {
        crashes: vec![(MILLISECOND * 900, 1)],
        ..Behaviour::serves(80, MILLISECOND * 400)
    });
    behaviours.insert("slow", Behaviour::serves(80, MILLISECOND * 1000));
    behaviours.insert("late", suite(PASSING, 0));
    insta::assert_snapshot!(timeline(behaviours, services, &[]).await, @"
     336 ms  db started
     336 ms  slow started
     733 ms  db ready: tcp 80
     969 ms  unit started
    1236 ms  db exited with code 1, restart 1 in 100ms
    1333 ms  slow ready: tcp 80
    1572 ms  db started
    1969 ms  db ready: tcp 80
    1972 ms  unit Passed []
    2205 ms  late started
    3208 ms  late Passed []
    3208 ms  verdict: passed
    3208 ms  teardown started
    3317 ms  teardown finished: 5 removed, 0 left
    3317 ms  exit code 0
    ");
}

#[tokio::test(start_paused = true)]
async fn a_ready_service_that_dies_more_often_than_it_may_ends_the_run() {
    let crashing = behaviours(Behaviour {
        accepts: [(80, Duration::ZERO)].into(),
        ..Behaviour::exits(MILLISECOND * 300, 1)
    });
    insta::assert_snapshot!(timeline(crashing, &services("restart: 'on-failure:1'"), &[]).await, @"
     336 ms  db started
     337 ms  db ready: tcp 80
     579 ms  unit started
     636 ms  db exited with code 1, restart 1 in 100ms
     972 ms  db started
     973 ms  db ready: tcp 80
    1272 ms  db exited with code 1
    1275 ms  aborted: service `db` exited with code 1 while the run was going on, after 1 restart
    1275 ms  verdict: failed
    1275 ms  teardown started
    1381 ms  teardown finished: 3 removed, 0 left
    1381 ms  exit code 3
    ");
}

#[tokio::test(start_paused = true)]
async fn the_pause_doubles_and_begins_anew_after_a_steady_run() {
    let crashing = behaviours(crashing(&[(60, 1), (60, 1), (60, 1), (11_000, 1), (60, 1)]));
    let services = services("restart: always").replace("depends_on: [db], ", "")
        + "  last: { image: app, x-envrun: { suite: {} } }\n";
    let mut behaviours = crashing;
    behaviours.insert("last", Behaviour::exits(Duration::from_secs(15), 0));
    insta::assert_snapshot!(timeline(behaviours, &services, &[]).await, @"
      336 ms  db started
      336 ms  last started
      336 ms  unit started
      385 ms  db ready: tcp 80
      396 ms  db exited with code 1, restart 1 in 100ms
      732 ms  db started
      781 ms  db ready: tcp 80
      792 ms  db exited with code 1, restart 2 in 200ms
     1228 ms  db started
     1277 ms  db ready: tcp 80
     1288 ms  db exited with code 1, restart 3 in 400ms
     1339 ms  unit Passed []
     1924 ms  db started
     1973 ms  db ready: tcp 80
    12924 ms  db exited with code 1, restart 4 in 100ms
    13260 ms  db started
    13309 ms  db ready: tcp 80
    13320 ms  db exited with code 1, restart 5 in 200ms
    13756 ms  db started
    13805 ms  db ready: tcp 80
    15336 ms  last Passed []
    15336 ms  verdict: passed
    15336 ms  teardown started
    15442 ms  teardown finished: 4 removed, 0 left
    15442 ms  exit code 0
    ");
}

#[tokio::test(start_paused = true)]
async fn a_delay_is_waited_and_a_restart_that_outlives_the_window_does_not_count() {
    let crashing = behaviours(crashing(&[(20, 1), (700, 1), (20, 1)]));
    let policy = |window| {
        services(&format!(
            "deploy: {{ restart_policy: {{ condition: any, delay: 1s, max_attempts: 1, window: {window} }} }}, x-envrun: {{ ready: {{ tcp: 80 }} }}"
        ))
    };
    insta::assert_snapshot!(timeline(crashing.clone(), &policy("500ms"), &[]).await, @"
     336 ms  db started
     356 ms  db exited with code 1, restart 1 in 1s
    1592 ms  db started
    1641 ms  db ready: tcp 80
    1877 ms  unit started
    2292 ms  db exited with code 1, restart 2 in 1s
    2880 ms  unit Passed []
    2880 ms  verdict: passed
    2880 ms  teardown started
    2989 ms  teardown finished: 3 removed, 0 left
    2989 ms  exit code 0
    ");
    insta::assert_snapshot!(timeline(crashing, &policy("800ms"), &[]).await, @"
     336 ms  db started
     356 ms  db exited with code 1, restart 1 in 1s
    1592 ms  db started
    1641 ms  db ready: tcp 80
    1877 ms  unit started
    2292 ms  db exited with code 1
    2295 ms  aborted: service `db` exited with code 1 while the run was going on, after 1 restart
    2295 ms  verdict: failed
    2295 ms  teardown started
    2401 ms  teardown finished: 3 removed, 0 left
    2401 ms  exit code 3
    ");
}

const JOB: &str = "
services:
  migrate: { image: app, restart: RESTART }
  unit:
    image: app
    depends_on: { migrate: { condition: service_completed_successfully } }
    x-envrun: { suite: { junit: 'reports/*.xml' } }
";

fn job(crashes: Vec<(Duration, i64)>, code: i64) -> Behaviours {
    let migrate = Behaviour {
        crashes,
        ..Behaviour::exits(MILLISECOND * 200, code)
    };
    Behaviours::from([("migrate", migrate), ("unit", suite(PASSING, 0))])
}

#[tokio::test(start_paused = true)]
async fn a_job_that_succeeds_is_done_whatever_its_policy_says() {
    let services = JOB.replace("RESTART", "always");
    insta::assert_snapshot!(timeline(job(Vec::new(), 0), &services, &[]).await, @"
     336 ms  migrate started
     536 ms  migrate completed
     772 ms  unit started
    1775 ms  unit Passed []
    1775 ms  verdict: passed
    1775 ms  teardown started
    1884 ms  teardown finished: 3 removed, 0 left
    1884 ms  exit code 0
    ");
}

#[tokio::test(start_paused = true)]
async fn a_job_may_fail_as_often_as_its_policy_says() {
    let services = JOB.replace("RESTART", "on-failure");
    let failing = job(vec![(MILLISECOND * 100, 1); 3], 0);
    insta::assert_snapshot!(timeline(failing, &services, &[]).await, @"
     336 ms  migrate started
     436 ms  migrate exited with code 1, restart 1 in 100ms
     772 ms  migrate started
     872 ms  migrate exited with code 1, restart 2 in 200ms
    1308 ms  migrate started
    1408 ms  migrate exited with code 1, restart 3 in 400ms
    2044 ms  migrate started
    2244 ms  migrate completed
    2480 ms  unit started
    3483 ms  unit Passed []
    3483 ms  verdict: passed
    3483 ms  teardown started
    3592 ms  teardown finished: 3 removed, 0 left
    3592 ms  exit code 0
    ");
}

#[tokio::test(start_paused = true)]
async fn a_job_that_always_fails_does_not_keep_the_run_from_ending() {
    let services = JOB.replace("RESTART", "always");
    insta::assert_snapshot!(timeline(job(Vec::new(), 3), &services, &[]).await, @"
       336 ms  migrate started
       536 ms  migrate exited with code 3, restart 1 in 100ms
       872 ms  migrate started
      1072 ms  migrate exited with code 3, restart 2 in 200ms
      1508 ms  migrate started
      1708 ms  migrate exited with code 3, restart 3 in 400ms
      2344 ms  migrate started
      2544 ms  migrate exited with code 3, restart 4 in 800ms
      3580 ms  migrate started
      3780 ms  migrate exited with code 3, restart 5 in 1.6s
      5616 ms  migrate started
      5816 ms  migrate exited with code 3, restart 6 in 3.2s
      9252 ms  migrate started
      9452 ms  migrate exited with code 3, restart 7 in 6.4s
     16088 ms  migrate started
     16288 ms  migrate exited with code 3, restart 8 in 12.8s
     29324 ms  migrate started
     29524 ms  migrate exited with code 3, restart 9 in 25.6s
     55360 ms  migrate started
     55560 ms  migrate exited with code 3, restart 10 in 51.2s
    106996 ms  migrate started
    107196 ms  migrate exited with code 3, restart 11 in 60s
    167432 ms  migrate started
    167632 ms  migrate exited with code 3
    167635 ms  aborted: job `migrate` exited with code 3, after 11 restarts, and its deadline leaves no time for another start
    167635 ms  verdict: failed
    167635 ms  teardown started
    167741 ms  teardown finished: 3 removed, 0 left
    167741 ms  exit code 3
    ");
}

#[tokio::test(start_paused = true)]
async fn the_deadline_of_a_job_holds_while_it_is_restarted() {
    let services = JOB.replace("RESTART", "always, x-envrun: { ready: { deadline: 2s } }");
    insta::assert_snapshot!(timeline(job(vec![(MILLISECOND * 1990, 1)], 1), &services, &[]).await, @"
     336 ms  migrate started
    2326 ms  migrate exited with code 1
    2329 ms  aborted: job `migrate` exited with code 1, and its deadline leaves no time for another start
    2329 ms  verdict: failed
    2329 ms  teardown started
    2435 ms  teardown finished: 3 removed, 0 left
    2435 ms  exit code 3
    ");
    insta::assert_snapshot!(timeline(job(vec![(MILLISECOND * 100, 1)], 1), &services, &[]).await, @"
     336 ms  migrate started
     436 ms  migrate exited with code 1, restart 1 in 100ms
     772 ms  migrate started
     972 ms  migrate exited with code 1, restart 2 in 200ms
    1408 ms  migrate started
    1608 ms  migrate exited with code 1, restart 3 in 400ms
    2244 ms  migrate started
    2349 ms  migrate exited with code 137 (SIGKILL)
    2352 ms  aborted: job `migrate` not completed after 2s, after 3 restarts
    2352 ms  verdict: failed
    2352 ms  teardown started
    2458 ms  teardown finished: 3 removed, 0 left
    2458 ms  exit code 3
    ");
}

#[tokio::test(start_paused = true)]
async fn a_seed_that_ends_with_0_has_completed_though_it_is_restarted() {
    let seed = behaviours(Behaviour::exits(MILLISECOND * 100, 0));
    insta::assert_snapshot!(timeline(seed, &services("restart: always"), &[]).await, @"
     336 ms  db started
     436 ms  db completed
     436 ms  db exited with code 0, restart 1 in 100ms
     672 ms  unit started
     772 ms  db started
     872 ms  db exited with code 0, restart 2 in 200ms
    1308 ms  db started
    1408 ms  db exited with code 0, restart 3 in 400ms
    1675 ms  unit Passed []
    1675 ms  verdict: passed
    1675 ms  teardown started
    1784 ms  teardown finished: 3 removed, 0 left
    1784 ms  exit code 0
    ");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_ends_with_0_is_restarted_and_awaited_again() {
    let server = behaviours(crashing(&[(500, 0)]));
    insta::assert_snapshot!(timeline(server, &services("restart: always"), &[]).await, @"
     336 ms  db started
     385 ms  db ready: tcp 80
     621 ms  unit started
     836 ms  db exited with code 0, restart 1 in 100ms
    1172 ms  db started
    1221 ms  db ready: tcp 80
    1624 ms  unit Passed []
    1624 ms  verdict: passed
    1624 ms  teardown started
    1733 ms  teardown finished: 3 removed, 0 left
    1733 ms  exit code 0
    ");
}

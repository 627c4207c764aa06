//! `isolation: own`: suites that destroy what they test do not meet others.

use std::collections::BTreeSet;
use std::time::Duration;

use rustix::process::Signal;

use crate::harness::{Project, Run, image};

/// Two suites that empty the same table at the same time, over and over, and write rows of their own. Each
/// waits at the gate until the other one is there.
fn two_suites(isolation: &str) -> String {
    let suite = |name: &str, isolation: &str| {
        format!(
            "
  {name}:
    image: {image}
    environment: {{ PGHOST: db, PGUSER: postgres, PGPASSWORD: secret, ME: {name} }}
    entrypoint: [bash, /suite.sh]
    volumes: ['./suite.sh:/suite.sh:ro', './gate:/gate']
    networks: [back]
    depends_on: [prepare]
    x-envrun: {{ suite: {{ isolation: {isolation} }} }}
",
            image = image::postgres()
        )
    };
    format!(
        "
services:
  db:
    image: {image}
    environment: {{ POSTGRES_PASSWORD: secret }}
    volumes: ['data:/var/lib/postgresql/data']
    networks: [back]
  prepare:
    image: {image}
    environment: {{ PGHOST: db, PGUSER: postgres, PGPASSWORD: secret }}
    entrypoint: [psql, -v, ON_ERROR_STOP=1, -c, 'create table rows (whose text)']
    networks: [back]
    depends_on: {{ db: {{ condition: service_healthy }} }}
    x-envrun: {{ ready: {{ completed: true }} }}
{destructive}{other}
networks: {{ back: {{ internal: true }} }}
volumes: {{ data: {{}} }}
",
        image = image::postgres(),
        destructive = suite("destructive", isolation),
        other = suite("other", "shared"),
    )
}

/// Fails as soon as it sees a row that is not its own, or misses one.
const SUITE: &str = "set -e
touch /gate/$ME
until [ -e /gate/destructive ] && [ -e /gate/other ]; do sleep 0.02; done
for round in {1..15}; do
  seen=$(psql -qtA -v ON_ERROR_STOP=1 <<SQL
truncate rows;
insert into rows select '$ME' from generate_series(1, 10);
select pg_sleep(0.03);
select string_agg(distinct whose, ',') || ' ' || count(*) from rows;
SQL
)
  seen=$(echo $seen)
  echo \"round $round: $seen\"
  [ \"$seen\" = \"$ME 10\" ] || exit 1
done
";

#[test]
fn a_destructive_suite_of_its_own_meets_nobody() {
    let project = Project::with_postgres(&two_suites("own")).having("suite.sh", SUITE);
    let finished = project.run();
    finished.assert_code(0);
    for suite in ["destructive", "other"] {
        let log = String::from_utf8(finished.log(suite)).unwrap();
        assert!(log.contains(&format!("round 15: {suite} 10")), "{log}");
    }
    // The copies have logs and cases of their own.
    assert!(!finished.log("destructive.db").is_empty());
    let report = finished.junit();
    let cases: BTreeSet<&str> = report
        .cases
        .iter()
        .map(|case| case.name.as_str())
        .filter(|name| name.starts_with("ready: "))
        .collect();
    assert_eq!(
        cases,
        BTreeSet::from([
            "ready: db",
            "ready: db (of destructive)",
            "ready: prepare",
            "ready: prepare (of destructive)",
        ])
    );
}

/// The same suites in one environment do meet, so the test above can fail.
#[test]
fn without_isolation_they_do_meet() {
    let project = Project::with_postgres(&two_suites("shared")).having("suite.sh", SUITE);
    project.run().assert_code(1);
}

#[test]
fn after_sigkill_nothing_is_left_of_a_copy_either() {
    let waiting = "touch /gate/$ME; sleep 600";
    let project = Project::with_postgres(&two_suites("own")).having("suite.sh", waiting);
    let mut run = project.start();
    run.until_suite_started("destructive");
    run.until_suite_started("other");
    let id = run.id();
    let names: BTreeSet<String> = project
        .engine
        .of_run(&id)
        .into_iter()
        .map(|resource| resource.name)
        .collect();
    let has = |end: &str| names.iter().any(|name| name.ends_with(end));
    for end in [
        "-db",
        "-destructive.db",
        "-destructive.back",
        "-destructive.data",
    ] {
        assert!(has(end), "{end} in {names:#?}");
    }
    run.signal(Signal::KILL);
    run.wait(Duration::from_secs(10));
    run.until_nothing_is_left(Duration::from_secs(30));
}

/// What is held is the shared environment, in which a suite of its own has no place.
#[test]
fn a_held_environment_refuses_suites_of_their_own() {
    let project = Project::new(&format!(
        "
services:
  web: {{ image: {base}, command: [sleep, '600'] }}
  shared: {{ image: {base}, command: ['true'], depends_on: [web], x-envrun: {{ suite: {{}} }} }}
  own: {{ image: {base}, command: ['true'], depends_on: [web], x-envrun: {{ suite: {{ isolation: own }} }} }}
",
        base = image::BASE
    ));
    let command = project.envrun(&["up", "--for", "5m", "--out", "up"]);
    let mut up = Run::start(&project, command, "up");
    let held = up.ended();
    held.assert_code(0);
    assert!(
        held.stderr.contains("suite `own` has `isolation: own`"),
        "{}",
        held.stderr
    );
    let id = held.id().to_owned();
    let refused = project.envrun(&["run", "--in", &id]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("hint: `envrun run --only own`"), "{said}");
    let command = project.envrun(&["run", "--in", &id, "--skip", "own", "--out", "out"]);
    Run::start(&project, command, "out").finish().assert_code(0);
    let down = project.envrun(&["down", &id]).output().unwrap();
    assert_eq!(down.status.code(), Some(0), "{down:?}");
}

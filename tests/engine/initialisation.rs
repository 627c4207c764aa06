//! A database that still runs its init scripts is not ready, whatever its healthcheck says over the
//! unix socket.

use std::fmt::Write as _;

use crate::harness::{Project, image};

/// Databases of each kind in one run, and runs one after the other: fifty starts, several at once.
const OF_EACH: usize = 5;
const RUNS: usize = 5;

/// The temporary servers of both answer these healthchecks while the scripts run; the scripts take
/// three seconds each. The clients ask once for what the last line of the scripts has made.
fn project() -> Project {
    let (postgres, mariadb) = (image::postgres(), image::mariadb());
    let mut compose = String::from("\nservices:\n");
    for number in 0..OF_EACH {
        write!(
            compose,
            "
  postgres-{number}:
    image: {postgres}
    environment: {{ POSTGRES_PASSWORD: secret }}
    volumes: [\"./postgres:/docker-entrypoint-initdb.d:ro\"]
    healthcheck: {{ test: [CMD-SHELL, pg_isready -U postgres], interval: 1s, timeout: 10s, retries: 60 }}
  asks-postgres-{number}:
    image: {postgres}
    environment: {{ PGPASSWORD: secret }}
    command: [psql, -h, postgres-{number}, -U, postgres, -v, ON_ERROR_STOP=1, -c, \"SELECT 1 / count(*) FROM made_last\"]
    depends_on: {{ postgres-{number}: {{ condition: service_healthy }} }}
    x-envrun: {{ suite: {{}} }}
  mariadb-{number}:
    image: {mariadb}
    environment: {{ MARIADB_ROOT_PASSWORD: secret, MARIADB_DATABASE: shop }}
    volumes: [\"./mariadb:/docker-entrypoint-initdb.d:ro\"]
    healthcheck: {{ test: [CMD-SHELL, mariadb-admin ping], interval: 1s, timeout: 10s, retries: 60 }}
  asks-mariadb-{number}:
    image: {mariadb}
    entrypoint: []
    command: [bash, -c, \"[[ $$(mariadb -h mariadb-{number} -uroot -psecret -N -e 'SELECT count(*) FROM shop.made_last') == 1 ]]\"]
    depends_on: {{ mariadb-{number}: {{ condition: service_healthy }} }}
    x-envrun: {{ suite: {{}} }}
"
        )
        .unwrap();
    }
    let project = Project::with_postgres(&compose);
    project.engine.require_image(&mariadb);
    project.file(
        "postgres/10-slow.sql",
        "SELECT pg_sleep(3); CREATE TABLE made_last (id int); INSERT INTO made_last VALUES (1);",
    );
    project.file(
        "mariadb/10-slow.sql",
        "SELECT SLEEP(3); CREATE TABLE made_last (id int); INSERT INTO made_last VALUES (1);",
    );
    project
}

#[test]
fn of_fifty_databases_none_is_taken_for_ready_while_it_runs_its_scripts() {
    let project = project();
    for run in 0..RUNS {
        let finished = project.run();
        finished.assert_code(0);
        for number in 0..OF_EACH {
            for (kind, probe) in [("postgres", "postgres 5432"), ("mariadb", "mysql 3306")] {
                let service = format!("{kind}-{number}");
                let (_, ready) = finished.about("service_ready", &service);
                assert_eq!(ready.text("by"), format!("healthcheck and {probe}"));
                let after = ready.number("after_ms");
                assert!(after > 2500, "{service} of run {run} after {after} ms");
            }
        }
    }
}

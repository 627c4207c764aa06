//! Each cause, as it is told.

use envrun::diagnosis::looks::{Dialled, Look, Stranger};
use envrun::diagnosis::{Occasion, Standing};
use insta::assert_snapshot;

use super::support::Question;

/// The break-fix of two networks.
const TWO_NETWORKS: &str = "
services:
  taskflow-db: { image: postgres, expose: [5432], networks: [backend] }
  taskflow-api:
    image: api
    environment: { DATABASE_URL: 'postgres://postgres:secret@taskflow-db:5432/taskflow' }
    networks: [frontend]
networks: { backend: {}, frontend: {} }
";

/// An API and its database on one network.
const ONE_NETWORK: &str = "
services:
  db:
    image: postgres
    expose: [5432]
    environment: { POSTGRES_PASSWORD: right, POSTGRES_DB: shop }
  api:
    image: api
    environment: { DATABASE_URL: 'postgres://postgres:wrong@db:5432/shop', DB_HOST: db, DB_PORT: '5432' }
";

fn two_networks() -> Question {
    Question::new(TWO_NETWORKS, "taskflow-api", Occasion::Ended)
}

fn one_network() -> Question {
    Question::new(ONE_NETWORK, "api", Occasion::Ended)
}

const UNRESOLVED: &str = r#"psql: error: could not translate host name "taskflow-db" to address: Name or service not known"#;
const REFUSED: &str =
    r#"psql: error: connection to server at "db" (10.0.0.2), port 5432 failed: Connection refused"#;

#[test]
fn no_shared_network() {
    let question = two_networks()
        .says(UNRESOLVED)
        .unresolved("taskflow-db", Some(5432));
    assert_snapshot!(question.told(), @r#"
    NoSharedNetwork: no shared network: `taskflow-api` is on `frontend`, `taskflow-db` on `backend`, so neither can resolve or reach the other
      - `taskflow-api` says: psql: error: could not translate host name "taskflow-db" to address: Name or service not known
      - `taskflow-api` is on `frontend`
      - `taskflow-db` is on `backend`
      - seen from where `taskflow-api` is: `taskflow-db` does not resolve: no such name
      fix: under `services: taskflow-api:` write `networks: [frontend, backend]`
    "#);
}

#[test]
fn no_shared_network_is_found_without_a_word_by_the_variables() {
    assert_snapshot!(two_networks().told(), @"
    NoSharedNetwork: no shared network: `taskflow-api` is on `frontend`, `taskflow-db` on `backend`, so neither can resolve or reach the other
      - `DATABASE_URL` of `taskflow-api` names `taskflow-db:5432`
      - `taskflow-api` is on `frontend`
      - `taskflow-db` is on `backend`
      fix: under `services: taskflow-api:` write `networks: [frontend, backend]`
    ");
}

#[test]
fn no_shared_network_is_found_without_a_host_in_the_output() {
    let question = two_networks().says("ConnectionRefusedError: [Errno 111] Connection refused");
    assert!(
        question.told().starts_with("NoSharedNetwork: "),
        "{}",
        question.told()
    );
}

#[test]
fn no_shared_network_where_the_address_is_used() {
    let mut question = two_networks().says(
        "psql: error: connection to server at \"10.9.0.7\", port 5432 failed: Connection timed out",
    );
    let node = question.inquiry.topology.services.get_mut("taskflow-db");
    let address = "10.9.0.7".parse().expect("an address");
    node.expect("there")
        .addresses
        .insert("backend".into(), address);
    let told = question.dialled("10.9.0.7", 5432, Dialled::Silent).told();
    assert!(told.starts_with("NoSharedNetwork: "), "{told}");
}

#[test]
fn the_network_of_another_service_is_the_one_to_join() {
    let question = Question::new(
        "
services:
  db: { image: postgres, networks: [backend] }
  proxy: { image: proxy, networks: { front: { aliases: [www] } } }
  api: { image: api, network_mode: 'service:proxy' }
networks: { backend: {}, front: {} }
",
        "api",
        Occasion::Ended,
    )
    .says("Error: getaddrinfo ENOTFOUND db");
    assert_snapshot!(question.told(), @"
    NoSharedNetwork: no shared network: `api` is on `front`, `db` on `backend`, so neither can resolve or reach the other
      - `api` says: Error: getaddrinfo ENOTFOUND db
      - `api` is on `front`
      - `db` is on `backend`
      fix: under `services: proxy: networks:` add `backend: {}`
    ");
}

#[test]
fn the_default_bridge_has_no_names() {
    let question = Question::new(
        "
services:
  db: { image: postgres }
  api: { image: api, network_mode: bridge }
",
        "api",
        Occasion::Ended,
    )
    .says("Error: getaddrinfo EAI_AGAIN db");
    assert_snapshot!(question.told(), @"
    DefaultBridge: `api` is on the engine's default bridge (`network_mode: bridge`), where no container has a name and none of the project's networks is, so `api` cannot find `db`
      - `api` says: Error: getaddrinfo EAI_AGAIN db
      fix: under `services: api:` take `network_mode` away
    ");
}

#[test]
fn the_host_network_and_no_network() {
    for mode in ["host", "none"] {
        let question = Question::new(
            &format!(
                "services: {{ db: {{ image: x }}, api: {{ image: x, network_mode: {mode} }} }}"
            ),
            "api",
            Occasion::Ended,
        )
        .says("Error: getaddrinfo EAI_AGAIN db");
        assert!(
            question.told().starts_with("NoSharedNetwork: "),
            "{}",
            question.told()
        );
        assert!(question.told().contains(mode), "{}", question.told());
    }
}

#[test]
fn a_misspelt_name() {
    let question = Question::new(
        &ONE_NETWORK
            .replace("@db:", "@dbb:")
            .replace("DB_HOST: db", "DB_HOST: dbb"),
        "api",
        Occasion::Ended,
    )
    .says("Error: getaddrinfo ENOTFOUND dbb")
    .unresolved("dbb", Some(5432));
    assert_snapshot!(question.told(), @"
    UnknownName: no service of the run is called `dbb`: did you mean `db`?
      - `api` says: Error: getaddrinfo ENOTFOUND dbb
      - seen from where `api` is: `dbb` does not resolve: no such name
      - the names of the run are `api`, `db`
      fix: in `DATABASE_URL` under `services: api: environment:` make the host `db`
    ");
}

#[test]
fn a_container_of_another_project() {
    let mut question = one_network()
        .says("Error: getaddrinfo ENOTFOUND todo-mysql")
        .unresolved("todo-mysql", None);
    question.seen.strangers.insert(
        "todo-mysql".to_owned(),
        Stranger {
            running: true,
            project: None,
        },
    );
    assert_snapshot!(question.told(), @"
    OtherProject: `todo-mysql` is no service of this file but a container, outside of the run and on none of its networks
      - `api` says: Error: getaddrinfo ENOTFOUND todo-mysql
      - seen from where `api` is: `todo-mysql` does not resolve: no such name
      - a container `todo-mysql` runs on this engine
      fix: add a service for `todo-mysql` to the file, or put both on a network of the engine by `networks: { NAME: { external: true } }`
    ");
}

#[test]
fn a_name_that_nobody_has() {
    let question = one_network()
        .says("curl: (6) Could not resolve host: elasticsearch")
        .unresolved("elasticsearch", None);
    assert_snapshot!(question.told(), @"
    UnknownName: no service of the run is called `elasticsearch`
      - `api` says: curl: (6) Could not resolve host: elasticsearch
      - seen from where `api` is: `elasticsearch` does not resolve: no such name
      - the names of the run are `api`, `db`
      fix: add a service `elasticsearch` to the file, or let `api` use one of the names above
    ");
}

#[test]
fn an_alias_of_another_network() {
    let question = Question::new(
        "
services:
  db: { image: postgres, networks: { back: { aliases: [database] }, shared: {} } }
  api: { image: api, networks: [shared] }
networks: { back: {}, shared: {} }
",
        "api",
        Occasion::Ended,
    )
    .says("Error: getaddrinfo ENOTFOUND database")
    .unresolved("database", None);
    assert_snapshot!(question.told(), @"
    AliasElsewhere: `database` is a name of `db`, but not on `shared`, which is where `api` is
      - `api` says: Error: getaddrinfo ENOTFOUND database
      - seen from where `api` is: `database` does not resolve: no such name
      - `db` is called so on `back` alone
      fix: let `api` use the host `db`
    ");
}

#[test]
fn a_service_that_has_ended_and_one_that_was_not_started() {
    let says = r#"could not translate host name "db" to address: Name or service not known"#;
    let ended = one_network()
        .says(says)
        .with("db", Standing::Ended("exited with code 1".to_owned()));
    assert_snapshot!(ended.told(), @r#"
    TargetEnded: `api` wants `db:5432`, and `db` exited with code 1: its name does not resolve any more, and nothing listens
      - `api` says: could not translate host name "db" to address: Name or service not known
      - `db` exited with code 1
      fix: see why `db` ended: `logs/db.log`
    "#);
    let missing = one_network().says(says).with("db", Standing::NotStarted);
    assert_snapshot!(missing.told(), @r#"
    NotStarted: `api` wants `db:5432`, and `db` was not started yet: its name does not resolve before
      - `api` says: could not translate host name "db" to address: Name or service not known
      - `db` had not been started
      fix: under `services: api: depends_on:` write `db: { condition: service_healthy }`
    "#);
}

#[test]
fn nothing_listens() {
    let question = one_network()
        .says(REFUSED)
        .dialled("db", 5432, Dialled::Refused)
        .listening("db", &[]);
    assert_snapshot!(question.told(), @r#"
    NothingListens: `db:5432` refuses `api`: nothing listens on port 5432 in `db`
      - `api` says: psql: error: connection to server at "db" (10.0.0.2), port 5432 failed: Connection refused
      - seen from where `api` is: `db` at 10.232.0.3:5432 refuses connections
      - nothing listens on port 5432 in `db`
      fix: under `services: api: depends_on:` write `db: { condition: service_healthy }`
    "#);
}

#[test]
fn it_listens_on_the_loopback_address_alone() {
    let question = one_network()
        .says(REFUSED)
        .dialled("db", 5432, Dialled::Refused)
        .listening("db", &["127.0.0.1:5432", "[::1]:5432"]);
    assert_snapshot!(question.told(), @r#"
    LoopbackOnly: `db` listens on 127.0.0.1:5432, [::1]:5432 only, which no other container can reach
      - `api` says: psql: error: connection to server at "db" (10.0.0.2), port 5432 failed: Connection refused
      - seen from where `api` is: `db` at 10.232.0.3:5432 refuses connections
      - `db` listens on 127.0.0.1:5432, [::1]:5432
      fix: let the server in `db` listen on `0.0.0.0:5432` (all addresses) in place of the loopback address
    "#);
}

#[test]
fn it_listens_on_another_port() {
    let compose = "
services:
  web: { image: web, ports: ['8001:8000'] }
  checks: { image: x, environment: { API_URL: 'http://web:8001' } }
";
    let question = Question::new(compose, "checks", Occasion::Ended)
        .says("curl: (7) Failed to connect to web port 8001 after 0 ms: Couldn't connect to server")
        .dialled("web", 8001, Dialled::Refused)
        .listening("web", &["0.0.0.0:8000", "127.0.0.1:9999"]);
    assert_snapshot!(question.told(), @"
    OtherPort: `checks` wants port 8001 of `web`, which listens on 8000
      - `checks` says: curl: (7) Failed to connect to web port 8001 after 0 ms: Couldn't connect to server
      - seen from where `checks` is: `web` at 10.232.0.3:8001 refuses connections
      - `web` listens on 8000, and not on 8001
      - `ports` of `web` says `8001:8000`: 8001 is a port of the host, and between containers it is 8000
      fix: in `API_URL` under `services: checks: environment:` make the port `8000`
    ");
}

#[test]
fn localhost_is_the_container_itself() {
    let question = Question::new(
        &ONE_NETWORK.replace("@db:", "@localhost:"),
        "api",
        Occasion::Ended,
    )
    .says("Error: connect ECONNREFUSED 127.0.0.1:5432")
    .listening("api", &[])
    .listening("db", &["0.0.0.0:5432"]);
    assert_snapshot!(question.told(), @"
    Localhost: `api` connects to itself at `127.0.0.1:5432`, where `db` is meant: `localhost` in a container is that container alone
      - `api` says: Error: connect ECONNREFUSED 127.0.0.1:5432
      - `db` has port 5432 in the Compose file
      - `db` listens on port 5432
      fix: in `DATABASE_URL` under `services: api: environment:` make the host `db`
    ");
    let nobody = one_network()
        .says("Error: connect ECONNREFUSED 127.0.0.1:9000")
        .listening("api", &[]);
    assert_snapshot!(nobody.told(), @"
    Localhost: `api` connects to itself at `127.0.0.1:9000`, and nothing listens there: `localhost` in a container is that container alone
      - `api` says: Error: connect ECONNREFUSED 127.0.0.1:9000
      fix: let `api` use the name of the service that is meant in place of `127.0.0.1`
    ");
}

#[test]
fn a_packet_filter() {
    let question = one_network()
        .says("connection to server at \"db\" (10.232.0.3), port 5432 failed: timeout expired")
        .dialled("db", 5432, Dialled::Silent);
    assert_snapshot!(question.told(), @r#"
    Filtered: `db:5432` does not answer `api`, although both are on `default`: what is sent to it is dropped on the way, by a packet filter in `db` or on the engine's host
      - `api` says: connection to server at "db" (10.232.0.3), port 5432 failed: timeout expired
      - seen from where `api` is: `db` at 10.232.0.3:5432 does not answer
      fix: look for rules in `db` (`iptables -S`, needs `NET_ADMIN`) and in `DOCKER-USER` of the engine's host
    "#);
}

#[test]
fn internal_networks_have_no_way_out() {
    let compose = "
services:
  api: { image: api, networks: [back] }
  web: { image: web, networks: [front] }
networks: { back: { internal: true }, front: {} }
";
    let by_address = Question::new(compose, "api", Occasion::Ended)
        .says("curl: (7) Failed to connect to 198.51.100.7 port 80: Network is unreachable")
        .dialled(
            "198.51.100.7",
            80,
            Dialled::Unreachable("network unreachable".to_owned()),
        );
    assert_snapshot!(by_address.told(), @"
    Internal: `198.51.100.7:80` is outside of the run, and `api` is on `back` alone, which is `internal: true` and has no way out
      - `api` says: curl: (7) Failed to connect to 198.51.100.7 port 80: Network is unreachable
      - seen from where `api` is: `198.51.100.7` at 10.232.0.3:80 cannot be reached: network unreachable
      - every network of `api` is internal
      fix: under `services: api:` write `networks: [back, front]`
    ");
    let by_name = Question::new(compose, "api", Occasion::Ended)
        .says("curl: (6) Could not resolve host: api.example.test")
        .unresolved("api.example.test", None);
    assert_snapshot!(by_name.told(), @"
    Internal: `api.example.test` is outside of the run, and `api` is on `back` alone, which is `internal: true` and has no way out
      - `api` says: curl: (6) Could not resolve host: api.example.test
      - seen from where `api` is: `api.example.test` does not resolve: no such name
      - every network of `api` is internal
      fix: under `services: api:` write `networks: [back, front]`
    ");
}

#[test]
fn the_outside_refuses_is_silent_or_has_no_such_name() {
    let compose = "
services:
  api: { image: api, dns: [198.51.100.1] }
";
    let question = |says: &str| Question::new(compose, "api", Occasion::Ended).says(says);
    let refused = question("dial tcp 198.51.100.7:443: connect: connection refused").dialled(
        "198.51.100.7",
        443,
        Dialled::Refused,
    );
    assert_snapshot!(refused.told(), @"
    RefusedOutside: `198.51.100.7:443`, outside of the run, refuses `api`: nothing listens there for it
      - `api` says: dial tcp 198.51.100.7:443: connect: connection refused
      - seen from where `api` is: `198.51.100.7` at 10.232.0.3:443 refuses connections
    ");
    let silent = question("dial tcp 198.51.100.7:443: i/o timeout").dialled(
        "198.51.100.7",
        443,
        Dialled::Silent,
    );
    assert_snapshot!(silent.told(), @"
    Filtered: `198.51.100.7:443`, outside of the run, does not answer `api`: what is sent there is dropped on the way, or nobody is there
      - `api` says: dial tcp 198.51.100.7:443: i/o timeout
      - seen from where `api` is: `198.51.100.7` at 10.232.0.3:443 does not answer
      fix: can the engine's host reach it? rules in `DOCKER-USER` and of a firewall on that host apply to containers
    ");
    let unknown = question("dial tcp: lookup api.example.test on 127.0.0.11:53: no such host")
        .unresolved("api.example.test", None);
    assert_snapshot!(unknown.told(), @"
    OutsideName: `api.example.test`, outside of the run, does not resolve for `api` by `198.51.100.1` of its `dns`
      - `api` says: dial tcp: lookup api.example.test on 127.0.0.11:53: no such host
      - seen from where `api` is: `api.example.test` does not resolve: no such name
      fix: under `services: api:` change `dns`, or take it away
    ");
}

#[test]
fn wrong_credentials_are_compared_and_never_told() {
    let question = one_network().says(
        "connection to server at \"db\" (10.0.0.2), port 5432 failed: FATAL:  password authentication failed for user \"postgres\"",
    );
    let told = question.told();
    assert_snapshot!(told, @r#"
    Credentials: PostgreSQL in `db` does not let `api` in (28P01): user or password is wrong
      - `api` says: connection to server at "db" (10.0.0.2), port 5432 failed: FATAL:  password authentication failed for user "postgres"
      - `db` was reached and has answered: the network is not the cause
      - `DATABASE_URL` of `api` does not hold what `POSTGRES_PASSWORD` of `db` says
      fix: let `DATABASE_URL` under `services: api: environment:` say what `POSTGRES_PASSWORD` under `services: db: environment:` does
    "#);
    assert!(
        !told.contains("right") && !told.contains("wrong@"),
        "{told}"
    );
}

#[test]
fn denials_of_other_servers() {
    let compose = "
services:
  mysql: { image: mysql, expose: [3306], environment: { MYSQL_ROOT_PASSWORD: a } }
  cache: { image: redis, expose: [6379] }
  queue: { image: rabbitmq, expose: [5672] }
  app: { image: app, depends_on: [mysql, cache, queue], environment: { MYSQL_PASSWORD: b } }
";
    let told = |says: &str| {
        Question::new(compose, "app", Occasion::Ended)
            .says(says)
            .told()
    };
    assert_snapshot!(told("ERROR 1045 (28000): Access denied for user 'root'@'10.0.0.3' (using password: YES)"), @"
    Credentials: MySQL in `mysql` does not let `app` in (1045): user or password is wrong
      - `app` says: ERROR 1045 (28000): Access denied for user 'root'@'10.0.0.3' (using password: YES)
      - `mysql` was reached and has answered: the network is not the cause
      - `MYSQL_PASSWORD` of `app` does not hold what `MYSQL_ROOT_PASSWORD` of `mysql` says
      fix: let `MYSQL_PASSWORD` under `services: app: environment:` say what `MYSQL_ROOT_PASSWORD` under `services: mysql: environment:` does
    ");
    assert_snapshot!(told("ERROR 1049 (42000): Unknown database 'shop'"), @"
    Credentials: MySQL in `mysql` does not let `app` in (1049): there is no such database, or it is not for this user
      - `app` says: ERROR 1049 (42000): Unknown database 'shop'
      - `mysql` was reached and has answered: the network is not the cause
    ");
    assert_snapshot!(told("(error) NOAUTH Authentication required."), @"
    Credentials: Redis in `cache` does not let `app` in (NOAUTH): it wants a password, and got none
      - `app` says: (error) NOAUTH Authentication required.
      - `cache` was reached and has answered: the network is not the cause
    ");
    assert_snapshot!(told("(403) 'ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN.'"), @"
    Credentials: AMQP in `queue` does not let `app` in (ACCESS_REFUSED): user or password is wrong
      - `app` says: (403) 'ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN.'
      - `queue` was reached and has answered: the network is not the cause
    ");
}

#[test]
fn the_log_of_a_server_about_others_is_no_denial_of_it() {
    let question = Question::new(ONE_NETWORK, "db", Occasion::NotReady)
        .says("2026-01-01 UTC [34] FATAL:  role \"root\" does not exist");
    assert_eq!(question.told(), "");
}

#[test]
fn it_was_asked_too_early() {
    let question = one_network()
        .says(REFUSED)
        .with("db", Standing::Running { ready: false })
        .dialled("db", 5432, Dialled::Accepted);
    assert_snapshot!(question.told(), @r#"
    TooEarly: `api` asked `db:5432` before it was ready, which answers by now
      - `api` says: psql: error: connection to server at "db" (10.0.0.2), port 5432 failed: Connection refused
      - seen from where `api` is: `db` at 10.232.0.3:5432 accepts connections
      - `api` does not wait until `db` is ready
      fix: under `services: api: depends_on:` write `db: { condition: service_healthy }`
    "#);
    let starting = one_network().says(
        "connection to server at \"db\" (10.0.0.2), port 5432 failed: FATAL:  the database system is starting up",
    );
    assert!(
        starting.told().starts_with("TooEarly: "),
        "{}",
        starting.told()
    );
}

#[test]
fn init_scripts_still_run() {
    let init = "/docker-entrypoint.sh: running /docker-entrypoint-initdb.d/10-slow.sql";
    let mut question = one_network()
        .says(REFUSED)
        .dialled("db", 5432, Dialled::Refused)
        .listening("db", &[]);
    question
        .seen
        .outputs
        .insert("db".into(), vec![init.to_owned()]);
    assert_snapshot!(question.told(), @r#"
    InitRunning: `db` still runs its init scripts, and PostgreSQL does not listen before they are done
      - `api` says: psql: error: connection to server at "db" (10.0.0.2), port 5432 failed: Connection refused
      - seen from where `api` is: `db` at 10.232.0.3:5432 refuses connections
      - `db` says: /docker-entrypoint.sh: running /docker-entrypoint-initdb.d/10-slow.sql
      fix: under `services: api: depends_on:` write `db: { condition: service_healthy }`
    "#);
    let own = Question::new(ONE_NETWORK, "db", Occasion::NotReady).says(init);
    assert_snapshot!(own.told(), @"
    InitRunning: `db` still runs its init scripts: PostgreSQL listens for others when they are done
      - `db` says: /docker-entrypoint.sh: running /docker-entrypoint-initdb.d/10-slow.sql
      fix: give it more time: under `services: db: x-envrun: ready:` write a longer `deadline`
    ");
}

#[test]
fn the_subject_listens_elsewhere_than_it_is_probed() {
    let subject = |addresses: &[&str]| {
        let mut question = Question::new(ONE_NETWORK, "api", Occasion::NotReady);
        question.inquiry.probed.insert(8000);
        question
            .inquiry
            .topology
            .services
            .get_mut("api")
            .expect("there")
            .environment
            .clear();
        assert_eq!(question.looks(), [Look::Listeners("api".into())]);
        question.listening("api", addresses).told()
    };
    assert_snapshot!(subject(&["127.0.0.1:8000"]), @"
    LoopbackOnly: `api` listens on 127.0.0.1:8000 only, which nobody outside of its container can reach
      - in `api`: 127.0.0.1:8000 is listened on
      fix: let the server in `api` listen on `0.0.0.0` (all addresses) in place of the loopback address
    ");
    assert_snapshot!(subject(&["0.0.0.0:5000", "[::]:5000"]), @"
    OtherPort: `api` listens on 5000, and is asked on port 8000
      - in `api`: 5000 is listened on
      fix: under `services: api:` write `x-envrun: { ready: { tcp: 5000 } }`, or let the server listen on port 8000
    ");
    assert_snapshot!(subject(&[]), @"
    NothingListens: nothing in `api` listens on port 8000
      - in `api`: no port is listened on for others
    ");
    // It listens, so something else is wrong with it.
    assert_eq!(subject(&["0.0.0.0:8000"]), "");
}

#[test]
fn a_port_that_is_taken() {
    let says = "nginx: [emerg] bind() to 0.0.0.0:8000 failed (98: Address already in use)";
    let shared = "
services:
  api: { image: api, expose: [8000] }
  web: { image: web, network_mode: 'service:api' }
";
    let question = Question::new(shared, "web", Occasion::Ended)
        .says(says)
        .listening("api", &["0.0.0.0:8000"]);
    assert_snapshot!(question.told(), @"
    PortTaken: port 8000 is taken where `web` is: it is in the network of `api` (`network_mode: service:api`), and a port there is one for all of them
      - `web` says: nginx: [emerg] bind() to 0.0.0.0:8000 failed (98: Address already in use)
      - port 8000 is listened on where `api` is
      fix: let `web` listen on another port, or give it a network of its own: take `network_mode` away
    ");
    let mut host = Question::new(
        "services: { web: { image: web, network_mode: host } }",
        "web",
        Occasion::Ended,
    )
    .says(says);
    assert!(host.looks().is_empty() || host.looks().contains(&Look::HostPort(8000)));
    host.seen
        .holders
        .insert(8000, "process 42 (`python3`)".to_owned());
    assert_snapshot!(host.told(), @"
    PortTaken: port 8000 of the host is taken, and `web` is on the host's own network (`network_mode: host`)
      - `web` says: nginx: [emerg] bind() to 0.0.0.0:8000 failed (98: Address already in use)
      - on this host, process 42 (`python3`) listens on it
      fix: end what has port 8000, or take `network_mode: host` away: then the port is the container's own
    ");
    let engine = Question::new(
        "services: { web: { image: web, ports: ['8080:80'] } }",
        "web",
        Occasion::NotStarted,
    )
    .says("cannot start container: Bind for 0.0.0.0:8080 failed: port is already allocated");
    assert_snapshot!(engine.told(), @r#"
    PortTaken: port 8080 of the host is taken, so `web` could not be started
      - the engine says: cannot start container: Bind for 0.0.0.0:8080 failed: port is already allocated
      fix: end what has port 8080, or leave the choice to the engine: `ports: ["CONTAINER_PORT"]`
    "#);
}

#[test]
fn a_suite_is_asked_only_about_what_it_says() {
    let compose = TWO_NETWORKS.replace(
        "networks: [frontend]",
        "networks: [frontend]\n    x-envrun: { suite: {} }",
    );
    let suite = || Question::new(&compose, "taskflow-api", Occasion::Suite);
    assert_eq!(suite().says("1 failed, 3 passed").looks(), []);
    assert_eq!(suite().says("1 failed, 3 passed").told(), "");
    assert!(
        suite()
            .says(UNRESOLVED)
            .told()
            .starts_with("NoSharedNetwork: ")
    );
}

#[test]
fn a_service_that_reaches_everything_has_no_cause_in_the_network() {
    let question = one_network().dialled("db", 5432, Dialled::Accepted);
    assert_eq!(question.told(), "");
    let waits = Question::new(
        &ONE_NETWORK.replace("    image: api\n", "    image: api\n    depends_on: [db]\n"),
        "api",
        Occasion::Ended,
    )
    .dialled("db", 5432, Dialled::Accepted)
    .says("Traceback: ValueError");
    assert_eq!(waits.told(), "");
}

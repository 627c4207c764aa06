//! The scenario `flask-mysql`: a server whose init scripts take their time, an outsider, and data that
//! outlive the server.

use crate::harness::{Project, image};

#[test]
fn the_application_waits_for_the_init_scripts_and_its_data_outlive_the_database() {
    let project = Project::new("");
    project.engine.require_image(&image::mariadb());
    let finished = project.run_scenario("flask-mysql", &[]);
    finished.assert_code(0);
    let report = finished.junit();
    for (suite, tests) in [("todo", 7), ("outsider", 3), ("restart", 1)] {
        let cases = report.of(suite);
        assert_eq!(cases.len(), tests, "{cases:#?}");
        assert!(cases.iter().all(|case| case.result == "passed"));
    }
    // The slow script alone takes three seconds, and the server is not ready before it is through.
    let (ready_at, ready) = finished.about("service_ready", "todo-mysql");
    let (application, _) = finished.about("service_started", "two-tier-todo");
    assert!(ready_at < application);
    let waited = ready.number("after_ms");
    assert!(waited >= 3_000, "ready after {waited} ms");
    // The application connects once, and ends where that fails.
    let said = String::from_utf8(finished.log("two-tier-todo")).unwrap();
    assert!(
        said.starts_with("Connected to MySQL at host todo-mysql:3306"),
        "{said}"
    );
    // The server ended in the middle of it, and the init scripts ran the first time only.
    assert!(finished.has("service_restarting", "todo-mysql"));
    let server = String::from_utf8(finished.log("todo-mysql")).unwrap();
    assert_eq!(server.matches("init process done").count(), 1);
    assert_eq!(server.matches("port: 3306").count(), 2, "{server}");
    assert_eq!(
        finished.stderr.matches("warning:").count(),
        0,
        "{}",
        finished.stderr
    );
}

#[test]
fn an_outsider_that_is_let_in_fails_its_suite() {
    let project = Project::new("");
    project.engine.require_image(&image::mariadb());
    let scenario = project.copy_of_scenario("flask-mysql");
    let file = scenario.join("compose.yaml");
    let whole = std::fs::read_to_string(&file).unwrap();
    let leaking = whole.replace("networks: [elsewhere]", "networks: [todo-network]");
    assert_ne!(whole, leaking);
    std::fs::write(&file, leaking).unwrap();
    // It takes no application to find the database.
    let finished = project.run_with(&[scenario.to_str().unwrap(), "--only", "outsider"]);
    finished.assert_code(1);
    let report = finished.junit();
    let failed: Vec<&str> = report
        .of("outsider")
        .into_iter()
        .filter(|case| case.result == "failure")
        .map(|case| case.name.as_str())
        .collect();
    assert_eq!(failed.len(), 2, "{:#?}", report.of("outsider"));
    assert!(failed[0].contains("todo-mysql"));
    assert!(failed[1].contains("cannot_be_reached"));
}

#[test]
fn the_healthcheck_alone_takes_the_server_of_the_init_scripts_for_the_real_one() {
    let project = Project::new("");
    project.engine.require_image(&image::mariadb());
    let scenario = project.copy_of_scenario("flask-mysql");
    let change = |name: &str, from: &str, to: &str| {
        let path = scenario.join(name);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text}");
        std::fs::write(path, text.replacen(from, to, 1)).unwrap();
    };
    let only = "healthcheck:\n      test:";
    let healthcheck = "x-envrun: { ready: { healthcheck: true } }";
    change("compose.yaml", only, &format!("{healthcheck}\n    {only}"));
    // Long enough for a healthcheck on a busy machine. Nobody waits for its end.
    change("db-init/02-slow-import.sql", "SLEEP(3)", "SLEEP(60)");
    let finished = project.run_with(&[scenario.to_str().unwrap(), "--only", "todo"]);
    finished.assert_code(3);
    assert!(finished.has("service_ready", "todo-mysql"));
    let server = String::from_utf8(finished.log("todo-mysql")).unwrap();
    assert!(!server.contains("init process done"), "{server}");
    let case = finished.junit();
    let case = case.case("envrun.environment", "ready: two-tier-todo");
    assert!(case.text.contains("Can't connect"), "{case:#?}");
}

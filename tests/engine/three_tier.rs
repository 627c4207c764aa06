//! The scenario `three-tier`: components on three networks, and the matrix of who reaches whom.

use crate::harness::{Finished, Project, image};

const SOURCES: [&str; 4] = ["web-ui", "api-gateway", "api-server", "postgres-db"];

/// Runs the scenario in this directory, with the images at hand.
fn run<'project>(project: &'project Project, directory: &str) -> Finished<'project> {
    project.engine.require_image(&image::nginx());
    project.run_with(&[directory])
}

#[test]
fn each_component_reaches_its_neighbours_and_nobody_else() {
    let project = Project::with_postgres("");
    let finished = run(&project, image::scenario("three-tier").to_str().unwrap());
    finished.assert_code(0);
    let report = finished.junit();
    assert_eq!(report.of("site").len(), 3);
    // The matrix of the document as envrun tries it: four components, each to each.
    let matrix = report.of("reachability");
    assert_eq!(matrix.len(), 12, "{matrix:#?}");
    assert!(matrix.iter().all(|case| case.result == "passed"));
    for (source, neighbours) in SOURCES.iter().zip([1, 2, 2, 1]) {
        let row = report.of(&format!("from-{source}"));
        assert!(row.iter().all(|case| case.result == "passed"), "{row:#?}");
        let count = |kind: &str| {
            let cases = row.iter();
            cases.filter(|case| case.name.starts_with(kind)).count()
        };
        assert_eq!(count("test_reaches["), neighbours, "{source}");
        assert_eq!(count("test_does_not_find["), 3 - neighbours, "{source}");
        assert_eq!(count("test_reaches_the_addresses_on_shared"), 3, "{source}");
    }
    assert_eq!(
        finished.stderr.matches("warning:").count(),
        0,
        "{}",
        finished.stderr
    );
}

#[test]
fn a_component_on_one_network_too_many_is_told_by_every_row_that_it_spoils() {
    let project = Project::with_postgres("");
    let scenario = project.copy_of_scenario("three-tier");
    let file = scenario.join("compose.yaml");
    let whole = std::fs::read_to_string(&file).unwrap();
    let (before, after) = whole.split_once("\n  web-ui:\n").unwrap();
    let leaking = after.replacen("networks: [", "networks: [backend-net, ", 1);
    std::fs::write(&file, format!("{before}\n  web-ui:\n{leaking}")).unwrap();
    let finished = run(&project, scenario.to_str().unwrap());
    finished.assert_code(1);
    let report = finished.junit();
    // Two pairs that must not: it reaches the API, and the API reaches it.
    let matrix = report.of("reachability");
    let failed = matrix.iter().filter(|case| case.result == "failure");
    let failed: Vec<&str> = failed.map(|case| case.name.as_str()).collect();
    assert_eq!(failed.len(), 2, "{failed:?}");
    let both = ["web-ui", "api-server"];
    let names = failed.iter();
    assert!(
        names
            .clone()
            .all(|name| both.iter().all(|one| name.contains(one)))
    );
    for source in SOURCES {
        let row = report.of(&format!("from-{source}"));
        let failed: Vec<&str> = row
            .iter()
            .filter(|case| case.result == "failure")
            .map(|case| case.name.as_str())
            .collect();
        let expected: &[&str] = match source {
            "web-ui" => &[
                "test_does_not_find[api-server]",
                "test_reaches_the_addresses_on_shared_networks_alone[api-gateway]",
                "test_reaches_the_addresses_on_shared_networks_alone[api-server]",
            ],
            "api-server" => &[
                "test_does_not_find[web-ui]",
                "test_reaches_the_addresses_on_shared_networks_alone[web-ui]",
            ],
            _ => &["test_reaches_the_addresses_on_shared_networks_alone[web-ui]"],
        };
        assert_eq!(failed, expected, "{source}");
    }
}

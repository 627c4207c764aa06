//! What a stranger's file sees of the process's environment.

use super::super::{Case, load};

fn case(passed: &[&str]) -> Case {
    let mut case = Case::new(&[
        (
            "compose.yaml",
            "
services:
  web:
    image: i
    environment: [TOKEN, FROM_ENV, PASSED]
    labels: { token: '${TOKEN}', shown: '${FROM_ENV}', passed: '${PASSED:-none}' }
    env_file: [more.env]
    secrets: [s]
    build: { dockerfile_inline: FROM scratch, args: [TOKEN] }
    post_start: [{ command: x, environment: [TOKEN] }]
    x-envrun: { suite: {} }
secrets: { s: { environment: FROM_ENV } }
configs: { c: { environment: TOKEN } }
",
        ),
        (".env", "FROM_ENV=fine\nINDIRECT=${TOKEN}\n"),
        ("more.env", "TOKEN\nMORE=${TOKEN}x\n"),
    ])
    .variable("TOKEN", "hunter2")
    .variable("PASSED", "given")
    .variable("FROM_ENV", "of the process")
    .untrusted();
    if let Some(untrusted) = &mut case.request.untrusted {
        untrusted.passed = passed.iter().map(|name| (*name).to_owned()).collect();
    }
    case
}

#[test]
fn a_variable_of_the_process_is_not_seen_in_any_way() {
    let loaded = load(&case(&[]).request).unwrap();
    let text = format!("{loaded:?}");
    assert!(!text.contains("hunter2"), "{text}");
    let web = &loaded.project.services["web"];
    assert_eq!(web.environment["FROM_ENV"], "fine");
    assert_eq!(web.labels["token"], "");
    assert_eq!(web.labels["passed"], "none");
    assert!(!web.environment.contains_key("TOKEN"));
}

#[test]
fn one_that_is_passed_is_seen_in_every_way() {
    let loaded = load(&case(&["TOKEN", "PASSED"]).request).unwrap();
    let web = &loaded.project.services["web"];
    assert_eq!(web.environment["TOKEN"], "hunter2");
    assert_eq!(web.environment["PASSED"], "given");
    assert_eq!(web.environment["MORE"], "hunter2x");
    assert_eq!(web.labels["token"], "hunter2");
    assert_eq!(web.labels["passed"], "given");
    assert_eq!(web.build.as_ref().unwrap().args["TOKEN"], "hunter2");
    // What is not passed is that of `.env`.
    assert_eq!(web.environment["FROM_ENV"], "fine");
}

#[test]
fn a_variable_that_is_hidden_is_told_from_one_that_is_not_there() {
    let case = Case::new(&[(
        "compose.yaml",
        "services: { web: { image: '${TOKEN?needed}', labels: { a: '${OTHER}', b: '${TOKEN}' } } }",
    )])
    .variable("TOKEN", "hunter2")
    .untrusted();
    insta::assert_snapshot!(case.show(), @"
      ⚠ variable `OTHER` is not set; it becomes an empty text
       ╭─[compose.yaml:1:60]
     1 │ services: { web: { image: '${TOKEN?needed}', labels: { a: '${OTHER}', b: '${TOKEN}' } } }
       ·                                                            ────────
       ╰────
      help: set it, or write a default: `${OTHER:-…}`

      ⚠ variable `TOKEN` is not set; it becomes an empty text
       ╭─[compose.yaml:1:75]
     1 │ services: { web: { image: '${TOKEN?needed}', labels: { a: '${OTHER}', b: '${TOKEN}' } } }
       ·                                                                           ────────
       ╰────
      help: strangers' code does not see the environment; `--pass-env TOKEN` shows it this
            variable

      × required variable `TOKEN` is missing a value: needed
       ╭─[compose.yaml:1:28]
     1 │ services: { web: { image: '${TOKEN?needed}', labels: { a: '${OTHER}', b: '${TOKEN}' } } }
       ·                            ───────────────
       ╰────
      help: strangers' code does not see the environment; `--pass-env TOKEN` shows it this
            variable

    1 error, 2 warnings
    ");
}

#[test]
fn a_variable_that_is_passed_and_not_there_is_told() {
    let loaded = load(&case(&["PASED", "TOKEN"]).request).unwrap();
    let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    let told = "variable `PASED` is to be passed, and it is not set".to_owned();
    assert!(warnings.contains(&told), "{warnings:?}");
    assert!(
        !warnings
            .iter()
            .any(|warning| warning.contains("`TOKEN` is to be passed"))
    );
}

#[test]
fn what_says_what_is_loaded_is_seen() {
    let files = [
        (
            "other.yaml",
            "services: { web: { image: i }, extra: { image: i, profiles: [p] } }",
        ),
        ("compose.yaml", "services: { main: { image: i } }"),
    ];
    let case = Case::new(&files)
        .variable("COMPOSE_FILE", "other.yaml")
        .variable("COMPOSE_PROFILES", "p")
        .variable("COMPOSE_PROJECT_NAME", "named")
        .untrusted();
    let project = load(&case.request).unwrap().project;
    assert_eq!(project.name, "named");
    assert_eq!(project.services.len(), 2);
}

//! A project as it can be taken elsewhere: no secrets, no paths of this machine, and the same project
//! when it is loaded again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::super::replay::{Portable, is_secret, portable};
use super::super::{Request, load};

const COMPOSE: &str = r#"
services:
  db:
    image: postgres:${TAG:-15}
    user: postgres
    environment: { POSTGRES_PASSWORD: "${DB_PASSWORD}", MODE: "a$$b" }
    volumes: [./data:/data, { type: bind, source: ./seed, target: /seed, x-envrun: { bind: copy } }]
  api:
    build: { context: ./api, args: [NPM_TOKEN, LEVEL=1] }
    environment: [API_SECRET, UNSET, "URL=postgres://u:${DB_PASSWORD}@db/${NAME}"]
    depends_on: [db]
    env_file: [api.env]
  e2e:
    image: debian
    depends_on: { api: { condition: service_started }, db: { condition: service_healthy } }
    secrets: [cert]
    x-envrun: { suite: { junit: "r.xml", test_command: [sh, "{name}"] } }
secrets:
  cert: { file: ./cert.pem }
"#;

fn project() -> (tempfile::TempDir, Request) {
    let directory = tempfile::tempdir().expect("temporary directory");
    for folder in ["api", "data", "seed"] {
        fs::create_dir(directory.path().join(folder)).expect("made");
    }
    for (name, text) in [
        ("compose.yaml", COMPOSE),
        ("api.env", "FROM_FILE=1\n"),
        ("cert.pem", "x"),
    ] {
        fs::write(directory.path().join(name), text).expect("written");
    }
    let variables = [
        ("DB_PASSWORD", "postgres"),
        ("API_SECRET", "s3cret-of-the-api"),
        ("NPM_TOKEN", "npm-token-value"),
        ("NAME", "shop"),
        ("OTHER", "never asked for"),
    ];
    let request = Request {
        directory: directory.path().to_path_buf(),
        environment: variables
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        project_name: Some("shop".to_owned()),
        ..Request::default()
    };
    (directory, request)
}

fn taken(request: &Request) -> Portable {
    portable(request, &BTreeSet::new()).expect("it can be loaded")
}

#[test]
fn references_stand_where_secrets_went_and_nowhere_else() {
    let (_directory, request) = project();
    let taken = taken(&request);
    let services = &taken.model["services"];
    assert_eq!(services["db"]["image"], "postgres:15");
    assert_eq!(services["db"]["user"], "postgres");
    assert_eq!(
        services["db"]["environment"]["POSTGRES_PASSWORD"],
        "${DB_PASSWORD}"
    );
    assert_eq!(services["db"]["environment"]["MODE"], "a$$b");
    assert_eq!(
        services["api"]["environment"]["URL"],
        "postgres://u:${DB_PASSWORD}@db/shop"
    );
    assert_eq!(
        services["api"]["environment"]["API_SECRET"],
        "${API_SECRET}"
    );
    assert_eq!(
        services["api"]["build"]["args"]["NPM_TOKEN"],
        "${NPM_TOKEN}"
    );
    let text = taken.model.to_string();
    assert!(
        !text.contains("s3cret-of-the-api") && !text.contains("npm-token-value"),
        "{text}"
    );
    let names: Vec<&str> = taken.secrets.iter().map(String::as_str).collect();
    assert_eq!(names, ["API_SECRET", "DB_PASSWORD", "NPM_TOKEN"]);
    let shown: BTreeMap<&str, Option<&str>> = taken
        .variables
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_deref()))
        .collect();
    assert_eq!(
        shown,
        BTreeMap::from([("DB_PASSWORD", None), ("NAME", Some("shop")), ("TAG", None)])
    );
}

#[test]
fn paths_in_the_project_are_relative_to_it() {
    let (directory, request) = project();
    let taken = taken(&request);
    let text = taken.model.to_string();
    assert!(
        !text.contains(directory.path().to_str().expect("text")),
        "{text}"
    );
    let services = &taken.model["services"];
    assert_eq!(services["db"]["volumes"][0]["source"], "./data");
    assert_eq!(services["api"]["build"]["context"], "./api");
    assert_eq!(taken.model["secrets"]["cert"]["file"], "./cert.pem");
    let names: Vec<&Path> = taken
        .files
        .iter()
        .filter_map(|path| path.strip_prefix(directory.path()).ok())
        .collect();
    assert_eq!(names, [Path::new("compose.yaml"), Path::new("api.env")]);
}

#[test]
fn what_was_taken_elsewhere_is_the_same_project() {
    let (directory, request) = project();
    let taken = taken(&request);
    let elsewhere = tempfile::tempdir().expect("temporary directory");
    let file = elsewhere.path().join("compose.json");
    fs::write(&file, format!("{:#}", taken.model)).expect("written");
    let again = Request {
        files: vec![file],
        project_directory: Some(directory.path().to_path_buf()),
        profiles: vec!["*".to_owned()],
        ..request.clone()
    };
    let text = |loaded: &super::super::Loaded| format!("{:#?}", loaded.project);
    let (first, second) = (
        load(&request).expect("loads"),
        load(&again).expect("loads again"),
    );
    assert_eq!(text(&second), text(&first));
    assert_eq!(second.project, first.project);
    // And what is taken from there is the same once more.
    let mut once_more = portable(&again, &BTreeSet::new())
        .expect("it can be loaded")
        .model;
    let networks = |model: &mut serde_json::Value| model["networks"].take();
    assert_eq!(networks(&mut once_more)["default"]["name"], "shop_default");
    let mut model = taken.model;
    networks(&mut model);
    assert_eq!(once_more, model);
}

#[test]
fn a_secret_that_cannot_be_marked_is_found_by_its_value() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let compose = "services:\n  a:\n    image: b\n    stop_grace_period: ${GRACE_KEY}s\n    command: [\"${LONG_TOKEN}\", \"x ${LONG_TOKEN}\"]\n";
    fs::write(directory.path().join("compose.yaml"), compose).expect("written");
    let request = Request {
        directory: directory.path().to_path_buf(),
        environment: BTreeMap::from([
            ("GRACE_KEY".to_owned(), "5".to_owned()),
            ("LONG_TOKEN".to_owned(), "long enough".to_owned()),
        ]),
        ..Request::default()
    };
    let text = taken(&request).model.to_string();
    assert!(!text.contains("long enough"), "{text}");
    assert!(text.contains("\"x ${LONG_TOKEN}\""), "{text}");
}

#[test]
fn names_say_what_is_secret() {
    for name in [
        "DB_PASSWORD",
        "token",
        "GITHUB_TOKEN",
        "AWS_SECRET_ACCESS_KEY",
        "api-key",
        "MYSQL_PWD",
    ] {
        assert!(is_secret(name), "{name}");
    }
    for name in [
        "PWD",
        "KEYBOARD",
        "TAG",
        "MONKEY",
        "TOKENIZER",
        "PATH",
        "COMPATIBLE",
    ] {
        assert!(!is_secret(name), "{name}");
    }
    // What the caller says to be secret is.
    let (_directory, request) = project();
    let masked = BTreeSet::from(["NAME".to_owned()]);
    let taken = portable(&request, &masked).expect("it can be loaded");
    assert_eq!(
        taken.model["services"]["api"]["environment"]["URL"],
        "postgres://u:${DB_PASSWORD}@db/${NAME}"
    );
}

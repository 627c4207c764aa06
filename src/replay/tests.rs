use crate::mask::Masker;
use serde_json::json;

use super::*;

fn test(class: &str, name: &str, result: &str) -> TestRecord {
    TestRecord {
        name: name.to_owned(),
        classname: class.to_owned(),
        file: (!class.is_empty()).then(|| format!("tests/{class}.py")),
        result: result.to_owned(),
        message: None,
        duration_ms: None,
    }
}

fn suite(name: &str, tests: Vec<TestRecord>) -> SuiteRecord {
    let failed = tests.iter().any(TestRecord::failed);
    SuiteRecord {
        suite: name.to_owned(),
        result: if failed { "failed" } else { "passed" }.to_owned(),
        exit: Some(i64::from(failed)),
        duration_ms: 5,
        problems: Vec::new(),
        tests,
        tests_left_out: 0,
    }
}

/// A suite whose exit code alone says that it failed.
fn silent(name: &str) -> SuiteRecord {
    SuiteRecord {
        result: "failed".to_owned(),
        problems: vec![Problem {
            kind: "ExitCode".to_owned(),
            message: "exit code 1".to_owned(),
        }],
        ..suite(name, Vec::new())
    }
}

fn results(suites: Vec<SuiteRecord>) -> Results {
    Results {
        exit_code: Some(1),
        suites,
        ..Results::default()
    }
}

fn bundle(suites: Vec<SuiteRecord>) -> Bundle {
    Bundle {
        kind: KIND.to_owned(),
        schema: SCHEMA_VERSION,
        state: State::Complete,
        envrun: "1".to_owned(),
        run: "r".to_owned(),
        started: String::new(),
        command: CommandLine::default(),
        project: ProjectPart {
            name: "shop".to_owned(),
            files: vec!["compose.yaml".to_owned()],
            model: json!({ "services": {
                "db": {},
                "e2e": { "x-envrun": { "suite": {} } },
                "unit": { "x-envrun": { "suite": true } },
                "later": { "x-envrun": { "suite": false } },
            } }),
        },
        variables: BTreeMap::new(),
        secrets: BTreeSet::new(),
        settings: BTreeMap::new(),
        facts: Facts::default(),
        host: Machine::default(),
        ci: None,
        images: Vec::new(),
        order: Order::default(),
        results: results(suites),
    }
}

#[test]
fn what_was_written_is_read_again() {
    let bundle = bundle(vec![suite("e2e", vec![test("shop", "price", "failed")])]);
    let document = Recording::new(bundle.clone(), Vec::new(), Masker::none()).document();
    assert_eq!(read(&document), Ok(bundle));
}

#[test]
fn secrets_stay_out_of_everything_but_the_model_which_has_none() {
    let mut failed = test("shop", "price", "failed");
    failed.message = Some("user said hunter2hunter2, and short".to_owned());
    let mut bundle = bundle(vec![suite("e2e", vec![failed])]);
    bundle.facts.git = Some(Git {
        commit: "0".to_owned(),
        branch: None,
        dirty: true,
        diff: Some("+TOKEN=hunter2hunter2".to_owned()),
        diff_cut: false,
    });
    bundle.project.model["services"]["db"]["image"] = json!("short");
    let secrets = vec!["hunter2hunter2".to_owned(), "short".to_owned()];
    let document = Recording::new(bundle, secrets, Masker::none()).document();
    let read = read(&document).expect("a bundle");
    assert_eq!(
        read.results.suites[0].tests[0].message.as_deref(),
        Some("user said ***, and short")
    );
    assert_eq!(
        read.facts.git.and_then(|git| git.diff).as_deref(),
        Some("+TOKEN=***")
    );
    assert_eq!(read.project.model["services"]["db"]["image"], "short");
}

#[test]
fn every_beginning_of_a_file_is_refused_and_never_taken_for_less() {
    let document =
        Recording::new(bundle(vec![silent("e2e")]), Vec::new(), Masker::none()).document();
    let end = document.len() - 2;
    for length in 0..end {
        let error = read(&document[..length]).expect_err("cut");
        assert!(
            matches!(error, ReadError::Truncated(_)),
            "{length}: {error}"
        );
    }
}

#[test]
fn what_is_no_bundle_is_said() {
    let text = |value: Json| value.to_string().into_bytes();
    assert!(matches!(read(b"nothing"), Err(ReadError::NotJson(_))));
    assert_eq!(read(b"[1]"), Err(ReadError::NotABundle));
    assert_eq!(
        read(&text(json!({ "kind": "other" }))),
        Err(ReadError::NotABundle)
    );
    let error =
        read(&text(json!({ "kind": KIND, "schema": 7, "envrun": "9.9" }))).expect_err("newer");
    assert_eq!(
        error.to_string(),
        "it has version 7 of the format, and this envrun reads version 1; envrun 9.9 wrote it"
    );
    let error = read(&text(json!({ "kind": KIND, "schema": 1 }))).expect_err("empty");
    assert!(
        error
            .to_string()
            .starts_with("it is not complete: missing field"),
        "{error}"
    );
    let mut whole = serde_json::to_value(bundle(Vec::new())).expect("JSON");
    whole["project"]["model"] = json!({ "services": {} });
    assert_eq!(
        read(&text(whole.clone()))
            .expect_err("no services")
            .to_string(),
        "it is not complete: its model has no services"
    );
    // Fields of later versions are passed over.
    whole["project"]["model"] = json!({ "services": { "a": {} } });
    whole["unheard_of"] = json!(1);
    assert!(read(&text(whole)).is_ok());
}

#[test]
fn the_suites_that_failed_are_chosen_unless_something_else_is_said() {
    let bundle = bundle(vec![
        suite(
            "e2e",
            vec![
                test("shop", "price", "failed"),
                test("shop", "name", "passed"),
            ],
        ),
        suite("unit", vec![test("shop", "price", "passed")]),
    ]);
    let chosen = |suite: Option<&str>, test: Option<&str>| {
        choose(&bundle, suite, test)
            .map(|choice| (choice.suites, choice.test.map(|test| test.title())))
    };
    let one =
        |suite: &str, title: Option<&str>| Ok((vec![suite.to_owned()], title.map(str::to_owned)));
    assert_eq!(chosen(None, None), one("e2e", None));
    assert_eq!(chosen(Some("unit"), None), one("unit", None));
    for name in ["name", "shop::name", "shop.name", "tests/shop.py::name"] {
        assert_eq!(chosen(None, Some(name)), one("e2e", Some("shop::name")));
    }
    assert_eq!(
        chosen(Some("unit"), Some("price")),
        one("unit", Some("shop::price"))
    );
    let error = |suite: Option<&str>, test: Option<&str>| {
        chosen(suite, test).expect_err("refused").to_string()
    };
    assert!(
        error(Some("uni"), None).contains("did you mean `unit`?"),
        "{}",
        error(Some("uni"), None)
    );
    assert!(error(Some("later"), None).contains("no suite `later`"));
    assert!(error(None, Some("price")).contains("several tests are called `price`"));
    assert!(error(None, Some("prize")).contains("no test `prize`"));
}

#[test]
fn where_nothing_failed_there_is_nothing_to_choose() {
    let mut passed = bundle(vec![suite("e2e", vec![test("shop", "name", "passed")])]);
    let error = |bundle: &Bundle| choose(bundle, None, None).expect_err("refused").to_string();
    assert!(
        error(&passed).starts_with("nothing failed in this run"),
        "{}",
        error(&passed)
    );
    passed.results.signal = Some("SIGTERM".to_owned());
    assert!(
        error(&passed).starts_with("no suite of this run was judged"),
        "{}",
        error(&passed)
    );
    passed.results.failure = Some(Aborted {
        class: "environment".to_owned(),
        kind: "NotReady".to_owned(),
        service: Some("db".to_owned()),
        message: "not ready".to_owned(),
    });
    let choice = choose(&passed, None, None).expect("the whole run");
    assert!(choice.suites.is_empty());
}

#[test]
fn the_command_of_one_test_keeps_each_word_whole() {
    let hostile = TestRecord {
        name: "a b; rm -rf {file} $(x)".to_owned(),
        ..test("shop", "", "failed")
    };
    let words =
        |words: &[&str]| -> Vec<String> { words.iter().map(|word| (*word).to_owned()).collect() };
    let command = words(&["pytest", "{file}::{name}", "{classname}", "{other}", "{"]);
    assert_eq!(
        single_test(&command, &hostile),
        Ok(words(&[
            "pytest",
            "tests/shop.py::a b; rm -rf {file} $(x)",
            "shop",
            "{other}",
            "{"
        ]))
    );
    let nameless = test("", "t", "failed");
    let error = single_test(&words(&["{file}::{name}"]), &nameless).expect_err("no file");
    assert!(error.contains("asks for `{file}`"), "{error}");
}

#[test]
fn two_runs_are_compared_by_what_failed() {
    let of = |tests: &[(&str, &str)]| {
        let tests = tests
            .iter()
            .map(|(name, result)| test("shop", name, result));
        results(vec![suite("e2e", tests.collect()), silent("unit")])
    };
    let names = ["e2e".to_owned()];
    let compared =
        |before: &Results, after: &Results| compare(before, after, Target::Suites(&names));
    let before = of(&[("price", "failed"), ("name", "passed"), ("sum", "error")]);
    let title = |name: &str| format!("shop::{name} of e2e");
    let lines = |after: &Results| compared(&before, after).lines().join("\n");
    assert_eq!(
        lines(&of(&[("price", "error"), ("sum", "failed")])),
        "reproduced: the same 2 failures\n  - shop::price of e2e\n  - shop::sum of e2e"
    );
    assert_eq!(
        compared(
            &before,
            &of(&[("price", "failed"), ("name", "failed"), ("sum", "passed")])
        ),
        Comparison::Part {
            again: vec![title("price")],
            gone: vec![title("sum")],
            new: vec![title("name")]
        }
    );
    assert_eq!(
        compared(&before, &of(&[("name", "failed")])),
        Comparison::Other(vec![title("name")])
    );
    assert_eq!(
        compared(&before, &of(&[("price", "passed")])),
        Comparison::Passed
    );
    // A suite that fails without a report is another failure than a test that fails.
    let mute = results(vec![silent("e2e")]);
    assert_eq!(
        compared(&before, &mute),
        Comparison::Other(vec!["suite e2e: ExitCode".to_owned()])
    );
    assert_eq!(
        compared(&mute, &mute),
        Comparison::Same(vec!["suite e2e: ExitCode".to_owned()])
    );
    // Everything is compared where no suite is named.
    assert_eq!(
        compare(&mute, &of(&[]), Target::Suites(&[])),
        Comparison::Other(vec!["suite unit: ExitCode".to_owned()])
    );
    let ended = Results {
        signal: Some("SIGINT".to_owned()),
        ..before.clone()
    };
    assert_eq!(compared(&before, &ended), Comparison::Unknown);
}

#[test]
fn one_test_is_judged_by_its_own_result() {
    let price = test("shop", "price", "failed");
    let target = Target::Test("e2e", &price);
    let before = results(vec![suite(
        "e2e",
        vec![price.clone(), test("shop", "name", "failed")],
    )]);
    let now =
        |tests: Vec<TestRecord>| compare(&before, &results(vec![suite("e2e", tests)]), target);
    assert_eq!(
        now(vec![price.clone()]),
        Comparison::Same(vec!["shop::price".to_owned()])
    );
    let others = vec![
        test("shop", "price", "passed"),
        test("shop", "name", "failed"),
    ];
    assert_eq!(now(others), Comparison::Passed);
    // Where it was not reached, nobody knows.
    assert!(matches!(
        now(vec![test("shop", "name", "failed")]),
        Comparison::Other(_)
    ));
}

#[test]
fn what_differs_is_told_by_name() {
    let mut bundle = bundle(Vec::new());
    let hash = |text: &str| Some(text.to_owned());
    bundle.facts.files = BTreeMap::from([
        ("a".to_owned(), hash("1")),
        ("b".to_owned(), hash("1")),
        ("key".to_owned(), None),
    ]);
    bundle.facts.engine = Some(EngineFacts {
        version: "28.5".to_owned(),
        ..EngineFacts::default()
    });
    bundle.facts.builds = BTreeMap::from([("api".to_owned(), BuildInputs::default())]);
    let mut present = Present {
        envrun: "1".to_owned(),
        facts: bundle.facts.clone(),
        ..Present::default()
    };
    assert_eq!(differences(&bundle, &present), [""; 0]);
    present.envrun = "2".to_owned();
    present.facts.files.insert("a".to_owned(), hash("2"));
    present.facts.files.remove("b");
    present.facts.files.insert("c".to_owned(), hash("1"));
    present.facts.engine = Some(EngineFacts {
        version: "20.10".to_owned(),
        ..EngineFacts::default()
    });
    present.facts.builds.insert(
        "api".to_owned(),
        BuildInputs {
            sha256: "x".to_owned(),
            ..BuildInputs::default()
        },
    );
    assert_eq!(
        differences(&bundle, &present),
        [
            "envrun: `1` in the bundle, `2` here",
            "version of the engine: `28.5` in the bundle, `20.10` here",
            "file changed: `a`",
            "file missing here: `b`",
            "file new here: `c`",
            "build of api: its files have changed",
        ]
    );
}

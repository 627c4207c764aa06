use proptest::prelude::*;

use super::understood;
use crate::ci::Provider;
use crate::report::ci::annotations::{Annotation, Level};
use crate::report::ci::harmless::{harmless, one_line};
use crate::report::ci::place::Place;
use crate::report::ci::{Dialect, Group, Piece, Screen, Test, TestResult, Tokens, Tone, dialect};
use crate::report::outputs::Output;
use std::time::{Duration, SystemTime};

/// Texts that are made of what the systems look for.
pub(super) fn hostile() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just("##vso["),
        Just("##["),
        Just("##teamcity["),
        Just("::"),
        Just("##"),
        Just("#"),
        Just("["),
        Just("]"),
        Just("error"),
        Just("add-mask"),
        Just("set-output name=x"),
        Just("stop-commands::x"),
        Just("task.setvariable variable=x"),
        Just("buildProblem description='x'"),
        Just("endgroup"),
        Just("%"),
        Just("%0A"),
        Just("%25"),
        Just("%AZP25"),
        Just(";"),
        Just(","),
        Just(":"),
        Just("'"),
        Just("|"),
        Just("|n"),
        Just("\r"),
        Just("\n"),
        Just("\t"),
        Just(" "),
        Just("\u{feff}"),
        Just("\u{a0}"),
        Just("\u{1b}[31m"),
        Just("\u{1b}[0K"),
        Just("\u{1b}]0;x\u{7}"),
        Just("\u{1b}"),
        Just("\u{2028}"),
        Just("section_start:1:x\r\u{1b}[0K"),
        Just("section_end:1:x\r\u{1b}[0K"),
        Just("--- x"),
        Just("ä"),
        Just("🦀"),
        Just("::error::x"),
        Just("::endgroup::"),
        Just("##[error]x"),
        Just("##VSO[task.x]y"),
        Just("\0"),
    ];
    proptest::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}

pub(super) fn tokens() -> Tokens {
    let mut number = 0;
    Box::new(move || {
        number += 1;
        format!("token-{number}")
    })
}

fn of(provider: Provider) -> Box<dyn Dialect> {
    dialect(provider, tokens()).expect("a system with words")
}

pub(super) const WITH_WORDS: [Provider; 6] = [
    Provider::GitHub,
    Provider::Gitea,
    Provider::GitLab,
    Provider::Buildkite,
    Provider::Azure,
    Provider::TeamCity,
];

#[test]
fn what_nobody_takes_for_a_command_stays_as_it_is() {
    for text in [
        "",
        "a # b",
        "C++ std::string",
        "issue #12",
        "a ## b",
        "## [x]",
        "\t12% of 3,4: ok",
        "\u{1b}[31mred\u{1b}[0m",
    ] {
        assert_eq!(harmless(text), text);
    }
}

#[test]
fn commands_are_broken_where_they_begin() {
    for (text, expected) in [
        ("##vso[task.complete]x", "# #vso[task.complete]x"),
        ("a ##VSO[x.y]", "a # #VSO[x.y]"),
        ("###[error]x", "## #[error]x"),
        ("  ::error::x", "  : :error::x"),
        (
            "\u{feff}\u{1b}[31m::error::x",
            "\u{feff}\u{1b}[31m: :error::x",
        ),
        ("##teamcity[x]", "# #teamcity[x]"),
        ("a\r::error::x\nb", "a ::error::x b"),
        ("a\u{1b}[0Kb\u{1b}]0;t\u{7}c", "ab]0;tc"),
    ] {
        assert_eq!(harmless(text), expected, "{text:?}");
    }
}

proptest! {
    #[test]
    fn no_system_finds_a_command_in_a_harmless_text(text in hostile()) {
        let line = harmless(&text);
        prop_assert!(!line.contains(['\r', '\n']));
        prop_assert_eq!(understood::github(&line, &[]), None);
        prop_assert_eq!(understood::azure(&line.to_lowercase()), None);
        prop_assert_eq!(understood::teamcity(&line.to_lowercase()), None);
        prop_assert!(!line.to_lowercase().contains("##["));
        prop_assert_eq!(understood::gitlab(&line), Vec::new());
        // Done once, it is done.
        prop_assert_eq!(harmless(&line), line);
    }

    /// Whatever is in it, an annotation is one line, and the system reads from it what it was made of.
    #[test]
    fn an_annotation_is_read_as_it_was_meant(title in hostile(), message in hostile(), file in hostile(), line in 1_u32..9) {
        let annotation = Annotation {
            level: Level::Error,
            place: Some(Place { file: format!("f{file}"), line: Some(line) }),
            title: format!("t{title}"),
            message: message.clone(),
            is_test: false,
        };
        let mut said = String::new();
        of(Provider::GitHub).annotation(&annotation, &mut said);
        prop_assert_eq!(said.matches(['\n', '\r']).count(), 1);
        let read = understood::github(said.trim_end_matches('\n'), &[]).expect("understood");
        prop_assert_eq!(read.name, "error");
        prop_assert_eq!(&read.properties["file"], &format!("f{file}"));
        prop_assert_eq!(&read.properties["line"], &line.to_string());
        // It is the last one, and the runner takes away what nobody sees there.
        let shown = harmless(&format!("t{title}"));
        prop_assert_eq!(&read.properties["title"], shown.trim_end());
        prop_assert_eq!(read.data, message.clone());

        let mut said = String::new();
        of(Provider::Azure).annotation(&annotation, &mut said);
        prop_assert_eq!(said.matches(['\n', '\r']).count(), 1);
        let read = understood::azure(said.trim_end_matches('\n')).expect("understood");
        prop_assert_eq!(read.name, "task.logissue");
        prop_assert_eq!(&read.properties["sourcepath"], &format!("f{file}"));
        prop_assert_eq!(read.data, format!("t{title}: {message}"));

        let mut said = String::new();
        of(Provider::TeamCity).annotation(&annotation, &mut said);
        prop_assert_eq!(said.matches(['\n', '\r']).count(), 1);
        let read = understood::teamcity(said.trim_end_matches('\n')).expect("understood");
        prop_assert_eq!(read.name, "buildProblem");
        prop_assert_eq!(&read.properties["description"], &format!("t{title}: {message}"));
    }

    #[test]
    fn a_test_is_read_as_it_was_meant(name in hostile(), message in hostile(), details in hostile()) {
        let test = Test {
            name: format!("n{name}"),
            duration: Duration::from_millis(7),
            result: TestResult::Failed(message.clone(), details.clone()),
        };
        let mut teamcity = of(Provider::TeamCity);
        let mut said = String::new();
        teamcity.tests(Some("unit"), &mut said);
        teamcity.test(&test, &mut said);
        teamcity.tests(None, &mut said);
        let read: Vec<_> = said.lines().map(|line| understood::teamcity(line).expect("understood")).collect();
        let names: Vec<&str> = read.iter().map(|one| one.name.as_str()).collect();
        prop_assert_eq!(names, ["testSuiteStarted", "testStarted", "testFailed", "testFinished", "testSuiteFinished"]);
        prop_assert_eq!(&read[2].properties["name"], &test.name);
        prop_assert_eq!(&read[2].properties["message"], &message);
        prop_assert_eq!(&read[2].properties["details"], &details);
        prop_assert!(read.iter().all(|one| one.properties["flowId"] == "envrun-unit"));
    }

    #[test]
    fn a_secret_and_an_output_are_read_as_they_are(value in hostile()) {
        let mut said = String::new();
        of(Provider::GitHub).secret(&value, &mut said);
        let read = understood::github(said.trim_end_matches('\n'), &[]).expect("understood");
        prop_assert_eq!((read.name.as_str(), &read.data), ("add-mask", &value));
        let mut said = String::new();
        of(Provider::Azure).secret(&value, &mut said);
        let read = understood::azure(said.trim_end_matches('\n')).expect("understood");
        prop_assert_eq!((read.name.as_str(), &read.data), ("task.setsecret", &value));
        let output = Output { name: "run-id", value: value.clone() };
        let mut said = String::new();
        of(Provider::Azure).output(&output, &mut said);
        let read = understood::azure(said.trim_end_matches('\n')).expect("understood");
        prop_assert_eq!(&read.properties["variable"], "run_id");
        prop_assert_eq!(&read.data, &value);
        let mut said = String::new();
        of(Provider::TeamCity).output(&output, &mut said);
        let read = understood::teamcity(said.trim_end_matches('\n')).expect("understood");
        prop_assert_eq!(&read.properties["value"], &value);
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is shown in whatever order: parts of the log do not nest, all of them end, and nothing that others have written is
    /// understood as a command.
    #[test]
    fn nothing_stays_open_and_nothing_foreign_is_understood(
        shown in proptest::collection::vec((0_u8..5, hostile()), 0..20),
        colours in any::<bool>(),
    ) {
        let pieces: Vec<Piece> = shown
            .into_iter()
            .map(|(kind, text)| match kind {
                0 => Piece::Foreign(text),
                1 => Piece::Line(Tone::Bad, text),
                2 => Piece::Open(Group { title: text, is_open: false }),
                3 => Piece::Close,
                _ => Piece::Foreign(format!("web | {text}")),
            })
            .collect();
        for provider in WITH_WORDS {
            let mut screen = Screen::over(of(provider), SystemTime::UNIX_EPOCH, colours);
            let mut log = screen.pieces(&pieces);
            log.push_str(&screen.finish());
            check(provider, &log);
        }
    }
}

/// Reads a log as the system does.
pub(super) fn check(provider: Provider, log: &str) {
    let mut open = 0_i32;
    let mut turn = |by: i32| {
        open += by;
        assert!((0..=1).contains(&open), "{provider}:\n{log}");
    };
    match provider {
        Provider::GitHub | Provider::Gitea => {
            let mut stopped: Option<String> = None;
            // The runner takes a carriage return for the end of a line too.
            for line in log.split(['\n', '\r']) {
                if let Some(token) = &stopped {
                    if understood::github(line, &[token]).is_some_and(|read| read.name == *token) {
                        stopped = None;
                    }
                    continue;
                }
                match understood::github(line, &[]) {
                    None => {}
                    Some(read) => match read.name.as_str() {
                        "group" => turn(1),
                        "endgroup" => turn(-1),
                        "stop-commands" => stopped = Some(read.data),
                        other => panic!("{other} in\n{log}"),
                    },
                }
            }
            assert_eq!(stopped, None, "{log}");
        }
        Provider::GitLab => {
            let mut last = None;
            for (begins, name) in understood::gitlab(log) {
                turn(if begins { 1 } else { -1 });
                let before = last.replace(name.clone());
                assert!(begins || before == Some(name), "{log}");
            }
        }
        Provider::Azure => {
            for line in log.split(['\n', '\r']) {
                assert_eq!(understood::azure(line), None, "{log}");
                match line {
                    "##[endgroup]" => turn(-1),
                    line if line.starts_with("##[group]") => {
                        assert!(!line[9..].contains("##["), "{log}");
                        turn(1);
                    }
                    line => assert!(!line.contains("##["), "{log}"),
                }
            }
        }
        Provider::TeamCity => {
            for line in log.split(['\n', '\r']) {
                if line.contains("##teamcity[") {
                    match understood::teamcity(line)
                        .expect("understood")
                        .name
                        .as_str()
                    {
                        "blockOpened" => turn(1),
                        "blockClosed" => turn(-1),
                        other => panic!("{other} in\n{log}"),
                    }
                }
            }
        }
        _ => assert!(!log.contains('\r'), "{log}"),
    }
    assert_eq!(open, 0, "{provider}:\n{log}");
}

#[test]
fn foreign_output_is_kept_as_it_is_behind_a_token() {
    let mut github = of(Provider::GitHub);
    let mut said = String::new();
    github.foreign("::error::x", &mut said);
    github.foreign("##[add-mask]y", &mut said);
    github.close(
        &Group {
            title: String::new(),
            is_open: false,
        },
        0,
        &mut said,
    );
    github.foreign("::token-1::", &mut said);
    github.finish(&mut said);
    assert_eq!(
        said,
        "::stop-commands::token-1\n::error::x\n##[add-mask]y\n::token-1::\n::endgroup::\n::stop-commands::token-2\n::token-1::\n::token-2::\n"
    );
    assert_eq!(one_line("a\rb"), "a b");
}

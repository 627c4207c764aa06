//! Input that means harm, or is merely broken: never a panic, and never without bound.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::{Case, show};

/// Far above what the work takes even on a loaded machine in a debug build, far below what it would
/// take if it were quadratic.
const LIMIT: Duration = Duration::from_secs(60);

fn within_limit(text: &str) -> String {
    let start = Instant::now();
    let shown = show(text);
    assert!(start.elapsed() < LIMIT, "took {:?}", start.elapsed());
    shown
}

#[test]
fn problems_are_counted_beyond_a_limit() {
    let mut text = "services:\n".to_owned();
    for number in 0..20_000 {
        writeln!(text, "  s{number}: {{ imag: x, depends_on: [t{number}] }}").unwrap();
    }
    let shown = within_limit(&text);
    let last = shown.lines().last().unwrap_or_default();
    insta::assert_snapshot!(last, @"80000 errors, 79500 more problems not shown");
}

#[test]
fn a_long_chain_of_services_is_no_recursion() {
    let mut text = "services:\n  s0: { image: i, depends_on: [s19999] }\n".to_owned();
    for number in 1..20_000 {
        writeln!(
            text,
            "  s{number}: {{ image: i, depends_on: [s{}] }}",
            number - 1
        )
        .unwrap();
    }
    let shown = within_limit(&text);
    assert!(
        shown.contains("services wait for each other in a circle"),
        "{shown}"
    );
}

#[test]
fn port_ranges_are_bounded() {
    let ports: Vec<String> = (0..200)
        .map(|number| format!("\"127.0.0.{number}::1-65535\""))
        .collect();
    let ports = ports.join(",");
    let shown = within_limit(&format!(
        "services: {{ a: {{ image: i, ports: [{ports}] }} }}"
    ));
    assert!(
        shown.contains("the project has more than 200000 ports"),
        "{shown}"
    );
}

#[test]
fn values_are_bounded_together() {
    let long = "v".repeat(100_000);
    let values = vec!["$L"; 2000].join(",");
    let text = format!("services: {{ a: {{ image: i, command: [{values}] }} }}");
    let case = Case::new(&[("compose.yaml", &text)]).variable("L", &long);
    assert!(case.show().contains("all values together are larger than"));
}

#[test]
fn what_is_shown_cannot_disturb_the_terminal() {
    let shown = show("services: { a: { \"im\\e[2Jage\": i, x: \"\u{202e}\" } }\n");
    assert!(!shown.contains(['\u{1b}', '\u{202e}']), "{shown:?}");
}

#[test]
fn a_very_long_line_is_not_shown() {
    let text = format!(
        "services: {{ a: {{ imagee: \"{}\" }} }}",
        "x".repeat(10_000)
    );
    insta::assert_snapshot!(show(&text), @"
      × service `a` has neither `image` nor `build` (compose.yaml:1:13)

      × service `a` has neither `image` nor `build` (compose.yaml:1:13)

      × unknown key `imagee` of a service (compose.yaml:1:18)
      help: did you mean `image`?

    3 errors
    ");
}

/// Lines that are likely to be near something valid.
fn line() -> impl Strategy<Value = String> {
    let key = prop_oneof![
        Just("services"),
        Just("web"),
        Just("db"),
        Just("image"),
        Just("build"),
        Just("ports"),
        Just("volumes"),
        Just("networks"),
        Just("depends_on"),
        Just("environment"),
        Just("<<"),
        Just("healthcheck"),
        Just("test"),
        Just("x-envrun"),
        Just("suite"),
        Just("ready"),
        Just("junit"),
        Just("command"),
        Just("env_file"),
        Just("external"),
        Just("name"),
        Just("tmpfs"),
        Just("profiles"),
    ];
    let value = prop_oneof![
        Just(String::new()),
        "[a-z0-9:/.$]{1,8}",
        "\\[[a-z0-9, ]{0,8}\\]",
        "\\{[a-z0-9:, ]{0,8}\\}",
        "\\PC{0,10}",
        Just("[web, db, web]".to_owned()),
        Just("[\"80:80\", 1-3]".to_owned()),
        Just("&a".to_owned()),
        Just("*a".to_owned()),
        Just("!reset null".to_owned()),
        Just("\"${X:-$$}\"".to_owned()),
        Just("|".to_owned()),
    ];
    let indent = prop_oneof![Just(0_usize), Just(2), Just(4), Just(6), 0_usize..9];
    (indent, any::<bool>(), key, value).prop_map(|(indent, dash, key, value)| {
        format!(
            "{}{}{key}: {value}\n",
            " ".repeat(indent),
            if dash { "- " } else { "" }
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn load_never_panics_on_near_compose(lines in proptest::collection::vec(line(), 0..25)) {
        let text: String = lines.concat();
        let _ = show(&format!("services:\n  web:\n    image: i\n{text}"));
        let _ = show(&text);
    }

    #[test]
    fn load_never_panics_on_any_text(text in "([-a-z0-9:{}\\[\\],&*!|>'\"#%@`$\\\\ \t\n?~]|\\PC){0,80}") {
        let _ = show(&text);
    }

    #[test]
    fn load_never_panics_on_any_value(
        key in proptest::sample::select(
            crate::config::keys::SERVICE.keys.iter().map(|rule| rule.key).collect::<Vec<_>>()
        ),
        value in "([-a-z0-9:{}\\[\\],&*!'\"$\\\\ /.=~]|\\PC){0,40}",
    ) {
        let _ = show(&format!("services:\n  web:\n    image: i\n    {key}: {value}\n"));
        let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
        let _ = show(&format!("services:\n  web:\n    image: i\n    {key}: [\"{quoted}\"]\n"));
    }

    #[test]
    fn a_value_written_with_dollars_escaped_comes_back(value in "[ -~é]{1,40}") {
        let written = crate::config::interpolate::escape(&value);
        let written = written.replace('\\', "\\\\").replace('"', "\\\"");
        let text = format!("services: {{ web: {{ image: i, environment: {{ K: \"{written}\" }} }} }}");
        let loaded = Case::new(&[("compose.yaml", &text)]).load().unwrap();
        let wanted = BTreeMap::from([("K".to_owned(), value)]);
        prop_assert_eq!(&loaded.project.services.values().next().unwrap().environment, &wanted);
    }
}

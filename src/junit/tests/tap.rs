//! The Test Anything Protocol, as its writers write it and as they break it.

use super::{merged, outline, record};
use crate::junit::{ReadError, tap};

fn report(stream: &str) -> String {
    match tap::read(stream.as_bytes(), "t") {
        Ok(report) => outline(&report),
        Err(error) => format!("error: {error}"),
    }
}

/// The whole way into the merged document.
fn document(stream: &str) -> String {
    let mut suite = record("tap", &[]);
    let report = tap::read(stream.as_bytes(), "t").unwrap_or_else(|error| panic!("{error}"));
    suite.reports.push(("t.tap".to_owned(), report));
    let text = merged(vec![suite]);
    text.lines().skip(2).collect::<Vec<_>>().join("\n")
}

const VERSION_14: &str = "\
TAP version 14
1..5
ok 1 - creates a task # time=12.5ms
not ok 2 - lists tasks
  ---
  message: 'expected 2, got 1'
  severity: fail
  at:
    file: /app/t/list.t
    line: 9
  ...
ok 3 - deletes a task # SKIP no database
not ok 4 - renames a task # TODO not yet
ok 5 - escapes \\# and \\\\ # not a directive
";

#[test]
fn version_14() {
    insta::assert_snapshot!(report(VERSION_14), @r"
    Counts { tests: 5, failures: 1, errors: 0, skipped: 2, flaky: 0 }
    [] t | creates a task | 0.013 | Passed
    [] t | lists tasks | - | Failed: expected 2, got 1
    [] t | deletes a task | - | Skipped
    [] t | renames a task | - | Skipped
    [] t | escapes # and \ # not a directive | - | Passed
    ");
    insta::assert_snapshot!(document(VERSION_14), @r#"
      <testsuite name="tap" tests="5" failures="1" errors="0" skipped="2" time="0.013" timestamp="2026-01-02T00:00:00Z">
        <testcase classname="t" name="creates a task" time="0.013"/>
        <testcase classname="t" name="lists tasks">
          <failure message="expected 2, got 1" type="not ok">message: 'expected 2, got 1'
    severity: fail
    at:
      file: /app/t/list.t
      line: 9
    </failure>
        </testcase>
        <testcase classname="t" name="deletes a task">
          <skipped message="no database"/>
        </testcase>
        <testcase classname="t" name="renames a task">
          <skipped message="TODO: not yet"/>
        </testcase>
        <testcase classname="t" name="escapes # and \ # not a directive"/>
      </testsuite>
    </testsuites>
    "#);
}

#[test]
fn version_12_of_perl_has_its_plan_at_the_end_and_says_why_in_comments() {
    let stream = "ok 1 - one\nnot ok 2 - two\n#   Failed test 'two'\n#   at t/a.t line 3.\nok - three\nsome output\n1..3\n# Looks like you failed 1 test of 3.\n";
    insta::assert_snapshot!(report(stream), @r"
    Counts { tests: 3, failures: 1, errors: 0, skipped: 0, flaky: 0 }
    [] t | one | - | Passed
    [] t | two | - | Failed: Failed test 'two'
    [] t | three | - | Passed
    ");
    insta::assert_snapshot!(document(stream), @r##"
      <testsuite name="tap" tests="3" failures="1" errors="0" skipped="0" time="0.000" timestamp="2026-01-02T00:00:00Z">
        <testcase classname="t" name="one"/>
        <testcase classname="t" name="two">
          <failure message="Failed test 'two'" type="not ok">#   Failed test 'two'
    #   at t/a.t line 3.
    </failure>
        </testcase>
        <testcase classname="t" name="three">
          <system-out># Looks like you failed 1 test of 3.
    </system-out>
        </testcase>
        <system-out>some output
    </system-out>
      </testsuite>
    </testsuites>
    "##);
}

#[test]
fn subtests_are_the_cases_and_their_names_the_classes() {
    // Perl's Test::More announces a subtest within it, Node.js before it, Test2 opens it by a brace.
    let stream = "\
TAP version 14
    # Subtest: math
    ok 1 - adds
        # Subtest: deep
        not ok 1 - divides
        1..1
    not ok 2 - deep
    1..2
not ok 1 - math
# Subtest: text
    ok 1 - joins
    1..1
ok 2 - text
ok 3 - files {
    ok 1 - reads
    not ok 2 - writes # TODO later
    1..2
}
not ok 4 - half done # TODO all of it
    1..0 # SKIP no network
ok 5 - network # SKIP
1..5
";
    insta::assert_snapshot!(report(stream), @r"
    Counts { tests: 7, failures: 1, errors: 0, skipped: 3, flaky: 0 }
    [] t > math | adds | - | Passed
    [] t > math > deep | divides | - | Failed: not ok: divides
    [] t > text | joins | - | Passed
    [] t > files | reads | - | Passed
    [] t > files | writes | - | Skipped
    [] t | half done | - | Skipped
    [] t > network | all tests | - | Skipped
    ");
}

#[test]
fn a_test_that_failed_by_itself_is_a_case_beside_its_subtests() {
    let stream = "    ok 1 - a\n    1..1\nnot ok 1 - parent\n1..1\n";
    insta::assert_snapshot!(report(stream), @r"
    Counts { tests: 2, failures: 1, errors: 0, skipped: 0, flaky: 0 }
    [] t > parent | a | - | Passed
    [] t | parent | - | Failed: not ok: parent
    ");
    let todo = "    not ok 1 - a\n    1..1\nnot ok 1 - parent # TODO later\n1..1\n";
    insta::assert_snapshot!(report(todo), @r"
    Counts { tests: 1, failures: 0, errors: 0, skipped: 1, flaky: 0 }
    [] t > parent | a | - | Skipped
    ");
}

#[test]
fn a_stream_that_lies_has_an_error_that_says_so() {
    for (name, stream) in [
        ("no plan", "ok 1\nok 2\n"),
        ("too few", "1..3\nok 1\nok 2\n"),
        ("too many", "1..1\nok 1\nok 2\n"),
        ("twice the same", "1..2\nok 1\nok 1\n"),
        ("beyond the plan", "1..2\nok 1\nok 7\n"),
        ("two plans", "1..1\nok 1\n1..1\n"),
        (
            "bail out",
            "1..3\nok 1\nBail out! Cannot reach the database\n",
        ),
        ("bail out within", "    ok 1\n    bail out!\nBail out!\n"),
        (
            "a subtest without an end",
            "1..1\n    ok 1 - inner\n    1..1\n",
        ),
        (
            "a subtest that lies",
            "    ok 1 - inner\n    1..2\nok 1 - outer\n1..1\n",
        ),
        (
            "cut in a block",
            "1..2\nnot ok 1 - a\n  ---\n  message: m\n",
        ),
        (
            "a block without an end",
            "1..2\nnot ok 1 - a\n  ---\n  message: m\nok 2 - b\n",
        ),
        ("everything skipped", "1..0 # Skipped: wrong platform\n"),
        ("nothing planned", "1..0\n"),
        ("a plan alone", "1..2\n"),
    ] {
        let counts = report(stream);
        let lies = !counts.contains("failures: 0, errors: 0") || counts.contains("skipped: 1");
        assert!(lies, "{name}: {counts}");
    }
    let shown = [
        "ok 1\nok 2\n",
        "1..3\nok 1\nok 2\n",
        "1..3\nok 1\nBail out! no database\n",
        "1..0 # SKIP wrong platform\n",
    ];
    insta::assert_snapshot!(shown.map(report).join("\n\n"), @r"
    Counts { tests: 3, failures: 0, errors: 1, skipped: 0, flaky: 0 }
    [] t | test 1 | - | Passed
    [] t | test 2 | - | Passed
    [] t | TAP plan | - | Errored: there is no plan, and 2 tests ran: the stream may have stopped early

    Counts { tests: 3, failures: 0, errors: 1, skipped: 0, flaky: 0 }
    [] t | test 1 | - | Passed
    [] t | test 2 | - | Passed
    [] t | TAP plan | - | Errored: 3 tests were planned, and 2 ran

    Counts { tests: 2, failures: 0, errors: 1, skipped: 0, flaky: 0 }
    [] t | test 1 | - | Passed
    [] t | Bail out! | - | Errored: Bail out! no database

    Counts { tests: 1, failures: 0, errors: 0, skipped: 1, flaky: 0 }
    [] t | all tests | - | Skipped
    ");
}

#[test]
fn what_is_no_stream_is_refused() {
    for (bytes, expected) in [
        (&b""[..], ReadError::Empty),
        (b" \n\n", ReadError::Empty),
        (
            b"hello\nworld\n# comment\n",
            ReadError::NotTests { format: "TAP" },
        ),
        (
            b"okay\nnot okay\n1..x\n",
            ReadError::NotTests { format: "TAP" },
        ),
    ] {
        assert_eq!(tap::read(bytes, "t"), Err(expected));
    }
}

#[test]
fn hostile_streams_are_read_within_bounds() {
    let deep: String = (0..5000)
        .map(|depth| format!("{}ok 1 - x\n", "    ".repeat(depth)))
        .collect();
    assert!(report(&deep).starts_with("Counts { tests: "));
    let long = format!("1..1\nnot ok 1 - {}\n", "x".repeat(3_000_000));
    assert!(document(&long).len() < 100_000);
    let many: String = (1..=100_000)
        .map(|number| format!("ok {number} - {number}\n"))
        .collect();
    assert!(
        report(&format!("{many}1..100000\n"))
            .starts_with("Counts { tests: 100000, failures: 0, errors: 0")
    );
    let wide: Vec<u8> = "\u{feff}1..1\nnot ok 1 - é\0\u{1b}[31m]]>\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let report = tap::read(&wide, "t").expect("it is read");
    assert_eq!(report.counts().failures, 1);
    assert_eq!(
        tap::read(b"\xff\xfe\x00", "t"),
        Err(ReadError::NotTests { format: "TAP" })
    );
    assert!(
        tap::read(b"1..1\r\nok 1 - \xff\r\n", "t")
            .expect("it is read")
            .notes()
            .len()
            == 1
    );
}

proptest::proptest! {
    #[test]
    fn a_test_that_did_not_pass_is_never_a_pass(lines in proptest::collection::vec(
        ("( {4}){0,2}", "(not )?ok", "( [1-9])?", "[ -~]{0,12}", "( # (SKIP|TODO|todo x)|)"), 1..12,
    )) {
        let failing = lines.iter().filter(|(indent, word, _, description, directive)| {
            indent.is_empty() && word == "not ok" && directive.is_empty() && !description.contains('#')
        }).count();
        let stream: String = lines
            .iter()
            .map(|(indent, word, number, description, directive)| {
                format!("{indent}{word}{number} {description}{directive}\n")
            })
            .collect();
        let report = tap::read(format!("ok\n{stream}").as_bytes(), "t").expect("it is read");
        // No plan, so there is always an error.
        proptest::prop_assert!(report.counts().errors > 0);
        if failing > 0 {
            proptest::prop_assert!(report.counts().failing() > 1, "{}", stream);
        }
    }
}

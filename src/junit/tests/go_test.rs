//! The stream of `go test -json`, as Go writes it and as it is broken on its way.

use super::{merged, outline, record};
use crate::junit::{ReadError, go_test};

fn report(stream: &str) -> String {
    match go_test::read(stream.as_bytes()) {
        Ok(report) => outline(&report),
        Err(error) => format!("error: {error}"),
    }
}

fn document(stream: &str) -> String {
    let mut suite = record("go", &[]);
    let report = go_test::read(stream.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
    suite.reports.push(("go.json".to_owned(), report));
    let text = merged(vec![suite]);
    text.lines().skip(2).collect::<Vec<_>>().join("\n")
}

/// Two packages at once, with subtests, a skipped test, and a line that is no event.
const INTERLEAVED: &str = r#"{"Time":"2026-01-02T03:04:05.1Z","Action":"start","Package":"example.com/tasks"}
{"Time":"2026-01-02T03:04:05.1Z","Action":"start","Package":"example.com/tasks/db"}
go: downloading example.com/dependency v1.2.3
{"Time":"2026-01-02T03:04:05.2Z","Action":"run","Package":"example.com/tasks","Test":"TestList"}
{"Time":"2026-01-02T03:04:05.2Z","Action":"output","Package":"example.com/tasks","Test":"TestList","Output":"=== RUN   TestList\n"}
{"Time":"2026-01-02T03:04:05.2Z","Action":"run","Package":"example.com/tasks/db","Test":"TestConnect"}
{"Time":"2026-01-02T03:04:05.2Z","Action":"run","Package":"example.com/tasks","Test":"TestList/empty"}
{"Time":"2026-01-02T03:04:05.2Z","Action":"output","Package":"example.com/tasks","Test":"TestList/empty","Output":"    list_test.go:14: got 1, want 2\n"}
{"Time":"2026-01-02T03:04:05.2Z","Action":"output","Package":"example.com/tasks/db","Test":"TestConnect","Output":"    db_test.go:7: no database\n"}
{"Time":"2026-01-02T03:04:05.2Z","Action":"output","Package":"example.com/tasks/db","Test":"TestConnect","Output":"--- SKIP: TestConnect (0.00s)\n"}
{"Time":"2026-01-02T03:04:05.3Z","Action":"skip","Package":"example.com/tasks/db","Test":"TestConnect","Elapsed":0}
{"Time":"2026-01-02T03:04:05.3Z","Action":"output","Package":"example.com/tasks","Test":"TestList/empty","Output":"    --- FAIL: TestList/empty (0.01s)\n"}
{"Time":"2026-01-02T03:04:05.3Z","Action":"fail","Package":"example.com/tasks","Test":"TestList/empty","Elapsed":0.01}
{"Time":"2026-01-02T03:04:05.3Z","Action":"fail","Package":"example.com/tasks","Test":"TestList","Elapsed":0.02}
{"Time":"2026-01-02T03:04:05.3Z","Action":"run","Package":"example.com/tasks","Test":"TestPass"}
{"Time":"2026-01-02T03:04:05.3Z","Action":"output","Package":"example.com/tasks","Test":"TestPass","Output":"hello\n"}
{"Time":"2026-01-02T03:04:05.3Z","Action":"pass","Package":"example.com/tasks","Test":"TestPass","Elapsed":0.5}
{"Time":"2026-01-02T03:04:05.4Z","Action":"output","Package":"example.com/tasks","Output":"FAIL\n"}
{"Time":"2026-01-02T03:04:05.4Z","Action":"output","Package":"example.com/tasks","Output":"FAIL\texample.com/tasks\t0.531s\n"}
{"Time":"2026-01-02T03:04:05.4Z","Action":"fail","Package":"example.com/tasks","Elapsed":0.531}
{"Time":"2026-01-02T03:04:05.4Z","Action":"output","Package":"example.com/tasks/db","Output":"ok  \texample.com/tasks/db\t(cached)\n"}
{"Time":"2026-01-02T03:04:05.4Z","Action":"pass","Package":"example.com/tasks/db","Elapsed":0}
{"Time":"2026-01-02T03:04:05.4Z","Action":"output","Package":"example.com/tasks/none","Output":"?   \texample.com/tasks/none\t[no test files]\n"}
{"Time":"2026-01-02T03:04:05.4Z","Action":"skip","Package":"example.com/tasks/none","Elapsed":0}
"#;

#[test]
fn packages_come_interleaved() {
    insta::assert_snapshot!(report(INTERLEAVED), @r"
    Counts { tests: 4, failures: 2, errors: 0, skipped: 1, flaky: 0 }
    [example.com/tasks] example.com/tasks | TestList | 0.02 | Failed: TestList failed
    [example.com/tasks] example.com/tasks | TestList/empty | 0.01 | Failed: list_test.go:14: got 1, want 2
    [example.com/tasks] example.com/tasks | TestPass | 0.5 | Passed
    [example.com/tasks/db] example.com/tasks/db | TestConnect | 0 | Skipped
    ");
    insta::assert_snapshot!(document(INTERLEAVED), @r#"
      <testsuite name="go/example.com/tasks" tests="3" failures="2" errors="0" skipped="0" time="0.531" timestamp="2026-01-02T03:04:05.1Z">
        <testcase classname="example.com/tasks" name="TestList" time="0.020">
          <failure message="TestList failed" type="failed">TestList failed</failure>
        </testcase>
        <testcase classname="example.com/tasks" name="TestList/empty" time="0.010">
          <failure message="list_test.go:14: got 1, want 2" type="failed">    list_test.go:14: got 1, want 2
    </failure>
        </testcase>
        <testcase classname="example.com/tasks" name="TestPass" time="0.500">
          <system-out>hello
    </system-out>
        </testcase>
        <system-out>FAIL	example.com/tasks	0.531s
    </system-out>
      </testsuite>
      <testsuite name="go/example.com/tasks/db" tests="1" failures="0" errors="0" skipped="1" time="0.000" timestamp="2026-01-02T03:04:05.1Z">
        <testcase classname="example.com/tasks/db" name="TestConnect" time="0.000">
          <skipped message="db_test.go:7: no database"/>
          <system-out>    db_test.go:7: no database
    </system-out>
        </testcase>
        <system-out>ok  	example.com/tasks/db	(cached)
    </system-out>
      </testsuite>
    </testsuites>
    "#);
}

#[test]
fn a_package_that_does_not_build_is_an_error() {
    let go_1_24 = r#"{"ImportPath":"example.com/tasks [example.com/tasks.test]","Action":"build-output","Output":"./a.go:3:5: undefined: x\n"}
{"ImportPath":"example.com/tasks [example.com/tasks.test]","Action":"build-fail"}
{"Time":"2026-01-02T03:04:05Z","Action":"start","Package":"example.com/tasks"}
{"Time":"2026-01-02T03:04:05Z","Action":"output","Package":"example.com/tasks","Output":"FAIL\texample.com/tasks [build failed]\n"}
{"Time":"2026-01-02T03:04:05Z","Action":"fail","Package":"example.com/tasks","Elapsed":0,"FailedBuild":"example.com/tasks [example.com/tasks.test]"}
"#;
    let older = r#"# example.com/tasks [example.com/tasks.test]
./a.go:3:5: undefined: x
{"Time":"2026-01-02T03:04:05Z","Action":"output","Package":"example.com/tasks","Output":"FAIL\texample.com/tasks [build failed]\n"}
{"Time":"2026-01-02T03:04:05Z","Action":"fail","Package":"example.com/tasks","Elapsed":0}
"#;
    let alone = r#"{"ImportPath":"example.com/lib","Action":"build-output","Output":"./lib.go:1:1: broken\n"}
{"ImportPath":"example.com/lib","Action":"build-fail"}
"#;
    insta::assert_snapshot!([go_1_24, older, alone].map(report).join("\n\n"), @r"
    Counts { tests: 1, failures: 0, errors: 1, skipped: 0, flaky: 0 }
    [example.com/tasks] example.com/tasks | build | - | Errored: package `example.com/tasks` does not build

    Counts { tests: 1, failures: 0, errors: 1, skipped: 0, flaky: 0 }
    [example.com/tasks] example.com/tasks | build | - | Errored: package `example.com/tasks` does not build

    Counts { tests: 1, failures: 0, errors: 1, skipped: 0, flaky: 0 }
    [example.com/lib] example.com/lib | build | - | Errored: `example.com/lib` does not build
    ");
    insta::assert_snapshot!(document(go_1_24), @r#"
      <testsuite name="go" tests="1" failures="0" errors="1" skipped="0" time="0.000" timestamp="2026-01-02T03:04:05Z">
        <testcase classname="example.com/tasks" name="build">
          <error message="package `example.com/tasks` does not build" type="BuildFailed">package `example.com/tasks` does not build
    ./a.go:3:5: undefined: x
    FAIL	example.com/tasks [build failed]
    </error>
        </testcase>
      </testsuite>
    </testsuites>
    "#);
}

#[test]
fn a_panic_ends_a_package_and_the_tests_in_it() {
    let stream = r#"{"Action":"start","Package":"p"}
{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"run","Package":"p","Test":"TestB"}
{"Action":"output","Package":"p","Test":"TestB","Output":"panic: boom [recovered]\n"}
{"Action":"output","Package":"p","Test":"TestB","Output":"\tpanic: boom\n\ngoroutine 7 [running]:\n"}
{"Action":"fail","Package":"p","Test":"TestB","Elapsed":0}
{"Action":"output","Package":"p","Output":"FAIL\tp\t0.01s\n"}
{"Action":"fail","Package":"p","Elapsed":0.01}
"#;
    insta::assert_snapshot!(report(stream), @r"
    Counts { tests: 2, failures: 1, errors: 1, skipped: 0, flaky: 0 }
    [p] p | TestA | - | Errored: package `p` ended before the test did
    [p] p | TestB | 0 | Failed: panic: boom [recovered]
    ");
}

#[test]
fn a_stream_that_lies_has_an_error_that_says_so() {
    let run = r#"{"Action":"run","Package":"p","Test":"TestA"}"#;
    let pass = r#"{"Action":"pass","Package":"p","Test":"TestA","Elapsed":1}"#;
    let fail = r#"{"Action":"fail","Package":"p","Test":"TestA"}"#;
    let passed = r#"{"Action":"pass","Package":"p"}"#;
    let failed = r#"{"Action":"fail","Package":"p"}"#;
    for (name, lines) in [
        ("cut before the package ends", vec![run, pass]),
        ("cut before the test ends", vec![run]),
        ("cut within a line", vec![run, pass, r#"{"Action":"pa"#]),
        (
            "a test without an end in a package that passed",
            vec![run, passed],
        ),
        (
            "a test without an end in a package that failed",
            vec![run, failed],
        ),
        (
            "a package that failed without a failing test",
            vec![run, pass, failed],
        ),
        ("a package that failed without tests", vec![failed]),
        (
            "a package that passed with a failing test",
            vec![run, fail, passed],
        ),
        (
            "a test that failed and then passed",
            vec![run, fail, pass, passed],
        ),
        (
            "a build that failed",
            vec![r#"{"Action":"build-fail","ImportPath":"p"}"#],
        ),
    ] {
        let report = report(&lines.join("\n"));
        assert!(
            !report.contains("failures: 0, errors: 0"),
            "{name}: {report}"
        );
    }
}

#[test]
fn tests_that_run_several_times_are_several_cases_and_benchmarks_are_cases() {
    let stream = r#"{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p","Test":"TestA","Elapsed":0.1}
{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"fail","Package":"p","Test":"TestA","Elapsed":0.2}
{"Action":"run","Package":"p","Test":"BenchmarkB"}
{"Action":"output","Package":"p","Test":"BenchmarkB","Output":"BenchmarkB-8 \t 1000\t 1 ns/op\n"}
{"Action":"bench","Package":"p","Test":"BenchmarkB"}
{"Action":"output","Package":"p","Output":"BenchmarkC-8 \t 1000\t 1 ns/op\n"}
{"Action":"fail","Package":"p","Elapsed":1}
"#;
    insta::assert_snapshot!(report(stream), @r"
    Counts { tests: 3, failures: 1, errors: 0, skipped: 0, flaky: 0 }
    [p] p | TestA | 0.1 | Passed
    [p] p | TestA | 0.2 | Failed: TestA failed
    [p] p | BenchmarkB | - | Passed
    ");
}

#[test]
fn what_is_no_stream_is_refused() {
    let none = ReadError::NotTests {
        format: "`go test -json`",
    };
    for (bytes, expected) in [
        (&b""[..], ReadError::Empty),
        (b"\n \n", ReadError::Empty),
        (b"ok  \tp\t0.1s\n", none.clone()),
        (
            b"{\"Action\":\"pass\"}\n{\"a\":1}\n[1]\n{\"Action\":\"dance\",\"Package\":\"p\"}",
            none.clone(),
        ),
        (
            b"{\"Action\":\"pass\",\"Action\":\"fail\",\"Package\":\"p\"}",
            none,
        ),
    ] {
        assert_eq!(go_test::read(bytes), Err(expected));
    }
}

#[test]
fn hostile_streams_are_read_within_bounds() {
    let deep = format!(
        "{{\"Action\":\"pass\",\"Package\":\"p\",\"x\":{}1{}}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let counts = go_test::read(deep.as_bytes()).expect("it is read").counts();
    assert_eq!(counts.tests, 0);
    let long = format!(
        "{{\"Action\":\"fail\",\"Package\":\"p\",\"Test\":\"T\",\"Output\":\"{}\\u0000\\u001b[31m]]>\"}}\n{{\"Action\":\"fail\",\"Package\":\"p\",\"Elapsed\":-1}}",
        "x".repeat(3_000_000)
    );
    assert!(document(&long).len() < 1_000_000);
    let many: String = (0..50_000)
        .map(|number| format!("{{\"Action\":\"pass\",\"Package\":\"p{}\",\"Test\":\"T{number}\",\"Elapsed\":1e999}}\n", number % 100))
        .collect();
    let counts = go_test::read(many.as_bytes()).map(|report| report.counts());
    // Elapsed is no number, so none of these lines is an event.
    assert!(counts.is_err(), "{counts:?}");
    let many = many.replace("1e999", "0.1");
    let counts = go_test::read(many.as_bytes()).expect("it is read").counts();
    assert_eq!((counts.tests, counts.errors), (50_100, 100));
}

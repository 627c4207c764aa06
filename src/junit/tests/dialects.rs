//! One report of each tool that matters, as that tool writes it: what is read from it, and what the
//! merged report makes of it.

use super::{merged, outline, record};
use crate::junit::read;

const PYTEST: &str = r#"<?xml version="1.0" encoding="utf-8"?><testsuites name="pytest tests"><testsuite name="pytest" errors="1" failures="1" skipped="1" tests="4" time="0.045" timestamp="2026-01-02T03:04:05.678901+00:00" hostname="ci-runner"><testcase classname="tests.test_tasks" name="test_create" time="0.001"><properties><property name="owner" value="api" /></properties></testcase><testcase classname="tests.test_tasks" name="test_list[0-\u20ac]" time="0.002"><failure message="assert 1 == 2">def test_list():
&gt;       assert 1 == 2
E       assert 1 == 2

tests/test_tasks.py:9: AssertionError</failure></testcase><testcase classname="tests.test_tasks" name="test_late" time="0.000"><skipped type="pytest.skip" message="not today">/app/tests/test_tasks.py:12: not today</skipped></testcase><testcase classname="tests.test_tasks" name="test_db" time="0.010"><error message="failed on setup with &quot;ConnectionError: refused&quot;">fixture failed</error><system-out>setup
</system-out><system-out>call
</system-out></testcase></testsuite></testsuites>"#;

const SUREFIRE: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuite xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="https://maven.apache.org/surefire/maven-surefire-plugin/xsd/surefire-test-report.xsd" version="3.0.2" name="com.example.TaskTest" time="1,234.567" tests="3" errors="0" skipped="0" failures="1" flakes="1">
  <properties>
    <property name="java.version" value="21.0.1"/>
  </properties>
  <testcase name="passes" classname="com.example.TaskTest" time="1,234.5"/>
  <testcase name="flaky" classname="com.example.TaskTest" time="0.012">
    <flakyFailure message="first" type="java.lang.AssertionError">
      <stackTrace><![CDATA[java.lang.AssertionError: first
	at com.example.TaskTest.flaky(TaskTest.java:9)]]></stackTrace>
      <system-out>attempt 1</system-out>
    </flakyFailure>
  </testcase>
  <testcase name="broken" classname="com.example.TaskTest" time="0.010">
    <system-out><![CDATA[out]]></system-out>
    <rerunFailure message="again" type="java.lang.AssertionError"><stackTrace>trace 2</stackTrace></rerunFailure>
    <failure message="expected: &lt;1&gt; but was: &lt;2&gt;" type="java.lang.AssertionError"><![CDATA[java.lang.AssertionError: expected: <1> but was: <2>
	at com.example.TaskTest.broken(TaskTest.java:14)]]></failure>
  </testcase>
</testsuite>"#;

const JEST: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="jest tests" tests="2" failures="1" errors="0" time="2.158">
  <testsuite name="Tasks" errors="0" failures="1" skipped="0" timestamp="2026-01-02T03:04:05" time="1.123" tests="2">
    <testcase classname="Tasks creates" name="Tasks creates" time="0.008">
    </testcase>
    <testcase classname="Tasks lists" name="Tasks lists" time="0.003">
      <failure>Error: expect(received).toBe(expected) // Object.is equality

Expected: 2
Received: 1
    at Object.&lt;anonymous&gt; (/app/tasks.test.js:9:15)</failure>
    </testcase>
  </testsuite>
</testsuites>"#;

const GO_JUNIT_REPORT: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites tests="3" failures="1" skipped="1">
	<testsuite name="example.com/tasks" tests="3" failures="1" errors="0" id="0" hostname="ci" skipped="1" time="0.160" timestamp="2026-01-02T03:04:05Z">
		<properties>
			<property name="go.version" value="go1.22 linux/amd64"></property>
		</properties>
		<testcase name="TestOne" classname="example.com/tasks" time="0.060"></testcase>
		<testcase name="TestTwo/sub" classname="example.com/tasks" time="0.100">
			<failure message="Failed"><![CDATA[    tasks_test.go:11: got 1]]></failure>
		</testcase>
		<testcase name="TestThree" classname="example.com/tasks" time="0.000">
			<skipped message="tasks_test.go:20: later"></skipped>
		</testcase>
		<system-out><![CDATA[PASS]]></system-out>
	</testsuite>
</testsuites>"#;

const NEXTEST: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="nextest-run" tests="2" failures="1" errors="0" uuid="45c50042-482e-477e-88a0-60cfcc3eaf95" timestamp="2026-01-02T03:04:05.678+00:00" time="0.023">
    <testsuite name="tasks::api" tests="2" disabled="0" errors="0" failures="1">
        <testcase name="flaky" classname="tasks::api" timestamp="2026-01-02T03:04:05.678+00:00" time="0.005">
            <flakyFailure timestamp="2026-01-02T03:04:05.600+00:00" time="0.005" message="thread 'flaky' panicked at tests/api.rs:5" type="test failure with exit code 101">panicked
                <system-out>running 1 test</system-out>
                <system-err>thread 'flaky' panicked</system-err>
            </flakyFailure>
        </testcase>
        <testcase name="broken" classname="tasks::api" timestamp="2026-01-02T03:04:05.690+00:00" time="0.004">
            <failure message="thread 'broken' panicked at tests/api.rs:9" type="test failure with exit code 101">thread 'broken' panicked at tests/api.rs:9</failure>
            <rerunFailure timestamp="2026-01-02T03:04:05.680+00:00" time="0.004" type="test failure with exit code 101"/>
            <system-out>running 1 test</system-out>
            <system-err>thread 'broken' panicked</system-err>
        </testcase>
    </testsuite>
</testsuites>"#;

const PHPUNIT: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites>
  <testsuite name="/app/phpunit.xml" tests="3" assertions="3" errors="0" failures="1" skipped="0" time="0.010520">
    <testsuite name="unit" tests="3" assertions="3" errors="0" failures="1" skipped="0" time="0.010520">
      <testsuite name="App\TaskTest" file="/app/tests/TaskTest.php" tests="3" assertions="3" errors="0" failures="1" skipped="0" time="0.010520">
        <testcase name="testOne" file="/app/tests/TaskTest.php" line="9" class="App\TaskTest" classname="App.TaskTest" assertions="1" time="0.008"/>
        <testsuite name="App\TaskTest::testRows" tests="2" assertions="2" errors="0" failures="1" skipped="0" time="0.002">
          <testcase name="testRows with data set #0" file="/app/tests/TaskTest.php" line="15" class="App\TaskTest" classname="App.TaskTest" assertions="1" time="0.001"/>
          <testcase name="testRows with data set #1" file="/app/tests/TaskTest.php" line="15" class="App\TaskTest" classname="App.TaskTest" assertions="1" time="0.001">
            <failure type="PHPUnit\Framework\ExpectationFailedException">App\TaskTest::testRows with data set #1
Failed asserting that 2 matches expected 1.</failure>
          </testcase>
        </testsuite>
      </testsuite>
    </testsuite>
  </testsuite>
</testsuites>"#;

const CATCH2: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites>
  <testsuite name="tasks" errors="0" failures="2" skipped="0" tests="3" hostname="tbd" time="0.0012345" timestamp="2026-01-02T03:04:05Z">
    <properties>
      <property name="random-seed" value="1234"/>
    </properties>
    <testcase classname="tasks.global" name="creates" time="0" status="run"/>
    <testcase classname="tasks.global" name="lists" time="1.5e-05" status="run">
      <failure message="1 == 2" type="CHECK">
FAILED:
  CHECK( 1 == 2 )
at /app/tasks.cpp:9
      </failure>
      <failure message="3 == 4" type="REQUIRE">
FAILED:
  REQUIRE( 3 == 4 )
at /app/tasks.cpp:10
      </failure>
    </testcase>
    <system-out>
seed
    </system-out>
    <system-err/>
  </testsuite>
</testsuites>"#;

/// All of the samples, to be damaged.
pub(super) const ALL: [&str; 7] = [
    PYTEST,
    SUREFIRE,
    JEST,
    GO_JUNIT_REPORT,
    NEXTEST,
    PHPUNIT,
    CATCH2,
];

fn as_read(document: &str) -> String {
    outline(&read(document.as_bytes()).unwrap_or_else(|error| panic!("{error}")))
}

fn as_merged(document: &str) -> String {
    let before = read(document.as_bytes()).expect("it is read");
    let text = merged(vec![record("unit", &[document])]);
    let after = read(text.as_bytes()).expect("it is read again");
    assert_eq!(after.counts(), before.counts());
    assert_eq!(after.notes(), []);
    text
}

#[test]
fn pytest() {
    insta::assert_snapshot!(as_read(PYTEST), @r#"
    Counts { tests: 4, failures: 1, errors: 1, skipped: 1, flaky: 0 }
    [pytest] tests.test_tasks | test_create | 0.001 | Passed
    [pytest] tests.test_tasks | test_list[0-\u20ac] | 0.002 | Failed: assert 1 == 2
    [pytest] tests.test_tasks | test_late | 0 | Skipped
    [pytest] tests.test_tasks | test_db | 0.01 | Errored: failed on setup with "ConnectionError: refused"
    "#);
    insta::assert_snapshot!(as_merged(PYTEST), @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <testsuites name="taskflow" tests="4" failures="1" errors="1" skipped="1" time="4.750" timestamp="2026-01-02T00:00:00Z" uuid="67e55044-10b1-426f-9247-bb680e5fe0c8">
      <testsuite name="unit" tests="4" failures="1" errors="1" skipped="1" time="0.045" timestamp="2026-01-02T03:04:05.678901+00:00" hostname="ci-runner">
        <testcase classname="tests.test_tasks" name="test_create" time="0.001">
          <properties>
            <property name="owner" value="api"/>
          </properties>
        </testcase>
        <testcase classname="tests.test_tasks" name="test_list[0-\u20ac]" time="0.002">
          <failure message="assert 1 == 2">def test_list():
    &gt;       assert 1 == 2
    E       assert 1 == 2

    tests/test_tasks.py:9: AssertionError</failure>
        </testcase>
        <testcase classname="tests.test_tasks" name="test_late" time="0.000">
          <skipped type="pytest.skip" message="not today">/app/tests/test_tasks.py:12: not today</skipped>
        </testcase>
        <testcase classname="tests.test_tasks" name="test_db" time="0.010">
          <error message="failed on setup with &quot;ConnectionError: refused&quot;">failed on setup with "ConnectionError: refused"
    fixture failed</error>
          <system-out>setup
    call
    </system-out>
        </testcase>
      </testsuite>
    </testsuites>
    "#);
}

#[test]
fn surefire() {
    insta::assert_snapshot!(as_read(SUREFIRE), @r"
    Counts { tests: 3, failures: 1, errors: 0, skipped: 0, flaky: 1 }
    [com.example.TaskTest] com.example.TaskTest | passes | 1234.5 | Passed
    [com.example.TaskTest] com.example.TaskTest | flaky | 0.012 | Passed
    [com.example.TaskTest] com.example.TaskTest | broken | 0.01 | Failed: expected: <1> but was: <2>
    ");
    insta::assert_snapshot!(as_merged(SUREFIRE), @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <testsuites name="taskflow" tests="3" failures="1" errors="0" skipped="0" time="4.750" timestamp="2026-01-02T00:00:00Z" uuid="67e55044-10b1-426f-9247-bb680e5fe0c8">
      <testsuite name="unit" tests="3" failures="1" errors="0" skipped="0" time="1234.567" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="https://maven.apache.org/surefire/maven-surefire-plugin/xsd/surefire-test-report.xsd" version="3.0.2" flakes="1" timestamp="2026-01-02T00:00:00Z">
        <properties>
          <property name="java.version" value="21.0.1"/>
        </properties>
        <testcase name="passes" classname="com.example.TaskTest" time="1234.5"/>
        <testcase name="flaky" classname="com.example.TaskTest" time="0.012">
          <flakyFailure message="first" type="java.lang.AssertionError"><stackTrace><![CDATA[java.lang.AssertionError: first
    	at com.example.TaskTest.flaky(TaskTest.java:9)]]></stackTrace><system-out>attempt 1</system-out></flakyFailure>
        </testcase>
        <testcase name="broken" classname="com.example.TaskTest" time="0.010">
          <failure message="expected: &lt;1&gt; but was: &lt;2&gt;" type="java.lang.AssertionError"><![CDATA[java.lang.AssertionError: expected: <1> but was: <2>
    	at com.example.TaskTest.broken(TaskTest.java:14)]]></failure>
          <rerunFailure message="again" type="java.lang.AssertionError"><stackTrace>trace 2</stackTrace></rerunFailure>
          <system-out><![CDATA[out]]></system-out>
        </testcase>
      </testsuite>
    </testsuites>
    "#);
}

#[test]
fn jest() {
    insta::assert_snapshot!(as_read(JEST), @r"
    Counts { tests: 2, failures: 1, errors: 0, skipped: 0, flaky: 0 }
    [Tasks] Tasks creates | Tasks creates | 0.008 | Passed
    [Tasks] Tasks lists | Tasks lists | 0.003 | Failed: Error: expect(received).toBe(expected) // Object.is equality
    ");
    insta::assert_snapshot!(as_merged(JEST), @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <testsuites name="taskflow" tests="2" failures="1" errors="0" skipped="0" time="4.750" timestamp="2026-01-02T00:00:00Z" uuid="67e55044-10b1-426f-9247-bb680e5fe0c8">
      <testsuite name="unit" tests="2" failures="1" errors="0" skipped="0" time="1.123" timestamp="2026-01-02T03:04:05">
        <testcase classname="Tasks creates" name="Tasks creates" time="0.008"/>
        <testcase classname="Tasks lists" name="Tasks lists" time="0.003">
          <failure message="Error: expect(received).toBe(expected) // Object.is equality">Error: expect(received).toBe(expected) // Object.is equality

    Expected: 2
    Received: 1
        at Object.&lt;anonymous&gt; (/app/tasks.test.js:9:15)</failure>
        </testcase>
      </testsuite>
    </testsuites>
    "#);
}

#[test]
fn go_junit_report() {
    insta::assert_snapshot!(as_read(GO_JUNIT_REPORT), @r"
    Counts { tests: 3, failures: 1, errors: 0, skipped: 1, flaky: 0 }
    [example.com/tasks] example.com/tasks | TestOne | 0.06 | Passed
    [example.com/tasks] example.com/tasks | TestTwo/sub | 0.1 | Failed: Failed
    [example.com/tasks] example.com/tasks | TestThree | 0 | Skipped
    ");
    insta::assert_snapshot!(as_merged(GO_JUNIT_REPORT), @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <testsuites name="taskflow" tests="3" failures="1" errors="0" skipped="1" time="4.750" timestamp="2026-01-02T00:00:00Z" uuid="67e55044-10b1-426f-9247-bb680e5fe0c8">
      <testsuite name="unit" tests="3" failures="1" errors="0" skipped="1" time="0.160" id="0" hostname="ci" timestamp="2026-01-02T03:04:05Z">
        <properties>
          <property name="go.version" value="go1.22 linux/amd64"/>
        </properties>
        <testcase name="TestOne" classname="example.com/tasks" time="0.060"/>
        <testcase name="TestTwo/sub" classname="example.com/tasks" time="0.100">
          <failure message="Failed"><![CDATA[Failed
        tasks_test.go:11: got 1]]></failure>
        </testcase>
        <testcase name="TestThree" classname="example.com/tasks" time="0.000">
          <skipped message="tasks_test.go:20: later"/>
        </testcase>
        <system-out><![CDATA[PASS]]></system-out>
      </testsuite>
    </testsuites>
    "#);
}

#[test]
fn nextest() {
    insta::assert_snapshot!(as_read(NEXTEST), @r"
    Counts { tests: 2, failures: 1, errors: 0, skipped: 0, flaky: 1 }
    [tasks::api] tasks::api | flaky | 0.005 | Passed
    [tasks::api] tasks::api | broken | 0.004 | Failed: thread 'broken' panicked at tests/api.rs:9
    ");
    insta::assert_snapshot!(as_merged(NEXTEST), @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <testsuites name="taskflow" tests="2" failures="1" errors="0" skipped="0" time="4.750" timestamp="2026-01-02T00:00:00Z" uuid="67e55044-10b1-426f-9247-bb680e5fe0c8">
      <testsuite name="unit" tests="2" failures="1" errors="0" skipped="0" time="0.009" disabled="0" timestamp="2026-01-02T03:04:05.678+00:00">
        <testcase name="flaky" classname="tasks::api" timestamp="2026-01-02T03:04:05.678+00:00" time="0.005">
          <flakyFailure timestamp="2026-01-02T03:04:05.600+00:00" time="0.005" message="thread 'flaky' panicked at tests/api.rs:5" type="test failure with exit code 101"><stackTrace>panicked</stackTrace><system-out>running 1 test</system-out><system-err>thread 'flaky' panicked</system-err></flakyFailure>
        </testcase>
        <testcase name="broken" classname="tasks::api" timestamp="2026-01-02T03:04:05.690+00:00" time="0.004">
          <failure message="thread 'broken' panicked at tests/api.rs:9" type="test failure with exit code 101">thread 'broken' panicked at tests/api.rs:9</failure>
          <rerunFailure timestamp="2026-01-02T03:04:05.680+00:00" time="0.004" type="test failure with exit code 101"><stackTrace/></rerunFailure>
          <system-out>running 1 test</system-out>
          <system-err>thread 'broken' panicked</system-err>
        </testcase>
      </testsuite>
    </testsuites>
    "#);
}

#[test]
fn phpunit() {
    insta::assert_snapshot!(as_read(PHPUNIT), @r"
    Counts { tests: 3, failures: 1, errors: 0, skipped: 0, flaky: 0 }
    [App\TaskTest] App.TaskTest | testOne | 0.008 | Passed
    [App\TaskTest::testRows] App.TaskTest | testRows with data set #0 | 0.001 | Passed
    [App\TaskTest::testRows] App.TaskTest | testRows with data set #1 | 0.001 | Failed: App\TaskTest::testRows with data set #1
    ");
    insta::assert_snapshot!(as_merged(PHPUNIT), @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <testsuites name="taskflow" tests="3" failures="1" errors="0" skipped="0" time="4.750" timestamp="2026-01-02T00:00:00Z" uuid="67e55044-10b1-426f-9247-bb680e5fe0c8">
      <testsuite name="unit/App\TaskTest" tests="1" failures="0" errors="0" skipped="0" time="0.008" file="/app/tests/TaskTest.php" timestamp="2026-01-02T00:00:00Z">
        <testcase name="testOne" file="/app/tests/TaskTest.php" line="9" class="App\TaskTest" classname="App.TaskTest" assertions="1" time="0.008"/>
      </testsuite>
      <testsuite name="unit/App\TaskTest::testRows" tests="2" failures="1" errors="0" skipped="0" time="0.002" assertions="2" timestamp="2026-01-02T00:00:00Z">
        <testcase name="testRows with data set #0" file="/app/tests/TaskTest.php" line="15" class="App\TaskTest" classname="App.TaskTest" assertions="1" time="0.001"/>
        <testcase name="testRows with data set #1" file="/app/tests/TaskTest.php" line="15" class="App\TaskTest" classname="App.TaskTest" assertions="1" time="0.001">
          <failure type="PHPUnit\Framework\ExpectationFailedException" message="App\TaskTest::testRows with data set #1">App\TaskTest::testRows with data set #1
    Failed asserting that 2 matches expected 1.</failure>
        </testcase>
      </testsuite>
    </testsuites>
    "#);
}

#[test]
fn catch2() {
    insta::assert_snapshot!(as_read(CATCH2), @r"
    Counts { tests: 2, failures: 1, errors: 0, skipped: 0, flaky: 0 }
    [tasks] tasks.global | creates | 0 | Passed
    [tasks] tasks.global | lists | 0.000015 | Failed: 1 == 2
    note: testsuite `tasks` declares tests=`3`, its cases come to `2`
    note: testsuite `tasks` declares failures=`2`, its cases come to `1`
    ");
    insta::assert_snapshot!(as_merged(CATCH2), @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <testsuites name="taskflow" tests="2" failures="1" errors="0" skipped="0" time="4.750" timestamp="2026-01-02T00:00:00Z" uuid="67e55044-10b1-426f-9247-bb680e5fe0c8">
      <testsuite name="unit" tests="2" failures="1" errors="0" skipped="0" time="0.001" hostname="tbd" timestamp="2026-01-02T03:04:05Z">
        <properties>
          <property name="random-seed" value="1234"/>
        </properties>
        <testcase classname="tasks.global" name="creates" time="0" status="run"/>
        <testcase classname="tasks.global" name="lists" time="0.000015" status="run">
          <failure message="1 == 2" type="CHECK">
    FAILED:
      CHECK( 1 == 2 )
    at /app/tasks.cpp:9
          </failure>
          <failure message="3 == 4" type="REQUIRE">
    FAILED:
      REQUIRE( 3 == 4 )
    at /app/tasks.cpp:10
          </failure>
        </testcase>
        <system-out>
    seed
        </system-out>
        <system-err/>
      </testsuite>
    </testsuites>
    "#);
}

//! What a run keeps of its containers before they are removed.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::wait::until;
use crate::harness::{Finished, Project, image};

/// A suite `checks` of one shell script, with further lines in its service, beside further services.
fn project(services: &str, lines: &str, script: &str) -> Project {
    Project::new(&format!(
        "
services:
  checks:
    image: {image}
    working_dir: /work
    volumes: [./suite.sh:/suite.sh:ro]
    command: [bash, /suite.sh]
{lines}
{services}
",
        image = image::BASE
    ))
    .having("suite.sh", script)
}

/// The record of what was kept in a directory.
fn record(project: &Project, directory: &str) -> Value {
    let text = fs::read_to_string(project.path("out/artifacts.json")).unwrap();
    let all: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(all["schema"], 1);
    all["directories"][directory].clone()
}

fn names(record: &Value) -> Vec<&str> {
    let files = record["files"].as_array().unwrap();
    files
        .iter()
        .map(|one| one["path"].as_str().unwrap())
        .collect()
}

fn kept(project: &Project, path: &str) -> String {
    let path = project.path("out/artifacts").join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn warnings(finished: &Finished) -> String {
    let told = finished.events.iter();
    let told = told.filter(|event| event.kind() == "warning");
    told.map(|event| event.text("message").to_owned() + "\n")
        .collect()
}

#[test]
fn files_of_a_stopped_suite_and_of_a_running_service_are_the_callers_own() {
    let project = project(
        &format!(
            "
  web:
    image: {}
    command: [bash, -c, \"mkdir -p /var/log/web; echo served > /var/log/web/access.log; touch /ready; exec sleep 300\"]
    x-envrun: {{ ready: {{ exec: [test, -f, /ready] }}, artifacts: [/var/log/web/] }}
",
            image::BASE
        ),
        "    depends_on: [web]\n    x-envrun: { suite: { artifacts: [screenshots/, 'logs/**/*.txt', none/] } }",
        "
mkdir -p screenshots logs/deep
echo picture > screenshots/a.png
chmod 000 screenshots/a.png
cp /bin/true screenshots/run; chmod 6755 screenshots/run
ln -s a.png screenshots/latest.png
ln -s /etc/shadow screenshots/shadow
mkfifo screenshots/pipe
mknod screenshots/null c 1 3
echo x > screenshots/Case; echo y > screenshots/case
printf name > \"screenshots/$(printf 'odd\\377:name')\"
echo text > logs/deep/a.txt; echo other > logs/deep/a.bin
",
    );
    let finished = project.run();
    finished.assert_code(0);
    let record_of = record(&project, "checks");
    assert_eq!(
        names(&record_of),
        [
            "logs/deep/a.txt",
            "screenshots/Case",
            "screenshots/a.png",
            "screenshots/case~2",
            "screenshots/latest.png",
            "screenshots/odd%FF%3Aname",
            "screenshots/run",
        ],
        "{record_of:#}"
    );
    assert_eq!(record_of["unmatched"], serde_json::json!(["none/"]));
    assert_eq!(kept(&project, "checks/screenshots/a.png"), "picture\n");
    assert_eq!(kept(&project, "checks/screenshots/latest.png"), "picture\n");
    assert_eq!(kept(&project, "web/var/log/web/access.log"), "served\n");
    let us = fs::metadata(project.path("out/junit.xml")).unwrap().uid();
    for file in ["a.png", "latest.png", "run"] {
        let path = project.path("out/artifacts/checks/screenshots").join(file);
        let found = fs::symlink_metadata(&path).unwrap();
        assert!(found.is_file(), "{file}");
        assert_eq!(found.uid(), us, "{file}");
        assert_eq!(found.permissions().mode() & 0o7400, 0o400, "{file}");
    }
    let left_out = record_of["left_out"].to_string();
    for reason in ["a link to `/etc/shadow`", "a named pipe", "a device"] {
        assert!(left_out.contains(reason), "{left_out}");
    }
    assert!(
        warnings(&finished).contains("3 were left out"),
        "{}",
        warnings(&finished)
    );
    assert!(
        finished.stderr.contains("kept 7 artifacts"),
        "{}",
        finished.stderr
    );
    // All of it is there before teardown is over.
    let (_, end) = finished.first("teardown_finished");
    let event = finished
        .events
        .iter()
        .filter(|event| event.kind() == "artifacts_kept");
    let times: Vec<_> = event.map(|event| event.number("elapsed_ms")).collect();
    assert_eq!(times.len(), 2);
    assert!(times.iter().all(|time| *time <= end.number("elapsed_ms")));
}

#[test]
fn a_suite_that_is_killed_by_its_limit_leaves_its_files_and_a_passing_one_only_what_it_always_leaves()
 {
    let lines = |limit: &str| {
        format!(
            "    x-envrun: {{ suite: {{ {limit} artifacts: {{ paths: [out], when: failure }} }} }}"
        )
    };
    let script = "mkdir out; echo begun > out/a; echo end; exec sleep $(cat /work/time 2>/dev/null || echo 60)";
    let killed = project("", &lines("timeout: 1s,"), script);
    killed.run().assert_code(1);
    assert_eq!(kept(&killed, "checks/out/a"), "begun\n");
    let passing = project("", &lines(""), "mkdir out; echo begun > out/a");
    passing.run().assert_code(0);
    assert!(!passing.path("out/artifacts").exists());
}

#[test]
fn limits_leave_files_out_and_never_fail_a_run() {
    let project = project(
        "",
        "    x-envrun: { suite: { artifacts: [out/] } }",
        "mkdir out; for n in 1 2 3 4; do head -c 300000 /dev/zero > out/$n; done; head -c 30000000 /dev/zero > out/0",
    );
    let finished = project.run_with(&["--artifact-limit", "1MiB/2"]);
    finished.assert_code(0);
    let record = record(&project, "checks");
    assert_eq!(names(&record).len(), 2, "{record:#}");
    let left_out = record["left_out"].to_string();
    assert!(left_out.contains("beyond the limit of 1 MiB"), "{left_out}");
    assert!(left_out.contains("more than 2 files"), "{left_out}");
    let wrong = project.run_with(&["--artifact-limit", "lots"]);
    wrong.assert_code(2);
    assert!(
        wrong.stderr.contains("is no limit of artifacts"),
        "{}",
        wrong.stderr
    );
}

#[test]
fn a_path_on_a_tmpfs_is_an_error_before_anything_starts() {
    let project = project(
        "",
        "    tmpfs: [/work/out]\n    x-envrun: { suite: { artifacts: [out/] } }",
        "true",
    );
    let finished = project.run();
    finished.assert_code(2);
    assert!(
        finished
            .stderr
            .contains("which is on the tmpfs `/work/out`"),
        "{}",
        finished.stderr
    );
    assert!(
        finished.stderr.contains("mount a volume at `/work/out`"),
        "{}",
        finished.stderr
    );
}

#[test]
fn what_is_not_ours_is_left_alone_and_told() {
    let project = project(
        "",
        "    x-envrun: { suite: { artifacts: [a] } }",
        "echo x > a",
    )
    .having("out/artifacts/thesis.tex", "precious");
    let finished = project.run();
    finished.assert_code(6);
    assert!(
        finished.stderr.contains("not envrun's"),
        "{}",
        finished.stderr
    );
    let precious = fs::read_to_string(project.path("out/artifacts/thesis.tex"));
    assert_eq!(precious.unwrap(), "precious");
    assert!(!Path::new(&project.path("out/artifacts/checks")).exists());
}

#[test]
fn a_suite_that_wants_too_much_memory_is_told_its_limit_and_what_was_seen() {
    let project = project(
        "",
        "    mem_limit: 64m\n    x-envrun: { suite: {} }",
        // A while below the limit, so that it is looked at, then beyond it.
        "head -c 20000000 /dev/zero | tail > /dev/null; sleep 5; head -c 500000000 /dev/zero | tail",
    );
    let finished = project.run();
    finished.assert_code(1);
    let problem = &finished.first("suite_finished").1.0["problems"].to_string();
    assert!(
        problem.contains("its memory limit is 64 MiB, and"),
        "{problem}"
    );
    let (_, used) = finished.first("usage_measured");
    assert_eq!(used.text("service"), "checks");
    let peak = used.number("memory_peak_bytes");
    assert!((15 << 20..=64 << 20).contains(&peak), "{peak}");
    assert_eq!(used.number("memory_limit_bytes"), 64 << 20);
    assert!(used.number("cpu_ms") > 0 && used.number("samples") > 0);
}

/// Two tests fail, a second after one another; the service says something during each of them, and
/// before.
#[test]
fn what_services_wrote_during_a_failed_test_is_with_that_test_and_nothing_else() {
    let project = project(
        &format!(
            "
  db:
    image: {}
    command: [bash, -c, 'echo long before; touch /talk/lines /ready; while read line; do echo \"$$line\"; done < <(tail -n +1 -f /talk/lines)']
    volumes: [talk:/talk]
    x-envrun: {{ ready: {{ exec: [test, -f, /ready] }} }}
volumes: {{ talk: {{}} }}
",
            image::BASE
        ),
        "    depends_on: [db]\n    volumes_from: [db]\n    x-envrun: { suite: { junit: out.xml } }",
        "
now() { date -u +%Y-%m-%dT%H:%M:%S.%3NZ; }
sleep 1.5
first=$(now); echo 'duplicate key <&> x' >> /talk/lines; sleep 0.2
sleep 3
second=$(now); echo deadlock detected >> /talk/lines; sleep 0.2
echo \"<testsuite name='s' tests='2'>
<testcase classname='c' name='one/two' time='0.2' timestamp='$first'><failure message='f'/><system-out>its own</system-out></testcase>
<testcase classname='c' name='late' time='0.2' timestamp='$second'><failure message='f'/></testcase>
</testsuite>\" > out.xml
exit 1
",
    );
    let finished = project.run();
    finished.assert_code(1);
    let read = |name: &str| {
        let path = project.path("out/evidence/checks").join(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let (first, second) = (read("c.one%2Ftwo.log"), read("c.late.log"));
    assert!(
        first.contains("[db]\n") && first.contains("duplicate key <&> x\n"),
        "{first}"
    );
    assert!(
        !first.contains("deadlock") && !first.contains("long before"),
        "{first}"
    );
    assert!(!first.contains("estimate"), "{first}");
    assert!(
        second.contains("deadlock detected\n") && !second.contains("duplicate"),
        "{second}"
    );
    let junit = fs::read_to_string(project.path("out/junit.xml")).unwrap();
    let case = junit
        .split("<testcase")
        .find(|case| case.contains("one/two"))
        .unwrap();
    assert_eq!(case.matches("<system-out>").count(), 1, "{case}");
    let (own, added) = (
        case.find("its own").unwrap(),
        case.find("duplicate key &lt;&amp;").unwrap(),
    );
    assert!(own < added, "{case}");
}

#[test]
fn a_cancelled_run_keeps_what_there_is_and_is_gone_in_time() {
    let project = project(
        &format!(
            "
  web:
    image: {}
    command: [bash, -c, 'mkdir -p /data; head -c 200000000 /dev/zero > /data/large; echo x > /data/first; touch /ready; exec sleep 300']
    x-envrun: {{ ready: {{ exec: [test, -f, /ready] }}, artifacts: [/data/first, /data/large] }}
",
            image::BASE
        ),
        "    depends_on: [web]\n    x-envrun: { suite: { artifacts: [out/] } }",
        "mkdir out; echo begun > out/a; echo begun; exec sleep 300",
    );
    let mut run = project.start();
    run.until_suite_started("checks");
    wait_for_output(&project);
    let begun = std::time::Instant::now();
    run.signal(Signal::INT);
    let finished = run.finish();
    // GitHub kills 10 s after the first signal.
    assert!(
        begun.elapsed() < Duration::from_millis(9500),
        "{:?}",
        begun.elapsed()
    );
    finished.assert_code(130);
    assert_eq!(kept(&project, "checks/out/a"), "begun\n");
    assert_eq!(kept(&project, "web/data/first"), "x\n");
}

/// Until the suite has written its file, and said so.
fn wait_for_output(project: &Project) {
    let log = project.path("out/logs/checks.log");
    until(
        "the suite says that it has begun",
        Duration::from_secs(20),
        || {
            let log = fs::read_to_string(&log).ok()?;
            log.contains("begun").then_some(())
        },
    );
}

//! What a run says in each CI system: groups, annotations, summaries and values for later steps, with hostile output in between.
//!
//! The environment of a job is set by hand, as the systems document it; what comes out is read as they read it.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use rustix::process::Signal;

use crate::harness::project::held_suite;
use crate::harness::{Finished, Project, Run, image};

/// Output that tries the commands of every system, as a suite could print them.
const HOSTILE: &str = "::error title=gotcha::gotcha\\n##[error]gotcha\\n##vso[task.setvariable variable=gotcha]gotcha\\n\
##teamcity[gotcha]\\n::stop-commands::gotcha\\n::add-mask::passed\\n\\033[0Ksection_start:1:gotcha\\r\\033[0K\\n--- gotcha\\n";

/// A project whose suite `unit` writes a report with one failing case, and prints what is hostile.
fn failing() -> Project {
    let project = Project::new(&format!(
        "services:
  db:
    image: {base}
    command: [sleep, infinity]
  unit:
    image: {base}
    depends_on: [db]
    volumes: [\"./suite:/suite:ro\"]
    working_dir: /tmp
    command: [bash, /suite/fail.sh]
    x-envrun: {{ suite: {{ junit: report.xml }} }}
",
        base = image::BASE
    ));
    let report = "<testsuite name='unit'><testcase classname='tests.test_a' name='test_x' file='tests/test_a.py' line='3' time='0.25'>\
<failure message='1 is not 2, 100% sure'>Traceback&#10;AssertionError: ##vso[task.complete]</failure></testcase>\
<testcase classname='tests.test_a' name='test_y' time='0.5'/></testsuite>";
    project.file(
        "suite/fail.sh",
        format!("printf '{HOSTILE}'\ncat > report.xml <<'END'\n{report}\nEND\nexit 1\n"),
    );
    project.file("tests/test_a.py", "");
    project
}

/// A project that passes.
fn passing() -> Project {
    Project::new(&format!(
        "services:
  db:
    image: {base}
    command: [sleep, infinity]
  unit:
    image: {base}
    depends_on: [db]
    command: [\"true\"]
    x-envrun: {{ suite: {{}} }}
",
        base = image::BASE
    ))
}

/// The environment of a job of a system.
fn job(project: &Project, system: &str) -> BTreeMap<&'static str, String> {
    let root = project.directory().display().to_string();
    let path = |name: &str| project.path(name).display().to_string();
    let text = str::to_owned;
    BTreeMap::from_iter(match system {
        "github" => vec![
            ("CI", text("true")),
            ("GITHUB_ACTIONS", text("true")),
            ("GITHUB_RUN_ID", text("1")),
            ("GITHUB_RUN_ATTEMPT", text("1")),
            ("GITHUB_JOB", text("test")),
            ("GITHUB_WORKSPACE", root),
            ("GITHUB_STEP_SUMMARY", path("summary.md")),
            ("GITHUB_OUTPUT", path("outputs")),
        ],
        "gitlab" => vec![
            ("CI", text("true")),
            ("GITLAB_CI", text("true")),
            ("CI_JOB_ID", text("1")),
            ("CI_PROJECT_DIR", root),
        ],
        "buildkite" => vec![
            ("CI", text("true")),
            ("BUILDKITE", text("true")),
            ("BUILDKITE_JOB_ID", text("1")),
            ("BUILDKITE_BUILD_CHECKOUT_PATH", root),
        ],
        "azure" => vec![
            ("TF_BUILD", text("True")),
            ("BUILD_BUILDID", text("1")),
            ("SYSTEM_JOBID", text("2")),
            ("BUILD_SOURCESDIRECTORY", root),
        ],
        "teamcity" => vec![
            ("TEAMCITY_VERSION", text("2025.07")),
            ("BUILD_NUMBER", text("1")),
        ],
        "jenkins" => vec![
            ("JENKINS_URL", text("http://ci.example/")),
            ("BUILD_TAG", text("jenkins-shop-1")),
            ("WORKSPACE", root),
        ],
        "circleci" => vec![
            ("CI", text("true")),
            ("CIRCLECI", text("true")),
            ("CIRCLE_BUILD_NUM", text("1")),
            ("CIRCLE_WORKING_DIRECTORY", root),
        ],
        other => panic!("no job of {other}"),
    })
}

const SYSTEMS: [&str; 7] = [
    "github",
    "gitlab",
    "buildkite",
    "azure",
    "teamcity",
    "jenkins",
    "circleci",
];

fn command(project: &Project, system: &str, arguments: &[&str]) -> Command {
    let mut command = project.command(arguments);
    command.envs(job(project, system));
    command
}

fn run<'project>(
    project: &'project Project,
    system: &str,
    arguments: &[&str],
) -> Finished<'project> {
    Run::start(project, command(project, system, arguments), "out").finish()
}

/// What differs from run to run is replaced.
fn redacted(project: &Project, run: &str, text: &str) -> String {
    let mut shown = String::new();
    for line in text.lines() {
        // Services get ready in any order, and a busy machine has warnings and waits of its own.
        let is_timed =
            line.len() > 11 && line.as_bytes().get(8) == Some(&b's') && line.starts_with(' ');
        let line = match is_timed {
            // One that took longer than a second.
            true if line.contains("  start `") => continue,
            true if line.contains("waiting for") || line.contains("removed what dead run") => {
                continue;
            }
            true => format!("TIME  {}", &line[11..]),
            false => line.to_owned(),
        };
        shown.push_str(&line);
        shown.push('\n');
    }
    let root = project.directory().display().to_string();
    let shown = shown
        .replace(run, "RUN")
        .replace(&project.name, "PROJECT")
        .replace(&root, "ROOT");
    let shown = shown.replace('\u{1b}', "<ESC>").replace('\r', "<CR>");
    let mut filtered = regexes(&shown);
    filtered.truncate(filtered.trim_end().len());
    filtered
}

/// Times, tokens and numbers of resources.
fn regexes(text: &str) -> String {
    let patterns = [
        (r"envrun-[0-9a-f]{32}", "TOKEN"),
        (
            r"section_(start|end):[0-9]+:envrun-[0-9a-f]{8}",
            "section_$1:SECONDS:NAME",
        ),
        (r" +[0-9]+\.[0-9]{2}s\b", " TIME"),
        (r"duration='[0-9]+'", "duration='TIME'"),
        (r"[0-9]+ removed", "N removed"),
        (r"engine: .*", "engine: ENGINE"),
        (r"envrun [0-9]+\.[0-9]+\.[0-9]+", "envrun VERSION"),
        (r"[0-9]+ attempts?", "N attempts"),
    ];
    let mut text = text.to_owned();
    for (pattern, replacement) in patterns {
        let regex = regex_lite::Regex::new(pattern).unwrap();
        text = regex.replace_all(&text, replacement).into_owned();
    }
    text
}

/// The whole output of a run; of systems without words of their own on both streams, else on one.
fn shown(project: &Project, finished: &Finished<'_>) -> String {
    let run = finished.id();
    format!(
        "exit code {}\n--- standard output\n{}\n--- standard error\n{}",
        finished.code,
        redacted(project, run, &finished.stdout),
        redacted(project, run, &finished.stderr)
    )
}

#[test]
fn a_failed_run_in_every_system() {
    for system in SYSTEMS {
        let project = failing();
        let finished = run(&project, system, &[]);
        insta::assert_snapshot!(format!("failed_{system}"), shown(&project, &finished));
    }
}

#[test]
fn a_passed_run_in_every_system() {
    for system in SYSTEMS {
        let project = passing();
        let finished = run(&project, system, &[]);
        insta::assert_snapshot!(format!("passed_{system}"), shown(&project, &finished));
    }
}

/// The last value of an output, read as the runner does.
fn outputs(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut lines = text.lines().filter(|line| !line.is_empty());
    while let Some(line) = lines.next() {
        let (name, delimiter) = line.split_once("<<").unwrap();
        let value: Vec<&str> = lines
            .by_ref()
            .take_while(|line| *line != delimiter)
            .collect();
        found.insert(name.to_owned(), value.join("\n"));
    }
    found
}

#[test]
fn github_gets_a_summary_below_what_is_there_and_outputs_that_hold() {
    let project = failing();
    project.file("summary.md", "# of an earlier command\n");
    project.file("outputs", "mine=1\n");
    let finished = run(&project, "github", &[]);
    assert_eq!(finished.code, 1);
    let summary = fs::read_to_string(project.path("summary.md")).unwrap();
    let (before, ours) = summary.split_at("# of an earlier command\n".len());
    assert_eq!(before, "# of an earlier command\n");
    assert!(ours.starts_with("## ❌ "), "{ours}");
    assert!(
        ours.contains("| unit | ❌ failed | 2 | 1 | 0 | 0 | "),
        "{ours}"
    );
    assert!(
        ours.contains("AssertionError: ##vso[task.complete]"),
        "{ours}"
    );
    let text = fs::read_to_string(project.path("outputs")).unwrap();
    let outputs = outputs(text.strip_prefix("mine=1\n").unwrap());
    let get = |name: &str| outputs[name].as_str();
    assert_eq!((get("result"), get("exit-code")), ("failed", "1"));
    assert_eq!(
        (get("tests"), get("failures"), get("flaky")),
        ("2", "1", "0")
    );
    assert_eq!(get("run-id"), finished.id());
    assert_eq!((get("out"), get("junit")), ("out", "out/junit.xml"));
    // Another job reads it on another machine.
    let dotenv = fs::read_to_string(project.path("out/envrun.env")).unwrap();
    assert!(dotenv.contains("ENVRUN_RESULT=failed\n"), "{dotenv}");
    assert!(dotenv.contains("ENVRUN_JUNIT=out/junit.xml\n"), "{dotenv}");
}

#[test]
fn a_full_summary_is_left_as_it_is() {
    let project = failing();
    let full = "x".repeat(1 << 20);
    project.file("summary.md", &full);
    let finished = run(&project, "github", &[]);
    assert_eq!(finished.code, 1);
    assert_eq!(
        fs::read_to_string(project.path("summary.md")).unwrap(),
        full
    );
}

#[test]
fn files_that_cannot_be_written_are_told_and_change_no_verdict() {
    for (project, code) in [(passing(), 6), (failing(), 1)] {
        fs::create_dir(project.path("summary.md")).unwrap();
        let finished = run(&project, "github", &[]);
        assert_eq!(finished.code, code, "{}", finished.stderr);
        let said = &finished.stderr;
        assert!(said.contains("summary.md"), "{said}");
    }
}

#[test]
fn a_summary_is_written_wherever_it_is_asked_for() {
    let project = failing();
    let finished = project.run_with(&["--summary", "notes/summary.md"]);
    assert_eq!(finished.code, 1);
    let summary = fs::read_to_string(project.path("notes/summary.md")).unwrap();
    assert!(summary.starts_with("## ❌ "), "{summary}");
    // Outside of CI nobody gets values for later steps.
    assert!(!project.path("out/envrun.env").exists());
}

#[test]
fn none_is_the_plain_run_and_another_system_can_be_asked_for() {
    let project = passing();
    let mut none = command(&project, "github", &["--ci", "none"]);
    none.env("ENVRUN_CI", "gitlab");
    let finished = Run::start(&project, none, "out").finish();
    assert_eq!(finished.code, 0);
    assert!(
        !finished.stdout.contains("::group::"),
        "{}",
        finished.stdout
    );
    assert!(
        finished.stderr.contains("unit: suite passed"),
        "{}",
        finished.stderr
    );
    assert!(!project.path("outputs").exists() && !project.path("summary.md").exists());
    let mut asked = project.command(&[]);
    asked.env("ENVRUN_CI", "gitlab");
    let finished = Run::start(&project, asked, "out").finish();
    assert!(
        finished.stdout.contains("section_start:"),
        "{}",
        finished.stdout
    );
    let output = project.command(&["--ci", "hudson"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let output = project
        .command(&[])
        .env("ENVRUN_CI", "hudson")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("names no CI system"),
        "{output:?}"
    );
}

#[test]
fn a_cancelled_run_ends_what_it_has_begun() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let project = Project::new(&format!("services:\n  held:\n    {}\n", held_suite()));
        let mut run = Run::start(&project, command(&project, "github", &[]), "out");
        run.until_suite_started("held");
        run.signal(signal);
        let finished = run.finish();
        assert_eq!(finished.code, code);
        let log = &finished.stdout;
        let count = |word: &str| log.lines().filter(|line| line.starts_with(word)).count();
        assert!(count("::group::") >= 2, "{log}");
        assert_eq!(count("::group::"), count("::endgroup::"), "{log}");
        let outputs = outputs(&fs::read_to_string(project.path("outputs")).unwrap());
        assert_eq!(outputs["result"], "cancelled");
        assert_eq!(outputs["exit-code"], code.to_string());
    }
}

/// At the end of a job the systems kill what carries their variables; the watchdog has to outlive that.
#[test]
fn the_watchdog_carries_no_variable_of_any_system() {
    let project = Project::new(&format!("services:\n  held:\n    {}\n", held_suite()));
    let mut command = project.command(&[]);
    for system in SYSTEMS {
        command.envs(job(&project, system));
    }
    let tracking = [
        "RUNNER_TRACKING_ID",
        "JENKINS_NODE_COOKIE",
        "JENKINS_SERVER_COOKIE",
        "HUDSON_COOKIE",
        "BUILD_ID",
        "BUILD_TAG",
        "VSTS_PROCESS_LOOKUP_ID",
        "TEAMCITY_PROCESS_FLOW_ID",
        "BUILDKITE_AGENT_ACCESS_TOKEN",
        "CI_JOB_TOKEN",
        "GITHUB_TOKEN",
    ];
    command.envs(tracking.map(|name| (name, "tracked")));
    let mut run = Run::start(&project, command, "out");
    run.until_suite_started("held");
    let watchdog = run.watchdog();
    let environment = fs::read(format!("/proc/{}/environ", watchdog.as_raw_nonzero())).unwrap();
    let environment = String::from_utf8_lossy(&environment).into_owned();
    let mut names: Vec<&str> = environment
        .split('\0')
        .filter_map(|pair| Some(pair.split_once('=')?.0))
        .collect();
    names.sort_unstable();
    let kept = ["DOCKER_", "HOME", "PATH", "TMPDIR", "XDG_RUNTIME_DIR"];
    let foreign: Vec<&&str> = names
        .iter()
        .filter(|name| !kept.iter().any(|kept| name.starts_with(kept)))
        .collect();
    assert!(foreign.is_empty(), "{foreign:?}");
    assert!(!environment.contains("tracked"), "{names:?}");
    // A session of its own: what is sent to the job's process group does not reach it.
    let session = rustix::process::getsid(Some(watchdog)).unwrap();
    assert_eq!(session, watchdog);
    project.open_gate();
    let finished = run.finish();
    assert_eq!(finished.code, 0);
}

#[test]
fn what_is_wrong_with_a_file_is_shown_beside_its_line() {
    let project = passing();
    project.file("compose.yaml", "services:\n  web:\n    image: 5: x\n");
    let said = |system: &str, arguments: &[&str]| {
        let output = command(&project, system, arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let github = said("github", &[]);
    let text = fs::read_to_string(project.path("outputs")).unwrap();
    let outputs = outputs(&text);
    assert_eq!(
        (outputs["result"].as_str(), outputs["exit-code"].as_str()),
        ("error", "2")
    );
    assert!(
        github.starts_with("::error file=compose.yaml,line=3,title=envrun%3A configuration::"),
        "{github}"
    );
    let azure = said("azure", &[]);
    assert!(
        azure.starts_with("##vso[task.logissue type=error;sourcepath=compose.yaml;linenumber=3;]"),
        "{azure}"
    );
    assert!(said("teamcity", &[]).starts_with("##teamcity[buildProblem "));
    assert_eq!(said("gitlab", &[]), "");
    assert_eq!(said("github", &["--ci", "none"]), "");
    // What was asked for has no line.
    let project = passing();
    let output = command(&project, "github", &["--only", "nobody"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        said.starts_with("::error title=envrun%3A configuration::"),
        "{said}"
    );
}

/// A directory with a program `buildkite-agent`.
fn agent(project: &Project, script: &str) -> String {
    use std::os::unix::fs::PermissionsExt as _;
    project.file("bin/buildkite-agent", format!("#!/bin/bash\n{script}\n"));
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(project.path("bin/buildkite-agent"), mode).unwrap();
    let path = std::env::var("PATH").unwrap();
    format!("{}:{path}", project.path("bin").display())
}

#[test]
fn buildkite_gets_the_summary_as_an_annotation_of_a_failed_run() {
    let project = failing();
    let told = project.path("told").display().to_string();
    let path = agent(&project, &format!("{{ echo \"$@\"; cat; }} > {told}"));
    let mut failed = command(&project, "buildkite", &[]);
    failed.env("PATH", &path);
    let finished = Run::start(&project, failed, "out").finish();
    assert_eq!(finished.code, 1);
    let annotation = fs::read_to_string(&told).unwrap();
    let expected = format!(
        "annotate --style error --context envrun-{}\n## ❌ ",
        finished.id()
    );
    assert!(annotation.starts_with(&expected), "{annotation}");
    // One that hangs, or fails, is told and changes nothing.
    for (script, said) in [
        ("exec sleep 60", "took longer than 5s"),
        ("exit 3", "has failed"),
    ] {
        let path = agent(&project, script);
        let mut failed = command(&project, "buildkite", &[]);
        failed.env("PATH", path);
        let finished = Run::start(&project, failed, "out").finish();
        assert_eq!(finished.code, 1);
        assert!(finished.stdout.contains(said), "{}", finished.stdout);
    }
}

#[test]
fn a_summary_of_strangers_code_is_written_through_no_link_of_theirs() {
    let elsewhere = tempfile::tempdir().unwrap();
    let project = passing();
    std::os::unix::fs::symlink(elsewhere.path(), project.path("notes")).unwrap();
    let arguments = ["--untrusted", "--summary", "notes/summary.md"];
    let output = project.command(&arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
    let arguments = ["--untrusted", "--summary", "summary.md"];
    let finished = Run::start(&project, project.command(&arguments), "out").finish();
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    assert!(project.path("summary.md").is_file());
}

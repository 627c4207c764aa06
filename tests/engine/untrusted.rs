//! Strangers' code: what is refused starts nothing, what runs is held by limits, and nothing of this
//! host comes in or is written.

use std::os::unix::fs::symlink;
use std::process::Command;

use crate::harness::project::{UNTIL_OPEN, held_suite};
use crate::harness::{Project, Run, image};

/// What the engine says of the container of a service, by one of its formats.
fn inspect(run: &str, service: &str, format: &str) -> String {
    let short: String = run
        .chars()
        .filter(char::is_ascii_hexdigit)
        .take(12)
        .collect();
    let name = format!("envrun-{short}-{service}");
    let output = Command::new("docker")
        .args(["inspect", "--type", "container", "--format", format, &name])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {said}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

const LIMITS: &str = "{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}} {{.HostConfig.NanoCpus}} \
                      {{.HostConfig.CpuQuota}} {{.HostConfig.PidsLimit}} {{.HostConfig.SecurityOpt}}";

/// The processors that a limit of two comes to on this engine.
fn two(project: &Project) -> String {
    let output = Command::new("docker")
        .args(["info", "--format", "{{.NCPU}}"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", project.name);
    let count: u64 = String::from_utf8_lossy(&output.stdout)
        .trim()
        .parse()
        .unwrap();
    (count.min(2) * 1_000_000_000).to_string()
}

#[test]
fn every_container_has_the_limits() {
    let project = Project::new(&format!(
        "
services:
  plain:
    image: {base}
    command: [sleep, infinity]
    ports: ['80']
    x-envrun: {{ ready: {{ tcp: 9, deadline: 60s }} }}
    depends_on: {{ more: {{ condition: service_started }} }}
    pre_start: [{{ command: [bash, -c, \"{UNTIL_OPEN}\"] }}]
    volumes: ['./gate:/gate:ro']
  more:
    image: {base}
    command: [sleep, infinity]
    mem_limit: 64g
    memswap_limit: -1
    cpus: 64
    pids_limit: -1
  less:
    image: {base}
    command: [sleep, infinity]
    mem_limit: 64m
    pids_limit: 20
    cpu_quota: 50000
  checks:
    {held}
    depends_on: {{ more: {{ condition: service_started }}, less: {{ condition: service_started }} }}
",
        base = image::BASE,
        held = held_suite(),
    ));
    let mut run = Run::start(&project, project.command(&["--untrusted"]), "out");
    run.until_suite_started("checks");
    run.event("the job before a start", |event| {
        event.is("service_started", "plain-pre_start-1")
    });
    let (id, two) = (run.id(), two(&project));
    let all = format!("2147483648 2147483648 {two} 0 512 [no-new-privileges:true]");
    for service in ["more", "checks", "plain", "plain-pre_start-1"] {
        assert_eq!(inspect(&id, service, LIMITS), all, "{service}");
    }
    assert_eq!(
        inspect(&id, "less", LIMITS),
        "67108864 67108864 0 50000 20 [no-new-privileges:true]"
    );
    let ports = inspect(&id, "plain", "{{json .HostConfig.PortBindings}}");
    assert!(ports.contains("\"HostIp\":\"127.0.0.1\""), "{ports}");
    run.signal(rustix::process::Signal::TERM);
    let finished = run.finish();
    finished.assert_code(143);
    for key in ["mem_limit", "memswap_limit", "cpus", "pids_limit"] {
        let warning = format!("`{key}` of service `more` is lowered");
        assert!(
            finished.stderr.contains(&warning) || finished.stdout.contains(&warning),
            "{}",
            finished.stderr
        );
    }
}

#[test]
fn the_limits_are_those_of_the_flags_and_hold_in_the_container() {
    let project = Project::new(&format!(
        "
services:
  checks:
    image: {base}
    command:
      - bash
      - -c
      - |
        cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/pids/pids.max 2>/dev/null ||
          cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max
        grep NoNewPrivs /proc/self/status
    x-envrun: {{ suite: {{}} }}
",
        base = image::BASE
    ));
    let flags = [
        "--untrusted",
        "--limit-memory",
        "64m",
        "--limit-cpus",
        "0.5",
        "--limit-pids",
        "30",
    ];
    let finished = project.run_with(&flags);
    finished.assert_code(0);
    let log = String::from_utf8_lossy(&finished.log("checks")).into_owned();
    assert_eq!(log, "67108864\n30\nNoNewPrivs:\t1\n");
}

#[test]
fn what_is_refused_starts_nothing() {
    let project = Project::new(&format!(
        "
services:
  server: {{ image: {base}, command: [sleep, infinity] }}
  checks:
    image: {base}
    privileged: true
    volumes: ['/:/host', '/var/run/docker.sock:/s']
    network_mode: host
    depends_on: [server]
    x-envrun: {{ suite: {{}} }}
",
        base = image::BASE
    ));
    for way in [
        vec!["run", "--untrusted", "--out", "out"],
        vec!["run", "--out", "out"],
        vec!["plan"],
        vec!["config"],
    ] {
        let mut command = project.envrun(&way);
        if !way.contains(&"--untrusted") {
            command.env("ENVRUN_UNTRUSTED", "1");
        }
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{way:?}: {said}");
        for key in [
            "privileged",
            "volumes[0].source",
            "volumes[1].source",
            "network_mode",
        ] {
            assert!(
                said.contains(&format!("`services.checks.{key}`")),
                "{way:?} {key}: {said}"
            );
        }
        assert!(said.contains("compose.yaml:"), "{said}");
        assert!(output.stdout.is_empty(), "{way:?}");
        let there = project.engine.labelled("dev.envrun.project", &project.name);
        assert_eq!(there, [], "{way:?}");
    }
    // A file in the project may say what it is, too, and nothing takes it back.
    project.file("envrun.toml", "untrusted = true");
    let output = project
        .envrun(&["plan"])
        .env("ENVRUN_UNTRUSTED", "0")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    project.file("envrun.toml", "untrusted = false");
    let output = project.envrun(&["plan", "--untrusted"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    // Trusted, it is a plan.
    let output = project.envrun(&["plan"]).output().unwrap();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn a_link_that_stands_for_the_reports_is_not_written_through() {
    let project = Project::new(&format!(
        "
services:
  checks: {{ image: {base}, command: [echo, 'ssh-ed25519 key'], x-envrun: {{ suite: {{}} }} }}
",
        base = image::BASE
    ));
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::write(elsewhere.path().join(".lock"), "").unwrap();
    std::fs::write(elsewhere.path().join("junit.xml"), "of another run").unwrap();
    symlink(elsewhere.path(), project.path("envrun-out")).unwrap();
    let output = project.envrun(&["run", "--untrusted"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("cannot write to `envrun-out`"), "{said}");
    // Neither when the file itself is refused.
    project.file(
        "compose.yaml",
        "services: { checks: { image: i, privileged: true } }",
    );
    let output = project.envrun(&["run", "--untrusted"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let there = std::fs::read_to_string(elsewhere.path().join("junit.xml")).unwrap();
    assert_eq!(there, "of another run");
    assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 2);
}

#[test]
fn nothing_of_the_environment_comes_in_and_nothing_is_written_to_the_project() {
    let project = Project::new(&format!(
        "
services:
  checks:
    image: {base}
    environment: [CI_TOKEN, PASSED, OF_FILE, HOME]
    command:
      - bash
      - -c
      - |
        echo \"token=$$CI_TOKEN passed=$$PASSED file=$$OF_FILE interpolated=${{CI_TOKEN:-none}}\"
        cat /work/input
        echo stranger > /work/input
        echo stranger > /work/new
        cat /work/input
    volumes: ['./work:/work']
    x-envrun: {{ suite: {{}} }}
",
        base = image::BASE
    ))
    .having("work/input", "mine\n")
    .having(".env", "OF_FILE=read\n");
    let mut command = project.command(&["--untrusted", "--pass-env", "PASSED"]);
    command
        .env("CI_TOKEN", "hunter2-hunter2")
        .env("PASSED", "given");
    let finished = Run::start(&project, command, "out").finish();
    finished.assert_code(0);
    let log = String::from_utf8_lossy(&finished.log("checks")).into_owned();
    assert_eq!(
        log,
        "token= passed=given file=read interpolated=none\nmine\nstranger\n"
    );
    let input = std::fs::read_to_string(project.path("work/input")).unwrap();
    assert_eq!(input, "mine\n");
    assert!(!project.path("work/new").exists());
}

#[test]
fn the_scenario_runs_as_strangers_code() {
    let project = Project::with_postgres("");
    let scenario = image::pipeline();
    let arguments = [
        "run",
        scenario.to_str().unwrap(),
        "--out",
        "out",
        "--untrusted",
    ];
    let postgres = image::postgres();
    let mut command = project.envrun(&arguments);
    command
        .args(["--pass-env", "POSTGRES_IMAGE"])
        .env("POSTGRES_IMAGE", postgres);
    let finished = Run::start(&project, command, "out").finish();
    finished.assert_code(0);
    for suite in ["e2e", "integration", "unit"] {
        assert!(
            finished
                .junit()
                .of(suite)
                .iter()
                .all(|case| case.result == "passed")
        );
    }
    // BuildKit takes no limits, and that is said.
    assert!(
        finished.stderr.contains("has no limits of memory"),
        "{}",
        finished.stderr
    );
}

#[test]
fn flags_for_strangers_code_are_judged() {
    let project = Project::new("services: {}");
    let code = |arguments: &[&str]| {
        let output = project.envrun(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), said)
    };
    for (flag, value) in [
        ("--limit-memory", "0"),
        ("--limit-memory", "-1"),
        ("--limit-memory", "lots"),
        ("--limit-cpus", "0"),
        ("--limit-cpus", "nan"),
        ("--limit-pids", "0"),
        ("--limit-pids", "-1"),
        ("--pass-env", "A=b"),
    ] {
        let (code, said) = code(&["run", "--untrusted", flag, value]);
        assert_eq!(code, Some(2), "{flag} {value}: {said}");
        assert!(
            said.contains(flag) && said.contains("write") || said.contains("takes"),
            "{said}"
        );
    }
    let (alone, said) = code(&["plan", "--limit-memory", "1g"]);
    assert_eq!(alone, Some(2));
    assert!(
        said.contains("holds only with `--untrusted`") && said.contains("hint:"),
        "{said}"
    );
    let output = project
        .envrun(&["plan"])
        .env("ENVRUN_UNTRUSTED", "maybe")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("neither yes nor no"));
}

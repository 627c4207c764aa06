//! What containers print: complete, with its times, shown as it comes, in bounded memory, and without
//! secrets wherever it goes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use envrun::engine::OutputStream;
use envrun::lines::{self, LogLine};

use crate::harness::{Project, Run, image, wait};

const TOKEN: &str = "tok-4711&\"quoted\"/x";
const PASSWORD: &str = "pass word of the database";
const NAMED: &str = "named-by-the-flag";

/// A suite that prints the secrets in every way that comes to mind, some of them torn, and fails.
const TELLTALE: &str = r#"
exec 2>/tmp/err
password=$(cat /run/secrets/password)
echo "plain $TOKEN $password $NAMED"
printf '%s' "torn: ${TOKEN:0:7}"; sleep 0.3; echo "${TOKEN:7}"
{ printf '%s' "torn: ${password:0:9}"; sleep 0.3; echo "${password:9}"; } >&1
echo "base64 $(printf '%s' "user:$TOKEN" | base64 -w0) $(printf '%s' "x$password" | base64 -w0)"
echo "json {\"token\":\"tok-4711&\\\"quoted\\\"/x\"}"
echo "url https://user:tok-4711%26%22quoted%22%2Fx@host"
mkdir -p /work/reports
cat >/work/reports/a.xml <<END
<testsuite name="s" tests="1"><testcase classname="c" name="with $NAMED in it">
<failure message="expected tok-4711&amp;&quot;quoted&quot;/x">got $password
<![CDATA[$TOKEN]]></failure><system-out>$NAMED</system-out></testcase></testsuite>
END
printf '%s' "the last line $password"
exit 1
"#;

fn telltale() -> Project {
    Project::new(&format!(
        "
services:
  server:
    image: {base}
    environment: [TOKEN]
    command: [bash, -c, 'echo \"accepting with $$TOKEN\" >&2; sleep infinity']
    x-envrun: {{ ready: {{ log: 'accepting with t[o]k-4711&' }} }}
  checks:
    image: {base}
    working_dir: /work
    environment: {{ TOKEN: , NAMED: 'x${{NAMED}}' }}
    secrets: [password]
    volumes: [./suite.sh:/suite.sh:ro]
    command: [bash, /suite.sh]
    depends_on: [server]
    x-envrun: {{ suite: {{ junit: 'reports/*.xml' }} }}
secrets:
  password: {{ file: ./password.txt }}
",
        base = image::BASE
    ))
    .having("suite.sh", TELLTALE)
    .having("password.txt", &format!("{PASSWORD}\n"))
}

fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files(&path, found),
            false => found.push(path),
        }
    }
}

/// What would give a secret away: itself, and parts that encoders leave as they are.
const TRACES: [&str; 6] = [
    "tok-4711",
    "quoted",
    "pass word",
    "of the database",
    NAMED,
    // The middle of the token in base64, behind `user:`.
    "dG9rLTQ3MTE",
];

#[test]
fn no_secret_gets_into_any_file_onto_the_terminal_or_into_arguments() {
    let project = telltale();
    let mut command = project.command(&["--live=all", "--mask", "NAMED"]);
    command.env("TOKEN", TOKEN).env("NAMED", NAMED);
    let mut run = Run::start(&project, command, "out");
    run.until_suite_started("checks");
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        // Processes come and go. Those in the containers are the file's own.
        let arguments = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let arguments = String::from_utf8_lossy(&arguments).replace('\0', " ");
        if arguments.contains("envrun") {
            for trace in TRACES {
                assert!(!arguments.contains(trace), "{arguments}");
            }
        }
    }
    let finished = run.finish();
    finished.assert_code(1);
    let mut found = Vec::new();
    files(&project.path("out"), &mut found);
    let mut texts: Vec<(String, String)> = found
        .iter()
        .map(|path| {
            let text = String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
            (path.display().to_string(), text)
        })
        .collect();
    texts.push(("standard output".to_owned(), finished.stdout.clone()));
    texts.push(("standard error".to_owned(), finished.stderr.clone()));
    for (name, text) in &texts {
        for trace in TRACES {
            assert!(!text.contains(trace), "{trace} in {name}:\n{text}");
            assert!(!name.contains(trace), "{trace} in the name of {name}");
        }
    }
    let names: Vec<&str> = texts.iter().map(|(name, _)| name.as_str()).collect();
    let has = |end: &str| names.iter().any(|name| name.ends_with(end));
    assert!(
        has("junit.xml") && has("events.jsonl") && has("timed/checks.log"),
        "{names:?}"
    );
    let log = String::from_utf8(finished.log("checks")).unwrap();
    assert!(
        log.contains("plain *** *** x***\ntorn: ***\ntorn: ***\n"),
        "{log}"
    );
    assert!(log.contains("url https://user:***@host"), "{log}");
    assert!(log.ends_with("the last line ***"), "{log}");
    assert!(
        finished.stderr.contains("checks | torn: ***\n"),
        "{}",
        finished.stderr
    );
    assert!(
        finished.stderr.contains("server ! accepting with ***\n"),
        "{}",
        finished.stderr
    );
    let junit = fs::read_to_string(project.path("out/junit.xml")).unwrap();
    assert!(
        junit.contains("with x*** in it") && junit.contains("expected ***"),
        "{junit}"
    );
}

#[test]
fn what_is_not_masked_is_told_and_a_value_as_a_flag_is_refused() {
    let project = Project::new(&format!(
        "
services:
  checks:
    image: {base}
    environment: [TOKEN]
    command: [bash, -c, 'echo \"token $$TOKEN\"']
    x-envrun: {{ suite: {{}} }}
",
        base = image::BASE
    ));
    let mut command =
        project.command(&["--no-mask", "TOKEN", "--mask", "SHORT", "--mask", "ABSENT"]);
    command
        .env("TOKEN", TOKEN)
        .env("SHORT", "s3cret")
        .env_remove("ABSENT");
    let finished = Run::start(&project, command, "out").finish();
    finished.assert_code(0);
    assert_eq!(
        finished.log("checks"),
        format!("token {TOKEN}\n").into_bytes()
    );
    for warning in [
        "warning: variable `ABSENT` is to be masked, and is not set",
        "warning: variable `SHORT` is not masked: it is shorter than 8 characters",
    ] {
        assert!(finished.stderr.contains(warning), "{}", finished.stderr);
    }
    let refused = Run::start(
        &project,
        project.command(&["--mask", "a-value!"]),
        "refused",
    )
    .finish();
    refused.assert_code(2);
    assert!(
        refused
            .stderr
            .contains("it is the name of a variable, not a value"),
        "{}",
        refused.stderr
    );
    let file = project.command(&["--mask-file", "nowhere.txt"]);
    let file = Run::start(&project, file, "file").finish();
    file.assert_code(2);
    assert!(
        file.stderr
            .contains("cannot read `nowhere.txt` of `--mask-file`"),
        "{}",
        file.stderr
    );
    let live = Run::start(&project, project.command(&["--live=check"]), "live").finish();
    live.assert_code(2);
    assert!(
        live.stderr.contains("did you mean `checks`?"),
        "{}",
        live.stderr
    );
}

fn timed(project: &Project, service: &str) -> Vec<LogLine> {
    let log = fs::File::open(project.path(&format!("out/logs/timed/{service}.log"))).unwrap();
    lines::read(std::io::BufReader::new(log))
        .map(Result::unwrap)
        .collect()
}

#[test]
fn lines_have_their_times_and_streams_and_the_last_one_is_there() {
    let project = Project::new(&format!(
        "
services:
  server:
    image: {base}
    command: [bash, -c, 'printf \"no end\"; sleep infinity']
  checks:
    image: {base}
    command: [bash, -c, 'echo one; sleep 0.5; echo two >&2; sleep 0.5; printf three']
    depends_on: [server]
    x-envrun: {{ suite: {{}} }}
",
        base = image::BASE
    ));
    let finished = project.run_with(&["--live"]);
    finished.assert_code(0);
    let lines = timed(&project, "checks");
    let shape: Vec<(OutputStream, String)> = lines
        .iter()
        .map(|line| (line.stream, line.text().into_owned()))
        .collect();
    let expected = [
        (OutputStream::Stdout, "one"),
        (OutputStream::Stderr, "two"),
        (OutputStream::Stdout, "three"),
    ];
    assert_eq!(
        shape,
        expected.map(|(stream, text)| (stream, text.to_owned()))
    );
    for pair in lines.windows(2) {
        let pause = pair[1].at.duration_since(pair[0].at).unwrap();
        assert!(
            pause > Duration::from_millis(300) && pause < Duration::from_secs(5),
            "{pause:?}"
        );
    }
    // On the clock of the events.
    let (_, started) = finished.event("the start", |event| event.is("suite_started", "checks"));
    let first = lines[0].at.duration_since(std::time::UNIX_EPOCH).unwrap();
    let begun = time::OffsetDateTime::parse(
        started.text("at"),
        &time::format_description::well_known::Rfc3339,
    )
    .unwrap();
    let apart = first.as_millis() as i128 - begun.unix_timestamp_nanos() / 1_000_000;
    assert!((-1000..2000).contains(&apart), "{apart} ms apart");
    // A service that was killed had a last line too.
    assert_eq!(timed(&project, "server")[0].text(), "no end");
    let shown: BTreeSet<&str> = finished
        .stderr
        .lines()
        .filter(|line| line.starts_with("checks "))
        .collect();
    assert_eq!(
        shown,
        BTreeSet::from(["checks | one", "checks ! two", "checks | three"])
    );
    assert!(!finished.stderr.contains("server |"), "{}", finished.stderr);
}

/// Highest resident memory of a process so far, in KiB.
fn highest_memory(process: rustix::process::Pid) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", process.as_raw_nonzero())).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// Runs a suite that writes so many bytes; its highest memory in KiB, and how long the suite took.
fn writing(bytes: u64, arguments: &[&str]) -> (u64, Duration, Vec<u8>) {
    let project = Project::new(&format!(
        "
services:
  checks:
    image: {base}
    environment: [TOKEN]
    command: [bash, -c, 'yes \"a line of output that is as long as lines are in the logs of most test suites, about a hundred\" | head -c {bytes}; printf \"the end\"']
    x-envrun: {{ suite: {{}} }}
",
        base = image::BASE
    ));
    let mut command = project.command(arguments);
    command.env("TOKEN", TOKEN);
    let mut run = Run::start(&project, command, "out");
    let mut highest = 0;
    let process = run.process();
    wait::until("the end of the run", Duration::from_secs(110), || {
        let memory = highest_memory(process);
        highest = highest.max(memory.unwrap_or_default());
        memory.is_none().then_some(())
    });
    run.wait(Duration::from_secs(10));
    let finished = run.finish();
    finished.assert_code(0);
    let (_, event) = finished.event("its end", |event| event.is("suite_finished", "checks"));
    let took = Duration::from_millis(event.number("duration_ms"));
    (highest, took, finished.log("checks"))
}

#[test]
fn a_hundred_megabytes_of_output_take_neither_memory_nor_for_ever() {
    const MUCH: u64 = 100 << 20;
    let (base, ..) = writing(100, &[]);
    let (highest, took, log) = writing(MUCH, &[]);
    assert!(took < Duration::from_secs(60), "{took:?}");
    assert_eq!(log.len() as u64, MUCH + 7);
    assert!(log.ends_with(b"the end"));
    assert!(
        highest < base + (64 << 10),
        "{highest} KiB, {base} KiB without output"
    );
    let (highest, _, log) = writing(MUCH, &["--log-limit", "10m"]);
    assert!(highest < base + (64 << 10), "{highest} KiB");
    assert!(log.len() < (10 << 20) + 200, "{}", log.len());
    assert!(log.ends_with(b"the end"));
    let text = String::from_utf8_lossy(&log);
    assert!(text.contains("bytes are left out here, see --log-limit]"));
}

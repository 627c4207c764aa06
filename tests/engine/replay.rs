//! `run.json`, `envrun repro` and `envrun lock`: a run that failed elsewhere fails here again, or it is
//! said why not.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::harness::registry::{Access, Registry, docker};
use super::harness::run::watchdog_of;
use super::harness::{Finished, Project, Run, image, validate, wait};

/// A suite that reports what `app/check.sh` finds, under the variables of a CI job.
fn shop() -> Project {
    let project = Project::new(&format!(
        "services:
  db:
    image: {base}
    command: [sleep, infinity]
  checks:
    image: {base}
    working_dir: /app
    volumes: ['./app:/app']
    environment: [SHOP_TOKEN]
    command: [bash, check.sh]
    depends_on: [db]
    x-envrun:
      suite: {{ junit: 'report*.xml', test_command: [bash, check.sh, '{{classname}}::{{name}}'] }}
  others:
    image: {base}
    command: ['true']
    x-envrun: {{ suite: {{}} }}
",
        base = image::BASE
    ));
    project.file(
        "app/check.sh",
        r#"one() {
  if [ "$2" = "$(cat expected)" ]; then echo "<testcase classname='shop' name='$1' file='app/check.sh'/>"
  else echo "<testcase classname='shop' name='$1' file='app/check.sh'><failure message='$2 with $SHOP_TOKEN'/></testcase>"; fi
}
rm -f report*.xml
{ echo "<testsuite name='shop'>"
  case ${1-all} in *price|all) one price 4;; esac
  case ${1-all} in *total|all) one total 5;; esac
  case ${1-all} in *name|all) one name 3;; esac
  echo "</testsuite>"; } >report.xml
echo "asked for ${1-all}"
! grep -q failure report.xml
"#,
    );
    project.file("app/expected", "3\n");
    git(
        project.directory(),
        &["init", "--quiet", "--initial-branch=main"],
    );
    git(project.directory(), &["add", "app", "compose.yaml"]);
    git(
        project.directory(),
        &["commit", "--quiet", "--message=shop"],
    );
    project
}

fn git(directory: &Path, arguments: &[&str]) {
    let status = Command::new("git")
        .args(["-c", "user.name=test", "-c", "user.email=test@localhost"])
        .arg("-C")
        .arg(directory)
        .args(arguments)
        .status()
        .expect("these tests need git");
    assert!(status.success(), "git {arguments:?}");
}

/// Clones the project as a CI job does, and runs it there. The output is in `ci/out`.
fn in_ci<'project>(project: &'project Project, arguments: &[&str]) -> Finished<'project> {
    git(project.directory(), &["clone", "--quiet", ".", "ci"]);
    let mut command = project.envrun(&["run", "ci", "--out", "ci/out"]);
    command
        .args(arguments)
        .env("SHOP_TOKEN", "very-secret-token")
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_RUN_ID", "7")
        .env("GITHUB_SHA", "0123456789abcdef0123456789abcdef01234567")
        // The terminal is not what this is about.
        .env("ENVRUN_CI", "none");
    Run::start(project, command, "ci/out").finish()
}

/// Puts a directory into an archive, as CI systems hand out artifacts.
fn zip(directory: &Path, to: &Path) {
    let mut archive = ZipWriter::new(File::create(to).unwrap());
    let mut folders = vec![directory.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(directory).unwrap().to_str().unwrap();
            archive
                .start_file(name, SimpleFileOptions::default())
                .unwrap();
            archive.write_all(&fs::read(&path).unwrap()).unwrap();
        }
    }
    archive.finish().unwrap();
}

/// `envrun repro` in a folder of the project, with its output in `envrun-repro` there.
fn repro<'project>(
    project: &'project Project,
    folder: &str,
    arguments: &[&str],
) -> Finished<'project> {
    let mut command = project.envrun(&["repro"]);
    fs::create_dir_all(project.path(folder)).unwrap();
    command
        .args(arguments)
        .current_dir(project.path(folder))
        .env("SHOP_TOKEN", "another-token");
    Run::start(project, command, &format!("{folder}/envrun-repro")).finish()
}

/// `run.json` of an output directory, held against its schema.
fn bundle(out: &Path) -> Value {
    let text = fs::read_to_string(out.join("run.json")).expect("there is no run.json");
    let bundle: Value = serde_json::from_str(&text).unwrap();
    let schema = include_str!("../../docs/schemas/run.schema.json");
    let schema: Value = serde_json::from_str(schema).unwrap();
    assert_eq!(validate::problems(&schema, &bundle), [""; 0], "{bundle:#}");
    bundle
}

#[test]
fn what_failed_in_ci_fails_again_from_its_artifact_in_a_clone() {
    let project = shop();
    let run = in_ci(&project, &[]);
    run.assert_code(1);
    let written = bundle(&run.out);
    assert_eq!(written["state"], "complete");
    assert_eq!(written["run"], run.id());
    assert_eq!(written["ci"]["provider"], "github");
    assert_eq!(written["git"]["dirty"], false);
    assert_eq!(written["results"]["exit_code"], 1);
    assert_eq!(written["secrets"], serde_json::json!(["SHOP_TOKEN"]));
    let checks = &written["project"]["model"]["services"]["checks"];
    assert_eq!(checks["volumes"][0]["source"], "./app");
    assert_eq!(checks["environment"]["SHOP_TOKEN"], "${SHOP_TOKEN}");
    let text = fs::read_to_string(run.out.join("run.json")).unwrap();
    assert!(!text.contains("very-secret-token"), "{text}");
    assert!(
        !text.contains(project.directory().to_str().unwrap()),
        "{text}"
    );

    fs::create_dir(project.path("downloads")).unwrap();
    zip(&run.out, &project.path("downloads/artifact.zip"));
    git(project.directory(), &["clone", "--quiet", ".", "laptop"]);
    let again = repro(&project, "laptop", &["../downloads/artifact.zip"]);
    again.assert_code(1);
    let said = &again.stdout;
    assert!(said.contains("reproduced: the same 2 failures"), "{said}");
    assert!(
        said.contains("- shop::price of checks") && said.contains("- shop::total of checks"),
        "{said}"
    );
    assert!(said.contains("nothing differs that is known"), "{said}");
    // Nothing else of the run is done.
    assert!(
        !again
            .events
            .iter()
            .any(|event| event.is("suite_started", "others"))
    );
    assert_eq!(bundle(&again.out)["command"]["name"], "repro");

    // One test alone, by the command that the suite has for it.
    let again = repro(
        &project,
        "laptop",
        &["../downloads/artifact.zip", "--test", "price"],
    );
    again.assert_code(1);
    assert!(again.stdout.contains("- shop::price"), "{}", again.stdout);
    assert!(!again.stdout.contains("total"), "{}", again.stdout);
    assert_eq!(again.log("checks"), b"asked for shop::price\n");

    // What was changed is told, and what was fixed passes.
    fs::write(project.path("laptop/app/expected"), "4\n").unwrap();
    let again = repro(
        &project,
        "laptop",
        &["../downloads/artifact.zip", "--test", "shop::price"],
    );
    again.assert_code(0);
    assert!(
        again
            .stdout
            .contains("differs: file changed: `app/expected`"),
        "{}",
        again.stdout
    );
    assert!(
        again
            .stdout
            .contains("not reproduced: everything that failed passes"),
        "{}",
        again.stdout
    );
    let again = repro(&project, "laptop", &["../downloads/artifact.zip"]);
    again.assert_code(1);
    assert!(
        again
            .stdout
            .contains("reproduced in part: 1 of 2 failures again"),
        "{}",
        again.stdout
    );
    assert!(
        again.stdout.contains("new: shop::name of checks"),
        "{}",
        again.stdout
    );
}

#[test]
fn a_bundle_with_its_context_needs_no_clone() {
    let project = shop();
    let run = in_ci(&project, &["--bundle-context"]);
    run.assert_code(1);
    assert_eq!(bundle(&run.out)["context"], "context.tar.gz");
    zip(&run.out, &project.path("artifact.zip"));
    fs::remove_dir_all(project.path("ci")).unwrap();
    let again = repro(&project, "empty", &["../artifact.zip"]);
    again.assert_code(1);
    assert!(
        again.stdout.contains("reproduced: the same 2 failures"),
        "{}",
        again.stdout
    );

    // Without its files, and without a clone, it is said what is missing, and nothing starts.
    fs::create_dir(project.path("bare")).unwrap();
    fs::copy(again.out.join("run.json"), project.path("bare/run.json")).unwrap();
    let missing = repro(&project, "nothing", &["../bare"]);
    missing.assert_code(2);
    assert!(
        missing.stderr.contains("are not in")
            && missing.stderr.contains("`./app` of service `checks`"),
        "{}",
        missing.stderr
    );
    assert!(missing.events.is_empty());
}

#[test]
fn a_test_that_fails_at_times_is_counted_over_fresh_environments() {
    let project = Project::new(&format!(
        "services:
  checks:
    image: {}
    volumes: ['./state:/state']
    command: [bash, -c, 'count=$$(cat /state/count); echo $$((count + 1)) >/state/count; exit $$((count % 2))']
    x-envrun: {{ suite: {{}} }}
",
        image::BASE
    ));
    project.file("state/count", "1\n");
    project.run().assert_code(1);
    let mut command = project.envrun(&["repro", "out", "--times", "5", "--out", "again"]);
    command.stdin(Stdio::null());
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("2 of 5 failed as before"), "{said}");
    assert!(said.contains("2 times: suite checks: ExitCode"), "{said}");
    let runs: Vec<Value> = (1..=5)
        .map(|number| bundle(&project.path(&format!("again/{number}")))["run"].clone())
        .collect();
    assert!(
        runs.iter()
            .all(|run| runs.iter().filter(|other| *other == run).count() == 1)
    );
    for run in runs {
        assert_eq!(
            project.engine.of_run(run.as_str().unwrap()),
            [],
            "left behind"
        );
    }
}

#[test]
fn a_shell_is_in_a_fresh_container_of_the_suite_beside_its_environment() {
    let project = shop();
    in_ci(&project, &[]).assert_code(1);
    let mut shell = project
        .envrun(&[
            "repro",
            "ci/out",
            "--project",
            "ci",
            "--shell",
            "--out",
            "shell",
        ])
        .env("SHOP_TOKEN", "another-token")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = shell.stdin.take().unwrap();
    input
        .write_all(
            b"pwd; echo \"token: $SHOP_TOKEN\"; getent hosts db >/dev/null && echo found; exit 7\n",
        )
        .unwrap();
    drop(input);
    let output = shell.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("/app\ntoken: another-token\nfound\n"),
        "{said}{errors}"
    );
    assert!(said.contains("`checks` runs: bash check.sh"), "{said}");
    assert_eq!(output.status.code(), Some(7), "{said}{errors}");
    let run = bundle(&project.path("shell"))["run"].clone();
    let run = run.as_str().unwrap();
    assert_eq!(project.engine.of_run(run), [], "left behind");
    // Whoever would have removed it later has nothing to wait for.
    wait::until("the end of the keeper", Duration::from_secs(10), || {
        watchdog_of(run).is_none().then_some(())
    });
}

#[test]
fn what_is_no_bundle_is_said_and_nothing_starts() {
    let project = shop();
    in_ci(&project, &[]).assert_code(1);
    let text = fs::read_to_string(project.path("ci/out/run.json")).unwrap();
    let wrong = |name: &str, content: &str| {
        project.file(name, content);
        name.to_owned()
    };
    let two = |name: &str| {
        for folder in ["one", "two"] {
            project.file(&format!("{name}/{folder}/run.json"), &text);
        }
        name.to_owned()
    };
    let packed = |name: &str, files: &[&str]| {
        let mut archive = ZipWriter::new(File::create(project.path(name)).unwrap());
        for file in files {
            archive
                .start_file(*file, SimpleFileOptions::default())
                .unwrap();
            archive.write_all(text.as_bytes()).unwrap();
        }
        archive.finish().unwrap();
        name.to_owned()
    };
    let cases = [
        (vec![wrong("notes.txt", "hello")], "it is not JSON"),
        (
            vec![wrong("half.json", &text[..text.len() / 2])],
            "it was cut off",
        ),
        (
            vec![wrong("other.json", "{\"kind\": 1}")],
            "not what a run of envrun writes",
        ),
        (
            vec![wrong(
                "future.json",
                &text.replace("\"schema\": 1", "\"schema\": 9"),
            )],
            "it has version 9 of the format",
        ),
        (vec!["nowhere".to_owned()], "cannot read `nowhere`"),
        (vec!["app".to_owned()], "there is no `run.json` in `app`"),
        (vec![two("several")], "holds several runs"),
        (vec![packed("empty.zip", &[])], "holds no `run.json`"),
        (
            vec![packed("both.zip", &["a/run.json", "b/run.json"])],
            "holds several runs: `a/run.json`, `b/run.json`",
        ),
        (
            vec![wrong("broken.zip", "PK\u{3}\u{4}nothing")],
            "no zip archive that can be read",
        ),
        (
            vec!["ci/out".to_owned(), "--suite=check".to_owned()],
            "did you mean `checks`?",
        ),
        (
            vec!["ci/out".to_owned(), "--test=pricing".to_owned()],
            "no test `pricing`",
        ),
        (
            vec!["ci/out".to_owned(), "--project=compose.yaml".to_owned()],
            "is not a directory",
        ),
    ];
    for (arguments, expected) in cases {
        let mut command = project.envrun(&["repro"]);
        let output = command
            .args(&arguments)
            .env("SHOP_TOKEN", "x")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(expected), "{arguments:?}: {said}");
        assert!(!project.path("envrun-repro").exists(), "{arguments:?}");
    }
    let output = project
        .envrun(&["repro", "ci/out"])
        .env_remove("SHOP_TOKEN")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("does not hold: `SHOP_TOKEN`"), "{said}");
}

#[test]
fn a_run_that_was_cancelled_or_has_no_environment_leaves_its_bundle() {
    let project = Project::new(&format!(
        "services:
  db:
    image: {base}
    command: ['false']
    x-envrun: {{ ready: {{ tcp: 5432 }} }}
  checks:
    image: {base}
    depends_on: [db]
    x-envrun: {{ suite: {{}} }}
",
        base = image::BASE
    ));
    project.run().assert_code(3);
    let written = bundle(&project.path("out"));
    assert_eq!(written["state"], "complete");
    assert_eq!(written["results"]["failure"]["service"], "db");
    let again = Run::start(
        &project,
        project.envrun(&["repro", "out", "--out", "again"]),
        "again",
    )
    .finish();
    again.assert_code(3);
    assert!(
        again.stdout.contains("reproduced: the same failure"),
        "{}",
        again.stdout
    );

    let project = Project::new(&format!(
        "services:\n  checks:\n    {}\n",
        super::harness::project::held_suite()
    ));
    let mut run = project.start();
    run.until_suite_started("checks");
    assert_eq!(bundle(&run.out)["state"], "running");
    run.signal(rustix::process::Signal::TERM);
    let ended = run.finish();
    ended.assert_code(143);
    let written = bundle(&ended.out);
    assert_eq!(written["state"], "complete");
    assert_eq!(written["results"]["signal"], "SIGTERM");
}

#[test]
fn locked_runs_take_the_images_that_were_locked_and_no_others() {
    let registry = Registry::with_access(Access::Everybody, &["team/app:1", "team/app:2"]);
    let (one, two) = (registry.name("team/app:1"), registry.name("team/app:2"));
    let compose = |image: &str| {
        format!(
            "services:
  plain: {{ image: '{image}', x-envrun: {{ suite: {{}} }} }}
  built:
    build: {{ dockerfile_inline: \"FROM {image}\\nLABEL a=b\\n\" }}
    x-envrun: {{ suite: {{}} }}
"
        )
    };
    let project = Project::new(&compose(&one));
    let output = project.run_with(&["--locked"]);
    output.assert_code(2);
    assert!(
        output.stderr.contains("envrun.lock`, which does not exist"),
        "{}",
        output.stderr
    );

    let locked = project.envrun(&["lock"]).output().unwrap();
    assert!(
        locked.status.success(),
        "{}",
        String::from_utf8_lossy(&locked.stderr)
    );
    let file = fs::read_to_string(project.path("envrun.lock")).unwrap();
    assert!(file.contains(&format!("\"{one}\" = \"sha256:")), "{file}");
    let pulls = registry.pulls();
    let check = project.envrun(&["lock", "--check"]).output().unwrap();
    assert!(
        check.status.success(),
        "{}",
        String::from_utf8_lossy(&check.stdout)
    );
    assert_eq!(registry.pulls(), pulls, "what is here was asked for");

    let id = |finished: &Finished<'_>, service: &str| {
        let mut events = finished.events.iter();
        let event = events
            .find(|event| event.kind() == "image_obtained" && event.0["services"][0] == service);
        let event = event.expect("an image");
        (event.text("id").to_owned(), event.text("image").to_owned())
    };
    let finished = project.run_with(&["--locked"]);
    finished.assert_code(0);
    let (before, name) = id(&finished, "plain");
    assert!(name.contains("@sha256:"), "{name}");
    assert_eq!(bundle(&finished.out)["command"]["locked"], true);

    // The name means another image from now on, and a locked run does not care.
    docker(&["pull", "--quiet", &two]);
    docker(&["tag", &two, &one]);
    let finished = project.run();
    finished.assert_code(0);
    assert_ne!(id(&finished, "plain").0, before);
    let finished = project.run_with(&["--locked"]);
    finished.assert_code(0);
    assert_eq!(id(&finished, "plain").0, before);

    // What is not in the file is an error before anything starts.
    project.file(
        "compose.yaml",
        format!("name: {}\n{}", project.name, compose(&two)),
    );
    let stale = project.run_with(&["--locked"]);
    stale.assert_code(2);
    assert!(
        stale.stderr.contains("is stale") && stale.stderr.contains(&two),
        "{}",
        stale.stderr
    );
    project.run().assert_code(0);
    let check = project.envrun(&["lock", "--check"]).output().unwrap();
    assert_eq!(
        check.status.code(),
        Some(2),
        "{}",
        String::from_utf8_lossy(&check.stdout)
    );
}

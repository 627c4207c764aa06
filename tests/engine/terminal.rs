//! What a person sees who runs envrun on a terminal.

use std::process::Command;

use super::harness::{Project, Run, image};

/// Runs envrun on a pseudo-terminal, which `script` of util-linux gives it.
fn on_a_terminal(project: &Project) -> Command {
    let mut command = Command::new("script");
    let envrun = format!("{} run --out out", env!("CARGO_BIN_EXE_envrun"));
    command
        .args(["-qefc", &envrun, "/dev/null"])
        .current_dir(project.directory())
        .env("TERM", "xterm-256color")
        .env_remove("CI");
    command
}

#[test]
fn a_terminal_shows_live_lines_and_keeps_the_verdict() {
    let project = Project::new(&format!(
        "services:
  quiet: {{ image: {base}, command: [sleep, infinity] }}
  checks:
    image: {base}
    command: [bash, -c, 'echo done']
    depends_on: [quiet]
    x-envrun: {{ suite: {{}} }}
",
        base = image::BASE
    ));
    let finished = Run::start(&project, on_a_terminal(&project), "out").finish();
    finished.assert_code(0);
    let screen = &finished.stdout;
    assert!(screen.contains("\u{1b}["), "no line is live: {screen:?}");
    assert!(screen.contains("waiting"), "{screen:?}");
    assert!(screen.contains("passed: 1 of 1 suite"), "{screen:?}");
    assert!(screen.contains("nothing left"), "{screen:?}");
}

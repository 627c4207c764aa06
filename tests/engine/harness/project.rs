//! A project of one test: a Compose file in a temporary directory, with a name that no other test
//! has.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::{Engine, Finished, Run, image};

/// A project.
pub(crate) struct Project {
    directory: TempDir,
    /// Its name, which is unique.
    pub(crate) name: String,
    /// A connection to the engine.
    pub(crate) engine: Engine,
}

impl Project {
    /// Writes a Compose file, whose text begins after its `name:`.
    pub(crate) fn new(compose: &str) -> Self {
        let engine = Engine::connect();
        engine.require_image(image::BASE);
        let directory = tempfile::Builder::new()
            .prefix("envrun-test-")
            .tempdir()
            .unwrap();
        // Files of it are mounted into containers whose user is another one.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let name = format!("test-{}", uuid::Uuid::new_v4().simple());
        let project = Self {
            directory,
            name,
            engine,
        };
        project.file("compose.yaml", format!("name: {}\n{compose}", project.name));
        fs::create_dir(project.path("gate")).unwrap();
        project
    }

    /// The same, with the PostgreSQL image at hand.
    pub(crate) fn with_postgres(compose: &str) -> Self {
        let project = Self::new(compose);
        project.engine.require_image(&image::postgres());
        project
    }

    /// The scenarios of the repository, copied into the project: a test may break what it likes.
    /// Answers with the directory of one of them.
    pub(crate) fn copy_of_scenario(&self, name: &str) -> PathBuf {
        let copies = self.path("scenarios");
        copy(&image::scenario(""), &copies);
        copies.join(name)
    }

    /// Runs a scenario of the repository to its end, as it is there.
    pub(crate) fn run_scenario(&self, name: &str, arguments: &[&str]) -> Finished<'_> {
        let directory = image::scenario(name);
        let mut command = self.command(&[directory.to_str().unwrap()]);
        command.args(arguments);
        Run::start(self, command, "out").finish()
    }

    /// A path in the project.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The directory of the project.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Writes a file of the project.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// The project with one more file.
    pub(crate) fn having(self, name: &str, content: &str) -> Self {
        self.file(name, content);
        self
    }

    /// Lets the services go on that wait for `/gate/open`: see [`GATE`] and [`UNTIL_OPEN`].
    pub(crate) fn open_gate(&self) {
        self.file("gate/open", "");
    }

    /// `envrun` with these arguments, in an environment without the traits of a CI system.
    pub(crate) fn envrun(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_envrun"));
        command
            .args(arguments)
            .current_dir(self.directory())
            .env("NO_COLOR", "1")
            // What dead runs have left is for the tests that made it.
            .env("ENVRUN_GC", "0");
        for name in envrun::ci::MARKERS {
            command.env_remove(name);
        }
        command
    }

    /// `envrun run` with `--out out` and further arguments.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.envrun(&["run", "--out", "out"]);
        command.args(arguments);
        command
    }

    /// Starts a run in a network namespace of its own, as in a job container: the engine's socket is
    /// there, its bridges are not.
    pub(crate) fn start_elsewhere(&self) -> Run<'_> {
        let here = self.command(&[]);
        let mut command = Command::new("unshare");
        command
            .arg("--net")
            .arg(here.get_program())
            .args(here.get_args());
        for (name, value) in here.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(directory) = here.get_current_dir() {
            command.current_dir(directory);
        }
        Run::start(self, command, "out")
    }

    /// Starts a run.
    pub(crate) fn start(&self) -> Run<'_> {
        Run::start(self, self.command(&[]), "out")
    }

    /// Runs to the end.
    pub(crate) fn run(&self) -> Finished<'_> {
        self.start().finish()
    }

    /// Runs to the end, with further arguments.
    pub(crate) fn run_with(&self, arguments: &[&str]) -> Finished<'_> {
        Run::start(self, self.command(arguments), "out").finish()
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The mount that brings the gate into a container.
pub(crate) const GATE: &str = "volumes: [./gate:/gate:ro]";

/// A shell command that waits for the gate to open.
pub(crate) const UNTIL_OPEN: &str = "until [ -e /gate/open ]; do sleep 0.02; done";

/// A suite that runs until the gate opens, and then passes.
pub(crate) fn held_suite() -> String {
    format!(
        "image: {}
    {GATE}
    command: [bash, -c, \"{UNTIL_OPEN}\"]
    x-envrun: {{ suite: {{}} }}",
        image::BASE
    )
}

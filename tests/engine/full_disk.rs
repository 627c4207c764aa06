//! Reports that cannot be written cost the run its exit code and nothing else: everything is torn
//! down, what there is ends with a whole line, and nothing of an earlier run is taken for this one's.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::project::{GATE, UNTIL_OPEN};
use crate::harness::{Finished, Project, Run, image, junit};

/// A small file system in memory, at a path of a project.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` where this user may not mount.
    fn mount(project: &Project, name: &str, size: &str) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            let _ = writeln!(
                std::io::stderr(),
                "SKIPPED: a small disk takes root, and this user is another one"
            );
            return None;
        }
        let path = project.path(name);
        fs::create_dir_all(&path).unwrap();
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "envrun-test"])
            .arg(&path)
            .status();
        assert!(status.unwrap().success(), "cannot mount");
        Some(Self(path))
    }

    /// Leaves room for so many bytes.
    fn fill_up_to(&self, room: usize) {
        let mut file = fs::File::create(self.0.join("filling")).unwrap();
        let mut written = 0_usize;
        while file.write_all(&[0; 4096]).is_ok() {
            written += 4096;
        }
        file.set_len(written.saturating_sub(room) as u64).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// A suite that waits for the gate, writes so many lines, and passes.
fn talkative(lines: u32) -> Project {
    Project::new(&format!(
        "
services:
  checks:
    image: {base}
    {GATE}
    command: [bash, -c, '{UNTIL_OPEN}; for i in $$(seq {lines}); do echo line $$i of many that nobody reads; done']
    x-envrun: {{ suite: {{}} }}
",
        base = image::BASE
    ))
}

/// The run has passed and was torn down, and its exit code and one line say what could not be written.
#[track_caller]
fn assert_told(finished: &Finished<'_>, cause: &str) {
    finished.assert_code(6);
    let told: Vec<&str> = finished
        .stderr
        .lines()
        .filter(|line| line.starts_with("error: "))
        .collect();
    assert_eq!(told.len(), 1, "{}", finished.stderr);
    assert!(told[0].contains(cause), "{}", told[0]);
    assert!(finished.stdout.contains("passed"), "{}", finished.stdout);
    assert!(
        finished.stderr.contains("nothing left"),
        "{}",
        finished.stderr
    );
}

/// Every line of the events is whole: reading them panics otherwise.
fn assert_whole(out: &Path) {
    let text = fs::read_to_string(out.join("events.jsonl")).unwrap_or_default();
    assert!(text.is_empty() || text.ends_with('\n'), "{text}");
    for line in text.lines() {
        let _: serde_json::Value = serde_json::from_str(line).unwrap();
    }
}

const FULL: &str = "No space left on device";

#[test]
fn a_disk_that_is_full_from_the_start() {
    let project = talkative(3);
    project.open_gate();
    let Some(disk) = SmallDisk::mount(&project, "out", "256k") else {
        return;
    };
    // A report of an earlier run is no report of this one.
    fs::write(disk.0.join("junit.xml"), "<testsuites/>").unwrap();
    disk.fill_up_to(0);
    let finished = project.run();
    assert_told(&finished, FULL);
    assert_whole(&disk.0);
    assert!(!disk.0.join("junit.xml").exists());
}

#[test]
fn a_disk_that_is_full_while_logs_are_written() {
    // Two megabytes of output, and half a megabyte of room.
    let project = talkative(50_000);
    project.open_gate();
    let Some(disk) = SmallDisk::mount(&project, "out", "512k") else {
        return;
    };
    let finished = project.run();
    assert_told(&finished, FULL);
    assert_whole(&disk.0);
    // What there is of the log is its beginning.
    let log = fs::read_to_string(disk.0.join("logs/checks.log")).unwrap();
    let lines: Vec<&str> = log.lines().collect();
    assert!(lines.len() > 1000, "{}", lines.len());
    for (number, line) in lines[..lines.len() - 1].iter().enumerate() {
        assert_eq!(
            *line,
            format!("line {} of many that nobody reads", number + 1)
        );
    }
}

#[test]
fn a_disk_that_is_full_when_the_report_is_written() {
    let project = talkative(3);
    let Some(disk) = SmallDisk::mount(&project, "out", "256k") else {
        return;
    };
    let mut run = project.start();
    run.until_suite_started("checks");
    disk.fill_up_to(0);
    project.open_gate();
    let finished = run.finish();
    assert_told(&finished, FULL);
    assert_whole(&disk.0);
    assert!(!disk.0.join("junit.xml").exists());
    let hidden: Vec<_> = fs::read_dir(&disk.0)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name.to_string_lossy().ends_with("junit.xml"))
        .collect();
    assert!(hidden.is_empty(), "half a report is left: {hidden:?}");
}

#[test]
fn a_disk_that_becomes_read_only_during_the_run() {
    let project = talkative(3);
    let Some(disk) = SmallDisk::mount(&project, "out", "256k") else {
        return;
    };
    let mut run = project.start();
    run.until_suite_started("checks");
    // Lazily: files that are open for writing would forbid it otherwise.
    let status = Command::new("mount")
        .args(["-o", "remount,ro"])
        .arg(&disk.0)
        .status();
    if status.unwrap().success() {
        project.open_gate();
        let finished = run.finish();
        assert_told(&finished, "Read-only file system");
    } else {
        // The kernel refuses while files are open; then the directory is taken away below them.
        drop(disk);
        project.open_gate();
        let finished = run.finish();
        assert_told(&finished, "somebody has removed the output directory");
    }
}

#[test]
fn a_directory_that_is_removed_during_the_run() {
    let project = talkative(3);
    let mut run = project.start();
    run.until_suite_started("checks");
    fs::remove_dir_all(project.path("out")).unwrap();
    project.open_gate();
    let status = run.wait(std::time::Duration::from_secs(60));
    assert_eq!(status.code(), Some(6));
    // The one file that everybody needs is there all the same.
    let report = fs::read(project.path("out/junit.xml")).unwrap();
    let report = junit::Report::parse(&report);
    assert_eq!(report.of("checks")[0].result, "passed");
    assert_eq!(
        report.case("envrun.environment", "teardown").result,
        "passed"
    );
    let left = project
        .engine
        .labelled(crate::harness::engine::PROJECT_LABEL, &project.name);
    assert_eq!(left, []);
    let said = fs::read_to_string(project.path("out.stderr")).unwrap();
    assert!(
        said.contains("somebody has removed the output directory during the run"),
        "{said}"
    );
}

#[test]
fn a_directory_on_a_read_only_disk_is_refused_before_anything_starts() {
    let project = talkative(3);
    let Some(disk) = SmallDisk::mount(&project, "disk", "256k") else {
        return;
    };
    let status = Command::new("mount")
        .args(["-o", "remount,ro"])
        .arg(&disk.0)
        .status();
    assert!(status.unwrap().success());
    let mut command = project.envrun(&["run", "--out", "disk/out"]);
    command.current_dir(project.directory());
    let finished = Run::start(&project, command, "out").finish();
    finished.assert_code(2);
    assert!(
        finished.stderr.contains("Read-only file system"),
        "{}",
        finished.stderr
    );
}

//! The state of the repository that a project is in, as `git` says it. Without `git`, or outside of a
//! repository, there is none, and that is no problem of a run.

use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::replay::Git;

/// Bytes of the difference that are kept.
const LONGEST_DIFF: usize = 1 << 20;

/// Bytes of any other answer.
const LONGEST_ANSWER: usize = 64 << 10;

/// Commit, branch, and whether anything differs from the commit.
pub(super) fn state(directory: &Path) -> Option<Git> {
    let commit = line(directory, &["rev-parse", "HEAD"])?;
    let branch = line(directory, &["symbolic-ref", "--quiet", "--short", "HEAD"]);
    let changed = ask(
        directory,
        &["status", "--porcelain", "--untracked-files=no"],
        1,
    );
    Some(Git {
        commit,
        branch,
        dirty: changed.is_some_and(|(text, _)| !text.is_empty()),
        diff: None,
        diff_cut: false,
    })
}

/// How the files differ from the commit, and whether the end of that is missing.
pub(super) fn diff(directory: &Path) -> (Option<String>, bool) {
    let arguments = [
        "diff",
        "--no-ext-diff",
        "--no-textconv",
        "--no-color",
        "HEAD",
    ];
    match ask(directory, &arguments, LONGEST_DIFF) {
        Some((text, cut)) => (Some(text), cut),
        None => (None, false),
    }
}

fn line(directory: &Path, arguments: &[&str]) -> Option<String> {
    let (text, _) = ask(directory, arguments, LONGEST_ANSWER)?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// Asks `git`. Its environment is empty but for what it needs to be found and to know which
/// repositories the user trusts, and the configuration of a repository starts no program.
fn ask(directory: &Path, arguments: &[&str], most: usize) -> Option<(String, bool)> {
    let kept = ["PATH", "HOME", "XDG_CONFIG_HOME"];
    let kept = kept
        .iter()
        .filter_map(|name| Some((*name, std::env::var_os(name)?)));
    let mut child = Command::new("git")
        .args([
            "-c",
            "core.fsmonitor=false",
            "-c",
            "core.hooksPath=/dev/null",
        ])
        .arg("-C")
        .arg(directory)
        .args(arguments)
        .env_clear()
        .envs(kept)
        .env("LC_ALL", "C")
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env("GIT_TERMINAL_PROMPT", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let answer = read(&mut child, most);
    let cut = answer.as_ref().is_some_and(|bytes| bytes.len() > most);
    if cut {
        let _ = child.kill();
    }
    let status = child.wait().ok()?;
    let mut bytes = answer.filter(|_| cut || status.success())?;
    bytes.truncate(most);
    Some((String::from_utf8_lossy(&bytes).into_owned(), cut))
}

/// One byte more than wanted shows that there is more.
fn read(child: &mut Child, most: usize) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let output = child.stdout.take()?;
    output.take(most as u64 + 1).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

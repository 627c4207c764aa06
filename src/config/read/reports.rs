//! Where a suite leaves its reports, and where their paths are in the repository.

use std::path::Path;

use globset::GlobBuilder;

use super::super::model::{LineReports, Suite};
use super::super::source::Place;
use super::super::yaml::{Mapping, Node, shorten};
use super::context::Context;
use super::in_memory::Kept;

/// What says that a report is the output of the suite and no file. A file of this name is `./stdout`.
const STDOUT: &str = "stdout";

/// `junit`, `tap`, `go_test` and `paths` of a suite. The globs are added to `kept`.
pub(super) fn read_reports(
    context: &mut Context<'_>,
    map: &Mapping,
    suite: &mut Suite,
    kept: &mut Vec<Kept>,
) {
    if let Some(node) = map.get("junit") {
        suite.junit = globs(context, node, "junit", kept);
    }
    if let Some(node) = map.get("tap") {
        suite.tap = lines(context, node, "tap", kept);
    }
    if let Some(node) = map.get("go_test") {
        suite.go_test = lines(context, node, "go_test", kept);
    }
    if suite.tap.stdout
        && suite.go_test.stdout
        && let Some(node) = map.get("go_test")
    {
        let message = "the output cannot be both TAP and that of `go test -json`";
        context.error_help(&node.place, message, "let one of them write a file");
    }
    if let Some(map) = map
        .get("paths")
        .and_then(|node| context.mapping(node, "paths"))
    {
        for entry in &map.entries {
            let Some(to) = context.filled_text(&entry.value, "paths") else {
                continue;
            };
            let from = entry.key.text.clone();
            if check_path(context, &from, &to, &entry.value.place) {
                suite.paths.insert(from, to);
            }
        }
    }
}

fn globs(
    context: &mut Context<'_>,
    node: &Node,
    key: &'static str,
    kept: &mut Vec<Kept>,
) -> Vec<String> {
    let mut globs = Vec::new();
    for (glob, node) in context.text_or_list(node, key) {
        if check_glob(context, &glob, &node.place) {
            if key == "junit" || glob != STDOUT {
                kept.push(Kept::new(key, &glob, &node.place));
            }
            globs.push(glob);
        }
    }
    globs
}

/// Globs, or `stdout`.
fn lines(
    context: &mut Context<'_>,
    node: &Node,
    key: &'static str,
    kept: &mut Vec<Kept>,
) -> LineReports {
    let mut globs = globs(context, node, key, kept);
    let stdout = globs.iter().any(|glob| glob == STDOUT);
    globs.retain(|glob| glob != STDOUT);
    LineReports { globs, stdout }
}

/// Globs are matched against paths below the working directory, so others can never match.
fn check_glob(context: &mut Context<'_>, glob: &str, place: &Place) -> bool {
    let help = "globs are relative to the working directory of the container";
    if glob.starts_with('/') {
        let message = format!("the glob `{}` is absolute", shorten(glob));
        context.error_help(place, message, help);
        return false;
    }
    if glob.split('/').any(|part| part == "..") {
        let message = format!("the glob `{}` leaves the working directory", shorten(glob));
        context.error_help(place, message, help);
        return false;
    }
    if let Err(error) = GlobBuilder::new(glob).literal_separator(true).build() {
        let message = format!(
            "the glob `{}` is not valid: {}",
            shorten(glob),
            error.kind()
        );
        context.error(place, message);
        return false;
    }
    true
}

/// A pair of `paths`: what a report may name, and where that is in the project.
fn check_path(context: &mut Context<'_>, from: &str, to: &str, place: &Place) -> bool {
    if from.trim().is_empty() || from.split('/').any(|part| part == "..") {
        let message = format!("`{}` is no path in the container", shorten(from));
        let help = "write an absolute path such as `/app`, or the name of a Go module";
        context.error_help(place, message, help);
        return false;
    }
    if Path::new(to).is_absolute() {
        let message = format!("the path `{}` is absolute", shorten(to));
        let help = "paths are relative to the directory of the project, as in `/app: ./app`";
        context.error_help(place, message, help);
        return false;
    }
    true
}

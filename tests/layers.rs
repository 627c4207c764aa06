//! The rule of layers: who may name whom. See `src/ARCHITECTURE.md`.

#![expect(clippy::expect_used, reason = "a test ends at what it did not expect")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms, each with the rooms that its code may name.
fn allowed() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let rooms: &[(&str, &[&str])] = &[
        ("agent", &["clock", "probe::dial"]),
        ("artifact", &["mask"]),
        ("ci", &["name"]),
        ("clock", &[]),
        ("name", &[]),
        ("options", &[]),
        ("exit_code", &[]),
        ("image", &[]),
        ("junit", &[]),
        ("lease", &["name"]),
        ("mask", &[]),
        ("lines", &["engine"]),
        ("host", &["clock", "lease", "name"]),
        (
            "config",
            &["fault::kind", "image", "mask", "name", "options"],
        ),
        ("fault", &["config::duration", "config::suggest", "name"]),
        (
            "engine",
            &[
                "agent::wire",
                "name",
                "clock",
                "image",
                "lease",
                "options",
                "probe",
            ],
        ),
        ("probe", &["clock"]),
        ("reachability", &["config::model", "name"]),
        (
            "outcome",
            &[
                "artifact",
                "engine",
                "exit_code",
                "junit",
                "name",
                "reachability",
            ],
        ),
        (
            "settings",
            &[
                "artifact",
                "ci",
                "config::diagnostic",
                "config::model::reachability",
                "config::size",
                "config::source",
                "config::suggest",
                "image",
                "junit",
                "options",
            ],
        ),
        (
            "diagnosis",
            &[
                "config::model",
                "config::suggest",
                "name",
                "outcome",
                "plan",
                "probe::listening",
            ],
        ),
        ("event", &["engine", "exit_code", "name", "outcome"]),
        (
            "plan",
            &[
                "config::model",
                "engine",
                "image",
                "lease",
                "name",
                "options",
                "probe",
                "reachability",
            ],
        ),
        (
            "run",
            &[
                "agent",
                "artifact",
                "clock",
                "config::model",
                "config::suggest",
                "diagnosis",
                "engine",
                "event",
                "exit_code",
                "fault",
                "host::process",
                "image",
                "junit",
                "lease",
                "mask",
                "name",
                "options",
                "outcome",
                "plan",
                "probe",
                "reachability",
            ],
        ),
        (
            "replay",
            &["config::suggest", "event", "junit", "mask", "outcome"],
        ),
        (
            "report",
            &[
                "artifact",
                "ci",
                "clock",
                "engine",
                "event",
                "exit_code",
                "junit",
                "lease",
                "lines",
                "mask",
                "name",
                "outcome",
                "plan",
                "replay",
                "run",
            ],
        ),
        (
            "command",
            &[
                "ci",
                "clock",
                "config",
                "engine",
                "event",
                "exit_code",
                "fault",
                "host",
                "image",
                "lease",
                "mask",
                "name",
                "outcome",
                "plan",
                "probe",
                "reachability",
                "replay",
                "report",
                "run",
                "settings",
            ],
        ),
    ];
    rooms
        .iter()
        .map(|(room, may)| (*room, may.iter().copied().collect()))
        .collect()
}

/// The in-network agent: a program of its own, which knows nothing of the library and is compiled by
/// `build.rs`.
const PROGRAM: &str = "agent/program";

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("readable") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Files of the library with their room and their text, comments left out.
fn files() -> Vec<(PathBuf, String, String)> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    sources(&source, &mut paths);
    paths
        .into_iter()
        .map(|path| {
            let relative = path.strip_prefix(&source).expect("inside").to_path_buf();
            let first = relative
                .components()
                .next()
                .expect("not empty")
                .as_os_str()
                .to_string_lossy()
                .into_owned();
            let room = first.trim_end_matches(".rs").to_owned();
            let text = fs::read_to_string(&path).expect("readable");
            let code: Vec<&str> = text
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
                .collect();
            (relative, room, code.join("\n"))
        })
        .collect()
}

/// The rooms that a text names as `crate::room`, grouped uses included.
fn named(code: &str) -> BTreeSet<String> {
    let mut rooms = BTreeSet::new();
    for part in code.split("crate::").skip(1) {
        if let Some(group) = part.strip_prefix('{') {
            let group = group.split("};").next().unwrap_or_default();
            rooms.extend(
                group
                    .split(',')
                    .map(|item| item.trim().to_owned())
                    .filter(|item| !item.is_empty()),
            );
        } else {
            let end = part
                .find(|letter: char| !(letter.is_alphanumeric() || letter == '_' || letter == ':'));
            rooms.insert(part[..end.unwrap_or(part.len())].to_owned());
        }
    }
    rooms
}

#[test]
fn no_room_names_a_room_that_it_may_not() {
    let allowed = allowed();
    let mut wrong = Vec::new();
    for (path, room, code) in files() {
        if room == "lib" || room == "main" || path.starts_with(PROGRAM) {
            continue;
        }
        let may = allowed
            .get(room.as_str())
            .unwrap_or_else(|| panic!("room `{room}` is not in the table"));
        for other in named(&code) {
            let own = other == room || other.starts_with(&format!("{room}::"));
            let permitted = may
                .iter()
                .any(|one| other == *one || other.starts_with(&format!("{one}::")));
            if !own && !permitted {
                wrong.push(format!("{} names {other}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_the_docker_engine_names_bollard() {
    let wrong: Vec<_> = files()
        .into_iter()
        .filter(|(path, _, code)| code.contains("bollard") && !path.starts_with("engine/docker"))
        .map(|(path, ..)| path)
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn engines_are_named_by_the_wiring_only() {
    let wrong: Vec<_> = files()
        .into_iter()
        .filter(|(path, room, code)| {
            (code.contains("engine::docker") || code.contains("engine::memory"))
                && room != "command"
                && !path.starts_with("engine")
        })
        .map(|(path, ..)| path)
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// The pure rooms hold no clock, no network and no files.
#[test]
fn pure_rooms_do_no_io() {
    let pure = |path: &Path| {
        path.starts_with("ci")
            || path.starts_with("diagnosis")
            || path.starts_with("fault")
            || path.starts_with("image")
            || path.starts_with("junit")
            || path.starts_with("lines")
            || path.starts_with("mask")
            || path.starts_with("reachability")
            || path.starts_with("replay")
            || path.starts_with("plan")
            || path == Path::new("run/dispatcher.rs")
            || path == Path::new("run/verdict.rs")
            || path == Path::new("probe/command.rs")
            || path == Path::new("probe/course.rs")
            || path == Path::new("probe/file.rs")
            || path == Path::new("probe/log.rs")
            || path == Path::new("probe/machine.rs")
            || path == Path::new("probe/tree.rs")
    };
    let forbidden = [
        "std::fs",
        "std::net::Tcp",
        "tokio::",
        "SystemTime::now",
        "Instant::now",
        "std::process",
        "std::env",
    ];
    let wrong: Vec<_> = files()
        .into_iter()
        .filter(|(path, ..)| pure(path) && !path.iter().any(|part| part == "tests"))
        .flat_map(|(path, _, code)| {
            let code = code
                .split("#[cfg(test)]")
                .next()
                .unwrap_or_default()
                .to_owned();
            forbidden
                .iter()
                .filter(move |word| code.contains(**word))
                .map(move |word| format!("{} uses {word}", path.display()))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A file is a stage or a noun of the domain; one that grows beyond this has become two.
#[test]
fn files_stay_readable() {
    let long: Vec<_> = files()
        .into_iter()
        .map(|(path, ..)| {
            let text = fs::read_to_string(
                Path::new(env!("CARGO_MANIFEST_DIR"))
                    .join("src")
                    .join(&path),
            )
            .expect("readable");
            (path, text.lines().count())
        })
        .filter(|(_, lines)| *lines > 600)
        .collect();
    assert!(long.is_empty(), "{long:?}");
}

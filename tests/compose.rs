//! Compose files of all kinds with the answer of the reference implementation.
//!
//! A case is a directory `tests/compose/AREA/NAME`. What `docker compose config --format json`
//! printed there is in `expected.json`, with the directory written as `/PROJECT`; where it refused
//! the file, `refused.txt` has its message. `ci/reference` writes both anew. The arguments and
//! variables of a case are in `invocation`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use envrun::config::{Request, resolve};
use serde_json::Value;

/// The cases in which envrun answers otherwise on purpose, with the reason.
const OTHERWISE: [(&str, &str); 7] = [
    (
        "refused/ssh-path",
        "the reference fails to write what it has read, and accepts the file",
    ),
    ("mixed/235-build-ssh-key-json", "the same"),
    (
        "yaml/directive-of-1-2-refused",
        "the reader of the reference does not know the current version of YAML",
    ),
    (
        "yaml/json-escaped-slash-refused",
        "YAML 1.2 has the escape, so that JSON is YAML",
    ),
    (
        "yaml/anchor-of-other-document",
        "YAML ends the life of an anchor with its document",
    ),
    (
        "yaml/extension-keys-of-environment-and-labels",
        "the reference prints variables whose names start with `x-` as a text of its own language",
    ),
    ("networks/extensions", "the same, for options of a driver"),
];

struct Case {
    name: String,
    directory: PathBuf,
    request: Request,
}

impl Case {
    fn read(root: &Path, directory: PathBuf) -> Self {
        let mut request = Request {
            directory: directory.clone(),
            environment: BTreeMap::from([("HOME".to_owned(), "/home/user".to_owned())]),
            ..Request::default()
        };
        let invocation = std::fs::read_to_string(directory.join("invocation")).unwrap_or_default();
        let mut lines = invocation.lines().filter(|line| !line.is_empty());
        while let Some(line) = lines.next() {
            let is_name = |text: &str| {
                text.starts_with(|c: char| c.is_ascii_uppercase() || c == '_')
                    && text
                        .chars()
                        .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
            };
            if let Some((name, value)) = line.split_once('=').filter(|(name, _)| is_name(name)) {
                request
                    .environment
                    .insert(name.to_owned(), value.to_owned());
                continue;
            }
            let (option, value) = match line.split_once('=') {
                Some((option, value)) => (option, value.to_owned()),
                None => (
                    line,
                    lines.next().expect("an option has a value").to_owned(),
                ),
            };
            match option {
                "-f" | "--file" => request.files.push(value.into()),
                "--profile" => request.profiles.push(value),
                "--env-file" => request.env_files.push(value.into()),
                "--project-name" | "-p" => request.project_name = Some(value),
                "--project-directory" => request.project_directory = Some(value.into()),
                other => panic!("{}: unknown option {other}", directory.display()),
            }
        }
        let name = directory.strip_prefix(root).unwrap();
        Self {
            name: name.display().to_string(),
            directory,
            request,
        }
    }

    /// What differs from the reference's answer.
    fn difference(&self) -> Option<String> {
        let resolved = resolve(&self.request);
        let expected = std::fs::read_to_string(self.directory.join("expected.json"));
        match (resolved, expected) {
            (Err(_), Err(_)) => None,
            (Ok(_), Err(_)) => {
                let why = std::fs::read_to_string(self.directory.join("refused.txt")).unwrap();
                Some(format!("accepted, but the reference says: {}", why.trim()))
            }
            (Err(problems), Ok(_)) => Some(format!("refused: {problems}")),
            (Ok(resolved), Ok(expected)) => {
                let directory = self.directory.display().to_string();
                let found = resolved.json.to_string().replace(&directory, "/PROJECT");
                let found: Value = serde_json::from_str(&found).unwrap();
                let expected: Value = serde_json::from_str(&expected).unwrap();
                let mut text = String::new();
                compare(&expected, &found, "", &mut text);
                (!text.is_empty()).then_some(text)
            }
        }
    }
}

/// Writes one line for each place where two values differ.
fn compare(expected: &Value, found: &Value, path: &str, text: &mut String) {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            let keys: BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
            for key in keys {
                let path = format!("{path}/{key}");
                let (expected, found) = (expected.get(key), found.get(key));
                match (expected, found) {
                    (Some(expected), Some(found)) => compare(expected, found, &path, text),
                    (Some(expected), None) => writeln!(text, "{path}: missing {expected}").unwrap(),
                    (_, Some(found)) => writeln!(text, "{path}: unexpected {found}").unwrap(),
                    (None, None) => {}
                }
            }
        }
        (Value::Array(expected), Value::Array(found)) if expected.len() == found.len() => {
            for (index, (expected, found)) in expected.iter().zip(found).enumerate() {
                compare(expected, found, &format!("{path}/{index}"), text);
            }
        }
        // 2 and 2.0 are one number.
        (Value::Number(expected), Value::Number(found)) if expected.as_f64() == found.as_f64() => {}
        _ if expected == found => {}
        _ => writeln!(text, "{path}: expected {expected}, found {found}").unwrap(),
    }
}

fn cases() -> Vec<Case> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compose");
    let root = std::fs::canonicalize(root).unwrap();
    let below = |directory: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(directory).unwrap();
        let mut paths: Vec<PathBuf> = entries
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_dir())
            .collect();
        paths.sort();
        paths
    };
    below(&root)
        .iter()
        .flat_map(|area| below(area))
        .map(|directory| Case::read(&root, directory))
        .collect()
}

#[test]
fn every_case_has_the_answer_of_the_reference() {
    let cases = cases();
    assert!(cases.len() > 1100, "only {} cases", cases.len());
    let mut report = String::new();
    for case in &cases {
        let difference = case.difference();
        let otherwise = OTHERWISE.iter().any(|(name, _)| *name == case.name);
        match difference {
            Some(difference) if !otherwise => {
                writeln!(report, "{}\n{difference}", case.name).unwrap();
            }
            None if otherwise => writeln!(report, "{} has become equal", case.name).unwrap(),
            _ => {}
        }
    }
    assert!(report.is_empty(), "\n{report}");
}

#[test]
fn both_forms_of_the_print_are_the_same_file() {
    let mut report = String::new();
    for case in cases() {
        let Ok(resolved) = resolve(&case.request) else {
            continue;
        };
        let directory = tempfile::tempdir().unwrap();
        let read = |text: String| {
            let path = directory.path().join("compose.yaml");
            std::fs::write(&path, text).unwrap();
            let request = Request {
                directory: directory.path().to_owned(),
                ..Request::default()
            };
            resolve(&request).map(|resolved| resolved.json)
        };
        // Not all that the reference prints is a valid file: a limit of zero loses its value, models
        // are left out. Whatever it is, it is the same in both forms.
        let json = read(resolved.json.to_string().replace('\u{7f}', "\\u007f"));
        let yaml = read(resolved.to_yaml());
        match (json, yaml) {
            (Ok(json), Ok(yaml)) if json == yaml => {}
            (Err(one), Err(other)) if one.iter().count() == other.iter().count() => {}
            (json, yaml) => {
                writeln!(report, "{}\njson: {json:?}\nyaml: {yaml:?}", case.name).unwrap();
            }
        }
    }
    assert!(report.is_empty(), "\n{report}");
}

//! Where a test case is to be found in the sources: owns the reading of what a report says of it, and
//! the way from paths in a container to those of a repository.
//!
//! It must never ask a file system, and what it says is a guess for people: no verdict depends on
//! it.

use super::tree::{Element, Node};

/// Most bytes of a failure's text that are searched for a place. What matters stands in its first
/// lines, or in the last of a Python traceback.
const LONGEST_SEARCHED: usize = 64 * 1024;

/// Longest path that is taken for one, in bytes.
const LONGEST_PATH: usize = 1024;

/// Endings of sources. Without them, `localhost:8080` would be a file.
const SOURCES: [&str; 57] = [
    "bats", "c", "cc", "cjs", "clj", "cpp", "cs", "cts", "cxx", "dart", "elm", "erl", "ex", "exs",
    "feature", "fs", "go", "groovy", "h", "hh", "hpp", "hrl", "hs", "java", "jl", "js", "jsx",
    "kt", "kts", "lua", "m", "mjs", "ml", "mm", "mts", "nim", "php", "phpt", "pl", "pm", "py",
    "pyx", "r", "rb", "robot", "rs", "scala", "sh", "sql", "svelte", "swift", "t", "ts", "tsx",
    "vb", "vue", "zig",
];

/// Directories of code that is not the project's own.
const FOREIGN: [&str; 11] = [
    "node_modules",
    "site-packages",
    "dist-packages",
    "vendor",
    ".cargo",
    "rustc",
    ".venv",
    "venv",
    ".tox",
    "gems",
    ".m2",
];

/// A place in the sources.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    /// The file: relative to the root of the repository where the paths of the container are known,
    /// else as the report names it.
    pub file: String,
    /// The line, counted from 1.
    pub line: Option<u32>,
}

/// What paths in a container are in the repository.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PathMap {
    /// The container's working directory, which relative paths are relative to.
    directory: String,
    /// Prefixes of paths in the container, the longest first, and what they are relative to the root
    /// of the repository; empty for the root itself.
    pairs: Vec<(String, String)>,
}

impl PathMap {
    /// A map for a container with this working directory, from prefixes of paths (absolute ones, or
    /// names such as that of a Go module) to paths relative to the root of the repository.
    #[must_use]
    pub fn new(directory: &str, pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut pairs: Vec<(String, String)> = pairs
            .into_iter()
            .filter_map(|(from, to)| Some((plain(&from)?, plain(&to)?)))
            .collect();
        pairs.sort_by(|one, other| other.0.len().cmp(&one.0.len()).then(one.cmp(other)));
        Self {
            directory: plain(directory).unwrap_or_default(),
            pairs,
        }
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// The path in the repository of a path in the container, if it is known to have one.
    #[must_use]
    pub fn map(&self, path: &str) -> Option<String> {
        let path = path.strip_prefix("file://").unwrap_or(path);
        if path.is_empty() || path.len() > LONGEST_PATH {
            return None;
        }
        if path.starts_with('/') {
            return self.prefixed(&plain(path)?);
        }
        let named = plain(path).and_then(|path| self.prefixed(&path));
        named.or_else(|| self.prefixed(&plain(&format!("{}/{path}", self.directory))?))
    }

    fn prefixed(&self, path: &str) -> Option<String> {
        let mut pairs = self.pairs.iter();
        pairs.find_map(|(from, to)| {
            let rest = match from.as_str() {
                "/" => path.strip_prefix('/')?,
                from => path.strip_prefix(from)?,
            };
            let rest = match rest.strip_prefix('/') {
                Some(rest) => rest,
                None if rest.is_empty() || from == "/" => rest,
                None => return None,
            };
            let parts = [to.as_str(), rest]
                .into_iter()
                .filter(|part| !part.is_empty());
            Some(parts.collect::<Vec<_>>().join("/"))
        })
    }

    /// Makes paths of the repository of the `file` attributes of suites and cases.
    pub(super) fn apply(&self, element: &mut Element) {
        if matches!(element.name.as_str(), "testsuite" | "testcase") {
            for (name, value) in &mut element.attributes {
                if matches!(name.as_str(), "file" | "filepath")
                    && let Some(mapped) = self.map(value.trim())
                {
                    *value = mapped;
                }
            }
        }
        for child in &mut element.children {
            if let Node::Element(child) = child
                && (child.is_suite() || child.name == "testcase")
            {
                self.apply(child);
            }
        }
    }
}

/// The path without `.`, `..` and doubled separators; nothing for one that leaves its beginning.
fn plain(path: &str) -> Option<String> {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    let root = if path.starts_with('/') { "/" } else { "" };
    Some(format!("{root}{}", parts.join("/")))
}

impl Location {
    /// Where a case is, by its attributes, those of its suite, and the text of its first fault. A line
    /// of the text in the declared file is better than the declared line, which is where the test
    /// begins, and which some tools count from 0.
    pub(super) fn of(case: &Element, suite: &Element, paths: &PathMap) -> Option<Self> {
        let declared = declared(case, &["file"]).or_else(|| declared(suite, &["file", "filepath"]));
        let fault = match case.is_fault() {
            true => Some(case),
            false => case.elements().find(|child| child.is_fault()),
        };
        let class_name = case.attribute("classname").unwrap_or_default();
        let text = fault.map(Element::text).unwrap_or_default();
        let said = places(&text);
        let located: Vec<Self> = said
            .iter()
            .filter_map(|place| place.located(paths, class_name))
            .collect();
        if let Some(declared) = declared {
            let same = located
                .into_iter()
                .find(|place| same_file(&place.file, &declared.file));
            let line = same.and_then(|place| place.line);
            return Some(Self {
                line: line.or(declared.line),
                ..declared
            });
        }
        let own = located
            .iter()
            .find(|place| is_of_class(&place.file, class_name));
        own.or(located.first()).cloned()
    }
}

/// What the attributes of an element say.
fn declared(element: &Element, names: &[&str]) -> Option<Location> {
    let file = names
        .iter()
        .find_map(|name| element.attribute(name))?
        .trim();
    if file.is_empty() {
        return None;
    }
    let line = element
        .attribute("line")
        .and_then(|line| line.trim().parse().ok());
    Some(Location {
        file: file.to_owned(),
        line: line.filter(|line| *line > 0),
    })
}

/// Whether one path is the other, or its end.
fn same_file(one: &str, other: &str) -> bool {
    let (short, long) = if one.len() < other.len() {
        (one, other)
    } else {
        (other, one)
    };
    long.strip_suffix(short)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
}

/// Whether a file is probably that of a class: `tests/test_tasks.py` of `tests.test_tasks.TestList`.
fn is_of_class(file: &str, class_name: &str) -> bool {
    let name = file.rsplit('/').next().unwrap_or(file);
    let stem = name.split('.').next().unwrap_or(name);
    !stem.is_empty()
        && class_name
            .split(['.', ':', '/', ' ', '\\'])
            .any(|part| part == stem)
}

/// A file and a line that a text names.
#[derive(Debug, PartialEq, Eq)]
struct Said<'text> {
    file: &'text str,
    line: u32,
    /// The class of a frame of the Java virtual machine, whose file is a bare name.
    class: Option<&'text str>,
}

impl Said<'_> {
    /// The place in the repository, unless it is in code that is not the project's own.
    fn located(&self, paths: &PathMap, class_name: &str) -> Option<Location> {
        let line = Some(self.line);
        let file = self.file.strip_prefix("file://").unwrap_or(self.file);
        if let Some(class) = self.class {
            // The name says the package, and the convention of Maven and Gradle the rest.
            let class = class.split('$').next().unwrap_or(class);
            let test = class_name.split('$').next().unwrap_or(class_name);
            if class != test {
                return None;
            }
            let (package, _) = class.rsplit_once('.').unwrap_or(("", class));
            let language = match file.rsplit('.').next() {
                Some("kt" | "kts") => "kotlin",
                Some("scala") => "scala",
                Some("groovy") => "groovy",
                _ => "java",
            };
            let package = package.replace('.', "/");
            let file = plain(&format!("src/test/{language}/{package}/{file}"))?;
            let file = paths.map(&file).unwrap_or(file);
            return Some(Location { file, line });
        }
        if file.split('/').any(|part| FOREIGN.contains(&part)) {
            return None;
        }
        // A file of Go is named without its directory, which the package says.
        let packaged = || match file.ends_with(".go") && !file.contains('/') {
            true => paths.prefixed(&plain(&format!("{class_name}/{file}"))?),
            false => None,
        };
        if let Some(file) = packaged().or_else(|| paths.map(file)) {
            return Some(Location { file, line });
        }
        let is_relative = !file.starts_with('/');
        let file = is_relative.then(|| plain(file)).flatten()?;
        Some(Location { file, line })
    }
}

/// The places that a text names, in its order.
fn places(text: &str) -> Vec<Said<'_>> {
    let mut end = text.len().min(LONGEST_SEARCHED);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].lines().filter_map(place).collect()
}

/// The first place that a line names.
fn place(line: &str) -> Option<Said<'_>> {
    python(line)
        .or_else(|| marked(line, ':'))
        .or_else(|| marked(line, '('))
}

/// `File "/app/tasks.py", line 12, in create`.
fn python(line: &str) -> Option<Said<'_>> {
    let (_, rest) = line.split_once("File \"")?;
    let (file, rest) = rest.split_once('"')?;
    let line = number(rest.strip_prefix(", line ")?)?;
    is_source(file).then_some(Said {
        file,
        line,
        class: None,
    })
}

/// `path:12`, `path:12:3`, `path:line 12` with a colon, `path(12,3)` with a parenthesis.
fn marked(line: &str, mark: char) -> Option<Said<'_>> {
    line.match_indices(mark).find_map(|(position, _)| {
        let after = &line[position + 1..];
        let number = number(after.strip_prefix("line ").unwrap_or(after))?;
        let before = &line[..position];
        let start = before
            .rfind(|c: char| c.is_whitespace() || "\"'`<>()[]{}|,;=".contains(c))
            .map_or(0, |start| {
                start + before[start..].chars().next().map_or(1, char::len_utf8)
            });
        let file = &before[start..];
        if !is_source(file) {
            return None;
        }
        // `at com.example.TaskTest.flaky(TaskTest.java:9)`.
        let frame = before[..start]
            .strip_suffix('(')
            .filter(|_| !file.contains('/'));
        let class = frame.and_then(|frame| {
            let method = frame.trim_start().strip_prefix("at ")?;
            let method = method.rsplit('/').next().unwrap_or(method);
            method.rsplit_once('.').map(|(class, _)| class)
        });
        Some(Said {
            file,
            line: number,
            class,
        })
    })
}

fn number(text: &str) -> Option<u32> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text[..digits].parse().ok().filter(|number| *number > 0)
}

fn is_source(file: &str) -> bool {
    let name = file.rsplit('/').next().unwrap_or(file);
    file.len() <= LONGEST_PATH
        && name.rsplit_once('.').is_some_and(|(stem, ending)| {
            !stem.is_empty() && SOURCES.contains(&ending.to_ascii_lowercase().as_str())
        })
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use super::*;

    fn map() -> PathMap {
        let pairs = [
            ("/app", "services/api"),
            ("/app/shared/", "./shared"),
            ("/src", ""),
            ("example.com/tasks", "tasks"),
        ];
        PathMap::new(
            "/app",
            pairs.map(|(from, to)| (from.to_owned(), to.to_owned())),
        )
    }

    #[test]
    fn paths_of_a_container_become_those_of_the_repository() {
        for (path, mapped) in [
            ("/app/tests/a.py", Some("services/api/tests/a.py")),
            ("/app/shared/a.py", Some("shared/a.py")),
            ("/app/sharedness/a.py", Some("services/api/sharedness/a.py")),
            ("/application/a.py", None),
            ("/src/a.py", Some("a.py")),
            ("tests/./a.py", Some("services/api/tests/a.py")),
            ("../src/a.py", Some("a.py")),
            ("../../../a.py", None),
            ("/app/../etc/passwd", None),
            ("file:///app/a.mjs", Some("services/api/a.mjs")),
            ("example.com/tasks/db/db.go", Some("tasks/db/db.go")),
            ("", None),
        ] {
            assert_eq!(map().map(path).as_deref(), mapped, "{path}");
        }
        assert_eq!(PathMap::default().map("/app/a.py"), None);
        let root = PathMap::new("/", [("/".to_owned(), "image".to_owned())]);
        assert_eq!(root.map("/a/b.py").as_deref(), Some("image/a/b.py"));
    }

    #[test]
    fn a_line_names_a_place_in_many_ways() {
        let said =
            |line| place(line).map(|said| format!("{} {} {:?}", said.file, said.line, said.class));
        for (line, expected) in [
            (
                "tests/test_tasks.py:9: AssertionError",
                "tests/test_tasks.py 9 None",
            ),
            (
                "  File \"/app/a b.py\", line 12, in f",
                "/app/a b.py 12 None",
            ),
            (
                "    at Object.<anonymous> (/app/tasks.test.js:9:15)",
                "/app/tasks.test.js 9 None",
            ),
            (
                "\tat com.example.TaskTest.flaky(TaskTest.java:14)",
                "TaskTest.java 14 Some(\"com.example.TaskTest\")",
            ),
            (
                "at app//com.example.A.b(A.kt:3)",
                "A.kt 3 Some(\"com.example.A\")",
            ),
            (
                "thread 'broken' panicked at tests/api.rs:9:5:",
                "tests/api.rs 9 None",
            ),
            ("    tasks_test.go:14: got 1", "tasks_test.go 14 None"),
            (
                "   at Foo.Bar() in /src/Foo.cs:line 42",
                "/src/Foo.cs 42 None",
            ),
            ("/src/t.cpp(12): error", "/src/t.cpp 12 None"),
            ("at file:///app/a.mjs:3:1", "file:///app/a.mjs 3 None"),
        ] {
            assert_eq!(said(line).as_deref(), Some(expected), "{line}");
        }
        for line in [
            "connect to localhost:8080",
            "at 12:30:15",
            "a.py:0",
            "x.py:99999999999",
            "€.py",
            ":1",
            "",
        ] {
            assert_eq!(said(line), None, "{line}");
        }
    }

    fn located(document: &str) -> Option<String> {
        let mut report = read(document.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
        report.map_paths(&std::sync::Arc::new(map()));
        let location = report.cases()[0].location()?;
        Some(format!("{}:{:?}", location.file, location.line))
    }

    #[test]
    fn a_case_is_located_by_what_its_report_says() {
        let case = |attributes: &str, text: &str| {
            located(&format!(
                "<testsuite name='s'><testcase name='a' {attributes}><failure message='m'>{text}</failure></testcase></testsuite>"
            ))
        };
        let found = |file: &str, line: u32| Some(format!("{file}:Some({line})"));
        assert_eq!(
            case("file='tests/a.py' line='3'", ""),
            found("services/api/tests/a.py", 3)
        );
        assert_eq!(
            case("file='tests/a.py' line='3'", "tests/a.py:9: E"),
            found("services/api/tests/a.py", 9)
        );
        // The test's own file rather than the first one.
        let text = "conftest.py:1: in setup\n/app/tests/test_a.py:7: in test\nlib.py:3: E";
        assert_eq!(
            case("classname='tests.test_a.TestA'", text),
            found("services/api/tests/test_a.py", 7)
        );
        // Nothing of others: neither a library nor the image's own.
        let text = "at x (/app/node_modules/jest/a.js:1:2)\nat y (/usr/lib/b.js:1:1)\nat z (/app/c.test.js:5:1)";
        assert_eq!(case("", text), found("services/api/c.test.js", 5));
        assert_eq!(case("", "at y (/usr/lib/b.js:1:1)"), None);
        let text =
            "at org.junit.Assert.fail(Assert.java:87)\nat com.example.TaskTest.a(TaskTest.java:14)";
        assert_eq!(
            case("classname='com.example.TaskTest'", text),
            found("services/api/src/test/java/com/example/TaskTest.java", 14)
        );
        assert_eq!(
            case(
                "classname='example.com/tasks/db'",
                "    db_test.go:14: got 1"
            ),
            found("tasks/db/db_test.go", 14)
        );
        let suite = "<testsuite name='s' file='/src/a.test.js'><testcase name='a'><failure>at (/src/a.test.js:3:1)</failure></testcase></testsuite>";
        assert_eq!(located(suite), found("a.test.js", 3));
    }
}

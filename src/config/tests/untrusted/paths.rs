//! No path that leads out of the project's directory is ever accepted, however it is written.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::super::super::untrusted::{Confines, Untrusted};
use super::super::Request;

/// A project `demo` with links of all kinds, beside a directory that is not its own.
fn tree() -> (tempfile::TempDir, Confines) {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("demo");
    for name in ["demo/a/b", "demo/c", "outside/a", "demo-not"] {
        std::fs::create_dir_all(directory.path().join(name)).unwrap();
    }
    std::fs::write(directory.path().join("outside/file"), "secret").unwrap();
    std::fs::write(root.join("file"), "").unwrap();
    let absolute = |name: &str| directory.path().join(name);
    for (link, target) in [
        ("in", PathBuf::from("a/b")),
        ("up", PathBuf::from("a/..")),
        ("here", PathBuf::from(".")),
        ("out", PathBuf::from("../outside")),
        ("far", absolute("outside")),
        ("back", absolute("demo/a")),
        ("chain", PathBuf::from("in/../../out")),
        ("loop", PathBuf::from("loop")),
        ("nowhere", PathBuf::from("../not-there")),
        ("later", PathBuf::from("c/not-there")),
        ("twin", absolute("demo-not")),
        ("a/b/top", PathBuf::from("../..")),
        ("a/b/above", PathBuf::from("../../..")),
        ("round", PathBuf::from("../demo/a")),
        ("proc", PathBuf::from("/proc/self/root")),
    ] {
        symlink(target, root.join(link)).unwrap();
    }
    let request = Request::default();
    let confines = Confines::new(&request, &Untrusted::default(), &root).unwrap();
    (directory, confines)
}

fn verdicts(paths: &[&str]) -> String {
    let (directory, confines) = tree();
    let real = directory.path().canonicalize().unwrap();
    let root = directory.path().join("demo");
    let mut text = String::new();
    for path in paths {
        let full = match path.strip_prefix("TOP") {
            Some(rest) => PathBuf::from(format!("{}{rest}", directory.path().display())),
            None => root.join(path),
        };
        let verdict = match confines.resolve(&full) {
            Ok(found) => found.strip_prefix(&real).unwrap().display().to_string(),
            Err(why) => format!("refused: {why}"),
        };
        text.push_str(&format!("{path} → {verdict}\n"));
    }
    text
}

#[test]
fn paths_are_judged_by_where_they_lead() {
    insta::assert_snapshot!(verdicts(&[
        "", ".", "file", "a/b", "in", "here/here/file", "up/file", "back/b", "later", "missing/x", "missing/../file",
        "in/top/file", "TOP/demo/file", "TOP//demo/./file",
    ]), @"
     → demo
    . → demo
    file → demo/file
    a/b → demo/a/b
    in → demo/a/b
    here/here/file → demo/file
    up/file → demo/file
    back/b → demo/a/b
    later → demo/c/not-there
    missing/x → demo/missing/x
    missing/../file → demo/file
    in/top/file → demo/file
    TOP/demo/file → demo/file
    TOP//demo/./file → demo/file
    ");
    insta::assert_snapshot!(verdicts(&[
        "..", "../outside/file", "a/../../outside", "out", "out/file", "far", "far/missing", "chain", "chain/file", "loop",
        "loop/x", "nowhere", "twin", "in/above", "in/above/demo/file", "round", "proc", "proc/etc/passwd", "file/x",
        "in/../../file", "a/b/../../../outside", "missing/../../outside", "TOP/outside/../demo/file", "TOP/demo-not",
        "TOP/demo/../outside", "TOP/demo/in/../../../demo/file", "/", "/etc/passwd",
    ]), @"
    .. → refused: it leads out of the project's directory
    ../outside/file → refused: it leads out of the project's directory
    a/../../outside → refused: it leads out of the project's directory
    out → refused: it leads out of the project's directory
    out/file → refused: it leads out of the project's directory
    far → refused: it leads out of the project's directory
    far/missing → refused: it leads out of the project's directory
    chain → refused: it leads out of the project's directory
    chain/file → refused: it leads out of the project's directory
    loop → refused: it leads in a circle
    loop/x → refused: it leads in a circle
    nowhere → refused: it leads out of the project's directory
    twin → refused: it leads out of the project's directory
    in/above → refused: it leads out of the project's directory
    in/above/demo/file → refused: it leads out of the project's directory
    round → refused: it leads out of the project's directory
    proc → refused: it leads out of the project's directory
    proc/etc/passwd → refused: it leads out of the project's directory
    file/x → refused: where it leads cannot be seen
    in/../../file → refused: it leads out of the project's directory
    a/b/../../../outside → refused: it leads out of the project's directory
    missing/../../outside → refused: it leads out of the project's directory
    TOP/outside/../demo/file → refused: it leads out of the project's directory
    TOP/demo-not → refused: it leads out of the project's directory
    TOP/demo/../outside → refused: it leads out of the project's directory
    TOP/demo/in/../../../demo/file → refused: it leads out of the project's directory
    / → refused: it leads out of the project's directory
    /etc/passwd → refused: it leads out of the project's directory
    ");
}

/// What is outside makes no difference to what is said.
#[test]
fn whether_something_outside_exists_cannot_be_found_out() {
    let (directory, confines) = tree();
    for (there, missing) in [
        ("out/file", "out/missing"),
        ("out/a/../../demo/file", "out/missing/../../demo/file"),
        ("../outside/../demo/file", "../missing/../demo/file"),
    ] {
        let verdict = |path: &str| confines.resolve(&directory.path().join("demo").join(path));
        // By name, the last two are in the project.
        assert_eq!(
            verdict(there).is_err(),
            verdict(missing).is_err(),
            "{there}"
        );
        assert_eq!(verdict(there).err(), verdict(missing).err(), "{there}");
    }
}

#[test]
fn a_directory_that_holds_the_host_confines_nothing() {
    let home = tempfile::tempdir().unwrap();
    let above = home.path().join("me");
    std::fs::create_dir(&above).unwrap();
    let mut request = Request::default();
    request
        .environment
        .insert("HOME".to_owned(), above.display().to_string());
    let verdict = |path: &Path| Confines::new(&request, &Untrusted::default(), path);
    for path in ["/", "/var", "/etc", "/usr", "/run", "/proc/self/root"] {
        let problem = verdict(Path::new(path)).unwrap_err();
        assert!(problem.message.contains("cannot be confined"), "{problem}");
    }
    assert!(verdict(&above).is_err());
    assert!(verdict(home.path()).is_err());
    std::fs::create_dir(above.join("project")).unwrap();
    assert!(verdict(&above.join("project")).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    /// What the kernel makes of an accepted path is inside, and so is what remains of it when `..` is
    /// taken by name.
    #[test]
    fn no_path_that_resolves_outside_is_accepted(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "a", "b", "c", "in", "up", "here", "out", "far", "back", "chain", "loop", "nowhere", "later", "twin", "top",
                "above", "round", "proc", "..", "..", ".", "file", "new", "demo", "outside", "",
            ]),
            0..7,
        ),
        absolute: bool,
    ) {
        let (directory, confines) = tree();
        let root = directory.path().join("demo");
        let real_root = root.canonicalize().unwrap();
        let text = parts.join("/");
        let path = if absolute { directory.path().join(text) } else { root.join(text) };
        let by_name = super::super::super::files::clean_path(&path);
        if let Ok(found) = confines.resolve(&path) {
            prop_assert!(found.starts_with(&real_root), "{}", found.display());
            for path in [&path, &by_name] {
                // Of what is not there yet, the part that is there.
                let existing = path.ancestors().find_map(|part| part.canonicalize().ok());
                let existing = existing.unwrap();
                prop_assert!(
                    existing.starts_with(&real_root) || real_root.starts_with(&existing),
                    "{} → {}", path.display(), existing.display(),
                );
                if let Ok(whole) = path.canonicalize() {
                    prop_assert!(whole.starts_with(&real_root), "{} → {}", path.display(), whole.display());
                }
                // A link to nothing is not made into something outside.
                if std::fs::create_dir_all(path).is_ok() {
                    let made = path.canonicalize().unwrap();
                    prop_assert!(made.starts_with(&real_root), "{} → {}", path.display(), made.display());
                }
            }
        }
    }
}

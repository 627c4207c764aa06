use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::mask::Masker;

/// An entry of an archive, as hostile as it may be: nothing is checked at writing.
struct Entry {
    name: Vec<u8>,
    kind: tar::EntryType,
    link: Vec<u8>,
    content: Vec<u8>,
    mode: u32,
}

fn file(name: impl AsRef<[u8]>, content: &str) -> Entry {
    Entry {
        name: name.as_ref().to_vec(),
        kind: tar::EntryType::Regular,
        link: Vec::new(),
        content: content.as_bytes().to_vec(),
        mode: 0o644,
    }
}

fn link(name: &str, kind: tar::EntryType, target: &str) -> Entry {
    Entry {
        kind,
        link: target.as_bytes().to_vec(),
        ..file(name, "")
    }
}

fn archive(entries: &[Entry]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in entries {
        let mut header = tar::Header::new_ustar();
        let raw = header.as_ustar_mut().expect("ustar");
        assert!(entry.name.len() <= 100, "short names only");
        raw.name[..entry.name.len()].copy_from_slice(&entry.name);
        raw.linkname[..entry.link.len()].copy_from_slice(&entry.link);
        header.set_entry_type(entry.kind);
        header.set_mode(entry.mode);
        header.set_mtime(1_000_000_000);
        header.set_size(entry.content.len() as u64);
        header.set_cksum();
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(&entry.content);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

struct Unpacked {
    directory: tempfile::TempDir,
    record: Record,
}

impl Unpacked {
    fn text(&self, path: &str) -> String {
        let path = self.directory.path().join("e2e").join(path);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    fn names(&self) -> Vec<&str> {
        self.record
            .files
            .iter()
            .map(|one| one.path.as_str())
            .collect()
    }

    fn left_out(&self) -> Vec<(&str, &str)> {
        let left_out = self.record.left_out.iter();
        left_out
            .map(|one| (one.from.as_str(), one.reason.as_str()))
            .collect()
    }
}

fn unpack_within(limits: Limits, globs: &[&str], parts: &[(&str, Vec<u8>)]) -> Unpacked {
    let directory = tempfile::tempdir().expect("temporary directory");
    let globs: Vec<String> = globs.iter().map(|glob| (*glob).to_owned()).collect();
    let selection = Selection::new("/app", &globs).expect("valid globs");
    let mut chest =
        Chest::open(directory.path(), "e2e", selection, (limits, Masker::none())).expect("opened");
    for (root, bytes) in parts {
        if let Err(error) = chest.unpack(root, bytes.as_slice()) {
            chest.problem(error.to_string(), false);
        }
    }
    Unpacked {
        record: chest.close(),
        directory,
    }
}

fn unpack(globs: &[&str], root: &str, entries: &[Entry]) -> Unpacked {
    unpack_within(Limits::default(), globs, &[(root, archive(entries))])
}

fn roots(globs: &[&str]) -> Vec<String> {
    let globs: Vec<String> = globs.iter().map(|glob| (*glob).to_owned()).collect();
    Selection::new("/app", &globs).expect("valid globs").roots()
}

#[test]
fn a_container_is_read_from_the_deepest_directories_that_hold_everything() {
    assert_eq!(roots(&["screenshots/"]), ["/app/screenshots/"]);
    assert_eq!(
        roots(&["screenshots", "./a.txt"]),
        ["/app/a.txt", "/app/screenshots"]
    );
    assert_eq!(roots(&["out/**/*.png", "out/deep/x"]), ["/app/out/"]);
    assert_eq!(roots(&["out", "out/"]), ["/app/out/"]);
    assert_eq!(roots(&["out", "output"]), ["/app/out", "/app/output"]);
    assert_eq!(roots(&["/var/log/*.log"]), ["/var/log/"]);
    assert_eq!(roots(&["*.log"]), ["/app/"]);
    for whole in ["/", "/*", "/**/x"] {
        let refused = Selection::new("/app", &[whole.to_owned()]);
        assert_eq!(
            refused.expect_err("refused"),
            SelectionError::WholeContainer(whole.to_owned())
        );
    }
    assert!(Selection::new("/", &["*".to_owned()]).is_err());
}

#[test]
fn globs_mean_files_and_directories_with_everything_in_them() {
    let entries = [
        file("out/a.png", "a"),
        file("out/deep/b.png", "b"),
        file("out/deep/c.txt", "c"),
    ];
    let some = unpack(&["out/**/*.png"], "/app/out/", &entries);
    assert_eq!(some.names(), ["out/a.png", "out/deep/b.png"]);
    assert_eq!(some.text("out/deep/b.png"), "b");
    let all = unpack(&["out/"], "/app/out/", &entries);
    assert_eq!(all.names().len(), 3);
    let one_level = unpack(&["out/*.png", "out/none*"], "/app/out/", &entries);
    assert_eq!(one_level.names(), ["out/a.png"]);
    assert_eq!(one_level.record.unmatched, ["out/none*"]);
    let elsewhere = unpack(&["/var/log/"], "/var/log/", &[file("log/x.log", "x")]);
    assert_eq!(elsewhere.names(), ["var/log/x.log"]);
    let directory = unpack(&["out/de*"], "/app/out/", &entries);
    assert_eq!(directory.names(), ["out/deep/b.png", "out/deep/c.txt"]);
}

#[test]
fn nothing_leads_out_and_nothing_special_comes_in() {
    let hostile = [
        file("../../etc/passwd", "up"),
        file("/etc/passwd", "absolute"),
        file("out/../../x", "through"),
        link("out/hosts", tar::EntryType::Symlink, "/etc/hosts"),
        link("out/up", tar::EntryType::Symlink, "../../../../etc/hosts"),
        link("out/hard", tar::EntryType::Link, "/etc/hosts"),
        link("out/null", tar::EntryType::Char, ""),
        link("out/sda", tar::EntryType::Block, ""),
        link("out/pipe", tar::EntryType::Fifo, ""),
        // The directory of what follows is a link by the archive's own words.
        link("out/dir", tar::EntryType::Symlink, "/tmp"),
        file("out/dir/inside", "a file behind a link"),
        Entry {
            mode: 0o6755,
            ..file("out/run", "setuid")
        },
        Entry {
            mode: 0o000,
            ..file("out/closed", "readable here")
        },
    ];
    let unpacked = unpack(&["out/"], "/app/out/", &hostile);
    assert_eq!(
        unpacked.names(),
        ["out/closed", "out/dir/inside", "out/run"]
    );
    assert_eq!(unpacked.text("out/closed"), "readable here");
    let run = unpacked.directory.path().join("e2e/out/run");
    let mode = fs::metadata(&run).expect("there").permissions().mode();
    assert_eq!(mode & 0o7000, 0, "{mode:o}");
    assert_eq!(mode & 0o100, 0o100, "{mode:o}");
    let reasons = unpacked.left_out();
    let reason = |path: &str| {
        let found = reasons.iter().find(|(from, _)| *from == path);
        found.map_or("", |(_, reason)| *reason).to_owned()
    };
    assert_eq!(
        reason("../../etc/passwd"),
        "its name leads out of the archive"
    );
    assert_eq!(reason("/etc/passwd"), "its name leads out of the archive");
    assert_eq!(
        reason("/app/out/hosts"),
        "a link to `/etc/hosts`, which is not among what is kept"
    );
    assert_eq!(
        reason("/app/out/up"),
        "a link that leads out of the container"
    );
    assert_eq!(
        reason("/app/out/hard"),
        "a link that leads out of the container"
    );
    assert_eq!(reason("/app/out/null"), "a device");
    assert_eq!(reason("/app/out/sda"), "a device");
    assert_eq!(reason("/app/out/pipe"), "a named pipe");
    // Nothing but the one directory was made.
    let made: Vec<_> = fs::read_dir(unpacked.directory.path())
        .expect("readable")
        .collect();
    assert_eq!(made.len(), 1);
    for entry in walk(&unpacked.directory.path().join("e2e")) {
        assert!(!entry.is_symlink(), "{}", entry.display());
    }
}

fn walk(directory: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("readable") {
        let path = entry.expect("readable").path();
        if path.is_dir() && !path.is_symlink() {
            found.extend(walk(&path));
        }
        found.push(path);
    }
    found
}

#[test]
fn links_to_what_is_kept_become_copies() {
    let unpacked = unpack(
        &["out/"],
        "/app/out/",
        &[
            file("out/real.txt", "content"),
            link("out/soft", tar::EntryType::Symlink, "real.txt"),
            link("out/absolute", tar::EntryType::Symlink, "/app/out/real.txt"),
            link("out/chain", tar::EntryType::Symlink, "./soft"),
            link("out/hard", tar::EntryType::Link, "out/real.txt"),
            link("out/round", tar::EntryType::Symlink, "round"),
        ],
    );
    for name in ["soft", "absolute", "chain", "hard"] {
        assert_eq!(unpacked.text(&format!("out/{name}")), "content", "{name}");
    }
    assert_eq!(unpacked.record.bytes, 35);
    assert_eq!(unpacked.left_out().len(), 1, "{:?}", unpacked.left_out());
}

#[test]
fn a_link_that_is_there_already_is_not_followed() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let elsewhere = tempfile::tempdir().expect("temporary directory");
    let globs = ["out/".to_owned()];
    let selection = Selection::new("/app", &globs).expect("valid");
    let limits = Limits::default();
    let mut chest = Chest::open(
        directory.path(),
        "e2e",
        selection.clone(),
        (limits, Masker::none()),
    )
    .expect("opened");
    // A container that mounts the project can write here.
    std::os::unix::fs::symlink(elsewhere.path(), directory.path().join("e2e/out")).expect("linked");
    let refused = chest.unpack("/app/out/", archive(&[file("out/a", "a")]).as_slice());
    assert!(
        matches!(refused, Err(UnpackError::Write { .. })),
        "{refused:?}"
    );
    assert_eq!(fs::read_dir(elsewhere.path()).expect("readable").count(), 0);
    std::os::unix::fs::symlink(elsewhere.path(), directory.path().join("unit")).expect("linked");
    assert!(
        Chest::open(
            directory.path(),
            "unit",
            selection,
            (limits, Masker::none())
        )
        .is_err()
    );
}

#[test]
fn limits_leave_out_what_is_too_much_and_say_so() {
    let entries = [
        file("out/1", "12345678"),
        file("out/2", "123456789012345678901234567890"),
        file("out/3", "12345678"),
        file("out/4", "1"),
        file("out/5", "1"),
    ];
    let limits = Limits {
        bytes: 20,
        files: 3,
    };
    let unpacked = unpack_within(limits, &["out"], &[("/app/out", archive(&entries))]);
    assert_eq!(unpacked.names(), ["out/1", "out/3", "out/4"]);
    assert_eq!(
        unpacked.left_out(),
        [
            (
                "/app/out/2",
                "its 30 bytes are beyond the limit of 20 bytes"
            ),
            ("/app/out/5", "more than 3 files"),
        ]
    );
    let copies = [
        file("out/1", "123456789012345"),
        link("out/2", tar::EntryType::Symlink, "1"),
    ];
    let unpacked = unpack_within(limits, &["out"], &[("/app/out", archive(&copies))]);
    assert_eq!(unpacked.names(), ["out/1"], "copies count as well");
}

#[test]
fn what_came_before_the_end_of_a_broken_archive_stays_and_half_a_file_does_not() {
    let whole = archive(&[file("out/a", "whole"), file("out/b", &"x".repeat(5000))]);
    let broken = whole[..2000].to_vec();
    let unpacked = unpack_within(Limits::default(), &["out"], &[("/app/out", broken)]);
    assert_eq!(unpacked.names(), ["out/a"]);
    assert!(!unpacked.directory.path().join("e2e/out/b").exists());
    assert_eq!(unpacked.record.problems.len(), 1);
    assert!(!unpacked.record.unwritable);
    let nonsense = vec![b'x'; 4096];
    let unpacked = unpack_within(Limits::default(), &["out"], &[("/app/out", nonsense)]);
    assert_eq!(unpacked.record.problems.len(), 1);
}

#[test]
fn names_survive_whatever_they_are() {
    let long = format!("out/{}.png", "x".repeat(90));
    let unpacked = unpack(
        &["out"],
        "/app/out",
        &[
            file(b"out/\xff\xfe.png", "no UTF-8"),
            file("out/10:22 \"quoted\".png", "refused by uploads"),
            file("out/Case.txt", "upper"),
            file("out/case.txt", "lower"),
            file("out/line\nbreak", "control"),
            file("out/dots.", "cut by some systems"),
            file(&long, "long"),
            file("out/case.txt/below", "a directory where a file is"),
        ],
    );
    assert_eq!(unpacked.text("out/%FF%FE.png"), "no UTF-8");
    assert_eq!(
        unpacked.text("out/10%3A22 %22quoted%22.png"),
        "refused by uploads"
    );
    assert_eq!(unpacked.text("out/Case.txt"), "upper");
    assert_eq!(unpacked.text("out/case~2.txt"), "lower");
    assert_eq!(unpacked.text("out/line%0Abreak"), "control");
    assert_eq!(unpacked.text("out/dots%2E"), "cut by some systems");
    assert_eq!(
        unpacked.text("out/case.txt~2/below"),
        "a directory where a file is"
    );
    assert_eq!(unpacked.record.files.len(), 8);
}

#[test]
fn limits_are_sizes_with_a_number_of_files() {
    let limits = |bytes, files| Some(Limits { bytes, files });
    assert_eq!(Limits::parse("200MiB"), limits(200 << 20, 10_000));
    assert_eq!(Limits::parse("1g/5"), limits(1 << 30, 5));
    assert_eq!(Limits::parse(" 12 / 7 "), limits(12, 7));
    assert_eq!(Limits::parse("0"), limits(0, 10_000));
    for wrong in [
        "",
        "-1",
        "1x",
        "1g/",
        "1g/x",
        "/5",
        "99999999999g",
        "+5",
        "1.5g",
    ] {
        assert_eq!(Limits::parse(wrong), None, "{wrong}");
    }
    assert_eq!(size(1536), "1.5 KiB");
    assert_eq!(size(12), "12 bytes");
    assert_eq!(size(1 << 30), "1 GiB");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whatever a path is made of, its name is one that every system takes, and no other has it.
    #[test]
    fn names_are_safe_and_differ(paths in prop::collection::vec(
        prop::collection::vec(prop_oneof![
            Just(b'/'), Just(b'.'), Just(b'a'), Just(b'A'), Just(b'~'), Just(b'2'), any::<u8>()
        ], 1..400), 1..12)) {
        let mut names = Names::default();
        let mut seen = std::collections::HashSet::new();
        for path in &paths {
            let name = names.give(path);
            prop_assert!(seen.insert(name.to_lowercase()), "{name} twice");
            prop_assert!(name.len() < 1600, "{} bytes", name.len());
            prop_assert!(!name.starts_with('/'));
            for part in name.split('/') {
                prop_assert!(!part.is_empty() && part != "." && part != "..", "{name:?}");
                prop_assert!(part.len() <= 255, "{name:?}");
                prop_assert!(!part.chars().any(|letter| letter.is_control()
                    || "\":<>|*?\\".contains(letter)), "{name:?}");
            }
        }
        // No file stands where a directory has to be.
        for name in &seen {
            for (at, _) in name.match_indices('/') {
                prop_assert!(!seen.contains(&name[..at]), "{name} below a file");
            }
        }
    }
}

#[test]
fn secrets_are_taken_out_of_what_is_kept_wherever_a_piece_ends() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let selection = Selection::new("/app", &["logs/".to_owned()]).expect("valid globs");
    let secret = crate::mask::Secret::new("a secret", "hunter2hunter2");
    let (masker, _) = Masker::new(&[secret]).expect("a masker");
    let limits = Limits::default();
    let mut chest =
        Chest::open(directory.path(), "e2e", selection, (limits, masker)).expect("opened");
    // Copied in pieces of a power of two, so the secret lies across the end of several.
    let content = format!("{}hunter2hunter2 end", "x".repeat((1 << 20) - 7));
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    builder
        .append_data(&mut header, "logs/a.log", content.as_bytes())
        .expect("a file");
    let bytes = builder.into_inner().expect("an archive");
    chest
        .unpack("/app/logs", bytes.as_slice())
        .expect("unpacked");
    let record = chest.close();
    let kept = directory.path().join("e2e/logs/a.log");
    let text = fs::read_to_string(kept).expect("kept");
    assert!(text.ends_with("xxx*** end"), "{}", text.len());
    assert_eq!(record.bytes, text.len() as u64);
}

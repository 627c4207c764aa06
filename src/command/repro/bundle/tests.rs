use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{EntryType, Header};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::*;

/// The text of a bundle that can be read.
fn text() -> String {
    let bundle = serde_json::json!({
        "kind": "envrun-run", "schema": 1, "state": "complete", "envrun": "1", "run": "r", "started": "",
        "command": {
            "name": "run", "profiles": [], "env_files": [], "only": [], "skip": [], "shard": null,
            "parallel": null, "fail_fast": false, "untrusted": false, "concurrent_starts": null, "locked": false
        },
        "project": { "name": "p", "files": [], "model": { "services": { "a": {} } } },
        "variables": {}, "secrets": [], "settings": {}, "files": {}, "builds": {}, "unseen": [],
        "context": CONTEXT, "git": null, "engine": null, "host": { "os": "", "architecture": "" }, "ci": null,
        "images": [], "order": { "steps": [], "suites": [] },
        "results": { "exit_code": 0, "duration_ms": 1, "failure": null, "signal": null, "suites": [] }
    });
    bundle.to_string()
}

fn tarball(path: &Path, entries: &[(&str, EntryType, &str)]) {
    let mut tar = tar::Builder::new(GzEncoder::new(
        File::create(path).expect("made"),
        Compression::fast(),
    ));
    for (name, kind, content) in entries {
        let mut header = Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(0o4755);
        let bytes = match kind {
            EntryType::Regular => content.as_bytes(),
            _ => &[],
        };
        header.set_size(bytes.len() as u64);
        // Written as it is: the crate would refuse these names.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        if *kind != EntryType::Regular {
            header.as_old_mut().linkname[..content.len()].copy_from_slice(content.as_bytes());
        }
        header.set_cksum();
        tar.append(&header, bytes).expect("appended");
    }
    tar.into_inner().expect("a tar").finish().expect("written");
}

#[test]
fn a_context_that_wants_to_be_elsewhere_is_refused() {
    let scratch = tempfile::tempdir().expect("temporary directory");
    let archive = scratch.path().join(CONTEXT);
    let outside = scratch.path().join("outside");
    fs::create_dir(&outside).expect("made");
    let link = outside.to_str().expect("text").to_owned();
    let cases: &[&[(&str, EntryType, &str)]] = &[
        &[("../outside/a", EntryType::Regular, "x")],
        &[("a/../../outside/a", EntryType::Regular, "x")],
        &[("/tmp/envrun-escape", EntryType::Regular, "x")],
        &[
            ("link", EntryType::Symlink, &link),
            ("link/a", EntryType::Regular, "x"),
        ],
        &[("link", EntryType::Symlink, "../outside")],
        &[("a/link", EntryType::Symlink, "../../outside")],
        &[("hard", EntryType::Link, "../outside/a")],
        &[("pipe", EntryType::Fifo, "")],
        &[("device", EntryType::Char, "")],
    ];
    for (number, entries) in cases.iter().enumerate() {
        tarball(&archive, entries);
        let into = scratch.path().join(format!("into{number}"));
        fs::create_dir(&into).expect("made");
        let error = unpack_context(&archive, &into).expect_err("refused");
        assert!(
            error.contains("does not stay in the project"),
            "{number}: {error}"
        );
        let names = fs::read_dir(&outside).expect("readable").count();
        assert_eq!(names, 0, "{number}");
    }
    assert!(!Path::new("/tmp/envrun-escape").exists());
}

#[test]
fn files_and_links_of_a_context_come_back_without_special_rights() {
    use std::os::unix::fs::PermissionsExt as _;
    let scratch = tempfile::tempdir().expect("temporary directory");
    let archive = scratch.path().join(CONTEXT);
    let into = scratch.path().join("into");
    fs::create_dir(&into).expect("made");
    tarball(
        &archive,
        &[
            ("a/b", EntryType::Regular, "text"),
            ("a/link", EntryType::Symlink, "../a/b"),
        ],
    );
    unpack_context(&archive, &into).expect("unpacked");
    assert_eq!(
        fs::read_to_string(into.join("a/link")).expect("readable"),
        "text"
    );
    let mode = fs::metadata(into.join("a/b"))
        .expect("there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o7000, 0, "{mode:o}");
    assert_eq!(mode & 0o100, 0o100, "{mode:o}");
    fs::write(&archive, b"\x1f\x8bnothing").expect("written");
    let error = unpack_context(&archive, &into).expect_err("broken");
    assert!(error.contains("cannot be unpacked"), "{error}");
}

#[test]
fn an_archive_gives_its_bundle_and_nothing_else() {
    let scratch = tempfile::tempdir().expect("temporary directory");
    let path = |name: &str| scratch.path().join(name);
    tarball(
        &path("a.tgz"),
        &[
            ("envrun-out/run.json", EntryType::Regular, &text()),
            ("envrun-out/context.tar.gz", EntryType::Regular, "x"),
            (
                "envrun-out/deep/er/run.json",
                EntryType::Regular,
                "not this one",
            ),
            ("other/context.tar.gz", EntryType::Regular, "nor this one"),
        ],
    );
    let opened = open(&path("a.tgz")).expect("opened");
    let context = opened.context.as_deref().expect("a context");
    assert_eq!(fs::read_to_string(context).expect("readable"), "x");
    // A link is not a bundle.
    tarball(
        &path("b.tgz"),
        &[("run.json", EntryType::Symlink, "/etc/passwd")],
    );
    let error = open(&path("b.tgz")).err().expect("refused");
    assert!(error.contains("holds no `run.json`"), "{error}");
    for (name, entries) in [
        ("c.zip", ["../run.json", "x"]),
        ("d.zip", ["run.json", "x/run.json"]),
    ] {
        let mut zip = ZipWriter::new(File::create(path(name)).expect("made"));
        for entry in entries {
            zip.start_file(entry, SimpleFileOptions::default())
                .expect("begun");
            zip.write_all(text().as_bytes()).expect("written");
        }
        zip.finish().expect("written");
        // Whatever an entry is called, it is read, and written nowhere but in a directory of our own.
        assert!(open(&path(name)).is_ok(), "{name}");
    }
    assert!(
        !scratch
            .path()
            .parent()
            .expect("a parent")
            .join(FILE)
            .exists()
    );
}

#[test]
fn what_swells_when_it_is_unpacked_is_stopped() {
    let scratch = tempfile::tempdir().expect("temporary directory");
    let path = scratch.path().join("bomb.zip");
    let mut zip = ZipWriter::new(File::create(&path).expect("made"));
    zip.start_file(FILE, SimpleFileOptions::default())
        .expect("begun");
    let zeros = vec![0; 1 << 20];
    for _ in 0..=(LARGEST >> 20) {
        zip.write_all(&zeros).expect("written");
    }
    zip.finish().expect("written");
    let error = open(&path).err().expect("refused");
    assert!(error.contains("larger than 64 MiB"), "{error}");
}

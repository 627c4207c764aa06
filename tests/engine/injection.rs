//! Secrets and configs are in the container before it starts, with the owner and the mode that the file
//! asks for, whatever the container is like.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use rustix::process::Signal;

use crate::harness::project::held_suite;
use crate::harness::{Project, image};

/// A suite that prints what it finds at some paths: mode, owner, and the content with each letter
/// replaced by the next, since secrets are masked in logs.
fn looking(paths: &str, more: &str) -> String {
    format!(
        "
  checks:
    image: {base}
    command: [bash, -c, 'for path in {paths}; do stat -c \"%a %u:%g %F\" $$path; tr a-z b-za < $$path; echo; done']
    x-envrun: {{ suite: {{}} }}
{more}",
        base = image::BASE,
    )
}

const DECLARED: &str = "
secrets:
  token: { environment: TEST_TOKEN }
  key: { file: ./key.pem }
  script: { file: ./script.sh }
configs:
  settings: { content: 'port=80' }
";

/// Runs a suite that uses all of them, and gives what it printed.
fn seen(more: &str) -> String {
    let paths = "/run/secrets/token /run/secrets/key /run/secrets/script /settings /etc/deep/er/settings /var/run/other";
    let uses = "
    secrets: [token, key, script, { source: token, target: /var/run/other, mode: 0400 }]
    configs:
      - settings
      - { source: settings, target: /etc/deep/er/settings, uid: '1000', gid: '1001', mode: 0640 }
";
    let services = looking(paths, &format!("{uses}{more}"));
    let project = Project::new(&format!("services:{services}{DECLARED}"))
        .having("key.pem", "the key")
        .having("script.sh", "true");
    // Readable for its owner alone here, and nevertheless readable there.
    let only_me = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(project.path("key.pem"), only_me).unwrap();
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(project.path("script.sh"), executable).unwrap();
    let mut command = project.command(&[]);
    command.env("TEST_TOKEN", "s3cret value");
    let finished = crate::harness::Run::start(&project, command, "out").finish();
    finished.assert_code(0);
    String::from_utf8(finished.log("checks")).unwrap()
}

const WANTED: &str = "444 0:0 regular file
t3dsfu wbmvf
444 0:0 regular file
uif lfz
555 0:0 regular file
usvf
444 0:0 regular file
qpsu=80
640 1000:1001 regular file
qpsu=80
400 0:0 regular file
t3dsfu wbmvf
";

#[test]
fn files_have_their_content_owner_and_mode() {
    assert_eq!(seen(""), WANTED);
}

#[test]
fn a_read_only_container_gets_them_too() {
    assert_eq!(seen("    read_only: true\n"), WANTED);
}

#[test]
fn a_tmpfs_does_not_hide_them() {
    assert_eq!(seen("    tmpfs: [/run, '/etc/deep:mode=755']\n"), WANTED);
}

#[test]
fn a_volume_does_not_hide_them_nor_carry_them_away() {
    let name = "a-name-of-sixty-characters-that-all-of-them-have-in-common-00";
    let services = looking(
        "/data/settings /other/settings",
        "
    volumes: ['data:/data', 'data:/other:ro']
    configs: [{ source: settings, target: /data/settings, uid: '5' }]
",
    );
    let services = services.replace("checks", name);
    let project = Project::new(&format!(
        "services:{services}volumes: {{ data: {{}} }}\n{DECLARED}"
    ));
    let finished = project.run();
    let log = String::from_utf8(finished.log(name)).unwrap();
    // The volume has the place where the file is mounted, and not its content.
    assert_eq!(
        log,
        "444 5:0 regular file\nqpsu=80\n755 0:0 regular empty file\n\n"
    );
}

#[test]
fn a_user_without_privileges_reads_what_is_his() {
    let services = looking(
        "/run/secrets/token /run/secrets/mine",
        "
    user: '1000:1000'
    secrets: [token, { source: token, target: mine, uid: '1000', gid: '1000', mode: '0400' }]
",
    );
    let project = Project::new(&format!("services:{services}{DECLARED}"));
    let mut command = project.command(&[]);
    command.env("TEST_TOKEN", "t");
    let finished = crate::harness::Run::start(&project, command, "out").finish();
    finished.assert_code(0);
    let log = String::from_utf8(finished.log("checks")).unwrap();
    assert_eq!(
        log,
        "444 0:0 regular file\nu\n400 1000:1000 regular file\nu\n"
    );
}

#[test]
fn a_directory_and_a_large_file_arrive_whole() {
    for more in ["", "    read_only: true\n"] {
        let project = Project::new(&format!(
            "
services:
  checks:
    image: {base}
    command: [bash, -c, 'cd /tree; sha256sum big | cut -d\" \" -f1; find . -printf \"%m %y %P %l\\n\" | sort']
    configs: [{{ source: tree, target: /tree }}]
    x-envrun: {{ suite: {{}} }}
{more}configs: {{ tree: {{ file: tree }} }}
",
            base = image::BASE
        ));
        let big: Vec<u8> = (0..10_u32 << 18).flat_map(u32::to_le_bytes).collect();
        project.file("tree/big", &big);
        project.file("tree/sub/leaf", "x");
        std::os::unix::fs::symlink("sub/leaf", project.path("tree/link")).unwrap();
        let sum = std::process::Command::new("sha256sum")
            .arg(project.path("tree/big"))
            .output()
            .unwrap()
            .stdout;
        let sum = String::from_utf8(sum).unwrap();
        let finished = project.run();
        finished.assert_code(0);
        let log = String::from_utf8(finished.log("checks")).unwrap();
        let wanted = format!(
            "{}\n444 f big \n444 f sub/leaf \n555 d  \n555 d sub \n777 l link sub/leaf\n",
            sum.split(' ').next().unwrap()
        );
        assert_eq!(log, wanted);
    }
}

#[test]
fn values_are_in_nothing_that_the_engine_shows() {
    let project = Project::new(&format!(
        "services:\n  sealed:\n    image: {base}\n    command: [sleep, infinity]\n    read_only: true\n    secrets: [token]\n  checks:\n    {held}\n    secrets: [token]\n    depends_on: [sealed]\n{DECLARED}",
        base = image::BASE,
        held = held_suite()
    ));
    let mut command = project.command(&[]);
    command.env("TEST_TOKEN", "s3cret value");
    let mut run = crate::harness::Run::start(&project, command, "out");
    run.until_suite_started("checks");
    let id = run.id();
    for kind in ["container", "volume"] {
        let inspected = project.engine.inspect(&id, kind);
        assert!(!inspected.is_empty());
        for one in inspected {
            assert!(!one.to_string().contains("s3cret"), "{one}");
        }
    }
    project.open_gate();
    let finished = run.finish();
    finished.assert_code(0);
    assert!(!format!("{:?}", finished.events).contains("s3cret"));
}

#[test]
fn sigkill_leaves_neither_the_volume_nor_what_it_was_filled_through() {
    let project = Project::new(&format!(
        "services:\n  checks:\n    {held}\n    read_only: true\n    secrets: [token]\n{DECLARED}",
        held = held_suite()
    ));
    let mut command = project.command(&[]);
    command.env("TEST_TOKEN", "s3cret value");
    let mut run = crate::harness::Run::start(&project, command, "out");
    run.until_suite_started("checks");
    let id = run.id();
    assert_eq!(project.engine.inspect(&id, "volume").len(), 1);
    run.signal(Signal::KILL);
    run.wait(Duration::from_secs(5));
    run.until_nothing_is_left(Duration::from_secs(10));
}

#[test]
fn a_file_in_place_of_a_directory_is_refused_and_nothing_is_lost() {
    let services = looking(
        "/etc/hostname",
        "    configs: [{ source: settings, target: /usr }]\n",
    );
    let project = Project::new(&format!("services:{services}{DECLARED}"));
    let finished = project.run();
    finished.assert_code(3);
    assert!(
        finished.stderr.contains("cannot overwrite directory"),
        "{}",
        finished.stderr
    );
}

#[test]
fn names_that_begin_alike_for_sixty_characters_stay_apart() {
    let name = |end: u32| format!("{}{end}", "n".repeat(59));
    let services: String = (0..3)
        .map(|number| {
            format!(
                "  {}:\n    image: {}\n    volumes: [/one, /two]\n    secrets: [token]\n    command: [bash, -c, 'test ! -e /one/x && test ! -e /two/x && touch /one/x && test ! -e /two/x && cat /run/secrets/token']\n    x-envrun: {{ suite: {{}} }}\n",
                name(number),
                image::BASE
            )
        })
        .collect();
    let project = Project::new(&format!("services:\n{services}{DECLARED}"));
    let mut command = project.command(&[]);
    command.env("TEST_TOKEN", "t");
    let finished = crate::harness::Run::start(&project, command, "out").finish();
    finished.assert_code(0);
    assert_eq!(finished.log(&name(2)), b"t");
}

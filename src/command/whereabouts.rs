//! Where this process is, as seen from the engine: on its host, in one of its containers, or elsewhere.

use std::path::Path;
use std::time::Duration;

use crate::clock;
use crate::engine::{Distance, Engine};
use crate::name::ContainerId;
use crate::plan::host::Host;

/// How long the engine may take for an answer. It is asked before anything is started, and one that
/// does not answer is found out by the run, which says so.
const PATIENCE: Duration = Duration::from_secs(5);

/// Finds out. Outside of containers nothing is asked of the engine; where the engine does not answer,
/// the run will say so.
pub(super) async fn of(engine: &dyn Engine) -> Host {
    let candidates = candidates(Path::new("/proc"));
    for candidate in &candidates {
        let Ok(answer) = clock::within(PATIENCE, engine.container_mounts(candidate)).await else {
            // It will not answer the next question either.
            break;
        };
        if let Ok(Some(mut mounts)) = answer {
            for mount in &mut mounts {
                // The engine has the target as it was asked for, and paths are compared without links.
                if let Ok(real) = mount.target.canonicalize() {
                    mount.target = real;
                }
            }
            return Host::Container(mounts);
        }
    }
    match engine.distance() {
        // Whoever mounted the socket into a container of another engine can mount files as well.
        Distance::Socket => Host::Same,
        // From inside a container that the engine does not know, this leads to an engine beside it,
        // which has files of its own.
        Distance::Loopback if candidates.is_empty() => Host::Same,
        Distance::Loopback | Distance::Remote => Host::Remote,
    }
}

/// Files that every engine mounts into its containers from a directory that is named by the container.
const MOUNTED: [&str; 3] = ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"];

/// Length of a full id, and of the short one that is the default host name.
const FULL: usize = 64;
const SHORT: usize = 12;

/// Ids that the container of this process may have, the surest first. Empty outside of containers, but
/// for hosts with the name of an id.
fn candidates(proc: &Path) -> Vec<ContainerId> {
    let read = |name: &str| std::fs::read_to_string(proc.join(name)).unwrap_or_default();
    let mounts = read("self/mountinfo");
    let mounts = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(3);
        let (root, target) = (fields.next()?, fields.next()?);
        MOUNTED.contains(&target).then_some(root)
    });
    let groups = read("self/cgroup");
    let groups = groups.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    let mut found: Vec<ContainerId> = Vec::new();
    for path in mounts.chain(groups) {
        found.extend(ids(path));
    }
    let name = read("sys/kernel/hostname");
    let name = name.trim();
    if name.len() == SHORT && is_hexadecimal(name) {
        found.push(ContainerId::new(name));
    }
    let mut seen = std::collections::HashSet::new();
    found.retain(|id| seen.insert(id.clone()));
    found
}

/// The ids in a path: `/docker/ID`, `/system.slice/docker-ID.scope`, `/…/containers/ID/hostname`.
fn ids(path: &str) -> impl Iterator<Item = ContainerId> {
    path.split(|letter: char| !letter.is_ascii_alphanumeric())
        .filter(|part| part.len() == FULL && is_hexadecimal(part))
        .map(ContainerId::new)
}

fn is_hexadecimal(text: &str) -> bool {
    text.bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn found(mountinfo: &str, cgroup: &str, hostname: &str) -> Vec<String> {
        let directory = tempfile::tempdir().expect("temporary directory");
        let write = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("created");
            std::fs::write(path, text).expect("written");
        };
        write("self/mountinfo", mountinfo);
        write("self/cgroup", cgroup);
        write("sys/kernel/hostname", hostname);
        candidates(directory.path())
            .into_iter()
            .map(|id| id.to_string())
            .collect()
    }

    #[test]
    fn a_container_is_known_by_its_mounts_its_cgroup_or_its_name() {
        let docker = format!(
            "600 599 254:0 /var/lib/docker/containers/{ID}/hostname /etc/hostname rw - ext4 /dev/vda rw\n"
        );
        let podman = format!(
            "600 599 0:5 /containers/overlay-containers/{ID}/userdata/hosts /etc/hosts rw - tmpfs t rw\n"
        );
        assert_eq!(found(&docker, "0::/\n", "runner\n"), [ID]);
        assert_eq!(found(&podman, "", ""), [ID]);
        assert_eq!(found("", &format!("4:memory:/docker/{ID}\n"), ""), [ID]);
        let scope = format!("0::/system.slice/docker-{ID}.scope\n");
        assert_eq!(found("", &scope, "0123456789ab\n"), [ID, "0123456789ab"]);
    }

    #[test]
    fn a_host_is_no_container_although_it_sees_mounts_of_containers() {
        let mountinfo = format!(
            "23 1 254:0 / / rw - ext4 /dev/vda rw\n90 23 0:50 / /var/lib/docker/overlay2/{ID}/merged rw - overlay overlay rw\n"
        );
        let nothing: [&str; 0] = [];
        assert_eq!(found(&mountinfo, "0::/user.slice\n", "build-7\n"), nothing);
    }
}

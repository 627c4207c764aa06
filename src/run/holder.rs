//! Who listens on a port of this host, as far as this user may see.

use std::fs;
use std::path::Path;

/// The process that listens on a TCP port here, in words; `None` where it cannot be seen.
pub(super) fn of(port: u16) -> Option<String> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| fs::read_to_string(path).ok());
    let inodes: Vec<String> = tables
        .iter()
        .flatten()
        .flat_map(|table| table.lines())
        .filter_map(|line| inode_of(line, port))
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    if inodes.is_empty() {
        return None;
    }
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let mut found = processes.filter_map(|entry| {
        let id: u32 = entry.file_name().to_str()?.parse().ok()?;
        let mut descriptors = fs::read_dir(entry.path().join("fd")).ok()?.flatten();
        let holds = descriptors.any(|descriptor| {
            let target = fs::read_link(descriptor.path());
            target.is_ok_and(|target| inodes.iter().any(|inode| target == Path::new(inode)))
        });
        holds.then(|| words(id, &entry.path()))
    });
    Some(
        found
            .next()
            .unwrap_or_else(|| "a process that this user may not see".to_owned()),
    )
}

/// The inode of a socket that listens on a port, of a line of the kernel's table.
fn inode_of(line: &str, port: u16) -> Option<&str> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let (_, local) = fields.get(1)?.rsplit_once(':')?;
    let is_it = *fields.get(3)? == "0A" && u16::from_str_radix(local, 16) == Ok(port);
    is_it.then(|| fields.get(9).copied()).flatten()
}

/// A process in words. Behind the engine's proxy is a container.
fn words(id: u32, directory: &Path) -> String {
    let name = fs::read_to_string(directory.join("comm")).unwrap_or_default();
    let name = name.trim();
    if name != "docker-proxy" {
        return format!("process {id} (`{name}`)");
    }
    let line = fs::read(directory.join("cmdline")).unwrap_or_default();
    let line = String::from_utf8_lossy(&line).into_owned();
    let after = |option: &str| {
        let found = line.split('\0').skip_while(|word| *word != option).nth(1);
        found.unwrap_or("?").to_owned()
    };
    let (address, port) = (after("-container-ip"), after("-container-port"));
    format!("the engine (process {id}) for its container at {address}, port {port},")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_of_this_process_is_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap_or_else(|error| {
            unreachable!("a port of loopback can be had: {error}");
        });
        let port = listener.local_addr().map_or(0, |address| address.port());
        let found = of(port).unwrap_or_default();
        let id = std::process::id();
        assert!(found.starts_with(&format!("process {id} ")), "{found}");
        drop(listener);
        assert_eq!(of(port), None);
    }
}

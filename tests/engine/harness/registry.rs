//! A registry on loopback with storage of its own, which engines talk to without TLS, and a proxy in
//! front of it that counts what is asked and lets pulls fail.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;

use super::wait;

/// A port of this machine where nobody listens, as a registry.
pub(crate) const NOBODY: &str = "127.0.0.1:1";

/// Who may pull from a registry with [`Access::Password`]. The password has letters whose base64
/// differs between the two alphabets.
pub(crate) const USER: &str = "user";
pub(crate) const PASSWORD: &str = "p?ss~w>rd";
const HTPASSWD: &str = "user:$2y$05$qowJNvkJbf0sIbzhEojnru1uDLUoqVurPP/YcsBvnywqofNoHyEoi\n";

/// A program that ends with 0, or, with an argument, waits to be killed.
const PROGRAM: &str = "#include <unistd.h>\nint main(int count, char **words) { if (count > 1) pause(); return 0; }\n";

/// Who may pull.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Everybody,
    Password,
}

/// How the next pull fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The registry answers with this status.
    Status(u16),
    /// The registry closes the connection.
    Close,
    /// The registry never answers.
    Stall,
    /// The registry answers 429 and asks to wait, in these words.
    Wait(&'static str),
}

/// A registry, with the proxy in front of it.
pub(crate) struct Registry {
    /// Removed with the registry.
    _storage: TempDir,
    server: Child,
    traffic: Arc<Mutex<Traffic>>,
    /// `127.0.0.1:PORT` of the proxy.
    pub(crate) address: String,
    /// Names of images on the engine that go with the registry.
    names: Mutex<Vec<String>>,
}

#[derive(Default)]
struct Traffic {
    /// `METHOD PATH` of each request.
    requests: Vec<String>,
    /// One for each pull to come.
    troubles: Vec<Trouble>,
    /// What the present pull meets.
    present: Option<Trouble>,
}

impl Registry {
    /// A registry that anybody may pull from.
    pub(crate) fn start() -> Self {
        Self::with_access(Access::Everybody, &[])
    }

    /// A registry with images of these names in it, such as `team/app:1`.
    pub(crate) fn with_access(access: Access, images: &[&str]) -> Self {
        let storage = tempfile::Builder::new()
            .prefix("envrun-registry-")
            .tempdir()
            .unwrap();
        fs::write(storage.path().join("htpasswd"), HTPASSWD).unwrap();
        let (mut server, behind) = serve(storage.path(), Access::Everybody);
        for image in images {
            push(storage.path(), &format!("{behind}/{image}"));
        }
        let mut behind = behind;
        if access == Access::Password {
            server.kill().unwrap();
            server.wait().unwrap();
            (server, behind) = serve(storage.path(), access);
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let traffic = Arc::<Mutex<Traffic>>::default();
        let shared = Arc::clone(&traffic);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (behind, shared) = (behind.clone(), Arc::clone(&shared));
                std::thread::spawn(move || answer(client, &behind, &shared));
            }
        });
        let registry = Self {
            _storage: storage,
            server,
            traffic,
            address,
            names: Mutex::default(),
        };
        for image in images {
            registry.own(&registry.name(image));
        }
        registry
    }

    /// The whole name of an image of this registry.
    pub(crate) fn name(&self, image: &str) -> String {
        format!("{}/{image}", self.address)
    }

    /// Notes a name of an image that the test leaves on the engine.
    pub(crate) fn own(&self, name: &str) {
        self.names.lock().unwrap().push(name.to_owned());
    }

    /// Lets the next pulls fail.
    pub(crate) fn trouble(&self, troubles: &[Trouble]) {
        self.traffic.lock().unwrap().troubles = troubles.to_vec();
    }

    /// How often somebody has begun to pull an image.
    pub(crate) fn pulls(&self) -> usize {
        let traffic = self.traffic.lock().unwrap();
        let requests = traffic.requests.iter();
        requests
            .filter(|request| request.starts_with("HEAD ") && request.contains("/manifests/"))
            .count()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
        for name in self.names.lock().unwrap().iter() {
            forget(name);
        }
    }
}

/// Takes a name from an image, and removes the image with its last name.
fn forget(name: &str) {
    let _ = Command::new("docker")
        .args(["image", "rm", "--force", name])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
}

/// Starts the server; another process may take the port between the choice and the start.
fn serve(storage: &Path, access: Access) -> (Child, String) {
    for _ in 0..5 {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|listener| listener.local_addr())
            .unwrap()
            .port();
        let address = format!("127.0.0.1:{port}");
        let mut configuration = format!(
            "version: 0.1
log: {{ level: error, accesslog: {{ disabled: true }} }}
storage: {{ filesystem: {{ rootdirectory: {directory}/images }} }}
http: {{ addr: {address} }}
",
            directory = storage.display()
        );
        if access == Access::Password {
            let _ = writeln!(
                configuration,
                "auth: {{ htpasswd: {{ realm: test, path: {}/htpasswd }} }}",
                storage.display()
            );
        }
        let file = storage.join("config.yml");
        fs::write(&file, configuration).unwrap();
        let mut server = Command::new("docker-registry")
            .args([Path::new("serve"), &file])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("these tests need Debian's `docker-registry`, run `ci/setup` first");
        let listens = wait::until("the registry", Duration::from_secs(20), || {
            if server.try_wait().unwrap().is_some() {
                return Some(false);
            }
            TcpStream::connect(&address).is_ok().then_some(true)
        });
        if listens {
            return (server, address);
        }
    }
    panic!("no registry could be started");
}

/// Makes an image that no other test has, pushes it, and removes it from the engine.
fn push(scratch: &Path, name: &str) {
    let root = scratch.join("root");
    fs::create_dir_all(&root).unwrap();
    compile(&root.join("program"));
    fs::write(root.join("unique"), uuid::Uuid::new_v4().to_string()).unwrap();
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_dir_all(".", &root).unwrap();
    let file = scratch.join("root.tar");
    fs::write(&file, archive.into_inner().unwrap()).unwrap();
    let entry_point = "ENTRYPOINT [\"/program\"]";
    docker(&[
        "import",
        "--change",
        entry_point,
        file.to_str().unwrap(),
        name,
    ]);
    docker(&["push", "--quiet", name]);
    docker(&["image", "rm", name]);
}

fn compile(program: &PathBuf) {
    if program.exists() {
        return;
    }
    let source = program.with_extension("c");
    fs::write(&source, PROGRAM).unwrap();
    let status = Command::new("cc")
        .args(["-static", "-Os", "-s", "-o"])
        .args([program, &source])
        .status();
    assert!(status.unwrap().success(), "a static program is needed");
}

/// Runs a `docker` command that must succeed.
pub(crate) fn docker(arguments: &[&str]) {
    let output = Command::new("docker").args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "docker {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Answers one request. Engines try TLS first; what is no HTTP is told so.
fn answer(mut client: TcpStream, behind: &str, traffic: &Arc<Mutex<Traffic>>) {
    let Some(head) = head(&mut client) else {
        return;
    };
    let Some(request) = request(&head) else {
        let _ = client.write_all(b"HTTP/1.0 400 Bad Request\r\n\r\nno TLS here");
        return;
    };
    let is_head = request.starts_with("HEAD ");
    let trouble = {
        let mut traffic = traffic.lock().unwrap();
        let of_manifest = request.contains("/manifests/");
        traffic.requests.push(request);
        // A pull begins with a HEAD; engines that get no answer to it try a GET as well.
        if of_manifest && is_head {
            traffic.present = if traffic.troubles.is_empty() {
                None
            } else {
                Some(traffic.troubles.remove(0))
            };
        }
        traffic.present.filter(|_| of_manifest)
    };
    let words = |status: u16, body: &str| {
        let length = body.len();
        let body = if is_head { "" } else { body };
        format!(
            "HTTP/1.1 {status} Trouble\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        )
    };
    match trouble {
        Some(Trouble::Close) => {}
        Some(Trouble::Stall) => {
            // Until the engine has lost its patience, or its client.
            let mut piece = [0; 4096];
            while client.read(&mut piece).is_ok_and(|length| length > 0) {}
        }
        Some(Trouble::Status(status)) => {
            let _ = client.write_all(words(status, "").as_bytes());
        }
        Some(Trouble::Wait(wait)) => {
            let body =
                format!("{{\"errors\":[{{\"code\":\"TOOMANYREQUESTS\",\"message\":\"{wait}\"}}]}}");
            let _ = client.write_all(words(429, &body).as_bytes());
        }
        None => forward(client, behind, &head),
    }
}

/// One request a connection: the answer ends with it.
fn forward(mut client: TcpStream, behind: &str, head: &[u8]) {
    let Ok(mut server) = TcpStream::connect(behind) else {
        return;
    };
    let text = String::from_utf8_lossy(head);
    let mut lines: Vec<&str> = text.trim_end().split("\r\n").collect();
    lines.retain(|line| !line.to_lowercase().starts_with("connection:"));
    lines.push("Connection: close");
    let request = format!("{}\r\n\r\n", lines.join("\r\n"));
    if server.write_all(request.as_bytes()).is_ok() {
        let _ = std::io::copy(&mut server, &mut client);
    }
    let _ = client.shutdown(Shutdown::Write);
}

/// The head of a request, or what there is of something else.
fn head(client: &mut TcpStream) -> Option<Vec<u8>> {
    let mut head = Vec::new();
    let mut piece = [0; 4096];
    while !head.ends_with(b"\r\n\r\n") && head.first() != Some(&TLS_HANDSHAKE) {
        let length = client.read(&mut piece).ok()?;
        if length == 0 {
            return None;
        }
        head.extend_from_slice(&piece[..length]);
    }
    Some(head)
}

/// First byte of a TLS connection.
const TLS_HANDSHAKE: u8 = 0x16;

/// Method and path.
fn request(head: &[u8]) -> Option<String> {
    let first = head.split(|byte| *byte == b'\r').next()?;
    let words: Vec<&str> = std::str::from_utf8(first).ok()?.split(' ').collect();
    match words.as_slice() {
        [method, path, version] if version.starts_with("HTTP/") => Some(format!("{method} {path}")),
        _ => None,
    }
}

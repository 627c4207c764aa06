//! `logs/SERVICE.log`: the whole output of each container, both streams as they came; and
//! `logs/builds/TITLE.log`: the same of each build.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;

use super::directory::{BUILDS, OutputDirectory};
use crate::name::ServiceName;

pub(super) struct ServiceLogs {
    directory: PathBuf,
    files: BTreeMap<PathBuf, Result<File, String>>,
}

impl ServiceLogs {
    pub(super) fn new(directory: &OutputDirectory) -> Self {
        Self {
            directory: directory.path().join("logs"),
            files: BTreeMap::new(),
        }
    }

    /// Service names are `[a-zA-Z0-9._-]+`, so they are safe as names of files.
    pub(super) fn write(&mut self, service: &ServiceName, bytes: &[u8]) -> Result<(), String> {
        self.append(self.directory.join(format!("{service}.log")), bytes)
    }

    /// Titles of builds are made of the same characters.
    pub(super) fn write_build(&mut self, title: &str, bytes: &[u8]) -> Result<(), String> {
        let directory = self.directory.join(BUILDS);
        self.append(directory.join(format!("{title}.log")), bytes)
    }

    fn append(&mut self, path: PathBuf, bytes: &[u8]) -> Result<(), String> {
        let file = self
            .files
            .entry(path.clone())
            .or_insert_with(|| File::create(&path).map_err(|error| error.to_string()));
        let written = match file {
            Ok(file) => file.write_all(bytes).map_err(|error| error.to_string()),
            Err(error) => Err(error.clone()),
        };
        written.map_err(|error| format!("cannot write `{}`: {error}", path.display()))
    }
}

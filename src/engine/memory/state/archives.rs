//! Archives out of containers and into them, and what they use.

use std::io::Read as _;
use std::path::Path;

use super::super::{Written, failure};
use super::State;
use crate::engine::{EngineError, FailureKind, UsageSample};
use crate::name::ContainerId;

impl State {
    /// What a container uses, while it runs.
    pub(in crate::engine::memory) fn usage(
        &self,
        id: &ContainerId,
    ) -> Result<Option<UsageSample>, EngineError> {
        let container = self.container(id)?;
        let runs = container.life.borrow().is_running();
        Ok(container.behaviour.usage.filter(|_| runs))
    }

    pub(in crate::engine::memory) fn archive(
        &self,
        id: &ContainerId,
        path: &str,
    ) -> Result<Option<Vec<u8>>, EngineError> {
        let container = self.container(id)?;
        let known = &container.behaviour.archives;
        if let Some(archive) = known.get(path.trim_end_matches('/')) {
            return Ok(Some(archive.clone()));
        }
        let parent = Path::new(path).parent().unwrap_or_else(|| Path::new("/"));
        let inside: Vec<_> = container
            .behaviour
            .files
            .iter()
            .filter(|(file, _)| Path::new(file).starts_with(path))
            .collect();
        if inside.is_empty() {
            return Ok(None);
        }
        let mut tar = tar::Builder::new(Vec::new());
        for (file, content) in inside {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            let name = Path::new(file)
                .strip_prefix(parent)
                .unwrap_or_else(|_| Path::new(file));
            tar.append_data(&mut header, name, content.as_bytes())
                .map_err(|error| {
                    failure("read archive", FailureKind::Internal, &error.to_string())
                })?;
        }
        tar.into_inner()
            .map(Some)
            .map_err(|error| failure("read archive", FailureKind::Internal, &error.to_string()))
    }

    /// Keeps what is unpacked, whatever becomes of the container.
    pub(in crate::engine::memory) fn unpack(
        &mut self,
        id: &ContainerId,
        bytes: &[u8],
    ) -> Result<(), EngineError> {
        let name = self.container(id)?.name.clone();
        let broken = |error: std::io::Error| {
            failure("write archive", FailureKind::Refused, &error.to_string())
        };
        let mut archive = tar::Archive::new(bytes);
        for entry in archive.entries().map_err(broken)? {
            let mut entry = entry.map_err(broken)?;
            let path = entry.path().map_err(broken)?.display().to_string();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).map_err(broken)?;
            let header = entry.header();
            let written = Written {
                uid: header.uid().map_err(broken)?,
                gid: header.gid().map_err(broken)?,
                mode: header.mode().map_err(broken)?,
                content,
            };
            self.written.insert((name.clone(), path), written);
        }
        Ok(())
    }
}

//! Mounts as the engine takes them.

use bollard::Docker;
use bollard::models::{Mount, MountPoint, MountType, MountVolumeOptions};
use bollard::query_parameters::InspectContainerOptions;

use super::error::translate;
use crate::engine::{
    ContainerMount, ContainerMountSource, EngineError, FailureKind, MountSpec, MountSpecSource,
};
use crate::name::ContainerId;

/// First API version that mounts a part of a volume (Docker 26).
const SUBPATH_API: (u16, u16) = (1, 45);

/// The mounts of a container in the two forms that the engine knows.
pub(super) struct Mounts {
    /// `source:target:mode`.
    pub(super) binds: Vec<String>,
    /// Everything else.
    pub(super) mounts: Vec<Mount>,
}

/// Translates mounts. An engine that cannot mount a part of a volume is asked where the volume is, and
/// that path of its host is mounted instead.
pub(super) async fn resolve<F>(
    docker: &Docker,
    specs: &[MountSpec],
    api: impl Fn() -> F,
) -> Result<Mounts, EngineError>
where
    F: Future<Output = Result<(u16, u16), EngineError>>,
{
    let mut resolved = Mounts {
        binds: Vec::new(),
        mounts: Vec::new(),
    };
    for spec in specs {
        match &spec.source {
            // Only this older form creates a missing path on every engine; a colon in the path does
            // not fit into it.
            MountSpecSource::Bind { path, create: true }
                if !path.to_string_lossy().contains(':') =>
            {
                let mode = if spec.read_only { "ro" } else { "rw" };
                resolved
                    .binds
                    .push(format!("{}:{}:{mode}", path.display(), spec.target));
            }
            MountSpecSource::Bind { path, .. } => {
                let source = path.to_string_lossy().into_owned();
                resolved.mounts.push(mount(spec, MountType::BIND, source));
            }
            MountSpecSource::Volume {
                name,
                subpath: Some(subpath),
                ..
            } if api().await? < SUBPATH_API => {
                let path = mountpoint(docker, name).await?;
                let source = format!("{}/{subpath}", path.trim_end_matches('/'));
                resolved.mounts.push(mount(spec, MountType::BIND, source));
            }
            MountSpecSource::Volume {
                name,
                labels,
                subpath,
            } => {
                let options = MountVolumeOptions {
                    labels: Some(labels.clone().into_iter().collect()),
                    subpath: subpath.clone(),
                    ..MountVolumeOptions::default()
                };
                resolved.mounts.push(Mount {
                    volume_options: Some(options),
                    ..mount(spec, MountType::VOLUME, name.clone())
                });
            }
        }
    }
    Ok(resolved)
}

fn mount(spec: &MountSpec, typ: MountType, source: String) -> Mount {
    Mount {
        typ: Some(typ),
        source: Some(source),
        target: Some(spec.target.clone()),
        read_only: Some(spec.read_only),
        ..Mount::default()
    }
}

/// Where the volume is on the engine's host.
async fn mountpoint(docker: &Docker, name: &str) -> Result<String, EngineError> {
    docker
        .inspect_volume(name)
        .await
        .map(|volume| volume.mountpoint)
        .map_err(|error| translate(&format!("find volume `{name}`"), error))
}

/// What is mounted into a container of this id.
pub(super) async fn of_container(
    docker: &Docker,
    container: &ContainerId,
) -> Result<Option<Vec<ContainerMount>>, EngineError> {
    let attempt = format!("inspect container `{container}`");
    let inspected = docker
        .inspect_container(container.as_str(), None::<InspectContainerOptions>)
        .await
        .map_err(|error| translate(&attempt, error));
    let inspected = match inspected {
        Err(error) if error.kind == FailureKind::NotFound => return Ok(None),
        other => other?,
    };
    let is_it = inspected
        .id
        .is_some_and(|id| id.starts_with(container.as_str()));
    let is_running = inspected
        .state
        .and_then(|state| state.running)
        .unwrap_or(false);
    if !is_it || !is_running {
        return Ok(None);
    }
    // Only what was asked for says which part of a volume it was.
    let config = inspected.host_config.unwrap_or_default();
    let asked = config.mounts.unwrap_or_default();
    let tmpfs = config.tmpfs.unwrap_or_default();
    let mounted = inspected.mounts.unwrap_or_default();
    let tmpfs = tmpfs.into_keys().map(|target| ContainerMount {
        target: target.into(),
        source: ContainerMountSource::Private,
        read_only: false,
    });
    let mounted = mounted
        .into_iter()
        .filter_map(|mount| mounted_at(mount, &asked));
    Ok(Some(mounted.chain(tmpfs).collect()))
}

fn mounted_at(mount: MountPoint, asked: &[Mount]) -> Option<ContainerMount> {
    let target = mount.destination?;
    let subpath = asked
        .iter()
        .find(|asked| asked.target.as_deref() == Some(target.as_str()))
        .and_then(|asked| asked.volume_options.as_ref()?.subpath.clone())
        .filter(|subpath| !subpath.is_empty());
    let source = match (mount.typ.as_deref(), mount.source, mount.name) {
        (Some("bind"), Some(source), _) => ContainerMountSource::Bind(source.into()),
        (Some("volume"), _, Some(name)) => ContainerMountSource::Volume { name, subpath },
        _ => ContainerMountSource::Private,
    };
    Some(ContainerMount {
        target: target.into(),
        source,
        read_only: mount.rw == Some(false),
    })
}

//! Mounts as the engine takes them.
//!
//! The older form (`source:target:options`) creates a missing path of the host on every engine and
//! knows the labels of SELinux; everything else needs the newer one. Which one is taken for what is
//! the same as in Compose, so that a container looks the same whoever made it; but volumes of the run
//! need the newer form, which carries their labels.

use bollard::Docker;
use bollard::models::{
    Mount, MountBindOptions, MountBindOptionsPropagationEnum as Propagation, MountImageOptions,
    MountPoint, MountTmpfsOptions, MountType, MountVolumeOptions,
};
use bollard::query_parameters::InspectContainerOptions;

use super::create::{filled, signed};
use super::error::translate;
use crate::engine::{
    ContainerMount, ContainerMountSource, EngineError, FailureKind, MountSpec, MountSpecSource,
};
use crate::name::ContainerId;
use crate::options::{MountOptions, Recursive};

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
            MountSpecSource::Volume {
                name,
                subpath: Some(subpath),
                ..
            } if api().await? < SUBPATH_API => {
                let path = mountpoint(docker, name).await?;
                let source = MountSpecSource::Bind {
                    path: format!("{}/{subpath}", path.trim_end_matches('/')).into(),
                    create: false,
                };
                resolved.add(&MountSpec {
                    source,
                    options: MountOptions::default(),
                    ..spec.clone()
                });
            }
            _ => resolved.add(spec),
        }
    }
    Ok(resolved)
}

impl Mounts {
    fn add(&mut self, spec: &MountSpec) {
        match older_form(spec) {
            Some(bind) => self.binds.push(bind),
            None => self.mounts.push(mount(spec)),
        }
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

fn older_form(spec: &MountSpec) -> Option<String> {
    let options = &spec.options;
    let source = match &spec.source {
        MountSpecSource::Bind { path, create: true }
            if options.propagation.is_none() && options.recursive.is_none() =>
        {
            path.to_string_lossy().into_owned()
        }
        MountSpecSource::Volume {
            name,
            labels,
            subpath: None,
        } if labels.is_empty() && options.labels.is_empty() && !options.no_copy => name.clone(),
        _ => return None,
    };
    // A colon does not fit into this form.
    if source.contains(':') || spec.target.contains(':') {
        return None;
    }
    let access = if spec.read_only { "ro" } else { "rw" };
    let mode: Vec<&str> = std::iter::once(access)
        .chain(options.selinux.as_deref())
        .collect();
    Some(format!("{source}:{}:{}", spec.target, mode.join(",")))
}

fn mount(spec: &MountSpec) -> Mount {
    let options = &spec.options;
    let base = Mount {
        target: Some(spec.target.clone()),
        read_only: Some(spec.read_only),
        consistency: options.consistency.clone(),
        ..Mount::default()
    };
    match &spec.source {
        MountSpecSource::Bind { path, create } => Mount {
            typ: Some(MountType::BIND),
            source: Some(path.to_string_lossy().into_owned()),
            bind_options: Some(bind_options(options, *create)),
            ..base
        },
        MountSpecSource::Volume {
            name,
            labels,
            subpath,
        } => Mount {
            typ: Some(MountType::VOLUME),
            source: Some(name.clone()),
            volume_options: Some(MountVolumeOptions {
                no_copy: Some(options.no_copy),
                labels: filled(
                    options
                        .labels
                        .iter()
                        .chain(labels)
                        .map(|(name, value)| (name.clone(), value.clone()))
                        .collect(),
                ),
                subpath: subpath.clone(),
                ..MountVolumeOptions::default()
            }),
            ..base
        },
        MountSpecSource::Tmpfs => Mount {
            typ: Some(MountType::TMPFS),
            tmpfs_options: (options.size.is_some() || options.mode.is_some()).then(|| {
                MountTmpfsOptions {
                    size_bytes: options.size.map(signed),
                    mode: options.mode.map(i64::from),
                    ..MountTmpfsOptions::default()
                }
            }),
            ..base
        },
        MountSpecSource::Image(reference) => Mount {
            typ: Some(MountType::IMAGE),
            source: Some(reference.clone()),
            image_options: options.subpath.clone().map(|subpath| MountImageOptions {
                subpath: Some(subpath),
            }),
            ..base
        },
    }
}

fn bind_options(options: &MountOptions, create: bool) -> MountBindOptions {
    let propagation = match options.propagation.as_deref() {
        Some("private") => Some(Propagation::PRIVATE),
        Some("rprivate") => Some(Propagation::RPRIVATE),
        Some("shared") => Some(Propagation::SHARED),
        Some("rshared") => Some(Propagation::RSHARED),
        Some("slave") => Some(Propagation::SLAVE),
        Some("rslave") => Some(Propagation::RSLAVE),
        _ => None,
    };
    let is = |kind: Recursive| (options.recursive == Some(kind)).then_some(true);
    MountBindOptions {
        propagation,
        create_mountpoint: create.then_some(true),
        non_recursive: is(Recursive::Disabled),
        read_only_non_recursive: is(Recursive::Writable),
        read_only_force_recursive: is(Recursive::ReadOnly),
    }
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn the_older_form_is_taken_where_it_will_do() {
        let nothing = MountOptions::default;
        let bind = |path: &str, create| MountSpecSource::Bind {
            path: path.into(),
            create,
        };
        let volume = |labels: &[&str]| MountSpecSource::Volume {
            name: "v".to_owned(),
            labels: labels
                .iter()
                .map(|label| ((*label).to_owned(), String::new()))
                .collect(),
            subpath: None,
        };
        let part_of_volume = MountSpecSource::Volume {
            name: "v".to_owned(),
            labels: BTreeMap::new(),
            subpath: Some("part".to_owned()),
        };
        let part = MountOptions {
            subpath: Some("part".to_owned()),
            ..nothing()
        };
        let labelled = MountOptions {
            selinux: Some("Z".to_owned()),
            ..nothing()
        };
        let recursive = MountOptions {
            recursive: Some(Recursive::ReadOnly),
            propagation: Some("rslave".to_owned()),
            ..nothing()
        };
        let small = MountOptions {
            size: Some(5),
            mode: Some(0o700),
            ..nothing()
        };
        let uncopied = MountOptions {
            no_copy: true,
            labels: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
            ..nothing()
        };
        let mounts = [
            (bind("/x", true), "/created", nothing()),
            (bind("/x", true), "/labelled-read-only", labelled),
            (bind("/x", false), "/there", nothing()),
            (bind("/x:y", true), "/colon", nothing()),
            (bind("/x", true), "/deep-read-only", recursive),
            (volume(&[]), "/theirs", nothing()),
            (part_of_volume, "/part", nothing()),
            (volume(&["run"]), "/ours", nothing()),
            (volume(&["run"]), "/uncopied", uncopied),
            (MountSpecSource::Tmpfs, "/memory", nothing()),
            (MountSpecSource::Tmpfs, "/small", small),
            (MountSpecSource::Image("i".to_owned()), "/image", part),
        ];
        let mounts = mounts.map(|(source, target, options)| MountSpec {
            source,
            target: target.to_owned(),
            read_only: target.contains("read-only"),
            options,
        });
        let mut all = Mounts {
            binds: Vec::new(),
            mounts: Vec::new(),
        };
        mounts.iter().for_each(|spec| all.add(spec));
        let (older, newer) = (all.binds, all.mounts);
        let newer = newer
            .iter()
            .map(|mount| serde_json::to_value(mount).unwrap());
        let newer: Vec<String> = newer.map(|mount| mount.to_string()).collect();
        insta::assert_snapshot!(older.join("\n"), @"
        /x:/created:rw
        /x:/labelled-read-only:ro,Z
        v:/theirs:rw
        ");
        insta::assert_snapshot!(newer.join("\n"), @r#"
        {"BindOptions":{},"ReadOnly":false,"Source":"/x","Target":"/there","Type":"bind"}
        {"BindOptions":{"CreateMountpoint":true},"ReadOnly":false,"Source":"/x:y","Target":"/colon","Type":"bind"}
        {"BindOptions":{"CreateMountpoint":true,"Propagation":"rslave","ReadOnlyForceRecursive":true},"ReadOnly":true,"Source":"/x","Target":"/deep-read-only","Type":"bind"}
        {"ReadOnly":false,"Source":"v","Target":"/part","Type":"volume","VolumeOptions":{"NoCopy":false,"Subpath":"part"}}
        {"ReadOnly":false,"Source":"v","Target":"/ours","Type":"volume","VolumeOptions":{"Labels":{"run":""},"NoCopy":false}}
        {"ReadOnly":false,"Source":"v","Target":"/uncopied","Type":"volume","VolumeOptions":{"Labels":{"a":"b","run":""},"NoCopy":true}}
        {"ReadOnly":false,"Target":"/memory","Type":"tmpfs"}
        {"ReadOnly":false,"Target":"/small","TmpfsOptions":{"Mode":448,"SizeBytes":5},"Type":"tmpfs"}
        {"ImageOptions":{"Subpath":"part"},"ReadOnly":false,"Source":"i","Target":"/image","Type":"image"}
        "#);
    }
}

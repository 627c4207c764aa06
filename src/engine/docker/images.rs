//! Images: facts, names, removal. Pulls and builds have files of their own.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, SystemTime};

use bollard::errors::Error;
use bollard::models::{ImageInspect, ImageSummary};
use bollard::query_parameters::{
    CreateImageOptionsBuilder, ListImagesOptionsBuilder, RemoveImageOptions,
    RemoveImageOptionsBuilder, TagImageOptionsBuilder,
};
use bollard::{Docker, body_full};
use futures::StreamExt as _;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::error::{removal, translate};
use super::since_1970;
use crate::engine::{
    Belonging, EngineError, FailureKind, ImageFacts, ImageHealthcheck, ImportSpec, RUN_LABEL,
    Removal, Resource, ResourceKind,
};
use crate::image::policy::Present;
use crate::image::{Platform, Reference};
use crate::name::{ImageId, RunId};

pub(super) async fn inspect(
    docker: &Docker,
    reference: &str,
) -> Result<Option<ImageFacts>, EngineError> {
    let attempt = format!("inspect image `{reference}`");
    let inspected = match docker.inspect_image(reference).await {
        Ok(inspected) => inspected,
        Err(Error::DockerResponseServerError {
            status_code: 404, ..
        }) => return Ok(None),
        Err(error) => return Err(translate(&attempt, error)),
    };
    let present = present(&inspected);
    let Some(id) = inspected.id else {
        return Err(EngineError {
            attempt,
            kind: FailureKind::Internal,
            message: "the engine answers without an id".to_owned(),
        });
    };
    let config = inspected.config.unwrap_or_default();
    let mut exposed_tcp: Vec<u16> = config
        .exposed_ports
        .unwrap_or_default()
        .iter()
        .filter_map(|port| port.strip_suffix("/tcp").unwrap_or(port).parse().ok())
        .collect();
    exposed_tcp.sort_unstable();
    let mut volumes = config.volumes.unwrap_or_default();
    volumes.sort_unstable();
    let mut digests = inspected.repo_digests.unwrap_or_default();
    digests.sort_unstable();
    let nanoseconds = |value: Option<i64>| {
        Duration::from_nanos(
            value
                .and_then(|value| u64::try_from(value).ok())
                .unwrap_or(0),
        )
    };
    Ok(Some(ImageFacts {
        id: ImageId::new(id),
        digests,
        exposed_tcp,
        volumes,
        environment: config.env.unwrap_or_default(),
        healthcheck: config.healthcheck.map(|check| ImageHealthcheck {
            test: check.test.unwrap_or_default(),
            interval: nanoseconds(check.interval),
            timeout: nanoseconds(check.timeout),
            retries: check
                .retries
                .and_then(|retries| u32::try_from(retries).ok())
                .unwrap_or(0),
            start_period: nanoseconds(check.start_period),
        }),
        present,
    }))
}

/// Platform and age of an image. One that was never tagged has the year 1 for a time.
fn present(inspected: &ImageInspect) -> Present {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let tagged = inspected
        .metadata
        .as_ref()
        .and_then(|metadata| metadata.last_tag_time.as_deref())
        .and_then(|time| OffsetDateTime::parse(time, &Rfc3339).ok())
        .map(SystemTime::from)
        .filter(|time| *time > SystemTime::UNIX_EPOCH);
    Present {
        platform: Platform::new(
            &text(&inspected.os),
            &text(&inspected.architecture),
            &text(&inspected.variant),
        ),
        tagged,
    }
}

pub(super) async fn tag(
    docker: &Docker,
    image: &str,
    reference: &Reference,
) -> Result<(), EngineError> {
    let attempt = format!("name image `{image}` `{reference}`");
    let options = TagImageOptionsBuilder::default()
        .repo(&reference.name())
        .tag(reference.version())
        .build();
    docker
        .tag_image(image, Some(options))
        .await
        .map_err(|error| translate(&attempt, error))
}

/// The file system becomes the one layer of an image.
pub(super) async fn import(docker: &Docker, spec: &ImportSpec) -> Result<ImageId, EngineError> {
    let attempt = format!("make image `{}`", spec.name);
    let failed = |error| translate(&attempt, error);
    let entrypoint: Vec<String> = spec.entrypoint.iter().map(|word| quoted(word)).collect();
    let mut changes = vec![format!("ENTRYPOINT [{}]", entrypoint.join(", "))];
    for (name, value) in &spec.labels {
        changes.push(format!("LABEL {}={}", quoted(name), quoted(value)));
    }
    let options = CreateImageOptionsBuilder::default()
        .from_src("-")
        .repo(&spec.name)
        .changes(changes)
        .build();
    let body = Some(body_full(spec.archive.clone()));
    let mut answers = docker.create_image(Some(options), body, None);
    while let Some(answer) = answers.next().await {
        answer.map_err(failed)?;
    }
    let inspected = docker.inspect_image(&spec.name).await.map_err(failed)?;
    inspected.id.map(ImageId::new).ok_or_else(|| EngineError {
        attempt,
        kind: FailureKind::Internal,
        message: "the engine answers without an id".to_owned(),
    })
}

/// A word as a line of a Dockerfile holds it. A line has no place for control characters, which only
/// the path of a directory can bring.
fn quoted(word: &str) -> String {
    let mut text = String::from("\"");
    for letter in word.chars() {
        match letter {
            '"' | '\\' | '$' => text.extend(['\\', letter]),
            letter if letter.is_control() => text.push(' '),
            letter => text.push(letter),
        }
    }
    text.push('"');
    text
}

/// Removing an image by a name only takes the name while there are others.
pub(super) async fn untag(docker: &Docker, reference: &Reference) -> Result<(), EngineError> {
    let attempt = format!("remove the name `{reference}` of an image");
    let options = RemoveImageOptionsBuilder::default().noprune(true).build();
    match docker
        .remove_image(&reference.key(), Some(options), None)
        .await
    {
        Ok(_)
        | Err(Error::DockerResponseServerError {
            status_code: 404, ..
        }) => Ok(()),
        Err(error) => Err(translate(&attempt, error)),
    }
}

/// Takes the run's name from an image, and with its last name the image is gone. Whatever somebody
/// else has named or derived stays theirs, and nothing is forced: a container of somebody else may
/// use the image.
pub(super) async fn remove(docker: &Docker, resource: &Resource) -> Result<Removal, EngineError> {
    let answer = docker
        .remove_image(&resource.name, None::<RemoveImageOptions>, None)
        .await;
    removal(resource, answer)
}

/// Images without a name that others are derived from are parts of those, and left out.
pub(super) async fn list(
    docker: &Docker,
    filter: &HashMap<String, Vec<String>>,
) -> Result<Vec<Belonging>, EngineError> {
    let options = ListImagesOptionsBuilder::default().filters(filter).build();
    let listed = docker
        .list_images(Some(options))
        .await
        .map_err(|error| translate("list images", error))?;
    let belonging = |image: ImageSummary| {
        let names: Vec<String> = image
            .repo_tags
            .into_iter()
            .filter(|name| !name.starts_with("<none>"))
            .map(|name| name.trim_end_matches(":latest").to_owned())
            .collect();
        let labels: BTreeMap<String, String> = image.labels.into_iter().collect();
        let run = RunId::parse(labels.get(RUN_LABEL)?).ok()?;
        let own = names.iter().find(|name| run.names(name));
        let resource = Resource {
            kind: ResourceKind::Image,
            name: own.unwrap_or(&image.id).clone(),
            id: image.id,
        };
        let belonging = Belonging::new(resource, &names, labels)?;
        Some(Belonging {
            created: since_1970(image.created),
            ..belonging
        })
    };
    Ok(listed.into_iter().filter_map(belonging).collect())
}

//! Images: facts, names, removal. Pulls and builds have files of their own.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use bollard::Docker;
use bollard::errors::Error;
use bollard::models::ImageInspect;
use bollard::query_parameters::{
    ListImagesOptionsBuilder, RemoveImageOptionsBuilder, TagImageOptionsBuilder,
};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::error::{removal, translate};
use crate::engine::{
    EngineError, FailureKind, ImageFacts, ImageHealthcheck, Removal, Resource, ResourceKind,
};
use crate::image::policy::Present;
use crate::image::{Platform, Reference};
use crate::name::ImageId;

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
    let nanoseconds = |value: Option<i64>| {
        Duration::from_nanos(
            value
                .and_then(|value| u64::try_from(value).ok())
                .unwrap_or(0),
        )
    };
    Ok(Some(ImageFacts {
        id: ImageId::new(id),
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

pub(super) async fn remove(docker: &Docker, resource: &Resource) -> Result<Removal, EngineError> {
    let options = RemoveImageOptionsBuilder::default().force(true).build();
    removal(
        resource,
        docker.remove_image(&resource.id, Some(options), None).await,
    )
}

pub(super) async fn list(
    docker: &Docker,
    filter: &HashMap<String, Vec<String>>,
) -> Result<Vec<Resource>, EngineError> {
    let options = ListImagesOptionsBuilder::default()
        .all(true)
        .filters(filter)
        .build();
    let listed = docker
        .list_images(Some(options))
        .await
        .map_err(|error| translate("list images", error))?;
    Ok(listed
        .into_iter()
        .map(|image| {
            let tag = image
                .repo_tags
                .first()
                .filter(|tag| !tag.starts_with("<none>"));
            let name = tag.map_or_else(
                || image.id.clone(),
                |tag| tag.trim_end_matches(":latest").to_owned(),
            );
            Resource {
                kind: ResourceKind::Image,
                id: image.id,
                name,
            }
        })
        .collect())
}

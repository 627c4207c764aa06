//! Images: facts, pulls, removal. Builds have a file of their own.

use std::collections::HashMap;
use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error;
use bollard::query_parameters::{
    CreateImageOptionsBuilder, ListImagesOptionsBuilder, RemoveImageOptionsBuilder,
};
use futures::stream::StreamExt as _;

use super::error::{removal, translate};
use crate::engine::{
    EngineError, FailureKind, ImageFacts, ImageHealthcheck, Removal, Resource, ResourceKind,
};
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
    }))
}

/// A reference without tag or digest means `latest`: without a tag the engine would pull them all.
pub(super) async fn pull(docker: &Docker, reference: &str) -> Result<(), EngineError> {
    let attempt = format!("pull image `{reference}`");
    let last = reference.rsplit('/').next().unwrap_or(reference);
    let tagged = if last.contains([':', '@']) {
        reference.to_owned()
    } else {
        format!("{reference}:latest")
    };
    let options = CreateImageOptionsBuilder::default()
        .from_image(&tagged)
        .build();
    let mut progress = docker.create_image(Some(options), None, None).boxed();
    while let Some(report) = progress.next().await {
        let report = report.map_err(|error| translate(&attempt, error))?;
        if let Some(detail) = report.error_detail {
            return Err(EngineError {
                attempt,
                kind: FailureKind::Internal,
                message: detail.message.unwrap_or_default(),
            });
        }
    }
    Ok(())
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

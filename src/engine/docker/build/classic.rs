//! The classic builder, through bollard.

use std::collections::{BTreeMap, HashMap};

use bollard::Docker;
use bollard::query_parameters::BuildImageOptionsBuilder;
use futures::stream::StreamExt as _;

use super::super::context::Context;
use super::super::error::translate;
use super::trace::Trace;
use super::{Job, tar_of};
use crate::engine::{BuildContext, DockerfileSource, EngineError, FailureKind};
use crate::name::ImageId;

/// Period in which the processors of a build are limited, in microseconds.
const CPU_PERIOD: i32 = 100_000;

/// The smallest quota that an engine takes, in microseconds.
const CPU_QUOTA: i32 = 1000;

pub(super) async fn build(docker: &Docker, job: &mut Job<'_>) -> Result<ImageId, EngineError> {
    let pairs = |map: &BTreeMap<String, String>| -> HashMap<String, String> {
        map.clone().into_iter().collect()
    };
    let (spec, options) = (job.spec, &job.spec.options);
    let context = job.context.take();
    let name = match (&context, &spec.dockerfile) {
        (Some(context), _) => Context::name_in_tar(context),
        (None, DockerfileSource::File(path)) => path.to_string_lossy().into_owned(),
        (None, DockerfileSource::Text(_)) => String::new(),
    };
    let hosts = options.extra_hosts.join(",");
    let mut query = BuildImageOptionsBuilder::default()
        .t(&spec.name)
        .dockerfile(&name)
        .buildargs(&pairs(&job.args))
        .labels(&pairs(&spec.labels))
        .cachefrom(&options.cache_from)
        .rm(true)
        .forcerm(true)
        .nocache(options.no_cache);
    if job.pull {
        query = query.pull("1");
    }
    if let BuildContext::Remote(url) = &spec.context {
        query = query.remote(url);
    }
    if let Some(target) = &spec.target {
        query = query.target(target);
    }
    if let Some(network) = &options.network {
        query = query.networkmode(network);
    }
    if let Some(size) = options.shm_size.and_then(|size| i32::try_from(size).ok()) {
        query = query.shmsize(size);
    }
    if let Some(platform) = &options.platform {
        query = query.platform(platform);
    }
    if !hosts.is_empty() {
        query = query.extrahosts(&hosts);
    }
    if let Some(limits) = options.limits {
        // The parameters are of 32 bits, and a limit must not come to none.
        let memory = i32::try_from(limits.memory).unwrap_or(i32::MAX);
        let quota = limits.nano_cpus / (1_000_000_000 / i64::from(CPU_PERIOD));
        query = query
            .memory(memory)
            .memswap(memory)
            .cpuperiod(CPU_PERIOD)
            .cpuquota(i32::try_from(quota).unwrap_or(i32::MAX).max(CPU_QUOTA));
    }
    let body = context.map(|context| bollard::body_try_stream(tar_of(context)));
    let mut reports = docker.build_image(query.build(), None, body).boxed();
    let (mut image, mut trace) = (None, Trace::default());
    while let Some(report) = reports.next().await {
        let report = report.map_err(|error| {
            let mut error = translate(&job.attempt, error);
            if let Some(step) = trace.failure() {
                error.message = format!("{}\n{step}", error.message);
            }
            error
        })?;
        if let Some(text) = report.stream {
            (job.output)(trace.print(&text).as_bytes());
        }
        image = report
            .aux
            .and_then(|aux| aux.id)
            .map(ImageId::new)
            .or(image);
    }
    image.ok_or_else(|| {
        let message = "the engine's answer ended without an image".to_owned();
        job.fail(FailureKind::Internal, message)
    })
}

//! Pulls: with the user's credentials, with progress, and with a limit for a registry that stops
//! sending.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use bollard::Docker;
use bollard::auth::DockerCredentials;
use bollard::errors::Error;
use bollard::models::CreateImageInfo;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures::stream::StreamExt as _;
use hyper::header::HeaderValue;

use super::credentials;
use super::error::translate;
use crate::clock::{self, Instant};
use crate::engine::{EngineError, FailureKind, PullProgress, PullReport, PullSink, PullSpec};

/// How long a pull may be silent. The engine tells of every few hundred kilobytes that it receives
/// or unpacks, so this is a connection that nobody serves any more.
const LONGEST_SILENCE: Duration = Duration::from_secs(300);

/// How often progress is told.
const BETWEEN_REPORTS: Duration = Duration::from_millis(500);

/// The header that brings credentials to the engine.
const CREDENTIALS_HEADER: &str = "x-registry-auth";

pub(super) async fn pull(
    docker: &Docker,
    spec: &PullSpec,
    sink: &PullSink,
) -> Result<(), EngineError> {
    let attempt = format!("pull image `{}`", spec.reference);
    let found = credentials::of(spec.reference.registry()).await;
    if let Some(warning) = found.warning {
        sink(PullReport::Warning(warning));
    }
    let docker = docker.clone().with_timeout(LONGEST_SILENCE);
    let docker = match found.credentials {
        Some(credentials) => with_credentials(docker, &credentials),
        None => docker,
    };
    // Without a version the engine would pull every tag.
    let mut options = CreateImageOptionsBuilder::default()
        .from_image(&spec.reference.name())
        .tag(spec.reference.version());
    if let Some(platform) = &spec.platform {
        options = options.platform(&platform.to_string());
    }
    let mut reports = docker
        .create_image(Some(options.build()), None, None)
        .boxed();
    let mut layers = Layers::default();
    let mut told: Option<Instant> = None;
    loop {
        // The engine answers with the registry's first word, so its silence is the registry's too.
        let report = match clock::within(LONGEST_SILENCE, reports.next()).await {
            Ok(Some(Err(Error::RequestTimeoutError))) | Err(_) => return Err(silence(attempt)),
            Ok(Some(report)) => report.map_err(|error| translate(&attempt, error))?,
            Ok(None) => break,
        };
        layers.take(&report);
        if told.is_none_or(|told| told.elapsed() >= BETWEEN_REPORTS) && !layers.0.is_empty() {
            told = Some(clock::now());
            sink(PullReport::Progress(layers.progress()));
        }
    }
    if !layers.0.is_empty() {
        sink(PullReport::Progress(layers.progress()));
    }
    Ok(())
}

fn silence(attempt: String) -> EngineError {
    EngineError {
        attempt,
        kind: FailureKind::Internal,
        message: format!(
            "the registry has stopped sending for {} s",
            LONGEST_SILENCE.as_secs()
        ),
    }
}

/// The engine reads the header as base64 of the kind for addresses, and takes what it cannot read
/// for no credentials at all. bollard writes the other kind, which differs as soon as a password
/// holds a `?`, `>` or `~` at the wrong place, so the header is written here.
fn with_credentials(docker: Docker, credentials: &DockerCredentials) -> Docker {
    let json = serde_json::to_vec(credentials).unwrap_or_default();
    let Ok(mut value) = HeaderValue::from_str(&URL_SAFE.encode(json)) else {
        return docker;
    };
    value.set_sensitive(true);
    docker.with_request_modifier(move |mut request| {
        request
            .headers_mut()
            .insert(CREDENTIALS_HEADER, value.clone());
        request
    })
}

/// What is known of the layers of an image, by their id.
#[derive(Default)]
struct Layers(BTreeMap<String, Layer>);

#[derive(Default)]
struct Layer {
    bytes: u64,
    total: u64,
    done: bool,
}

impl Layers {
    fn take(&mut self, report: &CreateImageInfo) {
        let (Some(id), Some(status)) = (&report.id, &report.status) else {
            return;
        };
        // The first line has the tag for an id.
        if status.starts_with("Pulling from") {
            return;
        }
        let layer = self.0.entry(id.clone()).or_default();
        let number = |value: Option<i64>| value.and_then(|value| u64::try_from(value).ok());
        match status.as_str() {
            "Downloading" => {
                if let Some(detail) = &report.progress_detail {
                    layer.bytes = number(detail.current).unwrap_or(layer.bytes);
                    layer.total = number(detail.total).unwrap_or(0).max(layer.bytes);
                }
            }
            "Download complete" | "Verifying Checksum" | "Extracting" => layer.bytes = layer.total,
            "Pull complete" | "Already exists" => {
                layer.bytes = layer.total;
                layer.done = true;
            }
            _ => {}
        }
    }

    fn progress(&self) -> PullProgress {
        let mut progress = PullProgress::default();
        for layer in self.0.values() {
            progress.layers += 1;
            progress.layers_done += u64::from(layer.done);
            progress.bytes += layer.bytes;
            progress.total_bytes += layer.total;
        }
        progress
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_counted_over_all_layers() {
        // As Docker 20.10 tells it.
        let told = [
            r#"{"status":"Pulling from a/small","id":"1"}"#,
            r#"{"status":"Already exists","progressDetail":{},"id":"aaa"}"#,
            r#"{"status":"Pulling fs layer","progressDetail":{},"id":"1e7b1fcfb274"}"#,
            r#"{"status":"Downloading","progressDetail":{"current":57,"total":107},"progress":"[==>]","id":"1e7b1fcfb274"}"#,
        ];
        let mut layers = Layers::default();
        let mut take = |line: &str| {
            layers.take(&serde_json::from_str(line).expect(line));
            layers.progress()
        };
        for line in told {
            take(line);
        }
        let progress = take(r#"{"status":"Waiting","progressDetail":{},"id":"bbb"}"#);
        assert_eq!(
            progress,
            PullProgress {
                layers_done: 1,
                layers: 3,
                bytes: 57,
                total_bytes: 107
            }
        );
        take(r#"{"status":"Download complete","progressDetail":{},"id":"1e7b1fcfb274"}"#);
        take(r#"{"status":"Pull complete","progressDetail":{},"id":"1e7b1fcfb274"}"#);
        let progress = take(r#"{"status":"Digest: sha256:851f"}"#);
        assert_eq!((progress.layers_done, progress.bytes), (2, 107));
    }
}

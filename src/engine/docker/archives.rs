//! Files of containers, as tar archives in both directions.

use bollard::Docker;
use bollard::query_parameters::{
    DownloadFromContainerOptionsBuilder, UploadToContainerOptionsBuilder,
};
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt as _};

use super::error::translate;
use crate::engine::{EngineError, FailureKind};
use crate::name::ContainerId;

pub(super) async fn read(
    docker: &Docker,
    container: &ContainerId,
    path: &str,
) -> Result<Option<BoxStream<'static, Result<Bytes, EngineError>>>, EngineError> {
    let attempt = format!("read `{path}` from container `{container}`");
    let options = DownloadFromContainerOptionsBuilder::default()
        .path(path)
        .build();
    let docker = docker.clone();
    let container = container.clone();
    // The stream borrows its client, so it is carried through a channel by a task of its own.
    let (sender, receiver) = tokio::sync::mpsc::channel(16);
    tokio::spawn(async move {
        let mut archive = docker
            .download_from_container(container.as_str(), Some(options))
            .boxed();
        while let Some(chunk) = archive.next().await {
            if sender
                .send(chunk.map_err(|error| translate(&attempt, error)))
                .await
                .is_err()
            {
                return;
            }
        }
    });
    let stream = futures::stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|chunk| (chunk, receiver))
    });
    // Whether the path exists is known with the first chunk.
    let mut stream = Box::pin(stream.peekable());
    match stream.as_mut().peek().await {
        Some(Err(error)) if error.kind == FailureKind::NotFound => Ok(None),
        Some(Err(error)) => Err(error.clone()),
        Some(Ok(_)) | None => Ok(Some(stream)),
    }
}

/// Unpacks at the root. The owner of each file is the archive's: `copyUIDGID` would give all of them
/// to the user of the container.
pub(super) async fn write(
    docker: &Docker,
    container: &ContainerId,
    archive: BoxStream<'static, std::io::Result<Bytes>>,
) -> Result<(), EngineError> {
    let options = UploadToContainerOptionsBuilder::default()
        .path("/")
        .no_overwrite_dir_non_dir("1")
        .build();
    docker
        .upload_to_container(
            container.as_str(),
            Some(options),
            bollard::body_try_stream(archive),
        )
        .await
        .map_err(|error| translate(&format!("write files into container `{container}`"), error))
}

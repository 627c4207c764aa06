//! `moby.filesync.v1.Auth`: the user's credentials for a registry, for images that a build starts
//! from. The engine has none of its own.

use super::super::credentials;
use super::rpc::{Failed, Incoming, Outgoing};
use crate::image::reference::DEFAULT_REGISTRY;

pub(super) const METHOD: &str = "/moby.filesync.v1.Auth/Credentials";

/// The host behind the registry that goes without saying.
const DEFAULT_HOST: &str = "registry-1.docker.io";

#[derive(Clone, PartialEq, prost::Message)]
struct CredentialsRequest {
    #[prost(string, tag = "1")]
    host: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct CredentialsResponse {
    #[prost(string, tag = "1")]
    username: String,
    #[prost(string, tag = "2")]
    secret: String,
}

/// Answers with nothing where there is nothing: many images need no credentials.
pub(super) async fn serve(
    (incoming, outgoing): (&mut Incoming, &mut Outgoing),
) -> Result<(), Failed> {
    let request: CredentialsRequest = incoming.next().await?.unwrap_or_default();
    let registry = match request.host.as_str() {
        DEFAULT_HOST => DEFAULT_REGISTRY,
        host => host,
    };
    let found = credentials::of(registry).await.credentials;
    let found = found.unwrap_or_default();
    let response = match found.identitytoken {
        Some(secret) => CredentialsResponse {
            username: String::new(),
            secret,
        },
        None => CredentialsResponse {
            username: found.username.unwrap_or_default(),
            secret: found.password.unwrap_or_default(),
        },
    };
    outgoing.send(&response).await
}

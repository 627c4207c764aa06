//! `moby.buildkit.secrets.v1`: the value of a secret, for a command that mounts it.
//!
//! This is the only way in which a value leaves envrun: it is in no context, no argument, no log.

use std::collections::BTreeMap;

use super::rpc::{Failed, INTERNAL, Incoming, NOT_FOUND, Outgoing};
use super::{Notes, read_secret};
use crate::engine::{BuildSecret, SecretValue};

pub(super) const METHOD: &str = "/moby.buildkit.secrets.v1.Secrets/GetSecret";

/// Largest secret that BuildKit takes.
const LARGEST: usize = 500 << 10;

#[derive(Clone, PartialEq, prost::Message)]
struct GetSecretRequest {
    #[prost(string, tag = "1")]
    id: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct GetSecretResponse {
    #[prost(bytes = "vec", tag = "1")]
    data: Vec<u8>,
}

pub(super) async fn serve(
    secrets: &BTreeMap<String, BuildSecret>,
    (incoming, outgoing): (&mut Incoming, &mut Outgoing),
    notes: &Notes,
) -> Result<(), Failed> {
    let Some(GetSecretRequest { id }) = incoming.next().await? else {
        return Err(Failed::new(INTERNAL, "no secret was asked for"));
    };
    let data = match secrets.get(&id) {
        // A command may do without, so this is nobody's mistake yet.
        None => return Err(Failed::new(NOT_FOUND, format!("secret {id} not found"))),
        Some(BuildSecret::Value(SecretValue(value))) => value.as_bytes().to_vec(),
        Some(BuildSecret::File(path)) => {
            let path = path.clone();
            let read = tokio::task::spawn_blocking(move || read_secret(&path)).await;
            let read = read.map_err(|error| error.to_string());
            read.and_then(|read| read.map_err(|error| error.to_string()))
                .map_err(|error| {
                    notes.problem(format!("secret `{id}`: {error}"));
                    Failed::new(INTERNAL, error)
                })?
        }
    };
    if data.len() > LARGEST {
        let message = format!("secret `{id}` is larger than {} kB", LARGEST >> 10);
        notes.problem(message.clone());
        return Err(Failed::new(INTERNAL, message));
    }
    notes.handed_out(&data);
    outgoing.send(&GetSecretResponse { data }).await
}

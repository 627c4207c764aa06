//! `moby.sshforward.v1`: the SSH agent of this host, for a command that mounts it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use hyper::http::HeaderMap;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::rpc::{Failed, INTERNAL, Incoming, NOT_FOUND, Outgoing};

pub(super) const CHECK: &str = "/moby.sshforward.v1.SSH/CheckAgent";
pub(super) const FORWARD: &str = "/moby.sshforward.v1.SSH/ForwardAgent";

/// The id that a mount has unless it names one.
const DEFAULT: &str = "default";

/// The header with the id.
const ID: &str = "buildkit.ssh.id";

const PIECE: usize = 32 << 10;

#[derive(Clone, PartialEq, prost::Message)]
struct CheckAgentRequest {
    #[prost(string, tag = "1")]
    id: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct CheckAgentResponse {}

#[derive(Clone, PartialEq, prost::Message)]
struct BytesMessage {
    #[prost(bytes = "vec", tag = "1")]
    data: Vec<u8>,
}

fn socket<'a>(agents: &'a BTreeMap<String, PathBuf>, id: &str) -> Result<&'a PathBuf, Failed> {
    let id = if id.is_empty() { DEFAULT } else { id };
    let socket = agents.get(id);
    socket.ok_or_else(|| Failed::new(NOT_FOUND, format!("unset ssh forward key {id}")))
}

pub(super) async fn check(
    agents: &BTreeMap<String, PathBuf>,
    (incoming, outgoing): (&mut Incoming, &mut Outgoing),
) -> Result<(), Failed> {
    let request: CheckAgentRequest = incoming.next().await?.unwrap_or_default();
    socket(agents, &request.id)?;
    outgoing.send(&CheckAgentResponse {}).await
}

/// Carries bytes both ways until one side ends.
pub(super) async fn forward(
    agents: &BTreeMap<String, PathBuf>,
    headers: &HeaderMap,
    (incoming, outgoing): (&mut Incoming, &mut Outgoing),
) -> Result<(), Failed> {
    let id = headers.get(ID).and_then(|id| id.to_str().ok());
    let path = socket(agents, id.unwrap_or_default())?;
    let agent = UnixStream::connect(path).await.map_err(|error| {
        let message = format!("cannot reach the agent at `{}`: {error}", path.display());
        Failed::new(INTERNAL, message)
    })?;
    let (mut from_agent, mut to_agent) = agent.into_split();
    let failed = |error: std::io::Error| Failed::new(INTERNAL, error.to_string());
    let ask = async {
        while let Some(BytesMessage { data }) = incoming.next().await? {
            to_agent.write_all(&data).await.map_err(failed)?;
        }
        to_agent.shutdown().await.map_err(failed)
    };
    let answer = async {
        let mut buffer = vec![0; PIECE];
        loop {
            let count = from_agent.read(&mut buffer).await.map_err(failed)?;
            if count == 0 {
                return Ok(());
            }
            let data = buffer[..count].to_vec();
            outgoing.send(&BytesMessage { data }).await?;
        }
    };
    futures::pin_mut!(ask, answer);
    match futures::future::select(ask, answer).await {
        // What the agent still has to say is waited for.
        futures::future::Either::Left((Ok(()), answer)) => answer.await,
        futures::future::Either::Left((Err(error), _)) => Err(error),
        futures::future::Either::Right((result, _)) => result,
    }
}

//! BuildKit's progress, as it comes through the engine's build endpoint: base64 of a protobuf
//! `StatusResponse`.
//!
//! Only what a failed build has to show is modelled. Source: `moby/buildkit`,
//! `api/services/control/control.proto`.

use std::collections::{BTreeMap, VecDeque};

use base64::Engine as _;
use prost::Message as _;

/// Lines kept of each step's output, for the message of a failed build.
const KEPT_LINES: usize = 20;

#[derive(Clone, PartialEq, prost::Message)]
struct StatusResponse {
    #[prost(message, repeated, tag = "1")]
    vertexes: Vec<Vertex>,
    #[prost(message, repeated, tag = "3")]
    logs: Vec<VertexLog>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Vertex {
    #[prost(string, tag = "1")]
    digest: String,
    #[prost(string, tag = "3")]
    name: String,
    #[prost(string, tag = "7")]
    error: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct VertexLog {
    #[prost(string, tag = "1")]
    vertex: String,
    #[prost(bytes = "vec", tag = "4")]
    message: Vec<u8>,
}

/// What the steps of a build have printed, and which of them failed.
#[derive(Debug, Default)]
pub(super) struct Trace {
    output: BTreeMap<String, VecDeque<String>>,
    failed: Option<(String, String)>,
}

impl Trace {
    /// Takes one report. A report that cannot be read is passed over: it is progress, not result.
    pub(super) fn record(&mut self, encoded: &str) {
        let Ok(bytes) = base64::engine::general_purpose::STANDARD.decode(encoded) else {
            return;
        };
        let Ok(status) = StatusResponse::decode(bytes.as_slice()) else {
            return;
        };
        for log in status.logs {
            let lines = self.output.entry(log.vertex).or_default();
            for line in String::from_utf8_lossy(&log.message).lines() {
                if lines.len() == KEPT_LINES {
                    lines.pop_front();
                }
                lines.push_back(line.to_owned());
            }
        }
        if let Some(vertex) = status
            .vertexes
            .into_iter()
            .find(|vertex| !vertex.error.is_empty())
        {
            self.failed = Some((vertex.digest, vertex.name));
        }
    }

    /// The step that failed and the last lines of its output.
    pub(super) fn failure(&self) -> Option<String> {
        let (digest, name) = self.failed.as_ref()?;
        let mut text = format!("step {name}");
        for line in self.output.get(digest).into_iter().flatten() {
            text.push_str("\n  ");
            text.push_str(line);
        }
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(status: &StatusResponse) -> String {
        base64::engine::general_purpose::STANDARD.encode(status.encode_to_vec())
    }

    #[test]
    fn the_failing_step_is_shown_with_its_output() {
        let mut trace = Trace::default();
        let log = |text: &str| VertexLog {
            vertex: "sha256:a".to_owned(),
            message: text.as_bytes().to_vec(),
        };
        trace.record(&encoded(&StatusResponse {
            vertexes: Vec::new(),
            logs: vec![log("hello\n"), log("oops\n")],
        }));
        let vertex = Vertex {
            digest: "sha256:a".to_owned(),
            name: "[2/2] RUN make".to_owned(),
            error: "exit code: 3".to_owned(),
        };
        trace.record(&encoded(&StatusResponse {
            vertexes: vec![vertex],
            logs: Vec::new(),
        }));
        trace.record("not base64 at all");
        assert_eq!(
            trace.failure().as_deref(),
            Some("step [2/2] RUN make\n  hello\n  oops")
        );
    }
}

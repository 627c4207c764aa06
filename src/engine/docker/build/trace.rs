//! What a build prints: BuildKit's progress, as it comes through the engine's build endpoint
//! (base64 of a protobuf `StatusResponse`), and the text of the classic builder.
//!
//! Source: `moby/buildkit`, `api/services/control/control.proto`.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;

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
struct Timestamp {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanoseconds: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Vertex {
    #[prost(string, tag = "1")]
    digest: String,
    #[prost(string, tag = "3")]
    name: String,
    #[prost(bool, tag = "4")]
    cached: bool,
    #[prost(message, optional, tag = "5")]
    started: Option<Timestamp>,
    #[prost(message, optional, tag = "6")]
    completed: Option<Timestamp>,
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

/// What is known of one step.
#[derive(Debug, Default)]
struct Step {
    number: usize,
    name: String,
    ended: bool,
    /// The last lines of its output.
    tail: VecDeque<String>,
    /// A line that has not come to its end.
    open: Vec<u8>,
}

/// What the steps of a build have printed, and which of them failed.
#[derive(Debug, Default)]
pub(super) struct Trace {
    steps: BTreeMap<String, Step>,
    /// The step that failed, and that the others were cancelled for.
    failed: Option<String>,
    /// The step of the classic builder that prints now.
    current: String,
}

impl Trace {
    /// Takes one report and answers the text of it. A report that cannot be read is passed over: it
    /// is progress, not result.
    pub(super) fn record(&mut self, encoded: &str) -> String {
        let mut text = String::new();
        let Ok(bytes) = base64::engine::general_purpose::STANDARD.decode(encoded) else {
            return text;
        };
        let Ok(status) = StatusResponse::decode(bytes.as_slice()) else {
            return text;
        };
        for vertex in &status.vertexes {
            let step = step(&mut self.steps, &vertex.digest);
            if vertex.started.is_some() && step.name != vertex.name {
                step.name.clone_from(&vertex.name);
                let _ = writeln!(text, "#{} {}", step.number, vertex.name);
            }
        }
        for log in status.logs {
            let step = step(&mut self.steps, &log.vertex);
            step.print(&log.message, &mut text);
        }
        for vertex in status.vertexes {
            self.end(&vertex, &mut text);
        }
        text
    }

    fn end(&mut self, vertex: &Vertex, text: &mut String) {
        let step = step(&mut self.steps, &vertex.digest);
        let (Some(completed), false) = (&vertex.completed, step.ended) else {
            return;
        };
        step.ended = true;
        step.end_line(text);
        let number = step.number;
        let _ = if !vertex.error.is_empty() {
            writeln!(text, "#{number} ERROR: {}", vertex.error)
        } else if vertex.cached {
            writeln!(text, "#{number} CACHED")
        } else {
            let begun = vertex.started.as_ref().unwrap_or(completed);
            let milliseconds = (completed.seconds - begun.seconds).saturating_mul(1000)
                + i64::from((completed.nanoseconds - begun.nanoseconds) / 1_000_000);
            writeln!(
                text,
                "#{number} DONE {}.{:03}s",
                milliseconds / 1000,
                milliseconds.rem_euclid(1000)
            )
        };
        // The steps beside the one that failed end with an error as well.
        if !vertex.error.is_empty()
            && self.failed.is_none()
            && !vertex.error.ends_with("context canceled")
        {
            self.failed = Some(vertex.digest.clone());
        }
    }

    /// Takes text of the classic builder, and answers it. Each of its steps begins with `Step 1/2 :
    /// RUN …`; the one that printed last is the one that fails.
    pub(super) fn print(&mut self, text: &str) -> String {
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            if line.starts_with("Step ") && line.contains(" : ") {
                self.current = line.to_owned();
                let step = step(&mut self.steps, line);
                step.name = line.trim_start_matches("Step ").to_owned();
                self.failed = Some(self.current.clone());
            } else if let Some(step) = self.steps.get_mut(&self.current) {
                step.keep(line);
            }
        }
        text.to_owned()
    }

    /// The step that failed and the last lines of its output.
    pub(super) fn failure(&self) -> Option<String> {
        let step = self.steps.get(self.failed.as_ref()?)?;
        let mut text = format!("step {}", step.name);
        for line in &step.tail {
            text.push_str("\n  ");
            text.push_str(line);
        }
        Some(text)
    }
}

/// The step of this digest. Their numbers are in the order in which they were heard of.
fn step<'a>(steps: &'a mut BTreeMap<String, Step>, digest: &str) -> &'a mut Step {
    let number = steps.len() + 1;
    steps.entry(digest.to_owned()).or_insert_with(|| Step {
        number,
        ..Step::default()
    })
}

impl Step {
    fn print(&mut self, bytes: &[u8], text: &mut String) {
        for byte in bytes {
            match byte {
                b'\n' => self.end_line(text),
                byte => self.open.push(*byte),
            }
        }
    }

    fn end_line(&mut self, text: &mut String) {
        if self.open.is_empty() {
            return;
        }
        let line = std::mem::take(&mut self.open);
        let line = String::from_utf8_lossy(&line);
        let line = line.trim_end_matches('\r');
        let _ = writeln!(text, "#{} {line}", self.number);
        self.keep(line);
    }

    fn keep(&mut self, line: &str) {
        if self.tail.len() == KEPT_LINES {
            self.tail.pop_front();
        }
        self.tail.push_back(line.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(trace: &mut Trace, vertexes: Vec<Vertex>, logs: &[(&str, &str)]) -> String {
        let logs = logs.iter().map(|(vertex, text)| VertexLog {
            vertex: (*vertex).to_owned(),
            message: text.as_bytes().to_vec(),
        });
        let status = StatusResponse {
            vertexes,
            logs: logs.collect(),
        };
        let encoded = base64::engine::general_purpose::STANDARD.encode(status.encode_to_vec());
        trace.record(&encoded)
    }

    fn vertex(digest: &str, error: &str, ended: Option<i64>) -> Vertex {
        let at = |seconds| Timestamp {
            seconds,
            nanoseconds: 0,
        };
        Vertex {
            digest: digest.to_owned(),
            name: format!("RUN {digest}"),
            cached: digest == "cached",
            started: Some(at(10)),
            completed: ended.map(at),
            error: error.to_owned(),
        }
    }

    #[test]
    fn the_failing_step_is_shown_with_its_output() {
        let mut trace = Trace::default();
        let mut text = recorded(&mut trace, vec![vertex("a", "", None)], &[("a", "hel")]);
        text += &recorded(
            &mut trace,
            vec![vertex("b", "", None)],
            &[("a", "lo\noops")],
        );
        text += &recorded(
            &mut trace,
            vec![
                vertex("cached", "", Some(10)),
                vertex("b", "solve: context canceled", Some(11)),
                vertex("a", "exit code: 3", Some(12)),
            ],
            &[("b", "beside\n")],
        );
        text += &recorded(&mut trace, vec![vertex("c", "", Some(13))], &[]);
        text += &trace.record("not base64 at all");
        assert_eq!(
            text,
            "#1 RUN a\n#2 RUN b\n#1 hello\n#3 RUN cached\n#2 beside\n#3 CACHED\n#2 ERROR: solve: context canceled\n#1 oops\n#1 ERROR: exit code: 3\n#4 RUN c\n#4 DONE 3.000s\n"
        );
        assert_eq!(
            trace.failure().as_deref(),
            Some("step RUN a\n  hello\n  oops")
        );
    }

    #[test]
    fn the_classic_builder_fails_in_the_step_that_it_has_begun_last() {
        let mut trace = Trace::default();
        trace.print("Step 1/2 : FROM a\n");
        trace.print(" ---> 0123\n");
        assert_eq!(trace.print("Step 2/2 : RUN b"), "Step 2/2 : RUN b");
        trace.print("\nno such thing\n");
        assert_eq!(
            trace.failure().as_deref(),
            Some("step 2/2 : RUN b\n  no such thing")
        );
    }
}

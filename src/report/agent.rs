//! The agent of Buildkite: the only way to an annotation there. It must never be waited for beyond a limit, and a job without it has
//! `junit.xml` and the log.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::clock;

/// The program.
const PROGRAM: &str = "buildkite-agent";

/// How long it may take: it asks the servers of Buildkite.
const PATIENCE: Duration = Duration::from_secs(5);

/// Shows a page of Markdown on the page of the build. Answers with what has gone wrong; where there is no agent, nothing has.
pub(super) async fn annotate(context: &str, style: &str, page: String) -> Option<String> {
    let spawned = Command::new(PROGRAM)
        .args(["annotate", "--style", style, "--context", context])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        Err(error) => return Some(format!("cannot start `{PROGRAM}`: {error}")),
    };
    let told = async {
        if let Some(mut input) = child.stdin.take() {
            // Whoever does not read to the end says why by its exit.
            let _ = input.write_all(page.as_bytes()).await;
        }
        child.wait().await
    };
    match clock::within(PATIENCE, told).await {
        Ok(Ok(status)) if status.success() => None,
        Ok(Ok(status)) => Some(format!("`{PROGRAM} annotate` has failed: {status}")),
        Ok(Err(error)) => Some(format!("`{PROGRAM} annotate` has failed: {error}")),
        Err(_late) => Some(format!(
            "`{PROGRAM} annotate` took longer than {PATIENCE:?}"
        )),
    }
}

//! Readiness kind `nats`: the server introduces itself and answers `PING`. Source: NATS
//! documentation, "Client Protocol".

use serde_json::Value;

use super::Reason;
use super::conversation::{Conversation, foreign, shown};

/// Lines that may stand before the answer.
const LINES: usize = 20;

pub(super) async fn attempt(mut server: Conversation) -> Result<(), Reason> {
    let introduction = server.line().await?;
    let Some(info) = introduction.strip_prefix("INFO ") else {
        return Err(foreign("NATS", &introduction));
    };
    let info: Value = serde_json::from_str(info).unwrap_or_default();
    // From here on such a server speaks TLS only.
    if info.get("tls_required").and_then(Value::as_bool) == Some(true) {
        return Ok(());
    }
    let greeting =
        b"CONNECT {\"verbose\":false,\"pedantic\":false,\"name\":\"envrun\"}\r\nPING\r\n";
    server.say(greeting).await?;
    for _ in 0..LINES {
        if let Some(answer) = judge(&server.line().await?) {
            return answer;
        }
    }
    Err(foreign("NATS", ""))
}

/// What a line means; `None` when it is not the answer yet.
fn judge(line: &str) -> Option<Result<(), Reason>> {
    if line == "PONG" {
        return Some(Ok(()));
    }
    if let Some(error) = line.strip_prefix("-ERR") {
        // It serves those who have a name there.
        let serves = error.to_lowercase().contains("authorization")
            || error.to_lowercase().contains("authentication");
        return Some(if serves {
            Ok(())
        } else {
            Err(Reason::NotYet(shown(error.trim())))
        });
    }
    match line.split(' ').next().unwrap_or_default() {
        "+OK" | "INFO" | "PING" => None,
        _ => Some(Err(foreign("NATS", line))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_wants_a_password_serves() {
        assert_eq!(judge("PONG"), Some(Ok(())));
        assert_eq!(judge("-ERR 'Authorization Violation'"), Some(Ok(())));
        assert!(judge("-ERR 'maximum connections exceeded'").is_some_and(|one| one.is_err()));
        assert_eq!(judge("INFO {}"), None);
        assert!(judge("VERSION 1").is_some_and(|one| one.is_err()));
    }
}

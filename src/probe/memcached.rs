//! Readiness kind `memcached`: `version` is answered. Source: memcached, "protocol.txt".

use super::Reason;
use super::conversation::{Conversation, foreign, shown};

pub(super) async fn attempt(mut server: Conversation) -> Result<(), Reason> {
    server.say(b"version\r\n").await?;
    judge(&server.line().await?)
}

fn judge(answer: &str) -> Result<(), Reason> {
    // One that wants a password says so, and serves.
    if answer.starts_with("VERSION ") || answer == "CLIENT_ERROR unauthenticated" {
        return Ok(());
    }
    let is_error = ["ERROR", "SERVER_ERROR", "CLIENT_ERROR"];
    if is_error.iter().any(|word| answer.starts_with(word)) {
        return Err(Reason::NotYet(shown(answer)));
    }
    Err(foreign("memcached", answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_wanted() {
        assert!(judge("VERSION 1.6.18").is_ok());
        assert!(judge("CLIENT_ERROR unauthenticated").is_ok());
        assert!(matches!(
            judge("ERROR Too many open connections"),
            Err(Reason::NotYet(_))
        ));
        assert!(matches!(judge("+OK"), Err(Reason::Foreign(_))));
    }
}

//! Readiness kind `redis`, for Redis, Valkey and whatever speaks like them: `PING` is answered.
//!
//! A server that still loads its data answers `-LOADING`; one that wants a password answers
//! `-NOAUTH`, and serves. Source: Redis documentation, "Serialization protocol specification" and
//! `PING`.

use super::Reason;
use super::conversation::{Conversation, foreign, shown};

/// Errors of a server that serves, but not us.
const SERVING: [&str; 3] = ["NOAUTH", "NOPERM", "WRONGPASS"];

pub(super) async fn attempt(mut server: Conversation) -> Result<(), Reason> {
    server.say(b"*1\r\n$4\r\nPING\r\n").await?;
    judge(&server.line().await?)
}

fn judge(answer: &str) -> Result<(), Reason> {
    if answer == "+PONG" {
        return Ok(());
    }
    match answer.strip_prefix('-') {
        Some(error) => {
            let kind = error.split(' ').next().unwrap_or_default();
            // Before version 6 a missing password was an `ERR`.
            if SERVING.contains(&kind) || error.contains("operation not permitted") {
                Ok(())
            } else {
                Err(Reason::NotYet(shown(error)))
            }
        }
        None => Err(foreign("Redis", answer)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_loads_is_not_ready_and_one_with_a_password_is() {
        assert!(judge("+PONG").is_ok());
        assert!(judge("-NOAUTH Authentication required.").is_ok());
        assert!(judge("-NOPERM this user has no permissions").is_ok());
        for error in [
            "-LOADING Redis is loading the dataset in memory",
            "-MASTERDOWN Link with MASTER is down",
            "-ERR max number of clients reached",
            "-DENIED Redis is running in protected mode",
        ] {
            assert!(matches!(judge(error), Err(Reason::NotYet(_))), "{error}");
        }
        assert!(matches!(
            judge("HTTP/1.1 400 Bad Request"),
            Err(Reason::Foreign(_))
        ));
    }
}

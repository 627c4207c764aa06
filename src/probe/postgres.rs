//! Readiness kind `postgres`: the server answers the start of its own protocol and accepts
//! sessions.
//!
//! An accepted connection proves little: the postmaster listens before recovery is over, and
//! answers `the database system is starting up` (SQLSTATE 57P03) until then. So a startup message
//! is sent, as `pg_isready` does: any answer but an error of class 57P means that sessions are
//! accepted, a demand for a password or an unknown role included. Source: PostgreSQL documentation,
//! "Message Formats" and "Error Codes".

use super::Reason;
use super::conversation::{Conversation, LONGEST, foreign, shown};

/// Protocol version 3.0.
const PROTOCOL: u32 = 196_608;

/// SQLSTATE of a server that has all the sessions that it can have.
const TOO_MANY_CONNECTIONS: &str = "53300";

/// Sends a startup message and judges the first answer.
pub(super) async fn attempt(mut server: Conversation) -> Result<(), Reason> {
    server.say(&startup_message()).await?;
    let header = server.bytes(5).await?;
    let (kind, length) = match header.as_slice() {
        [kind, length @ ..] => {
            let length = length.try_into().map(u32::from_be_bytes).unwrap_or(0);
            (*kind, usize::try_from(length).unwrap_or(usize::MAX))
        }
        [] => return Err(foreign("PostgreSQL", "")),
    };
    if !matches!(kind, b'R' | b'E') {
        return Err(foreign("PostgreSQL", &String::from_utf8_lossy(&header)));
    }
    let body = server.bytes(length.saturating_sub(4).min(LONGEST)).await?;
    judge(kind, &body)
}

fn startup_message() -> Vec<u8> {
    let mut body = PROTOCOL.to_be_bytes().to_vec();
    body.extend_from_slice(b"user\0postgres\0database\0postgres\0application_name\0envrun\0\0");
    let length = u32::try_from(body.len() + 4).unwrap_or(u32::MAX);
    let mut message = length.to_be_bytes().to_vec();
    message.append(&mut body);
    message
}

/// `R` is a request for authentication, `E` an error with fields: a letter, a text, a zero.
fn judge(kind: u8, body: &[u8]) -> Result<(), Reason> {
    if kind == b'R' {
        return Ok(());
    }
    let field = |wanted: u8| {
        body.split(|byte| *byte == 0)
            .find(|field| field.first() == Some(&wanted))
            .map(|field| String::from_utf8_lossy(&field[1..]).into_owned())
            .unwrap_or_default()
    };
    let state = field(b'C');
    if state.is_empty() {
        return Err(foreign("PostgreSQL", ""));
    }
    // Class 57P is operator intervention: 57P01 and 57P02 are shutdowns, 57P03 is "cannot connect
    // now".
    if state.starts_with("57P") || state == TOO_MANY_CONNECTIONS {
        Err(Reason::NotYet(shown(&field(b'M'))))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_operator_intervention_is_not_ready() {
        assert!(judge(b'R', &[]).is_ok());
        assert!(judge(b'E', b"SFATAL\0C28000\0Mrole does not exist\0\0").is_ok());
        let starting = b"SFATAL\0C57P03\0Mthe database system is starting up\0\0";
        assert_eq!(
            judge(b'E', starting),
            Err(Reason::NotYet(
                "the database system is starting up".to_owned()
            ))
        );
        assert!(judge(b'E', b"SFATAL\0C53300\0Mtoo many clients\0\0").is_err());
        assert!(judge(b'E', b"garbage").is_err());
    }
}

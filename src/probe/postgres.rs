//! Readiness kind `postgres`: the server answers the start of its own protocol and accepts
//! sessions.
//!
//! An accepted connection proves little: the postmaster listens before recovery is over, and
//! answers `the database system is starting up` (SQLSTATE 57P03) until then. So a startup message
//! is sent, as `pg_isready` does: any answer but an error of class 57P means that sessions are
//! accepted, a demand for a password or an unknown role included. Source: PostgreSQL documentation,
//! "Message Formats" and "Error Codes".

use std::net::IpAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Protocol version 3.0.
const PROTOCOL: u32 = 196_608;

/// Longest answer that is looked at.
const LONGEST_ANSWER: usize = 4096;

/// Sends a startup message and judges the first answer.
pub(super) async fn attempt(address: IpAddr, port: u16) -> Result<(), String> {
    let mut stream = super::tcp::connect(address, port).await?;
    stream
        .write_all(&startup_message())
        .await
        .map_err(|error| super::tcp::plain(&error))?;
    let mut header = [0_u8; 5];
    stream
        .read_exact(&mut header)
        .await
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => {
                "closed the connection without an answer".to_owned()
            }
            _ => super::tcp::plain(&error),
        })?;
    let [kind, length @ ..] = header;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    let mut body = vec![0_u8; length.saturating_sub(4).min(LONGEST_ANSWER)];
    stream
        .read_exact(&mut body)
        .await
        .map_err(|error| super::tcp::plain(&error))?;
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
fn judge(kind: u8, body: &[u8]) -> Result<(), String> {
    if kind == b'R' {
        return Ok(());
    }
    if kind != b'E' {
        return Err("the answer is not PostgreSQL's".to_owned());
    }
    let field = |wanted: u8| {
        body.split(|byte| *byte == 0)
            .find(|field| field.first() == Some(&wanted))
            .map(|field| String::from_utf8_lossy(&field[1..]).into_owned())
            .unwrap_or_default()
    };
    let state = field(b'C');
    // Class 57P is operator intervention: 57P01 and 57P02 are shutdowns, 57P03 is "cannot connect
    // now".
    if state.starts_with("57P") {
        Err(field(b'M'))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::judge;

    #[test]
    fn only_operator_intervention_is_not_ready() {
        assert!(judge(b'R', &[]).is_ok());
        assert!(judge(b'E', b"SFATAL\0C28000\0Mrole does not exist\0\0").is_ok());
        let starting = b"SFATAL\0C57P03\0Mthe database system is starting up\0\0";
        assert_eq!(
            judge(b'E', starting),
            Err("the database system is starting up".to_owned())
        );
        assert!(judge(b'H', b"TTP/1.1 400").is_err());
    }
}

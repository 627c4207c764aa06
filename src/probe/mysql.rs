//! Readiness kinds `mysql` and `mariadb`: the server greets, and answers a login.
//!
//! The greeting alone is not believed: a server that is full or that shuts down says so instead, and
//! clients that leave after the greeting are counted as errors of their host, which is locked out
//! after a hundred. So a login without a password is sent, and whatever the server says of it but a
//! few errors means that it serves. The temporary server of the official images' init phase has no
//! TCP port. Source: MySQL "Client/Server Protocol", "Connection Phase Packets" and "Server Error
//! Message Reference".

use super::Reason;
use super::conversation::{Conversation, LONGEST, foreign, shown};

/// Errors that will pass: full, shutting down, offline.
const PASSING: [u16; 4] = [1040, 1053, 1203, 3032];

/// Long passwords, protocol 4.1, secure connection, names of authentication methods.
const CAPABILITIES: u32 = 0x0000_0001 | 0x0000_0200 | 0x0000_8000 | 0x0008_0000;
const CHARACTER_SET: u8 = 45;
const LONGEST_PACKET: u32 = 1 << 24;

/// First byte of an error.
const ERROR: u8 = 0xff;

pub(super) async fn attempt(mut server: Conversation) -> Result<(), Reason> {
    let (sequence, greeting) = packet(&mut server).await?;
    match greeting.first() {
        Some(10) => {}
        // Older than any that still runs; it cannot be asked further.
        Some(9) => return Ok(()),
        Some(&ERROR) => return judge_error(&greeting),
        _ => return Err(foreign("MySQL", &String::from_utf8_lossy(&greeting))),
    }
    server.say(&login(sequence.wrapping_add(1))).await?;
    let (_, answer) = packet(&mut server).await?;
    match answer.first() {
        Some(&ERROR) => judge_error(&answer),
        // Welcome, more is wanted, another method is wanted.
        Some(0x00..=0x02 | 0xfe) => Ok(()),
        _ => Err(foreign("MySQL", &String::from_utf8_lossy(&answer))),
    }
}

/// A packet: its number and as much of it as is looked at.
async fn packet(server: &mut Conversation) -> Result<(u8, Vec<u8>), Reason> {
    let header = server.bytes(4).await?;
    let [low, middle, high, sequence] = header.as_slice() else {
        return Err(foreign("MySQL", ""));
    };
    let length = usize::from(*low) | usize::from(*middle) << 8 | usize::from(*high) << 16;
    if length == 0 || length > LONGEST {
        return Err(foreign("MySQL", &String::from_utf8_lossy(&header)));
    }
    Ok((*sequence, server.bytes(length).await?))
}

fn login(sequence: u8) -> Vec<u8> {
    let mut body = CAPABILITIES.to_le_bytes().to_vec();
    body.extend_from_slice(&LONGEST_PACKET.to_le_bytes());
    body.push(CHARACTER_SET);
    body.extend_from_slice(&[0; 23]);
    // A name, and no password.
    body.extend_from_slice(b"envrun\0\0mysql_native_password\0");
    let length = u32::try_from(body.len()).unwrap_or_default().to_le_bytes();
    let mut packet = vec![length[0], length[1], length[2], sequence];
    packet.append(&mut body);
    packet
}

/// An error: its number, perhaps `#` and a state of five letters, and a text.
fn judge_error(packet: &[u8]) -> Result<(), Reason> {
    let [_, low, high, text @ ..] = packet else {
        return Err(foreign("MySQL", ""));
    };
    let number = u16::from_le_bytes([*low, *high]);
    let text = match text {
        [b'#', _, _, _, _, _, text @ ..] => text,
        text => text,
    };
    if PASSING.contains(&number) {
        let text = shown(&String::from_utf8_lossy(text));
        return Err(Reason::NotYet(format!("error {number}: {text}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_login_is_an_answer_and_a_full_server_is_not() {
        let error = |number: u16, text: &str| {
            let mut packet = vec![ERROR];
            packet.extend_from_slice(&number.to_le_bytes());
            packet.extend_from_slice(text.as_bytes());
            judge_error(&packet)
        };
        assert!(error(1045, "#28000Access denied").is_ok());
        assert!(error(1130, "Host is not allowed to connect").is_ok());
        assert_eq!(
            error(1040, "#08004Too many connections"),
            Err(Reason::NotYet(
                "error 1040: Too many connections".to_owned()
            ))
        );
        assert!(error(1053, "Server shutdown in progress").is_err());
        assert!(judge_error(&[ERROR]).is_err());
    }

    #[test]
    fn the_login_has_the_length_that_it_says() {
        let login = login(1);
        assert_eq!(usize::from(login[0]), login.len() - 4);
        assert_eq!(login[3], 1);
    }
}

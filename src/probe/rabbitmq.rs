//! Readiness kind `rabbitmq`: the server answers the header of AMQP 0-9-1 by `Connection.Start`.
//! RabbitMQ opens its port when it has booted, plugins and definitions included. Source: AMQP 0-9-1
//! specification, 2.3.5 "Frame Details" and 4.2.2 "Protocol Header".

use super::Reason;
use super::conversation::{Conversation, foreign};

/// The header, with the version that is asked for.
const HEADER: &[u8; 8] = b"AMQP\x00\x00\x09\x01";

/// A method on channel 0: the first bytes of the frame.
const METHOD: [u8; 3] = [1, 0, 0];

/// `Connection.Start`.
const START: [u8; 4] = [0, 10, 0, 10];

pub(super) async fn attempt(mut server: Conversation) -> Result<(), Reason> {
    server.say(HEADER).await?;
    // Another version is answered by a header of eight bytes.
    let answer = server.bytes(8).await?;
    if answer.starts_with(b"AMQP") {
        return Err(Reason::Foreign(
            "the server speaks another version of AMQP than 0-9-1".to_owned(),
        ));
    }
    if !answer.starts_with(&METHOD) {
        return Err(foreign("AMQP", &String::from_utf8_lossy(&answer)));
    }
    // Kind, channel and length are seven bytes, and the eighth belongs to the method.
    let mut method = answer[7..].to_vec();
    method.extend(server.bytes(3).await?);
    if method == START {
        Ok(())
    } else {
        Err(foreign("AMQP", ""))
    }
}

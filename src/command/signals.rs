//! Signals of this process as values.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::exit_code::Signal;

/// Signals that come, and a way to hand back one that was taken too early.
pub(super) type Signals = (
    mpsc::UnboundedSender<Signal>,
    mpsc::UnboundedReceiver<Signal>,
);

/// Starts listening. A handler is installed even where the signal was inherited as ignored, as a
/// shell does for what it starts in the background.
///
/// # Errors
/// The operating system refuses a handler.
pub(super) fn listen() -> std::io::Result<Signals> {
    let (sender, receiver) = mpsc::unbounded_channel();
    let kinds = [
        (SignalKind::hangup(), Signal::Hangup),
        (SignalKind::interrupt(), Signal::Interrupt),
        (SignalKind::terminate(), Signal::Terminate),
    ];
    for (kind, name) in kinds {
        let mut stream = signal(kind)?;
        let sender = sender.clone();
        tokio::spawn(async move {
            while stream.recv().await.is_some() {
                if sender.send(name).is_err() {
                    return;
                }
            }
        });
    }
    Ok((sender, receiver))
}

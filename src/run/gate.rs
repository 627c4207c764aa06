//! What a container start has to pass: with many runs on one machine, more than this run has a say in
//! when the engine gets the next one. Who decides is not known here.

use async_trait::async_trait;

use crate::event::Event;

/// The right to start a container now. It is given back when it is dropped.
pub type Permit = Box<dyn Send>;

/// Decides when a container may be started.
#[async_trait]
pub trait StartGate: Send + Sync + 'static {
    /// Returns when it may. Dropping the future while it waits gives up the place. What the user
    /// should know meanwhile is told by `tell`.
    async fn pass(&self, tell: &(dyn Fn(Event) + Send + Sync)) -> Permit;
    /// The run is over, and nothing is started any more.
    fn close(&self) {}
}

/// A gate that is always open.
#[derive(Debug, Clone, Copy)]
pub struct Open;

#[async_trait]
impl StartGate for Open {
    async fn pass(&self, _tell: &(dyn Fn(Event) + Send + Sync)) -> Permit {
        Box::new(())
    }
}

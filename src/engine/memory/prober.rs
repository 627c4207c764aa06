//! Dialling into the networks of the engine in memory.

use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;

use super::MemoryEngine;
use crate::clock;
use crate::probe::dial::DialError;
use crate::probe::{NetworkProbe, Prober, Reason};

#[async_trait]
impl Prober for MemoryEngine {
    fn reaches(&self, _gateway: IpAddr) -> bool {
        self.is_near
    }

    async fn attempt(
        &self,
        probe: &NetworkProbe,
        _service: &str,
        address: IpAddr,
        _limit: Duration,
    ) -> Result<(), Reason> {
        clock::pause(Duration::from_millis(1)).await;
        if self.lock().accepts(address, &probe.ports()) {
            Ok(())
        } else {
            Err(Reason::Dial(DialError::Refused))
        }
    }
}

//! Dialling into the networks of the engine in memory.

use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;

use super::MemoryEngine;
use crate::clock;
use crate::probe::{NetworkProbe, Prober};

#[async_trait]
impl Prober for MemoryEngine {
    fn reaches(&self, _gateway: IpAddr) -> bool {
        true
    }

    async fn attempt(
        &self,
        probe: &NetworkProbe,
        _service: &str,
        address: IpAddr,
        _limit: Duration,
    ) -> Result<(), String> {
        clock::pause(Duration::from_millis(1)).await;
        let ports: Vec<u16> = match probe {
            NetworkProbe::Tcp { ports } => ports.clone(),
            NetworkProbe::Http { port, .. } | NetworkProbe::Postgres { port } => vec![*port],
        };
        if self.lock().accepts(address, &ports) {
            Ok(())
        } else {
            Err("connection refused".to_owned())
        }
    }
}

//! What an engine says of itself and of its host, for whoever compares two of them.

use super::error::translate;
use super::{DockerEngine, Engine as _, EngineError};

/// What an engine says of itself; a text that it does not say is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostFacts {
    /// Product name.
    pub product: String,
    /// Version of the product.
    pub version: String,
    /// API version, `1.41`.
    pub api: String,
    /// Operating system of its host: `linux`.
    pub os: String,
    /// Architecture of its host as Go calls it: `amd64`.
    pub architecture: String,
    /// Kernel of its host.
    pub kernel: String,
    /// Version of control groups: `1` or `2`.
    pub cgroup: String,
    /// Storage driver.
    pub storage_driver: String,
}

impl DockerEngine {
    /// Asks the engine about itself and its host.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn host(&self) -> Result<HostFacts, EngineError> {
        let capabilities = self.describe().await?;
        let attempt = "ask the engine about its host".to_owned();
        let info = self.docker.info().await;
        let info = info.map_err(|error| translate(&attempt, error))?;
        let (major, minor) = capabilities.api;
        let cgroup = info.cgroup_version.map(|version| version.to_string());
        Ok(HostFacts {
            product: capabilities.product,
            version: capabilities.version,
            api: format!("{major}.{minor}"),
            os: info.os_type.unwrap_or_default(),
            architecture: capabilities.architecture,
            kernel: info.kernel_version.unwrap_or_default(),
            cgroup: cgroup.unwrap_or_default(),
            storage_driver: info.driver.unwrap_or_default(),
        })
    }
}

//! Who an engine is, what it can do, and how far away it is.
//!
//! Owns the facts that decide what may be asked of an engine. It must never ask one.

/// Who the engine is, and what it can do. Unsupported features become plan errors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// Product name as the engine gives it, for messages.
    pub product: String,
    /// Version of the product.
    pub version: String,
    /// API version, as `(major, minor)`.
    pub api: (u16, u16),
    /// Architecture of its host as Go calls it: `amd64`, `arm64`. Empty when it does not say.
    pub architecture: String,
    /// What builds images there.
    pub builder: Builder,
}

/// What builds images. Not everything that a build can ask for is known to both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Builder {
    /// BuildKit.
    BuildKit,
    /// What was there before, and what other products have in its place.
    Classic,
}

/// How far away an engine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distance {
    /// Behind a socket in the file system: on this host.
    Socket,
    /// Behind a loopback address: on this host, unless the address is a tunnel or that of a container
    /// with several parts.
    Loopback,
    /// On another host.
    Remote,
}

//! Images by name: references, platforms, pull policies, mirrors, what the failure of a pull means,
//! and where a Dockerfile names images.
//!
//! Pure. It neither asks an engine nor a registry, and it waits for nothing: whoever pulls
//! (`run::obtaining`) asks here what to pull from where, when to try again and when to give up.

pub mod attempts;
pub mod dockerfile;
pub mod failure;
pub mod lock;
pub mod mirror;
pub mod platform;
pub mod policy;
pub mod reference;

pub use self::mirror::Mirrors;
pub use self::platform::Platform;
pub use self::policy::PullPolicy;
pub use self::reference::Reference;

//! What this machine knows of processes of envrun.
//!
//! It reads the kernel's own tables and never names an engine; what follows from what it finds is
//! decided elsewhere.

pub mod process;

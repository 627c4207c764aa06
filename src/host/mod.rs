//! What this machine knows of the processes of envrun: the kernel's own tables, and lock files that
//! processes share.
//!
//! What is here about processes side by side holds without a server between them: a lock is the
//! kernel's, so it ends with the process that holds it, however that ends. This room never names an
//! engine; it is given the address of one as a text, to keep apart what has nothing to do with each
//! other. What follows from what it finds is decided elsewhere.

mod bell;
mod directory;
pub mod process;
mod queue;
pub mod starts;

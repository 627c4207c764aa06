//! The words of each system, read by parsers that work as the systems' own do.

mod escapes;
mod screens;
mod selection;
mod understood;

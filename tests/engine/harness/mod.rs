//! What the tests of this binary work with: the engine seen without envrun's help, a project in a
//! temporary directory, a run of the program, and its reports.

pub(crate) mod engine;
pub(crate) mod events;
pub(crate) mod faulty_engine;
pub(crate) mod image;
pub(crate) mod junit;
pub(crate) mod outside;
pub(crate) mod private_engine;
pub(crate) mod project;
pub(crate) mod registry;
pub(crate) mod run;
#[path = "../../schemas/validate.rs"]
#[expect(dead_code, reason = "the tests of the schemas use more of it")]
pub(crate) mod validate;
pub(crate) mod wait;

pub(crate) use self::engine::Engine;
pub(crate) use self::project::Project;
pub(crate) use self::run::{Finished, Run};

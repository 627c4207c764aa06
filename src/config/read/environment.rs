//! `environment:` of a service.

use std::collections::{BTreeMap, BTreeSet};

use super::super::yaml::Mapping;
use super::context::Context;

/// The variables of a container.
#[derive(Default)]
pub(super) struct Environment {
    pub(super) variables: BTreeMap<String, String>,
    /// Names without any value, which take away what the image says.
    pub(super) unset: BTreeSet<String>,
}

/// Reads them.
pub(super) fn read_environment(context: &mut Context<'_>, map: &Mapping) -> Environment {
    let pairs = match map.get("environment") {
        Some(node) => context.pairs(node, "environment"),
        None => Vec::new(),
    };
    let mut environment = Environment::default();
    for pair in pairs {
        context.mask_by_name(&pair);
        match pair.value {
            Some(value) => {
                environment.variables.insert(pair.key, value);
            }
            None => {
                environment.unset.insert(pair.key);
            }
        }
    }
    environment
}

//! `environment:` of a service.

use std::collections::BTreeMap;

use super::super::yaml::Mapping;
use super::context::Context;

/// Reads the variables. One without a value is in no environment, and is left out.
pub(super) fn read_environment(
    context: &mut Context<'_>,
    map: &Mapping,
) -> BTreeMap<String, String> {
    let pairs = match map.get("environment") {
        Some(node) => context.pairs(node, "environment"),
        None => Vec::new(),
    };
    pairs
        .into_iter()
        .filter_map(|pair| Some((pair.key, pair.value?)))
        .collect()
}

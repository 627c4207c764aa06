//! Whether builds that need each other's results can be put in an order.

use std::collections::{BTreeMap, BTreeSet};

use super::super::read::{Context, ReadService};
use super::super::source::Place;
use crate::name::ServiceName;

/// Refuses builds that need their own result. Each is named: any of them could be the one too many.
pub(super) fn check_circles(context: &mut Context<'_>, active: &[ReadService]) {
    let services: BTreeMap<&ServiceName, &ReadService> =
        active.iter().map(|one| (&one.service.name, one)).collect();
    for one in active {
        if let Some(place) = circle(&services, one) {
            let name = &one.service.name;
            let message = format!("the build of `{name}` needs its own result");
            context.error_help(place, message, "take one `service:` out of the circle");
        }
    }
}

/// Where a service names the context over which its build comes back to itself.
fn circle<'r>(
    services: &BTreeMap<&ServiceName, &'r ReadService>,
    one: &'r ReadService,
) -> Option<&'r Place> {
    one.places.contexts.iter().find_map(|(first, place)| {
        let mut seen: BTreeSet<&ServiceName> = BTreeSet::new();
        let mut open = vec![first];
        while let Some(name) = open.pop() {
            if *name == one.service.name {
                return Some(place);
            }
            if seen.insert(name)
                && let Some(next) = services.get(name)
            {
                open.extend(next.places.contexts.iter().map(|(name, _)| name));
            }
        }
        None
    })
}

//! `image:`, `platform:` and `pull_policy:` of a service.

use std::time::Duration;

use super::super::diagnostic::Problem;
use super::super::duration;
use super::super::suggest::did_you_mean;
use super::super::yaml::{Mapping, Node, shorten};
use super::context::Context;
use crate::image::reference::{Reference, ReferenceError};
use crate::image::{Platform, PullPolicy};

/// The platform of services that name none, as Docker's own tools have it.
const DEFAULT_PLATFORM: &str = "DOCKER_DEFAULT_PLATFORM";

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// The policies, and what follows `every_`.
const POLICIES: [&str; 8] = [
    "always",
    "never",
    "missing",
    "if_not_present",
    "build",
    "daily",
    "weekly",
    "refresh",
];

/// Checks that `image:` can be a reference. The id of an image on the engine is as good.
pub(super) fn check_reference(context: &mut Context<'_>, map: &Mapping, name: Option<&str>) {
    let (Some(name), Some(node)) = (name, map.get("image")) else {
        return;
    };
    match Reference::parse(name) {
        Ok(_) | Err(ReferenceError::Id) => {}
        Err(error) => {
            let message = format!("`{}` is no reference of an image: {error}", shorten(name));
            context.error(&node.place, message);
        }
    }
}

/// Reads `platform:`.
pub(super) fn read_platform(context: &mut Context<'_>, map: &Mapping) -> Option<Platform> {
    let node = map.get("platform").filter(|node| !node.is_null());
    let text = match node {
        Some(node) => context.text(node, "platform")?,
        None => context.variables.get(DEFAULT_PLATFORM)?.clone(),
    };
    if text.is_empty() {
        return None;
    }
    match (Platform::parse(&text), node) {
        (Ok(platform), _) => Some(platform),
        (Err(error), Some(node)) => {
            let message = format!("`{}` is no platform: {error}", shorten(&text));
            context.error(&node.place, message);
            None
        }
        (Err(error), None) => {
            let message = format!(
                "variable `{DEFAULT_PLATFORM}` names no platform: `{}`: {error}",
                shorten(&text)
            );
            context.problems.push(Problem::error(message));
            None
        }
    }
}

/// Reads `pull_policy:` and `pull_refresh_after:`.
pub(super) fn read_pull_policy(context: &mut Context<'_>, map: &Mapping) -> Option<PullPolicy> {
    let present = |key: &str| map.get(key).filter(|node| !node.is_null());
    let after = present("pull_refresh_after");
    let node = present("pull_policy");
    let text = match node {
        Some(node) => context.text(node, "pull_policy")?,
        None => String::new(),
    };
    if let Some(after) = after.filter(|_| text != "refresh") {
        let message = "`pull_refresh_after` has no effect";
        context.warn(
            &after.place,
            message,
            Some("it goes with `pull_policy: refresh`"),
        );
    }
    let node = node?;
    Some(match text.as_str() {
        "" => return None,
        "always" => PullPolicy::Always,
        "never" => PullPolicy::Never,
        "missing" | "if_not_present" => PullPolicy::Missing,
        "build" => PullPolicy::Build,
        "daily" => PullPolicy::Every(DAY),
        "weekly" => PullPolicy::Every(7 * DAY),
        "refresh" => match after {
            Some(after) => {
                let text = context.text(after, "pull_refresh_after")?;
                PullPolicy::Every(age(context, after, &text)?)
            }
            None => {
                let message = "`pull_policy: refresh` does not say when an image is too old";
                let help = "as with Compose, only a missing image is pulled; write `daily`, `weekly` or `every_12h`";
                context.warn(&node.place, message, Some(help));
                PullPolicy::Missing
            }
        },
        other => match other.strip_prefix("every_") {
            Some(rest) => PullPolicy::Every(age(context, node, rest)?),
            None => {
                let help = did_you_mean(other, POLICIES).unwrap_or_else(|| {
                    format!(
                        "the policies are `{}` and `every_12h`",
                        POLICIES.join("`, `")
                    )
                });
                let message = format!("unknown pull policy `{}`", shorten(other));
                context.error_help(&node.place, message, help);
                return None;
            }
        },
    })
}

fn age(context: &mut Context<'_>, node: &Node, text: &str) -> Option<Duration> {
    match duration::parse(text) {
        Ok(age) => Some(age),
        Err(error) => {
            let message = format!("`{}` is no duration: {error}", shorten(text));
            context.error_help(&node.place, message, "write it as `12h`, `3d` or `1w`");
            None
        }
    }
}

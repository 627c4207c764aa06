//! `artifacts:` of a service or of a suite: which files are kept.

use globset::GlobBuilder;

use super::super::keys;
use super::super::model::artifacts::literal_part;
use super::super::model::{Artifacts, ArtifactsWhen};
use super::super::source::Place;
use super::super::suggest::did_you_mean;
use super::super::yaml::{Mapping, Node, Value, shorten};
use super::context::Context;
use super::in_memory::Kept;

/// Most globs of one list: each may be a walk through the container's files.
const MOST_PATHS: usize = 100;

/// `x-envrun.artifacts`, or `x-envrun.suite.artifacts`: a suite says it in either place, and not in
/// both. What stands there is added to `kept`.
pub(super) fn read_artifacts(
    context: &mut Context<'_>,
    extension: &Mapping,
    kept: &mut Vec<Kept>,
) -> Option<Artifacts> {
    let of_service = extension.get("artifacts");
    let suite = extension.get("suite").and_then(Node::mapping);
    let of_suite = suite.and_then(|suite| suite.get("artifacts"));
    if let (Some(_), Some(twice)) = (of_service, of_suite) {
        let help = "say it in one of the two places";
        let message = "`artifacts` stands beside `suite` and below it";
        context.error_help(&twice.place, message, help);
    }
    let (node, section) = match (of_suite, of_service) {
        (Some(node), _) => (node, &keys::SUITE_ARTIFACTS),
        (None, Some(node)) => (node, &keys::ARTIFACTS),
        (None, None) => return None,
    };
    let mut when = ArtifactsWhen::default();
    let paths = match &node.value {
        Value::Mapping(map) => {
            context.check_keys(map, section);
            if let Some(node) = map.get("when") {
                when = read_when(context, node);
            }
            let Some(paths) = map.get("paths") else {
                let help = "write `artifacts: {paths: [screenshots/], when: failure}`";
                context.error_help(&node.place, "`artifacts` has no `paths`", help);
                return None;
            };
            paths
        }
        _ => node,
    };
    let listed = context.text_or_list(paths, "artifacts");
    if listed.len() > MOST_PATHS {
        let message = format!("`artifacts` has more than {MOST_PATHS} paths");
        let help = "one glob can name many files: `out/**/*.png`";
        context.error_help(&paths.place, message, help);
        return None;
    }
    let mut globs = Vec::new();
    for (glob, node) in listed {
        if check(context, &glob, &node.place) {
            kept.push(Kept::new("artifacts", &glob, &node.place));
            globs.push(glob);
        }
    }
    (!globs.is_empty()).then_some(Artifacts { paths: globs, when })
}

/// `always` or `failure`.
fn read_when(context: &mut Context<'_>, node: &Node) -> ArtifactsWhen {
    let Some(text) = context.filled_text(node, "when") else {
        return ArtifactsWhen::default();
    };
    match text.as_str() {
        "always" => ArtifactsWhen::Always,
        "failure" => ArtifactsWhen::Failure,
        _ => {
            let message = format!("unknown value `{}` of `when`", shorten(&text));
            let help = did_you_mean(&text, ["always", "failure"]);
            let help = help.unwrap_or_else(|| "it is `always` or `failure`".to_owned());
            context.error_help(&node.place, message, &help);
            ArtifactsWhen::default()
        }
    }
}

/// Whether a glob can be served.
fn check(context: &mut Context<'_>, glob: &str, place: &Place) -> bool {
    let shown = shorten(glob);
    if glob.split('/').any(|part| part == "..") {
        let message = format!("the glob `{shown}` has a `..`");
        let help = "globs begin at the working directory of the container, or at `/`";
        context.error_help(place, message, help);
        return false;
    }
    if glob.contains('\0') {
        let message = "a glob of `artifacts` has a byte that no path has";
        context.error(place, message);
        return false;
    }
    if glob.starts_with('/') && matches!(literal_part(glob), "" | "/") {
        let message =
            format!("the glob `{shown}` begins at `/`, so the whole container would be read");
        let help = "name a directory first: `/var/log/*.log`";
        context.error_help(place, message, help);
        return false;
    }
    if let Err(error) = GlobBuilder::new(glob.trim_end_matches('/'))
        .literal_separator(true)
        .build()
    {
        let message = format!("the glob `{shown}` is not valid: {}", error.kind());
        context.error(place, message);
        return false;
    }
    true
}

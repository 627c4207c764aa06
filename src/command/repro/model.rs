//! The model of a bundle, changed for what is to be done with it.

use std::path::Path;

use serde_json::{Value as Json, json};

use crate::config::interpolate::escape;
use crate::replay::Bundle;

/// What a container runs in which somebody is to work: nothing, until it is told to end.
const WAITING: &str = "trap 'exit 0' TERM INT; while :; do sleep 3600 & wait $!; done";

/// The service of the model that a suite is: a shard or a replica has a number at its end.
fn name<'a>(model: &Json, suite: &'a str) -> &'a str {
    if service(model, suite).is_some() {
        return suite;
    }
    match suite.rsplit_once('-') {
        Some((of, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => of,
        _ => suite,
    }
}

/// Whether a suite is one of the model.
pub(super) fn has(model: &Json, suite: &str) -> bool {
    service(model, name(model, suite)).is_some()
}

fn service<'m>(model: &'m Json, name: &str) -> Option<&'m Json> {
    model.get("services")?.get(name)
}

/// `x-envrun.suite.test_command`; empty where there is none.
pub(super) fn test_command(model: &Json, suite: &str) -> Vec<String> {
    let suite = service(model, name(model, suite));
    let words = suite.and_then(|suite| suite.pointer("/x-envrun/suite/test_command"));
    let words = words.and_then(Json::as_array).into_iter().flatten();
    // The model is written so that it can be interpolated.
    words
        .filter_map(Json::as_str)
        .map(|word| word.replace("$$", "$"))
        .collect()
}

/// Gives a suite another command.
pub(super) fn set_command(model: &mut Json, suite: &str, command: &[String]) {
    let name = name(model, suite).to_owned();
    let command: Vec<String> = command.iter().map(|word| escape(word)).collect();
    if let Some(service) = model.get_mut("services").and_then(|all| all.get_mut(&name)) {
        service["command"] = json!(command);
    }
}

/// What a suite runs, for people.
pub(super) fn command(model: &Json, suite: &str) -> Option<String> {
    let service = service(model, name(model, suite))?;
    let words = ["entrypoint", "command"]
        .iter()
        .filter_map(|key| service.get(key)?.as_array())
        .flatten();
    let words: Vec<&str> = words.filter_map(Json::as_str).collect();
    (!words.is_empty()).then(|| words.join(" "))
}

/// Makes a service of a suite, whose container waits for somebody to work in it.
///
/// # Errors
/// There is no such service.
pub(super) fn wait_for_shell(model: &mut Json, suite: &str) -> Result<(), String> {
    let name = name(model, suite).to_owned();
    let service = model.get_mut("services").and_then(|all| all.get_mut(&name));
    let Some(service) = service.and_then(Json::as_object_mut) else {
        return Err(format!(
            "suite `{suite}` is no service of the model, so there is no container for a shell"
        ));
    };
    for key in ["healthcheck", "restart", "ports", "expose"] {
        service.remove(key);
    }
    service.insert(
        "entrypoint".to_owned(),
        json!(["sh", "-c", escape(WAITING)]),
    );
    service.insert("command".to_owned(), json!([]));
    service.insert("init".to_owned(), json!(true));
    if let Some(extension) = service.get_mut("x-envrun").and_then(Json::as_object_mut) {
        extension.remove("suite");
        extension.remove("ready");
    }
    Ok(())
}

/// Gives services another image.
pub(super) fn set_image(model: &mut Json, services: &[String], image: &str) {
    let all = model.get_mut("services").and_then(Json::as_object_mut);
    for (name, service) in all.into_iter().flatten() {
        if services.contains(name) && service.get("image").is_some() {
            service["image"] = json!(escape(image));
        }
    }
}

/// Mounts of files that the run had and that are not here, for people; `None` where there are none.
pub(super) fn missing(model: &Json, bundle: &Bundle, directory: &Path) -> Option<String> {
    let services = model.get("services").and_then(Json::as_object);
    let mut missing = Vec::new();
    for (name, service) in services.into_iter().flatten() {
        let mounts = service.get("volumes").and_then(Json::as_array);
        for mount in mounts.into_iter().flatten() {
            let source = mount
                .get("source")
                .and_then(Json::as_str)
                .unwrap_or_default();
            if mount.get("type").is_none_or(|kind| kind != "bind") || source.is_empty() {
                continue;
            }
            let source = source.replace("$$", "$");
            let inside = source.strip_prefix("./").unwrap_or(&source);
            let below = format!("{inside}/");
            let mut files = bundle.facts.files.keys();
            let was_there = files.any(|file| file == inside || file.starts_with(&below));
            if was_there && !directory.join(&source).exists() {
                missing.push(format!("`{source}` of service `{name}`"));
            }
        }
    }
    (!missing.is_empty()).then(|| {
        format!(
            "files that the run mounted are not in `{}`: {}\nhint: `--project` names a copy of the repository at the commit of the run{}; a run with `--bundle-context` keeps its files",
            directory.display(),
            missing.join(", "),
            bundle.facts.git.as_ref().map(|git| format!(" ({})", git.commit)).unwrap_or_default()
        )
    })
}

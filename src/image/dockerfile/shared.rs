//! What of a Dockerfile lasts in the builder and is shared with the builds of others: programs that
//! read it in the builder's place, and mounted caches.
//!
//! It sees what the text says. Triggers of an image that a build starts from are not in it.

use super::lines::{directives, instructions};

/// The programs that are the builder's own, whatever their tag.
const OWN: &str = "docker/dockerfile";

/// What a text reaches for, each in words that go on with "the Dockerfile".
#[must_use]
pub fn shared(dockerfile: &str) -> Vec<String> {
    let mut found: Vec<String> = dockerfile
        .lines()
        .filter_map(frontend)
        .filter(|name| !is_own(name))
        .map(|name| format!("is read by the program `{name}`"))
        .collect();
    // A builder takes a text like this for one that names its reader.
    if dockerfile
        .trim_start_matches('\u{feff}')
        .trim_start()
        .starts_with('{')
    {
        found.push("is none, and may name a program that reads it".to_owned());
    }
    let directives = directives(dockerfile);
    let mounts = instructions(dockerfile, &directives)
        .into_iter()
        .flat_map(|instruction| instruction.words)
        .filter(|word| is_cache(&word.text));
    if mounts.count() > 0 {
        found.push("mounts a cache".to_owned());
    }
    found
}

/// The value of a directive `syntax` on any line, since builders look for it in several forms.
fn frontend(line: &str) -> Option<String> {
    let line = line.trim_start_matches('\u{feff}').trim_start();
    let comment = line.strip_prefix('#').or_else(|| line.strip_prefix("//"))?;
    let (name, value) = comment.split_once('=')?;
    name.trim()
        .eq_ignore_ascii_case("syntax")
        .then(|| value.trim().to_owned())
}

fn is_own(name: &str) -> bool {
    let name = name.strip_prefix("docker.io/").unwrap_or(name);
    name.strip_prefix(OWN)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '@']))
}

/// Whether a word is a mount of a cache, or of what only the builder knows.
fn is_cache(word: &str) -> bool {
    let plain: String = word
        .chars()
        .filter(|letter| !matches!(letter, '"' | '\'' | '\\' | '`'))
        .collect();
    let Some(mount) = plain
        .to_ascii_lowercase()
        .strip_prefix("--mount=")
        .map(str::to_owned)
    else {
        return false;
    };
    mount
        .split(',')
        .filter_map(|field| field.split_once('='))
        .any(|(key, value)| {
            key.trim() == "type" && (value.trim() == "cache" || value.contains('$'))
        })
}

#[cfg(test)]
mod tests {
    use super::shared;

    #[test]
    fn what_is_shared_is_found_in_every_form() {
        for text in [
            "# syntax=evil/frontend\nFROM scratch",
            "#syntax = docker/dockerfile-evil\nFROM scratch",
            "# escape=`\n# SYNTAX=evil\nFROM scratch",
            "#!/bin/x\n// syntax=evil\nFROM scratch",
            "\u{feff}# syntax=evil/docker/dockerfile:1\nFROM scratch",
            "{ \"syntax\": \"evil\" }",
            "FROM x\nRUN --mount=type=cache,target=/root/.npm npm ci",
            "FROM x\nRUN --network=none --mount=target=/c,type=cache npm ci",
            "FROM x\nRUN --mount=\"type=cache\",target=/c npm ci",
            "FROM x\nRUN --mount=type=ca\\\nche,target=/c npm ci",
            "# escape=`\nFROM x\nRUN --mount=type=ca`\nche,target=/c npm ci",
            "FROM x\nARG T=cache\nRUN --mount=type=$T,target=/c npm ci",
            "FROM x\nONBUILD RUN --mount=TYPE=cache,target=/c npm ci",
            "FROM x\nRUN --mount=type=bind --mount=type=cache,target=/c <<E\nx\nE",
        ] {
            assert_eq!(shared(text).len(), 1, "{text}: {:?}", shared(text));
        }
    }

    #[test]
    fn what_is_a_builds_own_is_not() {
        for text in [
            "",
            "FROM scratch\nCOPY . .",
            "# syntax=docker/dockerfile:1\nFROM scratch",
            "# syntax=docker.io/docker/dockerfile:1.7-labs\nFROM scratch",
            "# syntax=docker/dockerfile@sha256:00\nFROM scratch",
            "# the syntax of this is x=y\nFROM scratch",
            "FROM x\nRUN --mount=type=bind,source=cache,target=/c make",
            "FROM x\nRUN --mount=type=tmpfs,target=/cache make",
            "FROM x\nRUN echo type=cache",
            "FROM x\nRUN <<E\n--mount=type=cache\nE",
        ] {
            assert_eq!(shared(text), [""; 0], "{text}");
        }
    }
}

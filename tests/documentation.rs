//! What the pages say is there: links lead somewhere, and no key of `x-envrun` goes without mention.

#![expect(clippy::expect_used, reason = "a test ends at what it did not expect")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use envrun::config::keys::{PROJECT_EXTENSION, SERVICE_EXTENSION, SUITE, Section};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The pages for people: those at the top, those of `docs`, the map of the code, and those of the scenarios.
fn pages() -> Vec<PathBuf> {
    let mut pages = vec![
        root().join("README.md"),
        root().join("CHANGELOG.md"),
        root().join("src/ARCHITECTURE.md"),
    ];
    let mut folders = vec![
        root().join("docs"),
        root().join("scenarios"),
        root().join("ci"),
    ];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "md") {
                pages.push(path);
            }
        }
    }
    pages
}

/// The text without fenced blocks and without what stands between backticks: links there are none.
fn prose(page: &str) -> String {
    let mut text = String::new();
    let mut in_fence = false;
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            in_fence = !in_fence;
        } else if !in_fence {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

/// The targets of `[…](TARGET)`.
fn targets(page: &str) -> Vec<String> {
    let text = prose(page);
    let parts = text.split("](").skip(1);
    let ends = parts.filter_map(|part| part.split_once(')'));
    ends.map(|(target, _)| target.to_owned()).collect()
}

/// The anchors of a page's headings, as GitHub makes them.
fn anchors(page: &str) -> BTreeSet<String> {
    let text = prose(page);
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            let kept = title
                .chars()
                .filter(|one| one.is_alphanumeric() || matches!(one, ' ' | '-' | '_'));
            kept.map(|one| if one == ' ' { '-' } else { one }).collect()
        })
        .collect()
}

#[test]
fn every_link_between_pages_leads_somewhere() {
    let mut dead = Vec::new();
    let mut seen = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).expect("a page");
        for target in targets(&text) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            seen += 1;
            let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let folder = page.parent().expect("a folder");
            let file = match file {
                "" => page.clone(),
                _ => folder.join(file),
            };
            let has_anchor = anchor.is_empty()
                || fs::read_to_string(&file).is_ok_and(|text| anchors(&text).contains(anchor));
            if !file.exists() || !has_anchor {
                dead.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(seen > 20, "only {seen} links were found");
    assert_eq!(dead, Vec::<String>::new());
}

#[test]
fn every_key_of_the_extension_is_described() {
    let page = fs::read_to_string(root().join("docs/keys.md")).expect("a page");
    let sections: [(&Section, &str); 3] = [
        (&PROJECT_EXTENSION, ""),
        (&SERVICE_EXTENSION, ""),
        (&SUITE, "suite."),
    ];
    let mut missing = Vec::new();
    for (section, prefix) in sections {
        for rule in section.keys {
            let key = format!("{prefix}{}", rule.key);
            let described = [":", ".", "`"]
                .iter()
                .any(|after| page.contains(&format!("`{key}{after}")));
            if !described {
                missing.push(key);
            }
        }
    }
    assert_eq!(
        missing,
        Vec::<String>::new(),
        "without a row in docs/keys.md"
    );
}

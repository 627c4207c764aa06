//! Which paths of a directory are needed for some of its paths to make sense: where they are links,
//! what the links point at, too.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

/// Most links that are followed, as a bound for links that make each other longer.
const MOST: usize = 10_000;

/// The paths and everything that they lead to over links, relative to `root`, which no link leads
/// out of. `None` is everything. The last part of a directory may have `*`, `?` and `[…]`.
pub(super) fn follow(root: &Path, paths: &[String]) -> Option<Vec<String>> {
    let mut needed: BTreeSet<PathBuf> = BTreeSet::new();
    let mut open: Vec<PathBuf> = paths.iter().map(PathBuf::from).collect();
    let mut followed = 0;
    while let Some(path) = open.pop() {
        followed += 1;
        let parts = parts(&path);
        if parts.is_empty() || followed > MOST {
            return None;
        }
        let mut current = PathBuf::new();
        for (index, part) in parts.iter().enumerate() {
            let parent = current.clone();
            current.push(part);
            let rest: PathBuf = parts[index + 1..].iter().collect();
            let targets = targets(root, &parent, part);
            let is_last = index + 1 == parts.len();
            if (is_last || !targets.is_empty()) && !needed.insert(current.clone()) {
                break;
            }
            if !targets.is_empty() {
                open.extend(targets.into_iter().map(|target| target.join(&rest)));
                break;
            }
        }
    }
    let texts = needed.into_iter();
    Some(
        texts
            .map(|path| path.to_string_lossy().into_owned())
            .collect(),
    )
}

/// The components of a path, `.` and `..` resolved by name, never above its root.
fn parts(path: &Path) -> Vec<PathBuf> {
    let mut parts = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(part) => parts.push(PathBuf::from(part)),
            Component::ParentDir => {
                parts.pop();
            }
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    parts
}

/// What the links of this name, or of the names that it stands for, point at.
fn targets(root: &Path, parent: &Path, part: &Path) -> Vec<PathBuf> {
    let text = part.to_string_lossy();
    let link = |name: &Path| {
        let target = std::fs::read_link(root.join(parent).join(name)).ok()?;
        // An absolute link means the root of the context.
        Some(if target.is_absolute() {
            target
        } else {
            parent.join(target)
        })
    };
    if !text.contains(['*', '?', '[']) {
        return link(part).into_iter().collect();
    }
    let Ok(pattern) = super::super::context::Patterns::new([text.as_ref()]) else {
        return Vec::new();
    };
    let Ok(entries) = std::fs::read_dir(root.join(parent)) else {
        return Vec::new();
    };
    let names = entries.filter_map(|entry| Some(PathBuf::from(entry.ok()?.file_name())));
    let matching = names.filter(|name| {
        let name = name.to_string_lossy();
        pattern.judge(&name, &Default::default()).0
    });
    matching.filter_map(|name| link(&name)).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_are_followed_within_the_root() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let root = directory.path();
        fs::create_dir_all(root.join("real/deep")).expect("created");
        fs::write(root.join("real/deep/file"), "").expect("written");
        symlink("real", root.join("link")).expect("linked");
        symlink("../../link/deep", root.join("real/deep/again")).expect("linked");
        symlink("/real/deep/file", root.join("absolute")).expect("linked");
        symlink("loop", root.join("loop")).expect("linked");
        symlink("../../../outside", root.join("out")).expect("linked");
        let follow = |paths: &[&str]| {
            let paths: Vec<String> = paths.iter().map(|path| (*path).to_owned()).collect();
            super::follow(root, &paths)
        };
        let some = |paths: &[&str]| Some(paths.iter().map(|path| (*path).to_owned()).collect());
        assert_eq!(follow(&["/real/./x"]), some(&["real/x"]));
        assert_eq!(
            follow(&["link/deep/file"]),
            some(&["link", "real/deep/file"])
        );
        assert_eq!(follow(&["absolute"]), some(&["absolute", "real/deep/file"]));
        assert_eq!(follow(&["loop/x"]), some(&["loop"]));
        assert_eq!(follow(&["out"]), some(&["out", "outside"]));
        assert_eq!(follow(&["a*"]), some(&["a*", "real/deep/file"]));
        assert_eq!(
            follow(&["real/deep/again/file"]),
            some(&["link", "real/deep/again", "real/deep/file"])
        );
        assert_eq!(follow(&["real", "."]), None);
        assert_eq!(follow(&["missing/*"]), some(&["missing/*"]));
    }
}

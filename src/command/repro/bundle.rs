//! The bundle that a person names: `run.json`, a directory that holds one, or an archive as CI systems
//! hand out artifacts.
//!
//! An archive may come from anywhere. Nothing of it is unpacked but the two files that a bundle
//! consists of, under names of our own, and what is in the context only as files and links below one
//! directory; everything is bounded.

use std::fs::{self, File};
use std::io::{self, Read, Write as _};
use std::path::{Component, Path, PathBuf};

use flate2::read::GzDecoder;
use tempfile::TempDir;

use crate::replay::{Bundle, CONTEXT, FILE, LARGEST, read};

/// Bytes of a context, packed and unpacked.
const LARGEST_CONTEXT: u64 = 1 << 30;

/// Entries of an archive that are looked at.
const MOST_ENTRIES: usize = 200_000;

/// A bundle that was found.
pub(super) struct Opened {
    /// What it says.
    pub(super) bundle: Bundle,
    /// The archive with the files of the project.
    pub(super) context: Option<PathBuf>,
    /// What was unpacked goes with it.
    _scratch: Option<TempDir>,
}

/// Opens what a person names.
///
/// # Errors
/// One line for people, and a line with help where there is some.
pub(super) fn open(path: &Path) -> Result<Opened, String> {
    let shown = path.display();
    let metadata = fs::metadata(path).map_err(|error| format!("cannot read `{shown}`: {error}"))?;
    if metadata.is_dir() {
        return directory(path);
    }
    let mut start = [0; 4];
    let length = File::open(path)
        .and_then(|mut file| file.read(&mut start))
        .map_err(|error| format!("cannot read `{shown}`: {error}"))?;
    // By what they begin with: CI systems give artifacts any name.
    let archive: Option<Unpack> = match start.get(..length).unwrap_or_default() {
        [b'P', b'K', ..] => Some(unzip),
        [0x1f, 0x8b, ..] => Some(untar),
        _ => None,
    };
    let Some(unpack) = archive else {
        let beside = path.with_file_name(CONTEXT);
        return file(path, beside, None);
    };
    let scratch =
        tempfile::tempdir().map_err(|error| format!("no temporary directory: {error}"))?;
    let found = unpack(path, scratch.path()).map_err(|problem| format!("`{shown}`: {problem}"))?;
    match found.as_slice() {
        [] => Err(format!(
            "`{shown}` holds no `{FILE}`\nhint: keep the whole output directory of the run as an artifact"
        )),
        [_] => file(
            &scratch.path().join(FILE),
            scratch.path().join(CONTEXT),
            Some(scratch),
        ),
        several => Err(format!(
            "`{shown}` holds several runs: {}\nhint: unpack it, and name one of them",
            quoted(several)
        )),
    }
}

type Unpack = fn(&Path, &Path) -> Result<Vec<String>, String>;

/// `run.json` in the directory itself, or in a directory in it.
fn directory(path: &Path) -> Result<Opened, String> {
    let shown = path.display();
    let direct = path.join(FILE);
    if direct.is_file() {
        return file(&direct, path.join(CONTEXT), None);
    }
    let entries = fs::read_dir(path).map_err(|error| format!("cannot read `{shown}`: {error}"))?;
    let nested = entries
        .flatten()
        .take(MOST_ENTRIES)
        .map(|entry| entry.path().join(FILE));
    let mut found: Vec<PathBuf> = nested.filter(|path| path.is_file()).collect();
    found.sort();
    match found.as_slice() {
        [] => Err(format!(
            "there is no `{FILE}` in `{shown}`\nhint: it is in the output directory of a run, `envrun-out` unless said otherwise"
        )),
        [one] => file(one, one.with_file_name(CONTEXT), None),
        several => {
            let names: Vec<String> = several
                .iter()
                .map(|path| path.display().to_string())
                .collect();
            Err(format!(
                "`{shown}` holds several runs: {}\nhint: name one of them",
                quoted(&names)
            ))
        }
    }
}

fn quoted(names: &[String]) -> String {
    let names: Vec<String> = names
        .iter()
        .take(10)
        .map(|name| format!("`{name}`"))
        .collect();
    names.join(", ")
}

fn file(path: &Path, context: PathBuf, scratch: Option<TempDir>) -> Result<Opened, String> {
    // What was unpacked has no name that a person knows.
    let shown = match scratch {
        Some(_) => FILE.to_owned(),
        None => path.display().to_string(),
    };
    let cannot = |error: io::Error| format!("cannot read `{shown}`: {error}");
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(cannot)?;
    file.take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(cannot)?;
    if bytes.len() as u64 > LARGEST {
        return Err(format!("`{shown}` is larger than {} MiB", LARGEST >> 20));
    }
    let bundle = read(&bytes).map_err(|error| {
        format!(
            "`{shown}` is no bundle that can be replayed: {error}\nhint: a bundle is the `{FILE}` that a run of envrun writes into its output directory"
        )
    })?;
    Ok(Opened {
        context: (bundle.facts.context.is_some() && context.is_file()).then_some(context),
        bundle,
        _scratch: scratch,
    })
}

/// Which of the two files of a bundle an entry is, and the directory that it is in. They are at the top
/// of an archive, or in a directory of it.
fn part(name: &str) -> Option<(&str, &'static str)> {
    let name = name.strip_prefix("./").unwrap_or(name);
    let (folder, last) = name.rsplit_once('/').unwrap_or(("", name));
    let known = [FILE, CONTEXT].into_iter().find(|known| *known == last)?;
    (!folder.contains(['/', '\\'])).then_some((folder, known))
}

/// Copies no more than `most` bytes into a new file.
fn keep(mut from: impl Read, to: &Path, most: u64) -> Result<(), String> {
    let mut file = File::create(to).map_err(|error| error.to_string())?;
    let copied = io::copy(&mut from.by_ref().take(most + 1), &mut file);
    let copied = copied.map_err(|error| format!("it cannot be unpacked: {error}"))?;
    if copied > most {
        return Err(format!("a file in it is larger than {} MiB", most >> 20));
    }
    file.flush().map_err(|error| error.to_string())
}

const fn most(part: &str) -> u64 {
    if part.len() == FILE.len() {
        LARGEST
    } else {
        LARGEST_CONTEXT
    }
}

/// Unpacks the files of the bundle. Answers with the names under which there is one.
fn unzip(path: &Path, scratch: &Path) -> Result<Vec<String>, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut archive = zip::ZipArchive::new(file)
        .map_err(|error| format!("it is no zip archive that can be read: {error}"))?;
    if archive.len() > MOST_ENTRIES {
        return Err(format!("it has more than {MOST_ENTRIES} entries"));
    }
    let mut names = Vec::new();
    for index in 0..archive.len() {
        let entry = archive.by_index(index).map_err(|error| error.to_string())?;
        let name = entry.name().map_err(|error| error.to_string())?;
        names.push(name.into_owned());
    }
    let runs = runs(&names);
    let [only] = runs.as_slice() else {
        return Ok(runs);
    };
    let folder = part(only).map(|(folder, _)| folder.to_owned());
    for (index, name) in names.iter().enumerate() {
        let Some((_, known)) = part(name).filter(|(of, _)| Some(*of) == folder.as_deref()) else {
            continue;
        };
        let entry = archive
            .by_index(index)
            .map_err(|error| format!("`{name}`: {error}"))?;
        if entry.is_file() {
            keep(entry, &scratch.join(known), most(known))?;
        }
    }
    Ok(runs)
}

/// The same for a tar that is packed with gzip.
fn untar(path: &Path, scratch: &Path) -> Result<Vec<String>, String> {
    let open = || -> Result<tar::Archive<GzDecoder<File>>, String> {
        let file = File::open(path).map_err(|error| error.to_string())?;
        Ok(tar::Archive::new(GzDecoder::new(file)))
    };
    let broken = |error: io::Error| format!("it is no tar archive that can be read: {error}");
    let mut names = Vec::new();
    for (number, entry) in open()?.entries().map_err(broken)?.enumerate() {
        if number >= MOST_ENTRIES {
            return Err(format!("it has more than {MOST_ENTRIES} entries"));
        }
        let entry = entry.map_err(broken)?;
        if entry.header().entry_type().is_file() {
            names.push(String::from_utf8_lossy(&entry.path_bytes()).into_owned());
        }
    }
    let runs = runs(&names);
    let [only] = runs.as_slice() else {
        return Ok(runs);
    };
    let folder = part(only).map(|(folder, _)| folder.to_owned());
    for entry in open()?.entries().map_err(broken)? {
        let entry = entry.map_err(broken)?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if let Some((_, known)) = part(&name).filter(|(of, _)| Some(*of) == folder.as_deref())
            && entry.header().entry_type().is_file()
        {
            keep(entry, &scratch.join(known), most(known))?;
        }
    }
    Ok(runs)
}

/// The runs among names of entries: one at the top stands alone.
fn runs(names: &[String]) -> Vec<String> {
    let parts = names.iter().filter_map(|name| Some((name, part(name)?)));
    let mut runs: Vec<(&String, &str)> = parts
        .filter(|(_, (_, known))| *known == FILE)
        .map(|(name, (folder, _))| (name, folder))
        .collect();
    if runs.iter().any(|(_, folder)| folder.is_empty()) {
        runs.retain(|(_, folder)| folder.is_empty());
    }
    runs.dedup();
    runs.into_iter().map(|(name, _)| name.clone()).collect()
}

/// Unpacks the files of a project into a directory: files, directories, and links that stay in it.
///
/// # Errors
/// It is damaged, too large, or wants to be elsewhere.
pub(super) fn unpack_context(context: &Path, into: &Path) -> Result<(), String> {
    let broken = |error: io::Error| format!("`{CONTEXT}` cannot be unpacked: {error}");
    let file = File::open(context).map_err(broken)?;
    let mut archive = tar::Archive::new(GzDecoder::new(file).take(LARGEST_CONTEXT));
    archive.set_preserve_permissions(false);
    archive.set_overwrite(false);
    for (number, entry) in archive.entries().map_err(broken)?.enumerate() {
        let mut entry = entry.map_err(broken)?;
        if number >= MOST_ENTRIES {
            return Err(format!("`{CONTEXT}` has more than {MOST_ENTRIES} entries"));
        }
        let name = entry.path().map_err(broken)?.into_owned();
        let kind = entry.header().entry_type();
        let stays = stays_inside(&name)
            && match kind.is_symlink() {
                true => {
                    let target = entry.link_name().map_err(broken)?.unwrap_or_default();
                    let from = name.parent().unwrap_or(Path::new(""));
                    target.is_relative() && stays_inside(&from.join(target))
                }
                false => kind.is_file() || kind.is_dir(),
            };
        if !stays || !entry.unpack_in(into).map_err(broken)? {
            return Err(format!(
                "`{CONTEXT}` has an entry that does not stay in the project: `{}`",
                name.display()
            ));
        }
    }
    Ok(())
}

/// Whether a relative path leads nowhere above where it starts.
fn stays_inside(path: &Path) -> bool {
    let mut depth = 0_i32;
    path.components().all(|part| {
        depth += match part {
            Component::Normal(_) => 1,
            Component::CurDir => 0,
            Component::ParentDir => -1,
            Component::RootDir | Component::Prefix(_) => return false,
        };
        depth >= 0
    })
}

#[cfg(test)]
mod tests;

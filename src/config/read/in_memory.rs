//! Files that are to be read from a container and can never be there: those on a file system in memory.
//!
//! An engine reads the storage of a container, and a tmpfs is none: nothing is seen of it while the
//! container runs, and nothing is left of it afterwards. So it is an error of the file, and not a report
//! that is missing at the end.

use super::super::model::Service;
use super::super::model::artifacts::{from_root, literal_part};
use super::super::source::Place;
use super::super::yaml::shorten;
use super::context::Context;

/// Files that are read from a container.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    key: &'static str,
    glob: String,
    place: Place,
}

impl Kept {
    /// What a key says of them, and where.
    pub(super) fn new(key: &'static str, glob: &str, place: &Place) -> Self {
        Self {
            key,
            glob: glob.to_owned(),
            place: place.clone(),
        }
    }
}

/// Reports the globs that can match nothing but files in memory. Without `working_dir` in the file only
/// the image knows where relative ones begin, and then nothing is said here.
pub(super) fn check(context: &mut Context<'_>, service: &Service, kept: &[Kept]) {
    for Kept { key, glob, place } in kept {
        let glob = glob.trim_start_matches("./");
        let begins = match (&service.working_dir, glob.starts_with('/')) {
            (Some(directory), _) => directory.as_str(),
            (None, true) => "/",
            (None, false) => continue,
        };
        let path = from_root(begins, literal_part(glob));
        let Some(target) = service.tmpfs_over(&path) else {
            continue;
        };
        let shown = shorten(glob);
        let message = format!(
            "`{key}` names `{shown}`, which is on the tmpfs `{target}`: an engine sees no file there"
        );
        let help = format!(
            "let `{}` write to a directory that is no tmpfs, or mount a volume at `{target}`",
            service.name
        );
        context.error_help(place, message, &help);
    }
}

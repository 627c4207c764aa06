//! The file format of Compose: from the files of a project to one canonical tree.
//!
//! Owns what the Compose specification says of files: documents, interpolation, `extends`,
//! `include`, `!reset` and `!override`, merging, the schema, long forms, defaults, paths and names.
//! What comes out is of the shape that `docker compose config` shows, with places, and not typed
//! yet. The stages and their order are those of the reference implementation (compose-go 2.9),
//! since the result depends on the order; each stage has a file of its own.
//!
//! A stage leaves alone what it does not understand: the schema has reported it, and the rest of
//! the file is still checked.

mod canonical;
pub(super) mod cast;
pub(super) mod consistency;
pub(super) mod cycles;
mod defaults;
pub(super) mod env_files;
mod extends;
mod include;
mod merge;
mod normalise;
mod paths;
mod ports;
mod reset;
pub(super) mod schema;
mod unique;
mod values;
mod volume;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use super::diagnostic::{Problem, Problems};
use super::files;
use super::source::Source;
use super::untrusted::Confines;
use super::variables::Replacer;
use super::yaml::{self, Mapping, Node, Value};

pub(super) use normalise::normalise;
pub(super) use paths::is_windows_absolute;

/// Files of one project together; more is a mistake, or a file that includes itself under many
/// names.
const MAX_FILES: usize = 1000;
/// Values that `extends` may copy in one project.
const MAX_COPIES: usize = 2_000_000;

/// What the values of a file may refer to.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    /// The variables, those of the host over those of `.env`.
    pub(super) variables: BTreeMap<String, String>,
    /// The directory that relative paths are under, absolute.
    pub(super) directory: PathBuf,
    /// Where the files may lead, if they are those of strangers.
    pub(super) confines: Option<Rc<Confines>>,
}

impl Scope {
    /// What `~` stands for, if anybody knows.
    fn home(&self) -> Option<&str> {
        match &self.confines {
            Some(confines) => Some(confines.home()),
            None => self.variables.get("HOME").map(String::as_str),
        }
    }

    /// Whether a file may be read: it may, unless it is outside of what strangers' files may name. It
    /// is asked before anything else is said of the file.
    fn admits(&self, path: &Path, shown: &str) -> Result<(), Problem> {
        let confines = self.confines.as_deref();
        confines.map_or(Ok(()), |confines| confines.admit(path, shown))
    }
}

/// What the files of a project have asked of the outside.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked {
    /// Variables that stand in values.
    pub(super) used: BTreeSet<String>,
    /// Variables whose values are taken by their names alone.
    pub(super) named: BTreeSet<String>,
    /// The files themselves, those that they include or extend, and files with variables of services.
    pub(super) read: Vec<PathBuf>,
}

/// One file that was read.
pub(super) struct File {
    /// Absolute path.
    pub(super) path: PathBuf,
    pub(super) documents: Vec<Node>,
}

/// What is the same for all files of one load.
pub(super) struct Loader<'a> {
    pub(super) problems: &'a mut Problems,
    /// The directory that files are shown relative to.
    pub(super) shown_from: &'a Path,
    /// Order of the next file that is read.
    pub(super) order: usize,
    replacer: Replacer,
    /// Variables whose values are taken by their names alone: `environment: [NAME]`.
    named: BTreeSet<String>,
    /// The files that were read, in order.
    read: Vec<PathBuf>,
    copies_left: usize,
    /// Services of files that others extend, by file and by the directory of who asks.
    bases: HashMap<(PathBuf, PathBuf), Option<Rc<extends::Base>>>,
}

impl<'a> Loader<'a> {
    pub(super) fn new(problems: &'a mut Problems, shown_from: &'a Path, order: usize) -> Self {
        Self {
            problems,
            shown_from,
            order,
            replacer: Replacer::default(),
            named: BTreeSet::new(),
            read: Vec::new(),
            copies_left: MAX_COPIES,
            bases: HashMap::new(),
        }
    }

    /// What the files have asked of the outside, once they are read.
    pub(super) fn asked(&mut self) -> Asked {
        Asked {
            used: std::mem::take(&mut self.replacer.used),
            named: std::mem::take(&mut self.named),
            read: std::mem::take(&mut self.read),
        }
    }

    /// Reads a file, which may hold several documents. `None` when it cannot be read.
    pub(super) fn read(&mut self, path: &Path, shown: &str) -> Option<File> {
        if self.order >= MAX_FILES {
            let message = format!("the project has more than {MAX_FILES} files");
            self.problems.push(Problem::error(message));
            return None;
        }
        let source = match files::read(path, shown, self.order) {
            Ok(source) => source,
            Err(problem) => {
                self.problems.push(problem);
                return None;
            }
        };
        self.order += 1;
        if shown != "-" {
            self.read.push(path.to_owned());
        }
        Some(self.parse(&source, path))
    }

    fn parse(&mut self, source: &Arc<Source>, path: &Path) -> File {
        let mut documents = yaml::parse(source, self.problems);
        documents.retain(|root| {
            let is_mapping = matches!(root.value, Value::Mapping(_));
            if !is_mapping {
                let shown = source.name();
                let message = format!("`{shown}` must be a mapping, found {}", root.describe());
                self.problems.push(Problem::error(message).at(&root.place));
            }
            is_mapping
        });
        File {
            path: path.to_owned(),
            documents,
        }
    }

    /// Merges files over each other, the first one first, up to absolute paths. `included` are the
    /// files that led here, the outermost first.
    pub(super) fn layers(
        &mut self,
        files: Vec<File>,
        scope: &Scope,
        included: &[PathBuf],
    ) -> Option<Node> {
        let mut included = included.to_vec();
        let mut dict: Option<Node> = None;
        for file in files {
            included.push(file.path.clone());
            for document in file.documents {
                let path = (file.path.as_path(), included.as_slice());
                dict = Some(self.document(document, dict, scope, path));
            }
        }
        let mut dict = dict?;
        if let Some(root) = dict.mapping_mut() {
            defaults::apply(root);
            values::check(root, self.problems);
            paths::resolve(root, scope);
            normalise::named(root, &mut self.named);
            normalise::resolve_variables(root, &scope.variables);
        }
        Some(dict)
    }

    /// Merges one document over what is there.
    fn document(
        &mut self,
        mut tree: Node,
        base: Option<Node>,
        scope: &Scope,
        (file, included): (&Path, &[PathBuf]),
    ) -> Node {
        let marks = reset::take(&mut tree);
        self.replacer.replace(&mut tree, scope, self.problems);
        extends::apply(self, &mut tree, scope, (file, &marks));
        let base = base.map(|mut base| {
            reset::apply(&mut base, &marks);
            base
        });
        include::apply(self, &mut tree, scope, included);
        let base = base.unwrap_or_else(|| {
            let empty = Value::Mapping(Mapping::default());
            Node::new(empty, &tree.place)
        });
        let mut merged = merge::merge(base, tree, self.problems);
        unique::enforce(&mut merged);
        schema::check(&merged, self.problems);
        if let Some(root) = merged.mapping_mut() {
            if let Some(entry) = root.remove("version") {
                let message = "`version` of the project has no effect";
                let problem = Problem::warning(message).at(&entry.key.place);
                self.problems
                    .push_shared(problem.help("it is obsolete; remove it"));
            }
            canonical::apply(root, self.problems);
        }
        unique::enforce(&mut merged);
        merged
    }

    /// Takes the size of a tree out of the budget for copies; false when there is nothing left.
    fn afford(&mut self, node: &Node) -> bool {
        let size = size_of(node);
        match self.copies_left.checked_sub(size) {
            Some(left) => self.copies_left = left,
            None => {
                if self.copies_left > 0 {
                    let message = format!("`extends` copies more than {MAX_COPIES} values");
                    self.problems.push(Problem::error(message).at(&node.place));
                }
                self.copies_left = 0;
                return false;
            }
        }
        true
    }
}

/// The number of values in a tree. The depth is bounded by that of the tree.
fn size_of(node: &Node) -> usize {
    match &node.value {
        Value::Null | Value::Scalar(_) => 1,
        Value::Sequence(nodes) => 1 + nodes.iter().map(size_of).sum::<usize>(),
        Value::Mapping(mapping) => {
            let entries = mapping.entries.iter();
            1 + entries.map(|entry| size_of(&entry.value)).sum::<usize>()
        }
    }
}

/// The mappings below a key: each service of `services`, each network of `networks`.
fn each_mapping<'m>(
    root: &'m mut Mapping,
    key: &str,
) -> impl Iterator<Item = (&'m super::yaml::Key, &'m mut Mapping)> {
    let entries = root
        .get_mut(key)
        .and_then(Node::mapping_mut)
        .map(|mapping| mapping.entries.iter_mut());
    entries
        .into_iter()
        .flatten()
        .filter_map(|entry| Some((&entry.key, entry.value.mapping_mut()?)))
}

/// The entries of a list below a key, to be changed; none when there is no list.
fn each_item<'m>(map: &'m mut Mapping, key: &str) -> impl Iterator<Item = &'m mut Node> {
    let nodes = match map.get_mut(key).map(|node| &mut node.value) {
        Some(Value::Sequence(nodes)) => Some(nodes.iter_mut()),
        _ => None,
    };
    nodes.into_iter().flatten()
}

/// The services whose profiles are active; one without profiles always is.
pub(super) fn active_services(
    root: &Mapping,
    profiles: &[String],
) -> std::collections::BTreeSet<String> {
    let services = root.get("services").and_then(Node::mapping);
    let services = services.into_iter().flat_map(|map| &map.entries);
    let is_active = |entry: &&yaml::Entry| {
        let wanted = entry.value.get("profiles").and_then(Node::sequence);
        let mut wanted = wanted.unwrap_or_default().iter().filter_map(Node::scalar);
        let is_wanted = |name: &str| profiles.iter().any(|known| known == "*" || known == name);
        entry
            .value
            .get("profiles")
            .and_then(Node::sequence)
            .is_none_or(<[Node]>::is_empty)
            || wanted.any(|scalar| is_wanted(&scalar.printed()))
    };
    let names = services.filter(is_active);
    names.map(|entry| entry.key.text.clone()).collect()
}

/// Reads the files that the active services name; those of the others are left out.
pub(super) fn resolve_files(
    root: &mut Mapping,
    active: &std::collections::BTreeSet<String>,
    mut reading: env_files::Reading<'_>,
) {
    for (key, service) in each_mapping(root, "services") {
        if active.contains(&key.text) {
            reading.resolve(service);
        } else {
            service.remove("env_file");
            service.remove("label_file");
        }
    }
}

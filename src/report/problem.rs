//! What could not be written, and how that is told: once a cause, whatever files it hits.

/// Something that could not be written: what, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FileProblem {
    /// The file.
    pub(super) what: String,
    /// The cause, in the words of the operating system.
    pub(super) cause: String,
}

/// Why nothing can be written any more.
pub(super) const TAKEN_AWAY: &str = "somebody has removed the output directory during the run";

/// The cause of an error in the words of the operating system, without the path that errors of temporary
/// files add: one cause is told once, whatever files it hits.
pub(super) fn cause(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" at path \"")
        .next()
        .unwrap_or_default()
        .to_owned()
}

/// One line a cause, in the order in which they came.
pub(super) fn summary(problems: &[FileProblem]) -> Vec<String> {
    let mut causes: Vec<(&str, Vec<&str>)> = Vec::new();
    for problem in problems {
        match causes.iter_mut().find(|(cause, _)| *cause == problem.cause) {
            Some((_, files)) => files.push(&problem.what),
            None => causes.push((&problem.cause, vec![&problem.what])),
        }
    }
    causes
        .into_iter()
        .map(|(cause, files)| {
            let first = files.first().copied().unwrap_or_default();
            match files.len() {
                1 => format!("cannot write `{first}`: {cause}"),
                2 => format!("cannot write `{first}` and one more file: {cause}"),
                count => format!(
                    "cannot write `{first}` and {} more files: {cause}",
                    count - 1
                ),
            }
        })
        .collect()
}

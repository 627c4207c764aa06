//! Which values this process hides in everything that it shows and writes: those of the project, and
//! those that the settings name. Their values never stand in arguments, which everybody on the host
//! can read.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;

use super::complain;
use crate::config::Problem;
use crate::exit_code::ExitCode;
use crate::mask::{Masker, Secret};
use crate::settings::{Output, OutputFlags};

/// What the flags stand under in the help.
const HEADING: &str = "Secrets";

/// Largest file of values that is read, in bytes. No masker takes more.
const MOST_OF_A_FILE: u64 = 1 << 20;

/// What is hidden beside the secrets of the project.
#[derive(Debug, Default, Args)]
pub(super) struct MaskArguments {
    /// Mask the value of this variable of the environment wherever it shows; give it several times for
    /// several
    #[arg(long, value_name = "NAME", value_parser = name, help_heading = HEADING)]
    mask: Vec<String>,
    /// Mask every line of this file
    #[arg(long = "mask-file", value_name = "FILE", help_heading = HEADING)]
    mask_files: Vec<PathBuf>,
    /// Do not mask this variable, though it is handed to containers by its name
    #[arg(long, value_name = "NAME", value_parser = name, help_heading = HEADING)]
    no_mask: Vec<String>,
}

/// Reads the name of a variable. Who writes a value has shown it to everybody on the host already; it
/// is not repeated here.
fn name(text: &str) -> Result<String, String> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let begins_well = text.starts_with(|first: char| !first.is_ascii_digit());
    if begins_well && text.bytes().all(is_name) {
        Ok(text.to_owned())
    } else {
        Err("it is the name of a variable, not a value".to_owned())
    }
}

impl MaskArguments {
    /// What the command line says about the settings.
    pub(super) fn flags(&self) -> OutputFlags {
        OutputFlags {
            mask: self.mask.clone(),
            mask_files: self.mask_files.clone(),
            no_mask: self.no_mask.clone(),
        }
    }
}

/// The masker of a project, and what the user should know. What is wrong has been printed when this
/// fails.
pub(super) fn masker(
    of_project: &[Secret],
    settings: &Output,
    environment: &BTreeMap<String, String>,
) -> Result<(Masker, Vec<Problem>), ExitCode> {
    let is_hidden = |secret: &&Secret| {
        let variable = secret.variable();
        variable.is_none_or(|variable| !settings.no_mask.contains(variable))
    };
    let mut secrets: Vec<Secret> = of_project.iter().filter(is_hidden).cloned().collect();
    let mut problems = Vec::new();
    for name in &settings.mask {
        match environment.get(name).filter(|value| !value.is_empty()) {
            Some(value) => secrets.push(Secret::new(format!("variable `{name}`"), value.as_str())),
            None => {
                let message = format!("variable `{name}` is to be masked, and is not set");
                problems.push(Problem::warning(message));
            }
        }
    }
    for file in &settings.mask_files {
        secrets.extend(lines(file)?);
    }
    let (masker, warnings) = Masker::new(&secrets).map_err(|error| {
        complain(&error.to_string());
        ExitCode::Usage
    })?;
    problems.extend(warnings.into_iter().map(Problem::warning));
    Ok((masker, problems))
}

/// Takes secrets out of problems.
pub(super) fn clean(problems: &mut [Problem], masker: &Masker) {
    for problem in problems {
        masker.clean(&mut problem.message);
        problem.help.iter_mut().for_each(|help| masker.clean(help));
    }
}

/// The values of a file, one a line.
fn lines(path: &Path) -> Result<Vec<Secret>, ExitCode> {
    let shown = path.display();
    let failed = |reason: String| {
        complain(&format!(
            "cannot read `{shown}` of `--mask-file`: {reason}\nhint: it is a file with one value a line"
        ));
        ExitCode::Usage
    };
    let mut text = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| failed(error.to_string()))?;
    file.take(MOST_OF_A_FILE + 1)
        .read_to_end(&mut text)
        .map_err(|error| failed(error.to_string()))?;
    if text.len() as u64 > MOST_OF_A_FILE {
        return Err(failed(format!(
            "it is larger than {} MiB",
            MOST_OF_A_FILE >> 20
        )));
    }
    let lines = text.split(|byte| *byte == b'\n').enumerate();
    let lines = lines.filter(|(_, line)| !line.trim_ascii().is_empty());
    Ok(lines
        .map(|(index, line)| Secret::new(format!("line {} of `{shown}`", index + 1), line))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_in_the_place_of_names_are_refused_and_not_repeated() {
        assert_eq!(name("GITHUB_TOKEN").as_deref(), Ok("GITHUB_TOKEN"));
        for value in ["ghp-1234", "s3cret!", "", "1PASSWORD"] {
            let error = name(value).expect_err(value);
            assert_eq!(error, "it is the name of a variable, not a value");
        }
    }
}

//! Azure Pipelines: logging commands. They begin anywhere in a line with `##vso[`, and formats with `##[`.

use super::annotations::{Annotation, Level};
use super::{Dialect, Group, push_line};
use crate::report::outputs::Output;

/// Longest message of an issue, in bytes.
const LONGEST_MESSAGE: usize = 4000;

/// The words of Azure Pipelines.
pub(super) struct Azure;

impl Dialect for Azure {
    fn open(&mut self, group: &Group, _now: u64, to: &mut String) {
        push_line(to, &format!("##[group]{}", group.title));
    }

    fn close(&mut self, _group: &Group, _now: u64, to: &mut String) {
        push_line(to, "##[endgroup]");
    }

    fn annotation(&mut self, annotation: &Annotation, to: &mut String) {
        let level = match annotation.level {
            Level::Error => "error",
            Level::Warning => "warning",
        };
        let mut command = format!("##vso[task.logissue type={level};");
        if let Some(place) = &annotation.place {
            command.push_str(&format!("sourcepath={};", property(&place.file)));
            if let Some(line) = place.line {
                command.push_str(&format!("linenumber={line};"));
            }
        }
        // It has no title of its own.
        let message = annotation.message_within(LONGEST_MESSAGE);
        let message = format!("{}: {message}", annotation.title);
        push_line(to, &format!("{command}]{}", data(&message)));
    }

    fn secret(&mut self, value: &str, to: &mut String) {
        push_line(to, &format!("##vso[task.setsecret]{}", data(value)));
    }

    fn output(&mut self, output: &Output, to: &mut String) {
        // The names of its variables have no dashes.
        let name = output.name.replace('-', "_");
        let value = data(&output.value);
        push_line(
            to,
            &format!("##vso[task.setvariable variable={name};isOutput=true]{value}"),
        );
    }
}

/// The data of a command. `%` comes first: it is what the others are made of.
fn data(text: &str) -> String {
    text.replace('%', "%AZP25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// A property of a command.
fn property(text: &str) -> String {
    data(text).replace(']', "%5D").replace(';', "%3B")
}

//! `envrun ps`: the runs of which the engine has something, or the containers of one of them.

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::{say, selected};
use crate::engine::{Belonging, REPLICA_LABEL, ResourceKind};
use crate::exit_code::ExitCode;
use crate::lease::rough;
use crate::name::ContainerId;
use crate::run::gc::Found;

/// Arguments of `envrun ps`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Show the containers of this run, named by its id or the beginning of it
    #[arg(value_name = "RUN")]
    run: Option<String>,
    /// How it is printed
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// For people.
    Table,
    /// For programs.
    Json,
}

pub(super) async fn ps(arguments: Arguments) -> ExitCode {
    let (header, rows): (&[&str], Vec<Vec<String>>) = match &arguments.run {
        None => match selected::all().await {
            Ok((_, found)) => (
                &["run", "project", "age", "state", "has", "build"],
                found.iter().map(row).collect(),
            ),
            Err(code) => return code,
        },
        Some(wanted) => match containers(wanted).await {
            Ok(rows) => (&["service", "container", "status", "ports"], rows),
            Err(code) => return code,
        },
    };
    match arguments.format {
        Format::Table => say(table(header, &rows).trim_end()),
        Format::Json => {
            let objects: Vec<Value> = rows
                .iter()
                .map(|row| {
                    let pairs = header.iter().zip(row);
                    let pairs = pairs.map(|(key, value)| ((*key).to_owned(), json!(value)));
                    Value::Object(pairs.collect())
                })
                .collect();
            say(&format!("{:#}", Value::Array(objects)));
        }
    }
    ExitCode::Passed
}

fn row(found: &Found) -> Vec<String> {
    vec![
        found.run.to_string(),
        found.project.clone(),
        rough(found.age),
        found.standing.to_string(),
        found.inventory(),
        found
            .build
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
    ]
}

/// The containers of a run, with the host ports that the engine has chosen for them.
async fn containers(wanted: &str) -> Result<Vec<Vec<String>>, ExitCode> {
    let (engine, found) = selected::find(Some(wanted)).await?;
    let mut rows = Vec::new();
    let is_container = |one: &&Belonging| one.resource.kind == ResourceKind::Container;
    for one in found.belongings.iter().filter(is_container) {
        let id = ContainerId::new(one.resource.id.as_str());
        // One that has gone since the listing has none.
        let ports = engine.inspect_container(&id).await;
        let ports = ports.map(|facts| facts.host_ports).unwrap_or_default();
        let ports = ports
            .iter()
            .flat_map(|(port, hosts)| hosts.iter().map(move |host| format!("{host}->{port}")));
        let replica = one.labels.get(REPLICA_LABEL).cloned().unwrap_or_default();
        rows.push(vec![
            replica,
            one.resource.name.clone(),
            one.status.clone(),
            ports.collect::<Vec<_>>().join(" "),
        ]);
    }
    rows.sort();
    Ok(rows)
}

pub(super) fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let header: Vec<String> = header.iter().map(|word| word.to_uppercase()).collect();
    let all = || std::iter::once(&header).chain(rows);
    let width = |column: usize| {
        let cells = all().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let mut text = String::new();
    for row in all() {
        let cells = row.iter().zip(&widths);
        let cells: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

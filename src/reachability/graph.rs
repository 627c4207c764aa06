//! The matrix to look at: networks, promises, what the file makes of them and what was observed, as text,
//! for Mermaid and for Graphviz.
//!
//! Names may come out of a file that anybody has written, so every label is escaped, and the nodes have
//! numbers for names.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::expected::{Model, Place};
use super::matrix::{Matrix, Promise};
use super::record::{Extent, Outcome, Promised, Record, RecordedPair};
use crate::config::model::reachability::Whom;

/// What is drawn.
#[derive(Debug, Clone, Copy)]
pub struct Graph<'a> {
    /// Name of the project.
    pub project: &'a str,
    /// Its networks.
    pub model: &'a Model,
    /// Its promises, if it has any.
    pub matrix: Option<&'a Matrix>,
    /// What was observed, if it is known.
    pub record: Option<&'a Record>,
}

/// One row of the matrix.
struct Row<'a> {
    source: String,
    whom: String,
    target: String,
    port: Option<u16>,
    promised: Option<Promise>,
    /// By the file: whether it can be reached, and why.
    expected: Option<(Option<bool>, String)>,
    observed: Option<&'a RecordedPair>,
}

impl Graph<'_> {
    /// The networks with their services, then the pairs as a table, then where promise, file and observation
    /// differ.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!("networks of project `{}`\n", plain(self.project));
        for (key, internal) in &self.model.networks {
            let on = self.on(key.as_str());
            let internal = if *internal { " (internal)" } else { "" };
            let _ = writeln!(text, "  {key}{internal}: {}", on.join(", "));
        }
        for (name, place) in &self.model.places {
            let guest = self.model.guests.get(name);
            let note = match (guest, place) {
                (Some(owner), _) => format!("in the network of {owner}"),
                (None, Place::Host) => "on the host's network".to_owned(),
                (None, Place::Elsewhere(mode)) => format!("network_mode: {}", plain(mode)),
                (None, Place::Networks(own)) if own.is_empty() => "on no network".to_owned(),
                _ => continue,
            };
            let _ = writeln!(text, "  {name}: {note}");
        }
        let rows = self.rows();
        if self.matrix.is_none() {
            text.push_str("\nno `x-envrun.reachability` promises anything; by the file\n");
        }
        self.table(&rows, &mut text);
        let differences: Vec<String> = rows.iter().flat_map(differences).collect();
        if !rows.is_empty() && (self.matrix.is_some() || self.record.is_some()) {
            match differences.is_empty() {
                true => text.push_str("\nno differences\n"),
                false => text.push_str("\ndifferences\n"),
            }
        }
        for difference in differences {
            let _ = writeln!(text, "  {difference}");
        }
        text
    }

    /// A flow chart for Mermaid.
    #[must_use]
    pub fn mermaid(&self) -> String {
        let mut text = "flowchart LR\n".to_owned();
        let nodes = self.nodes();
        for (name, id) in &nodes {
            let (open, close) = shape(name, ("[\"", "\"]"), ("{{\"", "\"}}"), ("([\"", "\"])"));
            let _ = writeln!(
                text,
                "  {id}{open}{}{close}",
                for_mermaid(&self.label(name))
            );
        }
        for (service, network) in self.memberships() {
            if let (Some(service), Some(network)) = (nodes.get(&service), nodes.get(&network)) {
                let _ = writeln!(text, "  {service} -.- {network}");
            }
        }
        for (row, label, kept) in self.arrows() {
            let (source, target) = (Node::Service(row.source.clone()), row.node());
            if let (Some(source), Some(target)) = (nodes.get(&source), nodes.get(&target)) {
                let arrow = if kept { "-->" } else { "--x" };
                let _ = writeln!(
                    text,
                    "  {source} {arrow}|\"{}\"| {target}",
                    for_mermaid(&label)
                );
            }
        }
        text
    }

    /// A graph for Graphviz.
    #[must_use]
    pub fn dot(&self) -> String {
        let mut text = format!("digraph \"{}\" {{\n  rankdir=LR;\n", for_dot(self.project));
        let nodes = self.nodes();
        for (name, id) in &nodes {
            let (shape, _) = shape(name, ("box", ""), ("hexagon", ""), ("ellipse", ""));
            let label = for_dot(&self.label(name));
            let _ = writeln!(text, "  {id} [label=\"{label}\", shape={shape}];");
        }
        for (service, network) in self.memberships() {
            if let (Some(service), Some(network)) = (nodes.get(&service), nodes.get(&network)) {
                let _ = writeln!(text, "  {service} -> {network} [dir=none, style=dotted];");
            }
        }
        for (row, label, kept) in self.arrows() {
            let (source, target) = (Node::Service(row.source.clone()), row.node());
            if let (Some(source), Some(target)) = (nodes.get(&source), nodes.get(&target)) {
                let style = if kept { "solid" } else { "bold, color=red" };
                let label = for_dot(&label);
                let _ = writeln!(
                    text,
                    "  {source} -> {target} [label=\"{label}\", style={style}];"
                );
            }
        }
        text.push_str("}\n");
        text
    }

    /// The services on a network.
    fn on(&self, key: &str) -> Vec<String> {
        let places = self.model.places.iter();
        let on = places.filter(|(name, place)| {
            let own =
                matches!(place, Place::Networks(own) if own.iter().any(|one| one.as_str() == key));
            own && !self.model.guests.contains_key(*name)
        });
        on.map(|(name, _)| name.to_string()).collect()
    }

    /// All pairs: those of the promises, those of the record that no promise names, and without promises
    /// those of all services.
    fn rows(&self) -> Vec<Row<'_>> {
        let mut rows = Vec::new();
        let mut open: Vec<&RecordedPair> = self
            .record
            .iter()
            .flat_map(|record| &record.pairs)
            .collect();
        if let Some(matrix) = self.matrix {
            for pair in &matrix.pairs {
                let is_it = |one: &&RecordedPair| {
                    one.source == pair.source.as_str()
                        && one.target == pair.target.whom.as_str()
                        && one.port == pair.target.port
                };
                let found = open.iter().position(is_it).map(|index| open.remove(index));
                let expected = self.model.expected(&pair.source, &pair.target.whom);
                rows.push(Row {
                    source: pair.source.to_string(),
                    whom: pair.target.whom.to_string(),
                    target: pair.target.to_string(),
                    port: pair.target.port,
                    promised: Some(pair.promise),
                    expected: Some((expected.is_reachable(), expected.why().to_owned())),
                    observed: found,
                });
            }
        } else if self.record.is_none() {
            let names: Vec<_> = self.model.places.keys().collect();
            for source in &names {
                for target in names.iter().filter(|target| target != &source) {
                    let expected = self
                        .model
                        .expected(source, &Whom::Service((*target).clone()));
                    rows.push(Row {
                        source: source.to_string(),
                        whom: target.to_string(),
                        target: target.to_string(),
                        port: None,
                        promised: None,
                        expected: Some((expected.is_reachable(), expected.why().to_owned())),
                        observed: None,
                    });
                }
            }
        }
        rows.extend(open.into_iter().map(|pair| Row {
            source: pair.source.clone(),
            whom: pair.target.clone(),
            target: match pair.port {
                Some(port) => format!("{}:{port}", pair.target),
                None => pair.target.clone(),
            },
            port: pair.port,
            promised: None,
            expected: None,
            observed: Some(pair),
        }));
        rows
    }

    fn table(&self, rows: &[Row<'_>], text: &mut String) {
        if rows.is_empty() {
            return;
        }
        let mut lines = vec![["pair", "promised", "by the file", "observed"].map(str::to_owned)];
        lines.extend(rows.iter().map(|row| {
            let promised = match row.promised {
                Some(promise) => promise.to_string(),
                None => "-".to_owned(),
            };
            let expected = match &row.expected {
                Some((Some(true), why)) => format!("reachable: {}", plain(why)),
                Some((Some(false), why)) => format!("unreachable: {}", plain(why)),
                Some((None, why)) => format!("unknown: {}", plain(why)),
                None => "-".to_owned(),
            };
            let pair = format!("{} -> {}", plain(&row.source), plain(&row.target));
            let observed = row.observed.map_or_else(|| "-".to_owned(), observed);
            [pair, promised, expected, observed]
        }));
        let width = |column: usize| {
            let cells = lines.iter().map(|line| line[column].chars().count());
            cells.max().unwrap_or_default()
        };
        let widths = [width(0), width(1), width(2)];
        text.push('\n');
        for [pair, promised, expected, observed] in &lines {
            let [first, second, third] = widths;
            let line = match self.record.is_some() {
                true => {
                    format!("{pair:<first$}  {promised:<second$}  {expected:<third$}  {observed}")
                }
                false => format!("{pair:<first$}  {promised:<second$}  {expected}"),
            };
            let _ = writeln!(text, "{}", line.trim_end());
        }
    }

    /// All nodes with their numbers.
    fn nodes(&self) -> BTreeMap<Node, String> {
        let mut nodes: Vec<Node> = Vec::new();
        nodes.extend(
            self.model
                .places
                .keys()
                .map(|name| Node::Service(name.to_string())),
        );
        nodes.extend(
            self.model
                .networks
                .keys()
                .map(|key| Node::Network(key.to_string())),
        );
        for row in self.rows() {
            nodes.push(Node::Service(row.source.clone()));
            nodes.push(row.node());
        }
        nodes.sort();
        nodes.dedup();
        let numbered = nodes.into_iter().enumerate();
        numbered
            .map(|(number, node)| (node, format!("n{number}")))
            .collect()
    }

    fn label(&self, node: &Node) -> String {
        match node {
            Node::Network(key) => {
                let mut networks = self.model.networks.iter();
                match networks.any(|(one, internal)| one.as_str() == key && *internal) {
                    true => format!("{key} (internal)"),
                    false => key.clone(),
                }
            }
            Node::Service(name) | Node::Word(name) => name.clone(),
        }
    }

    /// Each service with each of its networks, guests with the service in whose network they are.
    fn memberships(&self) -> Vec<(Node, Node)> {
        let places = self.model.places.iter();
        let all = places.flat_map(|(name, place)| {
            let service = Node::Service(name.to_string());
            if let Some(owner) = self.model.guests.get(name) {
                return vec![(service, Node::Service(owner.to_string()))];
            }
            match place {
                Place::Networks(own) => own
                    .iter()
                    .map(|key| (service.clone(), Node::Network(key.to_string())))
                    .collect(),
                _ => Vec::new(),
            }
        });
        all.collect()
    }

    /// The arrows: what is promised to be reached, and whatever is not as promised.
    fn arrows(&self) -> Vec<(Row<'_>, String, bool)> {
        let rows = self.rows().into_iter().filter_map(|row| {
            let broken = row
                .observed
                .is_some_and(|pair| pair.verdict == Outcome::Broken);
            let promised = match (row.promised, row.observed) {
                (Some(promise), _) => promise == Promise::Reachable,
                (None, Some(pair)) => pair.promised == Promised::Reachable,
                (None, None) => false,
            };
            if !promised && !broken {
                return None;
            }
            let port = row.port.map_or_else(String::new, |port| port.to_string());
            let label = match (promised, broken) {
                (true, true) => format!("{port} not reached"),
                (false, _) => format!("{port} reached"),
                (true, false) if port.is_empty() => "any".to_owned(),
                (true, false) => port,
            };
            let label = label.trim().to_owned();
            Some((row, label, !broken))
        });
        rows.collect()
    }
}

/// A node of a drawing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Node {
    Network(String),
    Service(String),
    /// `host` or `internet`.
    Word(String),
}

impl Row<'_> {
    fn node(&self) -> Node {
        match self.whom.as_str() {
            crate::config::model::reachability::HOST
            | crate::config::model::reachability::INTERNET
                if self.port.is_some() || self.promised.is_some() || self.observed.is_some() =>
            {
                Node::Word(self.whom.clone())
            }
            _ => Node::Service(self.whom.clone()),
        }
    }
}

fn shape<'a>(
    node: &Node,
    service: (&'a str, &'a str),
    network: (&'a str, &'a str),
    word: (&'a str, &'a str),
) -> (&'a str, &'a str) {
    match node {
        Node::Service(_) => service,
        Node::Network(_) => network,
        Node::Word(_) => word,
    }
}

fn observed(pair: &RecordedPair) -> String {
    let verdict = match pair.verdict {
        Outcome::Kept => "as promised",
        Outcome::Broken => "BROKEN",
        Outcome::Untried => "not tried",
        Outcome::Unjudged => "not judged",
    };
    let way = |extent: Option<Extent>| match extent {
        None => "-",
        Some(Extent::Nothing) => "no",
        Some(Extent::Answered) => "answers",
        Some(Extent::Connected) => "yes",
    };
    let (name, address) = (way(pair.by_name), way(pair.by_address));
    format!("{verdict} (by name {name}, by address {address})")
}

/// Where promise, file and observation differ.
fn differences(row: &Row<'_>) -> Vec<String> {
    let mut found = Vec::new();
    let pair = format!("{} -> {}", plain(&row.source), plain(&row.target));
    if let (Some(promise), Some((Some(reachable), why))) = (row.promised, &row.expected) {
        let why = plain(why);
        match (promise, reachable) {
            (Promise::Reachable, false) => {
                found.push(format!("{pair}: promised, and the file parts them: {why}"));
            }
            (Promise::Unreachable, true) => {
                found.push(format!(
                    "{pair}: promised to be unreachable, and the file joins them: {why}"
                ));
            }
            _ => {}
        }
    }
    if let Some(pair_seen) = row.observed {
        match pair_seen.verdict {
            Outcome::Broken => found.push(format!(
                "{pair}: observed otherwise: {}",
                plain(&pair_seen.message)
            )),
            Outcome::Untried => found.push(format!(
                "{pair}: not observed: {}",
                plain(&pair_seen.message)
            )),
            Outcome::Kept | Outcome::Unjudged => {}
        }
        let reached = [pair_seen.by_name, pair_seen.by_address]
            .into_iter()
            .any(|extent| extent.is_some_and(|extent| extent != Extent::Nothing));
        if let Some((Some(false), why)) = &row.expected
            && reached
        {
            found.push(format!(
                "{pair}: reached, although by the file it is not: {}",
                plain(why)
            ));
        }
        if row.promised.is_none() && row.expected.is_none() {
            found.push(format!(
                "{pair}: observed, and the file does not name it any more"
            ));
        }
    }
    found
}

/// A text in one line, without what a terminal would obey.
fn plain(text: &str) -> String {
    let visible = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    text.chars().map(visible).collect()
}

/// A label in quotes for Mermaid, which takes entities only.
fn for_mermaid(text: &str) -> String {
    let mut escaped = String::new();
    for c in plain(text).chars() {
        match c {
            '"' | '#' | '<' | '>' | '&' | '`' | '|' | '\\' | ';' | '{' | '}' | '[' | ']' => {
                let _ = write!(escaped, "#{};", u32::from(c));
            }
            c => escaped.push(c),
        }
    }
    escaped
}

/// A text in quotes for Graphviz.
fn for_dot(text: &str) -> String {
    plain(text).replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests;

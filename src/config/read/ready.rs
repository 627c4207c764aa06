//! `x-envrun.ready`: what a service has to show before anything that depends on it starts.

mod http;

use regex_lite::RegexBuilder;

use self::http::read_http;
use super::super::keys;
use super::super::model::{
    Ready, ReadyKind, ReadyPace, ReadyProbe, ReadyStream, ReadyTree, ServerProtocol,
};
use super::super::source::Place;
use super::super::suggest::did_you_mean;
use super::super::yaml::{Entry, Mapping, Node, Value, shorten};
use super::context::Context;

/// How deep `all` and `any` may stand in each other. More says nothing that fewer cannot.
const MAX_DEPTH: usize = 8;

/// Probes of one service; more is a mistake, or meant to exhaust memory.
const MAX_PROBES: usize = 100;

/// Bytes of a regular expression, and bytes that it may be compiled to: for each byte of a text, time
/// is spent in proportion to these.
const MAX_PATTERN: usize = 1000;
const MAX_COMPILED: usize = 64 << 10;

/// Most successes in a row, and most lines of a log, that can be asked for.
const MAX_COUNT: u64 = 1000;

/// What was read, with the places that cross checks point at.
#[derive(Default)]
pub(super) struct ReadReady {
    pub(super) ready: Option<Ready>,
    /// Where the healthcheck is named.
    pub(super) healthcheck: Option<Place>,
}

/// The state of one reading of `ready`.
struct Reading {
    healthcheck: Option<Place>,
    probes: usize,
}

/// Where a part of the tree stands.
#[derive(Clone, Copy)]
struct Position {
    depth: usize,
    /// Whether nothing else has to pass where this does. A container that has ended shows nothing
    /// else.
    suffices: bool,
}

/// Reads `ready`.
pub(super) fn read_ready(context: &mut Context<'_>, node: &Node) -> ReadReady {
    let mut reading = Reading {
        healthcheck: None,
        probes: 0,
    };
    let outermost = Position {
        depth: 0,
        suffices: true,
    };
    if let Value::Scalar(_) = &node.value {
        let tree = read_word(context, &mut reading, node, outermost);
        return ReadReady {
            ready: tree.map(|tree| Ready {
                tree: Some(tree),
                deadline: None,
            }),
            healthcheck: reading.healthcheck,
        };
    }
    let Some(map) = context.mapping(node, "ready") else {
        return ReadReady::default();
    };
    context.check_keys(map, &keys::READY);
    let deadline = map
        .get("deadline")
        .and_then(|node| context.duration(node, "deadline"));
    let (tree, is_named) = read_map(context, &mut reading, map, outermost);
    // A deadline alone leaves the choice of the probe to the plan.
    if !is_named && map.get("deadline").is_none() {
        let help =
            "name a probe such as `tcp`, `http`, `log` or `healthcheck`, or leave `ready` out";
        context.error_help(&node.place, "`ready` names no probe", help);
    }
    let ready =
        (tree.is_some() || (!is_named && deadline.is_some())).then_some(Ready { tree, deadline });
    ReadReady {
        ready,
        healthcheck: reading.healthcheck,
    }
}

/// A probe that needs no more than its name.
fn read_word(
    context: &mut Context<'_>,
    reading: &mut Reading,
    node: &Node,
    position: Position,
) -> Option<ReadyTree> {
    let text = context.filled_text(node, "ready")?;
    let kind = match text.as_str() {
        "healthcheck" => {
            reading.healthcheck = Some(node.place.clone());
            ReadyKind::Healthcheck
        }
        "completed" => {
            check_completed(context, &node.place, position);
            ReadyKind::Completed
        }
        _ => match preset(&text) {
            Some(protocol) => ReadyKind::Server {
                protocol,
                port: None,
            },
            None => {
                let message = format!("`{}` is no probe by itself", shorten(&text));
                let help = did_you_mean(&text, WORDS)
                    .unwrap_or_else(|| format!("those are `{}`", WORDS.join("`, `")));
                context.error_help(&node.place, message, help);
                return None;
            }
        },
    };
    count(context, reading, &node.place)?;
    Some(ReadyTree::Probe(ReadyProbe {
        kind,
        pace: ReadyPace::default(),
    }))
}

const WORDS: [&str; 9] = [
    "completed",
    "healthcheck",
    "mariadb",
    "memcached",
    "mysql",
    "nats",
    "postgres",
    "rabbitmq",
    "redis",
];

fn preset(name: &str) -> Option<ServerProtocol> {
    Some(match name {
        "postgres" => ServerProtocol::Postgres,
        "mysql" | "mariadb" => ServerProtocol::Mysql,
        "redis" => ServerProtocol::Redis,
        "rabbitmq" => ServerProtocol::Rabbitmq,
        "memcached" => ServerProtocol::Memcached,
        "nats" => ServerProtocol::Nats,
        _ => return None,
    })
}

/// The probes of a mapping, all of which have to pass; and whether any is named, be it wrongly.
fn read_map(
    context: &mut Context<'_>,
    reading: &mut Reading,
    map: &Mapping,
    position: Position,
) -> (Option<ReadyTree>, bool) {
    let named = map.entries.iter().filter(|entry| {
        let key = entry.key.text.as_str();
        key != "deadline" && keys::READY.policy(key).is_some() && !is_off(entry)
    });
    let named: Vec<&Entry> = named.collect();
    let position = Position {
        suffices: position.suffices && named.len() == 1,
        ..position
    };
    let mut parts = Vec::new();
    for entry in &named {
        parts.extend(match entry.key.text.as_str() {
            "all" => read_list(context, reading, entry, position).map(ReadyTree::All),
            "any" => read_list(context, reading, entry, position).map(ReadyTree::Any),
            _ => read_probe(context, reading, entry, position).map(ReadyTree::Probe),
        });
    }
    let tree = if parts.len() > 1 {
        Some(ReadyTree::All(parts))
    } else {
        parts.pop()
    };
    (tree, !named.is_empty())
}

/// `healthcheck: false` and `completed: false` name nothing.
fn is_off(entry: &Entry) -> bool {
    matches!(entry.key.text.as_str(), "healthcheck" | "completed")
        && entry.value.scalar().is_some_and(|scalar| {
            ["false", "no", "off", "n"].contains(&scalar.text.to_ascii_lowercase().as_str())
        })
}

fn read_list(
    context: &mut Context<'_>,
    reading: &mut Reading,
    entry: &Entry,
    position: Position,
) -> Option<Vec<ReadyTree>> {
    let what = entry.key.text.as_str();
    if position.depth == MAX_DEPTH {
        let message = format!("`all` and `any` stand in each other more than {MAX_DEPTH} deep");
        context.error(&entry.key.place, message);
        return None;
    }
    if !matches!(entry.value.value, Value::Sequence(_)) {
        let help = format!("write `{what}: [{{ tcp: 8000 }}, {{ log: … }}]`");
        let message = format!(
            "`{what}` must be a list of probes, found {}",
            entry.value.describe()
        );
        context.error_help(&entry.value.place, message, help);
        return None;
    }
    let items = context.list(&entry.value, what);
    if items.is_empty() {
        let message = format!("`{what}` is empty");
        context.error(&entry.value.place, message);
        return None;
    }
    let position = Position {
        depth: position.depth + 1,
        suffices: position.suffices && (what == "any" || items.len() == 1),
    };
    let mut parts = Vec::new();
    for item in items {
        if let Value::Scalar(_) = &item.value {
            parts.push(read_word(context, reading, item, position)?);
            continue;
        }
        if item.is_null() {
            context.expected(item, what, "a list of probes");
            return None;
        }
        let map = context.mapping(item, what)?;
        if let Some(entry) = map.entry("deadline") {
            let message = "a deadline belongs to one probe, or to `ready` as a whole";
            let help = "write it into the probe: `tcp: { port: 8000, deadline: 30s }`";
            context.error_help(&entry.key.place, message, help);
        }
        context.check_keys(map, &keys::READY);
        let (part, is_named) = read_map(context, reading, map, position);
        if !is_named {
            context.error(&item.place, format!("an entry of `{what}` names no probe"));
        }
        parts.push(part?);
    }
    Some(parts)
}

fn count(context: &mut Context<'_>, reading: &mut Reading, place: &Place) -> Option<()> {
    reading.probes += 1;
    if reading.probes == MAX_PROBES + 1 {
        context.error(place, format!("`ready` has more than {MAX_PROBES} probes"));
    }
    (reading.probes <= MAX_PROBES).then_some(())
}

fn check_completed(context: &mut Context<'_>, place: &Place, position: Position) {
    if !position.suffices {
        let message = "`completed` cannot be asked for together with another probe";
        let help = "a container that has ended shows nothing else; put it into an `any`, or alone";
        context.error_help(place, message, help);
    }
}

fn read_probe(
    context: &mut Context<'_>,
    reading: &mut Reading,
    entry: &Entry,
    position: Position,
) -> Option<ReadyProbe> {
    count(context, reading, &entry.key.place)?;
    let (key, node) = (entry.key.text.as_str(), &entry.value);
    let mut pace = ReadyPace::default();
    if let Value::Mapping(map) = &node.value {
        let section = match key {
            "exec" => &keys::EXEC_PROBE,
            "file" => &keys::FILE_PROBE,
            "grpc" => &keys::GRPC_PROBE,
            "healthcheck" => &keys::HEALTHCHECK_PROBE,
            "http" => &keys::HTTP_PROBE,
            "https" => &keys::HTTPS_PROBE,
            "log" => &keys::LOG_PROBE,
            _ => &keys::PORT_PROBE,
        };
        if key != "completed" {
            context.check_keys(map, section);
        }
        pace = read_pace(context, map);
    }
    let kind = match key {
        "tcp" => ReadyKind::Tcp {
            port: read_port(context, node, "tcp")?,
        },
        "http" | "https" => ReadyKind::Http(Box::new(read_http(context, node, key)?)),
        "grpc" => ReadyKind::Grpc {
            port: read_port(context, node, "grpc")?,
            service: match node.get("service") {
                Some(node) => context.text(node, "service")?,
                None => String::new(),
            },
        },
        "log" => read_log(context, node)?,
        "exec" => ReadyKind::Exec {
            command: read_command(context, node)?,
        },
        "file" => read_file(context, node)?,
        "healthcheck" => {
            if node.mapping().is_none() {
                context.boolean(node, "healthcheck")?;
            }
            reading.healthcheck = Some(entry.key.place.clone());
            ReadyKind::Healthcheck
        }
        "completed" => {
            context.boolean(node, "completed")?;
            check_completed(context, &entry.key.place, position);
            ReadyKind::Completed
        }
        _ => ReadyKind::Server {
            protocol: preset(key)?,
            port: read_server_port(context, node, key)?,
        },
    };
    Some(ReadyProbe { kind, pace })
}

/// `successes`, `timeout`, `interval` and `deadline` of one probe.
fn read_pace(context: &mut Context<'_>, map: &Mapping) -> ReadyPace {
    let successes = map
        .filled("successes")
        .and_then(|node| context.integer(node, "successes", 1..=MAX_COUNT))
        .and_then(|successes| u32::try_from(successes).ok());
    let mut duration = |key: &str| map.get(key).and_then(|node| context.duration(node, key));
    ReadyPace {
        successes,
        timeout: duration("timeout"),
        interval: duration("interval"),
        deadline: duration("deadline"),
    }
}

/// A port, or `{port: …}`.
fn read_port(context: &mut Context<'_>, node: &Node, what: &str) -> Option<u16> {
    let Value::Mapping(map) = &node.value else {
        return context.port(node, what);
    };
    match map.get("port") {
        Some(port) => context.port(port, "port"),
        None => {
            context.error(&node.place, format!("`{what}` has no `port`"));
            None
        }
    }
}

/// The same, where there is a usual port: `true`, null and `{}` mean that one.
#[expect(clippy::option_option, reason = "outside: readable; inside: given")]
fn read_server_port(context: &mut Context<'_>, node: &Node, what: &str) -> Option<Option<u16>> {
    match &node.value {
        Value::Null => Some(None),
        Value::Mapping(map) => match map.filled("port") {
            Some(port) => context.port(port, "port").map(Some),
            None => Some(None),
        },
        Value::Scalar(scalar) if scalar.text == "true" => Some(None),
        Value::Scalar(_) => context.port(node, what).map(Some),
        Value::Sequence(_) => {
            context.expected(node, what, "a port, or a mapping with `port`");
            None
        }
    }
}

/// A regular expression, or `{pattern, stream, times}`.
fn read_log(context: &mut Context<'_>, node: &Node) -> Option<ReadyKind> {
    let Value::Mapping(map) = &node.value else {
        return Some(ReadyKind::Log {
            pattern: read_pattern(context, node, "log")?,
            stream: None,
            times: 1,
        });
    };
    let pattern = match map.get("pattern") {
        Some(node) => read_pattern(context, node, "pattern"),
        None => {
            context.error(&node.place, "`log` has no `pattern`");
            None
        }
    };
    let mut stream = None;
    if let Some(node) = map.filled("stream") {
        let text = context.filled_text(node, "stream")?;
        stream = match text.as_str() {
            "stdout" => Some(ReadyStream::Stdout),
            "stderr" => Some(ReadyStream::Stderr),
            "any" => None,
            _ => {
                let message = format!("unknown stream `{}`", shorten(&text));
                let help = "the streams are `stdout`, `stderr` and `any`";
                context.error_help(&node.place, message, help);
                return None;
            }
        };
    }
    let times = match map.filled("times") {
        Some(node) => context.integer(node, "times", 1..=MAX_COUNT)?,
        None => 1,
    };
    Some(ReadyKind::Log {
        pattern: pattern?,
        stream,
        times: u32::try_from(times).ok()?,
    })
}

/// A regular expression that can be compiled.
fn read_pattern(context: &mut Context<'_>, node: &Node, what: &str) -> Option<String> {
    let text = context.filled_text(node, what)?;
    if text.len() > MAX_PATTERN {
        let message = format!("`{what}` is longer than {MAX_PATTERN} bytes");
        context.error(&node.place, message);
        return None;
    }
    let compiled = RegexBuilder::new(&text).size_limit(MAX_COMPILED).build();
    if let Err(error) = compiled {
        let message = format!(
            "`{what}` is not a regular expression: `{}`: {error}",
            shorten(&text)
        );
        let help = "characters such as `(`, `[`, `*` and `?` stand for themselves behind a `\\`";
        context.error_help(&node.place, message, help);
        return None;
    }
    Some(text)
}

/// A list is run as it is, a text by the shell of the image.
fn read_command(context: &mut Context<'_>, node: &Node) -> Option<Vec<String>> {
    match &node.value {
        Value::Mapping(map) => match map.get("command") {
            Some(node) if node.mapping().is_none() => read_command(context, node),
            Some(node) => {
                context.expected(node, "command", "text or a list of texts");
                None
            }
            None => {
                context.error(&node.place, "`exec` has no `command`");
                None
            }
        },
        Value::Sequence(items) => {
            let command = context.texts(node, "exec");
            if items.is_empty() || command.first().is_some_and(String::is_empty) {
                context.error(&node.place, "`exec` names no command");
                return None;
            }
            (command.len() == items.len()).then_some(command)
        }
        Value::Scalar(_) | Value::Null => {
            let text = context.filled_text(node, "exec")?;
            Some(vec!["/bin/sh".to_owned(), "-c".to_owned(), text])
        }
    }
}

/// A path, or `{path, not_empty}`.
fn read_file(context: &mut Context<'_>, node: &Node) -> Option<ReadyKind> {
    let (path_node, not_empty) = match &node.value {
        Value::Mapping(map) => {
            let not_empty = match map.filled("not_empty") {
                Some(node) => context.boolean(node, "not_empty")?,
                None => false,
            };
            let Some(path) = map.get("path") else {
                context.error(&node.place, "`file` has no `path`");
                return None;
            };
            (path, not_empty)
        }
        _ => (node, false),
    };
    let path = context.filled_text(path_node, "path")?;
    if !path.starts_with('/') || path.contains('\0') {
        let message = format!("the path `{}` is not absolute", shorten(&path));
        let help = "it is a path in the container, such as `/run/ready`";
        context.error_help(&path_node.place, message, help);
        return None;
    }
    Some(ReadyKind::File { path, not_empty })
}

//! `http` and `https` of `x-envrun.ready`.

use std::io::Read as _;
use std::ops::RangeInclusive;

use super::super::super::model::{ReadyHttp, ReadyTls};
use super::super::super::yaml::{Mapping, Node, Value, shorten};
use super::super::context::Context;
use super::read_pattern;

/// Redirects that `redirects: true` follows, and the most that can be asked for.
const REDIRECTS: u32 = 10;
const MAX_REDIRECTS: u64 = 100;

/// Headers of a request, and bytes of one.
const MAX_HEADERS: usize = 50;
const MAX_HEADER: usize = 8 << 10;

/// Largest file of certificates. The authorities of a whole system take a quarter of it.
const MAX_AUTHORITIES: u64 = 1 << 20;

/// A port, or a mapping.
pub(super) fn read_http(context: &mut Context<'_>, node: &Node, kind: &str) -> Option<ReadyHttp> {
    let trusted = (kind == "https").then_some(ReadyTls::Trusted);
    let Value::Mapping(map) = &node.value else {
        return Some(ReadyHttp {
            port: context.port(node, kind)?,
            path: "/".to_owned(),
            head_only: false,
            headers: Vec::new(),
            status: Vec::new(),
            body: None,
            redirects: 0,
            tls: trusted,
        });
    };
    let port = super::read_port(context, node, kind);
    let path = match map.get("path") {
        Some(node) => read_path(context, node),
        None => Some("/".to_owned()),
    };
    let head_only = match map.filled("method") {
        Some(node) => read_method(context, node),
        None => Some(false),
    };
    let headers = match map.filled("headers") {
        Some(node) => read_headers(context, node),
        None => Some(Vec::new()),
    };
    let status = match map.filled("status") {
        Some(node) => read_status(context, node),
        None => Some(Vec::new()),
    };
    let body = map
        .filled("body")
        .map(|node| read_pattern(context, node, "body"));
    if let (Some(Some(_)), Some(true), Some(node)) = (&body, head_only, map.get("body")) {
        let help = "leave `method` out, or `body`";
        context.error_help(&node.place, "an answer to `HEAD` has no body", help);
        return None;
    }
    let redirects = match map.filled("redirects") {
        Some(node) => read_redirects(context, node),
        None => Some(0),
    };
    let tls = match trusted {
        Some(_) => Some(read_tls(context, map)?),
        None => None,
    };
    Some(ReadyHttp {
        port: port?,
        path: path?,
        head_only: head_only?,
        headers: headers?,
        status: status?,
        body: match body {
            Some(body) => Some(body?),
            None => None,
        },
        redirects: redirects?,
        tls,
    })
}

/// The path goes into a request line, so nothing in it may end that line.
fn read_path(context: &mut Context<'_>, node: &Node) -> Option<String> {
    let path = context.filled_text(node, "path")?;
    if !path.starts_with('/') {
        let message = format!("`path` does not start with `/`: `{}`", shorten(&path));
        context.error(&node.place, message);
        return None;
    }
    if path.contains(|c: char| c.is_control() || c.is_whitespace()) {
        let help = "write a space as `%20`";
        context.error_help(
            &node.place,
            "`path` has a space or a control character",
            help,
        );
        return None;
    }
    Some(path)
}

/// Whether only the head is asked for.
fn read_method(context: &mut Context<'_>, node: &Node) -> Option<bool> {
    let method = context.filled_text(node, "method")?;
    match method.as_str() {
        "GET" => Some(false),
        "HEAD" => Some(true),
        _ => {
            let message = format!("unknown `method` of a probe: `{}`", shorten(&method));
            let help = "it is `GET` or `HEAD`: a probe is sent many times, and must change nothing";
            context.error_help(&node.place, message, help);
            None
        }
    }
}

fn read_headers(context: &mut Context<'_>, node: &Node) -> Option<Vec<(String, String)>> {
    let Value::Mapping(map) = &node.value else {
        context.expected(node, "headers", "a mapping");
        return None;
    };
    if map.entries.len() > MAX_HEADERS {
        context.error(
            &node.place,
            format!("more than {MAX_HEADERS} headers of a probe"),
        );
        return None;
    }
    let mut headers = Vec::new();
    let mut complete = true;
    for entry in &map.entries {
        let name = &entry.key.text;
        let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        if name.is_empty() || name.len() > MAX_HEADER || !name.chars().all(is_token) {
            let message = format!("`{}` is not the name of a header", shorten(name));
            context.error(&entry.key.place, message);
            complete = false;
            continue;
        }
        if ["connection", "content-length", "transfer-encoding"]
            .contains(&name.to_ascii_lowercase().as_str())
        {
            let message = format!("the header `{name}` is that of the connection");
            context.error_help(&entry.key.place, message, "leave it out");
            complete = false;
            continue;
        }
        let what = format!("headers.{}", shorten(name));
        let Some(value) = context.printed(&entry.value, &what) else {
            if entry.value.is_null() {
                context.expected(&entry.value, &what, "text or a number");
            }
            complete = false;
            continue;
        };
        let is_plain = |c: char| c == '\t' || (' '..='~').contains(&c);
        if value.len() > MAX_HEADER || !value.chars().all(is_plain) {
            let message = format!("the value of the header `{name}` cannot be sent");
            let help = format!("it may have printable ASCII characters, at most {MAX_HEADER}");
            context.error_help(&entry.value.place, message, help);
            complete = false;
            continue;
        }
        headers.push((name.clone(), value.trim().to_owned()));
    }
    complete.then_some(headers)
}

/// A number, a range such as `200-299`, or a list of both.
fn read_status(context: &mut Context<'_>, node: &Node) -> Option<Vec<RangeInclusive<u16>>> {
    let nodes = match &node.value {
        Value::Sequence(nodes) if nodes.is_empty() => {
            context.error(&node.place, "`status` is empty");
            return None;
        }
        Value::Sequence(nodes) => nodes.as_slice(),
        _ => std::slice::from_ref(node),
    };
    let mut ranges = Vec::new();
    for node in nodes {
        let text = node.scalar().map(|scalar| scalar.text.as_str());
        let range = text.and_then(|text| {
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            let number = |text: &str| text.trim().parse::<u16>().ok();
            Some(number(first)?..=number(last)?)
        });
        let possible = |range: &RangeInclusive<u16>| {
            !range.is_empty() && *range.start() >= 100 && *range.end() <= 599
        };
        match range.filter(possible) {
            Some(range) => ranges.push(range),
            None => {
                let wanted =
                    "a number from 100 to 599, a range such as `200-299`, or a list of these";
                context.expected(node, "status", wanted);
                return None;
            }
        }
    }
    Some(ranges)
}

/// A number, or whether any are followed.
fn read_redirects(context: &mut Context<'_>, node: &Node) -> Option<u32> {
    match node.scalar().map(|scalar| scalar.text.as_str()) {
        Some("true") => Some(REDIRECTS),
        Some("false") => Some(0),
        _ => context
            .integer(node, "redirects", 0..=MAX_REDIRECTS)
            .and_then(|redirects| u32::try_from(redirects).ok()),
    }
}

/// `insecure` and `ca`.
fn read_tls(context: &mut Context<'_>, map: &Mapping) -> Option<ReadyTls> {
    let insecure = match map.filled("insecure") {
        Some(node) => context.boolean(node, "insecure")?,
        None => false,
    };
    let Some(node) = map.filled("ca") else {
        return Some(if insecure {
            ReadyTls::Insecure
        } else {
            ReadyTls::Trusted
        });
    };
    if insecure {
        let help = "with `insecure` no certificate is looked at";
        context.error_help(&node.place, "`ca` has no effect beside `insecure`", help);
        return None;
    }
    let text = context.filled_text(node, "ca")?;
    let path = context.path(&text);
    match read_authorities(&path) {
        Ok(pem) => Some(ReadyTls::Authorities(pem)),
        Err(why) => {
            let message = format!("cannot read certificates from `{}`: {why}", shorten(&text));
            let help = "`ca` is a file with certificates of authorities in PEM, on this host";
            context.error_help(&node.place, message, help);
            None
        }
    }
}

fn read_authorities(path: &std::path::Path) -> Result<Vec<u8>, String> {
    let plain = |error: std::io::Error| error.kind().to_string();
    // Opening a named pipe would wait for a writer, so the kind is asked first.
    let metadata = std::fs::metadata(path).map_err(plain)?;
    if !metadata.is_file() {
        return Err("it is not a file".to_owned());
    }
    let file = std::fs::File::open(path).map_err(plain)?;
    let mut pem = Vec::new();
    file.take(MAX_AUTHORITIES + 1)
        .read_to_end(&mut pem)
        .map_err(plain)?;
    if pem.len() as u64 > MAX_AUTHORITIES {
        return Err(format!("it is larger than {} MiB", MAX_AUTHORITIES >> 20));
    }
    use rustls_pki_types::pem::PemObject as _;
    let mut certificates = 0;
    for certificate in rustls_pki_types::CertificateDer::pem_slice_iter(&pem) {
        certificate.map_err(|_error| "it is not in PEM".to_owned())?;
        certificates += 1;
    }
    if certificates == 0 {
        return Err("there are none in it".to_owned());
    }
    Ok(pem)
}

//! Host and port in a line of text: of a URL, of the message of a client, of a stack trace.

use std::net::IpAddr;
use std::sync::LazyLock;

use regex_lite::{Captures, Regex};

/// The other end of a connection, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    /// Name or address.
    pub host: Option<String>,
    /// The address that the name had, where the text tells both.
    pub address: Option<IpAddr>,
    /// Port.
    pub port: Option<u16>,
}

impl Endpoint {
    /// Whether nothing is known of the host.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.host.is_none()
    }
}

/// How clients tell where they wanted to go, the more exact ones first. `host` is a name or an
/// address, `address` what the name resolved to.
const FORMS: [&str; 25] = [
    // libpq, new and old.
    r#"server at "(?P<host>[^"]+)"(?: \((?P<address>[^)]+)\))?, port (?P<port>\d+)"#,
    r#"on host "(?P<host>[^"]+)"(?: \((?P<address>[^)]+)\))?"#,
    r#"host name "(?P<host>[^"]+)""#,
    // Netcat: OpenBSD's, BusyBox's, the traditional one.
    r#"getaddrinfo for host "(?P<host>[^"]+)" port (?P<port>\d+)"#,
    r"connect to (?P<host>\S+) (?:\((?P<address>[^)]+)\) )?port (?P<port>\d+)",
    r"^nc: (?P<host>\S+) \((?P<address>[0-9a-fA-F.:]+):(?P<port>\d+)\)",
    r"^(?P<host>[A-Za-z0-9._-]+) \[(?P<address>[0-9.]+)\] (?P<port>\d+)",
    // urllib3 and requests.
    r"host='(?P<host>[^']+)', port='?(?P<port>\d+)",
    r"resolve '(?P<host>[^']+)'",
    // Go.
    r"lookup (?P<host>[^\s:]+)(?: on \S+)?:",
    r"dial (?:tcp|udp)[46]? \[?(?P<host>[0-9A-Za-z._:-]+?)\]?:(?P<port>\d+):",
    // Node.
    r"(?:ENOTFOUND|EAI_AGAIN) (?P<host>[^\s:,]+)(?::(?P<port>\d+))?",
    r"(?:ECONNREFUSED|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH) (?P<host>[^\s,]+):(?P<port>\d+)\b",
    // Java.
    r"UnknownHostException: (?P<host>[^\s:]+)",
    r"Connection to (?P<host>[^\s:]+):(?P<port>\d+) refused",
    // curl, wget, ssh.
    r"(?i)could not resolve host(?:name)?:? '?(?P<host>[^\s:';]+)",
    r#"resolve (?:host|host address) [‘'"](?P<host>[^’'"]+)[’'"]"#,
    // MySQL's client and drivers.
    r"server host '(?P<host>[^']+)'",
    r"server on '(?P<host>[^':]+)(?::(?P<port>\d+))?'",
    // Redis.
    r"(?i)(?:redis at|error -?\d+ connecting to) (?P<host>[^\s:]+):(?P<port>\d+)",
    // bash, BusyBox, Perl, nginx.
    r"/dev/(?:tcp|udp)/(?P<host>[^/\s]+)/(?P<port>\d+)",
    r"(?:bad address|Bad hostname:?) '(?P<host>[^']+)'",
    r#"upstream "(?P<host>[^":/]+)(?::(?P<port>\d+))?"#,
    r"(?:^|\s)(?P<host>[A-Za-z0-9][A-Za-z0-9._-]*): (?:Name or service not known|Temporary failure in name|Name does not resolve|forward host lookup failed|Unknown host)",
    // A call in a stack trace.
    r#"\(\(?["'](?P<host>[A-Za-z0-9._-]+)["'], ?(?P<port>\d+)\)"#,
];

/// A URL, with what may be a password in it.
const URL: &str = r#"\b[A-Za-z][A-Za-z0-9+.:-]*://(?:[^\s/"'<>]*@)?(?P<host>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>\d{1,5}))?(?:[/?#\s"',;)]|$)"#;

/// `host:port` by itself. A file and a line look the same, so names need a letter at both ends and no
/// dot, or are addresses.
const PAIR: &str = r"(?:^|[\s(\['=@/])(?P<host>\d{1,3}(?:\.\d{1,3}){3}|[A-Za-z][A-Za-z0-9_-]*):(?P<port>\d{2,5})\b";

/// What stands between `://` and `@`.
const LOGIN: &str = r#"://[^\s/"'<>]*@"#;

static FORMS_READ: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let forms = FORMS.into_iter().chain([URL, PAIR]);
    // That each is one is tried by a test.
    forms.filter_map(|form| Regex::new(form).ok()).collect()
});
static LOGIN_READ: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(LOGIN).ok());

/// Where a line says that a connection was to go.
#[must_use]
pub(super) fn of_line(line: &str) -> Endpoint {
    let found = FORMS_READ
        .iter()
        .filter_map(|form| form.captures(line))
        .map(|captures| of_captures(&captures))
        .find(|endpoint| !endpoint.is_empty());
    found.unwrap_or_default()
}

fn of_captures(captures: &Captures<'_>) -> Endpoint {
    let text = |name: &str| captures.name(name).map(|found| found.as_str());
    let host = text("host").map(|host| {
        let host = host.trim_matches(['[', ']']).trim_end_matches('.');
        host.to_ascii_lowercase()
    });
    Endpoint {
        // "Failed to lookup address information: Temporary failure", which names nobody.
        host: host.filter(|host| is_host(host) && host != "information"),
        address: text("address").and_then(|address| address.parse().ok()),
        port: text("port")
            .and_then(|port| port.parse().ok())
            .filter(|port| *port > 0),
    }
}

/// Whether a text can be a name or an address: what is none is not shown to anybody.
#[must_use]
pub(super) fn is_host(text: &str) -> bool {
    let is_name = text.len() <= 253
        && text.starts_with(|letter: char| letter.is_ascii_alphanumeric())
        && text
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_'));
    is_name || text.parse::<IpAddr>().is_ok()
}

/// The ends of connections that a value of a variable names: those of its URLs, else the value itself
/// as `host:port`, or as a list of them. A part that may be a password is not looked at.
#[must_use]
pub(super) fn of_value(value: &str) -> Vec<Endpoint> {
    /// A value that is longer is a document and no address.
    const LONGEST: usize = 4_000;
    if value.len() > LONGEST {
        return Vec::new();
    }
    if value.contains("://") {
        let urls = FORMS_READ.get(FORMS.len());
        let found = urls.into_iter().flat_map(|url| url.captures_iter(value));
        return found
            .map(|captures| of_captures(&captures))
            .filter(|endpoint| !endpoint.is_empty())
            .collect();
    }
    // `host=db port=5432 …`, as libpq has it.
    let words: Vec<(&str, &str)> = value
        .split_whitespace()
        .filter_map(|word| word.split_once('='))
        .collect();
    let of = |key: &str| words.iter().find(|(name, _)| *name == key);
    if let Some((_, host)) = of("host")
        && is_host(host)
    {
        return vec![Endpoint {
            host: Some(host.to_ascii_lowercase()),
            address: None,
            port: of("port").and_then(|(_, port)| port.parse().ok()),
        }];
    }
    let parts = value.split(',').map(str::trim);
    parts.filter_map(of_pair).collect()
}

/// `db` or `db:5432`.
fn of_pair(text: &str) -> Option<Endpoint> {
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port.parse().ok()?)),
        None => (text, None),
    };
    is_host(host).then(|| Endpoint {
        host: Some(host.to_ascii_lowercase()),
        address: None,
        port,
    })
}

/// A text without the part of its URLs that may be a password.
#[must_use]
pub(super) fn without_passwords(text: &str) -> String {
    match LOGIN_READ.as_ref() {
        Some(login) => login.replace_all(text, "://***@").into_owned(),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_one() {
        assert_eq!(FORMS_READ.len(), FORMS.len() + 2);
        assert!(LOGIN_READ.is_some());
    }

    #[test]
    fn values_of_variables_are_read_without_their_passwords() {
        let told = |value: &str| {
            let found = of_value(value).into_iter().map(|endpoint| {
                let port = endpoint
                    .port
                    .map_or("-".to_owned(), |port| port.to_string());
                format!("{} {port}", endpoint.host.unwrap_or_default())
            });
            found.collect::<Vec<_>>().join(", ")
        };
        for (value, expected) in [
            (
                "postgres://postgres:secret@taskflow-db:5432/taskflow",
                "taskflow-db 5432",
            ),
            ("postgres://u:p@ss@db:5432/x", "db 5432"),
            ("jdbc:postgresql://db:5432/app?user=a", "db 5432"),
            ("mysql+pymysql://u:p@db/app", "db -"),
            ("mongodb://a:1,b:2/x", "a 1"),
            ("redis://[::1]:6379/0", "::1 6379"),
            ("amqp://guest:guest@queue", "queue -"),
            ("host=db port=5433 password=x", "db 5433"),
            ("Kafka-1:9092, kafka-2:9092", "kafka-1 9092, kafka-2 9092"),
            ("db", "db -"),
            ("s3cr3t!", ""),
            ("a:b", ""),
            ("", ""),
        ] {
            assert_eq!(told(value), expected, "{value}");
        }
        assert_eq!(told(&"x".repeat(100_000)), "");
    }

    #[test]
    fn what_may_be_a_password_is_not_shown() {
        let line = "cannot connect to postgres://u:p@ss@db:5432/x and amqp://g:h@q";
        assert_eq!(
            without_passwords(line),
            "cannot connect to postgres://***@db:5432/x and amqp://***@q"
        );
    }
}

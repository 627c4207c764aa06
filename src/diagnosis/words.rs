//! What the output of a program says about its connections: names that did not resolve, connections
//! that were refused or not answered, logins that were denied.
//!
//! The output is anybody's, so all of this is bounded: the lines that are looked at, how much of each,
//! how many clues come of them. What is found is a clue and no more; whether it is true is asked
//! elsewhere.

use super::endpoint::{self, Endpoint};

/// Lines that are looked at, from the end.
pub const LINES: usize = 3_000;

/// Bytes of a line that are looked at.
pub const LINE_BYTES: usize = 2_000;

/// Clues at most: the first and the last of very many say enough.
const CLUES: usize = 40;

/// How many lines around one without an address are looked at for one.
const AROUND: usize = 12;

/// Characters shown of a line.
const SHOWN: usize = 200;

/// How a connection has failed, as a program tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// A name has no address.
    Unresolved,
    /// A connection was refused.
    Refused,
    /// Nobody answered.
    Silent,
    /// There is no way to the address.
    Unreachable,
    /// The server did not let it in.
    Denied(Denial),
    /// The server said that it is still starting.
    StartingUp,
    /// A port that it wanted to listen on is taken.
    PortTaken,
}

/// Who did not let a client in, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Denial {
    /// Which server.
    pub server: Server,
    /// The server's own code for it.
    pub code: &'static str,
    /// What was wrong.
    pub what: Wrong,
}

/// A kind of server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Server {
    /// PostgreSQL.
    Postgres,
    /// MySQL or MariaDB.
    Mysql,
    /// Redis.
    Redis,
    /// RabbitMQ and whoever else speaks AMQP.
    Amqp,
    /// MongoDB.
    Mongo,
}

impl Server {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Postgres => "PostgreSQL",
            Self::Mysql => "MySQL",
            Self::Redis => "Redis",
            Self::Amqp => "AMQP",
            Self::Mongo => "MongoDB",
        }
    }

    /// The port that it has unless somebody says otherwise.
    #[must_use]
    pub const fn port(self) -> u16 {
        match self {
            Self::Postgres => 5432,
            Self::Mysql => 3306,
            Self::Redis => 6379,
            Self::Amqp => 5672,
            Self::Mongo => 27017,
        }
    }
}

/// What a server did not accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wrong {
    /// User or password.
    Login,
    /// A password was wanted, and none was given.
    NoPassword,
    /// The database, or what stands for it.
    Database,
    /// From where the client comes.
    Host,
}

/// One thing that a program has said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clue {
    /// What.
    pub trouble: Trouble,
    /// About which other end, as far as it was said.
    pub endpoint: Endpoint,
    /// In these words: harmless, short, without the part of an address that may be a password.
    pub line: String,
}

/// The clues of an output, each once, in their order.
#[must_use]
pub fn clues<'line>(output: impl IntoIterator<Item = &'line str>) -> Vec<Clue> {
    let lines: Vec<&str> = output.into_iter().map(cut).collect();
    let first = lines.len().saturating_sub(LINES);
    let lines = &lines[first..];
    let mut clues: Vec<Clue> = Vec::new();
    for (place, line) in lines.iter().enumerate() {
        let Some(trouble) = trouble(line) else {
            continue;
        };
        let mut endpoint = endpoint::of_line(line);
        if endpoint.is_empty() {
            endpoint = around(lines, place);
        }
        if trouble == Trouble::Silent
            && endpoint.is_empty()
            && !line.to_ascii_lowercase().contains("connect")
        {
            continue;
        }
        let clue = Clue {
            trouble,
            endpoint,
            line: shown(line),
        };
        let is_known = |one: &Clue| one.trouble == clue.trouble && one.endpoint == clue.endpoint;
        if clues.iter().any(is_known) {
            continue;
        }
        if clues.len() == CLUES {
            // The later ones are nearer to the end, and so to what it ended by.
            clues.remove(CLUES / 2);
        }
        clues.push(clue);
    }
    clues
}

/// The nearest address in the lines around one that has none: some programs tell it in a line of its
/// own, such as that of a stack trace.
fn around(lines: &[&str], place: usize) -> Endpoint {
    let before = lines[..place].iter().rev().take(AROUND);
    let after = lines[place + 1..].iter().take(AROUND / 4);
    let mut endpoints = before.chain(after).map(|line| endpoint::of_line(line));
    endpoints
        .find(|endpoint| !endpoint.is_empty())
        .unwrap_or_default()
}

/// The beginning of a line, at a border of characters.
fn cut(line: &str) -> &str {
    let mut end = line.len().min(LINE_BYTES);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    &line[..end]
}

/// A line as it may be shown.
pub(super) fn shown(line: &str) -> String {
    let plain = line
        .chars()
        .filter(|letter| !letter.is_control())
        .take(4 * SHOWN);
    let plain = endpoint::without_passwords(plain.collect::<String>().trim());
    if plain.chars().count() <= SHOWN {
        return plain;
    }
    let short: String = plain.chars().take(SHOWN).collect();
    format!("{short}…")
}

/// Words that say in which way a connection has failed, in lower case.
const UNRESOLVED: [&str; 25] = [
    "name or service not known",
    "could not translate host name",
    "could not resolve",
    "couldn't resolve",
    "temporary failure in name resolution",
    "temporary failure resolving",
    "no such host",
    "unknownhostexception",
    "enotfound",
    "eai_again",
    "nodename nor servname",
    "unable to resolve",
    "failed to resolve",
    "bad address '",
    "bad hostname",
    "unknown mysql server host",
    "unknown server host",
    "forward host lookup failed",
    "unknown host",
    "no address associated with",
    "failed to lookup address",
    "host not found",
    "getaddrinfo failed",
    "name does not resolve",
    "server misbehaving",
];
const REFUSED: [&str; 6] = [
    "connection refused",
    "econnrefused",
    "connectionrefused",
    "actively refused",
    "couldn't connect to server",
    "errno 111",
];
const NO_SUCH_SOURCE: [&str; 3] = [
    "cannot assign requested address",
    "can't assign requested address",
    "eaddrnotavail",
];
const SILENT: [&str; 10] = [
    "timed out",
    "timedout",
    "etimedout",
    "i/o timeout",
    "timeout expired",
    "connect timeout",
    "connection timeout",
    "timeout was reached",
    "errno 110",
    "connecttimeout",
];
const UNREACHABLE: [&str; 8] = [
    "no route to host",
    "ehostunreach",
    "network is unreachable",
    "network unreachable",
    "enetunreach",
    "host is unreachable",
    "host unreachable",
    "noroutetohost",
];
const TAKEN: [&str; 4] = [
    "address already in use",
    "eaddrinuse",
    "port is already allocated",
    "address in use",
];
const STARTING: [&str; 3] = [
    "the database system is starting up",
    "57p03",
    "redis is loading the dataset",
];

/// Words of servers that do not let a client in: all of them have to be there.
const DENIALS: [(&[&str], Server, &str, Wrong); 24] = {
    use Server::{Amqp, Mongo, Mysql, Postgres, Redis};
    use Wrong::{Database, Host, Login, NoPassword};
    [
        (
            &["password authentication failed for user"],
            Postgres,
            "28P01",
            Login,
        ),
        (&["28p01"], Postgres, "28P01", Login),
        (&["no password supplied"], Postgres, "28P01", NoPassword),
        (
            &["no password was provided", "password-based auth"],
            Postgres,
            "28P01",
            NoPassword,
        ),
        (&["no pg_hba.conf entry"], Postgres, "28000", Host),
        (
            &["role \"", "\" does not exist", "fatal"],
            Postgres,
            "28000",
            Login,
        ),
        (
            &["database \"", "\" does not exist"],
            Postgres,
            "3D000",
            Database,
        ),
        (&["sqlstate", "28000"], Postgres, "28000", Login),
        (&["3d000"], Postgres, "3D000", Database),
        (
            &["access denied for user", "to database"],
            Mysql,
            "1044",
            Database,
        ),
        (
            &["access denied for user", "using password: no"],
            Mysql,
            "1045",
            NoPassword,
        ),
        (&["access denied for user"], Mysql, "1045", Login),
        (&["unknown database"], Mysql, "1049", Database),
        (&["is not allowed to connect to this"], Mysql, "1130", Host),
        (&["wrongpass"], Redis, "WRONGPASS", Login),
        (
            &["invalid username-password pair"],
            Redis,
            "WRONGPASS",
            Login,
        ),
        (&["noauth "], Redis, "NOAUTH", NoPassword),
        (
            &["authentication required", "redis"],
            Redis,
            "NOAUTH",
            NoPassword,
        ),
        (
            &["without any password configured"],
            Redis,
            "ERR AUTH",
            Login,
        ),
        (&["access_refused"], Amqp, "ACCESS_REFUSED", Login),
        (
            &["username or password not allowed"],
            Amqp,
            "ACCESS_REFUSED",
            Login,
        ),
        (&["not_allowed - vhost"], Amqp, "NOT_ALLOWED", Database),
        (&["authentication failed", "mongo"], Mongo, "18", Login),
        (&["authenticationfailed", "mongo"], Mongo, "18", Login),
    ]
};

/// In which way a line says that a connection has failed, if it does.
fn trouble(line: &str) -> Option<Trouble> {
    let line = line.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| line.contains(word));
    let denial = DENIALS
        .iter()
        .find(|(words, ..)| words.iter().all(|word| line.contains(word)));
    if let Some((_, server, code, what)) = denial {
        return Some(Trouble::Denied(Denial {
            server: *server,
            code,
            what: *what,
        }));
    }
    // What a resolver offers of IPv6 where there is none.
    let is_without_source = has(&NO_SUCH_SOURCE) && !has(&["bind", "listen"]);
    if has(&TAKEN) {
        Some(Trouble::PortTaken)
    } else if has(&STARTING) {
        Some(Trouble::StartingUp)
    } else if has(&UNRESOLVED) {
        Some(Trouble::Unresolved)
    } else if has(&REFUSED) || is_without_source || is_mysql(&line, "(111)") || is_jdbc(&line) {
        Some(Trouble::Refused)
    } else if has(&UNREACHABLE) || is_mysql(&line, "(113)") || is_mysql(&line, "(101)") {
        Some(Trouble::Unreachable)
    } else if has(&SILENT) || is_mysql(&line, "(110)") {
        Some(Trouble::Silent)
    // MariaDB's client says no more than that it has waited for the end of its attempt.
    } else if is_mysql(&line, "(115)") || is_mysql(&line, "") {
        Some(Trouble::Refused)
    } else {
        None
    }
}

/// `Can't connect to MySQL server on 'db:3306' (111)`.
fn is_mysql(line: &str, code: &str) -> bool {
    line.contains("can't connect to") && line.contains("server on '") && line.contains(code)
}

/// `Connection to db:5432 refused.`
fn is_jdbc(line: &str) -> bool {
    line.contains("connection to ") && line.contains(" refused")
}

/// Whether a server's own output says that it runs its init scripts: its kind, and its last word about
/// them.
#[must_use]
pub fn init_scripts<'line>(
    output: impl IntoIterator<Item = &'line str>,
) -> Option<(Server, String)> {
    let mut running = None;
    for line in output {
        let line = cut(line);
        let has = |word: &str| line.contains(word);
        if has("PostgreSQL init process complete")
            || has("MySQL init process done")
            || has("MariaDB init process done")
            || has("database system is ready to accept connections") && running.is_none()
        {
            running = None;
        } else if has("docker-entrypoint-initdb.d/") {
            let server = match &running {
                Some((server, _)) => *server,
                None if has("[Entrypoint]") => Server::Mysql,
                None => Server::Postgres,
            };
            running = Some((server, shown(line)));
        } else if has("[Entrypoint]: Temporary server started")
            || has("[Entrypoint]: Starting temporary server")
            || has("[Entrypoint]: Initializing database files")
        {
            running = Some((Server::Mysql, shown(line)));
        } else if has("The files belonging to this database system will be owned by") {
            running = Some((Server::Postgres, shown(line)));
        }
    }
    running
}

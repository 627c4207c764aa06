//! A server that does not let its client in. Which login would be right is asked of the file, by
//! comparing variables of both; no value is ever told.

use super::aims::Aim;
use super::causes::Draft;
use super::topology::Node;
use super::words::{Denial, Server, Wrong};
use super::{Inquiry, remedy};
use crate::name::ServiceName;
use crate::outcome::Cause;

/// Variables by which an image of a server is told its login: for the user, the password, the
/// database.
const TOLD: [(Server, [&[&str]; 3]); 5] = [
    (
        Server::Postgres,
        [&["POSTGRES_USER"], &["POSTGRES_PASSWORD"], &["POSTGRES_DB"]],
    ),
    (
        Server::Mysql,
        [
            &["MYSQL_USER", "MARIADB_USER"],
            &[
                "MYSQL_PASSWORD",
                "MARIADB_PASSWORD",
                "MYSQL_ROOT_PASSWORD",
                "MARIADB_ROOT_PASSWORD",
            ],
            &["MYSQL_DATABASE", "MARIADB_DATABASE"],
        ],
    ),
    (
        Server::Redis,
        [&["REDIS_USERNAME"], &["REDIS_PASSWORD"], &[]],
    ),
    (
        Server::Amqp,
        [
            &["RABBITMQ_DEFAULT_USER"],
            &["RABBITMQ_DEFAULT_PASS"],
            &["RABBITMQ_DEFAULT_VHOST"],
        ],
    ),
    (
        Server::Mongo,
        [
            &["MONGO_INITDB_ROOT_USERNAME"],
            &["MONGO_INITDB_ROOT_PASSWORD"],
            &["MONGO_INITDB_DATABASE"],
        ],
    ),
];

/// The cause of a denial.
pub(super) fn cause(inquiry: &Inquiry, aim: &Aim, denial: Denial) -> Cause {
    let topology = &inquiry.topology;
    let subject = &inquiry.subject;
    let server = denial.server.name();
    let target = topology.meant(subject, &aim.host);
    let name = target.map_or(aim.host.as_str(), |target| {
        remedy::in_file(topology, target)
    });
    let service = remedy::in_file(topology, subject);
    let what = match denial.what {
        Wrong::Login => "user or password is wrong",
        Wrong::NoPassword => "it wants a password, and got none",
        Wrong::Database => "there is no such database, or it is not for this user",
        Wrong::Host => "it lets nobody in from there",
    };
    let mut draft = Draft::new(inquiry, aim, name).because(format!(
        "`{name}` was reached and has answered: the network is not the cause"
    ));
    let node = target.and_then(|target: &ServiceName| topology.node(target));
    let told = node.and_then(|node| told(node, denial));
    let ours = topology.node(subject);
    let differs = match (ours, node, told) {
        (Some(ours), Some(theirs), Some(variable)) => compared(ours, theirs, variable, aim),
        _ => None,
    };
    if let (Some((ours, false)), Some(variable)) = (&differs, told) {
        draft = draft.because(format!(
            "`{ours}` of `{service}` does not hold what `{variable}` of `{name}` says"
        ));
    }
    let cause = draft.cause(
        "Credentials",
        format!(
            "{server} in `{name}` does not let `{service}` in ({}): {what}",
            denial.code
        ),
        // It was said by the server itself.
        true,
    );
    let remedy = match (told, differs) {
        (Some(theirs), Some((ours, _))) => Some(format!(
            "let `{ours}` under `services: {service}: environment:` say what `{theirs}` under `services: {name}: environment:` does"
        )),
        (Some(theirs), None) => Some(format!(
            "let `{service}` use what `{theirs}` under `services: {name}: environment:` says"
        )),
        (None, _) => aim.variable.as_ref().map(|variable| {
            format!("see to `{variable}` under `services: {service}: environment:`")
        }),
    };
    Cause { remedy, ..cause }
}

/// The variable by which the server was told what its client got wrong.
fn told(node: &Node, denial: Denial) -> Option<&str> {
    let (_, variables) = TOLD.iter().find(|(server, _)| *server == denial.server)?;
    let [_, passwords, databases] = variables;
    let wanted = match denial.what {
        Wrong::Database => databases,
        Wrong::Login | Wrong::NoPassword | Wrong::Host => passwords,
    };
    let mut known = wanted
        .iter()
        .filter_map(|variable| node.environment.get_key_value(*variable));
    known.next().map(|(variable, _)| variable.as_str())
}

/// The variable of the client that should hold what a variable of the server says, and whether it
/// does: the one that names the server, else one that is called like it.
fn compared(ours: &Node, theirs: &Node, variable: &str, aim: &Aim) -> Option<(String, bool)> {
    let value = theirs.environment.get(variable)?;
    if let Some(own) = &aim.variable
        && let Some(text) = ours.environment.get(own)
        && text.contains("://")
    {
        return Some((own.clone(), text.contains(value.as_str())));
    }
    let is_password = variable.contains("PASS");
    let is_alike = |key: &String| {
        let key = key.to_ascii_uppercase();
        if is_password {
            key.contains("PASS")
        } else {
            ["DATABASE", "DB_NAME", "DBNAME", "_DB"]
                .iter()
                .any(|word| key.ends_with(word))
        }
    };
    let mut alike = ours.environment.iter().filter(|(key, _)| is_alike(key));
    alike.next().map(|(key, text)| (key.clone(), text == value))
}

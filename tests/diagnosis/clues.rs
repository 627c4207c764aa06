//! The words of clients, as these clients write them.

use std::time::{Duration, Instant};

use envrun::diagnosis::{Trouble, clues, init_scripts};

/// What a text says: trouble, host, port; one line a clue.
fn told(output: &str) -> String {
    let found = clues(output.lines()).into_iter().map(|clue| {
        let trouble = match clue.trouble {
            Trouble::Denied(denial) => format!("{:?} {}", denial.server, denial.code),
            other => format!("{other:?}"),
        };
        let host = clue.endpoint.host.unwrap_or_else(|| "?".to_owned());
        let port = clue
            .endpoint
            .port
            .map_or_else(String::new, |port| format!(":{port}"));
        format!("{trouble} {host}{port}")
    });
    found.collect::<Vec<_>>().join("; ")
}

#[test]
fn the_words_of_clients_are_understood() {
    for (output, expected) in [
        // libpq and what stands on it
        (
            r#"psql: error: could not translate host name "db" to address: Name or service not known"#,
            "Unresolved db",
        ),
        (
            r#"psql: error: connection to server at "db" (10.0.0.2), port 5432 failed: Connection refused"#,
            "Refused db:5432",
        ),
        (
            r#"connection to server at "10.9.8.7", port 5432 failed: No route to host"#,
            "Unreachable 10.9.8.7:5432",
        ),
        (
            r#"connection to server at "db" (10.0.0.2), port 5432 failed: timeout expired"#,
            "Silent db:5432",
        ),
        (
            r#"psql: error: connection to server at "db" (10.0.0.2), port 5432 failed: FATAL:  password authentication failed for user "app""#,
            "Postgres 28P01 db:5432",
        ),
        (
            r#"connection to server at "db" (10.0.0.2), port 5432 failed: FATAL:  database "shop" does not exist"#,
            "Postgres 3D000 db:5432",
        ),
        (
            r#"connection to server at "db" (10.0.0.2), port 5432 failed: FATAL:  role "app" does not exist"#,
            "Postgres 28000 db:5432",
        ),
        (
            r#"connection to server at "db" (10.0.0.2), port 5432 failed: fe_sendauth: no password supplied"#,
            "Postgres 28P01 db:5432",
        ),
        (
            r#"connection to server at "db" (10.0.0.2), port 5432 failed: FATAL:  the database system is starting up"#,
            "StartingUp db:5432",
        ),
        (
            "could not connect to server: Connection refused\n\tIs the server running on host \"db\" (172.18.0.2) and accepting\n\tTCP/IP connections on port 5432?",
            "Refused db",
        ),
        // MySQL and MariaDB
        (
            "ERROR 2005 (HY000): Unknown MySQL server host 'db' (-2)",
            "Unresolved db",
        ),
        (
            "ERROR 2005 (HY000): Unknown server host 'db' (-3)",
            "Unresolved db",
        ),
        (
            "ERROR 2003 (HY000): Can't connect to MySQL server on 'db:3306' (111)",
            "Refused db:3306",
        ),
        (
            "ERROR 2002 (HY000): Can't connect to server on 'db' (115)",
            "Refused db",
        ),
        (
            "ERROR 2003 (HY000): Can't connect to MySQL server on 'db' (110)",
            "Silent db",
        ),
        (
            "ERROR 1045 (28000): Access denied for user 'app'@'10.0.0.3' (using password: YES)",
            "Mysql 1045 ?",
        ),
        (
            "ERROR 1045 (28000): Access denied for user 'app'@'10.0.0.3' (using password: NO)",
            "Mysql 1045 ?",
        ),
        (
            "ERROR 1049 (42000): Unknown database 'shop'",
            "Mysql 1049 ?",
        ),
        (
            r#"pymysql.err.OperationalError: (2003, "Can't connect to MySQL server on 'db' ([Errno 111] Connection refused)")"#,
            "Refused db",
        ),
        // Redis, AMQP, MongoDB
        (
            "Could not connect to Redis at cache:6379: Name or service not known",
            "Unresolved cache:6379",
        ),
        (
            "redis.exceptions.ConnectionError: Error 111 connecting to cache:6379. Connection refused.",
            "Refused cache:6379",
        ),
        ("(error) NOAUTH Authentication required.", "Redis NOAUTH ?"),
        (
            "(error) WRONGPASS invalid username-password pair or user is disabled.",
            "Redis WRONGPASS ?",
        ),
        (
            "pika.exceptions.ProbableAuthenticationError: ConnectionClosedByBroker: (403) 'ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN.'",
            "Amqp ACCESS_REFUSED ?",
        ),
        (
            "MongoServerError: Authentication failed. (mongo)",
            "Mongo 18 ?",
        ),
        // curl, wget, netcat, bash, ping, ssh, Perl
        ("curl: (6) Could not resolve host: api", "Unresolved api"),
        (
            "curl: (7) Failed to connect to api port 8000 after 1 ms: Couldn't connect to server",
            "Refused api:8000",
        ),
        (
            "curl: (7) Failed to connect to api port 8000: Connection refused",
            "Refused api:8000",
        ),
        (
            "curl: (28) Failed to connect to 203.0.113.7 port 80 after 3001 ms: Timeout was reached",
            "Silent 203.0.113.7:80",
        ),
        (
            "wget: unable to resolve host address ‘api’",
            "Unresolved api",
        ),
        ("wget: bad address 'api:8000'", "Unresolved api:8000"),
        ("wget: bad address 'api'", "Unresolved api"),
        (
            "nc: getaddrinfo for host \"db\" port 5432: Name or service not known",
            "Unresolved db:5432",
        ),
        (
            "nc: connect to db (10.0.0.2) port 5432 (tcp) failed: Connection refused",
            "Refused db:5432",
        ),
        (
            "nc: db (10.0.0.2:5432): Connection refused",
            "Refused db:5432",
        ),
        (
            "db [10.0.0.2] 5432 (postgresql) : Connection refused",
            "Refused db:5432",
        ),
        (
            "bash: connect: Connection refused\nbash: line 1: /dev/tcp/db/5432: Connection refused",
            "Refused db:5432",
        ),
        (
            "bash: line 1: db: Name or service not known\nbash: line 1: /dev/tcp/db/5432: Invalid argument",
            "Unresolved db",
        ),
        ("ping: db: Name or service not known", "Unresolved db"),
        (
            "ssh: Could not resolve hostname db: Name or service not known",
            "Unresolved db",
        ),
        // Go, Node, Java, Python, Rust
        (
            "panic: dial tcp: lookup db on 127.0.0.11:53: no such host",
            "Unresolved db",
        ),
        (
            "2026/01/01 dial tcp 10.0.0.2:5432: connect: connection refused",
            "Refused 10.0.0.2:5432",
        ),
        (
            "dial tcp [::1]:5432: connect: connection refused",
            "Refused ::1:5432",
        ),
        (
            "dial tcp 203.0.113.7:443: i/o timeout",
            "Silent 203.0.113.7:443",
        ),
        ("Error: getaddrinfo ENOTFOUND db", "Unresolved db"),
        (
            "Error: getaddrinfo EAI_AGAIN taskflow-db",
            "Unresolved taskflow-db",
        ),
        (
            "Error: connect ECONNREFUSED 127.0.0.1:5432\n    at TCPConnectWrap.afterConnect [as oncomplete] (node:net:1555:16)",
            "Refused 127.0.0.1:5432",
        ),
        ("Error: connect ECONNREFUSED ::1:5432", "Refused ::1:5432"),
        (
            "Caused by: java.net.UnknownHostException: db",
            "Unresolved db",
        ),
        (
            "org.postgresql.util.PSQLException: Connection to db:5432 refused. Check that the hostname and port are correct",
            "Refused db:5432",
        ),
        (
            "requests.exceptions.ConnectionError: HTTPConnectionPool(host='api', port=8000): Max retries exceeded with url: /tasks (Caused by NewConnectionError('<urllib3.connection.HTTPConnection object at 0x7f>: Failed to establish a new connection: [Errno 111] Connection refused'))",
            "Refused api:8000",
        ),
        (
            "requests.exceptions.ConnectionError: HTTPConnectionPool(host='api', port=8000): Max retries exceeded with url: / (Caused by NameResolutionError(\"<urllib3.connection.HTTPConnection object at 0x7f>: Failed to resolve 'api' ([Errno -2] Name or service not known)\"))",
            "Unresolved api:8000",
        ),
        (
            "  File \"/app/x.py\", line 3, in <module>\n    socket.create_connection((\"db\", 5432))\nsocket.gaierror: [Errno -2] Name or service not known",
            "Unresolved db:5432",
        ),
        (
            "error: failed to lookup address information: Temporary failure in name resolution",
            "Unresolved ?",
        ),
        (
            "thread 'main' panicked: Connection refused (os error 111)",
            "Refused ?",
        ),
        (
            "urllib.error.URLError: <urlopen error [Errno 99] Cannot assign requested address>",
            "Refused ?",
        ),
        ("OSError: bind: Cannot assign requested address", ""),
        // Servers
        (
            "nginx: [emerg] host not found in upstream \"api:8000\" in /etc/nginx/conf.d/default.conf:3",
            "Unresolved api:8000",
        ),
        (
            "nginx: [emerg] bind() to 0.0.0.0:80 failed (98: Address already in use)",
            "PortTaken 0.0.0.0:80",
        ),
        ("OSError: [Errno 98] Address already in use", "PortTaken ?"),
        (
            "Error: listen EADDRINUSE: address already in use :::3000",
            "PortTaken ?",
        ),
        // What says nothing of the kind
        ("FAILED tests/test_api.py::test_refused - assert 1 == 2", ""),
        ("test timed out after 30s", ""),
        ("GET http://api:8000/tasks 500", ""),
        ("the request was refused by policy", ""),
    ] {
        assert_eq!(told(output), expected, "{output}");
    }
}

#[test]
fn what_is_shown_of_a_line_holds_no_password_and_nothing_harmful() {
    let clues = clues([
        "\u{1b}[31mcannot connect to postgres://app:hunter2@db:5432/x: Connection refused\u{7}",
    ]);
    let shown: Vec<&str> = clues.iter().map(|clue| clue.line.as_str()).collect();
    assert_eq!(
        shown,
        ["[31mcannot connect to postgres://***@db:5432/x: Connection refused"]
    );
    assert_eq!(clues[0].endpoint.host.as_deref(), Some("db"));
}

#[test]
fn hostile_output_is_bounded_in_number_length_and_time() {
    let begun = Instant::now();
    let long = "connection refused ".repeat(400_000);
    let names = (0..50_000).map(|number| format!("getaddrinfo ENOTFOUND host-{number}"));
    let many: Vec<String> = names.collect();
    let nasty = "\u{202e}\0\u{1b}]0;x\u{7}é".repeat(100_000);
    let brackets = format!("{}connection refused", "(\"a\", ".repeat(300));
    let lines = [long.as_str(), nasty.as_str(), brackets.as_str()];
    let found = clues(lines.into_iter().chain(many.iter().map(String::as_str)));
    assert!(found.len() <= 40, "{}", found.len());
    assert!(found.iter().all(|clue| clue.line.chars().count() <= 201));
    // The last ones are nearest to the end.
    let last = found.last().and_then(|clue| clue.endpoint.host.clone());
    assert_eq!(last.as_deref(), Some("host-49999"));
    assert!(
        begun.elapsed() < Duration::from_secs(30),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn init_scripts_are_seen_while_they_run_and_not_afterwards() {
    let postgres =
        "/usr/local/bin/docker-entrypoint.sh: running /docker-entrypoint-initdb.d/10-slow.sql";
    let done = "PostgreSQL init process complete; ready for start up.";
    assert!(init_scripts([postgres]).is_some());
    assert!(init_scripts([postgres, done]).is_none());
    let mysql = "2026-01-01 00:00:00+00:00 [Note] [Entrypoint]: Temporary server started.";
    let mysql_done = "[Note] [Entrypoint]: MySQL init process done. Ready for start up.";
    assert!(init_scripts([mysql]).is_some_and(|(server, _)| server.name() == "MySQL"));
    assert!(init_scripts([mysql, mysql_done]).is_none());
    assert!(init_scripts(["Listening on port 5432"]).is_none());
}

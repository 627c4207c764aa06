//! Who answers to a name: replicas, services with one alias, fixed addresses, links and hosts of the
//! file, each asked from inside of a container by a real client of a real server.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use crate::harness::{Finished, Project, image};

/// How many requests a client makes. With three servers at random, one in ten thousand million runs
/// would see one of them left out.
const REQUESTS: usize = 60;

/// A server of HTTP that answers each request with a word of its own, and closes the connection.
const SERVER: &str = r#"
import http.server, os, socket, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = os.environ.get("WORD", socket.gethostname()).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("", 8000), Handler).serve_forever()
"#;

/// Asks for the name anew before each request, as clients without a cache do, takes the first address
/// of the answer, and prints what each server said.
const CLIENT: &str = r#"
import socket, sys, urllib.request
name, port, requests = sys.argv[1], sys.argv[2], int(sys.argv[3])
for _ in range(requests):
    address = socket.gethostbyname_ex(name)[2][0]
    with urllib.request.urlopen(f"http://{address}:{port}/", timeout=30) as answer:
        print(answer.read().decode(), flush=True)
"#;

/// A project with a server and a client at `/work`.
fn project(compose: &str) -> Project {
    Project::new(compose)
        .having("work/server.py", SERVER)
        .having("work/client.py", CLIENT)
}

fn python(command: &str) -> String {
    format!(
        "{}
    volumes: [./work:/work:ro]
    command: {command}",
        image::python()
    )
}

fn server() -> String {
    format!(
        "{}
    expose: [\"8000\"]
    x-envrun: {{ ready: {{ http: {{ port: 8000 }} }} }}",
        python("[python3, /work/server.py]")
    )
}

fn client(of: &str) -> String {
    format!(
        "{}
    x-envrun: {{ suite: {{}} }}",
        python(&format!("[python3, /work/client.py, {of}, \"{REQUESTS}\"]"))
    )
}

/// How many answers of each server a client has had.
#[track_caller]
fn answers(finished: &Finished<'_>, client: &str) -> BTreeMap<String, usize> {
    let log = String::from_utf8(finished.log(client)).unwrap();
    let mut counts = BTreeMap::new();
    for line in log.lines() {
        *counts.entry(line.to_owned()).or_default() += 1;
    }
    assert_eq!(counts.values().sum::<usize>(), REQUESTS, "{log}");
    counts
}

#[test]
fn every_replica_gets_its_share_of_the_requests_to_its_service() {
    let project = project(&format!(
        "
services:
  web:
    {server}
    deploy: {{ replicas: 3 }}
  balancer:
    image: {nginx}
    volumes: [./balancer.conf:/etc/nginx/conf.d/default.conf:ro]
    depends_on: [web]
    x-envrun: {{ ready: {{ http: {{ port: 80 }} }} }}
  by-name:
    {by_name}
    depends_on: [web]
  in-turn:
    {in_turn}
    depends_on: [balancer]
  asking:
    {asking}
    depends_on: [balancer]
",
        server = server(),
        nginx = image::nginx(),
        by_name = client("web, \"8000\""),
        in_turn = client("balancer, \"80\""),
        asking = client("balancer, \"81\""),
    ));
    project.engine.require_image(&image::nginx());
    // A name of an upstream is asked for once, when nginx starts, and its addresses take their turns.
    // A name in a variable is asked for while it runs, and each request goes to any of the answer.
    project.file(
        "balancer.conf",
        "upstream replicas { server web:8000; }
server {
    listen 80;
    location / { proxy_pass http://replicas; }
}
server {
    listen 81;
    resolver 127.0.0.11 valid=1s ipv6=off;
    set $replicas web;
    location / { proxy_pass http://$replicas:8000; }
}
",
    );
    let finished = project.run();
    finished.assert_code(0);
    let by_name = answers(&finished, "by-name");
    assert_eq!(by_name.len(), 3, "{by_name:?}");
    let in_turn = answers(&finished, "in-turn");
    assert!(in_turn.values().eq(&[REQUESTS / 3; 3]), "{in_turn:?}");
    let asking = answers(&finished, "asking");
    assert!(in_turn.keys().eq(by_name.keys()) && asking.keys().eq(by_name.keys()));
}

#[test]
fn two_services_with_one_alias_share_the_requests_to_it() {
    let project = project(&format!(
        "
services:
  blue:
    {server}
    environment: {{ WORD: blue }}
    networks: {{ front: {{ aliases: [shop] }} }}
  green:
    {server}
    environment: {{ WORD: green }}
    networks: {{ front: {{ aliases: [shop] }}, back: {{ aliases: [store] }} }}
  both:
    {both}
    networks: [front]
    depends_on: [blue, green]
  one:
    {one}
    networks: [back]
    depends_on: [blue, green]
  # An alias is one of a network, and nobody on another one hears it.
  none:
    image: {base}
    command: [bash, -c, '! getent hosts shop && ! getent hosts blue && getent hosts store']
    networks: [back]
    depends_on: [blue, green]
    x-envrun: {{ suite: {{}} }}
networks: {{ front: {{}}, back: {{}} }}
",
        server = server(),
        both = client("shop, \"8000\""),
        one = client("store, \"8000\""),
        base = image::BASE,
    ));
    let finished = project.run();
    finished.assert_code(0);
    let shared = answers(&finished, "both");
    assert!(shared.keys().eq(["blue", "green"]), "{shared:?}");
    let alone = answers(&finished, "one");
    assert!(alone.keys().eq(["green"]), "{alone:?}");
}

#[test]
fn fixed_addresses_hold_on_every_network_of_a_service() {
    let random = uuid::Uuid::new_v4().as_bytes()[0];
    let project = project(&format!(
        "
services:
  middle:
    {server}
    networks:
      one: {{ ipv4_address: 10.228.{random}.10, aliases: [first] }}
      two: {{ ipv4_address: 10.229.{random}.20, aliases: [second] }}
  from-one:
    {client}
    networks: {{ one: {{ ipv4_address: 10.228.{random}.11 }} }}
    depends_on: [middle]
  from-both:
    image: {base}
    command:
      - bash
      - -c
      - 'set -ex; getent hosts first | grep \"^10.228.{random}.10 \"; getent hosts second | grep \"^10.229.{random}.20 \"; hostname -I | grep -w 10.229.{random}.99; for one in 8.{random}.10 9.{random}.20; do exec 3<>/dev/tcp/10.22$$one/8000; done'
    networks: {{ one: {{}}, two: {{ ipv4_address: 10.229.{random}.99 }} }}
    depends_on: [middle]
    x-envrun: {{ suite: {{}} }}
networks:
  one: {{ ipam: {{ config: [{{ subnet: 10.228.{random}.0/24 }}] }} }}
  two: {{ ipam: {{ config: [{{ subnet: 10.229.{random}.0/24, gateway: 10.229.{random}.254 }}] }} }}
",
        server = server(),
        client = client(&format!("10.228.{random}.10, \"8000\"")),
        base = image::BASE,
    ));
    let finished = project.run();
    finished.assert_code(0);
    assert_eq!(answers(&finished, "from-one").len(), 1);
}

#[test]
fn a_link_is_a_further_name_of_all_replicas_for_the_one_that_has_it() {
    let project = project(&format!(
        "
services:
  web:
    {server}
    scale: 2
  linked:
    {linked}
    links: ['web:shop']
  other:
    image: {base}
    command: [bash, -c, 'getent hosts web && ! getent hosts shop']
    depends_on: [web]
    x-envrun: {{ suite: {{}} }}
",
        server = server(),
        linked = client("shop, \"8000\""),
        base = image::BASE,
    ));
    let finished = project.run();
    finished.assert_code(0);
    let shared = answers(&finished, "linked");
    assert_eq!(shared.len(), 2, "{shared:?}");
}

#[test]
fn hosts_of_the_file_resolve_and_the_gateway_of_the_host_answers() {
    // The host itself answers, on all of its addresses.
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream: TcpStream = stream;
            let _ = stream.set_write_timeout(Some(Duration::from_secs(5)));
            let _ = stream.write_all(b"the host\n");
        }
    });
    let project = Project::new(&format!(
        "
services:
  checks:
    image: {base}
    command:
      - bash
      - -c
      - 'set -e; getent hosts elsewhere; getent ahostsv4 twice | cut -d\" \" -f1 | sort -u; exec 3<>/dev/tcp/host.docker.internal/{port}; cat <&3'
    extra_hosts: [\"elsewhere:192.0.2.7\", \"twice=192.0.2.8\", \"twice=192.0.2.9\", \"host.docker.internal:host-gateway\"]
    networks: [one, two]
    x-envrun: {{ suite: {{}} }}
networks: {{ one: {{}}, two: {{}} }}
",
        base = image::BASE,
    ));
    let finished = project.run();
    finished.assert_code(0);
    let said = String::from_utf8(finished.log("checks")).unwrap();
    let lines: Vec<&str> = said.lines().collect();
    let [elsewhere, first, second, answer] = lines.as_slice() else {
        panic!("{said}");
    };
    assert!(elsewhere.starts_with("192.0.2.7 ") && elsewhere.ends_with("elsewhere"));
    assert_eq!([*first, *second], ["192.0.2.8", "192.0.2.9"]);
    assert_eq!(*answer, "the host");
}

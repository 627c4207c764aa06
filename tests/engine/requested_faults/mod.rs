//! Faults on request: suites and commands break a real environment, see that it is broken, and find
//! it whole again.

mod held;

use std::time::Duration;

use rustix::process::Signal;

use crate::harness::{Project, Run, image};

/// What suites need to ask, and to see what came of it. They are in Python, since that has HTTP; a
/// server that sends back what it gets is there too.
const HELPER: &str = r#"
import json, os, signal, socket, socketserver, sys, threading, time, urllib.error, urllib.request

def ask(method, path="", body=None, base=None):
    url = (base or os.environ["ENVRUN_FAULTS_URL"]) + path
    request = urllib.request.Request(url, method=method, data=body and body.encode())
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)

def begin(text, expected=201):
    status, content = ask("POST", body=text)
    assert status == expected, (text, status, content)
    return content.get("id")

def refused(text, expected, word):
    status, content = ask("POST", body=text)
    assert status == expected and word in content["error"], (text, status, content)

def undo(fault):
    status, content = ask("DELETE", "/faults/" + fault)
    assert status == 200, (status, content)

def whole():
    status, content = ask("GET")
    assert (status, content) == (200, {"faults": []}), (status, content)

def connected(host="api", limit=20):
    connection = socket.create_connection((host, 7), limit)
    connection.settimeout(limit)
    return connection

def echoes(connection, limit=20):
    connection.settimeout(limit)
    try:
        connection.sendall(b"x")
        return connection.recv(1) == b"x"
    except OSError:
        return False

def serves(host="api", limit=20):
    try:
        with connected(host, limit) as connection:
            return echoes(connection, limit)
    except OSError:
        return False

class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while piece := self.request.recv(100):
            self.request.sendall(piece)

class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

def serve():
    # As the first process of a container it would not end by its signal.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    Server(("", 7), Echo).serve_forever()
"#;

/// How long something is tried that is not to succeed, in seconds.
const NOT: &str = "0.7";

/// A project with an echo server `api` on two names, a bystander on another network, and a suite with
/// this body.
fn project(faults: &str, suite: &str) -> Project {
    let python = image::python();
    Project::new(&format!(
        "
services:
  api:
    {python}
    command: [python3, -c, 'from helper import *; serve()']
    working_dir: /work
    volumes: ['./work:/work:ro']
    networks: {{ back: {{ aliases: [other-name] }} }}
    x-envrun: {{ ready: {{ tcp: 7 }} }}
  bystander:
    image: {base}
    command: [sleep, infinity]
    networks: [front]
  checks:
    {python}
    command: [python3, -u, /work/checks.py]
    volumes: ['./work:/work:ro']
    networks: [back]
    depends_on: [api]
    x-envrun: {{ suite: {{ faults: {faults} }} }}
networks: {{ back: {{}}, front: {{}} }}
",
        base = image::BASE
    ))
    .having("work/helper.py", HELPER)
    .having(
        "work/checks.py",
        &format!("from helper import *\nNOT = {NOT}\n{suite}"),
    )
}

#[test]
fn packets_are_lost_and_connections_go_on_afterwards() {
    let project = project(
        "true",
        r#"
connection = connected()
assert echoes(connection)
for text in ["partition checks api", "drop api", "drop api checks percent=100", "drop checks api"]:
    fault = begin(text)
    assert not echoes(connection, NOT), text
    assert not serves(limit=NOT), text
    undo(fault)
    # What was sent meanwhile arrives, over the connection that was open all the time.
    connection.settimeout(30)
    assert connection.recv(1) == b"x", text
    assert serves(), text

# Some of a hundred: of many, some come through and some do not.
fault = begin("drop api percent=40")
came = [serves(limit=0.4) for _ in range(30)]
undo(fault)
assert any(came) and not all(came), came

# For a time: it ends by itself.
begin("partition api checks for=600ms")
assert not serves(limit=0.3)
while ask("GET")[1]["faults"]:
    time.sleep(0.05)
assert serves()

for text, status, word in [
    ("partition api bystander", 400, "share no network"),
    ("partition api ap", 400, "unknown service"),
    ("partition api api", 400, "parted from itself"),
    ("drop api percent=0", 400, "out of range"),
    ("drop api percent=101", 400, "out of range"),
    ("pause api for=0", 400, "no time at all"),
    ("disconnect api front", 400, "not on network"),
    ("connect api back", 400, "already"),
    ("connect api nowhere", 400, "no network"),
    ("kill checks", 400, "is a suite"),
]:
    refused(text, status, word)
whole()
"#,
    );
    let finished = project.run();
    finished.assert_code(0);
    let count = |kind: &str| {
        let events = finished.events.iter();
        events.filter(|event| event.kind() == kind).count()
    };
    assert_eq!((count("fault_begun"), count("fault_undone")), (6, 6));
    assert_eq!(count("fault_failed"), 4, "{}", finished.stderr);
    assert!(
        finished
            .stderr
            .contains("checks: fault 1, partition checks api")
    );
}

#[test]
fn services_are_frozen_killed_restarted_disconnected_and_as_before() {
    let project = project(
        "[pause, kill, restart, disconnect, connect]",
        r#"
connection = connected()
address = socket.gethostbyname("other-name")

fault = begin("pause api")
assert not serves(limit=NOT)
refused("kill api", 409, "does not go together")
undo(fault)
assert serves()
begin("pause api")
assert ask("POST", "/unpause?service=api")[0] == 200
assert serves()

fault = begin("disconnect api back")
assert not serves(address, NOT)
undo(fault)
# The same names, the same address, the same connection.
assert socket.gethostbyname("other-name") == address
assert socket.gethostbyname("api") == address
assert echoes(connection)

fault = begin("connect bystander back")
assert socket.gethostbyname("bystander")
undo(fault)
try:
    socket.gethostbyname("bystander")
    raise SystemExit("still there")
except OSError:
    pass

fault = begin("kill api")
assert not serves(limit=NOT)
refused("pause api", 409, "does not run")
undo(fault)
assert serves(limit=5)
assert ask("POST", "/kill?service=api&for=300ms")[0] == 201
assert not serves(limit=0.1)
while ask("GET")[1]["faults"]:
    time.sleep(0.05)
assert serves(limit=5)

# When that is answered, it is ready again.
begin("restart api", 200)
assert serves(limit=5)
refused("drop api", 403, "does not ask for")
whole()

# Strangers hear nothing.
base = os.environ["ENVRUN_FAULTS_URL"]
stranger = base.rsplit("/", 1)[0] + "/0"
assert ask("POST", body="kill api", base=stranger)[0] == 404
with socket.create_connection((base.split("/")[2].split(":")[0], 7070)) as noise:
    noise.sendall(b"\x16\x03\x01 hello\r\n\r\n")
    assert b" 400 " in noise.recv(100)
assert serves()
"#,
    );
    let finished = project.run();
    finished.assert_code(0);
    // Nobody has died unasked, and the log of what was started again goes on.
    assert!(
        !finished
            .events
            .iter()
            .any(|event| event.kind() == "service_died")
    );
}

#[test]
fn a_partition_from_a_real_database_stalls_queries_which_go_on_afterwards() {
    let python = image::python();
    let suite = r#"
import psycopg2
where = "host=db user=postgres password=secret dbname=postgres"
connection = psycopg2.connect(where)
cursor = connection.cursor()
fault = begin("partition checks db")
answers = []
def query():
    cursor.execute("select 42")
    answers.append(cursor.fetchone()[0])
asking = threading.Thread(target=query)
asking.start()
try:
    psycopg2.connect(where + " connect_timeout=2")
    raise SystemExit("a new connection came through")
except psycopg2.OperationalError as error:
    assert "timeout" in str(error), error
assert answers == []
undo(fault)
asking.join(30)
assert answers == [42]

# Killed in the middle of its work, and back with what it had promised.
cursor.execute("create table kept as select 7 as number")
connection.commit()
fault = begin("kill db for=200ms")
while ask("GET")[1]["faults"]:
    time.sleep(0.05)
cursor = psycopg2.connect(where).cursor()
cursor.execute("select number from kept")
assert cursor.fetchone() == (7,)
"#;
    let project = Project::with_postgres(&format!(
        "
services:
  db:
    image: {postgres}
    environment: {{ POSTGRES_PASSWORD: secret }}
  checks:
    {python}
    command: [python3, -u, /work/checks.py]
    volumes: ['./work:/work:ro']
    depends_on: [db]
    x-envrun: {{ suite: {{ faults: [partition, kill] }} }}
",
        postgres = image::postgres()
    ))
    .having("work/helper.py", HELPER)
    .having("work/checks.py", &format!("from helper import *\n{suite}"));
    project.run().assert_code(0);
}

#[test]
fn what_a_crashed_suite_has_broken_is_whole_for_the_others() {
    let python = image::python();
    let project = Project::new(&format!(
        "
services:
  api:
    {python}
    command: [python3, -c, 'from helper import *; serve()']
    working_dir: /work
    volumes: ['./work:/work:ro']
    x-envrun: {{ ready: {{ tcp: 7 }} }}
  breaker:
    {python}
    command: [python3, -u, /work/breaker.py]
    volumes: ['./work:/work:ro']
    depends_on: [api]
    x-envrun: {{ suite: {{ faults: true }} }}
  witness:
    {python}
    command: [python3, -u, /work/witness.py]
    volumes: ['./work:/work:ro']
    depends_on: [api]
    x-envrun: {{ suite: {{ faults: [kill] }} }}
"
    ))
    .having("work/helper.py", HELPER)
    .having(
        "work/breaker.py",
        "from helper import *
while True:
    try:
        connected('witness').close()
        break
    except OSError:
        time.sleep(0.05)
begin('partition api witness')
begin('drop api percent=50')
begin('pause api')
connected('witness').sendall(b'broken')
os.abort()
",
    )
    .having(
        "work/witness.py",
        "from helper import *
listener = socket.create_server(('', 7))
listener.accept()[0].close()
heard, _ = listener.accept()
assert heard.recv(10) == b'broken'
# It was broken, and nobody but the end of the other suite makes it whole.
while ask('GET')[1]['faults']:
    time.sleep(0.05)
assert serves()
# Of others it may undo nothing.
assert ask('DELETE', '/faults/1')[0] == 404
",
    );
    let finished = project.run();
    finished.assert_code(1);
    assert_eq!(finished.first("suite_finished").1.text("suite"), "breaker");
    let passed = |event: &crate::harness::events::Event| {
        event.is("suite_finished", "witness") && event.text("result") == "passed"
    };
    assert!(finished.events.iter().any(passed), "{}", finished.stderr);
    let undone = finished.events.iter();
    let undone = undone
        .filter(|event| event.kind() == "fault_undone")
        .count();
    assert_eq!(undone, 3);
}

/// A run in which a service is frozen, a network is parted and another service is dead.
fn broken() -> Project {
    project(
        "true",
        "
begin('kill bystander')
begin('partition api checks')
begin('pause api')
signal.pause()
",
    )
}

fn until_frozen(run: &mut Run<'_>) {
    run.event("the last fault", |event| {
        event.kind() == "fault_begun" && event.text("what") == "pause api"
    });
}

#[test]
fn killed_in_the_middle_of_faults_nothing_is_left() {
    let project = broken();
    let mut run = project.start();
    until_frozen(&mut run);
    run.signal(Signal::KILL);
    run.until_nothing_is_left(Duration::from_secs(60));
}

#[test]
fn ended_in_the_middle_of_faults_it_tears_down_in_time() {
    let project = broken();
    let mut run = project.start();
    until_frozen(&mut run);
    run.signal(Signal::TERM);
    let finished = run.finish();
    finished.assert_code(143);
    let (_, torn_down) = finished.first("teardown_finished");
    let took = torn_down.0.pointer("/report/duration_ms");
    let took = took.and_then(serde_json::Value::as_u64).unwrap();
    assert!(took < 20_000, "{took}");
}

#[test]
fn what_the_kernel_cannot_do_is_an_error_before_anything_starts() {
    let project = project(
        "[latency, partition]",
        "
begun = time.monotonic()
connection = connected()
fault = begin('latency api delay=300ms')
begun = time.monotonic()
assert echoes(connection)
assert time.monotonic() - begun > 0.29
undo(fault)
",
    );
    let finished = project.run();
    // A kernel with `netem` does it.
    if finished.code == 0 {
        return;
    }
    finished.assert_code(4);
    let (_, aborted) = finished.first("run_aborted");
    let message = aborted.at("/failure/message");
    assert!(message.contains("`latency` (suite `checks`)"), "{message}");
    assert!(aborted.at("/failure/hint").contains("`sch_netem`"));
    let started = |event: &crate::harness::events::Event| {
        matches!(event.kind(), "service_started" | "suite_started")
    };
    assert!(!finished.events.iter().any(started));
}

#[test]
fn where_it_is_asked_for_only_then_it_is_refused_only_then() {
    let project = project(
        "true",
        "
status, content = ask('POST', body='latency api delay=10ms')
assert status in (201, 501), (status, content)
if status == 501:
    assert 'sch_netem' in content['error'], content
    whole()
assert serves()
",
    );
    project.run().assert_code(0);
}

/// Asks by nothing but bash, as whoever has no other program.
const BY_BASH: &str = r#"
set -eu
place=${ENVRUN_FAULTS_URL#http://}
: < /dev/tcp/api/7
exec 3<> /dev/tcp/${place%%:*}/7070
printf 'POST /%s/partition?a=api&b=checks HTTP/1.1\r\n\r\n' "${place#*/}" >&3
read -r status <&3
case $status in *' 201 '*) ;; *) echo "$status"; exit 1 ;; esac
if timeout 1 bash -c ': < /dev/tcp/api/7'; then exit 1; fi
"#;

#[test]
fn strangers_may_break_what_is_theirs() {
    let project = Project::new(&format!(
        "
services:
  api:
    image: {base}
    command: [perl, -MIO::Socket::INET, -e, '$$s = IO::Socket::INET->new(LocalPort => 7, Listen => 9); 1 while $$s->accept']
    x-envrun: {{ ready: {{ tcp: 7 }} }}
  checks:
    image: {base}
    command: [bash, /work/checks.sh]
    volumes: ['./work:/work:ro']
    depends_on: [api]
    x-envrun: {{ suite: {{ faults: [partition] }} }}
",
        base = image::BASE
    ))
    .having("work/checks.sh", BY_BASH);
    project.run_with(&["--untrusted"]).assert_code(0);
}

#[test]
fn a_suite_that_could_not_be_heard_is_an_error() {
    let project = Project::new(&format!(
        "
services:
  checks:
    image: {}
    command: ['true']
    network_mode: none
    x-envrun: {{ suite: {{ faults: true }} }}
",
        image::BASE
    ));
    let finished = project.run();
    finished.assert_code(2);
    assert!(
        finished.stderr.contains("is on no network of the file"),
        "{}",
        finished.stderr
    );
}

//! The text form, and whom a fault meets.

use std::time::Duration;

use proptest::prelude::*;

use super::scene::{Member, targets};
use super::{Fault, Kind, Order, Request};
use crate::name::{ContainerId, ServiceName};

fn request(text: &str) -> Request {
    match Order::parse_text(text) {
        Ok(Order::Begin(request)) => request,
        other => panic!("{text}: {other:?}"),
    }
}

fn problem(text: &str) -> String {
    match Order::parse_text(text) {
        Err(error) => error.to_string().replace("\nhint: ", " | "),
        Ok(order) => panic!("{text}: {order:?}"),
    }
}

#[test]
fn names_in_their_order_and_by_name_say_the_same() {
    for (short, long) in [
        ("partition api db for=5s", "partition b=db a=api for=5000ms"),
        ("drop api", "drop a=api percent=100"),
        ("drop api db percent=30%", "drop a=api percent=30 b=db"),
        ("disconnect api back", "disconnect network=back service=api"),
        (
            "latency api delay=0.1s",
            "latency service=api delay=100ms jitter=0",
        ),
    ] {
        assert_eq!(request(short), request(long));
    }
    assert_eq!(
        Order::parse_text("unpause db"),
        Ok(Order::Unpause("db".to_owned()))
    );
}

#[test]
fn what_is_wrong_is_said_with_how_it_is_right() {
    let said: Vec<String> = [
        "",
        "partiton a b",
        "explode a",
        "kill",
        "kill a b",
        "kill a for=0",
        "kill a for=5",
        "kill a for=",
        "kill a for=1s for=2s",
        "kill a until=5s",
        "restart a for=1s",
        "connect a",
        "partition a",
        "partition a a",
        "drop a percent=0",
        "drop a percent=101",
        "drop a percent=+5",
        "drop a percent=1.5",
        "drop a a",
        "latency a",
        "latency a delay=0",
        "latency a delay=1h",
        "latency a delay=1ms jitter=2ms",
        "unpause",
        "unpause a for=1s",
    ]
    .iter()
    .map(|text| format!("{text:32} {}", problem(text)))
    .collect();
    insta::assert_snapshot!(said.join("\n"));
}

fn members() -> Vec<Member> {
    let member = |name: &str, of: &str, running, is_suite| Member {
        name: ServiceName::new(name),
        known_as: ServiceName::new(name),
        of: ServiceName::new(of),
        container: Some(ContainerId::new(format!("id-{name}"))),
        running,
        is_suite,
    };
    vec![
        member("api", "api", true, false),
        member("web-1", "web", true, false),
        member("web-2", "web", true, false),
        member("migrate", "migrate", false, false),
        member("e2e", "e2e", true, true),
    ]
}

fn met(text: &str) -> String {
    match targets(&request(text).fault, &members()) {
        Ok(targets) => {
            let names = |side: &[super::scene::Target]| {
                let names: Vec<_> = side.iter().map(|one| one.name.as_str()).collect();
                names.join("+")
            };
            format!("{} / {}", names(&targets.a), names(&targets.b))
        }
        Err(error) => error.to_string().replace("\nhint: ", " | "),
    }
}

#[test]
fn a_service_is_all_of_its_replicas_and_a_replica_is_one() {
    let said: Vec<String> = [
        "kill web",
        "kill web-2",
        "partition web api",
        "partition web web-1",
        "partition e2e api",
        "pause e2e",
        "kill ap",
        "kill database",
        "kill migrate",
    ]
    .iter()
    .map(|text| format!("{text:20} {}", met(text)))
    .collect();
    insta::assert_snapshot!(said.join("\n"));
}

fn requests() -> impl Strategy<Value = Request> {
    let name = "[a-z][a-z0-9_.-]{0,12}";
    let time = proptest::option::of(1_u64..10_000_000_000_000);
    let nanoseconds = 1_u64..60_000_000_000;
    (
        0..Kind::ALL.len(),
        (name, name),
        any::<bool>(),
        1_u8..=100,
        (nanoseconds, 0.0..1.0_f64),
        time,
    )
        .prop_map(|(kind, (a, b), both, percent, (delay, part), time)| {
            let b = if a == b { format!("{b}x") } else { b };
            let service = a.clone();
            let delay = Duration::from_nanos(delay);
            let fault = match Kind::ALL[kind] {
                Kind::Disconnect => Fault::Disconnect {
                    service,
                    network: both.then_some(b),
                },
                Kind::Connect => Fault::Connect {
                    service,
                    network: b,
                },
                Kind::Pause => Fault::Pause { service },
                Kind::Kill => Fault::Kill { service },
                Kind::Restart => Fault::Restart { service },
                Kind::Partition => Fault::Partition { a, b },
                Kind::Drop => Fault::Drop {
                    a,
                    b: both.then_some(b),
                    percent,
                },
                Kind::Latency => Fault::Latency {
                    service,
                    delay,
                    jitter: delay.mul_f64(part),
                },
            };
            let time = time.filter(|_| fault.kind() != Kind::Restart);
            Request {
                fault,
                time: time.map(Duration::from_nanos),
            }
        })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(request in requests()) {
        let text = request.to_string();
        prop_assert_eq!(Order::parse_text(&text), Ok(Order::Begin(request)), "{}", text);
    }

    #[test]
    fn nothing_that_is_written_makes_it_panic(words in proptest::collection::vec(".{0,20}|(kill|drop|latency|for=|percent=|delay=)[0-9a-zµ%.]{0,6}", 0..6)) {
        let _ = Order::parse(words.iter().map(String::as_str));
    }
}

//! Packets that are lost: tables of nftables (`linux/netfilter/nf_tables.h`), one for each fault. A
//! table of ours goes as a whole, and no other is touched.

use std::io;
use std::net::IpAddr;

use crate::netlink::{ACKNOWLEDGE, APPEND, Attributes, Batch, CREATE, Socket};

/// The part of the kernel that filters packets.
const NETFILTER: i32 = 12;

/// The subsystem of tables, and its messages.
const TABLES: u16 = 10;
const NEW_TABLE: u16 = TABLES << 8;
const DELETE_TABLE: u16 = TABLES << 8 | 2;
const NEW_CHAIN: u16 = TABLES << 8 | 3;
const NEW_RULE: u16 = TABLES << 8 | 6;
const BEGIN: u16 = 16;
const END: u16 = 17;

/// The family of both versions of the protocol.
const INET: u8 = 1;

/// Families as packets are asked for them.
const IPV4: u8 = 2;
const IPV6: u8 = 10;

/// Hooks: what comes in for a process here, and what one here sends.
const INPUT: u32 = 1;
const OUTPUT: u32 = 3;

/// Keys of what is known of a packet.
const INPUT_INTERFACE_TYPE: u32 = 8;
const OUTPUT_INTERFACE_TYPE: u32 = 9;
const FAMILY: u32 = 15;
const RANDOM: u32 = 24;

/// The type of the loopback interface (`linux/if_arp.h`).
const LOOPBACK: u16 = 772;

/// Comparisons.
const EQUAL: u32 = 0;
const UNEQUAL: u32 = 1;
const LESS: u32 = 2;

/// The register that rules work in, and that of the verdict.
const REGISTER: u32 = 1;
const VERDICT: u32 = 0;
const DROP: u32 = 0;

/// Loses so many of a hundred packets: those that come in from these addresses, or without any, all
/// that come in and go out over a network. Takes the place of a table of the same name.
pub(crate) fn lose(table: &str, percent: u8, from: &[IpAddr]) -> io::Result<()> {
    Socket::open(NETFILTER)?.ask(&losing(table, percent, from))
}

/// Takes a table away; one that is not there counts as taken.
pub(crate) fn lose_no_more(table: &str) -> io::Result<()> {
    let mut transaction = Transaction::begin(table);
    transaction.add(DELETE_TABLE, 0, named(table));
    match Socket::open(NETFILTER)?.ask(&transaction.end()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        asked => asked,
    }
}

/// All of it is one transaction, so nobody sees a part.
fn losing(table: &str, percent: u8, from: &[IpAddr]) -> Batch {
    let mut transaction = Transaction::begin(table);
    // To have it is no error, and then it goes with what it had.
    transaction.add(NEW_TABLE, CREATE, named(table));
    transaction.add(DELETE_TABLE, 0, named(table));
    transaction.add(NEW_TABLE, CREATE, named(table));
    transaction.chain("input", INPUT);
    if from.is_empty() {
        transaction.chain("output", OUTPUT);
        for (chain, key) in [
            ("input", INPUT_INTERFACE_TYPE),
            ("output", OUTPUT_INTERFACE_TYPE),
        ] {
            let mut rule = Rule::default();
            rule.asks(key);
            rule.compares(UNEQUAL, &LOOPBACK.to_ne_bytes());
            transaction.rule(chain, rule.drops(percent));
        }
    }
    for address in from {
        let (family, offset, bytes) = match address {
            IpAddr::V4(address) => (IPV4, 12, address.octets().to_vec()),
            IpAddr::V6(address) => (IPV6, 8, address.octets().to_vec()),
        };
        let mut rule = Rule::default();
        rule.asks(FAMILY);
        rule.compares(EQUAL, &[family]);
        rule.reads(offset, u32::from(u8::try_from(bytes.len()).unwrap_or(16)));
        rule.compares(EQUAL, &bytes);
        transaction.rule("input", rule.drops(percent));
    }
    transaction.end()
}

fn named(table: &str) -> Attributes {
    Attributes::default().text(1, table)
}

/// Messages that take effect together or not at all.
struct Transaction<'a> {
    table: &'a str,
    batch: Batch,
}

impl<'a> Transaction<'a> {
    fn begin(table: &'a str) -> Self {
        let mut batch = Batch::default();
        batch.message((BEGIN, 0), &bound(0), &Attributes::default());
        Self { table, batch }
    }

    fn add(&mut self, kind: u16, flags: u16, attributes: Attributes) {
        self.batch
            .message((kind, flags | ACKNOWLEDGE), &[INET, 0, 0, 0], &attributes);
    }

    fn chain(&mut self, name: &str, hook: u32) {
        let hook = Attributes::default().number(1, hook).number(2, 0);
        let attributes = Attributes::default()
            .text(1, self.table)
            .text(3, name)
            .nested(4, hook)
            .text(7, "filter");
        self.add(NEW_CHAIN, CREATE, attributes);
    }

    fn rule(&mut self, chain: &str, expressions: Attributes) {
        let attributes = Attributes::default()
            .text(1, self.table)
            .text(2, chain)
            .nested(4, expressions);
        self.add(NEW_RULE, CREATE | APPEND, attributes);
    }

    fn end(mut self) -> Batch {
        self.batch
            .message((END, 0), &bound(0), &Attributes::default());
        self.batch
    }
}

/// What the first and the last message of a transaction begin with: they name the subsystem.
fn bound(family: u8) -> [u8; 4] {
    let [high, low] = TABLES.to_be_bytes();
    [family, 0, high, low]
}

/// The expressions of a rule. The rule ends where a comparison fails.
#[derive(Default)]
struct Rule(Attributes);

impl Rule {
    fn expression(&mut self, name: &str, content: Attributes) {
        let element = Attributes::default().text(1, name).nested(2, content);
        self.0 = std::mem::take(&mut self.0).nested(1, element);
    }

    /// Asks for something that is known of the packet.
    fn asks(&mut self, key: u32) {
        let content = Attributes::default().number(1, REGISTER).number(2, key);
        self.expression("meta", content);
    }

    /// Reads bytes of the header of its network.
    fn reads(&mut self, offset: u32, length: u32) {
        let content = Attributes::default()
            .number(1, REGISTER)
            .number(2, 1)
            .number(3, offset)
            .number(4, length);
        self.expression("payload", content);
    }

    fn compares(&mut self, how: u32, with: &[u8]) {
        let value = Attributes::default().with(1, with);
        let content = Attributes::default()
            .number(1, REGISTER)
            .number(2, how)
            .nested(3, value);
        self.expression("cmp", content);
    }

    /// The end of a rule: so many of a hundred are dropped.
    fn drops(mut self, percent: u8) -> Attributes {
        if percent < 100 {
            self.asks(RANDOM);
            // Comparisons go by the first byte first.
            let swap = Attributes::default()
                .number(1, REGISTER)
                .number(2, REGISTER)
                .number(3, 1)
                .number(4, 4)
                .number(5, 4);
            self.expression("byteorder", swap);
            let threshold = (u64::from(percent) << 32) / 100;
            let threshold = u32::try_from(threshold).unwrap_or(u32::MAX);
            self.compares(LESS, &threshold.to_be_bytes());
        }
        let verdict = Attributes::default().number(1, DROP);
        let value = Attributes::default().nested(2, verdict);
        let content = Attributes::default().number(1, VERDICT).nested(2, value);
        self.expression("immediate", content);
        self.0
    }
}

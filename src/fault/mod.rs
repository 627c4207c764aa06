//! Faults on request: what can be done to the services of a run for tests of failure, and how people
//! say it. One text form serves the command line, the interface of suites and what is noted on the
//! engine: `partition api db for=5s`.
//!
//! Pure. Whom a fault meets is decided by [`scene`], what it does by `run`.

pub mod kind;
pub mod scene;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

pub use self::kind::{Kind, Need};
use crate::config::duration;
use crate::config::suggest::nearest;

/// The longest delay of packets. Nothing waits longer for an answer, and queues are finite.
const LONGEST_DELAY: Duration = Duration::from_secs(60);

/// A fault that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Take a service from a network, or from all of its networks.
    Disconnect {
        /// The service, or one replica of it.
        service: String,
        /// The network; `None` means all.
        network: Option<String>,
    },
    /// Put a service onto a network.
    Connect {
        /// The service, or one replica of it.
        service: String,
        /// The network.
        network: String,
    },
    /// Freeze a service.
    Pause {
        /// The service, or one replica of it.
        service: String,
    },
    /// Kill a service.
    Kill {
        /// The service, or one replica of it.
        service: String,
    },
    /// Stop a service and start it again.
    Restart {
        /// The service, or one replica of it.
        service: String,
    },
    /// Lose all packets between two services.
    Partition {
        /// One.
        a: String,
        /// The other.
        b: String,
    },
    /// Lose packets of a service, or between two.
    Drop {
        /// The service, or one replica of it.
        a: String,
        /// The other one; `None` means whoever it speaks to.
        b: Option<String>,
        /// How many of a hundred, 1 to 100.
        percent: u8,
    },
    /// Hold back the packets that a service sends.
    Latency {
        /// The service, or one replica of it.
        service: String,
        /// For how long.
        delay: Duration,
        /// By how much that varies.
        jitter: Duration,
    },
}

impl Fault {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Disconnect { .. } => Kind::Disconnect,
            Self::Connect { .. } => Kind::Connect,
            Self::Pause { .. } => Kind::Pause,
            Self::Kill { .. } => Kind::Kill,
            Self::Restart { .. } => Kind::Restart,
            Self::Partition { .. } => Kind::Partition,
            Self::Drop { .. } => Kind::Drop,
            Self::Latency { .. } => Kind::Latency,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ", self.kind())?;
        match self {
            Self::Disconnect { service, network } => {
                formatter.write_str(service)?;
                match network {
                    Some(network) => write!(formatter, " {network}"),
                    None => Ok(()),
                }
            }
            Self::Connect { service, network } => write!(formatter, "{service} {network}"),
            Self::Pause { service } | Self::Kill { service } | Self::Restart { service } => {
                formatter.write_str(service)
            }
            Self::Partition { a, b } => write!(formatter, "{a} {b}"),
            Self::Drop { a, b, percent } => {
                formatter.write_str(a)?;
                if let Some(b) = b {
                    write!(formatter, " {b}")?;
                }
                write!(formatter, " percent={percent}")
            }
            Self::Latency {
                service,
                delay,
                jitter,
            } => {
                write!(formatter, "{service} delay={}", words(*delay))?;
                if jitter.is_zero() {
                    return Ok(());
                }
                write!(formatter, " jitter={}", words(*jitter))
            }
        }
    }
}

/// A duration as the text form has it.
#[must_use]
pub fn words(duration: Duration) -> String {
    let nanoseconds = duration.as_nanos();
    let units = [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us")];
    let fitting = units
        .into_iter()
        .find(|(unit, _)| nanoseconds.is_multiple_of(*unit));
    let (unit, name) = fitting.unwrap_or((1, "ns"));
    format!("{}{name}", nanoseconds / unit)
}

/// A fault, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The fault.
    pub fault: Fault,
    /// After which time it is undone; `None`: when somebody says so, at the latest with whoever asked
    /// for it.
    pub time: Option<Duration>,
}

impl fmt::Display for Request {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fault.fmt(formatter)?;
        match self.time {
            Some(time) => write!(formatter, " for={}", words(time)),
            None => Ok(()),
        }
    }
}

/// What somebody says of faults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// That one is to begin.
    Begin(Request),
    /// That a frozen service is to go on, by its name.
    Unpause(String),
}

/// What is wrong with a request: what, and how it is said right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}\nhint: {hint}")]
pub struct RequestError {
    /// What is wrong.
    pub problem: String,
    /// How it is said right.
    pub hint: String,
}

impl RequestError {
    pub(crate) fn new(problem: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            problem: problem.into(),
            hint: hint.into(),
        }
    }
}

/// What is written where a frozen service is to go on.
const UNPAUSE: &str = "unpause";

/// The word for the length of time in which a fault lasts.
const TIME: &str = "for";

/// How each kind is written.
fn usage(kind: Option<Kind>) -> &'static str {
    match kind {
        Some(Kind::Disconnect) => "disconnect SERVICE [NETWORK] [for=DURATION]",
        Some(Kind::Connect) => "connect SERVICE NETWORK [for=DURATION]",
        Some(Kind::Pause) => "pause SERVICE [for=DURATION]",
        Some(Kind::Kill) => "kill SERVICE [for=DURATION]",
        Some(Kind::Restart) => "restart SERVICE",
        Some(Kind::Partition) => "partition SERVICE SERVICE [for=DURATION]",
        Some(Kind::Drop) => "drop SERVICE [SERVICE] [percent=1..100] [for=DURATION]",
        Some(Kind::Latency) => "latency SERVICE delay=DURATION [jitter=DURATION] [for=DURATION]",
        None => "unpause SERVICE",
    }
}

/// The names of a kind's places, in the order in which they are written without a name.
fn places(kind: Option<Kind>) -> &'static [&'static str] {
    match kind {
        Some(Kind::Disconnect | Kind::Connect) => &["service", "network"],
        Some(Kind::Partition | Kind::Drop) => &["a", "b"],
        Some(Kind::Pause | Kind::Kill | Kind::Restart | Kind::Latency) | None => &["service"],
    }
}

/// The further names that a kind takes.
fn options(kind: Option<Kind>) -> &'static [&'static str] {
    match kind {
        Some(Kind::Drop) => &["percent", TIME],
        Some(Kind::Latency) => &["delay", "jitter", TIME],
        Some(Kind::Restart) | None => &[],
        Some(_) => &[TIME],
    }
}

impl Order {
    /// Reads the words of an order, the first of which says the kind. The others are names of services
    /// and networks in their order, or `NAME=VALUE`.
    ///
    /// # Errors
    /// They are no order.
    pub fn parse<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Self, RequestError> {
        let mut words = words.into_iter();
        let Some(first) = words.next() else {
            let hint = format!("{}, `{UNPAUSE}`", Kind::names());
            return Err(RequestError::new("no kind of fault is named", hint));
        };
        let kind = Kind::from_name(first);
        if kind.is_none() && first != UNPAUSE {
            let names = Kind::ALL.map(Kind::name);
            let known = names.into_iter().chain([UNPAUSE]);
            let hint = match nearest(first, known) {
                Some(name) => format!("did you mean `{name}`?"),
                None => format!("there are {}, `{UNPAUSE}`", Kind::names()),
            };
            let problem = format!("unknown kind of fault `{}`", shown(first));
            return Err(RequestError::new(problem, hint));
        }
        let mut said = Said::read(kind, words)?;
        let Some(kind) = kind else {
            return Ok(Self::Unpause(said.required("service")?));
        };
        let time = said.time()?;
        let fault = said.fault(kind)?;
        Ok(Self::Begin(Request { fault, time }))
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// It is no order.
    pub fn parse_text(text: &str) -> Result<Self, RequestError> {
        Self::parse(text.split_whitespace())
    }
}

/// What was said of one fault, by name.
struct Said<'a> {
    kind: Option<Kind>,
    values: BTreeMap<&'static str, &'a str>,
}

impl<'a> Said<'a> {
    fn read(
        kind: Option<Kind>,
        words: impl Iterator<Item = &'a str>,
    ) -> Result<Self, RequestError> {
        let mut said = Self {
            kind,
            values: BTreeMap::new(),
        };
        for word in words {
            let known = || places(kind).iter().chain(options(kind)).copied();
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => match known().find(|known| *known == name) {
                    Some(known) => (known, value),
                    None => {
                        let problem = format!("`{}` takes no `{}`", said.name(), shown(name));
                        return Err(said.wrong(problem));
                    }
                },
                None => {
                    let free = places(kind).iter().copied();
                    let mut free = free.filter(|place| !said.values.contains_key(place));
                    match free.next() {
                        Some(place) => (place, word),
                        None => {
                            let problem = format!("`{}` is one name too many", shown(word));
                            return Err(said.wrong(problem));
                        }
                    }
                }
            };
            if value.is_empty() {
                return Err(said.wrong(format!("`{name}` is empty")));
            }
            if said.values.insert(name, value).is_some() {
                return Err(said.wrong(format!("`{name}` is said twice")));
            }
        }
        Ok(said)
    }

    fn name(&self) -> &'static str {
        self.kind.map_or(UNPAUSE, Kind::name)
    }

    fn wrong(&self, problem: String) -> RequestError {
        RequestError::new(problem, format!("it is written `{}`", usage(self.kind)))
    }

    fn required(&mut self, name: &str) -> Result<String, RequestError> {
        let value = self.values.remove(name).map(str::to_owned);
        value.ok_or_else(|| {
            let what = match name {
                "a" => "service",
                "b" => "second service",
                other => other,
            };
            self.wrong(format!("`{}` names no {what}", self.name()))
        })
    }

    fn optional(&mut self, name: &str) -> Option<String> {
        self.values.remove(name).map(str::to_owned)
    }

    fn duration(&mut self, name: &str) -> Result<Option<Duration>, RequestError> {
        let Some(text) = self.values.remove(name) else {
            return Ok(None);
        };
        let parsed = duration::parse(text).map_err(|error| {
            let problem = format!("`{name}={}` is no duration: {error}", shown(text));
            RequestError::new(problem, "durations are written like `500ms`, `5s`, `1m30s`")
        });
        parsed.map(Some)
    }

    fn time(&mut self) -> Result<Option<Duration>, RequestError> {
        let time = self.duration(TIME)?;
        if time.is_some_and(|time| time.is_zero()) {
            return Err(RequestError::new(
                "a fault for no time at all is none",
                "leave out `for` to have it until it is undone",
            ));
        }
        Ok(time)
    }

    fn percent(&mut self) -> Result<u8, RequestError> {
        let Some(text) = self.values.remove("percent") else {
            return Ok(100);
        };
        let digits = text.strip_suffix('%').unwrap_or(text);
        let parsed = digits.parse::<u8>().ok();
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        parsed
            .filter(|percent| plain && (1..=100).contains(percent))
            .ok_or_else(|| {
                let problem = format!("`percent={}` is out of range", shown(text));
                RequestError::new(
                    problem,
                    "a whole number from 1 to 100; without it, all are lost",
                )
            })
    }

    fn fault(&mut self, kind: Kind) -> Result<Fault, RequestError> {
        Ok(match kind {
            Kind::Disconnect => Fault::Disconnect {
                service: self.required("service")?,
                network: self.optional("network"),
            },
            Kind::Connect => Fault::Connect {
                service: self.required("service")?,
                network: self.required("network")?,
            },
            Kind::Pause => Fault::Pause {
                service: self.required("service")?,
            },
            Kind::Kill => Fault::Kill {
                service: self.required("service")?,
            },
            Kind::Restart => Fault::Restart {
                service: self.required("service")?,
            },
            Kind::Partition => {
                let (a, b) = (self.required("a")?, self.required("b")?);
                Self::two(&a, &b)?;
                Fault::Partition { a, b }
            }
            Kind::Drop => {
                let (a, b) = (self.required("a")?, self.optional("b"));
                if let Some(b) = &b {
                    Self::two(&a, b)?;
                }
                let percent = self.percent()?;
                Fault::Drop { a, b, percent }
            }
            Kind::Latency => self.latency()?,
        })
    }

    fn latency(&mut self) -> Result<Fault, RequestError> {
        let service = self.required("service")?;
        let delay = self.duration("delay")?;
        let jitter = self.duration("jitter")?.unwrap_or_default();
        let Some(delay) = delay.filter(|delay| !delay.is_zero()) else {
            return Err(self.wrong("`latency` without a `delay` changes nothing".to_owned()));
        };
        if delay > LONGEST_DELAY || jitter > delay {
            let problem = format!("`delay={}` with `jitter={}`", words(delay), words(jitter));
            let hint = "a delay is at most `1m`, and varies by no more than itself";
            return Err(RequestError::new(problem, hint));
        }
        Ok(Fault::Latency {
            service,
            delay,
            jitter,
        })
    }

    fn two(a: &str, b: &str) -> Result<(), RequestError> {
        if a == b {
            let problem = format!("`{a}` cannot be parted from itself");
            return Err(RequestError::new(problem, "name two services"));
        }
        Ok(())
    }
}

/// What a stranger wrote, short enough for a message.
fn shown(text: &str) -> String {
    text.chars()
        .filter(|letter| !letter.is_control())
        .take(60)
        .collect()
}

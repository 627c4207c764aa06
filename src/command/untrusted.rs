//! The flags about strangers' code: whether it is that, what it sees, what it may use.

use clap::Args;

use super::complain;
use crate::config::size;
use crate::config::untrusted::{Limits, Untrusted};
use crate::exit_code::ExitCode;

/// What the flags stand under in the help.
const HEADING: &str = "Strangers' code";

/// What is said of strangers' code.
#[derive(Debug, Clone, Args)]
pub(super) struct UntrustedArguments {
    /// The project is that of somebody who may not run code on this host: refuse what reaches out of its
    /// containers or out of its directory, and limit what they use
    #[arg(long, help_heading = HEADING)]
    pub(super) untrusted: bool,
    /// With `--untrusted`: variable of the environment that the files may use; give it several times for
    /// several
    #[arg(long, value_name = "NAME", value_parser = variable, help_heading = HEADING)]
    pass_env: Vec<String>,
    /// With `--untrusted`: most memory of a container, swap included [default: 2g]
    #[arg(long, value_name = "SIZE", value_parser = memory, help_heading = HEADING, allow_hyphen_values = true)]
    limit_memory: Option<u64>,
    /// With `--untrusted`: most processors of a container [default: 2]
    #[arg(long, value_name = "NUMBER", value_parser = cpus, help_heading = HEADING, allow_hyphen_values = true)]
    limit_cpus: Option<i64>,
    /// With `--untrusted`: most processes and threads of a container [default: 512]
    #[arg(long, value_name = "NUMBER", value_parser = pids, help_heading = HEADING, allow_hyphen_values = true)]
    limit_pids: Option<i64>,
}

impl UntrustedArguments {
    /// How the code is run, when it is that of strangers; when it is not, flags that hold for it alone
    /// are an error, which has been printed when this fails.
    pub(super) fn untrusted(&self, is_on: bool) -> Result<Option<Untrusted>, ExitCode> {
        if is_on {
            return Ok(Some(Untrusted {
                limits: self.limits(),
                passed: self.pass_env.iter().cloned().collect(),
            }));
        }
        let given = [
            ("--pass-env", !self.pass_env.is_empty()),
            ("--limit-memory", self.limit_memory.is_some()),
            ("--limit-cpus", self.limit_cpus.is_some()),
            ("--limit-pids", self.limit_pids.is_some()),
        ];
        match given.iter().find(|(_, is_given)| *is_given) {
            Some((flag, _)) => {
                complain(&format!(
                    "`{flag}` holds only with `--untrusted`\nhint: add `--untrusted`, or leave `{flag}` out"
                ));
                Err(ExitCode::Usage)
            }
            None => Ok(None),
        }
    }

    fn limits(&self) -> Limits {
        let default = Limits::default();
        Limits {
            memory: self.limit_memory.unwrap_or(default.memory),
            nano_cpus: self.limit_cpus.unwrap_or(default.nano_cpus),
            pids: self.limit_pids.unwrap_or(default.pids),
        }
    }
}

/// The least that an engine takes as a limit of memory, in bytes.
const LEAST_MEMORY: u64 = 6 << 20;

/// The least that an engine takes as a limit of processors, in billionths.
const LEAST_CPUS: i64 = 10_000_000;

/// Far more processors than a host has.
const MOST_CPUS: f64 = 1e6;

fn memory(text: &str) -> Result<u64, String> {
    let bytes = size::parse(text).ok_or("write a size such as `2g` or `512m`")?;
    if bytes < LEAST_MEMORY || i64::try_from(bytes).is_err() {
        return Err("an engine takes 6m or more, and less than 8192p".to_owned());
    }
    Ok(bytes)
}

fn cpus(text: &str) -> Result<i64, String> {
    let wanted = || "write a number of processors such as `1.5`, at least 0.01".to_owned();
    let number: f64 = text.parse().map_err(|_| wanted())?;
    if !(0.0..=MOST_CPUS).contains(&number) {
        return Err(wanted());
    }
    let nano = (number * 1e9).round() as i64;
    if nano < LEAST_CPUS {
        return Err(wanted());
    }
    Ok(nano)
}

fn pids(text: &str) -> Result<i64, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err("write a number of processes such as `512`, at least 1".to_owned()),
    }
}

fn variable(text: &str) -> Result<String, String> {
    if text.is_empty() || text.contains('=') {
        return Err(
            "write the name of a variable; its value is that of the environment".to_owned(),
        );
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_as_compose_writes_them() {
        assert_eq!(memory("2g"), Ok(2 << 30));
        assert_eq!(memory("512m"), Ok(512 << 20));
        assert_eq!(cpus("1.5"), Ok(1_500_000_000));
        assert_eq!(cpus("0.01"), Ok(10_000_000));
        assert_eq!(pids("512"), Ok(512));
    }

    #[test]
    fn what_would_be_no_limit_is_none() {
        for text in [
            "",
            "0",
            "-1",
            "5m",
            "9000p",
            "99999999999999999999",
            "x",
            "-2g",
        ] {
            assert!(memory(text).is_err(), "{text}");
        }
        for text in ["", "0", "-1", "0.001", "nan", "inf", "1e99", "two"] {
            assert!(cpus(text).is_err(), "{text}");
        }
        for text in ["", "0", "-1", "1.5", "99999999999999999999"] {
            assert!(pids(text).is_err(), "{text}");
        }
        for text in ["", "A=b", "="] {
            assert!(variable(text).is_err(), "{text}");
        }
    }
}

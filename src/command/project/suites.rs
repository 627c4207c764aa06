//! Which suites of a project are run, and how.

use clap::{Args, value_parser};

use crate::ci::nodes;
use crate::command::complain;
use crate::config::model::{Project, Service, Shards};
use crate::exit_code::ExitCode;
use crate::name::Shard;
use crate::settings::Settings;

/// Which of the suites.
#[derive(Debug, Default, Args)]
pub(in crate::command) struct SuiteArguments {
    /// Run only this suite and what it needs, by its name, that of a shard or a pattern such as `api-*`; give it several
    /// times for several
    #[arg(long, value_name = "SUITE")]
    pub(super) only: Vec<String>,
    /// Leave out this suite, by its name, that of a shard or a pattern; give it several times for several
    #[arg(long, value_name = "SUITE")]
    pub(super) skip: Vec<String>,
    /// Take this part of the suites that have shards, counted from 1: `2/4` in the second of four jobs
    #[arg(long, value_name = "INDEX/TOTAL", value_parser = nodes::parse)]
    pub(super) shard: Option<Shard>,
    /// Run so many suites at once, each shard counted; 0 means any number [default: any number]
    #[arg(long, value_name = "NUMBER", value_parser = value_parser!(u32).range(..=1000))]
    pub(super) parallel: Option<u32>,
    /// End the other suites as soon as one has failed
    #[arg(long)]
    pub(super) fail_fast: bool,
    /// What a suite counts as that passes only after a retry, whatever the file says: `pass`, `fail`
    #[arg(long, value_name = "VERDICT", value_parser = Flaky::parse)]
    pub(super) flaky: Option<Flaky>,
}

/// What a suite counts as that passes only after a retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaky {
    Pass,
    Fail,
}

impl Flaky {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "pass" => Ok(Self::Pass),
            "fail" => Ok(Self::Fail),
            _ => Err("it is `pass` or `fail`".to_owned()),
        }
    }
}

impl SuiteArguments {
    /// Lets what was said here stand over what the files say. Who runs a project knows what the machine can bear.
    pub(super) fn override_in(&self, project: &mut Project, configured: &Settings) {
        let settings = &mut project.settings;
        if let Some(parallel) = self.parallel.or(configured.parallel) {
            settings.parallel = Some(parallel).filter(|parallel| *parallel > 0);
        }
        settings.fail_fast |= self.fail_fast;
        if let Some(flaky) = self.flaky {
            let suites = project.services.values_mut();
            for suite in suites.filter_map(|service| service.suite.as_mut()) {
                suite.flaky_fails = flaky == Flaky::Fail;
            }
        }
    }

    /// Which one this job is of those that the CI system runs in parallel, if a suite asks for it and nobody has said.
    pub(super) fn node(&self, project: &Project) -> Result<Option<Shard>, ExitCode> {
        let asks = |service: &Service| {
            let suite = service.suite.as_ref();
            suite.is_some_and(|suite| suite.shards == Shards::Ci)
        };
        if self.shard.is_some() || !project.services.values().any(asks) {
            return Ok(None);
        }
        nodes::node(|name| std::env::var(name).ok()).map_err(|error| {
            complain(&error.to_string());
            ExitCode::Usage
        })
    }
}

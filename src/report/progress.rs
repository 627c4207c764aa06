//! Events as a live picture: one line a service, on a terminal.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::pulls;
use super::table::seconds;
use crate::event::Event;
use crate::name::ServiceName;
use crate::outcome::SuiteResult;

/// How often the picture is redrawn while nothing happens, so that the clocks in it run.
const REDRAW: Duration = Duration::from_millis(100);

/// The live lines.
pub(super) struct Progress {
    lines: MultiProgress,
    services: BTreeMap<ServiceName, ProgressBar>,
    /// Images that are being pulled.
    pulls: BTreeMap<String, ProgressBar>,
    teardown: Option<ProgressBar>,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self {
            lines: MultiProgress::new(),
            services: BTreeMap::new(),
            pulls: BTreeMap::new(),
            teardown: None,
        }
    }

    /// Prints above the live lines.
    pub(super) fn print(&self, line: &str) {
        // A terminal that is gone is no reason to stop.
        let _ = self.lines.println(line);
    }

    /// Runs `print` while the live lines are out of the way.
    pub(super) fn apart(&self, print: impl FnOnce()) {
        self.lines.suspend(print);
    }

    pub(super) fn show(&mut self, event: &Event) {
        match event {
            Event::RunStarted { services, .. } => {
                for service in services {
                    let line = self.line(service.as_str());
                    line.set_message("waiting");
                    self.services.insert(service.clone(), line);
                }
            }
            Event::PullStarted { image, from, .. } => {
                let bar = self.bar(image);
                bar.set_message(format!("pulling {from}"));
                if let Some(old) = self.pulls.insert(image.clone(), bar) {
                    old.finish_and_clear();
                }
            }
            Event::PullProgress { image, progress } => {
                if let Some(bar) = self.pulls.get(image) {
                    // A length of nothing would be a full bar.
                    if progress.total_bytes > 0 {
                        bar.set_length(progress.total_bytes);
                    }
                    bar.set_position(progress.bytes);
                    bar.set_message(pulls::progress(progress));
                }
            }
            Event::PullFinished { image, .. } => {
                if let Some(bar) = self.pulls.remove(image) {
                    bar.finish_and_clear();
                }
            }
            Event::ServiceStarted { service, .. } => self.set(service, "started, not ready yet"),
            Event::SuiteStarted { suite, attempt: 1 } => self.set(suite, "running"),
            Event::SuiteStarted { suite, attempt } => {
                self.set(suite, format!("running, attempt {attempt}"));
            }
            Event::SuiteRetried { suite, attempt, .. } => {
                self.set(suite, format!("attempt {attempt} did not pass, once more"));
            }
            Event::ServiceReady { service, after, .. } => {
                self.finish(service, format!("ready after {}", seconds(*after)))
            }
            Event::ServiceCompleted { service, after } => {
                self.finish(service, format!("completed after {}", seconds(*after)));
            }
            Event::ServiceRestarting {
                service,
                exit,
                restart,
                ..
            } => self.set(service, format!("{exit}, restart {restart}")),
            Event::ServiceDied { service, exit } => self.finish(service, exit.to_string()),
            Event::SuiteFinished {
                suite,
                result,
                attempts,
                duration,
                tests,
                failures,
                ..
            } => {
                let message = match result {
                    SuiteResult::Passed => {
                        format!("passed, {tests} tests in {}", seconds(*duration))
                    }
                    SuiteResult::Flaky => format!(
                        "flaky, passed at attempt {attempts}, {tests} tests in {}",
                        seconds(*duration)
                    ),
                    SuiteResult::Failed => format!("FAILED, {failures} of {tests} tests"),
                    SuiteResult::NotRun => "not run".to_owned(),
                };
                self.finish(suite, message);
            }
            // From here on nothing moves, so the lines become text that stays.
            Event::Verdict { .. } => {
                for bar in std::mem::take(&mut self.pulls).into_values() {
                    bar.finish_and_clear();
                }
                for (service, line) in std::mem::take(&mut self.services) {
                    let message = line.message();
                    line.finish_and_clear();
                    self.print(&format!("  {:<20} {message}", service.as_str()));
                }
            }
            Event::TeardownStarted => {
                let line = self.line("teardown");
                line.set_message("removing everything");
                self.teardown = Some(line);
            }
            Event::TeardownFinished { .. } => {
                if let Some(line) = self.teardown.take() {
                    line.finish_and_clear();
                }
            }
            _ => {}
        }
    }

    fn line(&self, name: &str) -> ProgressBar {
        let line = self.lines.add(ProgressBar::new_spinner());
        // The template is a constant; should it be wrong, indicatif's own is good enough.
        if let Ok(style) =
            ProgressStyle::with_template("{spinner} {prefix:<20} {elapsed:>5}  {msg}")
        {
            line.set_style(style.tick_chars("-\\|/ "));
        }
        line.set_prefix(name.to_owned());
        line.enable_steady_tick(REDRAW);
        line
    }

    /// The line of a pull, above those of the services.
    fn bar(&self, image: &str) -> ProgressBar {
        let bar = self.lines.insert(0, ProgressBar::no_length());
        if let Ok(style) =
            ProgressStyle::with_template("{spinner} {prefix:<20} {elapsed:>5}  [{bar:20}] {msg}")
        {
            bar.set_style(style.tick_chars("-\\|/ ").progress_chars("=> "));
        }
        bar.set_prefix(image.to_owned());
        bar.enable_steady_tick(REDRAW);
        bar
    }

    fn set(&self, service: &ServiceName, message: impl Into<Cow<'static, str>>) {
        if let Some(line) = self.services.get(service) {
            line.reset_elapsed();
            line.set_message(message);
        }
    }

    fn finish(&self, service: &ServiceName, message: String) {
        if let Some(line) = self.services.get(service) {
            line.abandon_with_message(message);
        }
    }
}

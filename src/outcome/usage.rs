//! What a container has used, as far as it was seen.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::{milliseconds, some_milliseconds};
use crate::artifact::size;
use crate::engine::UsageSample;

/// What a container has used, over all its starts, as far as it was seen: engines tell it of running
/// containers only, so what came after the last look is not in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Most memory at once.
    pub memory_peak_bytes: u64,
    /// Who says so.
    pub memory_peak_by: PeakBy,
    /// Its memory limit; without one the memory of the engine's host.
    pub memory_limit_bytes: Option<u64>,
    /// Time of processors.
    #[serde(rename = "cpu_ms", serialize_with = "milliseconds")]
    pub cpu: Duration,
    /// How often it was looked.
    pub samples: u32,
    /// From the last look to its end; `None` while it runs.
    #[serde(rename = "unseen_ms", serialize_with = "some_milliseconds")]
    pub unseen: Option<Duration>,
}

/// Who says how much memory was in use at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PeakBy {
    /// The kernel, which counts all the time; with the cache of files.
    Kernel,
    /// It is the highest of what was seen; there may have been more in between.
    Samples,
}

impl Usage {
    /// What follows from a first look.
    #[must_use]
    pub fn first(sample: &UsageSample) -> Self {
        let mut usage = Self {
            memory_peak_bytes: 0,
            memory_peak_by: PeakBy::Kernel,
            memory_limit_bytes: None,
            cpu: Duration::ZERO,
            samples: 0,
            unseen: None,
        };
        usage.add(sample, Duration::ZERO);
        usage
    }

    /// Adds a look; `before` is what earlier starts of the container have used of processors.
    pub fn add(&mut self, sample: &UsageSample, before: Duration) {
        let (peak, by) = match sample.memory_peak {
            Some(peak) => (peak, PeakBy::Kernel),
            None => (sample.memory, PeakBy::Samples),
        };
        if by == PeakBy::Samples {
            self.memory_peak_by = by;
        }
        self.memory_peak_bytes = self.memory_peak_bytes.max(peak);
        self.memory_limit_bytes = sample.memory_limit.or(self.memory_limit_bytes);
        self.cpu = self.cpu.max(before.saturating_add(sample.cpu));
        self.samples = self.samples.saturating_add(1);
    }
}

impl fmt::Display for Usage {
    /// The memory, in one clause, for somebody who wonders why it did not suffice.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let peak = size(self.memory_peak_bytes);
        match self.memory_peak_by {
            PeakBy::Kernel => write!(formatter, "the kernel counted up to {peak}")?,
            PeakBy::Samples => {
                let looks = if self.samples == 1 { "look" } else { "looks" };
                write!(
                    formatter,
                    "up to {peak} were seen in {} {looks}",
                    self.samples
                )?;
            }
        }
        match self.unseen {
            Some(unseen) => write!(
                formatter,
                ", the last {:.1} s before its end",
                unseen.as_secs_f64()
            ),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(memory: u64, memory_peak: Option<u64>, cpu: u64) -> UsageSample {
        UsageSample {
            memory,
            memory_peak,
            memory_limit: Some(64 << 20),
            cpu: Duration::from_millis(cpu),
        }
    }

    #[test]
    fn it_is_said_who_says_how_much_it_was() {
        let mut usage = Usage::first(&sample(10 << 20, None, 20));
        usage.add(&sample(7 << 20, None, 50), Duration::ZERO);
        assert_eq!(usage.memory_peak_bytes, 10 << 20);
        assert_eq!(usage.cpu, Duration::from_millis(50));
        assert_eq!(usage.to_string(), "up to 10 MiB were seen in 2 looks");
        let mut usage = Usage::first(&sample(1 << 20, Some(30 << 20), 20));
        usage.unseen = Some(Duration::from_millis(420));
        assert_eq!(
            usage.to_string(),
            "the kernel counted up to 30 MiB, the last 0.4 s before its end"
        );
    }

    #[test]
    fn a_second_start_counts_from_zero_and_the_whole_goes_on() {
        let mut usage = Usage::first(&sample(10, Some(20), 500));
        usage.add(&sample(10, Some(15), 100), Duration::from_millis(500));
        assert_eq!(usage.cpu, Duration::from_millis(600));
        assert_eq!(usage.memory_peak_bytes, 20);
        assert_eq!(usage.samples, 2);
    }
}

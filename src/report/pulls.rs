//! Pulls as text: how far they have come, and how often a log is told.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::engine::PullProgress;
use crate::event::Event;

/// How often a log is told how far a pull has come.
const BETWEEN_LINES: Duration = Duration::from_secs(10);

/// Bytes as people read them: `12.3 MB`.
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000)];
    for (unit, size) in UNITS {
        if count >= size {
            // One digit after the point; a count of bytes is far below where this loses some.
            let tenths = count / (size / 10);
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
    }
    format!("{count} B")
}

/// How far a pull has come.
pub(super) fn progress(progress: &PullProgress) -> String {
    format!(
        "{} of {} layers, {} of {}",
        progress.layers_done,
        progress.layers,
        bytes(progress.bytes),
        bytes(progress.total_bytes)
    )
}

/// Leaves out of a log what comes too often.
#[derive(Default)]
pub(super) struct Pacing {
    /// When each image was last told about.
    told: BTreeMap<String, Duration>,
}

impl Pacing {
    /// Whether an event is worth a line now.
    pub(super) fn allows(&mut self, elapsed: Duration, event: &Event) -> bool {
        match event {
            Event::PullStarted { image, .. } => {
                self.told.insert(image.clone(), elapsed);
                true
            }
            Event::PullProgress { image, .. } => {
                let told = self.told.entry(image.clone()).or_insert(elapsed);
                let due = elapsed.saturating_sub(*told) >= BETWEEN_LINES;
                if due {
                    *told = elapsed;
                }
                due
            }
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_told_in_the_largest_unit() {
        let told = [0, 999, 1_000, 12_345, 5_678_901, 2_000_000_000].map(bytes);
        assert_eq!(
            told,
            ["0 B", "999 B", "1.0 kB", "12.3 kB", "5.6 MB", "2.0 GB"]
        );
    }

    #[test]
    fn a_log_is_told_now_and_then() {
        let mut pacing = Pacing::default();
        let image = "a".to_owned();
        let started = Event::PullStarted {
            image: image.clone(),
            from: image.clone(),
            reason: String::new(),
        };
        let progress = Event::PullProgress {
            image,
            progress: PullProgress::default(),
        };
        let second = Duration::from_secs;
        assert!(pacing.allows(second(0), &started));
        let told: Vec<u64> = (1..=25)
            .filter(|elapsed| pacing.allows(second(*elapsed), &progress))
            .collect();
        assert_eq!(told, [10, 20]);
    }
}

//! Waiting for a condition, the only way in which a test waits.

use std::time::{Duration, Instant};

/// Between two looks at a condition. Short enough not to be noticed beside what an engine takes for
/// anything.
const BETWEEN_LOOKS: Duration = Duration::from_millis(15);

/// Looks until `condition` gives a value; panics with `what` once `deadline` has passed.
#[track_caller]
pub(crate) fn until<T>(
    what: &str,
    deadline: Duration,
    mut condition: impl FnMut() -> Option<T>,
) -> T {
    let begun = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(
            begun.elapsed() < deadline,
            "not seen within {deadline:?}: {what}"
        );
        look_again_soon();
    }
}

/// Lets time pass where that is what is tested: a slow answer, the moment of a signal.
#[expect(clippy::disallowed_methods, reason = "this is the clock of the tests")]
pub(crate) fn pass(time: Duration) {
    std::thread::sleep(time);
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests are synchronous and poll; this is their clock module"
)]
fn look_again_soon() {
    std::thread::sleep(BETWEEN_LOOKS);
}

//! Durations as Compose files write them: Go's grammar (`1m30s`, `500ms`, `1.5h`), and days and
//! weeks, which Compose reads too.
//!
//! Pure text to value; it never knows what the duration is for.

use std::time::Duration;

/// Why a text is not a duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Nothing there, or no number where one must be.
    #[error("expected a number followed by a unit")]
    NoNumber,
    /// A number without a unit.
    #[error("the number has no unit")]
    NoUnit,
    /// A unit that does not exist.
    #[error("unknown unit")]
    UnknownUnit,
    /// A negative duration, which no key can use.
    #[error("the duration is negative")]
    Negative,
    /// More than about 292 years, the limit of the reference implementation.
    #[error("the duration is too long")]
    TooLong,
}

const UNITS: [(&str, u128); 10] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60 * 1_000_000_000),
    ("h", 3_600 * 1_000_000_000),
    ("d", 24 * 3_600 * 1_000_000_000),
    ("w", 7 * 24 * 3_600 * 1_000_000_000),
];

/// Reads a duration. Fractions finer than a nanosecond are cut off.
///
/// # Errors
/// The text is not a duration, is negative, or is longer than `i64::MAX` nanoseconds.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest.starts_with('-') {
        return Err(DurationError::Negative);
    }
    if rest.is_empty() {
        return Err(DurationError::NoNumber);
    }
    let mut total: u128 = 0;
    while !rest.is_empty() {
        let (whole, after) = split_digits(rest);
        let (fraction, after) = after.strip_prefix('.').map_or(("", after), split_digits);
        if whole.is_empty() && fraction.is_empty() {
            return Err(DurationError::NoNumber);
        }
        let unit_end = after
            .find(|character: char| character.is_ascii_digit() || character == '.')
            .unwrap_or(after.len());
        let (unit, next) = after.split_at(unit_end);
        if unit.is_empty() {
            return Err(DurationError::NoUnit);
        }
        let nanos = UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .map(|(_, nanos)| *nanos)
            .ok_or(DurationError::UnknownUnit)?;
        total = add(total, nanos, whole, fraction).ok_or(DurationError::TooLong)?;
        rest = next;
    }
    match u64::try_from(total) {
        Ok(nanos) if i64::try_from(nanos).is_ok() => Ok(Duration::from_nanos(nanos)),
        _ => Err(DurationError::TooLong),
    }
}

/// Writes a duration as Go does it: `1m30s`, `1.5s`, `100ms`.
#[must_use]
pub fn print(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    if nanos == 0 {
        return "0s".to_owned();
    }
    let fraction = |unit: u128, name: &str| {
        let rest = format!("{:0width$}", nanos % unit, width = unit.ilog10() as usize);
        let rest = rest.trim_end_matches('0');
        let point = if rest.is_empty() || unit == 1 {
            ""
        } else {
            "."
        };
        let rest = if unit == 1 { "" } else { rest };
        format!("{}{point}{rest}{name}", nanos / unit)
    };
    match nanos {
        0..1_000 => fraction(1, "ns"),
        1_000..1_000_000 => fraction(1_000, "µs"),
        1_000_000..1_000_000_000 => fraction(1_000_000, "ms"),
        _ => {
            let seconds = duration.as_secs();
            let rest = Duration::new(seconds % 60, duration.subsec_nanos());
            let rest = format!("{}s", rest.as_secs_f64());
            match (seconds / 3_600, seconds / 60 % 60) {
                (0, 0) => rest,
                (0, minutes) => format!("{minutes}m{rest}"),
                (hours, minutes) => format!("{hours}h{minutes}m{rest}"),
            }
        }
    }
}

fn split_digits(text: &str) -> (&str, &str) {
    let end = text
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(end)
}

fn add(total: u128, unit: u128, whole: &str, fraction: &str) -> Option<u128> {
    let whole: u128 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    // Eighteen digits are more than a nanosecond of a week needs; the rest cannot count.
    let digits = fraction.get(..fraction.len().min(18)).unwrap_or(fraction);
    let numerator: u128 = if digits.is_empty() {
        0
    } else {
        digits.parse().ok()?
    };
    let denominator = 10_u128.checked_pow(u32::try_from(digits.len()).ok()?)?;
    let part = numerator.checked_mul(unit)? / denominator;
    total
        .checked_add(whole.checked_mul(unit)?)?
        .checked_add(part)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn prints_as_go_does() {
        for (text, printed) in [
            ("0", "0s"),
            ("90s", "1m30s"),
            ("1h", "1h0m0s"),
            ("1d", "24h0m0s"),
            ("1.5s", "1.5s"),
            ("100ms", "100ms"),
            ("1500us", "1.5ms"),
            ("10us", "10µs"),
            ("7ns", "7ns"),
            ("1h2m3.004s", "1h2m3.004s"),
            ("59.999999999s", "59.999999999s"),
        ] {
            assert_eq!(print(parse(text).unwrap()), printed, "{text}");
        }
    }

    #[test]
    fn reads_what_go_reads() {
        for (text, nanos) in [
            ("0", 0),
            ("0s", 0),
            ("1m30s", 90_000_000_000),
            ("500ms", 500_000_000),
            ("1.5h", 5_400_000_000_000),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("+2s", 2_000_000_000),
            ("1h2m3.004s", 3_723_004_000_000),
            ("10us", 10_000),
            ("1µs1ns", 1_001),
            ("1d", 86_400_000_000_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_nanos(nanos)), "{text}");
        }
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, error) in [
            ("", DurationError::NoNumber),
            ("10", DurationError::NoUnit),
            ("1m30", DurationError::NoUnit),
            ("10 s", DurationError::UnknownUnit),
            ("10sec", DurationError::UnknownUnit),
            ("s", DurationError::NoNumber),
            (".s", DurationError::NoNumber),
            ("-1s", DurationError::Negative),
            ("1e3s", DurationError::UnknownUnit),
            ("300000h99999999h", DurationError::TooLong),
            (
                "99999999999999999999999999999999999999999999h",
                DurationError::TooLong,
            ),
        ] {
            assert_eq!(parse(text), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in ".{0,40}") {
            let _ = parse(&text);
        }

        #[test]
        fn never_panics_on_near_durations(text in "[-+]?([0-9]{0,25}[.]?[0-9]{0,25}(ns|us|µs|ms|s|m|h|d)?){0,4}") {
            let _ = parse(&text);
        }

        #[test]
        fn sums_its_parts(hours in 0_u64..1000, minutes in 0_u64..1000, millis in 0_u64..100_000) {
            let text = format!("{hours}h{minutes}m{millis}ms");
            let wanted = Duration::from_secs(hours * 3600 + minutes * 60) + Duration::from_millis(millis);
            prop_assert_eq!(parse(&text), Ok(wanted));
        }
    }
}

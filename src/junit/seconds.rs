//! Seconds as JUnit writers spell them: owns the reading of `1,234.5` and the writing of plain
//! decimals.
//!
//! It must never write anything but digits and at most one point, since a reader that stops at the
//! first odd character would show a wrong duration.

use std::time::Duration;

/// Longest duration that is ever written: a hundred years, so that sums stay far from any overflow.
const LONGEST: f64 = 3.2e9;

/// The seconds that this text means, if it means any. Thousands separators are removed, whichever
/// of comma and point they are; infinite and negative values mean nothing.
#[must_use]
pub fn parse(text: &str) -> Option<f64> {
    let text = text.trim();
    let plain = match (text.rfind(','), text.rfind('.')) {
        (None, _) => text.to_owned(),
        (Some(comma), Some(point)) if comma < point => text.replace(',', ""),
        (Some(_), Some(_)) => text.replace('.', "").replace(',', "."),
        (Some(comma), None) if is_decimal_comma(text, comma) => text.replace(',', "."),
        (Some(_), None) => text.replace(',', ""),
    };
    let seconds: f64 = plain.parse().ok()?;
    (seconds.is_finite() && seconds >= 0.0).then_some(unsigned(seconds.min(LONGEST)))
}

/// A comma alone separates thousands when exactly three digits follow and something other than a
/// zero stands before it.
fn is_decimal_comma(text: &str, comma: usize) -> bool {
    let single = text.find(',') == Some(comma);
    single && (text.len() - comma - 1 != 3 || text[..comma].trim_start_matches('0').is_empty())
}

/// Whether every reader understands this text as it is: digits, at most one point, nothing else.
#[must_use]
pub fn is_plain(text: &str) -> bool {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    digits(whole) && digits(fraction)
}

/// The seconds with exactly three decimals, which is as many as the strictest reader takes for a
/// suite.
#[must_use]
pub fn format(seconds: f64) -> String {
    format!("{:.3}", unsigned(seconds.clamp(0.0, LONGEST)))
}

/// The same number, with plain zero for negative zero: that is what no durations at all add up to,
/// and it would be written with its sign.
fn unsigned(seconds: f64) -> f64 {
    seconds + 0.0
}

/// The duration in seconds, bounded like everything that is written.
#[must_use]
pub fn of(duration: Duration) -> f64 {
    duration.as_secs_f64().min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_are_told_apart() {
        for (text, seconds) in [
            ("1.5", Some(1.5)),
            ("1,234.5", Some(1234.5)),
            ("1.234,5", Some(1234.5)),
            ("1,234,567", Some(1_234_567.0)),
            ("1,234", Some(1234.0)),
            ("0,012", Some(0.012)),
            ("1,5", Some(1.5)),
            ("1e-3", Some(0.001)),
            (" 2 ", Some(2.0)),
            ("", None),
            ("NaN", None),
            ("inf", None),
            ("-1", None),
            ("1s", None),
        ] {
            assert_eq!(parse(text), seconds, "{text}");
        }
    }

    #[test]
    fn only_plain_decimals_are_left_alone() {
        assert!(is_plain("1") && is_plain("0.000123"));
        assert!(!is_plain("1e-3") && !is_plain(".5") && !is_plain("1,2") && !is_plain(""));
        assert_eq!(format(std::iter::empty::<f64>().sum()), "0.000");
        assert_eq!(
            parse("-0").map(|seconds| seconds.to_string()),
            Some("0".to_owned())
        );
        assert_eq!(format(1.23456), "1.235");
        assert_eq!(format(f64::MAX), "3200000000.000");
    }
}

//! Which type a plain scalar has, as Compose's reader (Go, `yaml.v3`) decides it.
//!
//! Pure. Base 8 is both `0o17` and `017`; underscores may separate digits; `yes`, `no`, `on` and
//! `off` are text here, and only a key that wants a boolean reads them as one.

use std::fmt;

use super::Scalar;

/// The type and value of a scalar.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::config) enum Resolved {
    Bool(bool),
    Int(i128),
    Float(f64),
    /// A date, with or without a time.
    Timestamp(Timestamp),
    Text,
}

impl Scalar {
    /// The type and value.
    pub(in crate::config) fn resolve(&self) -> Resolved {
        if !self.plain {
            return Resolved::Text;
        }
        match self.text.as_str() {
            "true" | "True" | "TRUE" => return Resolved::Bool(true),
            "false" | "False" | "FALSE" => return Resolved::Bool(false),
            _ => {}
        }
        if let Some(int) = integer(&self.text) {
            return Resolved::Int(int);
        }
        if let Some(float) = float(&self.text) {
            return Resolved::Float(float);
        }
        Timestamp::parse(&self.text).map_or(Resolved::Text, Resolved::Timestamp)
    }

    /// The text that Compose hands on where a key takes any scalar: numbers and booleans are
    /// printed anew (`0440` gives `288`, `1.10` gives `1.1`), text stays as it is.
    pub(in crate::config) fn printed(&self) -> String {
        match self.resolve() {
            Resolved::Bool(value) => value.to_string(),
            Resolved::Int(value) => value.to_string(),
            Resolved::Float(value) => go_float(value),
            Resolved::Timestamp(value) => value.to_string(),
            Resolved::Text => self.text.clone(),
        }
    }
}

/// True for the plain scalars that mean null.
pub(super) fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// A whole number in any of the notations.
pub(in crate::config) fn integer(text: &str) -> Option<i128> {
    if !text.starts_with(|c: char| c.is_ascii_digit() || c == '+' || c == '-') {
        return None;
    }
    let digits = text.replace('_', "");
    let (negative, digits) = match digits.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, digits.strip_prefix('+').unwrap_or(&digits)),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = if let Some(rest) = lower.strip_prefix("0x") {
        (16, rest)
    } else if let Some(rest) = lower.strip_prefix("0o") {
        (8, rest)
    } else if let Some(rest) = lower.strip_prefix("0b") {
        (2, rest)
    } else if lower.len() > 1 && lower.starts_with('0') {
        (8, &lower[1..])
    } else {
        (10, lower.as_str())
    };
    if !digits.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    let value = i128::from(u64::from_str_radix(digits, radix).ok()?);
    let value = if negative { -value } else { value };
    // Beyond 64 bits the reference reads a floating-point number.
    (value >= i128::from(i64::MIN)).then_some(value)
}

fn float(text: &str) -> Option<f64> {
    match text {
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Some(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Some(f64::NEG_INFINITY),
        ".nan" | ".NaN" | ".NAN" => return Some(f64::NAN),
        _ => {}
    }
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
        return None;
    }
    let digits = text.replace('_', "");
    let is_number = digits.contains(|c: char| c.is_ascii_digit())
        && digits
            .chars()
            .all(|c| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E'));
    if is_number { digits.parse().ok() } else { None }
}

/// A date of the YAML type repository. Compose accepts none where the specification gives a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) struct Timestamp {
    date: [u16; 3],
    time: [u16; 3],
    nanoseconds: u32,
    /// Minutes east of Greenwich.
    offset: i16,
}

impl Timestamp {
    /// Reads `2001-12-14`, `2001-12-14 21:59:43.10` and `2001-12-14t21:59:43.10-05:00`.
    fn parse(text: &str) -> Option<Self> {
        let (date, rest) = match text.find(['T', 't', ' ']) {
            Some(end) => (text.get(..end)?, text.get(end..)?),
            None => (text, ""),
        };
        let date = numbers(date, '-')?;
        let [year, month, day] = date;
        let is_date = text.as_bytes().get(4) == Some(&b'-')
            && year > 0
            && u8::try_from(month)
                .ok()
                .and_then(|month| time::Month::try_from(month).ok())
                .is_some_and(|month| (1..=u16::from(month.length(i32::from(year)))).contains(&day));
        if !is_date {
            return None;
        }
        let mut timestamp = Self {
            date,
            time: [0; 3],
            nanoseconds: 0,
            offset: 0,
        };
        let Some(separator) = rest.chars().next() else {
            return Some(timestamp);
        };
        let mut clock = rest.get(1..)?;
        if separator != ' ' {
            let zone = clock.find(['Z', '+', '-'])?;
            timestamp.offset = offset(clock.get(zone..)?)?;
            clock = clock.get(..zone)?;
        }
        if let Some((whole, fraction)) = clock.split_once('.') {
            let is_fraction = (1..=9).contains(&fraction.len())
                && fraction.bytes().all(|byte| byte.is_ascii_digit());
            if !is_fraction {
                return None;
            }
            timestamp.nanoseconds = format!("{fraction:0<9}").parse().ok()?;
            clock = whole;
        }
        timestamp.time = numbers(clock, ':')?;
        let [hour, minute, second] = timestamp.time;
        (hour < 24 && minute < 60 && second < 60).then_some(timestamp)
    }
}

/// Three numbers between separators.
fn numbers(text: &str, separator: char) -> Option<[u16; 3]> {
    let mut parts = text.split(separator).map(|part| {
        let is_number = (1..=4).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        if is_number { part.parse().ok() } else { None }
    });
    let found = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(found)
}

/// `Z`, `+01:30` or `-05:00`, in minutes.
fn offset(text: &str) -> Option<i16> {
    if text == "Z" {
        return Some(0);
    }
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let (hours, minutes) = text.get(1..)?.split_once(':')?;
    let two = |part: &str| -> Option<i16> {
        let is_number = part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
        if is_number { part.parse().ok() } else { None }
    };
    Some(sign * (two(hours)? * 60 + two(minutes)?))
}

impl fmt::Display for Timestamp {
    /// As RFC 3339.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ([year, month, day], [hour, minute, second]) = (self.date, self.time);
        write!(
            formatter,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
        )?;
        if self.nanoseconds > 0 {
            let fraction = format!("{:09}", self.nanoseconds);
            write!(formatter, ".{}", fraction.trim_end_matches('0'))?;
        }
        if self.offset == 0 {
            return formatter.write_str("Z");
        }
        let sign = if self.offset < 0 { '-' } else { '+' };
        let minutes = self.offset.unsigned_abs();
        write!(formatter, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }
}

/// A floating-point number as Go's `%v` prints it: shortest digits, with an exponent below 1e-4 and
/// from 1e6 on.
fn go_float(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let size = value.abs();
    if size != 0.0 && !(1e-4..1e6).contains(&size) {
        let text = format!("{value:e}");
        return match text.split_once('e') {
            Some((digits, exponent)) => {
                let (sign, exponent) = exponent
                    .strip_prefix('-')
                    .map_or(('+', exponent), |rest| ('-', rest));
                format!("{digits}e{sign}{exponent:0>2}")
            }
            None => text,
        };
    }
    value.to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn printed(text: &str) -> String {
        let scalar = Scalar::plain(text);
        let kind = match scalar.resolve() {
            Resolved::Bool(_) => "bool",
            Resolved::Int(_) => "int",
            Resolved::Float(_) => "float",
            Resolved::Timestamp(_) => "date",
            Resolved::Text => "text",
        };
        format!("{kind} {}", scalar.printed())
    }

    #[test]
    fn plain_scalars_have_the_type_that_compose_gives_them() {
        for (text, wanted) in [
            ("5432", "int 5432"),
            ("0440", "int 288"),
            ("0o440", "int 288"),
            ("0x1F", "int 31"),
            ("0b101", "int 5"),
            ("1_000", "int 1000"),
            ("-7", "int -7"),
            ("0", "int 0"),
            ("08", "float 8"),
            ("1.10", "float 1.1"),
            ("1e3", "float 1000"),
            ("1e21", "float 1e+21"),
            ("0.00001", "float 1e-05"),
            (".5", "float 0.5"),
            (".inf", "float +Inf"),
            ("99999999999999999999999", "float 1e+23"),
            ("true", "bool true"),
            ("TRUE", "bool true"),
            ("yes", "text yes"),
            ("on", "text on"),
            ("1.2.3", "text 1.2.3"),
            ("22:22", "text 22:22"),
            ("2024-01-01", "date 2024-01-01T00:00:00Z"),
            ("2024-13-01", "text 2024-13-01"),
            (
                "2024-1-2 3:04:05.60 +01:30",
                "text 2024-1-2 3:04:05.60 +01:30",
            ),
            (
                "2024-1-2T3:04:05.60+01:30",
                "date 2024-01-02T03:04:05.6+01:30",
            ),
            ("2024-01-02 03:04:05", "date 2024-01-02T03:04:05Z"),
            ("10s", "text 10s"),
            ("-", "text -"),
            (".", "text ."),
            ("e5", "text e5"),
            ("0x", "text 0x"),
            ("+-5", "text +-5"),
        ] {
            assert_eq!(printed(text), wanted, "{text}");
        }
    }

    #[test]
    fn quoted_scalars_are_text() {
        assert_eq!(Scalar::text("0440").printed(), "0440");
        assert_eq!(Scalar::text("true").resolve(), Resolved::Text);
    }

    proptest! {
        #[test]
        fn never_panics(text in "[-+0-9a-fxob_.eE]{0,30}|\\PC{0,10}") {
            let _ = printed(&text);
        }
    }
}

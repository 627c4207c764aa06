//! Byte sizes as Compose files write them: `64m`, `1gb`, `1.5GiB`, `1024`. All units are powers of
//! 1024.
//!
//! Pure text to value; it never knows what the size is for.

/// Reads a byte size, or `None` when the text is none or is beyond 64 bits.
#[must_use]
pub fn parse(text: &str) -> Option<u64> {
    let end = text
        .find(|character: char| !character.is_ascii_digit() && character != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = unit.strip_prefix(' ').unwrap_or(unit).to_ascii_lowercase();
    let unit = unit
        .strip_suffix("ib")
        .or_else(|| unit.strip_suffix('b'))
        .unwrap_or(&unit);
    let shift = match unit {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        "p" => 50,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = fraction.get(..fraction.len().min(12)).unwrap_or(fraction);
    let part: u128 = if digits.is_empty() {
        0
    } else {
        digits.parse().ok()?
    };
    let denominator = 10_u128.checked_pow(u32::try_from(digits.len()).ok()?)?;
    let whole: u128 = whole.parse().ok()?;
    let bytes = whole
        .checked_mul(1 << shift)?
        .checked_add((part << shift) / denominator)?;
    u64::try_from(bytes).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_compose_reads() {
        for (text, bytes) in [
            ("0", Some(0)),
            ("1024", Some(1024)),
            ("64m", Some(64 << 20)),
            ("1gb", Some(1 << 30)),
            ("1.5GiB", Some(3 << 29)),
            ("2 kB", Some(2048)),
            ("300b", Some(300)),
            ("", None),
            ("m", None),
            ("-1m", None),
            ("1x", None),
            ("1.2.3m", None),
            ("99999999999999p", None),
        ] {
            assert_eq!(parse(text), bytes, "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "[-0-9.]{0,50} ?[kmgtpibKMGTPIB]{0,3}") {
            let _ = parse(&text);
        }
    }
}

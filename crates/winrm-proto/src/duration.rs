//! `xs:duration`, as WS-Management uses it: for timeouts and lifetimes.

use std::fmt::Write as _;
use std::time::Duration;

/// Writes a duration in seconds with milliseconds, the form that Windows itself writes: `PT20.000S`.
#[must_use]
pub fn format(duration: Duration) -> String {
    let mut text = String::with_capacity(16);
    // Writing to a String can't fail.
    let _ = write!(text, "PT{}.{:03}S", duration.as_secs(), duration.subsec_millis());
    text
}

/// Reads an `xs:duration` such as `PT20.000S`, `PT1H30M` or `P0DT0H0M5S`.
///
/// # Errors
/// Negative durations, years and months (whose length in seconds isn't fixed, unless they are zero), numbers that overflow, and
/// anything else that isn't the form. The error says what was wrong.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let text = text.trim();
    if text.starts_with('-') {
        return Err(DurationError::Negative);
    }
    let body = text.strip_prefix('P').ok_or(DurationError::Form)?;
    if body.is_empty() {
        return Err(DurationError::Form);
    }
    let (days, time) = match body.split_once('T') {
        Some((_, "")) => return Err(DurationError::Form),
        Some((days, time)) => (days, time),
        None => (body, ""),
    };
    let mut total = Duration::ZERO;
    for (part, units) in [(days, "YMWD"), (time, "HMS")] {
        let mut rest = part;
        let mut next_unit = 0;
        while !rest.is_empty() {
            let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or(DurationError::Form)?;
            let (number, tail) = rest.split_at(end);
            let unit = tail.chars().next().ok_or(DurationError::Form)?;
            let place = units[next_unit..].find(unit).ok_or(DurationError::Form)? + next_unit;
            next_unit = place + 1;
            rest = &tail[unit.len_utf8()..];
            total = total.checked_add(scaled(number, unit, units)?).ok_or(DurationError::Overflow)?;
        }
    }
    Ok(total)
}

fn scaled(number: &str, unit: char, units: &str) -> Result<Duration, DurationError> {
    let (whole, fraction) = number
        .split_once('.')
        .map_or((number, None), |(whole, fraction)| (whole, Some(fraction)));
    if whole.is_empty() && fraction.is_none_or(str::is_empty) || fraction.is_some() && unit != 'S' {
        return Err(DurationError::Form);
    }
    let whole: u64 = if whole.is_empty() {
        0
    } else {
        whole.parse().map_err(|_| DurationError::Overflow)?
    };
    let seconds = match (unit, units) {
        ('S', _) => 1,
        ('M', "HMS") => 60,
        ('H', _) => 3_600,
        ('D', _) => 86_400,
        ('W', _) => 604_800,
        _ if whole == 0 => 0,
        _ => return Err(DurationError::Calendar),
    };
    let mut duration = Duration::from_secs(whole.checked_mul(seconds).ok_or(DurationError::Overflow)?);
    if let Some(fraction) = fraction {
        let mut nanos = 0u32;
        for index in 0..9 {
            let digit = fraction.as_bytes().get(index).map_or(0, |digit| digit.wrapping_sub(b'0'));
            if digit > 9 {
                return Err(DurationError::Form);
            }
            nanos = nanos * 10 + u32::from(digit);
        }
        if fraction.bytes().any(|byte| !byte.is_ascii_digit()) {
            return Err(DurationError::Form);
        }
        duration = duration
            .checked_add(Duration::from_nanos(u64::from(nanos)))
            .ok_or(DurationError::Overflow)?;
    }
    Ok(duration)
}

/// Why a text isn't a usable duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DurationError {
    /// It isn't of the form `PT20.5S`.
    #[error("it is not a duration like PT20S")]
    Form,
    /// It is negative.
    #[error("it is negative")]
    Negative,
    /// It counts years or months, which have no fixed length.
    #[error("years and months have no fixed length")]
    Calendar,
    /// It is longer than can be counted.
    #[error("it is too long")]
    Overflow,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_the_forms_hosts_send() {
        for (text, millis) in [
            ("PT20.000S", 20_000),
            ("PT7200.000S", 7_200_000),
            ("P0DT0H0M0S", 0),
            ("P1DT2H3M4.5S", 93_784_500),
            ("PT1H", 3_600_000),
            ("P0Y0M1D", 86_400_000),
            ("PT.5S", 500),
            (" PT1S\n", 1_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn says_why_a_duration_is_refused() {
        for (text, reason) in [
            ("PT-1S", DurationError::Form),
            ("-PT1S", DurationError::Negative),
            ("20", DurationError::Form),
            ("", DurationError::Form),
            ("P", DurationError::Form),
            ("PT", DurationError::Form),
            ("P1DT", DurationError::Form),
            ("PT1", DurationError::Form),
            ("PTS", DurationError::Form),
            ("PT1.5H", DurationError::Form),
            ("PT1S1M", DurationError::Form),
            ("PT1.2.3S", DurationError::Form),
            ("P1Y", DurationError::Calendar),
            ("PT99999999999999999999S", DurationError::Overflow),
            ("P99999999999999999D", DurationError::Overflow),
        ] {
            assert_eq!(parse(text), Err(reason), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(millis in 0u64..u64::MAX / 2) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse(&format(duration)), Ok(duration));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,20}|P[0-9YMDTHS.]{0,12}") {
            let _ = parse(&text);
        }
    }
}

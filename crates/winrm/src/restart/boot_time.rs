//! When a host's system was started.

use std::fmt;
use std::time::Duration;

/// When a host's system was started, as the host itself says it: `Win32_OperatingSystem.LastBootUpTime`.
///
/// Windows works it out anew each time it is asked, from its clock and from how long it has been running; so the same start may be
/// told a second or two apart. [`is_another`](Self::is_another) knows that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BootTime {
    /// Since 1970, UTC.
    microseconds: i64,
}

/// What two answers about the same start may differ by: nothing that starts an operating system twice within that time.
const SAME: Duration = Duration::from_secs(5);

impl BootTime {
    /// Reads an `xs:dateTime` (`2026-05-26T08:51:36.498403+02:00`), or WMI's own form (`20260526085136.498403+120`).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.contains('T') { of_schema(text) } else { of_wmi(text) }
    }

    /// Whether it is another start of the system, later or (where a clock was set) earlier.
    #[must_use]
    pub fn is_another(self, than: Self) -> bool {
        u128::from(self.microseconds.abs_diff(than.microseconds)) > SAME.as_micros()
    }

    /// Since 1970, UTC; negative before.
    #[must_use]
    pub const fn unix_seconds(self) -> i64 {
        self.microseconds.div_euclid(1_000_000)
    }
}

/// UTC, in whole seconds: `2026-05-26 06:51:36Z`.
impl fmt::Display for BootTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.unix_seconds();
        let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let (year, month, day) = date_of(days);
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}Z")
    }
}

fn of_schema(text: &str) -> Option<BootTime> {
    let (date, time) = text.split_once('T')?;
    let (date, mut numbers) = (date.to_owned(), date.splitn(3, '-'));
    if date.len() != 10 {
        return None;
    }
    let (year, month, day) = (number(numbers.next()?)?, number(numbers.next()?)?, number(numbers.next()?)?);
    let (time, offset) = match time.find(['Z', '+', '-']) {
        Some(place) => time.split_at(place),
        // Without a zone it is UTC: WMI's dates in WS-Man are.
        None => (time, "Z"),
    };
    let offset = match offset {
        "Z" => 0,
        _ => {
            let (hours, minutes) = offset.get(1..)?.split_once(':')?;
            let minutes = number(hours)? * 60 + number(minutes)?;
            if offset.starts_with('-') { -minutes } else { minutes }
        }
    };
    let (clock, fraction) = time.split_once('.').unwrap_or((time, ""));
    let mut numbers = clock.splitn(3, ':');
    let clock = (number(numbers.next()?)?, number(numbers.next()?)?, number(numbers.next()?)?);
    moment((year, month, day), clock, fraction, offset)
}

/// `yyyymmddHHMMSS.mmmmmm±UUU`, the offset in minutes.
fn of_wmi(text: &str) -> Option<BootTime> {
    let (whole, rest) = text.split_once('.')?;
    let place = rest.find(['+', '-'])?;
    let (fraction, offset) = rest.split_at(place);
    let minutes = number(offset.get(1..)?)?;
    let offset = if offset.starts_with('-') { -minutes } else { minutes };
    if whole.len() != 14 {
        return None;
    }
    let part = |from: usize, to: usize| number(whole.get(from..to)?);
    let date = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    moment(date, (part(8, 10)?, part(10, 12)?, part(12, 14)?), fraction, offset)
}

/// Up to four digits.
fn number(text: &str) -> Option<i64> {
    (matches!(text.len(), 1..=4) && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

fn moment((year, month, day): (i64, i64, i64), (hour, minute, second): (i64, i64, i64), fraction: &str, offset: i64) -> Option<BootTime> {
    let in_range = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second <= 60;
    if !in_range || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let micros: String = fraction.chars().chain("000000".chars()).take(6).collect();
    let seconds = days_of(year, month, day) * 86_400 + hour * 3_600 + (minute - offset) * 60 + second;
    Some(BootTime {
        microseconds: seconds * 1_000_000 + micros.parse::<i64>().ok()?,
    })
}

/// Days since 1970 of a date in the Gregorian calendar. Years are counted from March, so that the leap day is their last.
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - 719_468
}

/// The inverse.
fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let mut year = days.div_euclid(146_097) * 400 + days.rem_euclid(146_097) * 400 / 146_097;
    let start = |year: i64| year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    while start(year) > days {
        year -= 1;
    }
    while start(year + 1) <= days {
        year += 1;
    }
    let day = days - start(year);
    let month = (day * 5 + 2) / 153;
    let (next, month) = if month < 10 { (0, month + 3) } else { (1, month - 9) };
    (year + next, month, day - ((month + 9) % 12 * 153 + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_the_same_moment() {
        for (text, shown) in [
            ("2026-05-26T08:51:36.498403+02:00", "2026-05-26 06:51:36Z"),
            ("20260526085136.498403+120", "2026-05-26 06:51:36Z"),
            ("2026-05-26T06:51:36.498403Z", "2026-05-26 06:51:36Z"),
            ("2026-05-26T06:51:36", "2026-05-26 06:51:36Z"),
            ("20260525225136.498403-480", "2026-05-26 06:51:36Z"),
            ("2024-02-29T23:59:59Z", "2024-02-29 23:59:59Z"),
            ("2000-03-01T00:00:00Z", "2000-03-01 00:00:00Z"),
            ("1970-01-01T00:00:00Z", "1970-01-01 00:00:00Z"),
            ("1969-12-31T23:59:59Z", "1969-12-31 23:59:59Z"),
        ] {
            assert_eq!(BootTime::parse(text).unwrap().to_string(), shown, "{text}");
        }
        assert_eq!(BootTime::parse("2026-05-26T06:51:36Z").unwrap().unix_seconds(), 1_779_778_296);
        assert_eq!(
            BootTime::parse("2026-05-26T08:51:36.498403+02:00"),
            BootTime::parse("20260526085136.498403+120")
        );
        for text in [
            "",
            "T",
            "2026-05-26",
            "20260526085136",
            "2026-13-26T00:00:00Z",
            "2026-05-26T24:00:00Z",
            "2026-05-26T0é:00:00Z",
            "x.+",
        ] {
            assert_eq!(BootTime::parse(text), None, "{text}");
        }
    }

    #[test]
    fn every_day_is_written_as_it_was_read() {
        for days in (-800_000..800_000).step_by(97) {
            let (year, month, day) = date_of(days);
            assert_eq!(days_of(year, month, day), days);
        }
    }

    #[test]
    fn a_second_or_two_is_no_restart() {
        let boot = |text| BootTime::parse(text).unwrap();
        let before = boot("2026-05-26T06:51:36.5Z");
        assert!(!boot("2026-05-26T06:51:38Z").is_another(before));
        assert!(!before.is_another(boot("2026-05-26T06:51:38Z")));
        assert!(boot("2026-05-26T06:51:45Z").is_another(before));
        assert!(boot("2026-05-26T05:51:45Z").is_another(before));
    }
}

//! What a scalar means in YAML 1.1, as PyYAML resolves it.

use std::fmt::Write as _;

use crate::value::Value;

/// The handle that `!!` stands for.
pub(super) const CORE: &str = "tag:yaml.org,2002:";

/// The value of a scalar without quotes; nothing if it is a text.
pub(super) fn plain(text: &str) -> Option<Value> {
    if let Some(value) = word(text) {
        return Some(value);
    }
    let first = *text.as_bytes().first()?;
    if !(first.is_ascii_digit() || matches!(first, b'-' | b'+' | b'.')) {
        return None;
    }
    float(text).map(Value::Float).or_else(|| int(text)).or_else(|| {
        let at = timestamp(text)?;
        Some(Value::String(at.into()))
    })
}

/// The value of a scalar in JSON.
pub(super) fn json(text: &str) -> Option<Value> {
    Some(match text {
        "null" => Value::Null,
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        number => match number.parse() {
            Ok(number) => Value::Int(number),
            Err(_) => Value::Float(number.parse().ok()?),
        },
    })
}

/// The value of a scalar with a tag of YAML's own: nothing if the tag is unknown, and nothing inside if the text doesn't fit.
pub(super) fn tagged(tag: &str, text: &str) -> Option<Option<Value>> {
    Some(match tag {
        "null" => Some(Value::Null),
        "bool" => word(&text.to_ascii_lowercase()).filter(|value| matches!(value, Value::Bool(_))),
        "int" => int(text).or_else(|| text.replace('_', "").parse().ok().map(Value::Int)),
        "float" => float(text)
            .or_else(|| text.replace('_', "").to_ascii_lowercase().parse().ok())
            .map(Value::Float),
        "timestamp" => timestamp(text).map(|at| Value::String(at.into())),
        "binary" => binary(text).map(|text| Value::String(text.into())),
        _ => return None,
    })
}

fn word(text: &str) -> Option<Value> {
    Some(match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Value::Bool(true),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Value::Bool(false),
        _ => return None,
    })
}

/// The sign, and what stands behind it.
fn signed(text: &str) -> (i64, &str) {
    match text.as_bytes().first() {
        Some(b'-') => (-1, &text[1..]),
        Some(b'+') => (1, &text[1..]),
        _ => (1, text),
    }
}

fn int(text: &str) -> Option<Value> {
    let (sign, digits) = signed(text);
    let made_of = |text: &str, allowed: fn(&u8) -> bool| !text.is_empty() && text.bytes().all(|byte| byte == b'_' || allowed(&byte));
    let (radix, digits) = if let Some(binary) = digits
        .strip_prefix("0b")
        .filter(|rest| made_of(rest, |byte| matches!(byte, b'0' | b'1')))
    {
        (2, binary)
    } else if let Some(hexadecimal) = digits.strip_prefix("0x").filter(|rest| made_of(rest, u8::is_ascii_hexdigit)) {
        (16, hexadecimal)
    } else if digits == "0" {
        (10, digits)
    } else if let Some(octal) = digits
        .strip_prefix('0')
        .filter(|rest| made_of(rest, |byte| (b'0'..=b'7').contains(byte)))
    {
        (8, octal)
    } else if digits.contains(':') {
        let (first, rest) = digits.split_once(':')?;
        if !(first.as_bytes()[..].first()?.is_ascii_digit() && !first.starts_with('0') && made_of(first, u8::is_ascii_digit)) {
            return None;
        }
        let mut number: i64 = first.replace('_', "").parse().ok()?;
        for part in rest.split(':') {
            number = number.checked_mul(60)?.checked_add(base_sixty(part)?)?;
        }
        return Some(Value::Int(sign * number));
    } else if digits.starts_with(|char: char| ('1'..='9').contains(&char)) && made_of(digits, u8::is_ascii_digit) {
        (10, digits)
    } else {
        return None;
    };
    let digits = digits.replace('_', "");
    if digits.is_empty() {
        // 0b_ and the like: PyYAML takes them for numbers, and fails.
        return None;
    }
    // The sign goes along, since the smallest number has no positive twin.
    let text = if sign < 0 { format!("-{digits}") } else { digits };
    Some(match i64::from_str_radix(&text, radix) {
        Ok(number) => Value::Int(number),
        Err(_) => {
            let (sign, digits) = signed(&text);
            let number = digits
                .chars()
                .filter_map(|digit| digit.to_digit(radix))
                .fold(0.0, |number, digit| number * f64::from(radix) + f64::from(digit));
            Value::Float(if sign < 0 { -number } else { number })
        }
    })
}

/// 0 to 59, with one or two digits.
fn base_sixty(part: &str) -> Option<i64> {
    let fits = (1..=2).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    part.parse().ok().filter(|number| fits && *number < 60)
}

/// A float has a point: `1e3` is a text, `1.0e3` too, `1.0e+3` is a number.
fn float(text: &str) -> Option<f64> {
    let (sign, number) = signed(text);
    let sign = if sign < 0 { -1.0 } else { 1.0 };
    match number {
        ".inf" | ".Inf" | ".INF" => return Some(sign * f64::INFINITY),
        ".nan" | ".NaN" | ".NAN" if number.len() == text.len() => return Some(f64::NAN),
        _ => {}
    }
    let (whole, fraction) = number.split_once('.')?;
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    if let Some((first, rest)) = whole.split_once(':') {
        if !first.starts_with(|char: char| char.is_ascii_digit()) || !is_digits(first) || !is_digits(fraction) {
            return None;
        }
        let mut number: f64 = first.replace('_', "").parse().ok()?;
        let parts: Vec<&str> = rest.split(':').collect();
        for (at, part) in parts.iter().enumerate() {
            base_sixty(part)?;
            let part = if at + 1 == parts.len() {
                format!("{part}.{}", fraction.replace('_', ""))
            } else {
                (*part).to_owned()
            };
            number = number * 60.0 + part.parse::<f64>().ok()?;
        }
        return Some(sign * number);
    }
    let (fraction, exponent) = match fraction.split_once(['e', 'E']) {
        Some((fraction, exponent)) => (fraction, Some(exponent)),
        None => (fraction, None),
    };
    let fits = is_digits(whole)
        && is_digits(fraction)
        && match whole.as_bytes().first() {
            Some(first) => first.is_ascii_digit(),
            // .5 has no sign in front.
            None => number.len() == text.len() && fraction.starts_with(|char: char| char.is_ascii_digit()),
        }
        && exponent.is_none_or(|exponent| {
            exponent
                .strip_prefix(['+', '-'])
                .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
        });
    if !fits {
        return None;
    }
    number.replace('_', "").parse::<f64>().ok().map(|number| sign * number)
}

/// A date, or a date with a time, as Python's `isoformat` writes it.
fn timestamp(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    if bytes.len() < 8 || !bytes[..4].iter().all(u8::is_ascii_digit) || bytes[4] != b'-' {
        return None;
    }
    let end = text.find(['T', 't', ' ', '\t']).unwrap_or(text.len());
    let (date, time) = text.split_at(end);
    let mut parts = date.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    let (month, day) = (short_number(month)?, short_number(day)?);
    let leap = |year: u32| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let number: u32 = year.parse().ok().filter(|year| *year > 0)?;
    let days = match month {
        2 if leap(number) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if parts.next().is_some() || !(1..=days).contains(&day) {
        return None;
    }
    let mut iso = format!("{year}-{month:02}-{day:02}");
    if time.is_empty() {
        return (bytes.len() == 10).then_some(iso);
    }
    let time = match time.as_bytes()[0] {
        b'T' | b't' => &time[1..],
        _ => time.trim_start_matches([' ', '\t']),
    };
    let mut parts = time.splitn(3, ':');
    let (hour, minute, rest) = (short_number(parts.next()?)?, parts.next()?, parts.next()?);
    let (second, mut rest) = rest.split_at_checked(2)?;
    let two = |text: &str| short_number(text).filter(|number| text.len() == 2 && *number < 60);
    let (minute, second) = (two(minute)?, two(second)?);
    if hour > 23 {
        return None;
    }
    // Writing to a String can't fail.
    let _ = write!(iso, "T{hour:02}:{minute:02}:{second:02}");
    if let Some(behind) = rest.strip_prefix('.') {
        let end = behind.find(|char: char| !char.is_ascii_digit()).unwrap_or(behind.len());
        let micros: String = behind[..end].chars().chain("000000".chars()).take(6).collect();
        if micros != "000000" {
            iso.push('.');
            iso.push_str(&micros);
        }
        rest = &behind[end..];
    }
    let zone = rest.trim_start_matches([' ', '\t']);
    match zone {
        "" if rest.is_empty() => {}
        "Z" => iso.push_str("+00:00"),
        _ => {
            let (sign, digits) = zone.split_at_checked(1).filter(|(sign, _)| matches!(*sign, "+" | "-"))?;
            let (hours, minutes) = digits.split_once(':').unwrap_or((digits, "00"));
            let (hours, minutes) = (short_number(hours).filter(|hours| *hours < 24)?, two(minutes)?);
            let sign = if hours == 0 && minutes == 0 { "+" } else { sign };
            let _ = write!(iso, "{sign}{hours:02}:{minutes:02}");
        }
    }
    Some(iso)
}

fn short_number(text: &str) -> Option<u32> {
    let fits = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| fits)
}

/// Base64 of UTF-8; other bytes can't be a variable's value.
fn binary(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0_u32, 0);
    for byte in text.bytes() {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' | b' ' | b'\t' | b'\n' | b'\r' => continue,
            _ => return None,
        };
        bits = bits << 6 | u32::from(digit);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).unwrap_or_default());
        }
    }
    String::from_utf8(bytes).ok()
}

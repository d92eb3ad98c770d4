//! Python literals, which values in INI inventories are: `5986`, `True`, `['a', 'b']`, `{'x': 1}`.
//!
//! What Python's `ast.literal_eval` doesn't take is a text, as it stands. Types that variables don't have become their nearest:
//! tuples and sets are lists, bytes and complex numbers are texts.

use std::sync::Arc;

use crate::value::{Map, Value, float_text};

/// Python refuses to parse more brackets than that in each other.
const MAX_DEPTH: usize = 100;
/// Python refuses to read longer numbers than that.
const MAX_DIGITS: usize = 4_300;

/// The value of a literal; nothing if the text is none.
pub(crate) fn parse(text: &str) -> Option<Value> {
    if text.contains(['\0', '\n', '\r']) {
        return None;
    }
    let text = text.trim_start_matches([' ', '\t']);
    // Most values are plain words: nothing but these begins a literal.
    let begins = |byte: &u8| byte.is_ascii_digit() || b"'\"([{-+.TFNrRuUbBs".contains(byte);
    if !text.as_bytes().first().is_some_and(begins) {
        return None;
    }
    let mut parser = Parser {
        rest: text,
        depth: 0,
        signed: false,
    };
    let value = parser.tuple_or_value()?;
    parser.space();
    parser.rest.is_empty().then(|| value.into_value())
}

/// How JSON (and so Ansible's output) writes a key that is no text.
fn key_of(value: &Value) -> Option<Arc<str>> {
    Some(match value {
        Value::Null => "null".into(),
        Value::Bool(true) => "true".into(),
        Value::Bool(false) => "false".into(),
        Value::Int(number) => number.to_string().into(),
        Value::Float(number) => float_text(*number).into(),
        Value::String(text) | Value::Unsafe(text) | Value::Vaulted(text) => text.clone(),
        Value::List(_) | Value::Map(_) => return None,
    })
}

/// Keys of one map that are numbers: 1, 1.0 and True are the same key, called as the first of them.
#[derive(Debug, Default)]
pub(crate) struct Numbers(Vec<(f64, Arc<str>)>);

impl Numbers {
    /// The text of a key.
    pub(crate) fn key(&mut self, value: &Value) -> Option<Arc<str>> {
        let text = key_of(value)?;
        let number = match value {
            #[expect(clippy::cast_precision_loss, reason = "keys that large are none")]
            Value::Int(number) => *number as f64,
            Value::Float(number) => *number,
            Value::Bool(value) => f64::from(u8::from(*value)),
            _ => return Some(text),
        };
        if let Some((_, known)) = self.0.iter().find(|(known, _)| *known == number) {
            return Some(known.clone());
        }
        self.0.push((number, text.clone()));
        Some(text)
    }
}

/// What a literal holds before it becomes a value: only numbers can be added and negated, and imaginary ones are texts in the end.
enum Literal {
    Value(Value),
    Number(Number),
    Complex(f64, f64),
}

#[derive(Clone, Copy)]
enum Number {
    Int(i64),
    Float(f64),
}

impl Number {
    fn float(self) -> f64 {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "Python loses it too")]
            Self::Int(number) => number as f64,
            Self::Float(number) => number,
        }
    }
}

impl Literal {
    fn into_value(self) -> Value {
        match self {
            Self::Value(value) => value,
            Self::Number(Number::Int(number)) => Value::Int(number),
            Self::Number(Number::Float(number)) => Value::Float(number),
            Self::Complex(real, imaginary) => Value::String(complex_text(real, imaginary).into()),
        }
    }
}

/// Python's `str` of a complex number.
fn complex_text(real: f64, imaginary: f64) -> String {
    let short = |number: f64| {
        let text = float_text(number);
        text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
    };
    if real == 0.0 && real.is_sign_positive() {
        format!("{}j", short(imaginary))
    } else {
        let sign = if imaginary.is_sign_negative() { "" } else { "+" };
        format!("({}{sign}{}j)", short(real), short(imaginary))
    }
}

struct Parser<'a> {
    rest: &'a str,
    depth: usize,
    /// Whether the last number had a sign, inside brackets perhaps.
    signed: bool,
}

impl<'a> Parser<'a> {
    /// Skips blanks, and a comment at the end.
    fn space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\x0c']);
        if self.rest.starts_with('#') {
            self.rest = "";
        }
    }

    fn eat(&mut self, token: char) -> bool {
        self.space();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        self.depth += 1;
        let outcome = if self.depth > MAX_DEPTH { None } else { read(self) };
        self.depth -= 1;
        outcome
    }

    /// The whole text, or what stands in `( )`: a value, or values with commas, which are a tuple.
    fn tuple_or_value(&mut self) -> Option<Literal> {
        let first = self.sum()?;
        self.space();
        if !self.rest.starts_with(',') {
            return Some(first);
        }
        let mut items = vec![first.into_value()];
        while self.eat(',') {
            self.space();
            if self.rest.is_empty() || self.rest.starts_with(')') {
                break;
            }
            items.push(self.sum()?.into_value());
        }
        Some(Literal::Value(Value::List(items)))
    }

    /// `1+2j`: the one sum that is a literal.
    fn sum(&mut self) -> Option<Literal> {
        let left = self.signed()?;
        self.space();
        let sign = match self.rest.as_bytes().first() {
            Some(b'+') => 1.0,
            Some(b'-') => -1.0,
            _ => return Some(left),
        };
        self.rest = &self.rest[1..];
        let right = self.atom()?;
        match (left, right) {
            (Literal::Number(real), Literal::Complex(0.0, imaginary)) if !std::mem::replace(&mut self.signed, true) => {
                Some(Literal::Complex(real.float(), sign * imaginary))
            }
            _ => None,
        }
    }

    /// One sign at most, in front of a number without one.
    fn signed(&mut self) -> Option<Literal> {
        let minus = self.eat('-');
        if !minus && !self.eat('+') {
            return self.atom();
        }
        let number = self.atom()?;
        if std::mem::replace(&mut self.signed, true) {
            return None;
        }
        match (number, minus) {
            (Literal::Value(_), _) => None,
            (number, false) => Some(number),
            (Literal::Number(Number::Int(number)), true) => Some(Literal::Number(match number.checked_neg() {
                Some(number) => Number::Int(number),
                None => Number::Float(-Number::Int(number).float()),
            })),
            (Literal::Number(Number::Float(number)), true) => Some(Literal::Number(Number::Float(-number))),
            (Literal::Complex(real, imaginary), true) => Some(Literal::Complex(-real, -imaginary)),
        }
    }

    fn atom(&mut self) -> Option<Literal> {
        self.space();
        let first = self.rest.chars().next()?;
        match first {
            '(' => {
                self.rest = &self.rest[1..];
                self.deeper(|parser| {
                    if parser.eat(')') {
                        return Some(Literal::Value(Value::List(Vec::new())));
                    }
                    let value = parser.tuple_or_value()?;
                    parser.eat(')').then_some(value)
                })
            }
            '[' => {
                self.rest = &self.rest[1..];
                self.deeper(|parser| parser.items(']'))
                    .map(|items| Literal::Value(Value::List(items)))
            }
            '{' => {
                self.rest = &self.rest[1..];
                self.deeper(Self::map_or_set).map(Literal::Value)
            }
            '0'..='9' | '.' => self.number(),
            _ => self.word(),
        }
    }

    /// Values with commas up to the bracket.
    fn items(&mut self, end: char) -> Option<Vec<Value>> {
        let mut items = Vec::new();
        loop {
            if self.eat(end) {
                return Some(items);
            }
            items.push(self.sum()?.into_value());
            if !self.eat(',') {
                return self.eat(end).then_some(items);
            }
        }
    }

    fn map_or_set(&mut self) -> Option<Value> {
        if self.eat('}') {
            return Some(Value::Map(Map::default()));
        }
        let first = self.sum()?.into_value();
        if !self.eat(':') {
            let mut items = vec![first];
            if self.eat(',') {
                for item in self.items('}')? {
                    if !items.contains(&item) {
                        items.push(item);
                    }
                }
            } else if !self.eat('}') {
                return None;
            }
            let is_hashable = |item: &Value| !matches!(item, Value::List(_) | Value::Map(_));
            return items.iter().all(is_hashable).then_some(Value::List(items));
        }
        let mut map = Map::default();
        let mut numbers = Numbers::default();
        map.insert(numbers.key(&first)?, self.sum()?.into_value());
        loop {
            if !self.eat(',') {
                return self.eat('}').then_some(Value::Map(map));
            }
            if self.eat('}') {
                return Some(Value::Map(map));
            }
            let key = numbers.key(&self.sum()?.into_value())?;
            if !self.eat(':') {
                return None;
            }
            map.insert(key, self.sum()?.into_value());
        }
    }

    /// `True`, `False`, `None`, `set()`, or a text.
    fn word(&mut self) -> Option<Literal> {
        let end = self
            .rest
            .find(|char: char| !char.is_alphanumeric() && char != '_')
            .unwrap_or(self.rest.len());
        let (word, behind) = self.rest.split_at(end);
        if behind.starts_with(['\'', '"']) {
            return self.texts();
        }
        self.rest = behind;
        let value = match word {
            "True" => Value::Bool(true),
            "False" => Value::Bool(false),
            "None" => Value::Null,
            "set" if self.eat('(') && self.eat(')') => Value::List(Vec::new()),
            _ => return None,
        };
        Some(Literal::Value(value))
    }

    fn number(&mut self) -> Option<Literal> {
        self.signed = false;
        if let Some(rest) = self.rest.strip_prefix("...") {
            self.rest = rest;
            return Some(Literal::Value(Value::String("...".into())));
        }
        let is_part = |at: usize, char: char| {
            // A sign belongs to the number behind an exponent's letter only.
            char.is_ascii_alphanumeric()
                || matches!(char, '.' | '_')
                || (matches!(char, '+' | '-')
                    && self.rest[..at].ends_with(['e', 'E'])
                    && !self.rest.starts_with("0x")
                    && !self.rest.starts_with("0X"))
        };
        let end = self
            .rest
            .char_indices()
            .find(|(at, char)| !is_part(*at, *char))
            .map_or(self.rest.len(), |(at, _)| at);
        let (token, behind) = self.rest.split_at(end);
        self.rest = behind;
        if token.len() > MAX_DIGITS || token.contains("__") || token.ends_with('_') {
            return None;
        }
        let lower = token.to_ascii_lowercase();
        for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
            if let Some(digits) = lower.strip_prefix(prefix) {
                return int(&digits.replace('_', ""), radix).map(Literal::Number);
            }
        }
        if lower.starts_with('_') || lower.contains("_.") || lower.contains("._") || lower.contains("_e") || lower.contains("e_") {
            return None;
        }
        let (digits, imaginary) = match lower.strip_suffix('j') {
            Some(digits) => (digits.replace('_', ""), true),
            None => (lower.replace('_', ""), false),
        };
        if !digits
            .bytes()
            .all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'+' | b'-'))
            || digits == "."
        {
            return None;
        }
        if imaginary {
            return digits.parse().ok().map(|imaginary| Literal::Complex(0.0, imaginary));
        }
        let number = if digits.bytes().all(|byte| byte.is_ascii_digit()) {
            // 007 was octal once; Python refuses it, and takes 000.
            if digits.len() > 1 && digits.starts_with('0') && digits.bytes().any(|byte| byte != b'0') {
                return None;
            }
            int(&digits, 10)?
        } else {
            Number::Float(digits.parse().ok()?)
        };
        Some(Literal::Number(number))
    }

    /// Texts beside each other are one.
    fn texts(&mut self) -> Option<Literal> {
        let (mut text, bytes) = self.text()?;
        loop {
            self.space();
            let prefix = self.rest.find(['\'', '"']).unwrap_or(usize::MAX);
            if prefix > 2 || !self.rest[..prefix].chars().all(|char| char.is_ascii_alphabetic()) {
                let text = text.into();
                // Ansible takes no templates from bytes.
                return Some(Literal::Value(if bytes { Value::Unsafe(text) } else { Value::String(text) }));
            }
            let (more, is_bytes) = self.text()?;
            if bytes != is_bytes {
                return None;
            }
            text.push_str(&more);
        }
    }

    fn text(&mut self) -> Option<(String, bool)> {
        let quote_at = self.rest.find(['\'', '"'])?;
        let (raw, bytes) = match self.rest[..quote_at].to_ascii_lowercase().as_str() {
            "" | "u" => (false, false),
            "r" => (true, false),
            "b" => (false, true),
            "br" | "rb" => (true, true),
            _ => return None,
        };
        let rest = &self.rest[quote_at..];
        let quote = &rest[..1];
        let triple = quote.repeat(3);
        let quote = if rest.starts_with(&triple) { triple.as_str() } else { quote };
        let mut rest = &rest[quote.len()..];
        let mut text = String::new();
        let mut octets: Vec<u8> = Vec::new();
        loop {
            if let Some(behind) = rest.strip_prefix(quote) {
                self.rest = behind;
                if bytes {
                    text = String::from_utf8(octets).ok()?;
                }
                return Some((text, bytes));
            }
            let char = rest.chars().next()?;
            rest = &rest[char.len_utf8()..];
            if bytes && !char.is_ascii() {
                return None;
            }
            let mut push = |char: char| {
                if bytes {
                    // Escapes of bytes end at \xff.
                    octets.push(u8::try_from(u32::from(char)).unwrap_or(b'?'));
                } else {
                    text.push(char);
                }
            };
            if char != '\\' {
                push(char);
            } else if raw {
                push('\\');
                let next = rest.chars().next()?;
                rest = &rest[next.len_utf8()..];
                push(next);
            } else {
                rest = escape(rest, bytes, &mut push)?;
            }
        }
    }
}

fn int(digits: &str, radix: u32) -> Option<Number> {
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    Some(match i64::from_str_radix(digits, radix) {
        Ok(number) => Number::Int(number),
        Err(_) => Number::Float(
            digits
                .chars()
                .filter_map(|digit| digit.to_digit(radix))
                .fold(0.0, |number, digit| number * f64::from(radix) + f64::from(digit)),
        ),
    })
}

/// Reads what stands behind a backslash, and gives what stands behind that.
fn escape<'a>(rest: &'a str, bytes: bool, push: &mut impl FnMut(char)) -> Option<&'a str> {
    let char = rest.chars().next()?;
    let behind = &rest[char.len_utf8()..];
    let hexadecimal = |digits: usize, push: &mut dyn FnMut(char)| {
        let number = u32::from_str_radix(
            behind
                .get(..digits)
                .filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()))?,
            16,
        )
        .ok()?;
        push(char::from_u32(number)?);
        behind.get(digits..)
    };
    let plain = match char {
        '\\' | '\'' | '"' => char,
        'a' => '\x07',
        'b' => '\x08',
        'f' => '\x0c',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\x0b',
        '0'..='7' => {
            let end = rest.bytes().take(3).take_while(|byte| (b'0'..=b'7').contains(byte)).count();
            let number = u32::from_str_radix(&rest[..end], 8).ok()?;
            push(char::from_u32(if bytes { number & 0xff } else { number })?);
            return Some(&rest[end..]);
        }
        'x' => return hexadecimal(2, push),
        'u' if !bytes => return hexadecimal(4, push),
        'U' if !bytes => return hexadecimal(8, push),
        // Names of characters would take their whole table.
        'N' if !bytes => return None,
        char => {
            push('\\');
            char
        }
    };
    push(plain);
    Some(behind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        parse(text).map_or_else(|| "text".to_owned(), |value| format!("{value:?}"))
    }

    #[test]
    fn literals_are_values_and_the_rest_is_text() {
        for (text, value) in [
            ("5986", "Int(5986)"),
            ("-1", "Int(-1)"),
            ("0x1F", "Int(31)"),
            ("0o17", "Int(15)"),
            ("1_000", "Int(1000)"),
            ("000", "Int(0)"),
            ("1.50", "Float(1.5)"),
            ("1e3", "Float(1000.0)"),
            (".5", "Float(0.5)"),
            ("True", "Bool(true)"),
            ("None", "Null"),
            ("'a' \"b\" # c", "String(\"ab\")"),
            ("1 # c", "Int(1)"),
            (r"'\x41\u00e9\101\d'", "String(\"Aé\\u{1}\\\\d\")".replace("\\u{1}", "A").as_str()),
            (r"r'\n'", "String(\"\\\\n\")"),
            ("b'x'", "Unsafe(\"x\")"),
            ("-(5)", "Int(-5)"),
            ("'''a'b'''", "String(\"a'b\")"),
            ("1,2", "List([Int(1), Int(2)])"),
            ("(1,)", "List([Int(1)])"),
            ("()", "List([])"),
            ("[1, 'a', ]", "List([Int(1), String(\"a\")])"),
            ("{1, 1}", "List([Int(1)])"),
            ("1+2j", "String(\"(1+2j)\")"),
            ("...", "String(\"...\")"),
        ] {
            assert_eq!(shown(text), value, "{text}");
        }
        for text in [
            "true",
            "yes",
            "007",
            "1__0",
            "1_",
            "a",
            "",
            "ntlm,basic",
            "1.2.3.4",
            "[1",
            "{'a'}x",
            "'a",
            "f'a'",
            "1 2",
            "[a]",
            "{[1]: 2}",
            "1;2",
            "'a'b",
            "--1-",
            "--1",
            "-(-1)",
            "1+1",
            "0x",
            "'a' 1",
            r"'\xzz'",
            r"C:\x",
            "'a' b'c'",
            ",",
            "1,,2",
            "{1:2,,}",
            "10.0.0.1",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse(&"[".repeat(100_000)), None);
        assert_eq!(parse(&"-".repeat(100_000)), None);
    }

    #[test]
    fn maps_keep_their_order_and_their_keys_are_texts() {
        let Some(Value::Map(map)) = parse("{'b': 1, 2: None, True: [1], 1.5: {}}") else {
            panic!("no map")
        };
        let keys: Vec<&str> = map.keys().map(|key| &**key).collect();
        assert_eq!(keys, ["b", "2", "true", "1.5"]);
    }

    #[test]
    fn floats_are_written_as_python_writes_them() {
        for (number, text) in [
            (1.0, "1.0"),
            (1e16, "1e+16"),
            (1.5e-7, "1.5e-07"),
            (1e15, "1000000000000000.0"),
            (0.0001, "0.0001"),
            (1e-5, "1e-05"),
            (-2.5e300, "-2.5e+300"),
        ] {
            assert_eq!(float_text(number), text);
        }
    }
}

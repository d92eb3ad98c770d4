//! Ansible's filters, tests and lookups, where Jinja2's own don't suffice.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use fancy_regex::{Regex, RegexBuilder};
use minijinja::value::{Kwargs, Rest, Value as Jinja};
use minijinja::{Environment, Error, ErrorKind, State};

use super::absent::Absent;
use super::engine::{ours, scope};
use super::lazy::jinja;
use super::python;
use crate::value::{Map, Origin, Value};

/// What a regular expression has found in a text.
type Captures<'t> = fancy_regex::Captures<'t, str>;

/// The longest file that a lookup reads, in bytes.
const FILE: u64 = 1 << 20;

/// Adds all of them.
pub(super) fn add_to(environment: &mut Environment<'static>) {
    environment.add_filter("default", default);
    environment.add_filter("d", default);
    environment.add_filter("mandatory", mandatory);
    environment.add_filter("ternary", ternary);
    environment.add_filter("bool", boolean);
    environment.add_filter("string", |value: &Jinja| Ok::<_, Error>(python::string(&ours(value)?)));
    environment.add_filter("int", int);
    environment.add_filter("float", float);
    environment.add_filter("join", join);
    environment.add_filter("split", split);
    environment.add_filter("splitlines", |text: &str| text.lines().map(Jinja::from).collect::<Jinja>());
    environment.add_filter("trim", |text: &Jinja, characters: Option<&str>| {
        let text = python::text(&ours(text)?);
        Ok::<_, Error>(match characters {
            Some(characters) => text.trim_matches(|character| characters.contains(character)).to_owned(),
            None => text.trim().to_owned(),
        })
    });
    environment.add_filter("regex_replace", regex_replace);
    environment.add_filter("regex_search", regex_search);
    environment.add_filter("regex_findall", regex_findall);
    environment.add_filter("regex_escape", |text: &str| fancy_regex::escape(text).into_owned());
    environment.add_filter("b64encode", |text: &str| base64::engine::general_purpose::STANDARD.encode(text));
    environment.add_filter("b64decode", b64decode);
    environment.add_filter("basename", |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned());
    environment.add_filter("dirname", dirname);
    environment.add_filter("win_basename", |path: &str| {
        path.rsplit(['/', '\\']).next().unwrap_or_default().to_owned()
    });
    environment.add_filter("win_dirname", win_dirname);
    environment.add_filter("to_json", |value: &Jinja, options: Kwargs| json(value, None, &options));
    environment.add_filter("to_nice_json", |value: &Jinja, options: Kwargs| json(value, Some(4), &options));
    environment.add_filter("from_json", from_json);
    environment.add_filter("quote", quote);
    environment.add_filter("combine", combine);
    environment.add_filter("flatten", flatten);
    environment.add_filter("dict2items", dict2items);
    environment.add_filter("items2dict", items2dict);
    environment.add_filter("union", |a: &Jinja, b: &Jinja| sets(a, b, |in_a, in_b| in_a || in_b));
    environment.add_filter("intersect", |a: &Jinja, b: &Jinja| sets(a, b, |in_a, in_b| in_a && in_b));
    environment.add_filter("difference", |a: &Jinja, b: &Jinja| sets(a, b, |in_a, in_b| in_a && !in_b));
    environment.add_filter("symmetric_difference", |a: &Jinja, b: &Jinja| sets(a, b, |in_a, in_b| in_a != in_b));
    environment.add_filter("unique", |list: &Jinja| sets(list, &Jinja::from(Vec::<Jinja>::new()), |_, _| true));
    environment.add_filter("type_debug", type_debug);
    environment.add_test("defined", |value: &Jinja| !Absent::is(value));
    environment.add_test("undefined", Absent::is);
    environment.add_test("match", |text: &Jinja, pattern: &str, options: Kwargs| {
        tested(text, pattern, &options, Place::Start)
    });
    environment.add_test("search", |text: &Jinja, pattern: &str, options: Kwargs| {
        tested(text, pattern, &options, Place::Anywhere)
    });
    environment.add_test("regex", |text: &Jinja, pattern: &str, options: Kwargs| {
        tested(text, pattern, &options, Place::Anywhere)
    });
    environment.add_test("contains", |list: &Jinja, item: &Jinja| contains(list, item));
    environment.add_test("subset", |a: &Jinja, b: &Jinja| {
        Ok::<_, Error>(items(a)?.iter().all(|item| holds(b, item)))
    });
    environment.add_test("superset", |a: &Jinja, b: &Jinja| {
        Ok::<_, Error>(items(b)?.iter().all(|item| holds(a, item)))
    });
    environment.add_test("truthy", |value: &Jinja| value.is_true());
    environment.add_test("falsy", |value: &Jinja| !value.is_true());
    environment.add_function("lookup", lookup);
    environment.add_function("query", query);
    environment.add_function("q", query);
    environment.add_function("undef", undef);
}

fn refuse(reason: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, reason.into())
}

fn default(value: &Jinja, otherwise: Option<&Jinja>, boolean: Option<&Jinja>, options: Kwargs) -> Result<Jinja, Error> {
    let named: Option<Jinja> = options.get("default_value")?;
    let truth: Option<Jinja> = options.get("boolean")?;
    options.assert_all_used()?;
    let otherwise = otherwise.cloned().or(named).unwrap_or_else(|| Jinja::from(""));
    let by_truth = boolean.cloned().or(truth).is_some_and(|boolean| boolean.is_true());
    Ok(if Absent::is(value) || (by_truth && !value.is_true()) {
        otherwise
    } else {
        value.clone()
    })
}

fn mandatory(value: &Jinja, message: Option<&str>) -> Result<Jinja, Error> {
    if !Absent::is(value) {
        return Ok(value.clone());
    }
    match message {
        Some(message) => Err(refuse(message)),
        None => {
            Absent::needed(value);
            Err(Error::from(ErrorKind::UndefinedError))
        }
    }
}

fn ternary(value: &Jinja, yes: &Jinja, no: &Jinja, none: Option<&Jinja>) -> Jinja {
    match none {
        Some(none) if value.is_none() => none.clone(),
        _ if value.is_true() => yes.clone(),
        _ => no.clone(),
    }
}

fn boolean(value: &Jinja) -> Result<Jinja, Error> {
    let value = ours(value)?;
    Ok(match &value {
        Value::Null => Jinja::from(()),
        Value::Bool(value) => Jinja::from(*value),
        other => {
            let text = python::text(other).to_lowercase();
            Jinja::from(["y", "yes", "on", "1", "true", "t", "1.0"].contains(&text.as_str()))
        }
    })
}

fn int(value: &Jinja, default: Option<i64>, base: Option<u32>, options: Kwargs) -> Result<i64, Error> {
    let default = default.or(options.get("default")?);
    let base = base.or(options.get("base")?);
    options.assert_all_used()?;
    let default = default.unwrap_or(0);
    Ok(match ours(value)? {
        Value::Int(number) => number,
        Value::Bool(value) => i64::from(value),
        // From a float on, as Python: towards zero.
        Value::Float(number) if number.is_finite() => number as i64,
        Value::String(text) | Value::Unsafe(text) => {
            let text = text.trim();
            let base = base.filter(|base| (2..=36).contains(base)).unwrap_or(10);
            let digits = match base {
                16 => text.trim_start_matches("0x").trim_start_matches("0X"),
                8 => text.trim_start_matches("0o"),
                2 => text.trim_start_matches("0b"),
                _ => text,
            };
            let whole = i64::from_str_radix(digits, base).ok();
            whole
                .or_else(|| {
                    text.parse::<f64>()
                        .ok()
                        .filter(|number| number.is_finite())
                        .map(|number| number as i64)
                })
                .unwrap_or(default)
        }
        _ => default,
    })
}

fn float(value: &Jinja, default: Option<f64>, options: Kwargs) -> Result<f64, Error> {
    let default = default.or(options.get("default")?);
    options.assert_all_used()?;
    Ok(match ours(value)? {
        Value::Int(number) => number as f64,
        Value::Float(number) => number,
        Value::Bool(value) => f64::from(u8::from(value)),
        Value::String(text) | Value::Unsafe(text) => text.trim().parse().unwrap_or(default.unwrap_or(0.0)),
        _ => default.unwrap_or(0.0),
    })
}

fn items(value: &Jinja) -> Result<Vec<Jinja>, Error> {
    Absent::needed(value);
    let items = value.try_iter()?;
    Ok(items.take(100_000).collect())
}

fn join(list: &Jinja, separator: Option<&str>, attribute: Option<&str>, options: Kwargs) -> Result<String, Error> {
    let named: (Option<String>, Option<String>) = (options.get("d")?, options.get("attribute")?);
    options.assert_all_used()?;
    let separator = separator.or(named.0.as_deref()).unwrap_or_default();
    let attribute = attribute.or(named.1.as_deref());
    joined(list, separator, attribute)
}

fn joined(list: &Jinja, separator: &str, attribute: Option<&str>) -> Result<String, Error> {
    let mut texts = Vec::new();
    for item in items(list)? {
        let item = match attribute {
            Some(name) => item.get_attr(name)?,
            None => item,
        };
        texts.push(python::string(&ours(&item)?));
    }
    Ok(texts.join(separator))
}

fn split(text: &str, separator: Option<&str>, most: Option<usize>) -> Result<Jinja, Error> {
    Ok(match (separator, most) {
        (None, None) => text.split_whitespace().map(Jinja::from).collect(),
        (None, Some(most)) => {
            let mut rest = text.trim_start();
            let mut words = Vec::new();
            while words.len() < most && !rest.is_empty() {
                let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                words.push(Jinja::from(&rest[..end]));
                rest = rest[end..].trim_start();
            }
            if !rest.is_empty() {
                words.push(Jinja::from(rest.trim_end()));
            }
            Jinja::from(words)
        }
        (Some(""), _) => return Err(refuse("the separator of split is empty")),
        (Some(separator), None) => text.split(separator).map(Jinja::from).collect(),
        (Some(separator), Some(most)) => text.splitn(most.saturating_add(1), separator).map(Jinja::from).collect(),
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Start,
    Anywhere,
}

/// A regular expression as Python writes them.
fn expression(pattern: &str, options: &Kwargs, place: Place) -> Result<Regex, Error> {
    let ignore_case: Option<bool> = options.get("ignorecase")?;
    let multi_line: Option<bool> = options.get("multiline")?;
    let pattern = match place {
        Place::Start => format!("^(?:{pattern})"),
        Place::Anywhere => pattern.to_owned(),
    };
    RegexBuilder::new(&pattern)
        .case_insensitive(ignore_case.unwrap_or(false))
        .multi_line(multi_line.unwrap_or(false) && place == Place::Anywhere)
        .delegate_size_limit(1 << 20)
        .backtrack_limit(100_000)
        .build()
        .map_err(|error| refuse(format!("the regular expression {pattern:?}: {error}")))
}

fn too_much(error: fancy_regex::Error) -> Error {
    refuse(format!("the regular expression: {error}"))
}

fn tested(text: &Jinja, pattern: &str, options: &Kwargs, place: Place) -> Result<bool, Error> {
    let expression = expression(pattern, options, place)?;
    expression.is_match(&python::text(&ours(text)?)).map_err(too_much)
}

fn regex_replace(text: &Jinja, pattern: &str, replacement: &str, options: Kwargs) -> Result<String, Error> {
    let expression = expression(pattern, &options, Place::Anywhere)?;
    let count: Option<usize> = options.get("count")?;
    options.assert_all_used()?;
    let text = python::text(&ours(text)?);
    let replaced = expression.try_replacen(text.as_str(), count.unwrap_or(0), |captures: &Captures<'_>| {
        expanded(replacement, captures)
    });
    replaced.map(|text| text.into_owned()).map_err(too_much)
}

/// A replacement of Python's: `\1`, `\g<1>`, `\g<name>`, `\n`.
fn expanded(replacement: &str, captures: &Captures<'_>) -> String {
    let mut out = String::new();
    let mut rest = replacement;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(group) = rest.strip_prefix("g<").and_then(|rest| rest.split_once('>')) {
            let (name, after) = group;
            let found = match name.parse() {
                Ok(index) => captures.get(index),
                Err(_) => captures.name(name),
            };
            out.push_str(found.map_or("", |found| found.as_str()));
            rest = after;
            continue;
        }
        let mut characters = rest.chars();
        match characters.next() {
            Some(digit) if digit.is_ascii_digit() => {
                let end = rest
                    .find(|character: char| !character.is_ascii_digit())
                    .unwrap_or(rest.len())
                    .min(2);
                let index = rest[..end].parse().unwrap_or(0);
                out.push_str(captures.get(index).map_or("", |found| found.as_str()));
                rest = &rest[end..];
                continue;
            }
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some('\\') => out.push('\\'),
            Some(other) => {
                out.push('\\');
                out.push(other);
            }
            None => out.push('\\'),
        }
        rest = characters.as_str();
    }
    out.push_str(rest);
    out
}

fn regex_search(text: &Jinja, pattern: &str, groups: Rest<Jinja>, options: Kwargs) -> Result<Jinja, Error> {
    let expression = expression(pattern, &options, Place::Anywhere)?;
    let text = python::text(&ours(text)?);
    let Some(captures) = expression.captures(text.as_str()).map_err(too_much)? else {
        return Ok(Jinja::from(()));
    };
    if groups.is_empty() {
        return Ok(Jinja::from(captures.get(0).map_or("", |found| found.as_str())));
    }
    let found = groups.iter().map(|group| {
        let name = group.as_str().unwrap_or_default();
        let found = if let Some(name) = name.strip_prefix("\\g<").and_then(|name| name.strip_suffix('>')) {
            captures.name(name).or_else(|| captures.get(name.parse().ok()?))
        } else {
            let index = name.strip_prefix('\\').and_then(|digits| digits.parse().ok());
            captures.get(index.ok_or_else(|| refuse("a group is written '\\\\1' or '\\\\g<name>'"))?)
        };
        Ok(found.map_or(Jinja::from(()), |found| Jinja::from(found.as_str())))
    });
    found.collect::<Result<Vec<Jinja>, Error>>().map(Jinja::from)
}

fn regex_findall(text: &Jinja, pattern: &str, options: Kwargs) -> Result<Jinja, Error> {
    let expression = expression(pattern, &options, Place::Anywhere)?;
    let text = python::text(&ours(text)?);
    let group = |captures: &Captures<'_>, index| Jinja::from(captures.get(index).map_or("", |found| found.as_str()));
    let found = expression.captures_iter(text.as_str()).map(|captures| {
        let captures = captures.map_err(too_much)?;
        Ok(match captures.len() {
            1 => group(&captures, 0),
            2 => group(&captures, 1),
            all => (1..all).map(|index| group(&captures, index)).collect(),
        })
    });
    found.collect::<Result<Vec<Jinja>, Error>>().map(Jinja::from)
}

fn b64decode(text: &str) -> Result<String, Error> {
    let digits: String = text.split_ascii_whitespace().collect();
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(digits)
        .map_err(|error| refuse(format!("b64decode: {error}")))?;
    String::from_utf8(bytes).map_err(|_| refuse("b64decode: the decoded bytes are not valid UTF-8"))
}

fn dirname(path: &str) -> String {
    let folder = path.rfind('/').map_or("", |at| &path[..=at]);
    let trimmed = folder.trim_end_matches('/');
    if trimmed.is_empty() { folder } else { trimmed }.to_owned()
}

fn win_dirname(path: &str) -> String {
    let folder = path.rfind(['/', '\\']).map_or("", |at| &path[..=at]);
    let trimmed = folder.trim_end_matches(['/', '\\']);
    if trimmed.is_empty() || trimmed.ends_with(':') {
        folder
    } else {
        trimmed
    }
    .to_owned()
}

fn json(value: &Jinja, indent: Option<usize>, options: &Kwargs) -> Result<String, Error> {
    let indent = options.get::<Option<usize>>("indent")?.or(indent);
    let sort = options.get::<Option<bool>>("sort_keys")?.unwrap_or(indent.is_some());
    Ok(python::json(&ours(value)?, indent.filter(|indent| *indent < 64), sort))
}

fn from_json(text: &str) -> Result<Jinja, Error> {
    let value: serde_json::Value = serde_json::from_str(text).map_err(|error| refuse(format!("from_json: {error}")))?;
    Ok(jinja(&Value::from_json(&value)))
}

fn quote(text: &Jinja) -> Result<String, Error> {
    let text = python::text(&ours(text)?);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"@%+=:,./-_".contains(&byte);
    Ok(if !text.is_empty() && text.bytes().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', "'\"'\"'"))
    })
}

fn map_of(value: &Jinja) -> Result<Map, Error> {
    match ours(value)? {
        Value::Map(map) => Ok(map),
        other => Err(refuse(format!("{} is no dictionary", python::text(&other)))),
    }
}

fn combine(first: &Jinja, others: Rest<Jinja>, options: Kwargs) -> Result<Jinja, Error> {
    let recursive: Option<bool> = options.get("recursive")?;
    let mut map = map_of(first)?;
    for other in others.iter() {
        merge(&mut map, map_of(other)?, recursive.unwrap_or(false));
    }
    Ok(jinja(&Value::Map(map)))
}

fn merge(map: &mut Map, other: Map, recursive: bool) {
    for (name, value) in other {
        match (map.get_mut(&name), value) {
            (Some(Value::Map(inner)), Value::Map(value)) if recursive => merge(inner, value, true),
            (_, value) => {
                map.insert(name, value);
            }
        }
    }
}

fn flatten(list: &Jinja, options: Kwargs) -> Result<Jinja, Error> {
    fn into(out: &mut Vec<Value>, value: Value, levels: usize) {
        match value {
            Value::List(items) if levels > 0 => items.into_iter().for_each(|item| into(out, item, levels - 1)),
            Value::Null => {}
            other => out.push(other),
        }
    }
    let levels: Option<usize> = options.get("levels")?;
    let mut out = Vec::new();
    into(&mut out, ours(list)?, levels.map_or(64, |levels| levels.min(64) + 1));
    Ok(jinja(&Value::List(out)))
}

fn dict2items(value: &Jinja, options: Kwargs) -> Result<Jinja, Error> {
    let key: Option<String> = options.get("key_name")?;
    let item: Option<String> = options.get("value_name")?;
    let (key, item): (Arc<str>, Arc<str>) = (key.as_deref().unwrap_or("key").into(), item.as_deref().unwrap_or("value").into());
    let entries = map_of(value)?.into_iter().map(|(name, value)| {
        let pair = [(key.clone(), Value::String(name)), (item.clone(), value)];
        Value::Map(pair.into_iter().collect())
    });
    Ok(jinja(&Value::List(entries.collect())))
}

fn items2dict(list: &Jinja, options: Kwargs) -> Result<Jinja, Error> {
    let key: Option<String> = options.get("key_name")?;
    let item: Option<String> = options.get("value_name")?;
    let (key, item) = (key.as_deref().unwrap_or("key"), item.as_deref().unwrap_or("value"));
    let mut map = Map::new();
    for entry in items(list)? {
        let entry = map_of(&entry)?;
        let (Some(name), Some(value)) = (entry.get(key), entry.get(item)) else {
            return Err(refuse(format!("items2dict: an item has no {key:?} or no {item:?}")));
        };
        map.insert(python::text(name).into(), value.clone());
    }
    Ok(jinja(&Value::Map(map)))
}

/// The items of both lists, each once, as far as they are wanted.
fn sets(a: &Jinja, b: &Jinja, wanted: impl Fn(bool, bool) -> bool) -> Result<Jinja, Error> {
    let (a, b) = (items(a)?, items(b)?);
    let shown = |item: &Jinja| {
        let mut text = String::new();
        python::repr(&mut text, &ours(item)?);
        Ok::<_, Error>(text)
    };
    let in_a: BTreeSet<String> = a.iter().map(shown).collect::<Result<_, _>>()?;
    let in_b: BTreeSet<String> = b.iter().map(shown).collect::<Result<_, _>>()?;
    let mut seen = BTreeSet::new();
    let mut out = Vec::new();
    for item in a.into_iter().chain(b) {
        let text = shown(&item)?;
        if wanted(in_a.contains(&text), in_b.contains(&text)) && seen.insert(text) {
            out.push(item);
        }
    }
    Ok(Jinja::from(out))
}

fn holds(list: &Jinja, item: &Jinja) -> bool {
    list.try_iter().is_ok_and(|mut items| items.any(|known| known == *item))
}

fn contains(list: &Jinja, item: &Jinja) -> Result<bool, Error> {
    match (list.as_str(), item.as_str()) {
        (Some(text), Some(part)) => Ok(text.contains(part)),
        _ => Ok(items(list)?.contains(item)),
    }
}

fn type_debug(value: &Jinja) -> Result<&'static str, Error> {
    Ok(match ours(value)? {
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Int(_) => "int",
        Value::Float(_) => "float",
        Value::List(_) => "list",
        Value::Map(_) => "dict",
        _ => "str",
    })
}

fn undef(hint: Option<&str>, options: Kwargs) -> Result<Jinja, Error> {
    let named: Option<String> = options.get("hint")?;
    Err(refuse(hint.map(str::to_owned).or(named).unwrap_or_else(|| "undefined".to_owned())))
}

fn lookup(state: &State<'_, '_>, name: &str, terms: Rest<Jinja>, options: Kwargs) -> Result<Jinja, Error> {
    let wants_list = options.get::<Option<bool>>("wantlist")?.unwrap_or(false);
    let found = looked_up(state, name, &terms, &options)?;
    if wants_list {
        return Ok(Jinja::from(found));
    }
    match <[Jinja; 1]>::try_from(found) {
        Ok([one]) => Ok(one),
        Err(several) => joined(&Jinja::from(several), ",", None).map(Jinja::from),
    }
}

fn query(state: &State<'_, '_>, name: &str, terms: Rest<Jinja>, options: Kwargs) -> Result<Jinja, Error> {
    looked_up(state, name, &terms, &options).map(Jinja::from)
}

fn looked_up(state: &State<'_, '_>, name: &str, terms: &[Jinja], options: &Kwargs) -> Result<Vec<Jinja>, Error> {
    let default: Option<Jinja> = options.get("default")?;
    let name = name.strip_prefix("ansible.builtin.").unwrap_or(name);
    let terms = terms
        .iter()
        .map(|term| Ok(python::text(&ours(term)?)))
        .collect::<Result<Vec<String>, Error>>()?;
    let each = terms.iter().map(|term| match name {
        "env" => Ok(match std::env::var(term) {
            Ok(value) => Jinja::from(value),
            Err(_) => default.clone().unwrap_or_else(|| Jinja::from("")),
        }),
        "file" => file(state, term),
        "vars" => {
            let found = state.lookup(term).filter(|value| !Absent::is(value));
            found
                .or_else(|| default.clone())
                .ok_or_else(|| refuse(format!("there is no variable {term:?}")))
        }
        other => Err(refuse(format!("there is no lookup {other:?} here; there are env, file and vars"))),
    });
    each.collect()
}

/// The file's text without the line breaks at its end, decrypted if need be. It is looked for in `files/`, then in the working directory.
fn file(state: &State<'_, '_>, name: &str) -> Result<Jinja, Error> {
    let path = Path::new(name);
    let home = name.strip_prefix("~/").and_then(|rest| Some(std::env::home_dir()?.join(rest)));
    let places = [home.unwrap_or_else(|| Path::new("files").join(path)), PathBuf::from(path)];
    let unread = |reason: &str| refuse(format!("lookup('file', {name:?}): {reason}"));
    let path = places
        .into_iter()
        .find(|place| place.is_file())
        .ok_or_else(|| unread("there is no such file"))?;
    let mut bytes = zeroize::Zeroizing::new(Vec::new());
    let opened = std::fs::File::open(&path).map_err(|error| unread(&error.to_string()))?;
    opened
        .take(FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| unread(&error.to_string()))?;
    if bytes.len() as u64 > FILE {
        return Err(unread("it is larger than 1 MiB"));
    }
    if crate::Vault::is_encrypted(&bytes) {
        let place = Origin::File {
            path: path.into(),
            line: 0,
        };
        let plain = scope(state)?.templar.vault.decrypt(&bytes, &place);
        bytes = plain.map_err(|error| {
            let error = super::TemplateError::Vault(error);
            refuse(error.to_string()).with_source(error)
        })?;
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| unread("it is not valid UTF-8"))?;
    Ok(Jinja::from(text.trim_end()))
}

impl Value {
    /// A JSON value. Whole numbers beyond 64 bits become floats.
    pub(crate) fn from_json(value: &serde_json::Value) -> Self {
        match value {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(value) => Self::Bool(*value),
            serde_json::Value::Number(number) => match number.as_i64() {
                Some(number) => Self::Int(number),
                None => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            serde_json::Value::String(text) => Self::String(text.as_str().into()),
            serde_json::Value::Array(items) => Self::List(items.iter().map(Self::from_json).collect()),
            serde_json::Value::Object(map) => Self::Map(
                map.iter()
                    .map(|(name, item)| (name.as_str().into(), Self::from_json(item)))
                    .collect(),
            ),
        }
    }
}

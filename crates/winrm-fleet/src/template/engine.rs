//! minijinja, made to behave as Ansible's Jinja2.

use std::borrow::Cow;
use std::error::Error as _;
use std::io;
use std::sync::{Arc, OnceLock};

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Object, ObjectRepr, Value as Jinja};
use minijinja::{Environment, Error, ErrorKind, Output, State, UndefinedBehavior};

use super::absent::{Absent, Used};
use super::error::Source;
use super::lazy::{self, Root, Scope, Untaken};
use super::{TemplateError, filters, python};
use crate::value::{Origin, Value};

/// How many steps a template may take, and how long what it renders to may be, in bytes.
const FUEL: u64 = 500_000;
const OUTPUT: usize = 4 << 20;

/// What the variable `omit` holds: whoever gets it is to go without a value.
#[derive(Debug)]
struct Omit;

impl Object for Omit {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }
}

pub(super) fn omit() -> Jinja {
    Jinja::from_object(Omit)
}

pub(super) fn is_omit(value: &Jinja) -> bool {
    value.downcast_object_ref::<Omit>().is_some()
}

/// Functions of the engine: names that are no variables and yet known.
const FUNCTIONS: &[&str] = &["lookup", "query", "q", "range", "dict", "namespace", "undef"];

pub(super) fn knows(name: &str) -> bool {
    FUNCTIONS.contains(&name)
}

fn environment() -> &'static Environment<'static> {
    static ENVIRONMENT: OnceLock<Environment<'static>> = OnceLock::new();
    ENVIRONMENT.get_or_init(|| {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).build().unwrap_or_default());
        environment.set_fuel(Some(FUEL));
        environment.set_recursion_limit(100);
        environment.set_debug(false);
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment.set_formatter(emit);
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        filters::add_to(&mut environment);
        environment
    })
}

/// What `{{ }}` has put into a text so far.
#[derive(Default)]
struct Emitted {
    count: usize,
    /// The first value, and what was written for it.
    first: Option<(Jinja, String)>,
}

fn emit(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Jinja) -> Result<(), Error> {
    let text = match value.as_str() {
        Some(text) => text.to_owned(),
        None if Absent::is(value) => {
            Absent::needed(value);
            return Err(Error::from(ErrorKind::UndefinedError));
        }
        None if is_omit(value) => String::new(),
        None => python::text(&ours(value)?),
    };
    let emitted = state.get_or_insert_extension(Emitted::default());
    emitted.count += 1;
    emitted.first = (emitted.count == 1).then(|| (value.clone(), text.clone()));
    out.write_str(&text).map_err(Error::from)
}

/// A value of the engine as one of ours.
pub(super) fn ours(value: &Jinja) -> Result<Value, Error> {
    lazy::taken(value).map_err(|untaken| match untaken {
        Untaken::Undefined => Error::from(ErrorKind::UndefinedError),
        Untaken::Template(error) => Error::new(ErrorKind::InvalidOperation, error.to_string()).with_source(error),
        Untaken::Reason(reason) => Error::new(ErrorKind::InvalidOperation, reason),
    })
}

/// What the root gives to filters and functions that have to know whose template runs. No template can write this name.
pub(super) const SCOPE: &str = "\0scope";

/// The scope of the template that runs.
pub(super) fn scope(state: &State<'_, '_>) -> Result<Scope, Error> {
    let scope = state.lookup(SCOPE).and_then(|scope| scope.downcast_object_ref::<Scope>().cloned());
    scope.ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "there is no host to look at"))
}

impl Object for Scope {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }
}

/// Writes up to a limit.
#[derive(Default)]
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > OUTPUT {
            return Err(io::Error::other(TOO_LONG));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const TOO_LONG: &str = "its text is longer than 4 MiB";

/// Renders a template. Where it is no more than one expression, its value keeps its type.
pub(super) fn render(scope: &Scope, text: &str, place: &Origin, is_secret: bool) -> Result<Value, TemplateError> {
    let used = Used::default();
    let told = |error: &Error| explain(error, &used, text, place, is_secret);
    let environment: &Environment<'_> = environment();
    let source = raw_strings(text);
    let template = environment.template_from_str(&source).map_err(|error| told(&error))?;
    let root = Jinja::from_object(Root {
        scope: scope.clone(),
        used: used.clone(),
    });
    let mut output = Bounded::default();
    let mut captured = template.render_captured_to(root, &mut output).map_err(|error| told(&error))?;
    let emitted = captured.with_state_mut(|state| state.get_extension_mut::<Emitted>().map(std::mem::take));
    if used.first().is_some() {
        return Err(told(&Error::from(ErrorKind::UndefinedError)));
    }
    let output = String::from_utf8_lossy(&output.0).into_owned();
    let value = match emitted.and_then(|emitted| emitted.first) {
        Some((value, alone)) if alone == output && is_omit(&value) => Ok(Value::Null),
        Some((value, alone)) if alone == output => ours(&value),
        // What only sets things, or decides for nothing, is nothing.
        None if output.is_empty() => Ok(Value::Null),
        _ => ours(&Jinja::from(output)),
    };
    Ok(match value.map_err(|error| told(&error))? {
        // Jinja2 takes one line break off the end; Ansible puts back what is missing there.
        Value::String(value) if breaks(text) > breaks(&value) => {
            let missing = breaks(text) - breaks(&value);
            Value::String(format!("{value}{}", "\n".repeat(missing)).into())
        }
        other => other,
    })
}

/// How many line breaks a text ends with.
fn breaks(text: &str) -> usize {
    text.len() - text.trim_end_matches('\n').len()
}

/// The template with the backslashes of texts inside `{{ }}` doubled: Ansible takes those texts literally, so that regular expressions
/// can be written with single ones.
fn raw_strings(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        let (before, here) = rest.split_at(at);
        out.push_str(before);
        let end = match here.get(..2) {
            Some("{#") => here.find("#}").map(|end| end + 2),
            Some("{%") => match here.find("%}") {
                Some(end) if here[2..end].trim_matches(['-', '+', ' ']) == "raw" => here.find("endraw").map(|end| end + 6),
                end => end.map(|end| end + 2),
            },
            Some("{{") => {
                rest = &here[double(here, &mut out)..];
                continue;
            }
            _ => Some(1),
        };
        let end = end.unwrap_or(here.len());
        out.push_str(&here[..end]);
        rest = &here[end..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Copies an expression from `{{` to its end and gives its length.
fn double(text: &str, out: &mut String) -> usize {
    let mut quote = None;
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        out.push(character);
        match (quote, character) {
            (None, '\'' | '"') => quote = Some(character),
            (None, '}') if text[at..].starts_with("}}") => {
                out.push('}');
                return at + 2;
            }
            (Some(open), '\\') => {
                out.push('\\');
                // An escaped quote does not end the text.
                if characters.peek().is_some_and(|(_, next)| *next == open) {
                    out.push('\\');
                }
                out.extend(
                    characters
                        .next()
                        .map(|(_, next)| if next == '\\' { "\\\\".to_owned() } else { next.to_string() }),
                );
            }
            (Some(open), close) if open == close => quote = None,
            _ => {}
        }
    }
    text.len()
}

fn explain(error: &Error, used: &Used, text: &str, place: &Origin, is_secret: bool) -> TemplateError {
    // A template that this one has asked for has failed: its own error says more.
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(inner) = cause.downcast_ref::<TemplateError>() {
            return inner.clone();
        }
        source = cause.source();
    }
    let template = Source::of(text, is_secret);
    let place = place.clone();
    if let Some(name) = used.first() {
        return TemplateError::Undefined { name, template, place };
    }
    if error.kind() == ErrorKind::OutOfFuel {
        let limit = "more than 500000 steps";
        return TemplateError::Limit { place, template, limit };
    }
    let mut reason = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if cause_text.contains(TOO_LONG) {
            return TemplateError::Limit {
                place,
                template,
                limit: TOO_LONG,
            };
        }
        if !reason.contains(&cause_text) {
            reason = format!("{reason}: {cause_text}");
        }
        source = cause.source();
    }
    if let Some(line) = error.line().filter(|_| text.trim_end().contains('\n')) {
        reason = format!("line {line}: {reason}");
    }
    TemplateError::Failed { place, template, reason }
}

//! WQL, WMI's query language, as far as it asks for instances of one class: `SELECT props FROM class WHERE condition`.
//!
//! A query that a service gets is untrusted: its length, its depth and the number of its comparisons are bounded, and what isn't known
//! is said in a sentence.
//!
//! ```
//! use winrm_proto::{Instance, wql::Query};
//!
//! let query = Query::parse("SELECT Name FROM Win32_Service WHERE State = 'Running' AND NOT Name LIKE 'w%'")?;
//! assert!(query.matches(&Instance::default().with("Name", "Spooler").with("State", "Running")));
//! assert!(!query.matches(&Instance::default().with("Name", "WinRM").with("State", "Running")));
//! # Ok::<(), winrm_proto::wql::WqlError>(())
//! ```

mod like;
mod parser;

#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::fmt;

use crate::instance::Instance;
use like::like;

/// The longest query that is read, in bytes.
pub const MAX_LENGTH: usize = 8_192;

/// A query.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// The properties asked for; `None` for all.
    pub select: Option<Vec<String>>,
    /// The class.
    pub class: String,
    /// Which instances; `None` for all.
    pub condition: Option<Condition>,
}

/// What an instance has to be like.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// A property compares with a value like this.
    Compare {
        /// The property's name.
        property: String,
        /// How it compares.
        operator: Operator,
        /// The value, which a query may write in front.
        value: Literal,
    },
    /// A property has no value.
    IsNull {
        /// The property's name.
        property: String,
        /// Whether it has to have one.
        negated: bool,
    },
    /// This isn't so.
    Not(Box<Self>),
    /// All of this is so.
    And(Vec<Self>),
    /// Some of this is so.
    Or(Vec<Self>),
}

/// How a property compares with a value. Texts compare without regard to case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `=`
    Equal,
    /// `<>`, `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `LIKE`: a pattern with `%`, `_` and sets in brackets.
    Like,
}

/// A value in a query.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// In quotes.
    Text(String),
    /// Decimal or hexadecimal; never infinite.
    Number(f64),
    /// `TRUE` or `FALSE`.
    Flag(bool),
    /// `NULL`
    Null,
}

/// A query that can't be carried out, and where in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at character {position}: {reason}")]
pub struct WqlError {
    /// Counted in characters from 1.
    pub position: usize,
    /// What was expected, or isn't known.
    pub reason: String,
}

impl Query {
    /// Reads a query.
    ///
    /// # Errors
    /// Anything but a SELECT of one class, and what goes beyond the bounds; the error says where and what was expected there.
    pub fn parse(text: &str) -> Result<Self, WqlError> {
        parser::parse(text)
    }

    /// Whether an instance is among those asked for.
    #[must_use]
    pub fn matches(&self, instance: &Instance) -> bool {
        self.condition.as_ref().is_none_or(|condition| condition.holds(instance))
    }

    /// The names of all properties that the query speaks of.
    #[must_use]
    pub fn properties(&self) -> Vec<&str> {
        let compared = self.condition.iter().flat_map(Condition::properties);
        self.select.iter().flatten().map(String::as_str).chain(compared).collect()
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.select {
            Some(names) => write!(f, "SELECT {} FROM {}", names.join(", "), self.class)?,
            None => write!(f, "SELECT * FROM {}", self.class)?,
        }
        match &self.condition {
            Some(condition) => write!(f, " WHERE {condition}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compare { property, operator, value } => write!(f, "{property} {operator} {value}"),
            Self::IsNull { property, negated } => write!(f, "{property} IS {}NULL", if *negated { "NOT " } else { "" }),
            Self::Not(inner) => {
                f.write_str("NOT ")?;
                inner.write_within(f)
            }
            Self::And(parts) => write_joined(f, parts, " AND "),
            Self::Or(parts) => write_joined(f, parts, " OR "),
        }
    }
}

fn write_joined(f: &mut fmt::Formatter<'_>, parts: &[Condition], between: &str) -> fmt::Result {
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            f.write_str(between)?;
        }
        part.write_within(f)?;
    }
    Ok(())
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Equal => "=",
            Self::NotEqual => "<>",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Like => "LIKE",
        })
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "'{}'", text.replace('\\', "\\\\").replace('\'', "\\'")),
            Self::Number(number) => write!(f, "{number}"),
            Self::Flag(true) => f.write_str("TRUE"),
            Self::Flag(false) => f.write_str("FALSE"),
            Self::Null => f.write_str("NULL"),
        }
    }
}

impl Condition {
    /// In parentheses where it wouldn't keep together without them.
    fn write_within(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if matches!(self, Self::And(_) | Self::Or(_)) {
            write!(f, "({self})")
        } else {
            write!(f, "{self}")
        }
    }

    fn holds(&self, instance: &Instance) -> bool {
        match self {
            Self::Compare { property, operator, value } => compare(text_of(instance, property), *operator, value),
            Self::IsNull { property, negated } => text_of(instance, property).is_none() != *negated,
            Self::Not(inner) => !inner.holds(instance),
            Self::And(all) => all.iter().all(|condition| condition.holds(instance)),
            Self::Or(any) => any.iter().any(|condition| condition.holds(instance)),
        }
    }

    /// The names of all properties that it looks at.
    fn properties(&self) -> Vec<&str> {
        match self {
            Self::Compare { property, .. } | Self::IsNull { property, .. } => vec![property],
            Self::Not(inner) => inner.properties(),
            Self::And(parts) | Self::Or(parts) => parts.iter().flat_map(Self::properties).collect(),
        }
    }
}

/// The text of a property, or its date and time.
fn text_of<'a>(instance: &'a Instance, property: &str) -> Option<&'a str> {
    instance.text(property)
}

fn compare(text: Option<&str>, operator: Operator, value: &Literal) -> bool {
    let Some(text) = text else {
        // Nothing is less or more than NULL, but it is equal to it.
        return match (operator, value) {
            (Operator::Equal, value) => *value == Literal::Null,
            (Operator::NotEqual, value) => *value != Literal::Null,
            _ => false,
        };
    };
    let order = match value {
        Literal::Null => return operator == Operator::NotEqual,
        Literal::Text(pattern) if operator == Operator::Like => return like(pattern, text),
        Literal::Text(value) => {
            let numbers = text.trim().parse::<f64>().ok().zip(value.trim().parse::<f64>().ok());
            match numbers {
                // Whether two texts are the same is not decided by the numbers that they may be.
                Some((left, right)) if !matches!(operator, Operator::Equal | Operator::NotEqual) => left.partial_cmp(&right),
                _ => Some(folded(text).cmp(&folded(value))),
            }
        }
        Literal::Number(number) => match text.trim().parse::<f64>() {
            Ok(text) => text.partial_cmp(number),
            // A truth value may be asked for as a number.
            Err(_) => match truth(text) {
                Some(truth) => f64::from(u8::from(truth)).partial_cmp(number),
                None => None,
            },
        },
        Literal::Flag(flag) => truth(text).map(|text| text.cmp(flag)),
    };
    match operator {
        Operator::Equal => order == Some(Ordering::Equal),
        Operator::NotEqual => order != Some(Ordering::Equal),
        Operator::Less => order == Some(Ordering::Less),
        Operator::LessOrEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        Operator::Greater => order == Some(Ordering::Greater),
        Operator::GreaterOrEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
        Operator::Like => false,
    }
}

fn truth(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

fn folded(text: &str) -> String {
    text.to_lowercase()
}

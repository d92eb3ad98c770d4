//! WQL, as far as it asks for instances of one class: `SELECT props FROM class WHERE condition`.
//!
//! What it doesn't know it says in a sentence. Length and depth are bounded: a query is untrusted.

use std::cmp::Ordering;

use winrm_proto::instance::Instance;

/// The longest query, in bytes.
const MAX_LENGTH: usize = 8_192;

/// How deep parentheses and NOT may nest.
const MAX_DEPTH: usize = 32;

/// The most comparisons in one query.
const MAX_COMPARISONS: usize = 256;

/// A query.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Query {
    /// The properties asked for; `None` for all.
    pub(crate) select: Option<Vec<String>>,
    pub(crate) class: String,
    pub(crate) condition: Option<Condition>,
}

/// What an instance has to be like.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Condition {
    Compare {
        property: String,
        operator: Operator,
        value: Literal,
    },
    IsNull {
        property: String,
        negated: bool,
    },
    Not(Box<Self>),
    And(Vec<Self>),
    Or(Vec<Self>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Like,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Literal {
    Text(String),
    Number(f64),
    Flag(bool),
    Null,
}

/// A query that can't be carried out, and where in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at character {position}: {reason}")]
pub(crate) struct WqlError {
    /// Counted in characters from 1.
    pub(crate) position: usize,
    pub(crate) reason: String,
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Number(f64),
    Symbol(&'static str),
}

impl Query {
    /// Reads a query.
    pub(crate) fn parse(text: &str) -> Result<Self, WqlError> {
        if text.len() > MAX_LENGTH {
            return Err(WqlError {
                position: 1,
                reason: format!("the query is longer than {MAX_LENGTH} bytes"),
            });
        }
        let mut parser = Parser {
            tokens: tokens(text)?,
            next: 0,
            end: text.chars().count() + 1,
            comparisons: 0,
        };
        let query = parser.query()?;
        match parser.peek() {
            None => Ok(query),
            Some(Token::Word(word)) => {
                let reason = match word.to_ascii_uppercase().as_str() {
                    "GROUP" | "HAVING" | "WITHIN" => format!("{word} belongs to event queries, which this service doesn't have"),
                    "ORDER" => "WQL has no ORDER BY".to_owned(),
                    _ => format!("{word} is unexpected here"),
                };
                Err(parser.error(reason))
            }
            Some(_) => Err(parser.error("the query goes on behind its end")),
        }
    }

    /// Whether an instance is among those asked for.
    pub(crate) fn matches(&self, instance: &Instance) -> bool {
        self.condition.as_ref().is_none_or(|condition| condition.holds(instance))
    }
}

impl Condition {
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
    pub(crate) fn properties(&self) -> Vec<&str> {
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

/// One element of a LIKE pattern.
enum Piece {
    /// `%`
    Any,
    /// `_`
    One,
    /// `[a-f]`, `[^a-f]`
    Set {
        ranges: Vec<(char, char)>,
        negated: bool,
    },
    Character(char),
}

/// LIKE: `%` any characters, `_` one, `[abc]`, `[a-c]`, `[^a-c]` one of a set, without regard to case.
fn like(pattern: &str, text: &str) -> bool {
    let pattern = pieces(&folded(pattern));
    let text: Vec<char> = folded(text).chars().collect();
    // Back to the last `%` only: never more steps than one length times the other.
    let (mut piece, mut at) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while at < text.len() {
        let fits = match pattern.get(piece) {
            Some(Piece::Any) => {
                retry = Some((piece + 1, at));
                piece += 1;
                continue;
            }
            Some(Piece::One) => true,
            Some(Piece::Character(character)) => *character == text[at],
            Some(Piece::Set { ranges, negated }) => ranges.iter().any(|(first, last)| (*first..=*last).contains(&text[at])) != *negated,
            None => false,
        };
        if fits {
            (piece, at) = (piece + 1, at + 1);
        } else if let Some((behind, from)) = retry {
            retry = Some((behind, from + 1));
            (piece, at) = (behind, from + 1);
        } else {
            return false;
        }
    }
    pattern[piece..].iter().all(|piece| matches!(piece, Piece::Any))
}

fn pieces(pattern: &str) -> Vec<Piece> {
    let characters: Vec<char> = pattern.chars().collect();
    let mut pieces = Vec::new();
    let mut at = 0;
    while at < characters.len() {
        let rest = &characters[at..];
        let set = (rest[0] == '[')
            .then(|| rest.iter().position(|character| *character == ']'))
            .flatten();
        match (rest[0], set) {
            ('%', _) => pieces.push(Piece::Any),
            ('_', _) => pieces.push(Piece::One),
            ('[', Some(end)) if end > 1 => {
                let negated = rest[1] == '^' && end > 2;
                let mut members = &rest[if negated { 2 } else { 1 }..end];
                let mut ranges = Vec::new();
                while let Some((&first, others)) = members.split_first() {
                    match others {
                        ['-', last, behind @ ..] => {
                            ranges.push((first, *last));
                            members = behind;
                        }
                        _ => {
                            ranges.push((first, first));
                            members = others;
                        }
                    }
                }
                pieces.push(Piece::Set { ranges, negated });
                at += end;
            }
            (character, _) => pieces.push(Piece::Character(character)),
        }
        at += 1;
    }
    pieces
}

/// Longer symbols first.
const SYMBOLS: &[&str] = &["<>", "!=", "<=", ">=", "=", "<", ">", "(", ")", ",", "*"];

fn tokens(text: &str) -> Result<Vec<(Token, usize)>, WqlError> {
    let characters: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(&character) = characters.get(at) {
        let position = at + 1;
        let error = |reason: String| WqlError { position, reason };
        if character.is_whitespace() {
            at += 1;
        } else if character == '\'' || character == '"' {
            let (value, behind) =
                quoted(&characters, at).ok_or_else(|| error(format!("the text that begins with {character} has no end")))?;
            tokens.push((Token::Text(value), position));
            at = behind;
        } else if character.is_ascii_digit()
            || (matches!(character, '-' | '+' | '.') && characters.get(at + 1).is_some_and(char::is_ascii_digit))
        {
            let length = characters[at + 1..]
                .iter()
                .take_while(|character| character.is_ascii_alphanumeric() || **character == '.')
                .count();
            let number: String = characters[at..=at + length].iter().collect();
            let value = match number.strip_prefix("0x").or_else(|| number.strip_prefix("0X")) {
                Some(hex) => u32::from_str_radix(hex, 16).ok().map(f64::from),
                None => number.parse::<f64>().ok(),
            };
            let value = value.ok_or_else(|| error(format!("{number} is no number")))?;
            tokens.push((Token::Number(value), position));
            at += length + 1;
        } else if character.is_alphabetic() || character == '_' {
            let length = characters[at..]
                .iter()
                .take_while(|character| character.is_alphanumeric() || matches!(character, '_' | '.'))
                .count();
            tokens.push((Token::Word(characters[at..at + length].iter().collect()), position));
            at += length;
        } else {
            let rest: String = characters[at..].iter().take(2).collect();
            let symbol = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol));
            let symbol = symbol.ok_or_else(|| error(format!("{character} means nothing in WQL")))?;
            tokens.push((Token::Symbol(symbol), position));
            at += symbol.len();
        }
    }
    Ok(tokens)
}

/// The text between quotes and what stands behind it. A backslash, or the quote itself doubled, takes the next character as it is.
fn quoted(characters: &[char], begin: usize) -> Option<(String, usize)> {
    let quote = characters[begin];
    let mut value = String::new();
    let mut at = begin + 1;
    loop {
        let character = *characters.get(at)?;
        let next = characters.get(at + 1);
        match next {
            Some(&escaped) if character == '\\' && matches!(escaped, '\\' | '\'' | '"') => {
                value.push(escaped);
                at += 2;
            }
            Some(&escaped) if character == quote && escaped == quote => {
                value.push(quote);
                at += 2;
            }
            _ if character == quote => return Some((value, at + 1)),
            _ => {
                value.push(character);
                at += 1;
            }
        }
    }
}

struct Parser {
    tokens: Vec<(Token, usize)>,
    next: usize,
    /// The position behind the last character.
    end: usize,
    comparisons: usize,
}

impl Parser {
    fn query(&mut self) -> Result<Query, WqlError> {
        if let Some(Token::Word(word)) = self.peek()
            && ["ASSOCIATORS", "REFERENCES"].iter().any(|other| word.eq_ignore_ascii_case(other))
        {
            let reason = format!("{} queries are not known to this service, only SELECT", word.to_ascii_uppercase());
            return Err(self.error(reason));
        }
        self.keyword("SELECT", "a query begins with SELECT")?;
        let select = if self.take_symbol("*") {
            None
        } else {
            let mut names = vec![self.name("the name of a property, or *")?];
            while self.take_symbol(",") {
                names.push(self.name("the name of a property")?);
            }
            Some(names)
        };
        self.keyword("FROM", "FROM and a class are missing")?;
        let class = self.name("the name of a class")?;
        let condition = if self.take_keyword("WHERE") { Some(self.any_of(0)?) } else { None };
        Ok(Query { select, class, condition })
    }

    fn any_of(&mut self, depth: usize) -> Result<Condition, WqlError> {
        let mut parts = vec![self.all_of(depth)?];
        while self.take_keyword("OR") {
            parts.push(self.all_of(depth)?);
        }
        Ok(one_or(parts, Condition::Or))
    }

    fn all_of(&mut self, depth: usize) -> Result<Condition, WqlError> {
        let mut parts = vec![self.single(depth)?];
        while self.take_keyword("AND") {
            parts.push(self.single(depth)?);
        }
        Ok(one_or(parts, Condition::And))
    }

    fn single(&mut self, depth: usize) -> Result<Condition, WqlError> {
        if depth >= MAX_DEPTH {
            return Err(self.error(format!("the condition nests deeper than {MAX_DEPTH} levels")));
        }
        if self.take_keyword("NOT") {
            return Ok(Condition::Not(Box::new(self.single(depth + 1)?)));
        }
        if self.take_symbol("(") {
            let inner = self.any_of(depth + 1)?;
            if !self.take_symbol(")") {
                return Err(self.error("a parenthesis is not closed"));
            }
            return Ok(inner);
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Result<Condition, WqlError> {
        self.comparisons += 1;
        if self.comparisons > MAX_COMPARISONS {
            return Err(self.error(format!("the condition has more than {MAX_COMPARISONS} comparisons")));
        }
        // The value may stand in front: 5 < ProcessId.
        if let Some(value) = self.literal() {
            let operator = self.operator()?;
            let property = self.name("the name of a property")?;
            let operator = match operator {
                Operator::Less => Operator::Greater,
                Operator::LessOrEqual => Operator::GreaterOrEqual,
                Operator::Greater => Operator::Less,
                Operator::GreaterOrEqual => Operator::LessOrEqual,
                Operator::Like => return Err(self.error("the pattern of LIKE stands behind it")),
                same => same,
            };
            return Ok(Condition::Compare { property, operator, value });
        }
        let property = self.name("the name of a property")?;
        if self.take_keyword("IS") {
            let negated = self.take_keyword("NOT");
            self.keyword("NULL", "IS is followed by NULL or NOT NULL")?;
            return Ok(Condition::IsNull { property, negated });
        }
        if let Some(Token::Word(word)) = self.peek()
            && ["ISA", "IN", "BETWEEN"].iter().any(|other| word.eq_ignore_ascii_case(other))
        {
            let reason = format!("{} is not known to this service", word.to_ascii_uppercase());
            return Err(self.error(reason));
        }
        let negated = self.take_keyword("NOT");
        let operator = self.operator()?;
        if negated && operator != Operator::Like {
            return Err(self.error("NOT stands in front of a comparison, or of LIKE"));
        }
        let value = self
            .literal()
            .ok_or_else(|| self.error("a value is missing: a text in quotes, a number, TRUE, FALSE or NULL"))?;
        if operator == Operator::Like && !matches!(value, Literal::Text(_)) {
            return Err(self.error("LIKE compares with a text in quotes"));
        }
        let comparison = Condition::Compare { property, operator, value };
        Ok(if negated {
            Condition::Not(Box::new(comparison))
        } else {
            comparison
        })
    }

    fn operator(&mut self) -> Result<Operator, WqlError> {
        let operator = match self.peek() {
            Some(Token::Symbol("=")) => Some(Operator::Equal),
            Some(Token::Symbol("<>" | "!=")) => Some(Operator::NotEqual),
            Some(Token::Symbol("<")) => Some(Operator::Less),
            Some(Token::Symbol("<=")) => Some(Operator::LessOrEqual),
            Some(Token::Symbol(">")) => Some(Operator::Greater),
            Some(Token::Symbol(">=")) => Some(Operator::GreaterOrEqual),
            Some(Token::Word(word)) if word.eq_ignore_ascii_case("LIKE") => Some(Operator::Like),
            _ => None,
        };
        let operator = operator.ok_or_else(|| self.error("an operator is missing: =, <>, <, <=, >, >=, LIKE or IS"))?;
        self.next += 1;
        Ok(operator)
    }

    fn literal(&mut self) -> Option<Literal> {
        let literal = match self.peek()? {
            Token::Text(text) => Literal::Text(text.clone()),
            Token::Number(number) => Literal::Number(*number),
            Token::Word(word) if word.eq_ignore_ascii_case("TRUE") => Literal::Flag(true),
            Token::Word(word) if word.eq_ignore_ascii_case("FALSE") => Literal::Flag(false),
            Token::Word(word) if word.eq_ignore_ascii_case("NULL") => Literal::Null,
            _ => return None,
        };
        self.next += 1;
        Some(literal)
    }

    fn name(&mut self, wanted: &str) -> Result<String, WqlError> {
        const KEYWORDS: &[&str] = &["SELECT", "FROM", "WHERE", "AND", "OR", "NOT", "LIKE", "IS", "NULL"];
        match self.peek() {
            Some(Token::Word(word)) if !KEYWORDS.iter().any(|keyword| word.eq_ignore_ascii_case(keyword)) => {
                let name = word.clone();
                if name.contains('.') {
                    return Err(self.error(format!("{name}: properties of embedded objects are not known to this service")));
                }
                self.next += 1;
                Ok(name)
            }
            _ => Err(self.error(format!("{wanted} is missing"))),
        }
    }

    fn keyword(&mut self, keyword: &str, otherwise: &str) -> Result<(), WqlError> {
        if self.take_keyword(keyword) {
            Ok(())
        } else {
            Err(self.error(otherwise))
        }
    }

    fn take_keyword(&mut self, keyword: &str) -> bool {
        let here = matches!(self.peek(), Some(Token::Word(word)) if word.eq_ignore_ascii_case(keyword));
        self.next += usize::from(here);
        here
    }

    fn take_symbol(&mut self, symbol: &str) -> bool {
        let here = matches!(self.peek(), Some(Token::Symbol(other)) if *other == symbol);
        self.next += usize::from(here);
        here
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|(token, _)| token)
    }

    fn error(&self, reason: impl Into<String>) -> WqlError {
        WqlError {
            position: self.tokens.get(self.next).map_or(self.end, |(_, position)| *position),
            reason: reason.into(),
        }
    }
}

fn one_or(mut parts: Vec<Condition>, join: impl FnOnce(Vec<Condition>) -> Condition) -> Condition {
    match parts.len() {
        1 => parts.remove(0),
        _ => join(parts),
    }
}

#[cfg(test)]
mod tests {
    use winrm_proto::instance::Property;

    use super::*;

    fn service(name: &str, state: &str, process: Option<u32>) -> Instance {
        let mut instance = Instance::new(
            "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/Win32_Service",
            "Win32_Service",
        );
        instance.set("Name", name);
        instance.set("State", state);
        instance.set("Started", if state == "Running" { "true" } else { "false" });
        match process {
            Some(process) => instance.set("ProcessId", process.to_string()),
            None => instance.set("ProcessId", Property::Nil),
        }
        instance
    }

    fn found(condition: &str) -> Vec<&'static str> {
        let query = Query::parse(&format!("SELECT * FROM Win32_Service WHERE {condition}")).unwrap();
        let services = [
            ("W3SVC", service("W3SVC", "Running", Some(900))),
            ("WinRM", service("WinRM", "Running", Some(1_200))),
            ("Spooler", service("Spooler", "Stopped", None)),
        ];
        services
            .into_iter()
            .filter(|(_, instance)| query.matches(instance))
            .map(|(name, _)| name)
            .collect()
    }

    #[test]
    fn finds_what_is_asked_for() {
        assert_eq!(found("State='Running'"), ["W3SVC", "WinRM"]);
        assert_eq!(found("state = \"running\" and not Name = 'winrm'"), ["W3SVC"]);
        assert_eq!(
            found("Name <> 'W3SVC' AND (State='Stopped' OR ProcessId > 1000)"),
            ["WinRM", "Spooler"]
        );
        assert_eq!(found("State='Stopped' OR Name='W3SVC' AND State='Running'"), ["W3SVC", "Spooler"]);
        assert_eq!(found("ProcessId < 1200"), ["W3SVC"]);
        assert_eq!(found("1200 <= ProcessId"), ["WinRM"]);
        assert_eq!(found("ProcessId = '900'"), ["W3SVC"]);
        assert_eq!(found("ProcessId IS NULL"), ["Spooler"]);
        assert_eq!(found("ProcessId IS NOT NULL"), ["W3SVC", "WinRM"]);
        assert_eq!(found("ProcessId = NULL"), ["Spooler"]);
        assert_eq!(found("Started = TRUE"), ["W3SVC", "WinRM"]);
        assert_eq!(found("Started = 0"), ["Spooler"]);
        assert_eq!(found("Name LIKE 'w%'"), ["W3SVC", "WinRM"]);
        assert_eq!(found("Name NOT LIKE 'w%'"), ["Spooler"]);
        assert_eq!(found("Name LIKE 'W[0-9]S__'"), ["W3SVC"]);
        assert_eq!(found("Name LIKE 'W[^0-9]%'"), ["WinRM"]);
        assert_eq!(found("NoSuch = 'x'"), Vec::<&str>::new());
    }

    #[test]
    fn patterns_of_many_stars_end() {
        assert!(!like(&"%a".repeat(1_000), &"b".repeat(2_000)));
        assert!(like("%a%b%", "xxaxxbxx") && like("", "") && like("%", "") && !like("", "x") && !like("_", ""));
        assert!(like("50[%] [a]", "50% a") && like("[", "["));
    }

    #[test]
    fn texts_have_escapes() {
        let query = Query::parse(r#"SELECT Name, State FROM X WHERE Path = "C:\\Program Files\\\"x\"" AND N = 'it''s'"#).unwrap();
        assert_eq!(query.select.as_deref().unwrap(), ["Name", "State"]);
        let Some(Condition::And(parts)) = query.condition else { panic!() };
        assert!(matches!(&parts[0], Condition::Compare { value: Literal::Text(text), .. } if text == r#"C:\Program Files\"x""#));
        assert!(matches!(&parts[1], Condition::Compare { value: Literal::Text(text), .. } if text == "it's"));
    }

    #[test]
    fn says_what_it_does_not_know_and_where() {
        for (query, said) in [
            ("", "at character 1: a query begins with SELECT"),
            ("SELECT", "at character 7: the name of a property, or * is missing"),
            ("SELECT * FROM", "at character 14: the name of a class is missing"),
            ("SELECT * FROM X WHERE", "at character 22: the name of a property is missing"),
            (
                "SELECT * FROM X WHERE a",
                "at character 24: an operator is missing: =, <>, <, <=, >, >=, LIKE or IS",
            ),
            (
                "SELECT * FROM X WHERE a = ",
                "at character 27: a value is missing: a text in quotes, a number, TRUE, FALSE or NULL",
            ),
            (
                "SELECT * FROM X WHERE a = 'b",
                "at character 27: the text that begins with ' has no end",
            ),
            ("SELECT * FROM X WHERE (a = 1", "at character 29: a parenthesis is not closed"),
            ("SELECT * FROM X WHERE a = 1 )", "at character 29: the query goes on behind its end"),
            (
                "SELECT * FROM X WHERE a ISA 'Y'",
                "at character 25: ISA is not known to this service",
            ),
            ("SELECT * FROM X ORDER BY a", "at character 17: WQL has no ORDER BY"),
            ("SELECT * FROM X; DROP", "at character 16: ; means nothing in WQL"),
            (
                "SELECT * FROM X WITHIN 1",
                "at character 17: WITHIN belongs to event queries, which this service doesn't have",
            ),
            ("ASSOCIATORS OF {X.a=1}", "at character 16: { means nothing in WQL"),
            (
                "REFERENCES OF X",
                "at character 1: REFERENCES queries are not known to this service, only SELECT",
            ),
            (
                "SELECT a.b FROM X",
                "at character 8: a.b: properties of embedded objects are not known to this service",
            ),
            (
                "SELECT * FROM X WHERE a LIKE 5",
                "at character 31: LIKE compares with a text in quotes",
            ),
            ("SELECT * FROM X WHERE a = 0xZZ", "at character 27: 0xZZ is no number"),
        ] {
            assert_eq!(Query::parse(query).unwrap_err().to_string(), said, "{query}");
        }
    }

    #[test]
    fn hostile_queries_are_refused() {
        let deep = format!("SELECT * FROM X WHERE {}a = 1{}", "(".repeat(3_000), ")".repeat(3_000));
        assert!(Query::parse(&deep).unwrap_err().reason.contains("deeper than 32"));
        let nots = format!("SELECT * FROM X WHERE {} a = 1", "NOT ".repeat(1_000));
        assert!(Query::parse(&nots).unwrap_err().reason.contains("deeper than 32"));
        let many = format!("SELECT * FROM X WHERE a=1{}", " OR a=1".repeat(900));
        assert!(Query::parse(&many).unwrap_err().reason.contains("more than 256"));
        let long = format!("SELECT * FROM X WHERE a = '{}'", "x".repeat(9_000));
        assert!(Query::parse(&long).unwrap_err().reason.contains("longer than 8192"));
    }
}

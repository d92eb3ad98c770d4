//! From a query's text to its parts.

use super::{Condition, Literal, MAX_LENGTH, Operator, Query, WqlError};

/// How deep parentheses and NOT may nest.
const MAX_DEPTH: usize = 32;

/// The most comparisons in one query.
const MAX_COMPARISONS: usize = 256;

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Number(f64),
    Symbol(&'static str),
}

/// Reads a query.
pub(super) fn parse(text: &str) -> Result<Query, WqlError> {
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
            let value = value
                .filter(|value| value.is_finite())
                .ok_or_else(|| error(format!("{number} is no number")))?;
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
        const KEYWORDS: &[&str] = &["SELECT", "FROM", "WHERE", "AND", "OR", "NOT", "LIKE", "IS", "NULL", "TRUE", "FALSE"];
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

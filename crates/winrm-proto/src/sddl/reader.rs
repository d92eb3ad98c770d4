//! Reading SDDL from left to right, with the place kept for errors.

use super::alias::Alias;
use super::error::SddlError;
use super::sid::{EXPECTED, Sid, Trustee};

pub(super) struct Reader<'t> {
    text: &'t str,
    position: usize,
}

impl<'t> Reader<'t> {
    pub(super) const fn new(text: &'t str) -> Self {
        Self { text, position: 0 }
    }

    /// In bytes.
    pub(super) const fn position(&self) -> usize {
        self.position
    }

    pub(super) fn rest(&self) -> &'t str {
        &self.text[self.position..]
    }

    pub(super) fn skip_space(&mut self) {
        self.position = self.text.len() - self.rest().trim_start().len();
    }

    /// Takes `expected` if it stands here.
    pub(super) fn take(&mut self, expected: &str) -> bool {
        let here = self.rest().starts_with(expected);
        if here {
            self.position += expected.len();
        }
        here
    }

    pub(super) fn expected(&self, what: &'static str) -> SddlError {
        self.expected_at(self.position, what)
    }

    pub(super) fn expected_at(&self, position: usize, what: &'static str) -> SddlError {
        SddlError::expected(self.text, position, what)
    }

    /// The letter of the part that begins here, behind its colon; `None` at the end.
    pub(super) fn part(&mut self) -> Result<Option<char>, SddlError> {
        if self.rest().is_empty() {
            return Ok(None);
        }
        for part in ["O:", "G:", "D:", "S:"] {
            if self.take(part) {
                return Ok(part.chars().next());
            }
        }
        Err(self.expected("one of O:, G:, D:, S:"))
    }

    /// An account: everything that could belong to an identifier, or two letters.
    ///
    /// `O:BAG:BA` has nothing between the alias and the next part, and neither has `O:S-1-5-18D:`: an identifier ends in front of a
    /// part's letter, which is no hexadecimal digit except for D.
    pub(super) fn trustee(&mut self) -> Result<Trustee, SddlError> {
        self.skip_space();
        let rest = self.rest();
        if rest.starts_with("S-") || rest.starts_with("s-") {
            let length = rest
                .char_indices()
                .skip(1)
                .find(|&(index, letter)| {
                    let part = rest[index + letter.len_utf8()..].starts_with(':');
                    part || !(letter.is_ascii_hexdigit() || letter == '-' || letter == 'x' || letter == 'X')
                })
                .map_or(rest.len(), |(index, _)| index);
            let sid = Sid::parse(&rest[..length]).ok_or_else(|| self.expected(EXPECTED))?;
            self.position += length;
            return Ok(Trustee::Sid(sid));
        }
        let alias = rest.get(..2).and_then(Alias::of_letters).ok_or_else(|| self.expected(EXPECTED))?;
        self.position += 2;
        Ok(Trustee::Alias(alias))
    }

    /// The text up to the next `;`, which is taken too.
    pub(super) fn field(&mut self, what: &'static str) -> Result<(usize, &'t str), SddlError> {
        let start = self.position;
        let rest = self.rest();
        let end = rest.find([';', '(', ')']).unwrap_or(rest.len());
        if !rest[end..].starts_with(';') {
            self.position += end;
            return Err(self.expected(what));
        }
        self.position += end + 1;
        let field = &rest[..end];
        let trimmed = field.trim();
        Ok((start + (field.len() - field.trim_start().len()), trimmed))
    }

    /// A text in parentheses, which may hold more of them and quoted strings, as it is.
    pub(super) fn parenthesised(&mut self, what: &'static str) -> Result<&'t str, SddlError> {
        let start = self.position;
        let mut depth = 0usize;
        let mut quoted = false;
        for (index, letter) in self.rest().char_indices() {
            match letter {
                '"' => quoted = !quoted,
                '(' if !quoted => depth += 1,
                ')' if !quoted => {
                    let Some(outer) = depth.checked_sub(1) else { break };
                    depth = outer;
                    if depth == 0 {
                        self.position += index + 1;
                        return Ok(&self.text[start..self.position]);
                    }
                }
                _ if depth == 0 => break,
                _ => {}
            }
        }
        Err(self.expected(what))
    }

    pub(super) fn since(&self, start: usize) -> &'t str {
        &self.text[start..self.position]
    }

    pub(super) fn end(&self) -> Result<(), SddlError> {
        if self.rest().is_empty() {
            return Ok(());
        }
        Err(self.expected("the end"))
    }
}

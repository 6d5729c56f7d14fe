//! The constants of a condition: texts with CEL's escapes, numbers, lists, timestamps.

use super::{ConditionError, ELEMENTS_MAX, Parsed, Parser, unknown_function};
use crate::{time::canonical_datetime, value::Value};

impl Parser<'_> {
    /// The literal that is next; none if it is a path.
    pub(super) fn literal(&mut self) -> Parsed<Option<Value>> {
        match self.peek() {
            Some(b'\'' | b'"') => self.text().map(|text| Some(Value::Text(text))),
            Some(b'[') => self.list().map(Some),
            Some(b'-' | b'0'..=b'9') => self.number().map(Some),
            _ => self.named_literal(),
        }
    }

    fn named_literal(&mut self) -> Parsed<Option<Value>> {
        let value = match self.next_word() {
            Some("true") => Value::Bool(true),
            Some("false") => Value::Bool(false),
            Some("null") => Value::Null,
            Some("timestamp") if self.at_call("timestamp") => return self.timestamp().map(Some),
            _ => return Ok(None),
        };
        let start = self.position;
        let word = self.word().unwrap_or_default();
        if self.peek() == Some(b'(') {
            return Err(unknown_function(word, start));
        }
        Ok(Some(value))
    }

    fn timestamp(&mut self) -> Parsed<Value> {
        self.word();
        self.expect("(")?;
        let start = self.next_position();
        if !matches!(self.peek(), Some(b'\'' | b'"')) {
            return Err(self.unexpected("a text"));
        }
        let text = self.text()?;
        let Some(moment) = canonical_datetime(&text) else {
            return Err(ConditionError::new(start, format!("`{text}` is not an RFC 3339 datetime")));
        };
        self.expect(")")?;
        Ok(Value::Text(moment))
    }

    fn list(&mut self) -> Parsed<Value> {
        self.expect("[")?;
        let mut values = Vec::new();
        if self.eat("]") {
            return Ok(Value::List(values));
        }
        loop {
            if values.len() == ELEMENTS_MAX {
                return Err(self.error(format!("a list has at most {ELEMENTS_MAX} elements")));
            }
            values.push(self.list_element()?);
            if self.eat("]") {
                return Ok(Value::List(values));
            }
            if !self.eat(",") {
                return Err(self.unexpected("`,` or `]`"));
            }
        }
    }

    /// A scalar: neither null nor lists are ever equal to anything, so one in a list would be a mistake.
    fn list_element(&mut self) -> Parsed<Value> {
        let start = self.next_position();
        if self.peek() == Some(b'[') {
            return Err(self.error("a list cannot hold lists"));
        }
        match self.literal()? {
            Some(Value::Null) => Err(ConditionError::new(start, "`null` is never in a list: write `== null`")),
            Some(value) => Ok(value),
            None => Err(self.unexpected("a text, a number or a boolean")),
        }
    }

    fn number(&mut self) -> Parsed<Value> {
        let start = self.position;
        self.step_over(|byte| byte == b'-', 1);
        self.digits()?;
        let mut whole = true;
        if self.step_over(|byte| byte == b'.', 1) > 0 {
            self.digits()?;
            whole = false;
        }
        if self.step_over(|byte| matches!(byte, b'e' | b'E'), 1) > 0 {
            self.step_over(|byte| matches!(byte, b'+' | b'-'), 1);
            self.digits()?;
            whole = false;
        }
        let text = &self.source[start..self.position];
        if self.step_over(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.', 1) > 0 {
            return Err(ConditionError::new(start, "this is not a number"));
        }
        let value = if whole { text.parse().ok().map(Value::Integer) } else { finite(text) };
        value.ok_or_else(|| ConditionError::new(start, format!("the number `{text}` is out of range")))
    }

    fn digits(&mut self) -> Parsed<()> {
        // Checked by hand: `unexpected` would skip spaces, and a number has none inside.
        if self.step_over(|byte| byte.is_ascii_digit(), usize::MAX) > 0 { Ok(()) } else { Err(self.error("expected a digit")) }
    }

    /// Steps over at most `most` bytes that fit, which must be ASCII.
    fn step_over(&mut self, fits: impl Fn(u8) -> bool, most: usize) -> usize {
        let rest = &self.source.as_bytes()[self.position..];
        let count = rest.iter().take(most).take_while(|byte| fits(**byte)).count();
        self.position += count;
        count
    }

    fn text(&mut self) -> Parsed<String> {
        let start = self.position;
        let Some(quote) = self.next_character() else { return Err(self.unexpected("a text")) };
        let mut text = String::new();
        loop {
            match self.next_character() {
                Some(character) if character == quote => return Ok(text),
                Some('\\') => text.push(self.escape()?),
                None | Some('\n' | '\r') => return Err(ConditionError::new(start, "the text does not end")),
                Some(character) => text.push(character),
            }
        }
    }

    fn next_character(&mut self) -> Option<char> {
        let character = self.source[self.position..].chars().next()?;
        self.position += character.len_utf8();
        Some(character)
    }

    /// What stands after a backslash, see "Lexis" in the CEL specification.
    fn escape(&mut self) -> Parsed<char> {
        let start = self.position - 1;
        let character = match self.next_character() {
            Some(same @ ('\\' | '\'' | '"' | '`' | '?')) => Some(same),
            Some('a') => Some('\x07'),
            Some('b') => Some('\x08'),
            Some('f') => Some('\x0c'),
            Some('n') => Some('\n'),
            Some('r') => Some('\r'),
            Some('t') => Some('\t'),
            Some('v') => Some('\x0b'),
            Some('x' | 'X') => self.code_point(2, 16),
            Some('u') => self.code_point(4, 16),
            Some('U') => self.code_point(8, 16),
            Some('0'..='3') => {
                self.position -= 1;
                self.code_point(3, 8)
            }
            _ => None,
        };
        character.ok_or_else(|| ConditionError::new(start, "unknown escape in a text"))
    }

    fn code_point(&mut self, length: usize, radix: u32) -> Option<char> {
        let digits = self.source.get(self.position..self.position + length)?;
        if !digits.chars().all(|digit| digit.is_digit(radix)) {
            return None;
        }
        self.position += length;
        u32::from_str_radix(digits, radix).ok().and_then(char::from_u32)
    }
}

fn finite(text: &str) -> Option<Value> {
    let number: f64 = text.parse().ok()?;
    // A negative zero equals zero everywhere, so it is not worth keeping.
    number.is_finite().then_some(Value::Number(if number == 0.0 { 0.0 } else { number }))
}

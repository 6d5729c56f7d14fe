//! Reads the text of a condition. The grammar is a subset of CEL:
//!
//! ```text
//! any     = all { "||" all }
//! all     = unary { "&&" unary }
//! unary   = "!" unary | "(" any ")" | term
//! term    = "has(" path ")" | value "." test "(" value ")" | value compare value | value "in" value | path | "true" | "false"
//! compare = "==" | "!=" | "<" | "<=" | ">" | ">="
//! test    = "startsWith" | "endsWith" | "contains"
//! value   = path | text | number | "true" | "false" | "null" | "[" values "]" | "timestamp(" text ")"
//! ```
//!
//! The text comes from strangers: length, nesting, lists and paths are bounded, nothing is read twice, and no input panics.

mod literal;

use super::{Comparison, ConditionError, Expression, LENGTH_MAX, LEVELS_MAX, NESTING_MAX, Operand, Path, Root, Scope, TextTest};
use crate::value::Value;

/// The most members of a path.
const MEMBERS_MAX: usize = 16;

/// The most elements of a list, and the most terms of one `&&` or `||`.
const ELEMENTS_MAX: usize = 200;

type Parsed<T> = Result<T, ConditionError>;

/// Parses a whole text.
pub(super) fn parse(source: &str, scope: Scope) -> Parsed<Expression> {
    if source.len() > LENGTH_MAX {
        return Err(ConditionError::new(LENGTH_MAX, format!("longer than {LENGTH_MAX} bytes")));
    }
    let mut parser = Parser { source, position: 0, nesting: 0, scope };
    let expression = parser.any()?;
    if parser.peek().is_some() {
        return Err(parser.unexpected("`&&`, `||` or the end"));
    }
    if levels(&expression) > LEVELS_MAX {
        return Err(ConditionError::new(0, "too many levels of `&&` and `||`"));
    }
    Ok(expression)
}

/// See [`LEVELS_MAX`].
fn levels(expression: &Expression) -> u32 {
    match expression {
        Expression::And(terms) | Expression::Or(terms) => {
            let halvings = usize::BITS - terms.len().saturating_sub(1).leading_zeros();
            halvings + terms.iter().map(levels).max().unwrap_or(0)
        }
        Expression::Not(term) => levels(term),
        _ => 0,
    }
}

/// INVARIANT: `position` is at a character boundary, because only whole characters are stepped over.
struct Parser<'a> {
    source: &'a str,
    position: usize,
    nesting: usize,
    scope: Scope,
}

impl Parser<'_> {
    fn any(&mut self) -> Parsed<Expression> {
        let terms = self.chain("||", Self::all)?;
        Ok(join(terms, Expression::Or))
    }

    fn all(&mut self) -> Parsed<Expression> {
        let terms = self.chain("&&", |parser| parser.unary(false))?;
        Ok(join(terms, Expression::And))
    }

    fn chain(&mut self, operator: &str, mut term: impl FnMut(&mut Self) -> Parsed<Expression>) -> Parsed<Vec<Expression>> {
        let mut terms = vec![term(self)?];
        while self.eat(operator) {
            if terms.len() == ELEMENTS_MAX {
                return Err(self.error(format!("more than {ELEMENTS_MAX} terms in a row")));
            }
            terms.push(term(self)?);
        }
        Ok(terms)
    }

    fn unary(&mut self, negated: bool) -> Parsed<Expression> {
        if self.eat("!") {
            let term = self.nested(|parser| parser.unary(true))?;
            return Ok(Expression::Not(Box::new(term)));
        }
        if self.eat("(") {
            let inner = self.nested(Self::any)?;
            self.expect(")")?;
            return Ok(inner);
        }
        self.term(negated)
    }

    fn nested<T>(&mut self, inner: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.nesting == NESTING_MAX {
            return Err(self.error(format!("nested deeper than {NESTING_MAX} levels")));
        }
        self.nesting += 1;
        let result = inner(self);
        self.nesting -= 1;
        result
    }

    fn term(&mut self, negated: bool) -> Parsed<Expression> {
        if self.at_call("has") {
            return self.has();
        }
        let start = self.next_position();
        let left = self.operand()?;
        if self.peek() == Some(b'.') {
            return self.text_test(left);
        }
        let operator_position = self.next_position();
        if let Some(comparison) = self.comparison() {
            self.refuse_negated(negated, operator_position)?;
            return self.compare(comparison, left, start);
        }
        if self.eat_word("in") {
            self.refuse_negated(negated, operator_position)?;
            return self.element(left, start);
        }
        self.alone(left, start)
    }

    /// In CEL `!a == b` means `(!a) == b`, which nobody wants: so it has to be written out.
    fn refuse_negated(&self, negated: bool, position: usize) -> Parsed<()> {
        if negated { Err(ConditionError::new(position, "`!` belongs to the name before this: write `!(...)`")) } else { Ok(()) }
    }

    fn comparison(&mut self) -> Option<Comparison> {
        use Comparison as C;
        let operators =
            [("==", C::Equal), ("!=", C::NotEqual), ("<=", C::LessOrEqual), ("<", C::Less), (">=", C::GreaterOrEqual), (">", C::Greater)];
        operators.into_iter().find(|(text, _)| self.eat(text)).map(|(_, comparison)| comparison)
    }

    fn compare(&mut self, comparison: Comparison, left: Operand, start: usize) -> Parsed<Expression> {
        let right_start = self.next_position();
        let right = self.operand()?;
        let ordered = !matches!(comparison, Comparison::Equal | Comparison::NotEqual);
        for (side, position) in [(&left, start), (&right, right_start)] {
            match side {
                Operand::Literal(Value::List(_)) => {
                    return Err(ConditionError::new(position, "a list can only stand after `in`"));
                }
                Operand::Literal(Value::Null) if ordered => {
                    return Err(ConditionError::new(position, "`null` has no order: write `== null` or `!= null`"));
                }
                Operand::Literal(_) | Operand::Path(_) => {}
            }
        }
        Ok(Expression::Compare(comparison, left, right))
    }

    fn element(&mut self, left: Operand, start: usize) -> Parsed<Expression> {
        if matches!(left, Operand::Literal(Value::Null | Value::List(_))) {
            return Err(ConditionError::new(start, "only a text, a number or a boolean can be in a list"));
        }
        let right_start = self.next_position();
        let right = self.operand()?;
        if matches!(&right, Operand::Literal(value) if !matches!(value, Value::List(_))) {
            return Err(ConditionError::new(right_start, "expected a list after `in`"));
        }
        Ok(Expression::In(left, right))
    }

    fn alone(&self, operand: Operand, start: usize) -> Parsed<Expression> {
        match operand {
            Operand::Literal(Value::Bool(value)) => Ok(Expression::Constant(value)),
            Operand::Path(path) if path.root != Root::Now => Ok(Expression::Flag(path)),
            Operand::Path(_) => Err(ConditionError::new(start, "`now` is not true or false: compare it")),
            Operand::Literal(value) => Err(ConditionError::new(start, format!("{} is not true or false: compare it", named(&value)))),
        }
    }

    fn has(&mut self) -> Parsed<Expression> {
        self.eat_word("has");
        self.expect("(")?;
        let path = self.path()?;
        if path.root == Root::Now {
            return Err(ConditionError::new(path.position, "`now` is always there"));
        }
        self.expect(")")?;
        Ok(Expression::Has(path))
    }

    fn text_test(&mut self, text: Operand) -> Parsed<Expression> {
        self.expect(".")?;
        let start = self.next_position();
        let test = match self.word() {
            Some("startsWith") => TextTest::StartsWith,
            Some("endsWith") => TextTest::EndsWith,
            Some("contains") => TextTest::Contains,
            Some(name) => return Err(unknown_function(name, start)),
            None => return Err(self.unexpected("a name")),
        };
        self.expect("(")?;
        let needle = self.operand()?;
        self.expect(")")?;
        Ok(Expression::Text(test, text, needle))
    }

    fn operand(&mut self) -> Parsed<Operand> {
        if let Some(value) = self.literal()? {
            return Ok(Operand::Literal(value));
        }
        self.path().map(Operand::Path)
    }

    fn path(&mut self) -> Parsed<Path> {
        let position = self.next_position();
        let Some(first) = self.word().map(str::to_owned) else { return Err(self.unexpected("a value")) };
        if self.peek() == Some(b'(') {
            return Err(unknown_function(&first, position));
        }
        let mut members = Vec::new();
        while let Some(member) = self.member()? {
            if members.len() == MEMBERS_MAX {
                return Err(ConditionError::new(position, format!("a path has more than {MEMBERS_MAX} members")));
            }
            members.push(member);
        }
        self.rooted(first, members, position)
    }

    /// The next member of a path; none if the path ends here or the name is that of a function.
    fn member(&mut self) -> Parsed<Option<String>> {
        let before = self.position;
        if !self.eat(".") {
            return Ok(None);
        }
        let Some(name) = self.word().map(str::to_owned) else { return Err(self.unexpected("a name")) };
        if self.peek() == Some(b'(') {
            self.position = before;
            return Ok(None);
        }
        Ok(Some(name))
    }

    fn rooted(&self, first: String, mut members: Vec<String>, position: usize) -> Parsed<Path> {
        let root = match (first.as_str(), self.scope) {
            ("record", _) => Root::Record,
            ("caller", _) => Root::Caller,
            ("now", _) => Root::Now,
            ("before", Scope::Policy) => Root::Before,
            ("before", Scope::Filter) => return Err(ConditionError::new(position, "`before` is only known in policies")),
            ("in" | "true" | "false" | "null", _) => return Err(ConditionError::new(position, format!("unexpected `{first}`"))),
            (_, Scope::Policy) => {
                return Err(ConditionError::new(position, format!("unknown name `{first}`: write `record.{first}` for a field")));
            }
            (_, Scope::Filter) => {
                members.insert(0, first);
                return Ok(Path { root: Root::Record, members, position });
            }
        };
        match (root, members.is_empty()) {
            (Root::Now, false) => Err(ConditionError::new(position, "`now` has no members")),
            (Root::Record | Root::Before | Root::Caller, true) => {
                Err(ConditionError::new(position, format!("`{first}` needs a member, as in `{first}.id`")))
            }
            _ => Ok(Path { root, members, position }),
        }
    }
}

/// The cursor: what is next, and stepping over it.
impl<'a> Parser<'a> {
    fn spaces(&mut self) {
        let rest = &self.source.as_bytes()[self.position..];
        self.position += rest.iter().take_while(|byte| b" \t\r\n\x0c".contains(byte)).count();
    }

    /// Where the next token begins.
    fn next_position(&mut self) -> usize {
        self.spaces();
        self.position
    }

    /// The first byte of the next token.
    fn peek(&mut self) -> Option<u8> {
        self.spaces();
        self.source.as_bytes().get(self.position).copied()
    }

    fn eat(&mut self, token: &str) -> bool {
        self.spaces();
        let found = self.source[self.position..].starts_with(token) && !(token == "!" && self.source[self.position..].starts_with("!="));
        self.position += if found { token.len() } else { 0 };
        found
    }

    fn expect(&mut self, token: &str) -> Parsed<()> {
        if self.eat(token) { Ok(()) } else { Err(self.unexpected(&format!("`{token}`"))) }
    }

    /// The word that is next, without stepping over it.
    fn next_word(&mut self) -> Option<&'a str> {
        self.spaces();
        let source: &'a str = self.source;
        let rest = &source[self.position..];
        let length = rest.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
        let starts_well = rest.bytes().next().is_some_and(|byte| !byte.is_ascii_digit());
        (length > 0 && starts_well).then(|| &rest[..length])
    }

    fn word(&mut self) -> Option<&'a str> {
        let word = self.next_word()?;
        self.position += word.len();
        Some(word)
    }

    fn eat_word(&mut self, expected: &str) -> bool {
        let found = self.next_word() == Some(expected);
        self.position += if found { expected.len() } else { 0 };
        found
    }

    /// True if the function of this name is called next.
    fn at_call(&mut self, name: &str) -> bool {
        if self.next_word() != Some(name) {
            return false;
        }
        self.source[self.position + name.len()..].trim_start_matches([' ', '\t', '\r', '\n', '\x0c']).starts_with('(')
    }

    fn error(&self, reason: impl Into<String>) -> ConditionError {
        ConditionError::new(self.position, reason)
    }

    fn unexpected(&mut self, expected: &str) -> ConditionError {
        self.spaces();
        let Some(character) = self.source[self.position..].chars().next() else {
            return self.error(format!("unexpected end, expected {expected}"));
        };
        match self.next_word() {
            Some(word @ ("and" | "AND")) => self.error(format!("unexpected `{word}`: write `&&`")),
            Some(word @ ("or" | "OR")) => self.error(format!("unexpected `{word}`: write `||`")),
            Some(word) => self.error(format!("unexpected `{word}`, expected {expected}")),
            None if character == '=' => self.error("unexpected `=`: write `==`"),
            None if character.is_control() => self.error(format!("unexpected `{}`, expected {expected}", character.escape_default())),
            None => self.error(format!("unexpected `{character}`, expected {expected}")),
        }
    }
}

fn join(mut terms: Vec<Expression>, many: fn(Vec<Expression>) -> Expression) -> Expression {
    match terms.pop() {
        Some(only) if terms.is_empty() => only,
        last => {
            terms.extend(last);
            many(terms)
        }
    }
}

fn unknown_function(name: &str, position: usize) -> ConditionError {
    let known = "`has`, `timestamp`, `startsWith`, `endsWith`, `contains`";
    ConditionError::new(position, format!("unknown function `{name}`: there are {known}"))
}

/// A literal in words.
fn named(value: &Value) -> String {
    match value {
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Number(_) => format!("`{}`", value.to_json()),
        Value::Decimal(_) | Value::Text(_) | Value::List(_) | Value::Object(_) => format!("a {}", value.kind()),
    }
}

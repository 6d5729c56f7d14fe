//! The one condition language: a subset of CEL for policies, `filter=` of lists and the queries of plugins. A text is parsed once into an
//! [`Expression`], checked against its collection, and then read by two: [`Condition::evaluate`] here and the translation to a query in
//! the store. Both are three-valued: what cannot be decided (a missing value, another type) is unknown, and unknown never widens access.

mod parse;

mod check;

mod evaluate;

mod doubts;

mod review;

mod lookups;

use std::{collections::BTreeSet, fmt, sync::Arc};

pub use doubts::Doubt;
pub use review::Review;

use crate::{Caller, Collection, Record, value::Value};

/// The longest text of a condition, in bytes.
pub const LENGTH_MAX: usize = 4_096;

/// How deep a condition may nest.
pub const NESTING_MAX: usize = 32;

/// How many times the terms of a condition may have to be halved until single terms are left, so that its query stays within what the
/// database parses: 8 for 200 terms in a row, 12 for 12 levels of two.
pub const LEVELS_MAX: u32 = 12;

/// Where a condition stands, which decides what its names mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// In a policy: `record.x`, `before.x`, `caller.x`, `now`.
    Policy,
    /// In a client's filter or a plugin's query: bare names are fields of the record; `caller.x` and `now` mean the same as in policies.
    Filter,
}

/// The outcome of a condition. `Unknown` neither allows nor lifts a denial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Truth {
    /// Certainly not.
    False,
    /// It cannot be decided.
    Unknown,
    /// Certainly.
    True,
}

/// Why a condition is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason} at character {position}")]
pub struct ConditionError {
    /// Where, in bytes from the start of the text.
    pub position: usize,
    /// What is wrong, in words.
    pub reason: String,
}

impl ConditionError {
    fn new(position: usize, reason: impl Into<String>) -> Self {
        Self { position, reason: reason.into() }
    }
}

/// What a path starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Root {
    /// The record: stored, or about to be.
    Record,
    /// The stored record before an update; missing otherwise.
    Before,
    /// Who asks.
    Caller,
    /// The time of the request; it has no members.
    Now,
}

/// A path such as `record.address.city`. Dots walk through objects only.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Path {
    /// What the path starts from.
    pub root: Root,
    /// The member names, outermost first; empty for `now`.
    pub members: Vec<String>,
    /// Where it stands in the text, in bytes.
    pub position: usize,
}

impl fmt::Display for Path {
    /// As a policy writes it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self.root {
            Root::Record => "record",
            Root::Before => "before",
            Root::Caller => "caller",
            Root::Now => "now",
        })?;
        self.members.iter().try_for_each(|member| write!(formatter, ".{member}"))
    }
}

/// One side of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    /// A value that is looked up.
    Path(Path),
    /// A constant; lists are [`Value::List`].
    Literal(Value),
}

/// How two operands are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

/// A test on text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextTest {
    /// `x.startsWith('a')`
    StartsWith,
    /// `x.endsWith('a')`
    EndsWith,
    /// `x.contains('a')`
    Contains,
}

/// The checked form of a condition, which evaluation and translation read.
#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    /// `true` or `false`.
    Constant(bool),
    /// All hold.
    And(Vec<Expression>),
    /// At least one holds.
    Or(Vec<Expression>),
    /// It does not hold.
    Not(Box<Expression>),
    /// A comparison; with the literal `null` on one side it asks whether the other is missing.
    Compare(Comparison, Operand, Operand),
    /// The left operand is an element of the list on the right.
    In(Operand, Operand),
    /// `has(path)`: neither missing nor null.
    Has(Path),
    /// A test on text: the text, then what is looked for.
    Text(TextTest, Operand, Operand),
    /// A path that stands alone and must be `true`.
    Flag(Path),
}

/// A parsed condition and the text that it came from.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    source: Arc<str>,
    expression: Expression,
}

/// Everything a condition may look at.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Behind `record.`.
    pub record: &'a Record,
    /// Behind `before.`; none when there is no stored record.
    pub before: Option<&'a Record>,
    /// Behind `caller.`.
    pub caller: &'a Caller,
    /// Behind `now`: a canonical datetime (see [`crate::time`]).
    pub now: &'a str,
}

impl Condition {
    /// Parses a text. Names are not looked up yet: see [`Condition::check`].
    ///
    /// # Errors
    /// The first thing that is wrong, with its position; also a text beyond [`LENGTH_MAX`], [`NESTING_MAX`] or [`LEVELS_MAX`].
    pub fn parse(source: &str, scope: Scope) -> Result<Self, ConditionError> {
        Ok(Self { source: source.into(), expression: parse::parse(source, scope)? })
    }

    /// A condition that is put together from pieces and has no text. It must be checked like any other.
    pub(crate) fn of(expression: Expression) -> Self {
        Self { source: "".into(), expression }
    }

    /// The condition that is true where all of these are; none if there are none.
    #[must_use]
    pub fn all(conditions: Vec<Condition>) -> Option<Self> {
        let mut conditions = conditions;
        if conditions.len() < 2 {
            return conditions.pop();
        }
        Some(Self::of(Expression::And(conditions.into_iter().map(|condition| condition.expression).collect())))
    }

    /// Checks every path and type against the collection, and brings literals into the form of the field they are compared with (a
    /// datetime becomes canonical, a number beside a decimal field becomes decimal).
    ///
    /// # Errors
    /// An unknown field, or a comparison that could never be decided, with its position.
    pub fn check(&self, collection: &Collection) -> Result<Self, ConditionError> {
        Ok(Self { source: self.source.clone(), expression: check::check(&self.expression, collection)? })
    }

    /// Whether the condition holds.
    #[must_use]
    pub fn evaluate(&self, context: &Context<'_>) -> Truth {
        evaluate::evaluate(&self.expression, context)
    }

    /// The text it was parsed from; empty if it was put together from pieces.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The form that evaluation and translation read.
    #[must_use]
    pub fn expression(&self) -> &Expression {
        &self.expression
    }

    /// The fields of the record (first members of `record.` and `before.` paths) that it reads.
    #[must_use]
    pub fn fields(&self) -> BTreeSet<&str> {
        let mut fields = BTreeSet::new();
        self.expression.each_path(&mut |path| {
            if matches!(path.root, Root::Record | Root::Before) {
                fields.extend(path.members.first().map(String::as_str));
            }
        });
        fields
    }
}

impl Expression {
    /// Calls `visit` for every path in the expression.
    pub fn each_path<'a>(&'a self, visit: &mut impl FnMut(&'a Path)) {
        let mut operand = |side: &'a Operand| {
            if let Operand::Path(path) = side {
                visit(path);
            }
        };
        match self {
            Expression::Constant(_) => {}
            Expression::And(terms) | Expression::Or(terms) => terms.iter().for_each(|term| term.each_path(visit)),
            Expression::Not(term) => term.each_path(visit),
            Expression::Compare(_, left, right) | Expression::In(left, right) | Expression::Text(_, left, right) => {
                operand(left);
                operand(right);
            }
            Expression::Has(path) | Expression::Flag(path) => visit(path),
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.source)
    }
}

/// A condition that is put together from several: at least one of `any_of` is true and every one of `none_of` is false. So a doubt in an
/// allowing condition does not allow, and a doubt in a denying one denies.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Guard {
    /// One of these must be [`Truth::True`].
    pub any_of: Vec<Arc<Condition>>,
    /// All of these must be [`Truth::False`].
    pub none_of: Vec<Arc<Condition>>,
}

impl Guard {
    /// Whether the guard lets the record pass.
    #[must_use]
    pub fn holds(&self, context: &Context<'_>) -> bool {
        self.any_of.iter().any(|condition| condition.evaluate(context) == Truth::True)
            && self.none_of.iter().all(|condition| condition.evaluate(context) == Truth::False)
    }
}

#[cfg(test)]
mod tests;

//! Decides a condition in process, three-valued after Kleene. The translation to a query in the store must agree with every line here; a
//! property test there compares the two on hostile records.

use std::{borrow::Cow, cmp::Ordering, ops::Not};

use super::{Comparison, Context, Expression, Operand, Path, Root, TextTest, Truth};
use crate::{Record, value::Value};

/// Decides an expression.
pub(super) fn evaluate(expression: &Expression, context: &Context<'_>) -> Truth {
    match expression {
        Expression::Constant(value) => Truth::from(*value),
        Expression::And(terms) => all(terms, context),
        Expression::Or(terms) => any(terms, context),
        Expression::Not(term) => !evaluate(term, context),
        Expression::Compare(comparison, left, right) => compare(*comparison, left, right, context),
        Expression::In(element, list) => element_of(look(element, context), look(list, context)),
        Expression::Has(path) => Truth::from(!look_up(path, context).is_null()),
        Expression::Text(test, text, needle) => text_test(*test, look(text, context), look(needle, context)),
        Expression::Flag(path) => flag(look_up(path, context)),
    }
}

impl Expression {
    /// Decides a part of a condition; see [`super::Condition::evaluate`].
    #[must_use]
    pub fn evaluate(&self, context: &Context<'_>) -> Truth {
        evaluate(self, context)
    }
}

impl Operand {
    /// The value that it stands for; null where there is none.
    #[must_use]
    pub fn value<'a>(&'a self, context: &Context<'a>) -> Cow<'a, Value> {
        look(self, context).into_value()
    }
}

impl Path {
    /// The value that is found there; null where there is none.
    #[must_use]
    pub fn value<'a>(&self, context: &Context<'a>) -> Cow<'a, Value> {
        look_up(self, context).into_value()
    }
}

impl From<bool> for Truth {
    fn from(value: bool) -> Self {
        if value { Truth::True } else { Truth::False }
    }
}

impl From<Option<bool>> for Truth {
    fn from(value: Option<bool>) -> Self {
        value.map_or(Truth::Unknown, Truth::from)
    }
}

impl Not for Truth {
    type Output = Truth;

    fn not(self) -> Truth {
        match self {
            Truth::False => Truth::True,
            Truth::Unknown => Truth::Unknown,
            Truth::True => Truth::False,
        }
    }
}

fn all(terms: &[Expression], context: &Context<'_>) -> Truth {
    let mut result = Truth::True;
    for term in terms {
        result = result.min(evaluate(term, context));
        if result == Truth::False {
            break;
        }
    }
    result
}

fn any(terms: &[Expression], context: &Context<'_>) -> Truth {
    let mut result = Truth::False;
    for term in terms {
        result = result.max(evaluate(term, context));
        if result == Truth::True {
            break;
        }
    }
    result
}

fn compare(comparison: Comparison, left: &Operand, right: &Operand, context: &Context<'_>) -> Truth {
    let order = || order(look(left, context), look(right, context));
    match comparison {
        Comparison::Equal => equality(left, right, context),
        Comparison::NotEqual => !equality(left, right, context),
        Comparison::Less => order().map(Ordering::is_lt).into(),
        Comparison::LessOrEqual => order().map(Ordering::is_le).into(),
        Comparison::Greater => order().map(Ordering::is_gt).into(),
        Comparison::GreaterOrEqual => order().map(Ordering::is_ge).into(),
    }
}

/// Beside the literal `null` the question is whether the other side is missing, which can always be answered.
fn equality(left: &Operand, right: &Operand, context: &Context<'_>) -> Truth {
    match (left, right) {
        (other, Operand::Literal(Value::Null)) | (Operand::Literal(Value::Null), other) => Truth::from(look(other, context).is_null()),
        _ => equal(look(left, context), look(right, context)).into(),
    }
}

fn element_of(element: Seen<'_>, list: Seen<'_>) -> Truth {
    let Seen::Other(Value::List(values)) = list else { return Truth::Unknown };
    if !element.is_scalar() {
        return Truth::Unknown;
    }
    let candidates = values.iter().filter(|value| value.is_scalar());
    candidates.map(|value| Truth::from(equal(element, Seen::from(value)))).max().unwrap_or(Truth::False)
}

fn text_test(test: TextTest, text: Seen<'_>, needle: Seen<'_>) -> Truth {
    let (Seen::Text(text), Seen::Text(needle)) = (text, needle) else { return Truth::Unknown };
    Truth::from(match test {
        TextTest::StartsWith => text.starts_with(needle),
        TextTest::EndsWith => text.ends_with(needle),
        TextTest::Contains => text.contains(needle),
    })
}

fn flag(value: Seen<'_>) -> Truth {
    match value {
        Seen::Other(Value::Bool(value)) => Truth::from(*value),
        _ => Truth::Unknown,
    }
}

/// A value in place. The id and the times of a record are plain texts, so a `&Value` cannot show them without a copy.
#[derive(Clone, Copy)]
enum Seen<'a> {
    Text(&'a str),
    /// INVARIANT: never [`Value::Text`].
    Other(&'a Value),
}

impl<'a> From<&'a Value> for Seen<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Text(text) => Seen::Text(text),
            other => Seen::Other(other),
        }
    }
}

impl<'a> Seen<'a> {
    fn into_value(self) -> Cow<'a, Value> {
        match self {
            Seen::Text(text) => Cow::Owned(Value::from(text)),
            Seen::Other(value) => Cow::Borrowed(value),
        }
    }

    fn is_null(self) -> bool {
        matches!(self, Seen::Other(Value::Null))
    }

    fn is_scalar(self) -> bool {
        match self {
            Seen::Text(_) => true,
            Seen::Other(value) => value.is_scalar(),
        }
    }
}

fn look<'a>(operand: &'a Operand, context: &Context<'a>) -> Seen<'a> {
    match operand {
        Operand::Literal(value) => Seen::from(value),
        Operand::Path(path) => look_up(path, context),
    }
}

fn look_up<'a>(path: &Path, context: &Context<'a>) -> Seen<'a> {
    let Some((first, rest)) = path.members.split_first() else {
        return if path.root == Root::Now { Seen::Text(context.now) } else { Seen::Other(Value::null()) };
    };
    let first = match path.root {
        Root::Record => field(context.record, first),
        Root::Before => context.before.map_or(Seen::Other(Value::null()), |record| field(record, first)),
        Root::Caller => context.caller.attributes.get(first).map_or(Seen::Other(Value::null()), Seen::from),
        Root::Now => Seen::Other(Value::null()),
    };
    rest.iter().fold(first, member)
}

fn field<'a>(record: &'a Record, name: &str) -> Seen<'a> {
    match name {
        "id" => Seen::Text(&record.id),
        "created" => Seen::Text(&record.created),
        "updated" => Seen::Text(&record.updated),
        _ => record.values.get(name).map_or(Seen::Other(Value::null()), Seen::from),
    }
}

#[expect(clippy::ptr_arg, reason = "it is folded over the members of a path, which are strings")]
fn member<'a>(value: Seen<'a>, name: &String) -> Seen<'a> {
    match value {
        Seen::Text(_) => Seen::Other(Value::null()),
        Seen::Other(value) => Seen::from(value.member(name)),
    }
}

/// Whether two values are equal; none if that cannot be said. Scalars of different types are not equal.
fn equal(a: Seen<'_>, b: Seen<'_>) -> Option<bool> {
    if !a.is_scalar() || !b.is_scalar() {
        return None;
    }
    match (a, b) {
        (Seen::Text(a), Seen::Text(b)) => Some(a == b),
        (Seen::Other(Value::Bool(a)), Seen::Other(Value::Bool(b))) => Some(a == b),
        (Seen::Other(a), Seen::Other(b)) if is_number(a) && is_number(b) => compare_numbers(a, b).map(Ordering::is_eq),
        _ => Some(false),
    }
}

/// Which of two values comes first; none unless both are numbers or both are texts.
fn order(a: Seen<'_>, b: Seen<'_>) -> Option<Ordering> {
    match (a, b) {
        (Seen::Text(a), Seen::Text(b)) => Some(a.cmp(b)),
        (Seen::Other(a), Seen::Other(b)) => compare_numbers(a, b),
        _ => None,
    }
}

fn is_number(value: &Value) -> bool {
    matches!(value, Value::Integer(_) | Value::Number(_) | Value::Decimal(_))
}

/// Compares exactly, or not at all: SurrealDB 3.3.5 compares a float with a decimal approximately (not even transitively), and its
/// indexes differ from its scans there. Since no two could agree on such a pair, it is unknown.
fn compare_numbers(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Number(_), Value::Decimal(_)) | (Value::Decimal(_), Value::Number(_)) => None,
        _ => a.compare_numbers(b),
    }
}

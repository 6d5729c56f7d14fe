//! Tells why a condition could not be decided, for people who ask why they were refused. It follows the rules of [`super::evaluate`] and
//! decides nothing itself: a property test holds that there is a doubt exactly when the outcome is unknown.

use std::borrow::Cow;

use serde::Serialize;

use super::{Comparison, Condition, Context, Expression, Operand, Path, Truth};
use crate::value::Value;

/// One reason why a condition was unknown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Doubt {
    /// What could not be used, as a policy writes it: `record.locked`. A constant if no path is to blame.
    pub path: String,
    /// Where it stands in the text, in bytes.
    pub position: usize,
    /// What was there, in words: `missing`, `a list`, `a text`.
    pub found: String,
}

impl Condition {
    /// The paths that made the outcome unknown, each reason once, in the order of the text; empty when the outcome is true or false.
    #[must_use]
    pub fn doubts(&self, context: &Context<'_>) -> Vec<Doubt> {
        self.expression.doubts(context)
    }
}

impl Expression {
    /// The doubts of a part of a condition; see [`Condition::doubts`].
    #[must_use]
    pub fn doubts(&self, context: &Context<'_>) -> Vec<Doubt> {
        let mut doubts = Vec::new();
        collect(self, context, &mut doubts);
        doubts
    }
}

/// Only terms that are unknown themselves can have made the whole unknown. Nesting is bounded, so asking again at each level is cheap.
fn collect(expression: &Expression, context: &Context<'_>, doubts: &mut Vec<Doubt>) {
    if expression.evaluate(context) != Truth::Unknown {
        return;
    }
    let new = match expression {
        Expression::Constant(_) | Expression::Has(_) => Vec::new(),
        Expression::And(terms) | Expression::Or(terms) => return terms.iter().for_each(|term| collect(term, context, doubts)),
        Expression::Not(term) => return collect(term, context, doubts),
        Expression::Compare(comparison, left, right) => compare(*comparison, sides(left, right, context)),
        Expression::In(element, list) => element_of(sides(element, list, context)),
        Expression::Text(_, text, needle) => all_but(&sides(text, needle, context), |value| matches!(value, Value::Text(_))),
        Expression::Flag(path) => vec![Side { path: Some(path), position: path.position, value: path.value(context) }.doubt()],
    };
    for doubt in new {
        if !doubts.iter().any(|known| known.path == doubt.path && known.found == doubt.found) {
            doubts.push(doubt);
        }
    }
}

/// One side of a comparison and what it came out as.
struct Side<'a> {
    path: Option<&'a Path>,
    position: usize,
    value: Cow<'a, Value>,
}

/// Constants do not know their place: they take that of the path beside them.
fn sides<'a>(left: &'a Operand, right: &'a Operand, context: &Context<'a>) -> [Side<'a>; 2] {
    let path = |operand: &'a Operand| match operand {
        Operand::Path(path) => Some(path),
        Operand::Literal(_) => None,
    };
    let position = |own: &'a Operand, other: &'a Operand| path(own).or(path(other)).map_or(0, |path| path.position);
    [(left, right), (right, left)].map(|(own, other)| Side { path: path(own), position: position(own, other), value: own.value(context) })
}

impl Side<'_> {
    fn doubt(&self) -> Doubt {
        self.doubt_about(in_words(&self.value))
    }

    fn doubt_about(&self, found: &str) -> Doubt {
        let path = self.path.map_or_else(|| self.value.to_json(), Path::to_string);
        Doubt { path, position: self.position, found: found.to_owned() }
    }
}

fn compare(comparison: Comparison, sides: [Side<'_>; 2]) -> Vec<Doubt> {
    let ordered = !matches!(comparison, Comparison::Equal | Comparison::NotEqual);
    let unfit = all_but(&sides, |value| value.is_scalar() && !(ordered && matches!(value, Value::Bool(_))));
    if !unfit.is_empty() {
        return unfit;
    }
    // Each would do alone, but not beside the other: a text and a number, or a float and a decimal.
    let decimal = sides.iter().any(|side| matches!(*side.value, Value::Decimal(_)));
    let both = sides.each_ref().map(|side| match *side.value {
        Value::Number(_) if decimal => (side, "a float"),
        _ => (side, in_words(&side.value)),
    });
    paths_first(&both)
}

fn element_of([element, list]: [Side<'_>; 2]) -> Vec<Doubt> {
    let mut unfit = all_but(std::slice::from_ref(&element), Value::is_scalar);
    unfit.extend(all_but(std::slice::from_ref(&list), |value| matches!(value, Value::List(_))));
    if !unfit.is_empty() {
        return unfit;
    }
    // What is left is an element of the list that cannot be compared with this one.
    paths_first(&match *element.value {
        Value::Decimal(_) => [(&element, "a decimal"), (&list, "a list with a float")],
        _ => [(&element, "a float"), (&list, "a list with a decimal")],
    })
}

/// The sides that are not as they should be.
fn all_but(sides: &[Side<'_>], fit: impl Fn(&Value) -> bool) -> Vec<Doubt> {
    sides.iter().filter(|side| !fit(&side.value)).map(Side::doubt).collect()
}

/// A constant is as its author meant it, so the path beside it is to blame.
fn paths_first(both: &[(&Side<'_>, &str); 2]) -> Vec<Doubt> {
    let any_path = both.iter().any(|(side, _)| side.path.is_some());
    both.iter().filter(|(side, _)| side.path.is_some() || !any_path).map(|(side, found)| side.doubt_about(found)).collect()
}

fn in_words(value: &Value) -> &'static str {
    match value {
        Value::Null => "missing",
        Value::Bool(_) => "a boolean",
        Value::Integer(_) | Value::Number(_) => "a number",
        Value::Decimal(_) => "a decimal",
        Value::Text(_) => "a text",
        Value::List(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests;

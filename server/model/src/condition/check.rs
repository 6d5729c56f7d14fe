//! Checks a condition against its collection: every field is there and may be asked about, and every comparison can come out both ways.
//! Literals take the form of what they stand beside (datetimes become canonical, numbers decimal), so that reading them later is cheap.

use rust_decimal::Decimal;

use super::{Comparison, ConditionError, Expression, Operand, Path, Root};
use crate::{
    Collection, Field, FieldType,
    time::{canonical_date, canonical_datetime},
    value::Value,
};

/// A float has 15 decimal digits that are certain; a longer literal may not be the decimal that its author meant.
const CERTAIN_DIGITS: usize = 15;

type Checked<T> = Result<T, ConditionError>;

/// Checks an expression and returns it with its literals in place.
pub(super) fn check(expression: &Expression, collection: &Collection) -> Checked<Expression> {
    let all = |terms: &[Expression]| terms.iter().map(|term| check(term, collection)).collect::<Checked<Vec<_>>>();
    Ok(match expression {
        Expression::Constant(value) => Expression::Constant(*value),
        Expression::And(terms) => Expression::And(all(terms)?),
        Expression::Or(terms) => Expression::Or(all(terms)?),
        Expression::Not(term) => Expression::Not(Box::new(check(term, collection)?)),
        Expression::Compare(comparison, left, right) => compare(*comparison, left, right, collection)?,
        Expression::In(element, list) => element_of(element, list, collection)?,
        Expression::Has(path) => {
            path_kind(path, collection)?;
            expression.clone()
        }
        Expression::Text(_, text, needle) => {
            text_side(text, collection)?;
            text_side(needle, collection)?;
            expression.clone()
        }
        Expression::Flag(path) => flag(path, collection)?,
    })
}

/// What is known about one side before any record is seen.
#[derive(Clone, Copy)]
enum Side<'a> {
    /// Members of `json` fields and of the caller: anything may come.
    Anything,
    /// A field with one value.
    One(FieldType, Option<&'a Field>),
    /// A field with several values.
    Many(&'a Field),
    /// A constant.
    Literal(&'a Value),
}

fn side<'a>(operand: &'a Operand, collection: &'a Collection) -> Checked<Side<'a>> {
    match operand {
        Operand::Path(path) => path_kind(path, collection),
        Operand::Literal(value) => Ok(Side::Literal(value)),
    }
}

fn path_kind<'a>(path: &Path, collection: &'a Collection) -> Checked<Side<'a>> {
    match path.root {
        Root::Caller => Ok(Side::Anything),
        Root::Now => Ok(Side::One(FieldType::Datetime, None)),
        Root::Record | Root::Before => field_kind(path, collection),
    }
}

fn field_kind<'a>(path: &Path, collection: &'a Collection) -> Checked<Side<'a>> {
    let Some(name) = path.members.first() else {
        return refuse(path.position, "the record itself cannot be compared: name a field");
    };
    let field = collection.field(name);
    let Some(kind) = collection.field_type(name) else {
        return refuse(path.position, format!("unknown field `{name}` in collection `{}`", collection.name()));
    };
    if field.is_some_and(Field::is_secret) {
        return refuse(path.position, format!("the field `{name}` is secret: no condition may look at it"));
    }
    match field {
        _ if kind == FieldType::Json => Ok(Side::Anything),
        _ if path.members.len() > 1 => {
            refuse(path.position, format!("the field `{name}` has no members: it is of type `{}`, not `json`", kind.name()))
        }
        Some(field) if field.many => Ok(Side::Many(field)),
        field => Ok(Side::One(kind, field)),
    }
}

fn compare(comparison: Comparison, left: &Operand, right: &Operand, collection: &Collection) -> Checked<Expression> {
    let position = position(left, right);
    let (left_side, right_side) = (side(left, collection)?, side(right, collection)?);
    let null = |side: &Side<'_>| matches!(side, Side::Literal(Value::Null));
    if null(&left_side) || null(&right_side) {
        return Ok(Expression::Compare(comparison, left.clone(), right.clone()));
    }
    for (operand, side) in [(left, left_side), (right, right_side)] {
        if let Side::Many(field) = side {
            return refuse(position, format!("`{}` holds several values: write `x in {}`", field.name, text_of(operand)));
        }
    }
    let ordered = !matches!(comparison, Comparison::Equal | Comparison::NotEqual);
    if ordered && [left_side, right_side].iter().any(|side| matches!(class(*side), Some(Class::Bool))) {
        return refuse(position, "true and false have no order: write `==` or `!=`");
    }
    can_match(left_side, right_side, position)?;
    let choice = !ordered;
    Ok(Expression::Compare(comparison, fitted(left, right_side, choice, position)?, fitted(right, left_side, choice, position)?))
}

fn element_of(element: &Operand, list: &Operand, collection: &Collection) -> Checked<Expression> {
    let position = position(element, list);
    let (element_side, list_side) = (side(element, collection)?, side(list, collection)?);
    if let Side::Many(field) = element_side {
        return refuse(position, format!("`{}` holds several values: one of them can be in a list, not all", field.name));
    }
    match (list, list_side) {
        (Operand::Literal(Value::List(values)), _) => {
            let values = values.iter().map(|value| {
                can_match(element_side, Side::Literal(value), position)?;
                fitted_value(value, element_side, true, position)
            });
            let values = values.collect::<Checked<Vec<_>>>()?;
            Ok(Expression::In(element.clone(), Operand::Literal(Value::List(values))))
        }
        (_, Side::Many(field)) => {
            let one = Side::One(field.kind, Some(field));
            can_match(element_side, one, position)?;
            Ok(Expression::In(fitted(element, one, true, position)?, list.clone()))
        }
        (_, Side::Anything) => Ok(Expression::In(element.clone(), list.clone())),
        (_, Side::One(..) | Side::Literal(_)) => refuse(position, format!("`{}` is not a list", text_of(list))),
    }
}

fn text_side(operand: &Operand, collection: &Collection) -> Checked<()> {
    let position = position(operand, operand);
    match side(operand, collection)? {
        Side::Anything | Side::Literal(Value::Text(_)) => Ok(()),
        Side::One(kind, _) if kind.is_text() => Ok(()),
        Side::One(kind, _) => refuse(position, format!("`{}` is of type `{}`, not text", text_of(operand), kind.name())),
        Side::Many(field) => refuse(position, format!("`{}` holds several values: write `x in {}`", field.name, text_of(operand))),
        Side::Literal(value) => refuse(position, format!("expected a text, not `{}`", value.to_json())),
    }
}

fn flag(path: &Path, collection: &Collection) -> Checked<Expression> {
    match path_kind(path, collection)? {
        Side::Anything | Side::One(FieldType::Bool, _) => Ok(Expression::Flag(path.clone())),
        Side::One(kind, _) | Side::Many(&Field { kind, .. }) => {
            refuse(path.position, format!("`{}` is of type `{}`, not `bool`: compare it", path.members.join("."), kind.name()))
        }
        Side::Literal(_) => refuse(path.position, "expected a name"),
    }
}

/// What can be equal. A decimal is exact and a float is not, so they are never compared.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Text,
    Datetime,
    Date,
    Bool,
    Integer,
    Number,
    Decimal,
}

fn class(side: Side<'_>) -> Option<Class> {
    use FieldType as T;
    match side {
        Side::One(kind, _) | Side::Many(&Field { kind, .. }) => match kind {
            T::Text | T::Email | T::Url | T::Select | T::Relation | T::Password => Some(Class::Text),
            T::Integer => Some(Class::Integer),
            T::Number => Some(Class::Number),
            T::Decimal => Some(Class::Decimal),
            T::Bool => Some(Class::Bool),
            T::Datetime => Some(Class::Datetime),
            T::Date => Some(Class::Date),
            T::Json => None,
        },
        Side::Literal(value) => match value {
            Value::Bool(_) => Some(Class::Bool),
            Value::Integer(_) => Some(Class::Integer),
            Value::Number(_) => Some(Class::Number),
            Value::Decimal(_) => Some(Class::Decimal),
            Value::Text(_) => Some(Class::Text),
            Value::Null | Value::List(_) | Value::Object(_) => None,
        },
        Side::Anything => None,
    }
}

fn can_match(left: Side<'_>, right: Side<'_>, position: usize) -> Checked<()> {
    use Class as C;
    let (Some(a), Some(b)) = (class(left), class(right)) else { return Ok(()) };
    let literal = matches!(left, Side::Literal(_)) || matches!(right, Side::Literal(_));
    let possible = match (a, b) {
        _ if a == b => true,
        (C::Integer, C::Number | C::Decimal) | (C::Number | C::Decimal, C::Integer) => true,
        // The literal of these pairs is read in the form of the field.
        (C::Text, C::Datetime | C::Date | C::Decimal) | (C::Datetime | C::Date | C::Decimal, C::Text) => literal,
        (C::Number, C::Decimal) | (C::Decimal, C::Number) => literal,
        _ => false,
    };
    if possible { Ok(()) } else { refuse(position, format!("{} cannot be compared with {}", in_words(left), in_words(right))) }
}

fn in_words(side: Side<'_>) -> String {
    match side {
        Side::One(_, Some(field)) | Side::Many(field) => format!("`{}` of type `{}`", field.name, field.kind.name()),
        Side::One(kind, None) => format!("a `{}`", kind.name()),
        Side::Literal(value) => format!("`{}`", value.to_json()),
        Side::Anything => "anything".to_owned(),
    }
}

fn fitted(operand: &Operand, beside: Side<'_>, choice: bool, position: usize) -> Checked<Operand> {
    match operand {
        Operand::Path(_) => Ok(operand.clone()),
        Operand::Literal(value) => fitted_value(value, beside, choice, position).map(Operand::Literal),
    }
}

/// The literal in the form of the side it stands beside. With `choice` it has to be one of a select's values.
fn fitted_value(value: &Value, beside: Side<'_>, choice: bool, position: usize) -> Checked<Value> {
    let Side::One(kind, field) = beside else { return Ok(value.clone()) };
    let wanted = |fitted: Option<Value>| {
        fitted.ok_or_else(|| ConditionError::new(position, format!("`{}` is not a `{}`", plain(value), kind.name())))
    };
    match (kind, value) {
        (FieldType::Datetime, Value::Text(text)) => wanted(canonical_datetime(text).map(Value::Text)),
        (FieldType::Date, Value::Text(text)) => wanted(canonical_date(text).map(Value::Text)),
        (FieldType::Decimal, Value::Integer(integer)) => Ok(Value::Decimal(Decimal::from(*integer))),
        (FieldType::Decimal, Value::Text(text)) => wanted(Decimal::from_str_exact(text).ok().map(Value::Decimal)),
        (FieldType::Decimal, Value::Number(number)) => match certain_decimal(*number) {
            Some(decimal) => Ok(Value::Decimal(decimal)),
            None => refuse(position, format!("write a decimal of more than {CERTAIN_DIGITS} digits as text, not `{}`", plain(value))),
        },
        (FieldType::Select, Value::Text(text)) => match field {
            Some(field) if choice && !field.values.contains(text) => {
                refuse(position, format!("`{text}` is not among the values of `{}`", field.name))
            }
            _ => Ok(value.clone()),
        },
        _ => Ok(value.clone()),
    }
}

/// The decimal that was written, if the float has kept all of its digits; others must be written as text.
fn certain_decimal(number: f64) -> Option<Decimal> {
    let text = number.to_string();
    let digits = text.trim_start_matches(['-', '0', '.']).bytes().filter(u8::is_ascii_digit).count();
    if digits > CERTAIN_DIGITS { None } else { Decimal::from_str_exact(&text).ok() }
}

fn plain(value: &Value) -> String {
    value.as_text().map_or_else(|| value.to_json(), str::to_owned)
}

fn text_of(operand: &Operand) -> String {
    match operand {
        Operand::Path(path) => path.to_string(),
        Operand::Literal(value) => value.to_json(),
    }
}

/// Where the first path of a comparison stands; literals do not know their place.
fn position(left: &Operand, right: &Operand) -> usize {
    let of = |operand: &Operand| match operand {
        Operand::Path(path) => Some(path.position),
        Operand::Literal(_) => None,
    };
    of(left).or_else(|| of(right)).unwrap_or(0)
}

fn refuse<T>(position: usize, reason: impl Into<String>) -> Checked<T> {
    Err(ConditionError::new(position, reason))
}

//! Conditions as SurrealQL. Each is translated on one of two rails: "certainly true" or "certainly false"; there is no NOT around anything
//! that may be unknown. SurrealDB orders values of all types in one row and reads text as a list of its parts, so every comparison carries
//! guards on the stored type: a stored value may be older than its field's type. `tests` holds this against [`Condition::evaluate`].
//!
//! INVARIANT: values reach the query as bound parameters only, names as quoted identifiers only.

mod clause;
mod column;

use model::{
    Caller, Collection, Guard, Record, Truth, Value,
    condition::{Comparison, Condition, Context, Expression, Operand, Path, TextTest},
    value::Object,
};

pub(crate) use clause::Clause;
use clause::{Node, all, any, leaf};
use column::Column;

use crate::{transaction::Binds, value::to_stored};

/// Translates guards that must all hold. `before.` is missing in a query, as there is no change; the `when` text is free of `OR` at the top
/// wherever the conditions are, so an equality in it can use an index.
pub(crate) fn translate(guards: &[&Guard], caller: &Caller, now: &str, collection: &Collection, binds: &mut Binds) -> Clause {
    let nobody = no_record();
    let context = Context { record: &nobody, before: None, caller, now };
    let mut translation = Translation { context, collection, binds };
    all(guards.iter().map(|guard| translation.guard(guard)).collect()).finish()
}

/// Translates one condition that must be certainly true, as a filter must.
pub(crate) fn translate_filter(filter: &Condition, caller: &Caller, now: &str, collection: &Collection, binds: &mut Binds) -> Clause {
    let nobody = no_record();
    let context = Context { record: &nobody, before: None, caller, now };
    Translation { context, collection, binds }.rail(filter.expression(), Rail::True).finish()
}

/// Constants are folded by evaluating them, and they look at no record.
fn no_record() -> Record {
    Record { id: String::new(), tenant: String::new(), version: 0, created: String::new(), updated: String::new(), values: Object::new() }
}

/// What has to be certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rail {
    True,
    False,
}

impl Rail {
    fn opposite(self) -> Rail {
        match self {
            Rail::True => Rail::False,
            Rail::False => Rail::True,
        }
    }

    fn is(self, truth: Truth) -> Node {
        match (self, truth) {
            (Rail::True, Truth::True) | (Rail::False, Truth::False) => Node::Always,
            _ => Node::Never,
        }
    }
}

/// One side of a comparison: a column of the row, or a value that is known before the query.
enum Side {
    Column(Column),
    Value(Value),
}

struct Translation<'a> {
    context: Context<'a>,
    collection: &'a Collection,
    binds: &'a mut Binds,
}

impl Translation<'_> {
    fn guard(&mut self, guard: &Guard) -> Node {
        let allowed = any(guard.any_of.iter().map(|condition| self.rail(condition.expression(), Rail::True)).collect());
        let denied = guard.none_of.iter().map(|condition| self.rail(condition.expression(), Rail::False));
        all(std::iter::once(allowed).chain(denied).collect())
    }

    fn rail(&mut self, expression: &Expression, rail: Rail) -> Node {
        match (expression, rail) {
            (Expression::And(terms), Rail::True) | (Expression::Or(terms), Rail::False) => all(self.rails(terms, rail)),
            (Expression::And(terms), Rail::False) | (Expression::Or(terms), Rail::True) => any(self.rails(terms, rail)),
            (Expression::Not(term), _) => self.rail(term, rail.opposite()),
            (Expression::Constant(value), _) => rail.is(Truth::from(*value)),
            (Expression::Compare(comparison, left, right), _) => self.compare(*comparison, left, right, rail),
            (Expression::In(element, list), _) => self.element_of(element, list, rail),
            (Expression::Has(path), _) => self.missing(&Operand::Path(path.clone()), rail.opposite()),
            (Expression::Text(test, text, needle), _) => self.text_test(*test, text, needle, rail),
            (Expression::Flag(path), _) => self.flag(path, rail),
        }
    }

    fn rails(&mut self, terms: &[Expression], rail: Rail) -> Vec<Node> {
        terms.iter().map(|term| self.rail(term, rail)).collect()
    }

    fn side(&self, operand: &Operand) -> Side {
        match operand {
            Operand::Path(path) => match Column::of(path, self.collection) {
                Some(column) => Side::Column(column),
                None => Side::Value(operand.value(&self.context).into_owned()),
            },
            Operand::Literal(value) => Side::Value(value.clone()),
        }
    }

    fn bind(&mut self, value: &Value) -> String {
        let name = format!("c{}", self.binds.len());
        let parameter = format!("${name}");
        self.binds.push((name, to_stored(value)));
        parameter
    }

    fn compare(&mut self, comparison: Comparison, left: &Operand, right: &Operand, rail: Rail) -> Node {
        match (comparison, left, right) {
            (Comparison::Equal, other, Operand::Literal(Value::Null)) | (Comparison::Equal, Operand::Literal(Value::Null), other) => {
                return self.missing(other, rail);
            }
            (Comparison::NotEqual, other, Operand::Literal(Value::Null)) | (Comparison::NotEqual, Operand::Literal(Value::Null), other) => {
                return self.missing(other, rail.opposite());
            }
            _ => {}
        }
        let wanted = if rail == Rail::True { comparison } else { negated(comparison) };
        match (self.side(left), self.side(right)) {
            (Side::Column(column), Side::Value(value)) => self.compare_value(wanted, &column, &value),
            (Side::Value(value), Side::Column(column)) => self.compare_value(mirrored(wanted), &column, &value),
            (Side::Column(a), Side::Column(b)) => compare_columns(wanted, &a, &b),
            (Side::Value(_), Side::Value(_)) => {
                rail.is(Expression::Compare(comparison, left.clone(), right.clone()).evaluate(&self.context))
            }
        }
    }

    fn compare_value(&mut self, comparison: Comparison, column: &Column, value: &Value) -> Node {
        let guard = match comparison {
            Comparison::Equal if column.decides_equality(value) => Node::Always,
            Comparison::Equal => column.same_type(value),
            Comparison::NotEqual => column.comparable(value),
            _ if matches!(value, Value::Bool(_)) => Node::Never,
            _ => column.same_type(value),
        };
        if guard == Node::Never {
            return Node::Never;
        }
        let test = leaf(format!("{column} {} {}", sign(comparison), self.bind(value)));
        all(vec![test, guard, column.reachable()])
    }

    fn missing(&mut self, operand: &Operand, rail: Rail) -> Node {
        match (self.side(operand), rail) {
            (Side::Value(value), _) => rail.is(Truth::from(value.is_null())),
            (Side::Column(column), Rail::True) => column.missing(),
            (Side::Column(column), Rail::False) => column.present(),
        }
    }

    fn element_of(&mut self, element: &Operand, list: &Operand, rail: Rail) -> Node {
        match (self.side(element), self.side(list)) {
            (Side::Column(column), Side::Value(Value::List(values))) => self.column_in_values(&column, &values, rail),
            (Side::Column(_), Side::Value(_)) => Node::Never,
            (Side::Value(value), Side::Column(column)) => self.value_in_column(&value, &column, rail),
            (Side::Column(element), Side::Column(list)) => column_in_column(&element, &list, rail),
            (Side::Value(_), Side::Value(_)) => rail.is(Expression::In(element.clone(), list.clone()).evaluate(&self.context)),
        }
    }

    /// A float and a decimal are never compared, so a decimal looks only at the other elements, and so does a float.
    fn column_in_values(&mut self, column: &Column, values: &[Value], rail: Rail) -> Node {
        let is_number = |value: &&Value| matches!(value, Value::Number(_));
        let is_decimal = |value: &&Value| matches!(value, Value::Decimal(_));
        let values: Vec<&Value> = values.iter().filter(|value| value.is_scalar()).collect();
        if let [only] = values.as_slice() {
            let comparison = if rail == Rail::True { Comparison::Equal } else { Comparison::NotEqual };
            return self.compare_value(comparison, column, only);
        }
        let mut terms = Vec::new();
        let operator = if rail == Rail::True { "IN" } else { "NOT IN" };
        if rail == Rail::True || !values.is_empty() {
            terms.push(leaf(format!("{column} {operator} {}", self.bind_list(&values))));
        }
        for (kind, excluded) in [("decimal", &is_number as &dyn Fn(&&Value) -> bool), ("float", &is_decimal)] {
            if !values.iter().any(excluded) {
                continue;
            }
            let other = leaf(format!("type::is_{kind}({column}) = false"));
            let rest: Vec<&Value> = values.iter().copied().filter(|value| !excluded(value)).collect();
            terms.push(match rail {
                Rail::True => any(vec![other, leaf(format!("{column} IN {}", self.bind_list(&rest)))]),
                Rail::False => other,
            });
        }
        terms.extend([column.scalar(), column.reachable()]);
        if values.is_empty() && rail == Rail::True { Node::Never } else { all(terms) }
    }

    fn bind_list(&mut self, values: &[&Value]) -> String {
        self.bind(&Value::List(values.iter().copied().cloned().collect()))
    }

    fn value_in_column(&mut self, value: &Value, column: &Column, rail: Rail) -> Node {
        if !value.is_scalar() {
            return Node::Never;
        }
        let guards = [leaf(format!("type::is_array({column})")), column.reachable()];
        let parameter = self.bind(value);
        let incomparable = match value {
            Value::Number(_) => Some("decimal"),
            Value::Decimal(_) => Some("float"),
            _ => None,
        };
        let mut terms = vec![leaf(format!("{column} {} {parameter}", contains(rail)))];
        terms.extend(guards);
        match (incomparable, rail) {
            (None, _) => {}
            (Some(kind), Rail::True) => terms.push(leaf(format!("{} CONTAINS {parameter}", column.without(kind)))),
            // A list that holds the value only approximately is not free of it for certain, either.
            (Some(kind), Rail::False) => {
                return all(vec![
                    leaf(format!("type::is_array({column})")),
                    column.reachable(),
                    leaf(format!("{} CONTAINSNOT {parameter}", column.without(kind))),
                    leaf(format!("array::len({}) = array::len({column})", column.without(kind))),
                ]);
            }
        }
        all(terms)
    }

    fn text_test(&mut self, test: TextTest, text: &Operand, needle: &Operand, rail: Rail) -> Node {
        let (text_side, needle_side) = (self.side(text), self.side(needle));
        if let (Side::Value(_), Side::Value(_)) = (&text_side, &needle_side) {
            return rail.is(Expression::Text(test, text.clone(), needle.clone()).evaluate(&self.context));
        }
        let mut terms = Vec::new();
        let mut arguments = Vec::new();
        for side in [text_side, needle_side] {
            match side {
                // The guards come first: the functions refuse what is not text.
                Side::Column(column) => {
                    terms.extend([leaf(format!("type::is_string({column})")), column.reachable()]);
                    arguments.push(column.to_string());
                }
                Side::Value(value @ Value::Text(_)) => arguments.push(self.bind(&value)),
                Side::Value(_) => return Node::Never,
            }
        }
        let function = match test {
            TextTest::StartsWith => "string::starts_with",
            TextTest::EndsWith => "string::ends_with",
            TextTest::Contains => "string::contains",
        };
        terms.push(leaf(format!("{function}({}) = {}", arguments.join(", "), rail == Rail::True)));
        all(terms)
    }

    fn flag(&mut self, path: &Path, rail: Rail) -> Node {
        match Column::of(path, self.collection) {
            Some(column) => {
                let test = leaf(format!("{column} = {}", rail == Rail::True));
                let guard = if column.decides_equality(&Value::Bool(true)) { Node::Always } else { column.is("bool") };
                all(vec![test, guard, column.reachable()])
            }
            None => rail.is(Expression::Flag(path.clone()).evaluate(&self.context)),
        }
    }
}

fn compare_columns(comparison: Comparison, a: &Column, b: &Column) -> Node {
    let test = leaf(format!("{a} {} {b}", sign(comparison)));
    let types = match comparison {
        Comparison::Equal | Comparison::NotEqual => all(vec![a.scalar(), b.scalar()]),
        _ => any(["string", "number"].map(|kind| all(vec![a.is(kind), b.is(kind)])).into()),
    };
    all(vec![test, types, exact(a, b), a.reachable(), b.reachable()])
}

/// Not a float beside a decimal.
fn exact(a: &Column, b: &Column) -> Node {
    let not = |column: &Column, kind: &str| leaf(format!("type::is_{kind}({column}) = false"));
    all(vec![any(vec![not(a, "float"), not(b, "decimal")]), any(vec![not(a, "decimal"), not(b, "float")])])
}

fn column_in_column(element: &Column, list: &Column, rail: Rail) -> Node {
    let is_list = leaf(format!("type::is_array({list})"));
    let mut terms = vec![is_list, element.scalar(), element.reachable(), list.reachable()];
    terms.push(leaf(format!("{list} {} {element}", contains(rail))));
    for (kind, excluded) in [("float", "decimal"), ("decimal", "float")] {
        let rest = list.without(excluded);
        let looked = match rail {
            Rail::True => leaf(format!("{rest} CONTAINS {element}")),
            Rail::False => leaf(format!("array::len({rest}) = array::len({list})")),
        };
        terms.push(any(vec![leaf(format!("type::is_{kind}({element}) = false")), looked]));
    }
    all(terms)
}

fn contains(rail: Rail) -> &'static str {
    match rail {
        Rail::True => "CONTAINS",
        Rail::False => "CONTAINSNOT",
    }
}

fn negated(comparison: Comparison) -> Comparison {
    match comparison {
        Comparison::Equal => Comparison::NotEqual,
        Comparison::NotEqual => Comparison::Equal,
        Comparison::Less => Comparison::GreaterOrEqual,
        Comparison::LessOrEqual => Comparison::Greater,
        Comparison::Greater => Comparison::LessOrEqual,
        Comparison::GreaterOrEqual => Comparison::Less,
    }
}

fn mirrored(comparison: Comparison) -> Comparison {
    match comparison {
        Comparison::Equal | Comparison::NotEqual => comparison,
        Comparison::Less => Comparison::Greater,
        Comparison::LessOrEqual => Comparison::GreaterOrEqual,
        Comparison::Greater => Comparison::Less,
        Comparison::GreaterOrEqual => Comparison::LessOrEqual,
    }
}

fn sign(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Equal => "=",
        Comparison::NotEqual => "!=",
        Comparison::Less => "<",
        Comparison::LessOrEqual => "<=",
        Comparison::Greater => ">",
        Comparison::GreaterOrEqual => ">=",
    }
}

#[cfg(test)]
mod tests;

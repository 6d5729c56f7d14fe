//! Which fields of the record a condition pins to known values, so that the store can tell whether an index leads to every record that
//! the condition may hold for. It looks at the form only: no value is looked up and no index is known here.

use std::collections::BTreeSet;

use super::{Comparison, Condition, Expression, Operand, Path, Root};
use crate::value::Value;

/// The most alternatives that are told apart. More would not be looked up one by one anyway.
const ALTERNATIVES_MAX: usize = 64;

type Pins<'a> = BTreeSet<&'a str>;

impl Condition {
    /// The alternatives of the condition: whenever it is true, so is one of them, and its record has known values in the fields that the
    /// alternative names. Known is what depends on the caller and the time only. A field is pinned by `==`, by `in` with a known list on
    /// the right, or by standing alone. Equal alternatives are told once; a condition that never holds has none.
    ///
    /// An index can serve the condition if every alternative names a field that leads an index.
    #[must_use]
    pub fn lookups(&self) -> Vec<BTreeSet<&str>> {
        alternatives(&self.expression, true)
    }
}

/// The alternatives under which the expression comes out as `wanted`.
fn alternatives(expression: &Expression, wanted: bool) -> Vec<Pins<'_>> {
    match expression {
        Expression::Constant(value) if *value == wanted => vec![Pins::new()],
        Expression::Constant(_) => Vec::new(),
        Expression::Not(term) => alternatives(term, !wanted),
        Expression::And(terms) | Expression::Or(terms) => {
            let parts = terms.iter().map(|term| alternatives(term, wanted)).collect();
            if matches!(expression, Expression::And(_)) == wanted { both(parts) } else { either(parts) }
        }
        _ => vec![pinned(expression, wanted).into_iter().collect()],
    }
}

/// The field that a single term pins.
fn pinned(term: &Expression, wanted: bool) -> Option<&str> {
    match (term, wanted) {
        (Expression::Compare(Comparison::Equal, left, right), true) | (Expression::Compare(Comparison::NotEqual, left, right), false) => {
            // Beside `null` the question is whether the field is missing, and no index answers that.
            match (left, right) {
                (Operand::Literal(Value::Null), _) | (_, Operand::Literal(Value::Null)) => None,
                (Operand::Path(path), known) | (known, Operand::Path(path)) if is_known(known) => field(path),
                _ => None,
            }
        }
        (Expression::In(Operand::Path(path), list), true) if is_known(list) => field(path),
        (Expression::Flag(path), _) => field(path),
        _ => None,
    }
}

fn is_known(operand: &Operand) -> bool {
    !matches!(operand, Operand::Path(Path { root: Root::Record, .. }))
}

/// A field of the record itself; what lies inside a `json` field cannot be indexed.
fn field(path: &Path) -> Option<&str> {
    match path.members.as_slice() {
        [name] if path.root == Root::Record => Some(name),
        _ => None,
    }
}

/// All parts hold: every choice of one alternative from each. Where that would be too many, a part is left out, which is still true of
/// every record, only less precise; so the parts with the fewest alternatives come first.
fn both(mut parts: Vec<Vec<Pins<'_>>>) -> Vec<Pins<'_>> {
    parts.sort_by_key(Vec::len);
    parts.into_iter().fold(vec![Pins::new()], |known, part| {
        if known.len() * part.len() > ALTERNATIVES_MAX {
            return known;
        }
        once(known.iter().flat_map(|own| part.iter().map(move |other| own | other)))
    })
}

/// One of the parts holds. Where they are too many, they become one that names what all of them pin.
fn either(parts: Vec<Vec<Pins<'_>>>) -> Vec<Pins<'_>> {
    let all = once(parts.into_iter().flatten());
    if all.len() <= ALTERNATIVES_MAX {
        return all;
    }
    all.into_iter().reduce(|known, other| &known & &other).into_iter().collect()
}

fn once<'a>(alternatives: impl Iterator<Item = Pins<'a>>) -> Vec<Pins<'a>> {
    let mut seen = BTreeSet::new();
    alternatives.filter(|pins| seen.insert(pins.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condition::Scope;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let condition = Condition::parse(text, Scope::Policy).expect(text);
        let found: Vec<String> = condition.lookups().iter().map(|pins| pins.iter().copied().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn equality_with_what_is_known_pins_a_field() {
        check("record.a == 1", &["a"]);
        check("1 == record.a", &["a"]);
        check("record.a == caller.id", &["a"]);
        check("caller.team.id == record.a", &["a"]);
        check("record.a == before.a", &["a"]);
        check("record.a == now", &["a"]);
        check("record.a in ['x', 'y']", &["a"]);
        check("record.a in caller.teams", &["a"]);
        check("record.flag", &["flag"]);
        check("!record.flag", &["flag"]);
        check("!(record.a != 1)", &["a"]);
    }

    #[test]
    fn everything_else_pins_nothing() {
        check("record.a != 1", &[""]);
        check("!(record.a == 1)", &[""]);
        check("record.a < 1", &[""]);
        check("record.a == record.b", &[""]);
        check("record.a == null", &[""]);
        check("null == record.a", &[""]);
        check("has(record.a)", &[""]);
        check("record.a.startsWith('x')", &[""]);
        check("caller.id in record.a", &[""]);
        check("record.a in record.b", &[""]);
        check("!(record.a in ['x'])", &[""]);
        check("record.a.b == 1", &[""]);
        check("record.a.b", &[""]);
        check("caller.a == 1", &[""]);
        check("before.a == 1", &[""]);
        check("before.flag", &[""]);
        check("true", &[""]);
        check("false", &[]);
    }

    #[test]
    fn terms_of_all_add_their_pins() {
        check("record.a == 1 && record.b == 2", &["a b"]);
        check("record.a == 1 && record.b > 2 && caller.c == 3", &["a"]);
        check("record.a == 1 && (record.b == 2 && (record.c == 3 && true))", &["a b c"]);
        check("!(record.a != 1 || record.b != 2)", &["a b"]);
        check("record.a == 1 && false", &[]);
    }

    #[test]
    fn terms_of_any_are_alternatives() {
        check("record.a == 1 || record.b == 2", &["a", "b"]);
        check("record.a == 1 || record.a == 2", &["a"]);
        check("record.a == 1 || record.b > 2", &["a", ""]);
        check("record.a == 1 || caller.admin", &["a", ""]);
        check("record.a == 1 || false", &["a"]);
        check("record.a == 1 || true", &["a", ""]);
        check("!(record.a != 1 && record.b != 2)", &["a", "b"]);
    }

    #[test]
    fn all_distributes_over_any() {
        check("record.a == 1 && (record.b == 2 || record.c == 3)", &["a b", "a c"]);
        check("(record.b == 2 || record.c > 3) && record.a == 1", &["a b", "a"]);
        check("(record.a == 1 || record.b == 1) && (record.c == 1 || record.d == 1)", &["a c", "a d", "b c", "b d"]);
        check("(record.a == 1 && record.b == 1) || (record.c == 1 && (record.d == 1 || record.e == 1))", &["a b", "c d", "c e"]);
    }

    #[test]
    fn the_alternatives_are_bounded_and_stay_true() {
        let pair = |at: usize| format!("(record.x{at} == 1 || record.y{at} == 1)");
        let seven = (0..7).map(pair).collect::<Vec<_>>().join(" && ");
        let condition = Condition::parse(&format!("{seven} && record.a == 1"), Scope::Policy).expect("a condition");
        let alternatives = condition.lookups();
        assert_eq!(alternatives.len(), ALTERNATIVES_MAX);
        assert!(alternatives.iter().all(|pins| pins.len() == 7 && pins.contains("a")));

        let many = (0..100).map(|at| format!("record.a == 1 && record.x{at} == 1")).collect::<Vec<_>>().join(" || ");
        check(&many, &["a"]);
        let apart = (0..100).map(|at| format!("record.x{at} == 1")).collect::<Vec<_>>().join(" || ");
        check(&apart, &[""]);
    }
}

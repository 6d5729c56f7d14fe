//! Filters that name records: those are read by their ids, whatever else the filter says, rather than looked for among all.

use model::{
    Condition, Value,
    condition::{Comparison, Expression, Operand, Path, Root},
};

/// The ids of which one must be that of the record wherever the condition is true; none if it does not name any.
pub(super) fn ids(condition: &Condition) -> Option<Vec<&str>> {
    ids_of(condition.expression())
}

fn ids_of(expression: &Expression) -> Option<Vec<&str>> {
    match expression {
        Expression::And(terms) => terms.iter().find_map(ids_of),
        Expression::Compare(Comparison::Equal, Operand::Path(path), Operand::Literal(value))
        | Expression::Compare(Comparison::Equal, Operand::Literal(value), Operand::Path(path))
            if is_id(path) =>
        {
            value.as_text().map(|id| vec![id])
        }
        Expression::In(Operand::Path(path), Operand::Literal(Value::List(values))) if is_id(path) => {
            // What is no text is no id.
            let mut ids: Vec<&str> = values.iter().filter_map(Value::as_text).collect();
            ids.sort_unstable();
            ids.dedup();
            Some(ids)
        }
        _ => None,
    }
}

fn is_id(path: &Path) -> bool {
    path.root == Root::Record && path.members.len() == 1 && path.members[0] == "id"
}

#[cfg(test)]
mod tests {
    use model::condition::Scope;

    use super::*;

    fn check(filter: &str, expected: Option<&[&str]>) {
        let condition = Condition::parse(filter, Scope::Filter).expect(filter);
        assert_eq!(ids(&condition).as_deref(), expected, "{filter}");
    }

    #[test]
    fn filters_that_name_records_are_noticed() {
        check("id == 'a'", Some(&["a"]));
        check("'a' == id && title == 'x'", Some(&["a"]));
        check("title == 'x' && (id in ['b', 'a', 'b'])", Some(&["a", "b"]));
        check("id in []", Some(&[]));
        check("id == 'a' || id == 'b'", None);
        check("id != 'a'", None);
        check("!(id == 'a')", None);
        check("id == title", None);
        check("title == 'a'", None);
    }
}

//! Paths of conditions as columns of a row, with the guards that make reading them safe.

use std::fmt;

use model::{
    Collection, FieldType, Value,
    condition::{Path, Root},
};

use super::clause::{Node, all, any, leaf};

/// The column that repeats the id of a record: `id` itself is a record link, which is not text and cannot be indexed.
const KEY: &str = "_key";

/// A place in the row, displayed as a quoted SurrealQL idiom.
pub(super) struct Column {
    idiom: String,
    /// The idioms on the way to it, outermost first.
    outer: Vec<String>,
    kind: Option<FieldType>,
    /// The field may hold a list by its type.
    many: bool,
}

impl Column {
    /// The column of a path; none unless it starts at the record and the collection has the field: then its value is known to be missing.
    pub(super) fn of(path: &Path, collection: &Collection) -> Option<Self> {
        let (first, rest) = path.members.split_first().filter(|_| path.root == Root::Record)?;
        let kind = collection.field_type(first)?;
        let many = collection.field(first).is_some_and(|field| field.many);
        let mut column = Self { idiom: quoted(if first == "id" { KEY } else { first }), outer: Vec::new(), kind: Some(kind), many };
        for member in rest {
            let inner = format!("{}.{}", column.idiom, quoted(member));
            column.outer.push(std::mem::replace(&mut column.idiom, inner));
            column.kind = None;
        }
        Some(column)
    }

    /// SurrealDB's dots also walk through lists; ours walk through objects only.
    pub(super) fn reachable(&self) -> Node {
        all(self.outer.iter().map(|outer| leaf(format!("type::is_object({outer})"))).collect())
    }

    pub(super) fn missing(&self) -> Node {
        let unreachable = self.outer.iter().map(|outer| leaf(format!("type::is_object({outer}) = false")));
        any(unreachable.chain([leaf(format!("{self} = NONE")), leaf(format!("{self} = NULL"))]).collect())
    }

    /// Not written as `!=`, for which SurrealDB scans a range of an index, where a list stands once for each of its elements.
    pub(super) fn present(&self) -> Node {
        all(vec![leaf(format!("({self} ?? NONE) != NONE")), self.reachable()])
    }

    pub(super) fn is(&self, kind: &str) -> Node {
        leaf(format!("type::is_{kind}({self})"))
    }

    /// A text, a number or a boolean; the declared type is asked first.
    pub(super) fn scalar(&self) -> Node {
        self.one_of(&["string", "number", "bool"])
    }

    /// Of the type of a scalar, so that it can be equal or be ordered; never for other values.
    pub(super) fn same_type(&self, value: &Value) -> Node {
        match value {
            Value::Bool(_) => self.is("bool"),
            Value::Text(_) => self.is("string"),
            Value::Integer(_) => self.is("number"),
            Value::Number(_) => self.one_of(&["float", "int"]),
            Value::Decimal(_) => self.one_of(&["decimal", "int"]),
            Value::Null | Value::List(_) | Value::Object(_) => Node::Never,
        }
    }

    /// True if `=` alone decides. SurrealDB's `=` tells types apart, except that an index over a list answers for each of its elements; and
    /// a column whose field is no list never holds one (see `retype` in [`crate::records`]). A guard beside `=` costs a page its LIMIT in
    /// the index scan: 3,400 pages a second became 640.
    pub(super) fn decides_equality(&self, value: &Value) -> bool {
        let Some(kind) = self.kind.filter(|_| !self.many) else { return false };
        match value {
            Value::Text(_) => kind.is_text(),
            Value::Bool(_) => kind == FieldType::Bool,
            Value::Integer(_) => kind == FieldType::Integer,
            _ => false,
        }
    }

    /// A scalar that is certainly equal or certainly not equal to this one; never for other values.
    pub(super) fn comparable(&self, value: &Value) -> Node {
        match value {
            Value::Bool(_) | Value::Text(_) | Value::Integer(_) => self.scalar(),
            Value::Number(_) => self.one_of(&["float", "int", "string", "bool"]),
            Value::Decimal(_) => self.one_of(&["decimal", "int", "string", "bool"]),
            Value::Null | Value::List(_) | Value::Object(_) => Node::Never,
        }
    }

    fn one_of(&self, kinds: &[&str]) -> Node {
        let declared = match self.kind {
            Some(FieldType::Bool) => "bool",
            Some(kind) if kind.is_text() => "string",
            _ => "",
        };
        let first = kinds.iter().filter(|kind| **kind == declared);
        let rest = kinds.iter().filter(|kind| **kind != declared);
        any(first.chain(rest).map(|kind| self.is(kind)).collect())
    }

    /// The list in this column without its elements of one kind.
    pub(super) fn without(&self, kind: &str) -> String {
        format!("array::filter({self}, |$e| type::is_{kind}($e) = false)")
    }
}

impl fmt::Display for Column {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.idiom)
    }
}

/// Names have letters, digits and underscores only, so there is nothing to escape; the quotes keep keywords from being read as such.
fn quoted(name: &str) -> String {
    debug_assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'));
    let clean: String = name.chars().filter(|character| character.is_ascii_alphanumeric() || *character == '_').collect();
    format!("`{clean}`")
}

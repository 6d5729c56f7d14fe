//! Sets of fields: what may be read, or written.

use std::collections::BTreeSet;

/// A set of fields, given by its members or by what is missing from it. The `id` is not subject to masks: it is always shown, and
/// never written. `created` and `updated` are fields like any other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldMask {
    /// Every field but these.
    AllBut(BTreeSet<String>),
    /// These fields and no other.
    Only(BTreeSet<String>),
}

/// The fields column of a policy: the text as it was written and what it means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fields {
    text: Box<str>,
    mask: FieldMask,
}

impl Fields {
    /// Reads a column that [`crate::policy::check_fields`] has found sound.
    pub(crate) fn new(text: &str) -> Self {
        Self { text: text.into(), mask: FieldMask::parse(text) }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn mask(&self) -> &FieldMask {
        &self.mask
    }
}

impl FieldMask {
    /// Every field.
    #[must_use]
    pub fn all() -> Self {
        FieldMask::AllBut(BTreeSet::new())
    }

    /// No field.
    #[must_use]
    pub fn none() -> Self {
        FieldMask::Only(BTreeSet::new())
    }

    /// Reads the column of a policy: `*` or names with spaces between them.
    pub(crate) fn parse(column: &str) -> Self {
        if column == "*" { Self::all() } else { FieldMask::Only(column.split(' ').map(str::to_owned).collect()) }
    }

    /// True if the field is in the set.
    #[must_use]
    pub fn contains(&self, field: &str) -> bool {
        match self {
            FieldMask::AllBut(missing) => !missing.contains(field),
            FieldMask::Only(members) => members.contains(field),
        }
    }

    /// True if no field is missing.
    #[must_use]
    pub fn is_all(&self) -> bool {
        matches!(self, FieldMask::AllBut(missing) if missing.is_empty())
    }

    /// The fields that are in at least one of the two.
    pub(crate) fn union(&self, other: &Self) -> Self {
        use FieldMask::{AllBut, Only};
        match (self, other) {
            (AllBut(a), AllBut(b)) => AllBut(a & b),
            (AllBut(missing), Only(members)) | (Only(members), AllBut(missing)) => AllBut(missing - members),
            (Only(a), Only(b)) => Only(a | b),
        }
    }

    /// The fields that are in the first and not in the second.
    pub(crate) fn without(&self, other: &Self) -> Self {
        use FieldMask::{AllBut, Only};
        match (self, other) {
            (AllBut(a), Only(b)) => AllBut(a | b),
            (AllBut(a), AllBut(b)) => Only(b - a),
            (Only(a), Only(b)) => Only(a - b),
            (Only(a), AllBut(b)) => Only(a & b),
        }
    }

    /// The fields that are in both.
    pub(crate) fn intersection(&self, other: &Self) -> Self {
        self.without(&Self::all().without(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every mask over three fields, in both forms.
    fn masks() -> Vec<FieldMask> {
        let subsets = (0..8).map(|bits| {
            ["a", "b", "c"].iter().enumerate().filter(|(at, _)| bits >> at & 1 == 1).map(|(_, name)| (*name).to_owned()).collect()
        });
        subsets.flat_map(|set: BTreeSet<String>| [FieldMask::AllBut(set.clone()), FieldMask::Only(set)]).collect()
    }

    #[test]
    fn masks_are_sets() {
        for (left, right) in masks().iter().flat_map(|left| masks().into_iter().map(move |right| (left.clone(), right))) {
            for field in ["a", "b", "c", "d"] {
                let (in_left, in_right) = (left.contains(field), right.contains(field));
                assert_eq!(left.union(&right).contains(field), in_left || in_right, "{left:?} or {right:?}");
                assert_eq!(left.intersection(&right).contains(field), in_left && in_right, "{left:?} and {right:?}");
                assert_eq!(left.without(&right).contains(field), in_left && !in_right, "{left:?} without {right:?}");
            }
        }
    }

    #[test]
    fn a_column_is_a_mask() {
        assert!(FieldMask::parse("*").is_all());
        assert_eq!(FieldMask::parse("title body"), FieldMask::Only(["body".to_owned(), "title".to_owned()].into()));
        assert!(!FieldMask::none().contains("title"));
    }
}

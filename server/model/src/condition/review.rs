//! What a condition can come out as over everything that a collection may hold, so that whoever saves a condition that is always or never
//! true hears of it. Every path gets the few values that can make a difference to it (see [`candidates`]); then the outcomes are collected
//! over all combinations of them, leaving out those that cannot add one. Where that is too much, an outcome counts as possible, and a path
//! as not guarded.

mod candidates;
mod outcomes;
mod search;
mod situation;
mod values;

use std::collections::HashSet;

use search::Search;

use super::{Condition, Doubt, Root};
use crate::Collection;

/// What a condition can come out as. An outcome that is not possible here never occurs; the opposite may be wrong for conditions that
/// relate many paths to each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Review {
    /// Some record and caller make it true.
    pub can_be_true: bool,
    /// Some record and caller make it false.
    pub can_be_false: bool,
    /// Some record and caller leave it unknown.
    pub can_be_unknown: bool,
    /// The paths of the record that may be missing and can then be the only doubt that makes it unknown; each once, found `missing`.
    pub unguarded: Vec<Doubt>,
}

impl Condition {
    /// Reviews a checked condition. The values of a record are taken to be those that the collection allows by type, `required` and
    /// `values`; `min`, `max`, `pattern` and `schema` are not looked at.
    #[must_use]
    pub fn review(&self, collection: &Collection) -> Review {
        let mut search = Search::new(&self.expression, collection);
        let outcomes = search.outcomes();
        Review {
            can_be_true: outcomes.can_be_true(),
            can_be_false: outcomes.can_be_false(),
            can_be_unknown: outcomes.can_be_unknown(),
            unguarded: if outcomes.can_be_unknown() { self.unguarded(&mut search) } else { Vec::new() },
        }
    }

    fn unguarded(&self, search: &mut Search<'_>) -> Vec<Doubt> {
        let mut seen = HashSet::new();
        let mut paths = Vec::new();
        self.expression.each_path(&mut |path| {
            if path.root == Root::Record && seen.insert(&path.members) {
                paths.push(path);
            }
        });
        search.share(paths.len());
        let unguarded = paths.into_iter().filter(|path| search.is_unguarded(path));
        unguarded.map(|path| Doubt { path: path.to_string(), position: path.position, found: "missing".to_owned() }).collect()
    }
}

#[cfg(test)]
mod tests;

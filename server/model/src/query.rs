//! What a client may ask of a list: order, page and total, already resolved against the collection.

use std::sync::Arc;

use crate::{condition::Condition, value::Value};

/// The most records that one page may have.
pub const LIMIT_MAX: usize = 1_000;

/// The most records that [`Start::After::known`] counts: so many are rather read again than asked for with a query of their own.
pub const KNOWN_MAX: usize = 8;

/// One field of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SortKey {
    /// A declared or system field.
    pub field: String,
    /// Largest first.
    pub descending: bool,
}

/// Where a page begins.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Start {
    /// With the first record.
    #[default]
    Beginning,
    /// After so many records; costs as much as reading them.
    Offset(usize),
    /// After the record that had these values of the sort keys (same order as [`List::sort`]) and this id.
    After {
        /// The values of the sort keys.
        values: Vec<Value>,
        /// The id, which decides between equals.
        id: String,
        /// How many records up to this one, it included, were the only ones with these values then; 0 if nobody knows, or more
        /// than [`KNOWN_MAX`].
        known: usize,
    },
}

/// A page of a collection. The id is always the last, silent sort key, in the direction of the last one given.
#[derive(Clone, Debug, Default)]
pub struct List {
    /// Only records for which this is true.
    pub filter: Option<Arc<Condition>>,
    /// The order; empty means newest first.
    pub sort: Vec<SortKey>,
    /// The most records to return, 1 to [`LIMIT_MAX`].
    pub limit: usize,
    /// Where to begin.
    pub start: Start,
}

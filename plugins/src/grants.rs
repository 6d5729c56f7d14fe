//! What an operator allows a plugin to touch. Absence means no.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// Names of collections whose records a plugin may use. In a manifest the same shape is a wish.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Grants {
    /// Collections whose records may be read.
    pub read: BTreeSet<String>,
    /// Collections whose records may be created, updated, deleted, and read.
    pub write: BTreeSet<String>,
}

impl Grants {
    /// Whether records of the collection may be read.
    pub fn reads(&self, collection: &str) -> bool {
        self.read.contains(collection) || self.writes(collection)
    }

    /// Whether records of the collection may be written.
    pub fn writes(&self, collection: &str) -> bool {
        self.write.contains(collection)
    }

    /// Whether everything in `wish` is granted.
    pub fn cover(&self, wish: &Grants) -> bool {
        wish.read.iter().all(|collection| self.reads(collection)) && wish.write.iter().all(|collection| self.writes(collection))
    }
}

//! What of the document somebody wants: the version of the specification, the collections, and whether only what the caller may do.

use std::{collections::BTreeSet, fmt, str::FromStr};

use model::{Pointer, Violations};

use crate::world::Catalog;

/// A version of the OpenAPI specification.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Version {
    /// 3.0.3, which everything reads.
    #[default]
    Old,
    /// 3.1.0, whose schemas are JSON Schema.
    New,
}

impl FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "3.0" | "3.0.3" => Ok(Version::Old),
            "3.1" | "3.1.0" => Ok(Version::New),
            other => Err(format!("`{other}` is neither `3.0` nor `3.1`")),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Version::Old => "3.0.3",
            Version::New => "3.1.0",
        })
    }
}

/// What of the document is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Wanted {
    /// The version of the specification.
    pub version: Version,
    /// Only these collections, and what is needed to sign in; none means everything.
    pub collections: Option<BTreeSet<String>>,
}

/// A question for the document as it came in a query.
pub(crate) struct Asked {
    pub(crate) wanted: Wanted,
    /// True if only what the caller may do is wanted.
    pub(crate) for_caller: bool,
}

impl Wanted {
    /// Names of collections, separated by commas; blank ones are passed over.
    pub(crate) fn collections(text: &str) -> Option<BTreeSet<String>> {
        let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        Some(names.map(str::to_owned).collect::<BTreeSet<_>>()).filter(|names| !names.is_empty())
    }

    /// Reports the names that are no collection.
    pub(crate) fn check(&self, catalog: &Catalog, violations: &mut Violations) {
        for name in self.collections.iter().flatten().filter(|name| !catalog.contains_key(*name)) {
            violations.add(Pointer::field("collections"), "query.value", format!("there is no collection `{name}`"));
        }
    }

    pub(super) fn includes(&self, collection: &str) -> bool {
        self.collections.as_ref().is_none_or(|names| names.contains(collection))
    }
}

impl Asked {
    /// Reads the parameters, decoded; empty ones count as absent.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub(crate) fn read(pairs: impl Iterator<Item = (String, String)>, catalog: &Catalog) -> Result<Self, Violations> {
        let mut asked = Asked { wanted: Wanted::default(), for_caller: false };
        let mut violations = Violations::default();
        let mut seen = BTreeSet::new();
        for (name, value) in pairs {
            let value = value.trim();
            let mut wrong = |code: &str, message: String| violations.add(Pointer::field(&name), code, message);
            match name.as_str() {
                "version" | "collections" | "for" if !seen.insert(name.clone()) => wrong("query.value", format!("`{name}` stands twice")),
                "version" | "for" if value.is_empty() => {}
                "version" => match value.parse() {
                    Ok(version) => asked.wanted.version = version,
                    Err(message) => wrong("query.value", message),
                },
                "collections" => asked.wanted.collections = Wanted::collections(value),
                "for" if value == "caller" => asked.for_caller = true,
                "for" => wrong("query.value", format!("`{value}` is not `caller`")),
                _ => wrong("query.unknown", format!("unknown query parameter `{name}`")),
            }
        }
        asked.wanted.check(catalog, &mut violations);
        violations.or(asked)
    }
}

//! What the operator grants. A manifest wishes; a version whose wishes are wider than what is granted is not installed.

use model::{Pointer, Violation, Violations};
use plugins::Grants;

use crate::{Error, call::Call};

/// What the operator grants at installation.
#[derive(Clone, Debug)]
pub enum Granted {
    /// Everything that the manifest wishes.
    Wishes,
    /// Exactly this; wishes beyond it are refused.
    Only(Grants),
    /// What the version has that is installed; nothing if there is none.
    AsBefore,
}

impl Granted {
    /// Reads a list such as `read:products,write:orders,email`; `all` is what the manifest wishes, and nothing is what was granted before.
    ///
    /// # Errors
    /// [`Error::Query`] names the part that is no grant.
    pub(crate) fn parse(text: Option<&str>) -> Result<Self, Error> {
        let Some(text) = text else { return Ok(Granted::AsBefore) };
        if text == "all" {
            return Ok(Granted::Wishes);
        }
        let mut grants = Grants::default();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (kind, name) = part.split_once(':').unwrap_or((part, ""));
            let names = match (kind, name) {
                ("email", "") if !part.contains(':') => {
                    grants.email = true;
                    continue;
                }
                ("read", _) => &mut grants.read,
                ("query", _) => &mut grants.query,
                ("write", _) => &mut grants.write,
                ("webhook", _) => &mut grants.webhooks,
                _ => return Err(no_grant(part)),
            };
            if name.is_empty() {
                return Err(no_grant(part));
            }
            names.insert(name.to_owned());
        }
        Ok(Granted::Only(grants))
    }

    /// What is granted to a version with these wishes.
    pub(super) fn to(self, wishes: &Grants, before: Option<&Grants>) -> Grants {
        match self {
            Granted::Wishes => wishes.clone(),
            Granted::Only(grants) => grants,
            Granted::AsBefore => before.cloned().unwrap_or_default(),
        }
    }
}

fn no_grant(part: &str) -> Error {
    let message = format!(
        "`{part}` is not a grant: write `read:COLLECTION`, `query:COLLECTION`, `write:COLLECTION`, `webhook:HOST` or `email` with commas \
         between them, or `all`"
    );
    Error::Query(Violation::new(Pointer::field("grant"), "query.value", message).into())
}

/// Refuses wishes that are not granted, and says which.
pub(super) fn cover(wishes: &Grants, grants: &Grants, pointer: &str) -> Violations {
    let mut violations = Violations::default();
    let lacking = grants.lacks(wishes);
    if lacking != Grants::default() {
        let lacking = listed(&lacking);
        let message = format!("the plugin wishes more than is granted: {lacking}; grant it all or do not run this version");
        violations.add(Pointer::field(pointer), "plugin.grants", message);
    }
    violations
}

/// Refuses grants that mean nothing here.
pub(super) fn sensible(call: &Call, grants: &Grants, pointer: &str) -> Violations {
    let mut violations = Violations::default();
    if let Err(message) = grants.check() {
        violations.add(Pointer::field(pointer), "plugin.grants", message);
    }
    let collections = grants.read.iter().chain(&grants.query).chain(&grants.write);
    for name in collections.filter(|name| !call.world.catalog.contains_key(*name)) {
        violations.add(Pointer::field(pointer), "collection.unknown", format!("there is no collection `{name}`"));
    }
    violations
}

/// Grants as they stand in a query.
fn listed(grants: &Grants) -> String {
    let kinds = [("read", &grants.read), ("query", &grants.query), ("write", &grants.write), ("webhook", &grants.webhooks)];
    let named = kinds.into_iter().flat_map(|(kind, names)| names.iter().map(move |name| format!("`{kind}:{name}`")));
    named.chain(grants.email.then(|| "`email`".to_owned())).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_are_read_as_they_are_listed() {
        let text = "read:a, query:b,write:c,webhook:*.example.com,email,";
        let Ok(Granted::Only(grants)) = Granted::parse(Some(text)) else { panic!("`{text}` is not read") };
        assert_eq!(listed(&grants), "`read:a`, `query:b`, `write:c`, `webhook:*.example.com`, `email`");
        assert!(matches!(Granted::parse(Some("all")), Ok(Granted::Wishes)) && matches!(Granted::parse(None), Ok(Granted::AsBefore)));
        assert!(matches!(Granted::parse(Some("")), Ok(Granted::Only(grants)) if grants == Grants::default()));
        for bad in ["everything", "read", "read:", "email:", "email:a", "delete:notes", "read:a,all"] {
            let error = Granted::parse(Some(bad)).expect_err(bad);
            assert!(matches!(&error, Error::Query(violations) if violations.0[0].message.contains("is not a grant")), "{bad}: {error:?}");
        }
    }

    #[test]
    fn a_refusal_names_what_is_lacking_and_nothing_else() {
        let grants = |text: &str| Granted::parse(Some(text)).expect("grants").to(&Grants::default(), None);
        let refused = cover(&grants("read:a,write:b,email"), &grants("write:b"), "grants");
        assert!(refused.0[0].message.contains(": `read:a`, `email`;"), "{refused}");
        assert_eq!(refused.0[0].pointer.as_str(), "/grants");
        assert!(cover(&grants("read:b"), &grants("write:b"), "grants").0.is_empty());
    }
}

//! What an operator allows a plugin to touch. Absence means no.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

const HOST_MAX_BYTES: usize = 253;

/// What a plugin may use. In a manifest the same shape is a wish.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Grants {
    /// Collections whose records may be read by their ids.
    pub read: BTreeSet<String>,
    /// Collections that may be searched, and read. Whoever writes to one of them takes turns with the searches, so that none
    /// misses a record; therefore it is a grant of its own.
    pub query: BTreeSet<String>,
    /// Collections whose records may be created, updated, deleted, and read.
    pub write: BTreeSet<String>,
    /// Hosts that webhooks may go to, lowercase and without a port. `*.example.com` is every name below `example.com`,
    /// but not that name itself.
    pub webhooks: BTreeSet<String>,
    /// Whether e-mail may be sent.
    pub email: bool,
}

impl Grants {
    /// Whether records of the collection may be read.
    pub fn reads(&self, collection: &str) -> bool {
        self.read.contains(collection) || self.searches(collection) || self.writes(collection)
    }

    /// Whether the collection may be searched.
    pub fn searches(&self, collection: &str) -> bool {
        self.query.contains(collection)
    }

    /// Whether records of the collection may be written.
    pub fn writes(&self, collection: &str) -> bool {
        self.write.contains(collection)
    }

    /// Whether webhooks may go to the host: a name in lowercase letters, or an address.
    pub fn calls(&self, host: &str) -> bool {
        self.webhooks.iter().any(|granted| host_covers(granted, host))
    }

    /// Whether everything in `wish` is granted.
    pub fn cover(&self, wish: &Grants) -> bool {
        self.lacks(wish) == Grants::default()
    }

    /// The part of `wish` that is not granted: what an operator has to decide about when a new version wishes for more.
    pub fn lacks(&self, wish: &Grants) -> Grants {
        let without = |wish: &BTreeSet<String>, granted: &dyn Fn(&str) -> bool| {
            wish.iter().filter(|name| !granted(name)).cloned().collect::<BTreeSet<_>>()
        };
        Grants {
            read: without(&wish.read, &|name| self.reads(name)),
            query: without(&wish.query, &|name| self.searches(name)),
            write: without(&wish.write, &|name| self.writes(name)),
            webhooks: without(&wish.webhooks, &|host| self.calls(host)),
            email: wish.email && !self.email,
        }
    }

    /// # Errors
    /// The text says which entry can never hold.
    pub fn check(&self) -> Result<(), String> {
        match self.webhooks.iter().find(|host| !is_host(host)) {
            Some(bad) => Err(format!("`{bad}` is no host for webhooks: write `api.example.com` or `*.example.com`, in lowercase letters")),
            None => Ok(()),
        }
    }
}

/// Whether what was granted includes the host, or the hosts of a pattern.
fn host_covers(granted: &str, host: &str) -> bool {
    match granted.strip_prefix('*') {
        // `.example.com`, with the dot: `badexample.com` is somebody else
        Some(below) => host.len() > below.len() && host.ends_with(below),
        None => granted == host,
    }
}

fn is_host(pattern: &str) -> bool {
    let name = pattern.strip_prefix("*.").unwrap_or(pattern);
    let address = name.starts_with('[') && name.ends_with(']') && !pattern.starts_with('*');
    let allowed = |byte: u8| match address {
        true => byte.is_ascii_digit() || matches!(byte, b'a'..=b'f' | b':' | b'.' | b'[' | b']'),
        false => byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.'),
    };
    let labels = address || name.split('.').all(|label| !label.is_empty());
    // `*.com` would be half of the world
    let wide = pattern.starts_with('*') && !name.contains('.');
    !name.is_empty() && name.len() <= HOST_MAX_BYTES && name.bytes().all(allowed) && labels && !wide
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(names: &[&str]) -> Grants {
        Grants { webhooks: names.iter().map(|name| (*name).to_owned()).collect(), ..Grants::default() }
    }

    #[test]
    fn hosts_are_matched_by_whole_labels() {
        let granted = hosts(&["api.example.com", "*.example.org"]);
        for (host, expected) in [
            ("api.example.com", true),
            ("example.com", false),
            ("x.api.example.com", false),
            ("a.example.org", true),
            ("a.b.example.org", true),
            ("example.org", false),
            ("badexample.org", false),
            (".example.org", false),
            ("", false),
        ] {
            assert_eq!(granted.calls(host), expected, "{host}");
        }
    }

    #[test]
    fn wider_wishes_are_not_covered() {
        assert!(hosts(&["*.example.org"]).cover(&hosts(&["a.example.org", "*.b.example.org", "*.example.org"])));
        assert!(!hosts(&["a.example.org"]).cover(&hosts(&["*.example.org"])));
        let wish = Grants { email: true, ..hosts(&["a.example.org", "b.example.org"]) };
        assert_eq!(hosts(&["a.example.org"]).lacks(&wish), Grants { email: true, ..hosts(&["b.example.org"]) });
    }

    #[test]
    fn host_patterns_are_checked() {
        for good in ["example.com", "*.example.com", "127.0.0.1", "[::1]", "localhost", "xn--bcher-kva.example"] {
            assert_eq!(hosts(&[good]).check(), Ok(()), "{good}");
        }
        for bad in [
            "",
            "*",
            "*.",
            "*.com",
            "https://example.com",
            "example.com:443",
            "Example.com",
            "a..b",
            "a.",
            "*.*.example.com",
            "[::1",
            "*.[::1]",
        ] {
            assert!(hosts(&[bad]).check().is_err(), "{bad}");
        }
    }
}

//! One thing that is wrong with what a client sent, and where: the entries of `errors` in a problem answer.

use std::fmt;

use serde::Serialize;

/// A JSON pointer (RFC 6901) into what the client sent, such as `/items/0/quantity`; empty for the whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Pointer(String);

impl Pointer {
    /// The whole document.
    #[must_use]
    pub fn root() -> Self {
        Self::default()
    }

    /// The member `name` of the whole document.
    #[must_use]
    pub fn field(name: &str) -> Self {
        Self::root().join(name)
    }

    /// The member `name` (or the element with that number) below this one.
    #[must_use]
    pub fn join(&self, name: impl fmt::Display) -> Self {
        let token = name.to_string();
        if token.contains(['~', '/']) {
            Pointer(format!("{}/{}", self.0, token.replace('~', "~0").replace('/', "~1")))
        } else {
            Pointer(format!("{}/{token}", self.0))
        }
    }

    /// This pointer with another one behind it: where that one leads to in what this one leads to.
    #[must_use]
    pub fn followed_by(&self, rest: &Pointer) -> Self {
        Pointer(format!("{}{}", self.0, rest.0))
    }

    /// The first member on the way; none for the whole document. Names of fields have nothing that is escaped.
    #[must_use]
    pub fn first(&self) -> Option<&str> {
        self.0.strip_prefix('/')?.split('/').next()
    }

    /// Takes a pointer that is already escaped, such as one from a plugin.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        (text.is_empty() || text.starts_with('/')).then(|| Pointer(text.to_owned()))
    }

    /// The pointer as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// Where it is.
    pub pointer: Pointer,
    /// Stable and for machines, such as `field.required`.
    pub code: String,
    /// For people: lowercase, no final period.
    pub message: String,
}

impl Violation {
    /// A violation at a place.
    #[must_use]
    pub fn new(pointer: Pointer, code: &str, message: impl Into<String>) -> Self {
        Self { pointer, code: code.to_owned(), message: message.into() }
    }
}

/// Everything that is wrong, at once; empty means valid.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Violations(pub Vec<Violation>);

impl Violations {
    /// Adds one.
    pub fn add(&mut self, pointer: Pointer, code: &str, message: impl Into<String>) {
        self.0.push(Violation::new(pointer, code, message));
    }

    /// The value if nothing is wrong, else all that is.
    ///
    /// # Errors
    /// The violations themselves, when there are any.
    pub fn or<T>(self, value: T) -> Result<T, Violations> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl Violations {
    /// The same, each at another place.
    #[must_use]
    pub fn moved(mut self, to: impl Fn(&Pointer) -> Pointer) -> Self {
        for violation in &mut self.0 {
            violation.pointer = to(&violation.pointer);
        }
        self
    }
}

impl From<Violation> for Violations {
    fn from(violation: Violation) -> Self {
        Violations(vec![violation])
    }
}

impl fmt::Display for Violations {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, violation) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            match violation.pointer.as_str() {
                "" => write!(formatter, "{separator}{}", violation.message)?,
                pointer => write!(formatter, "{separator}{pointer}: {}", violation.message)?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for Violations {}

//! Everything that can end a story, free of HTTP: `api::problem` has the status codes.

use model::{Violation, Violations};

/// Why a story ended without doing what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting is wrong.
    #[error("configuration: {0}")]
    Configuration(String),
    /// The body is not JSON, or not the object it should be.
    #[error("{}", .0.message)]
    Body(Violation),
    /// The body is larger than allowed.
    #[error("the body has more than {max} bytes")]
    BodyTooLarge {
        /// bytes allowed
        max: usize,
    },
    /// The body is not of the type that is expected here.
    #[error("expected a body of the type `{expected}`")]
    UnsupportedType {
        /// the media type
        expected: &'static str,
    },
    /// Query parameters that cannot be read.
    #[error("a query parameter cannot be read")]
    Query(Violations),
    /// Nobody is logged in, and somebody has to be.
    #[error("log in first")]
    Unauthenticated,
    /// A token was sent that is not good.
    #[error("the token is wrong, expired or revoked")]
    InvalidToken,
    /// Wrong identity or password; it is not said which.
    #[error("wrong identity or password")]
    InvalidCredentials,
    /// The policies do not allow it.
    #[error("not allowed to {action} `{object}`")]
    Denied {
        /// what was tried
        action: &'static str,
        /// on what
        object: String,
    },
    /// An error that the policies have decided; it can be looked up.
    #[error("{error}")]
    Decided {
        /// the id that the caller may hear
        decision: std::sync::Arc<str>,
        /// what was decided
        error: Box<Error>,
    },
    /// Policies are asked for that are not in force in time.
    #[error("the policies of epoch {epoch} are not in force here yet; try again")]
    EpochNotReached {
        /// the epoch that was asked for
        epoch: u64,
    },
    /// A row of an import has too many bytes; those before it are imported.
    #[error("a row has more than {max} bytes; the import ends there")]
    RowTooLarge {
        /// bytes allowed
        max: usize,
        /// which row
        violations: Violations,
    },
    /// A row of an import was refused, and it was not to be passed over.
    #[error("line {line} was refused; the rows before it were taken")]
    ImportStopped {
        /// the import, which can go on when the line is mended; none if nothing was written anyway
        id: Option<String>,
        /// the number of the line, from 1
        line: u64,
        /// what is wrong with the row
        violations: Violations,
    },
    /// A file cannot go on with an import, or the import is over.
    #[error("{message}")]
    ImportRefused {
        /// stable, begins with `import.`
        code: &'static str,
        /// why
        message: &'static str,
    },
    /// Some fields may not be written or looked at.
    #[error("not allowed to use some of the fields")]
    FieldsDenied(Violations),
    /// It is not there, or the caller may not see it.
    #[error("there is no {kind} `{name}`")]
    NotFound {
        /// `record`, `collection`, `plugin`, `policy`, `role`, `decision`
        kind: &'static str,
        /// its name or id
        name: String,
    },
    /// The name is taken.
    #[error("there is already a {kind} `{name}`")]
    Taken {
        /// `collection`
        kind: &'static str,
        /// its name
        name: String,
    },
    /// `If-Match` does not hold.
    #[error("the record has changed since it was read")]
    VersionMismatch,
    /// A unique value is taken.
    #[error("a unique value is taken")]
    NotUnique(Violations),
    /// Other records point to the one that should be deleted.
    #[error("records of `{collection}` still point to this record with `{field}`")]
    Referenced {
        /// whose records
        collection: String,
        /// with which relation
        field: String,
    },
    /// Other transactions kept coming first.
    #[error("too many writers want the same records; try again")]
    Conflict,
    /// The collection is being changed, which takes a while.
    #[error("`{collection}` is being changed already")]
    Altering {
        /// its name
        collection: String,
    },
    /// As many of these as may run at the same time are running.
    #[error("{max} {kind}s are running already; try again later")]
    Busy {
        /// `export`, `import`
        kind: &'static str,
        /// how many may run
        max: usize,
    },
    /// Somebody works on the delivery.
    #[error("the delivery `{id}` is under way or still waiting")]
    UnderWay {
        /// its id
        id: String,
    },
    /// The record breaks its collection.
    #[error("the record is not valid")]
    Invalid(Violations),
    /// A definition, a policy or something else of the operator is not acceptable.
    #[error("the {kind} is not valid: {violations}")]
    Unacceptable {
        /// `collection`, `policy`, `role`, `plugin`, `account`
        kind: &'static str,
        /// what is wrong with it
        violations: Violations,
    },
    /// A change of a collection would lose stored data.
    #[error("the change would lose or break stored data")]
    DataLoss(Violations),
    /// A rule said no.
    #[error("{message}")]
    Refused {
        /// the plugin
        plugin: String,
        /// `invalid`, `conflict`, `forbidden`
        kind: plugins::RejectionKind,
        /// the rule's words
        message: String,
        /// the fields
        violations: Violations,
    },
    /// A plugin broke.
    #[error("the plugin `{plugin}` failed")]
    PluginFailed {
        /// the plugin
        plugin: String,
        /// stable, begins with `plugin.`
        code: &'static str,
        /// for the log
        detail: String,
    },
    /// Nothing answers at this path.
    #[error("nothing is served at this path")]
    NoRoute,
    /// The path does not take this method.
    #[error("this path does not take the method")]
    MethodNotAllowed {
        /// the methods that it takes
        allow: String,
    },
    /// The store did not do it.
    #[error(transparent)]
    Store(store::Error),
    /// A fault of ours.
    #[error("{0}")]
    Internal(String),
}

impl Error {
    /// A record that is not there, or that the caller may not see.
    pub(crate) fn no_record(id: &str) -> Self {
        Error::NotFound { kind: "record", name: id.to_owned() }
    }

    /// True if running the transaction again may succeed.
    pub(crate) fn is_conflict(&self) -> bool {
        matches!(self, Error::Store(store::Error::Conflict))
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        Error::Store(error)
    }
}

impl From<plugins::Error> for Error {
    fn from(error: plugins::Error) -> Self {
        let violation = Violation::new(model::Pointer::root(), "plugin.component", error.to_string());
        Error::Unacceptable { kind: "plugin", violations: violation.into() }
    }
}

impl From<policies::Error> for Error {
    fn from(error: policies::Error) -> Self {
        let pointer = match &error {
            policies::Error::Column { column, .. } => model::Pointer::field(column.name()),
            _ => model::Pointer::root(),
        };
        let violation = Violation::new(pointer, "policy.column", error.to_string());
        Error::Unacceptable { kind: "policy", violations: violation.into() }
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Error::Internal(error.to_string())
    }
}

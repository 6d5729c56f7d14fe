//! Everything that can end a story, free of HTTP: `api::problem` has the status codes.

use model::{Pointer, Violation, Violations};

/// Why a story ended without doing what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting is wrong.
    #[error("configuration: {0}")]
    Configuration(String),
    /// A command could not do what it was asked for, in words for whoever gave it.
    #[error("{0}")]
    Command(String),
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
    /// The body is compressed, which a body of a request must not be.
    #[error("the body is encoded as `{encoding}`; send it as it is")]
    UnsupportedEncoding {
        /// what the header says
        encoding: String,
    },
    /// The request does not say for which host it is, or names several.
    #[error("a request has the header `Host` once, this one {hosts} times")]
    Hosts {
        /// how often
        hosts: usize,
    },
    /// The query is longer than anything that can be asked for.
    #[error("the query has more than {max} bytes")]
    QueryTooLong {
        /// bytes allowed
        max: usize,
    },
    /// Somebody asks too often.
    #[error("too many requests; try again in {} seconds", .0.seconds())]
    RateLimited(crate::rates::Told),
    /// The connection has too many requests under way.
    #[error("too many requests of this connection are under way")]
    TooManyAtOnce,
    /// The request took too long and was undone.
    #[error("the request took more than {seconds} seconds and was given up; nothing was written")]
    TimedOut {
        /// how long it may take
        seconds: u64,
    },
    /// The request took too long, and its commit had already begun.
    #[error("the request took more than {seconds} seconds; it was already being written, and may have been or not")]
    Late {
        /// how long it may take
        seconds: u64,
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
    /// The error of one of several writes of a request, which are all undone.
    #[error("{error}")]
    At {
        /// which one
        place: Place,
        /// why it failed
        error: Box<Error>,
    },
    /// A filter matches more records than the caller is ready to write.
    #[error("the filter matches more than {max} records")]
    TooMany {
        /// how many the caller is ready for
        max: usize,
    },
    /// What one request writes is too much for one transaction.
    #[error("the records that are written together have more than {max_mib} MiB")]
    TooLarge {
        /// mebibytes allowed
        max_mib: usize,
    },
    /// A key for a write that is to happen once cannot be used.
    #[error("the header `Idempotency-Key` {0}")]
    UnusableKey(&'static str),
    /// The key has been used for another request.
    #[error("this `Idempotency-Key` was sent with another request")]
    OtherRequest,
    /// The request that first had this key is not answered yet.
    #[error("a request with this `Idempotency-Key` is under way; send it again")]
    UnderThisKey,
    /// A request with this key has begun, and nobody knows what became of it.
    #[error("a request with this `Idempotency-Key` was begun, and its answer was lost; look whether it happened, and use another key")]
    Unanswered,
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
    /// `If-Match` or `If-None-Match` does not hold.
    #[error("the record is not as the request expects it: it has changed since it was read, or is there already")]
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
    /// Another collection has a relation to the one that should be dropped.
    #[error("the field `{field}` of the collection `{collection}` points to this collection; take the field out first")]
    PointedTo {
        /// whose relation
        collection: String,
        /// its name
        field: String,
    },
    /// More hangs on a record than one deletion may take along.
    #[error(
        "more hangs on this record than one deletion takes along: {records} records, over {relations} relations in a row; delete some of \
         them first"
    )]
    TooManyDependents {
        /// how many records it takes along
        records: usize,
        /// over how many relations in a row
        relations: usize,
    },
    /// A rule writes to a record whose own write is what made it run. Rules hear of it; no client does.
    #[error("the record `{id}` of `{collection}` is being written by what made this rule run: change it with the rule's patch")]
    BeingWritten {
        /// whose record
        collection: String,
        /// its id
        id: String,
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
        match self {
            Error::At { error, .. } => error.is_conflict(),
            error => matches!(error, Error::Store(store::Error::Conflict)),
        }
    }

    /// The same as the error of one of several writes.
    pub(crate) fn at(self, place: Place) -> Self {
        Error::At { place, error: Box::new(self) }
    }

    /// The same with its violations in other places.
    pub(crate) fn relocated(self, to: impl Fn(Violations) -> Violations) -> Self {
        match self {
            Error::Invalid(violations) => Error::Invalid(to(violations)),
            Error::NotUnique(violations) => Error::NotUnique(to(violations)),
            Error::FieldsDenied(violations) => Error::FieldsDenied(to(violations)),
            Error::Decided { decision, error } => Error::Decided { decision, error: Box::new(error.relocated(to)) },
            error => error,
        }
    }

    /// The same for somebody who has not sent the record that it is about: nothing points into what they sent, and the words say where it is,
    /// such as ``in `logs` ``.
    pub(crate) fn elsewhere(self, place: &str) -> Self {
        let told = |message: String| format!("{place}: {message}");
        let all = |violations: Violations| {
            let one = |one: Violation| Violation { pointer: Pointer::root(), message: told(one.message), ..one };
            Violations(violations.0.into_iter().map(one).collect())
        };
        match self.relocated(all) {
            Error::Refused { plugin, kind, message, violations } => {
                Error::Refused { plugin, kind, message: told(message), violations: all(violations) }
            }
            error => error,
        }
    }
}

/// Which of several writes an error is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A part of the body.
    Item {
        /// the item
        item: Pointer,
        /// the draft in it, which the pointers of violations lead into
        draft: Pointer,
    },
    /// A stored record that a filter has matched, by its id.
    Record(String),
}

impl Place {
    /// A draft among others in an array.
    pub(crate) fn element(index: usize) -> Self {
        let item = Pointer::root().join(index);
        Place::Item { draft: item.clone(), item }
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        Error::Store(error)
    }
}

impl From<plugins::Error> for Error {
    fn from(error: plugins::Error) -> Self {
        let violation = Violation::new(Pointer::root(), "plugin.component", error.to_string());
        Error::Unacceptable { kind: "plugin", violations: violation.into() }
    }
}

impl From<policies::Error> for Error {
    fn from(error: policies::Error) -> Self {
        let pointer = match &error {
            policies::Error::Column { column, .. } => Pointer::field(column.name()),
            _ => Pointer::root(),
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

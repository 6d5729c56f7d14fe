//! How far an import is: a row of `_imports` that is written in the transaction of every chunk. Whoever goes on with an import takes it over by
//! a new `run`, so that of two who send the same file only the last one writes.

use chrono::Duration;
use model::time::datetime_text;
use serde::{Deserialize, Serialize};
use store::{
    idempotency::KeptRow,
    imports::{self, ImportRow},
};

use super::{
    super::{
        commit::{Share, committed},
        export::Format,
        steps::next_id,
    },
    rows::Row,
    told::{Told, told},
};
use crate::{Error, api::problem, call::Call, once::Once};

/// How many refused rows are kept with their reasons.
const ERRORS_MAX: usize = 100;

/// The code of the error for other parameters than those that an import was begun with.
pub(super) const DIFFERS: &str = "import.differs";

/// The outcome that is kept under a key: which import it stands for.
const UNDER_KEY: &str = "import";

/// How long an import can be gone on with and looked at after its last chunk.
const KEPT_DAYS: i64 = 7;

/// What rows become.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    /// New records.
    Create,
    /// Changes of the records that they name, or new ones.
    Upsert,
}

/// What a row does that is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnError {
    /// It ends the import.
    Stop,
    /// It is noted.
    Skip,
}

/// Where an import stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// It takes rows.
    Running,
    /// It broke off, and can be gone on with.
    Interrupted,
    /// A row was refused; it can be gone on with.
    Stopped,
    /// The whole file was taken.
    Done,
    /// Somebody has ended it.
    Cancelled,
}

impl State {
    pub(crate) fn name(self) -> &'static str {
        match self {
            State::Running => "running",
            State::Interrupted => "interrupted",
            State::Stopped => "stopped",
            State::Done => "done",
            State::Cancelled => "cancelled",
        }
    }

    fn named(name: &str) -> Result<Self, Error> {
        let all = [State::Running, State::Interrupted, State::Stopped, State::Done, State::Cancelled];
        all.into_iter().find(|state| state.name() == name).ok_or_else(|| Error::Internal(format!("no state `{name}`")))
    }
}

/// One import. What [`Import::json`] leaves out is for going on with it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Import {
    pub(crate) id: String,
    pub(crate) collection: String,
    pub(crate) format: Format,
    pub(crate) mode: Mode,
    pub(crate) on: Option<String>,
    pub(crate) on_error: OnError,
    pub(crate) raw: bool,
    pub(crate) dry_run: bool,
    pub(crate) principal: String,
    pub(crate) tenant: String,
    #[serde(skip, default = "running")]
    pub(crate) state: State,
    /// Who writes it; changes with every request.
    pub(super) run: String,
    /// The names in the first row of CSV.
    pub(super) columns: Vec<String>,
    /// How much of the file was taken, and its digest.
    pub(super) bytes: u64,
    pub(super) digest: String,
    #[serde(skip)]
    pub(super) hasher: blake3::Hasher,
    /// True if it was done before, and is only told again.
    #[serde(skip)]
    pub(crate) is_replayed: bool,
    /// The line on which the last row begins that was taken, and the one on which what follows it begins.
    pub(crate) line: u64,
    pub(super) next_line: u64,
    created: u64,
    updated: u64,
    failed: u64,
    errors: Vec<Told>,
    begun: String,
    touched: String,
    /// What broke it off.
    reason: Option<String>,
}

fn running() -> State {
    State::Running
}

/// How many records the rows of a chunk became.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) created: u64,
    pub(super) updated: u64,
}

impl Import {
    /// One that has taken nothing.
    pub(super) fn new(call: &Call, collection: &str, format: Format) -> Self {
        let now = call.now.to_string();
        Self {
            id: next_id(),
            collection: collection.to_owned(),
            format,
            mode: Mode::Create,
            on: None,
            on_error: OnError::Stop,
            raw: false,
            dry_run: false,
            principal: call.caller.principal.to_string(),
            tenant: call.caller.tenant.clone(),
            state: State::Running,
            run: next_id(),
            columns: Vec::new(),
            bytes: 0,
            digest: blake3::hash(&[]).to_hex().to_string(),
            hasher: blake3::Hasher::new(),
            is_replayed: false,
            line: 0,
            next_line: 1,
            created: 0,
            updated: 0,
            failed: 0,
            errors: Vec::new(),
            begun: now.clone(),
            touched: now,
            reason: None,
        }
    }

    /// As it is when these rows are taken.
    pub(super) fn behind(&self, rows: &[Row], columns: &[String]) -> Self {
        let mut next = self.clone();
        next.columns = columns.to_vec();
        rows.iter().for_each(|row| next.pass(row));
        next
    }

    fn pass(&mut self, row: &Row) {
        self.hasher.update(&row.raw);
        self.bytes += row.raw.len() as u64;
        self.line = row.line;
        self.next_line = row.next_line;
    }

    /// Takes what follows the last row.
    pub(super) fn end(&mut self, rest: &[u8]) {
        self.hasher.update(rest);
        self.bytes += rest.len() as u64;
    }

    /// Takes a row that is refused: it is passed over if the import goes on behind it, else it can be mended and sent again.
    pub(super) fn refuse(&mut self, row: &Row, error: &Error) {
        if self.on_error == OnError::Stop {
            self.state = State::Stopped;
            self.reason = Some(told(row, error).sentence());
            return;
        }
        self.pass(row);
        self.failed += 1;
        if self.errors.len() < ERRORS_MAX {
            self.errors.push(told(row, error));
        }
    }

    pub(super) fn count(&mut self, counts: Counts) {
        self.created += counts.created;
        self.updated += counts.updated;
    }

    /// True if it broke off before anything was taken: a client that mends what it asks for may begin it anew.
    fn is_untouched(&self) -> bool {
        self.state == State::Interrupted && self.bytes == 0
    }

    /// True if a request asks for the same.
    fn same(&self, other: &Import) -> bool {
        let of = |import: &Import| (import.collection.clone(), import.format, import.mode, import.on.clone(), import.on_error, import.raw);
        of(self) == of(other)
    }

    fn from_row(row: &ImportRow) -> Result<Self, Error> {
        let mut import: Import = serde_json::from_str(&row.text).map_err(|error| Error::Internal(error.to_string()))?;
        import.state = State::named(&row.state)?;
        Ok(import)
    }

    fn row(&self, call: &Call) -> Result<ImportRow, Error> {
        let touched = Import { touched: call.now.to_string(), digest: self.hasher.finalize().to_hex().to_string(), ..self.clone() };
        Ok(ImportRow {
            id: self.id.clone(),
            principal: self.principal.clone(),
            tenant: self.tenant.clone(),
            state: self.state.name().to_owned(),
            run: self.run.clone(),
            expires: datetime_text(call.moment + Duration::days(KEPT_DAYS)),
            text: serde_json::to_string(&touched).map_err(|error| Error::Internal(error.to_string()))?,
        })
    }

    /// As clients see it.
    pub(crate) fn json(&self) -> serde_json::Value {
        let mut shown = serde_json::json!({
            "id": self.id,
            "collection": self.collection,
            "format": self.format.name(),
            "mode": self.mode,
            "on_error": self.on_error,
            "raw": self.raw,
            "dry_run": self.dry_run,
            "state": self.state.name(),
            "principal": self.principal,
            "line": self.line,
            "bytes": self.bytes,
            "created": self.created,
            "updated": self.updated,
            "failed": self.failed,
            "errors": self.errors,
            "begun": self.begun,
            "touched": self.touched,
        });
        for (name, value) in [("on", &self.on), ("reason", &self.reason)] {
            if let Some(value) = value {
                shown[name] = value.as_str().into();
            }
        }
        shown
    }
}

/// Begins an import, or takes over the one with this id, or the one that a key stands for. One that is done stays so.
pub(super) async fn begin(call: &Call, asked: Import, once: Option<&Once>) -> Result<Import, Error> {
    if asked.dry_run {
        return Ok(asked);
    }
    let asked = &asked;
    committed(call, Share::WithOthers, |call, transaction| async move {
        let asked = &Import { id: under_key(&call, &transaction, once, &asked.id).await?, ..asked.clone() };
        let Some(row) = imports::get_locked(&transaction, &asked.id).await? else {
            imports::put(&transaction, &asked.row(&call)?).await?;
            return Ok(asked.clone());
        };
        if row.principal != asked.principal || row.tenant != asked.tenant {
            return Err(unknown(&asked.id));
        }
        let mut known = Import::from_row(&row)?;
        if !known.same(asked) {
            if known.is_untouched() {
                imports::put(&transaction, &asked.row(&call)?).await?;
                return Ok(asked.clone());
            }
            return Err(Error::ImportRefused { code: DIFFERS, message: "the import was begun with other parameters" });
        }
        match known.state {
            State::Done => return Ok(known),
            State::Cancelled => return Err(cancelled()),
            State::Running | State::Interrupted | State::Stopped => {}
        }
        known.state = State::Running;
        known.reason = None;
        known.run.clone_from(&asked.run);
        // What was taken is known by its digest only until it has come again.
        let row = ImportRow { run: known.run.clone(), state: known.state.name().to_owned(), ..row };
        imports::put(&transaction, &ImportRow { text: serialized(&known)?, ..row }).await?;
        Ok(known)
    })
    .await
}

/// The id of the import that a key stands for: from now on this one, unless there is one already.
async fn under_key(call: &Call, transaction: &store::Transaction, once: Option<&Once>, id: &str) -> Result<String, Error> {
    let Some(once) = once else { return Ok(id.to_owned()) };
    if let Some(known) = once.kept(call, transaction).await?.and_then(|row| row.location) {
        return Ok(known);
    }
    let row = KeptRow { outcome: UNDER_KEY.to_owned(), location: Some(id.to_owned()), ..once.row(call) };
    store::idempotency::put(transaction, row).await?;
    Ok(id.to_owned())
}

fn serialized(import: &Import) -> Result<String, Error> {
    serde_json::to_string(import).map_err(|error| Error::Internal(error.to_string()))
}

/// Lets only whoever holds an import write for it.
pub(super) async fn check_held(transaction: &store::Transaction, import: &Import) -> Result<(), Error> {
    let row = imports::get_locked(transaction, &import.id).await?;
    match row {
        Some(row) if row.state == State::Cancelled.name() => Err(cancelled()),
        Some(row) if row.run == import.run => Ok(()),
        Some(_) => Err(Error::ImportRefused { code: "import.taken_over", message: "another request goes on with this import" }),
        None => Err(unknown(&import.id)),
    }
}

/// Notes how far the import is, in the transaction that brings it there.
pub(super) async fn note(call: &Call, transaction: &store::Transaction, import: &Import) -> Result<(), Error> {
    Ok(imports::put(transaction, &import.row(call)?).await?)
}

/// Notes that the whole file was taken.
pub(super) async fn finish(call: &Call, import: &mut Import) -> Result<(), Error> {
    import.state = State::Done;
    import.touched = call.now.to_string();
    if import.dry_run {
        return Ok(());
    }
    let done = &*import;
    committed(call, Share::WithOthers, |call, transaction| async move {
        check_held(&transaction, done).await?;
        note(&call, &transaction, done).await
    })
    .await
}

/// Notes what broke an import off, as well as that can be done: it is known anyway how far it is. If nothing was taken, its key is free again.
pub(super) async fn interrupted(call: &Call, import: &Import, once: Option<&Once>, reason: &Error) {
    if import.dry_run || matches!(reason, Error::ImportStopped { .. }) {
        return;
    }
    let reason = Some(problem::told(reason).0.to_owned());
    let reason = &reason;
    let noted = committed(call, Share::WithOthers, |call, transaction| async move {
        check_held(&transaction, import).await?;
        let Some(row) = imports::get_locked(&transaction, &import.id).await? else { return Ok(()) };
        let known = Import { reason: reason.clone(), state: State::Interrupted, ..Import::from_row(&row)? };
        let row = ImportRow { state: known.state.name().to_owned(), text: serialized(&known)?, ..row };
        imports::put(&transaction, &row).await?;
        if let Some(once) = once.filter(|_| known.is_untouched()) {
            let row = KeptRow { outcome: UNDER_KEY.to_owned(), ..once.row(&call) };
            store::idempotency::remove(&transaction, &row).await?;
        }
        Ok(())
    });
    // Who does not hold it any more has nothing to say about it.
    if let Err(error) = noted.await
        && !matches!(error, Error::ImportRefused { .. })
    {
        tracing::warn!(request = %call.id, import = import.id, %error, "cannot note that an import broke off");
    }
}

/// An import as it is stored.
pub(super) async fn stored(run: &impl store::Run, id: &str) -> Result<Option<Import>, Error> {
    imports::get(run, id).await?.as_ref().map(Import::from_row).transpose()
}

/// Ends an import that is not over.
pub(super) async fn cancel(call: &Call, id: &str) -> Result<Import, Error> {
    committed(call, Share::WithOthers, |call, transaction| async move {
        call.note(&transaction).await?;
        let row = imports::get_locked(&transaction, id).await?.ok_or_else(|| unknown(id))?;
        let mut import = Import::from_row(&row)?;
        if matches!(import.state, State::Done | State::Cancelled) {
            return Err(Error::ImportRefused { code: "import.over", message: "the import is over" });
        }
        import.state = State::Cancelled;
        imports::put(&transaction, &ImportRow { state: import.state.name().to_owned(), ..row }).await?;
        Ok(import)
    })
    .await
}

/// Some imports, the newest first.
pub(super) async fn list(call: &Call, principal: Option<&str>, below: Option<&str>, limit: usize) -> Result<Vec<Import>, Error> {
    let rows = imports::list(&call.app.store, &call.caller.tenant, principal, below, limit).await?;
    rows.iter().map(Import::from_row).collect()
}

pub(super) fn unknown(id: &str) -> Error {
    Error::NotFound { kind: "import", name: id.to_owned() }
}

fn cancelled() -> Error {
    Error::ImportRefused { code: "import.cancelled", message: "the import was cancelled" }
}

//! The story of many records out of a file: rows are taken in chunks, each in one transaction that also notes how far the file was taken. So
//! an import that broke off, wherever that was, goes on exactly behind the last row that was committed, and no row is taken twice.

mod rows;

mod told;

mod progress;

mod chunk;

pub(crate) mod look;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use model::{Action, Collection, Key, Pointer, Violations};
use tokio::sync::Semaphore;

pub(crate) use progress::{Import, State};

use super::{export::Format, list::given};
use crate::{Error, auth, call::Call, once::Once};
use chunk::{Sized, Taken};
use progress::{DIFFERS, Mode, OnError};
use rows::{OTHER_FILE, Row, Rows};

/// How many imports run at the same time on this node.
const RUNNING_MAX: usize = 4;

static RUNNING: Semaphore = Semaphore::const_new(RUNNING_MAX);

/// The object that policies about imports of others, and about those without rules, name.
pub(crate) const OBJECT: &str = "_imports";

/// The bytes of a file as they arrive.
pub(crate) type Source = BoxStream<'static, Result<Bytes, Error>>;

/// What a client asks, as text; empty texts count as absent.
#[derive(Clone, Debug, Default)]
pub struct Question {
    pub(crate) mode: Option<String>,
    pub(crate) on: Option<String>,
    pub(crate) on_error: Option<String>,
    pub(crate) raw: Option<String>,
    pub(crate) dry_run: Option<String>,
    pub(crate) import: Option<String>,
}

/// What a server that has died was at can be gone on with.
pub(crate) async fn recover(store: &store::Store) -> Result<(), Error> {
    Ok(store::imports::restate(store, State::Running.name(), State::Interrupted.name()).await?)
}

/// Imports a file, or goes on with one; its format is none if its type is not known. What is to happen `once` has the same import every time.
///
/// # Errors
/// Too many imports at once, the policies, everything that is wrong with the question, another file than the one that was begun; then what
/// ends the import before its end: a row that is refused (unless those are skipped), a body that breaks off, the policies, the database.
/// What was committed until then stays.
pub async fn import(
    call: &Call,
    collection: &str,
    question: &Question,
    once: Option<&Once>,
    (format, source): (Option<Format>, &mut Source),
) -> Result<Import, Error> {
    let defined = call.collection(collection)?;
    // Nothing is said about the collection before somebody may write to it.
    let asked = asked(call, &defined, question, format)?;
    let _running = RUNNING.try_acquire().map_err(|_| Error::Busy { kind: "import", max: RUNNING_MAX })?;
    let _flight = once.map(|once| call.app.in_flight.begin(once)).transpose()?;
    let mut import = progress::begin(call, asked, once).await.map_err(|error| of_key(once, error))?;
    let mut rows = Rows::new(&call.app.config, import.format, source);
    if import.state == State::Done {
        rows.compare(&import).await.map_err(|error| of_key(once, error))?;
        import.is_replayed = once.is_some();
        return Ok(import);
    }
    let taken = take(call, &defined, &mut import, &mut rows).await;
    if let Err(error) = &taken {
        progress::interrupted(call, &import, once, error).await;
    }
    taken.map(|()| import).map_err(|error| of_key(once, error))
}

/// Whoever sends another file under a key, or one of another format, sends another request.
fn of_key(once: Option<&Once>, error: Error) -> Error {
    match error {
        Error::ImportRefused { code: OTHER_FILE | DIFFERS, .. } if once.is_some() => Error::OtherRequest,
        error => error,
    }
}

/// Takes row after row until the end of the file.
async fn take(call: &Call, collection: &Collection, import: &mut Import, rows: &mut Rows<'_>) -> Result<(), Error> {
    rows.resume(import).await?;
    let mut sized = Sized::default();
    loop {
        let taken = rows.chunk(collection, sized.rows()).await?;
        let last = taken.is_empty();
        let call = auth::renewed(call).await?;
        if last {
            rows.rest().into_iter().for_each(|part| import.end(part));
            return progress::finish(&call, import).await;
        }
        let started = std::time::Instant::now();
        write(&call, import, &taken, rows.columns()).await?;
        sized.took(started.elapsed());
    }
}

/// Writes the rows of a chunk. A row that is refused takes nothing along: those before it are committed, and those behind it come next.
async fn write(call: &Call, import: &mut Import, rows: &[Row], columns: &[String]) -> Result<(), Error> {
    let (mut at, mut end) = (0, rows.len());
    let mut refused: Option<Error> = None;
    while at < rows.len() {
        let mut next = import.behind(&rows[at..end], columns);
        if let Some(error) = &refused {
            next.refuse(&rows[end], error);
        }
        match chunk::commit(call, &next, &rows[at..end]).await? {
            Taken::Committed(counts) => {
                next.count(counts);
                *import = next;
                at = end + usize::from(refused.is_some());
                if let Some(error) = refused.take().filter(|_| import.on_error == OnError::Stop) {
                    return Err(stopped(import, &rows[end], error));
                }
                end = rows.len();
            }
            Taken::Refused { row, error } => {
                end = at + row;
                refused = Some(error);
            }
            // Others want the same records: fewer at once are in their way for a shorter time.
            Taken::Conflict if end - at > 1 => {
                end = at + (end - at) / 2;
                refused = None;
            }
            Taken::Conflict => return Err(Error::Conflict),
        }
    }
    Ok(())
}

/// The answer for a file with a row that is refused.
fn stopped(import: &Import, row: &Row, error: Error) -> Error {
    let told = told::told(row, &error);
    let pointer = Pointer::root().join(row.line);
    let mut violations = Violations::default();
    for (inner, code, message) in told.parts() {
        violations.0.push(model::Violation::new(
            Pointer::parse(&format!("{}{inner}", pointer.as_str())).unwrap_or_default(),
            code,
            message,
        ));
    }
    let id = (!import.dry_run).then(|| import.id.clone());
    Error::ImportStopped { id, line: row.line, violations }
}

/// Reads the question against the collection, and asks the policies.
fn asked(call: &Call, collection: &Collection, question: &Question, format: Option<Format>) -> Result<Import, Error> {
    let mut violations = Violations::default();
    let raw = flag("raw", &question.raw, &mut violations);
    if raw {
        call.authorize(Action::Create, OBJECT)?;
    } else {
        call.plan(Action::Create, collection)?;
    }
    let format = format.ok_or(Error::UnsupportedType { expected: "application/x-ndjson` or `text/csv" })?;
    let mode = match given(&question.mode) {
        None | Some("create") => Mode::Create,
        Some("upsert") => Mode::Upsert,
        Some(other) => {
            violations.add(Pointer::field("mode"), "query.value", format!("`{other}` is neither `create` nor `upsert`"));
            Mode::Create
        }
    };
    let on_error = match given(&question.on_error) {
        None | Some("stop") => OnError::Stop,
        Some("skip") => OnError::Skip,
        Some(other) => {
            violations.add(Pointer::field("on_error"), "query.value", format!("`{other}` is neither `stop` nor `skip`"));
            OnError::Stop
        }
    };
    if mode == Mode::Upsert && !raw {
        call.plan(Action::Update, collection)?;
    }
    let on = given(&question.on).map(str::to_owned);
    if let Err(message) = check_on(collection, mode, on.as_deref()) {
        violations.add(Pointer::field("on"), "query.value", message);
    }
    let dry_run = flag("dry_run", &question.dry_run, &mut violations);
    let id = given(&question.import).map(str::to_owned);
    if id.as_deref().is_some_and(|id| ulid::Ulid::from_string(id).map(|ulid| ulid.to_string()).as_deref() != Ok(id)) {
        violations.add(Pointer::field("import"), "query.value", "the id of an import is a ULID");
    } else if id.is_some() && dry_run {
        violations.add(Pointer::field("import"), "query.value", "`import` and `dry_run` exclude each other");
    }
    violations.or(()).map_err(Error::Query)?;
    let mut import = Import::new(call, collection.name(), format);
    import.id = id.unwrap_or(import.id);
    (import.mode, import.on, import.on_error, import.raw, import.dry_run) = (mode, on, on_error, raw, dry_run);
    Ok(import)
}

/// By what records are found must tell them apart.
fn check_on(collection: &Collection, mode: Mode, on: Option<&str>) -> Result<(), String> {
    match (mode, on) {
        (Mode::Create, None) => Ok(()),
        (Mode::Create, Some(_)) => Err("`on` belongs to `mode=upsert`".to_owned()),
        (Mode::Upsert, None) => Err("`mode=upsert` needs `on`: `id`, or unique fields by which records are found".to_owned()),
        (Mode::Upsert, Some(names)) => Key::parse(collection, names).map(drop),
    }
}

fn flag(name: &str, text: &Option<String>, violations: &mut Violations) -> bool {
    match given(text) {
        None | Some("false") => false,
        Some("true") => true,
        Some(other) => {
            violations.add(Pointer::field(name), "query.value", format!("`{other}` is neither `true` nor `false`"));
            false
        }
    }
}

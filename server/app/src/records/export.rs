//! The story of all records that a list would show: page after page by cursor, each decided as a list is, under what is in force when it is
//! read. So memory is bounded, and a right that is taken away ends an export too.

use model::{Action, Collection, Pointer, Violation, query::Start};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{
    csv,
    list::{self, Records, given},
};
use crate::{Error, auth, call::Call};

/// How many exports run at the same time on this node.
const RUNNING_MAX: usize = 8;

static RUNNING: Semaphore = Semaphore::const_new(RUNNING_MAX);

/// How many bytes a page should have; how many records that are shows the page before.
const PAGE_BYTES: usize = 1 << 20;

/// How many records the first page has, and every other one at most.
const RECORDS_FIRST: usize = 50;
const RECORDS_MAX: usize = 500;

/// How records are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// One JSON object a line.
    Ndjson,
    /// RFC 4180 with a row of names.
    Csv,
}

impl Format {
    /// The word in queries, and the end of file names.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Format::Ndjson => "ndjson",
            Format::Csv => "csv",
        }
    }
}

/// What a client asks, as text; empty texts count as absent.
#[derive(Clone, Debug, Default)]
pub struct Question {
    pub(crate) format: Option<String>,
    pub(crate) filter: Option<String>,
    pub(crate) fields: Option<String>,
    pub(crate) sort: Option<String>,
}

/// An export that has begun.
pub struct Export {
    call: Call,
    /// As it was in the beginning: the names in the first row hold to the end.
    collection: Collection,
    question: list::Question,
    pub(crate) format: Format,
    columns: Vec<String>,
    ready: Option<Vec<u8>>,
    /// Where the next page begins; none after the last.
    start: Option<Start>,
    _running: SemaphorePermit<'static>,
}

/// Begins an export: the first page is there, so whatever is wrong with the question has been said.
///
/// # Errors
/// Too many exports at once, the policies, everything that is wrong with the question, or a field in it that the caller may not read.
pub async fn begin(call: &Call, collection: &str, question: Question) -> Result<Export, Error> {
    let collection = call.collection(collection)?;
    call.plan(Action::Read, &collection)?;
    let format = match given(&question.format) {
        None | Some("ndjson") => Format::Ndjson,
        Some("csv") => Format::Csv,
        Some(other) => {
            let message = format!("`{other}` is neither `ndjson` nor `csv`");
            return Err(Error::Query(Violation::new(Pointer::field("format"), "query.value", message).into()));
        }
    };
    // Oldest first: what is created meanwhile comes last, and what is imported from it points to what is there already.
    let sort = given(&question.sort).map_or_else(|| "id".to_owned(), str::to_owned);
    let list = list::Question { filter: question.filter, fields: question.fields, sort: Some(sort), ..list::Question::default() };
    let parsed = list::parse(&collection, &list)?;
    let columns = csv::columns(&collection, parsed.fields.as_deref());
    let running = RUNNING.try_acquire().map_err(|_| Error::Busy { kind: "export", max: RUNNING_MAX })?;
    let call = call.clone();
    let mut export = Export { call, collection, question: list, format, columns, ready: None, start: None, _running: running };
    let mut first = Vec::new();
    if format == Format::Csv {
        csv::write_header(&export.columns, &mut first);
    }
    export.read(RECORDS_FIRST, &mut first).await?;
    export.ready = Some(first);
    Ok(export)
}

impl Export {
    /// The name that a browser should give the file.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("{}.{}", self.collection.name(), self.format.name())
    }

    /// The next bytes; none when everything has been said.
    ///
    /// # Errors
    /// What ends the export before its end: the policies, a session that is over, a collection that has changed, the database.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, Error> {
        if let Some(ready) = self.ready.take() {
            return Ok(Some(ready));
        }
        if self.start.is_none() {
            return Ok(None);
        }
        self.call = auth::renewed(&self.call).await?;
        if self.call.collection(self.collection.name())?.definition().fields != self.collection.definition().fields {
            return Err(Error::Conflict);
        }
        let limit = self.question.limit.as_deref().and_then(|limit| limit.parse().ok()).unwrap_or(RECORDS_FIRST);
        let mut bytes = Vec::new();
        self.read(limit, &mut bytes).await?;
        Ok(Some(bytes))
    }

    /// Reads the page of the question, and asks for the next one with it.
    async fn read(&mut self, limit: usize, out: &mut Vec<u8>) -> Result<(), Error> {
        self.question.limit = Some(limit.to_string());
        let mut page = list::records(&self.call, self.collection.name(), &self.question, self.start.take()).await?;
        self.write(&page, out)?;
        let fitting = PAGE_BYTES * page.records.len() / out.len().max(1);
        self.question.limit = Some(fitting.clamp(1, RECORDS_MAX).to_string());
        self.start = page.next.take();
        Ok(())
    }

    fn write(&self, page: &Records, out: &mut Vec<u8>) -> Result<(), Error> {
        let chosen = |field: &str| page.fields.as_ref().is_none_or(|fields| fields.iter().any(|name| name == field));
        for record in &page.records {
            let visible = self.call.shows(&page.plan, &page.collection, record);
            match self.format {
                Format::Csv => csv::write_record(&self.collection, &self.columns, record, visible, out),
                Format::Ndjson => {
                    let view = record.view(|field| chosen(field) && visible(field));
                    serde_json::to_writer(&mut *out, &view).map_err(|error| Error::Internal(error.to_string()))?;
                    out.push(b'\n');
                }
            }
        }
        Ok(())
    }
}

//! The story of a page of records: the caller's question and the policies become one query.

mod question;

mod readable;

mod page;

mod search;

mod cursor;

use std::sync::Arc;

use model::{
    Action, Collection, Guard, Record,
    query::{List, Start},
};
use policies::{Access, Mode, Plan};
use store::{
    Transaction,
    records::{Ground, search::RANKED_MAX},
};

pub(super) use page::{BYTES_MAX, size};
pub use question::Question;
pub(super) use question::{Parsed, given, parse, parse_fields, parse_filter, parse_number};
pub(crate) use question::{Test, Words};
pub(super) use readable::hidden_from_owner;

use super::expand::{self, Branch};
use crate::{Error, call::Call, decisions::Refused};

/// How many records a page has when nobody says.
pub const LIMIT_DEFAULT: usize = 30;

/// The most records that can be skipped by counting; a cursor goes further and costs less.
pub const OFFSET_MAX: usize = 100_000;

/// A page as the caller may see it.
pub struct Page {
    pub(crate) collection: Collection,
    /// The JSON array of its records.
    pub(crate) json: Vec<u8>,
    /// How many records are in it.
    pub(crate) shown: usize,
    /// Where the next page begins; none on the last, and for clients that count.
    pub(crate) next: Option<String>,
    /// How many records there are in all, if that was asked.
    pub(crate) total: Option<u64>,
    pub(crate) offset: usize,
}

/// Reads a page.
///
/// # Errors
/// The policies, everything that is wrong with the question, or a field in it that the caller may not read.
pub async fn list(call: &Call, collection: &str, question: &Question) -> Result<Page, Error> {
    let collection = call.collection(collection)?;
    let plan = call.plan(Action::Read, &collection)?;
    let carried = cursor::carried(call, question).await?;
    let parsed = parse(&collection, carried.as_ref().unwrap_or(question))?;
    let branches = expand::asked(call, &collection, &question.expand)?;
    check_readable(call, &plan, &collection, &parsed, &branches)?;

    let ground = Ground { caller: &call.caller, now: &call.now, guards: &guards(&plan) };
    let asked = Asked { collection: &collection, ground, list: &parsed.list };
    let words = search::words(&parsed, question.words.search)?;
    let ranked = parsed.is_ranked();
    let matches = if ranked { search::matches(call, asked, &words, question.words.search).await? } else { Vec::new() };
    let found = if ranked { page::best(call, asked, &matches).await? } else { page::find(call, asked, &words).await? };
    let page::Found { mut records, more } = found;
    if ranked {
        // They were found before they were read, and may have changed between.
        records.retain(|record| plan.allows(&call.context(record, None)));
    }
    let beside = expand::expand(call, &plan, &collection, &records, &branches).await?;
    let (json, taken) = json(call, &plan, &collection, &records, &beside, parsed.fields.as_deref())?;
    let page = &records[..taken.records];
    let next = match page.last().filter(|_| question.words.cursor && (more || taken.records < records.len())) {
        Some(last) if ranked => Some(cursor::write_ranked(&matches, &last.id)),
        Some(last) => Some(cursor::write(call, &parsed.list.sort, page, last).await?),
        None => None,
    };
    let total = match parsed.counted {
        true if ranked && matches.len() < RANKED_MAX => Some(matches.len() as u64),
        true => Some(search::count(call, asked, &words).await?),
        false => None,
    };
    let offset = if let Start::Offset(offset) = parsed.list.start { offset } else { 0 };
    Ok(Page { collection, json, shown: taken.shown, next, total, offset })
}

/// Refuses a question that looks at what the caller may not read, as a decision that can be looked up.
fn check_readable(call: &Call, plan: &Plan, collection: &Collection, parsed: &Parsed, branches: &[Branch]) -> Result<(), Error> {
    readable::check(call, plan, collection, parsed, branches).map_err(|error| {
        let fields = parsed.looks.iter().map(|(field, _)| field.clone()).collect();
        call.decided(Refused { fields, ..Refused::records(Action::Read, collection) }, error)
    })
}

/// What is asked of the store.
#[derive(Clone, Copy)]
struct Asked<'a> {
    collection: &'a Collection,
    ground: Ground<'a>,
    list: &'a List,
}

/// How far a page went.
struct Taken {
    /// Records that were looked at.
    records: usize,
    /// Records that are in the page.
    shown: usize,
}

/// The JSON array of a page, with as many of the records as there is room for.
fn json(
    call: &Call,
    plan: &Plan,
    collection: &Collection,
    records: &[Record],
    beside: &[Vec<u8>],
    fields: Option<&[String]>,
) -> Result<(Vec<u8>, Taken), Error> {
    let chosen = |field: &str| fields.is_none_or(|fields| fields.iter().any(|name| name == field));
    // In the modes that do not trust the plan alone every record is decided once more.
    let doubted = call.world.policies.mode() != Mode::Plan;
    let mut out = vec![b'['];
    let mut taken = Taken { records: 0, shown: 0 };
    for (index, record) in records.iter().enumerate() {
        if doubted && !plan.allows(&call.context(record, None)) {
            let (request, id) = (&call.id, &record.id);
            tracing::error!(%request, %id, "the query and the decision differ, access denied");
            taken.records += 1;
            continue;
        }
        let end = out.len();
        if taken.shown > 0 {
            out.push(b',');
        }
        let visible = call.shows(plan, collection, record);
        let view = record.view(|field| chosen(field) && visible(field));
        serde_json::to_writer(&mut out, &view).map_err(|error| Error::Internal(error.to_string()))?;
        if let Some(beside) = beside.get(index) {
            expand::append(&mut out, beside);
        }
        if out.len() > BYTES_MAX && taken.shown > 0 {
            out.truncate(end);
            break;
        }
        taken.records += 1;
        taken.shown += 1;
    }
    out.push(b']');
    Ok((out, taken))
}

/// A plan as the store takes it.
pub(super) fn guards(plan: &Plan) -> Vec<&Guard> {
    match plan.access() {
        Access::When(guard) => vec![guard],
        Access::Always | Access::Never => Vec::new(),
    }
}

/// Finds the records that a filter means, among those that the caller can read, in the order of their ids. For stories that do something
/// with all of them: at most `limit` behind the id `after`, as the transaction sees them.
pub(super) async fn matching(
    call: &Call,
    transaction: &Transaction,
    collection: &Collection,
    (filter, after, limit): (&Option<String>, Option<&str>, usize),
) -> Result<Vec<Record>, Error> {
    let plan = call.plan(Action::Read, collection)?;
    let parsed = parse(collection, &Question { filter: filter.clone(), sort: Some("id".to_owned()), ..Question::default() })?;
    check_readable(call, &plan, collection, &parsed, &[])?;
    let ground = Ground { caller: &call.caller, now: &call.now, guards: &guards(&plan) };
    let start = after.map_or(Start::Beginning, |id| Start::After { values: Vec::new(), id: id.to_owned(), known: 0 });
    let mut records = store::records::list(transaction, collection, ground, &List { limit, start, ..parsed.list }).await?;
    if call.world.policies.mode() != Mode::Plan {
        recheck(call, &plan, &mut records);
    }
    Ok(records)
}

/// Records of a page, for stories that write them in a form of their own.
pub(super) struct Records {
    pub(super) collection: Collection,
    pub(super) plan: Arc<Plan>,
    pub(super) records: Vec<Record>,
    /// The fields that the client chose; none means all.
    pub(super) fields: Option<Vec<String>>,
    /// Where the next page begins; none on the last.
    pub(super) next: Option<Start>,
}

/// Reads a page, from the place where another one has ended.
pub(super) async fn records(call: &Call, collection: &str, question: &Question, start: Option<Start>) -> Result<Records, Error> {
    let collection = call.collection(collection)?;
    let plan = call.plan(Action::Read, &collection)?;
    let mut parsed = parse(&collection, question)?;
    check_readable(call, &plan, &collection, &parsed, &[])?;
    parsed.list.start = start.unwrap_or_default();
    let ground = Ground { caller: &call.caller, now: &call.now, guards: &guards(&plan) };
    let asked = Asked { collection: &collection, ground, list: &parsed.list };
    let page::Found { mut records, more } = page::find(call, asked, &[]).await?;
    let next = records.last().filter(|_| more).map(|last| cursor::after(&parsed.list.sort, &records, last));
    if call.world.policies.mode() != Mode::Plan {
        recheck(call, &plan, &mut records);
    }
    Ok(Records { fields: parsed.fields, collection, plan, records, next })
}

/// In the modes that do not trust the plan alone every record is decided once more. One that the query should not have found is a fault.
fn recheck(call: &Call, plan: &Plan, records: &mut Vec<Record>) {
    let found = records.len();
    records.retain(|record| plan.allows(&call.context(record, None)));
    if records.len() < found {
        let (request, denied) = (&call.id, found - records.len());
        tracing::error!(%request, denied, "the query and the decision differ, access denied");
    }
}

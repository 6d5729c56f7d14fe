//! The story of all records that a filter means: changed or deleted together, each as if it were the only one, or only tried. How many there
//! may be is for the client to say, so that a filter which means more than it thought does no harm.

use model::{Action, Collection, Draft, Modifiers, Pointer, Violations, draft::RECORDS_MAX, validate};
use serde::Serialize;
use store::Transaction;

use super::{
    Answer, Outcome, Preconditions, Terms,
    commit::{Share, tried},
    idempotency::{told_once, written_once},
    list::{self, given, parse_number},
    passwords,
    steps::{self, Authority, Change},
    update::Manner,
};
use crate::{Error, Place, call::Call, decisions::Refused};

/// How many records are read at once.
const AT_ONCE: usize = 50;

/// Which records are meant, as text; empty texts count as absent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selection {
    pub(crate) filter: Option<String>,
    pub(crate) max: Option<String>,
    pub(crate) dry_run: Option<String>,
}

/// What is done with each of them.
#[derive(Clone, Copy)]
enum Work<'a> {
    Change(&'a Draft),
    Delete,
}

/// What came of it.
#[derive(Serialize)]
struct Report {
    matched: usize,
    changed: usize,
    ids: Vec<String>,
    dry_run: bool,
}

/// Changes all records that a filter means by the same patch.
///
/// # Errors
/// In the order of the story: the body, the policies, the bounds, terms (there is no one version), names that no record could be changed by,
/// the filter, more records than expected, then those of a change of one of the records, none of which is changed then.
pub(crate) async fn update(call: &Call, collection: &str, selection: &Selection, body: &[u8], terms: &Terms) -> Result<Answer, Error> {
    told_once(call, terms.once.as_ref(), async {
        let draft = Draft::parse(body).map_err(Error::Body)?;
        let defined = may_write(call, Action::Update, collection)?;
        let draft = passwords::sealed(&defined, draft).await?;
        work(call, collection, Share::WithOthers, (selection, Work::Change(&draft)), terms).await
    })
    .await
}

/// Deletes all records that a filter means.
///
/// # Errors
/// As [`update`].
pub(crate) async fn delete(call: &Call, collection: &str, selection: &Selection, terms: &Terms) -> Result<Answer, Error> {
    told_once(call, terms.once.as_ref(), async {
        may_write(call, Action::Delete, collection)?;
        work(call, collection, Share::of_deletion(call, collection), (selection, Work::Delete), terms).await
    })
    .await
}

/// A filter finds what the caller can read, so reading must be allowed as well.
fn may_write(call: &Call, action: Action, collection: &str) -> Result<Collection, Error> {
    let collection = call.collection(collection)?;
    call.plan(action, &collection)?;
    call.plan(Action::Read, &collection)?;
    Ok(collection)
}

/// Refuses what needs no record to be refused: names that no field has, and fields that the policies never let the caller write.
fn check_names(call: &Call, collection: &Collection, draft: &Draft) -> Result<(), Error> {
    validate::names(collection, draft).map_err(Error::Invalid)?;
    let plan = call.plan(Action::Update, collection)?;
    let (mut violations, mut fields) = (Violations::default(), Vec::new());
    for name in draft.values.keys() {
        let field = Modifiers::field(name);
        if collection.field(field).is_some() && !plan.may_show(field) {
            violations.add(Pointer::field(name), "field.forbidden", format!("not allowed to write `{field}`"));
            fields.push(field.to_owned());
        }
    }
    let refused = || Refused { fields, ..Refused::records(Action::Update, collection) };
    violations.or(()).map_err(|violations| call.decided(refused(), Error::FieldsDenied(violations)))
}

async fn work(call: &Call, name: &str, share: Share, (selection, work): (&Selection, Work<'_>), terms: &Terms) -> Result<Answer, Error> {
    let bounds = bounds(selection)?;
    terms.preconditions.check_several()?;
    if let Work::Change(draft) = work {
        check_names(call, &call.collection(name)?, draft)?;
    }
    let steps = |call: Call, transaction: Transaction| async move {
        let ids = matched(&call, &transaction, name, (selection, bounds.max)).await?;
        for id in &ids {
            let written = work.on(&call, &transaction, name, id).await;
            written.map_err(|error| error.at(Place::Record(id.clone())))?;
        }
        let report = Report { matched: ids.len(), changed: ids.len(), ids, dry_run: bounds.is_dry };
        let body = serde_json::to_vec(&report).map_err(|error| Error::Internal(error.to_string()))?;
        Ok(Answer::new(Outcome::Done, body))
    };
    match bounds.is_dry {
        true => tried(call, share, steps).await,
        false => written_once(call, share, terms.once.as_ref(), steps).await,
    }
}

/// The ids of the records that are meant.
async fn matched(call: &Call, transaction: &Transaction, name: &str, (selection, max): (&Selection, usize)) -> Result<Vec<String>, Error> {
    let collection = call.collection(name)?;
    let mut ids: Vec<String> = Vec::new();
    loop {
        let after = ids.last().map(String::as_str);
        let records = list::matching(call, transaction, &collection, (&selection.filter, after, AT_ONCE)).await?;
        let more = records.len() == AT_ONCE;
        ids.extend(records.into_iter().map(|record| record.id));
        if ids.len() > max {
            return Err(Error::TooMany { max });
        }
        if !more {
            return Ok(ids);
        }
    }
}

impl Work<'_> {
    async fn on(self, call: &Call, transaction: &Transaction, name: &str, id: &str) -> Result<(), Error> {
        let collection = call.collection(name)?;
        match self {
            Work::Change(draft) => {
                let authority = Authority::of_caller(call, Action::Update, &collection)?;
                let change = Change { id, draft: draft.clone(), manner: Manner::Merge, preconditions: Preconditions::NONE };
                steps::update(call, transaction, &collection, authority, change).await.map(drop)
            }
            Work::Delete => {
                // One before it may have taken it along.
                if store::records::get(transaction, &collection, &call.caller.tenant, id).await?.is_none() {
                    return Ok(());
                }
                let authority = Authority::of_caller(call, Action::Delete, &collection)?;
                steps::delete(call, transaction, &collection, authority, (id, Preconditions::NONE)).await.map(drop)
            }
        }
    }
}

/// What a selection says beside its filter.
#[derive(Clone, Copy)]
struct Bounds {
    max: usize,
    is_dry: bool,
}

/// A filter and a bound must be said: neither everything nor any number is meant by saying nothing.
fn bounds(selection: &Selection) -> Result<Bounds, Error> {
    let mut violations = Violations::default();
    for (name, text) in [("filter", &selection.filter), ("max", &selection.max)] {
        if given(text).is_none() {
            violations.add(Pointer::field(name), "query.required", format!("`{name}` is required"));
        }
    }
    let max = parse_number("max", &selection.max, 1, 1, RECORDS_MAX, &mut violations);
    let is_dry = match given(&selection.dry_run) {
        None | Some("false") => false,
        Some("true") => true,
        Some(other) => {
            violations.add(Pointer::field("dry_run"), "query.value", format!("`{other}` is neither `true` nor `false`"));
            false
        }
    };
    violations.or(Bounds { max, is_dry }).map_err(Error::Query)
}

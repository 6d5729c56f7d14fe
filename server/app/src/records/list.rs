//! The story of a page of records: the caller's question and the policies become one query.

use std::sync::Arc;

use model::{
    Action, Collection, Condition, FieldType, Guard, Pointer, Record, Value, Violations,
    collection::USERS,
    condition::{Root, Scope},
    query::{LIMIT_MAX, List, SortKey, Start},
    value::Object,
};
use policies::{Access, Mode, Plan};
use store::{Transaction, records::Ground};

use crate::{Error, call::Call, decisions::Refused};

/// How many records a page has when nobody says.
pub const LIMIT_DEFAULT: usize = 30;

/// The most records that can be skipped by counting; a cursor goes further and costs less.
pub const OFFSET_MAX: usize = 100_000;

/// What a client asks, as text; empty texts count as absent.
#[derive(Clone, Debug, Default)]
pub struct Question {
    pub(crate) filter: Option<String>,
    pub(crate) sort: Option<String>,
    pub(crate) limit: Option<String>,
    pub(crate) offset: Option<String>,
    pub(crate) cursor: Option<String>,
    pub(crate) fields: Option<String>,
    pub(crate) count: Option<String>,
}

/// A page as the caller may see it.
pub struct Page {
    pub(crate) collection: Collection,
    pub(crate) records: Vec<Record>,
    pub(crate) plan: Arc<Plan>,
    /// The fields that the client chose; none means all.
    pub(crate) fields: Option<Vec<String>>,
    /// Where the next page begins; none on the last.
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
    let parsed = parse(&collection, question)?;
    check_readable(call, &plan, &collection, &parsed).map_err(|error| {
        let fields = asked_fields(&parsed);
        call.decided(Refused { fields, ..Refused::records(Action::Read, &collection) }, error)
    })?;

    let guards: Vec<&Guard> = match plan.access() {
        Access::When(guard) => vec![guard],
        Access::Always | Access::Never => Vec::new(),
    };
    let ground = Ground { caller: &call.caller, now: &call.now, guards: &guards };
    // One more than asked for tells whether there is a next page.
    let list = List { limit: parsed.list.limit + 1, ..parsed.list.clone() };
    let mut records = store::records::list(&call.app.store, &collection, ground, &list).await?;
    let more = records.len() > parsed.list.limit;
    records.truncate(parsed.list.limit);
    let next = records.last().filter(|_| more).map(|record| cursor(&parsed.list.sort, record));
    if call.world.policies.mode() != Mode::Plan {
        recheck(call, &plan, &mut records);
    }
    let total = match parsed.counted {
        true => Some(store::records::count(&call.app.store, &collection, ground, parsed.list.filter.as_deref()).await?),
        false => None,
    };
    let offset = if let Start::Offset(offset) = parsed.list.start { offset } else { 0 };
    Ok(Page { collection, records, plan, fields: parsed.fields, next, total, offset })
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
    check_readable(call, &plan, collection, &parsed).map_err(|error| {
        let fields = asked_fields(&parsed);
        call.decided(Refused { fields, ..Refused::records(Action::Read, collection) }, error)
    })?;
    let guards: Vec<&Guard> = match plan.access() {
        Access::When(guard) => vec![guard],
        Access::Always | Access::Never => Vec::new(),
    };
    let ground = Ground { caller: &call.caller, now: &call.now, guards: &guards };
    let start = after.map_or(Start::Beginning, |id| Start::After { values: Vec::new(), id: id.to_owned() });
    let mut records = store::records::list(transaction, collection, ground, &List { limit, start, ..parsed.list }).await?;
    if call.world.policies.mode() != Mode::Plan {
        recheck(call, &plan, &mut records);
    }
    Ok(records)
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

impl Page {
    /// The JSON array of the page.
    pub(crate) fn json(&self, call: &Call) -> Result<Vec<u8>, Error> {
        let mut out = vec![b'['];
        for (index, record) in self.records.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            self.write(call, record, &mut out)?;
        }
        out.push(b']');
        Ok(out)
    }

    /// The records of the page, one JSON object a line.
    pub(crate) fn lines(&self, call: &Call, out: &mut Vec<u8>) -> Result<(), Error> {
        for record in &self.records {
            self.write(call, record, out)?;
            out.push(b'\n');
        }
        Ok(())
    }

    fn write(&self, call: &Call, record: &Record, out: &mut Vec<u8>) -> Result<(), Error> {
        let chosen = |field: &str| self.fields.as_ref().is_none_or(|fields| fields.iter().any(|name| name == field));
        let visible = call.shows(&self.plan, &self.collection, record);
        let view = record.view(|field| chosen(field) && visible(field));
        serde_json::to_writer(out, &view).map_err(|error| Error::Internal(error.to_string()))
    }
}

/// A question that has been read.
pub(super) struct Parsed {
    pub(super) list: List,
    pub(super) fields: Option<Vec<String>>,
    pub(super) counted: bool,
}

/// Reads a question against the collection and reports everything that is wrong with it.
pub(super) fn parse(collection: &Collection, question: &Question) -> Result<Parsed, Error> {
    let mut violations = Violations::default();
    let filter = given(&question.filter).and_then(|text| parse_filter(collection, text, &mut violations));
    let sort = given(&question.sort).map_or_else(Vec::new, |text| parse_sort(collection, text, &mut violations));
    let limit = parse_number("limit", &question.limit, LIMIT_DEFAULT, 1, LIMIT_MAX, &mut violations);
    let offset = parse_number("offset", &question.offset, 0, 0, OFFSET_MAX, &mut violations);
    let start = match given(&question.cursor) {
        Some(_) if given(&question.offset).is_some() => {
            violations.add(Pointer::field("cursor"), "query.value", "`cursor` and `offset` exclude each other");
            Start::Beginning
        }
        Some(text) => parse_cursor(&sort, text).unwrap_or_else(|| {
            violations.add(Pointer::field("cursor"), "query.cursor", "this cursor was not made for this collection and `sort`");
            Start::Beginning
        }),
        None if offset > 0 => Start::Offset(offset),
        None => Start::Beginning,
    };
    let fields = given(&question.fields).map(|text| parse_fields(collection, text, &mut violations));
    let counted = match given(&question.count) {
        None | Some("none") => false,
        Some("exact") => true,
        Some(other) => {
            violations.add(Pointer::field("count"), "query.value", format!("`{other}` is neither `none` nor `exact`"));
            false
        }
    };
    let list = List { filter, sort, limit, start };
    violations.or(Parsed { list, fields, counted }).map_err(Error::Query)
}

pub(super) fn given(text: &Option<String>) -> Option<&str> {
    text.as_deref().map(str::trim).filter(|text| !text.is_empty())
}

pub(super) fn parse_filter(collection: &Collection, text: &str, violations: &mut Violations) -> Option<Arc<Condition>> {
    match Condition::parse(text, Scope::Filter).and_then(|condition| condition.check(collection)) {
        Ok(condition) => Some(Arc::new(condition)),
        Err(error) => {
            violations.add(Pointer::field("filter"), "query.filter", error.to_string());
            None
        }
    }
}

fn parse_sort(collection: &Collection, text: &str, violations: &mut Violations) -> Vec<SortKey> {
    let mut keys: Vec<SortKey> = Vec::new();
    for part in text.split(',').map(str::trim) {
        let (field, descending) = part.strip_prefix('-').map_or((part, false), |field| (field, true));
        let sortable = match collection.field_type(field) {
            Some(FieldType::Json | FieldType::Password) | None => false,
            Some(_) => collection.field(field).is_none_or(|field| !field.many && !field.is_secret()),
        };
        if !sortable {
            let message = format!("`{field}` is not a field of `{}` that can be sorted by", collection.name());
            violations.add(Pointer::field("sort"), "query.sort", message);
        } else if keys.iter().any(|key| key.field == field) {
            violations.add(Pointer::field("sort"), "query.sort", format!("`{field}` stands twice"));
        } else {
            keys.push(SortKey { field: field.to_owned(), descending });
        }
    }
    if keys.len() > 4 {
        violations.add(Pointer::field("sort"), "query.sort", "at most four fields can be sorted by");
    }
    keys
}

fn parse_fields(collection: &Collection, text: &str, violations: &mut Violations) -> Vec<String> {
    let names: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
    for name in &names {
        if collection.field_type(name).is_none() {
            let message = format!("`{name}` is not a field of `{}`", collection.name());
            violations.add(Pointer::field("fields"), "query.value", message);
        }
    }
    names
}

pub(super) fn parse_number(
    name: &str,
    text: &Option<String>,
    default: usize,
    min: usize,
    max: usize,
    violations: &mut Violations,
) -> usize {
    let Some(text) = given(text) else { return default };
    match text.parse::<usize>() {
        Ok(number) if (min..=max).contains(&number) => number,
        _ => {
            violations.add(Pointer::field(name), "query.value", format!("`{text}` is not a whole number from {min} to {max}"));
            default
        }
    }
}

/// The fields that a question filters and sorts by.
fn asked_fields(parsed: &Parsed) -> Vec<String> {
    let filtered = parsed.list.filter.iter().flat_map(|filter| filter.fields()).map(str::to_owned);
    filtered.chain(parsed.list.sort.iter().map(|key| key.field.clone())).collect()
}

/// Filtering and sorting by a field is reading it.
fn check_readable(call: &Call, plan: &Plan, collection: &Collection, parsed: &Parsed) -> Result<(), Error> {
    let readable = plan.unconditional_fields();
    let filtered = parsed.list.filter.iter().flat_map(|filter| filter.fields()).map(|field| (field, "filter"));
    let sorted = parsed.list.sort.iter().map(|key| (key.field.as_str(), "sort"));
    let mut violations = Violations::default();
    for field in hidden_from_owner(call, &parsed.list) {
        violations.add(
            Pointer::field("filter"),
            "field.unreadable",
            format!("`caller.{field}` cannot be read, so it cannot be used in `filter`"),
        );
    }
    for (field, parameter) in filtered.chain(sorted) {
        let secret = collection.field(field).is_some_and(|field| field.is_secret());
        if field != "id" && (secret || !readable.contains(field)) {
            let message = format!("`{field}` cannot be read, so it cannot be used in `{parameter}`");
            violations.add(Pointer::field(parameter), "field.unreadable", message);
        }
    }
    violations.or(()).map_err(Error::FieldsDenied)
}

/// The fields of the caller's own account that its filter looks at and that policies deny it.
pub(super) fn hidden_from_owner(call: &Call, list: &List) -> Vec<String> {
    let mut asked = Vec::new();
    if let Some(filter) = &list.filter {
        filter.expression().each_path(&mut |path| {
            let member = path.members.first().filter(|_| path.root == Root::Caller);
            asked.extend(member.filter(|name| !["id", "tenant", "roles"].contains(&name.as_str())).cloned());
        });
    }
    let Some(users) = call.world.catalog.get(USERS).filter(|_| !asked.is_empty()) else { return asked };
    let plan = call.world.policies.own_account_plan(&call.caller, users);
    asked.retain(|field| !plan.unconditional_fields().contains(field));
    asked
}

/// The position behind a record, with the order that it belongs to. Clients must not look inside, so that it may change.
fn cursor(sort: &[SortKey], record: &Record) -> String {
    use base64::Engine as _;
    let mut position = Object::new();
    position.insert("order".to_owned(), Value::Text(order_text(sort)));
    let values = sort.iter().filter(|key| key.field != "id").map(|key| record.value(&key.field).into_owned());
    position.insert("values".to_owned(), Value::List(values.map(tagged).collect()));
    position.insert("id".to_owned(), Value::from(record.id.as_str()));
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(Value::Object(position).to_json())
}

fn parse_cursor(sort: &[SortKey], text: &str) -> Option<Start> {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).ok()?;
    let position = Value::from_json(&bytes).ok()?;
    let id = position.member("id").as_text()?.to_owned();
    let Value::List(values) = position.member("values") else { return None };
    let values: Vec<Value> = values.iter().map(untagged).collect::<Option<_>>()?;
    let fits = position.member("order").as_text() == Some(&order_text(sort))
        && values.len() == sort.iter().filter(|key| key.field != "id").count();
    fits.then_some(Start::After { values, id })
}

fn order_text(sort: &[SortKey]) -> String {
    let keys: Vec<String> = sort.iter().map(|key| format!("{}{}", if key.descending { "-" } else { "" }, key.field)).collect();
    keys.join(",")
}

/// JSON has no decimals, and a cursor must give back exactly what the index holds.
fn tagged(value: Value) -> Value {
    match value {
        Value::Decimal(decimal) => Value::List(vec![Value::Text(decimal.to_string())]),
        other => other,
    }
}

fn untagged(value: &Value) -> Option<Value> {
    match value {
        Value::List(list) => list.first()?.as_text()?.parse().ok().map(Value::Decimal),
        Value::Object(_) => None,
        other => Some(other.clone()),
    }
}

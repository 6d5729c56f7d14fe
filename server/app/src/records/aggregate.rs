//! The story of groups of records: what a list would show, counted, added and compared. The database computes; what is asked of the
//! results (`having`, `sort`, `limit`, `offset`) is decided here, because the groups are few.
//!
//! A value that is computed of a field tells about that field in every record that counts. So a field can be aggregated only if the caller
//! may read it in every record that a list would show, as for filters and sorts; anything else is refused, naming the field.

use std::{cmp::Ordering, sync::Arc};

use model::{
    Action, Collection, Condition, Field, Guard, Kind, Pointer, Record, Truth, Value, Violations,
    aggregate::{Aggregate, GROUP_BY_MAX, GROUPS_MAX, Group, MEASURES_MAX, Measure, Part},
    collection::Definition,
    condition::Scope,
    query::{LIMIT_MAX, List, SortKey},
    value::Object,
};
use policies::{Access, Plan};
use store::records::{
    Ground,
    aggregate::{Failure, TIME_MAX_S},
};
use tokio::sync::Semaphore;

use super::list::{self, given, parse_filter, parse_number};
use crate::{Error, call::Call, decisions::Refused};

/// How many groups are shown when nobody says.
pub const GROUPS_DEFAULT: usize = 100;

/// How many questions are worked at together. Each may keep many groups in memory and a processor busy for seconds.
static TURNS: Semaphore = Semaphore::const_new(2);

/// What a client asks, as text; empty texts count as absent.
#[derive(Clone, Debug, Default)]
pub struct Question {
    pub(crate) select: Option<String>,
    pub(crate) group: Option<String>,
    pub(crate) filter: Option<String>,
    pub(crate) having: Option<String>,
    pub(crate) sort: Option<String>,
    pub(crate) limit: Option<String>,
    pub(crate) offset: Option<String>,
}

/// The groups that were asked for.
pub struct Groups {
    /// The results of each, by name.
    pub(crate) groups: Vec<Object>,
    /// How many there are without `limit` and `offset`.
    pub(crate) total: usize,
}

impl Groups {
    /// The JSON array of the groups.
    pub(crate) fn json(&self) -> Result<Vec<u8>, Error> {
        serde_json::to_vec(&self.groups).map_err(|error| Error::Internal(error.to_string()))
    }
}

/// Computes groups of the records that a list would show to the caller.
///
/// # Errors
/// The policies, everything that is wrong with the question, a field in it that the caller may not read, or results beyond the bounds.
pub async fn aggregate(call: &Call, collection: &str, question: &Question) -> Result<Groups, Error> {
    let collection = call.collection(collection)?;
    let plan = call.plan(Action::Read, &collection)?;
    let parsed = parse(&collection, question)?;
    check_readable(call, &plan, &collection, &parsed).map_err(|error| {
        let fields = parsed.asked_fields();
        call.decided(Refused { fields, ..Refused::records(Action::Read, &collection) }, error)
    })?;

    let guards: Vec<&Guard> = match plan.access() {
        Access::When(guard) => vec![guard],
        Access::Always | Access::Never => Vec::new(),
    };
    let ground = Ground { caller: &call.caller, now: &call.now, guards: &guards };
    let turn = TURNS.acquire().await.map_err(|error| Error::Internal(error.to_string()))?;
    let found = store::records::aggregate::aggregate(&call.app.store, &collection, ground, &parsed.asked).await;
    drop(turn);
    let mut groups = found.map_err(beyond_bounds)?;
    if let Some(having) = &parsed.having {
        groups.retain(|group| holds(call, having, group));
    }
    let sort = parsed.sort.iter().chain(&parsed.tie_breakers).collect::<Vec<_>>();
    groups.sort_by(|a, b| order(&sort, a, b));
    let total = groups.len();
    let groups = groups.into_iter().skip(parsed.offset).take(parsed.limit).collect();
    Ok(Groups { groups, total })
}

/// The client can ask for less, so these are its errors.
fn beyond_bounds(failure: Failure) -> Error {
    let (parameter, message) = match failure {
        Failure::TooMany => ("group", format!("there are more than {GROUPS_MAX} groups: group by less, or narrow `filter`")),
        Failure::TooSlow => ("filter", format!("this took more than {TIME_MAX_S} seconds: narrow `filter`")),
        Failure::Overflow(name) => ("select", format!("`{name}` has more digits than its type can hold")),
        Failure::Store(error) => return error.into(),
    };
    let mut violations = Violations::default();
    violations.add(Pointer::field(parameter), "query.limit", message);
    Error::Query(violations)
}

/// A question that has been read.
struct Parsed {
    asked: Aggregate,
    having: Option<Condition>,
    sort: Vec<SortKey>,
    /// What decides between groups that `sort` does not tell apart.
    tie_breakers: Vec<SortKey>,
    limit: usize,
    offset: usize,
}

impl Parsed {
    fn asked_fields(&self) -> Vec<String> {
        let filtered = self.asked.filter.iter().flat_map(|filter| filter.fields()).map(str::to_owned);
        filtered.chain(self.computed_of().map(|(field, _)| field.to_owned())).collect()
    }

    /// The fields that groups and measures look at, each with its parameter.
    fn computed_of(&self) -> impl Iterator<Item = (&str, &'static str)> {
        let groups = self.asked.groups.iter().map(|group| (group.field.as_str(), "group"));
        groups.chain(self.asked.measures.iter().filter_map(|measure| Some((measure.field.as_deref()?, "select"))))
    }
}

fn parse(collection: &Collection, question: &Question) -> Result<Parsed, Error> {
    let mut violations = Violations::default();
    let filter = given(&question.filter).and_then(|text| parse_filter(collection, text, &mut violations)).map(Arc::new);
    let groups = given(&question.group).map_or_else(Vec::new, |text| parse_groups(collection, text, &mut violations));
    let measures = match given(&question.select) {
        Some(text) => parse_measures(collection, text, &mut violations),
        None => vec![Measure::records()],
    };
    let asked = Aggregate { filter, groups, measures };
    // Without them there is nothing that the others could name.
    let names = violations.0.iter().all(|violation| violation.pointer.as_str() == "/filter").then(|| names(&asked, &mut violations));
    let having = given(&question.having).zip(names.as_ref());
    let having = having.and_then(|(text, names)| parse_having(collection, &asked, names, text, &mut violations));
    let sort = given(&question.sort).zip(names.as_ref());
    let sort = sort.map_or_else(Vec::new, |(text, names)| parse_sort(names, text, &mut violations));
    let limit = parse_number("limit", &question.limit, GROUPS_DEFAULT, 1, LIMIT_MAX, &mut violations);
    let offset = parse_number("offset", &question.offset, 0, 0, GROUPS_MAX, &mut violations);
    let tie_breakers = asked.groups.iter().map(|group| SortKey { field: group.name(), descending: false }).collect();
    violations.or(Parsed { asked, having, sort, tie_breakers, limit, offset }).map_err(Error::Query)
}

fn parse_groups(collection: &Collection, text: &str, violations: &mut Violations) -> Vec<Group> {
    let parts: Vec<&str> = text.split(',').map(str::trim).collect();
    if parts.len() > GROUP_BY_MAX {
        violations.add(Pointer::field("group"), "query.value", format!("at most {GROUP_BY_MAX} fields can be grouped by"));
        return Vec::new();
    }
    let mut groups = Vec::new();
    for part in parts {
        match Group::parse(part).filter(|group| group.fits(collection)) {
            Some(group) => groups.push(group),
            None => {
                let message = format!(
                    "`{part}` is nothing that records of `{}` can be grouped by: write a field with one value, or `day:`, `week:`, `month:` \
                     or `year:` and a time",
                    collection.name()
                );
                violations.add(Pointer::field("group"), "query.value", message);
            }
        }
    }
    groups
}

fn parse_measures(collection: &Collection, text: &str, violations: &mut Violations) -> Vec<Measure> {
    let parts: Vec<&str> = text.split(',').map(str::trim).collect();
    if parts.len() > MEASURES_MAX {
        violations.add(Pointer::field("select"), "query.value", format!("at most {MEASURES_MAX} values can be selected"));
        return Vec::new();
    }
    let mut measures = Vec::new();
    for part in parts {
        match Measure::parse(part).filter(|measure| measure.kind(collection).is_some()) {
            Some(measure) => measures.push(measure),
            None => {
                let message = format!(
                    "`{part}` cannot be computed of `{}`: write `count`, `count:` and a field, `sum:` or `avg:` and a number, `min:` or \
                     `max:` and a number or a time",
                    collection.name()
                );
                violations.add(Pointer::field("select"), "query.value", message);
            }
        }
    }
    measures
}

/// The names of the results; each stands once.
fn names(asked: &Aggregate, violations: &mut Violations) -> Vec<String> {
    let groups = asked.groups.iter().map(|group| (group.name(), "group"));
    let measures = asked.measures.iter().map(|measure| (measure.name(), "select"));
    let mut names: Vec<String> = Vec::new();
    for (name, parameter) in groups.chain(measures) {
        if names.contains(&name) {
            violations.add(Pointer::field(parameter), "query.value", format!("two results would be called `{name}`"));
        } else {
            names.push(name);
        }
    }
    names
}

fn parse_sort(names: &[String], text: &str, violations: &mut Violations) -> Vec<SortKey> {
    let mut keys: Vec<SortKey> = Vec::new();
    for part in text.split(',').map(str::trim) {
        let (name, descending) = part.strip_prefix('-').map_or((part, false), |name| (name, true));
        if !names.iter().any(|known| known == name) {
            let message = format!("`{name}` is not among the results: {}", names.join(", "));
            violations.add(Pointer::field("sort"), "query.sort", message);
        } else if keys.iter().any(|key| key.field == name) {
            violations.add(Pointer::field("sort"), "query.sort", format!("`{name}` stands twice"));
        } else {
            keys.push(SortKey { field: name.to_owned(), descending });
        }
    }
    keys
}

/// Conditions are checked against a collection, so the results become the fields of one.
fn parse_having(
    collection: &Collection,
    asked: &Aggregate,
    names: &[String],
    text: &str,
    violations: &mut Violations,
) -> Option<Condition> {
    let mut refuse = |reason: String| violations.add(Pointer::field("having"), "query.having", reason);
    // The times are fields of every collection; their names are kept for them.
    let own = |field: &Field| !["created", "updated"].contains(&field.name.as_str()) && model::collection::is_name(&field.name);
    let fields = asked.fields(collection).into_iter().filter(own).collect();
    let definition = Definition {
        name: collection.name().to_owned(),
        kind: Kind::Base,
        description: String::new(),
        fields,
        indexes: Vec::new(),
        search: Vec::new(),
    };
    let results = match Collection::new(definition) {
        Ok(results) => results,
        Err(wrong) => {
            refuse(wrong.to_string());
            return None;
        }
    };
    match Condition::parse(text, Scope::Filter).and_then(|condition| condition.check(&results)) {
        Ok(condition) => match condition.fields().iter().find(|field| !names.iter().any(|name| name == *field)) {
            None => Some(condition),
            Some(field) => {
                refuse(format!("`{field}` is not among the results: {}", names.join(", ")));
                None
            }
        },
        Err(error) => {
            refuse(error.to_string());
            None
        }
    }
}

/// A field is aggregated only where a list shows it in every record.
fn check_readable(call: &Call, plan: &Plan, collection: &Collection, parsed: &Parsed) -> Result<(), Error> {
    let filtered = List { filter: parsed.asked.filter.clone(), ..List::default() };
    let had = List { filter: parsed.having.clone().map(Arc::new), ..List::default() };
    let of_caller = [(filtered, "filter"), (had, "having")].into_iter().flat_map(|(list, parameter)| {
        let hidden = list::hidden_from_owner(call, &list);
        hidden.into_iter().map(move |field| (format!("caller.{field}"), parameter))
    });
    let readable = plan.unconditional_fields();
    let filters = parsed.asked.filter.iter().flat_map(|filter| filter.fields()).map(|field| (field, "filter"));
    let hidden = filters.chain(parsed.computed_of()).filter(|(field, _)| {
        let secret = collection.field(field).is_some_and(Field::is_secret);
        *field != "id" && (secret || !readable.contains(field))
    });
    let mut violations = Violations::default();
    for (field, parameter) in of_caller.chain(hidden.map(|(field, parameter)| (field.to_owned(), parameter))) {
        let message = format!("`{field}` cannot be read, so it cannot be used in `{parameter}`");
        violations.add(Pointer::field(parameter), "field.unreadable", message);
    }
    violations.or(()).map_err(Error::FieldsDenied)
}

/// Whether a group passes `having`. Its results stand where a record has its fields.
fn holds(call: &Call, having: &Condition, group: &Object) -> bool {
    let system = |name: &str| group.get(name).and_then(Value::as_text).unwrap_or_default().to_owned();
    let record = Record {
        id: String::new(),
        tenant: call.caller.tenant.clone(),
        version: 0,
        created: system("created"),
        updated: system("updated"),
        values: group.clone(),
    };
    having.evaluate(&call.context(&record, None)) == Truth::True
}

fn order(sort: &[&SortKey], a: &Object, b: &Object) -> Ordering {
    let of = |group: &Object, key: &SortKey| group.get(&key.field).cloned().unwrap_or_default();
    let compared = sort.iter().map(|key| {
        let ordering = order_values(&of(a, key), &of(b, key));
        if key.descending { ordering.reverse() } else { ordering }
    });
    compared.fold(Ordering::Equal, Ordering::then)
}

/// Nulls first. A result has one type, so nothing else needs an order among types.
fn order_values(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Null, Value::Null) => Ordering::Equal,
        (Value::Null, _) => Ordering::Less,
        (_, Value::Null) => Ordering::Greater,
        (Value::Text(a), Value::Text(b)) => a.cmp(b),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        _ => a.compare_numbers(b).unwrap_or(Ordering::Equal),
    }
}

/// What the document offers: everything that `group` may name in this collection.
pub(crate) fn possible_groups(collection: &Collection) -> Vec<Group> {
    let names = collection.fields().map(|field| field.name.as_str()).chain(["created", "updated"]);
    let parts = [Part::Whole].into_iter().chain(Part::OF_TIMES.map(|(_, part)| part));
    let groups = names.flat_map(|name| parts.clone().map(|part| Group { field: name.to_owned(), part }));
    groups.filter(|group| group.fits(collection)).collect()
}

/// What the document offers: everything that `select` may name in this collection.
pub(crate) fn possible_measures(collection: &Collection) -> Vec<Measure> {
    let names = collection.fields().map(|field| field.name.as_str()).chain(["created", "updated"]);
    let functions = model::aggregate::Function::ALL.map(|(_, function)| function);
    let measures = names.flat_map(|name| functions.map(|function| Measure { function, field: Some(name.to_owned()) }));
    [Measure::records()].into_iter().chain(measures.filter(|measure| measure.kind(collection).is_some())).collect()
}

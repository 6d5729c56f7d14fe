//! The records and callers of trials, in the form in which the server stores and sees them.

use model::{
    Caller, Collection, Draft, FieldType, Principal, Record, Value,
    collection::USERS,
    record::SYSTEM_FIELDS,
    time::canonical_datetime,
    validate::{fill_defaults, merged, retyped},
    value::Object,
};

use super::{Stored, Trial, Trials};
use crate::snapshot::Collections;

/// What is shown as the id of a record that has none.
const NAMELESS: &str = "new";

/// What the trials of a file may look at.
pub(super) struct Fixtures<'a> {
    pub(super) trials: &'a Trials,
    pub(super) collections: Collections<'a>,
}

impl Fixtures<'_> {
    /// What is wrong with the records of the file, each by its name.
    pub(super) fn faults(&self) -> Vec<(String, String)> {
        let fault = |name: &str, values: &Object| {
            let collection = name.split('/').next().unwrap_or_default();
            let read = self.collection(collection).and_then(|collection| stored(&collection, values, NAMELESS, ("", "")));
            read.err().map(|reason| (format!("record `{name}`"), reason))
        };
        let records = self.trials.records.iter().filter_map(|(name, values)| fault(name, values));
        let users = self.trials.users.iter().filter_map(|(name, user)| {
            let users = (self.collections)(USERS)?;
            let read = stored(&users, &user.fields, name, ("", ""));
            read.err().map(|reason| (format!("user `{name}`"), reason))
        });
        records.chain(users).collect()
    }

    pub(super) fn collection(&self, name: &str) -> Result<Collection, String> {
        (self.collections)(name).ok_or_else(|| format!("there is no collection `{name}`"))
    }

    /// The caller of a trial, with the fields of its account that are no secrets.
    pub(super) fn caller(&self, trial: &Trial) -> Result<Caller, String> {
        let id = match &trial.principal {
            Principal::User(id) => id,
            other => return Ok(Caller::new(other.clone(), &trial.tenant, Object::new())),
        };
        let fields = self.trials.users.get(id).map(|user| &user.fields).filter(|fields| !fields.is_empty());
        let fields = fields.or_else(|| self.trials.records.get(&format!("{USERS}/{id}")));
        let attributes = match ((self.collections)(USERS), fields) {
            (_, None) => Object::new(),
            (None, Some(fields)) => fields.clone(),
            (Some(users), Some(fields)) => {
                let values = stored(&users, fields, id, (&trial.tenant, &trial.now))?.values;
                let open = |name: &str| users.field(name).is_some_and(|field| !field.is_secret());
                values.into_iter().filter(|(name, _)| open(name)).collect()
            }
        };
        Ok(Caller::new(trial.principal.clone(), &trial.tenant, attributes))
    }

    /// A stored record.
    pub(super) fn stored(&self, trial: &Trial, collection: &Collection, record: &Stored) -> Result<Record, String> {
        let stamp = (trial.tenant.as_str(), trial.now.as_str());
        match record {
            Stored::Given(values) => stored(collection, values, NAMELESS, stamp),
            Stored::Named(name) => {
                let id = name.split_once('/').map_or(name.as_str(), |(_, id)| id);
                let user = || self.trials.users.get(id).map(|user| &user.fields);
                let values = self.trials.records.get(name).or_else(user).ok_or_else(|| format!("there is no record `{name}`"))?;
                stored(collection, values, id, stamp)
            }
        }
    }
}

/// A record that a client wants to make, with its defaults.
pub(super) fn created(collection: &Collection, values: &Object, trial: &Trial) -> Result<Record, String> {
    let mut draft = Draft { values: values.clone() };
    fill_defaults(collection, &mut draft, trial.principal.id());
    stored(collection, &draft.values, NAMELESS, (&trial.tenant, &trial.now))
}

/// A stored record with a change.
pub(super) fn changed(collection: &Collection, record: &Record, change: &Object, trial: &Trial) -> Result<Record, String> {
    if let Some(name) = change.keys().find(|name| SYSTEM_FIELDS.contains(&name.as_str())) {
        return Err(format!("`{name}` is not for clients to change"));
    }
    let mut draft = merged(record, Draft { values: change.clone() });
    for name in change.keys() {
        let value = draft.values.get_mut(name).map(std::mem::take).unwrap_or_default();
        draft.values.insert(name.clone(), form(collection, name, value)?);
    }
    Ok(Record { values: draft.values, version: record.version + 1, updated: trial.now.clone(), ..record.clone() })
}

/// A record of which only some fields are known; the others are empty.
fn stored(collection: &Collection, given: &Object, id: &str, (tenant, now): (&str, &str)) -> Result<Record, String> {
    let mut values: Object = collection.fields().map(|field| (field.name.clone(), Value::Null)).collect();
    let (id, tenant, now) = (id.to_owned(), tenant.to_owned(), now.to_owned());
    let mut record = Record { id, tenant, version: 1, created: now.clone(), updated: now, values: Object::new() };
    for (name, value) in given {
        match (name.as_str(), value) {
            ("id", Value::Text(id)) => record.id.clone_from(id),
            ("created", Value::Text(text)) => record.created = datetime(name, text)?,
            ("updated", Value::Text(text)) => record.updated = datetime(name, text)?,
            _ => {
                values.insert(name.clone(), form(collection, name, value.clone())?);
            }
        }
    }
    Ok(Record { values, ..record })
}

fn datetime(name: &str, text: &str) -> Result<String, String> {
    canonical_datetime(text).ok_or_else(|| format!("`{name}`: `{text}` is not an RFC 3339 datetime"))
}

/// A value in the form in which its field is stored. Ids may be any text here, so that `ann` can be one, and passwords are not hashed: no
/// condition looks at them.
fn form(collection: &Collection, name: &str, value: Value) -> Result<Value, String> {
    let Some(field) = collection.field(name) else {
        return Err(format!("unknown field `{name}` in collection `{}`", collection.name()));
    };
    let is_text = |value: &Value| matches!(value, Value::Text(_));
    let as_it_is = match (field.kind, &value) {
        (_, Value::Null) => true,
        (FieldType::Relation, Value::List(ids)) if field.many => ids.iter().all(is_text),
        (FieldType::Relation, one) if !field.many => is_text(one),
        (FieldType::Password, one) => is_text(one),
        _ => false,
    };
    if as_it_is {
        return Ok(value);
    }
    let shown = value.to_json();
    retyped(collection, name, value).ok_or_else(|| {
        let kind = match (field.kind, field.many) {
            (FieldType::Select, _) => format!("of type `select`: {}", field.values.join(", ")),
            (kind, true) => format!("of type `{}`, with many values", kind.name()),
            (kind, false) => format!("of type `{}`", kind.name()),
        };
        format!("`{name}`: {shown} does not fit the field, which is {kind}")
    })
}

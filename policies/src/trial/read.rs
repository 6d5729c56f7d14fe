//! Reads files of trials. Whatever can be wrong without knowing collections and policies is found here, with its place.

use std::{collections::BTreeMap, str::FromStr};

use model::{Action, Principal, Value, principal::DEFAULT_TENANT, time::canonical_datetime, value::Object};
use serde::{Deserialize, de::DeserializeOwned};
use toml::Spanned;

use super::{Expected, Ground, Stored, Target, Trial, TrialError, Trials, User};
use crate::{
    explain::Decision,
    policy::{SYSTEM_OBJECTS, Source, check_object, check_subject, check_tenant},
    role::RoleLink,
};

/// What `now` means in trials that do not say.
const NOW: &str = "2026-01-01T00:00:00.000000Z";

/// The collection that the records of users belong to.
const USERS: &str = model::collection::USERS;

/// Reads the text of a file; its form follows from the end of its name: `.json`, or else TOML. See the trials of the demo shop,
/// `server/app/demo/shop/policies.test.toml`, for what can stand in it.
///
/// # Errors
/// The first thing that is wrong. Unknown names are refused, so that a typing error does not make a test that tests nothing.
pub fn parse_trials(file_name: &str, text: &str) -> Result<Trials, TrialError> {
    let at = |line, reason: String| TrialError { file: file_name.to_owned(), line, test: None, reason };
    let file = if file_name.ends_with(".json") { json(text) } else { toml(text) };
    let file = file.map_err(|(line, reason)| at(line, reason))?;
    let now = match &file.now {
        Some(now) => moment(now).map_err(|reason| at(None, reason))?,
        None => NOW.to_owned(),
    };
    let users = file.users.into_iter().map(|(name, (line, user))| {
        let user = read_user(&name, user).map_err(|reason| at(line, format!("user `{name}`: {reason}")))?;
        Ok((name, user))
    });
    let users = users.collect::<Result<BTreeMap<_, _>, _>>()?;
    let records = file.records.into_iter().map(|(name, (line, record))| {
        let record = read_record(&name, record, &users).map_err(|reason| at(line, format!("record `{name}`: {reason}")))?;
        Ok((name, record))
    });
    let records = records.collect::<Result<BTreeMap<_, _>, _>>()?;
    let fixtures = Fixtures { users: &users, records: &records, now };
    let trials = file.tests.into_iter().zip(1..).map(|((line, test), number)| {
        let name = test.member("name").as_text().map_or_else(|| format!("number {number}"), str::to_owned);
        fixtures.trial(line, test).map_err(|reason| TrialError { test: Some(name), ..at(line, reason) })
    });
    let trials = trials.collect::<Result<Vec<_>, _>>()?;
    Ok(Trials { file: file_name.to_owned(), users, records, trials })
}

/// A file whose outermost form was right.
struct File {
    now: Option<Value>,
    users: BTreeMap<String, Placed>,
    records: BTreeMap<String, Placed>,
    tests: Vec<Placed>,
}

/// A part of a file and the line on which it begins.
type Placed = (Option<usize>, Value);

type Refused = (Option<usize>, String);

fn toml(text: &str) -> Result<File, Refused> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Toml {
        now: Option<toml::Value>,
        #[serde(default)]
        users: BTreeMap<String, Spanned<toml::Value>>,
        #[serde(default)]
        records: BTreeMap<String, Spanned<toml::Value>>,
        #[serde(default)]
        test: Vec<Spanned<toml::Value>>,
    }
    let line = |at: usize| Some(text.get(..at)?.matches('\n').count() + 1);
    let file: Toml = toml::from_str(text).map_err(|error| {
        let place = error.span().and_then(|span| line(span.start));
        (place, error.message().replace('\n', ", "))
    })?;
    let placed = |part: Spanned<toml::Value>| {
        let place = line(part.span().start);
        plain(part.into_inner()).map(|part| (place, part)).map_err(|reason| (place, reason))
    };
    let named = |parts: BTreeMap<String, Spanned<toml::Value>>| {
        parts.into_iter().map(|(name, part)| Ok((name, placed(part)?))).collect::<Result<BTreeMap<_, _>, Refused>>()
    };
    Ok(File {
        now: file.now.map(plain).transpose().map_err(|reason| (None, reason))?,
        users: named(file.users)?,
        records: named(file.records)?,
        tests: file.test.into_iter().map(placed).collect::<Result<_, _>>()?,
    })
}

fn plain(value: toml::Value) -> Result<Value, String> {
    Ok(match value {
        toml::Value::String(text) => Value::Text(text),
        toml::Value::Integer(integer) => Value::Integer(integer),
        toml::Value::Float(number) if number.is_finite() => Value::Number(number),
        toml::Value::Float(number) => return Err(format!("`{number}` is not a finite number")),
        toml::Value::Boolean(value) => Value::Bool(value),
        toml::Value::Datetime(moment) => Value::Text(moment.to_string()),
        toml::Value::Array(values) => Value::List(values.into_iter().map(plain).collect::<Result<_, _>>()?),
        toml::Value::Table(table) => {
            let members = table.into_iter().map(|(name, value)| Ok((name, plain(value)?)));
            Value::Object(members.collect::<Result<_, String>>()?)
        }
    })
}

fn json(text: &str) -> Result<File, Refused> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Json {
        now: Option<Value>,
        #[serde(default)]
        users: Object,
        #[serde(default)]
        records: Object,
        #[serde(default)]
        test: Vec<Value>,
    }
    let refused = |error: serde_json::Error| (Some(error.line()), error.to_string());
    // Says if a name stands twice, which the second reading would not notice.
    Value::from_json(text.as_bytes()).map_err(refused)?;
    let file: Json = serde_json::from_str(text).map_err(refused)?;
    let placed = |part| (None, part);
    let named = |parts: Object| parts.into_iter().map(|(name, part)| (name, placed(part))).collect();
    let tests = file.test.into_iter().map(placed).collect();
    Ok(File { now: file.now, users: named(file.users), records: named(file.records), tests })
}

/// Reads a value into a form whose names are known.
fn formed<T: DeserializeOwned>(value: &Value) -> Result<T, String> {
    let value = serde_json::to_value(value).map_err(|error| error.to_string())?;
    serde_json::from_value(value).map_err(|error| error.to_string())
}

fn moment(value: &Value) -> Result<String, String> {
    let moment = value.as_text().and_then(canonical_datetime);
    moment.ok_or_else(|| format!("`now`: {} is not an RFC 3339 datetime", value.to_json()))
}

fn read_user(name: &str, user: Value) -> Result<User, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields, expecting = "names and values")]
    struct Form {
        #[serde(default)]
        roles: Vec<String>,
        #[serde(default = "main")]
        tenant: String,
        #[serde(default)]
        fields: Object,
    }
    let Form { roles, tenant, fields } = formed(&user)?;
    check_subject(&format!("user:{name}")).map_err(|_| "a name has letters, digits, `-` and `_` only".to_owned())?;
    check_acting(&tenant)?;
    let links = links(&format!("user:{name}"), &roles, &tenant)?;
    Ok(User { tenant, links, fields })
}

fn main() -> String {
    DEFAULT_TENANT.to_owned()
}

/// One acts in a tenant, not in all.
fn check_acting(tenant: &str) -> Result<(), String> {
    if tenant == "*" { Err("`*` is not a tenant".to_owned()) } else { check_tenant(tenant) }
}

fn links(member: &str, roles: &[String], tenant: &str) -> Result<Vec<RoleLink>, String> {
    let given = ["anyone", "authenticated"];
    let link = |role: &String| match given.contains(&role.as_str()) {
        true => Err(format!("`{role}` cannot be given: who holds it follows from who it is")),
        false => RoleLink::new(member, &format!("role:{role}"), tenant, Source::Database).map_err(|_| format!("`{role}` is not a role")),
    };
    roles.iter().map(link).collect()
}

fn read_record(name: &str, record: Value, users: &BTreeMap<String, User>) -> Result<Object, String> {
    let (collection, id) = name.split_once('/').ok_or("write `collection/id`")?;
    check_collection(collection)?;
    if id.is_empty() || id.contains('/') {
        return Err("write `collection/id`".to_owned());
    }
    if collection == USERS && users.get(id).is_some_and(|user| !user.fields.is_empty()) {
        return Err(format!("the fields of this record stand in `[users.{id}]` already"));
    }
    match record {
        Value::Object(record) if record.contains_key("id") => Err("the id stands in the name of the record".to_owned()),
        Value::Object(record) => Ok(record),
        other => Err(format!("expected fields and their values, got {}", other.kind())),
    }
}

fn check_collection(name: &str) -> Result<(), String> {
    match name.starts_with('_') || name == "*" {
        true => Err(format!("`{name}` is not a collection")),
        false => check_object(name),
    }
}

/// A test as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "names and values")]
struct Form {
    name: Option<String>,
    #[serde(rename = "as")]
    caller: Option<String>,
    #[serde(default)]
    roles: Vec<String>,
    tenant: Option<String>,
    action: String,
    on: String,
    record: Option<Object>,
    change: Option<Object>,
    expect: String,
    by: Option<String>,
    reason: Option<String>,
    fields: Option<Vec<String>>,
    hidden: Option<Vec<String>>,
    now: Option<Value>,
}

/// What the tests of a file may speak about.
struct Fixtures<'a> {
    users: &'a BTreeMap<String, User>,
    records: &'a BTreeMap<String, Object>,
    now: String,
}

impl Fixtures<'_> {
    fn trial(&self, line: Option<usize>, test: Value) -> Result<Trial, String> {
        let form: Form = formed(&test)?;
        let (principal, tenant, links) = self.caller(&form)?;
        let action = Action::ALL.into_iter().find(|action| action.name() == form.action);
        let action = action.ok_or_else(|| format!("`action`: `{}` is not one of create, read, update, delete", form.action))?;
        let expected = expected(&form)?;
        let now = form.now.as_ref().map_or_else(|| Ok(self.now.clone()), moment)?;
        let who = form.caller.clone().unwrap_or_else(|| form.roles.join(" and "));
        let name = form.name.clone().unwrap_or_else(|| format!("{who}: {} {}: {}", form.action, form.on, form.expect));
        let target = self.target(form, action)?;
        Ok(Trial { name, line, principal, tenant, links, action, target, expected, now })
    }

    /// Who it is, in which tenant, with which roles.
    fn caller(&self, form: &Form) -> Result<(Principal, String, Vec<RoleLink>), String> {
        let tenant = || form.tenant.clone().unwrap_or_else(main);
        let of = |principal: Principal, tenant: String| {
            check_acting(&tenant)?;
            let links = links(&principal.to_string(), &form.roles, &tenant)?;
            Ok((principal, tenant, links))
        };
        match form.caller.as_deref() {
            None if form.roles.is_empty() => Err("say who it is: `as` or `roles`".to_owned()),
            None => of(Principal::User("somebody".to_owned()), tenant()),
            Some("anonymous") if !form.roles.is_empty() => Err("`anonymous` cannot be given roles".to_owned()),
            Some("anonymous") => of(Principal::Anonymous, tenant()),
            Some(other) if other.contains(':') => of(principal(other)?, tenant()),
            Some(name) => {
                let user = self.users.get(name).ok_or_else(|| format!("`as`: there is no `[users.{name}]` in this file"))?;
                if form.tenant.is_some() {
                    return Err(format!("the tenant of `{name}` stands in `[users.{name}]`"));
                }
                let (principal, tenant, more) = of(Principal::User(name.to_owned()), user.tenant.clone())?;
                Ok((principal, tenant, [user.links.clone(), more].concat()))
            }
        }
    }

    fn target(&self, form: Form, action: Action) -> Result<Target, String> {
        let Form { on, record, change, .. } = form;
        if change.is_some() && action != Action::Update {
            return Err("`change` belongs to `action = \"update\"`".to_owned());
        }
        if SYSTEM_OBJECTS.contains(&on.as_str()) {
            return match record.is_some() || change.is_some() {
                true => Err(format!("`{on}` has no records")),
                false => Ok(Target::System(on)),
            };
        }
        let (collection, id) = on.split_once('/').map_or((on.as_str(), None), |(collection, id)| (collection, Some(id)));
        check_collection(collection).map_err(|reason| format!("`on`: {reason}"))?;
        let collection = collection.to_owned();
        let stored = |record| Target::Stored { collection: collection.clone(), record, change: change.clone().unwrap_or_default() };
        match (action, id, record) {
            (Action::Create, Some(_), _) => Err(format!("a new record has no id yet: write `on = \"{collection}\"` and `record`")),
            (_, Some(_), Some(_)) => Err(format!("`record` belongs to `on = \"{collection}\"`, without an id")),
            (_, Some(id), None) if self.records.contains_key(&on) || (collection == USERS && self.users.contains_key(id)) => {
                Ok(stored(Stored::Named(on.clone())))
            }
            (_, Some(_), None) => Err(format!("`on`: there is no `[records.\"{on}\"]` in this file")),
            (Action::Create, None, Some(record)) => Ok(Target::New { collection, record }),
            (_, None, Some(record)) => Ok(stored(Stored::Given(record))),
            (_, None, None) if change.is_some() => Err("say which record changes: `on = \"collection/id\"` or `record`".to_owned()),
            (_, None, None) => Ok(Target::Collection(collection)),
        }
    }
}

fn principal(text: &str) -> Result<Principal, String> {
    let plugin = text.strip_prefix("plugin:").map(|name| Principal::Plugin(name.to_owned()));
    let found = match plugin {
        Some(plugin) => check_subject(text).map(|()| plugin),
        None if text.starts_with("service:") => Principal::from_str(text).map_err(|error| error.to_string()),
        None => Err("users are named as in `[users.NAME]`; others as `service:ID` or `plugin:NAME`".to_owned()),
    };
    found.map_err(|reason| format!("`as`: {reason}"))
}

fn expected(form: &Form) -> Result<Expected, String> {
    let decision = match form.expect.as_str() {
        "allowed" => Decision::Allow,
        "denied" => Decision::Deny,
        "depends" => Decision::Depends,
        other => return Err(format!("`expect`: `{other}` is not one of allowed, denied, depends")),
    };
    if decision == Decision::Deny && (form.fields.is_some() || form.hidden.is_some()) {
        return Err("no field is open where the answer is denied: leave `fields` and `hidden` out".to_owned());
    }
    let reason = form.reason.as_ref().map(|text| {
        let names = || Ground::ALL.map(Ground::name).join(", ");
        Ground::ALL.into_iter().find(|ground| ground.name() == text).ok_or_else(|| format!("`reason`: `{text}` is not one of {}", names()))
    });
    Ok(Expected {
        decision,
        by: form.by.clone(),
        reason: reason.transpose()?,
        fields: form.fields.clone().unwrap_or_default(),
        hidden: form.hidden.clone().unwrap_or_default(),
    })
}

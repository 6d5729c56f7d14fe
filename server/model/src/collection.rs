//! Collections: named sets of typed records, defined at run time. [`Collection::new`] is the only way to one, so whoever holds a
//! collection may rely on its names and attributes being sound.

use std::{collections::HashSet, sync::Arc};

use indexmap::IndexMap;
use regex::Regex;
use serde::{Deserialize, Serialize};

use crate::{
    field::{Field, FieldType, OnDelete},
    validate::JsonSchema,
    value::Value,
    violation::{Pointer, Violations},
};

/// The name of the built-in collection of users.
pub const USERS: &str = "users";

/// The most fields of a collection.
pub const FIELDS_MAX: usize = 200;

/// The most fields whose words can be searched for.
const SEARCH_MAX: usize = 8;

/// The most digits after the point that a decimal field may ask for.
const SCALE_MAX: u32 = 20;

/// Names that fields cannot have: system fields, and the roots of conditions.
const RESERVED_FIELDS: [&str; 12] = ["id", "created", "updated", "record", "before", "caller", "now", "true", "false", "null", "has", "in"];

/// What a collection is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Plain records.
    #[default]
    Base,
    /// Records that can log in: `email`, `password` and `verified` are added.
    Auth,
}

/// A declared index over one or more fields.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Index {
    /// The fields, most significant first.
    pub fields: Vec<String>,
    /// No two records of a tenant agree in all of them (records with a null among them do not count).
    #[serde(default)]
    pub unique: bool,
}

/// A collection as people define it and as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// `^[a-z][a-z0-9_]{0,62}$`, unique.
    pub name: String,
    /// What the collection is for.
    #[serde(default)]
    pub kind: Kind,
    /// For people; shown in the OpenAPI document.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The fields, in the order in which they are shown.
    #[serde(default)]
    pub fields: Vec<Field>,
    /// The indexes beside those that unique fields imply.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub indexes: Vec<Index>,
    /// The fields whose words can be searched for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub search: Vec<String>,
}

/// A checked collection. Cheap to clone.
///
/// INVARIANT: made by [`Collection::new`] only, or out of one that was.
#[derive(Clone, Debug)]
pub struct Collection {
    inner: Arc<Inner>,
    /// None while the records are where those of every new collection are.
    place: Option<Arc<Place>>,
}

/// Where the records of a collection are kept: while it changes, its records are made anew beside the old ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The name that the store has for them.
    pub table: String,
    /// Where the store notes which records are written, for whoever copies them meanwhile.
    pub marks: Option<String>,
}

#[derive(Debug)]
struct Inner {
    definition: Definition,
    fields: IndexMap<String, Arc<CheckedField>>,
}

/// A field and what its checks need, prepared once.
#[derive(Debug)]
pub(crate) struct CheckedField {
    pub(crate) field: Field,
    /// Where the field stands in a body; made once, because every write needs one for each field.
    pub(crate) pointer: Pointer,
    pub(crate) pattern: Option<Regex>,
    pub(crate) schema: Option<JsonSchema>,
}

impl Place {
    /// A place that was never used before, given an id that was not either: what is left of old records must not come back to life under a name
    /// that is free again. No collection has a name with a hyphen.
    #[must_use]
    pub fn fresh(collection: &str, id: &str) -> Self {
        Self { table: format!("{collection}-{id}"), marks: None }
    }
}

impl Collection {
    /// Checks a definition and prepares it for use.
    ///
    /// # Errors
    /// Everything that is wrong with the definition, with pointers into it such as `/fields/2/max`.
    pub fn new(mut definition: Definition) -> Result<Self, Violations> {
        if definition.kind == Kind::Auth {
            add_auth_fields(&mut definition.fields);
        }
        let mut violations = Violations::default();
        if !is_name(&definition.name) {
            violations.add(Pointer::field("name"), "name.invalid", NAME_RULE);
        }
        if definition.fields.len() > FIELDS_MAX {
            violations.add(Pointer::field("fields"), "fields.too_many", format!("more than {FIELDS_MAX} fields"));
        }
        let mut fields = IndexMap::new();
        for (index, field) in definition.fields.iter().enumerate() {
            let pointer = Pointer::field("fields").join(index);
            if fields.contains_key(&field.name) {
                violations.add(pointer.join("name"), "name.taken", format!("there are two fields `{}`", field.name));
                continue;
            }
            let checked = check_field(field, definition.kind, &pointer, &mut violations);
            fields.insert(field.name.clone(), Arc::new(checked));
        }
        check_indexes(&definition.indexes, &fields, &mut violations);
        check_search(&definition.search, &fields, &mut violations);
        violations.or(())?;
        Ok(Self { inner: Arc::new(Inner { definition, fields }), place: None })
    }

    /// The same collection with its records at another place.
    #[must_use]
    pub fn kept_in(&self, place: Place) -> Self {
        Self { inner: Arc::clone(&self.inner), place: Some(Arc::new(place)) }
    }

    /// The name that the store has for the records; that of the collection unless they were made anew.
    #[must_use]
    pub fn table(&self) -> &str {
        self.place.as_ref().map_or(self.name(), |place| &place.table)
    }

    /// Where the store notes which records are written; none unless somebody copies them.
    #[must_use]
    pub fn marks(&self) -> Option<&str> {
        self.place.as_ref()?.marks.as_deref()
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.definition.name
    }

    /// What it is for.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.inner.definition.kind
    }

    /// The definition, with the fields that the kind adds.
    #[must_use]
    pub fn definition(&self) -> &Definition {
        &self.inner.definition
    }

    /// The declared fields in order; system fields are not among them.
    pub fn fields(&self) -> impl ExactSizeIterator<Item = &Field> {
        self.inner.fields.values().map(|checked| &checked.field)
    }

    /// A declared field by name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.inner.fields.get(name).map(|checked| &checked.field)
    }

    /// The type of a declared or system field.
    #[must_use]
    pub fn field_type(&self, name: &str) -> Option<FieldType> {
        match name {
            "id" => Some(FieldType::Text),
            "created" | "updated" => Some(FieldType::Datetime),
            _ => self.field(name).map(|field| field.kind),
        }
    }

    /// Every index that the database needs: declared ones and those of unique fields, without repetitions.
    #[must_use]
    pub fn indexes(&self) -> Vec<Index> {
        let unique = self.fields().filter(|field| field.unique);
        let mut indexes: Vec<Index> = unique.map(|field| Index { fields: vec![field.name.clone()], unique: true }).collect();
        for index in &self.inner.definition.indexes {
            if !indexes.contains(index) {
                indexes.push(index.clone());
            }
        }
        indexes
    }

    /// The fields whose words can be searched for.
    #[must_use]
    pub fn search(&self) -> &[String] {
        &self.inner.definition.search
    }

    /// The same with some of its declared fields only, to tell somebody about those. Nothing is ever stored by it.
    #[must_use]
    pub fn only(&self, keep: impl Fn(&Field) -> bool) -> Self {
        let kept = self.inner.fields.iter().filter(|(_, checked)| keep(&checked.field));
        let fields: IndexMap<String, Arc<CheckedField>> = kept.map(|(name, checked)| (name.clone(), Arc::clone(checked))).collect();
        let mut definition = self.inner.definition.clone();
        definition.fields.retain(|field| fields.contains_key(&field.name));
        definition
            .indexes
            .retain(|index| index.fields.iter().all(|name| fields.contains_key(name) || ["created", "updated"].contains(&name.as_str())));
        definition.search.retain(|name| fields.contains_key(name));
        Self { inner: Arc::new(Inner { definition, fields }), place: self.place.clone() }
    }

    pub(crate) fn checked_fields(&self) -> impl Iterator<Item = &CheckedField> {
        self.inner.fields.values().map(|checked| &**checked)
    }
}

/// The words for a name that breaks the rule.
const NAME_RULE: &str = "a name begins with a letter and has at most 63 lowercase letters, digits and underscores";

/// True for a name that collections and fields may have.
#[must_use]
pub fn is_name(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.as_bytes()[0].is_ascii_lowercase()
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

fn add_auth_fields(fields: &mut Vec<Field>) {
    let email = Field { required: true, unique: true, ..Field::new("email", FieldType::Email) };
    let password = Field { required: true, min: Some(8.into()), max: Some(256.into()), ..Field::new("password", FieldType::Password) };
    let verified = Field { default: Value::Bool(false), ..Field::new("verified", FieldType::Bool) };
    for (position, field) in [email, password, verified].into_iter().enumerate() {
        // A definition that was stored has them already; one that redefines them is not allowed to weaken them.
        fields.retain(|other| other.name != field.name);
        fields.insert(position.min(fields.len()), field);
    }
}

fn check_field(field: &Field, kind: Kind, pointer: &Pointer, violations: &mut Violations) -> CheckedField {
    if !is_name(&field.name) {
        violations.add(pointer.join("name"), "name.invalid", NAME_RULE);
    } else if RESERVED_FIELDS.contains(&field.name.as_str()) {
        violations.add(pointer.join("name"), "name.reserved", format!("`{}` is reserved", field.name));
    }
    if field.kind == FieldType::Password && kind != Kind::Auth {
        violations.add(pointer.join("type"), "field.type", "a `password` field belongs into an `auth` collection");
    }
    check_attributes(field, pointer, violations);
    let pattern = field.pattern.as_deref().and_then(|pattern| match regex::RegexBuilder::new(pattern).size_limit(1 << 20).build() {
        Ok(regex) => Some(regex),
        Err(error) => {
            violations.add(pointer.join("pattern"), "field.pattern", error.to_string());
            None
        }
    });
    let schema = match &field.schema {
        Value::Null => None,
        schema => JsonSchema::new(schema).map_err(|reason| violations.add(pointer.join("schema"), "field.schema", reason)).ok(),
    };
    let checked = CheckedField { field: field.clone(), pointer: Pointer::field(&field.name), pattern, schema };
    check_default(&checked, pointer, violations);
    checked
}

/// Refuses attributes that mean nothing for the type, so that nobody relies on a constraint that is not there.
fn check_attributes(field: &Field, pointer: &Pointer, violations: &mut Violations) {
    use FieldType as T;
    let mut only = |given: bool, name: &str, types: &[T]| {
        if given && !types.contains(&field.kind) {
            let message = format!("`{name}` means nothing for the type `{}`", field.kind.name());
            violations.add(pointer.join(name), "field.attribute", message);
        }
    };
    only(field.min.is_some(), "min", &[T::Text, T::Integer, T::Number, T::Decimal, T::Select, T::Relation, T::Password]);
    only(field.max.is_some(), "max", &[T::Text, T::Integer, T::Number, T::Decimal, T::Select, T::Relation, T::Password]);
    only(field.scale.is_some(), "scale", &[T::Decimal]);
    only(field.pattern.is_some(), "pattern", &[T::Text]);
    only(!field.values.is_empty(), "values", &[T::Select]);
    only(field.many, "many", &[T::Select, T::Relation]);
    only(field.collection.is_some(), "collection", &[T::Relation]);
    only(field.on_delete.is_some(), "on_delete", &[T::Relation]);
    only(!field.schema.is_null(), "schema", &[T::Json]);
    let scalar = [T::Text, T::Email, T::Url, T::Integer, T::Number, T::Decimal, T::Bool, T::Datetime, T::Date, T::Select, T::Relation];
    only(field.unique, "unique", &scalar);
    if field.scale.is_some_and(|scale| scale > SCALE_MAX) {
        violations.add(pointer.join("scale"), "field.attribute", format!("a decimal has at most {SCALE_MAX} digits after the point"));
    }
    if field.unique && field.many {
        violations.add(pointer.join("unique"), "field.attribute", "a field with many values cannot be unique");
    }
    if field.kind == T::Select && field.values.is_empty() {
        violations.add(pointer.join("values"), "field.attribute", "a `select` field needs `values`");
    }
    if field.values.iter().collect::<HashSet<_>>().len() < field.values.len() {
        violations.add(pointer.join("values"), "field.attribute", "a value stands twice");
    }
    if field.kind == T::Relation && !field.collection.as_deref().is_some_and(is_name) {
        violations.add(pointer.join("collection"), "field.attribute", "a `relation` field needs the `collection` it points into");
    }
    if field.on_delete == Some(OnDelete::Unset) && field.required && !field.many {
        violations.add(pointer.join("on_delete"), "field.attribute", "a required relation cannot be unset");
    }
    if matches!((field.min, field.max), (Some(min), Some(max)) if min > max) {
        violations.add(pointer.join("min"), "field.attribute", "`min` is greater than `max`");
    }
}

fn check_default(checked: &CheckedField, pointer: &Pointer, violations: &mut Violations) {
    let field = &checked.field;
    if field.default.is_null() || field.default_is_caller() {
        return;
    }
    let pointer = pointer.join("default");
    if field.kind == FieldType::Password {
        violations.add(pointer, "field.default", "a password cannot have a default");
    } else {
        let mut wrong = Violations::default();
        crate::validate::convert(checked, field.default.clone(), &pointer, &mut wrong);
        violations.0.extend(wrong.0);
    }
}

impl Field {
    /// True if a new record takes the calling user as the value.
    #[must_use]
    pub fn default_is_caller(&self) -> bool {
        self.kind == FieldType::Relation && !self.many && self.default.as_text() == Some("caller.id")
    }
}

fn check_indexes(indexes: &[Index], fields: &IndexMap<String, Arc<CheckedField>>, violations: &mut Violations) {
    for (position, index) in indexes.iter().enumerate() {
        let pointer = Pointer::field("indexes").join(position).join("fields");
        if index.fields.is_empty() || index.fields.len() > 4 {
            violations.add(pointer.clone(), "index.fields", "an index has one to four fields");
        }
        if index.fields.iter().collect::<HashSet<_>>().len() < index.fields.len() {
            violations.add(pointer.clone(), "index.fields", "a field stands twice");
        }
        for name in &index.fields {
            let usable = match fields.get(name) {
                Some(checked) => !checked.field.many && !matches!(checked.field.kind, FieldType::Json | FieldType::Password),
                None => name == "created" || name == "updated",
            };
            if !usable {
                violations.add(pointer.clone(), "index.fields", format!("`{name}` is not a field that can be indexed"));
            }
        }
    }
}

fn check_search(search: &[String], fields: &IndexMap<String, Arc<CheckedField>>, violations: &mut Violations) {
    let pointer = || Pointer::field("search");
    if search.len() > SEARCH_MAX {
        violations.add(pointer(), "search.fields", format!("at most {SEARCH_MAX} fields can be searched"));
    }
    for (position, name) in search.iter().enumerate() {
        let searchable = fields.get(name).is_some_and(|checked| {
            let text = matches!(checked.field.kind, FieldType::Text | FieldType::Email | FieldType::Url | FieldType::Select);
            text && !checked.field.many && !checked.field.is_secret()
        });
        if !searchable {
            violations.add(pointer().join(position), "search.fields", format!("`{name}` is not a field with a text that can be searched"));
        } else if search[..position].contains(name) {
            violations.add(pointer().join(position), "search.fields", format!("`{name}` stands twice"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(definition: &str, expected: &[&str]) {
        let definition: Definition = serde_json::from_str(definition).expect("a definition");
        let found = match Collection::new(definition) {
            Ok(_) => Vec::new(),
            Err(violations) => violations.0.iter().map(|one| format!("{} {}", one.pointer.as_str(), one.code)).collect(),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn definitions_are_checked() {
        check(r#"{"name":"posts","fields":[{"name":"title","type":"text","max":10}],"indexes":[{"fields":["title"]}]}"#, &[]);
        check(r#"{"name":"Posts"}"#, &["/name name.invalid"]);
        check(
            r#"{"name":"a","fields":[{"name":"id","type":"text"},{"name":"_x","type":"text"}]}"#,
            &["/fields/0/name name.reserved", "/fields/1/name name.invalid"],
        );
        check(r#"{"name":"a","fields":[{"name":"x","type":"text"},{"name":"x","type":"bool"}]}"#, &["/fields/1/name name.taken"]);
        check(r#"{"name":"a","fields":[{"name":"x","type":"bool","min":1}]}"#, &["/fields/0/min field.attribute"]);
        check(r#"{"name":"a","fields":[{"name":"x","type":"text","pattern":"("}]}"#, &["/fields/0/pattern field.pattern"]);
        check(r#"{"name":"a","fields":[{"name":"x","type":"integer","default":"one"}]}"#, &["/fields/0/default field.type"]);
        check(r#"{"name":"a","fields":[{"name":"x","type":"select"}]}"#, &["/fields/0/values field.attribute"]);
        check(r#"{"name":"a","fields":[{"name":"x","type":"relation"}]}"#, &["/fields/0/collection field.attribute"]);
        check(r#"{"name":"a","fields":[{"name":"x","type":"password"}]}"#, &["/fields/0/type field.type"]);
        check(r#"{"name":"a","indexes":[{"fields":["y"]}]}"#, &["/indexes/0/fields index.fields"]);
        check(r#"{"name":"a","fields":[{"name":"x","type":"text"}],"search":["x"]}"#, &[]);
        check(
            r#"{"name":"a","fields":[{"name":"x","type":"text"},{"name":"n","type":"integer"},{"name":"h","type":"text","hidden":true}],
                "search":["x","x","n","h","id","nope"]}"#,
            &["/search/1", "/search/2", "/search/3", "/search/4", "/search/5"]
                .map(|pointer| format!("{pointer} search.fields"))
                .each_ref()
                .map(String::as_str),
        );
        check(r#"{"name":"a","fields":[{"name":"x","type":"json","schema":{"type":7}}]}"#, &["/fields/0/schema field.schema"]);
    }

    #[test]
    fn auth_collections_can_log_in() {
        let definition = Definition {
            name: "users".into(),
            kind: Kind::Auth,
            description: String::new(),
            fields: vec![],
            indexes: vec![],
            search: Vec::new(),
        };
        let users = Collection::new(definition).expect("users");
        let names: Vec<_> = users.fields().map(|field| field.name.as_str()).collect();
        assert_eq!(names, ["email", "password", "verified"]);
        let again = Collection::new(users.definition().clone()).expect("users again");
        assert_eq!(again.definition(), users.definition());
    }
}

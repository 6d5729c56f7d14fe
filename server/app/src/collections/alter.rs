//! The story of a collection that changes while it has records. What is stored is held against the new definition first: a change that
//! would lose or break it needs `force`, and `dry_run` says what would happen.

use model::{
    Action, Collection, Draft, FieldType, Pointer, Violations,
    collection::{Definition, Index, Kind},
    field::Field,
    validate,
};
use serde::Deserialize;

use super::{
    OBJECT, check_policies, check_targets,
    fill::{self, Fill},
    rename::{self, Renames},
};
use crate::{Error, call::Call, world};

/// What may be changed; what is absent stays.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alteration {
    /// New names of fields, by the old ones. What is stored in them stays.
    #[serde(default)]
    pub rename: Renames,
    /// What stored records get in fields that are null.
    #[serde(default)]
    pub fill: Fill,
    /// All fields as they shall be, under their new names.
    pub fields: Option<Vec<Field>>,
    /// All declared indexes as they shall be.
    pub indexes: Option<Vec<Index>>,
    /// All fields whose words can be searched for.
    pub search: Option<Vec<String>>,
    /// The description.
    pub description: Option<String>,
}

/// Whether to do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Only when nothing is lost.
    Careful,
    /// Even if values are lost: those of dropped fields, and those that do not fit any more.
    Forced,
    /// Not at all: only say what would be lost.
    DryRun,
}

/// Changes a collection.
///
/// # Errors
/// The policies, no such collection, everything that is wrong with the new definition, or values that would be lost.
pub async fn alter(call: &Call, name: &str, alteration: Alteration, manner: Manner) -> Result<Collection, Error> {
    call.authorize(Action::Update, OBJECT)?;
    let (call, _alone) = &call.exclusive().await?;
    call.authorize(Action::Update, OBJECT)?;
    let before = call.collection(name)?;
    let renames = alteration.rename.clone();
    let renamed = rename::renamed(&before, &renames)?;
    let fill = alteration.fill.clone();
    let after = altered(&renamed, alteration)?;
    rename::check(&after, &renames)?;
    let fill = fill::checked(&after, fill)?;
    check_targets(&after, &call.world.catalog)?;
    check_policies(call, &after)?;

    let transaction = call.app.store.begin().await?;
    let change = Change { before: &before, renamed: &renamed, after: &after, renames: &renames, fill: &fill };
    match change.make(call, &transaction, manner).await {
        Ok(()) if manner == Manner::DryRun => {
            transaction.rollback().await;
            return Ok(after);
        }
        Ok(()) => transaction.commit().await?,
        Err(error) => {
            transaction.rollback().await;
            return Err(error);
        }
    }
    // Before anybody writes by the new definition: `refresh` lets them.
    store::schema::define_indexes(&call.app.store, &after).await?;
    call.app.refresh().await?;
    tracing::info!(request = %call.id, collection = name, forced = (manner == Manner::Forced), "altered a collection");
    Ok(after)
}

/// The ways of a collection from what it is to what it shall be.
struct Change<'a> {
    before: &'a Collection,
    /// With the new names, and otherwise as before.
    renamed: &'a Collection,
    after: &'a Collection,
    renames: &'a Renames,
    fill: &'a Fill,
}

impl Change<'_> {
    /// Changes what is stored, in a transaction that a dry run rolls back.
    async fn make(&self, call: &Call, transaction: &store::Transaction, manner: Manner) -> Result<(), Error> {
        for (old, new) in self.renames {
            store::records::rename(transaction, self.before, old, new).await?;
        }
        let losses = losses(call, transaction, self).await?;
        match manner {
            Manner::Careful | Manner::DryRun if !losses.0.is_empty() => return Err(Error::DataLoss(losses)),
            Manner::DryRun | Manner::Careful | Manner::Forced => {}
        }
        self.convert(transaction).await.map_err(|error| match error {
            Error::Store(store::Error::Unique { index }) => Error::DataLoss(not_unique(&store::schema::index_fields(self.after, &index))),
            error => error,
        })?;
        self.refuse_repeated(transaction).await?;
        store::schema::remove_leftovers(transaction, self.before, self.after).await?;
        store::catalog::put(transaction, self.after.definition()).await?;
        world::advance(transaction, call).await?;
        Ok(())
    }

    async fn convert(&self, transaction: &store::Transaction) -> Result<(), Error> {
        retype(transaction, self.renamed, self.after).await?;
        for (field, value) in self.fill {
            store::records::fill(transaction, self.after, field, value).await?;
        }
        Ok(())
    }

    /// Unique indexes are made after the commit, when it is too late to find out that they cannot be.
    async fn refuse_repeated(&self, transaction: &store::Transaction) -> Result<(), Error> {
        let known = self.before.indexes();
        for index in self.after.indexes().iter().filter(|index| index.unique && !known.contains(index)) {
            if store::schema::repeats(transaction, self.after, index).await? {
                let fields: Vec<&str> = index.fields.iter().map(String::as_str).collect();
                return Err(Error::DataLoss(not_unique(&fields)));
            }
        }
        Ok(())
    }
}

fn altered(before: &Collection, alteration: Alteration) -> Result<Collection, Error> {
    let old = before.definition().clone();
    let mut fields = alteration.fields.unwrap_or(old.fields);
    if before.kind() == Kind::Auth {
        // The fields of the kind stay, whether they are repeated or not.
        fields.retain(|field| !["email", "password", "verified"].contains(&field.name.as_str()));
    }
    let definition = Definition {
        fields,
        indexes: alteration.indexes.unwrap_or(old.indexes),
        search: alteration.search.unwrap_or(old.search),
        description: alteration.description.unwrap_or(old.description),
        ..old
    };
    Collection::new(definition).map_err(|violations| Error::Unacceptable { kind: "collection", violations })
}

/// How many records are looked at in one go.
const BATCH: usize = 500;

/// How many losses are named; there may be as many as there are records.
const NAMED_MAX: usize = 20;

/// What stored values the change would lose or leave invalid.
async fn losses(call: &Call, transaction: &store::Transaction, change: &Change<'_>) -> Result<Violations, Error> {
    let (before, after) = (change.renamed, change.after);
    let mut losses = Violations::default();
    for field in before.fields().filter(|field| after.field(&field.name).is_none()) {
        let filled = store::records::count_filled(transaction, before, &field.name).await?;
        if filled > 0 {
            let message = format!("{filled} records have a value in `{}`, which would be lost", field.name);
            losses.add(Pointer::field(&field.name), "field.dropped", message);
        }
    }
    for (old, new) in before.fields().filter_map(|old| Some((old, after.field(&old.name)?))) {
        let elsewhere = old.kind == FieldType::Relation && new.kind == FieldType::Relation && old.collection != new.collection;
        let opened = old.kind == FieldType::Password && new.kind != FieldType::Password;
        if (elsewhere || opened) && store::records::count_filled(transaction, before, &old.name).await? > 0 {
            losses.add(Pointer::field(&old.name), "field.retyped", format!("the values of `{}` would mean nothing any more", old.name));
        }
    }
    let changed: Vec<&Field> = after.fields().filter(|field| before.field(&field.name) != Some(*field)).collect();
    if changed.is_empty() {
        return Ok(losses);
    }
    let mut position = String::new();
    loop {
        let records = store::records::scan(transaction, before, &position, BATCH).await?;
        let Some(last) = records.last() else { return Ok(losses) };
        position.clone_from(&last.id);
        for record in &records {
            let record = &fill::filled(record, change.fill);
            let values = record.values.iter().filter(|(name, _)| after.field(name).is_some());
            let draft = Draft { values: values.map(|(name, value)| (name.clone(), value.clone())).collect() };
            let Err(violations) = validate::update(after, record, draft, &call.now) else { continue };
            for violation in violations
                .0
                .into_iter()
                .filter(|one| changed.iter().any(|field| one.pointer.as_str().starts_with(&format!("/{}", field.name))))
            {
                if losses.0.len() >= NAMED_MAX {
                    return Ok(losses);
                }
                losses.add(violation.pointer, &violation.code, format!("record `{}`: {}", record.id, violation.message));
            }
        }
    }
}

/// Brings the values of fields that have another type now into its form; those that do not fit are what `force` has given up.
async fn retype(transaction: &store::Transaction, before: &Collection, after: &Collection) -> Result<(), Error> {
    let shape = |field: &Field| (field.kind, field.many, field.collection.clone());
    let same = |field: &&Field| before.field(&field.name).is_none_or(|old| shape(old) == shape(field));
    let retyped: Vec<&Field> = after.fields().filter(|field| !same(field)).collect();
    let mut position = String::new();
    while !retyped.is_empty() {
        let records = store::records::scan(transaction, before, &position, BATCH).await?;
        let Some(last) = records.last() else { break };
        position.clone_from(&last.id);
        for record in &records {
            for field in &retyped {
                let value = record.values.get(&field.name).filter(|value| !value.is_null());
                let Some(value) = value else { continue };
                let old = before.field(&field.name);
                let void = old.is_some_and(|old| {
                    old.kind == FieldType::Password
                        || old.kind == FieldType::Relation && field.kind == FieldType::Relation && old.collection != field.collection
                });
                let converted = if void { None } else { validate::retyped(after, &field.name, value.clone()) }.unwrap_or_default();
                if converted != *value {
                    store::records::retype(transaction, after, &record.id, &field.name, &converted).await?;
                }
            }
        }
    }
    Ok(())
}

fn not_unique(fields: &[&str]) -> Violations {
    let mut violations = Violations::default();
    violations.add(Pointer::field("indexes"), "field.unique", format!("stored records have the same `{}`", fields.join(", ")));
    violations
}

//! What somebody may do, as a table over everything there is: for people who want to see the effect of policies rather than their text,
//! and for the difference that a change would make. Each cell is read from the plan that decides.

use std::{collections::HashMap, sync::Arc};

use model::{Action, Collection, Condition, Guard, Principal, condition::Expression};
use serde::Serialize;

use crate::{
    explain::{Place, listed},
    plan::{Access, Plan},
    policy::{PolicyId, SYSTEM_OBJECTS},
    snapshot::Snapshot,
    standing::Standing,
};

/// Whose rights are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom<'a> {
    /// A principal with the roles that it holds.
    Principal(&'a Principal),
    /// Everybody who is logged in and holds this role (`role:editor` or `editor`) and nothing else; with `anyone`: everybody.
    Role(&'a str),
}

/// Which records a cell lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CellAccess {
    /// None.
    Never,
    /// Every one.
    Always,
    /// Those for which the condition holds.
    When,
}

/// What somebody may do to one collection or system object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cell {
    /// The collection or the system object.
    pub object: String,
    /// `create`, `read`, `update` or `delete`.
    pub action: &'static str,
    /// Which records.
    pub access: CellAccess,
    /// The condition of [`CellAccess::When`], as one text of the condition language: a record passes exactly when it is true.
    pub condition: Option<String>,
    /// The fields that are open in every record that passes; empty for system objects, which have none.
    pub fields: Vec<String>,
    /// The fields that are open in some records that pass.
    pub conditional_fields: Vec<ConditionalFields>,
    /// The policies behind this, sorted.
    pub policies: Vec<PolicyId>,
}

/// Fields that are open in some of the records that pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConditionalFields {
    /// The fields.
    pub fields: Vec<String>,
    /// In which of the records that pass: those for which this is true.
    pub condition: String,
}

/// A cell that is not the same before and after a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Flip {
    /// The collection or the system object.
    pub object: String,
    /// The action.
    pub action: &'static str,
    /// None if the object was not there.
    pub before: Option<Cell>,
    /// None if the object is not there any more.
    pub after: Option<Cell>,
}

impl Snapshot {
    /// What somebody may do in a tenant: a cell for each of the collections and [`SYSTEM_OBJECTS`] and each action, in this order.
    #[must_use]
    pub fn matrix(&self, whom: Whom<'_>, tenant: &str, collections: &[Collection]) -> Vec<Cell> {
        let standing = match whom {
            Whom::Principal(principal) => self.standing(principal, tenant),
            Whom::Role(role) if role.starts_with("role:") => Arc::new(Standing::of_role(role, tenant, &self.layers())),
            Whom::Role(role) => Arc::new(Standing::of_role(&format!("role:{role}"), tenant, &self.layers())),
        };
        let row = Row { snapshot: self, standing: &standing, system: whom == Whom::Principal(&Principal::System) };
        let records = collections.iter().flat_map(|collection| Action::ALL.map(|action| row.records(collection, action)));
        let objects = SYSTEM_OBJECTS.into_iter().flat_map(|object| Action::ALL.map(|action| row.object(object, action)));
        records.chain(objects).collect()
    }
}

/// The cells that differ, in the order of `after`, then those that are gone. The policies behind a cell do not count: another policy that
/// has the same effect is no difference.
#[must_use]
pub fn compare(before: &[Cell], after: &[Cell]) -> Vec<Flip> {
    let mut old: HashMap<_, _> = before.iter().map(|cell| (cell.place(), cell)).collect();
    let mut flips = Vec::new();
    for cell in after {
        let before = old.remove(&cell.place());
        if before.is_none_or(|before| !before.has_the_effect_of(cell)) {
            flips.push(Flip::of(before, Some(cell), cell.place()));
        }
    }
    let gone = before.iter().filter(|cell| old.contains_key(&cell.place()));
    flips.extend(gone.map(|cell| Flip::of(Some(cell), None, cell.place())));
    flips
}

impl Cell {
    fn place(&self) -> (&str, &'static str) {
        (&self.object, self.action)
    }

    fn has_the_effect_of(&self, other: &Cell) -> bool {
        let Self { object, action, access, condition, fields, conditional_fields, policies: _ } = self;
        let same = (object, action, access) == (&other.object, &other.action, &other.access);
        same && (condition, fields, conditional_fields) == (&other.condition, &other.fields, &other.conditional_fields)
    }
}

impl Flip {
    fn of(before: Option<&Cell>, after: Option<&Cell>, (object, action): (&str, &'static str)) -> Self {
        Self { object: object.to_owned(), action, before: before.cloned(), after: after.cloned() }
    }
}

/// Somebody, in one tenant.
struct Row<'a> {
    snapshot: &'a Snapshot,
    standing: &'a Standing,
    /// The server itself, which may do everything.
    system: bool,
}

impl Row<'_> {
    fn records(&self, collection: &Collection, action: Action) -> Cell {
        let everything;
        let plan = match self.system {
            true => {
                everything = Plan::always();
                &everything
            }
            false => &*self.snapshot.plan_of(self.standing, action, collection),
        };
        let (access, condition) = match plan.access() {
            Access::Never => (CellAccess::Never, None),
            Access::Always => (CellAccess::Always, None),
            Access::When(guard) => (CellAccess::When, Some(text(guard))),
        };
        let open = (access != CellAccess::Never).then(|| plan.unconditional_fields());
        let lists = listed(collection, action, open);
        Cell {
            object: collection.name().to_owned(),
            action: action.name(),
            access,
            condition,
            conditional_fields: conditional(plan, lists.denied, collection, action),
            fields: lists.allowed,
            policies: sorted(plan.rules().iter().map(|policy| policy.id())),
        }
    }

    fn object(&self, object: &str, action: Action) -> Cell {
        let allowed = self.system || self.snapshot.allows_object_of(self.standing, action, object);
        let considered = match self.system {
            true => Vec::new(),
            false => self.snapshot.considered(self.standing, action, object, &Place::System),
        };
        let in_force = considered.iter().filter(|considered| considered.ignored.is_none() && considered.counts(&Place::System));
        Cell {
            object: object.to_owned(),
            action: action.name(),
            access: if allowed { CellAccess::Always } else { CellAccess::Never },
            condition: None,
            fields: Vec::new(),
            conditional_fields: Vec::new(),
            policies: sorted(in_force.map(|considered| considered.policy.id())),
        }
    }
}

fn sorted(ids: impl Iterator<Item = PolicyId>) -> Vec<PolicyId> {
    let mut ids: Vec<_> = ids.collect();
    ids.sort_unstable();
    ids
}

/// Those of the fields that are open in some of the records that pass, fields with the same condition together.
fn conditional(plan: &Plan, fields: Vec<String>, collection: &Collection, action: Action) -> Vec<ConditionalFields> {
    let mut found: Vec<ConditionalFields> = Vec::new();
    let could_be = listed(collection, action, Some(Plan::always().unconditional_fields())).allowed;
    for field in fields.into_iter().filter(|field| could_be.contains(field)) {
        let condition = match plan.access_to(&field) {
            Access::When(guard) => text(&guard),
            // What is open in every record that passes is not asked for here.
            Access::Never | Access::Always => continue,
        };
        match found.iter_mut().find(|known| known.condition == condition) {
            Some(known) => known.fields.push(field),
            None => found.push(ConditionalFields { fields: vec![field], condition }),
        }
    }
    found
}

/// The guard as one condition, which is true exactly when the guard holds.
fn text(guard: &Guard) -> String {
    let is_open = |condition: &Arc<Condition>| matches!(condition.expression(), Expression::Constant(true));
    let all_records = guard.any_of.iter().any(is_open);
    let any_of = guard.any_of.iter().map(|condition| condition.source()).collect::<Vec<_>>().join(" || ");
    let is_any = guard.any_of.len() > 1 || guard.any_of.iter().any(|one| matches!(one.expression(), Expression::Or(_)));
    let allowing = match (all_records && !guard.none_of.is_empty(), is_any && !guard.none_of.is_empty()) {
        (true, _) => None,
        (false, true) => Some(format!("({any_of})")),
        (false, false) => Some(any_of),
    };
    let denying = guard.none_of.iter().map(|condition| format!("!({})", condition.source()));
    allowing.into_iter().chain(denying).collect::<Vec<_>>().join(" && ")
}

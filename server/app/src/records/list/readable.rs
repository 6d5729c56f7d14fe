//! Looking at a field is reading it: filters, parameters of fields and orders may name only what the caller may read in every record that
//! the list could show.

use model::{Collection, Pointer, Violations, collection::USERS, condition::Root, query::List};
use policies::Plan;

use super::question::Parsed;
use crate::{
    Error,
    call::Call,
    records::expand::{self, Branch},
};

/// Refuses a question that looks at what the caller may not read.
///
/// # Errors
/// Every such field, at the parameter that looks at it.
pub(super) fn check(call: &Call, plan: &Plan, collection: &Collection, parsed: &Parsed, branches: &[Branch]) -> Result<(), Error> {
    let readable = plan.unconditional_fields();
    let mut violations = Violations::default();
    for field in hidden_from_owner(call, &parsed.list) {
        violations.add(
            Pointer::field("filter"),
            "field.unreadable",
            format!("`caller.{field}` cannot be read, so it cannot be used in `filter`"),
        );
    }
    for (field, parameter) in &parsed.looks {
        let secret = collection.field(field).is_some_and(|field| field.is_secret());
        if field != "id" && (secret || !readable.contains(field)) {
            let message = format!("`{field}` cannot be read, so it cannot be used in `{parameter}`");
            violations.add(Pointer::field(parameter), "field.unreadable", message);
        }
    }
    expand::check_readable(call, plan, collection, branches, &mut violations);
    violations.or(()).map_err(Error::FieldsDenied)
}

/// The fields of the caller's own account that its filter looks at and that policies deny it.
pub(in crate::records) fn hidden_from_owner(call: &Call, list: &List) -> Vec<String> {
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

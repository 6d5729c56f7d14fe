//! The stories of the order in which the rules of a collection run.

use model::{Action, Pointer, Violations};
use plugins::{Hook, Operation};
use serde::{Deserialize, Serialize};

use super::{OBJECT, rulebook::Bound};
use crate::{Error, call::Call, world};

/// How many rules may be listed.
const LISTED_MAX: usize = 1_000;

/// An order as somebody asks for it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderDraft {
    /// Rules as `plugin/rule`. Those that are not listed run after them, by the order of their own.
    order: Vec<String>,
}

/// The order in force.
#[derive(Debug, Serialize)]
pub struct RuleOrder {
    collection: String,
    /// What somebody has listed, of what is there.
    order: Vec<String>,
    /// All rules, as they run.
    rules: Vec<OrderedRule>,
}

/// One rule in its place.
#[derive(Debug, Serialize)]
struct OrderedRule {
    rule: String,
    hook: Hook,
    operations: Vec<Operation>,
    /// The order that the rule gives itself.
    order: i32,
    /// Whether somebody has listed it.
    listed: bool,
    enabled: bool,
}

/// The order in which the rules of a collection run.
///
/// # Errors
/// The policies, or no such collection.
pub fn get(call: &Call, collection: &str) -> Result<RuleOrder, Error> {
    call.authorize(Action::Read, OBJECT)?;
    call.collection(collection)?;
    Ok(shown(call, collection))
}

/// Orders the rules of a collection anew.
///
/// # Errors
/// The policies, no such collection, or rules that are not about it.
pub async fn put(call: &Call, collection: &str, draft: OrderDraft) -> Result<RuleOrder, Error> {
    call.authorize(Action::Update, OBJECT)?;
    let (call, _alone) = &call.exclusive().await?;
    call.authorize(Action::Update, OBJECT)?;
    call.collection(collection)?;
    check(call, collection, &draft.order)?;
    let transaction = call.app.store.begin().await?;
    store::plugins::order::put(&transaction, collection, &draft.order).await?;
    world::advance(&transaction, call).await?;
    transaction.commit().await?;
    call.app.refresh().await?;
    tracing::info!(request = %call.id, collection, by = %call.caller.principal, "ordered the rules of a collection");
    Ok(shown(&call.current(), collection))
}

fn check(call: &Call, collection: &str, order: &[String]) -> Result<(), Error> {
    let known: Vec<String> = call.world.plugins.in_order(collection).iter().map(Bound::name).collect();
    let mut violations = Violations::default();
    if order.len() > LISTED_MAX {
        violations.add(Pointer::field("order"), "rule.too_many", format!("at most {LISTED_MAX} rules can be listed"));
    }
    for (index, name) in order.iter().take(LISTED_MAX).enumerate() {
        let pointer = || Pointer::field("order").join(index);
        if !known.contains(name) {
            violations.add(pointer(), "rule.unknown", format!("there is no rule `{name}` about `{collection}`"));
        } else if order[..index].contains(name) {
            violations.add(pointer(), "rule.twice", format!("the rule `{name}` stands here twice"));
        }
    }
    violations.or(()).map_err(|violations| Error::Unacceptable { kind: "plugin", violations })
}

fn shown(call: &Call, collection: &str) -> RuleOrder {
    let listed = call.world.plugins.order(collection);
    let rule = |bound: Bound| {
        let (name, declaration) = (bound.name(), bound.declaration()?);
        Some(OrderedRule {
            hook: declaration.hook,
            operations: declaration.operations.iter().copied().collect(),
            order: declaration.order,
            listed: listed.contains(&name),
            enabled: bound.installed.enabled,
            rule: name,
        })
    };
    let rules: Vec<OrderedRule> = call.world.plugins.in_order(collection).into_iter().filter_map(rule).collect();
    // A rule that is gone keeps its place in case it comes back. Shown here, the answer could not be sent back.
    let order = listed.iter().filter(|name| rules.iter().any(|rule| rule.rule == **name)).cloned().collect();
    RuleOrder { collection: collection.to_owned(), rules, order }
}

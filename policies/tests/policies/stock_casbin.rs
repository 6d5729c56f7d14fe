//! The oracle: stock Casbin, with its own role manager and effector, over the whole policy and the concrete record, decides as our
//! plans do - row by row, field by field, and for system objects. Only the model file is shared.
//!
//! `POLICIES_DECISIONS` sets how many decisions are compared (60 000 by default), `POLICIES_SEED` where it starts.

use std::{
    collections::HashMap,
    pin::pin,
    sync::Arc,
    task::{self, Poll, Waker},
    time::Instant,
};

use casbin::{CoreApi, DefaultModel, Enforcer, RoleManager, function_map::OperatorFunction, rhai::Dynamic};
use model::{
    Action, Caller, Collection, Condition, Principal, Record, Truth,
    condition::{Context, Scope},
};
use policies::{Access, Mode, Policy, PolicySet, RoleLink, SYSTEM_OBJECTS, Snapshot, differences};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::{
    random::{CONDITIONS, FIELDS, TENANTS, callers, random_record, random_set},
    world::{NOW, known, notes, posts},
};

#[test]
fn stock_casbin_decides_alike() {
    let wanted = setting("POLICIES_DECISIONS", 60_000);
    let first = setting("POLICIES_SEED", 1);
    let (mut count, start) = (Count::default(), Instant::now());
    let mut seed = first;
    while count.decisions < wanted {
        compare(seed, &mut count);
        seed += 1;
    }
    assert_eq!(differences(), 0);
    println!("seeds {first}..{seed}: {count:?}, no difference, in {:.1?}", start.elapsed());
    // A test in which nearly everything is denied, or allowed, would show little.
    assert!(count.allowed * 10 > count.decisions && count.allowed * 10 < count.decisions * 9, "{count:?}");
    assert!(count.guarded * 5 > count.plans, "{count:?}");
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().expect("a number"))
}

#[derive(Debug, Default)]
struct Count {
    decisions: u64,
    allowed: u64,
    plans: u64,
    guarded: u64,
    closed: u64,
}

impl Count {
    fn add(&mut self, ours: bool, theirs: bool, about: impl FnOnce() -> String) {
        assert_eq!(ours, theirs, "plan {ours}, stock Casbin {theirs}: {}", about());
        self.decisions += 1;
        self.allowed += u64::from(ours);
    }
}

/// Makes one random set of policies and compares every decision about it.
fn compare(seed: u64, count: &mut Count) {
    let mut random = StdRng::seed_from_u64(seed);
    let set = random_set(&mut random);
    // Every other set is decided by Casbin too, in the way in which a server can be told to.
    let mode = if seed % 2 == 1 { Mode::Verify } else { Mode::Plan };
    let snapshot = Snapshot::build(set.clone(), 1, mode, &known).expect("a snapshot");
    let PolicySet { policies, links, .. } = set;
    let stock = Stock::new(&policies, &links);
    let whole: Vec<_> = policies.into_iter().filter(|policy| policy.fields() == "*" || policy.effect().name() == "deny").collect();
    let stock_whole = Stock::new(&whole, &links);
    for caller in callers() {
        let caller = Arc::new(snapshot.with_roles(caller));
        for (collection, action) in [posts(), notes()].iter().flat_map(|collection| Action::ALL.map(|action| (collection, action))) {
            count.plans += 1;
            count.guarded += u64::from(matches!(snapshot.plan(&caller, action, collection).access(), Access::When(_)));
            for _ in 0..2 {
                let question = Question {
                    caller: caller.clone(),
                    action,
                    collection,
                    record: random_record(&mut random),
                    before: random_record(&mut random),
                };
                compare_record(seed, &snapshot, &stock, &question, count);
            }
        }
        for action in Action::ALL {
            let name = SYSTEM_OBJECTS[random.random_range(0..2)];
            let theirs = stock_whole.decides(&caller, name, action, "*", None);
            count.add(snapshot.allows_object(&caller, action, name), theirs, || {
                format!("seed {seed}: {} {action:?} {name}", caller.principal)
            });
        }
    }
}

struct Question<'a> {
    caller: Arc<Caller>,
    action: Action,
    collection: &'a Collection,
    record: Record,
    before: Record,
}

fn compare_record(seed: u64, snapshot: &Snapshot, stock: &Stock, question: &Question<'_>, count: &mut Count) {
    let Question { caller, action, collection, record, before } = question;
    let before = (*action == Action::Update).then_some(before);
    let context = Context { record, before, caller, now: NOW };
    let plan = snapshot.plan(caller, *action, collection);
    let about = |field: &str| {
        let (principal, tenant, name) = (&caller.principal, &caller.tenant, collection.name());
        format!("seed {seed}: {principal} in {tenant}: {action:?} {name} field {field}: {record:?} before {before:?}")
    };
    let seen =
        Seen { record: record.clone(), before: before.cloned(), caller: caller.clone(), conditions: stock.conditions_of(collection) };
    let seen = Some(Arc::new(seen));
    let ask = |field: &str| stock.decides(caller, collection.name(), *action, field, seen.clone());

    let allowed = plan.allows(&context);
    count.add(allowed, ask("*"), || about("*"));
    let by_access = match plan.access() {
        Access::Never => false,
        Access::Always => true,
        Access::When(guard) => guard.holds(&context),
    };
    assert_eq!(allowed, by_access, "{}", about("access"));
    let mask = plan.fields(&context);
    // Casbin, asked for every field, is asked for those of the collection.
    let every = snapshot.mode() == Mode::Plan;
    for field in FIELDS.into_iter().filter(|field| every || collection.field_type(field).is_some()) {
        let open = mask.contains(field);
        count.add(open, ask(field), || about(field));
        count.closed += u64::from(allowed && !open);
        let surely = plan.unconditional_fields().contains(field);
        assert!(open || !allowed || !surely, "always shown, yet hidden here: {}", about(field));
    }
}

/// Stock Casbin with every rule in it.
struct Stock {
    enforcer: Enforcer,
    empty: bool,
    conditions: HashMap<String, Arc<Conditions>>,
}

/// The conditions by text; none for one that does not fit the collection.
type Conditions = HashMap<String, Option<Condition>>;

/// What the conditions of one question look at.
struct Seen {
    record: Record,
    before: Option<Record>,
    caller: Arc<Caller>,
    conditions: Arc<Conditions>,
}

#[derive(Clone)]
struct Ctx(Option<Arc<Seen>>);

impl Stock {
    fn new(policies: &[Policy], links: &[RoleLink]) -> Self {
        let made = async { Enforcer::new(DefaultModel::from_str(include_str!("../../model.conf")).await?, ()).await };
        let Poll::Ready(Ok(mut enforcer)) = pin!(made).poll(&mut task::Context::from_waker(Waker::noop())) else { panic!("no enforcer") };
        enforcer.enable_auto_build_role_links(false);
        enforcer.add_function("cond", OperatorFunction::Arg3(cond));
        enforcer.add_function("field_ok", OperatorFunction::Arg3(field_ok));
        let roles = enforcer.get_role_manager();
        add_links(&mut *roles.write(), links);
        let rules = enforcer.get_mut_model().get_mut_model().get_mut("p").expect("policies").get_mut("p").expect("policies");
        for policy in policies {
            rules.policy.insert(policy.columns().map(str::to_owned).to_vec());
        }
        let parse =
            |text: &str, collection: &Collection| Condition::parse(text, Scope::Policy).expect("a condition").check(collection).ok();
        let table = |collection: Collection| {
            let table = CONDITIONS.iter().filter(|text| !text.is_empty()).map(|text| ((*text).to_owned(), parse(text, &collection)));
            (collection.name().to_owned(), Arc::new(table.collect::<Conditions>()))
        };
        Self { enforcer, empty: policies.is_empty(), conditions: [posts(), notes()].map(table).into() }
    }

    fn conditions_of(&self, collection: &Collection) -> Arc<Conditions> {
        self.conditions[collection.name()].clone()
    }

    fn decides(&self, caller: &Caller, object: &str, action: Action, field: &str, seen: Option<Arc<Seen>>) -> bool {
        let texts = [&caller.principal.to_string(), &caller.tenant, object, action.name(), field];
        let mut columns: Vec<Dynamic> = texts.iter().map(|text| Dynamic::from((*text).to_owned())).collect();
        columns.push(Dynamic::from(Ctx(seen)));
        !self.empty && self.enforcer.enforce(columns).expect("a decision")
    }
}

/// Casbin knows neither links for all tenants nor roles that everybody has: they are written out.
fn add_links(roles: &mut dyn RoleManager, links: &[RoleLink]) {
    for tenant in TENANTS {
        for link in links.iter().filter(|link| link.holds_in(tenant)) {
            roles.add_link(link.member(), link.role(), Some(tenant));
        }
        for caller in callers() {
            let principal = caller.principal.to_string();
            roles.add_link(&principal, "role:anyone", Some(tenant));
            if caller.principal != Principal::Anonymous {
                roles.add_link(&principal, "role:authenticated", Some(tenant));
            }
        }
    }
}

fn cond(ctx: Dynamic, condition: Dynamic, effect: Dynamic) -> Dynamic {
    let (condition, effect) = (condition.into_string().expect("text"), effect.into_string().expect("text"));
    let Ctx(seen) = ctx.cast::<Ctx>();
    let truth = match seen {
        _ if condition.is_empty() => Truth::True,
        None => Truth::Unknown,
        Some(seen) => match &seen.conditions[&condition] {
            None => Truth::Unknown,
            Some(parsed) => {
                let context = Context { record: &seen.record, before: seen.before.as_ref(), caller: &seen.caller, now: NOW };
                parsed.evaluate(&context)
            }
        },
    };
    (if effect == "deny" { truth != Truth::False } else { truth == Truth::True }).into()
}

fn field_ok(field: Dynamic, fields: Dynamic, effect: Dynamic) -> Dynamic {
    let [field, fields, effect] = [field, fields, effect].map(|value| value.into_string().expect("text"));
    let row = field == "*";
    (fields == "*" || (row && effect == "allow") || (!row && fields.split(' ').any(|name| name == field))).into()
}

//! Casbin, in the only way in which it is both fast and safe here: one small enforcer per thread sees the few rules that can match,
//! decides with the real model, and tells which of them matched. Its traps are kept out: it is never asked without rules, no text of
//! a policy reaches it as code, and an error or a panic inside it is no answer, which those who ask take as a denial.

use std::{
    cell::Cell,
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Waker},
};

use casbin::{
    CoreApi, DefaultModel, EffectKind, Effector, EffectorStream, Enforcer, MatchingFn, RoleManager, function_map::OperatorFunction,
    rhai::Dynamic,
};
use model::Truth;
use parking_lot::RwLock;

use crate::{error::Error, policy::Policy};

const MODEL: &str = include_str!("../model.conf");

/// The field of a question about the record as a whole: a rule that denies some fields only does not deny it.
const WHOLE_RECORD: &str = "*";

/// The field of a question that is put for all fields at once: every rule matches, and the plan sorts out which field it means.
const EACH_FIELD: &str = "?";

/// What the function `cond` of the model answers for a rule that has a condition.
#[derive(Clone)]
enum Doubt {
    /// It may hold: the rule matches, and the plan decides its condition for each record. This is what makes a plan.
    Later,
    /// There is no record that it could hold for: an allowing rule does not match, a denying one does.
    Denies,
    /// There is a record, and this is what its conditions come out as, by their text.
    Decided(Arc<HashMap<String, Truth>>),
}

/// Who wants to do what.
#[derive(Clone, Copy)]
pub(crate) struct Question<'a> {
    /// The text of the principal.
    pub(crate) principal: &'a str,
    /// What the principal acts as, itself included.
    pub(crate) subjects: &'a [Arc<str>],
    pub(crate) tenant: &'a str,
    pub(crate) object: &'a str,
    pub(crate) action: &'a str,
}

/// Makes sure that Casbin accepts the model.
pub(crate) fn check() -> Result<(), Error> {
    Scratch::new().map(drop).map_err(|error| Error::Engine(error.to_string()))
}

/// Which of the candidates match for some record and some field, by position. None if the engine failed.
pub(crate) fn matching(question: Question<'_>, candidates: &[Arc<Policy>]) -> Option<Vec<usize>> {
    ask(question, EACH_FIELD, Doubt::Later, candidates).map(|answer| answer.matched)
}

/// Whether the candidates allow something that has neither fields nor a record.
pub(crate) fn allows(question: Question<'_>, candidates: &[Arc<Policy>]) -> bool {
    ask(question, WHOLE_RECORD, Doubt::Denies, candidates).is_some_and(|answer| answer.allowed)
}

/// Whether the candidates, whose conditions come out as `truths` says, allow a field of a record (`*`: the record).
pub(crate) fn decides(question: Question<'_>, field: &str, candidates: &[Arc<Policy>], truths: Vec<Truth>) -> bool {
    let conditions = candidates.iter().map(|policy| policy.condition.as_ref().map_or("", |condition| condition.source()).to_owned());
    let doubt = Doubt::Decided(Arc::new(conditions.zip(truths).collect()));
    ask(question, field, doubt, candidates).is_some_and(|answer| answer.allowed)
}

struct Answer {
    allowed: bool,
    matched: Vec<usize>,
}

thread_local! {
    static SCRATCH: Cell<Option<Scratch>> = const { Cell::new(None) };
}

fn ask(question: Question<'_>, field: &str, doubt: Doubt, candidates: &[Arc<Policy>]) -> Option<Answer> {
    // Without rules Casbin would run its matcher once with empty columns, and it might match.
    let complete = [question.principal, question.tenant, question.object, question.action].iter().all(|text| !text.is_empty());
    if candidates.is_empty() || !complete {
        return Some(Answer { allowed: false, matched: Vec::new() });
    }
    // Taken out, and put back only after a good answer: what failed once is not used again.
    let attempt = catch_unwind(AssertUnwindSafe(|| {
        let mut scratch = SCRATCH.take().map_or_else(Scratch::new, Ok)?;
        let answer = scratch.enforce(question, field, doubt, candidates)?;
        SCRATCH.set(Some(scratch));
        Ok::<_, casbin::Error>(answer)
    }));
    let reason = match attempt {
        Ok(Ok(answer)) => return Some(answer),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "it panicked".to_owned(),
    };
    tracing::error!(object = question.object, action = question.action, reason, "the policy engine failed, access denied");
    None
}

/// An enforcer that is filled anew for every question.
struct Scratch {
    enforcer: Enforcer,
    asking: Arc<RwLock<Asking>>,
    matched: Arc<Mutex<Vec<usize>>>,
}

impl Scratch {
    fn new() -> casbin::Result<Self> {
        let mut enforcer = ready(async { Enforcer::new(DefaultModel::from_str(MODEL).await?, ()).await })?;
        enforcer.enable_auto_save(false);
        enforcer.enable_auto_build_role_links(false);
        enforcer.add_function("field_ok", OperatorFunction::Arg3(field_ok));
        enforcer.add_function("cond", OperatorFunction::Arg3(cond));
        let asking = Arc::new(RwLock::new(Asking::default()));
        enforcer.set_role_manager(asking.clone())?;
        let matched = Arc::new(Mutex::new(Vec::new()));
        enforcer.set_effector(Box::new(Collect { matched: matched.clone() }));
        Ok(Self { enforcer, asking, matched })
    }

    fn enforce(&mut self, question: Question<'_>, field: &str, doubt: Doubt, candidates: &[Arc<Policy>]) -> casbin::Result<Answer> {
        self.fill(candidates)?;
        self.asking.write().set(question);
        let texts = [question.principal, question.tenant, question.object, question.action, field];
        let mut columns: Vec<Dynamic> = texts.iter().map(|&text| Dynamic::from(text.to_owned())).collect();
        columns.push(Dynamic::from(doubt));
        let allowed = self.enforcer.enforce(columns)?;
        let matched = std::mem::take(&mut *self.matched.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(Answer { allowed, matched })
    }

    fn fill(&mut self, candidates: &[Arc<Policy>]) -> casbin::Result<()> {
        let model = self.enforcer.get_mut_model().get_mut_model();
        let rules = model.get_mut("p").and_then(|section| section.get_mut("p"));
        let missing = || casbin::error::ModelError::P("the model has no policies".to_owned());
        let rules = &mut rules.ok_or_else(missing)?.policy;
        rules.clear();
        rules.extend(candidates.iter().map(|policy| policy.columns().map(str::to_owned).to_vec()));
        if rules.len() == candidates.len() {
            return Ok(());
        }
        // INVARIANT: the positions that the effector reports are positions in `candidates`; Casbin keeps a set of rules.
        Err(casbin::error::ModelError::P("a policy stands twice".to_owned()).into())
    }
}

/// Runs a future that never waits: Casbin's constructors are async for the sake of adapters, and there is none here.
fn ready<T>(future: impl Future<Output = casbin::Result<T>>) -> casbin::Result<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => Err(casbin::error::ModelError::Other("casbin waits for something".to_owned()).into()),
    }
}

/// `cond(r.ctx, p.cond, p.eft)`: no condition holds always; any other as the question says, and in doubt against the caller.
fn cond(doubt: Dynamic, condition: Dynamic, effect: Dynamic) -> Dynamic {
    let Some(doubt) = doubt.try_cast::<Doubt>() else { return Dynamic::UNIT };
    with_texts([condition, effect], |[condition, effect]| match (&doubt, effect) {
        _ if condition.is_empty() => true,
        (Doubt::Later, _) => true,
        (Doubt::Denies, effect) => effect != "allow",
        (Doubt::Decided(truths), "allow") => truths.get(condition) == Some(&Truth::True),
        (Doubt::Decided(truths), _) => truths.get(condition) != Some(&Truth::False),
    })
}

/// `field_ok(r.field, p.fields, p.eft)`: whether the rule speaks about the field.
fn field_ok(field: Dynamic, fields: Dynamic, effect: Dynamic) -> Dynamic {
    with_texts([field, fields, effect], |[field, fields, effect]| match (field, fields) {
        (EACH_FIELD, _) | (_, "*") => true,
        (WHOLE_RECORD, _) => effect == "allow",
        _ => fields.split(' ').any(|name| name == field),
    })
}

/// Anything but text makes the matcher fail, and with it the question.
fn with_texts<const N: usize>(values: [Dynamic; N], decide: impl FnOnce([&str; N]) -> bool) -> Dynamic {
    let values = values.map(Dynamic::into_immutable_string);
    if values.iter().any(Result::is_err) {
        return Dynamic::UNIT;
    }
    decide(std::array::from_fn(|at| values[at].as_deref().unwrap_or_default())).into()
}

/// The role manager: it knows the one caller that is asking, whose roles are already worked out.
#[derive(Default)]
struct Asking {
    principal: String,
    tenant: String,
    subjects: Vec<Arc<str>>,
}

impl Asking {
    fn set(&mut self, question: Question<'_>) {
        question.principal.clone_into(&mut self.principal);
        question.tenant.clone_into(&mut self.tenant);
        question.subjects.clone_into(&mut self.subjects);
    }
}

impl RoleManager for Asking {
    fn has_link(&self, member: &str, role: &str, tenant: Option<&str>) -> bool {
        member == self.principal && tenant == Some(self.tenant.as_str()) && self.subjects.iter().any(|subject| &**subject == role)
    }

    // The rest serves Casbin's management functions, which nobody calls here.
    fn clear(&mut self) {}
    fn add_link(&mut self, _: &str, _: &str, _: Option<&str>) {}
    fn matching_fn(&mut self, _: Option<MatchingFn>, _: Option<MatchingFn>) {}
    fn delete_link(&mut self, _: &str, _: &str, _: Option<&str>) -> casbin::Result<()> {
        Ok(())
    }
    fn get_roles(&self, _: &str, _: Option<&str>) -> Vec<String> {
        Vec::new()
    }
    fn get_users(&self, _: &str, _: Option<&str>) -> Vec<String> {
        Vec::new()
    }
}

/// The effector: deny overrides, and every rule that matched is remembered.
struct Collect {
    matched: Arc<Mutex<Vec<usize>>>,
}

impl Effector for Collect {
    fn new_stream(&self, _: &str, _: usize) -> Box<dyn EffectorStream> {
        self.matched.lock().unwrap_or_else(PoisonError::into_inner).clear();
        Box::new(Collecting { matched: self.matched.clone(), position: 0, allowed: false, denied: false })
    }
}

struct Collecting {
    matched: Arc<Mutex<Vec<usize>>>,
    position: usize,
    allowed: bool,
    denied: bool,
}

impl EffectorStream for Collecting {
    fn next(&self) -> bool {
        self.allowed && !self.denied
    }

    /// Takes the effect of the next rule; never asks to stop before the last.
    fn push_effect(&mut self, effect: EffectKind) -> bool {
        self.allowed |= effect == EffectKind::Allow;
        self.denied |= effect == EffectKind::Deny;
        if effect != EffectKind::Indeterminate {
            self.matched.lock().unwrap_or_else(PoisonError::into_inner).push(self.position);
        }
        self.position += 1;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::parse_csv;

    fn ask_twice(csv: &str, repeat: usize) -> (Option<Vec<usize>>, bool) {
        let policies: Vec<_> = parse_csv("test.csv", csv).expect("sound policies").policies.into_iter().map(Arc::new).collect();
        let candidates: Vec<_> = policies.iter().cycle().take(policies.len() * repeat).cloned().collect();
        let subjects = [Arc::from("role:anyone")];
        let question = Question { principal: "anonymous", subjects: &subjects, tenant: "main", object: "posts", action: "read" };
        (matching(question, &candidates), allows(question, &candidates))
    }

    /// A plan is exact only while the model asks for conditions last, once, and unnegated.
    #[test]
    fn the_model_asks_for_conditions_last() {
        let matcher = MODEL.lines().find(|line| line.starts_with("m = ")).expect("a matcher");
        assert!(matcher.ends_with("&& cond(r.ctx, p.cond, p.eft)"));
        assert_eq!((matcher.matches("cond(").count(), matcher.matches('!').count(), matcher.matches("eval").count()), (1, 0, 0));
        assert!(check().is_ok());
    }

    #[test]
    fn every_matching_rule_is_told() {
        let csv = "p, role:anyone, *, posts, read, title, true, deny\np, role:other, *, posts, read\np, role:anyone, *, *, *\n\
                   p, role:anyone, *, notes, read\np, role:anyone, acme, posts, read\np, role:anyone, *, posts, update";
        assert_eq!(ask_twice(csv, 1), (Some(vec![0, 2]), true));
        assert_eq!(ask_twice("", 1), (Some(vec![]), false));
    }

    #[test]
    fn a_failure_denies_once() {
        assert_eq!(ask_twice("p, role:anyone, *, posts, read", 2), (None, false));
        assert_eq!(ask_twice("p, role:anyone, *, posts, read", 1), (Some(vec![0]), true));
    }

    #[test]
    fn what_is_not_text_fails_the_matcher() {
        let (unit, text) = (|| Dynamic::UNIT, || Dynamic::from("x".to_owned()));
        let doubt = || Dynamic::from(Doubt::Later);
        assert!(cond(doubt(), text(), unit()).is_unit() && cond(text(), text(), text()).is_unit());
        assert!(field_ok(unit(), text(), text()).is_unit());
    }
}

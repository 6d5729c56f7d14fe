//! Lists and single reads agree, whatever the policies are. In worlds made by chance, everybody reads every record alone and asks for lists
//! with filters, orders and pages; what comes back is held against each other, and against what the policies mean by the documentation.
//!
//! `AGREEMENT_REQUESTS` is how many requests are compared at least, `AGREEMENT_SEED` what the first world is made of.

pub(crate) mod random;

mod world;

mod conditions;

mod policies;

mod questions;

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    fmt::Write,
};

use futures_util::{StreamExt, future::BoxFuture, stream};
use policies::{Policy, Sight, Truth, Verdicts};
use questions::{EXPANDED, Outcome, Question, found};
use random::Random;
use serde_json::{Value, json};
use tests::{Answer, Client};
use world::{Person, THINGS, World};

/// How many requests are under way at once.
const AT_ONCE: usize = 16;

/// How many sets of policies each world gets, one after the other.
const SETS: usize = 6;

/// How many lists are drawn up for each world, and how many of them each person asks for under each set.
const QUESTIONS: usize = 60;
const ASKED: usize = 16;

/// A test that reports everything is read by nobody.
const DIFFERENCES_MAX: usize = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_and_single_reads_agree_under_any_policies() {
    let number = |name: &str, default: u64| env::var(name).map_or(default, |text| text.parse().expect("a number"));
    let (wanted, first) = (number("AGREEMENT_REQUESTS", 20_000), number("AGREEMENT_SEED", 1));
    let mut tally = Tally::default();
    for seed in first.. {
        round(seed, &mut tally).await;
        if tally.requests() >= wanted {
            break;
        }
    }
    eprintln!("{tally:?}");
    tally.check();
}

/// What has happened so far: a test in which everything is refused proves as little as one in which everything is allowed.
#[derive(Debug, Default)]
struct Tally {
    reads: u64,
    reads_allowed: u64,
    reads_masked: u64,
    lists: u64,
    lists_unreadable: u64,
    lists_empty: u64,
    pages: u64,
    plans: u64,
    plans_never: u64,
    plans_conditional: u64,
    tested: u64,
    expanded: u64,
    verdicts: u64,
    verdicts_true: u64,
    verdicts_unknown: u64,
}

impl Tally {
    fn requests(&self) -> u64 {
        self.reads + self.pages + self.lists_unreadable
    }

    /// # Panics
    /// When one kind of answer is nearly all or nearly nothing.
    fn check(&self) {
        let shares = [
            ("allowed reads", self.reads_allowed, self.reads),
            ("masked reads among the allowed ones", self.reads_masked, self.reads_allowed),
            ("lists refused for a field", self.lists_unreadable, self.lists),
            ("empty lists", self.lists_empty, self.lists),
            ("people who may never", self.plans_never, self.plans),
            ("people who may see what a condition says", self.plans_conditional, self.plans),
            ("conditions that are true", self.verdicts_true, self.verdicts),
            ("conditions that are unknown", self.verdicts_unknown, self.verdicts),
        ];
        for (name, part, whole) in shares {
            let percent = part * 100 / whole.max(1);
            assert!((10..=90).contains(&percent), "{name}: {part} of {whole}, the test has become one-sided: {self:?}");
        }
        for (name, part) in [("lists with parameters of fields", self.tested), ("expanded lists", self.expanded)] {
            assert!(part * 50 >= self.lists, "{name}: {part} of {}, too few: {self:?}", self.lists);
        }
    }
}

/// One world.
async fn round(seed: u64, tally: &mut Tally) {
    // Seen only when something fails.
    eprintln!("AGREEMENT_SEED={seed}");
    let random = &mut Random::new(seed);
    let world = World::make(random).await;
    let questions: Vec<Question> = (0..QUESTIONS).map(|_| Question::random(random, &world)).collect();
    let sets: Vec<Vec<Policy>> = (0..SETS).map(|_| policies::set(random, &world)).collect();
    // Asked while there are no policies, which would concern the admins, too.
    let orders = orders(&world, &questions).await;
    let mut readings = Vec::new();
    for set in &sets {
        readings.push(readings_of(&world, set).await);
    }
    for (number, (set, readings)) in sets.iter().zip(&readings).enumerate() {
        let ids = install(&world.admin, set).await;
        let sights: Vec<Sight> = readings.iter().map(|reading| policies::sight(reading, &world)).collect();
        let asked: Vec<Vec<usize>> =
            world.everybody.iter().map(|_| random.some(&(0..QUESTIONS).collect::<Vec<_>>(), ASKED, ASKED)).collect();
        let differences = compare(&world, &sights, &questions, &orders, &asked, tally).await;
        if !differences.is_empty() {
            let mut report = format!("AGREEMENT_SEED={seed}, policies number {number}: {} differences\n", differences.len());
            for policy in set {
                let _ = writeln!(report, "policy {}", policy.json());
            }
            differences.iter().take(DIFFERENCES_MAX).for_each(|difference| report.push_str(&format!("- {difference}\n")));
            panic!("{report}");
        }
        for reading in readings.iter().flatten().filter_map(|(_, verdicts)| verdicts.as_ref()) {
            tally.verdicts += reading.len() as u64;
            tally.verdicts_true += reading.values().filter(|truth| **truth == Truth::True).count() as u64;
            tally.verdicts_unknown += reading.values().filter(|truth| **truth == Truth::Unknown).count() as u64;
        }
        for id in ids {
            let deleted = world.admin.delete(&format!("/api/policies/{id}")).await;
            assert!(deleted.is_success(), "{deleted}");
        }
    }
}

/// Runs these, some at once, and returns what they say in their order.
async fn all<T: Send>(tasks: Vec<BoxFuture<'_, T>>) -> Vec<T> {
    stream::iter(tasks).buffered(AT_ONCE).collect().await
}

/// What each question finds for each person if there were no policies, in its order.
async fn orders(world: &World, questions: &[Question]) -> Vec<Vec<Vec<String>>> {
    let mut tasks: Vec<BoxFuture<'_, Vec<String>>> = Vec::new();
    // Most questions mean the same to everybody.
    let asking = |question: &Question| if question.is_personal() { world.everybody.len() } else { 1 };
    for question in questions {
        for person in &world.everybody[..asking(question)] {
            tasks.push(Box::pin(async move { found(&person.twin, &question.query(&person.reader())).await }));
        }
    }
    let mut found = all(tasks).await.into_iter();
    let of = |question: &Question| {
        let orders: Vec<_> = found.by_ref().take(asking(question)).collect();
        orders.into_iter().cycle().take(world.everybody.len()).collect()
    };
    questions.iter().map(of).collect()
}

type Reading<'a> = Vec<(&'a Policy, Option<Verdicts>)>;

/// The policies that concern each person, and what their conditions say about each record.
async fn readings_of<'a>(world: &World, set: &'a [Policy]) -> Vec<Reading<'a>> {
    let mut readings = Vec::new();
    for person in &world.everybody {
        let concerning = set.iter().filter(|policy| policy.concerns(person));
        let tasks: Vec<BoxFuture<'_, (&Policy, Option<Verdicts>)>> =
            concerning.map(|policy| Box::pin(async move { (policy, verdicts(world, person, policy).await) }) as BoxFuture<'_, _>).collect();
        readings.push(all(tasks).await);
    }
    readings
}

/// Asks for the records of which the condition is true, and for those of which its opposite is; of the others it is unknown.
async fn verdicts(world: &World, person: &Person, policy: &Policy) -> Option<Verdicts> {
    let text = policy.condition.as_ref()?.text(&person.reader());
    let (yes, no) =
        (found(&person.twin, &[("filter", text.clone())]).await, found(&person.twin, &[("filter", format!("!({text})"))]).await);
    let (yes, no): (BTreeSet<_>, BTreeSet<_>) = (yes.into_iter().collect(), no.into_iter().collect());
    assert!(yes.is_disjoint(&no), "both true and false: {text}");
    let truth = |id: &String| match (yes.contains(id), no.contains(id)) {
        (true, _) => Truth::True,
        (_, true) => Truth::False,
        _ => Truth::Unknown,
    };
    Some(world.records.keys().map(|id| (id.clone(), truth(id))).collect())
}

async fn install(admin: &Client, set: &[Policy]) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for policy in set {
        ids.insert(admin.policy(policy.json()).await);
    }
    ids
}

/// Lets everybody read everything in both ways, and says what does not fit together.
async fn compare(
    world: &World,
    sights: &[Sight],
    questions: &[Question],
    orders: &[Vec<Vec<String>>],
    asked: &[Vec<usize>],
    tally: &mut Tally,
) -> Vec<String> {
    let mut tasks: Vec<BoxFuture<'_, (usize, &String, Answer)>> = Vec::new();
    for (index, person) in world.everybody.iter().enumerate() {
        // Where nothing can be seen, one look is like the other.
        let looks = if sights[index].never { 8 } else { world.records.len() };
        for id in world.records.keys().take(looks) {
            tasks.push(Box::pin(async move { (index, id, person.client.get(&format!("/api/records/{THINGS}/{id}")).await) }));
        }
    }
    let mut differences = Vec::new();
    let mut seen: Vec<BTreeMap<&String, Value>> = vec![BTreeMap::new(); world.everybody.len()];
    for (index, id, answer) in all(tasks).await {
        let person = &world.everybody[index];
        tally.reads += 1;
        tally.reads_allowed += u64::from(answer.status == 200);
        tally.reads_masked +=
            u64::from(answer.status == 200 && answer.json.as_object().is_some_and(|body| body.len() <= world.fields.len()));
        if let Some(difference) = read_differs(&sights[index], person, &world.records[id], &answer) {
            differences.push(format!("{difference}\n  of {} {:?} {}\n  {}", person.email, person.roles, person.own, world.records[id]));
        }
        if answer.status == 200 {
            seen[index].insert(id, answer.json);
        }
    }

    let mut accounts: Vec<BTreeMap<&String, Value>> = vec![BTreeMap::new(); world.everybody.len()];
    for (index, id, answer) in
        all(world.everybody.iter().enumerate().flat_map(|(index, person)| looks_at_people(world, index, person)).collect()).await
    {
        if answer.status == 200 {
            accounts[index].insert(id, answer.json);
        }
    }

    let mut tasks: Vec<BoxFuture<'_, (usize, usize, Outcome)>> = Vec::new();
    for (index, person) in world.everybody.iter().enumerate() {
        let asks = if sights[index].never { 2 } else { ASKED };
        for &number in asked[index].iter().take(asks) {
            let question = &questions[number];
            tasks.push(Box::pin(async move { (index, number, question.walk(&person.client).await) }));
        }
    }
    for (index, number, outcome) in all(tasks).await {
        let (person, question) = (&world.everybody[index], &questions[number]);
        tally.lists += 1;
        match &outcome {
            Outcome::Walked(walked) => {
                tally.pages += walked.pages as u64;
                tally.lists_empty += u64::from(walked.records.is_empty());
            }
            Outcome::Refused(_) => tally.lists_unreadable += u64::from(!sights[index].never),
        }
        let shown = Shown { records: &seen[index], accounts: &accounts[index] };
        tally.expanded += u64::from(question.expands && matches!(outcome, Outcome::Walked(_)));
        tally.tested += u64::from(!question.tests.is_empty() && matches!(outcome, Outcome::Walked(_)));
        if let Some(difference) = list_differs(&sights[index], person, question, &orders[number][index], &shown, &outcome) {
            let (own, asked) = (&person.own, question.text());
            differences.push(format!("{difference}\n  of {} {:?} {own}\n  {asked}", person.email, person.roles));
        }
    }
    tally.plans += sights.len() as u64;
    tally.plans_never += sights.iter().filter(|sight| sight.never).count() as u64;
    tally.plans_conditional += sights.iter().filter(|sight| !sight.never && !sight.always).count() as u64;
    differences
}

/// Reads of the people that records point to, one by one.
fn looks_at_people<'a>(world: &'a World, index: usize, person: &'a Person) -> Vec<BoxFuture<'a, (usize, &'a String, Answer)>> {
    let look = |id: &'a String| -> BoxFuture<'a, _> {
        Box::pin(async move { (index, id, person.client.get(&format!("/api/records/users/{id}")).await) })
    };
    world.people.ids.iter().map(look).collect()
}

/// What a person saw in single reads.
struct Shown<'a> {
    records: &'a BTreeMap<&'a String, Value>,
    accounts: &'a BTreeMap<&'a String, Value>,
}

impl Shown<'_> {
    /// What stands beside a record: the people that it names, as far as they are seen.
    fn beside(&self, body: &serde_json::Map<String, Value>) -> Value {
        let account = |id: &Value| id.as_str().and_then(|id| self.accounts.get(&id.to_owned())).cloned();
        let mut beside = json!({});
        if let Some(owner) = body.get("owner") {
            beside["owner"] = account(owner).unwrap_or_default();
        }
        if let Some(peers) = body.get("peers") {
            beside["peers"] = peers.as_array().into_iter().flatten().filter_map(account).collect();
        }
        beside
    }
}

/// The status and the code of a refusal by the policies as a whole.
fn shut_out(person: &Person) -> (u16, &'static str) {
    if person.is_nobody() { (401, "auth.required") } else { (403, "policy.denied") }
}

fn code(answer: &Answer) -> (u16, &str) {
    (answer.status, answer.json["code"].as_str().unwrap_or_default())
}

/// What is wrong with a single read.
fn read_differs(sight: &Sight, person: &Person, stored: &Value, answer: &Answer) -> Option<String> {
    let expected = match sight.records.get(stored["id"].as_str().unwrap_or_default()) {
        _ if sight.never => shut_out(person),
        None => (404, "record.not_found"),
        Some(fields) => {
            let mut body = json!({"id": stored["id"]});
            fields.iter().for_each(|field| body[field] = stored[field].clone());
            let same = answer.status == 200 && answer.json == body;
            return (!same).then(|| format!("a single read should show {body}, but {answer}"));
        }
    };
    (code(answer) != expected).then(|| format!("a single read should be {expected:?}, but {answer}"))
}

/// What is wrong with a list, given what the person saw in single reads.
fn list_differs(
    sight: &Sight,
    person: &Person,
    question: &Question,
    order: &[String],
    shown: &Shown<'_>,
    outcome: &Outcome,
) -> Option<String> {
    let mut unreadable: Vec<String> = question
        .looks_at()
        .into_iter()
        .filter(|(field, _)| !sight.sure.contains(*field))
        .map(|(_, parameter)| format!("/{}", parameter.trim_start_matches('/')))
        .collect();
    match outcome {
        Outcome::Refused(answer) if sight.never => {
            (code(answer) != shut_out(person)).then(|| format!("a list should be {:?}, but {answer}", shut_out(person)))
        }
        Outcome::Walked(_) if sight.never => Some("a list of what nobody can see was answered".to_owned()),
        Outcome::Refused(answer) => {
            let errors = answer.json["errors"].as_array().into_iter().flatten().filter(|error| error["code"] == "field.unreadable");
            let own = |error: &&Value| error["message"].as_str().is_some_and(|message| message.starts_with("`caller."));
            let (own, errors): (Vec<_>, Vec<_>) = errors.partition(own);
            let closed = sight.own_account_closed && !own.is_empty();
            let errors = errors.into_iter().chain(own.into_iter().filter(|_| !sight.own_account_closed));
            let mut found: Vec<String> = errors.map(|error| error["pointer"].as_str().unwrap_or_default().to_owned()).collect();
            // A relation that no record shows may be refused; that it may not where one does is seen when it is not.
            let hidden = EXPANDED.iter().any(|field| !sight.records.values().any(|fields| fields.contains(*field)));
            if question.expands && hidden && found.iter().any(|pointer| pointer == "/expand") {
                found.retain(|pointer| pointer != "/expand");
                if found.is_empty() && unreadable.is_empty() {
                    return None;
                }
            }
            found.sort_unstable();
            unreadable.sort_unstable();
            let right = code(answer) == (403, "field.unreadable") && (closed || !unreadable.is_empty()) && found == unreadable;
            (!right).then(|| format!("a list is refused that looks at unreadable fields {unreadable:?} ({answer})"))
        }
        Outcome::Walked(_) if !unreadable.is_empty() => Some(format!("a list was answered that looks at unreadable fields {unreadable:?}")),
        Outcome::Walked(walked) => {
            let chosen = |field: &String| field == "id" || question.fields.as_ref().is_none_or(|fields| fields.contains(field));
            let expected: Vec<Value> = order
                .iter()
                .filter_map(|id| shown.records.get(id)?.as_object())
                .map(|body| {
                    let mut chosen: serde_json::Map<String, Value> =
                        body.iter().filter(|(field, _)| chosen(field)).map(|(field, value)| (field.clone(), value.clone())).collect();
                    if question.expands {
                        chosen.insert("expand".to_owned(), shown.beside(body));
                    }
                    Value::Object(chosen)
                })
                .collect();
            let total = expected.len().to_string();
            if walked.records == expected && walked.totals.iter().all(|found| *found == total) {
                return None;
            }
            let ids = |records: &[Value]| records.iter().filter_map(|record| record["id"].as_str().map(str::to_owned)).collect::<Vec<_>>();
            let bodies = walked.records.iter().zip(&expected).find(|(found, expected)| found != expected);
            Some(format!(
                "a list shows\n  {:?}, single reads\n  {:?}, totals {:?}, first other body {bodies:?}",
                ids(&walked.records),
                ids(&expected),
                walked.totals
            ))
        }
    }
}

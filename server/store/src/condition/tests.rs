//! The translation against the evaluator: random conditions over random records, many of them with values that their collection would
//! not allow today, in real databases: in memory for even seeds, on disk (RocksDB) for odd ones. Both rails must select exactly the records for which the evaluator says so.
//!
//! `CONDITIONS_ROWS` sets how many decisions about rows to compare (200,000 if it is not set), `CONDITIONS_SEED` where to begin; a
//! failure prints the seed of its round.

mod random;

use std::{collections::BTreeSet, sync::Arc, time::Instant};

use model::{
    Caller, Collection, Condition, Field, FieldType, Guard, Record, Truth,
    collection::Definition,
    condition::{Context, Scope},
};
use surrealdb::{
    Surreal,
    engine::local::{Db, Mem, RocksDb},
    types::Value as Stored,
};

use super::*;
use crate::value::from_stored;
use random::Random;

const NOW: &str = "2026-11-22T10:00:00.000000Z";
const ROWS: usize = 100;
const CONDITIONS_PER_ROUND: usize = 150;

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

fn collection() -> Collection {
    use FieldType as T;
    let fields = [
        ("a", T::Text),
        ("type", T::Text),
        ("owner", T::Relation),
        ("n", T::Integer),
        ("f", T::Number),
        ("m", T::Decimal),
        ("flag", T::Bool),
        ("due", T::Datetime),
        ("status", T::Select),
        ("tags", T::Select),
        ("readers", T::Relation),
        ("o", T::Json),
        ("none", T::Json),
    ];
    let fields = fields.map(|(name, kind)| Field {
        values: if kind == T::Select { vec!["a".into(), "u1".into(), "é".into()] } else { Vec::new() },
        collection: (kind == T::Relation).then(|| "users".into()),
        many: matches!(name, "tags" | "readers"),
        ..Field::new(name, kind)
    });
    let definition = Definition {
        name: "rows".into(),
        kind: model::Kind::Base,
        description: String::new(),
        fields: fields.into(),
        indexes: Vec::new(),
        search: Vec::new(),
    };
    Collection::new(definition).expect("a collection")
}

/// The tables hold the same rows: one without indexes, one with an index on every field, one indexed as the store does it.
const TABLES: [(&str, &str); 3] = [("plain", ""), ("single", ""), ("pinned", "_tenant = 'main' AND ")];

fn schema(collection: &Collection) -> String {
    let mut text = "DEFINE TABLE plain SCHEMALESS; DEFINE TABLE single SCHEMALESS; DEFINE TABLE pinned SCHEMALESS;".to_owned();
    let names = collection.fields().map(|field| field.name.as_str()).chain(["created", "_key"]);
    for name in names {
        text += &format!("DEFINE INDEX `i_{name}` ON single FIELDS `{name}`;");
        if name != "_key" && collection.field(name).is_none_or(|field| !field.many && field.kind != FieldType::Json) {
            text += &format!("DEFINE INDEX `i_{name}` ON pinned FIELDS _tenant, `{name}`, _key;");
        }
    }
    text + "DEFINE INDEX i_key ON pinned FIELDS _tenant, _key;"
}

struct Round {
    seed: u64,
    random: Random,
    collection: Collection,
    database: Surreal<Db>,
    _folder: tempfile::TempDir,
    records: Vec<Record>,
    decisions: u64,
    selective: u64,
    failures: Vec<String>,
}

impl Round {
    async fn new(seed: u64) -> Self {
        let collection = collection();
        // What people run, and what is quicker: the two scan and index alike, or should.
        let folder = tempfile::TempDir::new().expect("a folder");
        let database = match seed % 2 {
            0 => Surreal::new::<Mem>(()).await.expect("a database"),
            _ => Surreal::new::<RocksDb>(folder.path()).await.expect("a database on disk"),
        };
        database.use_ns("test").use_db("test").await.expect("a namespace");
        database.query(schema(&collection)).await.expect("a schema").check().expect("a schema");
        let mut random = Random::new(seed);
        let rows: Vec<Stored> = (0..ROWS).map(|number| random.row(&collection, number)).collect();
        for (table, _) in TABLES {
            let insertion = database.query(format!("INSERT INTO {table} $rows RETURN NONE")).bind(("rows", rows.clone()));
            insertion.await.expect("an answer").check().expect("rows");
        }
        let (records, failures, _folder) = (Vec::new(), Vec::new(), folder);
        let mut round = Self { seed, random, collection, database, _folder, records, decisions: 0, selective: 0, failures };
        let stored = round.select("SELECT * OMIT id FROM plain ORDER BY _key", &Vec::new()).await;
        round.records = stored.into_iter().map(|row| record(&round.collection, row)).collect();
        round
    }

    async fn select(&self, query: &str, binds: &Binds) -> Vec<Stored> {
        match self.answer(query, binds).await {
            Stored::Array(rows) => rows.into_iter().collect(),
            other => panic!("{other:?} are not rows"),
        }
    }

    async fn answer(&self, query: &str, binds: &Binds) -> Stored {
        let mut prepared = self.database.query(query);
        for (name, value) in binds {
            prepared = prepared.bind((name.clone(), value.clone()));
        }
        let answer = async { prepared.await?.check()?.take::<Stored>(0) };
        answer.await.unwrap_or_else(|error| panic!("seed {}: {query}\n{binds:?}\n{error:?}", self.seed))
    }

    async fn run(&mut self) {
        for _ in 0..CONDITIONS_PER_ROUND {
            let caller = self.random.caller();
            let conditions: Vec<Arc<Condition>> = (0..3).map(|_| Arc::new(self.condition())).collect();
            let always = Arc::new(Condition::parse("true", Scope::Policy).expect("a condition"));
            let first = conditions[0].clone();
            let allowing = Guard { any_of: vec![first.clone()], none_of: vec![] };
            let denying = Guard { any_of: vec![always], none_of: vec![first.clone()] };
            self.compare(&[&allowing], &caller, |context| first.evaluate(context) == Truth::True).await;
            self.compare(&[&denying], &caller, |context| first.evaluate(context) == Truth::False).await;
            if self.random.below(4) == 0 {
                let both = Guard { any_of: conditions[..2].to_vec(), none_of: conditions[2..].to_vec() };
                self.compare(&[&both, &allowing], &caller, |context| both.holds(context) && allowing.holds(context)).await;
            }
        }
    }

    /// A condition as it would be saved if it fits the collection, and as it was parsed if not.
    fn condition(&mut self) -> Condition {
        let text = self.random.condition();
        let condition = Condition::parse(&text, Scope::Policy).unwrap_or_else(|error| panic!("{text}: {error}"));
        condition.check(&self.collection).unwrap_or(condition)
    }

    async fn compare(&mut self, guards: &[&Guard], caller: &Caller, holds: impl Fn(&Context<'_>) -> bool) {
        let context = |record| Context { record, before: None, caller, now: NOW };
        let expected: Vec<&str> = self.records.iter().filter(|record| holds(&context(record))).map(|record| record.id.as_str()).collect();
        let mut binds = Binds::new();
        let clause = translate(guards, caller, NOW, &self.collection, &mut binds);
        let mut failures = Vec::new();
        for (table, pinned) in TABLES {
            let ordered = self.random.below(2) == 0;
            let found = match &clause {
                Clause::Never => Vec::new(),
                Clause::Always => self.records.iter().map(|record| record.id.clone()).collect(),
                Clause::When(text) => {
                    // Sometimes without an order, so that the planner is free in its choice of an index.
                    let order = if ordered { " ORDER BY _key LIMIT 1000" } else { "" };
                    let query = format!("SELECT VALUE _key FROM {table} WHERE {pinned}{text}{order}");
                    keys(self.select(&query, &binds).await)
                }
            };
            let same = found.iter().map(String::as_str).collect::<BTreeSet<_>>() == expected.iter().copied().collect();
            // Without an order the planner may walk any index of the tenant, and one that holds lists (a hostile value) repeats their rows.
            if !same || (ordered && found != expected) {
                failures.push(self.explain(table, &clause, &binds, &expected, &found));
            }
        }
        self.selective += u64::from(!expected.is_empty() && expected.len() < self.records.len());
        self.decisions += (self.records.len() * TABLES.len()) as u64;
        if let Some(failure) = failures.first() {
            let sources: Vec<_> = guards.iter().flat_map(|guard| guard.any_of.iter().chain(&guard.none_of)).map(|c| c.source()).collect();
            self.failures.push(format!("{failure}\n  conditions {sources:#?}\n  caller {:?}", caller.attributes));
        }
    }

    fn explain(&self, table: &str, clause: &Clause, binds: &Binds, expected: &[&str], found: &[String]) -> String {
        let differs = |record: &&Record| expected.contains(&record.id.as_str()) != found.contains(&record.id);
        let example = self.records.iter().find(differs);
        format!(
            "seed {} table {table}: expected {}, found {}\n  {clause:?}\n  {binds:?}\n  for example {example:?}",
            self.seed,
            expected.len(),
            found.len()
        )
    }
}

fn keys(rows: Vec<Stored>) -> Vec<String> {
    let texts = rows.into_iter().map(|row| match row {
        Stored::String(key) => key,
        other => panic!("{other:?} is not a key"),
    });
    texts.collect()
}

fn record(collection: &Collection, row: Stored) -> Record {
    let Some(Value::Object(mut object)) = from_stored(row) else { panic!("not a record") };
    let mut text = |name: &str| object.swap_remove(name).and_then(|value| value.as_text().map(str::to_owned)).expect(name);
    let (id, tenant, created, updated) = (text("_key"), text("_tenant"), text("created"), text("updated"));
    let values = collection.fields().map(|field| (field.name.clone(), object.swap_remove(&field.name).unwrap_or_default())).collect();
    Record { id, tenant, version: 1, created, updated, values }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_rails_agree_with_the_evaluator() {
    let wanted = variable("CONDITIONS_ROWS").unwrap_or(200_000);
    let first = variable("CONDITIONS_SEED").unwrap_or(1);
    let (mut decisions, mut selective, mut failures, start) = (0, 0, Vec::new(), Instant::now());
    for seed in first.. {
        let mut round = Round::new(seed).await;
        round.run().await;
        decisions += round.decisions;
        selective += round.selective;
        failures.extend(round.failures);
        if decisions >= wanted || failures.len() > 20 {
            break;
        }
    }
    println!("{decisions} decisions, {selective} selective clauses, {} mismatches, {:?}", failures.len(), start.elapsed());
    assert!(failures.is_empty(), "{}", failures[..failures.len().min(5)].join("\n\n"));
}

/// SurrealDB compares 5 and 5.00 as equal, but its indexes do not.
#[tokio::test(flavor = "multi_thread")]
async fn an_index_finds_numbers_however_they_are_written() {
    let round = Round::new(7).await;
    round.select("DELETE pinned RETURN BEFORE", &Binds::new()).await;
    let numbers = ["5", "5.0", "5.00"].map(|text| Value::Decimal(text.parse().expect("a decimal")));
    for (index, number) in numbers.iter().enumerate() {
        let binds = vec![("key".to_owned(), Stored::String(format!("d{index}"))), ("number".to_owned(), to_stored(number))];
        round.answer("CREATE pinned SET _tenant = 'main', _key = $key, m = $number RETURN NONE", &binds).await;
    }
    for number in &numbers {
        let query = "SELECT VALUE _key FROM pinned WHERE _tenant = 'main' AND m = $number ORDER BY _key";
        assert_eq!(round.select(query, &vec![("number".to_owned(), to_stored(number))]).await.len(), numbers.len());
    }
}

fn when(text: &str, expected: &str) {
    let condition = Condition::parse(text, Scope::Policy).expect(text).check(&collection()).expect(text);
    let caller = Caller::new(model::Principal::User("u1".into()), "main", Object::new());
    let mut binds = Binds::new();
    let clause = translate_filter(&condition, &caller, NOW, &collection(), &mut binds);
    assert_eq!(clause, Clause::When(expected.to_owned()), "{text}");
}

#[test]
fn an_equality_stays_at_the_top() {
    when("record.owner == caller.id", "`owner` = $c0");
    when("true && (record.id == 'x' && record.flag)", "`_key` = $c0 AND `flag` = true");
    when("record.status in ['a'] && !has(record.n)", "`status` = $c0 AND (`n` = NONE OR `n` = NULL)");
    when("record.o.x == 1 || caller.id == 'u2'", "`o`.`x` = $c0 AND type::is_number(`o`.`x`) AND type::is_object(`o`)");
}

#[test]
fn what_needs_no_row_is_decided_before_the_query() {
    let check = |text: &str, expected: Clause| {
        let condition = Arc::new(Condition::parse(text, Scope::Policy).expect(text));
        let caller = Caller::new(model::Principal::User("u1".into()), "main", Object::new());
        let mut binds = Binds::new();
        let guard = Guard { any_of: vec![condition], none_of: vec![] };
        assert_eq!(translate(&[&guard], &caller, NOW, &collection(), &mut binds), expected, "{text}");
        assert!(binds.is_empty(), "{text}");
    };
    check("caller.id == 'u1'", Clause::Always);
    check("caller.id != 'u1' && record.flag", Clause::Never);
    check("before.flag || record.flag == caller.nothing", Clause::Never);
    check("before.flag == null || record.flag", Clause::Always);
    check("record.unknown == null", Clause::Always);
    check("now > timestamp('2020-01-01T00:00:00Z')", Clause::Always);
    assert_eq!(translate(&[&Guard::default()], &Caller::anonymous(), NOW, &collection(), &mut Binds::new()), Clause::Never);
    assert_eq!(translate(&[], &Caller::anonymous(), NOW, &collection(), &mut Binds::new()), Clause::Always);
}

/// The largest conditions that can be parsed, in dozens of policies at once: the database must still parse the query.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_parses_can_be_asked() {
    let path = format!("record.o{}", ".abc".repeat(15));
    let deep = (0..12).fold("record.flag".to_owned(), |inner, level| {
        let leaf = if level % 5 == 0 { format!("{path} == 1") } else { "record.a != 'x'".to_owned() };
        format!("{leaf} {} ({inner})", ["&&", "||"][level % 2])
    });
    let wide = format!("record.flag{}", " || record.n > 1".repeat(199));
    let guard = |text: &str| {
        let condition = Arc::new(Condition::parse(text, Scope::Policy).unwrap_or_else(|error| panic!("{text}: {error}")));
        Guard { any_of: vec![condition.clone(); 40], none_of: vec![condition; 40] }
    };
    let round = Round::new(7).await;
    for guard in [guard(&deep), guard(&format!("!({deep})")), guard(&wide), guard(&format!("record.a in record.tags && ({path} != 1)"))] {
        let mut binds = Binds::new();
        let clause = translate(&[&guard, &guard], &Caller::anonymous(), NOW, &round.collection, &mut binds);
        let Clause::When(text) = clause else { panic!("{clause:?}") };
        round.select(&format!("SELECT VALUE _key FROM pinned WHERE _tenant = 'main' AND {text} ORDER BY _key"), &binds).await;
    }
}

/// The guards must not cost the index.
#[tokio::test(flavor = "multi_thread")]
async fn an_equality_uses_its_index() {
    let round = Round::new(7).await;
    let policy = "record.owner == caller.id && !(record.flag == true) && (record.n > 3 || has(record.o.x))";
    let condition = Condition::parse(policy, Scope::Policy).expect("a condition");
    let caller = Caller::new(model::Principal::User("u1".into()), "main", Object::new());
    let mut binds = Binds::new();
    let clause = translate_filter(&condition, &caller, NOW, &round.collection, &mut binds);
    let Clause::When(text) = clause else { panic!("{clause:?}") };
    let query = format!("SELECT * FROM pinned WHERE _tenant = 'main' AND {text} ORDER BY _key LIMIT 20 EXPLAIN");
    let plan = format!("{:?}", round.answer(&query, &binds).await);
    assert!(plan.contains("i_owner"), "{plan}");
    assert!(plan.contains("['main', 'u1']"), "{plan}");
}

//! Records in memory, which can also be lost or never answer.

use std::collections::BTreeMap;
use std::future;

use plugins::{BoxFuture, Effect, Failure, Records};
use serde_json::{Value, json};

#[derive(Clone, Copy, PartialEq)]
pub enum Mood {
    Well,
    /// Every call says that the transaction is lost.
    Lost,
    /// No call ever answers.
    Stuck,
}

pub struct MemoryRecords {
    records: BTreeMap<(String, String), Value>,
    mood: Mood,
}

impl MemoryRecords {
    pub fn new(mood: Mood) -> Self {
        Self { records: BTreeMap::new(), mood }
    }

    pub fn with(mut self, collection: &str, id: &str, record: Value) -> Self {
        self.records.insert((collection.to_owned(), id.to_owned()), record);
        self
    }

    fn answer<'a, T: Send + 'a>(&self, answer: Result<T, Failure>) -> BoxFuture<'a, Result<T, Failure>> {
        match self.mood {
            Mood::Well => Box::pin(future::ready(answer)),
            Mood::Lost => Box::pin(future::ready(Err(Failure::fatal("conflict", "another transaction was faster")))),
            Mood::Stuck => Box::pin(future::pending()),
        }
    }

    fn find(&self, collection: &str, id: &str) -> Option<String> {
        self.records.get(&(collection.to_owned(), id.to_owned())).map(Value::to_string)
    }

    fn put(&mut self, collection: &str, id: &str, text: &str) -> Result<String, Failure> {
        let Ok(Value::Object(members)) = serde_json::from_str(text) else {
            return Err(Failure::new("invalid", "not an object"));
        };
        let record = self.records.entry((collection.to_owned(), id.to_owned())).or_insert(json!({}));
        for (name, value) in members {
            record[name] = value;
        }
        Ok(record.to_string())
    }
}

impl Records for MemoryRecords {
    fn get<'a>(&'a mut self, collection: &'a str, id: &'a str) -> BoxFuture<'a, Result<Option<String>, Failure>> {
        self.answer(Ok(self.find(collection, id)))
    }

    fn get_many<'a>(&'a mut self, collection: &'a str, ids: &'a [String]) -> BoxFuture<'a, Result<Vec<Option<String>>, Failure>> {
        self.answer(Ok(ids.iter().map(|id| self.find(collection, id)).collect()))
    }

    fn query<'a>(&'a mut self, collection: &'a str, _query: &'a str) -> BoxFuture<'a, Result<String, Failure>> {
        let found: Vec<&Value> = self.records.iter().filter(|((it, _), _)| it == collection).map(|(_, record)| record).collect();
        self.answer(Ok(json!(found).to_string()))
    }

    fn create<'a>(&'a mut self, collection: &'a str, content: &'a str) -> BoxFuture<'a, Result<String, Failure>> {
        let id = format!("new{}", self.records.len());
        let stored = self.put(collection, &id, content);
        self.answer(stored)
    }

    fn update<'a>(&'a mut self, collection: &'a str, id: &'a str, patch: &'a str) -> BoxFuture<'a, Result<String, Failure>> {
        let stored = match self.find(collection, id) {
            Some(_) => self.put(collection, id, patch),
            None => Err(Failure::new("not-found", id)),
        };
        self.answer(stored)
    }

    fn delete<'a>(&'a mut self, collection: &'a str, id: &'a str) -> BoxFuture<'a, Result<(), Failure>> {
        self.records.remove(&(collection.to_owned(), id.to_owned()));
        self.answer(Ok(()))
    }

    /// Effects are records of the collection `effects`.
    fn enqueue<'a>(&'a mut self, effect: Effect) -> BoxFuture<'a, Result<String, Failure>> {
        let id = format!("delivery{}", self.records.len());
        let payload: Value = serde_json::from_str(&effect.payload).expect("a payload is JSON");
        let stored = json!({ "kind": effect.kind, "payload": payload, "options": effect.options });
        self.records.insert(("effects".to_owned(), id.clone()), stored);
        self.answer(Ok(id))
    }
}

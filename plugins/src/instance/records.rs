//! The host calls that read and write records. Each spends from the budget, then checks the grant, then asks the records.

use wasmtime::Result;

use super::Instance;
use crate::contract::{records, types};
use crate::records::Failure;
use crate::transcript::input;

impl Instance {
    fn admit_read(&mut self, collection: &str) -> Result<Option<types::Failure>> {
        self.spend()?;
        Ok((!self.call.ground.grants.reads(collection)).then(|| not_granted("read", collection)))
    }

    fn admit_search(&mut self, collection: &str) -> Result<Option<types::Failure>> {
        self.spend()?;
        Ok((!self.call.ground.grants.searches(collection)).then(|| not_granted("query", collection)))
    }

    fn admit_write(&mut self, collection: &str) -> Result<Option<types::Failure>> {
        self.spend()?;
        Ok((!self.call.ground.grants.writes(collection)).then(|| not_granted("write", collection)))
    }
}

impl records::Host for Instance {
    async fn get(&mut self, collection: String, id: String) -> Result<Result<Option<String>, types::Failure>> {
        if let Some(refusal) = self.admit_read(&collection)? {
            return Ok(Err(refusal));
        }
        let asked = self.ask();
        let answer = self.call.records.get(&collection, &id).await;
        self.answer(asked, ("records.get", || input::get(&collection, &id)), answer)
    }

    async fn get_many(&mut self, collection: String, ids: Vec<String>) -> Result<Result<Vec<Option<String>>, types::Failure>> {
        if let Some(refusal) = self.admit_read(&collection)? {
            return Ok(Err(refusal));
        }
        let max = self.limits().many_max;
        if ids.len() > max {
            return Ok(Err(Failure::new("limit", format!("{} ids in one call, at most {max} are allowed", ids.len())).into()));
        }
        let asked = self.ask();
        let answer = self.call.records.get_many(&collection, &ids).await;
        self.answer(asked, ("records.get-many", || input::get_many(&collection, &ids)), answer)
    }

    async fn query(&mut self, collection: String, query: String) -> Result<Result<String, types::Failure>> {
        if let Some(refusal) = self.admit_search(&collection)? {
            return Ok(Err(refusal));
        }
        let asked = self.ask();
        let answer = self.call.records.query(&collection, &query).await;
        self.answer(asked, ("records.query", || input::query(&collection, &query)), answer)
    }

    async fn create(&mut self, collection: String, content: String) -> Result<Result<String, types::Failure>> {
        if let Some(refusal) = self.admit_write(&collection)? {
            return Ok(Err(refusal));
        }
        let asked = self.ask();
        let answer = self.call.records.create(&collection, &content).await;
        self.answer(asked, ("records.create", || input::create(&collection, &content)), answer)
    }

    async fn update(&mut self, collection: String, id: String, patch: String) -> Result<Result<String, types::Failure>> {
        if let Some(refusal) = self.admit_write(&collection)? {
            return Ok(Err(refusal));
        }
        let asked = self.ask();
        let answer = self.call.records.update(&collection, &id, &patch).await;
        self.answer(asked, ("records.update", || input::update(&collection, &id, &patch)), answer)
    }

    async fn delete(&mut self, collection: String, id: String) -> Result<Result<(), types::Failure>> {
        if let Some(refusal) = self.admit_write(&collection)? {
            return Ok(Err(refusal));
        }
        let asked = self.ask();
        let answer = self.call.records.delete(&collection, &id).await;
        self.answer(asked, ("records.delete", || input::delete(&collection, &id)), answer)
    }
}

fn not_granted(what: &str, collection: &str) -> types::Failure {
    Failure::new("not-allowed", format!("no grant to {what} collection `{collection}`")).into()
}

//! Secrets stay secret in every way: two servers whose databases differ in nothing but what a caller cannot read answer it alike, byte by
//! byte, whatever it asks. What would differ is a leak, whether it shows the value or only says whether a guess is right.

mod copies;

mod asks;

mod writes;

use std::{collections::BTreeMap, fmt::Write};

use asks::Ask;
use copies::{Caller, Copies, SECRETS};
use futures_util::future::join;
use serde_json::json;
use tests::Answer;

/// An id that no record has.
const NOBODY: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

/// How many leaks are named, and how many of them shown in full: after the first write the copies go apart, and everything may follow.
const NAMED: usize = 60;
const SHOWN: usize = 4;

#[tokio::test]
async fn what_cannot_be_read_changes_no_answer() {
    let copies = Copies::make().await;
    the_copies_differ(&copies).await;
    let stolen = asks::stolen_cursors(&copies).await;
    let mut watch = Watch::default();
    for caller in &copies.callers {
        watch.walks(caller, asks::lists()).await;
        watch.walks(caller, asks::looks()).await;
        watch.compare(caller, asks::malformed()).await;
        watch.compare(caller, stolen.clone()).await;
        watch.compare(caller, asks::reads(&copies)).await;
        watch.compare(caller, asks::surroundings(&copies)).await;
    }
    for caller in ["ann", "ben", "cas", "nobody"] {
        let count = |status: u16| watch.count(caller, status);
        assert!(count(200) > 50 && count(400) > 50 && count(403) > 50 && count(404) > 1, "{:?}", watch.statuses);
    }
    watch.report();
}

#[tokio::test]
async fn no_write_tells_whether_a_guess_is_right() {
    let copies = Copies::make().await;
    the_copies_differ(&copies).await;
    let mut watch = Watch::default();
    for caller in &copies.callers {
        watch.compare(caller, asks::creations(&copies)).await;
        watch.compare(caller, asks::changes(&copies)).await;
        watch.compare(caller, asks::replacements(&copies)).await;
        watch.compare(caller, writes::guesses(&copies)).await;
    }
    // What is allowed shows no secret either, nor does anything that is read after it.
    for caller in &copies.callers {
        watch.compare(caller, asks::allowed(&copies)).await;
        watch.walks(caller, asks::lists()).await;
        watch.compare(caller, asks::reads(&copies)).await;
    }
    for (caller, refused) in [("ann", 403), ("ben", 403), ("cas", 403), ("nobody", 401)] {
        assert!(watch.count(caller, refused) > 50 && watch.count(caller, 200) > 50, "{:?}", watch.statuses);
    }
    watch.report();
}

#[tokio::test]
async fn a_hidden_record_looks_like_none() {
    let copies = Copies::make().await;
    let mut hidden = 0;
    for caller in &copies.callers {
        let client = &caller.clients[0];
        for id in copies.vault.iter().chain(&copies.users) {
            let collection = if copies.vault.contains(id) { "vault" } else { "users" };
            let path = format!("/api/records/{collection}/{id}");
            // Who may change what it cannot read knows that it is there.
            if client.get(&path).await.is_success() || client.patch(&path, json!({})).await.is_success() {
                continue;
            }
            hidden += 1;
            for (found, missing) in asks::touches(collection, id).iter().zip(asks::touches(collection, NOBODY)) {
                let (found, missing) = (found.answer(client).await, missing.answer(client).await);
                let (status, headers, text) = plain(&found);
                let expected = plain(&missing);
                assert_eq!((status, headers, text.replace(id, NOBODY)), expected, "{}: {found}\n{missing}", caller.name);
            }
        }
    }
    assert!(hidden > 15, "only {hidden} records are hidden from somebody");
}

/// Otherwise nothing would be shown by equal answers.
async fn the_copies_differ(copies: &Copies) {
    let [one, two] = &copies.admins;
    for field in SECRETS.into_iter().filter(|field| !field.starts_with("h_")) {
        let query = [("sort", "id"), ("fields", field), ("limit", "1000")];
        let (one, two) = (one.query("/api/records/vault", &query).await.list(), two.query("/api/records/vault", &query).await.list());
        assert!(one.len() == two.len() && one != two, "`{field}` is the same in both");
    }
    // Of what is hidden from everybody, only that it is unique can be seen.
    for (admin, code) in [(one, "alpha-3"), (two, "beta-3")] {
        admin.post("/api/records/vault", json!({"title": "taken?", "h_code": code})).await.problem(409, "record.unique");
    }
}

/// What was compared, and what differed.
#[derive(Default)]
struct Watch {
    compared: usize,
    statuses: BTreeMap<(&'static str, u16), usize>,
    leaks: Vec<String>,
    details: Vec<String>,
}

impl Watch {
    async fn compare(&mut self, caller: &Caller, asks: Vec<Ask>) {
        for ask in asks {
            self.ask(caller, &ask).await;
        }
    }

    /// Follows every list to its end.
    async fn walks(&mut self, caller: &Caller, asks: Vec<Ask>) {
        for ask in asks {
            let mut next = self.ask(caller, &ask).await;
            while let Some(path) = next {
                next = self.ask(caller, &Ask::get(path)).await;
            }
        }
    }

    /// Asks both, and returns where the next page of the first is.
    async fn ask(&mut self, caller: &Caller, ask: &Ask) -> Option<String> {
        let [one, two] = &caller.clients;
        let (one, two) = join(ask.answer(one), ask.answer(two)).await;
        self.compared += 1;
        *self.statuses.entry((caller.name, one.status)).or_default() += 1;
        let body = ask.body.as_deref().unwrap_or_default();
        if plain(&one) != plain(&two) {
            self.leaks.push(format!("{} {} {} {body}: {} or {}", caller.name, ask.method, ask.path, summary(&one), summary(&two)));
            self.details.push(format!("{} with {body}\n{one}\n{two}", caller.name));
        } else if one.json["code"] == "record.unique" {
            // All that is unique here is secret: somebody who may not write it must be refused before it is looked for.
            self.leaks.push(format!("{} {} {} {body} looks for a secret value: {}", caller.name, ask.method, ask.path, summary(&one)));
        }
        let next = one.header("link")?.split_once('>')?.0.to_owned();
        Some(format!("/api{}", next.split_once("/api")?.1))
    }

    fn count(&self, caller: &'static str, status: u16) -> usize {
        self.statuses.get(&(caller, status)).copied().unwrap_or_default()
    }

    /// # Panics
    /// When anything differed.
    fn report(&self) {
        eprintln!("{} requests compared, {} leaks, {:?}", self.compared, self.leaks.len(), self.statuses);
        assert!(self.compared >= 1_000, "{} requests are too few", self.compared);
        let mut report = format!("{} of {} answers tell something about what cannot be read\n", self.leaks.len(), self.compared);
        for leak in self.leaks.iter().take(NAMED) {
            let _ = writeln!(report, "- {leak}");
        }
        for detail in self.details.iter().take(SHOWN) {
            let _ = writeln!(report, "\n{detail}");
        }
        assert!(self.leaks.is_empty(), "{report}");
    }
}

/// Everything about an answer but what is new in each.
fn plain(answer: &Answer) -> (u16, Vec<(&str, &str)>, String) {
    let id = answer.header("x-request-id").unwrap_or("none");
    let mut headers: Vec<(&str, &str)> = answer.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    headers.retain(|(name, _)| !["x-request-id", "date"].contains(name));
    headers.sort_unstable();
    let decision = answer.json["decision_id"].as_str().unwrap_or("none");
    (answer.status, headers, answer.text.replace(id, "the request").replace(decision, "the decision"))
}

fn summary(answer: &Answer) -> String {
    let errors = answer.json["errors"].as_array().into_iter().flatten();
    let errors: Vec<String> = errors.map(|error| format!("{} {} {}", error["pointer"], error["code"], error["message"])).collect();
    format!("{} {} {}", answer.status, answer.json["code"], errors.join(", "))
}

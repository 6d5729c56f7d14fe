//! What clients ask of lists, and how the answers are read: page after page, as a client does.

use std::collections::BTreeSet;

use serde_json::Value;
use tests::{Answer, Client, url};

use super::{
    conditions::{Condition, Maker, Reader},
    random::Random,
    world::{DATES, DECIMALS, INTEGERS, NUMBERS, STATES, TAGS, TEXTS, THINGS, TIMES, World},
};

/// What lists are expanded by, when they are.
pub const EXPANDED: [&str; 2] = ["owner", "peers"];

/// A list that somebody asks for.
pub struct Question {
    pub filter: Option<Condition>,
    /// Parameters of fields: the field, the name, the value.
    pub tests: Vec<(&'static str, &'static str, String)>,
    /// Whether the people of a record are shown beside it.
    pub expands: bool,
    /// As in the query: `-price,title`.
    pub sort: Vec<String>,
    pub limit: usize,
    /// None means all.
    pub fields: Option<Vec<String>>,
}

/// The records of a list that was walked to its end.
pub struct Walked {
    pub records: Vec<Value>,
    /// What every page said about the total.
    pub totals: Vec<String>,
    pub pages: usize,
}

/// How a list was answered.
pub enum Outcome {
    Walked(Walked),
    Refused(Box<Answer>),
}

impl Question {
    pub fn random(random: &mut Random, world: &World) -> Self {
        let ids: Vec<String> = world.records.keys().cloned().collect();
        let filter = random.percent(85).then(|| {
            let levels = *random.one(&[0, 0, 0, 1, 1, 2, 3]);
            Maker { random, people: &world.people, ids: &ids, policy: false }.condition(levels)
        });
        let sortable: Vec<&String> = world.fields.iter().filter(|field| !["tags", "data", "peers"].contains(&field.as_str())).collect();
        let mut sort: Vec<String> = random.some(&sortable, 0, 2).into_iter().cloned().collect();
        if random.percent(20) {
            sort.insert(random.below(sort.len() + 1), "id".to_owned());
        }
        let sort = sort.into_iter().map(|field| if random.percent(50) { format!("-{field}") } else { field }).collect();
        let fields = random.percent(25).then(|| random.some(&world.fields, 1, 6));
        let tests = if random.percent(35) { tests(random, world) } else { Vec::new() };
        let expands = random.percent(25);
        Self { filter, tests, expands, sort, limit: *random.one(&[2, 3, 5, 7, 10, 30, 30, 1000]), fields }
    }

    /// The fields of the record that somebody must be able to read who asks this, once for each parameter that names them.
    ///
    /// Names of parameters of fields stand without the `/`.
    pub fn looks_at(&self) -> Vec<(&str, &str)> {
        let filtered: BTreeSet<&str> = self.filter.iter().flat_map(Condition::fields).collect();
        let sorted = self.sort.iter().map(|key| key.trim_start_matches('-'));
        let named = filtered.into_iter().map(|field| (field, "/filter")).chain(sorted.map(|field| (field, "/sort")));
        let named = named.chain(self.tests.iter().map(|(field, name, _)| (*field, *name)));
        named.filter(|(field, _)| *field != "id").collect()
    }

    /// True if the filter means different things to different people.
    pub fn is_personal(&self) -> bool {
        self.filter.as_ref().is_some_and(Condition::is_personal)
    }

    /// The query for this reader, without the size of a page.
    pub fn query(&self, reader: &Reader<'_>) -> Vec<(&'static str, String)> {
        let mut query = Vec::new();
        query.extend(self.filter.as_ref().map(|filter| ("filter", filter.text(reader))));
        query.extend(self.tests.iter().map(|(_, name, value)| (*name, value.clone())));
        query.extend((!self.sort.is_empty()).then(|| ("sort", self.sort.join(","))));
        query
    }

    /// Asks, and follows the cursor to the end.
    pub async fn walk(&self, client: &Client) -> Outcome {
        let mut query = self.query(&Reader::Filter);
        query.extend([("limit", self.limit.to_string()), ("count", "exact".to_owned())]);
        query.extend(self.expands.then(|| ("expand", EXPANDED.join(","))));
        query.extend(self.fields.as_ref().map(|fields| ("fields", fields.join(","))));
        let mut walked = Walked { records: Vec::new(), totals: Vec::new(), pages: 0 };
        let mut cursor: Option<String> = None;
        loop {
            let page: Vec<(&str, &str)> = query.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let page = page.into_iter().chain(cursor.as_deref().map(|cursor| ("cursor", cursor))).collect::<Vec<_>>();
            let answer = client.query(&format!("/api/records/{THINGS}"), &page).await;
            if answer.status != 200 {
                return Outcome::Refused(Box::new(answer));
            }
            walked.pages += 1;
            walked.totals.push(answer.header("x-total-count").unwrap_or("none").to_owned());
            cursor = answer.header("x-next-cursor").map(str::to_owned);
            let records = answer.list();
            assert!(cursor.is_none() || records.len() == self.limit, "a page in the middle has gaps: {query:?}");
            walked.records.extend(records);
            assert!(walked.pages < 1_000, "the walk does not end: {query:?}");
            if cursor.is_none() {
                return Outcome::Walked(walked);
            }
        }
    }

    /// The address, for messages.
    pub fn text(&self) -> String {
        let query = self.query(&Reader::Filter);
        let shown: Vec<String> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("{} limit={} fields={:?} expands={}", shown.join(" "), self.limit, self.fields, self.expands)
    }
}

/// One or two parameters of fields, with values that are stored somewhere.
fn tests(random: &mut Random, world: &World) -> Vec<(&'static str, &'static str, String)> {
    let text = |random: &mut Random| random.pick(&TEXTS[1..8]).to_owned();
    let mut found: Vec<(&'static str, &'static str, String)> = Vec::new();
    for _ in 0..=random.below(2) {
        let test = match random.below(16) {
            0 => ("title", "title", text(random)),
            1 => ("title", "title_like", random.pick(&["a", "b", "é", "1"]).to_owned()),
            2 => ("note", "note_ne", text(random)),
            3 => ("note", "note_null", random.pick(&["true", "false"]).to_owned()),
            4 => ("amount", "amount_gte", random.one(&INTEGERS).to_string()),
            5 => ("amount", "amount_in", format!("{},{}", random.one(&INTEGERS), random.one(&INTEGERS))),
            6 => ("ratio", "ratio_lt", random.one(&NUMBERS).to_string()),
            7 => ("price", "price_gt", random.pick(&DECIMALS).to_owned()),
            8 => ("active", "active", random.pick(&["true", "false"]).to_owned()),
            9 => ("at", "at_lte", random.pick(&TIMES).to_owned()),
            10 => ("day", "day_gte", random.pick(&DATES).to_owned()),
            11 => ("state", "state_ne", random.pick(&STATES).to_owned()),
            12 => ("tags", "tags", random.pick(&TAGS).to_owned()),
            13 => ("owner", "owner", random.one(&world.people.ids).clone()),
            14 => ("peers", "peers_in", format!("{},{}", random.one(&world.people.ids), random.one(&world.people.ids))),
            _ => ("created", "created_gt", random.pick(&TIMES).to_owned()),
        };
        if !found.iter().any(|(_, name, _)| *name == test.1) {
            found.push(test);
        }
    }
    found
}

/// The ids that an admin finds, in order.
pub async fn found(admin: &Client, query: &[(&str, String)]) -> Vec<String> {
    let query: Vec<(&str, &str)> = query.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let query: Vec<(&str, &str)> = query.into_iter().chain([("limit", "1000"), ("fields", "id")]).collect();
    let records = admin.get(&url(&format!("/api/records/{THINGS}"), &query)).await.list();
    records.iter().filter_map(|record| record["id"].as_str().map(str::to_owned)).collect()
}

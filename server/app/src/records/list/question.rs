//! What a client asks of a list, as text and read against the collection.

use std::sync::Arc;

use model::{
    Collection, Condition, FieldType, Pointer, Violations,
    condition::Scope,
    parameters::{self, Operator, Parameter},
    query::{LIMIT_MAX, List, SortKey, Start},
};

use super::{LIMIT_DEFAULT, OFFSET_MAX, cursor};
use crate::Error;

/// The most parameters of fields in one question: each is a test in the query.
const TESTS_MAX: usize = 50;

/// The longest text that is searched for, in bytes.
const SEARCH_MAX_BYTES: usize = 1_000;

/// What a client asks, as text; empty texts count as absent.
#[derive(Clone, Debug, Default)]
pub struct Question {
    pub(crate) filter: Option<String>,
    pub(crate) sort: Option<String>,
    pub(crate) limit: Option<String>,
    pub(crate) offset: Option<String>,
    pub(crate) cursor: Option<String>,
    pub(crate) fields: Option<String>,
    pub(crate) count: Option<String>,
    pub(crate) expand: Option<String>,
    pub(crate) search: Option<String>,
    /// Parameters that are named after fields, or after nothing.
    pub(crate) tests: Vec<Test>,
    pub(crate) words: Words,
}

/// A parameter that is not one of every list.
#[derive(Clone, Debug)]
pub(crate) struct Test {
    /// The parameter of the request that it came in.
    pub(crate) parameter: String,
    pub(crate) name: String,
    /// None if it was named without a value, which counts as absent unless there is no such parameter.
    pub(crate) values: Option<Vec<String>>,
}

/// What the client calls the parts of its question, so that messages name what it has sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Words {
    pub(crate) sort: &'static str,
    pub(crate) limit: &'static str,
    pub(crate) offset: &'static str,
    pub(crate) search: &'static str,
    /// It turns pages by cursor; others count.
    pub(crate) cursor: bool,
}

impl Default for Words {
    fn default() -> Self {
        Self { sort: "sort", limit: "limit", offset: "offset", search: "search", cursor: true }
    }
}

/// A question that has been read.
pub(in crate::records) struct Parsed {
    pub(in crate::records) list: List,
    pub(in crate::records) fields: Option<Vec<String>>,
    /// The text whose words are searched for.
    pub(super) search: Option<String>,
    pub(super) counted: bool,
    /// The fields that it looks at, with the parameters that do.
    pub(super) looks: Vec<(String, String)>,
}

impl Parsed {
    /// True if the best match comes first.
    pub(super) fn is_ranked(&self) -> bool {
        self.search.is_some() && self.list.sort.is_empty()
    }
}

/// Reads a question against the collection and reports everything that is wrong with it.
pub(in crate::records) fn parse(collection: &Collection, question: &Question) -> Result<Parsed, Error> {
    let mut violations = Violations::default();
    let words = question.words;
    let filter = given(&question.filter).and_then(|text| parse_filter(collection, text, &mut violations));
    let tests = parse_tests(collection, &question.tests, &mut violations);
    let sort = given(&question.sort).map_or_else(Vec::new, |text| parse_sort(collection, text, words.sort, &mut violations));
    let search = given(&question.search).and_then(|text| parse_search(collection, text, words.search, &mut violations));
    let ranked = search.is_some() && sort.is_empty();
    let default = tests.iter().map(Asked::ids).max().unwrap_or_default().clamp(LIMIT_DEFAULT, LIMIT_MAX);
    let limit = parse_number(words.limit, &question.limit, default, 1, LIMIT_MAX, &mut violations);
    let offset = parse_number(words.offset, &question.offset, 0, 0, OFFSET_MAX, &mut violations);
    let start = match given(&question.cursor) {
        Some(_) if given(&question.offset).is_some() => {
            violations.add(Pointer::field("cursor"), "query.value", "`cursor` and `offset` exclude each other");
            Start::Beginning
        }
        Some(text) => if ranked { cursor::read_ranked(text) } else { cursor::read(collection, &sort, text) }.unwrap_or_else(|| {
            violations.add(
                Pointer::field("cursor"),
                "query.cursor",
                "this cursor was not made for this collection and `sort`, or has expired",
            );
            Start::Beginning
        }),
        None if offset > 0 => Start::Offset(offset),
        None => Start::Beginning,
    };
    let fields = given(&question.fields).map(|text| parse_fields(collection, text, &mut violations));
    let counted = match given(&question.count) {
        None | Some("none") => false,
        Some("exact") => true,
        Some(other) => {
            violations.add(Pointer::field("count"), "query.value", format!("`{other}` is neither `none` nor `exact`"));
            false
        }
    };
    let filtered = filter.iter().flat_map(|filter| filter.fields()).map(|field| (field.to_owned(), "filter".to_owned()));
    let tested = tests.iter().map(|asked| (asked.parameter.field().to_owned(), asked.name.clone()));
    let sorted = sort.iter().map(|key| (key.field.clone(), words.sort.to_owned()));
    let searched = search.iter().flat_map(|_| collection.search()).map(|field| (field.clone(), words.search.to_owned()));
    let looks = filtered.chain(tested).chain(sorted).chain(searched).collect();
    let conditions = filter.into_iter().chain(tests.into_iter().map(|asked| asked.condition)).collect();
    let list = List { filter: Condition::all(conditions).map(Arc::new), sort, limit, start };
    violations.or(Parsed { list, fields, search, counted, looks }).map_err(Error::Query)
}

/// A parameter of a field that was read.
struct Asked<'a> {
    parameter: Parameter<'a>,
    condition: Condition,
    /// What it is called in the request.
    name: String,
    values: usize,
}

impl Asked<'_> {
    /// How many ids it asks for: whoever names records wants all of them.
    fn ids(&self) -> usize {
        let by_id = self.parameter.field() == "id" && self.parameter.operator() == Operator::Equal;
        if by_id { self.values } else { 0 }
    }
}

fn parse_tests<'a>(collection: &'a Collection, tests: &[Test], violations: &mut Violations) -> Vec<Asked<'a>> {
    let mut read = Vec::new();
    for test in tests {
        let pointer = Pointer::field(&test.parameter);
        let Some(parameter) = parameters::find(collection, &test.name) else {
            violations.add(pointer, "query.unknown", format!("unknown query parameter `{}`", test.name));
            continue;
        };
        let Some(values) = &test.values else { continue };
        match parameter.condition(collection, values) {
            Ok(condition) => read.push(Asked { parameter, condition, name: test.parameter.clone(), values: values.len() }),
            Err(reason) => violations.add(pointer, "query.value", reason),
        }
    }
    if let Some(test) = tests.iter().filter(|test| test.values.is_some()).nth(TESTS_MAX) {
        violations.add(Pointer::field(&test.parameter), "query.limit", format!("more than {TESTS_MAX} parameters of fields"));
    }
    read
}

pub(in crate::records) fn given(text: &Option<String>) -> Option<&str> {
    text.as_deref().map(str::trim).filter(|text| !text.is_empty())
}

pub(in crate::records) fn parse_filter(collection: &Collection, text: &str, violations: &mut Violations) -> Option<Condition> {
    match Condition::parse(text, Scope::Filter).and_then(|condition| condition.check(collection)) {
        Ok(condition) => Some(condition),
        Err(error) => {
            violations.add(Pointer::field("filter"), "query.filter", error.to_string());
            None
        }
    }
}

/// The text is taken as it is; what its words are is for the store to say.
fn parse_search(collection: &Collection, text: &str, parameter: &str, violations: &mut Violations) -> Option<String> {
    let pointer = Pointer::field(parameter);
    if collection.search().is_empty() {
        violations.add(pointer, "query.unknown", format!("`{parameter}`: no field of `{}` can be searched", collection.name()));
    } else if text.contains('\0') || text.len() > SEARCH_MAX_BYTES {
        violations.add(pointer, "query.value", format!("expected words, at most {SEARCH_MAX_BYTES} bytes of them"));
    } else {
        return Some(text.to_owned());
    }
    None
}

fn parse_sort(collection: &Collection, text: &str, parameter: &str, violations: &mut Violations) -> Vec<SortKey> {
    let mut keys: Vec<SortKey> = Vec::new();
    for part in text.split(',').map(str::trim) {
        let (field, descending) = part.strip_prefix('-').map_or((part, false), |field| (field, true));
        let sortable = match collection.field_type(field) {
            Some(FieldType::Json | FieldType::Password) | None => false,
            Some(_) => collection.field(field).is_none_or(|field| !field.many && !field.is_secret()),
        };
        if !sortable {
            let message = format!("`{field}` is not a field of `{}` that can be sorted by", collection.name());
            violations.add(Pointer::field(parameter), "query.sort", message);
        } else if keys.iter().any(|key| key.field == field) {
            violations.add(Pointer::field(parameter), "query.sort", format!("`{field}` stands twice"));
        } else {
            keys.push(SortKey { field: field.to_owned(), descending });
        }
    }
    if keys.len() > 4 {
        violations.add(Pointer::field(parameter), "query.sort", "at most four fields can be sorted by");
    }
    keys
}

/// The names of fields that are to be shown.
pub(in crate::records) fn parse_fields(collection: &Collection, text: &str, violations: &mut Violations) -> Vec<String> {
    let names: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
    for name in &names {
        if collection.field_type(name).is_none() {
            let message = format!("`{name}` is not a field of `{}`", collection.name());
            violations.add(Pointer::field("fields"), "query.value", message);
        }
    }
    names
}

pub(in crate::records) fn parse_number(
    name: &str,
    text: &Option<String>,
    default: usize,
    min: usize,
    max: usize,
    violations: &mut Violations,
) -> usize {
    let Some(text) = given(text) else { return default };
    match text.parse::<usize>() {
        Ok(number) if (min..=max).contains(&number) => number,
        _ => {
            violations.add(Pointer::field(name), "query.value", format!("`{text}` is not a whole number from {min} to {max}"));
            default
        }
    }
}

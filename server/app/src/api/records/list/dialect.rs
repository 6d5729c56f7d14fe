//! In whose words a list is asked for. Three kinds of clients are understood, told apart by parameters that only one of them has: those of
//! this API, of `ra-data-simple-rest`, and of json-server (`ra-data-json-server`, `@refinedev/simple-rest`). What the dialects share are
//! the parameters of fields, `fields`, `expand` and `search`.

use indexmap::IndexMap;
use model::{Pointer, Violations};

use super::{json_server, simple_rest};
use crate::{
    Error,
    records::list::{Question, Test},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    Own,
    SimpleRest,
    JsonServer,
}

/// The parameters of a request by name. Texts of nothing but spaces count as absent, but their names are still known.
pub(super) struct Asked {
    parameters: IndexMap<String, Vec<String>>,
}

/// Reads the question, whatever the dialect.
///
/// # Errors
/// Every parameter that cannot be read, that is of another dialect than the rest, or that stands twice and means one thing only.
pub(super) fn question(pairs: impl Iterator<Item = (String, String)>) -> Result<Question, Error> {
    let mut asked = Asked::gather(pairs);
    let mut violations = Violations::default();
    let dialect = asked.dialect(&mut violations);
    let mut question = match dialect {
        Dialect::Own => own(&mut asked, &mut violations),
        Dialect::SimpleRest => simple_rest::question(&mut asked, &mut violations),
        Dialect::JsonServer => json_server::question(&mut asked, &mut violations),
    };
    question.fields = asked.take("fields", &mut violations);
    question.expand = asked.take("expand", &mut violations);
    if let Some(search) = asked.take("search", &mut violations) {
        if question.search.replace(search).is_some() {
            violations.add(Pointer::field("search"), "query.value", format!("`search` and `{}` mean the same", question.words.search));
        }
        question.words.search = "search";
    }
    // What another dialect has a word for is no field, and empty it is nothing at all.
    asked.parameters.retain(|name, values| !values.is_empty() || dialect_of(name, "").is_none());
    let tests = asked.parameters.into_iter().map(|(name, values)| Test {
        parameter: name.clone(),
        name,
        values: (!values.is_empty()).then_some(values),
    });
    question.tests.extend(tests);
    violations.or(question).map_err(Error::Query)
}

fn own(asked: &mut Asked, violations: &mut Violations) -> Question {
    let mut take = |name: &str| asked.take(name, violations);
    Question {
        filter: take("filter"),
        sort: take("sort"),
        limit: take("limit"),
        offset: take("offset"),
        cursor: take("cursor"),
        count: take("count"),
        ..Question::default()
    }
}

impl Asked {
    fn gather(pairs: impl Iterator<Item = (String, String)>) -> Self {
        let mut parameters: IndexMap<String, Vec<String>> = IndexMap::new();
        for (name, value) in pairs {
            parameters.entry(name).or_default().extend(Some(value).filter(|value| !value.trim().is_empty()));
        }
        Self { parameters }
    }

    /// Takes a parameter that means one thing. What is absent is taken, too, so that what is left are parameters of fields.
    pub(super) fn take(&mut self, name: &str, violations: &mut Violations) -> Option<String> {
        let mut values = self.parameters.shift_remove(name)?;
        if values.len() > 1 {
            violations.add(Pointer::field(name), "query.value", format!("`{name}` stands twice"));
        }
        values.pop()
    }

    /// The dialect of the first parameter that tells; the others must not be of another one.
    fn dialect(&self, violations: &mut Violations) -> Dialect {
        let telling = self.parameters.iter().filter_map(|(name, values)| Some((name, dialect_of(name, values.first()?)?)));
        let telling: Vec<_> = telling.collect();
        let Some((first, dialect)) = telling.first() else { return Dialect::Own };
        for (name, _) in telling.iter().filter(|(_, other)| other != dialect) {
            let message = format!("`{name}` and `{first}` are of different dialects: use the words of one");
            violations.add(Pointer::field(name), "query.value", message);
        }
        *dialect
    }
}

/// The dialect of a parameter that only one of them has.
fn dialect_of(name: &str, value: &str) -> Option<Dialect> {
    let json = |start: char| value.trim_start().starts_with(start);
    match name {
        "range" => Some(Dialect::SimpleRest),
        "sort" if json('[') => Some(Dialect::SimpleRest),
        "filter" if json('{') => Some(Dialect::SimpleRest),
        "filter" | "sort" | "limit" | "offset" | "cursor" | "count" => Some(Dialect::Own),
        "_sort" | "_order" | "_start" | "_end" | "_page" | "_limit" | "_per_page" | "q" => Some(Dialect::JsonServer),
        _ => None,
    }
}

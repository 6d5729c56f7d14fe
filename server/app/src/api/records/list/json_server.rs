//! What clients of json-server send (`ra-data-json-server`, `@refinedev/simple-rest`): `_sort=title&_order=ASC&_start=0&_end=10`, or pages
//! with `_page` and `_limit` or `_per_page`; `q` searches. They need the total, in `X-Total-Count`.

use model::{Pointer, Violations, query::LIMIT_MAX};

use super::dialect::Asked;
use crate::records::list::{OFFSET_MAX, Question, Words};

/// How many records a page of json-server has when nobody says.
const PAGE_DEFAULT: usize = 10;

pub(super) fn question(asked: &mut Asked, violations: &mut Violations) -> Question {
    let mut question = Question { count: Some("exact".to_owned()), ..Question::default() };
    question.words = Words { sort: "_sort", limit: "_end", offset: "_start", search: "q", cursor: false };
    question.sort = sort(asked, violations);
    question.search = asked.take("q", violations);
    let mut numbers = Numbers { asked, violations };
    let (start, end) = (numbers.take("_start", 0), numbers.take("_end", 1));
    let (page, limit, per_page) = (numbers.take("_page", 1), numbers.take("_limit", 1), numbers.take("_per_page", 1));
    numbers.exclude("_per_page", per_page, "_limit", limit);
    let size = limit.or(per_page);
    if size.is_some() {
        question.words.limit = if limit.is_some() { "_limit" } else { "_per_page" };
        numbers.exclude(question.words.limit, size, "_end", end);
    }
    numbers.exclude("_page", page, "_start", start);
    numbers.exclude("_page", page, "_end", end);
    let first = start.unwrap_or_default();
    let (offset, count) = match (page, end) {
        (Some(page), _) => {
            question.words.offset = "_page";
            let size = size.unwrap_or(PAGE_DEFAULT);
            (numbers.behind_pages(page - 1, size), size)
        }
        (None, Some(end)) => (first, numbers.between(start, end)),
        (None, None) => (first, size.unwrap_or(LIMIT_MAX)),
    };
    (question.offset, question.limit) = (Some(offset.to_string()), Some(count.to_string()));
    question
}

/// The fields of `_sort` with the directions of `_order`, as this API writes them.
fn sort(asked: &mut Asked, violations: &mut Violations) -> Option<String> {
    let (fields, orders) = (asked.take("_sort", violations), asked.take("_order", violations));
    let orders: Vec<String> = orders.iter().flat_map(|text| text.split(',')).map(|order| order.trim().to_ascii_lowercase()).collect();
    let fields: Vec<&str> = fields.iter().flat_map(|text| text.split(',')).map(str::trim).collect();
    if orders.len() > fields.len() || orders.iter().any(|order| !["asc", "desc"].contains(&order.as_str())) {
        violations.add(Pointer::field("_order"), "query.value", "expected `asc` or `desc` for each field of `_sort`");
        return None;
    }
    let keys: Vec<String> = fields.iter().enumerate().map(|(at, field)| key(field, orders.get(at).map(String::as_str))).collect();
    (!keys.is_empty()).then(|| keys.join(","))
}

fn key(field: &str, order: Option<&str>) -> String {
    match order {
        Some("desc") => format!("-{field}"),
        _ => field.to_owned(),
    }
}

struct Numbers<'a> {
    asked: &'a mut Asked,
    violations: &'a mut Violations,
}

impl Numbers<'_> {
    fn take(&mut self, name: &str, min: usize) -> Option<usize> {
        let text = self.asked.take(name, self.violations)?;
        let number = text.trim().parse::<usize>().ok().filter(|number| *number >= min);
        if number.is_none() {
            self.violations.add(Pointer::field(name), "query.value", format!("`{text}` is not a whole number from {min}"));
        }
        number
    }

    /// How many records so many pages have.
    fn behind_pages(&mut self, pages: usize, size: usize) -> usize {
        let offset = pages.saturating_mul(size);
        if offset > OFFSET_MAX {
            let message = format!("{pages} pages of {size} come before page {}, and at most {OFFSET_MAX} records may", pages + 1);
            self.violations.add(Pointer::field("_page"), "query.value", message);
        }
        offset
    }

    /// How many records lie between the two. Without a start the end is their number, and is read as one.
    fn between(&mut self, start: Option<usize>, end: usize) -> usize {
        let Some(start) = start else { return end };
        let message = if end <= start {
            format!("`_end` ({end}) is not greater than `_start` ({start})")
        } else if end - start > LIMIT_MAX {
            format!("from `_start` ({start}) to `_end` ({end}) there are more than {LIMIT_MAX} records")
        } else {
            return end - start;
        };
        self.violations.add(Pointer::field("_end"), "query.value", message);
        0
    }

    fn exclude(&mut self, name: &str, value: Option<usize>, other: &str, other_value: Option<usize>) {
        if value.is_some() && other_value.is_some() {
            self.violations.add(Pointer::field(name), "query.value", format!("`{name}` and `{other}` exclude each other"));
        }
    }
}

//! Groups of records, computed by the database in one statement. What its functions do wrong (SurrealDB 3.3.5, read in its source) is kept
//! from them: `math::sum` panics beyond 64 bits of integers or 28 digits of decimals, and rounds before; `math::mean` is a float. So
//! integers are added as decimals, decimals as far as no digit can be lost, and the few others are added here; means are divided here.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc, Weekday};
use model::{
    Collection, Field, FieldType, Value,
    aggregate::{Aggregate, Function, GROUPS_MAX, Group, Measure, Part},
    value::Object,
};
use rust_decimal::{Decimal, prelude::ToPrimitive};
use surrealdb::types::{Number, Value as Stored};

use super::{Ground, wanted};
use crate::{
    Error,
    row::{Row, rows},
    transaction::{Binds, Run},
    value::from_stored,
};

/// How long the database may work at one question, in seconds.
pub const TIME_MAX_S: u32 = 10;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// There are more groups than [`GROUPS_MAX`].
    #[error("more than {GROUPS_MAX} groups")]
    TooMany,
    /// It took longer than [`TIME_MAX_S`].
    #[error("more than {TIME_MAX_S} seconds")]
    TooSlow,
    /// A result has more digits than its type can hold.
    #[error("`{0}` has more digits than its type can hold")]
    Overflow(String),
    /// The database did not do it.
    #[error(transparent)]
    Store(#[from] Error),
}

/// Computes all groups, in ascending order of what they are grouped by.
///
/// # Errors
/// See [`Failure`].
pub async fn aggregate(run: &impl Run, collection: &Collection, ground: Ground<'_>, asked: &Aggregate) -> Result<Vec<Object>, Failure> {
    let mut binds = Binds::new();
    let found = match wanted(collection, ground, asked.filter.as_deref(), &mut binds) {
        None => Vec::new(),
        Some(wanted) => {
            binds.extend(bounds());
            let text = statement(collection, asked, &wanted);
            let values = run.run(text, binds).await.map_err(too_slow)?;
            values.into_iter().flat_map(rows).collect()
        }
    };
    if found.len() > GROUPS_MAX {
        return Err(Failure::TooMany);
    }
    if found.is_empty() && asked.groups.is_empty() {
        return Ok(vec![results(collection, asked, &mut Row::new(Stored::Object(surrealdb::types::Object::new()))?)?]);
    }
    found.into_iter().map(|row| results(collection, asked, &mut Row::new(row)?)).collect()
}

/// The wording is pinned with the version.
pub(super) fn too_slow(error: Error) -> Failure {
    match error {
        Error::Database(message) if message.contains("exceeded the timeout") => Failure::TooSlow,
        other => Failure::Store(other),
    }
}

fn statement(collection: &Collection, asked: &Aggregate, wanted: &str) -> String {
    let mut parts: Vec<String> = asked.groups.iter().enumerate().map(|(at, group)| group_expression(at, group)).collect();
    // The names of the columns say what they hold, so that nothing is computed twice: `sum` and `avg` share theirs.
    let columns: BTreeMap<String, String> = asked.measures.iter().flat_map(|measure| expressions(collection, measure)).collect();
    parts.push("count() AS `_records`".to_owned());
    parts.extend(columns.into_iter().map(|(name, expression)| format!("{expression} AS `{name}`")));
    let keys: Vec<String> = (0..asked.groups.len()).map(|at| format!("`_g{at}`")).collect();
    let by = if keys.is_empty() { "GROUP ALL".to_owned() } else { format!("GROUP BY {}", keys.join(", ")) };
    let limit = GROUPS_MAX + 1;
    format!("SELECT {} FROM `{}` WHERE {wanted} {by} LIMIT {limit} TIMEOUT {TIME_MAX_S}s", parts.join(", "), collection.table())
}

/// A null and a missing value are one group. Times are canonical text, so their parts are pieces of it.
fn group_expression(at: usize, group: &Group) -> String {
    let column = column(&group.field);
    let cut = |length: usize| format!("IF type::is_string({column}) THEN string::slice({column}, 0, {length}) END");
    let expression = match group.part {
        Part::Whole => format!("({column} ?? NONE)"),
        Part::Day => cut(10),
        Part::Month => cut(7),
        Part::Year => cut(4),
        Part::Week => {
            let midnight = format!("type::datetime(string::concat(string::slice({column}, 0, 10), 'T00:00:00Z'))");
            format!("IF type::is_string({column}) THEN time::format({midnight}, '%G-%V') END")
        }
    };
    format!("{expression} AS `_g{at}`")
}

/// What the database computes for a measure, by the name of the column.
fn expressions(collection: &Collection, measure: &Measure) -> Vec<(String, String)> {
    let Some(field) = &measure.field else { return Vec::new() };
    let column = column(field);
    let kind = collection.field_type(field);
    let named = |prefix: &str, expression: String| (format!("_{prefix}_{field}"), expression);
    let numbers = named("numbers", format!("count(type::is_number({column}))"));
    match measure.function {
        Function::Count => vec![named("filled", format!("count(({column} ?? NONE) != NONE)"))],
        Function::Sum | Function::Avg => match kind {
            Some(FieldType::Number) => {
                vec![numbers, named("sum", format!("math::sum(IF type::is_number({column}) THEN <float> {column} END)"))]
            }
            Some(FieldType::Integer) => {
                vec![numbers, named("sum", format!("math::sum(IF type::is_number({column}) THEN <decimal> {column} END)"))]
            }
            _ => {
                let (tame, wild) = decimal_sums(&column);
                vec![numbers, named("sum", tame), named("wild", wild)]
            }
        },
        Function::Min | Function::Max => {
            let prefix = if measure.function == Function::Min { "min" } else { "max" };
            vec![named(prefix, extreme(prefix, kind, &column))]
        }
    }
}

fn extreme(function: &str, kind: Option<FieldType>, column: &str) -> String {
    let moment = match kind {
        Some(FieldType::Datetime) => column.to_owned(),
        Some(FieldType::Date) => format!("string::concat({column}, 'T00:00:00Z')"),
        _ => return format!("math::{function}({column})"),
    };
    format!("time::{function}(IF type::is_string({column}) THEN type::datetime({moment}) END)")
}

/// Tame decimals are below 10^13 and have at most 8 digits after the point: ten million of them have a sum of at most 28 digits, so that
/// the database adds them exactly. The others come one by one, with the key of their record, since only distinct elements are kept.
fn decimal_sums(column: &str) -> (String, String) {
    let branches = |large: &str, tame: &str, fine: &str| {
        format!(
            "IF type::is_number({column}) = false THEN NONE ELSE IF {column} <= $tame_min OR {column} >= $tame_max THEN {large} \
             ELSE IF (<decimal> {column}) % $tame_step = $tame_rest THEN {tame} ELSE {fine} END"
        )
    };
    let value = format!("<decimal> {column}");
    let one = format!("[`_key`, {value}]");
    (format!("math::sum({})", branches("NONE", &value, "NONE")), format!("array::distinct({})", branches(&one, "NONE", &one)))
}

fn bounds() -> [(String, Stored); 4] {
    let decimal = |name: &str, value: Decimal| (name.to_owned(), Stored::Number(Number::Decimal(value)));
    let max = Decimal::from(10_000_000_000_000_i64);
    [decimal("tame_max", max), decimal("tame_min", -max), decimal("tame_step", Decimal::new(1, 8)), decimal("tame_rest", Decimal::ZERO)]
}

/// Names come from the checked collection, so there is nothing to escape.
fn column(field: &str) -> String {
    if field == "id" { "`_key`".to_owned() } else { format!("`{field}`") }
}

/// The results of one row of the database.
fn results(collection: &Collection, asked: &Aggregate, row: &mut Row) -> Result<Object, Failure> {
    let mut results = Object::with_capacity(asked.groups.len() + asked.measures.len());
    for (at, group) in asked.groups.iter().enumerate() {
        let stored = row.take(&format!("_g{at}")).and_then(from_stored).unwrap_or_default();
        results.insert(group.name(), group_value(collection.field(&group.field), group.part, stored));
    }
    let columns = Columns::read(collection, asked, row)?;
    for measure in &asked.measures {
        let value = columns.value(collection, measure).ok_or_else(|| Failure::Overflow(measure.name()))?;
        results.insert(measure.name(), value);
    }
    Ok(results)
}

fn group_value(field: Option<&Field>, part: Part, stored: Value) -> Value {
    match (part, stored) {
        (Part::Month, Value::Text(month)) => Value::Text(format!("{month}-01")),
        (Part::Year, Value::Text(year)) => Value::Text(format!("{year}-01-01")),
        (Part::Week, Value::Text(week)) => monday(&week).map_or(Value::Null, |day| Value::Text(date_text(day))),
        (_, Value::Integer(integer)) if is_decimal(field) => Value::Decimal(shown(field, Decimal::from(integer))),
        (_, Value::Decimal(decimal)) => Value::Decimal(shown(field, decimal)),
        (_, other) => other,
    }
}

fn is_decimal(field: Option<&Field>) -> bool {
    field.is_some_and(|field| field.kind == FieldType::Decimal)
}

/// The digits that a record was written with are its own; what many have in common has those of the field, or as few as it can.
fn shown(field: Option<&Field>, decimal: Decimal) -> Decimal {
    let plain = decimal.normalize();
    field.map_or(plain, |field| field.scaled(plain))
}

/// The first day of an ISO week such as `2026-47`.
fn monday(week: &str) -> Option<NaiveDate> {
    let (year, week) = week.rsplit_once('-')?;
    NaiveDate::from_isoywd_opt(year.parse().ok()?, week.parse().ok()?, Weekday::Mon)
}

fn date_text(day: NaiveDate) -> String {
    day.format("%Y-%m-%d").to_string()
}

/// What the database has computed, each once, however many measures use it.
struct Columns {
    records: i64,
    values: BTreeMap<String, Stored>,
}

impl Columns {
    fn read(collection: &Collection, asked: &Aggregate, row: &mut Row) -> Result<Self, Error> {
        let records = row.take("_records").map_or(Ok(0), |stored| integer(&stored))?;
        let names = asked.measures.iter().flat_map(|measure| expressions(collection, measure)).map(|(name, _)| name);
        let values = names.filter_map(|name| row.take(&name).map(|value| (name, value))).collect();
        Ok(Self { records, values })
    }

    fn of(&self, prefix: &str, field: &str) -> Option<&Stored> {
        self.values.get(&format!("_{prefix}_{field}"))
    }

    fn count(&self, prefix: &str, field: &str) -> i64 {
        self.of(prefix, field).and_then(|stored| integer(stored).ok()).unwrap_or(0)
    }

    /// The result; none if it does not fit its type.
    fn value(&self, collection: &Collection, measure: &Measure) -> Option<Value> {
        let Some(name) = &measure.field else { return Some(Value::Integer(self.records)) };
        let field = collection.field(name);
        match measure.function {
            Function::Count => Some(Value::Integer(self.count("filled", name))),
            Function::Min => Some(extreme_value(collection, name, self.of("min", name))),
            Function::Max => Some(extreme_value(collection, name, self.of("max", name))),
            Function::Sum | Function::Avg => match self.count("numbers", name) {
                0 => Some(Value::Null),
                count if field.is_some_and(|field| field.kind == FieldType::Number) => self.float(measure.function, name, count),
                count => self.exact(measure.function, name, count, field),
            },
        }
    }

    fn float(&self, function: Function, name: &str, count: i64) -> Option<Value> {
        let Some(Value::Number(sum)) = self.of("sum", name).cloned().and_then(from_stored) else { return None };
        // A count of records is far below the 2^53 from which floats skip numbers.
        Some(Value::Number(if function == Function::Avg { sum / count as f64 } else { sum }))
    }

    fn exact(&self, function: Function, name: &str, count: i64, field: Option<&Field>) -> Option<Value> {
        let mut sum = self.of("sum", name).map_or(Some(Decimal::ZERO), decimal)?;
        for one in self.of("wild", name).cloned().map(rows).unwrap_or_default() {
            let Stored::Array(pair) = one else { continue };
            sum = add(sum, decimal(pair.into_vec().get(1)?)?)?;
        }
        match (is_decimal(field), function) {
            (true, Function::Avg) => Some(Value::Decimal(sum.checked_div(Decimal::from(count))?.normalize())),
            (true, _) => Some(Value::Decimal(shown(field, sum))),
            (false, Function::Avg) => Some(Value::Number(sum.to_f64()? / count as f64)),
            (false, _) => sum.to_i64().map(Value::Integer),
        }
    }
}

/// Adds without losing a digit, or not at all. The addition of decimals drops digits after the point when there are too many.
fn add(a: Decimal, b: Decimal) -> Option<Decimal> {
    let (a, b) = (a.normalize(), b.normalize());
    a.checked_add(b).filter(|sum| sum.scale() >= a.scale().max(b.scale()))
}

/// The least or the greatest; null where there was nothing to compare, for which the database says infinity.
fn extreme_value(collection: &Collection, name: &str, stored: Option<&Stored>) -> Value {
    let field = collection.field(name);
    match stored.cloned() {
        Some(Stored::Datetime(moment)) => {
            let moment = DateTime::<Utc>::from(moment);
            let date = collection.field_type(name) == Some(FieldType::Date);
            Value::Text(if date { date_text(moment.date_naive()) } else { model::time::datetime_text(moment) })
        }
        Some(Stored::Number(Number::Float(number))) if !number.is_finite() => Value::Null,
        Some(stored) => group_value(field, Part::Whole, from_stored(stored).unwrap_or_default()),
        None => Value::Null,
    }
}

fn decimal(stored: &Stored) -> Option<Decimal> {
    match stored {
        Stored::Number(Number::Int(integer)) => Some(Decimal::from(*integer)),
        Stored::Number(Number::Decimal(decimal)) => Some(*decimal),
        _ => None,
    }
}

fn integer(stored: &Stored) -> Result<i64, Error> {
    match stored {
        Stored::Number(Number::Int(integer)) => Ok(*integer),
        other => Err(Error::Corrupt(format!("expected a count, got {other:?}"))),
    }
}

#[cfg(test)]
mod tests;

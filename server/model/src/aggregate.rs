//! What a client may ask of many records at once: groups, and what is computed of each. The names and types of the results are decided
//! here, so that conditions over them, the store and the API document agree.

use std::sync::Arc;

use crate::{Collection, Condition, Field, FieldType};

/// The most fields that records may be grouped by.
pub const GROUP_BY_MAX: usize = 4;

/// The most values that may be computed of each group.
pub const MEASURES_MAX: usize = 16;

/// The most groups that one question may find, before `having` and `limit`.
pub const GROUPS_MAX: usize = 10_000;

/// What of a field decides about the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The value itself.
    Whole,
    /// Its day, in UTC.
    Day,
    /// The Monday that begins its week (ISO 8601), in UTC.
    Week,
    /// The first day of its month, in UTC.
    Month,
    /// The first day of its year, in UTC.
    Year,
}

impl Part {
    /// The parts of a time, by their word.
    pub const OF_TIMES: [(&'static str, Part); 4] =
        [("day", Part::Day), ("week", Part::Week), ("month", Part::Month), ("year", Part::Year)];

    fn word(self) -> Option<&'static str> {
        Self::OF_TIMES.iter().find(|(_, part)| *part == self).map(|(word, _)| *word)
    }
}

/// A field that records are grouped by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// A declared or system field.
    pub field: String,
    /// What of it.
    pub part: Part,
}

impl Group {
    /// Reads `status` or `month:created`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let Some((word, field)) = text.split_once(':') else { return Some(Self { field: text.to_owned(), part: Part::Whole }) };
        let (_, part) = Part::OF_TIMES.iter().find(|(known, _)| *known == word)?;
        Some(Self { field: field.to_owned(), part: *part })
    }

    /// The name of the result: `status`, `created_month`.
    #[must_use]
    pub fn name(&self) -> String {
        self.part.word().map_or_else(|| self.field.clone(), |word| format!("{}_{word}", self.field))
    }

    /// True if records of the collection can be grouped by it.
    #[must_use]
    pub fn fits(&self, collection: &Collection) -> bool {
        let single = collection.field(&self.field).is_none_or(|field| !field.many && !field.is_secret());
        let kind = collection.field_type(&self.field).filter(|_| single);
        match self.part {
            Part::Whole => kind.is_some_and(|kind| !matches!(kind, FieldType::Json | FieldType::Password)) && self.field != "id",
            Part::Day | Part::Week | Part::Month | Part::Year => matches!(kind, Some(FieldType::Datetime | FieldType::Date)),
        }
    }
}

/// How many values become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// How many records there are, or how many have a value in the field.
    Count,
    /// The sum of the numbers.
    Sum,
    /// Their mean.
    Avg,
    /// The least.
    Min,
    /// The greatest.
    Max,
}

impl Function {
    /// All, by their word.
    pub const ALL: [(&'static str, Function); 5] =
        [("count", Function::Count), ("sum", Function::Sum), ("avg", Function::Avg), ("min", Function::Min), ("max", Function::Max)];

    fn word(self) -> &'static str {
        match self {
            Function::Count => "count",
            Function::Sum => "sum",
            Function::Avg => "avg",
            Function::Min => "min",
            Function::Max => "max",
        }
    }
}

/// A value that is computed of each group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measure {
    /// How.
    pub function: Function,
    /// Of which field; none only for a count of records.
    pub field: Option<String>,
}

impl Measure {
    /// How many records there are.
    #[must_use]
    pub fn records() -> Self {
        Self { function: Function::Count, field: None }
    }

    /// Reads `count` or `sum:total`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (word, field) = text.split_once(':').map_or((text, None), |(word, field)| (word, Some(field.to_owned())));
        let (_, function) = Function::ALL.iter().find(|(known, _)| *known == word)?;
        (field.is_some() || *function == Function::Count).then_some(Self { function: *function, field })
    }

    /// The name of the result: `count`, `sum_total`.
    #[must_use]
    pub fn name(&self) -> String {
        let word = self.function.word();
        self.field.as_ref().map_or_else(|| word.to_owned(), |field| format!("{word}_{field}"))
    }

    /// The type of the result; none if the field has no such value: only numbers are added, and only numbers and times have a least and
    /// a greatest.
    #[must_use]
    pub fn kind(&self, collection: &Collection) -> Option<FieldType> {
        let Some(name) = &self.field else { return Some(FieldType::Integer) };
        let kind = collection.field_type(name)?;
        let field = collection.field(name);
        if field.is_some_and(Field::is_secret) {
            return None;
        }
        let single = field.is_none_or(|field| !field.many);
        match self.function {
            Function::Count => Some(FieldType::Integer),
            Function::Sum => Some(kind).filter(|kind| kind.is_number() && single),
            Function::Avg if kind == FieldType::Integer && single => Some(FieldType::Number),
            Function::Avg => Some(kind).filter(|kind| kind.is_number() && single),
            Function::Min | Function::Max => {
                Some(kind).filter(|kind| single && (kind.is_number() || matches!(kind, FieldType::Datetime | FieldType::Date)))
            }
        }
    }
}

/// A question about all records that match, already resolved against the collection.
///
/// The results of a group are an object with the names of `groups`, then those of `measures`.
#[derive(Clone, Debug, Default)]
pub struct Aggregate {
    /// Only records for which this is true.
    pub filter: Option<Arc<Condition>>,
    /// What groups are made by; empty means that all records are one group, even if there are none.
    pub groups: Vec<Group>,
    /// What is computed.
    pub measures: Vec<Measure>,
}

impl Aggregate {
    /// The results as fields, as a condition sees them.
    #[must_use]
    pub fn fields(&self, collection: &Collection) -> Vec<Field> {
        let groups = self.groups.iter().filter_map(|group| group_field(group, collection));
        let measures = self.measures.iter().filter_map(|measure| Some(Field::new(&measure.name(), measure.kind(collection)?)));
        groups.chain(measures).collect()
    }
}

fn group_field(group: &Group, collection: &Collection) -> Option<Field> {
    let name = group.name();
    if group.part != Part::Whole {
        return Some(Field::new(&name, FieldType::Date));
    }
    let plain = Field::new(&name, collection.field_type(&group.field)?);
    Some(match collection.field(&group.field) {
        Some(field) => Field { values: field.values.clone(), collection: field.collection.clone(), ..plain },
        None => plain,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collection::Definition;

    fn orders() -> Collection {
        let definition = r#"{"name":"orders","fields":[{"name":"total","type":"decimal"},{"name":"pieces","type":"integer"},
            {"name":"note","type":"text"},{"name":"at","type":"datetime"},{"name":"data","type":"json"},
            {"name":"secret","type":"integer","hidden":true},{"name":"tags","type":"select","values":["x"],"many":true}]}"#;
        let definition: Definition = serde_json::from_str(definition).expect("a definition");
        Collection::new(definition).expect("a collection")
    }

    #[test]
    fn groups_are_read_and_named() {
        let check = |text: &str, name: Option<&str>, fits: bool| {
            let group = Group::parse(text);
            assert_eq!(group.as_ref().map(Group::name).as_deref(), name, "{text}");
            assert_eq!(group.is_some_and(|group| group.fits(&orders())), fits, "{text}");
        };
        check("note", Some("note"), true);
        check("month:created", Some("created_month"), true);
        check("week:at", Some("at_week"), true);
        check("day:note", Some("note_day"), false);
        check("hour:at", None, false);
        check("data", Some("data"), false);
        check("tags", Some("tags"), false);
        check("secret", Some("secret"), false);
        check("id", Some("id"), false);
        check("nope", Some("nope"), false);
    }

    #[test]
    fn measures_are_read_named_and_typed() {
        let check = |text: &str, name: Option<&str>, kind: Option<FieldType>| {
            let measure = Measure::parse(text);
            assert_eq!(measure.as_ref().map(Measure::name).as_deref(), name, "{text}");
            assert_eq!(measure.and_then(|measure| measure.kind(&orders())), kind, "{text}");
        };
        check("count", Some("count"), Some(FieldType::Integer));
        check("count:data", Some("count_data"), Some(FieldType::Integer));
        check("sum:total", Some("sum_total"), Some(FieldType::Decimal));
        check("avg:total", Some("avg_total"), Some(FieldType::Decimal));
        check("avg:pieces", Some("avg_pieces"), Some(FieldType::Number));
        check("max:at", Some("max_at"), Some(FieldType::Datetime));
        check("max:note", Some("max_note"), None);
        check("sum:secret", Some("sum_secret"), None);
        check("sum:nope", Some("sum_nope"), None);
        check("sum", None, None);
        check("median:total", None, None);
    }
}

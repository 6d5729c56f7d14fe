//! `GET /api/records/{collection}/aggregate`: what can be grouped by and computed is listed, and every result has its type.

use model::{
    Collection, Field, FieldType,
    aggregate::{GROUP_BY_MAX, GROUPS_MAX, Group, MEASURES_MAX, Measure, Part},
    query::LIMIT_MAX,
};
use serde_json::{Value, json};

use super::{answer, query, responses};
use crate::{
    api::document::{
        Object,
        fields::{self, Place},
        shared::BEARER,
    },
    records::aggregate::{GROUPS_DEFAULT, possible_groups, possible_measures},
};

/// The operations of the path.
pub(super) fn path(collection: &Collection, tag: &str, filter: Value) -> Value {
    let (groups, measures) = (possible_groups(collection), possible_measures(collection));
    let name = collection.name();
    let schema = json!({"type": "array", "items": result(collection, &groups, &measures)});
    let mut good = answer("The groups; without `group` one that has all records, even if there are none.", schema);
    good["headers"] = json!({"X-Total-Count": {
        "description": "How many groups there are without `limit` and `offset`.",
        "schema": {"type": "integer", "format": "int64", "minimum": 0},
    }});
    let description = "Counts, adds and compares the records that a list would show, without sending them. Records are grouped by values, or by \
                       the day, week, month or year of a time, in UTC. A field that the caller cannot read in each of these records is \
                       refused. Nulls are a group of their own; as values they count for nothing, and of no values all but the count is `null`.";
    json!({"get": {
        "operationId": format!("{name}_aggregate"),
        "tags": [tag],
        "summary": format!("Aggregate records of {name}"),
        "description": description,
        "security": [{BEARER: []}, {}],
        "parameters": parameters(&groups, &measures, filter),
        "responses": responses("200", good, &[]),
    }})
}

fn parameters(groups: &[Group], measures: &[Measure], filter: Value) -> Value {
    let selects: Vec<String> = measures.iter().map(measure_text).collect();
    let by: Vec<String> = groups.iter().map(group_text).collect();
    let list = |name: &str, values: &[String], max: usize, description: &str| {
        let items = json!({"type": "string", "enum": values});
        let schema = json!({"type": "array", "items": items, "maxItems": max, "uniqueItems": true});
        json!({"name": name, "in": "query", "required": false, "style": "form", "explode": false, "description": description, "schema": schema})
    };
    let number = |name: &str, description: &str, schema: Value| json!({"name": name, "in": "query", "required": false, "description": description, "schema": schema});
    let having = "Only groups for which this condition is true, over the names of the results, such as `sum_total > 100 && count > 1`. The \
                  language is that of `filter`.";
    let sort = "Names of results, separated by commas, most significant first; `-` before a name turns the order round, such as `-sum_total`. \
                Groups that are equal in them, and all without `sort`, are in ascending order of what they are grouped by, nulls first.";
    let limit = json!({"type": "integer", "format": "int32", "minimum": 1, "maximum": LIMIT_MAX, "default": GROUPS_DEFAULT});
    let offset = json!({"type": "integer", "format": "int32", "minimum": 0, "maximum": GROUPS_MAX});
    json!([
        list(
            "select",
            &selects,
            MEASURES_MAX,
            "What is computed of each group; `count` if nothing is said. `sum:total` is called `sum_total` in the answer."
        ),
        list("group", &by, GROUP_BY_MAX, "What groups are made by. `month:created` is called `created_month` in the answer."),
        filter,
        query("having", having),
        query("sort", sort),
        number("limit", "The most groups of the answer.", limit),
        number("offset", "How many groups to skip.", offset),
    ])
}

fn group_text(group: &Group) -> String {
    let word = Part::OF_TIMES.iter().find(|(_, part)| *part == group.part);
    word.map_or_else(|| group.field.clone(), |(word, _)| format!("{word}:{}", group.field))
}

fn measure_text(measure: &Measure) -> String {
    // The word of the function is what its name begins with.
    let name = measure.name();
    match &measure.field {
        Some(field) => format!("{}:{field}", &name[..name.len() - field.len() - 1]),
        None => name,
    }
}

/// Every result that can be asked for. Only those that were are there.
fn result(collection: &Collection, groups: &[Group], measures: &[Measure]) -> Value {
    let mut properties = Object::new();
    for group in groups {
        properties.insert(group.name(), group_schema(collection, group));
    }
    for measure in measures {
        // INVARIANT: only measures with a type are possible; a count never reads the text.
        let kind = measure.kind(collection).unwrap_or(FieldType::Text);
        let mut field = Field::new(&measure.name(), kind);
        field.required = measure.name().starts_with("count");
        let schema = fields::schema(&field, Place::Record);
        // A field may be called as a result is; only one of the two can be asked for.
        properties.entry(measure.name()).and_modify(|schema| *schema = json!({})).or_insert(schema);
    }
    json!({"type": "object", "description": "A group: what it is grouped by, and what was selected.", "properties": properties})
}

fn group_schema(collection: &Collection, group: &Group) -> Value {
    let field = match collection.field(&group.field) {
        Some(field) if group.part == Part::Whole => field.clone(),
        field => {
            let kind = if group.part == Part::Whole { FieldType::Datetime } else { FieldType::Date };
            Field { required: field.is_none_or(|field| field.required), ..Field::new(&group.name(), kind) }
        }
    };
    fields::schema(&field, Place::Record)
}

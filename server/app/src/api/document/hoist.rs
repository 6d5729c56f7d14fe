//! What several operations say alike stands once, among the components: most of a long document would be repetition.

use std::collections::{HashMap, hash_map::Entry};

use serde_json::{Value, json};

use super::Object;

/// Parameters that are shorter than a reference to them stay where they are.
const WORTHWHILE_BYTES: usize = 110;

/// Where a parameter stands.
struct Found {
    count: usize,
    /// The collection; none if there are several.
    collection: Option<String>,
}

/// Takes the parameters that stand in several operations on records out of the paths, and returns them under their new names: with a dot, which
/// no name of a collection or of a shared component has.
pub(super) fn parameters(paths: &mut Object) -> Object {
    let mut found: HashMap<String, Found> = HashMap::new();
    each(paths, |collection, parameter| match found.entry(parameter.to_string()) {
        Entry::Vacant(entry) => drop(entry.insert(Found { count: 1, collection: Some(collection.to_owned()) })),
        Entry::Occupied(mut entry) => {
            let found = entry.get_mut();
            found.count += 1;
            found.collection.take_if(|known| known != collection);
        }
    });
    found.retain(|text, found| found.count > 1 && text.len() >= WORTHWHILE_BYTES);
    let mut names: HashMap<String, String> = HashMap::new();
    let mut hoisted = Object::new();
    each(paths, |_, parameter| {
        let text = parameter.to_string();
        let Some(found) = found.get(&text) else { return };
        let name = names.entry(text).or_insert_with(|| {
            let name = free_name(&hoisted, found.collection.as_deref().unwrap_or("all"), parameter);
            hoisted.insert(name.clone(), parameter.clone());
            name
        });
        *parameter = json!({"$ref": format!("#/components/parameters/{name}")});
    });
    hoisted
}

/// The same name may mean something else to another operation.
fn free_name(taken: &Object, owner: &str, parameter: &Value) -> String {
    let name = format!("{owner}.{}", parameter["name"].as_str().unwrap_or_default());
    let mut others = (2..).map(|number| format!("{name}.{number}"));
    if taken.contains_key(&name) { others.find(|other| !taken.contains_key(other)).unwrap_or_default() } else { name }
}

/// Every parameter of operations on records, with the collection.
fn each(paths: &mut Object, mut visit: impl FnMut(&str, &mut Value)) {
    for (path, item) in paths {
        let Some(collection) = path.strip_prefix("/api/records/").and_then(|rest| rest.split('/').next()) else { continue };
        let operations = item.as_object_mut().into_iter().flat_map(|item| item.values_mut());
        let lists = operations.filter_map(|operation| operation.get_mut("parameters")?.as_array_mut());
        lists.flatten().filter(|parameter| parameter.get("$ref").is_none()).for_each(|parameter| visit(collection, parameter));
    }
}

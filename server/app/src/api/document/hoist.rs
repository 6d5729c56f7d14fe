//! What several operations of a collection say alike stands once, among the components: half of a long document would be repetition.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::Object;

/// Parameters that are shorter than a reference to them stay where they are.
const WORTHWHILE_BYTES: usize = 120;

/// Takes the parameters that stand in several operations out of the paths of a collection, and returns them under their new names. No name
/// of a collection or of a shared component has a dot.
pub(super) fn parameters(paths: &mut Object, collection: &str) -> Object {
    let mut counts: HashMap<String, usize> = HashMap::new();
    each(paths, |parameter| *counts.entry(parameter.to_string()).or_default() += 1);
    let mut names: HashMap<String, String> = HashMap::new();
    let mut hoisted = Object::new();
    each(paths, |parameter| {
        let text = parameter.to_string();
        if text.len() < WORTHWHILE_BYTES || counts.get(&text).is_none_or(|count| *count < 2) {
            return;
        }
        let name = names.entry(text).or_insert_with(|| {
            let name = format!("{collection}.{}", parameter["name"].as_str().unwrap_or_default());
            // The same name may mean something else to another operation.
            let free = (1..).map(|number| if number == 1 { name.clone() } else { format!("{name}.{number}") });
            let name = free.into_iter().find(|name| !hoisted.contains_key(name)).unwrap_or(name);
            hoisted.insert(name.clone(), parameter.clone());
            name
        });
        *parameter = json!({"$ref": format!("#/components/parameters/{name}")});
    });
    hoisted
}

fn each(paths: &mut Object, mut visit: impl FnMut(&mut Value)) {
    let operations = paths.values_mut().filter_map(Value::as_object_mut).flat_map(|item| item.values_mut());
    let lists = operations.filter_map(|operation| operation.get_mut("parameters")?.as_array_mut());
    lists.flatten().filter(|parameter| parameter.get("$ref").is_none()).for_each(&mut visit);
}

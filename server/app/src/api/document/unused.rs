//! Leaving out of a document what nothing in it leads to: schemas of collections and tags that only other documents need.

use std::collections::HashSet;

use serde_json::Value;

/// Removes the components that no path refers to, directly or through others.
pub(super) fn remove_components(document: &mut Value) {
    let mut reached = HashSet::new();
    let mut open = Vec::new();
    references(&document["paths"], &mut open);
    while let Some(reference) = open.pop() {
        if let Some(target) = document.pointer(reference.trim_start_matches('#'))
            && !reached.contains(&reference)
        {
            references(target, &mut open);
            reached.insert(reference);
        }
    }
    for (kind, components) in document["components"].as_object_mut().into_iter().flatten() {
        if let Some(components) = components.as_object_mut().filter(|_| kind != "securitySchemes") {
            components.retain(|name, _| reached.contains(&format!("#/components/{kind}/{name}")));
        }
    }
}

/// Removes the tags that no operation has.
pub(super) fn remove_tags(document: &mut Value) {
    let items = document["paths"].as_object().into_iter().flat_map(|paths| paths.values());
    let operations = items.flat_map(|item| item.as_object().into_iter().flat_map(|operations| operations.values()));
    let tags = operations.flat_map(|operation| operation["tags"].as_array().into_iter().flatten());
    let used: HashSet<String> = tags.filter_map(|tag| tag.as_str().map(str::to_owned)).collect();
    if let Some(tags) = document["tags"].as_array_mut() {
        tags.retain(|tag| tag["name"].as_str().is_some_and(|name| used.contains(name)));
    }
}

/// What stands behind `$ref`; a property of that name is an object and no text.
fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|member| references(member, found));
        }
        Value::Array(elements) => elements.iter().for_each(|element| references(element, found)),
        _ => {}
    }
}

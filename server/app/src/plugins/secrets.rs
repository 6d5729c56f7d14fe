//! The secret settings of a plugin, and how they are taken out of what is logged, kept of runs, and shown of deliveries.

use std::{collections::BTreeSet, fmt::Write};

use serde_json::Value;

/// A secret that is shorter is taken out where it is read only: it could be part of any word. So none is accepted that is.
pub(crate) const SECRET_MIN_BYTES: usize = 6;

/// What stands in the place of a secret.
pub(crate) const REDACTED: &str = "***";

/// The secret settings of a plugin.
#[derive(Default)]
pub(crate) struct Secrets {
    names: BTreeSet<String>,
    /// Every form of every value, the longest first.
    values: Vec<String>,
}

impl Secrets {
    pub(crate) fn new(names: BTreeSet<String>, values: impl IntoIterator<Item = String>) -> Self {
        let mut forms = BTreeSet::new();
        for value in values.into_iter().filter(|value| value.len() >= SECRET_MIN_BYTES) {
            // As it is, inside of an address, inside of JSON, and inside of JSON that is itself a text in JSON.
            let in_query: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
            let once = inside_json(&value);
            forms.extend([in_query, percent_encoded(&value), inside_json(&once), once, value]);
        }
        let mut values: Vec<String> = forms.into_iter().collect();
        // A secret that is part of another one must not leave the rest of it behind.
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        Self { names, values }
    }

    /// True for the name of a secret setting.
    pub(crate) fn are_of(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// The text without secrets, and whether there were any.
    pub(crate) fn without(&self, mut text: String) -> (String, bool) {
        let mut found = false;
        for value in &self.values {
            if text.contains(value.as_str()) {
                (text, found) = (text.replace(value.as_str(), REDACTED), true);
            }
        }
        // A text may have been cut in the middle of one.
        if let Some(begun) = self.values.iter().find_map(|value| begun_at_end(&text, value)) {
            text.truncate(text.len() - begun);
            text.push_str(REDACTED);
            found = true;
        }
        (text, found)
    }

    /// The same for all that a JSON value holds. A number that holds a secret of digits is told as a text.
    pub(crate) fn without_in(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.without(text).0),
            Value::Array(values) => Value::Array(values.into_iter().map(|value| self.without_in(value)).collect()),
            Value::Object(members) => {
                let told = members.into_iter().map(|(name, value)| (self.without(name).0, self.without_in(value)));
                Value::Object(told.collect())
            }
            Value::Number(number) => match self.without(number.to_string()) {
                (text, true) => Value::String(text),
                (_, false) => Value::Number(number),
            },
            Value::Null | Value::Bool(_) => value,
        }
    }
}

/// How many bytes of a secret the text ends with, if those are not all and enough to be no accident.
fn begun_at_end(text: &str, secret: &str) -> Option<usize> {
    let lengths = (SECRET_MIN_BYTES..secret.len()).rev();
    lengths.filter(|length| secret.is_char_boundary(*length)).find(|length| text.ends_with(&secret[..*length]))
}

fn inside_json(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// As `encodeURIComponent` of JavaScript writes it.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // INVARIANT: writing into a text cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_form_of_a_secret_is_found() {
        let secrets = Secrets::new(BTreeSet::new(), ["of 5 \"words\" & ü".to_owned()]);
        for text in [
            "of 5 \"words\" & ü",
            r#"of 5 \"words\" & ü"#,
            r#"of 5 \\\"words\\\" & ü"#,
            "of%205%20%22words%22%20%26%20%C3%BC",
            "of+5+%22words%22+%26+%C3%BC",
        ] {
            assert_eq!(secrets.without(format!("<{text}>")), ("<***>".to_owned(), true), "{text}");
        }
    }

    #[test]
    fn the_beginning_of_a_secret_at_the_end_of_a_text_is_found() {
        let secrets = Secrets::new(BTreeSet::new(), ["sesame-open-up".to_owned()]);
        for (text, expected) in
            [("say sesame-open", "say ***"), ("say sesame", "say ***"), ("say sesam", "say sesam"), ("sesame, said I", "sesame, said I")]
        {
            assert_eq!(secrets.without(text.to_owned()).0, expected);
        }
    }

    #[test]
    fn nothing_of_a_json_value_is_left_out() {
        let secrets = Secrets::new(BTreeSet::new(), ["secret".to_owned(), "123456".to_owned()]);
        let value = json!({"a secret": ["my secret", {"n": 1_234_567, "m": 12, "none": null, "yes": true}]});
        assert_eq!(secrets.without_in(value), json!({"a ***": ["my ***", {"n": "***7", "m": 12, "none": null, "yes": true}]}));
    }
}

//! Modifiers: what a patch says about a value that the client need not know. `"stock-": 2` takes two from a number, `"tags+": "new"` adds to
//! a list. They become plain values here, before any rule sees the draft; that nobody else writes in between is for the transaction.

use rust_decimal::Decimal;

use crate::{
    Collection, Draft, Field, FieldType, Value,
    collection::CheckedField,
    validate,
    value::Object,
    violation::{Pointer, Violations},
};

/// How large a list in a `json` field may become by modifiers, in bytes of JSON: as large as a body that would send it whole.
pub const LIST_MAX_BYTES: usize = 1 << 20;

/// The members of a draft whose names end with `+` or `-`, which no field's does.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Modifiers(Vec<Modifier>);

/// One of them.
#[derive(Clone, Debug, PartialEq)]
struct Modifier {
    field: String,
    change: Change,
    value: Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Add,
    Remove,
}

impl Modifiers {
    /// Takes the modifiers out of a draft.
    #[must_use]
    pub fn split(draft: &mut Draft) -> Self {
        if !draft.values.keys().any(|name| parse(name).is_some()) {
            return Self::default();
        }
        let (mut modifiers, mut values) = (Vec::new(), Object::with_capacity(draft.values.len()));
        for (name, value) in std::mem::take(&mut draft.values) {
            match parse(&name) {
                Some((field, change)) => modifiers.push(Modifier { field: field.to_owned(), change, value }),
                None => drop(values.insert(name, value)),
            }
        }
        draft.values = values;
        Self(modifiers)
    }

    /// The field that a member of a draft is about, as a modifier or as it is.
    #[must_use]
    pub fn field(name: &str) -> &str {
        parse(name).map_or(name, |(field, _)| field)
    }

    /// True if one changes the field.
    #[must_use]
    pub fn change(&self, field: &str) -> bool {
        self.0.iter().any(|modifier| modifier.field == field)
    }

    /// Puts what the modifiers make of the values before into the draft, as if the client had sent that.
    ///
    /// # Errors
    /// Every modifier that cannot be: of a field that is not there, named twice or of another type, and numbers that would not fit.
    pub fn apply(&self, collection: &Collection, before: &Object, draft: &mut Draft) -> Result<(), Violations> {
        let mut violations = Violations::default();
        let mut done = Vec::with_capacity(self.0.len());
        for (number, modifier) in self.0.iter().enumerate() {
            let (field, pointer) = (&modifier.field, modifier.pointer());
            if draft.values.contains_key(field) || self.0[..number].iter().any(|other| other.field == *field) {
                violations.add(pointer, "field.ambiguous", format!("`{field}` is changed in two ways"));
                continue;
            }
            let Some(declared) = collection.field(field) else {
                let message = format!("unknown field `{field}` in collection `{}`", collection.name());
                violations.add(pointer, "field.unknown", message);
                continue;
            };
            match modifier.applied(declared, before.get(field).unwrap_or(Value::null()), &mut violations) {
                Ok(value) => done.push((field.clone(), value)),
                Err(Some((code, message))) => violations.add(pointer, code, message),
                Err(None) => {}
            }
        }
        violations.or(())?;
        draft.values.extend(done);
        Ok(())
    }

    /// Violations of fields as violations of the modifiers that set them: what the client has sent, and can find.
    #[must_use]
    pub fn located(&self, violations: Violations) -> Violations {
        violations.moved(|pointer| {
            let modifier = self.0.iter().find(|modifier| Some(modifier.field.as_str()) == pointer.first());
            modifier.map_or_else(|| pointer.clone(), Modifier::pointer)
        })
    }
}

/// The field and the change that a member of a draft names; none if it is no modifier.
fn parse(name: &str) -> Option<(&str, Change)> {
    let add = name.strip_suffix('+').map(|field| (field, Change::Add));
    add.or_else(|| name.strip_suffix('-').map(|field| (field, Change::Remove)))
}

/// Why a modifier was refused: a code and a message; none if the violations have it already.
type Refused = Option<(&'static str, String)>;

impl Modifier {
    fn pointer(&self) -> Pointer {
        let sign = if self.change == Change::Add { '+' } else { '-' };
        Pointer::field(&format!("{}{sign}", self.field))
    }

    fn applied(&self, field: &Field, before: &Value, violations: &mut Violations) -> Result<Value, Refused> {
        match field.kind {
            FieldType::Integer | FieldType::Number | FieldType::Decimal => self.number(field, before, violations),
            FieldType::Select | FieldType::Relation if field.many => {
                if self.entries().iter().any(|entry| entry.as_text().is_none()) {
                    return Err(Some(("field.type", "expected a string or an array of strings".to_owned())));
                }
                self.list(before, Repeated::Never)
            }
            FieldType::Json => self.list(before, Repeated::AsGiven),
            kind => Err(Some(("field.type", format!("a `{}` field with one value is neither a number nor a list", kind.name())))),
        }
    }

    /// The number that comes out, exactly: what would have to be rounded does not fit.
    fn number(&self, field: &Field, before: &Value, violations: &mut Violations) -> Result<Value, Refused> {
        // Bounds are for the sum.
        let bare = CheckedField { field: Field::new(&field.name, field.kind), pointer: self.pointer(), pattern: None, schema: None };
        let mut read = |value: &Value| validate::convert(&bare, value.clone(), &self.pointer(), violations);
        if self.value.is_null() {
            return Err(Some(("field.type", "expected a number, got null".to_owned())));
        }
        // A default need not be written as it would be stored.
        let (before, step) = ((!before.is_null()).then(|| read(before)), read(&self.value));
        let add = self.change == Change::Add;
        let sum = match (before.unwrap_or_default(), step) {
            (before @ (Value::Null | Value::Integer(_)), Value::Integer(step)) => {
                let before = if let Value::Integer(before) = before { before } else { 0 };
                if add { before.checked_add(step) } else { before.checked_sub(step) }.map(Value::Integer)
            }
            (before @ (Value::Null | Value::Number(_)), Value::Number(step)) => {
                let before = if let Value::Number(before) = before { before } else { 0.0 };
                let sum = if add { before + step } else { before - step };
                sum.is_finite().then_some(Value::Number(sum))
            }
            (before @ (Value::Null | Value::Decimal(_)), Value::Decimal(step)) => {
                let before = if let Value::Decimal(before) = before { before } else { Decimal::ZERO };
                exact_sum(before, if add { step } else { -step }).map(Value::Decimal)
            }
            // What could not be read is null, and reported already.
            _ => return Err(None),
        };
        sum.ok_or_else(|| Some(("field.range", format!("the result does not fit a field of the type `{}`", field.kind.name()))))
    }

    fn list(&self, before: &Value, repeated: Repeated) -> Result<Value, Refused> {
        let mut list = match before {
            Value::Null => Vec::new(),
            Value::List(list) => list.clone(),
            other => return Err(Some(("field.type", format!("what is stored is no list but {}", other.kind())))),
        };
        match self.change {
            Change::Remove => list.retain(|value| !self.entries().contains(value)),
            Change::Add => {
                for entry in self.entries() {
                    if repeated == Repeated::AsGiven || !list.contains(entry) {
                        list.push(entry.clone());
                    }
                }
            }
        }
        let list = Value::List(list);
        if self.change == Change::Add && list.to_json().len() > LIST_MAX_BYTES {
            return Err(Some(("field.length", format!("the list would be longer than {LIST_MAX_BYTES} bytes of JSON"))));
        }
        Ok(list)
    }

    /// One value, or those of a list.
    fn entries(&self) -> &[Value] {
        match &self.value {
            Value::List(entries) => entries,
            one => std::slice::from_ref(one),
        }
    }
}

/// Whether a list may hold the same value twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Repeated {
    Never,
    AsGiven,
}

/// The sum of two decimals if it needs no rounding: decimals give up digits after the point where there is no room for them.
fn exact_sum(one: Decimal, other: Decimal) -> Option<Decimal> {
    let sum = one.checked_add(other)?;
    (sum.scale() >= one.normalize().scale().max(other.normalize().scale())).then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collection::Definition;

    fn collection() -> Collection {
        let definition: Definition = serde_json::from_str(
            r#"{"name":"things","fields":[
                {"name":"stock","type":"integer","min":0},
                {"name":"ratio","type":"number"},
                {"name":"price","type":"decimal","scale":2},
                {"name":"fine","type":"decimal"},
                {"name":"tags","type":"select","values":["x","y","z"],"many":true},
                {"name":"peers","type":"relation","collection":"users","many":true},
                {"name":"data","type":"json"},
                {"name":"title","type":"text"},
                {"name":"kind","type":"select","values":["x"]}
            ]}"#,
        )
        .expect("definition");
        Collection::new(definition).expect("collection")
    }

    fn object(json: &str) -> Object {
        Draft::parse(json.as_bytes()).expect("an object").values
    }

    /// What is there before, a patch, and the draft that comes of it or what is wrong.
    fn check(before: &str, patch: &str, expected: Result<&str, &[&str]>) {
        let before = object(before);
        let mut draft = Draft { values: object(patch) };
        let modifiers = Modifiers::split(&mut draft);
        match (modifiers.apply(&collection(), &before, &mut draft), expected) {
            (Ok(()), Ok(json)) => assert_eq!(Value::Object(draft.values).to_json(), json, "{patch}"),
            (Err(violations), Err(expected)) => {
                let found: Vec<_> = violations.0.iter().map(|one| format!("{} {}", one.pointer.as_str(), one.code)).collect();
                assert_eq!(found, expected, "{patch}");
            }
            (result, _) => panic!("{patch}: {result:?} {draft:?}"),
        }
    }

    #[test]
    fn numbers_are_added_exactly() {
        check(r#"{"stock":5}"#, r#"{"stock-":2,"title":"t"}"#, Ok(r#"{"title":"t","stock":3}"#));
        check("{}", r#"{"stock+":2}"#, Ok(r#"{"stock":2}"#));
        check(r#"{"stock":null}"#, r#"{"stock-":2}"#, Ok(r#"{"stock":-2}"#));
        check(r#"{"ratio":0.5}"#, r#"{"ratio+":1}"#, Ok(r#"{"ratio":1.5}"#));
        check(r#"{"price":"4.50"}"#, r#"{"price+":"0.10"}"#, Ok(r#"{"price":"4.60"}"#));
        check(r#"{"fine":"0.1"}"#, r#"{"fine+":"0.2"}"#, Ok(r#"{"fine":"0.3"}"#));
        check(r#"{"fine":"1000000000000000000000000000"}"#, r#"{"fine+":"0.1"}"#, Ok(r#"{"fine":"1000000000000000000000000000.1"}"#));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        check(r#"{"stock":9223372036854775807}"#, r#"{"stock+":1}"#, Err(&["/stock+ field.range"]));
        check(r#"{"stock":-2}"#, r#"{"stock-":9223372036854775807}"#, Err(&["/stock- field.range"]));
        check(r#"{"ratio":1.7e308}"#, r#"{"ratio+":1.7e308}"#, Err(&["/ratio+ field.range"]));
        check(r#"{"fine":"1000000000000000000000000000"}"#, r#"{"fine+":"0.01"}"#, Err(&["/fine+ field.range"]));
        check(r#"{"fine":"79228162514264337593543950335"}"#, r#"{"fine+":"1"}"#, Err(&["/fine+ field.range"]));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        check(
            "{}",
            r#"{"stock+":1.5,"ratio-":"x","price+":null}"#,
            Err(&["/stock+ field.type", "/ratio- field.type", "/price+ field.type"]),
        );
        check("{}", r#"{"price+":"1,5"}"#, Err(&["/price+ field.format"]));
        check("{}", r#"{"title+":"x"}"#, Err(&["/title+ field.type"]));
        check("{}", r#"{"kind+":"x"}"#, Err(&["/kind+ field.type"]));
        check("{}", r#"{"nope+":1,"+":1}"#, Err(&["/nope+ field.unknown", "/+ field.unknown"]));
    }

    #[test]
    fn lists_grow_and_shrink() {
        check(r#"{"tags":["x"]}"#, r#"{"tags+":["y","x","y"]}"#, Ok(r#"{"tags":["x","y"]}"#));
        check(r#"{"tags":["x","y"]}"#, r#"{"tags-":"x"}"#, Ok(r#"{"tags":["y"]}"#));
        check(r#"{"tags":null}"#, r#"{"tags+":"z"}"#, Ok(r#"{"tags":["z"]}"#));
        check("{}", r#"{"tags-":["z"]}"#, Ok(r#"{"tags":[]}"#));
        check(r#"{"data":[1,{"a":1}]}"#, r#"{"data+":[1,[2]]}"#, Ok(r#"{"data":[1,{"a":1},1,[2]]}"#));
        check(r#"{"data":[1,{"a":1},1]}"#, r#"{"data-":[1]}"#, Ok(r#"{"data":[{"a":1}]}"#));
        check(r#"{"data":{"a":1}}"#, r#"{"data+":1}"#, Err(&["/data+ field.type"]));
        check("{}", r#"{"tags+":7,"peers-":[null]}"#, Err(&["/tags+ field.type", "/peers- field.type"]));
        let long = format!(r#"{{"data+":"{}"}}"#, "x".repeat(LIST_MAX_BYTES));
        check(r#"{"data":[]}"#, &long, Err(&["/data+ field.length"]));
    }

    #[test]
    fn a_field_is_changed_in_one_way() {
        check("{}", r#"{"stock":1,"stock+":1}"#, Err(&["/stock+ field.ambiguous"]));
        check("{}", r#"{"tags+":"x","tags-":"y"}"#, Err(&["/tags- field.ambiguous"]));
    }

    #[test]
    fn violations_name_what_was_sent() {
        let mut draft = Draft { values: object(r#"{"tags+":"q","stock":-1}"#) };
        let modifiers = Modifiers::split(&mut draft);
        let mut violations = Violations::default();
        violations.add(Pointer::field("tags").join(1), "field.choice", "no");
        violations.add(Pointer::field("stock"), "field.range", "no");
        let found: Vec<String> = modifiers.located(violations).0.iter().map(|one| one.pointer.as_str().to_owned()).collect();
        assert_eq!(found, ["/tags+", "/stock"]);
    }
}

//! Query parameters that ask about one field, such as `price_gte=5`: what clients can say without knowing the condition language. They
//! become the same conditions, put together from typed pieces; no text of a client is ever read as a condition here.

use std::collections::HashSet;

use crate::{
    Collection, Condition, Field, FieldType, Value,
    condition::{Comparison, Expression, Operand, Path, Root, TextTest},
};

/// The most values that a list of values may have; fewer for fields with several values, each of which is a test of its own.
pub const VALUES_MAX: usize = 1_000;
const VALUES_OF_MANY_MAX: usize = 100;

/// What a parameter asks about its field, given by how its name ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `field=a`, or one of several when it is repeated.
    Equal,
    /// `field_ne=a`
    NotEqual,
    /// `field_gt=a`
    Greater,
    /// `field_gte=a`
    GreaterOrEqual,
    /// `field_lt=a`
    Less,
    /// `field_lte=a`
    LessOrEqual,
    /// `field_in=a,b,c`
    In,
    /// `field_like=a`: the text contains it.
    Like,
    /// `field_null=true`: there is no value.
    Null,
}

impl Operator {
    /// All of them, in the order in which they are documented.
    pub const ALL: [Operator; 9] = [
        Operator::Equal,
        Operator::NotEqual,
        Operator::Greater,
        Operator::GreaterOrEqual,
        Operator::Less,
        Operator::LessOrEqual,
        Operator::In,
        Operator::Like,
        Operator::Null,
    ];

    /// How the name of the parameter ends, after that of the field.
    #[must_use]
    pub fn suffix(self) -> &'static str {
        match self {
            Operator::Equal => "",
            Operator::NotEqual => "_ne",
            Operator::Greater => "_gt",
            Operator::GreaterOrEqual => "_gte",
            Operator::Less => "_lt",
            Operator::LessOrEqual => "_lte",
            Operator::In => "_in",
            Operator::Like => "_like",
            Operator::Null => "_null",
        }
    }

    /// True if it means something for a field; the system fields have no `field`.
    fn fits(self, kind: FieldType, field: Option<&Field>) -> bool {
        use FieldType as T;
        let many = field.is_some_and(|field| field.many);
        match self {
            Operator::Null => field.is_some(),
            Operator::Equal | Operator::NotEqual => kind != T::Json,
            Operator::In => !matches!(kind, T::Json | T::Bool),
            Operator::Like => !many && field.is_some() && matches!(kind, T::Text | T::Email | T::Url),
            Operator::Greater | Operator::GreaterOrEqual | Operator::Less | Operator::LessOrEqual => {
                !many && !matches!(kind, T::Json | T::Bool | T::Select | T::Relation)
            }
        }
    }

    fn comparison(self) -> Option<Comparison> {
        match self {
            Operator::Greater => Some(Comparison::Greater),
            Operator::GreaterOrEqual => Some(Comparison::GreaterOrEqual),
            Operator::Less => Some(Comparison::Less),
            Operator::LessOrEqual => Some(Comparison::LessOrEqual),
            Operator::Equal | Operator::NotEqual | Operator::In | Operator::Like | Operator::Null => None,
        }
    }
}

/// A parameter that a collection has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameter<'a> {
    name: &'a str,
    kind: FieldType,
    field: Option<&'a Field>,
    operator: Operator,
}

/// Every parameter that a collection has, by its name. Fields that nobody can read have none. Where a name could be read in two ways, the
/// field of exactly that name has it.
#[must_use]
pub fn all(collection: &Collection) -> Vec<(String, Parameter<'_>)> {
    let mut taken: HashSet<&str> = collection.fields().map(|field| field.name.as_str()).collect();
    taken.extend(crate::record::SYSTEM_FIELDS);
    let mut found = Vec::new();
    for (name, kind, field) in fields(collection) {
        for operator in Operator::ALL.into_iter().filter(|operator| operator.fits(kind, field)) {
            let whole = format!("{name}{}", operator.suffix());
            if operator == Operator::Equal || !taken.contains(whole.as_str()) {
                found.push((whole, Parameter { name, kind, field, operator }));
            }
        }
    }
    found
}

/// The parameter of this name; none if the collection has no such.
#[must_use]
pub fn find<'a>(collection: &'a Collection, name: &str) -> Option<Parameter<'a>> {
    if collection.field_type(name).is_some() {
        return parameter(collection, name, Operator::Equal);
    }
    let suffixed = Operator::ALL.into_iter().filter(|operator| *operator != Operator::Equal);
    suffixed.filter_map(|operator| parameter(collection, name.strip_suffix(operator.suffix())?, operator)).next()
}

fn parameter<'a>(collection: &'a Collection, name: &str, operator: Operator) -> Option<Parameter<'a>> {
    let (name, kind, field) = fields(collection).find(|(field, ..)| *field == name)?;
    operator.fits(kind, field).then_some(Parameter { name, kind, field, operator })
}

/// The fields that can be asked about, `id` first.
fn fields(collection: &Collection) -> impl Iterator<Item = (&str, FieldType, Option<&Field>)> {
    let declared = collection.fields().filter(|field| !field.is_secret());
    let declared = declared.map(|field| (field.name.as_str(), field.kind, Some(field)));
    let times = ["created", "updated"].map(|name| (name, FieldType::Datetime, None));
    [("id", FieldType::Text, None)].into_iter().chain(declared).chain(times)
}

impl Parameter<'_> {
    /// The field that it asks about.
    #[must_use]
    pub fn field(&self) -> &str {
        self.name
    }

    /// What it asks.
    #[must_use]
    pub fn operator(&self) -> Operator {
        self.operator
    }

    /// The type of the field.
    #[must_use]
    pub fn kind(&self) -> FieldType {
        self.kind
    }

    /// The declaration of the field; none for the fields of the system.
    #[must_use]
    pub fn declared(&self) -> Option<&Field> {
        self.field
    }

    /// Reads the values that were given for it. No value at all is an empty list of values, which nothing is in.
    ///
    /// # Errors
    /// What is wrong with the values, in words.
    pub fn condition(&self, collection: &Collection, values: &[String]) -> Result<Condition, String> {
        let expression = match self.operator {
            Operator::Equal => self.one_of(values)?,
            Operator::In => self.one_of(&values.iter().flat_map(|text| text.split(',')).map(str::to_owned).collect::<Vec<_>>())?,
            Operator::NotEqual => Expression::And(values.iter().map(|text| self.differs(text)).collect::<Result<_, _>>()?),
            Operator::Null => match self.only(values)?.trim() {
                "true" => Expression::Compare(Comparison::Equal, self.path(), Operand::Literal(Value::Null)),
                "false" => Expression::Has(self.bare_path()),
                other => return Err(format!("`{other}` is neither `true` nor `false`")),
            },
            Operator::Like => Expression::Text(TextTest::Contains, self.path(), self.literal(self.only(values)?)?),
            Operator::Greater | Operator::GreaterOrEqual | Operator::Less | Operator::LessOrEqual => {
                let comparison = self.operator.comparison().unwrap_or(Comparison::Equal);
                Expression::Compare(comparison, self.path(), self.literal(self.only(values)?)?)
            }
        };
        Condition::of(expression).check(collection).map_err(|error| error.reason)
    }

    fn many(&self) -> bool {
        self.field.is_some_and(|field| field.many)
    }

    fn only<'v>(&self, values: &'v [String]) -> Result<&'v str, String> {
        match values {
            [value] => Ok(value),
            [] => Err("a value is missing".to_owned()),
            _ => Err(format!("`{}{}` stands twice", self.name, self.operator.suffix())),
        }
    }

    fn one_of(&self, values: &[String]) -> Result<Expression, String> {
        let max = if self.many() { VALUES_OF_MANY_MAX } else { VALUES_MAX };
        if values.len() > max {
            return Err(format!("more than {max} values"));
        }
        let literals = values.iter().map(|text| self.literal(text)).collect::<Result<Vec<_>, _>>()?;
        Ok(match (self.many(), literals.as_slice()) {
            (_, []) => Expression::Constant(false),
            (true, [only]) => Expression::In(only.clone(), self.path()),
            (true, _) => Expression::Or(literals.into_iter().map(|literal| Expression::In(literal, self.path())).collect()),
            (false, [only]) => Expression::Compare(Comparison::Equal, self.path(), only.clone()),
            (false, _) => {
                let values =
                    literals.into_iter().filter_map(|literal| if let Operand::Literal(value) = literal { Some(value) } else { None });
                Expression::In(self.path(), Operand::Literal(Value::List(values.collect())))
            }
        })
    }

    fn differs(&self, text: &str) -> Result<Expression, String> {
        let literal = self.literal(text)?;
        Ok(match self.many() {
            true => Expression::Not(Box::new(Expression::In(literal, self.path()))),
            false => Expression::Compare(Comparison::NotEqual, self.path(), literal),
        })
    }

    fn bare_path(&self) -> Path {
        Path { root: Root::Record, members: vec![self.name.to_owned()], position: 0 }
    }

    fn path(&self) -> Operand {
        Operand::Path(self.bare_path())
    }

    /// The value that a text means for the type of the field. What is kept as text and has a form is brought into it by the check of the
    /// condition.
    fn literal(&self, text: &str) -> Result<Operand, String> {
        let wrong = || format!("`{text}` is not a `{}`", self.kind.name());
        let trimmed = text.trim();
        Ok(Operand::Literal(match self.kind {
            FieldType::Integer => Value::Integer(trimmed.parse().map_err(|_| wrong())?),
            FieldType::Number => Value::Number(trimmed.parse().ok().filter(|number: &f64| number.is_finite()).ok_or_else(wrong)?),
            FieldType::Bool => match trimmed {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                _ => return Err(wrong()),
            },
            FieldType::Decimal | FieldType::Datetime | FieldType::Date => Value::Text(trimmed.to_owned()),
            // Emails are kept in small letters.
            FieldType::Email => Value::Text(without_nul(text)?.to_lowercase()),
            FieldType::Text | FieldType::Url | FieldType::Select | FieldType::Relation | FieldType::Json | FieldType::Password => {
                Value::Text(without_nul(text)?.to_owned())
            }
        }))
    }
}

/// No stored text has this character, and the database refuses it.
fn without_nul(text: &str) -> Result<&str, String> {
    if text.contains('\0') { Err("a NUL character is not allowed".to_owned()) } else { Ok(text) }
}

#[cfg(test)]
mod tests;

//! Which values each path of an expression has to be tried with. Paths that are compared with each other make a family and meet the same
//! constants; what a path then gets depends on its field: only what a `select` declares, nothing missing where a value is required.

use std::{collections::HashMap, ops::Range};

use super::{
    situation::Place,
    values::{Constants, Values, subsets},
};
use crate::{
    Collection, FieldType,
    condition::{Comparison, Expression, Operand, Path, Root},
    value::{Object, Value},
};

/// A path, or the presence of a stored record, and the values to try.
pub(super) struct Variable {
    pub(super) place: Place,
    /// What stands for something missing comes last.
    pub(super) candidates: Vec<Value>,
    /// How many of them are not missing.
    there: usize,
    /// The variables that have a value only if this one is an object, outermost first.
    pub(super) leads_to: Vec<usize>,
    /// False if the candidates may be too few for terms that only together exclude an outcome.
    pub(super) exact: bool,
}

impl Variable {
    /// True if there can be a value, or none.
    pub(super) fn may_be_missing(&self) -> bool {
        0 < self.there && self.there < self.candidates.len()
    }

    pub(super) fn missing(&self) -> Range<usize> {
        self.there..self.candidates.len()
    }

    /// Keeps some of the candidates.
    pub(super) fn retain(&mut self, keep: &[bool]) {
        self.there = keep[..self.there].iter().filter(|keep| **keep).count();
        let mut keep = keep.iter();
        self.candidates.retain(|_| keep.next() == Some(&true));
    }
}

/// The variables of an expression.
pub(super) fn variables(expression: &Expression, collection: &Collection) -> Vec<Variable> {
    let mut paths = Paths::of(expression, collection);
    let families = paths.families(expression);
    let mut variables: Vec<Variable> = Vec::new();
    let values: Vec<Values> = families.iter().map(Values::of).collect();
    for (at, place) in paths.places.iter().enumerate() {
        let values = &values[paths.family[at]];
        let (mut candidates, complete) = paths.sorts[at].candidates(values);
        let there = if paths.sorts[at].holds == Holds::Presence { 1 } else { candidates.len() };
        if !paths.sorts[at].required {
            candidates.push(Value::Null);
        }
        variables.push(Variable {
            place: place.clone(),
            candidates,
            there,
            leads_to: paths.inside(place),
            exact: values.exact && complete,
        });
    }
    variables
}

/// What a place may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds<'a> {
    /// Whether there is a stored record: true or false.
    Presence,
    Anything,
    Nothing,
    Text,
    Choice(&'a [String]),
    /// A number of one of three types.
    Number(FieldType),
    Bool,
    Date,
    Datetime,
}

#[derive(Clone, Copy, Debug)]
struct Sort<'a> {
    holds: Holds<'a>,
    /// Never missing.
    required: bool,
    /// Several values in a list.
    many: bool,
    may_be_empty: bool,
    /// It stands where a list is expected.
    is_list: bool,
}

impl<'a> Sort<'a> {
    fn one(holds: Holds<'a>, required: bool) -> Self {
        Self { holds, required, many: false, may_be_empty: true, is_list: false }
    }

    fn of(place: &Place, collection: &'a Collection) -> Self {
        let inside = place.members.len() > 1;
        match (place.root, place.members.first().map(String::as_str)) {
            (Root::Now, _) => Self::one(Holds::Datetime, true),
            (_, None) => Self::one(Holds::Presence, true),
            (Root::Caller, Some("id" | "tenant" | "roles")) if inside => Self::one(Holds::Nothing, false),
            (Root::Caller, Some("id")) => Self::one(Holds::Text, false),
            (Root::Caller, Some("tenant")) => Self::one(Holds::Text, true),
            (Root::Caller, Some("roles")) => Self { many: true, ..Self::one(Holds::Text, true) },
            (Root::Caller, Some(_)) => Self::one(Holds::Anything, false),
            (Root::Record | Root::Before, Some(name)) => Self::of_field(name, inside, collection),
        }
    }

    fn of_field(name: &str, inside: bool, collection: &'a Collection) -> Self {
        use FieldType as T;
        let field = collection.field(name);
        let Some(kind) = collection.field_type(name) else { return Self::one(Holds::Anything, false) };
        let holds = match kind {
            T::Json => Holds::Anything,
            _ if inside => return Self::one(Holds::Nothing, false),
            T::Text | T::Email | T::Url | T::Relation | T::Password => Holds::Text,
            T::Select => field.map_or(Holds::Text, |field| Holds::Choice(&field.values)),
            T::Integer | T::Number | T::Decimal => Holds::Number(kind),
            T::Bool => Holds::Bool,
            T::Date => Holds::Date,
            T::Datetime => Holds::Datetime,
        };
        // Those without a field are the system fields, which are always there.
        let required = !inside && field.is_none_or(|field| field.required);
        Self { many: field.is_some_and(|field| field.many), may_be_empty: !required, ..Self::one(holds, required) }
    }

    /// The candidates that are not missing, and whether they are enough for any number of terms.
    fn candidates(&self, values: &Values) -> (Vec<Value>, bool) {
        let booleans = vec![Value::Bool(true), Value::Bool(false)];
        if self.many {
            let (mut lists, complete) = subsets(&match self.holds {
                Holds::Choice(declared) => values.chosen(declared),
                _ => values.elements(|value| value.as_text().is_some()),
            });
            lists.retain(|list| self.may_be_empty || !matches!(list, Value::List(elements) if elements.is_empty()));
            return (lists, complete);
        }
        let scalars = match self.holds {
            Holds::Presence | Holds::Bool => booleans,
            Holds::Nothing => Vec::new(),
            Holds::Text => values.texts(),
            Holds::Choice(declared) => declared.iter().map(|text| Value::from(text.as_str())).collect(),
            Holds::Number(kind) => values.numbers(kind),
            Holds::Date => values.dates(),
            Holds::Datetime => values.datetimes(),
            Holds::Anything => return self.anything(values),
        };
        (scalars, true)
    }

    /// A scalar of any type that matters here, a list, or an object.
    fn anything(&self, values: &Values) -> (Vec<Value>, bool) {
        let (lists, complete) = if self.is_list { subsets(&values.elements(|_| true)) } else { (vec![Value::List(Vec::new())], true) };
        let mut all = values.scalars();
        all.extend(lists);
        all.push(Value::Object(Object::new()));
        (all, complete)
    }
}

/// The different paths of an expression.
struct Paths<'a> {
    places: Vec<Place>,
    indices: HashMap<Place, usize>,
    sorts: Vec<Sort<'a>>,
    /// For each path the number of its family; before that, the number of another path that it is compared with, or its own.
    family: Vec<usize>,
}

impl<'a> Paths<'a> {
    fn of(expression: &Expression, collection: &'a Collection) -> Self {
        let mut paths = Self { places: Vec::new(), indices: HashMap::new(), sorts: Vec::new(), family: Vec::new() };
        expression.each_path(&mut |path| {
            if path.root == Root::Before {
                paths.add(Place { root: Root::Before, members: Vec::new() }, collection);
            }
            paths.add(Place::of(path), collection);
        });
        paths
    }

    fn add(&mut self, place: Place, collection: &'a Collection) {
        if !self.indices.contains_key(&place) {
            self.indices.insert(place.clone(), self.places.len());
            self.sorts.push(Sort::of(&place, collection));
            self.family.push(self.places.len());
            self.places.push(place);
        }
    }

    /// The paths inside of this one. The presence of a stored record does not touch what it holds.
    fn inside(&self, place: &Place) -> Vec<usize> {
        let is_inside = |at: &usize| !place.members.is_empty() && self.places[*at] != *place && place.leads_to(&self.places[*at]);
        let mut inside: Vec<usize> = (0..self.places.len()).filter(is_inside).collect();
        inside.sort_by_key(|at| self.places[*at].members.len());
        inside
    }

    /// Joins what is compared, and collects for each family what it meets.
    fn families(&mut self, expression: &Expression) -> Vec<Constants> {
        each_pair(expression, &mut |_, left, right| {
            if let (Operand::Path(left), Operand::Path(right)) = (left, right) {
                let (left, right) = (self.first(left), self.first(right));
                self.family[left] = right;
            }
        });
        each_pair(expression, &mut |term, _, right| {
            if let (Expression::In(..), Operand::Path(list)) = (term, right) {
                self.sorts[self.indices[&Place::of(list)]].is_list = true;
            }
        });
        let firsts: Vec<usize> = (0..self.places.len()).map(|at| self.first_at(at)).collect();
        let mut families: Vec<Constants> = self.places.iter().map(|_| Constants::default()).collect();
        for (at, sort) in self.sorts.iter().enumerate() {
            sort.join(&mut families[firsts[at]]);
        }
        each_pair(expression, &mut |term, left, right| {
            let path = [left, right].into_iter().find_map(|side| match side {
                Operand::Path(path) => Some(path),
                Operand::Literal(_) => None,
            });
            if let Some(path) = path {
                families[self.first(path)].meet(term, left, right);
            }
        });
        self.family = firsts;
        families
    }

    fn first(&self, path: &Path) -> usize {
        self.first_at(self.indices[&Place::of(path)])
    }

    fn first_at(&self, mut at: usize) -> usize {
        while self.family[at] != at {
            at = self.family[at];
        }
        at
    }
}

/// Calls `visit` for every term that has two sides.
fn each_pair<'e>(expression: &'e Expression, visit: &mut impl FnMut(&'e Expression, &'e Operand, &'e Operand)) {
    match expression {
        Expression::And(terms) | Expression::Or(terms) => terms.iter().for_each(|term| each_pair(term, visit)),
        Expression::Not(term) => each_pair(term, visit),
        Expression::Compare(_, left, right) | Expression::In(left, right) | Expression::Text(_, left, right) => {
            visit(expression, left, right)
        }
        Expression::Constant(_) | Expression::Has(_) | Expression::Flag(_) => {}
    }
}

impl Sort<'_> {
    /// Tells a family what kind of values one of its paths adds.
    fn join(&self, family: &mut Constants) {
        family.paths += 1;
        match self.holds {
            Holds::Presence | Holds::Nothing => {}
            Holds::Anything => family.anything = true,
            Holds::Text => family.texts = true,
            Holds::Choice(values) => {
                family.texts = true;
                family.choices.extend(values.iter().cloned());
            }
            Holds::Number(kind) => {
                family.numbers = true;
                family.decimals |= kind == FieldType::Decimal;
            }
            Holds::Bool => family.booleans = true,
            Holds::Date => family.dates = true,
            Holds::Datetime => family.datetimes = true,
        }
    }
}

impl Constants {
    /// Adds what one comparison brings.
    fn meet(&mut self, term: &Expression, left: &Operand, right: &Operand) {
        match (term, left, right) {
            (Expression::Compare(Comparison::Equal | Comparison::NotEqual, ..), ..) | (Expression::In(..), ..) => {}
            (Expression::Compare(..), ..) => self.ordered = true,
            (Expression::Text(test, ..), Operand::Path(_), Operand::Literal(Value::Text(needle))) => {
                self.tests.push((*test, needle.clone()))
            }
            (Expression::Text(..), Operand::Literal(Value::Text(text)), Operand::Path(_)) => self.haystacks.push(text.clone()),
            (Expression::Text(..), ..) => self.entangled = true,
            _ => {}
        }
        for side in [left, right] {
            match side {
                Operand::Literal(Value::List(elements)) => elements.iter().for_each(|element| self.add(element)),
                Operand::Literal(value) => self.add(value),
                Operand::Path(_) => {}
            }
        }
        self.texts |= matches!(term, Expression::Text(..));
    }
}

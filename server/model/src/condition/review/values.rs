//! The values that a family of paths has to be tried with, made of the constants that it meets: each of them, what lies beside and between
//! them where order matters, texts that satisfy several tests at once, and values that are like none of the constants.

use std::{
    collections::{BTreeSet, HashSet},
    str::FromStr,
};

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use rust_decimal::{Decimal, prelude::ToPrimitive};

use crate::{
    FieldType,
    condition::TextTest,
    time::{canonical_date, canonical_datetime, datetime_text},
    value::Value,
};

/// Paths that are compared with each other may need as many values apart from the constants as there are of them, up to this many.
const APART_MAX: usize = 4;

/// The most combinations of what texts are tested for.
const TEXTS_MAX: usize = 600;

/// Lists of so few elements are tried in every composition.
const ELEMENTS_MAX: usize = 6;

/// What a family of paths meets.
#[derive(Default)]
pub(super) struct Constants {
    literals: Vec<Value>,
    known: HashSet<String>,
    pub(super) choices: Vec<String>,
    pub(super) tests: Vec<(TextTest, String)>,
    /// Texts in which a path is looked for.
    pub(super) haystacks: Vec<String>,
    pub(super) paths: usize,
    /// Order matters.
    pub(super) ordered: bool,
    /// One path is looked for in another.
    pub(super) entangled: bool,
    /// One of the paths may hold values of any type.
    pub(super) anything: bool,
    pub(super) texts: bool,
    pub(super) numbers: bool,
    pub(super) decimals: bool,
    pub(super) booleans: bool,
    pub(super) dates: bool,
    pub(super) datetimes: bool,
}

impl Constants {
    pub(super) fn add(&mut self, value: &Value) {
        match value {
            Value::Text(_) => self.texts = true,
            Value::Bool(_) => self.booleans = true,
            Value::Decimal(_) => (self.numbers, self.decimals) = (true, true),
            Value::Integer(_) | Value::Number(_) => self.numbers = true,
            Value::Null | Value::List(_) | Value::Object(_) => return,
        }
        if self.known.insert(format!("{value:?}")) {
            self.literals.push(value.clone());
        }
    }

    fn apart(&self) -> usize {
        self.paths.clamp(1, APART_MAX)
    }

    fn texts(&self) -> Vec<&str> {
        self.literals.iter().filter_map(Value::as_text).chain(self.choices.iter().map(String::as_str)).collect()
    }
}

/// The values of one family.
pub(super) struct Values {
    literals: Vec<Value>,
    texts: Vec<String>,
    dates: Vec<String>,
    datetimes: Vec<String>,
    integers: Vec<i64>,
    floats: Vec<f64>,
    decimals: Vec<Decimal>,
    /// Some of each type that are like no constant.
    fresh: Vec<Value>,
    is_tested: bool,
    /// See [`super::candidates::Variable::exact`].
    pub(super) exact: bool,
}

impl Values {
    pub(super) fn of(family: &Constants) -> Self {
        let mut values = Self {
            literals: family.literals.clone(),
            texts: Vec::new(),
            dates: if family.dates { dates(family) } else { Vec::new() },
            datetimes: if family.datetimes { datetimes(family) } else { Vec::new() },
            integers: if family.numbers { integers(family) } else { Vec::new() },
            floats: if family.numbers { floats(family) } else { Vec::new() },
            decimals: if family.decimals { decimals(family) } else { Vec::new() },
            fresh: Vec::new(),
            is_tested: !family.tests.is_empty() || !family.haystacks.is_empty() || family.entangled,
            exact: !family.entangled && family.paths <= APART_MAX,
        };
        // What may be of any type may always be a text, which is equal, different, in order or in a list like the others.
        if family.texts || family.anything {
            let fresh = fresh_texts(family);
            let (texts, complete) = texts(family, &fresh);
            values.exact &= complete;
            values.texts = texts;
            values.fresh.extend(fresh.into_iter().map(Value::Text));
        }
        if family.paths > 1 {
            values.literals.extend(family.choices.iter().map(|text| Value::from(text.as_str())));
        }
        // Integers and times are in order, and beyond the last constant there are others.
        values.fresh.extend(values.integers.iter().rev().take(family.apart()).map(|integer| Value::Integer(*integer)));
        for times in [&values.dates, &values.datetimes] {
            values.fresh.extend(times.iter().rev().take(family.apart()).map(|time| Value::from(time.as_str())));
        }
        if family.booleans {
            values.fresh.extend([Value::Bool(true), Value::Bool(false)]);
        }
        values
    }

    pub(super) fn texts(&self) -> Vec<Value> {
        [&self.texts, &self.dates, &self.datetimes].into_iter().flatten().map(|text| Value::from(text.as_str())).collect()
    }

    pub(super) fn dates(&self) -> Vec<Value> {
        self.times(&self.dates)
    }

    pub(super) fn datetimes(&self) -> Vec<Value> {
        self.times(&self.datetimes)
    }

    /// Where their text is tested, it is not asked whether a time can look like that.
    fn times(&self, times: &[String]) -> Vec<Value> {
        let tested: &[String] = if self.is_tested { &self.texts } else { &[] };
        times.iter().chain(tested).map(|text| Value::from(text.as_str())).collect()
    }

    pub(super) fn numbers(&self, kind: FieldType) -> Vec<Value> {
        let integers = self.integers.iter();
        match kind {
            FieldType::Integer => integers.map(|integer| Value::Integer(*integer)).collect(),
            FieldType::Decimal => {
                integers.map(|integer| Decimal::from(*integer)).chain(self.decimals.iter().copied()).map(Value::Decimal).collect()
            }
            _ => integers.map(|integer| *integer as f64).chain(self.floats.iter().copied()).map(Value::Number).collect(),
        }
    }

    /// Scalars of every type that a constant or another path of the family has.
    pub(super) fn scalars(&self) -> Vec<Value> {
        let mut scalars = self.texts();
        scalars.extend([Value::Bool(true), Value::Bool(false)]);
        scalars.extend(self.integers.iter().map(|integer| Value::Integer(*integer)));
        let is_own = |float: &&f64| float.fract() != 0.0 || float.abs() >= 9_007_199_254_740_992.0;
        scalars.extend(self.floats.iter().filter(is_own).map(|float| Value::Number(*float)));
        let is_own = |decimal: &&Decimal| !decimal.fract().is_zero() || decimal.to_i64().is_none();
        scalars.extend(self.decimals.iter().filter(is_own).map(|decimal| Value::Decimal(*decimal)));
        scalars
    }

    /// What lists may hold: the constants, and values that are like none of them.
    pub(super) fn elements(&self, fits: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut elements: Vec<Value> = self.literals.iter().filter(|value| fits(value)).cloned().collect();
        for value in self.fresh.iter().filter(|value| fits(value)) {
            if !elements.contains(value) {
                elements.push(value.clone());
            }
        }
        elements
    }

    /// What lists of declared choices may hold: all of a few; of many, those that are asked about and some others.
    pub(super) fn chosen(&self, declared: &[String]) -> Vec<Value> {
        let asked = |text: &&String| self.literals.iter().any(|value| value.as_text() == Some(text));
        let (asked, others): (Vec<&String>, Vec<&String>) = declared.iter().partition(asked);
        let room = ELEMENTS_MAX.saturating_sub(asked.len()).max(1);
        asked.into_iter().chain(others.into_iter().take(room)).map(|text| Value::from(text.as_str())).collect()
    }
}

/// Lists of some of the elements: all there are of a few elements. Otherwise false, and the most telling ones: empty, all, one, two, all but one.
pub(super) fn subsets(elements: &[Value]) -> (Vec<Value>, bool) {
    let count = elements.len();
    let list = |contains: &dyn Fn(usize) -> bool| {
        let chosen = elements.iter().enumerate().filter(|(at, _)| contains(*at));
        Value::List(chosen.map(|(_, element)| element.clone()).collect())
    };
    if count <= ELEMENTS_MAX {
        return ((0..1_usize << count).map(|bits| list(&|at| bits >> at & 1 == 1)).collect(), true);
    }
    let mut lists = vec![list(&|_| false), list(&|_| true)];
    lists.extend((0..count).map(|one| list(&|at| at == one)));
    if count <= 4 * ELEMENTS_MAX {
        lists.extend((0..count).map(|one| list(&|at| at != one)));
        lists.extend((0..count).flat_map(|one| (0..one).map(move |two| (one, two))).map(|(one, two)| list(&|at| at == one || at == two)));
    }
    (lists, false)
}

/// Texts in which no constant occurs, and that begin or end with none.
fn fresh_texts(family: &Constants) -> Vec<String> {
    let character = fresh_character(family);
    (1..=family.apart()).map(|length| character.to_string().repeat(length)).collect()
}

fn fresh_character(family: &Constants) -> char {
    let tested = family.tests.iter().map(|(_, needle)| needle.as_str());
    let texts: Vec<&str> = family.texts().into_iter().chain(tested).chain(family.haystacks.iter().map(String::as_str)).collect();
    let used: HashSet<char> = texts.iter().flat_map(|text| text.chars()).collect();
    // INVARIANT: a condition is too short to use all of these.
    ('a'..='z').rev().chain('\u{e000}'..='\u{f8ff}').find(|character| !used.contains(character)).unwrap_or('\u{fffd}')
}

/// Texts, and whether they satisfy every possible combination of tests.
fn texts(family: &Constants, fresh: &[String]) -> (Vec<String>, bool) {
    let mut texts: Vec<String> = family.texts().into_iter().map(str::to_owned).collect();
    texts.extend(fresh.iter().cloned());
    if family.ordered {
        let between = texts_between(&texts, family.apart());
        texts.extend(between);
    }
    let mut complete = true;
    if !family.haystacks.is_empty() {
        complete &= parts(family, &mut texts);
    }
    if family.entangled {
        // One text inside of another, at either end or in the middle.
        let mark = &fresh[0];
        let around: Vec<String> =
            texts.iter().flat_map(|text| [format!("{text}{mark}"), format!("{mark}{text}"), format!("{mark}{text}{mark}")]).collect();
        texts.extend(around);
    }
    if !family.tests.is_empty() {
        complete &= tested(family, &mut texts, &fresh[0]);
    }
    let mut seen = HashSet::new();
    texts.retain(|text| seen.insert(text.clone()));
    (texts, complete)
}

/// Texts below the first, and between each and the next. The character is the least one that a text may hold.
fn texts_between(texts: &[String], apart: usize) -> Vec<String> {
    let sorted: BTreeSet<&str> = texts.iter().map(String::as_str).collect();
    let mut between = vec![String::new(), "\u{1}".to_owned()];
    for text in sorted {
        between.extend((1..=apart).map(|length| format!("{text}{}", "\u{1}".repeat(length))));
    }
    between
}

/// Texts that occur in the constants in which a path is looked for; false if they are not all.
fn parts(family: &Constants, texts: &mut Vec<String>) -> bool {
    let mut complete = true;
    texts.push(String::new());
    for text in &family.haystacks {
        let ends: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        let short = ends.len() <= 16;
        complete &= short;
        for from in &ends {
            for to in ends.iter().filter(|to| *to > from) {
                let at_end = *from == 0 || *to == text.len();
                if short || (at_end && texts.len() < TEXTS_MAX) {
                    texts.push(text[*from..*to].to_owned());
                }
            }
        }
    }
    complete && texts.len() < TEXTS_MAX
}

/// Texts that begin, go on and end as some of the tests want; false if there are too many for all.
fn tested(family: &Constants, texts: &mut Vec<String>, mark: &str) -> bool {
    let needles = |wanted: TextTest| {
        let needles: BTreeSet<&str> = family.tests.iter().filter(|(test, _)| *test == wanted).map(|(_, needle)| needle.as_str()).collect();
        needles.into_iter().collect::<Vec<_>>()
    };
    let own: Vec<String> = family.tests.iter().map(|(_, needle)| needle.clone()).collect();
    let beginnings: Vec<String> =
        ["", mark].into_iter().chain(needles(TextTest::StartsWith)).map(str::to_owned).chain(texts.iter().cloned()).collect();
    let endings: Vec<&str> = ["", mark].into_iter().chain(needles(TextTest::EndsWith)).collect();
    let (middles, complete) = middles(&needles(TextTest::Contains), mark);
    texts.extend(own);
    for beginning in &beginnings {
        for middle in &middles {
            for ending in &endings {
                if texts.len() >= TEXTS_MAX {
                    return false;
                }
                texts.push(format!("{beginning}{middle}{ending}"));
                if middle.is_empty() {
                    texts.push(overlapped(beginning, ending));
                }
            }
        }
    }
    complete
}

/// Some of the texts in a row, apart from each other; false if not every choice of them is there.
fn middles(needles: &[&str], mark: &str) -> (Vec<String>, bool) {
    let needles: Vec<Value> = needles.iter().map(|needle| Value::from(*needle)).collect();
    let (choices, complete) = subsets(&needles);
    let joined = |choice: Value| match choice {
        Value::List(needles) => needles.iter().filter_map(Value::as_text).map(|needle| format!("{mark}{needle}{mark}")).collect(),
        _ => String::new(),
    };
    (choices.into_iter().map(joined).collect(), complete)
}

/// The shortest text that begins with the one and ends with the other.
fn overlapped(beginning: &str, ending: &str) -> String {
    let ends = ending.char_indices().map(|(at, _)| at).chain([ending.len()]);
    let shared = ends.filter(|at| beginning.ends_with(&ending[..*at])).max().unwrap_or(0);
    format!("{beginning}{}", &ending[shared..])
}

fn dates(family: &Constants) -> Vec<String> {
    let day = |text: &str| canonical_date(text).and_then(|day| NaiveDate::from_str(&day).ok());
    let near = |day: NaiveDate, distance: u64| [day.checked_sub_days(Days::new(distance)), day.checked_add_days(Days::new(distance))];
    let text = |day: NaiveDate| canonical_date(&day.format("%Y-%m-%d").to_string());
    beside(family, day, NaiveDate::from_ymd_opt(2000, 1, 1).unwrap_or_default(), near, text)
}

fn datetimes(family: &Constants) -> Vec<String> {
    let moment = |text: &str| DateTime::parse_from_rfc3339(text).ok().map(|moment| moment.to_utc());
    let near = |moment: DateTime<Utc>, distance: u64| {
        let distance = TimeDelta::microseconds(distance as i64);
        [moment.checked_sub_signed(distance), moment.checked_add_signed(distance)]
    };
    let text = |moment: DateTime<Utc>| canonical_datetime(&datetime_text(moment));
    beside(family, moment, DateTime::UNIX_EPOCH, near, text)
}

/// Times that are constants, next to them where order matters, and others.
fn beside<T: Copy + Ord>(
    family: &Constants,
    time: impl Fn(&str) -> Option<T>,
    base: T,
    near: impl Fn(T, u64) -> [Option<T>; 2],
    text: impl Fn(T) -> Option<String>,
) -> Vec<String> {
    let constants: BTreeSet<T> = family.texts().into_iter().filter_map(time).collect();
    let mut origins: Vec<T> = constants.first().into_iter().chain(constants.last()).copied().collect();
    if family.ordered {
        origins.extend(&constants);
    }
    if origins.is_empty() {
        origins.push(base);
    }
    let distances = 1..=family.apart() as u64;
    let others = origins.iter().flat_map(|time| distances.clone().flat_map(|distance| near(*time, distance))).flatten();
    let times: BTreeSet<T> = others.chain(constants.iter().copied()).collect();
    times.into_iter().filter_map(text).collect()
}

/// The constants rounded both ways, next to them where order matters, and others.
fn integers(family: &Constants) -> Vec<i64> {
    let rounded = |value: &Value| match value {
        Value::Integer(integer) => vec![*integer],
        // A float beyond the range becomes its end, which does no harm.
        Value::Number(float) => vec![float.floor() as i64, float.ceil() as i64],
        Value::Decimal(decimal) => [decimal.floor().to_i64(), decimal.ceil().to_i64()].into_iter().flatten().collect(),
        _ => Vec::new(),
    };
    let constants: BTreeSet<i64> = family.literals.iter().flat_map(rounded).collect();
    let mut origins: Vec<i64> = constants.first().into_iter().chain(constants.last()).copied().collect();
    if family.ordered {
        origins.extend(&constants);
    }
    if origins.is_empty() {
        origins.push(0);
    }
    let distances = 1..=family.apart() as i64;
    let near = |origin: i64, distance: i64| [origin.checked_sub(distance), origin.checked_add(distance)];
    let others = origins.iter().flat_map(|origin| distances.clone().flat_map(move |distance| near(*origin, distance))).flatten();
    others.chain(constants.iter().copied()).collect::<BTreeSet<i64>>().into_iter().collect()
}

/// The constants, and between and beside them where order matters.
fn floats(family: &Constants) -> Vec<f64> {
    let float = |value: &Value| match value {
        Value::Integer(integer) => Some(*integer as f64),
        Value::Number(float) => Some(*float),
        Value::Decimal(decimal) => decimal.to_f64(),
        _ => None,
    };
    let mut constants: Vec<f64> = family.literals.iter().filter_map(float).collect();
    constants.sort_by(f64::total_cmp);
    constants.dedup();
    let apart = family.apart();
    let mut floats = constants.clone();
    if let (true, Some(first), Some(last)) = (family.ordered, constants.first(), constants.last()) {
        let steps = (1..=apart).map(|step| step as f64 / 2.0);
        floats.extend(steps.flat_map(|step| [first - step, last + step]));
        // A step does not move the great ones.
        floats.extend([f64::MIN, first.next_down(), last.next_up(), f64::MAX]);
        for pair in constants.windows(2) {
            let share = |step: usize| step as f64 / (apart + 1) as f64;
            floats.extend((1..=apart).map(|step| pair[0] * (1.0 - share(step)) + pair[1] * share(step)));
        }
    }
    floats.push(0.5);
    floats.retain(|float| float.is_finite());
    floats
}

fn decimals(family: &Constants) -> Vec<Decimal> {
    let decimal = |value: &Value| match value {
        Value::Integer(integer) => Some(Decimal::from(*integer)),
        Value::Number(float) => Decimal::from_str_exact(&float.to_string()).ok(),
        Value::Decimal(decimal) => Some(*decimal),
        _ => None,
    };
    let constants: BTreeSet<Decimal> = family.literals.iter().filter_map(decimal).collect();
    let constants: Vec<Decimal> = constants.into_iter().collect();
    let apart = family.apart();
    let mut decimals = constants.clone();
    if let (true, Some(first), Some(last)) = (family.ordered, constants.first(), constants.last()) {
        let half = Decimal::new(5, 1);
        let steps = (1..=apart).filter_map(|step| Decimal::from(step).checked_mul(half));
        decimals.extend(steps.flat_map(|step| [first.checked_sub(step), last.checked_add(step)]).flatten());
        decimals.extend([Decimal::MIN, Decimal::MAX]);
        for pair in constants.windows(2) {
            let step = pair[1].checked_sub(pair[0]).map(|distance| distance / Decimal::from(apart + 1));
            decimals.extend((1..=apart).filter_map(|count| step?.checked_mul(Decimal::from(count))?.checked_add(pair[0])));
        }
    }
    decimals.push(Decimal::new(5, 1));
    decimals
}

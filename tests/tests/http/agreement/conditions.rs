//! Conditions as trees: made by chance, always of the right types, and written down for whoever reads them - a policy, a client's filter,
//! or the admin who is asked what the same condition means for somebody else.

use std::collections::BTreeSet;

use super::{
    random::Random,
    world::{DATES, DECIMALS, INTEGERS, NUMBERS, People, STATES, TAGS, TEXTS, TIMES},
};

/// One side of a comparison.
#[derive(Clone, Debug)]
pub enum Operand {
    /// A field of the record, with members of a `json` one: `data.n`.
    Record(String),
    /// A field of the record before a change, which does not exist when it is read.
    Before(String),
    /// A field of the caller's own account, or `id`, `roles`, `tenant`.
    Caller(String),
    /// The time of the request.
    Now,
    /// A constant as it is written; also a list of them.
    Literal(String),
}

/// A condition.
#[derive(Clone, Debug)]
pub enum Condition {
    Constant(bool),
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    Compare(&'static str, Operand, Operand),
    In(Operand, Operand),
    Test(&'static str, Operand, Operand),
    Has(Operand),
    Flag(Operand),
}

/// Who reads a condition.
pub enum Reader<'a> {
    /// A policy.
    Policy,
    /// The filter of whoever the caller is.
    Filter,
    /// The filter of an admin whose own fields are those of somebody else. What cannot be the same is said in words: this is who it is about.
    Twin { id: Option<&'a str>, email: &'a str, roles: &'a [String] },
}

/// A member of the caller that nobody has.
const NOTHING: &str = "caller.nothing";

impl Condition {
    /// The text for this reader.
    pub fn text(&self, reader: &Reader<'_>) -> String {
        let join =
            |terms: &[Condition], sign: &str| terms.iter().map(|term| format!("({})", term.text(reader))).collect::<Vec<_>>().join(sign);
        match self {
            Condition::Constant(value) => value.to_string(),
            Condition::All(terms) => join(terms, " && "),
            Condition::Any(terms) => join(terms, " || "),
            Condition::Not(term) => format!("!({})", term.text(reader)),
            Condition::Compare(sign, left, right) => format!("{} {sign} {}", left.text(reader), right.text(reader)),
            Condition::In(element, list) => format!("{} in {}", element.text(reader), list.text(reader)),
            Condition::Test(test, text, needle) => format!("{}.{test}({})", text.text(reader), needle.text(reader)),
            // What is said in words is there.
            Condition::Has(operand) if operand.is_said(reader) => "true".to_owned(),
            Condition::Has(operand) => format!("has({})", operand.text(reader)),
            Condition::Flag(operand) => operand.text(reader),
        }
    }

    /// The fields of the record that it looks at.
    pub fn fields(&self) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        self.each_operand(&mut |operand| {
            if let Operand::Record(path) | Operand::Before(path) = operand {
                found.extend(path.split('.').next());
            }
        });
        found
    }

    /// True if it means different things to different people.
    pub fn is_personal(&self) -> bool {
        let mut found = false;
        self.each_operand(&mut |operand| found |= matches!(operand, Operand::Caller(_)));
        found
    }

    fn each_operand<'a>(&'a self, visit: &mut impl FnMut(&'a Operand)) {
        match self {
            Condition::Constant(_) => {}
            Condition::All(terms) | Condition::Any(terms) => terms.iter().for_each(|term| term.each_operand(visit)),
            Condition::Not(term) => term.each_operand(visit),
            Condition::Compare(_, left, right) | Condition::In(left, right) | Condition::Test(_, left, right) => {
                visit(left);
                visit(right);
            }
            Condition::Has(operand) | Condition::Flag(operand) => visit(operand),
        }
    }
}

impl Operand {
    fn text(&self, reader: &Reader<'_>) -> String {
        match (self, reader) {
            (Operand::Record(path), Reader::Policy) => format!("record.{path}"),
            (Operand::Record(path), Reader::Filter | Reader::Twin { .. }) => path.clone(),
            (Operand::Before(path), Reader::Policy) => format!("before.{path}"),
            // Filters do not know `before`: its place is taken by something else that is missing.
            (Operand::Before(_), Reader::Filter | Reader::Twin { .. }) => NOTHING.to_owned(),
            (Operand::Caller(path), Reader::Twin { id, email, roles }) => match (path.as_str(), id) {
                ("roles", _) => format!("[{}]", roles.iter().map(|role| quoted(role)).collect::<Vec<_>>().join(", ")),
                ("tenant", _) => "caller.tenant".to_owned(),
                (_, None) => NOTHING.to_owned(),
                ("id", Some(id)) => quoted(id),
                ("email", Some(_)) => quoted(email),
                (path, Some(_)) => format!("caller.{path}"),
            },
            (Operand::Caller(path), Reader::Policy | Reader::Filter) => format!("caller.{path}"),
            (Operand::Now, _) => "now".to_owned(),
            (Operand::Literal(text), _) => text.clone(),
        }
    }

    fn is_said(&self, reader: &Reader<'_>) -> bool {
        let text = self.text(reader);
        text.starts_with(['\'', '['])
    }
}

/// A text as it is written in a condition.
pub fn quoted(text: &str) -> String {
    let mut written = String::from("'");
    for letter in text.chars() {
        match letter {
            '\\' | '\'' => written.extend(['\\', letter]),
            '\t' => written.push_str("\\t"),
            letter => written.push(letter),
        }
    }
    written.push('\'');
    written
}

/// What a comparison may stand between.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Integer,
    Number,
    Decimal,
    Time,
    Day,
}

/// Makes conditions about the records of a world.
pub struct Maker<'a> {
    pub random: &'a mut Random,
    pub people: &'a People,
    /// Ids of records.
    pub ids: &'a [String],
    /// `before` may be asked for, too.
    pub policy: bool,
}

impl Maker<'_> {
    /// A condition of at most so many levels.
    pub fn condition(&mut self, levels: usize) -> Condition {
        if levels == 0 {
            return self.leaf();
        }
        match self.random.below(10) {
            0 | 1 => Condition::All((0..2 + self.random.below(2)).map(|_| self.condition(levels - 1)).collect()),
            2..=4 => Condition::Any((0..2 + self.random.below(2)).map(|_| self.condition(levels - 1)).collect()),
            5 => Condition::Not(Box::new(self.condition(levels - 1))),
            // `has` before a comparison, as people write it.
            6 => {
                let (operand, sign, other) = self.comparison();
                Condition::All(vec![Condition::Has(operand.clone()), Condition::Compare(sign, operand, other)])
            }
            _ => self.leaf(),
        }
    }

    fn leaf(&mut self) -> Condition {
        match self.random.below(24) {
            0..=5 => {
                let (left, sign, right) = self.comparison();
                if self.random.percent(15) { Condition::Compare(sign, right, left) } else { Condition::Compare(sign, left, right) }
            }
            6 => self.text_test(),
            7 => self.flag(),
            8 => self.choice(),
            9 => self.tags(),
            10 | 11 => self.json(),
            12..=14 => self.relation(),
            15 | 16 => self.own(),
            17 => self.role(),
            18 | 19 => self.presence(),
            20 => self.listed(),
            21 => self.two_fields(),
            22 if self.policy => self.before(),
            22 => self.presence(),
            _ => Condition::Constant(self.random.percent(50)),
        }
    }

    fn sign(&mut self) -> &'static str {
        self.random.pick(&["==", "==", "!=", "<", "<=", ">", ">="])
    }

    fn equality(&mut self) -> &'static str {
        self.random.pick(&["==", "==", "!="])
    }

    fn kind(&mut self) -> Kind {
        *self.random.one(&[Kind::Text, Kind::Text, Kind::Integer, Kind::Number, Kind::Decimal, Kind::Time, Kind::Time, Kind::Day])
    }

    /// A field of a kind, a sign, and a constant or another thing that may stand beside it.
    fn comparison(&mut self) -> (Operand, &'static str, Operand) {
        let kind = self.kind();
        let field = self.field(kind);
        (field, self.sign(), self.literal(kind))
    }

    fn field(&mut self, kind: Kind) -> Operand {
        let names: &[&str] = match kind {
            Kind::Text => &["title", "note", "note", "code", "mail", "site"],
            Kind::Integer => &["amount"],
            Kind::Number => &["ratio"],
            Kind::Decimal => &["price"],
            Kind::Time => &["at", "at", "at", "created", "updated"],
            Kind::Day => &["day"],
        };
        record(self.random.pick(names))
    }

    fn literal(&mut self, kind: Kind) -> Operand {
        let text = match kind {
            Kind::Text => quoted(self.random.pick(&TEXTS)),
            Kind::Integer if self.random.percent(20) => self.number(),
            Kind::Integer => self.random.one(&INTEGERS).to_string(),
            Kind::Number if self.random.percent(20) => self.random.one(&INTEGERS).to_string(),
            Kind::Number => self.number(),
            Kind::Decimal => match self.random.below(3) {
                0 => self.random.one(&INTEGERS).to_string(),
                1 => self.random.pick(&["0.5", "1.0", "10.25", "-0.1"]).to_owned(),
                _ => quoted(self.random.pick(&DECIMALS)),
            },
            Kind::Time if self.random.percent(25) => return Operand::Now,
            Kind::Time if self.random.percent(50) => format!("timestamp({})", quoted(self.random.pick(&TIMES))),
            Kind::Time => quoted(self.random.pick(&TIMES)),
            Kind::Day => quoted(self.random.pick(&DATES)),
        };
        Operand::Literal(text)
    }

    fn number(&mut self) -> String {
        let number = self.random.one(&NUMBERS);
        if number.abs() > 1e15 { format!("{number:e}") } else { format!("{number:?}") }
    }

    fn text_test(&mut self) -> Condition {
        let test = self.random.pick(&["startsWith", "endsWith", "contains"]);
        let text = record(self.random.pick(&["title", "note", "mail", "site", "state", "owner", "at", "day", "id", "data.s", "data.n"]));
        let needle = match self.random.below(6) {
            0 => record(self.random.pick(&["note", "title", "data.s", "state"])),
            1 => caller(self.random.pick(&["team", "email", "prefs.s"])),
            2 => Operand::Literal(quoted(self.random.pick(&["", "2026", "0", "Z", "http"]))),
            _ => Operand::Literal(quoted(self.random.pick(&TEXTS))),
        };
        if self.random.percent(10) { Condition::Test(test, needle, text) } else { Condition::Test(test, text, needle) }
    }

    fn flag(&mut self) -> Condition {
        let path = match self.random.below(5) {
            0 => record("data.b"),
            1 => caller("trusted"),
            _ => record("active"),
        };
        if self.random.percent(50) {
            return Condition::Flag(path);
        }
        Condition::Compare(self.equality(), path, Operand::Literal(self.random.pick(&["true", "false"]).to_owned()))
    }

    fn choice(&mut self) -> Condition {
        if self.random.percent(40) {
            let values: Vec<String> = self.random.some(&STATES, 0, 2).into_iter().map(quoted).collect();
            return Condition::In(record("state"), list(&values));
        }
        Condition::Compare(self.sign(), record("state"), Operand::Literal(quoted(self.random.pick(&STATES))))
    }

    fn tags(&mut self) -> Condition {
        let element = match self.random.below(4) {
            0 => record("state"),
            1 => caller("team"),
            _ => Operand::Literal(quoted(self.random.pick(&TAGS))),
        };
        Condition::In(element, record("tags"))
    }

    fn json_path(&mut self) -> Operand {
        let path =
            self.random.pick(&["data", "data.n", "data.n", "data.s", "data.b", "data.list", "data.deep", "data.deep.x", "data.none"]);
        record(path)
    }

    fn anything(&mut self) -> Operand {
        match self.random.below(8) {
            0 => self.json_path(),
            1 => caller(self.random.pick(&["level", "prefs.n", "prefs", "score", "budget"])),
            2 => Operand::Literal(self.random.pick(&["true", "false"]).to_owned()),
            3 => self.literal(Kind::Text),
            4 => self.literal(Kind::Number),
            5 => record(self.random.pick(&["amount", "ratio", "price", "title"])),
            _ => self.literal(Kind::Integer),
        }
    }

    fn json(&mut self) -> Condition {
        match self.random.below(6) {
            0 => Condition::In(self.anything(), record("data.list")),
            1 => {
                let values: Vec<String> = (0..self.random.below(4)).map(|_| self.any_literal()).collect();
                Condition::In(self.json_path(), list(&values))
            }
            2 => Condition::Has(self.json_path()),
            _ => {
                let path = self.json_path();
                match self.anything() {
                    // True and false have no order.
                    Operand::Literal(text) if text == "true" || text == "false" => {
                        Condition::Compare(self.equality(), path, Operand::Literal(text))
                    }
                    other => Condition::Compare(self.sign(), path, other),
                }
            }
        }
    }

    fn any_literal(&mut self) -> String {
        let kind = *self.random.one(&[Kind::Text, Kind::Integer, Kind::Number]);
        match self.literal(kind) {
            Operand::Literal(text) => text,
            _ => "0".to_owned(),
        }
    }

    fn relation(&mut self) -> Condition {
        let somebody = Operand::Literal(quoted(self.random.one::<String>(&self.people.ids)));
        match self.random.below(9) {
            0..=2 => Condition::Compare(self.equality(), record("owner"), caller("id")),
            3 => Condition::In(caller("id"), record("peers")),
            4 => Condition::In(record("owner"), record("peers")),
            5 => Condition::Compare(self.equality(), record("owner"), caller("friend")),
            6 => Condition::Compare(self.equality(), record("owner"), somebody),
            7 => Condition::In(somebody, record("peers")),
            _ => {
                let values: Vec<String> = self.random.some(self.ids, 1, 12).iter().map(|id| quoted(id)).collect();
                Condition::In(record("id"), list(&values))
            }
        }
    }

    /// The caller's own fields.
    fn own(&mut self) -> Condition {
        let sign = self.sign();
        match self.random.below(14) {
            0 | 1 => Condition::Compare(sign, record("note"), caller("team")),
            2 => Condition::Compare(sign, record("amount"), caller("level")),
            3 => Condition::Compare(sign, record("ratio"), caller("score")),
            4 => Condition::Compare(sign, record("price"), caller("budget")),
            5 => Condition::Compare(sign, record("at"), caller("seen")),
            6 => Condition::Compare(sign, record("day"), caller("born")),
            7 => Condition::In(record("state"), caller("skills")),
            8 => Condition::Compare(sign, record("data.n"), caller("prefs.n")),
            9 => Condition::In(record("note"), caller("prefs.list")),
            10 => Condition::Compare(sign, record("mail"), caller("email")),
            // A secret of the account is no attribute, nor is what nobody has.
            11 => Condition::Compare(sign, record("note"), caller(self.random.pick(&["badge", "password", "nothing", "tenant"]))),
            12 => Condition::Compare(sign, record("price"), caller("level")),
            _ => Condition::Has(caller(self.random.pick(&["team", "level", "friend", "badge", "id", "skills", "prefs.n"]))),
        }
    }

    fn role(&mut self) -> Condition {
        if self.random.percent(30) {
            return Condition::In(record("note"), caller("roles"));
        }
        let role = self.random.pick(&["r0", "r1", "r2", "r3", "anyone", "authenticated", "admin"]);
        Condition::In(Operand::Literal(quoted(role)), caller("roles"))
    }

    fn presence(&mut self) -> Condition {
        let names = ["note", "amount", "price", "at", "day", "state", "tags", "owner", "peers", "active", "data", "data.s", "created"];
        let path = record(self.random.pick(&names));
        match self.random.below(3) {
            0 => Condition::Has(path),
            1 => Condition::Compare("==", path, Operand::Literal("null".to_owned())),
            _ => Condition::Compare("!=", Operand::Literal("null".to_owned()), path),
        }
    }

    fn listed(&mut self) -> Condition {
        let kind = self.kind();
        let values: Vec<String> = (0..self.random.below(5))
            .filter_map(|_| match self.literal(kind) {
                Operand::Literal(text) => Some(text),
                _ => None,
            })
            .collect();
        Condition::In(self.field(kind), list(&values))
    }

    fn two_fields(&mut self) -> Condition {
        let pairs = [
            ("title", "note"),
            ("note", "state"),
            ("mail", "code"),
            ("amount", "ratio"),
            ("amount", "price"),
            ("at", "created"),
            ("at", "updated"),
            ("at", "data.s"),
            ("day", "data.s"),
            ("id", "owner"),
        ];
        let (left, right) = *self.random.one(&pairs);
        Condition::Compare(self.sign(), record(left), record(right))
    }

    fn before(&mut self) -> Condition {
        let before = |path: &str| Operand::Before(path.to_owned());
        match self.random.below(4) {
            0 => Condition::Has(before("note")),
            1 => Condition::Compare(self.equality(), before("owner"), caller("id")),
            2 => Condition::Compare("==", before("state"), Operand::Literal("null".to_owned())),
            _ => Condition::Compare("!=", before("note"), record("note")),
        }
    }
}

fn record(path: &str) -> Operand {
    Operand::Record(path.to_owned())
}

fn caller(path: &str) -> Operand {
    Operand::Caller(path.to_owned())
}

fn list(values: &[String]) -> Operand {
    Operand::Literal(format!("[{}]", values.join(", ")))
}

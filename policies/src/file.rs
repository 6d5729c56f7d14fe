//! The CSV form of policies. Casbin's own reader drops lines that it does not understand - a lost denial - so ours refuses the file.

use std::collections::HashSet;

use crate::{
    error::{Column, Error},
    policy::{Effect, Policy, PolicyDraft, Source, is_deceptive, shown},
    role::RoleLink,
};

/// The policies that every server starts with: `role:admin` may do everything, nobody else anything.
pub const DEFAULT_CSV: &str = include_str!("../default.csv");

/// The longest line of a file, in bytes.
const LINE_MAX_BYTES: usize = 16_384;

/// Reads the text of a file: one policy (`p`) or role link (`g`) per line. A line that stands twice counts once.
///
/// ```csv
/// # p, subject, tenant, object, action [, fields [, condition [, effect]]]
/// p, role:anyone, *, posts, read,   *,          "record.status == 'published'"
/// p, role:author, *, posts, update, title body, "record.owner == caller.id"
/// p, role:anyone, *, posts, *,      *,          "has(record.locked) && record.locked", deny
/// # g, member, role, tenant
/// g, user:7f3a, role:author, acme
/// ```
///
/// # Errors
/// The first thing that is wrong, with `source_name`, the line and the column.
pub fn parse_csv(source_name: &str, text: &str) -> Result<(Vec<Policy>, Vec<RoleLink>), Error> {
    let place = |line| Source::File { name: source_name.to_owned(), line };
    let Tidy { text, lines, broken } = Tidy::new(text);
    let mut set = Set::default();
    let mut records = csv_reader(&text).into_records();
    for line in lines {
        // A line without a record would be a lost policy: the empty record is refused below.
        let record = records.next().unwrap_or_else(|| Ok(csv::StringRecord::new()));
        let record = record.map_err(|error| Error::Line { place: place(line), reason: error.to_string() })?;
        set.add(&record.iter().collect::<Vec<_>>(), place(line))?;
    }
    match broken {
        Some((line, reason)) => Err(Error::Line { place: place(line), reason }),
        None => Ok((set.policies, set.links)),
    }
}

/// A text with one record in each line, as the `csv` crate reads it.
#[derive(Default)]
struct Tidy {
    text: String,
    /// The number, in the file, of each line in `text`.
    lines: Vec<u64>,
    /// The first line that cannot be read, and why; what follows it is not in `text`.
    broken: Option<(u64, String)>,
}

impl Tidy {
    fn new(text: &str) -> Self {
        let mut tidy = Self::default();
        for (line, number) in text.strip_prefix('\u{feff}').unwrap_or(text).lines().zip(1..) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Err(reason) = check_line(line).and_then(|()| tidy_quotes(line, &mut tidy.text)) {
                tidy.broken = Some((number, reason));
                break;
            }
            tidy.text.push('\n');
            tidy.lines.push(number);
        }
        // What a broken line has left behind is no line.
        tidy.text.truncate(tidy.text.rfind('\n').map_or(0, |end| end + 1));
        tidy
    }
}

fn csv_reader(text: &str) -> csv::Reader<&[u8]> {
    csv::ReaderBuilder::new().has_headers(false).flexible(true).trim(csv::Trim::All).from_reader(text.as_bytes())
}

/// What was read so far, each thing once.
#[derive(Default)]
struct Set {
    policies: Vec<Policy>,
    links: Vec<RoleLink>,
    seen_policies: HashSet<String>,
    seen_links: HashSet<[String; 3]>,
}

impl Set {
    fn add(&mut self, columns: &[&str], place: Source) -> Result<(), Error> {
        match columns {
            ["p", columns @ ..] => self.add_policy(read_policy(columns, place)?),
            ["g", columns @ ..] => self.add_link(read_link(columns, place)?),
            _ => {
                let kind = shown(columns.first().unwrap_or(&""));
                return Err(Error::Line { place, reason: format!("column 1: `{kind}` is neither `p` nor `g`") });
            }
        }
        Ok(())
    }

    fn add_policy(&mut self, policy: Policy) {
        if self.seen_policies.insert(policy.id.clone()) {
            self.policies.push(policy);
        }
    }

    fn add_link(&mut self, link: RoleLink) {
        if self.seen_links.insert([link.member.clone(), link.role.clone(), link.tenant.clone()]) {
            self.links.push(link);
        }
    }
}

fn read_policy(columns: &[&str], place: Source) -> Result<Policy, Error> {
    let [subject, domain, object, action, rest @ ..] = columns else { return Err(wrong_count("p", "5 to 8", columns, place)) };
    let (fields, condition, effect) = match rest {
        [] => ("*", "", "allow"),
        [fields] => (*fields, "", "allow"),
        [fields, condition] => (*fields, *condition, "allow"),
        [fields, condition, effect] => (*fields, *condition, *effect),
        _ => return Err(wrong_count("p", "5 to 8", columns, place)),
    };
    let effect = match effect {
        "allow" => Effect::Allow,
        "deny" => Effect::Deny,
        other => {
            let reason = format!("`{}` is neither `allow` nor `deny`", shown(other));
            return Err(Error::Column { place, column: Column::Effect, reason });
        }
    };
    let [subject, domain, object, action, fields, condition] = [subject, domain, object, action, fields, condition].map(str::to_owned);
    Policy::new(PolicyDraft { subject, domain, object, action, fields, condition, effect }, place)
}

fn read_link(columns: &[&str], place: Source) -> Result<RoleLink, Error> {
    match columns {
        [member, role, tenant] => RoleLink::new(member, role, tenant, place),
        _ => Err(wrong_count("g", "4", columns, place)),
    }
}

fn wrong_count(kind: &str, expected: &str, columns: &[&str], place: Source) -> Error {
    let reason = format!("a `{kind}` line has {expected} columns, this one {}", columns.len() + 1);
    Error::Line { place, reason }
}

fn check_line(line: &str) -> Result<(), String> {
    if line.len() > LINE_MAX_BYTES {
        return Err(format!("longer than {LINE_MAX_BYTES} bytes"));
    }
    match line.chars().zip(1..).find(|&(character, _)| character != '\t' && is_deceptive(character)) {
        Some((character, number)) => Err(format!("control character U+{:04X} at character {number}", u32::from(character))),
        None => Ok(()),
    }
}

/// Where the reading of a line stands.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Start,
    Plain,
    Quoted { since: usize },
    AfterQuote,
    Closed,
}

/// Appends the line without the white space before a quoted column, which RFC 4180 does not have but people write, and refuses
/// quotes that the `csv` crate would take as text: a column that is quoted by halves is a policy that means something else than it
/// shows.
fn tidy_quotes(line: &str, tidy: &mut String) -> Result<(), String> {
    let mut place = Place::Start;
    for (character, number) in line.chars().zip(1..) {
        let blank = character == ' ' || character == '\t';
        place = match (place, character) {
            (Place::Start, _) if blank => continue,
            (Place::AfterQuote | Place::Closed, _) if blank => {
                place = Place::Closed;
                continue;
            }
            (Place::Start, '"') => Place::Quoted { since: number },
            (Place::Quoted { .. }, '"') => Place::AfterQuote,
            (Place::Quoted { since }, _) => Place::Quoted { since },
            // Two quotes within quotes stand for one.
            (Place::AfterQuote, '"') => Place::Quoted { since: number },
            (Place::Start | Place::Plain | Place::AfterQuote | Place::Closed, ',') => Place::Start,
            (Place::Plain, '"') => return Err(format!("unexpected quote at character {number}: quote the whole column")),
            (Place::AfterQuote | Place::Closed, _) => return Err(format!("unexpected text after a quote at character {number}")),
            (Place::Start | Place::Plain, _) => Place::Plain,
        };
        tidy.push(character);
    }
    match place {
        Place::Quoted { since } => Err(format!("the quote at character {since} is not closed")),
        Place::Start | Place::Plain | Place::AfterQuote | Place::Closed => Ok(()),
    }
}

//! The CSV form of policies. Casbin's own reader drops lines that it does not understand - a lost denial - so ours refuses the file.

use std::{borrow::Cow, sync::Arc};

use crate::{
    error::{Column, Error},
    policy::{Effect, Source, is_deceptive, shown},
    reader::{Columns, PolicySet, Reader},
};

/// The policies that every server starts with: `role:admin` may do everything, nobody else anything.
pub const DEFAULT_CSV: &str = include_str!("../default.csv");

/// The longest line of a file, in bytes.
const LINE_MAX_BYTES: usize = 16_384;

/// Reads the text of a file: one policy (`p`), role link (`g`) or seal (`s`) per line. A line that stands twice counts once.
///
/// ```csv
/// # p, subject, tenant, object, action [, fields [, condition [, effect]]]
/// p, role:anyone, *, posts, read,   *,          "record.status == 'published'"
/// p, role:author, *, posts, update, title body, "record.owner == caller.id"
/// p, role:anyone, *, posts, *,      *,          "has(record.locked) && record.locked", deny
/// # g, member, role, tenant
/// g, user:7f3a, role:author, acme
/// # s, object: what the database allows about it does not count
/// s, posts
/// ```
///
/// # Errors
/// The first thing that is wrong, with `source_name`, the line and the column.
pub fn parse_csv(source_name: &str, text: &str) -> Result<PolicySet, Error> {
    let mut reader = Reader::default();
    reader.csv(source_name, text)?;
    Ok(reader.finish())
}

impl Reader {
    /// Reads the text of a file: see [`parse_csv`].
    ///
    /// # Errors
    /// As there.
    pub fn csv(&mut self, source_name: &str, text: &str) -> Result<(), Error> {
        let name: Arc<str> = source_name.into();
        let mut columns = Vec::with_capacity(8);
        for (line, number) in text.strip_prefix('\u{feff}').unwrap_or(text).lines().zip(1..) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let place = Source::File { name: Arc::clone(&name), line: number };
            columns.clear();
            if let Err(reason) = check_line(line).and_then(|()| split(line, &mut columns)) {
                return Err(Error::Line { place, reason });
            }
            self.line(&columns, place)?;
        }
        Ok(())
    }

    fn line(&mut self, columns: &[Cow<'_, str>], place: Source) -> Result<(), Error> {
        match columns {
            [kind, columns @ ..] if kind == "p" => match policy(columns) {
                Ok(columns) => self.columns(columns, place),
                Err(fault) => Err(fault.at(place)),
            },
            [kind, member, role, tenant] if kind == "g" => self.link(member, role, tenant, place),
            [kind, object] if kind == "s" => self.seal(object, place),
            [kind, columns @ ..] if kind == "g" => Err(wrong_count("g", "4", columns).at(place)),
            [kind, columns @ ..] if kind == "s" => Err(wrong_count("s", "2", columns).at(place)),
            _ => {
                let kind = shown(columns.first().map_or("", |kind| kind));
                Err(Fault::Line(format!("column 1: `{kind}` is neither `p` nor `g` nor `s`")).at(place))
            }
        }
    }
}

/// What is wrong with a line that could be taken apart.
enum Fault {
    Line(String),
    Effect(String),
}

impl Fault {
    fn at(self, place: Source) -> Error {
        match self {
            Fault::Line(reason) => Error::Line { place, reason },
            Fault::Effect(reason) => Error::Column { place, column: Column::Effect, reason },
        }
    }
}

fn policy<'a>(columns: &'a [Cow<'_, str>]) -> Result<Columns<'a>, Fault> {
    let [subject, domain, object, action, rest @ ..] = columns else { return Err(wrong_count("p", "5 to 8", columns)) };
    let (fields, condition, effect) = match rest {
        [] => ("*", "", "allow"),
        [fields] => (&**fields, "", "allow"),
        [fields, condition] => (&**fields, &**condition, "allow"),
        [fields, condition, effect] => (&**fields, &**condition, &**effect),
        _ => return Err(wrong_count("p", "5 to 8", columns)),
    };
    let effect = match effect {
        "allow" => Effect::Allow,
        "deny" => Effect::Deny,
        other => return Err(Fault::Effect(format!("`{}` is neither `allow` nor `deny`", shown(other)))),
    };
    Ok(Columns { subject, domain, object, action, fields, condition, effect })
}

fn wrong_count(kind: &str, expected: &str, columns: &[Cow<'_, str>]) -> Fault {
    Fault::Line(format!("a `{kind}` line has {expected} columns, this one {}", columns.len() + 1))
}

fn check_line(line: &str) -> Result<(), String> {
    if line.len() > LINE_MAX_BYTES {
        return Err(format!("longer than {LINE_MAX_BYTES} bytes"));
    }
    // Nearly all lines are of this kind, and there are files with a million of them.
    if line.bytes().all(|byte| (b' '..0x7f).contains(&byte) || byte == b'\t') {
        return Ok(());
    }
    match line.chars().zip(1..).find(|&(character, _)| character != '\t' && is_deceptive(character)) {
        Some((character, number)) => Err(format!("control character U+{:04X} at character {number}", u32::from(character))),
        None => Ok(()),
    }
}

/// Takes a line apart at its commas, after RFC 4180, with white space allowed around quoted columns, and refuses quotes that other readers
/// take as text: a column that is quoted by halves is a policy that means something else than it shows.
fn split<'a>(line: &'a str, columns: &mut Vec<Cow<'a, str>>) -> Result<(), String> {
    let character = |at: usize| line[..at].chars().count() + 1;
    let mut at = 0;
    loop {
        let start = at + blanks(&line[at..]);
        let (column, end) = match line[start..].starts_with('"') {
            true => {
                quoted(line, start).ok_or_else(|| format!("the quote at character {} is not closed", character(last_open(line, start))))?
            }
            false => {
                let end = line[start..].find(',').map_or(line.len(), |comma| start + comma);
                if let Some(quote) = line[start..end].find('"') {
                    return Err(format!("unexpected quote at character {}: quote the whole column", character(start + quote)));
                }
                (Cow::Borrowed(line[start..end].trim_end()), end)
            }
        };
        columns.push(column);
        let end = end + blanks(&line[end..]);
        match line[end..].chars().next() {
            None => return Ok(()),
            Some(',') => at = end + 1,
            Some(_) => return Err(format!("unexpected text after a quote at character {}", character(end))),
        }
    }
}

fn blanks(text: &str) -> usize {
    text.len() - text.trim_start_matches([' ', '\t']).len()
}

/// The text between the quote at `start` and the one that closes it, in which two quotes stand for one, and the place behind that.
fn quoted(line: &str, start: usize) -> Option<(Cow<'_, str>, usize)> {
    let mut from = start + 1;
    let mut text = Cow::Borrowed("");
    loop {
        let quote = from + line[from..].find('"')?;
        let doubled = line[quote + 1..].starts_with('"');
        let part = if doubled { &line[from..=quote] } else { &line[from..quote] };
        match text.is_empty() {
            true => text = Cow::Borrowed(part),
            false => text.to_mut().push_str(part),
        }
        if !doubled {
            return Some((text, quote + 1));
        }
        from = quote + 2;
    }
}

/// The quote that a reader would look at first: the last one of the column that is not closed.
fn last_open(line: &str, start: usize) -> usize {
    line[start..].rfind('"').map_or(start, |at| start + at)
}

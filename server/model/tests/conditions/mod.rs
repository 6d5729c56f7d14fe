//! Random conditions over the collection of [`super::hostile`]. Most of them pass the check; all of them parse.

use super::random::Random;

/// The text of a condition with one to about a dozen terms.
pub fn condition(random: &mut Random) -> String {
    any(random, 0)
}

fn any(random: &mut Random, depth: usize) -> String {
    match random.below(if depth < 3 { 10 } else { 4 }) {
        0..=3 => term(random),
        4 => format!("!({})", any(random, depth + 1)),
        5 | 6 => format!("({} || {})", any(random, depth + 1), any(random, depth + 1)),
        7 | 8 => format!("({} && {})", any(random, depth + 1), any(random, depth + 1)),
        _ => format!("({} || {} || {})", any(random, depth + 1), any(random, depth + 1), any(random, depth + 1)),
    }
}

/// Paths by what they may hold, with constants that go with them.
const TEXTS: (&[&str], &[&str]) = (
    &["record.title", "record.note", "record.mail", "record.owner", "record.id", "before.title", "before.note"],
    &["'a'", "'b'", "'ab'", "''"],
);
const CHOICES: (&[&str], &[&str]) = (&["record.status", "before.status"], &["'a'", "'b'", "'draft'"]);
const INTEGERS: (&[&str], &[&str]) = (&["record.stock", "record.count", "before.count"], &["0", "1", "2", "2.5", "-1"]);
const NUMBERS: (&[&str], &[&str]) = (&["record.score", "before.score"], &["0", "1", "2.5", "1e300"]);
const DECIMALS: (&[&str], &[&str]) = (&["record.price", "before.price"], &["0", "1", "2.5", "'2.5'", "3"]);
const BOOLEANS: (&[&str], &[&str]) = (&["record.public", "record.locked", "before.locked"], &["true", "false"]);
const DATETIMES: (&[&str], &[&str]) =
    (&["record.due", "record.created", "before.due", "now"], &["'2026-01-01T00:00:00Z'", "timestamp('2026-11-22T17:30:04Z')"]);
const DAYS: (&[&str], &[&str]) = (&["record.day", "before.day"], &["'2026-01-01'", "'2026-01-02'"]);
const ANYTHING: (&[&str], &[&str]) = (
    &[
        "record.data",
        "record.data.a",
        "record.data.n",
        "record.data.a.n",
        "before.data.n",
        "caller.id",
        "caller.team",
        "caller.credit",
        "caller.data.a",
    ],
    &["'a'", "'u1'", "1", "2.5", "true", "false"],
);
const LISTS: &[&str] = &["record.tags", "record.readers", "before.tags", "record.data", "record.data.a", "caller.roles", "caller.teams"];

/// One term; one in sixteen compares what may not go together.
fn term(random: &mut Random) -> String {
    let families = [TEXTS, CHOICES, INTEGERS, NUMBERS, DECIMALS, BOOLEANS, DATETIMES, DAYS, ANYTHING, ANYTHING];
    let at = random.below(families.len());
    let family = families[at];
    let path = random.pick(family.0);
    let other = match random.below(16) {
        0 => families[random.below(families.len())],
        1 | 2 => ANYTHING,
        _ => family,
    };
    let beside = if random.below(4) == 0 { random.pick(other.0) } else { random.pick(other.1) };
    let (left, right) = if random.below(5) == 0 { (beside, path) } else { (path, beside) };
    match random.below(14) {
        0..=2 => format!("{left} == {right}"),
        3 => format!("{left} != {right}"),
        4 | 5 if family != BOOLEANS => format!("{left} {} {right}", random.pick(&["<", "<=", ">", ">="])),
        6 if path != "now" => format!("has({path})"),
        7 => format!("{path} {} null", random.pick(&["==", "!="])),
        8 | 9 => {
            let values: Vec<&str> = (0..random.below(4)).map(|_| random.pick(family.1)).collect();
            format!("{path} in [{}]", values.join(", ").replace("timestamp(", "").replace("Z')", "Z'"))
        }
        10 => format!("{} in {}", random.pick(&["'a'", "'b'", "1", "2.5", "caller.id", "record.owner"]), random.pick(LISTS)),
        11 | 12 => {
            let family = [TEXTS, CHOICES, DATETIMES, ANYTHING][random.below(4)];
            let text = random.pick(family.0);
            let needle = if random.below(5) == 0 { random.pick(TEXTS.0) } else { random.pick(&["'a'", "'b'", "''", "'2026'"]) };
            format!("{text}.{}({needle})", random.pick(&["startsWith", "endsWith", "contains"]))
        }
        13 => random.pick(&["record.public", "record.locked", "record.data.a", "before.public", "caller.admin"]).to_owned(),
        _ => random.pick(&["true", "false", "record.locked"]).to_owned(),
    }
}

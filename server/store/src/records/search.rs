//! Records by the words in their texts. The database finds them in its full-text indexes; the order is made here, because the scores of the
//! database weigh a word by how many records have it, those of other tenants and those that the caller may not see included. Here nothing but
//! the record itself decides.

use model::{Collection, Condition, Record, query::List};

use super::{
    Ground,
    aggregate::{Failure, TIME_MAX_S, too_slow},
    wanted,
};
use crate::{
    Error,
    row::{Row, first_row, rows},
    transaction::{Binds, Run, bind},
};

/// The most records that are put in order; of more the newest are.
pub const RANKED_MAX: usize = 10_000;

/// The parameters of BM25: how soon more of the same word adds nothing, how much the length of a text matters, and what length is usual,
/// in characters.
const SATURATION: f64 = 1.2;
const LENGTH_WEIGHT: f64 = 0.75;
const LENGTH_USUAL: f64 = 500.0;

/// The words of a text, as the analyzer of the indexes divides it: runs of letters and runs of digits. What it does to each is for it to do.
#[must_use]
pub fn words(text: &str) -> Vec<String> {
    let kind = |character: char| match character {
        letter if letter.is_alphabetic() => 1,
        digit if digit.is_numeric() => 2,
        _ => 0,
    };
    let mut words: Vec<String> = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|character| kind(character) != kind(first)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let word = word.to_lowercase();
        if kind(first) != 0 && !words.contains(&word) {
            words.push(word);
        }
        rest = after;
    }
    words
}

/// The ids of the records that have all of these words in the fields that can be searched, best first: a word counts for more the more often
/// it stands in a text and the shorter that is.
///
/// # Errors
/// [`Failure::TooSlow`], or what the database reports.
pub async fn ranked(
    run: &impl Run,
    collection: &Collection,
    ground: Ground<'_>,
    filter: Option<&Condition>,
    words: &[String],
) -> Result<Vec<String>, Failure> {
    let mut binds = Binds::new();
    let Some(wanted) = wanted(collection, ground, filter, &mut binds) else { return Ok(Vec::new()) };
    let matching = matching(collection, words, &mut binds);
    let fields = collection.search();
    let tests = words.len() * fields.len();
    let times = (0..tests).map(|at| format!("array::len(array::flatten(object::values(search::offsets({at}) ?? {{}}))) AS t{at}"));
    let lengths = fields.iter().enumerate().map(|(at, field)| format!("string::len(`{field}` ?? '') AS l{at}"));
    let columns: Vec<String> = times.chain(lengths).collect();
    let text = format!(
        "SELECT _key, {} FROM `{}` WHERE {wanted}{matching} ORDER BY _key DESC LIMIT {RANKED_MAX} TIMEOUT {TIME_MAX_S}s",
        columns.join(", "),
        collection.table()
    );
    let mut found = Vec::new();
    for row in run.run(text, binds).await.map_err(too_slow)?.into_iter().flat_map(rows) {
        let mut row = Row::new(row)?;
        let mut number = |name: String| row.integer(&name).unwrap_or_default() as f64;
        let lengths: Vec<f64> = (0..fields.len()).map(|at| number(format!("l{at}"))).collect();
        let score = (0..tests).map(|at| weight(number(format!("t{at}")), lengths[at % fields.len()])).sum::<f64>();
        found.push((score, row.text("_key")?));
    }
    // Of equals the newest comes first.
    found.sort_by(|(a, first), (b, second)| b.total_cmp(a).then_with(|| second.cmp(first)));
    Ok(found.into_iter().map(|(_, id)| id).collect())
}

/// What a word adds that stands so many times in a text of so many characters: BM25 without what other records have. Each further time
/// adds less.
fn weight(times: f64, characters: f64) -> f64 {
    if times < 1.0 {
        return 0.0;
    }
    let times = 1.0 + times.ln();
    let length = 1.0 - LENGTH_WEIGHT + LENGTH_WEIGHT * characters / LENGTH_USUAL;
    times * (SATURATION + 1.0) / (times + SATURATION * length)
}

/// Counts the records that have all of these words.
///
/// # Errors
/// What the database reports.
pub async fn count(
    run: &impl Run,
    collection: &Collection,
    ground: Ground<'_>,
    filter: Option<&Condition>,
    words: &[String],
) -> Result<u64, Error> {
    if words.is_empty() {
        return super::count(run, collection, ground, filter).await;
    }
    let mut binds = Binds::new();
    let Some(wanted) = wanted(collection, ground, filter, &mut binds) else { return Ok(0) };
    let matching = matching(collection, words, &mut binds);
    let text = format!("SELECT count() FROM `{}` WHERE {wanted}{matching} GROUP ALL", collection.table());
    match run.run(text, binds).await?.into_iter().next().and_then(first_row) {
        None => Ok(0),
        Some(row) => Ok(Row::new(row)?.integer("count")?.unsigned_abs()),
    }
}

/// Reads a page of the records that have all of these words, in an order of the client's.
///
/// # Errors
/// What the database reports.
pub async fn list(
    run: &impl Run,
    collection: &Collection,
    ground: Ground<'_>,
    list: &List,
    words: &[String],
) -> Result<Vec<Record>, Error> {
    if words.is_empty() {
        return super::list(run, collection, ground, list).await;
    }
    super::page::read(run, collection, ground, list, |binds| (super::table(collection), matching(collection, words, binds))).await
}

/// The addition to WHERE: each word stands in at least one of the fields. Every test has a number of its own, by which its word is counted.
fn matching(collection: &Collection, words: &[String], binds: &mut Binds) -> String {
    let fields = collection.search();
    let mut text = String::new();
    for (at, word) in words.iter().enumerate() {
        binds.push(bind(&format!("word{at}"), word.clone()));
        let tests = fields.iter().enumerate().map(|(number, field)| format!("`{field}` @{}@ $word{at}", at * fields.len() + number));
        text.push_str(&format!(" AND ({})", tests.collect::<Vec<_>>().join(" OR ")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_words() {
        let check = |text: &str, expected: &[&str]| assert_eq!(words(text), expected, "{text}");
        check("Apple, apple! Pie", &["apple", "pie"]);
        check("abc123 it's 3.14", &["abc", "123", "it", "s", "3", "14"]);
        check("Élan 北京", &["élan", "北京"]);
        check(" !?. ", &[]);
        check("", &[]);
    }

    #[test]
    fn more_words_in_shorter_texts_weigh_more() {
        let falling =
            [weight(9.0, 100.0), weight(2.0, 100.0), weight(1.0, 100.0), weight(1.0, 500.0), weight(1.0, 100_000.0), weight(0.0, 10.0)];
        assert!(falling.windows(2).all(|pair| pair[0] > pair[1]), "{falling:?}");
        assert!(weight(2.0, 100.0) - weight(1.0, 100.0) > weight(9.0, 100.0) - weight(8.0, 100.0));
    }
}

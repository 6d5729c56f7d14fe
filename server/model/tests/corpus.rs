//! Replays the texts that the fuzzer (see `fuzz`) found worth keeping, and mutations of them: nothing panics and nothing takes long.

mod attack;

mod hostile;

mod random;

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use random::Random;

/// How long one text may take, on any machine and beside anything else that runs there.
const TIME_MAX: Duration = Duration::from_secs(1);

/// How many mutations are tried beside the corpus itself.
const MUTATIONS: usize = 5_000;

fn corpus() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/parse_condition");
    let files = fs::read_dir(folder).expect("the corpus").map(|entry| entry.expect("a file").path());
    let mut texts: Vec<String> = files.map(|path| String::from_utf8_lossy(&fs::read(path).expect("a text")).into_owned()).collect();
    // The order of a folder is not the same everywhere.
    texts.sort();
    texts
}

/// A text that differs in a few places, or is made of two.
fn mutated(text: &str, other: &str, random: &mut Random) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    let other: Vec<char> = other.chars().collect();
    for _ in 0..1 + random.below(3) {
        let (from, to) = span(characters.len(), random);
        match random.below(6) {
            0 => drop(characters.drain(from..to)),
            1 => {
                let repeated = characters[from..to].to_vec();
                characters.splice(to..to, repeated);
            }
            2 | 3 => {
                let (start, end) = span(other.len(), random);
                characters.splice(from..to, other[start..end].iter().copied());
            }
            4 => {
                let pieces = [
                    "(",
                    ")",
                    "!",
                    "&&",
                    "||",
                    "'",
                    "\\",
                    "9",
                    "e",
                    ".",
                    "\0",
                    "\u{10ffff}",
                    "null",
                    " in ",
                    "record.data.a",
                    "before.",
                    "now",
                ];
                characters.splice(from..from, random.pick(&pieces).chars());
            }
            _ => {
                if let Some(character) = characters.get_mut(from) {
                    *character = char::from_u32(u32::from(*character) ^ (1 << random.below(7))).unwrap_or('?');
                }
            }
        }
    }
    characters.into_iter().collect()
}

/// Two places in order.
fn span(length: usize, random: &mut Random) -> (usize, usize) {
    let (one, two) = (random.below(length + 1), random.below(length + 1));
    (one.min(two), one.max(two))
}

#[test]
fn no_text_panics_or_takes_long() {
    let corpus = corpus();
    assert!((50..=300).contains(&corpus.len()), "{} texts in the corpus", corpus.len());
    let mut random = Random::new(11);
    let pick = |random: &mut Random| corpus[random.below(corpus.len())].as_str();
    let mutations = (0..MUTATIONS).map(|_| mutated(pick(&mut random), pick(&mut random), &mut random));
    let mut parsed = 0;
    for text in corpus.iter().cloned().chain(mutations.collect::<Vec<_>>()) {
        let begun = Instant::now();
        attack::condition(&text);
        assert!(begun.elapsed() < TIME_MAX, "{:?} for {text:?}", begun.elapsed());
        parsed += usize::from(model::Condition::parse(&text, model::condition::Scope::Policy).is_ok());
    }
    assert!(parsed > 200, "only {parsed} texts were conditions");
}

//! Everything that a stranger's text can set off, for the fuzzer and for the corpus that it left behind: the text is parsed in both scopes,
//! and what parses is checked, reviewed, looked up and decided on a record that obeys nothing. What must hold of every text is asserted.

use std::{cell::OnceCell, rc::Rc};

use model::{
    Collection, Condition, Truth,
    condition::{Context, LENGTH_MAX, Scope},
};

use super::{hostile, random::Random};

thread_local! {
    static POSTS: OnceCell<Rc<Collection>> = const { OnceCell::new() };
}

/// Does all of it with one text.
///
/// # Panics
/// If something does not hold.
pub fn condition(text: &str) {
    let posts = POSTS.with(|posts| Rc::clone(posts.get_or_init(|| Rc::new(hostile::posts()))));
    // The same text always meets the same record.
    let seed = text.bytes().fold(0, |seed: u64, byte| seed.wrapping_mul(31).wrapping_add(byte.into()));
    for scope in [Scope::Policy, Scope::Filter] {
        match Condition::parse(text, scope) {
            Err(error) => assert!(error.position <= text.len() && text.is_char_boundary(error.position), "{error}"),
            Ok(condition) => {
                assert!(text.len() <= LENGTH_MAX);
                assert_eq!(Condition::parse(&condition.to_string(), scope).as_ref(), Ok(&condition));
                decide(&condition, seed);
                // Whoever reviews a condition that does not belong to the collection gets some answer.
                let _any = condition.review(&posts);
                match condition.check(&posts) {
                    Err(error) => assert!(error.position <= text.len() && text.is_char_boundary(error.position), "{error}"),
                    Ok(checked) => review(&checked, &posts, seed),
                }
            }
        }
    }
}

fn review(checked: &Condition, posts: &Collection, seed: u64) {
    assert_eq!(checked.check(posts).as_ref(), Ok(checked), "a second check changes nothing");
    let review = checked.review(posts);
    assert!(review.can_be_true || review.can_be_false || review.can_be_unknown);
    assert!(review.can_be_unknown || review.unguarded.is_empty());
    decide(checked, seed);
}

fn decide(condition: &Condition, seed: u64) {
    let alternatives = condition.lookups();
    let fields = condition.fields();
    assert!(alternatives.len() <= 64 && alternatives.iter().all(|pins| pins.is_subset(&fields)));
    let mut random = Random::new(seed);
    for has_before in [false, true] {
        let (record, before, caller) = (hostile::record(&mut random), hostile::record(&mut random), hostile::caller(&mut random));
        let now = "2026-11-22T17:30:04.123456Z";
        let context = Context { record: &record, before: has_before.then_some(&before), caller: &caller, now };
        let truth = condition.evaluate(&context);
        assert_eq!(condition.doubts(&context).is_empty(), truth != Truth::Unknown);
        assert!(truth != Truth::True || !alternatives.is_empty(), "it is true without an alternative");
    }
}

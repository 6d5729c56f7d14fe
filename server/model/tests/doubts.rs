//! There is a doubt exactly where a condition is unknown, whatever the condition and the record.

mod conditions;

mod hostile;

mod random;

use model::{
    Condition, Truth,
    condition::{Context, Scope},
};
use random::Random;

#[test]
fn there_is_a_doubt_exactly_when_the_outcome_is_unknown() {
    let mut random = Random::new(1);
    let posts = hostile::posts();
    let mut outcomes = [0; 3];
    let mut refused = 0;
    for _ in 0..4_000 {
        let text = conditions::condition(&mut random);
        let condition = Condition::parse(&text, Scope::Policy).expect(&text);
        // A condition that the check refuses must not be in doubt about its doubts, either.
        let condition = condition.check(&posts).unwrap_or_else(|_| {
            refused += 1;
            condition
        });
        for _ in 0..10 {
            let (record, before, caller) = (hostile::record(&mut random), hostile::record(&mut random), hostile::caller(&mut random));
            let before = (random.below(2) == 0).then_some(&before);
            let context = Context { record: &record, before, caller: &caller, now: "2026-11-22T17:30:04.123456Z" };
            let truth = condition.evaluate(&context);
            let doubts = condition.doubts(&context);
            assert_eq!(!doubts.is_empty(), truth == Truth::Unknown, "{text}\n{doubts:?}\n{context:?}");
            for doubt in &doubts {
                assert!(text.is_char_boundary(doubt.position), "{text}: {doubt:?}");
                let is_path = ["record.", "before.", "caller.", "now"].iter().any(|root| doubt.path.starts_with(root));
                assert!(!is_path || text[doubt.position..].starts_with(&doubt.path), "{text}: {doubt:?}");
            }
            outcomes[truth as usize] += 1;
        }
    }
    assert!(outcomes.iter().all(|count| *count > 2_000), "the conditions came out one-sided: {outcomes:?}");
    assert!((400..3_000).contains(&refused), "{refused} of 4,000 conditions were refused");
}

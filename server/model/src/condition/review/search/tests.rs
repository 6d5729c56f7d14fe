//! Leaving out what cannot add an outcome must not leave out an outcome: random conditions, against trying every combination.

#[path = "../../../../tests/hostile/mod.rs"]
#[expect(dead_code, reason = "the records are for other tests")]
mod hostile;

#[path = "../../../../tests/conditions/mod.rs"]
mod conditions;

#[path = "../../../../tests/random/mod.rs"]
mod random;

use random::Random;

use super::*;
use crate::{
    Condition,
    condition::{Doubt, Scope},
};

/// The most combinations that are tried one by one.
const COMBINATIONS_MAX: usize = 20_000;

/// Every outcome of every combination; none if there are too many.
fn try_all(condition: &Condition, search: &mut Search<'_>) -> Option<Outcomes> {
    let choices = &mut search.choices;
    let variables: Vec<usize> = (0..choices.variables.len()).collect();
    let combinations = choices.ranges.iter().try_fold(1_usize, |product, range| product.checked_mul(range.len()))?;
    if combinations > COMBINATIONS_MAX {
        return None;
    }
    for variable in &variables {
        choices.choose(*variable, choices.ranges[*variable].start);
    }
    let mut found = Outcomes::NONE;
    loop {
        let context = choices.situation.context();
        let truth = condition.evaluate(&context);
        let looked_at = choices.looked_at.map(|at| choices.variables[at].place.name());
        let is_own = |doubt: &Doubt| looked_at.as_ref().is_none_or(|name| doubt.path == *name);
        found = found.or(Outcomes::of(truth, condition.doubts(&context).iter().all(is_own)));
        if !choices.advance(&variables) {
            return Some(found);
        }
    }
}

#[test]
fn nothing_is_left_out_that_matters() {
    let mut random = Random::new(7);
    let posts = hostile::posts();
    let (mut compared, mut guarded, mut unguarded) = (0, 0, 0);
    for _ in 0..1_500 {
        let text = conditions::condition(&mut random);
        let Ok(condition) = Condition::parse(&text, Scope::Policy).expect(&text).check(&posts) else { continue };
        // One is left as it is, with every candidate.
        let [mut search, mut whole] = [Search::new(condition.expression(), &posts), Search::new(condition.expression(), &posts)];
        let outcomes = search.outcomes();
        let exact = search.choices.variables.iter().all(|variable| variable.exact);
        let Some(expected) = try_all(&condition, &mut whole) else { continue };
        assert!(outcomes.contains(expected), "{text}: {outcomes:?}, but {expected:?} is possible");
        assert!(!exact || outcomes == expected, "{text}: {outcomes:?}, but only {expected:?} is possible");
        compared += 1;

        let mut paths = Vec::new();
        condition.expression().each_path(&mut |path| paths.push(path));
        for path in paths {
            let found = search.is_unguarded(path);
            let Some(index) = whole.choices.variables.iter().position(|one| one.place == Place::of(path) && one.may_be_missing()) else {
                assert!(!found, "{text}: {path} is never missing");
                continue;
            };
            whole.choices.look_at(index);
            let expected = try_all(&condition, &mut whole).expect("fewer combinations than before").can_be_unknown();
            assert!(if exact { found == expected } else { found || !expected }, "{text}: {path} is {found}, but should be {expected}");
            if found { unguarded += 1 } else { guarded += 1 }
        }
    }
    assert!(compared > 500 && guarded > 100 && unguarded > 250, "{compared} conditions, {guarded} guarded paths, {unguarded} others");
}

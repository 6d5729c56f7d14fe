//! Sets of outcomes, and what terms with such sets come to together.

use std::ops::Not;

use crate::Truth;

/// A set of outcomes. An unknown one is told apart by whether all its doubts come from one path that is looked at (see
/// [`super::search::Search::is_unguarded`]) or some come from elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Outcomes(u8);

const FALSE: u8 = 1;
const UNKNOWN: u8 = 2;
const OTHERWISE_UNKNOWN: u8 = 4;
const TRUE: u8 = 8;

impl Outcomes {
    pub(super) const NONE: Self = Self(0);
    pub(super) const FALSE: Self = Self(FALSE);
    pub(super) const TRUE: Self = Self(TRUE);

    /// The set of one outcome; `own` tells whether a doubt comes from the path that is looked at.
    pub(super) fn of(truth: Truth, own: bool) -> Self {
        Self(match truth {
            Truth::False => FALSE,
            Truth::Unknown if own => UNKNOWN,
            Truth::Unknown => OTHERWISE_UNKNOWN,
            Truth::True => TRUE,
        })
    }

    /// Everything that a term can come out as.
    pub(super) const ANY: Self = Self(FALSE | UNKNOWN | TRUE);

    /// The same, with doubts that have nothing to do with the path that is looked at.
    pub(super) fn otherwise(self) -> Self {
        if self.can_be_unknown() { Self(self.0 & !UNKNOWN | OTHERWISE_UNKNOWN) } else { self }
    }

    pub(super) fn can_be_true(self) -> bool {
        self.0 & TRUE > 0
    }

    pub(super) fn can_be_false(self) -> bool {
        self.0 & FALSE > 0
    }

    pub(super) fn can_be_unknown(self) -> bool {
        self.0 & UNKNOWN > 0
    }

    pub(super) fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    pub(super) fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What two terms come to when both have to hold: any pair of their outcomes may meet.
    pub(super) fn both(self, other: Self) -> Self {
        // The first of these that one side is, the pair is.
        self.meet(other, [FALSE, OTHERWISE_UNKNOWN, UNKNOWN, TRUE])
    }

    /// What two terms come to when one of them has to hold.
    pub(super) fn either(self, other: Self) -> Self {
        self.meet(other, [TRUE, OTHERWISE_UNKNOWN, UNKNOWN, FALSE])
    }

    fn meet(self, other: Self, precedence: [u8; 4]) -> Self {
        let (mut result, mut rest) = (0, 0xF);
        for outcome in precedence {
            // One side is it, and the other is it or something weaker.
            let met = (self.0 & outcome > 0 && other.0 & rest > 0) || (other.0 & outcome > 0 && self.0 & rest > 0);
            result |= if met { outcome } else { 0 };
            rest &= !outcome;
        }
        Self(result)
    }
}

impl Not for Outcomes {
    type Output = Self;

    fn not(self) -> Self {
        let swapped = if self.can_be_true() { FALSE } else { 0 } | if self.can_be_false() { TRUE } else { 0 };
        Self(swapped | self.0 & (UNKNOWN | OTHERWISE_UNKNOWN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every pair of sets, against pairing their elements one by one.
    #[test]
    fn sets_combine_as_their_elements_do() {
        let singles = [FALSE, OTHERWISE_UNKNOWN, UNKNOWN, TRUE];
        let pairwise = |a: u8, b: u8, precedence: [u8; 4]| {
            let pairs = singles.iter().flat_map(|x| singles.iter().map(move |y| (*x, *y))).filter(|(x, y)| a & x > 0 && b & y > 0);
            pairs.fold(0, |set, (x, y)| set | precedence.into_iter().find(|one| *one == x || *one == y).expect("one of four"))
        };
        for a in 0..16 {
            for b in 0..16 {
                assert_eq!(Outcomes(a).both(Outcomes(b)).0, pairwise(a, b, [FALSE, OTHERWISE_UNKNOWN, UNKNOWN, TRUE]), "{a} {b}");
                assert_eq!(Outcomes(a).either(Outcomes(b)).0, pairwise(a, b, [TRUE, OTHERWISE_UNKNOWN, UNKNOWN, FALSE]), "{a} {b}");
            }
            assert_eq!(!!Outcomes(a), Outcomes(a));
        }
        assert_eq!(!Outcomes::TRUE, Outcomes::FALSE);
    }
}

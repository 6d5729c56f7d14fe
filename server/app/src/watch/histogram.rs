//! Durations in buckets of an eighth of an octave: from 1 microsecond to 16 seconds, at most an eighth too high. A few hundred bytes each,
//! because there is one for every part of every rule; and every power of two is an edge, so that coarser buckets can be read off exactly.

use std::time::Duration;

/// Buckets of an octave.
const STEPS: u64 = 8;

/// Microseconds that the last bucket ends with; what takes longer is counted there.
const MAX_US: u64 = 1 << 24;

/// How often something took how long.
#[derive(Clone, Debug, Default)]
pub(super) struct Histogram {
    /// As long as the highest bucket that was ever used.
    buckets: Vec<u64>,
    count: u64,
    sum: Duration,
    max: Duration,
}

impl Histogram {
    pub(super) fn note(&mut self, took: Duration) {
        let bucket = bucket(micros(took));
        if self.buckets.len() <= bucket {
            self.buckets.resize(bucket + 1, 0);
        }
        self.buckets[bucket] += 1;
        self.count += 1;
        self.sum = self.sum.saturating_add(took);
        self.max = self.max.max(took);
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn sum(&self) -> Duration {
        self.sum
    }

    pub(super) fn max_us(&self) -> u64 {
        micros(self.max)
    }

    /// Microseconds; 0 when nothing was noted.
    pub(super) fn mean_us(&self) -> u64 {
        let mean = self.sum.as_micros().checked_div(u128::from(self.count)).unwrap_or_default();
        u64::try_from(mean).unwrap_or(u64::MAX)
    }

    /// The microseconds within which this share of all lies: `0.5` for the median. 0 when nothing was noted.
    pub(super) fn quantile_us(&self, share: f64) -> u64 {
        // A count has to be beyond 2^53 before the product is off by one.
        let wanted = (self.count as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return edge(bucket).min(self.max_us());
            }
        }
        self.max_us()
    }

    /// How many took at most this many microseconds, a power of two.
    pub(super) fn within_us(&self, power_of_two: u64) -> u64 {
        self.buckets.iter().enumerate().filter(|(bucket, _)| edge(*bucket) <= power_of_two).map(|(_, count)| count).sum()
    }
}

/// Rounded up, so that an edge belongs to the bucket that it ends.
fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_nanos().div_ceil(1_000)).unwrap_or(u64::MAX)
}

fn bucket(micros: u64) -> usize {
    let before = micros.clamp(1, MAX_US) - 1;
    let bucket = match before.checked_ilog2() {
        Some(octave @ 3..) => (u64::from(octave) - 2) * STEPS + ((before >> (octave - 3)) & (STEPS - 1)),
        // The first eight microseconds have a bucket each.
        _ => before,
    };
    // INVARIANT: at most 22 octaves of eight.
    bucket as usize
}

/// The microseconds that the bucket ends with, included.
fn edge(bucket: usize) -> u64 {
    let (octave, step) = (bucket as u64 / STEPS, bucket as u64 % STEPS);
    if octave == 0 { step + 1 } else { (STEPS + step + 1) << (octave - 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(micros: impl IntoIterator<Item = u64>) -> Histogram {
        let mut histogram = Histogram::default();
        micros.into_iter().for_each(|one| histogram.note(Duration::from_micros(one)));
        histogram
    }

    #[test]
    fn buckets_follow_one_another_without_a_gap() {
        for last in 0..bucket(MAX_US) {
            assert_eq!(bucket(edge(last)), last, "{last}");
            assert_eq!(bucket(edge(last) + 1), last + 1, "{last}");
        }
        assert_eq!(edge(bucket(MAX_US)), MAX_US);
    }

    #[test]
    fn nothing_is_told_of_nothing() {
        let nothing = Histogram::default();
        assert_eq!(
            (nothing.count(), nothing.mean_us(), nothing.quantile_us(0.99), nothing.max_us(), nothing.within_us(1 << 20)),
            (0, 0, 0, 0, 0)
        );
    }

    #[test]
    fn quantiles_are_an_eighth_too_high_at_most() {
        for wanted in [1, 7, 9, 100, 1_000, 12_345, 1_000_000] {
            let found = of([wanted, wanted, wanted, 2 * wanted]).quantile_us(0.5);
            assert!(found >= wanted && found <= wanted + wanted.div_ceil(8), "{wanted}: {found}");
        }
        let thousand = of(1..=1_000);
        assert!((990..=1_000).contains(&thousand.quantile_us(0.99)), "{}", thousand.quantile_us(0.99));
        assert_eq!(thousand.quantile_us(1.0), 1_000);
        assert_eq!(thousand.mean_us(), 500);
    }

    #[test]
    fn powers_of_two_are_counted_exactly() {
        let histogram = of([1, 16, 17, 1_024, 1_025, 1 << 22]);
        let within: Vec<u64> = [1, 16, 1_024, 1 << 22].into_iter().map(|bound| histogram.within_us(bound)).collect();
        assert_eq!(within, [1, 2, 4, 6]);
    }

    #[test]
    fn the_extremes_are_counted() {
        let mut histogram = of([u64::MAX, MAX_US + 1]);
        histogram.note(Duration::ZERO);
        histogram.note(Duration::MAX);
        assert_eq!(histogram.count(), 4);
        assert_eq!(histogram.sum(), Duration::MAX);
        assert_eq!(histogram.within_us(1), 1);
        assert_eq!(histogram.within_us(MAX_US), 4);
    }
}

//! The counts of one limit, in bounded memory: what has run out is thrown away first, and if that is not enough, newcomers share a count.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use governor::{nanos::Nanos, state::StateStore};

use super::Key;

/// Parts that do not wait for each other.
const PARTS: usize = 16;

/// Keys of one part: of all, 64,000.
const KEYS_MAX: usize = 4_000;

/// What newcomers of a full part share.
const NEWCOMERS: Key = Key(0);

/// Cheap to clone; clones are the same counts.
#[derive(Clone, Debug)]
pub(super) struct Counts {
    /// For each key, until when its requests have used up their time, as governor measures it.
    parts: Arc<[Mutex<HashMap<Key, Nanos>>; PARTS]>,
    /// The time that one request uses up.
    each: Nanos,
}

impl Counts {
    pub(super) fn new(each: Duration) -> Self {
        Self { parts: Arc::default(), each: each.max(Duration::from_nanos(1)).into() }
    }

    fn part(&self, key: Key) -> std::sync::MutexGuard<'_, HashMap<Key, Nanos>> {
        self.parts[key.0 as usize % PARTS].lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn forget(&self, key: Key) {
        self.part(key).remove(&key);
    }
}

impl StateStore for Counts {
    type Key = Key;

    fn measure_and_replace<T, F, E>(&self, key: &Key, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut part = self.part(*key);
        if let Some(until) = part.get_mut(key) {
            let (value, next) = measure(Some(*until))?;
            *until = next;
            return Ok(value);
        }
        let (value, next) = measure(None)?;
        if part.len() < KEYS_MAX {
            part.insert(*key, next);
            return Ok(value);
        }
        // A first request uses up its time from now on.
        let now = next.as_u64().saturating_sub(self.each.as_u64());
        part.retain(|_, until| until.as_u64() > now);
        if part.len() < KEYS_MAX {
            part.insert(*key, next);
            return Ok(value);
        }
        let (value, next) = measure(part.get(&NEWCOMERS).copied())?;
        part.insert(NEWCOMERS, next);
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What governor asks: at a time, 10 units for each request, at most 30 ahead.
    fn ask(counts: &Counts, key: u64, now: u64) -> bool {
        let measure = |until: Option<Nanos>| {
            let until = until.map_or(now, |until| until.as_u64());
            if until > now + 20 { Err(()) } else { Ok(((), Nanos::new(until.max(now) + 10))) }
        };
        counts.measure_and_replace(&Key(key), measure).is_ok()
    }

    fn len(counts: &Counts) -> usize {
        counts.parts.iter().map(|part| part.lock().map(|part| part.len()).unwrap_or_default()).sum()
    }

    #[test]
    fn a_flood_of_keys_takes_no_more_memory_and_gets_no_more_than_its_share() {
        let counts = Counts::new(Duration::from_nanos(10));
        let passed = (1..1_000_000).filter(|key| ask(&counts, *key, 1_000)).count();
        assert!(len(&counts) <= PARTS * (KEYS_MAX + 1), "{}", len(&counts));
        assert!(passed <= PARTS * (KEYS_MAX + 3), "{passed} were let through");
        assert!(!ask(&counts, 2_000_000, 1_000), "newcomers share what is left");
        assert!(ask(&counts, 1, 1_000), "who was there before keeps its own count");
        assert!(ask(&counts, 2_000_000, 2_000), "what has run out makes place");
        assert!(len(&counts) <= PARTS * KEYS_MAX);
    }

    #[test]
    fn what_is_forgotten_begins_anew() {
        let counts = Counts::new(Duration::from_nanos(10));
        assert!((0..3).all(|_| ask(&counts, 7, 1_000)) && !ask(&counts, 7, 1_000));
        counts.forget(Key(7));
        assert!(ask(&counts, 7, 1_000));
    }
}

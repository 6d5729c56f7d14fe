//! Places that deliveries go to, with room for some at a time: one that does not answer must not take all the slots there are.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Deliveries that are at one place at the same time.
const ROOM: usize = 8;

/// How long a delivery waits at the door. A place that answers has room long before.
const PATIENCE: Duration = Duration::from_millis(500);

/// The places that somebody is at.
#[derive(Default)]
pub(super) struct Crowd {
    places: Mutex<HashMap<String, Arc<Semaphore>>>,
}

impl Crowd {
    /// Enters a place until the answer is dropped; none if it stays full.
    pub(super) async fn enter(&self, place: &str) -> Option<OwnedSemaphorePermit> {
        let room = {
            let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
            // Nobody else has a hand on these.
            places.retain(|_, room| Arc::strong_count(room) > 1);
            Arc::clone(places.entry(place.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(ROOM))))
        };
        tokio::time::timeout(PATIENCE, room.acquire_owned()).await.ok()?.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_place_is_not_the_others() {
        let crowd = Crowd::default();
        let mut guests = Vec::new();
        for _ in 0..ROOM {
            guests.push(crowd.enter("slow.example").await.expect("room"));
        }
        assert!(crowd.enter("slow.example").await.is_none(), "it is full");
        assert!(crowd.enter("other.example").await.is_some());
        guests.pop();
        assert!(crowd.enter("slow.example").await.is_some(), "somebody has left");
        drop(guests);
        assert!(crowd.enter("other.example").await.is_some());
        assert_eq!(crowd.places.lock().expect("the places").len(), 1, "empty places are forgotten");
    }
}

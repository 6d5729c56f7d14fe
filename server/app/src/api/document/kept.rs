//! The documents of one picture of the world: rendered when somebody asks, the last ones kept. Those for everybody stay when policies change,
//! those for callers do not.

use std::sync::{Arc, Mutex, PoisonError};

use super::{Document, Wanted};

/// How many documents are kept of each sort, and how many bytes of JSON: whoever asks for many slices pays with the time to render them.
const DOCUMENTS_MAX: usize = 64;
const BYTES_MAX: usize = 16 << 20;

/// Callers who may do the same: the name of their plans, and whether they are signed in.
pub(crate) type Group = (u128, bool);

/// The documents of one picture of the world.
#[derive(Default)]
pub struct Documents {
    general: Arc<Kept<Wanted>>,
    callers: Kept<(Wanted, Group)>,
}

impl Documents {
    /// What stays of them when the policies change.
    #[must_use]
    pub(crate) fn with_other_policies(&self) -> Self {
        Self { general: Arc::clone(&self.general), callers: Kept::default() }
    }

    /// The document for everybody, or for a group of callers.
    ///
    /// # Errors
    /// Those of `render`.
    pub(crate) fn get<E>(
        &self,
        wanted: &Wanted,
        group: Option<Group>,
        render: impl FnOnce() -> Result<Document, E>,
    ) -> Result<Arc<Document>, E> {
        match group {
            None => self.general.get(wanted.clone(), render),
            Some(group) => self.callers.get((wanted.clone(), group), render),
        }
    }
}

/// Documents, the one that was used last at the end.
struct Kept<K> {
    documents: Mutex<Vec<(K, Arc<Document>)>>,
    /// One is rendered at a time: a long one takes a good part of a second of a processor, and whoever waits mostly wants the same.
    rendering: Mutex<()>,
}

impl<K> Default for Kept<K> {
    fn default() -> Self {
        Self { documents: Mutex::default(), rendering: Mutex::default() }
    }
}

impl<K: PartialEq> Kept<K> {
    fn get<E>(&self, key: K, render: impl FnOnce() -> Result<Document, E>) -> Result<Arc<Document>, E> {
        if let Some(found) = self.find(&key) {
            return Ok(found);
        }
        // Nothing is left half done by a rendering that panics.
        let _one_at_a_time = self.rendering.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = self.find(&key) {
            return Ok(found);
        }
        let document = Arc::new(render()?);
        // Nobody panics while this lock is held.
        let mut documents = self.documents.lock().unwrap_or_else(PoisonError::into_inner);
        documents.retain(|(other, _)| *other != key);
        documents.push((key, Arc::clone(&document)));
        let bytes = |documents: &[(K, Arc<Document>)]| documents.iter().map(|(_, document)| document.json.len()).sum::<usize>();
        while documents.len() > 1 && (documents.len() > DOCUMENTS_MAX || bytes(&documents) > BYTES_MAX) {
            documents.remove(0);
        }
        Ok(document)
    }

    fn find(&self, key: &K) -> Option<Arc<Document>> {
        let mut documents = self.documents.lock().unwrap_or_else(PoisonError::into_inner);
        let position = documents.iter().position(|(other, _)| other == key)?;
        let found = documents.remove(position);
        let document = Arc::clone(&found.1);
        documents.push(found);
        Some(document)
    }
}

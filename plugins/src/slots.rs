//! How many instances there are at a time. An instance holds a slot for as long as it lives, and whoever finds none free
//! waits: a call never fails because the pool of instances is full.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::answer;
use crate::engine;
use crate::instances::Instances;
use crate::run::PluginFailure;

/// Slots that no call may take; an instance that is being torn down still has one.
const SPARE: usize = 8;

/// Rules whose writes run rules wait for those, so each level of nesting has slots of its own: a level waits for deeper ones only, and
/// the deepest for nobody.
const NESTED_LEVELS: usize = 4;

/// Slots of each nested level.
const NESTED: usize = 5;

/// The slots of a runtime.
#[derive(Clone)]
pub(crate) struct Slots(Arc<[Arc<Semaphore>]>);

/// Given back when it is dropped.
pub(crate) struct Slot {
    pub(crate) level: usize,
    permit: OwnedSemaphorePermit,
}

impl Slot {
    /// Whether others find a slot of this level although this one is kept.
    pub(crate) fn is_spare(&self) -> bool {
        self.permit.semaphore().available_permits() > 0
    }
}

impl Slots {
    /// `calls` on the outermost level, as far as the pool has room for them.
    pub(crate) fn new(calls: usize) -> Self {
        let calls = calls.clamp(1, engine::SLOTS as usize - SPARE - NESTED_LEVELS * NESTED);
        let levels = [calls].into_iter().chain([NESTED; NESTED_LEVELS]);
        Self(levels.map(|slots| Arc::new(Semaphore::new(slots))).collect())
    }

    /// The level of a call that is nested in `depth` others.
    pub(crate) fn level(&self, depth: usize) -> usize {
        depth.min(self.0.len() - 1)
    }

    /// Takes a slot. Before it waits it drops the instances that the same transaction keeps without using them: who waits
    /// with a slot in the hand can make others wait for ever.
    pub(crate) async fn take(&self, level: usize, patience: Duration, instances: &Instances) -> Result<Slot, PluginFailure> {
        let semaphore = &self.0[level];
        if let Ok(permit) = Arc::clone(semaphore).try_acquire_owned() {
            return Ok(Slot { level, permit });
        }
        instances.drop_idle();
        match timeout(patience, Arc::clone(semaphore).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Slot { level, permit }),
            Ok(Err(_)) | Err(_) => Err(answer::failure("plugin.busy", "too many calls run at the same time")),
        }
    }
}

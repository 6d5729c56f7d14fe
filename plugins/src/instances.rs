//! The live instances of one transaction. A plugin that has run a rule in it runs the next ones in the same instance, which
//! saves most of the cost of a call; what the transaction does not share with others, its instances do not either.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use crate::plugin::Live;

/// The live instances of one attempt of one transaction; drop it with that attempt. Costs nothing until a rule runs.
///
/// A call takes the idle instance of its plugin out, or makes one, and puts it back when the guest has answered. A rule
/// that is called while another one of the same plugin runs (by a write of that rule) therefore has a second instance, and
/// one that trapped or ran out of its limits is gone.
#[derive(Default)]
pub struct Instances(Mutex<Vec<Live>>);

impl Instances {
    /// An idle instance of this component. Only one whose slot belongs to this level or an outer one: the caller may wait
    /// for deeper levels, and must not hold one of their slots meanwhile.
    pub(crate) fn take(&self, digest: &str, level: usize) -> Option<Live> {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = idle.iter().position(|live| live.level() <= level && live.digest() == digest)?;
        Some(idle.swap_remove(at))
    }

    pub(crate) fn put(&self, live: Live) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(live);
    }

    /// Gives the slots of the idle instances back.
    pub(crate) fn drop_idle(&self) {
        let idle = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        drop(idle);
    }

    /// How many instances wait for their next call.
    pub fn idle(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl fmt::Debug for Instances {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Instances({} idle)", self.idle())
    }
}

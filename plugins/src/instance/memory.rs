//! How much memory an instance has.

use wasmtime::{ResourceLimiter, Result};

use super::Stop;
use crate::engine::TABLE_ELEMENTS;

/// Bytes of linear memory, all memories of the instance together.
pub(crate) struct Memory {
    pub(crate) used: usize,
    allowed: usize,
}

impl Memory {
    pub(crate) fn new(allowed: usize) -> Self {
        Self { used: 0, allowed }
    }
}

impl ResourceLimiter for Memory {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> Result<bool> {
        let wanted = self.used + desired.saturating_sub(current);
        if wanted > self.allowed {
            return Err(Stop::Memory { wanted, allowed: self.allowed }.into());
        }
        self.used = wanted;
        Ok(true)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> Result<bool> {
        Ok(desired <= TABLE_ELEMENTS)
    }
}

//! File handles: how many this process may have.

/// Raises the limit as far as the operating system lets, and returns it.
pub(super) fn raised() -> u64 {
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) => limit,
        Err(error) => {
            tracing::warn!(%error, "the limit of file handles cannot be raised");
            rlimit::Resource::NOFILE.get_soft().unwrap_or(1_024)
        }
    }
}

//! A running gateway: bind, spawn workers, reload, drain.

use std::path::PathBuf;
use std::time::Duration;

/// What concerns the process as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Worker threads, each with its own runtime, socket and upstream pool.
    pub workers: usize,
    /// What must survive a restart: the accepted revocation lists.
    pub state_directory: PathBuf,
    /// How long requests may go on after SIGTERM before their connections are cut.
    pub drain_timeout: Duration,
}

//! The watch over files: configuration, certificates, keys, CAs and revocation lists take effect by themselves.
//!
//! A dozen `stat` calls five times a second, instead of kernel notifications: they see files replaced by rename, symbolic
//! links that move (Kubernetes), network file systems, and no queue can overflow.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::Shared;

/// Detection and settling take two looks, so that a change is in force well within a second.
const LOOK: Duration = Duration::from_millis(200);

/// A file that keeps changing is read anyway after so many looks.
const PATIENCE: u32 = 3;

/// What tells one version of a file from the next.
type Version = (PathBuf, Option<(u64, u64, u64, i64, i64, i64, i64)>);

/// Watches until the runtime ends.
pub(super) async fn watch(shared: Arc<Shared>) {
    let (files, sources) = shared.watched_files();
    let mut configuration = Watched::new(versions(&files));
    let mut lists = Watched::new(versions(&sources));
    let mut interval = tokio::time::interval(LOOK);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        let (files, sources) = shared.watched_files();
        // Lists first: a revocation must not wait for a configuration that may have mistakes.
        if lists.has_changed(versions(&sources)) {
            off_the_loop(&shared, |shared| shared.reload_lists()).await;
        }
        if configuration.has_changed(versions(&files)) {
            off_the_loop(&shared, |shared| {
                // The outcome is in the log and the metric.
                let _ = shared.reload();
            })
            .await;
            // The new configuration may name other files; they are as fresh as they can be.
            let (files, sources) = shared.watched_files();
            configuration = Watched::new(versions(&files));
            lists = Watched::new(versions(&sources));
        }
    }
}

/// Reading and checking a million entries takes a second; metrics and health go on meanwhile. A panic in a parser ends
/// the task and nothing else.
async fn off_the_loop(shared: &Arc<Shared>, work: fn(&Shared)) {
    let shared = Arc::clone(shared);
    if tokio::task::spawn_blocking(move || work(&shared)).await.is_err() {
        tracing::error!("reading changed files ended in a panic; the old state stays");
    }
}

struct Watched {
    loaded: Vec<Version>,
    seen: Vec<Version>,
    unsettled: u32,
}

impl Watched {
    fn new(versions: Vec<Version>) -> Self {
        Self { loaded: versions.clone(), seen: versions, unsettled: 0 }
    }

    /// Whether files are other than those loaded, and have stopped changing.
    fn has_changed(&mut self, now: Vec<Version>) -> bool {
        if now == self.loaded {
            self.seen = now;
            self.unsettled = 0;
            return false;
        }
        self.unsettled += 1;
        let settled = now == self.seen || self.unsettled >= PATIENCE;
        self.seen = now;
        if settled {
            self.loaded = self.seen.clone();
            self.unsettled = 0;
        }
        settled
    }
}

fn versions(paths: &[PathBuf]) -> Vec<Version> {
    let mut all = Vec::new();
    for path in paths {
        all.push(version(path));
        if let Ok(entries) = std::fs::read_dir(path) {
            let mut inside: Vec<Version> = entries.flatten().map(|entry| version(&entry.path())).collect();
            inside.sort();
            all.extend(inside);
        }
    }
    all
}

fn version(path: &Path) -> Version {
    let facts = std::fs::metadata(path)
        .ok()
        .map(|m| (m.dev(), m.ino(), m.size(), m.mtime(), m.mtime_nsec(), m.ctime(), m.ctime_nsec()));
    (path.to_owned(), facts)
}

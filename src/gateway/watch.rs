//! The watch over files: configuration, certificates, keys, CAs and revocation lists take effect by themselves.
//!
//! A dozen `stat` calls five times a second, instead of kernel notifications: they see files replaced by rename, symbolic
//! links that move (Kubernetes), network file systems, and no queue can overflow. What is compared with is what was
//! there before the files were last read, so that no change falls between reading and watching.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Shared;
use super::steps::Steps;
use crate::config::Versions;

/// Detection and settling take two looks, so that a change is in force well within a second.
const LOOK: Duration = Duration::from_millis(200);

/// A file that keeps changing is read anyway after so many looks.
const PATIENCE: u32 = 3;

/// Watches until the runtime ends, whatever happens on the way: a gateway that no longer sees revocations would look well
/// in everything else.
pub(super) async fn watch_always(shared: Arc<Shared>) {
    loop {
        if tokio::spawn(watch(Arc::clone(&shared))).await.is_err() {
            tracing::error!("the watch over files ended in a panic; it begins anew");
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn watch(shared: Arc<Shared>) {
    let mut files = Watched::default();
    let mut lists = Watched::default();
    let mut steps = Steps::begin(shared.clock.now(), Instant::now());
    let mut interval = tokio::time::interval(LOOK);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        if let Some(step) = steps.look(shared.clock.now(), Instant::now()) {
            shared.metrics.clock_steps.with_label_values(&[if step.is_positive() { "ahead" } else { "back" }]).inc();
            tracing::error!(seconds = step.as_secs(), "the clock was set; days and budgets follow it");
        }
        // Lists first: a revocation must not wait for a configuration that may have mistakes.
        let looked = shared.with_config(|running| (Versions::of(&running.trust.crl_sources), running.lists.clone()));
        if looked.is_some_and(|(now, read)| lists.has_changed(now, &read)) {
            off_the_loop(&shared, |shared| shared.reload_lists()).await;
        }
        let looked = shared.with_config(|running| (Versions::of(running.files.paths()), running.files.clone()));
        if looked.is_some_and(|(now, read)| files.has_changed(now, &read)) {
            off_the_loop(&shared, |shared| {
                // The outcome is in the log and the metric.
                let _ = shared.reload();
            })
            .await;
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

#[derive(Default)]
struct Watched {
    /// What was last acted upon, whatever came of it.
    dealt_with: Versions,
    seen: Versions,
    unsettled: u32,
}

impl Watched {
    /// Whether the files are others than those that were last dealt with or that the running state was read from, and
    /// have stopped changing.
    fn has_changed(&mut self, now: Versions, read: &Versions) -> bool {
        let is_known = now == self.dealt_with || now == *read;
        self.unsettled = if is_known { 0 } else { self.unsettled + 1 };
        let settled = !is_known && (now == self.seen || self.unsettled >= PATIENCE);
        if settled || is_known {
            self.dealt_with = now.clone();
            self.unsettled = 0;
        }
        self.seen = now;
        settled
    }
}

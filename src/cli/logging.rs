//! Where log lines go: standard error, as text for a person or as JSON for a collector.
//!
//! Nothing waits for the log and nothing ends with it: lines are written by a thread of their own, and where standard
//! error is stuck or gone they are lost. What must not be lost stands in the audit log and in the metrics.

use std::io::{self, IsTerminal};

use anyhow::Context;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

/// So many lines wait for a reader that is slow.
const MAX_WAITING_LINES: usize = 10_000;

/// Begins to log, until the guard is dropped. `RUST_LOG` chooses what (`debug`, `sekisho=trace`, …), else it is `info`.
pub(super) fn start() -> anyhow::Result<WorkerGuard> {
    let filter = match std::env::var("RUST_LOG") {
        Ok(directives) => EnvFilter::try_new(directives).context("RUST_LOG")?,
        Err(_) => EnvFilter::new("info"),
    };
    let is_terminal = io::stderr().is_terminal();
    let builder = NonBlockingBuilder::default().lossy(true).buffered_lines_limit(MAX_WAITING_LINES);
    let (writer, guard) = builder.thread_name("log").finish(io::stderr());
    // Told where? There is no other place, and the subscriber's own complaint panics where standard error is gone.
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).log_internal_errors(false);
    let started = if is_terminal { subscriber.try_init() } else { subscriber.json().flatten_event(true).try_init() };
    started.map_err(anyhow::Error::from_boxed)?;
    Ok(guard)
}

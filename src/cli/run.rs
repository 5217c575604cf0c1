//! `sekisho run`: start, obey signals, drain.

use std::sync::Arc;

use anyhow::{Context, anyhow};
use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::info;

use super::{ConfigurationFiles, Failure, logging, runtime};
use crate::domain::Clock;
use crate::gateway::{Gateway, Reloader, StartError};

/// Start the gateway
///
/// SIGHUP reads everything again, all or nothing. SIGTERM or SIGINT stops accepting, lets requests finish and ends; a
/// second one ends at once. The log goes to standard error, as JSON unless that is a terminal; RUST_LOG chooses what is
/// logged (default: info).
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sekisho run
  sekisho run --config /etc/sekisho/config.toml --config /etc/sekisho/here.toml
  SEKISHO_OPERATOR__ADDRESS=127.0.0.1:9901 sekisho run

Exit codes: 0 drained · 70 cannot start, or the drain was cut short · 78 mistakes in the configuration")]
pub(super) struct Arguments {
    #[command(flatten)]
    configuration: ConfigurationFiles,
}

pub(super) fn run(arguments: Arguments, clock: Arc<dyn Clock>) -> Result<(), Failure> {
    let config = arguments.configuration.load(&*clock)?;
    let _log = logging::start()?;
    let runtime = runtime()?;
    // Before the gateway listens, so that no signal meets a process that would die of it.
    let mut signals = {
        let _guard = runtime.enter();
        Signals::catch().context("cannot catch signals")?
    };
    let listeners: Vec<_> = config.listeners.iter().map(|listener| Arc::clone(&listener.name)).collect();
    let reading_clock = Arc::clone(&clock);
    let reloader: Reloader = Arc::new(move || arguments.configuration.load(&*reading_clock));
    let gateway = Gateway::start(config, clock, reloader).map_err(|error| match error {
        // Only where files changed since they were checked a moment ago.
        StartError::Trust(_) => Failure::Configuration(error.to_string()),
        other => Failure::Other(anyhow::Error::new(other).context("cannot start")),
    })?;
    for name in listeners {
        if let Some(address) = gateway.address(&name) {
            info!(listener = %name, %address, "listening");
        }
    }
    info!(address = %gateway.operator_address(), "metrics and health");

    runtime.block_on(signals.obey(&gateway));
    info!("draining: no new connections, requests may finish; a second signal ends at once");
    let drained = runtime.block_on(async {
        tokio::select! {
            drained = tokio::task::spawn_blocking(move || gateway.drain()) => drained.context("draining"),
            () = signals.end() => Err(anyhow!("ended at once by a second signal")),
        }
    });
    // Dropping it would wait for a drain that was just cut short.
    runtime.shutdown_background();
    drained?;
    info!("drained");
    Ok(())
}

struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn catch() -> std::io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Reloads on each SIGHUP until it is time to end.
    async fn obey(&mut self, gateway: &Gateway) {
        loop {
            tokio::select! {
                _ = self.hangup.recv() => {
                    // What came of it is in the log already.
                    let _ = gateway.reload();
                }
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
            }
        }
    }

    /// Waits for SIGTERM or SIGINT.
    async fn end(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

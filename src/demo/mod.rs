//! The newcomer's first minute: `sekisho demo`.
//!
//! `stage` makes a throw-away PKI and starts the stand-in [`bank`] and a real gateway on the shipped `config.toml`;
//! `tour` tells the story with real connections, made by `client`. Everything lies in one temporary directory that
//! is removed at the end. Nothing is staged: each line that is printed was seen on a socket.

pub mod bank;

mod client;
mod stage;
mod tour;
mod transfers;

use std::io::{self, Write};
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};

use self::stage::Stage;
use self::tour::Tour;
use crate::authority::development;
use crate::config::Mistakes;
use crate::domain::Clock;
use crate::gateway::StartError;

/// What happens after the last step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Everything is taken down.
    Once,
    /// Bank and gateway stay up until Ctrl-C, for a reader who wants to try.
    StayUp,
}

/// How the story went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Every step as it was told.
    AsTold,
    /// At least one step otherwise; the output says which.
    Otherwise,
    /// Somebody pressed Ctrl-C before the end.
    Interrupted,
}

/// Why there is no story. The cause is the error's source.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The temporary directory cannot be made.
    #[error("cannot make a temporary directory")]
    Directory(#[source] io::Error),
    /// The throw-away PKI cannot be made.
    #[error(transparent)]
    Pki(#[from] development::Mistake),
    /// The bank cannot open.
    #[error("the stand-in bank cannot open")]
    Bank(#[source] io::Error),
    /// The shipped configuration does not load.
    #[error("the shipped configuration has mistakes")]
    Configuration(#[from] Mistakes),
    /// The gateway does not start.
    #[error(transparent)]
    Gateway(#[from] StartError),
    /// Starting or draining the gateway panicked.
    #[error("the gateway's thread ended")]
    Thread(#[from] tokio::task::JoinError),
    /// The gateway came up without the listener of the shipped configuration.
    #[error("the gateway has no listener named {0:?}")]
    Listener(&'static str),
    /// Signals cannot be caught.
    #[error("cannot wait for signals")]
    Signals(#[source] io::Error),
    /// What happens cannot be printed.
    #[error("cannot print")]
    Output(#[source] io::Error),
}

/// Tells the story to `out`. Needs a tokio runtime with I/O and time.
pub async fn run(ending: Ending, clock: Arc<dyn Clock>, out: &mut dyn Write) -> Result<Verdict, Trouble> {
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Trouble::Signals)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(Trouble::Signals)?;
    let stage = Stage::set(clock).await?;
    let told = tokio::select! {
        told = tell(&stage, ending, out) => told,
        _ = interrupt.recv() => Ok(Verdict::Interrupted),
        _ = terminate.recv() => Ok(Verdict::Interrupted),
    };
    let told = match told {
        Ok(verdict @ (Verdict::AsTold | Verdict::Otherwise)) if ending == Ending::StayUp => {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            Ok(verdict)
        }
        other => other,
    };
    stage.clear().await?;
    told
}

async fn tell(stage: &Stage, ending: Ending, out: &mut dyn Write) -> Result<Verdict, Trouble> {
    stage.introduce(out).map_err(Trouble::Output)?;
    let verdict = Tour::of(stage).tell(out).await.map_err(Trouble::Output)?;
    if ending == Ending::StayUp {
        stage.invite(out).map_err(Trouble::Output)?;
    }
    Ok(verdict)
}

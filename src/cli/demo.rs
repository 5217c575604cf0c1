//! `sekisho demo`: the newcomer's first minute.

use std::io;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use clap::Args;

use super::{Failure, logging, runtime};
use crate::demo::{self, Ending, Verdict};
use crate::domain::Clock;

/// See it work: a throw-away PKI, a stand-in bank, a real gateway, and a story told with real connections
///
/// Needs no configuration and no certificates; everything is made in a temporary directory. Each step prints what
/// happened and the line that repeats it in a second terminal. Afterwards bank and gateway stay up until Ctrl-C.
/// RUST_LOG=info shows the gateway's log.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sekisho demo
  sekisho demo --once && echo it works here

Exit codes: 0 every step went as told · 70 one did not")]
pub(super) struct Arguments {
    /// End after the last step
    #[arg(long)]
    once: bool,
}

pub(super) fn demo(arguments: &Arguments, clock: Arc<dyn Clock>) -> Result<(), Failure> {
    // The gateway's log would interrupt the story, so it is shown only to those who ask.
    let _log = std::env::var_os("RUST_LOG").map(|_| logging::start()).transpose()?;
    let ending = if arguments.once { Ending::Once } else { Ending::StayUp };
    match runtime()?.block_on(demo::run(ending, clock, &mut io::stdout())).context("demo")? {
        Verdict::AsTold => Ok(()),
        Verdict::Otherwise => Err(anyhow!("the story went otherwise; see the steps marked ✗").into()),
        Verdict::Interrupted => Err(anyhow!("interrupted").into()),
    }
}

//! `sekisho reload`: SIGHUP with an answer.

use std::io::{self, Write};

use anyhow::anyhow;
use clap::Args;
use http::{Method, StatusCode};

use super::control::{Answer, Control};
use super::{ConfigurationFiles, Failure};
use crate::domain::Clock;

/// Ask the running process to read configuration, certificates, keys and lists again, and print what it answers
///
/// It changes all or nothing: with a mistake anywhere it goes on as before. An audit log that was moved away is begun anew. The configuration named here says where the
/// control socket is, and is checked first.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  sekisho reload --config /etc/sekisho/config.toml

Exit codes: 0 reloaded · 70 nobody answers · 78 mistakes, nothing changed")]
pub(super) struct Arguments {
    #[command(flatten)]
    configuration: ConfigurationFiles,
}

pub(super) fn reload(arguments: &Arguments, clock: &dyn Clock) -> Result<(), Failure> {
    let control = Control::of(&arguments.configuration, clock)?;
    let Answer { status, text } = control.ask(Method::POST, "/reload", None)?;
    let text = text.trim_end();
    match status {
        StatusCode::OK => Ok(writeln!(io::stdout(), "{text}")?),
        StatusCode::CONFLICT => Err(Failure::Configuration(text.to_owned())),
        other => Err(anyhow!("the process answered {other}: {text}").into()),
    }
}

//! `sekisho assertion verify`: what an application's developer asks when the header is not believed.

use std::io::{self, Read, Write};

use anyhow::Context;
use clap::{Args, Subcommand};
use jiff::Timestamp;

use super::pki::parse_login_id;
use super::{ConfigurationFiles, Failure};
use crate::domain::{Clock, LoginId};
use crate::upstream::assertion::{self, Expected};

/// Far more than an assertion has; what is longer is none.
const MAX_INPUT_BYTES: u64 = 64 << 10;
/// How far the clock of this machine may be from the gateway's.
const SKEW_SECONDS: i64 = 5;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Verify(Verify),
}

/// Verify a signed header against the keys of the configuration and the request that it came with
///
/// Prints the claims. The keys, the issuer and the audience are those of [assertion] in the configuration.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sekisho assertion verify --target '/ib/menu.do?lang=ja' eyJhbGciOi…
  sekisho assertion verify --target /ib/menu.do --at 2026-11-02T10:00:00+09:00 < token

Exit codes: 0 it verifies · 70 it does not · 78 mistakes in the configuration")]
pub(super) struct Verify {
    #[command(flatten)]
    configuration: ConfigurationFiles,
    /// The request's method
    #[arg(long, default_value = "GET")]
    method: String,
    /// The request's path and query, as they were forwarded
    #[arg(long, value_name = "PATH")]
    target: String,
    /// Whom the other header names; left out, it is not compared
    #[arg(long, value_name = "ID", value_parser = parse_login_id)]
    login_id: Option<LoginId>,
    /// When the request was made, RFC 3339; left out, it is now
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
    /// The header's value; - or nothing reads it from standard input
    #[arg(default_value = "-", hide_default_value = true)]
    token: String,
}

pub(super) fn assertion(command: Command, clock: &dyn Clock) -> Result<(), Failure> {
    let Command::Verify(verify) = command;
    let settings = verify.configuration.load(clock)?.assertion;
    let token = if verify.token == "-" { from_input()? } else { verify.token };
    let expected = Expected {
        issuer: &settings.issuer,
        audience: &settings.audience,
        method: &verify.method,
        target: &verify.target,
        login_id: verify.login_id.as_ref().map(LoginId::as_str),
        body: None,
        now: verify.at.unwrap_or_else(|| clock.now()).as_second(),
        skew: SKEW_SECONDS,
    };
    let claims = assertion::verify(&settings.keys, &expected, token.trim()).context("the assertion does not verify")?;
    Ok(writeln!(io::stdout(), "{:#}", claims.json)?)
}

fn from_input() -> anyhow::Result<String> {
    let mut token = String::new();
    io::stdin().take(MAX_INPUT_BYTES).read_to_string(&mut token).context("standard input")?;
    Ok(token)
}

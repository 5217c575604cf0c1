//! `sekisho pki`: certificates for development.

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::{Context, anyhow};
use clap::{Args, Subcommand};

use super::Failure;
use crate::authority::development::{self, DEFAULT_PASSWORD, Existing, Plan};
use crate::domain::{Clock, LoginId};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Dev(Dev),
    Revoke(Revoke),
}

/// Make a whole PKI in a directory: authorities, a server certificate, customers, a revocation list, an assertion key
///
/// The files are those that the shipped config.toml names: after `sekisho pki dev certs`, `sekisho run` starts. Keys lie
/// in plain files: never use them for customers.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sekisho pki dev certs
  curl --cacert certs/server-ca.pem --cert certs/clients/hanakodt.pem \\
       --key certs/clients/hanakodt.key https://localhost:8443/ib/menu.do")]
pub(super) struct Dev {
    /// Where to write; made where it is missing
    directory: PathBuf,
    /// Replace files of an earlier run; certificates issued then are worth nothing afterwards
    #[arg(long)]
    force: bool,
    /// What a browser will ask for when it imports a .p12 file
    #[arg(long, value_name = "PASSWORD", default_value = DEFAULT_PASSWORD)]
    p12_password: String,
}

/// Put a customer's certificate on the revocation list of a development PKI
///
/// The list is replaced whole and its number raised. A running gateway notices within a second.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  sekisho pki revoke certs sachiko1")]
pub(super) struct Revoke {
    /// The directory that `pki dev` made
    directory: PathBuf,
    /// Whose certificate
    #[arg(value_name = "LOGIN-ID", value_parser = parse_login_id)]
    login_id: LoginId,
}

pub(super) fn pki(command: Command, clock: &dyn Clock) -> Result<(), Failure> {
    match command {
        Command::Dev(dev) => make(dev, clock),
        Command::Revoke(revoke) => {
            let revoked = development::revoke(&revoke.directory, &revoke.login_id, clock).context("pki revoke")?;
            let (login_id, list) = (&revoke.login_id, revoked.list.display());
            Ok(writeln!(io::stdout(), "{login_id} is revoked: {list} is now number {}", revoked.number)?)
        }
    }
}

fn make(dev: Dev, clock: &dyn Clock) -> Result<(), Failure> {
    let existing = if dev.force { Existing::Replace } else { Existing::Refuse };
    let plan = Plan { pkcs12_password: dev.p12_password, existing };
    let written = plan.write(&dev.directory, clock).context("pki dev")?;
    let mut out = io::stdout();
    write!(out, "{written}")?;
    if plan.pkcs12_password == DEFAULT_PASSWORD {
        writeln!(out, "\nThe .p12 files open with the password {DEFAULT_PASSWORD:?}.")?;
    }
    Ok(())
}

pub(super) fn parse_login_id(text: &str) -> anyhow::Result<LoginId> {
    LoginId::parse(text).ok_or_else(|| anyhow!("a login ID is 1 to 64 characters of visible ASCII"))
}

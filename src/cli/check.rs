//! `sekisho check`: every mistake at once, before a restart finds them one by one.

use std::io::{self, Write};

use clap::Args;

use super::{ConfigurationFiles, Failure, complain};
use crate::config::Config;
use crate::connection::listener::Authentication;
use crate::domain::Clock;
use crate::policy::treatment::Treatment;
use crate::upstream::Scheme;

/// Read the configuration as `run` would and list every mistake, with its key, file and line
///
/// Certificates, keys and revocation lists are read and matched too. Mistakes and warnings go to standard error, a
/// summary to standard output. Nothing is started.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sekisho check
  sekisho check --config config.toml --config here.toml

Exit codes: 0 no mistake · 78 mistakes")]
pub(super) struct Arguments {
    #[command(flatten)]
    configuration: ConfigurationFiles,
}

pub(super) fn check(arguments: &Arguments, clock: &dyn Clock) -> Result<(), Failure> {
    let config = arguments.configuration.load(clock)?;
    for warning in &config.warnings {
        complain(format_args!("warning: {warning}"));
    }
    Ok(io::stdout().write_all(summary(&config).as_bytes())?)
}

/// The amounts that a screen must not bring because it does not declare them.
fn refused_amounts(treatment: &Treatment) -> Vec<String> {
    match treatment {
        Treatment::Inspected(inspection) => inspection.rules.refused_amounts().collect(),
        Treatment::Streamed { .. } => Vec::new(),
    }
}

fn summary(config: &Config) -> String {
    let listeners = config.listeners.iter().map(|listener| {
        let kind = match listener.authentication {
            Authentication::Certificate(_) => "client certificates",
            Authentication::Password => "no client certificates",
        };
        format!("listener {}: https://{} ({kind})", listener.name, listener.address)
    });
    let servers = config.upstream.servers.iter().map(|server| {
        let scheme = match server.scheme {
            Scheme::Http => "http",
            Scheme::Https(_) => "https",
        };
        format!("application: {scheme}://{}:{}", server.host, server.port)
    });
    let keys: Vec<_> =
        config.assertion.keys.iter().map(|key| format!("{} ({})", key.id(), key.algorithm().name())).collect();
    let screens = config.routes.iter().filter_map(|route| {
        let refused = refused_amounts(&route.treatment);
        (!refused.is_empty())
            .then(|| format!("route {}: refuses {}, as earlier screens brought it", route.name, refused.join(", ")))
    });
    let rest = [
        format!("authorities of client certificates: {}", config.trust.authorities.len()),
        format!("signed header {}: {}", config.assertion.header, keys.join(", ")),
        format!("operator: http://{}", config.operator.address),
        format!("warnings: {}", config.warnings.len()),
    ];
    let lines = std::iter::once("ok".to_owned()).chain(listeners).chain(servers).chain(screens).chain(rest);
    lines.map(|line| line + "\n").collect()
}

//! Text to values: `config.toml` and its layers become a [`Config`], or a list of every mistake.
//!
//! ```text
//! files ─ document (values and lines) ─┐
//! environment ─────────────────────────┴─ layers ─ sections, key by key ─ Config
//! ```
//!
//! After [`Config::load`] nothing is checked again: names are parsed, ranges hold, certificates and keys are loaded and
//! matched. Nothing here binds a socket or writes a file.

mod document;
mod files;
mod layers;
mod mistake;
mod paths;
mod section;
mod sections;
mod units;
mod version;

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use self::layers::Layers;
pub use self::mistake::{Mistake, Mistakes, Place};
use self::mistake::{Read, Report};
use self::section::{Context, Section};
pub use self::sections::transfer::Transfer;
use self::sections::{LATER, assertion, limits, listener, process, rate_limit, route, session, transfer, trust};
pub use self::version::Versions;
use crate::connection::listener::Authentication;
use crate::domain::Clock;
use crate::{connection, operator, policy, store, upstream};

/// The file that is read where none is named.
const DEFAULT_FILE: &str = "config.toml";

/// Environment variables that begin with this are settings.
const VARIABLE_PREFIX: &str = "SEKISHO_";

/// Lists of tables that have a name, by which later layers change them.
const NAMED_TABLES: [&str; 3] = ["listener", "route", "rate-limit"];

/// What concerns the process as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Worker threads, each with its own runtime, socket and upstream pool.
    pub workers: usize,
    /// What must survive a restart: the accepted revocation lists.
    pub state_directory: PathBuf,
    /// How long requests may go on after SIGTERM before their connections are cut.
    pub drain_timeout: Duration,
}

/// Everything the gateway is told. After [`Config::load`] nothing is checked again.
#[derive(Debug, Clone)]
pub struct Config {
    /// The process.
    pub process: Process,
    /// The entrances, at least one.
    pub listeners: Vec<connection::listener::Settings>,
    /// CAs and revocation lists.
    pub trust: connection::trust::Settings,
    /// The subject's layout.
    pub identity: connection::identity::SubjectRules,
    /// The signed header.
    pub assertion: upstream::assertion::Settings,
    /// The application.
    pub upstream: upstream::Settings,
    /// What one client may cost.
    pub limits: connection::Limits,
    /// The application's screens.
    pub routes: Vec<policy::route::Route>,
    /// How often a customer may ask.
    pub rate_limits: Vec<policy::rate_limit::Settings>,
    /// Whose the application's sessions are.
    pub session: Option<policy::session::Settings>,
    /// The ceiling.
    pub transfer: Option<Transfer>,
    /// Where sums are kept.
    pub store: store::Settings,
    /// Where decisions are recorded.
    pub audit: Option<operator::audit::Settings>,
    /// The operator address and the control socket.
    pub operator: operator::Settings,
    /// Text for refusal pages.
    pub help_desk: crate::refusal::HelpDesk,
    /// What is allowed but deserves a second look; `check` prints it, `run` logs it.
    pub warnings: Vec<String>,
    /// SHA-256 of the configuration files' bytes, one after the other (OPS-14).
    pub digest: operator::audit::Digest,
    /// Files whose change asks for a reload: configuration, certificates, keys, CAs (not the revocation lists).
    pub files: Versions,
    /// The revocation lists' sources, in the versions that were checked.
    pub lists: Versions,
}

impl Config {
    /// Reads `files`, each over the one before, and then the `SEKISHO_…` variables of `environment`.
    ///
    /// Without a file it is `config.toml` in the working directory. Relative paths in any layer begin at the directory
    /// of the first file.
    ///
    /// # Errors
    /// Every mistake there is. Only a file that cannot be read, or is no TOML, hides those in the values.
    pub fn load(
        files: &[PathBuf],
        environment: impl IntoIterator<Item = (String, String)>,
        clock: &dyn Clock,
    ) -> Result<Self, Mistakes> {
        let files = if files.is_empty() { vec![DEFAULT_FILE.into()] } else { files.to_vec() };
        let report = Report::default();
        let versions = Versions::of(&files);
        let read = Layers::read(files, environment, &report).and_then(|layers| read(&layers, versions, &report, clock));
        let (mut config, warnings) = report.conclude(read)?;
        config.warnings = warnings;
        Ok(config)
    }
}

/// Reads every section before it looks at the outcome of any.
fn read(layers: &Layers, versions: Versions, report: &Report, clock: &dyn Clock) -> Read<Config> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let (watched, lists) = (RefCell::new(versions), RefCell::new(Versions::default()));
    let base = layers.files.first().and_then(|file| file.parent()).unwrap_or(Path::new(""));
    let context = Context { layers, report, clock, base, watched: &watched, lists: &lists };

    let mut root = Section::root(&context);
    let process = process::read_process(&mut root);
    let listeners = listener::read_listeners(&mut root, &provider);
    let trust = root.table("trust").and_then(trust::read_trust);
    let identity = root.table("identity").and_then(trust::read_identity);
    let assertion = root.table("assertion").and_then(assertion::read_assertion);
    let upstream = root.table("upstream").and_then(|section| sections::upstream::read_upstream(section, &provider));
    let limits = root.table("limits").and_then(limits::read_limits);
    let state_directory = process.as_ref().map_or(Path::new("state"), |process| &process.state_directory);
    let addresses = listeners.as_deref().unwrap_or_default();
    let operator =
        root.table("operator").and_then(|section| process::read_operator(section, state_directory, addresses));
    let help_desk = root.table("help-desk").and_then(process::read_help_desk);
    let registry = trust.as_ref().map(|trust| trust.registry).unwrap_or_default();
    let transfer = transfer::read_transfer(&mut root, upstream.as_ref().ok(), registry);
    let known_transfer = transfer.as_ref().ok().and_then(Option::as_ref);
    let routes = route::read_routes(&mut root, known_transfer);
    let limit_screen = match (known_transfer, &routes) {
        (Some(known), Ok(routes)) => transfer::check_limit_screen(&root, known, routes),
        (Some(_) | None, _) => Ok(()),
    };
    let store = sections::store::read_store(&mut root, state_directory);
    let session = session::read_session(&mut root, store.as_ref().ok());
    let login_page = match (&session, &routes) {
        (Ok(Some(settings)), Ok(routes)) => session::check_login_page(&root, settings, (known_transfer, routes)),
        (_, _) => Ok(()),
    };
    let known_routes = routes.as_deref().unwrap_or_default();
    let rate_limits = rate_limit::read_rate_limits(&mut root, known_routes, store.as_ref().ok());
    let audit = transfer::read_audit(&mut root);
    warn_of_strangers(&root, known_transfer, addresses);
    let paths = match (&store, &audit, &operator) {
        (Ok(store), Ok(audit), Ok(operator)) => paths::compare(&context, store, audit.as_ref(), operator),
        (_, _, _) => Ok(()),
    };
    LATER.iter().for_each(|section| root.not_supported(section));
    root.finish();
    paths?;
    limit_screen?;
    login_page?;

    Ok(Config {
        process: process?,
        listeners: listeners?,
        trust: trust?,
        identity: identity?,
        assertion: assertion?,
        upstream: upstream?,
        limits: limits?,
        routes: routes?,
        rate_limits: rate_limits?,
        session: session?,
        transfer: transfer?,
        store: store?,
        audit: audit?,
        operator: operator?,
        help_desk: help_desk?,
        warnings: Vec::new(),
        digest: layers.digest,
        files: watched.into_inner(),
        lists: lists.into_inner(),
    })
}

/// Nobody on a password listener is identified, so nobody there can be charged.
fn warn_of_strangers(root: &Section<'_>, transfer: Option<&Transfer>, listeners: &[connection::listener::Settings]) {
    let has_strangers = listeners.iter().any(|listener| matches!(listener.authentication, Authentication::Password));
    if transfer.is_some() && has_strangers {
        let text =
            "on a password listener nobody is identified whose limit could be charged: transfers are refused there";
        root.warn("listener", text.into());
    }
}

//! Text to values: `config.toml` and its layers become a [`Config`], or a list of every mistake.

use crate::{connection, gateway, operator, upstream};

/// Everything the gateway is told. After [`Config::load`] nothing is checked again.
#[derive(Debug, Clone)]
pub struct Config {
    /// The process.
    pub gateway: gateway::Settings,
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
    /// The operator address and the control socket.
    pub operator: operator::Settings,
    /// Text for refusal pages.
    pub help_desk: crate::refusal::HelpDesk,
    /// What is allowed but deserves a second look; `check` prints it, `run` logs it.
    pub warnings: Vec<String>,
    /// Files whose change asks for a reload: configuration, certificates, keys, CAs (not the revocation lists).
    pub files: Vec<std::path::PathBuf>,
}

//! Whom the bank has vouched for: issuing CAs, their revocation lists, the subject's layout.

use std::time::Duration;

use rustls::pki_types::CertificateDer;

/// `[trust]` as values.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The issuing CAs (and CAs between them), in DER, in the order of the configuration.
    pub authorities: Vec<CertificateDer<'static>>,
    /// The revocation lists' sources: files, or directories of files.
    pub crl_sources: Vec<std::path::PathBuf>,
    /// How long after its `nextUpdate` a list still serves.
    pub crl_grace: Duration,
}

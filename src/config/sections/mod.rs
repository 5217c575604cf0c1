//! The sections of `config.toml`, each turned into the settings of the module it is for.

pub(super) mod assertion;
pub(super) mod limits;
pub(super) mod listener;
pub(super) mod process;
pub(super) mod rate_limit;
pub(super) mod route;
pub(super) mod session;
pub(super) mod store;
pub(super) mod transfer;
pub(super) mod trust;
pub(super) mod upstream;
mod upstream_tls;

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;

use super::files;
use super::mistake::Read;
use super::section::Section;
use super::units::{Given, text};

/// What a time-out may be. Shorter ones refuse healthy clients, longer ones are none.
const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(3600);

/// The sections of features that are still to come. Accepting one would promise what nobody enforces.
pub(super) const LATER: [&str; 1] = ["access-log"];

/// Loads the keys `certificate` and `private-key` of a section, and matches them.
fn key_pair(
    section: &Section<'_>,
    certificate: Read<PathBuf>,
    private_key: Read<PathBuf>,
    provider: &CryptoProvider,
) -> Read<Arc<CertifiedKey>> {
    let chain = certificate.and_then(|path| {
        section.watch(&path);
        files::certificates(&path).map_err(|defect| section.defect("certificate", &defect))
    });
    let key = private_key.and_then(|path| {
        section.watch(&path);
        files::private_key(&path, provider).map_err(|defect| section.defect("private-key", &defect))
    });
    let pair = CertifiedKey::new(chain?, key?);
    match pair.keys_match() {
        Ok(()) => Ok(Arc::new(pair)),
        Err(_) => Err(section.mistake("private-key", "is not the key of the certificate beside it".into())),
    }
}

/// A name that can stand in a metric's label and in a variable's name.
fn table_name(given: Given<'_>) -> Result<String, String> {
    let name = text(given)?;
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if plain && name.len() <= 64 {
        Ok(name)
    } else {
        Err(format!("is {name:?}, but must be at most 64 letters, digits, - and _"))
    }
}

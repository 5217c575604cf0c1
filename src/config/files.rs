//! What the configuration names by a path: certificates and keys, read and matched, so that nothing opens them again.
//!
//! A file that is missing, empty or something else is always a mistake and never a weaker gateway.

use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::SigningKey;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Far above any certificate chain or key.
const MAX_BYTES: u64 = 1 << 20;

/// Permission bits of everybody who is neither the owner nor in the file's group.
const OTHERS: u32 = 0o007;

/// Why a file cannot be used; the text begins with its path.
#[derive(Debug, thiserror::Error)]
pub(super) enum Defect {
    #[error("{} does not exist", .0.display())]
    Missing(PathBuf),
    #[error("{} cannot be read: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{} is not a file", .0.display())]
    NotAFile(PathBuf),
    #[error("{} is empty", .0.display())]
    Empty(PathBuf),
    #[error("{} is larger than {limit} bytes", path.display())]
    TooLarge { path: PathBuf, limit: u64 },
    #[error("{} holds no certificate in PEM", .0.display())]
    NoCertificate(PathBuf),
    #[error("{} holds a PEM section that cannot be read: {source:?}", path.display())]
    BadPem { path: PathBuf, source: pem::Error },
    #[error("{} holds something that is not a certificate", .0.display())]
    NotACertificate(PathBuf),
    #[error("{} holds {subject}, which is not the certificate of a CA", path.display())]
    NotAnAuthority { path: PathBuf, subject: String },
    #[error("{} holds no private key in PEM (encrypted ones are not read)", .0.display())]
    NoKey(PathBuf),
    #[error("{} can be read by everybody (mode {mode:04o}): take the permissions of others away", path.display())]
    OpenToOthers { path: PathBuf, mode: u32 },
    #[error("{} is a key that cannot be used: {source}", path.display())]
    UnusableKey { path: PathBuf, source: rustls::Error },
}

impl Defect {
    /// The command that makes what is missing, where the file is one of a development set.
    pub(super) fn remedy(&self) -> Option<String> {
        let Self::Missing(path) = self else { return None };
        let directory = path.parent().filter(|parent| parent.file_name().is_some_and(|name| name == "certs"))?;
        Some(format!("sekisho pki dev {} makes one for development", directory.display()))
    }
}

/// Reads a file of at most `limit` bytes that is not empty.
pub(super) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, Defect> {
    // Asked before opening: opening a named pipe waits for its writer.
    let metadata = fs::metadata(path).map_err(|source| missing_or_unreadable(path, source))?;
    if !metadata.is_file() {
        return Err(Defect::NotAFile(path.into()));
    }
    let file = fs::File::open(path).map_err(|source| missing_or_unreadable(path, source))?;
    let mut content = Vec::new();
    file.take(limit + 1)
        .read_to_end(&mut content)
        .map_err(|source| Defect::Unreadable { path: path.into(), source })?;
    if content.len() as u64 > limit {
        return Err(Defect::TooLarge { path: path.into(), limit });
    }
    if content.is_empty() {
        return Err(Defect::Empty(path.into()));
    }
    Ok(content)
}

/// Reads a secret, which only its owner and its group may read.
pub(super) fn secret(path: &Path) -> Result<Vec<u8>, Defect> {
    let content = read(path, MAX_BYTES)?;
    let mode = fs::metadata(path).map_err(|source| missing_or_unreadable(path, source))?.permissions().mode();
    if mode & OTHERS != 0 {
        return Err(Defect::OpenToOthers { path: path.into(), mode: mode & 0o7777 });
    }
    Ok(content)
}

/// Says whether a file or directory can be read at all.
pub(super) fn exists(path: &Path) -> Result<(), Defect> {
    let metadata = fs::metadata(path).map_err(|source| missing_or_unreadable(path, source))?;
    let opened = if metadata.is_dir() {
        fs::read_dir(path).map(drop)
    } else if metadata.is_file() {
        fs::File::open(path).map(drop)
    } else {
        return Err(Defect::NotAFile(path.into()));
    };
    opened.map_err(|source| missing_or_unreadable(path, source))
}

/// The certificates of a PEM file, at least one, each of which can be parsed.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Defect> {
    let content = read(path, MAX_BYTES)?;
    let found: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&content)
        .collect::<Result<_, _>>()
        .map_err(|source| Defect::BadPem { path: path.into(), source })?;
    if found.is_empty() {
        return Err(Defect::NoCertificate(path.into()));
    }
    if found.iter().any(|der| parse(der).is_none()) {
        return Err(Defect::NotACertificate(path.into()));
    }
    Ok(found)
}

/// The certificates of a PEM file that vouch for others: each must be a CA's.
pub(super) fn authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, Defect> {
    let found = certificates(path)?;
    let end_entity = found.iter().filter_map(parse).find(|certificate| !certificate.is_ca());
    match end_entity {
        Some(certificate) => {
            Err(Defect::NotAnAuthority { path: path.into(), subject: certificate.subject().to_string() })
        }
        None => Ok(found),
    }
}

/// A private key in PEM that this provider can sign with.
pub(super) fn private_key(path: &Path, provider: &CryptoProvider) -> Result<Arc<dyn SigningKey>, Defect> {
    let content = secret(path)?;
    let key = PrivateKeyDer::from_pem_slice(&content).map_err(|source| match source {
        pem::Error::NoItemsFound => Defect::NoKey(path.into()),
        source => Defect::BadPem { path: path.into(), source },
    })?;
    provider.key_provider.load_private_key(key).map_err(|source| Defect::UnusableKey { path: path.into(), source })
}

/// The parts of a certificate; `None` where it is none, or where more than one stands in it.
pub(super) fn parse<'c>(der: &'c CertificateDer<'_>) -> Option<X509Certificate<'c>> {
    let (rest, certificate) = X509Certificate::from_der(der).ok()?;
    rest.is_empty().then_some(certificate)
}

fn missing_or_unreadable(path: &Path, source: io::Error) -> Defect {
    if source.kind() == io::ErrorKind::NotFound {
        Defect::Missing(path.into())
    } else {
        Defect::Unreadable { path: path.into(), source }
    }
}

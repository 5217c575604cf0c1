//! Revocation lists on disk: the configured sources, and the archive of accepted lists.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateRevocationListDer;
use rustls::pki_types::pem::PemObject;

use super::{ListOutcome, ListReport};
use crate::connection::issuing_ca::IssuerId;
use crate::store::durable::write_atomically;

/// A list larger than this is not read: a bound on memory, three times a list of a million entries in PEM.
const MAX_FILE_BYTES: u64 = 192 << 20;

/// Where accepted lists are kept for the next start, each under its issuer's name and key.
#[derive(Debug, Clone)]
pub(in crate::connection) struct Archive(PathBuf);

impl Archive {
    pub fn at(directory: &Path) -> Self {
        Self(directory.to_owned())
    }

    fn file(&self, issuer: IssuerId) -> PathBuf {
        self.0.join(format!("{}.crl", issuer.to_hex()))
    }

    /// The list kept for an issuer, unverified: whoever can write files can write this one.
    pub fn kept(&self, issuer: IssuerId) -> Option<Vec<u8>> {
        fs::read(self.file(issuer)).ok()
    }

    /// Keeps an accepted list. A full disk must not keep a revocation from being installed, so a failure is only logged.
    pub fn keep(&self, issuer: IssuerId, der: &[u8]) {
        let path = self.file(issuer);
        if let Err(error) = write_atomically(&path, der) {
            tracing::error!(path = %path.display(), %error, "the accepted revocation list cannot be kept for the next start");
        }
    }
}

/// The files behind the sources: a directory stands for the files in it, hidden ones left out.
pub(super) fn files_of(sources: &[PathBuf], reports: &mut Vec<ListReport>) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for source in sources {
        if !source.is_dir() {
            files.push(source.clone());
            continue;
        }
        match fs::read_dir(source) {
            Ok(entries) => {
                let mut found: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
                found.retain(|path| {
                    path.is_file() && !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
                });
                found.sort();
                files.extend(found);
            }
            Err(error) => reports.push(ListReport {
                file: Some(source.clone()),
                issuer: None,
                outcome: ListOutcome::Unreadable(format!("the directory cannot be read: {error}")),
            }),
        }
    }
    files
}

/// The lists in a file, PEM or DER.
pub(super) fn read_lists(file: &Path) -> Result<Vec<Vec<u8>>, String> {
    let cannot = |error: io::Error| format!("the file cannot be read: {error}");
    let mut content = Vec::new();
    fs::File::open(file).map_err(cannot)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut content).map_err(cannot)?;
    if content.len() as u64 > MAX_FILE_BYTES {
        return Err(format!("the file is larger than {MAX_FILE_BYTES} bytes"));
    }
    match content.first() {
        None => Err("the file is empty".into()),
        Some(0x30) => Ok(vec![content]),
        Some(_) => {
            let lists: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(&content)
                .map(|list| list.map(|l| l.as_ref().to_vec()))
                .collect();
            match lists {
                Ok(lists) if lists.is_empty() => {
                    Err("the file holds no revocation list (PEM `X509 CRL` or DER)".into())
                }
                Ok(lists) => Ok(lists),
                Err(error) => Err(format!("the file is not a PEM that can be read: {error}")),
            }
        }
    }
}

//! A whole PKI in one directory, for development and for the tour: `sekisho pki dev DIR`.
//!
//! ```text
//! ca.pem ca.key ca.crl            the authority of client certificates and its revocation list
//! clients/ID.pem ID.key ID.p12    customers, one of them revoked
//! server-ca.pem server-ca.key     the authority of the gateway's own certificate, a different one on purpose
//! server.pem server.key           localhost, 127.0.0.1, ::1
//! assertion.key                   32 random bytes that sign the identity header
//! ```
//!
//! It is not an authority for customers: keys lie in plain files, and anybody who can read them is everybody.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use p12_keystore::{KeyStore, KeyStoreEntry, PrivateKey, PrivateKeyChain};
use rcgen::{Issuer, KeyPair, PublicKeyData};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};
use time::OffsetDateTime;
use x509_parser::prelude::{CertificateRevocationList, FromDer, X509Certificate};

use super::files::{self, Readers};
use super::issuing::{Authority, Issued, Role, authority_params};
use super::revocation_list::Content;
use crate::domain::{Clock, Fingerprint, LoginId};

/// The customers who get certificates.
pub const CUSTOMERS: [&str; 3] = ["hanakodt", "taroykdt", "sachiko1"];
/// The customer whose certificate is on the revocation list from the start.
pub const REVOKED: &str = "revoked1";
/// What opens the PKCS#12 files unless somebody chose otherwise.
pub const DEFAULT_PASSWORD: &str = "sekisho";

/// Rounds of PBKDF2, as many as OpenSSL takes: more would only cost time, the key lies beside the file in plain text.
const PKCS12_ITERATIONS: u32 = 2_048;

/// What to do with files that are already there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Write nothing and name them.
    Refuse,
    /// Replace them: certificates issued before are worth nothing afterwards.
    Replace,
}

/// What `pki dev` is asked to do.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What opens the PKCS#12 files.
    pub pkcs12_password: String,
    /// What to do with files that are already there.
    pub existing: Existing,
}

impl Default for Plan {
    fn default() -> Self {
        Self { pkcs12_password: DEFAULT_PASSWORD.to_owned(), existing: Existing::Refuse }
    }
}

/// Why there is no PKI. The cause, where there is one, is the error's source.
#[derive(Debug, thiserror::Error)]
pub enum Mistake {
    /// Files of an earlier run are there.
    #[error("these files exist already (--force replaces them):{}", list(.0))]
    Exists(Vec<PathBuf>),
    /// A file or directory cannot be written.
    #[error("{}: cannot be written", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file cannot be read.
    #[error("{}: cannot be read", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not what `pki dev` wrote there.
    #[error("{}: is not {expected}", path.display())]
    Foreign {
        /// Which.
        path: PathBuf,
        /// What it should have been.
        expected: &'static str,
    },
    /// The certificate is on the list already.
    #[error("the certificate of {0} is revoked already")]
    AlreadyRevoked(LoginId),
    /// A login ID that cannot name a file.
    #[error("{0:?} is not a login ID")]
    LoginId(String),
    /// A certificate or list cannot be made.
    #[error("cannot make a certificate")]
    Certificate(#[from] rcgen::Error),
    /// A PKCS#12 file cannot be made.
    #[error("cannot make a PKCS#12 file")]
    Pkcs12(#[from] p12_keystore::error::Error),
    /// The clock shows no date that a certificate can hold.
    #[error("the clock shows no usable date")]
    Date,
    /// The machine gives no random numbers.
    #[error("no random numbers")]
    Random,
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| format!("\n  {}", path.display())).collect()
}

/// One file that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Where it is, below the directory.
    pub path: PathBuf,
    /// What it is, for a person.
    pub purpose: String,
}

/// Everything that was written; `Display` is a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Where.
    pub directory: PathBuf,
    /// What, in the order of the module's description.
    pub files: Vec<Made>,
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = |made: &Made| self.directory.join(&made.path).display().to_string();
        let width = self.files.iter().map(|made| path(made).chars().count()).max().unwrap_or(0);
        for made in &self.files {
            writeln!(f, "{:width$}  {}", path(made), made.purpose)?;
        }
        Ok(())
    }
}

struct File {
    path: PathBuf,
    purpose: String,
    readers: Readers,
    content: Vec<u8>,
}

fn public(path: impl Into<PathBuf>, purpose: impl Into<String>, content: impl Into<Vec<u8>>) -> File {
    File { path: path.into(), purpose: purpose.into(), readers: Readers::Everyone, content: content.into() }
}

fn secret(path: impl Into<PathBuf>, purpose: impl Into<String>, content: impl Into<Vec<u8>>) -> File {
    File { path: path.into(), purpose: purpose.into(), readers: Readers::Owner, content: content.into() }
}

impl Plan {
    /// Makes the PKI in `directory`, which is created where it is missing. Nothing is written unless all could be made.
    pub fn write(&self, directory: &Path, clock: &dyn Clock) -> Result<Written, Mistake> {
        let files = self.make(moment(clock)?)?;
        if self.existing == Existing::Refuse {
            let existing: Vec<_> = files
                .iter()
                .map(|file| directory.join(&file.path))
                .filter(|path| path.symlink_metadata().is_ok())
                .collect();
            if !existing.is_empty() {
                return Err(Mistake::Exists(existing));
            }
        }
        let clients = directory.join("clients");
        fs::create_dir_all(&clients).map_err(|source| Mistake::Write { path: clients, source })?;
        for file in &files {
            write(&directory.join(&file.path), file.readers, &file.content)?;
        }
        let files = files.into_iter().map(|File { path, purpose, .. }| Made { path, purpose }).collect();
        Ok(Written { directory: directory.to_owned(), files })
    }

    fn make(&self, now: OffsetDateTime) -> Result<Vec<File>, Mistake> {
        let clients = Authority::new(Role::Clients, now)?;
        let mut revocation_list = Content::first();
        let mut customers = Vec::new();
        for name in CUSTOMERS.into_iter().chain([REVOKED]) {
            let login_id = LoginId::parse(name).ok_or_else(|| Mistake::LoginId(name.to_owned()))?;
            let issued = clients.issue_client(&login_id, now)?;
            let revoked = name == REVOKED;
            if revoked {
                revocation_list.revoke(&serial(&issued.certificate.der().clone())?, now);
            }
            customers.extend(self.customer_files(&login_id, &issued, if revoked { " (revoked)" } else { "" })?);
        }
        let servers = Authority::new(Role::Servers, now)?;
        let server = servers.issue_server(now)?;
        let mut assertion = [0; 32];
        aws_lc_rs::rand::fill(&mut assertion).map_err(|_| Mistake::Random)?;

        let mut files = vec![
            public("ca.pem", "the authority of client certificates", clients.issued.certificate.pem()),
            secret("ca.key", "its key", clients.issued.key.serialize_pem()),
            public("ca.crl", "its revocation list", revocation_list.sign(&clients.issuer(), now)?),
        ];
        files.extend(customers);
        files.extend([
            public("server-ca.pem", "the authority of the server: curl --cacert", servers.issued.certificate.pem()),
            secret("server-ca.key", "its key", servers.issued.key.serialize_pem()),
            public("server.pem", "the gateway's certificate: localhost, 127.0.0.1, ::1", server.certificate.pem()),
            secret("server.key", "its key", server.key.serialize_pem()),
            secret("assertion.key", "32 random bytes that sign the identity header", assertion),
        ]);
        Ok(files)
    }

    fn customer_files(&self, login_id: &LoginId, issued: &Issued, remark: &str) -> Result<[File; 3], Mistake> {
        let path = |extension| client_file(login_id, extension);
        Ok([
            public(path("pem"), format!("customer {login_id}{remark}: curl --cert"), issued.certificate.pem()),
            secret(path("key"), "its key: curl --key", issued.key.serialize_pem()),
            secret(path("p12"), "both, for a browser", self.pkcs12(login_id, issued)?),
        ])
    }

    /// The customer's certificate and key alone: with the authority in it, a browser would offer to trust that too.
    fn pkcs12(&self, login_id: &LoginId, issued: &Issued) -> Result<Vec<u8>, Mistake> {
        let certificate = issued.certificate.der();
        let key = PrivateKey::from_der(issued.key.serialized_der())?;
        let fingerprint = Fingerprint::of(certificate);
        let chain =
            PrivateKeyChain::new(&fingerprint.as_bytes()[..], key, [p12_keystore::Certificate::from_der(certificate)?]);
        let mut store = KeyStore::new();
        store.add_entry(login_id.as_str(), KeyStoreEntry::PrivateKeyChain(chain));
        let writer = store.writer(&self.pkcs12_password);
        Ok(writer.encryption_iterations(PKCS12_ITERATIONS).mac_iterations(PKCS12_ITERATIONS).write()?)
    }
}

/// A revocation that stands on the list now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revoked {
    /// The list's file.
    pub list: PathBuf,
    /// Its number.
    pub number: u64,
}

/// Puts the certificate of `login_id` on the list in `directory`: the list is replaced whole, its number raised.
pub fn revoke(directory: &Path, login_id: &LoginId, clock: &dyn Clock) -> Result<Revoked, Mistake> {
    let now = moment(clock)?;
    let path = directory.join("ca.crl");
    let foreign = |path: &Path, expected| Mistake::Foreign { path: path.to_owned(), expected };

    let key_path = directory.join("ca.key");
    let key = String::from_utf8(read(&key_path)?).ok().and_then(|pem| KeyPair::from_pem(&pem).ok());
    let key = key.ok_or_else(|| foreign(&key_path, "a private key"))?;
    let authority = Issuer::new(authority_params(Role::Clients)?, &key);

    let current = CertificateRevocationListDer::from_pem_slice(&read(&path)?).ok();
    let content = current.as_ref().and_then(Content::after);
    let mut content = content.ok_or_else(|| foreign(&path, "a numbered revocation list"))?;

    let client_path = directory.join(client_file(login_id, "pem"));
    let certificate = CertificateDer::from_pem_slice(&read(&client_path)?);
    let serial = certificate.map_err(|_| foreign(&client_path, "a certificate")).and_then(|der| serial(&der))?;
    if content.holds(&serial) {
        return Err(Mistake::AlreadyRevoked(login_id.clone()));
    }
    content.revoke(&serial, now);
    let number = content.number();
    let list = content.sign(&authority, now)?;

    let ca_path = directory.join("ca.pem");
    if !speaks_for(&read(&ca_path)?, &key, &list) {
        return Err(foreign(&ca_path, "the authority whose key is beside it"));
    }
    write(&path, Readers::Everyone, list.as_bytes())?;
    Ok(Revoked { list: path, number })
}

/// Whether a new list is that of the authority in `ca.pem`. The name is rebuilt from constants, so a directory made by
/// other means would get a list that no gateway accepts.
fn speaks_for(authority: &[u8], key: &KeyPair, list: &str) -> bool {
    let Ok(authority) = CertificateDer::from_pem_slice(authority) else { return false };
    let Ok(list) = CertificateRevocationListDer::from_pem_slice(list.as_bytes()) else { return false };
    match (X509Certificate::from_der(&authority), CertificateRevocationList::from_der(&list)) {
        (Ok((_, authority)), Ok((_, list))) => {
            authority.subject().as_raw() == list.issuer().as_raw()
                && authority.public_key().raw == key.subject_public_key_info()
        }
        _ => false,
    }
}

fn client_file(login_id: &LoginId, extension: &str) -> PathBuf {
    // A slash in a login ID must not lead out of the directory.
    Path::new("clients").join(format!("{}.{extension}", login_id.as_str().replace('/', "_")))
}

fn serial(certificate: &CertificateDer<'_>) -> Result<Vec<u8>, Mistake> {
    let (_, certificate) = X509Certificate::from_der(certificate)
        .map_err(|_| Mistake::Certificate(rcgen::Error::CouldNotParseCertificate))?;
    Ok(certificate.raw_serial().to_vec())
}

fn moment(clock: &dyn Clock) -> Result<OffsetDateTime, Mistake> {
    OffsetDateTime::from_unix_timestamp(clock.unix_seconds()).map_err(|_| Mistake::Date)
}

fn read(path: &Path) -> Result<Vec<u8>, Mistake> {
    fs::read(path).map_err(|source| Mistake::Read { path: path.to_owned(), source })
}

fn write(path: &Path, readers: Readers, content: &[u8]) -> Result<(), Mistake> {
    files::write_whole(path, readers, content).map_err(|source| Mistake::Write { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests;

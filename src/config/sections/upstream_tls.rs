//! `[upstream.tls]`: how servers with `https://` prove who they are, and how the gateway does.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::key_pair;
use crate::config::files;
use crate::config::mistake::Read;
use crate::config::section::Section;
use crate::config::units::parsed_by;

/// Reads `[upstream.tls]`: only these CAs are trusted, never the system's.
pub(super) fn read_tls(mut section: Section<'_>, provider: &Arc<CryptoProvider>) -> Read<Arc<ClientConfig>> {
    let roots = read_roots(&mut section);
    let path = section.path();
    let identity = match (section.optional("certificate", &path), section.optional("private-key", &path)) {
        (Ok(None), Ok(None)) => Ok(None),
        (Ok(Some(_)), Ok(None)) => Err(section.mistake("certificate", "needs private-key beside it".into())),
        (Ok(None), Ok(Some(_))) => Err(section.mistake("private-key", "needs certificate beside it".into())),
        (Ok(Some(certificate)), Ok(Some(key))) => key_pair(&section, Ok(certificate), Ok(key), provider).map(Some),
        (certificate, key) => certificate.and(key).map(|_| None),
    };
    let wanted = "a DNS name or an IP address, without a port";
    let name = section.optional("server-name", parsed_by(wanted, |name| ServerName::try_from(name.to_owned()).ok()));
    let config = client_config(&section, provider, roots, identity, name);
    section.finish();
    config
}

fn read_roots(section: &mut Section<'_>) -> Read<RootCertStore> {
    let path = section.path();
    let mut roots = RootCertStore::empty();
    let mut outcome = Ok(());
    for (index, path) in section.required_list("ca", path)?.iter().enumerate() {
        section.watch(path);
        let key = format!("ca[{index}]");
        let added = files::authorities(path).map_err(|defect| section.defect(&key, &defect)).and_then(|found| {
            let unusable = |error| section.mistake(&key, format!("{}: {error}", path.display()));
            found.into_iter().try_for_each(|authority| roots.add(authority)).map_err(unusable)
        });
        outcome = outcome.and(added);
    }
    outcome.map(|()| roots)
}

fn client_config(
    section: &Section<'_>,
    provider: &Arc<CryptoProvider>,
    roots: Read<RootCertStore>,
    identity: Read<Option<Arc<CertifiedKey>>>,
    name: Read<Option<ServerName<'static>>>,
) -> Read<Arc<ClientConfig>> {
    let (roots, identity, name) = (roots?, identity?, name?);
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .map_err(|error| section.mistake("ca", error.to_string()))?;
    let verifier: Arc<dyn ServerCertVerifier> = match name {
        Some(name) => Arc::new(NamedServer { name, inner: verifier }),
        None => verifier,
    };
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| section.mistake("ca", error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match identity {
        Some(pair) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(pair))),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = Resumption::in_memory_sessions(64);
    Ok(Arc::new(config))
}

/// Everything rustls checks of a server, under the name in `server-name` instead of the one it was reached by.
#[derive(Debug)]
struct NamedServer {
    name: ServerName<'static>,
    inner: Arc<WebPkiServerVerifier>,
}

impl ServerCertVerifier for NamedServer {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _reached_by: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.inner.verify_server_cert(end_entity, intermediates, &self.name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

    use super::*;

    #[test]
    fn a_named_server_is_known_by_that_name_alone() {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(authority.self_signed(&key).unwrap().der().clone()).unwrap();
        let issuer = Issuer::new(authority, key);
        let server = CertificateParams::new(vec!["core.internal".into()]).unwrap();
        let server = server.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap();

        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        let accepts = |name: &'static str, reached_by: &'static str| {
            let verifier = NamedServer { name: ServerName::try_from(name).unwrap(), inner: inner.clone() };
            let now = UnixTime::since_unix_epoch(Duration::from_secs(1_800_000_000));
            let reached_by = ServerName::try_from(reached_by).unwrap();
            verifier.verify_server_cert(server.der(), &[], &reached_by, &[], now).is_ok()
        };
        assert!(accepts("core.internal", "127.0.0.1"));
        assert!(!accepts("other.internal", "core.internal"));
    }
}

//! Whole configurations: what is read, and how every mistake is told.

mod alarms;
mod layering;
mod markers;
mod limit_screen;
mod mistakes;
mod paths;
mod store;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer, KeyIdMethod, KeyPair,
    KeyUsagePurpose, SerialNumber, date_time_ymd,
};
use tempfile::TempDir;

use super::{Config, Mistakes};
use crate::connection::Limits;
use crate::connection::listener::{Authentication, RefusalManner};
use crate::domain::{HostName, ManualClock};
use crate::operator::SecondPerson;
use crate::upstream::{HostHeader, Scheme, UnderscoreHeaders};

const SHIPPED: &str = include_str!("../../../config.toml");

/// A directory with the shipped configuration and the files it names.
struct Site {
    directory: TempDir,
}

impl Site {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let certs = directory.path().join("certs");
        fs::create_dir(&certs).unwrap();

        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        authority.distinguished_name.push(DnType::CommonName, "Test CA");
        let key = KeyPair::generate().unwrap();
        let pem = authority.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(authority, key);
        fs::write(certs.join("ca.pem"), pem).unwrap();

        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2026, 11, 1),
            next_update: date_time_ymd(2027, 11, 1),
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: Vec::new(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        fs::write(certs.join("ca.crl"), list.signed_by(&issuer).unwrap().pem().unwrap()).unwrap();

        let server = CertificateParams::new(vec!["localhost".into()]).unwrap();
        let key = KeyPair::generate().unwrap();
        fs::write(certs.join("server.pem"), server.signed_by(&key, &issuer).unwrap().pem()).unwrap();
        let site = Self { directory };
        site.secret("certs/server.key", key.serialize_pem().as_bytes());
        site.secret("certs/assertion.key", &[7; 32]);
        site.file("config.toml", SHIPPED);
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        path
    }

    fn secret(&self, name: &str, content: &[u8]) {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// Loads the shipped configuration with one text in place of another, which must stand in it.
    fn load_with(&self, old: &str, new: &str) -> Result<Config, Mistakes> {
        assert!(SHIPPED.contains(old), "{old}");
        self.file("config.toml", &SHIPPED.replace(old, new));
        self.load(&["config.toml"], &[])
    }

    fn load(&self, files: &[&str], environment: &[(&str, &str)]) -> Result<Config, Mistakes> {
        let files: Vec<PathBuf> = files.iter().map(|name| self.path(name)).collect();
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Config::load(&files, environment, &ManualClock::at("2026-11-15T00:00:00Z".parse().unwrap()))
    }

    /// The mistakes without the directory's own name.
    fn told(&self, loaded: Result<Config, Mistakes>) -> Vec<String> {
        let prefix = format!("{}/", self.directory.path().display());
        let mistakes = loaded.expect_err("there are mistakes");
        mistakes.to_string().replace(&prefix, "").lines().map(str::to_owned).collect()
    }

    fn warned(&self, config: &Config) -> Vec<String> {
        let prefix = format!("{}/", self.directory.path().display());
        let told = config.warnings.iter().map(|warning| warning.replace(&prefix, ""));
        // As long as there is no registry, this one is always there.
        told.filter(|warning| !warning.contains("transfer.aggregate: without a registry")).collect()
    }
}

/// The line of the shipped configuration that begins with this text.
fn line(start: &str) -> usize {
    SHIPPED.lines().position(|line| line.starts_with(start)).expect("the line stands in the shipped file") + 1
}

#[test]
fn the_shipped_configuration_says_what_the_defaults_are() {
    let site = Site::new();
    let config = site.load(&["config.toml"], &[]).unwrap();

    assert_eq!(site.warned(&config), Vec::<String>::new());
    assert_eq!(config.limits, Limits::default());
    assert_eq!(config.process.drain_timeout, Duration::from_secs(30));
    assert_eq!(config.process.state_directory, site.path("state"));
    assert_eq!(config.operator.address, "127.0.0.1:9900".parse().unwrap());
    assert_eq!(config.operator.control, site.path("state/control.sock"));
    assert_eq!(config.operator.second_person, SecondPerson::NotNeeded);
    assert_eq!(config.help_desk, crate::refusal::HelpDesk::default());

    let [listener] = config.listeners.as_slice() else { panic!("one listener") };
    assert_eq!(&*listener.name, "certificate");
    assert_eq!(listener.address, "127.0.0.1:8443".parse().unwrap());
    assert_eq!(listener.server_names, [HostName::parse("localhost").unwrap()]);
    assert_eq!(listener.authentication, Authentication::Certificate(RefusalManner::Close));
    assert!(listener.proxy_protocol_from.is_empty());

    assert_eq!(config.trust.authorities.len(), 1);
    assert_eq!(config.trust.crl_sources, [site.path("certs/ca.crl")]);
    assert_eq!(config.trust.crl_grace, Duration::ZERO);

    assert_eq!(config.assertion.login_id_header, "x-login-id");
    assert_eq!(config.assertion.header, "x-login-assertion");
    assert_eq!(config.assertion.lifetime, Duration::from_secs(30));
    assert_eq!(config.assertion.keys[0].id(), "2026-11");
    assert!(config.assertion.extra_headers.method.is_none());

    let upstream = &config.upstream;
    let [server] = upstream.servers.as_slice() else { panic!("one server") };
    assert!(matches!(server.scheme, Scheme::Http));
    assert_eq!((server.host.as_str(), server.port, server.authority.as_str()), ("127.0.0.1", 9000, "127.0.0.1:9000"));
    assert_eq!(upstream.idle_timeout, Duration::from_secs(4));
    assert_eq!((upstream.max_connections, upstream.max_header_bytes), (512, 64 << 10));
    assert_eq!((upstream.host, upstream.underscore_headers), (HostHeader::Preserve, UnderscoreHeaders::Drop));
    assert!(upstream.forwarded_headers && upstream.secure_cookies && upstream.rewrite_location);
    assert!(!upstream.title_case_headers);

    let watched = ["certs/assertion.key", "certs/ca.pem", "certs/server.key", "certs/server.pem", "config.toml"];
    assert!(config.files.paths().eq(&watched.map(|name| site.path(name))));
    assert!(config.lists.paths().eq(&[site.path("certs/ca.crl")]));
}

/// The keys that are commented out claim to show defaults: giving them must change nothing.
#[test]
fn the_commented_keys_show_their_defaults() {
    let site = Site::new();
    let shown: String = SHIPPED
        .lines()
        .filter(|line| {
            !line.contains(".internal\"") && !line.starts_with("# ca = ") && !line.contains("-header = \"X-Login-")
        })
        .map(|line| match line.strip_prefix("# ") {
            Some(rest) if rest.split(' ').nth(1) == Some("=") && !rest.contains("certs/") => format!("{rest}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    assert!(shown.lines().filter(|line| line.starts_with("session-lifetime =")).count() == 1);
    site.file("shown.toml", &shown);
    let (plain, shown) = (site.load(&["config.toml"], &[]).unwrap(), site.load(&["shown.toml"], &[]).unwrap());
    assert_eq!(plain.process, shown.process);
    assert_eq!(plain.limits, shown.limits);
    assert_eq!(format!("{:?}", plain.upstream), format!("{:?}", shown.upstream));
    assert_eq!(format!("{:?}", plain.routes), format!("{:?}", shown.routes));
    assert_eq!((plain.rate_limits, plain.transfer), (shown.rate_limits, shown.transfer));
    assert_eq!((plain.store, plain.audit), (shown.store, shown.audit));
}

#[test]
fn what_deserves_a_second_look_is_a_warning() {
    let site = Site::new();
    let config = site.load_with("organization = \"OOZORA SHINKUMI\"\n", "").unwrap();
    let expected = format!(
        "config.toml line {}: identity.organization: not compared: a certificate with any will do",
        line("[identity]")
    );
    assert_eq!(site.warned(&config), [expected]);

    let config = site.load_with("{login-id} ~\"]", "{login-id} {*}\"]").map(|config| site.warned(&config)).unwrap();
    assert!(config[0].contains("identity.common-name[0]: ") && config[0].contains("ends in {*}"), "{config:?}");

    let config = site.load_with("[\"http://127.0.0.1:9000\"]", "[\"http://192.0.2.1\"]").unwrap();
    assert!(site.warned(&config)[0].contains("upstream.servers[0]: speaks plain HTTP to 192.0.2.1"));
    assert_eq!(config.upstream.servers[0].port, 80);

    let config = site.load_with("server-names = [\"localhost\"]", "server-names = [\"bank.example\"]").unwrap();
    assert!(
        site.warned(&config)[0]
            .ends_with("listener.certificate.certificate: does not cover the server name bank.example")
    );
}

#[test]
fn an_https_upstream_trusts_only_its_own_authority() {
    let site = Site::new();
    let servers = "[\"http://127.0.0.1:9000\"]";
    let tls = "[limits] ";
    let with_tls = SHIPPED.replace(servers, "[\"https://[::1]:9443\", \"http://localhost\"]").replace(
        tls,
        "[upstream.tls]\nca = [\"certs/ca.pem\"]\n\
             certificate = \"certs/server.pem\"\nprivate-key = \"certs/server.key\"\n[limits] ",
    );
    site.file("config.toml", &with_tls);
    let config = site.load(&["config.toml"], &[]).unwrap();
    let [secure, plain] = config.upstream.servers.as_slice() else { panic!("two servers") };
    assert_eq!((secure.host.as_str(), secure.port, secure.authority.as_str()), ("::1", 9443, "[::1]:9443"));
    let Scheme::Https(client) = &secure.scheme else { panic!("https") };
    assert_eq!(client.alpn_protocols, [b"http/1.1".to_vec()]);
    assert!(client.client_auth_cert_resolver.has_certs());
    assert!(matches!(plain.scheme, Scheme::Http));
}

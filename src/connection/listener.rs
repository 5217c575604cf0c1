//! The entrances: addresses, and the listeners behind each, picked by SNI.
//!
//! Each listener has its own server certificate, its own way to learn who is there and its own sessions: a session of one
//! can never be resumed on another (TLS-02).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use ipnet::IpNet;
use rustls::crypto::CryptoProvider;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, NoClientAuth, ResolvesServerCert, StoresServerSessions};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ServerConfig, version};

use super::Limits;
use super::sessions::Sessions;
use super::trust::Trust;
use super::verifier::{Inspection, Inspector};
use crate::domain::{Clock, HostName};

/// How a listener learns who is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authentication {
    /// By a client certificate; without a good one the visitor is refused in the given manner.
    Certificate(RefusalManner),
    /// Not here: the application asks for a password, and no identity header is ever set.
    Password,
}

/// How a certificate listener says no (TLS-13).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalManner {
    /// End the handshake with an alert.
    Close,
    /// Finish the handshake, answer one page that names the reason, close. Never proxy.
    Page,
}

/// One `[[listener]]`.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its name in metrics, audit records and the assertion.
    pub name: Arc<str>,
    /// Where it listens.
    pub address: SocketAddr,
    /// The names it answers to: SNI and Host must both be among them.
    pub server_names: Vec<HostName>,
    /// The server's certificate chain and key, loaded and matched.
    pub certificate: Arc<CertifiedKey>,
    /// How it learns who is there.
    pub authentication: Authentication,
    /// Networks whose connections must start with a PROXY v2 header; from others one is an error.
    pub proxy_protocol_from: Vec<IpNet>,
}

/// One listener, ready for handshakes.
#[derive(Debug)]
pub struct Listener {
    name: Arc<str>,
    server_names: Vec<HostName>,
    authentication: Authentication,
    proxy_protocol_from: Vec<IpNet>,
    door: Door,
    superseded: AtomicBool,
}

/// What a handshake is made with.
#[derive(Debug)]
enum Door {
    Password(Arc<ServerConfig>),
    Certificate { inspection: Arc<Inspection>, provider: Arc<CryptoProvider>, resolver: Arc<dyn ResolvesServerCert> },
}

/// The listeners that share an address.
#[derive(Debug)]
pub struct Entrance {
    /// As configured; the port may be 0.
    pub address: SocketAddr,
    listeners: Vec<Arc<Listener>>,
}

/// All entrances. Replaced whole on reload.
#[derive(Debug)]
pub struct Entrances(Vec<Entrance>);

impl Entrances {
    /// Builds the listeners, grouped by address in the order of the configuration. `coming` is the trust that `trust` holds
    /// or is about to hold; its CAs are named to clients.
    ///
    /// # Errors
    /// What rustls finds wrong with a certificate or key.
    pub fn new(
        settings: &[Settings],
        limits: &Limits,
        trust: &Arc<ArcSwap<Trust>>,
        coming: &Trust,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, rustls::Error> {
        let mut entrances: Vec<Entrance> = Vec::new();
        for listener in settings {
            let built = Arc::new(Listener::new(listener, limits, trust, coming, clock)?);
            match entrances.iter_mut().find(|entrance| entrance.address == listener.address) {
                Some(entrance) => entrance.listeners.push(built),
                None => entrances.push(Entrance { address: listener.address, listeners: vec![built] }),
            }
        }
        Ok(Self(entrances))
    }

    /// The entrances, in the order of the configuration.
    pub fn iter(&self) -> impl Iterator<Item = &Entrance> {
        self.0.iter()
    }

    /// Tells the listeners that `successors` replaces, where they demand or serve something else from now on.
    pub fn give_way_to(&self, successors: &Self) {
        let all = |entrances: &Self| -> Vec<Arc<Listener>> {
            entrances.iter().flat_map(|entrance| entrance.listeners.iter().cloned()).collect()
        };
        let new = all(successors);
        for old in all(self) {
            let stays = new.iter().any(|new| new.name == old.name && new.demands_the_same(&old));
            if !stays {
                old.superseded.store(true, Ordering::Relaxed);
            }
        }
    }

    /// One of them.
    pub fn get(&self, position: usize) -> Option<&Entrance> {
        self.0.get(position)
    }
}

impl Entrance {
    /// The listener for a ClientHello: by SNI, or the only one where the client sent none. A name that is not served
    /// here gets no certificate at all.
    pub(super) fn listener_for(&self, hello: &ClientHello<'_>) -> Option<&Arc<Listener>> {
        match (hello.server_name(), &self.listeners[..]) {
            (None, [only]) => Some(only),
            (None, _) => None,
            (Some(name), listeners) => {
                let name = HostName::parse(name)?;
                listeners.iter().find(|listener| listener.server_names.contains(&name))
            }
        }
    }

    /// Whether a connection from `address` must begin with a PROXY header: one answer for the address, because the
    /// header comes before the SNI.
    pub(super) fn expects_proxy_header(&self, address: IpAddr) -> bool {
        let networks = self.listeners.iter().flat_map(|listener| &listener.proxy_protocol_from);
        networks.into_iter().any(|network| network.contains(&address))
    }

    /// The listener, where there is only one: what goes wrong before a listener is chosen is its affair.
    pub fn only_listener(&self) -> Option<&str> {
        match &self.listeners[..] {
            [only] => Some(only.name()),
            _ => None,
        }
    }

    /// The names of the listeners here.
    pub fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.listeners.iter().map(|listener| &listener.name)
    }
}

impl Listener {
    fn new(
        settings: &Settings,
        limits: &Limits,
        trust: &Arc<ArcSwap<Trust>>,
        coming: &Trust,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, rustls::Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let algorithms = provider.signature_verification_algorithms;
        let resolver: Arc<dyn ResolvesServerCert> = Arc::new(SingleCertAndKey::from(Arc::clone(&settings.certificate)));
        let door = match settings.authentication {
            Authentication::Password => {
                // Nobody is recognised here, so nothing is proven for a session and all connections share the store.
                let sessions: Sessions<()> = Sessions::new(limits.session_cache, limits.session_lifetime);
                let verifier = Arc::new(NoClientAuth);
                Door::Password(Arc::new(server_config(provider, verifier, resolver, Arc::new(sessions))?))
            }
            Authentication::Certificate(manner) => Door::Certificate {
                inspection: Arc::new(Inspection {
                    hints: coming.hints(),
                    trust: Arc::clone(trust),
                    clock: Arc::clone(clock),
                    sessions: Sessions::new(limits.session_cache, limits.session_lifetime),
                    algorithms,
                    manner,
                }),
                provider,
                resolver,
            },
        };
        Ok(Self {
            name: Arc::clone(&settings.name),
            server_names: settings.server_names.clone(),
            authentication: settings.authentication,
            proxy_protocol_from: settings.proxy_protocol_from.clone(),
            door,
            superseded: AtomicBool::new(false),
        })
    }

    /// Its name in metrics and in the assertion.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it learns who is there.
    pub fn authentication(&self) -> Authentication {
        self.authentication
    }

    /// Whether a reload has changed what this listener demands or serves, so that its open connections must go.
    pub(super) fn is_superseded(&self) -> bool {
        self.superseded.load(Ordering::Relaxed)
    }

    fn demands_the_same(&self, other: &Self) -> bool {
        self.authentication == other.authentication
            && self.server_names == other.server_names
            && self.proxy_protocol_from == other.proxy_protocol_from
    }

    /// Whether a request for `host` belongs here (421 otherwise).
    pub fn serves(&self, host: &HostName) -> bool {
        self.server_names.contains(host)
    }

    /// The TLS configuration for one connection. Certificate listeners build one each, because rustls keeps verifier and
    /// session store apart and ours share what was proven in this handshake.
    pub(super) fn tls_for_one_connection(&self) -> Result<Arc<ServerConfig>, rustls::Error> {
        match &self.door {
            Door::Password(shared) => Ok(Arc::clone(shared)),
            Door::Certificate { inspection, provider, resolver } => {
                let inspector = Arc::new(Inspector::new(Arc::clone(inspection)));
                let verifier = Arc::clone(&inspector);
                server_config(Arc::clone(provider), verifier, Arc::clone(resolver), inspector).map(Arc::new)
            }
        }
    }
}

/// TLS 1.2 with extended master secret and TLS 1.3, no early data, one ticket, HTTP/2 before HTTP/1.1 (RFC 9325).
fn server_config(
    provider: Arc<CryptoProvider>,
    verifier: Arc<dyn ClientCertVerifier>,
    resolver: Arc<dyn ResolvesServerCert>,
    sessions: Arc<dyn StoresServerSessions>,
) -> Result<ServerConfig, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(resolver);
    config.session_storage = sessions;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.require_ems = true;
    config.send_tls13_tickets = 1;
    config.max_early_data_size = 0;
    Ok(config)
}

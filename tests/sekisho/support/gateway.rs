//! The real gateway on the shipped configuration, with the addresses, the certificates and the clock of a test.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use sekisho::config::Config;
use sekisho::domain::{Clock, ManualClock};
use sekisho::gateway::{Gateway, Reloader};

use super::customer::{Connection, Customer};
use super::operator::Operator;
use super::pki::{Authority, Identity, Pki};
use super::{Backend, PATIENCE, within};

/// The bytes of the assertion's key.
pub const ASSERTION_KEY: &[u8] = b"a key of the tests, thirty-two bytes and more";

/// No session is watched.
pub const UNBOUND: &str = "[session]\ncookies = []\nurl-parameters = []\n";

/// How a gateway is to be started.
#[derive(Debug)]
pub struct Builder {
    pki: Pki,
    clock: Arc<ManualClock>,
    workers: usize,
    layers: Vec<String>,
    files: Vec<(String, Vec<u8>)>,
    upstream: Option<String>,
    directory: Option<Arc<tempfile::TempDir>>,
}

impl Builder {
    /// More configuration, laid over the rest.
    pub fn layer(mut self, toml: impl Into<String>) -> Self {
        self.layers.push(toml.into());
        self
    }

    /// Sessions of the application belong to nobody: where they are not the story, and come from nowhere.
    pub fn unbound(self) -> Self {
        self.layer(UNBOUND)
    }

    pub fn pki(mut self, pki: &Pki) -> Self {
        self.pki = pki.clone();
        self
    }

    /// The issuing authorities' certificates, instead of the one.
    pub fn authorities(self, authorities: &[&Authority]) -> Self {
        self.file("certs/ca.pem", authorities.iter().map(|authority| authority.pem()).collect::<String>())
    }

    /// The revocation list's file, instead of an empty list of the issuing authority.
    pub fn list(self, content: impl Into<Vec<u8>>) -> Self {
        self.file("certs/ca.crl", content)
    }

    /// A file below the configuration's directory; it replaces what would stand there.
    pub fn file(mut self, path: &str, content: impl Into<Vec<u8>>) -> Self {
        self.files.push((path.into(), content.into()));
        self
    }

    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// The application's address, where it is not the recording backend.
    pub fn upstream(mut self, server: impl Into<String>) -> Self {
        self.upstream = Some(server.into());
        self
    }

    /// A clock that others have too.
    pub fn clock(mut self, clock: &Arc<ManualClock>) -> Self {
        self.clock = Arc::clone(clock);
        self
    }

    /// The directory of a gateway that ran before: its state is found again.
    pub fn after(mut self, earlier: &TestGateway) -> Self {
        self.directory = Some(Arc::clone(&earlier.directory));
        self.pki = earlier.pki.clone();
        self
    }

    /// Writes every file and says which of them are configuration.
    pub fn write(&self, backend: &Backend) -> (Arc<tempfile::TempDir>, Vec<PathBuf>) {
        let directory = self.directory.clone().unwrap_or_else(|| Arc::new(tempfile::tempdir().unwrap()));
        let root = directory.path();
        let upstream = self.upstream.clone().unwrap_or_else(|| format!("http://{}", backend.address()));
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("config.toml");
        write(root, "config.toml", &fs::read(shipped).unwrap());
        write(root, "test.toml", base_layer(self.workers, &upstream).as_bytes());
        write(root, "certs/ca.pem", self.pki.issuing.pem().as_bytes());
        write(root, "certs/ca.crl", self.pki.list().pem().as_bytes());
        write(root, "certs/server.pem", self.pki.server.pem().as_bytes());
        write(root, "certs/server.key", self.pki.server.key_pem().as_bytes());
        write(root, "certs/assertion.key", ASSERTION_KEY);
        let mut configuration = vec![root.join("config.toml"), root.join("test.toml")];
        for (number, layer) in self.layers.iter().enumerate() {
            let name = format!("layer-{number}.toml");
            write(root, &name, layer.as_bytes());
            configuration.push(root.join(name));
        }
        for (path, content) in &self.files {
            write(root, path, content);
        }
        (directory, configuration)
    }

    /// Starts the gateway; it listens when this returns.
    pub async fn spawn(self) -> TestGateway {
        match self.try_spawn().await {
            Ok(gateway) => gateway,
            Err(mistakes) => panic!("the gateway does not start: {mistakes}"),
        }
    }

    /// The same, for configurations that are mistakes.
    pub async fn try_spawn(self) -> Result<TestGateway, String> {
        let backend = Backend::start().await;
        let (directory, configuration) = self.write(&backend);
        let clock: Arc<dyn Clock> = Arc::clone(&self.clock) as _;
        let loader_clock = Arc::clone(&clock);
        let load: Reloader = Arc::new(move || Config::load(&configuration, Vec::new(), &*loader_clock));
        let config = load().map_err(|mistakes| mistakes.to_string())?;
        // A gateway has runtimes of its own, so it starts outside of ours.
        let start = tokio::task::spawn_blocking(move || Gateway::start(config, clock, load));
        let gateway = start.await.unwrap().map_err(|mistake| mistake.to_string())?;
        Ok(TestGateway {
            operator: Operator::at(gateway.operator_address()),
            gateway: Some(Arc::new(gateway)),
            backend,
            pki: self.pki,
            clock: self.clock,
            directory,
        })
    }
}

fn write(root: &Path, name: &str, content: &[u8]) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    // A new file is moved into place, as operators are told to do, so that nobody reads half of it.
    let fresh = path.with_extension("new");
    fs::write(&fresh, content).unwrap();
    fs::set_permissions(&fresh, fs::Permissions::from_mode(0o600)).unwrap();
    fs::rename(fresh, path).unwrap();
}

fn base_layer(workers: usize, upstream: &str) -> String {
    format!(
        r#"
        workers = {workers}
        drain-timeout = "2s"
        [[listener]]
        name = "certificate"
        address = "127.0.0.1:0"
        server-names = ["localhost", "127.0.0.1", "bank.example"]
        [upstream]
        servers = ["{upstream}"]
        [operator]
        address = "127.0.0.1:0"
        "#
    )
}

/// A running gateway with what surrounds it. It drains when it is dropped.
pub struct TestGateway {
    gateway: Option<Arc<Gateway>>,
    pub backend: Backend,
    pub operator: Operator,
    pub pki: Pki,
    pub clock: Arc<ManualClock>,
    directory: Arc<tempfile::TempDir>,
}

impl TestGateway {
    /// The shipped configuration, nothing else.
    pub async fn spawn() -> Self {
        Self::builder().spawn().await
    }

    pub fn builder() -> Builder {
        Builder {
            pki: Pki::fresh(),
            clock: Arc::new(ManualClock::at(Timestamp::now())),
            workers: 1,
            layers: Vec::new(),
            files: Vec::new(),
            upstream: None,
            directory: None,
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address_of("certificate")
    }

    pub fn address_of(&self, listener: &str) -> SocketAddr {
        self.gateway().address(listener).unwrap()
    }

    fn gateway(&self) -> &Arc<Gateway> {
        self.gateway.as_ref().unwrap()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The directory; it stays for as long as somebody holds this.
    pub fn directory(&self) -> Arc<tempfile::TempDir> {
        Arc::clone(&self.directory)
    }

    /// Replaces a file below the configuration's directory, in one step.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        write(self.directory.path(), name, content.as_ref());
    }

    /// Reloads as SIGHUP does; the reason where the old state was kept.
    pub async fn reload(&self) -> Result<(), String> {
        let gateway = Arc::clone(self.gateway());
        let reloaded = tokio::task::spawn_blocking(move || gateway.reload().map(drop).map_err(|e| e.to_string()));
        within(PATIENCE, "reload", reloaded).await.unwrap()
    }

    /// Puts a new revocation list in place and waits until it has been taken or rejected.
    pub async fn publish(&self, list: impl AsRef<[u8]>, result: &str) {
        let before = self.operator.metric("sekisho_crl_loads_total", &[("result", result)]).await;
        self.write("certs/ca.crl", list);
        self.operator.wait_for("sekisho_crl_loads_total", &[("result", result)], before + 1.0).await;
    }

    /// Stops accepting, lets the requests finish, ends.
    pub async fn drain(mut self) {
        let gateway = Arc::into_inner(self.gateway.take().unwrap()).unwrap();
        let (over, drained) = tokio::sync::oneshot::channel();
        // Not on a thread that our runtime would wait for: a drain without an end is to fail, not to hang.
        std::thread::spawn(move || {
            gateway.drain();
            let _ = over.send(());
        });
        within(PATIENCE, "drain", drained).await.unwrap();
    }

    /// A customer with this certificate.
    pub fn customer(&self, identity: &Identity) -> Customer {
        Customer::new(self.address(), &self.pki.web, Some(identity))
    }

    /// A customer with a fresh good certificate.
    pub fn enrol(&self, login_id: &str) -> Customer {
        self.customer(&self.pki.customer(login_id))
    }

    /// Somebody without a certificate.
    pub fn stranger(&self) -> Customer {
        Customer::new(self.address(), &self.pki.web, None)
    }

    /// How many handshakes of the first listener ended so, in full.
    pub async fn handshakes(&self, result: &str) -> f64 {
        let labels = [("listener", "certificate"), ("result", result), ("kind", "full")];
        self.operator.metric("sekisho_handshakes_total", &labels).await
    }

    /// The customer's connection ends in the handshake, with this result, once; the application hears nothing.
    pub async fn assert_refused(&self, customer: &Customer, result: &str) {
        let (before, good) = (self.handshakes(result).await, self.handshakes("ok").await);
        let requests = self.backend.count();
        customer.expect_refusal().await;
        self.wait_for_handshakes(result, before + 1.0).await;
        assert_eq!(self.handshakes(result).await, before + 1.0, "{result}");
        assert_eq!(self.handshakes("ok").await, good, "{result}: counted as good too");
        assert_eq!(self.backend.count(), requests, "{result}: reached the application");
    }

    /// The customer is served, and the application has heard it once.
    pub async fn assert_served(&self, customer: &Customer) {
        let requests = self.backend.count();
        assert_eq!(customer.get("/ib/menu.do").await.status, 200);
        assert_eq!(self.backend.count(), requests + 1);
        self.backend.assert_clean();
    }

    /// The same on an open connection.
    pub async fn assert_served_on(&self, connection: &mut Connection) {
        let requests = self.backend.count();
        assert_eq!(connection.get("/ib/menu.do").await.status, 200);
        assert_eq!(self.backend.count(), requests + 1);
        self.backend.assert_clean();
    }

    /// Waits until that number is reached: handshakes are counted after the client has seen them end.
    pub async fn wait_for_handshakes(&self, result: &str, count: f64) {
        let labels = [("listener", "certificate"), ("result", result), ("kind", "full")];
        self.operator.wait_for("sekisho_handshakes_total", &labels, count).await;
    }

    /// No request has reached the application, and nothing ambiguous has.
    pub fn assert_backend_untouched(&self) {
        self.backend.assert_clean();
        assert_eq!(self.backend.count(), 0, "{:#?}", self.backend.seen());
    }
}

impl Drop for TestGateway {
    fn drop(&mut self) {
        if let Some(gateway) = self.gateway.take().and_then(Arc::into_inner) {
            std::thread::spawn(move || gateway.drain());
        }
    }
}

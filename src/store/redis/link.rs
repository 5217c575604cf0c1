//! One connection to the server that holds a hash slot, used by one task alone: the ledger's slot, which has the shared blocks
//! too, or that of the shared rate limits.
//!
//! Not the crate's cluster client: all keys lie in one slot, so one server answers everything, and a `MOVED` names it.
//! And no client that reconnects or sends again behind our back: a connection that failed is gone, and with the next
//! one it is asked first whether the server still has what it had.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Pipeline, RedisConnectionInfo, RedisError, Script, ServerErrorKind, Value};
use rustls::pki_types::{CertificateDer, InvalidDnsNameError, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::Server;
use super::call::{Call, SCRIPT};
use super::{blocks, rates, registry};
use crate::store::database;

/// How often a server may send us on to another one.
const MOST_MOVES: usize = 5;

/// Why Redis, or the journal beside it, does not take part.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("Redis: {0}")]
    Redis(#[from] RedisError),
    #[error("Redis: {0}")]
    Socket(#[from] io::Error),
    #[error("Redis does not answer in time")]
    TimedOut,
    #[error("Redis answers {0}")]
    Refused(String),
    #[error("Redis forgets keys when its memory is full (maxmemory-policy {0}): set it to noeviction")]
    Evicts(String),
    #[error("this Redis is a replica")]
    Replica,
    #[error("Redis has lost data, or another one has taken over: waiting until every gateway has put back its part")]
    Stale,
    #[error("an answer of Redis makes no sense: {0}")]
    Nonsense(&'static str),
    #[error("too few replicas have the reservation")]
    NotReplicated,
    #[error("the journal: {0}")]
    Journal(#[from] database::Failure),
    #[error("the certificates for Redis: {0}")]
    Tls(#[from] rustls::Error),
    #[error("the server's name: {0}")]
    Name(#[from] InvalidDnsNameError),
}

/// How servers are reached.
#[derive(Clone)]
pub(super) struct Way {
    servers: Vec<Server>,
    login: RedisConnectionInfo,
    tls: Option<TlsConnector>,
    pub response_timeout: Duration,
    errand: Arc<Errand>,
}

/// What is asked for there.
struct Errand {
    script: &'static str,
    /// What the server knows the script by.
    hash: String,
    /// The key of every call that names none; it tells the slot.
    key: String,
    /// Whether a server that forgets keys may not be asked.
    is_about_money: bool,
}

impl Way {
    /// To the ledger.
    pub fn to_ledger(settings: &super::Settings) -> Result<Self, Failure> {
        Self::to(settings, SCRIPT, format!("{{{}}}:meta", settings.prefix), true)
    }

    /// To the shared rate limits.
    pub fn to_rates(settings: &super::Settings) -> Result<Self, Failure> {
        Self::to(settings, rates::SCRIPT, rates::some_key(settings), false)
    }

    /// To the shared blocks.
    pub fn to_blocks(settings: &super::Settings) -> Result<Self, Failure> {
        // What a server forgets, the gateways put back.
        Self::to(settings, blocks::SCRIPT, blocks::key(settings), false)
    }

    /// To the shared registry.
    pub fn to_registry(settings: &super::Settings) -> Result<Self, Failure> {
        Self::to(settings, registry::SCRIPT, registry::key(settings), false)
    }

    /// As the settings say. `ca` are the only ones that are trusted; without them nothing is encrypted.
    fn to(
        settings: &super::Settings,
        script: &'static str,
        key: String,
        is_about_money: bool,
    ) -> Result<Self, Failure> {
        let mut login = RedisConnectionInfo::default().set_skip_set_lib_name();
        if let Some(username) = &settings.username {
            login = login.set_username(username);
        }
        if let Some(password) = &settings.password {
            login = login.set_password(password.expose());
        }
        let tls = settings.ca.as_deref().map(connector).transpose()?;
        Ok(Self {
            servers: settings.servers.clone(),
            login,
            tls,
            response_timeout: settings.response_timeout,
            errand: Arc::new(Errand { script, hash: Script::new(script).get_hash().into(), key, is_about_money }),
        })
    }

    /// Connects to the first of the servers that is a primary and holds our keys.
    pub async fn connect(&self) -> Result<Link, Failure> {
        let mut last = Failure::Nonsense("no server is named");
        for server in &self.servers {
            match self.follow(server.clone()).await {
                Ok(link) => return Ok(link),
                Err(failure) => last = failure,
            }
        }
        Err(last)
    }

    async fn follow(&self, mut server: Server) -> Result<Link, Failure> {
        for _ in 0..MOST_MOVES {
            let mut link =
                timeout(self.response_timeout, self.open(&server)).await.map_err(|_| Failure::TimedOut)??;
            match link.greet().await? {
                None => return Ok(link),
                Some((host, port)) => {
                    let host = if host.is_empty() { server.host } else { host };
                    server = Server { host, port };
                }
            }
        }
        Err(Failure::Nonsense("the servers send us from one to the other"))
    }

    async fn open(&self, server: &Server) -> Result<Link, Failure> {
        let socket = TcpStream::connect((&*server.host, server.port)).await?;
        socket.set_nodelay(true)?;
        match &self.tls {
            None => self.speak(socket).await,
            Some(tls) => {
                let name = ServerName::try_from(server.host.clone())?;
                self.speak(tls.connect(name, socket).await?).await
            }
        }
    }

    async fn speak<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(&self, stream: S) -> Result<Link, Failure> {
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(self.response_timeout));
        let (connection, driver) = MultiplexedConnection::new_with_config(&self.login, stream, config).await?;
        let driver = tokio::spawn(driver).abort_handle();
        Ok(Link { connection, driver, errand: Arc::clone(&self.errand) })
    }
}

fn connector(ca: &[CertificateDer<'static>]) -> Result<TlsConnector, Failure> {
    let mut roots = RootCertStore::empty();
    for certificate in ca {
        roots.add(certificate.clone())?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// An open connection.
pub(super) struct Link {
    connection: MultiplexedConnection,
    driver: AbortHandle,
    errand: Arc<Errand>,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Link {
    /// Where to go instead, if this server does not hold our keys.
    async fn greet(&mut self) -> Result<Option<(String, u16)>, Failure> {
        let mut pipeline = Pipeline::new();
        pipeline.cmd("HGET").arg(&self.errand.key).arg("epoch");
        pipeline.cmd("INFO").arg("replication");
        pipeline.cmd("SCRIPT").arg("LOAD").arg(self.errand.script);
        let mut answers = self.send(&pipeline, 3).await?.into_iter();
        if let Some(Value::ServerError(error)) = answers.next()
            && error.kind() == Some(ServerErrorKind::Moved)
        {
            let place = error.details().and_then(|details| details.split(' ').nth(1)?.rsplit_once(':'));
            let place = place.and_then(|(host, port)| Some((host.to_owned(), port.parse().ok()?)));
            return place.map(Some).ok_or(Failure::Nonsense("it says MOVED, and not where to"));
        }
        if line_of(answers.next(), "role:")? != "master" {
            return Err(Failure::Replica);
        }
        if self.errand.is_about_money {
            self.check_eviction().await?;
        }
        Ok(None)
    }

    /// A store that makes room by forgetting must not hold money (A44).
    pub async fn check_eviction(&mut self) -> Result<(), Failure> {
        let mut pipeline = Pipeline::new();
        pipeline.cmd("INFO").arg("memory");
        let answer = self.send(&pipeline, 1).await?.pop();
        match line_of(answer, "maxmemory_policy:") {
            Ok(policy) if policy == "noeviction" => Ok(()),
            Ok(policy) => Err(Failure::Evicts(policy)),
            Err(failure) => {
                tracing::warn!(%failure, "Redis does not tell its maxmemory-policy; it must be noeviction");
                Ok(())
            }
        }
    }

    /// Asks in this order; the answers come in the same one.
    ///
    /// # Errors
    /// Then nobody knows what was done.
    pub async fn ask(&mut self, calls: &[Call]) -> Result<Vec<Value>, Failure> {
        let mut answers = self.send(&self.pipeline("EVALSHA", &self.errand.hash, calls), calls.len()).await?;
        // A server that was started again, or told SCRIPT FLUSH, knows no script: from one call on, none was done.
        let forgot = |answer: &Value| matches!(answer, Value::ServerError(error) if error.kind() == Some(ServerErrorKind::NoScript));
        if let Some(from) = answers.iter().position(forgot) {
            answers.truncate(from);
            let rest = &calls[from..];
            answers.extend(self.send(&self.pipeline("EVAL", self.errand.script, rest), rest.len()).await?);
        }
        Ok(answers)
    }

    /// Waits until so many replicas have everything that was asked so far.
    pub async fn wait(&mut self, replicas: u32, at_most: Duration) -> Result<(), Failure> {
        let mut pipeline = Pipeline::new();
        pipeline.cmd("WAIT").arg(replicas).arg(u64::try_from(at_most.as_millis()).unwrap_or(u64::MAX));
        match self.send(&pipeline, 1).await?.pop() {
            Some(Value::Int(have)) if have >= i64::from(replicas) => Ok(()),
            _ => Err(Failure::NotReplicated),
        }
    }

    fn pipeline(&self, command: &str, script: &str, calls: &[Call]) -> Pipeline {
        let mut pipeline = Pipeline::with_capacity(calls.len());
        for call in calls {
            let key = call.key().unwrap_or(&self.errand.key);
            pipeline.cmd(command).arg(script).arg(1).arg(key).arg(call.arguments());
        }
        pipeline
    }

    async fn send(&mut self, pipeline: &Pipeline, count: usize) -> Result<Vec<Value>, Failure> {
        let answers = self
            .connection
            .send_packed_commands(pipeline, 0, count)
            .await
            .map_err(|error| if error.is_timeout() { Failure::TimedOut } else { Failure::Redis(error) })?;
        if answers.len() == count { Ok(answers) } else { Err(Failure::Nonsense("too few answers")) }
    }
}

/// What stands behind a name in the answer to INFO.
fn line_of(answer: Option<Value>, name: &str) -> Result<String, Failure> {
    let text = match answer {
        Some(Value::BulkString(text)) => String::from_utf8_lossy(&text).into_owned(),
        Some(Value::VerbatimString { text, .. }) => text,
        Some(Value::ServerError(error)) => return Err(Failure::Refused(error.to_string())),
        _ => return Err(Failure::Nonsense("INFO")),
    };
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.map(|value| value.trim().to_owned()).ok_or(Failure::Nonsense("INFO"))
}

//! From an accepted socket to a visit: PROXY header, ClientHello, TLS handshake, judgement. One deadline over all of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::HandshakeKind;
use rustls::server::Acceptor;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::server::TlsStream;
use tokio_rustls::{LazyConfigAcceptor, StartHandshake};

use super::listener::{Authentication, Entrance, Listener, RefusalManner};
use super::proxy_protocol;
use super::socket::Socket;
use super::trust::Trust;
use super::verifier::refusal_behind;
use super::visit::{Visit, Visitor};
use crate::domain::Clock;
use crate::refusal::CertificateRefusal;

/// How a handshake ended, for the metric `sekisho_handshakes_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A visit began.
    Ok,
    /// The certificate gave no identity.
    Refused(CertificateRefusal),
    /// The client took too long.
    Timeout,
    /// Anything else: no TLS, no common version, a name that is not served, a broken connection.
    ProtocolError,
}

impl Outcome {
    /// The label `result`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused(refusal) => refusal.word(),
            Self::Timeout => "timeout",
            Self::ProtocolError => "protocol_error",
        }
    }
}

/// Whether a session was resumed, for the label `kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The client proved its key in this handshake.
    Full,
    /// The client proved it in an earlier one.
    Resumed,
}

/// The protocol that ALPN agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1, also where the client named nothing.
    Http1,
    /// HTTP/2.
    Http2,
}

/// A finished handshake.
#[derive(Debug)]
pub struct Arrival {
    /// Who came. [`Visitor::Refused`] only on listeners that answer with a page.
    pub visit: Visit,
    /// Full or resumed.
    pub kind: Kind,
    /// What to speak.
    pub protocol: Protocol,
    /// The encrypted connection.
    pub stream: TlsStream<Socket>,
}

/// A handshake that led to nothing.
#[derive(Debug)]
pub struct Failure {
    /// The listener, where the handshake got as far as choosing one.
    pub listener: Option<Arc<Listener>>,
    /// Full or resumed.
    pub kind: Kind,
    /// Why.
    pub outcome: Outcome,
    /// The cause, for the log.
    pub cause: String,
    /// The connection, where an alert is on its way that the client should be able to read.
    pub farewell: Option<Socket>,
}

/// How long, and how much, is still read from a client whose handshake was refused.
const FAREWELL: Duration = Duration::from_millis(500);
const FAREWELL_BYTES: usize = 64 << 10;

/// Lets a refused client read its alert.
pub async fn say_farewell(stream: Socket) {
    // Whatever comes of it, the connection ends here.
    let _ = tokio::time::timeout(FAREWELL, linger(stream, FAREWELL_BYTES)).await;
}

/// Lets a client read what was said last, although it still sends: closing a socket with unread bytes makes the kernel reset
/// the connection, and what the client has not taken yet is lost with it. Ends when the client closes or falls silent.
pub(super) async fn linger(mut stream: Socket, most_bytes: usize) {
    let (mut read, mut buffer) = (0, vec![0; 16 << 10]);
    if stream.shutdown().await.is_err() {
        return;
    }
    while read < most_bytes {
        match tokio::time::timeout(FAREWELL, stream.read(&mut buffer)).await {
            Ok(Ok(0)) | Ok(Err(_)) | Err(_) => return,
            Ok(Ok(bytes)) => read += bytes,
        }
    }
}

impl Failure {
    /// The client's turn did not come: too many handshakes are under way.
    pub fn waited_in_vain() -> Self {
        Self::before_a_listener(Outcome::Timeout, "too many handshakes are under way")
    }

    fn before_a_listener(outcome: Outcome, cause: impl ToString) -> Self {
        Self { listener: None, kind: Kind::Full, outcome, cause: cause.to_string(), farewell: None }
    }
}

/// A ClientHello that waits for its answer.
pub struct Hello(StartHandshake<Socket>);

/// What every handshake needs.
#[derive(Debug)]
pub struct Greeter {
    /// Whom the bank has vouched for.
    pub trust: Arc<ArcSwap<Trust>>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
}

impl Greeter {
    /// Reads the PROXY header where one is due; the true client address.
    ///
    /// # Errors
    /// A missing, malformed or late header.
    pub async fn true_client(
        &self,
        stream: &mut TcpStream,
        peer: SocketAddr,
        entrance: &Entrance,
        deadline: Instant,
    ) -> Result<SocketAddr, Failure> {
        if !entrance.expects_proxy_header(peer.ip()) {
            return Ok(peer);
        }
        match timeout_at(deadline, proxy_protocol::read_header(stream, peer)).await {
            Ok(Ok(client)) => Ok(client),
            Ok(Err(error)) => Err(Failure::before_a_listener(Outcome::ProtocolError, error)),
            Err(_) => Err(Failure::before_a_listener(Outcome::Timeout, "no PROXY header in time")),
        }
    }

    /// Reads a ClientHello; nothing is computed yet.
    ///
    /// # Errors
    /// No TLS, or not in time.
    pub async fn hear(&self, stream: TcpStream, deadline: Instant) -> Result<Hello, Failure> {
        match timeout_at(deadline, LazyConfigAcceptor::new(Acceptor::default(), Socket(stream))).await {
            Ok(Ok(hello)) => Ok(Hello(hello)),
            Ok(Err(error)) => Err(Failure::before_a_listener(Outcome::ProtocolError, error)),
            Err(_) => Err(Failure::before_a_listener(Outcome::Timeout, "no ClientHello in time")),
        }
    }

    /// Leads a client through the TLS handshake and judges its certificate.
    ///
    /// # Errors
    /// Everything but a visit; a refusal by page is a visit.
    pub async fn greet(
        &self,
        Hello(hello): Hello,
        client: SocketAddr,
        entrance: &Entrance,
        deadline: Instant,
    ) -> Result<Arrival, Failure> {
        let Some(listener) = entrance.listener_for(&hello.client_hello()).cloned() else {
            return Err(Failure::before_a_listener(
                Outcome::ProtocolError,
                "no listener has the name in the ClientHello",
            ));
        };
        let fail = |outcome, cause: String| {
            let listener = Some(Arc::clone(&listener));
            Failure { listener, kind: Kind::Full, outcome, cause, farewell: None }
        };
        let config = match listener.tls_for_one_connection() {
            Ok(config) => config,
            Err(error) => return Err(fail(Outcome::ProtocolError, error.to_string())),
        };
        match timeout_at(deadline, hello.into_stream(config).into_fallible()).await {
            Ok(Ok(stream)) => self.judge(stream, client, listener),
            Ok(Err((error, stream))) => {
                let refusal = error.get_ref().and_then(|inner| inner.downcast_ref()).and_then(refusal_behind);
                let outcome = refusal.map_or(Outcome::ProtocolError, Outcome::Refused);
                Err(Failure { farewell: Some(stream), ..fail(outcome, error.to_string()) })
            }
            Err(_) => Err(fail(Outcome::Timeout, "the handshake took too long".into())),
        }
    }

    /// The judgement after every handshake, full or resumed: rustls does not verify on resumption (TLS-15).
    fn judge(
        &self,
        stream: TlsStream<Socket>,
        client: SocketAddr,
        listener: Arc<Listener>,
    ) -> Result<Arrival, Failure> {
        let (_, session) = stream.get_ref();
        let kind = match session.handshake_kind() {
            Some(HandshakeKind::Resumed) => Kind::Resumed,
            Some(HandshakeKind::Full | HandshakeKind::FullWithHelloRetryRequest) | None => Kind::Full,
        };
        let protocol = match session.alpn_protocol() {
            Some(b"h2") => Protocol::Http2,
            _ => Protocol::Http1,
        };
        let (visitor, verdict) = match listener.authentication() {
            Authentication::Password => (Visitor::Stranger, None),
            Authentication::Certificate(manner) => {
                let chain = session.peer_certificates().unwrap_or_default();
                match (self.trust.load().judge(chain, self.clock.now()), manner) {
                    (Ok((who, verdict)), _) => (Visitor::Customer(who), Some(verdict)),
                    (Err(refusal), RefusalManner::Page) => (Visitor::Refused(refusal), None),
                    (Err(refusal), RefusalManner::Close) => {
                        let outcome = Outcome::Refused(refusal);
                        let cause = refusal.to_string();
                        return Err(Failure { listener: Some(listener), kind, outcome, cause, farewell: None });
                    }
                }
            }
        };
        Ok(Arrival { visit: Visit::new(listener, client.ip(), visitor, verdict), kind, protocol, stream })
    }
}

/// A deadline `timeout` from now.
pub fn deadline(timeout: Duration) -> Instant {
    Instant::now() + timeout
}

//! Customers, with and without certificates, and everybody who pretends to be one.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::client::Resumption;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, HandshakeKind, RootCertStore, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufStream};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::pki::{Authority, Identity};
use super::wire::Answer;
use super::{PATIENCE, within};

/// A TLS client. Its connections share one session cache: a second one resumes where the server allows it.
#[derive(Debug, Clone)]
pub struct Customer {
    address: SocketAddr,
    server_name: ServerName<'static>,
    host: String,
    tls: Arc<ClientConfig>,
    preamble: Vec<u8>,
}

impl Customer {
    pub fn new(address: SocketAddr, trusting: &Authority, identity: Option<&Identity>) -> Self {
        Self::with_versions(address, trusting, identity, rustls::ALL_VERSIONS)
    }

    fn with_versions(
        address: SocketAddr,
        trusting: &Authority,
        identity: Option<&Identity>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(trusting.certificate.clone())).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
        let config = config.with_root_certificates(roots);
        let mut tls = match identity {
            None => config.with_no_client_auth(),
            Some(identity) => {
                let own = std::iter::once(&identity.certificate).chain(&identity.intermediates);
                let chain = own.map(|der| CertificateDer::from(der.clone())).collect();
                let key = PrivateKeyDer::Pkcs8(identity.key.private().into());
                let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).unwrap();
                // Not `with_client_auth_cert`: that would look at the certificate, and some of ours are malformed.
                config.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(CertifiedKey::new(chain, key))))
            }
        };
        tls.resumption = Resumption::in_memory_sessions(16);
        let server_name = ServerName::try_from("localhost").unwrap();
        Self { address, server_name, host: "localhost".into(), tls: Arc::new(tls), preamble: Vec::new() }
    }

    fn change(mut self, change: impl FnOnce(&mut ClientConfig)) -> Self {
        let mut tls = (*self.tls).clone();
        change(&mut tls);
        self.tls = Arc::new(tls);
        self
    }

    /// Speaks only this version of TLS.
    pub fn speaking(
        address: SocketAddr,
        trusting: &Authority,
        identity: &Identity,
        version: &'static SupportedProtocolVersion,
    ) -> Self {
        Self::with_versions(address, trusting, Some(identity), &[version])
    }

    /// Asks for this name in the handshake and in `Host`.
    pub fn visiting(mut self, name: &str) -> Self {
        self.server_name = ServerName::try_from(name.to_owned()).unwrap();
        name.clone_into(&mut self.host);
        self
    }

    /// Goes to another address; sessions are kept, as a browser would.
    pub fn at(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

    /// Names nobody in the handshake.
    pub fn without_server_name(self) -> Self {
        self.change(|tls| tls.enable_sni = false)
    }

    /// Keeps no sessions.
    pub fn forgetful(self) -> Self {
        self.change(|tls| tls.resumption = Resumption::disabled())
    }

    /// Whether a session is at hand whose server would take data before its handshake is done.
    pub fn may_send_early_data(&self) -> bool {
        let mut tls = (*self.tls).clone();
        tls.enable_early_data = true;
        let mut next = rustls::ClientConnection::new(Arc::new(tls), self.server_name.clone()).unwrap();
        next.early_data().is_some()
    }

    /// Sends these bytes before the handshake.
    pub fn with_preamble(mut self, bytes: &[u8]) -> Self {
        self.preamble = bytes.to_vec();
        self
    }

    async fn handshake(&self, tls: &Arc<ClientConfig>) -> io::Result<TlsStream<TcpStream>> {
        let mut stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        stream.write_all(&self.preamble).await?;
        let connector = TlsConnector::from(Arc::clone(tls));
        within(PATIENCE, "handshake", connector.connect(self.server_name.clone(), stream)).await
    }

    /// Shakes hands for HTTP/1.1. In TLS 1.3 a refusal of the certificate shows only when something is read.
    pub async fn try_connect(&self) -> io::Result<Connection> {
        let stream = self.handshake(&self.tls).await?;
        Ok(Connection { stream: BufStream::new(stream), host: self.host.clone() })
    }

    pub async fn connect(&self) -> Connection {
        self.try_connect().await.unwrap_or_else(|error| panic!("handshake: {error}"))
    }

    /// One request on a connection of its own.
    pub async fn get(&self, path: &str) -> Answer {
        self.connect().await.get(path).await
    }

    /// One request on a connection of its own, which may fail at any point.
    pub async fn try_get(&self, path: &str) -> io::Result<Answer> {
        self.try_connect().await?.try_get(path).await
    }

    /// Tries a request and expects that the connection ends without an answer; the error tells how.
    pub async fn expect_refusal(&self) -> io::Error {
        match self.try_get("/ib/menu.do").await {
            Err(error) => error,
            Ok(answer) => panic!("answered {} instead of ending the connection", answer.status),
        }
    }

    /// The raw TLS stream that has negotiated HTTP/2.
    pub async fn connect_frames(&self) -> TlsStream<TcpStream> {
        let mut tls = (*self.tls).clone();
        tls.alpn_protocols = vec![b"h2".to_vec()];
        let stream = self.handshake(&Arc::new(tls)).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        stream
    }

    pub async fn connect_http2(&self) -> Http2 {
        let stream = self.connect_frames().await;
        let (sender, connection) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("HTTP/2 preface");
        let ended = tokio::spawn(connection);
        Http2 { sender, host: self.host.clone(), ended }
    }
}

/// An HTTP/1.1 connection.
#[derive(Debug)]
pub struct Connection {
    pub stream: BufStream<TlsStream<TcpStream>>,
    host: String,
}

impl Connection {
    /// Whether the handshake resumed an earlier session.
    pub fn is_resumed(&self) -> bool {
        self.stream.get_ref().get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    pub async fn get(&mut self, path: &str) -> Answer {
        self.request("GET", path, &[], b"").await
    }

    pub async fn try_get(&mut self, path: &str) -> io::Result<Answer> {
        self.try_request("GET", path, &[], b"").await
    }

    pub async fn post(&mut self, path: &str, body: &[u8]) -> Answer {
        self.request("POST", path, &[("Content-Length", &body.len().to_string())], body).await
    }

    /// Sends a form.
    pub async fn submit(&mut self, path: &str, form: &str) -> Answer {
        self.try_submit(path, form).await.unwrap_or_else(|e| panic!("POST {path}: {e}"))
    }

    pub async fn try_submit(&mut self, path: &str, form: &str) -> io::Result<Answer> {
        let length = form.len().to_string();
        let headers = [("Content-Length", length.as_str()), ("Content-Type", "application/x-www-form-urlencoded")];
        self.try_request("POST", path, &headers, form.as_bytes()).await
    }

    pub async fn request(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.try_request(method, path, headers, body).await.unwrap_or_else(|e| panic!("{method} {path}: {e}"))
    }

    pub async fn try_request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Answer> {
        let fields: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n{fields}\r\n", self.host);
        self.send_raw(&[head.as_bytes(), body].concat()).await?;
        self.read(method).await
    }

    /// Exactly these bytes.
    pub async fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        let send = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        within(PATIENCE, "sending", send).await
    }

    /// The answer to a request of this method.
    pub async fn read(&mut self, method: &str) -> io::Result<Answer> {
        within(PATIENCE, "an answer", Answer::read(&mut self.stream, method)).await
    }

    /// Whatever else comes until the connection ends.
    pub async fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let _ = within(PATIENCE, "the end of the connection", self.stream.read_to_end(&mut bytes)).await;
        bytes
    }

    /// Waits for the end of the connection; nothing more may come before it.
    pub async fn expect_end(&mut self) {
        let rest = self.rest().await;
        assert!(rest.is_empty(), "before the end: {:?}", String::from_utf8_lossy(&rest));
    }
}

/// An HTTP/2 connection.
#[derive(Debug)]
pub struct Http2 {
    sender: http2::SendRequest<Full<Bytes>>,
    host: String,
    ended: tokio::task::JoinHandle<hyper::Result<()>>,
}

impl Http2 {
    pub async fn get(&mut self, path: &str) -> Answer {
        self.try_request("GET", path, &[], b"").await.unwrap()
    }

    pub async fn request(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.try_request(method, path, headers, body).await.unwrap()
    }

    pub async fn try_request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> hyper::Result<Answer> {
        let mut request = http::Request::builder().method(method).uri(format!("https://{}{path}", self.host));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::copy_from_slice(body))).unwrap();
        within(PATIENCE, "an HTTP/2 answer", async {
            self.sender.ready().await?;
            let (parts, body) = self.sender.send_request(request).await?.into_parts();
            let headers = parts.headers.iter().map(|(k, v)| (k.to_string(), v.as_bytes().to_vec())).collect();
            let collected = body.collect().await?;
            let fields = collected.trailers().into_iter().flatten();
            let trailers = fields.map(|(k, v)| (k.to_string(), v.as_bytes().to_vec())).collect();
            let body = collected.to_bytes().to_vec();
            Ok(Answer { status: parts.status.as_u16(), headers, body, trailers })
        })
        .await
    }

    /// Names another authority from now on, on the same connection.
    pub fn pretend_to_visit(&mut self, name: &str) {
        name.clone_into(&mut self.host);
    }

    /// Waits for the end of the connection.
    pub async fn expect_end(self) {
        let _ = within(PATIENCE, "the end of the connection", self.ended).await;
    }
}

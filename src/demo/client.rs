//! A customer's browser, reduced to what the story needs: TLS with or without a certificate, then HTTP/1.1.
//!
//! It trusts the throw-away server authority alone and never retries, so whatever it reports happened once.

use std::error::Error;
use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use encoding_rs::{SHIFT_JIS, UTF_8};
use http::header::{CONTENT_TYPE, HOST, LOCATION, SET_COOKIE};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

/// Nothing on one machine takes this long, unless it hangs.
const DEADLINE: Duration = Duration::from_secs(10);
const MAX_PAGE_BYTES: usize = 4 << 20;

/// A connection, or the attempt to make one, ended; the text is the deepest cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ended(String);

impl Ended {
    fn because(error: &(dyn Error + 'static)) -> Self {
        let mut deepest = error;
        while let Some(source) = deepest.source() {
            deepest = source;
        }
        // rustls adds the address of a manual page to some of its messages.
        let text = deepest.to_string();
        Self(text.split(": https://").next().unwrap_or(&text).to_owned())
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<E: Error + 'static> From<E> for Ended {
    fn from(error: E) -> Self {
        Self::because(&error)
    }
}

/// An answer, its page decoded by the charset that it names.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) page: String,
    /// The session that it begins, as a browser sends it back.
    pub(super) session: Option<String>,
    /// Where it leads.
    pub(super) location: Option<String>,
}

/// Somebody who comes to the gateway.
#[derive(Clone)]
pub(super) struct Visitor {
    tls: TlsConnector,
    gateway: SocketAddr,
}

impl Visitor {
    /// A visitor with the certificate of `login_id`, or with none.
    pub(super) fn new(certs: &Path, login_id: Option<&str>, gateway: SocketAddr) -> Result<Self, Ended> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(certs.join("server-ca.pem"))?)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        let mut config = match login_id {
            None => builder.with_no_client_auth(),
            Some(login_id) => {
                let file = |extension| certs.join(format!("clients/{login_id}.{extension}"));
                let certificate = CertificateDer::from_pem_file(file("pem"))?;
                builder.with_client_auth_cert(vec![certificate], PrivateKeyDer::from_pem_file(file("key"))?)?
            }
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { tls: TlsConnector::from(Arc::new(config)), gateway })
    }

    /// Opens a connection. With TLS 1.3 a refusal may only show when the first answer is read.
    pub(super) async fn connect(&self) -> Result<Connection, Ended> {
        let name = ServerName::try_from("localhost")?;
        let socket = TcpStream::connect(self.gateway).await?;
        let stream = tokio::time::timeout(DEADLINE, self.tls.connect(name, socket)).await??;
        Connection::over(stream, format!("localhost:{}", self.gateway.port())).await
    }

    /// One request on a connection of its own.
    pub(super) async fn get(&self, target: &str, headers: &[(&str, &str)]) -> Result<Answer, Ended> {
        self.connect().await?.get(target, headers).await
    }
}

/// One page over plain HTTP, from the operator address.
pub(super) async fn get_plain(address: SocketAddr, target: &str) -> Result<Answer, Ended> {
    Connection::over(TcpStream::connect(address).await?, address.to_string()).await?.get(target, &[]).await
}

/// An open connection.
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: Option<JoinHandle<Result<(), hyper::Error>>>,
    authority: String,
}

impl Connection {
    async fn over(
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        authority: String,
    ) -> Result<Self, Ended> {
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        Ok(Self { sender, driver: Some(tokio::spawn(connection)), authority })
    }

    /// One request; the connection stays open.
    pub(super) async fn get(&mut self, target: &str, headers: &[(&str, &str)]) -> Result<Answer, Ended> {
        let mut request = Request::get(target).header(HOST, &self.authority);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Full::default())?).await
    }

    /// A form, sent as a browser would; the connection stays open.
    pub(super) async fn submit(&mut self, target: &str, form: &str) -> Result<Answer, Ended> {
        let request = Request::post(target)
            .header(HOST, &self.authority)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Full::from(form.to_owned()))?;
        self.send(request).await
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Answer, Ended> {
        match tokio::time::timeout(DEADLINE, self.exchange(request)).await? {
            Ok(answer) => Ok(answer),
            // The connection itself knows better why it ended than the request that it took along.
            Err(ended) => Err(self.cause().await.unwrap_or(ended)),
        }
    }

    /// Why the connection ended, where its own task can tell. A task can be asked once.
    async fn cause(&mut self) -> Option<Ended> {
        let outcome = tokio::time::timeout(DEADLINE, self.driver.take()?).await;
        outcome.ok()?.ok()?.err().map(Ended::from)
    }

    async fn exchange(&mut self, request: Request<Full<Bytes>>) -> Result<Answer, Ended> {
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        let status = response.status();
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let session = header(SET_COOKIE).and_then(|cookie| cookie.split(';').next()).map(str::to_owned);
        let location = header(LOCATION).map(str::to_owned);
        let is_legacy = |kind: &http::HeaderValue| kind.as_bytes().to_ascii_lowercase().ends_with(b"windows-31j");
        let charset = if response.headers().get(CONTENT_TYPE).is_some_and(is_legacy) { SHIFT_JIS } else { UTF_8 };
        let body =
            Limited::new(response.into_body(), MAX_PAGE_BYTES).collect().await.map_err(|e| Ended::because(&*e))?;
        Ok(Answer { status, session, location, page: charset.decode(&body.to_bytes()).0.into_owned() })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.iter().for_each(JoinHandle::abort);
    }
}

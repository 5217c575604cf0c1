//! The application behind the gateway: it records what reaches it, byte by byte, and misbehaves as it is told.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

pub use super::backend_wire::Seen;
use super::backend_wire::{Framing, read_body, read_head};
use super::eventually;

/// How the backend treats one request.
#[derive(Debug, Clone)]
pub enum Reply {
    /// Reads it and writes these bytes; the connection lives on unless they say `Connection: close`.
    Bytes(Vec<u8>),
    /// Reads it, writes these bytes and closes.
    ThenClose(Vec<u8>),
    /// Reads it, waits for a permit, then writes these bytes.
    Held(Arc<Semaphore>, Vec<u8>),
    /// Reads it, writes the first bytes, waits for a permit, then writes the rest.
    Halves(Vec<u8>, Arc<Semaphore>, Vec<u8>),
    /// Reads it and never answers.
    Silence,
    /// Writes these bytes before it reads the body, then closes without having read it.
    Early(Vec<u8>),
    /// Writes these bytes before it reads the body, then takes whatever comes for the next request.
    EarlyAndOpen(Vec<u8>),
    /// Counts the body instead of keeping it, then answers 200.
    Sink,
    /// Never reads the body.
    Stall,
    /// Answers with so many bytes.
    Endless(u64),
}

impl Reply {
    /// An answer of 200 with this page.
    pub fn page(body: &str) -> Self {
        Self::of("200 OK", &[("Content-Type", "text/html")], body.as_bytes())
    }

    /// An answer with Content-Length.
    pub fn of(status: &str, headers: &[(&str, &str)], body: &[u8]) -> Self {
        Self::Bytes(Self::bytes_of(status, headers, body))
    }

    /// Its bytes.
    pub fn bytes_of(status: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
        let fields: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let head = format!("HTTP/1.1 {status}\r\n{fields}Content-Length: {}\r\n\r\n", body.len());
        [head.as_bytes(), body].concat()
    }
}

#[derive(Debug, Default)]
struct Shared {
    seen: Mutex<Vec<Seen>>,
    violations: Mutex<Vec<String>>,
    replies: Mutex<VecDeque<Reply>>,
    connections: AtomicUsize,
    closed: AtomicUsize,
    sent: AtomicU64,
    received: AtomicU64,
}

/// A running backend.
#[derive(Debug, Clone)]
pub struct Backend {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Backend {
    /// Listens on a free port.
    pub async fn start() -> Self {
        Self::listen(None).await
    }

    /// The same, behind TLS.
    pub async fn start_with_tls(tls: rustls::ServerConfig) -> Self {
        Self::listen(Some(TlsAcceptor::from(Arc::new(tls)))).await
    }

    async fn listen(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let backend = Self { address: listener.local_addr().unwrap(), shared: Arc::default() };
        let shared = Arc::clone(&backend.shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let number = shared.connections.fetch_add(1, Ordering::SeqCst);
                let (shared, tls) = (Arc::clone(&shared), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, number, &shared).await,
                        Some(tls) => {
                            // A gateway that does not trust us has said so.
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, number, &shared).await;
                            }
                        }
                    }
                    shared.closed.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        backend
    }

    /// An address where nobody listens.
    pub async fn absent() -> SocketAddr {
        TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How the next request that no earlier call has spoken for is treated.
    pub fn next(&self, reply: Reply) {
        self.shared.replies.lock().unwrap().push_back(reply);
    }

    /// The requests so far, clean ones only.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    pub fn count(&self) -> usize {
        self.shared.seen.lock().unwrap().len()
    }

    pub fn last(&self) -> Seen {
        self.seen().pop().expect("a request should have reached the application")
    }

    /// Waits until so many requests have been read.
    pub async fn wait_for(&self, count: usize) {
        eventually("requests at the backend", || async { self.count() }, |now| *now >= count).await;
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Connections that are open.
    pub fn open_connections(&self) -> usize {
        self.connections() - self.shared.closed.load(Ordering::SeqCst)
    }

    /// Body bytes written so far.
    pub fn sent(&self) -> u64 {
        self.shared.sent.load(Ordering::SeqCst)
    }

    /// Body bytes read so far.
    pub fn received(&self) -> u64 {
        self.shared.received.load(Ordering::SeqCst)
    }

    pub fn violations(&self) -> Vec<String> {
        self.shared.violations.lock().unwrap().clone()
    }

    /// Nothing that has two readings has reached the application.
    pub fn assert_clean(&self) {
        assert_eq!(self.violations(), Vec::<String>::new());
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, number: usize, shared: &Shared) {
    let violation = |what: String| shared.violations.lock().unwrap().push(what);
    let mut stream = BufReader::new(stream);
    loop {
        let (mut seen, framing) = match read_head(&mut stream).await {
            Ok(Some(head)) => head,
            Ok(None) => return,
            Err(what) => return violation(what),
        };
        seen.connection = number;
        let reply = shared.replies.lock().unwrap().pop_front().unwrap_or_else(|| Reply::page("<p>BTMN000</p>"));
        match &reply {
            Reply::Early(bytes) => {
                shared.seen.lock().unwrap().push(seen);
                let _ = stream.write_all(bytes).await;
                return;
            }
            Reply::EarlyAndOpen(bytes) => {
                shared.seen.lock().unwrap().push(seen);
                if stream.write_all(bytes).await.is_err() || stream.flush().await.is_err() {
                    return;
                }
                continue;
            }
            Reply::Stall => {
                shared.seen.lock().unwrap().push(seen);
                return std::future::pending().await;
            }
            Reply::Bytes(_)
            | Reply::ThenClose(_)
            | Reply::Held(..)
            | Reply::Halves(..)
            | Reply::Silence
            | Reply::Sink
            | Reply::Endless(_) => {}
        }
        let keep = !matches!(reply, Reply::Sink);
        match read(&mut stream, framing, &mut seen, shared, keep).await {
            Ok(()) => {}
            // A message that its sender broke off is no violation; one with two readings is.
            Err(cut) if cut.kind() == std::io::ErrorKind::InvalidData => return violation(cut.to_string()),
            Err(_) => return,
        }
        if !stream.buffer().is_empty() {
            violation(format!("bytes after the message: {:?}", String::from_utf8_lossy(stream.buffer())));
        }
        shared.seen.lock().unwrap().push(seen);
        if !answer(&mut stream, reply, shared).await {
            return;
        }
    }
}

async fn read(
    stream: &mut BufReader<impl AsyncRead + AsyncWrite + Unpin>,
    framing: Framing,
    seen: &mut Seen,
    shared: &Shared,
    keep: bool,
) -> std::io::Result<()> {
    let piece = |seen: &mut Seen, piece: &[u8]| {
        seen.body_length += piece.len() as u64;
        shared.received.fetch_add(piece.len() as u64, Ordering::SeqCst);
        if keep {
            seen.body.extend(piece);
        }
    };
    read_body(stream, framing, seen, piece).await
}

/// Answers; whether the connection lives on.
async fn answer(stream: &mut BufReader<impl AsyncRead + AsyncWrite + Unpin>, reply: Reply, shared: &Shared) -> bool {
    let says_close = |bytes: &[u8]| String::from_utf8_lossy(bytes).to_ascii_lowercase().contains("connection: close");
    match reply {
        Reply::Bytes(bytes) => stream.write_all(&bytes).await.is_ok() && !says_close(&bytes),
        Reply::ThenClose(bytes) => {
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
            false
        }
        Reply::Held(gate, bytes) => {
            gate.acquire().await.unwrap().forget();
            stream.write_all(&bytes).await.is_ok() && !says_close(&bytes)
        }
        Reply::Halves(first, gate, rest) => {
            let sent = stream.write_all(&first).await.is_ok();
            gate.acquire().await.unwrap().forget();
            sent && stream.write_all(&rest).await.is_ok()
        }
        Reply::Silence => {
            let _ = stream.read(&mut [0; 1]).await;
            false
        }
        Reply::Sink => stream.write_all(&Reply::bytes_of("200 OK", &[], b"sunk")).await.is_ok(),
        Reply::Endless(length) => endless(stream, length, shared).await.is_ok(),
        Reply::Early(_) | Reply::EarlyAndOpen(_) | Reply::Stall => unreachable!("treated before the body was read"),
    }
}

async fn endless(
    stream: &mut BufReader<impl AsyncRead + AsyncWrite + Unpin>,
    length: u64,
    shared: &Shared,
) -> std::io::Result<()> {
    stream.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").as_bytes()).await?;
    let piece = vec![b'x'; 64 << 10];
    let mut left = length;
    while left > 0 {
        let size = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
        stream.write_all(&piece[..size]).await?;
        left -= size as u64;
        shared.sent.fetch_add(size as u64, Ordering::SeqCst);
    }
    Ok(())
}

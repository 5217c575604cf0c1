//! The control thread: the operator address, the control socket and the watch over files, off the request path.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, watch as signal};

use super::{Shared, Stage, StartError, watch};
use crate::operator::{Settings, control};

/// An operator's client may take this long over a request's head.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// Connections on the operator address and the control socket at once.
const MAX_CONNECTIONS: usize = 64;

/// The control thread's sockets, bound before any public one: a second gateway by mistake fails here, before a customer's
/// connection can reach it.
pub(super) struct Bound {
    runtime: Runtime,
    operator: TcpListener,
    socket: UnixListener,
    socket_path: PathBuf,
    /// The operator address; tells the port where the configuration says 0.
    pub address: SocketAddr,
}

/// Binds the operator address and the control socket.
pub(super) fn bind(settings: &Settings) -> Result<Bound, StartError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let failed = |address: String| move |error| StartError::Bind { address, error };
    let inside = runtime.enter();
    let operator = std::net::TcpListener::bind(settings.address)
        .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
        .and_then(TcpListener::from_std)
        .map_err(failed(settings.address.to_string()))?;
    let socket = control::bind(&settings.control).map_err(failed(settings.control.display().to_string()))?;
    drop(inside);
    let address = operator.local_addr()?;
    Ok(Bound { runtime, operator, socket, socket_path: settings.control.clone(), address })
}

impl Bound {
    /// Serves until the gateway is over: longer than the workers, so that metrics and health can be seen to the end.
    pub fn spawn(self, shared: &Arc<Shared>, mut stage: signal::Receiver<Stage>) -> io::Result<JoinHandle<()>> {
        let shared = Arc::clone(shared);
        std::thread::Builder::new().name("control".into()).spawn(move || {
            self.runtime.block_on(async {
                tokio::spawn(serve_operator(self.operator, Arc::clone(&shared)));
                tokio::spawn(serve_control(self.socket, Arc::clone(&shared)));
                tokio::spawn(watch::watch(shared));
                // An error means that the gateway itself is gone.
                let _ = stage.wait_for(|stage| *stage == Stage::Over).await;
            });
            let _ = std::fs::remove_file(self.socket_path);
        })
    }
}

async fn serve_operator(listener: TcpListener, shared: Arc<Shared>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let (stream, _) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                pause_after(&error).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let answer = |request: Request<Incoming>| std::future::ready(shared.view.answer(&request));
            serve(stream, answer).await;
            drop(place);
        });
    }
}

async fn serve_control(listener: UnixListener, shared: Arc<Shared>) {
    let reload: control::Reload = {
        let shared = Arc::clone(&shared);
        Arc::new(move || match shared.reload() {
            Ok(reloaded) => Ok(format!("{reloaded}\n")),
            Err(error) => Err(format!("{error}\n")),
        })
    };
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let (stream, _) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                pause_after(&error).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let reload = Arc::clone(&reload);
        tokio::spawn(async move {
            let answer = |request: Request<Incoming>| control::answer(Arc::clone(&reload), request);
            serve(stream, answer).await;
            drop(place);
        });
    }
}

async fn serve<S, A, F>(stream: S, answer: A)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    A: Fn(Request<Incoming>) -> F,
    F: Future<Output = Response<Full<Bytes>>>,
{
    let service = service_fn(|request| {
        let answer = answer(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    // A client of the operator address that breaks off is its own affair.
    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
}

async fn pause_after(error: &io::Error) {
    tracing::warn!(%error, "the operator address cannot accept");
    tokio::time::sleep(Duration::from_millis(100)).await;
}

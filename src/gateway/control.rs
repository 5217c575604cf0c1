//! The control thread: the operator address, the control socket and the watch over files, off the request path.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener as StdTcpListener};
use std::os::unix::net::UnixListener as StdUnixListener;
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
    operator: StdTcpListener,
    socket: StdUnixListener,
    socket_path: PathBuf,
    /// The operator address; tells the port where the configuration says 0.
    pub address: SocketAddr,
}

/// Binds the operator address and the control socket.
pub(super) fn bind(settings: &Settings) -> Result<Bound, StartError> {
    let failed = |address: String| move |error| StartError::Bind { address, error };
    let operator = StdTcpListener::bind(settings.address)
        .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
        .map_err(failed(settings.address.to_string()))?;
    let socket = control::bind(&settings.control).map_err(failed(settings.control.display().to_string()))?;
    let address = operator.local_addr()?;
    Ok(Bound { operator, socket, socket_path: settings.control.clone(), address })
}

impl Bound {
    /// Serves until the gateway is over: longer than the workers, so that metrics and health can be seen to the end.
    pub fn spawn(self, shared: &Arc<Shared>, stage: signal::Receiver<Stage>) -> io::Result<JoinHandle<()>> {
        let shared = Arc::clone(shared);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name("control".into()).spawn(move || {
            let path = self.socket_path.clone();
            if let Err(error) = runtime.block_on(self.serve(shared, stage)) {
                tracing::error!(%error, "the operator address cannot be served");
            }
            let _ = std::fs::remove_file(path);
        })
    }

    async fn serve(self, shared: Arc<Shared>, mut stage: signal::Receiver<Stage>) -> io::Result<()> {
        tokio::spawn(serve_operator(TcpListener::from_std(self.operator)?, Arc::clone(&shared)));
        tokio::spawn(serve_control(UnixListener::from_std(self.socket)?, Arc::clone(&shared)));
        tokio::spawn(watch::watch(shared));
        // An error means that the gateway itself is gone.
        let _ = stage.wait_for(|stage| *stage == Stage::Over).await;
        Ok(())
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

//! The control thread: the operator address, the control socket and the watch over files, off the request path.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
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

use super::{Shared, StartError, watch};
use crate::operator::{Settings, control};

/// An operator's client may take this long over a request's head.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// Connections on the operator address and the control socket at once.
const MAX_CONNECTIONS: usize = 64;

/// Binds and starts; the operator address is the one bound.
pub(super) fn spawn(
    shared: &Arc<Shared>,
    settings: &Settings,
    stopped: signal::Receiver<bool>,
) -> Result<(JoinHandle<()>, SocketAddr), StartError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let bind = |address: String| move |error| StartError::Bind { address, error };
    let (operator, socket) = {
        let _inside = runtime.enter();
        let operator = std::net::TcpListener::bind(settings.address)
            .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
            .and_then(TcpListener::from_std)
            .map_err(bind(settings.address.to_string()))?;
        let socket = control::bind(&settings.control).map_err(bind(settings.control.display().to_string()))?;
        (operator, socket)
    };
    let address = operator.local_addr()?;
    let shared = Arc::clone(shared);
    let control_path = settings.control.clone();
    let thread = std::thread::Builder::new().name("control".into()).spawn(move || {
        runtime.block_on(async {
            tokio::spawn(serve_operator(operator, Arc::clone(&shared)));
            tokio::spawn(serve_control(socket, Arc::clone(&shared)));
            tokio::spawn(watch::watch(Arc::clone(&shared)));
            until_stopped(stopped, &shared).await;
        });
        let _ = std::fs::remove_file(control_path);
    })?;
    Ok((thread, address))
}

/// Stays while workers drain, so that metrics and health can be seen to the end: until nobody else holds the state.
async fn until_stopped(mut stopped: signal::Receiver<bool>, shared: &Arc<Shared>) {
    // An error means that the gateway itself is gone.
    let _ = stopped.wait_for(|stop| *stop).await;
    while shared.workers_running() {
        tokio::time::sleep(Duration::from_millis(20)).await;
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

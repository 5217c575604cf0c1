//! The control thread: the operator address, the control socket and the watch over files, off the request path.

use std::convert::Infallible;
use std::error::Error;
use std::future::poll_fn;
use std::io;
use std::net::{SocketAddr, TcpListener as StdTcpListener};
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch as signal};

use super::{Shared, Stage, StartError, watch};
use crate::operator::control::{self, BlockDesk, Control, Desk, Members, RegistryDesk, Reload};
use crate::operator::{SecondPerson, Settings};
use crate::store::redis::Courier;

/// An operator's client may take this long over a request's head.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// Connections on the operator address and the control socket at once.
const MAX_CONNECTIONS: usize = 64;

/// An operator's act under way may take so long when the gateway ends.
const LAST_ACT: Duration = Duration::from_secs(5);

/// The control thread's sockets, bound before any public one: a second gateway by mistake fails here, before a customer's
/// connection can reach it.
pub(super) struct Bound {
    operator: StdTcpListener,
    socket: StdUnixListener,
    socket_path: PathBuf,
    second_person: SecondPerson,
    /// The operator address; tells the port where the configuration says 0.
    pub address: SocketAddr,
}

/// Binds the operator address and the control socket.
pub(super) fn bind(settings: &Settings) -> Result<Bound, StartError> {
    let failed = |address: String| move |error| StartError::Bind { address, error };
    let operator = StdTcpListener::bind(settings.address)
        .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
        .map_err(failed(settings.address.to_string()))?;
    let socket = control::bind(settings).map_err(failed(settings.control.display().to_string()))?;
    let address = operator.local_addr()?;
    Ok(Bound {
        operator,
        socket,
        socket_path: settings.control.clone(),
        second_person: settings.second_person,
        address,
    })
}

impl Bound {
    /// Serves until the gateway is over: longer than the workers, so that metrics and health can be seen to the end, and
    /// shared rates be asked for.
    pub fn spawn(
        self,
        shared: &Arc<Shared>,
        stage: signal::Receiver<Stage>,
        courier: Option<Courier>,
    ) -> io::Result<JoinHandle<()>> {
        let shared = Arc::clone(shared);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name("control".into()).spawn(move || {
            let path = self.socket_path.clone();
            let serve = async {
                if let Some(courier) = courier {
                    tokio::spawn(courier.run());
                }
                self.serve(shared, stage).await
            };
            if let Err(error) = runtime.block_on(serve) {
                tracing::error!(%error, "the operator address cannot be served");
            }
            let _ = std::fs::remove_file(path);
        })
    }

    async fn serve(self, shared: Arc<Shared>, mut stage: signal::Receiver<Stage>) -> io::Result<()> {
        let operator = TcpListener::from_std(self.operator)?;
        let socket = UnixListener::from_std(self.socket)?;
        let control = control_of(&shared, self.second_person);

        let viewed = Arc::clone(&shared);
        let tell = move |(), request| std::future::ready(viewed.view.answer(&request));
        tokio::spawn(accept(move |context| operator.poll_accept(context).map_ok(|(stream, _)| (stream, ())), tell));
        let obeyed = control.clone();
        let obey = move |user, request| obeyed.clone().answer(user, request);
        let from_socket = move |context: &mut Context<'_>| {
            let user = |stream: &UnixStream| stream.peer_cred().ok().map(|process| process.uid());
            socket.poll_accept(context).map_ok(|(stream, _)| {
                let user = user(&stream);
                (stream, user)
            })
        };
        tokio::spawn(accept(from_socket, obey));
        tokio::spawn(watch::watch_always(shared));
        // An error means that the gateway itself is gone.
        let _ = stage.wait_for(|stage| *stage == Stage::Over).await;
        // What was done must also be told.
        let _ = tokio::time::timeout(LAST_ACT, control.finish()).await;
        Ok(())
    }
}

fn control_of(shared: &Arc<Shared>, second_person: SecondPerson) -> Control {
    let reloaded = Arc::clone(shared);
    let reload: Reload = Arc::new(move || match reloaded.reload() {
        Ok(reloaded) => Ok(format!("{reloaded}\n")),
        Err(error) => Err(format!("{error}\n")),
    });
    let desk = shared.money.ledger.clone().map(|ledger| {
        let (audit, metrics) = (shared.money.audit.clone(), Arc::clone(&shared.metrics));
        let trust = Arc::clone(&shared.trust);
        let members = Members::new(move |contract, first| trust.load().counted_in(contract, first));
        Desk::new(ledger, members, audit, metrics, Arc::clone(&shared.clock), second_person)
    });
    let (keeper, shared_blocks) = (Arc::clone(&shared.blocks), shared.shared_blocks.clone());
    let blocks = BlockDesk::new(keeper, shared_blocks, shared.money.audit.clone(), Arc::clone(&shared.clock));
    let (registry, trust) = (shared.registry.clone(), Arc::clone(&shared.trust));
    let board = Arc::clone(shared.blocks.board());
    let registry = RegistryDesk::new(registry, board, trust, shared.money.audit.clone(), Arc::clone(&shared.clock));
    Control { reload, rules: Arc::clone(&shared.rules), desk, blocks, registry }
}

/// Accepts and serves, on either of the two; `peer` is what `answer` may know of who came.
async fn accept<S, P, A, F, B>(mut next: impl FnMut(&mut Context<'_>) -> Poll<io::Result<(S, P)>> + Send, answer: A)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    P: Copy + Send + Sync + 'static,
    A: Fn(P, Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let (stream, peer) = match poll_fn(&mut next).await {
            Ok(accepted) => accepted,
            Err(error) => {
                pause_after(&error).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let answer = answer.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let answer = answer(peer, request);
                async move { Ok::<_, Infallible>(answer.await) }
            });
            let mut builder = http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
            // A client of the operator address that breaks off is its own affair.
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
            drop(place);
        });
    }
}

async fn pause_after(error: &io::Error) {
    tracing::warn!(%error, "the operator address cannot accept");
    tokio::time::sleep(Duration::from_millis(100)).await;
}

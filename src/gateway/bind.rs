//! Sockets: one per worker and entrance, so that the kernel spreads connections and no accept loop is shared.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use rustix::process::{Resource, getrlimit, setrlimit};
use socket2::{Domain, Protocol, Socket, Type};

use super::StartError;
use crate::connection::Limits;
use crate::connection::listener::Entrances;

/// The kernel's queue of connections that wait to be accepted.
const BACKLOG: i32 = 4096;

/// Descriptors that are not client or upstream connections: files, sockets, runtimes.
const OTHER_DESCRIPTORS: u64 = 128;

/// The listening sockets of every worker, in the order of the entrances.
pub(super) struct Sockets {
    of_workers: Vec<Vec<TcpListener>>,
    bound: Vec<SocketAddr>,
}

/// Listens on every entrance, once per worker. A port 0 is chosen once and shared.
pub(super) fn listen(entrances: &Entrances, workers: usize) -> Result<Sockets, StartError> {
    let mut sockets = Sockets { of_workers: (0..workers).map(|_| Vec::new()).collect(), bound: Vec::new() };
    for entrance in entrances.iter() {
        let mut address = entrance.address;
        refuse_a_taken_port(address).map_err(|error| StartError::Bind { address: address.to_string(), error })?;
        for listeners in &mut sockets.of_workers {
            let bind = |error| StartError::Bind { address: address.to_string(), error };
            let listener = listen_on(address).map_err(bind)?;
            address = listener.local_addr().map_err(bind)?;
            listeners.push(listener);
        }
        sockets.bound.push(address);
    }
    Ok(sockets)
}

impl Sockets {
    /// Where each listener listens.
    pub fn addresses(&self, entrances: &Entrances) -> Vec<(Arc<str>, SocketAddr)> {
        let named = entrances.iter().zip(&self.bound);
        named.flat_map(|(entrance, bound)| entrance.names().map(|name| (Arc::clone(name), *bound))).collect()
    }

    /// The sockets, worker by worker.
    pub fn into_workers(self) -> Vec<Vec<TcpListener>> {
        self.of_workers
    }
}

/// `SO_REUSEPORT` would let a second gateway share the port in silence, each with its own trust. Without it the kernel
/// says so.
fn refuse_a_taken_port(address: SocketAddr) -> std::io::Result<()> {
    let probe = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    probe.set_reuse_address(true)?;
    if address.is_ipv6() {
        probe.set_only_v6(true)?;
    }
    probe.bind(&address.into())
}

fn listen_on(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Raises the limit of file descriptors as far as the system allows, and lowers `max-connections` to what it carries: a
/// client connection may need one more towards the application.
pub(super) fn fit_to_file_descriptors(limits: &mut Limits) {
    let mut allowed = getrlimit(Resource::Nofile);
    if allowed.current < allowed.maximum || (allowed.maximum.is_none() && allowed.current.is_some()) {
        let raised = rustix::process::Rlimit { current: allowed.maximum, maximum: allowed.maximum };
        if setrlimit(Resource::Nofile, raised).is_ok() {
            allowed = raised;
        }
    }
    let Some(descriptors) = allowed.current else { return };
    let carried = usize::try_from(descriptors.saturating_sub(OTHER_DESCRIPTORS) / 2).unwrap_or(usize::MAX).max(1);
    if limits.max_connections > carried {
        tracing::warn!(
            configured = limits.max_connections,
            carried,
            descriptors,
            "limits.max-connections is more than the file descriptors carry and is lowered"
        );
        limits.max_connections = carried;
    }
}

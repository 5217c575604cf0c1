//! The bank's sockets: HTTP/1.1 with keep-alive, and the faults that show on the wire.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::Office;
use super::answer::{BrokenOff, Pace, Paced, Reply, paced};
use super::faults::{Execution, Fault};
use super::orders::Failure;
use super::pages;

/// Of a body that is kept; what is beyond is read and forgotten.
const MAX_BODY_BYTES: usize = 16 << 20;
/// After a failed accept (out of file descriptors), the time for others to close theirs.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves for as long as it is polled; what it was asked to execute goes on without it.
pub(super) async fn accept(listener: TcpListener, office: Arc<Office>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((socket, _)) if office.faults.take_for_connection() => drop(socket),
                Ok((socket, _)) => drop(connections.spawn(serve(socket, Arc::clone(&office)))),
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(socket: TcpStream, office: Arc<Office>) {
    let service = service_fn(|request| answer(Arc::clone(&office), request));
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(socket), service);
    // A client that hangs up is no news to a bank.
    let _ = connection.await;
}

/// An error closes the connection without an answer.
async fn answer(office: Arc<Office>, request: Request<Incoming>) -> Result<Response<Paced>, BrokenOff> {
    let fault = office.faults.take();
    if matches!(fault, Some(Fault::DieBeforeReading)) {
        return Err(BrokenOff);
    }
    let (parts, body) = request.into_parts();
    let number = office.note(&parts);
    let body = read(body).await?;
    office.note_body(number, &body);
    // A servlet does not notice that its client left: what was read is executed.
    tokio::spawn(act(office, parts, body, fault)).await.map_err(|_| BrokenOff)?
}

/// Reads a body to its end so that the connection can be used again. One that breaks off is nothing to act on.
async fn read(mut body: Incoming) -> Result<Bytes, BrokenOff> {
    let mut kept = BytesMut::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(|_| BrokenOff)?.into_data() {
            let room = MAX_BODY_BYTES - kept.len();
            kept.extend_from_slice(&data[..data.len().min(room)]);
        }
    }
    Ok(kept.freeze())
}

async fn act(
    office: Arc<Office>,
    parts: Parts,
    body: Bytes,
    fault: Option<Fault>,
) -> Result<Response<Paced>, BrokenOff> {
    if let Some(Fault::HoldRequest(gate)) = &fault {
        gate.pass().await;
    }
    let execution = fault.as_ref().map_or(Execution::Done, Fault::execution);
    let response = match execution {
        Execution::Done => office.serve(&parts, &body),
        Execution::NotDone => pages::error_reply(Failure::Busy, None).into_response(),
    };
    match fault {
        None | Some(Fault::HoldRequest(_) | Fault::ErrorPage) => Ok(response),
        Some(Fault::DieBeforeReading | Fault::Die(_)) => Err(BrokenOff),
        Some(Fault::HoldAnswer(gate)) => {
            gate.pass().await;
            Ok(response)
        }
        Some(Fault::Truncate) => Ok(paced(response, Pace::Half)),
        Some(Fault::Gzip) => Ok(paced(response, Pace::Gzip)),
        Some(Fault::Chunked) => Ok(paced(response, Pace::Chunked)),
        Some(Fault::HoldHalf(gate)) => Ok(paced(response, Pace::Halves(gate))),
        Some(Fault::InternalError(_)) => {
            Ok(Reply::Page(StatusCode::INTERNAL_SERVER_ERROR, pages::internal_error()).into_response())
        }
        Some(Fault::RedirectToErrorPage) => Ok(Reply::Redirect(pages::ERROR_PATH.to_owned()).into_response()),
    }
}

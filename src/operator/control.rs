//! The control socket: where the command line talks to the running gateway. HTTP/1.1 over a Unix socket of mode 0600.
//!
//! `POST /reload` answers 200 with what was loaded, or 409 with what is wrong.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;

/// What the control socket can ask for. `Ok` and `Err` are texts for the person who asked.
pub type Reload = Arc<dyn Fn() -> Result<String, String> + Send + Sync>;

/// Binds the socket. A socket that a dead process left behind is replaced; one that answers is not.
///
/// # Errors
/// Another gateway answers on it, or the file system refuses.
pub fn bind(path: &Path) -> io::Result<UnixListener> {
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        fs::create_dir_all(directory)?;
    }
    if path.exists() {
        if UnixStream::connect(path).is_ok() {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "another gateway answers on the control socket"));
        }
        fs::remove_file(path)?;
    }
    // Bound under another name first: between binding and chmod nobody else can find it.
    let beside = path.with_extension("new");
    let _ = fs::remove_file(&beside);
    let listener = UnixListener::bind(&beside)?;
    listener.set_nonblocking(true)?;
    fs::set_permissions(&beside, fs::Permissions::from_mode(0o600))?;
    fs::rename(&beside, path)?;
    Ok(listener)
}

/// Answers a request on the control socket.
pub async fn answer<B>(reload: Reload, request: Request<B>) -> Response<Full<Bytes>> {
    let (status, text) = match (request.method(), request.uri().path()) {
        (&Method::POST, "/reload") => match tokio::task::spawn_blocking(move || reload()).await {
            Ok(Ok(done)) => (StatusCode::OK, done),
            Ok(Err(mistakes)) => (StatusCode::CONFLICT, mistakes),
            Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, "the reload failed\n".to_owned()),
        },
        _ => (StatusCode::NOT_FOUND, "not found\n".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response
}

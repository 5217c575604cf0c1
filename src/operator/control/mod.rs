//! The control socket: where the command line talks to the running gateway. HTTP/1.1 over a Unix socket of mode 0600, or 0660
//! where acts need a second person.
//!
//! | verb | body | answer |
//! |---|---|---|
//! | `POST /reload` | | what was loaded; 409 with what is wrong |
//! | `GET /ledger/contracts/{contract}?day=` | | a contract's day |
//! | `GET /ledger/unknown` | | the transfers that wait for a decision |
//! | `POST /ledger/transfers/{id}/reconcile` | `{outcome, reason, operator}` | the transfer; 409 if it is not unknown |
//! | `POST /ledger/transfers/{id}/correct` | `{outcome, reason, operator}` | the transfer; 409 if it is not settled, or so already |
//! | `POST /ledger/contracts/{contract}/transfers` | `{yen, day, reason, operator}` | the transfer that was added, and its day's sums |
//! | `POST /ledger/limits/{contract}` | `{yen, reason, operator}` | the customer's own limit |
//! | `POST /ledger/limits` | `{limits: [{contract, yen}, …], reason, operator}` | how many own limits were imported |
//! | `GET /contracts?after=&limit=`, `GET /contracts/{contract}` | | contracts; one with its login IDs |
//! | `POST /contracts/{contract}`, `…/change` | `{name, access, reason, operator}` | the contract |
//! | `POST /contracts/{contract}/remove` | `{reason, operator}` | its name; 409 while it has login IDs |
//! | `POST /contracts/{contract}/login-ids` | `{login_id, role, move, reason, operator}` | the contract |
//! | `POST /login-ids/{login_id}/remove` | `{reason, operator}` | the contract that it was in |
//! | `GET /certificates?login_id=`, `?contract=`, `?after_login_id=&after_sha256=&limit=`; `GET /certificates/{sha256}` | | certificates |
//! | `POST /certificates` | `{pem, supersede, reason, operator}` | the certificate, registered |
//! | `POST /certificates/{sha256}/retire` | `{reason, operator}` | the certificate, retired |
//! | `POST /registry/import?kind=&format=&move=&supersede=&reason=&operator=` | a file | how many lines; 400 with what is wrong in which |
//! | `GET /registry/export?kind=&format=&operator=` | | `jsonl` or `csv`, streamed |
//! | `GET /certificates/blocks` | | the blocks in force |
//! | `POST /certificates/blocks` | `{serial or login_id or contract, reason, operator}` | the block; 409 if there is one |
//! | `POST /certificates/blocks/lift` | `{serial or login_id or contract, reason, operator}` | the block, lifted; 409 if there is none |
//! | `POST /ledger/accept` | `{reason, operator}` | the store, accepted |
//! | `GET /ledger/members` | | the gateways that share the store |
//! | `POST /ledger/members/{name}/write-off` | `{reason, operator}` | who is still waited for; 409 if it is this one |
//! | `GET /ledger/export?from=&to=&format=&operator=` | | `jsonl` or `csv`, streamed |
//!
//! Answers are JSON; refusals are one sentence: 202 proposed, and waiting for a second person, 400 not understood, 404 no such thing, 409 not as it stands, 503 the ledger
//! or the audit log cannot take part, 500 done and not on record yet.

mod blocks;
mod desk;
mod export;
mod order;
mod recording;
mod registry;
mod second_person;
mod target;
mod verb;
mod view;

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Either, Full, Limited};
use hyper::body::Incoming;
use serde_json::Value;

pub use self::blocks::BlockDesk;
use self::blocks::BlockVerb;
pub use self::desk::{Desk, Members};
pub use self::export::Export;
use self::export::Format;
pub use self::registry::RegistryDesk;
use self::registry::RegistryVerb;
pub use self::target::encoded;
use self::verb::LedgerVerb;
use super::{SecondPerson, Settings};
use crate::pipeline::Rules;
use crate::store::ledger::StoreError;

/// Far more than any order needs that is about one thing.
const MAX_BODY_BYTES: usize = 16 << 10;
/// The most own limits that one order may import.
pub const MAX_LIMITS: usize = 200_000;
/// So many, each at its longest.
const MAX_IMPORT_BYTES: usize = MAX_LIMITS * 192;
/// The longest file of the registry that one order may import.
const MAX_FILE_BYTES: usize = 512 << 20;
/// How long an order's body may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Reads everything anew. `Ok` and `Err` are texts for the person who asked.
pub type Reload = Arc<dyn Fn() -> Result<String, String> + Send + Sync>;

/// An answer's body.
pub type Answer = Either<Full<Bytes>, Export>;

/// What the control socket leads to.
#[derive(Clone)]
pub struct Control {
    /// Behind `POST /reload`.
    pub reload: Reload,
    /// The ceiling in force.
    pub rules: Arc<ArcSwap<Rules>>,
    /// Behind `/ledger/…`; none where the configuration has no `[transfer]`.
    pub desk: Option<Desk>,
    /// Behind `/certificates/blocks/…`.
    pub blocks: BlockDesk,
    /// Behind `/contracts/…`, `/login-ids/…`, `/certificates/…` and `/registry/…`.
    pub registry: RegistryDesk,
}

/// Why an order was not followed; the text is for the person who gave it.
#[derive(Debug, thiserror::Error)]
enum Refused {
    /// It was proposed, and waits for a second person.
    #[error("{0}")]
    Proposed(String),
    #[error("{0}")]
    Malformed(String),
    #[error("{0}")]
    NotFound(String),
    #[error("{0}")]
    Conflict(String),
    #[error("{0}")]
    Unavailable(String),
    #[error("{0}")]
    Failed(String),
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

/// One thing that can be asked for.
#[derive(Debug)]
enum Verb {
    Reload,
    Ledger(LedgerVerb),
    Blocks(BlockVerb),
    Registry(RegistryVerb),
}

enum Done {
    Text(String),
    Json(Value),
    Export(Format, Export),
}

/// Binds the socket. A socket that a dead process left behind is replaced; one that answers is not.
///
/// # Errors
/// Another gateway answers on it, it is no socket, or the file system refuses.
pub fn bind(settings: &Settings) -> io::Result<UnixListener> {
    let path = settings.control.as_path();
    let mode = match settings.second_person {
        SecondPerson::NotNeeded => 0o600,
        // Otherwise only root could be the second. Whose group it is, the directory says (setgid), or the process.
        SecondPerson::Needed => 0o660,
    };
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        fs::create_dir_all(directory)?;
    }
    // Bound under another name first: between binding and chmod nobody else can find it.
    let beside = path.with_extension("new");
    for path in [path, &beside] {
        remove_dead_socket(path)?;
    }
    let listener = UnixListener::bind(&beside)?;
    listener.set_nonblocking(true)?;
    fs::set_permissions(&beside, fs::Permissions::from_mode(mode))?;
    fs::rename(&beside, path)?;
    Ok(listener)
}

/// Removes what a dead process left behind, and nothing else: a slip in the configuration must not cost a file.
fn remove_dead_socket(path: &Path) -> io::Result<()> {
    let Ok(found) = fs::symlink_metadata(path) else { return Ok(()) };
    let refuse = |kind, why: &str| Err(io::Error::new(kind, format!("{}: {why}", path.display())));
    if !found.file_type().is_socket() {
        return refuse(io::ErrorKind::AlreadyExists, "something else lies where the control socket is to be");
    }
    if UnixStream::connect(path).is_ok() {
        return refuse(io::ErrorKind::AddrInUse, "another gateway answers on the control socket");
    }
    fs::remove_file(path)
}

impl Control {
    /// Answers a request; `user` is the user ID of the process that asks. What was begun is ended, also for somebody who
    /// does not wait for the answer.
    pub async fn answer(self, user: Option<u32>, request: Request<Incoming>) -> Response<Answer> {
        let (parts, body) = request.into_parts();
        let followed = async {
            let verb = Verb::of(&parts)?;
            let body = tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, verb.max_body()).collect()).await;
            let body = body.ok().and_then(Result::ok).ok_or_else(|| Refused::Malformed("the body is not whole".into()));
            let body = body?.to_bytes();
            let act = tokio::spawn(async move { self.follow(verb, body, user).await });
            act.await.unwrap_or_else(|_| Err(Refused::Failed("it failed, and may be done in part".into())))
        };
        respond(followed.await)
    }

    /// Waits until the act under way is on record.
    pub async fn finish(&self) {
        if let Some(desk) = &self.desk {
            desk.finish().await;
        }
        self.blocks.finish().await;
        self.registry.finish().await;
    }

    async fn follow(&self, verb: Verb, body: Bytes, user: Option<u32>) -> Result<Done, Refused> {
        match verb {
            Verb::Reload => {
                let reload = Arc::clone(&self.reload);
                match tokio::task::spawn_blocking(move || reload()).await {
                    Ok(Ok(done)) => Ok(Done::Text(done)),
                    Ok(Err(mistakes)) => Err(Refused::Conflict(mistakes)),
                    Err(_) => Err(Refused::Failed("the reload failed".into())),
                }
            }
            Verb::Blocks(verb) => verb.follow(&self.blocks, &body, user).await,
            Verb::Registry(verb) => {
                let done = verb.follow(&self.registry, body, |operator| signed(operator, user)).await?;
                Ok(match done {
                    registry::Done::Json(answer) => Done::Json(answer),
                    registry::Done::Export(format, export) => Done::Export(format, export),
                })
            }
            Verb::Ledger(verb) => {
                let no_ledger = || Refused::NotFound("the configuration has no [transfer]: there is no ledger".into());
                verb.follow(self.desk.as_ref().ok_or_else(no_ledger)?, &self.rules.load_full(), &body, user).await
            }
        }
    }
}

impl Verb {
    fn of(parts: &Parts) -> Result<Self, Refused> {
        let path: Vec<&str> = parts.uri.path().split('/').skip(1).collect();
        let query = parts.uri.query();
        let verb = match (&parts.method, path.as_slice()) {
            (&Method::POST, ["reload"]) => Self::Reload,
            (_, ["ledger", path @ ..]) => return LedgerVerb::of(&parts.method, path, query).map(Self::Ledger),
            (_, ["certificates", "blocks", path @ ..]) => {
                return BlockVerb::of(&parts.method, path, query).map(Self::Blocks);
            }
            (_, path @ ["contracts" | "login-ids" | "certificates" | "registry", ..]) => {
                return RegistryVerb::of(&parts.method, path, query).map(Self::Registry);
            }
            _ => return Err(not_found()),
        };
        let [] = target::parameters(query, [])?;
        Ok(verb)
    }

    fn max_body(&self) -> usize {
        match self {
            Self::Ledger(verb) if verb.is_import() => MAX_IMPORT_BYTES,
            Self::Registry(verb) if verb.is_import() => MAX_FILE_BYTES,
            Self::Ledger(_) | Self::Blocks(_) | Self::Registry(_) | Self::Reload => MAX_BODY_BYTES,
        }
    }
}

fn not_found() -> Refused {
    Refused::NotFound("not found".into())
}

/// Who the record says it was: the name that was given, and the user that the kernel knows.
fn signed(operator: Option<&str>, user: Option<u32>) -> String {
    let user = user.map_or_else(|| "unknown user".to_owned(), |user| format!("uid {user}"));
    operator.map_or_else(|| user.clone(), |operator| format!("{operator} ({user})"))
}

fn respond(followed: Result<Done, Refused>) -> Response<Answer> {
    let text = |status, text: String| (status, "text/plain; charset=utf-8", Either::Left(Full::from(text)));
    let line = |status, said: String| text(status, format!("{}\n", said.trim_end()));
    let (status, media_type, body) = match followed {
        Ok(Done::Text(said)) => text(StatusCode::OK, said),
        Ok(Done::Json(value)) => (StatusCode::OK, "application/json", Either::Left(Full::from(format!("{value}\n")))),
        Ok(Done::Export(format, export)) => (StatusCode::OK, format.media_type(), Either::Right(export)),
        Err(Refused::Proposed(said)) => line(StatusCode::ACCEPTED, said),
        Err(Refused::Malformed(said)) => line(StatusCode::BAD_REQUEST, said),
        Err(Refused::NotFound(said)) => line(StatusCode::NOT_FOUND, said),
        Err(Refused::Conflict(said)) => line(StatusCode::CONFLICT, said),
        Err(Refused::Unavailable(said)) => line(StatusCode::SERVICE_UNAVAILABLE, said),
        Err(Refused::Failed(said)) => line(StatusCode::INTERNAL_SERVER_ERROR, said),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

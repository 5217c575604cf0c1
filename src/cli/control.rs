//! Talks to the running process over its control socket: HTTP/1.1 on a Unix socket.
//!
//! Whoever may open the socket may give orders; its file mode is the only lock, so nothing is sent to prove who asks.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow};
use bytes::Bytes;
use clap::Args;
use http::header::HOST;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;

use super::{ConfigurationFiles, Failure, runtime};
use crate::domain::Clock;

/// A reload reads a revocation list of a million entries; that takes seconds, not minutes.
const DEADLINE: Duration = Duration::from_secs(60);
const MAX_ANSWER_BYTES: usize = 16 << 20;

/// The control socket of the process that runs on a configuration.
pub(super) struct Control {
    socket: PathBuf,
    /// How long one answer may take.
    deadline: Duration,
}

/// Which running process a command talks to.
#[derive(Debug, Clone, Args)]
pub(super) struct RunningProcess {
    /// Its control socket. Then no configuration is read: whoever may give orders need not be able to read keys
    #[arg(long, value_name = "SOCKET", conflicts_with = "files")]
    control: Option<PathBuf>,
    #[command(flatten)]
    configuration: ConfigurationFiles,
}

impl RunningProcess {
    /// Its control socket.
    pub(super) fn control(&self, clock: &dyn Clock) -> Result<Control, Failure> {
        match &self.control {
            Some(socket) => Ok(Control::at(socket.clone())),
            None => Control::of(&self.configuration, clock),
        }
    }
}

/// What the process answered.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) text: String,
}

impl Answer {
    /// The text of an order that was followed.
    ///
    /// # Errors
    /// The sentence with which it was refused.
    pub(super) fn followed(self) -> anyhow::Result<String> {
        let Self { status, text } = self;
        if status == StatusCode::OK { Ok(text) } else { Err(refused(status, &text)) }
    }
}

fn refused(status: StatusCode, text: &str) -> anyhow::Error {
    match text.trim_end() {
        "" => anyhow!("the process answered {status}"),
        text => anyhow!("{text}"),
    }
}

impl Control {
    /// The socket that a configuration names.
    pub(super) fn of(configuration: &ConfigurationFiles, clock: &dyn Clock) -> Result<Self, Failure> {
        Ok(Self::at(configuration.load(clock)?.operator.control))
    }

    fn at(socket: PathBuf) -> Self {
        Self { socket, deadline: DEADLINE }
    }

    /// The same, for an order that takes its time.
    pub(super) fn patient(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// Gives one order and waits for the answer.
    pub(super) fn ask(&self, method: Method, target: &str, body: Option<&Value>) -> Result<Answer, Failure> {
        self.exchange(method, target, body.map(Value::to_string).unwrap_or_default().into())
    }

    /// The same with a file in the place of an order.
    pub(super) fn send_file(&self, method: Method, target: &str, file: Vec<u8>) -> Result<Answer, Failure> {
        self.exchange(method, target, file.into())
    }

    fn exchange(&self, method: Method, target: &str, body: Bytes) -> Result<Answer, Failure> {
        let exchange = async {
            let response = self.send(method, target, body).await?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await;
            let body = body.map_err(|error| anyhow!(error).context("the answer broke off"))?;
            Ok(Answer { status, text: String::from_utf8_lossy(&body.to_bytes()).into_owned() })
        };
        Ok(runtime()?.block_on(self.in_time(exchange))?)
    }

    /// Writes a long answer to `out` as it comes.
    pub(super) fn fetch(&self, target: &str, out: &mut dyn Write) -> Result<(), Failure> {
        let exchange = async {
            let mut response = self.in_time(self.send(Method::GET, target, Bytes::new())).await?;
            let status = response.status();
            if status != StatusCode::OK {
                let body =
                    self.in_time(async { Ok(Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await) });
                let body = body.await?.map_err(|error| anyhow!(error))?.to_bytes();
                return Err(refused(status, &String::from_utf8_lossy(&body)));
            }
            while let Some(frame) = self.in_time(async { Ok(response.frame().await) }).await? {
                if let Ok(piece) = frame.context("the answer broke off")?.into_data() {
                    out.write_all(&piece)?;
                }
            }
            Ok(out.flush()?)
        };
        Ok(runtime()?.block_on(exchange)?)
    }

    async fn send(&self, method: Method, target: &str, body: Bytes) -> anyhow::Result<Response<Incoming>> {
        let socket: &Path = &self.socket;
        let nobody = || format!("{}: no sekisho answers there", socket.display());
        let stream = UnixStream::connect(socket).await.with_context(nobody)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // It ends with the answer, or with this process.
        drop(tokio::spawn(connection));
        let body = Full::new(body);
        let request = Request::builder().method(method).uri(target).header(HOST, "sekisho").body(body)?;
        sender.send_request(request).await.with_context(nobody)
    }

    async fn in_time<T>(&self, exchange: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
        tokio::time::timeout(self.deadline, exchange).await.context("it took too long")?
    }
}

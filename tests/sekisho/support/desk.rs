//! The operators' side: the control socket, the compiled program, and the audit log as they read it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::customer::Customer;
use super::wire::Answer;
use super::{PATIENCE, Reply, TestGateway, within};

/// The route of the shipped configuration that moves money.
pub const COMMIT: &str = "/ib/transfer/commit.do";

/// What the program said, and how it ended.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Said {
    fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// The output of a command that succeeded.
    pub fn well(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.out
    }

    /// The complaint of a command that failed.
    pub fn failed(self) -> String {
        assert_eq!(self.code, Some(70), "{self:?}");
        assert_eq!(self.out, "");
        self.err
    }
}

/// Runs the program in the gateway's directory, on the gateway's configuration.
pub async fn sekisho(gateway: &TestGateway, arguments: &[&str]) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sekisho"));
    command.args(arguments).current_dir(gateway.path("."));
    let layers = (0..).map(|number| format!("layer-{number}.toml"));
    let layers = layers.take_while(|layer| gateway.path(layer).exists());
    for file in ["config.toml".to_owned(), "test.toml".to_owned()].into_iter().chain(layers) {
        command.args(["--config", &file]);
    }
    command.env("SUDO_USER", "hana");
    let run = tokio::task::spawn_blocking(move || command.output().unwrap());
    Said::of(within(PATIENCE, "the program", run).await.unwrap())
}

/// One request on the control socket.
pub async fn ask(gateway: &TestGateway, method: &str, target: &str, body: &str) -> Answer {
    let socket = gateway.path("state/control.sock");
    assert_eq!(socket.metadata().unwrap().permissions().mode() & 0o777, 0o600, "the socket is the operator's alone");
    let length = body.len();
    let request = format!(
        "{method} {target} HTTP/1.1\r\nHost: sekisho\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    let exchange = async {
        let mut stream = UnixStream::connect(socket).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        Answer::parse(&bytes).unwrap()
    };
    within(PATIENCE, target, exchange).await
}

/// The records of an audit file that carry this word in `event.action`.
pub fn records(file: &Path, action: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap();
    // Its end may be on its way to the disk.
    let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    let records = whole.map(|line| serde_json::from_str::<Value>(line).unwrap());
    records.filter(|record| record["event.action"] == action).collect()
}

/// The bank executes the transfer.
pub async fn transfer(gateway: &TestGateway, customer: &Customer, yen: u64) -> Answer {
    gateway.backend.next(Reply::of("302 Found", &[("Location", "/ib/transfer/done.do")], b""));
    submit(customer, yen).await
}

/// The bank reads the transfer and falls silent: nobody knows what became of it. Its ID.
pub async fn lose(gateway: &TestGateway, customer: &Customer, yen: u64) -> String {
    gateway.backend.next(Reply::ThenClose(Vec::new()));
    let answer = submit(customer, yen).await;
    assert_eq!((answer.status, code(&answer)), (502, "transfer_outcome_unknown".to_owned()));
    answer.header("X-Request-Id").unwrap()
}

/// A transfer that is refused before it reaches the bank; the refusal's status and code.
pub async fn expect_refused(gateway: &TestGateway, customer: &Customer, yen: u64) -> (u16, String) {
    let before = gateway.backend.count();
    let answer = submit(customer, yen).await;
    assert_eq!(gateway.backend.count(), before, "a refused transfer reached the bank");
    (answer.status, code(&answer))
}

async fn submit(customer: &Customer, yen: u64) -> Answer {
    let form = format!("amount={yen}");
    let length = form.len().to_string();
    let headers = [
        ("Content-Length", length.as_str()),
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("Accept", "application/json"),
    ];
    customer.connect().await.request("POST", COMMIT, &headers, form.as_bytes()).await
}

fn code(answer: &Answer) -> String {
    answer.json()["code"].as_str().unwrap().to_owned()
}

//! The compiled program as a process of its own, which can be killed.

use std::io::{BufRead as _, BufReader, Lines};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};

use super::operator::Operator;
use super::{PATIENCE, within};

/// The lines of its log.
pub type Log = Lines<BufReader<ChildStderr>>;

/// A running program.
#[derive(Debug)]
pub struct Program {
    child: Child,
    pub address: SocketAddr,
    pub operator: Operator,
}

impl Program {
    /// Starts it on these files and waits until it listens.
    pub async fn start(files: &[PathBuf]) -> Self {
        // Read on, so that it never waits for us.
        let read_on = |log: Log| drop(std::thread::spawn(move || log.for_each(drop)));
        Self::start_with(files, "info", read_on).await
    }

    /// The same; what it logs, and what becomes of its log once it listens, is the story's.
    pub async fn start_with(files: &[PathBuf], directives: &str, keep: impl FnOnce(Log) + Send + 'static) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sekisho"));
        command.arg("run").env("RUST_LOG", directives).stdout(Stdio::null()).stderr(Stdio::piped());
        for file in files {
            command.arg("--config").arg(file);
        }
        let mut child = command.spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let told = tokio::task::spawn_blocking(move || {
            let mut of = |message: &str| {
                let line = log.by_ref().map(Result::unwrap).find(|line| line.contains(message));
                address_in(&line.unwrap_or_else(|| panic!("it ended before it said {message:?}")))
            };
            let addresses = (of("\"listening\""), of("\"metrics and health\""));
            keep(log);
            addresses
        });
        let (address, operator) = within(PATIENCE, "the program", told).await.unwrap();
        Self { child, address, operator: Operator::at(operator) }
    }

    /// SIGHUP: it reads everything again.
    pub fn hang_up(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM; it drains and ends well.
    pub fn end(mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }
}

/// A story that fails leaves no program behind.
impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address in a line of the log.
fn address_in(line: &str) -> SocketAddr {
    let (_, rest) = line.split_once("127.0.0.1:").unwrap();
    let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
    SocketAddr::from(([127, 0, 0, 1], port.parse().unwrap()))
}

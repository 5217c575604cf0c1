//! A real `redis-server` for the tests, which ends with the process that started it.

use std::cell::Cell;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::Timestamp;

use super::super::{Opened, Server, Settings, Surroundings};
use crate::domain::ManualClock;
use crate::operator::metrics::Metrics;
use crate::store::contract::stand::RETENTION_DAYS;

/// Starts the server, tells its process ID, and ends it when our end of the pipe is closed: also when we are killed. Ends with
/// the server, so that one that cannot start is no riddle.
const KEEPER: &str = r#"
redis-server "$@" --logfile "" --protected-mode no &
server=$!
echo "server $server"
exec 3<&0
(cat <&3 >/dev/null; kill -9 $server) >/dev/null 2>&1 &
watcher=$!
wait $server
kill $watcher
rm -rf "$GONE_AFTERWARDS"
"#;

/// A replica that comes is served without waiting for others.
pub(crate) const AT_ONCE: [&str; 2] = ["--repl-diskless-sync-delay", "0"];

/// A running server.
pub(crate) struct RunningServer {
    keeper: Child,
    pub id: i32,
    pub port: u16,
}

impl RunningServer {
    /// Starts one on a free port with its files in a directory, and returns when it answers.
    pub fn start(directory: &Path, arguments: &[&str]) -> Self {
        Self::start_somewhere(|port| Self::start_with(port, directory, arguments, ""))
    }

    /// The same on a port where one was before, which may take a moment to die.
    pub fn start_on(port: u16, directory: &Path, arguments: &[&str]) -> Self {
        let start = || Self::start_with(port, directory, arguments, "");
        (0..100).fold(start(), |started, _| started.or_else(|_| start())).unwrap()
    }

    /// On another port, where somebody else has taken the one that was free.
    fn start_somewhere(start: impl Fn(u16) -> Result<Self, String>) -> Self {
        (0..4).fold(start(free_port()), |started, _| started.or_else(|_| start(free_port()))).unwrap()
    }

    fn start_with(port: u16, directory: &Path, arguments: &[&str], gone_afterwards: &str) -> Result<Self, String> {
        let found = Command::new("redis-server").arg("--version").stdout(Stdio::null()).status();
        assert!(found.is_ok(), "redis-server is missing: apt-get install redis-server");
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER, "sh", "--bind", "127.0.0.1", "--port", &port.to_string()])
            .args(["--dir", directory.to_str().unwrap(), "--save", ""])
            .args(arguments)
            .env("GONE_AFTERWARDS", gone_afterwards)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(keeper.stdout.take().unwrap()).lines();
        let (mut id, mut is_ready, mut heard) = (None, false, Vec::new());
        let id = loop {
            if let Some(id) = id.filter(|_| is_ready) {
                break id;
            }
            let Some(line) = lines.next() else {
                drop(keeper.stdin.take());
                drop(keeper.wait());
                return Err(heard.join("\n"));
            };
            let line = line.unwrap();
            if let Some(told) = line.strip_prefix("server ") {
                id = Some(told.parse().unwrap());
            }
            is_ready |= line.contains("Ready to accept connections");
            heard.push(line);
        };
        // What it says later has to go somewhere.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(Self { keeper, id, port })
    }

    pub fn send(&self, signal: &str) {
        assert!(Command::new("kill").args([signal, &self.id.to_string()]).status().unwrap().success());
    }

    /// Asks it something.
    pub fn ask(&self, words: &[&str]) -> redis::Value {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.port)).unwrap();
        let mut connection = client.get_connection().unwrap();
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]).query(&mut connection).unwrap()
    }

    /// Waits until its answer says this.
    pub fn until(&self, words: &[&str], said: &str) {
        while !told(&self.ask(words)).contains(said) {
            std::thread::yield_now();
        }
    }

    fn address(&self) -> Server {
        Server { host: "127.0.0.1".into(), port: self.port }
    }
}

impl Drop for RunningServer {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        drop(self.keeper.wait());
    }
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A directory that the keeper of the server in it removes: what is shared by all tests is never dropped.
fn kept_directory() -> PathBuf {
    tempfile::tempdir().unwrap().keep()
}

/// The server that the tests of this process share: each has a prefix of its own.
pub(crate) fn plain() -> &'static RunningServer {
    static SERVER: OnceLock<RunningServer> = OnceLock::new();
    SERVER.get_or_init(|| {
        RunningServer::start_somewhere(|port| {
            // The keeper of one that did not start has removed its own.
            let directory = kept_directory();
            RunningServer::start_with(port, &directory, &["--appendonly", "yes"], directory.to_str().unwrap())
        })
    })
}

/// A node of a cluster that is yet to be formed, and the port of its bus.
fn start_node() -> (RunningServer, String) {
    let bus = Cell::new(0);
    let server = RunningServer::start_somewhere(|port| {
        let directory = kept_directory();
        bus.set(free_port());
        let bus = bus.get().to_string();
        let arguments = ["--appendonly", "yes", "--cluster-enabled", "yes", "--cluster-port", &bus];
        let arguments = [&arguments[..], &AT_ONCE].concat();
        RunningServer::start_with(port, &directory, &arguments, directory.to_str().unwrap())
    });
    (server, bus.get().to_string())
}

/// A cluster of one server that holds every slot, and beside it one that holds none and sends everybody there.
pub(crate) fn new_cluster() -> [RunningServer; 2] {
    let [(holder, bus), (other, _)] = [(); 2].map(|()| start_node());
    holder.ask(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    other.ask(&["CLUSTER", "MEET", "127.0.0.1", &holder.port.to_string(), &bus]);
    for server in [&holder, &other] {
        server.until(&["CLUSTER", "INFO"], "cluster_state:ok");
    }
    [holder, other]
}

/// The one that the tests of this process share.
pub(crate) fn cluster() -> &'static [RunningServer; 2] {
    static SERVERS: OnceLock<[RunningServer; 2]> = OnceLock::new();
    SERVERS.get_or_init(new_cluster)
}

/// An answer as text.
pub(crate) fn told(answer: &redis::Value) -> String {
    redis::from_redis_value_ref(answer).unwrap()
}

/// An answer as a list.
pub(crate) fn list(answer: &redis::Value) -> Vec<redis::Value> {
    redis::from_redis_value_ref(answer).unwrap()
}

/// A prefix that no other test has.
pub(crate) fn some_prefix() -> String {
    uuid::Uuid::now_v7().simple().to_string()
}

/// A gateway's settings: at these servers, with a journal in a directory.
pub(crate) fn settings(servers: &[&RunningServer], prefix: &str, journal: &Path) -> Settings {
    Settings {
        servers: servers.iter().map(|server| server.address()).collect(),
        ca: None,
        username: None,
        password: None,
        journal: journal.to_owned(),
        prefix: prefix.to_owned(),
        response_timeout: Duration::from_secs(2),
        replicas: 0,
        retention_days: RETENTION_DAYS,
    }
}

/// Everything fast, and nobody to wait for.
pub(crate) fn surroundings(at: Timestamp) -> Surroundings {
    let metrics = Arc::new(Metrics::new(std::iter::empty()).unwrap());
    Surroundings {
        retry: Duration::from_millis(5),
        look: Duration::from_millis(50),
        grace: Duration::ZERO,
        ..Surroundings::new(metrics, Arc::new(ManualClock::at(at)))
    }
}

pub(crate) fn open(settings: &Settings, at: Timestamp) -> Opened {
    super::super::open(settings, surroundings(at), at).unwrap()
}

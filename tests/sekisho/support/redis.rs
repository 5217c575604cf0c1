//! A real `redis-server`, which ends with the process that started it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::ops::ControlFlow;
use std::process::{Child, Command, Stdio};

/// Starts the server, and ends it when our end of the pipe is closed: also when we are killed. Ends with the server, so
/// that one that cannot start is no riddle.
const KEEPER: &str = r#"
redis-server "$@" --logfile "" --protected-mode no --save "" --appendonly yes &
server=$!
echo "server $server"
exec 3<&0
(cat <&3 >/dev/null; kill -9 $server) >/dev/null 2>&1 &
watcher=$!
wait $server
kill $watcher
"#;

/// A running server; it ends when this is dropped.
#[derive(Debug)]
pub struct RedisServer {
    keeper: Child,
    /// The process.
    id: String,
    port: u16,
    directory: Option<tempfile::TempDir>,
}

impl RedisServer {
    /// Starts one on a free port; it answers when this returns.
    pub fn start() -> Self {
        let found = Command::new("redis-server").arg("--version").stdout(Stdio::null()).status();
        assert!(found.is_ok(), "redis-server is missing: apt-get install redis-server");
        // Somebody else may take the port that was free.
        let port = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let start = || Self::try_start(port(), tempfile::tempdir().unwrap());
        (0..5).fold(start(), |started, _| started.or_else(|_| start())).expect("redis-server does not start")
    }

    /// One that gateways have used before: an empty one would first wait for gateways that nobody knows.
    pub fn start_used() -> Self {
        let server = Self::start();
        assert_eq!(server.ask("HSET {sekisho}:meta epoch earlier"), ":1\r\n");
        server
    }

    /// The directory comes back where it does not start.
    fn try_start(port: u16, directory: tempfile::TempDir) -> Result<Self, tempfile::TempDir> {
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER, "sh", "--bind", "127.0.0.1", "--port", &port.to_string(), "--dir"])
            .arg(directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(keeper.stdout.take().unwrap()).lines().map(Result::unwrap);
        let (mut id, mut is_ready) = (None, false);
        while id.is_none() || !is_ready {
            let Some(line) = lines.next() else {
                drop(keeper.stdin.take());
                let _ = keeper.wait();
                return Err(directory);
            };
            id = id.or_else(|| line.strip_prefix("server ").map(str::to_owned));
            is_ready |= line.contains("Ready to accept connections");
        }
        // What it says later has to go somewhere.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(Self { keeper, id: id.unwrap_or_default(), port, directory: Some(directory) })
    }

    /// It forgets everything.
    pub fn flush(&self) {
        assert_eq!(self.ask("FLUSHALL"), "+OK\r\n");
    }

    /// On how many subjects it holds an act.
    pub fn counts_blocks(&self) -> usize {
        let fields: usize = self.ask("HLEN {sekisho}:blocks").trim_start_matches(':').trim_end().parse().unwrap();
        fields.saturating_sub(2)
    }

    /// It would rather forget than refuse: no ledger believes it, and whatever is no money goes on.
    pub fn may_forget(&self) {
        assert_eq!(self.ask("CONFIG SET maxmemory-policy allkeys-lru"), "+OK\r\n");
    }

    /// Asks what is answered in a line.
    fn ask(&self, command: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.write_all(format!("{command}\r\n").as_bytes()).unwrap();
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).unwrap();
        answer
    }

    /// It does not answer any more, and its connections stay open.
    pub fn pause(&self) {
        self.send("-STOP");
    }

    /// It goes on.
    pub fn go_on(&self) {
        self.send("-CONT");
    }

    /// It dies without a last word.
    pub fn kill(&self) {
        self.send("-KILL");
    }

    fn send(&self, signal: &str) {
        assert!(Command::new("kill").args([signal, &self.id]).status().unwrap().success());
    }

    /// One that was killed is started again with what is on its disk.
    pub fn start_again(&mut self) {
        let (port, directory) = (self.port, self.directory.take().unwrap());
        self.end();
        // The one before may take a moment to die.
        let started = (0..100).try_fold(directory, |directory, _| match Self::try_start(port, directory) {
            Ok(started) => ControlFlow::Break(started),
            Err(directory) => ControlFlow::Continue(directory),
        });
        *self = started.break_value().expect("redis-server does not start again");
    }

    fn end(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }

    /// The configuration of a gateway that keeps its ledger there.
    pub fn store(&self) -> String {
        format!("[store]\nkind = \"redis\"\nurl = \"redis://127.0.0.1:{}\"\n", self.port)
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.end();
    }
}

//! A real `redis-server`, which ends with the process that started it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

/// Starts the server, and ends it when our end of the pipe is closed: also when we are killed.
const KEEPER: &str = r#"
redis-server "$@" --logfile "" --protected-mode no --save "" --appendonly yes &
server=$!
cat >/dev/null
kill -9 $server 2>/dev/null
"#;

/// A running server; it ends when this is dropped.
#[derive(Debug)]
pub struct RedisServer {
    keeper: Child,
    port: u16,
    _directory: tempfile::TempDir,
}

impl RedisServer {
    /// Starts one on a free port; it answers when this returns.
    pub fn start() -> Self {
        let found = Command::new("redis-server").arg("--version").stdout(Stdio::null()).status();
        assert!(found.is_ok(), "redis-server is missing: apt-get install redis-server");
        // Somebody else may take the port that was free.
        let started = (0..5).find_map(|_| Self::try_start());
        started.expect("redis-server does not start")
    }

    fn try_start() -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER, "sh", "--bind", "127.0.0.1", "--port", &port.to_string(), "--dir"])
            .arg(directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(keeper.stdout.take().unwrap()).lines().map(Result::unwrap);
        let is_ready = lines.any(|line| line.contains("Ready to accept connections"));
        let started = Self { keeper, port, _directory: directory };
        // What it says later has to go somewhere.
        std::thread::spawn(move || lines.for_each(drop));
        is_ready.then_some(started)
    }

    /// It forgets everything.
    pub fn flush(&self) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.write_all(b"FLUSHALL\r\n").unwrap();
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).unwrap();
        assert_eq!(answer, "+OK\r\n");
    }

    /// The configuration of a gateway that keeps its ledger there.
    pub fn store(&self) -> String {
        format!("[store]\nkind = \"redis\"\nurl = \"redis://127.0.0.1:{}\"\n", self.port)
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

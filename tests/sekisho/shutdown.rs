//! The end of a gateway, and the compiled program from outside.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::support::{Answer, PATIENCE, Reply, TestGateway, within};

#[tokio::test]
async fn draining_lets_the_running_request_finish() {
    let gateway = TestGateway::spawn().await;
    let (address, backend) = (gateway.address(), gateway.backend.clone());
    let gate = Arc::new(Semaphore::new(0));
    backend.next(Reply::Held(Arc::clone(&gate), Reply::bytes_of("200 OK", &[], b"settled")));
    let mut idle = gateway.enrol("tarokodt").connect().await;
    let customer = gateway.enrol("hanakodt");
    let running =
        tokio::spawn(async move { customer.connect().await.submit("/ib/transfer/commit.do", "amount=1").await });
    backend.wait_for(1).await;

    let late = gateway.enrol("latelate");
    let drained = tokio::spawn(gateway.drain());
    within(PATIENCE, "the end of the idle connection", idle.rest()).await;
    let refused =
        || async { tokio::net::TcpStream::connect(address).await.is_err() || late.try_get("/").await.is_err() };
    crate::support::eventually("no new customers", refused, |refused| *refused).await;
    gate.add_permits(1);

    let answer = running.await.unwrap();
    assert_eq!((answer.status, answer.text().as_str()), (200, "settled"));
    within(PATIENCE, "the drain", drained).await.unwrap();
    assert_eq!(backend.count(), 1);
}

#[tokio::test]
async fn draining_does_not_wait_for_ever() {
    let gateway = TestGateway::builder().layer("drain-timeout = \"300ms\"").spawn().await;
    let backend = gateway.backend.clone();
    backend.next(Reply::Silence);
    let customer = gateway.enrol("hanakodt");
    let running = tokio::spawn(async move { customer.try_get("/ib/menu.do").await });
    backend.wait_for(1).await;
    gateway.drain().await;
    let outcome = within(PATIENCE, "the cut request", running).await.unwrap();
    assert!(outcome.is_err() || outcome.is_ok_and(|answer| answer.status >= 500));
}

/// Passes on what a client says, but its second flight only at the given moment: the handshake ends then.
async fn held_back(gateway: SocketAddr, moment: Instant) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut client, mut server) = (listener.accept().await.unwrap().0, TcpStream::connect(gateway).await.unwrap());
        let mut flight = vec![0; 64 << 10];
        let size = client.read(&mut flight).await.unwrap();
        server.write_all(&flight[..size]).await.unwrap();
        let ((mut from_client, mut to_client), (mut from_server, mut to_server)) = (client.split(), server.split());
        let up = async {
            tokio::time::interval_at(moment, PATIENCE).tick().await;
            let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = up => {}
            _ = tokio::io::copy(&mut from_server, &mut to_client) => {}
        }
    });
    address
}

/// Downloads with and without a reader, silent connections, and handshakes that end before, at and after the cut: the
/// drain waits for as long as it was told and then for nobody.
#[tokio::test]
async fn draining_ends_in_time_whatever_the_clients_do() {
    let gateway = TestGateway::builder().workers(2).layer("drain-timeout = \"300ms\"").spawn().await;
    let backend = gateway.backend.clone();
    let (mut reading, mut unread) = (Vec::new(), Vec::new());
    for number in 0..4 {
        backend.next(Reply::Endless(1 << 40));
        let customer = gateway.enrol("hanakodt");
        let mut connection = customer.connect().await;
        connection.send_raw(b"GET /big HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        Answer::read_head(&mut connection.stream).await.unwrap();
        if number % 2 == 0 {
            unread.push(connection);
        } else {
            reading.push(tokio::spawn(async move {
                let mut buffer = vec![0; 64 << 10];
                while connection.stream.read(&mut buffer).await.is_ok_and(|size| size > 0) {}
            }));
        }
    }
    let silent = TcpStream::connect(gateway.address()).await.unwrap();
    let begin = Instant::now() + Duration::from_millis(200);
    let mut late = Vec::new();
    for number in 0..48 {
        let moment = begin + Duration::from_millis(265 + 2 * number);
        let customer = gateway.enrol("tarokodt").at(held_back(gateway.address(), moment).await);
        late.push(tokio::spawn(async move {
            let Ok(mut connection) = customer.try_connect().await else { return false };
            let is_served = connection.try_get("/ib/menu.do").await.is_ok();
            connection.rest().await;
            is_served
        }));
    }
    let count = backend.count();
    tokio::time::interval_at(begin, PATIENCE).tick().await;

    let drained = Instant::now();
    within(Duration::from_secs(3), "the drain", gateway.drain()).await;
    println!("drained in {:?}", drained.elapsed());

    for connection in reading {
        within(PATIENCE, "the end of a download", connection).await.unwrap();
    }
    let mut served = 0;
    for connection in late {
        served += usize::from(within(PATIENCE, "the end of a late handshake", connection).await.unwrap());
    }
    println!("{served} of the late ones were served");
    assert!(backend.count() <= count + 48);
    drop((silent, unread));
    let open = async || backend.open_connections();
    crate::support::eventually("the connections to the application", open, |open| *open == 0).await;
}

/// `SO_REUSEPORT` shares connections out: half of the customers would meet a gateway with another trust.
#[tokio::test]
async fn a_second_gateway_on_the_same_port_does_not_start() {
    let first = TestGateway::builder().workers(2).spawn().await;
    let port = first.address().port();
    for address in [format!("127.0.0.1:{port}"), format!("0.0.0.0:{port}")] {
        for workers in [1, 2] {
            let layer = format!("[[listener]]\nname = \"certificate\"\naddress = \"{address}\"");
            let second = TestGateway::builder().workers(workers).layer(layer).try_spawn().await;
            let reason = second.err().expect("two gateways on one port");
            assert!(reason.contains(&address) && reason.contains("cannot be listened on"), "{reason}");
        }
    }
    for _ in 0..10 {
        first.assert_served(&first.enrol("hanakodt")).await;
    }
    assert_eq!(first.backend.count(), 10);

    // Nothing of the second is left, and what the first gives back can be taken at once.
    let layer = format!("[[listener]]\nname = \"certificate\"\naddress = \"127.0.0.1:{port}\"");
    first.drain().await;
    let successor = TestGateway::builder().layer(layer).spawn().await;
    successor.assert_served(&successor.enrol("hanakodt")).await;
}

fn sekisho(arguments: &[&str], directory: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sekisho"));
    command.args(arguments).current_dir(directory).output().unwrap()
}

/// A directory with everything that `run` needs: what `pki dev` makes, and the shipped configuration on free ports.
fn development() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let made = sekisho(&["pki", "dev", "certs"], directory.path());
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let shipped = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/config.toml")).unwrap();
    std::fs::write(directory.path().join("config.toml"), shipped).unwrap();
    let ports =
        "[[listener]]\nname = \"certificate\"\naddress = \"127.0.0.1:0\"\n[operator]\naddress = \"127.0.0.1:0\"\n";
    std::fs::write(directory.path().join("ports.toml"), ports).unwrap();
    directory
}

const RUN: [&str; 5] = ["run", "--config", "config.toml", "--config", "ports.toml"];

#[test]
fn sigterm_ends_the_program_with_exit_code_0() {
    let directory = development();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sekisho"));
    command.args(RUN).current_dir(directory.path()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let socket = directory.path().join("state/control.sock");
    let deadline = std::time::Instant::now() + PATIENCE;
    while !socket.exists() {
        assert!(std::time::Instant::now() < deadline && child.try_wait().unwrap().is_none(), "it does not run");
        std::thread::yield_now();
    }
    let mode = std::os::unix::fs::PermissionsExt::mode(&socket.metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600, "the control socket is the operator's alone");
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn check_accepts_what_pki_dev_makes() {
    let directory = development();
    let checked = sekisho(&["check", "--config", "config.toml"], directory.path());
    let said = String::from_utf8_lossy(&checked.stderr);
    assert_eq!(checked.status.code(), Some(0), "{said}");
}

#[test]
fn check_tells_every_mistake_at_once() {
    let directory = development();
    let bad = "workers = 0\n[limits]\nidle-timeout = \"soon\"\nmax-patience = 3\n[trust]\nca = [\"absent.pem\"]\n[store]\nkind = \"postgres\"\n";
    std::fs::write(directory.path().join("bad.toml"), bad).unwrap();
    for command in ["check", "run"] {
        let output = sekisho(&[command, "--config", "config.toml", "--config", "bad.toml"], directory.path());
        assert_eq!(output.status.code(), Some(78), "{command}");
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        let expected = [
            ("workers", 1),
            ("limits.idle-timeout", 3),
            ("limits.max-patience", 4),
            ("trust.ca", 6),
            ("store.kind", 8),
        ];
        for (key, line) in expected {
            let told = said
                .lines()
                .any(|text| text.contains("bad.toml") && text.contains(&format!("line {line}")) && text.contains(key));
            assert!(told, "{command}: {key} on line {line} in\n{said}");
        }
    }
}

#[test]
fn a_fresh_clone_is_told_what_is_missing_and_what_makes_it() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/config.toml"), directory.path().join("config.toml")).unwrap();
    let output = sekisho(&["run"], directory.path());
    assert_eq!(output.status.code(), Some(78));
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    for expected in ["certs/ca.pem", "certs/ca.crl", "certs/server.pem", "certs/assertion.key", "sekisho pki dev"] {
        assert!(said.contains(expected), "{expected} in\n{said}");
    }
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(sekisho(&["run"], empty.path()).status.code(), Some(78));
}

#[test]
fn usage_mistakes_have_their_own_exit_code_and_help_names_every_command() {
    let here = tempfile::tempdir().unwrap();
    for arguments in [&["--nonsense"][..], &["nonsense"], &["run", "--port", "1"], &["pki"]] {
        assert_eq!(sekisho(arguments, here.path()).status.code(), Some(64), "{arguments:?}");
    }
    let help = sekisho(&["--help"], here.path());
    assert_eq!(help.status.code(), Some(0));
    let text = String::from_utf8(help.stdout).unwrap();
    for command in ["run", "check", "demo", "pki"] {
        assert!(text.contains(&format!("  {command} ")), "{command} in\n{text}");
        let own = sekisho(&[command, "--help"], here.path());
        assert_eq!(own.status.code(), Some(0), "{command}");
        assert!(!own.stdout.is_empty());
    }
}

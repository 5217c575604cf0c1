//! The end of a gateway, and the compiled program from outside.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::support::{PATIENCE, Reply, TestGateway, within};

#[tokio::test]
async fn draining_lets_the_running_request_finish() {
    let gateway = TestGateway::spawn().await;
    let (address, backend) = (gateway.address(), gateway.backend.clone());
    let gate = Arc::new(Semaphore::new(0));
    backend.next(Reply::Held(Arc::clone(&gate), Reply::bytes_of("200 OK", &[], b"settled")));
    let mut idle = gateway.enrol("tarokodt").connect().await;
    let customer = gateway.enrol("hanakodt");
    let running = tokio::spawn(async move { customer.connect().await.post("/ib/transfer/commit.do", b"a=1").await });
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
    let bad = "workers = 0\n[limits]\nidle-timeout = \"soon\"\nmax-patience = 3\n[trust]\nca = [\"absent.pem\"]\n[store]\nkind = \"redis\"\n";
    std::fs::write(directory.path().join("bad.toml"), bad).unwrap();
    for command in ["check", "run"] {
        let output = sekisho(&[command, "--config", "config.toml", "--config", "bad.toml"], directory.path());
        assert_eq!(output.status.code(), Some(78), "{command}");
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        let expected =
            [("workers", 1), ("limits.idle-timeout", 3), ("limits.max-patience", 4), ("trust.ca", 6), ("store", 7)];
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

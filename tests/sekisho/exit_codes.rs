//! What a shell learns from a command, also where nobody hears its complaint.

use std::fs::OpenOptions;
use std::process::{Command, Stdio};

use crate::support::TestGateway;

/// Where a complaint cannot be written: a pipe that nobody reads any more, and a full disk.
fn dead_ends() -> [Stdio; 2] {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    [writer.into(), OpenOptions::new().write(true).open("/dev/full").unwrap().into()]
}

#[tokio::test]
async fn a_command_that_cannot_complain_ends_as_promised() {
    let gateway = TestGateway::spawn().await;
    gateway.write("wrong.toml", "workers = 0\n");
    for (arguments, code) in [
        (&["check", "--config", "config.toml", "--config", "test.toml"][..], 0),
        (&["check", "--config", "config.toml", "--config", "wrong.toml"], 78),
        (&["run", "--config", "wrong.toml"], 78),
        (&["ledger", "unknown", "--control", "nobody.sock"], 70),
        (&["ledger", "show"], 64),
    ] {
        for stderr in dead_ends() {
            let mut command = Command::new(env!("CARGO_BIN_EXE_sekisho"));
            command.args(arguments).current_dir(gateway.path(".")).stdout(Stdio::null()).stderr(stderr);
            let run = tokio::task::spawn_blocking(move || command.status().unwrap());
            assert_eq!(run.await.unwrap().code(), Some(code), "{arguments:?}");
        }
    }
}

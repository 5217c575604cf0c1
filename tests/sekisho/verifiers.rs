//! The verifiers that applications copy, each run by its own language against the shared vectors (IDN-07).

use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs a command and expects that every vector came out as told.
fn assert_no_failure(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{command:?}:\n{said}");
    assert!(said.contains(" 0 failed"), "{command:?}:\n{said}");
}

fn vectors() -> PathBuf {
    root().join("tests/vectors/assertion.json")
}

#[test]
fn the_python_verifier_passes_the_vectors() {
    let mut command = Command::new("python3");
    // Nothing is left behind in the checkout.
    command.arg("-B").arg(root().join("deploy/verify/python/run_vectors.py"));
    assert_no_failure(command.arg(vectors()));
}

#[test]
fn the_node_verifier_passes_the_vectors() {
    let mut command = Command::new("node");
    assert_no_failure(command.arg(root().join("deploy/verify/node/run_vectors.js")).arg(vectors()));
}

#[test]
fn the_php_verifier_passes_the_vectors() {
    let mut command = Command::new("php");
    assert_no_failure(command.arg(root().join("deploy/verify/php/run_vectors.php")).arg(vectors()));
}

#[test]
fn the_java_verifier_passes_the_vectors() {
    let classes = tempfile::tempdir().unwrap();
    let source = root().join("deploy/verify/java");
    let compiled = Command::new("javac")
        .args(["-encoding", "UTF-8", "-d"])
        .arg(classes.path())
        .args(["SekishoVerifier.java", "StrictJson.java", "RunVectors.java"].map(|file| source.join(file)))
        .status()
        .unwrap();
    assert!(compiled.success());
    assert_no_failure(Command::new("java").arg("-cp").arg(classes.path()).arg("sekisho.RunVectors").arg(vectors()));
}

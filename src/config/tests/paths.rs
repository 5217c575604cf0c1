//! One file for two uses: whichever comes second would destroy it.

use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use super::store::with_store;
use super::*;

const STORE: &str = "path = \"state/sekisho.redb\"";
const AUDIT: &str = "file = \"state/audit.jsonl\"";
const CONTROL: &str = "control = \"state/control.sock\"";

/// The mistake of the shipped configuration with one path in place of another; the state directory is there.
fn told(site: &Site, old: &str, new: &str) -> Vec<String> {
    site.told(site.load_with(old, new))
}

#[test]
fn a_file_with_two_uses_is_a_mistake() {
    let site = Site::new();
    let control_line = line("control =");
    for round in ["the directory is missing", "it is there"] {
        for (old, new, expected) in [
            (AUDIT, "file = \"state/sekisho.redb\"", "audit.file: state/sekisho.redb is also store.path"),
            (AUDIT, "file = \"state/./x/../sekisho.redb\"", "audit.file: state/./x/../sekisho.redb is also store.path"),
            (CONTROL, "control = \"state/audit.jsonl\"", "operator.control: state/audit.jsonl is also audit.file"),
            (STORE, "path = \"certs/ca.crl\"", "store.path: certs/ca.crl is also a file that is read"),
            (AUDIT, "file = \"config.toml\"", "audit.file: config.toml is also a file that is read"),
            (AUDIT, "file = \"certs/server.key\"", "audit.file: certs/server.key is also a file that is read"),
        ] {
            let told = told(&site, old, new);
            assert!(told.len() == 1 && told[0].contains(expected), "{round}: {told:#?}");
            if old == CONTROL {
                assert!(told[0].contains(&format!("line {control_line}")), "{told:#?}");
            }
        }
        fs::create_dir_all(site.path("state")).unwrap();
    }
}

#[test]
fn a_journal_is_a_file_of_its_own_too() {
    let site = Site::new();
    let redis = "kind = \"redis\"\nurl = \"redis://127.0.0.1\"\njournal = \"state/audit.jsonl\"";
    site.file("config.toml", &with_store(redis));
    let told = site.told(site.load(&["config.toml"], &[]));
    assert!(told.len() == 1 && told[0].contains("audit.file: state/audit.jsonl is also store.journal"), "{told:#?}");
}

#[test]
fn a_file_is_the_same_under_another_name() {
    let site = Site::new();
    fs::create_dir(site.path("state")).unwrap();
    site.file("state/sekisho.redb", "");
    fs::hard_link(site.path("state/sekisho.redb"), site.path("state/hard.jsonl")).unwrap();
    symlink("sekisho.redb", site.path("state/soft.jsonl")).unwrap();
    symlink("state", site.path("alias")).unwrap();
    for name in ["state/hard.jsonl", "state/soft.jsonl", "alias/sekisho.redb"] {
        let told = told(&site, AUDIT, &format!("file = \"{name}\""));
        assert!(told.len() == 1 && told[0].contains(&format!("{name} is also store.path")), "{told:#?}");
    }
}

/// A socket is there while a gateway runs, and after one that was killed.
#[test]
fn what_stands_where_the_control_socket_is_to_be_must_be_a_socket() {
    let site = Site::new();
    fs::create_dir(site.path("state")).unwrap();
    let _listener = UnixListener::bind(site.path("state/control.sock")).unwrap();
    site.load(&["config.toml"], &[]).unwrap();
    site.file("state/notes", "not to be lost");
    symlink("control.sock", site.path("state/link.sock")).unwrap();
    for name in ["state/notes", "state/link.sock", "certs"] {
        let told = told(&site, CONTROL, &format!("control = \"{name}\""));
        assert!(told.len() == 1 && told[0].contains(&format!("{name}: something else lies where")), "{told:#?}");
    }
}

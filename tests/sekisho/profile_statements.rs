//! Every statement of the five source documents has a test, waits for something that is named, or is no rule; and the
//! profiles are configurations.

use std::path::Path;
use std::process::{Command, Output};

use crate::support::profile::file;
use crate::support::statements::{Status, Suite};
use crate::{profile_date, profile_kenmin, profile_kyoei, profile_takashin, profile_tsuru};

const SUITES: [&Suite; 5] = [
    &profile_tsuru::SUITE,
    &profile_kenmin::SUITE,
    &profile_takashin::SUITE,
    &profile_kyoei::SUITE,
    &profile_date::SUITE,
];

/// How many statements each document makes, by its table in the requirements.
const DOCUMENTS: [(&str, usize); 5] = [("S0", 36), ("S1", 34), ("S2", 18), ("S3", 26), ("S4", 23)];

#[test]
fn every_statement_is_shown_waits_or_is_no_rule() {
    let mistakes: Vec<String> = SUITES.iter().flat_map(|suite| suite.mistakes()).collect();
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
    assert_eq!(SUITES.map(|suite| suite.document), DOCUMENTS);
}

#[test]
fn a_table_with_a_gap_a_stranger_or_an_empty_promise_is_told() {
    let suite = Suite {
        profile: "date",
        document: ("S4", 3),
        statements: &[
            ("S4-01", Status::Context("the reason")),
            ("S4-02", Status::Waiting("soon")),
            ("S4-09", Status::Shown("nobody")),
        ],
        waiting: 0,
        source: "",
    };
    let mistakes = suite.mistakes().join("\n");
    for told in ["S4-03 does not", "S4-09 is no", "S4-02 waits for no", "no test nobody", "1 wait, and 0"] {
        assert!(mistakes.contains(told), "{told} in {mistakes}");
    }
}

fn sekisho(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sekisho")).args(arguments).current_dir(directory).output().unwrap()
}

#[test]
fn the_check_accepts_each_profile_over_the_shipped_configuration() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("config.toml"), directory.path().join("config.toml"))
        .unwrap();
    assert!(sekisho(directory.path(), &["pki", "dev", "certs"]).status.success());
    for suite in SUITES {
        let profile = file(suite.profile);
        let files = ["check", "--config", "config.toml", "--config", profile.to_str().unwrap()];
        let checked = sekisho(directory.path(), &files);
        let said = String::from_utf8_lossy(&checked.stderr);
        assert_eq!(checked.status.code(), Some(0), "{}: {said}", suite.profile);
    }
}

/// Nobody adds a profile without its suite, and each names its statements.
#[test]
fn each_profile_that_ships_has_a_suite() {
    let folder = file("tsuru").parent().unwrap().to_owned();
    let names = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut shipped: Vec<String> = names.filter_map(|name| name.strip_suffix(".toml").map(str::to_owned)).collect();
    let mut suites: Vec<String> = SUITES.iter().map(|suite| suite.profile.to_owned()).collect();
    shipped.sort();
    suites.sort();
    assert_eq!(shipped, suites);
    let readme = std::fs::read_to_string(folder.join("README.md")).unwrap();
    for suite in SUITES {
        let profile = std::fs::read_to_string(file(suite.profile)).unwrap();
        let document = format!("{}-", suite.document.0);
        assert!(profile.contains(&document), "{} names no statement", suite.profile);
        assert!(readme.contains(&format!("`{}.toml`", suite.profile)), "{} is not in the table", suite.profile);
    }
}

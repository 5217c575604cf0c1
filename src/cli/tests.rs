//! What people type, and what they get for it.

use clap::CommandFactory;
use clap::error::ErrorKind;

use super::*;

fn parse(line: &str) -> Result<Arguments, clap::Error> {
    Arguments::try_parse_from(line.split(' '))
}

#[test]
fn the_commands_agree_with_themselves() {
    Arguments::command().debug_assert();
}

#[test]
fn every_argument_of_every_command_is_explained() {
    fn look(command: &clap::Command, path: &str) {
        let path = format!("{path} {}", command.get_name());
        assert!(command.get_about().is_some(), "{path}");
        for argument in command.get_arguments() {
            assert!(argument.get_help().is_some(), "{path} {}", argument.get_id());
        }
        command.get_subcommands().for_each(|command| look(command, &path));
    }
    look(&Arguments::command(), "");
}

#[test]
fn help_and_version_are_no_mistakes_and_everything_unknown_is() {
    assert_eq!(parse("sekisho --help").unwrap_err().kind(), ErrorKind::DisplayHelp);
    assert_eq!(parse("sekisho run --help").unwrap_err().kind(), ErrorKind::DisplayHelp);
    assert_eq!(parse("sekisho --version").unwrap_err().kind(), ErrorKind::DisplayVersion);
    for wrong in [
        "sekisho",
        "sekisho start",
        "sekisho run now",
        "sekisho pki dev",
        "sekisho pki revoke certs",
        "sekisho demo --twice",
        "sekisho audit",
        "sekisho audit verify --head 12 audit.jsonl",
        "sekisho ledger",
        "sekisho ledger show",
        "sekisho ledger show hanakodt --day 2026-02-30",
        "sekisho ledger reconcile 01a202c4-adb8-77c7-a5c5-951b7a59c562 --reason asked",
        "sekisho ledger reconcile 01a202c4-adb8-77c7-a5c5-951b7a59c562 --committed --released --reason asked",
        "sekisho ledger reconcile 01a202c4-adb8-77c7-a5c5-951b7a59c562 --committed",
        "sekisho ledger reconcile 7 --committed --reason asked",
        "sekisho ledger own-limit hanakodt --reason asked",
        "sekisho ledger own-limit --reason asked",
        "sekisho ledger own-limit hanakodt 1",
        "sekisho ledger own-limit hanakodt 1 --file limits.csv --reason asked",
        "sekisho ledger own-limit hanakodt --file limits.csv --reason asked",
        "sekisho ledger own-limit hanakodt -1 --reason asked",
        "sekisho ledger own-limit hanakodt 1e9 --reason asked",
        "sekisho ledger export --format xlsx",
        "sekisho ledger add hanakodt --reason slip",
        "sekisho ledger add hanakodt --yen 5",
        "sekisho ledger correct 01a202c4-adb8-77c7-a5c5-951b7a59c562 --reason books",
        "sekisho ledger write-off",
        "sekisho ledger write-off 019ab1c2",
        "sekisho ledger write-off a/b --reason gone",
        "sekisho ledger members --control a.sock --config b.toml",
        "sekisho certificate",
        "sekisho certificate block --reason lost",
        "sekisho certificate block --login-id hanakodt",
        "sekisho certificate block --login-id hanakodt --serial 0a --reason lost",
        "sekisho certificate block --serial 0x0a --reason lost",
        "sekisho certificate block --login-id a\u{3042} --reason lost",
        "sekisho certificate block --contract tanaka --login-id hanakodt --reason lost",
        "sekisho certificate add --reason new",
        "sekisho certificate add hanako.pem",
        "sekisho certificate retire 0a1b --reason old",
        "sekisho certificate list --contract tanaka --login-id hanakodt",
        "sekisho contract",
        "sekisho contract add tanaka",
        "sekisho contract add tanaka --access both --reason new",
        "sekisho contract add-id tanaka hanakodt --reason new",
        "sekisho contract add-id tanaka hanakodt --role boss --reason new",
        "sekisho contract remove-id --reason gone",
        "sekisho contract import --reason new",
        "sekisho contract import a.csv --format xlsx --reason new",
        "sekisho certificate unblock --reason found",
    ] {
        assert!(parse(wrong).unwrap_err().use_stderr(), "{wrong}");
    }
}

#[test]
fn configuration_files_are_layered_in_the_order_given() {
    let Command::Run(arguments) = parse("sekisho run --config a.toml --config b.toml").unwrap().command else {
        panic!()
    };
    assert!(format!("{arguments:?}").contains(r#"["a.toml", "b.toml"]"#), "{arguments:?}");
    let Command::Run(arguments) = parse("sekisho run").unwrap().command else { panic!() };
    assert!(format!("{arguments:?}").contains(r#"["config.toml"]"#), "{arguments:?}");
}

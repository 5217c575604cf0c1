//! Operators see and correct the ledger: LIM-15, LIM-28, OPS-15.

use crate::support::TestGateway;
use crate::support::desk::{ask, expect_refused, lose, records, sekisho, transfer};

/// Rows of a table whose cells are these words.
fn row(table: &str, cells: &[&str]) -> bool {
    table.lines().any(|line| line.split_whitespace().collect::<Vec<_>>() == cells)
}

#[tokio::test]
async fn an_unknown_transfer_is_shown_and_counts_until_an_operator_releases_it() {
    let gateway = TestGateway::spawn().await;
    let customer = gateway.enrol("hanakodt");
    let id = lose(&gateway, &customer, 99_999_999).await;
    assert_eq!(expect_refused(&gateway, &customer, 2).await, (403, "over_ceiling".into()));

    let listed = sekisho(&gateway, &["ledger", "unknown"]).await.well();
    let line = listed.lines().find(|line| line.contains(&id)).unwrap_or_else(|| panic!("{id} in\n{listed}"));
    for word in ["unknown", "99,999,999", "hanakodt", "transfer"] {
        assert!(line.contains(word), "{word} in {line}");
    }
    let shown = sekisho(&gateway, &["ledger", "show", "hanakodt"]).await.well();
    assert!(row(&shown, &["accepted", "100,000,000", "99,999,999", "1"]), "{shown}");
    assert!(row(&shown, &["hanakodt", "accepted", "99,999,999"]), "{shown}");
    assert!(row(&shown, &["own", "limit", "none"]) && shown.contains(&id), "{shown}");

    let reason = "not in the books, asked Mr Sato";
    let done = sekisho(&gateway, &["ledger", "reconcile", &id, "--released", "--reason", reason]).await.well();
    assert!(done.contains(&id) && done.contains("is released"), "{done}");
    assert_eq!(sekisho(&gateway, &["ledger", "unknown"]).await.well(), "no transfer is unknown\n");
    assert_eq!(transfer(&gateway, &customer, 100_000_000).await.status, 302);
    let states = [("state", "released")];
    assert_eq!(gateway.operator.metric("sekisho_transfers_total", &states).await, 1.0);

    let log = gateway.path("state/audit.jsonl");
    let [record] = records(&log, "transfer_reconciled").try_into().unwrap();
    assert_eq!(record["sekisho.transfer.id"], id.as_str());
    assert_eq!(record["sekisho.transfer.state"], "released");
    assert_eq!(record["sekisho.contract"], "hanakodt");
    assert_eq!(record["sekisho.amount"], 99_999_999);
    assert_eq!(record["event.reason"], reason);
    let user = rustix::process::getuid().as_raw();
    assert_eq!(record["sekisho.operator"], format!("hana (uid {user})"));
    assert!(record["sekisho.store.id"].is_string() && record["sekisho.store.sequence"].is_u64(), "{record}");
    sekisho(&gateway, &["audit", "verify"]).await.well();
}

#[tokio::test]
async fn a_transfer_that_was_executed_stays_counted_and_nothing_is_reconciled_twice() {
    let gateway = TestGateway::spawn().await;
    let customer = gateway.enrol("hanakodt");
    let id = lose(&gateway, &customer, 100_000_000).await;
    let arguments = ["ledger", "reconcile", &id, "--committed", "--reason", "receipt 4711", "--operator", "Sato"];
    sekisho(&gateway, &arguments).await.well();
    assert_eq!(expect_refused(&gateway, &customer, 1).await, (403, "over_ceiling".into()));

    let again = ["ledger", "reconcile", &id, "--released", "--reason", "changed my mind"];
    let said = sekisho(&gateway, &again).await.failed();
    assert!(said.contains("committed, not unknown"), "{said}");
    assert_eq!(expect_refused(&gateway, &customer, 1).await, (403, "over_ceiling".into()));
    let nobody = "01a202c4-adb8-77c7-a5c5-951b7a59c562";
    let said = sekisho(&gateway, &["ledger", "reconcile", nobody, "--released", "--reason", "x"]).await.failed();
    assert!(said.contains("there is no transfer"), "{said}");
    let log = gateway.path("state/audit.jsonl");
    let directory = TestGateway::builder().after(&gateway);
    gateway.drain().await;
    let outcomes: Vec<_> =
        records(&log, "transfer_reconciled").iter().map(|record| record["event.outcome"].clone()).collect();
    assert_eq!(outcomes, ["success", "failure", "failure"], "attempts stand there too");
    drop(directory);
}

/// An orderly transfer is none of the operators' business, while it runs and afterwards.
#[tokio::test]
async fn only_unknown_transfers_can_be_reconciled() {
    let gateway = TestGateway::spawn().await;
    let answer = transfer(&gateway, &gateway.enrol("hanakodt"), 5).await;
    let id = answer.header("X-Request-Id").unwrap();
    let said = sekisho(&gateway, &["ledger", "reconcile", &id, "--released", "--reason", "x"]).await.failed();
    assert!(said.contains("committed, not unknown"), "{said}");
}

#[tokio::test]
async fn an_export_is_whole_and_no_spreadsheet_computes_it() {
    let gateway = TestGateway::spawn().await;
    let formula = gateway.enrol("=1+2+3");
    assert_eq!(transfer(&gateway, &formula, 7).await.status, 302);
    let id = lose(&gateway, &formula, 8).await;
    let (who, reason) = ("@SUM(1,2)", "said \"no\"");
    sekisho(&gateway, &["ledger", "reconcile", &id, "--released", "--operator", who, "--reason", reason]).await.well();
    assert_eq!(transfer(&gateway, &gateway.enrol("hanakodt"), 9).await.status, 302);

    let csv = gateway.path("ledger.csv");
    let arguments = ["ledger", "export", "--format", "csv", "--output", "ledger.csv"];
    assert_eq!(sekisho(&gateway, &arguments).await.well(), "");
    let text = std::fs::read_to_string(&csv).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    assert!(lines[0].starts_with("id,contract,login_id,route,yen,state,why,"), "{text}");
    assert!(lines[1].contains(",'=1+2+3,'=1+2+3,transfer,7,committed,"), "{text}");
    assert!(lines[2].contains(&format!("{id},'=1+2+3")), "{text}");
    let user = rustix::process::getuid().as_raw();
    assert!(lines[2].contains(&format!("\"'@SUM(1,2) (uid {user}): said \"\"no\"\"\"")), "{text}");
    assert!(lines[3].contains(",hanakodt,hanakodt,transfer,9,committed,"), "{text}");
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&csv.metadata().unwrap().permissions()) & 0o777, 0o600);
    assert!(!gateway.path("ledger.csv.part").exists());

    let why = format!("{who} (uid {user}): {reason}");
    let all = sekisho(&gateway, &["ledger", "export"]).await.well();
    let rows: Vec<serde_json::Value> = all.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.iter().map(|row| row["yen"].as_u64().unwrap()).collect::<Vec<_>>(), [7, 8, 9]);
    assert_eq!((rows[0]["contract"].as_str(), rows[1]["why"].as_str()), (Some("=1+2+3"), Some(why.as_str())));
    let past = ["ledger", "export", "--from", "2001-01-01", "--to", "2001-12-31"];
    assert_eq!(sekisho(&gateway, &past).await.well(), "");
    let backwards = ["ledger", "export", "--from", "2001-01-02", "--to", "2001-01-01"];
    assert!(sekisho(&gateway, &backwards).await.failed().contains("first day"));

    let exports = records(&gateway.path("state/audit.jsonl"), "ledger_exported");
    assert_eq!(exports.len(), 3, "each export is on record, a refused one is not");
    assert_eq!(exports[2]["event.reason"], "the days from 2001-01-01 to 2001-12-31");
}

/// A pipe or a device is what it is for others too: it is written to, and never replaced. A link leads to its file.
#[tokio::test]
async fn an_export_to_what_is_no_file_is_written_there() {
    let gateway = TestGateway::spawn().await;
    assert_eq!(transfer(&gateway, &gateway.enrol("hanakodt"), 7).await.status, 302);
    let whole = sekisho(&gateway, &["ledger", "export"]).await.well();
    assert!(whole.contains("hanakodt"), "{whole}");

    let pipe = gateway.path("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let reader = std::thread::spawn({
        let pipe = pipe.clone();
        move || std::fs::read_to_string(pipe).unwrap()
    });
    assert_eq!(sekisho(&gateway, &["ledger", "export", "--output", "pipe"]).await.well(), "");
    assert!(std::os::unix::fs::FileTypeExt::is_fifo(&pipe.metadata().unwrap().file_type()), "it is a pipe still");
    assert_eq!(reader.join().unwrap(), whole);

    assert_eq!(sekisho(&gateway, &["ledger", "export", "--output", "/dev/stdout"]).await.well(), whole);
    std::os::unix::fs::symlink("/dev/full", gateway.path("full")).unwrap();
    let said = sekisho(&gateway, &["ledger", "export", "--output", "full"]).await.failed();
    assert!(said.contains("No space left"), "{said}");

    std::fs::write(gateway.path("real.jsonl"), "x".repeat(10_000)).unwrap();
    std::os::unix::fs::symlink("real.jsonl", gateway.path("link.jsonl")).unwrap();
    assert_eq!(sekisho(&gateway, &["ledger", "export", "--output", "link.jsonl"]).await.well(), "");
    assert_eq!(std::fs::read_to_string(gateway.path("real.jsonl")).unwrap(), whole);
    for link in ["link.jsonl", "full"] {
        assert!(gateway.path(link).symlink_metadata().unwrap().is_symlink(), "{link}");
    }
    for part in ["pipe.part", "full.part", "link.jsonl.part", "real.jsonl.part"] {
        assert!(!gateway.path(part).exists(), "{part}");
    }
    assert!(sekisho(&gateway, &["ledger", "export", "--output", "state"]).await.failed().contains("cannot be written"));
}

#[tokio::test]
async fn a_customers_own_limit_is_imported_shown_and_forgotten() {
    let gateway = TestGateway::spawn().await;
    let customer = gateway.enrol("hanakodt");
    let import = ["ledger", "own-limit", "hanakodt", "1000", "--reason", "paper form"];
    let said = sekisho(&gateway, &import).await.well();
    assert_eq!(said, "the own limit of hanakodt is 1,000\n");
    assert_eq!(expect_refused(&gateway, &customer, 1001).await, (403, "over_ceiling".into()));
    assert_eq!(transfer(&gateway, &customer, 400).await.status, 302);
    let shown = sekisho(&gateway, &["ledger", "show", "hanakodt"]).await.well();
    assert!(row(&shown, &["own", "limit", "1,000"]), "{shown}");
    assert!(row(&shown, &["accepted", "1,000", "400", "600"]), "{shown}");

    let json = sekisho(&gateway, &["ledger", "show", "hanakodt", "--json"]).await.well();
    let answer: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((answer["ceiling"].as_u64(), answer["own_limit"].as_u64()), (Some(100_000_000), Some(1000)));
    assert_eq!(answer["sums"][0]["left"], 600);
    assert_eq!(answer["transfers"][0]["state"], "committed");
    let another = sekisho(&gateway, &["ledger", "show", "tarokodt", "--day", "2012-01-01"]).await.well();
    assert!(another.contains("no transfer is possible"), "before the first ceiling: {another}");

    sekisho(&gateway, &["ledger", "own-limit", "hanakodt", "none", "--reason", "wrong contract"]).await.well();
    assert_eq!(transfer(&gateway, &customer, 1001).await.status, 302);
    let limits = records(&gateway.path("state/audit.jsonl"), "own_limit_set");
    let amounts: Vec<_> =
        limits.iter().map(|record| record.get("sekisho.amount").and_then(|yen| yen.as_u64())).collect();
    assert_eq!(amounts, [Some(1000), None]);
}

#[tokio::test]
async fn the_control_socket_does_what_it_knows_and_nothing_else() {
    let gateway = TestGateway::spawn().await;
    let id = lose(&gateway, &gateway.enrol("hanakodt"), 5).await;
    let reconcile = format!("/ledger/transfers/{id}/reconcile");
    let by = r#""reason":"r","operator":"o""#;
    for (method, target, body, status) in [
        ("GET", "/reload", "", 404),
        ("POST", "/ledger/unknown", "", 404),
        ("GET", "/ledger/accept", "", 404),
        ("GET", "/metrics", "", 404),
        ("DELETE", "/ledger/contracts/hanakodt", "", 404),
        ("GET", "/ledger/contracts/hanakodt/", "", 404),
        ("GET", "/ledger/contracts/hanakodt?day=today", "", 400),
        ("GET", "/ledger/contracts/hana%20kodt", "", 400),
        ("GET", "/ledger/unknown?all=1", "", 400),
        ("GET", "/ledger/export?format=xlsx", "", 400),
        ("POST", "/ledger/transfers/7/reconcile", "{}", 400),
        ("POST", &reconcile, "", 400),
        ("POST", &reconcile, "{\"outcome\":", 400),
        ("POST", &reconcile, "[]", 400),
        ("POST", &reconcile, &format!(r#"{{"outcome":"unknown",{by}}}"#), 400),
        ("POST", &reconcile, r#"{"outcome":"released","operator":"o"}"#, 400),
        ("POST", &reconcile, &format!(r#"{{"outcome":"released","force":true,{by}}}"#), 400),
        ("POST", "/ledger/limits/hanakodt", &format!(r#"{{"yen":-1,{by}}}"#), 400),
        ("POST", "/ledger/limits/hanakodt", &format!(r#"{{{by}}}"#), 400),
        ("POST", "/ledger/limits", &format!(r#"{{"limits":[],{by}}}"#), 400),
        ("POST", "/ledger/limits", &format!(r#"{{"limits":[{{"contract":"hanakodt","yen":"1"}}],{by}}}"#), 400),
        ("PUT", "/ledger/limits", "", 404),
        ("POST", "/ledger/accept", &"x".repeat(20_000), 400),
    ] {
        let answer = ask(&gateway, method, target, body).await;
        assert_eq!(answer.status, status, "{method} {target} {body}: {}", answer.text());
        assert!(answer.text().ends_with('\n'), "{target}");
    }
    let unknown = ask(&gateway, "GET", "/ledger/unknown", "").await.json();
    assert_eq!(unknown["transfers"][0]["id"], id.as_str(), "nothing of it did anything");
    let log = gateway.path("state/audit.jsonl");
    for act in ["transfer_reconciled", "own_limit_set", "store_accepted", "ledger_exported"] {
        assert_eq!(records(&log, act).len(), 0, "{act}");
    }
    assert_eq!(ask(&gateway, "POST", "/reload", "").await.status, 200);
}

#[tokio::test]
async fn a_command_without_a_gateway_says_so() {
    let gateway = TestGateway::builder().layer("drain-timeout = \"2s\"").spawn().await;
    let socket = gateway.path("state/control.sock");
    std::fs::rename(&socket, gateway.path("state/elsewhere.sock")).unwrap();
    let said = sekisho(&gateway, &["ledger", "unknown"]).await.failed();
    assert!(said.contains("no sekisho answers there"), "{said}");
    gateway.write("layer-0.toml", "workers = 0");
    assert_eq!(sekisho(&gateway, &["ledger", "unknown"]).await.code, Some(78));
}

//! Operators put right what the ledger could not know: LIM-28.

use std::os::unix::fs::PermissionsExt as _;

use sekisho::domain::{Clock as _, JstDate};
use serde_json::Value;

use crate::support::TestGateway;
use crate::support::desk::{ask, expect_refused, lose, records, sekisho, transfer};

const BOTH: &str = "[transfer]\nday-basis = \"both\"\n";

/// Rows of a table whose cells are these words.
fn row(table: &str, cells: &[&str]) -> bool {
    table.lines().any(|line| line.split_whitespace().eq(cells.iter().copied()))
}

#[tokio::test]
async fn what_a_branch_executed_is_added_and_counts_above_the_limit_too() {
    let gateway = TestGateway::spawn().await;
    let customer = gateway.enrol("hanakodt");
    let add = ["ledger", "add", "hanakodt", "--yen", "99999990", "--reason", "slip 0815"];
    let said = sekisho(&gateway, &add).await.well();
    let today = JstDate::of(gateway.clock.now()).to_string();
    assert!(said.contains("of hanakodt, 99,999,990 yen, is committed\n"), "{said}");
    assert!(said.contains(&format!("it counts on {today}\n")), "{said}");
    assert!(row(&said, &["accepted", "100,000,000", "99,999,990", "10"]), "{said}");
    assert_eq!(expect_refused(&gateway, &customer, 11).await, (403, "over_ceiling".into()));
    assert_eq!(transfer(&gateway, &customer, 10).await.status, 302);

    let said = sekisho(&gateway, &["ledger", "add", "hanakodt", "--yen", "5", "--reason", "slip 0816"]).await.well();
    assert!(row(&said, &["accepted", "100,000,000", "100,000,005", "0"]), "{said}");
    let id = said.split(' ').next().unwrap().to_owned();
    let shown = sekisho(&gateway, &["ledger", "show", "hanakodt"]).await.well();
    let line = shown.lines().find(|line| line.contains(&id)).unwrap();
    assert!(line.contains("adjustment") && line.contains("slip 0816") && line.contains("committed"), "{line}");

    let log = gateway.path("state/audit.jsonl");
    let [_, record] = records(&log, "transfer_added").try_into().unwrap();
    assert_eq!(record["sekisho.transfer.id"], id.as_str());
    assert_eq!((&record["sekisho.amount"], &record["sekisho.day"]), (&5.into(), &today.as_str().into()));
    assert_eq!((&record["sekisho.contract"], &record["sekisho.route"]), (&"hanakodt".into(), &"adjustment".into()));
    assert_eq!((&record["event.reason"], &record["event.outcome"]), (&"slip 0816".into(), &"success".into()));
    assert!(record["sekisho.operator"].as_str().unwrap().starts_with("hana (uid "), "{record}");

    // Added by mistake: it is taken back, and stands there as what it was.
    let arguments = ["ledger", "correct", &id, "--released", "--reason", "added twice"];
    assert!(sekisho(&gateway, &arguments).await.well().contains("is released"));
    let shown = sekisho(&gateway, &["ledger", "show", "hanakodt"]).await.well();
    assert!(row(&shown, &["accepted", "100,000,000", "100,000,000", "0"]), "{shown}");
}

#[tokio::test]
async fn what_was_executed_on_another_day_counts_on_that_day_in_every_sum_that_is_measured() {
    let gateway = TestGateway::builder().layer(BOTH).spawn().await;
    let today = JstDate::of(gateway.clock.now());
    let day = today.plus_days(-3).to_string();
    let add = ["ledger", "add", "hanakodt", "--yen", "7", "--day", &day, "--reason", "slip 0815"];
    sekisho(&gateway, &add).await.well();
    let shown = sekisho(&gateway, &["ledger", "show", "hanakodt", "--day", &day]).await.well();
    for basis in ["accepted", "designated"] {
        assert!(row(&shown, &[basis, "100,000,000", "7", "99,999,993"]), "{shown}");
    }
    let shown = sekisho(&gateway, &["ledger", "show", "hanakodt"]).await.well();
    assert!(row(&shown, &["accepted", "100,000,000", "0", "100,000,000"]), "{shown}");
    for wrong in [today.plus_days(1), today.plus_days(-41)] {
        let add =
            ["ledger", "add", "hanakodt", "--yen", "7", "--day", &wrong.to_string(), "--reason", "a slip of the pen"];
        assert!(sekisho(&gateway, &add).await.failed().contains("not one of the last 40 days"));
    }
    assert_eq!(records(&gateway.path("state/audit.jsonl"), "transfer_added").len(), 1);
}

#[tokio::test]
async fn what_was_settled_the_wrong_way_is_corrected_and_what_is_open_is_not() {
    let gateway = TestGateway::spawn().await;
    let customer = gateway.enrol("hanakodt");
    let lost = lose(&gateway, &customer, 100_000_000).await;
    let correct =
        async |id: &str, outcome| sekisho(&gateway, &["ledger", "correct", id, outcome, "--reason", "the books"]).await;
    assert!(correct(&lost, "--released").await.failed().contains("is unknown: only what was settled"));
    let reconcile = ["ledger", "reconcile", &lost, "--released", "--reason", "not in the books"];
    sekisho(&gateway, &reconcile).await.well();
    assert!(correct(&lost, "--released").await.failed().contains("is released already"));
    assert!(correct(&lost, "--committed").await.well().contains("is committed"));
    assert_eq!(expect_refused(&gateway, &customer, 1).await, (403, "over_ceiling".into()));
    assert!(correct(&lost, "--released").await.well().contains("is released"));
    let nobody = "01a202c4-adb8-77c7-a5c5-951b7a59c562";
    assert!(correct(nobody, "--released").await.failed().contains("never reserved, or is older"));
    let done = transfer(&gateway, &customer, 100_000_000).await.header("X-Request-Id").unwrap();
    assert!(correct(&done, "--released").await.well().contains("is released"));
    assert_eq!(transfer(&gateway, &customer, 100_000_000).await.status, 302);

    let outcomes: Vec<(Value, Value)> = records(&gateway.path("state/audit.jsonl"), "transfer_corrected")
        .into_iter()
        .map(|record| (record["sekisho.transfer.state"].clone(), record["event.outcome"].clone()))
        .collect();
    let told = [
        ("released", "failure"),
        ("released", "failure"),
        ("committed", "success"),
        ("released", "success"),
        ("released", "failure"),
        ("released", "success"),
    ];
    assert_eq!(outcomes, told.map(|(state, outcome)| (state.into(), outcome.into())));
    for (target, body) in [
        (format!("/ledger/transfers/{done}/correct"), r#"{"outcome":"unknown","reason":"r","operator":"o"}"#),
        ("/ledger/contracts/hanakodt/transfers".into(), r#"{"yen":0,"day":null,"reason":"r","operator":"o"}"#),
        ("/ledger/contracts/hanakodt/transfers".into(), r#"{"yen":1,"reason":"r","operator":"o"}"#),
        ("/ledger/transfers/7/correct".into(), "{}"),
    ] {
        assert_eq!(ask(&gateway, "POST", &target, body).await.status, 400, "{target}");
    }
}

/// The first half: all of us are one user here. That a second one is heard is told where the users can be chosen.
#[tokio::test]
async fn what_lets_more_money_move_is_only_proposed_by_one_user_where_it_takes_two() {
    let gateway = TestGateway::builder().layer("[operator]\nsecond-person = true\n").spawn().await;
    let mode = gateway.path("state/control.sock").metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o660, "a group of operators can reach it");
    let customer = gateway.enrol("hanakodt");
    let id = lose(&gateway, &customer, 100_000_000).await;
    let release = ["ledger", "reconcile", &id, "--released", "--reason", "not in the books"];
    let said = sekisho(&gateway, &release).await;
    assert_eq!((said.code, &*said.out), (Some(75), ""), "{said:?}");
    assert!(said.err.starts_with("proposed, and not done: another user"), "{said:?}");
    let renamed = [&release[..], &["--operator", "Sato"]].concat();
    let user = rustix::process::getuid().as_raw();
    assert!(sekisho(&gateway, &renamed).await.failed().contains(&format!("uid {user} has proposed it")));
    let raise = ["ledger", "own-limit", "hanakodt", "none", "--reason", "paper form"];
    assert!(sekisho(&gateway, &raise).await.well().contains("forgotten"), "there was none: nothing is raised");
    let accept = ["ledger", "accept", "--reason", "clock"];
    assert_eq!(sekisho(&gateway, &accept).await.code, Some(75));
    assert_eq!(expect_refused(&gateway, &customer, 1).await, (403, "over_ceiling".into()), "it still counts");
    assert!(sekisho(&gateway, &["ledger", "unknown"]).await.well().contains(&id));

    let commit = ["ledger", "reconcile", &id, "--committed", "--reason", "receipt 4711"];
    sekisho(&gateway, &commit).await.well();
    let proposed = records(&gateway.path("state/audit.jsonl"), "proposed");
    let told: Vec<_> = proposed.iter().map(|record| (&record["sekisho.proposed"], &record["event.outcome"])).collect();
    let (reconciled, accepted) = (Value::from("transfer_reconciled"), Value::from("store_accepted"));
    let (success, failure) = (Value::from("success"), Value::from("failure"));
    assert_eq!(told, [(&reconciled, &success), (&reconciled, &failure), (&accepted, &success)]);
    assert_eq!(proposed[0]["sekisho.transfer.id"], id.as_str());
    assert_eq!(proposed[0]["event.reason"], "not in the books");
}

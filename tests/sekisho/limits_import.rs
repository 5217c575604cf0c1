//! Customers' own limits from before there was a gateway come out of a file (LIM-06).

use std::fmt::Write as _;

use crate::support::TestGateway;
use crate::support::desk::{expect_refused, records, sekisho, transfer};
use crate::support::redis::RedisServer;

const IMPORT: [&str; 6] = ["ledger", "own-limit", "--file", "limits.csv", "--reason", "from the core system"];

async fn own_limit(gateway: &TestGateway, contract: &str) -> Option<u64> {
    let shown = sekisho(gateway, &["ledger", "show", contract, "--json"]).await.well();
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    shown["own_limit"].as_u64()
}

#[tokio::test]
async fn the_own_limits_of_all_customers_come_out_of_a_file_into_either_store() {
    let redis = RedisServer::start();
    for layer in ["workers = 1\n".to_owned(), redis.store()] {
        let gateway = TestGateway::builder().layer(layer).spawn().await;
        gateway.operator.wait_for("sekisho_ledger_available", &[], 1.0).await;
        sekisho(&gateway, &["ledger", "own-limit", "jirokodt", "7", "--reason", "paper form"]).await.well();
        gateway.write("limits.csv", "contract,yen\r\nhanakodt,1000\r\n\"tarokodt\",50000000\r\njirokodt,none\r\n");
        assert_eq!(sekisho(&gateway, &IMPORT).await.well(), "2 own limits are imported, 1 forgotten\n");

        let shown = sekisho(&gateway, &["ledger", "show", "tarokodt"]).await.well();
        assert!(shown.contains("own limit  50,000,000"), "{shown}");
        assert_eq!(own_limit(&gateway, "jirokodt").await, None);
        let hanako = gateway.enrol("hanakodt");
        assert_eq!(expect_refused(&gateway, &hanako, 1001).await, (403, "over_ceiling".into()));
        assert_eq!(transfer(&gateway, &hanako, 1000).await.status, 302);

        let told = records(&gateway.path("state/audit.jsonl"), "own_limit_set");
        let told: Vec<_> = told[1..]
            .iter()
            .map(|record| {
                assert_eq!(record["event.reason"], "from the core system");
                (record["sekisho.contract"].as_str().unwrap(), record["sekisho.amount"].as_u64())
            })
            .collect();
        assert_eq!(told, [("hanakodt", Some(1000)), ("tarokodt", Some(50_000_000)), ("jirokodt", None)]);
    }
}

#[tokio::test]
async fn a_file_with_a_mistake_writes_nothing_and_each_mistake_is_told() {
    let gateway = TestGateway::spawn().await;
    gateway.write("limits.csv", "hanakodt,1000\ntarokodt,1,000\njirokodt,5\nhanakodt,7\nsaburodt,１\n");
    let said = sekisho(&gateway, &IMPORT).await.failed();
    for line in ["limits.csv: nothing is imported", "line 2: ", "line 4: hanakodt stands in line 1", "line 5: "] {
        assert!(said.contains(line), "{line} in {said}");
    }
    assert!(!said.contains("line 1: ") && !said.contains("line 3: "), "{said}");
    gateway.write("limits.csv", "x\n".repeat(1000));
    let said = sekisho(&gateway, &IMPORT).await.failed();
    assert!(said.contains("line 20: ") && !said.contains("line 21: ") && said.contains("and 980 more"), "{said}");
    let nobody = ["ledger", "own-limit", "--file", "nowhere.csv", "--reason", "x"];
    assert!(sekisho(&gateway, &nobody).await.failed().contains("nowhere.csv cannot be read"));
    assert_eq!(own_limit(&gateway, "hanakodt").await, None);
    assert_eq!(own_limit(&gateway, "jirokodt").await, None);
    assert_eq!(records(&gateway.path("state/audit.jsonl"), "own_limit_set").len(), 0);
}

#[tokio::test]
async fn a_hundred_thousand_limits_are_imported_with_a_record_each() {
    const MANY: usize = 100_000;
    let gateway = TestGateway::spawn().await;
    let mut lines = String::new();
    for number in 0..MANY {
        writeln!(lines, "customer-of-the-bank-{number:06},{}", 1_000_000 + number).unwrap();
    }
    gateway.write("limits.csv", lines);
    assert_eq!(sekisho(&gateway, &IMPORT).await.well(), "100000 own limits are imported, 0 forgotten\n");
    for number in [0, 49_999, MANY - 1] {
        let own = own_limit(&gateway, &format!("customer-of-the-bank-{number:06}")).await;
        assert_eq!(own, Some(1_000_000 + number as u64));
    }
    assert_eq!(records(&gateway.path("state/audit.jsonl"), "own_limit_set").len(), MANY);
    assert_eq!(transfer(&gateway, &gateway.enrol("hanakodt"), 5).await.status, 302);
}

/// The first half, as everywhere: all of us are one user here.
#[tokio::test]
async fn a_file_that_raises_one_limit_waits_whole_for_a_second_person() {
    let gateway = TestGateway::builder().layer("[operator]\nsecond-person = true\n").spawn().await;
    gateway.write("limits.csv", "hanakodt,1000\ntarokodt,2000\n");
    sekisho(&gateway, &IMPORT).await.well();
    gateway.write("limits.csv", "hanakodt,999\ntarokodt,2001\n");
    let said = sekisho(&gateway, &IMPORT).await;
    assert_eq!((said.code, &*said.out), (Some(75), ""), "{said:?}");
    assert_eq!(own_limit(&gateway, "hanakodt").await, Some(1000), "what it lowers waits too");
    let log = gateway.path("state/audit.jsonl");
    let [proposed] = records(&log, "proposed").try_into().unwrap();
    assert_eq!((&proposed["sekisho.proposed"], &proposed["sekisho.count"]), (&"own_limit_set".into(), &2.into()));
    gateway.write("limits.csv", "tarokodt,2000\nhanakodt,999\n");
    sekisho(&gateway, &IMPORT).await.well();
    assert_eq!(own_limit(&gateway, "hanakodt").await, Some(999));
    assert_eq!(records(&log, "own_limit_set").len(), 4);
}

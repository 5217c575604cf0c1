//! `mode = "observe"`: what would be refused is forwarded, counted and told (LIM-29).

use crate::support::desk::{records, sekisho};
use crate::support::{COMMIT, LIMIT, MoneyStory, Said, eventually};

const OBSERVE: &str = "[transfer]\nmode = \"observe\"\n";

#[tokio::test]
async fn nothing_about_money_is_refused_while_it_is_observed_and_everything_is_told() {
    let story = MoneyStory::plan().layer(OBSERVE).without_ceiling().open().await;
    let mut hanako = story.payer("hanakodt");
    assert_eq!(hanako.transfer(LIMIT).await, Said::done());
    assert_eq!(hanako.transfer(1).await, Said::done(), "over the ceiling");
    assert_eq!(hanako.submit(COMMIT, "amount=1,5").await, Said::failed(), "the bank's own refusal");
    assert_eq!(hanako.submit(COMMIT, "amount=2&amount=3").await, Said::done());
    assert_eq!(hanako.submit("/ib/transfer/multi.do", "kingaku1=7").await, Said::done());
    assert_eq!(hanako.get(&format!("{COMMIT}?amount=9")).await, Said::done());
    assert_eq!(story.executed(), [100_000_000, 1, 2, 7, 9]);
    for (code, count) in [
        ("over_ceiling", 1.0),
        ("bad_amount", 1.0),
        ("ambiguous_field", 1.0),
        ("unknown_route", 1.0),
        ("method_not_routed", 1.0),
    ] {
        let labels = [("reason", code)];
        assert_eq!(story.gateway.operator.metric("sekisho_refusals_observed_total", &labels).await, count, "{code}");
    }
    assert_eq!(story.gateway.operator.metric("sekisho_refusals_total", &[]).await, 0.0);
    assert_eq!(story.transfers("committed").await, 2.0);
    let log = story.gateway.path("state/audit.jsonl");
    let told = async || records(&log, "observed");
    let told = eventually("one record of each reason", told, |told| told.len() >= 5).await;
    let reasons: Vec<_> = told.iter().map(|record| record["event.reason"].as_str().unwrap()).collect();
    assert_eq!(reasons, ["over_ceiling", "bad_amount", "ambiguous_field", "unknown_route", "method_not_routed"]);
}

/// What was observed is counted: from the first enforced request on, the day's sum holds.
#[tokio::test]
async fn what_was_observed_counts_when_it_is_enforced() {
    let story = MoneyStory::plan().layer(OBSERVE).without_ceiling().open().await;
    assert_eq!(story.payer("hanakodt").transfer(LIMIT + 5).await, Said::done());
    assert_eq!(story.payer("tarokodt").transfer(LIMIT - 5).await, Said::done());
    let story = story.restart_with("[transfer]\nmode = \"enforce\"\n").await;
    assert_eq!(story.payer("hanakodt").counted().await, LIMIT + 5);
    assert_eq!(story.payer("hanakodt").transfer(1).await, Said::refused(403, "over_ceiling"));
    assert_eq!(story.payer("tarokodt").transfer(6).await, Said::refused(403, "over_ceiling"));
    assert_eq!(story.payer("tarokodt").transfer(5).await, Said::done());
    story.close().await;
}

/// LIM-38: below a wide prefix, what no route declares is found; nothing that a query or a session holds is told.
#[tokio::test]
async fn a_bank_finds_the_routes_that_it_has_not_declared() {
    let prefixes = "[transfer]\nmode = \"observe\"\nprefixes = [\"/ib/\"]\n";
    let story = MoneyStory::plan().unbound().layer(prefixes).without_ceiling().open().await;
    let mut hanako = story.payer("hanakodt");
    for path in ["/ib/news.do?password=himitsu", "/ib//news.do;jsessionid=himitsu", "/ib/news.do", "/ib/help.do"] {
        hanako.get(path).await;
    }
    assert_eq!(hanako.submit(COMMIT, "amount=1,5").await, Said::failed());
    let directory = story.gateway.directory();
    let log = directory.path().join("state/audit.jsonl");
    let file = log.to_str().unwrap().to_owned();
    let told = async || records(&log, "observed");
    let first = eventually("the first of each kind", told, |told| told.len() >= 3).await;
    let told: Vec<_> = first.iter().map(|record| (&record["url.path"], &record["event.reason"])).collect();
    assert!(told.contains(&(&"/ib/news.do".into(), &"unknown_route".into())), "{told:?}");
    assert!(first.iter().all(|record| record["sekisho.count"] == 1 && record.get("user.id").is_none()), "{first:?}");

    let anywhere = crate::support::TestGateway::spawn().await;
    story.close().await;
    let table = sekisho(&anywhere, &["audit", "observed", &file]).await.well();
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["count", "method", "path", "reason", "route"]);
    assert_eq!(rows[1], ["3", "GET", "/ib/news.do", "unknown_route", "other"], "{table}");
    for row in [["1", "GET", "/ib/help.do", "unknown_route", "other"], ["1", "POST", COMMIT, "bad_amount", "transfer"]]
    {
        assert!(rows.iter().any(|found| *found == row), "{row:?} in\n{table}");
    }
    assert!(!table.contains("himitsu") && !std::fs::read_to_string(&log).unwrap().contains("himitsu"));
    let nothing = sekisho(&anywhere, &["audit", "observed"]).await.well();
    assert_eq!(nothing, "nothing was observed that would have been refused\n");
}

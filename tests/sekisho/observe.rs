//! `mode = "observe"`: what would be refused is forwarded, counted and told (LIM-29).

use crate::support::{COMMIT, LIMIT, MoneyStory, Said};

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

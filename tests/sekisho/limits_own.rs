//! The customer's own limit: asked for through the bank's screen, learned from its answer (LIM-06, LIM-07, LIM-08, A42).

use sekisho::demo::bank::{Execution, Fault};

use crate::support::{LIMIT, MoneyStory, Payer, Said};

const SCREEN: &str = r#"
    [[route]]
    name = "limit"
    method = "POST"
    path = "/ib/limit/change.do"
    class = "limit-change"
    charset = "windows-31j"
    amount = ["limit", "limit1", "limit2", "limit3"]
    success = { status = 302, location = "/ib/limit/done.do" }
    failure = { status = 200, contains = "<p>BTRE900</p>" }
"#;

fn done() -> Said {
    Said::To("/ib/limit/done.do".into())
}

async fn change(payer: &mut Payer, form: &str) -> Said {
    payer.submit("/ib/limit/change.do", form).await
}

#[tokio::test]
async fn a_limit_of_its_own_holds_from_the_banks_yes_on() {
    let story = MoneyStory::with(SCREEN).await;
    for mut payer in [story.payer("hanakodt"), story.payer_over_http2("tarokodt")] {
        assert_eq!(change(&mut payer, "limit=50000000").await, done());
        assert_eq!(payer.transfer(50_000_001).await, Said::refused(403, "over_ceiling"));
        assert_eq!(payer.transfer(30_000_000).await, Said::done());
        // Of several accounts, what all of them may.
        assert_eq!(change(&mut payer, "limit1=20000000&limit2=15000000&limit3=").await, done());
        assert_eq!(payer.transfer(5_000_001).await, Said::refused(403, "over_ceiling"));
        assert_eq!(payer.transfer(5_000_000).await, Said::done());
        // A42: raised in the same minute, it is the institution's ceiling that holds.
        assert_eq!(change(&mut payer, "limit=100000000").await, done());
        assert_eq!(payer.transfer(65_000_001).await, Said::refused(403, "over_ceiling"));
        assert_eq!(payer.transfer(65_000_000).await, Said::done());
        story.assert_counted(&mut payer, LIMIT).await;
    }
    // It is remembered, and nobody else's.
    assert_eq!(change(&mut story.payer("jirokodt"), "limit=10").await, done());
    let story = story.restart().await;
    assert_eq!(story.payer("jirokodt").transfer(11).await, Said::refused(403, "over_ceiling"));
    assert_eq!(story.payer("jirokodt").transfer(10).await, Said::done());
    assert_eq!(story.payer("saburodt").transfer(LIMIT).await, Said::done());
    story.close().await;
}

#[tokio::test]
async fn a_limit_above_the_ceiling_or_without_one_reading_never_reaches_the_bank() {
    let story = MoneyStory::with(SCREEN).await;
    for mut payer in story.payers("hanakodt") {
        for (form, status, code) in [
            ("limit=100000001", 403, "limit_too_high"),
            ("limit=999999999999999", 403, "limit_too_high"),
            ("limit1=1&limit2=100000001", 403, "limit_too_high"),
            ("limit=1%89%AD", 400, "bad_amount"),
            ("limit=%82P%82O%82O", 400, "bad_amount"),
            ("limit=-1", 400, "bad_amount"),
            ("limit=1e9", 400, "bad_amount"),
            ("limit=0", 400, "bad_amount"),
            ("limit=1000000000000000", 400, "bad_amount"),
            ("limit=1&limit=900000000", 400, "ambiguous_field"),
            ("limit=1&Limit1=900000000", 400, "ambiguous_field"),
            ("limit=1&limit1[]=900000000", 400, "ambiguous_field"),
            ("limit=1&limit4=900000000;limit=2", 400, "malformed_body"),
            ("", 400, "missing_field"),
            ("limit=", 400, "missing_field"),
        ] {
            assert_eq!(change(&mut payer, form).await, Said::refused(status, code), "{form}");
        }
        let query = payer.submit("/ib/limit/change.do?limit=900000000", "limit=1").await;
        assert_eq!(query, Said::refused(400, "ambiguous_field"));
        let get = payer.get("/ib/limit/change.do?limit=900000000").await;
        assert_eq!(get, Said::refused(405, "method_not_routed"));
    }
    story.assert_bank_untouched();
    assert_eq!(change(&mut story.payer("hanakodt"), "limit=100000000").await, done());
    story.close().await;
}

/// A limit that the bank refused, or may not have heard of, is not learned: the one before holds on.
#[tokio::test]
async fn nothing_is_learned_without_the_banks_yes() {
    let story = MoneyStory::with(SCREEN).await;
    let mut hanako = story.payer("hanakodt");
    assert_eq!(change(&mut hanako, "limit=1000").await, done());
    for fault in [
        Fault::ErrorPage,
        Fault::RedirectToErrorPage,
        Fault::InternalError(Execution::NotDone),
        Fault::Die(Execution::NotDone),
        Fault::DieBeforeReading,
    ] {
        story.bank.fail_next(fault);
        assert_ne!(change(&mut hanako, "limit=90000000").await, done());
        assert_eq!(hanako.transfer(1_001).await, Said::refused(403, "over_ceiling"));
    }
    assert_eq!(hanako.transfer(1_000).await, Said::done());
    story.close().await;
}

/// LIM-08: limits from before the ceiling was lowered.
#[tokio::test]
async fn an_own_limit_above_a_lowered_ceiling_is_cut_or_blocks() {
    for (over_limit, code) in [("clamp", "over_ceiling"), ("block-transfers", "limit_above_ceiling")] {
        let lowered = |day| {
            format!(
                "[transfer]\nover-limit = \"{over_limit}\"\nceiling = [{{ from = \"2013-05-20\", yen = 100_000_000 }}, {{ from = \"{day}\", yen = 1_000_000 }}]\n{SCREEN}"
            )
        };
        let plan = MoneyStory::plan();
        let tomorrow = plan.today().plus_days(1);
        let story = plan.layer(lowered(tomorrow)).open().await;
        let mut hanako = story.payer("hanakodt");
        assert_eq!(change(&mut hanako, "limit=50000000").await, done());
        assert_eq!(hanako.transfer(50_000_000).await, Said::done());
        story.set_time(tomorrow, "12:00:00");
        let refused = Said::refused(403, code);
        assert_eq!(hanako.transfer(1_000_001).await, refused, "{over_limit}");
        let within = hanako.transfer(400_000).await;
        assert_eq!(within, if over_limit == "clamp" { Said::done() } else { refused }, "{over_limit}");
        // The screen that helps stays open.
        assert_eq!(change(&mut hanako, "limit=1000001").await, Said::refused(403, "limit_too_high"));
        assert_eq!(change(&mut hanako, "limit=1000000").await, done());
        assert_eq!(hanako.transfer(600_000).await, Said::done(), "{over_limit}");
        assert_eq!(hanako.transfer(400_001).await, Said::refused(403, "over_ceiling"), "{over_limit}");
        story.assert_truth("hanakodt", tomorrow, 1_000_000);
        story.close().await;
    }
}

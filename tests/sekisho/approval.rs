//! What becomes a transfer only when somebody acts again: approval by a second ID, and files that are turned into ordinary
//! transfers (LIM-04, LIM-19, LIM-34, A41).

use sekisho::demo::bank::{Execution, Fault, OrderClass};

use crate::support::{LIMIT, MoneyStory, Payer, Said};

/// One asks, another one approves.
pub const APPROVAL: &str = r#"
    [transfer]
    prefixes = ["/ib/transfer/", "/ib/approval/"]
    [[route]]
    name = "request"
    method = "POST"
    path = "/ib/approval/request.do"
    class = "transfer"
    step = "request"
    charset = "windows-31j"
    amount = ["amount"]
    transaction = { location-parameter = "id" }
    success = { status = 302, location = "/ib/approval/requested.do" }
    failure = { status = 200, contains = "<p>BTRE900</p>" }
    [[route]]
    name = "approve"
    method = "POST"
    path = "/ib/approval/approve.do"
    class = "transfer"
    step = "approve"
    charset = "windows-31j"
    transaction = "id"
    success = { status = 302, location = "/ib/approval/done.do" }
    failure = { status = 200, contains = "<p>BTRE900</p>" }
"#;

async fn request(payer: &mut Payer, yen: u64) -> Said {
    payer.submit("/ib/approval/request.do", &format!("amount={yen}&payee=yamada")).await
}

async fn approve(payer: &mut Payer, number: &str) -> Said {
    payer.submit("/ib/approval/approve.do", &format!("id={number}")).await
}

/// LIM-19 and LIM-34: the final act counts, on its own day, with the amount of whoever asked.
#[tokio::test]
async fn what_two_ids_do_together_counts_when_the_second_one_acts() {
    let story = MoneyStory::with(APPROVAL).await;
    for login_id in ["hanakodt", "tarokodt"] {
        story.bank.set_contract(login_id, "oozora01");
    }
    let (mut clerk, mut manager) = (story.payer("hanakodt"), story.payer_over_http2("tarokodt"));
    let first_day = story.today();
    for _ in 0..3 {
        assert_eq!(request(&mut clerk, 60_000_000).await, Said::To("/ib/approval/requested.do".into()));
    }
    assert_eq!((clerk.counted().await, manager.counted().await), (0, 0));
    for (number, status, code) in [
        ("9", 403, "no_entry"),
        ("1&amount=1", 400, "ambiguous_field"),
        ("1&amount=90000000", 400, "ambiguous_field"),
        ("+1", 400, "ambiguous_field"),
        ("1%A0", 400, "malformed_body"),
        ("", 400, "missing_field"),
        ("1&id=2", 400, "ambiguous_field"),
    ] {
        assert_eq!(approve(&mut manager, number).await, Said::refused(status, code), "{number}");
    }
    // Requests of many days, approved on one.
    story.set_time(first_day.plus_days(1), "12:00:00");
    // To the bank, which reads a number, this is order 1.
    assert_eq!(approve(&mut manager, "01").await, Said::To("/ib/approval/done.do".into()));
    assert_eq!(approve(&mut manager, "2").await, Said::refused(403, "over_ceiling"));
    assert_eq!(approve(&mut manager, "3").await, Said::refused(403, "over_ceiling"));
    assert_eq!(approve(&mut manager, "1").await, Said::refused(403, "over_ceiling"), "again");
    assert_eq!((story.bank.executed_sum("oozora01", story.today()), manager.counted().await), (60_000_000, 60_000_000));

    // Nobody approves what is his own; the amount is free again then.
    assert_eq!(approve(&mut clerk, "2").await, Said::failed());
    assert_eq!(clerk.counted().await, 0);
    story.set_time(first_day.plus_days(2), "12:00:00");
    assert_eq!(approve(&mut manager, "2").await, Said::To("/ib/approval/done.do".into()));
    story.close().await;
}

/// A request that the bank did not take, or whose number nobody heard, cannot be approved.
#[tokio::test]
async fn a_request_without_a_number_cannot_be_approved() {
    let story = MoneyStory::with(APPROVAL).await;
    for login_id in ["hanakodt", "tarokodt"] {
        story.bank.set_contract(login_id, "oozora01");
    }
    let (mut clerk, mut manager) = (story.payer("hanakodt"), story.payer("tarokodt"));
    for fault in [Fault::Die(Execution::Done), Fault::InternalError(Execution::Done), Fault::ErrorPage] {
        story.bank.fail_next(fault);
        request(&mut clerk, LIMIT).await;
    }
    for number in ["1", "2", "3"] {
        assert_eq!(approve(&mut manager, number).await, Said::refused(403, "no_entry"));
    }
    assert!(story.executed().is_empty());
    assert_eq!(request(&mut clerk, 5).await, Said::To("/ib/approval/requested.do".into()));
    assert_eq!(approve(&mut manager, "3").await, Said::To("/ib/approval/done.do".into()));
    assert_eq!((story.executed_today("oozora01"), manager.counted().await), (5, 5));
    story.close().await;
}

const BULK: &str = r#"
    [transfer]
    prefixes = ["/ib/transfer/", "/ib/bulk/"]
    [[route]]
    name = "bulk"
    method = "POST"
    path = "/ib/bulk/upload.do"
    class = "bulk"
    [[route]]
    name = "bulk-done"
    method = "GET"
    path = "/ib/bulk/done.do"
    class = "other"
    [[route]]
    name = "switch"
    method = "POST"
    path = "/ib/bulk/switch.do"
    class = "bulk"
    step = "switch"
    charset = "windows-31j"
    amount = ["amount", "kingaku*"]
    success = { status = 302, location = "/ib/transfer/done.do" }
    failure = { status = 200, contains = "<p>BTRE900</p>" }
"#;

/// A41: a file is exempt, what it is turned into is not.
#[tokio::test]
async fn a_file_that_becomes_a_transfer_counts_from_then_on() {
    let story = MoneyStory::with(BULK).await;
    for mut payer in [story.payer("hanakodt"), story.payer_over_http2("tarokodt")] {
        let file = b"--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a\"\r\n\r\nyamada,900000000\r\n\r\n--b--\r\n";
        let typed = [("Content-Type", "multipart/form-data; boundary=b")];
        assert_eq!(
            Said::of(&payer.post("/ib/bulk/upload.do", &typed, file).await),
            Said::To("/ib/bulk/done.do".into())
        );
        assert_eq!(story.bank.executed().last().unwrap().class, OrderClass::Bulk);
        assert_eq!(payer.counted().await, 0);
        let switch = "/ib/bulk/switch.do";
        assert_eq!(payer.submit(switch, "amount=900000000&payee=yamada").await, Said::refused(403, "over_ceiling"));
        assert_eq!(payer.submit(switch, "").await, Said::refused(400, "missing_field"));
        assert_eq!(payer.get("/ib/bulk/switch.do?amount=900000000").await, Said::refused(405, "method_not_routed"));
        assert_eq!(
            payer.submit(switch, "kingaku1=60000000&kingaku2=40000001").await,
            Said::refused(403, "over_ceiling")
        );
        assert_eq!(payer.submit(switch, "kingaku1=60000000&kingaku2=40000000").await, Said::done());
        assert_eq!(payer.transfer(1).await, Said::refused(403, "over_ceiling"));
        story.assert_counted(&mut payer, LIMIT).await;
    }
    story.close().await;
}

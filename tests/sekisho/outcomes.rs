//! What became of a transfer, by what the bank says or does not say: LIM-14 to LIM-17, LIM-31, LIM-32, A33, A37, A38.

use sekisho::demo::bank::{Echo, Execution, Fault, Gate, Lists};

use crate::support::{COMMIT, MoneyStory, PATIENCE, Payer, Said, within};

/// A fault, the payee, what the customer is told, and how the transfer ends.
type Row = (Fault, &'static str, Said, &'static str);

fn unknown() -> Said {
    Said::refused(502, "transfer_outcome_unknown")
}

fn faults() -> Vec<Row> {
    use Execution::{Done, NotDone};
    let system_error = || Said::Screen("BERR500".into());
    let error_path = || Said::To("/ib/transfer/error.do".into());
    vec![
        (Fault::DieBeforeReading, "yamada", unknown(), "unknown"),
        (Fault::Die(Done), "yamada", unknown(), "unknown"),
        (Fault::Die(NotDone), "yamada", unknown(), "unknown"),
        (Fault::InternalError(Done), "yamada", system_error(), "unknown"),
        (Fault::InternalError(NotDone), "yamada", system_error(), "unknown"),
        (Fault::RedirectToErrorPage, "yamada", error_path(), "unknown"),
        (Fault::Truncate, "reject", unknown(), "unknown"),
        (Fault::Gzip, "reject", Said::failed(), "unknown"),
        (Fault::Gzip, "yamada", Said::done(), "committed"),
        (Fault::Chunked, "yamada", Said::done(), "committed"),
        (Fault::Chunked, "reject", Said::failed(), "released"),
        (Fault::ErrorPage, "yamada", Said::failed(), "released"),
    ]
}

#[tokio::test]
async fn each_way_in_which_the_bank_fails_is_settled_as_far_as_anybody_can_tell() {
    for http2 in [false, true] {
        let story = MoneyStory::begin().await;
        let mut payer = if http2 { story.payer_over_http2("hanakodt") } else { story.payer("hanakodt") };
        let (mut counted, mut ended) = (0, std::collections::BTreeMap::new());
        for (number, (fault, payee, said, state)) in faults().into_iter().enumerate() {
            let yen = 1 << number;
            let what = format!("{fault:?}, {payee}");
            story.bank.fail_next(fault);
            assert_eq!(payer.submit(COMMIT, &format!("amount={yen}&payee={payee}")).await, said, "{what}");
            *ended.entry(state).or_insert(0.0) += 1.0;
            story.until_transfers(state, ended[state]).await;
            counted += if state == "released" { 0 } else { yen };
            assert_eq!(payer.counted().await, counted, "{what}");
            assert!(story.executed_today("hanakodt") <= counted, "{what}");
        }
        let waiting = story.gateway.operator.metric("sekisho_reservations", &[("state", "unknown")]).await;
        assert_eq!(waiting, ended["unknown"], "an operator sees how many wait");
        assert_eq!(story.gateway.operator.metric("sekisho_reservations", &[("state", "reserved")]).await, 0.0);
        story.close().await;
    }
}

/// No byte has left: the only failure without an answer that frees the sum.
#[tokio::test]
async fn a_bank_that_cannot_be_reached_costs_nothing() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let story = MoneyStory::with(format!("[upstream]\nservers = [\"http://{nobody}\"]\n")).await;
    let mut hanako = story.payer("hanakodt");
    for _ in 0..3 {
        assert_eq!(hanako.transfer(crate::support::LIMIT).await, Said::refused(502, "upstream_unreachable"));
    }
    assert_eq!(hanako.counted().await, 0);
    story.until_transfers("released", 3.0).await;
    story.close().await;
}

/// LIM-17: a connection that dies under a request may have carried it.
#[tokio::test]
async fn a_transfer_is_never_sent_twice() {
    let story = MoneyStory::begin().await;
    let mut hanako = story.payer("hanakodt");
    assert_eq!(hanako.transfer(1).await, Said::done());
    // On the connection that was kept.
    story.bank.fail_next(Fault::DieBeforeReading);
    assert_eq!(hanako.transfer(2).await, unknown());
    story.bank.fail_next(Fault::Die(Execution::Done));
    assert_eq!(hanako.transfer(4).await, unknown());
    story.bank.fail_next(Fault::RedirectToErrorPage);
    assert_eq!(hanako.transfer(8).await, Said::To("/ib/transfer/error.do".into()), "not followed");
    assert_eq!((story.bank.received(), story.executed()), (3, vec![1, 4]));
    assert_eq!(hanako.counted().await, 15);
    story.close().await;
}

/// The bank is slow, the gateway gives up, the bank executes after all: it was counted all the while.
#[tokio::test]
async fn what_is_executed_after_the_time_out_was_counted_before() {
    let story = MoneyStory::with("[upstream]\nresponse-timeout = \"300ms\"\n").await;
    let mut hanako = story.payer("hanakodt");
    let gate = Gate::shut();
    for (fault, executed) in [(Fault::HoldRequest(gate.clone()), 0), (Fault::HoldAnswer(gate.clone()), 1)] {
        story.bank.fail_next(fault);
        assert_eq!(hanako.transfer(40_000_000).await, unknown());
        assert_eq!(story.executed().len(), executed);
    }
    assert_eq!(hanako.transfer(20_000_001).await, Said::refused(403, "over_ceiling"));
    gate.open();
    story.bank.until_executed(2).await;
    story.assert_counted(&mut hanako, 80_000_000).await;
    assert_eq!(story.transfers("unknown").await, 2.0);
    story.close().await;
}

/// A38 and LIM-16.
#[tokio::test]
async fn a_customer_who_hangs_up_does_not_stop_what_was_begun() {
    let story = MoneyStory::begin().await;
    let payers = story.payers("hanakodt");
    for (number, payer) in payers.iter().enumerate() {
        let gate = Gate::shut();
        for (fault, count) in [(Fault::HoldRequest(gate.clone()), 1), (Fault::HoldAnswer(gate.clone()), 2)] {
            story.bank.fail_next(fault);
            let mut tab = payer.tab();
            let leaving = tokio::spawn(async move { tab.transfer(1).await });
            gate.arrived(count).await;
            leaving.abort();
            assert!(leaving.await.unwrap_err().is_cancelled());
        }
        gate.open();
        story.until_transfers("committed", 2.0 * (number + 1) as f64).await;
    }
    story.assert_counted(&mut payers[0].tab(), 4).await;
    story.close().await;
}

/// The same where the gateway ends: it waits for what it sent.
#[tokio::test]
async fn a_drain_waits_for_the_transfers_under_way() {
    let story = MoneyStory::begin().await;
    let bank = std::sync::Arc::clone(&story.bank);
    let gate = Gate::shut();
    bank.fail_always(Fault::HoldRequest(gate.clone()));
    let (mut staying, mut leaving) = (story.payer("hanakodt"), story.payer_over_http2("tarokodt"));
    let staying = tokio::spawn(async move { staying.transfer(1).await });
    let leaving = tokio::spawn(async move { leaving.transfer(2).await });
    gate.arrived(2).await;
    leaving.abort();
    let address = story.gateway.address();
    let drained = tokio::spawn(story.close());
    let closed = async || tokio::net::TcpStream::connect(address).await.is_err();
    crate::support::eventually("nobody listens", closed, |closed| *closed).await;
    gate.open();
    assert_eq!(staying.await.unwrap(), Said::done());
    let log = within(PATIENCE, "the drain", drained).await.unwrap();
    let committed = log.iter().filter(|line| line["sekisho.transfer.state"] == "committed").count();
    assert_eq!((committed, bank.executed().len()), (2, 2));
}

#[tokio::test]
async fn what_a_drain_cannot_wait_for_is_unknown_and_counts() {
    let story = MoneyStory::with("drain-timeout = \"200ms\"\n").await;
    let gate = Gate::shut();
    story.bank.fail_next(Fault::HoldAnswer(gate.clone()));
    let mut hanako = story.payer("hanakodt");
    let held = tokio::spawn(async move { hanako.transfer(70_000_000).await });
    gate.arrived(1).await;
    let story = story.restart().await;
    held.abort();
    gate.open();
    let mut hanako = story.payer("hanakodt");
    story.assert_counted(&mut hanako, 70_000_000).await;
    assert_eq!(story.gateway.operator.metric("sekisho_reservations", &[("state", "unknown")]).await, 1.0);
    story.close().await;
}

fn marked(markers: &str) -> String {
    format!("[[route]]\nname = \"transfer\"\n{markers}\n")
}

#[tokio::test]
async fn a_redirect_to_the_error_page_can_be_a_failure() {
    let story = MoneyStory::with(marked(
        "failure = [{ status = 200, contains = \"<p>BTRE900</p>\" }, { status = 302, location = \"/ib/transfer/error.do\" }]",
    ))
    .await;
    let mut hanako = story.payer("hanakodt");
    story.bank.fail_next(Fault::RedirectToErrorPage);
    assert_eq!(hanako.transfer(1).await, Said::To("/ib/transfer/error.do".into()));
    story.bank.fail_next(Fault::ErrorPage);
    assert_eq!(hanako.transfer(2).await, Said::failed());
    assert_eq!(hanako.transfer(4).await, Said::done());
    story.assert_counted(&mut hanako, 4).await;
    assert_eq!((story.transfers("released").await, story.transfers("committed").await), (2.0, 1.0));
    story.close().await;
}

/// A37: what a customer writes cannot turn a failure into a success, nor hide one behind markers of both kinds.
#[tokio::test]
async fn a_payee_named_like_a_marker_decides_nothing() {
    let layer =
        lines(false).replace("status = 302, location = \"/ib/transfer/done.do\"", "contains = \"<p>BTRE003</p>\"");
    let story = MoneyStory::with(layer).await;
    story.bank.set_balance("hanakodt", 0);
    let mut hanako = story.payer("hanakodt");
    let path = "/ib/transfer/multi.do";
    let forged = |yen: u64| format!("kingaku1={yen}&payee=%3Cp%3EBTRE003%3C%2Fp%3E");
    assert_eq!(hanako.submit(path, &forged(1)).await, Said::failed());
    assert_eq!((story.transfers("released").await, hanako.counted().await), (1.0, 0));
    story.bank.switch(|switches| switches.echo = Echo::Raw);
    assert_eq!(hanako.submit(path, &forged(2)).await, Said::failed());
    assert_eq!((story.transfers("unknown").await, hanako.counted().await), (1.0, 2));
    assert_eq!(story.transfers("committed").await, 0.0);
    assert!(story.executed().is_empty());
    story.close().await;
}

/// A page that nobody may hold in memory, or that came only in part, has no marker.
#[tokio::test]
async fn a_page_that_was_not_read_in_whole_says_nothing() {
    let story = MoneyStory::with(marked("max-page = \"512B\"\n")).await;
    let mut hanako = story.payer("hanakodt");
    story.bank.fail_next(Fault::ErrorPage);
    assert_eq!(hanako.transfer(1).await, Said::failed(), "the customer reads it in whole");
    assert_eq!((story.transfers("unknown").await, hanako.counted().await), (1.0, 1));
    story.close().await;
}

fn lines(atomic: bool) -> String {
    format!(
        "[[route]]\nname = \"lines\"\nmethod = \"POST\"\npath = \"/ib/transfer/multi.do\"\nclass = \"transfer\"\n\
         charset = \"windows-31j\"\namount = [\"kingaku*\"]\natomic = {atomic}\n\
         success = {{ status = 302, location = \"/ib/transfer/done.do\" }}\n\
         failure = {{ status = 200, contains = \"<p>BTRE900</p>\" }}\n"
    )
}

async fn nine_good_lines_and_a_bad_one(payer: &mut Payer) -> Said {
    let good: String = (1..10).map(|line| format!("kingaku{line}=11000000&payee{line}=yamada&")).collect();
    payer.submit("/ib/transfer/multi.do", &format!("{good}kingaku10=1&payee10=reject")).await
}

/// LIM-31.
#[tokio::test]
async fn a_list_that_fails_at_its_last_line_stays_counted() {
    let story = MoneyStory::with(lines(false)).await;
    let mut hanako = story.payer("hanakodt");
    assert_eq!(nine_good_lines_and_a_bad_one(&mut hanako).await, Said::failed());
    assert_eq!((story.executed_today("hanakodt"), hanako.counted().await), (99_000_000, 99_000_001));
    assert_eq!(nine_good_lines_and_a_bad_one(&mut hanako).await, Said::refused(403, "over_ceiling"));
    assert_eq!(story.transfers("unknown").await, 1.0);
    // One line alone failed as a whole.
    let alone = story.payer("tarokodt").submit("/ib/transfer/multi.do", "kingaku1=5&payee1=reject").await;
    assert_eq!((alone, story.transfers("released").await), (Said::failed(), 1.0));
    story.close().await;
}

#[tokio::test]
async fn a_list_that_is_executed_whole_or_not_at_all_is_released() {
    let story = MoneyStory::plan().layer(lines(true)).bank(|bank| bank.lists = Lists::Atomic).open().await;
    let mut hanako = story.payer("hanakodt");
    for _ in 0..3 {
        assert_eq!(nine_good_lines_and_a_bad_one(&mut hanako).await, Said::failed());
    }
    assert_eq!((story.transfers("released").await, hanako.counted().await), (3.0, 0));
    story.close().await;
}

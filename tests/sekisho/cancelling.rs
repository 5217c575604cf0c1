//! Orders that the customer takes back, where `release-on-cancel` gives what was counted for them free again (LIM-21, A36).
//! `midnight` tells that they give nothing free otherwise.

use jiff::Timestamp;
use sekisho::demo::bank::{Bank, Execution, Fault, OrderState, Receipts};
use sekisho::domain::JstDate;
use tokio::net::TcpListener;

use crate::approval::APPROVAL;
use crate::support::bank::Plan;
use crate::support::redis::RedisServer;
use crate::support::{COMMIT, LIMIT, MoneyStory, Payer, Reply, Said, TestGateway};
use crate::wizard::WIZARD;

/// Dated orders, whose answer tells their number, and the way to take them back.
const RELEASE: &str = r#"
    [transfer]
    release-on-cancel = true
    [[route]]
    name = "transfer"
    date = "date"
    date-format = "YYYYMMDD"
    order = { location-parameter = "id" }
"#;
const CANCEL: &str = r#"
    [[route]]
    name = "cancel"
    method = "POST"
    path = "/ib/transfer/cancel.do"
    class = "transfer"
    step = "cancel"
    transaction = "id"
    charset = "windows-31j"
    success = { status = 302, location = "/ib/transfer/cancelled.do" }
    failure = { status = 200, contains = "<p>BTRE900</p>" }
"#;

/// The bank's own sum counts what was taken back as well, so these stories measure what stands.
fn plan() -> Plan {
    let plan = MoneyStory::plan().layer(RELEASE).layer(CANCEL).without_ceiling();
    plan.bank(|bank| bank.receipts = Receipts::InTheAnswer)
}

/// Orders something for a later day.
async fn order(story: &MoneyStory, payer: &mut Payer, yen: u64) -> Said {
    let day = story.today().plus_days(5).to_number();
    payer.submit(COMMIT, &format!("amount={yen}&date={day}")).await
}

async fn cancel(payer: &mut Payer, number: &str) -> Said {
    payer.submit("/ib/transfer/cancel.do", &format!("id={number}")).await
}

fn cancelled() -> Said {
    Said::To("/ib/transfer/cancelled.do".into())
}

fn over() -> Said {
    Said::refused(403, "over_ceiling")
}

/// What stands at the bank of today's orders.
fn standing(story: &MoneyStory) -> i128 {
    let orders = story.bank.executed();
    orders.iter().filter(|order| order.state == OrderState::Standing).map(|order| order.amount).sum()
}

#[tokio::test]
async fn taking_an_order_back_frees_it_once_and_on_its_own_day() {
    let story = plan().open().await;
    let mut hanako = story.payer("hanakodt");
    let today = story.today();
    for yen in [60_000_000, 40_000_000] {
        assert_eq!(order(&story, &mut hanako, yen).await, Said::done());
    }
    assert_eq!(order(&story, &mut hanako, 1).await, over());
    assert_eq!(cancel(&mut hanako, "1").await, cancelled());
    assert_eq!((standing(&story), hanako.counted().await), (40_000_000, 40_000_000));
    // Once more is a mistake at the bank, and frees nothing.
    for number in ["1", "01", "9"] {
        assert_eq!(cancel(&mut hanako, number).await, Said::failed(), "{number}");
    }
    assert_eq!(hanako.counted().await, 40_000_000);
    assert_eq!(order(&story, &mut hanako, 60_000_001).await, over());
    assert_eq!(order(&story, &mut hanako, 60_000_000).await, Said::done());
    assert_eq!((standing(&story), hanako.counted().await), (LIMIT as i128, LIMIT));

    // Tomorrow nothing of it is credited.
    story.set_time(today.plus_days(1), "12:00:00");
    assert_eq!(order(&story, &mut hanako, LIMIT).await, Said::done());
    assert_eq!(cancel(&mut hanako, "2").await, cancelled());
    assert_eq!((hanako.counted().await, order(&story, &mut hanako, 1).await), (LIMIT, over()));
    story.until_transfers("released", 2.0).await;
    let log = story.close().await;
    let released: Vec<_> = log
        .iter()
        .filter(|line| line["event.reason"] == "cancelled")
        .map(|line| (line["sekisho.amount"].as_u64().unwrap(), line["sekisho.route"].as_str().unwrap()))
        .collect();
    assert_eq!(released, [(60_000_000, "transfer"), (40_000_000, "transfer")]);
}

/// The same where Redis keeps the ledger.
#[tokio::test]
async fn taking_an_order_back_frees_it_in_redis() {
    let redis = RedisServer::start();
    let bank = Bank::open(TcpListener::bind("127.0.0.1:0").await.unwrap()).unwrap();
    bank.switch(|switches| switches.receipts = Receipts::InTheAnswer);
    let builder = TestGateway::builder().upstream(format!("http://{}", bank.address())).layer(redis.store());
    let gateway = builder.layer(RELEASE).layer(CANCEL).spawn().await;
    gateway.operator.wait_for("sekisho_ledger_available", &[], 1.0).await;
    let mut hanako = Payer::over_http1("hanakodt", gateway.enrol("hanakodt"));
    let day = JstDate::of(Timestamp::now()).plus_days(5).to_number();
    for yen in [60, 40] {
        let said = hanako.submit(COMMIT, &format!("amount={yen}&payee=yamada&date={day}")).await;
        assert_eq!(said, Said::done());
    }
    for (number, said, counted) in [("1", cancelled(), 40), ("1", Said::failed(), 40), ("02", cancelled(), 0)] {
        assert_eq!((cancel(&mut hanako, number).await, hanako.counted().await), (said, counted), "{number}");
    }
    gateway.drain().await;
}

/// What the bank did not take back, or nobody knows whether it did, counts on.
#[tokio::test]
async fn what_the_bank_did_not_take_back_counts_on() {
    let story = plan().open().await;
    let (mut hanako, mut taro) = (story.payer("hanakodt"), story.payer("tarokodt"));
    assert_eq!(order(&story, &mut hanako, 70).await, Said::done());
    let today = format!("amount=30&date={}", story.today().to_number());
    assert_eq!(hanako.submit(COMMIT, &today).await, Said::done());
    assert_eq!(cancel(&mut hanako, "2").await, Said::failed(), "today's is gone");
    assert_eq!(cancel(&mut taro, "1").await, Said::failed(), "it is not his");
    let received = story.bank.received();
    for (form, code) in [
        ("", "missing_field"),
        ("id=", "missing_field"),
        ("id=1&id=2", "ambiguous_field"),
        ("id=1&ID=2", "ambiguous_field"),
        ("id=1%A0", "malformed_body"),
    ] {
        assert_eq!(hanako.submit("/ib/transfer/cancel.do", form).await, Said::refused(400, code), "{form}");
    }
    assert_eq!((story.bank.received(), hanako.counted().await), (received, 100));
    story.close().await;
}

/// The bank took it back, and its answer was lost: nobody can say so.
#[tokio::test]
async fn an_order_whose_cancelling_nobody_heard_of_counts_on() {
    let story = plan().open().await;
    let mut hanako = story.payer("hanakodt");
    assert_eq!(order(&story, &mut hanako, 70).await, Said::done());
    // An answer that says neither, and then none.
    for (fault, said, left) in [
        (Fault::InternalError(Execution::NotDone), Said::Screen("BERR500".into()), 70),
        (Fault::Die(Execution::Done), Said::refused(502, "upstream_broken"), 0),
    ] {
        story.bank.fail_next(fault);
        assert_eq!((cancel(&mut hanako, "1").await, standing(&story)), (said, left));
        assert_eq!(hanako.counted().await, 70);
    }
    story.close().await;
}

/// It has a number of its own: the one of its request is another's.
#[tokio::test]
async fn an_approved_order_is_freed_by_the_number_that_its_answer_told() {
    let layer = "[transfer]\nrelease-on-cancel = true\n[[route]]\nname = \"approve\"\n\
                 order = { location-parameter = \"id\" }\n";
    let plan = MoneyStory::plan().layer(APPROVAL).layer(layer).layer(CANCEL);
    let story = plan.bank(|bank| bank.receipts = Receipts::InTheAnswer).open().await;
    for login_id in ["hanakodt", "tarokodt"] {
        story.bank.set_contract(login_id, "oozora01");
    }
    let (mut clerk, mut manager) = (story.payer("hanakodt"), story.payer("tarokodt"));
    for (request, yen) in [("1", 50), ("3", 7)] {
        let day = story.today().plus_days(5).to_number();
        let asked = clerk.submit("/ib/approval/request.do", &format!("amount={yen}&payee=yamada&date={day}")).await;
        assert_eq!(asked, Said::To("/ib/approval/requested.do".into()));
        let approved = manager.submit("/ib/approval/approve.do", &format!("id={request}")).await;
        assert_eq!(approved, Said::To("/ib/approval/done.do".into()), "{request}");
    }
    assert_eq!((standing(&story), manager.counted().await), (57, 57));
    // The requests were 1 and 3, the orders are 2 and 4.
    assert_eq!(cancel(&mut manager, "3").await, Said::failed());
    assert_eq!(manager.counted().await, 57);
    assert_eq!(cancel(&mut manager, "2").await, cancelled());
    assert_eq!((standing(&story), manager.counted().await), (7, 7));
    story.close().await;
}

#[tokio::test]
async fn a_configuration_that_could_free_nothing_is_a_mistake() {
    let numberless = RELEASE.replace("order = { location-parameter = \"id\" }", "");
    let unnamed = CANCEL.replace("transaction = \"id\"", "");
    let unconfirmed = CANCEL.replace("success = { status = 302, location = \"/ib/transfer/cancelled.do\" }", "");
    let with_amount = CANCEL.replace("transaction = \"id\"", "transaction = \"id\"\namount = [\"amount\"]");
    let not_released = RELEASE.replace("release-on-cancel = true", "");
    let on_a_cancel = format!("{CANCEL}\norder = {{ location-parameter = \"id\" }}");
    for (layers, key) in [
        (&[RELEASE][..], "transfer.release-on-cancel"),
        (&[&numberless, CANCEL], "transfer.release-on-cancel"),
        (&[RELEASE, &unnamed], "route.cancel.transaction"),
        (&[RELEASE, &unconfirmed], "route.cancel.success"),
        (&[RELEASE, &with_amount], "route.cancel.amount"),
        (&[&not_released, CANCEL], "route.transfer.order"),
        (&[RELEASE, &on_a_cancel], "route.cancel.order"),
    ] {
        let builder = layers.iter().fold(TestGateway::builder(), |builder, layer| builder.layer(*layer));
        let mistake = builder.try_spawn().await.err().unwrap_or_else(|| panic!("accepted: {layers:?}"));
        assert!(mistake.contains(key), "{key} in {mistake}");
    }
}

/// Several lines are several orders at the bank, each with a number, and one transfer in the ledger: who takes back the line
/// of 1 yen would free all of them, again and again.
#[tokio::test]
async fn a_number_that_one_line_of_a_list_has_frees_nothing() {
    let answer = "charset = \"windows-31j\"\nsuccess = { status = 302, location = \"/ib/transfer/done.do\" }\n";
    let lines = format!(
        "[[route]]\nname = \"lines\"\nmethod = \"POST\"\npath = \"/ib/transfer/multi.do\"\nclass = \"transfer\"\n\
         amount = [\"kingaku*\"]\n{answer}order = {{ location-parameter = \"id\" }}\n"
    );
    let listed = "[[route]]\nname = \"entry\"\namount = [\"amount\", \"kingaku*\"]\n";
    let one_on_each = "[[route]]\nname = \"entry\"\namount = [\"kingaku1\"]\n\
                       [[route]]\nname = \"confirm\"\namount = [\"kingaku2\"]\n";
    let told = "[[route]]\nname = \"execute\"\norder = { location-parameter = \"id\" }\n";
    let one = [RELEASE, CANCEL, WIZARD, told];
    for (layers, key) in [
        ([&one[..2], &[lines.as_str()]].concat(), "route.lines.order"),
        ([&one[..], &[listed]].concat(), "route.execute.order"),
        ([&one[..], &[one_on_each]].concat(), "route.execute.order"),
    ] {
        let builder = layers.iter().fold(TestGateway::builder(), |builder, layer| builder.layer(*layer));
        let mistake = builder.try_spawn().await.err().unwrap_or_else(|| panic!("accepted: {layers:?}"));
        assert!(mistake.contains(key) && mistake.contains("would free all"), "{key} in {mistake}");
    }
    let builder = one.iter().fold(TestGateway::builder(), |builder, layer| builder.layer(*layer));
    builder.try_spawn().await.unwrap().drain().await;
}

/// The same where the numbers stand on the pages of the answers, between pieces of markup that customers cannot write.
#[tokio::test]
async fn numbers_are_read_on_pages() {
    let page = |name: &str, path: &str, step: &str, more: &str| {
        format!(
            "[[route]]\nname = \"{name}\"\nmethod = \"POST\"\npath = \"{path}\"\nclass = \"transfer\"\nstep = \"{step}\"\n\
             charset = \"windows-31j\"\nsuccess = {{ status = 200, contains = \"<h1>OK</h1>\" }}\n{more}\n"
        )
    };
    let request = page(
        "request",
        "/ib/approval/request.do",
        "request",
        "amount = [\"amount\"]\ntransaction = { between = [\"<b>\", \"</b>\"] }",
    );
    let order = "transaction = \"id\"\norder = { between = [\"<i class='r'>\", \"</i>\"] }";
    let approve = page("approve", "/ib/approval/approve.do", "approve", order);
    let cancel = page("cancel", "/ib/transfer/cancel.do", "cancel", "transaction = \"id\"");
    let release = "[transfer]\nrelease-on-cancel = true\n";
    let builder = TestGateway::builder().layer(release).layer(request).layer(approve).layer(cancel);
    let gateway = builder.spawn().await;
    let says = |page: &str| gateway.backend.next(Reply::Bytes(Reply::bytes_of("200 OK", &[], page.as_bytes())));
    let mut payer = Payer::over_http1("hanakodt", gateway.enrol("hanakodt"));

    says("<h1>OK</h1>&lt;b&gt;9&lt;/b&gt; <b>4711</b> <b>9</b>");
    payer.submit("/ib/approval/request.do", "amount=60000000&payee=%3Cb%3E9%3C%2Fb%3E").await;
    // On a page without a number, nothing is kept.
    says("<h1>OK</h1>");
    payer.submit("/ib/approval/request.do", "amount=1").await;
    assert_eq!(payer.submit("/ib/approval/approve.do", "id=9").await, Said::refused(403, "no_entry"));
    assert_eq!(payer.counted().await, 0);

    says("<h1>OK</h1><i>X</i><i class='r'>R-1</i>");
    payer.submit("/ib/approval/approve.do", "id=4711").await;
    assert_eq!(payer.counted().await, 60_000_000);
    says("<h1>OK</h1>");
    payer.submit("/ib/transfer/cancel.do", "id=X").await;
    assert_eq!(payer.counted().await, 60_000_000);
    says("<h1>OK</h1>");
    payer.submit("/ib/transfer/cancel.do", "id=R-1").await;
    assert_eq!(payer.counted().await, 0);
    gateway.drain().await;
}

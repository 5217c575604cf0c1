//! Each way to move money, from the form to the books.

use super::*;

#[tokio::test]
async fn a_transfer_in_one_step_is_in_the_books_of_its_contract_and_day() {
    let clock = Arc::new(ManualClock::at(NOON.parse().unwrap()));
    let bank = bank_at(Arc::clone(&clock) as Arc<dyn Clock>).await;
    bank.set_contract("hanakodt", "oozora-shoten");
    let customer = Customer::of(&bank, "hanakodt").with("X-Request-Id: r-1");
    let form = customer.get("/ib/transfer.do").await;
    assert!(form.is_screen("BTRE001") && form.page().contains("action=\"/ib/transfer/commit.do\""));

    assert!(
        customer.post("/ib/transfer/commit.do", "amount=100&payee=taro").await.redirects_to("/ib/transfer/done.do")
    );
    let expected = Order {
        number: 1,
        login_id: "hanakodt".into(),
        requested_by: None,
        contract: "oozora-shoten".into(),
        amount: 100,
        day: day("2013-05-20"),
        designated: None,
        class: OrderClass::Transfer,
        state: OrderState::Standing,
        request_id: Some("r-1".into()),
    };
    assert_eq!(bank.executed(), [expected]);
    let done = customer.get("/ib/transfer/done.do").await;
    assert!(done.is_screen("BTRE003"));
    assert_eq!(done.after("<b id=\"receipt\">"), "1");

    clock.set("2013-05-20T15:00:00Z".parse().unwrap());
    customer.post("/ib/transfer/commit.do", "amount=7").await;
    assert_eq!(bank.executed_sum("oozora-shoten", day("2013-05-20")), 100);
    assert_eq!(bank.executed_sum("oozora-shoten", day("2013-05-21")), 7);
    assert_eq!(bank.executed_sum("hanakodt", day("2013-05-20")), 0);
    assert_eq!(customer.get("/ib/menu.do").await.after("<b id=\"total\">"), "7");
}

#[tokio::test]
async fn a_business_failure_is_an_error_page_with_status_200() {
    let bank = bank().await;
    bank.set_balance("hanakodt", 1_000);
    let customer = Customer::of(&bank, "hanakodt");
    for form in [
        "payee=taro",
        "amount=",
        "amount=abc",
        "amount=1001",
        "amount=1&payee=reject",
        "amount=1&payee=unknown",
        "amount=1&date=tomorrow",
    ] {
        assert!(customer.post("/ib/transfer/commit.do", form).await.is_screen("BTRE900"), "{form}");
    }
    assert_eq!(amounts(&bank), []);
    customer.post("/ib/transfer/commit.do", "amount=1000").await;
    assert!(customer.post("/ib/transfer/commit.do", "amount=1").await.is_screen("BTRE900"), "the balance is spent");
}

#[tokio::test]
async fn a_list_is_executed_up_to_its_bad_line_or_as_a_whole() {
    let bank = bank().await;
    let customer = Customer::of(&bank, "hanakodt");
    let good = "kingaku1=1&kingaku2=&kingaku10=10&kingaku11=11";
    assert!(customer.post("/ib/transfer/multi.do", good).await.redirects_to("/ib/transfer/done.do"));
    assert_eq!(amounts(&bank), [1, 10]);

    let bad = "kingaku1=100&kingaku2=200&payee3=reject&kingaku3=300&kingaku4=400";
    assert!(customer.post("/ib/transfer/multi.do", bad).await.is_screen("BTRE900"));
    assert_eq!(amounts(&bank), [1, 10, 100, 200]);

    bank.switch(|switches| switches.lists = Lists::Atomic);
    assert!(customer.post("/ib/transfer/multi.do", bad).await.is_screen("BTRE900"));
    bank.set_balance("hanakodt", 299);
    assert!(customer.post("/ib/transfer/multi.do", "kingaku1=100&kingaku2=200").await.is_screen("BTRE900"));
    assert!(customer.post("/ib/transfer/multi.do", "kingaku1=").await.is_screen("BTRE900"));
    assert_eq!(amounts(&bank), [1, 10, 100, 200]);
}

#[tokio::test]
async fn a_wizard_executes_what_its_session_holds() {
    let bank = bank().await;
    let form = Customer::of(&bank, "hanakodt").get("/ib/transfer/entry.do").await;
    let customer = Customer::of(&bank, "hanakodt").in_session_of(&form);
    let first = form.after("name=\"transaction\" value=\"");
    assert!(customer.post("/ib/transfer/execute.do", "").await.is_screen("BTRE900"), "nothing is entered yet");

    let confirm = customer.post("/ib/transfer/entry.do", &format!("amount=99&transaction={first}")).await;
    assert!(confirm.is_screen("BTRE002") && confirm.page().contains("99 円"));
    customer.post("/ib/transfer/entry.do", "amount=1&transaction=second").await;
    assert!(customer.post("/ib/transfer/confirm.do", "").await.page().contains("<td>1 円"));

    let executed = customer.post("/ib/transfer/execute.do", "").await;
    assert!(executed.redirects_to("/ib/transfer/done.do"));
    customer.post("/ib/transfer/execute.do", &format!("transaction={first}")).await;
    assert!(customer.post("/ib/transfer/execute.do", "transaction=third").await.is_screen("BTRE900"));
    assert_eq!(amounts(&bank), [1, 99], "the latest without a number, the numbered one with it");

    let elsewhere = Customer::of(&bank, "hanakodt").post("/ib/transfer/execute.do", "").await;
    assert!(elsewhere.is_screen("BTRE900"), "another session holds nothing");
}

#[tokio::test]
async fn a_second_id_of_the_same_contract_approves() {
    let bank = bank().await;
    for (login_id, contract) in [("clerk1", "c1"), ("boss1", "c1"), ("boss2", "c2")] {
        bank.set_contract(login_id, contract);
    }
    let [clerk, boss, stranger] = ["clerk1", "boss1", "boss2"].map(|login_id| Customer::of(&bank, login_id));
    let asked = clerk.post("/ib/approval/request.do", "amount=500&payee=taro").await;
    assert!(asked.redirects_to("/ib/approval/requested.do?id=1"));
    let requested = clerk.get("/ib/approval/requested.do?id=1").await;
    assert!(requested.is_screen("BAPR002"));
    assert_eq!(requested.after("<b id=\"receipt\">"), "1");
    assert_eq!(amounts(&bank), [], "asking moves nothing");

    let approve = "/ib/approval/approve.do";
    assert!(clerk.post(approve, "id=1").await.is_screen("BTRE900"), "not one's own");
    assert!(stranger.post(approve, "id=1").await.is_screen("BTRE900"), "not another contract's");
    assert!(boss.post(approve, "id=2").await.is_screen("BTRE900"));
    let list = boss.get("/ib/approval.do").await;
    assert!(list.is_screen("BAPR001") && list.page().contains("500 円"));
    assert!(boss.post(approve, "id=1").await.redirects_to("/ib/approval/done.do"));
    assert!(boss.post(approve, "id=1").await.is_screen("BTRE900"), "once");
    let [order] = &bank.executed()[..] else { panic!("one order") };
    assert_eq!((order.login_id.as_str(), order.requested_by.as_deref()), ("boss1", Some("clerk1")));
    assert_eq!(bank.executed_sum("c1", day("2013-05-20")), 500);
}

#[tokio::test]
async fn a_transfer_for_a_later_day_can_be_cancelled_and_still_counts_today() {
    let bank = bank().await;
    let customer = Customer::of(&bank, "hanakodt");
    customer.post("/ib/transfer/commit.do", "amount=10&date=20130531").await;
    customer.post("/ib/transfer/commit.do", "amount=5&date=").await;
    assert_eq!(bank.designated_sum("hanakodt", day("2013-05-31")), 10);
    assert!(customer.get("/ib/orders.do").await.page().contains("2013-05-31"));

    assert!(customer.post("/ib/transfer/cancel.do", "id=2").await.is_screen("BTRE900"), "today's is gone");
    assert!(Customer::of(&bank, "taroykdt").post("/ib/transfer/cancel.do", "id=1").await.is_screen("BTRE900"));
    let cancelled = customer.post("/ib/transfer/cancel.do", "id=1").await;
    assert!(cancelled.redirects_to("/ib/transfer/cancelled.do"));
    assert!(customer.post("/ib/transfer/cancel.do", "id=1").await.is_screen("BTRE900"));
    assert_eq!(bank.executed()[0].state, OrderState::Cancelled);
    assert_eq!(bank.executed_sum("hanakodt", day("2013-05-20")), 15);
    assert_eq!(bank.designated_sum("hanakodt", day("2013-05-31")), 0);
}

#[tokio::test]
async fn files_are_exempt_until_they_are_converted() {
    let bank = bank().await;
    let customer = Customer::of(&bank, "hanakodt");
    let file = |content: &str| {
        format!(
            "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.csv\"\r\n\r\n{content}\r\n--x--\r\n"
        )
    };
    let multipart = "multipart/form-data; boundary=x";
    let upload = async |path, content: &str| customer.post_as(multipart, path, file(content).as_bytes()).await;

    assert!(upload("/ib/payroll/upload.do", "hana,20\n").await.redirects_to("/ib/payroll/done.do"));
    let record = format!("2{:<49}{:<30}{:010}{:<30}", "", "TARO", 300, "");
    assert!(
        upload("/ib/bulk/upload.do", &format!("1header\r\n{record}\r\n9\r\n")).await.redirects_to("/ib/bulk/done.do")
    );
    assert!(upload("/ib/bulk/upload.do", "a,1\nreject,2\n").await.is_screen("BTRE900"), "all or nothing");
    assert!(upload("/ib/bulk/upload.do", "no amount").await.is_screen("BTRE900"));
    assert!(customer.post("/ib/bulk/upload.do", "").await.is_screen("BTRE900"));
    let classes: Vec<_> = bank.executed().iter().map(|order| (order.class, order.amount)).collect();
    assert_eq!(classes, [(OrderClass::Payroll, 20), (OrderClass::Bulk, 300)]);
    assert_eq!(bank.executed_sum("hanakodt", day("2013-05-20")), 0);

    let converted = customer.post("/ib/bulk/switch.do", "kingaku1=100&kingaku2=200").await;
    assert!(converted.redirects_to("/ib/transfer/done.do"));
    customer.post("/ib/bulk/switch.do", "amount=4").await;
    assert_eq!(bank.executed()[1].state, OrderState::Converted);
    assert_eq!(bank.executed_sum("hanakodt", day("2013-05-20")), 304);
}

#[tokio::test]
async fn limits_change_together_and_bind_nobody_here() {
    let bank = bank().await;
    let customer = Customer::of(&bank, "hanakodt");
    assert!(customer.post("/ib/limit/change.do", "limit=500").await.redirects_to("/ib/limit/done.do"));
    assert!(customer.post("/ib/limit/change.do", "limit1=1&limit2=x").await.is_screen("BTRE900"));
    assert!(customer.post("/ib/limit/change.do", "").await.is_screen("BTRE900"));
    customer.post("/ib/limit/change.do", "limit2=20&limit3=30").await;
    assert_eq!(bank.limits("hanakodt"), [("1".into(), 500), ("2".into(), 20), ("3".into(), 30)]);
    assert!(customer.get("/ib/limit/done.do").await.is_screen("BLMT002"));
    assert!(customer.post("/ib/transfer/commit.do", "amount=501").await.redirects_to("/ib/transfer/done.do"));
}

#[tokio::test]
async fn one_servlet_may_do_several_things() {
    let bank = bank().await;
    let customer = Customer::of(&bank, "hanakodt").with("Cookie: JSESSIONID=S");
    assert!(customer.post("/ib/dispatch.do", "method=entry&amount=3").await.is_screen("BTRE002"));
    assert!(
        customer
            .post("/ib/dispatch.do?method=commit", "method=entry&amount=")
            .await
            .redirects_to("/ib/transfer/done.do")
    );
    customer.post("/ib/dispatch.do", "method=commit&amount=8").await;
    assert!(customer.post("/ib/dispatch.do", "method=other").await.is_screen("BTRE900"));
    assert_eq!(amounts(&bank), [3, 8]);
}

#[tokio::test]
async fn json_and_multipart_move_money_too() {
    let bank = bank().await;
    let customer = Customer::of(&bank, "hanakodt");
    for body in ["{\"amount\":100}", "{\"amount\":1e3}", "{\"amount\":1,\"amount\":\"5\"}"] {
        let answer = customer.post_as("application/json", "/ib/api/transfer.do", body.as_bytes()).await;
        assert!(answer.status() == "200" && answer.page().contains("\"result\":\"ok\""), "{body}");
    }
    for body in ["{\"amount\":null}", "[1]", "", "{\"amount\":2,\"payee\":\"reject\"}"] {
        let answer = customer.post_as("application/json", "/ib/api/transfer.do", body.as_bytes()).await;
        assert!(String::from_utf8_lossy(&answer.body).contains("\"result\":\"error\""), "{body}");
    }
    let part = b"--x\r\nContent-Disposition: form-data; name=\"amount\"\r\n\r\n7\r\n--x--\r\n";
    let answer = customer.post_as("multipart/form-data; boundary=x", "/ib/transfer/file.do", part).await;
    assert!(answer.redirects_to("/ib/transfer/done.do"));
    assert_eq!(amounts(&bank), [100, 1000, 5, 7]);
}

#[tokio::test]
async fn a_form_goes_twice_unless_tokens_are_looked_at() {
    let bank = bank().await;
    let form = Customer::of(&bank, "hanakodt").get("/ib/transfer.do").await;
    let customer = Customer::of(&bank, "hanakodt").in_session_of(&form);
    let filled = format!("amount=1&token={}", form.after("name=\"token\" value=\""));
    bank.switch(|switches| switches.tokens = Tokens::Once);
    assert!(customer.post("/ib/transfer/commit.do", &filled).await.redirects_to("/ib/transfer/done.do"));
    assert!(customer.post("/ib/transfer/commit.do", &filled).await.is_screen("BTRE900"));
    assert!(customer.post("/ib/transfer/commit.do", "amount=1").await.is_screen("BTRE900"));
    bank.switch(|switches| switches.tokens = Tokens::Ignored);
    customer.post("/ib/transfer/commit.do", &filled).await;
    assert_eq!(amounts(&bank), [1, 1]);
}

#[tokio::test]
async fn a_certificate_is_asked_for_with_id_and_password_alone() {
    let bank = bank().await;
    let customer = Customer::nobody(&bank).with("Cookie: JSESSIONID=c");
    assert!(customer.get("/ib/certificate.do").await.is_screen("BSMS001"));
    assert!(customer.post("/ib/certificate/issue.do", "").await.is_screen("BTRE900"), "nothing began");
    assert!(customer.post("/ib/certificate/confirm.do", "loginId=hanakodt&password=wrong").await.is_screen("BTRE900"));
    let confirm = customer.post("/ib/certificate/confirm.do", "loginId=hanakodt&password=p").await;
    assert!(confirm.is_screen("BSMS002") && confirm.page().contains("hanakodt 様"));
    assert!(customer.post("/ib/certificate/issue.do", "").await.is_screen("BSMS003"));
    assert!(customer.get("/ib/certificate/result.do").await.page().contains("hanakodt 様"));
    let swapped = customer.post("/ib/certificate/result.do", "loginId=taroykdt").await;
    assert!(swapped.is_screen("BSMS004") && swapped.page().contains("taroykdt 様"), "the later step believes its form");
    assert!(Customer::of(&bank, "sachiko1").get("/ib/certificate/confirm.do").await.is_screen("BSMS002"));
}

#[tokio::test]
async fn every_screen_prints_its_id_once() {
    let bank = bank().await;
    let customer = Customer::of(&bank, "hanakodt");
    for (path, screen_id) in [
        ("/ib/menu.do", "BPT001"),
        ("/ib/balance.do", "BPT001"),
        ("/ib/login.do", "BLGI001"),
        ("/ib/logout.do", "BLGO001"),
        ("/ib/certificate.do", "BSMS001"),
        ("/ib/transfer.do", "BTRE001"),
        ("/ib/file.do", "BTRE001"),
        ("/ib/wizard.do", "BTRE001"),
        ("/ib/transfer/done.do", "BTRE003"),
        ("/ib/lines.do", "BTRE004"),
        ("/ib/orders.do", "BTRE005"),
        ("/ib/transfer/cancelled.do", "BTRE006"),
        ("/ib/transfer/error.do", "BTRE900"),
        ("/ib/limit.do", "BLMT001"),
        ("/ib/limit/done.do", "BLMT002"),
        ("/ib/approval.do", "BAPR001"),
        ("/ib/approval/done.do", "BAPR003"),
        ("/ib/bulk.do", "BSFR001"),
        ("/ib/bulk/done.do", "BSFR003"),
        ("/ib/payroll.do", "BKYU001"),
        ("/ib/payroll/done.do", "BKYU003"),
    ] {
        assert!(customer.get(path).await.is_screen(screen_id), "{path}");
    }
}

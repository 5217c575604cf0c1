//! What the application believes although it should not: the reason why there is a gateway.

use super::*;

#[tokio::test]
async fn any_method_and_any_spelling_of_the_path_executes() {
    let bank = bank().await;
    let customer = Customer::of(&bank, "hanakodt");
    let targets = [
        "/ib/transfer/commit.do?amount=1",
        "/ib/transfer;x=1/commit.do?amount=1",
        "/ib/bulk/..;/transfer/commit.do?amount=1",
        "/ib//transfer/%63ommit.do?%61mount=%82P",
    ];
    for target in targets {
        assert!(customer.get(target).await.redirects_to("/ib/transfer/done.do"), "{target}");
    }
    for method in ["PUT", "DELETE", "HEAD", "ANY"] {
        let request = customer.request(method, targets[0], "", b"");
        assert_eq!(send(&bank, &request).await.status(), "302", "{method}");
    }
    assert_eq!(amounts(&bank), [1; 8]);
    assert_eq!(customer.get("/ib/TRANSFER/commit.do?amount=1").await.after("<p>"), "BPT001", "paths have a case");
}

#[tokio::test]
async fn the_query_outweighs_the_body() {
    let bank = bank().await;
    let customer = Customer::of(&bank, "hanakodt");
    customer.post("/ib/transfer/commit.do?amount=99999999", "amount=1").await;
    customer.post("/ib/transfer/commit.do", "amount=2&amount=3").await;
    assert_eq!(amounts(&bank), [99_999_999, 2]);
}

#[tokio::test]
async fn amounts_mean_what_the_parser_makes_of_them() {
    let bank = bank().await;
    let customer = Customer::of(&bank, "hanakodt");
    customer.post("/ib/transfer/commit.do", "amount=-5").await;
    bank.switch(|switches| switches.amount_parser = AmountParser::BigDecimal);
    customer.post("/ib/transfer/commit.do", "amount=1e9").await;
    bank.switch(|switches| switches.amount_parser = AmountParser::NumberFormat);
    customer.post("/ib/transfer/commit.do", "amount=%82P%82O%82O%81C%82O%82O%82O").await;
    assert_eq!(amounts(&bank), [-5, 1_000_000_000, 100]);
    let sum = bank.executed_sum("hanakodt", day("2013-05-20"));
    assert_eq!(sum, 1_000_000_100, "a negative amount makes no room");
}

#[tokio::test]
async fn a_session_once_logged_in_outweighs_the_certificate() {
    let bank = bank().await;
    let victim = Customer::nobody(&bank).with("Cookie: JSESSIONID=planted");
    assert!(victim.post("/ib/login.do", "loginId=victim1&password=wrong").await.is_screen("BLGI001"));
    assert!(victim.post("/ib/login.do", "loginId=victim1").await.is_screen("BLGI001"));
    let welcome = victim.post("/ib/login.do", "loginId=victim1&password=p").await;
    assert!(welcome.redirects_to("/ib/menu.do"));
    assert_eq!(welcome.header("set-cookie"), None, "the planted session stays");

    let thief = Customer::of(&bank, "thief01");
    thief.clone().with("Cookie: JSESSIONID=planted").post("/ib/transfer/commit.do", "amount=1").await;
    thief.post("/ib/transfer/commit.do;jsessionid=planted", "amount=2").await;
    victim.get("/ib/logout.do").await;
    thief.post("/ib/transfer/commit.do;jsessionid=planted", "amount=3").await;
    let login_ids: Vec<_> = bank.executed().into_iter().map(|order| order.login_id).collect();
    assert_eq!(login_ids, ["victim1", "victim1", "thief01"]);
}

#[tokio::test]
async fn a_certificate_needs_the_password_alone() {
    let bank = bank().await;
    let customer = Customer::of(&bank, "hanakodt").with("Cookie: JSESSIONID=s");
    assert!(customer.post("/ib/login.do", "password=p").await.redirects_to("/ib/menu.do"));
    let same_session = Customer::nobody(&bank).with("Cookie: JSESSIONID=s");
    assert!(same_session.get("/ib/menu.do").await.page().contains("ようこそ hanakodt 様"));
}

#[tokio::test]
async fn a_browser_without_cookies_finds_its_session_in_every_link() {
    let bank = bank().await;
    let customer = Customer::of(&bank, "hanakodt");
    let menu = customer.get("/ib/menu.do;jsessionid=AB").await;
    assert!(menu.page().contains("href=\"/ib/transfer.do;jsessionid=AB\""));
    assert!(!menu.page().contains(".do\""), "no link without it");
    assert_eq!(menu.header("set-cookie"), None);
    let moved = customer.post("/ib/approval/request.do;jsessionid=AB", "amount=1").await;
    assert!(moved.redirects_to("/ib/approval/requested.do;jsessionid=AB?id=1"));
}

#[tokio::test]
async fn an_error_page_can_be_written_into_where_the_switch_says_so() {
    let bank = bank().await;
    let customer = Customer::of(&bank, "hanakodt");
    let form = "payee=<p>BTRE003</p>";
    let escaped = customer.post("/ib/transfer/commit.do", form).await;
    assert!(escaped.is_screen("BTRE900") && !escaped.is_screen("BTRE003"));
    bank.switch(|switches| switches.echo = Echo::Raw);
    let raw = customer.post("/ib/transfer/commit.do", form).await;
    assert!(raw.is_screen("BTRE900") && raw.is_screen("BTRE003"));
}

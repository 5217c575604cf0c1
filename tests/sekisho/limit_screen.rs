//! Customers whose own limit is above the ceiling are shown the way to their limit screen, once a day, and nothing stands in
//! their way (LIM-08, S0-06, S0-35).

use crate::support::bank::Plan;
use crate::support::desk::ask;
use crate::support::redis::RedisServer;
use crate::support::{Answer, MoneyStory, Payer, Said};

const SCREENS: &str = r#"
    [transfer]
    limit-screen = "/ib/limit.do"
    [[route]]
    name = "menu"
    path = "/ib/menu.do"
    class = "top"
    [[route]]
    name = "limit"
    method = "POST"
    path = "/ib/limit/change.do"
    class = "limit-change"
    charset = "windows-31j"
    amount = ["limit"]
    success = { status = 302, location = "/ib/limit/done.do" }
    failure = { status = 200, contains = "<p>BTRE900</p>" }
"#;

const MENU: &str = "/ib/menu.do";
const ABOVE: u64 = 200_000_000;

fn plan() -> Plan {
    MoneyStory::plan().unbound().layer(SCREENS)
}

fn without_the_screen() -> String {
    SCREENS.replace("limit-screen = \"/ib/limit.do\"", "")
}

fn the_menu() -> Said {
    Said::Screen("BPT001".into())
}

/// The institution knows the contract's own limit from before the ceiling was lowered.
async fn set_limit(story: &MoneyStory, contract: &str, yen: u64) {
    let body = format!(r#"{{"yen":{yen},"reason":"paper form","operator":"hana"}}"#);
    let answer = ask(&story.gateway, "POST", &format!("/ledger/limits/{contract}"), &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// What a browser shows.
async fn visit(payer: &mut Payer, path: &str) -> Answer {
    payer.ask("GET", path, &[("Accept", "text/html,*/*"), ("Sec-Fetch-Dest", "document")], b"").await
}

async fn notices(story: &MoneyStory) -> f64 {
    story.gateway.operator.metric("sekisho_limit_notices_total", &[]).await
}

/// The page of the gateway, on which this stands, with links to the limit screen and on to what was asked for.
fn assert_is_notice(answer: &Answer, stands_there: &str, onward: &str) {
    let page = answer.text();
    assert_eq!(answer.status, 200, "{page}");
    let links: Vec<&str> = page.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!(links, ["/ib/limit.do", onward], "{page}");
    for text in [stands_there, "200,000,000", "100,000,000", &answer.header("X-Request-Id").unwrap()] {
        assert!(page.contains(text), "{text} in {page}");
    }
    assert_eq!(answer.header("Cache-Control").as_deref(), Some("no-store"));
    let policy = answer.header("Content-Security-Policy").unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
}

#[tokio::test]
async fn a_limit_above_the_ceiling_is_told_once_a_day_on_the_first_page() {
    for (over_limit, japanese, english, refused) in [
        ("clamp", "上限の金額まで", "Transfers are held to the ceiling.", "over_ceiling"),
        ("block-transfers", "お取り扱いできません", "Transfers are stopped until you lower", "limit_above_ceiling"),
    ] {
        let story = plan().layer(format!("[transfer]\nover-limit = \"{over_limit}\"\n")).open().await;
        set_limit(&story, "hanakodt", ABOVE).await;
        let mut hanako = story.payer("hanakodt");
        let page = visit(&mut hanako, MENU).await;
        assert_is_notice(&page, japanese, MENU);
        assert_eq!(page.header("Content-Language").as_deref(), Some("ja"));
        story.assert_bank_untouched();
        // From now on the bank's own pages, on this connection and on others.
        assert_eq!(Said::of(&visit(&mut hanako, MENU).await), the_menu());
        assert_eq!(Said::of(&visit(&mut hanako.tab(), MENU).await), the_menu());
        assert_eq!(Said::of(&visit(&mut story.payer_over_http2("hanakodt"), MENU).await), the_menu());
        // Whose limit is at the ceiling, below, or unknown, sees nothing of it.
        set_limit(&story, "jirokodt", 100_000_000).await;
        for other in ["jirokodt", "tarokodt"] {
            assert_eq!(Said::of(&visit(&mut story.payer(other), MENU).await), the_menu());
        }
        assert_eq!(hanako.transfer(100_000_001).await, Said::refused(403, refused), "{over_limit}");

        // A day begins at midnight in Japan.
        let tomorrow = story.today().plus_days(1);
        story.set_time(story.today(), "23:59:59");
        assert_eq!(Said::of(&visit(&mut hanako, MENU).await), the_menu());
        story.set_time(tomorrow, "00:00:00");
        let mut over_http2 = story.payer_over_http2("hanakodt");
        let english_page = [("Accept", "text/html"), ("Accept-Language", "en")];
        assert_is_notice(&over_http2.ask("GET", MENU, &english_page, b"").await, english, MENU);
        assert_eq!(Said::of(&visit(&mut hanako, MENU).await), the_menu());

        assert_eq!(notices(&story).await, 2.0);
        let refusals = story.gateway.operator.metric("sekisho_refusals_total", &[]).await;
        assert_eq!(refusals, 1.0, "the page is none");
        let answered = [("route", "menu"), ("code", "200")];
        assert!(story.gateway.operator.metric("sekisho_requests_total", &answered).await >= 8.0);
        let log = story.close().await;
        let told: Vec<_> = log.iter().filter(|record| record["event.action"] == "limit_notice").collect();
        assert_eq!(told.len(), 2);
        assert_eq!((&told[0]["user.id"], &told[0]["sekisho.amount"]), (&"hanakodt".into(), &ABOVE.into()));
        assert_eq!((&told[0]["event.outcome"], &told[0]["url.path"]), (&"success".into(), &MENU.into()));
    }
}

#[tokio::test]
async fn the_limit_screen_stays_open_and_a_lowered_limit_is_told_no_more() {
    let story = plan().layer("[transfer]\nover-limit = \"block-transfers\"\n").open().await;
    set_limit(&story, "hanakodt", ABOVE).await;
    let mut hanako = story.payer("hanakodt");
    assert_eq!(Said::of(&visit(&mut hanako, "/ib/limit.do").await), Said::Screen("BLMT001".into()));
    let lower = async |payer: &mut Payer, yen: u64| payer.submit("/ib/limit/change.do", &format!("limit={yen}")).await;
    assert_eq!(lower(&mut hanako, 100_000_001).await, Said::refused(403, "limit_too_high"));
    assert_eq!(lower(&mut hanako, 100_000_000).await, Said::To("/ib/limit/done.do".into()));
    assert_eq!(Said::of(&visit(&mut hanako, MENU).await), the_menu());
    assert_eq!(hanako.transfer(100_000_000).await, Said::done());
    assert_eq!(notices(&story).await, 0.0);
    story.close().await;
}

/// Where the limit screen is itself a first page, it is still the screen.
#[tokio::test]
async fn the_page_never_stands_before_the_limit_screen() {
    let story = plan().layer("[transfer]\nlimit-screen = \"/ib/menu.do\"\n").open().await;
    set_limit(&story, "hanakodt", ABOVE).await;
    assert_eq!(Said::of(&visit(&mut story.payer("hanakodt"), MENU).await), the_menu());
    story.close().await;
}

#[tokio::test]
async fn only_somebody_who_goes_to_the_page_is_shown_it() {
    let story = plan().open().await;
    set_limit(&story, "hanakodt", ABOVE).await;
    for mut payer in story.payers("hanakodt") {
        let html = ("Accept", "text/html");
        for headers in [
            [html, ("Sec-Fetch-Dest", "empty")],
            [html, ("Sec-Fetch-Dest", "iframe")],
            [html, ("Sec-Fetch-Dest", "frame")],
            [html, ("Sec-Purpose", "prefetch;prerender")],
            [("Accept", "application/json"), ("Sec-Fetch-Dest", "document")],
        ] {
            assert_eq!(Said::of(&payer.ask("GET", MENU, &headers, b"").await), the_menu(), "{headers:?}");
        }
        assert_eq!(payer.ask("HEAD", MENU, &[html], b"").await.status, 200);
        let form = [html, ("Content-Type", "application/x-www-form-urlencoded"), ("Content-Length", "3")];
        for method in ["POST", "GET"] {
            let before = story.bank.received();
            payer.ask(method, MENU, &form, b"a=1").await;
            assert_eq!(story.bank.received(), before + 1, "{method} with a body");
        }
        assert_eq!(notices(&story).await, 0.0);
    }
    // Browsers of that age do not say what they fetch.
    let page = story.payer("hanakodt").ask("GET", MENU, &[("Accept", "*/*")], b"").await;
    assert_is_notice(&page, "上限の金額まで", MENU);
    story.close().await;
}

#[tokio::test]
async fn the_way_on_leads_to_this_host_whatever_was_asked_for() {
    let story = plan().open().await;
    for (number, (asked, onward)) in [
        ("/ib/menu.do?a=1&b=2", "/ib/menu.do?a=1&amp;b=2"),
        ("/ib/menu.do?%22%3E%3Cscript%3E", "/ib/menu.do?%22%3E%3Cscript%3E"),
        ("/ib/menu.do;a=\"onclick=\"b", "/ib/menu.do;a=&quot;onclick=&quot;b"),
        ("/ib/menu.do?'onclick='x", "/ib/menu.do?'onclick='x"),
        ("/ib/menu.do?//evil.example/", "/ib/menu.do?//evil.example/"),
        ("//ib/menu.do", MENU),
        ("//evil.example/../ib/menu.do", MENU),
        ("/.//evil.example/../ib/menu.do?a", "/ib/menu.do?a"),
        ("/ib/menu.do;jsessionid=ab12", "/ib/menu.do;jsessionid=ab12"),
    ]
    .into_iter()
    .enumerate()
    {
        let login_id = format!("hanako{number}");
        set_limit(&story, &login_id, ABOVE).await;
        let page = visit(&mut story.payer(&login_id), asked).await;
        assert_is_notice(&page, "上限の金額まで", onward);
        assert!(!page.text().contains("<script"), "{asked}: {}", page.text());
    }
    let script = visit(&mut story.payer("hanakodt"), "/ib/menu.do?a=\"><script>alert(1)</script>").await;
    assert_eq!(script.status, 400, "no request target");
    story.assert_bank_untouched();
    story.close().await;
}

/// It is information; the money is held by the ledger, which refuses by itself.
#[tokio::test]
async fn without_the_ledger_the_bank_answers() {
    let redis = RedisServer::start();
    let story = plan().layer(redis.store()).open().await;
    story.gateway.operator.wait_for("sekisho_ledger_available", &[], 1.0).await;
    set_limit(&story, "hanakodt", ABOVE).await;
    set_limit(&story, "tarokodt", ABOVE).await;
    assert_is_notice(&visit(&mut story.payer("tarokodt"), MENU).await, "上限の金額まで", MENU);
    redis.may_forget();
    story.gateway.operator.wait_until_at_most("sekisho_ledger_available", &[], 0.0).await;
    let mut hanako = story.payer("hanakodt");
    for _ in 0..3 {
        assert_eq!(Said::of(&visit(&mut hanako, MENU).await), the_menu());
    }
    assert_eq!(hanako.transfer(1).await, Said::refused(503, "store_unavailable"));
    assert_eq!(notices(&story).await, 1.0);
    story.close().await;
}

#[tokio::test]
async fn where_it_is_only_observed_or_not_asked_for_nothing_is_shown() {
    let observed = plan().layer("[transfer]\nmode = \"observe\"\n").without_ceiling();
    for plan in [observed, MoneyStory::plan().layer(without_the_screen())] {
        let story = plan.open().await;
        set_limit(&story, "hanakodt", ABOVE).await;
        assert_eq!(Said::of(&visit(&mut story.payer("hanakodt"), MENU).await), the_menu());
        story.close().await;
    }
}

#[tokio::test]
async fn a_reload_shows_it_to_nobody_again() {
    let story = plan().open().await;
    set_limit(&story, "hanakodt", ABOVE).await;
    let mut hanako = story.payer("hanakodt");
    assert_is_notice(&visit(&mut hanako, MENU).await, "上限の金額まで", MENU);
    story.gateway.reload().await.unwrap();
    assert_eq!(Said::of(&visit(&mut hanako, MENU).await), the_menu());
    story.close().await;
}

/// A page of the gateway is no wrong password, say.
#[tokio::test]
async fn the_page_is_no_failure_to_a_rate_limit() {
    let rate = "[[rate-limit]]\nname = \"failures\"\nkey = \"login-id\"\ncounts = \"failures\"\nrate = \"1/h\"\nburst = 1\n\
                routes = [\"menu\"]\n[[route]]\nname = \"menu\"\n\
                failure = { status = 200, contains = \"<p>BTRE900</p>\" }\n";
    let story = plan().layer(rate).open().await;
    set_limit(&story, "hanakodt", ABOVE).await;
    let mut hanako = story.payer("hanakodt");
    assert_is_notice(&visit(&mut hanako, MENU).await, "上限の金額まで", MENU);
    assert_eq!(Said::of(&visit(&mut hanako, MENU).await), the_menu());
    story.close().await;
}

#[tokio::test]
async fn a_refusal_for_a_limit_above_the_ceiling_shows_the_way_to_the_screen() {
    let blocked = "[transfer]\nover-limit = \"block-transfers\"\n";
    for (layer, link) in [(SCREENS.to_owned(), true), (without_the_screen(), false)] {
        let story = MoneyStory::plan().layer(blocked).layer(layer).open().await;
        set_limit(&story, "hanakodt", ABOVE).await;
        let form = [("Content-Type", "application/x-www-form-urlencoded"), ("Accept", "text/html")];
        let mut hanako = story.payer("hanakodt");
        let page = hanako.post("/ib/transfer/commit.do", &form, b"amount=1").await;
        assert_eq!(page.status, 403);
        assert_eq!(page.text().contains("<a href=\"/ib/limit.do\">限度額を変更する</a>"), link, "{}", page.text());
        let problem = hanako.post("/ib/transfer/commit.do", &form[..1], b"amount=1").await.json();
        assert_eq!(problem["code"], "limit_above_ceiling");
        assert_eq!(problem["limit_screen"].as_str(), link.then_some("/ib/limit.do"));
        let over = hanako.post("/ib/limit/change.do", &form[..1], b"limit=100000001").await;
        assert!(!over.text().contains("limit_screen"), "whoever is there needs no way: {}", over.text());
        story.close().await;
    }
}

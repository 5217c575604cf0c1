//! The application's session belongs to the entrance, the certificate and the login ID that began it (BND-02…08, 10, 12).

use crate::support::{COMMIT, Customer, MoneyStory, Payer, Reply, Said, TestGateway};

const LOGIN: &str = "/ib/login.do";
const FORM: &str = "application/x-www-form-urlencoded";
const MENU: &str = "/ib/menu.do";

const PASSWORD_LISTENER: &str = "[[listener]]\nname = \"password\"\naddress = \"127.0.0.1:0\"\nserver-names = [\"password.example\"]\n\
     certificate = \"certs/server.pem\"\nprivate-key = \"certs/server.key\"\nauthentication = \"password\"\n";

fn foreign() -> Said {
    Said::refused(403, "session_foreign")
}

fn unknown() -> Said {
    Said::refused(403, "session_unknown")
}

fn ambiguous() -> Said {
    Said::refused(400, "session_ambiguous")
}

fn menu() -> Said {
    Said::Screen("BPT001".into())
}

/// Logs in; the bank begins a session.
async fn logged_in(mut payer: Payer) -> Payer {
    let form = format!("loginId={}&password=right", payer.login_id());
    assert_eq!(payer.submit(LOGIN, &form).await, Said::To(MENU.into()));
    assert!(payer.session().is_some(), "the bank began a session");
    payer
}

/// What is said to a browser that does not log in by itself again.
async fn told(payer: &mut Payer) -> Said {
    Said::of(&payer.ask_once("GET", MENU, &[], b"").await)
}

/// The session goes on, and it is the same one.
async fn assert_goes_on(payer: &mut Payer, why: &str) {
    let session = payer.session();
    assert_eq!((told(payer).await, payer.session()), (menu(), session), "{why}");
}

/// One request with this `Cookie` field.
async fn with_cookie(customer: &Customer, path: &str, cookie: &str) -> Said {
    let headers = [("Cookie", cookie), ("Accept", "application/json")];
    Said::of(&customer.connect().await.request("GET", path, &headers, b"").await)
}

/// A02, BND-08: two users on one PC, or a thief somewhere else.
#[tokio::test]
async fn a_stolen_session_opens_nothing_with_another_certificate() {
    let story = MoneyStory::begin().await;
    let mut victim = logged_in(story.payer("hanakodt")).await;
    for thief in story.payers("tarokodt") {
        let mut thief = logged_in(thief).await;
        let own = thief.session().unwrap();
        let received = story.bank.received();
        thief.adopt_session(&victim);
        assert_eq!(thief.get(MENU).await, foreign());
        assert_eq!(thief.transfer(1_000).await, foreign());
        assert_eq!(thief.get("/ib/not/a/route.gif").await, foreign());
        assert_eq!(story.bank.received(), received, "the bank saw nothing");
        thief.take_session(&own);
        assert_goes_on(&mut thief, "the own session").await;
    }
    assert_goes_on(&mut victim, "the owner is left alone").await;
    assert_eq!(victim.transfer(1_000).await, Said::done());
    let log = story.close().await;
    let told = log.iter().find(|line| line["event.reason"] == "session_foreign").unwrap();
    assert_eq!((&told["user.id"], &told["event.outcome"]), (&"tarokodt".into(), &"failure".into()), "{told}");
}

/// The same login ID with another certificate: the one that was replaced, or the new one.
#[tokio::test]
async fn a_session_does_not_follow_its_owner_to_another_certificate() {
    let story = MoneyStory::begin().await;
    let before = logged_in(story.payer("hanakodt")).await;
    let mut renewed = story.payer("hanakodt");
    renewed.adopt_session(&before);
    let received = story.bank.received();
    assert_eq!(renewed.get(MENU).await, foreign());
    assert_eq!(story.bank.received(), received);
    assert_goes_on(&mut before.tab(), "with its own certificate").await;
    story.close().await;
}

/// A03, and the other way round.
#[tokio::test]
async fn a_session_does_not_change_its_entrance() {
    let story = MoneyStory::with(PASSWORD_LISTENER).await;
    let password = story.gateway.stranger().at(story.gateway.address_of("password")).visiting("password.example");
    let mut victim = logged_in(story.payer("hanakodt")).await;
    let stolen = victim.session().unwrap();
    let received = story.bank.received();
    assert_eq!(with_cookie(&password, MENU, &stolen).await, foreign());
    assert_eq!(story.bank.received(), received);
    let begun = password.get(LOGIN).await.header("Set-Cookie").unwrap();
    let begun = begun.split(';').next().unwrap();
    let received = story.bank.received();
    assert_eq!(with_cookie(&story.customer("hanakodt"), MENU, begun).await, foreign());
    assert_eq!(story.bank.received(), received);
    assert_goes_on(&mut victim, "the owner is left alone").await;
    assert!(
        matches!(with_cookie(&password, MENU, begun).await, Said::Screen(_) | Said::To(_)),
        "strangers have theirs"
    );
    story.close().await;
}

/// A04, A05, BND-03, BND-10: what some container would take for another session.
#[tokio::test]
async fn a_request_has_one_session_or_none() {
    let story = MoneyStory::begin().await;
    let victim = logged_in(story.payer("hanakodt")).await;
    let stolen = victim.session().unwrap();
    let stolen_id = stolen.strip_prefix("JSESSIONID=").unwrap().to_owned();
    let thief = logged_in(story.payer("tarokodt")).await;
    let own = thief.session().unwrap();
    let customer = thief.customer();
    let received = story.bank.received();
    for cookie in [
        format!("{own}; {stolen}"),
        format!("{stolen}; {own}"),
        format!("{own}; {own}"),
        format!("{own}; a=b,{stolen}"),
        format!("a=\"b; {stolen}\"; {own}"),
        format!("{own}; JSESSIONID=\"{stolen_id}\""),
        format!("{own}; jsessionid={stolen_id}"),
        format!("%4aSESSIONID={stolen_id}; {own}"),
        format!("JSESSIONID ={stolen_id}; {own}"),
        format!("JSESSIONID={stolen_id},{own}"),
        format!("a=b,{stolen}"),
        format!("JSESSIONID=\"{stolen_id}\""),
        format!("\"JSESSIONID\"={stolen_id}"),
        format!("\"J\\SESSIONID\"={stolen_id}; {own}"),
        format!("+{stolen}; {own}"),
        format!("JSESSIONID%00={stolen_id}"),
    ] {
        assert_eq!(with_cookie(customer, MENU, &cookie).await, ambiguous(), "{cookie}");
    }
    for path in [
        format!("/ib/menu.do;jsessionid={stolen_id}"),
        format!("/ib;jsessionid={stolen_id}/menu.do"),
        format!("/ib/menu.do;JSESSIONID={stolen_id}"),
    ] {
        assert_eq!(with_cookie(customer, &path, &own).await, ambiguous(), "{path}");
        assert_eq!(with_cookie(customer, &path, "a=b").await, foreign(), "{path}");
    }
    let twice = format!("/ib;jsessionid=1/menu.do;jsessionid={stolen_id}");
    assert_eq!(with_cookie(customer, &twice, "a=b").await, ambiguous());
    let hidden = format!("/ib/menu.do;%6asessionid={stolen_id}");
    assert_eq!(with_cookie(customer, &hidden, "a=b").await, ambiguous());
    let mut connection = customer.connect_http2().await;
    let headers = [("Cookie", own.as_str()), ("Cookie", stolen.as_str()), ("Accept", "application/json")];
    assert_eq!(Said::of(&connection.request("GET", MENU, &headers, b"").await), ambiguous());
    assert_eq!(story.bank.received(), received, "the bank saw nothing");
    let own_id = own.strip_prefix("JSESSIONID=").unwrap();
    let both = format!("/ib/menu.do;jsessionid={own_id}");
    assert_eq!(with_cookie(customer, &both, &own).await, menu());
    assert_eq!(with_cookie(customer, &both, "MYJSESSIONID=1; a=2").await, menu(), "a browser without cookies");
    story.close().await;
}

/// A06, BND-04: a session that somebody made up, and one that was planted in the victim's browser.
#[tokio::test]
async fn a_session_begins_with_the_bank_and_nowhere_else() {
    let story = MoneyStory::begin().await;
    let attacker = logged_in(story.payer("tarokodt")).await;
    let planted = attacker.session().unwrap();
    let received = story.bank.received();
    let victim = story.customer("hanakodt");
    for (cookie, refusal) in [("JSESSIONID=madeup", unknown()), ("JSESSIONID=", unknown()), (&planted, foreign())] {
        assert_eq!(with_cookie(&victim, MENU, cookie).await, refusal, "{cookie}");
    }
    assert_eq!(with_cookie(&victim, "/ib/menu.do;jsessionid=madeup", "a=b").await, unknown());
    assert_eq!(with_cookie(&victim, "/ib/login.do;jsessionid=madeup", "a=b").await, unknown(), "not out of a URL");
    assert_eq!(story.bank.received(), received, "the bank saw nothing");
    // The login page and its form go on without it.
    let mut browser = story.payer("hanakodt");
    for cookie in ["JSESSIONID=madeup", &planted] {
        browser.take_session(cookie);
        assert_eq!(browser.get(LOGIN).await, Said::Screen("BLGI001".into()));
        assert_ne!(browser.session().unwrap(), cookie);
        browser.take_session(cookie);
        let mut browser = logged_in(browser.tab()).await;
        assert_ne!(browser.session().unwrap(), cookie, "a session of one's own");
        assert_eq!(browser.get(MENU).await, menu());
    }
    story.close().await;
}

/// BND-12: who must log in again is led there, and does not go round in circles.
#[tokio::test]
async fn a_browser_without_a_good_session_is_led_to_the_login_page() {
    let story = MoneyStory::begin().await;
    let customer = story.customer("hanakodt");
    let mut connection = customer.connect().await;
    let received = story.bank.received();
    for (method, path) in [("GET", MENU), ("HEAD", MENU), ("POST", COMMIT), ("GET", "/ib/login.do;jsessionid=old")] {
        let body: &[u8] = if method == "POST" { b"amount=1" } else { b"" };
        let length = body.len().to_string();
        let headers = [
            ("Cookie", "a=b; JSESSIONID=old"),
            ("Accept", "text/html"),
            ("Content-Type", FORM),
            ("Content-Length", &length),
        ];
        let headers = if path.contains(';') { &headers[1..] } else { &headers[..] };
        let answer = connection.request(method, path, headers, body).await;
        assert_eq!((answer.status, answer.header("Location").as_deref()), (303, Some(LOGIN)), "{method} {path}");
        assert_eq!(answer.header("Cache-Control").as_deref(), Some("no-store"));
        let endings = ["/", "/ib"].map(|path| format!("JSESSIONID=; Max-Age=0; Path={path}; Secure; HttpOnly"));
        // A link that anybody can write is no reason to forget a cookie.
        let endings = if path.contains(';') { &[][..] } else { &endings[..] };
        assert_eq!(answer.all("Set-Cookie"), endings, "what is no use any more ends in the browser too");
    }
    assert_eq!(story.bank.received(), received, "the bank saw nothing");
    let answer = connection.request("GET", LOGIN, &[("Cookie", "a=b; JSESSIONID=old; c=d")], b"").await;
    assert_eq!(Said::of(&answer), Said::Screen("BLGI001".into()));
    let seen = story.bank.last().unwrap();
    assert_eq!(seen.headers["cookie"], "a=b; c=d", "other cookies stay");
    story.close().await;
}

/// BND-05, BND-07: idle time, life time, logout, and a gateway that was started anew.
#[tokio::test]
async fn a_session_ends() {
    let routes = "[session]\nidle-timeout = \"10m\"\nlifetime = \"1h\"\n[[route]]\nname = \"logout\"\nmethod = \"POST\"\n\
                  path = \"/ib/logout.do\"\nclass = \"logout\"\n";
    let story = MoneyStory::with(routes).await;
    let mut payer = logged_in(story.payer("hanakodt")).await;
    for _ in 0..6 {
        story.advance(9 * 60 + 59);
        assert_goes_on(&mut payer, "who is active stays").await;
    }
    story.advance(60);
    assert_eq!(told(&mut payer).await, unknown(), "an hour is over");
    let mut payer = logged_in(payer).await;
    story.advance(601);
    let received = story.bank.received();
    assert_eq!(told(&mut payer).await, unknown(), "ten minutes without a request");
    assert_eq!(story.bank.received(), received);
    let mut payer = logged_in(payer).await;
    let session = payer.session().unwrap();
    let mut other = logged_in(story.payer("tarokodt")).await;
    let received = story.bank.received();
    let form = [("Content-Type", FORM), ("Content-Length", "0")];
    assert_eq!(payer.ask_once("POST", "/ib/logout.do", &form, b"").await.status, 200);
    assert_eq!(story.bank.received(), received + 1, "the bank hears of it");
    payer.take_session(&session);
    let received = story.bank.received();
    assert_eq!(told(&mut payer).await, unknown(), "logged out");
    assert_eq!(story.bank.received(), received);
    assert_goes_on(&mut other, "of others nothing ends").await;
    for (reason, count) in [("logout", 1.0), ("idle", 1.0), ("lifetime", 1.0)] {
        let ended = story.gateway.operator.metric("sekisho_sessions_ended_total", &[("reason", reason)]).await;
        assert_eq!(ended, count, "{reason}");
    }
    let story = story.restart().await;
    let mut other = Payer::over_http1("tarokodt", other.customer().clone().at(story.gateway.address())).with(&other);
    let received = story.bank.received();
    assert_eq!(told(&mut other).await, unknown(), "what is not remembered is not believed");
    assert_eq!(story.bank.received(), received);
    story.close().await;
}

#[tokio::test]
async fn a_reload_ends_no_session() {
    let story = MoneyStory::begin().await;
    let mut payer = logged_in(story.payer("hanakodt")).await;
    story.gateway.reload().await.unwrap();
    assert_goes_on(&mut payer, "the same after a reload").await;
    assert_eq!(payer.transfer(1_000).await, Said::done());
    story.close().await;
}

/// An application that gives two customers one session gives the second one nothing.
#[tokio::test]
async fn a_session_is_given_to_one_customer_only() {
    let gateway = TestGateway::spawn().await;
    let (hanako, taro) = (gateway.enrol("hanakodt"), gateway.enrol("tarokodt"));
    let begins = || {
        let bytes =
            Reply::bytes_of("200 OK", &[("Set-Cookie", "a=b"), ("Set-Cookie", "JSESSIONID=S1; Path=/")], b"yours");
        Reply::Bytes(bytes)
    };
    gateway.backend.next(begins());
    assert_eq!(hanako.get("/").await.status, 200);
    gateway.backend.next(begins());
    let answer = taro.get("/").await;
    assert_eq!((answer.status, answer.header("Set-Cookie")), (502, None));
    assert!(!answer.text().contains("yours"));
    gateway.backend.next(begins());
    assert_eq!(hanako.get("/").await.status, 200, "the owner may be told once more");
    let seen = gateway.backend.count();
    assert_eq!(with_cookie(&taro, "/", "JSESSIONID=S1").await, foreign());
    assert_eq!(gateway.backend.count(), seen);
    // Everybody who logs out may be given the same value.
    for customer in [&hanako, &taro, &hanako] {
        for deleted in ["JSESSIONID=\"\"; Path=/", "JSESSIONID=deleted; Expires=Thu, 01-Jan-1970 00:00:10 GMT"] {
            gateway.backend.next(Reply::Bytes(Reply::bytes_of("200 OK", &[("Set-Cookie", deleted)], b"bye")));
            assert_eq!(customer.get("/").await.status, 200, "{deleted}");
        }
    }
    // What is deleted, and what links and redirects name, begins nothing.
    for headers in [&[("Set-Cookie", "JSESSIONID=; Max-Age=0")][..], &[("Location", "/ib/x.do;jsessionid=S2")]] {
        gateway.backend.next(Reply::Bytes(Reply::bytes_of("302 Found", headers, b"")));
        assert_eq!(taro.get("/").await.status, 302);
    }
    assert_eq!(with_cookie(&taro, "/", "JSESSIONID=S2").await, unknown());
}

/// A single sign-on has a session of its own beside the container's.
#[tokio::test]
async fn every_session_must_be_the_visitors_own() {
    let gateway = TestGateway::builder().layer("[session]\ncookies = [\"JSESSIONID\", \"LtpaToken2\"]\n").spawn().await;
    let (hanako, taro) = (gateway.enrol("hanakodt"), gateway.enrol("tarokodt"));
    for (customer, container, token) in [(&hanako, "A", "t1"), (&taro, "B", "t2")] {
        let cookies = [format!("JSESSIONID={container}"), format!("LtpaToken2={token}; Path=/")];
        let headers = [("Set-Cookie", cookies[0].as_str()), ("Set-Cookie", cookies[1].as_str())];
        gateway.backend.next(Reply::Bytes(Reply::bytes_of("200 OK", &headers, b"")));
        assert_eq!(customer.get("/").await.status, 200);
    }
    let seen = gateway.backend.count();
    for cookie in ["JSESSIONID=B; LtpaToken2=t1", "LtpaToken2=t1", "LtpaToken2=t1; JSESSIONID=B"] {
        assert_eq!(with_cookie(&taro, "/", cookie).await, foreign(), "{cookie}");
    }
    assert_eq!(with_cookie(&taro, "/", "JSESSIONID=B; LtpaToken2=t3").await, unknown());
    assert_eq!(
        with_cookie(&taro, "/ib/x;LtpaToken2=t1", "a=b").await,
        foreign(),
        "containers name it after the cookie"
    );
    assert_eq!(gateway.backend.count(), seen);
    assert_eq!(with_cookie(&taro, "/", "JSESSIONID=B; LtpaToken2=t2").await, Said::Screen("BTMN000".into()));
}

/// Who has paid is not told that nothing came of it.
#[tokio::test]
async fn a_conflict_behind_a_transfer_leaves_its_outcome_open() {
    let gateway = TestGateway::spawn().await;
    let (hanako, taro) = (gateway.enrol("hanakodt"), gateway.enrol("tarokodt"));
    let moved = [("Location", "/ib/transfer/done.do"), ("Set-Cookie", "JSESSIONID=S1; Path=/")];
    gateway.backend.next(Reply::Bytes(Reply::bytes_of("200 OK", &moved[1..], b"")));
    assert_eq!(hanako.get("/").await.status, 200);
    gateway.backend.next(Reply::Bytes(Reply::bytes_of("302 Found", &moved, b"")));
    let headers = [("Content-Type", FORM), ("Content-Length", "11"), ("Accept", "application/json")];
    let answer = taro.connect().await.request("POST", COMMIT, &headers, b"amount=1000").await;
    assert_eq!(Said::of(&answer), Said::refused(502, "transfer_outcome_unknown"));
    assert_eq!(answer.header("Set-Cookie"), None);
    gateway.operator.wait_for("sekisho_transfers_total", &[("state", "committed")], 1.0).await;
}

/// A cookie that somebody planted is not in the way for ever.
#[tokio::test]
async fn a_browser_that_names_two_sessions_is_asked_to_forget_them() {
    let gateway = TestGateway::spawn().await;
    let customer = gateway.enrol("hanakodt");
    let headers = [("Cookie", "JSESSIONID=A; jsessionid=planted"), ("Accept", "text/html")];
    let answer = customer.connect().await.request("GET", LOGIN, &headers, b"").await;
    assert_eq!((answer.status, answer.header("Clear-Site-Data").as_deref()), (400, Some("\"cookies\"")));
    assert!(answer.text().contains("session_ambiguous"));
    let link = "/ib/menu.do;jsessionid=A;jsessionid=B";
    let answer =
        customer.connect().await.request("GET", link, &[("Cookie", "a=b"), ("Accept", "text/html")], b"").await;
    assert_eq!((answer.status, answer.header("Clear-Site-Data")), (400, None), "anybody can write a link");
    gateway.assert_backend_untouched();
}

/// Servlet containers take the session out of a URL unless they are told not to.
#[tokio::test]
async fn a_session_in_the_url_is_watched_where_only_cookies_are_named() {
    let story = MoneyStory::begin().await;
    let shipped = std::fs::read_to_string(story.gateway.path("config.toml")).unwrap();
    let key = shipped.lines().find(|line| line.starts_with("url-parameters")).unwrap();
    story.gateway.write("config.toml", shipped.replace(key, ""));
    story.gateway.reload().await.unwrap();
    let stolen = logged_in(story.payer("hanakodt")).await.session().unwrap().replace("JSESSIONID=", "");
    let received = story.bank.received();
    let thief = story.customer("tarokodt");
    assert_eq!(with_cookie(&thief, &format!("/ib/menu.do;jsessionid={stolen}"), "a=b").await, foreign());
    assert_eq!(story.bank.received(), received);
    story.close().await;
}

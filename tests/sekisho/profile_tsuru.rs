//! S0: 都留信用組合 adds the certificate and lowers the ceiling (2013-05-20), as `deploy/profiles/tsuru.toml` holds it.

use crate::support::der::Text;
use crate::support::pki::subject_of;
use crate::support::profile::{
    at_password_entrance, company, greeted, log_in, plan, refusal_page, refused_at_the_door, welcome,
};
use crate::support::statements::Status::{Context, Shown, Waiting};
use crate::support::statements::{Status, Suite};
use crate::support::{MoneyStory, Payer, Said};

pub const SUITE: Suite = Suite {
    profile: "tsuru",
    document: ("S0", 36),
    statements: &STATEMENTS,
    waiting: 14,
    source: include_str!("profile_tsuru.rs"),
};

const STATEMENTS: [(&str, Status); 36] = [
    ("S0-01", Context("who announces, when, to whom")),
    ("S0-02", Context("the reason")),
    ("S0-03", Shown("who_has_a_certificate_logs_in_with_it_and_others_as_before")),
    (
        "S0-04",
        Waiting("MOD-01: at the password entrance customers log in, as the test of S0-03 shows, and move no money yet"),
    ),
    ("S0-05", Shown("bulk_and_payroll_are_exempt_from_the_days_limit")),
    ("S0-06", Shown("who_may_move_more_than_the_ceiling_is_led_to_lower_it")),
    ("S0-07", Waiting("MOD-02: a method that begins on a day; the ceiling's day is shown by the test of S0-33")),
    ("S0-08", Context("a paper form")),
    ("S0-09", Shown("who_is_refused_reads_whom_to_ask")),
    ("S0-10", Waiting("BND-06: as S0-11; the certificate entrance is shown by the test of S0-31")),
    ("S0-11", Waiting("BND-06: the password entrance still takes the ID of who has a certificate")),
    (
        "S0-12",
        Waiting(
            "BND-06: all_secrets_together_open_nothing_at_the_certificate_entrance; the password entrance still opens",
        ),
    ),
    ("S0-13", Context("the threats")),
    ("S0-14", Shown("who_leaves_the_pc_is_logged_out")),
    ("S0-15", Waiting("ENR-01: the state of an application")),
    ("S0-16", Waiting("ENR-03: the start date")),
    ("S0-17", Waiting("ENR-02: business days")),
    ("S0-18", Waiting("ENR-01, ENR-11: issuing to customers")),
    ("S0-19", Waiting("ENR-10: issuing by ID and password")),
    ("S0-20", Waiting("ENR-01, ENR-11: the end of issuing")),
    ("S0-21", Context("what browsers remember")),
    ("S0-22", Context("the application's login page; its buttons lead to the entrances")),
    ("S0-23", Shown("who_has_a_certificate_logs_in_with_it_and_others_as_before")),
    ("S0-24", Shown("the_certificate_says_the_login_id_behind_the_prefix")),
    ("S0-25", Context("the browser's own dialog")),
    ("S0-26", Shown("with_a_certificate_only_the_password_is_typed")),
    ("S0-27", Context("the application's keyboard on the screen")),
    ("S0-28", Waiting("MOD-01, BND-06: the certificate entrance from then on")),
    ("S0-29", Context("browsers of then: ADV-01")),
    ("S0-30", Waiting("ENR-08, BND-06: the switch of a whole contract")),
    ("S0-31", Shown("a_login_id_has_one_pc_and_a_pc_may_have_two_login_ids")),
    ("S0-32", Waiting("ENR-06: the one reissue of a PC change")),
    ("S0-33", Shown("the_ceiling_falls_at_midnight_in_japan_of_20_may_2013")),
    ("S0-34", Context("the reason")),
    ("S0-35", Shown("who_may_move_more_than_the_ceiling_is_led_to_lower_it")),
    ("S0-36", Shown("who_is_at_or_below_the_ceiling_notices_nothing_and_cannot_go_above")),
];

const FROM: &str = "2013-05-20";
const BEFORE: &str = "2013-05-19";
const MENU: &str = "/ib/menu.do";

fn subject(login_id: &str) -> Vec<u8> {
    common_name(&format!("NTTDATA BANK WEB-banking {login_id}"))
}

fn common_name(text: &str) -> Vec<u8> {
    subject_of("TSURU SHINKUMI", "TSURU SHINKUMI for Corporate Edition", Text::Utf8(text.into()))
}

/// The company of `user01` and `user02`, on that day.
async fn story(day: &str) -> MoneyStory {
    let story = plan("tsuru", day, subject).without_ceiling().open().await;
    company(&story, "tanaka", &[("user01", "administrator"), ("user02", "general")]).await;
    story
}

fn over() -> Said {
    Said::refused(403, "over_ceiling")
}

/// Whether a browser is shown the gateway's way to the limit screen after the login, and then the bank's menu.
async fn is_led_to_lower_it(payer: &mut Payer, own: &str) -> bool {
    assert_eq!(log_in(payer, "password=right").await, welcome());
    let answer = payer.ask("GET", MENU, &[("Accept", "text/html"), ("Sec-Fetch-Dest", "document")], b"").await;
    assert_eq!(answer.status, 200);
    if Said::of(&answer) == Said::Screen("BPT001".into()) {
        return false;
    }
    let page = answer.text();
    for text in [own, "100,000,000", "<a href=\"/ib/limit.do\">限度額を変更する</a>"] {
        assert!(page.contains(text), "{text} in {page}");
    }
    assert_eq!(greeted(payer).await, payer.login_id());
    true
}

async fn change_limit(payer: &mut Payer, yen: u64) -> Said {
    payer.submit("/ib/limit/change.do", &format!("limit={yen}")).await
}

fn limit_changed() -> Said {
    Said::To("/ib/limit/done.do".into())
}

/// S0-03, S0-23: two entrances, and a certificate is asked for at one of them. Of S0-04 it shows the logins.
#[tokio::test]
async fn who_has_a_certificate_logs_in_with_it_and_others_as_before() {
    let story = story(FROM).await;
    let mut with = story.payer("user01");
    assert_eq!(log_in(&mut with, "password=right").await, welcome());
    assert_eq!(greeted(&mut with).await, "user01");
    assert_eq!(refused_at_the_door(&story.gateway.stranger()).await, "no_certificate");
    let mut without = at_password_entrance(&story, "user02");
    assert_eq!(without.get("/ib/login.do").await, Said::Screen("BLGI001".into()));
    assert_eq!(log_in(&mut without, "loginId=user02&password=right").await, welcome());
    assert_eq!(greeted(&mut without).await, "user02");
    // Until the registry decides there as well.
    assert_eq!(without.transfer(1).await, Said::refused(403, "no_identity"));
    story.close().await;
}

/// S0-24: `NTTDATA BANK WEB-banking user01`, whole.
#[tokio::test]
async fn the_certificate_says_the_login_id_behind_the_prefix() {
    let story = story(FROM).await;
    for login_id in ["user01", "user02"] {
        assert_eq!(greeted(&mut story.payer(login_id)).await, login_id);
    }
    for text in [
        "NTTDATA BANK WEB-banking",
        "NTTDATA BANK WEB-banking ",
        "NTTDATA BANK WEB-banking user0",
        "NTTDATA BANK WEB-banking user01 user02",
        "NTTDATA BANK user01",
        "TSURU SHINKUMI ANSER SERVICE user01 ~",
        "user01",
    ] {
        let other = story.gateway.pki.certificate().subject(common_name(text)).issue();
        let code = refused_at_the_door(&story.gateway.customer(&other)).await;
        assert_eq!(code, "subject_mismatch", "{text}");
    }
    let elsewhere = Text::Utf8("NTTDATA BANK WEB-banking user01".into());
    let elsewhere = subject_of("OOZORA SHINKUMI", "OOZORA SHINKUMI for Corporate Edition", elsewhere);
    let elsewhere = story.gateway.pki.certificate().subject(elsewhere).issue();
    let code = refused_at_the_door(&story.gateway.customer(&elsewhere)).await;
    assert_eq!(code, "subject_mismatch", "another institution's");
    story.close().await;
}

/// S0-26: the ID is the certificate's, whatever is typed.
#[tokio::test]
async fn with_a_certificate_only_the_password_is_typed() {
    let story = story(FROM).await;
    let mut payer = story.payer("user01");
    assert_eq!(log_in(&mut payer, "password=right").await, welcome());
    assert_eq!(story.bank.last().unwrap().body, "password=right&loginId=user01");
    assert_eq!(greeted(&mut payer).await, "user01");
    let received = story.bank.received();
    let other = log_in(&mut payer, "loginId=user02&password=right").await;
    assert_eq!((other, story.bank.received()), (Said::refused(403, "login_id_mismatch"), received));
    assert_eq!(log_in(&mut payer, "loginId=user01&password=wrong").await, Said::Screen("BLGI001".into()));
    story.close().await;
}

/// The certificate's half of S0-12: ID, passwords and session, all stolen, without the certificate and with another one.
#[tokio::test]
async fn all_secrets_together_open_nothing_at_the_certificate_entrance() {
    let story = story(FROM).await;
    let mut victim = story.payer("user01");
    assert_eq!(log_in(&mut victim, "password=right").await, welcome());
    let mut thief = story.payer("user02");
    let received = story.bank.received();
    assert_eq!(refused_at_the_door(&story.gateway.stranger()).await, "no_certificate");
    let login = log_in(&mut thief, "loginId=user01&password=right").await;
    assert_eq!(login, Said::refused(403, "login_id_mismatch"));
    thief.adopt_session(&victim);
    let foreign = Said::refused(403, "session_foreign");
    assert_eq!((thief.get(MENU).await, thief.transfer(1).await), (foreign.clone(), foreign.clone()));
    let mut elsewhere = at_password_entrance(&story, "user01");
    elsewhere.adopt_session(&victim);
    assert_eq!(elsewhere.get(MENU).await, foreign);
    assert_eq!(story.bank.received(), received, "the bank saw nothing");
    assert_eq!(victim.transfer(1).await, Said::done());
    story.close().await;
}

/// S0-14: by the button, or by the time without a request.
#[tokio::test]
async fn who_leaves_the_pc_is_logged_out() {
    let story = story(FROM).await;
    let unknown = Said::refused(403, "session_unknown");
    let form = [("Content-Type", "application/x-www-form-urlencoded"), ("Content-Length", "0")];
    let mut payer = story.payer("user01");
    for leaves_the_button_alone in [false, true] {
        assert_eq!(log_in(&mut payer, "password=right").await, welcome());
        let session = payer.session().unwrap();
        if leaves_the_button_alone {
            story.advance(15 * 60 + 1);
        } else {
            assert_eq!(payer.ask_once("POST", "/ib/logout.do", &form, b"").await.status, 200);
        }
        payer.take_session(&session);
        let received = story.bank.received();
        assert_eq!(Said::of(&payer.ask_once("GET", MENU, &[], b"").await), unknown);
        assert_eq!(story.bank.received(), received);
    }
    story.close().await;
}

/// S0-31, and the certificate's half of S0-10: the certificate stays on the PC that the customer chose, and each login ID has one.
#[tokio::test]
async fn a_login_id_has_one_pc_and_a_pc_may_have_two_login_ids() {
    let story = story(FROM).await;
    let pki = &story.gateway.pki;
    let [first, second] = ["user01", "user02"].map(|id| (id, story.gateway.customer(&pki.customer(id))));
    for (login_id, customer) in [&first, &second] {
        assert_eq!(greeted(&mut Payer::over_http1(login_id, customer.clone())).await, *login_id);
    }
    // Another PC with a certificate that the same CA issued to the same login ID.
    let another_pc = story.gateway.customer(&pki.customer("user01"));
    let received = story.bank.received();
    assert_eq!(refused_at_the_door(&another_pc).await, "certificate_unregistered");
    assert_eq!(story.bank.received(), received);
    // The two of one PC have a session each.
    let mut users = [first, second].map(|(login_id, customer)| Payer::over_http1(login_id, customer));
    for user in &mut users {
        assert_eq!(log_in(user, "password=right").await, welcome());
    }
    let [first, mut second] = users;
    second.adopt_session(&first);
    assert_eq!(second.get(MENU).await, Said::refused(403, "session_foreign"));
    story.close().await;
}

/// S0-33, and the ceiling's half of S0-07: 1,000,000,000 until the day before, 100,000,000 from then on, of all login IDs of the customer together.
#[tokio::test]
async fn the_ceiling_falls_at_midnight_in_japan_of_20_may_2013() {
    let story = story(BEFORE).await;
    let [mut first, mut second] = ["user01", "user02"].map(|id| story.payer(id));
    assert_eq!(first.transfer(900_000_000).await, Said::done());
    assert_eq!((second.transfer(100_000_001).await, second.transfer(100_000_000).await), (over(), Said::done()));
    story.set_time(story.today(), "23:58:00");
    assert_eq!(first.transfer(1).await, over());
    story.set_time(story.today().plus_days(1), "00:00:05");
    assert_eq!(story.today().to_string(), FROM);
    assert_eq!(first.transfer(100_000_001).await, over());
    assert_eq!(first.transfer(60_000_000).await, Said::done());
    assert_eq!((second.transfer(40_000_001).await, second.transfer(40_000_000).await), (over(), Said::done()));
    assert_eq!(first.transfer(1).await, over());
    story.assert_truth("tanaka", story.today(), 100_000_000);
    story.close().await;
}

/// S0-05: transfers have the limit, 総合振込 and 給与・賞与振込 do not, before and after.
#[tokio::test]
async fn bulk_and_payroll_are_exempt_from_the_days_limit() {
    let story = story(FROM).await;
    let mut payer = story.payer("user01");
    let media = [("Content-Type", "multipart/form-data; boundary=b")];
    let file =
        b"--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a\"\r\n\r\nyamada,900000000\r\n\r\n--b--\r\n";
    for used in [0, 100_000_000] {
        assert_eq!(payer.counted().await, used);
        for path in ["/ib/bulk/upload.do", "/ib/payroll/upload.do"] {
            assert_eq!(payer.post(path, &media, file).await.status, 302, "{path}");
        }
        assert_eq!(payer.counted().await, used);
        let said = payer.transfer(100_000_000).await;
        assert_eq!(said, if used == 0 { Said::done() } else { over() });
    }
    for class in ["bulk", "payroll"] {
        let orders = story.gateway.operator.metric("sekisho_exempt_orders_total", &[("class", class)]).await;
        assert_eq!(orders, 2.0, "{class}");
    }
    story.close().await;
}

/// S0-06, S0-35: 限度額設定 1 億円超のケース. Until they do, the ceiling holds.
#[tokio::test]
async fn who_may_move_more_than_the_ceiling_is_led_to_lower_it() {
    let story = story(BEFORE).await;
    let mut payer = story.payer("user01");
    assert_eq!(change_limit(&mut payer, 500_000_000).await, limit_changed());
    assert!(!is_led_to_lower_it(&mut payer, "500,000,000").await, "on the day before nobody is");
    assert_eq!((payer.transfer(500_000_001).await, payer.transfer(500_000_000).await), (over(), Said::done()));

    story.set_time(story.today().plus_days(1), "09:00:00");
    assert!(is_led_to_lower_it(&mut payer, "500,000,000").await);
    assert_eq!((payer.transfer(100_000_001).await, payer.transfer(1_000_000).await), (over(), Said::done()));
    assert_eq!(change_limit(&mut payer, 100_000_001).await, Said::refused(403, "limit_too_high"));
    assert_eq!(change_limit(&mut payer, 100_000_000).await, limit_changed());
    assert_eq!((payer.transfer(99_000_001).await, payer.transfer(99_000_000).await), (over(), Said::done()));

    story.set_time(story.today().plus_days(1), "09:00:00");
    assert!(!is_led_to_lower_it(&mut payer, "100,000,000").await, "it has been lowered");
    story.close().await;
}

/// S0-36: 1 億円以下のケース, to the yen.
#[tokio::test]
async fn who_is_at_or_below_the_ceiling_notices_nothing_and_cannot_go_above() {
    for own in [50_000_000, 100_000_000] {
        let story = story(BEFORE).await;
        let mut payer = story.payer("user01");
        assert_eq!(change_limit(&mut payer, own).await, limit_changed());
        story.set_time(story.today().plus_days(1), "09:00:00");
        assert!(!is_led_to_lower_it(&mut payer, "").await, "{own}");
        assert_eq!((payer.transfer(own + 1).await, payer.transfer(own).await), (over(), Said::done()));
        for yen in [20_000_000, 100_000_000] {
            assert_eq!(change_limit(&mut payer, yen).await, limit_changed());
        }
        for yen in [100_000_001, 1_000_000_000] {
            assert_eq!(change_limit(&mut payer, yen).await, Said::refused(403, "limit_too_high"));
        }
        story.close().await;
    }
}

/// S0-09: on the page for who has no good certificate, and for whose transfer is refused.
#[tokio::test]
async fn who_is_refused_reads_whom_to_ask() {
    let story = story(FROM).await;
    let page = story.gateway.stranger().get(MENU).await.text();
    for page in [page, refusal_page(&mut story.payer("user01")).await] {
        for text in ["0555-24-2600", "平日 9:00～17:00", "金融機関休業日はご利用できません"] {
            assert!(page.contains(text), "{text} in {page}");
        }
    }
    story.close().await;
}

//! S1: 山梨県民信用組合 enrols customers with certificates (2014-10-20), as `deploy/profiles/kenmin.toml` holds it.

use sekisho::domain::Clock as _;
use serde_json::json;

use crate::support::der::Text;
use crate::support::pki::{Authority, Identity, subject_of};
use crate::support::profile::{at_password_entrance, company, greeted, log_in, plan, refusal_page, welcome};
use crate::support::registry::{SECOND, order, register};
use crate::support::statements::Status::{Context, Shown, Waiting};
use crate::support::statements::{Status, Suite};
use crate::support::{Customer, KeyKind, MoneyStory, Payer, Pki, Said, within};

pub const SUITE: Suite = Suite {
    profile: "kenmin",
    document: ("S1", 34),
    statements: &STATEMENTS,
    waiting: 15,
    source: include_str!("profile_kenmin.rs"),
};

const STATEMENTS: [(&str, Status); 34] = [
    ("S1-01", Waiting("MOD-02: a method that begins on a day")),
    ("S1-02", Waiting("MOD-01: who does not apply goes on with ID and password, and moves no money yet")),
    ("S1-03", Shown("both_sides_prove_who_they_are_before_anything_is_said")),
    ("S1-04", Waiting("BND-06: the password entrance still takes the ID of who has a certificate")),
    (
        "S1-05",
        Waiting(
            "BND-06: a_stolen_password_opens_nothing_at_the_certificate_entrance; the password entrance still opens",
        ),
    ),
    ("S1-06", Waiting("BND-06: as S1-05")),
    ("S1-07", Shown("both_sides_prove_who_they_are_before_anything_is_said")),
    ("S1-08", Shown("with_the_certificate_only_the_password_is_typed")),
    ("S1-09", Shown("both_sides_prove_who_they_are_before_anything_is_said")),
    ("S1-10", Shown("both_sides_prove_who_they_are_before_anything_is_said")),
    ("S1-11", Shown("a_certificate_that_is_not_the_registered_one_ends_the_connection")),
    ("S1-12", Waiting("ENR-01: the state of an application")),
    ("S1-13", Waiting("ENR-03, ENR-13: the two ways to the first certificate")),
    ("S1-14", Context("the application's login page")),
    ("S1-15", Waiting("ENR-13: the grammar of the screens that give an ID")),
    (
        "S1-16",
        Waiting(
            "ENR-13: the grammar of those screens; the login ID's is shown by the_subject_is_read_as_it_is_laid_out",
        ),
    ),
    ("S1-17", Context("the order of the application's screens")),
    ("S1-18", Context("the application's screen")),
    ("S1-19", Context("the application's screen")),
    ("S1-20", Waiting("ENR-03: issuing straight after registration")),
    ("S1-21", Waiting("ENR-03, ENR-10: issuing by ID and password")),
    ("S1-22", Waiting("ENR-11: the screens of issuing")),
    ("S1-23", Context("browsers of then: ADV-01")),
    ("S1-24", Context("what browsers remember: ADV-05")),
    ("S1-25", Waiting("ENR-01, EXP-01: issuing for one year")),
    ("S1-26", Waiting("EXP-01, EXP-02, EXP-04: the notice 40 days before")),
    ("S1-27", Shown("the_subject_is_read_as_it_is_laid_out")),
    ("S1-28", Shown("with_the_certificate_only_the_password_is_typed")),
    ("S1-29", Shown("with_the_certificate_only_the_password_is_typed")),
    ("S1-30", Context("browsers of then: ADV-01")),
    ("S1-31", Context("the customer's own care: ADV-02")),
    ("S1-32", Waiting("ENR-05: renewal before the end")),
    ("S1-33", Shown("who_cancels_the_contract_has_no_certificate_any_more")),
    ("S1-34", Shown("who_is_refused_reads_when_somebody_answers")),
];

const FROM: &str = "2014-10-20";
const MENU: &str = "/ib/menu.do";
const INSTITUTION: &str = "YAMANASHIKENMIN SHINKUMI";
const EDITION: &str = "YAMANASHIKENMIN SHINKUMI for Corporate Edition";

fn subject(login_id: &str) -> Vec<u8> {
    subject_of(INSTITUTION, EDITION, common_name(login_id))
}

fn common_name(login_id: &str) -> Text {
    Text::Utf8(format!("YAMANASHIKENMIN SHINKUMI ANSER SERVICE {login_id} ~"))
}

async fn story() -> MoneyStory {
    let story = plan("kenmin", FROM, subject).open().await;
    company(&story, "tanaka", &[("hanakodt", "administrator"), ("tarokodt", "general")]).await;
    story
}

/// A certificate that the branch registered.
async fn registered(story: &MoneyStory, login_id: &str) -> Identity {
    let identity = story.gateway.pki.customer(login_id);
    register(&story.gateway, &identity).await;
    identity
}

async fn payer(story: &MoneyStory, login_id: &str) -> Payer {
    Payer::over_http1(login_id, story.gateway.customer(&registered(story, login_id).await))
}

/// The connection ends in the handshake for this reason, and the bank hears nothing.
async fn assert_ends(story: &MoneyStory, identity: &Identity, reason: &str) {
    let received = story.bank.received();
    story.gateway.assert_refused(&story.gateway.customer(identity), reason).await;
    assert_eq!(story.bank.received(), received, "{reason}");
}

/// S1-03, S1-07, S1-09, S1-10: the server to the customer, the customer to the server, by authorities that each trusts.
#[tokio::test]
async fn both_sides_prove_who_they_are_before_anything_is_said() {
    let story = story().await;
    let hanako = registered(&story, "hanakodt").await;
    let nobody = Authority::root("Public Web CA", KeyKind::P256);
    let distrustful = Customer::new(story.gateway.address(), &nobody, Some(&hanako));
    assert!(distrustful.try_connect().await.is_err(), "a server that no authority of the customer's vouches for");

    story.gateway.assert_refused(&story.gateway.stranger(), "no_certificate").await;
    let elsewhere = Pki::at(story.clock.now(), subject);
    assert_ends(&story, &elsewhere.customer("hanakodt"), "untrusted").await;
    let own = story.gateway.pki.certificate().self_signed().issue();
    assert_ends(&story, &own, "untrusted").await;
    story.assert_bank_untouched();

    let mut payer = Payer::over_http1("hanakodt", story.gateway.customer(&hanako));
    assert_eq!(greeted(&mut payer).await, "hanakodt");
    assert_eq!(payer.transfer(1_000).await, Said::done(), "and transactions follow");
    story.close().await;
}

/// S1-11: of the same CA, the same subject, and not the one that is registered.
#[tokio::test]
async fn a_certificate_that_is_not_the_registered_one_ends_the_connection() {
    let story = story().await;
    let [old, new, taro] = ["hanakodt", "hanakodt", "tarokodt"].map(|id| story.gateway.pki.customer(id));
    assert_ends(&story, &old, "unregistered").await;
    register(&story.gateway, &old).await;
    assert_ends(&story, &new, "unregistered").await;
    assert_ends(&story, &taro, "unregistered").await;
    let mut open = story.gateway.customer(&old).connect().await;
    assert_eq!(open.get(MENU).await.status, 200);
    register(&story.gateway, &new).await;
    within(SECOND, "the end of the connection", open.rest()).await;
    assert_ends(&story, &old, "retired").await;
    assert_eq!(greeted(&mut Payer::over_http1("hanakodt", story.gateway.customer(&new))).await, "hanakodt");
    story.close().await;
}

/// S1-27: O, OU and CN, whole; and of S1-16 the login ID: 6 to 12 half-width letters, digits and symbols.
#[tokio::test]
async fn the_subject_is_read_as_it_is_laid_out() {
    let story = story().await;
    for login_id in ["hanako", "hanako-0123!", "#1$2%3&4", "A~B~C~"] {
        assert_eq!(greeted(&mut payer(&story, login_id).await).await, login_id);
    }
    for login_id in ["hanak", "hanako-012345", "hana kodt", "ｈａｎａｋｏ", "はなこさん!!", ""] {
        let identity = story.gateway.pki.customer(login_id);
        assert_ends(&story, &identity, "subject_mismatch").await;
    }
    let text = |text: &str| Text::Utf8(text.into());
    for other in [
        subject_of("TSURU SHINKUMI", EDITION, common_name("hanakodt")),
        subject_of(INSTITUTION, "YAMANASHIKENMIN SHINKUMI for Personal Edition", common_name("hanakodt")),
        subject_of(INSTITUTION, EDITION, text("YAMANASHIKENMIN SHINKUMI ANSER SERVICE hanakodt")),
        subject_of(INSTITUTION, EDITION, text("YAMANASHIKENMIN SHINKUMI ANSER SERVICE hanakodt ~ 01")),
        subject_of(INSTITUTION, EDITION, text("NTTDATA BANK WEB-banking hanakodt")),
        subject_of(INSTITUTION, EDITION, text("hanakodt")),
    ] {
        assert_ends(&story, &story.gateway.pki.certificate().subject(other).issue(), "subject_mismatch").await;
    }
    story.close().await;
}

/// S1-08, S1-28, S1-29: whoever presents a certificate types no ID; whoever has none types ID and password, elsewhere.
#[tokio::test]
async fn with_the_certificate_only_the_password_is_typed() {
    let story = story().await;
    let mut hanako = payer(&story, "hanakodt").await;
    assert_eq!(log_in(&mut hanako, "loginId=&password=right").await, welcome());
    assert_eq!(story.bank.last().unwrap().body, "loginId=hanakodt&password=right");
    assert_eq!(greeted(&mut hanako).await, "hanakodt");
    assert_eq!(log_in(&mut hanako, "password=wrong").await, Said::Screen("BLGI001".into()));
    story.gateway.assert_refused(&story.gateway.stranger(), "no_certificate").await;
    let mut jiro = at_password_entrance(&story, "jirokodt");
    assert_eq!(log_in(&mut jiro, "password=right").await, Said::Screen("BLGI001".into()), "without an ID");
    assert_eq!(log_in(&mut jiro, "loginId=jirokodt&password=right").await, welcome());
    assert_eq!(greeted(&mut jiro).await, "jirokodt");
    story.close().await;
}

/// The certificate's half of S1-05 and S1-06: no certificate, or another customer's good one, beside the right password.
#[tokio::test]
async fn a_stolen_password_opens_nothing_at_the_certificate_entrance() {
    let story = story().await;
    let mut victim = payer(&story, "hanakodt").await;
    let mut thief = payer(&story, "tarokodt").await;
    story.gateway.assert_refused(&story.gateway.stranger(), "no_certificate").await;
    let login = log_in(&mut thief, "loginId=hanakodt&password=right").await;
    assert_eq!(login, Said::refused(403, "login_id_mismatch"));
    story.assert_bank_untouched();
    assert_eq!(log_in(&mut victim, "password=right").await, welcome());
    thief.adopt_session(&victim);
    assert_eq!(thief.transfer(1).await, Said::refused(403, "session_foreign"));
    assert_eq!(story.executed(), Vec::<i128>::new());
    story.close().await;
}

/// S1-33: of all its login IDs, on open connections too, and those that come later.
#[tokio::test]
async fn who_cancels_the_contract_has_no_certificate_any_more() {
    let story = story().await;
    company(&story, "ito", &[("itokodt1", "administrator")]).await;
    let [hanako, taro, ito] = [
        registered(&story, "hanakodt").await,
        registered(&story, "tarokodt").await,
        registered(&story, "itokodt1").await,
    ];
    let mut open = story.gateway.customer(&hanako).connect().await;
    assert_eq!(open.get(MENU).await.status, 200);
    order(&story.gateway, "/certificates/blocks", json!({ "contract": "tanaka" })).await;
    within(SECOND, "the end of the connection", open.rest()).await;
    for identity in [&hanako, &taro] {
        assert_ends(&story, identity, "blocked").await;
    }
    let renewed = registered(&story, "hanakodt").await;
    assert_ends(&story, &renewed, "blocked").await;
    assert_eq!(greeted(&mut Payer::over_http1("itokodt1", story.gateway.customer(&ito))).await, "itokodt1");
    story.close().await;
}

/// S1-34: the hours, and the days without any.
#[tokio::test]
async fn who_is_refused_reads_when_somebody_answers() {
    let story = story().await;
    let page = refusal_page(&mut payer(&story, "hanakodt").await).await;
    for text in ["0120-565-657", "平日 9:00～24:00", "土・日・祝日 9:00～17:00", "5月3日～5月5日", "休止日"]
    {
        assert!(page.contains(text), "{text} in {page}");
    }
    story.close().await;
}

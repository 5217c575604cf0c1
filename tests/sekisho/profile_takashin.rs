//! S2: たかしん gives certificates to all login IDs of a contract (2012-11-26), as `deploy/profiles/takashin.toml` holds it.

use sekisho::domain::Clock as _;

use crate::assertion::claims_at;
use crate::support::pki::subject;
use crate::support::profile::{company, greeted, log_in, plan, refused_at_the_door, welcome};
use crate::support::registry::{payers, put, register};
use crate::support::statements::Status::{Context, Shown, Waiting};
use crate::support::statements::{Status, Suite};
use crate::support::{MoneyStory, Payer, Said};

pub const SUITE: Suite = Suite {
    profile: "takashin",
    document: ("S2", 18),
    statements: &STATEMENTS,
    waiting: 10,
    source: include_str!("profile_takashin.rs"),
};

const STATEMENTS: [(&str, Status); 18] = [
    ("S2-01", Waiting("MOD-02: a method that begins on a day")),
    ("S2-02", Context("the threats")),
    ("S2-03", Context("the price")),
    ("S2-04", Context("environments in which it does not work")),
    ("S2-05", Waiting("MOD-01: the entrance of contracts that keep ID and password")),
    ("S2-06", Shown("without_the_certificate_nobody_logs_in")),
    ("S2-07", Context("whom it is for")),
    ("S2-08", Waiting("ENR-01: the state of an application")),
    ("S2-09", Waiting("ENR-01, ENR-11: the bank issues, the customer acquires")),
    ("S2-10", Waiting("ENR-11: in force from the acquisition")),
    ("S2-11", Shown("without_the_certificate_nobody_logs_in")),
    ("S2-12", Shown("every_login_id_of_a_contract_has_its_certificate_whatever_its_role")),
    ("S2-13", Shown("a_login_id_has_one_certificate_and_more_pcs_are_more_login_ids")),
    ("S2-14", Waiting("ENR-01, EXP-01: one year from the acquisition")),
    ("S2-15", Waiting("EXP-01, EXP-03, EXP-04: the notices 30 and 10 days before")),
    ("S2-16", Waiting("ENR-07: the administrator's reissue for others")),
    ("S2-17", Waiting("ENR-07: the administrator's own reissue")),
    ("S2-18", Waiting("ENR-04, ENR-07: acquiring anew after a reissue")),
];

const IDS: [(&str, &str); 3] = [("takaadmin", "administrator"), ("takaappr", "approver"), ("takagene", "general")];

async fn story() -> MoneyStory {
    let story = plan("takashin", "2012-11-26", subject).layer(CEILING).open().await;
    company(&story, "takahashi", &IDS).await;
    story
}

/// The document tells of none, and the shipped one begins later.
const CEILING: &str = "[transfer]\nceiling = [{ from = \"2012-11-26\", yen = 100_000_000 }]\n";

/// S2-06, S2-11: the certificate and the password, both.
#[tokio::test]
async fn without_the_certificate_nobody_logs_in() {
    let story = story().await;
    assert_eq!(refused_at_the_door(&story.gateway.stranger()).await, "no_certificate");
    // A page of the gateway is all that another PC gets, also for the form with the right password.
    let form = [("Accept", "application/json"), ("Content-Length", "32")];
    let mut connection = story.gateway.stranger().connect().await;
    let answer = connection.request("POST", "/ib/login.do", &form, b"loginId=takaadmin&password=right").await;
    assert_eq!(answer.status, 403);
    story.assert_bank_untouched();
    let [mut admin, mut other] = payers(&story, ["takaadmin", "takagene"]).await;
    assert_eq!(log_in(&mut admin, "password=wrong").await, Said::Screen("BLGI001".into()));
    assert_eq!(log_in(&mut admin, "password=right").await, welcome());
    assert_eq!(greeted(&mut admin).await, "takaadmin");
    let login = log_in(&mut other, "loginId=takaadmin&password=right").await;
    assert_eq!(login, Said::refused(403, "login_id_mismatch"), "another one's certificate");
    story.close().await;
}

/// S2-12: administrator, approvers and general IDs, and those that come later; the application is told which is which.
#[tokio::test]
async fn every_login_id_of_a_contract_has_its_certificate_whatever_its_role() {
    let story = story().await;
    put(&story.gateway, "takahashi", "takalate", "approver").await;
    for (login_id, role) in IDS.into_iter().chain([("takalate", "approver")]) {
        let identity = story.gateway.pki.customer(login_id);
        let customer = story.gateway.customer(&identity);
        assert_eq!(refused_at_the_door(&customer.clone().forgetful()).await, "certificate_unregistered", "{login_id}");
        register(&story.gateway, &identity).await;
        let mut payer = Payer::over_http1(login_id, customer);
        assert_eq!(log_in(&mut payer, "password=right").await, welcome());
        assert_eq!(greeted(&mut payer).await, login_id);
        let token = story.bank.last().unwrap().headers["x-login-assertion"].clone();
        let claims = claims_at(token.to_str().unwrap(), story.clock.now());
        assert_eq!((&claims["contract"], &claims["role"]), (&"takahashi".into(), &role.into()), "{claims}");
    }
    story.close().await;
}

/// S2-13: 1つのIDごとに1枚, and the limit of the contract is one, however many they are.
#[tokio::test]
async fn a_login_id_has_one_certificate_and_more_pcs_are_more_login_ids() {
    let story = story().await;
    let [mut first] = payers(&story, ["takaadmin"]).await;
    assert_eq!(first.transfer(60_000_000).await, Said::done());
    let second_pc = story.gateway.customer(&story.gateway.pki.customer("takaadmin"));
    let received = story.bank.received();
    assert_eq!(refused_at_the_door(&second_pc).await, "certificate_unregistered");
    assert_eq!(story.bank.received(), received);
    // A login ID for the second PC, with a certificate of its own.
    put(&story.gateway, "takahashi", "takasecond", "general").await;
    story.bank.set_contract("takasecond", "takahashi");
    let [mut second] = payers(&story, ["takasecond"]).await;
    assert_eq!(second.transfer(40_000_001).await, Said::refused(403, "over_ceiling"));
    assert_eq!(second.transfer(40_000_000).await, Said::done());
    assert_eq!(first.transfer(1).await, Said::refused(403, "over_ceiling"));
    story.close().await;
}

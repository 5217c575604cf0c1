//! S4: 伊達信用金庫 demands the one-time password (2016-11-21), as far as `deploy/profiles/date.toml` holds it.

use crate::support::pki::subject;
use crate::support::profile::{at_password_entrance, log_in, plan, refusal_page, welcome};
use crate::support::statements::Status::{Context, Shown, Waiting};
use crate::support::statements::{Status, Suite};
use crate::support::{MoneyStory, Said};

pub const SUITE: Suite = Suite {
    profile: "date",
    document: ("S4", 23),
    statements: &STATEMENTS,
    waiting: 12,
    source: include_str!("profile_date.rs"),
};

const STATEMENTS: [(&str, Status); 23] = [
    ("S4-01", Context("who announces")),
    ("S4-02", Context("losses: ADV-07")),
    ("S4-03", Waiting("OTP-09, MOD-02: from that day on, at login and transfer")),
    ("S4-04", Waiting("OTP-09: everybody")),
    ("S4-05", Waiting("OTP-09: without_a_one_time_password_no_money_moves; the login still goes without")),
    ("S4-06", Waiting("OTP-06: it changes with time")),
    ("S4-07", Waiting("OTP-05: beside ID and passwords")),
    ("S4-08", Waiting("OTP-01: the customer's own set-up")),
    ("S4-09", Waiting("MOD-04: feature phones")),
    ("S4-10", Shown("who_is_refused_reads_whom_to_ask")),
    ("S4-11", Context("losses: ADV-07")),
    ("S4-12", Waiting("OTP-10: one token of a contract")),
    ("S4-13", Waiting("OTP-10: with any PC")),
    ("S4-14", Context("advice: ADV-04")),
    ("S4-15", Context("what is not on offer")),
    ("S4-16", Context("a caveat")),
    ("S4-17", Context("the price")),
    ("S4-18", Waiting("OTP-06: tokens of VIP Access")),
    ("S4-19", Waiting("NTF-01: notices of transfers")),
    ("S4-20", Waiting("NTF-02: mails without links")),
    ("S4-21", Context("liability: ADV-03")),
    ("S4-22", Context("advice: ADV-06")),
    ("S4-23", Context("environments of then: ADV-01")),
];

async fn story() -> MoneyStory {
    plan("date", "2016-11-21", subject).open().await
}

/// Of S4-05 the transfers: there is no one-time password yet, so there are none either. The login still goes without.
#[tokio::test]
async fn without_a_one_time_password_no_money_moves() {
    let story = story().await;
    story.gateway.assert_refused(&story.customer("hanakodt"), "unregistered").await;
    let mut hanako = at_password_entrance(&story, "hanakodt");
    assert_eq!(log_in(&mut hanako, "loginId=hanakodt&password=right").await, welcome());
    let received = story.bank.received();
    assert_eq!(hanako.transfer(1).await, Said::refused(403, "no_identity"));
    assert_eq!((story.bank.received(), story.executed()), (received, Vec::new()));
    story.close().await;
}

/// S4-10: the telephone.
#[tokio::test]
async fn who_is_refused_reads_whom_to_ask() {
    let story = story().await;
    let page = refusal_page(&mut at_password_entrance(&story, "hanakodt")).await;
    for text in ["事務グループ", "0142-25-2811"] {
        assert!(page.contains(text), "{text} in {page}");
    }
    story.close().await;
}

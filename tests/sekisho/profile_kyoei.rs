//! S3: 協栄信用組合 offers a one-time password or a mailed one (2013-05-20), as far as `deploy/profiles/kyoei.toml` holds it.

use crate::support::pki::subject;
use crate::support::profile::{at_password_entrance, greeted, log_in, plan, refusal_page, welcome};
use crate::support::statements::Status::{Context, Shown, Waiting};
use crate::support::statements::{Status, Suite};
use crate::support::{MoneyStory, Said};

pub const SUITE: Suite = Suite {
    profile: "kyoei",
    document: ("S3", 26),
    statements: &STATEMENTS,
    waiting: 23,
    source: include_str!("profile_kyoei.rs"),
};

const STATEMENTS: [(&str, Status); 26] = [
    ("S3-01", Context("who announces")),
    ("S3-02", Context("the reason")),
    ("S3-03", Waiting("MOD-04: PC users alone")),
    ("S3-04", Waiting("STU-02, OTP-01: each customer's own choice")),
    ("S3-05", Waiting("STU-01: one of the two")),
    ("S3-06", Waiting("STU-02, MOD-01: who_is_registered_for_nothing_logs_in_as_before, and moves no money yet")),
    ("S3-07", Waiting("OTP-05, MLP-03: evidence of what guarded a transfer")),
    ("S3-08", Waiting("MOD-02: from that day on")),
    ("S3-09", Shown("who_is_refused_reads_whom_to_ask")),
    ("S3-10", Waiting("OTP-05, OTP-07: at the login, once")),
    ("S3-11", Waiting("OTP-06: sixty seconds")),
    ("S3-12", Waiting("OTP-01: the customer's own start and stop")),
    ("S3-13", Waiting("OTP-05, OTP-13: no phone, no login")),
    ("S3-14", Waiting("OTP-02, OTP-03: issuing a token")),
    ("S3-15", Waiting("OTP-04: the start")),
    ("S3-16", Waiting("OTP-05: a screen after ID and password")),
    ("S3-17", Waiting("OTP-11: the stop")),
    ("S3-18", Waiting("MLP-03: at transfers")),
    ("S3-19", Waiting("MLP-02: payees that were filed")),
    ("S3-20", Waiting("MLP-04: until logout or the next one")),
    ("S3-21", Waiting("MLP-04: not after the next login")),
    ("S3-22", Waiting("MLP-06: the customer's own start and stop")),
    ("S3-23", Waiting("MLP-06: the start")),
    ("S3-24", Waiting("MLP-06: the stop")),
    ("S3-25", Waiting("MLP-01: what sends it")),
    ("S3-26", Waiting("MLP-03: at the execution")),
];

async fn story() -> MoneyStory {
    plan("kyoei", "2013-05-20", subject).open().await
}

/// Of S3-06 the login, with nothing but ID and password. No certificate opens anything.
#[tokio::test]
async fn who_is_registered_for_nothing_logs_in_as_before() {
    let story = story().await;
    story.gateway.assert_refused(&story.customer("hanakodt"), "unregistered").await;
    story.gateway.assert_refused(&story.gateway.stranger(), "no_certificate").await;
    story.assert_bank_untouched();
    let mut hanako = at_password_entrance(&story, "hanakodt");
    assert_eq!(log_in(&mut hanako, "loginId=hanakodt&password=wrong").await, Said::Screen("BLGI001".into()));
    assert_eq!(log_in(&mut hanako, "loginId=hanakodt&password=right").await, welcome());
    assert_eq!(greeted(&mut hanako).await, "hanakodt");
    assert_eq!(hanako.transfer(1).await, Said::refused(403, "no_identity"));
    story.close().await;
}

/// S3-09: telephone and mail.
#[tokio::test]
async fn who_is_refused_reads_whom_to_ask() {
    let story = story().await;
    let page = refusal_page(&mut at_password_entrance(&story, "hanakodt")).await;
    for text in ["0256-61-1506", "jimukan@kyoei-shinkumi.jp"] {
        assert!(page.contains(text), "{text} in {page}");
    }
    story.close().await;
}

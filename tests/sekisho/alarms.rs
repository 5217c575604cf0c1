//! Transfers that look like a fraud's (RTL-07, A42): told, or held, and silent where nobody asked for it.

use serde_json::Value;

use crate::support::{COMMIT, MoneyStory, Payer, Said};

const PAYEE: &str = "[[route]]\nname = \"transfer\"\npayee = \"payee\"\n";

const LIMIT_SCREEN: &str = r#"
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

const A_DAY: i64 = 24 * 3600;

fn alarms(keys: &str) -> String {
    format!("[transfer.alarms]\n{keys}\n")
}

async fn pay(payer: &mut Payer, payee: &str) -> Said {
    payer.submit(COMMIT, &format!("branch=001&account=7654321&payee={payee}&amount=1")).await
}

async fn set_limit(payer: &mut Payer, yen: u64) {
    let said = payer.submit("/ib/limit/change.do", &format!("limit={yen}")).await;
    assert_eq!(said, Said::To("/ib/limit/done.do".into()));
}

async fn counted(story: &MoneyStory, alarm: &str) -> f64 {
    story.gateway.operator.metric("sekisho_transfer_alarms_total", &[("alarm", alarm)]).await
}

/// The reason and the outcome of each alarm in the log.
fn told(log: &[Value]) -> Vec<(String, String)> {
    let text = |line: &Value, key: &str| line[key].as_str().unwrap().to_owned();
    let alarms = log.iter().filter(|line| line["event.action"] == "transfer_alarm");
    alarms.map(|line| (text(line, "event.reason"), text(line, "event.outcome"))).collect()
}

fn times(count: usize, reason: &str, outcome: &str) -> Vec<(String, String)> {
    vec![(reason.to_owned(), outcome.to_owned()); count]
}

#[tokio::test]
async fn a_transfer_with_a_new_certificate_is_told() {
    let story = MoneyStory::with(alarms("new-certificate = \"30d\"")).await;
    for mut payer in story.payers("hanakodt") {
        assert_eq!(payer.get("/ib/menu.do").await, Said::Screen("BPT001".into()));
        assert_eq!(payer.transfer(5).await, Said::done());
    }
    assert_eq!(counted(&story, "first_transfer").await, 2.0);
    let log = story.close().await;
    assert_eq!(told(&log), times(2, "first_transfer", "success"));
    let record = log.iter().find(|line| line["event.action"] == "transfer_alarm").unwrap();
    assert_eq!((&record["user.id"], &record["sekisho.amount"]), (&"hanakodt".into(), &5.into()));
    assert_eq!((&record["sekisho.route"], &record["client.ip"]), (&"transfer".into(), &"127.0.0.1".into()));
    for key in ["http.request.id", "tls.client.x509.serial_number"] {
        assert!(record[key].is_string(), "{record}");
    }
}

#[tokio::test]
async fn a_transfer_with_a_new_certificate_can_be_held_and_the_rest_goes_on() {
    let story = MoneyStory::with(alarms("new-certificate = \"30d\"\naction = \"refuse\"")).await;
    for mut payer in story.payers("hanakodt") {
        assert_eq!(payer.transfer(5).await, Said::refused(403, "first_transfer"));
        assert_eq!(payer.get("/ib/menu.do").await, Said::Screen("BPT001".into()));
    }
    assert_eq!(story.executed(), []);
    assert_eq!(story.transfers("refused").await, 2.0);
    assert_eq!(story.transfers("reserved").await, 0.0);
    assert_eq!(counted(&story, "first_transfer").await, 2.0);
    assert_eq!(told(&story.close().await), times(2, "first_transfer", "failure"));
    // Older than that, it is a certificate like any other.
    let story = MoneyStory::with(alarms("new-certificate = \"60s\"\naction = \"refuse\"")).await;
    assert_eq!(story.payer("hanakodt").transfer(5).await, Said::done());
    assert_eq!(told(&story.close().await), []);
}

#[tokio::test]
async fn one_payee_more_than_many_is_told_and_the_day_after_is_another() {
    let story = MoneyStory::with(format!("{PAYEE}{}", alarms("many-payees = 2"))).await;
    let mut hanako = story.payer("hanakodt");
    for payee in ["a", "b", "a", "b"] {
        assert_eq!(pay(&mut hanako, payee).await, Said::done());
    }
    assert_eq!(counted(&story, "many_payees").await, 0.0);
    assert_eq!(pay(&mut hanako, "c").await, Said::done());
    assert_eq!(pay(&mut story.payer("tarokodt"), "c").await, Said::done());
    story.set_time(story.today().plus_days(1), "00:00:05");
    assert_eq!(pay(&mut hanako, "c").await, Said::done());
    assert_eq!(counted(&story, "many_payees").await, 1.0);
    assert_eq!(told(&story.close().await), times(1, "many_payees", "success"));
}

#[tokio::test]
async fn one_payee_more_than_many_can_be_held_and_a_reload_forgets_nobody() {
    let layer = format!("{PAYEE}{}", alarms("many-payees = 2\naction = \"refuse\""));
    let story = MoneyStory::with(layer).await;
    let held = Said::refused(403, "many_payees");
    let mut hanako = story.payer("hanakodt");
    let said = [pay(&mut hanako, "a").await, pay(&mut hanako, "b").await, pay(&mut hanako, "c").await];
    assert_eq!(said, [Said::done(), Said::done(), held.clone()]);
    // At another PC it is the same customer, and whoever was paid before can be paid again.
    let mut other = story.payer_over_http2("hanakodt");
    assert_eq!([pay(&mut other, "d").await, pay(&mut other, "a").await], [held.clone(), Said::done()]);
    // Two meanings of whom it pays have none.
    let twice = other.submit(COMMIT, "payee=a&payee=e&amount=1").await;
    assert_eq!(twice, Said::refused(400, "ambiguous_field"));
    story.gateway.reload().await.unwrap();
    assert_eq!(pay(&mut hanako, "e").await, held);
    assert_eq!(story.executed(), [1, 1, 1]);
    assert_eq!(told(&story.close().await), times(3, "many_payees", "failure"));
}

/// A42: raised, and used at once.
#[tokio::test]
async fn a_transfer_after_the_limit_was_raised_is_told_for_as_long_as_it_is_new() {
    let story = MoneyStory::with(format!("{LIMIT_SCREEN}{}", alarms("raised-limit = \"24h\""))).await;
    let mut hanako = story.payer("hanakodt");
    assert_eq!(hanako.transfer(1).await, Said::done());
    // Nobody knows what it was before.
    set_limit(&mut hanako, 50_000_000).await;
    assert_eq!(hanako.transfer(2).await, Said::done());
    assert_eq!(counted(&story, "raised_limit").await, 1.0);
    story.advance(A_DAY);
    set_limit(&mut hanako, 20_000_000).await;
    assert_eq!(hanako.transfer(3).await, Said::done());
    assert_eq!(counted(&story, "raised_limit").await, 1.0, "lowered");
    set_limit(&mut hanako, 30_000_000).await;
    assert_eq!(hanako.transfer(4).await, Said::done());
    assert_eq!(story.payer("tarokodt").transfer(4).await, Said::done());
    assert_eq!(counted(&story, "raised_limit").await, 2.0);
    assert_eq!(told(&story.close().await), times(2, "raised_limit", "success"));
}

#[tokio::test]
async fn transfers_after_the_limit_was_raised_can_be_held() {
    let layer = format!("{LIMIT_SCREEN}{}", alarms("raised-limit = \"24h\"\naction = \"refuse\""));
    let story = MoneyStory::with(layer).await;
    let mut hanako = story.payer("hanakodt");
    set_limit(&mut hanako, 50_000_000).await;
    let held = Said::refused(403, "raised_limit");
    assert_eq!(hanako.transfer(1).await, held);
    story.advance(A_DAY - 1);
    assert_eq!(hanako.transfer(1).await, held);
    assert_eq!(story.executed(), []);
    story.advance(1);
    assert_eq!(hanako.transfer(1).await, Said::done());
    // What the bank refuses raises nothing.
    let said = hanako.submit("/ib/limit/change.do", "limit=100000001").await;
    assert_eq!(said, Said::refused(403, "limit_too_high"));
    assert_eq!(hanako.transfer(1).await, Said::done());
    assert_eq!(told(&story.close().await), times(2, "raised_limit", "failure"));
}

/// With `mode = "observe"` nothing about money is refused, and what would be is counted.
#[tokio::test]
async fn where_the_ceiling_is_only_observed_alarms_hold_nothing() {
    let layer = format!("[transfer]\nmode = \"observe\"\n{}", alarms("new-certificate = \"30d\"\naction = \"refuse\""));
    let story = MoneyStory::with(layer).await;
    assert_eq!(story.payer("hanakodt").transfer(5).await, Said::done());
    let observed = [("reason", "first_transfer")];
    assert_eq!(story.gateway.operator.metric("sekisho_refusals_observed_total", &observed).await, 1.0);
    assert_eq!(told(&story.close().await), times(1, "first_transfer", "success"));
}

#[tokio::test]
async fn without_a_word_about_alarms_nothing_is_recorded() {
    let story = MoneyStory::with(format!("{PAYEE}{LIMIT_SCREEN}")).await;
    let mut hanako = story.payer("hanakodt");
    set_limit(&mut hanako, 50_000_000).await;
    for number in 0..30 {
        assert_eq!(pay(&mut hanako, &format!("payee{number}")).await, Said::done());
    }
    assert_eq!(story.gateway.operator.metric("sekisho_transfer_alarms_total", &[]).await, 0.0);
    assert_eq!(told(&story.close().await), []);
}

//! A contract's day: what it may move, how often it is tried, and what is remembered (LIM-02, LIM-13, LIM-17, LIM-40).

use std::sync::Arc;

use sekisho::demo::bank::{Fault, Gate};

use crate::support::payer::FORM;
use crate::support::{COMMIT, LIMIT, MoneyStory, PATIENCE, Said, within};

#[tokio::test]
async fn the_day_holds_its_limit_to_the_last_yen() {
    let story = MoneyStory::begin().await;
    let mut hanako = story.payer("hanakodt");
    assert_eq!(hanako.transfer(LIMIT - 1).await, Said::done());
    assert_eq!(hanako.transfer(2).await, Said::refused(403, "over_ceiling"));
    assert_eq!(hanako.transfer(1).await, Said::done());
    assert_eq!(hanako.transfer(1).await, Said::refused(403, "over_ceiling"));
    story.assert_counted(&mut hanako, LIMIT).await;

    // Nobody else pays for it.
    assert_eq!(story.payer_over_http2("tarokodt").transfer(LIMIT).await, Said::done());
    story.until_transfers("committed", 3.0).await;
    story.close().await;
}

/// A30.
#[tokio::test]
async fn a_thousand_small_transfers_are_one_sum() {
    let story = MoneyStory::plan().ceiling(1_000_000).open().await;
    let mut hanako = story.payer("hanakodt");
    for number in 0..1_000 {
        assert_eq!(
            hanako.transfer(1_001).await,
            if number < 999 { Said::done() } else { Said::refused(403, "over_ceiling") }
        );
    }
    assert_eq!(story.executed_today("hanakodt"), 999 * 1_001);
    story.close().await;
}

/// A32: over several PCs, both versions of HTTP and several workers.
#[tokio::test]
async fn of_two_hundred_transfers_for_the_last_yen_one_is_executed() {
    let in_flight = "[transfer]\nmax-in-flight-per-login-id = 1000\nmax-in-flight-per-contract = 1000\n";
    let story = MoneyStory::plan().workers(2).layer(in_flight).open().await;
    assert_eq!(story.payer("hanakodt").transfer(LIMIT - 1).await, Said::done());

    // While the one is at the bank, the others must not find its yen free.
    let gate = Gate::shut();
    story.bank.fail_always(Fault::HoldRequest(gate.clone()));
    let mut racing = tokio::task::JoinSet::new();
    for payer in [story.payers("hanakodt"), story.payers("hanakodt")].into_iter().flatten() {
        for _ in 0..50 {
            let mut tab = payer.tab();
            racing.spawn(async move { tab.transfer(1).await });
        }
    }
    let mut refused = 0;
    while refused < 199 {
        let said = within(PATIENCE, "the others", racing.join_next()).await.unwrap().unwrap();
        assert_eq!(said, Said::refused(403, "over_ceiling"));
        refused += 1;
    }
    assert_eq!(story.bank.received(), 2);
    gate.open();
    assert_eq!(racing.join_next().await.unwrap().unwrap(), Said::done());
    assert_eq!(story.executed(), [100_000_000 - 1, 1]);
    story.close().await;
}

#[tokio::test]
async fn a_restart_forgets_nothing() {
    let story = MoneyStory::begin().await;
    let mut hanako = story.payer("hanakodt");
    assert_eq!(hanako.transfer(60_000_000).await, Said::done());
    story.bank.fail_next(Fault::InternalError(sekisho::demo::bank::Execution::Done));
    assert_eq!(hanako.transfer(30_000_000).await, Said::Screen("BERR500".into()));
    drop(hanako);

    let story = story.restart().await;
    let mut hanako = story.payer("hanakodt");
    story.assert_counted(&mut hanako, 90_000_000).await;
    assert_eq!(hanako.transfer(10_000_001).await, Said::refused(403, "over_ceiling"));
    assert_eq!(hanako.transfer(10_000_000).await, Said::done());
    story.close().await;
}

/// A refusal names the contract's own numbers and nobody else's (LIM-27).
#[tokio::test]
async fn a_refusal_says_what_is_left_in_the_readers_language() {
    let story = MoneyStory::begin().await;
    let mut hanako = story.payer("hanakodt");
    assert_eq!(story.payer("tarokodt").transfer(77_777_777).await, Said::done());
    assert_eq!(hanako.transfer(98_765_432).await, Said::done());

    let form = b"payee=yamada&account=7654321&amount=1234569";
    let refusal = hanako.post(COMMIT, &[("Content-Type", FORM)], form).await;
    let problem = refusal.json();
    let told = (&problem["limit"], &problem["used"], &problem["remaining"]);
    assert_eq!(told, (&100_000_000.into(), &98_765_432.into(), &1_234_568.into()));
    let browser = |language| [("Content-Type", FORM), ("Accept", "text/html"), ("Accept-Language", language)];
    for (language, words) in [
        ("ja", ["限度額", "100,000,000円", "ご利用済み", "98,765,432円", "残り", "1,234,568円"]),
        ("en", ["Limit", "100,000,000 yen", "Used", "98,765,432 yen", "Remaining", "1,234,568 yen"]),
    ] {
        let page = hanako.post(COMMIT, &browser(language), form).await;
        assert_eq!(page.status, 403);
        let text = page.text();
        for word in words {
            assert!(text.contains(word), "{word} in {text}");
        }
        for private in ["77,777,777", "tarokodt", "yamada", "7654321", "1,234,569"] {
            assert!(!text.contains(private), "{private} in {text}");
        }
    }
    story.close().await;
}

/// A33: a double click, a browser that sends again, a proxy that does.
#[tokio::test]
async fn the_same_form_token_in_flight_is_not_forwarded_twice() {
    let story = MoneyStory::with("[[route]]\nname = \"transfer\"\ntoken = \"token\"\n").await;
    let mut hanako = story.payer("hanakodt");
    let gate = Gate::shut();
    story.bank.fail_next(Fault::HoldAnswer(gate.clone()));
    let mut first = hanako.tab();
    let first = tokio::spawn(async move { first.submit(COMMIT, "amount=10&token=T1").await });
    gate.arrived(1).await;
    for payer in story.payers("hanakodt").iter_mut().chain([&mut hanako]) {
        assert_eq!(payer.submit(COMMIT, "amount=10&token=T1").await, Said::refused(409, "transfer_in_progress"));
        assert_eq!(payer.submit(COMMIT, "amount=10").await, Said::refused(400, "missing_field"));
        assert_eq!(payer.submit(COMMIT, "amount=10&token=").await, Said::refused(400, "missing_field"));
    }
    assert_eq!(hanako.submit(COMMIT, "amount=20&token=T2").await, Said::done());
    assert_eq!(story.payer("tarokodt").submit(COMMIT, "amount=40&token=T1").await, Said::done());
    gate.open();
    assert_eq!(first.await.unwrap(), Said::done());

    // The back button: the bank executes it again, so it counts again.
    assert_eq!(hanako.submit(COMMIT, "amount=10&token=T1").await, Said::done());
    assert_eq!(story.executed_today("hanakodt"), 40);
    story.close().await;
}

/// LIM-40: hang-ups and slow answers pile up only so far, and one login ID cannot use up what others need.
#[tokio::test]
async fn only_so_many_orders_are_on_their_way() {
    let story = MoneyStory::with("[transfer]\nmax-in-flight-per-login-id = 3\n").await;
    let hanako = story.payer("hanakodt");
    let gate = Gate::shut();
    story.bank.fail_always(Fault::HoldRequest(gate.clone()));
    let mut held = tokio::task::JoinSet::new();
    for _ in 0..3 {
        let mut tab = hanako.tab();
        held.spawn(async move { tab.transfer(1).await });
    }
    gate.arrived(3).await;
    for mut payer in story.payers("hanakodt") {
        assert_eq!(payer.transfer(1).await, Said::refused(429, "too_many_transfers"));
    }
    let mut taro = story.payer("tarokodt");
    held.spawn(async move { taro.transfer(1).await });
    gate.arrived(4).await;
    gate.open();
    while let Some(said) = held.join_next().await {
        assert_eq!(said.unwrap(), Said::done());
    }
    assert_eq!(story.executed_today("hanakodt"), 3);
    assert_eq!(hanako.tab().transfer(1).await, Said::done());
    story.close().await;
}

#[tokio::test]
async fn a_clerk_and_a_single_order_have_limits_of_their_own() {
    let story = MoneyStory::with("[transfer]\nper-transfer = 10_000_000\nper-login-id = 15_000_000\n").await;
    let mut hanako = story.payer("hanakodt");
    assert_eq!(hanako.transfer(10_000_001).await, Said::refused(403, "over_transfer_limit"));
    assert_eq!(hanako.transfer(10_000_000).await, Said::done());
    assert_eq!(hanako.transfer(5_000_001).await, Said::refused(403, "over_login_id_limit"));
    assert_eq!(hanako.transfer(5_000_000).await, Said::done());
    assert_eq!(hanako.transfer(1).await, Said::refused(403, "over_login_id_limit"));
    assert_eq!(story.executed_today("hanakodt"), 15_000_000);
    story.close().await;
}

/// Money needs somebody whose money it is, whatever the request claims.
#[tokio::test]
async fn nobody_transfers_without_a_certificate() {
    let password = "[[listener]]\nname = \"password\"\naddress = \"127.0.0.1:0\"\nserver-names = [\"password.example\"]\n\
                    certificate = \"certs/server.pem\"\nprivate-key = \"certs/server.key\"\nauthentication = \"password\"\n";
    let story = MoneyStory::with(password).await;
    let stranger = story.gateway.stranger().at(story.gateway.address_of("password")).visiting("password.example");
    let mut connection = stranger.connect().await;
    let headers =
        [("Content-Type", FORM), ("Content-Length", "8"), ("X-Login-Id", "hanakodt"), ("Accept", "application/json")];
    let answer = connection.request("POST", COMMIT, &headers, b"amount=1").await;
    assert_eq!(Said::of(&answer), Said::refused(403, "no_identity"));
    story.assert_bank_untouched();
    story.close().await;
}

/// Who reads the log finds each order once under its request's name, and neither payee, account nor password.
#[tokio::test]
async fn the_audit_log_tells_every_transfer_and_nothing_private() {
    let story = MoneyStory::begin().await;
    let mut hanako = story.payer("hanakodt");
    assert_eq!(hanako.transfer(1_000).await, Said::done());
    assert_eq!(hanako.submit(COMMIT, "amount=5&payee=reject&password=himitsu").await, Said::failed());
    assert_eq!(hanako.transfer(LIMIT).await, Said::refused(403, "over_ceiling"));
    let orders = story.bank.executed();
    let bank = Arc::clone(&story.bank);
    let log = story.close().await;
    let told: Vec<_> = log.iter().filter(|line| line["event.action"] == "transfer").collect();
    let states: Vec<_> = told.iter().map(|line| (&line["sekisho.transfer.state"], &line["sekisho.amount"])).collect();
    let expected = [("committed", 1_000), ("released", 5), ("refused", LIMIT)];
    assert_eq!(states, expected.map(|(state, amount)| (state.into(), amount.into())).each_ref().map(|(s, a)| (s, a)));
    assert_eq!(told[0]["sekisho.transfer.id"], orders[0].request_id.as_deref().unwrap());
    assert_eq!((&told[0]["user.id"], &told[0]["sekisho.route"]), (&"hanakodt".into(), &"transfer".into()));
    let refused = told[2];
    assert_eq!((&refused["event.reason"], &refused["url.path"]), (&"over_ceiling".into(), &COMMIT.into()));
    assert_eq!(bank.received(), 2);
}

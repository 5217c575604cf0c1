//! Commits and approvals whose form says again what an earlier screen said: whichever of the two the bank executes, what is
//! granted is enough (LIM-18, LIM-19, LIM-33).

use sekisho::demo::bank::{Bank, Forms, Lists};
use tokio::net::TcpListener;

use crate::approval::APPROVAL;
use crate::support::desk::sekisho;
use crate::support::redis::RedisServer;
use crate::support::{MoneyStory, Payer, Said, TestGateway};
use crate::wizard::{TIED, WIZARD};

const REPEATS: &str = "[[route]]\nname = \"execute\"\namount = [\"amount\"]\n";
const APPROVAL_REPEATS: &str = "[[route]]\nname = \"approve\"\namount = [\"amount\"]\n";
const LISTS: &str = "[[route]]\nname = \"entry\"\namount = [\"amount\", \"kingaku*\"]\n";
const LISTS_REPEAT: &str = "[[route]]\nname = \"execute\"\namount = [\"amount\", \"kingaku*\"]\n";

const ALMOST_ALL: u64 = 99_999_999;

/// Banks that execute what was entered, and banks that execute what is said again.
const FORMS: [Forms; 3] = [Forms::FilledOnce, Forms::FilledAgain, Forms::FilledFieldByField];

async fn enter(payer: &mut Payer, number: &str, form: &str) {
    let said = payer.submit("/ib/transfer/entry.do", &format!("transaction={number}&payee=yamada&{form}")).await;
    assert_eq!(said, Said::Screen("BTRE002".into()), "{form}");
}

async fn execute(payer: &mut Payer, number: &str, form: &str) -> Said {
    payer.submit("/ib/transfer/execute.do", &format!("transaction={number}&payee=yamada&{form}")).await
}

/// Asks for an approval; the bank numbers the orders from 1.
async fn request(payer: &mut Payer, yen: u64) {
    let said = payer.submit("/ib/approval/request.do", &format!("amount={yen}&payee=yamada")).await;
    assert_eq!(said, Said::To("/ib/approval/requested.do".into()));
}

async fn approve(payer: &mut Payer, number: u64, form: &str) -> Said {
    payer.submit("/ib/approval/approve.do", &format!("id={number}{form}")).await
}

fn approved() -> Said {
    Said::To("/ib/approval/done.do".into())
}

fn more_than_entered() -> Said {
    Said::refused(403, "more_than_entered")
}

#[tokio::test]
async fn a_commit_that_repeats_its_amount_counts_what_was_entered() {
    for forms in FORMS {
        let plan = MoneyStory::plan().layer(WIZARD).layer(TIED).layer(REPEATS);
        let story = plan.bank(|bank| bank.forms = forms).open().await;
        for mut payer in [story.payer("hanakodt"), story.payer_over_http2("tarokodt")] {
            enter(&mut payer, "T1", "amount=100").await;
            assert_eq!(execute(&mut payer, "T1", "amount=100").await, Said::done());
            story.assert_counted(&mut payer, 100).await;
            // Nobody knows which of the two the bank executes.
            enter(&mut payer, "T2", "amount=50").await;
            assert_eq!(execute(&mut payer, "T2", "amount=40").await, Said::done());
            let executed = match forms {
                Forms::FilledOnce => 150,
                Forms::FilledAgain | Forms::FilledFieldByField => 140,
            };
            assert_eq!((story.executed_today(payer.login_id()), payer.counted().await), (executed, 150));
        }
        story.close().await;
    }
}

#[tokio::test]
async fn a_commit_that_repeats_more_than_was_entered_does_not_leave() {
    for forms in FORMS {
        let plan = MoneyStory::plan().layer(WIZARD).layer(TIED).layer(REPEATS);
        let story = plan.bank(|bank| bank.forms = forms).open().await;
        for mut payer in [story.payer("hanakodt"), story.payer_over_http2("tarokodt")] {
            enter(&mut payer, "T1", "amount=1").await;
            enter(&mut payer, "T2", &format!("amount={ALMOST_ALL}")).await;
            let received = story.bank.received();
            for yen in [2, ALMOST_ALL] {
                let said = execute(&mut payer, "T1", &format!("amount={yen}")).await;
                assert_eq!(said, more_than_entered(), "{yen}");
            }
            for (form, status, code) in [
                ("", 400, "missing_field"),
                ("amount=", 400, "bad_amount"),
                ("amount=1&amount=2", 400, "ambiguous_field"),
                ("Amount=1", 400, "ambiguous_field"),
            ] {
                assert_eq!(execute(&mut payer, "T1", form).await, Said::refused(status, code), "{form}");
            }
            assert_eq!(execute(&mut payer, "T3", "amount=1").await, Said::refused(403, "no_entry"));
            let said = execute(&mut payer, "T2", "amount=100000000").await;
            assert_eq!(said, more_than_entered());
            assert_eq!((story.bank.received(), payer.counted().await), (received, 0));
            // What was entered can still be committed, as it is.
            assert_eq!(execute(&mut payer, "T1", "amount=1").await, Said::done());
            story.assert_counted(&mut payer, 1).await;
        }
        assert_eq!(story.transfers("reserved").await, 2.0, "what does not leave was never reserved");
        let log = story.close().await;
        let told = |line: &&serde_json::Value| line["event.reason"] == "more_than_entered";
        let amounts: Vec<_> = log.iter().filter(told).map(|line| line["sekisho.amount"].as_u64().unwrap()).collect();
        assert_eq!(amounts, [2, ALMOST_ALL, 100_000_000].repeat(2), "what was asked for is told");
    }
}

/// Several fields are summed on both screens.
#[tokio::test]
async fn lists_that_are_repeated_are_summed() {
    for (lists, counted_after_failure) in [(Lists::LineByLine, 65), (Lists::Atomic, 60)] {
        let atomic = format!("[[route]]\nname = \"execute\"\natomic = {}\n", lists == Lists::Atomic);
        let plan = MoneyStory::plan().layer(WIZARD).layer(TIED).layer(LISTS).layer(LISTS_REPEAT).layer(atomic);
        let switched = plan.bank(|bank| (bank.forms, bank.lists) = (Forms::FilledAgain, lists));
        let story = switched.open().await;
        let mut hanako = story.payer("hanakodt");
        let list = "kingaku1=50&payee1=yamada&kingaku2=10&payee2=yamada&kingaku3=";
        enter(&mut hanako, "T1", list).await;
        for more in ["kingaku1=50&kingaku2=11", "kingaku1=50&kingaku2=10&amount=1", "kingaku3=61"] {
            assert_eq!(execute(&mut hanako, "T1", more).await, more_than_entered(), "{more}");
        }
        assert_eq!(execute(&mut hanako, "T1", "kingaku1=").await, Said::refused(400, "missing_field"));
        assert_eq!(execute(&mut hanako, "T1", list).await, Said::done());
        story.assert_counted(&mut hanako, 60).await;
        // LIM-31: of what is said again, a part may be executed.
        let bad = "kingaku1=3&payee1=yamada&kingaku2=2&payee2=reject";
        enter(&mut hanako, "T2", bad).await;
        assert_eq!(execute(&mut hanako, "T2", bad).await, Said::failed());
        assert_eq!(hanako.counted().await, counted_after_failure, "{lists:?}");
        story.close().await;
    }
}

/// Which of the two the bank executes, nobody knows; perhaps both.
#[tokio::test]
async fn a_list_in_the_place_of_one_amount_does_not_leave() {
    let plan = MoneyStory::plan().layer(WIZARD).layer(TIED).layer(LISTS_REPEAT);
    let story = plan.bank(|bank| bank.forms = Forms::FilledAgain).open().await;
    let mut hanako = story.payer("hanakodt");
    enter(&mut hanako, "T1", "amount=100").await;
    let received = story.bank.received();
    assert_eq!(execute(&mut hanako, "T1", "kingaku1=90&payee1=yamada").await, more_than_entered());
    assert_eq!((story.bank.received(), hanako.counted().await), (received, 0));
    assert_eq!(execute(&mut hanako, "T1", "amount=100").await, Said::done());
    story.assert_counted(&mut hanako, 100).await;
    story.close().await;
}

/// What a commit does not declare, it does not bring.
#[tokio::test]
async fn a_commit_repeats_only_what_it_declares() {
    let plan = MoneyStory::plan().layer(WIZARD).layer(TIED).layer(LISTS).layer(REPEATS);
    let story = plan.bank(|bank| bank.forms = Forms::FilledAgain).open().await;
    let mut hanako = story.payer("hanakodt");
    enter(&mut hanako, "T1", "amount=5").await;
    let said = execute(&mut hanako, "T1", "amount=5&kingaku1=99999999").await;
    assert_eq!(said, Said::refused(400, "ambiguous_field"));
    let told = sekisho(&story.gateway, &["check"]).await.well();
    assert!(told.contains("route execute: refuses kingaku*, as earlier screens"), "{told}");
    story.close().await;
}

#[tokio::test]
async fn an_approval_that_repeats_its_amount_counts_what_was_requested() {
    for forms in FORMS {
        let plan = MoneyStory::plan().layer(APPROVAL).layer(APPROVAL_REPEATS);
        let story = plan.bank(|bank| bank.forms = forms).open().await;
        for login_id in ["hanakodt", "tarokodt"] {
            story.bank.set_contract(login_id, "oozora01");
        }
        let (mut clerk, mut manager) = (story.payer("hanakodt"), story.payer_over_http2("tarokodt"));
        for yen in [1, 100, 50] {
            request(&mut clerk, yen).await;
        }
        let received = story.bank.received();
        for yen in [2, ALMOST_ALL] {
            let said = approve(&mut manager, 1, &format!("&amount={yen}")).await;
            assert_eq!(said, more_than_entered(), "{yen}");
        }
        assert_eq!(approve(&mut manager, 1, "").await, Said::refused(400, "missing_field"));
        assert_eq!(approve(&mut manager, 9, "&amount=1").await, Said::refused(403, "no_entry"));
        assert_eq!((story.bank.received(), manager.counted().await), (received, 0));

        assert_eq!(approve(&mut manager, 1, "&amount=1").await, approved());
        assert_eq!(approve(&mut manager, 2, "&amount=100").await, approved());
        assert_eq!((story.executed_today("oozora01"), manager.counted().await), (101, 101));
        assert_eq!(approve(&mut manager, 3, "&amount=40").await, approved());
        let executed = match forms {
            Forms::FilledOnce => 151,
            Forms::FilledAgain | Forms::FilledFieldByField => 141,
        };
        assert_eq!((story.executed_today("oozora01"), manager.counted().await), (executed, 151));
        story.close().await;
    }
}

/// A bound of one order holds for what is said again as well.
#[tokio::test]
async fn what_is_repeated_is_an_order_like_any_other() {
    let per_transfer = "[transfer]\nper-transfer = 1000\n";
    let story = MoneyStory::plan().layer(WIZARD).layer(TIED).layer(REPEATS).layer(per_transfer).open().await;
    let mut hanako = story.payer("hanakodt");
    enter(&mut hanako, "T1", "amount=1000").await;
    assert_eq!(execute(&mut hanako, "T1", "amount=1001").await, Said::refused(403, "over_transfer_limit"));
    assert_eq!(execute(&mut hanako, "T1", "amount=1000").await, Said::done());
    story.close().await;
}

#[tokio::test]
async fn while_it_is_observed_more_than_was_entered_goes_on_and_is_told() {
    let observe = "[transfer]\nmode = \"observe\"\n";
    let story = MoneyStory::plan().layer(WIZARD).layer(TIED).layer(REPEATS).layer(observe).open().await;
    let mut hanako = story.payer("hanakodt");
    enter(&mut hanako, "T1", "amount=7").await;
    assert_eq!(execute(&mut hanako, "T1", "amount=8").await, Said::done());
    let observed = [("reason", "more_than_entered")];
    assert_eq!(story.gateway.operator.metric("sekisho_refusals_observed_total", &observed).await, 1.0);
    assert_eq!(story.executed(), [7], "this bank goes by what was entered");
    story.until_transfers("committed", 1.0).await;
    assert_eq!(story.transfers("released").await, 0.0);
    story.close().await;
}

/// The same where Redis keeps the entries.
#[tokio::test]
async fn what_is_repeated_is_held_against_entries_in_redis() {
    let redis = RedisServer::start();
    let bank = Bank::open(TcpListener::bind("127.0.0.1:0").await.unwrap()).unwrap();
    bank.switch(|switches| switches.forms = Forms::FilledAgain);
    let builder = TestGateway::builder().upstream(format!("http://{}", bank.address())).layer(redis.store());
    let layers = [WIZARD, TIED, REPEATS, APPROVAL, APPROVAL_REPEATS].into_iter();
    let prefixes = "[transfer]\nprefixes = [\"/ib/transfer/\", \"/ib/wizard.do\", \"/ib/approval/\"]\n";
    let gateway = layers.chain([prefixes]).fold(builder, |builder, layer| builder.layer(layer)).spawn().await;
    gateway.operator.wait_for("sekisho_ledger_available", &[], 1.0).await;
    let mut hanako = Payer::over_http1("hanakodt", gateway.enrol("hanakodt"));
    let mut taro = Payer::over_http2("tarokodt", gateway.enrol("tarokodt"));
    for login_id in ["hanakodt", "tarokodt"] {
        bank.set_contract(login_id, "oozora01");
    }

    enter(&mut hanako, "T1", "amount=1").await;
    for _ in 0..3 {
        assert_eq!(execute(&mut hanako, "T1", &format!("amount={ALMOST_ALL}")).await, more_than_entered());
    }
    request(&mut taro, 2).await;
    for _ in 0..3 {
        assert_eq!(approve(&mut hanako, 1, &format!("&amount={ALMOST_ALL}")).await, more_than_entered());
    }
    assert!(bank.executed().is_empty());
    assert_eq!(hanako.counted().await, 0);
    assert_eq!(execute(&mut hanako, "T1", "amount=1").await, Said::done());
    assert_eq!(approve(&mut hanako, 1, "&amount=2").await, approved());
    let executed: Vec<i128> = bank.executed().iter().map(|order| order.amount).collect();
    assert_eq!((executed, hanako.counted().await), (vec![1, 2], 3));
    gateway.drain().await;
}

/// What a route commits, or repeats beside a number, another one enters under such a key.
#[tokio::test]
async fn what_is_committed_or_repeated_was_entered_somewhere() {
    let unnumbered_entry = "[[route]]\nname = \"execute\"\namount = [\"amount\"]\ntransaction = \"transaction\"\n";
    let numbered = "[[route]]\nname = \"execute\"\ntransaction = \"transaction\"\n";
    let lone = "[[route]]\nname = \"lone\"\nmethod = \"POST\"\npath = \"/ib/lone.do\"\nclass = \"transfer\"\n\
                success = { status = 204 }\n";
    let switch = "[[route]]\nname = \"switch\"\nmethod = \"POST\"\npath = \"/ib/bulk/switch.do\"\nclass = \"bulk\"\n\
                  step = \"switch\"\namount = [\"amount\"]\ntransaction = \"id\"\nsuccess = { status = 204 }\n";
    let unnumbered_approval = format!("{}{APPROVAL_REPEATS}", APPROVAL.replace("transaction = \"id\"\n", ""));
    let answered = "[[route]]\nname = \"execute\"\ntransaction = { location-parameter = \"id\" }\n";
    for (layers, key) in [
        (&[WIZARD, unnumbered_entry][..], "route.execute.transaction"),
        (&[WIZARD, REPEATS], "route.entry.step"),
        (&["[[route]]\nname = \"transfer\"\ntransaction = \"id\"\n"], "route.transfer.transaction"),
        (&[WIZARD, TIED, switch], "route.switch.transaction"),
        (&[&unnumbered_approval], "route.approve.transaction"),
        (&[WIZARD, REPEATS, answered], "route.execute.transaction"),
        (&[WIZARD, numbered], "route.execute.transaction"),
        (&[lone], "route.lone.amount"),
    ] {
        let builder = layers.iter().fold(TestGateway::builder(), |builder, layer| builder.layer(*layer));
        let mistake = builder.try_spawn().await.err().unwrap_or_else(|| panic!("accepted: {layers:?}"));
        assert!(mistake.contains(key), "{key} in {mistake}");
    }
}

//! Amounts on one screen, executed by another: the wizard, its tabs and its short cuts (LIM-18, LIM-33, A39).

use sekisho::demo::bank::{Execution, Fault, Forms, Gate, Lists};

use crate::support::desk::sekisho;
use crate::support::{MoneyStory, Payer, Said, TestGateway};

/// The bank's wizard. Its first screen answers to a second name, which is guarded too.
pub const WIZARD: &str = r#"
    [transfer]
    prefixes = ["/ib/transfer/", "/ib/wizard.do"]
    [[route]]
    name = "entry"
    method = "POST"
    path = "/ib/transfer/entry.do"
    class = "transfer"
    step = "entry"
    charset = "windows-31j"
    amount = ["amount"]
    [[route]]
    name = "confirm"
    method = "POST"
    path = "/ib/transfer/confirm.do"
    class = "transfer"
    step = "confirm"
    charset = "windows-31j"
    [[route]]
    name = "execute"
    method = "POST"
    path = "/ib/transfer/execute.do"
    class = "transfer"
    charset = "windows-31j"
    success = { status = 302, location = "/ib/transfer/done.do" }
    failure = { status = 200, contains = "<p>BTRE900</p>" }
"#;

/// A number in both forms.
pub const TIED: &str = "[[route]]\nname = \"entry\"\ntransaction = \"transaction\"\n[[route]]\nname = \"execute\"\ntransaction = \"transaction\"\n";

const HOUR: i64 = 3600;

pub const CONFIRM: &str = "/ib/transfer/confirm.do";
const EXECUTE: &str = "/ib/transfer/execute.do";

fn entered() -> Said {
    Said::Screen("BTRE002".into())
}

async fn enter(payer: &mut Payer, yen: u64) -> Said {
    payer.submit("/ib/transfer/entry.do", &format!("amount={yen}&payee=yamada")).await
}

/// The same under a number of its own.
async fn enter_as(payer: &mut Payer, transaction: &str, yen: u64) -> Said {
    payer.submit("/ib/transfer/entry.do", &format!("amount={yen}&payee=yamada&transaction={transaction}")).await
}

async fn execute(payer: &mut Payer, form: &str) -> Said {
    payer.submit(EXECUTE, form).await
}

#[tokio::test]
async fn a_wizard_counts_what_was_entered_when_it_is_executed() {
    let story = MoneyStory::with(WIZARD).await;
    for mut payer in [story.payer("hanakodt"), story.payer_over_http2("tarokodt")] {
        assert_eq!(enter(&mut payer, 60_000_000).await, entered());
        assert_eq!(payer.counted().await, 0, "an entry moves nothing");
        assert_eq!(payer.submit(CONFIRM, "").await, entered());
        assert_eq!(execute(&mut payer, "token=x").await, Said::done());
        story.assert_counted(&mut payer, 60_000_000).await;
        // The back button.
        assert_eq!(execute(&mut payer, "token=x").await, Said::refused(403, "over_ceiling"));
    }
    story.close().await;
}

/// A39: in two tabs; whichever of them is executed, the larger one is reserved.
#[tokio::test]
async fn of_two_tabs_the_larger_amount_is_reserved() {
    let story = MoneyStory::with(WIZARD).await;
    let mut first = story.payer("hanakodt");
    assert_eq!(enter(&mut first, 1).await, entered());
    let mut second = first.tab();
    assert_eq!(enter(&mut second, 99_999_999).await, entered());
    assert_eq!(execute(&mut first, "").await, Said::done());
    assert_eq!((story.executed_today("hanakodt"), first.counted().await), (99_999_999, 99_999_999));

    // Enter much, enter one yen, execute; then one yen again: what was large once stays the measure.
    let mut taro = story.payer("tarokodt");
    for yen in [99_999_999, 1] {
        assert_eq!(enter(&mut taro, yen).await, entered());
    }
    assert_eq!(execute(&mut taro, "").await, Said::done());
    assert_eq!(enter(&mut taro, 1).await, entered());
    assert_eq!(execute(&mut taro, "").await, Said::refused(403, "over_ceiling"));
    assert_eq!((story.executed_today("tarokodt"), taro.counted().await), (1, 99_999_999));
    story.close().await;
}

/// LIM-33: a number in both forms ties each commit to its own entry.
#[tokio::test]
async fn a_number_in_both_forms_ties_a_commit_to_its_entry() {
    let story = MoneyStory::plan().layer(WIZARD).layer(TIED).open().await;
    let mut hanako = story.payer("hanakodt");
    assert_eq!(enter_as(&mut hanako, "T1", 90_000_000).await, entered());
    assert_eq!(enter_as(&mut hanako, "T2", 5).await, entered());
    assert_eq!(execute(&mut hanako, "transaction=T2").await, Said::done());
    story.assert_counted(&mut hanako, 5).await;
    for (form, status, code) in [
        ("", 400, "missing_field"),
        ("transaction=", 400, "missing_field"),
        ("transaction=T3", 403, "no_entry"),
        ("transaction=T1+", 400, "ambiguous_field"),
        ("transaction=%E2%91%A0", 400, "malformed_body"),
        ("transaction=T1&transaction=T2", 400, "ambiguous_field"),
        ("transaction=T2&Transaction=T1", 400, "ambiguous_field"),
        ("Transaction=T1", 400, "ambiguous_field"),
        ("transaction=T1%00", 400, "malformed_body"),
    ] {
        assert_eq!(execute(&mut hanako, form).await, Said::refused(status, code), "{form}");
    }
    let query = hanako.submit(&format!("{EXECUTE}?transaction=T1"), "transaction=T2").await;
    assert_eq!(query, Said::refused(400, "ambiguous_field"));
    assert_eq!(hanako.submit("/ib/transfer/entry.do", "amount=1").await, Said::refused(400, "missing_field"));
    // A second amount under the same number: the larger one holds.
    assert_eq!(enter_as(&mut hanako, "T1", 1).await, entered());
    assert_eq!(execute(&mut hanako, "transaction=T1").await, Said::done());
    assert_eq!((story.executed_today("hanakodt"), hanako.counted().await), (6, 90_000_005));
    story.close().await;
}

/// To the bank, `01` and `+1` are the entry that was made as `1`.
#[tokio::test]
async fn other_spellings_of_a_number_are_the_same_entry() {
    for spelling in ["01", "%2B1", "0000000001", "%82P"] {
        let story = MoneyStory::plan().layer(WIZARD).layer(TIED).open().await;
        let mut hanako = story.payer("hanakodt");
        assert_eq!(enter_as(&mut hanako, spelling, 1).await, entered());
        assert_eq!(enter_as(&mut hanako, "1", 99_999_999).await, entered());
        let said = execute(&mut hanako, &format!("transaction={spelling}")).await;
        let executed = story.executed_today("hanakodt");
        assert!(said == Said::done() && executed <= hanako.counted().await, "{spelling}: {said:?} {executed}");
        assert_eq!(hanako.counted().await, 99_999_999, "{spelling}");
        for blank in ["+1", "1+", "%81%401"] {
            let said = enter_as(&mut hanako, blank, 1).await;
            assert_eq!(said, Said::refused(400, "ambiguous_field"), "{blank}");
        }
        story.close().await;
    }
}

/// A40: the commit without its entry, and entries by other doors.
#[tokio::test]
async fn a_commit_without_an_entry_is_refused() {
    let story = MoneyStory::with(WIZARD).await;
    for mut payer in story.payers("hanakodt") {
        assert_eq!(execute(&mut payer, "").await, Said::refused(403, "no_entry"));
        assert_eq!(
            payer.submit("/ib/wizard.do", "amount=99999999&payee=yamada").await,
            Said::refused(403, "unknown_route")
        );
        assert_eq!(payer.get("/ib/wizard.do?amount=99999999").await, Said::refused(403, "unknown_route"));
        assert_eq!(payer.get("/ib/transfer/entry.do?amount=99999999").await, Said::refused(405, "method_not_routed"));
        assert_eq!(payer.get(EXECUTE).await, Said::refused(405, "method_not_routed"));
        assert_eq!(payer.submit("/ib/transfer/entry.do", "payee=yamada").await, Said::refused(400, "missing_field"));
        assert_eq!(
            payer.submit("/ib/transfer/entry.do?amount=5", "amount=1").await,
            Said::refused(400, "ambiguous_field")
        );
    }
    story.assert_bank_untouched();
    story.close().await;
}

/// Between the reservation and the bank's answer no other amount may slip in; nor while nobody knows the answer.
#[tokio::test]
async fn an_amount_cannot_be_changed_while_it_is_being_executed() {
    let story = MoneyStory::with(WIZARD).await;
    let mut hanako = story.payer("hanakodt");
    assert_eq!(enter(&mut hanako, 10).await, entered());
    let gate = Gate::shut();
    story.bank.fail_next(Fault::HoldRequest(gate.clone()));
    let mut tab = hanako.tab();
    let held = tokio::spawn(async move { execute(&mut tab, "").await });
    gate.arrived(1).await;
    assert_eq!(enter(&mut hanako, 99_999_999).await, Said::refused(409, "entry_in_use"));
    assert_eq!(execute(&mut hanako, "").await, Said::refused(409, "entry_in_use"));
    gate.open();
    assert_eq!(held.await.unwrap(), Said::done());
    assert_eq!(story.executed(), [10]);

    story.bank.fail_next(Fault::Die(Execution::NotDone));
    assert_eq!(execute(&mut hanako, "").await, Said::refused(502, "transfer_outcome_unknown"));
    assert_eq!(enter(&mut hanako, 99_999_999).await, Said::refused(409, "entry_in_use"));
    assert_eq!((story.executed_today("hanakodt"), hanako.counted().await), (10, 20));
    story.close().await;
}

/// Entries outlive a restart as the bank's sessions do, and end when those have ended: a quarter of the lifetime later.
#[tokio::test]
async fn entries_live_as_long_as_the_banks_sessions_and_no_longer() {
    let story = MoneyStory::plan().unbound().layer(WIZARD).at("01:00:00").open().await;
    let mut hanako = story.payer("hanakodt");
    assert_eq!(enter(&mut hanako, 70_000_000).await, entered());
    let story = story.restart().await;
    let mut again = story.payer("hanakodt");
    again.adopt_session(&hanako);
    assert_eq!(execute(&mut again, "").await, Said::done());
    story.assert_counted(&mut again, 70_000_000).await;
    story.clock.advance(15 * HOUR + 1);
    assert_eq!(execute(&mut again, "").await, Said::refused(403, "no_entry"));
    story.close().await;
}

/// Five sessions with a large amount each are looked at every hour, for longer than an entry would live by itself; then one
/// yen is entered under the same key. On one connection, and on a new one for each page; also where nobody but the entry's
/// owner can tell that its session lives on.
#[tokio::test]
async fn what_was_entered_lives_as_long_as_its_session_is_looked_at() {
    for tied in [false, true] {
        let plan = MoneyStory::plan().unbound().layer(WIZARD).at("01:00:00");
        let story = if tied { plan.layer(TIED) } else { plan }.open().await;
        let number = if tied { "transaction=4711" } else { "" };
        let mut sessions = Vec::new();
        for _ in 0..5 {
            let mut session = story.payer("hanakodt");
            assert_eq!(enter_as(&mut session, "4711", 99_999_999).await, entered());
            sessions.push(session);
        }
        // Elsewhere somebody else, with the same number and less patience.
        let mut taro = story.payer("tarokodt");
        assert_eq!(enter_as(&mut taro, "4711", 2).await, entered());
        for _ in 0..17 {
            story.advance(HOUR);
            for session in &mut sessions {
                session.get("/ib/menu.do").await;
                session.tab().get("/ib/menu.do").await;
            }
        }
        let mut sixth = story.payer("hanakodt");
        assert_eq!(enter_as(&mut sixth, "4711", 1).await, entered());
        let mut said = Vec::new();
        for session in &mut sessions {
            said.push(execute(session, number).await);
        }
        assert_eq!(said.remove(0), Said::done());
        assert_eq!(said, vec![Said::refused(403, "over_ceiling"); 4]);
        story.assert_counted(&mut sixth, 99_999_999).await;
        story.close().await;
    }
}

/// Where the gateway was started again, where it is not the one that the amount was entered at, it is the same.
#[tokio::test]
async fn a_session_that_is_looked_at_after_a_restart_keeps_its_amount() {
    let story = MoneyStory::plan().unbound().layer(WIZARD).at("01:00:00").open().await;
    let mut hanako = story.payer("hanakodt");
    assert_eq!(enter(&mut hanako, 99_999_999).await, entered());
    story.advance(11 * HOUR);
    let story = story.restart().await;
    let mut again = story.payer("hanakodt");
    again.adopt_session(&hanako);
    again.get("/ib/menu.do").await;
    story.advance(12 * HOUR - 1);
    assert_eq!(enter(&mut story.payer("hanakodt"), 1).await, entered());
    assert_eq!(execute(&mut again, "").await, Said::done());
    story.assert_counted(&mut again, 99_999_999).await;
    story.close().await;
}

/// One customer invents numbers: that one is refused, everybody else's wizard goes on.
#[tokio::test]
async fn a_customer_who_enters_too_much_is_refused_alone() {
    let few = "[transfer]\nmax-entries-per-login-id = 3\n";
    let story = MoneyStory::plan().unbound().layer(WIZARD).layer(TIED).layer(few).at("01:00:00").open().await;
    let mut hanako = story.payer("hanakodt");
    for number in ["T1", "T2", "T3"] {
        assert_eq!(enter_as(&mut hanako, number, 10).await, entered());
    }
    let too_many = Said::refused(429, "too_many_entries");
    let received = story.bank.received();
    for number in ["T4", "T5", "T4"] {
        assert_eq!(enter_as(&mut hanako, number, 10).await, too_many);
    }
    assert_eq!(story.bank.received(), received, "what is refused does not leave");
    assert_eq!(execute(&mut hanako, "transaction=T4").await, Said::refused(403, "no_entry"));
    let mut taro = story.payer_over_http2("tarokodt");
    for number in ["T4", "T1"] {
        assert_eq!(enter_as(&mut taro, number, 20).await, entered());
    }
    assert_eq!(enter_as(&mut hanako, "T1", 30).await, entered(), "what is there may be changed");
    let story = story.restart().await;
    let mut again = story.payer("hanakodt");
    again.adopt_session(&hanako);
    assert_eq!(enter_as(&mut again, "T4", 10).await, too_many);
    assert_eq!(execute(&mut again, "transaction=T1").await, Said::done());
    // After a pause in which the bank's sessions have ended, there is room.
    story.advance(15 * HOUR + 1);
    for number in ["T4", "T5", "T6"] {
        assert_eq!(enter_as(&mut again, number, 10).await, entered());
    }
    assert_eq!(enter_as(&mut again, "T1", 10).await, too_many);
    story.close().await;
}

/// LIM-31 over two screens: the commit has no lines to count, the screen before it had.
#[tokio::test]
async fn a_list_that_was_entered_and_fails_at_its_last_line_stays_counted() {
    for atomic in [false, true] {
        let several = "[[route]]\nname = \"entry\"\namount = [\"kingaku*\"]\n";
        let plan = MoneyStory::plan().layer(WIZARD).layer(several);
        let plan = plan.layer(format!("[[route]]\nname = \"execute\"\natomic = {atomic}\n"));
        let lists = if atomic { Lists::Atomic } else { Lists::LineByLine };
        let story = plan.bank(|bank| bank.lists = lists).open().await;
        let mut hanako = story.payer("hanakodt");
        let form = "kingaku1=50000000&payee1=yamada&kingaku2=49999999&payee2=yamada&kingaku3=1&payee3=reject";
        assert_eq!(hanako.submit("/ib/transfer/entry.do", form).await, entered());
        assert_eq!(execute(&mut hanako, "").await, Said::failed());
        let (moved, counted) = if atomic { (0, 0) } else { (99_999_999, 100_000_000) };
        assert_eq!((story.executed_today("hanakodt"), hanako.counted().await), (moved, counted), "atomic: {atomic}");
        story.close().await;
    }
}

/// The ledger keeps an entered amount, not the day beside it: what it could not hold is a mistake.
#[tokio::test]
async fn a_wizard_cannot_count_on_the_day_that_was_entered() {
    for basis in ["designated", "both"] {
        let basis = format!("[transfer]\nday-basis = \"{basis}\"\n");
        let mistake = TestGateway::builder().layer(WIZARD).layer(basis).try_spawn().await.err().unwrap();
        assert!(mistake.contains("route.execute.step"), "{mistake}");
    }
}

/// One yen is entered; later screens bring the rest, and the bank fills the same form again.
#[tokio::test]
async fn a_later_screen_brings_no_amount_unless_it_says_so() {
    let plan = MoneyStory::plan().unbound().layer(WIZARD);
    let story = plan.bank(|bank| bank.forms = Forms::FilledAgain).open().await;
    for mut payer in [story.payer("hanakodt"), story.payer_over_http2("tarokodt")] {
        assert_eq!(enter(&mut payer, 1).await, entered());
        for path in [CONFIRM, EXECUTE] {
            for (outside, form) in [
                ("", "amount=99999999&payee=yamada"),
                ("", "payee=yamada&%61mount=99999999"),
                ("", "Amount=99999999"),
                ("", "amount[0]=99999999"),
                ("", "amount2=99999999"),
                ("", "amount="),
                ("?amount=99999999", "payee=yamada"),
                (";amount=99999999", "payee=yamada"),
            ] {
                let said = payer.submit(&format!("{path}{outside}"), form).await;
                assert_eq!(said, Said::refused(400, "ambiguous_field"), "{path}{outside} {form}");
            }
        }
        assert_eq!(payer.get(&format!("{CONFIRM}?amount=99999999")).await, Said::refused(405, "method_not_routed"));
        assert_eq!(payer.submit(&format!("{CONFIRM};jsessionid=1?page=2"), "payee=%8eR%93c&memo=1").await, entered());
        assert_eq!(execute(&mut payer, "payee=%8eR%93c").await, Said::done());
        story.assert_counted(&mut payer, 1).await;
    }
    story.close().await;
}

/// LIM-33: what a confirmation says of the amount was entered like any other; the larger one holds.
#[tokio::test]
async fn a_confirmation_that_repeats_the_amount_declares_it_and_enters_it() {
    let repeats = "[[route]]\nname = \"confirm\"\namount = [\"amount\"]\n";
    let tied = format!("{TIED}[[route]]\nname = \"confirm\"\ntransaction = \"transaction\"\n");
    for (layer, number) in [("workers = 1\n", ""), (tied.as_str(), "&transaction=T1")] {
        for (first, second) in [(1, 60_000_000), (60_000_000, 1)] {
            let plan = MoneyStory::plan().layer(WIZARD).layer(layer).layer(repeats);
            let story = plan.bank(|bank| bank.forms = Forms::FilledAgain).open().await;
            let mut hanako = story.payer("hanakodt");
            let form = |yen| format!("amount={yen}&payee=yamada{number}");
            assert_eq!(hanako.submit("/ib/transfer/entry.do", &form(first)).await, entered());
            assert_eq!(hanako.submit(CONFIRM, &form(second)).await, entered());
            assert_eq!(hanako.submit(CONFIRM, number).await, Said::refused(400, "missing_field"));
            assert_eq!(execute(&mut hanako, number).await, Said::done());
            assert_eq!((story.executed_today("hanakodt"), hanako.counted().await), (second, 60_000_000));
            story.close().await;
        }
    }
    // Under another key than the commit's, it would be entered for nobody.
    let untied = TestGateway::builder().layer(WIZARD).layer(TIED).layer(repeats);
    let alone = "[[route]]\nname = \"confirm\"\ntransaction = \"transaction\"\n";
    let alone = TestGateway::builder().layer(WIZARD).layer(repeats).layer(alone);
    for builder in [untied, alone] {
        let mistake = builder.try_spawn().await.err().expect("a confirmation and its commit have one key");
        assert!(mistake.contains("route.confirm.transaction"), "{mistake}");
    }
    for hidden in ["fields = [\"amount\"]", "fixed = { amount = \"1\" }", "token = \"amount\"", "method = \"GET\""] {
        let layer = format!("[[route]]\nname = \"confirm\"\n{hidden}\n");
        let mistake = TestGateway::builder().layer(WIZARD).layer(layer).try_spawn().await.err();
        assert!(mistake.unwrap_or_else(|| panic!("accepted: {hidden}")).contains("route.confirm."), "{hidden}");
    }
}

#[tokio::test]
async fn a_check_tells_which_screens_must_not_bring_an_amount() {
    let gateway = TestGateway::builder().layer(WIZARD).spawn().await;
    let told = sekisho(&gateway, &["check"]).await.well();
    for route in ["confirm", "execute"] {
        assert!(told.contains(&format!("route {route}: refuses amount, ")), "{told}");
    }
    assert!(!told.contains("route entry: "), "{told}");
}

/// Numbers are shared by all customers: whoever names one of another order gets the larger amount counted.
#[tokio::test]
async fn a_check_warns_of_what_ties_requests_together_once_for_each_route() {
    let order = "[[route]]\nname = \"request\"\nmethod = \"POST\"\npath = \"/ib/approval/request.do\"\nclass = \"transfer\"\n\
                 step = \"request\"\namount = [\"amount\"]\ntransaction = \"id\"\n";
    let (shared, by_login_id) = ("must be unique over all customers, sessions and days", "is kept for its login ID");
    for (tied, shared_by, kept_by) in
        [(TIED, vec!["entry", "request"], vec![]), ("workers = 1\n", vec!["request"], vec!["entry", "execute"])]
    {
        let layer = format!("{tied}{order}");
        let gateway = TestGateway::builder().layer(WIZARD).layer(layer).spawn().await;
        let told = sekisho(&gateway, &["check"]).await.err;
        let about = |text: &str| {
            let lines = told.lines().filter(|line| line.contains(text));
            lines
                .map(|line| line.split("route.").nth(1).and_then(|rest| rest.split('.').next()).unwrap())
                .collect::<Vec<_>>()
        };
        assert_eq!((about(shared), about(by_login_id)), (shared_by, kept_by), "{told}");
    }
}

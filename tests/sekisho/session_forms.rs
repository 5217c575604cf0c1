//! Forms with several amounts that the application keeps in its session and fills with what each request brings: lines that a
//! request leaves out are executed as an earlier one filled them (LIM-10, LIM-18, LIM-19, LIM-33).

use sekisho::demo::bank::{Bank, Forms};
use tokio::net::TcpListener;

use crate::support::desk::sekisho;
use crate::support::redis::RedisServer;
use crate::support::{MoneyStory, Payer, Plan, Said, TestGateway};
use crate::wizard::{CONFIRM, TIED, WIZARD};

const LISTS: &str = "[[route]]\nname = \"entry\"\namount = [\"amount\", \"kingaku*\"]\n";
const LISTS_CONFIRM: &str = "[[route]]\nname = \"confirm\"\namount = [\"amount\", \"kingaku*\"]\n";
const LISTS_REPEAT: &str = "[[route]]\nname = \"execute\"\namount = [\"amount\", \"kingaku*\"]\n";
const TIED_CONFIRM: &str = "[[route]]\nname = \"confirm\"\ntransaction = \"transaction\"\n";

/// Three lines, which every form brings.
const COMPLETE: &str = "amount = [\"kingaku1\", \"kingaku2\", \"kingaku3\"]\ncomplete = true\n";

/// The form with several lines that is executed in one step.
const MULTI: &str = r#"
    [[route]]
    name = "multi"
    method = "POST"
    path = "/ib/transfer/multi.do"
    class = "transfer"
    charset = "windows-31j"
    success = { status = 302, location = "/ib/transfer/done.do" }
    failure = { status = 200, contains = "<p>BTRE900</p>" }
"#;

const ENTRY: &str = "/ib/transfer/entry.do";
const EXECUTE: &str = "/ib/transfer/execute.do";
const MULTI_PATH: &str = "/ib/transfer/multi.do";

fn plan(layers: &[&str]) -> Plan {
    let plan = layers.iter().fold(MoneyStory::plan().layer(WIZARD), |plan, layer| plan.layer(*layer));
    plan.bank(|bank| bank.forms = Forms::FilledFieldByField)
}

fn entered() -> Said {
    Said::Screen("BTRE002".into())
}

fn more_than_entered() -> Said {
    Said::refused(403, "more_than_entered")
}

/// Whatever a later request says beside what an earlier one said, all of it counts.
#[tokio::test]
async fn what_several_requests_fill_in_counts_together() {
    for (layers, screens, moved) in [
        (&[TIED, LISTS][..], [(ENTRY, "kingaku1=60"), (ENTRY, "kingaku2=50"), (EXECUTE, "")], 110),
        (&[LISTS], [(ENTRY, "kingaku1=60"), (ENTRY, "kingaku2=50"), (EXECUTE, "")], 110),
        (&[TIED, LISTS], [(ENTRY, "kingaku1=60&kingaku2=1"), (ENTRY, "kingaku2=50"), (EXECUTE, "")], 110),
        (&[TIED, LISTS], [(ENTRY, "amount=60"), (ENTRY, "kingaku2=50"), (EXECUTE, "")], 110),
        (
            &[TIED, LISTS, TIED_CONFIRM, LISTS_CONFIRM],
            [(ENTRY, "kingaku1=60"), (CONFIRM, "kingaku2=50"), (EXECUTE, "")],
            110,
        ),
        (&[LISTS, LISTS_CONFIRM], [(ENTRY, "kingaku1=60"), (CONFIRM, "amount=50"), (EXECUTE, "")], 110),
        (&[TIED, LISTS, LISTS_REPEAT], [(ENTRY, "kingaku1=60"), (ENTRY, "kingaku2=50"), (EXECUTE, "kingaku2=50")], 110),
        // One amount is one amount, however often it is said.
        (&[TIED], [(ENTRY, "amount=60"), (ENTRY, "amount=60"), (EXECUTE, "")], 60),
    ] {
        let story = plan(layers).open().await;
        for mut payer in [story.payer("hanakodt"), story.payer_over_http2("tarokodt")] {
            for (path, form) in screens {
                let tied = if layers.contains(&TIED) { "&transaction=T1" } else { "" };
                let said = payer.submit(path, format!("{form}{tied}").trim_start_matches('&')).await;
                assert_eq!(said, if path == EXECUTE { Said::done() } else { entered() }, "{screens:?}");
            }
            assert_eq!(payer.counted().await, moved, "{screens:?}");
            assert_eq!(story.executed_today(payer.login_id()), moved, "{screens:?}");
        }
        story.close().await;
    }
}

/// A39 with lines in the place of tabs.
#[tokio::test]
async fn lines_that_are_entered_one_by_one_do_not_pass_the_ceiling() {
    for layers in [&[TIED, LISTS][..], &[LISTS]] {
        let story = plan(layers).open().await;
        for mut payer in [story.payer("hanakodt"), story.payer_over_http2("tarokodt")] {
            for form in ["kingaku1=60000000", "kingaku2=40000001"] {
                assert_eq!(payer.submit(ENTRY, &format!("{form}&transaction=T1")).await, entered());
            }
            let received = story.bank.received();
            let said = payer.submit(EXECUTE, "transaction=T1").await;
            assert_eq!(said, Said::refused(403, "over_ceiling"));
            assert_eq!((story.bank.received(), payer.counted().await), (received, 0));
        }
        assert!(story.executed().is_empty());
        story.close().await;
    }
}

/// What a commit says once more is held against the same line of what was entered, and against nothing else.
#[tokio::test]
async fn a_commit_adds_no_line_to_what_was_entered() {
    let story = plan(&[TIED, LISTS, LISTS_REPEAT]).open().await;
    for mut payer in [story.payer("hanakodt"), story.payer_over_http2("tarokodt")] {
        assert_eq!(payer.submit(ENTRY, "kingaku1=60&kingaku2=50&transaction=T1").await, entered());
        let received = story.bank.received();
        for more in ["kingaku3=1", "kingaku2=51", "amount=60", "kingaku1=1&kingaku2=2&kingaku3=3"] {
            let said = payer.submit(EXECUTE, &format!("{more}&transaction=T1")).await;
            assert_eq!(said, more_than_entered(), "{more}");
        }
        assert_eq!((story.bank.received(), payer.counted().await), (received, 0));
        assert_eq!(payer.submit(EXECUTE, "kingaku1=60&transaction=T1").await, Said::done());
        story.assert_counted(&mut payer, 110).await;
    }
    story.close().await;
}

/// Every order of a few requests, each under a number of its own.
#[tokio::test]
async fn no_order_of_requests_moves_more_than_is_counted() {
    let wide = "[transfer]\nmax-entries-per-login-id = 1000\n";
    let story = plan(&[TIED, LISTS, TIED_CONFIRM, LISTS_CONFIRM, LISTS_REPEAT, wide]).without_ceiling().open().await;
    let mut payer = story.payer_over_http2("hanakodt");
    let said = ["kingaku1=60", "kingaku1=5&kingaku2=50", "amount=7", "kingaku2=&kingaku3=9"];
    let mut done = 0;
    for number in 0..4 * 4 * 4 * 4 {
        let [first, second, third, last] = [0, 1, 2, 3].map(|place| said[number >> (2 * place) & 3]);
        for (path, form) in [(ENTRY, first), (CONFIRM, second), (ENTRY, third), (EXECUTE, last)] {
            let said = payer.submit(path, &format!("{form}&transaction=T{number}")).await;
            done += usize::from(said == Said::done());
            assert!(said == entered() || said == Said::done() || said == more_than_entered(), "{said:?}");
        }
    }
    let (executed, counted) = (story.executed_today("hanakodt"), payer.counted().await);
    assert!(executed <= counted, "{executed} executed, {counted} counted");
    assert!(done > 100, "{done}");
    story.close().await;
}

/// Where no line may be left out, each form says all of it: the largest counts, and no more.
#[tokio::test]
async fn of_complete_forms_the_largest_counts() {
    let complete = |route: &str| format!("[[route]]\nname = \"{route}\"\n{COMPLETE}");
    let (entry, execute) = (complete("entry"), complete("execute"));
    let story = plan(&[TIED, &entry, &execute]).open().await;
    let mut payer = story.payer("hanakodt");
    for form in ["kingaku1=60", "kingaku1=60&kingaku2=", "kingaku2=1&kingaku3=1"] {
        let said = payer.submit(ENTRY, &format!("{form}&transaction=T1")).await;
        assert_eq!(said, Said::refused(400, "missing_field"), "{form}");
    }
    for form in ["kingaku1=60&kingaku2=1&kingaku3=", "kingaku1=1&kingaku2=&kingaku3=60"] {
        assert_eq!(payer.submit(ENTRY, &format!("{form}&transaction=T1")).await, entered(), "{form}");
    }
    let received = story.bank.received();
    for (form, refused) in [
        ("kingaku1=61", Said::refused(400, "missing_field")),
        ("kingaku1=60&kingaku2=1&kingaku3=1", more_than_entered()),
    ] {
        assert_eq!(payer.submit(EXECUTE, &format!("{form}&transaction=T1")).await, refused, "{form}");
    }
    assert_eq!(story.bank.received(), received);
    let again = "kingaku1=1&kingaku2=&kingaku3=60&transaction=T1";
    assert_eq!(payer.submit(EXECUTE, again).await, Said::done());
    story.assert_counted(&mut payer, 61).await;
    story.close().await;
}

/// Of a list that is executed in one step, nothing of an earlier one is left where each form brings every line.
#[tokio::test]
async fn a_complete_list_is_executed_as_it_came() {
    let complete = format!("{MULTI}{COMPLETE}");
    let story = plan(&[&complete]).open().await;
    let mut payer = story.payer("hanakodt");
    for form in ["kingaku1=60", "kingaku1=60&kingaku3=1"] {
        assert_eq!(payer.submit(MULTI_PATH, form).await, Said::refused(400, "missing_field"), "{form}");
    }
    assert!(story.executed().is_empty());
    for form in ["kingaku1=60&kingaku2=&kingaku3=", "kingaku1=&kingaku2=50&kingaku3=", "kingaku3=7&kingaku2=&kingaku1="]
    {
        assert_eq!(payer.submit(MULTI_PATH, form).await, Said::done(), "{form}");
    }
    story.assert_counted(&mut payer, 117).await;
    assert_eq!(story.executed(), [60, 50, 7]);
    story.close().await;
}

/// What stands alone is counted alone; whoever relies on it is told.
#[tokio::test]
async fn the_check_warns_of_lists_that_stand_alone() {
    let list = format!("{MULTI}amount = [\"kingaku1\", \"kingaku2\"]\n");
    let told_of = async |layers: &[&str]| {
        let story = plan(layers).open().await;
        let told = sekisho(&story.gateway, &["check"]).await.err;
        story.close().await;
        told
    };
    let told = told_of(&[&list]).await;
    assert!(told.contains("several amounts are counted as each request brings them"), "{told}");
    for layers in [&[TIED, LISTS][..], &[&format!("{list}complete = true\n")]] {
        let told = told_of(layers).await;
        assert!(!told.contains("several amounts are counted"), "{told}");
    }
    let endless = format!("{MULTI}amount = [\"kingaku*\"]\ncomplete = true\n");
    let mistake = TestGateway::builder().layer(WIZARD).layer(TIED).layer(endless).try_spawn().await.err().unwrap();
    assert!(mistake.contains("kingaku*") && mistake.contains("any number of fields"), "{mistake}");
}

/// A bound of one order holds for what several screens say of it together.
#[tokio::test]
async fn several_screens_together_are_one_order() {
    let bound = "[transfer]\nper-transfer = 1000\n";
    let story = plan(&[TIED, LISTS, bound]).open().await;
    let mut payer = story.payer("hanakodt");
    for form in ["kingaku1=600", "kingaku2=401"] {
        assert_eq!(payer.submit(ENTRY, &format!("{form}&transaction=T1")).await, entered());
    }
    let received = story.bank.received();
    assert_eq!(payer.submit(EXECUTE, "transaction=T1").await, Said::refused(403, "over_transfer_limit"));
    assert_eq!(story.bank.received(), received);
    story.until_transfers("released", 1.0).await;
    for form in ["kingaku1=600", "kingaku2=400"] {
        assert_eq!(payer.submit(ENTRY, &format!("{form}&transaction=T2")).await, entered());
    }
    assert_eq!(payer.submit(EXECUTE, "transaction=T2").await, Said::done());
    assert_eq!(story.executed(), [600, 400]);
    story.close().await;
}

/// The same where Redis keeps what was entered.
#[tokio::test]
async fn lines_are_kept_in_redis() {
    let redis = RedisServer::start();
    let bank = Bank::open(TcpListener::bind("127.0.0.1:0").await.unwrap()).unwrap();
    bank.switch(|switches| switches.forms = Forms::FilledFieldByField);
    let builder = TestGateway::builder().upstream(format!("http://{}", bank.address())).layer(redis.store());
    let layers = [WIZARD, TIED, LISTS, LISTS_REPEAT].into_iter();
    let gateway = layers.fold(builder, |builder, layer| builder.layer(layer)).spawn().await;
    gateway.operator.wait_for("sekisho_ledger_available", &[], 1.0).await;
    let mut payer = Payer::over_http1("hanakodt", gateway.enrol("hanakodt"));
    for form in ["kingaku1=60000000", "kingaku2=40000001"] {
        assert_eq!(payer.submit(ENTRY, &format!("{form}&transaction=T1")).await, entered());
    }
    let execute = async |payer: &mut Payer, form: &str| payer.submit(EXECUTE, form).await;
    assert_eq!(execute(&mut payer, "kingaku1=60000000&transaction=T1").await, Said::refused(403, "over_ceiling"));
    assert_eq!(execute(&mut payer, "kingaku3=1&transaction=T1").await, more_than_entered());
    assert!(bank.executed().is_empty());
    for form in ["kingaku1=60", "kingaku2=50", "kingaku1=1"] {
        assert_eq!(payer.submit(ENTRY, &format!("{form}&transaction=T2")).await, entered());
    }
    assert_eq!(execute(&mut payer, "kingaku1=60&transaction=T2").await, Said::done());
    let executed: i128 = bank.executed().iter().map(|order| order.amount).sum();
    assert_eq!((executed, payer.counted().await), (110, 110));
    gateway.drain().await;
}

/// Whatever is granted of these requests, the bank executes no more than is counted.
async fn counts_no_less_than_is_executed(layers: &[&str], screens: &[(&str, &str)]) {
    let story = plan(layers).without_ceiling().open().await;
    let mut payer = story.payer("hanakodt");
    for (path, form) in screens {
        payer.submit(path, form).await;
    }
    let (executed, counted) = (story.executed_today("hanakodt"), payer.counted().await);
    assert!(executed <= counted, "{executed} executed, {counted} counted: {screens:?}");
    story.close().await;
}

/// One line on each screen: none of them brings several, and the form holds several.
#[tokio::test]
async fn screens_of_one_line_each_count_together() {
    let entry = "[[route]]\nname = \"entry\"\namount = [\"kingaku1\"]\n";
    let confirm = "[[route]]\nname = \"confirm\"\namount = [\"kingaku2\"]\n";
    for layers in [&[entry, confirm][..], &[TIED, TIED_CONFIRM, entry, confirm]] {
        let said = [
            (ENTRY, "kingaku1=60&transaction=T1"),
            (CONFIRM, "kingaku2=50&transaction=T1"),
            (EXECUTE, "transaction=T1"),
        ];
        counts_no_less_than_is_executed(layers, &said).await;
    }
}

/// The form of one entry with a field of the other's.
#[tokio::test]
async fn an_entry_brings_no_amount_of_another_screen() {
    let other = r#"
        [[route]]
        name = "list"
        method = "POST"
        path = "/ib/wizard.do"
        class = "transfer"
        step = "entry"
        charset = "windows-31j"
        amount = ["kingaku*"]
    "#;
    counts_no_less_than_is_executed(&[other], &[(ENTRY, "amount=60&kingaku1=50"), (EXECUTE, "")]).await;
}

/// A line that only the confirmation declares.
#[tokio::test]
async fn a_commit_brings_no_amount_of_a_confirmation() {
    counts_no_less_than_is_executed(&[LISTS_CONFIRM], &[(ENTRY, "amount=60"), (EXECUTE, "kingaku1=50")]).await;
}

/// What a list of one step leaves in the form of a wizard.
#[tokio::test]
async fn a_wizard_counts_what_a_list_of_one_step_left_in_its_form() {
    let complete = format!("{MULTI}{COMPLETE}");
    let said = [(MULTI_PATH, "kingaku1=60&kingaku2=&kingaku3="), (ENTRY, "kingaku2=50"), (EXECUTE, "")];
    counts_no_less_than_is_executed(&[LISTS, &complete], &said).await;
}

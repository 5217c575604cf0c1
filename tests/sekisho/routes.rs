//! A way around the ceiling by another spelling, method or screen: every one is counted or refused (LIM-25, LIM-26, LIM-38).

use sekisho::demo::bank::PathParameters;

use crate::support::payer::{FORM, Payer};
use crate::support::{COMMIT, MoneyStory, Said};

/// What becomes of a request.
#[derive(Debug, Clone, Copy)]
enum Fate {
    /// It is the transfer, and counts.
    Counts,
    /// The gateway refuses.
    Refused(u16, &'static str),
}

use Fate::{Counts, Refused};

const AMBIGUOUS: Fate = Refused(400, "ambiguous_path");
const UNKNOWN: Fate = Refused(403, "unknown_route");
const METHOD: Fate = Refused(405, "method_not_routed");

/// A40 and LIM-25: the path under which the bank finds the same servlet, or another one that might.
const PATHS: &[(&str, Fate)] = &[
    ("/ib/transfer/commit.do", Counts),
    ("/ib/transfer/%63ommit.do", Counts),
    ("/ib/%74ransfer/%63%6f%6d%6d%69%74%2edo", Counts),
    ("//ib/transfer/commit.do", Counts),
    ("/ib//transfer///commit.do", Counts),
    ("/ib/./transfer/commit.do", Counts),
    ("/ib/bulk/../transfer/commit.do", Counts),
    ("/ib/bulk/%2e%2e/transfer/commit.do", Counts),
    ("/ib/transfer/commit.do;x", Counts),
    ("/ib/transfer/commit.do;jsessionid=0123", Counts),
    ("/ib/transfer;a=b/commit.do;c=d", Counts),
    ("/ib/transfer/commit.do?x=1", Counts),
    ("/ib/bulk/..;/transfer/commit.do", AMBIGUOUS),
    ("/ib/bulk/..;x=1/transfer/commit.do", AMBIGUOUS),
    ("/ib/bulk/%2e%2e;/transfer/commit.do", AMBIGUOUS),
    ("/ib/.;/transfer/commit.do", AMBIGUOUS),
    ("/;/ib/transfer/commit.do", AMBIGUOUS),
    ("/ib/transfer%2fcommit.do", AMBIGUOUS),
    ("/ib/transfer%2Fcommit.do", AMBIGUOUS),
    ("/ib%2ftransfer/commit.do", AMBIGUOUS),
    ("/ib/transfer%5ccommit.do", AMBIGUOUS),
    ("/ib/transfer%252fcommit.do", AMBIGUOUS),
    ("/ib/transfer/%2563ommit.do", AMBIGUOUS),
    ("/ib/transfer/commit.do%00", AMBIGUOUS),
    ("/ib/transfer/commit.do%00.html", AMBIGUOUS),
    ("/ib/transfer/commit.do%3bx", AMBIGUOUS),
    ("/ib/transfer/commit.do%3fx", AMBIGUOUS),
    ("/ib/transfer/commit.do%0a", AMBIGUOUS),
    ("/ib/transfer/%u0063ommit.do", AMBIGUOUS),
    ("/ib/transfer/commit.d%6", AMBIGUOUS),
    ("/../ib/transfer/commit.do", AMBIGUOUS),
    ("/ib/TRANSFER/commit.do", UNKNOWN),
    ("/IB/transfer/commit.do", UNKNOWN),
    ("/ib/transfer/COMMIT.DO", UNKNOWN),
    ("/ib/transfer/%43ommit.do", UNKNOWN),
    ("/ib/transfer/commit.do/", UNKNOWN),
    ("/ib/transfer/commit.do/extra", UNKNOWN),
    ("/ib/transfer/commit.do/..;/x", AMBIGUOUS),
    ("/ib/transfer/commit.do.", UNKNOWN),
    ("/ib/transfer/commit.do%20", UNKNOWN),
    ("/ib/transfer./commit.do", UNKNOWN),
    ("/ib/transfer%20/commit.do", UNKNOWN),
    ("/ib/transfer/commit", UNKNOWN),
    ("/ib/transfer/commit.jsp", UNKNOWN),
    ("/ib/transfer/commit2.do", UNKNOWN),
    ("/ib/transfer/", UNKNOWN),
    ("/ib/transfer", UNKNOWN),
    // A46: the screens of a new release, and those of other flows.
    ("/ib/transfer/multi.do", UNKNOWN),
    ("/ib/transfer/execute.do", UNKNOWN),
    ("/ib/transfer/file.do", UNKNOWN),
    ("/ib/transfer/v2/commit.do", UNKNOWN),
    ("/ib/transfer/error.do", UNKNOWN),
    ("/ib/transfer/done.do", METHOD),
];

async fn assert_fate(story: &MoneyStory, payer: &mut Payer, what: &str, said: Said, fate: Fate, sum: &mut u64) {
    match fate {
        Counts => {
            *sum += 7;
            assert!(matches!(said, Said::To(_)), "{what}: {said:?}");
            let target = story.bank.last().unwrap().target;
            assert!(target.starts_with("/ib/transfer"), "{what} is forwarded as {target}");
        }
        Refused(status, code) => assert_eq!(said, Said::refused(status, code), "{what}"),
    }
    assert_eq!((story.executed_today("hanakodt"), payer.counted().await), (*sum, *sum), "{what}: executed, counted");
}

#[tokio::test]
async fn every_spelling_of_the_path_is_counted_or_refused() {
    let story = MoneyStory::plan().unbound().open().await;
    let mut sum = 0;
    for mut payer in story.payers("hanakodt") {
        for (path, fate) in PATHS {
            let said = payer.submit(path, "amount=7&payee=yamada").await;
            assert_fate(&story, &mut payer, path, said, *fate, &mut sum).await;
        }
    }
    story.close().await;
}

/// What only HTTP/1.1 can say: targets that are no paths, and bytes that no client library sends.
#[tokio::test]
async fn every_form_of_the_target_is_counted_or_refused() {
    let story = MoneyStory::begin().await;
    let mut payer = story.payer("hanakodt");
    let mut sum = 0;
    for (target, fate) in [
        ("https://localhost/ib/transfer/commit.do", Counts),
        ("https://localhost/ib/transfer/%63ommit.do", Counts),
        ("HTTPS://LOCALHOST/ib/transfer/commit.do", Counts),
        ("https://localhost/ib/TRANSFER/commit.do", UNKNOWN),
        ("http://localhost/ib/transfer/commit.do", Refused(400, "bad_target")),
        ("https://localhost/ib/bulk/..;/transfer/commit.do", AMBIGUOUS),
        ("/ib\\transfer\\commit.do", AMBIGUOUS),
        ("\\ib\\transfer\\commit.do", Refused(400, "malformed")),
        ("ib/transfer/commit.do", Refused(400, "malformed")),
        ("https://elsewhere/ib/transfer/commit.do", Refused(400, "bad_host")),
        ("/ib/transfer/commit.do#x", Refused(400, "malformed")),
    ] {
        let mut connection = story.customer("hanakodt").connect().await;
        let headers = [("Content-Type", FORM), ("Content-Length", "8"), ("Accept", "application/json")];
        let answer = connection.request("POST", target, &headers, b"amount=7").await;
        let said = match Said::of(&answer) {
            // Not HTTP at all: told without a page.
            Said::Other(status) => Said::refused(status, "malformed"),
            said => said,
        };
        assert_fate(&story, &mut payer, target, said, fate, &mut sum).await;
    }
    story.close().await;
}

/// `doGet` is `doPost`: the bank executes whatever method brings the parameters.
#[tokio::test]
async fn no_other_method_executes_a_transfer() {
    let story = MoneyStory::begin().await;
    let query = format!("{COMMIT}?amount=7&payee=yamada");
    for mut payer in story.payers("hanakodt") {
        for method in ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"] {
            for path in [query.as_str(), COMMIT, "/ib/transfer/%63ommit.do?amount=7"] {
                let answer = payer.ask(method, path, &[], b"").await;
                assert_eq!(answer.status, 405, "{method} {path}");
                assert_eq!(answer.header("Allow").as_deref(), Some("POST"), "{method} {path}");
            }
        }
        for (name, value) in [
            ("X-HTTP-Method-Override", "POST"),
            ("X-HTTP-Method", "POST"),
            ("X-Method-Override", "POST"),
            ("X-Original-URL", COMMIT),
            ("X-Rewrite-URL", COMMIT),
        ] {
            let answer = payer.ask("GET", &query, &[(name, value)], b"").await;
            assert_eq!(Said::of(&answer), not_routed(), "{name}");
        }
        // The page that a success leads to moves nothing, whatever is asked of it.
        assert_eq!(payer.get("/ib/transfer/done.do?amount=7&_method=POST").await, Said::Screen("BTRE003".into()));
    }
    assert_eq!(story.executed(), [] as [i128; 0]);
    story.close().await;
}

fn not_routed() -> Said {
    Said::refused(405, "method_not_routed")
}

/// An override cannot turn what was counted into something else either.
#[tokio::test]
async fn an_overridden_method_is_still_the_transfer_that_was_counted() {
    let story = MoneyStory::begin().await;
    let mut hanako = story.payer("hanakodt");
    let headers = [("Content-Type", FORM), ("X-HTTP-Method-Override", "GET")];
    assert_eq!(Said::of(&hanako.post(COMMIT, &headers, b"amount=7").await), Said::done());
    assert_eq!(hanako.submit(COMMIT, "amount=7&_method=GET").await, Said::refused(400, "ambiguous_field"));
    assert_eq!(
        hanako.submit(&format!("{COMMIT}?_method=GET"), "amount=7").await,
        Said::refused(400, "ambiguous_field")
    );
    story.assert_counted(&mut hanako, 7).await;
    story.close().await;
}

/// One servlet for several screens, told apart by a parameter.
const DISPATCH: &str = r#"
    [transfer]
    prefixes = ["/ib/transfer/", "/ib/dispatch.do"]
    [[route]]
    name = "dispatched"
    method = "POST"
    path = "/ib/dispatch.do"
    class = "transfer"
    parameters = { method = "commit" }
    charset = "windows-31j"
    amount = ["amount"]
    success = { status = 302, location = "/ib/transfer/done.do" }
    [[route]]
    name = "dispatched-entry"
    method = "POST"
    path = "/ib/dispatch.do"
    class = "transfer"
    step = "entry"
    parameters = { method = "entry" }
    charset = "windows-31j"
    amount = ["amount"]
    [[route]]
    name = "execute"
    method = "POST"
    path = "/ib/transfer/execute.do"
    class = "transfer"
    charset = "windows-31j"
    success = { status = 302, location = "/ib/transfer/done.do" }
"#;

#[tokio::test]
async fn a_dispatching_servlet_is_told_by_one_parameter_once() {
    let story = MoneyStory::with(DISPATCH).await;
    let path = "/ib/dispatch.do";
    for mut payer in story.payers("hanakodt") {
        for (query, form, status, code) in [
            ("", "amount=7", 403, "unknown_route"),
            ("", "method=other&amount=7", 403, "unknown_route"),
            ("?method=other", "amount=7", 403, "unknown_route"),
            ("?method=commit", "method=entry&amount=7", 400, "ambiguous_field"),
            ("?method=entry", "method=commit&amount=7", 400, "ambiguous_field"),
            ("?method=commit&method=entry", "amount=7", 400, "ambiguous_field"),
            ("", "method=entry&method=commit&amount=7", 400, "ambiguous_field"),
            ("", "method=entry&Method=commit&amount=7", 400, "ambiguous_field"),
            ("", "method=Commit&amount=7", 400, "ambiguous_field"),
            ("", "method=commit+&amount=7", 400, "ambiguous_field"),
            (";method=commit", "method=entry&amount=7", 400, "ambiguous_field"),
            ("?method=commit&amount=1", "amount=7", 400, "ambiguous_field"),
            ("?method=commit", "", 400, "missing_field"),
        ] {
            let said = payer.submit(&format!("{path}{query}"), form).await;
            assert_eq!(said, Said::refused(status, code), "{query} {form}");
        }
        assert_eq!(payer.get("/ib/dispatch.do?method=commit&amount=7").await, not_routed());
        assert_eq!(
            payer.submit("/ib/DISPATCH.do?method=commit", "amount=7").await,
            Said::refused(403, "unknown_route")
        );
    }
    story.assert_bank_untouched();
    let mut hanako = story.payer("hanakodt");
    assert_eq!(hanako.submit("/ib/dispatch.do?method=commit", "amount=7").await, Said::done());
    assert_eq!(hanako.submit(path, "method=commit&amount=8").await, Said::done());
    assert_eq!(hanako.submit(path, "method=entry&amount=99").await, Said::Screen("BTRE002".into()));
    story.assert_counted(&mut hanako, 15).await;
    story.close().await;
}

/// Image buttons: a servlet looks for one of them first, and nobody knows for which.
const BUTTONS: &str = r#"
    [transfer]
    prefixes = ["/ib/transfer/", "/ib/dispatch.do"]
    [[route]]
    name = "execute"
    method = "POST"
    path = "/ib/dispatch.do"
    class = "transfer"
    parameters = { "exec.x" = "*" }
    charset = "windows-31j"
    amount = ["amount"]
    success = { status = 302, location = "/ib/transfer/done.do" }
    [[route]]
    name = "check"
    method = "POST"
    path = "/ib/dispatch.do"
    class = "transfer"
    step = "confirm"
    parameters = { screen = "BTR002", "check.x" = "*" }
    charset = "windows-31j"
"#;

#[tokio::test]
async fn a_form_with_the_buttons_of_two_routes_belongs_to_neither() {
    let story = MoneyStory::with(BUTTONS).await;
    let path = "/ib/dispatch.do";
    for mut payer in story.payers("hanakodt") {
        for form in [
            "exec.x=1&exec.y=1&check.x=1&check.y=1&screen=BTR002&amount=99999999",
            "screen=BTR002&check.x=1&exec.x=1&amount=99999999",
        ] {
            assert_eq!(payer.submit(path, form).await, Said::refused(400, "ambiguous_field"), "{form}");
        }
    }
    story.assert_bank_untouched();
    story.close().await;
    let open = BUTTONS.replace(r#"parameters = { "exec.x" = "*" }"#, "");
    let mistake = crate::support::TestGateway::builder().layer(open).try_spawn().await.err();
    let mistake = mistake.expect("a customer adds the button of the confirmation to the form of the transfer");
    assert!(mistake.contains("route.execute.parameters"), "{mistake}");
}

/// Forms that are shown under the path that executes them are shown, and nothing else: not even what a GET could bring.
#[tokio::test]
async fn a_page_on_the_transfers_own_path_is_asked_for_without_parameters() {
    let pages = ["method = \"GET\"\n", "method = [\"GET\", \"PUT\"]\n", ""];
    for methods in pages {
        let form = format!(
            "[[route]]\nname = \"form\"\n{methods}path = \"{COMMIT}\"\nclass = \"other\"\ncharset = \"windows-31j\"\n"
        );
        let plan = MoneyStory::plan().unbound().layer(form);
        let story = plan.bank(|bank| bank.path_parameters = PathParameters::Merged).open().await;
        for mut payer in story.payers("hanakodt") {
            for bare in [COMMIT.to_owned(), format!("{COMMIT};jsessionid=A!1.node"), format!("{COMMIT};JSESSIONID=B")] {
                assert_eq!(payer.get(&bare).await, Said::failed(), "the bank asks for an amount: {bare}");
            }
            let received = story.bank.received();
            for query in ["?amount=900000000", "?x", "?amount=900000000&_method=GET", ";jsessionid=1?amount=9"] {
                assert_eq!(payer.get(&format!("{COMMIT}{query}")).await, not_routed(), "{methods} {query}");
            }
            for path in [
                "/ib/transfer/commit.do;amount=7",
                "/ib;amount=7/transfer/commit.do",
                "/ib/transfer/commit.do;jsessionid=1;amount=7",
                "/ib/transfer/commit.do;jsessionid=1&amount=7",
                "/ib/transfer/commit.do;jsessionid=1%26amount=7",
                "/ib/transfer/commit.do;jsessionid=1,amount=7",
                "/ib/transfer/commit.do;jsessionids=7",
                "/ib/transfer/commit.do;x",
            ] {
                assert_eq!(payer.get(path).await, not_routed(), "{methods} {path}");
            }
            let body = payer.ask("PUT", COMMIT, &[("Content-Type", FORM), ("Content-Length", "8")], b"amount=7").await;
            assert_eq!(Said::of(&body), not_routed(), "{methods}");
            assert_eq!(payer.submit(COMMIT, "amount=900000000").await, Said::refused(403, "over_ceiling"));
            assert_eq!(story.bank.received(), received);
        }
        story.close().await;
    }
}

/// Configurations in which a request that moves money could be taken for one that does not.
#[tokio::test]
async fn routes_that_could_hide_a_commit_are_mistakes() {
    let other = |name: &str, methods: &str, path: &str| {
        format!("[[route]]\nname = \"{name}\"\n{methods}path = \"{path}\"\nclass = \"other\"\n")
    };
    let execute = "[[route]]\nname = \"execute\"\nmethod = \"POST\"\npath = \"/ib/transfer/execute.do\"\nclass = \"transfer\"\n\
                   success = { status = 302, location = \"/ib/transfer/done.do\" }\n";
    let entry = "[[route]]\nname = \"entry\"\nmethod = \"POST\"\npath = \"/ib/transfer/entry.do\"\nclass = \"transfer\"\n\
                 step = \"entry\"\namount = [\"amount\"]\n";
    let execute = format!("{entry}{execute}");
    let path = "/ib/transfer/execute.do";
    for (layer, key) in [
        (format!("{execute}{}", other("page", "method = \"GET\"\n", path)), "route.execute.path"),
        (format!("{execute}{}", other("page", "", path)), "route.execute.path"),
        (format!("{}{execute}", other("page", "method = [\"GET\", \"POST\"]\n", path)), "route.execute.parameters"),
        (
            format!("{}{execute}", other("page", "method = [\"GET\", \"POST\"]\n", "/ib/transfer/entry.do")),
            "route.entry.parameters",
        ),
    ] {
        let mistake = crate::support::TestGateway::builder().layer(layer.clone()).try_spawn().await.err();
        let mistake = mistake.unwrap_or_else(|| panic!("accepted: {layer}"));
        assert!(mistake.contains(key), "{key} in {mistake}");
    }
}

/// A marker of failure frees what was reserved: it must be evidence.
#[tokio::test]
async fn failures_that_any_answer_could_be_are_mistakes() {
    for (failure, key) in [
        ("{ status = 500, contains = \"<p>BTRE900</p>\" }", "route.express.failure.status"),
        ("{ status = 200 }", "route.express.failure.status"),
        ("{ status = 302 }", "route.express.failure.status"),
        ("{ contains = \"<\" }", "route.express.failure.contains"),
        ("{ status = 200, contains = \"<p>\" }", "route.express.failure.contains"),
        ("{ status = 200, contains = \"</table></body>\" }", "route.express.failure.contains"),
        ("{ contains = \"<p>BTRE900</p>\" }", "route.express.failure.status"),
        ("{ location = \"/ib/transfer/error.do\" }", "route.express.failure.status"),
        ("{ status = 302, location = \"/ib/transfer/done.do\" }", "route.express.failure.status"),
        ("[{ status = 404 }, { status = 200 }]", "route.express.failure[1].status"),
    ] {
        let route = "[[route]]\nname = \"express\"\nmethod = \"POST\"\npath = \"/ib/transfer/express.do\"\nclass = \"transfer\"\n\
                     amount = [\"amount\"]\nsuccess = { status = 302, location = \"/ib/transfer/done.do\" }\n";
        let layer = format!("{route}failure = {failure}\n");
        let mistake = crate::support::TestGateway::builder().layer(layer).try_spawn().await.err();
        let mistake = mistake.unwrap_or_else(|| panic!("accepted: {failure}"));
        assert!(mistake.contains(key), "{key} in {mistake}");
    }
}

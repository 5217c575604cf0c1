//! One meaning or none: what a servlet could read otherwise than we do never reaches it (LIM-10, LIM-11, LIM-12, LIM-37).

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::support::payer::FORM;
use crate::support::{COMMIT, MoneyStory, Reply, Said, TestGateway};

/// Path or query behind the transfer's path, a form, and the refusal's code.
type Row = (&'static str, &'static [u8], &'static str);

/// A26 and LIM-12: what is read as the amount by somebody, and what hides it.
const FORMS: &[Row] = &[
    // Twice, or somewhere else.
    ("?amount=1", b"amount=99999999", "ambiguous_field"),
    ("?amount=1", b"payee=yamada", "ambiguous_field"),
    ("?amount=1", b"", "ambiguous_field"),
    ("?Amount=1", b"amount=99999999", "ambiguous_field"),
    ("?%61mount=1", b"amount=99999999", "ambiguous_field"),
    ("?a=1&amount", b"amount=99999999", "ambiguous_field"),
    (";amount=1", b"amount=99999999", "ambiguous_field"),
    (";a=1;%61mount=1", b"amount=99999999", "ambiguous_field"),
    ("", b"amount=1&amount=99999999", "ambiguous_field"),
    ("", b"amount=1&amount=1", "ambiguous_field"),
    ("", b"amount=1&%61mount=99999999", "ambiguous_field"),
    ("", b"amount=&amount=99999999", "ambiguous_field"),
    ("", b"amount&amount=99999999", "ambiguous_field"),
    // Names that some framework folds onto it.
    ("", b"amount=1&Amount=99999999", "ambiguous_field"),
    ("", b"amount=1&AMOUNT=99999999", "ambiguous_field"),
    ("", b"amount=1&amount[]=99999999", "ambiguous_field"),
    ("", b"amount=1&amount%5B0%5D=99999999", "ambiguous_field"),
    ("", b"amount=1&amount%20=99999999", "ambiguous_field"),
    ("", b"amount=1&+amount=99999999", "ambiguous_field"),
    ("", b"amount=1&_amount=99999999", "ambiguous_field"),
    ("", b"amount=1&a.mount=99999999", "ambiguous_field"),
    ("", b"Amount=99999999", "ambiguous_field"),
    ("", b"amount[]=99999999", "ambiguous_field"),
    ("", b"amount=1&%82%81%82%8D%82%8F%82%95%82%8E%82%94=99999999", "ambiguous_field"),
    ("", b"amount=1&_charset_=utf-16", "ambiguous_field"),
    ("", b"amount=1&_method=PUT", "ambiguous_field"),
    // Control characters and broken encodings.
    ("", b"amount%00=99999999", "malformed_body"),
    ("", b"amount=1&amount%00=99999999", "malformed_body"),
    ("", b"amount=1&amount%0a=99999999", "malformed_body"),
    ("", b"amount=1&%2561mount=99999999", "malformed_body"),
    ("", b"amount=1%8&amount=99999999", "malformed_body"),
    ("", b"amount=1&x=%", "malformed_body"),
    ("", b"amount=%u0031", "malformed_body"),
    ("", b"amount=1;amount=99999999", "malformed_body"),
    ("", b"payee=a;amount=1", "malformed_body"),
    ("", b"amount=1&=99999999", "malformed_body"),
    ("?x=%00", b"amount=1", "malformed_body"),
    // A29: a lead byte before a separator, raw and encoded; the second half of nothing.
    ("", b"payee=%83&amount=99999999", "malformed_body"),
    ("", b"payee=\x83&amount=99999999", "malformed_body"),
    ("", b"payee=%83%26x&amount=99999999", "malformed_body"),
    ("", b"payee=\xff&amount=99999999", "malformed_body"),
    ("", b"amount=1&payee=%81", "malformed_body"),
    // UTF-8 where Windows-31J is spoken, and overlong spellings of digits.
    ("", b"payee=\xe3\x82\xa2\x82&amount=99999999", "malformed_body"),
    ("", b"amount=%C0%B1", "bad_amount"),
    // No amount.
    ("", b"payee=yamada", "missing_field"),
    ("", b"", "missing_field"),
];

#[tokio::test]
async fn no_form_with_two_readings_reaches_the_bank() {
    let story = MoneyStory::begin().await;
    for mut payer in story.payers("hanakodt") {
        for (behind, form, code) in FORMS {
            let answer = payer.post(&format!("{COMMIT}{behind}"), &[("Content-Type", FORM)], form).await;
            assert_eq!(Said::of(&answer), Said::refused(400, code), "{behind} {}", form.escape_ascii());
        }
        assert_eq!(payer.counted().await, 0);
    }
    story.assert_bank_untouched();
    story.close().await;
}

/// Spellings that mean the same to every reader pass, and count what the bank executes.
#[tokio::test]
async fn forms_with_one_reading_count_what_the_bank_executes() {
    let story = MoneyStory::begin().await;
    let mut sum = 0;
    for (number, mut payer) in story.payers("hanakodt").into_iter().enumerate() {
        for (at, form) in [
            &b"amount=AMOUNT&payee=yamada"[..],
            b"%61mount=AMOUNT&payee=%8E%52%93%63",
            b"&&payee=\x95\x5c&amount=AMOUNT&",
            b"payee=%95%5C%83%5C&amount=AMOUNT",
            b"payee=%95\\%83\\&amount=AMOUNT",
            b"memo=a%0D%0Ab&amount=AMOUNT&payee=a%26amount%3D5",
            b"amounts=9999&amount=AMOUNT&namount=1",
        ]
        .into_iter()
        .enumerate()
        {
            let amount = (number * 100 + at + 1) as u64;
            let form = replaced(form, amount);
            let types = [
                FORM,
                "application/x-www-form-urlencoded; charset=Shift_JIS",
                "Application/X-WWW-Form-Urlencoded;charset=windows-31j",
            ];
            let answer = payer.post(COMMIT, &[("Content-Type", types[at % 3])], &form).await;
            assert_eq!(Said::of(&answer), Said::done(), "{}", form.escape_ascii());
            sum += amount;
            assert_eq!(story.bank.last().unwrap().body, form, "the very bytes");
            story.assert_counted(&mut payer, sum).await;
        }
    }
    story.close().await;
}

fn replaced(form: &[u8], amount: u64) -> Vec<u8> {
    let at = form.windows(6).position(|part| part == b"AMOUNT").unwrap();
    [&form[..at], amount.to_string().as_bytes(), &form[at + 6..]].concat()
}

/// A28: whoever believes another type, charset or coding reads another form in the same bytes.
#[tokio::test]
async fn other_types_charsets_and_codings_are_refused_unread() {
    let story = MoneyStory::begin().await;
    // `amount=1` for whoever reads as we do, `amount=99999999` in EBCDIC for whoever believes ibm037.
    let ebcdic = b"amount=1&%81%94%96%A4%95%A3=%F9%F9%F9%F9%F9%F9%F9%F9";
    let typed = |parameters: &str| format!("application/x-www-form-urlencoded{parameters}");
    let types = [
        (typed("; charset=ibm037"), "unsupported_charset"),
        (typed("; charset=IBM037"), "unsupported_charset"),
        (typed(";charset=utf-16"), "unsupported_charset"),
        (typed("; charset=utf-16le"), "unsupported_charset"),
        (typed("; charset=utf-7"), "unsupported_charset"),
        (typed("; charset=iso-2022-jp"), "unsupported_charset"),
        (typed("; charset=utf-8"), "unsupported_charset"),
        (typed("; charset=\"windows-31j\""), "unsupported_charset"),
        (typed("; charset=windows-31j; charset=ibm037"), "unsupported_media_type"),
        (typed("; x=1"), "unsupported_media_type"),
        (typed(", text/plain"), "unsupported_media_type"),
        (typed("; boundary=b"), "unsupported_media_type"),
        ("multipart/form-data; boundary=b".into(), "unsupported_media_type"),
        ("text/plain".into(), "unsupported_media_type"),
        ("application/json".into(), "unsupported_media_type"),
        ("".into(), "unsupported_media_type"),
    ];
    for mut payer in story.payers("hanakodt") {
        for (content_type, code) in &types {
            let answer = payer.post(COMMIT, &[("Content-Type", content_type)], ebcdic).await;
            assert_eq!(Said::of(&answer), Said::refused(415, code), "{content_type}");
        }
        let without = payer.post(COMMIT, &[], ebcdic).await;
        assert_eq!(Said::of(&without), Said::refused(415, "unsupported_media_type"));
        let twice = [("Content-Type", FORM), ("Content-Type", "text/plain")];
        let twice = payer.post(COMMIT, &twice, ebcdic).await;
        assert!(matches!(twice.status, 400 | 415), "{}", twice.status);
        for coding in ["gzip", "deflate", "br", "x-gzip", "identity, gzip", "aes128gcm"] {
            let headers = [("Content-Type", FORM), ("Content-Encoding", coding)];
            let answer = payer.post(COMMIT, &headers, b"\x1f\x8b\x08\x00amount=1").await;
            assert_eq!(Said::of(&answer), Said::refused(415, "unsupported_encoding"), "{coding}");
        }
    }
    story.assert_bank_untouched();
    story.close().await;
}

const LINES: &str = r#"
    [[route]]
    name = "lines"
    method = "POST"
    path = "/ib/transfer/multi.do"
    class = "transfer"
    charset = "windows-31j"
    amount = ["kingaku*"]
    fields = ["payee1", "payee2", "payee3"]
    fixed = { unit = "1" }
    success = { status = 302, location = "/ib/transfer/done.do" }
    failure = { status = 200, contains = "<p>BTRE900</p>" }
"#;

/// LIM-37: a closed list, fixed values, and a family of fields of which no member hides.
#[tokio::test]
async fn a_form_of_several_lines_counts_every_line_and_nothing_hides_beside_them() {
    let story = MoneyStory::with(LINES).await;
    let path = "/ib/transfer/multi.do";
    for mut payer in story.payers("hanakodt") {
        for (form, code) in [
            ("kingaku1=1&unit=1&amount=99", "unknown_field"),
            ("kingaku1=1&unit=1&x=1", "unknown_field"),
            ("kingaku1=1&unit=1&payee4=yamada", "unknown_field"),
            ("kingaku1=1&unit=1000", "wrong_fixed_value"),
            ("kingaku1=1", "missing_field"),
            ("unit=1", "missing_field"),
            ("kingaku1=&kingaku2=&unit=1", "missing_field"),
            ("kingaku1=1&unit=1&unit=1", "ambiguous_field"),
            ("kingaku1=1&kingaku1=2&unit=1", "ambiguous_field"),
            ("kingaku1=1&Kingaku2=2&unit=1", "ambiguous_field"),
            ("kingaku1=1&kingaku02=2&unit=1", "ambiguous_field"),
            ("kingaku1=1&kingaku1000=2&unit=1", "ambiguous_field"),
            ("kingaku1=1&kingaku=2&unit=1", "ambiguous_field"),
            ("kingaku1=1&kingaku%82Q=2&unit=1", "ambiguous_field"),
            ("kingaku1=1&kingaku[2]=2&unit=1", "ambiguous_field"),
            ("kingaku1=1&kingaku2=-1&unit=1", "bad_amount"),
            ("kingaku1=999999999999999&kingaku2=999999999999999&unit=1", "over"),
        ] {
            let said = payer.submit(path, form).await;
            let expected = match code {
                "over" => Said::refused(403, "over_ceiling"),
                code => Said::refused(400, code),
            };
            assert_eq!(said, expected, "{form}");
        }
        let many: String = (1..=40).map(|line| format!("kingaku{line}=999999999999999&")).collect();
        assert_eq!(payer.submit(path, &format!("{many}unit=1")).await, Said::refused(400, "bad_amount"));
    }
    story.assert_bank_untouched();
    let mut hanako = story.payer("hanakodt");
    assert_eq!(hanako.submit(path, "kingaku1=60&payee1=a&kingaku2=&kingaku3=7&payee3=b&unit=1").await, Said::done());
    assert_eq!(story.executed(), [60, 7]);
    story.assert_counted(&mut hanako, 67).await;
    // The application has ten lines; what it does not know is counted nevertheless.
    assert_eq!(hanako.submit(path, "kingaku10=1&kingaku11=2&unit=1").await, Said::done());
    assert_eq!((story.executed_today("hanakodt"), hanako.counted().await), (68, 70));
    story.close().await;
}

const OTHER_BODIES: &str = r#"
    [[route]]
    name = "file"
    method = "POST"
    path = "/ib/transfer/file.do"
    class = "transfer"
    content-type = "multipart/form-data"
    charset = "windows-31j"
    amount = ["amount"]
    success = { status = 302, location = "/ib/transfer/done.do" }
    failure = { status = 200, contains = "<p>BTRE900</p>" }
    [[route]]
    name = "api"
    method = "POST"
    path = "/ib/api/transfer.do"
    class = "transfer"
    content-type = "application/json"
    amount = ["amount"]
    success = { status = 200 }
"#;

#[tokio::test]
async fn multipart_and_json_have_one_reading_too() {
    let story = MoneyStory::with(OTHER_BODIES).await;
    let part =
        |name: &str, value: &str| format!("--b\r\nContent-Disposition: form-data; name={name}\r\n\r\n{value}\r\n");
    let amount = part("\"amount\"", "5");
    let bodies = [
        format!("{amount}{}--b--\r\n", part("\"amount\"", "99999999")),
        format!("{amount}{}--b--\r\n", part("\"Amount\"", "99999999")),
        format!("{amount}{}--b--\r\n", part("amount", "99999999")),
        format!("{amount}{}--b--\r\n", part("\"am\\ount\"", "99999999")),
        format!("{amount}{}--b--\r\n", part("\"x\"; name*=utf-8''amount", "99999999")),
        format!("{amount}--b--\r\n{}", part("\"x\"", "1")),
        format!("{}--b--\r\n", amount.replace("\r\n", "\n")),
        format!("{}--b--\r\n", part("\"amount\"; filename=\"a\"", "5")),
        format!("{}--b--\r\n", amount.replace("\r\n\r\n", "\r\nContent-Type: text/plain; charset=utf-16\r\n\r\n")),
        format!("{}--b--\r\n", amount.replace("\r\n\r\n", "\r\nContent-Transfer-Encoding: base64\r\n\r\n")),
        amount.clone(),
    ];
    let jsons = [
        r#"{"amount":5,"amount":99999999}"#,
        r#"{"amount":5,"Amount":99999999}"#,
        r#"{"amount":5,"\u0061mount":99999999}"#,
        r#"{"amount":5e7}"#,
        r#"{"amount":5.0}"#,
        r#"{"amount":-5}"#,
        r#"{"amount":"+5"}"#,
        r#"{"amount":[99999999]}"#,
        r#"{"amount":{"x":99999999}}"#,
        r#"{"amount":null}"#,
        r#"[{"amount":5}]"#,
        r#"{"amount":5}{"amount":99999999}"#,
        r#"{"amount":5"#,
        "amount=5",
    ];
    let multipart = [("Content-Type", "multipart/form-data; boundary=b")];
    let json = [("Content-Type", "application/json")];
    for mut payer in story.payers("hanakodt") {
        for body in &bodies {
            let answer = payer.post("/ib/transfer/file.do", &multipart, body.as_bytes()).await;
            assert!(matches!(Said::of(&answer), Said::Refused(400 | 415, _)), "{} {body}", answer.status);
        }
        let query =
            payer.post("/ib/transfer/file.do?amount=1", &multipart, format!("{amount}--b--\r\n").as_bytes()).await;
        assert_eq!(Said::of(&query), Said::refused(400, "ambiguous_field"));
        for body in jsons {
            let answer = payer.post("/ib/api/transfer.do", &json, body.as_bytes()).await;
            assert!(matches!(Said::of(&answer), Said::Refused(400, _)), "{} {body}", answer.status);
        }
    }
    story.assert_bank_untouched();
    let mut hanako = story.payer("hanakodt");
    let answer = hanako.post("/ib/transfer/file.do", &multipart, format!("{amount}--b--\r\n").as_bytes()).await;
    assert_eq!(Said::of(&answer), Said::done());
    for body in [r#"{"amount":7,"payee":"yamada"}"#, r#"{"amount":"8","payee":"yamada"}"#] {
        assert_eq!(hanako.post("/ib/api/transfer.do", &json, body.as_bytes()).await.status, 200);
    }
    story.assert_counted(&mut hanako, 20).await;
    story.close().await;
}

/// What was read is in memory until the application has answered, and is counted as long (LIM-40).
#[tokio::test]
async fn memory_for_bodies_is_given_back_when_they_have_left() {
    let layer =
        "[limits]\nmax-inspected-bytes-per-login-id = \"1KiB\"\n[[route]]\nname = \"transfer\"\nmax-body = \"1KiB\"\n";
    let gateway = TestGateway::builder().layer(layer).spawn().await;
    let gate = Arc::new(Semaphore::new(0));
    let done = || Reply::bytes_of("302 Found", &[("Location", "/ib/transfer/done.do")], b"");
    gateway.backend.next(Reply::Held(Arc::clone(&gate), done()));
    gateway.backend.next(Reply::Bytes(done()));
    let customer = gateway.enrol("hanakodt");
    let form = format!("amount=1&memo={}", "x".repeat(700));
    let (held, first) = (customer.clone(), form.clone());
    let held = tokio::spawn(async move { held.connect().await.submit(COMMIT, &first).await.status });
    gateway.backend.wait_for(1).await;

    assert_eq!(customer.connect().await.submit(COMMIT, &form).await.status, 503);
    assert_eq!(gateway.backend.count(), 1);
    gate.add_permits(1);
    assert_eq!(held.await.unwrap(), 302);
    assert_eq!(customer.connect().await.submit(COMMIT, &form).await.status, 302);
}

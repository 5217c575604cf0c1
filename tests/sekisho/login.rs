//! Who logs in: with a certificate, nobody but its owner (BND-01, A01).

use sekisho::demo::bank::PathParameters;

use crate::support::{MoneyStory, Payer, Said, TestGateway};

const LOGIN: &str = "/ib/login.do";
const FORM: &str = "application/x-www-form-urlencoded";

fn rule(rule: &str) -> String {
    format!("[[route]]\nname = \"login\"\nlogin-id = {{ field = \"loginId\", rule = \"{rule}\" }}\n")
}

fn welcome() -> Said {
    Said::To("/ib/menu.do".into())
}

fn mismatch() -> Said {
    Said::refused(403, "login_id_mismatch")
}

/// Whom the bank greets.
async fn greeted(payer: &mut Payer) -> String {
    let answer = payer.ask("GET", "/ib/menu.do", &[], b"").await;
    let page = encoding_rs::SHIFT_JIS.decode(&answer.body).0.into_owned();
    let name = page.split("ようこそ ").nth(1).and_then(|rest| rest.split(" 様").next());
    name.unwrap_or_else(|| panic!("{page}")).replace("&amp;", "&")
}

#[tokio::test]
async fn a_customer_logs_in_under_the_name_of_the_certificate() {
    let story = MoneyStory::begin().await;
    for mut payer in [story.payer("hanakodt"), story.payer_over_http2("tarokodt")] {
        let form = format!("loginId={}&password=right", payer.login_id());
        assert_eq!(payer.submit(LOGIN, &form).await, welcome());
        assert_eq!(story.bank.last().unwrap().body, form, "what was inspected is what is forwarded");
        assert_eq!(greeted(&mut payer).await, payer.login_id());
    }
    story.close().await;
}

/// A01: in every spelling, and in every place where some application would look for it.
#[tokio::test]
async fn a_stolen_password_opens_nothing_with_another_certificate() {
    let plan = MoneyStory::plan().bank(|bank| bank.path_parameters = PathParameters::Merged);
    let story = plan.open().await;
    for mut payer in [story.payer("hanakodt"), story.payer_over_http2("tarokodt")] {
        let own = format!("loginId={}", payer.login_id());
        let ambiguous = Said::refused(400, "ambiguous_field");
        let table = [
            (LOGIN, "loginId=victim01&password=right".to_owned(), mismatch()),
            (LOGIN, format!("{}&password=right", own.to_uppercase().replace("LOGINID", "loginId")), mismatch()),
            (LOGIN, format!("{own}+&password=right"), mismatch()),
            (LOGIN, format!("{own}%20&password=right"), mismatch()),
            (LOGIN, format!("+{own}&password=right"), ambiguous.clone()),
            (LOGIN, "loginId=%82%88%82%81%82%8E&password=right".into(), mismatch()),
            (LOGIN, "loginId=&password=right".into(), mismatch()),
            (LOGIN, "password=right".into(), Said::refused(400, "missing_field")),
            (LOGIN, String::new(), Said::refused(400, "missing_field")),
            (LOGIN, format!("{own}%00&password=right"), Said::refused(400, "malformed_body")),
            (LOGIN, format!("{own}&loginId=victim01&password=right"), ambiguous.clone()),
            (LOGIN, format!("loginId=victim01&{own}&password=right"), ambiguous.clone()),
            (LOGIN, format!("{own}&LoginID=victim01&password=right"), ambiguous.clone()),
            (LOGIN, format!("{own}&loginId[]=victim01&password=right"), ambiguous.clone()),
            (LOGIN, format!("{own}&%6CoginId=victim01&password=right"), ambiguous.clone()),
            ("/ib/login.do?loginId=victim01", format!("{own}&password=right"), ambiguous.clone()),
            ("/ib/login.do?loginId=victim01&password=right", String::new(), ambiguous.clone()),
            ("/ib/login.do;loginId=victim01", format!("{own}&password=right"), ambiguous.clone()),
        ];
        let received = story.bank.received();
        for (path, form, refused) in table {
            assert_eq!(payer.submit(path, &form).await, refused, "{path} {form}");
        }
        for path in ["/ib/LOGIN.do", "/ib/login.do/", "/ib/login.do/x", "/ib//login.do", "/ib/./login.do"] {
            let said = payer.submit(path, "loginId=victim01&password=right").await;
            assert!(matches!(said, Said::Refused(..)), "{path}: {said:?}");
        }
        let multipart = "--X\r\nContent-Disposition: form-data; name=\"loginId\"\r\n\r\nvictim01\r\n--X--\r\n";
        let media = [("Content-Type", "multipart/form-data; boundary=X")];
        assert_eq!(payer.post(LOGIN, &media, multipart.as_bytes()).await.status, 415);
        assert_eq!(story.bank.received(), received, "nothing reached the bank");
        assert_eq!(greeted(&mut payer).await, payer.login_id());
    }
    let log = story.close().await;
    let told = log.iter().find(|line| line["event.reason"] == "login_id_mismatch").unwrap();
    assert_eq!((&told["user.id"], &told["sekisho.route"]), (&"hanakodt".into(), &"login".into()), "{told}");
    assert!(log.iter().all(|line| !line.to_string().contains("victim01")), "what was typed is nobody's business");
}

/// Servlets do by GET what they do by POST.
#[tokio::test]
async fn nobody_logs_in_by_a_link() {
    for mode in ["workers = 1\n", "[transfer]\nmode = \"observe\"\n"] {
        let story = MoneyStory::with(mode).await;
        for mut payer in [story.payer("hanakodt"), story.payer_over_http2("tarokodt")] {
            assert_eq!(payer.get(LOGIN).await, Said::Screen("BLGI001".into()), "its page is shown");
            let received = story.bank.received();
            let link = "/ib/login.do?loginId=victim01&password=right";
            for method in ["GET", "HEAD", "PUT", "post"] {
                let answer = payer.ask(method, link, &[], b"").await;
                assert_eq!((answer.status, story.bank.received()), (405, received), "{method}");
            }
            let body = [("Content-Type", FORM), ("Content-Length", "32")];
            let answer = payer.ask("GET", LOGIN, &body, b"loginId=victim01&password=right1").await;
            assert_eq!((answer.status, story.bank.received()), (405, received));
            assert_eq!(payer.submit(LOGIN, "loginId=victim01&password=right").await, mismatch(), "{mode}");
            assert_eq!(
                payer.submit("/ib/Login.do", "loginId=victim01&password=right").await,
                Said::refused(403, "unknown_route")
            );
            assert_eq!(story.bank.received(), received, "{mode}");
            assert_eq!(greeted(&mut payer).await, payer.login_id());
        }
        story.close().await;
    }
}

/// An application that takes the name from the header gets none from the form.
#[tokio::test]
async fn a_form_that_may_name_nobody_names_nobody() {
    let story = MoneyStory::with(rule("forbid")).await;
    let mut payer = story.payer("hanakodt");
    let received = story.bank.received();
    for form in ["loginId=victim01&password=right", "loginId=hanakodt&password=right", "loginId=&password=right"] {
        assert_eq!(payer.submit(LOGIN, form).await, mismatch(), "{form}");
    }
    assert_eq!(story.bank.received(), received);
    assert_eq!(payer.submit(LOGIN, "password=right").await, welcome());
    assert_eq!(story.bank.last().unwrap().body, "password=right");
    story.close().await;
}

/// An application that knows ID and password alone gets the certificate's ID, whatever letters it has.
#[tokio::test]
async fn what_the_form_leaves_out_is_filled_in() {
    let story = MoneyStory::with(rule("fill-in")).await;
    for mut payer in [story.payer("ha&na=%+"), story.payer_over_http2("~taro;#~")] {
        let encoded: String = payer
            .login_id()
            .bytes()
            .map(|byte| match byte.is_ascii_alphanumeric() {
                true => char::from(byte).to_string(),
                false => format!("%{byte:02X}"),
            })
            .collect();
        let whole = format!("password=right&loginId={encoded}");
        for (form, forwarded) in [
            ("password=right", &whole),
            ("loginId=&password=right", &format!("loginId={encoded}&password=right")),
            ("password=right&loginId", &whole),
            ("password=right&loginId=", &whole),
            (&whole, &whole),
        ] {
            assert_eq!(payer.submit(LOGIN, form).await, welcome(), "{form}");
            assert_eq!(story.bank.last().unwrap().body, forwarded, "{form}");
            assert_eq!(greeted(&mut payer).await, payer.login_id());
        }
        let received = story.bank.received();
        assert_eq!(payer.submit(LOGIN, "loginId=victim01&password=right").await, mismatch());
        assert_eq!(story.bank.received(), received);
    }
    story.close().await;
}

/// The button of another form on the same path leads nowhere else.
#[tokio::test]
async fn what_cannot_be_held_to_a_certificate_is_a_mistake() {
    let login = |more: &str| format!("[[route]]\nname = \"login\"\n{more}\n");
    let other = "[[route]]\nname = \"help\"\nmethod = \"POST\"\npath = \"/ib/login.do\"\nclass = \"other\"\ncharset = \"windows-31j\"\n\
                 parameters = { help = \"*\" }\n";
    for (layer, key) in [
        (login("login-id = { field = \"loginId\", rule = \"believe\" }"), "route.login.login-id.rule"),
        (login("login-id = { field = \"loginId\", rule = \"verify\", tag = 1 }"), "route.login.login-id.tag"),
        (login("class = \"other\""), "route.login.login-id"),
        (login("method = \"GET\""), "route.login"),
        (
            format!("{}content-type = \"application/json\"\ncharset = \"utf-8\"\n", rule("fill-in")),
            "route.login.login-id",
        ),
        (other.to_owned(), "route.login.parameters"),
    ] {
        let mistake =
            TestGateway::builder().layer(&*layer).try_spawn().await.err().unwrap_or_else(|| panic!("{layer}"));
        assert!(mistake.contains(key), "{key} in {mistake}");
    }
}

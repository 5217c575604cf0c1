//! The stories of inspected bodies, over all media types: what a route declares is found once, in its place, or nothing passes.

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use proptest::prelude::*;

use super::*;
use crate::domain::Yen;

mod json_bodies;

/// A transfer form in UTF-8 with one amount.
fn settings(media: MediaType) -> Settings {
    Settings {
        format: BodyFormat { media, charset: Charset::Utf8, max_fields: 50 },
        amount: vec!["amount".into()],
        earlier: Vec::new(),
        is_complete: false,
        amount_format: AmountFormat::Strict,
        fields: None,
        fixed: Vec::new(),
        date: None,
        transaction: None,
        token: None,
        payee: None,
        login_id: None,
        parameters: Vec::new(),
    }
}

fn form() -> Settings {
    settings(MediaType::Form)
}

/// A request on its way: the query begins with `?`, path parameters with `;`.
fn inspect(settings: &Settings, outside: &str, body: &[u8]) -> Result<Inspection, Fault> {
    let rules = BodyRules::new(settings.clone()).unwrap();
    let mut headers = HeaderMap::new();
    let content_type = match settings.format.media {
        MediaType::Form => "application/x-www-form-urlencoded",
        MediaType::Multipart => "multipart/form-data; boundary=X",
        MediaType::Json => "application/json",
    };
    headers.insert(CONTENT_TYPE, content_type.parse().unwrap());
    let (path_parameters, query) = match outside.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (outside, None),
    };
    let path_parameters: Vec<&str> = path_parameters.split(';').skip(1).collect();
    let head = Head { headers: &headers, query, path_parameters: &path_parameters };
    let body = Bytes::copy_from_slice(body);
    let submission = Submission::read(rules.format(), head, &body)?;
    match submission.carries(rules.dispatch())? {
        true => submission.inspect(&rules),
        false => Err(Fault::WrongFixedValue),
    }
}

fn sum(settings: &Settings, outside: &str, body: &str) -> Result<Option<u64>, Fault> {
    inspect(settings, outside, body.as_bytes()).map(|inspection| inspection.amount.map(Yen::get))
}

fn ambiguous(outcome: &Result<Option<u64>, Fault>) -> bool {
    matches!(outcome, Err(Fault::AmbiguousField(_)))
}

#[test]
fn one_amount_in_the_body_is_counted_and_the_bytes_stay_as_they_were() {
    let body = b"from=1&amount=%31000&memo=a%0D%0Ab&amounts=x";
    let inspection = inspect(&form(), ";jsessionid=A!1?page=2", body).unwrap();
    assert_eq!(inspection.amount.map(Yen::get), Some(1000));
    assert_eq!((&inspection.body[..], inspection.rewritten), (&body[..], false));
    let plain = Settings { amount: Vec::new(), ..form() };
    assert_eq!(sum(&plain, "", "from=1"), Ok(None));
}

/// A26, LIM-10, LIM-37.
#[test]
fn a_second_amount_is_refused_wherever_it_stands_and_however_it_is_called() {
    for (outside, body) in [
        ("", "amount=1&amount=1"),
        ("?amount=1", "amount=99999999"),
        ("?amount=1", "a=1"),
        (";amount=1", "amount=99999999"),
        (";a=1;Amount=2", "amount=1"),
        ("?%61mount=1", "amount=1"),
        ("?%EF%BC%A1mount=1", "amount=1"),
        ("?%82%60mount=1", "amount=1"),
        ("", "amount=1&%61mount=2"),
        ("", "amount=1&Amount=2"),
        ("", "amount=1&amount[]=2"),
        ("", "amount=1&amount[0]=2"),
        ("", "amount=1&amount%5B%5D=2"),
        ("", "amount=1&amount%20=2"),
        ("", "amount=1&+amount=2"),
        ("", "amount=1&_amount=2"),
        ("", "amount=1&amount2=2"),
        ("", "amount=1&%EF%BD%81%EF%BD%8Dount=2"),
        ("", "amount=1&_charset_=utf-7"),
        ("?_method=PUT", "amount=1"),
        (";_method=PUT", "amount=1"),
        ("", "amount=1&_METHOD=PUT"),
    ] {
        let outcome = sum(&form(), outside, body);
        assert!(ambiguous(&outcome), "{outside} {body}: {outcome:?}");
    }
    assert_eq!(sum(&form(), "", "amount%00=1"), Err(Fault::MalformedBody("a control character in a name")));
    assert_eq!(
        sum(&form(), "", "Amount[=1").err(),
        Some(Fault::AmbiguousField("a name that could be taken for a declared one"))
    );
    let kelvin = Settings { amount: vec!["kingaku".into()], ..form() };
    assert!(ambiguous(&sum(&kelvin, "", "kingaku=1&%E2%84%AAingaku=2")));
}

#[test]
fn an_amount_that_is_missing_or_empty_is_refused() {
    assert_eq!(sum(&form(), "", "a=1"), Err(Fault::MissingField));
    assert_eq!(sum(&form(), "", ""), Err(Fault::MissingField));
    assert_eq!(sum(&form(), "", "amount="), Err(Fault::BadAmount));
    assert_eq!(sum(&form(), "", "amount=%EF%BC%91"), Err(Fault::BadAmount));
    assert_eq!(sum(&form(), "", "amount=-1"), Err(Fault::BadAmount));
}

#[test]
fn the_lines_of_a_form_are_summed_and_empty_lines_are_none() {
    let family = Settings { amount: vec!["kingaku*".into()], ..form() };
    assert_eq!(sum(&family, "", "kingaku1=100&kingaku2=&kingaku10=20&kingaku999=3"), Ok(Some(123)));
    assert_eq!(sum(&family, "", "kingaku1=&kingaku2="), Err(Fault::MissingField));
    for body in [
        "kingaku1=1&kingaku1=1",
        "kingaku1=1&kingaku=1",
        "kingaku1=1&kingaku01=1",
        "kingaku1=1&kingaku0=1",
        "kingaku1=1&kingaku1000=1",
        "kingaku1=1&kingaku2x=1",
        "kingaku1=1&kingaku[2]=1",
        "kingaku1=1&Kingaku2=1",
        "kingaku1=1&kingaku%EF%BC%92=1",
    ] {
        assert!(ambiguous(&sum(&family, "", body)), "{body}");
    }
    assert_eq!(sum(&family, "", "kingaku1=1&kingakuKei=1"), Ok(Some(1)));

    let list = Settings { amount: vec!["kingaku1".into(), "kingaku2".into()], ..form() };
    assert_eq!(sum(&list, "", "kingaku1=1&kingaku2=2"), Ok(Some(3)));
    assert_eq!(sum(&list, "", "kingaku2=2"), Ok(Some(2)));
    assert!(ambiguous(&sum(&list, "", "kingaku1=1&kingaku2=2&kingaku11=3")));
    let most = "999999999999999";
    let body = (1..=10).map(|line| format!("kingaku{line}={most}")).collect::<Vec<_>>().join("&");
    assert_eq!(sum(&family, "", &body), Err(Fault::BadAmount));
}

#[test]
fn japanese_spellings_are_forwarded_as_the_digits_that_were_counted() {
    let format = BodyFormat { media: MediaType::Form, charset: Charset::Windows31J, max_fields: 9 };
    let amount = vec!["kingaku*".into()];
    let ja = Settings { format, amount, amount_format: AmountFormat::Ja, ..form() };
    let body = b"name=%95\\&kingaku1=%82P%81C%82%4F%82O\x82\x4f&kingaku2=2,000&kingaku3=%34&kingaku4=&x=%82P";
    let inspection = inspect(&ja, "", body).unwrap();
    let expected = b"name=%95\\&kingaku1=1000&kingaku2=2000&kingaku3=%34&kingaku4=&x=%82P";
    assert_eq!(inspection.body, &expected[..], "{}", inspection.body.escape_ascii());
    assert_eq!((inspection.amount.map(Yen::get), inspection.rewritten), (Some(3004), true));
    let strict = Settings { amount_format: AmountFormat::Strict, ..ja };
    assert_eq!(inspect(&strict, "", &inspection.body).unwrap().amounts, inspection.amounts);
    assert_eq!(inspect(&strict, "", body), Err(Fault::BadAmount));
}

/// A35.
#[test]
fn a_designated_day_is_a_day_of_the_calendar_or_at_once() {
    let dated = Settings { date: Some(("date".into(), DateFormat::Digits)), ..form() };
    let day =
        |body: &str| inspect(&dated, "", body.as_bytes()).map(|inspection| inspection.date.map(|day| day.to_string()));
    assert_eq!(day("amount=1&date=20130520"), Ok(Some("2013-05-20".into())));
    assert_eq!(day("amount=1&date="), Ok(None));
    assert_eq!(day("amount=1"), Ok(None));
    for bad in ["20130230", "+20130520", "2013-05-20", "H250520", "%E5%B9%B3%E6%88%9025"] {
        assert_eq!(day(&format!("amount=1&date={bad}")), Err(Fault::BadDate), "{bad}");
    }
    assert!(ambiguous(&sum(&dated, "", "amount=1&date=20130520&DATE=20130521")));
    assert!(ambiguous(&sum(&dated, "?date=20130521", "amount=1")));
}

#[test]
fn steps_and_tokens_are_handed_on() {
    let wizard = Settings { transaction: Some("txn".into()), token: Some("org.TOKEN".into()), ..form() };
    let inspection = inspect(&wizard, "", b"amount=1&txn=%E8%A1%A8&org.TOKEN=f00").unwrap();
    assert_eq!((inspection.transaction.as_deref(), inspection.token.as_deref()), (Some("表"), Some("f00")));
    let inspection = inspect(&wizard, "", b"amount=1&txn=").unwrap();
    assert_eq!((inspection.transaction, inspection.token), (None, None));
    assert!(ambiguous(&sum(&wizard, "?txn=1", "amount=1&txn=1")));
}

#[test]
fn what_an_earlier_screen_brought_does_not_come_again() {
    let earlier: Vec<String> = ["amount", "kingaku*", "/orders/*/sum"].map(str::to_owned).into();
    let confirm = Settings { amount: Vec::new(), earlier: earlier.clone(), ..form() };
    assert_eq!(sum(&confirm, ";jsessionid=1?page=2", "payee=a&kingakuKei=1&amounts=2"), Ok(None));
    for (outside, body) in [
        ("", "amount=1"),
        ("", "kingaku3=1"),
        ("", "kingaku=1"),
        ("", "sum="),
        ("", "AMOUNT%5B%5D=1"),
        ("?amount=1", ""),
        ("?%EF%BD%8Bingaku1=1", ""),
        (";sum=1", ""),
    ] {
        assert!(ambiguous(&sum(&confirm, outside, body)), "{outside} {body}");
    }
    let json = Settings { amount: Vec::new(), earlier, ..settings(MediaType::Json) };
    assert_eq!(sum(&json, "", r#"{"orders":[{"payee":"a"}]}"#), Ok(None));
    for body in [r#"{"amount":1}"#, r#"{"kingaku2":1}"#, r#"{"orders":[{"sum":1}]}"#, r#"{"orders":[{"Sum":1}]}"#] {
        assert!(ambiguous(&sum(&json, "", body)), "{body}");
    }
    assert!(ambiguous(&sum(&json, "?sum=1", "{}")));
    let listed = Settings { fields: Some(vec!["amount".into()]), ..confirm };
    assert_eq!(BodyRules::new(listed).unwrap_err(), Unusable::Earlier("amount".into()));
}

#[test]
fn fixed_fields_and_closed_lists_hold() {
    let fixed = Settings { fixed: vec![("unit".into(), "1".into())], ..form() };
    assert_eq!(sum(&fixed, "", "amount=1&unit=1"), Ok(Some(1)));
    assert_eq!(sum(&fixed, "", "amount=1&unit=1000"), Err(Fault::WrongFixedValue));
    assert_eq!(sum(&fixed, "", "amount=1"), Err(Fault::MissingField));
    assert!(ambiguous(&sum(&fixed, "", "amount=1&unit=1&unit=1")));
    assert!(ambiguous(&sum(&fixed, "?unit=1", "amount=1")));

    let closed = Settings { fields: Some(vec!["to".into(), "amount".into(), "page".into()]), ..fixed };
    assert_eq!(sum(&closed, ";jsessionid=1?page=1", "amount=1&unit=1&to=2"), Ok(Some(1)));
    assert_eq!(sum(&closed, "", "amount=1&unit=1&scale=3"), Err(Fault::UnknownField));
    assert_eq!(sum(&closed, "?scale=3", "amount=1&unit=1"), Err(Fault::UnknownField));
    assert!(ambiguous(&sum(&closed, "", "amount=1&unit=1&to=1&to=2")));
    assert!(ambiguous(&sum(&closed, "", "amount=1&unit=1&To=1")));
}

/// LIM-25, A40.
#[test]
fn routes_on_one_path_are_told_apart_by_parameters_that_have_one_meaning() {
    let is = |text: &str| ParameterValue::Is(text.into());
    let struts = Settings { parameters: vec![("method".into(), is("commit"))], ..form() };
    assert_eq!(sum(&struts, "?method=commit", "amount=1"), Ok(Some(1)));
    assert_eq!(sum(&struts, "", "amount=1&method=commit"), Ok(Some(1)));
    assert_eq!(sum(&struts, "?method=confirm", "amount=1"), Err(Fault::WrongFixedValue));
    assert_eq!(sum(&struts, "", "amount=1"), Err(Fault::WrongFixedValue));
    for (outside, body) in [
        ("?method=commit", "amount=1&method=commit"),
        ("?method=confirm&method=commit", "amount=1"),
        ("?Method=commit", "amount=1"),
        ("?method=Commit", "amount=1"),
        ("?method=commit%20", "amount=1"),
        (";method=commit", "amount=1"),
        ("?method%5B%5D=commit", "amount=1&method=confirm"),
    ] {
        assert!(ambiguous(&sum(&struts, outside, body)), "{outside} {body}");
    }

    let button = Settings { parameters: vec![("exec.x".into(), ParameterValue::Present)], ..form() };
    assert_eq!(sum(&button, "", "amount=1&exec.x=3&exec.y=4"), Ok(Some(1)));
    assert!(ambiguous(&sum(&button, "", "amount=1&exec.x=3&exec.x=4")));
    assert!(ambiguous(&sum(&button, "", "amount=1&exec.x=3&exec=go")));
    assert_eq!(sum(&button, "", "amount=1"), Err(Fault::WrongFixedValue));
    let submit = Settings { parameters: vec![("exec".into(), ParameterValue::Present)], ..form() };
    assert_eq!(sum(&submit, "", "amount=1&exec="), Ok(Some(1)));
    assert!(ambiguous(&sum(&submit, "", "amount=1&exec.x=1")));
}

#[test]
fn parts_are_fields_and_files_never_are() {
    let multipart = Settings { amount_format: AmountFormat::Ja, ..settings(MediaType::Multipart) };
    let part = |name: &str, more: &str, value: &str| {
        format!("--X\r\nContent-Disposition: form-data; name=\"{name}\"{more}\r\n\r\n{value}\r\n")
    };
    let body = part("amount", "", "１，０００") + &part("list", "; filename=\"a.csv\"", "amount") + "--X--\r\n";
    let inspection = inspect(&multipart, "", body.as_bytes()).unwrap();
    assert_eq!(inspection.amount.map(Yen::get), Some(1000));
    assert_eq!(inspection.body, body.replace("１，０００", "1000").as_bytes());
    for parts in [
        part("amount", "; filename=\"\"", "1"),
        part("amount", "", "1") + &part("Amount", "; filename=\"a\"", "2"),
        part("amount", "", "1") + &part("amount", "", "1"),
        part("amount", "", "1") + &part("_charset_", "", "utf-7"),
    ] {
        assert!(ambiguous(&sum(&multipart, "", &(parts.clone() + "--X--"))), "{parts}");
    }
    assert!(ambiguous(&sum(&multipart, "?amount=1", &(part("amount", "", "1") + "--X--"))));
}

#[test]
fn the_number_of_fields_is_bounded_over_body_and_query() {
    let few = Settings { format: BodyFormat { max_fields: 3, ..form().format }, ..form() };
    assert_eq!(sum(&few, "?a", "amount=1&b=1"), Ok(Some(1)));
    assert_eq!(sum(&few, "?a;", "amount=1").err(), Some(Fault::MalformedBody("a semicolon between fields")));
    assert_eq!(sum(&few, "?%2561mount=2", "amount=1"), Err(Fault::MalformedBody("a name that is encoded twice")));
    assert_eq!(sum(&few, "?a&b", "amount=1&b=1"), Err(Fault::TooManyFields));
    assert_eq!(sum(&few, ";a;b?c", "amount=1"), Err(Fault::TooManyFields));
}

#[test]
fn rules_that_mean_two_things_are_mistakes() {
    let unusable = |settings: Settings| BodyRules::new(settings).map(drop).unwrap_err();
    let amounts = |names: &[&str]| Settings { amount: names.iter().map(|name| (*name).to_owned()).collect(), ..form() };
    assert_eq!(unusable(amounts(&["a", "a"])), Unusable::Twice("a".into()));
    assert_eq!(unusable(amounts(&["a1", "a*"])), Unusable::Twice("a*".into()));
    assert_eq!(unusable(Settings { token: Some("amount".into()), ..form() }), Unusable::Twice("amount".into()));
    for name in ["", "*", "a*b", "a%20", "a\0", "[]", "_method", "_charset_"] {
        assert_eq!(unusable(amounts(&[name])), Unusable::Name(name.into()), "{name:?}");
    }
    let charset = BodyFormat { charset: Charset::Windows31J, ..settings(MediaType::Json).format };
    assert_eq!(unusable(Settings { format: charset, ..settings(MediaType::Json) }), Unusable::JsonCharset);
    let japanese = vec![("表".into(), ParameterValue::Present)];
    assert_eq!(unusable(Settings { parameters: japanese, ..form() }), Unusable::NotAscii("表".into()));
    assert!(BodyRules::new(Settings { fields: Some(vec!["kingaku*".into()]), ..amounts(&["kingaku*"]) }).is_ok());
}

proptest! {
    /// Whatever comes: an accepted body read again says the same, and its sum is the sum of its amounts.
    #[test]
    fn an_accepted_body_says_the_same_when_it_is_read_again(
        body in proptest::collection::vec(proptest::sample::select(
            &["kingaku", "1", "2", "=", "=", "&", "&", "0", "，", ",", "１", "%EF%BC%91", "a", "[]", "K", "%"][..]), 0..24)
    ) {
        let ja = Settings { amount: vec!["kingaku*".into()], amount_format: AmountFormat::Ja, ..form() };
        if let Ok(first) = inspect(&ja, "", body.concat().as_bytes()) {
            let strict = Settings { amount_format: AmountFormat::Strict, ..ja };
            let second = inspect(&strict, "", &first.body).unwrap();
            prop_assert_eq!(first.amount.map(Yen::get), Some(first.amounts.iter().map(|amount| amount.yen.get()).sum()));
            prop_assert_eq!(second, Inspection { rewritten: false, ..first });
        }
    }
}

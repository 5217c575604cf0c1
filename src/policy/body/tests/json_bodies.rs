//! JSON: pointers instead of names, and every shape that a lenient reader would take for the declared one.

use super::*;

fn json() -> Settings {
    settings(MediaType::Json)
}

fn orders() -> Settings {
    Settings { amount: vec!["/orders/*/amount".into()], ..json() }
}

#[test]
fn amounts_are_plain_numbers_or_strings_of_digits() {
    assert_eq!(sum(&json(), "", r#"{"amount": 100, "to": {"amount": "x"}}"#), Ok(Some(100)));
    assert_eq!(sum(&json(), "", r#"{"amount": "100"}"#), Ok(Some(100)));
    for value in [
        "1e3",
        "1E3",
        "1.0",
        "-1",
        "-0",
        "0",
        "true",
        "null",
        r#""１""#,
        r#""+1""#,
        r#"" 1""#,
        "1000000000000000",
        "18446744073709551617",
    ] {
        assert_eq!(sum(&json(), "", &format!(r#"{{"amount":{value}}}"#)), Err(Fault::BadAmount), "{value}");
    }
    for value in ["01", "+1", "0x1", "１", "1,000", "'1'"] {
        assert!(
            matches!(sum(&json(), "", &format!(r#"{{"amount":{value}}}"#)), Err(Fault::MalformedBody(_))),
            "{value}"
        );
    }
}

#[test]
fn the_elements_of_an_array_are_summed() {
    assert_eq!(sum(&orders(), "", r#"{"orders":[{"amount":1},{"amount":"20"},{"memo":"x"}]}"#), Ok(Some(21)));
    assert_eq!(sum(&orders(), "", r#"{"orders":[]}"#), Err(Fault::MissingField));
    assert_eq!(
        sum(&Settings { amount: vec!["/*/amount".into()], ..json() }, "", r#"[{"amount":1},{"amount":2}]"#),
        Ok(Some(3))
    );
}

#[test]
fn shapes_that_lenient_readers_take_for_the_declared_one_are_refused() {
    for body in [
        r#"{"amount":1,"Amount":2}"#,
        r#"{"amount":1,"amount2":2}"#,
        r#"{"amount":1,"\uff41mount":2}"#,
        r#"{"amount":[5]}"#,
        r#"{"amount":{}}"#,
        r#"[1]"#,
        r#""amount""#,
        r#"{"amount":1,"amount":1}"#,
    ] {
        assert!(ambiguous(&sum(&json(), "", body)), "{body}");
    }
    for body in [
        r#"{"orders":[{"amount":1}],"Orders":[{"amount":2}]}"#,
        r#"{"orders":[{"amount":1,"a_mount":2}]}"#,
        r#"{"orders":{"amount":1}}"#,
        r#"{"orders":{"0":{"amount":1}}}"#,
        r#"{"orders":{"*":{"amount":1}}}"#,
        r#"{"orders":[[{"amount":1}]]}"#,
        r#"{"orders":[{"amount":1},5]}"#,
        r#"{"orders":null}"#,
    ] {
        assert!(ambiguous(&sum(&orders(), "", body)), "{body}");
    }
    assert!(ambiguous(&sum(&json(), "?amount=1", r#"{"amount":1}"#)));
    assert!(ambiguous(&sum(&orders(), "?Amount=1", r#"{"orders":[{"amount":1}]}"#)));
}

#[test]
fn days_tokens_fixed_values_and_closed_lists_are_pointers_too() {
    let all = Settings {
        date: Some(("/when/day".into(), DateFormat::Hyphens)),
        token: Some("token".into()),
        fixed: vec![("unit".into(), "1".into())],
        fields: Some(vec!["/when/note".into()]),
        ..json()
    };
    let body = r#"{"amount":1,"when":{"day":"2013-05-20","note":"x"},"token":"t","unit":1}"#;
    let inspection = inspect(&all, "", body.as_bytes()).unwrap();
    assert_eq!(inspection.date.map(|day| day.to_string()).as_deref(), Some("2013-05-20"));
    assert_eq!(inspection.token.as_deref(), Some("t"));
    assert_eq!(inspect(&all, "", br#"{"amount":1,"when":{"day":null},"unit":1}"#).unwrap().date, None);
    assert_eq!(sum(&all, "", r#"{"amount":1,"unit":1.0}"#), Err(Fault::WrongFixedValue));
    assert_eq!(sum(&all, "", r#"{"amount":1,"unit":1,"x":1}"#), Err(Fault::UnknownField));
    assert_eq!(sum(&all, "", r#"{"amount":1,"unit":1,"x":{}}"#), Err(Fault::UnknownField));
    assert_eq!(sum(&all, "", r#"{"amount":1,"unit":1,"when":{"x":1}}"#), Err(Fault::UnknownField));
}

#[test]
fn japanese_strings_are_forwarded_as_strings_of_digits() {
    let ja = Settings { amount_format: AmountFormat::Ja, ..orders() };
    let body = r#"{"orders" : [{"amount":"\uff11，０００"}, {"amount":2}, {"amount": "3,000"}]}"#;
    let inspection = inspect(&ja, "", body.as_bytes()).unwrap();
    assert_eq!(inspection.body, r#"{"orders" : [{"amount":"1000"}, {"amount":2}, {"amount": "3000"}]}"#);
    assert_eq!((inspection.amount.map(Yen::get), inspection.rewritten), (Some(4002), true));
}

#[test]
fn a_dispatch_parameter_may_stand_in_the_body_or_in_the_query_but_once() {
    let act = Settings { parameters: vec![("act".into(), ParameterValue::Is("commit".into()))], ..json() };
    assert_eq!(sum(&act, "?act=commit", r#"{"amount":1}"#), Ok(Some(1)));
    assert_eq!(sum(&act, "", r#"{"amount":1,"act":"commit"}"#), Ok(Some(1)));
    assert!(ambiguous(&sum(&act, "?act=commit", r#"{"amount":1,"act":"commit"}"#)));
}

#[test]
fn pointers_that_name_no_single_value_are_mistakes() {
    for pointer in ["/", "/a/", "/a//b", "/a/*", "*", "/a*", "kingaku*", "/orders/x*/amount"] {
        let settings = Settings { amount: vec![pointer.into()], ..json() };
        assert_eq!(BodyRules::new(settings).map(drop), Err(Unusable::Name(pointer.into())), "{pointer}");
    }
}

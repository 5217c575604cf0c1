//! The multipart reader on what browsers send, on what parsers read in two ways, and beside another parser.

use proptest::prelude::*;

use super::*;

fn read(body: &[u8], charset: Charset) -> Result<Vec<(String, Option<String>)>, Fault> {
    let fields = fields(body, "X", charset, 10)?;
    Ok(fields.iter().map(|field| (field.name.to_string(), field.value.text().map(str::to_owned))).collect())
}

/// A body of one part with these header lines.
fn one(head: &str) -> Vec<u8> {
    format!("--X\r\n{head}\r\n\r\n1\r\n--X--\r\n").into_bytes()
}

#[test]
fn a_browser_s_body_is_read() {
    let body = b"--X\r\nContent-Disposition: form-data; name=\"amount\"\r\n\r\n\x82\x50\r\n\
        --X\r\nContent-Disposition: form-data; name=\"memo\"\r\nContent-Type: text/plain; charset=Shift_JIS\r\n\r\na\r\n-\r\n\r\n\r\n\
        --X\r\nContent-Disposition: form-data; name=\"file\"; filename=\"C:\\\x95\x5c.csv\"\r\nContent-Type: text/csv\r\n\r\n\xff\0\r\n\
        --X\r\nContent-Disposition: form-data; name=\"empty\"\r\n\r\n\r\n--X--\r\n";
    let expected = [("amount", Some("１")), ("memo", Some("a\r\n-\r\n\r\n")), ("file", None), ("empty", Some(""))];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.map(str::to_owned)));
    assert_eq!(read(body, Charset::Windows31J), Ok(expected.to_vec()));
    let fields = fields(body, "X", Charset::Windows31J, 4).unwrap();
    assert_eq!(&body[fields[0].span.clone()], b"\x82\x50");
    assert_eq!(&body[fields[2].span.clone()], b"\xff\0");
    assert_eq!(super::fields(body, "X", Charset::Windows31J, 3), Err(Fault::TooManyFields));
    assert_eq!(read(b"--X--", Charset::Utf8), Ok(Vec::new()));
}

#[test]
fn the_second_byte_of_a_character_is_no_backslash() {
    let body = b"--X\r\nContent-Disposition: form-data; name=\"\x95\x5c\"\r\n\r\n1\r\n--X--";
    assert_eq!(read(body, Charset::Windows31J), Ok(vec![("表".into(), Some("1".into()))]));
    assert!(read(body, Charset::Utf8).is_err());
}

#[test]
fn frames_that_parsers_read_in_two_ways_are_refused() {
    let disposition = "Content-Disposition: form-data; name=\"a\"";
    for body in [
        String::new(),
        "--X".into(),
        "--X\r\n--X--".into(),
        format!("preamble\r\n--X\r\n{disposition}\r\n\r\n1\r\n--X--"),
        format!("\r\n--X\r\n{disposition}\r\n\r\n1\r\n--X--"),
        format!("--X\r\n{disposition}\r\n\r\n1\r\n--X--\r\nepilogue"),
        format!("--X\r\n{disposition}\r\n\r\n1\r\n--X--\r\n\r\n"),
        format!("--X\r\n{disposition}\r\n\r\n1\r\n--X--\n"),
        format!("--X\r\n{disposition}\r\n\r\n1\r\n--X"),
        format!("--X\r\n{disposition}\r\n\r\n1\r\n--X\r\n"),
        format!("--X\r\n{disposition}\r\n\r\n1\r\n"),
        format!("--X\n{disposition}\n\n1\n--X--\n"),
        format!("--X\r\n{disposition}\n\n1\r\n--X--"),
        format!("--X\r\n{disposition}\r\n\r\n1\n--X--"),
        format!("--X \r\n{disposition}\r\n\r\n1\r\n--X--"),
        format!("--X\r\n{disposition}\r\n\r\n1\r\n--Xy\r\n2\r\n--X--"),
        format!("--X\r\n{disposition}\r\n\r\n1--X\r\n--X--"),
        format!("--X\r\n{disposition}\r\n1\r\n--X--"),
        format!("--X\r\n{disposition}\r\n\r\n1\r\n--\"X\"\r\n\r\n--X--"),
        format!("--X\r\n{disposition}\r\n\r\n1\r\n--X--\r\n--X\r\n{disposition}\r\n\r\n2\r\n--X--"),
    ] {
        assert!(matches!(read(body.as_bytes(), Charset::Utf8), Err(Fault::MalformedBody(_))), "{body:?}");
    }
}

#[test]
fn heads_that_parsers_read_in_two_ways_are_refused() {
    for head in [
        "",
        "Content-Type: text/plain",
        "Content-Disposition: attachment; name=\"a\"",
        "Content-Disposition: form-data",
        "Content-Disposition: form-data; name=a",
        "Content-Disposition: form-data; name='a'",
        "Content-Disposition: form-data; name=\"a",
        "Content-Disposition: form-data; name=\"\"",
        "Content-Disposition: form-data; name=\"a\" x",
        "Content-Disposition: form-data; name=\"a\";",
        "Content-Disposition: form-data; Name=\"a\"",
        "Content-Disposition: form-data; name =\"a\"",
        "Content-Disposition: form-data; name=\"a\"; name=\"b\"",
        "Content-Disposition: form-data; name*=\"utf-8''a\"",
        "Content-Disposition: form-data; name=\"b\"; name*=utf-8''a",
        "Content-Disposition: form-data; name=\"a\\\"b\"",
        "Content-Disposition: form-data; name=\"a\\b\"",
        "Content-Disposition: form-data; name=\"%61\"",
        "Content-Disposition: form-data; name=\"=?UTF-8?B?YW1vdW50?=\"",
        "Content-Disposition: form-data; name=\"a;b\"",
        "Content-Disposition: form-data; name=\"b\"; filename=\"c; name=a\"",
        "Content-Disposition: form-data; name=\"b\"; filename=\"c\\\"",
        "Content-Disposition: form-data; filename=\"c\"",
        "Content-Disposition: form-data;\r\n name=\"a\"",
        "Content-Disposition: form-data; name=\"a\"\r\nContent-Disposition: form-data; name=\"b\"",
        "Content-Disposition : form-data; name=\"a\"",
        "Content-Disposition: form-data;\tname=\"a\"",
        "Content-Disposition: form-data; name=\"a\0\"",
        "Content-Disposition: form-data; name=\"a\"\r\nX-Other: 1",
        "Content-Disposition: form-data; name=\"a\"\nX-Other: 1",
        "Content-Disposition: form-data; name=\"a\"\r\nContent-Transfer-Encoding: base64",
        "Content-Disposition: form-data; name=\"a\"\r\nContent-Transfer-Encoding: quoted-printable",
        "Content-Disposition: form-data; name=\"a\"\r\nContent-Type: multipart/mixed; boundary=Y",
        "Content-Disposition: form-data; name=\"a\"; filename=\"f\"\r\nContent-Type: Multipart/Mixed; boundary=Y",
        "Content-Disposition: form-data; name=\"a\"\r\nContent-Type: application/json",
    ] {
        assert!(matches!(read(&one(head), Charset::Utf8), Err(Fault::MalformedBody(_))), "{head:?}");
    }
    let foreign = "Content-Disposition: form-data; name=\"a\"\r\nContent-Type: text/plain; charset=utf-7";
    assert_eq!(read(&one(foreign), Charset::Utf8), Err(Fault::UnsupportedCharset));
    let plain =
        "content-disposition: form-data; name=\"a\"\r\nContent-Transfer-Encoding: 8bit\r\nContent-Type: text/plain";
    assert_eq!(read(&one(plain), Charset::Utf8), Ok(vec![("a".into(), Some("1".into()))]));
}

#[test]
fn a_value_that_breaks_the_charset_is_refused() {
    let body = b"--X\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n\x83\r\n--X--";
    assert!(matches!(read(body, Charset::Windows31J), Err(Fault::MalformedBody(_))));
    assert!(matches!(
        read(&one("Content-Disposition: form-data; name=\"表\""), Charset::EucJp),
        Err(Fault::MalformedBody(_))
    ));
}

/// What another parser sees in the same bytes.
async fn theirs(body: Vec<u8>) -> Vec<(String, Vec<u8>)> {
    let stream = http_body_util::BodyDataStream::new(http_body_util::Full::new(bytes::Bytes::from(body)));
    let mut multipart = multer::Multipart::new(stream, "X");
    let mut seen = Vec::new();
    while let Some(field) = multipart.next_field().await.unwrap() {
        let name = field.name().unwrap().to_owned();
        seen.push((name, field.bytes().await.unwrap().to_vec()));
    }
    seen
}

fn part() -> impl Strategy<Value = String> {
    let name = "[a-zあ\"\\\\ ;]{0,3}";
    let content = proptest::sample::select(&["1", "", "\r\n", "--", "--X", "\r\n--", "あ", "\n"][..]);
    let filename = proptest::sample::select(&["", "; filename=\"f\"", "; filename=\"a\\\""][..]);
    let line_end = proptest::sample::select(&["\r\n", "\r\n", "\r\n", "\r\n", "\n"][..]);
    (name, filename, line_end, content).prop_map(|(name, filename, end, content)| {
        format!("--X\r\nContent-Disposition: form-data; name=\"{name}\"{filename}{end}\r\n{content}\r\n")
    })
}

proptest! {
    /// What we accept, another parser reads alike: names and contents, files too.
    #[test]
    fn an_accepted_body_has_the_parts_that_others_see(parts in proptest::collection::vec(part(), 0..4)) {
        let body = (parts.concat() + "--X--\r\n").into_bytes();
        if let Ok(fields) = fields(&body, "X", Charset::Utf8, 10) {
            let ours: Vec<_> =
                fields.iter().map(|field| (field.name.to_string(), body[field.span.clone()].to_vec())).collect();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            prop_assert_eq!(ours, runtime.block_on(theirs(body.clone())));
        }
    }
}

//! One message in, one clean message out, or none: HTP-01, A59.

use std::time::Duration;

use crate::support::frames::{DATA, END_STREAM, Frame, Frames, HEADERS};
use crate::support::{Answer, TestGateway};

/// What the application may have heard of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Nothing; the answer is one of 400, 405, 414, 421, 431, 501, or the connection just ends.
    Refused,
    /// One clean request; afterwards the connection ends and what follows is not read.
    OneAndClose,
    /// Either of these: what is sent has one reading, which lenient and strict servers may both defend.
    Either,
}
use Fate::{Either, OneAndClose, Refused};

/// What follows each message: it must never be taken for a request of its own, unless the message was clean.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// A POST with these framing fields and this body.
fn post(fields: &str, body: &str) -> Vec<u8> {
    format!("POST /ib/menu.do HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n{body}").into_bytes()
}

/// Sends it on a connection of its own and says with what status it was answered, if at all.
async fn fate(gateway: &TestGateway, what: &str, bytes: &[u8], expected: Fate) {
    let before = gateway.backend.count();
    let mut connection = gateway.enrol("hanakodt").connect().await;
    let _ = connection.send_raw(bytes).await;
    let mut statuses = Vec::new();
    let ended = loop {
        match tokio::time::timeout(Duration::from_secs(3), Answer::read(&mut connection.stream, "POST")).await {
            Ok(Ok(answer)) => statuses.push(answer.status),
            Ok(Err(_)) => break true,
            Err(_) => break false,
        }
    };
    let seen = gateway.backend.seen()[before..].to_vec();
    gateway.backend.assert_clean();
    assert!(seen.len() <= 1, "{what}: {} requests reached the application", seen.len());
    assert!(seen.iter().all(|one| one.target != "/smuggled"), "{what}: smuggled");
    let refused = ended && seen.is_empty() && statuses.iter().all(|status| matches!(status, 400..=431 | 501 | 505));
    let one = ended && seen.len() == 1 && statuses.len() == 1;
    let as_expected = match expected {
        Refused => refused,
        OneAndClose => one,
        Either => refused || one,
    };
    assert!(as_expected, "{what}: {expected:?}, but {statuses:?}, ended: {ended}, {seen:#?}");
}

#[tokio::test]
async fn lengths_with_two_readings() {
    let gateway = TestGateway::spawn().await;
    let lengths = [
        ("signed", "Content-Length: +5\r\n"),
        ("negative", "Content-Length: -1\r\n"),
        ("hexadecimal", "Content-Length: 0x5\r\n"),
        ("a list of different ones", "Content-Length: 5, 6\r\n"),
        ("different ones", "Content-Length: 5\r\nContent-Length: 0\r\n"),
        ("empty", "Content-Length:\r\n"),
        ("fractional", "Content-Length: 5.0\r\n"),
        ("exponential", "Content-Length: 5e0\r\n"),
        ("with a blank inside", "Content-Length: 4 1\r\n"),
        ("with a comma", "Content-Length: 5,\r\n"),
        ("overflowing", "Content-Length: 18446744073709551621\r\n"),
        ("enormous", "Content-Length: 999999999999999999999999999999\r\n"),
        ("quoted", "Content-Length: \"5\"\r\n"),
        ("a word", "Content-Length: chunked\r\n"),
        ("with a blank before the colon", "Content-Length : 5\r\n"),
        ("with a tab before the colon", "Content-Length\t: 5\r\n"),
    ];
    for (what, fields) in lengths {
        let body = format!("12345{SMUGGLED}");
        fate(&gateway, what, &post(fields, &body), Refused).await;
    }
    let underscore = post("Content_Length: 5\r\nContent-Length: 0\r\nConnection: close\r\n", "");
    fate(&gateway, "with an underscore", &underscore, OneAndClose).await;
    for (what, fields) in [
        ("equal ones", "Content-Length: 5\r\nContent-Length: 5\r\n"),
        ("a list of equal ones", "Content-Length: 5, 5\r\n"),
    ] {
        fate(&gateway, what, &post(fields, "12345"), Refused).await;
    }
}

#[tokio::test]
async fn lengths_beside_chunks() {
    let gateway = TestGateway::spawn().await;
    let body = format!("0\r\n\r\n{SMUGGLED}");
    let table = [
        ("CL.TE", "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n"),
        ("TE.CL", "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n"),
        ("TE.CL with a length that fits", "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n"),
        ("CL.TE with a bad length", "Content-Length: x\r\nTransfer-Encoding: chunked\r\n"),
    ];
    for (what, fields) in table {
        fate(&gateway, what, &post(fields, &body), Refused).await;
    }
}

#[tokio::test]
async fn codings_with_two_readings() {
    let gateway = TestGateway::spawn().await;
    let codings = [
        ("identity", "Transfer-Encoding: identity\r\n"),
        ("gzip alone", "Transfer-Encoding: gzip\r\n"),
        ("chunked first", "Transfer-Encoding: chunked, gzip\r\n"),
        ("chunked, then identity", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n"),
        ("xchunked", "Transfer-Encoding: xchunked\r\n"),
        ("chunked with a parameter", "Transfer-Encoding: chunked;q=1\r\n"),
        ("with a vertical tab", "Transfer-Encoding:\x0bchunked\r\n"),
        ("with a form feed", "Transfer-Encoding: \x0cchunked\r\n"),
        ("quoted", "Transfer-Encoding: \"chunked\"\r\n"),
        ("with a blank before the colon", "Transfer-Encoding : chunked\r\n"),
        ("folded", "Transfer-Encoding:\r\n chunked\r\n"),
        ("empty", "Transfer-Encoding:\r\n"),
        ("behind a bare CR", "X: x\rTransfer-Encoding: chunked\r\n"),
    ];
    for (what, fields) in codings {
        fate(&gateway, what, &post(fields, &format!("0\r\n\r\n{SMUGGLED}")), Refused).await;
        let with_length = format!("Content-Length: 5\r\n{fields}");
        fate(&gateway, what, &post(&with_length, &format!("0\r\n\r\n{SMUGGLED}")), Refused).await;
    }
    for (what, fields) in [
        ("in capitals", "Transfer-Encoding: CHUNKED\r\nConnection: close\r\n"),
        ("tabbed", "Transfer-Encoding:\tchunked\r\nConnection: close\r\n"),
    ] {
        fate(&gateway, what, &post(fields, "0\r\n\r\n"), Either).await;
    }
    let old = "POST /ib/menu.do HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    fate(&gateway, "HTTP/1.0 with chunks", format!("{old}{SMUGGLED}").as_bytes(), Refused).await;
}

#[tokio::test]
async fn chunks_with_two_readings() {
    let gateway = TestGateway::spawn().await;
    let chunked = "Transfer-Encoding: chunked\r\nConnection: close\r\n";
    let bad = [
        ("a sign", "+5\r\nhello\r\n0\r\n\r\n"),
        ("a prefix", "0x5\r\nhello\r\n0\r\n\r\n"),
        ("no hexadecimal", "g\r\nhello\r\n0\r\n\r\n"),
        ("a negative size", "-5\r\nhello\r\n0\r\n\r\n"),
        ("an overflowing size", "10000000000000005\r\nhello\r\n0\r\n\r\n"),
        ("no size", "\r\nhello\r\n0\r\n\r\n"),
        ("a short chunk", "4\r\nhello\r\n0\r\n\r\n"),
        ("a bare LF behind the size", "5\nhello\r\n0\r\n\r\n"),
        ("a bare LF behind the data", "5\r\nhello\n0\r\n\r\n"),
        ("a bare CR behind the size", "5\rhello\r\n0\r\n\r\n"),
        ("a bare LF in trailers", "5\r\nhello\r\n0\r\nX: a\n\n"),
        ("a LF in an extension", "5;a\nb\r\nhello\r\n0\r\n\r\n"),
        ("a CR in an extension", "5;a\rb\r\nhello\r\n0\r\n\r\n"),
    ];
    for (what, body) in bad {
        // The head is clean, so a streaming gateway has begun to forward: what must not happen is a complete request.
        fate(&gateway, what, &post(chunked, &format!("{body}{SMUGGLED}")), Refused).await;
    }
    for (what, body) in [
        ("an extension", "5;a=b\r\nhello\r\n0\r\n\r\n"),
        ("a quoted extension", "5;a=\"b\"\r\nhello\r\n0;z\r\n\r\n"),
        ("leading zeros", "0005\r\nhello\r\n0000\r\n\r\n"),
        ("a blank behind the size", "5 \r\nhello\r\n0\r\n\r\n"),
    ] {
        fate(&gateway, what, &post(chunked, body), Either).await;
    }
}

#[tokio::test]
async fn heads_with_two_readings() {
    let gateway = TestGateway::spawn().await;
    let refused: Vec<(&str, Vec<u8>)> = vec![
        ("a folded line", b"GET / HTTP/1.1\r\nHost: localhost\r\nX-A: a\r\n b\r\n\r\n".to_vec()),
        ("a folded first line", b"GET / HTTP/1.1\r\n X-A: a\r\nHost: localhost\r\n\r\n".to_vec()),
        ("a NUL in a value", b"GET / HTTP/1.1\r\nHost: localhost\r\nX-A: a\0b\r\n\r\n".to_vec()),
        ("a NUL in a name", b"GET / HTTP/1.1\r\nHost: localhost\r\nX\0A: a\r\n\r\n".to_vec()),
        ("a blank before the colon", b"GET / HTTP/1.1\r\nHost: localhost\r\nX-A : a\r\n\r\n".to_vec()),
        ("a bare CR in a value", b"GET / HTTP/1.1\r\nHost: localhost\r\nX-A: a\rb\r\n\r\n".to_vec()),
        ("a control character", b"GET / HTTP/1.1\r\nHost: localhost\r\nX-A: a\x01b\r\n\r\n".to_vec()),
        ("a name in parentheses", b"GET / HTTP/1.1\r\nHost: localhost\r\n(X): a\r\n\r\n".to_vec()),
        ("a line without a colon", b"GET / HTTP/1.1\r\nHost: localhost\r\nX\r\n\r\n".to_vec()),
        ("a name of UTF-8", "GET / HTTP/1.1\r\nHost: localhost\r\nＨost: a\r\n\r\n".into()),
        ("an unknown version", b"GET / HTTP/1.2\r\nHost: localhost\r\n\r\n".to_vec()),
        ("no version", b"GET /\r\n\r\n".to_vec()),
        ("two blanks", b"GET  / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()),
        ("a blank in the target", b"GET /a b HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()),
        ("a tab in the request line", b"GET\t/ HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()),
        ("a fragment in the target", b"GET /#/../x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".to_vec()),
        ("a control character in the target", b"GET /\x01 HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()),
        ("a target beyond ASCII", b"GET /\x83\x5c HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()),
        ("a relative target", b"GET ib/menu.do HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()),
        ("no Host", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        ("a Host with a path", b"GET / HTTP/1.1\r\nHost: localhost/x\r\n\r\n".to_vec()),
        ("a Host with user information", b"GET / HTTP/1.1\r\nHost: a@localhost\r\n\r\n".to_vec()),
        ("HTTP/2 in the clear", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()),
        ("a lower-case method", b"get / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".to_vec()),
    ];
    for (what, mut bytes) in refused {
        bytes.extend(SMUGGLED.as_bytes());
        // A method in lower case has one reading; all the rest has none.
        let expected = if what.contains("method") { Either } else { Refused };
        if expected == Refused {
            fate(&gateway, what, &bytes, expected).await;
        } else {
            fate(&gateway, what, &bytes[..bytes.len() - SMUGGLED.len()], expected).await;
        }
    }
    for bare in [
        "GET / HTTP/1.1\nHost: localhost\nX-A: a\n\n",
        "GET / HTTP/1.1\r\nHost: localhost\nX-A: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\n\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nX-A: a\r\r\n\r\n",
    ] {
        fate(&gateway, "bare ends of lines", format!("{bare}{SMUGGLED}").as_bytes(), Refused).await;
    }
    fate(
        &gateway,
        "an empty line before",
        b"\r\nGET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        Either,
    )
    .await;
}

#[tokio::test]
async fn clean_messages_may_follow_each_other() {
    let gateway = TestGateway::spawn().await;
    let mut connection = gateway.enrol("hanakodt").connect().await;
    let first = post("Content-Length: 5\r\n", "hello");
    let second = post("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n");
    connection
        .send_raw(&[first, second, b"GET /third HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()].concat())
        .await
        .unwrap();
    for _ in 0..3 {
        assert_eq!(connection.read("GET").await.unwrap().status, 200);
    }
    let seen = gateway.backend.seen();
    let read: Vec<(&str, &[u8])> = seen.iter().map(|one| (one.target.as_str(), one.body.as_slice())).collect();
    assert_eq!(read, [("/ib/menu.do", &b"hello"[..]), ("/ib/menu.do", b"hello"), ("/third", b"")]);
    gateway.backend.assert_clean();
}

/// A body that the application did not ask for must not become a request: GET with a body, HEAD with a body.
#[tokio::test]
async fn bodies_of_gets_are_framed_too() {
    let gateway = TestGateway::spawn().await;
    let customer = gateway.enrol("hanakodt");
    let length = SMUGGLED.len().to_string();
    for method in ["GET", "DELETE", "HEAD", "OPTIONS"] {
        let mut connection = customer.connect().await;
        let headers = [("Content-Length", length.as_str())];
        let answer: Answer = connection.request(method, "/ib/menu.do", &headers, SMUGGLED.as_bytes()).await;
        assert!(matches!(answer.status, 200 | 400 | 405), "{method}: {}", answer.status);
    }
    assert!(gateway.backend.seen().iter().all(|seen| seen.target != "/smuggled"));
    gateway.backend.assert_clean();
}

/// h2 to HTTP/1.1: what has no meaning there must not get one.
#[tokio::test]
async fn http2_fields_cannot_break_out_of_their_lines() {
    let gateway = TestGateway::spawn().await;
    let customer = gateway.enrol("hanakodt");
    let fields: [(&str, &[u8], &[u8]); 13] = [
        ("CRLF in a value", b"x-a", b"a\r\nx-login-id: victim01"),
        ("LF in a value", b"x-a", b"a\nx-login-id: victim01"),
        ("CR in a value", b"x-a", b"a\rb"),
        ("NUL in a value", b"x-a", b"a\0b"),
        ("CRLF in a name", b"x-a: b\r\nx-login-id", b"victim01"),
        ("a colon in a name", b"x-login-id:", b"victim01"),
        ("a blank in a name", b"x-login-id ", b"victim01"),
        ("an upper-case name", b"X-Login-Id", b"victim01"),
        ("an empty name", b"", b"a"),
        ("transfer-encoding", b"transfer-encoding", b"chunked"),
        ("connection", b"connection", b"x-login-id"),
        ("a second path", b":path", b"/smuggled"),
        ("an unknown pseudo-header", b":login-id", b"victim01"),
    ];
    for (what, name, value) in fields {
        let mut frames = Frames::open(customer.connect_frames().await).await;
        frames.request(1, "GET", &[(name, value)], true).await.unwrap();
        let outcome = frames.outcome(1).await;
        let answered = outcome.as_ref().filter(|frame| frame.kind == HEADERS).and_then(Frame::status);
        assert_ne!(answered, Some(200), "{what}");
    }
    gateway.assert_backend_untouched();
}

#[tokio::test]
async fn http2_lengths_must_match_the_data() {
    let gateway = TestGateway::spawn().await;
    let customer = gateway.enrol("hanakodt");
    for (length, data) in [("0", SMUGGLED), ("3", SMUGGLED), ("500", "short"), ("+5", "hello"), ("5, 5", "hello")] {
        let mut frames = Frames::open(customer.connect_frames().await).await;
        frames.request(1, "POST", &[(b"content-length", length.as_bytes())], false).await.unwrap();
        let _ = frames.send(&Frame::new(DATA, END_STREAM, 1, data.as_bytes())).await;
        let outcome = frames.outcome(1).await;
        let answered = outcome.as_ref().filter(|frame| frame.kind == HEADERS).and_then(Frame::status);
        assert_ne!(answered, Some(200), "content-length {length}");
    }
    gateway.assert_served(&customer).await;
    assert_eq!(gateway.backend.count(), 1);
    gateway.backend.assert_clean();
}

/// The body is read, and the name of its coding is lost on the way: the application would take gzip for a form.
#[tokio::test]
async fn codings_that_would_be_lost_on_the_way_are_bad_framing() {
    let gateway = TestGateway::spawn().await;
    for (what, fields) in [
        ("gzip, then chunked", "Transfer-Encoding: gzip, chunked\r\n"),
        ("chunked twice in one line", "Transfer-Encoding: chunked, chunked\r\n"),
        ("chunked twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
        ("gzip, then chunked, in two lines", "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"),
        ("an empty one before", "Transfer-Encoding: , chunked\r\n"),
    ] {
        let mut connection = gateway.enrol("hanakodt").connect().await;
        let fields = format!("{fields}Accept: application/json\r\n");
        let message = post(&fields, &format!("5\r\nhello\r\n0\r\n\r\n{SMUGGLED}"));
        connection.send_raw(&message).await.unwrap();
        let answer = connection.read("POST").await.unwrap();
        assert_eq!((answer.status, answer.json()["code"].as_str()), (400, Some("bad_framing")), "{what}");
        connection.expect_end().await;
    }
    gateway.assert_backend_untouched();
}

#[tokio::test]
async fn a_length_is_written_anew() {
    let gateway = TestGateway::spawn().await;
    let mut connection = gateway.enrol("hanakodt").connect().await;
    for (length, body, arrives) in [("05", "hello", "5"), ("0000000010", "0123456789", "10"), ("00", "", "0")] {
        connection.send_raw(&post(&format!("Content-Length: {length}\r\n"), body)).await.unwrap();
        assert_eq!(connection.read("POST").await.unwrap().status, 200, "{length}");
        let seen = gateway.backend.last();
        assert_eq!((seen.header("Content-Length").as_deref(), seen.body), (Some(arrives), body.into()), "{length}");
    }
    gateway.backend.assert_clean();
}

#[tokio::test]
async fn http2_lengths_stand_once() {
    let gateway = TestGateway::spawn().await;
    let customer = gateway.enrol("hanakodt");
    for lengths in [[b"5", b"5"], [b"5", b"6"]] {
        let mut frames = Frames::open(customer.connect_frames().await).await;
        let fields = lengths.map(|length| (&b"content-length"[..], &length[..]));
        frames.request(1, "POST", &fields, false).await.unwrap();
        let _ = frames.send(&Frame::new(DATA, END_STREAM, 1, b"hello")).await;
        let outcome = frames.outcome(1).await;
        let answered = outcome.as_ref().filter(|frame| frame.kind == HEADERS);
        assert!(answered.is_none_or(|head| head.status() == Some(400)), "{lengths:?}: {outcome:?}");
    }
    gateway.assert_backend_untouched();
    gateway.assert_served(&customer).await;
}

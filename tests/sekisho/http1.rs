//! The manners of HTTP/1.1 between customer and gateway: who may keep a connection, and how one ends.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{Answer, Reply, TestGateway, within};

const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);

#[tokio::test]
async fn an_old_client_may_keep_its_connection() {
    let gateway = TestGateway::spawn().await;
    let mut connection = gateway.enrol("hanakodt").connect().await;
    for _ in 0..2 {
        connection.send_raw(b"GET / HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n").await.unwrap();
        let answer = connection.read("GET").await.unwrap();
        assert_eq!((answer.status, answer.header("Connection").as_deref()), (200, Some("keep-alive")));
    }
    connection.send_raw(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n").await.unwrap();
    assert_eq!(connection.read("GET").await.unwrap().header("Connection").as_deref(), Some("close"));
    connection.expect_end().await;
}

#[tokio::test]
async fn who_says_close_is_answered_and_left() {
    let gateway = TestGateway::spawn().await;
    let mut connection = gateway.enrol("hanakodt").connect().await;
    connection.send_raw(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Close\r\n\r\n").await.unwrap();
    assert_eq!(connection.read("GET").await.unwrap().header("Connection").as_deref(), Some("close"));
    connection.expect_end().await;
}

/// Closing a socket with unread bytes makes the kernel reset the connection, and the answer is lost with it.
#[tokio::test]
async fn a_client_that_still_sends_can_read_why_it_was_refused() {
    let gateway = TestGateway::spawn().await;
    for (what, head, status) in [
        ("another host", "POST / HTTP/1.1\r\nHost: elsewhere.example\r\nContent-Length: 1000000\r\n\r\n", 421),
        ("another method", "TRACE / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n", 405),
        ("two lengths", "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\nContent-Length: 9\r\n\r\n", 400),
        ("no HTTP", "POST / HTTP/3.7\r\n\r\n", 400),
    ] {
        let mut connection = gateway.enrol("hanakodt").connect().await;
        connection.send_raw(&[head.as_bytes(), &[b'x'; 40_000]].concat()).await.unwrap();
        let answer = within(PATIENCE, "the refusal", Answer::read(&mut connection.stream, "POST")).await.unwrap();
        assert_eq!((answer.status, answer.header("Connection").as_deref()), (status, Some("close")), "{what}");
        let mut rest = Vec::new();
        let ended = within(PATIENCE, "the end", connection.stream.read_to_end(&mut rest)).await;
        assert_eq!((ended.ok(), rest.len()), (Some(0), 0), "{what}: the end is said, it is no reset");
    }
    gateway.assert_backend_untouched();
}

/// A body that was sent whole is passed over, and the connection goes on.
#[tokio::test]
async fn a_refused_request_that_came_whole_does_not_cost_the_connection() {
    let gateway = TestGateway::spawn().await;
    let mut connection = gateway.enrol("hanakodt").connect().await;
    for framing in ["Content-Length: 5\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"] {
        let request = format!("POST / HTTP/1.1\r\nHost: elsewhere.example\r\n{framing}");
        connection.send_raw(request.as_bytes()).await.unwrap();
        assert_eq!(connection.read("POST").await.unwrap().status, 421);
        gateway.assert_served_on(&mut connection).await;
    }
    assert!(gateway.backend.seen().iter().all(|seen| seen.method == "GET"));
}

#[tokio::test]
async fn a_body_is_asked_for_only_when_the_application_is_there_for_it() {
    let gateway = TestGateway::spawn().await;
    let mut connection = gateway.enrol("hanakodt").connect().await;
    let expecting = "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n";
    connection.send_raw(format!("POST / HTTP/1.1\r\nHost: localhost\r\n{expecting}").as_bytes()).await.unwrap();
    assert_eq!(Answer::read_head(&mut connection.stream).await.unwrap().status, 100);
    connection.send_raw(b"hello").await.unwrap();
    assert_eq!(connection.read("POST").await.unwrap().status, 200);
    assert_eq!(gateway.backend.last().body, b"hello");

    // Refused at once: the client never sends its body, and the connection cannot tell what comes next.
    connection.send_raw(format!("POST / HTTP/1.1\r\nHost: elsewhere.example\r\n{expecting}").as_bytes()).await.unwrap();
    let answer = connection.read("POST").await.unwrap();
    assert_eq!((answer.status, answer.header("Connection").as_deref()), (421, Some("close")));
    connection.expect_end().await;
}

/// The answer to one request must not wait for the next, nor be given to it.
#[tokio::test]
async fn requests_sent_ahead_are_answered_in_their_order() {
    let gateway = TestGateway::spawn().await;
    let mut connection = gateway.enrol("hanakodt").connect().await;
    for number in 0..20 {
        gateway.backend.next(Reply::page(&format!("page {number}")));
    }
    let ahead: String = (0..20).map(|number| format!("GET /{number} HTTP/1.1\r\nHost: localhost\r\n\r\n")).collect();
    for piece in ahead.as_bytes().chunks(37) {
        connection.stream.write_all(piece).await.unwrap();
        connection.stream.flush().await.unwrap();
    }
    for number in 0..20 {
        assert_eq!(connection.read("GET").await.unwrap().text(), format!("page {number}"));
    }
    let targets: Vec<_> = gateway.backend.seen().into_iter().map(|seen| seen.target).collect();
    assert_eq!(targets, (0..20).map(|number| format!("/{number}")).collect::<Vec<_>>());
}

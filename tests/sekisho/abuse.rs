//! Clients that are slow, or many: RTL-06, TLS-11, A60.

use std::io::ErrorKind;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{Connection, PATIENCE, Reply, TestGateway, within};

async fn impatient(limit: &str) -> TestGateway {
    TestGateway::builder().layer(format!("[limits]\n{limit} = \"400ms\"")).spawn().await
}

/// Sends one byte every now and then until the connection ends, and says how often it could.
async fn dribble(connection: &mut Connection, bytes: impl Iterator<Item = u8>) -> usize {
    let mut tick = tokio::time::interval(Duration::from_millis(150));
    let mut sent = 0;
    for byte in bytes {
        tick.tick().await;
        if connection.send_raw(&[byte]).await.is_err() || has_ended(connection).await {
            return sent;
        }
        sent += 1;
    }
    panic!("{sent} bytes were dribbled and nobody minded");
}

async fn has_ended(connection: &mut Connection) -> bool {
    let mut byte = [0; 4096];
    match tokio::time::timeout(Duration::from_millis(1), connection.stream.read(&mut byte)).await {
        Ok(read) => matches!(read, Ok(0) | Err(_)),
        Err(_) => false,
    }
}

#[tokio::test]
async fn a_slow_head_ends_the_connection() {
    let gateway = impatient("header-timeout").await;
    let mut connection = gateway.enrol("hanakodt").connect().await;
    connection.send_raw(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ").await.unwrap();
    let sent = dribble(&mut connection, std::iter::repeat_n(b'x', 100)).await;
    assert!(sent < 30, "{sent} bytes before the end");
    gateway.assert_backend_untouched();
}

/// Empty lines before a request mean nothing, and go on for ever.
#[tokio::test]
async fn empty_lines_do_not_keep_a_connection_open() {
    let gateway = impatient("header-timeout").await;
    let mut connection = gateway.enrol("hanakodt").connect().await;
    gateway.assert_served_on(&mut connection).await;
    let sent = dribble(&mut connection, b"\r\n".iter().copied().cycle().take(100)).await;
    assert!(sent < 30, "{sent} bytes before the end");
    assert_eq!(gateway.backend.count(), 1);
}

#[tokio::test]
async fn a_stalled_body_ends_the_connection_and_never_becomes_a_request() {
    let gateway = impatient("body-timeout").await;
    for framing in ["Content-Length: 100", "Transfer-Encoding: chunked"] {
        let mut connection = gateway.enrol("hanakodt").connect().await;
        let head = format!("POST / HTTP/1.1\r\nHost: localhost\r\n{framing}\r\n\r\n");
        connection.send_raw(head.as_bytes()).await.unwrap();
        let rest = String::from_utf8_lossy(&connection.rest().await).into_owned();
        assert!(rest.is_empty() || rest.starts_with("HTTP/1.1 408"), "{framing}: {rest}");
    }
    let open = || async { gateway.backend.open_connections() };
    crate::support::eventually("the forwards broken off", open, |open| *open == 0).await;
    gateway.assert_backend_untouched();
}

#[tokio::test]
async fn an_idle_connection_ends_in_silence() {
    let gateway = impatient("idle-timeout").await;
    let mut connection = gateway.enrol("hanakodt").connect().await;
    gateway.assert_served_on(&mut connection).await;
    connection.expect_end().await;
    let mut unused = gateway.enrol("hanakodt").connect().await;
    unused.rest().await;
    let streams = gateway.enrol("hanakodt").connect_http2().await;
    streams.expect_end().await;
    assert_eq!(gateway.backend.count(), 1);
}

#[tokio::test]
async fn an_answer_left_unread_ends_the_connection_and_the_applications_work() {
    let gateway = impatient("write-timeout").await;
    gateway.backend.next(Reply::Endless(1 << 30));
    let mut connection = gateway.enrol("hanakodt").connect().await;
    connection.send_raw(b"GET /big HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let open = || async { gateway.backend.open_connections() };
    gateway.backend.wait_for(1).await;
    crate::support::eventually("the unread answer's connection", open, |open| *open == 0).await;
    assert!(gateway.backend.sent() < 1 << 30);
}

/// Handshakes that stay unfinished cost a place, not the service.
#[tokio::test]
async fn a_flood_of_unfinished_handshakes_passes() {
    let layer = "[limits]\nmax-handshakes = 8\nhandshake-timeout = \"500ms\"";
    let gateway = TestGateway::builder().layer(layer).spawn().await;
    let mut stalled = Vec::new();
    for _ in 0..100 {
        let mut stream = TcpStream::connect(gateway.address()).await.unwrap();
        let _ = stream.write_all(&[0x16, 3, 1]).await;
        stalled.push(stream);
    }
    gateway.assert_served(&gateway.enrol("hanakodt")).await;
    for stream in &mut stalled {
        let read = within(PATIENCE, "the end of a stalled handshake", stream.read(&mut [0; 64])).await;
        assert!(read.is_ok() || read.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset));
    }
    gateway.assert_served(&gateway.enrol("hanakodt")).await;
}

#[tokio::test]
async fn one_address_has_only_so_many_connections() {
    let gateway = TestGateway::builder().layer("[limits]\nmax-connections-per-address = 3").spawn().await;
    let customer = gateway.enrol("hanakodt");
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut connection = customer.connect().await;
        gateway.assert_served_on(&mut connection).await;
        held.push(connection);
    }
    customer.expect_refusal().await;
    for connection in &mut held {
        gateway.assert_served_on(connection).await;
    }
    drop(held);
    let served = || async { customer.try_get("/ib/menu.do").await.is_ok() };
    crate::support::eventually("room again", served, |served| *served).await;
}

#[tokio::test]
async fn the_gateway_has_only_so_many_connections() {
    let gateway = TestGateway::builder().layer("[limits]\nmax-connections = 3").spawn().await;
    let customer = gateway.enrol("hanakodt");
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut connection = customer.connect().await;
        gateway.assert_served_on(&mut connection).await;
        held.push(connection);
    }
    let mut waiting = TcpStream::connect(gateway.address()).await.unwrap();
    drop(held.pop());
    // Whether a fourth waits in the queue or is turned away, there is room again for a customer afterwards.
    let _ = waiting.shutdown().await;
    drop(waiting);
    let served = || async { customer.try_get("/ib/menu.do").await.is_ok() };
    crate::support::eventually("room again", served, |served| *served).await;
}

#[tokio::test]
async fn heads_have_a_size_and_a_count() {
    let gateway = TestGateway::spawn().await;
    let long = "x".repeat(20 << 10);
    let many: String = (0..120).map(|number| format!("X-{number}: 1\r\n")).collect();
    let table = [
        ("a long field", format!("GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: {long}\r\n\r\n"), &[431][..]),
        ("many fields", format!("GET / HTTP/1.1\r\nHost: localhost\r\n{many}\r\n"), &[431]),
        ("a long target", format!("GET /{long} HTTP/1.1\r\nHost: localhost\r\n\r\n"), &[414, 431]),
    ];
    for (what, head, expected) in table {
        let mut connection = gateway.enrol("hanakodt").connect().await;
        let _ = connection.send_raw(head.as_bytes()).await;
        let answer = connection.read("GET").await.unwrap();
        assert!(expected.contains(&answer.status), "{what}: {}", answer.status);
        connection.expect_end().await;
    }
    gateway.assert_backend_untouched();
    let fits: Vec<(String, String)> = (0..80).map(|number| (format!("X-{number}"), "x".repeat(100))).collect();
    let fits: Vec<(&str, &str)> = fits.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let mut connection = gateway.enrol("hanakodt").connect().await;
    assert_eq!(connection.request("GET", "/", &fits, b"").await.status, 200);
}

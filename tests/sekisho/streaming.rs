//! Bodies flow; they are not collected (HTP-04). Back-pressure is what keeps a gigabyte out of the memory.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::support::frames::{DATA, Frame, Frames, RST_STREAM};
use crate::support::{Answer, Reply, TestGateway, settled, within};

/// HTTP/2's reasons for a reset.
const NO_ERROR: u32 = 0;
const CANCEL: u32 = 8;

const GIGABYTE: u64 = 1 << 30;
/// The system's socket buffers on four ends (up to 6 MiB each), and what the gateway may hold.
const IN_FLIGHT: u64 = 24 << 20;
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(120);

#[tokio::test]
async fn a_download_that_nobody_reads_stops_at_its_source() {
    let gateway = TestGateway::spawn().await;
    gateway.backend.next(Reply::Endless(GIGABYTE));
    let mut connection = gateway.enrol("hanakodt").connect().await;
    connection.send_raw(b"GET /big HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let head = Answer::read_head(&mut connection.stream).await.unwrap();
    assert_eq!(head.header("Content-Length"), Some(GIGABYTE.to_string()));
    let sent = settled(|| gateway.backend.sent()).await;
    assert!(sent < IN_FLIGHT, "{sent} bytes are on their way to a client that reads none");

    gateway.assert_served(&gateway.enrol("tarokodt")).await;
    drop(connection);
    let closed = || async { gateway.backend.open_connections() };
    crate::support::eventually("the abandoned download's connection", closed, |open| *open <= 1).await;
}

#[tokio::test]
async fn an_upload_that_the_application_does_not_read_stops_at_the_client() {
    let gateway = TestGateway::spawn().await;
    gateway.backend.next(Reply::Stall);
    let mut connection = gateway.enrol("hanakodt").connect().await;
    let head = format!("POST /big HTTP/1.1\r\nHost: localhost\r\nContent-Length: {GIGABYTE}\r\n\r\n");
    connection.send_raw(head.as_bytes()).await.unwrap();
    let piece = vec![b'x'; 64 << 10];
    let mut written = 0;
    let quiet = std::time::Duration::from_millis(800);
    while let Ok(sent) = tokio::time::timeout(quiet, connection.stream.write_all(&piece)).await {
        sent.unwrap();
        written += piece.len() as u64;
        assert!(written < IN_FLIGHT, "{written} bytes are on their way to an application that reads none");
    }
    assert_eq!(gateway.backend.received(), 0);
}

#[tokio::test]
async fn a_long_download_arrives_whole() {
    let gateway = TestGateway::spawn().await;
    let length: u64 = 96 << 20;
    gateway.backend.next(Reply::Endless(length));
    let mut connection = gateway.enrol("hanakodt").connect().await;
    connection.send_raw(b"GET /big HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    Answer::read_head(&mut connection.stream).await.unwrap();
    let mut buffer = vec![0; 64 << 10];
    let mut left = length;
    while left > 0 {
        let read = within(PATIENCE, "more of the download", connection.stream.read(&mut buffer)).await.unwrap();
        assert!(read > 0 && buffer[..read].iter().all(|byte| *byte == b'x'));
        left -= read as u64;
    }
    gateway.assert_served_on(&mut connection).await;
}

#[tokio::test]
async fn a_long_upload_arrives_whole_and_the_connections_live_on() {
    let gateway = TestGateway::spawn().await;
    let length: u64 = 96 << 20;
    for chunked in [false, true] {
        gateway.backend.next(Reply::Sink);
        let mut connection = gateway.enrol("hanakodt").connect().await;
        let framing = if chunked { "Transfer-Encoding: chunked".into() } else { format!("Content-Length: {length}") };
        let head = format!("POST /big HTTP/1.1\r\nHost: localhost\r\n{framing}\r\n\r\n");
        connection.send_raw(head.as_bytes()).await.unwrap();
        let piece = vec![b'y'; 1 << 20];
        for _ in 0..length >> 20 {
            if chunked {
                connection.stream.write_all(b"100000\r\n").await.unwrap();
            }
            within(PATIENCE, "room for more", connection.stream.write_all(&piece)).await.unwrap();
            if chunked {
                connection.stream.write_all(b"\r\n").await.unwrap();
            }
        }
        connection.send_raw(if chunked { b"0\r\n\r\n" } else { b"" }).await.unwrap();
        let answer = within(PATIENCE, "the answer", Answer::read(&mut connection.stream, "POST")).await.unwrap();
        assert_eq!(answer.text(), "sunk");
        assert_eq!(gateway.backend.last().body_length, length);
        gateway.assert_served_on(&mut connection).await;
    }
    gateway.backend.assert_clean();
}

/// Chunks come through as they are sent, not when the body is complete.
#[tokio::test]
async fn the_first_half_arrives_before_the_second_is_sent() {
    let gateway = TestGateway::spawn().await;
    let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let first = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst".to_vec();
    gateway.backend.next(Reply::Halves(first, gate.clone(), b"later".to_vec()));
    let mut connection = gateway.enrol("hanakodt").connect().await;
    connection.send_raw(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    Answer::read_head(&mut connection.stream).await.unwrap();
    let mut half = [0; 5];
    within(PATIENCE, "the first half", connection.stream.read_exact(&mut half)).await.unwrap();
    assert_eq!(&half, b"first");
    gate.add_permits(1);
    within(PATIENCE, "the second half", connection.stream.read_exact(&mut half)).await.unwrap();
    assert_eq!(&half, b"later");
}

/// A client that hangs up in the middle of its body has sent no request.
#[tokio::test]
async fn a_body_cut_short_is_not_completed_for_the_application() {
    let gateway = TestGateway::spawn().await;
    for framing in ["Content-Length: 100", "Transfer-Encoding: chunked"] {
        let mut connection = gateway.enrol("hanakodt").connect().await;
        let piece = if framing.starts_with('C') { "amount=1" } else { "8\r\namount=1\r\n" };
        let head = format!("POST /ib/transfer/commit.do HTTP/1.1\r\nHost: localhost\r\n{framing}\r\n\r\n{piece}");
        connection.send_raw(head.as_bytes()).await.unwrap();
        drop(connection);
    }
    let open = || async { (gateway.backend.connections(), gateway.backend.open_connections()) };
    crate::support::eventually("both forwards broken off", open, |now| now.0 == 0 || now.1 == 0).await;
    gateway.assert_backend_untouched();
}

/// Half a transfer must not be executed because its sender changed their mind politely. hyper takes NO_ERROR for an end;
/// what comes in one piece with it is read first.
#[tokio::test]
async fn an_http2_upload_that_is_given_up_is_never_complete() {
    let gateway = TestGateway::spawn().await;
    let mut connections = 0;
    for length in [None, Some(&b"100"[..])] {
        for (code, last) in [(NO_ERROR, &b"&to=2"[..]), (CANCEL, b"&to=2"), (NO_ERROR, b""), (CANCEL, b"")] {
            let mut frames = Frames::open(gateway.enrol("hanakodt").connect_frames().await).await;
            let fields: Vec<_> = length.map(|length| (&b"content-length"[..], length)).into_iter().collect();
            let before = gateway.backend.received();
            frames.request(1, "POST", &fields, false).await.unwrap();
            frames.send(&Frame::new(DATA, 0, 1, b"amount=1")).await.unwrap();
            connections += 1;
            let begun = || async { (gateway.backend.connections(), gateway.backend.received() - before) };
            crate::support::eventually("the upload begins", begun, |now| *now == (connections, 8)).await;

            let reset = Frame::new(RST_STREAM, 0, 1, &code.to_be_bytes());
            let data = Some(Frame::new(DATA, 0, 1, last)).filter(|_| !last.is_empty());
            frames.send_together(&data.into_iter().chain([reset]).collect::<Vec<_>>()).await.unwrap();

            let open = || async { gateway.backend.open_connections() };
            crate::support::eventually("the upload is broken off", open, |open| *open == 0).await;
            assert_eq!(gateway.backend.count(), 0, "{code} after {last:?}, length {length:?}");
        }
    }
    gateway.assert_backend_untouched();
    gateway.assert_served(&gateway.enrol("tarokodt")).await;
}

/// The same where the application has begun to answer: then nobody waits for the answer's head any more.
#[tokio::test]
async fn an_upload_that_is_given_up_during_its_answer_is_never_complete() {
    let application = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = format!("http://{}", application.local_addr().unwrap());
    let gateway = TestGateway::builder().upstream(upstream).spawn().await;
    for code in [NO_ERROR, CANCEL] {
        let mut frames = Frames::open(gateway.enrol("hanakodt").connect_frames().await).await;
        frames.request(1, "POST", &[], false).await.unwrap();
        frames.send(&Frame::new(DATA, 0, 1, b"amount=1")).await.unwrap();
        let (mut stream, _) = application.accept().await.unwrap();
        let mut read = Vec::new();
        while !read.ends_with(b"amount=1\r\n") {
            assert!(within(PATIENCE, "the upload", stream.read_buf(&mut read)).await.unwrap() > 0);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf").await.unwrap();
        assert_eq!(frames.outcome(1).await.unwrap().status(), Some(200));

        let reset = Frame::new(RST_STREAM, 0, 1, &code.to_be_bytes());
        frames.send_together(&[Frame::new(DATA, 0, 1, b"&to=2"), reset]).await.unwrap();

        read.clear();
        let _ = within(PATIENCE, "the end of the upload", stream.read_to_end(&mut read)).await;
        assert!(!read.ends_with(b"0\r\n\r\n"), "{code}: {:?}", String::from_utf8_lossy(&read));
    }
}

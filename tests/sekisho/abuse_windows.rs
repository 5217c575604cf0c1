//! HTTP/2 answers that the client asks for and does not take, and those that only look like it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, Interval, interval};

use crate::support::frames::{DATA, END_STREAM, Frame, Frames, GOAWAY, HEADERS, RST_STREAM, SETTINGS, WINDOW_UPDATE};
use crate::support::{Reply, TestGateway};

const WRITE_TIMEOUT: Duration = Duration::from_millis(500);
/// By then the sweep has seen it, on a busy machine too.
const AT_THE_LATEST: Duration = Duration::from_secs(4);

async fn gateway() -> TestGateway {
    TestGateway::builder().layer("[limits]\nwrite-timeout = \"500ms\"").spawn().await
}

fn tick() -> Interval {
    interval(Duration::from_millis(100))
}

/// A connection whose streams begin with a window of this size.
async fn frames(gateway: &TestGateway, window: u32) -> Frames {
    let mut frames = Frames::open(gateway.enrol("hanakodt").connect_frames().await).await;
    let setting = [&4_u16.to_be_bytes()[..], &window.to_be_bytes()].concat();
    frames.send(&Frame::new(SETTINGS, 0, 0, &setting)).await.unwrap();
    frames
}

/// Opens the windows of a stream and of the connection.
async fn open_window(frames: &mut Frames, stream: u32, bytes: u32) -> std::io::Result<()> {
    let update = |stream| Frame::new(WINDOW_UPDATE, 0, stream, &bytes.to_be_bytes());
    frames.send_together(&[update(stream), update(0)]).await
}

/// Reads this stream to its end; `None` where the connection ends first, or the stream in another way.
async fn whole(frames: &mut Frames, stream: u32) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let frame = frames.next().await?;
        match frame.kind {
            GOAWAY => return None,
            RST_STREAM if frame.stream == stream => return None,
            DATA | HEADERS if frame.stream == stream => {
                body.extend(if frame.kind == DATA { &frame.payload[..] } else { b"" });
                if frame.flags & END_STREAM != 0 {
                    return Some(body);
                }
            }
            _ => {}
        }
    }
}

/// One whole request and answer.
async fn exchange(frames: &mut Frames, stream: u32) -> Option<Vec<u8>> {
    frames.request(stream, "GET", &[], true).await.ok()?;
    open_window(frames, stream, 10_000).await.ok()?;
    whole(frames, stream).await
}

/// Lets one byte of a small answer out and never another. The rest lies in a buffer, where hyper takes it for delivered;
/// and other streams keep the connection from being idle.
#[tokio::test]
async fn a_small_answer_that_no_window_takes_ends_the_connection() {
    let gateway = gateway().await;
    let mut bystander = gateway.enrol("tarokodt").connect_http2().await;
    let mut frames = frames(&gateway, 1).await;
    frames.request(1, "GET", &[], true).await.unwrap();
    gateway.backend.wait_for(1).await;
    let (began, mut tick) = (Instant::now(), tick());
    for stream in (3..).step_by(2) {
        tick.tick().await;
        if exchange(&mut frames, stream).await.is_none() {
            break;
        }
        assert!(began.elapsed() < AT_THE_LATEST, "{} requests and nobody minded", gateway.backend.count());
        assert_eq!(bystander.get("/ib/menu.do").await.status, 200);
    }
    assert!(began.elapsed() >= WRITE_TIMEOUT / 2, "{:?}", began.elapsed());
    assert_eq!(bystander.get("/ib/menu.do").await.status, 200);
    gateway.backend.assert_clean();
}

/// The same behind a download that is taken all the while.
#[tokio::test]
async fn a_download_does_not_hide_an_answer_that_no_window_takes() {
    let gateway = gateway().await;
    let mut frames = frames(&gateway, 1).await;
    gateway.backend.next(Reply::Endless(1 << 40));
    frames.request(1, "GET", &[], true).await.unwrap();
    gateway.backend.wait_for(1).await;
    frames.request(3, "GET", &[], true).await.unwrap();
    let (began, mut taken, mut unanswered) = (Instant::now(), 0_u64, 0);
    open_window(&mut frames, 1, 4 << 20).await.unwrap();
    while let Some(frame) = frames.next().await {
        if (frame.kind, frame.stream) != (DATA, 1) {
            continue;
        }
        taken += frame.payload.len() as u64;
        unanswered += frame.payload.len() as u32;
        let renewed = if unanswered > 1 << 20 { std::mem::take(&mut unanswered) } else { 0 };
        if renewed > 0 && open_window(&mut frames, 1, renewed).await.is_err() {
            break;
        }
        assert!(began.elapsed() < AT_THE_LATEST, "{taken} bytes and nobody minded");
    }
    assert!(began.elapsed() >= WRITE_TIMEOUT / 2, "{:?}", began.elapsed());
}

/// The application takes longer than a client may, and then everything comes at once.
#[tokio::test]
async fn a_slow_application_does_not_cost_its_client_the_connection() {
    const STREAMS: usize = 10;
    let gateway = gateway().await;
    let gate = Arc::new(Semaphore::new(0));
    let mut frames = frames(&gateway, 1 << 16).await;
    let slow = (1..).step_by(2).take(STREAMS);
    for _ in slow.clone() {
        let first = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst".to_vec();
        gateway.backend.next(Reply::Halves(first, Arc::clone(&gate), b"later".to_vec()));
    }
    for stream in slow.clone() {
        frames.request(stream, "GET", &[], true).await.unwrap();
    }
    gateway.backend.wait_for(STREAMS).await;
    let (began, mut tick) = (Instant::now(), tick());
    let mut others = (101..).step_by(2);
    while began.elapsed() < 4 * WRITE_TIMEOUT {
        tick.tick().await;
        exchange(&mut frames, others.next().unwrap()).await.expect("the connection lives on");
    }
    gate.add_permits(STREAMS);
    let mut ended = 0;
    while ended < STREAMS {
        let frame = frames.next().await.expect("the connection lives on");
        if frame.kind == DATA && frame.stream < 100 {
            assert!(frame.payload.is_empty() || frame.payload == b"later", "{frame:?}");
            ended += usize::from(frame.flags & END_STREAM != 0);
        }
    }
    exchange(&mut frames, others.next().unwrap()).await.expect("the connection lives on");
    gateway.backend.assert_clean();
}

/// Every way in which a stream can come to its end leaves nothing behind that would be held against the client.
#[tokio::test]
async fn streams_that_ended_otherwise_are_not_waited_for() {
    let gateway = gateway().await;
    let mut frames = frames(&gateway, 1 << 16).await;
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n";
    let trailers = [&chunked[..], b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"].concat();
    let broken = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst".to_vec();
    let large_head = [("X-Large", "x".repeat(30_000))];
    let large_head: Vec<(&str, &str)> = large_head.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let table = [
        ("HEAD", Reply::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n".to_vec())),
        ("GET", Reply::Bytes(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec())),
        ("GET", Reply::Bytes(trailers)),
        ("GET", Reply::ThenClose(broken.clone())),
        ("GET", Reply::of("200 OK", &large_head, b"a head in several frames")),
        ("GET", Reply::of("200 OK", &[], b"")),
    ];
    let mut streams = (1..).step_by(2);
    for (method, reply) in table {
        gateway.backend.next(reply);
        let stream = streams.next().unwrap();
        frames.request(stream, method, &[], true).await.unwrap();
        let _ = whole(&mut frames, stream).await;
    }
    // Given up by the client in mid-answer.
    let stream = streams.next().unwrap();
    gateway.backend.next(Reply::Halves(broken, Arc::new(Semaphore::new(0)), Vec::new()));
    frames.request(stream, "GET", &[], true).await.unwrap();
    assert_eq!(frames.outcome(stream).await.unwrap().status(), Some(200));
    frames.send(&Frame::new(RST_STREAM, 0, stream, &8_u32.to_be_bytes())).await.unwrap();
    let (began, mut tick) = (Instant::now(), tick());
    while began.elapsed() < 4 * WRITE_TIMEOUT {
        tick.tick().await;
        exchange(&mut frames, streams.next().unwrap()).await.expect("the connection lives on");
    }
    gateway.backend.assert_clean();
}

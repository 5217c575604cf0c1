//! HTTP/2 has ways of its own to be slow and loud: A60.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::support::frames::{
    CONTINUATION, DATA, END_HEADERS, Frame, Frames, GOAWAY, HEADERS, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE,
    header_block,
};
use crate::support::{PATIENCE, Reply, TestGateway, eventually, within};

async fn frames(gateway: &TestGateway) -> Frames {
    Frames::open(gateway.enrol("hanakodt").connect_frames().await).await
}

/// Sends the frame every now and then until the connection ends, and says how often it could.
async fn repeat(frames: &mut Frames, frame: &Frame) -> usize {
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    for sent in 0..100 {
        tick.tick().await;
        if frames.send(frame).await.is_err() {
            return sent;
        }
        let ended = async { while frames.next().await.is_some() {} };
        if tokio::time::timeout(Duration::from_millis(50), ended).await.is_ok() {
            return sent;
        }
    }
    panic!("sent a hundred times and nobody minded");
}

/// CVE-2023-44487: streams are opened and reset faster than they can be answered.
#[tokio::test]
async fn a_rapid_reset_ends_the_connection() {
    let gateway = TestGateway::builder().layer("[limits]\nmax-streams = 10").spawn().await;
    let mut frames = Frames::open(gateway.enrol("hanakodt").connect_frames().await).await;
    let mut resets = 0;
    for number in 0..5_000_u32 {
        let stream = 2 * number + 1;
        let reset = Frame::new(RST_STREAM, 0, stream, &8_u32.to_be_bytes());
        if frames.request(stream, "GET", &[], true).await.is_err() || frames.send(&reset).await.is_err() {
            break;
        }
        resets += 1;
    }
    let ended = within(PATIENCE, "the end", async {
        while let Some(frame) = frames.next().await {
            if frame.kind == GOAWAY {
                return true;
            }
        }
        true
    });
    assert!(ended.await);
    assert!(gateway.backend.count() < 2_000, "{resets} resets, {} requests", gateway.backend.count());
    gateway.backend.assert_clean();
    gateway.assert_served(&gateway.enrol("tarokodt")).await;
}

/// Opens so many streams, lets the application begin on all of them and resets them; whether the connection lives on.
async fn abandon(
    gateway: &TestGateway,
    frames: &mut Frames,
    streams: std::ops::Range<u32>,
    held: &Arc<Semaphore>,
) -> bool {
    let expected = gateway.backend.count() + streams.len();
    for stream in streams.clone() {
        gateway.backend.next(Reply::Held(Arc::clone(held), Reply::bytes_of("200 OK", &[], b"late")));
        if frames.request(2 * stream + 1, "GET", &[], true).await.is_err() {
            return false;
        }
    }
    let begun = eventually("the application begins", async || gateway.backend.count(), |count| *count >= expected);
    let ended = async { while frames.next().await.is_some() {} };
    tokio::select! {
        _ = begun => {}
        () = ended => return false,
    }
    for stream in streams {
        let reset = Frame::new(RST_STREAM, 0, 2 * stream + 1, &8_u32.to_be_bytes());
        if frames.send(&reset).await.is_err() {
            return false;
        }
    }
    true
}

/// The slower kin of the rapid reset: each stream is given up when it has cost the application a connection.
#[tokio::test]
async fn abandoned_requests_end_the_connection() {
    let gateway = TestGateway::builder().layer("[limits]\nmax-resets = 20").spawn().await;
    let held = Arc::new(Semaphore::new(0));
    let mut frames = frames(&gateway).await;
    let mut round = 0;
    while abandon(&gateway, &mut frames, round * 10..round * 10 + 10, &held).await {
        round += 1;
        assert!(round < 20, "{} requests were given up and nobody minded", gateway.backend.count());
    }
    let count = gateway.backend.count();
    assert!((20..=100).contains(&count), "{count} requests reached the application");
    held.add_permits(1_000);
    gateway.assert_served(&gateway.enrol("tarokodt")).await;
}

/// A browser that leaves a page gives up what it had asked for, page after page.
#[tokio::test]
async fn who_gives_up_a_few_requests_now_and_then_is_not_harmed() {
    let gateway = TestGateway::builder().layer("[limits]\nmax-resets = 20").spawn().await;
    let held = Arc::new(Semaphore::new(0));
    let mut frames = frames(&gateway).await;
    let mut page = tokio::time::interval(Duration::from_millis(1_500));
    for round in 0..3 {
        page.tick().await;
        assert!(abandon(&gateway, &mut frames, round * 20..round * 20 + 12, &held).await);
        let last = 2 * (round * 20 + 12) + 1;
        frames.request(last, "GET", &[], true).await.unwrap();
        assert_eq!(frames.outcome(last).await.unwrap().status(), Some(200), "page {round}");
    }
    assert_eq!(gateway.backend.count(), 3 * 13);
    held.add_permits(1_000);
    gateway.backend.assert_clean();
}

#[tokio::test]
async fn more_streams_than_agreed_are_refused_not_queued() {
    let gateway = TestGateway::builder().layer("[limits]\nmax-streams = 5").spawn().await;
    for _ in 0..5 {
        gateway.backend.next(Reply::Silence);
    }
    let mut frames = Frames::open(gateway.enrol("hanakodt").connect_frames().await).await;
    for number in 0..5 {
        frames.request(2 * number + 1, "GET", &[], true).await.unwrap();
    }
    gateway.backend.wait_for(5).await;
    frames.request(11, "GET", &[], true).await.unwrap();
    let outcome = frames.outcome(11).await;
    assert!(outcome.is_none_or(|frame| matches!(frame.kind, RST_STREAM | GOAWAY)));
    assert_eq!(gateway.backend.count(), 5);
}

#[tokio::test]
async fn http2_heads_have_a_size_too() {
    let gateway = TestGateway::spawn().await;
    let long = "x".repeat(40 << 10);
    let mut connection = gateway.enrol("hanakodt").connect_http2().await;
    let answer = connection.try_request("GET", "/", &[("x-long", &long)], b"").await;
    assert!(answer.is_err() || answer.is_ok_and(|answer| answer.status == 431));
    gateway.assert_backend_untouched();
    gateway.assert_served(&gateway.enrol("tarokodt")).await;
}

#[tokio::test]
async fn http2_heads_have_a_count_too() {
    let gateway = TestGateway::builder().layer("[limits]\nmax-header-count = 20").spawn().await;
    let names: Vec<String> = (0..25).map(|number| format!("x-field-{number}")).collect();
    let fields: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "a")).collect();
    let mut connection = gateway.enrol("hanakodt").connect_http2().await;
    let answer = connection.try_request("GET", "/", &fields, b"").await.unwrap();
    assert_eq!(answer.status, 431);
    gateway.assert_backend_untouched();
    gateway.assert_served(&gateway.enrol("tarokodt")).await;
}

#[tokio::test]
async fn pings_do_not_keep_a_connection_open() {
    let gateway = TestGateway::builder().layer("[limits]\nidle-timeout = \"400ms\"").spawn().await;
    let sent = repeat(&mut frames(&gateway).await, &Frame::new(PING, 0, 0, &[7; 8])).await;
    assert!(sent < 30, "{sent} pings before the end");
}

/// What a flood looks like and is none: sixty-five thousand frames, and all of them carry something.
#[tokio::test]
async fn a_big_upload_in_small_frames_is_no_flood() {
    const LENGTH: u64 = 64 << 20;
    let gateway = TestGateway::spawn().await;
    gateway.backend.next(Reply::Sink);
    let stream = hyper_util::rt::TokioIo::new(gateway.enrol("hanakodt").connect_frames().await);
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(hyper_util::rt::TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::post("https://localhost/ib/upload.do").body(Crumbs(LENGTH)).unwrap();
    let answer = within(6 * PATIENCE, "the answer", sender.send_request(request)).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!((gateway.backend.last().body_length, gateway.backend.count()), (LENGTH, 1));
    let request = http::Request::post("https://localhost/ib/upload.do").body(Crumbs(0)).unwrap();
    assert_eq!(sender.send_request(request).await.unwrap().status(), 200, "the connection lives on");
    gateway.backend.assert_clean();
}

/// So many bytes, a kilobyte in each frame.
struct Crumbs(u64);

impl http_body::Body for Crumbs {
    type Data = bytes::Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, Self::Error>>> {
        static CRUMB: [u8; 1 << 10] = [b'z'; 1 << 10];
        let size = self.0.min(CRUMB.len() as u64);
        self.0 -= size;
        let crumb = || Ok(http_body::Frame::data(bytes::Bytes::from_static(&CRUMB[..size as usize])));
        std::task::Poll::Ready((size > 0).then(crumb))
    }
}

/// A head whose end never comes: slowly, and as a flood (CVE-2024-27983).
#[tokio::test]
async fn a_head_without_an_end_ends_the_connection() {
    let gateway = TestGateway::builder().layer("[limits]\nidle-timeout = \"400ms\"").spawn().await;
    let piece = header_block(&[(b"x-a", &[b'x'; 100])]);
    let start = Frame::new(HEADERS, 0, 1, &piece);
    let more = Frame::new(CONTINUATION, 0, 1, &piece);
    let mut slow = frames(&gateway).await;
    slow.send(&start).await.unwrap();
    assert!(repeat(&mut slow, &more).await < 30);

    let patient = TestGateway::spawn().await;
    let mut flood = frames(&patient).await;
    flood.send(&start).await.unwrap();
    let mut sent = 0;
    while sent < 100_000 && flood.send(&more).await.is_ok() {
        sent += 1;
    }
    assert!(sent < 100_000, "ten megabytes of head");
    patient.assert_backend_untouched();
    gateway.assert_backend_untouched();
}

#[tokio::test]
async fn a_stalled_body_ends_its_stream() {
    let gateway = TestGateway::builder().layer("[limits]\nbody-timeout = \"400ms\"").spawn().await;
    let mut frames = frames(&gateway).await;
    frames.request(1, "POST", &[(b"content-length", b"100")], false).await.unwrap();
    frames.send(&Frame::new(DATA, 0, 1, b"amount=1")).await.unwrap();
    assert!(frames.outcome(1).await.is_none_or(|frame| frame.status() != Some(200)));
    let open = || async { gateway.backend.open_connections() };
    crate::support::eventually("the forward broken off", open, |open| *open == 0).await;
    gateway.assert_backend_untouched();
}

/// A window that is never opened: the answer waits, the client does not read.
#[tokio::test]
async fn an_answer_that_no_window_takes_ends_the_connection() {
    let gateway = TestGateway::builder().layer("[limits]\nwrite-timeout = \"400ms\"").spawn().await;
    gateway.backend.next(Reply::Endless(1 << 30));
    let mut frames = frames(&gateway).await;
    let no_window = [&4_u16.to_be_bytes()[..], &0_u32.to_be_bytes()].concat();
    frames.send(&Frame::new(SETTINGS, 0, 0, &no_window)).await.unwrap();
    frames.request(1, "GET", &[], true).await.unwrap();
    gateway.backend.wait_for(1).await;
    within(PATIENCE, "the end", async { while frames.next().await.is_some() {} }).await;
    let open = || async { gateway.backend.open_connections() };
    crate::support::eventually("the application's end of it", open, |open| *open == 0).await;
}

/// Small answers, each of which fits into a buffer; but nobody reads, and there are more of them than buffers.
#[tokio::test]
async fn answers_that_fill_every_buffer_end_the_connection() {
    let gateway = TestGateway::builder().layer("[limits]\nwrite-timeout = \"400ms\"").spawn().await;
    let page = Reply::of("200 OK", &[], &[b'x'; 120 << 10]);
    let mut frames = frames(&gateway).await;
    let window = 1_u32 << 30;
    let wide = [&4_u16.to_be_bytes()[..], &window.to_be_bytes()].concat();
    frames.send(&Frame::new(SETTINGS, 0, 0, &wide)).await.unwrap();
    frames.send(&Frame::new(WINDOW_UPDATE, 0, 0, &window.to_be_bytes())).await.unwrap();
    for stream in (1..200).step_by(2) {
        gateway.backend.next(page.clone());
        frames.request(stream, "GET", &[], true).await.unwrap();
    }
    gateway.backend.wait_for(100).await;
    gateway.operator.wait_until_at_most("sekisho_connections", &[], 0.0).await;
    gateway.assert_served(&gateway.enrol("tarokodt")).await;
}

/// A client that loses interest has not lost its money's track: its stream ends, the connection does not.
#[tokio::test]
async fn a_single_reset_ends_one_stream() {
    let gateway = TestGateway::spawn().await;
    gateway.backend.next(Reply::Silence);
    let mut frames = frames(&gateway).await;
    frames.request(1, "GET", &[], true).await.unwrap();
    gateway.backend.wait_for(1).await;
    frames.send(&Frame::new(RST_STREAM, 0, 1, &8_u32.to_be_bytes())).await.unwrap();
    frames.request(3, "GET", &[], true).await.unwrap();
    let outcome = frames.outcome(3).await.unwrap();
    assert_eq!((outcome.flags & END_HEADERS, outcome.status()), (END_HEADERS, Some(200)));
    gateway.backend.assert_clean();
}

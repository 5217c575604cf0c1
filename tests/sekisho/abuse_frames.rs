//! HTTP/2 frames that cost more than they say: floods, and what only looks like one.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::support::frames::{DATA, END_STREAM, Frame, Frames, PADDED, PING, PRIORITY, SETTINGS, WINDOW_UPDATE};
use crate::support::{Reply, TestGateway};

/// `limits.max-control-frames` as it is shipped.
const CONTROL_FRAMES: usize = 1_000;
/// Well above it, with all that a slow machine gives time to forgive; far below what used to pass.
const FAR_TOO_MANY: usize = 4_000;

async fn frames(gateway: &TestGateway) -> Frames {
    Frames::open(gateway.enrol("hanakodt").connect_frames().await).await
}

fn ping() -> Frame {
    Frame::new(PING, 0, 0, &[7; 8])
}

/// Every frame that asks for work and brings nothing: CVE-2019-9512, CVE-2019-9515, CVE-2019-9518.
#[tokio::test]
async fn floods_of_control_frames_end_the_connection() {
    const PRIORITY_UPDATE: u8 = 16;
    const UNKNOWN: u8 = 0xfa;
    let gateway = TestGateway::spawn().await;
    let mut bystander = gateway.enrol("tarokodt").connect_http2().await;
    assert_eq!(bystander.get("/ib/menu.do").await.status, 200);
    for (what, frame) in [
        ("pings", ping()),
        ("answers to pings", Frame::new(PING, 1, 0, &[7; 8])),
        ("settings", Frame::new(SETTINGS, 0, 0, b"")),
        ("priorities", Frame::new(PRIORITY, 0, 1, &[0, 0, 0, 0, 16])),
        ("priority updates", Frame::new(PRIORITY_UPDATE, 0, 0, b"\0\0\0\x01u=1")),
        ("frames of no known type", Frame::new(UNKNOWN, 0, 0, b"grease")),
        ("empty data", Frame::new(DATA, 0, 1, b"")),
        ("data that is all padding", Frame::new(DATA, PADDED, 1, &[3, 0, 0, 0])),
    ] {
        gateway.backend.next(Reply::Silence);
        let mut frames = frames(&gateway).await;
        frames.request(1, "POST", &[], false).await.unwrap();
        let mut taken = 0;
        while taken < FAR_TOO_MANY && frames.press(&frame, 99).await {
            taken += 100;
        }
        // h2 has a bound of its own for data without content, and a lower one.
        let fewest = if frame.kind == DATA { 0 } else { CONTROL_FRAMES - 200 };
        assert!((fewest..FAR_TOO_MANY).contains(&taken), "{taken} frames of {what}");
        assert_eq!(bystander.get("/ib/menu.do").await.status, 200, "beside a flood of {what}");
    }
    gateway.backend.assert_clean();
}

/// A flood that hides behind requests, each of which the application answers.
#[tokio::test]
async fn requests_do_not_excuse_a_flood() {
    let gateway = TestGateway::spawn().await;
    let mut frames = frames(&gateway).await;
    let mut taken = 0;
    for stream in (1..).step_by(2) {
        if !frames.press(&ping(), 99).await || frames.request(stream, "GET", &[], true).await.is_err() {
            break;
        }
        let Some(answer) = frames.outcome(stream).await else { break };
        assert_eq!(answer.status(), Some(200));
        taken += 100;
        assert!(taken < FAR_TOO_MANY, "{taken} pings among {} requests", gateway.backend.count());
    }
    assert!(taken >= CONTROL_FRAMES - 200, "{taken} pings");
    gateway.assert_served(&gateway.enrol("tarokodt")).await;
}

/// More pings than are allowed at once, but no faster than they are forgiven.
#[tokio::test]
async fn a_client_that_looks_after_its_connection_is_not_harmed() {
    let gateway = TestGateway::builder().layer("[limits]\nmax-control-frames = 100").spawn().await;
    let mut frames = frames(&gateway).await;
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    for round in 0..35 {
        tick.tick().await;
        assert!(frames.press(&ping(), 3).await, "after {} pings", 4 * round);
    }
    frames.request(1, "GET", &[], true).await.unwrap();
    assert_eq!(frames.outcome(1).await.unwrap().status(), Some(200));
    gateway.backend.assert_clean();
}

/// Frames that belong to every transfer, and no transfer: the connection's window, opened byte by byte.
#[tokio::test]
async fn bytes_that_lead_nowhere_end_the_connection() {
    let window = Frame::new(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes());
    let gateway = TestGateway::spawn().await;
    let mut frames = frames(&gateway).await;
    let (lot, mut sent) = (2_000, 0);
    while frames.press(&window, lot).await {
        sent += lot * window.encode().len();
        assert!(sent < 4 << 20, "{sent} bytes and nobody minded");
    }
    assert!(sent > 3 << 20, "{sent} bytes");
    gateway.assert_backend_untouched();
    gateway.assert_served(&gateway.enrol("tarokodt")).await;
}

/// All that fits into the windows, in the smallest pieces, while the application is busy with somebody else.
#[tokio::test]
async fn uploads_that_wait_for_the_application_are_no_flood() {
    const PIECE: usize = 512;
    const BODY: usize = 60 << 10;
    let layer = "[upstream]\nmax-connections = 1\nconnect-timeout = \"20s\"";
    let gateway = TestGateway::builder().layer(layer).spawn().await;
    let held = Arc::new(Semaphore::new(0));
    gateway.backend.next(Reply::Held(Arc::clone(&held), Reply::bytes_of("200 OK", &[], b"late")));
    let mut frames = frames(&gateway).await;
    frames.request(1, "GET", &[], true).await.unwrap();
    gateway.backend.wait_for(1).await;
    let uploads = (3..).step_by(2).take(17);
    for stream in uploads.clone() {
        frames.request(stream, "POST", &[], false).await.unwrap();
        for _ in 0..BODY / PIECE {
            frames.send(&Frame::new(DATA, 0, stream, &[b'z'; PIECE])).await.unwrap();
        }
    }
    assert!(frames.press(&ping(), 1).await, "all of it has been read");
    held.add_permits(1);
    assert_eq!(frames.outcome(1).await.unwrap().status(), Some(200));
    for stream in uploads {
        frames.send(&Frame::new(DATA, END_STREAM, stream, b"z")).await.unwrap();
        assert_eq!(frames.outcome(stream).await.unwrap().status(), Some(200), "{stream}");
        assert_eq!(gateway.backend.last().body_length, BODY as u64 + 1);
    }
    gateway.backend.assert_clean();
}

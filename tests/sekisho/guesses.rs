//! Who guesses is slowed down; who merely logs in is not (RTL-03).

use crate::support::{Reply, TestGateway};

const LIMIT: &str = r#"
    [[rate-limit]]
    name = "guesses"
    key = "login-id"
    counts = "failures"
    rate = "1/h"
    burst = 3
    routes = ["login"]

    [[route]]
    name = "login"
    method = "POST"
    path = "/ib/login.do"
    class = "login"
    charset = "windows-31j"
    success = { status = 302, location = "/ib/menu.do" }
    failure = { status = 200, contains = "<p>BLGI900</p>" }
"#;

fn wrong() -> Reply {
    Reply::Bytes(Reply::bytes_of("200 OK", &[], b"<html><p>BLGI900</p></html>"))
}

fn right() -> Reply {
    Reply::Bytes(Reply::bytes_of("302 Found", &[("Location", "/ib/menu.do")], b""))
}

#[tokio::test]
async fn failures_are_counted_and_successes_are_not() {
    let gateway = TestGateway::builder().layer(LIMIT).spawn().await;
    let (guesser, other) = (gateway.enrol("hanakodt"), gateway.enrol("tarokodt"));
    let mut connection = guesser.connect().await;
    for reply in [right(), wrong(), right(), wrong(), right(), right(), wrong()] {
        gateway.backend.next(reply);
        let answer = connection.submit("/ib/login.do", "loginId=hanakodt&password=guess").await;
        assert_ne!(answer.status, 429);
    }
    let heard = gateway.backend.count();

    let refused = connection.submit("/ib/login.do", "loginId=hanakodt&password=guess").await;
    assert_eq!(refused.status, 429);
    assert!(refused.header("retry-after").is_some_and(|seconds| seconds.parse::<u32>().unwrap() > 1000), "{refused:?}");
    assert_eq!(gateway.backend.count(), heard, "the application hears no more guesses");
    assert_eq!(connection.get("/ib/menu.do").await.status, 200, "other pages go on");

    gateway.backend.next(right());
    assert_eq!(other.connect().await.submit("/ib/login.do", "loginId=tarokodt&password=known").await.status, 302);
    let limited = gateway.operator.metric("sekisho_rate_limited_total", &[("limit", "guesses")]).await;
    assert!((limited - 1.0).abs() < f64::EPSILON);
}

/// Hanging up before the answer would make every guess free.
#[tokio::test]
async fn who_hangs_up_is_counted() {
    let gateway = TestGateway::builder().layer(LIMIT).spawn().await;
    let guesser = gateway.enrol("hanakodt");
    for number in 1..=3 {
        gateway.backend.next(Reply::Silence);
        let mut connection = guesser.connect().await;
        let form = "loginId=hanakodt&password=guess";
        let request = format!(
            "POST /ib/login.do HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\n\r\n{form}",
            form.len()
        );
        connection.send_raw(request.as_bytes()).await.unwrap();
        gateway.backend.wait_for(number).await;
    }
    let answer = guesser.connect().await.submit("/ib/login.do", "loginId=hanakodt&password=guess").await;
    assert_eq!(answer.status, 429);
    assert_eq!(gateway.backend.count(), 3);
}

/// A62: whoever guesses a victim's password on the password listener is slowed down, and the victim is not.
#[tokio::test]
async fn who_guesses_for_a_victim_locks_out_only_the_own_address() {
    let entrance = r#"
        [[listener]]
        name = "password"
        address = "127.0.0.2:0"
        server-names = ["password.example"]
        certificate = "certs/server.pem"
        private-key = "certs/server.key"
        authentication = "password"
        proxy-protocol-from = ["127.0.0.0/8"]
    "#;
    let gateway = TestGateway::builder().layer(LIMIT).layer(entrance).spawn().await;
    let from = |last: u8| {
        let addresses = [[203, 0, 113, last], [192, 0, 2, 1]].concat();
        let header = [b"\r\n\r\n\0\r\nQUIT\n", &[0x21, 0x11, 0, 12][..], &addresses, &[0x9c, 0x40, 1, 187]].concat();
        gateway.stranger().at(gateway.address_of("password")).visiting("password.example").with_preamble(&header)
    };
    let form = "loginId=victim01&password=guess";
    let mut guessing = from(7).connect().await;
    for _ in 0..3 {
        gateway.backend.next(wrong());
        assert_eq!(guessing.submit("/ib/login.do", form).await.status, 200);
    }
    let heard = gateway.backend.count();
    assert_eq!(guessing.submit("/ib/login.do", form).await.status, 429);
    // Another ID from there neither.
    assert_eq!(from(7).connect().await.submit("/ib/login.do", "loginId=victim02&password=guess").await.status, 429);
    assert_eq!(gateway.backend.count(), heard);
    gateway.backend.next(right());
    let victim = from(8).connect().await.submit("/ib/login.do", "loginId=victim01&password=right").await;
    assert_eq!(victim.status, 302, "who knows the password comes in");
}

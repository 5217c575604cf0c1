//! When the application is away, slow, dead or mad: HTP-02, TLS-14.

use crate::support::pki::{Authority, Identity};
use crate::support::{Backend, KeyKind, Reply, TestGateway};

const PROBLEM: [(&str, &str); 1] = [("Accept", "application/json")];

async fn code(gateway: &TestGateway, method: &str) -> (u16, String) {
    let mut connection = gateway.enrol("hanakodt").connect().await;
    let answer = connection.request(method, "/ib/menu.do", &PROBLEM, b"").await;
    let code = serde_json::from_slice::<serde_json::Value>(&answer.body).ok();
    (answer.status, code.and_then(|problem| problem["code"].as_str().map(str::to_owned)).unwrap_or_default())
}

#[tokio::test]
async fn an_absent_application_is_a_bad_gateway() {
    let absent = Backend::absent().await;
    let gateway = TestGateway::builder().upstream(format!("http://{absent}")).spawn().await;
    for method in ["GET", "POST"] {
        assert_eq!(code(&gateway, method).await.0, 502);
    }
    let page = gateway.enrol("hanakodt").get("/ib/menu.do").await;
    assert_eq!(page.status, 502);
    assert!(page.text().contains("lang=\"ja\"") && page.header("X-Request-Id").is_some());
    assert!(gateway.operator.metric("sekisho_refusals_total", &[]).await >= 3.0);
}

#[tokio::test]
async fn a_slow_application_is_a_gateway_timeout() {
    let gateway = TestGateway::builder().layer("[upstream]\nresponse-timeout = \"300ms\"").spawn().await;
    for method in ["GET", "POST"] {
        gateway.backend.next(Reply::Silence);
        assert_eq!(code(&gateway, method).await.0, 504, "{method}");
    }
    assert_eq!(gateway.backend.count(), 2, "asked once each");
    let open = || async { gateway.backend.open_connections() };
    crate::support::eventually("the silent connections", open, |open| *open == 0).await;
    gateway.assert_served(&gateway.enrol("hanakodt")).await;
}

#[tokio::test]
async fn broken_answers_are_a_bad_gateway_and_their_connections_are_discarded() {
    let gateway = TestGateway::spawn().await;
    let broken: [(&str, &[u8]); 11] = [
        ("nothing", b""),
        ("half a head", b"HTTP/1.1 200 OK\r\nContent-Le"),
        ("no HTTP", b"\x16\x03\x01\r\n\r\n"),
        ("another version", b"HTTP/3.0 200 OK\r\n\r\n"),
        ("a bad status", b"HTTP/1.1 20 OK\r\n\r\n"),
        ("a bad length", b"HTTP/1.1 200 OK\r\nContent-Length: 5x\r\n\r\nhello"),
        ("a signed length", b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello"),
        ("two lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"),
        ("a blank before the colon", b"HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\nhello"),
        ("a NUL in a value", b"HTTP/1.1 200 OK\r\nX-A: a\0b\r\nContent-Length: 5\r\n\r\nhello"),
        ("no name", b"HTTP/1.1 200 OK\r\n: b\r\n\r\n"),
    ];
    for (number, (what, bytes)) in broken.into_iter().enumerate() {
        gateway.backend.next(Reply::ThenClose(bytes.to_vec()));
        let (status, code) = code(&gateway, "POST").await;
        assert_eq!(status, 502, "{what}: {code}");
        assert_eq!(gateway.backend.count(), 2 * number + 1, "{what}: asked once");
        gateway.assert_served(&gateway.enrol("tarokodt")).await;
    }
}

/// Passed on, each of these would be one body for us and another for the customer's browser; the connection stays open
/// behind them, so that nothing but their framing is wrong.
#[tokio::test]
async fn answers_with_two_readings_reach_nobody() {
    let gateway = TestGateway::spawn().await;
    let (sized, chunked) = ("Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n");
    let heads = [
        ("a length, then chunks", format!("200 OK\r\n{sized}{chunked}"), "5\r\nhello\r\n0\r\n\r\n"),
        ("chunks, then a length", format!("200 OK\r\n{chunked}{sized}"), "5\r\nhello\r\n0\r\n\r\n"),
        (
            "a length that fits the chunks",
            format!("200 OK\r\n{chunked}Content-Length: 15\r\n"),
            "5\r\nhello\r\n0\r\n\r\n",
        ),
        ("a list of equal lengths", "200 OK\r\nContent-Length: 5, 5\r\n".into(), "hello"),
        ("equal lengths", format!("200 OK\r\n{sized}{sized}"), "hello"),
        ("chunked twice", format!("200 OK\r\n{chunked}{chunked}"), "5\r\nhello\r\n0\r\n\r\n"),
        ("gzip, then chunked", "200 OK\r\nTransfer-Encoding: gzip, chunked\r\n".into(), "5\r\nhello\r\n0\r\n\r\n"),
        ("gzip", "200 OK\r\nTransfer-Encoding: gzip\r\n".into(), "hello"),
        ("a status of no class", format!("600 Odd\r\n{sized}"), "hello"),
        ("the last of all statuses", format!("999 Odd\r\n{sized}"), "hello"),
    ];
    for (what, head, body) in &heads {
        let bytes = format!("HTTP/1.1 {head}\r\n{body}").into_bytes();
        for version in ["HTTP/1.1", "HTTP/2"] {
            let customer = gateway.enrol("hanakodt");
            let before = gateway.backend.count();
            gateway.backend.next(Reply::Bytes(bytes.clone()));
            let answer = match version {
                "HTTP/2" => customer.connect_http2().await.request("GET", "/ib/menu.do", &PROBLEM, b"").await,
                _ => customer.connect().await.request("GET", "/ib/menu.do", &PROBLEM, b"").await,
            };
            assert_eq!((answer.status, answer.json()["code"].as_str()), (502, Some("upstream_broken")), "{what}");
            assert!(!answer.text().contains("hello"), "{what} over {version}: {}", answer.text());
            let open = || async { gateway.backend.open_connections() };
            crate::support::eventually("the connection with two readings", open, |open| *open == 0).await;
            assert_eq!(gateway.backend.count(), before + 1, "{what} over {version}: asked once");
        }
    }
    gateway.assert_served(&gateway.enrol("tarokodt")).await;
}

#[tokio::test]
async fn a_head_beyond_the_limit_is_a_bad_gateway() {
    let gateway = TestGateway::spawn().await;
    let huge = "x".repeat(2 << 20);
    gateway.backend.next(Reply::of("200 OK", &[("X-Huge", &huge)], b""));
    assert_eq!(code(&gateway, "GET").await.0, 502);
    gateway.assert_served(&gateway.enrol("tarokodt")).await;
}

/// An answer that breaks off must not look complete to anybody.
#[tokio::test]
async fn an_application_that_dies_in_its_answer_takes_the_clients_connection_along() {
    let gateway = TestGateway::spawn().await;
    let halves: [(&str, &[u8]); 4] = [
        ("by length", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"),
        ("by chunks", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"),
        ("in a chunk", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nhalf"),
        ("by bad chunks", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n"),
    ];
    for (what, bytes) in halves {
        let customer = gateway.enrol("hanakodt");
        gateway.backend.next(Reply::ThenClose(bytes.to_vec()));
        let mut connection = customer.connect().await;
        let answer = connection.try_get("/ib/menu.do").await;
        assert!(answer.is_err(), "{what}: {answer:?}");
        gateway.backend.next(Reply::ThenClose(bytes.to_vec()));
        let streamed = customer.connect_http2().await.try_request("GET", "/ib/menu.do", &[], b"").await;
        assert!(streamed.is_err(), "{what}: {streamed:?}");
        gateway.assert_served(&gateway.enrol("tarokodt")).await;
    }
}

/// What the application writes behind an answer belongs to nobody, least of all to the next customer.
#[tokio::test]
async fn bytes_behind_an_answer_never_become_the_next_customers_answer() {
    let gateway = TestGateway::spawn().await;
    let planted = Reply::bytes_of("200 OK", &[], b"planted");
    gateway.backend.next(Reply::Bytes([Reply::bytes_of("200 OK", &[], b"first"), planted.clone()].concat()));
    assert_eq!(gateway.enrol("hanakodt").get("/").await.text(), "first");
    for number in 0..3 {
        let answer = gateway.enrol(&format!("tarokod{number}")).get("/").await;
        assert_ne!(answer.text(), "planted");
    }
    let head = b"HTTP/1.1 304 Not Modified\r\nContent-Length: 300\r\n\r\n";
    gateway.backend.next(Reply::Bytes([&head[..], &planted].concat()));
    gateway.enrol("hanakodt").get("/").await;
    assert_ne!(gateway.enrol("tarokodt").get("/").await.text(), "planted");
}

/// The application answers before it has read the body: the rest must not be taken for a request.
#[tokio::test]
async fn an_early_answer_ends_the_connection_to_the_application() {
    let gateway = TestGateway::spawn().await;
    let early = Reply::bytes_of("413 Content Too Large", &[], b"too much");
    gateway.backend.next(Reply::Early(early));
    let mut connection = gateway.enrol("hanakodt").connect().await;
    let smuggled = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(2000);
    let head =
        format!("POST /ib/upload.do HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", smuggled.len() + 9);
    connection.send_raw(&[head.as_bytes(), &smuggled].concat()).await.unwrap();
    if let Ok(answer) = connection.read("POST").await {
        assert!(matches!(answer.status, 413 | 502), "{}", answer.status);
    }
    gateway.assert_served(&gateway.enrol("tarokodt")).await;
    assert!(gateway.backend.seen().iter().all(|seen| seen.target != "/smuggled"));
    assert_eq!((gateway.backend.connections(), gateway.backend.last().connection), (2, 1), "a fresh connection");
    gateway.backend.assert_clean();
}

/// The same where the application keeps the connection: what is left of the body would be the next customer's request.
#[tokio::test]
async fn half_a_request_is_never_followed_by_another_on_the_same_connection() {
    let gateway = TestGateway::spawn().await;
    gateway.backend.next(Reply::EarlyAndOpen(Reply::bytes_of("200 OK", &[], b"enough")));
    let mut connection = gateway.enrol("hanakodt").connect().await;
    connection.send_raw(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n").await.unwrap();
    assert_eq!(connection.read("POST").await.unwrap().text(), "enough");
    for number in 0..3 {
        gateway.assert_served(&gateway.enrol(&format!("tarokod{number}"))).await;
        assert_eq!(gateway.backend.last().connection, 1, "a fresh connection");
    }
    let smuggled = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let _ = connection.send_raw(&smuggled.repeat(3)).await;
    gateway.assert_served(&gateway.enrol("tarokodt")).await;
    assert!(gateway.backend.seen().iter().all(|seen| seen.target != "/smuggled"));
    gateway.backend.assert_clean();
}

/// The application has read the transfer and closes: whether it was executed, nobody knows. It is never sent twice.
#[tokio::test]
async fn a_post_is_never_sent_twice() {
    let gateway = TestGateway::spawn().await;
    let mut connection = gateway.enrol("hanakodt").connect().await;
    gateway.assert_served_on(&mut connection).await;
    gateway.backend.next(Reply::ThenClose(Vec::new()));
    let answer = connection.submit("/ib/transfer/commit.do", "amount=1000").await;
    assert_eq!(answer.status, 502);
    let posts = gateway.backend.seen().iter().filter(|seen| seen.method == "POST").count();
    assert_eq!((posts, gateway.backend.count()), (1, 2));
    assert_eq!(gateway.backend.connections(), 1, "not even tried");
}

/// A GET that the application has read is not repeated either: it may have been slow, or killed it.
#[tokio::test]
async fn a_get_that_was_read_is_not_repeated() {
    let gateway = TestGateway::spawn().await;
    let mut connection = gateway.enrol("hanakodt").connect().await;
    gateway.assert_served_on(&mut connection).await;
    gateway.backend.next(Reply::ThenClose(b"HTTP/1.1 2".to_vec()));
    assert_eq!(connection.get("/ib/menu.do").await.status, 502);
    assert_eq!(gateway.backend.count(), 2);
}

/// The application closed an idle connection; the next request simply takes a new one.
#[tokio::test]
async fn a_connection_that_the_application_closed_is_not_used_again() {
    let gateway = TestGateway::spawn().await;
    let mut connection = gateway.enrol("hanakodt").connect().await;
    for round in 1..=3 {
        gateway.backend.next(Reply::ThenClose(Reply::bytes_of("200 OK", &[], b"bye")));
        assert_eq!(connection.get("/").await.text(), "bye");
        let open = || async { gateway.backend.open_connections() };
        crate::support::eventually("the closed connection", open, |open| *open == 0).await;
        // Its FIN reaches the gateway after that: the metric would tell, the answer does.
        crate::support::settled(|| gateway.backend.connections()).await;
        let answer = connection.post("/", b"a=1").await;
        assert_eq!(answer.status, 200, "round {round}");
    }
}

/// The application has only so many places; who finds none is told so, soon.
#[tokio::test]
async fn a_full_application_is_unavailable() {
    let layer = "[upstream]\nmax-connections = 1\nconnect-timeout = \"300ms\"";
    let gateway = TestGateway::builder().layer(layer).spawn().await;
    let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    gateway.backend.next(Reply::Held(gate.clone(), Reply::bytes_of("200 OK", &[], b"held")));
    let customer = gateway.enrol("tarokodt");
    let first = tokio::spawn(async move { customer.get("/").await.text() });
    gateway.backend.wait_for(1).await;
    assert_eq!(code(&gateway, "POST").await.0, 503);
    assert_eq!((gateway.backend.count(), gateway.backend.connections()), (1, 1));
    gate.add_permits(1);
    assert_eq!(first.await.unwrap(), "held");
    gateway.assert_served(&gateway.enrol("hanakodt")).await;
}

#[tokio::test]
async fn a_server_that_refuses_is_passed_over() {
    let (absent, second) = (Backend::absent().await, Backend::start().await);
    let servers = format!("http://{absent}\", \"http://{}", second.address());
    let gateway = TestGateway::builder().upstream(servers).spawn().await;
    let mut connection = gateway.enrol("hanakodt").connect().await;
    for method in ["GET", "POST", "GET", "POST"] {
        assert_eq!(connection.request(method, "/", &[], b"").await.status, 200, "{method}");
    }
    assert_eq!(second.count(), 4);
}

#[tokio::test]
async fn two_servers_share_the_work() {
    let (first, second) = (Backend::start().await, Backend::start().await);
    let servers = format!("http://{}\", \"http://{}", first.address(), second.address());
    let gateway = TestGateway::builder().upstream(servers).spawn().await;
    let mut connection = gateway.enrol("hanakodt").connect().await;
    for _ in 0..8 {
        assert_eq!(connection.get("/").await.status, 200);
    }
    assert_eq!((first.count(), second.count()), (4, 4));
}

fn tls_of(identity: &Identity) -> rustls::ServerConfig {
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(identity.key.private().into());
    config.with_no_client_auth().with_single_cert(vec![identity.certificate.clone().into()], key).unwrap()
}

#[tokio::test]
async fn an_application_behind_tls_must_show_the_pinned_certificate() {
    let pinned = Authority::root("Inside CA", KeyKind::P256);
    let another = Authority::root("Another Inside CA", KeyKind::P256);
    for (authority, name, status) in
        [(&pinned, "localhost", 200), (&another, "localhost", 502), (&pinned, "wrong", 502)]
    {
        let identity = if name == "localhost" {
            authority.server(&[])
        } else {
            let alternative = crate::support::der::tlv(0x82, b"app.example");
            let names = crate::support::der::sequence(&[alternative]);
            let request = authority.certificate().usages(&[crate::support::pki::SERVER_AUTH]);
            request.extension(crate::support::der::extension("2.5.29.17", false, &names)).issue()
        };
        let application = Backend::start_with_tls(tls_of(&identity)).await;
        let builder = TestGateway::builder().upstream(format!("https://localhost:{}", application.address().port()));
        let builder = builder.file("certs/inside.pem", pinned.pem());
        let gateway = builder.layer("[upstream.tls]\nca = [\"certs/inside.pem\"]").spawn().await;
        assert_eq!(gateway.enrol("hanakodt").get("/ib/menu.do").await.status, status, "{name}");
        assert_eq!(application.count(), usize::from(status == 200), "{name}");
        application.assert_clean();
    }
}

#[tokio::test]
async fn an_application_that_should_speak_tls_and_does_not_gets_no_plain_text() {
    let pinned = Authority::root("Inside CA", KeyKind::P256);
    let plain = Backend::start().await;
    let builder = TestGateway::builder().upstream(format!("https://localhost:{}", plain.address().port()));
    let builder = builder.file("certs/inside.pem", pinned.pem());
    let gateway = builder.layer("[upstream.tls]\nca = [\"certs/inside.pem\"]").spawn().await;
    assert_eq!(gateway.enrol("hanakodt").get("/ib/menu.do").await.status, 502);
    assert_eq!(plain.count(), 0);
}

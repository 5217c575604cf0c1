//! What goes to the application and comes back when all is well: HTP-03, HTP-05, HTP-06, HTP-08.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::support::{Reply, TestGateway};

#[tokio::test]
async fn requests_arrive_as_they_were_meant() {
    let gateway = TestGateway::builder().unbound().spawn().await;
    let customer = gateway.enrol("hanakodt");
    let body: &[u8] = b"payee=\x83\x5c\x83\x89&amount=1000";
    let headers =
        [("Content-Type", "application/x-www-form-urlencoded; charset=Windows-31J"), ("Cookie", "JSESSIONID=1")];
    let length = body.len().to_string();
    let with_length = [&headers[..], &[("Content-Length", length.as_str())]].concat();
    let target = "/ib/transfer.do;x=1?q=%8E%86&r=a+b&&s";
    customer.connect().await.request("POST", target, &with_length, body).await;
    customer.connect_http2().await.request("POST", target, &headers, body).await;
    for seen in gateway.backend.seen() {
        assert_eq!((seen.method.as_str(), seen.target.as_str()), ("POST", target));
        assert_eq!(seen.body, body);
        assert_eq!(seen.header("Content-Type").as_deref(), Some(headers[0].1));
        assert_eq!(seen.header("Cookie").as_deref(), Some("JSESSIONID=1"));
        assert_eq!(seen.header("Host").as_deref(), Some("localhost"));
    }
    assert_eq!(gateway.backend.count(), 2);
    gateway.backend.assert_clean();
}

#[tokio::test]
async fn the_applications_bytes_are_not_touched() {
    let gateway = TestGateway::spawn().await;
    let customer = gateway.enrol("hanakodt");
    let page: Vec<u8> =
        b"<html><title>\x83\x7d\x83\x43\x83\x79\x81\x5b\x83\x57</title>\x81\x40\\\xff\0</html>".to_vec();
    let headers = [("Content-Type", "text/html; charset=Shift_JIS"), ("Cache-Control", "no-store"), ("X-Raw", "a  b")];
    for _ in 0..2 {
        gateway.backend.next(Reply::of("200 OK", &headers, &page));
    }
    for answer in [customer.get("/ib/menu.do").await, customer.connect_http2().await.get("/ib/menu.do").await] {
        assert_eq!(answer.body, page);
        for (name, value) in headers {
            assert_eq!(answer.header(name).as_deref(), Some(value));
        }
    }
}

#[tokio::test]
async fn answers_without_a_body_stay_without_one() {
    let gateway = TestGateway::spawn().await;
    let mut connection = gateway.enrol("hanakodt").connect().await;
    gateway.backend.next(Reply::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n".to_vec()));
    let head = connection.request("HEAD", "/ib/menu.do", &[], b"").await;
    assert_eq!((head.status, head.header("Content-Length").as_deref()), (200, Some("12345")));
    gateway.backend.next(Reply::Bytes(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()));
    let empty = connection.get("/ib/menu.do").await;
    assert_eq!((empty.status, empty.header("Content-Length"), empty.header("Transfer-Encoding")), (204, None, None));
    gateway.backend.next(Reply::Bytes(b"HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\n\r\n".to_vec()));
    let unchanged = connection.request("GET", "/ib/menu.do", &[("If-None-Match", "\"1\"")], b"").await;
    assert_eq!((unchanged.status, unchanged.header("ETag").as_deref()), (304, Some("\"1\"")));
    gateway.assert_served_on(&mut connection).await;
    assert_eq!(gateway.backend.connections(), 2, "each answer ended where it should; after HEAD nobody knows");
}

#[tokio::test]
async fn interim_answers_of_the_application_are_swallowed() {
    let gateway = TestGateway::spawn().await;
    let mut connection = gateway.enrol("hanakodt").connect().await;
    let interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n";
    for method in ["GET", "POST"] {
        gateway.backend.next(Reply::Bytes([&interim[..], &Reply::bytes_of("200 OK", &[], b"final")].concat()));
        let answer = connection.request(method, "/ib/menu.do", &[], b"").await;
        assert_eq!((answer.status, answer.text().as_str(), answer.header("Link")), (200, "final", None), "{method}");
    }
    gateway.assert_served_on(&mut connection).await;
}

#[tokio::test]
async fn a_client_that_expects_continue_is_told_to() {
    let gateway = TestGateway::spawn().await;
    let mut connection = gateway.enrol("hanakodt").connect().await;
    let head = "POST /ib/menu.do HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n";
    connection.send_raw(head.as_bytes()).await.unwrap();
    assert_eq!(connection.read("POST").await.unwrap().status, 100);
    connection.send_raw(b"a=1").await.unwrap();
    assert_eq!(connection.read("POST").await.unwrap().status, 200);
    assert_eq!(gateway.backend.last().body, b"a=1");
    assert_eq!(gateway.backend.last().header("Expect"), None, "answered here, so not asked again");
}

#[tokio::test]
async fn chunked_answers_and_their_trailers_pass() {
    let gateway = TestGateway::spawn().await;
    let customer = gateway.enrol("hanakodt");
    let bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5\r\nhello\r\n1\r\n!\r\n0\r\nX-Sum: 7\r\n\r\n";
    for _ in 0..2 {
        gateway.backend.next(Reply::Bytes(bytes.to_vec()));
    }
    let mut connection = customer.connect().await;
    let by_http1 = connection.request("GET", "/", &[("TE", "trailers"), ("Connection", "TE")], b"").await;
    let by_http2 = customer.connect_http2().await.request("GET", "/", &[("te", "trailers")], b"").await;
    for answer in [by_http1, by_http2] {
        assert_eq!(answer.text(), "hello!");
        assert_eq!(answer.trailers, [("x-sum".to_owned(), b"7".to_vec())]);
    }
}

#[tokio::test]
async fn an_answer_that_ends_with_its_connection_is_whole() {
    let gateway = TestGateway::spawn().await;
    let mut connection = gateway.enrol("hanakodt").connect().await;
    gateway.backend.next(Reply::ThenClose(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nold style".to_vec()));
    assert_eq!(connection.get("/").await.text(), "old style");
    gateway.backend.next(Reply::ThenClose(b"HTTP/1.0 200 OK\r\n\r\nolder style".to_vec()));
    assert_eq!(connection.get("/").await.text(), "older style");
}

/// Old clients know no chunks, and old-style requests reach the application in the one form it is spoken to.
#[tokio::test]
async fn clients_of_http_1_0_are_served_in_their_own_way() {
    let gateway = TestGateway::spawn().await;
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    gateway.backend.next(Reply::Bytes(chunked.to_vec()));
    let mut connection = gateway.enrol("hanakodt").connect().await;
    connection.send_raw(b"GET /old HTTP/1.0\r\nHost: localhost\r\n\r\n").await.unwrap();
    let answer = connection.read("GET").await.unwrap();
    assert_eq!((answer.status, answer.text().as_str(), answer.header("Transfer-Encoding")), (200, "hello", None));
    connection.expect_end().await;
    assert!(gateway.backend.last().head.starts_with(b"GET /old HTTP/1.1\r\n"));
    gateway.backend.assert_clean();
}

#[tokio::test]
async fn an_absolute_target_of_our_own_arrives_as_a_path() {
    let gateway = TestGateway::spawn().await;
    let mut connection = gateway.enrol("hanakodt").connect().await;
    connection.send_raw(b"GET https://localhost/ib/menu.do?a=1 HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    assert_eq!(connection.read("GET").await.unwrap().status, 200);
    assert_eq!(gateway.backend.last().target, "/ib/menu.do?a=1");
    connection.send_raw(b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    assert_eq!(connection.read("OPTIONS").await.unwrap().status, 200);
    assert_eq!(gateway.backend.last().target, "*");
}

/// Paths are the application's: nothing is decoded, joined or cut on the way.
#[tokio::test]
async fn paths_arrive_in_their_one_canonical_form() {
    let gateway = TestGateway::builder().unbound().spawn().await;
    let customer = gateway.enrol("hanakodt");
    let (mut connection, mut streams) = (customer.connect().await, customer.connect_http2().await);
    for (path, arrives) in [
        ("/a;b=c;jsessionid=1", "/a;b=c;jsessionid=1"),
        ("/?", "/?"),
        ("/a?b?c", "/a?b?c"),
        ("/'()!~*", "/'()!~*"),
        ("/a?x=%2F..;%00", "/a?x=%2F..;%00"),
        ("/a/../b?c", "/b?c"),
        ("/a//b", "/a/b"),
        ("/%61%e6%97%a5", "/a%E6%97%A5"),
    ] {
        connection.get(path).await;
        assert_eq!(gateway.backend.last().target, arrives, "HTTP/1.1");
        streams.get(path).await;
        assert_eq!(gateway.backend.last().target, arrives, "HTTP/2");
    }
    gateway.backend.assert_clean();
}

#[tokio::test]
async fn connections_to_the_application_are_reused() {
    let gateway = TestGateway::spawn().await;
    let customer = gateway.enrol("hanakodt");
    let mut connection = customer.connect().await;
    for _ in 0..5 {
        gateway.assert_served_on(&mut connection).await;
    }
    gateway.assert_served(&customer).await;
    assert_eq!((gateway.backend.connections(), gateway.backend.count()), (1, 6));
}

#[tokio::test]
async fn concurrent_requests_do_not_share_a_connection() {
    let gateway = TestGateway::spawn().await;
    let gate = Arc::new(Semaphore::new(0));
    let mut waiting = Vec::new();
    for number in 0..4 {
        gateway.backend.next(Reply::Held(Arc::clone(&gate), Reply::bytes_of("200 OK", &[], b"held")));
        let customer = gateway.enrol(&format!("hanako{number:02}"));
        waiting.push(tokio::spawn(async move { customer.get("/ib/menu.do").await.text() }));
    }
    gateway.backend.wait_for(4).await;
    assert_eq!(gateway.backend.connections(), 4);
    gate.add_permits(4);
    for answer in waiting {
        assert_eq!(answer.await.unwrap(), "held");
    }
    gateway.backend.assert_clean();
}

#[tokio::test]
async fn methods_that_no_bank_needs_are_refused() {
    let gateway = TestGateway::spawn().await;
    // What one server takes for an unknown method in lower case, another takes for this one.
    for method in ["TRACE", "TRACK", "CONNECT", "trace", "Trace", "track", "connect"] {
        let customer = gateway.enrol("hanakodt");
        let mut connection = customer.connect().await;
        let target = if method == "CONNECT" { "localhost:443" } else { "/" };
        let answer = connection.request(method, target, &[], b"").await;
        assert_eq!(answer.status, 405, "{method}");
        if method != "CONNECT" {
            let answer = customer.connect_http2().await.request(method, "/", &[], b"").await;
            assert_eq!(answer.status, 405, "{method} over HTTP/2");
        }
    }
    gateway.assert_backend_untouched();
}

#[tokio::test]
async fn nobody_talks_another_protocol_through_the_gateway() {
    let gateway = TestGateway::spawn().await;
    for (upgrade, also) in
        [("h2c", ("HTTP2-Settings", "AAMAAABkAAQAAP__")), ("websocket", ("Sec-WebSocket-Version", "13"))]
    {
        let mut connection = gateway.enrol("hanakodt").connect().await;
        let nominated = if upgrade == "h2c" { "Upgrade, HTTP2-Settings" } else { "Upgrade" };
        let headers = [("Connection", nominated), ("Upgrade", upgrade), also];
        let answer = connection.request("GET", "/", &headers, b"").await;
        assert!(matches!(answer.status, 200 | 400 | 403 | 501), "{upgrade}: {}", answer.status);
    }
    for seen in gateway.backend.seen() {
        assert_eq!((seen.header("Upgrade"), seen.header("HTTP2-Settings")), (None, None));
        assert!(!seen.all("Connection").iter().any(|value| value.to_lowercase().contains("upgrade")));
    }
    let before = gateway.backend.count();
    gateway
        .backend
        .next(Reply::Bytes(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n".to_vec()));
    let answer = gateway.enrol("hanakodt").get("/").await;
    assert_eq!(answer.status, 502, "an application that switches unasked");
    assert_eq!(gateway.backend.count(), before + 1);
}

/// The application does not know its public name.
#[tokio::test]
async fn redirects_and_cookies_are_made_fit_for_the_outside() {
    let gateway = TestGateway::spawn().await;
    let mut connection = gateway.enrol("hanakodt").connect().await;
    let inside = format!("http://{}/ib/menu.do?a=1", gateway.backend.address());
    let table = [
        (inside.as_str(), "https://localhost/ib/menu.do?a=1"),
        ("/ib/menu.do", "/ib/menu.do"),
        ("https://elsewhere.example/x", "https://elsewhere.example/x"),
        ("http://localhost/ib/menu.do", "https://localhost/ib/menu.do"),
    ];
    for (location, expected) in table {
        gateway.backend.next(Reply::of("302 Found", &[("Location", location)], b""));
        assert_eq!(connection.get("/").await.header("Location").as_deref(), Some(expected), "{location}");
    }
    let cookies =
        [("Set-Cookie", "JSESSIONID=1; Path=/; HttpOnly"), ("Set-Cookie", "a=b; Secure"), ("Set-Cookie", "c=secure")];
    gateway.backend.next(Reply::of("200 OK", &cookies, b""));
    let rewritten = connection.get("/").await.all("Set-Cookie");
    assert_eq!(rewritten, ["JSESSIONID=1; Path=/; HttpOnly; Secure", "a=b; Secure", "c=secure; Secure"]);
}

#[tokio::test]
async fn what_is_made_fit_can_be_left_as_it_is() {
    let layer = "[upstream]\nhost = \"upstream\"\nforwarded-headers = false\nsecure-cookies = false\n\
                 rewrite-location = false\ntitle-case-headers = true";
    let gateway = TestGateway::builder().layer(layer).spawn().await;
    let inside = format!("http://{}/x", gateway.backend.address());
    gateway.backend.next(Reply::of("302 Found", &[("Location", &inside), ("Set-Cookie", "a=b")], b""));
    let mut connection = gateway.enrol("hanakodt").connect().await;
    let answer = connection.request("GET", "/", &[("x-forwarded-for", "10.0.0.1"), ("x-some-thing", "1")], b"").await;
    assert_eq!(answer.header("Location"), Some(inside));
    assert_eq!(answer.header("Set-Cookie").as_deref(), Some("a=b"));
    let seen = gateway.backend.last();
    assert_eq!(seen.header("Host"), Some(gateway.backend.address().to_string()));
    assert_eq!(seen.folded("X-Forwarded-For"), Vec::<String>::new());
    assert!(String::from_utf8_lossy(&seen.head).contains("X-Some-Thing: 1"), "title case for old servers");
}

#[tokio::test]
async fn every_answer_names_its_request() {
    let gateway = TestGateway::spawn().await;
    let mut connection = gateway.enrol("hanakodt").connect().await;
    let mut names = std::collections::HashSet::new();
    for _ in 0..3 {
        let answer = connection.request("GET", "/", &[("X-Request-Id", "mine")], b"").await;
        if let Some(name) = answer.header("X-Request-Id") {
            assert!(name != "mine" && names.insert(name));
        }
    }
}

//! What a request may not carry and what it must: IDN-04, IDN-05, IDN-08 to IDN-11, A07, A08.

use crate::support::frames::{DATA, END_HEADERS, END_STREAM, Frame, Frames, HEADERS, header_block};
use crate::support::{Reply, TestGateway};

/// Spellings of our own headers that some application somewhere takes for them.
const COPIES: [&str; 12] = [
    "X-Login-Id",
    "x-login-id",
    "X-LOGIN-ID",
    "X_Login_Id",
    "X-Login_Id",
    "x_login-id",
    "X.Login.Id",
    "X-Login.Id",
    "X-Login-Assertion",
    "x-login-assertion",
    "X_Login_Assertion",
    "X.Login-Assertion",
];

/// What application servers and other proxies believe.
const PRIVATE: [&str; 34] = [
    "$WSCC",
    "$WSRA",
    "$WSSC",
    "$WSAT",
    "$WSPR",
    "$wsis",
    "WL-Proxy-Client-Cert",
    "WL-Proxy-SSL",
    "WL_Proxy_Client_IP",
    "Proxy-Client-IP",
    "SSL_CLIENT_S_DN",
    "SSL-CLIENT-CERT",
    "Ssl-Client-Verify",
    "X-SSL-Client-CN",
    "X_SSL_Client_Cert",
    "Client-Cert",
    "Client-Cert-Chain",
    "Remote-User",
    "Remote_User",
    "SM_USER",
    "SM-USER",
    "sm_serversessionid",
    "iv-user",
    "iv_groups",
    "IV-Creds",
    "X-Forwarded-User",
    "X-Forwarded-Client-Cert",
    "X-Forwarded-Port",
    "X_Forwarded_For",
    "Forwarded",
    "X-Original-URL",
    "X-Rewrite-URL",
    "X-HTTP-Method-Override",
    "X-Real-IP",
];

/// The application heard exactly one login ID, the customer's, and exactly one assertion, ours.
fn assert_only_ours(gateway: &TestGateway, what: &str) {
    let seen = gateway.backend.last();
    assert_eq!(seen.folded("X-Login-Id"), ["hanakodt"], "{what}");
    let assertions = seen.folded("X-Login-Assertion");
    assert_eq!(assertions.len(), 1, "{what}: {assertions:?}");
    assert_eq!(assertions[0].split('.').count(), 3, "{what}: a compact JWS");
    gateway.backend.assert_clean();
}

#[tokio::test]
async fn forged_identity_headers_are_removed_from_http1_requests() {
    let gateway = TestGateway::spawn().await;
    let mut connection = gateway.enrol("hanakodt").connect().await;
    for name in COPIES {
        for headers in [vec![(name, "victim01")], vec![(name, "victim01"), (name, "victim02")], vec![(name, "")]] {
            assert_eq!(connection.request("GET", "/ib/menu.do", &headers, b"").await.status, 200, "{name}");
            assert_only_ours(&gateway, name);
        }
    }
    let everything: Vec<(&str, &str)> = COPIES.iter().map(|name| (*name, "victim01")).collect();
    connection.request("GET", "/ib/menu.do", &everything, b"").await;
    assert_only_ours(&gateway, "all at once");
    assert!(gateway.operator.metric("sekisho_identity_headers_removed_total", &[]).await >= COPIES.len() as f64);
}

#[tokio::test]
async fn forged_identity_headers_are_removed_from_http2_requests() {
    let gateway = TestGateway::spawn().await;
    let mut connection = gateway.enrol("hanakodt").connect_http2().await;
    for name in COPIES {
        let name = name.to_ascii_lowercase();
        let headers = [(name.as_str(), "victim01"), (name.as_str(), "victim02")];
        assert_eq!(connection.request("GET", "/ib/menu.do", &headers, b"").await.status, 200, "{name}");
        assert_only_ours(&gateway, &name);
    }
}

/// The configuration does not name them; an application that was told them once would believe them still.
#[tokio::test]
async fn login_headers_that_the_configuration_does_not_name_are_removed_too() {
    let gateway = TestGateway::spawn().await;
    let customer = gateway.enrol("hanakodt");
    let (mut connection, mut streams) = (customer.connect().await, customer.connect_http2().await);
    let forged = ["X-Login-Method", "X-Login-Serial", "X-Login-Not-After", "X_Login_Anything", "X.Login-Anything"];
    for (count, name) in forged.into_iter().enumerate() {
        let lower = name.to_ascii_lowercase();
        connection.request("GET", "/ib/menu.do", &[(name, "victim01")], b"").await;
        assert_only_ours(&gateway, name);
        let by_http1 = gateway.backend.last();
        streams.request("GET", "/ib/menu.do", &[(lower.as_str(), "victim01")], b"").await;
        assert_only_ours(&gateway, name);
        for seen in [by_http1, gateway.backend.last()] {
            assert_eq!(seen.folded(name), Vec::<String>::new(), "{name}");
            assert!(!String::from_utf8_lossy(&seen.head).contains("victim01"), "{name}: {seen:?}");
        }
        let removed = gateway.operator.metric("sekisho_identity_headers_removed_total", &[]).await;
        assert!(removed >= 2.0 * (count as f64 + 1.0), "{name}: {removed}");
    }
}

/// A08: `$WSCC` with another's certificate would log in as somebody else on WebSphere.
#[tokio::test]
async fn private_headers_of_application_servers_are_removed() {
    let gateway = TestGateway::spawn().await;
    let customer = gateway.enrol("hanakodt");
    let (mut connection, mut streams) = (customer.connect().await, customer.connect_http2().await);
    for name in PRIVATE {
        let lower = name.to_ascii_lowercase();
        connection.request("GET", "/ib/menu.do", &[(name, "victim01")], b"").await;
        let by_http1 = gateway.backend.last();
        streams.request("GET", "/ib/menu.do", &[(lower.as_str(), "victim01")], b"").await;
        for (version, seen) in [("HTTP/1.1", by_http1), ("HTTP/2", gateway.backend.last())] {
            assert!(!seen.folded(name).contains(&"victim01".to_owned()), "{version} {name}");
        }
    }
    gateway.backend.assert_clean();
}

#[tokio::test]
async fn private_headers_are_removed_on_the_password_entrance_too() {
    let layer = "[[listener]]\nname = \"password\"\naddress = \"127.0.0.1:0\"\nserver-names = [\"password.example\"]\n\
                 certificate = \"certs/server.pem\"\nprivate-key = \"certs/server.key\"\nauthentication = \"password\"";
    let gateway = TestGateway::builder().layer(layer).spawn().await;
    let mut connection = gateway.stranger().visiting("password.example").connect().await;
    for name in COPIES.into_iter().chain(PRIVATE) {
        assert_eq!(connection.request("GET", "/", &[(name, "victim01")], b"").await.status, 200);
        let seen = gateway.backend.last();
        assert!(!seen.folded(name).contains(&"victim01".to_owned()), "{name}");
        assert_eq!(seen.folded("X-Login-Id"), Vec::<String>::new(), "{name}");
        assert_eq!(seen.folded("X-Login-Assertion"), Vec::<String>::new(), "{name}");
    }
}

#[tokio::test]
async fn names_with_an_underscore_never_reach_the_application() {
    let gateway = TestGateway::spawn().await;
    let mut connection = gateway.enrol("hanakodt").connect().await;
    connection.request("GET", "/", &[("X_Anything", "1"), ("_", "2"), ("X-Fine", "3")], b"").await;
    let seen = gateway.backend.last();
    assert!(seen.headers.iter().all(|(name, _)| !name.contains('_')), "{:?}", seen.headers);
    assert_eq!(seen.header("X-Fine").as_deref(), Some("3"));

    let strict = TestGateway::builder().layer("[upstream]\nunderscore-headers = \"refuse\"").spawn().await;
    let mut connection = strict.enrol("hanakodt").connect().await;
    assert_eq!(connection.request("GET", "/", &[("X_Anything", "1")], b"").await.status, 400);
    strict.assert_backend_untouched();
}

#[tokio::test]
async fn trailers_of_requests_end_at_the_gateway() {
    let gateway = TestGateway::spawn().await;
    let mut connection = gateway.enrol("hanakodt").connect().await;
    for trailer in COPIES.into_iter().chain(["$WSCC", "X-Anything"]) {
        let head = "POST /ib/menu.do HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n";
        let rest = format!("Trailer: {trailer}\r\n\r\n3\r\na=1\r\n0\r\n{trailer}: victim01\r\n\r\n");
        connection.send_raw(format!("{head}{rest}").as_bytes()).await.unwrap();
        assert_eq!(connection.read("POST").await.unwrap().status, 200, "{trailer}");
        let seen = gateway.backend.last();
        assert_eq!((seen.body.as_slice(), seen.trailers.len()), (&b"a=1"[..], 0), "{trailer}");
        assert_eq!(seen.header("Trailer"), None);
        assert_only_ours(&gateway, trailer);
    }
}

#[tokio::test]
async fn trailers_of_http2_requests_end_at_the_gateway() {
    let gateway = TestGateway::spawn().await;
    let mut frames = Frames::open(gateway.enrol("hanakodt").connect_frames().await).await;
    frames.request(1, "POST", &[], false).await.unwrap();
    frames.send(&Frame::new(DATA, 0, 1, b"a=1")).await.unwrap();
    let block = header_block(&[(b"x-login-id", b"victim01")]);
    frames.send(&Frame::new(HEADERS, END_HEADERS | END_STREAM, 1, &block)).await.unwrap();
    assert_eq!(frames.outcome(1).await.unwrap().status(), Some(200));
    assert_eq!(gateway.backend.last().trailers.len(), 0);
    assert_only_ours(&gateway, "an HTTP/2 trailer");
}

/// IDN-11: hop-by-hop tricks strip what was inspected, or what we are about to set.
#[tokio::test]
async fn connection_must_not_nominate_what_the_application_reads() {
    let gateway = TestGateway::spawn().await;
    let nominated = [
        "X-Login-Id",
        "x-login-assertion",
        "X_Login_Id",
        "Host",
        "Content-Type",
        "Content-Length",
        "Cookie",
        "Authorization",
        "close, X-Login-Id",
        "keep-alive,cookie",
        "X-Forwarded-For",
        "Accept",
    ];
    for name in nominated {
        let mut connection = gateway.enrol("hanakodt").connect().await;
        let answer = connection.request("GET", "/ib/menu.do", &[("Connection", name)], b"").await;
        assert_eq!(answer.status, 400, "Connection: {name}");
    }
    gateway.assert_backend_untouched();
}

#[tokio::test]
async fn hop_by_hop_fields_stay_between_customer_and_gateway() {
    let gateway = TestGateway::spawn().await;
    let mut connection = gateway.enrol("hanakodt").connect().await;
    let headers = [
        ("Connection", "keep-alive, TE"),
        ("Keep-Alive", "timeout=5"),
        ("TE", "trailers"),
        ("Proxy-Authorization", "Basic eDp5"),
        ("Proxy-Connection", "keep-alive"),
        ("X-End", "2"),
    ];
    assert_eq!(connection.request("GET", "/ib/menu.do", &headers, b"").await.status, 200);
    let seen = gateway.backend.last();
    for name in ["Keep-Alive", "TE", "Proxy-Authorization", "Proxy-Connection"] {
        assert_eq!(seen.header(name), None, "{name}");
    }
    assert_eq!(seen.header("X-End").as_deref(), Some("2"));
}

#[tokio::test]
async fn forwarding_headers_are_ours_alone() {
    let gateway = TestGateway::spawn().await;
    let mut connection = gateway.enrol("hanakodt").connect().await;
    let forged = [
        ("X-Forwarded-For", "10.0.0.1"),
        ("x-forwarded-for", "10.0.0.2"),
        ("X-Forwarded-Proto", "http"),
        ("X-Forwarded-Host", "evil.example"),
        ("Forwarded", "for=10.0.0.1"),
    ];
    connection.request("GET", "/ib/menu.do", &forged, b"").await;
    let seen = gateway.backend.last();
    assert_eq!(seen.folded("X-Forwarded-For"), ["127.0.0.1"]);
    assert_eq!(seen.folded("X-Forwarded-Proto"), ["https"]);
    assert_eq!(seen.folded("X-Forwarded-Host"), ["localhost"]);
    assert_eq!(seen.folded("Forwarded"), Vec::<String>::new());
    assert_eq!(seen.header("Host").as_deref(), Some("localhost"));
}

/// The application echoes what it was told; nobody outside needs to know it.
#[tokio::test]
async fn answers_do_not_carry_identity_headers() {
    let gateway = TestGateway::spawn().await;
    let echoed: Vec<(&str, &str)> = COPIES.iter().map(|name| (*name, "hanakodt")).collect();
    let mut connection = gateway.enrol("hanakodt").connect().await;
    gateway.backend.next(Reply::of("200 OK", &[&echoed[..], &[("X-Fine", "1")]].concat(), b"x"));
    let answer = connection.get("/ib/menu.do").await;
    for name in COPIES {
        assert_eq!(answer.all(name), Vec::<String>::new(), "{name}");
    }
    assert_eq!(answer.header("X-Fine").as_deref(), Some("1"));
}

#[tokio::test]
async fn how_the_customer_came_is_told_where_the_configuration_names_headers() {
    let layer = "[assertion]\nmethod-header = \"X-Auth-Method\"\nserial-header = \"X-Cert-Serial\"";
    let gateway = TestGateway::builder().layer(layer).spawn().await;
    let identity = gateway.pki.issuing.customer("hanakodt");
    let mut connection = gateway.customer(&identity).connect().await;
    let forged = [("X-Auth-Method", "password"), ("X_Cert_Serial", "00")];
    connection.request("GET", "/ib/menu.do", &forged, b"").await;
    let seen = gateway.backend.last();
    assert_eq!(seen.folded("X-Auth-Method"), ["certificate"]);
    assert_eq!(seen.folded("X-Cert-Serial"), [format!("{:04x}", identity.serial)]);
}

/// HTTP/2 splits cookies into crumbs; an HTTP/1.1 application reads one header (RFC 9113 8.2.3).
#[tokio::test]
async fn cookie_crumbs_are_joined() {
    let gateway = TestGateway::spawn().await;
    let mut connection = gateway.enrol("hanakodt").connect_http2().await;
    connection.request("GET", "/", &[("cookie", "a=1"), ("cookie", "b=2")], b"").await;
    assert_eq!(gateway.backend.last().header("Cookie").as_deref(), Some("a=1; b=2"));
}

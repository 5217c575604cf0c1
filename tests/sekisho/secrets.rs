//! What identifies a customer or opens a session stands in no metric and no log line: OPS-03, A63, A64.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, OnceLock};

use crate::support::{Reply, TestGateway, settled_series};

/// Everything that any gateway of this process has logged, at the most talkative level.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn of_this_process() -> &'static Self {
        static LOG: OnceLock<Log> = OnceLock::new();
        LOG.get_or_init(|| {
            let log = Self::default();
            let writer = log.clone();
            let subscriber = tracing_subscriber::fmt().with_env_filter("sekisho=trace").with_ansi(false);
            subscriber.with_writer(move || writer.clone()).init();
            log
        })
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Good requests, refused ones, and ones that fail behind the gateway, each full of secrets.
async fn talk(gateway: &TestGateway) {
    let customer = gateway.enrol("hanakodt");
    let secrets = [("Cookie", "JSESSIONID=SECRET1"), ("Authorization", "Basic SECRET2"), ("X-SECRET3", "SECRET4")];
    let target = "/ib/SECRET5.do;jsessionid=SECRET6?password=SECRET7";
    for method in ["GET", "TRACE"] {
        customer.connect().await.request(method, target, &secrets, b"").await;
    }
    let misdirected = format!("GET {target} HTTP/1.1\r\nHost: SECRET8.example\r\n\r\n");
    let mut connection = customer.connect().await;
    connection.send_raw(misdirected.as_bytes()).await.unwrap();
    assert_eq!(connection.read("GET").await.unwrap().status, 421);
    for broken in [b"".to_vec(), b"HTTP/1.1 SECRET9\r\n\r\n".to_vec()] {
        gateway.backend.next(Reply::ThenClose(broken));
        let headers = [&secrets[..], &[("Content-Length", "16")]].concat();
        let answer = customer.connect().await.request("POST", target, &headers, b"password=SECRETA").await;
        assert_eq!(answer.status, 502);
    }
    gateway.stranger().visiting("secretb.example").try_connect().await.unwrap_err();
}

#[tokio::test]
async fn the_log_holds_no_secrets() {
    let log = Log::of_this_process();
    let gateway = TestGateway::builder().unbound().spawn().await;
    talk(&gateway).await;
    gateway.stranger().expect_refusal().await;
    gateway.wait_for_handshakes("no_certificate", 1.0).await;
    gateway.drain().await;
    let text = log.text();
    assert!(!text.is_empty(), "something was logged, so its absence means something");
    let leaks: Vec<&str> = text.lines().filter(|line| line.contains("SECRET")).collect();
    assert!(leaks.is_empty(), "{leaks:#?}");
}

#[tokio::test]
async fn metrics_hold_no_secrets() {
    let gateway = TestGateway::builder().unbound().spawn().await;
    let identity = gateway.pki.issuing.customer("hanakodt");
    gateway.assert_served(&gateway.customer(&identity)).await;
    talk(&gateway).await;
    let exposition = gateway.operator.get("/metrics").await.text();
    for secret in ["SECRET", "secretb", "hanakodt", "127.0.0.1", &identity.thumbprint()] {
        assert!(!exposition.contains(secret), "{secret} in\n{exposition}");
    }
}

/// A63: random hosts, paths, methods and names must not become series.
#[tokio::test]
async fn metrics_do_not_grow_with_what_clients_make_up() {
    let gateway = TestGateway::builder().unbound().spawn().await;
    let customer = gateway.enrol("hanakodt");
    let storm = async |from: usize, to: usize| {
        for number in from..to {
            let mut connection = customer.connect().await;
            connection.get(&format!("/random/{number}")).await;
            connection.request(&format!("M{}", "X".repeat(number % 7 + 1)), "/", &[], b"").await;
            let head = format!("GET / HTTP/1.1\r\nHost: random{number}.example\r\nX-{number}: 1\r\n\r\n");
            connection.send_raw(head.as_bytes()).await.unwrap();
            assert_eq!(connection.read("GET").await.unwrap().status, 421);
            let stranger = gateway.stranger().visiting(&format!("random{number}.example"));
            assert!(stranger.try_connect().await.is_err());
        }
    };
    storm(0, 5).await;
    let before = settled_series(&gateway).await;
    storm(5, 40).await;
    assert_eq!(before, settled_series(&gateway).await);
}

//! What operators see: OPS-01, health, metrics.

use jiff::SignedDuration;

use crate::support::{Pki, TestGateway, eventually};

#[tokio::test]
async fn a_gateway_that_serves_is_live_and_ready() {
    let gateway = TestGateway::spawn().await;
    assert_eq!(gateway.operator.get("/health/live").await.status, 200);
    assert_eq!(gateway.operator.get("/health/ready").await.status, 200);
    assert_eq!(gateway.operator.get("/elsewhere").await.status, 404);
}

/// A slip in `control` must not cost the file that lies there.
#[tokio::test]
async fn the_control_socket_takes_no_other_files_place() {
    for (control, there) in [("notes.txt", "notes.txt"), ("notes.sock", "notes.new"), ("config.toml", "other.txt")] {
        let builder =
            TestGateway::builder().layer(format!("[operator]\ncontrol = \"{control}\"")).file(there, "a note");
        let mistake = builder.try_spawn().await.err().unwrap_or_else(|| panic!("it took the place of {there}"));
        assert!(mistake.contains("something else lies where"), "{mistake}");
    }
    let earlier = TestGateway::spawn().await;
    let path = earlier.path("kept");
    std::fs::write(&path, "kept").unwrap();
    let again = TestGateway::builder().after(&earlier).layer("[operator]\ncontrol = \"kept\"").try_spawn().await;
    assert!(again.is_err());
    assert_eq!(std::fs::read(path).unwrap(), b"kept");
}

#[tokio::test]
async fn a_gateway_whose_list_ran_out_says_so() {
    let pki = Pki::fresh();
    let list = pki.issuing.list().next_update(jiff::Timestamp::now() + SignedDuration::from_hours(1));
    let gateway = TestGateway::builder().pki(&pki).list(list.pem()).spawn().await;
    assert_eq!(gateway.operator.get("/health/ready").await.status, 200);
    gateway.clock.advance(3601);
    let ready = || async { gateway.operator.get("/health/ready").await };
    let answer = eventually("not ready", ready, |answer| answer.status == 503).await;
    assert!(answer.text().to_lowercase().contains("crl"), "says why not: {}", answer.text());
    assert_eq!(gateway.operator.get("/health/live").await.status, 200);
}

#[tokio::test]
async fn metrics_tell_what_happened() {
    let gateway = TestGateway::spawn().await;
    let customer = gateway.enrol("hanakodt");
    let mut connection = customer.connect().await;
    for _ in 0..3 {
        connection.get("/ib/menu.do").await;
    }
    connection.request("GET", "/", &[("X-Login-Id", "victim01")], b"").await;
    gateway.stranger().expect_refusal().await;
    let mut resumed = customer.connect().await;
    resumed.get("/").await;

    let operator = &gateway.operator;
    let listener = ("listener", "certificate");
    operator.wait_for("sekisho_requests_total", &[listener, ("code", "200")], 5.0).await;
    operator.wait_for("sekisho_handshakes_total", &[listener, ("result", "ok"), ("kind", "full")], 1.0).await;
    operator.wait_for("sekisho_handshakes_total", &[listener, ("result", "ok"), ("kind", "resumed")], 1.0).await;
    operator.wait_for("sekisho_handshakes_total", &[listener, ("result", "no_certificate")], 1.0).await;
    operator.wait_for("sekisho_request_duration_seconds_count", &[], 5.0).await;
    operator.wait_for("sekisho_upstream_duration_seconds_count", &[], 5.0).await;
    assert!(operator.metric("sekisho_identity_headers_removed_total", &[]).await >= 1.0);
    assert!(operator.metric("sekisho_connections", &[]).await >= 2.0);
    drop((connection, resumed));
    operator.wait_until_at_most("sekisho_connections", &[], 0.0).await;
}

#[tokio::test]
async fn the_exposition_has_help_and_type_for_each_metric() {
    let gateway = TestGateway::spawn().await;
    gateway.assert_served(&gateway.enrol("hanakodt")).await;
    let answer = gateway.operator.get("/metrics").await;
    assert!(answer.header("Content-Type").unwrap().starts_with("text/plain"));
    let text = answer.text();
    for line in text.lines().filter(|line| line.starts_with("# TYPE sekisho_")) {
        let name = line.split(' ').nth(2).unwrap();
        assert!(text.contains(&format!("# HELP {name} ")), "{name}");
    }
    let counters = text.lines().filter(|line| line.starts_with("# TYPE sekisho_") && line.ends_with(" counter"));
    for line in counters {
        assert!(line.split(' ').nth(2).unwrap().ends_with("_total"), "{line}");
    }
}

/// The README is where operators look a metric up.
#[tokio::test]
async fn the_readme_names_every_metric() {
    let gateway = TestGateway::spawn().await;
    gateway.assert_served(&gateway.enrol("hanakodt")).await;
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let text = gateway.operator.get("/metrics").await.text();
    let names = text.lines().filter_map(|line| line.strip_prefix("# TYPE sekisho_"));
    for name in names.map(|rest| format!("sekisho_{}", rest.split(' ').next().unwrap())) {
        assert!(readme.contains(&name), "README.md does not name {name}");
    }
}

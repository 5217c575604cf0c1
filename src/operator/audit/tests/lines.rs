//! What stands in a line.

use serde_json::json;

use super::*;
use crate::domain::{ContractId, JstDate, RequestId, Serial};

#[test]
fn a_record_is_one_flat_line_with_the_names_of_the_schema() {
    let bench = Bench::new();
    let audit = bench.open();
    let request = RequestId::new();
    audit.record(Record {
        reason: Some("over_limit".into()),
        login_id: LoginId::parse("hanako\"d"),
        certificate: Serial::from_der_content(&[0x00, 0xab, 0x01]),
        contract: ContractId::parse("c-1"),
        client: Some("2001:db8::1".parse().unwrap()),
        request: Some(request.clone()),
        path: Some(UrlPath::of("/ib/furikomi.do;jsessionid=secret?kouza=1234567")),
        listener: Some("certificate".into()),
        route: Some("transfer".into()),
        amount: Yen::new(1_000_000),
        transfer: Some("t-1".into()),
        day: JstDate::parse("2026-11-02"),
        operator: Some("suzuki".into()),
        store: Some(StoreMark { id: "s-1".into(), sequence: 7 }),
        configuration: Some(Digest::NOTHING),
        ..Record::new(Action::Transfer(TransferState::Unknown))
    });
    audit.flush().unwrap();
    let first = bench.content().split(|byte| *byte == b'\n').next().map(Digest::of).unwrap();
    let expected = json!({
        "@timestamp": "2026-11-02T01:00:00.000Z",
        "ecs.version": "8.11.0",
        "event.action": "transfer",
        "event.category": ["web"],
        "event.outcome": "unknown",
        "event.reason": "over_limit",
        "user.id": "hanako\"d",
        "tls.client.x509.serial_number": "AB01",
        "client.ip": "2001:db8::1",
        "http.request.id": request.as_str(),
        "url.path": "/ib/furikomi.do",
        "sekisho.listener": "certificate",
        "sekisho.route": "transfer",
        "sekisho.contract": "c-1",
        "sekisho.amount": 1_000_000,
        "sekisho.transfer.id": "t-1",
        "sekisho.transfer.state": "unknown",
        "sekisho.day": "2026-11-02",
        "sekisho.operator": "suzuki",
        "sekisho.store.id": "s-1",
        "sekisho.store.sequence": 7,
        "sekisho.config.sha256": "0".repeat(64),
        "sekisho.audit.sequence": 2,
        "sekisho.audit.previous": first.to_string(),
    });
    assert_eq!(bench.records()[1], expected);
}

#[test]
fn the_start_tells_the_version_and_the_configuration() {
    let bench = Bench::new();
    let digest = Digest::of(b"config.toml");
    drop(Audit::open(&bench.settings, Some(digest), bench.clock.clone(), &bench.metrics.audit).unwrap());
    let started = &bench.records()[0];
    assert_eq!(started["event.category"], json!(["process"]));
    assert_eq!(started["service.version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(started["sekisho.config.sha256"], digest.to_string());
}

#[test]
fn a_path_tells_no_query_no_fragment_and_no_session() {
    for (target, path) in [
        ("/ib/menu.do", "/ib/menu.do"),
        ("/ib/menu.do?password=x", "/ib/menu.do"),
        ("/ib/menu.do#top", "/ib/menu.do"),
        ("/ib;v=1/menu.do;jsessionid=A?b;c", "/ib/menu.do"),
        ("*", "*"),
        ("", ""),
    ] {
        assert_eq!(format!("{:?}", UrlPath::of(target)), format!("UrlPath({path:?})"), "{target}");
    }
}

#[test]
fn no_text_is_longer_than_a_line_can_hold() {
    let bench = Bench::new();
    let audit = bench.open();
    audit.record(Record {
        path: Some(UrlPath::of(&format!("/{}", "\u{1}".repeat(5000)))),
        operator: Some("山".repeat(5000).into()),
        ..Record::new(Action::Operator(OperatorAct::OwnLimitSet))
    });
    audit.flush().unwrap();
    let record = &bench.records()[1];
    assert_eq!(record["url.path"].as_str().unwrap().len(), 1024);
    // Whole characters: 341 of three bytes each.
    assert_eq!(record["sekisho.operator"].as_str().unwrap(), "山".repeat(341));
    bench.verify();
}

#[test]
fn what_moved_money_or_changed_rules_is_never_left_out() {
    let importance = |action| Record::new(action).importance();
    for state in [TransferState::Reserved, TransferState::Committed, TransferState::Released, TransferState::Unknown] {
        assert_eq!(importance(Action::Transfer(state)), Importance::Money);
    }
    assert_eq!(
        importance(Action::Operator(OperatorAct::TransferReconciled(TransferState::Released))),
        Importance::Money
    );
    assert_eq!(importance(Action::Reloaded), Importance::Money);
    assert_eq!(importance(Action::Transfer(TransferState::Refused)), Importance::Stranger);
    assert_eq!(importance(Action::HandshakeRefused), Importance::Stranger);
    assert_eq!(refused(Some("hanakodt")).importance(), Importance::Notice);
}

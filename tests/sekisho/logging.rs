//! The log goes to standard error, and nothing depends on whether somebody reads it there.

use std::fs;
use std::path::Path;

use crate::support::program::{Log, Program};
use crate::support::{Backend, Customer, Pki, TestGateway};

/// Revocation, reloads and the end of the program, with a log that went away or that nobody reads.
async fn works_without_a_reader(directives: &str, keep: impl FnOnce(Log) + Send + 'static) {
    let pki = Pki::fresh();
    let backend = Backend::start().await;
    let unlimited = "[[rate-limit]]\nname = \"per-customer\"\nrate = \"100000/s\"\nburst = 100000\n";
    let (directory, files) = TestGateway::builder().pki(&pki).layer(unlimited).write(&backend);
    let program = Program::start_with(&files, directives, keep).await;
    let customer = |login_id: &str| {
        let identity = pki.issuing.customer(login_id);
        (Customer::new(program.address, &pki.web, Some(&identity)), identity)
    };
    let ((hanako, hanakos), (taro, taros)) = (customer("hanakodt"), customer("tarokodt"));
    // More lines than any pipe takes, where they are written at all.
    let mut connection = hanako.connect().await;
    for _ in 0..500 {
        assert_eq!(connection.get("/ib/menu.do").await.status, 200);
    }
    publish(&program, directory.path(), pki.issuing.list().number(2).revoking(&hanakos).pem()).await;
    assert!(hanako.try_get("/ib/menu.do").await.is_err(), "revoked by the first list");
    program.hang_up();
    program.operator.wait_for("sekisho_config_reloads_total", &[("result", "ok")], 1.0).await;
    assert_eq!(taro.get("/ib/menu.do").await.status, 200);
    let both = pki.issuing.list().number(3).revoking(&hanakos).revoking(&taros).pem();
    publish(&program, directory.path(), both).await;
    assert!(taro.try_get("/ib/menu.do").await.is_err(), "revoked by the second list");
    program.end();
}

async fn publish(program: &Program, directory: &Path, list: String) {
    let loads = ("sekisho_crl_loads_total", &[("result", "ok")]);
    let before = program.operator.metric(loads.0, loads.1).await;
    fs::write(directory.join("certs/ca.crl"), list).unwrap();
    program.operator.wait_for(loads.0, loads.1, before + 1.0).await;
}

#[tokio::test]
async fn a_log_whose_reader_has_gone_stops_nothing() {
    works_without_a_reader("info", drop).await;
}

#[tokio::test]
async fn a_log_that_nobody_reads_stops_nothing() {
    works_without_a_reader("trace", std::mem::forget).await;
}

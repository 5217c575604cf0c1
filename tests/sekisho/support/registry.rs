//! The registry, as operators keep it.

use std::time::Duration;

use serde_json::{Value, json};

use super::desk::ask;
use super::pki::Identity;
use super::{MoneyStory, Payer, TestGateway};

pub const SECOND: Duration = Duration::from_secs(1);
pub const ENFORCE: &str = "[trust]\nregistry = \"enforce\"\n";
pub const LEARN: &str = "[trust]\nregistry = \"learn-first\"\n";

/// As the command line does it, without the time that a process takes to start.
pub async fn order(gateway: &TestGateway, target: &str, mut order: Value) -> Value {
    order["reason"] = "application 4711".into();
    order["operator"] = "hana".into();
    let answer = ask(gateway, "POST", target, &order.to_string()).await;
    assert_eq!(answer.status, 200, "{target}: {}", answer.text());
    answer.json()
}

/// Registers a certificate, in the place of the one that its login ID has.
pub async fn register(gateway: &TestGateway, identity: &Identity) -> String {
    let answer = order(gateway, "/certificates", json!({ "pem": identity.pem(), "supersede": true })).await;
    answer["sha256"].as_str().unwrap().to_owned()
}

pub async fn add_contract(gateway: &TestGateway, contract: &str, login_ids: &[&str]) {
    order(gateway, &format!("/contracts/{contract}"), json!({})).await;
    for login_id in login_ids {
        put(gateway, contract, login_id, "general").await;
    }
}

pub async fn put(gateway: &TestGateway, contract: &str, login_id: &str, role: &str) {
    let target = format!("/contracts/{contract}/login-ids");
    order(gateway, &target, json!({ "login_id": login_id, "role": role, "move": true })).await;
}

/// Customers with registered certificates, at their PCs.
pub async fn payers<const N: usize>(story: &MoneyStory, login_ids: [&str; N]) -> [Payer; N] {
    let mut payers = Vec::new();
    for login_id in login_ids {
        let identity = story.gateway.pki.customer(login_id);
        register(&story.gateway, &identity).await;
        payers.push(Payer::over_http1(login_id, story.gateway.customer(&identity)));
    }
    payers.try_into().unwrap()
}

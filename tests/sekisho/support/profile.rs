//! The profiles that ship, as the files are, in front of the stand-in bank.

use std::path::Path;

use serde_json::json;

use super::bank::Plan;
use super::registry::{order, put};
use super::{Customer, MoneyStory, Payer, Said};

const LOGIN: &str = "/ib/login.do";

/// A second entrance of a test: a port of its own.
const PASSWORD: &str =
    "[[listener]]\nname = \"password\"\naddress = \"127.0.0.1:0\"\nserver-names = [\"password.example\"]\n";

/// Where it lies.
pub fn file(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/profiles").join(format!("{name}.toml"))
}

/// The shipped configuration with this profile over it, at noon in Japan on that day.
pub fn plan(name: &str, day: &str, subject: fn(&str) -> Vec<u8>) -> Plan {
    let profile = std::fs::read_to_string(file(name)).unwrap();
    let has_password = profile.contains("authentication = \"password\"");
    let plan = MoneyStory::plan().on(day, subject).layer(profile);
    if has_password { plan.layer(PASSWORD) } else { plan }
}

/// A browser at the password entrance.
pub fn at_password_entrance(story: &MoneyStory, login_id: &str) -> Payer {
    let customer = story.gateway.stranger().at(story.gateway.address_of("password")).visiting("password.example");
    Payer::over_http1(login_id, customer)
}

/// The login IDs of a company, in the registry and in the bank's books.
pub async fn company(story: &MoneyStory, contract: &str, login_ids: &[(&str, &str)]) {
    order(&story.gateway, &format!("/contracts/{contract}"), json!({})).await;
    for (login_id, role) in login_ids {
        put(&story.gateway, contract, login_id, role).await;
        story.bank.set_contract(login_id, contract);
    }
}

/// What the bank or the gateway says to this login form.
pub async fn log_in(payer: &mut Payer, form: &str) -> Said {
    payer.submit(LOGIN, form).await
}

/// What follows a login that went well.
pub fn welcome() -> Said {
    Said::To("/ib/menu.do".into())
}

/// Whom the bank greets.
pub async fn greeted(payer: &mut Payer) -> String {
    let answer = payer.ask("GET", "/ib/menu.do", &[], b"").await;
    let page = encoding_rs::SHIFT_JIS.decode(&answer.body).0.into_owned();
    let name = page.split("ようこそ ").nth(1).and_then(|rest| rest.split(" 様").next());
    name.unwrap_or_else(|| panic!("{page}")).replace("&amp;", "&")
}

/// With what code a listener of `refusal = "page"` refuses this visitor.
pub async fn refused_at_the_door(customer: &Customer) -> String {
    let accept = [("Accept", "application/json")];
    let answer = customer.connect().await.request("GET", "/ib/menu.do", &accept, b"").await;
    assert_eq!(answer.status, 403, "{}", answer.text());
    answer.json()["code"].as_str().unwrap().to_owned()
}

/// A page of the gateway for a transfer that it refuses, as a browser in Japan shows it.
pub async fn refusal_page(payer: &mut Payer) -> String {
    let headers =
        [("Content-Type", "application/x-www-form-urlencoded"), ("Accept", "text/html"), ("Content-Length", "10")];
    let answer = payer.ask("POST", super::COMMIT, &headers, b"amount=1e9").await;
    assert!(answer.status == 403 || answer.status == 400, "{}", answer.text());
    answer.text()
}

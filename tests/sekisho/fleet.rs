//! Operators and the gateways that share a ledger: LIM-39, OPS-12.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use sekisho::demo::bank::Bank;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::support::desk::{records, sekisho};
use crate::support::program::Program;
use crate::support::redis::RedisServer;
use crate::support::{Backend, Customer, LIMIT, Payer, Pki, Said, TestGateway, eventually};

const OPEN: &str = "[[rate-limit]]\nname = \"per-customer\"\nrate = \"100000/s\"\nburst = 100000\n";

/// A gateway beside us, and one in a process of its own, which can be killed.
struct Fleet {
    redis: RedisServer,
    pki: Pki,
    bank: Bank,
    stays: TestGateway,
    /// The files of the other one, and where they lie.
    files: Vec<PathBuf>,
    directory: Arc<tempfile::TempDir>,
}

impl Fleet {
    async fn prepare() -> Self {
        let (redis, pki) = (RedisServer::start(), Pki::fresh());
        let bank = Bank::open(TcpListener::bind("127.0.0.1:0").await.unwrap()).unwrap();
        let builder = || {
            let builder = TestGateway::builder().pki(&pki).upstream(format!("http://{}", bank.address()));
            builder.layer(OPEN).layer(redis.store())
        };
        let (directory, files) = builder().write(&Backend::start().await);
        let stays = builder().spawn().await;
        Self { redis, pki, bank, stays, files, directory }
    }

    fn payer(&self, address: std::net::SocketAddr) -> Payer {
        let identity = self.pki.issuing.customer("hanakodt");
        Payer::over_http1("hanakodt", Customer::new(address, &self.pki.web, Some(&identity)))
    }

    /// What `ledger members` says at the gateway that stays.
    async fn members(&self) -> Value {
        serde_json::from_str(&sekisho(&self.stays, &["ledger", "members", "--json"]).await.well()).unwrap()
    }

    /// The names of those members of which something is so.
    async fn named(&self, what: &str, is: bool) -> Vec<String> {
        let members = self.members().await;
        let rows = members["members"].as_array().unwrap().iter().filter(|member| member[what] == is);
        rows.map(|member| member["name"].as_str().unwrap().to_owned()).collect()
    }

    async fn write_off(&self, name: &str) -> crate::support::desk::Said {
        sekisho(&self.stays, &["ledger", "write-off", name, "--reason", "its disk is lost"]).await
    }

    /// Its clock stands still between; the other one's is the machine's.
    async fn until_money_moves(&self) {
        self.stays.clock.set(Timestamp::now());
        self.stays.operator.wait_for("sekisho_ledger_available", &[], 1.0).await;
    }
}

#[tokio::test]
async fn a_gateway_that_was_killed_is_written_off_and_harmless_when_it_comes_back() {
    let fleet = Fleet::prepare().await;
    let lost = Program::start(&fleet.files).await;
    eventually("two members", async || fleet.named("money_waits_for_it", false).await, |names| names.len() == 2).await;
    fleet.until_money_moves().await;
    lost.operator.wait_for("sekisho_ledger_available", &[], 1.0).await;
    assert_eq!(fleet.payer(lost.address).transfer(60_000_000).await, Said::done());
    let mut hanako = fleet.payer(fleet.stays.address());
    assert_eq!(hanako.transfer(10_000_000).await, Said::done());
    let log = fleet.directory.path().join("state/audit.jsonl");
    eventually("its audit log", async || records(&log, "transfer"), |told| !told.is_empty()).await;
    lost.kill();
    fleet.redis.flush();

    let waiting = eventually(
        "the one that is waited for",
        async || fleet.named("money_waits_for_it", true).await,
        |names| names.len() == 1,
    );
    let [gone] = waiting.await.try_into().unwrap();
    assert_eq!(hanako.transfer(1).await, Said::refused(503, "store_unavailable"));
    let shown = sekisho(&fleet.stays, &["ledger", "members"]).await.well();
    let row = |words: &[&str]| shown.lines().any(|line| line.split_whitespace().eq(words.iter().copied()));
    assert!(
        shown.starts_with("NO TRANSFER IS POSSIBLE: ") && shown.contains(&format!("waiting for {gone}")),
        "{shown}"
    );
    let [here] = fleet.named("is_this", true).await.try_into().unwrap();
    assert!(row(&[&gone, "another", "yes"]) && row(&[&here, "this", "one", "no"]), "{shown}");

    assert!(fleet.write_off(&here).await.failed().contains("this gateway itself"));
    let nobody = "019ab1c2d3e47f608192a3b4c5d6e7f8";
    assert!(fleet.write_off(nobody).await.failed().contains("no gateway of the name"));
    assert_eq!(hanako.transfer(1).await, Said::refused(503, "store_unavailable"));
    let said = fleet.write_off(&gone).await.well();
    assert!(said.contains(&format!("{gone} is written off")) && !said.contains("still waits"), "{said}");
    fleet.until_money_moves().await;
    assert_eq!(hanako.transfer(1).await, Said::done());
    assert_eq!(hanako.counted().await, 10_000_001, "what only the lost one knew");

    let acts = records(&fleet.stays.path("state/audit.jsonl"), "member_written_off");
    let told: Vec<_> =
        acts.iter().map(|act| (act["sekisho.member"].as_str().unwrap(), &act["event.outcome"])).collect();
    assert_eq!(told, [(here.as_str(), &"failure".into()), (nobody, &"failure".into()), (&gone, &"success".into())]);
    assert_eq!(acts[2]["event.reason"], "its disk is lost");
    assert!(acts[2]["sekisho.operator"].as_str().unwrap().starts_with("hana (uid "));
    assert!(records(&log, "transfer")[0]["sekisho.store.id"] == *gone);

    // It comes back after all: what it remembers counts again, and nothing is lost or moved twice.
    let back = Program::start(&fleet.files).await;
    back.operator.wait_for("sekisho_ledger_available", &[], 1.0).await;
    eventually("two members", async || fleet.named("money_waits_for_it", false).await, |names| names.len() == 2).await;
    fleet.until_money_moves().await;
    assert_eq!(hanako.counted().await, 70_000_001);
    assert_eq!(fleet.payer(back.address).transfer(LIMIT - 70_000_000).await, Said::refused(403, "over_ceiling"));
    assert_eq!(fleet.payer(back.address).transfer(LIMIT - 70_000_001).await, Said::done());
    assert_eq!(hanako.transfer(1).await, Said::refused(403, "over_ceiling"));
    let executed: i128 = fleet.bank.executed().iter().map(|order| order.amount).sum();
    assert_eq!(executed, i128::from(LIMIT));
    back.end();
}

#[tokio::test]
async fn a_ledger_that_is_not_shared_has_nobody_to_give_up() {
    let gateway = TestGateway::spawn().await;
    let said = sekisho(&gateway, &["ledger", "members"]).await.well();
    assert_eq!(said, "the ledger is this gateway's own: no other one shares it\n");
    let arguments = ["ledger", "write-off", "019ab1c2d3e47f608192a3b4c5d6e7f8", "--reason", "x"];
    assert!(sekisho(&gateway, &arguments).await.failed().contains("this gateway's own"));
    let control = gateway.path("state/control.sock");
    let control = control.to_str().unwrap();
    let said = sekisho_at(control, &["ledger", "members"]);
    assert_eq!(said, "the ledger is this gateway's own: no other one shares it\n", "no configuration is needed");
}

/// Asks a control socket by its name, in a directory without a configuration.
fn sekisho_at(control: &str, arguments: &[&str]) -> String {
    let nowhere = tempfile::tempdir().unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_sekisho"));
    let output = command.args(arguments).args(["--control", control]).current_dir(nowhere.path()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

//! Blocks in Redis: what the script numbers and refuses, with the rights that the README lists, and in a cluster.

use std::path::Path;
use std::sync::Arc;

use super::super::blocks::{LiftError, SharedBlocks};
use super::super::{Settings, blocks};
use super::server::{self, list};
use super::site::Site;
use crate::domain::{ContractId, LoginId};
use crate::operator::metrics::Metrics;
use crate::store::blocks::{ActError, Draft, Keeper, Subject};
use crate::store::contract::stand::{noon, run};

/// A gateway, as far as it blocks.
struct Gateway {
    keeper: Arc<Keeper>,
    shared: SharedBlocks,
}

impl Gateway {
    fn new(settings: &Settings, disk: &Path) -> Self {
        let metrics = Metrics::new(std::iter::empty()).unwrap();
        let keeper = Arc::new(Keeper::open(disk.to_owned(), true, &metrics).unwrap());
        let shared = SharedBlocks::open(settings, Arc::clone(&keeper)).unwrap();
        Self { keeper, shared }
    }

    fn bars(&self, login_id: &str) -> bool {
        let login_id = LoginId::parse(login_id).unwrap();
        self.keeper.board().blocks().bar(None, &login_id, &ContractId::alone(&login_id))
    }

    async fn block(&self, login_id: &str) {
        self.keeper.block(on(login_id)).unwrap();
        assert!(self.shared.share().await);
    }

    async fn until(&self, login_id: &str, is_barred: bool) {
        while self.bars(login_id) != is_barred {
            tokio::task::yield_now().await;
        }
    }

    fn number(&self, login_id: &str) -> u64 {
        self.keeper.entry(&on(login_id).subject).unwrap().number
    }
}

fn on(login_id: &str) -> Draft {
    let subject = Subject::LoginId(LoginId::parse(login_id).unwrap());
    Draft { subject, at: noon(), operator: "hana".into(), reason: "lost on the train".into() }
}

/// Everything that two gateways do with each other.
async fn use_in_every_way(settings: [&Settings; 2], disks: &Path, flush: impl Fn()) {
    let [one, other] = [0, 1].map(|at| Gateway::new(settings[at], &disks.join(format!("disk-{at}"))));
    one.block("hanakodt").await;
    other.until("hanakodt", true).await;
    other.block("tarokodt").await;
    assert!(other.number("tarokodt") > other.number("hanakodt"));
    // Both at once: one block of them holds, for both.
    one.keeper.block(on("jirokodt")).unwrap();
    // Unless it has heard of the first one already.
    drop(other.keeper.block(on("jirokodt")));
    assert!(one.shared.share().await && other.shared.share().await);
    assert_eq!(one.keeper.entry(&on("jirokodt").subject), other.keeper.entry(&on("jirokodt").subject));
    assert!(matches!(other.shared.lift(on("sachiko1")).await, Err(LiftError::Act(ActError::NotBlocked))));
    let lifted = other.shared.lift(on("hanakodt")).await.unwrap();
    assert!(lifted.number > other.number("jirokodt") && !other.bars("hanakodt"));
    one.until("hanakodt", false).await;
    flush();
    let numbers = |gateway: &Gateway| ["hanakodt", "tarokodt", "jirokodt"].map(|id| gateway.number(id));
    let before = numbers(&one);
    assert!(one.shared.share().await && other.shared.share().await && one.shared.share().await);
    assert_eq!((numbers(&one), numbers(&other)), (before, before), "nothing is numbered anew");
    assert!(!one.bars("hanakodt") && other.bars("tarokodt") && one.keeper.board().is_known());
    one.block("hanakodt").await;
    assert!(one.number("hanakodt") > lifted.number);
}

#[test]
fn the_rights_of_the_ledger_are_enough() {
    let site = Site::new();
    let few = site.settings_of_few_rights("a", &site.prefix);
    run(async {
        let flush = || drop(site.server.ask(&["FLUSHALL"]));
        use_in_every_way([&few, &few], site.directory.path(), flush).await;
        assert_eq!(list(&site.server.ask(&["ACL", "LOG"])), Vec::<redis::Value>::new());
        let another = Settings { prefix: "another".into(), ..few.clone() };
        let stranger = Gateway::new(&another, &site.path("stranger"));
        assert!(!stranger.shared.share().await && !stranger.keeper.board().is_known(), "no right, no standing");
    });
}

#[test]
fn a_cluster_shares_blocks() {
    let [holder, other] = server::cluster();
    let directory = tempfile::tempdir().unwrap();
    let prefix = server::some_prefix();
    let settings = [&[other, holder][..], &[holder][..]]
        .map(|servers| server::settings(servers, &prefix, &directory.path().join("journal")));
    run(async {
        let key = blocks::key(&settings[0]);
        let flush = || drop(holder.ask(&["DEL", &key]));
        use_in_every_way([&settings[0], &settings[1]], directory.path(), flush).await;
    });
}

/// A primary that became a replica does not know the latest act, and answers all the same.
#[test]
fn a_primary_that_became_a_replica_confirms_nothing() {
    let site = Site::new();
    run(async {
        let gateway = Gateway::new(&site.settings("a"), &site.path("disk"));
        assert!(gateway.shared.share().await);
        site.server.ask(&["REPLICAOF", "127.0.0.1", &server::free_port().to_string()]);
        assert!(!gateway.shared.share().await);
        site.server.ask(&["REPLICAOF", "NO", "ONE"]);
        assert!(gateway.shared.share().await);
    });
}

/// A failover to a replica that had not heard of the last acts.
#[test]
fn a_store_that_went_back_in_time_is_told_again() {
    let site = Site::new();
    run(async {
        let settings = site.settings("a");
        let [one, other] = ["one", "other"].map(|disk| Gateway::new(&settings, &site.path(disk)));
        one.block("hanakodt").await;
        one.block("tarokodt").await;
        let key = blocks::key(&settings);
        let earlier = list(&site.server.ask(&["HGETALL", &key]));
        one.shared.lift(on("hanakodt")).await.unwrap();
        one.block("jirokodt").await;
        other.until("jirokodt", true).await;
        let words: Vec<String> = earlier.iter().map(server::told).collect();
        let words: Vec<&str> =
            ["EVAL", "redis.call('DEL', KEYS[1]) return redis.call('HSET', KEYS[1], unpack(ARGV))", "1", &key]
                .into_iter()
                .chain(words.iter().map(String::as_str))
                .collect();
        site.server.ask(&words);
        assert!(one.shared.share().await && other.shared.share().await && one.shared.share().await);
        for gateway in [&one, &other] {
            assert!(!gateway.bars("hanakodt") && gateway.bars("tarokodt") && gateway.bars("jirokodt"));
        }
        let new = Gateway::new(&settings, &site.path("new"));
        assert!(!new.bars("hanakodt") && new.bars("tarokodt") && new.bars("jirokodt"));
    });
}

/// What cannot be read may be a block.
#[test]
fn what_is_stored_and_no_act_confirms_nothing() {
    let site = Site::new();
    run(async {
        let settings = site.settings("a");
        let gateway = Gateway::new(&settings, &site.path("disk"));
        assert!(gateway.shared.share().await);
        site.server.ask(&["HSET", &blocks::key(&settings), "contract:7", "1 {}", "#token", "new"]);
        assert!(!gateway.shared.share().await);
    });
}

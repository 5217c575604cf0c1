//! A Redis Cluster whose primary dies, and one whose slot moves: the ledger goes along (LIM-39).

use super::super::Settings;
use super::server::{self, RunningServer, list, told};
use super::site::{available, granted, over, refused, settlement, try_used, unavailable, until_refused_because, used};
use crate::store::Ledger;
use crate::store::contract::stand::{noon, run};
use crate::store::ledger::{Outcome, Verdict};

/// A cluster of this story's own.
struct Cluster {
    holder: RunningServer,
    other: RunningServer,
    prefix: String,
    journals: tempfile::TempDir,
}

impl Cluster {
    /// One node holds every slot, the other none.
    fn new() -> Self {
        let [holder, other] = server::new_cluster();
        Self { holder, other, prefix: server::some_prefix(), journals: tempfile::tempdir().unwrap() }
    }

    /// The other one is a replica.
    fn with_a_replica() -> Self {
        let cluster = Self::new();
        cluster.other.ask(&["CLUSTER", "REPLICATE", &name_of(&cluster.holder)]);
        cluster.other.until(&["INFO", "replication"], "master_link_status:up");
        cluster
    }

    fn gateway(&self, name: &str) -> Ledger {
        let journal = self.journals.path().join(name);
        let settings: Settings = server::settings(&[&self.holder, &self.other], &self.prefix, &journal);
        server::open(&settings, noon()).ledger
    }

    fn key(&self, rest: &str) -> String {
        format!("{{{}}}:{rest}", self.prefix)
    }

    /// The holder gives these keys to the other node.
    fn give(&self, keys: &[String]) {
        let port = self.other.port.to_string();
        let words = ["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
        self.holder.ask(&words.into_iter().chain(keys.iter().map(String::as_str)).collect::<Vec<_>>());
    }
}

/// What the cluster knows a node by.
fn name_of(node: &RunningServer) -> String {
    told(&node.ask(&["CLUSTER", "MYID"]))
}

/// What the replica never heard of is put back by those who remember it, and nobody spends before they have come: also where it
/// cannot be told by the number of reservations.
#[test]
fn a_replica_that_takes_a_dead_primarys_slots_over_is_told_what_it_missed() {
    for missed_grant in [None, Some(10)] {
        run(take_over(missed_grant));
    }
}

async fn take_over(missed_grant: Option<u64>) {
    let cluster = Cluster::with_a_replica();
    let (holder, replica) = (&cluster.holder, &cluster.other);
    let (first, second) = (cluster.gateway("a"), cluster.gateway("b"));
    available(&first).await;
    available(&second).await;
    granted(&first, 30).await;
    let order = granted(&first, 20).await;
    first.settle_and_wait(settlement(order.id, Outcome::Released)).await.unwrap();
    // From now on nothing reaches the replica.
    replica.send("-STOP");
    holder.ask(&["CLIENT", "KILL", "TYPE", "replica"]);
    first.correct(order.id, Verdict::Committed, "it was executed".into(), noon()).await.unwrap();
    if let Some(amount) = missed_grant {
        granted(&second, amount).await;
    }
    second.close().await;
    holder.send("-9");
    unavailable(&first).await;
    refused(&first).await;

    replica.send("-CONT");
    replica.ask(&["CLUSTER", "FAILOVER", "TAKEOVER"]);
    let waits_for_second = async || first.members().await.unwrap().iter().any(|member| !member.has_replayed);
    while !waits_for_second().await {
        assert!(!first.is_available(), "it moves money without the other one's journal");
        tokio::task::yield_now().await;
    }
    until_refused_because(&first, &format!("waiting for {}", second.mark().store)).await;
    drop(second);
    let second = cluster.gateway("b");
    available(&second).await;
    available(&first).await;
    let counted = 50 + missed_grant.unwrap_or_default();
    assert_eq!(used(&first).await, counted);
    over(&second, 101 - counted, counted).await;
    granted(&first, 100 - counted).await;
    over(&second, 1, 100).await;
}

/// While its keys are on their way no order finds an empty sum, and afterwards `MOVED` tells where they are.
#[test]
fn a_slot_that_moves_takes_the_ledger_along() {
    let cluster = Cluster::new();
    let (holder, other) = (&cluster.holder, &cluster.other);
    run(async {
        let gateway = cluster.gateway("a");
        available(&gateway).await;
        granted(&gateway, 60).await;
        let slot: u16 = redis::from_redis_value(holder.ask(&["CLUSTER", "KEYSLOT", &cluster.key("meta")])).unwrap();
        let slot = slot.to_string();
        other.ask(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &name_of(holder)]);
        holder.ask(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &name_of(other)]);
        cluster.give(&[cluster.key("sums:20130520")]);
        refused(&gateway).await;
        let rest = list(&holder.ask(&["CLUSTER", "GETKEYSINSLOT", &slot, "1000"]));
        cluster.give(&rest.iter().map(told).collect::<Vec<_>>());
        refused(&gateway).await;
        for node in [other, holder] {
            node.ask(&["CLUSTER", "SETSLOT", &slot, "NODE", &name_of(other)]);
        }
        let used = loop {
            match try_used(&gateway).await {
                Ok(used) => break used,
                Err(_) => tokio::task::yield_now().await,
            }
        };
        assert_eq!(used, 60);
        over(&gateway, 41, 60).await;
        granted(&gateway, 40).await;
    });
}

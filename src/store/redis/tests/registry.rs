//! The registry in Redis: one order of acts for all gateways, whole or not at all, and what Redis forgets is put back.

use std::path::Path;
use std::sync::Arc;

use super::super::registry::key;
use super::super::{Settings, SharedRegistry};
use super::server::{self, list};
use super::site::Site;
use crate::domain::{ContractId, LoginId, Role};
use crate::operator::metrics::Metrics;
use crate::store::RegistryActs;
use crate::store::contract::stand::{noon, run};
use crate::store::registry::{Access, ActError, Certificate, Done, Login, Registered, Registry, Sizes, certificate};

/// A gateway, as far as it knows customers.
struct Gateway {
    registry: Arc<Registry>,
    acts: RegistryActs,
}

impl Gateway {
    fn new(settings: &Settings, disk: &Path) -> Self {
        let metrics = Metrics::new(std::iter::empty()).unwrap();
        let registry = Arc::new(Registry::open(disk.to_owned(), true, &metrics).unwrap());
        let shared = SharedRegistry::open(settings, Arc::clone(&registry)).unwrap();
        let acts = RegistryActs::new(Arc::clone(&registry), Some(Arc::new(shared)));
        Self { registry, acts }
    }

    async fn add(&self, contract: &str) -> Result<(), ActError> {
        let id = contract_id(contract);
        self.acts.act(noon(), move |draft| draft.add_contract(id.clone(), None, Access::Password)).await
    }

    async fn put(&self, login_id: &str, contract: &str) -> Result<Done, ActError> {
        let login = Login { id: id(login_id), contract: contract_id(contract), role: Role::General };
        self.acts.act(noon(), move |draft| draft.put_login(login.clone(), false)).await
    }

    async fn register(&self, certificate: &Certificate) -> Result<Done, ActError> {
        let certificate = certificate.clone();
        self.acts.act(noon(), move |draft| draft.register(certificate.clone(), true)).await
    }

    async fn learn(&self, certificate: &Certificate) -> Result<Done, ActError> {
        self.acts.learn(certificate.clone(), noon()).await
    }

    fn sizes(&self) -> Sizes {
        self.registry.index().sizes()
    }

    async fn until(&self, is_so: impl Fn(&Registry) -> bool) {
        while !is_so(&self.registry) {
            tokio::task::yield_now().await;
        }
    }

    async fn until_sizes(&self, sizes: Sizes) {
        self.until(|registry| registry.index().sizes() == sizes).await;
    }

    /// Until a look that began after now has said that this is what is shared.
    async fn until_known(&self) {
        self.until(Registry::is_known).await;
    }

    fn is_own(&self, certificate: &Certificate) -> bool {
        self.registry.index().registered(&certificate.sha256, &certificate.login_id) == Registered::Active
    }
}

fn id(text: &str) -> LoginId {
    LoginId::parse(text).unwrap()
}

fn contract_id(text: &str) -> ContractId {
    ContractId::parse(text).unwrap()
}

const fn sizes(contracts: usize, login_ids: usize, certificates: usize) -> Sizes {
    Sizes { contracts, login_ids, certificates }
}

/// Everything that two gateways do with each other.
async fn use_in_every_way(settings: [&Settings; 2], disks: &Path, flush: impl Fn()) {
    let [one, other] = [0, 1].map(|at| Gateway::new(settings[at], &disks.join(format!("disk-{at}"))));
    one.add("tanaka").await.unwrap();
    // Drafted on what the other has not read: it reads, and drafts again.
    assert_eq!(other.put("hanakodt", "tanaka").await.unwrap(), Done::Added);
    assert!(matches!(other.add("tanaka").await, Err(ActError::ContractExists(_))));
    assert_eq!(one.put("hanakodt", "tanaka").await.unwrap(), Done::Unchanged);
    // Two certificates at once, one at each.
    for number in 0..5 {
        let login_id = format!("taro{number}");
        let [first, second] = [1, 2].map(|tag| certificate(&login_id, number * 2 + tag));
        let learned = tokio::join!(one.learn(&first), other.learn(&second));
        assert_eq!(u8::from(learned.0.is_ok()) + u8::from(learned.1.is_ok()), 1, "{learned:?}");
        let is_first = learned.0.is_ok();
        for gateway in [&one, &other] {
            gateway.until(|registry| registry.index().had_certificate(&id(&login_id))).await;
            assert_eq!((gateway.is_own(&first), gateway.is_own(&second)), (is_first, !is_first));
        }
    }
    one.until_sizes(sizes(1, 1, 5)).await;
    let new = certificate("hanakodt", 100);
    one.register(&new).await.unwrap();
    other.until(|registry| registry.index().active(&id("hanakodt")) == Some(new.sha256)).await;
    flush();
    // What Redis forgot comes from whoever looks first.
    one.add("ito").await.unwrap();
    other.until_sizes(sizes(2, 1, 6)).await;
    let third = Gateway::new(settings[0], &disks.join("disk-2"));
    third.until_sizes(sizes(2, 1, 6)).await;
    assert!(third.is_own(&new));
    // A process that was away reads on from where it was.
    drop(other);
    one.add("suzuki").await.unwrap();
    let other = Gateway::new(settings[1], &disks.join("disk-1"));
    other.until_sizes(sizes(3, 1, 6)).await;
    other.until_known().await;
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
        assert!(stranger.add("tanaka").await.is_err() && !stranger.registry.is_known(), "no right, no standing");
    });
}

#[test]
fn a_cluster_shares_the_registry() {
    let [holder, other] = server::cluster();
    let directory = tempfile::tempdir().unwrap();
    let prefix = server::some_prefix();
    let settings = [&[other, holder][..], &[holder][..]]
        .map(|servers| server::settings(servers, &prefix, &directory.path().join("journal")));
    run(async {
        let key = key(&settings[0]);
        let flush = || drop(holder.ask(&["DEL", &key]));
        use_in_every_way([&settings[0], &settings[1]], directory.path(), flush).await;
    });
}

/// An import of many entries in the log is seen whole, or not yet.
#[test]
fn a_long_act_is_in_force_as_a_whole() {
    let site = Site::new();
    run(async {
        let settings = site.settings("a");
        let [one, other] = ["one", "other"].map(|disk| Gateway::new(&settings, &site.path(disk)));
        let import = one.acts.act(noon(), |draft| {
            for number in 0..20_000_u32 {
                draft.add_contract(contract_id(&format!("c{number}")), None, Access::Certificate)?;
            }
            Ok(())
        });
        let watch = async {
            loop {
                let sizes = other.sizes();
                assert!([0, 20_000].contains(&sizes.contracts), "{sizes:?}");
                if sizes.contracts > 0 {
                    break;
                }
                tokio::task::yield_now().await;
            }
        };
        let (done, ()) = tokio::join!(import, watch);
        done.unwrap();
        let entries = site.server.ask(&["HLEN", &key(&settings)]);
        assert!(matches!(entries, redis::Value::Int(entries) if entries > 3), "{entries:?}");
        assert_eq!(one.sizes(), other.sizes());
        drop((one, other));
        let again = Gateway::new(&settings, &site.path("other"));
        assert_eq!(again.sizes().contracts, 20_000, "it lies on the disk");
    });
}

/// A gateway that died in the middle of a long act: it is passed over, by whoever is there and whoever comes.
#[test]
fn an_act_that_was_given_up_half_way_is_as_if_it_had_not_been() {
    let site = Site::new();
    run(async {
        let settings = site.settings("a");
        let one = Gateway::new(&settings, &site.path("one"));
        one.add("tanaka").await.unwrap();
        // Its time is long ago.
        let part = "part dead 1000\n7\tp\tcontract\tghost\t\tpassword\t";
        site.server.ask(&["HSET", &key(&settings), "1", part, "#end", "2"]);
        one.add("ito").await.unwrap();
        let new = Gateway::new(&settings, &site.path("new"));
        for gateway in [&one, &new] {
            gateway.until_sizes(sizes(2, 0, 0)).await;
            assert!(gateway.registry.index().contract(&contract_id("ghost")).is_none());
        }
    });
}

/// A failover to a replica that had not heard of the last acts.
#[test]
fn a_log_that_lost_its_end_gets_it_back() {
    let site = Site::new();
    run(async {
        let settings = site.settings("a");
        let [one, other] = ["one", "other"].map(|disk| Gateway::new(&settings, &site.path(disk)));
        for contract in ["tanaka", "ito", "suzuki"] {
            one.add(contract).await.unwrap();
        }
        let retired = certificate("hanakodt", 1);
        one.register(&retired).await.unwrap();
        let sha256 = retired.sha256;
        one.acts.act(noon(), move |draft| draft.retire(sha256)).await.unwrap();
        other
            .until(|registry| {
                registry.index().active(&id("hanakodt")).is_none() && registry.index().sizes().certificates == 1
            })
            .await;
        // The certificate and its retirement are forgotten.
        site.server.ask(&["HDEL", &key(&settings), "3", "4"]);
        site.server.ask(&["HSET", &key(&settings), "#end", "3"]);
        let third = Gateway::new(&settings, &site.path("third"));
        third.until(|registry| registry.index().registered(&sha256, &id("hanakodt")) == Registered::Retired).await;
        assert_eq!((one.sizes(), other.sizes()), (third.sizes(), third.sizes()));
    });
}

/// TLS-17: what is put back may end somebody's standing at a gateway that never heard of it.
#[test]
fn what_is_put_back_is_everybodys_business() {
    let site = Site::new();
    run(async {
        let settings = site.settings("a");
        let own = certificate("hanakodt", 1);
        let one = Gateway::new(&settings, &site.path("one"));
        one.register(&own).await.unwrap();
        drop(Gateway::new(&settings, &site.path("other")));
        let sha256 = own.sha256;
        one.acts.act(noon(), move |draft| draft.retire(sha256)).await.unwrap();
        drop(one);
        // The retirement is forgotten before the other one reads it.
        site.server.ask(&["HDEL", &key(&settings), "1"]);
        site.server.ask(&["HSET", &key(&settings), "#end", "1"]);
        let other = Gateway::new(&settings, &site.path("other"));
        other.until_known().await;
        assert!(other.is_own(&own));
        let generation = other.registry.generation();
        let _one = Gateway::new(&settings, &site.path("one"));
        other.until(|registry| registry.index().active(&own.login_id).is_none()).await;
        other.until(|registry| registry.generation() > generation).await;
    });
}

#[test]
fn what_cannot_be_read_is_no_registry() {
    let site = Site::new();
    run(async {
        let settings = site.settings("a");
        let gateway = Gateway::new(&settings, &site.path("disk"));
        gateway.add("tanaka").await.unwrap();
        let entry = "whole x y everybody\nsomething else";
        site.server.ask(&["HSET", &key(&settings), "1", entry, "#end", "2"]);
        assert!(gateway.add("ito").await.is_err());
        gateway.until(|registry| !registry.is_known()).await;
        // Nor is one on a server that is no primary any more.
        site.server.ask(&["HDEL", &key(&settings), "1"]);
        site.server.ask(&["HSET", &key(&settings), "#end", "1"]);
        gateway.until_known().await;
        site.server.ask(&["REPLICAOF", "127.0.0.1", &server::free_port().to_string()]);
        assert!(gateway.add("ito").await.is_err());
        gateway.until(|registry| !registry.is_known()).await;
    });
}

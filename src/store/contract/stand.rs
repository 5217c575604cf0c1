//! A ledger under test, with the verbs of the stories told about it.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::{Timestamp, ToSpan as _};

use crate::domain::{ContractId, JstDate, LoginId, RequestId, TransferId, Yen};
use crate::operator::metrics::Metrics;
use crate::store::Ledger;
use crate::store::embedded;
use crate::store::ledger::{
    Basis, Bounds, Claim, Debit, Decision, Denied, Entered, Entry, EntryKey, Grant, Holder, Lines, Mode, Order,
    Outcome, OverLimit, Renewal, Settlement, State, Term, Transfer,
};
use crate::store::redis::tests::server;

/// The stores that keep the contract.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Embedded,
    Redis,
    /// Reached through a server of the cluster that does not hold our keys.
    RedisCluster,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Embedded, Self::Redis, Self::RedisCluster];
}

/// Tells a story about each store.
pub(crate) fn each_store<F: Future<Output = ()>>(story: impl Fn(Stand) -> F) {
    for kind in Kind::ALL {
        run(story(Stand::new(kind)));
    }
}

pub(crate) fn run<T>(story: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(story)
}

/// A ledger and the clock beside it.
pub(crate) struct Stand {
    pub ledger: Ledger,
    pub now: Timestamp,
    kind: Kind,
    directory: tempfile::TempDir,
    /// What the keys of this story begin with, where the store is shared.
    prefix: String,
}

pub(crate) fn noon() -> Timestamp {
    "2013-05-20T12:00:00+09:00".parse().unwrap()
}

/// The fewest that there can be.
pub(crate) const RETENTION_DAYS: u16 = 40;

pub(crate) fn settings(path: PathBuf) -> embedded::Settings {
    let mut settings = embedded::Settings::new(path, Arc::new(Metrics::new(std::iter::empty()).unwrap()));
    settings.retry = Duration::from_millis(1);
    settings.retention_days = RETENTION_DAYS;
    settings
}

impl Stand {
    pub fn new(kind: Kind) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let prefix = server::some_prefix();
        let (ledger, recovered) = open(kind, &directory, &prefix, noon());
        assert!(recovered.is_empty());
        Self { ledger, now: noon(), kind, directory, prefix }
    }

    /// The process dies and comes back; what was reserved and nobody settled.
    pub async fn restart(&mut self) -> Vec<Transfer> {
        self.ledger.close().await;
        let (ledger, recovered) = open(self.kind, &self.directory, &self.prefix, self.now);
        self.ledger = ledger;
        recovered
    }

    pub fn today(&self) -> JstDate {
        JstDate::of(self.now)
    }

    pub fn pass(&mut self, seconds: i64) {
        self.now = self.now.checked_add(seconds.seconds()).unwrap();
    }

    /// An order of a login ID that is a contract of its own, with a ceiling of 100 for the day.
    pub fn order(&self, login_id: &str, amount: u64) -> Order {
        Order {
            id: RequestId::new().transfer(),
            holder: Holder::alone(&LoginId::parse(login_id).unwrap()),
            claim: Claim::Stated(yen(amount)),
            debits: vec![debit(self.today(), 100)],
            route: "furikomi".into(),
            at: self.now,
            token: None,
            bounds: bounds(),
            mode: Mode::Enforce,
        }
    }

    pub async fn reserve(&self, order: &Order) -> Decision {
        self.ledger.reserve(order.clone()).await.unwrap()
    }

    pub async fn granted(&self, order: &Order) -> Grant {
        match self.reserve(order).await {
            Decision::Granted(grant) => grant,
            Decision::Denied(denied) => panic!("{denied:?}"),
        }
    }

    pub async fn denied(&self, order: &Order) -> Denied {
        match self.reserve(order).await {
            Decision::Granted(grant) => panic!("{grant:?}"),
            Decision::Denied(denied) => denied,
        }
    }

    pub async fn settle(&self, order: &Order, outcome: Outcome) -> Option<State> {
        let settlement = Settlement { id: order.id, outcome, why: "test", at: self.now };
        self.ledger.settle_and_wait(settlement).await.unwrap()
    }

    /// Somebody else moves something, today.
    pub async fn somebody_moves(&self, amount: u64) {
        let order = self.order("tarokdt", amount);
        self.granted(&order).await;
        self.settle(&order, Outcome::Committed).await;
    }

    /// An amount under a key, for so long and no longer.
    pub async fn enter(&self, key: EntryKey, amount: u64, seconds: u64) -> Entered {
        let term = Term::Fixed(Duration::from_secs(seconds));
        self.ledger.enter(Entry { term, ..self.entry("hanakodt", key, amount) }).await.unwrap()
    }

    /// An amount in a session of the application that may wait for a hundred seconds; of such its owner may have three.
    pub fn entry(&self, owner: &str, key: EntryKey, amount: u64) -> Entry {
        let owner = LoginId::parse(owner).unwrap();
        let term = Term::WhileActive(Duration::from_secs(100));
        Entry { key, owner, lines: Lines::whole(yen(amount)), at: self.now, term, most: 3 }
    }

    /// A login ID is active, and the application's sessions wait for so long.
    pub fn renew_for(&self, login_id: &str, seconds: u64) {
        let (owner, lifetime) = (LoginId::parse(login_id).unwrap(), Duration::from_secs(seconds));
        self.ledger.renew(Renewal { owner, at: self.now, lifetime });
    }

    /// For a hundred seconds.
    pub fn renew(&self, login_id: &str) {
        self.renew_for(login_id, 100);
    }

    /// What counts for a login ID on a day.
    pub async fn used(&self, login_id: &str, basis: Basis, day: JstDate) -> u64 {
        let login_id = LoginId::parse(login_id).unwrap();
        let contract = ContractId::alone(&login_id);
        let statement = self.ledger.statement(contract, [login_id].into(), day).await.unwrap();
        statement.used.iter().find(|used| used.basis == basis).map_or(0, |used| used.amount.get())
    }

    pub async fn state(&self, id: TransferId) -> Option<State> {
        self.ledger.transfer(id).await.unwrap().map(|transfer| transfer.state)
    }
}

fn open(kind: Kind, directory: &tempfile::TempDir, prefix: &str, at: Timestamp) -> (Ledger, Vec<Transfer>) {
    let servers = match kind {
        Kind::Embedded => {
            let opened = embedded::open(&settings(directory.path().join("ledger.redb")), at).unwrap();
            return (opened.ledger, opened.recovered);
        }
        Kind::Redis => [server::plain()],
        Kind::RedisCluster => [&server::cluster()[1]],
    };
    let opened = server::open(&server::settings(&servers, prefix, &directory.path().join("journal.redb")), at);
    (opened.ledger, opened.recovered)
}

pub(crate) fn yen(amount: u64) -> Yen {
    Yen::new(amount).unwrap()
}

pub(crate) fn debit(day: JstDate, ceiling: u64) -> Debit {
    Debit { basis: Basis::Accepted, day, ceiling: yen(ceiling) }
}

pub(crate) fn bounds() -> Bounds {
    Bounds {
        in_flight_per_login_id: 10,
        in_flight_per_contract: 20,
        per_login_id: None,
        over_limit: OverLimit::Clamp,
        clock_tolerance: Duration::from_secs(5),
    }
}

/// Makes an order one of a company's.
pub(crate) fn within(mut order: Order, contract: &str, members: &[&str]) -> Order {
    order.holder.contract = ContractId::parse(contract).unwrap();
    order.holder.members = members.iter().map(|member| LoginId::parse(member).unwrap()).collect();
    order
}

//! A server and the gateways that share it, with the verbs of the stories told about them.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;

use super::super::{Opened, Password, Settings};
use super::server::{self, RunningServer};
use crate::domain::{ContractId, JstDate, LoginId, RequestId, TransferId};
use crate::store::Ledger;
use crate::store::contract::stand::{bounds, debit, noon, yen};
use crate::store::ledger::{
    Claim, Decision, Denied, Entry, EntryKey, Holder, Line, Lines, Mode, Order, Outcome, Renewal, Settlement, State,
    StoreError, Term, Whose,
};

const LOGIN_ID: &str = "hanakodt";

/// A server of this story's own, and what is needed to start it again.
pub(in crate::store) struct Site {
    pub directory: tempfile::TempDir,
    pub server: RunningServer,
    pub prefix: String,
    lives: u32,
}

impl Site {
    pub fn new() -> Self {
        Self::with(&[])
    }

    /// With more arguments for the server.
    pub fn with(arguments: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let arguments = [&["--appendonly", "yes"], arguments].concat();
        let server = RunningServer::start(directory.path(), &arguments);
        Self { directory, server, prefix: server::some_prefix(), lives: 0 }
    }

    /// The server dies, without a last word.
    pub fn kill(&self) {
        self.server.send("-9");
    }

    /// It is started again, with what it wrote to its disk.
    pub fn start_again(&mut self) {
        let port = self.server.port;
        self.server = RunningServer::start_on(port, self.directory.path(), &["--appendonly", "yes"]);
    }

    /// It is started again on an empty disk.
    pub fn start_empty(&mut self) {
        self.lives += 1;
        let directory = self.path(&format!("disk{}", self.lives));
        std::fs::create_dir(&directory).unwrap();
        let port = self.server.port;
        self.server = RunningServer::start_on(port, &directory, &["--appendonly", "yes"]);
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn settings(&self, gateway: &str) -> Settings {
        server::settings(&[&self.server], &self.prefix, &self.path(gateway))
    }

    /// The settings of a gateway that Redis knows as a user with no more rights than the README lists, on the keys that begin
    /// with this.
    pub fn settings_of_few_rights(&self, gateway: &str, prefix: &str) -> Settings {
        let readme = include_str!("../../../../README.md");
        let (_, rights) = readme.split_once("`~{sekisho}:* ").unwrap();
        let (rights, _) = rights.split_once('`').unwrap();
        let keys = format!("~{{{prefix}}}:*");
        let words = ["ACL", "SETUSER", "gateway", "on", ">hunter2", &keys];
        self.server.ask(&words.into_iter().chain(rights.split_whitespace()).collect::<Vec<_>>());
        let (username, password) = (Some("gateway".into()), Some(Password::new("hunter2".into())));
        Settings { username, password, ..self.settings(gateway) }
    }

    /// A gateway with a journal of this name.
    pub fn gateway(&self, name: &str) -> Ledger {
        self.opened(name).ledger
    }

    /// Two of them, when money may move.
    pub async fn both(&self) -> (Ledger, Ledger) {
        let (first, second) = (self.gateway("a"), self.gateway("b"));
        available(&first).await;
        available(&second).await;
        (first, second)
    }

    pub fn opened(&self, name: &str) -> Opened {
        server::open(&self.settings(name), noon())
    }
}

/// Of a customer with a limit of 100.
pub(in crate::store) fn order(amount: u64) -> Order {
    Order {
        id: RequestId::new().transfer(),
        holder: Holder::alone(&LoginId::parse(LOGIN_ID).unwrap()),
        claim: Claim::Stated(yen(amount)),
        debits: vec![debit(today(), 100)],
        route: "furikomi".into(),
        at: noon(),
        token: None,
        bounds: bounds(),
        mode: Mode::Enforce,
    }
}

/// Of the same customer, on two lines, in a session that may wait for a hundred seconds.
pub(in crate::store) fn entry(key: EntryKey, amount: u64) -> Entry {
    let (owner, term) = (LoginId::parse(LOGIN_ID).unwrap(), Term::WhileActive(Duration::from_secs(100)));
    let lines = [(Line::named("first"), yen(amount - amount / 2)), (Line::named("second"), yen(amount / 2))];
    Entry { key, owner, lines: Lines::of(lines).unwrap(), at: noon(), term, most: 3 }
}

/// The customer is active so many seconds later.
pub(in crate::store) fn renewal(seconds: u64) -> Renewal {
    let lifetime = Duration::from_secs(100);
    Renewal { owner: LoginId::parse(LOGIN_ID).unwrap(), at: noon() + Duration::from_secs(seconds), lifetime }
}

pub(in crate::store) fn today() -> JstDate {
    JstDate::of(noon())
}

pub(in crate::store) fn settlement(id: TransferId, outcome: Outcome) -> Settlement {
    Settlement { id, outcome, why: "test", at: noon() }
}

/// Money must not move.
pub(in crate::store) async fn refused(gateway: &Ledger) -> String {
    match gateway.reserve(order(1)).await {
        Err(StoreError::Unavailable(why)) => why,
        other => panic!("{other:?}"),
    }
}

/// Money must not move, and before long for this reason.
pub(in crate::store) async fn until_refused_because(gateway: &Ledger, reason: &str) {
    while !refused(gateway).await.contains(reason) {
        tokio::task::yield_now().await;
    }
}

/// An order that must be granted, now.
pub(in crate::store) async fn granted(gateway: &Ledger, amount: u64) -> Order {
    let order = order(amount);
    let decision = gateway.reserve(order.clone()).await;
    assert!(matches!(decision, Ok(Decision::Granted(_))), "{decision:?}");
    order
}

/// An order that must be denied because so much is used.
pub(in crate::store) async fn over(gateway: &Ledger, amount: u64, used: u64) {
    let denied = Denied::OverLimit { whose: Whose::Contract, day: today(), limit: yen(100), used: yen(used) };
    assert_eq!(gateway.reserve(order(amount)).await, Ok(Decision::Denied(denied)));
}

/// Waits until money may move.
pub(in crate::store) async fn available(gateway: &Ledger) {
    while !gateway.is_available() {
        tokio::task::yield_now().await;
    }
}

/// Waits until the gateway has noticed that something is wrong.
pub(in crate::store) async fn unavailable(gateway: &Ledger) {
    while gateway.is_available() {
        tokio::task::yield_now().await;
    }
}

/// What counts today.
pub(in crate::store) async fn used(gateway: &Ledger) -> u64 {
    try_used(gateway).await.unwrap()
}

/// The same, where the store may be away.
pub(in crate::store) async fn try_used(gateway: &Ledger) -> Result<u64, StoreError> {
    let login_id = LoginId::parse(LOGIN_ID).unwrap();
    let contract = ContractId::alone(&login_id);
    let statement = gateway.statement(contract, [login_id].into(), today()).await?;
    Ok(statement.used.iter().map(|used| used.amount.get()).sum())
}

pub(in crate::store) async fn state(gateway: &Ledger, id: TransferId) -> Option<State> {
    gateway.transfer(id).await.unwrap().map(|transfer| transfer.state)
}

/// What an operator accepts.
pub(in crate::store) fn now() -> Timestamp {
    noon()
}

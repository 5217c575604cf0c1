//! Stories about money: customers before the real gateway, and behind it the stand-in bank, which executes whatever
//! reaches it. Its books are the truth.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Time;
use sekisho::demo::bank::{Bank, OrderClass, Switches};
use sekisho::domain::{Clock, JstDate, ManualClock};
use sekisho::operator::audit;
use serde_json::Value;
use tokio::net::TcpListener;

use super::gateway::{Builder, UNBOUND};
use super::payer::Payer;
use super::{Answer, Customer, Pki, TestGateway};

/// The shipped ceiling.
pub const LIMIT: u64 = 100_000_000;

/// The shipped transfer.
pub const COMMIT: &str = "/ib/transfer/commit.do";

/// No rate is limited, so that the ledger alone decides, however fast the machine is; `rates` tells of rates.
const UNLIMITED: &str = "[[rate-limit]]\nname = \"per-customer\"\nrate = \"100000/s\"\nburst = 100000\n";

/// The payee of every transfer, and the customer's account: no log may tell them.
const PRIVATE: [&str; 3] = ["yamada", "7654321", "himitsu"];

/// How a story begins.
#[derive(Debug)]
pub struct Plan {
    layers: Vec<String>,
    workers: usize,
    clock: Arc<ManualClock>,
    bank_clock: Arc<ManualClock>,
    switches: Switches,
    ceiling: Option<u64>,
    pki: Option<Pki>,
}

impl Plan {
    /// More configuration, laid over the shipped one.
    pub fn layer(mut self, toml: impl Into<String>) -> Self {
        self.layers.push(toml.into());
        self
    }

    /// Sessions of the bank belong to nobody: where they are not the story, or live longer than one would.
    pub fn unbound(self) -> Self {
        self.layer(UNBOUND)
    }

    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// A ceiling of its own.
    pub fn ceiling(mut self, yen: u64) -> Self {
        self.ceiling = Some(yen);
        self.layer(format!("[transfer]\nceiling = [{{ from = \"2013-05-20\", yen = {yen} }}]\n"))
    }

    /// The ceiling is not going to hold, and that is the story.
    pub fn without_ceiling(mut self) -> Self {
        self.ceiling = None;
        self
    }

    /// The time in Japan at the beginning, instead of noon.
    pub fn at(self, time: &str) -> Self {
        let moment = moment_of(JstDate::of(self.clock.now()), time);
        self.clock.set(moment);
        self.bank_clock.set(moment);
        self
    }

    /// It begins at noon in Japan on that day, when customers had certificates with this subject.
    pub fn on(mut self, day: &str, subject: fn(&str) -> Vec<u8>) -> Self {
        let moment = moment_of(JstDate::parse(day).unwrap(), "12:00:00");
        self.clock.set(moment);
        self.bank_clock.set(moment);
        self.pki = Some(Pki::at(moment, subject));
        self
    }

    /// The bank has a clock of its own, which goes on from where it is now.
    pub fn two_clocks(mut self) -> Self {
        self.bank_clock = Arc::new(ManualClock::at(self.clock.now()));
        self
    }

    /// Another application.
    pub fn bank(mut self, change: impl FnOnce(&mut Switches)) -> Self {
        change(&mut self.switches);
        self
    }

    /// The day on which it begins.
    pub fn today(&self) -> JstDate {
        JstDate::of(self.clock.now())
    }

    pub async fn open(self) -> MoneyStory {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let bank = Bank::open_at(listener, Arc::clone(&self.bank_clock) as _).unwrap();
        bank.switch(|switches| *switches = self.switches);
        let Self { layers, workers, clock, bank_clock, ceiling, pki, .. } = self;
        let builder = TestGateway::builder().workers(workers);
        let builder = pki.iter().fold(builder, Builder::pki);
        let gateway = behind(builder, &clock, &bank, &layers).spawn().await;
        MoneyStory { gateway, bank: Arc::new(bank), clock, bank_clock, layers, ceiling }
    }
}

fn behind(builder: Builder, clock: &Arc<ManualClock>, bank: &Bank, layers: &[String]) -> Builder {
    let builder = builder.clock(clock).upstream(format!("http://{}", bank.address()));
    layers.iter().fold(builder, |builder, layer| builder.layer(layer))
}

/// A gateway in front of the bank.
pub struct MoneyStory {
    pub gateway: TestGateway,
    pub bank: Arc<Bank>,
    pub clock: Arc<ManualClock>,
    pub bank_clock: Arc<ManualClock>,
    layers: Vec<String>,
    ceiling: Option<u64>,
}

impl MoneyStory {
    /// The shipped configuration without its rate limit, at noon on a day that certificates and lists of the tests are good for.
    pub fn plan() -> Plan {
        let tomorrow = JstDate::of(Timestamp::now()).plus_days(1);
        let clock = Arc::new(ManualClock::at(moment_of(tomorrow, "12:00:00")));
        let bank_clock = Arc::clone(&clock);
        let (switches, ceiling) = (Switches::default(), Some(LIMIT));
        Plan { layers: vec![UNLIMITED.to_owned()], workers: 1, clock, bank_clock, switches, ceiling, pki: None }
    }

    pub async fn begin() -> Self {
        Self::plan().open().await
    }

    pub async fn with(layer: impl Into<String>) -> Self {
        Self::plan().layer(layer).open().await
    }

    /// Today in Japan, by the gateway's clock.
    pub fn today(&self) -> JstDate {
        JstDate::of(self.clock.now())
    }

    /// Puts both clocks to a time of that day.
    pub fn set_time(&self, day: JstDate, time: &str) {
        self.clock.set(moment_of(day, time));
        self.bank_clock.set(moment_of(day, time));
    }

    /// Time goes on for everybody.
    pub fn advance(&self, seconds: i64) {
        self.clock.advance(seconds);
        if !Arc::ptr_eq(&self.clock, &self.bank_clock) {
            self.bank_clock.advance(seconds);
        }
    }

    /// A customer with a certificate of its own for this login ID, at its own PC.
    pub fn payer(&self, login_id: &str) -> Payer {
        Payer::over_http1(login_id, self.gateway.enrol(login_id))
    }

    /// The same, speaking HTTP/2.
    pub fn payer_over_http2(&self, login_id: &str) -> Payer {
        Payer::over_http2(login_id, self.gateway.enrol(login_id))
    }

    /// One of each: what is said to one version of HTTP holds for the other.
    pub fn payers(&self, login_id: &str) -> [Payer; 2] {
        [self.payer(login_id), self.payer_over_http2(login_id)]
    }

    pub fn customer(&self, login_id: &str) -> Customer {
        self.gateway.enrol(login_id)
    }

    /// The amounts that the bank executed, in order.
    pub fn executed(&self) -> Vec<i128> {
        self.bank.executed().iter().map(|order| order.amount).collect()
    }

    /// What the bank executed for a contract today.
    pub fn executed_today(&self, contract: &str) -> u64 {
        self.bank.executed_sum(contract, self.today())
    }

    /// How many transfers came into this state.
    pub async fn transfers(&self, state: &str) -> f64 {
        self.gateway.operator.metric("sekisho_transfers_total", &[("state", state)]).await
    }

    /// Waits until so many came into this state, and makes sure that no more did.
    pub async fn until_transfers(&self, state: &str, count: f64) {
        self.gateway.operator.wait_for("sekisho_transfers_total", &[("state", state)], count).await;
        assert_eq!(self.transfers(state).await, count, "{state}");
    }

    /// The bank has not executed more for a contract on a day than it may.
    pub fn assert_truth(&self, contract: &str, day: JstDate, limit: u64) {
        let sum = self.bank.executed_sum(contract, day);
        assert!(sum <= limit, "{contract} moved {sum} on {day}, and may move {limit}: {:#?}", self.bank.executed());
    }

    /// Nothing was sent to the bank.
    pub fn assert_bank_untouched(&self) {
        assert_eq!(self.bank.received(), 0, "{:#?}", self.bank.last());
    }

    /// The ledger counts exactly what the bank executed for this login ID today.
    pub async fn assert_counted(&self, payer: &mut Payer, yen: u64) {
        assert_eq!((self.executed_today(payer.login_id()), payer.counted().await), (yen, yen), "executed, counted");
    }

    /// Ends the gateway and starts another one like it on its directory.
    pub async fn restart(self) -> Self {
        let builder = behind(TestGateway::builder().after(&self.gateway), &self.clock, &self.bank, &self.layers);
        self.gateway.drain().await;
        Self { gateway: builder.spawn().await, ..self }
    }

    /// The same with more configuration.
    pub async fn restart_with(mut self, layer: &str) -> Self {
        self.layers.push(layer.to_owned());
        self.restart().await
    }

    /// Ends the gateway, holds its audit log against the bank's books, and returns the log.
    pub async fn close(self) -> Vec<Value> {
        let directory = self.gateway.directory();
        self.gateway.drain().await;
        let log = read_audit(directory.path());
        assert_told(&log, &self.bank);
        let orders = self.bank.executed();
        if let Some(ceiling) = self.ceiling {
            for order in &orders {
                let sum = self.bank.executed_sum(&order.contract, order.day);
                assert!(sum <= ceiling, "{} moved {sum} on {}: {orders:#?}", order.contract, order.day);
            }
        }
        log
    }
}

/// That time in Japan.
pub fn moment_of(day: JstDate, time: &str) -> Timestamp {
    let time: Time = time.parse().unwrap();
    day.begins_at() + time.duration_since(Time::midnight())
}

/// The audit log of a gateway that has ended: its chain is whole, and nothing private stands in it.
pub fn read_audit(directory: &std::path::Path) -> Vec<Value> {
    let file = directory.join("state/audit.jsonl");
    let text = std::fs::read_to_string(&file).unwrap();
    for private in PRIVATE {
        assert!(!text.contains(private), "{private} in {text}");
    }
    if !text.is_empty() {
        let verified = audit::verify::verify(&[file], None).unwrap();
        assert_eq!((verified.unfinished, verified.recoveries.len()), (None, 0));
    }
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Each transfer that the bank executed stands in the log under its request's name, with at least that amount, as done
/// or as unknown.
fn assert_told(log: &[Value], bank: &Bank) {
    let mut executed: BTreeMap<String, i128> = BTreeMap::new();
    for order in bank.executed().iter().filter(|order| order.class == OrderClass::Transfer) {
        *executed.entry(order.request_id.clone().unwrap_or_default()).or_default() += order.amount;
    }
    for (request, amount) in executed {
        let told = log.iter().any(|line| {
            line["sekisho.transfer.id"] == request.as_str()
                && (line["sekisho.transfer.state"] == "committed" || line["sekisho.transfer.state"] == "unknown")
                && i128::from(line["sekisho.amount"].as_u64().unwrap_or_default()) >= amount
        });
        assert!(told, "{request}, {amount} yen, is not told in {log:#?}");
    }
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// The bank sends the customer to this path.
    To(String),
    /// The bank shows the screen with this ID.
    Screen(String),
    /// The gateway refuses: status and code.
    Refused(u16, String),
    /// Anything else.
    Other(u16),
}

impl Said {
    pub fn of(answer: &Answer) -> Self {
        let content_type = answer.header("Content-Type").unwrap_or_default();
        if content_type == "application/problem+json" {
            return Self::Refused(answer.status, answer.json()["code"].as_str().unwrap().to_owned());
        }
        if let (302, Some(location)) = (answer.status, answer.header("Location")) {
            return Self::To(location.split(['?', ';']).next().unwrap().to_owned());
        }
        let page = String::from_utf8_lossy(&answer.body);
        let screen = page.split_once("<p>B").and_then(|(_, rest)| rest.split_once("</p>"));
        screen.map_or(Self::Other(answer.status), |(id, _)| Self::Screen(format!("B{id}")))
    }

    /// What the bank says to a transfer that it executed.
    pub fn done() -> Self {
        Self::To("/ib/transfer/done.do".to_owned())
    }

    /// The bank's page for what it did not do.
    pub fn failed() -> Self {
        Self::Screen("BTRE900".to_owned())
    }

    pub fn refused(status: u16, code: &str) -> Self {
        Self::Refused(status, code.to_owned())
    }
}

//! The compiled program, killed without a warning while the bank works: nothing is forgotten (LIM-15, A37).

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use sekisho::demo::bank::{Bank, Fault, Gate, Order};
use sekisho::domain::JstDate;
use tokio::net::TcpListener;

use crate::support::bank::read_audit;
use crate::support::desk::{lose, records, transfer};
use crate::support::program::Program;
use crate::support::redis::RedisServer;
use crate::support::{Backend, Customer, LIMIT, Payer, Pki, Said, TestGateway, eventually, settled};

/// No rate is limited: the ledger alone decides.
const UNLIMITED: &str = "[[rate-limit]]\nname = \"per-customer\"\nrate = \"100000/s\"\nburst = 100000\n";

/// Everything that outlives the program.
struct Surroundings {
    bank: Arc<Bank>,
    /// Where the ledger is not a file of the program's own.
    redis: Option<RedisServer>,
    pki: Pki,
    directory: Arc<tempfile::TempDir>,
    files: Vec<PathBuf>,
}

impl Surroundings {
    async fn prepare() -> Self {
        Self::prepare_with("workers = 1").await
    }

    /// With more configuration.
    async fn prepare_with(layer: &str) -> Self {
        let bank = Arc::new(Bank::open(TcpListener::bind("127.0.0.1:0").await.unwrap()).unwrap());
        let pki = Pki::fresh();
        let builder = TestGateway::builder().pki(&pki).upstream(format!("http://{}", bank.address())).layer(layer);
        let (directory, files) = builder.write(&Backend::start().await);
        Self { bank, redis: None, pki, directory, files }
    }

    /// With the ledger in a Redis.
    async fn prepare_beside_redis() -> Self {
        let redis = RedisServer::start_used();
        let around = Self::prepare_with(&format!("workers = 1\n{UNLIMITED}{}", redis.store())).await;
        Self { redis: Some(redis), ..around }
    }

    /// Starts the program; when this returns, money may move.
    async fn start(&self) -> Program {
        let program = Program::start(&self.files).await;
        program.operator.wait_for("sekisho_ledger_available", &[], 1.0).await;
        program
    }

    fn customer(&self, program: &Program, login_id: &str) -> Customer {
        let identity = self.pki.issuing.customer(login_id);
        Customer::new(program.address, &self.pki.web, Some(&identity))
    }

    fn payer(&self, program: &Program, login_id: &str) -> Payer {
        Payer::over_http1(login_id, self.customer(program, login_id))
    }

    /// Asks the program to end, and returns what it told of each executed order under its request's name.
    fn end(&self, program: Program) -> Vec<(i128, Vec<String>)> {
        program.end();
        let log = read_audit(self.directory.path());
        let told = |order: Order| {
            let of_order = log.iter().filter(|line| {
                line["sekisho.transfer.id"] == order.request_id.as_deref().unwrap()
                    && line["sekisho.amount"] == u64::try_from(order.amount).unwrap()
            });
            let states = of_order.map(|line| line["sekisho.transfer.state"].as_str().unwrap().to_owned());
            (order.amount, states.collect())
        };
        self.bank.executed().into_iter().map(told).collect()
    }
}

#[tokio::test]
async fn a_transfer_under_way_when_the_program_is_killed_counts_as_unknown() {
    kill_while_the_bank_works(Surroundings::prepare().await).await;
}

/// Granted in Redis, in the journal, and with the bank.
#[tokio::test]
async fn a_transfer_under_way_when_a_program_with_redis_is_killed_counts_as_unknown() {
    kill_while_the_bank_works(Surroundings::prepare_beside_redis().await).await;
}

async fn kill_while_the_bank_works(around: Surroundings) {
    let program = around.start().await;
    assert_eq!(around.payer(&program, "hanakodt").transfer(1_000).await, Said::done());
    let gate = Gate::shut();
    let mut held = Vec::new();
    let faults = [Fault::HoldRequest(gate.clone()), Fault::HoldAnswer(gate.clone())];
    for (login_id, fault) in ["hanakodt", "tarokodt"].into_iter().zip(faults) {
        around.bank.fail_next(fault);
        let mut payer = around.payer(&program, login_id);
        held.push(tokio::spawn(async move { payer.transfer(70_000_000).await }));
        gate.arrived(held.len() as u64).await;
    }
    program.kill();
    gate.open();
    around.bank.until_executed(3).await;
    for held in held {
        assert!(held.await.is_err(), "nobody was answered");
    }

    let program = around.start().await;
    let (mut hanako, mut taro) = (around.payer(&program, "hanakodt"), around.payer(&program, "tarokodt"));
    assert_eq!((hanako.counted().await, taro.counted().await), (70_001_000, 70_000_000));
    assert!(program.operator.metric("sekisho_reservations", &[("state", "unknown")]).await >= 2.0);
    assert_eq!(hanako.transfer(30_000_000).await, Said::refused(403, "over_ceiling"));
    assert_eq!(taro.transfer(30_000_000).await, Said::done());
    let told = around.end(program);
    for (amount, states) in &told {
        let expected = if *amount == 70_000_000 { "unknown" } else { "committed" };
        assert!(states.iter().any(|state| state == expected), "{told:?}");
    }
    for days in [-1, 0] {
        for contract in ["hanakodt", "tarokodt"] {
            let day = JstDate::of(Timestamp::now()).plus_days(days);
            assert!(around.bank.executed_sum(contract, day) <= LIMIT);
        }
    }
}

/// One customer at every step between the first byte of an order and the last of its answer; then the program dies. Whatever the
/// bank executed counts, and what was never asked for does not.
#[tokio::test]
async fn at_whatever_step_the_program_dies_the_ledger_counts_what_the_bank_executed() {
    let layer = "[upstream]\nmax-connections = 3\nconnect-timeout = \"30s\"\n";
    let around = Surroundings::prepare_with(layer).await;
    for round in 1..=3 {
        let program = around.start().await;
        let before = around.bank.executed().len();
        let at = |step: &str| around.payer(&program, &format!("{step}{round}"));
        let (mut settled, arrived, executed) = (at("settled"), at("arrived"), at("executed"));
        let (answering, waiting) = (at("answering"), at("waiting"));
        assert_eq!(settled.transfer(1_000).await, Said::done());
        // The bank holds the order, the order executed, and half of its answer.
        let gate = Gate::shut();
        let faults = [Fault::HoldRequest(gate.clone()), Fault::HoldAnswer(gate.clone()), Fault::HoldHalf(gate.clone())];
        let mut held = Vec::new();
        for (payer, fault) in [&arrived, &executed, &answering].into_iter().zip(faults) {
            around.bank.fail_next(fault);
            let mut tab = payer.tab();
            held.push(tokio::spawn(async move { tab.transfer(70_000_000).await }));
            gate.arrived(held.len() as u64).await;
        }
        // Reserved, and no connection to leave by.
        let mut tab = waiting.tab();
        held.push(tokio::spawn(async move { tab.transfer(70_000_000).await }));
        program.operator.wait_for("sekisho_transfers_total", &[("state", "reserved")], 5.0).await;
        // Read in part.
        let mut half = around.customer(&program, &format!("reading{round}")).connect().await;
        let head = "POST /ib/transfer/commit.do HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n                    Content-Type: application/x-www-form-urlencoded\r\n\r\namount=70000000";
        half.send_raw(head.as_bytes()).await.unwrap();

        program.kill();
        gate.open();
        for held in held {
            assert!(held.await.is_err(), "nobody was answered");
        }
        // Dead or not, the bank executes what it has.
        around.bank.until_executed(before + 4).await;

        let program = around.start().await;
        for (step, counts) in [
            ("settled", 1_000),
            ("reading", 0),
            ("arrived", 70_000_000),
            ("executed", 70_000_000),
            ("answering", 70_000_000),
            ("waiting", 70_000_000),
        ] {
            let login_id = format!("{step}{round}");
            let mut payer = around.payer(&program, &login_id);
            assert_eq!(payer.counted().await, counts, "{login_id}");
            let today = JstDate::of(Timestamp::now());
            let sum: i128 =
                [-1, 0].map(|days| i128::from(around.bank.executed_sum(&login_id, today.plus_days(days)))).iter().sum();
            assert!(sum <= i128::from(counts), "{login_id}: {sum}");
        }
        let told = around.end(program);
        assert_eq!(told.len(), before + 4);
        assert!(told.iter().all(|(_, states)| !states.is_empty()), "{told:?}");
    }
}

/// However soon after the bank's or its own answer the program dies, the order counts and stands in the log.
#[tokio::test]
async fn what_was_executed_is_told_however_soon_the_program_dies() {
    let around = Surroundings::prepare().await;
    for number in 1..=12_u64 {
        let program = around.start().await;
        let mut hanako = around.payer(&program, "hanakodt");
        hanako.get("/ib/menu.do").await;
        let transfer = tokio::spawn(async move { hanako.transfer(number).await });
        if number % 2 == 0 {
            assert_eq!(transfer.await.unwrap(), Said::done());
            program.kill();
        } else {
            around.bank.until_executed(usize::try_from(number).unwrap()).await;
            program.kill();
            // Answered or not.
            let _ = transfer.await;
        }
    }
    let program = around.start().await;
    assert_eq!(around.payer(&program, "hanakodt").counted().await, (1..=12).sum::<u64>());
    let told = around.end(program);
    assert_eq!(told.len(), 12);
    assert!(told.iter().all(|(_, states)| !states.is_empty()), "{told:?}");
}

/// Customers in a hurry, and a program that dies again and again among them, wherever each of them is: what the bank executed
/// counts in Redis, and after Redis has lost everything too.
#[tokio::test]
async fn whenever_a_program_with_redis_dies_no_less_is_counted_than_the_bank_executed() {
    let around = Surroundings::prepare_beside_redis().await;
    let names: Vec<String> = (0..6).map(|number| format!("hanako{number}")).collect();
    for more in [1, 23, 8, 36] {
        let program = around.start().await;
        let before = around.bank.executed().len();
        let hurrying: Vec<_> = names.iter().map(|name| tokio::spawn(hurry(around.payer(&program, name)))).collect();
        around.bank.until_executed(before + more).await;
        program.kill();
        for hurrying in hurrying {
            assert!(hurrying.await.is_err(), "it ends with the program");
        }
    }
    // Dead or not, the bank executes what it has.
    settled(|| around.bank.executed().len()).await;

    let program = around.start().await;
    let today = JstDate::of(Timestamp::now());
    for has_lost_everything in [false, true] {
        if has_lost_everything {
            around.redis.as_ref().unwrap().flush();
        }
        for name in &names {
            let mut payer = around.payer(&program, name);
            let answer = async || payer.transfer(LIMIT + 1).await;
            eventually("the ledger", answer, |said| *said == Said::refused(403, "over_ceiling")).await;
            let counted = payer.counted().await;
            let executed: u64 = [-1, 0].iter().map(|days| around.bank.executed_sum(name, today.plus_days(*days))).sum();
            assert!(executed > 0 && executed <= counted, "{name}: {executed} executed, {counted} counted");
        }
    }
    let told = around.end(program);
    assert!(told.iter().all(|(_, states)| !states.is_empty()), "{told:?}");
}

/// Moves a little more each time, until nobody answers.
async fn hurry(mut payer: Payer) {
    for yen in 1.. {
        assert_eq!(payer.transfer(yen).await, Said::done());
    }
}

/// What a process that is killed takes with it: the end of its audit log, from the first line on that says this.
fn lose_the_end(log: &Path, from: &str) {
    let text = fs::read_to_string(log).unwrap();
    let kept: Vec<&str> = text.split_inclusive('\n').take_while(|line| !line.contains(from)).collect();
    assert!(kept.concat().len() < text.len(), "{from} is not in {text}");
    fs::write(log, kept.concat()).unwrap();
}

/// The ledger may be on the disk when the audit log is not yet.
#[tokio::test]
async fn what_the_ledger_settled_and_the_log_lost_is_told_at_the_next_start() {
    let redis = RedisServer::start();
    for store in ["[store]\nkind = \"embedded\"\n".to_owned(), redis.store()] {
        let gateway = TestGateway::builder().layer(&store).spawn().await;
        gateway.operator.wait_for("sekisho_ledger_available", &[], 1.0).await;
        let customer = gateway.enrol("hanakodt");
        assert_eq!(transfer(&gateway, &customer, 1_001).await.status, 302);
        assert_eq!(transfer(&gateway, &customer, 1_002).await.status, 302);
        lose(&gateway, &customer, 1_003).await;
        let (directory, log) = (gateway.directory(), gateway.path("state/audit.jsonl"));
        let told = || {
            let amount_and_why = |record: &serde_json::Value| {
                let text = |name: &str| record[name].as_str().unwrap().to_owned();
                (record["sekisho.amount"].as_u64().unwrap(), text("sekisho.transfer.state"), text("event.reason"))
            };
            records(&log, "transfer").iter().map(amount_and_why).collect::<Vec<_>>()
        };

        // Twice, the second time also what the first start told.
        let mut builder = TestGateway::builder().after(&gateway).layer(&store);
        gateway.drain().await;
        for lost in ["\"sekisho.amount\":1002", "\"event.reason\":\"restart\""] {
            lose_the_end(&log, lost);
            assert_eq!(told().len(), 1);
            let gateway = builder.spawn().await;
            let expected = [(1_002, "committed".to_owned(), "restart".to_owned())];
            let unknown = [(1_003, "unknown".to_owned(), "restart".to_owned())];
            assert_eq!(told()[1..], [expected, unknown].concat());
            builder = TestGateway::builder().after(&gateway).layer(&store);
            gateway.drain().await;
        }
        let gateway = builder.spawn().await;
        assert_eq!(told().len(), 3, "what stands there is not told again");
        gateway.drain().await;
        read_audit(directory.path());
    }
}

//! How many transfers a ledger reserves and settles in a second, what each costs, and how long a gateway takes to tell Redis
//! again what its journal remembers.
//!
//! ```sh
//! cargo bench --bench ledger -- embedded FILE [WAITERS] [TRANSFERS]
//! cargo bench --bench ledger -- redis PORT JOURNAL [WAITERS] [TRANSFERS]
//! cargo bench --bench ledger -- replay PORT JOURNAL
//! ```
//!
//! On a memory file system for the cost in CPU time, on the disk in question for what its fdatasync leaves of it. FILE and
//! the JOURNAL of `redis` must not exist; `replay` wants the journal that `redis` left, and an empty server on PORT of this
//! machine.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use jiff::Timestamp;
use sekisho::domain::{JstDate, LoginId, RequestId, SystemClock, Yen};
use sekisho::operator::metrics::Metrics;
use sekisho::store::ledger::{
    Basis, Bounds, Claim, Debit, Decision, Holder, Mode, Order, Outcome, OverLimit, Settlement,
};
use sekisho::store::redis::{Server, Surroundings};
use sekisho::store::{Ledger, embedded, redis};

fn main() -> anyhow::Result<()> {
    // Cargo adds a flag of its own.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match *words {
        ["embedded", file, ref load @ ..] => {
            is_new(file)?;
            let settings = embedded::Settings::new(file.into(), metrics()?);
            measure(&embedded::open(&settings, Timestamp::now())?.ledger, load)
        }
        ["redis", port, journal, ref load @ ..] => {
            is_new(journal)?;
            let ledger = shared(port, journal)?;
            until_available(&ledger);
            measure(&ledger, load)
        }
        ["replay", port, journal] => {
            let begun = Instant::now();
            let ledger = shared(port, journal)?;
            until_available(&ledger);
            println!("{} transfers told again in {:.1} s", ledger.mark().sequence, begun.elapsed().as_secs_f64());
            Ok(())
        }
        // As one of all benches it has nothing to measure on.
        _ => {
            println!("ledger: embedded FILE, redis PORT JOURNAL, or replay PORT JOURNAL");
            Ok(())
        }
    }
}

fn metrics() -> anyhow::Result<Arc<Metrics>> {
    Ok(Arc::new(Metrics::new(std::iter::empty())?))
}

fn is_new(file: &str) -> anyhow::Result<()> {
    anyhow::ensure!(!PathBuf::from(file).exists(), "{file} exists");
    Ok(())
}

fn shared(port: &str, journal: &str) -> anyhow::Result<Ledger> {
    let settings = redis::Settings {
        servers: vec![Server { host: "127.0.0.1".into(), port: port.parse().context("PORT")? }],
        ca: None,
        username: None,
        password: None,
        journal: journal.into(),
        prefix: "bench".into(),
        response_timeout: Duration::from_secs(2),
        replicas: 0,
        retention_days: 400,
    };
    let around = Surroundings::new(metrics()?, Arc::new(SystemClock));
    Ok(redis::open(&settings, around, Timestamp::now())?.ledger)
}

fn until_available(ledger: &Ledger) {
    while !ledger.is_available() {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// So many wait at a time, until so many transfers are done.
fn measure(ledger: &Ledger, load: &[&str]) -> anyhow::Result<()> {
    let number = |at: usize, usual: u64| load.get(at).map_or(Ok(usual), |text| text.parse());
    let (waiters, transfers) = (number(0, 64)?, number(1, 200_000)?);
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let (begun, cpu) = (Instant::now(), cpu_time());
    runtime.block_on(async {
        let mut tasks = Vec::new();
        for waiter in 0..waiters {
            let ledger = ledger.clone();
            tasks.push(tokio::spawn(async move {
                for number in 0..transfers / waiters {
                    move_money(&ledger, waiter * 1_000 + number % 1_000).await?;
                }
                anyhow::Ok(())
            }));
        }
        for task in tasks {
            task.await??;
        }
        ledger.close().await;
        anyhow::Ok(())
    })?;
    let (seconds, cpu) = (begun.elapsed().as_secs_f64(), cpu_time().saturating_sub(cpu).as_secs_f64());
    let count = (transfers / waiters * waiters) as f64;
    println!("{:.0} transfers a second, {:.1} µs of CPU time each", count / seconds, cpu / count * 1e6);
    Ok(())
}

async fn move_money(ledger: &Ledger, customer: u64) -> anyhow::Result<()> {
    let login_id = LoginId::parse(&format!("customer{customer}")).ok_or(anyhow::anyhow!("a login ID"))?;
    let at = Timestamp::now();
    let order = Order {
        id: RequestId::new().transfer(),
        holder: Holder::alone(&login_id),
        claim: Claim::Stated(Yen::new(1).unwrap_or(Yen::ZERO)),
        debits: vec![Debit { basis: Basis::Accepted, day: JstDate::of(at), ceiling: Yen::MAX }],
        route: "furikomi".into(),
        at,
        token: None,
        bounds: Bounds {
            in_flight_per_login_id: 4,
            in_flight_per_contract: 8,
            per_login_id: None,
            over_limit: OverLimit::Clamp,
            clock_tolerance: Duration::from_secs(5),
        },
        mode: Mode::Enforce,
    };
    let id = order.id;
    match ledger.reserve(order).await? {
        Decision::Granted(_) => {}
        Decision::Denied(denied) => anyhow::bail!("{denied:?}"),
    }
    ledger.settle(Settlement { id, outcome: Outcome::Committed, why: "success_marker", at });
    Ok(())
}

/// Of this process so far, in user and kernel, by Linux's clock of a hundred ticks a second.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 = after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

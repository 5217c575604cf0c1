//! How many transfers the embedded ledger reserves and settles in a second, and what each costs.
//!
//! `cargo bench --bench ledger -- FILE [WAITERS] [TRANSFERS]`: on a memory file system for the cost in
//! CPU time, on the disk in question for what its fdatasync leaves of it. The file must not exist.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use sekisho::domain::{JstDate, LoginId, RequestId, Yen};
use sekisho::operator::metrics::Metrics;
use sekisho::store::Ledger;
use sekisho::store::embedded::{self, Settings};
use sekisho::store::ledger::{
    Basis, Bounds, Claim, Debit, Decision, Holder, Mode, Order, Outcome, OverLimit, Settlement,
};

fn main() -> anyhow::Result<()> {
    // Cargo adds a flag of its own.
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with('-'));
    let path = PathBuf::from(arguments.next().unwrap_or_else(|| "ledger-load.redb".into()));
    let waiters: u64 = arguments.next().map_or(Ok(64), |text| text.parse())?;
    let transfers: u64 = arguments.next().map_or(Ok(200_000), |text| text.parse())?;
    anyhow::ensure!(!path.exists(), "{} exists", path.display());
    let metrics = Arc::new(Metrics::new(std::iter::empty())?);
    let ledger = embedded::open(&Settings::new(path, metrics), Timestamp::now())?.ledger;
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

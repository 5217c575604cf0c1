//! Two gateways, a few customers in a hurry, and a server that is emptied, killed and paused under them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::site::{Site, available, order, settlement, try_used};
use crate::store::Ledger;
use crate::store::contract::stand::{debit, run};
use crate::store::ledger::{Decision, Outcome};

const LIMIT: u64 = 400;

/// Orders until it is told to stop; adds up what the application executed.
async fn hurry(gateway: Ledger, executed: Arc<AtomicU64>, stop: Arc<AtomicBool>, number: u64) {
    let mut count = number;
    while !stop.load(Ordering::Relaxed) {
        count += 1;
        let mut order = order(1 + count % 3);
        order.debits = vec![debit(super::site::today(), LIMIT)];
        let amount = 1 + count % 3;
        if let Ok(Decision::Granted(_)) = gateway.reserve(order.clone()).await {
            let outcome = match count % 4 {
                0 => Outcome::Released,
                1 => Outcome::Unknown,
                _ => Outcome::Committed,
            };
            if outcome != Outcome::Released {
                executed.fetch_add(amount, Ordering::Relaxed);
            }
            gateway.settle(settlement(order.id, outcome));
        }
        tokio::task::yield_now().await;
    }
}

#[test]
fn whatever_happens_to_redis_no_more_than_the_limit_is_executed() {
    let mut site = Site::new();
    run(async {
        let gateways = [site.gateway("a"), site.gateway("b")];
        for gateway in &gateways {
            available(gateway).await;
        }
        let (executed, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let mut hurrying = Vec::new();
        for number in 0..8 {
            let gateway = gateways[usize::from(number % 2 == 0)].clone();
            hurrying.push(tokio::spawn(hurry(gateway, Arc::clone(&executed), Arc::clone(&stop), number)));
        }
        for round in 0..12 {
            // Some money moves between two blows, until there is none left.
            let before = executed.load(Ordering::Relaxed);
            for gateway in &gateways {
                available(gateway).await;
            }
            while executed.load(Ordering::Relaxed) < (before + 10).min(LIMIT - 10) {
                tokio::task::yield_now().await;
            }
            match round % 3 {
                0 => drop(site.server.ask(&["FLUSHALL"])),
                1 => {
                    site.kill();
                    site.start_empty();
                }
                _ => {
                    site.kill();
                    site.start_again();
                }
            }
        }
        stop.store(true, Ordering::Relaxed);
        for hurrying in hurrying {
            hurrying.await.unwrap();
        }
        let executed = executed.load(Ordering::Relaxed);
        assert!(executed <= LIMIT, "{executed} were executed");
        // A gateway may still have to notice the last blow.
        let counted = loop {
            for gateway in &gateways {
                available(gateway).await;
            }
            match try_used(&gateways[0]).await {
                Ok(counted) => break counted,
                Err(_) => tokio::task::yield_now().await,
            }
        };
        // Everything executed counts; what is still on its way may count as well.
        assert!(counted >= executed);
    });
}

//! What the stories are told with: a real gateway, real customers, a real backend. Nothing of ours is mocked.

pub mod backend;
pub mod backend_wire;
pub mod bank;
pub mod crl;
pub mod customer;
pub mod der;
pub mod desk;
pub mod frames;
pub mod gateway;
pub mod operator;
pub mod payer;
pub mod pki;
pub mod profile;
pub mod program;
pub mod redis;
pub mod registry;
pub mod statements;
pub mod wire;

pub use backend::{Backend, Reply};
pub use bank::{COMMIT, LIMIT, MoneyStory, Plan, Said};
pub use customer::{Connection, Customer};
pub use gateway::TestGateway;
pub use payer::Payer;
pub use pki::{KeyKind, Pki};
pub use wire::Answer;

use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

/// Longer than anything that goes well takes, on a busy machine too.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The future's value; a test that would wait for ever fails instead.
pub async fn within<T>(patience: Duration, what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(patience, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: nothing within {patience:?}"),
    }
}

/// Waits until the reading satisfies the condition.
pub async fn eventually<T: Debug>(
    what: &str,
    mut reading: impl AsyncFnMut() -> T,
    condition: impl Fn(&T) -> bool,
) -> T {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let mut tick = tokio::time::interval(Duration::from_millis(10));
    loop {
        let value = reading().await;
        if condition(&value) {
            return value;
        }
        assert!(tokio::time::Instant::now() < deadline, "{what}: still {value:?} after {PATIENCE:?}");
        tick.tick().await;
    }
}

/// Waits until the reading has not changed for half a second, and returns it.
pub async fn settled<T: PartialEq + Copy>(mut reading: impl FnMut() -> T) -> T {
    let mut tick = tokio::time::interval(Duration::from_millis(50));
    let (mut value, mut unchanged) = (reading(), 0);
    while unchanged < 10 {
        tick.tick().await;
        let next = reading();
        unchanged = if next == value { unchanged + 1 } else { 0 };
        value = next;
    }
    value
}

/// The names of all metric series, once no connection is open any more and nothing is counted.
pub async fn settled_series(gateway: &TestGateway) -> Vec<String> {
    gateway.operator.wait_until_at_most("sekisho_connections", &[], 0.0).await;
    gateway.operator.series().await.into_keys().collect()
}

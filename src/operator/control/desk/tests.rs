//! Acts that cannot be recorded are not done, and acts that fail are told.

use serde_json::Value;

use super::super::order::{By, OwnLimit, Reconcile};
use super::*;
use crate::domain::{ManualClock, RequestId, Yen};
use crate::operator::audit::tests::faults::Faulty;
use crate::store::embedded::{self, Embedded};
use crate::store::ledger::Verdict;

/// A desk whose audit log can fail.
struct Bench {
    desk: Desk,
    log: Faulty,
    _directory: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let (directory, log) = (tempfile::tempdir().unwrap(), Faulty::good());
        let clock = Arc::new(ManualClock::at("2026-11-02T01:00:00Z".parse().unwrap()));
        let metrics = Arc::new(Metrics::new(std::iter::empty()).unwrap());
        let settings = embedded::Settings::new(directory.path().join("sekisho.redb"), Arc::clone(&metrics));
        let ledger = Ledger::Embedded(Embedded::open(&settings, clock.now()).unwrap().ledger);
        Self { desk: Desk::new(ledger, log.audit.clone(), metrics, clock), log, _directory: directory }
    }

    async fn own_limit(&self) -> Value {
        self.desk.show(contract(), None, None).await.unwrap()["own_limit"].clone()
    }

    /// What the log tells of operators: the act, its outcome, and whether it tells of the store.
    fn acts(&self) -> Vec<(String, String, bool)> {
        let records = self.log.bench.records();
        let acts = records.iter().filter(|record| record.get("sekisho.operator").is_some());
        let word = |record: &Value, name: &str| record[name].as_str().unwrap().to_owned();
        let store = |record: &Value| record.get("sekisho.store.id").is_some();
        acts.map(|act| (word(act, "event.action"), word(act, "event.outcome"), store(act))).collect()
    }
}

fn contract() -> ContractId {
    ContractId::parse("hanakodt").unwrap()
}

fn by() -> By {
    By { operator: "hana".into(), reason: "because".into() }
}

fn limit(yen: u64) -> OwnLimit {
    OwnLimit { own: Yen::new(yen), by: by() }
}

#[tokio::test]
async fn what_cannot_be_recorded_is_not_done() {
    let bench = Bench::new();
    bench.desk.set_own_limit(contract(), limit(1)).await.unwrap();
    bench.log.is_full(true);
    // Something waits to be written, so that the disk is asked.
    bench.log.audit.record(Record::new(Action::Reloaded));
    for _ in 0..2 {
        let refused = bench.desk.set_own_limit(contract(), limit(2)).await;
        assert!(
            matches!(&refused, Err(Refused::Unavailable(said)) if said.contains("nothing was done")),
            "{refused:?}"
        );
        let days = (JstDate::MIN, JstDate::MAX);
        let refused = bench.desk.export(days, Format::Csv, "hana".into()).await;
        assert!(matches!(refused, Err(Refused::Unavailable(_))));
        assert!(matches!(bench.desk.accept(by()).await, Err(Refused::Unavailable(_))));
        assert_eq!(bench.own_limit().await, 1);
    }
    bench.log.is_full(false);
    bench.desk.set_own_limit(contract(), limit(3)).await.unwrap();
    assert_eq!(bench.own_limit().await, 3);
    let act = ("own_limit_set".to_owned(), "success".to_owned(), true);
    assert_eq!(bench.acts(), [act.clone(), act]);
}

/// A disk that becomes full in the middle: the act is done, its record is kept, and nobody is told that all is well.
#[tokio::test]
async fn an_act_whose_record_is_late_is_no_success() {
    let bench = Bench::new();
    bench.log.is_full(true);
    let late = bench.desk.record(bench.desk.act(OperatorAct::OwnLimitSet, by())).await;
    assert!(matches!(&late, Err(Refused::Failed(said)) if said.contains("not on the disk yet")), "{late:?}");
    assert_eq!(bench.acts(), []);
    bench.log.is_full(false);
    bench.desk.can_record().await.unwrap();
    assert_eq!(bench.acts().len(), 1);
}

#[tokio::test]
async fn an_act_that_is_refused_or_in_doubt_stands_in_the_log() {
    let bench = Bench::new();
    let order = Reconcile { verdict: Verdict::Released, by: by() };
    let refused = bench.desk.reconcile(RequestId::new().transfer(), order).await;
    assert!(matches!(refused, Err(Refused::NotFound(_))), "{refused:?}");
    bench.desk.ledger.close().await;
    let doubtful = bench.desk.set_own_limit(contract(), limit(1)).await;
    assert!(matches!(doubtful, Err(Refused::Unavailable(_))), "{doubtful:?}");
    assert!(matches!(bench.desk.accept(by()).await, Err(Refused::Unavailable(_))));
    bench.log.audit.flush().unwrap();
    let told = |act: &str, outcome: &str, store| (act.to_owned(), outcome.to_owned(), store);
    let expected = [
        told("transfer_reconciled", "failure", true),
        told("own_limit_set", "unknown", false),
        // It must not make the log believe the store.
        told("store_accepted", "unknown", false),
    ];
    assert_eq!(bench.acts(), expected);
}

//! Acts that cannot be recorded are not done, and acts that fail are told.

use serde_json::Value;

use super::super::order::{By, OwnLimit, OwnLimits, Reconcile};
use super::*;
use crate::domain::{ManualClock, RequestId, Yen};
use crate::operator::audit::tests::faults::Faulty;
use crate::store::embedded;
use crate::store::ledger::{Addition, Basis, Verdict};

/// A desk whose audit log can fail.
struct Bench {
    desk: Desk,
    log: Faulty,
    _directory: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        Self::with(SecondPerson::NotNeeded)
    }

    fn with(second_person: SecondPerson) -> Self {
        let (directory, log) = (tempfile::tempdir().unwrap(), Faulty::good());
        let clock = Arc::new(ManualClock::at("2026-11-02T01:00:00Z".parse().unwrap()));
        let metrics = Arc::new(Metrics::new(std::iter::empty()).unwrap());
        let settings = embedded::Settings::new(directory.path().join("sekisho.redb"), Arc::clone(&metrics));
        let ledger = embedded::open(&settings, clock.now()).unwrap().ledger;
        let members = Members::new(|contract, _| LoginId::parse(contract.as_str()).map(|login_id| [login_id].into()));
        let desk = Desk::new(ledger, members, log.audit.clone(), metrics, clock, second_person);
        Self { desk, log, _directory: directory }
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
    By { operator: "hana".into(), reason: "because".into(), user: Some(1000) }
}

fn limit(yen: u64) -> OwnLimit {
    OwnLimit { own: Yen::new(yen), by: by() }
}

#[tokio::test]
async fn what_cannot_be_recorded_is_not_done() {
    let bench = Bench::new();
    bench.desk.set_own_limit(contract(), limit(1), None).await.unwrap();
    bench.log.is_full(true);
    // Something waits to be written, so that the disk is asked.
    bench.log.audit.record(Record::new(Action::Reloaded));
    for _ in 0..2 {
        let refused = bench.desk.set_own_limit(contract(), limit(2), None).await;
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
    bench.desk.set_own_limit(contract(), limit(3), None).await.unwrap();
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
    let doubtful = bench.desk.set_own_limit(contract(), limit(1), None).await;
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

fn by_user(user: u32) -> By {
    By { operator: format!("uid {user}"), user: Some(user), ..by() }
}

/// A transfer that a branch executed.
async fn added(bench: &Bench) -> crate::domain::TransferId {
    let addition = Addition {
        id: RequestId::new().transfer(),
        contract: contract(),
        login_id: LoginId::parse("hanakodt").unwrap(),
        amount: Yen::new(7).unwrap(),
        day: JstDate::of(bench.desk.clock.now()),
        bases: vec![Basis::Accepted],
        why: "slip".into(),
        at: bench.desk.clock.now(),
    };
    bench.desk.ledger.add(addition).await.unwrap().id
}

#[tokio::test]
async fn what_lets_more_money_move_takes_two_users_and_both_stand_in_the_record() {
    let bench = Bench::with(SecondPerson::Needed);
    let id = added(&bench).await;
    let release = |user| Reconcile { verdict: Verdict::Released, by: by_user(user) };
    let first = bench.desk.correct(id, release(1000)).await;
    assert!(matches!(&first, Err(Refused::Proposed(said)) if said.contains("not done")), "{first:?}");
    let again = bench.desk.correct(id, release(1000)).await;
    assert!(matches!(&again, Err(Refused::Conflict(said)) if said.contains("uid 1000")), "{again:?}");
    let state = async || bench.desk.ledger.transfer(id).await.unwrap().unwrap().state.word();
    assert_eq!(state().await, "committed");
    // What counts more is nobody's second concern, and no consent to anything else.
    let commit = Reconcile { verdict: Verdict::Committed, by: by_user(1001) };
    assert!(matches!(bench.desk.correct(id, commit).await, Err(Refused::Conflict(_))));
    bench.desk.correct(id, release(1001)).await.unwrap();
    assert_eq!(state().await, "released");

    let records = bench.log.bench.records();
    let told: Vec<_> = records.iter().filter(|record| record.get("sekisho.operator").is_some()).collect();
    let words = |name: &str| -> Vec<&str> { told.iter().map(|act| act[name].as_str().unwrap_or("-")).collect() };
    assert_eq!(words("event.action"), ["proposed", "proposed", "transfer_corrected", "transfer_corrected"]);
    assert_eq!(words("event.outcome"), ["success", "failure", "failure", "success"]);
    assert_eq!(words("sekisho.proposed"), ["transfer_corrected", "transfer_corrected", "-", "-"]);
    assert_eq!(words("sekisho.transfer.state"), ["-", "-", "committed", "released"], "nothing proposed has happened");
    assert_eq!(words("sekisho.operator"), ["uid 1000", "uid 1000", "uid 1001", "uid 1001"]);
    assert_eq!(words("sekisho.proposer"), ["-", "-", "-", "uid 1000"]);
}

#[tokio::test]
async fn each_act_that_lets_more_money_move_waits_for_the_second() {
    let bench = Bench::with(SecondPerson::Needed);
    let proposed = |done: Result<Value, Refused>| matches!(done, Err(Refused::Proposed(_)));
    let own = |yen: Option<u64>, user| OwnLimit { own: yen.map(|yen| Yen::new(yen).unwrap()), by: by_user(user) };
    let set = async |yen, user| bench.desk.set_own_limit(contract(), own(yen, user), None).await;
    assert!(set(Some(100), 1000).await.is_ok(), "a limit where there was none lowers");
    assert!(set(Some(99), 1000).await.is_ok());
    assert!(proposed(set(Some(100), 1000).await), "raised");
    assert!(proposed(set(Some(101), 1001).await), "another limit is another act");
    assert!(proposed(set(None, 1000).await), "none is the highest");
    assert_eq!(bench.own_limit().await, 99);
    assert!(set(Some(100), 1001).await.is_ok());
    assert!(set(None, 1001).await.is_ok());
    assert_eq!(bench.own_limit().await, Value::Null);

    assert!(proposed(bench.desk.accept(by_user(1000)).await));
    assert!(bench.desk.accept(by_user(1001)).await.is_ok());
    let release = |user| Reconcile { verdict: Verdict::Released, by: by_user(user) };
    let nobody = RequestId::new().transfer();
    assert!(proposed(bench.desk.reconcile(nobody, release(1000)).await));
    assert!(matches!(bench.desk.reconcile(nobody, release(1001)).await, Err(Refused::NotFound(_))));
    assert!(proposed(bench.desk.reconcile(nobody, release(1001)).await), "whatever came of it, it is used up");
}

fn limits(of: &[(&str, u64)], user: u32) -> OwnLimits {
    let limit = |(contract, yen): &(&str, u64)| (ContractId::parse(contract).unwrap(), Yen::new(*yen));
    OwnLimits { limits: of.iter().map(limit).collect(), by: by_user(user) }
}

#[tokio::test]
async fn two_users_who_import_the_same_file_have_agreed_on_each_limit_in_it() {
    let bench = Bench::with(SecondPerson::Needed);
    let import = async |of: &[(&str, u64)], user| bench.desk.import_own_limits(limits(of, user), None).await;
    import(&[("hanakodt", 10), ("tarokodt", 20)], 1000).await.unwrap();
    let raised = [("hanakodt", 9), ("tarokodt", 21)];
    assert!(matches!(import(&raised, 1000).await, Err(Refused::Proposed(_))));
    let other = import(&[("hanakodt", 9), ("tarokodt", 22)], 1001).await;
    assert!(matches!(other, Err(Refused::Proposed(_))), "another amount is another act");
    let alone = bench.desk.set_own_limit(ContractId::parse("tarokodt").unwrap(), limit_by(21, 1001), None).await;
    assert!(matches!(alone, Err(Refused::Proposed(_))), "one of them is another act");
    assert_eq!(bench.own_limit().await, 10);
    import(&[raised[1], raised[0]], 1001).await.unwrap();
    assert_eq!(bench.own_limit().await, 9);
    let records = bench.log.bench.records();
    let agreed = records.iter().filter(|record| record["sekisho.proposer"] == "uid 1000");
    let agreed: Vec<_> = agreed.map(|record| (&record["sekisho.contract"], &record["sekisho.amount"])).collect();
    assert_eq!(agreed, [(&"tarokodt".into(), &21.into()), (&"hanakodt".into(), &9.into())]);
}

fn limit_by(yen: u64, user: u32) -> OwnLimit {
    OwnLimit { by: by_user(user), ..limit(yen) }
}

#[tokio::test]
async fn an_import_that_breaks_off_tells_how_far_it_came() {
    let bench = Bench::new();
    bench.log.is_full(true);
    bench.log.audit.record(Record::new(Action::Reloaded));
    let refused = bench.desk.import_own_limits(limits(&[("hanakodt", 1), ("tarokodt", 2)], 1000), None).await;
    assert!(matches!(&refused, Err(Refused::Unavailable(said)) if said.contains("nothing was done")), "{refused:?}");
    assert_eq!(bench.own_limit().await, Value::Null);
    bench.log.is_full(false);
    bench.desk.ledger.close().await;
    let doubtful = bench.desk.import_own_limits(limits(&[("hanakodt", 1), ("tarokodt", 2)], 1000), None).await;
    let said = "of 2 own limits the first 0 are imported, and perhaps some more";
    assert!(matches!(&doubtful, Err(Refused::Unavailable(told)) if told.contains(said)), "{doubtful:?}");
    bench.log.audit.flush().unwrap();
    let doubt = ("own_limit_set".to_owned(), "unknown".to_owned(), false);
    assert_eq!(bench.acts(), [doubt.clone(), doubt]);
}

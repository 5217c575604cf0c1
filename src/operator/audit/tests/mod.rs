//! The audit log as an auditor finds it: real files, read again.

pub(in crate::operator) mod faults;
mod lines;
mod rotation;
mod stores;
mod tampering;
mod told;
mod torn;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use serde_json::Value;
use tempfile::TempDir;

use super::verify::{Verified, verify};
use super::*;
use crate::domain::{LoginId, ManualClock, Yen};
use crate::operator::metrics::Metrics;

/// A directory with one audit log, and a gateway's way to it.
pub(in crate::operator) struct Bench {
    directory: TempDir,
    settings: Settings,
    clock: Arc<ManualClock>,
    metrics: Metrics,
}

impl Bench {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let settings = Settings { reserve_bytes: 0, ..Settings::of(directory.path().join("state/audit.jsonl")) };
        let clock = Arc::new(ManualClock::at("2026-11-02T01:00:00Z".parse().unwrap()));
        Self { directory, settings, clock, metrics: Metrics::new(std::iter::empty()).unwrap() }
    }

    fn try_open(&self) -> Result<Audit, OpenError> {
        Audit::open(&self.settings, None, self.clock.clone(), &self.metrics.audit)
    }

    fn open(&self) -> Audit {
        self.try_open().unwrap()
    }

    fn file(&self) -> &PathBuf {
        &self.settings.file
    }

    fn beside(&self, name: &str) -> PathBuf {
        self.directory.path().join("state").join(name)
    }

    fn content(&self) -> Vec<u8> {
        fs::read(self.file()).unwrap()
    }

    fn put(&self, content: &[u8]) {
        fs::create_dir_all(self.file().parent().unwrap()).unwrap();
        fs::write(self.file(), content).unwrap();
    }

    /// The lines that are JSON, parsed.
    pub(in crate::operator) fn records(&self) -> Vec<Value> {
        let content = self.content();
        content.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
    }

    fn actions(&self) -> Vec<String> {
        self.records().iter().map(|record| record["event.action"].as_str().unwrap().to_owned()).collect()
    }

    fn verify(&self) -> Verified {
        verify(std::slice::from_ref(self.file()), None).unwrap()
    }
}

fn transfer(state: TransferState, yen: u64) -> Record {
    Record { amount: Yen::new(yen), ..Record::new(Action::Transfer(state)) }
}

fn refused(login_id: Option<&str>) -> Record {
    Record { login_id: login_id.and_then(LoginId::parse), ..Record::new(Action::Refused) }
}

#[test]
fn the_chain_goes_on_over_restarts() {
    let bench = Bench::new();
    for yen in 1..=3 {
        let audit = bench.open();
        audit.record(transfer(TransferState::Reserved, yen));
        audit.record(transfer(TransferState::Committed, yen));
    }
    assert_eq!(bench.actions(), ["started", "transfer", "transfer", "stopped"].repeat(3));
    let verified = bench.verify();
    assert_eq!((verified.records, verified.first.sequence, verified.last.sequence), (12, 1, 12));
    assert_eq!((verified.continues, verified.recoveries.len(), verified.unfinished), (None, 0, None));
    let last = bench.content();
    let last = last.trim_ascii_end().rsplit(|byte| *byte == b'\n').next().unwrap();
    assert_eq!(verified.head, Digest::of(last));
}

#[test]
fn a_second_gateway_cannot_write_the_same_file() {
    let bench = Bench::new();
    let first = bench.open();
    assert!(matches!(bench.try_open(), Err(OpenError::Locked(_))));
    drop(first);
    bench.open();
}

#[test]
fn the_file_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let bench = Bench::new();
    bench.open();
    assert_eq!(fs::metadata(bench.file()).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn what_is_no_audit_log_is_not_gone_on_with() {
    let bench = Bench::new();
    for foreign in ["hello\n", "{\"@timestamp\":1}\n", "\n", "{}\n", "[]\nmore\n"] {
        bench.put(foreign.as_bytes());
        assert!(matches!(bench.try_open(), Err(OpenError::Foreign { offset: 0 | 3, .. })), "{foreign:?}");
        assert_eq!(bench.content(), foreign.as_bytes());
    }
    bench.put(&[b'x'; 3 << 20]);
    assert!(matches!(bench.try_open(), Err(OpenError::Foreign { .. })));
    fs::remove_file(bench.file()).unwrap();
    fs::create_dir(bench.file()).unwrap();
    assert!(matches!(bench.try_open(), Err(OpenError::NotAFile(_))));
}

#[test]
fn workers_record_at_once_and_nothing_is_lost_or_out_of_turn() {
    const EACH: u64 = 2000;
    let bench = Bench::new();
    let audit = bench.open();
    thread::scope(|scope| {
        for worker in 0..4 {
            let audit = audit.clone();
            scope.spawn(move || {
                for number in 0..EACH {
                    audit.record(transfer(TransferState::Reserved, worker * EACH + number));
                }
            });
        }
    });
    audit.flush().unwrap();
    assert_eq!(bench.verify().records, 1 + 4 * EACH);
    let amounts: Vec<u64> = bench.records().iter().filter_map(|record| record["sekisho.amount"].as_u64()).collect();
    for worker in 0..4 {
        let own = amounts.iter().copied().filter(|amount| amount / EACH == worker);
        assert!(own.eq(worker * EACH..(worker + 1) * EACH));
    }
    assert_eq!(bench.metrics.audit.money.get(), 4 * EACH);
}

#[test]
fn strangers_drown_neither_customers_nor_money() {
    let mut bench = Bench::new();
    bench.settings.notices_per_second = 10;
    let audit = bench.open();
    for _ in 0..5000 {
        audit.record(refused(None));
    }
    for yen in 0..50 {
        audit.record(transfer(TransferState::Reserved, yen));
    }
    for _ in 0..10 {
        audit.record(refused(Some("hanakodt")));
    }
    assert!(audit.is_writable());
    audit.flush().unwrap();
    let records = bench.records();
    let of_customers = records.iter().filter(|record| record["user.id"] == "hanakodt").count();
    let of_money = records.iter().filter(|record| record["event.action"] == "transfer").count();
    let of_strangers = records.iter().filter(|record| record["event.action"] == "refused").count() - of_customers;
    let suppressed: u64 = records.iter().filter_map(|record| record["sekisho.audit.suppressed"].as_u64()).sum();
    assert_eq!((of_customers, of_money), (10, 50));
    assert_eq!(of_strangers as u64 + suppressed, 5000);
    assert!(suppressed > 4000, "{suppressed}");
    assert_eq!(bench.metrics.audit.suppressed.get(), suppressed);
    bench.verify();
}

#[test]
fn a_gateway_without_a_log_records_nothing_and_goes_on() {
    let audit = Audit::off();
    audit.record(transfer(TransferState::Reserved, 1));
    assert!(audit.is_writable());
    assert_eq!((audit.flush(), audit.last_store()), (Ok(()), None));
    assert_eq!(audit.reopen().unwrap(), Rotation::Unmoved);
}

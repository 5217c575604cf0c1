//! How far the ledger had come, by what the log says (LIM-41).

use super::*;

fn told(id: &str, sequence: u64) -> Record {
    let store = Some(StoreMark { id: id.into(), sequence });
    Record { store, ..transfer(TransferState::Committed, 1) }
}

fn last_store(bench: &Bench) -> Option<(String, u64)> {
    bench.open().last_store().map(|mark| (mark.id.to_string(), mark.sequence))
}

#[test]
fn the_highest_sequence_of_the_last_store_is_known_at_the_next_start() {
    let bench = Bench::new();
    assert_eq!(last_store(&bench), None);
    let audit = bench.open();
    for sequence in [4, 6, 5] {
        audit.record(told("one", sequence));
    }
    drop(audit);
    assert_eq!(last_store(&bench), Some(("one".into(), 6)));
    bench.open().record(told("two", 2));
    assert_eq!(last_store(&bench), Some(("two".into(), 2)));
    // Every start repeats it.
    assert_eq!(bench.records().last().unwrap()["event.action"], "stopped");
    assert_eq!(last_store(&bench), Some(("two".into(), 2)));
}

#[test]
fn a_store_that_an_operator_accepted_replaces_the_known_one() {
    let bench = Bench::new();
    let audit = bench.open();
    audit.record(told("one", 1000));
    audit.record(Record {
        store: Some(StoreMark { id: "one".into(), sequence: 500 }),
        ..Record::new(Action::Operator(OperatorAct::StoreAccepted))
    });
    audit.record(told("one", 501));
    drop(audit);
    assert_eq!(last_store(&bench), Some(("one".into(), 501)));
}

#[test]
fn a_store_told_long_ago_is_found() {
    let mut bench = Bench::new();
    bench.settings.notices_per_second = u32::MAX;
    let audit = bench.open();
    audit.record(told("one", 9));
    for _ in 0..8000 {
        audit.record(refused(Some("hanakodt")));
    }
    drop(audit);
    assert!(bench.content().len() > 2 << 20);
    assert_eq!(last_store(&bench), Some(("one".into(), 9)));
}

#[test]
fn a_new_file_remembers_the_store() {
    let bench = Bench::new();
    let audit = bench.open();
    audit.record(told("one", 9));
    fs::rename(bench.file(), bench.beside("old")).unwrap();
    assert_eq!(audit.reopen().unwrap(), Rotation::Began);
    drop(audit);
    assert_eq!(last_store(&bench), Some(("one".into(), 9)));
}

fn mark(sequence: u64) -> StoreMark {
    StoreMark { id: "one".into(), sequence }
}

#[test]
fn how_far_a_ledger_has_come_is_told_before_any_of_its_transfers_has_ended() {
    let bench = Bench::new();
    let audit = bench.open();
    audit.note_store(mark(0));
    audit.flush().unwrap();
    for sequence in 1..=3 {
        audit.note_store(mark(sequence));
    }
    audit.flush().unwrap();
    assert_eq!(bench.actions(), ["started", "store_reached", "store_reached"]);
    assert_eq!(last_sequence_written(&bench), 3);
    // Where a transfer tells it, nothing else does.
    audit.record(told("one", 4));
    audit.note_store(mark(4));
    audit.flush().unwrap();
    assert_eq!(bench.actions().last().unwrap(), "transfer");
    drop(audit);
    assert_eq!(last_store(&bench), Some(("one".into(), 4)));
}

/// Nobody asks for it: the first one is written at once, the next ones together.
#[test]
fn how_far_a_ledger_has_come_is_written_by_itself() {
    let bench = Bench::new();
    let audit = bench.open();
    for sequence in 1..=200 {
        audit.note_store(mark(sequence));
    }
    while last_sequence_written(&bench) < 200 {
        thread::yield_now();
    }
    let lines = bench.actions().iter().filter(|action| *action == "store_reached").count();
    assert!(lines <= 2, "{lines}");
    drop(audit);
}

fn last_sequence_written(bench: &Bench) -> u64 {
    bench.records().iter().filter_map(|record| record["sekisho.store.sequence"].as_u64()).max().unwrap_or(0)
}

//! What the end of the log tells of the transfers that were settled last.

use super::*;

fn of(id: &str, state: TransferState, why: &'static str) -> Record {
    Record { transfer: Some(id.into()), reason: Some(why.into()), ..transfer(state, 1) }
}

/// Since when something may be untold, counted from the first moment of the bench.
fn seconds(bench: &Bench, begun: i64) -> i64 {
    ToldLast::read(bench.file()).unwrap().unwrap().since().as_second() - begun
}

#[test]
fn nothing_is_known_of_a_file_without_a_line() {
    let bench = Bench::new();
    bench.put(b"");
    assert!(ToldLast::read(bench.file()).unwrap().is_none());
}

#[test]
fn what_was_told_last_is_named_with_its_state() {
    let bench = Bench::new();
    let begun = bench.clock.now().as_second();
    let audit = bench.open();
    audit.record(of("long-ago", TransferState::Committed, "success_marker"));
    bench.clock.advance(100);
    audit.record(of("one", TransferState::Unknown, "timeout"));
    bench.clock.advance(15);
    audit.record(of("two", TransferState::Committed, "success_marker"));
    audit.flush().unwrap();
    let told = ToldLast::read(bench.file()).unwrap().unwrap();
    assert_eq!(told.since().as_second() - begun, 105, "ten seconds before the last line");
    assert!(told.names("one", TransferState::Unknown) && !told.names("one", TransferState::Committed));
    assert!(!told.names("long-ago", TransferState::Committed), "the log is read from its end");
    assert!(told.names("two", TransferState::Committed) && !told.names("three", TransferState::Committed));
}

/// A start that is killed before it has told everything must not hide the rest.
#[test]
fn what_a_start_writes_does_not_prove_that_all_was_told() {
    let bench = Bench::new();
    let begun = bench.clock.now().as_second();
    let audit = bench.open();
    bench.clock.advance(100);
    audit.record(of("one", TransferState::Committed, "success_marker"));
    drop(audit);
    let whole = bench.content();
    for lost in [b"\"event.action\":\"stopped\"".as_slice(), b"\"sekisho.transfer.id\":\"one\""] {
        let lines = whole.split_inclusive(|byte| *byte == b'\n');
        let kept = lines.take_while(|line| !line.windows(lost.len()).any(|part| part == lost));
        bench.put(&kept.flatten().copied().chain(*b"{\"@timestamp\":\"torn").collect::<Vec<_>>());
        let expected = if lost.ends_with(b"one\"") { -10 } else { 90 };
        for _ in 0..2 {
            bench.clock.advance(1000);
            let audit = bench.open();
            audit.record(of("two", TransferState::Unknown, GATEWAY_ENDED));
            audit.record(of("one", TransferState::Committed, RESTART));
            audit.flush().unwrap();
            assert_eq!(seconds(&bench, begun), expected);
            let killed = bench.content();
            drop(audit);
            bench.put(&killed);
        }
        bench.clock.advance(-2000);
    }
}

//! What a person with an editor does to a log, and whether it is found.

use super::super::verify::VerifyError;
use super::*;

/// Six lines: start, four transfers, stop.
fn lines(bench: &Bench) -> Vec<Vec<u8>> {
    let audit = bench.open();
    for yen in 1..=4 {
        audit.record(transfer(TransferState::Committed, yen));
    }
    drop(audit);
    bench.content().split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

/// The line at which the chain breaks, and why.
fn broken(bench: &Bench, lines: &[Vec<u8>]) -> (u64, Flaw) {
    bench.put(&lines.concat());
    match verify(std::slice::from_ref(bench.file()), None) {
        Err(VerifyError::Broken { place, flaw }) => (place.line, flaw),
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_changed_byte_is_found_and_that_of_the_last_line_by_its_head() {
    let bench = Bench::new();
    let lines = lines(&bench);
    let head = bench.verify().head;
    let content = lines.concat();
    let last = content.len() - lines[5].len();
    for at in 0..content.len() - 1 {
        let mut changed = content.clone();
        changed[at] ^= 1;
        bench.put(&changed);
        let kept = (at >= last).then_some(head);
        let verified = verify(std::slice::from_ref(bench.file()), kept);
        match verified {
            Err(VerifyError::Broken { place, .. }) => {
                let line = content[..at].iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
                assert!(place.line == line || place.line == line + 1, "byte {at} of line {line}: {place:?}");
            }
            Err(VerifyError::HeadNotFound(_)) => assert!(at >= last),
            other => panic!("{at}: {other:?}"),
        }
    }
}

#[test]
fn lines_removed_inserted_or_swapped_are_found_where_they_were() {
    let bench = Bench::new();
    let lines = lines(&bench);
    let mut removed = lines.clone();
    removed.remove(2);
    assert_eq!(broken(&bench, &removed), (3, Flaw::WrongSequence { expected: 3, found: 4 }));
    let mut inserted = lines.clone();
    inserted.insert(3, lines[1].clone());
    assert_eq!(broken(&bench, &inserted), (4, Flaw::WrongSequence { expected: 4, found: 2 }));
    let mut swapped = lines.clone();
    swapped.swap(1, 2);
    assert_eq!(broken(&bench, &swapped), (2, Flaw::WrongSequence { expected: 2, found: 3 }));
    let mut foreign = lines.clone();
    foreign.insert(1, b"{\"@timestamp\":\"2026-11-02T01:00:00.000Z\"}\n".to_vec());
    assert_eq!(broken(&bench, &foreign), (2, Flaw::NotARecord));
    let mut empty = lines.clone();
    empty.insert(6, b"\n".to_vec());
    assert_eq!(broken(&bench, &empty), (7, Flaw::NotJson));
}

#[test]
fn torn_bytes_in_the_middle_are_found_unless_the_next_line_tells_of_them() {
    let bench = Bench::new();
    let mut torn = lines(&bench);
    let half = torn[2].len() / 2;
    torn[2].truncate(half);
    torn[2].push(b'\n');
    assert_eq!(broken(&bench, &torn), (3, Flaw::NotJson));

    let bench = Bench::new();
    let whole = lines(&bench).concat();
    bench.put(&whole[..whole.len() - 20]);
    bench.open();
    assert_eq!(bench.verify().recoveries.len(), 1);
    let recovered: Vec<Vec<u8>> = bench.content().split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    // The torn bytes are vouched for like a line.
    for at in 0..recovered[5].len() - 1 {
        let mut changed = recovered.clone();
        changed[5][at] ^= 1;
        assert_eq!(broken(&bench, &changed).0, 6, "{at}");
    }
    let mut without = recovered.clone();
    without.remove(5);
    assert_eq!(broken(&bench, &without).0, 6);
}

#[test]
fn a_cut_end_is_found_by_a_head_that_was_kept() {
    let bench = Bench::new();
    let lines = lines(&bench);
    let head = bench.verify().head;
    let file = std::slice::from_ref(bench.file());
    assert!(verify(file, Some(head)).unwrap().kept.is_some());
    bench.put(&lines[..5].concat());
    assert!(verify(file, None).is_ok());
    assert!(matches!(verify(file, Some(head)), Err(VerifyError::HeadNotFound(_))));
    // A newline cut off is an unfinished line, and no head either.
    bench.put(lines.concat().trim_ascii_end());
    assert_eq!(verify(file, None).unwrap().unfinished, Some(lines[5].len() as u64 - 1));
    assert!(matches!(verify(file, Some(head)), Err(VerifyError::HeadNotFound(_))));
    // A log that grew since still holds the head.
    bench.put(&lines.concat());
    bench.open();
    assert!(verify(file, Some(head)).unwrap().kept.is_some());
}

#[test]
fn nothing_and_endless_lines_are_no_log() {
    let bench = Bench::new();
    let file = std::slice::from_ref(bench.file());
    assert!(matches!(verify(file, None), Err(VerifyError::Io { .. })));
    bench.put(b"");
    assert!(matches!(verify(file, None), Err(VerifyError::Empty)));
    bench.put(&vec![b'x'; 5 << 20]);
    assert!(matches!(verify(file, None), Err(VerifyError::Broken { flaw: Flaw::TooLong, .. })));
    bench.put(&b"x\n".repeat(2 << 20));
    assert!(matches!(verify(file, None), Err(VerifyError::Broken { flaw: Flaw::NotJson, .. })));
}

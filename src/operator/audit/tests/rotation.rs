//! Files that operators move away.

use std::os::unix::fs::MetadataExt as _;

use super::super::verify::{Kept, VerifyError};
use super::*;

/// A log in two files: the moved one and the present one.
fn rotated(bench: &Bench) -> (Audit, PathBuf) {
    let old = bench.beside("audit-1.jsonl");
    let audit = bench.open();
    audit.record(transfer(TransferState::Reserved, 1));
    fs::rename(bench.file(), &old).unwrap();
    audit.record(transfer(TransferState::Committed, 1));
    assert_eq!(audit.reopen().unwrap(), Rotation::Began);
    audit.record(transfer(TransferState::Reserved, 2));
    audit.flush().unwrap();
    (audit, old)
}

#[test]
fn a_new_file_goes_on_with_the_chain() {
    let bench = Bench::new();
    let (audit, old) = rotated(&bench);
    assert_eq!(bench.actions(), ["rotated", "transfer"]);
    let both = verify(&[old.clone(), bench.file().clone()], None).unwrap();
    assert_eq!((both.records, both.continues), (5, None));

    // Alone, the new file says what it goes on from; and the head of the old one is found.
    let head = verify(std::slice::from_ref(&old), None).unwrap().head;
    let alone = bench.verify();
    assert_eq!((alone.first.sequence, alone.continues), (4, Some(head)));
    let kept = verify(std::slice::from_ref(bench.file()), Some(head)).unwrap().kept;
    assert_eq!(kept, Some(Kept::BeforeTheFirst));

    drop(audit);
    bench.open();
    assert_eq!(verify(&[old, bench.file().clone()], None).unwrap().records, 8);
}

#[test]
fn files_in_the_wrong_order_or_with_one_missing_are_no_chain() {
    let bench = Bench::new();
    let (audit, old) = rotated(&bench);
    let middle = bench.beside("audit-2.jsonl");
    fs::rename(bench.file(), &middle).unwrap();
    audit.reopen().unwrap();
    let new = bench.file().clone();
    assert!(verify(&[old.clone(), middle.clone(), new.clone()], None).is_ok());
    for files in [[&middle, &old], [&old, &new], [&old, &old]] {
        let Err(VerifyError::Broken { place, .. }) = verify(&files.map(PathBuf::clone), None) else { panic!() };
        assert_eq!((&place.file, place.line), (files[1], 1));
    }
}

#[test]
fn a_reload_without_rotation_changes_nothing() {
    let bench = Bench::new();
    let audit = bench.open();
    assert_eq!(audit.reopen().unwrap(), Rotation::Unmoved);
    assert_eq!(bench.actions(), ["started"]);
}

#[test]
fn a_file_that_another_put_there_is_used_only_where_it_is_empty() {
    let bench = Bench::new();
    let old = bench.beside("old");
    let audit = bench.open();
    fs::rename(bench.file(), &old).unwrap();
    bench.put(b"something\n");
    assert!(matches!(audit.reopen(), Err(RotateError::NotEmpty)));
    audit.record(transfer(TransferState::Reserved, 1));
    audit.flush().unwrap();
    assert_eq!(bench.content(), b"something\n");
    bench.put(b"");
    assert_eq!(audit.reopen().unwrap(), Rotation::Began);
    assert_eq!(verify(&[old, bench.file().clone()], None).unwrap().records, 3);
}

#[test]
fn space_is_reserved_beyond_the_end_and_given_back_by_a_file_moved_away() {
    let mut bench = Bench::new();
    bench.settings.reserve_bytes = 1 << 20;
    let audit = bench.open();
    let reserved =
        |path: &PathBuf| fs::metadata(path).map(|metadata| (metadata.len(), metadata.blocks() * 512)).unwrap();
    let (length, blocks) = reserved(bench.file());
    assert!(length < 4096 && blocks >= 1 << 20, "{length} {blocks}");
    let old = bench.beside("old");
    fs::rename(bench.file(), &old).unwrap();
    audit.reopen().unwrap();
    assert!(reserved(&old).1 < 64 << 10, "{:?}", reserved(&old));
    assert!(reserved(bench.file()).1 >= 1 << 20);
}

/// As `logrotate` does with `copytruncate`.
#[test]
fn space_is_reserved_again_in_a_file_that_somebody_cut() {
    let mut bench = Bench::new();
    bench.settings.reserve_bytes = 1 << 20;
    let audit = bench.open();
    fs::File::options().write(true).open(bench.file()).unwrap().set_len(0).unwrap();
    audit.record(transfer(TransferState::Reserved, 1));
    audit.flush().unwrap();
    assert!(fs::metadata(bench.file()).unwrap().blocks() * 512 >= 1 << 20);
    assert_eq!((bench.actions(), bench.verify().first.sequence), (vec!["transfer".to_owned()], 2));
}

//! The file itself: who may use it, what it may hold, who may take its place.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use redb::TableDefinition;

use super::super::{OpenError, open};
use crate::store::contract::stand::{noon, settings};

#[test]
fn a_second_gateway_is_told_that_another_uses_the_store() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(directory.path().join("ledger.redb"));
    let first = open(&settings, noon()).unwrap();
    assert!(first.is_new);
    let second = open(&settings, noon());
    assert!(matches!(second, Err(OpenError::InUse { path }) if path == settings.path));
    let store = first.ledger.mark().store;
    drop(first);
    let again = open(&settings, noon()).unwrap();
    assert_eq!((again.is_new, again.ledger.mark().store), (false, store));
    let mode = fs::metadata(&settings.path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn what_is_not_a_ledger_of_this_version_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(directory.path().join("ledger.redb"));
    fs::write(&settings.path, "not a database, though long enough to be taken for one".repeat(1000)).unwrap();
    assert!(matches!(open(&settings, noon()), Err(OpenError::Unusable { .. })));
    fs::remove_file(&settings.path).unwrap();
    drop(open(&settings, noon()).unwrap());

    let database = redb::Database::open(&settings.path).unwrap();
    let meta = TableDefinition::<&str, &[u8]>::new("meta");
    let transaction = database.begin_write().unwrap();
    transaction.open_table(meta).unwrap().insert("format", &2_u32.to_be_bytes()[..]).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let Err(OpenError::Unusable { source, .. }) = open(&settings, noon()) else { panic!("it was opened") };
    assert_eq!(source.to_string(), "the store has format 2, which this version does not read");
}

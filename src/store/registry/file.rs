//! The registry on this gateway's own disk (redb): a row for each thing, with the version that it has.
//!
//! A change of many rows is one transaction: all of it, or nothing. Rows lie in the order of their keys, so that lists can be
//! read page by page.

use std::ops::Bound;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};

use super::row::{Certificate, Change, Key, Row};
use crate::domain::{ContractId, Fingerprint, LoginId};
use crate::store::database::{Damage, Failure, Occasion, guarded, in_file};

/// `version TAB line`, by kind and name.
const ROWS: TableDefinition<'_, &[u8], &str> = TableDefinition::new("rows");
const META: TableDefinition<'_, &str, &str> = TableDefinition::new("meta");

/// The layout of all of it; another number is another layout.
const FORMAT: &str = "1";

/// Which of two changes of one row is the later one: the number that the store gave, and who it was given to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// Changes are numbered.
    pub number: u64,
    /// Which process of which gateway made it: where a store that forgot has given a number twice, it decides.
    pub process: Box<str>,
}

/// A change and its version: what lies on the disk for a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned {
    /// Its version.
    pub version: Version,
    /// What the row is since then.
    pub change: Change,
}

impl Versioned {
    /// As a line without its end.
    pub fn line(&self) -> String {
        let Version { number, process } = &self.version;
        format!("{number}\t{process}\t{}", self.change.line())
    }

    /// The reverse; `None` where it is no such line.
    pub fn read(line: &str) -> Option<Self> {
        let (number, rest) = line.split_once('\t')?;
        let (process, change) = rest.split_once('\t')?;
        let version = Version { number: number.parse().ok()?, process: process.into() };
        Some(Self { version, change: Change::read(change)? })
    }
}

/// The open file. One that failed is opened again for whoever asks next: a database does not recover by itself.
#[derive(Debug)]
pub(super) struct Shelf {
    path: PathBuf,
    /// Random, made with the file.
    name: String,
    database: RwLock<Option<Database>>,
    /// When it was opened last.
    opened: Mutex<Instant>,
}

/// How long to wait before a file that failed is opened again.
const RETRY: Duration = Duration::from_secs(1);

impl Shelf {
    /// Opens the file, or makes it.
    pub fn open(path: PathBuf) -> Result<Self, Failure> {
        guarded(|| {
            let database = in_file(path.clone())(Occasion::Start)?;
            let transaction = database.begin_write()?;
            {
                transaction.open_table(ROWS)?;
                let mut meta = transaction.open_table(META)?;
                let format = meta.get("format")?.map(|row| row.value().to_owned());
                match format.as_deref() {
                    Some(FORMAT) => {}
                    Some(other) => return Err(Failure::Format(other.parse().unwrap_or(u32::MAX))),
                    None => {
                        meta.insert("format", FORMAT)?;
                        meta.insert("name", &*uuid::Uuid::now_v7().simple().to_string())?;
                    }
                }
            }
            transaction.commit()?;
            let name = name_of(&database)?;
            let opened = Mutex::new(Instant::now());
            Ok(Self { path, name, database: RwLock::new(Some(database)), opened })
        })
    }

    /// Does something with the database.
    fn with<T>(&self, act: impl FnOnce(&Database) -> Result<T, Failure>) -> Result<T, Failure> {
        if self.read().is_none() {
            self.open_again()?;
        }
        let done = self.read().as_ref().map_or(Err(Failure::Panic), |database| guarded(|| act(database)));
        match done {
            Ok(_) | Err(Failure::Damage(_) | Failure::Format(_)) => done,
            Err(failure) => {
                // For whoever asks next.
                if let Err(again) = self.open_again() {
                    tracing::error!(error = %again, "the registry's file cannot be opened again");
                }
                Err(failure)
            }
        }
    }

    /// Not more often than is useful: of many who find it failed, one opens it.
    fn open_again(&self) -> Result<(), Failure> {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if database.is_some() && opened.elapsed() < RETRY {
            return Ok(());
        }
        *opened = Instant::now();
        // The lock on the file goes with the one that failed.
        guarded(|| {
            drop(database.take());
            Ok(())
        })?;
        let again = guarded(|| in_file(self.path.clone())(Occasion::Again))?;
        if guarded(|| name_of(&again))? != self.name {
            return Err(Failure::Replaced);
        }
        *database = Some(again);
        Ok(())
    }

    fn read(&self) -> RwLockReadGuard<'_, Option<Database>> {
        self.database.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands out every row, in the order of their keys.
    pub fn each(&self, mut take: impl FnMut(Versioned)) -> Result<(), Failure> {
        self.with(|database| {
            let transaction = database.begin_read()?;
            for row in transaction.open_table(ROWS)?.iter()? {
                take(read(row?.1.value())?);
            }
            Ok(())
        })
    }

    /// One row.
    pub fn get(&self, key: &Key) -> Result<Option<Versioned>, Failure> {
        self.with(|database| {
            let transaction = database.begin_read()?;
            let rows = transaction.open_table(ROWS)?;
            rows.get(&*octets(key))?.map(|row| read(row.value())).transpose()
        })
    }

    /// A login ID's certificates.
    pub fn certificates_of(&self, login_id: &LoginId) -> Result<Vec<Certificate>, Failure> {
        let first = octets(&Key::Certificate(login_id.clone(), Fingerprint::from_bytes([0; 32])));
        let last = octets(&Key::Certificate(login_id.clone(), Fingerprint::from_bytes([0xff; 32])));
        let rows = self.range((Bound::Included(first), Bound::Included(last)), usize::MAX)?;
        Ok(rows.into_iter().filter_map(certificate_in).collect())
    }

    /// Up to so many contracts, after the one that is named.
    pub fn contracts_after(&self, after: Option<&ContractId>, most: usize) -> Result<Vec<ContractId>, Failure> {
        let first = after.map_or_else(
            || Bound::Included(vec![CONTRACT]),
            |contract| Bound::Excluded(octets(&Key::Contract(contract.clone()))),
        );
        let mut found = Vec::new();
        let mut from = first;
        // What was removed lies there too.
        while found.len() < most {
            let rows = self.range((from, Bound::Excluded(vec![CONTRACT + 1])), most)?;
            let Some(last) = rows.last() else { break };
            from = Bound::Excluded(octets(&last.change.key()));
            found.extend(rows.into_iter().filter_map(|row| match row.change {
                Change::Put(Row::Contract(contract)) => Some(contract.id),
                _ => None,
            }));
        }
        found.truncate(most);
        Ok(found)
    }

    /// Up to so many certificates after one, in the order of their login IDs.
    pub fn certificates_after(
        &self,
        after: Option<(&LoginId, &Fingerprint)>,
        most: usize,
    ) -> Result<Vec<Certificate>, Failure> {
        let first = after.map_or_else(
            || Bound::Included(vec![CERTIFICATE]),
            |(login_id, sha256)| Bound::Excluded(octets(&Key::Certificate(login_id.clone(), *sha256))),
        );
        let rows = self.range((first, Bound::Excluded(vec![CERTIFICATE + 1])), most)?;
        Ok(rows.into_iter().filter_map(certificate_in).collect())
    }

    fn range(&self, range: (Bound<Vec<u8>>, Bound<Vec<u8>>), most: usize) -> Result<Vec<Versioned>, Failure> {
        self.with(|database| {
            let transaction = database.begin_read()?;
            let rows = transaction.open_table(ROWS)?;
            let bounds = (range.0.as_ref().map(Vec::as_slice), range.1.as_ref().map(Vec::as_slice));
            rows.range::<&[u8]>(bounds)?.take(most).map(|row| read(row?.1.value())).collect()
        })
    }

    /// Keeps rows as they are from now on, and what is to be remembered beside them; on the disk when this returns.
    pub fn put(&self, rows: &[Versioned], notes: &[(&str, &str)]) -> Result<(), Failure> {
        self.with(|database| {
            let transaction = database.begin_write()?;
            {
                let mut table = transaction.open_table(ROWS)?;
                for row in rows {
                    table.insert(&*octets(&row.change.key()), &*row.line())?;
                }
                let mut meta = transaction.open_table(META)?;
                for (name, text) in notes {
                    meta.insert(*name, *text)?;
                }
            }
            Ok(transaction.commit()?)
        })
    }

    /// What is remembered beside the rows.
    pub fn note(&self, name: &str) -> Result<Option<String>, Failure> {
        self.with(|database| {
            let transaction = database.begin_read()?;
            Ok(transaction.open_table(META)?.get(name)?.map(|row| row.value().to_owned()))
        })
    }
}

const CONTRACT: u8 = b'c';
const LOGIN: u8 = b'l';
const CERTIFICATE: u8 = b'x';

/// In the order of names; no name holds the octet that parts a login ID from what follows.
fn octets(key: &Key) -> Vec<u8> {
    let named = |kind: u8, name: &str| [&[kind], name.as_bytes()].concat();
    match key {
        Key::Contract(id) => named(CONTRACT, id.as_str()),
        Key::Login(id) => named(LOGIN, id.as_str()),
        Key::Certificate(id, sha256) => [named(CERTIFICATE, id.as_str()), vec![0], sha256.as_bytes().to_vec()].concat(),
    }
}

fn name_of(database: &Database) -> Result<String, Failure> {
    let name = database.begin_read()?.open_table(META)?.get("name")?.map(|row| row.value().to_owned());
    Ok(name.ok_or(Damage("the registry has no name"))?)
}

fn read(line: &str) -> Result<Versioned, Failure> {
    Ok(Versioned::read(line).ok_or(Damage("a row of the registry"))?)
}

fn certificate_in(row: Versioned) -> Option<Certificate> {
    match row.change {
        Change::Put(Row::Certificate(certificate)) => Some(certificate),
        Change::Put(Row::Contract(_) | Row::Login(_)) | Change::NoContract(_) | Change::NoLogin(_) => None,
    }
}

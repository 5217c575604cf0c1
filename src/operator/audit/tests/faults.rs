//! A disk that refuses, and what becomes of the records meanwhile.

use std::io;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, MutexGuard};

use super::super::file::{Disk, LogFile};
use super::super::tail::Tail;
use super::*;

/// What is wrong with a disk.
#[derive(Default)]
struct Faults {
    /// How many bytes it still takes.
    space: Option<usize>,
    no_reserve: bool,
    no_sync: bool,
    syncs: u32,
    /// Told what was appended.
    watcher: Option<Sender<String>>,
}

/// A real file on a disk with faults.
struct FaultyDisk {
    file: LogFile,
    faults: Arc<Mutex<Faults>>,
}

impl Disk for FaultyDisk {
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut faults = self.faults.lock().unwrap();
        let size = bytes.len().min(faults.space.unwrap_or(usize::MAX));
        if size == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let written = self.file.append(&bytes[..size])?;
        if let Some(space) = &mut faults.space {
            *space -= written;
        }
        if let Some(watcher) = &faults.watcher {
            let _ = watcher.send(String::from_utf8_lossy(&bytes[..written]).into_owned());
        }
        Ok(written)
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut faults = self.faults.lock().unwrap();
        faults.syncs += 1;
        if faults.no_sync { Err(io::ErrorKind::Other.into()) } else { self.file.sync() }
    }

    fn reserve(&mut self, offset: u64, bytes: u64) -> io::Result<()> {
        let no = self.faults.lock().unwrap().no_reserve;
        if no { Err(io::ErrorKind::StorageFull.into()) } else { self.file.reserve(offset, bytes) }
    }

    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }

    fn rotate(&mut self) -> Result<Rotation, RotateError> {
        self.file.rotate()
    }
}

/// A log on a disk whose faults the test holds.
pub(in crate::operator) struct Faulty {
    pub(in crate::operator) bench: Bench,
    faults: Arc<Mutex<Faults>>,
    pub(in crate::operator) audit: Audit,
}

impl Faulty {
    /// A log that can be written until it is told otherwise.
    pub(in crate::operator) fn good() -> Self {
        Self::new(|_, _| {})
    }

    /// The disk takes nothing more, or everything again.
    pub(in crate::operator) fn is_full(&self, full: bool) {
        self.faults().space = full.then_some(0);
    }

    fn new(prepare: impl FnOnce(&mut Settings, &mut Faults)) -> Self {
        let mut bench = Bench::new();
        // Only an awaited attempt or the test itself reaches the disk.
        bench.settings.retry_every = Duration::from_secs(3600);
        let mut faults = Faults::default();
        prepare(&mut bench.settings, &mut faults);
        let faults = Arc::new(Mutex::new(faults));
        let file = LogFile::open(bench.file()).unwrap();
        let tail = Tail::read(&file.file).unwrap();
        let disk = Box::new(FaultyDisk { file, faults: Arc::clone(&faults) });
        let audit = Audit::begin(&bench.settings, None, bench.clock.clone(), &bench.metrics.audit, disk, tail).unwrap();
        Self { bench, faults, audit }
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap()
    }

    fn transfers(&self) -> usize {
        self.bench.actions().iter().filter(|action| *action == "transfer").count()
    }
}

#[test]
fn money_waits_while_the_disk_is_full_and_nothing_recorded_is_lost() {
    let faulty = Faulty::new(|_, _| {});
    assert!(faulty.audit.is_writable());
    // A few bytes fit: the line breaks off in the middle.
    faulty.faults().space = Some(100);
    for yen in 1..=20 {
        faulty.audit.record(transfer(TransferState::Reserved, yen));
    }
    assert_eq!(faulty.audit.flush(), Err(Unwritten::Refused));
    assert!(!faulty.audit.is_writable());
    assert_eq!(faulty.bench.metrics.audit.writable.get(), 0);
    // What is under way is recorded all the same; what is only worth knowing is counted.
    faulty.audit.record(transfer(TransferState::Committed, 1));
    faulty.audit.record(refused(Some("hanakodt")));
    assert_eq!(faulty.audit.flush(), Err(Unwritten::Refused));
    assert!(matches!(faulty.audit.reopen(), Err(RotateError::Unfinished)));

    faulty.faults().space = None;
    assert_eq!(faulty.audit.flush(), Ok(()));
    assert!(faulty.audit.is_writable());
    assert_eq!(faulty.transfers(), 21);
    assert_eq!(faulty.audit.flush(), Ok(()));
    assert_eq!(faulty.bench.actions().last().unwrap(), "suppressed");
    assert_eq!(faulty.bench.verify().recoveries, []);
}

#[test]
fn a_disk_that_refuses_is_tried_again_without_being_asked() {
    let (watcher, appended) = channel();
    let faulty = Faulty::new(|settings, faults| {
        settings.retry_every = Duration::from_millis(1);
        faults.watcher = Some(watcher);
    });
    faulty.faults().space = Some(0);
    faulty.audit.record(transfer(TransferState::Reserved, 1));
    assert_eq!(faulty.audit.flush(), Err(Unwritten::Refused));
    faulty.faults().space = None;
    while !appended.recv().unwrap().contains("transfer") {}
    faulty.audit.flush().unwrap();
    assert!(faulty.audit.is_writable());
}

#[test]
fn without_space_to_reserve_notices_stop_first_and_money_at_half() {
    let faulty = Faulty::new(|settings, _| settings.reserve_bytes = 40_000);
    faulty.faults().no_reserve = true;
    let mut transfers = 0;
    let mut stopped_notices_at = None;
    while faulty.audit.is_writable() {
        faulty.audit.record(transfer(TransferState::Reserved, 1));
        faulty.audit.record(refused(Some("hanakodt")));
        faulty.audit.flush().unwrap();
        transfers += 1;
        if faulty.bench.metrics.audit.suppressed.get() > 0 {
            stopped_notices_at.get_or_insert(faulty.bench.content().len());
        }
    }
    let (stopped_notices_at, stopped_money_at) = (stopped_notices_at.unwrap(), faulty.bench.content().len());
    assert!((10_000..13_000).contains(&stopped_notices_at), "{stopped_notices_at}");
    assert!((20_000..22_000).contains(&stopped_money_at), "{stopped_money_at}");
    // Transfers under way still find the other half.
    faulty.audit.record(transfer(TransferState::Committed, 1));
    faulty.audit.flush().unwrap();
    assert_eq!(faulty.transfers(), transfers + 1);

    faulty.faults().no_reserve = false;
    faulty.audit.flush().unwrap();
    assert!(faulty.audit.is_writable());
    faulty.audit.record(refused(Some("hanakodt")));
    faulty.audit.flush().unwrap();
    assert!(faulty.bench.actions().contains(&"suppressed".to_owned()));
    faulty.bench.verify();
}

#[test]
fn a_full_disk_at_the_start_is_no_reason_not_to_start() {
    let faulty = Faulty::new(|settings, faults| {
        settings.reserve_bytes = 1 << 20;
        faults.no_reserve = true;
    });
    assert!(!faulty.audit.is_writable());
    faulty.faults().no_reserve = false;
    faulty.audit.flush().unwrap();
    assert!(faulty.audit.is_writable());
}

/// The kernel may report a failed sync once and forget what it could not write.
#[test]
fn after_a_failed_sync_only_a_new_file_is_trusted() {
    let faulty = Faulty::new(|_, _| {});
    faulty.faults().no_sync = true;
    faulty.audit.record(transfer(TransferState::Reserved, 1));
    assert_eq!(faulty.audit.flush(), Err(Unwritten::Refused));
    faulty.faults().no_sync = false;
    assert_eq!(faulty.audit.flush(), Err(Unwritten::Refused));
    assert!(!faulty.audit.is_writable());
    let old = faulty.bench.beside("old");
    fs::rename(faulty.bench.file(), &old).unwrap();
    assert_eq!(faulty.audit.reopen().unwrap(), Rotation::Began);
    assert_eq!(faulty.audit.flush(), Ok(()));
    assert!(faulty.audit.is_writable());
    assert_eq!(verify(&[old, faulty.bench.file().clone()], None).unwrap().records, 3);
}

#[test]
fn money_is_synced_without_being_asked_and_not_line_by_line() {
    let (watcher, appended) = channel();
    let faulty = Faulty::new(|settings, faults| {
        settings.sync_every = Duration::from_millis(20);
        faults.watcher = Some(watcher);
    });
    let before = faulty.faults().syncs;
    let began = Instant::now();
    for yen in 0..1000 {
        faulty.audit.record(transfer(TransferState::Reserved, yen));
    }
    let mut lines = 0;
    while lines < 1000 {
        lines += appended.recv().unwrap().matches("\"transfer\"").count();
    }
    let most = began.elapsed().as_millis() / 20 + 2;
    assert!(u128::from(faulty.faults().syncs - before) <= most);
    while faulty.faults().syncs == before {
        thread::yield_now();
    }
}

#[test]
fn what_was_left_out_is_told_within_a_second() {
    let (watcher, appended) = channel();
    let faulty = Faulty::new(|settings, faults| {
        settings.notices_per_second = 0;
        faults.watcher = Some(watcher);
    });
    for _ in 0..7 {
        faulty.audit.record(refused(None));
    }
    while !appended.recv().unwrap().contains("\"sekisho.audit.suppressed\":7") {}
}

#[test]
fn a_writer_that_cannot_keep_up_stops_money_until_it_has() {
    let faulty = Faulty::new(|settings, _| settings.max_waiting = 10);
    let held = faulty.faults();
    // The writer takes some and waits for the disk; then the queue fills.
    let mut recorded = 0;
    while faulty.audit.is_writable() {
        faulty.audit.record(transfer(TransferState::Reserved, 1));
        recorded += 1;
        thread::yield_now();
        assert!(recorded < 1_000_000);
    }
    for _ in 0..100 {
        faulty.audit.record(transfer(TransferState::Committed, 1));
    }
    drop(held);
    faulty.audit.flush().unwrap();
    assert!(faulty.audit.is_writable());
    assert_eq!(faulty.transfers(), recorded + 100);
}

//! What is kept, what two gateways make of each other's acts, and what a disk that refuses leaves undone.

use super::*;
use crate::domain::ContractId;
use crate::store::blocks::entry::tests::entry;

/// A gateway's keeper, with its disk.
struct Bench {
    keeper: Keeper,
    directory: tempfile::TempDir,
}

impl Bench {
    fn alone() -> Self {
        Self::new(false)
    }

    fn sharing() -> Self {
        Self::new(true)
    }

    fn new(is_shared: bool) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let keeper = open(&directory, is_shared).unwrap();
        Self { keeper, directory }
    }

    fn restart(&mut self) {
        self.keeper = open(&self.directory, self.keeper.is_shared).unwrap();
    }

    fn all(&self) -> Vec<Entry> {
        self.keeper.kept().entries.values().cloned().collect()
    }
}

fn open(directory: &tempfile::TempDir, is_shared: bool) -> Result<Keeper, FileDefect> {
    let metrics = Metrics::new(std::iter::empty()).unwrap();
    Keeper::open(directory.path().join("state/blocks"), is_shared, &metrics)
}

fn on(login_id: &str) -> Draft {
    entry(login_id, 0, State::Blocked).act
}

fn bars(keeper: &Keeper, login_id: &str) -> bool {
    let Subject::LoginId(id) = on(login_id).subject else { unreachable!() };
    keeper.board().blocks().bar(None, &id, &ContractId::alone(&id))
}

#[test]
fn blocks_and_lifts_are_numbered_and_outlive_the_process() {
    let mut bench = Bench::alone();
    assert_eq!(bench.keeper.block(on("hanakodt")).unwrap().number, 1);
    assert_eq!(bench.keeper.block(on("tarokodt")).unwrap().number, 2);
    assert!(matches!(bench.keeper.block(on("hanakodt")), Err(ActError::Blocked(entry)) if entry.number == 1));
    assert_eq!(bench.keeper.lift(on("hanakodt")).unwrap().number, 3);
    assert!(matches!(bench.keeper.lift(on("hanakodt")), Err(ActError::NotBlocked)));
    assert!(matches!(bench.keeper.lift(on("jirokodt")), Err(ActError::NotBlocked)));
    for _ in 0..2 {
        assert!(!bars(&bench.keeper, "hanakodt") && bars(&bench.keeper, "tarokodt"));
        assert_eq!(bench.keeper.in_force().iter().map(|entry| entry.number).collect::<Vec<_>>(), [2]);
        assert_eq!(bench.keeper.gauge.with_label_values(&["login_id"]).get(), 1);
        bench.restart();
    }
    assert_eq!(bench.keeper.block(on("hanakodt")).unwrap().number, 4);
}

#[test]
fn each_act_is_a_new_generation_of_the_board() {
    let bench = Bench::alone();
    let before = bench.keeper.board().generation();
    bench.keeper.block(on("hanakodt")).unwrap();
    let board = bench.keeper.board();
    assert_eq!((board.generation(), board.blocks().generation()), (before + 1, before + 1));
    bench.keeper.block(on("hanakodt")).unwrap_err();
    assert_eq!(board.generation(), before + 1, "nothing has changed");
}

#[test]
fn what_cannot_be_kept_does_not_hold() {
    let bench = Bench::alone();
    std::fs::write(bench.directory.path().join("state"), "no directory").unwrap();
    assert!(matches!(bench.keeper.block(on("hanakodt")), Err(ActError::Unwritten(_))));
    assert!(!bars(&bench.keeper, "hanakodt"));
    std::fs::remove_file(bench.directory.path().join("state")).unwrap();
    bench.keeper.block(on("hanakodt")).unwrap();
    std::fs::remove_dir_all(bench.directory.path().join("state")).unwrap();
    std::fs::write(bench.directory.path().join("state"), "no directory").unwrap();
    assert!(matches!(bench.keeper.lift(on("hanakodt")), Err(ActError::Unwritten(_))));
    assert!(bars(&bench.keeper, "hanakodt"));
}

/// A full disk must not let anybody in; it gets what it lacks when it has room again.
#[test]
fn what_others_blocked_holds_also_where_it_cannot_be_kept() {
    let mut bench = Bench::sharing();
    let state = bench.directory.path().join("state");
    std::fs::write(&state, "no directory").unwrap();
    bench.keeper.merge(vec![entry("hanakodt", 5, State::Blocked)]);
    assert!(bars(&bench.keeper, "hanakodt"));
    std::fs::remove_file(&state).unwrap();
    bench.keeper.merge(Vec::new());
    bench.restart();
    assert!(bars(&bench.keeper, "hanakodt"));
}

#[test]
fn of_two_acts_on_one_subject_the_higher_number_holds_wherever_it_comes_from() {
    let bench = Bench::sharing();
    bench.keeper.merge(vec![entry("hanakodt", 5, State::Blocked), entry("tarokodt", 7, State::Lifted)]);
    // A store that lost the last acts, and one that lost all.
    for theirs in [vec![entry("tarokodt", 6, State::Blocked)], Vec::new()] {
        let missing = bench.keeper.merge(theirs).missing;
        assert_eq!(missing, [entry("hanakodt", 5, State::Blocked), entry("tarokodt", 7, State::Lifted)]);
        assert!(
            bars(&bench.keeper, "hanakodt") && !bars(&bench.keeper, "tarokodt"),
            "nothing revives, nothing is lost"
        );
    }
    let missing = bench.keeper.merge(vec![entry("hanakodt", 8, State::Lifted), entry("tarokodt", 7, State::Lifted)]);
    assert!(missing.missing.is_empty() && !bars(&bench.keeper, "hanakodt"));
    assert_eq!(bench.keeper.highest(), 8);
}

/// In whatever order, and however often, two gateways hear of each other's acts: they end with the same.
#[test]
fn merging_does_not_depend_on_the_order() {
    let acts = [
        entry("hanakodt", 1, State::Blocked),
        entry("hanakodt", 2, State::Lifted),
        entry("hanakodt", 3, State::Blocked),
        Entry { process: "q".into(), ..entry("hanakodt", 3, State::Lifted) },
        entry("tarokodt", 2, State::Blocked),
    ];
    let orders: [[usize; 5]; 4] = [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [2, 3, 0, 4, 1], [3, 2, 3, 1, 4]];
    let results = orders.map(|order| {
        let bench = Bench::sharing();
        for at in order {
            bench.keeper.merge(vec![acts[at].clone()]);
        }
        bench.all()
    });
    assert!(results.iter().all(|result| *result == results[0]), "{results:?}");
    assert_eq!(results[0], [acts[3].clone(), acts[4].clone()]);
}

/// Its number is provisional: whatever the store held meanwhile, it does not undo the block before it was told of it.
#[test]
fn a_block_that_waits_for_the_store_holds_until_the_store_has_numbered_it() {
    let mut bench = Bench::sharing();
    let waiting = bench.keeper.block(on("hanakodt")).unwrap();
    assert!(waiting.awaits_store && waiting.number == 1);
    bench.restart();
    let merged = bench.keeper.merge(vec![entry("hanakodt", 20, State::Lifted)]);
    assert!(merged.missing.is_empty() && bars(&bench.keeper, "hanakodt"));
    assert_eq!(bench.keeper.awaiting_store(), std::slice::from_ref(&waiting));
    bench.keeper.adopt(Entry { number: 21, awaits_store: false, ..waiting });
    bench.restart();
    assert!(bars(&bench.keeper, "hanakodt") && bench.keeper.awaiting_store().is_empty());
    assert!(bench.keeper.merge(vec![entry("hanakodt", 20, State::Lifted)]).missing.len() == 1);
    assert!(bars(&bench.keeper, "hanakodt"));
}

#[test]
fn a_damaged_file_is_no_empty_set() {
    let bench = Bench::alone();
    bench.keeper.block(on("hanakodt")).unwrap();
    let path = bench.directory.path().join("state/blocks");
    let good = std::fs::read_to_string(&path).unwrap();
    for bad in [String::new(), good.replace("blocked", "lifted")] {
        std::fs::write(&path, bad).unwrap();
        let refused = open(&bench.directory, false).unwrap_err().to_string();
        assert!(refused.contains("state/blocks are damaged"), "{refused}");
    }
}

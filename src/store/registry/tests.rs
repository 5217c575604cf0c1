//! The registry's acts, on a disk.

use jiff::Timestamp;
use tempfile::TempDir;

use super::row::tests::{certificate, contract_id, login_id};
use super::*;
use crate::domain::{JstDate, Role};

/// Noon of 2026-11-02 in Japan.
fn noon() -> Timestamp {
    "2026-11-02T03:00:00Z".parse().unwrap()
}

fn tomorrow() -> Timestamp {
    "2026-11-03T03:00:00Z".parse().unwrap()
}

fn today() -> JstDate {
    JstDate::of(noon())
}

fn open(directory: &TempDir) -> Registry {
    let metrics = Metrics::new([].iter()).unwrap();
    Registry::open(directory.path().join("registry.redb"), false, &metrics).unwrap()
}

fn login(id: &str, contract: &str) -> Login {
    Login { id: login_id(id), contract: contract_id(contract), role: Role::General }
}

/// A registry with a contract `yamada` and its login IDs a and b, and one `ito` with c.
fn two_contracts(directory: &TempDir) -> Registry {
    let registry = open(directory);
    let act = |draft: &mut Draft<'_>| {
        for (contract, ids) in [("yamada", &["a", "b"][..]), ("ito", &["c"])] {
            draft.add_contract(contract_id(contract), None, Access::Password)?;
            for id in ids {
                assert_eq!(draft.put_login(login(id, contract), false)?, Done::Added);
            }
        }
        Ok(())
    };
    registry.act(noon(), act).unwrap();
    registry
}

#[test]
fn what_was_registered_is_there_after_a_restart() {
    let directory = TempDir::new().unwrap();
    let registry = two_contracts(&directory);
    let active = certificate("a", 1);
    registry.act(noon(), |draft| draft.register(active.clone(), false)).unwrap();
    let generation = registry.generation();
    drop(registry);

    let registry = open(&directory);
    let index = registry.index();
    assert_eq!(index.sizes(), Sizes { contracts: 2, login_ids: 3, certificates: 1 });
    assert_eq!(index.registered(&active.sha256, &login_id("a")), Registered::Active);
    assert_eq!(*index.members(&contract_id("yamada")), [login_id("a"), login_id("b")]);
    assert_eq!(registry.certificate(&active.sha256).unwrap(), Some(active));
    assert_eq!(registry.certificate(&Fingerprint::of(b"")).unwrap(), None);
    assert_eq!(generation, 3, "two acts");
}

#[test]
fn an_act_is_done_as_a_whole_or_not_at_all() {
    let directory = TempDir::new().unwrap();
    let registry = two_contracts(&directory);
    let (sizes, generation) = (registry.index().sizes(), registry.generation());
    let act = |draft: &mut Draft<'_>| {
        draft.put_login(login("d", "ito"), false)?;
        draft.put_login(login("a", "ito"), false)
    };
    assert!(matches!(registry.act(noon(), act), Err(ActError::Elsewhere { .. })));
    assert_eq!((registry.index().sizes(), registry.generation()), (sizes, generation));
    drop(registry);
    assert_eq!(open(&directory).index().sizes(), sizes);
}

#[test]
fn who_is_moved_counts_in_both_contracts_until_the_day_ends() {
    let directory = TempDir::new().unwrap();
    let registry = two_contracts(&directory);
    assert_eq!(registry.act(noon(), |draft| draft.put_login(login("a", "ito"), true)).unwrap(), Done::Changed);
    for registry in [registry, open_after(&directory)] {
        let index = registry.index();
        let counted = |id: &str, day: JstDate| index.membership(&login_id(id)).unwrap().counted_since(day);
        assert_eq!(*counted("b", today()), [login_id("b"), login_id("a")]);
        assert_eq!(*counted("c", today()), [login_id("a"), login_id("c")]);
        assert_eq!(*counted("b", JstDate::of(tomorrow())), [login_id("b")]);
    }
}

/// The file is locked as long as another holds it.
fn open_after(directory: &TempDir) -> Registry {
    let copy = TempDir::new().unwrap();
    std::fs::copy(directory.path().join("registry.redb"), copy.path().join("registry.redb")).unwrap();
    open(&copy)
}

#[test]
fn a_contract_goes_when_nothing_of_it_counts_any_more() {
    let directory = TempDir::new().unwrap();
    let registry = two_contracts(&directory);
    let remove = |now| registry.act(now, |draft| draft.remove_contract(contract_id("ito")));
    assert!(matches!(remove(noon()), Err(ActError::HasLogins(_, 1))));
    registry.act(noon(), |draft| draft.remove_login(login_id("c"))).unwrap();
    assert!(matches!(remove(tomorrow()), Err(ActError::HadLogins(..))), "orders may be dated ahead");
    let late = noon() + jiff::SignedDuration::from_hours(24 * 404);
    remove(late).unwrap();
    assert!(matches!(remove(late), Err(ActError::NoContract(_))));
    assert!(registry.index().contract(&contract_id("ito")).is_none());
    assert_eq!(registry.contracts_after(None, 10).unwrap(), [contract_id("yamada")]);
}

#[test]
fn a_login_id_has_one_certificate() {
    let directory = TempDir::new().unwrap();
    let registry = two_contracts(&directory);
    let (first, second, third) = (certificate("a", 1), certificate("a", 2), certificate("a", 3));
    let register = |certificate: &Certificate, supersede, now| {
        registry.act(now, |draft| draft.register(certificate.clone(), supersede))
    };
    let state = |certificate: &Certificate| registry.certificate(&certificate.sha256).unwrap().unwrap().state;
    assert_eq!(register(&first, false, noon()).unwrap(), Done::Added);
    assert_eq!(register(&first, false, noon()).unwrap(), Done::Unchanged);
    assert!(matches!(register(&second, false, noon()), Err(ActError::HasCertificate { .. })));
    assert_eq!(register(&second, true, noon()).unwrap(), Done::Added);
    assert_eq!((state(&first), state(&second)), (State::Retired, State::Active));
    // Its end has come.
    let late = Timestamp::from_second(second.not_after + 1).unwrap();
    assert_eq!(register(&third, false, late).unwrap(), Done::Added);
    assert_eq!(state(&second), State::Retired);
    let taken = Certificate { login_id: login_id("b"), ..third.clone() };
    assert!(matches!(register(&taken, true, noon()), Err(ActError::AnotherOwner(_))));
    assert_eq!(registry.act(noon(), |draft| draft.retire(third.sha256)).unwrap().state, State::Retired);
    assert!(matches!(registry.act(noon(), |draft| draft.retire(third.sha256)), Err(ActError::RetiredAlready)));
    assert_eq!(registry.certificates_of(&login_id("a")).unwrap().len(), 3);
}

/// As only stores that were put together have them.
#[test]
fn of_two_active_certificates_one_is_in_force_and_both_end_with_it() {
    let directory = TempDir::new().unwrap();
    let registry = open(&directory);
    let (first, second) = (certificate("hanakodt", 1), certificate("hanakodt", 2));
    let second = Certificate { not_before: second.not_before + 1, ..second };
    for (number, active) in [&second, &first].into_iter().enumerate() {
        let version = Version { number: number as u64 + 1, process: "p".into() };
        let row = Versioned { version, change: Change::Put(Row::Certificate(active.clone())) };
        registry.take(vec![row], Place { position: number as u64 + 1, token: "t".into() }, Reach::Nobody).unwrap();
    }
    let id = login_id("hanakodt");
    let in_force = |registry: &Registry| registry.index().active(&id);
    assert_eq!(in_force(&registry), Some(second.sha256));
    registry.act(noon(), |draft| draft.retire(second.sha256)).unwrap();
    assert_eq!(in_force(&registry), None);
    drop(registry);
    let registry = open(&directory);
    assert_eq!(in_force(&registry), None, "nor after a restart");
    assert!(matches!(registry.learn(first.clone(), noon()), Err(ActError::RetiredAlready)));
    let again = |supersede| registry.act(noon(), |draft| draft.register(first.clone(), supersede));
    assert!(matches!(again(false), Err(ActError::WasRetired)), "a file of yesterday");
    again(true).unwrap();
    assert_eq!(in_force(&registry), Some(first.sha256));
}

/// Others take over the last of them; all have one version.
#[test]
fn what_an_act_changes_more_than_once_is_told_once() {
    let directory = TempDir::new().unwrap();
    let registry = two_contracts(&directory);
    let act = |draft: &mut Draft<'_>| {
        draft.put_login(login("a", "ito"), true)?;
        draft.put_login(login("b", "ito"), true)
    };
    let (_, rows, _) = registry.draft(noon(), act).unwrap();
    let of_yamada: Vec<&Versioned> =
        rows.iter().filter(|row| row.change.key() == Key::Contract(contract_id("yamada"))).collect();
    let [Versioned { change: Change::Put(Row::Contract(contract)), .. }] = &of_yamada[..] else { panic!("{rows:?}") };
    assert_eq!(contract.former.len(), 2);
    assert_eq!(rows.len(), 3);
}

/// What is taken over where something else was known concerns everybody who is there (TLS-17).
#[test]
fn rows_that_replace_what_was_known_raise_the_generation() {
    let directory = TempDir::new().unwrap();
    let registry = open(&directory);
    let active = certificate("hanakodt", 1);
    registry.act(noon(), |draft| draft.register(active.clone(), false)).unwrap();
    let generation = registry.generation();
    let retired = Certificate { state: State::Retired, ..active };
    let row = |number, process: &str| Versioned {
        version: Version { number, process: process.into() },
        change: Change::Put(Row::Certificate(retired.clone())),
    };
    let place = |position| Place { position, token: "t".into() };
    registry.take(vec![row(0, "z")], place(1), Reach::Nobody).unwrap();
    assert_eq!(registry.generation(), generation, "an older one");
    registry.take(vec![row(1, "z")], place(2), Reach::Nobody).unwrap();
    assert_eq!(registry.generation(), generation + 1);
    assert_eq!(registry.index().active(&login_id("hanakodt")), None);
}

#[test]
fn nobody_leaves_a_contract_that_is_shut_out() {
    use crate::store::blocks::{Draft as BlockDraft, Keeper};
    let directory = TempDir::new().unwrap();
    let registry = two_contracts(&directory);
    let metrics = Metrics::new([].iter()).unwrap();
    let keeper = Keeper::open(directory.path().join("blocks"), false, &metrics).unwrap();
    let subject = "contract:yamada".parse().unwrap();
    keeper.block(BlockDraft { subject, at: noon(), operator: "o".into(), reason: "r".into() }).unwrap();
    let blocks = keeper.board().blocks();
    let act = |take_out: fn(&mut Draft<'_>) -> Result<(), ActError>| {
        let blocks = Arc::clone(&blocks);
        registry.act(noon(), move |draft| {
            draft.respect(blocks);
            take_out(draft)
        })
    };
    assert!(matches!(act(|draft| draft.remove_login(login_id("a")).map(drop)), Err(ActError::Blocked(_))));
    assert!(matches!(act(|draft| draft.put_login(login("a", "ito"), true).map(drop)), Err(ActError::Blocked(_))));
    act(|draft| draft.remove_login(login_id("c")).map(drop)).unwrap();
}

#[test]
fn only_the_first_certificate_is_learned() {
    let directory = TempDir::new().unwrap();
    let registry = open(&directory);
    let (first, second) = (certificate("hanakodt", 1), certificate("hanakodt", 2));
    let generation = registry.generation();
    assert_eq!(registry.learn(first.clone(), noon()).unwrap(), Done::Added);
    assert_eq!(registry.learn(first.clone(), noon()).unwrap(), Done::Unchanged);
    assert!(matches!(registry.learn(second.clone(), noon()), Err(ActError::HasCertificate { .. })));
    registry.act(noon(), |draft| draft.retire(first.sha256)).unwrap();
    assert!(matches!(registry.learn(first, noon()), Err(ActError::RetiredAlready)));
    assert!(matches!(registry.learn(second, noon()), Err(ActError::RetiredAlready)), "it has had one");
    assert_eq!(registry.generation(), generation + 1, "learning takes nobody's standing");
}

#[test]
fn the_first_certificate_that_switches_a_contract_is_everybodys_business() {
    let directory = TempDir::new().unwrap();
    let registry = two_contracts(&directory);
    let switch = Some(Access::CertificateFromFirstIssue);
    registry.act(noon(), |draft| draft.change_contract(contract_id("yamada"), None, switch)).unwrap();
    let generation = registry.generation();
    registry.learn(certificate("c", 1), noon()).unwrap();
    assert_eq!(registry.generation(), generation);
    registry.learn(certificate("a", 2), noon()).unwrap();
    assert_eq!(registry.generation(), generation + 1);
    assert!(registry.index().demands_certificate(&contract_id("yamada"), today()));
}

#[test]
fn lists_are_read_page_by_page() {
    let directory = TempDir::new().unwrap();
    let registry = open(&directory);
    let act = |draft: &mut Draft<'_>| {
        for number in 0..10 {
            draft.add_contract(contract_id(&format!("c{number}")), None, Access::Password)?;
            draft.register(certificate(&format!("id{}", number / 2), number), true)?;
        }
        Ok(())
    };
    registry.act(noon(), act).unwrap();
    let (mut contracts, mut after) = (Vec::new(), None);
    while let Some(last) = {
        let page = registry.contracts_after(after.as_ref(), 3).unwrap();
        contracts.extend(page.clone());
        page.last().cloned()
    } {
        after = Some(last);
    }
    assert_eq!(contracts, (0..10).map(|number| contract_id(&format!("c{number}"))).collect::<Vec<_>>());
    let (mut found, mut after): (Vec<Certificate>, Option<Certificate>) = (Vec::new(), None);
    while let Some(last) = {
        let place = after.as_ref().map(|last| (&last.login_id, &last.sha256));
        let page = registry.certificates_after(place, 3).unwrap();
        found.extend(page.clone());
        page.last().cloned()
    } {
        after = Some(last);
    }
    let ids: Vec<String> = found.iter().map(|certificate| certificate.login_id.to_string()).collect();
    assert_eq!(ids, (0..10).map(|number| format!("id{}", number / 2)).collect::<Vec<_>>());
    assert_eq!(found.iter().filter(|certificate| certificate.state == State::Active).count(), 5);
}

#[test]
fn a_contract_has_only_so_many_login_ids() {
    let directory = TempDir::new().unwrap();
    let registry = open(&directory);
    let act = |draft: &mut Draft<'_>| {
        draft.add_contract(contract_id("yamada"), None, Access::Password)?;
        for number in 0..=MOST_MEMBERS {
            draft.put_login(login(&format!("id{number}"), "yamada"), false)?;
        }
        Ok(())
    };
    assert!(matches!(registry.act(noon(), act), Err(ActError::TooManyLogins(_))));
}

#[test]
fn a_damaged_file_is_no_registry() {
    let directory = TempDir::new().unwrap();
    drop(two_contracts(&directory));
    let path = directory.path().join("registry.redb");
    std::fs::write(&path, b"something else").unwrap();
    let metrics = Metrics::new([].iter()).unwrap();
    assert!(Registry::open(path, false, &metrics).is_err());
}

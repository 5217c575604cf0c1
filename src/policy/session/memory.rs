//! Whose each session of the application is, as long as it lives (BND-02, BND-05, BND-07).
//!
//! Sessions of customers with certificates and of strangers are kept apart, so that whoever asks for many login pages at a
//! password listener displaces no such customer; and so many of one login ID are kept, that none displaces another. Where
//! something has to go, its owner logs in again: of one login ID first what was never used, of all what was used least recently.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::Settings;
use crate::domain::{Fingerprint, LoginId};

/// Longer than any answer is on its way.
const ENDED_FOR: Duration = Duration::from_secs(86_400);

/// A session of the application, as a hash: who reads the gateway's memory finds none to use.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct SessionId([u8; 32]);

impl SessionId {
    /// The session with this value, whatever it is carried in.
    pub fn of(value: &[u8]) -> Self {
        let mut id = [0; 32];
        id.copy_from_slice(digest(&SHA256, value).as_ref());
        Self(id)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId")
    }
}

/// To whom a session belongs: the entrance, and who came in by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Owner<'v> {
    /// The listener's name.
    pub listener: &'v str,
    /// The customer, with the one certificate; `None` on a password listener.
    pub holder: Option<(&'v LoginId, &'v Fingerprint)>,
}

/// What became of a session that a request names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// It is the visitor's own, and lives on.
    Own,
    /// It is somebody else's.
    Foreign,
    /// There is none.
    Unknown,
    /// Nobody used it for `idle-timeout`.
    Idle,
    /// It has reached its `lifetime`.
    Old,
}

/// All sessions. Outlives reloads.
#[derive(Debug)]
pub struct Memory {
    customers: Cache<SessionId, Arc<Binding>>,
    strangers: Cache<SessionId, Arc<Binding>>,
    by_login_id: Cache<LoginId, Arc<Mutex<Vec<SessionId>>>>,
    /// Logged out: whatever the application still says of them, they do not begin again.
    ended: Cache<SessionId, ()>,
}

#[derive(Debug)]
struct Binding {
    listener: Box<str>,
    holder: Option<(LoginId, Fingerprint)>,
    since: Timestamp,
    /// When it was used last, in seconds since 1970.
    seen: AtomicI64,
    /// Whether a request has named it.
    is_used: AtomicBool,
}

impl Memory {
    /// For so many sessions of customers, and as many of strangers.
    pub fn new(max_sessions: u64) -> Self {
        let kept = || Cache::builder().max_capacity(max_sessions).eviction_policy(EvictionPolicy::lru()).build();
        let by_login_id = Cache::builder().max_capacity(max_sessions).eviction_policy(EvictionPolicy::lru()).build();
        let ended = Cache::builder().max_capacity(max_sessions).time_to_live(ENDED_FOR);
        let ended = ended.eviction_policy(EvictionPolicy::lru()).build();
        Self { customers: kept(), strangers: kept(), by_login_id, ended }
    }

    /// About how many there are.
    pub fn count(&self) -> u64 {
        self.customers.entry_count() + self.strangers.entry_count()
    }

    /// Looks a session up for its visitor, which keeps it alive if it is the own one.
    pub(super) fn find(&self, id: &SessionId, owner: Owner<'_>, now: Timestamp, settings: &Settings) -> Found {
        let Some(binding) = self.binding(id) else { return Found::Unknown };
        if let Some(ended) = binding.has_ended(now, settings) {
            self.end(id);
            return ended;
        }
        if binding.owner() != owner {
            return Found::Foreign;
        }
        binding.seen.fetch_max(now.as_second(), Ordering::Relaxed);
        binding.is_used.store(true, Ordering::Relaxed);
        Found::Own
    }

    /// Keeps a session that the application has just begun for its visitor; whether it could be. One that another has is
    /// nobody's to give.
    pub(super) fn bind(&self, id: SessionId, owner: Owner<'_>, now: Timestamp, settings: &Settings) -> bool {
        if self.ended.contains_key(&id) {
            return true;
        }
        if let Some(known) = self.binding(&id)
            && known.has_ended(now, settings).is_none()
        {
            return known.owner() == owner;
        }
        let kept = if owner.holder.is_some() { &self.customers } else { &self.strangers };
        let binding = Arc::new(Binding::new(owner, now));
        // Of two at once with the same value, one was first.
        let entry = kept.entry(id).and_upsert_with(|known| match known {
            Some(known) if known.value().has_ended(now, settings).is_none() => known.into_value(),
            Some(_) | None => Arc::clone(&binding),
        });
        if entry.into_value().owner() != owner {
            return false;
        }
        // Logged out in between.
        if self.ended.contains_key(&id) {
            self.end(&id);
        } else if let Some((login_id, _)) = owner.holder {
            self.bound(login_id.clone(), id, settings.max_sessions_per_login_id);
        }
        true
    }

    /// Notes a session of a login ID; of too many, the one that is missed least ends.
    fn bound(&self, login_id: LoginId, id: SessionId, most: usize) {
        let own = self.by_login_id.get_with(login_id, Arc::default);
        let mut own = own.lock().unwrap_or_else(PoisonError::into_inner);
        own.retain(|other| *other != id && self.customers.contains_key(other));
        while own.len() >= most {
            let use_of = |id: &SessionId| self.customers.get(id).map(|binding| binding.last_use());
            let Some(least) = (0..own.len()).min_by_key(|at| use_of(&own[*at])) else { break };
            self.end(&own.remove(least));
        }
        own.push(id);
    }

    /// Ends a session for good: its owner has logged out.
    pub(super) fn log_out(&self, id: &SessionId) {
        self.ended.insert(*id, ());
        self.end(id);
    }

    fn end(&self, id: &SessionId) {
        self.customers.invalidate(id);
        self.strangers.invalidate(id);
    }

    fn binding(&self, id: &SessionId) -> Option<Arc<Binding>> {
        self.customers.get(id).or_else(|| self.strangers.get(id))
    }
}

impl Binding {
    fn new(owner: Owner<'_>, now: Timestamp) -> Self {
        let holder = owner.holder.map(|(login_id, certificate)| (login_id.clone(), *certificate));
        let (seen, is_used) = (AtomicI64::new(now.as_second()), AtomicBool::new(false));
        Self { listener: owner.listener.into(), holder, since: now, seen, is_used }
    }

    /// What was never used comes before what was, and what was used earlier before what was used later.
    fn last_use(&self) -> (bool, i64) {
        (self.is_used.load(Ordering::Relaxed), self.seen.load(Ordering::Relaxed))
    }

    fn owner(&self) -> Owner<'_> {
        let holder = self.holder.as_ref().map(|(login_id, certificate)| (login_id, certificate));
        Owner { listener: &self.listener, holder }
    }

    fn has_ended(&self, now: Timestamp, settings: &Settings) -> Option<Found> {
        let longer_than = |since: i64, span: Duration| {
            now.as_second().saturating_sub(since) > i64::try_from(span.as_secs()).unwrap_or(i64::MAX)
        };
        if longer_than(self.seen.load(Ordering::Relaxed), settings.idle_timeout) {
            return Some(Found::Idle);
        }
        longer_than(self.since.as_second(), settings.lifetime).then_some(Found::Old)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::session::carried::Names;
    use crate::refusal::LocalLink;

    fn settings() -> Settings {
        Settings {
            names: Names::default(),
            login_page: LocalLink::of("/ib/login.do").unwrap(),
            idle_timeout: Duration::from_secs(900),
            lifetime: Duration::from_secs(8 * 3600),
            max_sessions: 100,
            max_sessions_per_login_id: 3,
        }
    }

    const STRANGER: Owner<'_> = Owner { listener: "password", holder: None };

    struct Customer(LoginId, Fingerprint);

    fn customer(login_id: &str, certificate: &str) -> Customer {
        Customer(LoginId::parse(login_id).unwrap(), Fingerprint::of(certificate.as_bytes()))
    }

    impl Customer {
        fn owner(&self) -> Owner<'_> {
            Owner { listener: "certificate", holder: Some((&self.0, &self.1)) }
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_369_000_000 + seconds).unwrap()
    }

    #[test]
    fn a_session_is_its_owners_and_nobody_elses() {
        let (memory, settings) = (Memory::new(100), settings());
        let id = SessionId::of(b"A");
        let hanako = customer("hanakodt", "1");
        let hanako = hanako.owner();
        assert_eq!(memory.find(&id, hanako, at(0), &settings), Found::Unknown);
        assert!(memory.bind(id, hanako, at(0), &settings));
        assert!(memory.bind(id, hanako, at(0), &settings), "told once more, it is the same");
        assert_eq!(memory.find(&id, hanako, at(1), &settings), Found::Own);
        let others = [customer("tarokodt", "2"), customer("hanakodt", "3"), customer("hanakod", "1")];
        let elsewhere = Owner { listener: "other", ..hanako };
        for other in others.iter().map(Customer::owner).chain([STRANGER, elsewhere]) {
            assert_eq!(memory.find(&id, other, at(1), &settings), Found::Foreign, "{other:?}");
            assert!(!memory.bind(id, other, at(1), &settings));
        }
        assert_eq!(memory.find(&id, hanako, at(1), &settings), Found::Own, "the owner is left alone");
    }

    #[test]
    fn a_session_ends_when_nobody_uses_it_and_when_it_is_old() {
        let (memory, settings) = (Memory::new(100), settings());
        let (id, hanako, taro) = (SessionId::of(b"A"), customer("hanakodt", "1"), customer("tarokodt", "2"));
        let hanako = hanako.owner();
        assert!(memory.bind(id, hanako, at(0), &settings));
        for time in [900, 1_800, 2_700] {
            assert_eq!(memory.find(&id, hanako, at(time), &settings), Found::Own);
        }
        assert_eq!(memory.find(&id, hanako, at(100), &settings), Found::Own, "a clock that was put back ends nothing");
        assert_eq!(memory.find(&id, hanako, at(3_601), &settings), Found::Idle);
        assert_eq!(memory.find(&id, hanako, at(3_601), &settings), Found::Unknown);
        assert!(memory.bind(id, taro.owner(), at(3_602), &settings), "what has ended can begin anew");
        let long = Settings { idle_timeout: Duration::from_secs(100_000), ..settings };
        let id = SessionId::of(b"B");
        assert!(memory.bind(id, hanako, at(0), &long));
        assert_eq!(memory.find(&id, hanako, at(8 * 3600), &long), Found::Own);
        assert_eq!(memory.find(&id, hanako, at(8 * 3600 + 1), &long), Found::Old);
    }

    #[test]
    fn one_login_id_displaces_only_its_own_sessions() {
        let (memory, settings) = (Memory::new(100), settings());
        let (hanako, taro) = (customer("hanakodt", "1"), customer("tarokodt", "2"));
        let (hanako, taro) = (hanako.owner(), taro.owner());
        assert!(memory.bind(SessionId::of(b"taro"), taro, at(0), &settings));
        for number in 0..5_u8 {
            assert!(memory.bind(SessionId::of(&[number]), hanako, at(0), &settings));
        }
        let left = (0..5_u8).map(|number| memory.find(&SessionId::of(&[number]), hanako, at(1), &settings));
        let (own, unknown) = (Found::Own, Found::Unknown);
        assert_eq!(left.collect::<Vec<_>>(), [unknown, unknown, own, own, own]);
        assert_eq!(memory.find(&SessionId::of(b"taro"), taro, at(1), &settings), Found::Own);
    }

    /// A page elsewhere can make a browser ask for many login pages, with the certificate and without the cookie.
    #[test]
    fn a_session_in_use_is_displaced_last() {
        let (memory, settings) = (Memory::new(100), settings());
        let hanako = customer("hanakodt", "1");
        let hanako = hanako.owner();
        let used = SessionId::of(b"used");
        assert!(memory.bind(used, hanako, at(0), &settings));
        assert_eq!(memory.find(&used, hanako, at(1), &settings), Found::Own);
        for number in 0..50_u8 {
            assert!(memory.bind(SessionId::of(&[number]), hanako, at(2), &settings));
        }
        assert_eq!(memory.find(&used, hanako, at(3), &settings), Found::Own);
    }

    #[test]
    fn who_logged_out_stays_so_whatever_the_application_says() {
        let (memory, settings) = (Memory::new(100), settings());
        let (id, hanako) = (SessionId::of(b"A"), customer("hanakodt", "1"));
        assert!(memory.bind(id, hanako.owner(), at(0), &settings));
        memory.log_out(&id);
        assert!(memory.bind(id, hanako.owner(), at(1), &settings), "nobody else's");
        assert_eq!(memory.find(&id, hanako.owner(), at(1), &settings), Found::Unknown);
    }

    #[test]
    fn strangers_displace_no_customer() {
        let (memory, settings) = (Memory::new(10), settings());
        let hanako = customer("hanakodt", "1");
        let hanako = hanako.owner();
        assert!(memory.bind(SessionId::of(b"A"), hanako, at(0), &settings));
        for number in 0..1_000_u32 {
            assert!(memory.bind(SessionId::of(&number.to_be_bytes()), STRANGER, at(0), &settings));
        }
        memory.strangers.run_pending_tasks();
        assert!(memory.strangers.entry_count() <= 10);
        let latest = SessionId::of(&999_u32.to_be_bytes());
        assert_eq!(memory.find(&latest, STRANGER, at(1), &settings), Found::Own, "the least recently used go");
        assert_eq!(memory.find(&SessionId::of(b"A"), hanako, at(1), &settings), Found::Own);
    }
}

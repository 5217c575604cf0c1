//! The resumable TLS sessions of one listener: bounded in bytes and in time, never shared with another listener.
//!
//! With each session stands what was proven when it began: an identity at a certificate listener (see
//! [`Inspector`](super::verifier::Inspector)), nothing at a password listener, where rustls may ask the store itself.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use rustls::server::StoresServerSessions;

/// What a session takes beside its value: key, bookkeeping of the cache, the reference to what was proven.
const OVERHEAD: usize = 256;

/// The sessions, each with what was proven for it.
#[derive(Debug)]
pub(super) struct Sessions<P: Clone + Send + Sync + 'static> {
    kept: Cache<Vec<u8>, KeptSession<P>>,
    keeps_any: bool,
}

/// A session as rustls wrote it, with what was proven for it.
#[derive(Debug, Clone)]
pub(super) struct KeptSession<P> {
    pub value: Arc<[u8]>,
    pub proven: P,
}

impl<P: Clone + Send + Sync + 'static> Sessions<P> {
    /// A store of at most `bytes`, in which nothing lives longer than `lifetime`.
    pub fn new(bytes: u64, lifetime: Duration) -> Self {
        let weight = |key: &Vec<u8>, session: &KeptSession<P>| {
            u32::try_from(key.len() + session.value.len() + OVERHEAD).unwrap_or(u32::MAX)
        };
        let kept = Cache::builder().weigher(weight).max_capacity(bytes).time_to_live(lifetime).build();
        Self { kept, keeps_any: bytes > 0 && !lifetime.is_zero() }
    }

    /// Keeps a session; `false` where none is ever kept, so that no ticket is issued for it.
    pub fn keep(&self, key: Vec<u8>, value: Vec<u8>, proven: P) -> bool {
        if self.keeps_any {
            self.kept.insert(key, KeptSession { value: value.into(), proven });
        }
        self.keeps_any
    }

    /// The session, which stays.
    pub fn find(&self, key: &[u8]) -> Option<KeptSession<P>> {
        self.kept.get(key)
    }

    /// The session, for the last time.
    pub fn remove(&self, key: &[u8]) -> Option<KeptSession<P>> {
        self.kept.remove(key)
    }
}

/// Where nobody is recognised, a session is good for whoever holds its key.
impl StoresServerSessions for Sessions<()> {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        self.keep(key, value, ())
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        Some(self.find(key)?.value.to_vec())
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        Some(self.remove(key)?.value.to_vec())
    }

    fn can_cache(&self) -> bool {
        self.keeps_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_session_is_taken_once() {
        let sessions: Sessions<()> = Sessions::new(1 << 20, HOUR);
        assert!(sessions.put(b"key".to_vec(), b"value".to_vec()));
        assert_eq!(sessions.get(b"key"), Some(b"value".to_vec()));
        assert_eq!(sessions.take(b"key"), Some(b"value".to_vec()));
        assert_eq!(sessions.take(b"key"), None);
    }

    #[test]
    fn sessions_are_bounded_in_bytes() {
        const BYTES: u64 = 64 << 10;
        let sessions: Sessions<()> = Sessions::new(BYTES, HOUR);
        for number in 0..10_000_u32 {
            assert!(sessions.put(number.to_be_bytes().to_vec(), vec![0; 1024]));
        }
        sessions.kept.run_pending_tasks();
        assert!((1..=BYTES).contains(&sessions.kept.weighted_size()), "{}", sessions.kept.weighted_size());
        assert!(sessions.kept.entry_count() <= BYTES / 1024);
    }

    #[test]
    fn where_nothing_is_kept_nothing_is_promised() {
        for (bytes, lifetime) in [(0, HOUR), (1 << 20, Duration::ZERO)] {
            let sessions: Sessions<()> = Sessions::new(bytes, lifetime);
            assert!(!sessions.can_cache());
            assert!(!sessions.put(b"key".to_vec(), b"value".to_vec()));
            assert_eq!(sessions.get(b"key"), None);
        }
    }
}

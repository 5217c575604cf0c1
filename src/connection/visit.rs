//! One connection's visitor: who it is, by which entrance it came, and whether it still has standing.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use http::HeaderValue;
use jiff::Timestamp;

use super::affiliation::Affiliation;
use super::identity::VerifiedIdentity;
use super::listener::Listener;
use super::trust::{Trust, Verdict};
use crate::domain::{ContractId, HostName};
use crate::refusal::{CertificateRefusal, Refusal};

/// Who is on a connection.
#[derive(Debug)]
pub enum Visitor {
    /// A customer, proven by a certificate.
    Customer(VerifiedIdentity),
    /// Somebody whom the application will ask for a password; never with an identity from us.
    Stranger,
    /// Somebody who gets a page that says why, and nothing else.
    Refused(CertificateRefusal),
}

/// An open connection's visitor.
#[derive(Debug)]
pub struct Visit {
    listener: Arc<Listener>,
    client: IpAddr,
    client_header: HeaderValue,
    visitor: Visitor,
    /// The last positive verdict; only customers have one.
    verdict: Mutex<Option<Arc<Verdict>>>,
    progress: Progress,
    /// The first Host that was found to be served here: nearly always the only one.
    first_host: OnceLock<Box<[u8]>>,
    /// Whether the last verdict waits for the certificate to be registered.
    awaits_registration: AtomicBool,
    /// See [`Visit::is_active_again`]: when it is time, in seconds since 1970.
    active_again_at: AtomicI64,
}

/// How many bytes were read from a connection since something came of them: what a flood of frames does to an HTTP/2
/// connection, and no request does.
#[derive(Debug, Clone, Default)]
pub struct Progress(Arc<AtomicU64>);

impl Progress {
    /// Something came of what was read: a request, a part of a body, an answer taken.
    pub fn made(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// So many bytes were read; how many since the last progress.
    pub(super) fn heard(&self, bytes: u64) -> u64 {
        self.0.fetch_add(bytes, Ordering::Relaxed) + bytes
    }
}

/// Evidence that the visitor may send this request: proven for the present generation of trust and the present moment.
/// Held by value, spent once. Only [`Visit::standing`] makes one.
#[derive(Debug)]
pub struct Standing {
    visit: Arc<Visit>,
    /// Only customers have one.
    verdict: Option<Arc<Verdict>>,
}

impl Visit {
    pub(super) fn new(listener: Arc<Listener>, client: IpAddr, visitor: Visitor, verdict: Option<Verdict>) -> Self {
        // An address is visible ASCII.
        let client_header = HeaderValue::from_str(&client.to_string()).unwrap_or(HeaderValue::from_static("unknown"));
        let awaits_registration = verdict.as_ref().is_some_and(Verdict::awaits_registration);
        Self {
            listener,
            client,
            client_header,
            visitor,
            verdict: Mutex::new(verdict.map(Arc::new)),
            progress: Progress::default(),
            first_host: OnceLock::new(),
            awaits_registration: AtomicBool::new(awaits_registration),
            active_again_at: AtomicI64::new(i64::MIN),
        }
    }

    /// Where the visitor came in.
    pub fn listener(&self) -> &Listener {
        &self.listener
    }

    /// The true client address.
    pub fn client(&self) -> IpAddr {
        self.client
    }

    /// The same, for the application.
    pub fn client_header(&self) -> &HeaderValue {
        &self.client_header
    }

    /// Who it is.
    pub fn visitor(&self) -> &Visitor {
        &self.visitor
    }

    /// Where the connection's progress is noted.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Whether a request for this host, as the client wrote it, belongs here.
    ///
    /// # Errors
    /// A host that is no host, or is served elsewhere (421).
    pub(super) fn serves(&self, host: &HeaderValue) -> Result<(), Refusal> {
        if self.first_host.get().is_some_and(|known| **known == *host.as_bytes()) {
            return Ok(());
        }
        let name = host.to_str().ok().and_then(HostName::parse_authority).ok_or(Refusal::BadHost)?;
        if !self.listener.serves(&name) {
            return Err(Refusal::MisdirectedRequest);
        }
        self.first_host.get_or_init(|| host.as_bytes().into());
        Ok(())
    }

    /// Whether the visitor's certificate must be registered before it gives standing.
    pub fn awaits_registration(&self) -> bool {
        self.awaits_registration.load(Ordering::Acquire)
    }

    /// The customer's contract, as it was judged last.
    pub fn contract(&self) -> Option<ContractId> {
        self.last_verdict().as_ref().and_then(|verdict| verdict.affiliation().contract().cloned())
    }

    /// Whatever was found is no longer so: the next question is judged anew.
    pub(super) fn forget_verdict(&self) {
        *self.last_verdict() = None;
        self.awaits_registration.store(false, Ordering::Release);
    }

    /// Whether it is time to tell that the visitor is active: at the first request, and then not more often than `every`.
    /// Of several requests at once, for one of them; also after the clock was put back.
    pub fn is_active_again(&self, now: Timestamp, every: Duration) -> bool {
        // Whole seconds, rounded down: rather too early than too late.
        let (now, every) = (now.as_second(), i64::try_from(every.as_secs()).unwrap_or(i64::MAX));
        let due = self.active_again_at.load(Ordering::Relaxed);
        let is_due = now >= due || due.saturating_sub(now) > every;
        let next = now.saturating_add(every);
        is_due && self.active_again_at.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// The visitor's standing for a request: whoever holds it may go on without this connection.
    ///
    /// # Errors
    /// Why there is no standing (any more).
    pub fn standing(self: &Arc<Self>, trust: &Trust, now: Timestamp) -> Result<Standing, Refusal> {
        let verdict = self.may_ask(trust, now)?;
        Ok(Standing { visit: Arc::clone(self), verdict })
    }

    /// Good, as far as is known, and as much is known as must be.
    fn may_ask(&self, trust: &Trust, now: Timestamp) -> Result<Option<Arc<Verdict>>, Refusal> {
        let verdict = self.judge(trust, now)?;
        match &verdict {
            Some(verdict) if verdict.awaits_registration() || !trust.knows_standing() => Err(Refusal::StandingUnknown),
            Some(_) | None => Ok(verdict),
        }
    }

    /// Judges the visitor now: a comparison while nothing changed, a judgement when trust or a date did.
    ///
    /// # Errors
    /// Why there is no standing (any more).
    pub(super) fn judge(&self, trust: &Trust, now: Timestamp) -> Result<Option<Arc<Verdict>>, Refusal> {
        if self.listener.is_superseded() {
            return Err(Refusal::ListenerChanged);
        }
        match &self.visitor {
            Visitor::Stranger => Ok(None),
            Visitor::Refused(reason) => Err(Refusal::Certificate(*reason)),
            Visitor::Customer(who) => {
                let mut last = self.last_verdict();
                if let Some(verdict) = last.as_ref().filter(|verdict| verdict.holds(trust, now.as_second())) {
                    return Ok(Some(Arc::clone(verdict)));
                }
                *last = None;
                let verdict = Arc::new(trust.still_good(who, now).map_err(Refusal::Certificate)?);
                self.awaits_registration.store(verdict.awaits_registration(), Ordering::Release);
                *last = Some(Arc::clone(&verdict));
                Ok(Some(verdict))
            }
        }
    }

    fn last_verdict(&self) -> MutexGuard<'_, Option<Arc<Verdict>>> {
        self.verdict.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Standing {
    /// The visit that has it.
    pub fn visit(&self) -> &Arc<Visit> {
        &self.visit
    }

    /// The customer, on a certificate listener.
    pub fn customer(&self) -> Option<&VerifiedIdentity> {
        match &self.visit.visitor {
            Visitor::Customer(who) => Some(who),
            Visitor::Stranger | Visitor::Refused(_) => None,
        }
    }

    /// The customer's contract, on a certificate listener.
    pub fn affiliation(&self) -> Option<&Affiliation> {
        self.verdict.as_ref().map(|verdict| verdict.affiliation())
    }

    /// The same by its name, where it has one.
    pub fn contract(&self) -> Option<&ContractId> {
        self.affiliation()?.contract()
    }

    /// What every assertion says of the customer alike, made when it is first asked for; `None` where there is no customer.
    pub fn told_claims(&self, make: impl FnOnce(&VerifiedIdentity, &Affiliation) -> String) -> Option<&str> {
        let (verdict, who) = self.verdict.as_ref().zip(self.customer())?;
        Some(verdict.told_claims(|| make(who, verdict.affiliation())))
    }

    /// Checks again, right before the request leaves (TLS-17): waiting for a connection to the application takes time, and the
    /// customer may belong to another contract by now.
    ///
    /// # Errors
    /// Why there is no standing any more.
    pub fn confirm(self, trust: &Trust, now: Timestamp) -> Result<Self, Refusal> {
        let verdict = self.visit.may_ask(trust, now)?;
        // What was decided for one contract, or told of one role, is not done for another.
        let is_same = match (&verdict, &self.verdict) {
            (Some(now), Some(before)) => {
                let told = |verdict: &Verdict| {
                    (
                        verdict.affiliation().contract().cloned(),
                        verdict.affiliation().registered().map(|(_, role)| role),
                    )
                };
                Arc::ptr_eq(now, before) || told(now) == told(before)
            }
            (now, before) => now.is_none() && before.is_none(),
        };
        if !is_same {
            return Err(Refusal::StandingUnknown);
        }
        Ok(Self { verdict, ..self })
    }
}

//! Whom the bank has vouched for: issuing CAs, their revocation lists, the subject's layout, and what its own books say: whom
//! it has shut out, whose certificate is whose, and which contract a login ID belongs to.
//!
//! [`Trust::judge`] is the only place where an identity is born, and it is asked after every handshake, full or resumed
//! (TLS-15); [`Trust::still_good`] is asked on every request. Building a path costs a signature check, so proven paths
//! are remembered by the hash of the chain; dates and revocation are looked up every time.
//!
//! Invariant: every certificate below the anchor is looked up in its issuer's list, and where that list is missing or
//! past its time the answer is no. rustls's and webpki's defaults are the opposite and are not relied on.
//!
//! Where certificates are learned, a customer's first one is judged good and waits to be registered: until then it gives an
//! identity and no standing (TLS-09).

mod path;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::Timestamp;
use rustls::DistinguishedName;
use rustls::pki_types::{CertificateDer, TrustAnchor};

use super::affiliation::Affiliation;
use super::identity::{SubjectRules, VerifiedIdentity};
use super::issuing_ca::IssuingCa;
use super::lists::{Archive, ListLoader, Lists};
use crate::domain::{Clock, ContractId, JstDate, LoginId};
use crate::refusal::CertificateRefusal;
use crate::store::blocks::Board;
use crate::store::registry::{Certificate, Registered, Registry};
use path::ProvenPaths;

pub use super::lists::{ListOutcome, ListReport};
pub(super) use path::ProvenPath;

/// `[trust]` as values.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The issuing CAs (and CAs between them), in DER, in the order of the configuration.
    pub authorities: Vec<CertificateDer<'static>>,
    /// The revocation lists' sources: files, or directories of files.
    pub crl_sources: Vec<PathBuf>,
    /// How long after its `nextUpdate` a list still serves.
    pub crl_grace: Duration,
    /// What the registry decides.
    pub registry: RegistryMode,
}

/// `[trust] registry` (TLS-09).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RegistryMode {
    /// Nothing: every good certificate of a login ID is its own, and a login ID is a contract of its own.
    #[default]
    Off,
    /// Only the registered certificate is a login ID's own; the first one of a login ID that never had any is registered.
    LearnFirst,
    /// Only the registered certificate is a login ID's own.
    Enforce,
}

/// The bank's own books, which change without a new trust, because nothing may hold them up.
#[derive(Debug, Clone)]
pub struct Books {
    /// Whom it has shut out.
    pub board: Arc<Board>,
    /// Who its customers are.
    pub registry: Arc<Registry>,
}

/// Which key of `[trust]` a mistake is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// `trust.ca`
    Ca,
    /// `trust.crl`
    Crl,
}

/// Why trust cannot be established.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The key at fault.
    pub part: Part,
    /// The file at fault, where it is known.
    pub file: Option<PathBuf>,
    /// What is wrong.
    pub text: String,
}

/// Everything that decides about a client certificate, at one moment. Never changed, only replaced.
#[derive(Debug)]
pub struct Trust {
    generation: u64,
    core: Arc<Core>,
    lists: Arc<Lists>,
    books: Books,
}

/// Which trust, which blocks and which registry somebody was judged by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Generation {
    trust: u64,
    blocks: u64,
    registry: u64,
}

/// What only a changed configuration changes. With a new core every open connection is judged anew.
#[derive(Debug)]
struct Core {
    authorities: Vec<IssuingCa>,
    anchors: Vec<TrustAnchor<'static>>,
    /// Configured CAs that another configured CA has issued: no anchors, but links whose own standing is looked up.
    links: Vec<CertificateDer<'static>>,
    rules: SubjectRules,
    crl_grace: i64,
    registry: RegistryMode,
    proven: ProvenPaths,
}

/// Proof that a visitor's certificate was good at a moment, under one generation of trust.
#[derive(Debug)]
pub struct Verdict {
    generation: Generation,
    /// Seconds since 1970: a date of the path or of a list passes here at the earliest.
    not_before: i64,
    good_until: i64,
    affiliation: Affiliation,
    awaits_registration: bool,
    /// See [`Verdict::told_claims`].
    told_claims: OnceLock<String>,
}

impl Verdict {
    /// Whether nothing has changed since: the same generation, and no date has passed.
    pub fn holds(&self, trust: &Trust, now: i64) -> bool {
        self.generation == trust.generation() && (self.not_before..=self.good_until).contains(&now)
    }

    /// The customer's contract.
    pub fn affiliation(&self) -> &Affiliation {
        &self.affiliation
    }

    /// Whether the certificate is the first of its login ID, and not registered yet: then it gives no standing.
    pub fn awaits_registration(&self) -> bool {
        self.awaits_registration
    }

    /// What every assertion says of this customer alike, made when it is first asked for.
    pub fn told_claims(&self, make: impl FnOnce() -> String) -> &str {
        self.told_claims.get_or_init(make)
    }
}

/// Checks `[trust]` without installing anything: for `sekisho check`.
pub fn check(settings: &Settings, clock: &dyn Clock) -> Vec<Mistake> {
    let now = clock.now();
    let (authorities, mut mistakes) = parse_authorities(settings, now);
    let current = Lists::default();
    let loader = ListLoader { authorities: &authorities, current: &current, archive: None, now };
    let (_, reports) = loader.load(&settings.crl_sources);
    // A CA that was refused has no name here; its list would look foreign, which is not the operator's mistake.
    if mistakes.is_empty() {
        mistakes.extend(reports.iter().filter(|report| report.outcome.is_defect()).map(mistake_of));
    }
    mistakes
}

impl Trust {
    /// Establishes trust at start.
    ///
    /// # Errors
    /// Every mistake in CAs and lists; then nothing may run (DESIGN 4.2).
    pub fn establish(
        settings: &Settings,
        rules: SubjectRules,
        archive: &Path,
        books: &Books,
        clock: &dyn Clock,
    ) -> Result<(Self, Vec<ListReport>), Vec<Mistake>> {
        let now = clock.now();
        let core = Core::new(settings, rules, now)?;
        let current = Lists::default();
        let loader =
            ListLoader { authorities: &core.authorities, current: &current, archive: Some(Archive::at(archive)), now };
        let (lists, reports) = loader.load(&settings.crl_sources);
        // A list rolled back behind the one kept from before the restart is reported, and the kept one serves.
        let is_mistake = |report: &&ListReport| match &report.outcome {
            ListOutcome::Rejected(super::revocation::ListDefect::RolledBack) => false,
            other => other.is_defect(),
        };
        let mistakes: Vec<Mistake> = reports.iter().filter(is_mistake).map(mistake_of).collect();
        if mistakes.is_empty() {
            let (core, lists, books) = (Arc::new(core), Arc::new(lists), books.clone());
            Ok((Self { generation: 1, core, lists, books }, reports))
        } else {
            Err(mistakes)
        }
    }

    /// Trust under new CAs or rules. Lists in force stay in force unless a later one is found.
    ///
    /// # Errors
    /// Mistakes in the CAs, or a CA for which there is no list at all.
    pub fn renew(
        &self,
        settings: &Settings,
        rules: SubjectRules,
        archive: &Path,
        clock: &dyn Clock,
    ) -> Result<(Self, Vec<ListReport>), Vec<Mistake>> {
        let now = clock.now();
        let core = Core::new(settings, rules, now)?;
        let loader = ListLoader {
            authorities: &core.authorities,
            current: &self.lists,
            archive: Some(Archive::at(archive)),
            now,
        };
        let (lists, reports) = loader.load(&settings.crl_sources);
        let unlisted = |ca: &&IssuingCa| lists.of(&ca.id, &ca.name, &ca.spki).is_none();
        let mistakes: Vec<Mistake> = core
            .authorities
            .iter()
            .filter(unlisted)
            .map(|ca| Mistake {
                part: Part::Crl,
                file: None,
                text: format!("no revocation list of {} was found", ca.common_name),
            })
            .collect();
        if mistakes.is_empty() { Ok((self.followed_by(Arc::new(core), lists), reports)) } else { Err(mistakes) }
    }

    /// The same trust with lists read anew; whatever is wrong with a file, that issuer's list stays.
    pub fn with_lists(&self, sources: &[PathBuf], archive: &Path, clock: &dyn Clock) -> (Self, Vec<ListReport>) {
        let loader = ListLoader {
            authorities: &self.core.authorities,
            current: &self.lists,
            archive: Some(Archive::at(archive)),
            now: clock.now(),
        };
        let (lists, reports) = loader.load(sources);
        (self.followed_by(Arc::clone(&self.core), lists), reports)
    }

    fn followed_by(&self, core: Arc<Core>, lists: Lists) -> Self {
        Self { generation: self.generation + 1, core, lists: Arc::new(lists), books: self.books.clone() }
    }

    /// Judges the chain that a visitor presented, leaf first. The only source of identities.
    ///
    /// # Errors
    /// Why the chain identifies nobody.
    pub fn judge(
        &self,
        chain: &[CertificateDer<'_>],
        now: Timestamp,
    ) -> Result<(VerifiedIdentity, Verdict), CertificateRefusal> {
        let path = self.core.prove(chain, now)?;
        let verdict = self.verdict_on(&path, now.as_second())?;
        Ok((VerifiedIdentity::asserted_by_trust(path), verdict))
    }

    /// Judges a known visitor again.
    ///
    /// # Errors
    /// Why the visitor has no standing any more.
    pub fn still_good(&self, who: &VerifiedIdentity, now: Timestamp) -> Result<Verdict, CertificateRefusal> {
        let path = who.path();
        if path.was_proven_by(&self.core.proven) {
            return self.verdict_on(path, now.as_second());
        }
        // CAs or rules have changed since: the identity must be established again, and be the same.
        let (again, verdict) = self.judge(path.chain(), now)?;
        if again.login_id() == who.login_id() { Ok(verdict) } else { Err(CertificateRefusal::SubjectMismatch) }
    }

    /// The names to send in CertificateRequest, so that browsers offer only certificates that can pass.
    pub fn hints(&self) -> Vec<DistinguishedName> {
        self.core.authorities.iter().map(|ca| DistinguishedName::in_sequence(&ca.name)).collect()
    }

    /// Reads a certificate that is to be registered: one that a configured CA has issued to a customer, and has not ended.
    ///
    /// # Errors
    /// Why it could never be a customer's.
    pub fn read(&self, der: &CertificateDer<'_>, now: Timestamp) -> Result<Certificate, CertificateRefusal> {
        let path = self.core.prove(std::slice::from_ref(der), now)?;
        path.to_register().ok_or(CertificateRefusal::Malformed)
    }

    /// Whose sums are a contract's on days from `first` on; `None` where the registry decides and knows no such contract.
    pub fn counted_in(&self, contract: &ContractId, first: JstDate) -> Option<Arc<[LoginId]>> {
        match self.core.registry {
            RegistryMode::Off => LoginId::parse(contract.as_str()).map(|login_id| [login_id].into()),
            RegistryMode::LearnFirst | RegistryMode::Enforce => self.books.registry.index().counted_in(contract, first),
        }
    }

    /// Counts generations: each reload of lists or configuration is one, and each change of blocks or registry.
    pub fn generation(&self) -> Generation {
        let Books { board, registry } = &self.books;
        Generation { trust: self.generation, blocks: board.generation(), registry: registry.generation() }
    }

    /// Whether it is known who is blocked, and whose certificates are registered where that decides: where gateways share it, the
    /// store must have answered within a second.
    pub fn knows_standing(&self) -> bool {
        self.books.board.is_known() && (self.core.registry == RegistryMode::Off || self.books.registry.is_known())
    }

    /// Revoked certificates in all lists in force.
    pub fn revoked_count(&self) -> usize {
        self.lists.all().iter().map(|list| list.len()).sum()
    }

    /// When the first of the lists in force is due to be replaced, seconds since 1970.
    pub fn next_update(&self) -> Option<i64> {
        self.lists.all().iter().map(|list| list.facts().next_update).min()
    }

    /// Why certificate logins are refused altogether at `now`, if they are.
    pub fn standstill(&self, now: i64) -> Option<CertificateRefusal> {
        let stale =
            self.lists.all().iter().any(|list| now > list.facts().next_update.saturating_add(self.core.crl_grace));
        stale.then_some(CertificateRefusal::CrlStale)
    }

    fn verdict_on(&self, path: &ProvenPath, now: i64) -> Result<Verdict, CertificateRefusal> {
        if now > path.not_after() {
            return Err(CertificateRefusal::Expired);
        }
        if now < path.not_before() {
            return Err(CertificateRefusal::NotYetValid);
        }
        let blocks = self.books.board.blocks();
        // Before the index, which is never older than its generation.
        let registry_generation = self.books.registry.generation();
        let index = self.books.registry.index();
        let login_id = &path.subject().login_id;
        let membership = index.membership(login_id);
        // A login ID of no contract is one of its own; a block that named that holds on, wherever the login ID comes to be.
        let is_barred_with = |contract: &ContractId| blocks.bar(path.serial(), login_id, contract);
        if is_barred_with(&ContractId::alone(login_id))
            || membership.as_ref().is_some_and(|of| is_barred_with(&of.contract))
        {
            return Err(CertificateRefusal::Blocked);
        }
        let mut good_until = path.not_after();
        let mut stale = false;
        for link in path.links() {
            let list = self.lists.of(&link.issuer, &link.issuer_name, &link.issuer_spki);
            let list = list.filter(|_| link.issuer_may_sign_lists).ok_or(CertificateRefusal::CrlMissing)?;
            // Revoked on a stale list is revoked: say the graver thing.
            if list.revokes(&link.serial) {
                return Err(CertificateRefusal::Revoked);
            }
            let end = list.facts().next_update.saturating_add(self.core.crl_grace);
            stale |= now > end;
            good_until = good_until.min(end);
        }
        if stale {
            return Err(CertificateRefusal::CrlStale);
        }
        let awaits_registration = match (self.core.registry, index.registered(path.fingerprint(), login_id)) {
            (RegistryMode::Off, _) | (RegistryMode::LearnFirst | RegistryMode::Enforce, Registered::Active) => false,
            (RegistryMode::LearnFirst, Registered::Never) => true,
            (_, Registered::Retired) => return Err(CertificateRefusal::Retired),
            (_, Registered::Other | Registered::Never) => return Err(CertificateRefusal::Unregistered),
        };
        let affiliation = match (self.core.registry, membership) {
            (RegistryMode::Off, _) => Affiliation::alone(login_id),
            (RegistryMode::LearnFirst | RegistryMode::Enforce, Some(membership)) => Affiliation::Member(membership),
            (RegistryMode::LearnFirst | RegistryMode::Enforce, None) => Affiliation::Nowhere,
        };
        Ok(Verdict {
            // Of what was looked at: newer blocks and customers may be there by now.
            generation: Generation {
                trust: self.generation,
                blocks: blocks.generation(),
                registry: registry_generation,
            },
            not_before: path.not_before(),
            good_until,
            affiliation,
            awaits_registration,
            told_claims: OnceLock::new(),
        })
    }
}

impl Core {
    fn new(settings: &Settings, rules: SubjectRules, now: Timestamp) -> Result<Self, Vec<Mistake>> {
        let (authorities, mistakes) = parse_authorities(settings, now);
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        let is_link = |ca: &IssuingCa| {
            !ca.is_self_issued && authorities.iter().any(|other| other.id != ca.id && other.issued(ca))
        };
        let links = authorities.iter().filter(|ca| is_link(ca)).map(|ca| ca.der.clone()).collect();
        let anchors: Vec<TrustAnchor<'static>> = authorities
            .iter()
            .filter(|ca| !is_link(ca))
            .filter_map(|ca| webpki::anchor_from_trusted_cert(&ca.der).ok().map(|anchor| anchor.to_owned()))
            .collect();
        if anchors.is_empty() {
            let text = "none of the CAs can be an anchor: they have issued one another".to_owned();
            return Err(vec![Mistake { part: Part::Ca, file: None, text }]);
        }
        let crl_grace = i64::try_from(settings.crl_grace.as_secs()).unwrap_or(i64::MAX);
        let (registry, proven) = (settings.registry, ProvenPaths::default());
        Ok(Self { authorities, anchors, links, rules, crl_grace, registry, proven })
    }
}

fn parse_authorities(settings: &Settings, now: Timestamp) -> (Vec<IssuingCa>, Vec<Mistake>) {
    let mut authorities: Vec<IssuingCa> = Vec::new();
    let mut mistakes = Vec::new();
    for (position, der) in settings.authorities.iter().enumerate() {
        match IssuingCa::parse(der, now) {
            Ok(ca) if authorities.iter().any(|known| known.der == ca.der) => {}
            Ok(ca) => authorities.push(ca),
            Err(defect) => mistakes.push(Mistake {
                part: Part::Ca,
                file: None,
                text: format!("certificate {} of {}: {defect}", position + 1, settings.authorities.len()),
            }),
        }
    }
    if authorities.is_empty() && mistakes.is_empty() {
        mistakes.push(Mistake { part: Part::Ca, file: None, text: "there is no CA certificate".into() });
    }
    (authorities, mistakes)
}

fn mistake_of(report: &ListReport) -> Mistake {
    let text = match &report.outcome {
        ListOutcome::Rejected(defect) => defect.to_string(),
        ListOutcome::Unreadable(cause) => cause.clone(),
        ListOutcome::Missing | ListOutcome::Accepted { .. } | ListOutcome::Unchanged | ListOutcome::Waiting => {
            report.to_string()
        }
    };
    Mistake { part: Part::Crl, file: report.file.clone(), text }
}

//! What an audit record can say: a closed set of actions and typed fields.
//!
//! Passwords, one-time codes, bodies and account numbers stay out because there is no field for them (OPS-03). Names are
//! those of the Elastic Common Schema where it has one, and begin with `sekisho.` where it has none.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;

use super::action::{Action, Outcome, TransferState};
use super::chain::Digest;
use super::line::{Line, name};
use crate::domain::{ContractId, Fingerprint, JstDate, LoginId, RequestId, Role, Serial, Yen};

/// A decision that matters. Fill in what is known: `Record { login_id: Some(id), ..Record::new(Action::Login) }`.
#[derive(Debug, Clone)]
pub struct Record {
    /// What was decided.
    pub action: Action,
    /// How it ended; [`Record::new`] sets what the action implies.
    pub outcome: Outcome,
    /// The refusal's code, or what an operator gave as the reason.
    pub reason: Option<Cow<'static, str>>,
    /// The customer. Where it is missing, the record is about a stranger and has the quota of strangers.
    pub login_id: Option<LoginId>,
    /// The customer's certificate.
    pub certificate: Option<Serial>,
    /// The same by its hash, where it is registered.
    pub fingerprint: Option<Fingerprint>,
    /// Whose money.
    pub contract: Option<ContractId>,
    /// What the login ID may do in it.
    pub role: Option<Role>,
    /// Where the connection came from.
    pub client: Option<IpAddr>,
    /// The request.
    pub request: Option<RequestId>,
    /// By which method.
    pub method: Option<Box<str>>,
    /// What was asked for.
    pub path: Option<UrlPath>,
    /// The listener's name.
    pub listener: Option<Arc<str>>,
    /// The route's name.
    pub route: Option<Arc<str>>,
    /// How much, in yen.
    pub amount: Option<Yen>,
    /// The reservation's name in the ledger.
    pub transfer: Option<Box<str>>,
    /// The day that the amount counts on.
    pub day: Option<JstDate>,
    /// Who of the institution acted.
    pub operator: Option<Box<str>>,
    /// Who had proposed the act, where it takes two.
    pub proposer: Option<Box<str>>,
    /// The gateway that somebody acted on, by its journal's name.
    pub member: Option<Box<str>>,
    /// Where the ledger stood (LIM-41). Every record of a transfer carries it.
    pub store: Option<StoreMark>,
    /// How many the record stands for, where that is not one.
    pub count: Option<u64>,
    /// SHA-256 of the configuration in force (OPS-14).
    pub configuration: Option<Digest>,
    /// SHA-256 of a file that was imported.
    pub file: Option<Digest>,
}

impl Record {
    /// A record with nothing but the action and the outcome that it implies.
    pub fn new(action: Action) -> Self {
        Self {
            action,
            outcome: action.outcome(),
            reason: None,
            login_id: None,
            certificate: None,
            fingerprint: None,
            contract: None,
            role: None,
            client: None,
            request: None,
            method: None,
            path: None,
            listener: None,
            route: None,
            amount: None,
            transfer: None,
            day: None,
            operator: None,
            proposer: None,
            member: None,
            store: None,
            count: None,
            configuration: None,
            file: None,
        }
    }

    /// How much depends on this record being kept.
    pub fn importance(&self) -> Importance {
        match self.action {
            Action::Transfer(
                TransferState::Reserved | TransferState::Committed | TransferState::Released | TransferState::Unknown,
            )
            | Action::Reloaded
            | Action::CertificateLearned
            | Action::Operator(_)
            | Action::Proposed(_) => Importance::Money,
            // About the configuration, not about anybody.
            Action::Observed => Importance::Notice,
            // As much as the transfer itself, where there is one.
            Action::TransferAlarm if self.outcome == Outcome::Success => Importance::Money,
            Action::TransferAlarm
            | Action::LimitNotice
            | Action::Transfer(TransferState::Refused)
            | Action::Login
            | Action::HandshakeRefused
            | Action::Refused => {
                if self.login_id.is_some() {
                    Importance::Notice
                } else {
                    Importance::Stranger
                }
            }
        }
    }

    /// Writes the record as a line that is still to be sealed.
    pub(super) fn write(&self, at: Timestamp, out: &mut Vec<u8>) {
        let mut line = Line::begin(out, at, self.action.word(), self.action.category(), self.outcome);
        line.text(name::REASON, self.reason.as_deref());
        line.text("user.id", self.login_id.as_ref().map(LoginId::as_str));
        line.hexadecimal("tls.client.x509.serial_number", self.certificate.as_ref().map(Serial::as_bytes));
        line.plain("client.ip", self.client);
        line.hexadecimal("tls.client.hash.sha256", self.fingerprint.as_ref().map(|hash| &hash.as_bytes()[..]));
        line.text("http.request.id", self.request.as_ref().map(RequestId::as_str));
        line.text(name::METHOD, self.method.as_deref());
        line.text(name::PATH, self.path.as_ref().map(UrlPath::as_str));
        line.text("sekisho.listener", self.listener.as_deref());
        line.text(name::ROUTE, self.route.as_deref());
        line.text("sekisho.contract", self.contract.as_ref().map(ContractId::as_str));
        line.text("sekisho.role", self.role.map(Role::word));
        line.number("sekisho.amount", self.amount.map(Yen::get));
        line.text(name::TRANSFER, self.transfer.as_deref());
        line.text(name::TRANSFER_STATE, self.action.transfer_state().map(TransferState::word));
        line.plain("sekisho.day", self.day);
        line.text("sekisho.operator", self.operator.as_deref());
        line.text("sekisho.proposer", self.proposer.as_deref());
        if let Action::Proposed(wanted) = self.action {
            line.text("sekisho.proposed", Some(wanted.word()));
        }
        line.text("sekisho.member", self.member.as_deref());
        line.store(self.store.as_ref());
        line.number(name::COUNT, self.count);
        line.plain("sekisho.config.sha256", self.configuration);
        line.plain("file.hash.sha256", self.file);
    }
}

/// How much depends on a record being kept: the label of `sekisho_audit_records_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Importance {
    /// Transfers and operators' acts: never dropped. Where they cannot be written, no more money moves.
    Money,
    /// What happened to a known customer, under a quota.
    Notice,
    /// What happened before there was an identity, under a quota of its own, so that strangers cannot drown the
    /// customers' records (OPS-13).
    Stranger,
}

/// Where a ledger stood: which store it is and how far its sequence had come (LIM-41).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreMark {
    /// The store's identity.
    pub id: Arc<str>,
    /// The highest sequence that was told.
    pub sequence: u64,
}

impl StoreMark {
    /// Whether it tells what is not known.
    pub(super) fn is_further_than(&self, known: Option<&Self>) -> bool {
        known.is_none_or(|known| known.id != self.id || known.sequence < self.sequence)
    }

    /// What is known after `told`: the highest sequence of a store. Another store, or one that an operator accepted,
    /// replaces what was known. Workers do not record in the order of the sequence, so the last is not the highest.
    pub(super) fn learn(known: &mut Option<Self>, told: Self, accepted: bool) {
        match known {
            Some(mark) if mark.id == told.id && !accepted => mark.sequence = mark.sequence.max(told.sequence),
            Some(_) | None => *known = Some(told),
        }
    }
}

/// A path that may stand in a log: no query, no fragment, and no `;` parameters, where some applications carry the
/// session (OPS-15).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UrlPath(Box<str>);

impl UrlPath {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// No more than so many bytes of it.
    pub fn cut(self, most: usize) -> Self {
        if self.0.len() <= most { self } else { Self(self.0[..self.0.floor_char_boundary(most)].into()) }
    }

    /// The path of a request target.
    pub fn of(target: &str) -> Self {
        let path = &target[..target.find(['?', '#']).unwrap_or(target.len())];
        if !path.contains(';') {
            return Self(path.into());
        }
        let segments: Vec<&str> = path.split('/').map(|segment| segment.split(';').next().unwrap_or("")).collect();
        Self(segments.join("/").into())
    }
}

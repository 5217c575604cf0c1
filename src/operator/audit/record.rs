//! What an audit record can say: a closed set of actions and typed fields.
//!
//! Passwords, one-time codes, bodies and account numbers stay out because there is no field for them (OPS-03). Names are
//! those of the Elastic Common Schema where it has one, and begin with `sekisho.` where it has none.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;

use super::chain::Digest;
use super::line::{Line, name};
use crate::domain::{ContractId, JstDate, LoginId, RequestId, Serial, Yen};

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
    /// Whose money.
    pub contract: Option<ContractId>,
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
            contract: None,
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
        }
    }

    /// How much depends on this record being kept.
    pub fn importance(&self) -> Importance {
        match self.action {
            Action::Transfer(
                TransferState::Reserved | TransferState::Committed | TransferState::Released | TransferState::Unknown,
            )
            | Action::Reloaded
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
        line.text("http.request.id", self.request.as_ref().map(RequestId::as_str));
        line.text(name::METHOD, self.method.as_deref());
        line.text(name::PATH, self.path.as_ref().map(UrlPath::as_str));
        line.text("sekisho.listener", self.listener.as_deref());
        line.text(name::ROUTE, self.route.as_deref());
        line.text("sekisho.contract", self.contract.as_ref().map(ContractId::as_str));
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
    }
}

/// What was decided. The word is `event.action`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// A customer was let in.
    Login,
    /// A connection was refused before there was a request.
    HandshakeRefused,
    /// A request was answered by the gateway and not by the bank.
    Refused,
    /// A request went on that would have been refused, were it enforced.
    Observed,
    /// A transfer came into a state.
    Transfer(TransferState),
    /// A transfer looks like a fraud's (RTL-07); the outcome says whether it went on.
    TransferAlarm,
    /// A customer was told to lower an own limit, which is the amount, because it is above the ceiling (LIM-08).
    LimitNotice,
    /// The configuration was read anew.
    Reloaded,
    /// Somebody of the institution acted.
    Operator(OperatorAct),
    /// Somebody proposed an act that takes two; it was not done.
    Proposed(OperatorAct),
}

impl Action {
    /// The word in `event.action`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::HandshakeRefused => "handshake_refused",
            Self::Refused => "refused",
            Self::Observed => "observed",
            Self::Transfer(_) => "transfer",
            Self::TransferAlarm => "transfer_alarm",
            Self::LimitNotice => "limit_notice",
            Self::Reloaded => "reloaded",
            Self::Operator(act) => act.word(),
            Self::Proposed(_) => "proposed",
        }
    }

    /// Where a transfer stands now.
    const fn transfer_state(self) -> Option<TransferState> {
        match self {
            Self::Transfer(state) => Some(state),
            Self::Operator(act) => act.transfer_state(),
            Self::Login
            | Self::HandshakeRefused
            | Self::Refused
            | Self::Observed
            | Self::TransferAlarm
            | Self::LimitNotice
            | Self::Reloaded
            | Self::Proposed(_) => None,
        }
    }

    /// The value of `event.category`, one of the schema's.
    const fn category(self) -> &'static str {
        match self {
            Self::Login | Self::HandshakeRefused => "authentication",
            Self::Refused | Self::Observed | Self::Transfer(_) | Self::TransferAlarm | Self::LimitNotice => "web",
            Self::Reloaded | Self::Operator(_) | Self::Proposed(_) => "configuration",
        }
    }

    const fn outcome(self) -> Outcome {
        match self {
            Self::Login
            | Self::Observed
            | Self::Reloaded
            | Self::Operator(_)
            | Self::Proposed(_)
            | Self::TransferAlarm
            | Self::LimitNotice
            | Self::Transfer(TransferState::Reserved | TransferState::Committed) => Outcome::Success,
            Self::HandshakeRefused
            | Self::Refused
            | Self::Transfer(TransferState::Released | TransferState::Refused) => Outcome::Failure,
            Self::Transfer(TransferState::Unknown) => Outcome::Unknown,
        }
    }
}

/// Where a transfer stands. The word is `sekisho.transfer.state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransferState {
    /// Counted; the bank is being asked.
    Reserved,
    /// The bank did it; it stays counted.
    Committed,
    /// The bank did not do it; it is counted no longer.
    Released,
    /// Nobody knows what the bank did; it stays counted.
    Unknown,
    /// Not forwarded.
    Refused,
}

impl TransferState {
    /// The word that others rely on.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Reserved => "reserved",
            Self::Committed => "committed",
            Self::Released => "released",
            Self::Unknown => "unknown",
            Self::Refused => "refused",
        }
    }
}

/// What somebody of the institution did. The word is `event.action`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OperatorAct {
    /// Added an order that the bank executed by hand.
    TransferAdded,
    /// Put a settled transfer to the other side: it stands there now.
    TransferCorrected(TransferState),
    /// Settled a transfer whose outcome was unknown: it stands there now.
    TransferReconciled(TransferState),
    /// Imported a customer's own limit, or took it back where the record has no amount.
    OwnLimitSet,
    /// Took a copy of the ledger.
    LedgerExported,
    /// Accepted a store that this log knew to have stood further, or did not know (LIM-41). Its mark replaces the known one.
    StoreAccepted,
    /// Shut a certificate or a customer out (TLS-08).
    CertificateBlocked,
    /// Lifted such a block.
    CertificateUnblocked,
    /// Gave up a gateway that shares the store and will not come back (LIM-39).
    MemberWrittenOff,
}

impl OperatorAct {
    const fn transfer_state(self) -> Option<TransferState> {
        match self {
            Self::TransferReconciled(state) | Self::TransferCorrected(state) => Some(state),
            Self::TransferAdded => Some(TransferState::Committed),
            Self::OwnLimitSet
            | Self::LedgerExported
            | Self::StoreAccepted
            | Self::CertificateBlocked
            | Self::CertificateUnblocked
            | Self::MemberWrittenOff => None,
        }
    }

    /// The word in `event.action`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::TransferAdded => "transfer_added",
            Self::TransferCorrected(_) => "transfer_corrected",
            Self::TransferReconciled(_) => "transfer_reconciled",
            Self::OwnLimitSet => "own_limit_set",
            Self::LedgerExported => "ledger_exported",
            Self::StoreAccepted => "store_accepted",
            Self::CertificateBlocked => "certificate_blocked",
            Self::CertificateUnblocked => "certificate_unblocked",
            Self::MemberWrittenOff => "member_written_off",
        }
    }
}

/// How it ended: `event.outcome`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// As whoever asked wanted.
    Success,
    /// Otherwise.
    Failure,
    /// Nobody knows.
    Unknown,
}

impl Outcome {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Unknown => "unknown",
        }
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

//! What was decided or done, in a closed set of words, and how it ended.

/// What was decided. The word is `event.action`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// A customer was let in.
    Login,
    /// A customer's first certificate became the registered one (TLS-09).
    CertificateLearned,
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
            Self::CertificateLearned => "certificate_learned",
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
    pub(super) const fn transfer_state(self) -> Option<TransferState> {
        match self {
            Self::Transfer(state) => Some(state),
            Self::Operator(act) => act.transfer_state(),
            Self::Login
            | Self::CertificateLearned
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
    pub(super) const fn category(self) -> &'static str {
        match self {
            Self::Login | Self::HandshakeRefused => "authentication",
            Self::CertificateLearned => "iam",
            Self::Refused | Self::Observed | Self::Transfer(_) | Self::TransferAlarm | Self::LimitNotice => "web",
            Self::Reloaded | Self::Operator(_) | Self::Proposed(_) => "configuration",
        }
    }

    pub(super) const fn outcome(self) -> Outcome {
        match self {
            Self::Login
            | Self::CertificateLearned
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
    /// Told the registry of a contract.
    ContractAdded,
    /// Changed what the registry says of one.
    ContractChanged,
    /// Took one from the registry.
    ContractRemoved,
    /// Put a login ID into a contract, or gave it another role.
    LoginIdPut,
    /// Took a login ID out of its contract.
    LoginIdRemoved,
    /// Registered a login ID's certificate.
    CertificateRegistered,
    /// Ended one, so that its login ID has none.
    CertificateRetired,
    /// Changed the registry by a file.
    RegistryImported,
    /// Took a copy of the registry.
    RegistryExported,
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
            | Self::ContractAdded
            | Self::ContractChanged
            | Self::ContractRemoved
            | Self::LoginIdPut
            | Self::LoginIdRemoved
            | Self::CertificateRegistered
            | Self::CertificateRetired
            | Self::RegistryImported
            | Self::RegistryExported
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
            Self::ContractAdded => "contract_added",
            Self::ContractChanged => "contract_changed",
            Self::ContractRemoved => "contract_removed",
            Self::LoginIdPut => "login_id_put",
            Self::LoginIdRemoved => "login_id_removed",
            Self::CertificateRegistered => "certificate_registered",
            Self::CertificateRetired => "certificate_retired",
            Self::RegistryImported => "registry_imported",
            Self::RegistryExported => "registry_exported",
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

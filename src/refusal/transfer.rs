//! Transfers that may not leave, and what their customer needs to know (LIM-27).

use std::fmt::Write as _;

use http::StatusCode;

use super::page::Language;
use crate::domain::Yen;

/// What makes a transfer look like a fraud's (RTL-07). The word is the refusal's code, the label `alarm` of
/// `sekisho_transfer_alarms_total` and the reason in the audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Alarm {
    /// Its certificate is new.
    FirstTransfer,
    /// It pays one more than many on this day.
    ManyPayees,
    /// The contract's own limit was raised shortly before.
    RaisedLimit,
}

impl Alarm {
    /// Every variant.
    pub const ALL: [Self; 3] = [Self::FirstTransfer, Self::ManyPayees, Self::RaisedLimit];

    /// The word that others rely on.
    pub const fn word(self) -> &'static str {
        match self {
            Self::FirstTransfer => "first_transfer",
            Self::ManyPayees => "many_payees",
            Self::RaisedLimit => "raised_limit",
        }
    }

    const fn sentences(self) -> (&'static str, &'static str) {
        match self {
            Self::FirstTransfer => (
                "安全のため、電子証明書の取得後しばらくの間はお振込をお取り扱いできません。お心当たりのない場合は、至急ご連絡ください。",
                "For your safety, transfers are held for some time after a certificate is issued. If you did not get a new one, please call us at once.",
            ),
            Self::ManyPayees => (
                "安全のため、本日はこれ以上新しいお振込先へのお取引を受け付けできません。",
                "For your safety, transfers to further payees are held until tomorrow.",
            ),
            Self::RaisedLimit => (
                "安全のため、限度額の引き上げ後しばらくの間はお振込をお取り扱いできません。お心当たりのない場合は、至急ご連絡ください。",
                "For your safety, transfers are held for some time after the limit was raised. If you did not raise it, please call us at once.",
            ),
        }
    }
}

/// Why a request about money is answered here and not by the bank.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransferRefusal {
    /// Nobody was identified whose money it could be.
    NoIdentity,
    /// The registry knows no contract of the login ID: whose money it would move, nobody knows (LIM-36, BND-09).
    ContractUnknown,
    /// Below a guarded path, and no route (LIM-26, LIM-38).
    UnknownRoute,
    /// A path that is guarded, by a method that it does not take (LIM-25).
    MethodNotRouted,
    /// No ceiling holds on the day.
    NoCeiling,
    /// The day's sum would exceed the limit (LIM-02).
    OverCeiling {
        /// The limit: the lower one of the institution's ceiling and the customer's own.
        limit: Yen,
        /// What the contract has used of it.
        used: Yen,
    },
    /// The day's sum of this login ID would exceed what one ID may move (LIM-40).
    OverLoginIdLimit {
        /// The limit.
        limit: Yen,
        /// What the ID has used of it.
        used: Yen,
    },
    /// One order may not be as large.
    OverTransferLimit {
        /// The limit.
        limit: Yen,
    },
    /// The customer asks for a limit of its own above the ceiling (LIM-07).
    LimitTooHigh {
        /// The ceiling.
        ceiling: Yen,
    },
    /// The customer's own limit is above the ceiling and must be lowered first (LIM-08).
    LimitAboveCeiling {
        /// The ceiling.
        ceiling: Yen,
    },
    /// The screen with the amount was not passed (LIM-18), or the order to approve is not known (LIM-19).
    NoEntry,
    /// The form repeats an amount that is larger than what was entered, or requested (LIM-18, LIM-19).
    MoreThanEntered,
    /// What was entered is being executed, or nobody knows whether it was.
    EntryInUse,
    /// The same order is on its way (LIM-17).
    InProgress,
    /// Too many orders are on their way (LIM-40).
    TooMany,
    /// It looks like a fraud's, and is held (RTL-07).
    Held(Alarm),
    /// Too many screens with amounts were passed, or orders requested, under this login ID (LIM-18, LIM-19).
    TooManyEntries,
    /// The clock lies behind what is recorded (LIM-22).
    ClockBehind,
    /// It waited until another day than those it was counted on (LIM-35).
    DayEnded,
    /// The ledger does not answer (LIM-23).
    StoreUnavailable,
    /// The ledger waits for an operator (LIM-41).
    StoreNotAccepted,
    /// The audit log cannot be written.
    AuditUnavailable,
    /// The order left, and nobody knows what became of it (LIM-15).
    OutcomeUnknown,
}

impl TransferRefusal {
    /// Every variant, for tables and tests.
    pub const ALL: [Self; 25] = [
        Self::NoIdentity,
        Self::ContractUnknown,
        Self::UnknownRoute,
        Self::MethodNotRouted,
        Self::NoCeiling,
        Self::OverCeiling { limit: Yen::ZERO, used: Yen::ZERO },
        Self::OverLoginIdLimit { limit: Yen::ZERO, used: Yen::ZERO },
        Self::OverTransferLimit { limit: Yen::ZERO },
        Self::LimitTooHigh { ceiling: Yen::ZERO },
        Self::LimitAboveCeiling { ceiling: Yen::ZERO },
        Self::NoEntry,
        Self::MoreThanEntered,
        Self::EntryInUse,
        Self::InProgress,
        Self::TooMany,
        Self::Held(Alarm::FirstTransfer),
        Self::Held(Alarm::ManyPayees),
        Self::Held(Alarm::RaisedLimit),
        Self::TooManyEntries,
        Self::ClockBehind,
        Self::DayEnded,
        Self::StoreUnavailable,
        Self::StoreNotAccepted,
        Self::AuditUnavailable,
        Self::OutcomeUnknown,
    ];

    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::NoIdentity => "no_identity",
            Self::ContractUnknown => "contract_unknown",
            Self::UnknownRoute => "unknown_route",
            Self::MethodNotRouted => "method_not_routed",
            Self::NoCeiling => "no_ceiling",
            Self::OverCeiling { .. } => "over_ceiling",
            Self::OverLoginIdLimit { .. } => "over_login_id_limit",
            Self::OverTransferLimit { .. } => "over_transfer_limit",
            Self::LimitTooHigh { .. } => "limit_too_high",
            Self::LimitAboveCeiling { .. } => "limit_above_ceiling",
            Self::NoEntry => "no_entry",
            Self::MoreThanEntered => "more_than_entered",
            Self::EntryInUse => "entry_in_use",
            Self::InProgress => "transfer_in_progress",
            Self::TooMany => "too_many_transfers",
            Self::Held(alarm) => alarm.word(),
            Self::TooManyEntries => "too_many_entries",
            Self::ClockBehind => "clock_behind",
            Self::DayEnded => "day_ended",
            Self::StoreUnavailable => "store_unavailable",
            Self::StoreNotAccepted => "store_not_accepted",
            Self::AuditUnavailable => "audit_unavailable",
            Self::OutcomeUnknown => "transfer_outcome_unknown",
        }
    }

    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::NoIdentity
            | Self::ContractUnknown
            | Self::UnknownRoute
            | Self::NoCeiling
            | Self::OverCeiling { .. }
            | Self::OverLoginIdLimit { .. }
            | Self::OverTransferLimit { .. }
            | Self::LimitTooHigh { .. }
            | Self::LimitAboveCeiling { .. }
            | Self::Held(_)
            | Self::NoEntry
            | Self::MoreThanEntered => StatusCode::FORBIDDEN,
            Self::MethodNotRouted => StatusCode::METHOD_NOT_ALLOWED,
            Self::EntryInUse | Self::InProgress => StatusCode::CONFLICT,
            Self::TooMany | Self::TooManyEntries => StatusCode::TOO_MANY_REQUESTS,
            Self::ClockBehind
            | Self::DayEnded
            | Self::StoreUnavailable
            | Self::StoreNotAccepted
            | Self::AuditUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::OutcomeUnknown => StatusCode::BAD_GATEWAY,
        }
    }

    /// Whether nothing has left; else the bank may have executed it.
    pub fn is_before_forwarding(self) -> bool {
        self != Self::OutcomeUnknown
    }

    /// The sentence in Japanese and in English.
    pub(super) const fn sentences(self) -> (&'static str, &'static str) {
        match self {
            Self::ContractUnknown => (
                "このログインIDはご契約に登録されていないため、お取引いただけません。お取引店舗にお問い合わせください。",
                "This login ID belongs to no contract, so nothing was transferred. Please contact your branch.",
            ),
            Self::NoIdentity => {
                ("このお取引には電子証明書が必要です。", "This transaction needs a client certificate.")
            }
            Self::UnknownRoute | Self::MethodNotRouted => {
                ("このお取引はお取り扱いできません。", "This transaction is not offered.")
            }
            Self::OverCeiling { .. } => (
                "1日の振込限度額を超えるため、お取引を受け付けできません。",
                "The transfer would exceed the daily limit and was not accepted.",
            ),
            Self::OverLoginIdLimit { .. } => (
                "ログインIDごとの1日の振込限度額を超えるため、お取引を受け付けできません。",
                "The transfer would exceed the daily limit of this login ID and was not accepted.",
            ),
            Self::OverTransferLimit { .. } => (
                "1回の振込限度額を超えるため、お取引を受け付けできません。",
                "The transfer exceeds the limit for one transfer and was not accepted.",
            ),
            Self::LimitTooHigh { .. } => (
                "ご指定の限度額は、当行が定める上限を超えています。",
                "The limit you asked for is above the institution's ceiling.",
            ),
            Self::LimitAboveCeiling { .. } => (
                "ご契約の限度額が上限を超えています。限度額変更の画面で引き下げてください。",
                "Your own limit is above the ceiling. Please lower it on the limit screen first.",
            ),
            Self::NoEntry => (
                "お取引の内容が確認できません。はじめの画面からやり直してください。",
                "The transaction is not known. Please begin again from its first screen.",
            ),
            Self::MoreThanEntered => (
                "お取引の金額が、はじめに入力された金額を超えています。はじめの画面からやり直してください。",
                "The amount is larger than the one entered at first. Please begin again from the first screen.",
            ),
            Self::EntryInUse | Self::InProgress => (
                "同じお取引を処理中です。振込状況照会で結果をご確認ください。再度の操作はなさらないでください。",
                "The same transaction is being processed. Please check its state; do not repeat it.",
            ),
            Self::TooMany => (
                "処理中のお取引が多すぎます。しばらくしてから再度お試しください。",
                "Too many transactions are being processed. Please try again later.",
            ),
            Self::Held(alarm) => alarm.sentences(),
            Self::TooManyEntries => (
                "このログインIDで入力されたお取引の件数が上限に達しています。時間をおいて再度お試しください。",
                "Too many transactions have been entered under this login ID. Please try again later.",
            ),
            Self::NoCeiling
            | Self::ClockBehind
            | Self::DayEnded
            | Self::StoreUnavailable
            | Self::StoreNotAccepted
            | Self::AuditUnavailable => (
                "ただいまお振込をお取り扱いできません。しばらくしてから再度お試しください。",
                "Transfers are not available at the moment.",
            ),
            Self::OutcomeUnknown => (
                "お取引の結果を確認できませんでした。振込状況照会で結果をご確認ください。再度の操作はなさらないでください。",
                "The outcome of the transaction is not known. Please check its state; do not repeat it.",
            ),
        }
    }

    /// What the customer may know of the own limit: the limit, what is used of it and what is left, in yen.
    pub const fn limits(self) -> Option<(Yen, Option<Yen>)> {
        match self {
            Self::OverCeiling { limit, used } | Self::OverLoginIdLimit { limit, used } => Some((limit, Some(used))),
            Self::OverTransferLimit { limit } => Some((limit, None)),
            Self::LimitTooHigh { ceiling } | Self::LimitAboveCeiling { ceiling } => Some((ceiling, None)),
            Self::NoIdentity
            | Self::ContractUnknown
            | Self::UnknownRoute
            | Self::MethodNotRouted
            | Self::NoCeiling
            | Self::NoEntry
            | Self::MoreThanEntered
            | Self::EntryInUse
            | Self::InProgress
            | Self::TooMany
            | Self::Held(_)
            | Self::TooManyEntries
            | Self::ClockBehind
            | Self::DayEnded
            | Self::StoreUnavailable
            | Self::StoreNotAccepted
            | Self::AuditUnavailable
            | Self::OutcomeUnknown => None,
        }
    }

    /// The same as rows of a table.
    pub(super) fn table(self, language: Language) -> String {
        let mut table = String::new();
        let Some((limit, used)) = self.limits() else { return table };
        let (titles, unit) = match language {
            Language::Japanese => (["限度額", "ご利用済み", "残り"], "円"),
            Language::English => (["Limit", "Used", "Remaining"], " yen"),
        };
        let left = used.map(|used| limit.saturating_sub(used));
        table.push_str("<table>\n");
        for (title, amount) in titles.into_iter().zip([Some(limit), used, left]) {
            if let Some(amount) = amount {
                let _ = writeln!(table, "<tr><th>{title}</th><td>{}{unit}</td></tr>", amount.grouped());
            }
        }
        table.push_str("</table>\n");
        table
    }
}

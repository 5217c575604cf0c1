//! The bank's own books: what it executed, for whom and on which day. Tests take them for the truth.
//!
//! The books bound nothing but the balance, where one was set: the daily ceiling is the gateway's to hold.

use std::collections::HashMap;

use crate::domain::JstDate;

/// What an order counts as (LIM-03).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OrderClass {
    /// 振込・振替, also converted from a file.
    Transfer,
    /// 総合振込.
    Bulk,
    /// 給与・賞与振込.
    Payroll,
}

/// What became of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OrderState {
    /// It stands.
    Standing,
    /// The customer cancelled it before its day.
    Cancelled,
    /// A line of a file that was executed as a transfer instead.
    Converted,
}

/// An order that the bank executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The receipt number, 受付番号: unique in this bank, in the order of acceptance.
    pub number: u64,
    /// Who made it final: who sent it, or who approved it.
    pub login_id: String,
    /// Who asked for it, where somebody else approved.
    pub requested_by: Option<String>,
    /// The contract of `login_id`.
    pub contract: String,
    /// In yen; negative if the application read it so.
    pub amount: i128,
    /// The day in Japan on which it became final.
    pub day: JstDate,
    /// The future day for which it is meant, if any.
    pub designated: Option<JstDate>,
    /// What it counts as.
    pub class: OrderClass,
    /// What became of it.
    pub state: OrderState,
    /// The `X-Request-Id` of the request that made it final.
    pub request_id: Option<String>,
}

/// A transfer as it was typed.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) amount: i128,
    pub(super) payee: String,
    pub(super) designated: Option<JstDate>,
}

/// Who orders, when, and by which request.
#[derive(Debug, Clone)]
pub(super) struct Signature {
    pub(super) login_id: String,
    pub(super) day: JstDate,
    pub(super) request_id: Option<String>,
}

/// A transfer that waits for the approval of a second ID.
#[derive(Debug, Clone)]
pub(super) struct Proposal {
    pub(super) number: u64,
    pub(super) login_id: String,
    pub(super) draft: Draft,
}

/// Why the bank does not do what it was asked for: the business failures, answered by the error page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    AmountMissing,
    AmountUnreadable,
    DateUnreadable,
    PayeeUnknown,
    PayeeRejected,
    BalanceShort,
    NothingEntered,
    NumberUnknown,
    OwnProposal,
    TokenSpent,
    FileMissing,
    FileUnreadable,
    ActionUnknown,
    PasswordWrong,
    /// Not the customer's fault: the fault mode `ErrorPage`.
    Busy,
}

impl Failure {
    /// As the error page tells it.
    pub(super) fn message(self) -> &'static str {
        match self {
            Self::AmountMissing => "金額を入力してください。",
            Self::AmountUnreadable => "金額に誤りがあります。",
            Self::DateUnreadable => "振込指定日に誤りがあります。",
            Self::PayeeUnknown => "該当する口座がありません。",
            Self::PayeeRejected => "お受取人の口座へは振込できません。",
            Self::BalanceShort => "残高が不足しています。",
            Self::NothingEntered => "入力された振込がありません。最初からやり直してください。",
            Self::NumberUnknown => "該当する受付番号がありません。",
            Self::OwnProposal => "ご自身の依頼は承認できません。",
            Self::TokenSpent => "二重送信です。取引状況をご確認ください。",
            Self::FileMissing => "ファイルを選択してください。",
            Self::FileUnreadable => "ファイルの内容に誤りがあります。",
            Self::ActionUnknown => "処理を選択してください。",
            Self::PasswordWrong => "ログインIDまたはパスワードに誤りがあります。",
            Self::Busy => "ただいま混み合っております。",
        }
    }
}

/// Everything the bank writes down.
#[derive(Debug, Default)]
pub(super) struct Books {
    orders: Vec<Order>,
    proposals: Vec<Proposal>,
    last_number: u64,
    contracts: HashMap<String, String>,
    balances: HashMap<String, i128>,
    limits: HashMap<String, Vec<(String, i128)>>,
    /// The order numbers of each customer's last file.
    files: HashMap<String, Vec<u64>>,
}

impl Books {
    pub(super) fn orders(&self) -> &[Order] {
        &self.orders
    }

    pub(super) fn set_contract(&mut self, login_id: &str, contract: &str) {
        self.contracts.insert(login_id.to_owned(), contract.to_owned());
    }

    pub(super) fn set_balance(&mut self, contract: &str, yen: i128) {
        self.balances.insert(contract.to_owned(), yen);
    }

    /// The contract of a login ID: itself, until told otherwise.
    pub(super) fn contract(&self, login_id: &str) -> String {
        self.contracts.get(login_id).map_or(login_id, String::as_str).to_owned()
    }

    /// What the customer set as own limits, by account.
    pub(super) fn limits(&self, contract: &str) -> &[(String, i128)] {
        self.limits.get(contract).map_or(&[], Vec::as_slice)
    }

    pub(super) fn set_limit(&mut self, contract: &str, account: &str, yen: i128) {
        let limits = self.limits.entry(contract.to_owned()).or_default();
        limits.retain(|(other, _)| other != account);
        limits.push((account.to_owned(), yen));
        limits.sort();
    }

    /// 本日の累積額: the transfers of a contract that became final on a day, cancelled ones included, because cancelling
    /// gives nothing back (LIM-21). A negative amount gives nothing back either.
    pub(super) fn executed_sum(&self, contract: &str, day: JstDate) -> u64 {
        let counted = |order: &&Order| order.day == day && order.state != OrderState::Converted;
        self.sum(contract, counted)
    }

    /// The transfers of a contract that are still to be, or were, carried out on a day.
    pub(super) fn designated_sum(&self, contract: &str, day: JstDate) -> u64 {
        let counted =
            |order: &&Order| order.designated.unwrap_or(order.day) == day && order.state == OrderState::Standing;
        self.sum(contract, counted)
    }

    fn sum(&self, contract: &str, counted: impl FnMut(&&Order) -> bool) -> u64 {
        let transfers = self.orders.iter().filter(|order| order.class == OrderClass::Transfer);
        let amounts = transfers.filter(|order| order.contract == contract).filter(counted).map(|order| order.amount);
        let sum: i128 = amounts.filter(|amount| *amount > 0).fold(0, i128::saturating_add);
        u64::try_from(sum).unwrap_or(u64::MAX)
    }

    /// Whether the bank would execute these transfers together, for the payee and for the money. Nothing changes.
    pub(super) fn accepts(&self, login_id: &str, drafts: &[Draft]) -> Result<(), Failure> {
        for draft in drafts {
            match draft.payee.as_str() {
                "unknown" => return Err(Failure::PayeeUnknown),
                "reject" => return Err(Failure::PayeeRejected),
                _ => {}
            }
        }
        let sum = drafts.iter().fold(0_i128, |sum, draft| sum.saturating_add(draft.amount));
        match self.balances.get(&self.contract(login_id)) {
            Some(balance) if *balance < sum => Err(Failure::BalanceShort),
            Some(_) | None => Ok(()),
        }
    }

    /// Executes one order; its receipt number.
    pub(super) fn execute(&mut self, by: &Signature, draft: &Draft, class: OrderClass) -> Result<u64, Failure> {
        self.accepts(&by.login_id, std::slice::from_ref(draft))?;
        Ok(self.enter(by, None, draft, class))
    }

    fn enter(&mut self, by: &Signature, requested_by: Option<String>, draft: &Draft, class: OrderClass) -> u64 {
        let contract = self.contract(&by.login_id);
        if let Some(balance) = self.balances.get_mut(&contract) {
            *balance = balance.saturating_sub(draft.amount);
        }
        self.last_number += 1;
        self.orders.push(Order {
            number: self.last_number,
            login_id: by.login_id.clone(),
            requested_by,
            contract,
            amount: draft.amount,
            day: by.day,
            designated: draft.designated,
            class,
            state: OrderState::Standing,
            request_id: by.request_id.clone(),
        });
        self.last_number
    }

    /// Cancels an order that is meant for a later day.
    pub(super) fn cancel(&mut self, by: &Signature, number: u64) -> Result<(), Failure> {
        let contract = self.contract(&by.login_id);
        let order = self.orders.iter_mut().find(|order| {
            order.number == number
                && order.contract == contract
                && order.state == OrderState::Standing
                && order.designated.is_some_and(|day| day > by.day)
        });
        let order = order.ok_or(Failure::NumberUnknown)?;
        order.state = OrderState::Cancelled;
        let amount = order.amount;
        if let Some(balance) = self.balances.get_mut(&contract) {
            *balance = balance.saturating_add(amount);
        }
        Ok(())
    }

    /// Keeps a transfer for the approval of a second ID; its number.
    pub(super) fn propose(&mut self, by: &Signature, draft: Draft) -> u64 {
        self.last_number += 1;
        self.proposals.push(Proposal { number: self.last_number, login_id: by.login_id.clone(), draft });
        self.last_number
    }

    /// What waits for an approval within a contract.
    pub(super) fn proposals(&self, contract: &str) -> impl Iterator<Item = &Proposal> {
        self.proposals.iter().filter(move |proposal| self.contract(&proposal.login_id) == contract)
    }

    /// Executes what somebody else of the same contract asked for, or another amount where one is said again.
    pub(super) fn approve(&mut self, by: &Signature, number: u64, again: Option<i128>) -> Result<u64, Failure> {
        let contract = self.contract(&by.login_id);
        let mut waiting = self.proposals.iter();
        let ours = |proposal: &Proposal| proposal.number == number && self.contract(&proposal.login_id) == contract;
        let at = waiting.position(ours).ok_or(Failure::NumberUnknown)?;
        let Proposal { login_id, mut draft, .. } = self.proposals[at].clone();
        draft.amount = again.unwrap_or(draft.amount);
        if login_id == by.login_id {
            return Err(Failure::OwnProposal);
        }
        self.accepts(&by.login_id, std::slice::from_ref(&draft))?;
        self.proposals.remove(at);
        Ok(self.enter(by, Some(login_id), &draft, OrderClass::Transfer))
    }

    /// Executes a file as a whole.
    pub(super) fn execute_file(&mut self, by: &Signature, lines: &[Draft], class: OrderClass) -> Result<(), Failure> {
        self.accepts(&by.login_id, lines)?;
        let numbers = lines.iter().map(|line| self.enter(by, None, line, class)).collect();
        self.files.insert(by.login_id.clone(), numbers);
        Ok(())
    }

    /// The customer's last file is to be carried out as transfers instead; its own lines lapse.
    pub(super) fn convert_file(&mut self, login_id: &str) {
        let numbers = self.files.remove(login_id).unwrap_or_default();
        let contract = self.contract(login_id);
        for order in self.orders.iter_mut().filter(|order| numbers.contains(&order.number)) {
            order.state = OrderState::Converted;
            if let Some(balance) = self.balances.get_mut(&contract) {
                *balance = balance.saturating_add(order.amount);
            }
        }
    }
}

//! What is asked of the script: each verb with its arguments, as text.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::clock::ServerClock;
use crate::domain::{ContractId, JstDate, LoginId, TransferId, Yen};
use crate::store::embedded::record::Record;
use crate::store::ledger::{
    Addition, Basis, Bounds, CANCELLED, Claim, Entry, EntryKey, Kept, KeptEntry, Lines, Mode, Order, OrderNumber,
    OverLimit, Place, Renewal, Settlement, Transfer, Verdict,
};
use crate::store::operation::{Asker, Operation};

/// The whole script.
pub(super) const SCRIPT: &str = concat!(
    include_str!("script/common.lua"),
    include_str!("script/entries.lua"),
    include_str!("script/reserve.lua"),
    include_str!("script/settle.lua"),
    include_str!("script/read.lua"),
    include_str!("script/fleet.lua"),
);

/// Who asks, and what it takes the store for.
#[derive(Debug, Clone, Default)]
pub(super) struct Caller {
    /// The gateway: its journal's name.
    pub member: String,
    /// This process of it: askers are numbered anew in each.
    pub process: String,
    /// Counted by Redis; calls of an earlier connection that arrive late are refused. Empty before the first answer.
    pub session: String,
    /// The store's present life, between two losses.
    pub epoch: String,
    /// How far the store had come when it was heard of last.
    pub seen: u64,
    /// As of the last look; `None` where it cannot be held against the gateway's.
    pub server_clock: Option<ServerClock>,
}

/// One call, ready to be sent.
#[derive(Debug, Clone)]
pub(super) struct Call {
    key: Option<String>,
    arguments: Vec<String>,
}

impl Call {
    /// One about a key of its own.
    pub const fn on(key: String, arguments: Vec<String>) -> Self {
        Self { key: Some(key), arguments }
    }

    /// What it is about; none where everything is about the same.
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// As the script reads them.
    pub fn arguments(&self) -> &[String] {
        &self.arguments
    }
}

impl Caller {
    /// A verb that needs nothing else.
    pub fn plain(&self, verb: &str) -> Call {
        self.call(verb, [])
    }

    fn call(&self, verb: &str, arguments: impl IntoIterator<Item = String>) -> Call {
        let mut all =
            vec![verb.to_owned(), self.member.clone(), self.session.clone(), self.epoch.clone(), self.seen.to_string()];
        all.extend(arguments);
        Call { key: None, arguments: all }
    }

    /// How an operation is asked; `None` for what is answered without Redis.
    pub fn ask(&self, operation: &Operation, most: usize) -> Option<Call> {
        Some(match operation {
            Operation::Reserve(order, asker, _) => self.reserve(order, *asker),
            Operation::Settle(settlement, _) => self.settle(settlement),
            Operation::Abandon(settlement, asker) => self.abandon(settlement, *asker),
            Operation::Enter(entry, _) => self.enter(entry),
            Operation::Renew(renewal) => self.renew(renewal),
            Operation::Learn(contract, own, at, _) => self.learn(contract, *own, *at),
            Operation::OwnLimit(contract, _) => self.call("own_limit", [contract.as_str().into()]),
            Operation::Reconcile(id, verdict, reason, at, _) => self.reconcile(*id, *verdict, reason, *at),
            Operation::Add(addition, _) => self.add(addition),
            Operation::Correct(id, verdict, reason, at, _) => self.correct(*id, *verdict, reason, *at),
            Operation::Number(number, id) => self.call("number", [digits_of(number), id.to_string()]),
            Operation::Cancel(number, at, _) => self.end("cancel", &digits_of(number), "", CANCELLED, *at),
            Operation::Accept(at, _) => self.accept(*at),
            Operation::Transfer(id, _) => self.transfer(*id),
            Operation::Unknown(after, _) => self.unknown(*after, most),
            Operation::Statement(contract, members, day, _) => self.statement(contract, members, *day),
            Operation::Chunk(from, to, _) => self.chunk(*from, *to, most),
            Operation::WriteOff(member, at, _) => self.write_off(member, *at),
            Operation::RequireAcceptance(..) | Operation::Members(_) | Operation::Close(_) => return None,
        })
    }

    /// The asker's name among those of all gateways and processes.
    fn name_of(&self, asker: Asker) -> String {
        format!("{}.{}", self.process, asker.0)
    }

    /// Decides an order. The same asker's call sent twice is not asked twice.
    fn reserve(&self, order: &Order, asker: Asker) -> Call {
        let (stated, entry, repeated) = match &order.claim {
            Claim::Stated(amount) => (amount.to_string(), String::new(), None),
            Claim::Entered { key, repeated } => (String::new(), hexadecimal(key), repeated.as_ref()),
        };
        let Bounds { in_flight_per_login_id, in_flight_per_contract, per_login_id, over_limit, clock_tolerance } =
            &order.bounds;
        let mut arguments = vec![
            order.id.to_string(),
            self.name_of(asker),
            order.holder.contract.as_str().to_owned(),
            order.holder.login_id.as_str().to_owned(),
            order.route.to_string(),
            stated,
            entry,
            repeated.map(written_lines).unwrap_or_default(),
            microseconds(order.at),
            order.at.to_string(),
            day(JstDate::of(order.at)),
            order.token.as_ref().map(hexadecimal).unwrap_or_default(),
            in_flight_per_login_id.to_string(),
            in_flight_per_contract.to_string(),
            per_login_id.map(|limit| limit.to_string()).unwrap_or_default(),
            match over_limit {
                OverLimit::Clamp => "clamp",
                OverLimit::BlockTransfers => "block",
            }
            .to_owned(),
            clock_tolerance.as_micros().to_string(),
            match order.mode {
                Mode::Enforce => "enforce",
                Mode::Observe => "observe",
            }
            .to_owned(),
            order.holder.members.len().to_string(),
        ];
        arguments.extend(order.holder.members.iter().map(|member| member.as_str().to_owned()));
        for debit in order.unique_debits() {
            arguments.extend([basis(debit.basis).to_owned(), day(debit.day), debit.ceiling.to_string()]);
        }
        self.call("reserve", arguments)
    }

    /// Settles a transfer.
    fn settle(&self, settlement: &Settlement) -> Call {
        let state = settlement.outcome.state().word();
        self.end("settle", &settlement.id.to_string(), state, settlement.why, settlement.at)
    }

    /// Takes back a reservation whose grant nobody heard.
    fn abandon(&self, settlement: &Settlement, asker: Asker) -> Call {
        self.end("abandon", &settlement.id.to_string(), &self.name_of(asker), settlement.why, settlement.at)
    }

    /// An operator's word.
    fn reconcile(&self, id: TransferId, verdict: Verdict, reason: &str, at: Timestamp) -> Call {
        self.end("reconcile", &id.to_string(), verdict.state().word(), reason, at)
    }

    /// An operator's word about what was settled the other way.
    fn correct(&self, id: TransferId, verdict: Verdict, reason: &str, at: Timestamp) -> Call {
        self.end("correct", &id.to_string(), verdict.state().word(), reason, at)
    }

    fn end(&self, verb: &str, which: &str, how: &str, why: &str, at: Timestamp) -> Call {
        let at = self.come(at);
        self.call(verb, [which.into(), how.into(), why.into(), microseconds(at), at.to_string(), day(JstDate::of(at))])
    }

    /// When something happened, as it goes on record.
    fn come(&self, at: Timestamp) -> Timestamp {
        self.server_clock.map_or(at, |server| server.that_has_come(at))
    }

    /// Keeps what another screen will commit.
    fn enter(&self, entry: &Entry) -> Call {
        let kept = kept_entry(&entry.owner, &entry.key, &Kept::of(entry));
        let moment = [microseconds(entry.at), day(JstDate::of(entry.at)), entry.most.to_string()];
        self.call("enter", kept.into_iter().chain(moment))
    }

    /// A login ID was active.
    fn renew(&self, Renewal { owner, at, lifetime }: &Renewal) -> Call {
        self.call("renew", [owner.as_str().into(), microseconds(*at), lifetime.as_micros().to_string()])
    }

    /// Keeps a customer's own limit.
    fn learn(&self, contract: &ContractId, own: Option<Yen>, at: Timestamp) -> Call {
        let own = own.map(|own| own.to_string()).unwrap_or_default();
        self.call("learn", [contract.as_str().into(), own, microseconds(at)])
    }

    /// The clock is right.
    fn accept(&self, at: Timestamp) -> Call {
        let at = self.come(at);
        self.call("accept", [microseconds(at), day(JstDate::of(at))])
    }

    /// One transfer.
    fn transfer(&self, id: TransferId) -> Call {
        self.call("transfer", [id.to_string()])
    }

    /// Some unknown ones behind a sequence.
    fn unknown(&self, after: u64, most: usize) -> Call {
        self.call("unknown", [after.to_string(), most.to_string()])
    }

    /// A contract's day.
    fn statement(&self, contract: &ContractId, members: &[LoginId], of: JstDate) -> Call {
        let members = members.iter().map(|member| member.as_str().to_owned());
        self.call("statement", [day(of), contract.as_str().into()].into_iter().chain(members))
    }

    /// Some of an export.
    fn chunk(&self, from: Place, to: JstDate, most: usize) -> Call {
        self.call("chunk", [from.0.to_string(), from.1.to_string(), day(to), most.to_string()])
    }

    /// Forgets some of what was accepted before a day that so many days with transfers have followed.
    pub fn prune(&self, before: JstDate, days: i32, from: Place, most: usize) -> Call {
        let numbers = [from.0.to_string(), from.1.to_string(), most.to_string(), days.to_string()];
        self.call("prune", [day(before)].into_iter().chain(numbers))
    }

    /// Comes to the store, or looks how it is: with the name of a new epoch should it need one, and who else is known.
    pub fn join(&self, new_epoch: &str, grace_milliseconds: u128, known: &[String]) -> Call {
        let arguments = [new_epoch.to_owned(), grace_milliseconds.to_string()];
        self.call("join", arguments.into_iter().chain(known.iter().cloned()))
    }

    /// Gives another gateway up.
    fn write_off(&self, member: &str, at: Timestamp) -> Call {
        let at = self.come(at);
        self.call("write_off", [member.into(), microseconds(at), at.to_string(), day(JstDate::of(at))])
    }

    /// Puts back a transfer that this gateway remembers.
    pub fn restore(&self, record: &Record) -> Call {
        self.whole("restore", record)
    }

    /// An order that the bank executed by hand.
    fn add(&self, addition: &Addition) -> Call {
        self.whole("add", &Record::of(addition.transfer()))
    }

    /// A transfer with all its fields.
    fn whole(&self, verb: &str, record: &Record) -> Call {
        let Transfer { id, contract, login_id, route, amount, debits, state, why, reserved_at, settled_at } =
            &record.transfer;
        let debits: Vec<String> = debits.iter().map(|(of, on)| format!("{}:{}", basis(*of), day(*on))).collect();
        let moment = self.come(settled_at.map_or(*reserved_at, |settled_at| settled_at.max(*reserved_at)));
        let fields: [(&str, String); 17] = [
            ("contract", contract.as_str().into()),
            ("login", login_id.as_str().into()),
            ("route", route.clone()),
            ("amount", amount.to_string()),
            ("debits", debits.join(" ")),
            ("state", state.word().into()),
            ("why", why.clone()),
            ("day", day(JstDate::of(*reserved_at))),
            ("reserved-at", reserved_at.to_string()),
            ("settled-at", settled_at.map(|at| at.to_string()).unwrap_or_default()),
            ("entry", record.entry.as_ref().map(hexadecimal).unwrap_or_default()),
            ("token", record.token.as_ref().map(hexadecimal).unwrap_or_default()),
            ("owner", self.member.clone()),
            ("asker", String::new()),
            ("revision", record.revision.to_string()),
            ("moment", microseconds(moment)),
            ("moment-day", day(JstDate::of(moment))),
        ];
        let fields = fields.into_iter().flat_map(|(name, value)| [name.to_owned(), value]);
        self.call(verb, [id.to_string()].into_iter().chain(fields))
    }

    /// Puts back what an earlier screen entered.
    pub fn restore_entry(&self, (owner, key, kept): &KeptEntry) -> Call {
        self.call("restore_entry", kept_entry(owner, key, kept))
    }

    /// Puts back a customer's own limit.
    pub fn restore_own(&self, contract: &ContractId, own: Yen, at: Timestamp) -> Call {
        self.call("restore_own", [contract.as_str().into(), own.to_string(), microseconds(at)])
    }
}

/// An entry as the script keeps it.
fn kept_entry(owner: &LoginId, key: &EntryKey, kept: &Kept) -> [String; 5] {
    let Kept { lines, until, outlives } = kept;
    let outlives = outlives.map(|outlives| outlives.as_micros().to_string()).unwrap_or_default();
    [hexadecimal(key), owner.as_str().to_owned(), written_lines(lines), microseconds(*until), outlives]
}

/// Each line with its amount: `1f=60,2e=10`.
fn written_lines(lines: &Lines) -> String {
    let mut text = String::new();
    for (line, amount) in lines.iter() {
        let comma = if text.is_empty() { "" } else { "," };
        // Writing to a string cannot fail.
        let _ = write!(text, "{comma}{:x}={amount}", line.number());
    }
    text
}

/// The word for a sum in keys and fields.
pub(super) const fn basis(basis: Basis) -> &'static str {
    match basis {
        Basis::Accepted => "accepted",
        Basis::Designated => "designated",
    }
}

fn digits_of(number: &OrderNumber) -> String {
    data_encoding::HEXLOWER.encode(number.as_bytes())
}

fn hexadecimal(key: &EntryKey) -> String {
    data_encoding::HEXLOWER.encode(key.as_bytes())
}

/// A number that a script can compare: exact until the year 2255.
fn microseconds(moment: Timestamp) -> String {
    moment.as_microsecond().to_string()
}

fn day(day: JstDate) -> String {
    day.to_number().to_string()
}

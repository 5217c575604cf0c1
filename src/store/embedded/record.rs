//! How a transfer stands in the file: a few dozen octets, read back whole or not at all.
//!
//! Numbers are big-endian, texts are preceded by their length. The first octet is the layout's version; a record of
//! another version, a cut one or one with something left over is damage, never half a transfer.
//!
//! A transfer is as long when it is settled as when it is reserved: the database changes it in place then, where a longer
//! one would split the page that ascending places have filled.

use jiff::Timestamp;

use crate::domain::{ContractId, JstDate, LoginId, TransferId, Yen};
use crate::store::database::Damage;
use crate::store::ledger::{Basis, Claim, EntryKey, Order, State, Transfer};

/// With the number of corrections, and room for a settlement. The only one that is written.
const VERSION: u8 = 3;
/// As it was before: without either.
const VERSION_PLAIN: u8 = 1;
/// With the number of corrections, and no room.
const VERSION_CORRECTED: u8 = 2;

/// Octets that are kept for the moment of a settlement and the reason for it; a longer reason makes a longer record.
const ROOM: usize = 32;
const MOMENT: usize = 12;

/// A transfer with what the ledger must know again after a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Record {
    /// What others see.
    pub transfer: Transfer,
    /// The entry that it commits: locked while nobody knows how it ended.
    pub entry: Option<EntryKey>,
    /// What makes another commit the same one.
    pub token: Option<EntryKey>,
    /// How often an operator has corrected it: where gateways remember it differently, the latest correction holds.
    pub revision: u32,
}

impl Record {
    /// An order once it is granted.
    pub fn reserved(order: &Order, amount: Yen) -> Self {
        let transfer = Transfer {
            id: order.id,
            contract: order.holder.contract.clone(),
            login_id: order.holder.login_id.clone(),
            route: order.route.as_ref().into(),
            amount,
            debits: order.unique_debits().map(|debit| (debit.basis, debit.day)).collect(),
            state: State::Reserved,
            why: String::new(),
            reserved_at: order.at,
            settled_at: None,
        };
        let entry = match &order.claim {
            Claim::Stated(_) => None,
            Claim::Entered { key, .. } => Some(*key),
        };
        Self { transfer, entry, token: order.token, revision: 0 }
    }

    /// A transfer that no order of ours made.
    pub fn of(transfer: Transfer) -> Self {
        Self { transfer, entry: None, token: None, revision: 0 }
    }

    /// As it is stored.
    pub fn encode(&self) -> Vec<u8> {
        let transfer = &self.transfer;
        let mut out = Vec::with_capacity(192);
        out.push(VERSION);
        out.push(state_octet(transfer.state));
        out.extend(transfer.id.as_bytes());
        out.extend(transfer.amount.get().to_be_bytes());
        put_moment(&mut out, transfer.reserved_at);
        put_option(&mut out, transfer.settled_at, put_moment);
        for text in [transfer.contract.as_str(), transfer.login_id.as_str(), &transfer.route, &transfer.why] {
            put_text(&mut out, text);
        }
        put_length(&mut out, transfer.debits.len());
        for (basis, day) in &transfer.debits {
            out.push(basis_octet(*basis));
            out.extend(day.to_number().to_be_bytes());
        }
        for key in [self.entry, self.token] {
            put_option(&mut out, key, |out, key| out.extend(key.as_bytes()));
        }
        out.extend(self.revision.to_be_bytes());
        out.resize(out.len() + room_in(transfer), 0);
        out
    }

    /// What was stored.
    ///
    /// # Errors
    /// When the octets are not exactly a record.
    pub fn decode(stored: &[u8]) -> Result<Self, Damage> {
        let mut from = Reader(stored);
        let version = from.octet()?;
        if ![VERSION, VERSION_PLAIN, VERSION_CORRECTED].contains(&version) {
            return Err(Damage("a transfer of an unknown version"));
        }
        let state = state_of(from.octet()?)?;
        let id = TransferId::from_bytes(from.octets()?);
        let amount = yen_of(u64::from_be_bytes(from.octets()?))?;
        let reserved_at = from.moment()?;
        let settled_at = from.option(Reader::moment)?;
        let contract = ContractId::parse(from.text()?).ok_or(Damage("a transfer's contract"))?;
        let login_id = LoginId::parse(from.text()?).ok_or(Damage("a transfer's login ID"))?;
        let route = from.text()?.to_owned();
        let why = from.text()?.to_owned();
        let count = from.length()?;
        let debits = (0..count)
            .map(|_| Ok((basis_of(from.octet()?)?, day_of(u32::from_be_bytes(from.octets()?))?)))
            .collect::<Result<_, Damage>>()?;
        let entry = from.option(|from| from.octets().map(EntryKey::from_bytes))?;
        let token = from.option(|from| from.octets().map(EntryKey::from_bytes))?;
        let revision = if version == VERSION_PLAIN { 0 } else { u32::from_be_bytes(from.octets()?) };
        let transfer = Transfer { id, contract, login_id, route, amount, debits, state, why, reserved_at, settled_at };
        let room = if version == VERSION { from.take(room_in(&transfer))? } else { &[] };
        if !from.0.is_empty() || room.iter().any(|octet| *octet != 0) {
            return Err(Damage("a transfer with something behind it"));
        }
        Ok(Self { transfer, entry, token, revision })
    }
}

/// How much of its room a transfer leaves empty.
fn room_in(transfer: &Transfer) -> usize {
    let moment = if transfer.settled_at.is_some() { MOMENT } else { 0 };
    ROOM.saturating_sub(moment + transfer.why.len())
}

/// A moment as numbers: seconds since 1970 and nanoseconds.
pub(in crate::store) fn moment_numbers(moment: Timestamp) -> (i64, i32) {
    (moment.as_second(), moment.subsec_nanosecond())
}

/// The reverse.
pub(in crate::store) fn moment_of((seconds, nanoseconds): (i64, i32)) -> Result<Timestamp, Damage> {
    Timestamp::new(seconds, nanoseconds).map_err(|_| Damage("a moment"))
}

/// An amount that was stored.
pub(in crate::store) fn yen_of(stored: u64) -> Result<Yen, Damage> {
    Yen::new(stored).ok_or(Damage("an amount"))
}

/// A day that was stored.
pub(in crate::store) fn day_of(stored: u32) -> Result<JstDate, Damage> {
    JstDate::from_number(stored).ok_or(Damage("a day"))
}

/// As it is stored, here and in the keys of sums.
pub(in crate::store) const fn basis_octet(basis: Basis) -> u8 {
    match basis {
        Basis::Accepted => 0,
        Basis::Designated => 1,
    }
}

fn basis_of(stored: u8) -> Result<Basis, Damage> {
    match stored {
        0 => Ok(Basis::Accepted),
        1 => Ok(Basis::Designated),
        _ => Err(Damage("which sum is meant")),
    }
}

const fn state_octet(state: State) -> u8 {
    match state {
        State::Reserved => 0,
        State::Committed => 1,
        State::Released => 2,
        State::Unknown => 3,
    }
}

fn state_of(stored: u8) -> Result<State, Damage> {
    State::ALL.into_iter().find(|state| state_octet(*state) == stored).ok_or(Damage("a transfer's state"))
}

/// A moment as the file's other rows hold it too.
pub(in crate::store) fn put_moment(out: &mut Vec<u8>, moment: Timestamp) {
    let (seconds, nanoseconds) = moment_numbers(moment);
    out.extend(seconds.to_be_bytes());
    out.extend(nanoseconds.to_be_bytes());
}

/// Something that may be absent.
pub(in crate::store) fn put_option<T>(out: &mut Vec<u8>, value: Option<T>, put: impl FnOnce(&mut Vec<u8>, T)) {
    out.push(u8::from(value.is_some()));
    if let Some(value) = value {
        put(out, value);
    }
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_length(out, text.len());
    out.extend(text.as_bytes());
}

fn put_length(out: &mut Vec<u8>, length: usize) {
    out.extend((length as u64).to_be_bytes()[4..].iter());
}

/// Takes values off the front.
pub(in crate::store) struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Damage> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Damage("something is cut off"))?;
        self.0 = rest;
        Ok(taken)
    }

    /// The next octets.
    pub fn octets<const N: usize>(&mut self) -> Result<[u8; N], Damage> {
        self.take(N)?.try_into().map_err(|_| Damage("something is cut off"))
    }

    fn octet(&mut self) -> Result<u8, Damage> {
        self.octets::<1>().map(|[octet]| octet)
    }

    fn length(&mut self) -> Result<usize, Damage> {
        usize::try_from(u32::from_be_bytes(self.octets()?)).map_err(|_| Damage("a length"))
    }

    /// The next moment.
    pub fn moment(&mut self) -> Result<Timestamp, Damage> {
        moment_of((i64::from_be_bytes(self.octets()?), i32::from_be_bytes(self.octets()?)))
    }

    fn text(&mut self) -> Result<&'a str, Damage> {
        let length = self.length()?;
        std::str::from_utf8(self.take(length)?).map_err(|_| Damage("a text"))
    }

    /// Something that may be absent.
    pub fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Damage>) -> Result<Option<T>, Damage> {
        match self.octet()? {
            0 => Ok(None),
            1 => read(self).map(Some),
            _ => Err(Damage("whether something is there")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        let at: Timestamp = "2013-05-20T01:02:03.456789012Z".parse().unwrap();
        let login_id = LoginId::parse("hanakodt").unwrap();
        Record {
            transfer: Transfer {
                id: TransferId::from_bytes([7; 16]),
                contract: ContractId::parse("company").unwrap(),
                login_id,
                route: "furikomi".into(),
                amount: Yen::new(100_000_000).unwrap(),
                debits: vec![(Basis::Accepted, JstDate::of(at)), (Basis::Designated, JstDate::of(at).plus_days(9))],
                state: State::Unknown,
                why: "時間切れ".into(),
                reserved_at: at,
                settled_at: Some(at),
            },
            entry: Some(EntryKey::of(&["a"])),
            token: None,
            revision: 0,
        }
    }

    #[test]
    fn what_was_written_is_read() {
        for state in State::ALL {
            for revision in [0, 1, u32::MAX] {
                let mut record = Record { revision, ..record() };
                record.transfer.state = state;
                assert_eq!(Record::decode(&record.encode()), Ok(record));
            }
        }
    }

    #[test]
    fn a_settlement_makes_no_record_longer() {
        let settled = Record { transfer: Transfer { why: "success_marker".into(), ..record().transfer }, ..record() };
        let reserved = Transfer { state: State::Reserved, why: String::new(), settled_at: None, ..record().transfer };
        let reserved = Record { transfer: reserved, ..record() };
        assert_eq!(reserved.encode().len(), settled.encode().len());
        let reason = "x".repeat(1_000);
        let told = Record { transfer: Transfer { why: reason, ..record().transfer }, ..record() };
        assert_eq!(Record::decode(&told.encode()), Ok(told));
    }

    #[test]
    fn records_of_earlier_versions_are_read() {
        let record = record();
        let written = record.encode();
        let mut plain = written[..written.len() - room_in(&record.transfer) - 4].to_vec();
        plain[0] = VERSION_PLAIN;
        assert_eq!(Record::decode(&plain), Ok(record.clone()));
        let corrected = [&[VERSION_CORRECTED], &plain[1..], &7_u32.to_be_bytes()].concat();
        assert_eq!(Record::decode(&corrected), Ok(Record { revision: 7, ..record }));
    }

    #[test]
    fn nothing_that_is_not_a_record_is_read_as_one() {
        let whole = record().encode();
        for length in 0..whole.len() {
            assert!(Record::decode(&whole[..length]).is_err(), "{length}");
        }
        assert!(Record::decode(&[&whole[..], &[0]].concat()).is_err());
        for at in 0..whole.len() {
            let mut bent = whole.clone();
            bent[at] ^= 0xff;
            // Whatever comes out of it, it is an answer.
            let _ = Record::decode(&bent);
        }
    }
}

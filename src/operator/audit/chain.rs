//! The chain: every line carries a sequence number and the hash of the line before it.
//!
//! Whoever changes, removes, inserts or swaps a line breaks it there. Whoever cuts the end, or hashes everything anew, is
//! found only with a head that was kept elsewhere (OPS-14).

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::HEXLOWER;
use serde_json::{Map, Value};

use super::action::OperatorAct;
use super::line::{OPENING, RECOVERED, name};
use super::record::StoreMark;
use super::tail::Torn;

/// A SHA-256, written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// What the first line of a chain names as its predecessor.
    pub const NOTHING: Self = Self([0; 32]);

    /// The digest of bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let mut octets = [0; 32];
        octets.copy_from_slice(digest(&SHA256, bytes).as_ref());
        Self(octets)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 64];
        HEXLOWER.encode_mut(&self.0, &mut text);
        f.write_str(str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not 64 hexadecimal digits in lower case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a hash is 64 hexadecimal digits in lower case")]
pub struct NotADigest;

impl FromStr for Digest {
    type Err = NotADigest;

    fn from_str(text: &str) -> Result<Self, NotADigest> {
        let octets = HEXLOWER.decode(text.as_bytes()).map_err(|_| NotADigest)?;
        octets.try_into().map(Self).map_err(|_| NotADigest)
    }
}

/// Where a chain stands: after its last line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chain {
    /// The last line's number; 0 before the first.
    pub sequence: u64,
    /// The last line's hash, without its newline.
    pub head: Digest,
}

impl Chain {
    /// Before the first line.
    pub const START: Self = Self { sequence: 0, head: Digest::NOTHING };

    /// Whether a line comes next.
    pub fn check(&self, line: &Sealed) -> Result<(), Flaw> {
        if line.sequence != self.sequence + 1 {
            return Err(Flaw::WrongSequence { expected: self.sequence + 1, found: line.sequence });
        }
        if line.previous == self.head { Ok(()) } else { Err(Flaw::WrongPrevious) }
    }
}

/// Why a line does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// It cannot be read.
    #[error("it is no JSON object")]
    NotJson,
    /// It is JSON of somebody else.
    #[error("it is no audit record: time, action, sequence or previous is missing")]
    NotARecord,
    /// Lines are missing, inserted or in another order.
    #[error("its sequence is {found} where {expected} comes next: lines were removed, inserted or swapped")]
    WrongSequence {
        /// The number that comes next.
        expected: u64,
        /// The number it has.
        found: u64,
    },
    /// Its predecessor is not the line before it.
    #[error("it does not follow the line before it: one of the two was changed")]
    WrongPrevious,
    /// It tells of torn bytes, and other bytes are there.
    #[error("it tells of torn bytes that are not what stands before it")]
    WrongRecovery,
    /// No line is that long.
    #[error("it is longer than any audit record")]
    TooLong,
}

/// A whole line as it was read again.
#[derive(Debug)]
pub(super) struct Sealed {
    pub sequence: u64,
    pub previous: Digest,
    /// The hash of the line.
    pub head: Digest,
    fields: Map<String, Value>,
}

impl Sealed {
    /// Reads a line without its newline.
    pub fn read(line: &[u8]) -> Result<Self, Flaw> {
        let Ok(fields) = serde_json::from_slice::<Map<String, Value>>(line) else { return Err(Flaw::NotJson) };
        let text = |name: &str| fields.get(name).and_then(Value::as_str);
        // The last number is nobody's, so that counting on cannot overflow.
        let sequence =
            fields.get(name::SEQUENCE).and_then(Value::as_u64).filter(|number| (1..u64::MAX).contains(number));
        let previous = text(name::PREVIOUS).and_then(|hash| hash.parse().ok());
        match (line.starts_with(OPENING), text(name::ACTION), sequence, previous) {
            (true, Some(_), Some(sequence), Some(previous)) => {
                Ok(Self { sequence, previous, head: Digest::of(line), fields })
            }
            _ => Err(Flaw::NotARecord),
        }
    }

    /// The chain after this line.
    pub fn chain(&self) -> Chain {
        Chain { sequence: self.sequence, head: self.head }
    }

    /// The chain before it, as far as the line itself tells.
    pub fn claimed(&self) -> Chain {
        Chain { sequence: self.sequence - 1, head: self.previous }
    }

    /// `@timestamp`
    pub fn time(&self) -> &str {
        self.text(name::TIMESTAMP)
    }

    /// `event.action`
    pub fn action(&self) -> &str {
        self.text(name::ACTION)
    }

    /// `event.reason`
    pub fn reason(&self) -> &str {
        self.text(name::REASON)
    }

    /// Which transfer came into which state.
    pub fn transfer(&self) -> Option<(String, String)> {
        let text = |name| Some(self.text(name)).filter(|text| !text.is_empty()).map(str::to_owned);
        text(name::TRANSFER).zip(text(name::TRANSFER_STATE))
    }

    fn text(&self, name: &str) -> &str {
        self.fields.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// The torn bytes that a recovery tells of.
    pub fn recovery(&self) -> Option<Torn> {
        let text = |name: &str| self.fields.get(name).and_then(Value::as_str);
        let bytes = self.fields.get(name::TORN_BYTES).and_then(Value::as_u64)?;
        let digest = text(name::TORN_DIGEST)?.parse().ok()?;
        (text(name::ACTION) == Some(RECOVERED)).then_some(Torn { bytes, digest })
    }

    /// Where a ledger stood, and whether an operator accepted that.
    pub fn store(&self) -> Option<(StoreMark, bool)> {
        let text = |name: &str| self.fields.get(name).and_then(Value::as_str);
        let sequence = self.fields.get(name::STORE_SEQUENCE).and_then(Value::as_u64)?;
        let accepted = text(name::ACTION) == Some(OperatorAct::StoreAccepted.word());
        Some((StoreMark { id: text(name::STORE)?.into(), sequence }, accepted))
    }
}

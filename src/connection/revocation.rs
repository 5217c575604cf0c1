//! A revocation list: read strictly, verified once, and then only looked up.
//!
//! webpki would hash the whole list for every certificate of every handshake; here a list is parsed and its signature
//! checked when it is loaded, and what remains is a compact index of serials (DESIGN 4.1).
//!
//! Deliberately refused: delta, indirect and scoped lists (TLS-16), lists without `nextUpdate`, unknown critical
//! extensions. There is no rule yet for combining them with a complete list.

use std::hash::{BuildHasher, RandomState};

use jiff::Timestamp;
use webpki::BorrowedCertRevocationList;

use super::der::{self, Element};
use crate::domain::Serial;

/// How far ahead of our clock a list's `thisUpdate` may be, in seconds: clocks differ.
const CLOCK_SKEW: i64 = 60;

/// Why a list is not installed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListDefect {
    /// Not a CRL of version 2 that RFC 5280 allows.
    #[error("it is not a revocation list that can be read: {0}")]
    Unreadable(String),
    /// It holds only part of its issuer's revocations.
    #[error("it is a delta, indirect or scoped list; only complete lists are accepted")]
    NotComplete,
    /// No configured CA has this name.
    #[error("its issuer is none of the configured CAs")]
    Foreign,
    /// The name is right, the signature is not.
    #[error("its signature is not its issuer's")]
    BadSignature,
    /// Too many lists wait for issuers that nobody has seen.
    #[error("too many lists of CAs that are not configured")]
    TooManyWaiting,
    /// Its issuer may sign certificates but not lists.
    #[error("its issuer's key usage does not allow signing revocation lists")]
    IssuerMayNotSign,
    /// It claims to be from later than now.
    #[error("its thisUpdate {0} is in the future")]
    FromTheFuture(Timestamp),
    /// An older list than the one in force.
    #[error("it is older than the list in force (number or thisUpdate goes back, or entries are missing)")]
    RolledBack,
    /// It ends before it begins.
    #[error("its nextUpdate is before its thisUpdate")]
    EndsBeforeItBegins,
}

/// A list as it was read: complete, but nobody has vouched for it yet.
pub struct UnverifiedList<'a> {
    /// The issuer's name, as in the certificates it signed.
    pub issuer: &'a [u8],
    facts: ListFacts,
    signed: &'a [u8],
    algorithm: &'a [u8],
    signature: &'a [u8],
    entries: BorrowedCertRevocationList<'a>,
}

/// What a list says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListFacts {
    /// CRLNumber (RFC 5280 5.2.3), big-endian without leading zeros, where there is one.
    pub number: Option<Vec<u8>>,
    /// When it was issued, seconds since 1970.
    pub this_update: i64,
    /// When the next one is due, seconds since 1970.
    pub next_update: i64,
}

/// A list whose signature was checked, ready to be looked up.
#[derive(Debug)]
pub struct RevocationList {
    facts: ListFacts,
    index: SerialIndex,
}

impl<'a> UnverifiedList<'a> {
    /// Reads a list in DER.
    ///
    /// # Errors
    /// Whatever is not one complete list from before `now`.
    pub fn parse(der: &'a [u8], now: Timestamp) -> Result<Self, ListDefect> {
        let entries = BorrowedCertRevocationList::from_der(der).map_err(|error| match error {
            webpki::Error::UnsupportedDeltaCrl | webpki::Error::UnsupportedIndirectCrl => ListDefect::NotComplete,
            other => ListDefect::Unreadable(format!("{other:?}")),
        })?;
        let unreadable = || ListDefect::Unreadable("its header is malformed".into());
        let header = Header::read(der).ok_or_else(unreadable)?;
        if header.is_scoped {
            return Err(ListDefect::NotComplete);
        }
        let facts = header.facts;
        if facts.this_update > now.as_second().saturating_add(CLOCK_SKEW) {
            return Err(ListDefect::FromTheFuture(Timestamp::from_second(facts.this_update).unwrap_or(Timestamp::MAX)));
        }
        if facts.next_update < facts.this_update {
            return Err(ListDefect::EndsBeforeItBegins);
        }
        Ok(Self {
            issuer: header.issuer,
            facts,
            signed: header.signed,
            algorithm: header.algorithm,
            signature: header.signature,
            entries,
        })
    }

    /// What the list says of itself.
    pub fn facts(&self) -> &ListFacts {
        &self.facts
    }

    /// Whether the key in `spki` (the content of a SubjectPublicKeyInfo) signed this list.
    pub fn is_signed_by(&self, spki: &[u8]) -> bool {
        der::verify_signature(spki, self.algorithm, self.signed, self.signature)
    }

    /// Indexes the entries. Call it only when the signature was found good: this is where a list becomes trusted.
    ///
    /// # Errors
    /// An entry that cannot be read or that names another issuer.
    pub fn into_verified(self) -> Result<RevocationList, ListDefect> {
        let mut serials = Vec::new();
        for entry in &self.entries {
            let entry = entry.map_err(|error| match error {
                webpki::Error::UnsupportedIndirectCrl => ListDefect::NotComplete,
                other => ListDefect::Unreadable(format!("an entry: {other:?}")),
            })?;
            // Zero, negative and oversized serials belong to no certificate that we accept: nothing to look up.
            serials.extend(Serial::normalise(entry.serial_number));
        }
        Ok(RevocationList { facts: self.facts, index: SerialIndex::new(&serials) })
    }
}

impl RevocationList {
    /// What the list says of itself.
    pub fn facts(&self) -> &ListFacts {
        &self.facts
    }

    /// Whether a certificate of this serial is revoked, for whatever reason.
    pub fn revokes(&self, serial: &Serial) -> bool {
        self.index.contains(serial.as_bytes())
    }

    /// How many certificates are revoked.
    pub fn len(&self) -> usize {
        self.index.count
    }

    /// Whether no certificate is revoked.
    pub fn is_empty(&self) -> bool {
        self.index.count == 0
    }

    /// Whether `self` may take the place of `current`: a later number and date, or the same with nothing taken back.
    ///
    /// CRLNumber and thisUpdate must not go back (TLS-06). Under an unchanged number, or where there is none within one
    /// second, a list follows only if it revokes all that the other did.
    pub fn may_follow(&self, current: &Self) -> bool {
        self.facts.are_not_before(&current.facts)
            && (self.facts.are_after(&current.facts) || current.index.iter().all(|serial| self.index.contains(serial)))
    }
}

impl ListFacts {
    /// Neither number nor date goes back, and a numbered issuer stays numbered.
    pub(super) fn are_not_before(&self, old: &Self) -> bool {
        let number_goes_back = match (&self.number, &old.number) {
            (Some(new), Some(old)) => (new.len(), new) < (old.len(), old),
            (None, Some(_)) => true,
            (_, None) => false,
        };
        !number_goes_back && self.this_update >= old.this_update
    }

    /// The number moved, or, where the issuer does not number its lists, the date.
    fn are_after(&self, old: &Self) -> bool {
        match &old.number {
            Some(_) => self.number != old.number,
            None => self.this_update > old.this_update,
        }
    }
}

/// The parts of a list's DER that webpki reads but does not hand out.
struct Header<'a> {
    issuer: &'a [u8],
    facts: ListFacts,
    is_scoped: bool,
    signed: &'a [u8],
    algorithm: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Header<'a> {
    fn read(list: &'a [u8]) -> Option<Self> {
        let (outer, _) = Element::read(list)?;
        let (tbs, rest) = Element::read(outer.content)?;
        let (algorithm, rest) = Element::read(rest)?;
        let (signature, _) = Element::read(rest)?;

        let (_version, rest) = Element::read(tbs.content)?;
        let (_algorithm, rest) = Element::read(rest)?;
        let (issuer, rest) = Element::read(rest)?;
        let (this_update, rest) = Element::read(rest)?;
        let (next_update, mut rest) = Element::read(rest)?;
        let mut facts =
            ListFacts { number: None, this_update: this_update.as_time()?, next_update: next_update.as_time()? };
        let mut is_scoped = false;
        while !rest.is_empty() {
            let (element, next) = Element::read(rest)?;
            rest = next;
            if element.tag != der::CONTEXT_0 {
                continue;
            }
            let (extensions, _) = Element::read(element.content)?;
            for extension in extensions.children() {
                let (oid, value) = extension?.as_extension()?;
                match oid {
                    der::CRL_NUMBER => {
                        let (number, _) = Element::read(value)?;
                        let start = number.content.iter().position(|octet| *octet != 0);
                        facts.number = Some(start.map_or(Vec::new(), |start| number.content[start..].to_vec()));
                    }
                    der::ISSUING_DISTRIBUTION_POINT => is_scoped = true,
                    _ => {}
                }
            }
        }
        Some(Self {
            issuer: issuer.content,
            facts,
            is_scoped,
            signed: tbs.whole,
            algorithm: algorithm.content,
            signature: signature.as_bit_string()?,
        })
    }
}

/// The serials of one list, packed: a bucket per four entries, each entry its length and its octets.
///
/// A million 16-octet serials take 18 MB; a look-up reads one bucket. The hash is keyed, so that nobody can choose
/// serials that meet in one bucket.
#[derive(Debug)]
struct SerialIndex {
    hasher: RandomState,
    /// Where each bucket begins in `packed`; one more than there are buckets.
    starts: Vec<u32>,
    packed: Vec<u8>,
    count: usize,
}

const ENTRIES_PER_BUCKET: usize = 4;

impl SerialIndex {
    fn new(serials: &[&[u8]]) -> Self {
        let hasher = RandomState::new();
        let buckets = (serials.len() / ENTRIES_PER_BUCKET).max(1);
        let bucket_of = |serial: &[u8]| bucket(&hasher, buckets, serial);
        // Counting sort: how many octets go to each bucket, where each begins, then the octets themselves.
        let mut starts = vec![0_u32; buckets + 1];
        for serial in serials {
            starts[bucket_of(serial) + 1] += packed_length(serial);
        }
        for position in 1..starts.len() {
            starts[position] += starts[position - 1];
        }
        let mut packed = vec![0; starts[buckets] as usize];
        let mut next = starts.clone();
        for serial in serials {
            let slot = &mut next[bucket_of(serial)];
            let at = *slot as usize;
            // A serial has at most 20 octets.
            #[allow(clippy::cast_possible_truncation)]
            {
                packed[at] = serial.len() as u8;
            }
            packed[at + 1..at + 1 + serial.len()].copy_from_slice(serial);
            *slot += packed_length(serial);
        }
        Self { hasher, starts, packed, count: serials.len() }
    }

    fn contains(&self, serial: &[u8]) -> bool {
        let bucket = bucket(&self.hasher, self.starts.len() - 1, serial);
        let range = self.starts[bucket] as usize..self.starts[bucket + 1] as usize;
        Entries(&self.packed[range]).any(|entry| entry == serial)
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        Entries(&self.packed)
    }
}

/// Octets that a serial takes when packed.
#[allow(clippy::cast_possible_truncation, reason = "a serial has at most 20 octets")]
fn packed_length(serial: &[u8]) -> u32 {
    1 + serial.len() as u32
}

#[allow(clippy::cast_possible_truncation, reason = "the remainder is below the number of buckets, a usize")]
fn bucket(hasher: &RandomState, buckets: usize, serial: &[u8]) -> usize {
    (hasher.hash_one(serial) % buckets as u64) as usize
}

/// Walks packed entries.
struct Entries<'a>(&'a [u8]);

impl<'a> Iterator for Entries<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.0.split_first()?;
        let (entry, rest) = rest.split_at_checked(usize::from(*length))?;
        self.0 = rest;
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_finds_what_it_holds_and_nothing_else() {
        let serials: Vec<Vec<u8>> =
            (1_u32..5_000).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes().to_vec()).collect();
        let normal: Vec<&[u8]> = serials.iter().filter_map(|serial| Serial::normalise(serial)).collect();
        let index = SerialIndex::new(&normal);
        assert!(normal.iter().all(|serial| index.contains(serial)));
        assert_eq!(index.iter().count(), normal.len());
        let held: std::collections::HashSet<&[u8]> = normal.iter().copied().collect();
        for other in (1_u32..5_000).map(|n| n.to_be_bytes()) {
            let Some(other) = Serial::normalise(&other) else { continue };
            assert_eq!(index.contains(other), held.contains(other));
        }
        assert!(!SerialIndex::new(&[]).contains(&[1]));
    }

    fn list(number: Option<u8>, this_update: i64, serials: &[&[u8]]) -> RevocationList {
        let facts = ListFacts { number: number.map(|n| vec![n]), this_update, next_update: this_update + 1 };
        RevocationList { facts, index: SerialIndex::new(serials) }
    }

    #[test]
    fn a_list_follows_only_an_older_one() {
        let current = list(Some(5), 1_000, &[&[1]]);
        for (number, this_update, serials, follows) in [
            (Some(6), 1_000, &[&[2][..]][..], true),
            (Some(5), 1_001, &[], false),
            (Some(5), 1_001, &[&[1], &[2]], true),
            (Some(5), 1_000, &[&[1], &[2]], true),
            (Some(5), 1_000, &[&[2]], false),
            (Some(4), 2_000, &[&[1]], false),
            (Some(6), 999, &[&[1]], false),
            (None, 2_000, &[&[1]], false),
        ] {
            let candidate = list(number, this_update, serials);
            assert_eq!(candidate.may_follow(&current), follows, "{number:?} {this_update} {serials:?}");
        }
        assert!(list(Some(1), 1_000, &[&[1]]).may_follow(&list(None, 1_000, &[&[1]])));
    }
}

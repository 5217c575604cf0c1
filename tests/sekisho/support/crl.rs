//! Revocation lists, good and bad.

use jiff::{SignedDuration, Timestamp};

use super::der;
use super::pki::{Authority, Identity, Key, days};

/// A revocation list to be signed.
#[derive(Debug, Clone)]
pub struct RevocationList {
    issuer: Vec<u8>,
    key: Key,
    number: Option<u64>,
    this_update: Timestamp,
    next_update: Option<Timestamp>,
    serials: Vec<u64>,
    extensions: Vec<Vec<u8>>,
}

impl RevocationList {
    /// An empty list: number 1, of an hour ago, good for a week.
    pub fn of(authority: &Authority) -> Self {
        Self {
            issuer: authority.name.clone(),
            key: authority.key.clone(),
            number: Some(1),
            this_update: Timestamp::now() - SignedDuration::from_hours(1),
            next_update: Some(days(7)),
            serials: Vec::new(),
            extensions: Vec::new(),
        }
    }

    pub fn number(mut self, number: u64) -> Self {
        self.number = Some(number);
        self
    }

    pub fn without_number(mut self) -> Self {
        self.number = None;
        self
    }

    pub fn this_update(mut self, moment: Timestamp) -> Self {
        self.this_update = moment;
        self
    }

    pub fn next_update(mut self, moment: Timestamp) -> Self {
        self.next_update = Some(moment);
        self
    }

    pub fn without_next_update(mut self) -> Self {
        self.next_update = None;
        self
    }

    pub fn revoking(self, identity: &Identity) -> Self {
        self.revoking_serial(identity.serial)
    }

    pub fn revoking_serial(mut self, serial: u64) -> Self {
        self.serials.push(serial);
        self
    }

    pub fn extension(mut self, extension: Vec<u8>) -> Self {
        self.extensions.push(extension);
        self
    }

    /// issuingDistributionPoint with one of its fields.
    pub fn scoped(self, field: Vec<u8>) -> Self {
        self.extension(der::extension("2.5.29.28", true, &der::sequence(&[field])))
    }

    /// Signed by another key than the issuer's.
    pub fn signed_by(mut self, key: &Key) -> Self {
        self.key = key.clone();
        self
    }

    pub fn der(&self) -> Vec<u8> {
        let identifier = der::sequence(&[der::tlv(0x80, &self.key.identifier())]);
        let mut extensions = vec![der::extension("2.5.29.35", false, &identifier)];
        extensions.extend(self.number.map(|number| der::extension("2.5.29.20", false, &der::integer(number))));
        extensions.extend(self.extensions.clone());
        let entry = |serial: &u64| der::sequence(&[der::integer(*serial), der::time(self.this_update)]);
        let entries: Vec<Vec<u8>> = self.serials.iter().map(entry).collect();

        let mut parts = vec![der::integer(1), self.key.algorithm(), self.issuer.clone(), der::time(self.this_update)];
        parts.extend(self.next_update.map(der::time));
        if !entries.is_empty() {
            parts.push(der::sequence(&entries));
        }
        parts.push(der::tlv(0xa0, &der::sequence(&extensions)));
        self.key.sign(&der::sequence(&parts))
    }

    pub fn pem(&self) -> String {
        der::pem("X509 CRL", &self.der())
    }
}

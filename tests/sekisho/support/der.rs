//! As much DER as certificates and revocation lists need, including what no library would agree to write.

use jiff::Timestamp;

/// One value with its tag and length.
pub fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match u32::try_from(content.len()).unwrap() {
        short @ 0..=0x7f => out.push(short as u8),
        long => {
            let octets = long.to_be_bytes();
            let start = octets.iter().position(|octet| *octet != 0).unwrap();
            out.push(0x80 | (4 - start) as u8);
            out.extend(&octets[start..]);
        }
    }
    out.extend(content);
    out
}

/// SEQUENCE of the given values.
pub fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

/// SET of the given values, in the given order.
pub fn set(parts: &[Vec<u8>]) -> Vec<u8> {
    tlv(0x31, &parts.concat())
}

/// INTEGER of the given number.
pub fn integer(number: u64) -> Vec<u8> {
    let octets = number.to_be_bytes();
    let start = octets.iter().position(|octet| *octet != 0).unwrap_or(7);
    let mut content = octets[start..].to_vec();
    if content[0] & 0x80 != 0 {
        content.insert(0, 0);
    }
    tlv(0x02, &content)
}

/// OBJECT IDENTIFIER from its dotted form.
pub fn oid(dotted: &str) -> Vec<u8> {
    let arcs: Vec<u64> = dotted.split('.').map(|arc| arc.parse().unwrap()).collect();
    let mut content = vec![(arcs[0] * 40 + arcs[1]) as u8];
    for arc in &arcs[2..] {
        let groups = (0..10).rev().skip_while(|group| *group > 0 && arc >> (7 * group) == 0);
        content.extend(groups.map(|group| ((arc >> (7 * group)) & 0x7f) as u8 | if group > 0 { 0x80 } else { 0 }));
    }
    tlv(0x06, &content)
}

/// BIT STRING of whole octets.
pub fn bit_string(content: &[u8]) -> Vec<u8> {
    tlv(0x03, &[&[0], content].concat())
}

/// OCTET STRING.
pub fn octet_string(content: &[u8]) -> Vec<u8> {
    tlv(0x04, content)
}

/// BOOLEAN TRUE.
pub fn truth() -> Vec<u8> {
    tlv(0x01, &[0xff])
}

/// UTCTime, or GeneralizedTime from 2050 on, as RFC 5280 demands.
pub fn time(moment: Timestamp) -> Vec<u8> {
    if moment.as_second() < 2_524_608_000 {
        tlv(0x17, moment.strftime("%y%m%d%H%M%SZ").to_string().as_bytes())
    } else {
        tlv(0x18, moment.strftime("%Y%m%d%H%M%SZ").to_string().as_bytes())
    }
}

/// One extension of a certificate or a list.
pub fn extension(dotted: &str, critical: bool, value: &[u8]) -> Vec<u8> {
    let mut parts = vec![oid(dotted)];
    if critical {
        parts.push(truth());
    }
    parts.push(octet_string(value));
    sequence(&parts)
}

/// DER as PEM.
pub fn pem(label: &str, der: &[u8]) -> String {
    let base64 = data_encoding::BASE64.encode(der);
    let lines: Vec<&str> = (0..base64.len()).step_by(64).map(|at| &base64[at..base64.len().min(at + 64)]).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// The strings of a distinguished name.
#[derive(Debug, Clone)]
pub enum Text {
    /// UTF8String.
    Utf8(String),
    /// PrintableString, whatever it holds.
    Printable(String),
    /// BMPString, UTF-16BE.
    Bmp(String),
    /// TeletexString, of the given octets.
    Teletex(Vec<u8>),
}

impl Text {
    fn der(&self) -> Vec<u8> {
        match self {
            Self::Utf8(text) => tlv(0x0c, text.as_bytes()),
            Self::Printable(text) => tlv(0x13, text.as_bytes()),
            Self::Bmp(text) => tlv(0x1e, &text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<_>>()),
            Self::Teletex(octets) => tlv(0x14, octets),
        }
    }
}

/// The attribute types of a distinguished name.
pub const COMMON_NAME: &str = "2.5.4.3";
/// organizationName
pub const ORGANIZATION: &str = "2.5.4.10";
/// organizationalUnitName
pub const UNIT: &str = "2.5.4.11";

/// A distinguished name: a list of RDNs, each a list of attributes.
pub fn name(rdns: &[&[(&str, Text)]]) -> Vec<u8> {
    let rdn = |attributes: &&[(&str, Text)]| {
        set(&attributes.iter().map(|(kind, text)| sequence(&[oid(kind), text.der()])).collect::<Vec<_>>())
    };
    sequence(&rdns.iter().map(rdn).collect::<Vec<_>>())
}

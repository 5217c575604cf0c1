//! Who a certificate says its holder is: O, OU and CN against the institution's templates.
//!
//! Only exact matches grant (REQUIREMENTS 2.0 rule 2): one CN, one O, one OU, each decoded by its own string type and
//! compared whole. What could be read in two ways is nobody.

use std::sync::Arc;

use http::HeaderValue;
use jiff::Timestamp;
use regex::{Regex, RegexBuilder};
use x509_parser::der_parser::asn1_rs::{Any, Oid, Tag, oid};
use x509_parser::x509::X509Name;

use super::trust::ProvenPath;
use crate::domain::{Fingerprint, LoginId, Serial};
use crate::store::registry::Certificate;

const COMMON_NAME: Oid<'static> = oid!(2.5.4.3);
const ORGANIZATION: Oid<'static> = oid!(2.5.4.10);
const ORGANIZATIONAL_UNIT: Oid<'static> = oid!(2.5.4.11);

/// `[identity]`: the institution's subject layout, compiled.
#[derive(Debug, Clone)]
pub struct SubjectRules {
    organization: Option<String>,
    organizational_unit: Option<String>,
    templates: Vec<Template>,
}

/// One whole-string template. Two readings of the same pattern, so that a CN which can be split in two ways is noticed.
#[derive(Debug, Clone)]
struct Template {
    greedy: Regex,
    lazy: Regex,
}

/// Why a subject layout cannot be used; the text names the part at fault.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct LayoutMistake(pub String);

/// Why a subject is not one of the institution's customers. For the log; the client learns only `subject_mismatch`.
#[derive(Debug, Clone, Copy, thiserror::Error, PartialEq, Eq)]
pub enum SubjectMismatch {
    /// A relative distinguished name with several attributes.
    #[error("the subject has a multi-valued RDN")]
    MultiValued,
    /// The attribute stands more than once.
    #[error("the subject has more than one {0}")]
    Repeated(&'static str),
    /// The attribute is missing.
    #[error("the subject has no {0}")]
    Missing(&'static str),
    /// The attribute's string type or bytes cannot be read in one way.
    #[error("the subject's {0} cannot be decoded")]
    Undecodable(&'static str),
    /// O or OU of another institution.
    #[error("the subject's {0} is another institution's")]
    Foreign(&'static str),
    /// The CN matches no template, or the ID in it is not of the grammar.
    #[error("the subject's CN matches no template")]
    NoTemplate,
    /// The CN can be read as two different IDs.
    #[error("the subject's CN can be read in two ways")]
    Ambiguous,
}

/// A customer, proven by a certificate. Born only in [`Trust::judge`](super::trust::Trust::judge): private fields, one
/// constructor, nothing to deserialise from.
#[derive(Debug, Clone)]
pub struct VerifiedIdentity {
    path: Arc<ProvenPath>,
    thumbprint: Arc<str>,
    login_id_header: HeaderValue,
}

impl VerifiedIdentity {
    pub(super) fn asserted_by_trust(path: Arc<ProvenPath>) -> Self {
        Self {
            thumbprint: path.fingerprint().to_base64url().into(),
            login_id_header: path.subject().login_id.to_header(),
            path,
        }
    }

    /// What the application knows the customer by.
    pub fn login_id(&self) -> &LoginId {
        &self.path.subject().login_id
    }

    /// The same, for the application.
    pub fn login_id_header(&self) -> &HeaderValue {
        &self.login_id_header
    }

    /// The subject's O, where there is exactly one.
    pub fn organization(&self) -> Option<&str> {
        self.path.subject().organization.as_deref()
    }

    /// SHA-256 of the certificate.
    pub fn fingerprint(&self) -> &Fingerprint {
        self.path.fingerprint()
    }

    /// The fingerprint in base64url, the `x5t#S256` of RFC 8705.
    pub fn thumbprint(&self) -> &str {
        &self.thumbprint
    }

    /// The certificate's serial, in hexadecimal.
    pub fn serial(&self) -> String {
        self.path.serial().map(ToString::to_string).unwrap_or_default()
    }

    /// The same as it is compared with lists, for the record.
    pub fn certificate_serial(&self) -> Option<&Serial> {
        self.path.serial()
    }

    /// When the certificate, or a CA above it, ends.
    pub fn not_after(&self) -> Timestamp {
        Timestamp::from_second(self.path.not_after()).unwrap_or(Timestamp::MAX)
    }

    /// When the certificate itself began, whatever CAs are above it.
    pub fn issued_at(&self) -> Timestamp {
        Timestamp::from_second(self.path.issued_at()).unwrap_or(Timestamp::MIN)
    }

    /// The certificate, as the registry keeps it.
    pub(super) fn to_register(&self) -> Option<Certificate> {
        self.path.to_register()
    }

    pub(super) fn path(&self) -> &ProvenPath {
        &self.path
    }
}

/// What the subject says, once it matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The login ID out of the CN.
    pub login_id: LoginId,
    /// The decoded O, where there is exactly one.
    pub organization: Option<String>,
}

impl SubjectRules {
    /// Compiles a layout. `organization` and `organizational_unit` that are `None` are not compared.
    ///
    /// # Errors
    /// No template; a template without exactly one `{login-id}`, with `{*}` anywhere but at its end, or in which the ID
    /// and the tail cannot be told apart; a grammar that is not a regular expression.
    pub fn new(
        organization: Option<String>,
        organizational_unit: Option<String>,
        common_names: &[String],
        login_id: &str,
    ) -> Result<Self, LayoutMistake> {
        let grammar = Regex::new(&format!(r"\A(?:{login_id})\z"))
            .map_err(|_| LayoutMistake(format!("login-id: `{login_id}` is not a regular expression")))?;
        if grammar.is_match("") {
            return Err(LayoutMistake(format!("login-id: `{login_id}` matches the empty text")));
        }
        if common_names.is_empty() {
            return Err(LayoutMistake("common-name: at least one template is needed".into()));
        }
        let templates = common_names
            .iter()
            .map(|template| Template::compile(template, login_id, &grammar))
            .collect::<Result<_, _>>()?;
        Ok(Self { organization, organizational_unit, templates })
    }

    /// The customer that a subject names.
    pub fn identify(&self, subject: &X509Name<'_>) -> Result<Subject, SubjectMismatch> {
        if subject.iter_rdn().any(|rdn| rdn.iter().count() != 1) {
            return Err(SubjectMismatch::MultiValued);
        }
        let common_name = one(subject, &COMMON_NAME, "CN")?.ok_or(SubjectMismatch::Missing("CN"))?;
        let organization = match &self.organization {
            Some(expected) => Some(institution(subject, &ORGANIZATION, "O", expected)?),
            None => one(subject, &ORGANIZATION, "O").ok().flatten(),
        };
        if let Some(expected) = &self.organizational_unit {
            institution(subject, &ORGANIZATIONAL_UNIT, "OU", expected)?;
        }
        let mut found: Option<LoginId> = None;
        for template in &self.templates {
            let Some(id) = template.read(&common_name)? else { continue };
            if found.as_ref().is_some_and(|earlier| *earlier != id) {
                return Err(SubjectMismatch::Ambiguous);
            }
            found = Some(id);
        }
        Ok(Subject { login_id: found.ok_or(SubjectMismatch::NoTemplate)?, organization })
    }
}

impl Template {
    fn compile(template: &str, login_id: &str, grammar: &Regex) -> Result<Self, LayoutMistake> {
        let mistake = |what: &str| LayoutMistake(format!("common-name: `{template}`: {what}"));
        let (before, after) =
            template.split_once("{login-id}").ok_or_else(|| mistake("it must hold {login-id}, exactly once"))?;
        if after.contains("{login-id}") {
            return Err(mistake("it must hold {login-id}, exactly once"));
        }
        let (between, tail) = match after.strip_suffix("{*}") {
            Some(between) => (between, ".*"),
            None => (after, ""),
        };
        if before.contains("{*}") || between.contains("{*}") {
            return Err(mistake("{*} can stand only at the end"));
        }
        if !tail.is_empty() && can_contain(grammar, between) {
            return Err(mistake("a login ID could contain what separates it from {*}"));
        }
        let pattern = format!(r"\A{}(?P<id>(?:{login_id})){}{tail}\z", regex::escape(before), regex::escape(between));
        let build = |swap| RegexBuilder::new(&pattern).dot_matches_new_line(true).swap_greed(swap).build();
        let too_large = |_| mistake("it does not compile");
        Ok(Self { greedy: build(false).map_err(too_large)?, lazy: build(true).map_err(too_large)? })
    }

    fn read(&self, common_name: &str) -> Result<Option<LoginId>, SubjectMismatch> {
        let id = |regex: &Regex| Some(regex.captures(common_name)?.name("id")?.as_str().to_owned());
        let Some(greedy) = id(&self.greedy) else { return Ok(None) };
        if id(&self.lazy).as_ref() != Some(&greedy) {
            return Err(SubjectMismatch::Ambiguous);
        }
        Ok(LoginId::parse(&greedy))
    }
}

/// Whether some login ID of the grammar holds `separator`, tried with plain letters and digits around it.
fn can_contain(grammar: &Regex, separator: &str) -> bool {
    ["a", "A", "0"].iter().any(|filler| {
        (0..=16).any(|before| {
            (0..=16).any(|after| {
                let candidate = format!("{}{separator}{}", filler.repeat(before), filler.repeat(after));
                grammar.is_match(&candidate)
            })
        })
    })
}

fn institution(
    subject: &X509Name<'_>,
    oid: &Oid<'_>,
    name: &'static str,
    expected: &str,
) -> Result<String, SubjectMismatch> {
    let found = one(subject, oid, name)?.ok_or(SubjectMismatch::Missing(name))?;
    if found == expected { Ok(found) } else { Err(SubjectMismatch::Foreign(name)) }
}

/// The decoded value of an attribute that may stand once.
fn one(subject: &X509Name<'_>, oid: &Oid<'_>, name: &'static str) -> Result<Option<String>, SubjectMismatch> {
    let mut values = subject.iter_attributes().filter(|attribute| attribute.attr_type() == oid);
    let Some(first) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(SubjectMismatch::Repeated(name));
    }
    decode(first.attr_value()).map(Some).ok_or(SubjectMismatch::Undecodable(name))
}

/// Decodes a DirectoryString by its type (RFC 5280 4.1.2.4).
///
/// TeletexString is read only where it is plain ASCII: beyond that its meaning depends on who wrote it, and issuers of
/// the period used it for every name with a `~`. UniversalString has never been seen and is refused.
fn decode(value: &Any<'_>) -> Option<String> {
    let printable = |byte: &u8| byte.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(byte);
    let ascii = |byte: &u8| (0x20..=0x7e).contains(byte);
    let text = match value.tag() {
        Tag::Utf8String => std::str::from_utf8(value.data).ok()?.to_owned(),
        Tag::PrintableString if value.data.iter().all(printable) => as_ascii(value.data),
        Tag::NumericString if value.data.iter().all(|b| b.is_ascii_digit() || *b == b' ') => as_ascii(value.data),
        Tag::Ia5String | Tag::T61String if value.data.iter().all(ascii) => as_ascii(value.data),
        Tag::BmpString if value.data.len().is_multiple_of(2) => {
            let units = value.data.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
            // BMPString is UCS-2: a surrogate is not a character.
            units.map(|unit| char::from_u32(unit.into())).collect::<Option<String>>()?
        }
        _ => return None,
    };
    (!text.is_empty() && !text.chars().any(char::is_control)).then_some(text)
}

fn as_ascii(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYOUT: &str = "OOZORA SHINKUMI ANSER SERVICE {login-id} ~";

    fn read(template: &str, common_name: &str) -> Result<Option<String>, SubjectMismatch> {
        let grammar = "[!-~]{6,12}";
        let compiled =
            Template::compile(template, grammar, &Regex::new(&format!(r"\A(?:{grammar})\z")).unwrap()).unwrap();
        compiled.read(common_name).map(|id| id.map(|id| id.to_string()))
    }

    #[test]
    fn the_whole_common_name_must_be_of_the_template() {
        assert_eq!(read(LAYOUT, "OOZORA SHINKUMI ANSER SERVICE hanakodt ~"), Ok(Some("hanakodt".into())));
        assert_eq!(read(LAYOUT, "OOZORA SHINKUMI ANSER SERVICE a~b~c~ ~"), Ok(Some("a~b~c~".into())));
        for wrong in [
            "OOZORA SHINKUMI ANSER SERVICE hanakodt ~ ",
            " OOZORA SHINKUMI ANSER SERVICE hanakodt ~",
            "OOZORA SHINKUMI ANSER SERVICE ~",
            "OOZORA SHINKUMI ANSER SERVICE hana ~",
            "OOZORA SHINKUMI ANSER SERVICE hanakodthanakodt ~",
            "OOZORA SHINKUMI ANSER SERVICE hanakodt ~\n",
            "OOZORA SHINKUMI ANSER SERVICE hanakodt ANSER SERVICE taroykdt ~",
            "oozora shinkumi anser service hanakodt ~",
        ] {
            assert_eq!(read(LAYOUT, wrong), Ok(None), "{wrong}");
        }
    }

    #[test]
    fn a_tail_that_does_not_matter_is_allowed_where_it_can_be_told_apart() {
        let with_tail = "NTTDATA BANK WEB-banking {login-id} {*}";
        assert_eq!(read(with_tail, "NTTDATA BANK WEB-banking user01 2013 ~"), Ok(Some("user01".into())));
        for bad in ["A {login-id}{*}", "A {login-id}~{*}", "A", "{login-id} {login-id}", "{*} {login-id}"] {
            assert!(SubjectRules::new(None, None, &[bad.into()], "[!-~]{6,12}").is_err(), "{bad}");
        }
    }

    #[test]
    fn a_grammar_that_is_none_is_refused() {
        assert!(SubjectRules::new(None, None, &[LAYOUT.into()], "[").is_err());
        assert!(SubjectRules::new(None, None, &[LAYOUT.into()], ".*").is_err());
        assert!(SubjectRules::new(None, None, &[], "[a-z]{6}").is_err());
    }
}

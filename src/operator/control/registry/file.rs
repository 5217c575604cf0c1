//! Files of the registry: JSON lines, or CSV with a header (RFC 4180), with the same names in both.
//!
//! | file | fields |
//! |---|---|
//! | contracts | `contract`, and where they are said `name`, `access`, `login_id` with `role` |
//! | certificates | `login_id`, `sha256`, `serial`, `issuer`, `not_before`, `not_after`, and `state` where it is said |
//!
//! Every mistake is told with its line. A file is one act: all of it, or nothing.

use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::super::export::Format;
use super::super::view::{computes, csv_field};
use crate::domain::{ContractId, Fingerprint, LoginId, Role, Serial};
use crate::store::registry::{Access, ActError, Certificate, Contract, Done, Draft, Index, Login, Name, State};

/// The most lines of one file.
pub const MAX_LINES: usize = 2_000_000;
/// So many mistakes are told.
const MOST_TOLD: usize = 100;

const CONTRACT_FIELDS: [&str; 5] = ["contract", "name", "access", "login_id", "role"];
const CERTIFICATE_FIELDS: [&str; 7] = ["login_id", "sha256", "serial", "issuer", "not_before", "not_after", "state"];

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Kind {
    /// Contracts and their login IDs.
    Contracts,
    /// Certificates.
    Certificates,
}

impl Kind {
    /// The fields of a line, as they are written.
    const fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Contracts => &CONTRACT_FIELDS,
            Self::Certificates => &CERTIFICATE_FIELDS,
        }
    }
}

/// What an import may do that it does not do by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Permissions {
    /// Login IDs may change their contract.
    pub may_move: bool,
    /// Certificates that have not ended may be retired for others.
    pub supersede: bool,
}

/// What an import did, in lines.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Imported {
    pub lines: u64,
    pub changed: u64,
}

/// Why a file changes nothing: what is wrong, line by line.
#[derive(Debug)]
pub(in super::super) struct Mistakes(Vec<String>, usize);

impl Mistakes {
    fn note(&mut self, line: u64, why: impl std::fmt::Display) {
        if self.0.len() < MOST_TOLD {
            self.0.push(format!("line {line}: {why}"));
        }
        self.1 += 1;
    }
}

impl std::fmt::Display for Mistakes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "nothing was imported:\n{}", self.0.join("\n"))?;
        match self.1 - self.0.len() {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}

/// The fields of one line that nobody has asked for yet; one that is empty is as if it were not there.
type Fields = HashMap<String, String>;

/// Changes a draft by a file. The second value holds what is wrong with it; then the draft must be thrown away.
pub(in super::super) fn import(
    draft: &mut Draft<'_>,
    (kind, format): (Kind, Format),
    bytes: &[u8],
    permissions: Permissions,
) -> Result<Imported, Mistakes> {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    let mut import =
        Import { draft, kind, permissions, seen: HashMap::new(), said: HashMap::new(), done: Imported::default() };
    let mut mistakes = Mistakes(Vec::new(), 0);
    match format {
        Format::JsonLines => {
            for (line, text) in (1_u64..).zip(bytes.split(|byte| *byte == b'\n')) {
                if !text.trim_ascii().is_empty() {
                    import.line(line, json_fields(text), &mut mistakes);
                }
            }
        }
        Format::Csv => {
            let mut reader = csv::ReaderBuilder::new().flexible(false).from_reader(bytes);
            let header = match reader.headers() {
                Ok(header) => header.iter().map(str::to_owned).collect::<Vec<_>>(),
                Err(_) => Vec::new(),
            };
            if let Some(twice) = header.iter().enumerate().find(|(at, name)| header[..*at].contains(name)) {
                mistakes.note(1, format!("{:?} stands twice in the header", twice.1));
            } else if let Some(unknown) = header.iter().find(|name| !kind.fields().contains(&name.as_str())) {
                let known = kind.fields().join(", ");
                mistakes.note(1, format!("{unknown:?} is no field: the header names some of {known}"));
            } else {
                let mut lines = LineNumbers { bytes, counted: 0, line: 1 };
                for record in reader.records() {
                    let position = match &record {
                        Ok(record) => record.position(),
                        Err(error) => error.position(),
                    };
                    let line = position.map_or(0, |position| lines.at(position.byte()));
                    let fields = record.map_err(csv_mistake).and_then(|row| csv_fields(&header, &row));
                    import.line(line, fields, &mut mistakes);
                }
            }
        }
    }
    if import.done.lines == 0 && mistakes.1 == 0 {
        mistakes.note(1, "there is nothing in the file");
    }
    if mistakes.1 == 0 { Ok(import.done) } else { Err(mistakes) }
}

/// In which line a place of the file is. The parser's own count is one behind where lines end in CR LF.
struct LineNumbers<'b> {
    bytes: &'b [u8],
    /// How far line ends are counted.
    counted: usize,
    line: u64,
}

impl LineNumbers<'_> {
    fn at(&mut self, place: u64) -> u64 {
        let place = usize::try_from(place).unwrap_or(usize::MAX).min(self.bytes.len());
        let ends = self.bytes[place..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let begins = place + ends;
        let passed = self.bytes.get(self.counted..begins).unwrap_or_default();
        self.line += passed.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.counted = self.counted.max(begins);
        self.line
    }
}

/// A contract's name and access, and in which line each is said first.
type SaidOfContract = (Option<(Name, u64)>, Option<(Access, u64)>);

struct Import<'d, 'r> {
    draft: &'d mut Draft<'r>,
    kind: Kind,
    permissions: Permissions,
    /// What each line is about, and in which it stood.
    seen: HashMap<String, u64>,
    /// What the file says of a contract, and in which line.
    said: HashMap<ContractId, SaidOfContract>,
    done: Imported,
}

impl Import<'_, '_> {
    fn line(&mut self, line: u64, fields: Result<Fields, String>, mistakes: &mut Mistakes) {
        self.done.lines += 1;
        if self.done.lines > MAX_LINES as u64 {
            if self.done.lines == MAX_LINES as u64 + 1 {
                mistakes.note(line, format!("a file has at most {MAX_LINES} lines: split it"));
            }
            return;
        }
        let done = fields.and_then(|mut fields| {
            if let Some(unknown) = fields.keys().find(|name| !self.kind.fields().contains(&name.as_str())) {
                return Err(format!("{unknown:?} is not known"));
            }
            match self.kind {
                Kind::Contracts => self.contract(line, &mut fields),
                Kind::Certificates => self.certificate(line, &mut fields),
            }
        });
        match done {
            Ok(changed) => self.done.changed += u64::from(changed),
            Err(why) => mistakes.note(line, why),
        }
    }

    fn contract(&mut self, line: u64, fields: &mut Fields) -> Result<bool, String> {
        let id = required(fields, "contract", "a contract is 1 to 64 characters of visible ASCII", ContractId::parse)?;
        let name = optional(fields, "name", "a name is 1 to 200 characters, without control characters", Name::parse)?;
        let access = optional(fields, "access", ACCESS, Access::parse)?;
        let login = optional(fields, "login_id", LOGIN_ID, LoginId::parse)?;
        let role = optional(fields, "role", "a role is administrator, approver or general", Role::parse)?;
        let said = self.said.entry(id.clone()).or_default();
        if let (Some(name), Some((earlier, at))) = (&name, &said.0)
            && name != earlier
        {
            return Err(format!("line {at} says another name of the contract {id}"));
        }
        if let (Some(access), Some((earlier, at))) = (&access, &said.1)
            && access != earlier
        {
            return Err(format!("line {at} says another access of the contract {id}"));
        }
        let first_name = said.0.take().or_else(|| Some((name.clone()?, line)));
        *said = (first_name, said.1.or_else(|| Some((access?, line))));
        let mut changed = self.draft.put_contract(id.clone(), name, access) != Done::Unchanged;
        match (login, role) {
            (None, None) => {}
            (Some(login_id), Some(role)) => {
                self.once(line, login_id.as_str())?;
                let login = Login { id: login_id, contract: id, role };
                let put = self.draft.put_login(login, self.permissions.may_move).map_err(|error| told(&error))?;
                changed |= put != Done::Unchanged;
            }
            (Some(_), None) => return Err("the login ID has no role".into()),
            (None, Some(_)) => return Err("the role has no login ID".into()),
        }
        Ok(changed)
    }

    fn certificate(&mut self, line: u64, fields: &mut Fields) -> Result<bool, String> {
        const MOMENT: &str = "a moment is one such as 2026-11-02T00:00:00Z";
        let moment = |text: &str| text.parse::<Timestamp>().ok().map(Timestamp::as_second);
        let sha256 = required(fields, "sha256", "a SHA-256 is 64 hexadecimal digits", Fingerprint::from_hex)?;
        let certificate = Certificate {
            sha256,
            login_id: required(fields, "login_id", LOGIN_ID, LoginId::parse)?,
            serial: required(
                fields,
                "serial",
                "a serial is hexadecimal, of at most 20 octets and not 0",
                Serial::from_hex,
            )?,
            issuer: required(
                fields,
                "issuer",
                "an issuer is 1 to 200 characters, without control characters",
                Name::parse,
            )?,
            not_before: required(fields, "not_before", MOMENT, moment)?,
            not_after: required(fields, "not_after", MOMENT, moment)?,
            state: optional(fields, "state", "a state is active or retired", State::parse)?.unwrap_or(State::Active),
        };
        if certificate.not_after < certificate.not_before {
            return Err("the certificate ends before it begins".into());
        }
        self.once(line, &sha256.to_string())?;
        let done = self.draft.register(certificate, self.permissions.supersede).map_err(|error| told(&error))?;
        Ok(done != Done::Unchanged)
    }

    fn once(&mut self, line: u64, what: &str) -> Result<(), String> {
        match self.seen.insert(what.to_owned(), line) {
            None => Ok(()),
            Some(before) => Err(format!("{what} stands in line {before} already")),
        }
    }
}

const LOGIN_ID: &str = "a login ID is 1 to 64 characters of visible ASCII";
const ACCESS: &str =
    "access is password, certificate, certificate-from=2026-12-01 (a day) or certificate-from=first-issue";

/// What an operator can do about it.
pub(super) fn told(error: &ActError) -> String {
    match error {
        ActError::Elsewhere { .. } => format!("{error}; say --move to move it"),
        ActError::WasRetired => format!("{error}; say --supersede to register it again"),
        ActError::HasCertificate { .. } => format!("{error}; say --supersede to retire that one"),
        _ => error.to_string(),
    }
}

fn required<T>(fields: &mut Fields, name: &str, what: &str, read: impl FnOnce(&str) -> Option<T>) -> Result<T, String> {
    optional(fields, name, what, read)?.ok_or_else(|| format!("{name:?} is missing"))
}

fn optional<T>(
    fields: &mut Fields,
    name: &str,
    what: &str,
    read: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, String> {
    let Some(text) = fields.remove(name).filter(|text| !text.is_empty()) else { return Ok(None) };
    read(&text).map(Some).ok_or_else(|| format!("{name:?} is {text:?}, but {what}"))
}

fn json_fields(line: &[u8]) -> Result<Fields, String> {
    let object: Map<String, Value> =
        serde_json::from_slice(line).map_err(|error| format!("it is no JSON object: {error}"))?;
    let text = |(name, value): (String, Value)| match value {
        Value::String(text) => Ok((name, text)),
        Value::Null => Ok((name, String::new())),
        _ => Err(format!("{name:?} is no text")),
    };
    object.into_iter().map(text).collect()
}

fn csv_fields(header: &[String], record: &csv::StringRecord) -> Result<Fields, String> {
    let field = |(name, text): (&String, &str)| {
        // What a spreadsheet must not compute gets an apostrophe when it is exported; whether it is meant, nobody can tell.
        if text.strip_prefix('\'').is_some_and(computes) {
            return Err(format!(
                "{name:?} begins with an apostrophe, as exports mark what is no formula: use JSON lines"
            ));
        }
        Ok((name.clone(), text.to_owned()))
    };
    header.iter().zip(record).map(field).collect()
}

fn csv_mistake(error: csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("it has {len} fields, and the header {expected_len}")
        }
        csv::ErrorKind::Utf8 { .. } => "it is not UTF-8".into(),
        _ => error.to_string(),
    }
}

/// A contract as lines of a file: one for each login ID, and one for a contract that has none.
pub(super) fn contract_lines(contract: &Contract, index: &Index, format: Format, out: &mut String) {
    let Contract { id, name, access, .. } = contract;
    let (name, access) = (name.as_ref().map(Name::as_str), access.to_string());
    let members = index.members(id);
    let role = |id: &LoginId| index.place(id).map(|(_, role)| role.word());
    let mut lines: Vec<(Option<&LoginId>, Option<&str>)> = members.iter().map(|id| (Some(id), role(id))).collect();
    if lines.is_empty() {
        lines.push((None, None));
    }
    for (login_id, role) in lines {
        let values = [Some(id.as_str()), name, Some(&access), login_id.map(LoginId::as_str), role];
        write_line(Kind::Contracts, values.into_iter(), format, out);
    }
}

/// A certificate as a line of a file.
pub(super) fn certificate_line(certificate: &Certificate, format: Format, out: &mut String) {
    let Certificate { sha256, serial, issuer, login_id, not_before, not_after, state } = certificate;
    let (sha256, serial) = (sha256.to_string(), serial.to_string());
    let (not_before, not_after) = (moment(*not_before), moment(*not_after));
    let values = [login_id.as_str(), &sha256, &serial, issuer.as_str(), &not_before, &not_after, state.word()];
    write_line(Kind::Certificates, values.into_iter().map(Some), format, out);
}

/// The first line of a file.
pub(super) fn header(kind: Kind, format: Format) -> String {
    match format {
        Format::JsonLines => String::new(),
        Format::Csv => kind.fields().join(",") + "\r\n",
    }
}

fn write_line<'v>(kind: Kind, values: impl Iterator<Item = Option<&'v str>>, format: Format, out: &mut String) {
    match format {
        Format::JsonLines => {
            let said =
                kind.fields().iter().zip(values).filter_map(|(name, value)| Some(((*name).to_owned(), json!(value?))));
            out.push_str(&Value::Object(said.collect()).to_string());
            out.push('\n');
        }
        Format::Csv => {
            let fields: Vec<String> = values.map(|value| csv_field(value.unwrap_or_default())).collect();
            out.push_str(&fields.join(","));
            out.push_str("\r\n");
        }
    }
}

/// A moment as it stands in files and answers.
pub(super) fn moment(seconds: i64) -> String {
    Timestamp::from_second(seconds).map(|moment| moment.to_string()).unwrap_or_default()
}

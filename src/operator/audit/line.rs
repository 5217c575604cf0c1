//! How a record becomes a line of JSON: flat, dotted keys, nothing that is absent.

use std::fmt::Display;
use std::io::Write as _;

use data_encoding::HEXUPPER;
use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;

use super::action::Outcome;
use super::chain::{Chain, Digest};
use super::record::StoreMark;
use super::tail::Torn;

/// How every line begins.
pub(super) const OPENING: &[u8] = br#"{"@timestamp":""#;
/// Texts are cut here, so that a line stays far below [`super::tail::MAX_BYTES`].
const MAX_TEXT_BYTES: usize = 1024;
/// The version of the Elastic Common Schema whose names these are, which every event must tell.
const SCHEMA: &str = "8.11.0";
/// RFC 3339 in UTC, with milliseconds.
const TIME: DateTimePrinter = DateTimePrinter::new().precision(Some(3));

/// The names that are read again, at start and by the commands of `sekisho audit`.
pub(super) mod name {
    pub const TIMESTAMP: &str = "@timestamp";
    pub const ACTION: &str = "event.action";
    pub const REASON: &str = "event.reason";
    pub const METHOD: &str = "http.request.method";
    pub const PATH: &str = "url.path";
    pub const ROUTE: &str = "sekisho.route";
    pub const TRANSFER: &str = "sekisho.transfer.id";
    pub const TRANSFER_STATE: &str = "sekisho.transfer.state";
    pub const COUNT: &str = "sekisho.count";
    pub const SEQUENCE: &str = "sekisho.audit.sequence";
    pub const PREVIOUS: &str = "sekisho.audit.previous";
    pub const TORN_BYTES: &str = "sekisho.audit.torn.bytes";
    pub const TORN_DIGEST: &str = "sekisho.audit.torn.sha256";
    pub const STORE: &str = "sekisho.store.id";
    pub const STORE_SEQUENCE: &str = "sekisho.store.sequence";
}

/// The word of the first line of a process.
pub(super) const STARTED: &str = "started";
/// The word of the line that follows torn bytes.
pub(super) const RECOVERED: &str = "recovered";

/// A line being written at the end of a buffer.
pub(super) struct Line<'a>(&'a mut Vec<u8>);

impl<'a> Line<'a> {
    pub fn begin(out: &'a mut Vec<u8>, at: Timestamp, action: &str, category: &str, outcome: Outcome) -> Self {
        out.extend_from_slice(OPENING);
        // Writing to memory does not fail, here and below.
        let _ = TIME.print_timestamp(&at, &mut *out);
        out.push(b'"');
        let mut line = Self(out);
        line.text("ecs.version", Some(SCHEMA));
        line.text(name::ACTION, Some(action));
        line.key("event.category");
        let _ = write!(line.0, r#"["{category}"]"#);
        line.text("event.outcome", Some(outcome.word()));
        line
    }

    /// A text, escaped, and cut where it is too long.
    pub fn text(&mut self, name: &'static str, value: Option<&str>) {
        let Some(value) = value else { return };
        self.key(name);
        let _ = serde_json::to_writer(&mut *self.0, &value[..value.floor_char_boundary(MAX_TEXT_BYTES)]);
    }

    /// A text of letters, digits and marks that JSON need not escape.
    pub fn plain(&mut self, name: &'static str, value: Option<impl Display>) {
        let Some(value) = value else { return };
        self.key(name);
        let _ = write!(self.0, r#""{value}""#);
    }

    /// A number.
    pub fn number(&mut self, name: &'static str, value: Option<u64>) {
        let Some(value) = value else { return };
        self.key(name);
        self.0.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    }

    /// Octets as the schema wants serial numbers: base 16, upper case, no colons.
    pub fn hexadecimal(&mut self, name: &'static str, value: Option<&[u8]>) {
        self.plain(name, value.map(|octets| HEXUPPER.encode(octets)));
    }

    /// Where a ledger stood.
    pub fn store(&mut self, mark: Option<&StoreMark>) {
        self.text(name::STORE, mark.map(|mark| &*mark.id));
        self.number(name::STORE_SEQUENCE, mark.map(|mark| mark.sequence));
    }

    fn key(&mut self, name: &'static str) {
        self.0.extend_from_slice(b",\"");
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"\":");
    }
}

/// What the log says about itself.
pub(super) enum Notice<'a> {
    /// A gateway began to write.
    Started { configuration: Option<Digest>, store: Option<&'a StoreMark> },
    /// It ended in order.
    Stopped,
    /// The end of the file was torn.
    Recovered(&'a Torn),
    /// A new file goes on with the chain of one that was moved away.
    Rotated { store: Option<&'a StoreMark> },
    /// The ledger has come so far, and no transfer has told it yet.
    Reached { store: &'a StoreMark },
    /// Records that the quota, or a full disk, left out.
    Suppressed(u64),
}

impl Notice<'_> {
    /// Writes the line that is still to be sealed.
    pub fn write(&self, at: Timestamp, out: &mut Vec<u8>) {
        let (action, category, outcome) = match self {
            Self::Started { .. } => (STARTED, "process", Outcome::Success),
            Self::Stopped => ("stopped", "process", Outcome::Success),
            Self::Recovered(_) => (RECOVERED, "file", Outcome::Success),
            Self::Rotated { .. } => ("rotated", "file", Outcome::Success),
            Self::Reached { .. } => ("store_reached", "database", Outcome::Success),
            Self::Suppressed(_) => ("suppressed", "file", Outcome::Unknown),
        };
        let mut line = Line::begin(out, at, action, category, outcome);
        match self {
            Self::Started { configuration, store } => {
                line.text("service.version", Some(env!("CARGO_PKG_VERSION")));
                line.plain("sekisho.config.sha256", *configuration);
                line.store(*store);
            }
            Self::Stopped => {}
            Self::Recovered(torn) => {
                line.number(name::TORN_BYTES, Some(torn.bytes));
                line.plain(name::TORN_DIGEST, Some(torn.digest));
            }
            Self::Rotated { store } => line.store(*store),
            Self::Reached { store } => line.store(Some(store)),
            Self::Suppressed(records) => line.number("sekisho.audit.suppressed", Some(*records)),
        }
    }
}

/// Writes a line with `write` and seals it into the chain.
pub(super) fn append(out: &mut Vec<u8>, chain: &mut Chain, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    write(out);
    let mut seal = Line(out);
    seal.number(name::SEQUENCE, Some(chain.sequence + 1));
    seal.plain(name::PREVIOUS, Some(chain.head));
    out.push(b'}');
    *chain = Chain { sequence: chain.sequence + 1, head: Digest::of(&out[start..]) };
    out.push(b'\n');
}

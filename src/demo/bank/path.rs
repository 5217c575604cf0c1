//! A path as Tomcat reads it: path parameters off, then percent-decoding, then `//`, `.` and `..`.
//!
//! In this order `/..;/` is `/../`. Encoded slashes and backslashes separate too, as old releases had it, and a climb
//! above the root stays at the root: what a gateway lets through is to find its servlet.

/// The path by which a servlet is chosen, and what stood in it besides.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ServletPath {
    pub(super) path: String,
    /// The first `;jsessionid=`.
    pub(super) session: Option<String>,
    /// Everything else behind a semicolon, as it was sent.
    pub(super) parameters: Vec<String>,
}

impl ServletPath {
    /// Reads the path of a request target, as it was sent.
    pub(super) fn read(raw: &str) -> Self {
        let (mut session, mut others) = (None, Vec::new());
        let mut bare = String::with_capacity(raw.len());
        for (index, segment) in raw.split('/').enumerate() {
            let (name, parameters) = segment.split_once(';').unwrap_or((segment, ""));
            if index > 0 {
                bare.push('/');
            }
            bare.push_str(name);
            for parameter in parameters.split(';').filter(|parameter| !parameter.is_empty()) {
                match parameter.strip_prefix("jsessionid=") {
                    Some(id) => session = session.or_else(|| Some(id.to_owned())),
                    None => others.push(parameter.to_owned()),
                }
            }
        }
        let decoded = percent_decode(bare.as_bytes(), Malformed::Kept).unwrap_or_default();
        let decoded = String::from_utf8_lossy(&decoded).replace('\\', "/");
        Self { path: normalised(&decoded), session, parameters: others }
    }
}

fn normalised(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut is_directory = true;
    for segment in path.split('/') {
        is_directory = matches!(segment, "" | "." | "..");
        match segment {
            "" | "." => {}
            ".." => drop(kept.pop()),
            name => kept.push(name),
        }
    }
    let end = if is_directory && !kept.is_empty() { "/" } else { "" };
    format!("/{}{end}", kept.join("/"))
}

/// What happens to a `%` that two hexadecimal digits do not follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Malformed {
    /// It stays as it is.
    Kept,
    /// The whole text is none.
    Refused,
}

/// Bytes for `%XX`; everything else as it is.
pub(super) fn percent_decode(text: &[u8], malformed: Malformed) -> Option<Vec<u8>> {
    let hexadecimal = |at: usize| text.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let mut decoded = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match (byte, hexadecimal(at + 1), hexadecimal(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push(u8::try_from(high * 16 + low).ok()?);
                at += 3;
            }
            (b'%', ..) if malformed == Malformed::Refused => return None,
            (other, ..) => {
                decoded.push(*other);
                at += 1;
            }
        }
    }
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_spellings_reach_one_servlet() {
        let spellings = [
            "/ib/transfer/commit.do",
            "/ib//transfer///commit.do",
            "/ib/./transfer/commit.do",
            "/ib/bulk/../transfer/commit.do",
            "/ib/bulk/..;/transfer/commit.do",
            "/ib/bulk/..;x=1/transfer/commit.do",
            "/ib/transfer;x=1/commit.do",
            "/ib/transfer/commit.do;a=b;c=d",
            "/ib/transfer/%63ommit.do",
            "/ib/bulk/%2e%2e/transfer/commit.do",
            "/ib/transfer%2Fcommit.do",
            "/ib\\transfer/commit.do",
            "/../ib/transfer/commit.do",
        ];
        for spelling in spellings {
            assert_eq!(ServletPath::read(spelling).path, "/ib/transfer/commit.do", "{spelling}");
        }
    }

    #[test]
    fn other_paths_stay_others() {
        for spelling in [
            "/IB/transfer/commit.do",
            "/ib/transfer/commit.do/",
            "/ib/transfer/commit.do/.",
            "/ib/transfer/commit.do%3Bx",
            "/ib/transfer/commit.do%00",
            "/ib/transfer/%2563ommit.do",
            "/ib/transfer/commit.do/extra",
            "/ib/transfer/%6commit.do",
        ] {
            assert_ne!(ServletPath::read(spelling).path, "/ib/transfer/commit.do", "{spelling}");
        }
        assert_eq!(ServletPath::read("/").path, "/");
    }

    #[test]
    fn a_session_may_stand_in_any_segment() {
        let session = |path| ServletPath::read(path).session;
        assert_eq!(session("/ib/menu.do;jsessionid=AB!1").as_deref(), Some("AB!1"));
        assert_eq!(session("/ib;x=1;jsessionid=A/menu.do;jsessionid=B").as_deref(), Some("A"));
        assert_eq!(session("/ib/menu.do;JSESSIONID=A"), None);
        assert_eq!(ServletPath::read("/ib;x=1;jsessionid=A/menu.do;amount=7;").parameters, ["x=1", "amount=7"]);
    }
}

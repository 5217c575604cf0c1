//! HTTP/1.1 as the recording backend reads it: whatever has two readings is a violation, not a request.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _};

use super::wire;

/// A request that reached the application.
#[derive(Clone, Default)]
pub struct Seen {
    /// Which of the backend's connections it came on, counted from 0.
    pub connection: usize,
    /// The head's exact bytes.
    pub head: Vec<u8>,
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body, unless it was only counted.
    pub body: Vec<u8>,
    pub body_length: u64,
    pub trailers: Vec<(String, Vec<u8>)>,
}

impl std::fmt::Debug for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body = String::from_utf8_lossy(&self.body);
        write!(f, "on connection {}: {:?} {body:?}", self.connection, String::from_utf8_lossy(&self.head))
    }
}

impl Seen {
    /// All values of a header, in order.
    pub fn all(&self, name: &str) -> Vec<String> {
        let named = self.headers.iter().filter(|(own, _)| own.eq_ignore_ascii_case(name));
        named.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).collect()
    }

    /// The value of a header that stands there once.
    pub fn header(&self, name: &str) -> Option<String> {
        let mut values = self.all(name);
        assert!(values.len() < 2, "{name} stands {} times: {values:?}", values.len());
        values.pop()
    }

    /// All values of the headers that an application which folds case and `-`, `_`, `.` takes for this one.
    pub fn folded(&self, name: &str) -> Vec<String> {
        let fold = |name: &str| name.to_ascii_lowercase().replace(['_', '.'], "-");
        let named = self.headers.iter().chain(&self.trailers).filter(|(own, _)| fold(own) == fold(name));
        named.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).collect()
    }
}

/// How a request's body is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    None,
    Length(u64),
    Chunked,
}

/// Reads a head; `None` where the connection ended between two requests, the violation where it is not clean.
pub async fn read_head(stream: &mut (impl AsyncBufRead + Unpin)) -> Result<Option<(Seen, Framing)>, String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let line_start = head.len();
        match stream.read_until(b'\n', &mut head).await {
            Ok(0) | Err(_) if head.is_empty() => return Ok(None),
            Ok(0) | Err(_) => return Err(format!("a head cut short: {:?}", String::from_utf8_lossy(&head))),
            Ok(_) if head[line_start..].len() < 2 || !head.ends_with(b"\r\n") => {
                return Err(format!("a bare LF: {:?}", String::from_utf8_lossy(&head)));
            }
            Ok(_) if head == b"\r\n" => return Err("an empty line before the request".into()),
            Ok(_) => {}
        }
    }
    let seen = parse_head(head)?;
    let framing = framing(&seen)?;
    Ok(Some((seen, framing)))
}

fn parse_head(head: Vec<u8>) -> Result<Seen, String> {
    let shown = String::from_utf8_lossy(&head).into_owned();
    let mut lines: Vec<&[u8]> = head[..head.len() - 4].split(|byte| *byte == b'\n').collect();
    for line in &mut lines {
        *line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.contains(&b'\r') {
            return Err(format!("a bare CR: {shown:?}"));
        }
    }
    let request_line = std::str::from_utf8(lines[0]).map_err(|_| format!("request line: {shown:?}"))?;
    let words: Vec<&str> = request_line.split(' ').collect();
    let [method, target, "HTTP/1.1"] = words[..] else { return Err(format!("request line {request_line:?}")) };
    let clean_method = !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_alphabetic());
    let clean_target = target.starts_with('/') && target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    if !clean_method || !(clean_target || target == "*") {
        return Err(format!("request line {request_line:?}"));
    }
    let (method, target) = (method.to_owned(), target.to_owned());
    let mut headers = Vec::new();
    for line in &lines[1..] {
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            return Err(format!("a folded line: {shown:?}"));
        }
        headers.push(wire::field(line)?);
    }
    Ok(Seen { head, method, target, headers, ..Seen::default() })
}

fn framing(seen: &Seen) -> Result<Framing, String> {
    if seen.all("host").len() != 1 {
        return Err(format!("Host {:?}", seen.all("host")));
    }
    let (lengths, codings) = (seen.all("content-length"), seen.all("transfer-encoding"));
    match (&lengths[..], &codings[..]) {
        ([], []) => Ok(Framing::None),
        ([length], []) if !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit()) => {
            length.parse().map(Framing::Length).map_err(|_| format!("Content-Length {length}"))
        }
        ([], [coding]) if coding == "chunked" => Ok(Framing::Chunked),
        _ => Err(format!("ambiguous framing: Content-Length {lengths:?}, Transfer-Encoding {codings:?}")),
    }
}

/// Reads the body; each piece is handed on as it comes.
pub async fn read_body(
    stream: &mut (impl AsyncBufRead + Unpin),
    framing: Framing,
    seen: &mut Seen,
    mut piece: impl FnMut(&mut Seen, &[u8]),
) -> io::Result<()> {
    match framing {
        Framing::None => {}
        Framing::Length(length) => {
            let mut left = length;
            let mut buffer = vec![0; 64 << 10];
            while left > 0 {
                let room = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
                let read = stream.read(&mut buffer[..room]).await?;
                if read == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                left -= read as u64;
                piece(seen, &buffer[..read]);
            }
        }
        Framing::Chunked => {
            while let Some(chunk) = wire::read_chunk(stream).await? {
                piece(seen, &chunk);
            }
            seen.trailers = wire::read_fields(stream).await?;
        }
    }
    Ok(())
}

//! HTTP/1.1 as a client reads it, byte by byte and without mercy.

use std::io::{self, ErrorKind};

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _};

/// An answer as it came over the wire.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
    pub trailers: Vec<(String, Vec<u8>)>,
}

impl Answer {
    /// All values of a header, in order.
    pub fn all(&self, name: &str) -> Vec<String> {
        let named = self.headers.iter().filter(|(own, _)| own.eq_ignore_ascii_case(name));
        named.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).collect()
    }

    /// The value of a header that stands there once.
    pub fn header(&self, name: &str) -> Option<String> {
        let mut values = self.all(name);
        assert!(values.len() < 2, "{name} stands {} times", values.len());
        values.pop()
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {:?}", String::from_utf8_lossy(&self.body)))
    }

    /// An answer that ends with its connection.
    pub fn parse(bytes: &[u8]) -> io::Result<Self> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").ok_or(ErrorKind::UnexpectedEof)? + 4;
        let mut answer = Self::parse_head(&bytes[..end])?;
        let body = &bytes[end..];
        answer.body = match answer.header("content-length") {
            Some(length) => body.get(..length.parse().unwrap()).ok_or(ErrorKind::UnexpectedEof)?.to_vec(),
            None if answer.header("transfer-encoding").is_some() => whole_chunks(body)?,
            None => body.to_vec(),
        };
        Ok(answer)
    }

    fn parse_head(head: &[u8]) -> io::Result<Self> {
        let malformed = || io::Error::new(ErrorKind::InvalidData, format!("{:?}", String::from_utf8_lossy(head)));
        let mut headers = [httparse::EMPTY_HEADER; 128];
        let mut parsed = httparse::Response::new(&mut headers);
        if !parsed.parse(head).map_err(|_| malformed())?.is_complete() {
            return Err(malformed());
        }
        let headers = parsed.headers.iter().map(|field| (field.name.to_owned(), field.value.to_vec())).collect();
        Ok(Self { status: parsed.code.unwrap(), headers, ..Self::default() })
    }

    /// Reads the answer to a request of the given method, interim answers included in the order they came.
    pub async fn read(stream: &mut (impl AsyncBufRead + Unpin), method: &str) -> io::Result<Self> {
        let mut answer = Self::read_head(stream).await?;
        let bodiless = method == "HEAD" || matches!(answer.status, 100..=199 | 204 | 304);
        if bodiless {
            return Ok(answer);
        }
        let chunked = answer.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"));
        if chunked {
            while let Some(chunk) = read_chunk(stream).await? {
                answer.body.extend(chunk);
            }
            answer.trailers = read_fields(stream).await?;
        } else if let Some(length) = answer.header("content-length") {
            answer.body = vec![0; length.parse().map_err(|_| ErrorKind::InvalidData)?];
            stream.read_exact(&mut answer.body).await?;
        } else {
            stream.read_to_end(&mut answer.body).await?;
        }
        Ok(answer)
    }

    /// Reads no further than the head.
    pub async fn read_head(stream: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Self> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if stream.read_until(b'\n', &mut head).await? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        Self::parse_head(&head)
    }
}

async fn read_line(stream: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    stream.read_until(b'\n', &mut line).await?;
    match line.strip_suffix(b"\r\n") {
        Some(content) if !content.contains(&b'\r') => Ok(content.to_vec()),
        Some(_) => Err(io::Error::new(ErrorKind::InvalidData, "a bare CR")),
        None if line.ends_with(b"\n") => Err(io::Error::new(ErrorKind::InvalidData, "a bare LF")),
        None => Err(ErrorKind::UnexpectedEof.into()),
    }
}

/// The next chunk; `None` after the last.
pub async fn read_chunk(stream: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
    let line = read_line(stream).await?;
    let strict = !line.is_empty() && line.len() <= 8 && line.iter().all(u8::is_ascii_hexdigit);
    if !strict {
        return Err(io::Error::new(ErrorKind::InvalidData, format!("chunk size {line:?}")));
    }
    let size = usize::from_str_radix(std::str::from_utf8(&line).unwrap(), 16).unwrap();
    if size == 0 {
        return Ok(None);
    }
    let mut chunk = vec![0; size];
    stream.read_exact(&mut chunk).await?;
    match read_line(stream).await?.as_slice() {
        b"" => Ok(Some(chunk)),
        rest => Err(io::Error::new(ErrorKind::InvalidData, format!("after a chunk: {rest:?}"))),
    }
}

/// Fields up to the empty line, each strictly `token: value`.
pub async fn read_fields(stream: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut fields = Vec::new();
    loop {
        let line = read_line(stream).await?;
        if line.is_empty() {
            return Ok(fields);
        }
        fields.push(field(&line).map_err(|why| io::Error::new(ErrorKind::InvalidData, why))?);
    }
}

/// One field line; the reason where more than one reading of it is thinkable.
pub fn field(line: &[u8]) -> Result<(String, Vec<u8>), String> {
    let shown = String::from_utf8_lossy(line);
    let colon = line.iter().position(|byte| *byte == b':').ok_or(format!("no colon in {shown:?}"))?;
    let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    if name.is_empty() || !name.iter().all(is_token) {
        return Err(format!("not a field name in {shown:?}"));
    }
    if value.iter().any(|byte| (*byte < 0x20 && *byte != b'\t') || *byte == 0x7f) {
        return Err(format!("a control character in {shown:?}"));
    }
    Ok((String::from_utf8(name.to_vec()).unwrap(), value.to_vec()))
}

fn whole_chunks(mut rest: &[u8]) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n").ok_or(ErrorKind::UnexpectedEof)?;
        let text = std::str::from_utf8(&rest[..end]).map_err(|_| ErrorKind::InvalidData)?;
        let size = usize::from_str_radix(text, 16).map_err(|_| ErrorKind::InvalidData)?;
        let chunk = rest.get(end + 2..end + 2 + size).ok_or(ErrorKind::UnexpectedEof)?;
        if size == 0 {
            return Ok(body);
        }
        body.extend(chunk);
        rest = rest.get(end + 2 + size + 2..).ok_or(ErrorKind::UnexpectedEof)?;
    }
}

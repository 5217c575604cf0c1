//! Where a body ends (RFC 9112 6 and 7).

use bytes::{Buf as _, Bytes, BytesMut};
use http::header::{HeaderMap, HeaderName, HeaderValue};

use super::Malformed;

/// Bytes of a chunk's size and its extensions, which nobody uses and nobody forwards.
const MAX_CHUNK_HEAD: usize = 1 << 10;

/// Bytes of the trailers.
const MAX_TRAILERS: usize = 16 << 10;

/// How a body is framed, and how far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// There is none, or nothing of it is left.
    Nothing,
    /// So many bytes are still to come.
    Length(u64),
    /// In chunks.
    Chunked(Chunk),
    /// Whatever comes until the connection ends; never from a client.
    UntilClose,
}

/// What comes next in a chunked body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chunk {
    /// Its size.
    Head,
    /// So many bytes.
    Data(u64),
    /// The line's end behind the data.
    End,
    /// Fields behind the last chunk, or nothing.
    Trailers,
}

/// A step through a body.
#[derive(Debug)]
pub enum Part {
    /// Of the body, never empty.
    Data(Bytes),
    /// The body is over.
    End(Option<HeaderMap>),
    /// Nothing can be said before more has come.
    Wanting,
}

impl Framing {
    /// A body in chunks, from its beginning.
    pub fn chunked() -> Self {
        Self::Chunked(Chunk::Head)
    }

    /// Takes the next part out of what has been read.
    ///
    /// # Errors
    /// Chunks that are not written as RFC 9112 7.1 says, in every byte.
    pub fn next(&mut self, input: &mut BytesMut) -> Result<Part, Malformed> {
        match self {
            Self::Nothing => Ok(Part::End(None)),
            Self::Length(left) => {
                let data = take(input, left);
                if *left == 0 {
                    *self = Self::Nothing;
                }
                Ok(data)
            }
            Self::UntilClose if input.is_empty() => Ok(Part::Wanting),
            Self::UntilClose => Ok(Part::Data(input.split().freeze())),
            Self::Chunked(chunk) => {
                let part = chunk.next(input)?;
                let is_over = matches!(part, Part::End(_)) || chunk.passes_end(input);
                if is_over {
                    *self = Self::Nothing;
                }
                Ok(part)
            }
        }
    }

    /// The connection has ended: whether the body has, too.
    pub fn ends_with_connection(&self) -> bool {
        matches!(self, Self::UntilClose | Self::Nothing)
    }

    /// Bytes still to come, where that is known.
    pub fn left(&self) -> Option<u64> {
        match self {
            Self::Nothing => Some(0),
            Self::Length(left) => Some(*left),
            Self::Chunked(_) | Self::UntilClose => None,
        }
    }
}

impl Chunk {
    fn next(&mut self, input: &mut BytesMut) -> Result<Part, Malformed> {
        loop {
            match self {
                Self::Head => {
                    let Some(line) = take_line(input, MAX_CHUNK_HEAD)? else { return Ok(Part::Wanting) };
                    *self = match size_of(&line)? {
                        0 => Self::Trailers,
                        size => Self::Data(size),
                    };
                }
                Self::Data(left) => {
                    let data = take(input, left);
                    if *left == 0 {
                        *self = Self::End;
                    }
                    return Ok(data);
                }
                Self::End => {
                    if input.len() < 2 {
                        return Ok(Part::Wanting);
                    }
                    if !input.starts_with(b"\r\n") {
                        return Err(Malformed("a chunk longer than it said"));
                    }
                    input.advance(2);
                    *self = Self::Head;
                }
                Self::Trailers => return take_trailers(input),
            }
        }
    }

    /// Whether nothing but the end follows the last chunk, and is there already: then the last of the data can be passed
    /// on as the last, in one write.
    fn passes_end(&self, input: &mut BytesMut) -> bool {
        const END: &[u8] = b"\r\n0\r\n\r\n";
        let is_over = *self == Self::End && input.starts_with(END);
        if is_over {
            input.advance(END.len());
        }
        is_over
    }
}

fn take(input: &mut BytesMut, left: &mut u64) -> Part {
    if input.is_empty() {
        return if *left == 0 { Part::End(None) } else { Part::Wanting };
    }
    let here = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
    *left -= here as u64;
    Part::Data(input.split_to(here).freeze())
}

/// A line without its end, which is CR LF and nothing else.
fn take_line(input: &mut BytesMut, limit: usize) -> Result<Option<BytesMut>, Malformed> {
    let Some(end) = memchr::memchr(b'\n', &input[..input.len().min(limit)]) else {
        return if input.len() < limit { Ok(None) } else { Err(Malformed("a chunk's head without end")) };
    };
    let mut line = input.split_to(end + 1);
    line.truncate(end);
    match line.last() {
        Some(b'\r') => line.truncate(end - 1),
        Some(_) | None => return Err(Malformed("a line that ends without CR")),
    }
    Ok(Some(line))
}

/// The size that a chunk's head tells: hexadecimal digits, perhaps followed by extensions.
fn size_of(line: &[u8]) -> Result<u64, Malformed> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let rest = line[digits..].trim_ascii_start();
    let is_clean = !line.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t');
    // 15 digits: what fits a file of any size, and no integer overflows.
    let text = std::str::from_utf8(&line[..digits]).ok().filter(|_| is_clean && digits <= 15);
    match (text.and_then(|text| u64::from_str_radix(text, 16).ok()), rest.first()) {
        (Some(size), None | Some(b';')) => Ok(size),
        (Some(_) | None, _) => Err(Malformed("a chunk's size")),
    }
}

fn take_trailers(input: &mut BytesMut) -> Result<Part, Malformed> {
    if input.starts_with(b"\r\n") {
        input.advance(2);
        return Ok(Part::End(None));
    }
    let Some(end) = memchr::memmem::find(input, b"\r\n\r\n") else {
        let is_too_long = input.len() >= MAX_TRAILERS;
        return if is_too_long { Err(Malformed("trailers without end")) } else { Ok(Part::Wanting) };
    };
    let block = input.split_to(end + 4);
    Ok(Part::End(Some(read_trailers(&block)?)))
}

/// Fields of trailers.
const MAX_FIELDS: usize = 100;

/// Reads trailers. What would change the meaning of the message is left out (RFC 9110 6.5.1).
fn read_trailers(block: &[u8]) -> Result<HeaderMap, Malformed> {
    let mut room = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let malformed = Malformed("trailers");
    let fields = match httparse::parse_headers(block, &mut room) {
        // Bare LFs would end the block before its end.
        Ok(httparse::Status::Complete((length, fields))) if length == block.len() => fields,
        Ok(_) | Err(_) => return Err(malformed),
    };
    if memchr::memchr_iter(b'\n', block).any(|end| end == 0 || block[end - 1] != b'\r') {
        return Err(malformed);
    }
    let mut trailers = HeaderMap::with_capacity(fields.len());
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes());
        let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(field.value)) else { return Err(malformed) };
        let changes_meaning = matches!(name.as_str(), "content-length" | "host" | "set-cookie");
        if !changes_meaning && !super::is_hop_by_hop(name.as_str()) {
            trailers.append(name, value);
        }
    }
    Ok(trailers)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a chunked body that arrives in pieces of `piece` bytes; its data, whether it ended, and what is left.
    fn read(wire: &[u8], piece: usize) -> Result<(Vec<u8>, bool, Vec<u8>), Malformed> {
        let (mut framing, mut input, mut data) = (Framing::chunked(), BytesMut::new(), Vec::new());
        let mut pieces = wire.chunks(piece);
        loop {
            match framing.next(&mut input)? {
                Part::Data(part) => data.extend_from_slice(&part),
                Part::End(_) => return Ok((data, true, [&input[..], &pieces.collect::<Vec<_>>().concat()].concat())),
                Part::Wanting => match pieces.next() {
                    Some(piece) => input.extend_from_slice(piece),
                    None => return Ok((data, false, input.to_vec())),
                },
            }
        }
    }

    #[test]
    fn chunks_mean_the_same_however_they_arrive() {
        let good: [(&[u8], &[u8]); 5] = [
            (b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
            (b"5;name=value\r\nhello\r\n6 ; a\r\n world\r\n000\r\n\r\n", b"hello world"),
            (b"0\r\n\r\n", b""),
            (b"A\r\n0123456789\r\n0\r\nX-Sum: 1\r\nX-More: 2\r\n\r\n", b"0123456789"),
            (b"1\r\na\r\n1\r\nb\r\n0\r\n\r\n", b"ab"),
        ];
        for (wire, expected) in good {
            for piece in 1..=wire.len() {
                let wire = [wire, b"next"].concat();
                let (data, ended, rest) = read(&wire, piece).unwrap();
                assert_eq!((&data[..], ended, &rest[..]), (expected, true, &b"next"[..]), "in pieces of {piece}");
            }
        }
    }

    #[test]
    fn chunks_with_another_reading_are_refused() {
        let long = [&b"1;"[..], &[b'a'; 2000], b"\r\nx"].concat();
        let bad: [&[u8]; 14] = [
            b"zz\r\nhello",
            b"\r\nhello",
            b"-5\r\nhello",
            b"+5\r\nhello",
            b"0x5\r\nhello",
            b"5\nhello\r\n",
            b"5\r\nhello\n0\r\n\r\n",
            b"5\r\nhelloo\r\n0\r\n\r\n",
            b" 5\r\nhello\r\n",
            b"5 5\r\nhello\r\n",
            b"5;a\rb\r\nhello\r\n",
            b"10000000000000000\r\nhello",
            b"0\r\nno trailer\r\n\r\n",
            &long,
        ];
        for wire in bad {
            for piece in [1, 3, wire.len()] {
                assert!(read(wire, piece).is_err(), "{:?} in pieces of {piece}", String::from_utf8_lossy(wire));
            }
        }
    }

    #[test]
    fn an_unfinished_body_never_looks_finished() {
        let whole = b"5\r\nhello\r\n0\r\n\r\n";
        for length in 0..whole.len() {
            assert!(!read(&whole[..length], 4).unwrap().1, "after {length} bytes");
        }
    }

    #[test]
    fn trailers_that_change_the_message_are_left_out() {
        let block = b"X-Sum: 1\r\nContent-Length: 5\r\nTransfer-Encoding: x\r\nSet-Cookie: a=b\r\n\r\n";
        let trailers = read_trailers(block).unwrap();
        assert_eq!(trailers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-sum"]);
        let bare = [&b"a: b\n\r\n"[..], b"a: b\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", b"a: b\n\n\r\n\r\n"];
        for bad in [&b"no colon\r\n\r\n"[..], b"a : b\r\n\r\n", b"a: b\0\r\n\r\n"].into_iter().chain(bare) {
            assert!(read_trailers(bad).is_err());
        }
    }
}

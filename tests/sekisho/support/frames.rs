//! HTTP/2 frames by hand, for what no library would send.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::{PATIENCE, within};

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;
pub const PADDED: u8 = 8;
pub const ACK: u8 = 1;

/// One frame.
#[derive(Debug, Clone)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    pub fn new(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Self {
        Self { kind, flags, stream, payload: payload.to_vec() }
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut out = u32::try_from(self.payload.len()).unwrap().to_be_bytes()[1..].to_vec();
        out.extend([self.kind, self.flags]);
        out.extend(self.stream.to_be_bytes());
        out.extend(&self.payload);
        out
    }

    /// The status of an answer's HEADERS, as far as it stands in the static table or as a plain literal.
    pub fn status(&self) -> Option<u16> {
        let statuses = [200, 204, 206, 304, 400, 404, 500];
        match *self.payload.first()? {
            indexed @ 0x88..=0x8e => Some(statuses[usize::from(indexed - 0x88)]),
            // A literal with the indexed name `:status`: 3 digits, Huffman-coded (all digits 0-2 have 5 bits, others 6) or not.
            _ => None,
        }
    }
}

/// A header block of literals that no table knows.
pub fn header_block(fields: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in fields {
        out.push(0x00);
        for text in [name, value] {
            length(&mut out, text.len());
            out.extend(*text);
        }
    }
    out
}

fn length(out: &mut Vec<u8>, length: usize) {
    if length < 127 {
        return out.push(length as u8);
    }
    out.push(127);
    let mut rest = length - 127;
    while rest >= 128 {
        out.push((rest % 128) as u8 | 0x80);
        rest /= 128;
    }
    out.push(rest as u8);
}

/// A connection on which frames are written by hand.
#[derive(Debug)]
pub struct Frames(TlsStream<TcpStream>);

impl Frames {
    /// Sends the preface and empty settings.
    pub async fn open(mut stream: TlsStream<TcpStream>) -> Self {
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        let mut frames = Self(stream);
        frames.send(&Frame::new(SETTINGS, 0, 0, b"")).await.unwrap();
        frames
    }

    pub async fn send(&mut self, frame: &Frame) -> io::Result<()> {
        self.send_together(std::slice::from_ref(frame)).await
    }

    /// Sends frames that arrive in one piece.
    pub async fn send_together(&mut self, frames: &[Frame]) -> io::Result<()> {
        self.0.write_all(&frames.iter().flat_map(Frame::encode).collect::<Vec<u8>>()).await?;
        self.0.flush().await
    }

    /// A request whose pseudo-headers are good, with these fields beside them.
    pub async fn request(
        &mut self,
        stream: u32,
        method: &str,
        fields: &[(&[u8], &[u8])],
        ends: bool,
    ) -> io::Result<()> {
        let good: [(&[u8], &[u8]); 4] = [
            (b":method", method.as_bytes()),
            (b":scheme", b"https"),
            (b":authority", b"localhost"),
            (b":path", b"/ib/menu.do"),
        ];
        let block = header_block(&[&good, fields].concat());
        let flags = END_HEADERS | if ends { END_STREAM } else { 0 };
        self.send(&Frame::new(HEADERS, flags, stream, &block)).await
    }

    /// Sends a frame so many times and a ping behind, and waits for the ping's answer: whether the gateway has taken
    /// them all.
    pub async fn press(&mut self, frame: &Frame, times: usize) -> bool {
        const LAST: [u8; 8] = *b"the last";
        let mut bytes = frame.encode().repeat(times);
        bytes.extend(Frame::new(PING, 0, 0, &LAST).encode());
        if self.0.write_all(&bytes).await.is_err() || self.0.flush().await.is_err() {
            return false;
        }
        while let Some(frame) = self.next().await {
            if (frame.kind, frame.flags, &frame.payload[..]) == (PING, ACK, &LAST) {
                return true;
            }
        }
        false
    }

    /// The next frame; `None` at the end of the connection.
    pub async fn next(&mut self) -> Option<Frame> {
        within(PATIENCE, "a frame", read(&mut self.0)).await.ok()
    }

    /// Reads until a frame that decides the fate of this stream, or of the connection.
    pub async fn outcome(&mut self, stream: u32) -> Option<Frame> {
        loop {
            let frame = self.next().await?;
            let of_stream = frame.stream == stream && matches!(frame.kind, HEADERS | RST_STREAM);
            if of_stream || frame.kind == GOAWAY {
                return Some(frame);
            }
        }
    }
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Frame> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await?;
    let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload).await?;
    let number = u32::from_be_bytes([head[5], head[6], head[7], head[8]]) & 0x7fff_ffff;
    Ok(Frame { kind: head[3], flags: head[4], stream: number, payload })
}

//! HTTP/2 frames as they pass between client and hyper: their heads, found in bytes that come in pieces of any size.
//!
//! hyper and h2 read and write the frames; this only looks on, because neither says how many came or when one left.
//! Payloads are passed over, nothing is decoded, nothing is allocated. What is no HTTP/2 makes no sense here either, and
//! h2 ends that connection.

const HEAD_BYTES: usize = 9;

/// `PRI * HTTP/2.0…`, which a client sends before its first frame (RFC 9113 3.4).
const PREFACE_BYTES: usize = 24;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const PADDED: u8 = 8;

/// What the head of a frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    /// Bytes of its payload, without padding where that could be all of it.
    content: usize,
}

impl Frame {
    /// Whether it asks for work and brings nothing: PING, SETTINGS, PRIORITY, types that nobody knows, and DATA and
    /// CONTINUATION without content (CVE-2019-9512, -9515, -9518). The others have bounds of their own: streams, resets,
    /// and the bytes that lead to nothing.
    pub fn is_control(self) -> bool {
        match self.kind {
            DATA => self.content == 0 && !self.ends_stream(),
            CONTINUATION => self.content == 0,
            HEADERS | RST_STREAM | WINDOW_UPDATE => false,
            _ => true,
        }
    }

    /// Its stream.
    pub fn stream(self) -> u32 {
        self.stream
    }

    /// Whether it is DATA.
    pub fn is_data(self) -> bool {
        self.kind == DATA
    }

    /// Whether it is HEADERS.
    pub fn is_headers(self) -> bool {
        self.kind == HEADERS
    }

    /// Whether it is RST_STREAM.
    pub fn is_reset(self) -> bool {
        self.kind == RST_STREAM
    }

    /// Whether its sender ends the stream with it. HEADERS may say so before the CONTINUATION that follows them.
    pub fn ends_stream(self) -> bool {
        (self.is_data() || self.is_headers()) && self.flags & END_STREAM != 0
    }
}

/// Finds the frames in one direction of a connection.
#[derive(Debug)]
pub(super) struct FrameReader {
    /// A head, and the first byte of the payload where that is the length of the padding.
    head: [u8; HEAD_BYTES + 1],
    filled: usize,
    /// Bytes to pass over before the next head begins.
    skip: usize,
}

impl FrameReader {
    /// For what a client sends, from its first byte.
    pub fn of_client() -> Self {
        Self { head: [0; HEAD_BYTES + 1], filled: 0, skip: PREFACE_BYTES }
    }

    /// For what a server sends, from its first byte.
    pub fn of_server() -> Self {
        Self { skip: 0, ..Self::of_client() }
    }

    /// Reads on, and tells of each frame whose head is complete.
    pub fn read(&mut self, mut bytes: &[u8], mut found: impl FnMut(Frame)) {
        loop {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            let taken = bytes.len().min(self.wanted() - self.filled);
            self.head[self.filled..self.filled + taken].copy_from_slice(&bytes[..taken]);
            self.filled += taken;
            bytes = &bytes[taken..];
            if self.filled == self.wanted() {
                found(self.finish());
            } else if bytes.is_empty() {
                return;
            }
        }
    }

    /// How much of the frame has to be seen; known to be more only when the head is there.
    fn wanted(&self) -> usize {
        let [.., kind, flags, _, _, _, _, _] = self.head;
        let says_its_padding = kind == DATA && flags & PADDED != 0 && self.payload_bytes() > 0;
        if self.filled >= HEAD_BYTES && says_its_padding { HEAD_BYTES + 1 } else { HEAD_BYTES }
    }

    fn payload_bytes(&self) -> usize {
        let [high, middle, low, ..] = self.head;
        usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low)
    }

    fn finish(&mut self) -> Frame {
        let [_, _, _, kind, flags, stream @ .., pad] = self.head;
        let seen_of_payload = self.filled - HEAD_BYTES;
        let padding = if seen_of_payload > 0 { 1 + usize::from(pad) } else { 0 };
        let payload = self.payload_bytes();
        self.skip = payload - seen_of_payload;
        self.filled = 0;
        // The first bit of a stream's number is reserved, and ignored.
        let stream = u32::from_be_bytes(stream) & 0x7fff_ffff;
        Frame { kind, flags, stream, content: payload.saturating_sub(padding) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PING: u8 = 6;

    fn encode(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    }

    fn frames(reader: &mut FrameReader, pieces: &[&[u8]]) -> Vec<Frame> {
        let mut found = Vec::new();
        for piece in pieces {
            reader.read(piece, |frame| found.push(frame));
        }
        found
    }

    #[test]
    fn frames_are_found_however_the_bytes_are_cut() {
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        let bytes = [
            preface,
            encode(4, 0, 0, b""),
            encode(HEADERS, END_STREAM, 0x8000_0001, b"head"),
            encode(DATA, PADDED, 3, &[2, b'a', 0, 0]),
            encode(DATA, PADDED, 3, &[3, 0, 0, 0]),
            encode(DATA, PADDED, 3, b""),
            encode(PING, 0, 0, &[7; 8]),
        ]
        .concat();
        let frame = |kind, flags, stream, content| Frame { kind, flags, stream, content };
        let expected = [
            frame(4, 0, 0, 0),
            frame(HEADERS, END_STREAM, 1, 4),
            frame(DATA, PADDED, 3, 1),
            frame(DATA, PADDED, 3, 0),
            frame(DATA, PADDED, 3, 0),
            frame(PING, 0, 0, 8),
        ];
        assert_eq!(frames(&mut FrameReader::of_client(), &[&bytes]), expected);
        for first in 0..bytes.len() {
            for second in first..bytes.len() {
                let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                assert_eq!(frames(&mut FrameReader::of_client(), &pieces), expected, "cut at {first} and {second}");
            }
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(frames(&mut FrameReader::of_client(), &single), expected);
    }

    #[test]
    fn what_brings_nothing_is_a_control_frame() {
        let table = [
            ("ping", PING, 0, 8, true),
            ("settings", 4, 0, 0, true),
            ("priority", 2, 0, 5, true),
            ("priority update", 16, 0, 9, true),
            ("unknown", 0xfa, 0, 16_000, true),
            ("empty data", DATA, 0, 0, true),
            ("empty end of a body", DATA, END_STREAM, 0, false),
            ("data", DATA, 0, 1, false),
            ("empty continuation", CONTINUATION, 0, 0, true),
            ("continuation", CONTINUATION, 0, 1, false),
            ("headers", HEADERS, 0, 1, false),
            ("reset", RST_STREAM, 0, 4, false),
            ("window update", WINDOW_UPDATE, 0, 4, false),
        ];
        for (what, kind, flags, content, expected) in table {
            assert_eq!(Frame { kind, flags, stream: 1, content }.is_control(), expected, "{what}");
        }
    }
}

//! The streams of an HTTP/2 connection: on which of them does the client keep us waiting?
//!
//! hyper counts an answer as delivered when it has handed the last of it to h2, whose buffer may hold it for as long as the
//! client's window stays closed. So two lists are kept: the answers that hyper still holds, and the streams, by the frames
//! that really left. A stream is silent when nothing of its begun answer has left for `write-timeout`. hyper does not tell
//! which answer is on which stream, and need not: silence is explained by an answer for which the application is awaited
//! that long. Where more streams are silent than such answers exist, one of them waits for nobody but the client.
//!
//! Invariant: no stream is blamed for what waits in our own buffers; while the socket takes nothing, nobody is judged here.

use std::collections::HashMap;

use super::frames::Frame;

/// Who has to do something before an answer goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// The client must open its window for what hyper holds.
    Client,
    /// The application must send more.
    Application,
}

/// An answer whose body hyper still holds.
#[derive(Debug)]
struct Answer {
    turn: Turn,
    /// When the client must have taken what hyper holds.
    due: u64,
    /// From when on the answer explains the silence of a stream. Its own stream moves again later than that, or never.
    explains_from: u64,
}

/// The streams of one connection. All times are deadlines: when they were noted, and `write-timeout`.
#[derive(Debug)]
pub(super) struct Streams {
    answers: HashMap<u64, Answer>,
    /// Streams that the client opened and whose answer has not left whole; with a deadline from when a part of it has.
    open: HashMap<u32, Option<u64>>,
    /// The stream opened last; older numbers never open another (RFC 9113 5.1.1).
    newest: u32,
    max_open: usize,
    /// Whether the last sweep found more silence than answers explain.
    is_doubtful: bool,
}

impl Streams {
    /// None yet. What h2 refuses is open here until its refusal has left; hence twice as many as may be open.
    pub fn new(max_streams: u32) -> Self {
        let max_open = usize::try_from(max_streams).unwrap_or(usize::MAX).saturating_mul(2);
        Self { answers: HashMap::new(), open: HashMap::new(), newest: 0, max_open, is_doubtful: false }
    }

    /// An answer begins; its head waits for nobody.
    pub fn answer_begins(&mut self, number: u64, deadline: u64) {
        self.answers.insert(number, Answer { turn: Turn::Client, due: deadline, explains_from: deadline });
    }

    /// hyper has asked the answer for more; whoever has the turn now must do something.
    pub fn answer_goes_on(&mut self, number: u64, turn: Turn, deadline: u64) {
        let Some(answer) = self.answers.get_mut(&number) else { return };
        if answer.turn == Turn::Client {
            // hyper comes back only when the window has taken a part of what it held: the stream is moving.
            answer.explains_from = deadline;
        }
        if turn == Turn::Client {
            answer.due = deadline;
        }
        answer.turn = turn;
    }

    /// hyper has let go of the answer: it was handed on whole, or it broke off.
    pub fn answer_ends(&mut self, number: u64) {
        self.answers.remove(&number);
    }

    /// The client sent this frame.
    pub fn received(&mut self, frame: Frame) {
        if frame.is_reset() {
            self.open.remove(&frame.stream());
        } else if frame.is_headers() && frame.stream() > self.newest {
            self.newest = frame.stream();
            if self.open.len() < self.max_open {
                self.open.insert(frame.stream(), None);
            }
        }
    }

    /// This frame has left for the client, or begun to.
    pub fn sent(&mut self, frame: Frame, deadline: u64) {
        if frame.is_reset() || frame.ends_stream() {
            self.open.remove(&frame.stream());
        } else if frame.is_headers() || frame.is_data() {
            // A stream that the client has reset is gone, though frames of it may still have been on their way.
            if let Some(silent_from) = self.open.get_mut(&frame.stream()) {
                *silent_from = Some(deadline);
            }
        }
    }

    /// Whether the client has kept an answer waiting for too long. `all_is_written` says that the socket takes what it is
    /// given; asked at every sweep.
    pub fn is_client_overdue(&mut self, now: u64, all_is_written: bool) -> bool {
        let silent = self.open.values().filter(|silent_from| silent_from.is_some_and(|from| from <= now)).count();
        let explained = self.answers.values().filter(|answer| answer.explains_from <= now).count();
        // What was handed on in this moment has not left yet; at the next sweep it has.
        let was_doubtful = self.is_doubtful;
        self.is_doubtful = all_is_written && silent > explained;
        let is_untaken = |answer: &Answer| answer.turn == Turn::Client && answer.due <= now;
        (was_doubtful && self.is_doubtful) || self.answers.values().any(is_untaken)
    }
}

#[cfg(test)]
mod tests {
    use super::super::frames::FrameReader;
    use super::*;

    const PATIENCE: u64 = 30;

    /// A connection at a time of day, with its frames by kind and flags.
    struct Story {
        streams: Streams,
        now: u64,
    }

    impl Story {
        fn begin() -> Self {
            Self { streams: Streams::new(2), now: 0 }
        }

        fn frame(kind: u8, flags: u8, stream: u32) -> Frame {
            let mut found = None;
            let head = [&[0, 0, 1, kind, flags], &stream.to_be_bytes()[..]].concat();
            FrameReader::of_server().read(&head, |frame| found = Some(frame));
            found.unwrap()
        }

        fn receive(&mut self, kind: u8, stream: u32) {
            self.streams.received(Self::frame(kind, 5, stream));
        }

        fn send(&mut self, kind: u8, flags: u8, stream: u32) {
            self.streams.sent(Self::frame(kind, flags, stream), self.now + PATIENCE);
        }

        fn asked(&mut self, number: u64, turn: Turn) {
            self.streams.answer_goes_on(number, turn, self.now + PATIENCE);
        }

        /// A small answer: handed on whole at once, its first byte let out.
        fn answer(&mut self, stream: u32) {
            self.receive(HEADERS, stream);
            self.streams.answer_begins(u64::from(stream), self.now + PATIENCE);
            self.asked(u64::from(stream), Turn::Client);
            self.streams.answer_ends(u64::from(stream));
            self.send(HEADERS, 4, stream);
            self.send(DATA, 0, stream);
        }

        /// Time passes, with a sweep at each step; whether the client was found overdue.
        fn pass(&mut self, time: u64) -> bool {
            (0..time).any(|_| {
                self.now += 1;
                self.streams.is_client_overdue(self.now, true)
            })
        }
    }

    const DATA: u8 = 0;
    const HEADERS: u8 = 1;
    const RST_STREAM: u8 = 3;
    const END_STREAM: u8 = 1;

    #[test]
    fn an_answer_that_never_leaves_whole_is_the_clients_fault() {
        let mut story = Story::begin();
        story.answer(1);
        assert!(!story.pass(PATIENCE));
        assert!(story.pass(2));
    }

    #[test]
    fn an_answer_that_has_left_is_nobodys_affair() {
        let ends: [fn(&mut Story); 5] = [
            |story| story.send(DATA, END_STREAM, 1),
            |story| story.send(HEADERS, END_STREAM, 1),
            |story| story.send(HEADERS, END_STREAM | 4, 1),
            |story| story.send(RST_STREAM, 0, 1),
            |story| story.receive(RST_STREAM, 1),
        ];
        for end in ends {
            let mut story = Story::begin();
            story.answer(1);
            end(&mut story);
            assert!(!story.pass(3 * PATIENCE));
            story.send(HEADERS, 4, 1);
            story.send(DATA, 0, 1);
            story.receive(HEADERS, 1);
            assert!(!story.pass(3 * PATIENCE), "what was still on its way opens nothing");
        }
    }

    #[test]
    fn a_slow_application_explains_the_silence_of_one_stream() {
        let mut story = Story::begin();
        story.receive(HEADERS, 1);
        story.streams.answer_begins(7, story.now + PATIENCE);
        story.asked(7, Turn::Application);
        story.send(HEADERS, 4, 1);
        assert!(!story.pass(3 * PATIENCE));
        story.answer(3);
        assert!(!story.pass(PATIENCE));
        assert!(story.pass(2), "but not of another");
    }

    #[test]
    fn what_comes_late_is_not_late_to_be_taken() {
        let mut story = Story::begin();
        story.receive(HEADERS, 1);
        story.streams.answer_begins(7, story.now + PATIENCE);
        story.asked(7, Turn::Application);
        story.send(HEADERS, 4, 1);
        assert!(!story.pass(2 * PATIENCE));
        // The window is closed for it; the client has its time from now on.
        story.asked(7, Turn::Client);
        assert!(!story.pass(PATIENCE - 1));
        // Handed on just before a sweep, and written just after.
        story.streams.answer_ends(7);
        assert!(!story.pass(1));
        story.send(DATA, 0, 1);
        assert!(!story.pass(PATIENCE - 1));
        assert!(story.pass(3), "this part is not taken");
    }

    #[test]
    fn a_download_that_goes_on_explains_nothing() {
        let mut story = Story::begin();
        story.answer(1);
        story.receive(HEADERS, 3);
        story.streams.answer_begins(7, story.now + PATIENCE);
        story.send(HEADERS, 4, 3);
        let mut overdue = false;
        for _ in 0..PATIENCE + 2 {
            story.asked(7, Turn::Client);
            story.send(DATA, 0, 3);
            overdue |= story.pass(1);
        }
        assert!(overdue);
    }

    #[test]
    fn what_the_socket_does_not_take_is_not_judged() {
        let mut story = Story::begin();
        story.answer(1);
        story.now += 2 * PATIENCE;
        for _ in 0..5 {
            assert!(!story.streams.is_client_overdue(story.now, false));
        }
        assert!(!story.streams.is_client_overdue(story.now, true));
        assert!(story.streams.is_client_overdue(story.now, true));
    }

    #[test]
    fn no_more_streams_are_kept_than_there_can_be() {
        let mut story = Story::begin();
        for stream in (1..1_000).step_by(2) {
            story.receive(HEADERS, stream);
        }
        assert_eq!(story.streams.open.len(), 4);
    }
}

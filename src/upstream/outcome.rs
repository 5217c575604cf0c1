//! What the application made of a request: its answer against the route's markers (LIM-14, LIM-32, HTP-07).
//!
//! A marker is looked for where customers cannot write: the status, the path of a redirect, markup in the page. What was not
//! read in whole, or is coded, says nothing. Neither success nor failure, or both, is unknown; nothing is guessed.

use http::header::{CONTENT_ENCODING, LOCATION};
use http::response::Parts;

use crate::policy::body::Charset;
use crate::policy::treatment::{Marker, Markers, NumberInAnswer};

/// What an answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// It was done.
    Success,
    /// It was not done.
    Failure,
    /// Nobody can tell; the word says why, for the record.
    Nothing(&'static str),
}

/// How much of a page was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page<'p> {
    /// All of it.
    Whole(&'p [u8]),
    /// None, because no marker asks for it.
    Unread,
    /// It is longer than may be read, or broke off.
    Partial,
}

/// An answer before the markers' eyes.
#[derive(Debug)]
pub struct Reading<'p> {
    head: &'p Parts,
    /// The page's text; `None` where it cannot be read.
    text: Option<String>,
}

/// Whether the page must be read to know what an answer with this head says.
pub fn needs_page(head: &Parts, markers: &Markers) -> bool {
    let reading = Reading { head, text: None };
    let all = markers.success.iter().chain(&markers.failure);
    all.into_iter().any(|marker| reading.holds(marker) == Found::Unreadable)
}

impl<'p> Reading<'p> {
    /// Reads an answer in the charset of the route's pages.
    pub fn of(head: &'p Parts, page: Page<'_>, charset: Charset) -> Self {
        let is_coded = head.headers.get_all(CONTENT_ENCODING).iter().any(|coding| coding != "identity");
        let text = match page {
            Page::Whole(bytes) if !is_coded => Some(charset.decode_page(bytes)),
            Page::Whole(_) | Page::Unread | Page::Partial => None,
        };
        Self { head, text }
    }

    /// What it says, by these markers.
    pub fn says(&self, markers: &Markers) -> Said {
        let success = markers.success.as_ref().map_or(Found::No, |marker| self.holds(marker));
        let failure = markers.failure.iter().map(|marker| self.holds(marker)).max().unwrap_or(Found::No);
        match (success, failure) {
            (Found::Yes, Found::Yes) => Said::Nothing("both_markers"),
            (Found::Unreadable, _) | (_, Found::Unreadable) => Said::Nothing("page_unreadable"),
            (Found::Yes, Found::No) => Said::Success,
            (Found::No, Found::Yes) => Said::Failure,
            (Found::No, Found::No) => Said::Nothing("no_marker"),
        }
    }

    /// The number of a new order.
    pub fn number(&self, place: &NumberInAnswer) -> Option<String> {
        let number = match place {
            NumberInAnswer::LocationParameter(name) => {
                let location = self.head.headers.get(LOCATION)?.to_str().ok()?;
                let (_, query) = location.split('#').next()?.split_once('?')?;
                let mut values =
                    query.split('&').filter_map(|pair| pair.split_once('=')).filter(|(own, _)| own == name);
                let (_, value) = values.next()?;
                // Twice, or coded: more than one reading.
                (values.next().is_none() && !value.contains(['%', '+'])).then(|| value.to_owned())?
            }
            NumberInAnswer::Between(before, after) => {
                let (_, rest) = self.text.as_ref()?.split_once(before.as_str())?;
                let (number, _) = rest.split_once(after.as_str())?;
                number.trim().to_owned()
            }
        };
        (!number.is_empty()).then_some(number)
    }

    fn holds(&self, marker: &Marker) -> Found {
        let status = marker.status.is_none_or(|status| status == self.head.status);
        let location = marker.location.as_ref().is_none_or(|path| self.path_of_location() == Some(path));
        match &marker.contains {
            _ if !status || !location => Found::No,
            None => Found::Yes,
            Some(markup) => match &self.text {
                Some(text) if text.contains(markup.as_str()) => Found::Yes,
                Some(_) => Found::No,
                None => Found::Unreadable,
            },
        }
    }

    /// The path that a redirect leads to, without query and parameters: sessions stand in them.
    fn path_of_location(&self) -> Option<&str> {
        let mut locations = self.head.headers.get_all(LOCATION).iter();
        let location = locations.next()?.to_str().ok().filter(|_| locations.next().is_none())?;
        let path = match location.split_once("://") {
            Some((scheme, rest)) if scheme.bytes().all(|byte| byte.is_ascii_alphabetic()) => &rest[rest.find('/')?..],
            Some(_) | None => location,
        };
        path.split(['?', '#', ';']).next()
    }
}

/// Whether a marker was found; in the order of what counts most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Found {
    No,
    Yes,
    Unreadable,
}

#[cfg(test)]
mod tests {
    use http::{Response, StatusCode};

    use super::*;

    const DONE: &str = "/ib/transfer/done.do";

    fn markers() -> Markers {
        let marker = |status, location: Option<&str>, contains: Option<&str>| Marker {
            status: StatusCode::from_u16(status).ok(),
            location: location.map(str::to_owned),
            contains: contains.map(str::to_owned),
        };
        Markers {
            success: Some(marker(302, Some(DONE), None)),
            failure: vec![marker(200, None, Some("<p>BTRE900</p>")), marker(302, Some("/ib/error.do"), None)],
            charset: Charset::Windows31J,
            max_page: 1 << 16,
        }
    }

    fn said(status: u16, fields: &[(&str, &str)], page: Page<'_>) -> Said {
        let mut answer = Response::builder().status(status);
        for (name, value) in fields {
            answer = answer.header(*name, *value);
        }
        let (head, ()) = answer.body(()).unwrap().into_parts();
        Reading::of(&head, page, Charset::Windows31J).says(&markers())
    }

    #[test]
    fn a_redirect_is_told_by_its_whole_path() {
        for (location, expected) in [
            (DONE, Said::Success),
            ("https://bank.example/ib/transfer/done.do", Said::Success),
            ("/ib/transfer/done.do;jsessionid=1?x=2#y", Said::Success),
            ("/ib/transfer/done.do2", Said::Nothing("no_marker")),
            ("/x?to=/ib/transfer/done.do", Said::Nothing("no_marker")),
            ("https://bank.example", Said::Nothing("no_marker")),
            ("/ib/error.do", Said::Failure),
        ] {
            assert_eq!(said(302, &[("location", location)], Page::Whole(b"")), expected, "{location}");
        }
        let twice = [("location", DONE), ("location", "/ib/error.do")];
        assert_eq!(said(302, &twice, Page::Whole(b"")), Said::Nothing("no_marker"));
    }

    #[test]
    fn a_page_is_told_by_its_markup_alone() {
        let page = |text: &str| encoding_rs::SHIFT_JIS.encode(text).0.into_owned();
        assert_eq!(said(200, &[], Page::Whole(&page("<p>BTRE900</p>残高不足"))), Said::Failure);
        // What a customer wrote is escaped.
        assert_eq!(said(200, &[], Page::Whole(&page("&lt;p>BTRE900&lt;/p>"))), Said::Nothing("no_marker"));
        assert_eq!(said(500, &[], Page::Whole(&page("<p>BTRE900</p>"))), Said::Nothing("no_marker"));
    }

    #[test]
    fn what_cannot_be_read_says_nothing() {
        let coded = [("content-encoding", "gzip")];
        assert_eq!(said(200, &coded, Page::Whole(b"<p>BTRE900</p>")), Said::Nothing("page_unreadable"));
        assert_eq!(said(200, &[], Page::Partial), Said::Nothing("page_unreadable"));
        assert_eq!(said(302, &[("location", DONE)], Page::Unread), Said::Success);
    }

    #[test]
    fn success_and_failure_at_once_is_neither() {
        let mut both = markers();
        both.failure[0].status = None;
        let (head, ()) = Response::builder().status(302).header("location", DONE).body(()).unwrap().into_parts();
        let reading = Reading::of(&head, Page::Whole(b"<p>BTRE900</p>"), Charset::Windows31J);
        assert_eq!(reading.says(&both), Said::Nothing("both_markers"));
    }

    #[test]
    fn a_new_orders_number_is_read_once() {
        let location = |value: &str| {
            let (head, ()) = Response::builder().status(302).header("location", value).body(()).unwrap().into_parts();
            Reading::of(&head, Page::Unread, Charset::Utf8).number(&NumberInAnswer::LocationParameter("id".into()))
        };
        assert_eq!(location("/ib/requested.do?id=R1&x=2"), Some("R1".into()));
        assert_eq!(location("/ib/requested.do?id=R1&id=R2"), None);
        assert_eq!(location("/ib/requested.do?id=R%31"), None);
        assert_eq!(location("/ib/requested.do?xid=R1"), None);
        let (head, ()) = Response::new(()).into_parts();
        let reading = Reading::of(&head, Page::Whole(b"<b id=\"receipt\"> 42 </b>"), Charset::Utf8);
        let between = NumberInAnswer::Between("<b id=\"receipt\">".into(), "</b>".into());
        assert_eq!(reading.number(&between), Some("42".into()));
    }
}

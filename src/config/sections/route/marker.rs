//! `success` and `failure` of a route: what an answer must be to mean something (LIM-32).
//!
//! A failure of what moves money gives it back to the day (LIM-15). So it must be evidence that nothing was executed, and an
//! answer that could be any other is none.

use http::StatusCode;

use crate::config::mistake::Read;
use crate::config::section::Section;
use crate::config::sections::transfer::canonical_path;
use crate::config::units::{integer, text};
use crate::policy::treatment::Marker;

/// Shorter markup stands in every page.
const LEAST_MARKUP: usize = 8;
/// So many characters of it must be more than the names of elements.
const LEAST_TEXT: usize = 3;

/// What is wrong with a marker, and at which key.
type Objection = Option<(&'static str, &'static str)>;

/// `success`.
pub(super) fn read_success(table: Section<'_>) -> Read<Marker> {
    read_marker(table, |_| None)
}

/// Every `failure`. Beside a success, it is one that no answer can be at once.
pub(super) fn read_failures(
    tables: Vec<Section<'_>>,
    moves_money: bool,
    success: Option<&Marker>,
) -> Read<Vec<Marker>> {
    let objection = |marker: &Marker| {
        let nameless = || moves_money.then(|| has_no_status(marker)).flatten();
        no_evidence(marker).or_else(nameless).or_else(|| success.and_then(|success| no_difference(marker, success)))
    };
    let read: Vec<Read<Marker>> = tables.into_iter().map(|table| read_marker(table, objection)).collect();
    read.into_iter().collect()
}

fn read_marker(mut table: Section<'_>, objection: impl Fn(&Marker) -> Objection) -> Read<Marker> {
    let status = table.optional("status", |given| {
        let status = integer(200..=599_u16)(given)?;
        StatusCode::from_u16(status).map_err(|_| "is no status".into())
    });
    let location = table.optional("location", canonical_path);
    let contains = table.optional("contains", |given| {
        let markup = text(given)?;
        // A marker must hold a `<`: customers can write text, not markup (LIM-32).
        if markup.contains('<') {
            Ok(markup)
        } else {
            Err(format!("{markup:?} holds no <, so a customer could write it"))
        }
    });
    let marker = Marker { status: status?, location: location?, contains: contains? };
    if marker == (Marker { status: None, location: None, contains: None }) {
        return Err(
            table.mistake("status", "is missing, and so are location and contains: this would be any answer".into())
        );
    }
    if let Some((key, text)) = objection(&marker) {
        return Err(table.mistake(key, text.into()));
    }
    table.finish();
    Ok(marker)
}

/// A failure must say that nothing was executed, and not only be unlike a success.
fn no_evidence(marker: &Marker) -> Objection {
    let status = marker.status.map_or(0, |status| status.as_u16());
    if status >= 500 {
        return Some(("status", "is an error of the server, which may have executed the order: that is unknown"));
    }
    let is_alone = marker.location.is_none() && marker.contains.is_none();
    if is_alone && status < 400 {
        return Some(("status", "alone is no evidence that nothing was executed: add contains or location"));
    }
    let is_anywhere = marker.contains.as_ref().is_some_and(|markup| stands_anywhere(markup));
    is_anywhere.then_some(("contains", "could stand in any page: take a whole element with its text"))
}

/// Pages of errors are sent with every status, also with those that tell nothing.
fn has_no_status(marker: &Marker) -> Objection {
    let text = "is missing: with a 5xx, the same page or path does not tell that nothing was executed";
    marker.status.is_none().then_some(("status", text))
}

/// What is both is unknown; so the one that the other implies would never be heard.
fn no_difference(failure: &Marker, success: &Marker) -> Objection {
    if implies(success, failure) {
        return Some(("status", "does not tell it from success: every success would be a failure too"));
    }
    implies(failure, success)
        .then_some(("status", "does not tell it from success: every failure would be a success too"))
}

/// Whether every answer that holds one marker holds the other.
fn implies(one: &Marker, other: &Marker) -> bool {
    let has_markup = |markup: &String| one.contains.as_ref().is_some_and(|own| own.contains(markup));
    (other.status.is_none() || other.status == one.status)
        && (other.location.is_none() || other.location == one.location)
        && other.contains.as_ref().is_none_or(has_markup)
}

/// Whether markup says nothing: too little, or only the names of elements.
fn stands_anywhere(markup: &str) -> bool {
    markup.chars().count() < LEAST_MARKUP || text_in(markup) < LEAST_TEXT
}

/// How many characters of markup are more than the names of elements: text, values of attributes, comments.
fn text_in(markup: &str) -> usize {
    let mut pieces = markup.split('<');
    let before = pieces.next().unwrap_or_default();
    let behind = pieces.map(|piece| {
        let is_doctype = piece.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("!doctype"));
        let names = |letter: char| match is_doctype {
            true => letter != '>',
            false => letter.is_ascii_alphanumeric() || matches!(letter, '/' | ' '),
        };
        piece.trim_start_matches(names).trim_start_matches('>')
    });
    std::iter::once(before).chain(behind).flat_map(str::chars).filter(|letter| !letter.is_whitespace()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_elements_are_no_evidence() {
        for (markup, expected) in [
            ("<", 0),
            ("<p", 0),
            ("</html>", 0),
            ("</table></body>", 0),
            ("<br /><strong>", 0),
            ("<!DOCTYPE html>", 0),
            ("<!doctype html><p>取引", 2),
            ("<h1> E </h1>", 1),
            ("<p>BTRE900</p>", 7),
            ("<p>取引は行われませんでした", 12),
            ("<div class=\"error\">", 9),
            ("<!--BTRE900-->", 13),
            ("E900<br>", 4),
        ] {
            assert_eq!(text_in(markup), expected, "{markup}");
        }
    }

    #[test]
    fn a_marker_implies_what_asks_for_less() {
        let marker = |status: Option<u16>, location: Option<&str>, contains: Option<&str>| Marker {
            status: status.map(|status| StatusCode::from_u16(status).unwrap()),
            location: location.map(str::to_owned),
            contains: contains.map(str::to_owned),
        };
        let page = marker(Some(200), None, Some("<p>BTRE900</p>"));
        for (other, expected) in [
            (page.clone(), true),
            (marker(Some(200), None, None), true),
            (marker(None, None, Some("<p>BTRE900")), true),
            (marker(Some(200), None, Some("<p>BTRE901</p>")), false),
            (marker(Some(404), None, None), false),
            (marker(Some(200), Some("/ib/error.do"), None), false),
        ] {
            assert_eq!(implies(&page, &other), expected, "{other:?}");
        }
    }
}

//! Who logs in: with a certificate, nobody but its owner (BND-01, A01).
//!
//! An application that believes the login form would otherwise open another customer's session for whoever has a certificate of
//! the own and the other's password. Granting needs the very bytes of the certificate's login ID; what could be taken for the
//! field elsewhere in the request was refused before.

use bytes::Bytes;

use super::body::Inspection;
use super::treatment::{Login, LoginRule};
use crate::domain::LoginId;
use crate::refusal::{BodyRefusal, Refusal};

/// Holds a login form against the certificate that it came with, and writes the certificate's ID into it where the rule says
/// so.
///
/// # Errors
/// The form names somebody else, or anybody where it may name nobody, or nobody where it must.
pub(super) fn hold_to(
    Login { field, rule }: &Login,
    login_id: &LoginId,
    mut inspection: Inspection,
) -> Result<Inspection, Refusal> {
    match (*rule, &inspection.login_id) {
        (LoginRule::Forbid, None) => Ok(inspection),
        (LoginRule::Verify | LoginRule::FillIn, Some(typed)) if typed.text == login_id.as_str() => Ok(inspection),
        (LoginRule::Verify, None) => Err(Refusal::Body(BodyRefusal::MissingField)),
        (LoginRule::FillIn, None) => {
            let ampersand = if inspection.body.is_empty() { "" } else { "&" };
            let pair = format!("{ampersand}{}={}", encoded(field), encoded(login_id.as_str()));
            inspection.body = [&inspection.body[..], pair.as_bytes()].concat().into();
            Ok(inspection)
        }
        (LoginRule::FillIn, Some(typed)) if typed.text.is_empty() => {
            inspection.body = filled_in(&inspection.body, typed.span.start, login_id);
            Ok(inspection)
        }
        (LoginRule::Verify | LoginRule::Forbid | LoginRule::FillIn, Some(_)) => Err(Refusal::LoginIdMismatch),
    }
}

/// The form with a value where an empty one stood, perhaps without its `=`.
fn filled_in(form: &Bytes, at: usize, login_id: &LoginId) -> Bytes {
    let (before, after) = form.split_at(at);
    let equals = if before.ends_with(b"=") { "" } else { "=" };
    [before, equals.as_bytes(), encoded(login_id.as_str()).as_bytes(), after].concat().into()
}

/// As every form parser reads it, in every charset of ours: letters and digits as they are, other bytes as `%XX`.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
        encoded
    })
}

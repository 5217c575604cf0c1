//! Words that tie one request to another: a transaction's, an order's, a form token's (LIM-17, LIM-19, LIM-33).
//!
//! The application may compare them as texts, without case, or as numbers: to it `01`, `+1` and `１` may be the entry that
//! was made as `1`. Two words that mean the same to somebody are the same here: what is counted under them is the larger
//! amount, and what is in flight under them is in flight once.

use super::Fault;
use super::name::plain;

/// A word as the most careless application compares it; `None` where nothing was filled in.
///
/// # Errors
/// A word with blanks, signs that cannot be seen, or digits of other scripts.
pub(in crate::policy) fn reference(word: &str) -> Result<Option<String>, Fault> {
    let folded: String = word.chars().flat_map(plain).collect();
    let is_plain = |letter: char| letter.is_ascii_graphic() || (!letter.is_ascii() && letter.is_alphabetic());
    if !folded.chars().all(is_plain) {
        return Err(Fault::AmbiguousField("a word that ties requests together, and can be read in more than one way"));
    }
    let digits = folded.strip_prefix('+').unwrap_or(&folded);
    let is_number = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    let significant = if is_number { digits.trim_start_matches('0') } else { &folded };
    Ok(match (significant, is_number) {
        ("", true) => Some("0".to_owned()),
        ("", false) => None,
        (word, _) => Some(word.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_some_application_takes_for_each_other_are_the_same() {
        for (words, meant) in [
            (&["1", "01", "+1", "１", "0000000001", "+001"][..], "1"),
            (&["0", "000", "+0"], "0"),
            (&["T1", "t1", "Ｔ１"], "t1"),
            (&["a-01", "A-01"], "a-01"),
            (&["-1"], "-1"),
            (&["+", "＋"], "+"),
            (&["受付a12", "受付Ａ１２"], "受付a12"),
            (&["dGVzdA==", "DGVZDA=="], "dgvzda=="),
        ] {
            for word in words {
                assert_eq!(reference(word), Ok(Some(meant.to_owned())), "{word:?}");
            }
        }
        assert_eq!(reference(""), Ok(None));
    }

    #[test]
    fn words_with_more_than_one_reading_are_refused() {
        for word in [" 1", "1 ", "1\u{3000}", "a b", "1\0", "1\u{200b}", "١", "①", "1\u{feff}", "²"] {
            assert!(reference(word).is_err(), "{word:?}");
        }
    }
}

//! Names that an application could take for another one (LIM-37, A26).
//!
//! Servlets, Spring, PHP and old scripts find `amount` under `Amount`, `amount[]`, `_amount`, `ａｍｏｕｎｔ` or `amount%20`; none of
//! them does all of it. [`fold`] does all of it: two names that fold alike may be the same field to somebody, and unless
//! they are the same bytes the request is refused.

/// Writes into `folded` what is left of a name for the most careless reader: letters, digits and a few signs, in lower
/// case, of normal width, without an index at the end.
pub(in crate::policy) fn fold(name: &str, folded: &mut String) {
    folded.clear();
    if name.is_ascii() {
        let kept = without_index(name).bytes().map(|byte| ASCII[usize::from(byte & 0x7f)]);
        folded.extend(kept.filter(|byte| *byte != DROPPED).map(char::from));
        return;
    }
    let narrow: String = name.chars().map(narrow).collect();
    for character in without_index(&narrow).chars().filter(|character| !is_dropped(*character)) {
        folded.extend(without_case(character).filter(|lower| !is_dropped(*lower)));
    }
}

/// What is left of each ASCII character: every name of every form is folded, and most names are ASCII.
const ASCII: [u8; 128] = {
    let mut table = [DROPPED; 128];
    let mut byte = 0;
    while byte < 128 {
        if !is_dropped_ascii(byte) {
            table[byte as usize] = byte.to_ascii_lowercase();
        }
        byte += 1;
    }
    table
};
const DROPPED: u8 = 0;

/// A character of normal width and in lower case, as the most careless reader compares it.
pub(in crate::policy) fn plain(character: char) -> impl Iterator<Item = char> {
    without_case(narrow(character))
}

/// First up, then down, as Java's equalsIgnoreCase: so K (U+212A), ſ and ı meet k, s and i.
fn without_case(character: char) -> impl Iterator<Item = char> {
    character.to_uppercase().flat_map(char::to_lowercase)
}

/// A full-width form as the ASCII character it looks like.
fn narrow(character: char) -> char {
    match character {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(character) - 0xfee0).unwrap_or(character),
        other => other,
    }
}

/// `amount[]` and `amount[0][x]` as `amount`; `lines[0].amount` as it is.
fn without_index(name: &str) -> &str {
    let mut rest = name.trim_end_matches(is_dropped_but_bracket);
    while let Some((base, _)) = rest.strip_suffix(']').and_then(|open| open.rsplit_once('[')) {
        rest = base;
    }
    if rest.is_empty() { name } else { rest }
}

fn is_dropped_but_bracket(character: char) -> bool {
    !matches!(character, '[' | ']') && is_dropped(character)
}

/// What some reader drops or changes: blanks and control characters, what cannot be seen, PHP's `.` and `[`, Spring's `_`
/// and `!`, and `-`, which naming conventions take for `_`.
fn is_dropped(character: char) -> bool {
    match character {
        '\0'..='\x7f' => is_dropped_ascii(character as u8),
        '\u{ad}' | '\u{307}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180b}'..='\u{180f}' => true,
        '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' => true,
        '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}' => true,
        other => other.is_whitespace() || other.is_control(),
    }
}

const fn is_dropped_ascii(byte: u8) -> bool {
    matches!(byte, b'_' | b'-' | b'.' | b'!' | b'[' | b']' | b' ') || byte.is_ascii_control()
}

/// A name that frameworks obey wherever it stands: `_charset_` for the whole form, `_method` for the request.
pub(super) fn is_command(name: &str, folded: &str) -> bool {
    matches!(folded, "charset" | "method") && name.contains(['_', '\u{ff3f}'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(name: &str) -> String {
        let mut folded = String::new();
        fold(name, &mut folded);
        folded
    }

    #[test]
    fn careless_readers_take_these_for_amount() {
        for name in [
            "amount",
            "Amount",
            "AMOUNT",
            "amount[]",
            "amount[0]",
            "amount[x][y]",
            "amount[] ",
            " amount",
            "amount ",
            "amount\0",
            "amount\u{200b}",
            "\u{feff}amount",
            "_amount",
            "!amount",
            "ａｍｏｕｎｔ",
            "Ａmount［０］",
            "am ount",
            "amount.",
            "a_mount",
            "a\u{3000}mount",
        ] {
            assert_eq!(folded(name), "amount", "{name:?}");
        }
        assert_eq!(folded("\u{212a}\u{130}ng"), "king");
        assert_eq!(folded("\u{212a}ıngaku1"), "kingaku1");
        assert_eq!(folded("ſum"), "sum");
        assert_eq!(folded("KINGAKU１"), "kingaku1");
    }

    #[test]
    fn what_frameworks_obey_is_known_in_any_spelling() {
        for (name, command) in
            [("_charset_", true), ("_Method", true), ("＿method", true), ("method", false), ("charset", false)]
        {
            assert_eq!(is_command(name, &folded(name)), command, "{name}");
        }
    }

    #[test]
    fn other_names_stay_other_names() {
        for (name, expected) in [
            ("amount2", "amount2"),
            ("lines[0].amount", "lines0amount"),
            ("ctl00$txtAmount", "ctl00$txtamount"),
            ("金額", "金額"),
            ("[]", ""),
            ("amount[", "amount"),
        ] {
            assert_eq!(folded(name), expected);
        }
    }
}

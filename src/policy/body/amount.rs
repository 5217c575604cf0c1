//! An amount of money in a body: one grammar on which every parser of an application agrees (LIM-09).
//!
//! Java's own parsers read `1e9`, `+100`, `0100`, `１０００` and `100円` in different ways (REQUIREMENTS 3.4). Plain ASCII digits
//! without a leading zero are what they all read alike; a test asks a real Java.
//!
//! Deliberately absent: signs, blanks, decimals, currency marks, other scripts' digits, more than fifteen digits.

use std::borrow::Cow;

use crate::domain::Yen;

/// The widest amount field of the applications seen has fifteen digits.
const MAX_DIGITS: usize = 15;

/// Which spellings of an amount a route accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum AmountFormat {
    /// `[1-9][0-9]{0,14}`, forwarded as it is.
    #[default]
    Strict,
    /// Also full-width digits and commas between groups of three; forwarded as plain ASCII digits, because the
    /// application's own parser could read them otherwise (`１００，０００` is 100 to Java's `NumberFormat`).
    Ja,
}

/// An amount and the one way to write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Amount<'a> {
    /// The amount.
    pub yen: Yen,
    /// The same as plain ASCII digits: borrowed where it was written so.
    pub digits: Cow<'a, str>,
}

impl AmountFormat {
    /// Reads an amount; `None` for everything that could be read in a second way.
    pub fn parse(self, text: &str) -> Option<Amount<'_>> {
        match self {
            Self::Strict => strict(text).map(|yen| Amount { yen, digits: Cow::Borrowed(text) }),
            Self::Ja => match strict(text) {
                Some(yen) => Some(Amount { yen, digits: Cow::Borrowed(text) }),
                None => {
                    let digits = plain_digits(text)?;
                    Some(Amount { yen: strict(&digits)?, digits: Cow::Owned(digits) })
                }
            },
        }
    }
}

fn strict(text: &str) -> Option<Yen> {
    let digits = text.as_bytes();
    if digits.len() > MAX_DIGITS || !matches!(digits.first(), Some(b'1'..=b'9')) {
        return None;
    }
    let yen = digits.iter().try_fold(0, |sum: u64, digit| {
        digit.is_ascii_digit().then(|| sum * 10 + u64::from(digit - b'0')) // fifteen digits cannot overflow
    })?;
    Yen::new(yen)
}

/// Full-width digits and commas as plain digits. The digits are all of one width and the commas all of one kind, each
/// between complete groups of three: anything else is a slip of the pen, and slips are not guessed at.
fn plain_digits(text: &str) -> Option<String> {
    let mut digits = String::with_capacity(MAX_DIGITS);
    let (mut zero, mut comma, mut in_group) = (None, None, 0);
    for character in text.chars() {
        let (kind, digit) = match character {
            '0'..='9' => ('0', u32::from(character) - u32::from('0')),
            '０'..='９' => ('０', u32::from(character) - u32::from('０')),
            ',' | '，' => {
                let first = comma.is_none();
                let group_is_complete = if first { (1..=3).contains(&in_group) } else { in_group == 3 };
                if *comma.get_or_insert(character) != character || !group_is_complete {
                    return None;
                }
                in_group = 0;
                continue;
            }
            _ => return None,
        };
        if *zero.get_or_insert(kind) != kind || digits.len() == MAX_DIGITS {
            return None;
        }
        digits.push(char::from_digit(digit, 10)?);
        in_group += 1;
    }
    (comma.is_none() || in_group == 3).then_some(digits)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn yen(format: AmountFormat, text: &str) -> Option<u64> {
        format.parse(text).map(|amount| amount.yen.get())
    }

    /// A27, A43 and the table of REQUIREMENTS 3.4.
    const NEVER: [&str; 38] = [
        "",
        "0",
        "00100",
        "０",
        "０１",
        "0,100",
        "+1",
        "-1",
        "−1",
        "－１",
        "＋１",
        " 1",
        "1 ",
        "1\n",
        "1\0",
        "\u{feff}1",
        "1\u{200b}",
        "1e9",
        "1E9",
        "１ｅ９",
        "1.0",
        "1.",
        "100000.00",
        "１．０",
        "0x10",
        "100円",
        "¥100",
        "￥１００",
        "٣٢١",
        "१००",
        "一億",
        "1億",
        "9223372036854775808",
        "18446744073709551617",
        "1000000000000000",
        "1_000",
        "1'000",
        "²",
    ];

    #[test]
    fn what_parsers_read_in_two_ways_is_no_amount() {
        for text in NEVER {
            assert_eq!(yen(AmountFormat::Strict, text), None, "{text:?}");
            assert_eq!(yen(AmountFormat::Ja, text), None, "{text:?}");
        }
    }

    #[test]
    fn plain_digits_are_an_amount() {
        for (text, value) in [("1", 1), ("100000", 100_000), ("999999999999999", 999_999_999_999_999)] {
            assert_eq!(yen(AmountFormat::Strict, text), Some(value));
            assert_eq!(yen(AmountFormat::Ja, text), Some(value));
        }
    }

    #[test]
    fn the_japanese_spellings_have_one_value_and_one_canonical_form() {
        for (text, digits) in [
            ("１", "1"),
            ("１００，０００", "100000"),
            ("1,000,000", "1000000"),
            ("１,０００", "1000"),
            ("1，000", "1000"),
            ("９９９，９９９，９９９，９９９，９９９", "999999999999999"),
        ] {
            assert_eq!(yen(AmountFormat::Strict, text), None, "{text}");
            assert_eq!(AmountFormat::Ja.parse(text).map(|amount| amount.digits.into_owned()).as_deref(), Some(digits));
        }
    }

    #[test]
    fn commas_stand_between_groups_of_three_and_widths_are_not_mixed() {
        for text in [
            "1,00",
            "1,0000",
            "1000,000",
            ",100",
            "100,",
            "1,,000",
            "1,000，000",
            "１0",
            "1０",
            "1０,000",
            ",",
            "，",
            "1,000,00",
            "1、000",
            "1.000",
            "0,001",
        ] {
            assert_eq!(yen(AmountFormat::Ja, text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_canonical_form_is_strict_and_worth_the_same(text in "[0-9０-９,，]{1,22}") {
            if let Some(amount) = AmountFormat::Ja.parse(&text) {
                prop_assert_eq!(strict(&amount.digits), Some(amount.yen));
                prop_assert_eq!(amount.yen.to_string(), amount.digits.as_ref());
            }
        }

        #[test]
        fn every_grouping_of_a_number_is_read_back(value in 1_u64..=999_999_999_999_999) {
            let digits = value.to_string();
            let mut grouped = String::new();
            for (at, digit) in digits.chars().enumerate() {
                if at > 0 && (digits.len() - at) % 3 == 0 {
                    grouped.push(',');
                }
                grouped.push(digit);
            }
            prop_assert_eq!(yen(AmountFormat::Ja, &grouped), Some(value));
        }
    }
}

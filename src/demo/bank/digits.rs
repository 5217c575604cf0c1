//! Digits and days as Java reads them: decimal digits of every script, and dates that roll over.

use crate::domain::JstDate;

/// The zeros of the scripts that have decimal digits within 16 bits; Java looks at one `char` at a time. Each is followed
/// by its one to nine.
const ZEROS: [u16; 37] = [
    0x0030, 0x0660, 0x06F0, 0x07C0, 0x0966, 0x09E6, 0x0A66, 0x0AE6, 0x0B66, 0x0BE6, 0x0C66, 0x0CE6, 0x0D66, 0x0DE6,
    0x0E50, 0x0ED0, 0x0F20, 0x1040, 0x1090, 0x17E0, 0x1810, 0x1946, 0x19D0, 0x1A80, 0x1A90, 0x1B50, 0x1BB0, 0x1C40,
    0x1C50, 0xA620, 0xA8D0, 0xA900, 0xA9D0, 0xA9F0, 0xAA50, 0xABF0, 0xFF10,
];

/// `Character.digit(letter, 10)`.
pub(super) fn digit(letter: char) -> Option<u8> {
    let code = u16::try_from(u32::from(letter)).ok()?;
    let zero = ZEROS[..ZEROS.partition_point(|zero| *zero <= code)].last()?;
    u8::try_from(code - zero).ok().filter(|value| *value < 10)
}

/// `new SimpleDateFormat("yyyyMMdd").parse(text)`: lenient, so that the 30th of February is in March, the 13th month is
/// in the next year, and what follows the eighth digit does not matter. `None` where Java throws.
pub(super) fn lenient_date(text: &str) -> Option<JstDate> {
    let digits: Vec<i16> = text.chars().map_while(digit).map(i16::from).take(8).collect();
    let number = |digits: &[i16]| digits.iter().fold(0_i16, |number, digit| number * 10 + digit);
    if digits.len() < 8 {
        return None;
    }
    let (year, month, day) = (number(&digits[..4]), number(&digits[4..6]) - 1, number(&digits[6..]));
    let first = JstDate::new(year + month.div_euclid(12), month.rem_euclid(12) + 1, 1)?;
    Some(first.plus_days(i32::from(day) - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digits_are_those_that_unicode_counts() {
        let decimal = regex::Regex::new(r"^\d$").unwrap();
        // What Unicode gained after Java 17 would stand beyond 16 bits.
        for letter in (0..=0xFFFF).filter_map(char::from_u32) {
            assert_eq!(digit(letter).is_some(), decimal.is_match(letter.encode_utf8(&mut [0; 4])), "{letter:?}");
        }
        assert_eq!(digit('９'), Some(9));
        assert_eq!(digit('𝟗'), None, "beyond 16 bits");
    }

    #[test]
    fn dates_roll_over() {
        let cases = [
            ("20130520", Some("2013-05-20")),
            ("２０１３０５２０", Some("2013-05-20")),
            ("20130230", Some("2013-03-02")),
            ("20131301", Some("2014-01-01")),
            ("20130500", Some("2013-04-30")),
            ("20130001", Some("2012-12-01")),
            ("20130520x", Some("2013-05-20")),
            ("2013-05-20", None),
            ("H250520", None),
            ("", None),
        ];
        for (text, day) in cases {
            assert_eq!(lenient_date(text).map(|day| day.to_string()).as_deref(), day, "{text}");
        }
    }
}

//! How a Java application of 2005 reads an amount, which is in more ways than one (REQUIREMENTS 3.4, tried on Java 17).
//!
//! Deliberately not strict: whatever a gateway lets through is to be read as the real application would read it. Numbers
//! are exact here where Java would go over to doubles.

use super::digits::digit;

/// More digits than any number that the books can hold.
const MAX_DIGITS: usize = 38;

/// The class of the standard library by which the application reads its amounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AmountParser {
    /// `Long.parseLong`: digits of any script, a sign, leading zeros; up to 2⁶³ − 1.
    #[default]
    Long,
    /// `new BigDecimal(String)`: also decimals, which are cut off, and exponents.
    BigDecimal,
    /// `NumberFormat.getInstance(Locale.JAPAN).parse`: also commas anywhere, and whatever follows the number.
    NumberFormat,
}

impl AmountParser {
    /// The amount in whole yen; `None` where Java throws, or where the number has more than 38 digits.
    pub fn parse(self, text: &str) -> Option<i128> {
        match self {
            Self::Long => long(text),
            Self::BigDecimal => big_decimal(text),
            Self::NumberFormat => number_format(text),
        }
    }
}

fn long(text: &str) -> Option<i128> {
    let (negative, digits) = signed(text);
    let value = whole(&all_digits(digits)?)?;
    let value = if negative { -value } else { value };
    i64::try_from(value).ok().map(i128::from)
}

fn big_decimal(text: &str) -> Option<i128> {
    let (negative, rest) = signed(text);
    let (mantissa, exponent) = match rest.find(['e', 'E']) {
        Some(at) => {
            let (negative, digits) = signed(&rest[at + 1..]);
            let exponent = i32::try_from(whole(&all_digits(digits)?)?).ok()?;
            (&rest[..at], if negative { -exponent } else { exponent })
        }
        None => (rest, 0),
    };
    let (integer, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |text: &str| text.chars().map(digit).collect::<Option<Vec<u8>>>();
    scaled(negative, digits(integer)?, digits(fraction)?, exponent)
}

/// `DecimalFormat.subparse` with the pattern `#,##0.###`: it reads as far as it understands.
fn number_format(text: &str) -> Option<i128> {
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mut integer, mut fraction, mut in_fraction, mut exponent) = (Vec::new(), Vec::new(), false, 0);
    for (at, letter) in rest.char_indices() {
        match (digit(letter), letter) {
            (Some(digit), _) if in_fraction => fraction.push(digit),
            (Some(digit), _) => integer.push(digit),
            (None, '.') if !in_fraction => in_fraction = true,
            (None, ',') if !in_fraction => {}
            (None, 'E') => {
                exponent = leading_exponent(&rest[at + 1..]);
                break;
            }
            (None, _) => break,
        }
    }
    scaled(negative, integer, fraction, exponent)
}

/// The exponent as far as it is one; what is none counts as trailing text.
fn leading_exponent(text: &str) -> i32 {
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let digits: Vec<u8> = rest.chars().map_while(digit).collect();
    let exponent = whole(&digits).and_then(|value| i32::try_from(value).ok()).unwrap_or(0);
    if negative { -exponent } else { exponent }
}

/// `integer.fraction × 10^exponent` without what is smaller than a yen. No digit at all is no number.
fn scaled(negative: bool, integer: Vec<u8>, fraction: Vec<u8>, exponent: i32) -> Option<i128> {
    if integer.is_empty() && fraction.is_empty() {
        return None;
    }
    let point = i64::try_from(integer.len()).ok()? + i64::from(exponent);
    let digits: Vec<u8> = [integer, fraction].concat();
    let significant: Vec<u8> = digits.iter().copied().skip_while(|digit| *digit == 0).collect();
    if significant.is_empty() {
        return Some(0);
    }
    let leading_zeros = i64::try_from(digits.len() - significant.len()).ok()?;
    let length = match usize::try_from(point - leading_zeros) {
        Ok(length) if length > MAX_DIGITS => return None,
        Ok(length) => length,
        // Smaller than a tenth of a yen.
        Err(_) => 0,
    };
    let kept: Vec<u8> = significant.into_iter().chain(std::iter::repeat(0)).take(length).collect();
    let value = if kept.is_empty() { 0 } else { whole(&kept)? };
    Some(if negative { -value } else { value })
}

fn signed(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

fn all_digits(text: &str) -> Option<Vec<u8>> {
    text.chars().map(digit).collect()
}

fn whole(digits: &[u8]) -> Option<i128> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_i128, |value, digit| value.checked_mul(10)?.checked_add(i128::from(*digit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Text, then what `Long.parseLong`, `new BigDecimal` and `NumberFormat` make of it.
    type Row = (&'static str, Option<i128>, Option<i128>, Option<i128>);

    /// REQUIREMENTS 3.4, row by row.
    const TRIED: [Row; 13] = [
        ("１０００００", Some(100_000), Some(100_000), Some(100_000)),
        ("٣٢١", Some(321), Some(321), Some(321)),
        ("100,000", None, None, Some(100_000)),
        ("１００，０００", None, None, Some(100)),
        ("1e9", None, Some(1_000_000_000), Some(1)),
        ("+100000", Some(100_000), Some(100_000), None),
        ("-1", Some(-1), Some(-1), Some(-1)),
        ("0100", Some(100), Some(100), Some(100)),
        ("100000.00", None, Some(100_000), Some(100_000)),
        ("100000円", None, None, Some(100_000)),
        ("0x10", None, None, Some(0)),
        ("100000\0", None, None, Some(100_000)),
        ("9223372036854775808", None, Some(1 << 63), Some(1 << 63)),
    ];

    /// What follows from the same classes, for the spellings of A27.
    const FURTHER: [Row; 16] = [
        ("", None, None, None),
        ("+", None, None, None),
        ("-", None, None, None),
        ("円", None, None, None),
        (" 1", None, None, None),
        ("1 ", None, None, Some(1)),
        ("1,00", None, None, Some(100)),
        ("1E3", None, Some(1000), Some(1000)),
        ("1E", None, None, Some(1)),
        ("1e+3", None, Some(1000), Some(1)),
        ("12345e-3", None, Some(12), Some(12_345)),
        (".5", None, Some(0), Some(0)),
        ("0.05e2", None, Some(5), Some(0)),
        ("0e99", None, Some(0), Some(0)),
        ("1e38", None, None, Some(1)),
        ("18446744073709551617", None, Some((1 << 64) + 1), Some((1 << 64) + 1)),
    ];

    #[test]
    fn each_parser_reads_what_java_reads() {
        for (text, long, big_decimal, number_format) in TRIED.into_iter().chain(FURTHER) {
            assert_eq!(AmountParser::Long.parse(text), long, "Long.parseLong({text:?})");
            assert_eq!(AmountParser::BigDecimal.parse(text), big_decimal, "new BigDecimal({text:?})");
            assert_eq!(AmountParser::NumberFormat.parse(text), number_format, "NumberFormat.parse({text:?})");
        }
    }

    #[test]
    fn no_length_of_a_number_is_too_much_work() {
        let long = "9".repeat(1 << 16);
        let exponent = format!("1e{}", i32::MAX);
        let tiny = format!("1e-{}", i32::MAX);
        for parser in [AmountParser::Long, AmountParser::BigDecimal, AmountParser::NumberFormat] {
            assert_eq!(parser.parse(&long), None, "{parser:?}");
        }
        assert_eq!(AmountParser::BigDecimal.parse(&exponent), None);
        assert_eq!(AmountParser::BigDecimal.parse(&tiny), Some(0));
    }
}

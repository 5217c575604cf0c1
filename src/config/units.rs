//! What one value of the configuration may look like: durations, sizes, numbers, names, one of several words.
//!
//! Each parser turns a [`Given`] value into its type or says in words why not. Nothing here knows where a value stands.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

/// One value as it was given, before its key's parser has read it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Given<'a> {
    /// A TOML string.
    Text(&'a str),
    /// The value of an environment variable: it has no type of its own, so the key's parser decides.
    Variable(&'a str),
    /// A TOML integer.
    Integer(i128),
    /// A TOML boolean.
    Flag(bool),
    /// Anything that no key of one value takes, in words.
    Other(&'static str),
}

impl<'a> Given<'a> {
    /// The text, or what stands there instead of one.
    fn as_text(self, wanted: &str) -> Result<&'a str, String> {
        match self {
            Given::Text(text) | Given::Variable(text) => Ok(text),
            Given::Integer(_) | Given::Flag(_) | Given::Other(_) => Err(format!("is {self}, but must be {wanted}")),
        }
    }
}

impl fmt::Display for Given<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Given::Text(text) | Given::Variable(text) => write!(f, "{text:?}"),
            Given::Integer(number) => write!(f, "the number {number}"),
            Given::Flag(flag) => write!(f, "{flag}"),
            Given::Other(what) => f.write_str(what),
        }
    }
}

/// Text of one line that is not blank.
pub(super) fn text(given: Given<'_>) -> Result<String, String> {
    let text = given.as_text("text in quotation marks")?;
    if text.trim().is_empty() {
        return Err("is blank".into());
    }
    if text.chars().any(char::is_control) {
        return Err(format!("{text:?} holds a control character"));
    }
    Ok(text.into())
}

/// Text of any number of lines, perhaps none.
pub(super) fn lines(given: Given<'_>) -> Result<String, String> {
    let text = given.as_text("text in quotation marks")?;
    if text.chars().any(|c| c.is_control() && c != '\n' && c != '\r' && c != '\t') {
        return Err("holds a control character".into());
    }
    Ok(text.into())
}

/// `true` or `false`.
pub(super) fn flag(given: Given<'_>) -> Result<bool, String> {
    match given {
        Given::Flag(flag) => Ok(flag),
        Given::Variable("true") => Ok(true),
        Given::Variable("false") => Ok(false),
        Given::Text(_) | Given::Variable(_) | Given::Integer(_) | Given::Other(_) => {
            Err(format!("is {given}, but must be true or false"))
        }
    }
}

/// A whole number within `range`.
pub(super) fn integer<T>(range: RangeInclusive<T>) -> impl Fn(Given<'_>) -> Result<T, String>
where
    T: TryFrom<i128> + PartialOrd + fmt::Display,
{
    move |given| {
        let number = match given {
            Given::Integer(number) => Some(number),
            Given::Variable(text) => text.parse().ok(),
            Given::Text(_) | Given::Flag(_) | Given::Other(_) => None,
        };
        number
            .and_then(|number| T::try_from(number).ok())
            .filter(|number| range.contains(number))
            .ok_or_else(|| format!("is {given}, but must be a whole number from {} to {}", range.start(), range.end()))
    }
}

/// One of several words, each with what it means.
pub(super) fn choice<T: Copy>(words: &[(&str, T)]) -> impl Fn(Given<'_>) -> Result<T, String> {
    move |given| {
        let allowed = || words.iter().map(|(word, _)| format!("{word:?}")).collect::<Vec<_>>().join(" or ");
        let text = given.as_text(&allowed())?;
        words
            .iter()
            .find(|(word, _)| *word == text)
            .map(|(_, meaning)| *meaning)
            .ok_or_else(|| format!("is {text:?}, but must be {}", allowed()))
    }
}

/// Anything that reads itself from text; `wanted` describes it.
pub(super) fn parsed<T: FromStr>(wanted: &str) -> impl Fn(Given<'_>) -> Result<T, String> {
    parsed_by(wanted, |text| text.parse().ok())
}

/// Anything that `parse` reads from text; `wanted` describes it.
pub(super) fn parsed_by<T>(wanted: &str, parse: impl Fn(&str) -> Option<T>) -> impl Fn(Given<'_>) -> Result<T, String> {
    move |given| {
        let text = given.as_text(wanted)?;
        parse(text).ok_or_else(|| format!("is {text:?}, but must be {wanted}"))
    }
}

const DURATION_UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// A span of time such as `"30s"`, within `range`.
pub(super) fn duration(range: RangeInclusive<Duration>) -> impl Fn(Given<'_>) -> Result<Duration, String> {
    move |given| {
        let text = given.as_text("a duration such as \"30s\"")?;
        let length = Duration::from_millis(quantity(text, "duration", "30s", &DURATION_UNITS)?);
        let [low, high] = [range.start(), range.end()].map(|bound| show(bound.as_millis(), &DURATION_UNITS));
        if range.contains(&length) { Ok(length) } else { Err(format!("{text:?} is not within {low} and {high}")) }
    }
}

const SIZE_UNITS: [(&str, u64); 4] = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

/// A number of bytes such as `"64KiB"`, within `range`.
pub(super) fn size<T>(range: RangeInclusive<T>) -> impl Fn(Given<'_>) -> Result<T, String>
where
    T: TryFrom<u64> + TryInto<u64> + PartialOrd + Copy,
{
    move |given| {
        let text = given.as_text("a size such as \"64KiB\"")?;
        let bytes = quantity(text, "size", "64KiB", &SIZE_UNITS)?;
        T::try_from(bytes).ok().filter(|size| range.contains(size)).ok_or_else(|| {
            let [low, high] = [*range.start(), *range.end()]
                .map(|bound| show(bound.try_into().unwrap_or(u64::MAX).into(), &SIZE_UNITS));
            format!("{text:?} is not within {low} and {high}")
        })
    }
}

/// Reads digits and a unit, nothing between them, into the smallest unit.
fn quantity(text: &str, what: &str, example: &str, units: &[(&str, u64)]) -> Result<u64, String> {
    let names = || units.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let end_of_digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end_of_digits);
    if text.trim().is_empty() {
        return Err(format!("is blank, but must be a {what} such as {example:?}"));
    }
    if text.starts_with('-') {
        return Err(format!("{text:?} is negative"));
    }
    if digits.is_empty() {
        return Err(format!("{text:?} is no {what}: write one such as {example:?}"));
    }
    if unit.is_empty() {
        return Err(format!("{text:?} has no unit: add one of {}", names()));
    }
    if unit.starts_with(['.', ',']) {
        return Err(format!("{text:?} is a fraction: write a whole number of a smaller unit ({})", names()));
    }
    let Some((_, factor)) = units.iter().find(|(name, _)| *name == unit) else {
        return Err(format!("{text:?} has the unit {unit:?}, which is none of {}", names()));
    };
    digits
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(*factor))
        .ok_or_else(|| format!("{text:?} is too large"))
}

/// Writes a quantity in the largest unit that divides it.
fn show(amount: u128, units: &[(&str, u64)]) -> String {
    let fitting = units.iter().rev().find(|(_, factor)| amount != 0 && amount.is_multiple_of(u128::from(*factor)));
    match fitting.or(units.first()) {
        Some((name, factor)) => format!("{}{name}", amount / u128::from(*factor)),
        None => amount.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    fn durations_and_sizes_have_units() {
        for (text, millis) in
            [("500ms", 500), ("30s", 30_000), ("5m", 300_000), ("2h", 7_200_000), ("1d", 86_400_000), ("0s", 0)]
        {
            assert_eq!(duration(Duration::ZERO..=DAY)(Given::Text(text)), Ok(Duration::from_millis(millis)), "{text}");
        }
        for (text, bytes) in [("512B", 512), ("64KiB", 65_536), ("16MiB", 16 << 20), ("1GiB", 1 << 30)] {
            assert_eq!(size(0..=1_u64 << 40)(Given::Text(text)), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn a_bad_quantity_is_told_why() {
        let cases = [
            ("", "is blank, but must be a duration such as \"30s\""),
            ("  ", "is blank, but must be a duration such as \"30s\""),
            ("30", "\"30\" has no unit: add one of ms, s, m, h, d"),
            ("-5s", "\"-5s\" is negative"),
            ("1.5s", "\"1.5s\" is a fraction: write a whole number of a smaller unit (ms, s, m, h, d)"),
            ("10 s", "\"10 s\" has the unit \" s\", which is none of ms, s, m, h, d"),
            ("10x", "\"10x\" has the unit \"x\", which is none of ms, s, m, h, d"),
            ("s", "\"s\" is no duration: write one such as \"30s\""),
            ("99999999999999999999d", "\"99999999999999999999d\" is too large"),
            ("18446744073709551615d", "\"18446744073709551615d\" is too large"),
            ("2d", "\"2d\" is not within 1s and 1d"),
            ("0s", "\"0s\" is not within 1s and 1d"),
        ];
        for (text, expected) in cases {
            let read = duration(Duration::from_secs(1)..=DAY)(Given::Text(text));
            assert_eq!(read, Err(expected.to_owned()), "{text}");
        }
        assert_eq!(
            duration(Duration::ZERO..=DAY)(Given::Integer(30)),
            Err("is the number 30, but must be a duration such as \"30s\"".into())
        );
        assert_eq!(
            size(1024..=1_usize << 20)(Given::Text("64KB")),
            Err("\"64KB\" has the unit \"KB\", which is none of B, KiB, MiB, GiB".into())
        );
        assert_eq!(size(1024..=1_usize << 20)(Given::Text("2MiB")), Err("\"2MiB\" is not within 1KiB and 1MiB".into()));
    }

    #[test]
    fn a_variable_has_the_type_its_key_wants() {
        assert_eq!(text(Given::Variable("0123")), Ok("0123".into()));
        assert_eq!(integer(1..=200_u32)(Given::Variable("0123")), Ok(123));
        assert_eq!(flag(Given::Variable("true")), Ok(true));
        assert_eq!(flag(Given::Text("true")), Err("is \"true\", but must be true or false".into()));
        assert_eq!(
            integer(1..=200_u32)(Given::Text("12")),
            Err("is \"12\", but must be a whole number from 1 to 200".into())
        );
        assert_eq!(
            integer(1..=200_u32)(Given::Integer(-1)),
            Err("is the number -1, but must be a whole number from 1 to 200".into())
        );
    }
}

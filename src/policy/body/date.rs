//! The designated day of a transfer, as an application's form writes it (LIM-20, A35).
//!
//! ASCII digits in one fixed order. Deliberately absent: eras (平成25年), full-width digits, one-digit months, days that no
//! calendar has. Whether a day is past, or too far away, is the ceiling's question and not asked here.

use crate::domain::JstDate;

/// How a form writes a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DateFormat {
    /// `20130520`, in the configuration `YYYYMMDD`.
    Digits,
    /// `2013-05-20`, in the configuration `YYYY-MM-DD`.
    Hyphens,
    /// `2013/05/20`, in the configuration `YYYY/MM/DD`.
    Slashes,
}

impl DateFormat {
    /// The format that the configuration names.
    pub fn of_pattern(pattern: &str) -> Option<Self> {
        match pattern {
            "YYYYMMDD" => Some(Self::Digits),
            "YYYY-MM-DD" => Some(Self::Hyphens),
            "YYYY/MM/DD" => Some(Self::Slashes),
            _ => None,
        }
    }

    /// Reads a day of the calendar; `None` for anything else.
    pub fn parse(self, text: &str) -> Option<JstDate> {
        let pattern = match self {
            Self::Digits => "YYYYMMDD",
            Self::Hyphens => "YYYY-MM-DD",
            Self::Slashes => "YYYY/MM/DD",
        };
        if text.len() != pattern.len() {
            return None;
        }
        let (mut year, mut month, mut day) = (0, 0, 0);
        for (place, byte) in pattern.bytes().zip(text.bytes()) {
            let part = match place {
                b'Y' => &mut year,
                b'M' => &mut month,
                b'D' => &mut day,
                separator if separator == byte => continue,
                _ => return None,
            };
            *part = *part * 10 + i16::from(byte.is_ascii_digit().then(|| byte - b'0')?);
        }
        JstDate::new(year, month, day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_read_in_the_format_of_the_route_only() {
        let day = JstDate::parse("2013-05-20");
        for (pattern, text) in [("YYYYMMDD", "20130520"), ("YYYY-MM-DD", "2013-05-20"), ("YYYY/MM/DD", "2013/05/20")] {
            let format = DateFormat::of_pattern(pattern).unwrap();
            assert_eq!(format.parse(text), day);
            for other in [DateFormat::Digits, DateFormat::Hyphens, DateFormat::Slashes] {
                assert_eq!(other.parse(text).is_some(), other == format);
            }
        }
        assert_eq!(DateFormat::of_pattern("yyyymmdd"), None);
    }

    #[test]
    fn days_that_no_calendar_has_are_no_days() {
        for text in [
            "20130230",
            "20131301",
            "20130500",
            "00000000",
            "99999999",
            "2013052",
            "201305200",
            "2013052 ",
            "+2013052",
            "２０１３",
            "平成250520",
            "H2505200",
            "",
            "2013052\0",
            "1969123１",
        ] {
            assert_eq!(DateFormat::Digits.parse(text), None, "{text:?}");
        }
        assert_eq!(DateFormat::Digits.parse("20240229").map(|day| day.to_string()).as_deref(), Some("2024-02-29"));
        assert_eq!(DateFormat::Digits.parse("20230229"), None);
        assert_eq!(DateFormat::Slashes.parse("2013/5/020"), None);
    }
}

//! The day of the business: the calendar day in Japan, whatever zone the machine is in (LIM-22).

use std::fmt;
use std::ops::Range;

use jiff::civil::Date;
use jiff::tz::Offset;
use jiff::{Timestamp, ToSpan as _};

/// Japan has no summer time, so this holds on every day a gateway will see.
const JAPAN: Offset = Offset::constant(9);

/// A moment as people in Japan read it: `2013-05-20T09:00:00+09:00`.
pub fn in_japan(moment: Timestamp) -> impl fmt::Display {
    moment.display_with_offset(JAPAN)
}

/// A calendar day in Asia/Tokyo, from 1970 to 9999.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JstDate(Date);

impl JstDate {
    /// The first day there is.
    pub const MIN: Self = Self(Date::constant(1970, 1, 1));
    /// The last one.
    pub const MAX: Self = Self(Date::constant(9999, 12, 31));

    /// The day that a moment belongs to.
    pub fn of(moment: Timestamp) -> Self {
        Self(JAPAN.to_datetime(moment).date())
    }

    /// Reads `2013-05-20`; `None` for anything else, also for days that no calendar has.
    pub fn parse(text: &str) -> Option<Self> {
        let shape = text.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
        let number = |range: Range<usize>| text.get(range)?.parse::<i16>().ok();
        let year = number(0..4).filter(|_| shape && text.len() == 10)?;
        Self::new(year, number(5..7)?, number(8..10)?)
    }

    /// A day of the calendar; `None` where there is none such.
    pub fn new(year: i16, month: i16, day: i16) -> Option<Self> {
        let date = Date::new(year, month.try_into().ok()?, day.try_into().ok()?).ok()?;
        (date.year() >= 1970).then_some(Self(date))
    }

    /// The first moment of the day.
    pub fn begins_at(self) -> Timestamp {
        JAPAN.to_timestamp(self.0.at(0, 0, 0, 0)).unwrap_or(Timestamp::MAX)
    }

    /// So many days later, or earlier if negative; the last day that can be counted where that is beyond it.
    pub fn plus_days(self, days: i32) -> Self {
        Self(self.0.saturating_add(i64::from(days).days()))
    }

    /// `20130520`, in the order of time: how stores name the day.
    pub fn to_number(self) -> u32 {
        let part = |number: i16| u32::from(number.unsigned_abs());
        part(self.0.year()) * 10_000 + part(self.0.month().into()) * 100 + part(self.0.day().into())
    }

    /// The reverse.
    pub fn from_number(number: u32) -> Option<Self> {
        let part = |number: u32| i16::try_from(number).ok();
        Self::new(part(number / 10_000)?, part(number / 100 % 100)?, part(number % 100)?)
    }
}

impl fmt::Display for JstDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for JstDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_day_begins_at_midnight_in_japan() {
        let moment = |text: &str| text.parse::<Timestamp>().unwrap();
        assert_eq!(JstDate::of(moment("2013-05-19T14:59:59.999Z")).to_string(), "2013-05-19");
        assert_eq!(JstDate::of(moment("2013-05-19T15:00:00Z")).to_string(), "2013-05-20");
        assert_eq!(JstDate::parse("2013-05-20").unwrap().begins_at(), moment("2013-05-19T15:00:00Z"));
        assert_eq!(JstDate::parse("2024-02-28").unwrap().plus_days(1).to_string(), "2024-02-29");
    }

    #[test]
    fn only_days_of_the_calendar_are_days() {
        for bad in [
            "2013-02-30",
            "2013-13-01",
            "2013-5-20",
            "20130520",
            "2013/05/20",
            "2013-05-20 ",
            "1969-12-31",
            "",
            "H25-05-20",
        ] {
            assert_eq!(JstDate::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_day_has_one_number() {
        let day = JstDate::parse("2013-05-20").unwrap();
        assert_eq!(day.to_number(), 20_130_520);
        assert_eq!(JstDate::from_number(20_130_520), Some(day));
        assert_eq!(JstDate::from_number(20_130_230), None);
        assert_eq!(JstDate::from_number(u32::MAX), None);
    }
}

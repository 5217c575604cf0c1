//! The daily ceiling (REQUIREMENTS 2.7): which days an order counts against, and what holds on each.
//!
//! Pure: from the clock's reading and the settings. The ledger decides; see [`reserve`](super::reserve).

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::route::Enforcement;
use crate::domain::{JstDate, Yen};
use crate::refusal::{BodyRefusal, Refusal, TransferRefusal};
use crate::store::ledger::{Basis, Bounds, Debit, OverLimit, Term};

/// How far ahead an order may be dated; what banks allow ends long before.
const MAX_DAYS_AHEAD: i32 = 400;

/// Which day an order counts on (LIM-20, LIM-34).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DayBasis {
    /// The day on which it is finally accepted.
    Accepted,
    /// The day on which it is to be executed.
    Designated,
    /// Both, each against its own sum.
    Both,
}

/// `[transfer]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// From which day on which ceiling holds, in the order of days.
    pub ceiling: Vec<(JstDate, Yen)>,
    /// The most that one order may move.
    pub per_transfer: Option<Yen>,
    /// The most that one login ID may move on a day, within its contract's ceiling.
    pub per_login_id: Option<Yen>,
    /// Which day counts.
    pub day_basis: DayBasis,
    /// How far the application's clock may be off.
    pub backend_clock_skew: Duration,
    /// How long after its reservation an order may leave, wherever it does not wait for more than a connection.
    pub departure_time: Duration,
    /// How long after it has left the application may still execute it.
    pub execution_time: Duration,
    /// What a customer's own limit above the ceiling means.
    pub over_limit: OverLimit,
    /// Reserved and not yet settled, per login ID.
    pub max_in_flight_per_login_id: u32,
    /// The same per contract.
    pub max_in_flight_per_contract: u32,
    /// How many amounts one login ID may have entered, and not let end (LIM-18).
    pub max_entries_per_login_id: u32,
    /// How many requests of one login ID may wait for their approval (LIM-19).
    pub max_requests_per_login_id: u32,
    /// Whether refusals hold.
    pub enforcement: Enforcement,
}

impl Settings {
    /// The ceiling of a day.
    ///
    /// # Errors
    /// A day before the first ceiling: nobody has said what holds on it.
    pub fn on(&self, day: JstDate) -> Result<Yen, Refusal> {
        let holds = self.ceiling.iter().rev().find(|(from, _)| *from <= day);
        holds.map(|(_, yen)| *yen).ok_or(Refusal::Transfer(TransferRefusal::NoCeiling))
    }

    /// What an order counts against that is accepted now, and is dated.
    ///
    /// # Errors
    /// A date that has passed, or lies too far ahead; a day without a ceiling.
    pub fn debits(&self, now: Timestamp, date: Option<JstDate>) -> Result<Vec<Debit>, Refusal> {
        let (first, last) = self.days(now);
        let date = date.filter(|date| !(first..=last).contains(date));
        if date.is_some_and(|date| date < first || date > first.plus_days(MAX_DAYS_AHEAD)) {
            return Err(Refusal::Body(BodyRefusal::BadDate));
        }
        let today = || if first == last { vec![first] } else { vec![first, last] };
        let designated = date.map_or_else(today, |date| vec![date]);
        let days = match self.day_basis {
            DayBasis::Accepted => vec![(Basis::Accepted, today())],
            DayBasis::Designated => vec![(Basis::Designated, designated)],
            DayBasis::Both => vec![(Basis::Accepted, today()), (Basis::Designated, designated)],
        };
        let each = days.into_iter().flat_map(|(basis, days)| days.into_iter().map(move |day| (basis, day)));
        each.map(|(basis, day)| Ok(Debit { basis, day, ceiling: self.on(day)? })).collect()
    }

    /// Since which day who has left a contract counts in it still: from the order's first day on, and where orders can be dated
    /// ahead, as long as one may be that was accepted before.
    pub fn counted_since(&self, debits: &[Debit]) -> JstDate {
        let first = debits.iter().map(|debit| debit.day).min().unwrap_or(JstDate::MIN);
        self.counted_on(first)
    }

    /// The same for one day. A day more than it takes: what began before midnight may be decided after it.
    pub fn counted_on(&self, day: JstDate) -> JstDate {
        match self.day_basis {
            DayBasis::Accepted => day.plus_days(-1),
            DayBasis::Designated | DayBasis::Both => day.plus_days(-MAX_DAYS_AHEAD - 1),
        }
    }

    /// The days on which the application may say it executes what is accepted now: near midnight, two (LIM-35).
    fn days(&self, now: Timestamp) -> (JstDate, JstDate) {
        let span = |duration| SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
        let earliest = now.saturating_sub(span(self.backend_clock_skew));
        let until = self.departure_time + self.execution_time + self.backend_clock_skew;
        let latest = now.saturating_add(span(until));
        let day = |moment: Result<Timestamp, jiff::Error>| JstDate::of(moment.unwrap_or(now));
        (day(earliest), day(latest))
    }

    /// Whether an order that was reserved at one moment and leaves at another is executed on a day that it counts on.
    pub fn may_still_leave(&self, reserved: Timestamp, now: Timestamp) -> bool {
        let span = SignedDuration::try_from(self.execution_time + self.backend_clock_skew);
        let executed = now.saturating_add(span.unwrap_or(SignedDuration::MAX)).unwrap_or(Timestamp::MAX);
        JstDate::of(executed) <= self.days(reserved).1
    }

    /// How many entries of such a kind one login ID may have.
    pub fn most_entries(&self, term: Term) -> u32 {
        match term {
            Term::WhileActive(_) => self.max_entries_per_login_id,
            Term::Fixed(_) => self.max_requests_per_login_id,
        }
    }

    /// What else the ledger measures an order by.
    pub fn bounds(&self) -> Bounds {
        Bounds {
            in_flight_per_login_id: self.max_in_flight_per_login_id,
            in_flight_per_contract: self.max_in_flight_per_contract,
            per_login_id: self.per_login_id,
            over_limit: self.over_limit,
            clock_tolerance: self.backend_clock_skew,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> JstDate {
        JstDate::parse(text).unwrap()
    }

    fn settings(day_basis: DayBasis) -> Settings {
        let yen = |yen| Yen::new(yen).unwrap();
        Settings {
            ceiling: vec![(day("2012-01-01"), yen(1_000_000_000)), (day("2013-05-20"), yen(100_000_000))],
            per_transfer: None,
            per_login_id: None,
            day_basis,
            backend_clock_skew: Duration::from_secs(5),
            departure_time: Duration::from_secs(2),
            execution_time: Duration::from_secs(60),
            over_limit: OverLimit::Clamp,
            max_in_flight_per_login_id: 4,
            max_in_flight_per_contract: 16,
            max_entries_per_login_id: 8,
            max_requests_per_login_id: 8,
            enforcement: Enforcement::Enforce,
        }
    }

    fn debited(basis: DayBasis, now: &str, date: Option<&str>) -> Result<Vec<String>, Refusal> {
        let debits = settings(basis).debits(now.parse().unwrap(), date.map(day))?;
        Ok(debits.iter().map(|debit| format!("{:?} {} {}", debit.basis, debit.day, debit.ceiling)).collect())
    }

    #[test]
    fn the_ceiling_falls_on_its_day() {
        let settings = settings(DayBasis::Accepted);
        assert_eq!(settings.on(day("2013-05-19")).map(Yen::get), Ok(1_000_000_000));
        assert_eq!(settings.on(day("2013-05-20")).map(Yen::get), Ok(100_000_000));
        assert_eq!(settings.on(day("2011-12-31")), Err(Refusal::Transfer(TransferRefusal::NoCeiling)));
    }

    #[test]
    fn near_midnight_both_days_count() {
        let noon = debited(DayBasis::Accepted, "2013-05-20T12:00:00+09:00", None).unwrap();
        assert_eq!(noon, ["Accepted 2013-05-20 100000000"]);
        let both = vec!["Accepted 2013-05-19 1000000000".to_owned(), "Accepted 2013-05-20 100000000".to_owned()];
        for (now, near) in [
            ("2013-05-19T23:58:52+09:00", false),
            ("2013-05-19T23:58:53+09:00", true),
            ("2013-05-19T23:59:59.999+09:00", true),
            ("2013-05-20T00:00:00+09:00", true),
            ("2013-05-20T00:00:04.999+09:00", true),
            ("2013-05-20T00:00:05+09:00", false),
        ] {
            let debits = debited(DayBasis::Accepted, now, None).unwrap();
            assert_eq!(debits == both, near, "{now}: {debits:?}");
        }
    }

    #[test]
    fn a_designated_day_counts_where_the_institution_says() {
        let now = "2013-05-20T12:00:00+09:00";
        let dated = |basis| debited(basis, now, Some("2013-05-31")).unwrap();
        assert_eq!(dated(DayBasis::Accepted), ["Accepted 2013-05-20 100000000"]);
        assert_eq!(dated(DayBasis::Designated), ["Designated 2013-05-31 100000000"]);
        let both = ["Accepted 2013-05-20 100000000", "Designated 2013-05-31 100000000"];
        assert_eq!(dated(DayBasis::Both), both);
        let undated = debited(DayBasis::Designated, now, None).unwrap();
        assert_eq!(undated, ["Designated 2013-05-20 100000000"]);
    }

    #[test]
    fn days_gone_by_and_days_too_far_ahead_are_refused() {
        for date in ["2013-05-19", "2012-02-29", "2014-06-25"] {
            for basis in [DayBasis::Accepted, DayBasis::Designated, DayBasis::Both] {
                let refused = debited(basis, "2013-05-20T12:00:00+09:00", Some(date));
                assert_eq!(refused, Err(Refusal::Body(BodyRefusal::BadDate)), "{date}");
            }
        }
    }

    #[test]
    fn an_order_that_waited_into_another_day_may_not_leave() {
        let settings = settings(DayBasis::Accepted);
        let at = |text: &str| -> Timestamp { text.parse().unwrap() };
        let noon = at("2013-05-20T12:00:00+09:00");
        assert!(settings.may_still_leave(noon, at("2013-05-20T23:58:54+09:00")), "however long it waited");
        assert!(!settings.may_still_leave(noon, at("2013-05-20T23:58:56+09:00")));
        // Reserved so late that it counts on both days.
        let late = at("2013-05-20T23:58:54+09:00");
        assert!(settings.may_still_leave(late, at("2013-05-21T00:00:01+09:00")));
        assert!(settings.may_still_leave(late, at("2013-05-21T12:00:00+09:00")));
        assert!(!settings.may_still_leave(late, at("2013-05-22T00:00:01+09:00")));
        // In time, it always may.
        for second in 0..60 {
            let reserved = at("2013-05-20T23:58:00+09:00") + SignedDuration::from_secs(second);
            assert!(settings.may_still_leave(reserved, reserved + SignedDuration::from_secs(2)), "{reserved}");
        }
    }
}

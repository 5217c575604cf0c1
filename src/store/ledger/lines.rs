//! What several requests say of one form that the application may keep in its session (LIM-10, LIM-18, LIM-33).
//!
//! A form with several amounts is filled by each request with the lines that it brings; what it leaves out stays as an
//! earlier one filled it. In which order the application took them, and which of them stand in the session that commits,
//! nobody knows here: of each line, the largest amount that any of them brought holds, and the sum of these is never less
//! than what is executed.

use std::cmp::Ordering;

use aws_lc_rs::digest::{SHA256, digest};

use crate::domain::Yen;

/// A field that holds an amount, by a hash of its name: bounded whatever an institution calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Line(u64);

impl Line {
    /// The form as a whole, where every request says all of it.
    pub const WHOLE: Self = Self(0);

    /// The field with that name.
    pub fn named(name: &str) -> Self {
        let digest = digest(&SHA256, name.as_bytes());
        let mut first = [0; 8];
        first.copy_from_slice(&digest.as_ref()[..8]);
        Self(u64::from_be_bytes(first))
    }

    /// A line that was stored.
    pub const fn from_number(number: u64) -> Self {
        Self(number)
    }

    /// As it is stored.
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// The amounts of a form. There is at least one; each line is there once, in the order of their numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lines(Vec<(Line, Yen)>);

impl Lines {
    /// A form that is filled as a whole.
    pub fn whole(amount: Yen) -> Self {
        Self(vec![(Line::WHOLE, amount)])
    }

    /// A form with these lines; those of one name are the elements of an array, which is filled as one. `None` where there
    /// is none, or their sum cannot be counted.
    pub fn of(lines: impl IntoIterator<Item = (Line, Yen)>) -> Option<Self> {
        let mut lines: Vec<(Line, Yen)> = lines.into_iter().collect();
        lines.sort_unstable_by_key(|(line, _)| *line);
        let mut merged: Vec<(Line, Yen)> = Vec::with_capacity(lines.len());
        for (line, amount) in lines {
            match merged.last_mut() {
                Some((last, sum)) if *last == line => *sum = sum.checked_add(amount)?,
                Some(_) | None => merged.push((line, amount)),
            }
        }
        (!merged.is_empty()).then_some(Self(merged))
    }

    /// The larger amount of each line.
    pub fn joined(&self, other: &Self) -> Self {
        let (mut ours, mut theirs) = (self.0.iter().copied().peekable(), other.0.iter().copied().peekable());
        let mut joined = Vec::with_capacity(self.0.len().max(other.0.len()));
        while let (Some((line, amount)), Some((other, others))) = (ours.peek().copied(), theirs.peek().copied()) {
            let order = line.cmp(&other);
            joined.push(match order {
                Ordering::Less => (line, amount),
                Ordering::Greater => (other, others),
                Ordering::Equal => (line, amount.max(others)),
            });
            if order != Ordering::Greater {
                ours.next();
            }
            if order != Ordering::Less {
                theirs.next();
            }
        }
        joined.extend(ours.chain(theirs));
        Self(joined)
    }

    /// All of it; [`Yen::MAX`] where it cannot be counted, which is above every ceiling.
    pub fn total(&self) -> Yen {
        let sum = self.0.iter().try_fold(Yen::ZERO, |sum, (_, amount)| sum.checked_add(*amount));
        sum.unwrap_or(Yen::MAX)
    }

    /// Whether a form that another request fills with `more` could hold more than before.
    pub fn grow_by(&self, more: &Self) -> bool {
        self.joined(more).total() > self.total()
    }

    /// Each with its amount.
    pub fn iter(&self) -> impl Iterator<Item = (Line, Yen)> {
        self.0.iter().copied()
    }

    /// The amount of a form that was only ever filled as a whole.
    pub fn only_whole(&self) -> Option<Yen> {
        match self.0[..] {
            [(Line::WHOLE, amount)] => Some(amount),
            _ => None,
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn yen(amount: u64) -> Yen {
        Yen::new(amount).unwrap()
    }

    fn lines(said: &[(&str, u64)]) -> Lines {
        Lines::of(said.iter().map(|(name, amount)| (Line::named(name), yen(*amount)))).unwrap()
    }

    #[test]
    fn a_form_holds_the_largest_of_each_line() {
        let first = lines(&[("kingaku1", 60), ("kingaku2", 1)]);
        let second = lines(&[("kingaku1", 1), ("kingaku2", 50), ("kingaku3", 7)]);
        assert_eq!((first.total(), second.total()), (yen(61), yen(58)));
        assert_eq!(first.joined(&second), lines(&[("kingaku1", 60), ("kingaku2", 50), ("kingaku3", 7)]));
        assert!(first.grow_by(&second) && !first.joined(&second).grow_by(&second));
        assert_eq!(lines(&[("/orders/*/amount", 3), ("/orders/*/amount", 4)]).total(), yen(7));
        assert_eq!(Lines::whole(yen(5)).joined(&Lines::whole(yen(6))), Lines::whole(yen(6)));
        assert_eq!(Lines::whole(yen(5)).joined(&lines(&[("amount", 6)])).total(), yen(11));
    }

    #[test]
    fn what_cannot_be_counted_is_above_everything() {
        assert_eq!(lines(&[("a", Yen::MAX.get()), ("b", 1)]).total(), Yen::MAX);
        assert_eq!(Lines::of([(Line::WHOLE, Yen::MAX), (Line::WHOLE, yen(1))]), None);
        assert_eq!(Lines::of([]), None);
    }

    proptest! {
        /// Requests fill a form in any order, in any number of sessions: no session ever holds more.
        #[test]
        fn no_order_of_requests_fills_a_form_with_more(
            requests in prop::collection::vec((0..3_usize, prop::collection::btree_map(0..5_u64, 1..100_u64, 1..4)), 1..8),
            turns in prop::collection::vec(any::<prop::sample::Index>(), 8),
        ) {
            let of = |form: &std::collections::BTreeMap<u64, u64>| {
                Lines::of(form.iter().map(|(line, amount)| (Line::from_number(*line), yen(*amount)))).unwrap()
            };
            let all = requests.iter().map(|(_, form)| of(form)).reduce(|all, form| all.joined(&form)).unwrap();
            let mut sessions = vec![std::collections::BTreeMap::new(); 3];
            let mut waiting = requests.clone();
            for turn in turns.iter().take(requests.len()) {
                let (session, form) = waiting.remove(turn.index(waiting.len()));
                sessions[session].extend(form);
                let held: u64 = sessions[session].values().sum();
                prop_assert!(held <= all.total().get());
            }
        }
    }
}

//! Money: whole yen. There is no smaller unit, and no float anywhere near it.

use std::fmt;

/// An amount in yen, from 0 to 2⁵³ − 1: exact in every store, also where numbers are doubles (Lua in Redis).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Yen(u64);

impl Yen {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// The most that can be counted, about nine quadrillion.
    pub const MAX: Self = Self((1 << 53) - 1);

    /// `None` above [`Yen::MAX`].
    pub const fn new(yen: u64) -> Option<Self> {
        if yen <= Self::MAX.0 { Some(Self(yen)) } else { None }
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The sum, or `None` where it cannot be counted.
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        // Both are far below the edge of u64.
        Self::new(self.0 + other.0)
    }

    /// What is left, zero where nothing is.
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// As people read it: `1,000,000`.
    pub fn grouped(self) -> String {
        let digits = self.to_string();
        let mut text = String::with_capacity(digits.len() * 4 / 3);
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                text.push(',');
            }
            text.push(digit);
        }
        text
    }
}

/// Digits only, as it stands in records and metrics.
impl fmt::Display for Yen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_written_as_people_read_them() {
        for (yen, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (100_000_000, "100,000,000")] {
            assert_eq!(Yen::new(yen).unwrap().grouped(), text);
        }
    }

    #[test]
    fn sums_end_where_counting_ends() {
        let one = Yen::new(1).unwrap();
        assert_eq!(Yen::new(1 << 53), None);
        assert_eq!(Yen::MAX.checked_add(one), None);
        assert_eq!(Yen::MAX.saturating_sub(one).checked_add(one), Some(Yen::MAX));
        assert_eq!(one.saturating_sub(Yen::MAX), Yen::ZERO);
    }
}

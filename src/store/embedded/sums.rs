//! What counts for each login ID on each day, remembered once it was read.
//!
//! The file is the truth and holds every sum; this only saves looking it up again.

use std::collections::HashMap;

use super::shelf::Shelf;
use crate::domain::{JstDate, LoginId, Yen};
use crate::store::database::Failure;
use crate::store::ledger::Basis;

/// Sums by login ID; each has a few days.
#[derive(Debug, Default)]
pub(super) struct Sums(HashMap<LoginId, Vec<(Basis, JstDate, Yen)>>);

impl Sums {
    /// What counts for a login ID on a day.
    pub fn get(&mut self, shelf: &Shelf<'_>, login_id: &LoginId, basis: Basis, day: JstDate) -> Result<Yen, Failure> {
        if let Some(found) = self.remembered(login_id, basis, day) {
            return Ok(*found);
        }
        let sum = shelf.sum(login_id, basis, day)?;
        self.remember(login_id, basis, day, sum);
        Ok(sum)
    }

    /// What members of one contract have used together. It is as large as it is, also where that cannot be counted.
    pub fn together<'a>(
        &mut self,
        shelf: &Shelf<'_>,
        members: impl Iterator<Item = &'a LoginId>,
        basis: Basis,
        day: JstDate,
    ) -> Result<Yen, Failure> {
        let mut sum = Yen::ZERO;
        for member in members {
            sum = sum.checked_add(self.get(shelf, member, basis, day)?).unwrap_or(Yen::MAX);
        }
        Ok(sum)
    }

    /// Keeps a sum, here and in the file.
    pub fn put(
        &mut self,
        shelf: &mut Shelf<'_>,
        login_id: &LoginId,
        basis: Basis,
        day: JstDate,
        sum: Yen,
    ) -> Result<(), Failure> {
        match self.remembered(login_id, basis, day) {
            Some(found) => *found = sum,
            None => self.remember(login_id, basis, day, sum),
        }
        shelf.put_sum(login_id, basis, day, sum)
    }

    /// Forgets what was read, so that days gone by take up no room.
    pub fn forget(&mut self) {
        self.0.clear();
    }

    fn remembered(&mut self, login_id: &LoginId, basis: Basis, day: JstDate) -> Option<&mut Yen> {
        let days = self.0.get_mut(login_id)?;
        days.iter_mut().find(|known| (known.0, known.1) == (basis, day)).map(|known| &mut known.2)
    }

    fn remember(&mut self, login_id: &LoginId, basis: Basis, day: JstDate, sum: Yen) {
        match self.0.get_mut(login_id) {
            Some(days) => days.push((basis, day, sum)),
            None => drop(self.0.insert(login_id.clone(), vec![(basis, day, sum)])),
        }
    }
}

//! Which acts let more money move, and whether two people want them (LIM-28).

use std::sync::PoisonError;

use super::{By, Desk};
use crate::domain::jst_date::in_japan;
use crate::operator::SecondPerson;
use crate::operator::audit::{Action, Outcome, Record};
use crate::operator::control::Refused;
use crate::operator::control::second_person::{Person, Ruling};
use crate::store::ledger::Verdict;

impl Desk {
    /// Whether an act may be done now: where two people are needed and this is the first, it is on record as proposed.
    /// `what` is the act in words that are the same for both.
    pub(super) async fn consent(&self, act: Record, what: &str, person: Person) -> Result<Record, Refused> {
        if self.second_person == SecondPerson::NotNeeded {
            return Ok(act);
        }
        let ruling = {
            let mut proposals = self.proposals.lock().unwrap_or_else(PoisonError::into_inner);
            proposals.ask(what, person, self.clock.now())
        };
        let proposed = |act: Record| match act.action {
            Action::Operator(wanted) => Record { action: Action::Proposed(wanted), ..act },
            Action::Login
            | Action::HandshakeRefused
            | Action::Refused
            | Action::Observed
            | Action::Transfer(_)
            | Action::TransferAlarm
            | Action::LimitNotice
            | Action::CertificateLearned
            | Action::Reloaded
            | Action::Proposed(_) => act,
        };
        match ruling {
            Ruling::Agreed(proposer) => Ok(Record { proposer: Some(proposer.into()), ..act }),
            Ruling::Proposed(until) => {
                self.record(proposed(act)).await?;
                let until = in_japan(until);
                Err(Refused::Proposed(format!(
                    "proposed, and not done: another user of this machine must ask for the same before {until}"
                )))
            }
            Ruling::Refused(why) => {
                self.audit.record(Record { outcome: Outcome::Failure, ..proposed(act) });
                Err(Refused::Conflict(why))
            }
        }
    }

    /// The same for what frees money only where a transfer is to be released.
    pub(super) async fn consent_to(
        &self,
        verdict: Verdict,
        act: Record,
        what: &str,
        person: Person,
    ) -> Result<Record, Refused> {
        match verdict {
            // It counts, or goes on counting.
            Verdict::Committed => Ok(act),
            Verdict::Released => self.consent(act, what, person).await,
        }
    }
}

impl By {
    /// Who asks.
    pub(super) fn person(&self) -> Person {
        Person::of(self)
    }
}

//! The end of a request about money: what the application's answer means for the ledger (LIM-14, LIM-15).

use std::sync::Arc;

use http::Response;

use super::body::{AnswerBody, PageRead};
use super::outcome::{Page, Reading, Said, needs_page};
use crate::policy::consequence::Consequence;
use crate::policy::rate_limit::OnTrial;
use crate::policy::route::Route;
use crate::policy::session::Expected;
use crate::policy::treatment::NumberInAnswer;
use crate::refusal::{Refusal, TransferRefusal};
use crate::store::ledger::Outcome;

/// An answer that decides something, perhaps. Only forwarding makes one.
#[derive(Debug)]
pub struct Answered {
    pub(super) response: Response<AnswerBody>,
    pub(super) consequence: Consequence,
    pub(super) on_trial: OnTrial,
    pub(super) expected: Expected,
    pub(super) route: Arc<Route>,
}

impl Answered {
    /// Settles what the answer decides, keeps the sessions that it begins, and passes it on.
    ///
    /// # Errors
    /// The answer broke off before it could be understood: the outcome is unknown. Or it hands out somebody else's session.
    pub async fn settle(mut self) -> Result<Response<AnswerBody>, Refusal> {
        let expected = std::mem::take(&mut self.expected);
        let moved_money = matches!(self.consequence, Consequence::Settle(_));
        let response = self.settled().await?;
        match expected.learn(&response) {
            Ok(()) => Ok(response),
            // What cannot be shown may have been done: nobody shall order it again.
            Err(_) if moved_money => Err(Refusal::Transfer(TransferRefusal::OutcomeUnknown)),
            Err(refusal) => Err(refusal),
        }
    }

    async fn settled(self) -> Result<Response<AnswerBody>, Refusal> {
        let is_nothing = matches!(self.consequence, Consequence::Nothing) && !self.on_trial.is_awaited();
        match self.route.treatment.markers() {
            Some(_) if !is_nothing => {}
            Some(_) | None => return Ok(self.response),
        }
        // On the heap: most answers decide nothing.
        Box::pin(self.decide()).await
    }

    async fn decide(self) -> Result<Response<AnswerBody>, Refusal> {
        let Self { response, consequence, on_trial, route, .. } = self;
        let Some(markers) = route.treatment.markers() else { return Ok(response) };
        let number_is_in_page = matches!(consequence.number_in_answer(), Some(NumberInAnswer::Between(..)));
        let (head, mut body) = response.into_parts();
        let mut read = None;
        if number_is_in_page || needs_page(&head, markers) {
            match body.read_page(markers.max_page).await {
                Ok((whole, page)) => (body, read) = (whole, Some(page)),
                Err(failure) => {
                    tracing::warn!(error = %failure, "an answer about money broke off");
                    return Err(consequence.unanswered("answer_broken").unwrap_or_else(|| failure.refusal()));
                }
            }
        }
        let page = match &read {
            None => Page::Unread,
            Some(PageRead::Whole(page)) => Page::Whole(page),
            Some(PageRead::TooLong) => Page::Partial,
        };
        let reading = Reading::of(&head, page, markers.charset);
        let said = reading.says(markers);
        if said != Said::Failure {
            on_trial.acquit();
        }
        conclude(consequence, said, &reading).await;
        Ok(Response::from_parts(head, body))
    }
}

async fn conclude(consequence: Consequence, said: Said, reading: &Reading<'_>) {
    let number = consequence.number_in_answer().and_then(|place| reading.number(place));
    let kept = match (consequence, said) {
        (Consequence::Nothing, _) => Ok(()),
        (Consequence::Settle(reservation), said) => {
            match said {
                Said::Success => reservation.commit(number.as_deref()),
                Said::Failure => reservation.settle(Outcome::Released, "failure_marker"),
                Said::Nothing(why) => reservation.settle(Outcome::Unknown, why),
            }
            Ok(())
        }
        (Consequence::Keep(_) | Consequence::Learn(_) | Consequence::Cancel(_), Said::Failure) => Ok(()),
        // What might have been accepted might be approved; to remember too much costs nothing.
        (Consequence::Keep(keeping), Said::Success | Said::Nothing(_)) => match number {
            Some(number) => keeping.keep(&number).await,
            None => {
                tracing::warn!("an answer tells no number for the order it accepted; it cannot be approved");
                Ok(())
            }
        },
        (Consequence::Learn(learning), Said::Success) => learning.learn().await,
        (Consequence::Cancel(cancelling), Said::Success) => cancelling.cancel().await,
        (Consequence::Learn(_) | Consequence::Cancel(_), Said::Nothing(_)) => Ok(()),
    };
    if let Err(refusal) = kept {
        tracing::error!(%refusal, "what an answer said could not be kept");
    }
}

impl Consequence {
    /// The request left and no answer tells what became of it. What the customer is told, where money may have moved.
    pub(super) fn unanswered(self, why: &'static str) -> Option<Refusal> {
        match self {
            Self::Settle(reservation) => {
                reservation.settle(Outcome::Unknown, why);
                Some(Refusal::Transfer(TransferRefusal::OutcomeUnknown))
            }
            Self::Nothing | Self::Keep(_) | Self::Learn(_) | Self::Cancel(_) => None,
        }
    }
}

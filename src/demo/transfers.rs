//! The part of the story that is about money: the bank executes whatever it is sent, and the ceiling holds all the same.
//!
//! Invariant: what was executed is read in the bank's own books, never in the gateway's.

use std::io;

use http::StatusCode;

use super::client::{Answer, Connection};
use super::tour::{Happened, Narrator, Tour, not_refused};
use crate::domain::JstDate;

const COMMIT: &str = "/ib/transfer/commit.do";
/// Who transfers. Nobody else does, so that the sums are known.
const PAYER: &str = "taroykdt";
/// What the shipped configuration allows on a day.
const CEILING: u64 = 100_000_000;
const FIRST: u64 = 1_000_000;

impl Tour<'_> {
    /// Tells it.
    pub(super) async fn tell_transfers(&self, narrator: &mut Narrator<'_>) -> io::Result<()> {
        let line = |amount: u64| self.curl_as_it_is(Some(PAYER), &format!(" -i -d amount={amount}"), COMMIT);

        let transferred = self.transferred(FIRST).await;
        narrator.tell("Taroykdt transfers a million yen", transferred, &line(FIRST))?;

        let over = self.over_the_ceiling().await;
        let title = "He tries for one yen more than the day allows: the bank never hears of it";
        narrator.tell(title, over, &line(CEILING))?;

        let raced = self.race_for_the_last_yen().await;
        let title = "He uses up all but one yen, then asks twice for it at the same moment: one is executed";
        narrator.tell(title, raced, &line(1))
    }

    async fn transferred(&self, amount: u64) -> Happened {
        let before = self.executed();
        let answer = self.connect().await?.submit(COMMIT, &format!("amount={amount}")).await.map_err(not_refused)?;
        let executed = self.executed() - before;
        match (answer.status, executed) {
            (StatusCode::FOUND, executed) if executed == amount => {
                Ok(format!("{}; the bank's books say {} yen today.", answer.status, before + executed))
            }
            (status, executed) => Err(format!("The gateway answered {status}, the bank executed {executed} yen.")),
        }
    }

    async fn over_the_ceiling(&self) -> Happened {
        let (before, used) = (self.stage.bank.received(), self.executed());
        let form = format!("amount={}", CEILING - used + 1);
        let answer = self.connect().await?.submit(COMMIT, &form).await.map_err(not_refused)?;
        self.bank_unchanged_since(before)?;
        match (answer.status, row_of(&answer, "残り")) {
            (StatusCode::FORBIDDEN, Some(left)) => {
                Ok(format!("{}; the page says what is left: {left}. Nothing reached the bank.", answer.status))
            }
            (status, _) => Err(format!("The gateway answered {status}.")),
        }
    }

    async fn race_for_the_last_yen(&self) -> Happened {
        let rest = CEILING - 1 - self.executed();
        self.transferred(rest).await?;
        let (mut one, mut other) = (self.connect().await?, self.connect().await?);
        let (one, other) = tokio::join!(one.submit(COMMIT, "amount=1"), other.submit(COMMIT, "amount=1"));
        let mut statuses = [one.map_err(not_refused)?.status, other.map_err(not_refused)?.status];
        statuses.sort_unstable();
        match (statuses, self.executed()) {
            ([StatusCode::FOUND, StatusCode::FORBIDDEN], CEILING) => {
                Ok(format!("{} and {}; the bank's books say {CEILING} yen today.", statuses[0], statuses[1]))
            }
            (statuses, executed) => Err(format!("The gateway answered {statuses:?}, the books say {executed} yen.")),
        }
    }

    async fn connect(&self) -> Result<Connection, String> {
        self.visitor(Some(PAYER))?.connect().await.map_err(not_refused)
    }

    /// What the bank has executed today, by its own books.
    fn executed(&self) -> u64 {
        // Without a registry a login ID is a contract of its own.
        self.stage.bank.executed_sum(PAYER, JstDate::of(self.stage.clock.now()))
    }
}

/// What a row of the refusal's table says.
fn row_of(answer: &Answer, title: &str) -> Option<String> {
    let (_, rest) = answer.page.split_once(&format!("<th>{title}</th><td>"))?;
    Some(rest.split_once("</td>")?.0.to_owned())
}

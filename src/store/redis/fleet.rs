//! Coming to the store, and coming back to it: who shares it, what it may have lost, and when money may move (LIM-39).

use std::sync::Arc;

use jiff::Timestamp;
use redis::Value;
use tokio::time::Instant;

use super::answer::{self, Fleet};
use super::call::Call;
use super::clerk::{BATCH, Clerk};
use super::journal::Change;
use super::link::Failure;
use crate::store::ledger::{Member, State, Transfer};

impl Clerk {
    /// The first look of this process: also tells Redis, or keeps for when it comes, how what the last process left
    /// behind stands. Returns all of that.
    pub async fn begin(&mut self, at: Timestamp) -> Vec<Transfer> {
        let mut found = self.left_behind.clone().unwrap_or_default();
        match self.try_look(Some(at)).await {
            Ok(unheard_of) => found.extend(unheard_of),
            Err(failure) => self.fail(&failure),
        }
        found
    }

    /// Looks how the store is, connecting where needed.
    pub async fn look(&mut self) {
        match self.try_look(None).await {
            Ok(_) => {}
            Err(failure) => self.fail(&failure),
        }
    }

    async fn try_look(&mut self, at: Option<Timestamp>) -> Result<Vec<Transfer>, Failure> {
        self.next_look = Instant::now() + self.habits.look;
        match &mut self.link {
            Some(link) => link.check_eviction().await?,
            None => {
                self.caller.session.clear();
                self.link = Some(self.way.connect().await?);
            }
        }
        let mut unheard_of = Vec::new();
        let mut fleet = self.join().await?;
        if self.left_behind.is_some() {
            unheard_of = self.tell_left_behind(at.unwrap_or_else(|| self.habits.clock.now())).await?;
        }
        let mine = |fleet: &Fleet, name: &str| {
            fleet.members.iter().find(|(member, _)| member == name).map(|(_, replayed)| replayed.clone())
        };
        match mine(&fleet, &self.caller.member) {
            Some(replayed) if replayed == fleet.epoch => {}
            // Somebody gave this gateway up between two calls: the next look joins again.
            None => return Err(Failure::Stale),
            Some(_) if self.journal.not_accepted().is_some() => {}
            Some(replayed) => {
                if replayed.is_empty() {
                    self.replay().await?;
                }
                self.say(&[self.caller.plain("report")]).await?;
                fleet = self.join().await?;
            }
        }
        self.settle_in(&fleet).await;
        Ok(unheard_of)
    }

    /// Money moves, or waits for others.
    async fn settle_in(&mut self, fleet: &Fleet) {
        if !fleet.is_open {
            self.is_open = false;
            let waiting = fleet.members.iter().filter(|(_, replayed)| *replayed != fleet.epoch);
            let names: Vec<&str> = waiting.map(|(member, _)| &**member).collect();
            self.gauges.fail(match names.is_empty() {
                true => "an empty Redis waits for its gateways to come".to_owned(),
                false => format!("Redis has lost data or a gateway has come; waiting for {}", names.join(", ")),
            });
            self.next_look = Instant::now() + self.waiting();
            return;
        }
        // It has replayed all the same: the others need not wait for its clock.
        if let Some(reason) = self.mistrusts_clock() {
            self.is_open = false;
            self.gauges.fail(reason);
            return;
        }
        if self.is_open {
            return;
        }
        self.is_open = true;
        // With what is carried, before anything else is decided.
        self.work(Vec::new()).await;
        if self.is_open {
            self.gauges.recover();
        }
    }

    /// Asks how the fleet stands, and remembers it.
    async fn join(&mut self) -> Result<Fleet, Failure> {
        let new_epoch = uuid::Uuid::now_v7().simple().to_string();
        let call = self.caller.join(&new_epoch, self.habits.grace.as_millis(), self.journal.members());
        let fleet = answer::fleet(self.ask(&[call]).await?.pop().unwrap_or(Value::Nil))?;
        self.caller.session.clone_from(&fleet.session);
        if self.caller.epoch != fleet.epoch {
            if fleet.epoch == new_epoch {
                tracing::warn!(epoch = %fleet.epoch, "Redis is empty, has lost data, or is told of a new gateway");
            }
            self.caller.epoch.clone_from(&fleet.epoch);
            self.caller.seen = 0;
            self.is_open = false;
        }
        self.caller.seen = self.caller.seen.max(fleet.sequence);
        self.hear_clock(fleet.time);
        let names: Vec<String> = fleet.members.iter().map(|(member, _)| member.clone()).collect();
        if names != self.journal.members() {
            self.journal.write(&[Change::Members(names)])?;
        }
        let members = fleet.members.iter().map(|(member, replayed)| Member {
            name: Arc::from(&**member),
            is_this: *member == self.caller.member,
            has_replayed: *replayed == fleet.epoch,
        });
        self.members = members.collect();
        let waiting = self.members.iter().filter(|member| !member.has_replayed).count();
        self.habits.metrics.ledger_members_waiting.set(i64::try_from(waiting).unwrap_or(i64::MAX));
        Ok(fleet)
    }

    /// What an earlier process of this gateway left in Redis without an end. The journal knows how it stands; what it
    /// does not know was granted and perhaps never heard, and is unknown: that is returned.
    async fn tell_left_behind(&mut self, at: Timestamp) -> Result<Vec<Transfer>, Failure> {
        let owned = self.ask(&[self.caller.plain("owned")]).await?.pop().unwrap_or(Value::Nil);
        let mut calls = Vec::new();
        let (mut unheard_of, mut changes) = (Vec::new(), Vec::new());
        for (mut record, _) in answer::rows(owned)? {
            if let Some(remembered) = self.journal.find(record.transfer.id)? {
                calls.push(self.caller.restore(&remembered));
            } else if record.transfer.state == State::Reserved {
                let transfer = &mut record.transfer;
                (transfer.state, transfer.why, transfer.settled_at) = (State::Unknown, "restart".into(), Some(at));
                calls.push(self.caller.restore(&record));
                unheard_of.push(record.transfer.clone());
                changes.push(Change::Decided(record));
            }
        }
        self.journal.write(&changes)?;
        for part in calls.chunks(BATCH) {
            self.say(part).await?;
        }
        self.left_behind = None;
        Ok(unheard_of)
    }

    /// Puts back everything that this gateway remembers. What is still there stays as it is.
    async fn replay(&mut self) -> Result<(), Failure> {
        let mut from = Some((0, 0));
        let mut count = 0;
        while let Some(place) = from {
            let (records, next) = self.journal.records(place, BATCH)?;
            count += records.len();
            let calls: Vec<Call> = records.iter().map(|record| self.caller.restore(record)).collect();
            self.say(&calls).await?;
            from = next;
        }
        let entries = self.journal.entries()?;
        let entries = entries.iter().map(|entry| self.caller.restore_entry(entry));
        let own_limits = self.journal.own_limits()?;
        let own_limits = own_limits.iter().map(|(contract, own, at)| self.caller.restore_own(contract, *own, *at));
        let calls: Vec<Call> = entries.chain(own_limits).collect();
        for part in calls.chunks(BATCH) {
            self.say(part).await?;
        }
        tracing::warn!(transfers = count, epoch = %self.caller.epoch, "the journal is replayed into Redis");
        Ok(())
    }

    /// Asks what is answered only with that it was done.
    async fn say(&mut self, calls: &[Call]) -> Result<(), Failure> {
        if calls.is_empty() {
            return Ok(());
        }
        self.ask(calls).await?.into_iter().try_for_each(answer::done)
    }
}

//! Random schedules against a model that knows the truth: what the application really executed.
//!
//! Many customers at once, each with its own schedule of screens, orders and answers; between their steps the clock
//! moves, goes back, passes midnight, and the process dies. The application may execute an order and say so, execute
//! it and say nothing, or not execute it; the ledger hears only what a gateway would hear.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use jiff::Timestamp;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::test_runner::Config;
use tokio::task::JoinSet;

use super::stand::{Kind, Stand, bounds, debit, run, within, yen};
use crate::domain::{JstDate, LoginId, TransferId};
use crate::store::Ledger;
use crate::store::ledger::{
    Claim, Decision, Denied, Entered, Entry, EntryKey, Line, Lines, Order, Outcome, Renewal, Settlement, State, Term,
    Verdict,
};

const CASES: u32 = 100;
/// Of a shared server: each step goes over a socket.
const CASES_OF_REDIS: u32 = 5;
/// Schedules that run side by side in each case.
const CUSTOMERS: usize = 100;
const LIMIT: u64 = 100;

/// What the application does with an order.
#[derive(Debug, Clone, Copy)]
struct Fate {
    executed: bool,
    heard: Heard,
}

/// What the gateway hears of it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Heard {
    Truth,
    TimeOut,
    /// Nothing yet: the answer may come later, or the process dies before.
    Nothing,
}

#[derive(Debug, Clone)]
enum Step {
    Order {
        second_member: bool,
        amount: u64,
        fate: Fate,
    },
    /// Fills one line of a form, as one of two members.
    Enter {
        second_member: bool,
        line: u64,
        amount: u64,
    },
    /// A member looks at a page.
    Look {
        second_member: bool,
    },
    /// Perhaps saying a line once more.
    Commit {
        repeated: Option<(u64, u64)>,
        fate: Fate,
    },
    /// The latest order again.
    Again,
    /// The oldest open order's answer comes late, and is the truth.
    Late,
    /// An operator finds out the truth about the oldest unknown one.
    Reconcile,
}

#[derive(Debug, Clone)]
enum Event {
    Clock(i64),
    Midnight,
    Restart,
}

fn fate() -> impl Strategy<Value = Fate> {
    let heard = prop_oneof![5 => Just(Heard::Truth), 2 => Just(Heard::TimeOut), 1 => Just(Heard::Nothing)];
    (any::<bool>(), heard).prop_map(|(executed, heard)| Fate { executed, heard })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (any::<bool>(), 1..=LIMIT, fate())
            .prop_map(|(second_member, amount, fate)| Step::Order { second_member, amount, fate }),
        2 => (any::<bool>(), line()).prop_map(|(second_member, (line, amount))| Step::Enter { second_member, line, amount }),
        1 => any::<bool>().prop_map(|second_member| Step::Look { second_member }),
        2 => (option::of(line()), fate()).prop_map(|(repeated, fate)| Step::Commit { repeated, fate }),
        1 => Just(Step::Again),
        1 => Just(Step::Late),
        1 => Just(Step::Reconcile),
    ]
}

fn line() -> impl Strategy<Value = (u64, u64)> {
    (0..2_u64, 1..=LIMIT * 3 / 4)
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![5 => (0..100_i64).prop_map(Event::Clock), 2 => (-20..0_i64).prop_map(Event::Clock),
        2 => Just(Event::Midnight), 2 => Just(Event::Restart)]
}

fn lines<'a>(of: impl IntoIterator<Item = (&'a u64, &'a u64)>) -> Lines {
    Lines::of(of.into_iter().map(|(line, amount)| (Line::from_number(*line), yen(*amount)))).unwrap()
}

/// A granted order, as the model knows it.
#[derive(Debug)]
struct Known {
    order: Order,
    amount: u64,
    day: JstDate,
    executed: bool,
    state: State,
}

/// A contract with two login IDs, and the truth about it.
#[derive(Debug)]
struct Customer {
    name: String,
    /// The largest of each line.
    entered: BTreeMap<u64, u64>,
    orders: Vec<Known>,
}

impl Customer {
    fn members(&self) -> [String; 2] {
        ["a", "b"].map(|member| format!("{}{member}", self.name))
    }

    fn key(&self) -> EntryKey {
        EntryKey::of(&[&self.name])
    }

    fn counted(&self, day: JstDate) -> u64 {
        self.orders.iter().filter(|known| known.day == day && known.state.counts()).map(|known| known.amount).sum()
    }

    fn entry_is_locked(&self) -> bool {
        let locks = |known: &Known| {
            matches!(known.state, State::Reserved | State::Unknown)
                && matches!(known.order.claim, Claim::Entered { .. })
        };
        self.orders.iter().any(locks)
    }

    /// One step; whether anything was recorded.
    async fn act(&mut self, ledger: &Ledger, now: Timestamp, clock_is_behind: bool, step: &Step, blank: Order) -> bool {
        match step {
            Step::Order { second_member, amount, fate } => {
                self.order(ledger, clock_is_behind, (*second_member, Ok(*amount)), *fate, blank).await
            }
            Step::Commit { repeated, fate } => {
                let repeated = repeated.map(|(line, amount)| lines([(&line, &amount)]));
                self.order(ledger, clock_is_behind, (false, Err(repeated)), *fate, blank).await
            }
            Step::Enter { second_member, line, amount } => {
                let owner = LoginId::parse(&self.members()[usize::from(*second_member)]).unwrap();
                let term = Term::WhileActive(Duration::from_hours(100_000));
                let entry = Entry { key: self.key(), owner, lines: lines([(line, amount)]), at: now, term, most: 2 };
                let expected = if self.entry_is_locked() {
                    Entered::InUse
                } else {
                    let most = self.entered.entry(*line).or_default();
                    *most = (*most).max(*amount);
                    Entered::Kept(lines(&self.entered).total())
                };
                assert_eq!(ledger.enter(entry).await, Ok(expected));
                expected != Entered::InUse
            }
            Step::Look { second_member } => {
                let owner = LoginId::parse(&self.members()[usize::from(*second_member)]).unwrap();
                ledger.renew(Renewal { owner, at: now, lifetime: Duration::from_hours(1) });
                false
            }
            Step::Again => {
                let Some(known) = self.orders.last() else { return false };
                match (ledger.reserve(known.order.clone()).await.unwrap(), known.state) {
                    (Decision::Granted(grant), State::Reserved) => assert_eq!(grant.amount, yen(known.amount)),
                    (Decision::Denied(Denied::Duplicate), State::Committed | State::Released | State::Unknown) => {}
                    other => panic!("{other:?}"),
                }
                false
            }
            Step::Late => self.late(ledger, now).await,
            Step::Reconcile => self.reconcile(ledger, now).await,
        }
    }

    async fn order(
        &mut self,
        ledger: &Ledger,
        clock_is_behind: bool,
        (second_member, claim): (bool, Result<u64, Option<Lines>>),
        fate: Fate,
        mut order: Order,
    ) -> bool {
        let members = self.members();
        order.holder.login_id = LoginId::parse(&members[usize::from(second_member)]).unwrap();
        order = within(order, &self.name, &[&members[0], &members[1]]);
        let entered = (!self.entered.is_empty()).then(|| lines(&self.entered));
        let (amount, says_more, locked) = match &claim {
            Ok(amount) => (Some(*amount), false, false),
            Err(repeated) => {
                let grows = entered.as_ref().zip(repeated.as_ref()).is_some_and(|(form, more)| form.grow_by(more));
                (entered.map(|form| form.total().get()), grows, self.entry_is_locked())
            }
        };
        order.claim = match claim {
            Ok(amount) => Claim::Stated(yen(amount)),
            Err(repeated) => Claim::Entered { key: self.key(), repeated },
        };
        let day = order.debits[0].day;
        let fits = amount.is_some_and(|amount| self.counted(day) + amount <= LIMIT);
        match ledger.reserve(order.clone()).await.unwrap() {
            Decision::Denied(denied) => {
                assert!(clock_is_behind || locked || says_more || !fits, "{denied:?}");
                return false;
            }
            Decision::Granted(grant) => {
                assert!(!clock_is_behind && !locked && !says_more && fits);
                assert_eq!(Some(grant.amount.get()), amount);
            }
        }
        let outcome = match (fate.heard, fate.executed) {
            (Heard::Truth, true) => Some(Outcome::Committed),
            (Heard::Truth, false) => Some(Outcome::Released),
            (Heard::TimeOut, _) => Some(Outcome::Unknown),
            (Heard::Nothing, _) => None,
        };
        if let Some(outcome) = outcome {
            ledger.settle(Settlement { id: order.id, outcome, why: "test", at: order.at });
        }
        let state = outcome.map_or(State::Reserved, Outcome::state);
        let amount = amount.unwrap_or(0);
        self.orders.push(Known { order, amount, day, executed: fate.executed, state });
        true
    }

    async fn late(&mut self, ledger: &Ledger, now: Timestamp) -> bool {
        let open = |known: &&mut Known| matches!(known.state, State::Reserved | State::Unknown);
        let Some(known) = self.orders.iter_mut().find(open) else { return false };
        let outcome = if known.executed { Outcome::Committed } else { Outcome::Released };
        let before = known.state;
        if before == State::Reserved || known.executed {
            known.state = outcome.state();
        }
        let settlement = Settlement { id: known.order.id, outcome, why: "late", at: now };
        assert_eq!(ledger.settle_and_wait(settlement).await, Ok(Some(known.state)));
        known.state != before
    }

    async fn reconcile(&mut self, ledger: &Ledger, now: Timestamp) -> bool {
        let unknown = |known: &&mut Known| known.state == State::Unknown;
        let Some(known) = self.orders.iter_mut().find(unknown) else { return false };
        let verdict = if known.executed { Verdict::Committed } else { Verdict::Released };
        let transfer = ledger.reconcile(known.order.id, verdict, "asked".into(), now).await.unwrap();
        known.state = verdict.state();
        transfer.state == known.state
    }

    /// The truth, the model and the ledger agree.
    fn check(&self, states: &HashMap<TransferId, State>) {
        for known in &self.orders {
            assert_eq!(states.get(&known.order.id), Some(&known.state), "{known:?}");
            let executed = self.orders.iter().filter(|other| other.day == known.day && other.executed);
            let executed: u64 = executed.map(|other| other.amount).sum();
            assert!(executed <= LIMIT, "{}: {executed} were executed on {}", self.name, known.day);
            assert!(self.counted(known.day) >= executed);
        }
    }
}

/// The days of the schedules, the customers, and the moment that the ledger has on record.
struct World {
    stand: Stand,
    customers: Vec<Customer>,
    latest: Option<Timestamp>,
}

impl World {
    async fn happen(&mut self, event: &Event) {
        match event {
            Event::Clock(seconds) => self.stand.pass(*seconds),
            Event::Midnight => self.stand.now = self.stand.today().plus_days(1).begins_at(),
            Event::Restart => {
                let recovered = self.stand.restart().await;
                let reserved = |known: &&mut Known| known.state == State::Reserved;
                let lost: Vec<_> = self
                    .customers
                    .iter_mut()
                    .flat_map(|customer| customer.orders.iter_mut().filter(reserved))
                    .collect();
                assert_eq!(recovered.len(), lost.len());
                if !lost.is_empty() {
                    self.latest = self.latest.max(Some(self.stand.now));
                }
                for known in lost {
                    known.state = State::Unknown;
                }
            }
        }
    }

    async fn act_all(&mut self, steps: &[Step]) {
        let now = self.stand.now;
        let behind = self.latest.is_some_and(|latest| {
            latest.duration_since(now).as_secs() > bounds().clock_tolerance.as_secs().cast_signed()
                || JstDate::of(now) < JstDate::of(latest)
        });
        let mut acting = JoinSet::new();
        for (mut customer, step) in self.customers.drain(..).zip(steps.iter().cloned()) {
            let ledger = self.stand.ledger.clone();
            let mut blank = self.stand.order("nobody", 1);
            blank.debits = vec![debit(self.stand.today(), LIMIT)];
            acting.spawn(async move {
                let recorded = customer.act(&ledger, now, behind, &step, blank).await;
                (customer, recorded)
            });
        }
        while let Some(acted) = acting.join_next().await {
            let (customer, recorded) = acted.unwrap();
            self.customers.push(customer);
            if recorded {
                self.latest = self.latest.max(Some(now));
            }
        }
    }

    async fn check(&self) {
        let days: Vec<JstDate> =
            self.customers.iter().flat_map(|customer| customer.orders.iter().map(|known| known.day)).collect();
        let (Some(first), Some(last)) = (days.iter().min(), days.iter().max()) else { return };
        let mut states = HashMap::new();
        let mut export = self.stand.ledger.transfers(*first, *last);
        loop {
            let chunk = export.next_chunk().await.unwrap();
            if chunk.is_empty() {
                break;
            }
            states.extend(chunk.into_iter().map(|transfer| (transfer.id, transfer.state)));
        }
        for customer in &self.customers {
            customer.check(&states);
        }
        // Of a few, the sums as well: each is a look at the file of its own.
        for customer in self.customers.iter().take(3) {
            let Some(known) = customer.orders.last() else { continue };
            let holder = known.order.holder.clone();
            let statement = self.stand.ledger.statement(holder.contract, holder.members, known.day).await.unwrap();
            let used: u64 = statement.used.iter().map(|used| used.amount.get()).sum();
            assert_eq!(used, customer.counted(known.day));
        }
    }
}

fn no_schedule_of(kind: Kind, cases: u32) {
    let rounds = vec((event(), vec(step(), CUSTOMERS)), 3..6);
    proptest!(Config { cases, failure_persistence: None, ..Config::default() }, |(rounds in rounds)| {
        run(async {
            let name = |number| format!("customer{number}");
            let customers = (0..CUSTOMERS).map(|number| Customer { name: name(number), entered: BTreeMap::new(), orders: vec![] });
            let mut world = World { stand: Stand::new(kind), customers: customers.collect(), latest: None };
            for (event, steps) in &rounds {
                world.happen(event).await;
                world.act_all(steps).await;
            }
            world.check().await;
        });
    });
}

/// 10,000 schedules in all.
#[test]
fn no_schedule_executes_more_than_the_limit() {
    no_schedule_of(Kind::Embedded, CASES);
}

#[test]
fn no_schedule_executes_more_than_the_limit_in_redis() {
    no_schedule_of(Kind::Redis, CASES_OF_REDIS);
}

#[test]
fn no_schedule_executes_more_than_the_limit_in_a_cluster() {
    no_schedule_of(Kind::RedisCluster, CASES_OF_REDIS);
}

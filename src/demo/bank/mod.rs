//! The stand-in bank: a corporate internet-banking application of about 2005, the kind that cannot be changed.
//!
//! It believes `X-Login-Id` without a question, as the real ones do, and checks nothing that a gateway should have
//! checked: whatever reaches it and can be read at all is executed. What it executed stands in its books, which tests
//! take for the truth (REQUIREMENTS 2.16): *the executed sum per contract and day never exceeds the ceiling*.
//!
//! `service` has the sockets and `faults` what goes wrong on them; `path`, `parameters`, `amounts` read a request the way
//! a servlet container and Java do; `desk` chooses the servlet; `entrance`, `transfers` and `offices` are the servlets, `orders` the
//! books, `sessions` what is remembered between two requests, `pages` and `forms` what people see.

mod amounts;
mod answer;
mod desk;
mod digits;
mod entrance;
mod faults;
mod forms;
mod gzip;
mod multipart;
mod offices;
mod orders;
mod pages;
mod parameters;
mod path;
mod service;
mod sessions;
mod transfers;

#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method, Response};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::answer::Paced;
use self::desk::Desk;
use self::faults::Faults;
use crate::domain::{Clock, JstDate, SystemClock};

pub use self::amounts::AmountParser;
pub use self::faults::{Execution, Fault, Gate};
pub use self::orders::{Order, OrderClass, OrderState};

/// A request as the bank read it.
#[derive(Debug, Clone)]
pub struct Received {
    /// GET, POST, …
    pub method: Method,
    /// Path and query.
    pub target: String,
    /// Every header, also the repeated ones.
    pub headers: HeaderMap,
    /// The body, empty until it is read to its end.
    pub body: Bytes,
}

/// What the application does with a list of which one line is bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lists {
    /// The lines before it are executed.
    #[default]
    LineByLine,
    /// None is.
    Atomic,
}

/// What the application does with the hidden token of its forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tokens {
    /// Nothing: a form that is sent twice is executed twice.
    #[default]
    Ignored,
    /// Each is good once, in the session that got it.
    Once,
}

/// Which screens of the wizard fill the form that the session keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Forms {
    /// Its first.
    #[default]
    FilledOnce,
    /// Every one that brings an amount, approvals too: a form of session scope is filled by each request to an action that has it.
    FilledAgain,
    /// Every one, with the fields that it brings: what it leaves out still stands there as an earlier one filled it, also in
    /// lists that are executed in one step.
    FilledFieldByField,
}

/// How the application repeats a customer's text on its error page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Echo {
    /// As text.
    #[default]
    Escaped,
    /// As it came, so that a payee's name can be markup.
    Raw,
}

/// What the container does with `;name=value` in a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PathParameters {
    /// It is cut off; only the session is read.
    #[default]
    CutOff,
    /// It is a parameter of the request like those of the query.
    Merged,
}

impl Echo {
    fn of(self, text: &str) -> String {
        match self {
            Self::Escaped => pages::escape(text),
            Self::Raw => text.to_owned(),
        }
    }
}

/// Which of several real applications this one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Switches {
    /// How amounts are read.
    pub amount_parser: AmountParser,
    /// How lists fail.
    pub lists: Lists,
    /// Whether forms can be sent twice.
    pub tokens: Tokens,
    /// Which screens fill forms.
    pub forms: Forms,
    /// Whether the error page can be written into.
    pub echo: Echo,
    /// How paths are read.
    pub path_parameters: PathParameters,
    /// Where the number of an order stands.
    pub receipts: Receipts,
}

/// Where a customer reads the number of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Receipts {
    /// On the page after the answer.
    #[default]
    OnThePage,
    /// Also in the answer, which leads to that page.
    InTheAnswer,
}

/// What all connections share.
#[derive(Debug)]
struct Office {
    clock: Arc<dyn Clock>,
    faults: Faults,
    desk: Mutex<Desk>,
    executed: watch::Sender<usize>,
    received: watch::Sender<u64>,
    last: Mutex<Option<(u64, Received)>>,
}

impl Office {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, parts: &Parts, body: &[u8]) -> Response<Paced> {
        let mut desk = self.desk();
        let response = desk.serve(parts, body, JstDate::of(self.clock.now()));
        self.executed.send_replace(desk.books.orders().len());
        response
    }

    /// Writes down that a request came; its number.
    fn note(&self, parts: &Parts) -> u64 {
        let (method, target, headers) = (parts.method.clone(), parts.uri.to_string(), parts.headers.clone());
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let number = *self.received.borrow() + 1;
        *last = Some((number, Received { method, target, headers, body: Bytes::new() }));
        self.received.send_replace(number);
        number
    }

    fn note_body(&self, number: u64, body: &Bytes) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, received)) = last.as_mut().filter(|(last, _)| *last == number) {
            received.body = body.clone();
        }
    }
}

/// A bank that is open for as long as this value lives.
#[derive(Debug)]
pub struct Bank {
    address: SocketAddr,
    office: Arc<Office>,
    counter: JoinHandle<()>,
}

impl Bank {
    /// Opens on `listener`, in a task of the current runtime, by the machine's clock.
    pub fn open(listener: TcpListener) -> io::Result<Self> {
        Self::open_at(listener, Arc::new(SystemClock))
    }

    /// The same by another clock.
    pub fn open_at(listener: TcpListener, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let office = Arc::new(Office {
            clock,
            faults: Faults::default(),
            desk: Mutex::default(),
            executed: watch::Sender::new(0),
            received: watch::Sender::new(0),
            last: Mutex::new(None),
        });
        let counter = tokio::spawn(service::accept(listener, Arc::clone(&office)));
        Ok(Self { address, office, counter })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many requests have reached it.
    pub fn received(&self) -> u64 {
        *self.office.received.borrow()
    }

    /// Waits until so many have.
    pub async fn until_received(&self, count: u64) {
        // The sender lives as long as the bank.
        let _ = self.office.received.subscribe().wait_for(|received| *received >= count).await;
    }

    /// The last of them.
    pub fn last(&self) -> Option<Received> {
        let last = self.office.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().map(|(_, received)| received.clone())
    }

    /// Every order that it executed, in that order.
    pub fn executed(&self) -> Vec<Order> {
        self.office.desk().books.orders().to_vec()
    }

    /// Waits until it has executed so many.
    pub async fn until_executed(&self, count: usize) {
        // As above.
        let _ = self.office.executed.subscribe().wait_for(|executed| *executed >= count).await;
    }

    /// 本日の累積額 in yen: the transfers of a contract that became final on a day, whatever day they are meant for.
    /// Files of 総合振込 and 給与・賞与振込 do not count (LIM-03), cancelled transfers do (LIM-21), and a negative amount
    /// counts nothing.
    pub fn executed_sum(&self, contract: &str, day: JstDate) -> u64 {
        self.office.desk().books.executed_sum(contract, day)
    }

    /// The transfers of a contract that are meant for a day, in yen, without cancelled ones (LIM-20, LIM-34).
    pub fn designated_sum(&self, contract: &str, day: JstDate) -> u64 {
        self.office.desk().books.designated_sum(contract, day)
    }

    /// The limits that a contract set itself, by account (`"1"` to `"3"`), in yen. Shown, never enforced.
    pub fn limits(&self, contract: &str) -> Vec<(String, i128)> {
        self.office.desk().books.limits(contract).to_vec()
    }

    /// Puts a login ID under a contract; until then it is a contract of its own.
    pub fn set_contract(&self, login_id: &str, contract: &str) {
        self.office.desk().books.set_contract(login_id, contract);
    }

    /// Gives a contract a balance in yen; until then there is always enough.
    pub fn set_balance(&self, contract: &str, yen: i128) {
        self.office.desk().books.set_balance(contract, yen);
    }

    /// Changes what application it is, for the requests that follow.
    pub fn switch(&self, change: impl FnOnce(&mut Switches)) {
        change(&mut self.office.desk().switches);
    }

    /// The next request that has no fault waiting for it meets this one.
    pub fn fail_next(&self, fault: Fault) {
        self.office.faults.add(fault);
    }

    /// Every request meets this fault from now on; those that waited for the next ones are forgotten.
    pub fn fail_always(&self, fault: Fault) {
        self.office.faults.set(Some(fault));
    }

    /// No faults from now on.
    pub fn recover(&self) {
        self.office.faults.set(None);
    }
}

impl Drop for Bank {
    fn drop(&mut self) {
        self.counter.abort();
    }
}

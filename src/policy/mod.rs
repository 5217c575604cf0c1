//! May they? What a request of a proven visitor is measured by before it is signed and forwarded.
//!
//! [`route`] finds what it is for, [`rate_limit`] how often it may be asked, [`inspect`] reads its [`body`] where the route
//! demands it and holds a [`login`] to the certificate, [`session`] whose session of the application it names, [`limit_notice`] shows a page before the first one where the customer must lower a limit, [`alarms`] look whether
//! it is one that frauds make, and [`reserve`] asks the ledger, within the [`ceiling`] of the day, and tells it who is in
//! [`activity`]; the answer decides its [`consequence`].

pub mod route;
pub mod treatment;
pub mod rate_limit;
pub mod body;
pub mod login;
pub mod buffers;
pub mod inspect;
pub mod session;
pub mod limit_notice;
pub mod alarms;
pub mod ceiling;
pub mod activity;
pub mod reserve;
pub mod consequence;

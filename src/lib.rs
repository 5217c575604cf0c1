//! Sekisho: the checkpoint in front of a legacy internet-banking application.
//!
//! A request crosses three modules, in this order:
//!
//! ```text
//! socket ─ PROXY v2? ─ TLS handshake ─ client certificate ─ identity          connection/   who is there
//!    └─ request ─ still good? ─ one meaning? ─ route ─ rate ─ body ─ ceiling   policy/       may they?
//!         └─ signed header ─ forward ─ answer ─ settle                        upstream/     the bank's answer
//! ```
//!
//! 1. [`connection`]: a socket becomes a [`Visit`](connection::Visit) by a verified customer;
//! 2. [`policy`]: what the request is for, whether it comes too often, what it says, and what the ledger says to it;
//! 3. [`upstream`]: it is scrubbed, signed and forwarded, the answer cleaned, and what it decides settled.
//!
//! [`pipeline`] joins them in one function; start reading there. [`gateway`] keeps it running, [`store`] keeps what must not
//! be forgotten, [`operator`] lets people see and correct, [`config`] turns text into values, [`wire`] is the syntax of
//! HTTP/1.1, [`authority`] makes the development certificates, [`demo`] and [`cli`] are for people.
//!
//! Imports point down this list and never back: cli · demo · gateway · config · operator (control, health) ·
//! pipeline · authority · upstream · policy · connection · store · operator (metrics, audit) · refusal · wire · domain. A test holds the rule.
//!
//! Deliberately absent: global state; an identity taken from a header; a decision that waits for another gateway;
//! a stage that is only announced (sessions and second factors come with their issues).

pub mod cli;
pub mod demo;
pub mod gateway;
pub mod config;
pub mod pipeline;
pub mod authority;
pub mod upstream;
pub mod policy;
pub mod connection;
pub mod store;
pub mod operator;
pub mod refusal;
pub mod wire;
pub mod domain;

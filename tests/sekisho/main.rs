//! What customers, applications and operators observe of a gateway, told from outside. Groups in request order.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a story that cannot go on has failed")]
#![allow(clippy::cast_possible_truncation, reason = "the numbers of the stories are small")]

mod support;

// Who is there.
mod handshake;
mod listeners;
mod proxy_protocol;
mod refusal_page;

// Are they still who they were?
mod blocks;
mod identity;
mod lists;
mod login;
mod registry;
mod revocation;
mod session_binding;
mod session_forms;
mod shared_blocks;
mod shared_registry;
mod validity;

// What the application hears, and what comes back.
mod answers;
mod assertion;
mod forwarding;
mod headers;
mod http1;
mod streaming;
mod upstream_failures;

// What must not get through.
mod abuse;
mod abuse_frames;
mod abuse_http2;
mod abuse_windows;
mod guesses;
mod smuggling;

// Does it move money, how much, and whose?
mod bodies;
mod routes;
mod spellings;

// What a contract may move, and when.
mod alarms;
mod approval;
mod contracts;
mod limit_screen;
mod limits_own;
mod midnight;
mod shared_ledger;
mod observe;
mod rates;
mod repeats;
mod shared_rates;
mod transfers;
mod wizard;

// What became of it.
mod cancelling;
mod crash;
mod outcomes;

// What operators do and see.
mod adjust;
mod audit;
mod exempt;
mod exit_codes;
mod fleet;
mod ledger_commands;
mod limits_import;
mod logging;
mod lost_stores;
mod operator;
mod registry_commands;
mod reload;
mod secrets;
mod shutdown;

// What each of the five institutions announced.
mod profile_date;
mod profile_kenmin;
mod profile_kyoei;
mod profile_statements;
mod profile_takashin;
mod profile_tsuru;

// What stands beside the program.
mod amounts;
mod tidy;
mod verifiers;

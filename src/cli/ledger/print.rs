//! The process's answers, for people.

use std::io::{self, Write};

use serde_json::Value;

use crate::cli::table::{Align, Table};
use crate::domain::Yen;

/// A contract's day.
pub(super) fn statement(answer: &Value, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "contract   {}", text(answer, "contract"))?;
    writeln!(out, "day        {}", text(answer, "day"))?;
    writeln!(out, "ceiling    {}", yen_or(answer, "ceiling", "none holds: no transfer is possible"))?;
    writeln!(out, "own limit  {}", yen_or(answer, "own_limit", "none"))?;
    if let Some(reason) = answer["awaits_acceptance"].as_str() {
        writeln!(out, "NO TRANSFER IS POSSIBLE: the store waits for `sekisho ledger accept`: {reason}")?;
    }
    writeln!(out)?;
    sums(answer, out)?;
    let mut used = Table::new([("login ID", Align::Left), ("basis", Align::Left), ("used", Align::Right)]);
    for one in rows(answer, "used") {
        used.row([text(one, "login_id"), text(one, "basis"), yen_or(one, "yen", "-")]);
    }
    writeln!(out)?;
    used.print(out)?;
    writeln!(out)?;
    transfers(answer, out)
}

/// What is used and left of a day.
fn sums(answer: &Value, out: &mut dyn Write) -> io::Result<()> {
    let header = [("basis", Align::Left), ("limit", Align::Right), ("used", Align::Right), ("left", Align::Right)];
    let mut sums = Table::new(header);
    for sum in rows(answer, "sums") {
        sums.row([text(sum, "basis"), yen_or(sum, "limit", "-"), yen_or(sum, "used", "-"), yen_or(sum, "left", "-")]);
    }
    sums.print(out)
}

/// A transfer that was added, and what is left of its day.
pub(super) fn added(answer: &Value, out: &mut dyn Write) -> io::Result<()> {
    settled(answer, out)?;
    writeln!(out, "it counts on {}\n", text(answer, "day"))?;
    sums(answer, out)
}

/// The transfers that wait for a decision.
pub(super) fn unknown(answer: &Value, out: &mut dyn Write) -> io::Result<()> {
    match rows(answer, "transfers").len() {
        0 => writeln!(out, "no transfer is unknown"),
        _ => transfers(answer, out),
    }
}

fn transfers(answer: &Value, out: &mut dyn Write) -> io::Result<()> {
    let mut table = Table::new([
        ("time in Japan", Align::Left),
        ("state", Align::Left),
        ("yen", Align::Right),
        ("login ID", Align::Left),
        ("route", Align::Left),
        ("transfer", Align::Left),
        ("why", Align::Left),
    ]);
    for transfer in rows(answer, "transfers") {
        table.row([
            // 2026-11-02T10:00:00.123+09:00
            text(transfer, "reserved_at").chars().take(19).collect::<String>().replace('T', " "),
            text(transfer, "state"),
            yen_or(transfer, "yen", "-"),
            text(transfer, "login_id"),
            text(transfer, "route"),
            text(transfer, "id"),
            text(transfer, "why"),
        ]);
    }
    table.print(out)
}

/// A transfer that an operator settled.
pub(super) fn settled(answer: &Value, out: &mut dyn Write) -> io::Result<()> {
    let (id, state, yen) = (text(answer, "id"), text(answer, "state"), yen_or(answer, "yen", "-"));
    writeln!(out, "{id} of {}, {yen} yen, is {state}", text(answer, "contract"))
}

/// A store that was accepted.
pub(super) fn accepted(answer: &Value, out: &mut dyn Write) -> io::Result<()> {
    let (store, sequence) = (text(answer, "store"), answer["sequence"].as_u64().unwrap_or_default());
    writeln!(out, "accepted: store {store}, reservation {sequence}, and the present clock")?;
    match answer["waited"].as_str() {
        Some(reason) => writeln!(out, "it had waited because {reason}"),
        None => writeln!(out, "it had not waited to be accepted"),
    }
}

/// A limit that was kept or forgotten.
pub(super) fn own_limit(answer: &Value, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "the own limit of {} is {}", text(answer, "contract"), yen_or(answer, "own_limit", "forgotten"))
}

/// Limits that were imported at once.
pub(super) fn own_limits(answer: &Value, out: &mut dyn Write) -> io::Result<()> {
    let count = |name: &str| answer[name].as_u64().unwrap_or_default();
    writeln!(out, "{} own limits are imported, {} forgotten", count("imported"), count("forgotten"))
}

/// The gateways that share the ledger.
pub(super) fn members(answer: &Value, out: &mut dyn Write) -> io::Result<()> {
    if let Some(why) = answer["money_stands_still_because"].as_str() {
        writeln!(out, "NO TRANSFER IS POSSIBLE: {}", why.replace(char::is_control, "\u{fffd}"))?;
    }
    if answer["is_shared"] != true {
        return writeln!(out, "the ledger is this gateway's own: no other one shares it");
    }
    let mut table = Table::new([("gateway", Align::Left), ("which", Align::Left), ("money waits for it", Align::Left)]);
    for member in rows(answer, "members") {
        let word = |name: &str, yes: &str, no: &str| if member[name] == true { yes } else { no }.to_owned();
        table.row([
            text(member, "name"),
            word("is_this", "this one", "another"),
            word("money_waits_for_it", "yes", "no"),
        ]);
    }
    table.print(out)
}

/// A gateway that was given up.
pub(super) fn written_off(answer: &Value, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{} is written off; what it had on its way is unknown now", text(answer, "member"))?;
    for other in rows(answer, "money_still_waits_for").iter().filter_map(Value::as_str) {
        writeln!(out, "money still waits for {other}")?;
    }
    Ok(())
}

fn rows<'a>(answer: &'a Value, name: &str) -> &'a [Value] {
    answer[name].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text(object: &Value, name: &str) -> String {
    object[name].as_str().unwrap_or_default().replace(char::is_control, "\u{fffd}")
}

fn yen_or(object: &Value, name: &str, otherwise: &str) -> String {
    object[name].as_u64().and_then(Yen::new).map_or_else(|| otherwise.to_owned(), Yen::grouped)
}

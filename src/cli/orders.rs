//! Orders to the running process: who gives them and why, and how its answer is printed.

use std::io::{self, Write};

use anyhow::Context;
use clap::Args;
use http::{Method, StatusCode};
use serde_json::Value;

use super::Failure;
use super::control::{Control, RunningProcess};
use crate::domain::Clock;

/// Who acts, and why: for the audit log.
#[derive(Debug, Args)]
pub(super) struct By {
    /// Why; it stands in the audit log
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Who acts [default: the user of this shell]
    #[arg(long, value_name = "NAME")]
    operator: Option<String>,
}

impl By {
    /// The reason and the operator.
    pub(super) fn into_parts(self) -> (String, String) {
        (self.reason, self.operator.unwrap_or_else(user_of_this_shell))
    }
}

/// How an answer is printed for people.
pub(super) type Print = fn(&Value, &mut dyn Write) -> io::Result<()>;

/// Gives an order that changes something, and says what came of it.
pub(super) fn acted(
    process: &RunningProcess,
    clock: &dyn Clock,
    target: &str,
    order: Value,
    by: By,
    print: Print,
) -> Result<(), Failure> {
    ordered(&process.control(clock)?, target, order, by, print)
}

/// The same of a process that is known already.
pub(super) fn ordered(control: &Control, target: &str, mut order: Value, by: By, print: Print) -> Result<(), Failure> {
    let (reason, operator) = by.into_parts();
    order["reason"] = reason.into();
    order["operator"] = operator.into();
    let answer = control.ask(Method::POST, target, Some(&order))?;
    if answer.status == StatusCode::ACCEPTED {
        return Err(Failure::Proposed(answer.text.trim_end().to_owned()));
    }
    told(&answer.followed()?, false, print)
}

/// Prints an answer as it came, or for people.
pub(super) fn told(answer: &str, as_json: bool, print: Print) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    if as_json {
        out.write_all(answer.as_bytes())?;
    } else {
        let answer = serde_json::from_str(answer).context("the process answered what is no JSON")?;
        print(&answer, &mut out)?;
    }
    Ok(out.flush()?)
}

/// The name that the record gets where none is given; the process adds the user that the kernel knows.
pub(super) fn user_of_this_shell() -> String {
    let names = ["SUDO_USER", "LOGNAME", "USER"].into_iter().filter_map(|name| std::env::var(name).ok());
    names.map(|name| name.trim().to_owned()).find(|name| !name.is_empty()).unwrap_or_else(|| "unnamed".to_owned())
}

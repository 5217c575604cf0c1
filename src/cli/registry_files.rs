//! Files of the registry, in and out: `contract import | export`, `certificate import | export`.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use http::Method;
use serde_json::Value;

use super::Failure;
use super::control::RunningProcess;
use super::orders::{By, told, user_of_this_shell};
use super::output::{Format, write_to};
use crate::domain::Clock;
use crate::operator::control::encoded;

/// A million lines take seconds.
const PATIENCE: Duration = Duration::from_secs(600);

#[derive(Debug, Args)]
pub(super) struct Import {
    /// The file: JSON lines, or CSV with a header
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// How it is written [default: by its name: .csv is CSV]
    #[arg(long, value_enum)]
    format: Option<Format>,
    #[command(flatten)]
    by: By,
    #[command(flatten)]
    process: RunningProcess,
}

#[derive(Debug, Args)]
pub(super) struct Export {
    /// One JSON object per line, or CSV
    #[arg(long, value_enum, default_value_t = Format::Jsonl)]
    format: Format,
    /// The file, made with mode 0600; it appears once it is whole. A pipe or a device is written to as it is
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Who asks [default: the user of this shell]
    #[arg(long, value_name = "NAME")]
    operator: Option<String>,
    #[command(flatten)]
    process: RunningProcess,
}

impl Import {
    /// Imports a file of this kind; `permission` is what it may do besides.
    pub(super) fn run(self, kind: &str, permission: Option<&str>, clock: &dyn Clock) -> Result<(), Failure> {
        let Self { file, format, by, process } = self;
        let format = format.unwrap_or_else(|| by_name(&file));
        let bytes = std::fs::read(&file).with_context(|| format!("{} cannot be read", file.display()))?;
        let (reason, operator) = by.into_parts();
        let (reason, operator) = (encoded(&reason), encoded(&operator));
        let mut target =
            format!("/registry/import?kind={kind}&format={}&reason={reason}&operator={operator}", format.word());
        if let Some(permission) = permission {
            target.push_str(&format!("&{permission}=true"));
        }
        let control = process.control(clock)?.patient(PATIENCE);
        let answer = control.send_file(Method::POST, &target, bytes)?.followed()?;
        told(&answer, false, |answer, out| {
            let number = |name: &str| answer[name].as_u64().unwrap_or_default();
            writeln!(out, "{} lines imported, {} of them changed something", number("lines"), number("changed"))
        })
    }
}

impl Export {
    /// Exports a file of this kind.
    pub(super) fn run(self, kind: &str, clock: &dyn Clock) -> Result<(), Failure> {
        let Self { format, output, operator, process } = self;
        let operator = encoded(&operator.unwrap_or_else(user_of_this_shell));
        let target = format!("/registry/export?kind={kind}&format={}&operator={operator}", format.word());
        let control = process.control(clock)?;
        write_to(output.as_deref(), |out| control.fetch(&target, out))
    }
}

fn by_name(file: &Path) -> Format {
    let is_csv = file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
    if is_csv { Format::Csv } else { Format::Jsonl }
}

/// Prints every page of a list, up to so many things; `next` names what follows an answer.
pub(super) fn each_page(
    control: &super::control::Control,
    most: Option<usize>,
    target: impl Fn(&Value, usize) -> String,
    list: &str,
    mut print: impl FnMut(&[Value]) -> io::Result<()>,
) -> Result<(), Failure> {
    const PAGE: usize = 1_000;
    let (mut left, mut next) = (most.unwrap_or(usize::MAX), Value::Null);
    while left > 0 {
        let answer = control.ask(Method::GET, &target(&next, left.min(PAGE)), None)?.followed()?;
        let mut answer: Value = serde_json::from_str(&answer).context("the process answered what is no JSON")?;
        let page = answer[list].as_array().map(Vec::as_slice).unwrap_or_default();
        print(page)?;
        left = left.saturating_sub(page.len());
        next = answer["next"].take();
        if next.is_null() {
            break;
        }
    }
    Ok(io::stdout().lock().flush()?)
}

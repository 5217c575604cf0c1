//! `sekisho ledger own-limit`: what customers may move at most by their own will, of one contract or out of a file (LIM-06).
//!
//! A file is read in whole before anything is sent, and each mistake in it is told with its line.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Args;
use serde_json::{Value, json};

use super::{By, acted, contract, ordered, print, yen};
use crate::cli::Failure;
use crate::cli::control::RunningProcess;
use crate::domain::{Clock, ContractId, Yen};
use crate::operator::control::{MAX_LIMITS, encoded};

/// Each limit is durable and on record before the process answers; that may take a slow disk minutes.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// A first line that names the columns.
const HEADER: &str = "contract,yen";

/// Of more mistakes, the number is told.
const MOST_TOLD: usize = 20;

/// Import customers' own daily limits, or forget them
///
/// A gateway learns a customer's own limit when the application accepts one; those that were set before it came, it must be
/// told. A file holds a line `contract,yen` of each contract, in CSV. With a mistake in any line, nothing of it is imported.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sekisho ledger own-limit hanakodt 5000000 --reason 'paper form of 2026-11-02'
  sekisho ledger own-limit hanakodt none --reason 'imported for the wrong contract'
  sekisho ledger own-limit --file limits.csv --reason 'from the core system, 2026-11-02'

Exit codes: 0 kept and on record · 70 refused, or a mistake in the file · 75 proposed · 78 mistakes in the configuration")]
pub(in crate::cli) struct OwnLimit {
    /// The contract
    #[arg(value_name = "CONTRACT", value_parser = contract, requires = "own", required_unless_present = "file")]
    contract: Option<ContractId>,
    /// The limit in yen, or `none`: the customer has none, and the ceiling holds
    #[arg(value_name = "YEN", value_parser = own)]
    own: Option<Own>,
    /// Lines of `contract,yen`, where yen may be `none`
    #[arg(long, value_name = "CSV", conflicts_with_all = ["contract", "own"])]
    file: Option<PathBuf>,
    #[command(flatten)]
    by: By,
    #[command(flatten)]
    process: RunningProcess,
}

/// A limit as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Own {
    None,
    Yen(Yen),
}

impl Own {
    fn json(self) -> Value {
        match self {
            Self::None => Value::Null,
            Self::Yen(yen) => yen.get().into(),
        }
    }
}

impl OwnLimit {
    pub(super) fn run(self, clock: &dyn Clock) -> Result<(), Failure> {
        let Self { contract, own, file, by, process } = self;
        match (file, contract.zip(own)) {
            (Some(file), _) => {
                let limits = read(&file)?;
                let limits: Vec<Value> = limits
                    .iter()
                    .map(|(contract, own)| json!({ "contract": contract.as_str(), "yen": own.json() }))
                    .collect();
                let control = process.control(clock)?.patient(PATIENCE);
                ordered(&control, "/ledger/limits", json!({ "limits": limits }), by, print::own_limits)
            }
            (None, Some((contract, own))) => {
                let target = format!("/ledger/limits/{}", encoded(contract.as_str()));
                acted(&process, clock, &target, json!({ "yen": own.json() }), by, print::own_limit)
            }
            (None, None) => Err(anyhow!("a contract and its limit are missing").into()),
        }
    }
}

fn own(text: &str) -> Result<Own, String> {
    if text == "none" {
        return Ok(Own::None);
    }
    yen(text).map(Own::Yen).map_err(|_| "a limit is whole yen, digits only, or `none`".to_owned())
}

fn read(file: &Path) -> anyhow::Result<Vec<(ContractId, Own)>> {
    let bytes = std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let mistakes = match parse(&bytes) {
        Ok(limits) => return Ok(limits),
        Err(mistakes) => mistakes,
    };
    let mut said = format!("{}: nothing is imported", file.display());
    for mistake in mistakes.iter().take(MOST_TOLD) {
        said.push_str(&format!("\n{mistake}"));
    }
    if let Some(more) = mistakes.len().checked_sub(MOST_TOLD).filter(|more| *more > 0) {
        said.push_str(&format!("\nand {more} more"));
    }
    Err(anyhow!(said))
}

/// The limits in a file, or what is wrong with its lines.
fn parse(bytes: &[u8]) -> Result<Vec<(ContractId, Own)>, Vec<String>> {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    let (mut limits, mut mistakes, mut seen) = (Vec::new(), Vec::new(), HashMap::new());
    let lines = bytes.strip_suffix(b"\n").unwrap_or(bytes).split(|byte| *byte == b'\n');
    for (number, line) in (1_usize..).zip(lines) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if number == 1 && line == HEADER.as_bytes() {
            continue;
        }
        match parse_line(line) {
            Err(why) => mistakes.push(format!("line {number}: {why}")),
            Ok((contract, own)) => match seen.insert(contract.clone(), number) {
                Some(before) => mistakes.push(format!("line {number}: {contract} stands in line {before} already")),
                None => limits.push((contract, own)),
            },
        }
    }
    if limits.len() > MAX_LIMITS {
        mistakes.push(format!("{} lines are more than {MAX_LIMITS}: split the file", limits.len()));
    }
    if limits.is_empty() && mistakes.is_empty() {
        mistakes.push("there is no line".to_owned());
    }
    if mistakes.is_empty() { Ok(limits) } else { Err(mistakes) }
}

fn parse_line(line: &[u8]) -> Result<(ContractId, Own), String> {
    let shape = || "it is not `contract,yen`".to_owned();
    let line = std::str::from_utf8(line).map_err(|_| shape())?;
    let (name, rest) = field(line).ok_or_else(shape)?;
    let (limit, rest) = field(rest.strip_prefix(',').ok_or_else(shape)?).ok_or_else(shape)?;
    if !rest.is_empty() {
        return Err(shape());
    }
    Ok((contract(&name)?, own(&limit)?))
}

/// The first field of a line (RFC 4180), and what follows it; `None` where quotes do not pair.
fn field(line: &str) -> Option<(String, &str)> {
    let Some(mut rest) = line.strip_prefix('"') else {
        let (field, rest) = line.split_at(line.find(',').unwrap_or(line.len()));
        return (!field.contains('"')).then(|| (field.to_owned(), rest));
    };
    let mut field = String::new();
    loop {
        let (text, after) = rest.split_once('"')?;
        field.push_str(text);
        match after.strip_prefix('"') {
            Some(more) => {
                field.push('"');
                rest = more;
            }
            None => return Some((field, after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(bytes: &[u8]) -> Result<Vec<String>, Vec<String>> {
        let word = |(contract, own): &(ContractId, Own)| format!("{contract} {own:?}");
        parse(bytes).map(|limits| limits.iter().map(word).collect())
    }

    #[test]
    fn a_file_is_read_as_people_and_spreadsheets_write_it() {
        let two = ["hanakodt Yen(Yen(5000000))", "tarokodt None"].map(str::to_owned).to_vec();
        for text in [
            "hanakodt,5000000\ntarokodt,none\n",
            "hanakodt,5000000\ntarokodt,none",
            "contract,yen\r\nhanakodt,5000000\r\ntarokodt,none\r\n",
            "\u{feff}contract,yen\n\"hanakodt\",\"5000000\"\ntarokodt,none\n",
        ] {
            assert_eq!(told(text.as_bytes()), Ok(two.clone()), "{text:?}");
        }
        let odd = "\"a,\"\"b\"\"\",0\n=1+2,1\n";
        assert_eq!(told(odd.as_bytes()).unwrap(), ["a,\"b\" Yen(Yen(0))", "=1+2 Yen(Yen(1))"]);
    }

    #[test]
    fn each_mistake_is_told_with_its_line() {
        for (line, why) in [
            ("", "not `contract,yen`"),
            ("tarokodt", "not `contract,yen`"),
            ("tarokodt,1,2", "not `contract,yen`"),
            ("tarokodt,100,000", "not `contract,yen`"),
            ("\"tarokodt,1", "not `contract,yen`"),
            ("taro\"kodt,1", "not `contract,yen`"),
            ("\"tarokodt\"x,1", "not `contract,yen`"),
            ("tarokodt;1", "not `contract,yen`"),
            ("tarokodt,", "whole yen"),
            ("tarokodt,-1", "whole yen"),
            ("tarokodt,1.5", "whole yen"),
            ("tarokodt,1e9", "whole yen"),
            ("tarokodt, 1", "whole yen"),
            ("tarokodt,１００", "whole yen"),
            ("tarokodt,\"100,000\"", "whole yen"),
            ("tarokodt,9007199254740992", "whole yen"),
            ("tarokodt,NONE", "whole yen"),
            ("taro kodt,1", "a contract's name"),
            ("太郎,1", "a contract's name"),
            (",1", "a contract's name"),
            ("contract,yen", "whole yen"),
            ("hanakodt,2", "hanakodt stands in line 1 already"),
        ] {
            let mistakes = told(format!("hanakodt,1\n{line}\nsaburodt,1\n").as_bytes()).expect_err(line);
            assert_eq!(mistakes.len(), 1, "{line}: {mistakes:?}");
            assert!(mistakes[0].starts_with("line 2: ") && mistakes[0].contains(why), "{line}: {mistakes:?}");
        }
        assert_eq!(told(b"a,1\nb,x\n\xff,1\n").unwrap_err().len(), 2);
        assert_eq!(told(b"").unwrap_err(), ["line 1: it is not `contract,yen`"]);
        assert_eq!(told(b"contract,yen\n").unwrap_err(), ["there is no line"]);
    }
}

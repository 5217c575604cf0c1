//! What would have been refused, were it enforced: a bank finds its undeclared routes in it (LIM-29, LIM-38).
//!
//! A bank that begins to observe may see every request of its customers here. So the first of a kind (method, path, reason and
//! route) is recorded at once, and the others of the hour are counted and told at its end, or when the log is closed. Of
//! kinds there are only so many in an hour; what comes beyond them is one number.
//!
//! Deliberately absent: who asked, and what was in the query.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::path::PathBuf;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::action::Action;
use super::line::name;
use super::record::{Record, UrlPath};

/// How long equal ones are counted together.
const PERIOD: SignedDuration = SignedDuration::from_hours(1);

/// How many kinds are told in a period.
const MOST_KINDS: usize = 500;

/// Longer paths are cut: what is to be declared begins like this.
const MAX_PATH_BYTES: usize = 200;
const MAX_METHOD_BYTES: usize = 16;

/// A request that would have been refused, and went on.
#[derive(Debug, Clone, Copy)]
pub struct Observation<'r> {
    /// The refusal's code.
    pub reason: &'static str,
    /// The request's method.
    pub method: &'r str,
    /// Its target in canonical form; only the path is kept.
    pub target: &'r str,
    /// The route it was taken for.
    pub route: &'r Arc<str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Kind {
    reason: &'static str,
    method: Box<str>,
    path: UrlPath,
    route: Arc<str>,
}

/// What was seen in this period.
#[derive(Debug, Default)]
pub(super) struct Observations {
    ends: Option<Timestamp>,
    /// How many of each kind have not been told.
    kinds: HashMap<Kind, u64>,
    /// How many were of yet another kind.
    beyond: u64,
}

impl Observations {
    /// Takes one in, and returns what is to be recorded now: nearly always nothing.
    pub fn take(&mut self, seen: &Observation<'_>, now: Timestamp) -> Vec<Record> {
        let mut told = Vec::new();
        if self.ends.is_none_or(|ends| ends <= now) {
            told = self.end();
            self.ends = now.checked_add(PERIOD).ok();
        }
        let kind = Kind::of(seen);
        if let Some(count) = self.kinds.get_mut(&kind) {
            *count += 1;
        } else if self.kinds.len() < MOST_KINDS {
            told.push(kind.record(1));
            self.kinds.insert(kind, 0);
        } else {
            self.beyond += 1;
        }
        told
    }

    /// What has not been told yet; the next one begins a new period.
    pub fn end(&mut self) -> Vec<Record> {
        let counted = self.kinds.drain().filter(|(_, count)| *count > 0);
        let mut told: Vec<Record> = counted.map(|(kind, count)| kind.record(count)).collect();
        if self.beyond > 0 {
            told.push(Record { count: Some(self.beyond), ..Record::new(Action::Observed) });
        }
        *self = Self::default();
        told
    }
}

impl Kind {
    fn of(seen: &Observation<'_>) -> Self {
        let method = &seen.method[..seen.method.floor_char_boundary(MAX_METHOD_BYTES)];
        let path = UrlPath::of(seen.target).cut(MAX_PATH_BYTES);
        Self { reason: seen.reason, method: method.into(), path, route: Arc::clone(seen.route) }
    }

    fn record(&self, count: u64) -> Record {
        Record {
            reason: Some(self.reason.into()),
            method: Some(self.method.clone()),
            path: Some(self.path.clone()),
            route: Some(Arc::clone(&self.route)),
            count: Some(count),
            ..Record::new(Action::Observed)
        }
    }
}

/// One line of what a log tells: a kind, and how often it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tallied {
    /// How often.
    pub count: u64,
    /// The method; like the rest, empty where there were too many kinds to tell.
    pub method: String,
    /// The path.
    pub path: String,
    /// The refusal's code.
    pub reason: String,
    /// The route it was taken for.
    pub route: String,
}

/// Adds up what logs tell, the most frequent first. An end that is still being written is left out.
///
/// # Errors
/// A file that cannot be read, or holds a line that is no record.
pub fn tally(files: &[PathBuf]) -> io::Result<Vec<Tallied>> {
    let mut counts: HashMap<[String; 4], u64> = HashMap::new();
    for file in files {
        let in_file = |error: &dyn std::fmt::Display| io::Error::other(format!("{}: {error}", file.display()));
        let mut lines = BufReader::new(File::open(file).map_err(|error| in_file(&error))?);
        let mut line = String::new();
        while lines.read_line(&mut line).map_err(|error| in_file(&error))? > 0 {
            if !line.ends_with('\n') {
                break;
            }
            // Most lines are about something else.
            if line.contains(Action::Observed.word()) {
                let record: Value = serde_json::from_str(&line).map_err(|error| in_file(&error))?;
                if record[name::ACTION] == Action::Observed.word() {
                    let text = |name: &str| record[name].as_str().unwrap_or_default().to_owned();
                    let kind = [name::METHOD, name::PATH, name::REASON, name::ROUTE].map(text);
                    *counts.entry(kind).or_default() += record[name::COUNT].as_u64().unwrap_or(1);
                }
            }
            line.clear();
        }
    }
    let mut tallied: Vec<Tallied> = counts
        .into_iter()
        .map(|([method, path, reason, route], count)| Tallied { count, method, path, reason, route })
        .collect();
    tallied.sort_by(|a, b| {
        b.count.cmp(&a.count).then_with(|| (&a.path, &a.method, &a.reason).cmp(&(&b.path, &b.method, &b.reason)))
    });
    Ok(tallied)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noon() -> Timestamp {
        "2026-11-02T03:00:00Z".parse().unwrap()
    }

    fn see(observations: &mut Observations, target: &str, now: Timestamp) -> Vec<(String, u64)> {
        let route: Arc<str> = "other".into();
        let seen = Observation { reason: "unknown_route", method: "POST", target, route: &route };
        told(observations.take(&seen, now))
    }

    fn told(records: Vec<Record>) -> Vec<(String, u64)> {
        let path = |record: &Record| record.path.as_ref().map_or("-", UrlPath::as_str).to_owned();
        records.iter().map(|record| (path(record), record.count.unwrap())).collect()
    }

    #[test]
    fn the_first_of_a_kind_is_told_at_once_and_the_others_at_the_end_of_the_hour() {
        let mut observations = Observations::default();
        assert_eq!(see(&mut observations, "/a?password=1", noon()), [("/a".to_owned(), 1)]);
        for _ in 0..3 {
            assert_eq!(see(&mut observations, "/a;jsessionid=1?password=2", noon()), []);
        }
        assert_eq!(see(&mut observations, "/b", noon()), [("/b".to_owned(), 1)]);
        let later = noon() + PERIOD;
        assert_eq!(see(&mut observations, "/b", later), [("/a".to_owned(), 3), ("/b".to_owned(), 1)]);
        assert_eq!(see(&mut observations, "/b", later), []);
        assert_eq!(told(observations.end()), [("/b".to_owned(), 1)], "when the log is closed");
        assert_eq!(told(observations.end()), []);
    }

    #[test]
    fn nobody_floods_the_log_with_kinds_or_lengths() {
        let mut observations = Observations::default();
        let long = format!("/{}", "x".repeat(10_000));
        assert_eq!(see(&mut observations, &long, noon())[0].0.len(), MAX_PATH_BYTES);
        let recorded: usize =
            (0..10_000).map(|number| see(&mut observations, &format!("/{number}"), noon()).len()).sum();
        assert_eq!(recorded, MOST_KINDS - 1);
        assert_eq!(told(observations.end()), [("-".to_owned(), 10_001 - MOST_KINDS as u64)]);
    }

    #[test]
    fn logs_are_added_up_and_a_torn_end_is_left_out() {
        let directory = tempfile::TempDir::new().unwrap();
        let file = directory.path().join("audit.jsonl");
        let line = |path: &str, count: u64| {
            format!(
                "{{\"event.action\":\"observed\",\"event.reason\":\"unknown_route\",\"http.request.method\":\"GET\",\
                 \"url.path\":\"{path}\",\"sekisho.route\":\"other\",\"sekisho.count\":{count}}}\n"
            )
        };
        let other = "{\"event.action\":\"refused\",\"url.path\":\"/observed\"}\n";
        let text = [&line("/a", 1), other, &line("/b", 1), &line("/b", 4), "{\"event.action\":\"observed\""].concat();
        std::fs::write(&file, text).unwrap();
        let tallied = tally(&[file.clone(), file]).unwrap();
        let rows: Vec<_> = tallied.iter().map(|row| (row.count, row.path.as_str())).collect();
        assert_eq!(rows, [(10, "/b"), (2, "/a")]);
        assert_eq!((&*tallied[0].method, &*tallied[0].reason, &*tallied[0].route), ("GET", "unknown_route", "other"));
        assert!(tally(&[directory.path().join("none")]).is_err());
    }
}

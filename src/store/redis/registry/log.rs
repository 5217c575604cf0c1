//! The log's entries: how far they were read, and how rows become entries and come back (script/registry.lua).

use crate::store::registry::{Place, Reach, Versioned};

/// The most octets of rows in one entry.
const PART: usize = 256 << 10;

/// How far the log was read.
#[derive(Debug, Default)]
pub(super) struct Cursor {
    /// The last place where a set ended.
    pub place: Place,
    /// The first line of the last entry that was read.
    pub known: String,
    /// Entries that were read, also of a set that has not ended.
    pub position: u64,
    pub pending: Pending,
}

impl Cursor {
    /// At the end of a set.
    pub fn at(place: Place) -> Self {
        Self { position: place.position, known: place.token.clone(), place, pending: Pending::default() }
    }
}

/// Parts of a set that is not complete.
#[derive(Debug, Default)]
pub(super) struct Pending {
    set: String,
    rows: Vec<Versioned>,
}

impl Pending {
    /// Reads an entry: what is in force with it; `Some(None)` where nothing is yet, `None` where it is no entry.
    pub fn read(&mut self, entry: &str) -> Option<Option<(Vec<Versioned>, Reach)>> {
        let (head, body) = entry.split_once('\n').unwrap_or((entry, ""));
        let words: Vec<&str> = head.split(' ').collect();
        let rows: Vec<Versioned> = body.lines().map(Versioned::read).collect::<Option<_>>()?;
        let set = (*words.get(1)?).to_owned();
        if self.set != set {
            *self = Self { set, rows: Vec::new() };
        }
        self.rows.extend(rows);
        match *words {
            ["part", _, _] => Some(None),
            ["whole", _, _, reach] => {
                let reach = match reach {
                    "everybody" => Reach::Everybody,
                    "nobody" => Reach::Nobody,
                    _ => return None,
                };
                Some(Some((std::mem::take(&mut self.rows), reach)))
            }
            ["abort", _, _] => {
                self.rows.clear();
                Some(Some((Vec::new(), Reach::Nobody)))
            }
            _ => None,
        }
    }
}

/// Rows as the bodies of entries.
pub(super) fn in_parts(rows: &[Versioned]) -> Vec<String> {
    let mut parts = vec![String::new()];
    for row in rows {
        let line = row.line();
        match parts.last_mut() {
            Some(part) if part.len() + line.len() < PART => {
                if !part.is_empty() {
                    part.push('\n');
                }
                part.push_str(&line);
            }
            Some(_) | None => parts.push(line),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::registry::{Change, Version};

    #[test]
    fn a_set_that_was_given_up_is_passed_over() {
        let row = |number| {
            let change = Change::NoContract(crate::domain::ContractId::parse("tanaka").unwrap());
            Versioned { version: Version { number, process: "p".into() }, change }
        };
        let mut pending = Pending::default();
        assert_eq!(pending.read(&format!("part a 1\n{}", row(1).line())), Some(None));
        assert_eq!(pending.read("abort a t1"), Some(Some((Vec::new(), Reach::Nobody))));
        assert_eq!(pending.read(&format!("part b 1\n{}", row(2).line())), Some(None));
        let whole = pending.read(&format!("whole b t2 everybody\n{}", row(3).line()));
        assert_eq!(whole, Some(Some((vec![row(2), row(3)], Reach::Everybody))));
        // A part whose set nobody ended, and another set.
        assert_eq!(pending.read(&format!("part c 1\n{}", row(4).line())), Some(None));
        let whole = pending.read(&format!("whole d t3 nobody\n{}", row(5).line()));
        assert_eq!(whole, Some(Some((vec![row(5)], Reach::Nobody))));
        for bad in ["", "whole", "whole d", "whole d t", "whole d t somebody", "part e", "whole d t nobody\nx"] {
            assert_eq!(pending.read(bad), None, "{bad}");
        }
    }

    #[test]
    fn rows_are_parted_and_come_back() {
        let row = |number: u64| {
            let change = Change::NoContract(crate::domain::ContractId::parse(&format!("c{number}")).unwrap());
            Versioned { version: Version { number, process: "p".into() }, change }
        };
        let rows: Vec<Versioned> = (0..30_000).map(row).collect();
        let parts = in_parts(&rows);
        assert!(parts.len() > 1 && parts.iter().all(|part| !part.is_empty() && part.len() <= PART));
        let read: Vec<Versioned> = parts.iter().flat_map(|part| part.lines()).filter_map(Versioned::read).collect();
        assert!(read == rows);
    }
}

//! One configuration file: its values, and the line of each.
//!
//! Tables that have a name (`[[listener]]`) become a dictionary by that name, so that a later layer can change one of
//! them. The `toml` crate reads the text because it keeps positions, which figment's own provider does not.

use std::collections::BTreeMap;

use figment::value::{Dict, Empty, Num, Tag, Value};
use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use super::NAMED_TABLES;

/// A file that is TOML.
#[derive(Debug, Default)]
pub(super) struct Document {
    /// Its values.
    pub(super) values: Dict,
    /// The line of each key by its full name, `trust.ca[1]` for one of a list.
    pub(super) lines: BTreeMap<String, usize>,
    /// Named tables that stand twice in this file: line, full name and name.
    pub(super) repeated: Vec<(usize, String, String)>,
}

/// What makes a file no TOML, with its line.
pub(super) type SyntaxMistake = (Option<usize>, String);

impl Document {
    /// Reads a whole file.
    pub(super) fn parse(text: &str) -> Result<Self, Vec<SyntaxMistake>> {
        let (table, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            let line = |error: &toml::de::Error| error.span().map(|span| line_of(text, span.start));
            let mut found: Vec<_> =
                errors.iter().map(|error| (line(error), error.message().replace('\n', ", "))).collect();
            found.sort_by_key(|(line, _)| *line);
            // Recovery after the first error of a line guesses; only the first is worth reading.
            found.dedup_by_key(|(line, _)| *line);
            return Err(found);
        }
        let mut document = Self::default();
        let mut reader = Reader { text, document: &mut document };
        let values = reader.table("", table.get_ref());
        document.values = values;
        Ok(document)
    }
}

/// The full name of `key` within the section `path`.
pub(super) fn full_name(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// How names of tables are compared: `_` is `-`, and case does not count, as variables can write neither.
pub(super) fn folded(name: &str) -> String {
    name.replace('_', "-").to_ascii_lowercase()
}

struct Reader<'t> {
    text: &'t str,
    document: &'t mut Document,
}

impl Reader<'_> {
    fn table(&mut self, path: &str, table: &DeTable<'_>) -> Dict {
        let mut values = Dict::new();
        for (key, value) in table {
            let name = full_name(path, key.get_ref());
            self.note(&name, key.span().start);
            let value = match value.get_ref() {
                DeValue::Array(entries) if path.is_empty() && NAMED_TABLES.contains(&name.as_str()) => {
                    self.named(&name, entries)
                }
                // A dictionary stands for `[[listener]]`; one table without a name must not pass for it.
                single @ DeValue::Table(_) if path.is_empty() && NAMED_TABLES.contains(&name.as_str()) => {
                    Value::Array(Tag::Default, vec![self.value(&name, single)])
                }
                other => self.value(&name, other),
            };
            values.insert(key.get_ref().to_string(), value);
        }
        values
    }

    /// A list of tables as a dictionary; left a list where an entry is no table, which its reader then refuses.
    fn named(&mut self, path: &str, entries: &[Spanned<DeValue<'_>>]) -> Value {
        let tables: Option<Vec<_>> =
            entries.iter().map(|entry| Some((entry.span(), entry.get_ref().as_table()?))).collect();
        let Some(tables) = tables else {
            return Value::Array(Tag::Default, Vec::new());
        };
        let mut named = Dict::new();
        for (index, (span, table)) in tables.into_iter().enumerate() {
            let given = table.get("name").and_then(|name| name.get_ref().as_str());
            let name = given.map_or_else(|| format!("#{}", index + 1), folded);
            let entry_path = full_name(path, &name);
            if named.contains_key(&name) {
                let line = line_of(self.text, span.start);
                self.document.repeated.push((line, entry_path, given.unwrap_or_default().to_owned()));
                continue;
            }
            self.note(&entry_path, span.start);
            let values = self.table(&entry_path, table);
            named.insert(name, Value::Dict(Tag::Default, values));
        }
        Value::Dict(Tag::Default, named)
    }

    fn value(&mut self, path: &str, value: &DeValue<'_>) -> Value {
        let tag = Tag::Default;
        match value {
            DeValue::String(text) => Value::String(tag, text.to_string()),
            DeValue::Integer(number) => Value::Num(tag, Num::I128(integer(number))),
            DeValue::Float(_) => Value::Num(tag, Num::F64(f64::NAN)),
            DeValue::Boolean(flag) => Value::Bool(tag, *flag),
            // No key takes a date, and figment has none: the empty value stands for it.
            DeValue::Datetime(_) => Value::Empty(tag, Empty::Unit),
            DeValue::Array(entries) => {
                let entry = |(index, entry): (usize, &Spanned<DeValue<'_>>)| {
                    let name = format!("{path}[{index}]");
                    self.note(&name, entry.span().start);
                    self.value(&name, entry.get_ref())
                };
                Value::Array(tag, entries.iter().enumerate().map(entry).collect())
            }
            DeValue::Table(table) => Value::Dict(tag, self.table(path, table)),
        }
    }

    fn note(&mut self, name: &str, position: usize) {
        self.document.lines.insert(name.to_owned(), line_of(self.text, position));
    }
}

/// The number; one that no type of ours holds saturates, and its key's range refuses it.
fn integer(number: &DeInteger<'_>) -> i128 {
    let text = number.as_str();
    i128::from_str_radix(text, number.radix()).unwrap_or(if text.starts_with('-') { i128::MIN } else { i128::MAX })
}

fn line_of(text: &str, position: usize) -> usize {
    text.bytes().take(position).filter(|byte| *byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_its_line() {
        let text = "workers = 1\n\n[[listener]]\nname = \"Front_Door\"\naddress = \"x\"\n\
                    [[listener]]\naddress = \"y\"\n\
                    [trust]\nca = [\n  \"a\",\n  \"b\",\n]\n[upstream.tls]\nca = []\n\
                    [assertion]\nkeys = [{ id = \"k\" }]\n";
        let document = Document::parse(text).unwrap();
        let expected = [
            ("workers", 1),
            ("listener", 3),
            ("listener.front-door", 3),
            ("listener.front-door.address", 5),
            ("listener.#2", 6),
            ("trust", 8),
            ("trust.ca", 9),
            ("trust.ca[1]", 11),
            ("upstream", 13),
            ("upstream.tls", 13),
            ("assertion.keys[0].id", 16),
        ];
        for (name, line) in expected {
            assert_eq!(document.lines.get(name), Some(&line), "{name}");
        }
    }

    #[test]
    fn a_file_that_is_no_toml_says_where() {
        let mistakes = Document::parse("workers = 1\nworkers = 2\n[trust\nca = [\n").unwrap_err();
        assert_eq!(mistakes[0], (Some(2), "duplicate key".to_owned()));
        assert_eq!(mistakes[1].0, Some(3));
    }
}

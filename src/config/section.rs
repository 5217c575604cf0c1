//! Reading one table of the configuration key by key, so that a mistake in one does not hide those in the others.
//!
//! Reading is by hand and not by serde: a derived reader stops at the first mistake. Every key that is asked for
//! becomes a known one, and [`Section::finish`] refuses the rest.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use figment::value::{Dict, Value};

use super::document::full_name;
use super::files::Defect;
use super::layers::Layers;
use super::mistake::{Mistake, Noted, Read, Report};
use super::units::{self, Given};
use super::version::Versions;
use crate::domain::Clock;

/// What reading needs besides the text, and what it gathers on the way.
pub(super) struct Context<'a> {
    pub(super) layers: &'a Layers,
    pub(super) report: &'a Report,
    pub(super) clock: &'a dyn Clock,
    /// Where relative paths begin.
    pub(super) base: &'a Path,
    /// The files whose change asks for a reload.
    pub(super) watched: &'a RefCell<Versions>,
    /// The same for revocation lists, which reload by themselves.
    pub(super) lists: &'a RefCell<Versions>,
}

/// One table of the configuration.
pub(super) struct Section<'a> {
    pub(super) context: &'a Context<'a>,
    path: String,
    values: &'a Dict,
    known: Vec<&'static str>,
}

impl<'a> Section<'a> {
    /// The whole configuration.
    pub(super) fn root(context: &'a Context<'a>) -> Self {
        Self { context, path: String::new(), values: &context.layers.values, known: Vec::new() }
    }

    /// A value that may be left out.
    pub(super) fn optional<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(Given<'_>) -> Result<T, String>,
    ) -> Read<Option<T>> {
        self.value(key).map(|value| parse(self.given(value)).map_err(|text| self.mistake(key, text))).transpose()
    }

    /// A value that has a default.
    pub(super) fn or<T>(
        &mut self,
        key: &'static str,
        default: T,
        parse: impl Fn(Given<'_>) -> Result<T, String>,
    ) -> Read<T> {
        Ok(self.optional(key, parse)?.unwrap_or(default))
    }

    /// A value that must be there.
    pub(super) fn required<T>(&mut self, key: &'static str, parse: impl Fn(Given<'_>) -> Result<T, String>) -> Read<T> {
        self.optional(key, parse)?.ok_or_else(|| self.missing(key))
    }

    /// A list that may be left out; each bad entry is a mistake of its own.
    pub(super) fn list<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(Given<'_>) -> Result<T, String>,
    ) -> Read<Option<Vec<T>>> {
        let Some(entries) = self.entries(key)? else { return Ok(None) };
        let read = entries.iter().enumerate().map(|(index, entry)| {
            parse(self.given(entry)).map_err(|text| self.mistake(&format!("{key}[{index}]"), text))
        });
        // Collected twice so that the first bad entry does not hide the next.
        let read: Vec<Read<T>> = read.collect();
        read.into_iter().collect::<Read<Vec<T>>>().map(Some)
    }

    /// A list that must be there and hold something.
    pub(super) fn required_list<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(Given<'_>) -> Result<T, String>,
    ) -> Read<Vec<T>> {
        let list = self.list(key, parse)?.ok_or_else(|| self.missing(key))?;
        if list.is_empty() { Err(self.mistake(key, "is empty".into())) } else { Ok(list) }
    }

    /// A table within this one; where it is left out its keys are all missing.
    pub(super) fn table(&mut self, key: &'static str) -> Read<Section<'a>> {
        static NOTHING: Dict = Dict::new();
        let found = self.optional_table(key)?;
        Ok(found.unwrap_or_else(|| self.within(full_name(&self.path, key), &NOTHING)))
    }

    /// A table within this one that may be left out.
    pub(super) fn optional_table(&mut self, key: &'static str) -> Read<Option<Section<'a>>> {
        let name = full_name(&self.path, key);
        match self.value(key) {
            None => Ok(None),
            Some(Value::Dict(_, values)) => Ok(Some(self.within(name, values))),
            Some(other) => {
                let text = format!("is {}, but must be a table, [{name}]", self.given(other));
                Err(self.mistake(key, text))
            }
        }
    }

    /// The tables of a list, at least one.
    pub(super) fn tables(&mut self, key: &'static str) -> Read<Vec<Section<'a>>> {
        let entries = self.entries(key)?.ok_or_else(|| self.missing(key))?;
        if entries.is_empty() {
            return Err(self.mistake(key, "is empty".into()));
        }
        let read = entries.iter().enumerate().map(|(index, entry)| {
            let name = format!("{key}[{index}]");
            match entry {
                Value::Dict(_, values) => Ok(self.within(full_name(&self.path, &name), values)),
                other => Err(self.mistake(&name, format!("is {}, but must be a table, {{ … }}", self.given(other)))),
            }
        });
        let read: Vec<Read<Section<'a>>> = read.collect();
        read.into_iter().collect()
    }

    /// One value, or a list of them.
    pub(super) fn one_or_more<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(Given<'_>) -> Result<T, String>,
    ) -> Read<Option<Vec<T>>> {
        match self.values.get(key) {
            Some(Value::Array(..)) => self.list(key, parse),
            Some(_) | None => Ok(self.optional(key, parse)?.map(|one| vec![one])),
        }
    }

    /// One table, or a list of them; none where it is left out.
    pub(super) fn table_or_tables(&mut self, key: &'static str) -> Read<Vec<Section<'a>>> {
        match self.values.get(key) {
            Some(Value::Array(..)) => self.tables(key),
            Some(_) | None => Ok(self.optional_table(key)?.into_iter().collect()),
        }
    }

    /// A table of names that are the institution's own, each with a value.
    pub(super) fn pairs<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(Given<'_>) -> Result<T, String>,
    ) -> Read<Vec<(String, T)>> {
        let Some(table) = self.optional_table(key)? else { return Ok(Vec::new()) };
        let read = table.values.iter().map(|(name, value)| {
            let value = parse(self.given(value)).map_err(|text| table.mistake(name, text))?;
            Ok((name.clone(), value))
        });
        let read: Vec<Read<(String, T)>> = read.collect();
        read.into_iter().collect()
    }

    /// Whether a key holds a table.
    pub(super) fn is_table(&self, key: &str) -> bool {
        matches!(self.values.get(key), Some(Value::Dict(..)))
    }

    /// The tables that have a name, `[[listener]]`, at least one, in the order of the files.
    pub(super) fn named_tables(&mut self, key: &'static str) -> Read<Vec<Section<'a>>> {
        let tables = self.optional_named_tables(key)?;
        if tables.is_empty() { Err(self.missing(key)) } else { Ok(tables) }
    }

    /// The same, perhaps none.
    pub(super) fn optional_named_tables(&mut self, key: &'static str) -> Read<Vec<Section<'a>>> {
        let named = match self.value(key) {
            Some(Value::Dict(_, named)) => named,
            None => return Ok(Vec::new()),
            Some(_) => return Err(self.mistake(key, format!("must be written as one [[{key}]] for each"))),
        };
        let mut found = Vec::new();
        for (name, value) in named {
            let path = full_name(&full_name(&self.path, key), name);
            match value {
                Value::Dict(_, values) => {
                    found.push((self.context.layers.beginning_of(&path), self.within(path, values)))
                }
                // A variable such as SEKISHO_LISTENER__MAIN, which names the table itself.
                other => drop(self.mistake(key, format!("is {}, but must be a table", self.given(other)))),
            }
        }
        found.sort_by_key(|(beginning, _)| *beginning);
        Ok(found.into_iter().map(|(_, section)| section).collect())
    }

    /// Turns a value of this table into a path, relative to the first configuration file.
    pub(super) fn path(&self) -> impl Fn(Given<'_>) -> Result<PathBuf, String> + use<'a> {
        let base = self.context.base;
        move |given| Ok(base.join(units::text(given)?))
    }

    /// Refuses a key of this table because its feature does not exist yet.
    pub(super) fn not_supported(&mut self, key: &'static str) {
        if self.value(key).is_some() {
            self.mistake(key, "not supported yet".into());
        }
    }

    /// Whether the key is given, in any layer.
    pub(super) fn has(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    /// Reports that something is wrong with a key, or with an entry of a list, `ca[1]`.
    pub(super) fn mistake(&self, key: &str, text: String) -> Noted {
        self.context.report.mistake(self.remark(key, text))
    }

    /// Reports a file that cannot be used.
    pub(super) fn defect(&self, key: &str, defect: &Defect) -> Noted {
        self.context.report.mistake(Mistake { remedy: defect.remedy(), ..self.remark(key, defect.to_string()) })
    }

    /// Reports something that is allowed but deserves a second look.
    pub(super) fn warn(&self, key: &str, text: String) {
        self.context.report.warn(self.remark(key, text));
    }

    /// Asks for a reload when this file changes.
    pub(super) fn watch(&self, path: &Path) {
        self.context.watched.borrow_mut().note(path);
    }

    /// Notes the version of a revocation list, or of a directory of them.
    pub(super) fn watch_list(&self, path: &Path) {
        self.context.lists.borrow_mut().note(path);
    }

    /// Refuses every key that nobody asked for.
    pub(super) fn finish(self) {
        for (key, value) in self.values.iter().filter(|(key, _)| !self.known.contains(&key.as_str())) {
            let nearest = self.known.iter().map(|known| (distance(known, key), known)).min();
            let proposal = nearest.filter(|(distance, known)| *distance <= 2.min(known.len() / 2));
            let proposal = proposal.map_or_else(String::new, |(_, known)| format!("; did you mean {known}?"));
            let key = full_name(&self.path, key);
            let place = self.context.layers.place_of(value.tag(), &[&key]);
            let text = format!("unknown key{proposal}");
            self.context.report.mistake(Mistake { place, key, text, remedy: None });
        }
    }

    fn missing(&self, key: &str) -> Noted {
        self.mistake(key, "is missing".into())
    }

    fn remark(&self, key: &str, text: String) -> Mistake {
        let name = full_name(&self.path, key);
        let plain = key.split('[').next().unwrap_or(key);
        let layers = self.context.layers;
        let place = match self.values.get(plain) {
            Some(value) => layers.place_of(value.tag(), &[&name, &full_name(&self.path, plain)]),
            None => layers.place_of_section(&self.path),
        };
        Mistake { place, key: name, text, remedy: None }
    }

    fn within(&self, path: String, values: &'a Dict) -> Section<'a> {
        Section { context: self.context, path, values, known: Vec::new() }
    }

    fn value(&mut self, key: &'static str) -> Option<&'a Value> {
        self.known.push(key);
        self.values.get(key)
    }

    fn entries(&mut self, key: &'static str) -> Read<Option<&'a [Value]>> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::Array(_, entries)) => Ok(Some(entries)),
            Some(other) if self.context.layers.is_variable(other.tag()) => {
                Err(self.mistake(key, "is a list, which a variable cannot set".into()))
            }
            Some(other) => Err(self.mistake(key, format!("is {}, but must be a list, [ … ]", self.given(other)))),
        }
    }

    fn given<'v>(&self, value: &'v Value) -> Given<'v> {
        match value {
            Value::String(tag, text) if self.context.layers.is_variable(*tag) => Given::Variable(text),
            Value::String(_, text) => Given::Text(text),
            Value::Bool(_, flag) => Given::Flag(*flag),
            Value::Num(_, number) => number.to_i128().map_or(Given::Other("a number with a fraction"), Given::Integer),
            Value::Dict(..) => Given::Other("a table"),
            Value::Array(..) => Given::Other("a list"),
            // Layers hold a date as the empty value, and never a single character.
            Value::Empty(..) | Value::Char(..) => Given::Other("a date"),
        }
    }
}

/// How many single-letter changes lead from one word to the other.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (index, letter) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], index + 1);
        for (column, other) in other.chars().enumerate() {
            let replaced = diagonal + usize::from(letter != other);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::distance;

    #[test]
    fn distance_counts_single_letter_changes() {
        for (one, other, expected) in [("", "ab", 2), ("crl-grace", "crl_grace", 1), ("kitten", "sitting", 3)] {
            assert_eq!(distance(one, other), expected, "{one} {other}");
        }
    }
}

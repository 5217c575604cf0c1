//! The layers of a configuration, laid over each other: files in their order, then the environment.
//!
//! figment lays the layers over each other and remembers which of them each value came from. What it cannot do stands
//! here: the line of a value (see [`document`](super::document)), and a tagged table that changes its kind.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use figment::value::{Dict, Map, Tag, Value};
use figment::{Error, Figment, Metadata, Profile, Provider, Source};

use super::document::{Document, folded, full_name};
use super::mistake::{Mistake, Place, Read, Report};
use super::{NAMED_TABLES, VARIABLE_PREFIX};
use crate::operator::audit::Digest;

/// Longer than any configuration; a bound for a file that was named by mistake.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// The merged values, and where each came from.
pub(super) struct Layers {
    /// The merged values.
    pub(super) values: Dict,
    /// The configuration files, first layer first.
    pub(super) files: Vec<PathBuf>,
    /// SHA-256 of the files' bytes, one after the other: what `cat FILE… | sha256sum` says.
    pub(super) digest: Digest,
    figment: Figment,
    lines: Vec<BTreeMap<String, usize>>,
}

impl Layers {
    /// Reads every layer. A file that cannot be read, or is no TOML, ends the reading after the last file.
    pub(super) fn read(
        files: Vec<PathBuf>,
        environment: impl IntoIterator<Item = (String, String)>,
        report: &Report,
    ) -> Read<Self> {
        let mut content = Vec::new();
        let read: Vec<Read<Document>> =
            files.iter().enumerate().map(|(layer, path)| read_file(layer, path, report, &mut content)).collect();
        let documents = read.into_iter().collect::<Read<Vec<Document>>>()?;
        let digest = Digest::of(&content);

        let (mut tables, lines): (Vec<Dict>, Vec<_>) =
            documents.into_iter().map(|document| (document.values, document.lines)).unzip();
        replace_changed_kinds(&mut tables);
        let mut figment = Figment::new();
        for (path, values) in files.iter().zip(tables) {
            figment = figment.merge(Layer { source: Source::File(path.clone()), values });
        }
        let from_files = merged(&figment);
        for (variable, value) in variables(environment, report) {
            match values_of(&variable, &value, &from_files) {
                Ok(values) => figment = figment.merge(Layer { source: Source::Custom(variable), values }),
                Err((key, text)) => {
                    report.mistake(Mistake { place: Place::Variable(variable), key, text, remedy: None });
                }
            }
        }
        Ok(Self { values: merged(&figment), files, digest, figment, lines })
    }

    /// Where the value with this tag stands; `names` are its full name and those it may be known by instead.
    pub(super) fn place_of(&self, tag: Tag, names: &[&str]) -> Place {
        match self.figment.get_metadata(tag).and_then(|metadata| metadata.source.as_ref()) {
            Some(Source::Custom(variable)) => Place::Variable(variable.clone()),
            Some(Source::File(path)) => {
                let layer = self.files.iter().rposition(|file| file == path).unwrap_or(0);
                self.in_file(layer, names.iter().find_map(|name| self.lines.get(layer)?.get(*name).copied()))
            }
            Some(_) | None => self.in_file(0, None),
        }
    }

    /// Where a key that is missing would stand: in the last file that has its section, or in the first.
    pub(super) fn place_of_section(&self, section: &str) -> Place {
        let written = self.lines.iter().enumerate().rev();
        let found = written.filter_map(|(layer, lines)| Some((layer, *lines.get(section)?))).next();
        found.map_or_else(|| self.in_file(0, None), |(layer, line)| self.in_file(layer, Some(line)))
    }

    /// Where a table begins: the first file that has it, and its line there.
    pub(super) fn beginning_of(&self, table: &str) -> (usize, usize) {
        let written = self.lines.iter().enumerate();
        written.filter_map(|(layer, lines)| Some((layer, *lines.get(table)?))).next().unwrap_or_default()
    }

    /// Whether the value with this tag was set by an environment variable.
    pub(super) fn is_variable(&self, tag: Tag) -> bool {
        matches!(self.place_of(tag, &[]), Place::Variable(_))
    }

    fn in_file(&self, layer: usize, line: Option<usize>) -> Place {
        Place::File { layer, path: self.files.get(layer).cloned().unwrap_or_default(), line }
    }
}

/// One layer as figment wants it.
struct Layer {
    source: Source,
    values: Dict,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::from("layer", self.source.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        Ok(Profile::Default.collect(self.values.clone()))
    }
}

fn merged(figment: &Figment) -> Dict {
    // Only a provider can fail, and ours do not.
    figment.data().unwrap_or_default().remove(&Profile::Default).unwrap_or_default()
}

/// Reads one file, and appends its bytes to those of the files before it.
fn read_file(layer: usize, path: &Path, report: &Report, bytes: &mut Vec<u8>) -> Read<Document> {
    let mistake = |line, key: &str, text| {
        let place = Place::File { layer, path: path.to_owned(), line };
        report.mistake(Mistake { place, key: key.to_owned(), text, remedy: None })
    };
    let content = super::files::read(path, MAX_FILE_BYTES).map_err(|defect| {
        // The place of the mistake is the path already.
        let text = defect.to_string();
        let name = path.display().to_string();
        mistake(None, "", text.strip_prefix(&name).map_or(text.as_str(), str::trim_start).to_owned())
    })?;
    bytes.extend_from_slice(&content);
    let text = str::from_utf8(&content).map_err(|_| mistake(None, "", "is not UTF-8".into()))?;
    match Document::parse(text) {
        Ok(document) => {
            for (line, key, name) in &document.repeated {
                mistake(Some(*line), key, format!("the name {name:?} stands twice in this file"));
            }
            Ok(document)
        }
        Err(found) => {
            let noted = found.into_iter().fold(None, |_, (line, text)| Some(mistake(line, "", text)));
            Err(noted.unwrap_or_else(|| mistake(None, "", "is not TOML".into())))
        }
    }
}

/// A table with a `kind` that differs from the one before replaces it whole: the keys of one kind mean nothing to
/// another.
fn replace_changed_kinds(layers: &mut [Dict]) {
    let kind = |table: Option<&Value>| match table.and_then(|table| table.as_dict()?.get("kind")) {
        Some(Value::String(_, kind)) => Some(kind.clone()),
        Some(_) | None => None,
    };
    for later in 1..layers.len() {
        let (before, after) = layers.split_at_mut(later);
        for (name, table) in &after[0] {
            let Some(new) = kind(Some(table)) else { continue };
            let old = before.iter().rev().find_map(|layer| kind(layer.get(name)));
            if old.is_some_and(|old| old != new) {
                before.iter_mut().for_each(|layer| drop(layer.remove(name)));
            }
        }
    }
}

/// Our variables, sorted. Two that differ only in case would leave the winner to chance.
fn variables(environment: impl IntoIterator<Item = (String, String)>, report: &Report) -> BTreeMap<String, String> {
    let ours = environment.into_iter().filter(|(name, _)| name.starts_with(VARIABLE_PREFIX));
    let variables: BTreeMap<String, String> = ours.collect();
    let mut spellings: BTreeMap<String, &str> = BTreeMap::new();
    for name in variables.keys() {
        if let Some(other) = spellings.insert(folded(name), name) {
            let text = format!("means the same as {other}, which is set too");
            report.mistake(Mistake { place: Place::Variable(name.clone()), key: String::new(), text, remedy: None });
        }
    }
    variables
}

/// `SEKISHO_TRUST__CRL_GRACE` as the table `trust` with the key `crl-grace`; or the key and what is wrong with it.
fn values_of(variable: &str, value: &str, from_files: &Dict) -> Result<Dict, (String, String)> {
    let name = variable.strip_prefix(VARIABLE_PREFIX).unwrap_or(variable);
    let segments: Vec<String> = name.split("__").map(folded).collect();
    if segments.iter().any(String::is_empty) {
        return Err((String::new(), "names no setting".into()));
    }
    if let [table, entry, ..] = segments.as_slice()
        && NAMED_TABLES.contains(&table.as_str())
        && from_files.get(table).and_then(Value::as_dict).is_none_or(|named| !named.contains_key(entry))
    {
        return Err((full_name(table, entry), format!("no {table} of this name stands in the files")));
    }
    let leaf = Value::String(Tag::Default, value.to_owned());
    let nested = segments
        .into_iter()
        .rev()
        .fold(leaf, |inner, segment| Value::Dict(Tag::Default, Dict::from([(segment, inner)])));
    Ok(nested.into_dict().unwrap_or_default())
}

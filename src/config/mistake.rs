//! What is wrong with a configuration, collected so that an operator sees every mistake at once.

use std::cell::RefCell;
use std::fmt;
use std::path::PathBuf;

/// Where a setting was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A configuration file, and the line where it is known.
    File {
        /// Which of the layers, counted from the first; files sort by it.
        layer: usize,
        /// The file as it was named.
        path: PathBuf,
        /// The line, counted from 1.
        line: Option<usize>,
    },
    /// An environment variable.
    Variable(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File { path, line: Some(line), .. } => write!(f, "{} line {line}", path.display()),
            Place::File { path, line: None, .. } => write!(f, "{}", path.display()),
            Place::Variable(name) => f.write_str(name),
        }
    }
}

/// One thing that is wrong, in one line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    /// Where it stands, or where it is missing.
    pub place: Place,
    /// The setting's full name, for example `trust.crl-grace`; empty where a file cannot be read at all.
    pub key: String,
    /// What is wrong.
    pub text: String,
    /// What to do about it, where a command does it.
    pub remedy: Option<String>,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.text)?;
        self.remedy.iter().try_for_each(|remedy| write!(f, "; {remedy}"))
    }
}

/// Every mistake of a configuration, by file, line and key. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistakes(Vec<Mistake>);

impl Mistakes {
    /// The mistakes, by file, line and key.
    pub fn iter(&self) -> impl Iterator<Item = &Mistake> {
        self.0.iter()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            mistake.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

/// Evidence that a mistake was reported, so that no value can be missing without a line that says why.
/// Its only constructor is [`Report::mistake`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Noted(());

/// A value of the configuration, unless a mistake was reported in its place.
pub(super) type Read<T> = Result<T, Noted>;

/// What reading has found so far. Reading goes on after a mistake, hence the shared interior.
#[derive(Debug, Default)]
pub(super) struct Report {
    mistakes: RefCell<Vec<Mistake>>,
    warnings: RefCell<Vec<Mistake>>,
}

impl Report {
    /// Records a mistake.
    pub(super) fn mistake(&self, mistake: Mistake) -> Noted {
        self.mistakes.borrow_mut().push(mistake);
        Noted(())
    }

    /// Records something that is allowed but deserves a second look.
    pub(super) fn warn(&self, warning: Mistake) {
        self.warnings.borrow_mut().push(warning);
    }

    /// Gives out what was read, with its warnings, unless anything at all was wrong.
    pub(super) fn conclude<T>(self, read: Read<T>) -> Result<(T, Vec<String>), Mistakes> {
        let mut mistakes = self.mistakes.into_inner();
        let mut warnings = self.warnings.into_inner();
        match read {
            Ok(value) if mistakes.is_empty() => {
                warnings.sort();
                Ok((value, warnings.iter().map(Mistake::to_string).collect()))
            }
            Ok(_) | Err(Noted(())) => {
                mistakes.sort();
                mistakes.dedup();
                Err(Mistakes(mistakes))
            }
        }
    }
}

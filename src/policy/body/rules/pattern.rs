//! A declared name: what is that name, and what could be taken for it (LIM-37).

use std::borrow::Cow;

use crate::policy::body::MediaType;
use crate::policy::body::name::fold;

use super::{ParameterValue, Role};

/// A declared name, a family of numbered names, or a path into JSON.
#[derive(Debug, Clone)]
pub struct Pattern {
    shape: Shape,
    /// The name; of a family and of an image button without what follows.
    text: Box<str>,
    folded: Box<str>,
    tail: Tail,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// This name.
    Name,
    /// The text and a number from 1 to 999 without leading zeros.
    Family,
    /// The text and `.x` or `.y`.
    ImageButton,
    /// A JSON pointer in which `*` stands for the elements of an array.
    Path,
}

/// What may follow the folded name in a name that could still be taken for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tail {
    Nothing,
    /// An amount and its neighbours of the same form: `kingaku11` beside `kingaku1`.
    Number,
    /// As above, and whatever follows the number.
    NumberAndMore,
    /// The places of a click in an image.
    Coordinate,
}

/// What must stand on the way to a value in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Container {
    Object,
    Array,
}

impl Pattern {
    /// The name of a field in a body; `None` where no field can be called so.
    pub(super) fn in_body(media: MediaType, name: &str, role: &Role) -> Option<Self> {
        let pattern = match (media, role) {
            (MediaType::Json, _) => Self::path(name, role)?,
            (MediaType::Form | MediaType::Multipart, Role::Amount | Role::Earlier) => match name.strip_suffix('*') {
                Some(prefix) => Self::new(Shape::Family, prefix, Tail::NumberAndMore),
                None => Self::new(Shape::Name, name, Tail::Number),
            },
            (MediaType::Form | MediaType::Multipart, Role::Parameter(ParameterValue::Present)) => {
                match name.strip_suffix(".x").or_else(|| name.strip_suffix(".y")) {
                    Some(button) => Self::new(Shape::ImageButton, button, Tail::Coordinate),
                    None => Self::new(Shape::Name, name, Tail::Coordinate),
                }
            }
            (MediaType::Form | MediaType::Multipart, _) => Self::new(Shape::Name, name, Tail::Nothing),
        };
        let nameable = !name.chars().any(char::is_control) && !name.contains('%') && !pattern.folded.is_empty();
        let star_is_whole_segment = pattern.shape == Shape::Path || !pattern.text.contains('*');
        (nameable && star_is_whole_segment).then_some(pattern)
    }

    fn new(shape: Shape, text: &str, tail: Tail) -> Self {
        let mut folded = String::new();
        fold(text, &mut folded);
        let numberless = folded.trim_end_matches(|last: char| last.is_ascii_digit()).len();
        if tail == Tail::Number && numberless > 0 {
            folded.truncate(numberless);
        }
        Self { shape, text: text.into(), folded: folded.into(), tail }
    }

    fn path(name: &str, role: &Role) -> Option<Self> {
        let pointer = if name.starts_with('/') { name.to_owned() } else { format!("/{name}") };
        let segments = || pointer.split('/').skip(1);
        let valid = segments().all(|segment| segment == "*" || !(segment.is_empty() || segment.contains('*')));
        let named = !pointer.ends_with("/*");
        let mut folded = String::new();
        fold_path(&pointer, &mut folded);
        let tail = if matches!(role, Role::Amount | Role::Earlier) { Tail::Number } else { Tail::Nothing };
        let numberless = folded.trim_end_matches(|last: char| last.is_ascii_digit()).len();
        if tail == Tail::Number && !folded[..numberless].ends_with('/') {
            folded.truncate(numberless);
        }
        let complete = !folded.split('/').skip(1).any(str::is_empty);
        let pattern = Self { shape: Shape::Path, text: pointer.into(), folded: folded.into(), tail };
        (valid && named && complete).then_some(pattern)
    }

    /// The same field in the query or among path parameters; of a path its last name.
    pub(super) fn outside_body(&self) -> Self {
        match self.shape {
            Shape::Name | Shape::Family | Shape::ImageButton => self.clone(),
            Shape::Path => {
                let last = self.text.rsplit('/').next().unwrap_or_default();
                Self::new(Shape::Name, last, self.tail)
            }
        }
    }

    /// Which member of the pattern a name is: a family's number, 0 or 1 for `.x` and `.y`, else 0. `None` for other names.
    pub fn member(&self, name: &str) -> Option<u16> {
        let rest = name.strip_prefix(&*self.text)?;
        match self.shape {
            Shape::Name | Shape::Path => rest.is_empty().then_some(0),
            Shape::Family => {
                let plain = (1..=3).contains(&rest.len()) && rest.bytes().all(|digit| digit.is_ascii_digit());
                rest.parse().ok().filter(|_| plain && !rest.starts_with('0'))
            }
            Shape::ImageButton => match rest {
                ".x" => Some(0),
                ".y" => Some(1),
                _ => None,
            },
        }
    }

    /// The name of a member; a path to something at the top is called as a field of a form would be.
    pub fn name_of(&self, member: u16) -> Cow<'_, str> {
        match self.shape {
            Shape::Name => Cow::Borrowed(&self.text),
            Shape::Path => Cow::Borrowed(self.text.strip_prefix('/').unwrap_or(&self.text)),
            Shape::Family => Cow::Owned(format!("{}{member}", self.text)),
            Shape::ImageButton => Cow::Owned(format!("{}.{}", self.text, if member == 0 { 'x' } else { 'y' })),
        }
    }

    /// Whether a folded name could be taken for this one, or for one of its family.
    pub fn could_be(&self, folded: &str) -> bool {
        match self.shape {
            Shape::Name | Shape::Family | Shape::ImageButton => {
                folded.strip_prefix(&*self.folded).is_some_and(|rest| self.tail.admits(rest))
            }
            Shape::Path => {
                let (ours, theirs) = (self.folded.split('/'), folded.split('/'));
                let length = ours.clone().count();
                length == theirs.clone().count()
                    && ours.zip(theirs).enumerate().all(|(at, (ours, theirs))| {
                        let rest = theirs.strip_prefix(ours);
                        ours == "*"
                            || rest.is_some_and(|rest| rest.is_empty() || at + 1 == length && self.tail.admits(rest))
                    })
            }
        }
    }

    /// Whether the name may come more than once because it stands for the elements of an array.
    pub fn repeats(&self) -> bool {
        self.shape == Shape::Path && self.text.contains("/*/")
    }

    /// The name as a configuration declares it.
    pub fn written(&self) -> String {
        let tail = match self.shape {
            Shape::Name | Shape::Path => "",
            Shape::Family => "*",
            Shape::ImageButton => ".x",
        };
        format!("{}{tail}", self.text)
    }

    /// What a path demands of the value at a pointer that is on its way.
    pub fn demands(&self, pointer: &str) -> Option<Container> {
        let rest = self.text.strip_prefix(pointer).filter(|_| self.shape == Shape::Path)?.strip_prefix('/')?;
        Some(if rest.starts_with("*/") { Container::Array } else { Container::Object })
    }

    /// Whether some name belongs to both.
    pub(super) fn names_the_same_as(&self, other: &Self) -> bool {
        (self.shape == other.shape && self.text == other.text)
            || (self.member(&other.text).is_some() && other.shape == Shape::Name)
            || (other.member(&self.text).is_some() && self.shape == Shape::Name)
    }
}

impl Tail {
    fn admits(self, rest: &str) -> bool {
        match self {
            Self::Nothing => rest.is_empty(),
            Self::Number => rest.bytes().all(|byte| byte.is_ascii_digit()),
            Self::NumberAndMore => rest.is_empty() || rest.starts_with(|first: char| first.is_numeric()),
            Self::Coordinate => matches!(rest, "" | "x" | "y"),
        }
    }
}

/// Folds each name of a JSON pointer.
pub(in crate::policy::body) fn fold_path(pointer: &str, folded: &mut String) {
    folded.clear();
    let mut name = String::new();
    for segment in pointer.split('/').skip(1) {
        fold(segment, &mut name);
        folded.push('/');
        folded.push_str(&name);
    }
}

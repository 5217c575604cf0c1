//! `application/json` (RFC 8259): every value with its pointer, and no name twice (LIM-10).
//!
//! Parsers differ in duplicate keys (first or last wins), byte order marks, lone surrogates and text after the end. The grammar
//! is `serde_json`'s, which refuses all of these but the first; values are kept as they are written, so that `1e3` and `1.0`
//! never become the number 1000 or 1 on the way.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::ops::Range;

use serde::Deserializer as _;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{Fault, Field, Value};

/// Deeper than any order form; a bound for the recursion.
const MAX_DEPTH: usize = 16;

const MALFORMED: Fault = Fault::MalformedBody("not JSON");

/// All values of a body, containers too, in the order of their beginnings.
pub(super) fn fields(body: &[u8], max_fields: usize) -> Result<Vec<Field<'_>>, Fault> {
    let text = std::str::from_utf8(body).map_err(|_| Fault::MalformedBody("not in the charset"))?;
    let root: &RawValue = serde_json::from_str(text).map_err(|_| MALFORMED)?;
    let mut walk = Walk { text, max_fields, fields: Vec::new(), pointer: String::new() };
    walk.value(root.get(), 0)?;
    Ok(walk.fields)
}

struct Walk<'a> {
    text: &'a str,
    max_fields: usize,
    fields: Vec<Field<'a>>,
    /// Where the walk stands.
    pointer: String,
}

impl<'a> Walk<'a> {
    fn value(&mut self, raw: &'a str, depth: usize) -> Result<(), Fault> {
        // The root is no field, it is there anyway.
        if self.fields.len() > self.max_fields {
            return Err(Fault::TooManyFields);
        }
        if depth > MAX_DEPTH {
            return Err(Fault::MalformedBody("too deep"));
        }
        match raw.as_bytes().first() {
            Some(b'{') => {
                self.found(Value::Object, raw);
                self.members(raw, depth)
            }
            Some(b'[') => {
                self.found(Value::Array, raw);
                let elements = level(raw, Shape::Array)?;
                elements.into_iter().try_for_each(|(_, element)| self.below("*", element, depth))
            }
            Some(b'"') => {
                let value = Value::Text(super::clean_value(string(raw)?)?);
                self.found(value, raw);
                Ok(())
            }
            Some(b'n') => {
                self.found(Value::Null, raw);
                Ok(())
            }
            Some(_) => {
                self.found(Value::Token(raw), raw);
                Ok(())
            }
            None => Err(MALFORMED),
        }
    }

    fn members(&mut self, raw: &'a str, depth: usize) -> Result<(), Fault> {
        let members = level(raw, Shape::Object)?;
        let mut names = HashSet::with_capacity(members.len());
        if !members.iter().all(|(name, _)| names.insert(name.as_str())) {
            return Err(Fault::AmbiguousField("a name twice in an object"));
        }
        for (name, value) in &members {
            super::clean_name(Cow::Borrowed(name))?;
            self.below(&escaped(name), value, depth)?;
        }
        Ok(())
    }

    fn below(&mut self, segment: &str, value: &'a RawValue, depth: usize) -> Result<(), Fault> {
        let length = self.pointer.len();
        self.pointer.push('/');
        self.pointer.push_str(segment);
        let walked = self.value(value.get(), depth + 1);
        self.pointer.truncate(length);
        walked
    }

    fn found(&mut self, value: Value<'a>, raw: &'a str) {
        let span = span(self.text, raw);
        self.fields.push(Field { name: Cow::Owned(self.pointer.clone()), value, span });
    }
}

/// RFC 6901's `~0` and `~1`; and a member that is really called `*` must not pass for the elements of an array.
fn escaped(name: &str) -> Cow<'_, str> {
    if name == "*" {
        return Cow::Borrowed("~2");
    }
    if name.contains(['~', '/']) { name.replace('~', "~0").replace('/', "~1").into() } else { name.into() }
}

/// Where a part of a text stands in it.
fn span(text: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr().addr() - text.as_ptr().addr();
    start..start + part.len()
}

/// A string's content. Without a backslash it is what stands between the quotes: the grammar was checked before.
fn string(raw: &str) -> Result<Cow<'_, str>, Fault> {
    if raw.contains('\\') {
        return serde_json::from_str::<String>(raw).map(Cow::Owned).map_err(|_| MALFORMED);
    }
    raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).map(Cow::Borrowed).ok_or(MALFORMED)
}

/// What one container holds: names (none in an array) and values as they are written.
type Level<'a> = Vec<(String, &'a RawValue)>;

#[derive(Clone, Copy)]
enum Shape {
    Object,
    Array,
}

fn level(raw: &str, shape: Shape) -> Result<Level<'_>, Fault> {
    let mut deserializer = serde_json::Deserializer::from_str(raw);
    let level = match shape {
        Shape::Object => deserializer.deserialize_map(LevelVisitor),
        Shape::Array => deserializer.deserialize_seq(LevelVisitor),
    };
    level.map_err(|_| MALFORMED)
}

struct LevelVisitor;

impl<'de> Visitor<'de> for LevelVisitor {
    type Value = Level<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut level = Vec::new();
        while let Some(member) = members.next_entry()? {
            level.push(member);
        }
        Ok(level)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let mut level = Vec::new();
        while let Some(element) = elements.next_element()? {
            level.push((String::new(), element));
        }
        Ok(level)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Vec<(String, String)>, Fault> {
        let fields = fields(body.as_bytes(), 20)?;
        Ok(fields.iter().filter_map(|field| Some((field.name.to_string(), field.value.text()?.to_owned()))).collect())
    }

    #[test]
    fn values_have_pointers_and_keep_their_spelling() {
        let body =
            r#" {"orders": [ {"amount": 100, "to":"\u8868"}, {"amount": 1e3}], "x~/y": null, "*": [true, -0, 1.0]} "#;
        let expected = [
            ("/orders/*/amount", "100"),
            ("/orders/*/to", "表"),
            ("/orders/*/amount", "1e3"),
            ("/x~0~1y", ""),
            ("/~2/*", "true"),
            ("/~2/*", "-0"),
            ("/~2/*", "1.0"),
        ];
        assert_eq!(read(body), Ok(expected.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()));
        let fields = fields(body.as_bytes(), 20).unwrap();
        let spans: Vec<_> = fields.iter().map(|field| &body[field.span.clone()]).collect();
        assert_eq!(spans[3..5], ["100", r#""\u8868""#]);
        assert_eq!((fields[0].name.as_ref(), &fields[0].value), ("", &Value::Object));
    }

    #[test]
    fn what_parsers_read_in_two_ways_is_refused() {
        for body in [
            "",
            "{",
            "{} {}",
            "{}x",
            "\u{feff}{}",
            r#"{"a":01}"#,
            r#"{"a":+1}"#,
            r#"{"a":.5}"#,
            r#"{"a":0x10}"#,
            r#"{"a":NaN}"#,
            r#"{"a":1,}"#,
            r#"{a:1}"#,
            r#"{'a':1}"#,
            r#"{"a":1}//"#,
            r#"{"a":"\ud800"}"#,
            r#"{"\udc00":1}"#,
            r#"{"a":"\u0000"}"#,
            r#"{"amount\u0000":1}"#,
            "{\"a\":\"\n\"}",
            r#"{"":1}"#,
        ] {
            assert!(matches!(read(body), Err(Fault::MalformedBody(_))), "{body}");
        }
        assert!(matches!(fields(b"{\"a\":\"\xff\"}", 9), Err(Fault::MalformedBody(_))));
        assert!(matches!(fields(b"\xff\xfe{\0}\0", 9), Err(Fault::MalformedBody(_))));
    }

    #[test]
    fn a_name_twice_is_refused_at_any_depth() {
        for body in [r#"{"a":1,"a":1}"#, r#"{"a":1,"\u0061":2}"#, r#"[{"b":{"a":1,"c":2,"a":3}}]"#] {
            assert_eq!(read(body), Err(Fault::AmbiguousField("a name twice in an object")), "{body}");
        }
    }

    #[test]
    fn depth_and_number_are_bounded() {
        assert!(read(&("[".repeat(16) + &"]".repeat(16))).is_ok());
        assert!(read(&("[".repeat(18) + &"]".repeat(18))).is_err());
        assert!(read(&("[".repeat(100_000) + &"]".repeat(100_000))).is_err());
        assert_eq!(fields(b"[1,2,3]", 2), Err(Fault::TooManyFields));
        assert_eq!(fields(b"[1,2,3]", 3).map(|fields| fields.len()), Ok(4));
    }
}

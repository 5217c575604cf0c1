//! A request taken apart: every name with its value, in the body, in the query and in the path.

use std::borrow::Cow;

use bytes::Bytes;
use http::HeaderMap;

use super::form::{Outside, Place, outside};
use super::name::{fold, is_command};
use super::rules::{Container, Declared, Dispatch, ParameterValue, Pattern, Role, fold_path};
use super::{BodyFormat, Charset, Fault, Field, MediaType, Value, content_type, form, json, multipart};

/// What belongs to a body's meaning beside the body.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    /// The request's header fields; `Content-Type` and `Content-Encoding` are looked at.
    pub headers: &'a HeaderMap,
    /// The query string without its `?`.
    pub query: Option<&'a str>,
    /// What stands after each `;` in the path.
    pub path_parameters: &'a [&'a str],
}

/// Every name and value of a request. That it exists says that all of them are well-formed, not that they are allowed.
#[derive(Debug)]
pub struct Submission<'a> {
    pub(super) format: BodyFormat,
    pub(super) body: &'a Bytes,
    fields: Vec<Field<'a>>,
    outside: Vec<Outside<'a>>,
}

/// A declared field that a request holds.
pub(super) struct Found<'s, 'a> {
    /// Its place in the list of what is declared.
    pub declared: usize,
    pub member: u16,
    pub source: Source<'s, 'a>,
}

/// Where a declared field was found.
pub(super) enum Source<'s, 'a> {
    Body(&'s Field<'a>),
    Outside(&'s Outside<'a>),
}

impl Source<'_, '_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Body(field) => field.value.text().unwrap_or_default().as_bytes(),
            Self::Outside(outside) => &outside.value,
        }
    }
}

impl<'a> Submission<'a> {
    /// Takes a request with a body apart.
    ///
    /// # Errors
    ///
    /// `Unsupported…` where it is not what the route declares, [`Fault::MalformedBody`], [`Fault::AmbiguousField`] for a JSON name
    /// twice, [`Fault::TooManyFields`].
    pub fn read(format: &BodyFormat, head: Head<'a>, body: &'a Bytes) -> Result<Self, Fault> {
        let boundary = content_type::read(head.headers, format)?;
        let fields = match (format.media, format.charset) {
            (MediaType::Form, charset) => form::fields(body, charset, format.max_fields)?,
            (MediaType::Multipart, charset) => multipart::fields(body, boundary, charset, format.max_fields)?,
            (MediaType::Json, Charset::Utf8) => json::fields(body, format.max_fields)?,
            (MediaType::Json, Charset::Windows31J | Charset::EucJp) => return Err(Fault::UnsupportedCharset),
        };
        Self::with_fields(format, head, body, fields)
    }

    fn with_fields(
        format: &BodyFormat,
        head: Head<'a>,
        body: &'a Bytes,
        fields: Vec<Field<'a>>,
    ) -> Result<Self, Fault> {
        let mut others = head.query.map_or_else(|| Ok(Vec::new()), |query| outside(query, Place::Query))?;
        for parameter in head.path_parameters {
            others.extend(outside(parameter, Place::PathParameter)?);
        }
        // JSON's root is among the fields and has no name.
        let named = fields.len() - usize::from(format.media == MediaType::Json && !fields.is_empty());
        if named + others.len() > format.max_fields {
            return Err(Fault::TooManyFields);
        }
        Ok(Self { format: *format, body, fields, outside: others })
    }

    /// Whether the request belongs to the route with these parameters. Routes on one path are asked one after the other; the
    /// caller refuses a request that several of them claim.
    ///
    /// # Errors
    ///
    /// [`Fault::AmbiguousField`] where a parameter comes twice, or something could be taken for it or for its value.
    pub fn carries(&self, dispatch: &Dispatch) -> Result<bool, Fault> {
        if dispatch.is_empty() {
            return Ok(true);
        }
        let found = self.find(&dispatch.declared, Others::Pass)?;
        let mut complete = true;
        for (index, declared) in dispatch.declared.iter().enumerate() {
            let mut holds = false;
            for found in found.iter().filter(|found| found.declared == index) {
                holds = match &declared.role {
                    Role::Parameter(ParameterValue::Is(text)) => is_the_value(text, &found.source)?,
                    Role::Parameter(ParameterValue::Present) => true,
                    Role::Amount
                    | Role::Earlier
                    | Role::Date(_)
                    | Role::Transaction
                    | Role::Token
                    | Role::Payee
                    | Role::LoginId
                    | Role::Fixed(_)
                    | Role::Listed => false,
                };
            }
            complete &= holds;
        }
        Ok(complete)
    }

    /// The declared fields that are there, those of the body in its order.
    pub(super) fn find<'s, 'd>(
        &'s self,
        declared: &'d [Declared],
        others: Others,
    ) -> Result<Vec<Found<'s, 'a>>, Fault> {
        let folding = match self.format.media {
            MediaType::Form | MediaType::Multipart => fold,
            MediaType::Json => fold_path,
        };
        let mut found = Vec::with_capacity(declared.len());
        let mut folded = String::new();
        for field in &self.fields {
            let on_the_way = is_on_the_way(declared, field)? || field.name.is_empty();
            let body = |declared: &'d Declared| &declared.body;
            let Some((index, member)) = which(declared, body, folding, &field.name, &mut folded)? else {
                if others == Others::AreRefused && !on_the_way {
                    return Err(Fault::UnknownField);
                }
                continue;
            };
            if matches!(declared[index].role, Role::Earlier) {
                return Err(Fault::AmbiguousField("an amount that an earlier screen brought"));
            }
            let listed = matches!(declared[index].role, Role::Listed);
            if field.value.text().is_none() && !listed {
                return Err(Fault::AmbiguousField("a declared field that is not one value"));
            }
            once(&mut found, declared, Found { declared: index, member, source: Source::Body(field) })?;
        }
        for outside in &self.outside {
            let Some((index, member)) = which_outside(declared, &outside.name, &mut folded)? else {
                // Sessions stand in path parameters of routes that nobody asked about their fields.
                if others == Others::AreRefused && outside.place == Place::Query {
                    return Err(Fault::UnknownField);
                }
                continue;
            };
            match (&declared[index].role, outside.place) {
                (Role::Listed, _) | (Role::Parameter(_), Place::Query) => {}
                (_, Place::Query | Place::PathParameter) => {
                    return Err(Fault::AmbiguousField("a declared field outside the body"));
                }
            }
            once(&mut found, declared, Found { declared: index, member, source: Source::Outside(outside) })?;
        }
        Ok(found)
    }
}

/// What happens to fields that are not declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Others {
    Pass,
    AreRefused,
}

/// Whether a dispatch parameter has its value. One that could be taken for it belongs to no route.
pub(super) fn is_the_value(expected: &str, source: &Source<'_, '_>) -> Result<bool, Fault> {
    let bytes = source.bytes();
    if bytes == expected.as_bytes() {
        return Ok(true);
    }
    let (mut ours, mut theirs) = (String::new(), String::new());
    fold(expected, &mut ours);
    for text in readings(bytes) {
        fold(&text, &mut theirs);
        if ours == theirs {
            return Err(Fault::AmbiguousField("nearly the value of a dispatch parameter"));
        }
    }
    Ok(false)
}

fn once<'s, 'a>(found: &mut Vec<Found<'s, 'a>>, declared: &[Declared], new: Found<'s, 'a>) -> Result<(), Fault> {
    let twice = |other: &Found<'_, '_>| other.declared == new.declared && other.member == new.member;
    if !declared[new.declared].body.repeats() && found.iter().any(twice) {
        return Err(Fault::AmbiguousField("a declared field twice"));
    }
    found.push(new);
    Ok(())
}

/// Whether a JSON value holds a declared one further down, and is the container that it must be.
fn is_on_the_way(declared: &[Declared], field: &Field<'_>) -> Result<bool, Fault> {
    let mut on_the_way = false;
    for container in declared.iter().filter_map(|declared| declared.body.demands(&field.name)) {
        on_the_way = true;
        match (container, &field.value) {
            (Container::Object, Value::Object) | (Container::Array, Value::Array) => {}
            (Container::Object | Container::Array, _) => {
                return Err(Fault::AmbiguousField("a value where a declared one should be further down"));
            }
        }
    }
    Ok(on_the_way)
}

/// Which declared field a name is, and which member of it.
fn which<'d>(
    declared: &'d [Declared],
    pattern: impl Fn(&'d Declared) -> &'d Pattern,
    folding: fn(&str, &mut String),
    name: &str,
    folded: &mut String,
) -> Result<Option<(usize, u16)>, Fault> {
    let exactly =
        declared.iter().enumerate().find_map(|(index, declared)| Some((index, pattern(declared).member(name)?)));
    if exactly.is_some() {
        return Ok(exactly);
    }
    folding(name, folded);
    if is_command(name, folded) {
        return Err(Fault::AmbiguousField("a name that frameworks obey"));
    }
    if declared.iter().any(|declared| pattern(declared).could_be(folded)) {
        return Err(Fault::AmbiguousField("a name that could be taken for a declared one"));
    }
    Ok(None)
}

/// The same for a name of the query or of the path, in every charset that the application might read it in.
fn which_outside(declared: &[Declared], name: &[u8], folded: &mut String) -> Result<Option<(usize, u16)>, Fault> {
    let mut which_one = None;
    for name in readings(name) {
        which_one = which(declared, |declared| &declared.outside, fold, &name, folded)?.or(which_one);
    }
    Ok(which_one)
}

/// What some bytes say in the charsets in which they say something.
fn readings(bytes: &[u8]) -> impl Iterator<Item = Cow<'_, str>> {
    let charsets = if bytes.is_ascii() { &Charset::ALL[..1] } else { &Charset::ALL };
    charsets.iter().filter_map(|charset| charset.decode(Cow::Borrowed(bytes)))
}

//! What a route declares about its bodies: which names mean money, days and steps, and which values they must have.
//!
//! [`Settings`] is what the configuration says, [`BodyRules`] what can be matched: every name with everything that could be
//! taken for it. Routes on one path are told apart by [`Dispatch`] parameters (LIM-25).
//!
//! Invariant: a request that is accepted under some rules holds no name that any reader could take for a declared one,
//! except the declared one itself, once, where it belongs.

use std::borrow::Cow;

use super::amount::AmountFormat;
use super::date::DateFormat;
use super::name::{fold, is_command};
use super::{Amount, BodyFormat, Charset, MediaType};

mod pattern;

pub(super) use pattern::{Container, Pattern, fold_path};

/// A route's body rules as the configuration has them.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How the bodies are written.
    pub format: BodyFormat,
    /// The fields that are summed. `kingaku*` stands for the numbered fields `kingaku1` to `kingaku999`; in JSON a pointer
    /// such as `/orders/*/amount`, or a plain name at the top. Without any the body carries no amount.
    pub amount: Vec<String>,
    /// The amounts of earlier screens, which this one must not bring again.
    pub earlier: Vec<String>,
    /// Whether a form holds each of its amounts, if only empty: then it says all of it.
    pub is_complete: bool,
    /// How amounts may be spelt.
    pub amount_format: AmountFormat,
    /// The other fields that may be there; `None` lets any other field pass.
    pub fields: Option<Vec<String>>,
    /// Fields that must be there with exactly this value (`unit = 1`).
    pub fixed: Vec<(String, String)>,
    /// The designated day (LIM-20).
    pub date: Option<(String, DateFormat)>,
    /// What ties a commit to its entry (LIM-33).
    pub transaction: Option<String>,
    /// The form token that tells a repeated order from a new one (LIM-17).
    pub token: Option<String>,
    /// Whom the order pays (RTL-07).
    pub payee: Option<String>,
    /// Who logs in (BND-01).
    pub login_id: Option<String>,
    /// What tells routes on one path apart.
    pub parameters: Vec<(String, ParameterValue)>,
}

/// What a dispatch parameter must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParameterValue {
    /// Exactly this visible ASCII.
    Is(String),
    /// There, whatever its value: a button. `exec.x` stands for an image button, which sends `exec.x` and `exec.y`.
    Present,
}

/// Why a route's rules cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// A name that no field can have, or that means something to frameworks.
    #[error("{0:?} cannot be the name of a field")]
    Name(String),
    /// A name with two meanings.
    #[error("{0:?} is declared twice")]
    Twice(String),
    /// Names or values of dispatch parameters are compared in the query, whose charset nobody declares.
    #[error("{0:?} is not visible ASCII")]
    NotAscii(String),
    /// A screen that brings an amount again must say so, so that it counts.
    #[error("{0:?} is an amount of an earlier screen; what brings it again declares it as an amount")]
    Earlier(String),
    /// A family has no end, and an array has no members that could be missing.
    #[error("{0:?} stands for any number of fields: which of them must be there, nobody knows")]
    Endless(String),
    /// RFC 8259 8.1.
    #[error("JSON is always UTF-8")]
    JsonCharset,
}

/// A route's rules, ready to be matched.
#[derive(Debug, Clone)]
pub struct BodyRules {
    pub(super) format: BodyFormat,
    pub(super) amount_format: AmountFormat,
    /// Whether several amounts are declared, of which some may be left empty.
    pub(super) several_amounts: bool,
    /// Whether each of them must be there.
    pub(super) is_complete: bool,
    /// Whether other fields are refused.
    pub(super) closed: bool,
    pub(super) declared: Vec<Declared>,
    dispatch: Dispatch,
}

/// The parameters that tell a route from others on the same path.
#[derive(Debug, Clone)]
pub struct Dispatch {
    pub(super) declared: Vec<Declared>,
}

/// A declared name and what it is for.
#[derive(Debug, Clone)]
pub(super) struct Declared {
    pub role: Role,
    /// What it is called in the body.
    pub body: Pattern,
    /// What it is called in the query and among path parameters.
    pub outside: Pattern,
}

/// What a declared field is for.
#[derive(Debug, Clone)]
pub(super) enum Role {
    Amount,
    /// An amount of an earlier screen: it must not be there.
    Earlier,
    Date(DateFormat),
    Transaction,
    Token,
    Payee,
    LoginId,
    Fixed(String),
    Parameter(ParameterValue),
    /// Of the closed list.
    Listed,
}

impl Declared {
    fn new(media: MediaType, name: &str, role: Role) -> Result<Self, Unusable> {
        let mut folded = String::new();
        fold(name, &mut folded);
        let body = Pattern::in_body(media, name, &role).filter(|_| !is_command(name, &folded));
        let body = body.ok_or_else(|| Unusable::Name(name.to_owned()))?;
        let outside = body.outside_body();
        Ok(Self { role, body, outside })
    }

    /// The amount of another screen, which may be written in another media type.
    fn of_earlier_screen(media: MediaType, name: &str) -> Result<Self, Unusable> {
        let name = match media {
            MediaType::Form | MediaType::Multipart if name.starts_with('/') => name.rsplit('/').next().unwrap_or(name),
            MediaType::Json if !name.starts_with('/') => name.trim_end_matches('*'),
            MediaType::Form | MediaType::Multipart | MediaType::Json => name,
        };
        Self::new(media, name, Role::Earlier)
    }
}

impl BodyRules {
    /// # Errors
    ///
    /// The first mistake found, to be shown beside the route's name.
    pub fn new(settings: Settings) -> Result<Self, Unusable> {
        let Settings {
            format,
            amount,
            earlier,
            is_complete,
            amount_format,
            fields,
            fixed,
            date,
            transaction,
            token,
            payee,
            login_id,
            parameters,
        } = settings;
        if format.media == MediaType::Json && format.charset != Charset::Utf8 {
            return Err(Unusable::JsonCharset);
        }
        let dispatch = Dispatch::new(format.media, parameters)?;
        let mut declared = dispatch.declared.clone();
        let mut declare = |name: &str, role| declared_once(&mut declared, format.media, name, role);
        for name in &amount {
            declare(name, Role::Amount)?;
        }
        for (name, value) in fixed {
            declare(&name, Role::Fixed(value))?;
        }
        if let Some((name, format)) = date {
            declare(&name, Role::Date(format))?;
        }
        if let Some(name) = transaction {
            declare(&name, Role::Transaction)?;
        }
        if let Some(name) = token {
            declare(&name, Role::Token)?;
        }
        if let Some(name) = payee {
            declare(&name, Role::Payee)?;
        }
        if let Some(name) = login_id {
            declare(&name, Role::LoginId)?;
        }
        let closed = fields.is_some();
        // A list of all fields of a form names those with a meaning too.
        for name in fields.into_iter().flatten().filter(|name| !amount.contains(name)) {
            match declare(&name, Role::Listed) {
                Ok(()) | Err(Unusable::Twice(_)) => {}
                Err(unusable) => return Err(unusable),
            }
        }
        for name in &earlier {
            let earlier = Declared::of_earlier_screen(format.media, name)?;
            let own = |own: &Declared| !matches!(own.role, Role::Earlier) && own.body.names_the_same_as(&earlier.body);
            if declared.iter().any(own) {
                return Err(Unusable::Earlier(name.clone()));
            }
            declared.push(earlier);
        }
        if let Some(endless) = amount.iter().find(|name| is_complete && name.contains('*')) {
            return Err(Unusable::Endless(endless.clone()));
        }
        let several_amounts = amount.len() > 1 || amount.iter().any(|name| name.contains('*'));
        Ok(Self { format, amount_format, several_amounts, is_complete, closed, declared, dispatch })
    }

    /// What tells this route from others on its path.
    pub fn dispatch(&self) -> &Dispatch {
        &self.dispatch
    }

    /// What the field of an amount is called; in JSON, with `*` for the elements of an array.
    pub fn name_of(&self, amount: &Amount) -> Cow<'_, str> {
        let (declared, member) = amount.field;
        self.declared.get(declared).map_or(Cow::Borrowed(""), |declared| declared.body.name_of(member))
    }

    /// Whether some field says whom an order pays.
    pub fn names_a_payee(&self) -> bool {
        self.declared.iter().any(|declared| matches!(declared.role, Role::Payee))
    }

    /// The amounts that earlier screens brought, as they are called here: whoever brings one again is refused.
    pub fn refused_amounts(&self) -> impl Iterator<Item = String> {
        let earlier = self.declared.iter().filter(|declared| matches!(declared.role, Role::Earlier));
        earlier.map(|declared| declared.body.written())
    }

    /// How the route's bodies are written.
    pub fn format(&self) -> &BodyFormat {
        &self.format
    }
}

impl Dispatch {
    /// The parameters of a route whose bodies have this media type.
    ///
    /// # Errors
    ///
    /// The first mistake found.
    pub fn new(media: MediaType, parameters: Vec<(String, ParameterValue)>) -> Result<Self, Unusable> {
        let mut declared = Vec::new();
        for (name, value) in parameters {
            let visible = |text: &str| text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
            if !visible(&name) {
                return Err(Unusable::NotAscii(name));
            }
            if let ParameterValue::Is(text) = &value
                && !visible(text)
            {
                return Err(Unusable::NotAscii(text.clone()));
            }
            declared_once(&mut declared, media, &name, Role::Parameter(value))?;
        }
        Ok(Self { declared })
    }

    /// Whether a request that belongs to this route belongs to the other one too, and not the reverse: of two such
    /// routes, this one is meant.
    pub fn narrows(&self, other: &Self) -> bool {
        self.implies(other) && !other.implies(self)
    }

    fn implies(&self, other: &Self) -> bool {
        other.declared.iter().all(|wanted| {
            self.declared.iter().any(|own| {
                own.body.names_the_same_as(&wanted.body)
                    && match (&own.role, &wanted.role) {
                        (_, Role::Parameter(ParameterValue::Present)) => true,
                        (Role::Parameter(ParameterValue::Is(own)), Role::Parameter(ParameterValue::Is(wanted))) => {
                            own == wanted
                        }
                        _ => false,
                    }
            })
        })
    }

    /// Whether every request on the path belongs to the route.
    pub fn is_empty(&self) -> bool {
        self.declared.is_empty()
    }
}

fn declared_once(declared: &mut Vec<Declared>, media: MediaType, name: &str, role: Role) -> Result<(), Unusable> {
    let new = Declared::new(media, name, role)?;
    if declared.iter().any(|other| other.body.names_the_same_as(&new.body)) {
        return Err(Unusable::Twice(name.to_owned()));
    }
    declared.push(new);
    Ok(())
}

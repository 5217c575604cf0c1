//! What a body says, once it is certain that it says only one thing.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;

use super::reference::reference;
use super::rules::{BodyRules, ParameterValue, Role};
use super::submission::{Found, Others, Source, Submission, is_the_value};
use super::{Fault, Field, MediaType};
use crate::domain::{JstDate, Yen};

/// An amount in a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amount {
    /// How much.
    pub yen: Yen,
    /// Which of the declared fields it is, and which member of it.
    pub(super) field: (usize, u16),
}

/// What somebody typed, and where it stands in the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Typed {
    /// As the application reads it.
    pub text: String,
    /// The value, undecoded.
    pub(in crate::policy) span: Range<usize>,
}

/// The meaning of an inspected body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// The sum of all amounts; `None` where the route declares none.
    pub amount: Option<Yen>,
    /// Each amount that was filled in.
    pub amounts: Vec<Amount>,
    /// The designated day; `None` for at once.
    pub date: Option<JstDate>,
    /// What ties a commit to its entry, as it is compared.
    pub transaction: Option<String>,
    /// The form token, as it is compared.
    pub token: Option<String>,
    /// Whom the order pays.
    pub payee: Option<String>,
    /// Who logs in, where the form says so, if only with an empty field.
    pub login_id: Option<Typed>,
    /// What is to be forwarded: the bytes that came, except for amounts in another spelling than plain digits.
    pub body: Bytes,
    /// Whether amounts were respelt; the length may have changed.
    pub rewritten: bool,
}

impl Submission<'_> {
    /// Finds and reads what a route declares.
    ///
    /// # Errors
    ///
    /// Every [`Fault`]; nothing that was declared is left out, and nothing in doubt is let through.
    pub fn inspect(&self, rules: &BodyRules) -> Result<Inspection, Fault> {
        if self.format != rules.format {
            return Err(Fault::UnsupportedMediaType);
        }
        let others = if rules.closed { Others::AreRefused } else { Others::Pass };
        let found = self.find(&rules.declared, others)?;
        let mut reading = Reading { rules, amounts: Vec::new(), respelt: Vec::new() };
        let (mut date, mut transaction, mut token, mut payee, mut login_id) = (None, None, None, None, None);
        for found in &found {
            match &rules.declared[found.declared].role {
                Role::Earlier => return Err(Fault::AmbiguousField("an amount that an earlier screen brought")),
                Role::Amount => reading.amount(body_field(found)?, (found.declared, found.member))?,
                Role::Date(format) => match text(found)? {
                    "" => {}
                    text => date = Some(format.parse(text).ok_or(Fault::BadDate)?),
                },
                Role::Transaction => transaction = reference(text(found)?)?,
                Role::Token => token = reference(text(found)?)?,
                Role::Payee => payee = Some(text(found)?).filter(|text| !text.is_empty()).map(str::to_owned),
                Role::LoginId => {
                    login_id = Some(Typed { text: text(found)?.to_owned(), span: body_field(found)?.span.clone() });
                }
                Role::Fixed(value) if text(found)? == value => {}
                Role::Fixed(_) => return Err(Fault::WrongFixedValue),
                Role::Parameter(ParameterValue::Is(value)) if !is_the_value(value, &found.source)? => {
                    return Err(Fault::WrongFixedValue);
                }
                Role::Parameter(_) | Role::Listed => {}
            }
        }
        let is_found = |index| found.iter().any(|found| found.declared == index);
        let missing = |(index, role): (usize, &Role)| match role {
            Role::Fixed(_) | Role::Parameter(_) => !is_found(index),
            Role::Amount => (rules.is_complete || !rules.several_amounts) && !is_found(index),
            Role::Earlier
            | Role::Date(_)
            | Role::Transaction
            | Role::Token
            | Role::Payee
            | Role::LoginId
            | Role::Listed => false,
        };
        if rules.declared.iter().map(|declared| &declared.role).enumerate().any(missing) {
            return Err(Fault::MissingField);
        }
        let amount = reading.sum()?;
        let rewritten = !reading.respelt.is_empty();
        let came = self.body.clone();
        let body = if rewritten { replaced(&came, &reading.respelt) } else { came };
        Ok(Inspection { amount, amounts: reading.amounts, date, transaction, token, payee, login_id, body, rewritten })
    }
}

/// The amounts of a body as they are found.
struct Reading<'r> {
    rules: &'r BodyRules,
    amounts: Vec<Amount>,
    /// Where an amount is to be written in plain digits.
    respelt: Vec<(Range<usize>, String)>,
}

impl Reading<'_> {
    fn amount(&mut self, field: &Field<'_>, which: (usize, u16)) -> Result<(), Fault> {
        let text = field.value.text().ok_or(Fault::BadAmount)?;
        // A line of a form that was not filled in.
        if text.is_empty() && self.rules.several_amounts {
            return Ok(());
        }
        let amount = self.rules.amount_format.parse(text).ok_or(Fault::BadAmount)?;
        self.amounts.push(Amount { yen: amount.yen, field: which });
        if let Cow::Owned(digits) = amount.digits {
            let written = match self.rules.format.media {
                MediaType::Form | MediaType::Multipart => digits,
                // Only a string can hold what is not a plain number.
                MediaType::Json => format!("\"{digits}\""),
            };
            self.respelt.push((field.span.clone(), written));
        }
        Ok(())
    }

    /// `None` where no amount is declared; where one is, something must have been filled in.
    fn sum(&self) -> Result<Option<Yen>, Fault> {
        if !self.rules.declared.iter().any(|declared| matches!(declared.role, Role::Amount)) {
            return Ok(None);
        }
        let (first, rest) = self.amounts.split_first().ok_or(Fault::MissingField)?;
        let sum = rest.iter().try_fold(first.yen, |sum, amount| sum.checked_add(amount.yen));
        sum.map(Some).ok_or(Fault::BadAmount)
    }
}

/// Fields with a meaning stand in the body: [`Submission::find`] refuses them elsewhere.
fn body_field<'s, 'a>(found: &Found<'s, 'a>) -> Result<&'s Field<'a>, Fault> {
    match found.source {
        Source::Body(field) => Ok(field),
        Source::Outside(_) => Err(Fault::AmbiguousField("a declared field outside the body")),
    }
}

fn text<'s>(found: &Found<'s, '_>) -> Result<&'s str, Fault> {
    body_field(found)?.value.text().ok_or(Fault::AmbiguousField("a declared field that is not one value"))
}

/// The body with some parts written anew. The parts are in the order of the body.
fn replaced(body: &[u8], parts: &[(Range<usize>, String)]) -> Bytes {
    let mut written = Vec::with_capacity(body.len());
    let mut done = 0;
    for (span, text) in parts {
        written.extend_from_slice(&body[done..span.start]);
        written.extend_from_slice(text.as_bytes());
        done = span.end;
    }
    written.extend_from_slice(&body[done..]);
    written.into()
}

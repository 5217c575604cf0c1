//! What can be asked of the ledger: read from a request's head, then followed.

use http::Method;

use super::desk::Desk;
use super::export::Format;
use super::order::{self, Add, By, OwnLimit, OwnLimits, Reconcile};
use super::{Done, Refused, not_found, signed, target};
use crate::domain::{ContractId, JstDate, TransferId};
use crate::pipeline::Rules;

#[derive(Debug)]
pub(super) enum LedgerVerb {
    Show(ContractId, Option<JstDate>),
    Unknown,
    Reconcile(TransferId),
    Correct(TransferId),
    Add(ContractId),
    SetOwnLimit(ContractId),
    ImportOwnLimits,
    Accept,
    Members,
    WriteOff(String),
    Export { days: (JstDate, JstDate), format: Format, operator: Option<String> },
}

impl LedgerVerb {
    /// Does it.
    pub async fn follow(self, desk: &Desk, rules: &Rules, body: &[u8], user: Option<u32>) -> Result<Done, Refused> {
        let signed = |by: By| By { operator: signed(Some(&by.operator), user), user, ..by };
        let ceiling = rules.treasury.as_ref().map(|treasury| &treasury.settings);
        let answer = match self {
            Self::Unknown => desk.unknown().await?,
            Self::Show(contract, day) => desk.show(contract, day, ceiling).await?,
            Self::Reconcile(id) => {
                let order = Reconcile::read(body)?;
                desk.reconcile(id, Reconcile { by: signed(order.by), ..order }).await?
            }
            Self::Correct(id) => {
                let order = Reconcile::read(body)?;
                desk.correct(id, Reconcile { by: signed(order.by), ..order }).await?
            }
            Self::Add(contract) => {
                let order = Add::read(body)?;
                let no_ceiling = || Refused::NotFound("the configuration has no [transfer]: nothing counts".into());
                let ceiling = ceiling.ok_or_else(no_ceiling)?;
                desk.add(contract, Add { by: signed(order.by), ..order }, ceiling).await?
            }
            Self::SetOwnLimit(contract) => {
                let order = OwnLimit::read(body)?;
                desk.set_own_limit(contract, OwnLimit { by: signed(order.by), ..order }, ceiling).await?
            }
            Self::ImportOwnLimits => {
                let order = OwnLimits::read(body)?;
                desk.import_own_limits(OwnLimits { by: signed(order.by), ..order }, ceiling).await?
            }
            Self::Accept => desk.accept(signed(By::read(body)?)).await?,
            Self::Members => desk.members().await?,
            Self::WriteOff(member) => desk.write_off(member, signed(By::read(body)?)).await?,
            Self::Export { days, format, operator } => {
                let operator = self::signed(operator.as_deref(), user);
                return Ok(Done::Export(format, desk.export(days, format, operator).await?));
            }
        };
        Ok(Done::Json(answer))
    }

    /// Whether its body is as long as a file of the customers.
    pub fn is_import(&self) -> bool {
        matches!(self, Self::ImportOwnLimits)
    }

    /// The verb that a request's head names.
    pub fn of(method: &Method, path: &[&str], query: Option<&str>) -> Result<Self, Refused> {
        let verb = match (method, path) {
            (&Method::GET, ["unknown"]) => Self::Unknown,
            (&Method::POST, ["accept"]) => Self::Accept,
            (&Method::GET, ["members"]) => Self::Members,
            (&Method::POST, ["members", name, "write-off"]) => Self::WriteOff(member_of(name)?),
            (&Method::POST, ["limits"]) => Self::ImportOwnLimits,
            (&Method::POST, ["limits", contract]) => Self::SetOwnLimit(contract_of(contract)?),
            (&Method::POST, ["transfers", id, "reconcile"]) => Self::Reconcile(transfer_of(id)?),
            (&Method::POST, ["transfers", id, "correct"]) => Self::Correct(transfer_of(id)?),
            (&Method::POST, ["contracts", contract, "transfers"]) => Self::Add(contract_of(contract)?),
            (&Method::GET, ["contracts", contract]) => {
                let [day] = target::parameters(query, ["day"])?;
                return Ok(Self::Show(contract_of(contract)?, day.map(|day| day_of(&day)).transpose()?));
            }
            (&Method::GET, ["export"]) => return Self::export_of(query),
            _ => return Err(not_found()),
        };
        let [] = target::parameters(query, [])?;
        Ok(verb)
    }

    fn export_of(query: Option<&str>) -> Result<Self, Refused> {
        let [from, to, format, operator] = target::parameters(query, ["from", "to", "format", "operator"])?;
        let day = |day: Option<String>, open| day.map_or(Ok(open), |day| day_of(&day));
        let days = (day(from, JstDate::MIN)?, day(to, JstDate::MAX)?);
        if days.0 > days.1 {
            return Err(Refused::Malformed("the first day lies after the last".into()));
        }
        let format = Format::of(format)?;
        let operator = operator.map(|operator| order::name(&operator)).transpose()?;
        Ok(Self::Export { days, format, operator })
    }
}

fn contract_of(segment: &str) -> Result<ContractId, Refused> {
    let name = target::decoded(segment).and_then(|name| ContractId::parse(&name));
    name.ok_or_else(|| Refused::Malformed("that is no contract's name".into()))
}

fn transfer_of(segment: &str) -> Result<TransferId, Refused> {
    TransferId::parse(segment).ok_or_else(|| Refused::Malformed("that is no transfer's ID".into()))
}

/// The name of a gateway's journal: letters and digits.
fn member_of(segment: &str) -> Result<String, Refused> {
    let is_name = (1..=64).contains(&segment.len()) && segment.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_name { Ok(segment.to_owned()) } else { Err(Refused::Malformed("that is no gateway's name".into())) }
}

fn day_of(text: &str) -> Result<JstDate, Refused> {
    JstDate::parse(text).ok_or_else(|| Refused::Malformed(format!("{text:?} is no day such as 2026-11-02")))
}

//! What can be asked of the registry: read from a request's head, then followed.

use bytes::Bytes;
use http::Method;

use super::super::export::{Export, Format};
use super::super::order::{self, By, Fields};
use super::super::target::{self, decoded};
use super::super::{Refused, not_found};
use super::file::{Kind, Permissions};
use super::{MOST_LISTED, RegistryDesk, Said};
use crate::domain::{ContractId, Fingerprint, LoginId, Role};
use crate::store::registry::{Access, Login, Name};
use serde_json::Value;

#[derive(Debug)]
pub(in super::super) enum RegistryVerb {
    ListContracts { after: Option<ContractId>, most: usize },
    ShowContract(ContractId),
    AddContract(ContractId),
    ChangeContract(ContractId),
    RemoveContract(ContractId),
    PutLogin(ContractId),
    RemoveLogin(LoginId),
    ListCertificates { after: Option<(LoginId, Fingerprint)>, most: usize },
    CertificatesOf(LoginId),
    CertificatesOfContract(ContractId),
    ShowCertificate(Fingerprint),
    Register,
    Retire(Fingerprint),
    Import { what: (Kind, Format), permissions: Permissions, by: By },
    Export { what: (Kind, Format), operator: Option<String> },
}

/// What a verb leads to.
pub(in super::super) enum Done {
    Json(Value),
    Export(Format, Export),
}

impl RegistryVerb {
    /// The verb that a request's head names, under `/contracts`, `/login-ids`, `/certificates` and `/registry`.
    pub fn of(method: &Method, path: &[&str], query: Option<&str>) -> Result<Self, Refused> {
        let verb = match (method, path) {
            (&Method::GET, ["contracts"]) => {
                let [after, most] = target::parameters(query, ["after", "limit"])?;
                let after = after.map(|after| contract_id(&after)).transpose()?;
                return Ok(Self::ListContracts { after, most: limit(most)? });
            }
            (&Method::GET, ["certificates"]) => return Self::certificates(query),
            (&Method::POST, ["registry", "import"]) => return Self::import(query),
            (&Method::GET, ["registry", "export"]) => {
                let [kind, format, operator] = target::parameters(query, ["kind", "format", "operator"])?;
                let operator = operator.map(|operator| order::name(&operator)).transpose()?;
                return Ok(Self::Export { what: (kind_of(kind)?, Format::of(format)?), operator });
            }
            (&Method::GET, ["contracts", id]) => Self::ShowContract(contract_id(&segment(id)?)?),
            (&Method::POST, ["contracts", id]) => Self::AddContract(contract_id(&segment(id)?)?),
            (&Method::POST, ["contracts", id, "change"]) => Self::ChangeContract(contract_id(&segment(id)?)?),
            (&Method::POST, ["contracts", id, "remove"]) => Self::RemoveContract(contract_id(&segment(id)?)?),
            (&Method::POST, ["contracts", id, "login-ids"]) => Self::PutLogin(contract_id(&segment(id)?)?),
            (&Method::POST, ["login-ids", id, "remove"]) => Self::RemoveLogin(login_id(&segment(id)?)?),
            (&Method::POST, ["certificates"]) => Self::Register,
            (&Method::GET, ["certificates", sha256]) => Self::ShowCertificate(fingerprint(sha256)?),
            (&Method::POST, ["certificates", sha256, "retire"]) => Self::Retire(fingerprint(sha256)?),
            _ => return Err(not_found()),
        };
        let [] = target::parameters(query, [])?;
        Ok(verb)
    }

    fn certificates(query: Option<&str>) -> Result<Self, Refused> {
        let names = ["login_id", "contract", "after_login_id", "after_sha256", "limit"];
        let [login, contract, after_login, after_sha256, most] = target::parameters(query, names)?;
        match (login, contract, after_login, after_sha256) {
            (Some(login), None, None, None) => Ok(Self::CertificatesOf(login_id(&login)?)),
            (None, Some(contract), None, None) => Ok(Self::CertificatesOfContract(contract_id(&contract)?)),
            (None, None, None, None) => Ok(Self::ListCertificates { after: None, most: limit(most)? }),
            (None, None, Some(login), Some(sha256)) => {
                let after = Some((login_id(&login)?, fingerprint(&sha256)?));
                Ok(Self::ListCertificates { after, most: limit(most)? })
            }
            _ => Err(malformed("\"login_id\", or \"contract\", or \"after_login_id\" with \"after_sha256\", or none")),
        }
    }

    fn import(query: Option<&str>) -> Result<Self, Refused> {
        let names = ["kind", "format", "move", "supersede", "reason", "operator"];
        let [kind, format, may_move, supersede, reason, operator] = target::parameters(query, names)?;
        let what = (kind_of(kind)?, Format::of(format)?);
        let permissions = Permissions { may_move: flag(may_move)?, supersede: flag(supersede)? };
        Ok(Self::Import { what, permissions, by: By::of(operator, reason)? })
    }

    /// Whether its body is a file.
    pub fn is_import(&self) -> bool {
        matches!(self, Self::Import { .. })
    }

    /// Does it. `signed` is who asks, by the name that is given and by the user that the kernel knows.
    pub async fn follow(
        self,
        desk: &RegistryDesk,
        body: Bytes,
        signed: impl Fn(Option<&str>) -> String,
    ) -> Result<Done, Refused> {
        let sign = |by: By| By { operator: signed(Some(&by.operator)), ..by };
        let answer = match self {
            Self::ListContracts { after, most } => desk.list_contracts(after, most).await?,
            Self::ShowContract(id) => desk.show_contract(&id).await?,
            Self::AddContract(id) => {
                let (said, by) = contract_order(&body)?;
                desk.add_contract(id, said, sign(by)).await?
            }
            Self::ChangeContract(id) => {
                let (said, by) = contract_order(&body)?;
                desk.change_contract(id, said, sign(by)).await?
            }
            Self::RemoveContract(id) => desk.remove_contract(id, sign(By::read(&body)?)).await?,
            Self::PutLogin(contract) => {
                let mut fields = Fields::read(&body)?;
                let id = login_id(&fields.text("login_id")?)?;
                let role = Role::parse(&fields.text("role")?);
                let role = role.ok_or_else(|| malformed("\"role\" is administrator, approver or general"))?;
                let may_move = fields.flag("move")?;
                desk.put_login(Login { id, contract, role }, may_move, sign(fields.by()?)).await?
            }
            Self::RemoveLogin(id) => desk.remove_login(id, sign(By::read(&body)?)).await?,
            Self::ListCertificates { after, most } => desk.list_certificates(after, most).await?,
            Self::CertificatesOf(login_id) => desk.certificates_of([login_id].into()).await?,
            Self::CertificatesOfContract(id) => desk.certificates_of_contract(&id).await?,
            Self::ShowCertificate(sha256) => desk.show_certificate(sha256).await?,
            Self::Register => {
                let mut fields = Fields::read(&body)?;
                let (pem, supersede) = (fields.text("pem")?, fields.flag("supersede")?);
                desk.register(&pem, supersede, sign(fields.by()?)).await?
            }
            Self::Retire(sha256) => desk.retire(sha256, sign(By::read(&body)?)).await?,
            Self::Import { what, permissions, by } => desk.import(what, body, permissions, sign(by)).await?,
            Self::Export { what: (kind, format), operator } => {
                let operator = signed(operator.as_deref());
                return Ok(Done::Export(format, desk.export(kind, format, operator).await?));
            }
        };
        Ok(Done::Json(answer))
    }
}

/// `{"name": "山田商店" | null, "access": "password" | null, "reason", "operator"}`: what is null stays as it is.
fn contract_order(body: &[u8]) -> Result<(Said, By), Refused> {
    let mut fields = Fields::read(body)?;
    let name = fields.optional_text("name")?.map(|name| {
        Name::parse(&name).ok_or_else(|| malformed("\"name\" is 1 to 200 characters, without control characters"))
    });
    let access = fields.optional_text("access")?.map(|access| {
        let what =
            "\"access\" is password, certificate, certificate-from=2026-12-01 (a day) or certificate-from=first-issue";
        Access::parse(&access).ok_or_else(|| malformed(what))
    });
    Ok(((name.transpose()?, access.transpose()?), fields.by()?))
}

fn segment(text: &str) -> Result<String, Refused> {
    decoded(text).ok_or_else(|| malformed("the path cannot be read"))
}

fn contract_id(text: &str) -> Result<ContractId, Refused> {
    ContractId::parse(text).ok_or_else(|| malformed("a contract is 1 to 64 characters of visible ASCII"))
}

fn login_id(text: &str) -> Result<LoginId, Refused> {
    LoginId::parse(text).ok_or_else(|| malformed("a login ID is 1 to 64 characters of visible ASCII"))
}

fn fingerprint(text: &str) -> Result<Fingerprint, Refused> {
    Fingerprint::from_hex(text).ok_or_else(|| malformed("a SHA-256 is 64 hexadecimal digits"))
}

fn limit(text: Option<String>) -> Result<usize, Refused> {
    let Some(text) = text else { return Ok(MOST_LISTED) };
    let limit = text.parse().ok().filter(|limit| (1..=MOST_LISTED).contains(limit));
    limit.ok_or_else(|| Refused::Malformed(format!("\"limit\" is a number from 1 to {MOST_LISTED}")))
}

fn kind_of(text: Option<String>) -> Result<Kind, Refused> {
    match text.as_deref() {
        Some("contracts") => Ok(Kind::Contracts),
        Some("certificates") => Ok(Kind::Certificates),
        Some(_) | None => Err(malformed("\"kind\" is \"contracts\" or \"certificates\"")),
    }
}

fn flag(text: Option<String>) -> Result<bool, Refused> {
    match text.as_deref() {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(malformed("what may be done is \"true\" or \"false\"")),
    }
}

fn malformed(text: &str) -> Refused {
    Refused::Malformed(text.to_owned())
}

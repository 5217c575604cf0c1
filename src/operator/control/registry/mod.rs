//! The registry for operators: contracts, login IDs and certificates are added, shown, listed, imported and exported.
//!
//! Whatever changes something stands in the audit log before it is answered, and is refused where the log cannot be written.

pub(super) mod file;
mod verb;

use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use self::file::{Imported, Kind, Mistakes, Permissions};
pub(super) use self::verb::{Done, RegistryVerb};
use super::Refused;
use super::export::{Export, Format, Pages};
use super::order::By;
use super::recording::{can_record, on_record};
use crate::connection::trust::Trust;
use crate::domain::{Clock, ContractId, Fingerprint, JstDate, LoginId, Role};
use crate::operator::audit::{Action, Audit, Digest, OperatorAct, Outcome, Record};
use crate::store::RegistryActs;
use crate::store::blocks::Board;
use crate::store::registry::{Access, ActError, Certificate, Contract, Draft, Index, Login, Name, Registry, State};

/// What is said of a contract: its name, and by which entrance its login IDs may come. What is not said stays as it is.
type Said = (Option<Name>, Option<Access>);

/// The most things that one answer lists.
const MOST_LISTED: usize = 1_000;

/// The registry, and what acting on it takes.
#[derive(Debug, Clone)]
pub struct RegistryDesk {
    acts: RegistryActs,
    registry: Arc<Registry>,
    /// Who is shut out.
    board: Arc<Board>,
    /// Reads certificates.
    trust: Arc<ArcSwap<Trust>>,
    audit: Audit,
    clock: Arc<dyn Clock>,
    /// Acts come one after another, and the end of the gateway after the last.
    acting: Arc<Mutex<()>>,
}

impl RegistryDesk {
    /// The desk of a registry.
    pub fn new(
        acts: RegistryActs,
        board: Arc<Board>,
        trust: Arc<ArcSwap<Trust>>,
        audit: Audit,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let registry = Arc::clone(acts.registry());
        Self { acts, registry, board, trust, audit, clock, acting: Arc::default() }
    }

    /// Waits until the act under way is on record.
    pub async fn finish(&self) {
        drop(self.acting.lock().await);
    }

    async fn add_contract(&self, id: ContractId, (name, access): Said, by: By) -> Result<Value, Refused> {
        let record = Record { contract: Some(id.clone()), ..act(OperatorAct::ContractAdded, by) };
        let new = id.clone();
        let add =
            move |draft: &mut Draft<'_>| draft.add_contract(new.clone(), name.clone(), access.unwrap_or_default());
        self.act(record, add).await?;
        self.show_contract(&id).await
    }

    async fn change_contract(&self, id: ContractId, (name, access): Said, by: By) -> Result<Value, Refused> {
        let record = Record { contract: Some(id.clone()), ..act(OperatorAct::ContractChanged, by) };
        let changed = id.clone();
        self.act(record, move |draft| draft.change_contract(changed.clone(), name.clone(), access)).await?;
        self.show_contract(&id).await
    }

    async fn remove_contract(&self, id: ContractId, by: By) -> Result<Value, Refused> {
        let record = Record { contract: Some(id.clone()), ..act(OperatorAct::ContractRemoved, by) };
        let removed = id.clone();
        self.act(record, move |draft| draft.remove_contract(removed.clone())).await?;
        Ok(json!({ "contract": id.as_str() }))
    }

    async fn put_login(&self, login: Login, may_move: bool, by: By) -> Result<Value, Refused> {
        let record = Record {
            contract: Some(login.contract.clone()),
            login_id: Some(login.id.clone()),
            role: Some(login.role),
            ..act(OperatorAct::LoginIdPut, by)
        };
        let contract = login.contract.clone();
        self.act(record, move |draft| draft.put_login(login.clone(), may_move)).await?;
        self.show_contract(&contract).await
    }

    async fn remove_login(&self, id: LoginId, by: By) -> Result<Value, Refused> {
        let place = self.registry.index().place(&id).map(|(contract, role)| (contract.clone(), role));
        let (contract, role) = place.unzip();
        let record = Record { contract, role, login_id: Some(id.clone()), ..act(OperatorAct::LoginIdRemoved, by) };
        let (contract, _) = self.act(record, move |draft| draft.remove_login(id.clone())).await?;
        self.show_contract(&contract).await
    }

    async fn register(&self, pem: &str, supersede: bool, by: By) -> Result<Value, Refused> {
        let der = CertificateDer::from_pem_slice(pem.as_bytes())
            .map_err(|_| Refused::Malformed("\"pem\" is no certificate in PEM".into()))?;
        let read = self.trust.load().read(&der, self.clock.now());
        let certificate =
            read.map_err(|reason| Refused::Conflict(format!("it could not be a customer's certificate: {reason}")))?;
        let record = about(&certificate, act(OperatorAct::CertificateRegistered, by));
        let registered = certificate.clone();
        self.act(record, move |draft| draft.register(registered.clone(), supersede)).await?;
        Ok(view(&certificate))
    }

    async fn retire(&self, sha256: Fingerprint, by: By) -> Result<Value, Refused> {
        let known = self.ask(move |registry| registry.certificate(&sha256)).await?.map_err(refused)?;
        let known = known.ok_or_else(|| refused(ActError::NoCertificate(sha256)))?;
        let record = about(&known, act(OperatorAct::CertificateRetired, by));
        let retired = self.act(record, move |draft| draft.retire(sha256)).await?;
        Ok(view(&retired))
    }

    async fn import(
        &self,
        (kind, format): (Kind, Format),
        file: Bytes,
        permissions: Permissions,
        by: By,
    ) -> Result<Value, Refused> {
        let record = Record { file: Some(Digest::of(&file)), ..act(OperatorAct::RegistryImported, by) };
        let import = move |draft: &mut Draft<'_>| {
            let imported: Result<Imported, Mistakes> = file::import(draft, (kind, format), &file, permissions);
            imported.map_err(|mistakes| ActError::Mistaken(mistakes.to_string()))
        };
        let count = |imported: &Imported, record: Record| Record { count: Some(imported.lines), ..record };
        let imported = self.act_and_count(record, import, count).await?;
        Ok(json!({ "lines": imported.lines, "changed": imported.changed }))
    }

    async fn export(&self, kind: Kind, format: Format, operator: String) -> Result<Export, Refused> {
        let _turn = self.acting.lock().await;
        can_record(&self.audit).await?;
        let by = By { operator, reason: "the registry".into(), user: None };
        self.audit.record(act(OperatorAct::RegistryExported, by));
        on_record(&self.audit).await?;
        Ok(Export::of(Copied { registry: Arc::clone(&self.registry), kind, format, after: After::Nothing }))
    }

    async fn show_contract(&self, id: &ContractId) -> Result<Value, Refused> {
        let index = self.registry.index();
        let contract = index.contract(id).cloned().ok_or_else(|| refused(ActError::NoContract(id.clone())))?;
        let today = JstDate::of(self.clock.now());
        let login_ids: Vec<Value> = index.members(id).iter().map(|member| place(&index, member)).collect();
        let mut answer = summary(&contract, &index, today);
        answer["login_ids"] = login_ids.into();
        let former = contract.former.iter().map(|(id, day)| json!({"login_id": id.as_str(), "left": day.to_string()}));
        answer["former"] = former.collect::<Vec<_>>().into();
        Ok(answer)
    }

    async fn list_contracts(&self, after: Option<ContractId>, most: usize) -> Result<Value, Refused> {
        let (index, today) = (self.registry.index(), JstDate::of(self.clock.now()));
        let most = most.min(MOST_LISTED);
        let page = self.ask(move |registry| registry.contracts_after(after.as_ref(), most)).await?.map_err(refused)?;
        let next = page.last().filter(|_| page.len() == most).map(ContractId::as_str);
        let listed = page.iter().filter_map(|id| Some(summary(index.contract(id)?, &index, today)));
        Ok(json!({ "contracts": listed.collect::<Vec<_>>(), "next": next }))
    }

    async fn show_certificate(&self, sha256: Fingerprint) -> Result<Value, Refused> {
        let found = self.ask(move |registry| registry.certificate(&sha256)).await?.map_err(refused)?;
        found.as_ref().map(view).ok_or_else(|| refused(ActError::NoCertificate(sha256)))
    }

    async fn certificates_of(&self, login_ids: Arc<[LoginId]>) -> Result<Value, Refused> {
        let read = move |registry: &Registry| -> Result<Vec<Certificate>, ActError> {
            let each = login_ids.iter().map(|login_id| registry.certificates_of(login_id));
            Ok(each.collect::<Result<Vec<_>, _>>()?.concat())
        };
        let found = self.ask(read).await?.map_err(refused)?;
        Ok(json!({ "certificates": found.iter().map(view).collect::<Vec<_>>(), "next": null }))
    }

    async fn certificates_of_contract(&self, id: &ContractId) -> Result<Value, Refused> {
        let index = self.registry.index();
        if index.contract(id).is_none() {
            return Err(refused(ActError::NoContract(id.clone())));
        }
        self.certificates_of(index.members(id)).await
    }

    async fn list_certificates(&self, after: Option<(LoginId, Fingerprint)>, most: usize) -> Result<Value, Refused> {
        let most = most.min(MOST_LISTED);
        let read = move |registry: &Registry| {
            registry.certificates_after(after.as_ref().map(|(login_id, sha256)| (login_id, sha256)), most)
        };
        let page = self.ask(read).await?.map_err(refused)?;
        let next = page.last().filter(|_| page.len() == most);
        let next = next.map(|last| json!({"login_id": last.login_id.as_str(), "sha256": last.sha256.to_string()}));
        Ok(json!({ "certificates": page.iter().map(view).collect::<Vec<_>>(), "next": next }))
    }

    /// Does an act, and tells it.
    async fn act<T: Send + 'static>(
        &self,
        record: Record,
        act: impl Fn(&mut Draft<'_>) -> Result<T, ActError> + Send + Sync + 'static,
    ) -> Result<T, Refused> {
        self.act_and_count(record, act, |_, record| record).await
    }

    async fn act_and_count<T: Send + 'static>(
        &self,
        record: Record,
        act: impl Fn(&mut Draft<'_>) -> Result<T, ActError> + Send + Sync + 'static,
        count: impl FnOnce(&T, Record) -> Record,
    ) -> Result<T, Refused> {
        let _turn = self.acting.lock().await;
        can_record(&self.audit).await?;
        let now = self.clock.now();
        let board = Arc::clone(&self.board);
        let act = move |draft: &mut Draft<'_>| {
            draft.respect(board.blocks());
            act(draft)
        };
        match self.acts.act(now, act).await {
            Ok(done) => {
                self.audit.record(count(&done, record));
                on_record(&self.audit).await?;
                Ok(done)
            }
            Err(error) => {
                // The attempt stands in the log too.
                let outcome = match &error {
                    ActError::Unheard(_) => Outcome::Unknown,
                    _ => Outcome::Failure,
                };
                self.audit.record(Record { outcome, ..record });
                Err(refused(error))
            }
        }
    }

    /// The registry waits for its disk; the control thread must not.
    async fn ask<T: Send + 'static>(&self, ask: impl FnOnce(&Registry) -> T + Send + 'static) -> Result<T, Refused> {
        let registry = Arc::clone(&self.registry);
        let asked = tokio::task::spawn_blocking(move || ask(&registry)).await;
        asked.map_err(|_| Refused::Failed("it failed; look whether it was done".into()))
    }
}

fn act(act: OperatorAct, by: By) -> Record {
    Record { reason: Some(by.reason.into()), operator: Some(by.operator.into()), ..Record::new(Action::Operator(act)) }
}

fn about(certificate: &Certificate, record: Record) -> Record {
    Record {
        login_id: Some(certificate.login_id.clone()),
        certificate: Some(certificate.serial.clone()),
        fingerprint: Some(certificate.sha256),
        ..record
    }
}

fn refused(error: ActError) -> Refused {
    match &error {
        ActError::NoContract(_) | ActError::NoLogin(_) | ActError::NoCertificate(_) => {
            Refused::NotFound(error.to_string())
        }
        ActError::Mistaken(mistakes) => Refused::Malformed(mistakes.clone()),
        ActError::Unkept(_) => Refused::Unavailable(format!("nothing has changed: {error}")),
        ActError::Unheard(_) => Refused::Unavailable(error.to_string()),
        ActError::ContractExists(_)
        | ActError::HasLogins(..)
        | ActError::HadLogins(..)
        | ActError::Blocked(_)
        | ActError::WasRetired
        | ActError::Elsewhere { .. }
        | ActError::TooManyLogins(_)
        | ActError::AnotherOwner(_)
        | ActError::HasCertificate { .. }
        | ActError::RetiredAlready => Refused::Conflict(format!("{}: nothing has changed", file::told(&error))),
    }
}

/// A contract in a line.
fn summary(contract: &Contract, index: &Index, today: JstDate) -> Value {
    let Contract { id, name, access, .. } = contract;
    json!({
        "contract": id.as_str(),
        "name": name.as_ref().map(Name::as_str),
        "access": access.to_string(),
        "by_certificate_only": index.demands_certificate(id, today),
        "count": index.members(id).len(),
    })
}

fn place(index: &Index, login_id: &LoginId) -> Value {
    json!({
        "login_id": login_id.as_str(),
        "role": index.place(login_id).map(|(_, role)| Role::word(role)),
        "certificate": index.active(login_id).map(|sha256| sha256.to_string()),
    })
}

fn view(certificate: &Certificate) -> Value {
    let Certificate { sha256, serial, issuer, login_id, not_before, not_after, state } = certificate;
    json!({
        "login_id": login_id.as_str(),
        "sha256": sha256.to_string(),
        "serial": serial.to_string(),
        "issuer": issuer.as_str(),
        "not_before": file::moment(*not_before),
        "not_after": file::moment(*not_after),
        "state": State::word(*state),
    })
}

/// A copy of the registry, read page by page.
#[derive(Debug)]
struct Copied {
    registry: Arc<Registry>,
    kind: Kind,
    format: Format,
    after: After,
}

/// How far a copy has come.
#[derive(Debug, Clone)]
enum After {
    Nothing,
    Contract(ContractId),
    Certificate(LoginId, Fingerprint),
    All,
}

impl Copied {
    /// The lines of a page, and how far it comes.
    fn read(registry: &Registry, kind: Kind, format: Format, after: &After) -> Result<(String, After), ActError> {
        let mut lines = match after {
            After::Nothing => file::header(kind, format),
            After::Contract(_) | After::Certificate(..) | After::All => String::new(),
        };
        let last = match kind {
            Kind::Contracts => {
                let after = if let After::Contract(id) = after { Some(id) } else { None };
                let page = registry.contracts_after(after, MOST_LISTED)?;
                let index = registry.index();
                for contract in page.iter().filter_map(|id| index.contract(id)) {
                    file::contract_lines(contract, &index, format, &mut lines);
                }
                page.into_iter().next_back().map(After::Contract)
            }
            Kind::Certificates => {
                let after = if let After::Certificate(id, sha256) = after { Some((id, sha256)) } else { None };
                let page = registry.certificates_after(after, MOST_LISTED)?;
                for certificate in &page {
                    file::certificate_line(certificate, format, &mut lines);
                }
                page.into_iter().next_back().map(|last| After::Certificate(last.login_id, last.sha256))
            }
        };
        Ok((lines, last.unwrap_or(After::All)))
    }
}

impl Pages for Copied {
    async fn next_page(&mut self) -> Result<Option<String>, String> {
        if matches!(self.after, After::All) {
            return Ok(None);
        }
        let (registry, after) = (Arc::clone(&self.registry), self.after.clone());
        let (kind, format) = (self.kind, self.format);
        let read = tokio::task::spawn_blocking(move || Self::read(&registry, kind, format, &after)).await;
        let (lines, after) = read.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        self.after = after;
        Ok(Some(lines))
    }
}

#[cfg(test)]
mod tests;

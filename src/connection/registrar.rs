//! A customer's first certificate becomes the registered one, where the configuration says so (TLS-09).
//!
//! It is kept before anything of the customer's is forwarded. While it cannot be kept, the customer is told to try later.

use std::sync::Arc;

use crate::domain::Clock;
use crate::operator::audit::{Action, Audit, Outcome, Record};
use crate::refusal::Refusal;
use crate::store::RegistryActs;
use crate::store::registry::{ActError, Done};

use super::identity::VerifiedIdentity;
use super::visit::{Visit, Visitor};

/// Who registers.
#[derive(Debug)]
pub struct Registrar {
    /// Where.
    pub registry: RegistryActs,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Where it is told.
    pub audit: Audit,
}

impl Registrar {
    /// Registers the certificate with which a customer came. What becomes of the customer, the next judgement says: of two
    /// certificates that come at once, one is the first.
    ///
    /// # Errors
    /// 503, where it cannot be kept now.
    pub async fn register(&self, visit: &Visit) -> Result<(), Refusal> {
        let Visitor::Customer(who) = visit.visitor() else { return Ok(()) };
        let certificate = who.to_register().ok_or(Refusal::StandingUnknown)?;
        match self.registry.learn(certificate, self.clock.now()).await {
            Ok(Done::Added | Done::Changed) => self.audit.record(Self::told(who, visit)),
            Err(error @ ActError::Unheard(_)) => {
                tracing::error!(%error, "whether a customer's first certificate is registered is not known");
                self.audit.record(Record { outcome: Outcome::Unknown, ..Self::told(who, visit) });
                return Err(Refusal::StandingUnknown);
            }
            Err(error @ ActError::Unkept(_)) => {
                tracing::error!(%error, "a customer's first certificate cannot be registered");
                return Err(Refusal::StandingUnknown);
            }
            // Registered meanwhile, or another was.
            Ok(Done::Unchanged) | Err(_) => {}
        }
        visit.forget_verdict();
        Ok(())
    }

    fn told(who: &VerifiedIdentity, visit: &Visit) -> Record {
        Record {
            login_id: Some(who.login_id().clone()),
            certificate: who.certificate_serial().cloned(),
            fingerprint: Some(*who.fingerprint()),
            client: Some(visit.client()),
            listener: Some(visit.listener().name().into()),
            ..Record::new(Action::CertificateLearned)
        }
    }
}

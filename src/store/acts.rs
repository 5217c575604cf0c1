//! Who changes the registry: this gateway alone, or through the store that it shares with others.

use std::sync::Arc;

use jiff::Timestamp;

use super::redis::{CUSTOMERS_PATIENCE, OPERATORS_PATIENCE, SharedRegistry};
use super::registry::{ActError, Certificate, Done, Draft, Reach, Registry};

/// The registry's acts. Copies are the same registry.
#[derive(Debug, Clone)]
pub struct RegistryActs {
    registry: Arc<Registry>,
    shared: Option<Arc<SharedRegistry>>,
}

impl RegistryActs {
    /// The acts of a registry; `shared` where other gateways have it too.
    pub fn new(registry: Arc<Registry>, shared: Option<Arc<SharedRegistry>>) -> Self {
        Self { registry, shared }
    }

    /// The registry, to be looked at.
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Does an act as a whole, for all gateways that share the registry. Where another one was faster, it is decided again.
    ///
    /// # Errors
    /// What the act says; or the disk or the store does not take part.
    pub async fn act<T: Send + 'static>(
        &self,
        now: Timestamp,
        act: impl Fn(&mut Draft<'_>) -> Result<T, ActError> + Send + Sync + 'static,
    ) -> Result<T, ActError> {
        match &self.shared {
            Some(shared) => shared.act(now, (Reach::Everybody, OPERATORS_PATIENCE), act).await,
            None => self.alone(move |registry| registry.act(now, act)).await,
        }
    }

    /// Takes a certificate for the one of its login ID, where that has never had one.
    ///
    /// # Errors
    /// It has had another; or the disk or the store does not take part.
    pub async fn learn(&self, certificate: Certificate, now: Timestamp) -> Result<Done, ActError> {
        match &self.shared {
            Some(shared) => {
                let reach = self.registry.reach_of(&certificate);
                shared.act(now, (reach, CUSTOMERS_PATIENCE), move |draft| draft.learn(certificate.clone())).await
            }
            None => self.alone(move |registry| registry.learn(certificate, now)).await,
        }
    }

    /// The disk must not hold up the thread that asks.
    async fn alone<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Registry) -> Result<T, ActError> + Send + 'static,
    ) -> Result<T, ActError> {
        let registry = Arc::clone(&self.registry);
        let done = tokio::task::spawn_blocking(move || act(&registry)).await;
        done.unwrap_or_else(|_| Err(ActError::Unkept("the act failed; look whether it was done".into())))
    }
}

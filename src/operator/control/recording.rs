//! Whatever operators do stands in the audit log before they are answered.

use super::Refused;
use crate::operator::audit::Audit;

/// Whether an act could be recorded now. Asked before anything is done.
pub(super) async fn can_record(audit: &Audit) -> Result<(), Refused> {
    let refused = |why: &str| Refused::Unavailable(format!("{why}: nothing was done"));
    flush(audit).await.map_err(|unwritten| refused(&unwritten))?;
    if audit.is_writable() { Ok(()) } else { Err(refused("the audit log cannot be written")) }
}

/// What was done and told is on the disk.
pub(super) async fn on_record(audit: &Audit) -> Result<(), Refused> {
    flush(audit)
        .await
        .map_err(|unwritten| Refused::Failed(format!("it is done, but its record is not on the disk yet: {unwritten}")))
}

async fn flush(audit: &Audit) -> Result<(), String> {
    let audit = audit.clone();
    match tokio::task::spawn_blocking(move || audit.flush()).await {
        Ok(flushed) => flushed.map_err(|unwritten| unwritten.to_string()),
        Err(_) => Err("nothing writes the audit log".into()),
    }
}

//! What other gateways know of a request's rates, where a limit is shared with them.
//!
//! This gateway's buckets have been charged already. Where Redis answers, its word holds; where it does not, theirs does.

use std::sync::Arc;

use super::bucket::Bucket;
use super::{Admitted, Limit};
use crate::refusal::Refusal;
use crate::store::redis::{SharedBucket, SharedBuckets, Taken};

/// A request that this gateway would let pass, before the others are asked.
#[derive(Debug)]
pub struct Asked {
    /// Not to be had before they have answered.
    admitted: Admitted,
    charges: Vec<Charge>,
}

/// What a limit has charged here.
#[derive(Debug)]
struct Charge {
    limit: Arc<Limit>,
    bucket: Arc<Bucket>,
    /// What is left here.
    remaining: u32,
}

impl Asked {
    pub(super) fn about(admitted: Admitted, charged: Vec<(Arc<Limit>, Arc<Bucket>, u32)>) -> Box<Self> {
        let charges = charged.into_iter().map(|(limit, bucket, remaining)| Charge { limit, bucket, remaining });
        Box::new(Self { admitted, charges: charges.collect() })
    }

    /// Asks, and lets the request pass or says how long its sender must wait. It takes no longer than Redis may.
    ///
    /// # Errors
    /// 429.
    pub async fn decide(self: Box<Self>) -> Result<Admitted, Refusal> {
        let Self { mut admitted, charges } = *self;
        let buckets: Vec<SharedBucket> = charges.iter().filter_map(|charge| charge.bucket.elsewhere).collect();
        let elsewhere = charges.iter().find_map(|charge| charge.limit.elsewhere.clone());
        let taken = match &elsewhere {
            Some(elsewhere) => elsewhere.take(buckets).await,
            None => None,
        };
        let mut taken = taken.into_iter().flatten();
        let judged: Vec<(Charge, Option<Taken>)> = charges
            .into_iter()
            .map(|charge| {
                let taken = charge.bucket.elsewhere.and_then(|_| taken.next());
                (charge, taken)
            })
            .collect();
        for (at, (charge, taken)) in judged.iter().enumerate() {
            if let Some(Taken::Exceeds(wait)) = taken {
                give_back(&judged[at..], elsewhere.as_ref());
                return Err(charge.limit.refusal(*wait));
            }
        }
        for (Charge { limit, bucket, remaining }, taken) in judged {
            let (remaining, elsewhere) = match taken {
                Some(Taken::Conforms(left)) => (left.min(remaining), bucket.elsewhere),
                Some(Taken::Exceeds(_)) | None => (remaining, None),
            };
            limit.pass(&mut admitted, bucket, remaining, elsewhere);
        }
        Ok(admitted)
    }
}

/// A request that a limit refuses is charged by none behind it.
fn give_back(refused: &[(Charge, Option<Taken>)], elsewhere: Option<&SharedBuckets>) {
    for (Charge { limit, bucket, .. }, taken) in refused {
        bucket.give_back(limit.settings.rate);
        if let (Some(Taken::Conforms(_)), Some(elsewhere), Some(shared)) = (taken, elsewhere, bucket.elsewhere) {
            elsewhere.give_back(shared);
        }
    }
}

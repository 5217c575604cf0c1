//! How often a customer may ask (REQUIREMENTS 2.10): one bucket per key and limit, in bounded memory.
//!
//! A limit applies before anything of the body is read. Where the route will only be known from the body, the limits of
//! every route that it may be apply.
//!
//! A limit may be shared with other gateways (RTL-01). Then its bucket here is charged all the same: it spares the others
//! what one gateway alone knows to be too much, and decides when they cannot be asked.
//!
//! Invariant: keys are login IDs that were proven and addresses that were seen, never anything a client can make up.

mod bucket;
mod gcra;
mod shared;

#[cfg(test)]
mod soak;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::sync::Cache;
use prometheus::IntCounter;

use bucket::{Bucket, Newcomers};
pub use gcra::{Rate, Verdict};
pub use shared::Asked;

use super::route::{Route, Routed, Selector};
use crate::connection::Standing;
use crate::connection::census::neighbourhood;
use crate::domain::{ContractId, LoginId};
use crate::operator::metrics::Metrics;
use crate::refusal::Refusal;
use crate::store::redis::{SharedBucket, SharedBuckets};

/// Whose requests share a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// One login ID's; where there is none, one address's.
    LoginId,
    /// One contract's. Where no registry is asked, or it knows none, a login ID is a contract of its own.
    Contract,
    /// One client address's (IPv6: one /64's).
    Address,
}

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counts {
    /// Every request.
    Requests,
    /// Requests that the application's answer calls a failure, by the route's marker (RTL-03). One that is never answered
    /// counts too: whoever hangs up must not guess for free.
    Failures,
}

/// `[[rate-limit]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// In the metric and in the `RateLimit` fields.
    pub name: Arc<str>,
    /// Whose requests share a bucket.
    pub key: KeyKind,
    /// What is counted.
    pub counts: Counts,
    /// How many, how fast.
    pub rate: Rate,
    /// Which routes.
    pub routes: Selector,
    /// Whether answers carry `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10).
    pub headers: bool,
    /// Buckets that are remembered at most; beyond it the least used are forgotten (RTL-04).
    pub max_keys: u64,
    /// Whether its buckets are those of all gateways that share the store.
    pub shared: bool,
}

#[derive(Debug)]
struct Limit {
    settings: Settings,
    refused: IntCounter,
    by_login_id: Cache<LoginId, Arc<Bucket>>,
    by_contract: Cache<ContractId, Arc<Bucket>>,
    by_address: Cache<IpAddr, Arc<Bucket>>,
    /// Where others have them too.
    elsewhere: Option<SharedBuckets>,
    newcomers: Newcomers,
}

/// All limits in force.
#[derive(Debug)]
pub struct RateLimits {
    limits: Vec<Arc<Limit>>,
    /// What moments are counted from.
    epoch: Instant,
}

/// What this gateway alone knows of a request's rates.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "made for every request, and taken apart at once: only what waits is on the heap"
)]
pub enum Admission {
    /// All there is to know.
    Decided(Admitted),
    /// Nothing against it; other gateways may know more.
    Asked(Box<Asked>),
}

/// A request that its sender's rates allow. Only [`RateLimits::admit`] makes one, or [`Asked::decide`].
#[derive(Debug)]
pub struct Admitted {
    pub(super) routed: Routed,
    /// What is told of the limits, where one of them wants to be told.
    pub told: Option<Told>,
    /// What is taken back unless the answer is a failure.
    pub(super) on_trial: OnTrial,
}

/// A request that counts unless its answer turns out not to be a failure.
#[derive(Debug, Default)]
pub struct OnTrial(Vec<Trial>);

#[derive(Debug)]
struct Trial {
    limit: Arc<Limit>,
    bucket: Arc<Bucket>,
    /// Also taken from there.
    elsewhere: Option<SharedBucket>,
}

impl OnTrial {
    /// Whether some limit waits for the answer.
    pub fn is_awaited(&self) -> bool {
        !self.0.is_empty()
    }

    /// The answer was no failure.
    pub fn acquit(self) {
        for Trial { limit, bucket, elsewhere } in self.0 {
            bucket.give_back(limit.settings.rate);
            if let Some((buckets, bucket)) = limit.elsewhere.as_ref().zip(elsewhere) {
                buckets.give_back(bucket);
            }
        }
    }
}

/// What a client is told of the limit that it is nearest to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    name: Arc<str>,
    rate: Rate,
    remaining: u32,
}

impl RateLimits {
    /// The limits of a configuration, with those buckets that other gateways have too. Buckets of limits that did not
    /// change go on: a reload forgives nobody.
    pub fn new(
        settings: &[Settings],
        metrics: &Metrics,
        elsewhere: Option<&SharedBuckets>,
        before: Option<&Self>,
    ) -> Self {
        let known = |wanted: &Settings| before?.limits.iter().find(|limit| limit.settings == *wanted).cloned();
        let limits = settings.iter().map(|wanted| {
            known(wanted).unwrap_or_else(|| Arc::new(Limit::new(wanted.clone(), metrics, elsewhere.cloned())))
        });
        Self { limits: limits.collect(), epoch: before.map_or_else(Instant::now, |before| before.epoch) }
    }

    /// Lets a request pass, as far as this gateway alone knows, or says how long its sender must wait.
    ///
    /// # Errors
    /// 429.
    pub fn admit(&self, routed: Routed, now: Instant) -> Result<Admission, Refusal> {
        let now = u64::try_from(now.saturating_duration_since(self.epoch).as_micros()).unwrap_or(u64::MAX);
        let mut admitted = Admitted { routed, told: None, on_trial: OnTrial::default() };
        let mut open = Vec::new();
        for limit in &self.limits {
            if limit.settings.routes.takes_any(admitted.routed.candidates()) {
                let bucket = limit.bucket_of(admitted.routed.standing(), now);
                let remaining = limit.take(&bucket, now)?;
                // Behind one that others must be asked about, what comes next is open as well.
                if bucket.elsewhere.is_some() || !open.is_empty() {
                    open.push((Arc::clone(limit), bucket, remaining));
                } else {
                    limit.pass(&mut admitted, bucket, remaining, None);
                }
            }
        }
        Ok(if open.is_empty() { Admission::Decided(admitted) } else { Admission::Asked(Asked::about(admitted, open)) })
    }
}

impl Limit {
    fn new(settings: Settings, metrics: &Metrics, elsewhere: Option<SharedBuckets>) -> Self {
        let refused = metrics.rate_limited.with_label_values(&[&*settings.name]);
        let elsewhere = elsewhere.filter(|_| settings.shared);
        if let Some(buckets) = &elsewhere {
            buckets.begin();
        }
        // A bucket that nobody touched for its window is empty: forgetting it changes nothing.
        let idle = settings.rate.window() + Duration::from_secs(1);
        let max_keys = settings.max_keys;
        Self {
            newcomers: Newcomers::new(settings.rate, max_keys),
            settings,
            refused,
            by_login_id: Cache::builder().max_capacity(max_keys).time_to_idle(idle).build(),
            by_contract: Cache::builder().max_capacity(max_keys).time_to_idle(idle).build(),
            by_address: Cache::builder().max_capacity(max_keys).time_to_idle(idle).build(),
            elsewhere,
        }
    }

    /// Takes from a bucket of this gateway; what is left in it.
    fn take(&self, bucket: &Bucket, now: u64) -> Result<u32, Refusal> {
        bucket.take(self.settings.rate, now).map_err(|wait| self.refusal(wait))
    }

    /// Its sender must wait for so many microseconds.
    fn refusal(&self, wait: u64) -> Refusal {
        self.refused.inc();
        let seconds = u32::try_from(wait.div_ceil(1_000_000)).unwrap_or(u32::MAX);
        Refusal::RateLimited { retry_after: seconds.max(1) }
    }

    /// The request has passed this limit, with so much left.
    fn pass(
        self: &Arc<Self>,
        admitted: &mut Admitted,
        bucket: Arc<Bucket>,
        remaining: u32,
        elsewhere: Option<SharedBucket>,
    ) {
        let Settings { name, rate, counts, headers, .. } = &self.settings;
        if let (Some(buckets), None) = (&self.elsewhere, bucket.elsewhere) {
            buckets.fall_back();
        }
        if *headers {
            admitted.told = Some(Told { name: Arc::clone(name), rate: *rate, remaining });
        }
        if *counts == Counts::Failures {
            admitted.on_trial.0.push(Trial { limit: Arc::clone(self), bucket, elsewhere });
        }
    }

    fn bucket_of(&self, standing: &Standing, now: u64) -> Arc<Bucket> {
        let customer = || standing.customer().map(|who| self.bucket_of_customer(who.login_id(), now));
        let bucket = match self.settings.key {
            KeyKind::LoginId => customer(),
            KeyKind::Contract => {
                let contract = standing.contract().map(|contract| self.bucket_of_contract(contract, now));
                contract.or_else(customer)
            }
            KeyKind::Address => None,
        };
        bucket.unwrap_or_else(|| self.bucket_of_address(neighbourhood(standing.visit().client()), now))
    }

    fn bucket_of_contract(&self, contract: &ContractId, now: u64) -> Arc<Bucket> {
        let known = self.by_contract.get(contract);
        known.unwrap_or_else(|| {
            let new = || self.new_bucket("contract", contract.as_str(), now);
            self.by_contract.get_with(contract.clone(), new)
        })
    }

    fn bucket_of_customer(&self, login_id: &LoginId, now: u64) -> Arc<Bucket> {
        let known = self.by_login_id.get(login_id);
        known.unwrap_or_else(|| {
            let new = || self.new_bucket("login-id", login_id.as_str(), now);
            self.by_login_id.get_with(login_id.clone(), new)
        })
    }

    fn bucket_of_address(&self, address: IpAddr, now: u64) -> Arc<Bucket> {
        self.by_address.get_with(address, || self.new_bucket("address", &address.to_string(), now))
    }

    fn new_bucket(&self, kind: &str, whose: &str, now: u64) -> Arc<Bucket> {
        let is_shared = self.elsewhere.is_some() && self.newcomers.has_room(now);
        let Settings { name, rate, .. } = &self.settings;
        let elsewhere = is_shared.then(|| SharedBucket::of(&[name, kind, whose], rate.interval(), rate.burst()));
        Arc::new(Bucket::new(elsewhere))
    }
}

impl Told {
    /// `RateLimit-Policy`: the quota and its window.
    pub fn policy(&self) -> String {
        format!("\"{}\";q={};w={}", self.name, self.rate.burst(), self.rate.window().as_secs().max(1))
    }

    /// `RateLimit`: what is left of it.
    pub fn state(&self) -> String {
        format!("\"{}\";r={}", self.name, self.remaining)
    }
}

impl Selector {
    fn takes_any(&self, candidates: &[Arc<Route>]) -> bool {
        candidates.iter().any(|route| self.takes(route))
    }
}

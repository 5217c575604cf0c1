//! How often a customer may ask (REQUIREMENTS 2.10): one bucket per key and limit, in bounded memory.
//!
//! A limit applies before anything of the body is read. Where the route will only be known from the body, the limits of
//! every route that it may be apply.
//!
//! Invariant: keys are login IDs that were proven and addresses that were seen, never anything a client can make up.

mod gcra;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use moka::sync::Cache;
use prometheus::IntCounter;

pub use gcra::{Rate, Verdict};

use super::route::{Route, Routed, Selector};
use crate::connection::Standing;
use crate::connection::census::neighbourhood;
use crate::domain::LoginId;
use crate::operator::metrics::Metrics;
use crate::refusal::Refusal;

/// Whose requests share a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// One login ID's; where there is none, one address's.
    LoginId,
    /// One contract's. Until a registry says otherwise, a login ID is a contract of its own.
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
}

/// The moment at which it will be empty, in nanoseconds.
type Bucket = Arc<AtomicU64>;

#[derive(Debug, Clone)]
struct Limit {
    settings: Settings,
    refused: IntCounter,
    by_login_id: Cache<LoginId, Bucket>,
    by_address: Cache<IpAddr, Bucket>,
}

/// All limits in force.
#[derive(Debug)]
pub struct RateLimits {
    limits: Vec<Limit>,
    /// What moments are counted from.
    epoch: Instant,
}

/// A request that its sender's rates allow. Only [`RateLimits::admit`] makes one.
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
pub struct OnTrial(Vec<(Bucket, Rate)>);

impl OnTrial {
    /// Whether some limit waits for the answer.
    pub fn is_awaited(&self) -> bool {
        !self.0.is_empty()
    }

    /// The answer was no failure.
    pub fn acquit(self) {
        for (bucket, rate) in self.0 {
            // Never fails: the closure always answers.
            let _ =
                bucket.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |empty_at| Some(rate.give_back(empty_at)));
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
    /// The limits of a configuration. Buckets of limits that did not change go on: a reload forgives nobody.
    pub fn new(settings: &[Settings], metrics: &Metrics, before: Option<&Self>) -> Self {
        let known = |wanted: &Settings| before?.limits.iter().find(|limit| limit.settings == *wanted).cloned();
        let limits = settings
            .iter()
            .map(|wanted| known(wanted).unwrap_or_else(|| Limit::new(wanted.clone(), metrics)))
            .collect();
        Self { limits, epoch: before.map_or_else(Instant::now, |before| before.epoch) }
    }

    /// Lets a request pass, or says how long its sender must wait.
    ///
    /// # Errors
    /// 429.
    pub fn admit(&self, routed: Routed, now: Instant) -> Result<Admitted, Refusal> {
        let now = u64::try_from(now.saturating_duration_since(self.epoch).as_nanos()).unwrap_or(u64::MAX);
        let mut told = None;
        let mut on_trial = OnTrial::default();
        for limit in &self.limits {
            if limit.settings.routes.takes_any(routed.candidates()) {
                let bucket = limit.bucket_of(routed.standing());
                let remaining = limit.take(&bucket, now)?;
                if limit.settings.counts == Counts::Failures {
                    on_trial.0.push((bucket, limit.settings.rate));
                }
                if limit.settings.headers {
                    told = Some(Told { name: Arc::clone(&limit.settings.name), rate: limit.settings.rate, remaining });
                }
            }
        }
        Ok(Admitted { routed, told, on_trial })
    }
}

impl Limit {
    fn new(settings: Settings, metrics: &Metrics) -> Self {
        let refused = metrics.rate_limited.with_label_values(&[&*settings.name]);
        // A bucket that nobody touched for its window is empty: forgetting it changes nothing.
        let idle = settings.rate.window() + Duration::from_secs(1);
        let max_keys = settings.max_keys;
        Self {
            settings,
            refused,
            by_login_id: Cache::builder().max_capacity(max_keys).time_to_idle(idle).build(),
            by_address: Cache::builder().max_capacity(max_keys).time_to_idle(idle).build(),
        }
    }

    fn take(&self, bucket: &AtomicU64, now: u64) -> Result<u32, Refusal> {
        let rate = self.settings.rate;
        let mut empty_at = bucket.load(Ordering::Relaxed);
        loop {
            match rate.judge(empty_at, now) {
                Verdict::Exceeds(wait) => {
                    let seconds = Duration::from_nanos(wait).as_secs_f64().ceil();
                    self.refused.inc();
                    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
                    return Err(Refusal::RateLimited { retry_after: (seconds as u32).max(1) });
                }
                Verdict::Conforms(next) => {
                    match bucket.compare_exchange_weak(empty_at, next, Ordering::Relaxed, Ordering::Relaxed) {
                        Ok(_) => return Ok(rate.remaining(next, now)),
                        Err(other) => empty_at = other,
                    }
                }
            }
        }
    }

    fn bucket_of(&self, standing: &Standing) -> Bucket {
        let customer = match self.settings.key {
            KeyKind::LoginId | KeyKind::Contract => standing.customer(),
            KeyKind::Address => None,
        };
        match customer {
            Some(who) => {
                let known = self.by_login_id.get(who.login_id());
                known.unwrap_or_else(|| self.by_login_id.get_with(who.login_id().clone(), Bucket::default))
            }
            None => self.by_address.get_with(neighbourhood(standing.visit().client()), Bucket::default),
        }
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

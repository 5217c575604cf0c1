//! `[[rate-limit]]`: how often a customer may ask.

use std::time::Duration;

use super::table_name;
use crate::config::mistake::Read;
use crate::config::section::Section;
use crate::config::units::{Given, choice, flag, integer, text};
use crate::policy::rate_limit::{Counts, KeyKind, Rate, Settings};
use crate::policy::route::{Class, Route, Selector};
use crate::store;

const MAX_KEYS: u64 = 100_000;

/// Reads every `[[rate-limit]]`; `routes` are those they can name, and `store` where they can be shared.
pub(in crate::config) fn read_rate_limits(
    root: &mut Section<'_>,
    routes: &[Route],
    store: Option<&store::Settings>,
) -> Read<Vec<Settings>> {
    let tables = root.optional_named_tables("rate-limit")?;
    let read: Vec<Read<Settings>> = tables.into_iter().map(|section| read_rate_limit(section, routes, store)).collect();
    read.into_iter().collect()
}

fn read_rate_limit(mut section: Section<'_>, known: &[Route], store: Option<&store::Settings>) -> Read<Settings> {
    let name = section.required("name", table_name);
    let keys = [("login-id", KeyKind::LoginId), ("contract", KeyKind::Contract), ("address", KeyKind::Address)];
    let key = section.required("key", choice(&keys));
    let counted = [("requests", Counts::Requests), ("failures", Counts::Failures)];
    let counts = section.or("counts", Counts::Requests, choice(&counted));
    let per = section.required("rate", rate);
    let burst = section.required("burst", integer(1..=10_000_000));
    let selected = section.required_list("routes", |given| selector(given, known));
    let headers = section.or("headers", false, flag);
    let max_keys = section.or("max-keys", MAX_KEYS, integer(1..=100_000_000));
    let shared = section.or("shared", false, flag);
    if let (Ok(true), Some(store::Settings::Embedded { .. })) = (shared, store) {
        return Err(section.mistake("shared", "needs a [store] that gateways share: kind = \"redis\"".into()));
    }
    let rate = match (per, burst) {
        (Ok((requests, per)), Ok(burst)) => Rate::new(requests, per, burst)
            .ok_or_else(|| section.mistake("rate", "is too fast or too slow to be counted".into())),
        (Err(noted), _) | (_, Err(noted)) => Err(noted),
    };
    let selected = selected?;
    let routes = if selected.iter().any(|name| name == "*") { Selector::All } else { Selector::Named(selected) };
    let tells_failure = |route: &Route| route.treatment.markers().is_some_and(|markers| !markers.failure.is_empty());
    if counts == Ok(Counts::Failures) && !known.iter().any(|route| routes.takes(route) && tells_failure(route)) {
        return Err(section.mistake("counts", "needs a route with a failure marker: nothing would be counted".into()));
    }
    section.finish();
    Ok(Settings {
        name: name?.into(),
        key: key?,
        counts: counts?,
        rate: rate?,
        routes,
        headers: headers?,
        max_keys: max_keys?,
        shared: shared?,
    })
}

/// `"50/s"`, `"30/m"`, `"1000/h"`.
fn rate(given: Given<'_>) -> Result<(u64, Duration), String> {
    let text = text(given)?;
    let wrong = || format!("is {text:?}, but must be a rate such as \"50/s\", \"30/m\" or \"1000/h\"");
    let (count, unit) = text.split_once('/').ok_or_else(wrong)?;
    let per = match unit {
        "s" => Duration::from_secs(1),
        "m" => Duration::from_secs(60),
        "h" => Duration::from_secs(3600),
        _ => return Err(wrong()),
    };
    let is_number = !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit());
    let count = count.parse().ok().filter(|count| is_number && *count > 0);
    count.map(|count| (count, per)).ok_or_else(wrong)
}

/// The name of a route, the word of a class, or `"*"`.
fn selector(given: Given<'_>, routes: &[Route]) -> Result<String, String> {
    let text = text(given)?;
    let is_known = text == "*"
        || routes.iter().any(|route| *route.name == text)
        || Class::ALL.iter().any(|class| class.word() == text);
    if is_known { Ok(text) } else { Err(format!("{text:?} is neither a route, a class of routes, nor \"*\"")) }
}

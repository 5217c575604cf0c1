//! The page for those whose own limit is above the ceiling: they are told once a day, on the first page after login, before
//! a transfer is cut or refused (LIM-08, S0-06, S0-35).
//!
//! The page is information. Money is held by the ledger, so wherever the page would stand in the way of anything, it is not
//! shown: no ledger, no navigation, nothing to go on to.
//!
//! Who was shown it, each gateway remembers for itself, until it ends: with several, some customers see it twice.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, Method};
use http_body::Body as _;
use moka::ops::compute::{CompResult, Op};
use moka::sync::Cache;
use tokio::time::timeout;

use super::inspect::Inspected;
use super::reserve::Treasury;
use super::route::{CanonicalPath, Enforcement};
use crate::connection::request::Understood;
use crate::domain::{JstDate, LoginId, RequestId, Yen};
use crate::operator::audit::{Action, Record, UrlPath};
use crate::refusal::{LimitNotice, LocalLink, OverCeiling, Reader};
use crate::store::ledger::OverLimit;

const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
const SEC_PURPOSE: HeaderName = HeaderName::from_static("sec-purpose");

/// Login IDs of which it is remembered that they were shown the page; the least used are forgotten, and see it again.
const MAX_REMEMBERED: u64 = 50_000;

/// How long the page that is asked for waits for the ledger, which may hang with its disk.
const PATIENCE: Duration = Duration::from_millis(200);

/// By then the day is another one everywhere.
const A_DAY_AND_MORE: Duration = Duration::from_secs(26 * 3600);

/// Who was shown the page, and on which day in Japan. It outlives a reload.
#[derive(Debug)]
pub struct Shown(Cache<LoginId, JstDate>);

impl Default for Shown {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(MAX_REMEMBERED).time_to_live(A_DAY_AND_MORE).build())
    }
}

impl Shown {
    fn knows(&self, login_id: &LoginId, day: JstDate) -> bool {
        self.0.get(login_id) == Some(day)
    }

    /// Notes it; whether this is the first time on that day, also of several requests at once.
    fn note(&self, login_id: &LoginId, day: JstDate) -> bool {
        let noted = self.0.entry_by_ref(login_id).and_compute_with(|known| match known {
            Some(known) if *known.value() == day => Op::Nop,
            Some(_) | None => Op::Put(day),
        });
        match noted {
            CompResult::Inserted(_) | CompResult::ReplacedWith(_) => true,
            CompResult::Unchanged(_) | CompResult::StillNone(_) | CompResult::Removed(_) => false,
        }
    }
}

/// The page to show before the one that is asked for, on the first page after login; nearly always none.
pub async fn limit_notice(
    treasury: Option<&Arc<Treasury>>,
    inspected: &Inspected,
    id: &RequestId,
) -> Option<LimitNotice> {
    let treasury = treasury.filter(|treasury| treasury.settings.enforcement == Enforcement::Enforce)?;
    let limit_screen = treasury.limit_screen.as_ref()?;
    let request = &inspected.request;
    let customer = request.standing().customer()?;
    let language = Reader::of(&request.parts.headers).language()?;
    if !is_navigation(request) || inspected.route.path == limit_screen.as_str() {
        return None;
    }
    let onward = onward(request)?;
    let today = JstDate::of(treasury.clock.now());
    let ceiling = treasury.settings.on(today).ok()?;
    if treasury.shown.knows(customer.login_id(), today) {
        return None;
    }
    let asked = treasury.ledger.own_limit(request.standing().contract()?.clone());
    let own = timeout(PATIENCE, asked).await.ok()?.ok()??;
    if own <= ceiling || !treasury.shown.note(customer.login_id(), today) {
        return None;
    }
    tell(treasury, inspected, id, own);
    let transfers = match treasury.settings.over_limit {
        OverLimit::Clamp => OverCeiling::Held,
        OverLimit::BlockTransfers => OverCeiling::Stopped,
    };
    Some(LimitNotice { own, ceiling, transfers, limit_screen: limit_screen.clone(), onward, language })
}

/// Whether somebody goes to a page and looks at it now. Browsers that do not say what they fetch are believed to.
fn is_navigation(request: &Understood) -> bool {
    let headers: &HeaderMap = &request.parts.headers;
    let is_for_a_page = headers.get(SEC_FETCH_DEST).is_none_or(|destination| destination == "document");
    // What is fetched beforehand, perhaps nobody ever sees.
    let is_for_later = headers.contains_key(SEC_PURPOSE);
    request.parts.method == Method::GET && request.body.is_end_stream() && is_for_a_page && !is_for_later
}

/// The page that was asked for, as a link: in its canonical form, because `//name/..` before it would name a host.
fn onward(request: &Understood) -> Option<LocalLink> {
    let target = request.target();
    let path = CanonicalPath::of(target.path()).ok()?;
    let query = target.query().map_or_else(String::new, |query| format!("?{query}"));
    LocalLink::of(&format!("{}{query}", path.forwarded))
}

fn tell(treasury: &Treasury, inspected: &Inspected, id: &RequestId, own: Yen) {
    treasury.metrics.limit_notices.inc();
    treasury.audit.record(Record {
        path: Some(UrlPath::of(inspected.request.target().as_str())),
        listener: Some(inspected.request.standing().visit().listener().name().into()),
        amount: Some(own),
        ..inspected.record(id, Action::LimitNotice)
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_login_id_is_shown_it_once_a_day() {
        let shown = Shown::default();
        let (hanako, taro) = (LoginId::parse("hanakodt").unwrap(), LoginId::parse("tarokodt").unwrap());
        let (day, next) = (JstDate::parse("2013-05-20").unwrap(), JstDate::parse("2013-05-21").unwrap());
        assert!(!shown.knows(&hanako, day));
        assert_eq!([day, day, next, next].map(|day| shown.note(&hanako, day)), [true, false, true, false]);
        assert!(shown.knows(&hanako, next) && !shown.knows(&hanako, day), "one day is remembered");
        assert!(shown.note(&taro, next));
    }

    #[test]
    fn of_many_requests_at_once_one_is_shown_it() {
        let (shown, hanako) = (Shown::default(), LoginId::parse("hanakodt").unwrap());
        let first = std::thread::scope(|scope| {
            let asked: Vec<_> = (0..8).map(|_| scope.spawn(|| shown.note(&hanako, JstDate::MIN))).collect();
            asked.into_iter().filter_map(|asked| asked.join().unwrap().then_some(())).count()
        });
        assert_eq!(first, 1);
    }

    #[test]
    fn no_number_of_customers_grows_what_is_remembered() {
        let shown = Shown::default();
        for number in 0..2 * MAX_REMEMBERED {
            shown.note(&LoginId::parse(&format!("c{number}")).unwrap(), JstDate::MIN);
        }
        shown.0.run_pending_tasks();
        assert!(shown.0.entry_count() <= MAX_REMEMBERED);
    }
}

//! `[transfer]` and `[audit]`: the ceiling, and what is told of it.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::TIMEOUT;
use crate::config::mistake::Read;
use crate::config::section::Section;
use crate::config::units::{Given, choice, duration, flag, integer, parsed_by, size, text};
use crate::connection::trust::RegistryMode;
use crate::domain::{JstDate, Yen};
use crate::operator::audit;
use crate::policy::alarms::{self, Action};
use crate::policy::ceiling::{DayBasis, Settings};
use crate::policy::route::{CanonicalPath, Class, Enforcement, Route, Routes};
use crate::refusal::LocalLink;
use crate::store::ledger::OverLimit;
use crate::upstream;

const BACKEND_CLOCK_SKEW: Duration = Duration::from_secs(5);
const ENTRY_LIFETIME: Duration = Duration::from_secs(12 * 3600);
const APPROVAL_LIFETIME: Duration = Duration::from_secs(31 * 86_400);
const LIFETIME: RangeInclusive<Duration> = Duration::from_secs(60)..=Duration::from_secs(400 * 86_400);
const MAX_SKEW: Duration = Duration::from_secs(3600);

/// `[transfer]` as values: what the policy is, and what only reading routes needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// The ceiling.
    pub ceiling: Settings,
    /// The classes whose transfers count.
    pub counted: Vec<Class>,
    /// Guarded paths (LIM-38).
    pub prefixes: Vec<String>,
    /// How long an amount of an earlier screen is kept after its owner's last request, at least.
    pub entry_lifetime: Duration,
    /// How long an order waits for its approval.
    pub approval_lifetime: Duration,
    /// What looks like a fraud.
    pub alarms: alarms::Settings,
    /// Whether an order that the application has cancelled counts no more (LIM-21).
    pub release_on_cancel: bool,
    /// Where the application lets customers change their own limit.
    pub limit_screen: Option<LocalLink>,
}

/// Reads `[transfer]`, if it is there. An order may be executed for as long as its answer is waited for.
pub(in crate::config) fn read_transfer(
    root: &mut Section<'_>,
    upstream: Option<&upstream::Settings>,
    registry: RegistryMode,
) -> Read<Option<Transfer>> {
    let Some(mut section) = root.optional_table("transfer")? else { return Ok(None) };
    let ceiling = read_ceiling(&mut section);
    let counted = section.list("counted", class);
    section.or("aggregate", (), choice(&[("contract", ())]))?;
    if registry == RegistryMode::Off {
        let open =
            "without a registry each login ID is a contract of its own: a company can split transfers over its IDs";
        section.warn("aggregate", open.into());
    }
    let prefixes = section.list("prefixes", canonical_path);
    let skew = section.or("backend-clock-skew", BACKEND_CLOCK_SKEW, duration(Duration::ZERO..=MAX_SKEW));
    let modes = [("enforce", Enforcement::Enforce), ("observe", Enforcement::Observe)];
    let enforcement = section.or("mode", Enforcement::Enforce, choice(&modes));
    let bases = [("accepted", DayBasis::Accepted), ("designated", DayBasis::Designated), ("both", DayBasis::Both)];
    let day_basis = section.or("day-basis", DayBasis::Accepted, choice(&bases));
    let over = [("clamp", OverLimit::Clamp), ("block-transfers", OverLimit::BlockTransfers)];
    let over_limit = section.or("over-limit", OverLimit::Clamp, choice(&over));
    let limit_screen = section.optional("limit-screen", local_link);
    let per_transfer = section.optional("per-transfer", yen);
    let per_login_id = section.optional("per-login-id", yen);
    let of_login_id = section.or("max-in-flight-per-login-id", 8, integer(1..=10_000));
    let of_contract = section.or("max-in-flight-per-contract", 32, integer(1..=100_000));
    let entries = section.or("max-entries-per-login-id", 1000, integer(1..=10_000));
    let requests = section.or("max-requests-per-login-id", 1000, integer(1..=10_000));
    let entry_lifetime = section.or("entry-lifetime", ENTRY_LIFETIME, duration(LIFETIME));
    let approval_lifetime = section.or("approval-lifetime", APPROVAL_LIFETIME, duration(LIFETIME));
    let release_on_cancel = section.or("release-on-cancel", false, flag);
    let alarms = section
        .optional_table("alarms")
        .and_then(|table| table.map_or_else(|| Ok(alarms::Settings::default()), read_alarms));
    if day_basis.as_ref().is_ok_and(|basis| *basis != DayBasis::Accepted) {
        let text = "counts a dated order on the day that its form names: an application that moves what falls on a holiday to the \
                    next business day executes more there";
        section.warn("day-basis", text.into());
    }
    if enforcement == Ok(Enforcement::Observe) {
        section.warn("mode", "\"observe\" refuses no transfer: the ceiling does not hold".into());
    }
    section.finish();
    let departure_time = upstream.map_or(*TIMEOUT.end(), |upstream| upstream.connect_timeout);
    let execution_time = upstream.map_or(*TIMEOUT.end(), |upstream| upstream.response_timeout);
    Ok(Some(Transfer {
        ceiling: Settings {
            ceiling: ceiling?,
            per_transfer: per_transfer?,
            per_login_id: per_login_id?,
            day_basis: day_basis?,
            backend_clock_skew: skew?,
            departure_time,
            execution_time,
            over_limit: over_limit?,
            max_in_flight_per_login_id: of_login_id?,
            max_in_flight_per_contract: of_contract?,
            max_entries_per_login_id: entries?,
            max_requests_per_login_id: requests?,
            enforcement: enforcement?,
        },
        counted: counted?.unwrap_or_else(|| vec![Class::Transfer]),
        prefixes: prefixes?.unwrap_or_default(),
        entry_lifetime: entry_lifetime?,
        approval_lifetime: approval_lifetime?,
        alarms: alarms?,
        release_on_cancel: release_on_cancel?,
        limit_screen: limit_screen?,
    }))
}

/// A limit screen that the gateway would refuse helps nobody, and the page that leads to it needs one to stand before.
pub(in crate::config) fn check_limit_screen(root: &Section<'_>, transfer: &Transfer, routes: &[Route]) -> Read<()> {
    let (name, Some(screen)) = ("transfer.limit-screen", &transfer.limit_screen) else { return Ok(()) };
    if !Routes::new(routes.to_vec(), &transfer.prefixes, Enforcement::Enforce).shows(screen.as_str()) {
        let text = format!("{:?} lies on a guarded path, and no route takes GET there", screen.as_str());
        return Err(root.mistake(name, text));
    }
    if !routes.iter().any(|route| route.class == Class::Top) {
        root.warn(name, "no route has the class \"top\": no customer is told before a transfer is refused".into());
    }
    Ok(())
}

/// `[transfer.alarms]`: each key that is there raises one.
fn read_alarms(mut section: Section<'_>) -> Read<alarms::Settings> {
    let span = || duration(Duration::from_secs(60)..=alarms::LONGEST);
    let new_certificate = section.optional("new-certificate", span());
    let many_payees = section.optional("many-payees", integer(1..=alarms::MOST_PAYEES));
    let raised_limit = section.optional("raised-limit", span());
    let actions = [("record", Action::Record), ("refuse", Action::Refuse)];
    let action = section.or("action", Action::Record, choice(&actions));
    section.finish();
    Ok(alarms::Settings {
        new_certificate: new_certificate?,
        many_payees: many_payees?,
        raised_limit: raised_limit?,
        action: action?,
    })
}

/// `ceiling = [{ from = "2013-05-20", yen = 100_000_000 }]`, in the order of days.
fn read_ceiling(section: &mut Section<'_>) -> Read<Vec<(JstDate, Yen)>> {
    let tables = section.tables("ceiling")?;
    let read: Vec<Read<(JstDate, Yen)>> = tables
        .into_iter()
        .map(|mut entry| {
            let from = entry.required("from", parsed_by("a day such as \"2013-05-20\"", JstDate::parse));
            let yen = entry.required("yen", yen);
            entry.finish();
            Ok((from?, yen?))
        })
        .collect();
    let ceiling: Vec<(JstDate, Yen)> = read.into_iter().collect::<Read<_>>()?;
    if ceiling.windows(2).all(|pair| pair[0].0 < pair[1].0) {
        Ok(ceiling)
    } else {
        Err(section.mistake("ceiling", "must be in the order of days, each once".into()))
    }
}

/// An amount in yen.
fn yen(given: Given<'_>) -> Result<Yen, String> {
    let number = integer(0..=Yen::MAX.get())(given)?;
    Yen::new(number).ok_or_else(|| "is more than can be counted".into())
}

fn class(given: Given<'_>) -> Result<Class, String> {
    let money: Vec<(&str, Class)> =
        Class::ALL.into_iter().filter(|class| class.moves_money()).map(|class| (class.word(), class)).collect();
    choice(&money)(given)
}

/// A path as it is matched: in canonical form.
pub(super) fn canonical_path(given: Given<'_>) -> Result<String, String> {
    let text = text(given)?;
    let canonical = CanonicalPath::of(&text).ok().filter(|path| *path.forwarded == text && path.parameters.is_empty());
    let is_plain = text.bytes().all(|byte| (0x21..=0x7e).contains(&byte) && byte != b'?' && byte != b'#');
    match canonical.filter(|_| is_plain) {
        Some(_) => Ok(text),
        None => Err(format!("{text:?} is not a path in its canonical form, such as \"/ib/transfer/commit.do\"")),
    }
}

/// A path as it is matched, which pages may link to.
fn local_link(given: Given<'_>) -> Result<LocalLink, String> {
    let path = canonical_path(given)?;
    LocalLink::of(&path).ok_or_else(|| format!("{path:?} is not a path of this host"))
}

/// Reads `[audit]`, if it is there.
pub(in crate::config) fn read_audit(root: &mut Section<'_>) -> Read<Option<audit::Settings>> {
    let Some(mut section) = root.optional_table("audit")? else { return Ok(None) };
    let path = section.path();
    let file = section.required("file", path);
    let reserve_bytes = section.or("reserve", 16 << 20, size(0..=1_u64 << 50));
    let notices_per_second = section.or("max-notices-per-second", 100, integer(1..=1_000_000));
    section.finish();
    Ok(Some(audit::Settings {
        reserve_bytes: reserve_bytes?,
        notices_per_second: notices_per_second?,
        ..audit::Settings::of(file?)
    }))
}

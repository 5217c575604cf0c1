//! What a request on a route means for the ledger, beside the other routes: what it moves, or enters for another to move.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Draft, Transaction, is_inspected};
use crate::config::mistake::{Noted, Read};
use crate::config::sections::transfer::Transfer;
use crate::policy::body::MediaType;
use crate::policy::ceiling::DayBasis;
use crate::policy::route::{Class, Step};
use crate::policy::treatment::{Act, Filling, Key};

/// What a request on the route means for the ledger.
pub(super) fn act_of(draft: &Draft<'_>, all: &[Draft<'_>], transfer: Option<&Transfer>) -> Read<Act> {
    let Some(transfer) = transfer else {
        let is_about_money = draft.class.moves_money() || draft.class == Class::LimitChange;
        return if is_about_money && !matches!(draft.class, Class::Bulk | Class::Payroll) {
            Err(draft.section.mistake("class", "needs a [transfer] section with the ceiling".into()))
        } else {
            Ok(Act::Nothing)
        };
    };
    if draft.class == Class::LimitChange {
        return if draft.has_amount() { Ok(Act::ChangeLimit) } else { Err(missing(draft, "amount")) };
    }
    if !counts(draft, transfer) {
        return Ok(Act::Nothing);
    }
    let act = act_of_step(draft, all, transfer)?;
    has_its_counterpart(draft, all, transfer)?;
    Ok(act)
}

/// What each step means, by whether its form says an amount, and whether a number ties it to another one.
fn act_of_step(draft: &Draft<'_>, all: &[Draft<'_>], transfer: &Transfer) -> Read<Act> {
    let (has_amount, is_tied) = (draft.has_amount(), draft.transaction.is_some());
    if matches!(draft.transaction, Some(Transaction::Answer(_))) && draft.step != Step::Request {
        return Err(draft.section.mistake("transaction", "must be a field here: the answer comes too late".into()));
    }
    let by_number = if is_tied { Key::Transaction } else { Key::LoginId };
    let filling = filling_of(draft, all, transfer);
    let enter = |key| Ok(Act::Enter { key, lifetime: transfer.entry_lifetime, filling });
    tells_a_number_where_it_matters(draft, all, transfer)?;
    match (draft.step, has_amount, is_tied) {
        (Step::Entry | Step::Switch | Step::Request, false, _) => Err(missing(draft, "amount")),
        (Step::Entry, true, _) => enter(by_number),

        (Step::Cancel, true, _) if transfer.release_on_cancel => {
            let text =
                "must not be here: with release-on-cancel this names an order, and says nothing else about money";
            Err(draft.section.mistake("amount", text.into()))
        }
        (Step::Cancel, false, false) if transfer.release_on_cancel => Err(missing(draft, "transaction")),
        (Step::Cancel, false, true) if transfer.release_on_cancel => Ok(Act::Cancel),
        (Step::Confirm | Step::Cancel, false, _) => Ok(Act::Nothing),
        // What a later screen says of the amount was entered too: of all, the largest counts (LIM-33).
        (Step::Confirm | Step::Cancel, true, _) if all.iter().any(|other| enters(other, transfer)) => enter(by_number),
        (Step::Confirm | Step::Cancel, true, _) => Ok(Act::Nothing),

        (Step::Commit, false, _) => commit_entered(by_number, draft, all, transfer),
        (Step::Commit | Step::Switch, true, false) => {
            let leaves = fills_a_wizard(draft, all, transfer).then_some(transfer.entry_lifetime);
            Ok(commit(None, leaves, draft.is_atomic, draft))
        }
        // Beside a number, the amount is one that was entered, and is said again.
        (Step::Commit, true, true) => commit_entered(by_number, draft, all, transfer),
        (Step::Switch, true, true) => {
            let text = "ties this to nothing: what is switched says its own amount";
            Err(draft.section.mistake("transaction", text.into()))
        }

        (Step::Request, true, false) | (Step::Approve, _, false) => Err(missing(draft, "transaction")),
        (Step::Request, true, true) => {
            let key = match &draft.transaction {
                Some(Transaction::Answer(place)) => Key::AnsweredOrder(place.clone()),
                Some(Transaction::Field) | None => Key::Order,
            };
            Ok(Act::Enter { key, lifetime: transfer.approval_lifetime, filling })
        }
        (Step::Approve, _, true) => commit_entered(Key::Order, draft, all, transfer),
    }
}

fn missing(draft: &Draft<'_>, key: &str) -> Noted {
    draft.section.mistake(key, "is missing".into())
}

fn commit(entered: Option<(Key, Filling)>, leaves: Option<Duration>, is_atomic: bool, draft: &Draft<'_>) -> Act {
    let number = draft.order.clone();
    Act::Commit { entered, leaves, is_atomic, has_token: draft.body.token.is_some(), number }
}

/// Only what is executed has a number to be cancelled by, and only where that frees something. Of several amounts the bank
/// makes several orders: who cancels the one whose number is told must not free the others.
fn tells_a_number_where_it_matters(draft: &Draft<'_>, all: &[Draft<'_>], transfer: &Transfer) -> Read<()> {
    let entered = draft.step == Step::Approve || commits_entered(draft, transfer);
    let text = match draft.step {
        _ if draft.order.is_none() => return Ok(()),
        Step::Commit | Step::Switch | Step::Approve
            if brings_several(draft) || entered && together_bring_several(screens_of(draft, all, transfer)) =>
        {
            "tells one number, and this moves several amounts: to cancel one of them would free all"
        }
        Step::Commit | Step::Switch | Step::Approve if transfer.release_on_cancel => return Ok(()),
        Step::Commit | Step::Switch | Step::Approve => "means nothing without [transfer] release-on-cancel = true",
        Step::Entry | Step::Confirm | Step::Request | Step::Cancel => "means nothing here: this executes no order",
    };
    Err(draft.section.mistake("order", text.into()))
}

fn commit_entered(key: Key, draft: &Draft<'_>, all: &[Draft<'_>], transfer: &Transfer) -> Read<Act> {
    if transfer.ceiling.day_basis != DayBasis::Accepted {
        let text = "commits what was entered before, and the day that was entered with it is not known: only \
                    day-basis = \"accepted\" holds here";
        return Err(draft.section.mistake("step", text.into()));
    }
    // How many lines a screen before summed, nobody knows here.
    let is_one_order = !together_bring_several(screens_of(draft, all, transfer));
    let filling = filling_of(draft, all, transfer);
    Ok(commit(Some((key, filling)), None, draft.is_atomic || is_one_order, draft))
}

/// Says what the institution must know of the key under which a route's amounts are kept.
pub(super) fn warn_of_key(draft: &Draft<'_>, act: &Act) {
    let text = match act {
        Act::Enter { key: Key::LoginId, .. } | Act::Commit { entered: Some((Key::LoginId, _)), .. } => {
            "without it an entry is kept for its login ID: with another customer's session, which is not bound to a \
             certificate yet, more could be committed than was entered"
        }
        Act::Enter { key: Key::Transaction, .. } => {
            "must be unique over all customers, sessions and days: of two entries with one number the larger amount counts \
             for both, and while one of them is executed the other is refused"
        }
        Act::Enter { key: Key::Order | Key::AnsweredOrder(_), .. } => {
            "must be unique over all customers, sessions and days: of all orders with one number within approval-lifetime \
             the largest amount counts, also where numbers begin anew each day"
        }
        Act::Cancel => {
            "must be what the application cancels, and not what a screen before said, and unique over all orders of a \
             contract: where two have one number, cancelling it frees neither"
        }
        Act::Commit { .. } | Act::ChangeLimit | Act::Nothing => return,
    };
    draft.section.warn("transaction", text.into());
}

/// How the screens of a wizard, or those of request and approval, fill the form that the application keeps. Where one of them
/// brings several amounts, a later one may leave some out; unless all of them bring the same ones, and each all of these.
fn filling_of(draft: &Draft<'_>, all: &[Draft<'_>], transfer: &Transfer) -> Filling {
    let screens = || screens_of(draft, all, transfer).filter(|screen| screen.has_amount());
    let amounts = |screen: &Draft<'_>| screen.body.amount.iter().cloned().collect::<BTreeSet<_>>();
    let expected = screens().next().map(amounts);
    let says_all = |screen: &Draft<'_>| screen.body.is_complete && Some(amounts(screen)) == expected;
    if !together_bring_several(screens()) || screens().all(says_all) { Filling::Whole } else { Filling::ByLine }
}

/// The counted screens that fill the same form as this one.
fn screens_of<'d, 'a>(
    draft: &'d Draft<'a>,
    all: &'d [Draft<'a>],
    transfer: &'d Transfer,
) -> impl Iterator<Item = &'d Draft<'a>> + Clone {
    all.iter().filter(move |other| counts(other, transfer) && fills_the_same(draft, other, transfer))
}

/// Whether the form that these screens fill has several lines, if only one on each of them.
fn together_bring_several<'d, 'a: 'd>(screens: impl Iterator<Item = &'d Draft<'a>> + Clone) -> bool {
    let names = screens.clone().flat_map(|screen| &screen.body.amount).map(|name| last_name(name));
    names.collect::<BTreeSet<_>>().len() > 1 || screens.into_iter().any(brings_several)
}

/// Whether what an order of one step says may stand afterwards in the form of a wizard that is filled by line, and is found by
/// its login ID. One with a number has a form of its own.
fn fills_a_wizard(draft: &Draft<'_>, all: &[Draft<'_>], transfer: &Transfer) -> bool {
    let stems = |screen: &Draft<'_>| screen.body.amount.iter().map(|name| stem(name)).collect::<BTreeSet<_>>();
    let own = stems(draft);
    let is_shared = |other: &&Draft<'_>| {
        enters(other, transfer)
            && other.transaction.is_none()
            && filling_of(other, all, transfer) == Filling::ByLine
            && !own.is_disjoint(&stems(other))
    };
    all.iter().any(|other| is_shared(&other))
}

/// A name without the number of its line.
fn stem(name: &str) -> String {
    last_name(name).trim_end_matches(|last: char| last == '*' || last.is_ascii_digit()).to_owned()
}

/// What a JSON pointer leads to; elsewhere the name itself.
fn last_name(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// Says what the institution must know of several amounts that nothing ties to those of other requests: what one does not bring
/// may stand in the session still.
pub(super) fn warn_of_lists(draft: &Draft<'_>, act: &Act) {
    let stands_alone =
        matches!(act, Act::Commit { entered: None, .. } | Act::Enter { key: Key::Order | Key::AnsweredOrder(_), .. });
    let is_form = draft.body.format.media != MediaType::Json;
    if stands_alone && is_form && brings_several(draft) && !draft.body.is_complete {
        let text = "several amounts are counted as each request brings them: an application that keeps the form in its session, \
                    and fills it with what comes, would execute those of an earlier request once more. With complete = true \
                    none may be left out";
        draft.section.warn("amount", text.into());
    }
}

/// Whether the ledger has a part in the route's step.
fn counts(draft: &Draft<'_>, transfer: &Transfer) -> bool {
    draft.class.moves_money() && (transfer.counted.contains(&draft.class) || draft.step == Step::Switch)
}

/// Whether the route executes orders of a class that does not count (LIM-03).
pub(super) fn is_exempt(draft: &Draft<'_>, transfer: Option<&Transfer>) -> bool {
    let executes = matches!(draft.step, Step::Commit | Step::Approve);
    draft.class.moves_money() && executes && !transfer.is_some_and(|transfer| counts(draft, transfer))
}

/// Whether the route is the screen of a wizard that brings an amount.
fn enters(draft: &Draft<'_>, transfer: &Transfer) -> bool {
    counts(draft, transfer) && draft.step == Step::Entry
}

/// The amounts of earlier screens that a route does not declare. A form that the session keeps is filled by whatever request
/// brings its fields, so a screen that reads none of them must not get any.
pub(super) fn earlier_amounts(draft: &Draft<'_>, all: &[Draft<'_>], transfer: Option<&Transfer>) -> Vec<String> {
    let Some(transfer) = transfer.filter(|transfer| counts(draft, transfer)) else { return Vec::new() };
    let step = match draft.step {
        Step::Entry | Step::Confirm | Step::Cancel => Step::Entry,
        Step::Commit if commits_entered(draft, transfer) => Step::Entry,
        Step::Request | Step::Approve => Step::Request,
        Step::Commit | Step::Switch => return Vec::new(),
    };
    let is_earlier = |other: &&Draft<'_>| counts(other, transfer) && draft.step != step && other.step == step;
    let amounts = all.iter().filter(is_earlier).flat_map(|screen| &screen.body.amount);
    let earlier = amounts.filter(|name| !draft.body.amount.contains(name));
    // Those of screens beside it, and of later ones; a name that is nearly its own is refused without that.
    let own: BTreeSet<String> = draft.body.amount.iter().map(|name| stem(name)).collect();
    let others = screens_of(draft, all, transfer).flat_map(|screen| &screen.body.amount);
    let mut names: Vec<String> = earlier.chain(others.filter(|name| !own.contains(&stem(name)))).cloned().collect();
    names.sort();
    names.dedup();
    names
}

/// Whether two routes are screens of wizards, or both of request and approval: the session may keep one form for them.
fn fills_the_same(draft: &Draft<'_>, other: &Draft<'_>, transfer: &Transfer) -> bool {
    let is_of_approval = |draft: &Draft<'_>| matches!(draft.step, Step::Request | Step::Approve);
    let is_one_step = |draft: &Draft<'_>| {
        draft.step == Step::Switch || draft.step == Step::Commit && !commits_entered(draft, transfer)
    };
    is_of_approval(draft) == is_of_approval(other) && !is_one_step(draft) && !is_one_step(other)
}

/// Whether the route commits what was entered on a screen before, also where its form says that amount again.
fn commits_entered(draft: &Draft<'_>, transfer: &Transfer) -> bool {
    let is_entered = !draft.has_amount() || draft.transaction.is_some();
    counts(draft, transfer) && draft.step == Step::Commit && is_entered
}

/// What is entered, somebody commits; what is committed or repeated, somebody entered under such a key.
fn has_its_counterpart(draft: &Draft<'_>, all: &[Draft<'_>], transfer: &Transfer) -> Read<()> {
    let section = &draft.section;
    let has_its_key = |other: &Draft<'_>| other.transaction.is_some() == draft.transaction.is_some();
    let is_entered = || all.iter().any(|other| enters(other, transfer) && has_its_key(other));
    match draft.step {
        Step::Entry if !all.iter().any(|other| commits_entered(other, transfer)) => {
            let text = "enters what no route commits: a commit that declares an amount counts its own. Where the \
                        application executes that one, this step is \"confirm\"";
            Err(section.mistake("step", text.into()))
        }
        Step::Commit if commits_entered(draft, transfer) && !is_entered() => {
            let (key, text) = match (draft.has_amount(), &draft.transaction) {
                (true, _) => (
                    "transaction",
                    "says that the amount repeats what was entered under this number, and no route enters one under a \
                     number: a form that alone says how much names no transaction",
                ),
                (false, Some(_)) => ("transaction", "commits what no route enters: none of them names a transaction"),
                (false, None) => {
                    ("amount", "is missing, and no route without transaction enters one for this to commit")
                }
            };
            Err(section.mistake(key, text.into()))
        }
        Step::Confirm | Step::Cancel if draft.has_amount() => has_the_key_of_its_commit(draft, all, transfer),
        Step::Approve | Step::Commit | Step::Switch | Step::Entry | Step::Confirm | Step::Request | Step::Cancel => {
            Ok(())
        }
    }
}

/// A screen that brings the amount again enters it where the commit looks for it: under a number, or under the login ID.
fn has_the_key_of_its_commit(draft: &Draft<'_>, all: &[Draft<'_>], transfer: &Transfer) -> Read<()> {
    let is_tied = |draft: &Draft<'_>| draft.transaction.is_some();
    let mut commits = all.iter().filter(|other| commits_entered(other, transfer));
    match commits.find(|commit| is_tied(commit) != is_tied(draft)) {
        Some(commit) => {
            let text = format!(
                "is named either here and in {0} or in neither: what is entered here under another key, {0} would not find",
                commit.name
            );
            Err(draft.section.mistake("transaction", text))
        }
        None => Ok(()),
    }
}

/// Whether nothing but an answer tells that it was done.
pub(super) fn needs_success(act: &Act) -> bool {
    match act {
        Act::Commit { .. } | Act::ChangeLimit | Act::Cancel | Act::Enter { key: Key::AnsweredOrder(_), .. } => true,
        Act::Nothing | Act::Enter { .. } => false,
    }
}

/// What was entered before is committed without a parameter, so no page on the same path can be told from the commit:
/// servlets do by GET what they do by POST.
pub(super) fn commits_alone(draft: &Draft<'_>, act: &Act, all: &[Draft<'_>], transfer: Option<&Transfer>) -> Read<()> {
    match act {
        Act::Commit { entered: Some(_), .. } => {}
        Act::Commit { .. } | Act::Nothing | Act::Enter { .. } | Act::Cancel | Act::ChangeLimit => return Ok(()),
    }
    for other in all.iter().filter(|other| other.name != draft.name && other.path == draft.path) {
        let earlier = earlier_amounts(other, all, transfer);
        if !is_inspected(other, &act_of(other, all, transfer)?, &earlier, all) {
            let text = format!("{} is on the same path without a body: the application may commit there", other.name);
            return Err(draft.section.mistake("path", text));
        }
    }
    Ok(())
}

fn brings_several(draft: &Draft<'_>) -> bool {
    draft.body.amount.len() > 1 || draft.body.amount.iter().any(|name| name.contains('*'))
}

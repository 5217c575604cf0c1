//! The ledger as operators read it: JSON, and CSV for spreadsheets. Times are those of Japan, with their offset.

use serde_json::{Value, json};

use crate::domain::jst_date::in_japan;
use crate::domain::{ContractId, JstDate, Yen};
use crate::policy::ceiling::{DayBasis, Settings};
use crate::store::ledger::{Basis, OverLimit, Statement, Transfer};

/// The first line of a CSV export.
pub(super) const CSV_HEADER: &str = "id,contract,login_id,route,yen,state,why,reserved_at,settled_at,counts_on\r\n";

/// A transfer as JSON.
pub(super) fn transfer(transfer: &Transfer) -> Value {
    let debits = transfer.debits.iter().map(|(basis, day)| json!({"basis": word(*basis), "day": day.to_string()}));
    json!({
        "id": transfer.id.to_string(),
        "contract": transfer.contract.as_str(),
        "login_id": transfer.login_id.as_str(),
        "route": transfer.route,
        "yen": transfer.amount.get(),
        "state": transfer.state.word(),
        "why": transfer.why,
        "reserved_at": in_japan(transfer.reserved_at).to_string(),
        "settled_at": transfer.settled_at.map(|at| in_japan(at).to_string()),
        "counts_on": debits.collect::<Vec<_>>(),
    })
}

/// A transfer as a line of CSV (RFC 4180).
pub(super) fn csv_line(transfer: &Transfer) -> String {
    let debits = transfer.debits.iter().map(|(basis, day)| format!("{} {day}", word(*basis)));
    let fields = [
        transfer.id.to_string(),
        transfer.contract.to_string(),
        transfer.login_id.to_string(),
        transfer.route.clone(),
        transfer.amount.to_string(),
        transfer.state.word().to_owned(),
        transfer.why.clone(),
        in_japan(transfer.reserved_at).to_string(),
        transfer.settled_at.map(|at| in_japan(at).to_string()).unwrap_or_default(),
        debits.collect::<Vec<_>>().join("; "),
    ];
    fields.map(|field| csv_field(&field)).join(",") + "\r\n"
}

/// Whether a spreadsheet would take it for a formula.
pub(super) fn computes(text: &str) -> bool {
    text.starts_with(['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠'])
}

/// A field that a spreadsheet shows and does not compute (OPS-15), quoted where CSV needs it. Japanese spreadsheets take
/// the full-width signs for formulas too.
pub(super) fn csv_field(text: &str) -> String {
    let shown = if computes(text) { format!("'{text}") } else { text.to_owned() };
    if shown.contains(['"', ',', '\r', '\n']) { format!("\"{}\"", shown.replace('"', "\"\"")) } else { shown }
}

/// A contract's day as JSON: what its login IDs have used, and what is left where a ceiling is known.
pub(super) fn statement(contract: &ContractId, day: JstDate, statement: &Statement, rules: Option<&Settings>) -> Value {
    let ceiling = rules.and_then(|rules| rules.on(day).ok());
    let limit = rules.zip(ceiling).map(|(rules, ceiling)| limit(rules.over_limit, ceiling, statement.own_limit));
    let used = statement
        .used
        .iter()
        .map(|used| json!({"login_id": used.login_id.as_str(), "basis": word(used.basis), "yen": used.amount.get()}));
    let sums = [Basis::Accepted, Basis::Designated].into_iter().filter_map(|basis| {
        let of_basis = || statement.used.iter().filter(|used| used.basis == basis);
        let counts = rules.is_some_and(|rules| counts(rules.day_basis, basis));
        let used = of_basis().try_fold(Yen::ZERO, |sum, used| sum.checked_add(used.amount)).unwrap_or(Yen::MAX);
        (counts || of_basis().next().is_some()).then(|| {
            let limit = limit.filter(|_| counts);
            json!({
                "basis": word(basis),
                "limit": limit.map(Yen::get),
                "used": used.get(),
                "left": limit.map(|limit| limit.saturating_sub(used).get()),
            })
        })
    });
    json!({
        "contract": contract.as_str(),
        "day": day.to_string(),
        "ceiling": ceiling.map(Yen::get),
        "own_limit": statement.own_limit.map(Yen::get),
        "sums": sums.collect::<Vec<_>>(),
        "used": used.collect::<Vec<_>>(),
        "transfers": statement.transfers.iter().map(transfer).collect::<Vec<_>>(),
    })
}

/// What holds of the institution's ceiling and the customer's own limit (LIM-06, LIM-08).
pub(super) fn limit(over_limit: OverLimit, ceiling: Yen, own: Option<Yen>) -> Yen {
    match (over_limit, own) {
        (_, None) => ceiling,
        (OverLimit::BlockTransfers, Some(own)) if own > ceiling => Yen::ZERO,
        (OverLimit::BlockTransfers | OverLimit::Clamp, Some(own)) => own.min(ceiling),
    }
}

/// Whether a day's sum is measured.
pub(super) const fn counts(by: DayBasis, basis: Basis) -> bool {
    match (by, basis) {
        (DayBasis::Accepted | DayBasis::Both, Basis::Accepted)
        | (DayBasis::Designated | DayBasis::Both, Basis::Designated) => true,
        (DayBasis::Accepted, Basis::Designated) | (DayBasis::Designated, Basis::Accepted) => false,
    }
}

const fn word(basis: Basis) -> &'static str {
    match basis {
        Basis::Accepted => "accepted",
        Basis::Designated => "designated",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_spreadsheet_would_compute_it_shows() {
        let cases = [
            ("=1+1", "'=1+1"),
            ("+81", "'+81"),
            ("-1", "'-1"),
            ("@sum", "'@sum"),
            ("\t=1", "'\t=1"),
            ("\r=1", "\"'\r=1\""),
            ("＝1", "'＝1"),
            ("=HYPERLINK(\"a\",\"b\")", "\"'=HYPERLINK(\"\"a\"\",\"\"b\"\")\""),
            ("plain", "plain"),
            ("a=b", "a=b"),
            ("two\nlines", "\"two\nlines\""),
            ("", ""),
        ];
        for (text, field) in cases {
            assert_eq!(csv_field(text), field);
        }
    }

    #[test]
    fn the_lower_limit_holds_and_one_above_the_ceiling_as_the_institution_says() {
        let yen = |yen| Yen::new(yen).unwrap();
        assert_eq!(limit(OverLimit::Clamp, yen(100), None), yen(100));
        assert_eq!(limit(OverLimit::Clamp, yen(100), Some(yen(30))), yen(30));
        assert_eq!(limit(OverLimit::Clamp, yen(100), Some(yen(101))), yen(100));
        assert_eq!(limit(OverLimit::BlockTransfers, yen(100), Some(yen(100))), yen(100));
        assert_eq!(limit(OverLimit::BlockTransfers, yen(100), Some(yen(101))), Yen::ZERO);
    }
}

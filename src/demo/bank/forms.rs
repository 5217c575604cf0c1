//! The forms that a person fills in to click through the demo.

use super::offices::ACCOUNTS;
use super::orders::{Books, Draft, Order, OrderState};
use super::pages::{escape, frame};
use super::transfers::LINES;
use crate::domain::JstDate;

const FORM: &str = "application/x-www-form-urlencoded";
const MULTIPART: &str = "multipart/form-data";

fn form(action: &str, encoding: &str, fields: &str, button: &str) -> String {
    format!(
        "<form method=\"POST\" action=\"{action}\" enctype=\"{encoding}\">\n{fields}<p><button>{button}</button></p>\n\
         </form>\n"
    )
}

fn field(label: &str, name: &str) -> String {
    format!("<p><label>{label} <input name=\"{name}\"></label></p>\n")
}

fn hidden(name: &str, value: &str) -> String {
    format!("<input type=\"hidden\" name=\"{name}\" value=\"{}\">\n", escape(value))
}

fn transfer_fields() -> String {
    [
        field("支店番号", "branch"),
        field("口座番号", "account"),
        field("お受取人", "payee"),
        field("金額", "amount"),
        field("振込指定日（YYYYMMDD、空欄は本日）", "date"),
    ]
    .concat()
}

/// Everything in one step.
pub(super) fn transfer(token: &str) -> String {
    let fields = transfer_fields() + &hidden("token", token);
    frame("BTRE001", "振込", &form("/ib/transfer/commit.do", FORM, &fields, "実行"))
}

/// The same as multipart.
pub(super) fn file(token: &str) -> String {
    let fields = transfer_fields() + &hidden("token", token);
    frame("BTRE001", "振込", &form("/ib/transfer/file.do", MULTIPART, &fields, "実行"))
}

fn line_fields() -> String {
    let line = |number: u8| {
        format!(
            "<p>{number} <label>お受取人 <input name=\"payee{number}\"></label> \
             <label>金額 <input name=\"kingaku{number}\"></label></p>\n"
        )
    };
    (1..=LINES).map(line).collect()
}

/// Up to ten at once.
pub(super) fn lines(token: &str) -> String {
    let fields = line_fields() + &field("振込指定日（YYYYMMDD、空欄は本日）", "date") + &hidden("token", token);
    frame("BTRE004", "複数振込", &form("/ib/transfer/multi.do", FORM, &fields, "実行"))
}

/// The wizard's first screen, under a number of its own.
pub(super) fn entry(transaction: &str) -> String {
    let fields = transfer_fields() + &hidden("transaction", transaction);
    frame("BTRE001", "振込 入力", &form("/ib/transfer/entry.do", FORM, &fields, "次へ"))
}

/// Its second: the amount is in the session, not in the form.
pub(super) fn confirm(drafts: &[Draft], transaction: Option<&str>, token: &str) -> String {
    let transaction = transaction.map_or_else(String::new, |number| hidden("transaction", number));
    let rows = |draft: &Draft| {
        let day = draft.designated.map_or_else(|| "本日".to_owned(), |day| day.to_string());
        format!(
            "<tr><th>お受取人</th><td>{}</td></tr>\n<tr><th>金額</th><td>{} 円</td></tr>\n\
             <tr><th>振込指定日</th><td>{day}</td></tr>\n",
            escape(&draft.payee),
            draft.amount,
        )
    };
    let rows: String = drafts.iter().map(rows).collect();
    let form = form("/ib/transfer/execute.do", FORM, &(transaction + &hidden("token", token)), "実行");
    frame("BTRE002", "振込 確認", &format!("<table>\n{rows}</table>\n{form}"))
}

/// What a contract ordered; what is meant for a later day can be cancelled.
pub(super) fn orders(books: &Books, contract: &str, today: JstDate) -> String {
    let row = |order: &Order| {
        let day = order.designated.unwrap_or(order.day);
        let state = match order.state {
            OrderState::Standing if day > today => {
                form("/ib/transfer/cancel.do", FORM, &hidden("id", &order.number.to_string()), "取消")
            }
            OrderState::Standing => "受付済".to_owned(),
            OrderState::Cancelled => "取消済".to_owned(),
            OrderState::Converted => "振込へ切替済".to_owned(),
        };
        format!("<tr><th>{}</th><td>{} 円</td><td>{day}</td><td>{state}</td></tr>\n", order.number, order.amount)
    };
    let rows: String = books.orders().iter().filter(|order| order.contract == contract).map(row).collect();
    frame("BTRE005", "振込状況照会", &format!("<table>\n{rows}</table>\n"))
}

/// Asks for an approval, and approves what others asked for.
pub(super) fn approval(books: &Books, contract: &str, token: &str) -> String {
    let waiting: String = books
        .proposals(contract)
        .map(|proposal| {
            let fields = hidden("id", &proposal.number.to_string()) + &hidden("token", token);
            format!(
                "<tr><th>{}</th><td>{}</td><td>{} 円</td><td>{}</td></tr>\n",
                proposal.number,
                escape(&proposal.login_id),
                proposal.draft.amount,
                form("/ib/approval/approve.do", FORM, &fields, "承認")
            )
        })
        .collect();
    let request = form("/ib/approval/request.do", FORM, &transfer_fields(), "承認依頼");
    frame("BAPR001", "承認", &format!("<h2>承認待ち</h2>\n<table>\n{waiting}</table>\n<h2>依頼</h2>\n{request}"))
}

const FILE_FIELD: &str = "<p><label>ファイル（お受取人,金額） <input type=\"file\" name=\"file\"></label></p>\n";

/// 総合振込 by file, and its conversion.
pub(super) fn bulk(token: &str) -> String {
    let upload = form("/ib/bulk/upload.do", MULTIPART, FILE_FIELD, "送信");
    let switch = form("/ib/bulk/switch.do", FORM, &(line_fields() + &hidden("token", token)), "振込振替へ切替");
    frame("BSFR001", "総合振込", &format!("{upload}<h2>振込振替へ切替</h2>\n{switch}"))
}

/// 給与・賞与振込 by file.
pub(super) fn payroll() -> String {
    frame("BKYU001", "給与・賞与振込", &form("/ib/payroll/upload.do", MULTIPART, FILE_FIELD, "送信"))
}

/// The customer's own limits, by account.
pub(super) fn limit(limits: &[(String, i128)]) -> String {
    let row = |account: &str| {
        let present = limits.iter().find(|(other, _)| other == account);
        let present = present.map_or_else(|| "設定なし".to_owned(), |(_, yen)| format!("現在 {yen} 円"));
        field(&format!("口座{account}（{present}）"), &format!("limit{account}"))
    };
    let fields: String = ACCOUNTS.into_iter().map(row).collect();
    frame("BLMT001", "限度額変更", &form("/ib/limit/change.do", FORM, &fields, "変更"))
}

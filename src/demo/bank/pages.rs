//! The application's pages. Each prints its screen ID in a paragraph of its own, `<p>BTRC900</p>`, where no customer's
//! text can stand: that is what a gateway may recognise an outcome by (LIM-32).

use std::fmt::Write as _;

use http::{HeaderMap, StatusCode};

use super::answer::Reply;
use super::orders::{Failure, Order};

/// Where a customer is sent when the bank fails by redirection.
pub(super) const ERROR_PATH: &str = "/ib/transfer/error.do";

const LINKS: [(&str, &str); 12] = [
    ("/ib/menu.do", "メニュー"),
    ("/ib/balance.do", "残高照会"),
    ("/ib/transfer.do", "振込"),
    ("/ib/lines.do", "複数振込"),
    ("/ib/wizard.do", "振込（画面遷移）"),
    ("/ib/orders.do", "振込状況照会"),
    ("/ib/approval.do", "承認"),
    ("/ib/bulk.do", "総合振込"),
    ("/ib/payroll.do", "給与・賞与振込"),
    ("/ib/limit.do", "限度額変更"),
    ("/ib/certificate.do", "証明書取得"),
    ("/ib/logout.do", "ログアウト"),
];

/// A page around its content, which is markup.
pub(super) fn frame(screen_id: &str, title: &str, content: &str) -> String {
    let links: String = LINKS.iter().map(|(path, text)| format!("<a href=\"{path}\">{text}</a>\n")).collect();
    format!(
        "<!DOCTYPE html>\n<html lang=\"ja\">\n<head><meta charset=\"Windows-31J\"><title>{screen_id} {title}</title>\n\
         <style>body {{ max-width: 60em; margin: 1em auto; font-family: sans-serif }} nav a {{ margin-right: 0.7em }}\n\
         th {{ text-align: left; vertical-align: top }} td {{ word-break: break-all }}</style></head>\n<body>\n\
         <p>{screen_id}</p>\n<h1>大空信組 インターネットバンキング {title}</h1>\n<nav>{links}</nav>\n\
         {content}</body>\n</html>\n"
    )
}

/// The menu, with what was transferred today and every header that arrived, as an application server names them.
pub(super) fn menu(login_id: &str, executed_today: u64, headers: &HeaderMap) -> String {
    let mut rows = String::new();
    for (name, value) in headers {
        let (name, value) = (name.as_str().replace('_', "-"), String::from_utf8_lossy(value.as_bytes()));
        // Writing to a string does not fail.
        let _ = writeln!(rows, "<tr><th>{}</th><td>{}</td></tr>", escape(&name), escape(&value));
    }
    let content = format!(
        "<p>ようこそ {} 様</p>\n<p>本日の累積額 <b id=\"total\">{executed_today}</b> 円</p>\n\
         <table>\n<caption>受信ヘッダ</caption>\n{rows}</table>\n",
        escape(login_id)
    );
    frame("BPT001", "メインメニュー", &content)
}

/// The login form, which asks for what the certificate does not say.
pub(super) fn login(failure: Option<Failure>) -> String {
    let message = failure.map_or("ログインIDとパスワードを入力してください。", Failure::message);
    let content = format!(
        "<p>{message}</p>\n<form method=\"POST\" action=\"/ib/login.do\">\n\
         <p><label>ログインID <input name=\"loginId\"></label>（電子証明書でログインされる方は、ログインIDの入力は不要です）</p>\n\
         <p><label>ログインパスワード <input name=\"password\" type=\"password\"></label></p>\n\
         <p><button>ログイン</button></p>\n</form>\n"
    );
    frame("BLGI001", "ログイン", &content)
}

/// The end of a session.
pub(super) fn logged_out() -> String {
    frame("BLGO001", "ログアウト", "<p>ログアウトしました。</p>\n<p><a href=\"/ib/login.do\">ログインへ</a></p>\n")
}

/// A business failure: status 200, like every page. `payee` is markup already.
pub(super) fn error_reply(failure: Failure, payee: Option<&str>) -> Reply {
    let payee = payee.map_or_else(String::new, |payee| format!("<p>お受取人 {payee}</p>\n"));
    let content = format!("<p class=\"error\">{}</p>\n{payee}", failure.message());
    Reply::Page(StatusCode::OK, frame("BTRE900", "エラー", &content))
}

/// 500.
pub(super) fn internal_error() -> String {
    frame("BERR500", "システムエラー", "<p>システムエラーが発生しました。取引状況をご確認ください。</p>\n")
}

/// 404.
pub(super) fn not_found() -> String {
    "<!DOCTYPE html>\n<html lang=\"ja\"><head><meta charset=\"Windows-31J\"><title>404</title></head>\n\
     <body><p>指定されたページは存在しません。</p></body></html>\n"
        .to_owned()
}

/// The receipt of the customer's last order.
pub(super) fn done(path: &str, order: Option<&Order>) -> String {
    let (screen_id, title) = match path {
        "/ib/bulk/done.do" => ("BSFR003", "総合振込 受付完了"),
        "/ib/payroll/done.do" => ("BKYU003", "給与・賞与振込 受付完了"),
        "/ib/approval/done.do" => ("BAPR003", "承認完了"),
        _ => ("BTRE003", "振込 受付完了"),
    };
    let content = match order {
        Some(order) => format!("{}<p>金額 {} 円</p>\n", receipt(&order.number.to_string()), order.amount),
        None => "<p>お取引はありません。</p>\n".to_owned(),
    };
    frame(screen_id, title, &content)
}

/// A transfer waits for its approval.
pub(super) fn requested(number: &str) -> String {
    frame("BAPR002", "承認依頼 受付完了", &receipt(&escape(number)))
}

/// A transfer for a later day is taken back.
pub(super) fn cancelled() -> String {
    frame("BTRE006", "振込取消 完了", "<p>振込を取り消しました。</p>\n")
}

/// The new limits.
pub(super) fn limit_done(limits: &[(String, i128)]) -> String {
    let rows: String =
        limits.iter().map(|(account, yen)| format!("<tr><th>口座{account}</th><td>{yen} 円</td></tr>\n")).collect();
    frame("BLMT002", "限度額変更 完了", &format!("<table>\n{rows}</table>\n"))
}

fn receipt(number: &str) -> String {
    format!("<p>受付番号 <b id=\"receipt\">{number}</b></p>\n")
}

/// 証明書取得, step by step (S1-21, S1-22).
pub(super) fn certificate_start() -> String {
    let content = "<form method=\"POST\" action=\"/ib/certificate/confirm.do\">\n\
                   <p><label>ログインID <input name=\"loginId\"></label></p>\n\
                   <p><label>ログインパスワード <input name=\"password\" type=\"password\"></label></p>\n\
                   <p><button>認証</button></p>\n</form>\n";
    frame("BSMS001", "証明書取得 個人認証", content)
}

/// The second step.
pub(super) fn certificate_confirm(login_id: &str) -> String {
    let content = format!(
        "<form method=\"POST\" action=\"/ib/certificate/issue.do\"><p>{} 様の証明書を発行します。</p>\n\
         <p><button>発行</button></p></form>\n",
        escape(login_id)
    );
    frame("BSMS002", "証明書発行確認", &content)
}

/// The third.
pub(super) fn certificate_working() -> String {
    let content = "<p>処理中です。しばらくお待ちください。</p>\n\
                   <p><a href=\"/ib/certificate/result.do\">結果を表示</a></p>\n";
    frame("BSMS003", "証明書発行 処理中", content)
}

/// The last. The certificates themselves are the gateway's to make.
pub(super) fn certificate_result(login_id: &str) -> String {
    let content = format!("<p>{} 様の証明書の発行処理が完了しました。</p>\n", escape(login_id));
    frame("BSMS004", "証明書発行結果", &content)
}

/// Text as it stands in markup.
pub(super) fn escape(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut html, character| {
        match character {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            other => html.push(other),
        }
        html
    })
}

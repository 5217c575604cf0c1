//! A refusal as an answer: a small page in Japanese or English, or problem details (RFC 9457).
//!
//! The page carries the code, the request's ID and the help desk's text, and nothing of the cause.

use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_LANGUAGE, CACHE_CONTROL, CONNECTION, CONTENT_LANGUAGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    HeaderName, HeaderValue, LOCATION, RETRY_AFTER, SET_COOKIE,
};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::Full;

use super::{CertificateRefusal, LocalLink, NamedIn, Refusal, SessionRefusal, TransferRefusal};

const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");

/// What pages of the gateway can point to.
#[derive(Debug, Clone, Copy)]
pub struct Guide<'a> {
    /// Whom to ask.
    pub help_desk: &'a HelpDesk,
    /// Where the application lets customers change their own limit (LIM-08).
    pub limit_screen: Option<&'a LocalLink>,
    /// The application's login page, where its sessions are watched (BND-12).
    pub login_page: Option<&'a LocalLink>,
    /// The names of its session cookies.
    pub session_cookies: &'a [String],
}

/// `[help-desk]`: whom a refused customer can ask; shown on every refusal page, in the page's language.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HelpDesk {
    /// `text`: in Japanese.
    pub japanese: String,
    /// `text-en`: in English.
    pub english: String,
}

/// What the reader of the answer understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// A browser that prefers Japanese; also whoever does not say.
    Japanese,
    /// A browser that prefers English.
    English,
    /// A program that asked for JSON.
    Program,
}

impl Reader {
    /// Who sent a request with these headers.
    pub fn of(headers: &HeaderMap) -> Self {
        let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let accept = text(ACCEPT);
        if accept.contains("json") && !accept.contains("text/html") {
            return Self::Program;
        }
        match preferred_language(text(ACCEPT_LANGUAGE)) {
            Some("en") => Self::English,
            _ => Self::Japanese,
        }
    }

    /// The language of the reader's pages; `None` where it reads none.
    pub const fn language(self) -> Option<Language> {
        match self {
            Self::Japanese => Some(Language::Japanese),
            Self::English => Some(Language::English),
            Self::Program => None,
        }
    }
}

/// The language of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// Japanese.
    Japanese,
    /// English.
    English,
}

impl Language {
    const fn tag(self) -> &'static str {
        self.of("ja", "en")
    }

    /// One of two texts that say the same.
    pub(super) const fn of(self, japanese: &'static str, english: &'static str) -> &'static str {
        match self {
            Self::Japanese => japanese,
            Self::English => english,
        }
    }

    /// A page as an answer, with status 200: nobody keeps it, and it can neither be framed nor run a script.
    pub(super) fn answer(self, page: String) -> Response<Full<Bytes>> {
        let mut response = no_store("text/html; charset=utf-8", page);
        let headers = response.headers_mut();
        headers.insert(CONTENT_LANGUAGE, HeaderValue::from_static(self.tag()));
        headers.insert(
            CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
        );
        response
    }

    /// The form of every page; `content` is markup.
    pub(super) fn page(self, title: &str, content: &str) -> String {
        format!(
            "<!DOCTYPE html>\n<html lang=\"{}\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>{title}</title>\n\
             <style>body{{font-family:sans-serif;max-width:36rem;margin:4rem auto;padding:0 1rem;line-height:1.7;color:#222}}\
             h1{{font-size:1.4rem;border-bottom:2px solid #a33;padding-bottom:.4rem}}h2{{font-size:1rem}}\
             code{{background:#f2f2f2;padding:.1rem .3rem}}th{{text-align:left;font-weight:normal;padding-right:2rem}}td{{text-align:right}}</style></head>\n\
             <body><h1>{title}</h1>\n{content}</body></html>\n",
            self.tag(),
        )
    }

    /// Whom to ask, and what to tell them.
    pub(super) fn foot(self, request_id: &str, code: Option<&str>, help_desk: &HelpDesk) -> String {
        let desk = match self {
            Self::Japanese => &help_desk.japanese,
            Self::English => &help_desk.english,
        };
        let desk = match desk.as_str() {
            "" => String::new(),
            text => {
                let title = self.of("お問い合わせ", "Help desk");
                format!("<h2>{title}</h2>\n<p>{}</p>\n", escape_html(text).replace('\n', "<br>"))
            }
        };
        let number = self.of("受付番号", "Request ID");
        let code = code.map_or_else(String::new, |code| format!(" (<code>{code}</code>)"));
        format!("{desk}<p>{number}: <code>{}</code>{code}</p>\n", escape_html(request_id))
    }
}

fn no_store(content_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The cookies of a session that is no use any more end in the browser too: those that are set for the whole host, and for
/// the directories of the login page.
fn endings(guide: Guide<'_>) -> HeaderMap {
    let page = guide.login_page.map_or("/", LocalLink::as_str);
    let directories = page.match_indices('/').map(|(at, _)| if at == 0 { "/" } else { &page[..at] });
    let paths: Vec<&str> = directories.collect();
    let lines = guide
        .session_cookies
        .iter()
        .flat_map(|name| paths.iter().map(move |path| format!("{name}=; Max-Age=0; Path={path}; Secure; HttpOnly")));
    lines.filter_map(|line| Some((SET_COOKIE, HeaderValue::try_from(line).ok()?))).collect()
}

/// `ja` or `en`, whichever the client weighs higher; the first named where they weigh the same (RFC 9110 12.5.4).
fn preferred_language(header: &str) -> Option<&'static str> {
    let mut best: Option<(&'static str, f32)> = None;
    for range in header.split(',') {
        let mut parts = range.split(';');
        let tag = parts.next().unwrap_or_default().trim();
        let weight = parts.find_map(|p| p.trim().strip_prefix("q=")?.parse().ok()).unwrap_or(1.0);
        let known = match tag.get(..2).map(str::to_ascii_lowercase).as_deref() {
            Some("ja") => "ja",
            Some("en") => "en",
            _ => continue,
        };
        if weight > best.map_or(0.0, |(_, w)| w) {
            best = Some((known, weight));
        }
    }
    best.map(|(language, _)| language)
}

impl Refusal {
    /// The answer for `reader`. `request_id` stands in the page; the header of that name is the pipeline's.
    pub fn into_response(self, reader: Reader, request_id: &str, guide: Guide<'_>) -> Response<Full<Bytes>> {
        let mut response = match reader.language() {
            Some(language) => language.answer(self.page(language, request_id, guide)),
            None => no_store("application/problem+json", self.problem(request_id, guide)),
        };
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        if self == Self::MethodNotAllowed {
            headers
                .insert(http::header::ALLOW, HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
        }
        if let Some(login_page) = self.leads_to(reader, guide) {
            *response.status_mut() = StatusCode::SEE_OTHER;
            if matches!(
                self,
                Self::Session(SessionRefusal::Unknown(NamedIn::Cookie) | SessionRefusal::Foreign(NamedIn::Cookie))
            ) {
                response.headers_mut().extend(endings(guide));
            }
            response.headers_mut().insert(LOCATION, login_page);
        }
        if self == Self::Session(SessionRefusal::Ambiguous(NamedIn::Cookie)) {
            // Else a cookie that somebody planted would be in the way for as long as it lives.
            response.headers_mut().insert(CLEAR_SITE_DATA, HeaderValue::from_static("\"cookies\""));
        }
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after() {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        // Bodies are read where money is moved, and those routes take POST alone.
        if self == Self::Transfer(TransferRefusal::MethodNotRouted) {
            headers.insert(http::header::ALLOW, HeaderValue::from_static("POST"));
        }
        if self.ends_connection() {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    /// Where a browser goes by itself: to log in, where that is what helps.
    fn leads_to(self, reader: Reader, guide: Guide<'_>) -> Option<HeaderValue> {
        let helps = matches!(self, Self::Session(reason) if reason.leads_to_login());
        let login_page = guide.login_page.filter(|_| helps && reader.language().is_some())?;
        HeaderValue::from_str(login_page.as_str()).ok()
    }

    /// Seconds after which asking again makes sense; everything that is answered 429 says so.
    fn retry_after(self) -> Option<u32> {
        match self {
            Self::RateLimited { retry_after } => Some(retry_after),
            other => (other.status() == StatusCode::TOO_MANY_REQUESTS).then_some(1),
        }
    }

    fn problem(self, request_id: &str, guide: Guide<'_>) -> String {
        let mut problem = serde_json::json!({
            "type": "about:blank",
            "title": self.sentence(Language::English),
            "status": self.status().as_u16(),
            "code": self.code(),
            "request_id": request_id,
        });
        if let Self::Transfer(reason) = self
            && let Some((limit, used)) = reason.limits()
        {
            problem["limit"] = limit.get().into();
            if let Some(used) = used {
                problem["used"] = used.get().into();
                problem["remaining"] = limit.saturating_sub(used).get().into();
            }
        }
        if let Some(screen) = self.way_out(guide) {
            problem["limit_screen"] = screen.as_str().into();
        }
        problem.to_string()
    }

    fn page(self, language: Language, request_id: &str, guide: Guide<'_>) -> String {
        let title = language.of("ご利用いただけません", "Not available");
        let sentence = self.sentence(language);
        let table = if let Self::Transfer(reason) = self { reason.table(language) } else { String::new() };
        let screen = self.way_out(guide).map_or_else(String::new, |screen| screen.to_change_the_limit(language));
        let foot = language.foot(request_id, Some(self.code()), guide.help_desk);
        language.page(title, &format!("<p>{sentence}</p>\n{table}{screen}{foot}"))
    }

    /// The screen on which the customer can end what stands in the way.
    fn way_out(self, guide: Guide<'_>) -> Option<&LocalLink> {
        guide.limit_screen.filter(|_| matches!(self, Self::Transfer(TransferRefusal::LimitAboveCeiling { .. })))
    }

    const fn sentence(self, language: Language) -> &'static str {
        let (ja, en) = match self {
            Self::Certificate(reason) => certificate_sentences(reason),
            Self::MisdirectedRequest => {
                ("この接続ではご指定のサイトをご利用いただけません。", "This connection does not serve that host.")
            }
            Self::BadTarget => ("アドレスの形式が正しくありません。", "The request target is not valid."),
            Self::TargetTooLong => ("アドレスが長すぎます。", "The request target is too long."),
            Self::BadHost => ("ホスト名の指定が正しくありません。", "The host is missing or not valid."),
            Self::MethodNotAllowed => ("この操作方法には対応していません。", "The method is not allowed."),
            Self::NominatedField | Self::UnderscoreHeader => {
                ("リクエストの形式が正しくありません。", "A header field is not allowed.")
            }
            Self::UnknownExpectation => ("リクエストの形式に対応していません。", "The expectation cannot be met."),
            Self::AmbiguousPath => ("アドレスの形式が正しくありません。", "The address is not valid."),
            Self::LoginIdMismatch => (
                "入力されたログインIDは、お使いの電子証明書のログインIDと異なります。ご自身のログインIDでログインしてください。",
                "The login ID is not the one of your certificate. Please log in with your own.",
            ),
            Self::RateLimited { .. } => (
                "アクセスが集中しています。しばらくしてから再度お試しください。",
                "There were too many requests. Please try again later.",
            ),
            Self::BodyTooLarge => ("送信されたデータが大きすぎます。", "The request body is too large."),
            Self::Body(reason) => reason.sentences(),
            Self::Session(reason) => reason.sentences(),
            Self::Transfer(reason) => reason.sentences(),
            Self::BodyTimeout => {
                ("データの送信が時間内に完了しませんでした。", "The request body did not arrive in time.")
            }
            Self::StandingUnknown
            | Self::CannotSign
            | Self::InspectionBusy
            | Self::UpstreamUnreachable
            | Self::UpstreamBusy => (
                "ただいまサービスをご利用いただけません。しばらくしてから再度お試しください。",
                "The service is not available at the moment.",
            ),
            Self::TooManyHeaders => ("リクエストのヘッダーが多すぎます。", "There are too many header fields."),
            Self::ListenerChanged => ("接続をやり直してください。", "Please connect again."),
            Self::BadFraming => ("リクエストの形式が正しくありません。", "The request's framing is not valid."),
            Self::BadBody => ("送信されたデータの形式が正しくありません。", "The request body is not valid."),
            Self::UpstreamTimeout => {
                ("サービスから時間内に応答がありませんでした。", "The service did not answer in time.")
            }
            Self::UpstreamBroken => {
                ("サービスから正しい応答がありませんでした。", "The service gave no usable answer.")
            }
        };
        language.of(ja, en)
    }
}

const fn certificate_sentences(reason: CertificateRefusal) -> (&'static str, &'static str) {
    match reason {
        CertificateRefusal::NoCertificate => (
            "電子証明書が提示されませんでした。電子証明書を導入したパソコンからご利用ください。",
            "No client certificate was presented. Please use the computer on which yours is installed.",
        ),
        CertificateRefusal::Expired => (
            "電子証明書の有効期限が切れています。電子証明書の更新または再発行をお願いいたします。",
            "Your client certificate has expired. Please have it renewed or reissued.",
        ),
        CertificateRefusal::NotYetValid => {
            ("電子証明書はまだ有効期間に入っていません。", "Your client certificate is not valid yet.")
        }
        CertificateRefusal::Revoked => (
            "この電子証明書は失効しています。お取引店舗またはヘルプデスクにお問い合わせください。",
            "This client certificate has been revoked. Please contact your branch or the help desk.",
        ),
        CertificateRefusal::Blocked => (
            "この電子証明書またはご契約のご利用を停止しております。お取引店舗またはヘルプデスクにお問い合わせください。",
            "This client certificate or its customer has been blocked. Please contact your branch or the help desk.",
        ),
        CertificateRefusal::Untrusted | CertificateRefusal::WrongUsage | CertificateRefusal::Malformed => (
            "この電子証明書ではご利用いただけません。正しい電子証明書を選択してください。",
            "This client certificate cannot be used here. Please choose the right one.",
        ),
        CertificateRefusal::CrlStale | CertificateRefusal::CrlMissing => (
            "ただいま電子証明書の有効性を確認できません。しばらくしてから再度お試しください。",
            "The standing of certificates cannot be checked at the moment.",
        ),
        CertificateRefusal::SubjectMismatch => (
            "この電子証明書は当サービスのものではありません。正しい電子証明書を選択してください。",
            "This client certificate does not belong to this service.",
        ),
        CertificateRefusal::Unregistered => (
            "この電子証明書は登録されていません。登録されている電子証明書を選択してください。",
            "This client certificate is not registered. Please choose the one that is.",
        ),
        CertificateRefusal::Retired => (
            "この電子証明書は現在登録されているものではありません。新しい電子証明書を選択してください。",
            "This client certificate is no longer the registered one. Please choose the new one.",
        ),
    }
}

pub(super) fn escape_html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(accept: &str, language: &str) -> Reader {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, accept.parse().unwrap());
        headers.insert(ACCEPT_LANGUAGE, language.parse().unwrap());
        Reader::of(&headers)
    }

    #[test]
    fn the_page_speaks_the_readers_language() {
        assert_eq!(reader("text/html", "ja,en;q=0.5"), Reader::Japanese);
        assert_eq!(reader("text/html", "en-US,en;q=0.9,ja;q=0.8"), Reader::English);
        assert_eq!(reader("*/*", "fr"), Reader::Japanese);
        assert_eq!(reader("application/json", "ja"), Reader::Program);
        assert_eq!(reader("text/html,application/json", "ja"), Reader::Japanese);
    }
}

//! A page that stands before another one, once, and refuses nothing: the customer's own limit is above the ceiling, and only
//! the customer can lower it (LIM-08, S0-06, S0-35).

use bytes::Bytes;
use http::Response;
use http_body_util::Full;

use super::page::{HelpDesk, Language, escape_html};
use crate::domain::Yen;

/// A path of this host, perhaps with a query. As a link it leads nowhere else, whoever wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalLink(String);

impl LocalLink {
    /// `None` for what is no path, and for what browsers take for another host: `//host`, and `/\host`, which they read as the same.
    pub fn of(target: &str) -> Option<Self> {
        let path = target.strip_prefix('/')?;
        // Browsers drop tabs and line breaks wherever they stand: behind one, a second slash would count.
        let is_visible = target.bytes().all(|byte| (0x21..=0x7e).contains(&byte));
        (is_visible && !path.starts_with(['/', '\\'])).then(|| Self(target.to_owned()))
    }

    /// As text, not escaped.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn paragraph(&self, text: &str) -> String {
        format!("<p><a href=\"{}\">{text}</a></p>\n", escape_html(&self.0))
    }

    /// The link to the screen on which a customer changes the own limit.
    pub(super) fn to_change_the_limit(&self, language: Language) -> String {
        self.paragraph(language.of("限度額を変更する", "Change the limit"))
    }
}

/// What becomes of the transfers of a customer whose own limit is above the ceiling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OverCeiling {
    /// They are held to the ceiling.
    Held,
    /// There are none until the limit is lowered.
    Stopped,
}

/// What such a customer is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitNotice {
    /// The customer's own limit.
    pub own: Yen,
    /// The ceiling that holds today.
    pub ceiling: Yen,
    /// What follows.
    pub transfers: OverCeiling,
    /// Where the limit is lowered.
    pub limit_screen: LocalLink,
    /// The page that was asked for.
    pub onward: LocalLink,
    /// In which language.
    pub language: Language,
}

impl LimitNotice {
    /// The page, with status 200.
    pub fn into_response(self, request_id: &str, help_desk: &HelpDesk) -> Response<Full<Bytes>> {
        self.language.answer(self.page(request_id, help_desk))
    }

    fn page(&self, request_id: &str, help_desk: &HelpDesk) -> String {
        let language = self.language;
        let title = language.of("限度額変更のお願い", "Please lower your limit");
        let above = language.of(
            "ご契約の1日の振込限度額が上限を超えています。",
            "Your own daily limit for transfers is above the ceiling.",
        );
        let consequence = match self.transfers {
            OverCeiling::Held => language.of(
                "お振込は上限の金額までとなります。限度額変更の画面で、上限以下に引き下げてください。",
                "Transfers are held to the ceiling. Please lower your limit to the ceiling or below.",
            ),
            OverCeiling::Stopped => language.of(
                "上限以下に引き下げられるまで、お振込はお取り扱いできません。限度額変更の画面で引き下げてください。",
                "Transfers are stopped until you lower your limit to the ceiling or below.",
            ),
        };
        let rows = [
            (language.of("ご契約の限度額", "Your own limit"), self.own),
            (language.of("上限", "Ceiling"), self.ceiling),
        ];
        let unit = language.of("円", " yen");
        let rows =
            rows.map(|(name, yen)| format!("<tr><th>{name}</th><td>{}{unit}</td></tr>\n", yen.grouped())).concat();
        let change = self.limit_screen.to_change_the_limit(language);
        let onward = self.onward.paragraph(language.of("変更せずに進む", "Continue without changing it"));
        let foot = language.foot(request_id, None, help_desk);
        let said = format!("<p>{above}</p>\n<p>{consequence}</p>\n<table>\n{rows}</table>\n");
        language.page(title, &format!("{said}{change}{onward}{foot}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_leads_to_this_host_alone() {
        for path in ["/", "/ib/menu.do", "/ib/menu.do?next=//evil.example", "/a//b", "/.//x"] {
            assert_eq!(LocalLink::of(path).as_ref().map(LocalLink::as_str), Some(path));
        }
        for other in [
            "",
            "ib/menu.do",
            "//evil.example",
            "/\\evil.example",
            "/\t/evil.example",
            "/\n/evil.example",
            "\\\\evil.example",
            "https://evil.example/",
            "javascript:alert(1)",
            "/ib/ menu.do",
            "/振込",
        ] {
            assert_eq!(LocalLink::of(other), None, "{other:?}");
        }
    }

    #[test]
    fn what_was_asked_for_stays_within_its_link() {
        let link = LocalLink::of("/ib/menu.do?a=\"><script>alert('1')</script>&b=1").unwrap();
        let escaped = "/ib/menu.do?a=&quot;&gt;&lt;script&gt;alert('1')&lt;/script&gt;&amp;b=1";
        assert_eq!(link.paragraph("on"), format!("<p><a href=\"{escaped}\">on</a></p>\n"));
    }
}

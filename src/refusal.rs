//! Every way to say no.

/// `[help-desk]`: whom a refused customer can ask; shown on every refusal page, in the page's language.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HelpDesk {
    /// `text`: in Japanese.
    pub japanese: String,
    /// `text-en`: in English.
    pub english: String,
}

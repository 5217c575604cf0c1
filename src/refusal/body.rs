//! Bodies that cannot be forwarded because they do not have one meaning.

use http::StatusCode;

/// Why a body is refused. Says nothing of what the customer wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BodyRefusal {
    /// Not written as its media type demands, or so that parsers differ (LIM-12).
    Malformed,
    /// A declared field twice, in the wrong place, or a name that can be taken for one (LIM-10, LIM-37).
    AmbiguousField,
    /// An amount in a spelling that parsers read differently (LIM-09).
    BadAmount,
    /// No day of the calendar, one that has passed, or one too far ahead (LIM-20).
    BadDate,
    /// A field that must be there is not.
    MissingField,
    /// A field that must have one value has another.
    WrongFixedValue,
    /// A field outside the route's closed list.
    UnknownField,
    /// More fields than the route allows.
    TooManyFields,
    /// Not the route's media type (LIM-11).
    MediaType,
    /// Not the route's charset.
    Charset,
    /// A compressed or otherwise coded body.
    Encoding,
}

impl BodyRefusal {
    /// Every variant, for tables and tests.
    pub const ALL: [Self; 11] = [
        Self::Malformed,
        Self::AmbiguousField,
        Self::BadAmount,
        Self::BadDate,
        Self::MissingField,
        Self::WrongFixedValue,
        Self::UnknownField,
        Self::TooManyFields,
        Self::MediaType,
        Self::Charset,
        Self::Encoding,
    ];

    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Malformed => "malformed_body",
            Self::AmbiguousField => "ambiguous_field",
            Self::BadAmount => "bad_amount",
            Self::BadDate => "bad_date",
            Self::MissingField => "missing_field",
            Self::WrongFixedValue => "wrong_fixed_value",
            Self::UnknownField => "unknown_field",
            Self::TooManyFields => "too_many_fields",
            Self::MediaType => "unsupported_media_type",
            Self::Charset => "unsupported_charset",
            Self::Encoding => "unsupported_encoding",
        }
    }

    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::Malformed
            | Self::AmbiguousField
            | Self::BadAmount
            | Self::BadDate
            | Self::MissingField
            | Self::WrongFixedValue
            | Self::UnknownField
            | Self::TooManyFields => StatusCode::BAD_REQUEST,
            Self::MediaType | Self::Charset | Self::Encoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        }
    }

    /// The sentence in Japanese and in English.
    pub(super) const fn sentences(self) -> (&'static str, &'static str) {
        match self {
            Self::BadAmount => (
                "金額が正しくありません。半角数字で入力してください。",
                "The amount is not valid. Please use digits only.",
            ),
            Self::BadDate => ("指定日が正しくありません。", "The date is not valid."),
            Self::MissingField => ("入力されていない項目があります。", "A field has not been filled in."),
            Self::Malformed
            | Self::AmbiguousField
            | Self::WrongFixedValue
            | Self::UnknownField
            | Self::TooManyFields
            | Self::MediaType
            | Self::Charset
            | Self::Encoding => ("送信されたデータの形式が正しくありません。", "The request body is not valid."),
        }
    }
}

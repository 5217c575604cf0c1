//! What must hold for every body, whatever its media type.

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use sekisho::domain::Yen;
use sekisho::policy::body::{
    AmountFormat, BodyFormat, BodyRules, Charset, DateFormat, Fault, Head, Inspection, MediaType, ParameterValue,
    Settings, Submission,
};

const CHARSETS: [Charset; 3] = [Charset::Utf8, Charset::Windows31J, Charset::EucJp];

/// Reads a body under rules that use everything. The first byte chooses the charset and whether other fields
/// are refused, the second says how long the query is.
///
/// # Panics
///
/// Where an accepted body means something else when it is read again, or its sum is not the sum of its amounts.
pub fn read(media: MediaType, data: &[u8]) {
    let [choice, query_length, rest @ ..] = data else { return };
    let charset = if media == MediaType::Json { Charset::Utf8 } else { CHARSETS[usize::from(*choice) % 3] };
    let (query, body) = rest.split_at(usize::from(*query_length).min(rest.len()));
    let Ok(query) = std::str::from_utf8(query) else { return };
    let closed = choice & 4 != 0;
    let Ok(first) = inspect(media, charset, AmountFormat::Ja, closed, query, &Bytes::copy_from_slice(body)) else {
        return;
    };
    let sum = first.amounts.iter().try_fold(Yen::ZERO, |sum, amount| sum.checked_add(amount.yen));
    assert_eq!(first.amount, sum);
    assert_eq!(first.rewritten, first.body != body);
    let strict = inspect(media, charset, AmountFormat::Strict, closed, query, &first.body);
    assert_eq!(strict, Ok(Inspection { rewritten: false, ..first }));
}

fn inspect(
    media: MediaType,
    charset: Charset,
    amount_format: AmountFormat,
    closed: bool,
    query: &str,
    body: &Bytes,
) -> Result<Inspection, Fault> {
    let amount = if media == MediaType::Json { "/orders/*/amount" } else { "kingaku*" }.to_owned();
    let rules = BodyRules::new(Settings {
        format: BodyFormat { media, charset, max_fields: 50 },
        fields: closed.then(|| vec!["to".to_owned(), amount.clone()]),
        amount: vec![amount],
        earlier: Vec::new(),
            is_complete: false,
        amount_format,
        fixed: Vec::new(),
        date: Some(("date".to_owned(), DateFormat::Digits)),
        transaction: Some("txn".to_owned()),
        token: Some("token".to_owned()),
        payee: None,
            login_id: None,
        parameters: vec![("do".to_owned(), ParameterValue::Is("go".to_owned()))],
    });
    let rules = rules.expect("the rules are fixed");
    let content_type = match media {
        MediaType::Form => "application/x-www-form-urlencoded",
        MediaType::Multipart => "multipart/form-data; boundary=X",
        MediaType::Json => "application/json",
    };
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, http::HeaderValue::from_static(content_type))]);
    let submission =
        Submission::read(rules.format(), Head { headers: &headers, query: Some(query), path_parameters: &[] }, body)?;
    let belongs = submission.carries(rules.dispatch());
    let inspection = submission.inspect(&rules);
    // Whoever asks only for the meaning gets none of a request of another route.
    assert!(inspection.is_err() || belongs == Ok(true));
    inspection
}

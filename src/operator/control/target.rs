//! Names in a request's target, percent-encoded (RFC 3986): a contract's name may hold any visible character, an
//! operator's any letter.

use data_encoding::HEXUPPER;

use super::Refused;

/// A text as one segment of a path, or as one value of a query.
pub fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(byte.into());
        } else {
            out.push('%');
            HEXUPPER.encode_append(&[byte], &mut out);
        }
    }
    out
}

/// The reverse; `None` for a percent sign without two digits, and for what is no text.
pub(super) fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first == b'%' {
            let digits = after.get(..2)?.to_ascii_uppercase();
            bytes.extend(HEXUPPER.decode(&digits).ok()?);
            rest = after.get(2..)?;
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}

/// What a query asks for: the values of `names`, in their order. A name that is not known, or stands twice, is refused.
pub(super) fn parameters<const N: usize>(
    query: Option<&str>,
    names: [&'static str; N],
) -> Result<[Option<String>; N], Refused> {
    let mut values = [const { None }; N];
    for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let Some(at) = names.iter().position(|known| *known == name) else {
            return Err(Refused::Malformed(format!("the parameter {name:?} is not known")));
        };
        let value =
            decoded(value).ok_or_else(|| Refused::Malformed(format!("the value of {name:?} cannot be read")))?;
        if values[at].replace(value).is_some() {
            return Err(Refused::Malformed(format!("the parameter {name:?} stands twice")));
        }
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_comes_back() {
        for text in ["hanakodt", "a/b?c#d%e&f=g+h", "日銀 太郎", "%41", ""] {
            let name = encoded(text);
            assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte)), "{name}");
            assert_eq!(decoded(&name).as_deref(), Some(text));
        }
        for bad in ["%", "%4", "%zz", "%+1", "%ff"] {
            assert_eq!(decoded(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_query_has_each_known_name_once() {
        let values = parameters(Some("to=2&from=%31"), ["from", "to", "format"]).ok();
        assert_eq!(values, Some([Some("1".into()), Some("2".into()), None]));
        for bad in ["from=1&from=2", "until=3", "from=%"] {
            assert!(parameters(Some(bad), ["from"]).is_err(), "{bad}");
        }
    }
}

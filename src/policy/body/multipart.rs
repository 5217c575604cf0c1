//! `multipart/form-data` (RFC 7578) on buffered bytes, as browsers write it and no other way (LIM-10, LIM-12).
//!
//! Parsers differ in preambles, LF-only lines, padding after a boundary, `\"` in names, encoded words and `name*`; each of them
//! is refused. The line of a name is decoded in the route's charset before its quotes are looked for, because the second
//! byte of 表 and ソ in Windows-31J is a backslash.
//!
//! Invariant: the bytes `--boundary` stand in an accepted body only where a part begins or the body ends.

use std::borrow::Cow;

use memchr::memmem;

use super::content_type::part_charset;
use super::{Charset, Fault, Field, Value, clean_name, clean_value};

/// The parts of a body, files as [`Value::File`].
pub(super) fn fields<'a>(
    body: &'a [u8],
    boundary: &str,
    charset: Charset,
    max_fields: usize,
) -> Result<Vec<Field<'a>>, Fault> {
    // A parser that takes the quotes around a boundary for a part of it would find other parts.
    if memmem::find(body, format!("--\"{boundary}").as_bytes()).is_some() {
        return Err(Fault::MalformedBody("a boundary in quotes"));
    }
    let delimiter = format!("--{boundary}");
    let mut delimiters = memmem::find_iter(body, &delimiter);
    if delimiters.next() != Some(0) {
        return Err(Fault::MalformedBody("text before the first boundary"));
    }
    let mut fields = Vec::new();
    let mut start = delimiter.len();
    loop {
        let rest = &body[start..];
        if rest == b"--" || rest == b"--\r\n" {
            return Ok(fields);
        }
        let end = delimiters.next().ok_or(Fault::MalformedBody("no final boundary"))?;
        let part = body.get(start..end).and_then(|part| part.strip_prefix(b"\r\n")?.strip_suffix(b"\r\n"));
        let part = part.ok_or(Fault::MalformedBody("a boundary that is not a line"))?;
        if fields.len() == max_fields {
            return Err(Fault::TooManyFields);
        }
        fields.push(field(part, start + b"\r\n".len(), charset)?);
        start = end + delimiter.len();
    }
}

/// One part: its header lines, an empty line, its content. `offset` is where it stands in the body.
fn field(part: &[u8], offset: usize, charset: Charset) -> Result<Field<'_>, Fault> {
    let head_end = memmem::find(part, b"\r\n\r\n").ok_or(Fault::MalformedBody("a part without an empty line"))?;
    let content_start = head_end + b"\r\n\r\n".len();
    let content = &part[content_start..];
    let head = Head::read(&part[..head_end], charset)?;
    let span = offset + content_start..offset + part.len();
    let content_type = head.content_type.as_deref();
    if head.is_file {
        if content_type.is_some_and(|media| has_prefix(media, "multipart/") || has_prefix(media, "message/")) {
            return Err(Fault::MalformedBody("a multipart part"));
        }
        return Ok(Field { name: head.name, value: Value::File, span });
    }
    if let Some(content_type) = content_type {
        let (media, parameters) = content_type.split_once(';').map_or((content_type, None), |(m, p)| (m, Some(p)));
        if !media.trim_ascii().eq_ignore_ascii_case("text/plain") {
            return Err(Fault::MalformedBody("a field that is not plain text"));
        }
        if part_charset(parameters)?.is_some_and(|label| Charset::of_label(label) != Some(charset)) {
            return Err(Fault::UnsupportedCharset);
        }
    }
    let text = charset.decode(Cow::Borrowed(content)).ok_or(Fault::MalformedBody("not in the charset"))?;
    Ok(Field { name: head.name, value: Value::Text(clean_value(text)?), span })
}

fn has_prefix(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// What the header lines of a part say.
struct Head<'a> {
    name: Cow<'a, str>,
    is_file: bool,
    content_type: Option<Cow<'a, str>>,
}

impl<'a> Head<'a> {
    fn read(lines: &'a [u8], charset: Charset) -> Result<Self, Fault> {
        let (mut disposition, mut content_type, mut transfer_encoding) = (None, None, None);
        let mut rest = Some(lines);
        while let Some(lines) = rest {
            let end = memmem::find(lines, b"\r\n");
            rest = end.map(|end| &lines[end + b"\r\n".len()..]);
            let line = charset.decode(Cow::Borrowed(&lines[..end.unwrap_or(lines.len())]));
            let line = line.ok_or(Fault::MalformedBody("a part header that is not in the charset"))?;
            // Bare CR and LF are among the control characters; a leading blank would continue the line before.
            if line.chars().any(char::is_control) || line.starts_with(' ') {
                return Err(Fault::MalformedBody("a part header that is not one line"));
            }
            let colon = line.find(':').ok_or(Fault::MalformedBody("a part header without a colon"))?;
            let slot = match line[..colon].to_ascii_lowercase().as_str() {
                "content-disposition" => &mut disposition,
                "content-type" => &mut content_type,
                "content-transfer-encoding" => &mut transfer_encoding,
                _ => return Err(Fault::MalformedBody("a part header that forms do not have")),
            };
            if slot.replace(value_after(line, colon)).is_some() {
                return Err(Fault::MalformedBody("a part header twice"));
            }
        }
        let plain = |coding: &str| ["7bit", "8bit", "binary"].iter().any(|known| known.eq_ignore_ascii_case(coding));
        if transfer_encoding.is_some_and(|coding| !plain(&coding)) {
            return Err(Fault::MalformedBody("a transfer encoding"));
        }
        let disposition = disposition.ok_or(Fault::MalformedBody("a part without a name"))?;
        let (name, is_file) = name_of(&disposition)?;
        Ok(Self { name: Cow::Owned(name), is_file, content_type })
    }
}

/// The value of a header line without the blanks around it.
fn value_after(line: Cow<'_, str>, colon: usize) -> Cow<'_, str> {
    match line {
        Cow::Borrowed(line) => Cow::Borrowed(line[colon + 1..].trim_matches(' ')),
        Cow::Owned(line) => Cow::Owned(line[colon + 1..].trim_matches(' ').to_owned()),
    }
}

/// `form-data; name="…"`, perhaps `; filename="…"`: the name, and whether the part is a file.
fn name_of(disposition: &str) -> Result<(String, bool), Fault> {
    const MALFORMED: Fault = Fault::MalformedBody("a part whose name is not plainly quoted");
    let mut rest = disposition.strip_prefix("form-data").ok_or(MALFORMED)?;
    let (mut name, mut filename) = (None, None);
    while !rest.is_empty() {
        let parameter = rest.trim_start_matches(' ').strip_prefix(';').ok_or(MALFORMED)?.trim_start_matches(' ');
        let (key, quoted) = parameter.split_once("=\"").ok_or(MALFORMED)?;
        let (value, after) = quoted.split_once('"').ok_or(MALFORMED)?;
        // `name*`, `Name` and whatever else only some parsers know.
        let slot = match key {
            "name" => &mut name,
            "filename" => &mut filename,
            _ => return Err(MALFORMED),
        };
        if slot.replace(value).is_some() {
            return Err(MALFORMED);
        }
        rest = after;
    }
    let name = name.ok_or(MALFORMED)?;
    // Unescaping, percent-decoding, encoded words (RFC 2047) and cutting at semicolons: some parsers do, some do not.
    if name.contains(['\\', '%', ';']) || name.contains("=?") {
        return Err(MALFORMED);
    }
    // A file's name may hold a path of Windows, but no backslash that could hide the closing quote.
    if filename.is_some_and(|filename: &str| filename.ends_with('\\') || filename.contains(';')) {
        return Err(MALFORMED);
    }
    clean_name(Cow::Borrowed(name)).map(|name| (name.into_owned(), filename.is_some()))
}

#[cfg(test)]
mod tests;

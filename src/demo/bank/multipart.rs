//! The parts of a multipart body (RFC 7578), as a lenient reader finds them.

use memchr::memmem;

/// One part.
#[derive(Debug)]
pub(super) struct Part<'b> {
    /// The value of its `Content-Disposition`, empty where it has none.
    pub(super) disposition: &'b [u8],
    pub(super) content: &'b [u8],
}

/// The parts between the boundaries, also where the last boundary is missing. A part without an end of its head is none.
pub(super) fn parts<'b>(boundary: &str, body: &'b [u8]) -> Vec<Part<'b>> {
    let delimiter = format!("--{boundary}");
    let starts: Vec<usize> = memmem::find_iter(body, delimiter.as_bytes()).collect();
    let ends = starts.iter().skip(1).copied().chain([body.len()]);
    let between = starts.iter().zip(ends).map(|(start, end)| &body[start + delimiter.len()..end]);
    between.take_while(|part| !part.starts_with(b"--")).filter_map(part).collect()
}

fn part(text: &[u8]) -> Option<Part<'_>> {
    let head_end = memmem::find(text, b"\r\n\r\n")?;
    let content = &text[head_end + 4..];
    let disposition = text[..head_end].split(|byte| *byte == b'\n').find_map(|line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let named = line[..colon].trim_ascii().eq_ignore_ascii_case(b"content-disposition");
        named.then(|| line[colon + 1..].trim_ascii())
    });
    Some(Part {
        disposition: disposition.unwrap_or_default(),
        content: content.strip_suffix(b"\r\n").unwrap_or(content),
    })
}

//! From the bytes of a file to its text.

use super::FileKind;
use crate::error::{Error, ErrorKind, Result};
use std::borrow::Cow;

/// The text of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extracted {
    /// The text.
    pub text: String,
    /// Whether its lines are those of the file (not of HTML and PDF, whose text is laid out anew).
    pub has_lines: bool,
    /// What had to be done about it that its reader should know, in words.
    pub note: Option<String>,
}

/// The text of a file of `kind` with these bytes: UTF-8, or UTF-16 with its mark; other encodings are read as UTF-8 with replacement
/// characters, which the note says. Of HTML the text with its headings, of PDF (feature `pdf`) the text.
///
/// # Errors
/// [`ErrorKind::Decode`] for a binary file, HTML or a PDF that cannot be read; [`ErrorKind::Unsupported`] for a PDF without the feature.
pub fn extract_text(bytes: &[u8], kind: FileKind) -> Result<Extracted> {
    if kind == FileKind::Pdf {
        return Ok(Extracted { text: pdf(bytes)?, has_lines: false, note: None });
    }
    let (text, note) = decode(bytes)?;
    if kind != FileKind::Html {
        return Ok(Extracted { text: text.into_owned(), has_lines: true, note });
    }
    if nesting(&text) > MAX_NESTING {
        return Err(Error::new(ErrorKind::Decode, format!("HTML with elements nested more than {MAX_NESTING} deep")));
    }
    // As wide as a paragraph gets, so that sentences are not broken into lines; tables as plain rows.
    let text = html2text::config::plain_no_decorate()
        .raw_mode(true)
        .allow_width_overflow()
        .string_from_read(text.as_bytes(), 4000)
        .map_err(|e| Error::new(ErrorKind::Decode, "the HTML could not be read").with_source(e))?;
    Ok(Extracted { text, has_lines: false, note })
}

/// How deep HTML elements may be nested. Parsing takes the square of the depth, so that a hostile page could keep a thread for days.
const MAX_NESTING: usize = 1000;

/// How deep elements are nested at the most, going by tags alone; those that HTML closes by itself are not counted.
fn nesting(html: &str) -> usize {
    const CLOSED: [&str; 27] = [
        "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr", "p",
        "li", "dt", "dd", "tr", "td", "th", "option", "thead", "tbody", "tfoot", "rp", "rt", "colgroup",
    ];
    let (mut depth, mut most) = (0usize, 0);
    for tag in html.split('<').skip(1) {
        let (closes, name) = tag.strip_prefix('/').map_or((false, tag), |name| (true, name));
        let end = name.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(name.len());
        let name = name.get(..end).unwrap_or("");
        if !name.starts_with(|c: char| c.is_ascii_alphabetic()) || CLOSED.iter().any(|c| c.eq_ignore_ascii_case(name)) {
            continue;
        }
        depth = if closes { depth.saturating_sub(1) } else { depth + 1 };
        most = most.max(depth);
    }
    most
}

fn decode(bytes: &[u8]) -> Result<(Cow<'_, str>, Option<String>)> {
    let wide = |little: bool| -> String {
        let units = bytes.get(2..).unwrap_or(&[]).chunks_exact(2).map(|pair| match (little, pair) {
            (true, [a, b]) => u16::from_le_bytes([*a, *b]),
            (false, [a, b]) => u16::from_be_bytes([*a, *b]),
            _ => 0xfffd,
        });
        char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
    };
    match bytes {
        [0xff, 0xfe, ..] => return Ok((Cow::Owned(wide(true)), Some("was UTF-16".into()))),
        [0xfe, 0xff, ..] => return Ok((Cow::Owned(wide(false)), Some("was UTF-16".into()))),
        _ => {}
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.contains(&0) {
        return Err(Error::new(ErrorKind::Decode, "a binary file, not text"));
    }
    match String::from_utf8_lossy(bytes) {
        Cow::Borrowed(text) => Ok((Cow::Borrowed(text), None)),
        Cow::Owned(text) => {
            let wrong = text.chars().filter(|c| *c == char::REPLACEMENT_CHARACTER).count();
            if wrong * 5 > text.chars().count() {
                return Err(Error::new(ErrorKind::Decode, "neither UTF-8 nor UTF-16: convert it to UTF-8"));
            }
            let note = format!("not UTF-8: {wrong} places were replaced");
            Ok((Cow::Owned(text), Some(note)))
        }
    }
}

#[cfg(feature = "pdf")]
fn pdf(bytes: &[u8]) -> Result<String> {
    // The library panics on some files that are damaged in unforeseen ways; that is the file's fault, not ours to die of.
    match std::panic::catch_unwind(|| pdf_extract::extract_text_from_mem(bytes)) {
        Ok(Ok(text)) => Ok(text),
        Ok(Err(_)) => Err(Error::new(ErrorKind::Decode, "the PDF is encrypted, damaged or of an unknown kind")),
        Err(_) => Err(Error::new(ErrorKind::Decode, "the PDF is damaged")),
    }
}

#[cfg(not(feature = "pdf"))]
fn pdf(_: &[u8]) -> Result<String> {
    Err(Error::new(ErrorKind::Unsupported, "PDF files need a build with the feature `pdf`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_in_several_encodings() {
        for (bytes, text, noted) in [
            ("grüße".as_bytes().to_vec(), "grüße", false),
            (b"\xef\xbb\xbfmarked".to_vec(), "marked", false),
            (b"\xff\xfeh\0i\0".to_vec(), "hi", true),
            (b"\xfe\xff\0h\0i".to_vec(), "hi", true),
            (b"caf\xe9 is nice".to_vec(), "caf\u{fffd} is nice", true),
        ] {
            let extracted = extract_text(&bytes, FileKind::Text).unwrap();
            assert_eq!((extracted.text.as_str(), extracted.note.is_some()), (text, noted));
        }
        assert_eq!(extract_text(b"\x7fELF\0\0", FileKind::Text).unwrap_err().kind(), ErrorKind::Decode);
        assert_eq!(extract_text(&[0xe9; 40], FileKind::Text).unwrap_err().kind(), ErrorKind::Decode);
    }

    #[test]
    fn html_becomes_text_with_headings() {
        let html = b"<html><head><title>T</title><style>p {color: red}</style><script>evil()</script></head><body><h1>Guide</h1>\
            <p>First <b>bold</b> words &amp; more.</p><h2>Start</h2><ul><li>one</li><li>two</li></ul></body></html>";
        let text = extract_text(html, FileKind::Html).unwrap().text;
        assert!(text.contains("# Guide") && text.contains("## Start"), "{text}");
        assert!(text.contains("words & more.") && text.contains("one"), "{text}");
        assert!(!text.contains("evil") && !text.contains("color"), "{text}");
    }

    #[test]
    fn deeply_nested_and_broken_html_is_survived() {
        let deep = |n: usize| "<div><p>".repeat(n) + "deep";
        assert!(extract_text(deep(900).as_bytes(), FileKind::Html).unwrap().text.contains("deep"));
        assert_eq!(extract_text(deep(1_000_000).as_bytes(), FileKind::Html).unwrap_err().kind(), ErrorKind::Decode);
        // Many unclosed paragraphs are bad style, not depth.
        assert!(extract_text("<p>more<br>".repeat(5000).as_bytes(), FileKind::Html).is_ok());
        for html in ["<p>open <b>never </i>closed", "<<<>>>&&&;", "</a></b>", ""] {
            assert!(extract_text(html.as_bytes(), FileKind::Html).is_ok(), "{html}");
        }
    }

    #[cfg(feature = "pdf")]
    #[test]
    fn pdf_text_and_damage() {
        let content = "BT /F1 12 Tf 72 720 Td (Hello from a page) Tj ET";
        let objects = [
            "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
            "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".into(),
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>".into(),
            format!("<< /Length {} >>\nstream\n{content}\nendstream", content.len()),
            "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".into(),
        ];
        let mut pdf = String::from("%PDF-1.4\n");
        let mut offsets = Vec::new();
        for (i, object) in objects.iter().enumerate() {
            offsets.push(pdf.len());
            pdf += &format!("{} 0 obj\n{object}\nendobj\n", i + 1);
        }
        let xref = pdf.len();
        pdf += "xref\n0 6\n0000000000 65535 f \n";
        for offset in offsets {
            pdf += &format!("{offset:010} 00000 n \n");
        }
        pdf += &format!("trailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n{xref}\n%%EOF\n");
        let extracted = extract_text(pdf.as_bytes(), FileKind::Pdf).unwrap();
        assert!(extracted.text.contains("Hello from a page"), "{:?}", extracted.text);
        assert!(extract_text(&pdf.as_bytes()[..200], FileKind::Pdf).is_err());
        assert!(extract_text(b"not a pdf", FileKind::Pdf).is_err());
    }

    #[cfg(not(feature = "pdf"))]
    #[test]
    fn pdf_needs_its_feature() {
        assert_eq!(extract_text(b"%PDF-1.4", FileKind::Pdf).unwrap_err().kind(), ErrorKind::Unsupported);
    }
}

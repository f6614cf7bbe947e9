use super::*;
use crate::embed::wordpiece::Piece;
use proptest::prelude::*;

fn bundled() -> StaticEmbedder {
    StaticEmbedder::bundled().unwrap()
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

fn similarity(a: &str, b: &str) -> f32 {
    dot(&bundled().embed_one(a).unwrap(), &bundled().embed_one(b).unwrap())
}

/// A file of two rows and sixteen dimensions.
fn small(bits: u32) -> Vec<u8> {
    let rows: Vec<u8> = (0..32 * bits as usize / 8).map(|i| (i * 37 + 11) as u8).collect();
    file(16, 2, bits, b"tiny", b"\x05hello\x03##s", &[0.5, 0.25], &rows)
}

fn file(dims: u32, rows: u32, bits: u32, name: &[u8], vocabulary: &[u8], scales: &[f32], data: &[u8]) -> Vec<u8> {
    let scales: Vec<u8> = scales.iter().flat_map(|s| s.to_le_bytes()).collect();
    let body = [name, vocabulary, &scales, data].concat();
    let mut out = MAGIC.to_vec();
    for n in [1, dims, rows, bits, name.len() as u32, vocabulary.len() as u32, 1.0f32.to_bits(), 0] {
        out.extend(n.to_le_bytes());
    }
    out.extend(checksum(&body).to_le_bytes());
    out.extend(body);
    out
}

#[test]
fn pieces_and_vectors_are_those_of_the_training_script() {
    let golden: serde_json::Value = serde_json::from_str(include_str!("static_golden.json")).unwrap();
    let embedder = bundled();
    let cases = golden.as_array().unwrap();
    assert!(cases.len() > 10);
    for case in cases {
        let text = case["text"].as_str().unwrap();
        let mut pieces = Vec::new();
        embedder.0.vocabulary.pieces(text, |p| {
            pieces.push(match p {
                Piece::Row(row) => embedder.0.vocabulary.token(row),
                Piece::Unknown(w) => format!("?{w}"),
                Piece::Ideographs(w) => format!("i{w}"),
                Piece::Symbol(w) => format!("s{w}"),
            });
        });
        let expected: Vec<&str> = case["pieces"].as_array().unwrap().iter().map(|p| p.as_str().unwrap()).collect();
        assert_eq!(pieces, expected, "{text:?}");
        let vector = embedder.embed_one(text).unwrap();
        if let Some(head) = case["head"].as_array() {
            for (i, x) in head.iter().enumerate() {
                assert!((f64::from(vector[i]) - x.as_f64().unwrap()).abs() < 2e-6, "{text:?} dimension {i}");
            }
        }
    }
}

/// The same bits on every machine: vectors are stored, and compared with later ones.
#[test]
fn vectors_are_the_same_bits_everywhere() {
    let texts = ["I went camping with my kids last weekend.", "Привет, мир!", "東京タワー", "🎉", "TNF-α at 37°C"];
    let mut h = 0xcbf2_9ce4_8422_2325u64;
    for text in texts {
        for x in bundled().embed_one(text).unwrap() {
            h = (h ^ u64::from(x.to_bits())).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    assert_eq!(h, EXPECTED_BITS, "0x{h:016x}");
}
const EXPECTED_BITS: u64 = 0x1156_bf8d_81a5_d258;

#[test]
fn meaning_is_found() {
    assert!(
        similarity("My dog is ill.", "The puppy is sick.")
            > similarity("My dog is ill.", "The stock market fell.") + 0.2
    );
    assert!(
        similarity("Where do I live?", "I moved to Berlin.") > similarity("Where do I live?", "I like pasta.") + 0.05
    );
}

#[test]
fn other_scripts_meet_themselves() {
    let near = similarity("Я живу в Москве", "Москва, где я живу");
    assert!(near > similarity("Я живу в Москве", "Сегодня хорошая погода") + 0.2, "{near}");
    assert!(similarity("我住在东京", "东京塔很高") > similarity("我住在东京", "今天天气很好") + 0.1);
    assert!(similarity("मैं दिल्ली में रहता हूँ", "दिल्ली में मौसम") > 0.2);
    for alone in ["🎉", "!", ".", "ß", "ก", "\u{301}a", "#", "…"] {
        bundled().embed_one(alone).unwrap();
    }
}

#[test]
fn nothing_to_read_is_an_error() {
    for text in ["", " ", "\n\t\r", "\u{200b}\u{feff}", "\0\u{7}", "\u{301}", "\u{fffd}"] {
        assert_eq!(bundled().embed_one(text).unwrap_err().kind(), ErrorKind::InvalidInput, "{text:?}");
    }
    let error = bundled().embed_batch(&["good", " "]).unwrap_err();
    assert!(error.message().contains("text 1 of 2"), "{error}");
    assert_eq!(bundled().embed_into("a", &mut [0.0; 3]).unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn rows_of_both_widths_are_read_as_documented() {
    for bits in [4u32, 8] {
        let bytes = small(bits);
        let data = bytes[bytes.len() - 32 * bits as usize / 8..].to_vec();
        let embedder = StaticEmbedder::from_bytes(bytes).unwrap();
        let value = |row: usize, dim: usize| match bits {
            8 => f64::from(data[row * 16 + dim] as i8),
            _ if dim < 8 => f64::from(data[row * 8 + dim] & 15) - 8.0,
            _ => f64::from(data[row * 8 + dim - 8] >> 4) - 8.0,
        };
        let sum: Vec<f64> = (0..16).map(|d| value(0, d) * 0.5 + value(1, d) * 0.25).collect();
        let length = sum.iter().map(|x| x * x).sum::<f64>().sqrt();
        let got = embedder.embed_one("Hellos").unwrap();
        for d in 0..16 {
            assert!((f64::from(got[d]) - sum[d] / length).abs() < 1e-6, "{bits} bits, dimension {d}");
        }
        assert_eq!((embedder.model(), embedder.dimensions()), ("tiny", 16));
    }
}

/// Rows that sum to nothing must not become a zero vector.
#[test]
fn a_text_whose_rows_cancel_still_has_a_vector() {
    let zeros = file(16, 2, 8, b"zero", b"\x01a\x01b", &[0.0, 0.0], &[0; 32]);
    let embedder = StaticEmbedder::from_bytes(zeros).unwrap();
    let (a, b) = (embedder.embed_one("a").unwrap(), embedder.embed_one("b").unwrap());
    assert!((dot(&a, &a) - 1.0).abs() < 1e-5);
    assert_ne!(a, b);
}

#[test]
fn a_damaged_file_is_a_typed_error_that_says_what() {
    let good = small(4);
    assert!(StaticEmbedder::from_bytes(good.clone()).is_ok());
    let message = |bytes: Vec<u8>| {
        let error = StaticEmbedder::from_bytes(bytes).unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Embedding, Some("bad_model_file")));
        error.message().to_owned()
    };
    assert!(message(Vec::new()).contains("magic"));
    assert!(message(good[..20].to_vec()).contains("header"));
    assert!(message(good[..good.len() - 1].to_vec()).contains("bytes; by its header"));
    for (at, value, word) in [
        (8, 2u32, "version"),
        (12, 17, "dimensions"),
        (12, 2048, "dimensions"),
        (16, 0, "rows"),
        (16, u32::MAX, "rows"),
        (20, 5, "bits"),
        (24, u32::MAX, "bytes"),
        (32, f32::NAN.to_bits(), "weight"),
    ] {
        let mut bad = good.clone();
        bad[at..at + 4].copy_from_slice(&value.to_le_bytes());
        assert!(message(bad).contains(word), "{word}");
    }
    let mut flipped = good.clone();
    flipped[60] ^= 1;
    assert!(message(flipped).contains("checksum"));
    for (name, vocabulary, scales, word) in [
        (&b"\xff"[..], &b"\x05hello\x03##s"[..], [0.5, 0.25], "UTF-8"),
        (b"", b"\x05hello\x03##s", [0.5, 0.25], "name"),
        (b"n", b"\x05hello\x09##s", [0.5, 0.25], "past"),
        (b"n", b"\x05hello", [0.5, 0.25], "ends at"),
        (b"n", b"\x05hello\x01a\x01b", [0.5, 0.25], "left"),
        (b"n", b"\x05hello\x05hello", [0.5, 0.25], "twice"),
        (b"n", b"\x05hello\x00", [0.5, 0.25], "empty"),
        (b"n", b"\x05hello\x03##s", [0.5, f32::INFINITY], "scale"),
    ] {
        assert!(message(file(16, 2, 4, name, vocabulary, &scales, &[0; 16])).contains(word), "{word}");
    }
    assert_eq!(StaticEmbedder::from_file("/nowhere/at/all").unwrap_err().kind(), ErrorKind::Storage);
}

proptest! {
    #[test]
    fn any_bytes_are_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(StaticEmbedder::from_bytes(bytes).is_err());
    }

    /// Changes anywhere, with the checksum made right again, so that the checks behind it are reached.
    #[test]
    fn changed_files_are_refused_or_usable(changes in proptest::collection::vec((8usize..96, any::<u8>()), 1..6), cut in 0usize..96) {
        let mut bytes = small(4);
        for (at, value) in changes {
            if at < bytes.len() { bytes[at] = value; }
        }
        if cut > HEADER && cut % 3 == 0 { bytes.truncate(cut); }
        let sum = checksum(&bytes[HEADER..]);
        bytes[40..48].copy_from_slice(&sum.to_le_bytes());
        if let Ok(embedder) = StaticEmbedder::from_bytes(bytes) {
            let v = embedder.embed_one("hellos world").unwrap();
            prop_assert!((dot(&v, &v) - 1.0).abs() < 1e-3);
        }
    }

    #[test]
    fn any_text_has_a_unit_vector_or_nothing_in_it(text in "\\PC{0,80}|[a-zA-Z .,'!?]{0,200}|[\u{400}-\u{4ff}\u{4e00}-\u{4eff} ]{0,40}") {
        match bundled().embed_one(&text) {
            Ok(v) => {
                prop_assert_eq!(v.len(), 256);
                prop_assert!((dot(&v, &v) - 1.0).abs() < 1e-3);
                prop_assert_eq!(v, bundled().embed_one(&text).unwrap());
            }
            Err(e) => {
                prop_assert_eq!(e.kind(), ErrorKind::InvalidInput);
                prop_assert!(!text.chars().any(char::is_alphanumeric));
            }
        }
    }

    /// A sum does not care about order.
    #[test]
    fn the_order_of_words_hardly_matters(words in proptest::collection::vec("[a-z]{1,8}", 1..12)) {
        let mut back = words.clone();
        back.reverse();
        let (a, b) = (bundled().embed_one(&words.join(" ")).unwrap(), bundled().embed_one(&back.join(" ")).unwrap());
        prop_assert!(dot(&a, &b) > 0.9999);
    }
}

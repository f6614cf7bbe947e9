use super::*;
use proptest::prelude::*;

const SMALL: ChunkOptions = ChunkOptions { max_chars: 60, overlap: 12, sentence_window: 25 };

fn texts(text: &str, kind: FileKind, options: &ChunkOptions) -> Vec<String> {
    chunk(text, kind, options).into_iter().map(|c| c.text).collect()
}

#[test]
fn sentences_stay_whole_where_they_can() {
    let text =
        "The harbour was quiet when we came. Nobody spoke for a while. Then my sister laughed at it. We went home.";
    let chunks = texts(text, FileKind::Text, &ChunkOptions { overlap: 0, ..SMALL });
    assert_eq!(
        chunks,
        [
            "The harbour was quiet when we came.",
            "Nobody spoke for a while. Then my sister laughed at it.",
            "We went home."
        ]
    );
}

#[test]
fn headings_are_borders_and_titles() {
    let text = "intro\n\n# A\n\n## B\n\ntext of b\n\n```sh\n# no heading\n```\n\n### C ##\nc\n\n## D\nd\n# E\ne\n";
    let found: Vec<(Option<String>, u32, u32)> = chunk(text, FileKind::Markdown, &ChunkOptions::default())
        .into_iter()
        .map(|c| (c.heading, c.line_from, c.line_to))
        .collect();
    let heading = |s: &str| Some(s.to_owned());
    assert_eq!(
        found,
        [
            (None, 1, 1),
            (heading("A > B"), 3, 11),
            (heading("A > B > C"), 13, 14),
            (heading("A > D"), 16, 17),
            (heading("E"), 18, 19),
        ]
    );
}

#[test]
fn code_is_cut_between_definitions_and_keeps_its_indentation() {
    let text = "fn one() {\n    let a = 1;\n    work(a);\n}\n\nfn two() {\n    let b = 2;\n    work(b);\n}\n\nfn three() {\n    done();\n}\n";
    let chunks = chunk(text, FileKind::Code, &ChunkOptions { max_chars: 60, overlap: 0, sentence_window: 25 });
    let found: Vec<(&str, u32, u32)> =
        chunks.iter().map(|c| (c.heading.as_deref().unwrap(), c.line_from, c.line_to)).collect();
    assert_eq!(found, [("fn one()", 1, 4), ("fn two()", 6, 9), ("fn three()", 11, 13)]);
    assert_eq!(
        texts("\n\t..", FileKind::Code, &ChunkOptions { max_chars: 2, overlap: 0, sentence_window: 2 }),
        ["\t.", "."]
    );
    let nested = texts("    a\n    b\n", FileKind::Code, &ChunkOptions::default());
    assert_eq!(nested, ["    a\n    b"]);
}

#[test]
fn chunks_overlap_within_a_section() {
    let text: String = (0..40).map(|i| format!("Sentence number {i} is here. ")).collect();
    let chunks = chunk(&text, FileKind::Text, &ChunkOptions { max_chars: 200, overlap: 60, sentence_window: 60 });
    assert!(chunks.len() > 4);
    for pair in chunks.windows(2) {
        assert!(pair[1].start < pair[0].end, "an overlap");
        assert!(pair[1].text.starts_with("Sentence"), "at a sentence: {}", pair[1].text);
    }
}

#[test]
fn characters_stay_whole() {
    let family = "👨‍👩‍👧‍👦";
    let text = family.repeat(20);
    for chunk in texts(&text, FileKind::Text, &ChunkOptions { max_chars: 10, overlap: 0, sentence_window: 3 }) {
        assert_eq!(chunk, family);
    }
    let chinese = "昨天晚上我们去河边散步。弟弟说他要换工作。妈妈有点担心。".repeat(5);
    let chunks = texts(&chinese, FileKind::Text, &SMALL);
    assert!(chunks.iter().rev().skip(1).all(|c| c.ends_with('。')));
}

#[test]
fn nothing_gives_nothing() {
    for text in ["", " ", "\n\n\t\n"] {
        assert!(chunk(text, FileKind::Text, &ChunkOptions::default()).is_empty());
        assert!(chunk(text, FileKind::Code, &ChunkOptions::default()).is_empty());
    }
    let one = chunk("x", FileKind::Text, &ChunkOptions { max_chars: 0, overlap: 9, sentence_window: 0 });
    assert_eq!(one.len(), 1);
    assert!(ChunkOptions { max_chars: 0, ..ChunkOptions::default() }.validate().is_err());
    assert!(ChunkOptions { max_chars: 10, overlap: 6, sentence_window: 1 }.validate().is_err());
    assert!(ChunkOptions::default().validate().is_ok());
}

#[test]
fn a_long_line_without_spaces_takes_linear_time() {
    let text = "x".repeat(300_000);
    let chunks = chunk(&text, FileKind::Code, &ChunkOptions::default());
    assert!((300..400).contains(&chunks.len()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_holds_of_every_text_and_size(
        text in prop_oneof![
            "\\PC{0,300}",
            "([a-zé日👍🏽#`~ ]{0,12}[ .!?\n。\t]{0,3}){0,60}",
            "(    )?((fn|def|#|##|```|[a-z]{1,9})[ \n{}();]{1,3}){0,80}",
        ],
        kind in prop::sample::select(vec![FileKind::Markdown, FileKind::Code, FileKind::Text, FileKind::Data, FileKind::Html]),
        max_chars in 0usize..80, overlap in 0usize..80, sentence_window in 0usize..80,
    ) {
        let chunks = chunk(&text, kind, &ChunkOptions { max_chars, overlap, sentence_window });
        let mut covered = 0;
        for c in &chunks {
            prop_assert_eq!(&c.text, &text[c.start..c.end]);
            prop_assert!(c.text.chars().count() <= max_chars.max(1), "size");
            prop_assert!(!c.text.trim().is_empty());
            prop_assert!(c.end > covered, "each goes further than the last");
            prop_assert!(c.start <= covered || text[covered..c.start].trim().is_empty(), "nothing is left out");
            covered = c.end;
            let line = |at: usize| 1 + text.as_bytes()[..at].iter().filter(|b| **b == b'\n').count() as u32;
            prop_assert_eq!((c.line_from, c.line_to), (line(c.start), line(c.end - 1)));
        }
        prop_assert!(text[covered..].trim().is_empty(), "covered to the end");
        prop_assert!(chunks.windows(2).all(|w| w[0].start < w[1].start), "in order");
    }
}

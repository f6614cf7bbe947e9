//! What every [`Embedder`] has to do, as one call.

use crate::embed::Embedder;
use crate::error::{ErrorKind, Result};
use futures::future::join_all;

/// Cosine that two vectors of the same text must reach: batches are padded differently, and servers round.
const SAME: f32 = 0.999;

const TEXTS: [&str; 8] = [
    "I moved to Berlin in the spring of 2021.",
    "My sister is allergic to peanuts.",
    "How do I sort a vector in Rust?",
    "The cell membrane is selectively permeable.",
    "ok",
    "Das Wetter ist heute schön, nicht wahr?",
    "Привет, как дела?",
    "東京は日本の首都です。",
];

const UNICODE: [&str; 10] = [
    "naïve café — “quoted”…",
    "cafe\u{301}",
    "👩‍👩‍👧‍👦 family 🎉",
    "नमस्ते दुनिया",
    "مرحبا بالعالم",
    "สวัสดีชาวโลก",
    "한국어 문장입니다",
    "a\u{200d}b \u{feff}c",
    "line one\nline two\r\n\ttabbed",
    "zero\u{0}byte \u{fffd}",
];

/// Checks an embedder against the contract of [`Embedder`] and returns every breach, in words.
///
/// It embeds some 250 short texts and one of 60,000 characters, in batches, one by one and concurrently. It asserts nothing
/// about meaning.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let embedder = syntra_core::embed::StaticEmbedder::bundled().unwrap();
/// syntra_core::testing::embedder_conformance(&embedder).await.unwrap();
/// # });
/// ```
///
/// # Errors
/// The list of breaches, at least one.
pub async fn embedder_conformance(embedder: &dyn Embedder) -> Result<(), Vec<String>> {
    let mut suite = Suite { embedder, breaches: Vec::new() };
    suite.names().await;
    suite.batches().await;
    suite.empty_texts().await;
    suite.unusual_texts().await;
    suite.many_texts().await;
    suite.concurrency().await;
    if suite.breaches.is_empty() { Ok(()) } else { Err(suite.breaches) }
}

struct Suite<'a> {
    embedder: &'a dyn Embedder,
    breaches: Vec<String>,
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

impl Suite<'_> {
    fn check(&mut self, holds: bool, breach: impl FnOnce() -> String) {
        if !holds {
            self.breaches.push(breach());
        }
    }

    fn sound(&mut self, what: &str, vector: &[f32]) {
        let (dimensions, length) = (self.embedder.dimensions(), dot(vector, vector).sqrt());
        self.check(vector.len() == dimensions, || format!("{what}: {} numbers, not {dimensions}", vector.len()));
        self.check((length - 1.0).abs() < 1e-3, || format!("{what}: length {length}, not 1"));
    }

    /// The vectors of `texts`, checked one by one; `None` and a breach when there are none.
    async fn embed(&mut self, what: &str, texts: &[&str]) -> Option<Vec<Vec<f32>>> {
        match self.embedder.embed(texts).await {
            Err(error) => {
                self.breaches.push(format!("{what}: {error}"));
                None
            }
            Ok(vectors) => {
                let got = vectors.len();
                self.check(got == texts.len(), || format!("{what}: {got} vectors for {} texts", texts.len()));
                for (vector, text) in vectors.iter().zip(texts) {
                    self.sound(&format!("{what}, {:?}", text.chars().take(40).collect::<String>()), vector);
                }
                (got == texts.len()).then_some(vectors)
            }
        }
    }

    async fn names(&mut self) {
        self.check(!self.embedder.model().is_empty(), || "the model has no name".to_owned());
        self.check(self.embedder.dimensions() > 0, || "the model has no dimensions".to_owned());
        let none = self.embedder.embed(&[]).await;
        self.check(matches!(&none, Ok(v) if v.is_empty()), || format!("no texts: {none:?}, not an empty list"));
    }

    async fn batches(&mut self) {
        let Some(batch) = self.embed("a batch", &TEXTS).await else { return };
        let Some(again) = self.embed("the batch again", &TEXTS).await else { return };
        let reversed: Vec<&str> = TEXTS.iter().rev().copied().collect();
        let Some(reversed) = self.embed("the batch reversed", &reversed).await else { return };
        for (i, text) in TEXTS.iter().enumerate() {
            self.check(dot(&batch[i], &again[i]) > SAME, || format!("{text:?}: another vector the second time"));
            let turned = &reversed[TEXTS.len() - 1 - i];
            self.check(dot(&batch[i], turned) > SAME, || {
                format!("{text:?}: another vector in another place of the batch")
            });
            if let Some(single) = self.embed("alone", &[text]).await {
                self.check(dot(&batch[i], &single[0]) > SAME, || {
                    format!("{text:?}: another vector alone than in a batch")
                });
            }
            for (j, other) in TEXTS.iter().enumerate().take(i) {
                self.check(dot(&batch[i], &batch[j]) < SAME, || format!("{text:?} and {other:?}: the same vector"));
            }
        }
        if let Some(twice) = self.embed("a text twice", &["twice", "between", "twice"]).await {
            self.check(dot(&twice[0], &twice[2]) > SAME, || "a text twice in a batch: two vectors".to_owned());
        }
        match self.embedder.embed_query("Where do I live?").await {
            Ok(vector) => self.sound("a question", &vector),
            Err(error) => self.breaches.push(format!("a question: {error}")),
        }
    }

    async fn empty_texts(&mut self) {
        for text in ["", " ", " \n\t "] {
            let outcomes = [
                self.embedder.embed(&[text]).await.map(|_| ()),
                self.embedder.embed(&["a good text", text]).await.map(|_| ()),
                self.embedder.embed_query(text).await.map(|_| ()),
            ];
            for (how, outcome) in ["alone", "after a good text", "as a question"].iter().zip(outcomes) {
                let kind = outcome.err().map(|e| e.kind());
                let typed = matches!(kind, Some(ErrorKind::InvalidInput | ErrorKind::Embedding));
                self.check(typed, || {
                    format!("the empty text {text:?} {how}: {kind:?}, not invalid_input or embedding")
                });
            }
        }
    }

    async fn unusual_texts(&mut self) {
        self.embed("unusual text", &UNICODE).await;
        let long = "all work and no play makes Jack a dull boy ".repeat(1400);
        match self.embedder.embed(&[&long]).await {
            Ok(vectors) => match vectors.first() {
                Some(vector) => self.sound("a long text", vector),
                None => self.breaches.push("a long text: no vector".to_owned()),
            },
            Err(error) => {
                use ErrorKind::{BadRequest, ContextTooLong, Embedding, InvalidInput};
                let typed = matches!(error.kind(), InvalidInput | ContextTooLong | BadRequest | Embedding);
                self.check(typed, || format!("a long text: {error}, neither a vector nor an error about the text"));
            }
        }
    }

    /// More texts than most servers take at once.
    async fn many_texts(&mut self) {
        let texts: Vec<String> = (0..150).map(|i| format!("Note number {i}: {}", TEXTS[i % TEXTS.len()])).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let Some(vectors) = self.embed("many texts", &texts).await else { return };
        for i in [0, 1, 74, 99, 100, 127, 128, 149] {
            if let Some(single) = self.embed("one of many", &[texts[i]]).await {
                self.check(dot(&vectors[i], &single[0]) > SAME, || format!("text {i} of 150: not its own vector"));
            }
        }
    }

    async fn concurrency(&mut self) {
        let Some(expected) = self.embed("a batch", &TEXTS).await else { return };
        let calls = (0..4 * TEXTS.len()).map(|i| {
            let (embedder, text) = (self.embedder, TEXTS[i % TEXTS.len()]);
            async move { embedder.embed(&[text]).await }
        });
        let outcomes = join_all(calls).await;
        for (i, outcome) in outcomes.into_iter().enumerate() {
            let right =
                matches!(&outcome, Ok(v) if v.first().is_some_and(|v| dot(v, &expected[i % TEXTS.len()]) > SAME));
            self.check(right, || format!("concurrent call {i}: not the vector of its text ({:?})", outcome.err()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embed::StaticEmbedder;
    use crate::error::Error;
    use async_trait::async_trait;

    #[tokio::test]
    async fn the_static_embedder_conforms() {
        embedder_conformance(&StaticEmbedder::bundled().unwrap()).await.unwrap();
    }

    /// Breaks one rule, to see that the suite has teeth.
    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Fault {
        None,
        Length,
        Dimension,
        Order,
        Count,
        EmptyAllowed,
        ZeroForEmpty,
        Position,
        Query,
    }

    #[derive(Debug)]
    struct Faulty(StaticEmbedder, Fault);

    #[async_trait]
    impl Embedder for Faulty {
        fn model(&self) -> &str {
            "faulty"
        }
        fn dimensions(&self) -> usize {
            self.0.dimensions()
        }
        async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
            let mut out = Vec::new();
            for (i, text) in texts.iter().enumerate() {
                let text = match (self.1, text.trim()) {
                    (Fault::EmptyAllowed, "") => "empty",
                    (Fault::ZeroForEmpty, "") => {
                        out.push(vec![0.0; self.dimensions()]);
                        continue;
                    }
                    (Fault::Position, text) => &format!("{i} {text}"),
                    (_, text) => text,
                };
                out.push(self.0.embed_one(text)?);
            }
            match self.1 {
                Fault::Length => out.iter_mut().flatten().for_each(|x| *x *= 1.01),
                Fault::Dimension => out.iter_mut().for_each(|v| v.truncate(255)),
                Fault::Order => out.sort_by(|a, b| a[0].total_cmp(&b[0])),
                Fault::Count => out.truncate(100),
                _ => {}
            }
            Ok(out)
        }
        async fn embed_query(&self, text: &str) -> Result<Vec<f32>> {
            match self.1 {
                Fault::Query => Err(Error::new(ErrorKind::Unsupported, "no questions")),
                _ => self.embed(&[text]).await.map(|mut v| v.remove(0)),
            }
        }
    }

    #[tokio::test]
    async fn every_fault_is_found() {
        use Fault::*;
        let bundled = StaticEmbedder::bundled().unwrap();
        embedder_conformance(&Faulty(bundled.clone(), None)).await.unwrap();
        for fault in [Length, Dimension, Order, Count, EmptyAllowed, ZeroForEmpty, Position, Query] {
            let breaches = embedder_conformance(&Faulty(bundled.clone(), fault)).await;
            assert!(breaches.is_err(), "{fault:?} was not found");
        }
    }
}

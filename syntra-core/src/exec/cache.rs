//! Answers that were given before: to the same request, or, where the host wants it, to a question that means the same.
//!
//! Only a whole answer that ended in good order is kept ([`FinishReason::Stop`] or [`FinishReason::ToolCalls`]), and only while its time
//! lasts. A hit is a stream like any other, marked, and free: nothing is sent, nothing is billed, and it says nothing about the
//! health of the model.
//!
//! An answer belongs to the user for whom it was given and is gone when that user is erased, also when the erasure comes while
//! the answer is on its way.

mod semantic;

pub use semantic::{CacheScope, SemanticCacheOptions};

use super::CallKey;
use crate::chat::{Event, EventStream, FinishReason, Request, Scope, Usage};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use futures::{Stream, StreamExt as _};
use semantic::Semantic;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

/// The most bytes of one answer that are kept.
const MOST_BYTES: usize = 1 << 20;
/// Text is kept in pieces of about this many bytes, so that a replayed stream is still one.
const PIECE: usize = 256;

/// Keeps exact answers: for how long, and how many bytes of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseCacheOptions {
    /// How long an answer is given again.
    pub ttl: Duration,
    /// The most bytes of answers that are kept; those least used go first.
    pub max_bytes: u64,
}

impl Default for ResponseCacheOptions {
    /// 5 minutes, 64 MiB.
    fn default() -> Self {
        Self { ttl: Duration::from_secs(300), max_bytes: 64 << 20 }
    }
}

/// Keeps answers. Cheap to clone; clones share what they keep.
///
/// The key of an exact answer holds the organisation, the provider and the whole request: model, persona, memories, conversation,
/// tools, sampling. Users of one organisation share answers to requests that are the same to the letter. Sampling is no exception: at a
/// temperature above 0 and without a seed an answer is one of many, and a cache gives that one again; a host that wants another asks
/// with the cache off.
#[derive(Clone, Debug)]
pub struct ResponseCache(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    exact: Option<moka::sync::Cache<CallKey, Arc<Stored>>>,
    ttl: Duration,
    semantic: Option<Semantic>,
    clock: Arc<dyn Clock>,
    /// Counts erasures: what began before one is not kept after it.
    erasures: AtomicU64,
}

/// A kept answer.
#[derive(Debug)]
struct Stored {
    events: Vec<Event>,
    bytes: usize,
    owner: Scope,
    until: Duration,
}

/// What a question means, for the semantic cache.
#[derive(Clone, Debug, PartialEq)]
pub struct Meaning {
    /// The question's vector, of length 1.
    pub vector: Vec<f32>,
    /// What has to be the same to the letter, whatever the vectors say: numbers, names, quotations, negations; see [`Meaning::new`].
    pub exactly: Vec<String>,
}

/// How an answer was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CacheHit {
    /// The similarity of the questions, where it was found by meaning; `None` for the same request.
    pub similarity: Option<f32>,
}

/// Where an answer is looked for, and where it will be kept.
#[derive(Clone, Debug)]
pub struct CachePlace {
    exact: CallKey,
    semantic: Option<(CallKey, Meaning)>,
    owner: Scope,
    erasures: u64,
}

impl ResponseCache {
    /// A cache of exact answers, of answers by meaning, or both.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] naming the option that makes no sense.
    pub fn new(
        exact: Option<ResponseCacheOptions>,
        semantic: Option<SemanticCacheOptions>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let wrong = |what: &str| Err(Error::new(ErrorKind::Config, what.to_owned()));
        if exact.is_some_and(|o| o.ttl.is_zero() || o.max_bytes == 0) {
            return wrong("response_cache: ttl and max_bytes must be more than 0; leave it out for no cache");
        }
        let kept = exact.map(|options| {
            moka::sync::Cache::builder()
                .max_capacity(options.max_bytes)
                .weigher(|_, stored: &Arc<Stored>| u32::try_from(stored.bytes).unwrap_or(u32::MAX))
                // Frees what nobody asks for; whether an answer is still good is said by our own clock.
                .time_to_live(options.ttl.min(Duration::from_secs(365 * 24 * 3_600)))
                .support_invalidation_closures()
                .build()
        });
        let semantic = semantic.map(Semantic::new).transpose()?;
        let ttl = exact.map_or(Duration::ZERO, |options| options.ttl);
        Ok(Self(Arc::new(Inner { exact: kept, ttl, semantic, clock, erasures: AtomicU64::new(0) })))
    }

    /// Whether answers are found by meaning, for which a question's [`Meaning`] is needed.
    pub fn by_meaning(&self) -> bool {
        self.0.semantic.is_some()
    }

    /// The place of the answer to `request` for `scope`, given `question`, the meaning of its last message, where that may be answered by
    /// meaning. A request with tools is not.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when the request cannot be serialised.
    pub fn place(
        &self,
        scope: &Scope,
        provider: &str,
        request: &Request,
        question: Option<&Meaning>,
    ) -> Result<CachePlace> {
        let exact = CallKey::new(scope, provider, request, false)?;
        let semantic = match (&self.0.semantic, question) {
            (Some(semantic), Some(meaning)) => {
                semantic.group(scope, provider, request, meaning)?.map(|group| (group, meaning.clone()))
            }
            _ => None,
        };
        let erasures = self.0.erasures.load(Ordering::SeqCst);
        Ok(CachePlace { exact, semantic, owner: scope.clone(), erasures })
    }

    /// The answer at `place`, as a stream, if there is one.
    pub fn get(&self, place: &CachePlace) -> Option<(EventStream, CacheHit)> {
        let now = self.0.clock.monotonic();
        let exact = self.0.exact.as_ref().and_then(|cache| cache.get(&place.exact)).filter(|s| now < s.until);
        if let Some(stored) = exact {
            return Some((replay(stored), CacheHit { similarity: None }));
        }
        let (semantic, (group, meaning)) = (self.0.semantic.as_ref()?, place.semantic.as_ref()?);
        let (stored, similarity) = semantic.nearest(group, &meaning.vector, now)?;
        Some((replay(stored), CacheHit { similarity: Some(similarity) }))
    }

    /// `upstream`, whose answer is kept at `place` when it has come to its end in good order. A stream that is dropped before, that fails
    /// or that the model did not end itself leaves nothing behind.
    pub fn filling(&self, place: CachePlace, upstream: EventStream) -> EventStream {
        let stored = Some(Recording { events: Vec::new(), bytes: 0, place });
        Filling { upstream, cache: self.clone(), stored }.boxed()
    }

    /// Forgets every answer that was given to `scope`.
    pub fn erase(&self, scope: &Scope) {
        // First, so that what is on its way is not kept after what is there is gone.
        self.0.erasures.fetch_add(1, Ordering::SeqCst);
        if let Some(cache) = &self.0.exact {
            let owner = scope.clone();
            // The predicate runs as entries are met; a lookup never returns one that it condemns.
            let _ = cache.invalidate_entries_if(move |_, stored| stored.owner == owner);
        }
        if let Some(semantic) = &self.0.semantic {
            semantic.erase(scope);
        }
    }

    fn keep(&self, recording: Recording) {
        let Recording { events, bytes, place } = recording;
        if self.0.erasures.load(Ordering::SeqCst) != place.erasures {
            return;
        }
        let now = self.0.clock.monotonic();
        let stored = |ttl: Duration| {
            Arc::new(Stored {
                events: events.clone(),
                bytes,
                owner: place.owner.clone(),
                until: now.saturating_add(ttl),
            })
        };
        if let (Some(semantic), Some((group, meaning))) = (&self.0.semantic, place.semantic) {
            semantic.keep(group, meaning.vector, stored(semantic.ttl()), now);
        }
        if let Some(cache) = &self.0.exact {
            cache.insert(place.exact, stored(self.0.ttl));
        }
        // An erasure that came in between has seen the place before it was filled.
        if self.0.erasures.load(Ordering::SeqCst) != place.erasures {
            self.erase(&place.owner);
        }
    }
}

impl Meaning {
    /// What `question`, whose vector is `vector`, means. Vectors of "turn it on" and "do not turn it on", or of "in 2024" and "in 2025",
    /// are nearly the same: words with a digit, in quotation marks or with a capital inside the sentence, and negations, have to be
    /// the same, too.
    pub fn new(question: &str, vector: Vec<f32>) -> Self {
        const NEGATIONS: [&str; 12] =
            ["no", "not", "never", "without", "none", "nor", "neither", "cannot", "nothing", "nobody", "except", "un"];
        let mut exactly = Vec::new();
        let mut quoted = false;
        for (place, word) in question.split_whitespace().enumerate() {
            let quote = |c: char| matches!(c, '"' | '\u{201c}' | '\u{201d}' | '`' | '\u{ab}' | '\u{bb}');
            let marks = word.chars().filter(|c| quote(*c)).count();
            let bare = word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
            let name = place > 0 && word.chars().any(char::is_uppercase) && bare != "i" && !bare.starts_with("i'");
            let negation = NEGATIONS.contains(&bare.as_str()) || bare.ends_with("n't") || bare.ends_with("n\u{2019}t");
            if quoted || marks > 0 || name || negation || word.chars().any(|c| c.is_ascii_digit() || c.is_numeric()) {
                exactly.push(bare);
            }
            quoted ^= marks % 2 == 1;
        }
        exactly.retain(|word| !word.is_empty());
        exactly.sort_unstable();
        let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        let vector = if length > 0.0 { vector.into_iter().map(|x| x / length).collect() } else { vector };
        Self { vector, exactly }
    }
}

/// A kept answer as a stream. It consumes nothing, and says so.
fn replay(stored: Arc<Stored>) -> EventStream {
    futures::stream::unfold((stored, 0_usize), |(stored, place)| async move {
        let event = stored.events.get(place)?.clone();
        Some((Ok(event), (stored, place + 1)))
    })
    .boxed()
}

#[derive(Debug)]
struct Recording {
    events: Vec<Event>,
    bytes: usize,
    place: CachePlace,
}

impl Recording {
    /// Whether there is room for `event`.
    fn push(&mut self, event: &Event) -> bool {
        self.bytes += weight(event);
        if self.bytes > MOST_BYTES {
            return false;
        }
        match (self.events.last_mut(), event) {
            // The usage of an answer that is given again is nothing.
            (_, Event::Usage(_)) => {}
            (Some(Event::Text { text }), Event::Text { text: more }) if text.len() < PIECE => text.push_str(more),
            _ => self.events.push(event.clone()),
        }
        true
    }
}

/// About how many bytes an event takes.
fn weight(event: &Event) -> usize {
    let words = match event {
        Event::Text { text } | Event::Refusal { text } => text.len(),
        Event::Reasoning { text, opaque } => text.len() + opaque.as_ref().map_or(0, |o| o.to_string().len()),
        Event::ToolCall(call) => call.name.len() + call.arguments.to_string().len() + 64,
        Event::Citation(citation) => {
            citation.url.len()
                + citation.title.as_deref().map_or(0, str::len)
                + citation.snippet.as_deref().map_or(0, str::len)
        }
        _ => 64,
    };
    words + size_of::<Event>() / 4
}

/// A stream that is kept when it is whole.
struct Filling {
    upstream: EventStream,
    cache: ResponseCache,
    stored: Option<Recording>,
}

impl Stream for Filling {
    type Item = Result<Event>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Poll::Ready(item) = self.upstream.poll_next_unpin(cx) else { return Poll::Pending };
        match &item {
            Some(Ok(event)) => {
                let room = self.stored.as_mut().is_none_or(|recording| recording.push(event));
                if !room {
                    self.stored = None;
                }
                if let Event::Finish { reason } = event
                    && let Some(mut recording) = self.stored.take()
                    && matches!(reason, FinishReason::Stop | FinishReason::ToolCalls)
                    && recording.events.iter().any(Event::is_content)
                {
                    let mut nothing = Usage::default();
                    (nothing.input_tokens, nothing.output_tokens) = (Some(0), Some(0));
                    let end = recording.events.len().saturating_sub(1);
                    recording.events.insert(end, Event::Usage(nothing));
                    self.cache.keep(recording);
                }
            }
            Some(Err(_)) | None => self.stored = None,
        }
        Poll::Ready(item)
    }
}

#[cfg(test)]
mod tests;

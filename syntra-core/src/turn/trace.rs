//! Why a turn did what it did.

use super::Escalation;
use crate::chat::{NanoDollars, Usage};
use crate::context::{ContextLine, Dropped, Section};
use crate::error::Error;
use crate::exec::AttemptRecord;
use crate::memory::{MemoryType, RerankReport, StrategyReport};
use crate::query::QueryAnalysis;
use crate::router::Plan;
use crate::search::{Signal, Strategy};
use crate::thread::ThreadSummary;
use crate::tools::ToolRun;
use jiff::Timestamp;
use serde::Serialize;
use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Everything that a turn decided, and why. [`Trace::explain`] says it in words.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Trace {
    /// The turn.
    pub turn_id: String,
    /// The thread it belongs to.
    pub thread_id: String,
    /// When the question came.
    pub started_at: Timestamp,
    /// What was understood of the question; `None` where it went to a model alone, without memory.
    pub analysis: Option<QueryAnalysis>,
    /// The question as it was searched for, where that differs from what was asked.
    pub rewritten: Option<String>,
    /// What was recalled, best first.
    pub recalled: Vec<TracedMemory>,
    /// What each strategy found and how long it took.
    pub strategies: Vec<StrategyReport>,
    /// What became of reading the best of them again, where a [`crate::search::Reranker`] is set.
    pub rerank: Option<RerankReport>,
    /// What is older in the thread than the messages that were read back word for word.
    pub summary: Option<ThreadSummary>,
    /// The lines of the context and where they are from.
    pub context: Vec<ContextLine>,
    /// What was left out of the context, and why.
    pub dropped: Vec<Dropped>,
    /// Tokens by section.
    pub tokens: Vec<(Section, usize)>,
    /// Tokens of the prompt in all, and the counter's name.
    pub prompt_tokens: usize,
    /// The tokenizer that counted, and whether it is the model's own.
    pub counter: Option<(String, bool)>,
    /// The models considered, and why they stand where they stand.
    pub plan: Option<Plan>,
    /// The calls made.
    pub attempts: Vec<AttemptRecord>,
    /// Answers that were no good, and who was asked instead.
    pub escalations: Vec<Escalation>,
    /// Calls of the assistant's own tools.
    pub tools: Vec<ToolRun>,
    /// Consumption over all attempts.
    pub usage: Usage,
    /// Cost over all attempts; `None` when a price is unknown.
    pub cost: Option<NanoDollars>,
    /// True when the answer was extracted from memory.
    pub degraded: bool,
    /// How the turn failed, if it did.
    pub error: Option<Error>,
    /// Steps that failed while the turn went on: recall or saving, in words.
    pub warnings: Vec<String>,
    /// Where the time went.
    pub spans: Vec<Span>,
    /// The question as it was routed.
    #[serde(skip)]
    pub(crate) question: String,
    /// Whether a score for it was learned from.
    #[serde(skip)]
    pub(crate) scored: Arc<AtomicBool>,
}

/// A recalled memory with its score.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TracedMemory {
    /// Its id.
    pub id: String,
    /// Its type.
    pub kind: MemoryType,
    /// The beginning of its text.
    pub snippet: String,
    /// Where it is from: a document with lines, or a conversation.
    pub source: Option<String>,
    /// Its rank score, the sum of the parts.
    pub score: f32,
    /// What each signal contributed.
    pub parts: Vec<(Signal, f32)>,
    /// The strategies that found it.
    pub found_by: Vec<Strategy>,
}

/// A phase of a turn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Span {
    /// The phase: `setup`, `query_analysis`, `retrieval`, `retrieval.embed` and so on, `context_building`, `planning`,
    /// `llm`, `llm.first_token`, `tools`, `save_response`.
    pub name: Cow<'static, str>,
    /// Microseconds from the beginning of the turn to that of the phase.
    pub start_us: u64,
    /// How long it took, in microseconds.
    pub elapsed_us: u64,
}

impl Trace {
    pub(crate) fn new(turn_id: String, thread_id: String, started_at: Timestamp) -> Self {
        Self {
            turn_id,
            thread_id,
            started_at,
            analysis: None,
            rewritten: None,
            recalled: Vec::new(),
            strategies: Vec::new(),
            rerank: None,
            summary: None,
            context: Vec::new(),
            dropped: Vec::new(),
            tokens: Vec::new(),
            prompt_tokens: 0,
            counter: None,
            plan: None,
            attempts: Vec::new(),
            escalations: Vec::new(),
            tools: Vec::new(),
            usage: Usage::default(),
            cost: Some(NanoDollars::ZERO),
            degraded: false,
            error: None,
            warnings: Vec::new(),
            spans: Vec::new(),
            question: String::new(),
            scored: Arc::default(),
        }
    }

    pub(crate) fn span(&mut self, name: impl Into<Cow<'static, str>>, start: Duration, elapsed: Duration) {
        let micros = |d: Duration| u64::try_from(d.as_micros()).unwrap_or(u64::MAX);
        self.spans.push(Span { name: name.into(), start_us: micros(start), elapsed_us: micros(elapsed) });
    }

    /// The time that the phase `name` took.
    pub fn elapsed(&self, name: &str) -> Option<Duration> {
        self.spans.iter().find(|s| s.name == name).map(|s| Duration::from_micros(s.elapsed_us))
    }

    /// The trace in words, for a person.
    pub fn explain(&self) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = self.write_explanation(&mut out);
        out
    }

    fn write_explanation(&self, out: &mut String) -> std::fmt::Result {
        if let Some(analysis) = &self.analysis {
            writeln!(
                out,
                "Understood: {:?}, keywords {:?}, entities {:?}",
                analysis.intent, analysis.keywords, analysis.entities
            )?;
            if let Some(time) = &analysis.time {
                writeln!(out, "  time: {:?} is {} to {}", time.phrase, time.from, time.to)?;
            }
        }
        if let Some(rewritten) = &self.rewritten {
            writeln!(out, "  searched as: {rewritten}")?;
        }
        writeln!(out, "Recalled {} memories, left {} out of the prompt", self.recalled.len(), self.dropped.len())?;
        for memory in self.recalled.iter().take(8) {
            let parts: Vec<String> = memory.parts.iter().map(|(s, v)| format!("{s:?} {v:+.2}")).collect();
            writeln!(
                out,
                "  {:.3} {} ({})",
                memory.score,
                memory.source.as_deref().unwrap_or(&memory.id),
                parts.join(", ")
            )?;
        }
        for line in self.context.iter().filter(|line| line.section == Section::Entities) {
            writeln!(out, "  known of {} (from {})", line.text.as_deref().unwrap_or(""), line.sources.join(", "))?;
        }
        if let Some(summary) = &self.summary {
            writeln!(out, "Summary of the first {} messages of the thread:", summary.covered)?;
            for line in summary.text.iter().flat_map(|text| text.lines()).take(4) {
                writeln!(out, "  {line}")?;
            }
        }
        for dropped in self.dropped.iter().take(4) {
            writeln!(out, "  left out: {:?} of {} tokens, {}", dropped.section, dropped.tokens, dropped.reason)?;
        }
        if let Some((counter, exact)) = &self.counter {
            writeln!(out, "Prompt: {} tokens ({})", self.prompt_tokens, if *exact { counter } else { "estimated" })?;
        }
        if let Some(plan) = &self.plan {
            writeln!(out, "Models considered for {} ({:.0} % sure):", plan.intent.as_str(), plan.confidence * 100.0)?;
            for candidate in &plan.candidates {
                let cost = candidate.estimated_cost.map_or("price unknown".to_owned(), |c| format!("about {c}"));
                writeln!(out, "  {:?} {}: {cost}; {}", candidate.standing, candidate.target, candidate.reason)?;
            }
        }
        for attempt in &self.attempts {
            let how = match (&attempt.error, attempt.first_token_ms) {
                (Some(kind), _) => format!("failed, {kind}: {}", attempt.message.as_deref().unwrap_or("")),
                (None, Some(ms)) => format!("answered, first token after {ms} ms, all after {} ms", attempt.elapsed_ms),
                (None, None) => format!("answered without content after {} ms", attempt.elapsed_ms),
            };
            let shared = if attempt.shared { " (shared with an identical call)" } else { "" };
            let hedge = if attempt.hedge { " beside the one before" } else { "" };
            let resumed = if attempt.resumed { " to go on" } else { "" };
            match (attempt.cached, attempt.similarity) {
                (false, _) => writeln!(out, "Called {}{hedge}{resumed}{shared}: {how}", attempt.target)?,
                (true, None) => writeln!(out, "Answered by {} before, to the same request", attempt.target)?,
                (true, Some(s)) => writeln!(out, "Answered by {} before, to a like question ({s:.3})", attempt.target)?,
            }
        }
        for Escalation { from, to, why } in &self.escalations {
            writeln!(out, "The answer of {from} was {}: {to} was asked instead", why.as_str())?;
        }
        for run in &self.tools {
            match &run.error {
                None => writeln!(out, "Ran the tool {}: {} ms", run.name, run.elapsed_ms)?,
                Some(error) => writeln!(out, "Ran the tool {}: failed after {} ms, {error}", run.name, run.elapsed_ms)?,
            }
        }
        if self.degraded {
            writeln!(out, "No model answered: the text was extracted from memory")?;
        }
        match self.cost {
            Some(cost) => writeln!(out, "Cost: {cost}")?,
            None => writeln!(out, "Cost: unknown (a price is not in the catalogue)")?,
        }
        for warning in &self.warnings {
            writeln!(out, "Warning: {warning}")?;
        }
        let spans: Vec<String> =
            self.spans.iter().map(|s| format!("{} {:.1} ms", s.name, s.elapsed_us as f64 / 1000.0)).collect();
        writeln!(out, "Time: {}", spans.join(", "))
    }
}

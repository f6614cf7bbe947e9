//! The hard constraints: what keeps a model from being tried at all.

use super::{CandidateReport, ModelInfo, RouteQuery, Target, TargetHealth};
use crate::error::{Error, ErrorKind};
use jiff::civil::Date;
use std::collections::BTreeMap;

/// A query with what follows from it.
pub(super) struct Ask<'a> {
    pub(super) query: &'a RouteQuery,
    pub(super) today: Date,
    /// The caller insists on one model: its health and its end are then the caller's business.
    pub(super) pinned: bool,
    /// Output tokens that are expected.
    pub(super) output: u64,
}

/// Why a candidate is not tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Exclusion {
    NotPinned,
    Forbidden,
    Residency,
    NoVision,
    NoTools,
    NoJsonSchema,
    NoReasoning,
    Window,
    MaxInput,
    MaxOutput,
    TooDear,
    PriceUnknown,
    Retired,
    CoolingDown,
}

impl Ask<'_> {
    /// The first constraint that `target`, known as `info`, does not meet.
    pub(super) fn exclusion(&self, target: &Target, info: &ModelInfo, health: &TargetHealth) -> Option<Exclusion> {
        let query = self.query;
        let needs = &query.needs;
        if !query.policies.permits(target) {
            return Some(Exclusion::Forbidden);
        }
        if !query.policies.resides(target, &query.regions) {
            return Some(Exclusion::Residency);
        }
        // Pictures sent to a model that is not known to see them are lost or an error, so not known is not enough here.
        if needs.vision && info.vision() != Some(true) {
            return Some(Exclusion::NoVision);
        }
        if needs.tools && info.tools == Some(false) {
            return Some(Exclusion::NoTools);
        }
        if needs.json_schema && info.json_schema == Some(false) {
            return Some(Exclusion::NoJsonSchema);
        }
        if needs.reasoning && info.reasoning == Some(false) {
            return Some(Exclusion::NoReasoning);
        }
        let needed = query.input_tokens.saturating_add(query.output_tokens);
        if info.context_window.is_some_and(|window| needed > window) {
            return Some(Exclusion::Window);
        }
        if info.max_input.is_some_and(|most| query.input_tokens > most) {
            return Some(Exclusion::MaxInput);
        }
        if info.max_output.is_some_and(|most| query.output_tokens > most) {
            return Some(Exclusion::MaxOutput);
        }
        if let Some(most) = query.cost_limit() {
            // The answer may become as long as the room that is kept for it.
            let longest = query.output_tokens.max(self.output);
            match info.price.estimate(query.input_tokens, longest) {
                None => return Some(Exclusion::PriceUnknown),
                Some(cost) if cost > most => return Some(Exclusion::TooDear),
                Some(_) => {}
            }
        }
        if !self.pinned && info.is_retired(self.today) {
            return Some(Exclusion::Retired);
        }
        if !self.pinned && !health.available {
            return Some(Exclusion::CoolingDown);
        }
        None
    }

    /// Whether something is asked that `info` is not known to do.
    pub(super) fn is_unsure(&self, info: &ModelInfo) -> bool {
        let needs = &self.query.needs;
        needs.tools && info.tools.is_none()
            || needs.json_schema && info.json_schema.is_none()
            || needs.reasoning && info.reasoning.is_none()
    }
}

impl Exclusion {
    /// Why, in one sentence.
    pub(super) fn sentence(self, info: &ModelInfo, query: &RouteQuery) -> String {
        let window = info.context_window.unwrap_or(0);
        let (input, output) = (query.input_tokens, query.output_tokens);
        match self {
            Self::NotPinned => format!("the caller insists on {}", query.pinned.as_deref().unwrap_or("another model")),
            Self::Forbidden => "a policy does not allow it".into(),
            Self::Residency => "a policy keeps the data in regions in which it is not known to be".into(),
            Self::NoVision if info.vision().is_none() => "is not known to see pictures".into(),
            Self::NoVision => "cannot see pictures".into(),
            Self::NoTools => "cannot call tools".into(),
            Self::NoJsonSchema => "cannot follow a JSON schema".into(),
            Self::NoReasoning => "does not reason".into(),
            Self::Window => format!(
                "its window of {window} tokens is too small for {input} of prompt and {output} kept for the answer"
            ),
            Self::MaxInput => {
                format!("takes at most {} tokens of prompt; there are {input}", info.max_input.unwrap_or(0))
            }
            Self::MaxOutput => {
                format!(
                    "answers with at most {} tokens; {output} are to be kept for the answer",
                    info.max_output.unwrap_or(0)
                )
            }
            Self::TooDear => {
                let cost = info.price.estimate(input, output).unwrap_or_default();
                format!("may cost {cost}; the most allowed is {}", query.cost_limit().unwrap_or_default())
            }
            Self::PriceUnknown => {
                format!(
                    "its price is not known, so the limit of {} cannot be kept",
                    query.cost_limit().unwrap_or_default()
                )
            }
            Self::Retired => {
                let day = info.deprecated_on.map(|d| d.to_string()).unwrap_or_default();
                format!("its provider retired it on {day}")
            }
            Self::CoolingDown => "failed several times in a row and is left alone for a while".into(),
        }
    }

    /// The constraint as what no candidate meets.
    fn heading(self) -> &'static str {
        match self {
            Self::NotPinned => "the caller insists on another model",
            Self::Forbidden => "a policy does not allow",
            Self::Residency => "the data may not leave its regions for",
            Self::NoVision => "pictures are not seen by",
            Self::NoTools => "tools are not called by",
            Self::NoJsonSchema => "a JSON schema is not followed by",
            Self::NoReasoning => "reasoning is not done by",
            Self::Window | Self::MaxInput => "the prompt is too long for",
            Self::MaxOutput => "the answer may become too long for",
            Self::TooDear => "the most allowed cost is passed by",
            Self::PriceUnknown => "the most allowed cost cannot be kept without the price of",
            Self::Retired => "no longer served is",
            Self::CoolingDown => "failing at the moment is",
        }
    }

    /// The error when nothing is left: what each constraint took away.
    pub(super) fn error(excluded: &[(CandidateReport, Exclusion)], query: &RouteQuery) -> Error {
        let mut groups: BTreeMap<(Exclusion, &str), Vec<String>> = BTreeMap::new();
        for (report, exclusion) in excluded.iter().filter(|(_, e)| *e != Self::NotPinned) {
            groups.entry((*exclusion, exclusion.heading())).or_default().push(report.target.to_string());
        }
        let parts: Vec<String> = groups
            .iter()
            .map(|((exclusion, heading), names)| {
                let detail = match exclusion {
                    Self::Window | Self::MaxInput => {
                        let largest = excluded.iter().filter_map(|(r, _)| r.context_window).max().unwrap_or(0);
                        let (input, output) = (query.input_tokens, query.output_tokens);
                        format!(" ({input} tokens and {output} for the answer; the largest window has {largest})")
                    }
                    Self::TooDear | Self::PriceUnknown => format!(" ({})", query.cost_limit().unwrap_or_default()),
                    _ => String::new(),
                };
                let more = if names.len() > 6 { format!(" and {} more", names.len() - 6) } else { String::new() };
                let names: Vec<&str> = names.iter().map(String::as_str).take(6).collect();
                format!("{heading} {}{more}{detail}", names.join(", "))
            })
            .collect();
        // A model that is only cooling down could answer: that passes, and is no lack of ability.
        let passes = groups.keys().any(|(exclusion, _)| *exclusion == Self::CoolingDown);
        let kind = if passes { ErrorKind::Overloaded } else { ErrorKind::Unsupported };
        Error::new(kind, format!("no model can take this request: {}", parts.join("; ")))
    }
}

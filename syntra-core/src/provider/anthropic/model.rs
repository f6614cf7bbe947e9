//! What a Claude model of a given name accepts. The API refuses fields that a model does not know, so the encoder has to.

/// How a model is told to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Thinking {
    /// It cannot.
    Never,
    /// `thinking: {type: enabled, budget_tokens}`.
    Budget,
    /// `thinking: {type: adaptive}` and `output_config.effort`.
    Adaptive,
    /// As [`Thinking::Adaptive`], and it cannot be told not to.
    Always,
}

/// What a model accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Traits {
    /// How it is told to think.
    pub(super) thinking: Thinking,
    /// Whether it takes `temperature` and `top_p`.
    pub(super) sampling: bool,
    /// Whether it takes `output_config.format`.
    pub(super) json_schema: bool,
    /// Whether it goes on from the assistant's own words at the end of a conversation, while it is not made to think.
    pub(super) prefill: bool,
    /// What `max_tokens` becomes when the request does not say: the field is required.
    pub(super) max_tokens: u32,
}

/// The traits of `model`, from its family and version. Names that are no Claude's (other servers speak this dialect too) get what
/// such servers commonly know.
pub(super) fn traits(model: &str) -> Traits {
    let unknown =
        Traits { thinking: Thinking::Budget, sampling: true, json_schema: true, prefill: false, max_tokens: 8192 };
    let Some((_, name)) = model.rsplit_once("claude-") else { return unknown };
    // Families that think always and came without a plain version at first.
    let always = name.starts_with("fable") || name.starts_with("mythos");
    let mut numbers = name
        .split(|c: char| !c.is_ascii_alphanumeric())
        .skip_while(|t| t.parse::<u32>().is_err())
        .map_while(|t| t.parse::<u32>().ok().filter(|n| *n < 100));
    let version = match (numbers.next(), numbers.next()) {
        (Some(major), minor) => (major, minor.unwrap_or(0)),
        (None, _) if always => (5, 0),
        // `claude-instant` and the like are older than versions in names.
        (None, _) => (1, 0),
    };
    Traits {
        thinking: match version {
            _ if always => Thinking::Always,
            (4, 6..) | (5.., _) => Thinking::Adaptive,
            (3, 7..) | (4, _) => Thinking::Budget,
            _ => Thinking::Never,
        },
        sampling: !always && version < (4, 7),
        json_schema: always || version >= (4, 5) || (version == (4, 1) && name.starts_with("opus")),
        prefill: !always && version < (4, 6),
        max_tokens: match version {
            (..=2, _) | (3, ..=4) => 4096,
            (3 | 4, _) if version < (4, 6) => 8192,
            _ => 16384,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_and_versions() {
        use Thinking::*;
        for (model, prefill) in [
            ("claude-3-haiku-20240307", true),
            ("claude-opus-4-5-20251101", true),
            ("anthropic/claude-sonnet-4.5", true),
            ("claude-sonnet-4-6", false),
            ("claude-fable-5-1", false),
            ("some-other-model", false),
        ] {
            assert_eq!(traits(model).prefill, prefill, "{model}");
        }
        for (model, thinking, sampling, json_schema) in [
            ("claude-2.1", Never, true, false),
            ("claude-instant-1.2", Never, true, false),
            ("claude-3-haiku-20240307", Never, true, false),
            ("claude-3-5-sonnet-20241022", Never, true, false),
            ("claude-3-7-sonnet-latest", Budget, true, false),
            ("claude-sonnet-4-20250514", Budget, true, false),
            ("claude-sonnet-4-0", Budget, true, false),
            ("claude-opus-4-1-20250805", Budget, true, true),
            ("claude-haiku-4-5-20251001", Budget, true, true),
            ("us.anthropic.claude-opus-4-6-v1", Adaptive, true, true),
            ("anthropic/claude-sonnet-4.6", Adaptive, true, true),
            ("claude-opus-4-7", Adaptive, false, true),
            ("claude-sonnet-5", Adaptive, false, true),
            ("claude-haiku-5-5", Adaptive, false, true),
            ("claude-fable-5-1", Always, false, true),
            ("claude-mythos-preview", Always, false, true),
            ("some-other-model-4-7", Budget, true, true),
        ] {
            let t = traits(model);
            assert_eq!((t.thinking, t.sampling, t.json_schema), (thinking, sampling, json_schema), "{model}");
        }
    }
}

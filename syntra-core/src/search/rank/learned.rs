//! The default ranker's weights, written by `benches/scripts/learn_ranker.py`; see `docs/ranking.md`. Learned from:
//!
//! - beam_100k: 106 questions
//! - cosqa: 253 questions
//! - locomo: 1018 questions
//! - longmemeval_s_500c: 198 questions
//! - musique_train100: 100 questions
//! - scifact: 300 questions

use super::SignalWeights;

pub(super) const PEOPLE: SignalWeights = SignalWeights {
    keyword: 0.115,
    vector: 0.284,
    window_keyword: 0.123,
    window_vector: 0.193,
    conversation: 0.285,
    graph: 0.951,
    exact: 0.05,
    entity: 0.0,
    time: 0.16,
    time_cue: 0.287,
    speaker: 0.128,
    length: 0.365,
    is_question: -0.106,
    asked: 0.161,
    earlier: 0.137,
    user_said: 0.0,
    recency: 0.15,
    reliability: 0.05,
    frequency: 0.02,
};

pub(super) const ASSISTANT: SignalWeights = SignalWeights {
    keyword: 0.245,
    vector: 0.525,
    window_keyword: 0.0,
    window_vector: 0.0,
    conversation: 0.23,
    graph: 1.024,
    exact: 0.177,
    entity: 0.096,
    time: 0.155,
    time_cue: 0.13,
    speaker: 0.07,
    length: 0.0,
    is_question: -0.022,
    asked: 0.0,
    earlier: 0.0,
    user_said: 0.269,
    recency: 0.15,
    reliability: 0.05,
    frequency: 0.02,
};

pub(super) const DOCUMENTS: SignalWeights = SignalWeights {
    keyword: 0.303,
    vector: 0.488,
    window_keyword: 0.0,
    window_vector: 0.0,
    conversation: 0.209,
    graph: 1.109,
    exact: 0.21,
    entity: 0.0,
    time: 0.1,
    time_cue: 0.093,
    speaker: 0.07,
    length: 0.032,
    is_question: -0.083,
    asked: 0.0,
    earlier: 0.0,
    user_said: 0.0,
    recency: 0.15,
    reliability: 0.05,
    frequency: 0.02,
};

pub(super) const STATEMENTS: SignalWeights = SignalWeights {
    keyword: 0.519,
    vector: 0.265,
    window_keyword: 0.0,
    window_vector: 0.0,
    conversation: 0.216,
    graph: 0.849,
    exact: 0.0,
    entity: 0.0,
    time: 0.1,
    time_cue: 0.1,
    speaker: 0.07,
    length: 0.0,
    is_question: -0.083,
    asked: 0.0,
    earlier: 0.0,
    user_said: 0.0,
    recency: 0.15,
    reliability: 0.05,
    frequency: 0.02,
};

pub(super) const CODE: SignalWeights = SignalWeights {
    keyword: 0.616,
    vector: 0.384,
    window_keyword: 0.0,
    window_vector: 0.0,
    conversation: 0.0,
    graph: 0.927,
    exact: 0.0,
    entity: 0.0,
    time: 0.1,
    time_cue: 0.1,
    speaker: 0.07,
    length: 0.0,
    is_question: -0.08,
    asked: 0.0,
    earlier: 0.0,
    user_said: 0.0,
    recency: 0.15,
    reliability: 0.05,
    frequency: 0.02,
};

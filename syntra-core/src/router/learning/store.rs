//! What was learned, as JSON and back.

use super::features::{DIMENSIONS, Point};
use super::repeats::{GENERATION, Key, SUMS, Seen};
use super::topics::{MODELS, Outcomes, Signs, Sum, TOPICS, Topic, is_centre};
use crate::error::{Error, Result};
use crate::router::{Intent, Target};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// The version of the format and of the points in it: another embedder or another form is another version.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Stored {
    version: u32,
    outcomes: u64,
    surprise: (f32, f32),
    models: Vec<StoredModel>,
    topics: Vec<StoredTopic>,
    #[serde(default)]
    repeats: Vec<(Key, Vec<Seen>)>,
}

#[derive(Serialize, Deserialize)]
struct StoredModel {
    target: Target,
    by_intent: Vec<(Intent, Sum)>,
    #[serde(default)]
    signs: Signs,
}

#[derive(Serialize, Deserialize)]
struct StoredTopic {
    /// Base64 of little-endian 16-bit numbers.
    centre: String,
    questions: f32,
    last: u64,
    sums: Vec<(u16, Sum)>,
}

pub(super) fn write(outcomes: &Outcomes) -> Option<serde_json::Value> {
    let models =
        outcomes.targets.iter().zip(&outcomes.by_intent).zip(&outcomes.signs).map(|((target, sums), signs)| {
            let seen = Intent::ALL.into_iter().zip(sums.iter().copied()).filter(|(_, sum)| sum.n > 0.0);
            StoredModel { target: target.clone(), by_intent: seen.collect(), signs: *signs }
        });
    let topics = outcomes.topics.iter().map(|topic| {
        let bytes: Vec<u8> = topic.centre.iter().flat_map(|x| x.to_le_bytes()).collect();
        let Topic { questions, last, sums, .. } = topic;
        StoredTopic { centre: STANDARD.encode(bytes), questions: *questions, last: *last, sums: sums.clone() }
    });
    let stored = Stored {
        version: VERSION,
        outcomes: outcomes.count,
        surprise: outcomes.surprise,
        models: models.collect(),
        topics: topics.collect(),
        repeats: outcomes.repeats.all().map(|(key, seen)| (key, seen.clone())).collect(),
    };
    serde_json::to_value(stored).ok()
}

pub(super) fn read(learned: &serde_json::Value) -> Result<Outcomes> {
    let bad = |what: &str| Error::invalid(format!("this is not what a router learned: {what}"));
    let stored = Stored::deserialize(learned).map_err(|e| bad(&e.to_string()))?;
    if stored.version != VERSION {
        return Err(bad(&format!("format {}, this library reads {VERSION}", stored.version)));
    }
    if stored.models.len() > MODELS || stored.topics.len() > TOPICS || stored.repeats.len() > 2 * GENERATION {
        return Err(bad(&format!("more than {MODELS} models, {TOPICS} topics or {} questions", 2 * GENERATION)));
    }
    let (sum, of) = stored.surprise;
    if !(sum.is_finite() && (0.0..1e9).contains(&of) && sum.abs() <= of + 1.0) {
        return Err(bad("the sum of surprises is no number that can be"));
    }
    let mut outcomes = Outcomes { surprise: stored.surprise, count: stored.outcomes, ..Outcomes::default() };
    for model in stored.models {
        let place = outcomes.place(&model.target).map(usize::from);
        match place.and_then(|place| outcomes.signs.get_mut(place)) {
            Some(signs) if model.signs.is_sound() => *signs = model.signs,
            _ => return Err(bad(&format!("the signs of {} cannot be", model.target))),
        }
        let sums = place.and_then(|place| outcomes.by_intent.get_mut(place)).ok_or_else(|| bad("too many models"))?;
        for (intent, sum) in model.by_intent {
            let at = Intent::ALL.iter().position(|i| *i == intent);
            match at.and_then(|at| sums.get_mut(at)) {
                Some(slot) if sum.is_sound() => *slot = sum,
                _ => return Err(bad(&format!("a sum of {} cannot be", model.target))),
            }
        }
    }
    for topic in stored.topics {
        let bytes = STANDARD.decode(&topic.centre).map_err(|e| bad(&format!("a centre is not base64: {e}")))?;
        let numbers: Vec<i16> = bytes.as_chunks::<2>().0.iter().map(|b| i16::from_le_bytes(*b)).collect();
        let centre: Box<Point> = numbers
            .try_into()
            .map(Box::new)
            .map_err(|_| bad(&format!("a centre has {} bytes, not {}", bytes.len(), 2 * DIMENSIONS)))?;
        let known = |place: &u16| usize::from(*place) < outcomes.targets.len();
        let sound = is_centre(&centre)
            && topic.questions.is_finite()
            && topic.questions >= 1.0
            && topic.sums.iter().all(|(place, sum)| known(place) && sum.is_sound());
        if !sound {
            return Err(bad("a topic cannot be"));
        }
        let StoredTopic { questions, last, sums, .. } = topic;
        outcomes.keep(Topic { centre, questions, last, sums });
    }
    if stored.repeats.iter().map(|(_, seen)| seen.len()).sum::<usize>() > 2 * (SUMS + MODELS) {
        return Err(bad("too many sums of single questions"));
    }
    for (key, seen) in stored.repeats {
        let known = |seen: &Seen| usize::from(seen.place) < outcomes.targets.len();
        if seen.len() > MODELS || !seen.iter().all(|seen| known(seen) && seen.is_sound()) {
            return Err(bad("what is known of a question cannot be"));
        }
        outcomes.repeats.keep(key, seen);
    }
    Ok(outcomes)
}

//! What one organisation's outcomes say: small sums by topic, by intent and by model.

use super::features::{DIMENSIONS, Point, UNIT, cosine, nearest, quantised};
use super::repeats::{Key, Repeats, Seen};
use crate::router::{Intent, QuickHash, Sign, Target};
use crate::search::scan_i8;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Topics of an organisation. More tell finer questions apart and take longer to go through; from here on it helped little.
pub(super) const TOPICS: usize = 512;
/// Models of an organisation that are learned of; the outcomes of further ones are not kept.
pub(super) const MODELS: usize = 256;
/// A question this like a topic belongs to it.
const SAME_TOPIC: f32 = 0.7;
/// A question less like any topic than this deserves one of its own even when another must go for it.
const NEW_TOPIC: f32 = 0.4;
/// How fast the weight of a topic falls with its distance beyond that of the nearest.
const BANDWIDTH: f32 = 0.05;
/// Beyond this distance a topic weighs less than a hundredth of the nearest.
const NEGLIGIBLE: f32 = 4.6 * BANDWIDTH;
/// The nearest topic counts in full from this likeness on.
const NEAR: f32 = 0.5;
/// Outcomes that the general is worth against the particular: the prior against the model's own, those against its own for the
/// intent, and those against its own for questions like this one.
const PRIOR_WEIGHT: f32 = 8.0;
const MODEL_WEIGHT: f32 = 8.0;
const INTENT_WEIGHT: f32 = 4.0;
/// How much is hoped for beyond what is expected of a model that was never tried on such a question, as quality; it falls with the square
/// root of its outcomes. Without it a good model that had bad luck is never asked again.
const HOPE: f32 = 0.25;
/// Outcomes after which a sum forgets half, so that a model that has changed is seen to.
const FULL_TOPIC: f32 = 128.0;
const FULL_INTENT: f32 = 4_096.0;

/// Outcomes added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Sum {
    /// How many.
    pub n: f32,
    /// Their scores.
    pub score: f32,
    /// What those with a known price cost, in dollars.
    pub cost: f32,
    /// What these were expected to cost.
    pub expected: f32,
}

impl Sum {
    fn add(&mut self, other: &Sum, weight: f32) {
        self.n += weight * other.n;
        self.score += weight * other.score;
        self.cost += weight * other.cost;
        self.expected += weight * other.expected;
    }

    /// Adds one outcome; forgets half when there are `full`.
    fn learn(&mut self, outcome: &Sum, full: f32) {
        if self.n >= full {
            let half = *self;
            self.add(&half, -0.5);
        }
        self.add(outcome, 1.0);
    }

    fn mean(&self, general: f32, weight: f32) -> f32 {
        (self.score + weight * general) / (self.n + weight)
    }

    /// Every number is one, and none is negative.
    pub(super) fn is_sound(&self) -> bool {
        [self.n, self.score, self.cost, self.expected].iter().all(|x| x.is_finite() && (0.0..1e9).contains(x))
    }
}

/// Questions that are alike.
#[derive(Clone, Debug)]
pub(super) struct Topic {
    pub centre: Box<Point>,
    /// Questions that it was made of.
    pub questions: f32,
    /// When the last of them came, counted in outcomes.
    pub last: u64,
    /// By place of the model.
    pub sums: Vec<(u16, Sum)>,
}

/// How much of the quality a model is thought to lose when all of its answers are no good and none of the others'; a score weighs as much as
/// it says, a sign at the most this.
const SIGN_WORTH: f32 = 0.5;
const SIGN_MOST: f32 = 0.15;
/// Answers of the usual kind that a model's own signs are shrunk by, and after how many half is forgotten.
const SIGN_WEIGHT: f32 = 20.0;
const FULL_SIGNS: f32 = 1_024.0;

/// Answers without a score, and how many of them were no good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Signs {
    pub answers: f32,
    pub bad: f32,
}

impl Signs {
    fn learn(&mut self, sign: Sign) {
        if self.answers >= FULL_SIGNS {
            *self = Self { answers: self.answers / 2.0, bad: self.bad / 2.0 };
        }
        match sign {
            Sign::Fine => self.answers += 1.0,
            // Who asks again may only be curious; the answer was counted when it was given.
            Sign::AskedAgain => self.bad = (self.bad + 0.5).min(self.answers),
            _ => *self = Self { answers: self.answers + 1.0, bad: self.bad + 1.0 },
        }
    }

    /// The share that was no good, with `more` answers of which `rate` are.
    fn rate(&self, rate: f32, more: f32) -> f32 {
        (self.bad + rate * more) / (self.answers + more)
    }

    pub(super) fn is_sound(&self) -> bool {
        (0.0..1e6).contains(&self.answers) && (0.0..=self.answers).contains(&self.bad)
    }
}

/// Points rounded to 8 bits, to be gone through quickly.
#[derive(Clone, Debug, Default)]
pub(super) struct Codes {
    numbers: Vec<i8>,
    /// What one of a point's numbers is worth, as cosine.
    worth: Vec<f32>,
}

impl Codes {
    /// Sets the point at `place`, which is at the most one beyond the last.
    fn set(&mut self, place: usize, point: &Point) {
        let (numbers, worth) = rounded(point);
        if place >= self.worth.len() {
            self.numbers.extend_from_slice(&numbers);
            self.worth.push(worth);
        } else if let Some(row) = self.numbers.chunks_exact_mut(DIMENSIONS).nth(place) {
            row.copy_from_slice(&numbers);
            self.worth.get_mut(place).into_iter().for_each(|w| *w = worth);
        }
    }

    /// The cosine of each point with `point`, to about .002.
    fn cosines(&self, point: &Point) -> Vec<f32> {
        let (numbers, worth) = rounded(point);
        let mut out = Vec::with_capacity(self.worth.len());
        let sum = numbers.iter().map(|x| i32::from(*x)).sum();
        scan_i8(&self.numbers, DIMENSIONS, &numbers, sum, &mut |_, dots| {
            out.extend(dots.iter().map(|dot| *dot as f32 * worth));
        });
        out.iter_mut().zip(&self.worth).for_each(|(cosine, worth)| *cosine *= worth);
        out
    }
}

/// `point` as numbers of -127 to 127, and what one of them is worth.
fn rounded(point: &Point) -> ([i8; DIMENSIONS], f32) {
    let largest = f32::from(point.iter().map(|x| x.unsigned_abs()).max().unwrap_or(0)).max(1.0);
    (point.map(|x| nearest(f32::from(x) * 127.0 / largest) as i8), largest / 127.0 / UNIT)
}

/// What is known from the outcomes of one organisation.
#[derive(Clone, Debug, Default)]
pub(super) struct Outcomes {
    pub targets: Vec<Target>,
    pub places: HashMap<Target, u16, QuickHash>,
    /// For each model, by intent.
    pub by_intent: Vec<[Sum; Intent::ALL.len()]>,
    /// For each model, what shows without a score.
    pub signs: Vec<Signs>,
    pub topics: Vec<Topic>,
    /// The topics' centres, rounded, one after another.
    pub codes: Codes,
    /// Single questions, for when they are asked again.
    pub repeats: Repeats,
    /// By how much the scores differ from what was expected before any: the sum, and of how many.
    pub surprise: (f32, f32),
    /// Outcomes so far.
    pub count: u64,
}

fn place_of(intent: Intent) -> usize {
    Intent::ALL.iter().position(|i| *i == intent).unwrap_or(0)
}

impl Outcomes {
    /// The place of `target`, which gets one if there is room.
    pub(super) fn place(&mut self, target: &Target) -> Option<u16> {
        if let Some(place) = self.places.get(target) {
            return Some(*place);
        }
        let place = u16::try_from(self.targets.len()).ok().filter(|p| usize::from(*p) < MODELS)?;
        self.targets.push(target.clone());
        self.by_intent.push(Default::default());
        self.signs.push(Signs::default());
        self.places.insert(target.clone(), place);
        Some(place)
    }

    /// Learns that `target`, of which `prior` was expected, did so on the question at `point`.
    pub(super) fn learn(
        &mut self,
        (key, point): (Key, Option<&Point>),
        intent: Intent,
        target: &Target,
        prior: f32,
        outcome: &Sum,
    ) {
        let Some(place) = self.place(target) else { return };
        self.count += 1;
        if self.surprise.1 >= FULL_INTENT {
            self.surprise = (self.surprise.0 / 2.0, self.surprise.1 / 2.0);
        }
        self.surprise = (self.surprise.0 + outcome.score - prior, self.surprise.1 + 1.0);
        if let Some(sum) = self.by_intent.get_mut(usize::from(place)).and_then(|s| s.get_mut(place_of(intent))) {
            sum.learn(outcome, FULL_INTENT);
        }
        let Some(point) = point else { return };
        self.repeats.learn(key, place, outcome.score);
        let Some(topic) = self.topic(point) else { return };
        match topic.sums.iter_mut().find(|(p, _)| *p == place) {
            Some((_, sum)) => sum.learn(outcome, FULL_TOPIC),
            None => topic.sums.push((place, *outcome)),
        }
    }

    /// Learns what an answer of `target` came to without anybody saying it.
    pub(super) fn sign(&mut self, target: &Target, sign: Sign) {
        let place = self.place(target).map(usize::from);
        if let Some(signs) = place.and_then(|place| self.signs.get_mut(place)) {
            signs.learn(sign);
        }
    }

    /// Adds a topic that was kept.
    pub(super) fn keep(&mut self, topic: Topic) {
        self.codes.set(self.topics.len(), &topic.centre);
        self.topics.push(topic);
    }

    /// The topic of a question, moved a little towards it; a new one where none is like it.
    fn topic(&mut self, point: &Point) -> Option<&mut Topic> {
        let nearest = self.codes.cosines(point).into_iter().enumerate().max_by(|a, b| a.1.total_cmp(&b.1));
        let fresh = Topic { centre: Box::new(*point), questions: 1.0, last: self.count, sums: Vec::new() };
        let room = self.topics.len() < TOPICS;
        match nearest {
            Some((at, likeness)) if likeness >= SAME_TOPIC || !room && likeness >= NEW_TOPIC => {
                let topic = self.topics.get_mut(at)?;
                topic.last = self.count;
                // The same question again, answered by another model, does not move it.
                if cosine(&topic.centre, point) < 0.9999 {
                    topic.questions = (topic.questions + 1.0).min(64.0);
                    let mut moved = [0f32; super::features::DIMENSIONS];
                    for ((out, old), new) in moved.iter_mut().zip(topic.centre.iter()).zip(point) {
                        *out = f32::from(*old) + (f32::from(*new) - f32::from(*old)) / topic.questions;
                    }
                    *topic.centre = quantised(&moved);
                    self.codes.set(at, &topic.centre);
                }
                Some(topic)
            }
            _ if room => {
                self.codes.set(self.topics.len(), point);
                self.topics.push(fresh);
                self.topics.last_mut()
            }
            _ => {
                // What was asked about least lately makes room.
                let (at, stale) = self.topics.iter_mut().enumerate().min_by_key(|(_, t)| t.last)?;
                *stale = fresh;
                self.codes.set(at, point);
                Some(stale)
            }
        }
    }

    /// What this says of a question of `intent` at `point`.
    pub(super) fn view(&self, key: Option<Key>, point: Option<&Point>, intent: Intent) -> View<'_> {
        let mut near = vec![Sum::default(); self.targets.len()];
        if let Some(point) = point {
            let likeness = self.codes.cosines(point);
            let best = likeness.iter().copied().fold(0.0, f32::max);
            let trust = (best / NEAR).min(1.0).powi(2);
            for (topic, likeness) in self.topics.iter().zip(likeness) {
                if likeness > best - NEGLIGIBLE {
                    let weight = trust * ((likeness - best) / BANDWIDTH).exp();
                    for (place, sum) in &topic.sums {
                        if let Some(near) = near.get_mut(usize::from(*place)) {
                            near.add(sum, weight);
                        }
                    }
                }
            }
        }
        let intent = place_of(intent);
        let of_intent = self.by_intent.iter().filter_map(|s| s.get(intent)).map(|s| s.n).sum();
        let sum = |sum: Signs, s: &Signs| Signs { answers: sum.answers + s.answers, bad: sum.bad + s.bad };
        let usual = self.signs.iter().fold(Signs::default(), sum).rate(0.05, SIGN_WEIGHT);
        let same = key.map_or(&[][..], |key| self.repeats.of(key));
        View { outcomes: self, near, same, intent, of_intent, usual }
    }
}

/// What an organisation's outcomes say of one question.
pub(in crate::router) struct View<'a> {
    outcomes: &'a Outcomes,
    /// By place of the model: outcomes of questions like this one.
    near: Vec<Sum>,
    /// What the models made of this very question.
    same: &'a [Seen],
    intent: usize,
    of_intent: f32,
    /// The share of all answers without a score that were no good.
    usual: f32,
}

/// What is expected of a model for a question.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::router) struct Expected {
    /// 0 to 1.
    pub quality: f32,
    /// By how much its calls cost more than their price and usual length say.
    pub cost_factor: f64,
    /// What it is hoped to be better than expected: the less was seen of it on such questions, the more.
    pub hope: f32,
    /// Outcomes of the model that this rests on.
    pub outcomes: f32,
    /// What signs without a score make of the quality; it is in it.
    pub signs: f32,
}

impl View<'_> {
    /// How much has been learned of the intent, 0 to 1.
    pub(in crate::router) fn certainty(&self) -> f64 {
        f64::from(self.of_intent / (self.of_intent + 12.0))
    }

    /// What is expected of `target`, of which `prior` was before any outcome; `usd` is what a call should cost.
    pub(in crate::router) fn of(&self, target: &Target, prior: f32, usd: Option<f64>) -> Expected {
        let (surprise, of) = self.outcomes.surprise;
        let prior = (prior + surprise / (of + PRIOR_WEIGHT)).clamp(0.0, 1.0);
        let place = self.outcomes.places.get(target).map(|p| usize::from(*p));
        let sums = place.and_then(|p| Some((self.outcomes.by_intent.get(p)?, self.near.get(p)?)));
        let Some((by_intent, near)) = sums else {
            return Expected { quality: prior, cost_factor: 1.0, hope: HOPE, outcomes: 0.0, signs: 0.0 };
        };
        let mut all = Sum::default();
        by_intent.iter().for_each(|sum| all.add(sum, 1.0));
        let general = all.mean(prior, PRIOR_WEIGHT);
        let usual = by_intent.get(self.intent).map_or(general, |sum| sum.mean(general, MODEL_WEIGHT));
        // Against the others' answers: signs are bad ones only, so that alone they would speak against whoever is asked most.
        let own = place.and_then(|p| self.outcomes.signs.get(p)).copied().unwrap_or_default();
        let signs = SIGN_WORTH * (self.usual - own.rate(self.usual, SIGN_WEIGHT));
        let signs = signs.clamp(-SIGN_MOST, SIGN_MOST);
        let like = near.mean(usual, INTENT_WEIGHT);
        let same = self.same.iter().find(|seen| place == Some(usize::from(seen.place)));
        let quality = (same.map_or(like, |seen| seen.mean(like)) + signs).clamp(0.0, 1.0);
        // The same for money, as a factor on the price: one call as expected beside the model's own, and two of those beside the near.
        let cost_factor = usd.filter(|usd| *usd > 0.0).map_or(1.0, |usd| {
            let (cost, expected) = (f64::from(all.cost), f64::from(all.expected));
            let general = (cost + usd) / (expected + usd);
            let near = (f64::from(near.cost) + 2.0 * usd * general) / (f64::from(near.expected) + 2.0 * usd);
            near.clamp(0.02, 50.0)
        });
        let hope = HOPE * (INTENT_WEIGHT / (near.n + INTENT_WEIGHT)).sqrt();
        Expected { quality, cost_factor, hope, outcomes: all.n, signs }
    }
}

/// Whether a stored centre has a length near [`UNIT`].
pub(super) fn is_centre(point: &Point) -> bool {
    point.iter().all(|x| f32::from(*x).abs() <= UNIT) && (cosine(point, point) - 1.0).abs() < 0.05
}

#!/usr/bin/env python3
"""Learns the weights of the default ranker from what it was given for questions whose answers are known.

    cargo run --release -p syntra-benches --bin eval -- recall DIR --dump FILE.gz       (DIR: a set or a folder of sets)
    python benches/scripts/learn_ranker.py FILE.gz… --out syntra-core/src/search/rank/learned.rs

Needs numpy. What it does: for each kind of what is searched (people, assistant, documents, statements, code: told from the candidates
and the question as the ranker tells it) it minimises, by Adam, the mean over the sets of the mean over their questions of the listwise loss

    - mean over the gold candidates g of  log( exp(t s_g) / (exp(t s_g) + sum over the others, not gold, of exp(t s)) )

where s is the ranker's own score and t a temperature that is fitted too, plus `--l2` times the squared distance of the weights from
those set by hand (PRIOR below). A set weighs as much as another, however many questions it has. Weights whose sign is known keep it.
What no development set says anything of (recency, reliability, frequency) stays as set by hand. Nothing is random.

Against over-fitting it prints, for each set, the figures of the weights set by hand, of those learned from everything, of those
learned without the set's own fold (one conversation, where a set has few; else one half of the questions by a hash of their ids), and of
those learned without the set.
"""

import argparse
import gzip
import hashlib
import json
import math
import re
import sys

import numpy as np

RELEVANCE = ["keyword", "vector", "window_keyword", "window_vector", "conversation"]
ADDED = ["graph", "exact", "entity", "phrase", "title", "answers", "time", "spoken", "time_cue", "speaker", "length", "long",
         "is_question", "asked", "earlier", "beside", "first_person", "user_said", "recency", "reliability", "frequency"]
NAMES = RELEVANCE + ADDED
NEGATIVE = {"is_question", "long", "beside"}
KINDS = ["people", "assistant", "documents", "statements", "code"]
# Not learned: the sets have no reliability, no uses and hardly a question about now.
KEPT = {"recency", "reliability", "frequency"}
# Nor is this, where it says nothing: to an assistant nearly everybody speaks of oneself.
KEPT_OF = {"assistant": {"first_person"}}

_KEPT = dict(recency=0.15, reliability=0.05, frequency=0.02)
_ADDED = dict(graph=1.0, exact=0.1, phrase=0.1, title=0.1, answers=0.05, time=0.1, spoken=0.1, time_cue=0.1, speaker=0.07, is_question=-0.08)
PRIOR = {
    "people": {**_ADDED, **_KEPT, "keyword": 0.15, "vector": 0.23, "window_keyword": 0.15, "window_vector": 0.23, "conversation": 0.24,
               "graph": 0.4, "length": 0.2},
    "assistant": {**_ADDED, **_KEPT, "keyword": 0.25, "vector": 0.375, "conversation": 0.375, "is_question": 0.0, "user_said": 0.3},
    "documents": {**_ADDED, **_KEPT, "keyword": 0.4, "vector": 0.4, "conversation": 0.2},
    "statements": {**_ADDED, **_KEPT, "keyword": 0.4, "vector": 0.4, "conversation": 0.2},
    "code": {**_ADDED, **_KEPT, "keyword": 0.6, "vector": 0.4},
}
SAID = {"suggest", "suggested", "recommend", "recommended", "said", "told", "mentioned", "gave", "advised"}


def vector_of(weights):
    return np.array([weights.get(name, 0.0) for name in NAMES])


def scaled(values, from_zero):
    """Min-max over those that are there, as `Scale` of the ranker does it."""
    there = ~np.isnan(values)
    if not there.any():
        return values
    low, high = np.nanmin(values), np.nanmax(values)
    if from_zero:
        low = min(low, 0.0)
    if high - low > 1e-9:
        return (values - low) / (high - low)
    return np.where(there, (values > 0) * 1.0, np.nan)


class Question:
    """A question: its features (absent is nan), which candidates are gold, and how many gold there are in all."""

    def __init__(self, row):
        self.set, self.space, self.id = row["set"], row["space"], row["id"]
        self.ids = [c["id"] for c in row["candidates"]]
        self.gold = np.array([c["gold"] for c in row["candidates"]], bool)
        self.golds = len(row["gold"])
        n = len(self.ids)

        def signal(name):
            return np.array([c["signals"].get(name, np.nan) for c in row["candidates"]], float)

        words = re.findall(r"\w+", row["text"].lower())
        when = row["asks_when"] or words[:1] == ["when"]
        of_assistant = ("you" in words or "assistant" in words) and bool(SAID & set(words))
        window, user = signal("window_keyword"), signal("user_said")
        window = np.where(np.isnan(window), signal("window_vector"), window)
        said = (np.nan_to_num(signal("episodic")) > 0.5) | ~np.isnan(signal("speaker")) | ~np.isnan(user)
        code = np.nan_to_num(signal("code")) > 0.5
        if (said & ~np.isnan(window)).sum() * 2 > n:
            self.kind = "people"
        elif said.sum() * 2 > n:
            self.kind = "assistant"
        elif code.sum() * 2 > n:
            self.kind = "code"
        else:
            self.kind = "documents" if row["intent"] in ("question", "recall") else "statements"

        absent = np.full(n, np.nan)
        columns = [scaled(signal(name), name == "conversation") for name in RELEVANCE]
        added = {name: signal(name) for name in ["graph", "exact", "entity", "phrase", "title", "answers", "time", "spoken", "speaker",
                                                 "is_question", "asked", "earlier", "beside", "first_person", "reliability"]}
        added["time_cue"] = signal("time_cue") if when else absent
        length = np.log1p(np.maximum(signal("length"), 0)) / math.log(31)
        added["length"], added["long"] = np.minimum(length, 1.2) - 1.2, np.minimum(length, 2)
        added["user_said"] = absent if of_assistant else user - 1
        added["recency"] = np.exp(-math.log(2) / 30 * np.maximum(signal("age_days"), 0)) if row["about_now"] else absent
        added["frequency"] = np.log1p(np.maximum(signal("access_count"), 0)) / math.log(1001)
        columns = np.stack(columns + [added[name] for name in ADDED], axis=1) if n else np.zeros((0, len(NAMES)))
        self.there = ~np.isnan(columns[:, :5])
        self.x = np.nan_to_num(columns)

    def score(self, weights):
        return scores(self.x, self.there, weights[self.kind])[0]


def scores(x, there, w):
    """The ranker's score, and what relevance is divided by."""
    total = np.maximum(there @ w[:5], 1e-9)
    relevance = (x[:, :5] @ w[:5]) / total
    return relevance + x[:, 5:] @ w[5:], total, relevance


def fit(questions, prior, l2, steps, kept, rate=0.02):
    """The weights of one kind, all but those in `kept`."""
    use = [q for q in questions if q.gold.any() and not q.gold.all()]
    if not use:
        return prior.copy()
    sets = {}
    for q in use:
        sets[q.set] = sets.get(q.set, 0) + 1
    x = np.concatenate([q.x for q in use]).astype(np.float32)
    there = np.concatenate([q.there for q in use]).astype(np.float32)
    gold = np.concatenate([q.gold for q in use])
    lengths = np.array([len(q.ids) for q in use])
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    of = np.repeat(np.arange(len(use)), lengths)
    golds = np.add.reduceat(gold.astype(float), starts)
    share = np.array([1 / sets[q.set] / len(sets) for q in use]) / golds
    at = np.where(gold)[0]
    part = share[of[at]]
    # What does not differ within any question is not learned.
    free = np.array([name not in kept and x[:, i].std() > 1e-6 for i, name in enumerate(NAMES)])
    sign = np.array([-1.0 if name in NEGATIVE else 1.0 for name in NAMES])
    w, t = prior.copy(), math.log(12.0)
    m, v = np.zeros(len(w) + 1), np.zeros(len(w) + 1)
    for step in range(1, steps + 1):
        w32 = w.astype(np.float32)
        s, total, relevance = scores(x, there, w32)
        heat = math.exp(t)
        z = heat * s.astype(float)
        e = np.exp(z - np.maximum.reduceat(z, starts)[of])
        others = np.add.reduceat(np.where(gold, 0.0, e), starts)
        sums = e[at] + others[of[at]]
        slope = np.where(gold, 0.0, e) * np.bincount(of[at], part / sums, minlength=len(use))[of]
        slope[at] = -(1 - e[at] / sums) * part
        flow = (slope * heat).astype(np.float32)
        grad = np.empty(len(w) + 1)
        grad[:5] = ((x[:, :5] - relevance[:, None]) * there / total[:, None]).T @ flow
        grad[5:-1] = x[:, 5:].T @ flow
        grad[:-1] += 2 * l2 * (w - prior)
        grad[:-1][~free] = 0
        grad[-1] = (slope * z).sum()
        m = 0.9 * m + 0.1 * grad
        v = 0.999 * v + 0.001 * grad**2
        move = rate * (1 - 0.9 * step / steps) * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-9)
        w = np.where(free, w - move[:-1], w)
        w = np.where(w * sign < 0, 0.0, w)
        t -= move[-1]
    return w


def unit(w):
    """The same ranking with relevance weights that add up to 1."""
    w = w.copy()
    w[:5] /= max(w[:5].sum(), 1e-9)
    return w


def learn(questions, args, kinds=KINDS, but=None):
    """Weights of `kinds` from those `questions` for which `but` does not hold."""
    out = {}
    for kind in kinds:
        those = [q for q in questions if q.kind == kind and not (but and but(q))]
        out[kind] = unit(fit(those, unit(vector_of(PRIOR[kind])), args.l2, args.steps, KEPT | KEPT_OF.get(kind, set())))
    return out


def figures(questions, weights_of):
    sums = np.zeros(5)
    for q in questions:
        s = q.score(weights_of(q))
        order = sorted(range(len(s)), key=lambda i: (-s[i], q.ids[i]))[:20]
        hit = q.gold[order].astype(float)
        gain = 1 / np.log2(np.arange(2, 12))
        sums += [hit[:5].sum() / q.golds, hit[:10].sum() / q.golds, hit.sum() / q.golds, float(hit[:5].any()),
                 (hit[:10] * gain[: len(hit[:10])]).sum() / gain[: q.golds].sum()]
    return sums / max(len(questions), 1)


def line(name, values):
    print(f"  {name:<34}" + "".join(f"{v:9.4f}" for v in values), flush=True)


def rust(weights, sets):
    text = ["//! The default ranker's weights, written by `benches/scripts/learn_ranker.py`; see `docs/ranking.md`. Learned from:", "//!"]
    text += [f"//! - {name}: {count} questions" for name, count in sorted(sets.items())]
    text += ["", "use super::SignalWeights;", ""]
    for kind in KINDS:
        text += [f"pub(super) const {kind.upper()}: SignalWeights = SignalWeights {{"]
        text += [f"    {name}: {round(float(value), 3) + 0.0}," for name, value in zip(NAMES, weights[kind])]
        text += ["};", ""]
    return "\n".join(text[:-1]) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dumps", nargs="+")
    parser.add_argument("--l2", type=float, default=0.1, help="how strongly the weights are held to those set by hand")
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--out", help="where to write the Rust table")
    parser.add_argument("--no-check", action="store_true", help="leave out the leave-out figures")
    args = parser.parse_args()

    questions = []
    for path in args.dumps:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            questions += [Question(json.loads(text)) for text in lines]
    sets = {}
    for q in questions:
        sets.setdefault(q.set, []).append(q)

    prior = {kind: unit(vector_of(PRIOR[kind])) for kind in KINDS}
    all_weights = learn(questions, args)
    rounded = {kind: np.round(w, 3) for kind, w in all_weights.items()}
    print(f"{'':36}" + "".join(f"{n:>9}" for n in ["R@5", "R@10", "R@20", "H@5", "nDCG@10"]))
    for name, those in sets.items():
        kinds = sorted({q.kind for q in those})
        print(f"{name} ({len(those)} questions; {', '.join(kinds)})")
        line("set by hand", figures(those, lambda q: prior))
        line("learned from everything", figures(those, lambda q: rounded))
        if args.no_check:
            continue
        spaces = sorted({q.space for q in those})
        few = 1 < len(spaces) <= 12

        def fold(q):
            return spaces.index(q.space) if few else hashlib.sha256(q.id.encode()).digest()[0] % 2

        without = {f: learn(questions, args, kinds, lambda q: q.set == name and fold(q) == f) for f in sorted({fold(q) for q in those})}
        line(f"without its own {'conversation' if few else 'half'}", figures(those, lambda q: without[fold(q)]))
        others = learn(questions, args, kinds, lambda q: q.set == name)
        line("without the set", figures(those, lambda q: others))
    print()
    print(f"{'':16}" + "".join(f"{kind:>11}" for kind in KINDS))
    for i, name in enumerate(NAMES):
        print(f"{name:<16}" + "".join(f"{rounded[kind][i]:11.3f}" for kind in KINDS))
    if args.out:
        with open(args.out, "w", encoding="utf-8") as out:
            out.write(rust(rounded, {name: len(those) for name, those in sets.items()}))


if __name__ == "__main__":
    sys.exit(main())

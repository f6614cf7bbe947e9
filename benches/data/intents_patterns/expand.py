#!/usr/bin/env python3
"""Draws the rows to practise with (source "own, patterns") of ../intents_own.jsonl from patterns.txt and slots.txt.

    python3 expand.py | diff - <(grep '"own, patterns"' ../intents_own.jsonl)

A line of patterns.txt says how often it is drawn (three times as often, so that there are enough) and what: `{a|b|}` is one of the choices, a
word in capitals one of its line in slots.txt. What a judged row says is left out. All rows of an intent together weigh as much as a share of the
judged ones (`practice`), so that no intent is learned from patterns above all.
"""

import json
import random
import re
from collections import Counter
from pathlib import Path

HERE = Path(__file__).parent
TIMES = 3
SHARE = 0.3
INTENTS = 8

random.seed(7)
slots = {}
for line in (HERE / "slots.txt").read_text().splitlines():
    name, words = line.split("=", 1)
    slots[name] = words.split("|")
SLOT = re.compile("(" + "|".join(sorted(slots, key=len, reverse=True)) + ")(?![A-Z])")
CHOICE = re.compile(r"\{([^{}]*\|[^{}]*)\}")
QUESTION = re.compile(r"(?i)(what|who|when|where|why|how|is|are|do|does|did|can|which|will|has|have|should)\b")


def draw(pattern: str) -> str:
    while found := CHOICE.search(pattern):
        pattern = pattern[: found.start()] + random.choice(found.group(1).split("|")) + pattern[found.end() :]
    while found := SLOT.search(pattern):
        pattern = pattern[: found.start()] + random.choice(slots[found.group(1)]) + pattern[found.end() :]
    return re.sub(r" ([,.?!])", r"\1", re.sub(r" +", " ", pattern).strip())


def as_typed(text: str) -> str:
    """With or without a mark at the end and a capital at the beginning."""
    chance = random.random()
    if chance < 0.25 and QUESTION.match(text) and not text.endswith("?"):
        text += "?"
    elif chance < 0.35 and not re.search("[.?!:]$", text):
        text += "."
    return text[0].upper() + text[1:] if random.random() < 0.3 else text


own = [json.loads(line) for line in (HERE.parent / "intents_own.jsonl").read_text().splitlines()]
judged = [row for row in own if row["source"] != "own, patterns"]
said = {row["text"].lower() for row in judged}
rows, seen, intent = [], set(), ""
for line in (HERE / "patterns.txt").read_text().splitlines():
    if line.startswith("## "):
        intent = line[3:]
        continue
    if not line:
        continue
    times, pattern = line.split(" ", 1)
    drawn = 0
    for _ in range(200):
        if drawn >= int(times) * TIMES:
            break
        text = draw(pattern)
        text = text if "\n" in text else as_typed(text)
        if text.lower() in seen:
            continue
        seen.add(text.lower())
        drawn += 1
        if text.lower() not in said:
            rows.append({"text": text, "intent": intent, "source": "own, patterns"})
of_intent = Counter(row["intent"] for row in rows)
for row in rows:
    row["practice"] = round(SHARE * len(judged) / INTENTS / of_intent[row["intent"]], 2)
    print(json.dumps(row, ensure_ascii=False))

#!/usr/bin/env python3
"""Builds syntra-core/src/router/catalogue.json from two public price lists, and refuses to where they disagree.

    build_catalogue.py MODELS_DEV.json LITELLM.json [--date YYYY-MM-DD] [--out FILE] [--check]

MODELS_DEV.json is models.dev's data (https://models.dev, MIT) as its https://models.dev/api.json, or flattened under
"providers" with provider-neutral rows (which carry benchmarks) under "models". LITELLM.json is LiteLLM's
model_prices_and_context_window.json (MIT). Standard library only. docs/catalogue.md explains the fields of the result.

Exit status: 0 written (or, with --check, up to date); 1 the lists disagree, a model is missing or --check found a
difference; 2 bad arguments or input. Every problem is listed, not the first alone.
"""

import argparse
import json
import math
import re
import sys
from pathlib import Path

OUT = Path(__file__).resolve().parents[2] / "syntra-core/src/router/catalogue.json"

# Our provider name: (models.dev's provider, prefix of LiteLLM's keys).
PROVIDERS = {
    "openai": ("openai", ""),
    "anthropic": ("anthropic", ""),
    "gemini": ("google", "gemini/"),
    "perplexity": ("perplexity", "perplexity/"),
    "kimi": ("moonshotai", "moonshot/"),
    "deepseek": ("deepseek", "deepseek/"),
    "mistral": ("mistral", "mistral/"),
    "groq": ("groq", "groq/"),
    "xai": ("xai", "xai/"),
    "openrouter": ("openrouter", "openrouter/"),
}

# The models of the catalogue, by provider. A name alone must be in both lists. Options:
#   only="litellm"|"models.dev"  the other list does not have it (newer than it, or not its business): said in the row as
#                                `"sources": 1`, and an error once the other list does have it, so that it gets checked.
#   aliases=[...]                other names of the same model that no date pattern finds.
#   prior_from="model"           no benchmark yet: the predecessor's quality prior at the same provider, as a floor.
NEW = {"only": "litellm"}


def new(prior_from=None, **more):
    return {**NEW, **({"prior_from": prior_from} if prior_from else {}), **more}


def router_only(prior_from=None):
    """OpenRouter's own prices are in models.dev alone; the prior is that of the model it passes on."""
    return {"only": "models.dev", **({"prior_from": prior_from} if prior_from else {})}


MODELS = {
    "openai": {
        "gpt-4.1": {}, "gpt-4.1-mini": {}, "gpt-4.1-nano": {}, "gpt-4o": {}, "gpt-4o-2024-05-13": {}, "gpt-4o-mini": {},
        "gpt-4-turbo": {}, "gpt-4": {}, "gpt-3.5-turbo": {}, "o1": {}, "o3": {}, "o3-mini": {}, "o3-pro": {}, "o4-mini": {},
        "gpt-5": {}, "gpt-5-mini": {}, "gpt-5-nano": {}, "gpt-5-pro": {}, "gpt-5-codex": {}, "gpt-5.1": {},
        "gpt-5.1-codex": {}, "gpt-5.1-codex-mini": {}, "gpt-5.2": {}, "gpt-5.2-pro": {}, "gpt-5.2-codex": {},
        "gpt-5.3-codex": {}, "gpt-5.4": {}, "gpt-5.4-mini": {"prior_from": "gpt-5-mini"},
        "gpt-5.4-nano": {"prior_from": "gpt-5-nano"}, "gpt-5.4-pro": {"prior_from": "gpt-5.4"}, "gpt-5.5": {},
        "gpt-5.5-pro": {"prior_from": "gpt-5.5"},
        "gpt-5.6-sol": new("gpt-5.5", aliases=["gpt-5.6"]), "gpt-5.6-terra": new("gpt-5.4"), "gpt-5.6-luna": new(),
        "gpt-6-sol": new("gpt-5.5"), "gpt-6-astra": new("gpt-5.5"), "gpt-6-luna": new(), "gpt-6.1-sol": new("gpt-5.5"),
        "gpt-6.1-terra": new("gpt-5.4"), "gpt-5-search-api": new("gpt-5"),
    },
    "anthropic": {
        "claude-sonnet-4-5": {}, "claude-haiku-4-5": {}, "claude-opus-4-5": {}, "claude-opus-4-6": {},
        "claude-sonnet-4-6": {}, "claude-opus-4-7": {}, "claude-opus-4-8": {}, "claude-sonnet-5": {"prior_from": "claude-sonnet-4-6"},
        "claude-fable-5": {"prior_from": "claude-opus-4-8"}, "claude-opus-5": new("claude-opus-4-8"),
        "claude-opus-5-5": new("claude-opus-4-8"), "claude-sonnet-5-5": new("claude-sonnet-4-6"),
        "claude-haiku-5-5": new("claude-haiku-4-5"), "claude-fable-5-1": new("claude-opus-4-8"),
    },
    "gemini": {
        "gemini-2.5-pro": {}, "gemini-2.5-flash": {}, "gemini-2.5-flash-lite": {}, "gemini-3-flash-preview": {},
        "gemini-3.1-pro-preview": {}, "gemini-3.1-flash-lite": {"prior_from": "gemini-2.5-flash"},
        "gemini-3.5-flash": {"prior_from": "gemini-3-flash-preview"}, "gemini-3.5-flash-lite": new("gemini-2.5-flash"),
        "gemini-3.6-flash": new("gemini-3-flash-preview"), "gemini-3.7-flash": new("gemini-3-flash-preview"),
        "gemini-3.8-flash": new("gemini-3-flash-preview"), "gemini-4-argon": new("gemini-3.1-pro-preview"),
        "gemini-flash-latest": {"prior_from": "gemini-3-flash-preview"},
        "gemini-flash-lite-latest": {"prior_from": "gemini-2.5-flash"}, "gemini-pro-latest": new("gemini-3.1-pro-preview"),
    },
    "perplexity": {"sonar": {}, "sonar-pro": {}, "sonar-reasoning-pro": {}, "sonar-deep-research": {}},
    "kimi": {
        "kimi-k2.5": {}, "kimi-k2.6": {}, "kimi-k2.7-code": {}, "kimi-k3": new("kimi-k2.6"), "kimi-k3.1-pro": new("kimi-k2.6"),
        "moonshot-v1-8k": NEW, "moonshot-v1-32k": NEW, "moonshot-v1-128k": NEW,
    },
    "deepseek": {
        "deepseek-chat": {"prior_from": "deepseek-v4-flash"}, "deepseek-reasoner": {"prior_from": "deepseek-v4-flash"},
        "deepseek-v4-flash": {"aliases": ["deepseek-flash"]}, "deepseek-v4-pro": {},
    },
    "mistral": {
        "mistral-large-latest": {"aliases": ["mistral-large-3"]}, "mistral-large-4": new("mistral-large-latest"),
        "mistral-medium-latest": {"aliases": ["mistral-medium-3-5", "mistral-medium-3.5"]},
        "mistral-small-latest": {}, "codestral-latest": {}, "magistral-medium-latest": {}, "ministral-3b-latest": {},
        "ministral-8b-latest": {},
    },
    "groq": {
        "openai/gpt-oss-120b": {}, "openai/gpt-oss-20b": {}, "qwen/qwen3.8-27b": NEW,
        "llama-3.1-8b-instant": {"only": "models.dev"}, "llama-3.3-70b-versatile": {"only": "models.dev"},
    },
    "xai": {
        "grok-4.3": {"aliases": ["grok-4.3-latest"]}, "grok-build-0.1": {}, "grok-4.20-0309-reasoning": {},
        "grok-4.20-0309-non-reasoning": {}, "grok-4.5": new("grok-4.3", aliases=["grok-4.5-latest"]),
        "grok-4.6": new("grok-4.3"), "grok-4.7": new("grok-4.3"),
    },
    "openrouter": {
        "anthropic/claude-sonnet-4.6": router_only("anthropic:claude-sonnet-4-6"),
        "deepseek/deepseek-v4-flash": router_only("deepseek:deepseek-v4-flash"),
        "deepseek/deepseek-v4-pro": router_only("deepseek:deepseek-v4-pro"),
        "google/gemini-2.5-flash": router_only("gemini:gemini-2.5-flash"),
        "google/gemini-3.5-flash": router_only("gemini:gemini-3.5-flash"),
        "meta-llama/llama-3.3-70b-instruct": router_only(),
        "minimax/minimax-m3": router_only(),
        "moonshotai/kimi-k2.6": router_only("kimi:kimi-k2.6"),
        "openai/gpt-4o-mini": router_only("openai:gpt-4o-mini"),
        "openai/gpt-5.4": router_only("openai:gpt-5.4"),
        "openai/gpt-5.4-mini": router_only("openai:gpt-5.4-mini"),
        "openai/gpt-oss-120b": router_only(),
        "openrouter/auto": router_only(),
        "qwen/qwen3.7-max": router_only(), "qwen/qwen3.7-plus": router_only(),
        "x-ai/grok-4.3": router_only("xai:grok-4.3"),
        "z-ai/glm-5.2": router_only(),
    },
}

# Where the lists disagree on a price, the list to believe and why. Without an entry here a disagreement fails the build; an
# entry without a disagreement fails it too, so that none outlives its reason.
RESOLUTIONS = {
    # Aliases that Google moves: the newer list follows the alias to gemini-3.8-flash and gemini-3.5-flash-lite.
    ("gemini", "gemini-flash-latest"): "litellm",
    ("gemini", "gemini-flash-lite-latest"): "litellm",
    # DeepSeek changed its prices after the older list was taken; the newer cites api-docs.deepseek.com/quick_start/pricing.
    ("deepseek", "deepseek-v4-flash"): "litellm",
    ("deepseek", "deepseek-v4-pro"): "litellm",
    # The two old names: the older list has them as names of v4-flash (July's price), the newer has their last own price.
    # Both are past their end (2026-07-24); the dearer is kept so that no estimate is too low.
    ("deepseek", "deepseek-chat"): "litellm",
    ("deepseek", "deepseek-reasoner"): "litellm",
    # Mistral's "latest" names moved on (to medium 3.5 and to ministral 3); the newer list cites docs.mistral.ai.
    ("mistral", "magistral-medium-latest"): "litellm",
    ("mistral", "mistral-medium-latest"): "litellm",
    ("mistral", "ministral-3b-latest"): "litellm",
    ("mistral", "ministral-8b-latest"): "litellm",
}

# Models that search the web on every plain call; the others that can do so only through a server-side tool.
SEARCHES_ALWAYS = {("perplexity", m) for m in MODELS["perplexity"]} | {("openai", "gpt-5-search-api")}

DATED = re.compile(r"-(\d{4}-\d{2}-\d{2}|\d{8}|\d{4})$")
TIER = re.compile(r"^(input|output|cache_read_input|cache_creation_input)_(?:cost_per_token|token_cost)_above_(\d+)k_tokens$")
FIELDS = ("input", "output", "cache_read", "cache_write")
LITELLM_PRICE = {
    "input": "input_cost_per_token", "output": "output_cost_per_token",
    "cache_read": "cache_read_input_token_cost", "cache_write": "cache_creation_input_token_cost",
}


def usd(value):
    """Dollars per million tokens, clean of binary noise; None when absent or 0 (no listed model is free: 0 is 'not said')."""
    if value is None or value == 0:
        return None
    if not isinstance(value, (int, float)) or value < 0 or not math.isfinite(value):
        raise ValueError(f"not a price: {value!r}")
    rounded = round(value, 6)
    return int(rounded) if rounded == int(rounded) else rounded


def dev_price(row):
    cost = (row or {}).get("cost") or {}
    price = {f: usd(cost.get(f)) for f in FIELDS}
    tiers = {}
    for tier in cost.get("tiers") or []:
        tiers[tier["tier"]["size"]] = {f: usd(tier.get(f)) for f in FIELDS}
    if not tiers and cost.get("context_over_200k"):
        tiers[200_000] = {f: usd(cost["context_over_200k"].get(f)) for f in FIELDS}
    return price, tiers


def lite_price(row):
    row = row or {}
    price = {f: usd(scale(row.get(key))) for f, key in LITELLM_PRICE.items()}
    tiers = {}
    for key, value in row.items():
        if hit := TIER.match(key):
            field = {"input": "input", "output": "output", "cache_read_input": "cache_read", "cache_creation_input": "cache_write"}
            tiers.setdefault(int(hit[2]) * 1000, dict.fromkeys(FIELDS))[field[hit[1]]] = usd(scale(value))
    return price, tiers


def scale(per_token):
    return None if per_token is None else per_token * 1e6


def merge_prices(dev, lite, resolution, what, problems):
    """One price and its tiers from two; a field that only one list has is taken from it."""
    disagree = []

    def join(a, b, label):
        out = {}
        for f in FIELDS:
            x, y = a.get(f), b.get(f)
            if x is not None and y is not None and abs(x - y) > 1e-9:
                disagree.append(f"{label}{f}: models.dev {x}, LiteLLM {y} USD per million tokens")
                out[f] = y if resolution == "litellm" else x
            else:
                out[f] = x if x is not None else y
        return out

    # A row of which one list is not believed takes nothing else from that list either: its parts belong together.
    differs = any(
        dev[0].get(f) is not None and lite[0].get(f) is not None and abs(dev[0][f] - lite[0][f]) > 1e-9 for f in FIELDS
    )
    if differs and resolution:
        chosen = lite if resolution == "litellm" else dev
        join(dev[0], lite[0], "")
        return chosen, disagree
    price = join(dev[0], lite[0], "")
    tiers = {
        size: join(dev[1].get(size, {}), lite[1].get(size, {}), f"above {size} tokens, ")
        for size in sorted(set(dev[1]) | set(lite[1]))
    }
    return (price, tiers), disagree


def smaller(*values):
    """What fits the smaller of two windows fits both. 0 is 'not said'."""
    known = [v for v in values if isinstance(v, int) and v > 0]
    return min(known) if known else None


def both(dev, lite):
    """A capability: yes when a list says so and none denies it, no when one denies it, null when neither speaks."""
    said = [v for v in (dev, lite) if v is not None]
    return None if not said else all(said)


def month(text):
    return text if isinstance(text, str) and re.fullmatch(r"\d{4}-\d{2}(-\d{2})?", text) else None


def benchmark_priors(neutral):
    """A quality between 0 and 1 for each model that has benchmarks, from all of them together.

    One latent ability per model and one line per benchmark (score = a + b * ability), fitted by alternating least squares with a
    unit prior on the ability; so a model with one score is pulled to the middle, and models of different years are joined through
    those that share benchmarks. The ability (mean 0, deviation 1) goes through a logistic curve.
    """
    scores = {}
    for model, row in sorted(neutral.items()):
        for b in row.get("benchmarks") or []:
            name = b["name"].lower(), b.get("metric"), b.get("dataset") == "hard-aa"  # a harder set under the same name
            scores.setdefault(name, {}).setdefault(model, []).append(float(b["score"]))
    table = {}
    for name, by_model in scores.items():
        if len(by_model) >= 6:
            best = {m: max(v) for m, v in by_model.items()}
            mean = sum(best.values()) / len(best)
            spread = math.sqrt(sum((v - mean) ** 2 for v in best.values()) / len(best)) or 1.0
            table[name] = {m: (v - mean) / spread for m, v in best.items()}
    models = sorted({m for by_model in table.values() for m in by_model})
    if not models:
        return {}
    ability = {m: 0.0 for m in models}
    for m in models:
        own = [t[m] for t in table.values() if m in t]
        ability[m] = sum(own) / (len(own) + 1)
    for _ in range(200):
        lines = {}
        for name, t in table.items():
            n = len(t)
            mq, ms = sum(ability[m] for m in t) / n, sum(t.values()) / n
            slope = (sum((ability[m] - mq) * (s - ms) for m, s in t.items()) + 1) / (sum((ability[m] - mq) ** 2 for m in t) + 1)
            slope = max(slope, 0.2)
            lines[name] = (ms - slope * mq, slope)
        for m in models:
            top = sum(lines[n][1] * (t[m] - lines[n][0]) for n, t in table.items() if m in t)
            ability[m] = top / (sum(lines[n][1] ** 2 for n, t in table.items() if m in t) + 0.5)
        mean = sum(ability.values()) / len(models)
        spread = math.sqrt(sum((a - mean) ** 2 for a in ability.values()) / len(models)) or 1.0
        ability = {m: (a - mean) / spread for m, a in ability.items()}
    count = {m: sum(m in t for t in table.values()) for m in models}
    return {m: (round(1 / (1 + math.exp(-1.3 * a)), 2), count[m]) for m, a in ability.items()}


def build(dev_all, lite_all, date):
    problems, notes, rows = [], [], []
    dev_providers = dev_all.get("providers", dev_all)
    priors = benchmark_priors(dev_all.get("models", {}))
    used = set()

    def prior_of(provider, model, seen=()):
        options = MODELS[provider].get(model, {})
        dev_name = PROVIDERS[provider][0]
        key = model if provider == "openrouter" else f"{dev_name}/{model}"
        if key in priors:
            score, n = priors[key]
            return score, f"models.dev benchmarks ({n})"
        if "prior_from" not in options or model in seen:
            return None
        source = options["prior_from"]
        other, name = source.split(":", 1) if ":" in source else (provider, source)
        found = prior_of(other, name, (*seen, model))
        return found and (found[0], f"as {name}")

    for provider, models in MODELS.items():
        dev_name, prefix = PROVIDERS[provider]
        dev_models = dev_providers.get(dev_name, {}).get("models", {})
        for model, options in models.items():
            what = f"{provider}/{model}"
            dev, lite = dev_models.get(model), lite_all.get(prefix + model)
            only = options.get("only")
            for name, row in (("models.dev", dev), ("litellm", lite)):
                if row is None and only != ("litellm" if name == "models.dev" else "models.dev"):
                    problems.append(f"{what}: not in {name}; remove it, or mark it with only=")
                if row is not None and only and only != name:
                    problems.append(f"{what}: is in {name} now; remove only={only!r} so that its price is checked")
            if dev is None and lite is None:
                continue
            resolution = RESOLUTIONS.get((provider, model))
            try:
                (price, tiers), disagree = merge_prices(dev_price(dev), lite_price(lite), resolution, what, problems)
            except (ValueError, KeyError, TypeError) as error:
                problems.append(f"{what}: {error}")
                continue
            if disagree and not resolution:
                problems.extend(f"{what}: {d}" for d in disagree)
            if disagree and resolution:
                used.add((provider, model))
                notes.extend(f"{what}: {d}; {resolution} believed" for d in disagree)
            for part in (price, *tiers.values()):
                # A write "price" below the input price is a surcharge or a storage fee, not the whole price: not known.
                if (part["cache_write"] or 0) < (part["input"] or price["input"] or 0):
                    part["cache_write"] = None
            dev, lite = dev or {}, lite or {}
            limit, modal = dev.get("limit") or {}, dev.get("modalities") or {}
            window = smaller(limit.get("context"), None if limit.get("input") else lite.get("max_input_tokens"))
            max_input = smaller(limit.get("input"), lite.get("max_input_tokens"))
            inputs = set(modal.get("input") or ["text"])
            if not dev:
                inputs |= {n for n, k in (("image", "vision"), ("pdf", "pdf_input"), ("audio", "audio_input"), ("video", "video_input"))
                           if lite.get(f"supports_{k}")}
            if (provider, model) in SEARCHES_ALWAYS:
                web = "always"
            else:
                web = "tool" if lite.get("supports_web_search") else None
            row = {
                "provider": provider, "model": model, "sources": (1 if only else 2),
                "aliases": aliases(provider, model, options, dev_models, lite_all, prefix, price),
                "price": {
                    **{f: v for f, v in price.items() if v is not None},
                    **({"request": request} if (request := request_fee(web, lite)) else {}),
                    **({"tiers": [{"above": size, **{f: v for f, v in t.items() if v is not None}} for size, t in sorted(tiers.items())]}
                       if tiers else {}),
                } or None,
                "context_window": window, "max_input": max_input if max_input and window and max_input < window else None,
                "max_output": smaller(limit.get("output"), lite.get("max_output_tokens")),
                "input": sorted(inputs), "tools": both(dev.get("tool_call"), lite.get("supports_function_calling")),
                "json_schema": both(dev.get("structured_output"), lite.get("supports_response_schema")),
                "reasoning": both(dev.get("reasoning"), lite.get("supports_reasoning")),
                "web_search": web, "knowledge_cutoff": month(dev.get("knowledge")),
                "released_on": month(dev.get("release_date")), "deprecated_on": month(lite.get("deprecation_date")),
            }
            if found := prior_of(provider, model):
                row["quality"] = {"coding_help": {"score": found[0], "source": found[1]}}
            rows.append({k: v for k, v in row.items() if v is not None and v != []})
    for stale in sorted(set(RESOLUTIONS) - used):
        problems.append(f"{stale[0]}/{stale[1]}: the lists agree (or it is not listed); remove its resolution")
    rows.sort(key=lambda r: (r["provider"], r["model"]))
    header = {
        "schema": 1, "date": date, "units": "USD per million tokens; request: USD per call; absent: not known",
        "built_by": "benches/scripts/build_catalogue.py",
        "sources": [
            {"name": "models.dev", "url": "https://models.dev", "licence": "MIT"},
            {"name": "LiteLLM model_prices_and_context_window.json", "url": "https://github.com/BerriAI/litellm", "licence": "MIT"},
        ],
    }
    return header, rows, problems, notes


def request_fee(web, lite):
    """The fee for the search of each call, at the smallest search context, which is the default."""
    fee = (lite.get("search_context_cost_per_query") or {}).get("search_context_size_low")
    return usd(fee) if web == "always" else None


def aliases(provider, model, options, dev_models, lite_all, prefix, price):
    """Names that mean this model: those given, and dated versions whose price is the same in every list that has them."""
    out = set(options.get("aliases", []))
    for name in sorted(set(dev_models) | {k[len(prefix):] for k in lite_all if k.startswith(prefix)}):
        if name in MODELS[provider] or not name.startswith(model + "-") or not DATED.fullmatch(name[len(model):]):
            continue
        prices = [dev_price(dev_models[name])[0]] if name in dev_models else []
        prices += [lite_price(lite_all[prefix + name])[0]] if prefix + name in lite_all else []
        if prices and all(p["input"] == price["input"] and p["output"] == price["output"] for p in prices):
            out.add(name)
    return sorted(out)


def render(header, rows):
    dump = lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return '{"header":' + dump(header) + ',\n"models":[\n' + ",\n".join(map(dump, rows)) + "\n]}\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("models_dev")
    parser.add_argument("litellm")
    parser.add_argument("--date", help="date of the newer list; with --check the date in the file by default")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the file is not what would be written")
    args = parser.parse_args()
    try:
        dev, lite = (json.loads(Path(p).read_text("utf-8")) for p in (args.models_dev, args.litellm))
        present = args.out.read_text("utf-8") if args.out.exists() else ""
        date = args.date or (json.loads(present)["header"]["date"] if present else None)
    except (OSError, ValueError, KeyError) as error:
        print(f"cannot read the input: {error}", file=sys.stderr)
        return 2
    if not date or not re.fullmatch(r"\d{4}-\d{2}-\d{2}", date):
        print("--date YYYY-MM-DD is needed: the date on which the newer list was fetched", file=sys.stderr)
        return 2
    header, rows, problems, notes = build(dev, lite, date)
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    if problems:
        print(f"{len(problems)} problems; nothing written", file=sys.stderr)
        return 1
    text = render(header, rows)
    if args.check:
        if text != present:
            print(f"{args.out} is not what these lists give; run without --check", file=sys.stderr)
            return 1
        print(f"{args.out.name}: up to date, {len(rows)} models, {len(text.encode())} bytes")
        return 0
    args.out.write_text(text, "utf-8")
    print(f"{args.out}: {len(rows)} models, {len(text.encode())} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())

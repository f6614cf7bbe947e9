"""Tests of build_catalogue.py: python3 -m unittest discover -s benches/scripts -p 'test_*.py'"""

import contextlib
import io
import json
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).parent))
import build_catalogue as bc


def dev(cost, **more):
    return {"cost": cost, "limit": {"context": 1000, "output": 100}, "modalities": {"input": ["text"]}, "tool_call": True, **more}


def lite(i, o, **more):
    return {"input_cost_per_token": i / 1e6, "output_cost_per_token": o / 1e6, "max_input_tokens": 900, **more}


class Catalogue(unittest.TestCase):
    def build(self, dev_rows, lite_rows, models, resolutions=()):
        tables = {"MODELS": {"openai": models}, "PROVIDERS": {"openai": ("openai", "")}, "RESOLUTIONS": dict(resolutions)}
        with mock.patch.multiple(bc, **tables):
            _, rows, problems, _ = bc.build({"providers": {"openai": {"models": dev_rows}}}, lite_rows, "2026-01-01")
        return {r["model"]: r for r in rows}, problems

    def test_agreeing_lists_make_a_row(self):
        rows, problems = self.build({"m": dev({"input": 1, "output": 2.5, "cache_read": 0})}, {"m": lite(1, 2.5)}, {"m": {}})
        self.assertEqual(problems, [])
        self.assertEqual(rows["m"]["price"], {"input": 1, "output": 2.5}, "0 is not said, not free")
        self.assertEqual((rows["m"]["context_window"], rows["m"]["sources"], rows["m"]["tools"]), (900, 2, True))

    def test_a_disagreement_fails_until_it_is_resolved(self):
        lists = {"m": dev({"input": 1, "output": 2})}, {"m": lite(1, 3)}
        _, problems = self.build(*lists, {"m": {}})
        self.assertEqual(problems, ["openai/m: output: models.dev 2, LiteLLM 3 USD per million tokens"])
        rows, problems = self.build(*lists, {"m": {}}, {("openai", "m"): "litellm"})
        self.assertEqual((problems, rows["m"]["price"]["output"]), ([], 3))

    def test_a_tier_that_differs_is_a_disagreement(self):
        tier = {"tier": {"size": 200_000}, "input": 2, "output": 4}
        _, problems = self.build(
            {"m": dev({"input": 1, "output": 2, "tiers": [tier]})},
            {"m": lite(1, 2, input_cost_per_token_above_200k_tokens=9e-6)}, {"m": {}})
        self.assertEqual(len(problems), 1)
        self.assertIn("above 200000 tokens, input", problems[0])

    def test_a_resolution_without_a_reason_fails(self):
        _, problems = self.build({"m": dev({"input": 1, "output": 2})}, {"m": lite(1, 2)}, {"m": {}}, {("openai", "m"): "litellm"})
        self.assertIn("remove its resolution", problems[0])

    def test_one_list_alone_must_be_said_and_only_as_long_as_it_holds(self):
        _, problems = self.build({}, {"m": lite(1, 2)}, {"m": {}})
        self.assertIn("not in models.dev", problems[0])
        rows, problems = self.build({}, {"m": lite(1, 2)}, {"m": {"only": "litellm"}})
        self.assertEqual((problems, rows["m"]["sources"]), ([], 1))
        _, problems = self.build({"m": dev({"input": 1, "output": 2})}, {"m": lite(1, 2)}, {"m": {"only": "litellm"}})
        self.assertIn("is in models.dev now", problems[0])

    def test_dated_names_are_aliases_where_the_price_is_the_same(self):
        rows, _ = self.build(
            {"m": dev({"input": 1, "output": 2})},
            {"m": lite(1, 2), "m-2025-01-01": lite(1, 2), "m-2024-01-01": lite(5, 2), "m-mini-2025-01-01": lite(1, 2)}, {"m": {}})
        self.assertEqual(rows["m"]["aliases"], ["m-2025-01-01"])

    def test_check_tells_a_file_that_is_out_of_date(self):
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()), \
                contextlib.redirect_stderr(io.StringIO()), \
                mock.patch.multiple(bc, MODELS={"openai": {"m": {}}}, PROVIDERS={"openai": ("openai", "")}, RESOLUTIONS={}):
            files = [Path(folder, name) for name in ("dev.json", "lite.json", "out.json")]
            files[0].write_text(json.dumps({"openai": {"models": {"m": dev({"input": 1, "output": 2})}}}))
            files[1].write_text(json.dumps({"m": lite(1, 2)}))

            def run(*more):
                argv = ["x", str(files[0]), str(files[1]), "--out", str(files[2]), *more]
                with mock.patch.object(sys, "argv", argv):
                    return bc.main()

            self.assertEqual(run(), 2, "a first file needs a date")
            self.assertEqual(run("--date", "2026-01-01"), 0)
            self.assertEqual(run("--check"), 0)
            files[1].write_text(json.dumps({"m": lite(1, 2, supports_vision=True, max_output_tokens=50)}))
            self.assertEqual(run("--check"), 1)


if __name__ == "__main__":
    unittest.main()

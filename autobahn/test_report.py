#!/usr/bin/env python3
"""Tests that the comparison fails when it has to: `autobahn/test_report.py`."""

from __future__ import annotations

import json
import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
import report  # noqa: E402
from report import ReportError, Result, Verdict  # noqa: E402

HERE = Path(__file__).resolve().parent
OK = Verdict("OK", "OK")
INFORMATIONAL = Verdict("INFORMATIONAL", "INFORMATIONAL")
EXPECTED = {"1.1.1": OK, "2.9": OK, "2.10": OK, "7.1.6": INFORMATIONAL}


class Compare(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        self.verdicts = dict(EXPECTED)

    def write(self, index: dict[str, Verdict] | None = None) -> None:
        """Writes what the suite would write."""
        entries = {}
        for case, verdict in self.verdicts.items():
            name = f"agent_case_{case.replace('.', '_')}.json"
            entry = {"behavior": verdict.behavior, "behaviorClose": verdict.close}
            details = {"id": case, "result": "What was received.", "resultClose": "How it ended.", **entry}
            (self.folder / name).write_text(json.dumps(details))
            if index and case in index:
                entry = {"behavior": index[case].behavior, "behaviorClose": index[case].close}
            entries[case] = {"reportfile": name, **entry}
        (self.folder / "index.json").write_text(json.dumps({"agent": entries}))

    def compare(self) -> report.Outcome:
        results, problems = report.read(self.folder, "agent")
        outcome = report.compare("server tokio", self.folder, EXPECTED, results)
        outcome.problems += problems
        return outcome

    def assert_differs(self, column: str, *words: str) -> None:
        """That the outcome is not good, that one case counts in `column`, and that the text names it and its report."""
        outcome = self.compare()
        self.assertFalse(outcome.good())
        self.assertEqual(outcome.counts[column], 1, outcome.counts)
        self.assertEqual(sum(outcome.counts.values()), len(EXPECTED.keys() | self.verdicts.keys()))
        text = report.describe([outcome])
        for word in words:
            self.assertIn(word, text)

    def test_all_as_expected(self) -> None:
        self.write()
        outcome = self.compare()
        self.assertTrue(outcome.good())
        self.assertEqual(outcome.counts, {"OK": 3, "INFORMATIONAL": 1})

    def test_non_strict(self) -> None:
        self.verdicts["2.9"] = Verdict("NON-STRICT", "OK")
        self.write()
        self.assert_differs("NON-STRICT", "2.9: NON-STRICT", "What was received.", "agent_case_2_9.html")

    def test_failed(self) -> None:
        self.verdicts["2.10"] = Verdict("FAILED", "FAILED")
        self.write()
        self.assert_differs("FAILED", "2.10: FAILED", "agent_case_2_10.html")

    def test_unimplemented(self) -> None:
        self.verdicts["1.1.1"] = Verdict("UNIMPLEMENTED", "OK")
        self.write()
        self.assert_differs("UNIMPLEMENTED", "1.1.1: UNIMPLEMENTED")

    def test_verdict_of_a_later_suite(self) -> None:
        self.verdicts["1.1.1"] = Verdict("PERFECT", "OK")
        self.write()
        self.assert_differs("FAILED", "1.1.1: PERFECT")

    def test_wrong_close(self) -> None:
        for close in ("WRONG CODE", "UNCLEAN", "FAILED BY CLIENT", "FAILED"):
            with self.subTest(close):
                self.verdicts["1.1.1"] = Verdict("OK", close)
                self.write()
                self.assert_differs("WRONG CLOSE", f"1.1.1: OK, close {close}", "How it ended.")

    def test_informational_is_not_ok(self) -> None:
        self.verdicts["1.1.1"] = INFORMATIONAL
        self.write()
        self.assertFalse(self.compare().good())

    def test_missing_case(self) -> None:
        del self.verdicts["2.9"]
        self.write()
        self.assert_differs("MISSING", "1 missing", "2.9")

    def test_case_nobody_asked_for(self) -> None:
        self.verdicts["9.9.1"] = OK
        self.write()
        outcome = self.compare()
        self.assertFalse(outcome.good())
        self.assertIn("9.9.1", outcome.differences[0])

    def test_case_whose_report_is_lost_or_broken(self) -> None:
        for content in (None, "", "{", "[]", "{}"):
            with self.subTest(content):
                self.write()
                path = self.folder / "agent_case_2_9.json"
                path.unlink() if content is None else path.write_text(content)
                self.assert_differs("MISSING", "2.9 has no usable report", str(path))

    def test_report_that_contradicts_the_index(self) -> None:
        self.verdicts["2.9"] = Verdict("FAILED", "OK")
        self.write(index={"2.9": OK})
        self.assert_differs("MISSING", "2.9 has no usable report", "contradicts")

    def test_no_reports_at_all(self) -> None:
        for content in (None, "", "[]", "{}", '{"another agent": {}}', '{"agent": {"2.9": {}}}'):
            with self.subTest(content):
                if content is not None:
                    (self.folder / "index.json").write_text(content)
                outcome = self.compare()
                self.assertEqual(outcome.missing, list(EXPECTED))
                self.assertEqual(len(outcome.problems), 1)
                self.assertFalse(outcome.good())


class Expected(unittest.TestCase):
    def test_the_file_holds_cases_1_to_10(self) -> None:
        expected = report.load_expected(HERE / "expected.json")
        counts = {category: 0 for category in (1, 2, 3, 4, 5, 6, 7, 9, 10)}  # the suite has no cases 8 and 11
        for case in expected:
            if (category := report.natural(case)[0]) <= 10:
                counts[category] += 1
        self.assertEqual(list(counts.values()), [16, 11, 7, 10, 20, 145, 37, 54, 1])
        informational = {case for case, verdict in expected.items() if verdict != OK}
        self.assertEqual(informational, {"7.1.6", "7.13.1", "7.13.2"})

    def test_only_good_verdicts_can_be_expected(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for verdict in (Verdict("NON-STRICT", "OK"), Verdict("OK", "UNCLEAN"), Verdict("UNIMPLEMENTED", "OK")):
                path = Path(folder) / "expected.json"
                report.save_expected(path, {"1.1.1": verdict})
                self.assertRaises(ReportError, report.load_expected, path)

    def test_saved_in_the_order_of_the_suite(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "expected.json"
            report.save_expected(path, dict(reversed(EXPECTED.items())))
            self.assertEqual(list(report.load_expected(path).items()), list(EXPECTED.items()))

    def test_select(self) -> None:
        self.assertEqual(list(report.select(EXPECTED, ["2.*", "7.1.6"])), ["2.9", "2.10", "7.1.6"])
        self.assertEqual(list(report.select(EXPECTED, ["1.*"])), ["1.1.1"])
        self.assertRaises(ReportError, report.select, EXPECTED, ["1.*", "12.*"])


class Update(unittest.TestCase):
    def update(self, announced: int, **runs: dict[str, Verdict]) -> dict[str, Verdict]:
        def results(run: dict[str, Verdict]) -> dict[str, Result]:
            return {case: Result(verdict, "", Path("report")) for case, verdict in run.items()}

        found = {name: results(run) for name, run in runs.items()}
        return report.update_expected(EXPECTED, ["2.*", "12.*"], announced, found)

    def test_replaces_the_cases_of_the_patterns(self) -> None:
        run = {"2.10": OK, "12.1.1": OK}
        self.assertEqual(
            self.update(2, one=run, two=run), {"1.1.1": OK, "7.1.6": INFORMATIONAL, "2.10": OK, "12.1.1": OK}
        )

    def test_refuses(self) -> None:
        good = {"2.10": OK, "12.1.1": OK}
        for name, bad in {
            "NON-STRICT": {**good, "12.1.1": Verdict("NON-STRICT", "OK")},
            "wrong close": {**good, "12.1.1": Verdict("OK", "UNCLEAN")},
            "not the same": {**good, "12.1.1": INFORMATIONAL},
            "incomplete": {"2.10": OK},
            "nothing": {},
        }.items():
            with self.subTest(name):
                self.assertRaises(ReportError, self.update, 2, one=good, two=bad)
                if name != "not the same":
                    self.assertRaises(ReportError, self.update, 2, one=bad)
        self.assertRaises(ReportError, self.update, 0, one={})


if __name__ == "__main__":
    unittest.main()
